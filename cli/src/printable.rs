//! Text that was written by others, for a person's terminal: rows of the table, files, tokens, and what AWS says.
//!
//! A terminal obeys what it is shown: an escape sequence hides a line, or writes into the clipboard. And a reader believes the order
//! of what is shown: a bidirectional control makes one name look like another. So neither is ever shown as it is.

/// A value, on one line: what a terminal would obey, or show in another order, as an escape of JSON's.
pub fn printable(value: &str) -> String {
    escaped(value, is_obeyed)
}

/// Lines whose values have been made printable where a line's end in them would matter. JSON stays JSON, and the same: what is
/// escaped stands only in its strings, of which serde_json escapes no more than JSON demands.
pub fn lines(text: &str) -> String {
    escaped(text, |c| c != '\n' && is_obeyed(c))
}

/// Whether a terminal would do something else with it than show it, or shows what is around it otherwise.
fn is_obeyed(c: char) -> bool {
    // Of Unicode, C0, DEL and C1; the marks, embeddings, overrides and isolates of bidirectional text (UAX #9); and the separators of
    // lines and paragraphs.
    c.is_control() || matches!(c, '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
}

fn escaped(text: &str, is_escaped: impl Fn(char) -> bool) -> String {
    let mut shown = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            c if !is_escaped(c) => shown.push(c),
            '\n' => shown.push_str("\\n"),
            '\r' => shown.push_str("\\r"),
            '\t' => shown.push_str("\\t"),
            c => shown.push_str(&format!("\\u{:04x}", u32::from(c))),
        }
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_terminal_would_obey_is_shown_and_the_rest_is_as_it_was() {
        for (text, shown) in [
            ("a\u{1b}]52;c;eA\u{7}b", "a\\u001b]52;c;eA\\u0007b"),
            ("a\r\nb\tc\u{7f}", "a\\r\\nb\\tc\\u007f"),
            ("\u{9b}2J\u{85}", "\\u009b2J\\u0085"),
            ("x\u{202e}gnp\u{202c}\u{2066}\u{2069}\u{200f}\u{61c}", "x\\u202egnp\\u202c\\u2066\\u2069\\u200f\\u061c"),
            ("\u{2028}\u{2029}", "\\u2028\\u2029"),
            ("Zoë 李 \\ \" 👩‍🔬", "Zoë 李 \\ \" 👩‍🔬"),
        ] {
            assert_eq!(printable(text), shown);
        }
        assert_eq!(lines("a\n\u{1b}b\n"), "a\n\\u001bb\n");
    }

    #[test]
    fn json_means_the_same_afterwards() {
        let value = serde_json::json!({"x\u{9b}": ["\u{1b}[2J\u{7f}\u{85}", "\u{202e}\u{2028}\n\t", "Zoë"]});
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            let shown = lines(&text);
            assert_eq!(serde_json::from_str::<serde_json::Value>(&shown).unwrap(), value);
            assert!(shown.chars().all(|c| c == '\n' || !is_obeyed(c)), "{shown}");
        }
    }
}
