//! DynamoDB's attribute values and the domain's, one to one.

use std::collections::HashMap;

use aws_sdk_dynamodb::types::AttributeValue;
use latchkey_domain::item::{Item, Value};

/// An item as the SDK has it.
pub type Attributes = HashMap<String, AttributeValue>;

/// A value that no item of ours has, by its DynamoDB name, and so none that is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("a value of type {0} cannot be written")]
pub struct Unwritable(pub &'static str);

/// Reads an item. Types that no item of ours uses keep their name only ([`Value::Other`]).
pub fn from_attributes(attributes: Attributes) -> Item {
    attributes.into_iter().map(|(name, value)| (name, from_attribute(value))).collect()
}

#[expect(clippy::wildcard_enum_match_arm, reason = "the SDK's enum is open: a type that DynamoDB gains is one that no item of ours has")]
fn from_attribute(value: AttributeValue) -> Value {
    match value {
        AttributeValue::S(text) => Value::S(text),
        AttributeValue::N(number) => Value::N(number),
        AttributeValue::Bool(truth) => Value::Bool(truth),
        AttributeValue::M(map) => Value::M(from_attributes(map)),
        AttributeValue::L(list) => Value::L(list.into_iter().map(from_attribute).collect()),
        AttributeValue::B(_) => Value::Other("B"),
        AttributeValue::Bs(_) => Value::Other("BS"),
        AttributeValue::Ns(_) => Value::Other("NS"),
        AttributeValue::Null(_) => Value::Other("NULL"),
        AttributeValue::Ss(_) => Value::Other("SS"),
        _ => Value::Other("unknown"),
    }
}

/// Writes an item.
///
/// # Errors
/// It holds a [`Value::Other`], at any depth.
pub fn to_attributes(item: Item) -> Result<Attributes, Unwritable> {
    item.into_iter().map(|(name, value)| Ok((name, to_attribute(value)?))).collect()
}

fn to_attribute(value: Value) -> Result<AttributeValue, Unwritable> {
    match value {
        Value::S(text) => Ok(AttributeValue::S(text)),
        Value::N(number) => Ok(AttributeValue::N(number)),
        Value::Bool(truth) => Ok(AttributeValue::Bool(truth)),
        Value::M(item) => Ok(AttributeValue::M(to_attributes(item)?)),
        Value::L(list) => Ok(AttributeValue::L(list.into_iter().map(to_attribute).collect::<Result<_, _>>()?)),
        Value::Other(name) => Err(Unwritable(name)),
    }
}

/// A string attribute.
pub(crate) fn text(value: impl Into<String>) -> AttributeValue {
    AttributeValue::S(value.into())
}

/// A number attribute.
pub(crate) fn number(value: impl ToString) -> AttributeValue {
    AttributeValue::N(value.to_string())
}

/// The key of an item.
pub(crate) fn key(pk: impl Into<String>, sk: impl Into<String>) -> Attributes {
    HashMap::from([("pk".to_owned(), text(pk)), ("sk".to_owned(), text(sk))])
}

#[cfg(test)]
mod tests {
    use aws_smithy_types::Blob;

    use super::*;

    #[test]
    fn what_items_hold_goes_both_ways() {
        let item = Item::from([
            ("s".to_owned(), Value::S("x".to_owned())),
            ("n".to_owned(), Value::N("12".to_owned())),
            ("b".to_owned(), Value::Bool(false)),
            ("m".to_owned(), Value::M(Item::from([("inner".to_owned(), Value::S(String::new()))]))),
            ("l".to_owned(), Value::L(vec![Value::S("x".to_owned()), Value::L(vec![Value::Bool(true)])])),
        ]);
        assert_eq!(from_attributes(to_attributes(item.clone()).unwrap()), item);
    }

    #[test]
    fn other_types_keep_their_name_and_are_not_written() {
        for (value, name) in [
            (AttributeValue::B(Blob::new("x")), "B"),
            (AttributeValue::Bs(vec![]), "BS"),
            (AttributeValue::Ns(vec![]), "NS"),
            (AttributeValue::Null(true), "NULL"),
            (AttributeValue::Ss(vec![]), "SS"),
        ] {
            let item = from_attributes(HashMap::from([("m".to_owned(), AttributeValue::M(HashMap::from([("a".to_owned(), value)])))]));
            assert_eq!(item["m"], Value::M(Item::from([("a".to_owned(), Value::Other(name))])));
            assert_eq!(to_attributes(item), Err(Unwritable(name)));
        }
    }
}
