//! `latchkey grants list`, and how a row is shown.

use std::process::ExitCode;

use latchkey_aws::grant_admin::Row;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::IssuerId;
use latchkey_domain::item::Value;
use latchkey_domain::subject::Standing;
use serde_json::json;

use super::filter::Rows;
use super::state::State;
use super::{report, what, whose};
use crate::args::RowFilter;
use crate::aws;
use crate::commands::say;
use crate::printable::printable;

pub(super) async fn run(table: &str, filter: &RowFilter, json: bool) -> anyhow::Result<ExitCode> {
    let table = aws::table(table).await?;
    let mut rows = Rows::new(&table, filter);
    let mut next = rows.next().await?;
    // Once there is an answer: a head without rows is a table that holds none.
    if !json {
        say(format!("{:<12} {:<28} {:<20} {:<10} opens", "ISSUER", "SUBJECT", "TARGET", "STATE"));
    }
    while let Some((row, state)) = next {
        let (issuer, subject) = whose(&row);
        let (subject, target) = (printable(&subject), printable(what(&row)));
        let problem = problem(&row);
        // What is wrong with a grant `get` says; of a subject's own row there is no other place.
        let more = row.opens().or_else(|| problem.clone().filter(|_| row.is_subject())).map(|more| printable(&more)).unwrap_or_default();
        let text = format!("{issuer:<12} {subject:<28} {target:<20} {:<10} {more}", state.as_str());
        report(json, &described(&row, state, problem.as_deref()), text.trim_end());
        next = rows.next().await?;
    }
    Ok(ExitCode::SUCCESS)
}

/// What is wrong with a row.
pub(super) fn problem(row: &Row) -> Option<String> {
    if row.is_subject_that_expires() && row.standing() != Some(Standing::Active) {
        return Some("ttl: by it DynamoDB deletes the row, and the suspension with it; `latchkey suspend` takes it off".to_owned());
    }
    row.defect().map(|defect| defect.to_string())
}

/// A row for scripts.
pub(super) fn described(row: &Row, state: State, problem: Option<&str>) -> serde_json::Value {
    let group = row.group.as_ref();
    json!({
        "issuer": row.identity.as_ref().map(|identity| &identity.issuer).or(group.map(|whose| &whose.issuer)).map(IssuerId::as_str),
        "subject": row.identity.as_ref().map(|identity| identity.subject.as_str()),
        "group": group.map(|whose| whose.group.as_str()),
        "target": row.target_name(),
        "state": state.as_str(),
        "problem": problem,
        "attributes": row.item,
    })
}

/// A row for people.
pub(super) fn shown(row: &Row, state: State, problem: Option<&str>) -> String {
    let problem = problem.map(|problem| format!(" ({})", printable(problem))).unwrap_or_default();
    let mut text = format!("{} {}{problem}", printable(row.target_name().unwrap_or_default()), state.as_str());
    for (name, value) in &row.item {
        let value = match (name.as_str(), value) {
            ("not_before" | "expires_at" | "updated_at", Value::N(seconds)) => seconds
                .parse()
                .map_or_else(|_| seconds.clone(), |seconds| format!("{seconds} ({})", Timestamp::from_unix_seconds(seconds).rfc3339())),
            (_, Value::S(text)) => text.clone(),
            (_, value) => json!(value).to_string(),
        };
        text.push_str(&format!("\n  {:<19} {}", printable(name), printable(&value)));
    }
    text
}
