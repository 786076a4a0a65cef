//! The bearer token in the `Authorization` header (RFC 6750, section 2.1).

use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::token::BearerToken;

/// No `Authorization` header.
pub const MISSING: Reason = Reason("authorization.missing");
/// More than one `Authorization` value.
pub const SEVERAL: Reason = Reason("authorization.several");
/// Another scheme than `Bearer`.
pub const OTHER_SCHEME: Reason = Reason("authorization.other-scheme");
/// The scheme, and then nothing that could be a token.
pub const MALFORMED: Reason = Reason("authorization.malformed");

/// Every reason of this module.
pub const REASONS: &[Reason] = &[MISSING, SEVERAL, OTHER_SCHEME, MALFORMED];

/// Takes the one bearer token out of the values of `Authorization`.
///
/// # Errors
/// [`Code::InvalidToken`] without exactly one bearer token; [`Code::InvalidRequest`] for two values, because two parsers
/// between the portal and here could each believe another of them. A comma counts as two: it is how proxies join header
/// lines (RFC 9110, section 5.3), and no token holds one.
pub fn bearer_token(mut values: Vec<String>) -> Result<BearerToken, Denial> {
    let value = match (values.pop(), values.pop()) {
        (None, _) => return Err(Denial::new(Code::InvalidToken, MISSING)),
        (Some(value), None) => value,
        (Some(_), Some(_)) => return Err(Denial::new(Code::InvalidRequest, SEVERAL)),
    };
    if value.contains(',') {
        return Err(Denial::new(Code::InvalidRequest, SEVERAL));
    }
    let (scheme, token) = value.split_once(' ').unwrap_or((&value, ""));
    if !scheme.eq_ignore_ascii_case("bearer") {
        return Err(Denial::new(Code::InvalidToken, OTHER_SCHEME));
    }
    let token = token.trim_start_matches(' ');
    if token.is_empty() || !token.bytes().all(|b| b.is_ascii_alphanumeric() || b"-._~+/=".contains(&b)) {
        return Err(Denial::new(Code::InvalidToken, MALFORMED));
    }
    Ok(BearerToken::new(token.to_owned()))
}

/// Whether credentials were given at all: without any, RFC 6750 (section 3.1) wants a challenge without an error code.
pub fn no_credentials(reason: Reason) -> bool {
    reason == MISSING || reason == OTHER_SCHEME
}

#[cfg(test)]
mod tests {
    use super::*;

    fn outcome(values: &[&str]) -> Result<String, (Code, Reason)> {
        bearer_token(values.iter().map(|&v| v.to_owned()).collect())
            .map(|token| token.expose().to_owned())
            .map_err(|denial| (denial.code, denial.reason))
    }

    #[test]
    fn one_token_is_taken() {
        assert_eq!(outcome(&["Bearer a.b-c_d"]), Ok("a.b-c_d".into()));
        assert_eq!(outcome(&["bearer a"]), Ok("a".into()));
        assert_eq!(outcome(&["BEARER  a"]), Ok("a".into()));
    }

    #[test]
    fn anything_else_is_refused() {
        assert_eq!(outcome(&[]), Err((Code::InvalidToken, MISSING)));
        assert_eq!(outcome(&["Bearer a", "Bearer a"]), Err((Code::InvalidRequest, SEVERAL)));
        assert_eq!(outcome(&["Bearer a, Bearer b"]), Err((Code::InvalidRequest, SEVERAL)));
        assert_eq!(outcome(&["Basic dTpw"]), Err((Code::InvalidToken, OTHER_SCHEME)));
        assert_eq!(outcome(&["a.b.c"]), Err((Code::InvalidToken, OTHER_SCHEME)));
        assert_eq!(outcome(&[""]), Err((Code::InvalidToken, OTHER_SCHEME)));
        assert_eq!(outcome(&["Bearer"]), Err((Code::InvalidToken, MALFORMED)));
        assert_eq!(outcome(&["Bearer "]), Err((Code::InvalidToken, MALFORMED)));
        assert_eq!(outcome(&["Bearer a b"]), Err((Code::InvalidToken, MALFORMED)));
        assert_eq!(outcome(&["Bearer a "]), Err((Code::InvalidToken, MALFORMED)));
        assert_eq!(outcome(&["Bearer ä"]), Err((Code::InvalidToken, MALFORMED)));
        assert_eq!(outcome(&["Bearer\ta"]), Err((Code::InvalidToken, OTHER_SCHEME)));
    }
}
