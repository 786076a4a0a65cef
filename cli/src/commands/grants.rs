//! `latchkey grants`: who may open what.

mod export;
pub(super) mod filter;
mod import;
mod list;
mod put;
pub mod state;

use std::process::ExitCode;

use latchkey_aws::grant_admin::Row;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::subject::Standing;
use serde_json::json;

use super::report;
use crate::args::{GrantKey, GrantsCommand};
use crate::aws;
use crate::change_log::ChangeLog;

/// Runs one of them.
///
/// # Errors
/// What is not a grant, and whatever keeps the table from answering.
pub async fn run(command: GrantsCommand, json: bool) -> anyhow::Result<ExitCode> {
    match command {
        GrantsCommand::Put { key, new, shared, change, grant } => put::run(key, new, shared, &change, &grant, json).await,
        GrantsCommand::Get(key) => {
            let identity = key.subject.identity();
            let table = aws::table(&key.table.table).await?;
            let Some(row) = table.get_grant(&identity, &key.target).await? else { return Ok(absent(json, &key)) };
            let standing = table.get_subject(&identity).await?.and_then(|row| row.standing()).unwrap_or(Standing::Active);
            let state = state::of(&row, standing, SystemClock::new().now());
            report(json, &list::described(&row, state), &list::shown(&row, state));
            Ok(ExitCode::SUCCESS)
        }
        GrantsCommand::List { table, filter } => list::run(&table.table, &filter, json).await,
        GrantsCommand::Delete { key, change } => {
            let log = ChangeLog::open("grants delete", &change, &key.table.table)?;
            let identity = key.subject.identity();
            let deleted = aws::table(&key.table.table).await?.delete_grant(&identity, &key.target).await?;
            if deleted.before.is_none() {
                return Ok(absent(json, &key));
            }
            log.record(SystemClock::new().now(), &identity, Some(&key.target), &deleted)?;
            report(json, &json!({"target": key.target.as_str(), "done": "deleted"}), &format!("{} deleted", key.target));
            Ok(ExitCode::SUCCESS)
        }
        GrantsCommand::Import(args) => import::run(&args, json).await,
        GrantsCommand::Export { table, file, format, filter } => export::run(&table.table, &file, format, &filter, json).await,
    }
}

fn absent(json: bool, key: &GrantKey) -> ExitCode {
    report(
        json,
        &json!({"target": key.target.as_str(), "done": "not found"}),
        &format!("{} has no grant {}", key.subject.subject, key.target),
    );
    ExitCode::FAILURE
}

/// Whose row it is, for people: the issuer's id and the subject, or the key that names neither.
fn whose(row: &Row) -> (&str, &str) {
    row.identity.as_ref().map_or(("?", row.partition_key.as_str()), |identity| (identity.issuer.as_str(), identity.subject.as_str()))
}
