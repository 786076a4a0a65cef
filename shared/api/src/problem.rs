//! Refusals as callers see them: RFC 9457 problem details that tell a stranger nothing.

use latchkey_domain::decision::{Code, Denial};

use crate::bearer;
use crate::response::ProxyResponse;
use crate::route::Route;

/// The media type of a problem document (RFC 9457, section 3).
pub const MEDIA_TYPE: &str = "application/problem+json";

/// The HTTP status of a code.
pub const fn status(code: Code) -> u16 {
    match code {
        Code::InvalidRequest => 400,
        Code::InvalidToken => 401,
        Code::NotEntitled | Code::NotPrivate | Code::TargetNotCompliant => 403,
        Code::NotFound => 404,
        Code::MethodNotAllowed => 405,
        Code::TargetNotReady => 409,
        Code::TooLarge => 413,
        Code::UnsupportedMediaType => 415,
        Code::RateLimited => 429,
        Code::Internal => 500,
        Code::Unavailable => 503,
    }
}

/// The title of a code: the same for every occurrence (RFC 9457, section 3.1.3).
pub const fn title(code: Code) -> &'static str {
    match code {
        Code::InvalidRequest => "The request cannot be read",
        Code::InvalidToken => "A valid bearer token is needed",
        Code::NotEntitled => "You may not open this target",
        Code::NotPrivate => "This service answers inside the private network only",
        Code::TargetNotCompliant => "The target does not meet this organisation's rules",
        Code::NotFound => "There is nothing at this path",
        Code::MethodNotAllowed => "This path has another method",
        Code::TooLarge => "The request body is too large",
        Code::UnsupportedMediaType => "The request body is not JSON",
        Code::TargetNotReady => "The target cannot be opened now",
        Code::RateLimited => "Too many URLs in too little time",
        Code::Unavailable => "The service cannot answer now",
        Code::Internal => "The service has failed",
    }
}

#[derive(serde::Serialize)]
struct Problem<'a> {
    r#type: &'a str,
    title: &'static str,
    status: u16,
    code: &'static str,
    request_id: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    state: Option<&'a str>,
}

/// The answer to a refused request. `route` is the operation at the path, where there is one.
///
/// `WWW-Authenticate` follows RFC 6750, section 3; `Allow` and `Retry-After` RFC 9110, sections 10.2.1 and 10.2.3.
pub fn answer(denial: &Denial, route: Option<Route>, request_id: &str) -> ProxyResponse {
    let code = denial.code;
    let status = status(code);
    let problem = Problem {
        r#type: &format!("urn:problem-type:latchkey:{code}"),
        title: title(code),
        status,
        code: code.as_str(),
        request_id,
        state: denial.state.as_deref(),
    };
    let mut response = ProxyResponse::json(status, MEDIA_TYPE, &problem, request_id);
    if code == Code::InvalidToken {
        let challenge = if bearer::no_credentials(denial.reason) { "Bearer" } else { "Bearer error=\"invalid_token\"" };
        response.set_header("WWW-Authenticate", challenge.to_owned());
    }
    if let (Code::MethodNotAllowed, Some(route)) = (code, route) {
        response.set_header("Allow", route.method().to_owned());
    }
    if let Some(seconds) = denial.retry_after_seconds {
        response.set_header("Retry-After", seconds.to_string());
    }
    response
}
