//! A token that has been read and not believed.
//!
//! Reading comes before verifying, because the token itself says which issuer and which key it wants to be verified with.
//! What it says there is used to look up, in configuration, and for nothing else: the type has no accessor for a claim but
//! `iss`, and [`crate::claims::VerifiedClaims`] can only be made from a token whose signature has been verified.

use std::fmt;

use latchkey_domain::token::MAX_TOKEN_BYTES;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::json::{self, Object, Value};
use crate::refusal::TokenRefusal;

/// The most characters that a `kid` may have, in a token as in a key set.
pub const MAX_KEY_ID_CHARS: usize = 255;

/// A JWS in compact serialisation (RFC 7515, section 7.1) whose parts have been read. Nothing about it has been proven.
pub struct UnverifiedToken<'t> {
    signing_input: &'t str,
    signature: &'t str,
    header: Header,
    claims: Object,
}

/// The members of a header that are used.
#[derive(Clone, PartialEq, Eq)]
pub struct Header {
    /// `alg`; none where it is missing or not one of [`Algorithm::ALL`], so that it can match no allowed algorithm.
    pub algorithm: Option<Algorithm>,
    /// `kid`, as it was written.
    pub key_id: Option<String>,
    /// `typ`, as it was written.
    pub token_type: Option<String>,
}

impl<'t> UnverifiedToken<'t> {
    /// Reads a token.
    ///
    /// Its size and shape are checked before anything is decoded; each part must be canonical base64url; header and claims
    /// must be JSON objects that name no member twice, at any depth.
    ///
    /// Refused outright are headers with `crit` or `b64` (whatever their value: no extension is understood), `zip`,
    /// `cty: JWT`, and `jwk`, `jku`, `x5c` or `x5u`. The last four could also be ignored, as keys come from configuration
    /// alone. They are refused because no issuer needs them here, and a token that carries one is either an attack or made
    /// for a verifier that trusts more than this one.
    ///
    /// # Errors
    /// The first check that it fails.
    pub fn parse(token: &'t str) -> Result<Self, TokenRefusal> {
        if token.len() > MAX_TOKEN_BYTES {
            return Err(TokenRefusal::TooLarge);
        }
        let (signing_input, signature) = token.rsplit_once('.').ok_or(TokenRefusal::Malformed)?;
        let (header, claims) = signing_input.split_once('.').ok_or(TokenRefusal::Malformed)?;
        // An empty signature is how an unsecured token (RFC 7519, section 6) is written. A further dot, as in the five parts
        // of an encrypted token, is not in the alphabet.
        if signature.is_empty() || !base64url::is_canonical(signature) {
            return Err(TokenRefusal::Malformed);
        }
        let header = decode_part(header)?;
        let claims = decode_part(claims)?;
        let header = Header::read(&header)?;
        let claims = json::parse_object(&claims).map_err(|_| TokenRefusal::Claims)?;
        Ok(Self { signing_input, signature, header, claims })
    }

    /// The header.
    pub const fn header(&self) -> &Header {
        &self.header
    }

    /// The issuer that it claims to be from, where `iss` is a string.
    pub fn claimed_issuer(&self) -> Option<&str> {
        self.claims.get("iss").and_then(Value::as_text)
    }

    /// What was signed: header and claims as they were sent.
    pub(crate) const fn signing_input(&self) -> &'t str {
        self.signing_input
    }

    /// The signature, still in base64url.
    pub(crate) const fn signature(&self) -> &'t str {
        self.signature
    }

    /// The claims, for [`crate::signature`] alone.
    pub(crate) fn into_claims(self) -> Object {
        self.claims
    }
}

// A token is a secret, and its claims are personal data.
impl fmt::Debug for UnverifiedToken<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("UnverifiedToken(redacted)")
    }
}

impl fmt::Debug for Header {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Header(redacted)")
    }
}

fn decode_part(part: &str) -> Result<Vec<u8>, TokenRefusal> {
    if part.is_empty() {
        return Err(TokenRefusal::Malformed);
    }
    base64url::decode(part).ok_or(TokenRefusal::Malformed)
}

impl Header {
    /// Reads a decoded header (RFC 7515, section 4).
    ///
    /// # Errors
    /// It is not an object that names no member twice, has a member that is refused, or one of the wrong type.
    pub fn read(json: &[u8]) -> Result<Self, TokenRefusal> {
        let members = json::parse_object(json).map_err(|_| TokenRefusal::Header)?;
        let mut header = Self { algorithm: None, key_id: None, token_type: None };
        for (name, value) in members.iter() {
            match name {
                "crit" | "b64" => return Err(TokenRefusal::Critical),
                "jwk" | "jku" | "x5c" | "x5u" => return Err(TokenRefusal::EmbeddedKey),
                "zip" => return Err(TokenRefusal::Compressed),
                "cty" if normal_media_type(text(value)?).eq_ignore_ascii_case("JWT") => return Err(TokenRefusal::Nested),
                "alg" => header.algorithm = Algorithm::from_name(text(value)?),
                "kid" => header.key_id = Some(text(value)?.to_owned()),
                "typ" => header.token_type = Some(text(value)?.to_owned()),
                // What is not understood is ignored (RFC 7515, section 4): `x5t`, `nonce` and whatever an issuer adds.
                _ => {}
            }
        }
        Ok(header)
    }

    /// Whether `typ` is one of `accepted`, which are in the form of [`normal_media_type`] and lower case; an empty one among
    /// them stands for a header without `typ`.
    pub(crate) fn has_type(&self, accepted: &[String]) -> bool {
        match &self.token_type {
            None => accepted.iter().any(String::is_empty),
            Some(given) => {
                let given = normal_media_type(given);
                // A `typ` that is there and empty is not one that is absent.
                !given.is_empty() && accepted.iter().any(|a| a.eq_ignore_ascii_case(given))
            }
        }
    }
}

fn text(value: &Value) -> Result<&str, TokenRefusal> {
    value.as_text().ok_or(TokenRefusal::Header)
}

/// A media type without the prefix `application/`, which may be left out (RFC 7515, section 4.1.9). Case is not significant.
pub(crate) fn normal_media_type(media_type: &str) -> &str {
    const PREFIX: &str = "application/";
    match media_type.get(..PREFIX.len()) {
        Some(prefix) if prefix.eq_ignore_ascii_case(PREFIX) => &media_type[PREFIX.len()..],
        _ => media_type,
    }
}

/// Whether `kid` can name a key: 1 to [`MAX_KEY_ID_CHARS`] characters.
pub(crate) fn is_key_id(kid: &str) -> bool {
    // The bytes first: counting the characters of a long text is work that its sender would choose.
    !kid.is_empty() && kid.len() <= 4 * MAX_KEY_ID_CHARS && kid.chars().count() <= MAX_KEY_ID_CHARS
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn only_the_issuer_is_told_before_the_signature_is_verified() {
        let part = |json: &str| crate::testing::b64(json);
        let text = format!("{}.{}.AAAA", part(r#"{"alg":"RS256","kid":"k","typ":"JWT"}"#), part(r#"{"iss":"i","sub":"s"}"#));
        let token = UnverifiedToken::parse(&text).unwrap();
        assert_eq!(token.claimed_issuer(), Some("i"));
        assert_eq!(token.header().algorithm, Some(Algorithm::RS256));
        assert_eq!(token.header().key_id.as_deref(), Some("k"));
        assert_eq!(token.header().token_type.as_deref(), Some("JWT"));
        assert_eq!(token.signing_input(), text.strip_suffix(".AAAA").unwrap());
        assert_eq!(token.signature(), "AAAA");
    }

    #[test]
    fn the_largest_token_is_still_read() {
        let header = crate::testing::b64(r#"{"alg":"RS256"}"#);
        let claims = crate::testing::b64("{}");
        let token = |n: usize| format!("{header}.{claims}.{}", "A".repeat(n - header.len() - claims.len() - 2));
        // A length that base64 has, at or just below the bound.
        let sizes: Vec<_> = (MAX_TOKEN_BYTES - 3..=MAX_TOKEN_BYTES).map(|n| UnverifiedToken::parse(&token(n)).err()).collect();
        assert!(sizes.iter().all(|error| matches!(error, None | Some(TokenRefusal::Malformed))), "{sizes:?}");
        assert_ne!(UnverifiedToken::parse(&token(MAX_TOKEN_BYTES)).err(), Some(TokenRefusal::TooLarge));
        assert_eq!(UnverifiedToken::parse(&token(MAX_TOKEN_BYTES + 1)).err(), Some(TokenRefusal::TooLarge));
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused(
            text in "[\\x00-\\x7f]{0,60}|[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}\\.[A-Za-z0-9_-]{0,40}|\\PC{0,40}",
        ) {
            let _ = UnverifiedToken::parse(&text);
        }

        #[test]
        fn any_header_is_read_or_refused(json in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = Header::read(&json);
        }

        #[test]
        fn a_header_that_is_read_can_be_written_and_read_again(
            kid in "\\PC{0,20}",
            typ in proptest::option::of("\\PC{0,20}"),
            n in 0..5_usize,
        ) {
            let text = |text: &str| serde_json::to_string(text).unwrap();
            let write = |header: &Header| {
                let mut members = Vec::new();
                members.extend(header.algorithm.map(|alg| format!("\"alg\":{}", text(alg.as_str()))));
                members.extend(header.key_id.as_deref().map(|kid| format!("\"kid\":{}", text(kid))));
                members.extend(header.token_type.as_deref().map(|typ| format!("\"typ\":{}", text(typ))));
                format!("{{{}}}", members.join(","))
            };
            let header = Header { algorithm: Some(Algorithm::ALL[n]), key_id: Some(kid), token_type: typ };
            let read = Header::read(write(&header).as_bytes());
            prop_assert!(read.as_ref() == Ok(&header));
            prop_assert_eq!(read.map(|read| write(&read)), Ok(write(&header)));
        }
    }
}
