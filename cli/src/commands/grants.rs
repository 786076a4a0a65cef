//! `latchkey grants`: who may open what.

use std::process::ExitCode;

use anyhow::Context as _;
use latchkey_aws::grant_admin::{Annotation, Expect, GrantAdmin, Row};
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_domain::grant::Grant;
use latchkey_domain::identity::{Identity, IssuerId, Subject};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::subject::Standing;
use serde_json::json;

use super::say;
use crate::args::{GrantKey, GrantsCommand, ListFilter};
use crate::aws;

/// Runs one of them.
///
/// # Errors
/// What is not a grant, and whatever keeps the table from answering.
pub async fn run(command: GrantsCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        GrantsCommand::Put { key, new, shared, by, grant } => {
            let (grant, item) = grant.read(key.target)?;
            let identity = key.subject.identity();
            let annotation = Annotation { at: SystemClock::new().now(), by, note: note(&item), own: own_attributes(&item) };
            let expect = if new { Expect::Absent } else { Expect::Anything };
            let table = aws::table(&key.table.table).await?;
            // What opens nothing takes nothing from anybody, and what is open already has been looked at.
            if !shared && grant.enabled && grant.target.kind().is_personal() && !opens_already(&table, &identity, &grant).await? {
                let owners = table.other_owners(&identity, &grant).await?;
                if !owners.is_empty() {
                    return Ok(owned(json, &grant, &owners));
                }
            }
            let replaced = table.put_grant(&identity, &grant, &annotation, expect).await?;
            let done = if replaced.is_some() { "replaced" } else { "written" };
            report(json, json!({"target": grant.name.as_str(), "done": done}), &format!("{} {done}", grant.name));
            Ok(ExitCode::SUCCESS)
        }
        GrantsCommand::Get(key) => {
            let identity = key.subject.identity();
            let table = aws::table(&key.table.table).await?;
            let Some(row) = table.get_grant(&identity, &key.target).await? else { return Ok(absent(json, &key)) };
            let standing = table.get_subject(&identity).await?.and_then(|row| row.standing()).unwrap_or(Standing::Active);
            let state = state(&row, standing);
            report(json, described(&row, state), &shown(&row, state));
            Ok(ExitCode::SUCCESS)
        }
        GrantsCommand::List { table, filter } => list(&table.table, &filter, json).await,
        GrantsCommand::Delete(key) => {
            let table = aws::table(&key.table.table).await?;
            if table.delete_grant(&key.subject.identity(), &key.target).await?.is_none() {
                return Ok(absent(json, &key));
            }
            report(json, json!({"target": key.target.as_str(), "done": "deleted"}), &format!("{} deleted", key.target));
            Ok(ExitCode::SUCCESS)
        }
    }
}

async fn list(table: &str, filter: &ListFilter, json: bool) -> anyhow::Result<ExitCode> {
    let issuer = filter.issuer.as_deref().map(IssuerId::new).transpose().context("--issuer")?;
    let subject = filter.subject.as_deref().map(Subject::new).transpose().context("--subject")?;
    let table = aws::table(table).await?;
    if !json {
        say(format!("{:<12} {:<28} {:<20} {:<10} opens", "ISSUER", "SUBJECT", "TARGET", "STATE"));
    }
    if let (Some(issuer), Some(subject)) = (&issuer, subject) {
        let rows = table.list_subject(&Identity { issuer: issuer.clone(), subject }).await?;
        let standing = rows.iter().find_map(Row::standing).unwrap_or(Standing::Active);
        for row in &rows {
            list_row(row, standing, json);
        }
        return Ok(ExitCode::SUCCESS);
    }
    // A page at a time, so that memory stays bounded however large the table is. The rows of one subject come together and its
    // own first, as `SUBJECT` sorts before `TARGET#`, so what it says is known when its grants come.
    let mut subject: Option<(Identity, Standing)> = None;
    let mut next = None;
    loop {
        let page = table.list_all(next).await?;
        for row in &page.rows {
            if issuer.is_some() && row.identity.as_ref().map(|identity| &identity.issuer) != issuer.as_ref() {
                continue;
            }
            if let (Some(identity), Some(standing)) = (&row.identity, row.standing()) {
                subject = Some((identity.clone(), standing));
            }
            let own = subject.as_ref().filter(|(identity, _)| row.identity.as_ref() == Some(identity));
            list_row(row, own.map_or(Standing::Active, |(_, standing)| *standing), json);
        }
        next = page.next;
        if next.is_none() {
            return Ok(ExitCode::SUCCESS);
        }
    }
}

fn list_row(row: &Row, standing: Standing, json: bool) {
    let (issuer, subject) = row.identity.as_ref().map_or(("?", row.partition_key.as_str()), |id| (id.issuer.as_str(), id.subject.as_str()));
    if let Some(target) = row.target_name() {
        let state = state(row, standing);
        let opens = row.grant().and_then(Result::ok).map(|grant| grant.target.to_string()).unwrap_or_default();
        report(json, described(row, state), &format!("{issuer:<12} {subject:<28} {target:<20} {state:<10} {opens}"));
    } else if row.is_subject() {
        let state = match row.standing() {
            Some(Standing::Suspended) => "suspended",
            Some(Standing::Malformed) => "malformed",
            Some(Standing::Active) | None => "active",
        };
        report(json, described(row, state), &format!("{issuer:<12} {subject:<28} {:<20} {state}", "(the subject)"));
    }
}

/// Whether a grant's row would open now, and if not, why not.
fn state(row: &Row, standing: Standing) -> &'static str {
    let now = SystemClock::new().now();
    match (standing, row.grant()) {
        (Standing::Suspended, _) => "suspended",
        (Standing::Malformed, _) | (_, Some(Err(_)) | None) => "malformed",
        (Standing::Active, Some(Ok(grant))) => match grant.usable_at(now) {
            Ok(()) => "open",
            Err(reason) if reason == latchkey_domain::entitlement::DISABLED => "disabled",
            Err(reason) if reason == latchkey_domain::entitlement::NOT_YET => "not yet",
            Err(_) => "expired",
        },
    }
}

fn described(row: &Row, state: &str) -> serde_json::Value {
    json!({
        "issuer": row.identity.as_ref().map(|identity| identity.issuer.as_str()),
        "subject": row.identity.as_ref().map(|identity| identity.subject.as_str()),
        "target": row.target_name(),
        "state": state,
        "problem": row.grant().and_then(Result::err).map(|defect| defect.to_string()),
        "attributes": row.item,
    })
}

fn shown(row: &Row, state: &str) -> String {
    let problem = row.grant().and_then(Result::err).map(|defect| format!(" ({defect})")).unwrap_or_default();
    let mut text = format!("{} {state}{problem}", row.target_name().unwrap_or_default());
    for (name, value) in &row.item {
        let value = match (name.as_str(), value) {
            ("not_before" | "expires_at" | "updated_at", Value::N(seconds)) => seconds
                .parse()
                .map_or_else(|_| seconds.clone(), |seconds| format!("{seconds} ({})", Timestamp::from_unix_seconds(seconds).rfc3339())),
            (_, Value::S(text)) => text.clone(),
            (_, value) => json!(value).to_string(),
        };
        text.push_str(&format!("\n  {name:<20}{value}"));
    }
    text
}

fn note(item: &Item) -> Option<String> {
    match item.get("note") {
        Some(Value::S(note)) => Some(note.clone()),
        Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_)) | None => None,
    }
}

fn own_attributes(item: &Item) -> Item {
    item.iter()
        .filter(|(name, _)| name.starts_with(latchkey_aws::grant_admin::OWN_ATTRIBUTE_PREFIX))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn report(json: bool, value: serde_json::Value, text: &str) {
    if json {
        say(value.to_string());
    } else {
        say(text);
    }
}

/// Whether the row that is to be replaced opens the same target already.
async fn opens_already(table: &GrantAdmin, identity: &Identity, grant: &Grant) -> anyhow::Result<bool> {
    let row = table.get_grant(identity, &grant.name).await?;
    let own = row.and_then(|row| row.grant()).and_then(Result::ok);
    Ok(own.is_some_and(|own| {
        own.enabled && own.target == grant.target && own.own_region() == grant.own_region() && own.own_account() == grant.own_account()
    }))
}

/// Says whose the door is already.
fn owned(json: bool, grant: &Grant, owners: &[Row]) -> ExitCode {
    let names: Vec<_> = owners
        .iter()
        .map(|row| {
            let (issuer, subject) =
                row.identity.as_ref().map_or(("?", row.partition_key.as_str()), |id| (id.issuer.as_str(), id.subject.as_str()));
            json!({"issuer": issuer, "subject": subject, "target": row.target_name()})
        })
        .collect();
    let mut text = format!("{} is not written: {} is or may be somebody else's already", grant.name, grant.target);
    for name in &names {
        text.push_str(&format!(
            "\n  {} {} (target {})",
            name["issuer"].as_str().unwrap_or_default(),
            name["subject"].as_str().unwrap_or_default(),
            name["target"].as_str().unwrap_or_default()
        ));
    }
    text.push_str("\n--shared writes it all the same.");
    report(json, json!({"target": grant.name.as_str(), "done": "refused", "owners": names}), &text);
    ExitCode::FAILURE
}

fn absent(json: bool, key: &GrantKey) -> ExitCode {
    report(
        json,
        json!({"target": key.target.as_str(), "done": "not found"}),
        &format!("{} has no grant {}", key.subject.subject, key.target),
    );
    ExitCode::FAILURE
}
