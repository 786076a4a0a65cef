//! `latchkey keys`: the issuers' keys in the table.

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context as _, bail};
use jwks_refresher::report;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::identity::IssuerId;
use latchkey_oidc::config::{IssuerConfig, parse_issuers};
use latchkey_oidc::key_cache::TRUST_FOR;
use latchkey_oidc::key_set::KeySet;
use latchkey_oidc::refresh::Refresher;
use latchkey_oidc::snapshot::SnapshotStore as _;
use latchkey_telemetry::keys::{KeysRecord, Outcome};
use serde_json::json;

use super::{read_issuers_text, say};
use crate::advice::NoAnswer;
use crate::args::{IssuersArgs, KeysCommand};
use crate::aws;
use crate::printable::printable;

/// The most that one run may take.
const PATIENCE: Duration = Duration::from_secs(60);

/// Runs one of them.
///
/// # Errors
/// Issuers that cannot be read, and whatever keeps the table from answering.
pub async fn run(command: KeysCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        KeysCommand::Refresh { table, issuers, issuer } => refresh(&table.table, &issuers, issuer.as_ref(), json).await,
        KeysCommand::Show { table, issuer } => show(&table.table, &issuer, json).await,
    }
}

async fn refresh(table: &str, issuers: &IssuersArgs, only: Option<&IssuerId>, json: bool) -> anyhow::Result<ExitCode> {
    let mut issuers = read_issuers(issuers)?;
    if let Some(only) = only {
        issuers.retain(|issuer| issuer.id == *only);
        if issuers.is_empty() {
            bail!("there is no issuer {only} among those that are configured");
        }
    }
    let (table, transport) = aws::table_and_transport(table).await?;
    let clock = SystemClock::new();
    let refresher = Refresher::new(&issuers, transport, table, clock);
    if refresher.issuers().next().is_none() {
        bail!("no issuer's keys come from the table: jwks.source is url or inline, and there is nothing to refresh");
    }
    let records: Vec<KeysRecord> = refresher.refresh(PATIENCE).await.iter().map(|one| report::record(one, clock.now())).collect();
    for record in &records {
        say(if json { serde_json::to_string(record)? } else { told(record) });
    }
    let failed = records.iter().any(|record| record.outcome == Outcome::Failed);
    Ok(if failed { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

fn read_issuers(arguments: &IssuersArgs) -> anyhow::Result<Vec<IssuerConfig>> {
    parse_issuers(&read_issuers_text(arguments)?).context("the issuers cannot be used")
}

/// A record for people.
fn told(record: &KeysRecord) -> String {
    let mut text = match record.outcome {
        Outcome::Kept => format!("{} kept {}", record.issuer, keys(record.key_ids.len())),
        Outcome::KeptLater => format!("{} has later keys in the table already; these are not kept", record.issuer),
        Outcome::Failed => format!("{} failed: {}", record.issuer, record.reason.unwrap_or("unknown")),
    };
    if let Some(source) = &record.source {
        let _ = write!(text, "\n  from                {}", printable(source));
    }
    for key_id in &record.key_ids {
        let _ = write!(text, "\n  key                 {key_id:?}");
    }
    if record.skipped > 0 {
        let _ = write!(text, "\n  not used            {}", keys(record.skipped));
    }
    match (record.outcome, record.snapshot_age_seconds) {
        (Outcome::Failed, Some(age)) => {
            let _ = write!(text, "\n  in the table        keys of {}, as before", ago(age));
        }
        (Outcome::Failed, None) => text.push_str("\n  in the table        nothing that can be read"),
        (Outcome::Kept | Outcome::KeptLater, _) => {}
    }
    text
}

async fn show(table: &str, issuer: &IssuerId, json: bool) -> anyhow::Result<ExitCode> {
    let (table, _) = aws::table_and_transport(table).await?;
    let Some(snapshot) = table.load(issuer, PATIENCE).await.map_err(NoAnswer)? else {
        say(if json {
            json!({"issuer": issuer.as_str(), "done": "not found"}).to_string()
        } else {
            format!("the table has no keys of {issuer}; latchkey keys refresh fetches them")
        });
        return Ok(ExitCode::FAILURE);
    };
    let age = SystemClock::new().now().unix_seconds().saturating_sub(snapshot.fetched_at.unix_seconds());
    let age = u64::try_from(age).unwrap_or(0);
    let trusted = Duration::from_secs(age) < TRUST_FOR;
    let set = KeySet::parse(snapshot.jwks.as_bytes()).ok();
    let usable = trusted && set.as_ref().is_some_and(KeySet::is_usable);
    let keys_of = |set: &KeySet| -> Vec<(String, Vec<&'static str>)> {
        set.keys().iter().map(|key| (key.key_id().to_owned(), key.algorithms().iter().map(|one| one.as_str()).collect())).collect()
    };
    let known = set.as_ref().map(keys_of).unwrap_or_default();
    let skipped: Vec<(usize, String)> =
        set.as_ref().map(|set| set.skipped().iter().map(|one| (one.index, one.fault.to_string())).collect()).unwrap_or_default();
    say(if json {
        json!({
            "issuer": issuer.as_str(), "fetched_at": snapshot.fetched_at, "age_seconds": age, "usable": usable,
            "keys": known.iter().map(|(id, algorithms)| json!({"key_id": id, "algorithms": algorithms})).collect::<Vec<_>>(),
            "skipped": skipped.iter().map(|(index, fault)| json!({"index": index, "fault": fault})).collect::<Vec<_>>(),
        })
        .to_string()
    } else {
        let mut text = format!("{issuer} {}\n  fetched             {}, {}", keys(known.len()), snapshot.fetched_at.rfc3339(), ago(age));
        if !trusted {
            text.push_str("\n  trusted             not any more: an hour after they were fetched no token is accepted");
        }
        if set.is_none() {
            text.push_str("\n  key set             cannot be read");
        }
        for (id, algorithms) in &known {
            let _ = write!(text, "\n  key                 {id:?} for {}", algorithms.join(", "));
        }
        for (index, fault) in &skipped {
            let _ = write!(text, "\n  not used            key number {index}: {}", printable(fault));
        }
        text
    });
    Ok(if usable { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn keys(count: usize) -> String {
    if count == 1 { "1 key".to_owned() } else { format!("{count} keys") }
}

fn ago(seconds: u64) -> String {
    match seconds {
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} minutes ago", seconds / 60),
        _ => format!("{} hours ago", seconds / 3600),
    }
}
