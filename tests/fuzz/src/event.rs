//! Events, and the same events written otherwise.

use std::fmt::Write as _;

use latchkey_api::bearer::bearer_token;
use latchkey_api::body;
use latchkey_api::event::ProxyEvent;
use latchkey_api::response::wants_redirect;
use latchkey_api::route::Route;
use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::entitlement::Wish;
use serde::de::{Deserialize, Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use serde_json::{Map, Value, json};

/// What is decided by an event alone. Holds a token, so it has no `Debug`.
#[derive(PartialEq, Eq)]
struct Decision {
    route: Option<&'static str>,
    method: Option<bool>,
    token: Result<String, (Code, Reason)>,
    wish: Result<Wish, (Code, Reason)>,
    redirect: bool,
    endpoint: Option<String>,
    source_ip: Option<String>,
    request_id: Option<String>,
    account_id: Option<String>,
}

/// An event as it was parsed.
struct Parsed {
    decision: Decision,
    /// The values of the headers that are read, each as often as it counts.
    headers: [(&'static str, Vec<String>); 3],
    members: Map<String, Value>,
}

fn parse(data: &[u8]) -> Option<Parsed> {
    let mut event = ProxyEvent::parse(data).ok()?;
    let headers = event.take_headers();
    let context = event.request_context.take();
    let identity = context.as_ref().and_then(|context| context.identity.as_ref());
    let members = json!({
        "resource": event.resource,
        "path": event.path,
        "httpMethod": event.http_method,
        "body": event.body,
        "isBase64Encoded": event.is_base64_encoded,
        "requestContext": context.as_ref().map(|context| json!({
            "requestId": context.request_id,
            "accountId": context.account_id,
            "identity": identity.map(|identity| json!({"vpceId": identity.vpce_id, "sourceIp": identity.source_ip})),
        })),
    });
    let Value::Object(members) = members else { return None };
    let route = Route::at(event.resource.as_deref(), event.path.as_deref());
    let why = |denial: Denial| (denial.code, denial.reason);
    let decision = Decision {
        route: route.map(Route::path),
        method: route.map(|route| route.check_method(event.http_method.as_deref().unwrap_or_default()).is_ok()),
        token: bearer_token(headers.authorization.clone()).map(|token| token.expose().to_owned()).map_err(why),
        wish: body::wish(event.body.as_deref(), event.is_base64_encoded.unwrap_or(false), &headers.content_type).map_err(why),
        redirect: wants_redirect(&headers.accept),
        endpoint: identity.and_then(|identity| identity.vpce_id.clone()),
        source_ip: identity.and_then(|identity| identity.source_ip.clone()),
        request_id: context.as_ref().and_then(|context| context.request_id.clone()),
        account_id: context.as_ref().and_then(|context| context.account_id.clone()),
    };
    let headers = [("authorization", headers.authorization), ("CONTENT-TYPE", headers.content_type), ("Accept", headers.accept)];
    Some(Parsed { decision, headers, members })
}

/// An event: its headers and its body are read too. However the same is written, the same is decided: what was parsed written down again,
/// its headers in the one map or the other or both; or the event with its members the other way round, its names in escapes and white
/// space between, and each map of headers under the other's name.
pub fn event(data: &[u8]) {
    let Some(parsed) = parse(data) else { return };
    let same = |text: &str, what: &str| {
        let again = parse(text.as_bytes());
        assert!(again.is_some_and(|again| again.decision == parsed.decision), "another decision: {what}");
    };
    let written = |single: bool, multi: bool| {
        let mut members = parsed.members.clone();
        let headers = |value: fn(&Vec<String>) -> Value| -> Value {
            parsed
                .headers
                .iter()
                .filter(|(_, values)| !values.is_empty())
                .map(|(name, values)| ((*name).to_owned(), value(values)))
                .collect::<Map<_, _>>()
                .into()
        };
        members.insert("headers".to_owned(), if single { headers(|values| json!(values.last())) } else { Value::Null });
        members.insert("multiValueHeaders".to_owned(), if multi { headers(|values| json!(values)) } else { Value::Null });
        Value::Object(members).to_string()
    };
    same(&written(false, true), "the headers of many values alone");
    same(&written(true, true), "both maps of headers");
    if parsed.headers.iter().all(|(_, values)| values.len() <= 1) {
        same(&written(true, false), "the headers of one value alone");
    }
    // In what is not read there may be what another reader does not take.
    if let Ok(text) = std::str::from_utf8(data)
        && let Ok(members) = serde_json::from_str::<Members<'_>>(text)
    {
        same(&members.otherwise(|name| name), "the members the other way round");
        same(&members.otherwise(exchanged), "the maps of headers exchanged");
    }
}

/// An object as it is written: its members in their order, those that are there twice among them.
struct Members<'a>(Vec<(String, &'a RawValue)>);

impl<'de: 'a, 'a> Deserialize<'de> for Members<'a> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct MembersVisitor;

        impl<'de> Visitor<'de> for MembersVisitor {
            type Value = Members<'de>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("an object")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Members<'de>, A::Error> {
                let mut members = Vec::new();
                while let Some(member) = map.next_entry::<String, &RawValue>()? {
                    members.push(member);
                }
                Ok(Members(members))
            }
        }

        deserializer.deserialize_map(MembersVisitor)
    }
}

/// The name of the other map of headers.
fn exchanged(name: &str) -> &str {
    match name {
        "headers" => "multiValueHeaders",
        "multiValueHeaders" => "headers",
        other => other,
    }
}

/// The objects in an event that are read.
const OBJECTS: [&str; 4] = ["headers", "multiValueHeaders", "requestContext", "identity"];

impl Members<'_> {
    /// The same object, written otherwise, with these names for its members; and the objects in it.
    fn otherwise(&self, name_of: fn(&str) -> &str) -> String {
        let mut text = String::from("\n{ ");
        for (index, (name, value)) in self.0.iter().rev().enumerate() {
            text.push_str(if index == 0 { "\"" } else { "\t,\r\n\"" });
            for unit in name_of(name).encode_utf16() {
                let _ = write!(text, "\\u{unit:04X}");
            }
            text.push_str("\" : ");
            match serde_json::from_str::<Members<'_>>(value.get()) {
                Ok(members) if OBJECTS.contains(&name.as_str()) => text.push_str(&members.otherwise(|name| name)),
                Ok(_) | Err(_) => text.push_str(value.get()),
            }
        }
        text.push_str(" }\n");
        text
    }
}
