//! The proxy response.

use std::collections::BTreeMap;
use std::fmt;

use latchkey_domain::broker::Minted;
use latchkey_domain::entitlement::TargetView;
use serde::Serialize;

/// A proxy response (API Gateway Developer Guide, "Output format of a Lambda function for proxy integration").
///
/// It may hold a presigned URL, so its `Debug` shows the status only.
#[derive(Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ProxyResponse {
    status_code: u16,
    headers: BTreeMap<&'static str, String>,
    body: String,
    is_base64_encoded: bool,
}

impl fmt::Debug for ProxyResponse {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProxyResponse").field("status_code", &self.status_code).finish_non_exhaustive()
    }
}

impl ProxyResponse {
    /// An answer without a body, with the headers that every answer has.
    pub fn empty(status: u16, request_id: &str) -> Self {
        let headers = BTreeMap::from([
            // An answer may hold a URL that lets its holder in: nothing on the way may keep it.
            ("Cache-Control", "no-store".to_owned()),
            ("Referrer-Policy", "no-referrer".to_owned()),
            ("X-Content-Type-Options", "nosniff".to_owned()),
            ("X-Request-Id", request_id.to_owned()),
        ]);
        Self { status_code: status, headers, body: String::new(), is_base64_encoded: false }
    }

    /// An answer with a JSON body.
    pub fn json(status: u16, media_type: &str, body: &impl Serialize, request_id: &str) -> Self {
        let mut response = Self::empty(status, request_id);
        // The bodies are structs of strings and numbers, which always serialise. Should one not, the caller gets no body
        // rather than a wrong one.
        response.body = serde_json::to_string(body).unwrap_or_default();
        response.set_header("Content-Type", media_type.to_owned());
        response
    }

    /// Adds a header, or replaces it.
    pub fn set_header(&mut self, name: &'static str, value: String) {
        self.headers.insert(name, value);
    }

    /// The HTTP status.
    pub const fn status(&self) -> u16 {
        self.status_code
    }

    /// The headers, by name.
    pub const fn headers(&self) -> &BTreeMap<&'static str, String> {
        &self.headers
    }

    /// The body. It may hold a presigned URL.
    pub fn body(&self) -> &str {
        &self.body
    }
}

#[derive(Serialize)]
struct MintedBody<'a> {
    url: &'a str,
    expires_at: String,
    expires_in_seconds: u32,
    session_seconds: u32,
    target: &'a str,
    kind: &'a str,
    region: &'a str,
    request_id: &'a str,
}

/// The answer with a URL: the one place where a presigned URL leaves the broker.
///
/// `as_redirect` sends a browser there: 303 makes it a GET (RFC 9110, section 15.4.4).
pub fn minted(minted: &Minted, as_redirect: bool, request_id: &str) -> ProxyResponse {
    if as_redirect {
        let mut response = ProxyResponse::empty(303, request_id);
        response.set_header("Location", minted.issued.url.expose().to_owned());
        return response;
    }
    let body = MintedBody {
        url: minted.issued.url.expose(),
        expires_at: minted.expires_at.rfc3339(),
        expires_in_seconds: minted.issued.url_seconds,
        session_seconds: minted.issued.session_seconds,
        target: minted.target.as_str(),
        kind: minted.kind,
        region: &minted.region,
        request_id,
    };
    ProxyResponse::json(200, "application/json", &body, request_id)
}

#[derive(Serialize)]
struct TargetBody<'a> {
    name: &'a str,
    kind: &'a str,
    region: &'a str,
    landings: Vec<&'a str>,
    default: bool,
    enabled: bool,
}

#[derive(Serialize)]
struct TargetsBody<'a> {
    targets: Vec<TargetBody<'a>>,
    request_id: &'a str,
}

/// The answer with a caller's targets.
pub fn targets(targets: &[TargetView], request_id: &str) -> ProxyResponse {
    let targets = targets
        .iter()
        .map(|target| TargetBody {
            name: target.name.as_str(),
            kind: target.kind,
            region: target.region.as_str(),
            landings: target.landings.iter().map(|name| name.as_str()).collect(),
            default: target.default,
            enabled: target.enabled,
        })
        .collect();
    ProxyResponse::json(200, "application/json", &TargetsBody { targets, request_id }, request_id)
}

#[derive(Serialize)]
struct HealthBody {
    status: &'static str,
}

/// The answer of a living service. It says nothing of its configuration.
pub fn health(request_id: &str) -> ProxyResponse {
    ProxyResponse::json(200, "application/json", &HealthBody { status: "ok" }, request_id)
}

/// Whether the caller wants to be sent to the URL rather than told it: `Accept` (RFC 9110, section 12.5.1) names HTML and not
/// JSON. Types with a weight of zero are not wanted.
pub fn wants_redirect(accept: &[String]) -> bool {
    let wants = |media_type: &str| {
        accept.iter().flat_map(|value| value.split(',')).any(|range| {
            let mut parts = range.split(';').map(str::trim);
            parts.next().is_some_and(|named| named.eq_ignore_ascii_case(media_type)) && !parts.any(is_zero_weight)
        })
    };
    wants("text/html") && !wants("application/json")
}

fn is_zero_weight(parameter: &str) -> bool {
    let Some((name, weight)) = parameter.split_once('=') else { return false };
    name.trim().eq_ignore_ascii_case("q") && weight.trim().parse::<f32>().is_ok_and(|weight| weight == 0.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn html_and_not_json_wants_a_redirect() {
        let wants = |accept: &[&str]| wants_redirect(&accept.iter().map(|&a| a.to_owned()).collect::<Vec<_>>());
        assert!(wants(&["text/html"]));
        assert!(wants(&["text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8"]));
        assert!(wants(&["Text/HTML", "application/json; q=0.0"]));
        for accept in [&[][..], &["*/*"], &["application/json"], &["application/json, text/html"], &["text/html;q=0"], &["text/html-x"]] {
            assert!(!wants(accept), "{accept:?}");
        }
    }

    #[test]
    fn debug_shows_no_body_and_no_header() {
        let mut response = ProxyResponse::json(200, "application/json", &"canary", "id");
        response.set_header("Location", "canary".into());
        assert!(!format!("{response:?}").contains("canary"));
    }
}
