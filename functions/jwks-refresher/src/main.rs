//! The refresher as a Lambda function: on a schedule, outside the private subnets, from the issuers to the table.
//!
//! It is told three things: the issuers, the table, the log's level. It may write the issuers' keys and nothing else
//! (`template.yaml`). The broker believes none of what it writes: it reads each key as strictly as if it had fetched it itself.

// The SDK's futures are nested so deeply that the compiler gives up on the layout of what awaits them.
#![recursion_limit = "256"]

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use jwks_refresher::config::{Config, ConfigError};
use jwks_refresher::report::{self, NotRefreshed};
use lambda_runtime::{Context, Diagnostic, LambdaEvent, service_fn};
use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_store::Table;
use latchkey_domain::clock::{Clock, SystemClock};
use latchkey_oidc::refresh::Refresher;
use latchkey_telemetry::keys;
use latchkey_telemetry::log::{self, InvocationFields, InvocationScope, JsonLines};
use latchkey_telemetry::panics;
use latchkey_transport::Transport;
use serde::de::IgnoredAny;

/// What is kept back of the remaining time, so that the records are written before the platform ends the invocation.
const RESERVE: Duration = Duration::from_millis(500);

/// What is taken where the platform gives no deadline that can be believed.
const LONGEST: Duration = Duration::from_secs(60);

#[expect(clippy::print_stderr, reason = "a start that fails says why in one line, before there is a log")]
fn main() -> ExitCode {
    panics::tell_only_where(io::stderr());
    let result =
        tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(Into::into).and_then(|runtime| runtime.block_on(run()));
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), lambda_runtime::Error> {
    let config = Config::from_environment(environment_variable)?;
    let environment = Environment::read(environment_variable)?;
    let clock = SystemClock::new();
    let scope = InvocationScope::default();
    log::install(JsonLines::new(config.log_level, clock, scope.clone(), io::stdout()));

    let transport = Transport::new(environment.ca_bundle.as_deref())
        .map_err(|error| ConfigError { variable: "AWS_CA_BUNDLE", problem: error.to_string().into() })?;
    let table = Table::new(Clients::new(&environment, transport.clone())?.dynamodb(), config.table);
    let refresher = Refresher::new(&config.issuers, transport, table, clock);
    if refresher.issuers().next().is_none() {
        tracing::warn!("no issuer has jwks.source table: there is nothing to refresh");
    }

    let is_cold = AtomicBool::new(true);
    let (refresher, scope, is_cold) = (&refresher, &scope, &is_cold);
    lambda_runtime::run(service_fn(move |event: LambdaEvent<IgnoredAny>| async move {
        let context = event.context;
        scope.enter(InvocationFields {
            cold_start: is_cold.swap(false, Ordering::Relaxed),
            function_request_id: context.request_id.clone(),
            xray_trace_id: context.xray_trace_id.clone(),
        });
        let refreshed = refresher.refresh(remaining(&context, &clock).saturating_sub(RESERVE)).await;
        let records: Vec<_> = refreshed.iter().map(|one| report::record(one, clock.now())).collect();
        for record in &records {
            keys::write(record, &mut io::stdout().lock()).map_err(RunError::Output)?;
        }
        NotRefreshed::check(&records).map_err(RunError::NotRefreshed)
    }))
    .await
}

/// Why a run is an error of the function's. The type is what whoever invokes it reads first.
#[derive(Debug)]
enum RunError {
    NotRefreshed(NotRefreshed),
    Output(io::Error),
}

impl From<RunError> for Diagnostic {
    fn from(error: RunError) -> Self {
        let (error_type, error_message) = match error {
            RunError::NotRefreshed(error) => ("NotRefreshed", error.to_string()),
            RunError::Output(error) => ("Output", error.to_string()),
        };
        Self { error_type: error_type.to_owned(), error_message }
    }
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

/// How long this invocation still has: Lambda gives the deadline as Unix time in milliseconds.
fn remaining(context: &Context, clock: &impl Clock) -> Duration {
    let now = u64::try_from(clock.now().unix_millis()).unwrap_or(0);
    match context.deadline.checked_sub(now) {
        Some(left) if left > 0 => Duration::from_millis(left).min(LONGEST),
        _ => LONGEST,
    }
}
