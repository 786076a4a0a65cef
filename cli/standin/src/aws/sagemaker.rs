//! SageMaker: AWS JSON 1.1. One file for each action.

mod create_presigned_domain_url;
mod describe_domain;
mod describe_user_profile;

use std::collections::BTreeMap;
use std::fmt;

use http::header;
use serde::Deserialize;
use serde::de::{Deserializer, Error as _, MapAccess, Visitor};
use serde_json::Value;

use super::Call;
use super::error::AwsError;
use crate::answer::Answer;
use crate::sigv4::Request;

/// The header that names the action.
pub(super) const TARGET: &str = "x-amz-target";

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

type Action = fn(&Call<'_>, Members) -> Result<Value, AwsError>;

/// Every action that the stand-in knows.
const ACTIONS: &[(&str, Action)] = &[
    ("CreatePresignedDomainUrl", create_presigned_domain_url::answer),
    ("DescribeDomain", describe_domain::answer),
    ("DescribeUserProfile", describe_user_profile::answer),
];

pub(super) fn action(wire: &Request<'_>) -> String {
    target(wire).unwrap_or_default().to_owned()
}

fn target<'a>(wire: &Request<'a>) -> Option<&'a str> {
    wire.headers.get(TARGET)?.to_str().ok()?.strip_prefix("SageMaker.")
}

pub(super) fn answer(call: &Call<'_>, wire: &Request<'_>) -> Result<Answer, AwsError> {
    if wire.method != "POST" || wire.path != "/" || !wire.query.is_empty() {
        return Err(AwsError::new(404, "UnknownOperationException", "SageMaker takes a POST on /."));
    }
    let content_type = wire.headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    if content_type != CONTENT_TYPE.as_bytes() {
        return Err(AwsError::new(404, "UnknownOperationException", "The content type has to be application/x-amz-json-1.1."));
    }
    let action = target(wire)
        .and_then(|name| ACTIONS.iter().find(|(known, _)| *known == name))
        .ok_or_else(|| AwsError::new(400, "UnknownOperationException", "X-Amz-Target names no action that the stand-in knows."))?;
    let members: Members = serde_json::from_slice(wire.body).map_err(|why| {
        AwsError::new(400, "SerializationException", format!("The body is not a JSON object with each member once: {why}"))
    })?;
    let output = (action.1)(call, members)?;
    Ok(Answer::new(200, CONTENT_TYPE, output.to_string()))
}

/// The members of an input that nobody has looked at yet.
#[derive(Debug)]
struct Members(BTreeMap<String, Value>);

impl Members {
    fn text(&mut self, name: &str) -> Result<Option<String>, AwsError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(Value::Bool(_) | Value::Number(_) | Value::Array(_) | Value::Object(_)) => Err(wrong_type(name, "a string")),
        }
    }

    fn number(&mut self, name: &str) -> Result<Option<i64>, AwsError> {
        match self.0.remove(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::Number(number)) => number.as_i64().map(Some).ok_or_else(|| wrong_type(name, "an integer")),
            Some(Value::Bool(_) | Value::String(_) | Value::Array(_) | Value::Object(_)) => Err(wrong_type(name, "an integer")),
        }
    }

    /// Whatever is left is not known. AWS would pass it over.
    fn finish(self) -> Result<(), AwsError> {
        match self.0.keys().next() {
            None => Ok(()),
            Some(name) => Err(AwsError::new(400, "SerializationException", format!("{name} is not a member of the action's input"))),
        }
    }
}

fn wrong_type(name: &str, right: &str) -> AwsError {
    AwsError::new(400, "SerializationException", format!("{name} is not {right}"))
}

impl<'de> Deserialize<'de> for Members {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Object;

        impl<'de> Visitor<'de> for Object {
            type Value = Members;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members, A::Error> {
                let mut members = BTreeMap::new();
                while let Some((name, value)) = map.next_entry::<String, Value>()? {
                    if members.insert(name, value).is_some() {
                        return Err(A::Error::custom("a member is there twice"));
                    }
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(Object)
    }
}
