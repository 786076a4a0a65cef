//! How large a row is, as DynamoDB counts it (Developer Guide, "DynamoDB item sizes and formats"): what is too large is found before
//! anything is written, and not halfway through.

use latchkey_domain::item::{Item, Value};

/// The most that an item can have, in bytes.
pub const MAX_BYTES: usize = 400 * 1024;

/// The names of the two keys.
const KEY_NAMES: usize = "pk".len() + "sk".len();

/// How many bytes the attributes take. Never less than DynamoDB counts; of a number, which it packs, a little more.
pub fn bytes(item: &Item) -> usize {
    item.iter().map(|(name, value)| name.len() + of_value(value)).sum()
}

fn of_value(value: &Value) -> usize {
    // A map and a list take three bytes, and one for each that is in them.
    match value {
        Value::S(text) => text.len(),
        Value::N(number) => number.len() + 1,
        Value::Bool(_) | Value::Other(_) => 1,
        Value::M(map) => 3 + map.len() + bytes(map),
        Value::L(list) => 3 + list.len() + list.iter().map(of_value).sum::<usize>(),
    }
}

/// How many bytes a row with these keys and attributes takes.
pub fn of_row(partition_key: &str, sort_key: &str, item: &Item) -> usize {
    KEY_NAMES + partition_key.len() + sort_key.len() + bytes(item)
}

/// Whether DynamoDB takes a row with these keys and attributes.
pub fn fits(partition_key: &str, sort_key: &str, item: &Item) -> bool {
    of_row(partition_key, sort_key, item) <= MAX_BYTES
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(text: &str) -> Item {
        serde_json::from_str(text).unwrap()
    }

    #[test]
    fn bytes_are_counted_as_the_developer_guide_has_them() {
        for (text, count) in [
            ("{}", 0),
            (r#"{"note":"äé"}"#, 4 + 4),
            (r#"{"enabled":true}"#, 7 + 1),
            // Two digits are one byte, and there is one more; never less than that is counted.
            (r#"{"n":1900000000}"#, 1 + 11),
            (r#"{"m":{"a":"bc"}}"#, 1 + 3 + 1 + 1 + 2),
            (r#"{"l":["a",{}]}"#, 1 + 3 + 2 + 1 + 3),
        ] {
            assert_eq!(bytes(&item(text)), count, "{text}");
        }
    }

    #[test]
    fn what_is_a_byte_too_large_does_not_fit() {
        let of = |length: usize| Item::from([("note".to_owned(), Value::S("x".repeat(length)))]);
        let most = MAX_BYTES - KEY_NAMES - "pk".len() - "sk".len() - "note".len();
        assert!(fits("pk", "sk", &of(most)) && !fits("pk", "sk", &of(most + 1)));
    }
}
