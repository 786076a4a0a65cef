//! The proxy event, read narrowly: only what the broker uses is parsed, everything else is passed over.
//!
//! Source: API Gateway Developer Guide, "Input format of a Lambda function for proxy integration" (payload 1.0). Own
//! structs, because the field that matters most, `requestContext.identity.vpceId`, is not in every published set.

use std::fmt;
use std::marker::PhantomData;

use serde::de::value::MapAccessDeserializer;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};

/// What the broker reads of a proxy event. Holds the caller's token, so it has no `Debug`.
#[derive(Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ProxyEvent {
    /// The resource's path in the API's template, as `/presigned-urls`.
    pub resource: Option<String>,
    /// The path that was asked for, with a custom domain's base path.
    pub path: Option<String>,
    /// The method.
    pub http_method: Option<String>,
    /// The last value of each header.
    pub headers: Option<Headers>,
    /// All values of each header.
    pub multi_value_headers: Option<Headers>,
    /// The body.
    pub body: Option<String>,
    /// Whether the body is base64 (RFC 4648).
    pub is_base64_encoded: Option<bool>,
    /// What API Gateway itself says of the request.
    #[serde(deserialize_with = "object")]
    pub request_context: Option<RequestContext>,
}

/// What API Gateway itself says of a request. Trustworthy only because nobody else may invoke the function.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct RequestContext {
    /// The request's id.
    pub request_id: Option<String>,
    /// The account of the API, which is the function's own.
    pub account_id: Option<String>,
    /// Where the request came from.
    #[serde(deserialize_with = "object")]
    pub identity: Option<Origin>,
}

/// Where a request came from.
#[derive(Debug, Default, serde::Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Origin {
    /// The VPC endpoint, for a private API.
    pub vpce_id: Option<String>,
    /// The address.
    pub source_ip: Option<String>,
}

impl ProxyEvent {
    /// Reads an event.
    ///
    /// # Errors
    /// What is not a proxy event: no JSON object, a member of the wrong type, a member twice, no method or no path. The error
    /// says nothing of the event's content.
    pub fn parse(event: &[u8]) -> Result<Self, MalformedEvent> {
        if event.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
            return Err(MalformedEvent);
        }
        let event: Self = serde_json::from_slice(event).map_err(|_| MalformedEvent)?;
        if event.http_method.is_none() || event.path.is_none() && event.resource.is_none() {
            return Err(MalformedEvent);
        }
        Ok(event)
    }

    /// Every value of each header that the broker looks at.
    ///
    /// A gateway that fills both maps says the same in both. Where the single map has a value that the other has not, or has
    /// it more often, both count: which of two the gateway meant is not ours to guess.
    pub fn take_headers(&mut self) -> Headers {
        let single = self.headers.take().unwrap_or_default();
        let Some(mut all) = self.multi_value_headers.take() else { return single };
        for (all, single) in
            [(&mut all.authorization, single.authorization), (&mut all.content_type, single.content_type), (&mut all.accept, single.accept)]
        {
            let listed = all.len();
            for (index, value) in single.iter().enumerate() {
                let count = |values: &[String]| values.iter().filter(|other| *other == value).count();
                if count(&single[..index]) >= count(&all[..listed]) {
                    all.push(value.clone());
                }
            }
        }
        all
    }
}

/// Reads an object, or null. serde reads a structure from a list too, member by member; a list is not an object.
fn object<'de, D: Deserializer<'de>, T: Deserialize<'de>>(deserializer: D) -> Result<Option<T>, D::Error> {
    struct ObjectVisitor<T>(PhantomData<T>);

    impl<'de, T: Deserialize<'de>> Visitor<'de> for ObjectVisitor<T> {
        type Value = Option<T>;

        fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
            f.write_str("an object or null")
        }

        fn visit_unit<E>(self) -> Result<Option<T>, E> {
            Ok(None)
        }

        fn visit_map<M: MapAccess<'de>>(self, map: M) -> Result<Option<T>, M::Error> {
            T::deserialize(MapAccessDeserializer::new(map)).map(Some)
        }
    }

    deserializer.deserialize_any(ObjectVisitor(PhantomData))
}

/// An event that is not a proxy event.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct MalformedEvent;

/// The values of the headers that the broker looks at, whatever the case of their names. Holds the caller's token, so it
/// has no `Debug`.
#[derive(Default)]
pub struct Headers {
    /// Values of `Authorization`.
    pub authorization: Vec<String>,
    /// Values of `Content-Type`.
    pub content_type: Vec<String>,
    /// Values of `Accept`.
    pub accept: Vec<String>,
}

impl<'de> Deserialize<'de> for Headers {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(HeadersVisitor)
    }
}

struct HeadersVisitor;

impl<'de> Visitor<'de> for HeadersVisitor {
    type Value = Headers;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("headers by name")
    }

    fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Headers, M::Error> {
        let mut headers = Headers::default();
        while let Some(name) = map.next_key::<HeaderName>()? {
            let values = match name {
                HeaderName::Authorization => &mut headers.authorization,
                HeaderName::ContentType => &mut headers.content_type,
                HeaderName::Accept => &mut headers.accept,
                HeaderName::Other => {
                    map.next_value::<IgnoredAny>()?;
                    continue;
                }
            };
            values.append(&mut map.next_value::<Values>()?.0);
        }
        Ok(headers)
    }
}

enum HeaderName {
    Authorization,
    ContentType,
    Accept,
    Other,
}

impl<'de> Deserialize<'de> for HeaderName {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct NameVisitor;

        impl Visitor<'_> for NameVisitor {
            type Value = HeaderName;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header's name")
            }

            fn visit_str<E>(self, name: &str) -> Result<HeaderName, E> {
                Ok(if name.eq_ignore_ascii_case("authorization") {
                    HeaderName::Authorization
                } else if name.eq_ignore_ascii_case("content-type") {
                    HeaderName::ContentType
                } else if name.eq_ignore_ascii_case("accept") {
                    HeaderName::Accept
                } else {
                    HeaderName::Other
                })
            }
        }

        deserializer.deserialize_str(NameVisitor)
    }
}

/// A header's value or values: a string, a list of strings, or null.
struct Values(Vec<String>);

impl<'de> Deserialize<'de> for Values {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct ValuesVisitor;

        impl<'de> Visitor<'de> for ValuesVisitor {
            type Value = Values;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a header's value or values")
            }

            fn visit_str<E>(self, value: &str) -> Result<Values, E> {
                Ok(Values(vec![value.to_owned()]))
            }

            fn visit_unit<E>(self) -> Result<Values, E> {
                Ok(Values(Vec::new()))
            }

            fn visit_seq<S: SeqAccess<'de>>(self, mut seq: S) -> Result<Values, S::Error> {
                let mut values = Vec::new();
                while let Some(value) = seq.next_element::<String>()? {
                    values.push(value);
                }
                Ok(Values(values))
            }
        }

        deserializer.deserialize_any(ValuesVisitor)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn parse(json: &str) -> Result<ProxyEvent, MalformedEvent> {
        ProxyEvent::parse(json.as_bytes())
    }

    #[test]
    fn headers_are_found_whatever_their_case() {
        let mut event =
            parse(r#"{"httpMethod":"GET","path":"/","headers":{"AUTHORIZATION":"Bearer a","x-other":7,"accept":null}}"#).ok().unwrap();
        let headers = event.take_headers();
        assert_eq!(headers.authorization, ["Bearer a"]);
        assert!(headers.accept.is_empty());
    }

    #[test]
    fn a_value_in_both_maps_counts_once_and_two_values_twice() {
        let both =
            r#"{"httpMethod":"GET","path":"/","headers":{"Authorization":"Bearer a"},"multiValueHeaders":{"authorization":["Bearer a"]}}"#;
        assert_eq!(parse(both).ok().unwrap().take_headers().authorization, ["Bearer a"]);
        let two = r#"{"httpMethod":"GET","path":"/","headers":{"Authorization":"Bearer b"},"multiValueHeaders":{"Authorization":["Bearer a","Bearer b"]}}"#;
        assert_eq!(parse(two).ok().unwrap().take_headers().authorization.len(), 2);
        let differ =
            r#"{"httpMethod":"GET","path":"/","headers":{"Authorization":"Bearer b"},"multiValueHeaders":{"Authorization":["Bearer a"]}}"#;
        assert_eq!(parse(differ).ok().unwrap().take_headers().authorization.len(), 2);
        let cases = r#"{"httpMethod":"GET","path":"/","headers":{"Authorization":"Bearer a","authorization":"Bearer a"}}"#;
        assert_eq!(parse(cases).ok().unwrap().take_headers().authorization.len(), 2);
        // The same where the gateway fills the other map, whether or not it says so there too.
        for multi in ["{}", r#"{"authorization":["Bearer a"]}"#, r#"{"Authorization":["Bearer a"],"authorization":["Bearer a"]}"#] {
            let both = cases.replacen('{', &format!(r#"{{"multiValueHeaders":{multi},"#), 1);
            assert_eq!(parse(&both).ok().unwrap().take_headers().authorization.len(), 2, "{multi}");
        }
    }

    #[test]
    fn what_is_not_a_proxy_event_is_refused() {
        for json in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"httpMethod":"GET"}"#,
            r#"{"httpMethod":7,"path":"/"}"#,
            r#"{"httpMethod":"GET","path":"/","headers":[]}"#,
            r#"{"httpMethod":"GET","path":"/","headers":{"authorization":{}}}"#,
            r#"{"httpMethod":"GET","httpMethod":"POST","path":"/"}"#,
            r#"{"httpMethod":"GET","path":"/"} x"#,
            r#"["/targets","/targets","GET",{},{},null,false,{}]"#,
            r#"{"httpMethod":"GET","path":"/","requestContext":["id","123456789012",{"vpceId":"vpce-0a"}]}"#,
            r#"{"httpMethod":"GET","path":"/","requestContext":{"identity":["vpce-0a"]}}"#,
        ] {
            assert!(parse(json).is_err(), "{json}");
        }
    }

    proptest! {
        #[test]
        fn no_bytes_make_it_panic(bytes in proptest::collection::vec(any::<u8>(), 0..512)) {
            let _ = ProxyEvent::parse(&bytes);
        }
    }
}
