//! Keys without a way out: the real refresher and the real broker under the emulator, a real OpenID provider, and a table between
//! them. The provider rotates, retires, breaks and is restored while requests flow, over an hour and a half that takes seconds.
//!
//! At every step of the timeline each key's token is tried. What must come is what the documentation promises and no more.

use std::sync::Arc;
use std::time::Duration;

use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::identity::IssuerId;
use latchkey_oidc::key_cache::{RETRY_MAX_WITHOUT_KEYS, TABLE_REFRESH_AFTER, TRUST_FOR, UNKNOWN_KEY_COOLDOWN};
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotKeeper as _, SnapshotStore as _};
use latchkey_standin::stack::StackOptions;
use latchkey_tests::emulator::Emulator;
use latchkey_tests::openid_provider::{OpenIdProvider, ProviderToken};
use latchkey_tests::stack::{World, launch};
use latchkey_tests::time_machine::TimeMachine;
use latchkey_tests::tools::{bootstrap, refresher, skip};
use serde_json::{Value, json};

const MINUTE: Duration = Duration::from_secs(60);

/// The schedule of `template.yaml`.
const EVERY: Duration = Duration::from_secs(5 * 60);

/// How far the timeline goes at a time.
const STEP: Duration = Duration::from_secs(10);

/// Real time that passes beside the timeline, at most.
const SLACK: Duration = Duration::from_secs(30);

/// A key of the provider's, and what has become of it.
struct Key {
    name: &'static str,
    token: ProviderToken,
    published: Duration,
    retired: Option<Duration>,
    /// What came of it last.
    last: Option<Outcome>,
}

/// What came of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    /// A URL.
    Accepted,
    /// 401: its key is not one of the issuer's.
    KeyUnknown,
    /// 503: there are no keys that can be trusted.
    NoKeys,
}

use Outcome::{Accepted, KeyUnknown, NoKeys};

struct Timeline {
    time: TimeMachine,
    now: Duration,
    provider: OpenIdProvider,
    broker: Emulator,
    refresher: Emulator,
    keys: Vec<Key>,
    /// When the table's set last came from the provider.
    confirmed: Option<Duration>,
    /// Whether the provider answers.
    answers: bool,
    launches: u32,
    runs: u32,
    // What the functions talk to. Last: it goes last.
    _world: World,
}

impl Timeline {
    fn start() -> Option<Self> {
        let time = TimeMachine::new()?;
        let world = World::start_with(StackOptions { clock: Arc::new(time.clock()), ..StackOptions::default() });
        let provider = OpenIdProvider::start_with(&time.env());
        world.grant(&IssuerId::new("op").unwrap(), "jane", "research", "alice", &[]);
        let issuers = json!([{
            "id": "op", "issuer": provider.issuer(), "audiences": [provider.audience()], "token_types": ["at+jwt"],
            "max_lifetime_seconds": 86400, "jwks": { "source": "table" },
        }]);
        let mut env = world.env(&[("LATCHKEY_ISSUERS", &issuers.to_string()), ("LATCHKEY_RATE_LIMIT", "off")]);
        env.extend(time.env());
        // The emulator's own clock stays behind: its deadline would have passed.
        env.push(("AWS_LAMBDA_FUNCTION_TIMEOUT".to_owned(), "86400".to_owned()));
        let refresher = Emulator::start(&refresher(), &env);
        let broker = Emulator::start(&bootstrap(), &env);
        let line = Self {
            time,
            now: Duration::ZERO,
            provider,
            broker,
            refresher,
            keys: Vec::new(),
            confirmed: None,
            answers: true,
            launches: 0,
            runs: 0,
            _world: world,
        };
        Some(line)
    }

    fn note(&self, what: &str) {
        let seconds = self.now.as_secs();
        println!("  {}:{:02}:{:02}  {what}", seconds / 3600, seconds / 60 % 60, seconds % 60);
    }

    /// The key with which the provider signs now, under a name.
    fn key(&mut self, name: &'static str) {
        let token = self.provider.token(&json!({ "kind": "access", "alg": "RS256", "subject": "jane", "expires_in": 6 * 3600 }));
        assert!(self.keys.iter().all(|key| key.token.kid != token.kid));
        self.keys.push(Key { name, token, published: self.now, retired: None, last: None });
    }

    /// Runs the refresher, as its schedule does.
    fn refresh(&mut self) {
        let seen = self.refresher.output().lines().len();
        let said = self.refresher.invoke_raw(br#"{"source":"aws.events","detail-type":"Scheduled Event"}"#);
        self.runs += 1;
        let record = self
            .refresher
            .output()
            .wait(seen, MINUTE, |line| serde_json::from_str::<Value>(line).ok().filter(|line| line["event"] == "latchkey.keys"));
        assert_eq!(record["issuer"], "op");
        if self.answers {
            assert_eq!((said.as_str(), &record["outcome"]), ("null", &json!("kept")), "{record}");
            let published = self.keys.iter().filter(|key| key.retired.is_none());
            for key in published {
                assert!(record["key_ids"].as_array().unwrap().contains(&json!(key.token.kid)), "{record}");
            }
            self.confirmed = Some(self.now);
        } else {
            // An error of the function's, so that Lambda tries again; the table keeps what it has.
            let error: Value = serde_json::from_str(&said).unwrap();
            assert_eq!(error["errorType"], "NotRefreshed");
            let message = error["errorMessage"].as_str().unwrap();
            assert!(message.starts_with("the keys of these issuers could not be refreshed: op (keys."), "{message}");
            assert_eq!(record["outcome"], "failed", "{record}");
            let age = self.now.checked_sub(self.confirmed.unwrap()).unwrap();
            let said = Duration::from_secs(record["snapshot_age_seconds"].as_u64().unwrap());
            assert!(said >= age && said <= age + SLACK, "{said:?} for {age:?}");
        }
    }

    /// What may come of a key's token now.
    fn may_come(&self, key: &Key) -> &'static [Outcome] {
        let since = |then: Duration| self.now.checked_sub(then).unwrap();
        if let Some(confirmed) = self.confirmed {
            if since(confirmed) >= TRUST_FOR {
                return &[NoKeys];
            }
            if since(confirmed) + SLACK >= TRUST_FOR {
                return &[Accepted, KeyUnknown, NoKeys];
            }
        }
        match key.retired {
            Some(retired) if since(retired) >= EVERY + TABLE_REFRESH_AFTER => &[KeyUnknown],
            Some(_) => &[Accepted, KeyUnknown],
            // The refresher's next run, and half a minute in which an unknown key has been asked for already.
            None if since(key.published) < EVERY + UNKNOWN_KEY_COOLDOWN => &[Accepted, KeyUnknown],
            None => &[Accepted],
        }
    }

    /// Tries each key's token.
    fn try_all(&mut self) {
        for index in 0..self.keys.len() {
            self.launches += 1;
            let id = format!("99164ef8-2b74-522c-96ed-{:012}", self.launches);
            let answer = self.broker.invoke(&launch(&id, &self.keys[index].token.token, None));
            let body = answer.body();
            let outcome = match (answer.status(), body["code"].as_str()) {
                (200, None) => Accepted,
                (401, Some("invalid-token")) => KeyUnknown,
                (503, Some("unavailable")) => NoKeys,
                other => panic!("{other:?}: {}", self.broker.record_of(&id)),
            };
            let key = &self.keys[index];
            let may_come = self.may_come(key);
            assert!(
                may_come.contains(&outcome),
                "{} at {:?}: {outcome:?} instead of {may_come:?}; {}",
                key.name,
                self.now,
                self.broker.record_of(&id)
            );
            if key.last != Some(outcome) {
                self.note(&format!("{}: {outcome:?}", key.name));
                self.keys[index].last = Some(outcome);
            }
        }
    }

    /// Goes on to this moment, with a run of the refresher where one is due and every key tried at each step.
    fn until(&mut self, moment: Duration, step: Duration) {
        while self.now < moment {
            self.now = (self.now + step).min(moment);
            self.time.move_to(self.now);
            if self.now.as_secs().is_multiple_of(EVERY.as_secs()) {
                self.refresh();
            }
            self.try_all();
        }
    }

    #[track_caller]
    fn expect(&self, name: &str, outcome: Outcome) {
        let key = self.keys.iter().find(|key| key.name == name).unwrap();
        assert_eq!(key.last, Some(outcome), "{name} at {:?}", self.now);
    }
}

/// One machine whose clock is a day ahead must not keep every later set out.
#[test]
fn a_set_of_tomorrow_is_replaced_and_a_later_one_of_today_is_not() {
    let world = World::start();
    let now = SystemClock::new().now();
    let issuer = IssuerId::new("op").unwrap();
    let save = |seconds: i64| {
        let snapshot = KeySnapshot { jwks: format!(r#"{{"keys":[],"n":{seconds}}}"#), fetched_at: now.plus_seconds(seconds) };
        world.block_on(world.table().save(&issuer, &snapshot, "https://idp.example/keys", MINUTE)).unwrap()
    };
    assert!(save(86_400), "there is none yet");
    assert!(save(0), "it has not come yet");
    assert!(!save(-60), "an older one");
    assert!(save(0), "the same once more, as after a lost answer");
    assert!(save(240));
    assert!(!save(0), "clocks may differ by minutes");
    let kept = world.block_on(world.table().load(&issuer, MINUTE)).unwrap().unwrap();
    assert_eq!(kept.fetched_at.unix_seconds(), now.plus_seconds(240).unix_seconds());
}

#[test]
#[ignore = "needs the tools: make test"]
fn keys_rotate_retire_and_fail_while_requests_flow() {
    let Some(mut line) = Timeline::start() else {
        skip("keys_rotate_retire_and_fail_while_requests_flow", "there is no libfaketime here (tests/tools/install faketime says why)");
        return;
    };
    println!();
    line.key("the first key");
    line.note("the broker has started before the refresher ever ran");
    let id = "99164ef8-2b74-522c-96ed-999999999999";
    let answer = line.broker.invoke(&launch(id, &line.keys[0].token.token, None));
    assert_eq!((answer.status(), line.broker.record_of(id)["reason"].as_str()), (503, Some("keys.snapshot-missing")));

    line.refresh();
    line.note("the refresher runs for the first time");
    line.until(RETRY_MAX_WITHOUT_KEYS + STEP, STEP);
    line.expect("the first key", Accepted);

    line.until(MINUTE, STEP);
    line.provider.rotate("RS256");
    line.note("the provider rotates: a second key signs, the first stays published");
    line.key("the second key");
    line.try_all();
    line.expect("the second key", KeyUnknown);
    line.until(EVERY + UNKNOWN_KEY_COOLDOWN + STEP, STEP);
    line.expect("the first key", Accepted);
    line.expect("the second key", Accepted);

    line.until(EVERY + MINUTE, STEP);
    line.provider.retire(&line.keys[0].token.kid);
    line.keys[0].retired = Some(line.now);
    line.note("the provider retires the first key");
    let retired = line.now;
    line.until(retired + EVERY + TABLE_REFRESH_AFTER, STEP);
    line.expect("the first key", KeyUnknown);
    line.expect("the second key", Accepted);

    line.until(4 * EVERY, STEP);
    for (mode, runs) in [("error", 2), ("garbage", 1), ("close", 1)] {
        line.provider.break_off(mode);
        line.answers = false;
        line.note(&format!("the provider breaks: {mode}"));
        line.until(line.now + EVERY * runs, MINUTE);
        line.expect("the second key", Accepted);
    }
    line.until(line.confirmed.unwrap() + TRUST_FOR - MINUTE, MINUTE);
    line.expect("the second key", Accepted);
    line.until(line.confirmed.unwrap() + TRUST_FOR, MINUTE);
    line.note("an hour since the provider confirmed its keys");
    line.expect("the second key", NoKeys);
    line.expect("the first key", NoKeys);

    line.provider.restore();
    line.answers = true;
    line.note("the provider is restored");
    line.until(line.now + EVERY + STEP, STEP);
    line.expect("the second key", Accepted);
    line.expect("the first key", KeyUnknown);

    line.provider.rotate("RS256");
    line.note("the provider rotates again");
    line.key("the third key");
    line.until(line.now + EVERY + UNKNOWN_KEY_COOLDOWN + STEP, STEP);
    line.expect("the third key", Accepted);
    line.expect("the second key", Accepted);
    line.note(&format!("{} launches, {} runs of the refresher", line.launches, line.runs));
}
