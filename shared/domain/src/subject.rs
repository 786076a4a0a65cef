//! What the table says about a subject as a whole.

use crate::item::{Item, Value};

/// Sort key of the subject's own item.
pub const SUBJECT_SORT_KEY: &str = "SUBJECT";

/// Whether a subject may open anything at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing speaks against it. A subject without an item is active.
    Active,
    /// An operator has suspended the subject.
    Suspended,
    /// The item is there and cannot be read. Nobody can say whether it was meant to suspend, so it does.
    Malformed,
}

impl Standing {
    /// Reads the subject's item.
    ///
    /// An item without `status` (one that only carries a note) is active. Its `ttl` is not looked at: a suspension ends
    /// when an operator ends it.
    pub fn from_item(item: Option<&Item>) -> Self {
        match item.map(|item| item.get("status")) {
            None | Some(None) => Self::Active,
            Some(Some(Value::S(status))) => match status.as_str() {
                "active" => Self::Active,
                "suspended" => Self::Suspended,
                _ => Self::Malformed,
            },
            Some(Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_))) => Self::Malformed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_known_to_be_active_is_active() {
        let with = |value: Value| Standing::from_item(Some(&Item::from([("status".to_owned(), value)])));
        assert_eq!(Standing::from_item(None), Standing::Active);
        assert_eq!(Standing::from_item(Some(&Item::new())), Standing::Active);
        assert_eq!(with(Value::S("active".into())), Standing::Active);
        assert_eq!(with(Value::S("suspended".into())), Standing::Suspended);
        for odd in [Value::S("Active".into()), Value::S(String::new()), Value::Bool(true), Value::N("1".into()), Value::Other("NULL")] {
            assert_eq!(with(odd.clone()), Standing::Malformed, "{odd:?}");
        }
    }
}
