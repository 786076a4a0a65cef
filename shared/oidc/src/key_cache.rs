//! One issuer's keys, and when to load them again.
//!
//! The same states for keys that are fetched from the issuer and for keys that are read from the table. Every transition has
//! its number in `docs/architecture.md` ("The states of a key set"); in short:
//!
//! | state | when | a known `kid` | an unknown `kid` |
//! | --- | --- | --- | --- |
//! | empty | nothing was ever loaded | load, and wait for it | the same |
//! | fresh | loaded less than `refresh_after` ago | used, without I/O | one load per [`UNKNOWN_KEY_COOLDOWN`], then refused |
//! | due | loaded longer ago | load; the old key is used if that fails | load; then refused |
//! | waiting | due, and a load failed a short while ago | used, without I/O | as when fresh |
//! | expired | last confirmed by the issuer [`TRUST_FOR`] ago | load; unavailable if that fails | the same |
//!
//! What holds in all of them:
//!
//! - A load that fails, or brings no usable key, changes no key that is held. One that succeeds replaces them all: a key
//!   that the issuer withdrew is gone.
//! - After a failure the next load waits, at first [`RETRY_FIRST`], then twice as long each time, up to [`RETRY_MAX`] (while
//!   there is no trusted key, [`RETRY_MAX_WITHOUT_KEYS`]). An outage of the issuer costs one request in many its time, not
//!   each.
//! - One load at a time. Whoever comes meanwhile uses the keys that are there, or waits and shares what comes of it.
//! - There is no background task: the Lambda environment freezes between requests. A load happens within a request, and
//!   with at most half of its time where there are trusted keys to fall back on.
//! - No token can take the keys away: whatever a flood of unknown `kid`s does, known ones are used without a wait.
//!
//! A key that an issuer withdraws stops working within 10 minutes: [`URL_REFRESH_AFTER`] for keys that are fetched; for the
//! table, 5 minutes until the refresher has seen it and [`TABLE_REFRESH_AFTER`] until it is read. When the issuer (or the
//! table, or the refresher) fails all the while, [`TRUST_FOR`] is the bound.

use std::future::Future;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use latchkey_domain::clock::{Clock, Deadline, Timestamp};

use crate::key_set::{KeySet, Lookup};
use crate::refusal::KeyFailure;

/// The age at which keys that are fetched from the issuer are fetched again.
pub const URL_REFRESH_AFTER: Duration = Duration::from_secs(5 * 60);

/// The age at which the table is read again. With the refresher's 5 minutes it stays below 10, with a minute to spare.
pub const TABLE_REFRESH_AFTER: Duration = Duration::from_secs(4 * 60);

/// For how long keys are trusted since they came from the issuer. For the table that is when the refresher fetched them, so
/// a snapshot that nobody refreshes is not trusted for ever, however often it is read.
pub const TRUST_FOR: Duration = Duration::from_secs(3600);

/// The least time from one load that an unknown `kid` asks for to the next, whether the first succeeded or failed. A stranger
/// who invents key ids causes two loads a minute. Loads for other reasons do not count, so that a key that is new just after
/// one of them is found at once.
pub const UNKNOWN_KEY_COOLDOWN: Duration = Duration::from_secs(30);

/// The wait after the first failed load.
pub const RETRY_FIRST: Duration = Duration::from_secs(1);

/// The longest wait after failed loads while there are trusted keys.
pub const RETRY_MAX: Duration = Duration::from_secs(30);

/// The longest wait after failed loads while there are none: just below the 5 seconds after which callers are told to try
/// again, so that each who does as told is worth a new attempt.
pub const RETRY_MAX_WITHOUT_KEYS: Duration = Duration::from_secs(4);

/// A moment on both clocks.
///
/// The time of day can be set back; the monotonic clock can stand still while the environment is frozen. The longer of the
/// two spans is never less than the time that passed, so keys are at worst refreshed too early.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Moment {
    wall: i64,
    monotonic: i64,
}

impl Moment {
    pub(crate) fn now(clock: &impl Clock) -> Self {
        Self { wall: clock.now().unix_millis(), monotonic: millis(clock.monotonic()) }
    }

    /// This moment, with the time of day as a request was given it.
    pub(crate) const fn with_wall(self, now: Timestamp) -> Self {
        Self { wall: now.unix_millis(), ..self }
    }

    /// The time from `earlier` to this; zero where it is later.
    pub(crate) fn since(self, earlier: Self) -> Duration {
        let span = self.wall.saturating_sub(earlier.wall).max(self.monotonic.saturating_sub(earlier.monotonic));
        Duration::from_millis(u64::try_from(span).unwrap_or(0))
    }

    /// The moment when it was `wall` o'clock; this one where that is in the future. The future it can be if the clock of
    /// whoever wrote it is ahead, and must not make keys trusted for longer.
    fn at(self, wall: Timestamp) -> Self {
        let ago = self.wall.saturating_sub(wall.unix_millis()).max(0);
        Self { wall: self.wall.saturating_sub(ago), monotonic: self.monotonic.saturating_sub(ago) }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

/// What a load brought.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) keys: KeySet,
    /// When they came from the issuer; none for "just now".
    pub(crate) fetched_at: Option<Timestamp>,
}

/// Where keys are loaded from.
pub(crate) trait LoadKeys: Sync {
    fn load(&self, budget: Duration) -> impl Future<Output = Result<Loaded, KeyFailure>> + Send;
}

/// One issuer's keys.
#[derive(Debug)]
pub(crate) struct KeyCache {
    refresh_after: Duration,
    state: RwLock<State>,
    flight: tokio::sync::Mutex<()>,
}

#[derive(Debug, Clone, Default)]
struct State {
    held: Option<Held>,
    /// The last load that ended.
    last: Option<Attempt>,
    /// When the last load ended that an unknown `kid` asked for.
    asked: Option<Moment>,
    /// How many loads failed since the last that did not.
    failures: u32,
}

#[derive(Debug, Clone)]
struct Held {
    keys: Arc<KeySet>,
    /// When they were loaded.
    loaded: Moment,
    /// When they came from the issuer.
    confirmed: Moment,
}

#[derive(Debug, Clone, Copy)]
struct Attempt {
    ended: Moment,
    failure: Option<KeyFailure>,
}

/// See the table of the module.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Phase {
    Empty,
    Fresh,
    Due,
    Waiting,
    Expired,
}

/// Why keys are loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cause {
    /// There are none, or they are old.
    Age,
    /// There are trusted ones, and a `kid` is not among them.
    UnknownKey,
}

/// What to do about a `kid`.
#[derive(Debug)]
enum Plan {
    /// Use what the keys have under it.
    Use(Lookup),
    /// Load; on failure use this, if there is anything to use.
    Load { fallback: Option<Lookup> },
    /// There is nothing, and it is too early to try again.
    Fail(KeyFailure),
}

impl State {
    fn phase(&self, now: Moment, refresh_after: Duration) -> Phase {
        match &self.held {
            None => Phase::Empty,
            Some(held) if now.since(held.confirmed) >= TRUST_FOR => Phase::Expired,
            Some(held) if now.since(held.loaded) < refresh_after => Phase::Fresh,
            Some(_) if self.is_backing_off(now) => Phase::Waiting,
            Some(_) => Phase::Due,
        }
    }

    fn plan(&self, now: Moment, refresh_after: Duration, key_id: &str) -> Plan {
        let phase = self.phase(now, refresh_after);
        match (phase, &self.held) {
            (Phase::Fresh | Phase::Waiting, Some(held)) => match held.keys.find(key_id) {
                Lookup::Unknown if !self.is_cooling_down(now) => Plan::Load { fallback: Some(Lookup::Unknown) },
                found @ (Lookup::Key(_) | Lookup::Unknown | Lookup::Ambiguous) => Plan::Use(found),
            },
            (Phase::Due, Some(held)) => Plan::Load { fallback: Some(held.keys.find(key_id)) },
            (Phase::Empty | Phase::Fresh | Phase::Due | Phase::Waiting | Phase::Expired, _) => match self.last.and_then(|l| l.failure) {
                Some(failure) if self.is_backing_off(now) => Plan::Fail(failure),
                Some(_) | None => Plan::Load { fallback: None },
            },
        }
    }

    /// What the plan comes to when nothing more is loaded.
    fn settle(&self, now: Moment, refresh_after: Duration, key_id: &str) -> Result<Lookup, KeyFailure> {
        match self.plan(now, refresh_after, key_id) {
            Plan::Use(found) | Plan::Load { fallback: Some(found) } => Ok(found),
            Plan::Load { fallback: None } => Err(self.last.and_then(|l| l.failure).unwrap_or(KeyFailure::OutOfTime)),
            Plan::Fail(failure) => Err(failure),
        }
    }

    fn is_backing_off(&self, now: Moment) -> bool {
        let trusted = self.held.as_ref().is_some_and(|held| now.since(held.confirmed) < TRUST_FOR);
        let most = if trusted { RETRY_MAX } else { RETRY_MAX_WITHOUT_KEYS };
        let wait = RETRY_FIRST.saturating_mul(1 << self.failures.saturating_sub(1).min(16)).min(most);
        self.last.is_some_and(|last| now.since(last.ended) < wait)
    }

    fn is_cooling_down(&self, now: Moment) -> bool {
        self.asked.is_some_and(|asked| now.since(asked) < UNKNOWN_KEY_COOLDOWN)
    }

    fn record(&mut self, loaded: Result<Loaded, KeyFailure>, cause: Cause, now: Moment) -> Result<(), KeyFailure> {
        if cause == Cause::UnknownKey {
            self.asked = Some(now);
        }
        let taken = loaded.and_then(|loaded| {
            let confirmed = loaded.fetched_at.map_or(now, |at| now.at(at));
            if !loaded.keys.is_usable() {
                Err(KeyFailure::NoUsableKey)
            } else if now.since(confirmed) >= TRUST_FOR {
                Err(KeyFailure::SnapshotTooOld)
            } else {
                self.held = Some(Held { keys: Arc::new(loaded.keys), loaded: now, confirmed });
                Ok(())
            }
        });
        self.failures = if taken.is_ok() { 0 } else { self.failures.saturating_add(1) };
        self.last = Some(Attempt { ended: now, failure: taken.err() });
        taken
    }
}

impl KeyCache {
    /// A cache with nothing in it, for keys that are loaded again when older than `refresh_after`.
    pub(crate) fn new(refresh_after: Duration) -> Self {
        Self { refresh_after, state: RwLock::default(), flight: tokio::sync::Mutex::new(()) }
    }

    /// What the issuer has under `key_id`, loading keys where that is due, within `budget`.
    ///
    /// # Errors
    /// There are no keys that can be trusted.
    pub(crate) async fn find(
        &self,
        key_id: &str,
        loader: &impl LoadKeys,
        clock: &impl Clock,
        budget: Duration,
    ) -> Result<Lookup, KeyFailure> {
        // The way of nearly every request: one read lock, no I/O, no allocation.
        match self.plan(Moment::now(clock), key_id) {
            Plan::Use(found) => Ok(found),
            Plan::Fail(failure) => Err(failure),
            Plan::Load { fallback } => self.load_then_find(key_id, fallback, loader, clock, budget).await,
        }
    }

    async fn load_then_find(
        &self,
        key_id: &str,
        fallback: Option<Lookup>,
        loader: &impl LoadKeys,
        clock: &impl Clock,
        budget: Duration,
    ) -> Result<Lookup, KeyFailure> {
        let deadline = Deadline::after(clock, budget);
        let flight = match (self.flight.try_lock(), fallback) {
            (Ok(flight), _) => flight,
            // Someone is loading, and there is a key to go on with.
            (Err(_), Some(found @ (Lookup::Key(_) | Lookup::Ambiguous))) => return Ok(found),
            // Someone is loading what this request needs.
            (Err(_), fallback) => match tokio::time::timeout(budget, self.flight.lock()).await {
                Ok(flight) => flight,
                Err(_) => return fallback.ok_or(KeyFailure::OutOfTime),
            },
        };
        // Whoever held the lock has loaded: then there is nothing to load any more, and its result is this one's.
        let fallback = match self.plan(Moment::now(clock), key_id) {
            Plan::Use(found) => return Ok(found),
            Plan::Fail(failure) => return Err(failure),
            Plan::Load { fallback } => fallback,
        };
        let remaining = deadline.remaining(clock);
        let share = if fallback.is_some() { remaining / 2 } else { remaining };
        if share.is_zero() {
            // Not an attempt: a caller without time must not make those with time wait for the next one.
            return fallback.ok_or(KeyFailure::OutOfTime);
        }
        // What came of it is not told here: with trusted keys a failure is no failure, and without it is in the state.
        let cause = if matches!(fallback, Some(Lookup::Unknown)) { Cause::UnknownKey } else { Cause::Age };
        let _ = self.attempt(loader, clock, share, cause).await;
        drop(flight);
        self.read(|state| state.settle(Moment::now(clock), self.refresh_after, key_id))
    }

    /// Loads keys now, whatever the state; for the start.
    ///
    /// # Errors
    /// Why nothing was taken over. Keys that are held are still held.
    pub(crate) async fn load(&self, loader: &impl LoadKeys, clock: &impl Clock, budget: Duration) -> Result<Arc<KeySet>, KeyFailure> {
        let Ok(_flight) = tokio::time::timeout(budget, self.flight.lock()).await else { return Err(KeyFailure::OutOfTime) };
        self.attempt(loader, clock, budget, Cause::Age).await?;
        self.read(|state| state.held.as_ref().map(|held| Arc::clone(&held.keys))).ok_or(KeyFailure::OutOfTime)
    }

    /// One load, and its result recorded. Whoever calls holds the flight lock.
    async fn attempt(&self, loader: &impl LoadKeys, clock: &impl Clock, budget: Duration, cause: Cause) -> Result<(), KeyFailure> {
        let mut unsettled = Unsettled { cache: self, clock, cause, settled: false };
        let loaded = tokio::time::timeout(budget, loader.load(budget)).await.unwrap_or(Err(KeyFailure::OutOfTime));
        unsettled.settled = true;
        self.record(loaded, cause, Moment::now(clock))
    }

    /// When the keys that are held came from the issuer, as an age.
    pub(crate) fn age(&self, now: Moment) -> Option<Duration> {
        self.read(|state| state.held.as_ref().map(|held| now.since(held.confirmed)))
    }

    #[cfg(test)]
    pub(crate) fn phase(&self, now: Moment) -> Phase {
        self.read(|state| state.phase(now, self.refresh_after))
    }

    fn plan(&self, now: Moment, key_id: &str) -> Plan {
        self.read(|state| state.plan(now, self.refresh_after, key_id))
    }

    fn record(&self, loaded: Result<Loaded, KeyFailure>, cause: Cause, now: Moment) -> Result<(), KeyFailure> {
        self.write(|state| state.record(loaded, cause, now))
    }

    fn write<T>(&self, f: impl FnOnce(&mut State) -> T) -> T {
        f(&mut self.state.write().unwrap_or_else(PoisonError::into_inner))
    }

    fn read<T>(&self, f: impl FnOnce(&State) -> T) -> T {
        // Poison would mean a panic while the state was written; what it holds is whole all the same.
        f(&self.state.read().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Counts a load that was abandoned (its request was dropped) as one that failed. Otherwise each request that gives up on a
/// slow issuer would leave the next one to try at once.
struct Unsettled<'a, C: Clock> {
    cache: &'a KeyCache,
    clock: &'a C,
    cause: Cause,
    settled: bool,
}

impl<C: Clock> Drop for Unsettled<'_, C> {
    fn drop(&mut self) {
        if !self.settled {
            let _ = self.cache.record(Err(KeyFailure::OutOfTime), self.cause, Moment::now(self.clock));
        }
    }
}

#[cfg(test)]
mod model;
#[cfg(test)]
mod tests;
