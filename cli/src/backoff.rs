//! Calls that are repeated while DynamoDB has too much to do.

use std::time::Duration;

use latchkey_aws::grant_admin::AdminError;

/// How often one call is repeated, after the three attempts that the SDK makes of each.
const REPEATS: u32 = 10;
/// The longest first pause; it doubles with each.
const FIRST: Duration = Duration::from_millis(100);
/// The longest of all pauses.
const LONGEST: Duration = Duration::from_secs(10);

/// The pauses before one call is repeated: exponential, with full jitter, so that many which were refused together do not come
/// back together.
#[derive(Debug, Default)]
pub struct Backoff {
    repeats: u32,
}

impl Backoff {
    /// Waits before the next repeat.
    ///
    /// # Errors
    /// Gives the failure back when it is none that passes, or when it has been repeated often enough.
    pub async fn pause(&mut self, error: AdminError) -> Result<(), AdminError> {
        if !error.may_pass() || self.repeats == REPEATS {
            return Err(error);
        }
        tokio::time::sleep(longest(self.repeats).mul_f64(fastrand::f64())).await;
        self.repeats += 1;
        Ok(())
    }
}

fn longest(repeats: u32) -> Duration {
    FIRST.saturating_mul(2_u32.saturating_pow(repeats)).min(LONGEST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pauses_grow_and_end() {
        assert_eq!([0, 1, 3, 6, 7, 40].map(|repeats| longest(repeats).as_millis()), [100, 200, 800, 6400, 10_000, 10_000]);
    }

    #[tokio::test]
    async fn only_what_passes_is_repeated_and_not_for_ever() {
        let refused =
            |code: &str| AdminError::Aws { code: Some(code.to_owned()), aws_request_id: None, source: "refused".to_owned().into() };
        let mut backoff = Backoff::default();
        backoff.pause(refused("ThrottlingException")).await.unwrap();
        assert_eq!(backoff.repeats, 1);
        backoff.repeats = REPEATS;
        assert!(backoff.pause(refused("ThrottlingException")).await.is_err());
        assert!(Backoff::default().pause(refused("AccessDeniedException")).await.is_err());
        assert!(Backoff::default().pause(AdminError::Conflict("changed")).await.is_err());
    }
}
