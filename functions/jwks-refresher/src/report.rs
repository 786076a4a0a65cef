//! What came of a run: a record for each issuer, and an error when one of them failed.

use std::fmt;

use latchkey_domain::clock::Timestamp;
use latchkey_oidc::refresh::Refreshed;
use latchkey_telemetry::keys::{KeysRecord, Outcome};

/// The record of one issuer.
pub fn record(refreshed: &Refreshed, now: Timestamp) -> KeysRecord {
    let (outcome, reason) = match &refreshed.outcome {
        Ok(published) => (if published.kept { Outcome::Kept } else { Outcome::KeptLater }, None),
        Err(failure) => (Outcome::Failed, Some(failure.as_str())),
    };
    let published = refreshed.outcome.as_ref().ok();
    KeysRecord {
        event: KeysRecord::EVENT,
        time: now,
        issuer: refreshed.issuer.to_string(),
        outcome,
        reason,
        source: published.map(|published| published.source.clone()),
        key_ids: published.map(|published| published.keys.keys().iter().map(|key| key.key_id().to_owned()).collect()).unwrap_or_default(),
        skipped: published.map_or(0, |published| published.keys.skipped().len()),
        snapshot_age_seconds: refreshed.snapshot_age.map(|age| age.as_secs()),
    }
}

/// The issuers whose keys could not be refreshed. As an error of the function's it has Lambda try again a minute later, and in the
/// end put the event into the dead-letter queue.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotRefreshed(Vec<String>);

impl NotRefreshed {
    /// Those that failed, if any did.
    ///
    /// # Errors
    /// At least one failed.
    pub fn check(records: &[KeysRecord]) -> Result<(), Self> {
        let failed: Vec<String> = records
            .iter()
            .filter(|record| record.outcome == Outcome::Failed)
            .map(|record| format!("{} ({})", record.issuer, record.reason.unwrap_or_default()))
            .collect();
        if failed.is_empty() { Ok(()) } else { Err(Self(failed)) }
    }
}

impl fmt::Display for NotRefreshed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the keys of these issuers could not be refreshed: {}", self.0.join(", "))
    }
}

impl std::error::Error for NotRefreshed {}

#[cfg(test)]
mod tests {
    use super::*;
    use latchkey_domain::identity::IssuerId;
    use latchkey_oidc::fetch::FetchError;
    use latchkey_oidc::refusal::KeyFailure;
    use std::time::Duration;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn failed(issuer: &str, failure: KeyFailure) -> KeysRecord {
        let issuer = IssuerId::new(issuer).unwrap();
        record(&Refreshed { issuer, outcome: Err(failure), snapshot_age: Some(Duration::from_secs(61)) }, NOW)
    }

    #[test]
    fn a_failure_has_its_reason_and_the_age_of_what_stays() {
        let record = failed("okta", KeyFailure::Fetch(FetchError::Timeout));
        assert_eq!((record.outcome, record.reason, record.snapshot_age_seconds), (Outcome::Failed, Some("keys.fetch-timeout"), Some(61)));
        assert_eq!((record.source, record.key_ids.len(), record.skipped), (None, 0, 0));
    }

    #[test]
    fn an_error_names_every_issuer_that_failed() {
        let records = [failed("okta", KeyFailure::Discovery), failed("entra", KeyFailure::NoUsableKey)];
        let error = NotRefreshed::check(&records).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the keys of these issuers could not be refreshed: okta (keys.discovery), entra (keys.no-usable-key)"
        );
        assert_eq!(NotRefreshed::check(&[]), Ok(()));
    }
}
