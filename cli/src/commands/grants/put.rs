//! `latchkey grants put`: one grant.

use std::process::ExitCode;

use latchkey_aws::grant_admin::{Annotation, Expect, GrantAdmin, Row};
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::grant::Grant;
use latchkey_domain::identity::Identity;
use latchkey_domain::item::{Item, Value};
use serde_json::json;

use super::{report, whose};
use crate::args::GrantKey;
use crate::aws;
use crate::change_log::{ChangeArgs, ChangeLog};
use crate::grant_args::GrantArgs;

pub(super) async fn run(
    key: GrantKey,
    new: bool,
    shared: bool,
    change: &ChangeArgs,
    grant: &GrantArgs,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let (grant, item) = grant.read(key.target)?;
    let identity = key.subject.identity();
    let log = ChangeLog::open("grants put", change, &key.table.table)?;
    let at = SystemClock::new().now();
    let annotation = Annotation { at, by: change.by.clone(), note: note(&item), own: own_attributes(&item) };
    let expect = if new { Expect::Absent } else { Expect::Anything };
    let table = aws::table(&key.table.table).await?;
    // What opens nothing takes nothing from anybody, and what is open already has been looked at.
    if !shared && grant.enabled && grant.target.kind().is_personal() && !opens_already(&table, &identity, &grant).await? {
        let owners = table.other_owners(&identity, &grant).await?;
        if !owners.is_empty() {
            return Ok(owned(json, &grant, &owners));
        }
    }
    let written = table.put_grant(&identity, &grant, &annotation, expect).await?;
    log.record(at, &identity, Some(&grant.name), &written)?;
    let done = if written.before.is_some() { "replaced" } else { "written" };
    report(json, &json!({"target": grant.name.as_str(), "done": done}), &format!("{} {done}", grant.name));
    Ok(ExitCode::SUCCESS)
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

/// Whether the row that is to be replaced opens the same target already.
async fn opens_already(table: &GrantAdmin, identity: &Identity, grant: &Grant) -> anyhow::Result<bool> {
    let row = table.get_grant(identity, &grant.name).await?;
    let own = row.and_then(|row| row.grant()).and_then(Result::ok);
    Ok(own.is_some_and(|own| opens_the_same(&own, grant)))
}

/// Whether what this grant opens is open by the other one, which it is to replace, already.
pub(super) fn opens_the_same(own: &Grant, grant: &Grant) -> bool {
    own.enabled && own.target == grant.target && own.own_region() == grant.own_region() && own.own_account() == grant.own_account()
}

/// Says whose the door is already.
fn owned(json: bool, grant: &Grant, owners: &[Row]) -> ExitCode {
    let names: Vec<_> = owners
        .iter()
        .map(|row| {
            let (issuer, subject) = whose(row);
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
    report(json, &json!({"target": grant.name.as_str(), "done": "refused", "owners": names}), &text);
    ExitCode::FAILURE
}
