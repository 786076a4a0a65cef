//! The issuers' keys in the table, and who keeps them fresh.

use std::time::Duration;

use latchkey_aws::grant_store::Table;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_oidc::config::KeySource;
use latchkey_oidc::key_cache::TRUST_FOR;
use latchkey_oidc::snapshot::SnapshotStore as _;

use super::checks::{KEYS_AGE, KEYS_REFRESHER};
use super::function::Function;
use super::{Doctor, Findings};

/// The age at which the alarm `key-age` goes off as well, in seconds.
const OLD: u64 = 30 * 60;

/// The most that one read may take.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) async fn look(doctor: &Doctor, function: &Function) -> Findings {
    let mut findings = Findings::default();
    let Some(config) = &function.config else {
        findings.not_looked_at("the issuers' keys: the function's configuration cannot be read");
        return findings;
    };
    let table = Table::new(doctor.clients.dynamodb_for_operators(), config.table.clone());
    let mut kept_in_table = false;
    for issuer in &config.issuers {
        match issuer.keys {
            KeySource::Table => kept_in_table = true,
            KeySource::Url { .. } => {
                findings.not_looked_at(format!("the keys of {}: the function fetches them from the issuer by itself", issuer.id));
                continue;
            }
            KeySource::Inline { .. } => {
                findings.not_looked_at(format!("the keys of {}: they are in the configuration", issuer.id));
                continue;
            }
        }
        let about = issuer.id.as_str();
        match table.load(&issuer.id, PATIENCE).await {
            Ok(None) => findings.fault(KEYS_AGE, about, "the table has none: no token of this issuer is accepted"),
            Ok(Some(snapshot)) => {
                let age = SystemClock::new().now().unix_seconds().saturating_sub(snapshot.fetched_at.unix_seconds());
                let age = u64::try_from(age).unwrap_or(0);
                let trusted = age < TRUST_FOR.as_secs();
                let refused = if trusted { "" } else { ": no token of this issuer is accepted" };
                findings.hold(KEYS_AGE, about, (age >= OLD).then(|| format!("they were confirmed {} minutes ago{refused}", age / 60)));
            }
            Err(unavailable) => findings.unknown(KEYS_AGE, about, unavailable.reason.0),
        }
    }
    if kept_in_table {
        let name = format!("{}-jwks-refresher", doctor.name);
        findings.expect(KEYS_REFRESHER, &name, doctor.cloud.get("AWS::Lambda::Function", &name).await);
    }
    findings
}
