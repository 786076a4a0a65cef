//! What the refresher of issuers' keys writes: a line for each issuer and run, and its metrics.

use std::io::{self, Write};

use latchkey_domain::clock::Timestamp;
use serde::Serialize;

use crate::emf::{self, Definition, Directive, Metadata};

/// What came of one issuer's keys in one run. Holds nothing secret: keys are public, and only their names are here.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct KeysRecord {
    /// `latchkey.keys`
    pub event: &'static str,
    /// When.
    pub time: Timestamp,
    /// The issuer's id.
    pub issuer: String,
    /// What came of it.
    pub outcome: Outcome,
    /// Why it failed, one of the reasons `keys.*` and `dynamodb.*` of `docs/audit.md`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// The address that the keys came from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// The `kid`s of the keys that can be used.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub key_ids: Vec<String>,
    /// How many keys of the set cannot be used.
    pub skipped: usize,
    /// How old the set is that the broker reads now, in seconds; none where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snapshot_age_seconds: Option<u64>,
}

impl KeysRecord {
    /// The value of `event`.
    pub const EVENT: &'static str = "latchkey.keys";
}

/// What came of an issuer's keys.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Outcome {
    /// They were fetched and kept.
    Kept,
    /// They were fetched; a later set was there already.
    KeptLater,
    /// They could not be fetched or kept, and what was there stays.
    Failed,
}

#[derive(Debug, Serialize)]
struct Metrics<'a> {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    issuer: &'a str,
    #[serde(rename = "KeysRefreshed")]
    refreshed: u8,
    #[serde(rename = "KeyRefreshFailed")]
    failed: u8,
    #[serde(rename = "SnapshotAge", skip_serializing_if = "Option::is_none")]
    snapshot_age: Option<u64>,
}

/// The metrics of one record: `KeysRefreshed` and `KeyRefreshFailed`, one of which is 1, and `SnapshotAge` in seconds; each for
/// all issuers together and by `issuer`, of which there are 64 at most.
fn metrics(record: &KeysRecord) -> Metrics<'_> {
    let failed = u8::from(record.outcome == Outcome::Failed);
    let mut definitions = vec![emf::count("KeysRefreshed"), emf::count("KeyRefreshFailed")];
    if record.snapshot_age_seconds.is_some() {
        definitions.push(Definition { name: "SnapshotAge", unit: "Seconds" });
    }
    let directive = Directive { namespace: emf::NAMESPACE, dimensions: &[&[], &["issuer"]], metrics: definitions };
    Metrics {
        metadata: Metadata { timestamp: record.time.unix_millis(), cloud_watch_metrics: vec![directive] },
        issuer: &record.issuer,
        refreshed: 1 - failed,
        failed,
        snapshot_age: record.snapshot_age_seconds,
    }
}

/// Writes a record and its metrics, a line each.
///
/// # Errors
/// `out` cannot be written.
pub fn write(record: &KeysRecord, out: &mut impl Write) -> io::Result<()> {
    let mut lines = serde_json::to_vec(record)?;
    lines.push(b'\n');
    serde_json::to_writer(&mut lines, &metrics(record))?;
    lines.push(b'\n');
    out.write_all(&lines)?;
    out.flush()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(outcome: Outcome) -> KeysRecord {
        KeysRecord {
            event: KeysRecord::EVENT,
            time: Timestamp::from_unix_seconds(1_800_000_000),
            issuer: "okta".to_owned(),
            outcome,
            reason: None,
            source: Some("https://idp.example/keys".to_owned()),
            key_ids: vec!["k1".to_owned()],
            skipped: 1,
            snapshot_age_seconds: Some(3),
        }
    }

    fn lines(record: &KeysRecord) -> Vec<serde_json::Value> {
        let mut out = Vec::new();
        write(record, &mut out).unwrap();
        String::from_utf8(out).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
    }

    #[test]
    fn a_set_that_was_kept() {
        let [line, metrics] = lines(&record(Outcome::Kept)).try_into().unwrap();
        assert_eq!(
            line,
            serde_json::json!({"event": "latchkey.keys", "time": "2027-01-15T08:00:00.000Z", "issuer": "okta", "outcome": "kept",
                "source": "https://idp.example/keys", "key_ids": ["k1"], "skipped": 1, "snapshot_age_seconds": 3})
        );
        assert_eq!((&metrics["KeysRefreshed"], &metrics["KeyRefreshFailed"], &metrics["SnapshotAge"]), (&1.into(), &0.into(), &3.into()));
        assert_eq!(metrics["_aws"]["CloudWatchMetrics"][0]["Dimensions"], serde_json::json!([[], ["issuer"]]));
        assert_eq!(metrics["issuer"], "okta");
        assert_eq!(lines(&record(Outcome::KeptLater))[1]["KeysRefreshed"], 1);
    }

    #[test]
    fn a_failure_without_any_set() {
        let failed = KeysRecord {
            reason: Some("keys.fetch-timeout"),
            source: None,
            key_ids: Vec::new(),
            skipped: 0,
            snapshot_age_seconds: None,
            ..record(Outcome::Failed)
        };
        let [line, metrics] = lines(&failed).try_into().unwrap();
        assert_eq!((&line["outcome"], &line["reason"]), (&"failed".into(), &"keys.fetch-timeout".into()));
        assert_eq!((&metrics["KeysRefreshed"], &metrics["KeyRefreshFailed"]), (&0.into(), &1.into()));
        // A metric that is declared and not there would be an error of the format.
        assert!(metrics.get("SnapshotAge").is_none());
        assert_eq!(metrics["_aws"]["CloudWatchMetrics"][0]["Metrics"].as_array().unwrap().len(), 2);
    }
}
