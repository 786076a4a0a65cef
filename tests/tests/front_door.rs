//! Every row of the error table that an event alone does not reach (`events/` has the others), through the function's front door:
//! what the caller gets, what the record says, and what was asked of AWS.

use std::process::Command;
use std::time::{Duration, Instant};

use latchkey_domain::item::Item;
use latchkey_domain::names::{TargetName, UserProfileName};
use latchkey_domain::target::Target;
use latchkey_standin::fault::Fault;
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::process::Process;
use latchkey_tests::stack::{World, annotation, launch, long_window, targets};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// The function with a filled table behind it.
struct Door {
    world: World,
    emulator: Emulator,
}

impl Door {
    fn open(overrides: &[(&str, &str)]) -> Self {
        let world = World::start();
        let emulator = Emulator::start(&bootstrap(), &world.env(overrides));
        Self { world, emulator }
    }

    fn launch(&self, request_id: &str, user: &str) -> Answer {
        self.emulator.invoke(&launch(request_id, &self.world.token(user), None))
    }

    /// A refusal as `openapi.yaml` has it; gives back its record.
    #[track_caller]
    fn refuses(&self, request_id: &str, answer: &Answer, status: u64, code: &str, reason: &str) -> Value {
        let record = self.emulator.record_of(request_id);
        let said = (answer.status(), answer.body()["code"].as_str().unwrap_or_default().to_owned());
        assert_eq!(said, (status, code.to_owned()), "{record}");
        assert_eq!(answer.header("Content-Type"), Some("application/problem+json"));
        assert_eq!(answer.body()["type"], format!("urn:problem-type:latchkey:{code}"));
        assert_eq!(answer.body()["request_id"], request_id);
        assert_eq!((record["decision"].as_str(), record["code"].as_str()), (Some("deny"), Some(code)));
        assert_eq!(record["reason"], reason);
        assert_eq!(answer.header("Retry-After").is_some(), matches!(status, 429 | 503), "Retry-After where waiting helps");
        record
    }
}

#[test]
#[ignore = "needs the tools: make test"]
fn that_requests_are_taken_from_anywhere_is_said_at_every_level() {
    let door = Door::open(&[("LATCHKEY_VPC_ENDPOINT_IDS", "any"), ("LATCHKEY_LOG", "error")]);
    let mut event = launch("anywhere", &door.world.token("alice"), None);
    event["requestContext"]["identity"]["vpceId"] = Value::Null;
    assert_eq!(door.emulator.invoke(&event).status(), 200);
    door.emulator.record_of("anywhere");
    let lines = door.emulator.output().lines();
    let said = lines.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
    let said: Vec<Value> = said.filter(|line| line["variable"] == "LATCHKEY_VPC_ENDPOINT_IDS").collect();
    assert!(said.len() == 1 && said[0]["level"] == "ERROR", "{said:?}");
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_target_that_is_not_there_is_not_ready() {
    let door = Door::open(&[]);
    let alice = door.world.stack.user("alice").unwrap();
    let mut grant = alice.grants[0].clone();
    grant.name = TargetName::new("gone").unwrap();
    let Target::Studio(studio) = &mut grant.target else { panic!("alice has a Studio") };
    studio.user_profile_name = UserProfileName::new("nobody").unwrap();
    let identity = latchkey_domain::identity::Identity { issuer: door.world.stack.issuer_id().clone(), subject: alice.subject.clone() };
    let put = async {
        let operator = door.world.operator();
        operator.put_grant(&identity, &grant, &annotation(), latchkey_aws::grant_admin::Expect::Absent).await.unwrap();
    };
    door.world.block_on(put);
    let answer = door.emulator.invoke(&launch("gone-1", &door.world.token("alice"), Some(&json!({"target": "gone"}))));
    let record = door.refuses("gone-1", &answer, 409, "target-not-ready", "sagemaker.not-found");
    assert_eq!(answer.body()["state"], "NotFound");
    assert!(record["aws_request_ids"]["sagemaker"].is_string());
}

#[test]
#[ignore = "needs the tools: make test"]
fn the_rate_limit_is_counted_in_the_table() {
    let window = long_window();
    let limit = format!("2/{window}");
    // One limit for two environments.
    let door = Door::open(&[("LATCHKEY_RATE_LIMIT", &limit)]);
    let second = Emulator::start(&bootstrap(), &door.world.env(&[("LATCHKEY_RATE_LIMIT", &limit)]));
    assert_eq!(door.launch("rate-1", "alice").status(), 200);
    assert_eq!(second.invoke(&launch("rate-2", &door.world.token("alice"), None)).status(), 200);
    let calls = door.world.stack.aws.captured().len();
    let answer = door.launch("rate-3", "alice");
    door.refuses("rate-3", &answer, 429, "rate-limited", "usage.rate-limited");
    let wait: u32 = answer.header("Retry-After").unwrap().parse().unwrap();
    assert!((1..=window).contains(&wait));
    assert_eq!(door.world.stack.aws.captured().len(), calls, "nothing was asked of AWS");
    assert_eq!(door.launch("rate-4", "bob").status(), 200, "another user has a limit of their own");
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_token_opens_once_under_the_replay_guard() {
    let door = Door::open(&[("LATCHKEY_REPLAY", "jti")]);
    let token = door.world.token("alice");
    assert_eq!(door.emulator.invoke(&launch("replay-1", &token, None)).status(), 200);
    let answer = door.emulator.invoke(&launch("replay-2", &token, None));
    door.refuses("replay-2", &answer, 401, "invalid-token", "token.replayed");
    assert_eq!(answer.header("WWW-Authenticate"), Some("Bearer error=\"invalid_token\""));
    assert_eq!(door.launch("replay-3", "alice").status(), 200, "another token of the same user");
    // A token for which nothing was handed out stays good.
    door.world.stack.aws.inject("CreatePresignedDomainUrl", 1, &Fault::error(400, "ValidationException"));
    let token = door.world.token("alice");
    let answer = door.emulator.invoke(&launch("replay-4", &token, None));
    door.refuses("replay-4", &answer, 503, "unavailable", "sagemaker.validation");
    assert_eq!(door.emulator.invoke(&launch("replay-5", &token, None)).status(), 200);
}

#[test]
#[ignore = "needs the tools: make test"]
fn dependencies_that_fail_are_unavailable_in_time_and_well_again() {
    let door = Door::open(&[("LATCHKEY_RATE_LIMIT", "1000/60")]);
    let aws = &door.world.stack.aws;
    let relay = door.world.stack.table_relay.as_ref().unwrap();
    let late = Fault::Delay(Duration::from_secs(60));
    let cases: Vec<(&str, &str, Fault, &str)> = vec![
        ("table", "Query", Fault::error(500, "InternalServerError"), "dynamodb.failed"),
        ("table", "Query", Fault::error(400, "ProvisionedThroughputExceededException"), "dynamodb.throttled"),
        ("table", "Query", Fault::error(400, "AccessDeniedException"), "dynamodb.access-denied"),
        ("table", "Query", Fault::Malformed, "dynamodb.malformed-answer"),
        ("table", "Query", Fault::Close, "dynamodb.broken"),
        ("table", "Query", late.clone(), "dynamodb.timeout"),
        ("table", "UpdateItem", Fault::error(500, "InternalServerError"), "dynamodb.failed"),
        ("aws", "AssumeRole", Fault::error(403, "AccessDenied"), "sts.access-denied"),
        ("aws", "AssumeRole", Fault::error(400, "Throttling"), "sts.throttled"),
        ("aws", "AssumeRole", Fault::Truncated, "sts.malformed-answer"),
        ("aws", "AssumeRole", late.clone(), "sts.timeout"),
        ("aws", "CreatePresignedDomainUrl", Fault::error(400, "AccessDeniedException"), "sagemaker.access-denied"),
        ("aws", "CreatePresignedDomainUrl", Fault::error(400, "ThrottlingException"), "sagemaker.throttled"),
        ("aws", "CreatePresignedDomainUrl", Fault::error(503, "ServiceUnavailable"), "sagemaker.failed"),
        ("aws", "CreatePresignedDomainUrl", Fault::Malformed, "sagemaker.malformed-answer"),
        ("aws", "CreatePresignedDomainUrl", Fault::Body("{}".into()), "sagemaker.malformed-answer"),
        ("aws", "CreatePresignedDomainUrl", Fault::Close, "sagemaker.broken"),
        ("aws", "CreatePresignedDomainUrl", late, "sagemaker.timeout"),
        ("aws", "CreatePresignedDomainUrl", Fault::ForeignUrl("https://evil.example/auth?token=canary".into()), "sagemaker.foreign-url"),
    ];
    for (number, (where_, action, fault, reason)) in cases.into_iter().enumerate() {
        let request_id = format!("fault-{number}");
        match where_ {
            "table" => relay.inject(action, 10, &fault),
            _ => aws.inject(action, 10, &fault),
        }
        // A new environment for each, so that no session and no connection is left from before.
        let fresh = Emulator::start(&bootstrap(), &door.world.env(&[("LATCHKEY_RATE_LIMIT", "1000/60")]));
        // In the function's time: one that takes longer is killed, and its answer is no proxy response.
        let answer = fresh.invoke(&launch(&request_id, &door.world.token("alice"), None));
        let record = fresh.record_of(&request_id);
        assert_eq!((answer.status(), answer.body()["code"].as_str()), (503, Some("unavailable")), "{record}");
        assert_eq!((record["reason"].as_str(), answer.header("Retry-After")), (Some(reason), Some("5")), "{action} {fault:?}");
        assert!(!answer.0.to_string().contains("canary"), "a foreign URL was passed on");
        relay.clear_faults();
        aws.clear_faults();
        let answer = fresh.invoke(&launch(&format!("{request_id}-again"), &door.world.token("alice"), None));
        assert_eq!(answer.status(), 200, "{action} {fault:?}: not well again");
    }
}

#[test]
#[ignore = "needs the tools: make test"]
fn without_keys_nothing_can_be_verified_until_they_are_there() {
    let world = World::start();
    world.stack.idp.inject("/jwks", 1000, &Fault::error(500, "out_of_order"));
    let emulator = Emulator::start(&bootstrap(), &world.env(&[]));
    let door = Door { world, emulator };
    let answer = door.launch("keys-1", "alice");
    let record = door.refuses("keys-1", &answer, 503, "unavailable", "keys.fetch-status");
    assert_eq!(record["issuer_id"], "local");
    // What is no token is refused as such all the same.
    let answer = door.emulator.invoke(&launch("keys-2", "not-a-token", None));
    door.refuses("keys-2", &answer, 401, "invalid-token", "token.malformed");
    door.world.stack.idp.clear_faults();
    // The cache asks again after a pause of seconds, not with every request.
    let until = now() + Duration::from_secs(30);
    let mut number = 3;
    while door.launch(&format!("keys-{number}"), "alice").status() != 200 {
        assert!(now() < until, "the keys are not loaded again");
        number += 1;
        std::thread::sleep(Duration::from_millis(200));
    }
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_decision_that_cannot_be_recorded_opens_nothing() {
    // Standard output goes to a device that is always full.
    let folder = tempfile::tempdir().unwrap();
    let muted = folder.path().join("bootstrap");
    std::fs::write(&muted, format!("#!/bin/sh\nexec '{}' >/dev/full\n", bootstrap().canonicalize().unwrap().display())).unwrap();
    let mut permissions = std::fs::metadata(&muted).unwrap().permissions();
    std::os::unix::fs::PermissionsExt::set_mode(&mut permissions, 0o755);
    std::fs::set_permissions(&muted, permissions).unwrap();
    let world = World::start();
    let emulator = Emulator::start(&muted, &world.env(&[]));
    let answer = emulator.invoke(&launch("mute-1", &world.token("alice"), None));
    assert_eq!((answer.status(), answer.body()["code"].as_str()), (500, Some("internal")));
    assert!(answer.body()["url"].is_null());
}

#[test]
#[ignore = "needs the tools: make test"]
fn events_that_are_not_even_text_are_answered() {
    let door = Door::open(&[]);
    for event in [&b"\xff\xfe{}"[..], b"not json", b"{", b"\"\\ud800\""] {
        let answer: Value = serde_json::from_str(&door.emulator.invoke_raw(event)).unwrap();
        assert_eq!(answer["statusCode"], 400);
    }
    assert_eq!(door.launch("text-1", "alice").status(), 200, "the environment lives on");
}

#[test]
#[ignore = "needs the tools: make test"]
fn no_level_writes_a_token_or_a_url() {
    let door = Door::open(&[("LATCHKEY_LOG", "trace"), ("RUST_LOG", "trace"), ("LATCHKEY_REPLAY", "jti")]);
    let mut secrets = Vec::new();
    for (number, spec) in ["alice", "bob", "carol", "alice:expired", "alice:forged", "alice:unknown-key"].into_iter().enumerate() {
        let token = door.world.token(spec);
        let answer = door.emulator.invoke(&launch(&format!("canary-{number}"), &token, None));
        door.emulator.invoke(&targets(&format!("canary-list-{number}"), &token));
        secrets.extend(token.split('.').map(ToOwned::to_owned));
        if let Some((_, secret)) = answer.body()["url"].as_str().unwrap_or_default().split_once("token=") {
            secrets.push(secret.to_owned());
        }
    }
    for (name, value) in door.world.stack.env() {
        if matches!(name.as_str(), "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN") {
            secrets.push(value);
        }
    }
    assert!(secrets.len() > 12, "there must be URLs among the secrets");
    door.emulator.record_of("canary-list-5");
    let lines = door.emulator.output().lines();
    for secret in &secrets {
        assert!(lines.iter().all(|line| !line.contains(secret.as_str())), "a secret is in the log");
    }
    assert!(lines.iter().any(|line| line.contains("latchkey.decision")), "the log was looked at");
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_bad_value_stops_the_start_with_one_line_that_names_it() {
    let world = World::start();
    for (variable, value, says) in [
        ("LATCHKEY_TABLE", "", "LATCHKEY_TABLE: is required"),
        ("LATCHKEY_URL_SECONDS", "3", "LATCHKEY_URL_SECONDS: is a whole number of seconds from 5 to 300"),
        ("LATCHKEY_VPC_ENDPOINT_IDS", "*", "LATCHKEY_VPC_ENDPOINT_IDS: "),
        ("LATCHKEY_ISSUERS", "[]", "LATCHKEY_ISSUERS: "),
        ("AWS_REGION", "", "AWS_REGION: "),
        ("AWS_ACCESS_KEY_ID", "", "AWS_ACCESS_KEY_ID: "),
        ("AWS_ENDPOINT_URL_STS", "no url", "AWS_ENDPOINT_URL_STS: "),
        ("AWS_CA_BUNDLE", "/nowhere/bundle.pem", "AWS_CA_BUNDLE: "),
    ] {
        let mut process = Process::start(Command::new(bootstrap()).env_clear().envs(world.env(&[(variable, value)])));
        let status = process.wait(Duration::from_secs(10));
        assert_eq!(status.code(), Some(1), "{variable}");
        process.output().wait(0, Duration::from_secs(10), |line| line.starts_with(says).then_some(()));
        assert_eq!(process.output().lines().len(), 1, "{:?}", process.output().lines());
    }
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_row_written_by_hand_is_refused_and_named() {
    let door = Door::open(&[]);
    let alice = door.world.stack.user("alice").unwrap();
    let grant = alice.grants[0].clone();
    // An own attribute is passed over; anything else that is not known closes the door.
    let identity = latchkey_domain::identity::Identity { issuer: door.world.stack.issuer_id().clone(), subject: alice.subject.clone() };
    let own = latchkey_aws::grant_admin::Annotation {
        own: Item::from([("x_ticket".to_owned(), latchkey_domain::item::Value::S("CHG-1".into()))]),
        ..annotation()
    };
    door.world.block_on(async {
        door.world.operator().put_grant(&identity, &grant, &own, latchkey_aws::grant_admin::Expect::Present).await.unwrap();
    });
    assert_eq!(door.launch("hand-1", "alice").status(), 200);
    put_by_hand(
        &door.world,
        &json!({
            "pk": {"S": identity.partition_key()}, "sk": {"S": "TARGET#research"}, "kind": {"S": "studio"},
            "domain_id": {"S": "d-demoresearch"}, "user_profile_name": {"S": "alice"}, "enable": {"BOOL": false},
        }),
    );
    let answer = door.launch("hand-2", "alice");
    let record = door.refuses("hand-2", &answer, 403, "not-entitled", "grant.malformed");
    assert!(record["detail"].as_str().unwrap().starts_with("enable: "));
}

/// Writes an item past everything of ours that would check it. The engine looks at no signature.
fn put_by_hand(world: &World, item: &Value) {
    let body = json!({"TableName": latchkey_standin::stack::TABLE, "Item": item}).to_string();
    let credential =
        "AWS4-HMAC-SHA256 Credential=hand/20260101/eu-central-1/dynamodb/aws4_request, SignedHeaders=host;x-amz-date, Signature=0";
    let request = ureq::post(world.stack.table.endpoint())
        .header("X-Amz-Target", "DynamoDB_20120810.PutItem")
        .header("X-Amz-Date", "20260101T000000Z");
    request.header("Content-Type", "application/x-amz-json-1.0").header("Authorization", credential).send(body).unwrap();
}
