//! The broker as a Lambda function: configuration, clients, service, runtime.

// The SDK's futures are nested so deeply that the compiler gives up on the layout of what awaits them.
#![recursion_limit = "256"]

use std::io;
use std::process::ExitCode;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context as TaskContext, Poll};
use std::time::Duration;

use broker::config::Config;
use broker::service;
use bytes::Bytes;
use lambda_runtime::tower::{self, Layer, service_fn};
use lambda_runtime::{Context, LambdaEvent, LambdaInvocation, Runtime};
use latchkey_api::service::Invocation;
use latchkey_aws::environment::Environment;
use latchkey_domain::clock::{Clock, SystemClock};
use latchkey_telemetry::audit::LineSink;
use latchkey_telemetry::log::{self, InvocationFields, InvocationScope, JsonLines};
use latchkey_telemetry::panics;
use serde::de::IgnoredAny;

/// What is kept back of the remaining time, so that an answer is on its way before the platform ends the invocation.
const RESERVE: Duration = Duration::from_millis(200);

/// What is kept back beyond [`RESERVE`] for a step that does not keep to its budget.
const LAST_RESORT: Duration = Duration::from_millis(100);

/// API Gateway gives an integration 29 seconds. Whoever asked has gone by then, however long the function may run.
const GATEWAY_LIMIT: Duration = Duration::from_secs(29);

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
    broker::config::warn_of_unknown(environment_names());

    let live = service::build(config, &environment, clock, LineSink::stdout())?;
    live.prepare().await;

    let payload = PayloadSlot::default();
    let is_cold = AtomicBool::new(true);
    let (service, payload_of_event, is_cold) = (&live.service, &payload, &is_cold);
    let scope = &scope;
    let handler = service_fn(move |event: LambdaEvent<IgnoredAny>| async move {
        let context = event.context;
        scope.enter(InvocationFields {
            cold_start: is_cold.swap(false, Ordering::Relaxed),
            function_request_id: context.request_id.clone(),
            xray_trace_id: context.xray_trace_id.clone(),
        });
        let event = payload_of_event.take();
        let remaining = remaining(&context, &clock);
        let invocation = Invocation {
            event: &event,
            id: &context.request_id,
            account_id: account_of(&context.invoked_function_arn),
            budget: remaining.saturating_sub(RESERVE),
        };
        let cutoff = tokio::time::sleep(remaining.saturating_sub(RESERVE - LAST_RESORT));
        Ok::<_, std::convert::Infallible>(service.handle(invocation, cutoff).await)
    });
    Runtime::new(handler).layer(TakePayload { slot: payload.clone() }).run().await
}

#[expect(clippy::disallowed_methods, reason = "the one place where the environment is read")]
fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn environment_names() -> impl Iterator<Item = String> {
    std::env::vars_os().filter_map(|(name, _)| name.into_string().ok())
}

/// How long this invocation still has.
///
/// Lambda gives the deadline as Unix time in milliseconds. `cargo lambda watch` gives how many are left; such a number would be
/// a moment in 1970 or soon after, which no clock of ours can be before.
fn remaining(context: &Context, clock: &impl Clock) -> Duration {
    const ONE_YEAR_AFTER_THE_EPOCH: u64 = 365 * 24 * 3600 * 1000;
    let now = u64::try_from(clock.now().unix_millis()).unwrap_or(0);
    let left = if context.deadline < ONE_YEAR_AFTER_THE_EPOCH { context.deadline } else { context.deadline.saturating_sub(now) };
    Duration::from_millis(left).min(GATEWAY_LIMIT)
}

/// The account in the ARN of the function, which is where the function's own role is.
fn account_of(function_arn: &str) -> Option<&str> {
    function_arn.split(':').nth(4).filter(|account| !account.is_empty())
}

/// Holds an event from when it arrives to when it is handled. Invocations of one environment follow each other.
#[derive(Clone, Default)]
struct PayloadSlot(Arc<Mutex<Bytes>>);

impl PayloadSlot {
    fn put(&self, payload: Bytes) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = payload;
    }

    fn take(&self) -> Bytes {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Takes the event out of the runtime's hands before the runtime looks at it.
///
/// The runtime would write it to its log at `trace`, token and all; it would end the process over an event that is not
/// UTF-8, and answer with a function error where one is not JSON. Handled here, each is an answer with an audit record, and
/// the event is parsed once.
#[derive(Clone)]
struct TakePayload {
    slot: PayloadSlot,
}

impl<S> Layer<S> for TakePayload {
    type Service = TakingPayload<S>;

    fn layer(&self, inner: S) -> TakingPayload<S> {
        TakingPayload { slot: self.slot.clone(), inner }
    }
}

#[derive(Clone)]
struct TakingPayload<S> {
    slot: PayloadSlot,
    inner: S,
}

impl<S: tower::Service<LambdaInvocation>> tower::Service<LambdaInvocation> for TakingPayload<S> {
    type Response = S::Response;
    type Error = S::Error;
    type Future = S::Future;

    fn poll_ready(&mut self, task: &mut TaskContext<'_>) -> Poll<Result<(), S::Error>> {
        self.inner.poll_ready(task)
    }

    fn call(&mut self, mut invocation: LambdaInvocation) -> S::Future {
        self.slot.put(std::mem::replace(&mut invocation.body, Bytes::from_static(b"null")));
        self.inner.call(invocation)
    }
}
