//! `latchkey grants`: who may open what.

mod export;
pub(super) mod filter;
mod import;
mod list;
mod profile;
mod put;
pub mod state;

use std::process::ExitCode;

use latchkey_aws::grant_admin::Row;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::names::TargetName;
use latchkey_domain::subject::Standing;
use serde_json::json;

use super::report;
use crate::args::{GrantKey, GrantsCommand};
use crate::aws;
use crate::change_log::ChangeLog;
use crate::grant_args::Owner;

/// Runs one of them.
///
/// # Errors
/// What is not a grant, and whatever keeps the table from answering.
pub async fn run(command: GrantsCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        GrantsCommand::Put { key, new, shared, change, grant } => put::run(key, new, shared, &change, &grant, json).await,
        GrantsCommand::Get(key) => {
            let owner = key.owner.owner()?;
            let table = aws::table(&key.table.table).await?;
            let (row, subject) = match &owner {
                Owner::Subject(identity) => {
                    let row = table.get_grant(identity, &key.target).await?;
                    let subject = if row.is_some() { table.get_subject(identity).await? } else { None };
                    (row, subject)
                }
                Owner::Group(whose) => (table.get_group_grant(whose, &key.target).await?, None),
            };
            let Some(row) = row else { return Ok(absent(json, &owner, &key)) };
            let standing = subject.as_ref().and_then(Row::standing).unwrap_or(Standing::Active);
            let state = state::of(&row, standing, SystemClock::new().now());
            let problem = list::problem(&row).or_else(|| list::problem(subject.as_ref()?));
            report(json, &list::described(&row, state, problem.as_deref()), &list::shown(&row, state, problem.as_deref()));
            Ok(ExitCode::SUCCESS)
        }
        GrantsCommand::List { table, filter } => list::run(&table.table, &filter, json).await,
        GrantsCommand::Delete { key, change } => {
            let log = ChangeLog::open("grants delete", &change, &key.table.table)?;
            let owner = key.owner.owner()?;
            let table = aws::table(&key.table.table).await?;
            let deleted = match &owner {
                Owner::Subject(identity) => table.delete_grant(identity, &key.target).await?,
                Owner::Group(whose) => table.delete_group_grant(whose, &key.target).await?,
            };
            if deleted.before.is_none() {
                return Ok(absent(json, &owner, &key));
            }
            log.record(SystemClock::new().now(), &owner, Some(&key.target), &deleted)?;
            report(json, &answer(&owner, &key.target, "deleted"), &format!("{} deleted", key.target));
            Ok(ExitCode::SUCCESS)
        }
        GrantsCommand::Profile(args) => profile::run(&args, json).await,
        GrantsCommand::Import(args) => import::run(&args, json).await,
        GrantsCommand::Export { table, file, format, filter } => export::run(&table.table, &file, format, &filter, json).await,
    }
}

fn absent(json: bool, owner: &Owner, key: &GrantKey) -> ExitCode {
    report(json, &answer(owner, &key.target, "not found"), &format!("{owner} has no grant {}", key.target));
    ExitCode::FAILURE
}

/// What has become of one grant, for scripts: of whose, and which.
fn answer(owner: &Owner, target: &TargetName, done: &str) -> serde_json::Value {
    json!({
        "issuer": owner.issuer().as_str(), "subject": owner.subject(), "group": owner.group(),
        "target": target.as_str(), "done": done,
    })
}

/// Whose row it is: the issuer's id and the subject or the group, or the key that names neither. On a terminal it is to be
/// [`printable`](crate::printable), as is [`what`].
fn whose(row: &Row) -> (&str, String) {
    match (&row.identity, &row.group) {
        (Some(identity), _) => (identity.issuer.as_str(), identity.subject.to_string()),
        (None, Some(whose)) => (whose.issuer.as_str(), format!("group {}", whose.group)),
        (None, None) => ("?", row.partition_key.clone()),
    }
}

/// Which of their rows it is.
fn what(row: &Row) -> &str {
    row.target_name().unwrap_or(if row.group.is_some() { "(the group)" } else { "(the subject)" })
}
