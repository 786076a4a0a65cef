//! `latchkey grants put`: one grant.

use std::process::ExitCode;

use latchkey_aws::grant_admin::{Annotation, Change, Expect, GrantAdmin, Row};
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::grant::Grant;
use latchkey_domain::identity::Identity;
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::TargetName;
use serde_json::json;

use super::{answer, report, whose};
use crate::args::GrantKey;
use crate::aws;
use crate::change_log::{ChangeArgs, ChangeLog};
use crate::grant_args::{GrantArgs, Owner};
use crate::printable::printable;

pub(super) async fn run(
    key: GrantKey,
    new: bool,
    shared: bool,
    change: &ChangeArgs,
    grant: &GrantArgs,
    json: bool,
) -> anyhow::Result<ExitCode> {
    let owner = key.owner.owner()?;
    let log = ChangeLog::open("grants put", change, &key.table.table)?;
    let at = SystemClock::new().now();
    let annotation = |item: &Item| Annotation { at, by: change.by.clone(), note: note(item), own: own_attributes(item) };
    let expect = if new { Expect::Absent } else { Expect::Anything };
    let identity = match &owner {
        Owner::Subject(identity) => identity.clone(),
        Owner::Group(whose) => {
            let (grant, item) = grant.read_for_group(key.target)?;
            let table = aws::table(&key.table.table).await?;
            // In an item that cannot be read as a group's it would stand, and grant nothing.
            let there = table.get_group_grant(whose, grant.name()).await?.filter(|row| row.target_name().is_none());
            if let Some(defect) = there.and_then(|row| row.defect()) {
                let text = format!("{} is not written: the item of {owner} is no group's: {defect}", grant.name());
                let mut value = answer(&owner, grant.name(), "refused");
                value["problem"] = defect.to_string().into();
                report(json, &value, &printable(&text));
                return Ok(ExitCode::FAILURE);
            }
            let written = table.put_group_grant(whose, &grant, &annotation(&item), expect).await?;
            log.record(at, &owner, Some(grant.name()), &written)?;
            return Ok(done(json, &owner, grant.name(), &written));
        }
    };
    let (grant, item) = grant.read(key.target)?;
    let annotation = annotation(&item);
    let table = aws::table(&key.table.table).await?;
    // What opens nothing takes nothing from anybody, and what is open already has been looked at.
    if !shared && grant.enabled && grant.target.kind().is_personal() && !opens_already(&table, &identity, &grant).await? {
        let owners = table.other_owners(&identity, &grant).await?;
        if !owners.is_empty() {
            let refused = answer(&owner, &grant.name, "refused");
            return Ok(owned(json, refused, grant.name.as_str(), &grant.target.to_string(), &owners));
        }
    }
    let written = table.put_grant(&identity, &grant, &annotation, expect).await?;
    log.record(at, &owner, Some(&grant.name), &written)?;
    Ok(done(json, &owner, &grant.name, &written))
}

fn done(json: bool, owner: &Owner, target: &TargetName, written: &Change) -> ExitCode {
    let done = if written.before.is_some() { "replaced" } else { "written" };
    report(json, &answer(owner, target, done), &format!("{target} {done}"));
    ExitCode::SUCCESS
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
pub(super) fn owned(json: bool, mut refused: serde_json::Value, what: &str, opens: &str, owners: &[Row]) -> ExitCode {
    let names: Vec<_> = owners
        .iter()
        .map(|row| {
            let (issuer, subject) = whose(row);
            json!({"issuer": issuer, "subject": subject, "target": row.target_name()})
        })
        .collect();
    let mut text = format!("{what} is not written: {opens} is or may be somebody else's already");
    for row in owners {
        let (issuer, subject) = whose(row);
        let by = row.target_name().map_or_else(|| "for the grants of groups".to_owned(), |target| format!("target {target}"));
        text.push_str(&format!("\n  {}", printable(&format!("{issuer} {subject} ({by})"))));
    }
    text.push_str("\n--shared writes it all the same.");
    refused["owners"] = names.into();
    report(json, &refused, &text);
    ExitCode::FAILURE
}
