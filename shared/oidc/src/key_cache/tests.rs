use std::sync::Mutex;

use futures_util::FutureExt as _;
use futures_util::future::join_all;
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Authenticator as _;

use super::*;
use crate::algorithm::Algorithm;
use crate::fetch::FetchError;
use crate::refusal::TokenRefusal;
use crate::testing::{AUDIENCE, Answer, BUDGET, Claims, ISSUER, ManualClock, Pair, Table, Web, World, key_set};
use crate::verifier::{Verifier, VerifyError};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);
const KEYS: &str = "https://idp.example/keys";

// ---- One cache, and a loader that does as it is told. ----

/// What the source does with the next load.
#[derive(Clone)]
enum Mode {
    /// Answers with these key ids.
    Serves(Vec<u8>),
    Fails,
    /// Never answers.
    Hangs,
}

struct Source {
    clock: ManualClock,
    mode: Mutex<Mode>,
    /// When the source itself got what it serves, where it is a copy as the table's is.
    fetched_at: Mutex<Option<Timestamp>>,
    loads: Mutex<u32>,
}

impl Source {
    fn new() -> Self {
        let mode = Mutex::new(Mode::Serves(vec![0]));
        Self { clock: ManualClock::new(), mode, fetched_at: Mutex::new(None), loads: Mutex::new(0) }
    }

    fn set(&self, mode: Mode) {
        *self.mode.lock().unwrap() = mode;
    }

    fn serve(&self, kids: &[u8]) {
        self.set(Mode::Serves(kids.to_vec()));
    }

    fn taken_loads(&self) -> u32 {
        std::mem::take(&mut self.loads.lock().unwrap())
    }
}

fn keys(kids: &[u8]) -> KeySet {
    let jwks: Vec<_> = kids.iter().map(|kid| Pair::p256().jwk(&kid.to_string(), "")).collect();
    KeySet::parse(key_set(&jwks).as_bytes()).unwrap()
}

impl LoadKeys for Source {
    async fn load(&self, _budget: Duration) -> Result<Loaded, KeyFailure> {
        *self.loads.lock().unwrap() += 1;
        tokio::task::yield_now().await;
        let mode = self.mode.lock().unwrap().clone();
        let fetched_at = *self.fetched_at.lock().unwrap();
        match mode {
            Mode::Serves(kids) => Ok(Loaded { keys: keys(&kids), fetched_at }),
            Mode::Fails => Err(KeyFailure::Fetch(FetchError::Connect)),
            Mode::Hangs => std::future::pending().await,
        }
    }
}

// ---- The states one by one. ----

async fn find(cache: &KeyCache, source: &Source, kid: u8) -> Result<bool, KeyFailure> {
    let found = cache.find(&kid.to_string(), source, &source.clock, BUDGET).await?;
    Ok(matches!(found, Lookup::Key(_)))
}

fn phase(cache: &KeyCache, source: &Source) -> Phase {
    cache.phase(Moment::now(&source.clock))
}

#[tokio::test]
async fn every_state_is_entered_and_left() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    assert_eq!(phase(&cache, &source), Phase::Empty);

    source.set(Mode::Fails);
    assert_eq!(find(&cache, &source, 0).await, Err(KeyFailure::Fetch(FetchError::Connect)));
    assert_eq!(phase(&cache, &source), Phase::Empty);
    source.serve(&[0]);
    assert!(find(&cache, &source, 0).await.is_err(), "too early to try again");
    source.clock.advance(RETRY_FIRST);
    assert_eq!(find(&cache, &source, 0).await, Ok(true));
    assert_eq!(phase(&cache, &source), Phase::Fresh);

    source.clock.advance(URL_REFRESH_AFTER - Duration::from_millis(1));
    assert_eq!(phase(&cache, &source), Phase::Fresh);
    source.clock.advance(Duration::from_millis(1));
    assert_eq!(phase(&cache, &source), Phase::Due);
    source.set(Mode::Fails);
    assert_eq!(find(&cache, &source, 0).await, Ok(true));
    assert_eq!(phase(&cache, &source), Phase::Waiting);
    source.taken_loads();
    assert_eq!(find(&cache, &source, 0).await, Ok(true));
    assert_eq!(source.taken_loads(), 0);
    source.clock.advance(RETRY_FIRST);
    assert_eq!(phase(&cache, &source), Phase::Due);

    source.serve(&[1]);
    assert_eq!(find(&cache, &source, 0).await, Ok(false), "withdrawn");
    assert_eq!(phase(&cache, &source), Phase::Fresh);

    source.set(Mode::Fails);
    source.clock.advance(TRUST_FOR - Duration::from_millis(1));
    assert_eq!(find(&cache, &source, 1).await, Ok(true));
    source.clock.advance(Duration::from_millis(1));
    assert_eq!(phase(&cache, &source), Phase::Expired);
    assert!(find(&cache, &source, 1).await.is_err());
    assert_eq!(phase(&cache, &source), Phase::Expired);
    source.serve(&[1]);
    source.clock.advance(RETRY_MAX_WITHOUT_KEYS);
    assert_eq!(find(&cache, &source, 1).await, Ok(true));
    assert_eq!(phase(&cache, &source), Phase::Fresh);
}

#[tokio::test]
async fn failures_are_retried_less_and_less_often() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    find(&cache, &source, 0).await.unwrap();
    source.clock.advance(URL_REFRESH_AFTER);
    source.set(Mode::Fails);
    source.taken_loads();
    let mut tries = Vec::new();
    for second in 0..120 {
        assert_eq!(find(&cache, &source, 0).await, Ok(true));
        if source.taken_loads() > 0 {
            tries.push(second);
        }
        source.clock.advance(SECOND);
    }
    assert_eq!(tries, [0, 1, 3, 7, 15, 31, 61, 91]);
}

#[tokio::test]
async fn the_moment_that_keys_expire_the_wait_for_new_ones_is_short() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    find(&cache, &source, 0).await.unwrap();
    source.clock.advance(URL_REFRESH_AFTER);
    source.set(Mode::Fails);
    for _ in URL_REFRESH_AFTER.as_secs()..TRUST_FOR.as_secs() {
        assert_eq!(find(&cache, &source, 0).await, Ok(true));
        source.clock.advance(SECOND);
    }
    // The last attempt was 29 seconds ago: for keys that are still trusted that would be too soon.
    source.taken_loads();
    assert!(find(&cache, &source, 0).await.is_err());
    assert_eq!(source.taken_loads(), 1);
}

#[test]
fn the_time_of_day_is_the_requests_own() {
    let (earlier, clock) = (Moment { wall: 0, monotonic: 0 }, Moment { wall: 1000, monotonic: 1000 });
    assert_eq!(clock.with_wall(Timestamp::from_unix_millis(5000)).since(earlier), Duration::from_secs(5));
    assert_eq!(clock.with_wall(Timestamp::from_unix_millis(500)).since(earlier), Duration::from_secs(1), "the longer of the two");
}

#[tokio::test]
async fn a_flood_of_unknown_keys_costs_two_loads_a_minute_and_locks_nobody_out() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    find(&cache, &source, 0).await.unwrap();
    source.taken_loads();
    let mut loads = 0;
    for tick in 0..600_u32 {
        if tick == 300 {
            source.set(Mode::Fails);
        }
        assert_eq!(find(&cache, &source, 3 + u8::try_from(tick % 200).unwrap()).await, Ok(false));
        assert_eq!(find(&cache, &source, 0).await, Ok(true));
        loads += source.taken_loads();
        source.clock.advance(Duration::from_millis(200));
    }
    assert_eq!(loads, 4, "at once, and then as the cooldown allows in two minutes");
}

#[tokio::test]
async fn one_load_at_a_time_and_everybody_shares_it() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    let all = join_all((0..50).map(|_| find(&cache, &source, 0))).await;
    assert!(all.iter().all(|found| *found == Ok(true)));
    assert_eq!(source.taken_loads(), 1);

    // New keys, and everybody asks for the new one.
    source.serve(&[1]);
    let all = join_all((0..50).map(|_| find(&cache, &source, 1))).await;
    assert!(all.iter().all(|found| *found == Ok(true)));
    assert_eq!(source.taken_loads(), 1);

    // A failure is shared as well.
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    source.set(Mode::Fails);
    let all = join_all((0..50).map(|_| find(&cache, &source, 0))).await;
    assert!(all.iter().all(Result::is_err));
    assert_eq!(source.taken_loads(), 1);
}

#[tokio::test(start_paused = true)]
async fn whoever_has_a_key_does_not_wait_for_a_load() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    find(&cache, &source, 0).await.unwrap();
    source.clock.advance(URL_REFRESH_AFTER);
    source.set(Mode::Hangs);
    let mut first = Box::pin(find(&cache, &source, 0));
    assert!(first.as_mut().now_or_never().is_none(), "the first loads");
    assert_eq!(find(&cache, &source, 0).now_or_never(), Some(Ok(true)), "the second has what it needs");
    assert_eq!(first.await, Ok(true), "and so has the first, when its share of the time is over");
}

#[tokio::test]
async fn a_load_that_is_abandoned_counts_as_failed() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    source.set(Mode::Hangs);
    assert!(find(&cache, &source, 0).now_or_never().is_none(), "and dropped");
    source.serve(&[0]);
    assert_eq!(find(&cache, &source, 0).await, Err(KeyFailure::OutOfTime));
    source.clock.advance(RETRY_FIRST);
    assert_eq!(find(&cache, &source, 0).await, Ok(true));
}

#[tokio::test]
async fn a_request_without_time_neither_loads_nor_delays_the_next() {
    let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
    assert!(matches!(cache.find("0", &source, &source.clock, Duration::ZERO).await, Err(KeyFailure::OutOfTime)));
    assert_eq!(source.taken_loads(), 0);
    assert_eq!(find(&cache, &source, 0).await, Ok(true));
}

#[tokio::test]
async fn neither_a_frozen_clock_nor_one_set_back_keeps_a_key_alive() {
    for freeze in [true, false] {
        let (cache, source) = (KeyCache::new(URL_REFRESH_AFTER), Source::new());
        find(&cache, &source, 0).await.unwrap();
        if freeze {
            source.clock.advance_wall(TRUST_FOR);
        } else {
            source.clock.set_back(MINUTE * 600);
            source.clock.advance_monotonic(TRUST_FOR);
        }
        assert_eq!(phase(&cache, &source), Phase::Expired);
    }
}

#[tokio::test]
async fn a_copy_is_trusted_since_it_was_made_and_not_from_the_future() {
    let (cache, source) = (KeyCache::new(TABLE_REFRESH_AFTER), Source::new());
    *source.fetched_at.lock().unwrap() = Some(source.clock.now().plus_seconds(-3599));
    assert_eq!(find(&cache, &source, 0).await, Ok(true));
    source.clock.advance(SECOND);
    assert_eq!(find(&cache, &source, 0).await, Err(KeyFailure::SnapshotTooOld));

    let (cache, source) = (KeyCache::new(TABLE_REFRESH_AFTER), Source::new());
    *source.fetched_at.lock().unwrap() = Some(source.clock.now().plus_seconds(1_000_000));
    assert_eq!(find(&cache, &source, 0).await, Ok(true));
    source.set(Mode::Fails);
    source.clock.advance(TRUST_FOR);
    assert!(find(&cache, &source, 0).await.is_err(), "a clock that is ahead does not make it last longer");
}

// ---- The same through the verifier, for both sources. ----

fn by_url() -> String {
    format!(r#"{{"id":"main","issuer":"{ISSUER}","audiences":["{AUDIENCE}"],"jwks":{{"source":"url","url":"{KEYS}"}}}}"#)
}

fn by_table() -> String {
    format!(r#"{{"id":"main","issuer":"{ISSUER}","audiences":["{AUDIENCE}"],"jwks":{{"source":"table"}}}}"#)
}

/// The outcome of a good token of the `n`th pair under `kid`, issued now.
async fn outcome(world: &World, verifier: &Verifier<Web, Table, ManualClock>, n: usize, kid: &str) -> &'static str {
    let now = world.clock.now();
    let claims = Claims::good().with("iat", &now.unix_seconds().to_string()).with("exp", &(now.unix_seconds() + 60).to_string());
    let token = Pair::rsa(n).token(Algorithm::RS256, &format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#), &claims.json());
    match verifier.verify(&token, now, BUDGET).await {
        Ok(_) => "ok",
        Err(VerifyError::Refused { refusal, .. }) => refusal.as_str(),
        Err(VerifyError::Unavailable { failure, .. }) => failure.as_str(),
    }
}

fn jwks(keys: &[(usize, &str)]) -> String {
    key_set(&keys.iter().map(|(n, kid)| Pair::rsa(*n).jwk(kid, "")).collect::<Vec<_>>())
}

#[tokio::test]
async fn preparing_loads_all_issuers_and_tells_what_came_of_each() {
    let world = World::new();
    world.answer(KEYS, Answer::Document(jwks(&[(0, "k0")])));
    world.store("second", &key_set(&[Pair::rsa(1).jwk("k1", ""), Pair::rsa(1).jwk("x", r#","use":"enc""#)]), Duration::ZERO);
    let table = |id: &str| format!(r#"{{"id":"{id}","issuer":"https://{id}.example","audiences":["a"]}}"#);
    let verifier = world.verifier(&[&by_url(), &table("second"), &table("third")]);
    let age = |issuer: &str| verifier.key_age(&IssuerId::new(issuer).unwrap(), world.clock.now());
    assert_eq!(["main", "second", "third"].map(age), [None; 3]);
    let prepared = verifier.prepare().await;
    let ids: Vec<_> = prepared.iter().map(|p| p.issuer.as_str()).collect();
    assert_eq!(ids, ["main", "second", "third"]);
    assert_eq!(prepared[0].keys.as_ref().unwrap().keys().len(), 1);
    assert_eq!(prepared[1].keys.as_ref().unwrap().skipped().len(), 1);
    assert_eq!(prepared[2].keys.as_ref().err(), Some(&KeyFailure::SnapshotMissing));
    world.asked();
    assert_eq!(outcome(&world, &verifier, 0, "k0").await, "ok");
    assert!(world.asked().is_empty(), "no I/O on the warm path");
    world.clock.advance(30 * MINUTE);
    assert_eq!(outcome(&world, &verifier, 0, "k0").await, "ok");
    world.clock.advance(MINUTE);
    // Each its own: keys that nobody has needed for half an hour are not what the other issuer's users are served with.
    assert_eq!(["main", "second", "third", "unknown"].map(age), [Some(MINUTE), Some(31 * MINUTE), None, None]);
}

#[tokio::test]
async fn a_rotation_is_followed_at_once_from_the_issuer() {
    let world = World::new();
    world.answer(KEYS, Answer::Document(jwks(&[(0, "old")])));
    let verifier = world.verifier(&[&by_url()]);
    assert_eq!(outcome(&world, &verifier, 0, "old").await, "ok");
    world.answer(KEYS, Answer::Document(jwks(&[(0, "old"), (1, "new")])));
    assert_eq!(outcome(&world, &verifier, 1, "new").await, "ok", "at once, although the old ones have just been loaded");
    assert_eq!(outcome(&world, &verifier, 0, "old").await, "ok");
    // Withdrawn, and nobody brings an unknown key: it stops when the keys are due.
    world.answer(KEYS, Answer::Document(jwks(&[(1, "new")])));
    world.clock.advance(URL_REFRESH_AFTER - SECOND);
    assert_eq!(outcome(&world, &verifier, 0, "old").await, "ok");
    world.clock.advance(SECOND);
    assert_eq!(outcome(&world, &verifier, 0, "old").await, "token.key-unknown");
    assert_eq!(outcome(&world, &verifier, 1, "new").await, "ok");
}

#[tokio::test]
async fn a_key_withdrawn_while_the_refresher_runs_stops_within_ten_minutes() {
    let world = World::new();
    let verifier = world.verifier(&[&by_table()]);
    // The worst case: the refresher has just run, and the broker reads the table just before it runs again.
    world.store("main", &jwks(&[(0, "old")]), Duration::ZERO);
    let mut stopped = None;
    for second in 0..=600_u32 {
        if second == 1 {
            // Withdrawn at the issuer: the refresher sees it when it runs next.
        } else if second % 300 == 0 && second > 0 {
            world.store("main", &jwks(&[(1, "new")]), Duration::ZERO);
        }
        if second >= 299 || second == 0 {
            let outcome = outcome(&world, &verifier, 0, "old").await;
            assert!(["ok", "token.key-unknown"].contains(&outcome));
            if outcome != "ok" && stopped.is_none() {
                stopped = Some(second);
            }
        }
        world.clock.advance(SECOND);
    }
    assert_eq!(stopped, Some(299 + 240), "read at 299, refreshed at 300, read again 4 minutes later");
}

#[tokio::test]
async fn an_outage_is_survived_for_an_hour_and_never_longer() {
    for by_table in [false, true] {
        let world = World::new();
        let source = if by_table { super::tests::by_table() } else { by_url() };
        world.answer(KEYS, Answer::Document(jwks(&[(0, "k")])));
        world.store("main", &jwks(&[(0, "k")]), Duration::ZERO);
        let verifier = world.verifier(&[&source]);
        assert_eq!(outcome(&world, &verifier, 0, "k").await, "ok");
        world.answer(KEYS, Answer::Fails(FetchError::Status(503)));
        world.break_table("main", "keys.table");
        for _ in 0..59 {
            world.clock.advance(MINUTE);
            assert_eq!(outcome(&world, &verifier, 0, "k").await, "ok");
            assert_eq!(outcome(&world, &verifier, 0, "other").await, "token.key-unknown", "never a 5xx while a key is trusted");
        }
        world.clock.advance(MINUTE);
        let expected = if by_table { "keys.table" } else { "keys.fetch-status" };
        assert_eq!(outcome(&world, &verifier, 0, "k").await, expected);
        world.answer(KEYS, Answer::Document(jwks(&[(0, "k")])));
        world.store("main", &jwks(&[(0, "k")]), Duration::ZERO);
        world.clock.advance(RETRY_MAX_WITHOUT_KEYS);
        assert_eq!(outcome(&world, &verifier, 0, "k").await, "ok");
    }
}

#[tokio::test]
async fn good_keys_are_not_replaced_by_nothing() {
    let world = World::new();
    world.answer(KEYS, Answer::Document(jwks(&[(0, "k")])));
    let verifier = world.verifier(&[&by_url()]);
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "ok");
    for answer in [
        Answer::Document(key_set(&[])),
        Answer::Document(key_set(&[Pair::rsa(0).jwk("k", r#","use":"enc""#)])),
        Answer::Document("<html>maintenance</html>".into()),
        Answer::Document(String::new()),
        Answer::Document(" ".repeat(300_000)),
        Answer::Fails(FetchError::Redirect),
        Answer::Slow(MINUTE, String::new()),
    ] {
        world.answer(KEYS, answer.clone());
        world.clock.advance(URL_REFRESH_AFTER);
        assert_eq!(outcome(&world, &verifier, 0, "k").await, "ok", "{answer:?}");
    }
    let half_bad = key_set(&[Pair::rsa(1).jwk("new", ""), "{\"kty\":\"oct\",\"k\":\"x\"}".into()]);
    world.answer(KEYS, Answer::Document(half_bad));
    world.clock.advance(URL_REFRESH_AFTER);
    assert_eq!(outcome(&world, &verifier, 1, "new").await, "ok");
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "token.key-unknown");
}

#[tokio::test]
async fn without_any_keys_it_is_unavailable_and_names_the_issuer() {
    let world = World::new();
    let verifier = world.verifier(&[&by_table()]);
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "keys.snapshot-missing");
    world.store("main", "{}", Duration::ZERO);
    world.clock.advance(RETRY_MAX_WITHOUT_KEYS);
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "keys.not-a-key-set");
    world.store("main", &jwks(&[(0, "k")]), TRUST_FOR);
    world.clock.advance(RETRY_MAX_WITHOUT_KEYS);
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "keys.snapshot-too-old");
    world.store("main", &jwks(&[(0, "k")]), TRUST_FOR - MINUTE);
    world.clock.advance(RETRY_MAX_WITHOUT_KEYS);
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "ok");
    // The item is gone: what is held is good for as long as it was.
    world.drop_snapshot("main");
    world.clock.advance(MINUTE - Duration::from_secs(5));
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "ok");
    world.clock.advance(MINUTE);
    assert_eq!(outcome(&world, &verifier, 0, "k").await, "keys.snapshot-missing");
}

#[tokio::test]
async fn a_bad_token_asks_for_no_keys() {
    let world = World::new();
    let verifier = world.verifier(&[&by_url()]);
    let now = world.clock.now();
    for (header, refusal) in [
        (r#"{"alg":"none","kid":"k"}"#, TokenRefusal::Algorithm),
        (r#"{"alg":"RS256","kid":"k","typ":"logout+jwt"}"#, TokenRefusal::Type),
        (r#"{"alg":"RS256"}"#, TokenRefusal::KeyId),
        (r#"{"alg":"RS256","kid":"k","jku":"https://evil.example"}"#, TokenRefusal::EmbeddedKey),
    ] {
        let token = Pair::rsa(0).token(Algorithm::RS256, header, &Claims::good().json());
        let error = verifier.verify(&token, now, BUDGET).await.err();
        assert!(matches!(error, Some(VerifyError::Refused { refusal: r, .. }) if r == refusal), "{header}");
    }
    assert!(world.asked().is_empty());
}
