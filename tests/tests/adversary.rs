//! Tokens as forgers make them, key sets as a broken issuer serves them, events as a gateway sends them that is set up otherwise, and
//! floods of key ids that nobody has. They are made up by families, not by examples; docs/reliability.md has the table of them.
//!
//! Of every member: the answer is the one that it has to be, and says no more; there is exactly one audit record, with that very reason;
//! nothing was asked of STS or SageMaker, nor of the table before the token was verified; no secret is in the log; nobody was called
//! whom a token names; and a good token is served right after.

#[path = "adversary/events.rs"]
mod events;
#[path = "adversary/forge.rs"]
mod forge;
#[path = "adversary/keys.rs"]
mod keys;
#[path = "adversary/tokens.rs"]
mod tokens;

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::time::{Duration, Instant};

use latchkey_domain::clock::{SystemClock, Timestamp};
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Unavailable;
use latchkey_oidc::config::parse_issuers;
use latchkey_oidc::fetch::{Fetch, FetchError, Limits};
use latchkey_oidc::key_cache::UNKNOWN_KEY_COOLDOWN;
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotStore};
use latchkey_oidc::verifier::{Verifier, VerifyError};
use latchkey_standin::idp::{Kid, MintOptions};
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::stack::{World, launch};
use latchkey_tests::stopwatch::Stopwatch;
use latchkey_tests::tools::{bootstrap, root};
use serde_json::{Value, json};

use self::events::Knock;
use self::forge::{AUDIENCE, Forge, header};
use self::keys::{Case, Hostile, Keys, Trap};
use self::tokens::{Forged, OK, SOMEBODY_ELSE};

/// The id of the issuer and the subject under which the made-up bank has Alice's grants.
const ISSUER_ID: &str = "local";
const ALICE: &str = "demo-alice";

const PATIENCE: Duration = Duration::from_secs(30);

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// The answer to a reason, as `openapi.yaml` has it: the status and the code.
fn answer_to(reason: &str) -> (u64, &'static str) {
    match reason {
        OK => (200, "ok"),
        SOMEBODY_ELSE => (403, "not-entitled"),
        "authorization.several" | "event.malformed" => (400, "invalid-request"),
        "endpoint.not-allowed" => (403, "not-private"),
        "route.no-such-path" => (404, "not-found"),
        "route.no-such-method" => (405, "method-not-allowed"),
        "body.too-large" => (413, "too-large"),
        "body.media-type" => (415, "unsupported-media-type"),
        _ if reason.starts_with("body.") => (400, "invalid-request"),
        _ if reason.starts_with("token.") || reason.starts_with("authorization.") => (401, "invalid-token"),
        _ if reason.starts_with("keys.") => (503, "unavailable"),
        _ => panic!("{reason} is nobody's reason"),
    }
}

/// The reason at the front door, which looks at the header first: a token has its characters (RFC 6750, section 2.1).
fn at_the_door(token: &str, comes_to: &'static str) -> &'static str {
    let legal = |c: char| c.is_ascii_alphanumeric() || "-._~+/=".contains(c);
    match token {
        _ if token.contains(',') => "authorization.several",
        _ if token.is_empty() || token.starts_with(' ') && token.trim_start_matches(' ').is_empty() => "authorization.malformed",
        _ if !token.trim_start_matches(' ').chars().all(legal) => "authorization.malformed",
        _ if token.starts_with(' ') => "ok",
        _ => comes_to,
    }
}

/// The function behind its front door, and what it has answered.
struct Door {
    world: World,
    emulator: Emulator,
    knocks: usize,
    /// How many lines of its log have been looked at.
    read: usize,
    wrong: Vec<String>,
}

/// One answer that is to be found in the log.
struct Answered {
    what: String,
    comes_to: &'static str,
    request_id: String,
}

impl Door {
    fn open(world: World, issuers: &Value) -> Self {
        let variables = world.env(&[("LATCHKEY_ISSUERS", &issuers.to_string()), ("LATCHKEY_RATE_LIMIT", "off")]);
        let emulator = Emulator::start(&bootstrap(), &variables);
        let health = emulator.invoke(&json!({"resource": "/health", "path": "/health", "httpMethod": "GET", "requestContext": {}}));
        assert_eq!(health.status(), 200);
        world.clear_captured();
        Self { world, emulator, knocks: 0, read: 0, wrong: Vec::new() }
    }

    fn fault(&mut self, what: &str, wrong: impl std::fmt::Display) {
        self.wrong.push(format!("{what}: {wrong}"));
    }

    /// One event, and everything but its record.
    fn knock(&mut self, what: String, event: &[u8], comes_to: &'static str, secret: &str) -> Answered {
        self.knocks += 1;
        // Each has an id of its own, where it has one.
        let own_id = format!("adversary-{}", self.knocks);
        let event = replaced(event, b"\"adversary\"", format!("\"{own_id}\"").as_bytes());
        let text = self.emulator.invoke_raw(&event);
        let answer = Answer(serde_json::from_str(&text).unwrap_or_else(|_| panic!("{what}: no proxy response")));
        let (status, code) = answer_to(comes_to);
        let body = answer.body();
        if answer.status() != status {
            self.fault(&what, format_args!("{} instead of {status}", answer.status()));
        }
        for (name, value) in [("Cache-Control", "no-store"), ("Referrer-Policy", "no-referrer"), ("X-Content-Type-Options", "nosniff")] {
            if answer.header(name) != Some(value) {
                self.fault(&what, format_args!("{name} is not {value}"));
            }
        }
        if secret.len() > 20 && text.contains(secret) {
            self.fault(&what, "the answer repeats what was sent");
        }
        let request_id = answer.header("X-Request-Id").unwrap_or_default().to_owned();
        let asked_of_aws = !self.world.stack.aws.captured().is_empty();
        let asked_at_all = !self.world.captured().is_empty();
        if status == 200 {
            if body["url"].is_null() || !asked_of_aws {
                self.fault(&what, "no URL");
            }
        } else {
            let members: Vec<_> = body.as_object().into_iter().flat_map(|body| body.keys().map(String::as_str)).collect();
            if members != ["code", "request_id", "status", "title", "type"] {
                self.fault(&what, format_args!("the problem has the members {members:?}"));
            }
            let said = (body["type"].as_str(), body["code"].as_str(), body["status"].as_u64(), body["request_id"].as_str());
            let problem_type = format!("urn:problem-type:latchkey:{code}");
            if said != (Some(&problem_type), Some(code), Some(status), Some(&request_id))
                || answer.header("Content-Type") != Some("application/problem+json")
            {
                self.fault(&what, "the problem is not the one of its code");
            }
            let challenge = match comes_to {
                "authorization.missing" | "authorization.other-scheme" => Some("Bearer"),
                _ if status == 401 => Some("Bearer error=\"invalid_token\""),
                _ => None,
            };
            if answer.header("WWW-Authenticate") != challenge {
                self.fault(&what, format_args!("the challenge is not {challenge:?}"));
            }
            if (status == 503) != answer.header("Retry-After").is_some() {
                self.fault(&what, "Retry-After where waiting does not help, or none where it does");
            }
            // Whoever is not known to be anybody costs the table nothing either.
            if asked_of_aws || asked_at_all && comes_to != SOMEBODY_ELSE {
                self.fault(&what, "something was asked of AWS");
            }
        }
        if asked_at_all {
            self.world.clear_captured();
        }
        Answered { what, comes_to, request_id }
    }

    /// The records of these answers: one of each, which says what the answer said and nothing that was not proven.
    fn look_up(&mut self, answered: &[Answered]) {
        let mut records: BTreeMap<String, Vec<Value>> = BTreeMap::new();
        let until = now() + PATIENCE;
        let mut found = 0;
        let mut lines = Vec::new();
        while found < answered.len() && now() < until {
            let new = self.emulator.output().lines().split_off(self.read);
            self.read += new.len();
            for line in &new {
                if let Ok(record) = serde_json::from_str::<Value>(line)
                    && record["event"] == "latchkey.decision"
                {
                    found += 1;
                    records.entry(record["request_id"].as_str().unwrap_or_default().to_owned()).or_default().push(record);
                }
            }
            lines.extend(new);
            std::thread::sleep(Duration::from_millis(5));
        }
        if found != answered.len() {
            self.wrong.push(format!("{found} records of {} decisions", answered.len()));
        }
        for Answered { what, comes_to, request_id } in answered {
            let Some([record]) = records.get(request_id).map(Vec::as_slice) else {
                self.fault(what, "not one record");
                continue;
            };
            let (_, code) = answer_to(comes_to);
            let decision = if *comes_to == OK { "allow" } else { "deny" };
            if (record["decision"].as_str(), record["code"].as_str()) != (Some(decision), Some(code)) {
                self.fault(what, format_args!("the record says {} {}", record["decision"], record["code"]));
            }
            let reason = record["reason"].as_str().unwrap_or(OK);
            let is_it = if *comes_to == SOMEBODY_ELSE { reason.starts_with("grant.") } else { reason == *comes_to };
            if !is_it {
                self.fault(what, format_args!("{reason} instead of {comes_to}"));
            }
            let issuer = record["issuer_id"].as_str();
            if *comes_to == SOMEBODY_ELSE {
                if (issuer, record["subject"].as_str()) == (Some(ISSUER_ID), Some(ALICE)) {
                    self.fault(what, "it is taken for Alice's");
                }
            } else if *comes_to != OK && !comes_to.starts_with("body.") {
                for name in ["subject", "token_id", "key_id", "target", "role", "url_sha256"] {
                    if !record[name].is_null() {
                        self.fault(what, format_args!("the record has a {name} that nobody has proven"));
                    }
                }
                if issuer.is_some() && !(comes_to.starts_with("token.") || comes_to.starts_with("keys.")) {
                    self.fault(what, "the record has an issuer");
                }
            }
        }
        for line in &lines {
            for secret in ["eyJ", "Bearer ", "auth?token=", "authToken=", "sagemaker.localhost"] {
                if line.contains(secret) {
                    self.wrong.push(format!("a line of the log holds {secret}…"));
                }
            }
            if line.contains("panicked") {
                self.wrong.push("something has panicked".to_owned());
            }
        }
    }

    /// A good token is served.
    fn is_open(&mut self, token: &str, after: &str) {
        let answered =
            self.knock(format!("a good token after {after}"), launch("adversary", token, None).to_string().as_bytes(), OK, token);
        self.look_up(&[answered]);
    }

    fn close(self, members: usize) {
        assert!(self.wrong.is_empty(), "{} differences:\n{}", self.wrong.len(), self.wrong.join("\n"));
        println!("{members} members at the front door");
    }
}

/// A request for a URL with this token, whatever characters it has.
fn event_with(token: &str) -> Vec<u8> {
    let mut event = launch("adversary", "x", None);
    event["headers"]["Authorization"] = format!("Bearer {token}").into();
    event["multiValueHeaders"]["Authorization"] = json!([format!("Bearer {token}")]);
    event.to_string().into_bytes()
}

fn replaced(text: &[u8], from: &[u8], to: &[u8]) -> Vec<u8> {
    match text.windows(from.len()).position(|window| window == from) {
        Some(at) => [&text[..at], to, &text[at + from.len()..]].concat(),
        None => text.to_vec(),
    }
}

/// The part of a token that is the most its own: its signature, or else the whole.
fn own_part(token: &str) -> &str {
    token.rsplit('.').next().filter(|part| part.len() > 20).unwrap_or(token)
}

#[test]
#[ignore = "needs the tools: make test"]
fn no_forged_token_gets_through_the_door() {
    let trap = Trap::set();
    let mut forge = Forge::new(ALICE, &trap.url);
    let mut door = Door::open(World::start(), &forge.issuers(ISSUER_ID));
    assert_eq!(door.world.stack.user("alice").unwrap().subject.as_str(), ALICE);
    let mut members = 0;
    for family in tokens::FAMILIES {
        forge.go_on();
        let mut answered = Vec::new();
        for Forged { what, token, comes_to } in (family.make)(&forge) {
            let comes_to = at_the_door(&token, comes_to);
            answered.push(door.knock(format!("{}: {what}", family.name), &event_with(&token), comes_to, own_part(&token)));
        }
        members += answered.len();
        door.look_up(&answered);
        door.is_open(&forge.good_token(), family.name);
    }
    assert_eq!(trap.calls(), 0, "somebody was called whom a token names");
    door.close(members);
}

#[test]
#[ignore = "needs the tools: make test"]
fn no_odd_event_gets_through_the_door() {
    let forge = Forge::new(ALICE, "http://127.0.0.1:9");
    let mut door = Door::open(World::start(), &forge.issuers(ISSUER_ID));
    let mut members = 0;
    for family in events::FAMILIES {
        let mut answered = Vec::new();
        for Knock { what, event, comes_to } in (family.make)(&forge) {
            answered.push(door.knock(format!("{}: {what}", family.name), &event, comes_to, ""));
        }
        members += answered.len();
        door.look_up(&answered);
        door.is_open(&forge.good_token(), family.name);
    }
    door.close(members);
}

/// Nothing is fetched: the keys are in the configuration.
struct Nowhere;

impl Fetch for Nowhere {
    async fn get(&self, _url: &str, _limits: Limits) -> Result<Vec<u8>, FetchError> {
        panic!("something is fetched")
    }
}

impl SnapshotStore for Nowhere {
    async fn load(&self, _issuer: &IssuerId, _budget: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        panic!("the table is read")
    }
}

/// The same tokens and thousands more, each at the verifier.
#[test]
fn no_forged_token_is_verified() {
    let forge = Forge::new(ALICE, "http://127.0.0.1:9");
    let issuers = parse_issuers(&forge.issuers(ISSUER_ID).to_string()).unwrap();
    let verifier = Verifier::new(issuers, Nowhere, Nowhere, SystemClock::new());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let made = tokens::FAMILIES.iter().flat_map(|family| (family.make)(&forge)).chain(tokens::changed(&forge));
    let (mut members, mut wrong) = (0, Vec::new());
    for Forged { what, token, comes_to } in made {
        members += 1;
        let verified = runtime.block_on(verifier.verify(&token, Timestamp::from_unix_seconds(forge.now), PATIENCE));
        let came_to = match &verified {
            Ok(claims) => {
                let identity = claims.identity();
                if (identity.issuer.as_str(), identity.subject.as_str()) == (ISSUER_ID, ALICE) { OK } else { SOMEBODY_ELSE }
            }
            Err(VerifyError::Refused { refusal, .. }) => refusal.as_str(),
            Err(VerifyError::Unavailable { failure, .. }) => failure.as_str(),
        };
        // One that was changed somewhere may be refused for anything.
        if came_to != comes_to && !(comes_to == "token." && came_to.starts_with(comes_to)) {
            wrong.push(format!("{what}: {came_to} instead of {comes_to}"));
        }
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    println!("{members} tokens at the verifier");
}

/// How many issuers one environment has here; it can have 64.
const ISSUERS_AT_A_TIME: usize = 60;

/// How long the keys' cache waits at most before it asks an issuer again of whose keys it has none, and what asking takes.
const UNTIL_THE_KEYS_ARE_ASKED_FOR_AGAIN: Duration = Duration::from_secs(15);

#[test]
#[ignore = "needs the tools: make test"]
fn no_broken_issuer_is_believed_or_costs_the_others() {
    let trap = Trap::set();
    let forge = Forge::new(ALICE, &trap.url);
    let keys = Keys::new(trap.url.clone());
    let mut cases: Vec<Case> = keys::FAMILIES.iter().flat_map(|family| (family.make)(&keys)).collect();
    let members = cases.len();
    let mut world = Some(World::start());
    while !cases.is_empty() {
        let rest = cases.split_off(cases.len().min(ISSUERS_AT_A_TIME));
        let batch = std::mem::replace(&mut cases, rest);
        let hostile = Hostile::start(&batch, keys.well());
        let mut issuers = forge.issuers(ISSUER_ID);
        let name = |number: usize, case: &Case| match case.by_discovery {
            true => format!("http://{}/{number}", hostile.address),
            false => format!("https://issuer-{number}.example"),
        };
        for (number, case) in batch.iter().enumerate() {
            let jwks = match case.by_discovery {
                true => json!({"source": "url"}),
                false => json!({"source": "url", "url": format!("http://{}/{number}/keys", hostile.address)}),
            };
            issuers.as_array_mut().unwrap().push(json!({
                "id": format!("issuer-{number}"), "issuer": name(number, case), "audiences": [AUDIENCE],
                "algorithms": forge::ALGORITHMS, "jwks": jwks,
            }));
        }
        let token = |number: usize, kid: &str| {
            let claims = forge.good().with("iss", Value::from(name(number, &batch[number])).to_string()).json();
            launch("adversary", &keys.good.token("ES256", header("ES256", kid), claims), None).to_string()
        };
        let mut door = Door::open(world.take().unwrap(), &issuers);
        door.is_open(&forge.good_token(), "a start with broken issuers");
        let mut answered = Vec::new();
        for (number, case) in batch.iter().enumerate() {
            answered.push(door.knock(case.what.clone(), token(number, case.kid).as_bytes(), case.comes_to, ""));
        }
        door.look_up(&answered);
        door.is_open(&forge.good_token(), "broken issuers");
        if batch.iter().any(|case| matches!(case.serve, keys::Serve::Endless)) {
            // What fits into the buffers of sockets is sent, and not read.
            let sent = hostile.sent_without_end();
            assert!((256 * 1024..32 << 20).contains(&sent), "{sent} bytes were taken of a body without an end");
        }
        for path in hostile.asked() {
            assert!(path.ends_with("/keys") || path.ends_with("/.well-known/openid-configuration"), "{path} was asked for");
        }
        // Once an issuer is well, its keys are used without a new environment.
        hostile.recover();
        let until = now() + UNTIL_THE_KEYS_ARE_ASKED_FOR_AGAIN;
        let mut broken: Vec<usize> = (0..batch.len()).filter(|number| batch[*number].comes_to.starts_with("keys.")).collect();
        while !broken.is_empty() && now() < until {
            broken.retain(|number| door.emulator.invoke(&serde_json::from_str(&token(*number, "k")).unwrap()).status() == 503);
            std::thread::sleep(Duration::from_millis(100));
        }
        for number in broken {
            door.fault(&batch[number].what, "not well again");
        }
        let Door { world: back, wrong, .. } = door;
        assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
        back.clear_captured();
        world = Some(back);
    }
    assert_eq!(trap.calls(), 0, "somebody was called whom an issuer names");
    println!("{members} issuers");
}

const ENVIRONMENTS: usize = 4;
const UNKNOWN_KEYS: usize = 600;

/// How large the tokens of the flood are: were they kept, it would show.
const FILL: usize = 9000;

/// What an environment may grow by over the flood, in bytes. Its tokens are more than twice that.
const GROWTH: u64 = 512 * 1024;

#[test]
#[ignore = "needs the tools: make test"]
fn a_flood_of_unknown_keys_costs_the_issuer_and_the_others_nothing() {
    let world = World::start();
    let variables = world.env(&[("LATCHKEY_RATE_LIMIT", "off")]);
    let environments: Vec<Emulator> = (0..ENVIRONMENTS).map(|_| Emulator::start(&bootstrap(), &variables)).collect();
    let subject = world.stack.user("alice").unwrap().subject.as_str().to_owned();
    let unknown = |number: String| {
        let token = MintOptions { kid: Kid::Text(format!("flood-{number}")), ..MintOptions::new(subject.clone()) };
        world.stack.idp.mint(&token.claim("fill", "x".repeat(FILL))).unwrap()
    };
    let good = |id: &str, emulator: &Emulator| {
        let stopwatch = Stopwatch::start();
        assert_eq!(emulator.invoke(&launch(id, &world.token("alice"), None)).status(), 200, "a good token in the flood");
        stopwatch.elapsed()
    };
    let flood = |from: usize, to: usize| {
        std::thread::scope(|scope| {
            for (environment, emulator) in environments.iter().enumerate() {
                scope.spawn(move || {
                    for number in (from..to).filter(|number| number % ENVIRONMENTS == environment) {
                        let id = format!("flood-{number}");
                        let answer = emulator.invoke(&launch(&id, &unknown(id.clone()), None));
                        assert_eq!((answer.status(), answer.body()["code"].as_str()), (401, Some("invalid-token")));
                        if number % 10 < ENVIRONMENTS {
                            assert!(good(&format!("{id}-good"), emulator) < Duration::from_secs(3));
                        }
                    }
                });
            }
        });
    };
    let begun = now();
    // What an environment grows by at first is its buffers.
    flood(0, UNKNOWN_KEYS / 3);
    let before: Vec<u64> = environments.iter().map(Emulator::resident_bytes).collect();
    flood(UNKNOWN_KEYS / 3, UNKNOWN_KEYS);
    for (emulator, before) in environments.iter().zip(before) {
        let grown = emulator.resident_bytes().saturating_sub(before);
        assert!(grown < GROWTH, "an environment has grown by {grown} bytes");
    }
    let loads = world.stack.idp.requests("/jwks");
    // One at the start, one for the first unknown key, and one more for each half minute since.
    let windows = usize::try_from(begun.elapsed().as_secs() / UNKNOWN_KEY_COOLDOWN.as_secs()).unwrap();
    assert!(loads <= ENVIRONMENTS * (2 + windows), "{loads} loads of the keys in {:?}", begun.elapsed());
    for (environment, emulator) in environments.iter().enumerate() {
        let last = (0..UNKNOWN_KEYS).rev().find(|number| number % ENVIRONMENTS == environment).unwrap();
        emulator.record_of(&format!("flood-{last}"));
        let records = emulator.records();
        let refused = records.iter().filter(|record| record["decision"] == "deny");
        assert!(refused.clone().all(|record| record["reason"] == "token.key-unknown" && record["key_id"].is_null()));
        assert_eq!(refused.count(), UNKNOWN_KEYS / ENVIRONMENTS);
    }
    println!("{UNKNOWN_KEYS} unknown keys in {:?}: {loads} loads", begun.elapsed());
}

/// What the members of a family come to: the status, the reason, and how many of them.
fn come_to(reasons: impl Iterator<Item = &'static str>) -> (usize, String) {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for reason in reasons {
        *counts.entry(reason).or_default() += 1;
    }
    let mut counts: Vec<_> = counts.into_iter().collect();
    counts.sort_by_key(|(reason, count)| (matches!(*reason, OK | SOMEBODY_ELSE), std::cmp::Reverse(*count)));
    let words = counts.iter().map(|(reason, count)| match *reason {
        OK => format!("a URL: {count}"),
        SOMEBODY_ELSE => format!("verified, without a grant: {count}"),
        reason => format!("{} `{reason}`: {count}", answer_to(reason).0),
    });
    (counts.iter().map(|(_, count)| count).sum(), words.collect::<Vec<_>>().join("; "))
}

/// The table of the document.
fn table() -> String {
    let forge = Forge::new(ALICE, "http://127.0.0.1:9");
    let keys = Keys::new("http://127.0.0.1:9".to_owned());
    let mut table = String::from("| family | members | what they come to |\n| --- | --- | --- |");
    let mut total = 0;
    let mut row = |name: &str, (count, words): (usize, String)| {
        total += count;
        let _ = write!(table, "\n| {name} | {count} | {words} |");
    };
    for family in tokens::FAMILIES {
        let reasons = (family.make)(&forge).into_iter().map(|one| at_the_door(&one.token, one.comes_to));
        row(&format!("token, {}", family.name), come_to(reasons));
    }
    for family in events::FAMILIES {
        row(&format!("event, {}", family.name), come_to((family.make)(&forge).into_iter().map(|one| one.comes_to)));
    }
    for family in keys::FAMILIES {
        row(&format!("issuer, {}", family.name), come_to((family.make)(&keys).into_iter().map(|one| one.comes_to)));
    }
    let changed = tokens::changed(&forge).len();
    let _ = write!(
        table,
        "\n\n{total} members through the front door; {changed} more at the verifier, good tokens with one character changed or with parts \
         of\nseveral, none of which is verified."
    );
    table
}

#[test]
fn the_document_has_the_table() {
    let document = std::fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    assert!(document.contains(&table()), "docs/reliability.md is to have:\n\n{}", table());
}
