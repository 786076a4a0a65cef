//! An issuer's keys over an hour and more, told by a clock that is set by hand: the verifier over real HTTP against a real
//! OpenID provider, whose keys come, go, and cannot be had.

use std::time::Duration;

use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::fakes::ManualClock;
use latchkey_oidc::config::parse_issuers;
use latchkey_oidc::key_cache::{RETRY_FIRST, RETRY_MAX_WITHOUT_KEYS, TRUST_FOR, UNKNOWN_KEY_COOLDOWN, URL_REFRESH_AFTER};
use latchkey_oidc::refusal::TokenRefusal;
use latchkey_oidc::verifier::{Verifier, VerifyError};
use latchkey_tests::contracts::MemorySnapshots;
use latchkey_tests::openid_provider::{OpenIdProvider, ProviderToken};
use latchkey_transport::Transport;
use serde_json::json;
use tokio::runtime::Runtime;

const SECOND: Duration = Duration::from_secs(1);

/// What the documentation promises of a key that its issuer has withdrawn.
const RETIRED_WITHIN: Duration = Duration::from_secs(10 * 60);

/// What came of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Outcome {
    Accepted,
    /// Its key is not one of the issuer's.
    KeyUnknown,
    /// There are no keys that can be trusted.
    NoKeys,
}

use Outcome::{Accepted, KeyUnknown, NoKeys};

/// The verifier, its clock, and what has happened.
struct Timeline {
    algorithm: &'static str,
    runtime: Runtime,
    provider: OpenIdProvider,
    verifier: Verifier<Transport, MemorySnapshots, ManualClock>,
    clock: ManualClock,
    /// What the provider had been asked for when that was last looked at.
    asked: u64,
    /// What a verification may take. Longer than any answer takes that comes at all.
    budget: Duration,
}

impl Timeline {
    fn start(algorithm: &'static str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
        let provider = OpenIdProvider::start();
        let issuers = json!([{
            "id": "op", "issuer": provider.issuer(), "audiences": [provider.audience()], "jwks": { "source": "url" },
        }]);
        // It begins now, since that is when the tokens are made.
        let clock = ManualClock::at(SystemClock::new().now());
        let issuers = parse_issuers(&issuers.to_string()).unwrap();
        let verifier = Verifier::new(issuers, Transport::new(None).unwrap(), MemorySnapshots::default(), clock.clone());
        Self { algorithm, runtime, provider, verifier, clock, asked: 0, budget: Duration::from_secs(10) }
    }

    /// A token that outlives the timeline.
    fn token(&self) -> ProviderToken {
        self.provider.token(&json!({ "kind": "access", "alg": self.algorithm, "subject": "jane", "expires_in": 6 * 3600 }))
    }

    fn note(&self, what: &str) {
        let seconds = self.clock.monotonic().as_secs();
        println!("{} {:>2}:{:02}:{:02}  {what}", self.algorithm, seconds / 3600, seconds / 60 % 60, seconds % 60);
    }

    /// Moves on to this long after the beginning.
    fn until(&self, time: Duration) {
        self.clock.advance(time.checked_sub(self.clock.monotonic()).expect("time goes one way"));
    }

    /// Whether the provider has been asked for anything since this was last called.
    fn was_asked(&mut self) -> bool {
        let asked = self.provider.requests("/jwks") + self.provider.requests("/.well-known/openid-configuration");
        asked != std::mem::replace(&mut self.asked, asked)
    }

    /// Verifies a token: what came of it, and whether the provider was asked for its keys on the way.
    fn verify(&mut self, token: &ProviderToken) -> (Outcome, bool) {
        let verified = self.runtime.block_on(self.verifier.verify(&token.token, self.clock.now(), self.budget));
        let outcome = match verified {
            Ok(claims) => {
                assert_eq!((claims.identity().subject.as_str(), claims.key_id()), ("jane", &*token.kid));
                Accepted
            }
            Err(VerifyError::Refused { refusal: TokenRefusal::KeyUnknown, .. }) => KeyUnknown,
            Err(VerifyError::Unavailable { .. }) => NoKeys,
            Err(refused @ VerifyError::Refused { .. }) => panic!("{refused:?}"),
        };
        (outcome, self.was_asked())
    }

    /// Verifies a token, of which this must come.
    #[track_caller]
    fn expect(&mut self, whose: &str, token: &ProviderToken, outcome: Outcome, asks: bool) {
        let (came, asked) = self.verify(token);
        self.note(&format!("{whose}: {came:?}{}", if asked { ", the provider is asked" } else { "" }));
        assert_eq!((came, asked), (outcome, asks), "{whose}");
    }
}

fn the_life_of_a_key(algorithm: &'static str) {
    let mut line = Timeline::start(algorithm);
    let first = line.token();
    assert!(line.runtime.block_on(line.verifier.prepare()).iter().all(|prepared| prepared.keys.is_ok()));
    assert!(line.was_asked());
    line.note("the function starts with the first key");
    line.expect("the first key", &first, Accepted, false);

    // A key that comes: the first token that has it has the keys loaded.
    line.until(10 * SECOND);
    line.provider.rotate(algorithm);
    line.note("the provider rotates: a second key signs, the first stays published");
    let second = line.token();
    assert_ne!(first.kid, second.kid);
    line.expect("the second key", &second, Accepted, true);
    line.expect("the second key", &second, Accepted, false);
    line.expect("the first key", &first, Accepted, false);
    let asked = line.clock.monotonic();

    // Another within half a minute has to wait for the end of it: that is what keeps invented keys from costing anything.
    line.until(20 * SECOND);
    line.provider.rotate(algorithm);
    line.note("the provider rotates again: a third key signs");
    let third = line.token();
    line.until(asked + UNKNOWN_KEY_COOLDOWN - SECOND);
    line.expect("the third key", &third, KeyUnknown, false);
    line.until(asked + UNKNOWN_KEY_COOLDOWN);
    line.expect("the third key", &third, Accepted, true);
    let asked = line.clock.monotonic();

    // A key that nobody ever had costs the provider one request in half a minute, however many ask, and the others nothing.
    let stranger = OpenIdProvider::start().access_token(algorithm, "jane").with_issuer(line.provider.issuer());
    for _ in 0..20 {
        assert_eq!(line.verify(&stranger), (KeyUnknown, false));
    }
    line.note("20 tokens with an invented key: KeyUnknown");
    line.until(asked + UNKNOWN_KEY_COOLDOWN);
    line.expect("the invented key", &stranger, KeyUnknown, true);
    line.expect("the invented key", &stranger, KeyUnknown, false);
    line.expect("the third key", &third, Accepted, false);
    let loaded = line.clock.monotonic();

    // A key that goes: it works until the keys are loaded again, which is when they are five minutes old.
    line.provider.retire(&first.kid);
    line.note("the provider retires the first key");
    let retired = line.clock.monotonic();
    line.until(loaded + URL_REFRESH_AFTER - SECOND);
    line.expect("the first key", &first, Accepted, false);
    line.until(loaded + URL_REFRESH_AFTER);
    line.expect("the first key", &first, KeyUnknown, true);
    assert!(line.clock.monotonic() - retired <= RETIRED_WITHIN);
    line.expect("the third key", &third, Accepted, false);
    let confirmed = line.clock.monotonic();

    // A provider that cannot answer: the keys that are held go on working, and it is left alone between attempts.
    line.until(confirmed + URL_REFRESH_AFTER);
    for (mode, wait) in [("error", 1), ("garbage", 2), ("close", 4), ("hang", 8)] {
        line.provider.break_off(mode);
        line.note(&format!("the provider breaks: {mode}"));
        // Of the time there is, half is for the attempt; what hangs has to be waited for in real time.
        line.budget = if mode == "hang" { SECOND } else { Duration::from_secs(10) };
        line.expect("the third key", &third, Accepted, true);
        line.expect("the third key", &third, Accepted, false);
        line.clock.advance(RETRY_FIRST * wait - Duration::from_millis(1));
        line.expect("the third key", &third, Accepted, false);
        line.clock.advance(Duration::from_millis(1));
    }
    line.provider.break_off("error");
    line.budget = Duration::from_secs(10);

    // It does not come back. The keys are trusted for an hour from when they last came from it, and not a second more.
    line.until(confirmed + TRUST_FOR - SECOND);
    line.expect("the third key", &third, Accepted, true);
    line.until(confirmed + TRUST_FOR);
    line.expect("the third key", &third, NoKeys, false);
    line.clock.advance(RETRY_MAX_WITHOUT_KEYS);
    line.expect("the third key", &third, NoKeys, true);
    // A retired key is not what an outage brings back.
    line.expect("the first key", &first, NoKeys, false);

    line.provider.restore();
    line.note("the provider is restored");
    line.clock.advance(RETRY_MAX_WITHOUT_KEYS);
    line.expect("the third key", &third, Accepted, true);
    // The retired key is an unknown one by now: half a minute after the last of those, it has the keys loaded.
    line.expect("the first key", &first, KeyUnknown, true);
    line.expect("the first key", &first, KeyUnknown, false);
}

#[test]
#[ignore = "needs the tools: make test"]
fn the_life_of_an_rs256_key() {
    the_life_of_a_key("RS256");
}

#[test]
#[ignore = "needs the tools: make test"]
fn the_life_of_an_es256_key() {
    the_life_of_a_key("ES256");
}
