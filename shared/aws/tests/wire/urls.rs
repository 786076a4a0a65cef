//! What is asked of STS and SageMaker, word for word, and what their answers and failures become.

use std::time::Duration;

use crate::stopwatch::Stopwatch;
use crate::support::{BUDGET, Reply, SLACK, Server, SetClock, block_on, budgets, clients, cut_off, error, html, json, nobody, xml};
use latchkey_aws::role_session::{self, SessionCredentials, SessionScope};
use latchkey_aws::sagemaker::{self, FOREIGN_URL, SageMaker};
use latchkey_domain::clock::Timestamp;
use latchkey_domain::decision::{Code, Denial};
use latchkey_domain::entitlement::{Entitlement, SubjectRecord, Terms, Wish, entitle};
use latchkey_domain::identity::{Identity, IssuerId, Principal, Subject};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::{ExternalId, Region, RoleArn};
use latchkey_domain::ports::{Issued, RoleSession, UrlIssuer as _};
use serde_json::json as value;

/// 2026-01-31T12:00:00Z.
pub(crate) const NOW: i64 = 1_769_860_800;
pub(crate) const ROLE: &str = "arn:aws:iam::210987654321:role/issuing";
pub(crate) const PROVISION_ROLE: &str = "arn:aws:iam::210987654321:role/provisioning";

pub(crate) fn entitlement(subject: &str, role: Option<&str>, more: &[(&str, Value)]) -> Entitlement {
    let text = |value: &str| Value::S(value.to_owned());
    let studio = [("kind", text("studio")), ("domain_id", text("d-abc")), ("user_profile_name", text("Jane"))];
    entitlement_to(subject, role, &[&studio, more].concat())
}

/// That the subject may open what a row with these attributes names. The provisioning role is the one in [`ROLE`]'s account.
pub(crate) fn entitlement_to(subject: &str, role: Option<&str>, attributes: &[(&str, Value)]) -> Entitlement {
    let row: Item = attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    let identity = Identity { issuer: IssuerId::new("okta").unwrap(), subject: Subject::new(subject).unwrap() };
    let now = Timestamp::from_unix_seconds(NOW);
    let principal = Principal::from_verified_claims(identity, "k1".to_owned(), None, now.plus_seconds(600), Vec::new());
    let region = Region::new("eu-central-1").unwrap();
    let terms = Terms {
        role_arn: role.map(|role| RoleArn::new(role).unwrap()),
        provision_role_arn: Some(RoleArn::new(PROVISION_ROLE).unwrap()),
        provision_external_id: Some(ExternalId::new("ext-provision").unwrap()),
        ..Terms::in_region(region)
    };
    let record = SubjectRecord::new(None, [("research".to_owned(), row)]);
    entitle(principal, &record, &Wish::default(), &terms, "123456789012", now).unwrap()
}

pub(crate) fn issuer(sts: &str, sagemaker: &str, scope: SessionScope, clock: &SetClock) -> SageMaker<SetClock> {
    SageMaker::new(&clients(&nobody(), sts, sagemaker), scope, clock.clone())
}

/// What STS answers: a session that ends an hour after [`NOW`], under keys that end in `n`.
pub(crate) fn session(n: usize) -> Reply {
    session_until(n, "2026-01-31T13:00:00Z")
}

fn session_until(n: usize, expiration: &str) -> Reply {
    xml(
        200,
        &format!(
            r#"<AssumeRoleResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><AssumeRoleResult><SourceIdentity>x</SourceIdentity>
            <AssumedRoleUser><AssumedRoleId>AROA:x</AssumedRoleId><Arn>arn:aws:sts::210987654321:assumed-role/issuing/x</Arn></AssumedRoleUser>
            <Credentials><AccessKeyId>ASIAROLE{n}</AccessKeyId><SecretAccessKey>canary-secret-{n}</SecretAccessKey>
            <SessionToken>canary-token-{n}</SessionToken><Expiration>{expiration}</Expiration></Credentials></AssumeRoleResult>
            <ResponseMetadata><RequestId>sts-1</RequestId></ResponseMetadata></AssumeRoleResponse>"#
        ),
    )
}

fn sts_error(status: u16, code: &str) -> Reply {
    xml(
        status,
        &format!(
            r#"<ErrorResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><Error><Type>Sender</Type><Code>{code}</Code>
            <Message>canary-message</Message></Error><RequestId>sts-2</RequestId></ErrorResponse>"#
        ),
    )
}

fn url(url: &str) -> Reply {
    json(200, &format!(r#"{{"AuthorizedUrl":"{url}"}}"#))
}

const GOOD_URL: &str = "https://d-abc.studio.eu-central-1.sagemaker.aws/auth?token=canary";

pub(crate) type Outcome = Result<(RoleSession<SessionCredentials>, Issued), Denial>;

pub(crate) async fn issue(issuer: &SageMaker<SetClock>, entitlement: &Entitlement) -> Outcome {
    issue_within(issuer, entitlement, BUDGET).await
}

/// The same, with this budget for each of the two.
async fn issue_within(issuer: &SageMaker<SetClock>, entitlement: &Entitlement, budget: Duration) -> Outcome {
    let session = issuer.open_session(entitlement, budget).await?;
    let issued = issuer.presign(entitlement, &session, budget).await?;
    Ok((session, issued))
}

#[test]
fn without_a_role_the_functions_own_credentials_are_used() {
    let sagemaker = Server::new([url(GOOD_URL)]);
    let issuer = issuer(&nobody(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    let (session, issued) = block_on(issue(&issuer, &entitlement("jane", None, &[]))).unwrap();
    assert_eq!((session.role_arn, session.source_identity, session.aws_request_id), (None, None, None));
    assert_eq!(issued.url.expose(), GOOD_URL);
    assert_eq!((issued.url_seconds, issued.session_seconds, issued.aws_request_id.as_deref()), (30, 28800, Some("req-200")));
    let request = sagemaker.requests().remove(0);
    assert_eq!(request.header("x-amz-target"), Some("SageMaker.CreatePresignedDomainUrl"));
    assert_eq!(
        request.json(),
        value!({"DomainId": "d-abc", "UserProfileName": "Jane", "ExpiresInSeconds": 30, "SessionExpirationDurationInSeconds": 28800})
    );
    assert!(request.header("authorization").unwrap().contains("AKIAOWN/"));
}

#[test]
fn a_user_gets_a_session_of_their_own_for_one_resource() {
    let (sts, sagemaker) = (Server::new([session(1)]), Server::new([url(GOOD_URL)]));
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    let grant = entitlement("jane", Some(ROLE), &[("external_id", Value::S("ext-1".to_owned()))]);
    let (session, _) = block_on(issue(&issuer, &grant)).unwrap();
    assert_eq!(session.role_arn.as_deref(), Some(ROLE));
    assert_eq!(session.source_identity.as_deref(), Some("okta.jane"));
    assert_eq!(session.aws_request_id.as_deref(), Some("req-200"));
    assert!(!format!("{session:?}").contains("canary") && !format!("{session:?}").contains("ASIA"), "{session:?}");

    let request = sts.requests().remove(0);
    let mut form = request.form();
    let policy: serde_json::Value = serde_json::from_str(&form.remove("Policy").unwrap()).unwrap();
    let arn = "arn:aws:sagemaker:eu-central-1:210987654321:user-profile/d-abc/Jane";
    assert_eq!(
        policy,
        value!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": "sagemaker:CreatePresignedDomainUrl", "Resource": [arn, arn.to_lowercase()]},
            {"Effect": "Allow", "Action": "sagemaker:DescribeUserProfile", "Resource": [arn, arn.to_lowercase()]},
        ]})
    );
    let expected = [
        ("Action", "AssumeRole"),
        ("Version", "2011-06-15"),
        ("RoleArn", ROLE),
        ("RoleSessionName", "okta.jane"),
        ("SourceIdentity", "okta.jane"),
        ("ExternalId", "ext-1"),
        ("DurationSeconds", "3600"),
    ];
    assert_eq!(form, expected.map(|(key, value)| (key.to_owned(), value.to_owned())).into());
    assert!(request.header("authorization").unwrap().contains("/eu-central-1/sts/aws4_request"));

    let request = sagemaker.requests().remove(0);
    assert!(request.header("authorization").unwrap().contains("ASIAROLE1/"));
    assert_eq!(request.header("x-amz-security-token"), Some("canary-token-1"));
}

#[test]
fn a_shared_session_names_nobody_and_is_not_narrowed() {
    let (sts, sagemaker) = (Server::new([session(1)]), Server::new([url(GOOD_URL)]));
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::Role, &SetClock::new(NOW));
    block_on(async {
        let (session, _) = issue(&issuer, &entitlement("jane", Some(ROLE), &[])).await.unwrap();
        assert_eq!(session.source_identity, None);
        issue(&issuer, &entitlement("john", Some(ROLE), &[])).await.unwrap();
        // Another external id is another session.
        issue(&issuer, &entitlement("john", Some(ROLE), &[("external_id", Value::S("ext-1".to_owned()))])).await.unwrap();
    });
    let requests = sts.requests();
    assert_eq!(requests.len(), 2);
    let form = requests[0].form();
    assert_eq!(form["RoleSessionName"], "latchkey");
    assert!(!form.contains_key("SourceIdentity") && !form.contains_key("Policy") && !form.contains_key("ExternalId"), "{form:?}");
    assert_eq!(requests[1].form()["ExternalId"], "ext-1");
}

#[test]
fn sessions_are_kept_apart_and_until_five_minutes_before_their_end() {
    let (sts, sagemaker) = (Server::new((0..9).map(session)), Server::new([url(GOOD_URL)]));
    let clock = SetClock::new(NOW);
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &clock);
    block_on(async {
        let (jane, john) = (entitlement("jane", Some(ROLE), &[]), entitlement("john", Some(ROLE), &[]));
        let (first, _) = issue(&issuer, &jane).await.unwrap();
        let (again, _) = issue(&issuer, &jane).await.unwrap();
        assert!(first.aws_request_id.is_some() && again.aws_request_id.is_none());
        assert_eq!(sts.requests().len(), 1);
        issue(&issuer, &john).await.unwrap();
        assert_eq!(sts.requests().len(), 2);
        // Another profile of the same user is another resource.
        issue(&issuer, &entitlement("jane", Some(ROLE), &[("user_profile_name", Value::S("admin".to_owned()))])).await.unwrap();
        assert_eq!(sts.requests().len(), 3);
        clock.advance(3299);
        issue(&issuer, &jane).await.unwrap();
        assert_eq!(sts.requests().len(), 3);
        clock.advance(1);
        issue(&issuer, &jane).await.unwrap();
        assert_eq!(sts.requests().len(), 4);
    });
    // Each call was made under its own session.
    let keys: Vec<String> = sagemaker.requests().iter().map(|r| r.header("x-amz-security-token").unwrap().to_owned()).collect();
    assert_eq!(keys, [0, 0, 1, 2, 0, 3].map(|n| format!("canary-token-{n}")));
}

/// `latchkey revoke` cuts sessions that environments keep in memory. Once its user may again, none of them stands in the way: the
/// broker cannot know when it was cut, and finds out by one refusal.
#[test]
fn a_session_that_sagemaker_refuses_is_opened_anew_next_time() {
    for code in ["AccessDeniedException", "ExpiredTokenException"] {
        let (sts, sagemaker) = (Server::new((0..9).map(session)), Server::new([error(400, code), url(GOOD_URL)]));
        let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
        let jane = entitlement("jane", Some(ROLE), &[]);
        block_on(async {
            issue(&issuer, &jane).await.unwrap_err();
            issue(&issuer, &jane).await.unwrap();
            issue(&issuer, &jane).await.unwrap();
        });
        assert_eq!(sts.requests().len(), 2, "{code}");
    }
}

#[test]
fn landing_space_lifetimes_and_region_come_from_the_grant() {
    let (sts, sagemaker) = (Server::new([session(1)]), Server::new([url("https://d-abc.studio.us-east-1.sagemaker.aws/x")]));
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    let text = |value: &str| Value::S(value.to_owned());
    let landing =
        Item::from([("landing_uri".to_owned(), text("app:JupyterLab:lab/tree/a.ipynb")), ("space_name".to_owned(), text("team-space"))]);
    let grant = entitlement(
        "jane",
        Some(ROLE),
        &[
            ("region", text("us-east-1")),
            ("url_seconds", Value::N("5".to_owned())),
            ("session_seconds", Value::N("1800".to_owned())),
            ("landings", Value::M(Item::from([("lab".to_owned(), Value::M(landing))]))),
            ("landing", text("lab")),
        ],
    );
    let (_, issued) = block_on(issue(&issuer, &grant)).unwrap();
    assert_eq!((issued.url_seconds, issued.session_seconds), (5, 1800));
    let request = sagemaker.requests().remove(0);
    assert_eq!(
        request.json(),
        value!({"DomainId": "d-abc", "UserProfileName": "Jane", "ExpiresInSeconds": 5, "SessionExpirationDurationInSeconds": 1800,
            "LandingUri": "app:JupyterLab:lab/tree/a.ipynb", "SpaceName": "team-space"})
    );
    // The session comes from the function's region, the URL from the target's.
    assert!(request.header("authorization").unwrap().contains("/us-east-1/sagemaker/aws4_request"));
    assert!(sts.requests()[0].header("authorization").unwrap().contains("/eu-central-1/sts/aws4_request"));
}

#[test]
fn every_failure_of_sagemaker_has_its_code_and_reason_in_time() {
    let own = entitlement("jane", None, &[]);
    for (reply, reason, detail, tries) in [
        (error(400, "ThrottlingException"), "sagemaker.throttled", Some("ThrottlingException"), 2),
        (error(400, "AccessDeniedException"), "sagemaker.access-denied", Some("AccessDeniedException"), 1),
        (error(403, "ExpiredTokenException"), "sagemaker.credentials", Some("ExpiredTokenException"), 1),
        (error(403, "InvalidSignatureException"), "sagemaker.credentials", Some("InvalidSignatureException"), 1),
        // And once for the target's state, which is not told either.
        (error(400, "ValidationException"), "sagemaker.validation", Some("ValidationException"), 2),
        (error(400, "SomethingElse"), "sagemaker.refused", Some("SomethingElse"), 2),
        (error(500, "InternalFailure"), "sagemaker.failed", Some("InternalFailure"), 2),
        (html(502, "<html>bad gateway</html>"), "sagemaker.failed", None, 2),
        (html(403, "<html>blocked</html>"), "sagemaker.access-denied", None, 1),
        (html(200, "<html>a portal</html>"), "sagemaker.malformed-answer", None, 2),
        (json(200, r#"{"AuthorizedUrl":"#), "sagemaker.malformed-answer", None, 2),
        (json(200, "{}"), "sagemaker.malformed-answer", None, 2),
        (json(200, r#"{"AuthorizedUrl":""}"#), "sagemaker.malformed-answer", None, 2),
        (json(200, r#"{"AuthorizedUrl":7}"#), "sagemaker.malformed-answer", None, 2),
        (cut_off(r#"{"AuthorizedUrl":"https://"#), "sagemaker.malformed-answer", None, 2),
        (Reply::SendAndClose(vec![]), "sagemaker.broken", None, 2),
        (Reply::Silence, "sagemaker.timeout", None, 2),
    ] {
        for &(budget, all_tries) in budgets(&reply) {
            let sagemaker = Server::new([reply.clone()]);
            let issuer = issuer(&nobody(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
            let stopwatch = Stopwatch::start();
            let denial = block_on(issue_within(&issuer, &own, budget)).unwrap_err();
            assert!(stopwatch.elapsed() < budget + SLACK, "{reply:?}");
            assert_eq!((denial.code, denial.reason.0, denial.detail.as_deref()), (Code::Unavailable, reason, detail), "{reply:?}");
            assert_eq!(denial.retry_after_seconds, Some(5));
            assert!(!all_tries || sagemaker.requests().len() == tries, "{reply:?}: {} tries", sagemaker.requests().len());
            assert!(!format!("{denial:?}").contains("canary") && !format!("{denial:?}").contains("arn:"), "{denial:?}");
            assert!(sagemaker::REASONS.contains(&denial.reason));
        }
    }
    let issuer = issuer(&nobody(), &nobody(), SessionScope::User, &SetClock::new(NOW));
    assert_eq!(block_on(issue(&issuer, &own)).unwrap_err().reason.0, "sagemaker.unreachable");
}

#[test]
fn a_target_that_does_not_exist_is_not_an_outage() {
    let sagemaker = Server::new([error(400, "ResourceNotFound")]);
    let issuer = issuer(&nobody(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    let denial = block_on(issue(&issuer, &entitlement("jane", None, &[]))).unwrap_err();
    assert_eq!((denial.code, denial.reason.0), (Code::TargetNotReady, "sagemaker.not-found"));
    assert_eq!((denial.state.as_deref(), denial.retry_after_seconds), (Some("NotFound"), None));
    assert_eq!((denial.detail.as_deref(), denial.aws_request_id.as_deref()), (Some("ResourceNotFound"), Some("req-400")));
}

#[test]
fn a_throttle_that_passes_and_a_hang_that_passes_are_not_seen() {
    for reply in [error(400, "ThrottlingException"), error(500, "InternalFailure"), Reply::SendAndClose(vec![]), Reply::Silence] {
        let sagemaker = Server::new([reply.clone(), url(GOOD_URL)]);
        let issuer = issuer(&nobody(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
        assert!(block_on(issue(&issuer, &entitlement("jane", None, &[]))).is_ok(), "{reply:?}");
    }
}

#[test]
fn a_slow_answer_within_the_time_is_taken() {
    let slow = Reply::After(Duration::from_millis(700), {
        let Reply::Send(bytes) = url(GOOD_URL) else { unreachable!() };
        bytes
    });
    let sagemaker = Server::new([slow]);
    let issuer = issuer(&nobody(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    assert!(block_on(issue(&issuer, &entitlement("jane", None, &[]))).is_ok());
    assert_eq!(sagemaker.requests().len(), 1);
}

#[test]
fn a_foreign_url_is_not_handed_on_and_not_written_down() {
    for foreign in
        ["https://evil.example/?canary", "http://d-abc.studio.eu-central-1.sagemaker.aws/canary", "https://x.sagemaker.aws@evil/"]
    {
        let sagemaker = Server::new([url(foreign)]);
        let issuer = issuer(&nobody(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
        let denial = block_on(issue(&issuer, &entitlement("jane", None, &[]))).unwrap_err();
        assert_eq!((denial.code, denial.reason), (Code::Unavailable, FOREIGN_URL));
        assert_eq!(denial.aws_request_id.as_deref(), Some("req-200"));
        assert!(!format!("{denial:?}").contains("canary") && !format!("{denial:?}").contains("evil"), "{denial:?}");
    }
}

#[test]
fn urls_on_loopback_are_for_an_endpoint_on_loopback() {
    let sagemaker = Server::new([url("http://d-abc.studio.eu-central-1.sagemaker.localhost:9000/auth?token=x")]);
    let issuer = issuer(&nobody(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    assert!(block_on(issue(&issuer, &entitlement("jane", None, &[]))).is_ok());
    assert!(!clients(&sagemaker.url(), &sagemaker.url(), "https://sagemaker.example").host_rule().allow_loopback);
}

#[test]
fn every_failure_of_sts_has_its_reason_in_time_and_causes_no_call_to_sagemaker() {
    let grant = entitlement("jane", Some(ROLE), &[]);
    for (reply, reason, detail, tries) in [
        (sts_error(403, "AccessDenied"), "sts.access-denied", Some("AccessDenied"), 1),
        (sts_error(400, "Throttling"), "sts.throttled", Some("Throttling"), 2),
        (sts_error(400, "ValidationError"), "sts.validation", Some("ValidationError"), 1),
        (sts_error(400, "MalformedPolicyDocument"), "sts.validation", Some("MalformedPolicyDocument"), 1),
        (sts_error(400, "PackedPolicyTooLarge"), "sts.validation", Some("PackedPolicyTooLarge"), 1),
        (sts_error(403, "ExpiredToken"), "sts.credentials", Some("ExpiredToken"), 1),
        (sts_error(403, "InvalidClientTokenId"), "sts.credentials", Some("InvalidClientTokenId"), 1),
        (sts_error(403, "SignatureDoesNotMatch"), "sts.credentials", Some("SignatureDoesNotMatch"), 1),
        (sts_error(403, "RegionDisabledException"), "sts.access-denied", Some("RegionDisabledException"), 1),
        (sts_error(500, "InternalFailure"), "sts.failed", Some("InternalFailure"), 2),
        (html(503, "busy"), "sts.failed", None, 2),
        (html(200, "not xml"), "sts.malformed-answer", None, 2),
        (xml(200, "<AssumeRoleResponse><AssumeRoleResult>"), "sts.malformed-answer", None, 1),
        (xml(200, "<AssumeRoleResponse><AssumeRoleResult></AssumeRoleResult></AssumeRoleResponse>"), "sts.malformed-answer", None, 1),
        (session_until(1, "soon"), "sts.malformed-answer", None, 2),
        (Reply::SendAndClose(vec![]), "sts.broken", None, 2),
        (Reply::Silence, "sts.timeout", None, 2),
    ] {
        for &(budget, all_tries) in budgets(&reply) {
            let (sts, sagemaker) = (Server::new([reply.clone()]), Server::new([url(GOOD_URL)]));
            let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
            let stopwatch = Stopwatch::start();
            let denial = block_on(issue_within(&issuer, &grant, budget)).unwrap_err();
            assert!(stopwatch.elapsed() < budget + SLACK, "{reply:?}");
            assert_eq!((denial.code, denial.reason.0, denial.detail.as_deref()), (Code::Unavailable, reason, detail), "{reply:?}");
            assert!(!all_tries || sts.requests().len() == tries, "{reply:?}: {} tries", sts.requests().len());
            assert!(sagemaker.requests().is_empty());
            assert!(!format!("{denial:?}").contains("canary"), "{denial:?}");
            assert!(role_session::REASONS.contains(&denial.reason));
        }
    }
}

#[test]
fn connections_are_opened_before_they_are_needed() {
    use latchkey_aws::environment::Service;
    // What arrives first on a connection that is opened for TLS is a handshake record (RFC 8446, section 5.1).
    const HANDSHAKE: u8 = 22;
    let listeners: Vec<_> = Service::ALL.iter().map(|_| std::net::TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let url = |at: usize| format!("https://{}", listeners[at].local_addr().unwrap());
    let clients = clients(&url(0), &url(1), &url(2));
    let stopwatch = Stopwatch::start();
    block_on(clients.open_connections(&Service::ALL, Duration::from_millis(200)));
    assert!(stopwatch.elapsed() < Duration::from_secs(1), "nobody waits for a server that is silent");
    for listener in &listeners {
        let mut first = [0];
        std::io::Read::read_exact(&mut listener.accept().unwrap().0, &mut first).unwrap();
        assert_eq!(first[0], HANDSHAKE);
    }
}

#[test]
fn without_tls_no_connection_is_opened_before_it_is_needed() {
    use latchkey_aws::environment::Service;
    let servers = [Server::new([html(404, "")]), Server::new([html(404, "")]), Server::new([html(404, "")])];
    let clients = clients(&servers[0].url(), &servers[1].url(), &servers[2].url());
    block_on(clients.open_connections(&Service::ALL, Duration::from_millis(200)));
    assert!(servers.iter().all(|server| server.requests().is_empty()));
}

#[test]
fn nothing_secret_is_in_anybodys_debug() {
    let clients = clients(&nobody(), &nobody(), &nobody());
    let issuer = SageMaker::new(&clients, SessionScope::User, SetClock::new(NOW));
    let table = latchkey_aws::grant_store::Table::new(clients.dynamodb(), "t");
    let admin = latchkey_aws::grant_admin::GrantAdmin::new(clients.dynamodb_for_operators(), "t");
    let shown = format!("{clients:?} {issuer:?} {table:?} {admin:?}");
    assert!(!shown.contains("canary") && !shown.contains("AKIA"), "{shown}");
}
