//! JSON as strictly as a security decision needs it, for everything that others wrote: tokens, keys, configuration.
//!
//! What parses here has one meaning. RFC 8259 (section 4) leaves open what an object means that names a member twice, and
//! readers differ: a token that one of them understands as Alice's and another as Bob's is an attack. So a repeated member
//! is refused, at any depth and whatever its name. Nesting and the number of members are bounded, so that neither the stack
//! nor the search for repeated names can be driven up by whoever wrote the document; its size is bounded by the caller.

use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

/// How deep objects and arrays may nest. Tokens in the wild need about six levels.
pub(crate) const MAX_DEPTH: u8 = 32;

/// How many members one object may have. Names are compared each with each: this bounds the product.
pub(crate) const MAX_MEMBERS: usize = 256;

const REPEATED: &str = "a member is named twice";
const TOO_DEEP: &str = "nested too deeply";
const TOO_MANY: &str = "an object has too many members";

/// A JSON value.
#[derive(Clone, PartialEq)]
pub(crate) enum Value {
    /// `null`
    Null,
    /// `true` or `false`
    Bool(bool),
    /// A number without fraction and exponent that fits.
    Integer(i64),
    /// Any other number; finite.
    Float(f64),
    /// A string.
    Text(String),
    /// An array.
    List(Vec<Value>),
    /// An object.
    Object(Object),
}

impl Value {
    /// The string, if it is one.
    pub(crate) fn as_text(&self) -> Option<&str> {
        if let Self::Text(text) = self { Some(text) } else { None }
    }
}

/// A JSON object; no two of its members have the same name.
#[derive(Clone, PartialEq, Default)]
pub(crate) struct Object(Vec<(String, Value)>);

impl Object {
    /// The member `name`, compared byte for byte.
    pub(crate) fn get(&self, name: &str) -> Option<&Value> {
        self.0.iter().find(|(n, _)| n == name).map(|(_, value)| value)
    }

    /// Whether there is a member `name`, whatever its value (`null` included).
    pub(crate) fn has(&self, name: &str) -> bool {
        self.get(name).is_some()
    }

    /// The members, as they were written.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }
}

/// A document that is not acceptable JSON, and where. It says nothing of what stands there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct JsonError {
    pub(crate) what: &'static str,
    pub(crate) line: usize,
    pub(crate) column: usize,
}

impl fmt::Display for JsonError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} at line {} column {}", self.what, self.line, self.column)
    }
}

impl From<serde_json::Error> for JsonError {
    fn from(error: serde_json::Error) -> Self {
        // The library's own text can quote the document, so it goes no further.
        let text = error.to_string();
        let what = [REPEATED, TOO_DEEP, TOO_MANY].into_iter().find(|what| text.starts_with(what)).unwrap_or("not JSON");
        Self { what, line: error.line(), column: error.column() }
    }
}

/// Reads a whole document.
pub(crate) fn parse(document: &[u8]) -> Result<Value, JsonError> {
    let mut deserializer = serde_json::Deserializer::from_slice(document);
    let value = Seed { depth: 0 }.deserialize(&mut deserializer)?;
    deserializer.end()?;
    Ok(value)
}

/// Reads a whole document that is an object.
pub(crate) fn parse_object(document: &[u8]) -> Result<Object, JsonError> {
    match parse(document)? {
        Value::Object(object) => Ok(object),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::List(_) => {
            Err(JsonError { what: "not an object", line: 1, column: 0 })
        }
    }
}

#[derive(Clone, Copy)]
struct Seed {
    depth: u8,
}

impl<'de> DeserializeSeed<'de> for Seed {
    type Value = Value;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Value, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl Seed {
    fn inner<E: serde::de::Error>(self) -> Result<Self, E> {
        if self.depth == MAX_DEPTH { Err(E::custom(TOO_DEEP)) } else { Ok(Self { depth: self.depth + 1 }) }
    }
}

impl<'de> Visitor<'de> for Seed {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, value: bool) -> Result<Value, E> {
        Ok(Value::Bool(value))
    }

    fn visit_i64<E>(self, value: i64) -> Result<Value, E> {
        Ok(Value::Integer(value))
    }

    fn visit_u64<E>(self, value: u64) -> Result<Value, E> {
        // Beyond i64 nothing here means anything; as a float it stays a number, and out of every range.
        #[expect(clippy::cast_precision_loss, reason = "only its being huge matters")]
        Ok(i64::try_from(value).map_or(Value::Float(value as f64), Value::Integer))
    }

    fn visit_f64<E>(self, value: f64) -> Result<Value, E> {
        Ok(Value::Float(value))
    }

    fn visit_str<E>(self, value: &str) -> Result<Value, E> {
        Ok(Value::Text(value.to_owned()))
    }

    fn visit_string<E>(self, value: String) -> Result<Value, E> {
        Ok(Value::Text(value))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut list = Vec::new();
        while let Some(value) = seq.next_element_seed(inner)? {
            list.push(value);
        }
        Ok(Value::List(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Value, A::Error> {
        let inner = self.inner()?;
        let mut members: Vec<(String, Value)> = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            if members.iter().any(|(n, _)| *n == name) {
                return Err(A::Error::custom(REPEATED));
            }
            if members.len() == MAX_MEMBERS {
                return Err(A::Error::custom(TOO_MANY));
            }
            members.push((name, map.next_value_seed(inner)?));
        }
        Ok(Value::Object(Object(members)))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn error(document: &str) -> &'static str {
        parse(document.as_bytes()).err().map_or("accepted", |e| e.what)
    }

    #[test]
    fn reads_what_json_has() {
        let object = parse_object(br#" {"a":1,"b":-2.5,"c":"\u00e9\n","d":[true,null,{}],"e":{"a":1}} "#).ok().unwrap();
        assert!(object.get("a") == Some(&Value::Integer(1)));
        assert!(object.get("b") == Some(&Value::Float(-2.5)));
        assert_eq!(object.get("c").and_then(Value::as_text), Some("\u{e9}\n"));
        let Some(Value::List(list)) = object.get("d") else { panic!("a list") };
        assert!(list[..2] == [Value::Bool(true), Value::Null]);
        assert!(object.has("e") && !object.has("f"));
        assert_eq!(object.iter().count(), 5);
    }

    #[test]
    fn a_member_named_twice_is_refused_at_any_depth_and_however_it_is_written() {
        for document in [
            r#"{"a":1,"a":1}"#,
            r#"{"a":1,"b":2,"a":null}"#,
            r#"{"x":{"a":1,"a":2}}"#,
            r#"{"x":[[{"a":1,"a":2}]]}"#,
            r#"{"sub":1,"\u0073ub":2}"#,
            r#"{"":1,"":2}"#,
        ] {
            assert_eq!(error(document), REPEATED, "{document}");
        }
        assert_eq!(error(r#"{"a":{"a":{"a":1}},"A":1}"#), "accepted");
    }

    #[test]
    fn nesting_and_members_are_bounded() {
        let nested = |n: usize| format!("{}{}", "[".repeat(n), "]".repeat(n));
        assert_eq!(error(&nested(usize::from(MAX_DEPTH))), "accepted");
        assert_eq!(error(&nested(usize::from(MAX_DEPTH) + 1)), TOO_DEEP);
        assert_eq!(error(&"[".repeat(100_000)), TOO_DEEP);
        assert_eq!(error(&"{\"a\":".repeat(100_000)), TOO_DEEP);
        let members = |n: usize| format!("{{{}}}", (0..n).map(|i| format!("\"{i}\":0")).collect::<Vec<_>>().join(","));
        assert_eq!(error(&members(MAX_MEMBERS)), "accepted");
        assert_eq!(error(&members(MAX_MEMBERS + 1)), TOO_MANY);
    }

    #[test]
    fn what_is_not_json_is_refused() {
        for document in [
            "",
            " ",
            "{",
            "}",
            "{}{}",
            "{} x",
            "[1,]",
            "{\"a\":1,}",
            "{'a':1}",
            "nul",
            "NaN",
            "1e999",
            "01",
            "+1",
            "\u{feff}{}",
            "{\"a\":\"\n\"}",
            r#""\ud800""#,
            "// x\n{}",
        ] {
            assert_eq!(error(document), "not JSON", "{document}");
        }
        assert!(parse(b"\"\xff\"").is_err(), "not UTF-8");
        assert!(parse(b"{\"\xc0\xaf\":1}").is_err(), "not UTF-8 in a name");
        assert_eq!(parse_object(b"[]").err().map(|e| e.what), Some("not an object"));
    }

    #[test]
    fn errors_say_where_and_never_what() {
        let error = parse(br#"{"a":"secret","a":1}"#).err().unwrap();
        assert_eq!(error.to_string(), "a member is named twice at line 1 column 17");
        assert!(!parse(br#"["secret" secret]"#).err().unwrap().to_string().contains("secret"));
    }

    #[test]
    fn huge_integers_stay_numbers() {
        assert!(matches!(parse(b"18446744073709551615"), Ok(Value::Float(f)) if f > 1e19));
        assert!(matches!(parse(b"-9223372036854775808"), Ok(Value::Integer(i64::MIN))));
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(document in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = parse(&document);
        }

        #[test]
        fn agrees_with_serde_json_where_no_name_repeats(document in r#"[\[\]{}:,"a0-9 .e\\-]{0,40}"#) {
            let ours = parse(document.as_bytes());
            let theirs = serde_json::from_str::<serde_json::Value>(&document);
            if let Err(error) = &ours {
                prop_assert!(theirs.is_err() || error.what != "not JSON");
            } else {
                prop_assert!(theirs.is_ok());
            }
        }
    }
}
