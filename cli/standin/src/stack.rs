//! All of it together, with a small made-up bank in it.

mod demo;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use latchkey_domain::clock::{Clock, SystemClock};
use latchkey_domain::identity::{InvalidIdentity, IssuerId};
use latchkey_domain::names::{InvalidName, RoleArn};
use serde_json::json;

pub use self::demo::{DemoGroup, DemoUser};

use crate::aws::{Aws, Credentials};
use crate::dns::Dns;
use crate::idp::{Idp, IdpError, IdpOptions, User};
use crate::random::NoRandomness;
use crate::relay::Relay;
use crate::table::{Store, Table, TableError};

/// `aud` of the demo's access tokens.
pub const AUDIENCE: &str = "latchkey";
/// The one client of the local issuer.
pub const CLIENT_ID: &str = "latchkey-portal";
/// The local issuer's short name in the table and the configuration.
pub const ISSUER_ID: &str = "local";
/// The table's name.
pub const TABLE: &str = "latchkey";
/// The VPC endpoint through which requests are to come.
pub const VPC_ENDPOINT_ID: &str = "vpce-0dev";

/// The name of the deployed function.
const FUNCTION: &str = "latchkey-broker";

/// Where the stand-ins listen on 127.0.0.1; 0 is any free port.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Ports {
    /// The OpenID issuer.
    pub idp: u16,
    /// STS, SageMaker and what its URLs open.
    pub aws: u16,
    /// DynamoDB.
    pub table: u16,
    /// The DNS server.
    pub dns: u16,
}

/// How the stack is set up.
#[derive(Clone)]
pub struct StackOptions {
    /// Where it listens.
    pub ports: Ports,
    /// Where the table is kept; none keeps it in memory.
    pub data_dir: Option<PathBuf>,
    /// Puts a [`Relay`] in front of the table, to look at its calls and to make them fail.
    pub relay_table: bool,
    /// What time it is, for the issuer and for AWS. The table engine goes by the system's clock.
    pub clock: Arc<dyn Clock>,
    /// Where the issuer may send codes, besides what [`Idp::allow_redirect_uri`] adds.
    pub redirect_uris: Vec<String>,
}

impl Default for StackOptions {
    fn default() -> Self {
        Self { ports: Ports::default(), data_dir: None, relay_table: false, clock: Arc::new(SystemClock::new()), redirect_uris: Vec::new() }
    }
}

impl fmt::Debug for StackOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("StackOptions").field("ports", &self.ports).field("data_dir", &self.data_dir).finish_non_exhaustive()
    }
}

/// Why the stack did not start.
#[derive(Debug, thiserror::Error)]
pub enum StackError {
    /// The issuer did not.
    #[error(transparent)]
    Idp(#[from] IdpError),
    /// STS and SageMaker did not.
    #[error("the AWS stand-in cannot listen: {0}")]
    Aws(#[source] std::io::Error),
    /// The relay in front of the table did not.
    #[error("the relay in front of the table cannot listen: {0}")]
    Relay(#[source] std::io::Error),
    /// The table did not.
    #[error(transparent)]
    Table(#[from] TableError),
    /// A name of the demo's is not legal: a mistake in the stand-in.
    #[error("the demo has a name that is not legal: {0}")]
    Name(#[from] InvalidName),
    /// The deployment's description cannot be read: a mistake in the stand-in.
    #[error("the demo's deployment cannot be read: {0}")]
    Deployment(#[from] serde_json::Error),
    /// The DNS server did not start.
    #[error("the DNS stand-in cannot listen: {0}")]
    Dns(#[source] std::io::Error),
    /// A group's grant of the demo's is not one: a mistake in the stand-in.
    #[error("the demo has a grant that is not one: {0}")]
    Grant(#[from] latchkey_domain::grant::GrantDefect),
    /// An identity of the demo's is not legal: a mistake in the stand-in.
    #[error("the demo has an identity that is not legal: {0}")]
    Identity(#[from] InvalidIdentity),
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// Everything that latchkey runs against, running. Dropped, it stops.
#[derive(Debug)]
pub struct Stack {
    /// The OpenID issuer.
    pub idp: Idp,
    /// STS, SageMaker and what its URLs open.
    pub aws: Aws,
    /// The table's engine. It is empty: not even the table is there.
    pub table: Table,
    /// The corporate network's DNS server.
    pub dns: Dns,
    /// What is in front of the table's engine, if it was asked for.
    pub table_relay: Option<Relay>,
    users: Vec<DemoUser>,
    groups: Vec<DemoGroup>,
    credentials: Credentials,
    issuer_id: IssuerId,
    role_arn: RoleArn,
    provision_role_arn: RoleArn,
}

impl Stack {
    /// Starts all of it.
    ///
    /// # Errors
    /// A port is taken, the data directory cannot be used, or there is no randomness.
    pub async fn start(options: StackOptions) -> Result<Self, StackError> {
        let demo = demo::Demo::new(options.clock.now())?;
        let store = options.data_dir.map_or(Store::Memory, Store::Directory);
        let table = Table::start(options.ports.table, &store)?;
        let table_relay = if options.relay_table {
            Some(Relay::start(0, table.address(), Arc::clone(&options.clock)).await.map_err(StackError::Relay)?)
        } else {
            None
        };
        let aws = Aws::start(options.ports.aws, demo.world, Arc::clone(&options.clock)).await.map_err(StackError::Aws)?;
        let dns = Dns::start(options.ports.dns).await.map_err(StackError::Dns)?;
        let idp = IdpOptions {
            port: options.ports.idp,
            audience: AUDIENCE.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            redirect_uris: options.redirect_uris,
            users: demo.users.iter().map(DemoUser::to_user).collect(),
        };
        let idp = Idp::start(idp, options.clock).await?;
        let issuer_id = IssuerId::new(ISSUER_ID)?;
        let stack = Self {
            idp,
            aws,
            table,
            dns,
            table_relay,
            users: demo.users,
            groups: demo.groups,
            credentials: demo.function,
            issuer_id,
            role_arn: demo.issuing_role,
            provision_role_arn: demo.provisioning_role,
        };
        stack.configure_the_function();
        Ok(stack)
    }

    /// The deployed function has the variables that the one here runs with. Endpoints are not among them: in a VPC they are AWS's own.
    fn configure_the_function(&self) {
        let ours = self.env().into_iter().filter(|(name, _)| name.starts_with("LATCHKEY_"));
        self.aws.change(|world| {
            if let Some(function) = world.properties("AWS::Lambda::Function", FUNCTION) {
                for (name, value) in ours {
                    function["Environment"]["Variables"][name] = value.into();
                }
            }
        });
    }

    /// The demo's users, with what the table should say about each. The stack writes none of it.
    pub fn users(&self) -> &[DemoUser] {
        &self.users
    }

    /// The demo's groups, with what the table should say about each. The stack writes none of it.
    pub fn groups(&self) -> &[DemoGroup] {
        &self.groups
    }

    /// The demo user of that name.
    pub fn user(&self, name: &str) -> Option<&DemoUser> {
        self.users.iter().find(|user| user.name == name)
    }

    /// The issuer under which the users' grants are kept.
    pub const fn issuer_id(&self) -> &IssuerId {
        &self.issuer_id
    }

    /// The credentials of the function's own role: a role session.
    pub const fn credentials(&self) -> &Credentials {
        &self.credentials
    }

    /// The endpoint for DynamoDB: the relay's, where there is one.
    pub fn table_endpoint(&self) -> String {
        self.table_relay.as_ref().map_or_else(|| self.table.endpoint(), Relay::endpoint)
    }

    /// The environment in which the broker runs against this stack. It holds the function's credentials.
    pub fn env(&self) -> Vec<(String, String)> {
        let issuers = json!([{
            "id": self.issuer_id.as_str(),
            "issuer": self.idp.issuer(),
            "audiences": [self.idp.audience()],
            // Access tokens only. An ID token is for the portal, and has its client id as audience besides.
            "token_types": ["at+jwt"],
            "groups_claim": "groups",
            "jwks": { "source": "url" },
        }]);
        let session_token = self.credentials.session_token.as_ref().map(|token| token.expose().to_owned());
        [
            ("AWS_REGION", demo::REGION.to_owned()),
            ("AWS_ACCESS_KEY_ID", self.credentials.access_key_id.clone()),
            ("AWS_SECRET_ACCESS_KEY", self.credentials.secret_access_key.expose().to_owned()),
            ("AWS_SESSION_TOKEN", session_token.unwrap_or_default()),
            ("AWS_ENDPOINT_URL_STS", self.aws.endpoint()),
            ("AWS_ENDPOINT_URL_SAGEMAKER", self.aws.endpoint()),
            ("AWS_ENDPOINT_URL_DYNAMODB", self.table_endpoint()),
            ("LATCHKEY_ISSUERS", issuers.to_string()),
            ("LATCHKEY_TABLE", TABLE.to_owned()),
            ("LATCHKEY_VPC_ENDPOINT_IDS", VPC_ENDPOINT_ID.to_owned()),
            ("LATCHKEY_ROLE_ARN", self.role_arn.as_str().to_owned()),
            ("LATCHKEY_EXTERNAL_ID", demo::ISSUING_EXTERNAL_ID.to_owned()),
            ("LATCHKEY_PROVISION_ROLE_ARN", self.provision_role_arn.as_str().to_owned()),
            ("LATCHKEY_PROVISION_EXTERNAL_ID", demo::PROVISIONING_EXTERNAL_ID.to_owned()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// What an operator's commands need besides, to look at the deployment. IAM is among it although the stand-in has none: without its
    /// endpoint a command that works on roles would go to the real one.
    pub fn operator_env(&self) -> Vec<(String, String)> {
        [
            ("AWS_ENDPOINT_URL_CLOUDCONTROL", self.aws.endpoint()),
            ("AWS_ENDPOINT_URL_IAM", self.aws.endpoint()),
            ("LATCHKEY_DNS", self.dns.address().to_string()),
        ]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect()
    }

    /// Stops all of it, and returns once nothing is left running.
    pub async fn shutdown(self) {
        let Self { idp, aws, table, dns, table_relay, .. } = self;
        drop(dns);
        let relay = async {
            if let Some(relay) = table_relay {
                relay.shutdown().await;
            }
            table.shutdown().await;
        };
        tokio::join!(idp.shutdown(), aws.shutdown(), relay);
    }
}

impl DemoUser {
    fn to_user(&self) -> User {
        User {
            name: self.name.clone(),
            subject: self.subject.as_str().to_owned(),
            display_name: self.display_name.clone(),
            about: self.about.clone(),
            groups: self.groups.iter().map(ToString::to_string).collect(),
        }
    }
}

#[cfg(test)]
mod tests;
