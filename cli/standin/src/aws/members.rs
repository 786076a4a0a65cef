//! The members of an input. An action takes those that it knows one by one; a member that is left then is not known.

use std::collections::BTreeMap;
use std::fmt;

use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, SeqAccess, Visitor};

use crate::aws::error::AwsError;

/// The members of an object that nobody has looked at yet.
#[derive(Debug)]
pub(super) struct Members(BTreeMap<String, Node>);

/// A JSON value in which every object has each member once. (`serde_json::Value` would keep the last of two.)
#[derive(Debug)]
enum Node {
    Null,
    Bool,
    /// None if it is not an integer, or not one of 64 bits.
    Number(Option<i64>),
    Text(String),
    List(Vec<Self>),
    Object(Members),
}

impl Members {
    /// The body of a request.
    pub(super) fn read(body: &[u8]) -> Result<Self, AwsError> {
        serde_json::from_slice(body).map_err(|why| serialization(format!("The body is not a JSON object with each member once: {why}")))
    }

    fn take<T>(&mut self, name: &str, read: fn(Node) -> Option<T>, right: &str) -> Result<Option<T>, AwsError> {
        match self.0.remove(name) {
            None | Some(Node::Null) => Ok(None),
            Some(node) => read(node).map(Some).ok_or_else(|| serialization(format!("{name} is not {right}"))),
        }
    }

    pub(super) fn text(&mut self, name: &str) -> Result<Option<String>, AwsError> {
        self.take(name, Node::text, "a string")
    }

    pub(super) fn number(&mut self, name: &str) -> Result<Option<i64>, AwsError> {
        self.take(name, Node::number, "an integer")
    }

    pub(super) fn object(&mut self, name: &str) -> Result<Option<Self>, AwsError> {
        self.take(name, Node::object, "an object")
    }

    /// A list of strings.
    pub(super) fn texts(&mut self, name: &str) -> Result<Option<Vec<String>>, AwsError> {
        self.take(name, |node| node.list()?.into_iter().map(Node::text).collect(), "a list of strings")
    }

    /// A list of objects.
    pub(super) fn objects(&mut self, name: &str) -> Result<Option<Vec<Self>>, AwsError> {
        self.take(name, |node| node.list()?.into_iter().map(Node::object).collect(), "a list of objects")
    }

    /// Whatever is left is not known. AWS would pass it over.
    pub(super) fn finish(self) -> Result<(), AwsError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(serialization(format!("{name} is not a member of the action's input that the stand-in knows"))),
        }
    }
}

fn serialization(message: String) -> AwsError {
    AwsError::new(400, "SerializationException", message)
}

impl Node {
    fn text(self) -> Option<String> {
        match self {
            Self::Text(text) => Some(text),
            Self::Null | Self::Bool | Self::Number(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    fn number(self) -> Option<i64> {
        match self {
            Self::Number(number) => number,
            Self::Null | Self::Bool | Self::Text(_) | Self::List(_) | Self::Object(_) => None,
        }
    }

    fn list(self) -> Option<Vec<Self>> {
        match self {
            Self::List(list) => Some(list),
            Self::Null | Self::Bool | Self::Number(_) | Self::Text(_) | Self::Object(_) => None,
        }
    }

    fn object(self) -> Option<Members> {
        match self {
            Self::Object(members) => Some(members),
            Self::Null | Self::Bool | Self::Number(_) | Self::Text(_) | Self::List(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let node = Node::deserialize(deserializer)?;
        node.object().ok_or_else(|| D::Error::custom("it is no object"))
    }
}

impl<'de> Deserialize<'de> for Node {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Any;

        impl<'de> Visitor<'de> for Any {
            type Value = Node;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a JSON value")
            }

            fn visit_unit<E>(self) -> Result<Node, E> {
                Ok(Node::Null)
            }

            fn visit_bool<E>(self, _: bool) -> Result<Node, E> {
                Ok(Node::Bool)
            }

            fn visit_i64<E>(self, number: i64) -> Result<Node, E> {
                Ok(Node::Number(Some(number)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Node, E> {
                Ok(Node::Number(i64::try_from(number).ok()))
            }

            fn visit_f64<E>(self, _: f64) -> Result<Node, E> {
                Ok(Node::Number(None))
            }

            fn visit_str<E>(self, text: &str) -> Result<Node, E> {
                Ok(Node::Text(text.to_owned()))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Node, A::Error> {
                let mut list = Vec::new();
                while let Some(node) = seq.next_element()? {
                    list.push(node);
                }
                Ok(Node::List(list))
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Node, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, node)) = map.next_entry::<String, Node>()? {
                    if members.insert(name, node).is_some() {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(Node::Object(Members(members)))
            }
        }

        deserializer.deserialize_any(Any)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_member_once_at_any_depth() {
        for bad in ["", "[]", "null", "7", r#"{"a":1,"a":1}"#, r#"{"a":{"b":1,"b":2}}"#, r#"{"a":[{"b":1,"b":2}]}"#, "{} {}"] {
            assert_eq!(Members::read(bad.as_bytes()).unwrap_err().code, "SerializationException", "{bad}");
        }
    }

    #[test]
    fn members_have_their_types() {
        let read = || {
            Members::read(br#"{"text":"a","number":7,"half":7.5,"flag":true,"none":null,"texts":["a"],"mixed":["a",1],"object":{}}"#)
                .unwrap()
        };
        assert_eq!(read().text("text").unwrap().as_deref(), Some("a"));
        assert_eq!(read().number("number").unwrap(), Some(7));
        assert_eq!(read().texts("texts").unwrap(), Some(vec!["a".to_owned()]));
        assert!(read().object("object").unwrap().is_some());
        assert_eq!((read().text("none").unwrap(), read().text("absent").unwrap()), (None, None));
        for name in ["number", "flag", "texts", "object"] {
            assert!(read().text(name).is_err(), "{name}");
        }
        for name in ["text", "half", "flag"] {
            assert!(read().number(name).is_err(), "{name}");
        }
        assert!(read().texts("mixed").is_err() && read().objects("texts").is_err() && read().object("text").is_err());
        assert!(read().finish().is_err() && Members::read(b"{}").unwrap().finish().is_ok());
    }
}
