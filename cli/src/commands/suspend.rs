//! `latchkey suspend` and `latchkey resume`: one subject, from its next request on.

use std::process::ExitCode;

use latchkey_aws::grant_admin::{Annotation, GrantAdmin, Row};
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::identity::Identity;
use serde_json::json;

use super::{check_issuer, report};
use crate::args::SuspendArgs;
use crate::aws;
use crate::change_log::ChangeLog;
use crate::grant_args::Owner;

/// Suspends a subject, or makes it active again. What is so already is no failure.
///
/// # Errors
/// An issuer that is not configured, and whatever keeps the table from answering.
pub async fn run(args: &SuspendArgs, suspended: bool, json: bool) -> anyhow::Result<ExitCode> {
    check_issuer(&args.subject.issuer)?;
    let log = ChangeLog::open(if suspended { "suspend" } else { "resume" }, &args.change, &args.table.table)?;
    let identity = args.subject.identity();
    let at = SystemClock::new().now();
    let annotation = Annotation { by: args.change.by.clone(), note: args.note.clone(), ..Annotation::at(at) };
    let table = aws::table(&args.table.table).await?;
    let changed = table.set_suspended(&identity, suspended, &annotation).await?;
    let state = if suspended { "suspended" } else { "active" };
    let (done, text) = match &changed {
        Some(change) => {
            log.record(at, &Owner::Subject(identity.clone()), None, change)?;
            let before = change.before.as_ref().and_then(|row| row.item.get("status"));
            let was_so = before == change.after.as_ref().and_then(|item| item.get("status"));
            let expired = change.before.as_ref().is_some_and(Row::is_subject_that_expires);
            match (suspended, was_so) {
                (true, true) if expired => (
                    "kept",
                    format!(
                        "{} was suspended already, and DynamoDB would have deleted that at its ttl: now it stays",
                        args.subject.subject
                    ),
                ),
                (true, false) => ("suspended", format!("{identity} is suspended", identity = args.subject.subject)),
                // Only a new note can have brought a suspended subject here.
                (true, true) => ("noted", format!("{identity} was suspended already; the note is new", identity = args.subject.subject)),
                (false, _) => ("resumed", format!("{identity} is active again", identity = args.subject.subject)),
            }
        }
        None if suspended => ("unchanged", format!("{} was suspended already", args.subject.subject)),
        None => ("unchanged", format!("{} was not suspended", args.subject.subject)),
    };
    let mut value = json!({"issuer": identity.issuer.as_str(), "subject": identity.subject.as_str(), "state": state, "done": done});
    let had_record = match &changed {
        Some(change) => change.before.is_some(),
        None => suspended,
    };
    let mind = if had_record { None } else { mind(&table, &identity).await };
    if let Some(mind) = mind {
        value["mind"] = mind.into();
    }
    report(json, &value, &mind.map_or_else(|| text.clone(), |mind| format!("{text}\n  mind              {mind}")));
    Ok(ExitCode::SUCCESS)
}

/// What is to be minded of a subject that had no record: a subject that is spelt in another way is somebody else, whom nobody knows,
/// and whoever was meant goes on. What was asked for is done all the same: grants of groups leave nothing in the table of who has them.
async fn mind(table: &GrantAdmin, identity: &Identity) -> Option<&'static str> {
    match table.list_subject(identity).await {
        Ok(rows) if rows.iter().any(|row| !row.is_subject()) => None,
        Ok(_) => Some("the table had nothing of this subject: is it spelt as the issuer spells it?"),
        Err(_) => Some("the table had no record of this subject, and its grants cannot be read: is it spelt as the issuer spells it?"),
    }
}
