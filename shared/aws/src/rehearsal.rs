//! The calls that a URL takes, without making one.
//!
//! A [`Rehearsal`] is the broker's own [`SageMaker`], with its sessions, policies and checks, over a wire that ends in this process:
//! each request is written as it would be sent, read back for whoever wants to see it, and answered as by a target that is there,
//! sound and its user's own. So what is shown is what would be sent, to the last parameter, and nothing can be sent: the clients hold
//! no connection and no credentials but made-up ones.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_sagemaker::config::IdentityCache;
use aws_smithy_runtime_api::client::http::{HttpClient, HttpConnector, HttpConnectorFuture, HttpConnectorSettings, SharedHttpConnector};
use aws_smithy_runtime_api::client::orchestrator::{HttpRequest, HttpResponse};
use aws_smithy_runtime_api::client::result::ConnectorError;
use aws_smithy_runtime_api::client::runtime_components::RuntimeComponents;
use aws_smithy_runtime_api::http::StatusCode;
use aws_smithy_types::body::SdkBody;
use latchkey_domain::clock::Clock;
use latchkey_domain::decision::Denial;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::ports::{Issued, ProfileKeeper, RoleSession, UrlIssuer};
use latchkey_domain::posture::{Inspection, PostureMode};
use latchkey_domain::provision::{Ensured, Provisioning, owner_tags};
use latchkey_domain::target::sagemaker_suffix;
use serde::Serialize;
use serde_json::{Map, Value, json};

use crate::clients::Clients;
use crate::role_session::{SessionCredentials, SessionScope};
use crate::sagemaker::SageMaker;

/// A call as it would be made.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Call {
    /// The service, as `sts`.
    pub service: String,
    /// The operation, as `AssumeRole`.
    pub operation: String,
    /// The region that it is signed for.
    pub region: String,
    /// Where it goes, as `https://sts.eu-central-1.amazonaws.com`.
    pub endpoint: String,
    /// The role whose session signs it; none for the function's own role.
    pub role: Option<String>,
    /// What it says, in AWS's names. A policy is read as the JSON that it is.
    pub parameters: Map<String, Value>,
}

/// What is assumed of a user profile that could be made at first login.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assumed {
    /// It is there, and its user's own.
    OwnProfile,
    /// There is none.
    NoProfile,
}

/// [`SageMaker`] over a wire that ends here.
pub struct Rehearsal<C> {
    sagemaker: SageMaker<C>,
    wire: Wire,
    entitlement: Mutex<Option<Entitlement>>,
}

impl<C: Clock> Rehearsal<C> {
    /// Rehearses what these clients would be used for, with sessions of this scope and a posture gate that does this.
    pub fn new(clients: &Clients, scope: SessionScope, posture: PostureMode, assumed: Assumed, clock: C) -> Self {
        let wire = Wire(Arc::new(Mutex::new(Tape::new(assumed))));
        macro_rules! over_the_wire {
            ($sdk:ident, $client:expr) => {
                $sdk::Client::from_conf(
                    $client
                        .config()
                        .to_builder()
                        .http_client(wire.clone())
                        .credentials_provider(SharedCredentialsProvider::new(made_up(FUNCTION)))
                        .identity_cache(IdentityCache::no_cache())
                        .build(),
                )
            };
        }
        let sagemaker = over_the_wire!(aws_sdk_sagemaker, clients.sagemaker());
        let sts = over_the_wire!(aws_sdk_sts, clients.sts());
        let sagemaker = SageMaker::over(sagemaker, sts, clients, scope, clock).with_posture(posture);
        Self { sagemaker, wire, entitlement: Mutex::new(None) }
    }

    /// The calls so far, in their order.
    pub fn calls(&self) -> Vec<Call> {
        self.wire.tape().calls.clone()
    }

    /// What the calls were for; none while nobody was entitled to anything.
    pub fn entitlement(&self) -> Option<Entitlement> {
        self.entitlement.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Has the wire answer as what this opens would.
    fn play(&self, entitlement: &Entitlement) {
        self.wire.tape().stage(entitlement);
        *self.entitlement.lock().unwrap_or_else(PoisonError::into_inner) = Some(entitlement.clone());
    }
}

impl<C: Clock> UrlIssuer for Rehearsal<C> {
    type Credentials = SessionCredentials;

    async fn open_session(&self, entitlement: &Entitlement, budget: Duration) -> Result<RoleSession<SessionCredentials>, Denial> {
        self.play(entitlement);
        self.sagemaker.open_session(entitlement, budget).await
    }

    async fn inspect(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<SessionCredentials>,
        budget: Duration,
    ) -> Result<Inspection, Denial> {
        self.play(entitlement);
        self.sagemaker.inspect(entitlement, session, budget).await
    }

    /// What it gives back is no URL of anybody's: it opens nothing.
    async fn presign(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<SessionCredentials>,
        budget: Duration,
    ) -> Result<Issued, Denial> {
        self.play(entitlement);
        self.sagemaker.presign(entitlement, session, budget).await
    }
}

impl<C: Clock> ProfileKeeper for Rehearsal<C> {
    async fn ensure_profile(&self, entitlement: &Entitlement, provisioning: &Provisioning, budget: Duration) -> Ensured {
        self.play(entitlement);
        self.sagemaker.ensure_profile(entitlement, provisioning, budget).await
    }
}

impl<C> fmt::Debug for Rehearsal<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Rehearsal").field("sagemaker", &self.sagemaker).finish_non_exhaustive()
    }
}

/// The made-up access key of the function's own role.
const FUNCTION: &str = "FUNCTION";

/// What the made-up access keys of sessions begin with; the number of the session follows.
const SESSION: &str = "SESSION";

fn made_up(access_key_id: &str) -> Credentials {
    Credentials::new(access_key_id, "none", None, None, "rehearsal")
}

/// Takes requests, and sends nothing.
#[derive(Clone)]
struct Wire(Arc<Mutex<Tape>>);

/// What the wire has taken, and how it answers.
struct Tape {
    assumed: Assumed,
    calls: Vec<Call>,
    /// The roles of the sessions that it has given out.
    sessions: Vec<String>,
    /// What comes back as a URL.
    url: String,
    /// The tags of the user profile.
    tags: Vec<Value>,
}

impl Wire {
    fn tape(&self) -> MutexGuard<'_, Tape> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Wire {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Wire")
    }
}

impl HttpClient for Wire {
    fn http_connector(&self, _: &HttpConnectorSettings, _: &RuntimeComponents) -> SharedHttpConnector {
        SharedHttpConnector::new(self.clone())
    }
}

impl HttpConnector for Wire {
    fn call(&self, request: HttpRequest) -> HttpConnectorFuture {
        HttpConnectorFuture::ready(self.tape().take(&request).and_then(|answer| answer.into_response()))
    }
}

/// What comes back.
struct Answer {
    status: u16,
    body: String,
}

impl Answer {
    fn ok(body: &Value) -> Self {
        Self { status: 200, body: body.to_string() }
    }

    fn error(code: &str) -> Self {
        Self { status: 400, body: json!({ "__type": code }).to_string() }
    }

    fn into_response(self) -> Result<HttpResponse, ConnectorError> {
        let status = StatusCode::try_from(self.status).map_err(|error| ConnectorError::other(error.into(), None))?;
        Ok(HttpResponse::new(status, SdkBody::from(self.body)))
    }
}

impl Tape {
    fn new(assumed: Assumed) -> Self {
        Self { assumed, calls: Vec::new(), sessions: Vec::new(), url: String::new(), tags: Vec::new() }
    }

    fn stage(&mut self, entitlement: &Entitlement) {
        let owner = owner_tags(entitlement.principal().identity());
        self.tags = owner.iter().map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
        self.url = format!("https://none{}/", sagemaker_suffix(entitlement.region().partition()));
    }

    /// Writes a request down, and answers it.
    fn take(&mut self, request: &HttpRequest) -> Result<Answer, ConnectorError> {
        let call = self.read(request).ok_or_else(|| ConnectorError::user("a request that cannot be read".into()))?;
        let answer = self.answer(&call);
        self.calls.push(call);
        Ok(answer)
    }

    fn read(&self, request: &HttpRequest) -> Option<Call> {
        let body = std::str::from_utf8(request.body().bytes()?).ok()?;
        let (operation, parameters) = match request.headers().get("x-amz-target") {
            // SageMaker: JSON, and the operation in a header.
            Some(target) => (target.split_once('.')?.1.to_owned(), serde_json::from_str(body).ok()?),
            // STS: a form, with the operation in it.
            None => read_form(body)?,
        };
        // Whose key it is signed with, and for where: `Credential=<key>/<date>/<region>/<service>/aws4_request`.
        let (_, scope) = request.headers().get("authorization")?.split_once("Credential=")?;
        let mut scope = scope.split('/');
        let (access_key_id, region, service) = (scope.next()?, scope.nth(1)?, scope.next()?);
        let session = access_key_id.strip_prefix(SESSION).and_then(|number| self.sessions.get(number.parse::<usize>().ok()?));
        if session.is_none() && access_key_id != FUNCTION {
            return None;
        }
        let (scheme, rest) = request.uri().split_once("://")?;
        Some(Call {
            service: service.to_owned(),
            operation,
            region: region.to_owned(),
            endpoint: format!("{scheme}://{}", rest.split('/').next()?),
            role: session.cloned(),
            parameters,
        })
    }

    fn answer(&mut self, call: &Call) -> Answer {
        match call.operation.as_str() {
            "AssumeRole" => {
                let number = self.sessions.len();
                self.sessions.push(call.parameters.get("RoleArn").and_then(Value::as_str).unwrap_or_default().to_owned());
                Answer {
                    status: 200,
                    body: format!(
                        "<AssumeRoleResponse><AssumeRoleResult><Credentials><AccessKeyId>{SESSION}{number}</AccessKeyId>\
                         <SecretAccessKey>none</SecretAccessKey><SessionToken>none</SessionToken>\
                         <Expiration>9999-12-31T23:59:59Z</Expiration></Credentials></AssumeRoleResult></AssumeRoleResponse>"
                    ),
                }
            }
            "DescribeDomain" => Answer::ok(&json!({
                "AuthMode": "IAM", "AppNetworkAccessType": "VpcOnly", "KmsKeyId": "assumed", "Status": "InService",
            })),
            "DescribeNotebookInstance" => Answer::ok(&json!({
                "InstanceMetadataServiceConfiguration": { "MinimumInstanceMetadataServiceVersion": "2" },
                "RootAccess": "Disabled", "DirectInternetAccess": "Disabled", "KmsKeyId": "assumed",
                "NotebookInstanceStatus": "InService",
            })),
            "DescribeUserProfile" if self.assumed == Assumed::NoProfile => Answer::error("ResourceNotFound"),
            "DescribeUserProfile" => Answer::ok(&json!({ "Status": "InService" })),
            "ListTags" => Answer::ok(&json!({ "Tags": self.tags })),
            "CreateUserProfile" => Answer::ok(&json!({})),
            // Partner apps have `Url` where the others have `AuthorizedUrl`.
            operation if operation.starts_with("Create") && operation.ends_with("Url") => {
                Answer::ok(&json!({ "AuthorizedUrl": self.url, "Url": self.url }))
            }
            // A call that nobody has thought of here is to be noticed, not to pass.
            _ => Answer::error("AccessDeniedException"),
        }
    }
}

/// An AWS query request: its operation and its parameters, as `application/x-www-form-urlencoded` writes them.
fn read_form(body: &str) -> Option<(String, Map<String, Value>)> {
    let mut parameters = Map::new();
    for pair in body.split('&') {
        let (name, value) = pair.split_once('=')?;
        let (name, value) = (decode(name)?, decode(value)?);
        let value = match name.as_str() {
            "Version" => continue,
            "Policy" => serde_json::from_str(&value).ok()?,
            "DurationSeconds" => value.parse::<u32>().ok()?.into(),
            _ => value.into(),
        };
        parameters.insert(name, value);
    }
    match parameters.remove("Action")? {
        Value::String(action) => Some((action, parameters)),
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_) => None,
    }
}

fn decode(text: &str) -> Option<String> {
    let mut bytes = text.bytes();
    let mut decoded = Vec::with_capacity(text.len());
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'+' => b' ',
            b'%' => {
                let digits = [bytes.next()?, bytes.next()?];
                u8::from_str_radix(std::str::from_utf8(&digits).ok()?, 16).ok()?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forms_are_read_as_they_are_written() {
        let (action, parameters) = read_form(
            "Action=AssumeRole&Version=2011-06-15&RoleArn=arn%3Aaws%3Aiam&Policy=%7B%22a%22%3A1%7D&DurationSeconds=3600&X=a+b%2B%C3%A4",
        )
        .unwrap();
        assert_eq!(action, "AssumeRole");
        let expected = json!({"RoleArn": "arn:aws:iam", "Policy": {"a": 1}, "DurationSeconds": 3600, "X": "a b+ä"});
        assert_eq!(Value::Object(parameters), expected);
        for broken in ["Action", "RoleArn=x", "Action=a&Policy=x", "Action=%4", "Action=%zz", "Action=%ff"] {
            assert_eq!(read_form(broken), None, "{broken}");
        }
    }

    #[test]
    fn a_call_that_is_not_known_is_refused() {
        let call = Call {
            service: "sagemaker".into(),
            operation: "DeleteDomain".into(),
            region: String::new(),
            endpoint: String::new(),
            role: None,
            parameters: Map::new(),
        };
        assert_eq!(Tape::new(Assumed::OwnProfile).answer(&call).status, 400);
    }
}
