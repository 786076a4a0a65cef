//! Metrics in CloudWatch's embedded metric format: CloudWatch reads them out of the log line, so no call leaves the function.
//!
//! Source: CloudWatch User Guide, "Specification: Embedded metric format". Dimensions are of low cardinality only: the code
//! of the decision, never a user or a target.

use latchkey_domain::audit::{AuditRecord, Verdict};
use serde::Serialize;

/// The namespace of all metrics.
pub const NAMESPACE: &str = "latchkey";

/// One decision's metrics.
#[derive(Debug, Serialize)]
pub struct Metrics {
    #[serde(rename = "_aws")]
    metadata: Metadata,
    code: &'static str,
    #[serde(rename = "Issued", skip_serializing_if = "Option::is_none")]
    issued: Option<u8>,
    #[serde(rename = "Listed", skip_serializing_if = "Option::is_none")]
    listed: Option<u8>,
    #[serde(rename = "Denied", skip_serializing_if = "Option::is_none")]
    denied: Option<u8>,
    #[serde(rename = "Duration")]
    duration: f64,
    #[serde(rename = "AuthenticateDuration", skip_serializing_if = "Option::is_none")]
    authenticate: Option<f64>,
    #[serde(rename = "ReadGrantDuration", skip_serializing_if = "Option::is_none")]
    read_grant: Option<f64>,
    #[serde(rename = "RateLimitDuration", skip_serializing_if = "Option::is_none")]
    rate_limit: Option<f64>,
    #[serde(rename = "ReplayDuration", skip_serializing_if = "Option::is_none")]
    replay: Option<f64>,
    #[serde(rename = "ProvisionDuration", skip_serializing_if = "Option::is_none")]
    provision: Option<f64>,
    #[serde(rename = "RoleSessionDuration", skip_serializing_if = "Option::is_none")]
    role_session: Option<f64>,
    #[serde(rename = "PostureDuration", skip_serializing_if = "Option::is_none")]
    posture: Option<f64>,
    #[serde(rename = "PresignDuration", skip_serializing_if = "Option::is_none")]
    presign: Option<f64>,
    #[serde(rename = "KeyAge", skip_serializing_if = "Option::is_none")]
    key_age: Option<u64>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Metadata {
    pub(crate) timestamp: i64,
    pub(crate) cloud_watch_metrics: Vec<Directive>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Directive {
    pub(crate) namespace: &'static str,
    pub(crate) dimensions: &'static [&'static [&'static str]],
    pub(crate) metrics: Vec<Definition>,
}

#[derive(Debug, Clone, Copy, Serialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Definition {
    pub(crate) name: &'static str,
    pub(crate) unit: &'static str,
}

pub(crate) const fn count(name: &'static str) -> Definition {
    Definition { name, unit: "Count" }
}

const fn milliseconds(name: &'static str) -> Definition {
    Definition { name, unit: "Milliseconds" }
}

/// The metrics of one decision: `Issued`, `Listed` or `Denied` (also by code), the durations of the steps that were reached,
/// and the age of the keys in seconds.
pub fn metrics(record: &AuditRecord) -> Metrics {
    let is = |verdict: Verdict| record.decision == verdict;
    // A list of targets is no URL: what was issued shows in the URL's hash.
    let issued = (is(Verdict::Allow) && record.url_sha256.is_some()).then_some(1);
    let listed = (is(Verdict::Allow) && record.url_sha256.is_none()).then_some(1);
    let denied = is(Verdict::Deny).then_some(1);
    let durations = &record.durations_ms;

    let counts = [("Issued", issued), ("Listed", listed), ("Denied", denied)];
    let counts = counts.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| count(name)).collect();
    let mut others = vec![milliseconds("Duration")];
    let steps = [
        ("AuthenticateDuration", durations.authenticate),
        ("ReadGrantDuration", durations.read_grant),
        ("RateLimitDuration", durations.rate_limit),
        ("ReplayDuration", durations.replay),
        ("ProvisionDuration", durations.provision),
        ("RoleSessionDuration", durations.role_session),
        ("PostureDuration", durations.posture),
        ("PresignDuration", durations.presign),
    ];
    others.extend(steps.into_iter().filter(|(_, value)| value.is_some()).map(|(name, _)| milliseconds(name)));
    if record.key_age_seconds.is_some() {
        others.push(Definition { name: "KeyAge", unit: "Seconds" });
    }
    Metrics {
        metadata: Metadata {
            timestamp: record.time.unix_millis(),
            cloud_watch_metrics: vec![
                Directive { namespace: NAMESPACE, dimensions: &[&[], &["code"]], metrics: counts },
                Directive { namespace: NAMESPACE, dimensions: &[&[]], metrics: others },
            ],
        },
        code: record.code,
        issued,
        listed,
        denied,
        duration: durations.total,
        authenticate: durations.authenticate,
        read_grant: durations.read_grant,
        rate_limit: durations.rate_limit,
        replay: durations.replay,
        provision: durations.provision,
        role_session: durations.role_session,
        posture: durations.posture,
        presign: durations.presign,
        key_age: record.key_age_seconds,
    }
}
