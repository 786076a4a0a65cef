//! `latchkey explain` and the broker decide alike, by the same code: on every event in `events/`, on generated requests, and in what
//! they would call. And an explanation changes nothing anywhere.

// The SDK's futures are nested so deeply that the compiler gives up on the layout of what awaits them.
#![recursion_limit = "256"]

use std::collections::{BTreeSet, HashMap};
use std::path::PathBuf;
use std::time::Duration;

use broker::config::Config;
use broker::service::{self, Ports, over};
use futures_util::FutureExt as _;
use latchkey::explain::check::Check;
use latchkey::explain::ports::{Caller, Shifted};
use latchkey::explain::{AccountNeeded, Asked, Decision, Explainer, Explanation, Outcome};
use latchkey_api::service::Invocation;
use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_store::Table;
use latchkey_domain::audit::AuditRecord;
use latchkey_domain::clock::{SystemClock, Timestamp};
use latchkey_domain::decision::Reason;
use latchkey_domain::fakes::{self, KnownTokens, ManualClock, MemorySink, MemoryTable, ScriptedIssuer};
use latchkey_domain::identity::{Identity, IssuerId, Subject};
use latchkey_domain::item::{Item, Value as Attribute};
use latchkey_domain::ports::{AuthenticationError, UsageLedger as _};
use latchkey_oidc::refusal::TokenRefusal;
use latchkey_oidc::verifier::Verifier;
use latchkey_standin::captured::Captured;
use latchkey_tests::aws_check::{form, json as body};
use latchkey_tests::stack::{World, clients, launch, long_window};
use latchkey_tests::tools::root;
use latchkey_transport::Transport;
use proptest::prelude::*;
use serde_json::{Map, Value, json};

const BUDGET: Duration = Duration::from_secs(10);

// --- Over the stand-ins -----------------------------------------------------------------------------------------------------

struct Scene {
    world: World,
    variables: HashMap<String, String>,
    environment: Environment,
}

impl Scene {
    fn new(overrides: &[(&str, &str)]) -> Self {
        let world = World::start();
        let variables = world.env(overrides).into_iter().collect();
        let environment = world.environment(overrides);
        Self { world, variables, environment }
    }

    fn config(&self) -> Config {
        Config::from_environment(|name| self.variables.get(name).cloned()).unwrap()
    }

    fn explain(&self, event: &str) -> Explanation {
        let explaining = async {
            let mut config = self.config();
            let clients = clients(&self.environment);
            let table = Table::new(clients.dynamodb(), config.table.clone());
            let issuers = std::mem::take(&mut config.issuers);
            let caller = Caller::OfTheToken(Verifier::new(issuers, Transport::new(None).unwrap(), table.clone(), SystemClock::new()));
            Explainer::new(Asked::Event, config, &clients, caller, table, SystemClock::new()).explain(event.as_bytes(), None).await
        };
        self.world.block_on(explaining).unwrap()
    }

    /// What the broker does, new each time: it has opened no session yet.
    fn answer(&self, event: &str) -> (u16, Option<AuditRecord>) {
        self.world.block_on(async {
            let sink = MemorySink::default();
            let live = service::build(self.config(), &self.environment, SystemClock::new(), sink.clone()).unwrap();
            let invocation = Invocation { event: event.as_bytes(), id: "explain", account_id: None, budget: BUDGET };
            let answer = live.service.handle(invocation, std::future::pending()).await;
            (answer.status(), sink.records().pop())
        })
    }

    /// What STS and SageMaker were asked since the last time.
    fn calls(&self) -> Vec<(String, Value)> {
        let calls = self.world.captured().into_iter().filter(|call| matches!(call.service.as_str(), "sts" | "sagemaker"));
        let calls = calls.map(|call| (call.action.clone(), parameters(&call))).collect();
        self.world.clear_captured();
        calls
    }

    /// What the table, STS and SageMaker were asked since the last time, by name.
    fn actions(&self) -> Vec<String> {
        let actions = self.world.captured().into_iter().map(|call| call.action).collect();
        self.world.clear_captured();
        actions
    }
}

/// What a request that was received says, read by another reader than the one that is tested.
fn parameters(call: &Captured) -> Value {
    if call.service == "sagemaker" {
        return body(call);
    }
    let mut members: Map<String, Value> = form(call).into_iter().map(|(name, value)| (name, value.into())).collect();
    members.retain(|name, _| name != "Action" && name != "Version");
    members["DurationSeconds"] = members["DurationSeconds"].as_str().unwrap().parse::<u32>().unwrap().into();
    if let Some(policy) = members.get_mut("Policy") {
        *policy = serde_json::from_str(policy.as_str().unwrap()).unwrap();
    }
    Value::Object(members)
}

/// The calls, those in one order that are made side by side: what comes first on the wire is chance.
fn settled(mut calls: Vec<(String, Value)>) -> Vec<(String, Value)> {
    let is_described = |call: &(String, Value)| call.0.starts_with("Describe");
    for run in calls.chunk_by_mut(|one, next| is_described(one) && is_described(next)) {
        run.sort_by(|one, other| one.0.cmp(&other.0));
    }
    calls
}

fn explained_calls(explanation: &Explanation) -> Vec<(String, Value)> {
    let always = explanation.calls.iter().filter(|planned| planned.only_if.is_none());
    always.map(|planned| (planned.call.operation.clone(), Value::Object(planned.call.parameters.clone()))).collect()
}

fn events() -> Vec<(String, String, Value)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(root().join("events")).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|path| path.extension().is_some_and(|e| e == "json") && !path.to_string_lossy().ends_with(".expected.json"));
    files.sort();
    let read = |path: &PathBuf| std::fs::read_to_string(path).unwrap();
    let named = |path: PathBuf| {
        let expected = serde_json::from_str(&read(&path.with_extension("expected.json"))).unwrap();
        (path.file_stem().unwrap().to_string_lossy().into_owned(), read(&path), expected)
    };
    files.into_iter().map(named).collect()
}

/// What two records must have in common. Ids of requests, times and the URL's hash are each one's own.
fn decided(record: &AuditRecord) -> Value {
    let mut decided = serde_json::to_value(record).unwrap();
    for own in ["time", "request_id", "aws_request_ids", "durations_ms", "key_age_seconds", "url_sha256", "findings"] {
        decided.as_object_mut().unwrap().remove(own);
    }
    decided
}

/// What an explanation says of the members of a record.
fn said(explanation: &Explanation, member: &str) -> Option<Value> {
    let grant = explanation.grant.as_ref();
    let terms = grant.and_then(|grant| grant.terms.as_ref());
    Some(match member {
        "decision" => json!(explanation.decision),
        "action" => json!(explanation.action),
        "code" => json!(explanation.code),
        "reason" => json!(explanation.refusal.as_ref().map(|refusal| refusal.reason)),
        "detail" => json!(explanation.refusal.as_ref().and_then(|refusal| refusal.detail.clone())),
        "issuer_id" => json!(explanation.issuer),
        "subject" => json!(explanation.subject),
        // A refusal that comes before the grant has of these what was asked for.
        "target" if grant.is_some() => json!(grant?.target),
        "kind" if grant.is_some() => json!(grant?.attributes["kind"]),
        "account" if terms.is_some() => json!(terms?.account),
        "region" if terms.is_some() => json!(terms?.region),
        "resource_arn" if terms.is_some() => json!(terms?.resource_arn),
        "role" if terms.is_some() => json!(terms?.role),
        "url_seconds" if terms.is_some() => json!(terms?.url_seconds),
        "session_seconds" if terms.is_some() => json!(terms?.session_seconds),
        _ => return None,
    })
}

#[test]
fn every_event_is_explained_as_the_broker_answers_it() {
    let mut compared = 0;
    for posture in ["off", "report"] {
        let scene = Scene::new(&[("LATCHKEY_RATE_LIMIT", "1000/60"), ("LATCHKEY_POSTURE", posture)]);
        for (name, event, expected) in events() {
            let event = latchkey::event::fill_in(&event, async |spec| Ok(scene.world.token(spec))).now_or_never().unwrap().unwrap();
            scene.world.clear_captured();
            let explanation = scene.explain(&event);
            let read = scene.actions();
            assert!(read.iter().all(|action| ["BatchGetItem", "Query", "GetItem"].contains(&action.as_str())), "{name}: {read:?}");

            // As the file beside it says.
            assert_eq!(explanation.status, expected["status"], "{name}");
            for (member, value) in expected["audit"].as_object().into_iter().flatten() {
                if let Some(said) = said(&explanation, member) {
                    assert_eq!(said, *value, "{name}: {member}");
                    compared += 1;
                }
            }
            // As the broker does it: the answer, the record, and each call.
            let (status, record) = scene.answer(&event);
            assert_eq!(explanation.status, status, "{name}");
            assert_eq!(explanation.action, record.as_ref().map(|record| record.action), "{name}");
            for (member, value) in record.iter().flat_map(|record| decided(record).as_object().unwrap().clone()) {
                if let Some(said) = said(&explanation, &member) {
                    assert_eq!(said, value, "{name}: {member}");
                }
            }
            assert_eq!(settled(explained_calls(&explanation)), settled(scene.calls()), "{name}");
            assert_eq!(explanation.decision == Decision::Allow, status < 400, "{name}");
            assert!(explanation.decision != Decision::Unknown, "{name}");

            // Whoever reads it gets no token and no URL.
            let shown = format!("{}{}", json!(explanation), latchkey::explain::text::explained(&explanation));
            for secret in ["eyJ", "https://none", "Bearer "] {
                assert!(!shown.contains(secret), "{name}: {secret}… is shown");
            }
        }
    }
    assert!(compared > 400, "only {compared} members of records were compared");
}

/// The table in `docs/operations.md` names every member, and no other; so it does for those of each check, grant, target and call.
#[test]
fn the_members_are_documented() {
    let scene = Scene::new(&[]);
    let event = launch("members", &scene.world.token("bob"), None).to_string();
    let explanation = json!(scene.explain(&event));
    let document = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let (_, table) = document.split_once("| member | meaning |").unwrap();
    // The document has another such table, of another command.
    let table = table.trim_start().lines().take_while(|line| line.starts_with('|'));
    let rows: Vec<(&str, &str)> = table.filter_map(|line| line.strip_prefix("| `")?.split_once(" | ")).collect();
    let names = |text: &str| text.split('`').skip(1).step_by(2).map(ToOwned::to_owned).collect::<BTreeSet<_>>();
    let members = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<BTreeSet<_>>();
    let documented: BTreeSet<String> = rows.iter().flat_map(|(cell, _)| names(&format!("`{cell}"))).collect();
    assert_eq!(documented, members(&explanation));
    for (member, value) in [
        ("checks", &explanation["checks"][0]),
        ("grant", &explanation["grant"]),
        ("grant", &explanation["grant"]["terms"]),
        ("targets", &explanation["targets"][0]),
        ("calls", &explanation["calls"][0]),
    ] {
        let (_, meaning) = rows.iter().find(|(cell, _)| *cell == format!("{member}`")).unwrap();
        let missing: Vec<_> = members(value).difference(&names(meaning)).cloned().collect();
        assert!(missing.is_empty(), "{member}: {missing:?}");
    }
}

/// What is made at first login, and what is called once the profile is there.
#[test]
fn a_first_login_is_explained_as_it_goes() {
    let scene = Scene::new(&[("LATCHKEY_POSTURE", "enforce")]);
    let event = launch("first", &scene.world.token("ivan"), None).to_string();
    scene.world.clear_captured();
    let explanation = scene.explain(&event);
    assert_eq!(explanation.decision, Decision::Allow);
    let operations: Vec<&str> = explanation.calls.iter().map(|planned| planned.call.operation.as_str()).collect();
    assert_eq!(operations[..4], ["AssumeRole", "DescribeUserProfile", "CreateUserProfile", "ListTags"]);
    assert_eq!(operations.last(), Some(&"CreatePresignedDomainUrl"));
    let made = &explanation.calls[2];
    assert!(made.only_if.is_some() && explanation.calls.iter().filter(|planned| planned.only_if.is_some()).count() == 1);
    let roles: Vec<_> = explanation.calls.iter().map(|planned| planned.call.role.as_deref()).collect();
    let provisioning = Some("arn:aws:iam::111122223333:role/latchkey-provisioning");
    assert_eq!(roles[..5], [None, provisioning, provisioning, provisioning, None]);
    assert!(roles[5..].iter().all(|role| *role == Some("arn:aws:iam::111122223333:role/latchkey-issuing")), "{roles:?}");
    assert!(
        explanation.not_asked.iter().any(|one| one.contains("user profile"))
            && explanation.not_asked.iter().any(|one| one.contains("posture"))
    );
    scene.world.clear_captured();

    // There is none yet, so the broker makes it, as was shown.
    let (status, record) = scene.answer(&event);
    assert_eq!((status, record.unwrap().reason), (409, Some("provision.created")));
    let calls = scene.calls();
    let shown = |index: usize| (operations[index].to_owned(), Value::Object(explanation.calls[index].call.parameters.clone()));
    assert_eq!(calls, [shown(0), shown(1), shown(2)]);
}

#[test]
fn what_counts_is_shown_and_not_counted() {
    let window = long_window();
    let scene = Scene::new(&[("LATCHKEY_RATE_LIMIT", &format!("2/{window}")), ("LATCHKEY_REPLAY", "jti")]);
    let event = |user: &str| launch("counted", &scene.world.token(user), None).to_string();
    let about = |explanation: &Explanation| {
        let of = |check| explanation.checks.iter().find(|checked| checked.check == check).unwrap();
        (of(Check::RateLimit).about.clone().unwrap_or_default(), of(Check::RateLimit).outcome, of(Check::Replay).outcome)
    };
    let first = event("alice");
    for _ in 0..3 {
        assert_eq!(about(&scene.explain(&first)), (format!("0 of 2 used, in windows of {window} s"), Outcome::Passed, Outcome::Passed));
    }
    assert_eq!(scene.answer(&first).0, 200);
    // The token is used, which says nothing of another.
    let explanation = scene.explain(&first);
    assert_eq!(about(&explanation), (String::new(), Outcome::NotReached, Outcome::Failed));
    assert_eq!((explanation.status, explanation.refusal.unwrap().reason), (401, "token.replayed"));
    let second = event("alice");
    assert_eq!(scene.explain(&second).decision, Decision::Allow);
    assert_eq!(scene.answer(&second).0, 200);
    let explanation = scene.explain(&event("alice"));
    assert_eq!(about(&explanation).1, Outcome::Failed);
    assert_eq!((explanation.status, explanation.code), (429, "rate-limited"));
    assert!(explanation.retry_after_seconds.is_some_and(|seconds| (1..=window).contains(&seconds)));
    assert_eq!(scene.answer(&event("bob")).0, 200, "another user's is another's");
}

// --- Over ports in memory ---------------------------------------------------------------------------------------------------

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const ISSUING: &str = "arn:aws:iam::111122223333:role/issuing";

/// Grants by their targets' names.
type Grants = Vec<(&'static str, Vec<(&'static str, Attribute)>)>;

/// A broker and whatever surrounds it, before anybody asks.
#[derive(Debug, Clone, Default)]
struct Situation {
    variables: Vec<(&'static str, String)>,
    standing: Option<&'static str>,
    /// The user's own profile, for the grants of groups.
    profile: Option<&'static str>,
    grants: Grants,
    /// The groups that the token names, each with its grants; one without any has no row.
    groups: Vec<(&'static str, Grants)>,
    used: u32,
    is_claimed: bool,
    /// What the authenticator makes of the token; none for one that is good.
    refusal: Option<TokenRefusal>,
    event: String,
}

/// What the broker answers and what is explained, in the same situation.
struct Outcomes {
    status: u16,
    retry_after: Option<String>,
    record: Option<AuditRecord>,
    explanation: Result<Explanation, AccountNeeded>,
    /// What was asked of the table for the explanation.
    requests: Vec<&'static str>,
}

impl Situation {
    fn config(&self) -> Config {
        let fixed = [
            ("LATCHKEY_ISSUERS", r#"[{"id":"okta","issuer":"https://idp.example","audiences":["b"]}]"#.to_owned()),
            ("LATCHKEY_TABLE", "latchkey".to_owned()),
            ("LATCHKEY_VPC_ENDPOINT_IDS", "vpce-0a".to_owned()),
        ];
        let all: HashMap<&str, String> = fixed.into_iter().chain(self.variables.clone()).collect();
        Config::from_environment(|name| all.get(name).cloned()).unwrap()
    }

    fn run(&self) -> Outcomes {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async {
            let (table, tokens, clock) = (MemoryTable::default(), KnownTokens::default(), ManualClock::at(NOW));
            let subject = [("status", self.standing), ("user_profile_name", self.profile)];
            let subject: Item = subject.iter().filter_map(|(name, value)| Some(((*name).to_owned(), text((*value)?)))).collect();
            if !subject.is_empty() {
                table.put("SUBJECT#okta#jane", "SUBJECT", subject);
            }
            let row = |attributes: &[(&str, Attribute)]| -> Item {
                attributes.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect()
            };
            for (name, attributes) in &self.grants {
                table.put("SUBJECT#okta#jane", &format!("TARGET#{name}"), row(attributes));
            }
            for (group, grants) in self.groups.iter().filter(|(_, grants)| !grants.is_empty()) {
                let targets = grants.iter().map(|(name, attributes)| ((*name).to_owned(), Attribute::M(row(attributes)))).collect();
                table.put(&format!("GROUP#okta#{group}"), "GROUP", Item::from([("targets".to_owned(), Attribute::M(targets))]));
            }
            let groups: Vec<&str> = self.groups.iter().map(|(group, _)| *group).collect();
            let issuer = IssuerId::new("okta").unwrap();
            tokens.insert(
                "token",
                match self.refusal {
                    None => Ok(fakes::member("okta", "jane", Some("token-1"), &groups, NOW.plus_seconds(300)).unwrap()),
                    Some(refusal) => Err(AuthenticationError::Refused { reason: refusal.into(), issuer: Some(issuer.clone()) }),
                },
            );
            let identity = Identity { issuer, subject: Subject::new("jane").unwrap() };
            let config = self.config();
            if let Some(limit) = config.rate_limit {
                for _ in 0..self.used {
                    table.count(&identity, limit, NOW, BUDGET).await.unwrap();
                }
            }
            if self.is_claimed {
                table.claim_token(&identity, "token-1", NOW, NOW.plus_seconds(300), BUDGET).await.unwrap();
            }

            let before = table.requests().len();
            let caller = Caller::OfTheToken(tokens.clone());
            let explainer = Explainer::new(Asked::Event, self.config(), &aws(), caller, table.clone(), Shifted::to(None, clock.clone()));
            let explanation = explainer.explain(self.event.as_bytes(), None).await;
            let requests = table.requests().split_off(before);

            let (region, sink) = (aws().region().clone(), MemorySink::default());
            let ports = Ports { authenticator: tokens, store: table, issuer: ScriptedIssuer::default(), clock, sink: sink.clone() };
            let broker = over(ports, config, region);
            let invocation = Invocation { event: self.event.as_bytes(), id: "explain", account_id: None, budget: BUDGET };
            let answer = broker.handle(invocation, std::future::pending()).await;
            let retry_after = answer.headers().get("Retry-After").cloned();
            Outcomes { status: answer.status(), retry_after, record: sink.records().pop(), explanation, requests }
        })
    }
}

fn aws() -> Clients {
    let variables = [("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"), ("AWS_SECRET_ACCESS_KEY", "x")];
    let get = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
    clients(&Environment::read(get).unwrap())
}

fn text(text: &str) -> Attribute {
    Attribute::S(text.to_owned())
}

/// Some of the attributes that a grant can have: those without which it is none mostly among them.
fn attributes() -> impl Strategy<Value = Vec<(&'static str, Attribute)>> {
    let number = |n: i64| Attribute::N((1_800_000_000 + n).to_string());
    let landings = Attribute::M(Item::from([("lab".to_owned(), Attribute::M(Item::from([("space_name".to_owned(), text("lab"))])))]));
    let plan = |role: &str| Attribute::M(Item::from([("execution_role_arn".to_owned(), text(role))]));
    let mlflow = text("arn:aws:sagemaker:eu-central-1:111122223333:mlflow-app/app-ABCDEFGHIJ12");
    let target = prop_oneof![
        6 => Just(vec![("kind", text("studio")), ("domain_id", text("d-abc")), ("user_profile_name", text("Jane"))]),
        2 => Just(vec![("kind", text("notebook")), ("notebook_instance_name", text("nb"))]),
        2 => Just(vec![("kind", text("mlflow-app")), ("arn", mlflow)]),
        1 => Just(vec![("kind", text("studio")), ("domain_id", text("d-abc"))]),
    ];
    let further = prop_oneof![
        Just(("enabled", Attribute::Bool(false))),
        Just(("default", Attribute::Bool(true))),
        Just(("expires_at", number(0))),
        Just(("expires_at", number(1))),
        Just(("not_before", number(1))),
        Just(("landings", landings)),
        Just(("landing", text("lab"))),
        Just(("region", text("eu-west-1"))),
        Just(("region", text("cn-north-1"))),
        Just(("account_id", text("111122223333"))),
        Just(("account_id", text("444455556666"))),
        Just(("role_arn", text("arn:aws:iam::444455556666:role/theirs"))),
        Just(("url_seconds", Attribute::N("10".to_owned()))),
        Just(("url_seconds", text("10"))),
        Just(("provision", plan("arn:aws:iam::111122223333:role/studio"))),
        Just(("provision", plan("arn:aws:iam::444455556666:role/studio"))),
    ];
    (target, prop::collection::vec(further, 0..2)).prop_map(|(target, further)| target.into_iter().chain(further).collect())
}

/// A group's grants: as anybody's, mostly without a profile, as a group's have none.
fn of_a_group() -> impl Strategy<Value = Grants> {
    let one = (attributes(), prop::bool::weighted(0.9)).prop_map(|(mut attributes, is_legal)| {
        attributes.retain(|(name, _)| !is_legal || *name != "user_profile_name");
        attributes
    });
    prop::collection::btree_map(prop::sample::select(&["a", "b", "c"][..]), one, 0..3).prop_map(|grants| grants.into_iter().collect())
}

fn variables() -> impl Strategy<Value = Vec<(&'static str, String)>> {
    let maybe = |name: &'static str, values: &'static [&'static str]| {
        prop::option::of(prop::sample::select(values)).prop_map(move |value| value.map(|value| (name, value.to_owned())))
    };
    (
        maybe("LATCHKEY_ROLE_ARN", &[ISSUING]),
        maybe("LATCHKEY_PROVISION_ROLE_ARN", &["arn:aws:iam::111122223333:role/provisioning"]),
        maybe("LATCHKEY_RATE_LIMIT", &["off", "1/60", "2/60"]),
        maybe("LATCHKEY_REPLAY", &["jti"]),
        maybe("LATCHKEY_POSTURE", &["report", "enforce"]),
        maybe("LATCHKEY_SESSION_SCOPE", &["role"]),
    )
        .prop_map(|(a, b, c, d, e, f)| [a, b, c, d, e, f].into_iter().flatten().collect())
}

fn events_of_all_sorts() -> impl Strategy<Value = String> {
    let pick = |values: &'static [(u32, &'static str)]| {
        prop::strategy::Union::new_weighted(values.iter().map(|&(weight, value)| (weight, Just(value).boxed())).collect())
    };
    (
        pick(&[(24, r#""/presigned-urls""#), (2, r#""/targets""#), (1, r#""/health""#), (1, r#""/x""#), (1, "7")]),
        pick(&[(16, "POST"), (2, "GET")]),
        pick(&[(30, r#"{"Authorization":"Bearer token"}"#), (1, "{}"), (1, r#"{"Authorization":"Basic x"}"#), (1, r#"{"Authorization":"Bearer a, b"}"#)]),
        pick(&[
            (9, "null"),
            (9, r#""{\"target\":\"a\"}""#),
            (2, r#""{\"target\":\"c\",\"landing\":\"lab\"}""#),
            (2, r#""{\"landing\":\"lab\"}""#),
            (1, r#""{\"target\":7}""#),
        ]),
        pick(&[(30, r#"{"vpceId":"vpce-0a"}"#), (1, r#"{"vpceId":"vpce-0b"}"#), (1, "null")]),
        pick(&[(9, r#""111122223333""#), (1, "null")]),
    )
        .prop_map(|(path, method, headers, body, identity, account)| {
            format!(
                r#"{{"path":{path},"httpMethod":"{method}","headers":{headers},"body":{body},"requestContext":{{"identity":{identity},"accountId":{account}}}}}"#
            )
        })
}

fn situations() -> impl Strategy<Value = Situation> {
    (
        variables(),
        prop_oneof![24 => Just(None), 8 => Just(Some("active")), 1 => Just(Some("suspended")), 1 => Just(Some("retired"))],
        prop_oneof![6 => Just(Some("jane")), 2 => Just(None), 1 => Just(Some("no profile's name"))],
        prop::collection::btree_map(prop::sample::select(&["a", "b", "c"][..]), attributes(), 0..3),
        prop::collection::btree_map(prop::sample::select(&["risk", "traders"][..]), of_a_group(), 0..3),
        0u32..3,
        prop::bool::weighted(0.2),
        prop::option::weighted(0.1, prop::sample::select(&TokenRefusal::ALL[..])),
        events_of_all_sorts(),
    )
        .prop_map(|(variables, standing, profile, grants, groups, used, is_claimed, refusal, event)| Situation {
            variables,
            standing,
            profile,
            grants: grants.into_iter().collect(),
            groups: groups.into_iter().collect(),
            used,
            is_claimed,
            refusal,
            event,
        })
}

/// Brings a fault about, in what surrounds the broker or in the event.
type Fault = fn(&mut Situation, &mut Value);

/// Faults that can stand side by side, in no order, each with the check that it fails.
const FAULTS: [(Check, Fault); 14] = [
    (Check::RateLimit, |situation, _| situation.used = 2),
    (Check::Replay, |situation, _| situation.is_claimed = true),
    (Check::FirstLogin, |situation, _| {
        let role = Item::from([("execution_role_arn".to_owned(), text("arn:aws:iam::444455556666:role/studio"))]);
        situation.grants[0].1.push(("provision", Attribute::M(role)));
    }),
    (Check::Reach, |situation, _| situation.grants[0].1.push(("account_id", text("444455556666")))),
    (Check::Landing, |_, event| event["body"] = r#"{"target":"a","landing":"nowhere"}"#.into()),
    (Check::InForce, |situation, _| situation.grants[0].1.push(("enabled", Attribute::Bool(false)))),
    (Check::Grant, |situation, _| situation.grants[0].1.push(("url_seconds", text("x")))),
    (Check::Choice, |situation, _| situation.grants[0].0 = "b"),
    (Check::Standing, |situation, _| situation.standing = Some("suspended")),
    (Check::Body, |_, event| event["body"] = "7".into()),
    (Check::Audience, |situation, _| situation.refusal = Some(TokenRefusal::Audience)),
    (Check::Authorization, |_, event| event["headers"] = json!({})),
    (Check::Operation, |_, event| event["httpMethod"] = "PUT".into()),
    (Check::Endpoint, |_, event| event["requestContext"]["identity"]["vpceId"] = "vpce-0b".into()),
];

/// The adapter's own check of where SageMaker is, which comes last.
#[test]
fn an_endpoint_of_another_region_is_told_and_nothing_is_called() {
    let variables = [
        ("AWS_REGION", "eu-central-1"),
        ("AWS_ACCESS_KEY_ID", "AKIAEXAMPLE"),
        ("AWS_SECRET_ACCESS_KEY", "x"),
        ("AWS_ENDPOINT_URL_SAGEMAKER", "https://vpce-0a.api.sagemaker.eu-central-1.vpce.amazonaws.com"),
    ];
    let get = |name: &str| variables.iter().find(|(other, _)| *other == name).map(|(_, value)| (*value).to_owned());
    let clients = clients(&Environment::read(get).unwrap());
    let identity = Identity { issuer: IssuerId::new("okta").unwrap(), subject: Subject::new("jane").unwrap() };
    let explain = |region: &str| {
        let table = MemoryTable::default();
        let grant = [("kind", "studio"), ("domain_id", "d-abc"), ("user_profile_name", "jane"), ("role_arn", ISSUING), ("region", region)];
        table.put("SUBJECT#okta#jane", "TARGET#a", grant.iter().map(|(name, value)| ((*name).to_owned(), text(value))).collect());
        let nobody = Situation::default();
        let caller = Caller::<KnownTokens>::Named(identity.clone(), Vec::new());
        let explainer = Explainer::new(Asked::Subject, nobody.config(), &clients, caller, table, ManualClock::at(NOW));
        let event = json!({"path": "/presigned-urls", "httpMethod": "POST", "headers": {"Authorization": "Bearer none"}}).to_string();
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(explainer.explain(event.as_bytes(), None)).unwrap()
    };
    let explanation = explain("eu-west-1");
    assert_eq!((explanation.decision, explanation.status), (Decision::Deny, 503));
    assert_eq!(explanation.checks.last().map(|checked| (checked.check, checked.outcome)), Some((Check::EndpointRegion, Outcome::Failed)));
    assert!(explanation.calls.is_empty(), "{:?}", explanation.calls);
    let explanation = explain("eu-central-1");
    assert_eq!((explanation.decision, explanation.calls.len()), (Decision::Allow, 2));
    assert_eq!(explanation.calls[0].call.endpoint, "https://sts.eu-central-1.amazonaws.com");
    assert_eq!(explanation.calls[1].call.endpoint, variables[3].1);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn an_explanation_is_what_the_broker_decides(situation in situations()) {
        let Outcomes { status, retry_after, record, explanation, requests } = situation.run();
        prop_assert!(requests.iter().all(|request| ["read", "read-groups", "used", "is_claimed"].contains(request)), "{:?}", requests);
        let Ok(explanation) = explanation else {
            // It hangs on the account only where nobody says one.
            prop_assert!(situation.event.contains(r#""accountId":null"#));
            return Ok(());
        };
        prop_assert_eq!(explanation.status, status);
        prop_assert_eq!(explanation.retry_after_seconds.map(|seconds| seconds.to_string()), retry_after);
        prop_assert_eq!(explanation.action, record.as_ref().map(|record| record.action));
        prop_assert_eq!(explanation.decision == Decision::Allow, status < 400);
        let Some(record) = record else { return Ok(()) };
        for (member, value) in decided(&record).as_object().unwrap() {
            if let Some(said) = said(&explanation, member) {
                prop_assert_eq!(&said, value, "{}", member);
            }
        }
        // The check that ends it is the reason's, those before it have passed or were turned off, and those after it were not reached.
        let end = record.reason.map(|reason| Check::of(Reason(reason), &record).unwrap());
        for checked in &explanation.checks {
            let expected: &[Outcome] = match end {
                Some(end) if checked.check > end => &[Outcome::NotReached],
                Some(end) if checked.check == end => &[Outcome::Failed],
                Some(_) | None => &[Outcome::Passed, Outcome::Off],
            };
            prop_assert!(expected.contains(&checked.outcome), "{:?}", checked);
        }
        // What is shown of a grant is shown of the one that is meant, and its terms of what opens.
        prop_assert_eq!(explanation.grant.as_ref().is_some_and(|grant| grant.terms.is_some()), record.url_seconds.is_some());
        if let Some(grant) = &explanation.grant {
            let whose = situation.groups.iter().find(|(group, _)| Some(*group) == grant.group.as_deref()).map(|(_, grants)| grants);
            prop_assert_eq!(whose.is_some(), grant.group.is_some());
            let meant = whose.unwrap_or(&situation.grants).iter().find(|(name, _)| *name == grant.target);
            prop_assert!(meant.is_some_and(|(_, attributes)| attributes[0] == ("kind", grant.attributes["kind"].clone())));
        }
        // Who is refused is shown no call; who is not, the one that makes the URL, as the last.
        let makes_url = explanation.calls.last().is_some_and(|planned| planned.call.operation.contains("Presigned"));
        prop_assert_eq!(makes_url, record.url_seconds.is_some());
        prop_assert_eq!(explanation.calls.is_empty(), !makes_url);
    }

    /// Of several faults the one is told whose check is first in the list: it is the broker's order.
    #[test]
    fn the_checks_are_listed_in_the_brokers_order(faults in prop::sample::subsequence(FAULTS.to_vec(), 1..5)) {
        let mut event = json!({
            "path": "/presigned-urls", "httpMethod": "POST", "headers": {"Authorization": "Bearer token"},
            "body": r#"{"target":"a"}"#, "requestContext": {"accountId": "111122223333", "identity": {"vpceId": "vpce-0a"}},
        });
        let grant = vec![("kind", text("studio")), ("domain_id", text("d-abc")), ("user_profile_name", text("jane"))];
        let variable = |name, value: &str| (name, value.to_owned());
        let mut situation = Situation {
            variables: vec![
                variable("LATCHKEY_ROLE_ARN", ISSUING),
                variable("LATCHKEY_PROVISION_ROLE_ARN", "arn:aws:iam::111122223333:role/provisioning"),
                variable("LATCHKEY_RATE_LIMIT", "2/60"),
                variable("LATCHKEY_REPLAY", "jti"),
            ],
            grants: vec![("a", grant)],
            event: event.to_string(),
            ..Situation::default()
        };
        prop_assert_eq!(situation.run().explanation.unwrap().decision, Decision::Allow, "without a fault it opens");
        for (_, fault) in &faults {
            fault(&mut situation, &mut event);
        }
        situation.event = event.to_string();
        let first = faults.iter().map(|(check, _)| *check).min();
        let explanation = situation.run().explanation.unwrap();
        let failed = explanation.checks.iter().find(|checked| checked.outcome == Outcome::Failed).map(|checked| checked.check);
        prop_assert_eq!(failed, first);
    }
}
