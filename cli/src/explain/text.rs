//! An explanation for people: words for every outcome, and no colours.

use std::fmt::Write as _;

use latchkey_domain::audit::Action;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::item::Value as Attribute;
use serde_json::Value;

use super::{Checked, Decision, Explanation, Outcome, Planned};
use crate::printable::printable;

/// How wide the names before values are.
const NAMES: usize = 30;

/// Writes an explanation out.
pub fn explained(explanation: &Explanation) -> String {
    let mut text = headline(explanation);
    if let Some(refusal) = &explanation.refusal {
        fact(&mut text, "reason", refusal.reason);
        if let Some(detail) = &refusal.detail {
            fact(&mut text, "detail", detail);
        }
        if let Some(advice) = &refusal.advice {
            fact(&mut text, "meaning", &advice.meaning);
            fact(&mut text, "what to do", &advice.what_to_do);
        }
    }
    if let Some(seconds) = explanation.retry_after_seconds {
        fact(&mut text, "ask again after", &format!("{seconds} s"));
    }
    checks(&mut text, explanation);
    grant(&mut text, explanation);
    calls(&mut text, &explanation.calls);
    if !explanation.not_asked.is_empty() {
        text.push_str("\n\nNot asked");
        for one in &explanation.not_asked {
            let _ = write!(text, "\n  - {one}");
        }
    }
    text
}

fn headline(explanation: &Explanation) -> String {
    let Explanation { status, code, .. } = explanation;
    let at = explanation.at.rfc3339();
    let whom = match (&explanation.issuer, &explanation.subject) {
        (Some(issuer), Some(subject)) => printable(&format!(" for {issuer} {subject}")),
        (Some(_) | None, Some(_) | None) => String::new(),
    };
    match (explanation.decision, explanation.action) {
        (Decision::Allow, Some(Action::Mint)) => {
            let target = explanation.grant.as_ref().map_or("", |grant| grant.target.as_str());
            format!("ALLOWED at {at}: the broker would answer {status} with a URL{whom}, to {target}. None was made.")
        }
        (Decision::Allow, Some(Action::List)) => {
            format!("ALLOWED at {at}: the broker would answer {status} with the list of targets{whom}.")
        }
        (Decision::Allow, Some(Action::None) | None) => {
            format!("ALLOWED: the broker would answer {status}, to anybody and without a record: it decides nothing.")
        }
        (Decision::Deny, _) => format!("REFUSED at {at}: the broker would answer {status} {code}{whom}."),
        (Decision::Unknown, _) => {
            format!(
                "UNKNOWN at {at}: what decides could not be had from here. The broker, if it could not either, would answer {status} {code}."
            )
        }
    }
}

fn fact(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, "\n  {name:<18}{}", printable(value));
}

fn checks(text: &mut String, explanation: &Explanation) {
    if explanation.checks.is_empty() {
        return;
    }
    text.push_str("\n\nChecks, in their order");
    let mut number = 1;
    // What was left out side by side is told in one line; the one that ends the request ends the list.
    for run in explanation.checks.chunk_by(|one, next| one.outcome == next.outcome && is_left_out(one.outcome)) {
        let (first, last) = (number, number + run.len() - 1);
        number = last + 1;
        let [begin, .., end] = run else {
            run.iter().for_each(|one| check(text, &first.to_string(), one.outcome, &shown(one)));
            continue;
        };
        check(text, &format!("{first}-{last}"), begin.outcome, &format!("from {:?} to {:?}", begin.check.passes(), end.check.passes()));
    }
}

const fn is_left_out(outcome: Outcome) -> bool {
    matches!(outcome, Outcome::NotAsked | Outcome::NotReached | Outcome::Unknown)
}

fn shown(checked: &Checked) -> String {
    match &checked.about {
        Some(about) => format!("{}: {about}", checked.check.passes()),
        None => checked.check.passes().to_owned(),
    }
}

fn check(text: &mut String, number: &str, outcome: Outcome, what: &str) {
    let _ = write!(text, "\n  {number:>5}  {:<12}{}", outcome.as_str(), printable(what));
}

fn grant(text: &mut String, explanation: &Explanation) {
    if let Some(grant) = &explanation.grant {
        let _ = write!(text, "\n\nThe grant that matched: {}", printable(&grant.target));
        if let Some(group) = &grant.group {
            let _ = write!(text, ", of the group {}", printable(group));
        }
        for (name, value) in &grant.attributes {
            let value = match (name.as_str(), value) {
                ("not_before" | "expires_at", Attribute::N(seconds)) => seconds
                    .parse()
                    .map_or_else(|_| seconds.clone(), |parsed| format!("{seconds} ({})", Timestamp::from_unix_seconds(parsed).rfc3339())),
                (_, Attribute::S(value) | Attribute::N(value)) => value.clone(),
                (_, Attribute::Bool(_) | Attribute::M(_) | Attribute::L(_) | Attribute::Other(_)) => serde_json::json!(value).to_string(),
            };
            member(text, 2, name, &value);
        }
        let Some(terms) = &grant.terms else { return };
        text.push_str("\nWith the configuration it comes to");
        member(text, 2, "opens", &terms.resource_arn);
        member(text, 2, "role", terms.role.as_deref().unwrap_or("the function's own"));
        member(text, 2, "life of the URL", &format!("{} s", terms.url_seconds));
        member(text, 2, "life of the session", &format!("{} s", terms.session_seconds));
    } else if explanation.decision != Decision::Unknown && !explanation.targets.is_empty() {
        text.push_str("\n\nThe grants that were read");
        for target in &explanation.targets {
            let opens = if target.opens { "opens" } else { "does not open" };
            let default = if target.default { "; meant when none is named" } else { "" };
            let _ = write!(text, "\n  {:<20}{:<16}{opens}{default}", printable(&target.name), target.kind);
        }
    }
}

fn calls(text: &mut String, calls: &[Planned]) {
    if calls.is_empty() {
        return;
    }
    text.push_str("\n\nThe calls that would follow, of which none was made");
    for (index, Planned { call, only_if }) in calls.iter().enumerate() {
        let _ = write!(text, "\n  {:>2}  {} {} in {}", index + 1, call.service, call.operation, call.region);
        if let Some(only_if) = only_if {
            let _ = write!(text, ", only if {only_if}");
        }
        member(text, 6, "at", &call.endpoint);
        member(text, 6, "as", call.role.as_deref().unwrap_or("the function's own role"));
        for (name, value) in &call.parameters {
            match value {
                Value::String(value) => member(text, 6, name, value),
                Value::Object(_) | Value::Array(_) => {
                    let pretty = serde_json::to_string_pretty(value).unwrap_or_default();
                    let _ = write!(text, "\n      {name}\n        {}", pretty.replace('\n', "\n        "));
                }
                Value::Null | Value::Bool(_) | Value::Number(_) => member(text, 6, name, &value.to_string()),
            }
        }
    }
}

fn member(text: &mut String, indent: usize, name: &str, value: &str) {
    // A long name takes what it needs, and a blank.
    let name = printable(name);
    let width = NAMES.max(name.len() + 1);
    let _ = write!(text, "\n{:indent$}{name:<width$}{}", "", printable(value));
}
