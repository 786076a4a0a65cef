//! STS, SageMaker and Cloud Control on one loopback port, told apart by what a request's signature is scoped to, and the pages that
//! presigned URLs open, each at an address of its own below `localhost`.
//!
//! The stand-in is strict. It verifies every signature ([`crate::sigv4`]), holds members to the bounds and patterns of AWS's
//! API model, refuses members that it does not know (AWS ignores them: a misspelt one would go unnoticed), honours
//! lifetimes by the clock it is given, and evaluates role and session policies ([`policy`]). What exists is the [`World`].
//!
//! One deliberate difference: a URL opens once. AWS documents single use for MLflow's URLs, not for the others, so nothing
//! may rely on re-use, and nothing may rely on its absence either.

mod cloudcontrol;
mod error;
mod members;
mod pages;
pub mod policy;
mod sagemaker;
mod sts;
mod world;

use std::collections::{HashMap, VecDeque};
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use aws_lc_rs::constant_time;
use axum::Router;
use axum::response::Response;
use http::{HeaderValue, header};
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_domain::names::{AccountId, Region, RoleArn};

pub use self::world::{
    AuthMode, Caller, Credentials, Domain, ImdsVersion, MlflowApp, MlflowAppStatus, NetworkAccess, NotebookInstance, NotebookStatus,
    PartnerApp, PartnerAppStatus, Resource, Role, SourceIdentity, Status, TrackingServer, TrackingServerStatus, UserProfile, World,
};

use self::error::{AwsError, Protocol, REQUEST_ID};
use self::policy::{Policy, Verdict};
use crate::answer::Answer;
use crate::captured::{Captured, Outcome, Ring};
use crate::fault::{Fault, Faults, Instead};
use crate::random;
use crate::server::{self, Server};
use crate::sigv4::{Request, SignatureError, Signed};

/// The service that operators' commands call and the stand-in does not have.
const IAM: &str = "iam";

/// No call that the stand-in knows is as large.
const MAX_BODY: usize = 64 * 1024;

/// How many temporary credentials, and how many URLs, are remembered; the oldest go first.
const REMEMBERED: usize = 10_000;

/// A running stand-in for STS, SageMaker and what its URLs open. Dropped, it stops.
pub struct Aws {
    state: Arc<State>,
    address: SocketAddr,
    server: Server,
}

impl fmt::Debug for Aws {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Aws").field("address", &self.address).finish_non_exhaustive()
    }
}

impl Aws {
    /// Starts it on 127.0.0.1; port 0 is any free one.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(port: u16, world: World, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (listener, address) = server::listen(port).await?;
        let state = Arc::new(State {
            world: Mutex::new(world),
            sessions: Mutex::new(Remembered::default()),
            openings: Mutex::new(Remembered::default()),
            captured: Mutex::new(Ring::default()),
            faults: Faults::default(),
            clock,
            port: address.port(),
        });
        let serving = Arc::clone(&state);
        let router = Router::new().fallback(move |request| {
            let state = Arc::clone(&serving);
            async move {
                let date = date(state.clock.now());
                let mut response = front(state, request).await;
                // By this clock and not the server's own: SDKs sign by what AWS says the time is.
                response.headers_mut().extend(date.map(|date| (header::DATE, date)));
                response
            }
        });
        Ok(Self { state, address, server: Server::start(listener, router) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint for STS and for SageMaker.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Looks at the world, or changes it. Calls wait meanwhile.
    pub fn change<R>(&self, change: impl FnOnce(&mut World) -> R) -> R {
        change(&mut lock(&self.state.world))
    }

    /// The next `times` calls of `action` (as `AssumeRole`, `CreatePresignedDomainUrl`), once their signature is verified,
    /// go wrong in this way. The pages are `OpenStudio`, `OpenNotebook`, `OpenMlflowServer`, `OpenMlflowApp` and
    /// `OpenPartnerApp`.
    pub fn inject(&self, action: &str, times: usize, fault: &Fault) {
        self.state.faults.inject(action, times, fault);
    }

    /// No further call goes wrong on purpose.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Ends every role session: their credentials are expired from now on.
    pub fn expire_sessions(&self) {
        let now = self.state.clock.now();
        for session in lock(&self.state.sessions).values_mut() {
            session.expires_at = session.expires_at.min(now);
        }
    }

    /// The credentials with that access key id: a caller's, or a role session's. For tests that verify signatures by other means.
    pub fn credentials(&self, access_key_id: &str) -> Option<Credentials> {
        let callers = |world: &mut World| world.callers.iter().map(|caller| caller.credentials.clone()).collect::<Vec<_>>();
        let caller = self.change(callers).into_iter().find(|credentials| credentials.access_key_id == access_key_id);
        caller.or_else(|| lock(&self.state.sessions).get(access_key_id).map(|session| session.credentials.clone()))
    }

    /// The requests so far, oldest first; the last [`crate::captured::CAPTURED_REQUESTS`] of them.
    pub fn captured(&self) -> Vec<Captured> {
        lock(&self.state.captured).all()
    }

    /// Forgets the requests so far.
    pub fn clear_captured(&self) {
        lock(&self.state.captured).clear();
    }

    /// Stops, and returns once nothing is left running.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking call left behind is whole: every change under these locks is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

struct State {
    world: Mutex<World>,
    /// By access key id.
    sessions: Mutex<Remembered<Session>>,
    /// By the SHA-256 of the token in the URL.
    openings: Mutex<Remembered<pages::Opening>>,
    captured: Mutex<Ring>,
    faults: Faults,
    clock: Arc<dyn Clock>,
    port: u16,
}

/// A bounded map that forgets its oldest entries.
struct Remembered<T> {
    by_key: HashMap<String, T>,
    order: VecDeque<String>,
}

impl<T> Default for Remembered<T> {
    fn default() -> Self {
        Self { by_key: HashMap::new(), order: VecDeque::new() }
    }
}

impl<T> Remembered<T> {
    fn insert(&mut self, key: String, value: T) {
        if self.order.len() >= REMEMBERED
            && let Some(oldest) = self.order.pop_front()
        {
            self.by_key.remove(&oldest);
        }
        self.order.push_back(key.clone());
        self.by_key.insert(key, value);
    }

    fn get(&self, key: &str) -> Option<&T> {
        self.by_key.get(key)
    }

    fn get_mut(&mut self, key: &str) -> Option<&mut T> {
        self.by_key.get_mut(key)
    }

    fn values_mut(&mut self) -> impl Iterator<Item = &mut T> {
        self.by_key.values_mut()
    }
}

/// A role session that the stand-in's STS has handed out.
struct Session {
    credentials: Credentials,
    role_arn: RoleArn,
    arn: String,
    account_id: AccountId,
    policy: Option<Policy>,
    source_identity: Option<String>,
    expires_at: Timestamp,
}

/// Who is calling: its signature is verified and its credentials are live.
struct Identity {
    arn: String,
    account_id: AccountId,
    /// The role of which it is a session.
    role_arn: Option<RoleArn>,
    policy: Policy,
    session_policy: Option<Policy>,
    source_identity: Option<String>,
}

impl Identity {
    /// # Errors
    /// The kind of policy that is in the way, and what it says.
    fn authorize(&self, action: &str, resource: &str) -> Result<(), (&'static str, Verdict)> {
        let session = self.session_policy.as_ref().map(|policy| ("a session", policy));
        for (kind, policy) in [Some(("an identity-based", &self.policy)), session].into_iter().flatten() {
            let verdict = policy.verdict(action, resource);
            if verdict != Verdict::Allowed {
                return Err((kind, verdict));
            }
        }
        Ok(())
    }
}

/// One call whose caller is known.
struct Call<'a> {
    state: &'a State,
    identity: &'a Identity,
    region: &'a Region,
    now: Timestamp,
    request_id: &'a str,
    /// A URL to answer with instead of the right one.
    foreign_url: Option<&'a str>,
}

impl Call<'_> {
    /// The ARN of a SageMaker resource of the caller's account, in the call's region.
    fn arn(&self, resource: &str) -> String {
        format!("arn:{}:sagemaker:{}:{}:{resource}", self.region.partition().as_str(), self.region, self.identity.account_id)
    }

    /// Whether the caller may do this. It comes before anything is looked up: who may not does not learn what exists.
    fn authorize(&self, action: &str, resource_arn: &str) -> Result<(), AwsError> {
        let identity = self.identity;
        let denied = |(kind, verdict)| AwsError::access_denied(&identity.arn, action, resource_arn, kind, verdict);
        identity.authorize(action, resource_arn).map_err(denied)
    }
}

/// The time as `Date` has it (RFC 9110, section 5.6.7); none before 1970.
fn date(now: Timestamp) -> Option<HeaderValue> {
    let since = Duration::from_secs(u64::try_from(now.unix_seconds()).ok()?);
    HeaderValue::try_from(httpdate::fmt_http_date(SystemTime::UNIX_EPOCH + since)).ok()
}

async fn front(state: Arc<State>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let address = pages::Address::read(host);
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return Answer::new(413, "text/plain", "The request is too large.\n".to_owned()).into_response(None);
    };
    let wire = Request {
        method: parts.method.as_str(),
        path: parts.uri.path(),
        query: parts.uri.query().unwrap_or_default(),
        headers: &parts.headers,
        body: &body,
    };
    let signed = Signed::parse(&parts.headers);
    let protocol = protocol(&wire, signed.as_ref().ok());
    let scoped = |part: fn(&Signed) -> &str| signed.as_ref().map(part).unwrap_or_default().to_owned();
    let action = address.as_ref().map_or_else(|| action(&wire, protocol, &scoped(Signed::service)), |address| address.action().to_owned());
    let number = lock(&state.captured).push(Captured {
        number: 0,
        at: state.clock.now(),
        service: address.as_ref().map_or_else(|| scoped(Signed::service), |address| address.kind().to_owned()),
        action: action.clone(),
        method: wire.method.to_owned(),
        path: wire.path.to_owned(),
        query: wire.query.to_owned(),
        headers: parts.headers.clone(),
        body: body.to_vec(),
        region: scoped(Signed::region),
        access_key_id: scoped(Signed::access_key_id),
        outcome: None,
    });

    let (answer, error, fault) = if let Some(address) = &address {
        let fault = state.faults.next(&action).await;
        let (answer, error) = match fault.as_ref().and_then(Fault::instead) {
            Some(Instead::Error(status, code)) => {
                (Answer::new(status, "text/plain", "The stand-in was told to fail.\n"), Some(code.to_owned()))
            }
            Some(Instead::Close) => (Answer::new(500, "text/plain", ""), None),
            None => {
                let (answer, error) = pages::open(&state, address, &wire);
                (answer, error.map(str::to_owned))
            }
        };
        (answer, error, fault)
    } else {
        let request_id = random::uuid().unwrap_or_default();
        let mut fault = None;
        match call(&state, &wire, signed, protocol, &action, &request_id, &mut fault).await {
            Ok(answer) => (answer.with(REQUEST_ID, &request_id), None, fault),
            Err(error) => (error.answer(protocol, &request_id), Some(error.code), fault),
        }
    };
    lock(&state.captured).update(number, |captured| {
        captured.outcome = Some(Outcome { status: answer.status, error, fault: fault.clone() });
    });
    answer.into_response(fault.as_ref())
}

fn protocol(wire: &Request<'_>, signed: Option<&Signed>) -> Protocol {
    match signed.map(Signed::service) {
        Some("sagemaker" | cloudcontrol::SERVICE) => Protocol::Json,
        Some("sts") => Protocol::Query,
        Some(_) | None if wire.headers.contains_key(sagemaker::TARGET) => Protocol::Json,
        Some(_) | None => Protocol::Query,
    }
}

/// The call that a request names; empty where it names none.
fn action(wire: &Request<'_>, protocol: Protocol, service: &str) -> String {
    match protocol {
        Protocol::Query => sts::action(wire),
        Protocol::Json if service == cloudcontrol::SERVICE => cloudcontrol::action(wire),
        Protocol::Json => sagemaker::action(wire),
    }
}

async fn call(
    state: &State,
    wire: &Request<'_>,
    signed: Result<Signed, SignatureError>,
    protocol: Protocol,
    action: &str,
    request_id: &str,
    fault: &mut Option<Fault>,
) -> Result<Answer, AwsError> {
    let signed = signed.map_err(|error| AwsError::signature(protocol, &error))?;
    if signed.service() == IAM {
        return Err(AwsError::new(400, "NotImplemented", "The stand-in has no IAM: its roles have no policies to write, read or delete."));
    }
    let misplaced = |what: &str| AwsError::signature(protocol, &SignatureError::WrongScope(what.to_owned()));
    if !matches!(signed.service(), "sts" | "sagemaker" | cloudcontrol::SERVICE) {
        return Err(misplaced("Credential should be scoped to correct service: 'sts', 'sagemaker' or 'cloudcontrolapi'."));
    }
    let region = Region::new(signed.region()).map_err(|_| misplaced("Credential should be scoped to a valid region."))?;
    let identity = authenticate(state, wire, &signed, protocol)?;

    *fault = state.faults.next(action).await;
    match fault.as_ref().and_then(Fault::instead) {
        Some(Instead::Error(status, code)) => return Err(AwsError::new(status, code, "The stand-in was told to fail.")),
        Some(Instead::Close) => return Ok(Answer::new(500, "text/plain", String::new())),
        None => {}
    }
    let foreign_url = if let Some(Fault::ForeignUrl(url)) = fault { Some(url.as_str()) } else { None };
    let call = Call { state, identity: &identity, region: &region, now: state.clock.now(), request_id, foreign_url };
    match protocol {
        Protocol::Query => sts::answer(&call, wire),
        Protocol::Json if signed.service() == cloudcontrol::SERVICE => cloudcontrol::answer(&call, wire),
        Protocol::Json => sagemaker::answer(&call, wire),
    }
}

/// Finds the key, verifies the signature, and then looks at the lifetime: an expired key is said to be expired only to
/// whoever holds its secret.
fn authenticate(state: &State, wire: &Request<'_>, signed: &Signed, protocol: Protocol) -> Result<Identity, AwsError> {
    let unknown = || AwsError::unknown_key(protocol);
    let now = state.clock.now();
    let key = signed.access_key_id();
    let (credentials, expires_at, identity) = {
        let world = lock(&state.world);
        if let Some(caller) = world.callers.iter().find(|caller| caller.credentials.access_key_id == key) {
            let identity = Identity {
                arn: caller.arn.clone(),
                account_id: caller.account_id.clone(),
                role_arn: caller.role_arn.clone(),
                policy: caller.policy.clone(),
                session_policy: None,
                source_identity: None,
            };
            (caller.credentials.clone(), caller.expires_at, identity)
        } else {
            let sessions = lock(&state.sessions);
            let session = sessions.get(key).ok_or_else(unknown)?;
            // The role's policy as it is now, as in IAM: taking a permission away takes it from live sessions.
            let policy = world.role(session.role_arn.as_str()).map_or_else(Policy::nothing, |role| role.policy.clone());
            let identity = Identity {
                arn: session.arn.clone(),
                account_id: session.account_id.clone(),
                role_arn: Some(session.role_arn.clone()),
                policy,
                session_policy: session.policy.clone(),
                source_identity: session.source_identity.clone(),
            };
            (session.credentials.clone(), Some(session.expires_at), identity)
        }
    };
    let same_token = match (&credentials.session_token, signed.session_token()) {
        (None, None) => true,
        (Some(expected), Some(token)) => constant_time::verify_slices_are_equal(expected.expose().as_bytes(), token.as_bytes()).is_ok(),
        (Some(_), None) | (None, Some(_)) => false,
    };
    if !same_token {
        return Err(unknown());
    }
    signed.verify(wire, credentials.secret_access_key.expose(), now).map_err(|error| AwsError::signature(protocol, &error))?;
    if expires_at.is_some_and(|end| now >= end) {
        return Err(AwsError::expired_token(protocol));
    }
    Ok(identity)
}

#[cfg(test)]
mod tests;
