//! Trying again, within the time there is.
//!
//! The SDK's own retries are off for the broker's clients: they know neither how much time is left nor whether a call may
//! be made twice. Here both are known for every call, and a call that is given up says what its last attempt failed with
//! rather than that time ran out.

use std::future::Future;
use std::time::Duration;

use tokio::time::{Instant, sleep, timeout};

use crate::failure::{Failure, Kind};

/// How a call may be tried.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Policy {
    /// How often at most, at least 1.
    pub(crate) attempts: u32,
    /// How long one attempt may take while there is another to come. The last gets all the time that is left.
    pub(crate) each: Duration,
    /// How long all of it may take, however much time the request has.
    pub(crate) whole: Duration,
    /// Whether doing it twice does no harm. Otherwise it is only tried again after failures that certainly did nothing.
    pub(crate) harmless_twice: bool,
}

/// The pause before the second attempt; each further one waits twice as long. Up to half of it again is added, so that
/// environments that were throttled together do not come back together.
const PAUSE: Duration = Duration::from_millis(50);

/// Below this, another attempt is not begun.
const SHORTEST_ATTEMPT: Duration = Duration::from_millis(20);

/// When a call must have ended, counted from now.
pub(crate) fn deadline(budget: Duration, policy: Policy) -> Instant {
    Instant::now() + budget.min(policy.whole)
}

/// Calls `attempt` until it succeeds, until another try makes no sense, or until `deadline`.
///
/// An attempt that takes too long is dropped, which closes its connection.
pub(crate) async fn run<T, F>(policy: Policy, deadline: Instant, mut attempt: impl FnMut() -> F) -> Result<T, Failure>
where
    F: Future<Output = Result<T, Failure>> + Send,
{
    let mut pause = PAUSE;
    let mut number = 1;
    loop {
        let last = number >= policy.attempts;
        let begun = Instant::now();
        let left = deadline.saturating_duration_since(begun);
        // Two thirds at most, so that what hangs leaves time for a fresh connection; but where a time-out ends the matter, all.
        let limit = if last || !policy.harmless_twice { left } else { policy.each.min(left * 2 / 3) };
        let failure = match timeout(limit, attempt()).await {
            Ok(Ok(value)) => return Ok(value),
            Ok(Err(failure)) => failure,
            Err(_elapsed) => Failure::new(Kind::Timeout, true),
        };
        if last || !is_worth_another(&failure, policy) {
            return Err(failure);
        }
        let now = Instant::now();
        let wait = failure.retry_after.unwrap_or_default().max(pause + jitter(pause, now.duration_since(begun)));
        if deadline.saturating_duration_since(now) < wait + SHORTEST_ATTEMPT {
            return Err(failure);
        }
        sleep(wait).await;
        pause *= 2;
        number += 1;
    }
}

fn is_worth_another(failure: &Failure, policy: Policy) -> bool {
    let may_pass = match failure.kind {
        Kind::Timeout | Kind::Unreachable | Kind::Broken | Kind::Throttled | Kind::Failed | Kind::Malformed => true,
        Kind::Tls | Kind::AccessDenied | Kind::Credentials | Kind::Validation | Kind::NotFound | Kind::Refused | Kind::NotSent => false,
    };
    may_pass && (policy.harmless_twice || !failure.may_be_done)
}

/// Up to half of `pause`, by the nanoseconds that the attempt took: nothing to be guessed, only to be different each time.
fn jitter(pause: Duration, took: Duration) -> Duration {
    pause * (took.subsec_nanos() % 500) / 1000
}

#[cfg(test)]
mod tests {
    use std::cell::Cell;

    use super::*;

    const POLICY: Policy = Policy { attempts: 3, each: Duration::from_millis(200), whole: Duration::from_secs(1), harmless_twice: true };

    fn run_with(policy: Policy, budget: Duration, outcomes: &[Option<Failure>]) -> (Result<(), Failure>, usize, Duration) {
        on_a_clock_of_its_own(async {
            let count = Cell::new(0);
            let begun = Instant::now();
            let result = run(policy, deadline(budget, policy), || {
                let outcome = outcomes[count.get().min(outcomes.len() - 1)].clone();
                count.set(count.get() + 1);
                async move { outcome.map_or(Ok(()), Err) }
            })
            .await;
            (result, count.get(), begun.elapsed())
        })
    }

    /// Time passes only while everything waits, and then at once.
    fn on_a_clock_of_its_own<F: Future>(future: F) -> F::Output {
        tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build().unwrap().block_on(future)
    }

    #[test]
    fn what_may_pass_is_tried_again_and_what_may_not_is_not() {
        let (result, calls, _) = run_with(POLICY, Duration::from_secs(1), &[Some(Failure::new(Kind::Throttled, false)), None]);
        assert!(result.is_ok() && calls == 2);
        let (result, calls, _) = run_with(POLICY, Duration::from_secs(1), &[Some(Failure::new(Kind::Failed, true))]);
        assert!(result.is_err() && calls == 3);
        let (result, calls, _) = run_with(POLICY, Duration::from_secs(1), &[Some(Failure::new(Kind::AccessDenied, false))]);
        assert!(result.is_err() && calls == 1);
    }

    #[test]
    fn what_may_be_done_is_only_repeated_where_that_is_harmless() {
        let once = Policy { harmless_twice: false, ..POLICY };
        let (_, calls, _) = run_with(once, Duration::from_secs(1), &[Some(Failure::new(Kind::Timeout, true)), None]);
        assert_eq!(calls, 1);
        let (_, calls, _) = run_with(once, Duration::from_secs(1), &[Some(Failure::new(Kind::Timeout, false)), None]);
        assert_eq!(calls, 2);
    }

    #[test]
    fn the_budget_holds_whatever_the_service_asks_for() {
        let patient = Failure { retry_after: Some(Duration::from_secs(60)), ..Failure::new(Kind::Throttled, false) };
        let (result, calls, took) = run_with(POLICY, Duration::from_secs(1), &[Some(patient)]);
        assert_eq!((result.unwrap_err().kind, calls), (Kind::Throttled, 1));
        assert!(took < Duration::from_millis(500));
        let (result, _, took) = run_with(POLICY, Duration::from_millis(60), &[Some(Failure::new(Kind::Failed, true))]);
        assert_eq!(result.unwrap_err().kind, Kind::Failed);
        assert!(took < Duration::from_millis(200));
    }

    #[test]
    fn what_hangs_is_cut_off_and_tried_afresh() {
        let calls = Cell::new(0);
        let result = on_a_clock_of_its_own(async {
            let attempt = || {
                calls.set(calls.get() + 1);
                let hangs = calls.get() == 1;
                async move {
                    if hangs {
                        std::future::pending::<()>().await;
                    }
                    Ok(())
                }
            };
            run(POLICY, deadline(Duration::from_millis(600), POLICY), attempt).await
        });
        assert!(result.is_ok() && calls.get() == 2);
    }
}
