//! Time, as the broker is told it.
//!
//! Every check of a lifetime goes through [`Clock`], so that each can be tested at its edges, and so that no library's
//! own idea of "now" (and of a leeway) decides.

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use serde::{Serialize, Serializer};

/// A moment in Unix time, in milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The moment `seconds` after the Unix epoch; saturates at the ends of `i64` milliseconds.
    pub const fn from_unix_seconds(seconds: i64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The moment `millis` milliseconds after the Unix epoch.
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Whole seconds since the Unix epoch, rounded down.
    pub const fn unix_seconds(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Milliseconds since the Unix epoch.
    pub const fn unix_millis(self) -> i64 {
        self.0
    }

    /// This moment plus `seconds`, saturating.
    pub const fn plus_seconds(self, seconds: i64) -> Self {
        Self(self.0.saturating_add(seconds.saturating_mul(1000)))
    }

    /// RFC 3339 in UTC with milliseconds, as `2026-01-31T12:00:00.000Z`.
    ///
    /// Moments outside the years 0 to 9999 cannot be written in RFC 3339; they are written as the nearest that can.
    pub fn rfc3339(self) -> String {
        // 0000-01-01T00:00:00Z and 9999-12-31T23:59:59Z.
        const FIRST: i64 = -62_167_219_200_000;
        const LAST: i64 = 253_402_300_799_000;
        let millis = self.0.clamp(FIRST, LAST);
        let whole = time::OffsetDateTime::from_unix_timestamp(millis.div_euclid(1000)).unwrap_or(time::OffsetDateTime::UNIX_EPOCH);
        format!(
            "{:04}-{:02}-{:02}T{:02}:{:02}:{:02}.{:03}Z",
            whole.year(),
            u8::from(whole.month()),
            whole.day(),
            whole.hour(),
            whole.minute(),
            whole.second(),
            millis.rem_euclid(1000)
        )
    }
}

/// The two clocks the broker needs.
pub trait Clock: Send + Sync {
    /// The time of day, for lifetimes that others set.
    fn now(&self) -> Timestamp;

    /// Time since an arbitrary start that never goes backwards, for durations and deadlines.
    fn monotonic(&self) -> Duration;
}

impl<C: Clock + ?Sized> Clock for std::sync::Arc<C> {
    fn now(&self) -> Timestamp {
        (**self).now()
    }

    fn monotonic(&self) -> Duration {
        (**self).monotonic()
    }
}

/// The operating system's clocks.
#[derive(Debug, Clone, Copy)]
pub struct SystemClock {
    start: Instant,
}

impl SystemClock {
    /// A clock whose monotonic time starts now.
    #[expect(clippy::disallowed_methods, reason = "the one place where the monotonic clock is read")]
    pub fn new() -> Self {
        Self { start: Instant::now() }
    }
}

impl Default for SystemClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for SystemClock {
    #[expect(clippy::disallowed_methods, reason = "the one place where the time of day is read")]
    fn now(&self) -> Timestamp {
        // A machine set to before 1970 reads as 1970: every token is then "not yet valid" and nothing is minted.
        let since_epoch = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        Timestamp(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
    }

    fn monotonic(&self) -> Duration {
        self.start.elapsed()
    }
}

/// As [`Timestamp::rfc3339`] writes it: records are for people, too.
impl Serialize for Timestamp {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(&self.rfc3339())
    }
}

/// The moment, on a [`Clock`]'s monotonic time, by which an answer must have been given.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Deadline(Duration);

impl Deadline {
    /// `budget` from now.
    pub fn after(clock: &impl Clock, budget: Duration) -> Self {
        Self(clock.monotonic().saturating_add(budget))
    }

    /// What is left; zero once it has passed.
    pub fn remaining(self, clock: &impl Clock) -> Duration {
        self.0.saturating_sub(clock.monotonic())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rfc3339_is_utc_with_milliseconds() {
        assert_eq!(Timestamp::from_unix_millis(0).rfc3339(), "1970-01-01T00:00:00.000Z");
        assert_eq!(Timestamp::from_unix_millis(-1).rfc3339(), "1969-12-31T23:59:59.999Z");
        assert_eq!(Timestamp::from_unix_millis(1_709_210_096_007).rfc3339(), "2024-02-29T12:34:56.007Z");
    }

    #[test]
    fn rfc3339_of_a_far_future_is_still_rfc3339() {
        assert_eq!(Timestamp::from_unix_millis(i64::MAX).rfc3339(), "9999-12-31T23:59:59.000Z");
        assert_eq!(Timestamp::from_unix_millis(i64::MIN).rfc3339(), "0000-01-01T00:00:00.000Z");
    }

    #[test]
    fn seconds_round_down_on_both_sides_of_the_epoch() {
        assert_eq!(Timestamp::from_unix_millis(1_999).unix_seconds(), 1);
        assert_eq!(Timestamp::from_unix_millis(-1).unix_seconds(), -1);
    }
}
