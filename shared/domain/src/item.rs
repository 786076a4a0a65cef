//! A table item without its database: what the DynamoDB adapter reads and writes, and what the grant rules parse.
//!
//! In plain formats (JSON and the like) a string is `S`, a whole number `N`, a truth value `BOOL` and an object `M`. No item of
//! ours holds anything else, so nothing else is read.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{self, Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde::ser::{Serialize, Serializer};

/// One attribute's value. Types that no item of ours uses keep their DynamoDB name only: they make an item malformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string (`S`).
    S(String),
    /// A number (`N`), in DynamoDB's decimal text.
    N(String),
    /// A truth value (`BOOL`).
    Bool(bool),
    /// A map (`M`).
    M(Item),
    /// A list (`L`).
    L(Vec<Value>),
    /// Any other type, by its DynamoDB name.
    Other(&'static str),
}

/// An item, or a map within one: attribute name to value.
pub type Item = BTreeMap<String, Value>;

impl Serialize for Value {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::S(text) => serializer.serialize_str(text),
            // A number that is not a whole one of 64 bits stays text: better odd than wrong.
            Self::N(number) => match number.parse() {
                Ok(whole) => serializer.serialize_i64(whole),
                Err(_) => serializer.serialize_str(number),
            },
            Self::Bool(truth) => serializer.serialize_bool(*truth),
            Self::M(map) => map.serialize(serializer),
            Self::L(list) => list.serialize(serializer),
            Self::Other(name) => serializer.collect_str(&format_args!("({name})")),
        }
    }
}

impl<'de> Deserialize<'de> for Value {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(ValueVisitor)
    }
}

struct ValueVisitor;

impl<'de> Visitor<'de> for ValueVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a string, a whole number, true, false, an object or an array")
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::S(text.to_owned()))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(Value::N(number.to_string()))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(Value::N(number.to_string()))
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_seq<S: SeqAccess<'de>>(self, mut array: S) -> Result<Value, S::Error> {
        let mut list = Vec::new();
        while let Some(value) = array.next_element()? {
            list.push(value);
        }
        Ok(Value::L(list))
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Value, M::Error> {
        let mut item = Item::new();
        while let Some((name, value)) = map.next_entry::<String, Value>()? {
            // Of two values, which was meant is not ours to guess.
            if item.contains_key(&name) {
                return Err(de::Error::custom(format_args!("{name} stands there twice")));
            }
            item.insert(name, value);
        }
        Ok(Value::M(item))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(json: &str) -> Result<Value, String> {
        serde_json::from_str(json).map_err(|error| error.to_string())
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        let json = r#"{"enabled":true,"expires_at":1900000000,"kind":"studio","landings":{"lab":{"landing_uri":"studio::"}},"x_tickets":["CHG-1",2,[]]}"#;
        let item = read(json).unwrap();
        assert_eq!(serde_json::to_string(&item).unwrap(), json);
    }

    #[test]
    fn what_no_attribute_can_be_is_refused() {
        for json in ["null", "[null]", "1.5", r#"{"a":null}"#, r#"{"a":[[1.5]]}"#, r#"{"a":1e3}"#] {
            assert!(read(json).unwrap_err().contains("expected a string, a whole number, true, false, an object or an array"), "{json}");
        }
        assert!(read(r#"{"a":1,"a":2}"#).unwrap_err().contains("a stands there twice"));
    }

    #[test]
    fn a_number_that_json_cannot_hold_stays_text() {
        let shown = |number: &str| serde_json::to_string(&Value::N(number.to_owned())).unwrap();
        assert_eq!(shown("-7"), "-7");
        assert_eq!(shown("1.5"), "\"1.5\"");
        assert_eq!(shown("123456789012345678901234567890"), "\"123456789012345678901234567890\"");
        assert_eq!(serde_json::to_string(&Value::Other("NULL")).unwrap(), "\"(NULL)\"");
    }
}
