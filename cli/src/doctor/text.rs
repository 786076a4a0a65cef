//! A diagnosis for people: what is wrong first, with what to do; what is sound in a line each.

use std::fmt::Write as _;

use super::{Diagnosis, Finding, Outcome};

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
        let _ = write!(text, "\n{word:<9}{:<24}{}", finding.check, finding.about);
        more(&mut text, finding);
    }
    if !diagnosis.not_looked_at.is_empty() {
        text.push_str("\n\nNot looked at");
        for one in &diagnosis.not_looked_at {
            let _ = write!(text, "\n  - {one}");
        }
    }
    text
}

fn more(text: &mut String, finding: &Finding) {
    let (Some(found), Some(fix)) = (&finding.found, finding.fix) else { return };
    let _ = write!(text, "\n         is to hold    {}", finding.holds);
    let _ = write!(text, "\n         found         {found}");
    let _ = write!(text, "\n         what to do    {fix}");
}
