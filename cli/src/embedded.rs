//! The broker over the stand-ins: the service itself, the real adapters, and loopback in place of AWS and the IdP.

use std::collections::{HashMap, VecDeque};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::Context as _;
use broker::config::Config;
use broker::service::{self, Live};
use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_admin::{Annotation, Expect, GrantAdmin, GroupIdentity};
use latchkey_domain::audit::AuditRecord;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::identity::Identity;
use latchkey_domain::ports::AuditSink;
use latchkey_domain::subject::Standing;
use latchkey_standin::stack::{Ports, Stack, StackOptions, TABLE};
use latchkey_transport::Transport;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use crate::gateway::{self, STAGE};

/// The account in which the made-up bank works.
pub const ACCOUNT: &str = "111122223333";

/// How the embedded service runs.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The API's port; the stand-ins take the four that follow. 0 takes any free ones.
    pub port: u16,
    /// Where the table is kept; none keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// Whether each decision is written to standard output as it is made.
    pub print_decisions: bool,
}

/// Keeps the decisions, and writes them down if it is to.
#[derive(Debug, Clone, Default)]
pub struct DecisionLog {
    records: Arc<Mutex<VecDeque<AuditRecord>>>,
    print: bool,
}

/// How many decisions are kept in memory.
const KEPT: usize = 1000;

impl DecisionLog {
    /// The record of a request.
    pub fn of(&self, request_id: &str) -> Option<AuditRecord> {
        let records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        records.iter().rev().find(|record| record.request_id == request_id).cloned()
    }
}

impl AuditSink for DecisionLog {
    fn record(&self, record: &AuditRecord) -> std::io::Result<()> {
        use std::io::Write as _;
        if self.print {
            let mut line = serde_json::to_vec(record)?;
            line.push(b'\n');
            let mut out = std::io::stdout().lock();
            out.write_all(&line)?;
            out.flush()?;
        }
        let mut records = self.records.lock().unwrap_or_else(PoisonError::into_inner);
        if records.len() == KEPT {
            records.pop_front();
        }
        records.push_back(record.clone());
        Ok(())
    }
}

/// The port so many after `first`, which is the API's; any free one where that is.
pub const fn next_port(first: u16, offset: u16) -> u16 {
    if first == 0 { 0 } else { first.saturating_add(offset) }
}

/// The service, running on this machine. Dropped, it stops.
#[derive(Debug)]
pub struct Embedded {
    /// What it runs against.
    pub stack: Stack,
    /// The decisions it has made.
    pub decisions: DecisionLog,
    address: SocketAddr,
    server: Server,
}

/// What serves the API. Dropped, it stops.
#[derive(Debug)]
struct Server(JoinHandle<std::io::Result<()>>);

impl Drop for Server {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Embedded {
    /// Starts the stand-ins, fills the table with the made-up users' grants if it is new, and serves the API.
    ///
    /// # Errors
    /// A port is taken, or the data folder cannot be used.
    pub async fn start(options: Options) -> anyhow::Result<Self> {
        let listener =
            TcpListener::bind(("127.0.0.1", options.port)).await.with_context(|| format!("port {} cannot be used", options.port))?;
        let address = listener.local_addr()?;
        let next = |offset| next_port(options.port, offset);
        let ports = Ports { idp: next(1), aws: next(2), table: next(3), dns: next(4) };
        let stack = Stack::start(StackOptions { ports, data_dir: options.data_dir.clone(), ..StackOptions::default() }).await?;
        let variables: HashMap<String, String> = stack.env().into_iter().collect();
        let variable = |name: &str| variables.get(name).cloned();
        let environment = Environment::read(variable)?;
        fill_table(&stack, &environment).await?;

        let decisions = DecisionLog { print: options.print_decisions, ..DecisionLog::default() };
        let live: Live<SystemClock, DecisionLog> =
            service::build(Config::from_environment(variable)?, &environment, SystemClock::new(), decisions.clone())?;
        live.prepare().await;

        let router = gateway::router(Arc::new(live.service), ACCOUNT.to_owned());
        let server = Server(tokio::spawn(async move { axum::serve(listener, router).await }));
        Ok(Self { stack, decisions, address, server })
    }

    /// The API's address, with its stage.
    pub fn api(&self) -> String {
        format!("http://{}/{STAGE}", self.address)
    }

    /// Stops all of it, and returns once nothing is left running.
    pub async fn shutdown(mut self) {
        self.server.0.abort();
        let _ = (&mut self.server.0).await;
        self.stack.shutdown().await;
    }
}

/// Makes the table and writes the made-up users' grants into it. A table that is there already stays as it is: whoever keeps
/// one in a folder has changed it.
///
/// # Errors
/// The table cannot be made or written.
pub async fn fill_table(stack: &Stack, environment: &Environment) -> anyhow::Result<()> {
    let clients = Clients::new(environment, Transport::new(None)?)?;
    let table = GrantAdmin::new(clients.dynamodb_for_operators(), TABLE);
    if !table.create_table().await? {
        return Ok(());
    }
    let annotation = Annotation { by: Some("latchkey dev".to_owned()), ..Annotation::at(SystemClock::new().now()) };
    for user in stack.users() {
        let identity = Identity { issuer: stack.issuer_id().clone(), subject: user.subject.clone() };
        if user.standing == Standing::Suspended {
            table.set_suspended(&identity, true, &annotation).await?;
        }
        if let Some(profile) = &user.profile {
            table.set_profile(&identity, None, Some(profile), &annotation).await?;
        }
        for grant in &user.grants {
            table.put_grant(&identity, grant, &annotation, Expect::Absent).await?;
        }
    }
    for group in stack.groups() {
        let whose = GroupIdentity { issuer: stack.issuer_id().clone(), group: group.group.clone() };
        for grant in &group.grants {
            table.put_group_grant(&whose, grant, &annotation, Expect::Absent).await?;
        }
    }
    Ok(())
}
