//! The AWS stand-in over the wire.

mod doors;
mod profiles;

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use http::HeaderMap;
use latchkey_domain::clock::SystemClock;
use latchkey_domain::names::{DomainId, ExternalId, SpaceName, UserProfileName};
use serde_json::{Value, json};

use super::*;
use crate::server::client::{Reply, request, send};
use crate::sigv4::signer::Signer;

const ACCOUNT: &str = "111122223333";
const ROLE: &str = "arn:aws:iam::111122223333:role/team/issuing";
const FUNCTION_ROLE: &str = "arn:aws:iam::111122223333:role/function";
const JANE: &str = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/jane";

/// A clock that is set by hand.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Fixture {
    aws: Aws,
    clock: Arc<Hand>,
    function: Credentials,
}

fn session_policy(resource: &str) -> String {
    json!({ "Version": "2012-10-17", "Statement": [{
        "Effect": "Allow", "Action": "sagemaker:CreatePresignedDomainUrl", "Resource": resource,
    }] })
    .to_string()
}

fn encode(form: &[(&str, &str)]) -> String {
    let mut body = String::new();
    for (name, value) in form {
        if !body.is_empty() {
            body.push('&');
        }
        crate::sigv4::push_encoded(&mut body, name.as_bytes());
        body.push('=');
        crate::sigv4::push_encoded(&mut body, value.as_bytes());
    }
    body
}

fn between<'a>(text: &'a str, tag: &str) -> &'a str {
    text.split_once(&format!("<{tag}>")).and_then(|(_, rest)| rest.split_once(&format!("</{tag}>"))).map_or("", |(inner, _)| inner)
}

impl Fixture {
    async fn new() -> Self {
        let function = Credentials::temporary().unwrap();
        let account_id = AccountId::new(ACCOUNT).unwrap();
        let region = Region::new("eu-central-1").unwrap();
        let name = |name: &str| UserProfileName::new(name).unwrap();
        let domain = Domain::in_service(
            DomainId::new("d-abc").unwrap(),
            region.clone(),
            account_id.clone(),
            vec![name("jane"), name("Mixed-Case")],
            vec![SpaceName::new("shared").unwrap()],
        );
        let mut sso = Domain::in_service(DomainId::new("d-sso").unwrap(), region, account_id.clone(), vec![name("jane")], Vec::new());
        sso.auth_mode = AuthMode::Sso;
        let world = World {
            callers: vec![Caller {
                credentials: function.clone(),
                account_id,
                arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/function/broker"),
                role_arn: Some(RoleArn::new(FUNCTION_ROLE).unwrap()),
                policy: Policy::allow(["sts:AssumeRole", "sts:SetSourceIdentity"], [ROLE]),
                expires_at: None,
            }],
            roles: vec![Role {
                arn: RoleArn::new(ROLE).unwrap(),
                trusted: vec![FUNCTION_ROLE.to_owned()],
                external_id: Some(ExternalId::new("ext").unwrap()),
                source_identity: SourceIdentity::Allowed,
                max_session_seconds: 7200,
                policy: Policy::allow(["sagemaker:CreatePresignedDomainUrl"], [format!("arn:aws:sagemaker:*:{ACCOUNT}:user-profile/*")]),
            }],
            domains: vec![domain, sso],
            ..World::default()
        };
        let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
        let aws = Aws::start(0, world, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap();
        Self { aws, clock, function }
    }

    fn pass(&self, seconds: i64) {
        self.clock.0.fetch_add(seconds, Ordering::SeqCst);
    }

    fn signed(&self, credentials: &Credentials, service: &str, headers: &[(&'static str, &str)], body: &str) -> http::Request<String> {
        let mut map = HeaderMap::new();
        map.insert("host", self.aws.address().to_string().parse().unwrap());
        for (name, value) in headers {
            map.insert(*name, value.parse().unwrap());
        }
        let signer = Signer {
            access_key_id: &credentials.access_key_id,
            secret_access_key: credentials.secret_access_key.expose(),
            session_token: credentials.session_token.as_ref().map(crate::Secret::expose),
            region: "eu-central-1",
            service,
            now: self.clock.now(),
        };
        signer.sign("POST", "/", "", &mut map, body.as_bytes());
        let mut request = http::Request::builder().method("POST").uri("/").body(body.to_owned()).unwrap();
        *request.headers_mut() = map;
        request
    }

    async fn sts(&self, credentials: &Credentials, form: &[(&str, &str)]) -> Reply {
        let headers = [("content-type", "application/x-www-form-urlencoded")];
        send(self.aws.address(), self.signed(credentials, "sts", &headers, &encode(form))).await.unwrap()
    }

    /// `AssumeRole` as the broker does it, with other parameters in place of, or besides, the usual ones; an empty one is left out.
    async fn assume(&self, other: &[(&str, &str)]) -> Reply {
        let policy = session_policy(JANE);
        let usual = [
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "local.jane"),
            ("ExternalId", "ext"),
            ("SourceIdentity", "local.jane"),
            ("DurationSeconds", "900"),
            ("Policy", &*policy),
        ];
        let replaced = |name: &str| other.iter().any(|(other, _)| *other == name);
        let form: Vec<(&str, &str)> = usual
            .into_iter()
            .filter(|(name, _)| !replaced(name))
            .chain(other.iter().copied().filter(|(_, value)| !value.is_empty()))
            .collect();
        self.sts(&self.function, &form).await
    }

    async fn session(&self) -> Credentials {
        credentials(&self.assume(&[]).await)
    }

    /// Puts things into the world, and lets the role do all with them.
    fn with_doors(&self, change: impl FnOnce(&mut World)) {
        self.aws.change(|world| {
            change(world);
            world.role_mut(ROLE).unwrap().policy = Policy::allow(["*"], ["*"]);
        });
    }

    /// A session that a session policy does not narrow.
    async fn wide_session(&self) -> Credentials {
        credentials(&self.assume(&[("Policy", "")]).await)
    }

    /// A session that may do these things only, each to one resource: a statement for each, as the broker writes them.
    async fn narrow_session(&self, permissions: &[(&str, &str)]) -> Credentials {
        let statements: Vec<Value> =
            permissions.iter().map(|(action, arn)| json!({ "Effect": "Allow", "Action": action, "Resource": [arn] })).collect();
        let policy = json!({ "Version": "2012-10-17", "Statement": statements }).to_string();
        credentials(&self.assume(&[("Policy", &policy)]).await)
    }

    async fn presign(&self, credentials: &Credentials, input: &Value) -> Reply {
        send(self.aws.address(), self.presign_request(credentials, &input.to_string())).await.unwrap()
    }

    /// Any action of SageMaker's.
    async fn sagemaker(&self, credentials: &Credentials, action: &str, input: &Value) -> Reply {
        let target = format!("SageMaker.{action}");
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", &*target)];
        send(self.aws.address(), self.signed(credentials, "sagemaker", &headers, &input.to_string())).await.unwrap()
    }

    fn presign_request(&self, credentials: &Credentials, body: &str) -> http::Request<String> {
        let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "SageMaker.CreatePresignedDomainUrl")];
        self.signed(credentials, "sagemaker", &headers, body)
    }

    async fn open(&self, url: &str, accept: &str) -> Reply {
        let rest = url.strip_prefix("http://").unwrap();
        let (host, target) = rest.split_at(rest.find(['/', '?']).unwrap());
        // As browsers do: a URL without a path has the path `/`.
        let target = if target.starts_with('/') { target.to_owned() } else { format!("/{target}") };
        send(self.aws.address(), request("GET", &target, host, &[("accept", accept)], "")).await.unwrap()
    }
}

fn credentials(reply: &Reply) -> Credentials {
    assert_eq!(reply.status, 200, "{}", reply.body);
    Credentials {
        access_key_id: between(&reply.body, "AccessKeyId").to_owned(),
        secret_access_key: crate::Secret::new(between(&reply.body, "SecretAccessKey")),
        session_token: Some(crate::Secret::new(between(&reply.body, "SessionToken"))),
    }
}

fn jane() -> Value {
    json!({ "DomainId": "d-abc", "UserProfileName": "jane", "ExpiresInSeconds": 30, "SessionExpirationDurationInSeconds": 28800 })
}

fn with(mut input: Value, name: &str, value: Value) -> Value {
    input.as_object_mut().unwrap().insert(name.to_owned(), value);
    input
}

fn code(reply: &Reply) -> String {
    if reply.body.starts_with('<') {
        between(&reply.body, "Code").to_owned()
    } else {
        let code = reply.json()["__type"].as_str().unwrap_or_default().to_owned();
        assert_eq!(reply.header("x-amzn-errortype"), code);
        code
    }
}

#[tokio::test]
async fn a_launch() {
    let aws = Fixture::new().await;
    let reply = aws.assume(&[]).await;
    assert_eq!(reply.header("content-type"), "text/xml");
    assert_eq!(between(&reply.body, "Expiration"), "2027-01-15T08:15:00Z");
    assert_eq!(between(&reply.body, "Arn"), "arn:aws:sts::111122223333:assumed-role/issuing/local.jane");
    assert_eq!(between(&reply.body, "SourceIdentity"), "local.jane");
    assert_eq!(between(&reply.body, "RequestId"), reply.header("x-amzn-requestid"));
    let session = credentials(&reply);
    let input = with(with(jane(), "SpaceName", json!("shared")), "LandingUri", json!("app:JupyterLab:lab/<tree>"));
    let reply = aws.presign(&session, &input).await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/x-amz-json-1.1"));
    let url = reply.json()["AuthorizedUrl"].as_str().unwrap().to_owned();
    let port = aws.aws.address().port();
    assert!(url.starts_with(&format!("http://d-abc.studio.eu-central-1.sagemaker.localhost:{port}/auth?token=")), "{url}");

    let opened = aws.open(&url, "application/json").await;
    assert_eq!(
        opened.json(),
        json!({
            "kind": "studio",
            "resource_arn": JANE,
            "domain_id": "d-abc",
            "user_profile_name": "jane",
            "space_name": "shared",
            "landing_uri": "app:JupyterLab:lab/<tree>",
            "session_seconds": 28800,
            "session_ends_at": "2027-01-15T16:00:00.000Z",
            "region": "eu-central-1",
            "account_id": ACCOUNT,
            "caller": "arn:aws:sts::111122223333:assumed-role/issuing/local.jane",
            "source_identity": "local.jane",
            "opened_at": "2027-01-15T08:00:00.000Z",
        })
    );
    let again = aws.open(&url, "application/json").await;
    assert_eq!((again.status, &again.json()["error"]), (403, &json!("used-token")));

    let captured = aws.aws.captured();
    let seen: Vec<_> = captured.iter().map(|c| (c.service.as_str(), c.action.as_str(), c.error())).collect();
    assert_eq!(
        seen,
        [
            ("sts", "AssumeRole", None),
            ("sagemaker", "CreatePresignedDomainUrl", None),
            ("studio", "OpenStudio", None),
            ("studio", "OpenStudio", Some("used-token")),
        ]
    );
    assert_eq!((captured[1].region.as_str(), captured[1].access_key_id.as_str()), ("eu-central-1", session.access_key_id.as_str()));
    assert!(captured[0].is_ok() && !captured[3].is_ok());
    assert_eq!(serde_json::from_slice::<Value>(&captured[1].body).unwrap(), input);
    let shown = format!("{captured:?} {:?} {:?}", aws.aws, aws.function);
    let token = url.rsplit('=').next().unwrap();
    for secret in [token, session.secret_access_key.expose(), aws.function.session_token.as_ref().unwrap().expose()] {
        assert!(!shown.contains(secret));
    }
    assert!(captured[0].expose_json()["body"].as_str().unwrap().starts_with("Action=AssumeRole&Version=2011-06-15"));
}

#[tokio::test]
async fn the_page_is_for_people() {
    let aws = Fixture::new().await;
    let session = aws.session().await;
    let input = with(jane(), "LandingUri", json!("app:JupyterLab:<script>alert('x')</script>"));
    let url = aws.presign(&session, &input).await.json()["AuthorizedUrl"].as_str().unwrap().to_owned();
    let page = aws.open(&url, "text/html,application/xhtml+xml,application/json;q=0.9").await;
    assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
    assert_eq!((page.header("cache-control"), page.header("referrer-policy")), ("no-store", "no-referrer"));
    assert!(page.header("content-security-policy").starts_with("default-src 'none'"));
    for text in ["<html lang=\"en\">", "<h1>Studio is open as jane</h1>", "8 hours", "d-abc", "local.jane", "prefers-color-scheme"] {
        assert!(page.body.contains(text), "{text}");
    }
    assert!(!page.body.contains("<script"), "{}", page.body);
    assert!(page.body.contains("&lt;script&gt;alert(&#39;x&#39;)"));
    let refusal = aws.open(&url, "text/html").await;
    assert_eq!(refusal.status, 403);
    assert!(refusal.body.contains("<h1>This link was already opened</h1>"));
}

#[tokio::test]
async fn a_url_opens_in_time_at_its_own_address() {
    let aws = Fixture::new().await;
    let session = aws.session().await;
    let make = async || aws.presign(&session, &jane()).await.json()["AuthorizedUrl"].as_str().unwrap().to_owned();
    let error = async |url: &str| {
        let reply = aws.open(url, "application/json").await;
        (reply.status, reply.json()["error"].as_str().unwrap_or("none").to_owned())
    };
    let refused = |status: u16, code: &str| (status, code.to_owned());

    let url = make().await;
    for (from, to) in
        [("d-abc", "d-sso"), ("eu-central-1", "eu-west-1"), ("token=", "token=x"), ("token=", "t="), ("token=", "token=a&token=")]
    {
        assert_eq!(error(&url.replace(from, to)).await, refused(403, "unknown-token"), "{from} -> {to}");
    }
    assert_eq!(error(&url.replace("/auth", "/other")).await, refused(404, "not-found"));
    let host = url.strip_prefix("http://").unwrap().split_once('/').unwrap().0;
    let head = send(aws.aws.address(), request("POST", url.split_once(host).unwrap().1, host, &[], "")).await.unwrap();
    assert_eq!((head.status, head.header("allow")), (405, "GET"));
    // None of that has used it up.
    aws.pass(29);
    assert_eq!(aws.open(&url, "application/json").await.status, 200);
    let late = make().await;
    aws.pass(30);
    assert_eq!(error(&late).await, refused(403, "expired-token"));
}

#[tokio::test]
async fn assume_role_refuses_what_sts_refuses() {
    let aws = Fixture::new().await;
    let long = "x".repeat(65);
    let policy = format!("{}{}", session_policy(JANE), " ".repeat(2048));
    type Case<'a> = (&'a [(&'a str, &'a str)], u16, &'a str);
    let cases: &[Case<'_>] = &[
        (&[("Action", "")], 400, "MissingAction"),
        (&[("Action", "AssumeRoleWithSAML")], 400, "InvalidAction"),
        (&[("Version", "2011-06-16")], 400, "InvalidAction"),
        (&[("RoleArn", "")], 400, "ValidationError"),
        (&[("RoleArn", "arn:aws:iam::1:role/x")], 400, "ValidationError"),
        (&[("RoleArn", "arn:aws:iam::111122223333:role/none")], 403, "AccessDenied"),
        (&[("RoleSessionName", "")], 400, "ValidationError"),
        (&[("RoleSessionName", "x")], 400, "ValidationError"),
        (&[("RoleSessionName", "jane doe")], 400, "ValidationError"),
        (&[("RoleSessionName", &long)], 400, "ValidationError"),
        (&[("SourceIdentity", "x")], 400, "ValidationError"),
        (&[("SourceIdentity", "a|b")], 400, "ValidationError"),
        (&[("ExternalId", "")], 403, "AccessDenied"),
        (&[("ExternalId", "other")], 403, "AccessDenied"),
        (&[("ExternalId", "a b")], 400, "ValidationError"),
        (&[("DurationSeconds", "899")], 400, "ValidationError"),
        (&[("DurationSeconds", "3601")], 400, "ValidationError"),
        (&[("DurationSeconds", "43201")], 400, "ValidationError"),
        (&[("DurationSeconds", "1h")], 400, "MalformedInput"),
        (&[("Policy", "{}")], 400, "MalformedPolicyDocument"),
        (&[("Policy", &policy)], 400, "ValidationError"),
        (&[("Sourceidentity", "local.jane")], 400, "UnknownParameter"),
    ];
    for (form, status, expected) in cases {
        let reply = aws.assume(form).await;
        assert_eq!((reply.status, &*code(&reply)), (*status, *expected), "{form:?}: {}", reply.body);
    }
    for fine in [&[("DurationSeconds", "3600")][..], &[("DurationSeconds", "")], &[("Policy", "")], &[("SourceIdentity", "")]] {
        assert_eq!(aws.assume(fine).await.status, 200, "{fine:?}");
    }
}

#[tokio::test]
async fn trust_and_policy_both_decide() {
    let aws = Fixture::new().await;
    let role = |change: fn(&mut Role)| aws.aws.change(|world| change(world.role_mut(ROLE).unwrap()));
    let caller = |policy: Policy| aws.aws.change(|world| world.callers[0].policy = policy);

    role(|role| role.source_identity = SourceIdentity::Forbidden);
    assert_eq!(code(&aws.assume(&[]).await), "AccessDenied");
    assert_eq!(aws.assume(&[("SourceIdentity", "")]).await.status, 200);
    role(|role| role.source_identity = SourceIdentity::Required);
    assert_eq!(code(&aws.assume(&[("SourceIdentity", "")]).await), "AccessDenied");
    assert_eq!(aws.assume(&[]).await.status, 200);
    caller(Policy::allow(["sts:AssumeRole"], [ROLE]));
    assert_eq!(code(&aws.assume(&[]).await), "AccessDenied");
    caller(Policy::allow(["sts:*"], ["arn:aws:iam::111122223333:role/other"]));
    assert_eq!(code(&aws.assume(&[]).await), "AccessDenied");
    caller(Policy::allow(["sts:*"], ["*"]));
    role(|role| role.trusted = vec!["arn:aws:iam::111122223333:role/other".to_owned()]);
    assert_eq!(code(&aws.assume(&[]).await), "AccessDenied");
    role(|role| role.trusted = vec!["arn:aws:sts::111122223333:assumed-role/function/broker".to_owned()]);
    assert_eq!(aws.assume(&[]).await.status, 200);

    // A caller that is no role session is not chained: the role's own limit counts.
    aws.aws.change(|world| world.callers[0].role_arn = None);
    assert_eq!(aws.assume(&[("DurationSeconds", "7200")]).await.status, 200);
    assert!(aws.assume(&[("DurationSeconds", "7201")]).await.body.contains("MaxSessionDuration"));
}

#[tokio::test]
async fn a_chained_session_keeps_its_source_identity() {
    let aws = Fixture::new().await;
    aws.aws.change(|world| {
        let role = world.role_mut(ROLE).unwrap();
        role.trusted.push(ROLE.to_owned());
        role.policy = Policy::allow(["sts:*"], ["*"]);
    });
    let session = credentials(&aws.assume(&[("Policy", "")]).await);
    let form = |source_identity: &'static str| {
        let mut form = vec![
            ("Action", "AssumeRole"),
            ("Version", "2011-06-15"),
            ("RoleArn", ROLE),
            ("RoleSessionName", "again"),
            ("ExternalId", "ext"),
        ];
        if !source_identity.is_empty() {
            form.push(("SourceIdentity", source_identity));
        }
        form
    };
    assert_eq!(code(&aws.sts(&session, &form("local.joe")).await), "AccessDenied");
    let reply = aws.sts(&session, &form("")).await;
    assert_eq!((reply.status, between(&reply.body, "SourceIdentity")), (200, "local.jane"));
    let identity = aws.sts(&session, &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]).await;
    assert_eq!(between(&identity.body, "Arn"), "arn:aws:sts::111122223333:assumed-role/issuing/local.jane");
}

#[tokio::test]
async fn presign_refuses_what_sagemaker_refuses() {
    let aws = Fixture::new().await;
    let session = credentials(&aws.assume(&[("Policy", "")]).await);
    for (name, value, expected) in [
        ("DomainId", Value::Null, "ValidationException"),
        ("DomainId", json!(""), "ValidationException"),
        ("DomainId", json!("abc"), "ValidationException"),
        ("DomainId", json!("d-none"), "ResourceNotFound"),
        ("DomainId", json!("d-sso"), "ValidationException"),
        ("DomainId", json!(7), "SerializationException"),
        ("UserProfileName", json!(""), "ValidationException"),
        ("UserProfileName", json!("jane@example.com"), "ValidationException"),
        ("UserProfileName", json!("joe"), "ResourceNotFound"),
        ("ExpiresInSeconds", json!(4), "ValidationException"),
        ("ExpiresInSeconds", json!(301), "ValidationException"),
        ("ExpiresInSeconds", json!(30.5), "SerializationException"),
        ("ExpiresInSeconds", json!("30"), "SerializationException"),
        ("SessionExpirationDurationInSeconds", json!(1799), "ValidationException"),
        ("SessionExpirationDurationInSeconds", json!(43201), "ValidationException"),
        ("LandingUri", json!("https://evil.example/"), "ValidationException"),
        ("LandingUri", json!("app:Terminal:x"), "ValidationException"),
        ("LandingUri", json!("studio::/etc"), "ValidationException"),
        ("LandingUri", json!(format!("studio::{}", "x".repeat(1016))), "ValidationException"),
        ("SpaceName", json!("none"), "ResourceNotFound"),
        ("SpaceName", json!("a b"), "ValidationException"),
        ("domainId", json!("d-abc"), "SerializationException"),
        ("Extra", json!(1), "SerializationException"),
    ] {
        let reply = aws.presign(&session, &with(jane(), name, value.clone())).await;
        assert_eq!((reply.status, &*code(&reply)), (400, expected), "{name} {value}: {}", reply.body);
    }
    let reply = aws.presign(&session, &json!({})).await;
    assert!(
        reply.json()["message"].as_str().unwrap().starts_with("2 validation errors detected: Value null at 'domainId'"),
        "{}",
        reply.body
    );
    let missing = aws.presign(&session, &with(jane(), "DomainId", json!("d-none"))).await;
    assert_eq!(missing.json()["Message"], "Domain [arn:aws:sagemaker:eu-central-1:111122223333:domain/d-none] does not exist.");

    // Defaults, and names without case.
    let url = aws.presign(&session, &json!({ "DomainId": "d-abc", "UserProfileName": "mixed-case" })).await.json()["AuthorizedUrl"].clone();
    aws.pass(299);
    let opened = aws.open(url.as_str().unwrap(), "application/json").await.json();
    assert_eq!((&opened["user_profile_name"], &opened["session_seconds"]), (&json!("Mixed-Case"), &json!(43200)));

    for body in ["", "[]", "{", "null", r#"{"DomainId":"d-abc","DomainId":"d-abc","UserProfileName":"jane"}"#] {
        let reply = send(aws.aws.address(), aws.presign_request(&session, body)).await.unwrap();
        assert_eq!(code(&reply), "SerializationException", "{body}");
    }
    for (headers, status) in [
        (&[("content-type", "application/json"), ("x-amz-target", "SageMaker.CreatePresignedDomainUrl")][..], 404),
        (&[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "SageMaker.DeleteDomain")], 400),
        (&[("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "Other.CreatePresignedDomainUrl")], 400),
        (&[("content-type", "application/x-amz-json-1.1")], 400),
    ] {
        let reply = send(aws.aws.address(), aws.signed(&session, "sagemaker", headers, &jane().to_string())).await.unwrap();
        assert_eq!((reply.status, &*code(&reply)), (status, "UnknownOperationException"), "{headers:?}");
    }
    for status in [Status::Pending, Status::Deleting] {
        aws.aws.change(|world| world.domain_mut("d-abc").unwrap().status = status);
        assert_eq!(code(&aws.presign(&session, &jane()).await), "ValidationException");
    }
}

#[tokio::test]
async fn domains_and_profiles_are_described_as_they_are() {
    let aws = Fixture::new().await;
    let domain_arn = format!("arn:aws:sagemaker:eu-central-1:{ACCOUNT}:domain/d-abc");
    let session = credentials(&aws.assume(&[("Policy", "")]).await);
    let domain = async || aws.sagemaker(&session, "DescribeDomain", &json!({ "DomainId": "d-abc" })).await;
    let profile =
        async |name: &str| aws.sagemaker(&session, "DescribeUserProfile", &json!({ "DomainId": "d-abc", "UserProfileName": name })).await;
    // Who may not look does not learn whether it exists.
    for action in ["DescribeDomain", "DescribeUserProfile"] {
        for domain_id in ["d-abc", "d-none"] {
            let mut input = json!({ "DomainId": domain_id });
            if action == "DescribeUserProfile" {
                input["UserProfileName"] = json!("jane");
            }
            assert_eq!(code(&aws.sagemaker(&session, action, &input).await), "AccessDeniedException", "{action} {domain_id}");
        }
    }
    aws.aws.change(|world| {
        let domains = Policy::allow(["sagemaker:DescribeDomain"], [domain_arn.clone(), domain_arn.replace("d-abc", "d-none")]);
        let profiles = format!("arn:aws:sagemaker:*:{ACCOUNT}:user-profile/*");
        world.role_mut(ROLE).unwrap().policy = domains.and(Policy::allow(["sagemaker:DescribeUserProfile"], [profiles]));
    });
    let reply = domain().await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "application/x-amz-json-1.1"));
    let port = aws.aws.address().port();
    assert_eq!(
        reply.json(),
        json!({
            "DomainArn": domain_arn,
            "DomainId": "d-abc",
            "DomainName": "d-abc",
            "Status": "InService",
            "AuthMode": "IAM",
            "AppNetworkAccessType": "VpcOnly",
            "KmsKeyId": format!("arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-4333-8444-555555555555"),
            "Url": format!("http://d-abc.studio.eu-central-1.sagemaker.localhost:{port}"),
        })
    );
    assert_eq!(
        profile("mixed-CASE").await.json(),
        json!({
            "DomainId": "d-abc",
            "UserProfileArn": format!("arn:aws:sagemaker:eu-central-1:{ACCOUNT}:user-profile/d-abc/Mixed-Case"),
            "UserProfileName": "Mixed-Case",
            "Status": "InService",
        })
    );
    aws.aws.change(|world| {
        let domain = world.domain_mut("d-abc").unwrap();
        (domain.auth_mode, domain.network_access, domain.kms_key) = (AuthMode::Sso, NetworkAccess::PublicInternetOnly, None);
        domain.status = Status::UpdateFailed;
        domain.user_profile_mut("JANE").unwrap().status = Status::Pending;
    });
    let described = domain().await.json();
    assert_eq!((&described["AuthMode"], &described["AppNetworkAccessType"]), (&json!("SSO"), &json!("PublicInternetOnly")));
    assert_eq!((&described["Status"], described.get("KmsKeyId")), (&json!("Update_Failed"), None));
    assert_eq!(profile("jane").await.json()["Status"], "Pending");

    assert_eq!(code(&profile("nobody").await), "ResourceNotFound");
    let jane = |domain_id: &str| json!({ "DomainId": domain_id, "UserProfileName": "jane" });
    for (action, input, expected) in [
        ("DescribeDomain", json!({}), "ValidationException"),
        ("DescribeDomain", json!({ "DomainId": "" }), "ValidationException"),
        ("DescribeDomain", json!({ "DomainId": "D-abc" }), "ValidationException"),
        ("DescribeDomain", json!({ "DomainId": 7 }), "SerializationException"),
        ("DescribeDomain", jane("d-abc"), "SerializationException"),
        ("DescribeDomain", json!({ "DomainId": "d-none" }), "ResourceNotFound"),
        ("DescribeUserProfile", json!({}), "ValidationException"),
        ("DescribeUserProfile", json!({ "DomainId": "d-abc" }), "ValidationException"),
        ("DescribeUserProfile", json!({ "DomainId": "d-abc", "UserProfileName": "a b" }), "ValidationException"),
        ("DescribeUserProfile", with(jane("d-abc"), "SpaceName", json!("shared")), "SerializationException"),
        ("DescribeUserProfile", jane("d-none"), "ResourceNotFound"),
    ] {
        let reply = aws.sagemaker(&session, action, &input).await;
        assert_eq!((reply.status, &*code(&reply)), (400, expected), "{action} {input}: {}", reply.body);
    }
    // A session policy narrows them as it does any other action.
    let narrowed = aws.session().await;
    assert_eq!(code(&aws.sagemaker(&narrowed, "DescribeDomain", &json!({ "DomainId": "d-abc" })).await), "AccessDeniedException");
}

#[tokio::test]
async fn role_policy_and_session_policy_both_decide() {
    let aws = Fixture::new().await;
    let session = aws.session().await;
    let other = with(jane(), "UserProfileName", json!("mixed-case"));
    let denied = aws.presign(&session, &other).await;
    assert_eq!(code(&denied), "AccessDeniedException");
    assert_eq!(
        denied.json()["message"],
        "User: arn:aws:sts::111122223333:assumed-role/issuing/local.jane is not authorized to perform: \
         sagemaker:CreatePresignedDomainUrl on resource: arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/mixed-case \
         because no session policy allows the sagemaker:CreatePresignedDomainUrl action"
    );
    // What is not allowed does not say whether it exists.
    let nobody = aws.presign(&session, &with(jane(), "UserProfileName", json!("nobody"))).await;
    assert_eq!(code(&nobody), "AccessDeniedException");
    // A session policy gives nothing that the role has not.
    aws.aws.change(|world| world.role_mut(ROLE).unwrap().policy = Policy::nothing());
    let denied = aws.presign(&session, &jane()).await;
    assert!(denied.json()["message"].as_str().unwrap().contains("no identity-based policy"), "{}", denied.body);
    aws.aws.change(|world| {
        let deny = r#"{"Statement":{"Effect":"Deny","Action":"sagemaker:*","Resource":"*"}}"#;
        world.role_mut(ROLE).unwrap().policy = Policy::allow(["*"], ["*"]).and(Policy::parse(deny).unwrap());
    });
    let denied = aws.presign(&session, &jane()).await;
    assert!(denied.json()["message"].as_str().unwrap().ends_with("with an explicit deny in an identity-based policy"), "{}", denied.body);
    // The function's own role has no right to presign, unless it is given one.
    assert_eq!(code(&aws.presign(&aws.function, &jane()).await), "AccessDeniedException");
    aws.aws.change(|world| world.callers[0].policy = Policy::allow(["sagemaker:CreatePresignedDomainUrl"], [JANE]));
    assert_eq!(aws.presign(&aws.function, &jane()).await.status, 200);
}

#[tokio::test]
async fn credentials_have_to_be_known_live_and_right() {
    let aws = Fixture::new().await;
    let session = aws.session().await;
    let mut wrong = session.clone();
    wrong.secret_access_key = crate::Secret::new("wrong");
    assert_eq!(code(&aws.presign(&wrong, &jane()).await), "InvalidSignatureException");
    for token in [None, Some(crate::Secret::new("wrong"))] {
        let mut wrong = session.clone();
        wrong.session_token = token;
        assert_eq!(code(&aws.presign(&wrong, &jane()).await), "UnrecognizedClientException");
    }
    let stranger = Credentials::long_lived().unwrap();
    assert_eq!(code(&aws.presign(&stranger, &jane()).await), "UnrecognizedClientException");
    let reply = aws.sts(&stranger, &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]).await;
    assert_eq!((reply.status, &*code(&reply)), (403, "InvalidClientTokenId"));
    let mut wrong = aws.function.clone();
    wrong.secret_access_key = crate::Secret::new("wrong");
    let reply = aws.sts(&wrong, &[("Action", "GetCallerIdentity"), ("Version", "2011-06-15")]).await;
    assert_eq!((reply.status, &*code(&reply)), (403, "SignatureDoesNotMatch"));

    // Signed for another service, or five minutes ago, or not at all.
    let headers = [("content-type", "application/x-amz-json-1.1"), ("x-amz-target", "SageMaker.CreatePresignedDomainUrl")];
    let reply = send(aws.aws.address(), aws.signed(&session, "s3", &headers, &jane().to_string())).await.unwrap();
    assert_eq!(code(&reply), "InvalidSignatureException");
    let old = aws.presign_request(&session, &jane().to_string());
    let mut unsigned = aws.presign_request(&session, &jane().to_string());
    unsigned.headers_mut().remove("authorization");
    assert_eq!(code(&send(aws.aws.address(), unsigned).await.unwrap()), "MissingAuthenticationTokenException");
    let mut tampered = aws.presign_request(&session, &jane().to_string());
    *tampered.body_mut() = jane().to_string().replace("jane", "joan");
    assert_eq!(code(&send(aws.aws.address(), tampered).await.unwrap()), "InvalidSignatureException");
    aws.pass(301);
    assert_eq!(code(&send(aws.aws.address(), old).await.unwrap()), "InvalidSignatureException");

    aws.pass(598);
    assert_eq!(aws.presign(&session, &jane()).await.status, 200);
    aws.pass(1);
    assert_eq!(code(&aws.presign(&session, &jane()).await), "ExpiredTokenException");
    let session = aws.session().await;
    aws.aws.expire_sessions();
    assert_eq!(code(&aws.presign(&session, &jane()).await), "ExpiredTokenException");
    aws.aws.change(|world| world.callers[0].expires_at = Some(aws.clock.now()));
    assert_eq!(code(&aws.assume(&[]).await), "ExpiredToken");
}

#[tokio::test]
async fn regions_and_accounts_are_apart() {
    let aws = Fixture::new().await;
    let session = credentials(&aws.assume(&[("Policy", "")]).await);
    aws.aws.change(|world| world.domain_mut("d-abc").unwrap().region = Region::new("eu-west-1").unwrap());
    assert_eq!(code(&aws.presign(&session, &jane()).await), "ResourceNotFound");
    aws.aws.change(|world| {
        let domain = world.domain_mut("d-abc").unwrap();
        domain.region = Region::new("eu-central-1").unwrap();
        domain.account_id = AccountId::new("444455556666").unwrap();
    });
    assert_eq!(code(&aws.presign(&session, &jane()).await), "ResourceNotFound");
}

#[tokio::test]
async fn faults_come_when_they_were_asked_for() {
    let aws = Fixture::new().await;
    let session = aws.session().await;
    let call = "CreatePresignedDomainUrl";
    let inject = |fault: Fault| aws.aws.inject(call, 1, &fault);

    inject(Fault::error(400, "ThrottlingException"));
    let reply = aws.presign(&session, &jane()).await;
    assert_eq!((reply.status, &*code(&reply)), (400, "ThrottlingException"));
    inject(Fault::Malformed);
    let reply = aws.presign(&session, &jane()).await;
    assert!(reply.status == 200 && serde_json::from_str::<Value>(&reply.body).is_err());
    inject(Fault::Body("{}".to_owned()));
    assert_eq!(aws.presign(&session, &jane()).await.body, "{}");
    inject(Fault::WrongContentType);
    assert_eq!(aws.presign(&session, &jane()).await.header("content-type"), "text/html; charset=utf-8");
    inject(Fault::ForeignUrl("https://evil.example/auth?token=x".to_owned()));
    assert_eq!(aws.presign(&session, &jane()).await.json()["AuthorizedUrl"], "https://evil.example/auth?token=x");
    inject(Fault::Delay(Duration::from_millis(120)));
    let clock = SystemClock::new();
    assert_eq!(aws.presign(&session, &jane()).await.status, 200);
    assert!(clock.monotonic() >= Duration::from_millis(120));
    for fault in [Fault::Truncated, Fault::Close] {
        inject(fault);
        let broken = send(aws.aws.address(), aws.presign_request(&session, &jane().to_string())).await;
        assert!(broken.is_err(), "{broken:?}");
    }
    let url = aws.presign(&session, &jane()).await.json()["AuthorizedUrl"].as_str().unwrap().to_owned();
    aws.aws.inject("OpenStudio", 1, &Fault::error(503, "Unavailable"));
    assert_eq!(aws.open(&url, "text/html").await.status, 503);
    // It has not used the URL up.
    assert_eq!(aws.open(&url, "text/html").await.status, 200);
    // A signature that is wrong uses up no fault.
    inject(Fault::Close);
    let mut wrong = session.clone();
    wrong.secret_access_key = crate::Secret::new("wrong");
    assert_eq!(code(&aws.presign(&wrong, &jane()).await), "InvalidSignatureException");
    aws.aws.clear_faults();
    // The connection that was closed is not counted as an answer; the late answer is.
    let damaged = |fault: &Fault| matches!(fault, Fault::Close | Fault::Truncated | Fault::Malformed);
    for captured in aws.aws.captured() {
        match captured.outcome.as_ref().unwrap().fault.as_ref() {
            Some(Fault::Delay(_)) => assert!(captured.is_ok()),
            Some(fault) if damaged(fault) => assert!(!captured.is_ok() && captured.error().is_none()),
            Some(_) | None => {}
        }
    }
    aws.aws.clear_captured();
    assert_eq!(aws.presign(&session, &jane()).await.status, 200);

    aws.aws.inject("AssumeRole", 1, &Fault::error(503, "ServiceUnavailable"));
    let reply = aws.assume(&[]).await;
    assert_eq!((reply.status, &*code(&reply), between(&reply.body, "Type")), (503, "ServiceUnavailable", "Receiver"));
    let outcomes: Vec<_> = aws.aws.captured().into_iter().map(|captured| captured.outcome.unwrap()).collect();
    assert_eq!(
        outcomes[1],
        Outcome { status: 503, error: Some("ServiceUnavailable".to_owned()), fault: Some(Fault::error(503, "ServiceUnavailable")) }
    );
}

#[tokio::test]
async fn a_caller_that_goes_away_is_still_on_record() {
    let aws = Fixture::new().await;
    let session = aws.session().await;
    aws.aws.inject("CreatePresignedDomainUrl", 1, &Fault::Delay(Duration::from_secs(60)));
    let before = aws.aws.captured().len();
    let request = tokio::spawn(send(aws.aws.address(), aws.presign_request(&session, &jane().to_string())));
    while aws.aws.captured().len() == before {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    request.abort();
    assert!(request.await.unwrap_err().is_cancelled());
    let last = aws.aws.captured().pop().unwrap();
    assert_eq!((last.action.as_str(), last.outcome), ("CreatePresignedDomainUrl", None));
    tokio::time::timeout(Duration::from_secs(5), aws.aws.shutdown()).await.unwrap();
}

#[tokio::test]
async fn memory_is_bounded() {
    let mut remembered = Remembered::default();
    for n in 0..REMEMBERED + 10 {
        remembered.insert(n.to_string(), n);
    }
    assert_eq!((remembered.by_key.len(), remembered.order.len()), (REMEMBERED, REMEMBERED));
    assert!(remembered.get("9").is_none() && remembered.get("10").is_some());
    let aws = Fixture::new().await;
    let large = "x".repeat(MAX_BODY + 1);
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let reply = send(aws.aws.address(), aws.signed(&aws.function, "sts", &headers, &large)).await.unwrap();
    assert_eq!(reply.status, 413);
}
