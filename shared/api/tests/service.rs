//! The API in front of the use case, over ports in memory: every row of the error table, one audit record each.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::fmt::Write as _;
use std::time::Duration;

use futures_util::FutureExt as _;
use latchkey_api::response::ProxyResponse;
use latchkey_api::service::{AllowedEndpoints, Invocation, Service};
use latchkey_domain::audit::{Action, AuditRecord, Verdict};
use latchkey_domain::broker::{Broker, KnownProfiles, Rules};
use latchkey_domain::clock::Timestamp;
use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::entitlement::Terms;
use latchkey_domain::fakes::{self, KnownTokens, ManualClock, MemorySink, MemoryTable, ScriptedIssuer};
use latchkey_domain::identity::IssuerId;
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::{Region, RoleArn};
use latchkey_domain::ports::{AuthenticationError, RateLimit, Unavailable};
use latchkey_domain::posture::{Finding, Inspection, NotReady, PostureGate, PostureMode};
use latchkey_domain::provision::Profile;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const TOKEN: &str = "canary.token.alice";

struct World {
    service: Service<KnownTokens, MemoryTable, ScriptedIssuer, ManualClock, MemorySink>,
    tokens: KnownTokens,
    table: MemoryTable,
    issuer: ScriptedIssuer,
    clock: ManualClock,
    sink: MemorySink,
}

impl World {
    fn new() -> Self {
        let (tokens, table, issuer, clock, sink) =
            (KnownTokens::default(), MemoryTable::default(), ScriptedIssuer::default(), ManualClock::at(NOW), MemorySink::default());
        tokens.insert(TOKEN, Ok(fakes::principal("okta", "alice", Some("token-1"), NOW.plus_seconds(300)).unwrap()));
        table.put("SUBJECT#okta#alice", "TARGET#research", studio("d-abc", "alice"));
        let terms = Terms {
            role_arn: Some(RoleArn::new("arn:aws:iam::111122223333:role/issuing").unwrap()),
            provision_role_arn: Some(RoleArn::new("arn:aws:iam::111122223333:role/provisioning").unwrap()),
            ..Terms::in_region(Region::new("eu-central-1").unwrap())
        };
        let rules = Rules { terms, rate_limit: Some(RateLimit { urls: 2, seconds: 60 }), replay_guard: false };
        let broker = Broker {
            authenticator: tokens.clone(),
            store: table.clone(),
            issuer: issuer.clone(),
            clock: clock.clone(),
            rules,
            posture: PostureGate::default(),
            profiles: KnownProfiles::default(),
        };
        let service = Service { broker, sink: sink.clone(), endpoints: AllowedEndpoints::These(vec!["vpce-0a".into(), "vpce-0b".into()]) };
        Self { service, tokens, table, issuer, clock, sink }
    }

    fn send(&self, event: &str) -> ProxyResponse {
        let invocation = Invocation { event: event.as_bytes(), id: "invocation-1", account_id: None, budget: Duration::from_secs(5) };
        let never = std::future::pending();
        self.service.handle(invocation, never).now_or_never().expect("nothing in memory waits")
    }

    /// Sends an event and gives back the answer with the one record that it left.
    fn audited(&self, event: &str) -> (ProxyResponse, AuditRecord) {
        let before = self.sink.records().len();
        let response = self.send(event);
        let records = self.sink.records();
        assert_eq!(records.len(), before + 1, "one record for every decision");
        (response, records.into_iter().last().unwrap())
    }

    #[track_caller]
    fn refuses(&self, event: &str, status: u16, code: Code, reason: &str) -> ProxyResponse {
        let (response, record) = self.audited(event);
        assert_eq!((response.status(), record.code, record.reason), (status, code.as_str(), Some(reason)));
        assert_eq!(record.decision, Verdict::Deny);
        assert!(!response.body().contains(reason), "the caller is not told why");
        response
    }
}

fn studio(domain: &str, profile: &str) -> Item {
    [("kind", "studio"), ("domain_id", domain), ("user_profile_name", profile)]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Value::S(value.to_owned())))
        .collect()
}

/// An event as API Gateway sends it, changed by `patch` (a JSON object whose members replace the event's).
fn event(method: &str, path: &str, patch: &str) -> String {
    let mut event: serde_json::Value = serde_json::json!({
        "resource": path, "path": path, "httpMethod": method,
        "headers": {"Authorization": format!("Bearer {TOKEN}")},
        "multiValueHeaders": {"Authorization": [format!("Bearer {TOKEN}")]},
        "requestContext": {"requestId": "request-1", "accountId": "111122223333", "identity": {"vpceId": "vpce-0a", "sourceIp": "10.0.0.7"}},
        "body": null, "isBase64Encoded": false,
    });
    let patch: serde_json::Value = serde_json::from_str(patch).unwrap();
    for (name, value) in patch.as_object().unwrap() {
        event[name] = value.clone();
    }
    event.to_string()
}

fn mint(patch: &str) -> String {
    event("POST", "/presigned-urls", patch)
}

fn with_body(body: &str) -> String {
    mint(&serde_json::json!({ "body": body }).to_string())
}

/// An answer in readable form, without the URL.
fn shown(response: &ProxyResponse) -> String {
    let mut text = format!("{}\n", response.status());
    for (name, value) in response.headers() {
        let _ = writeln!(text, "{name}: {value}");
    }
    text.push_str(response.body());
    text.replace("https://d-demo.studio.eu-central-1.sagemaker.aws/auth?token=canary", "[URL]")
}

#[test]
fn a_launch_is_answered_and_audited() {
    let world = World::new();
    let (response, record) = world.audited(&mint("{}"));
    insta::assert_snapshot!("launch", shown(&response));
    insta::assert_snapshot!("launch_audit", serde_json::to_string_pretty(&record).unwrap());
    assert_eq!(world.table.requests(), ["read", "count"], "one read and one write");
}

#[test]
fn a_browser_is_sent_there() {
    let world = World::new();
    let response = world.send(&mint(r#"{"headers":{"accept":"text/html"}}"#));
    insta::assert_snapshot!("launch_redirect", shown(&response));
}

#[test]
fn targets_are_listed_without_urls() {
    let world = World::new();
    let (response, record) = world.audited(&event("GET", "/targets", "{}"));
    insta::assert_snapshot!("targets", shown(&response));
    assert_eq!((record.action, record.decision, record.url_sha256), (Action::List, Verdict::Allow, None));
    assert!(world.issuer.calls().is_empty());
}

#[test]
fn health_decides_nothing_and_says_nothing() {
    let world = World::new();
    let response = world.send(&event("GET", "/health", r#"{"requestContext":null,"headers":null,"multiValueHeaders":null}"#));
    insta::assert_snapshot!("health", shown(&response));
    assert!(world.sink.records().is_empty());
}

#[test]
fn requests_that_cannot_be_read() {
    let world = World::new();
    for json in ["{}", "[]", "7", "not json"] {
        world.refuses(json, 400, Code::InvalidRequest, "event.malformed");
    }
    world.refuses(&with_body("{"), 400, Code::InvalidRequest, "body.malformed");
    world.refuses(&with_body(r#"{"profile":"root"}"#), 400, Code::InvalidRequest, "body.malformed");
    world.refuses(&with_body(r#"{"target":"a/b"}"#), 400, Code::InvalidRequest, "body.not-a-name");
    world.refuses(
        &mint(r#"{"multiValueHeaders":{"Authorization":["Bearer a","Bearer b"]}}"#),
        400,
        Code::InvalidRequest,
        "authorization.several",
    );
    world.refuses(&with_body(&" ".repeat(4097)), 413, Code::TooLarge, "body.too-large");
    let text = serde_json::json!({"headers": {"authorization": format!("Bearer {TOKEN}"), "content-type": "text/plain"}, "multiValueHeaders": null, "body": "{}"});
    world.refuses(&mint(&text.to_string()), 415, Code::UnsupportedMediaType, "body.media-type");
    assert!(world.issuer.calls().is_empty() && world.table.requests().is_empty());
}

#[test]
fn callers_that_are_not_proven() {
    let world = World::new();
    let none = r#"{"headers":null,"multiValueHeaders":null}"#;
    let response = world.refuses(&mint(none), 401, Code::InvalidToken, "authorization.missing");
    insta::assert_snapshot!("no_token", shown(&response));
    let unknown = r#"{"headers":{"Authorization":"Bearer x"},"multiValueHeaders":null}"#;
    let response = world.refuses(&mint(unknown), 401, Code::InvalidToken, KnownTokens::UNKNOWN.0);
    insta::assert_snapshot!("invalid_token", shown(&response));
    world.refuses(&event("GET", "/targets", none), 401, Code::InvalidToken, "authorization.missing");
    // A token elsewhere than in the header is no token.
    let elsewhere = serde_json::json!({
        "headers": {"Cookie": format!("Authorization=Bearer {TOKEN}"), "X-Authorization": format!("Bearer {TOKEN}")},
        "multiValueHeaders": null, "queryStringParameters": {"access_token": TOKEN, "Authorization": format!("Bearer {TOKEN}")},
        "body": format!("access_token={TOKEN}")
    });
    world.refuses(&mint(&elsewhere.to_string()), 401, Code::InvalidToken, "authorization.missing");
    assert!(world.issuer.calls().is_empty() && world.table.requests().is_empty());
}

#[test]
fn requests_from_elsewhere() {
    let world = World::new();
    for context in [
        r#"{"requestContext":{"identity":{"vpceId":"vpce-0c"}}}"#,
        r#"{"requestContext":{"identity":{"vpceId":"vpce-0"}}}"#,
        r#"{"requestContext":{"identity":{"vpceId":""}}}"#,
        r#"{"requestContext":{"identity":{"vpceId":null}}}"#,
        r#"{"requestContext":{"identity":null}}"#,
        r#"{"requestContext":null}"#,
    ] {
        world.refuses(&mint(context), 403, Code::NotPrivate, "endpoint.not-allowed");
        world.refuses(&event("GET", "/nowhere", context), 403, Code::NotPrivate, "endpoint.not-allowed");
    }
    world.send(&mint(r#"{"requestContext":{"identity":{"vpceId":"vpce-0b"}}}"#));
    assert_eq!(world.sink.records().last().unwrap().vpc_endpoint.as_deref(), Some("vpce-0b"));
}

#[test]
fn paths_and_methods() {
    let world = World::new();
    world.refuses(&event("GET", "/nowhere", "{}"), 404, Code::NotFound, "route.no-such-path");
    let response = world.refuses(&event("GET", "/presigned-urls", "{}"), 405, Code::MethodNotAllowed, "route.no-such-method");
    assert_eq!(response.headers()["Allow"], "POST");
    let response = world.refuses(&event("DELETE", "/targets", "{}"), 405, Code::MethodNotAllowed, "route.no-such-method");
    assert_eq!(response.headers()["Allow"], "GET");
    world.refuses(&event("POST", "/health", "{}"), 405, Code::MethodNotAllowed, "route.no-such-method");
    world.refuses(&event("POST", "/health", r#"{"requestContext":null}"#), 405, Code::MethodNotAllowed, "route.no-such-method");
}

#[test]
fn callers_without_a_grant() {
    let world = World::new();
    let response = world.refuses(&with_body(r#"{"target":"other"}"#), 403, Code::NotEntitled, "grant.none");
    insta::assert_snapshot!("not_entitled", shown(&response));
    world.refuses(&with_body(r#"{"landing":"lab"}"#), 403, Code::NotEntitled, "grant.no-such-landing");
    world.table.put("SUBJECT#okta#alice", "SUBJECT", Item::from([("status".into(), Value::S("suspended".into()))]));
    world.refuses(&mint("{}"), 403, Code::NotEntitled, "subject.suspended");
    world.refuses(&event("GET", "/targets", "{}"), 403, Code::NotEntitled, "subject.suspended");
    assert!(world.issuer.calls().is_empty());
    assert!(!world.table.requests().contains(&"count"), "a refused request is not counted");
}

#[test]
fn the_rate_limit() {
    let world = World::new();
    assert_eq!(world.send(&mint("{}")).status(), 200);
    assert_eq!(world.send(&mint("{}")).status(), 200);
    world.clock.advance(Duration::from_secs(15));
    let response = world.refuses(&mint("{}"), 429, Code::RateLimited, "usage.rate-limited");
    assert_eq!(response.headers()["Retry-After"], "45");
    assert_eq!(world.issuer.calls().len(), 4, "the third asked nothing of AWS");
    world.clock.advance(Duration::from_secs(45));
    assert_eq!(world.send(&mint("{}")).status(), 200);
}

#[test]
fn a_token_is_good_for_one_url_under_the_replay_guard() {
    let mut world = World::new();
    world.service.broker.rules.replay_guard = true;
    world.service.broker.rules.rate_limit = None;
    assert_eq!(world.send(&mint("{}")).status(), 200);
    world.refuses(&mint("{}"), 401, Code::InvalidToken, "token.replayed");
    world.tokens.insert("no-id", Ok(fakes::principal("okta", "alice", None, NOW.plus_seconds(300)).unwrap()));
    world.refuses(
        &mint(r#"{"headers":{"Authorization":"Bearer no-id"},"multiValueHeaders":null}"#),
        401,
        Code::InvalidToken,
        "token.jti-missing",
    );
    assert_eq!(world.issuer.calls().len(), 2, "only the first reached AWS");
}

/// A request with another token of the same user's.
fn with_token(world: &World, id: &str) -> String {
    world.tokens.insert(id, Ok(fakes::principal("okta", "alice", Some(id), NOW.plus_seconds(300)).unwrap()));
    mint(&format!(r#"{{"headers":{{"Authorization":"Bearer {id}"}},"multiValueHeaders":null}}"#))
}

#[test]
fn a_used_token_uses_up_nothing_of_its_users() {
    let mut world = World::new();
    world.service.broker.rules.replay_guard = true;
    assert_eq!(world.send(&mint("{}")).status(), 200);
    for _ in 0..5 {
        world.refuses(&mint("{}"), 401, Code::InvalidToken, "token.replayed");
    }
    assert_eq!(world.send(&with_token(&world, "token-2")).status(), 200, "the second of two");
}

#[test]
fn a_token_that_came_too_often_stays_good() {
    let mut world = World::new();
    world.service.broker.rules.replay_guard = true;
    assert_eq!([world.send(&mint("{}")).status(), world.send(&with_token(&world, "token-2")).status()], [200, 200]);
    let third = with_token(&world, "token-3");
    world.refuses(&third, 429, Code::RateLimited, "usage.rate-limited");
    world.refuses(&third, 429, Code::RateLimited, "usage.rate-limited");
    world.clock.advance(Duration::from_secs(60));
    assert_eq!(world.send(&third).status(), 200);
}

#[test]
fn the_age_of_keys_is_that_of_keys_that_were_needed() {
    let world = World::new();
    let age = |event: &str| world.audited(event).1.key_age_seconds;
    assert_eq!(age(&mint("{}")), Some(60));
    let issuer = IssuerId::new("okta").unwrap();
    world.tokens.insert("no-keys", Err(AuthenticationError::Unavailable { reason: Reason("keys.none"), issuer: issuer.clone() }));
    assert_eq!(age(&mint(r#"{"headers":{"Authorization":"Bearer no-keys"},"multiValueHeaders":null}"#)), Some(60));
    // Anybody can name an issuer in a token: that its keys have not been loaded for long is then nothing to be alarmed at.
    world.tokens.insert("forged", Err(AuthenticationError::Refused { reason: Reason("token.expired"), issuer: Some(issuer) }));
    assert_eq!(age(&mint(r#"{"headers":{"Authorization":"Bearer forged"},"multiValueHeaders":null}"#)), None);
}

#[test]
fn a_token_for_which_nothing_was_handed_out_stays_good() {
    let mut world = World::new();
    world.service.broker.rules.replay_guard = true;
    world.issuer.refuse_presign(Some(Denial::unavailable(Reason("sagemaker.throttled"))));
    world.refuses(&mint("{}"), 503, Code::Unavailable, "sagemaker.throttled");
    world.issuer.refuse_presign(None);
    assert_eq!(world.send(&mint("{}")).status(), 200);
}

#[test]
fn dependencies_that_do_not_answer() {
    let world = World::new();
    let issuer = IssuerId::new("okta").unwrap();
    world.tokens.insert("no-keys", Err(AuthenticationError::Unavailable { reason: Reason("keys.none"), issuer }));
    world.refuses(&mint(r#"{"headers":{"Authorization":"Bearer no-keys"},"multiValueHeaders":null}"#), 503, Code::Unavailable, "keys.none");
    world.issuer.refuse_session(Some(Denial::unavailable(Reason("sts.timeout")).with_aws_request_id(Some("failed-sts".into()))));
    let response = world.refuses(&mint("{}"), 503, Code::Unavailable, "sts.timeout");
    assert_eq!(response.headers()["Retry-After"], "5");
    assert_eq!(world.sink.records().last().unwrap().aws_request_ids.sts.as_deref(), Some("failed-sts"));
    world.table.fail_with(Some(Unavailable { reason: Reason("table.timeout"), detail: None, aws_request_id: None }));
    let response = world.refuses(&mint("{}"), 503, Code::Unavailable, "table.timeout");
    insta::assert_snapshot!("unavailable", shown(&response));
}

#[test]
fn a_target_that_is_not_ready() {
    let world = World::new();
    world.issuer.refuse_presign(Some(Denial::new(Code::TargetNotReady, Reason("target.not-ready")).with_state("Stopped")));
    let response = world.refuses(&mint("{}"), 409, Code::TargetNotReady, "target.not-ready");
    insta::assert_snapshot!("not_ready", shown(&response));
    world.issuer.refuse_presign(Some(Denial::new(Code::TargetNotCompliant, Reason("posture.no-key"))));
    world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.no-key");
}

/// The world behind a posture gate, without a limit on uses.
fn gated(mode: PostureMode) -> World {
    let mut world = World::new();
    world.service.broker.posture = PostureGate::new(mode);
    world.service.broker.rules.rate_limit = None;
    world
}

fn seen(findings: &[Finding], not_ready: Option<(&str, bool)>) -> Inspection {
    let not_ready = not_ready.map(|(state, passes)| NotReady { state: state.to_owned(), passes });
    Inspection { findings: findings.to_vec(), not_ready, aws_request_ids: vec!["domain-request".into(), "profile-request".into()] }
}

#[test]
fn a_target_that_falls_short_is_refused_and_only_the_record_says_why() {
    let world = gated(PostureMode::Enforce);
    world.issuer.see(Ok(seen(&[Finding::NotVpcOnly, Finding::NoCustomerKey], None)));
    let response = world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.not-compliant");
    assert!(!response.body().contains("domain.") && !response.body().contains("Vpc"), "{}", response.body());
    assert_eq!(response.headers().get("Retry-After"), None);
    let record = world.sink.records().pop().unwrap();
    assert_eq!(record.findings, ["domain.not-vpc-only", "domain.no-customer-key"]);
    assert_eq!(record.aws_request_ids.posture, ["domain-request", "profile-request"]);
    assert!(record.durations_ms.posture.is_some() && record.url_sha256.is_none());
    assert_eq!(world.issuer.calls(), ["open_session", "inspect"], "no URL was asked for");
}

#[test]
fn what_the_gate_knows_it_refuses_without_a_call() {
    let world = gated(PostureMode::Enforce);
    world.issuer.see(Ok(seen(&[Finding::AuthModeNotIam], None)));
    world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.not-compliant");
    world.issuer.see(Ok(seen(&[], None)));
    world.clock.advance(Duration::from_secs(200));
    world.tokens.insert(TOKEN, Ok(fakes::principal("okta", "alice", None, NOW.plus_seconds(900)).unwrap()));
    world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.not-compliant");
    let record = world.sink.records().pop().unwrap();
    assert_eq!(record.findings, ["domain.auth-mode-not-iam"]);
    assert!(record.aws_request_ids.posture.is_empty() && record.durations_ms.posture.is_none());
    assert_eq!(world.issuer.calls(), ["open_session", "inspect"], "only the first reached AWS");
    // Five minutes after it was looked at, it is looked at again.
    world.clock.advance(Duration::from_secs(100));
    assert_eq!(world.send(&mint("{}")).status(), 200);
    assert_eq!(world.send(&mint("{}")).status(), 200);
    assert_eq!(world.issuer.calls()[2..], ["open_session", "inspect", "presign", "open_session", "presign"]);
}

#[test]
fn a_target_that_is_not_in_service_is_not_ready_and_looked_at_again() {
    let world = gated(PostureMode::Enforce);
    world.issuer.see(Ok(seen(&[Finding::ProfileNotInService], Some(("Pending", true)))));
    let response = world.refuses(&mint("{}"), 409, Code::TargetNotReady, "posture.not-in-service");
    assert_eq!(response.headers()["Retry-After"], "15");
    assert!(response.body().contains(r#""state":"Pending""#), "{}", response.body());
    assert_eq!(world.sink.records().pop().unwrap().findings, ["profile.not-in-service"]);
    world.issuer.see(Ok(seen(&[Finding::DomainNotInService], Some(("Failed", false)))));
    let response = world.refuses(&mint("{}"), 409, Code::TargetNotReady, "posture.not-in-service");
    assert_eq!(response.headers().get("Retry-After"), None, "waiting does not help");
    // Nor does it where the target falls short besides.
    world.issuer.see(Ok(seen(&[Finding::NotVpcOnly, Finding::ProfileNotInService], Some(("Pending", true)))));
    let response = world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.not-compliant");
    assert!(!response.body().contains("Pending") && !response.headers().contains_key("Retry-After"));
    world.issuer.see(Ok(seen(&[], None)));
    assert_eq!(world.send(&mint("{}")).status(), 200);
}

#[test]
fn a_gate_that_reports_lets_everybody_through() {
    let world = gated(PostureMode::Report);
    world.issuer.see(Ok(seen(&[Finding::NotVpcOnly], None)));
    for known in [false, true] {
        let (response, record) = world.audited(&mint("{}"));
        assert_eq!((response.status(), record.decision, record.reason), (200, Verdict::Allow, None));
        assert_eq!(record.findings, ["domain.not-vpc-only"]);
        assert_eq!(record.aws_request_ids.posture.is_empty(), known);
    }
    assert_eq!(world.issuer.calls(), ["open_session", "inspect", "presign", "open_session", "presign"]);
    let world = gated(PostureMode::Report);
    world.issuer.see(Ok(seen(&[Finding::ProfileNotInService], Some(("Pending", true)))));
    let (response, record) = world.audited(&mint("{}"));
    assert_eq!((response.status(), record.findings), (200, vec!["profile.not-in-service"]));
}

#[test]
fn a_gate_that_cannot_look_is_closed_or_says_so() {
    let denied = Denial::unavailable(Reason("sagemaker.access-denied")).with_aws_request_id(Some("denied-1".into()));
    let gone = Denial::new(Code::TargetNotReady, Reason("sagemaker.not-found")).with_state("NotFound");

    let world = gated(PostureMode::Enforce);
    world.issuer.see(Err(denied.clone()));
    world.refuses(&mint("{}"), 503, Code::Unavailable, "sagemaker.access-denied");
    let record = world.sink.records().pop().unwrap();
    assert_eq!((record.aws_request_ids.posture, record.findings), (vec!["denied-1".to_owned()], vec![]));
    world.issuer.see(Err(gone));
    world.refuses(&mint("{}"), 409, Code::TargetNotReady, "sagemaker.not-found");
    world.issuer.see(Ok(seen(&[], None)));
    assert_eq!(world.send(&mint("{}")).status(), 200, "a failure is not kept");

    let world = gated(PostureMode::Report);
    world.issuer.see(Err(denied));
    for _ in 0..2 {
        let (response, record) = world.audited(&mint("{}"));
        assert_eq!((response.status(), record.findings), (200, vec!["posture.not-inspected"]));
        assert_eq!((record.reason, record.detail.as_deref()), (None, Some("sagemaker.access-denied")));
    }
    assert_eq!(world.issuer.calls(), ["open_session", "inspect", "presign"].repeat(2));
}

#[test]
fn a_gate_that_is_off_looks_at_nothing() {
    let world = gated(PostureMode::Off);
    world.issuer.see(Ok(seen(&Finding::ALL, None)));
    let (response, record) = world.audited(&mint("{}"));
    assert_eq!((response.status(), record.findings), (200, vec![]));
    assert_eq!(world.issuer.calls(), ["open_session", "presign"]);
}

#[test]
fn a_token_that_the_gate_refused_stays_good() {
    let mut world = gated(PostureMode::Enforce);
    world.service.broker.rules.replay_guard = true;
    world.issuer.see(Ok(seen(&[Finding::NotVpcOnly], None)));
    world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.not-compliant");
    world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.not-compliant");
    world.service.broker.posture = PostureGate::new(PostureMode::Enforce);
    world.issuer.see(Ok(seen(&[], None)));
    assert_eq!(world.send(&mint("{}")).status(), 200);
    world.refuses(&mint("{}"), 401, Code::InvalidToken, "token.replayed");
}

#[test]
fn a_gate_looks_at_the_kinds_that_it_knows_alone() {
    let world = gated(PostureMode::Enforce);
    world.issuer.see(Ok(seen(&[Finding::RootAccess], None)));
    let row = |kind: &str, name: &str, value: &str| {
        Item::from([("kind".to_owned(), Value::S(kind.to_owned())), (name.to_owned(), Value::S(value.to_owned()))])
    };
    world.table.put("SUBJECT#okta#alice", "TARGET#research", row("notebook", "notebook_instance_name", "alice"));
    world.refuses(&mint("{}"), 403, Code::TargetNotCompliant, "posture.not-compliant");
    world.table.put("SUBJECT#okta#alice", "TARGET#research", row("mlflow-server", "tracking_server_name", "team"));
    let (response, record) = world.audited(&mint("{}"));
    assert_eq!((response.status(), record.findings), (200, vec![]));
    assert_eq!(world.issuer.calls(), ["open_session", "inspect", "open_session", "presign"]);
}

#[test]
fn a_notebooks_five_minutes_are_said() {
    let world = World::new();
    let row = [("kind", "notebook"), ("notebook_instance_name", "alice")];
    world.table.put("SUBJECT#okta#alice", "TARGET#research", row.map(|(k, v)| (k.to_owned(), Value::S(v.to_owned()))).into());
    let (response, record) = world.audited(&mint("{}"));
    let body: serde_json::Value = serde_json::from_str(response.body()).unwrap();
    assert_eq!((&body["expires_in_seconds"], &body["kind"], &body["session_seconds"]), (&300.into(), &"notebook".into(), &28800.into()));
    assert_eq!(body["expires_at"], NOW.plus_seconds(300).rfc3339());
    assert_eq!((record.url_seconds, record.kind), (Some(300), Some("notebook")));
}

/// The world with a grant that wants its profile to be made, without a limit on uses.
fn provisioned() -> World {
    let mut world = World::new();
    world.service.broker.rules.rate_limit = None;
    let plan = Item::from([("execution_role_arn".to_owned(), Value::S("arn:aws:iam::111122223333:role/studio".to_owned()))]);
    let mut grant = studio("d-abc", "alice");
    grant.insert("provision".to_owned(), Value::M(plan));
    world.table.put("SUBJECT#okta#alice", "TARGET#research", grant);
    world
}

#[test]
fn a_profile_is_made_at_first_login() {
    let world = provisioned();
    world.issuer.find_profile(Ok(Profile::Created));
    let response = world.refuses(&mint("{}"), 409, Code::TargetNotReady, "provision.created");
    assert_eq!(response.headers()["Retry-After"], "15");
    assert!(response.body().contains(r#""state":"Pending""#), "{}", response.body());
    let record = world.sink.records().pop().unwrap();
    assert_eq!(record.provision_role.as_deref(), Some("arn:aws:iam::111122223333:role/provisioning"));
    assert_eq!(record.source_identity.as_deref(), Some("okta.alice"));
    assert_eq!(record.aws_request_ids.provision, ["profile-request"]);
    assert!(record.durations_ms.provision.is_some());

    world.issuer.find_profile(Ok(Profile::Own(Some(NotReady { state: "Pending".to_owned(), passes: true }))));
    let response = world.refuses(&mint("{}"), 409, Code::TargetNotReady, "provision.not-in-service");
    assert_eq!(response.headers()["Retry-After"], "15");
    world.issuer.find_profile(Ok(Profile::Own(Some(NotReady { state: "Failed".to_owned(), passes: false }))));
    let response = world.refuses(&mint("{}"), 409, Code::TargetNotReady, "provision.not-in-service");
    assert!(!response.headers().contains_key("Retry-After"), "waiting does not help");
    assert_eq!(world.issuer.calls(), ["ensure_profile"; 3], "nothing is opened before it is there");

    world.issuer.find_profile(Ok(Profile::Own(None)));
    let (response, record) = world.audited(&mint("{}"));
    assert_eq!((response.status(), record.reason), (200, None));
    // Seen a moment ago: it is not looked for again, for five minutes.
    let (response, record) = world.audited(&mint("{}"));
    assert_eq!((response.status(), record.provision_role), (200, None));
    assert_eq!(world.issuer.calls()[3..], ["ensure_profile", "open_session", "presign", "open_session", "presign"]);
    world.clock.advance(Duration::from_secs(300));
    world.tokens.insert(TOKEN, Ok(fakes::principal("okta", "alice", None, NOW.plus_seconds(900)).unwrap()));
    assert_eq!(world.send(&mint("{}")).status(), 200);
    assert_eq!(world.issuer.calls()[8..], ["ensure_profile", "open_session", "presign"]);
}

#[test]
fn somebody_elses_profile_is_never_taken_over() {
    let world = provisioned();
    world.issuer.find_profile(Ok(Profile::Foreign));
    for _ in 0..2 {
        let response = world.refuses(&mint("{}"), 403, Code::NotEntitled, "provision.foreign-profile");
        assert!(!response.headers().contains_key("Retry-After"));
    }
    assert_eq!(world.issuer.calls(), ["ensure_profile"], "what is known is refused without a call");
    world.clock.advance(Duration::from_secs(60));
    // What was seen to be alice's own says nothing of another user with the same grant.
    world.issuer.find_profile(Ok(Profile::Own(None)));
    assert_eq!(world.send(&mint("{}")).status(), 200);
    let row = world.table.get("SUBJECT#okta#alice", "TARGET#research").unwrap();
    world.table.put("SUBJECT#okta#mallory", "TARGET#research", row);
    world.tokens.insert(TOKEN, Ok(fakes::principal("okta", "mallory", None, NOW.plus_seconds(300)).unwrap()));
    world.issuer.find_profile(Ok(Profile::Foreign));
    world.refuses(&mint("{}"), 403, Code::NotEntitled, "provision.foreign-profile");
}

#[test]
fn a_profile_that_cannot_be_looked_for_is_not_opened() {
    let world = provisioned();
    world.issuer.find_profile(Err(Denial::unavailable(Reason("sts.timeout")).with_aws_request_id(Some("denied-1".into()))));
    let response = world.refuses(&mint("{}"), 503, Code::Unavailable, "sts.timeout");
    assert_eq!(response.headers()["Retry-After"], "5");
    let record = world.sink.records().pop().unwrap();
    assert_eq!(
        (record.aws_request_ids.provision, record.source_identity.as_deref()),
        (vec!["profile-request".to_owned()], Some("okta.alice"))
    );
    assert_eq!(world.issuer.calls(), ["ensure_profile"]);
    world.issuer.find_profile(Ok(Profile::Changing));
    let response = world.refuses(&mint("{}"), 409, Code::TargetNotReady, "provision.not-in-service");
    assert_eq!(response.headers()["Retry-After"], "15");
}

/// Whoever deletes a profile has it made again, and is not told for minutes that it is not there.
#[test]
fn a_profile_that_turns_out_to_be_gone_is_looked_for_again() {
    let world = provisioned();
    assert_eq!(world.send(&mint("{}")).status(), 200);
    let gone = Denial::new(Code::TargetNotReady, Reason("sagemaker.not-found")).with_state("NotFound");
    world.issuer.refuse_presign(Some(gone));
    world.refuses(&mint("{}"), 409, Code::TargetNotReady, "sagemaker.not-found");
    world.issuer.find_profile(Ok(Profile::Created));
    world.refuses(&mint("{}"), 409, Code::TargetNotReady, "provision.created");
    assert_eq!(world.issuer.calls(), ["ensure_profile", "open_session", "presign", "open_session", "presign", "ensure_profile"]);
}

/// A portal shows a button for what opens, and for nothing else.
#[test]
fn what_can_never_open_is_not_listed_as_enabled() {
    let mut world = provisioned();
    let enabled = |world: &World| {
        let body: serde_json::Value = serde_json::from_str(world.send(&event("GET", "/targets", "{}")).body()).unwrap();
        body["targets"][0]["enabled"].as_bool().unwrap()
    };
    assert!(enabled(&world));
    world.service.broker.rules.terms.provision_role_arn = None;
    assert!(!enabled(&world), "profiles are not made here");
    for (name, value) in [("account_id", "444455556666"), ("region", "cn-north-1")] {
        let mut row = studio("d-abc", "alice");
        row.insert(name.to_owned(), Value::S(value.to_owned()));
        world.table.put("SUBJECT#okta#alice", "TARGET#research", row);
        assert!(!enabled(&world), "{name}");
    }
}

#[test]
fn where_profiles_are_not_made_such_a_grant_opens_nothing() {
    let mut world = provisioned();
    world.service.broker.rules.terms.provision_role_arn = None;
    world.refuses(&mint("{}"), 403, Code::NotEntitled, "provision.off");
    assert!(world.issuer.calls().is_empty(), "no call to AWS");
}

#[test]
fn without_a_record_there_is_no_url() {
    let world = World::new();
    world.sink.fail();
    let response = world.send(&mint("{}"));
    assert_eq!(response.status(), 500);
    assert!(!response.body().contains("canary"));
    assert!(response.headers().get("Location").is_none());
}

#[test]
fn a_request_that_is_cut_off_is_answered_and_audited() {
    let world = World::new();
    let event = mint("{}");
    let invocation = Invocation { event: event.as_bytes(), id: "invocation-1", account_id: None, budget: Duration::ZERO };
    let response = world.service.handle(invocation, std::future::pending()).now_or_never().unwrap();
    assert_eq!(response.status(), 503);
    assert_eq!(world.sink.records().last().unwrap().reason, Some("deadline.passed"));
    assert!(world.issuer.calls().is_empty());
}

#[test]
fn a_panic_is_answered_and_audited() {
    struct Panics;
    impl latchkey_domain::ports::Authenticator for Panics {
        async fn authenticate(
            &self,
            _: &latchkey_domain::token::BearerToken,
            _: Timestamp,
            _: Duration,
        ) -> Result<latchkey_domain::identity::Principal, AuthenticationError> {
            panic!("a bug")
        }
        fn key_age(&self, _: &latchkey_domain::identity::IssuerId, _: Timestamp) -> Option<Duration> {
            None
        }
    }
    let World { service, sink, .. } = World::new();
    let Service { broker, endpoints, .. } = service;
    let broker = Broker {
        authenticator: Panics,
        store: broker.store,
        issuer: broker.issuer,
        clock: broker.clock,
        rules: broker.rules,
        posture: broker.posture,
        profiles: broker.profiles,
    };
    let service = Service { broker, sink: sink.clone(), endpoints };
    let event = mint("{}");
    let invocation = Invocation { event: event.as_bytes(), id: "invocation-1", account_id: None, budget: Duration::from_secs(5) };
    let response = service.handle(invocation, std::future::pending()).now_or_never().unwrap();
    assert_eq!(response.status(), 500);
    let record = sink.records().pop().unwrap();
    assert_eq!((record.code, record.reason, record.vpc_endpoint.as_deref()), ("internal", Some("broker.panicked"), Some("vpce-0a")));
}

#[test]
fn nothing_of_a_token_or_a_url_is_in_any_record() {
    let world = World::new();
    world.send(&mint("{}"));
    world.send(&mint(r#"{"headers":{"Authorization":"Bearer canary.other"},"multiValueHeaders":null}"#));
    world.send(&with_body(r#"{"target":"canary/x"}"#));
    for record in world.sink.records() {
        assert!(!serde_json::to_string(&record).unwrap().contains("canary"), "{record:?}");
    }
}

#[test]
fn an_odd_request_id_is_not_repeated() {
    let world = World::new();
    let response = world.send(&mint(r#"{"requestContext":{"requestId":"a\r\nSet-Cookie: x","identity":{"vpceId":"vpce-0a"}}}"#));
    assert_eq!(response.headers()["X-Request-Id"], "invocation-1");
}
