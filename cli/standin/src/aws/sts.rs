//! STS: the Query protocol, a form in and XML out.

use std::collections::BTreeMap;

use http::header;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::names::AccountId;

use super::error::{AwsError, EXTERNAL_ID, PRINTABLE, SESSION_NAME, Violations};
use super::policy::Policy;
use super::world::{Credentials, Role, SourceIdentity};
use super::{Call, Session, lock};
use crate::answer::Answer;
use crate::html::Escaped;
use crate::random;
use crate::sigv4::Request;

const VERSION: &str = "2011-06-15";

/// A role session under a role session lasts an hour at most.
const CHAINED_SECONDS: i64 = 3600;

type Form = BTreeMap<String, String>;

pub(super) fn action(wire: &Request<'_>) -> String {
    form(wire.body).ok().and_then(|mut form| form.remove("Action")).unwrap_or_default()
}

pub(super) fn answer(call: &Call<'_>, wire: &Request<'_>) -> Result<Answer, AwsError> {
    let content_type = wire.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    if wire.method != "POST" || wire.path != "/" || !wire.query.is_empty() || media_type != "application/x-www-form-urlencoded" {
        return Err(AwsError::new(400, "MalformedInput", "STS takes a POST on / with application/x-www-form-urlencoded."));
    }
    let mut form = form(wire.body).map_err(|why| AwsError::new(400, "MalformedInput", why))?;
    let action = form.remove("Action").ok_or_else(|| AwsError::new(400, "MissingAction", "The request must have an Action."))?;
    let version = form.remove("Version").unwrap_or_default();
    if version != VERSION {
        return Err(AwsError::new(400, "InvalidAction", format!("Could not find operation {action} for version {version}")));
    }
    match action.as_str() {
        "AssumeRole" => assume_role(call, form),
        "GetCallerIdentity" => caller_identity(call, form),
        _ => Err(AwsError::new(400, "InvalidAction", format!("Could not find operation {action} for version {version}"))),
    }
}

fn assume_role(call: &Call<'_>, form: Form) -> Result<Answer, AwsError> {
    let request = AssumeRole::read(form)?;
    let denied = |what: &str| {
        let arn = &call.identity.arn;
        AwsError::new(403, "AccessDenied", format!("User: {arn} is not authorized to perform: {what} on resource: {}", request.role_arn))
    };
    let role = lock(&call.state.world).role(&request.role_arn).cloned().ok_or_else(|| denied("sts:AssumeRole"))?;

    // A chained session keeps the source identity that it has, and cannot be given another.
    let inherited = call.identity.source_identity.as_deref();
    let source_identity = request.source_identity.as_deref().or(inherited);
    if inherited.is_some_and(|inherited| source_identity != Some(inherited)) {
        return Err(denied("sts:SetSourceIdentity"));
    }
    trusts(&role, call, &request).then_some(()).ok_or_else(|| denied("sts:AssumeRole"))?;
    let may = |action: &str| call.identity.authorize(action, &request.role_arn).is_ok();
    if !may("sts:AssumeRole") {
        return Err(denied("sts:AssumeRole"));
    }
    match (role.source_identity, source_identity) {
        (SourceIdentity::Required, None) => return Err(denied("sts:AssumeRole")),
        (SourceIdentity::Forbidden, Some(_)) => return Err(denied("sts:SetSourceIdentity")),
        (SourceIdentity::Allowed | SourceIdentity::Required, Some(_)) if !may("sts:SetSourceIdentity") => {
            return Err(denied("sts:SetSourceIdentity"));
        }
        (SourceIdentity::Allowed | SourceIdentity::Required, Some(_)) | (SourceIdentity::Allowed | SourceIdentity::Forbidden, None) => {}
    }

    let invalid = |message: &str| AwsError::new(400, "ValidationError", message);
    if call.identity.role_arn.is_some() && request.seconds > CHAINED_SECONDS {
        return Err(invalid("The requested DurationSeconds exceeds the 1 hour session limit for roles assumed by role chaining"));
    }
    if request.seconds > i64::from(role.max_session_seconds) {
        return Err(invalid("The requested DurationSeconds exceeds the MaxSessionDuration set for this role."));
    }

    let made = open(call, &role, &request, source_identity).map_err(|_| AwsError::internal())?;
    let source_identity =
        source_identity.map_or_else(String::new, |name| format!("<SourceIdentity>{}</SourceIdentity>\n    ", Escaped(name)));
    let packed = request.policy.as_ref().map_or_else(String::new, |(text, _)| {
        format!("\n    <PackedPolicySize>{}</PackedPolicySize>", (text.len() * 100).div_ceil(2048).min(100))
    });
    let body = format!(
        "{source_identity}<AssumedRoleUser>\n      <AssumedRoleId>{}:{}</AssumedRoleId>\n      <Arn>{}</Arn>\n    </AssumedRoleUser>\n    \
         <Credentials>\n      <AccessKeyId>{}</AccessKeyId>\n      <SecretAccessKey>{}</SecretAccessKey>\n      \
         <SessionToken>{}</SessionToken>\n      <Expiration>{}</Expiration>\n    </Credentials>{packed}",
        made.role_id,
        Escaped(&request.session_name),
        Escaped(&made.arn),
        made.credentials.access_key_id,
        made.credentials.secret_access_key.expose(),
        made.credentials.session_token.as_ref().map(crate::Secret::expose).unwrap_or_default(),
        whole_seconds(made.expires_at),
    );
    Ok(xml("AssumeRole", &body, call.request_id))
}

/// Whether the role's trust lets this caller in, source identity aside.
fn trusts(role: &Role, call: &Call<'_>, request: &AssumeRole) -> bool {
    let identity = call.identity;
    let names = [Some(identity.arn.as_str()), identity.role_arn.as_ref().map(latchkey_domain::names::RoleArn::as_str)];
    let trusted = names.into_iter().flatten().any(|name| role.trusted.iter().any(|trusted| trusted == name));
    // A caller may send an external id that the trust does not ask for.
    trusted && role.external_id.as_ref().is_none_or(|expected| request.external_id.as_deref() == Some(expected.as_str()))
}

struct Made {
    credentials: Credentials,
    role_id: String,
    arn: String,
    expires_at: Timestamp,
}

fn open(call: &Call<'_>, role: &Role, request: &AssumeRole, source_identity: Option<&str>) -> Result<Made, OpenError> {
    let credentials = Credentials::temporary()?;
    let account_id = AccountId::new(role.arn.account_id())?;
    let partition = role.arn.as_str().split(':').nth(1).unwrap_or_default();
    let arn = format!("arn:{partition}:sts::{account_id}:assumed-role/{}/{}", role.arn.role_name(), request.session_name);
    let expires_at = call.now.plus_seconds(request.seconds);
    lock(&call.state.sessions).insert(
        credentials.access_key_id.clone(),
        Session {
            credentials: credentials.clone(),
            role_arn: role.arn.clone(),
            arn: arn.clone(),
            account_id,
            policy: request.policy.as_ref().map(|(_, policy)| policy.clone()),
            source_identity: source_identity.map(str::to_owned),
            expires_at,
        },
    );
    Ok(Made { credentials, role_id: random::aws_id("AROAEXAMPLE")?, arn, expires_at })
}

#[derive(Debug, thiserror::Error)]
enum OpenError {
    #[error(transparent)]
    Random(#[from] random::NoRandomness),
    #[error(transparent)]
    Name(#[from] latchkey_domain::names::InvalidName),
}

fn caller_identity(call: &Call<'_>, form: Form) -> Result<Answer, AwsError> {
    no_more(&form)?;
    let identity = call.identity;
    let user_id = random::aws_id("AROAEXAMPLE").map_err(|_| AwsError::internal())?;
    let body = format!(
        "<Arn>{}</Arn>\n    <UserId>{user_id}:{}</UserId>\n    <Account>{}</Account>",
        Escaped(&identity.arn),
        Escaped(identity.arn.rsplit('/').next().unwrap_or_default()),
        identity.account_id
    );
    Ok(xml("GetCallerIdentity", &body, call.request_id))
}

/// What `AssumeRole` was asked, within the bounds of the API model.
struct AssumeRole {
    role_arn: String,
    session_name: String,
    external_id: Option<String>,
    source_identity: Option<String>,
    seconds: i64,
    policy: Option<(String, Policy)>,
}

impl AssumeRole {
    fn read(mut form: Form) -> Result<Self, AwsError> {
        let role_arn = form.remove("RoleArn");
        let session_name = form.remove("RoleSessionName");
        let external_id = form.remove("ExternalId");
        let source_identity = form.remove("SourceIdentity");
        let policy = form.remove("Policy");
        let seconds = match form.remove("DurationSeconds").map(|text| text.parse()) {
            None => 3600,
            Some(Ok(seconds)) => seconds,
            Some(Err(_)) => return Err(AwsError::new(400, "MalformedInput", "DurationSeconds is not a whole number.")),
        };
        no_more(&form)?;

        let mut violations = Violations::default();
        for (member, value) in [("roleArn", &role_arn), ("roleSessionName", &session_name)] {
            if value.is_none() {
                violations.missing(member);
            }
        }
        for (member, value, length, pattern) in [
            ("roleArn", &role_arn, 20..=2048, &PRINTABLE),
            ("roleSessionName", &session_name, 2..=64, &SESSION_NAME),
            ("externalId", &external_id, 2..=1224, &EXTERNAL_ID),
            ("sourceIdentity", &source_identity, 2..=64, &SESSION_NAME),
            ("policy", &policy, 1..=2048, &PRINTABLE),
        ] {
            if let Some(value) = value {
                violations.text(member, value, length, pattern);
            }
        }
        violations.number("durationSeconds", seconds, 900..=43200);
        violations.finish("ValidationError")?;

        let role_arn = role_arn.unwrap_or_default();
        if latchkey_domain::names::RoleArn::new(role_arn.as_str()).is_err() {
            return Err(AwsError::new(400, "ValidationError", format!("{role_arn} is invalid")));
        }
        if source_identity.as_deref().is_some_and(|name| name.starts_with("aws:")) {
            return Err(AwsError::new(400, "ValidationError", "SourceIdentity cannot begin with aws:"));
        }
        let policy = match policy {
            None => None,
            Some(text) => {
                let parsed = Policy::parse(&text).map_err(|why| AwsError::new(400, "MalformedPolicyDocument", why.to_string()))?;
                Some((text, parsed))
            }
        };
        Ok(Self { role_arn, session_name: session_name.unwrap_or_default(), external_id, source_identity, seconds, policy })
    }
}

/// Whatever is left in the form is not known. AWS would pass it over.
fn no_more(form: &Form) -> Result<(), AwsError> {
    match form.keys().next() {
        None => Ok(()),
        Some(name) => Err(AwsError::new(400, "UnknownParameter", format!("{name} is not a parameter that the stand-in knows."))),
    }
}

/// Reads `application/x-www-form-urlencoded`, each name once.
fn form(body: &[u8]) -> Result<Form, &'static str> {
    let text = std::str::from_utf8(body).map_err(|_| "The form is not UTF-8.")?;
    let mut form = Form::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').ok_or("The form has a part that is no name=value pair.")?;
        let decode = |text: &str| crate::sigv4::percent_decoded(&text.replace('+', " ")).and_then(|bytes| String::from_utf8(bytes).ok());
        let (name, value) = decode(name).zip(decode(value)).ok_or("The form is not percent-encoded UTF-8.")?;
        if form.insert(name, value).is_some() {
            return Err("The form has a name twice.");
        }
    }
    Ok(form)
}

fn xml(action: &str, result: &str, request_id: &str) -> Answer {
    Answer::new(
        200,
        "text/xml",
        format!(
            "<{action}Response xmlns=\"https://sts.amazonaws.com/doc/{VERSION}/\">\n  \
             <{action}Result>\n    {result}\n  </{action}Result>\n  \
             <ResponseMetadata>\n    <RequestId>{request_id}</RequestId>\n  </ResponseMetadata>\n</{action}Response>\n"
        ),
    )
}

/// As STS writes times: without a fraction.
fn whole_seconds(at: Timestamp) -> String {
    let text = at.rfc3339();
    text.split_once('.').map_or(text.clone(), |(seconds, _)| format!("{seconds}Z"))
}
