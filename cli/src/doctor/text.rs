//! A diagnosis for people: what is wrong first, with what to do; what is sound in a line each.

use std::fmt::Write as _;

use super::{Diagnosis, Finding, Outcome};
use crate::printable::printable;

/// Writes a diagnosis out.
pub fn told(diagnosis: &Diagnosis) -> String {
    let count = |outcome, one: &str, many: &str| match diagnosis.count(outcome) {
        1 => format!("1 {one}"),
        number => format!("{number} {many}"),
    };
    let mut text = format!(
        "{} in {}: {}, {}, {}, {} sound",
        diagnosis.name,
        diagnosis.region,
        count(Outcome::Fault, "fault", "faults"),
        count(Outcome::Unknown, "unknown", "unknown"),
        count(Outcome::Weak, "weakness", "weaknesses"),
        diagnosis.count(Outcome::Sound),
    );
    for finding in &diagnosis.findings {
        let word = match finding.outcome {
            Outcome::Fault => "FAULT",
            Outcome::Unknown => "UNKNOWN",
            Outcome::Weak => "weak",
            Outcome::Sound => "sound",
        };
        if finding.outcome != Outcome::Sound {
            text.push('\n');
        }
        let _ = write!(text, "\n{word:<9}{:<24}{}", finding.check, printable(&finding.about));
        more(&mut text, finding);
    }
    if !diagnosis.not_looked_at.is_empty() {
        text.push_str("\n\nNot looked at");
        for one in &diagnosis.not_looked_at {
            let _ = write!(text, "\n  - {}", printable(one));
        }
    }
    text
}

fn more(text: &mut String, finding: &Finding) {
    let (Some(found), Some(fix)) = (&finding.found, finding.fix) else { return };
    let _ = write!(text, "\n         is to hold    {}", finding.holds);
    let _ = write!(text, "\n         found         {}", printable(found));
    let _ = write!(text, "\n         what to do    {fix}");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_aws_says_is_shown_and_not_obeyed() {
        let odd = "\u{1b}[2J\u{9b}\u{202e}\nx";
        let finding = |outcome, found: Option<&str>| Finding {
            check: "role.trust",
            about: odd.to_owned(),
            outcome,
            holds: "it holds",
            found: found.map(str::to_owned),
            fix: found.map(|_| "mend it"),
        };
        let text = told(&Diagnosis {
            name: "latchkey".to_owned(),
            region: "eu-central-1".to_owned(),
            findings: vec![finding(Outcome::Fault, Some(odd)), finding(Outcome::Sound, None)],
            not_looked_at: vec![odd.to_owned()],
        });
        assert_eq!(text.matches("\\u001b[2J\\u009b\\u202e\\nx").count(), 4, "{text}");
        assert!(text.chars().all(|c| c == '\n' || !c.is_control()), "{text}");
    }
}
