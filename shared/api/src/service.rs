//! One event in, one answer out, one audit record written.

use std::panic::AssertUnwindSafe;
use std::time::Duration;

use futures_util::FutureExt as _;
use futures_util::future::{Either, select};
use latchkey_domain::audit::{Action, AuditRecord};
use latchkey_domain::broker::{Broker, Call, OUT_OF_TIME, Trail, milliseconds};
use latchkey_domain::clock::{Clock, Deadline};
use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::ports::{AuditSink, Authenticator, GrantStore, ProfileKeeper, UrlIssuer, UsageLedger};

use crate::bearer;
use crate::body;
use crate::event::ProxyEvent;
use crate::problem;
use crate::response::{self, ProxyResponse};
use crate::route::{self, Route};

/// The event is not a proxy event.
pub const MALFORMED_EVENT: Reason = Reason("event.malformed");
/// The request came through a VPC endpoint that is not allowed, or through none.
pub const NOT_PRIVATE: Reason = Reason("endpoint.not-allowed");
/// The broker panicked.
pub const PANICKED: Reason = Reason("broker.panicked");
/// The record of the decision could not be kept. No record can show it; the caller gets no URL.
pub const NOT_AUDITED: Reason = Reason("audit.not-kept");

/// Every reason of this module.
pub const REASONS: &[Reason] = &[MALFORMED_EVENT, NOT_PRIVATE, PANICKED, NOT_AUDITED];

/// Through which VPC endpoints a request may come.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AllowedEndpoints {
    /// These, by id.
    These(Vec<String>),
    /// Any, or none at all: the check is off.
    Any,
}

impl AllowedEndpoints {
    fn allow(&self, endpoint: Option<&str>) -> bool {
        match self {
            Self::These(ids) => endpoint.is_some_and(|endpoint| ids.iter().any(|id| id == endpoint)),
            Self::Any => true,
        }
    }
}

/// One invocation.
#[derive(Clone, Copy)]
pub struct Invocation<'a> {
    /// The event as it arrived.
    pub event: &'a [u8],
    /// The invocation's own id, for events that bring none.
    pub id: &'a str,
    /// The account that the function runs in, where the runtime knows it; else the event's counts.
    pub account_id: Option<&'a str>,
    /// How long the answer may take.
    pub budget: Duration,
}

/// The API in front of the use case.
#[derive(Debug)]
pub struct Service<A, S, U, C, K> {
    /// The use case.
    pub broker: Broker<A, S, U, C>,
    /// Where decisions are kept.
    pub sink: K,
    /// Through which VPC endpoints a request may come.
    pub endpoints: AllowedEndpoints,
}

/// A decision before it is recorded: the answer, or the refusal with the operation at the path, where there is one.
type Decision = Result<ProxyResponse, (Denial, Option<Route>)>;

/// What came of an event.
enum Outcome {
    /// Nothing was decided, and nothing is recorded.
    Undecided(ProxyResponse),
    Decided(Decision),
}

impl<A, S, U, C, K> Service<A, S, U, C, K>
where
    A: Authenticator,
    S: GrantStore + UsageLedger,
    U: UrlIssuer + ProfileKeeper,
    C: Clock,
    K: AuditSink,
{
    /// Answers one event, whatever it holds, and keeps one audit record of it.
    ///
    /// `cutoff` completes when no more time is left; it comes after `invocation.budget` and is the last resort for whatever
    /// did not keep to it. A request for `/health` is answered without a record: it decides nothing.
    pub async fn handle(&self, invocation: Invocation<'_>, cutoff: impl Future<Output = ()>) -> ProxyResponse {
        let begun = self.broker.clock.monotonic();
        let deadline = Deadline::after(&self.broker.clock, invocation.budget);
        let event = ProxyEvent::parse(invocation.event);
        let request_id = match &event {
            Ok(event) => request_id(event).unwrap_or(invocation.id).to_owned(),
            Err(_) => invocation.id.to_owned(),
        };
        let trail = Trail::new(AuditRecord::new(&request_id));
        let event = match event {
            Ok(event) => event,
            Err(_) => {
                let refusal = Denial::new(Code::InvalidRequest, MALFORMED_EVENT);
                return self.close(Err((refusal, None)), &trail, begun, &request_id);
            }
        };

        let decided = AssertUnwindSafe(self.decide(event, invocation.account_id, deadline, &trail, &request_id)).catch_unwind();
        let decision = match select(std::pin::pin!(decided), std::pin::pin!(cutoff)).await {
            Either::Left((Ok(Outcome::Undecided(response)), _)) => return response,
            Either::Left((Ok(Outcome::Decided(decision)), _)) => decision,
            // Where it happened is on standard error already (`latchkey_telemetry::panics`); what it says may hold anything.
            Either::Left((Err(_), _)) => Err((Denial::new(Code::Internal, PANICKED), None)),
            Either::Right(((), _)) => Err((Denial::unavailable(OUT_OF_TIME), None)),
        };
        self.close(decision, &trail, begun, &request_id)
    }

    async fn decide(
        &self,
        mut event: ProxyEvent,
        account_id: Option<&str>,
        deadline: Deadline,
        trail: &Trail,
        request_id: &str,
    ) -> Outcome {
        let context = event.request_context.take().unwrap_or_default();
        let origin = context.identity.unwrap_or_default();
        let is_allowed_endpoint = self.endpoints.allow(origin.vpce_id.as_deref());
        trail.note(|record| {
            record.vpc_endpoint = origin.vpce_id.map(printable);
            record.source_ip = origin.source_ip.map(printable);
        });
        let route = Route::at(event.resource.as_deref(), event.path.as_deref());
        // Whether the service lives is no secret, and no VPC endpoint's business.
        if !is_allowed_endpoint && route != Some(Route::Health) {
            return Outcome::Decided(Err((Denial::new(Code::NotPrivate, NOT_PRIVATE), None)));
        }
        let Some(route) = route else {
            return Outcome::Decided(Err((Denial::new(Code::NotFound, route::NO_PATH), None)));
        };
        let own_account = account_id.or(context.account_id.as_deref()).unwrap_or_default();
        let call = Call { deadline, own_account, trail };
        match self.answer(route, event, call, request_id).await {
            Ok(response) if route == Route::Health => Outcome::Undecided(response),
            decided => Outcome::Decided(decided.map_err(|denial| (denial, Some(route)))),
        }
    }

    async fn answer(&self, route: Route, mut event: ProxyEvent, call: Call<'_>, request_id: &str) -> Result<ProxyResponse, Denial> {
        route.check_method(event.http_method.as_deref().unwrap_or_default())?;
        let headers = event.take_headers();
        match route {
            Route::Mint => {
                call.trail.note(|record| record.action = Action::Mint);
                let token = bearer::bearer_token(headers.authorization)?;
                let principal = self.broker.authenticate(&token, call).await?;
                let wish = body::wish(event.body.as_deref(), event.is_base64_encoded.unwrap_or(false), &headers.content_type)?;
                let minted = self.broker.mint(principal, &wish, call).await?;
                Ok(response::minted(&minted, response::wants_redirect(&headers.accept), request_id))
            }
            Route::List => {
                call.trail.note(|record| record.action = Action::List);
                let token = bearer::bearer_token(headers.authorization)?;
                let principal = self.broker.authenticate(&token, call).await?;
                let targets = self.broker.list(&principal, call).await?;
                Ok(response::targets(&targets, request_id))
            }
            Route::Health => Ok(response::health(request_id)),
        }
    }

    /// Keeps the record of what was decided, and only then gives the answer.
    fn close(&self, decision: Decision, trail: &Trail, begun: Duration, request_id: &str) -> ProxyResponse {
        let kept = trail.note(|record| {
            record.time = self.broker.clock.now();
            record.durations_ms.total = milliseconds(self.broker.clock.monotonic().saturating_sub(begun));
            match &decision {
                Ok(_) => record.allow(),
                Err((denial, _)) => record.deny(denial),
            }
            self.sink.record(record)
        });
        match (decision, kept) {
            (Ok(response), Ok(())) => response,
            (Err((denial, route)), _) => problem::answer(&denial, route, request_id),
            // Nothing is opened without a trace.
            (Ok(_), Err(_)) => problem::answer(&Denial::new(Code::Internal, NOT_AUDITED), None, request_id),
        }
    }
}

/// The gateway's id of the request, where it is one that can stand in a header and a log line.
fn request_id(event: &ProxyEvent) -> Option<&str> {
    let id = event.request_context.as_ref()?.request_id.as_deref()?;
    let legal = |b: u8| b.is_ascii_alphanumeric() || b == b'-' || b == b'_';
    ((1..=128).contains(&id.len()) && id.bytes().all(legal)).then_some(id)
}

/// What is kept of a value that API Gateway reports: bounded, and printable.
fn printable(value: String) -> String {
    value.chars().filter(char::is_ascii_graphic).take(64).collect()
}
