//! Presigned URLs from SageMaker, and what it says of their targets. One file for each kind of target.

mod mlflow_app;
mod mlflow_server;
mod notebook;
mod partner_app;
mod profiles;
mod studio;

use std::fmt;
use std::future::Future;
use std::time::Duration;

use aws_sdk_sagemaker::config::IdentityCache;
use latchkey_domain::clock::Clock;
use latchkey_domain::decision::{Code, Denial};
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::names::Region;
use latchkey_domain::ports::{Issued, RoleSession, UrlIssuer};
use latchkey_domain::posture::{Inspection, NotReady, PostureMode};
use latchkey_domain::presigned_url::{HostRule, PresignedUrl};
use latchkey_domain::target::Target;
use tokio::time::Instant;

use crate::attempts::{self, Policy};
use crate::clients::Clients;
use crate::failure::{Failure, Kind, printable, service_reasons};
use crate::role_session::{RoleSessions, SessionCredentials, SessionScope};

service_reasons! {
    "sagemaker";
    /// SageMaker returned a URL whose host is not one of its own. It was not handed on.
    FOREIGN_URL = "sagemaker.foreign-url";
    /// SageMaker refused to make a URL, and the target's state says why.
    NOT_READY = "sagemaker.not-ready";
    /// The target is in another region than the one endpoint that is configured for SageMaker.
    OTHER_REGION = "sagemaker.another-region";
}

/// The state of a target that does not exist, in the words of the answer's `state`.
const NOT_FOUND_STATE: &str = "NotFound";

/// A URL that was made and never received opens nothing for anybody, so making it again does no harm.
const PRESIGN: Policy = Policy { attempts: 2, each: Duration::from_millis(2500), whole: Duration::from_secs(5), harmless_twice: true };

/// Looking changes nothing. It takes less than making the URL may, which comes after it.
const DESCRIBE: Policy = Policy { attempts: 2, each: Duration::from_millis(1500), whole: Duration::from_secs(3), harmless_twice: true };

/// What is called for a target of one kind.
trait Calls {
    /// Makes a URL: `CreatePresigned…Url`.
    fn presign(&self, via: &Via<'_>, entitlement: &Entitlement) -> impl Future<Output = Result<Made, Failure>> + Send;

    /// Asks for the state.
    fn state(&self, via: &Via<'_>) -> impl Future<Output = Result<Told, Failure>> + Send;
}

/// What is asked about a target that the posture gate looks at.
trait Inspect {
    /// Asks, and judges what it is told.
    fn inspect(&self, via: &Via<'_>, deadline: Instant) -> impl Future<Output = Result<Inspection, Failure>> + Send;
}

/// Calls a method of [`Calls`] on a target of any kind.
macro_rules! of_any_kind {
    ($target:expr, $each:ident => $call:expr) => {
        match $target {
            Target::Studio($each) => $call,
            Target::Notebook($each) => $call,
            Target::MlflowServer($each) => $call,
            Target::MlflowApp($each) => $call,
            Target::PartnerApp($each) => $call,
        }
    };
}

/// How SageMaker is called: the client, and what a call needs beyond the client's own, the session's credentials and the
/// target's region.
struct Via<'a> {
    client: &'a aws_sdk_sagemaker::Client,
    overrides: Option<aws_sdk_sagemaker::config::Builder>,
}

/// Sends a request of the SDK's.
macro_rules! send {
    ($via:expr, $request:expr) => {
        match &$via.overrides {
            Some(overrides) => $request.customize().config_override(overrides.clone()).send().await,
            None => $request.send().await,
        }
    };
}
use send;

/// What a call that makes URLs answered.
struct Made {
    url: String,
    request_id: Option<String>,
}

/// What an answer makes of a URL. One without is none of SageMaker's, and is asked for again like any that cannot be read.
fn made(url: Option<&str>, request_id: Option<&str>) -> Result<Made, Failure> {
    match url.filter(|url| !url.is_empty()) {
        Some(url) => Ok(Made { url: url.to_owned(), request_id: request_id.and_then(printable) }),
        None => Err(Failure::malformed(request_id)),
    }
}

/// What a call that tells a target's state answered.
struct Told {
    /// The state, where it is none in which the target can be opened.
    not_ready: Option<NotReady>,
    request_id: Option<String>,
}

/// SageMaker, and the sessions to call it under.
///
/// One client for all regions and roles: a call names the region and brings the session's credentials along. A client for
/// each would cost 0.4 million instructions whenever it is made and have to be bounded.
pub struct SageMaker<C> {
    client: aws_sdk_sagemaker::Client,
    own_region: Region,
    host_rule: HostRule,
    /// Whether the client's endpoint is configured by hand.
    has_own_endpoint: bool,
    sessions: RoleSessions<C>,
    posture: PostureMode,
}

impl<C: Clock> SageMaker<C> {
    /// URLs through these clients, under sessions of this scope. `clock` tells when sessions end.
    pub fn new(clients: &Clients, scope: SessionScope, clock: C) -> Self {
        Self::over(clients.sagemaker(), clients.sts(), clients, scope, clock)
    }

    /// The same through two other clients than those which `clients` would make.
    pub(crate) fn over(
        sagemaker: aws_sdk_sagemaker::Client,
        sts: aws_sdk_sts::Client,
        clients: &Clients,
        scope: SessionScope,
        clock: C,
    ) -> Self {
        Self {
            client: sagemaker,
            own_region: clients.region().clone(),
            host_rule: clients.host_rule(),
            has_own_endpoint: clients.has_own_sagemaker_endpoint(),
            sessions: RoleSessions::new(sts, scope, clock),
            posture: PostureMode::Off,
        }
    }

    /// The same for a posture gate that does this: unless it is off, sessions may look at all that the gate asks about.
    #[must_use]
    pub fn with_posture(self, mode: PostureMode) -> Self {
        Self { sessions: self.sessions.may_inspect(mode.inspects()), posture: mode, ..self }
    }

    /// An endpoint that is configured by hand (`AWS_ENDPOINT_URL_SAGEMAKER`) is one region's, and would refuse another's signature.
    /// The stand-in on loopback is all regions'.
    fn check_region(&self, region: &Region) -> Result<(), Denial> {
        let is_fixed = self.has_own_endpoint && !self.host_rule.allow_loopback;
        if is_fixed && *region != self.own_region { Err(Denial::unavailable(OTHER_REGION)) } else { Ok(()) }
    }

    fn via(&self, region: &Region, session: &SessionCredentials) -> Via<'_> {
        let credentials = session.credentials();
        let mut via = Via { client: &self.client, overrides: None };
        if credentials.is_none() && *region == self.own_region {
            return via;
        }
        let mut builder = aws_sdk_sagemaker::Config::builder();
        if let Some(credentials) = credentials {
            // Fixed credentials need no cache; without saying so, every call would make one of its own.
            builder = builder.credentials_provider(credentials.clone()).identity_cache(IdentityCache::no_cache());
        }
        if *region != self.own_region {
            builder = builder.region(aws_sdk_sagemaker::config::Region::new(region.as_str().to_owned()));
        }
        via.overrides = Some(builder);
        via
    }

    /// A session can be revoked, or the role changed, before it ends. The next request opens a new one.
    fn forget_if_refused(&self, session: &RoleSession<SessionCredentials>, failure: &Failure) {
        if matches!(failure.kind, Kind::AccessDenied | Kind::Credentials) {
            self.sessions.forget(&session.credentials);
        }
    }

    /// What the caller is told when no URL was made. A call that was refused for what it asks may have been refused for the
    /// state that the target is in: SageMaker has no error code for that, so the state itself is asked for.
    async fn refusal(&self, target: &Target, via: &Via<'_>, failure: Failure, until: Instant) -> Denial {
        if !matches!(failure.kind, Kind::Validation | Kind::Refused) {
            return denial(failure);
        }
        let deadline = until.min(attempts::deadline(DESCRIBE.whole, DESCRIBE));
        let (refusal, state_request_id) =
            match attempts::run(DESCRIBE, deadline, || async move { of_any_kind!(target, each => each.state(via).await) }).await {
                Ok(Told { not_ready: Some(not_ready), request_id }) => {
                    let mut refusal = not_ready.refusal(NOT_READY).with_aws_request_id(failure.request_id);
                    refusal.detail = failure.code;
                    (refusal, request_id)
                }
                Err(gone) if gone.kind == Kind::NotFound => (denial(Failure { kind: Kind::NotFound, ..failure }), gone.request_id),
                // It is as it should be, or would not say: then that was not it.
                Ok(Told { not_ready: None, request_id }) | Err(Failure { request_id, .. }) => (denial(failure), request_id),
            };
        Denial { state_request_id: state_request_id.map(String::into_boxed_str), ..refusal }
    }
}

/// Lifetimes as the SDK takes them. The domain's bounds end at 43200.
fn seconds(seconds: u32) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

impl<C: Clock> UrlIssuer for SageMaker<C> {
    type Credentials = SessionCredentials;

    async fn open_session(&self, entitlement: &Entitlement, budget: Duration) -> Result<RoleSession<SessionCredentials>, Denial> {
        self.check_region(entitlement.region())?;
        self.sessions.open(entitlement, budget).await
    }

    async fn inspect(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<SessionCredentials>,
        budget: Duration,
    ) -> Result<Inspection, Denial> {
        let via = self.via(entitlement.region(), &session.credentials);
        let deadline = attempts::deadline(budget, DESCRIBE);
        let looking = match &entitlement.grant().target {
            Target::Studio(studio) => studio.inspect(&via, deadline).await,
            Target::Notebook(notebook) => notebook.inspect(&via, deadline).await,
            // The gate asks nothing of these, so nobody asks for this; if somebody does, it is not sound that it has not been asked.
            Target::MlflowServer(_) | Target::MlflowApp(_) | Target::PartnerApp(_) => Err(Failure::new(Kind::NotSent, false)),
        };
        looking.map_err(|failure| {
            // Where the gate only reports, the URL is asked for next and shows whether the session is to blame; a role that
            // merely may not look would otherwise need a new session for every URL.
            if self.posture == PostureMode::Enforce {
                self.forget_if_refused(session, &failure);
            }
            denial(failure)
        })
    }

    async fn presign(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<SessionCredentials>,
        budget: Duration,
    ) -> Result<Issued, Denial> {
        let via = self.via(entitlement.region(), &session.credentials);
        let (via, target) = (&via, &entitlement.grant().target);
        let until = Instant::now() + budget;
        let presigning = attempts::run(PRESIGN, attempts::deadline(budget, PRESIGN), || async move {
            of_any_kind!(target, each => each.presign(via, entitlement).await)
        });
        let Made { url, request_id: aws_request_id } = match presigning.await {
            Ok(made) => made,
            Err(failure) => {
                self.forget_if_refused(session, &failure);
                return Err(self.refusal(target, via, failure, until).await);
            }
        };
        match PresignedUrl::new(url, target.kind(), entitlement.region(), self.host_rule) {
            Ok(url) => {
                Ok(Issued { url, url_seconds: entitlement.url_seconds(), session_seconds: entitlement.session_seconds(), aws_request_id })
            }
            Err(foreign) => Err(Denial::unavailable(FOREIGN_URL).with_detail(foreign.0).with_aws_request_id(aws_request_id)),
        }
    }
}

/// What a failed call means to the caller. A target that does not exist is the table's mistake or the target's absence, not
/// an outage: waiting does not help.
fn denial(failure: Failure) -> Denial {
    if failure.kind == Kind::NotFound {
        let mut denial = Denial::new(Code::TargetNotReady, reason(Kind::NotFound)).with_state(NOT_FOUND_STATE);
        denial.detail = failure.code;
        denial.aws_request_id = failure.request_id;
        return denial;
    }
    failure.into_denial(reason)
}

impl<C> fmt::Debug for SageMaker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SageMaker")
            .field("own_region", &self.own_region.as_str())
            .field("host_rule", &self.host_rule)
            .field("sessions", &self.sessions)
            .field("posture", &self.posture)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_apart() {
        let texts: std::collections::HashSet<&str> = REASONS.iter().map(|reason| reason.0).collect();
        assert_eq!(texts.len(), REASONS.len());
    }
}
