//! Everything that may go wrong on the wire between the function and what it calls, alone and in pairs, and what has to hold all the
//! same. docs/reliability.md has the table; [`Expected`] is where it says what each fault comes to.
//!
//! For every combination: an answer within the function's time, which is the right one; `Retry-After` with what may pass; exactly one
//! audit record, which says the same; a URL only with its hash on record, and none that was made and is on no record; no URL for
//! somebody without a grant, whatever is broken; and the next request is well again.

use std::fmt::Write as _;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use latchkey_domain::clock::{Clock, SystemClock, Timestamp};
use latchkey_domain::names::Region;
use latchkey_domain::presigned_url::{HostRule, PresignedUrl};
use latchkey_domain::target::Kind;
use latchkey_standin::fault::Fault;
use latchkey_standin::idp::MintOptions;
use latchkey_standin::stack::StackOptions;
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::stack::{World, launch};
use latchkey_tests::stopwatch::Stopwatch;
use latchkey_tests::time_machine::TimeMachine;
use latchkey_tests::tools::{bootstrap, root};
use serde_json::{Value, json};

/// How long the platform lets an invocation be: seconds more than any takes, besides those where all the time there is gets lost. One
/// that takes longer is killed, and its answer is no proxy response.
const PLATFORM_TIME: Duration = Duration::from_secs(10);

/// What the function is told it has where something hangs for as long as anybody waits: short, as that takes all of it.
const TOLD_TIME: Duration = Duration::from_secs(3);

/// How many cases are under way at a time, of all tests here. Most of them wait most of the time.
const AT_A_TIME: usize = 4;
static AT_A_TIME_ALONE: Mutex<()> = Mutex::new(());

/// Every step that there can be: the gate looks, tokens open once, and uses are counted.
const CONFIGURATION: [(&str, &str); 3] =
    [("LATCHKEY_POSTURE", "enforce"), ("LATCHKEY_REPLAY", "jti"), ("LATCHKEY_RATE_LIMIT", "100000/60")];

/// A call of the function's, in the order in which they are made.
#[derive(Debug, PartialEq, Eq)]
struct Place {
    call: &'static str,
    /// What the reasons begin with.
    service: &'static str,
    /// Whether it may be made again when nobody knows whether it was done.
    harmless_twice: bool,
    /// Whether it writes to the table.
    writes: bool,
}

const PLACES: [Place; 8] = [
    // The one without a target's name, the other with.
    Place { call: "Query", service: "dynamodb", harmless_twice: true, writes: false },
    Place { call: "BatchGetItem", service: "dynamodb", harmless_twice: true, writes: false },
    Place { call: "UpdateItem", service: "dynamodb", harmless_twice: false, writes: true },
    // The mark of a used token has the request's own name on it.
    Place { call: "PutItem", service: "dynamodb", harmless_twice: true, writes: true },
    Place { call: "AssumeRole", service: "sts", harmless_twice: true, writes: false },
    Place { call: "DescribeDomain", service: "sagemaker", harmless_twice: true, writes: false },
    Place { call: "DescribeUserProfile", service: "sagemaker", harmless_twice: true, writes: false },
    Place { call: "CreatePresignedDomainUrl", service: "sagemaker", harmless_twice: true, writes: false },
];

/// What goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Wrong {
    Late,
    ContentType,
    Throttled,
    Failed,
    Unavailable,
    Closed,
    HalfHead,
    HalfBody,
    Malformed,
    Empty,
    Hangs,
    Denied,
    Expired,
}

impl Wrong {
    const ALL: [Self; 13] = [
        Self::Late,
        Self::ContentType,
        Self::Throttled,
        Self::Failed,
        Self::Unavailable,
        Self::Closed,
        Self::HalfHead,
        Self::HalfBody,
        Self::Malformed,
        Self::Empty,
        Self::Hangs,
        Self::Denied,
        Self::Expired,
    ];

    const fn words(self) -> &'static str {
        match self {
            Self::Late => "an answer that comes late",
            Self::ContentType => "the content type of a page",
            Self::Throttled => "throttling",
            Self::Failed => "a 500 of the service's",
            Self::Unavailable => "a 503 of the service's",
            Self::Closed => "a connection that is closed before the answer",
            Self::HalfHead => "a connection that breaks within the head",
            Self::HalfBody => "a connection that breaks within the body",
            Self::Malformed => "a body that is neither JSON nor XML",
            Self::Empty => "an empty body",
            Self::Hangs => "no answer at all",
            Self::Denied => "access denied",
            Self::Expired => "the function's credentials expired",
        }
    }

    fn fault(self, place: &Place) -> Fault {
        let by_query = place.service == "sts";
        match self {
            Self::Late => Fault::Delay(Duration::from_millis(150)),
            Self::ContentType => Fault::WrongContentType,
            Self::Throttled => Fault::error(400, if by_query { "Throttling" } else { "ThrottlingException" }),
            Self::Failed => Fault::error(500, "InternalFailure"),
            Self::Unavailable => Fault::error(503, "ServiceUnavailable"),
            Self::Closed => Fault::Close,
            Self::HalfHead => Fault::HalfHead,
            Self::HalfBody => Fault::Truncated,
            Self::Malformed => Fault::Malformed,
            Self::Empty => Fault::Body(String::new()),
            Self::Hangs => Fault::Delay(Duration::from_secs(60)),
            Self::Denied => Fault::error(if by_query { 403 } else { 400 }, if by_query { "AccessDenied" } else { "AccessDeniedException" }),
            Self::Expired => {
                Fault::error(if by_query { 403 } else { 400 }, if by_query { "ExpiredToken" } else { "ExpiredTokenException" })
            }
        }
    }

    /// Whether nothing can have been done.
    const fn is_certain(self) -> bool {
        matches!(self, Self::Throttled | Self::Denied | Self::Expired)
    }
}

/// How often it goes wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Times {
    Once,
    Always,
}

/// What it comes to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Expected {
    /// A URL.
    Opens,
    /// 503, and the reason begins with the service.
    Refused,
}

impl Expected {
    /// What a fault comes to: the document's table.
    const fn of(place: &Place, wrong: Wrong, times: Times) -> Self {
        match (wrong, times) {
            // Nothing is wrong with the answer, or nobody looks at what is.
            (Wrong::Late | Wrong::ContentType, _) => Self::Opens,
            // The answer to a write is empty where nothing is asked for.
            (Wrong::Empty, _) if place.writes => Self::Opens,
            // Asking again does not help.
            (Wrong::Denied | Wrong::Expired, _) | (_, Times::Always) => Self::Refused,
            (_, Times::Once) if place.harmless_twice || wrong.is_certain() => Self::Opens,
            (_, Times::Once) => Self::Refused,
        }
    }
}

/// One of them, or two.
type Combination = Vec<(&'static Place, Wrong, Times)>;

fn alone() -> Vec<Combination> {
    let all = PLACES.iter().flat_map(|place| Wrong::ALL.into_iter().map(move |wrong| (place, wrong)));
    all.flat_map(|(place, wrong)| [Times::Once, Times::Always].map(|times| vec![(place, wrong, times)])).collect()
}

/// Two places at a time, in either order of these: what passes before what passes, before what does not, and after what has taken time.
const PAIRS: [(Wrong, Wrong, Times); 5] = [
    (Wrong::Throttled, Wrong::Failed, Times::Once),
    (Wrong::HalfBody, Wrong::Closed, Times::Once),
    (Wrong::Failed, Wrong::Denied, Times::Always),
    (Wrong::Late, Wrong::HalfHead, Times::Once),
    (Wrong::Closed, Wrong::Malformed, Times::Always),
];

fn in_pairs() -> Vec<Combination> {
    let places = (0..PLACES.len())
        .flat_map(|first| (0..PLACES.len()).map(move |second| (first, second)))
        .filter(|(first, second)| first != second && *first.max(second) > 1);
    let all = places.flat_map(|two| PAIRS.map(|pair| (two, pair)));
    all.map(|((first, second), (one, other, times))| vec![(&PLACES[first], one, Times::Once), (&PLACES[second], other, times)]).collect()
}

/// The first of them that refuses, in the order in which the calls are made.
fn expected(combination: &Combination) -> (Expected, &'static str) {
    let refusing = combination.iter().filter(|(place, wrong, times)| Expected::of(place, *wrong, *times) == Expected::Refused);
    let position = |place: &Place| PLACES.iter().position(|one| one == place).unwrap();
    refusing.min_by_key(|(place, ..)| position(place)).map_or((Expected::Opens, ""), |(place, ..)| (Expected::Refused, place.service))
}

/// A new environment, started: the emulator counts the start as a part of the first request, and Lambda does not.
fn environment(variables: &[(String, String)], platform_time: Duration) -> Emulator {
    let limit = ("AWS_LAMBDA_FUNCTION_TIMEOUT".to_owned(), platform_time.as_secs().to_string());
    let emulator = Emulator::start(&bootstrap(), &[variables, &[limit]].concat());
    let health = emulator.invoke(&json!({"resource": "/health", "path": "/health", "httpMethod": "GET", "requestContext": {}}));
    assert_eq!(health.status(), 200);
    emulator
}

/// One whose function is told that it has [`TOLD_TIME`], and is killed seconds after: its clock is that much ahead of the emulator's. The
/// answer comes a fifth of a second before the time is up, which a busy machine takes for its passage. Where no clock can be moved, the
/// function is killed once that time is up.
fn hurried_environment(variables: &[(String, String)]) -> (Emulator, Option<TimeMachine>) {
    let Some(time) = TimeMachine::new() else { return (environment(variables, TOLD_TIME), None) };
    time.move_to(PLATFORM_TIME - TOLD_TIME);
    (environment(&[variables, &time.env()].concat(), PLATFORM_TIME), Some(time))
}

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

/// The stand-ins, for one combination after the other.
struct Bench {
    world: World,
}

impl Bench {
    fn new() -> Self {
        Self { world: World::start_with(StackOptions { relay_table: true, ..StackOptions::default() }) }
    }

    fn inject(&self, place: &Place, wrong: Wrong, times: Times) {
        let (fault, times) = (wrong.fault(place), if times == Times::Once { 1 } else { 100 });
        match place.service {
            "dynamodb" => self.world.stack.table_relay.as_ref().unwrap().inject(place.call, times, &fault),
            _ => self.world.stack.aws.inject(place.call, times, &fault),
        }
    }

    fn clear(&self) {
        self.world.stack.table_relay.as_ref().unwrap().clear_faults();
        self.world.stack.aws.clear_faults();
        self.world.clear_captured();
    }

    /// How many URLs were made.
    fn made(&self) -> usize {
        let made = |call: &latchkey_standin::captured::Captured| {
            call.action == "CreatePresignedDomainUrl" && call.outcome.as_ref().is_none_or(|outcome| outcome.status == 200)
        };
        self.world.stack.aws.captured().iter().filter(|call| made(call)).count()
    }

    fn try_out(&self, number: usize, combination: &Combination) {
        let what = format!("{combination:?}");
        // A new environment, so that no session, no finding and no connection is left from before.
        let variables = self.world.env(&CONFIGURATION);
        let takes_all_time = combination.iter().any(|(_, wrong, times)| (*wrong, *times) == (Wrong::Hangs, Times::Always));
        let (emulator, _time) =
            if takes_all_time { hurried_environment(&variables) } else { (environment(&variables, PLATFORM_TIME), None) };
        for (place, wrong, times) in combination {
            self.inject(place, *wrong, *times);
        }
        let request_id = format!("fault-{number}");
        let stopwatch = Stopwatch::start();
        let named = combination.iter().any(|(place, ..)| place.call == "BatchGetItem").then(|| json!({"target": "research"}));
        let answer = emulator.invoke(&launch(&request_id, &self.world.token("alice"), named.as_ref()));
        assert!(!takes_all_time || stopwatch.elapsed() < TOLD_TIME, "{what}: {:?}", stopwatch.elapsed());
        let record = emulator.record_of(&request_id);
        let (expected, service) = expected(combination);
        self.holds(&what, expected, service, &answer, &record);

        // Whoever has no grant gets nothing out of what is broken.
        if !combination.iter().any(|(_, wrong, _)| *wrong == Wrong::Hangs) {
            let made = self.made();
            let stranger =
                emulator.invoke(&launch(&format!("{request_id}-stranger"), &self.world.token_of("nobody", None), named.as_ref()));
            assert!(matches!(stranger.status(), 403 | 503) && stranger.body()["url"].is_null(), "{what}: {}", stranger.status());
            assert_eq!(self.made(), made, "{what}: a URL was made for a stranger");
        }
        self.clear();
        let again = format!("{request_id}-again");
        let answer = emulator.invoke(&launch(&again, &self.world.token("alice"), None));
        assert_eq!(answer.status(), 200, "{what}: not well again: {}", emulator.record_of(&again));
        self.clear();
    }

    /// What has to hold of an answer and its record.
    fn holds(&self, what: &str, expected: Expected, service: &str, answer: &Answer, record: &Value) {
        let reason = record["reason"].as_str().unwrap_or_default();
        let said = (answer.status(), answer.body()["code"].as_str().map(str::to_owned));
        match expected {
            Expected::Opens => {
                assert_eq!(said, (200, None), "{what}: {reason}");
                assert_eq!((record["decision"].as_str(), record["code"].as_str()), (Some("allow"), Some("ok")), "{what}");
                let url = answer.body()["url"].as_str().unwrap().to_owned();
                let rule = HostRule { allow_loopback: true };
                let url = PresignedUrl::new(url, Kind::Studio, &Region::new("eu-central-1").unwrap(), rule).unwrap();
                assert_eq!(record["url_sha256"], url.sha256(), "{what}");
                assert!(self.made() >= 1, "{what}");
            }
            Expected::Refused => {
                assert_eq!(said, (503, Some("unavailable".to_owned())), "{what}: {reason}");
                assert_eq!((record["decision"].as_str(), record["code"].as_str()), (Some("deny"), Some("unavailable")), "{what}");
                assert!(reason.strip_prefix(service).is_some_and(|rest| rest.starts_with('.')), "{what}: {reason}");
                assert_eq!(answer.header("Retry-After"), Some("5"), "{what}");
                assert!(answer.body()["url"].is_null() && record["url_sha256"].is_null(), "{what}");
                // One that was made and got lost: the record says that SageMaker was asked, and what went wrong.
                assert!(self.made() == 0 || reason.starts_with("sagemaker."), "{what}: {reason}");
            }
        }
    }
}

/// Each case on one of several benches, several at a time.
fn at_a_time<T: Sync>(cases: &[T], try_out: impl Fn(&Bench, usize, &T) + Sync) {
    let _alone = AT_A_TIME_ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_A_TIME {
            scope.spawn(|| {
                let bench = Bench::new();
                loop {
                    let number = next.fetch_add(1, Ordering::Relaxed);
                    let Some(case) = cases.get(number) else { break };
                    try_out(&bench, number, case);
                }
            });
        }
    });
}

#[test]
#[ignore = "needs the tools: make test"]
fn whatever_goes_wrong_alone() {
    at_a_time(&alone(), Bench::try_out);
}

#[test]
#[ignore = "needs the tools: make test"]
fn whatever_goes_wrong_in_pairs() {
    at_a_time(&in_pairs(), Bench::try_out);
}

/// What goes wrong with the issuer, by the two documents that are fetched from it.
const OF_THE_ISSUER: [Wrong; 8] =
    [Wrong::Failed, Wrong::Unavailable, Wrong::Closed, Wrong::HalfHead, Wrong::HalfBody, Wrong::Malformed, Wrong::Empty, Wrong::Hangs];
const DOCUMENTS: [&str; 2] = ["/.well-known/openid-configuration", "/jwks"];

/// How long the keys' cache waits at most before it asks an issuer again of whose keys it has none, and what asking takes.
const UNTIL_THE_KEYS_ARE_ASKED_FOR_AGAIN: Duration = Duration::from_secs(10);

#[test]
#[ignore = "needs the tools: make test"]
fn whatever_is_wrong_with_the_issuer() {
    let cases: Vec<(&str, Wrong, Times)> = DOCUMENTS
        .into_iter()
        .flat_map(|document| OF_THE_ISSUER.into_iter().map(move |wrong| (document, wrong)))
        .flat_map(|(document, wrong)| [Times::Once, Times::Always].map(|times| (document, wrong, times)))
        .collect();
    assert_eq!(cases.len(), OF_THE_ISSUER.len() * DOCUMENTS.len() * 2);
    at_a_time(&cases, |bench, number, (document, wrong, times)| {
        let what = format!("{document} {wrong:?} {times:?}");
        let place = Place { call: document, service: "keys", harmless_twice: true, writes: false };
        bench.world.stack.idp.inject(document, if *times == Times::Once { 1 } else { 1000 }, &wrong.fault(&place));
        // Fetching keys may take five seconds, at the start and in a request.
        let emulator = environment(&bench.world.env(&CONFIGURATION), PLATFORM_TIME);
        let request_id = format!("issuer-{number}");
        let answer = emulator.invoke(&launch(&request_id, &bench.world.token("alice"), None));
        let record = emulator.record_of(&request_id);
        // What happens once may be over before the first request: keys are loaded at the start.
        let expected = if *times == Times::Once && answer.status() == 200 { Expected::Opens } else { Expected::Refused };
        bench.holds(&what, expected, "keys", &answer, &record);
        // A token that nobody can verify is not believed, and one that is none needs no keys to be refused.
        let none = emulator.invoke(&launch(&format!("{request_id}-none"), "not-a-token", None));
        assert_eq!(none.status(), 401, "{what}");
        bench.world.stack.idp.clear_faults();
        let until = now() + UNTIL_THE_KEYS_ARE_ASKED_FOR_AGAIN;
        let mut tries = 0;
        while emulator.invoke(&launch(&format!("{request_id}-again-{tries}"), &bench.world.token("alice"), None)).status() != 200 {
            assert!(now() < until, "{what}: not well again");
            tries += 1;
            std::thread::sleep(Duration::from_millis(100));
        }
        bench.clear();
    });
}

#[test]
#[ignore = "needs the tools: make test"]
fn whatever_is_wrong_with_the_network() {
    // Nobody listens there, as the system hands that port out to nobody; and nobody has that name (RFC 6761, section 6.4).
    const NOWHERE: [&str; 2] = ["http://127.0.0.1:1", "https://nobody.invalid"];
    let cases: Vec<(&str, &str, &str)> =
        [("dynamodb", "AWS_ENDPOINT_URL_DYNAMODB"), ("sts", "AWS_ENDPOINT_URL_STS"), ("sagemaker", "AWS_ENDPOINT_URL_SAGEMAKER")]
            .into_iter()
            .flat_map(|(service, variable)| NOWHERE.map(|endpoint| (service, variable, endpoint)))
            .collect();
    at_a_time(&cases, |bench, number, (service, variable, endpoint)| {
        let what = format!("{service} at {endpoint}");
        let overrides = [&CONFIGURATION[..], &[(*variable, *endpoint)]].concat();
        let emulator = environment(&bench.world.env(&overrides), PLATFORM_TIME);
        for attempt in 0..2 {
            let request_id = format!("network-{number}-{attempt}");
            let answer = emulator.invoke(&launch(&request_id, &bench.world.token("alice"), None));
            let record = emulator.record_of(&request_id);
            bench.holds(&what, Expected::Refused, service, &answer, &record);
            let reason = record["reason"].as_str().unwrap();
            assert!([".unreachable", ".timeout"].iter().any(|end| reason.ends_with(end)), "{what}: {reason}");
        }
        bench.clear();
    });
}

/// AWS and the issuer, whose clock is not this machine's, by which the function goes.
struct Skewed(i64, SystemClock);

impl Clock for Skewed {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.1.now().unix_seconds() + self.0)
    }

    fn monotonic(&self) -> Duration {
        self.1.monotonic()
    }
}

#[test]
#[ignore = "needs the tools: make test"]
fn whatever_the_clocks_say() {
    for skew in [-3600, 3600] {
        let clock = Arc::new(Skewed(skew, SystemClock::new()));
        let bench = Bench { world: World::start_with(StackOptions { relay_table: true, clock, ..StackOptions::default() }) };
        let emulator = environment(&bench.world.env(&CONFIGURATION), PLATFORM_TIME);
        // A token of an issuer whose clock is wrong is not good yet, or not any more.
        let request_id = format!("clock-{skew}");
        let answer = emulator.invoke(&launch(&request_id, &bench.world.token("alice"), None));
        let record = emulator.record_of(&request_id);
        let reason = if skew < 0 { "token.expired" } else { "token.issued-in-future" };
        assert_eq!((answer.status(), record["reason"].as_str()), (401, Some(reason)));
        // With a good one it is AWS that does not believe the function, and the calls that are signed come to nothing.
        let mut good = MintOptions::new(bench.world.stack.user("alice").unwrap().subject.as_str());
        good.issued_in_seconds = -skew;
        let token = bench.world.stack.idp.mint(&good).unwrap();
        let request_id = format!("{request_id}-good");
        let answer = emulator.invoke(&launch(&request_id, &token, None));
        bench.holds(&request_id, Expected::Refused, "sts", &answer, &emulator.record_of(&request_id));
    }
}

/// The table of the document: a row for each fault, a column for each call; once, and always.
fn table() -> String {
    let mut table = String::from("| |");
    for place in &PLACES {
        let _ = write!(table, " `{}` |", place.call);
    }
    table.push_str("\n| --- |");
    table.push_str(&" --- |".repeat(PLACES.len()));
    for wrong in Wrong::ALL {
        let _ = write!(table, "\n| {} |", wrong.words());
        for place in &PLACES {
            let word = |times| if Expected::of(place, wrong, times) == Expected::Opens { "URL" } else { "503" };
            let _ = write!(table, " {}, {} |", word(Times::Once), word(Times::Always));
        }
    }
    let _ = write!(table, "\n\n{} combinations alone, {} in pairs.", alone().len(), in_pairs().len());
    table
}

#[test]
fn the_document_has_the_table() {
    let document = std::fs::read_to_string(root().join("docs/reliability.md")).unwrap();
    assert!(document.contains(&table()), "docs/reliability.md is to have:\n\n{}", table());
}
