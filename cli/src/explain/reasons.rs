//! What each reason means, and what an operator does about it: the tables of `docs/audit.md`, which stand there and nowhere else.

use serde::Serialize;

const DOCUMENT: &str = include_str!("../../../docs/audit.md");

/// What the document says of a reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Advice {
    /// What it means.
    pub meaning: String,
    /// What an operator does about it.
    pub what_to_do: String,
}

/// What the document says of that reason.
pub fn advice(reason: &str) -> Option<Advice> {
    let (meaning, what_to_do) = row(reason)?;
    let mut advice = Advice { meaning: plain(meaning), what_to_do: plain(what_to_do) };
    // "as `another reason`": whoever reads this has the other row not before their eyes.
    if let Some((other, _)) = what_to_do.strip_prefix("as `").and_then(|rest| rest.split_once('`'))
        && let Some((_, others)) = row(other)
    {
        advice.what_to_do = format!("{}: {}", advice.what_to_do, plain(others));
    }
    Some(advice)
}

/// The last two cells of a reason's row: `| reason | code | meaning | what to do |`.
fn row(reason: &str) -> Option<(&'static str, &'static str)> {
    let begins = format!("| `{reason}` | ");
    let rest = DOCUMENT.lines().find_map(|line| line.strip_prefix(begins.as_str()))?;
    let mut cells = rest.trim_end_matches(" |").split(" | ").skip(1);
    Some((cells.next()?, cells.next()?))
}

/// Markdown without its links.
fn plain(markdown: &str) -> String {
    let mut text = String::new();
    let mut rest = markdown;
    while let Some((before, after)) = rest.split_once('[') {
        text.push_str(before);
        match after.split_once("](").and_then(|(label, link)| Some((label, link.split_once(')')?.1))) {
            Some((label, after)) => {
                text.push_str(label);
                rest = after;
            }
            None => {
                text.push('[');
                rest = after;
            }
        }
    }
    text.push_str(rest);
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn links_are_left_out() {
        assert_eq!(plain("see [there](grants.md#x) and [here](#y); [z]"), "see there and here; [z]");
    }

    #[test]
    fn a_row_that_points_to_another_says_that_too() {
        let advice = advice("keys.discovery-connect").unwrap();
        assert!(advice.what_to_do.starts_with("as `keys.fetch-connect`: ") && advice.what_to_do.len() > 40, "{advice:?}");
        assert_eq!(super::advice("no.such"), None);
    }

    #[test]
    fn every_reason_has_its_advice() {
        let rows = DOCUMENT.lines().filter_map(|line| line.strip_prefix("| `")?.split_once("` | `")).map(|(reason, _)| reason);
        let mut count = 0;
        for reason in rows.filter(|reason| reason.contains('.')) {
            let advice = advice(reason).unwrap_or_else(|| panic!("{reason}"));
            assert!(!advice.meaning.is_empty() && !advice.what_to_do.is_empty() && !advice.what_to_do.contains("as above"), "{reason}");
            count += 1;
        }
        assert!(count > 100, "{count}");
    }
}
