//! The cache against a model of it, through clocks and failures: the table of transitions in `docs/architecture.md` ("The states
//! of a key set"), read from there, and what must hold after every step.
//!
//! Driven is what the broker drives, a [`TrustedIssuer`] with its real ways to an issuer's key set and to the table's copy of
//! one; only what answers at the other end is made up.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

use futures_util::FutureExt as _;
use futures_util::future::join;
use latchkey_domain::decision::Reason;
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Unavailable;
use proptest::prelude::*;

use super::*;
use crate::config::parse_issuers;
use crate::fetch::{FETCH_TIMEOUT, Fetch, FetchError, Limits, MAX_DOCUMENT_BYTES};
use crate::issuer::{Sources, TrustedIssuer};
use crate::snapshot::{KeySnapshot, SnapshotStore};
use crate::testing::{AUDIENCE, BUDGET, ISSUER, ManualClock, Pair, key_set};

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_secs(60);

// ---- The document. ----

impl Phase {
    const ALL: [Self; 5] = [Self::Empty, Self::Fresh, Self::Due, Self::Waiting, Self::Expired];

    const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::Fresh => "fresh",
            Self::Due => "due",
            Self::Waiting => "waiting",
            Self::Expired => "expired",
        }
    }
}

/// What happens to a key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Event {
    Loads,
    LoadFails,
    Paused,
    Known,
    UnknownLoads,
    UnknownLoadFails,
    UnknownAgain,
    TimePasses,
    TimePassesInPause,
    PausePasses,
    HourPasses,
    KnownMeanwhile,
    NeededMeanwhile,
    SetBack,
}

impl Event {
    const ALL: [Self; 14] = [
        Self::Loads,
        Self::LoadFails,
        Self::Paused,
        Self::Known,
        Self::UnknownLoads,
        Self::UnknownLoadFails,
        Self::UnknownAgain,
        Self::TimePasses,
        Self::TimePassesInPause,
        Self::PausePasses,
        Self::HourPasses,
        Self::KnownMeanwhile,
        Self::NeededMeanwhile,
        Self::SetBack,
    ];

    /// As the document has it.
    const fn as_str(self) -> &'static str {
        match self {
            Self::Loads => "a request; the load succeeds",
            Self::LoadFails => "a request; the load fails",
            Self::Paused => "a request within the pause after a failure",
            Self::Known => "a known `kid`",
            Self::UnknownLoads => "an unknown `kid`, the first in 30 s to ask for a load; it succeeds",
            Self::UnknownLoadFails => "an unknown `kid`, the first in 30 s to ask for a load; it fails",
            Self::UnknownAgain => "an unknown `kid` within 30 s of one that asked for a load",
            Self::TimePasses => "its time passes",
            Self::TimePassesInPause => "its time passes within the pause after a failure",
            Self::PausePasses => "the pause passes",
            Self::HourPasses => "an hour passes since the issuer confirmed the keys",
            Self::KnownMeanwhile => "a known `kid` while another request loads",
            Self::NeededMeanwhile => "a request while another loads what it needs",
            Self::SetBack => "the time of day is set back that had moved on alone",
        }
    }

    /// The event that time is, which has brought a set from one state to another.
    const fn of_time(from: Phase, to: Phase) -> Self {
        match (from, to) {
            (_, Phase::Expired) => Self::HourPasses,
            (Phase::Waiting, _) => Self::PausePasses,
            (_, Phase::Waiting) => Self::TimePassesInPause,
            (_, Phase::Empty | Phase::Fresh | Phase::Due) => Self::TimePasses,
        }
    }
}

/// A row of the document's table.
struct Row {
    name: String,
    states: Vec<Phase>,
    event: Event,
    /// None for "as before".
    next: Option<Vec<Phase>>,
}

impl Row {
    fn has(&self, from: Phase, event: Event, to: Phase) -> bool {
        let leads_there = match &self.next {
            None => from == to,
            Some(next) => next.contains(&to),
        };
        self.event == event && self.states.contains(&from) && leads_there
    }
}

/// The table of the document.
fn rows() -> Vec<Row> {
    let document = include_str!("../../../../docs/architecture.md");
    let (_, section) = document.split_once("\n### The states of a key set\n").expect("the section");
    let section = section.split("\n## ").next().unwrap_or_default();
    let states = |cell: &str| -> Vec<Phase> {
        let state = |name: &str| Phase::ALL.into_iter().find(|phase| phase.as_str() == name);
        cell.split(", ").map(|name| state(name).unwrap_or_else(|| panic!("there is no state {name}"))).collect()
    };
    let rows: Vec<Row> = section
        .lines()
        .filter(|line| line.starts_with("| T"))
        .map(|line| {
            let cells: Vec<&str> = line.trim_matches('|').split(" | ").map(str::trim).collect();
            let [name, from, event, next, _served] = cells[..] else { panic!("not five cells: {line}") };
            let event = Event::ALL.into_iter().find(|e| e.as_str() == event).unwrap_or_else(|| panic!("{name}: no test knows this event"));
            Row { name: name.to_owned(), states: states(from), event, next: (next != "as before").then(|| states(next)) }
        })
        .collect();
    for (i, row) in rows.iter().enumerate() {
        assert_eq!(row.name, format!("T{}", i + 1), "they are numbered in order");
    }
    rows
}

// ---- What answers. ----

/// How an issuer, or the table, answers.
#[derive(Debug, Clone, PartialEq)]
enum Mode {
    /// With these usable key ids, and, where that is said, with a bad key beside them.
    Serves {
        kids: BTreeSet<u8>,
        half_bad: bool,
    },
    /// With a set of no keys; the table with no item.
    Empty,
    /// With a set in which no key can be used.
    AllBad,
    /// With a 503.
    Error,
    Redirect,
    /// With more than may be read.
    Huge,
    /// With a page that says that it is being worked on.
    Html,
    /// With key 0 after that long, where it may take so long.
    Slow(Duration),
    /// Never.
    Hangs,
}

/// The network and the table: both answer in the same mode.
struct Source {
    clock: ManualClock,
    mode: Mutex<Mode>,
    /// When the table's copy was made.
    fetched_at: Mutex<Timestamp>,
    loads: Mutex<u32>,
}

/// The made-up keys are of the kind that is read fastest.
fn document(kids: &BTreeSet<u8>, bad: bool) -> String {
    let mut keys: Vec<_> = kids.iter().map(|kid| Pair::ed25519().jwk(&kid.to_string(), "")).collect();
    keys.extend(bad.then(|| Pair::ed25519().jwk("9", r#","use":"enc""#)));
    key_set(&keys)
}

const MAINTENANCE: &str = "<html><body>We are back soon.</body></html>";

const TABLE_FAILS: Unavailable = Unavailable { reason: Reason("dynamodb.throttled"), detail: None, aws_request_id: None };

impl Source {
    fn new() -> Self {
        let clock = ManualClock::new();
        let fetched_at = Mutex::new(clock.now());
        Self { clock, mode: Mutex::new(serving(&[0])), fetched_at, loads: Mutex::new(0) }
    }

    fn mode(&self) -> Mode {
        self.mode.lock().unwrap().clone()
    }

    fn taken_loads(&self) -> u32 {
        std::mem::take(&mut self.loads.lock().unwrap())
    }

    /// Counts a load and lets others run, as a load must not look as if it took no time.
    async fn begin(&self) -> Mode {
        *self.loads.lock().unwrap() += 1;
        tokio::task::yield_now().await;
        self.mode()
    }
}

fn serving(kids: &[u8]) -> Mode {
    Mode::Serves { kids: kids.iter().copied().collect(), half_bad: false }
}

impl Fetch for Source {
    async fn get(&self, _url: &str, limits: Limits) -> Result<Vec<u8>, FetchError> {
        match self.begin().await {
            Mode::Serves { kids, half_bad } => Ok(document(&kids, half_bad).into_bytes()),
            Mode::Empty => Ok(document(&BTreeSet::new(), false).into_bytes()),
            Mode::AllBad => Ok(document(&BTreeSet::new(), true).into_bytes()),
            Mode::Error => Err(FetchError::Status(503)),
            Mode::Redirect => Err(FetchError::Redirect),
            Mode::Huge => Ok(vec![b' '; MAX_DOCUMENT_BYTES + 1]),
            Mode::Html => Ok(MAINTENANCE.into()),
            Mode::Slow(takes) if takes > limits.timeout => {
                self.clock.advance(limits.timeout);
                Err(FetchError::Timeout)
            }
            Mode::Slow(takes) => {
                self.clock.advance(takes);
                Ok(document(&BTreeSet::from([0]), false).into_bytes())
            }
            Mode::Hangs => std::future::pending().await,
        }
    }
}

impl SnapshotStore for Source {
    async fn load(&self, _issuer: &IssuerId, budget: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        let jwks = match self.begin().await {
            Mode::Serves { kids, half_bad } => document(&kids, half_bad),
            Mode::Empty => return Ok(None),
            Mode::AllBad => document(&BTreeSet::new(), true),
            Mode::Error | Mode::Redirect => return Err(TABLE_FAILS),
            Mode::Huge => " ".repeat(MAX_DOCUMENT_BYTES + 1),
            Mode::Html => MAINTENANCE.into(),
            Mode::Slow(takes) if takes > budget => {
                self.clock.advance(budget);
                return Err(TABLE_FAILS);
            }
            Mode::Slow(takes) => {
                self.clock.advance(takes);
                document(&BTreeSet::from([0]), false)
            }
            Mode::Hangs => return std::future::pending().await,
        };
        Ok(Some(KeySnapshot { jwks, fetched_at: *self.fetched_at.lock().unwrap() }))
    }
}

// ---- The model. ----

/// What must be known to say what a request must come to.
#[derive(Debug)]
struct Model {
    by_table: bool,
    /// The ids that are held, and when they were loaded and confirmed.
    held: Option<(BTreeSet<u8>, Moment, Moment)>,
    /// When the last load ended, and why it failed.
    last: Option<(Moment, Option<KeyFailure>)>,
    /// When an unknown id last asked for a load.
    asked: Option<Moment>,
    failures: u32,
}

impl Model {
    const fn new(by_table: bool) -> Self {
        Self { by_table, held: None, last: None, asked: None, failures: 0 }
    }

    const fn refresh_after(&self) -> Duration {
        if self.by_table { TABLE_REFRESH_AFTER } else { URL_REFRESH_AFTER }
    }

    fn is_trusted(&self, now: Moment) -> bool {
        self.held.as_ref().is_some_and(|(_, _, confirmed)| now.since(*confirmed) < TRUST_FOR)
    }

    fn is_young(&self, now: Moment) -> bool {
        self.held.as_ref().is_some_and(|(_, loaded, _)| now.since(*loaded) < self.refresh_after())
    }

    fn holds(&self, kid: u8) -> bool {
        self.held.as_ref().is_some_and(|(kids, _, _)| kids.contains(&kid))
    }

    fn is_paused(&self, now: Moment) -> bool {
        let most = if self.is_trusted(now) { RETRY_MAX } else { RETRY_MAX_WITHOUT_KEYS };
        let doubled = Duration::from_secs(1 << self.failures.saturating_sub(1).min(10));
        self.failures > 0 && self.last.is_some_and(|(ended, _)| now.since(ended) < doubled.min(most))
    }

    fn phase(&self, now: Moment) -> Phase {
        match (self.held.is_some(), self.is_trusted(now), self.is_young(now), self.is_paused(now)) {
            (false, ..) => Phase::Empty,
            (true, false, ..) => Phase::Expired,
            (true, true, true, _) => Phase::Fresh,
            (true, true, false, true) => Phase::Waiting,
            (true, true, false, false) => Phase::Due,
        }
    }

    /// Whether a request must load, and otherwise must not.
    fn must_load(&self, now: Moment, kid: u8) -> bool {
        let may_ask = !self.holds(kid) && self.asked.is_none_or(|asked| now.since(asked) >= UNKNOWN_KEY_COOLDOWN);
        match self.phase(now) {
            Phase::Empty | Phase::Expired => !self.is_paused(now),
            Phase::Due => true,
            Phase::Fresh | Phase::Waiting => may_ask,
        }
    }

    /// What a request is that needs no load.
    fn quiet(&self, now: Moment, kid: u8) -> Event {
        match self.phase(now) {
            Phase::Empty | Phase::Expired => Event::Paused,
            Phase::Due | Phase::Fresh | Phase::Waiting if self.holds(kid) => Event::Known,
            Phase::Due | Phase::Fresh | Phase::Waiting => Event::UnknownAgain,
        }
    }

    /// What comes of a load in this mode that may take this long, and how long it does take.
    fn outcome(&self, mode: &Mode, share: Duration) -> (Duration, Result<BTreeSet<u8>, KeyFailure>) {
        let either = |url: KeyFailure, table: KeyFailure| Err(if self.by_table { table } else { url });
        let store = KeyFailure::Store(TABLE_FAILS.reason);
        let limit = if self.by_table { share } else { share.min(FETCH_TIMEOUT) };
        match mode {
            Mode::Serves { kids, .. } => (Duration::ZERO, Ok(kids.clone())),
            Mode::Empty => (Duration::ZERO, either(KeyFailure::NoUsableKey, KeyFailure::SnapshotMissing)),
            Mode::AllBad => (Duration::ZERO, Err(KeyFailure::NoUsableKey)),
            Mode::Error => (Duration::ZERO, either(KeyFailure::Fetch(FetchError::Status(503)), store)),
            Mode::Redirect => (Duration::ZERO, either(KeyFailure::Fetch(FetchError::Redirect), store)),
            Mode::Huge => (Duration::ZERO, either(KeyFailure::Fetch(FetchError::TooLarge), KeyFailure::NotAKeySet)),
            Mode::Html => (Duration::ZERO, Err(KeyFailure::NotAKeySet)),
            Mode::Slow(takes) if *takes > limit => (limit, either(KeyFailure::Fetch(FetchError::Timeout), store)),
            Mode::Slow(takes) => (*takes, Ok(BTreeSet::from([0]))),
            // The clock of the test stands still meanwhile; tokio's does not.
            Mode::Hangs => (Duration::ZERO, Err(KeyFailure::OutOfTime)),
        }
    }

    /// A load has ended, at `after`.
    fn record(&mut self, asked: bool, served: Result<BTreeSet<u8>, KeyFailure>, fetched_at: Timestamp, after: Moment) {
        if asked {
            self.asked = Some(after);
        }
        let confirmed = if self.by_table { after.at(fetched_at) } else { after };
        let failure = match served {
            Ok(_) if after.since(confirmed) >= TRUST_FOR => Some(KeyFailure::SnapshotTooOld),
            Ok(kids) => {
                self.held = Some((kids, after, confirmed));
                None
            }
            Err(failure) => Some(failure),
        };
        self.failures = if failure.is_none() { 0 } else { self.failures + 1 };
        self.last = Some((after, failure));
    }
}

// ---- What is done. ----

#[derive(Debug, Clone)]
enum Action {
    Advance(Duration),
    /// The environment is frozen: the monotonic clock stands still.
    Freeze(Duration),
    SetBack(Duration),
    Becomes(Mode),
    /// The table gets a new copy of what the issuer serves.
    Copies,
    /// A request with this `kid`; 3 and above were never published.
    Request(u8),
    /// Two requests, the second of which comes while the first is under way.
    Together(u8, u8),
    /// A request that is dropped as soon as it waits.
    Abandon(u8),
    /// Ten times so many requests with unknown ids, and one with a known.
    Flood(u8),
}

/// By the name of a row, from which state to which it was taken.
type Taken<'d> = BTreeMap<&'d str, BTreeSet<(&'static str, &'static str)>>;

/// One issuer's keys over time, the model of them, and the transitions that were taken.
struct Timeline<'d> {
    rows: &'d [Row],
    taken: Taken<'d>,
    issuer: TrustedIssuer,
    source: Arc<Source>,
    sources: Sources<Arc<Source>, Arc<Source>, ManualClock>,
    model: Model,
    /// The time that really passed, whatever the clocks say, and when each key was last published.
    passed: Duration,
    published: BTreeMap<u8, Duration>,
    was_set_back: bool,
}

type Step = Result<(), TestCaseError>;

impl<'d> Timeline<'d> {
    fn new(rows: &'d [Row], by_table: bool) -> Self {
        let jwks = if by_table { r#"{"source":"table"}"# } else { r#"{"source":"url","url":"https://idp.example/keys"}"# };
        let config = format!(r#"[{{"id":"main","issuer":"{ISSUER}","audiences":["{AUDIENCE}"],"jwks":{jwks}}}]"#);
        let source = Arc::new(Source::new());
        let sources = Sources { fetch: Arc::clone(&source), snapshots: Arc::clone(&source), clock: source.clock.clone() };
        Self {
            rows,
            taken: BTreeMap::new(),
            issuer: TrustedIssuer::new(parse_issuers(&config).unwrap().remove(0)),
            source,
            sources,
            model: Model::new(by_table),
            passed: Duration::ZERO,
            published: BTreeMap::new(),
            was_set_back: false,
        }
    }

    fn now(&self) -> Moment {
        Moment::now(&self.source.clock)
    }

    /// Takes a transition, which must be one of the document's.
    fn take(&mut self, from: Phase, event: Event, to: Phase) -> Step {
        let mut rows = self.rows.iter().filter(|row| row.has(from, event, to));
        let Some(row) = rows.next() else {
            return Err(TestCaseError::fail(format!("no row has {} | {} | {}", from.as_str(), event.as_str(), to.as_str())));
        };
        if let Some(other) = rows.next() {
            return Err(TestCaseError::fail(format!("{} and {} are the same", row.name, other.name)));
        }
        self.taken.entry(&row.name).or_default().insert((from.as_str(), to.as_str()));
        Ok(())
    }

    async fn find(&self, kid: u8) -> Result<Lookup, KeyFailure> {
        self.issuer.find_key(&kid.to_string(), &self.sources, BUDGET).await
    }

    async fn act(&mut self, action: &Action) -> Step {
        match action {
            Action::Advance(by) => self.pass(Event::of_time, |clock| clock.advance(*by))?,
            Action::Freeze(by) => self.pass(Event::of_time, |clock| clock.advance_wall(*by))?,
            Action::SetBack(by) => {
                self.was_set_back = true;
                self.pass(|_, _| Event::SetBack, |clock| clock.set_back(*by))?;
            }
            Action::Becomes(mode) => *self.source.mode.lock().unwrap() = mode.clone(),
            Action::Copies => *self.source.fetched_at.lock().unwrap() = self.source.clock.now(),
            Action::Request(kid) => self.request(*kid).await?,
            Action::Together(first, second) => self.together(*first, *second).await?,
            Action::Abandon(kid) => self.abandon(*kid).await?,
            Action::Flood(tens) => {
                for kid in 0..tens * 10 {
                    self.request(100 + kid).await?;
                }
                self.request(0).await?;
            }
        }
        if let Action::Advance(by) | Action::Freeze(by) = action {
            self.passed += *by;
        }
        self.note_published();

        // After every step the cache is where the model is.
        let now = self.now();
        let cache = self.issuer.cache().expect("a cache");
        prop_assert_eq!(cache.phase(now), self.model.phase(now), "{:?}", self.model);
        prop_assert_eq!(cache.age(now), self.model.held.as_ref().map(|(_, _, confirmed)| now.since(*confirmed)));
        prop_assert_eq!(self.source.taken_loads(), 0, "a load that nobody waits for");
        Ok(())
    }

    fn note_published(&mut self) {
        if let Mode::Serves { kids, .. } = self.source.mode() {
            self.published.extend(kids.into_iter().map(|kid| (kid, self.passed)));
        }
        if let Mode::Slow(_) = self.source.mode() {
            self.published.insert(0, self.passed);
        }
    }

    /// The clocks are changed.
    fn pass(&mut self, event: impl Fn(Phase, Phase) -> Event, change: impl FnOnce(&ManualClock)) -> Step {
        let from = self.model.phase(self.now());
        change(&self.source.clock);
        let to = self.model.phase(self.now());
        if from == to { Ok(()) } else { self.take(from, event(from, to), to) }
    }

    async fn request(&mut self, kid: u8) -> Step {
        let before = self.now();
        let must_load = self.model.must_load(before, kid);
        let found = self.find(kid).await;
        prop_assert_eq!(self.source.taken_loads(), u32::from(must_load), "kid {}, {:?}", kid, self.model);
        let after = if must_load { self.loaded(before, kid, BUDGET)? } else { self.unloaded(before, kid)? };
        prop_assert_eq!(self.now(), after);
        self.check(kid, &found, after, false)
    }

    async fn together(&mut self, first: u8, second: u8) -> Step {
        let before = self.now();
        if !self.model.must_load(before, first) {
            self.request(first).await?;
            return self.request(second).await;
        }
        let from = self.model.phase(before);
        let knows_second = self.model.is_trusted(before) && self.model.holds(second);
        let (one, two) = {
            let (mut one, mut two) = (Box::pin(self.find(first)), Box::pin(self.find(second)));
            prop_assert!(one.as_mut().now_or_never().is_none(), "the first loads");
            match two.as_mut().now_or_never() {
                Some(two) => {
                    prop_assert!(knows_second, "who has no key waits");
                    (one.await, two)
                }
                None => {
                    prop_assert!(!knows_second, "who has a key does not");
                    join(one, two).await
                }
            }
        };
        if knows_second {
            self.check(second, &two, before, true)?;
            self.take(from, if from == Phase::Due { Event::KnownMeanwhile } else { Event::Known }, from)?;
        } else {
            self.take(from, Event::NeededMeanwhile, from)?;
        }
        let mut loads = 1;
        let mut after = self.loaded(before, first, BUDGET)?;
        self.check(first, &one, after, false)?;
        if !knows_second {
            // It has waited, and now is one like any other, with the time that it has left.
            let left = BUDGET.saturating_sub(after.since(before));
            let share = if self.model.is_trusted(after) { left / 2 } else { left };
            if !self.model.must_load(after, second) {
                self.unloaded(after, second)?;
            } else if !share.is_zero() {
                loads += 1;
                after = self.loaded(after, second, left)?;
            }
            self.check(second, &two, after, false)?;
        }
        prop_assert_eq!(self.source.taken_loads(), loads);
        prop_assert_eq!(self.now(), after);
        Ok(())
    }

    async fn abandon(&mut self, kid: u8) -> Step {
        let before = self.now();
        if !self.model.must_load(before, kid) {
            return self.request(kid).await;
        }
        prop_assert!(self.find(kid).now_or_never().is_none(), "and is dropped");
        prop_assert_eq!(self.source.taken_loads(), 1);
        self.ended(before, kid, before, Err(KeyFailure::OutOfTime))
    }

    /// A request at `now` that loads nothing.
    fn unloaded(&mut self, now: Moment, kid: u8) -> Result<Moment, TestCaseError> {
        let from = self.model.phase(now);
        self.take(from, self.model.quiet(now, kid), from)?;
        Ok(now)
    }

    /// A request that began to load at `before`, with that much time; gives when the load ended.
    fn loaded(&mut self, before: Moment, kid: u8, left: Duration) -> Result<Moment, TestCaseError> {
        let share = if self.model.is_trusted(before) { left / 2 } else { left };
        let (takes, served) = self.model.outcome(&self.source.mode(), share);
        let after = Moment { wall: before.wall + millis(takes), monotonic: before.monotonic + millis(takes) };
        self.passed += takes;
        self.note_published();
        self.ended(before, kid, after, served)?;
        Ok(after)
    }

    fn ended(&mut self, before: Moment, kid: u8, after: Moment, served: Result<BTreeSet<u8>, KeyFailure>) -> Step {
        // Time passed while it loaded: what it comes to is told from the state that it found at its end.
        let (began, from) = (self.model.phase(before), self.model.phase(after));
        if began != from {
            self.take(began, Event::of_time(began, from), from)?;
        }
        let asked = self.model.is_trusted(before) && !self.model.holds(kid);
        let held = self.model.held.clone();
        self.model.record(asked, served, *self.source.fetched_at.lock().unwrap(), after);
        let well = self.model.failures == 0;
        prop_assert!(well || self.model.held == held, "a load that failed has changed what is held");
        let event = match (from, well) {
            (Phase::Fresh | Phase::Waiting, true) => Event::UnknownLoads,
            (Phase::Fresh | Phase::Waiting, false) => Event::UnknownLoadFails,
            (Phase::Empty | Phase::Due | Phase::Expired, true) => Event::Loads,
            (Phase::Empty | Phase::Due | Phase::Expired, false) => Event::LoadFails,
        };
        let to = self.model.phase(after);
        self.take(from, event, to)
    }

    /// What must hold of every answer: known keys work while they are trusted, withdrawn and unknown ones do not, and only the
    /// lack of trusted keys is unavailable, with the reason for which they could not be had.
    fn check(&self, kid: u8, found: &Result<Lookup, KeyFailure>, now: Moment, another_loads: bool) -> Step {
        let model = &self.model;
        match found {
            Ok(Lookup::Key(key)) => {
                prop_assert_eq!(key.key_id(), kid.to_string());
                prop_assert!(model.is_trusted(now) && model.holds(kid), "a key that is not trusted was used: {:?}", model);
                prop_assert!(
                    model.is_young(now) || model.failures > 0 || another_loads,
                    "an old key, and no new one was tried for: {:?}",
                    model
                );
                // By the time that really passed: no key outlives its publication by more than the hour.
                let since = self.published.get(&kid).map(|at| self.passed.saturating_sub(*at));
                prop_assert!(
                    model.by_table || self.was_set_back || since.is_some_and(|since| since < TRUST_FOR),
                    "withdrawn {since:?} ago: {model:?}"
                );
            }
            Ok(Lookup::Unknown) => prop_assert!(model.is_trusted(now) && !model.holds(kid), "{:?}", model),
            Ok(Lookup::Ambiguous) => prop_assert!(false, "no id is published twice"),
            Err(failure) => {
                prop_assert!(!model.is_trusted(now), "unavailable in spite of trusted keys: {:?}", model);
                prop_assert_eq!(Some(*failure), model.last.and_then(|(_, failure)| failure));
            }
        }
        Ok(())
    }
}

/// Runs a timeline from its beginning; gives the transitions that it took.
fn run<'d>(rows: &'d [Row], by_table: bool, actions: &[Action]) -> Result<Taken<'d>, TestCaseError> {
    // Paused time: what would wait for a source that hangs gives up at once.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap();
    runtime.block_on(async {
        let mut timeline = Timeline::new(rows, by_table);
        for (i, action) in actions.iter().enumerate() {
            timeline.act(action).await.map_err(|error| TestCaseError::fail(format!("step {i}, {action:?}: {error}")))?;
        }
        Ok(timeline.taken)
    })
}

// ---- Timelines by chance. ----

fn actions() -> impl Strategy<Value = Vec<Action>> {
    let mode = prop_oneof![
        8 => (proptest::collection::btree_set(0..3_u8, 1..3), any::<bool>()).prop_map(|(kids, half_bad)| Mode::Serves { kids, half_bad }),
        1 => Just(Mode::Empty),
        1 => Just(Mode::AllBad),
        1 => Just(Mode::Error),
        1 => Just(Mode::Redirect),
        1 => Just(Mode::Huge),
        1 => Just(Mode::Html),
        2 => (0..8_u64).prop_map(|s| Mode::Slow(Duration::from_secs(s))),
        1 => Just(Mode::Hangs),
    ];
    let span = prop_oneof![
        (0..3000_u64).prop_map(Duration::from_millis),
        (0..60_u64).prop_map(Duration::from_secs),
        (0..12_u32).prop_map(|minutes| MINUTE * minutes),
        Just(TABLE_REFRESH_AFTER),
        Just(URL_REFRESH_AFTER),
        Just(UNKNOWN_KEY_COOLDOWN),
        Just(TRUST_FOR),
    ];
    let action = prop_oneof![
        5 => span.clone().prop_map(Action::Advance),
        1 => span.clone().prop_map(Action::Freeze),
        1 => span.prop_map(Action::SetBack),
        4 => mode.prop_map(Action::Becomes),
        2 => Just(Action::Copies),
        8 => (0..5_u8).prop_map(Action::Request),
        3 => (0..5_u8, 0..5_u8).prop_map(|(first, second)| Action::Together(first, second)),
        1 => (0..5_u8).prop_map(Action::Abandon),
        1 => (1..5_u8).prop_map(Action::Flood),
    ];
    proptest::collection::vec(action, 1..80)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn the_cache_does_as_the_document_says(actions in actions(), by_table in any::<bool>()) {
        run(&rows(), by_table, &actions)?;
    }
}

// ---- Timelines on purpose. ----

/// Timelines that together take every transition of the document, in every way that its row allows.
fn on_purpose() -> Vec<Vec<Action>> {
    use Action::{Abandon, Advance, Becomes, Copies, Flood, Freeze, Request, SetBack, Together};
    let fails = || Becomes(Mode::Error);
    let serves = |kids: &[u8]| Becomes(serving(kids));
    let refresh = URL_REFRESH_AFTER;
    vec![
        // From nothing to keys, through a failure.
        vec![fails(), Request(0), Request(0), Advance(SECOND), Together(0, 1), Advance(4 * SECOND), serves(&[0]), Request(0)],
        vec![Together(0, 3), Request(0)],
        // An unknown key: a rotation that is found at once, a flood, a withdrawal.
        vec![
            Request(0),
            serves(&[0, 1]),
            Request(1),
            Request(0),
            Flood(3),
            Advance(UNKNOWN_KEY_COOLDOWN),
            serves(&[1]),
            Together(2, 2),
            Request(0),
        ],
        vec![Request(0), fails(), Request(3), Advance(UNKNOWN_KEY_COOLDOWN), Together(3, 0)],
        // The time passes: all is well; then it is not, and the pause after a failure is waited for.
        vec![Request(0), Advance(refresh), Request(0), Advance(refresh), fails(), Request(0), Request(0), Advance(SECOND), Together(0, 0)],
        vec![Request(0), Advance(refresh), fails(), Together(0, 3), Request(4), Advance(UNKNOWN_KEY_COOLDOWN), Together(3, 4)],
        vec![Request(0), Advance(refresh), fails(), Request(0), serves(&[1]), Request(1), Request(0)],
        vec![Request(0), Advance(refresh), fails(), Request(0), Together(3, 4)],
        // The time passes within the pause, and while a load takes its own.
        vec![Request(0), Advance(refresh - SECOND / 2), fails(), Request(3), Advance(SECOND / 2), Request(0)],
        vec![Request(0), Advance(refresh - SECOND), Becomes(Mode::Slow(2 * SECOND)), Request(3)],
        vec![Request(0), Advance(refresh - SECOND), Becomes(Mode::Slow(MINUTE)), Request(3)],
        // Nobody can be reached for an hour, and then for longer.
        vec![
            Request(0),
            Advance(TRUST_FOR),
            fails(),
            Request(0),
            Request(0),
            Advance(4 * SECOND),
            Together(0, 0),
            Advance(MINUTE),
            serves(&[0]),
            Request(0),
        ],
        vec![Request(0), fails(), Advance(refresh), Request(0), Advance(TRUST_FOR), Request(0)],
        vec![Request(0), Advance(refresh), Advance(TRUST_FOR), Together(0, 0)],
        vec![Request(0), fails(), Advance(TRUST_FOR - SECOND), Request(0), Advance(SECOND), Request(0)],
        // Each way to fail, with keys and without.
        [Mode::Empty, Mode::AllBad, Mode::Error, Mode::Redirect, Mode::Huge, Mode::Html, Mode::Slow(MINUTE), Mode::Hangs]
            .into_iter()
            .flat_map(|mode| {
                let held = [serves(&[0]), Copies, Advance(MINUTE), Request(0), Advance(refresh), Becomes(mode), Request(0), Request(3)];
                held.into_iter().chain([Advance(TRUST_FOR), Request(0), Request(0), Advance(MINUTE), Abandon(0), Advance(MINUTE)])
            })
            .collect(),
        // The table's copy is nearly an hour old when it is read, and a new one comes only after it has run out.
        vec![Advance(TRUST_FOR - MINUTE), Request(0), Advance(MINUTE), Request(0), Copies, Advance(MINUTE), Request(0)],
        // Half of the keys are bad.
        vec![Becomes(Mode::Serves { kids: BTreeSet::from([0, 1]), half_bad: true }), Request(0), Request(1), Request(9)],
        // Only the time of day moves, and is put right.
        vec![Request(0), Freeze(refresh), SetBack(refresh), Request(0)],
        vec![Request(0), Advance(refresh), fails(), Request(0), Freeze(MINUTE), SetBack(MINUTE)],
        vec![Request(0), fails(), Request(3), Freeze(refresh), Request(0), SetBack(refresh)],
        vec![Request(0), Freeze(TRUST_FOR), SetBack(TRUST_FOR - refresh), SetBack(refresh)],
        vec![Request(0), Freeze(TRUST_FOR), SetBack(TRUST_FOR)],
        // It is abandoned.
        vec![Request(0), Advance(refresh), Abandon(0), Request(0), Advance(SECOND), Abandon(3)],
    ]
}

#[test]
fn every_transition_of_the_document_is_taken() {
    let rows = rows();
    let mut taken = Taken::new();
    for by_table in [false, true] {
        for actions in on_purpose() {
            let of_this = run(&rows, by_table, &actions).unwrap_or_else(|error| panic!("{error} (by table: {by_table}, {actions:?})"));
            for (row, transitions) in of_this {
                taken.entry(row).or_default().extend(transitions);
            }
        }
    }
    let mut missing = Vec::new();
    for row in &rows {
        let taken = taken.remove(row.name.as_str()).unwrap_or_default();
        let left = row.states.iter().filter(|state| !taken.iter().any(|(from, _)| *from == state.as_str()));
        missing.extend(left.map(|state| format!("{} from {}", row.name, state.as_str())));
        let led = row.next.iter().flatten().filter(|state| !taken.iter().any(|(_, to)| *to == state.as_str()));
        missing.extend(led.map(|state| format!("{} to {}", row.name, state.as_str())));
    }
    assert!(missing.is_empty(), "transitions of docs/architecture.md that no timeline takes: {missing:?}");
    let events: Vec<_> = Event::ALL.into_iter().filter(|event| !rows.iter().any(|row| row.event == *event)).collect();
    assert!(events.is_empty(), "events that docs/architecture.md does not have: {events:?}");
}
