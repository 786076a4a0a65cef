//! The body of `POST /presigned-urls`: none, or a small JSON object.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::entitlement::Wish;
use latchkey_domain::names::{LandingName, TargetName};

/// The largest body that is read, in bytes.
pub const MAX_BODY_BYTES: usize = 4096;

/// The body is larger than [`MAX_BODY_BYTES`].
pub const TOO_LARGE: Reason = Reason("body.too-large");
/// The body's media type is not JSON.
pub const MEDIA_TYPE: Reason = Reason("body.media-type");
/// The body is not a JSON object with the members that it may have.
pub const MALFORMED: Reason = Reason("body.malformed");
/// The body is not the base64 that the event says it is.
pub const NOT_BASE64: Reason = Reason("body.not-base64");
/// A member is not a legal name.
pub const NOT_A_NAME: Reason = Reason("body.not-a-name");

/// Every reason of this module.
pub const REASONS: &[Reason] = &[TOO_LARGE, MEDIA_TYPE, MALFORMED, NOT_BASE64, NOT_A_NAME];

/// The members that a body may have. Unknown and repeated ones are refused.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Members {
    #[serde(default)]
    target: Option<String>,
    #[serde(default)]
    landing: Option<String>,
}

/// Reads what the caller asks for. No body, or an empty one, asks for the defaults.
///
/// # Errors
/// [`Code::TooLarge`], [`Code::UnsupportedMediaType`] for a body with another `Content-Type` than JSON (one without is read
/// as JSON), [`Code::InvalidRequest`] for anything else.
pub fn wish(body: Option<&str>, is_base64: bool, content_types: &[String]) -> Result<Wish, Denial> {
    let Some(body) = body.filter(|body| !body.is_empty()) else { return Ok(Wish::default()) };
    // Base64 makes four characters of three bytes: a body too large to be decoded is not decoded.
    if body.len() > MAX_BODY_BYTES * if is_base64 { 2 } else { 1 } {
        return Err(Denial::new(Code::TooLarge, TOO_LARGE));
    }
    if !content_types.iter().all(|value| is_json(value)) {
        return Err(Denial::new(Code::UnsupportedMediaType, MEDIA_TYPE));
    }
    let decoded;
    let bytes = if is_base64 {
        decoded = STANDARD.decode(body).map_err(|_| Denial::new(Code::InvalidRequest, NOT_BASE64))?;
        if decoded.len() > MAX_BODY_BYTES {
            return Err(Denial::new(Code::TooLarge, TOO_LARGE));
        }
        if decoded.is_empty() {
            return Ok(Wish::default());
        }
        decoded.as_slice()
    } else {
        body.as_bytes()
    };
    // serde reads a struct from a list too; a list is not an object.
    if bytes.iter().find(|b| !b.is_ascii_whitespace()) != Some(&b'{') {
        return Err(Denial::new(Code::InvalidRequest, MALFORMED));
    }
    let Members { target, landing } = serde_json::from_slice(bytes).map_err(|_| Denial::new(Code::InvalidRequest, MALFORMED))?;
    let not_a_name = |_| Denial::new(Code::InvalidRequest, NOT_A_NAME);
    Ok(Wish {
        target: target.map(TargetName::new).transpose().map_err(not_a_name)?,
        landing: landing.map(LandingName::new).transpose().map_err(not_a_name)?,
    })
}

/// Whether a `Content-Type` (RFC 9110, section 8.3) is JSON's, whatever its parameters.
fn is_json(content_type: &str) -> bool {
    let media_type = content_type.split(';').next().unwrap_or_default().trim();
    media_type.eq_ignore_ascii_case("application/json")
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn outcome(body: &str) -> Result<(Option<String>, Option<String>), (Code, Reason)> {
        read(body, false, &["application/json"])
    }

    fn read(body: &str, is_base64: bool, content_types: &[&str]) -> Result<(Option<String>, Option<String>), (Code, Reason)> {
        let content_types: Vec<String> = content_types.iter().map(|&t| t.to_owned()).collect();
        wish(Some(body), is_base64, &content_types)
            .map(|wish| (wish.target.map(|t| t.to_string()), wish.landing.map(|l| l.to_string())))
            .map_err(|denial| (denial.code, denial.reason))
    }

    #[test]
    fn members_are_read() {
        assert_eq!(wish(None, false, &[]), Ok(Wish::default()));
        assert_eq!(outcome(""), Ok((None, None)));
        assert_eq!(outcome("{}"), Ok((None, None)));
        assert_eq!(outcome(r#" {"target":"a","landing":"b"} "#), Ok((Some("a".into()), Some("b".into()))));
        assert_eq!(outcome(r#"{"target":null}"#), Ok((None, None)));
        assert_eq!(read("eyJ0YXJnZXQiOiJhIn0=", true, &[]), Ok((Some("a".into()), None)));
    }

    #[test]
    fn anything_else_is_refused() {
        for body in [
            "null",
            "[]",
            r#"["a","b"]"#,
            "7",
            "{",
            r#"{"target":7}"#,
            r#"{"target":"a","target":"b"}"#,
            r#"{"Target":"a"}"#,
            r#"{"url":"x"}"#,
            "{} {}",
            " ",
        ] {
            assert_eq!(outcome(body), Err((Code::InvalidRequest, MALFORMED)), "{body}");
        }
        for body in [r#"{"target":""}"#, r#"{"target":"https://evil.example"}"#, r#"{"landing":"../x"}"#, r#"{"landing":"studio::"}"#] {
            assert_eq!(outcome(body), Err((Code::InvalidRequest, NOT_A_NAME)), "{body}");
        }
        assert_eq!(read("***", true, &[]), Err((Code::InvalidRequest, NOT_BASE64)));
    }

    #[test]
    fn the_size_is_that_of_the_decoded_body() {
        let exact = format!("{}{}", "{}", " ".repeat(MAX_BODY_BYTES - 2));
        assert_eq!(outcome(&exact), Ok((None, None)));
        assert_eq!(read(&STANDARD.encode(&exact), true, &[]), Ok((None, None)));
        let over = format!("{exact} ");
        assert_eq!(outcome(&over), Err((Code::TooLarge, TOO_LARGE)));
        assert_eq!(read(&STANDARD.encode(&over), true, &[]), Err((Code::TooLarge, TOO_LARGE)));
        assert_eq!(read(&"A".repeat(1 << 20), true, &[]), Err((Code::TooLarge, TOO_LARGE)));
    }

    #[test]
    fn only_json_is_read_and_only_when_there_is_a_body() {
        assert_eq!(read("{}", false, &[]), Ok((None, None)));
        assert_eq!(read("{}", false, &["Application/JSON; charset=utf-8"]), Ok((None, None)));
        for other in ["text/plain", "application/x-www-form-urlencoded", "application/jsonp", "application/json, text/plain", ""] {
            assert_eq!(read("{}", false, &[other]), Err((Code::UnsupportedMediaType, MEDIA_TYPE)), "{other}");
        }
        assert_eq!(read("", false, &["application/x-www-form-urlencoded"]), Ok((None, None)));
    }

    proptest! {
        #[test]
        fn no_body_makes_it_panic(body in "\\PC{0,200}", is_base64: bool) {
            let _ = wish(Some(&body), is_base64, &[]);
        }
    }
}
