//! AWS Signature Version 4, from the side that checks it.
//!
//! Written from the specification ("Create a signed AWS API request" in the IAM User Guide), not from a signer's source: a
//! check that shares its code with the signer would share its mistakes. Header-based authentication only, for services
//! that, unlike S3, normalise the path and encode it a second time.
//!
//! Stricter than AWS where a client would be wrong to rely on the difference: every `x-amz-*` header has to be signed, and
//! so has `content-type` where there is one.

use std::fmt;

use aws_lc_rs::{digest, hmac};
use http::HeaderMap;
use latchkey_domain::clock::Timestamp;

/// How far a request's `x-amz-date` may be from the checker's clock, in seconds, both ways.
pub const MAX_SKEW_SECONDS: i64 = 5 * 60;

const ALGORITHM: &str = "AWS4-HMAC-SHA256";
const TERMINATOR: &str = "aws4_request";

/// A request, as it stood on the wire.
#[derive(Clone, Copy)]
pub struct Request<'a> {
    /// The method.
    pub method: &'a str,
    /// The path, as sent.
    pub path: &'a str,
    /// What follows the `?`, as sent; empty without one.
    pub query: &'a str,
    /// The headers.
    pub headers: &'a HeaderMap,
    /// The whole body.
    pub body: &'a [u8],
}

impl fmt::Debug for Request<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Request").field("method", &self.method).field("path", &self.path).finish_non_exhaustive()
    }
}

/// Why a request is not taken as signed. Holds nothing of the request's secrets.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no `Authorization` header.
    #[error("Request is missing Authentication Token")]
    Missing,
    /// What is there is not the header, date or token of a signed request.
    #[error("{0}")]
    Incomplete(&'static str),
    /// The credential is scoped to something else.
    #[error("{0}")]
    WrongScope(String),
    /// Too old, or from the future.
    #[error("{0}")]
    Skewed(String),
    /// `x-amz-content-sha256` is not the hash of the body.
    #[error("The provided 'x-amz-content-sha256' header does not match what was computed.")]
    PayloadHash,
    /// The signature is not this request's under this secret.
    #[error(
        "The request signature we calculated does not match the signature you provided. \
         Check your AWS Secret Access Key and signing method."
    )]
    Mismatch,
}

/// What a request says about its own signature: claims, until [`Signed::verify`] has passed.
#[derive(Clone)]
pub struct Signed {
    access_key_id: String,
    /// `yyyymmdd`, as in the scope.
    date: String,
    region: String,
    service: String,
    /// Sorted, lower case.
    signed_headers: Vec<String>,
    signature: [u8; 32],
    /// `x-amz-date`, as sent.
    timestamp: String,
    signed_at: Timestamp,
    session_token: Option<String>,
}

impl fmt::Debug for Signed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Signed")
            .field("access_key_id", &self.access_key_id)
            .field("region", &self.region)
            .field("service", &self.service)
            .field("timestamp", &self.timestamp)
            .finish_non_exhaustive()
    }
}

impl Signed {
    /// Reads the `Authorization` header and what belongs to it.
    ///
    /// # Errors
    /// A header that is missing, there twice, or not exactly of the form that the specification gives.
    pub fn parse(headers: &HeaderMap) -> Result<Self, SignatureError> {
        use SignatureError::Incomplete;
        let authorization =
            single(headers, "authorization", "Authorization header requires a single value.")?.ok_or(SignatureError::Missing)?;
        let rest = authorization
            .strip_prefix(ALGORITHM)
            .and_then(|rest| rest.strip_prefix(' '))
            .ok_or(Incomplete("Authorization header requires the algorithm 'AWS4-HMAC-SHA256'."))?;
        let (mut credential, mut signed_headers, mut signature) = (None, None, None);
        for part in rest.split(',') {
            let (name, value) =
                part.trim_matches(' ').split_once('=').ok_or(Incomplete("Authorization header has a part that is no key=value pair."))?;
            let slot = match name {
                "Credential" => &mut credential,
                "SignedHeaders" => &mut signed_headers,
                "Signature" => &mut signature,
                _ => return Err(Incomplete("Authorization header has a part that is not known.")),
            };
            if slot.replace(value).is_some() {
                return Err(Incomplete("Authorization header has a part twice."));
            }
        }
        let credential = credential.ok_or(Incomplete("Authorization header requires 'Credential' parameter."))?;
        let signed_headers = signed_headers.ok_or(Incomplete("Authorization header requires 'SignedHeaders' parameter."))?;
        let signature = signature.ok_or(Incomplete("Authorization header requires 'Signature' parameter."))?;

        let scope: Vec<&str> = credential.split('/').collect();
        let [access_key_id, date, region, service, TERMINATOR] = scope.as_slice() else {
            return Err(Incomplete(
                "Credential must have exactly 5 slash-delimited elements, e.g. keyid/date/region/service/aws4_request.",
            ));
        };
        if access_key_id.is_empty() || access_key_id.len() > 128 || !access_key_id.bytes().all(|b| b.is_ascii_alphanumeric()) {
            return Err(Incomplete("Credential must have an access key id."));
        }

        let timestamp = single(headers, "x-amz-date", "Authorization header requires a single 'X-Amz-Date' header.")?
            .ok_or(Incomplete("Authorization header requires existence of either a 'X-Amz-Date' or a 'Date' header."))?;
        let signed_at = parse_timestamp(timestamp).ok_or(Incomplete("Date must be in ISO-8601 'basic format'."))?;
        if timestamp.get(..8) != Some(*date) {
            return Err(SignatureError::WrongScope(
                "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP.".to_owned(),
            ));
        }

        let signed_headers: Vec<String> = signed_headers.split(';').map(str::to_owned).collect();
        let in_order = signed_headers.windows(2).all(|pair| matches!(pair, [a, b] if a < b));
        let lower = |name: &String| !name.is_empty() && !name.bytes().any(|b| b.is_ascii_uppercase() || !b.is_ascii_graphic());
        if !in_order || !signed_headers.iter().all(lower) {
            return Err(Incomplete("'SignedHeaders' must be lower case, sorted, each once."));
        }
        if signed_headers.iter().any(|name| !headers.contains_key(name.as_str())) {
            return Err(Incomplete("'SignedHeaders' names a header that is not there."));
        }
        if !signed_headers.iter().any(|name| name == "host") {
            return Err(Incomplete("'Host' must be a 'SignedHeader' in the AWS Authorization."));
        }
        let must_be_signed = |name: &str| name.starts_with("x-amz-") || name == "content-type";
        if headers.keys().any(|name| must_be_signed(name.as_str()) && !signed_headers.iter().any(|signed| signed == name.as_str())) {
            return Err(Incomplete("Every 'x-amz-*' header, and 'Content-Type', must be a 'SignedHeader' in the AWS Authorization."));
        }

        Ok(Self {
            access_key_id: (*access_key_id).to_owned(),
            date: (*date).to_owned(),
            region: (*region).to_owned(),
            service: (*service).to_owned(),
            signed_headers,
            signature: parse_signature(signature).ok_or(Incomplete("'Signature' must be 64 of 0-9 and a-f."))?,
            timestamp: timestamp.to_owned(),
            signed_at,
            session_token: single(headers, "x-amz-security-token", "There must be one 'X-Amz-Security-Token' at most.")?.map(str::to_owned),
        })
    }

    /// The key that the request says it is signed with.
    pub fn access_key_id(&self) -> &str {
        &self.access_key_id
    }

    /// The region in the credential's scope.
    pub fn region(&self) -> &str {
        &self.region
    }

    /// The service in the credential's scope.
    pub fn service(&self) -> &str {
        &self.service
    }

    /// The session token that came along: a secret.
    pub fn session_token(&self) -> Option<&str> {
        self.session_token.as_deref()
    }

    /// Checks the request against the secret of its access key, as of `now`.
    ///
    /// # Errors
    /// A date too far from `now`, a payload hash that is not the body's, a signature that is not this request's.
    pub fn verify(&self, request: &Request<'_>, secret_access_key: &str, now: Timestamp) -> Result<(), SignatureError> {
        let age = now.unix_seconds() - self.signed_at.unix_seconds();
        if age > MAX_SKEW_SECONDS {
            return Err(SignatureError::Skewed(format!(
                "Signature expired: {} is {age} seconds old, more than 5 minutes.",
                self.timestamp
            )));
        }
        if age < -MAX_SKEW_SECONDS {
            return Err(SignatureError::Skewed(format!(
                "Signature not yet current: {} is {} seconds ahead, more than 5 minutes.",
                self.timestamp, -age
            )));
        }
        let payload_hash = hex(digest::digest(&digest::SHA256, request.body).as_ref());
        let declared = single(request.headers, "x-amz-content-sha256", "There must be one 'X-Amz-Content-Sha256' at most.")?;
        if declared.is_some_and(|declared| declared != payload_hash) {
            return Err(SignatureError::PayloadHash);
        }
        let canonical = canonical_request(request, &self.signed_headers, &payload_hash)?;
        let to_sign = string_to_sign(&self.timestamp, &self.date, &self.region, &self.service, &canonical);
        let key = signing_key(secret_access_key, &self.date, &self.region, &self.service);
        // Compares in constant time.
        hmac::verify(&hmac::Key::new(hmac::HMAC_SHA256, &key), to_sign.as_bytes(), &self.signature).map_err(|_| SignatureError::Mismatch)
    }
}

/// The one value of a header. Two values, or one that is not ASCII text, are an error with the given words.
fn single<'a>(headers: &'a HeaderMap, name: &str, otherwise: &'static str) -> Result<Option<&'a str>, SignatureError> {
    let mut values = headers.get_all(name).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| SignatureError::Incomplete(otherwise)),
        (Some(_), Some(_)) => Err(SignatureError::Incomplete(otherwise)),
    }
}

fn canonical_request(request: &Request<'_>, signed_headers: &[String], payload_hash: &str) -> Result<Vec<u8>, SignatureError> {
    let mut canonical = Vec::with_capacity(512);
    for line in [request.method, &canonical_path(request.path), &canonical_query(request.query)?] {
        canonical.extend_from_slice(line.as_bytes());
        canonical.push(b'\n');
    }
    for name in signed_headers {
        canonical.extend_from_slice(name.as_bytes());
        canonical.push(b':');
        for (index, value) in request.headers.get_all(name.as_str()).iter().enumerate() {
            if index > 0 {
                canonical.push(b',');
            }
            push_collapsed(&mut canonical, value.as_bytes());
        }
        canonical.push(b'\n');
    }
    canonical.push(b'\n');
    canonical.extend_from_slice(signed_headers.join(";").as_bytes());
    canonical.push(b'\n');
    canonical.extend_from_slice(payload_hash.as_bytes());
    Ok(canonical)
}

/// A header's value without spaces at its ends, and with one for every run of them within.
fn push_collapsed(out: &mut Vec<u8>, value: &[u8]) {
    let mut words = value.split(|b| matches!(b, b' ' | b'\t')).filter(|word| !word.is_empty());
    if let Some(first) = words.next() {
        out.extend_from_slice(first);
    }
    for word in words {
        out.push(b' ');
        out.extend_from_slice(word);
    }
}

/// The path, normalised by RFC 3986 with empty segments left out, and then encoded as it stands: what came encoded is
/// encoded twice.
fn canonical_path(path: &str) -> String {
    let mut segments: Vec<&str> = Vec::new();
    for segment in path.split('/') {
        match segment {
            "" | "." => {}
            ".." => {
                segments.pop();
            }
            _ => segments.push(segment),
        }
    }
    let mut canonical = String::from("/");
    for (index, segment) in segments.iter().enumerate() {
        if index > 0 {
            canonical.push('/');
        }
        push_encoded(&mut canonical, segment.as_bytes());
    }
    let ends_in_directory = path.ends_with('/') || path.ends_with("/.") || path.ends_with("/..");
    if ends_in_directory && !segments.is_empty() {
        canonical.push('/');
    }
    canonical
}

fn canonical_query(query: &str) -> Result<String, SignatureError> {
    let mut pairs = Vec::new();
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let encode = |text: &str| {
            let mut encoded = String::with_capacity(text.len());
            push_encoded(&mut encoded, &percent_decoded(text)?);
            Some(encoded)
        };
        let encoded = encode(name).zip(encode(value)).ok_or(SignatureError::Incomplete("The query string is not percent-encoded."))?;
        pairs.push(encoded);
    }
    pairs.sort();
    Ok(pairs.into_iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join("&"))
}

/// Percent-encodes everything but the unreserved characters of RFC 3986: what AWS signs, and what can stand in any query or form.
pub fn push_encoded(out: &mut String, bytes: &[u8]) {
    const HEX: [char; 16] = ['0', '1', '2', '3', '4', '5', '6', '7', '8', '9', 'A', 'B', 'C', 'D', 'E', 'F'];
    for &b in bytes {
        if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~') {
            out.push(char::from(b));
        } else {
            out.push('%');
            out.push(HEX[usize::from(b >> 4)]);
            out.push(HEX[usize::from(b & 15)]);
        }
    }
}

pub(crate) fn percent_decoded(text: &str) -> Option<Vec<u8>> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(b) = bytes.next() {
        if b == b'%' {
            decoded.push(nibble(bytes.next()?)? << 4 | nibble(bytes.next()?)?);
        } else {
            decoded.push(b);
        }
    }
    Some(decoded)
}

fn nibble(b: u8) -> Option<u8> {
    match b {
        b'0'..=b'9' => Some(b - b'0'),
        b'a'..=b'f' => Some(b - b'a' + 10),
        b'A'..=b'F' => Some(b - b'A' + 10),
        _ => None,
    }
}

fn string_to_sign(timestamp: &str, date: &str, region: &str, service: &str, canonical_request: &[u8]) -> String {
    let hash = hex(digest::digest(&digest::SHA256, canonical_request).as_ref());
    format!("{ALGORITHM}\n{timestamp}\n{date}/{region}/{service}/{TERMINATOR}\n{hash}")
}

fn signing_key(secret_access_key: &str, date: &str, region: &str, service: &str) -> [u8; 32] {
    let mut key = hmac_sha256(format!("AWS4{secret_access_key}").as_bytes(), date);
    for part in [region, service, TERMINATOR] {
        key = hmac_sha256(&key, part);
    }
    key
}

fn hmac_sha256(key: &[u8], data: &str) -> [u8; 32] {
    let mut out = [0; 32];
    // The tag of HMAC-SHA256 has exactly 32 bytes.
    out.copy_from_slice(hmac::sign(&hmac::Key::new(hmac::HMAC_SHA256, key), data.as_bytes()).as_ref());
    out
}

pub(crate) fn hex(bytes: &[u8]) -> String {
    use fmt::Write as _;
    bytes.iter().fold(String::with_capacity(bytes.len() * 2), |mut hex, byte| {
        // Writing to a String cannot fail.
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

fn parse_signature(text: &str) -> Option<[u8; 32]> {
    if text.len() != 64 || text.bytes().any(|b| b.is_ascii_uppercase()) {
        return None;
    }
    percent_free_hex(text)?.try_into().ok()
}

fn percent_free_hex(text: &str) -> Option<Vec<u8>> {
    text.as_bytes().chunks(2).map(|pair| Some(nibble(*pair.first()?)? << 4 | nibble(*pair.get(1)?)?)).collect()
}

/// `yyyymmddThhmmssZ`.
fn parse_timestamp(text: &str) -> Option<Timestamp> {
    let bytes = text.as_bytes();
    if bytes.len() != 16 || bytes.get(8) != Some(&b'T') || bytes.get(15) != Some(&b'Z') {
        return None;
    }
    let number = |range: std::ops::Range<usize>| {
        let digits = text.get(range)?;
        if digits.bytes().all(|b| b.is_ascii_digit()) { digits.parse::<i64>().ok() } else { None }
    };
    let (year, month, day) = (number(0..4)?, number(4..6)?, number(6..8)?);
    let (hour, minute, second) = (number(9..11)?, number(11..13)?, number(13..15)?);
    let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
    let days_in_month = match month {
        4 | 6 | 9 | 11 => 30,
        2 if leap => 29,
        2 => 28,
        1..=12 => 31,
        _ => return None,
    };
    if !(1..=days_in_month).contains(&day) || hour > 23 || minute > 59 || second > 60 {
        return None;
    }
    // Days since 1970-01-01 in the proleptic Gregorian calendar, with years that begin in March so that the leap day ends one.
    let (shifted_year, shifted_month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let day_of_year = (153 * shifted_month + 2) / 5 + day - 1;
    let days = 365 * shifted_year + shifted_year.div_euclid(4) - shifted_year.div_euclid(100) + shifted_year.div_euclid(400) + day_of_year
        - 719_468;
    Some(Timestamp::from_unix_seconds(days * 86_400 + hour * 3600 + minute * 60 + second))
}

/// A signer for this crate's own tests, on the checker's own functions: the published vectors show that those are right.
#[cfg(test)]
pub(crate) mod signer {
    use super::*;

    /// Who signs, for what, and when.
    pub(crate) struct Signer<'a> {
        pub(crate) access_key_id: &'a str,
        pub(crate) secret_access_key: &'a str,
        pub(crate) session_token: Option<&'a str>,
        pub(crate) region: &'a str,
        pub(crate) service: &'a str,
        pub(crate) now: Timestamp,
    }

    impl Signer<'_> {
        /// Adds `x-amz-date`, the token and `Authorization` over all headers that are there.
        pub(crate) fn sign(&self, method: &str, path: &str, query: &str, headers: &mut HeaderMap, body: &[u8]) {
            let text = self.now.rfc3339();
            let timestamp: String = text.chars().take(19).filter(|c| !matches!(c, '-' | ':')).chain(['Z']).collect();
            headers.insert("x-amz-date", timestamp.parse().unwrap());
            if let Some(token) = self.session_token {
                headers.insert("x-amz-security-token", token.parse().unwrap());
            }
            let mut signed: Vec<String> = headers.keys().map(|name| name.as_str().to_owned()).collect();
            signed.sort();
            let request = Request { method, path, query, headers, body };
            let canonical = canonical_request(&request, &signed, &hex(digest::digest(&digest::SHA256, body).as_ref())).unwrap();
            let date = &timestamp[..8];
            let key = signing_key(self.secret_access_key, date, self.region, self.service);
            let signature = hex(hmac::sign(
                &hmac::Key::new(hmac::HMAC_SHA256, &key),
                string_to_sign(&timestamp, date, self.region, self.service, &canonical).as_bytes(),
            )
            .as_ref());
            let authorization = format!(
                "{ALGORITHM} Credential={}/{date}/{}/{}/{TERMINATOR}, SignedHeaders={}, Signature={signature}",
                self.access_key_id,
                self.region,
                self.service,
                signed.join(";"),
            );
            headers.insert("authorization", authorization.parse().unwrap());
        }
    }
}

#[cfg(test)]
mod tests {
    use http::{HeaderName, HeaderValue};
    use proptest::prelude::*;

    use super::signer::Signer;
    use super::*;

    // Credentials, scope and date of the published test suite.
    const SECRET: &str = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY";
    /// 2015-08-30T12:36:00Z.
    const NOW: Timestamp = Timestamp::from_unix_seconds(1_440_938_160);
    const FORM_HASH: &str = "9095672bbd1f56dfc5b65f3e153adc8731a4a654192329106275f4c7b24d0b6e";

    struct Vector {
        name: &'static str,
        request: (&'static str, &'static str, &'static str),
        headers: &'static [(&'static str, &'static str)],
        body: &'static str,
        signature: &'static str,
    }

    const VECTORS: &[Vector] = &[
        Vector {
            name: "get-vanilla",
            request: ("GET", "/", ""),
            headers: &[],
            body: "",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Vector {
            name: "get-relative-relative-normalized",
            request: ("GET", "/example1/example2/../..", ""),
            headers: &[],
            body: "",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Vector {
            name: "get-slash-dot-slash-normalized",
            request: ("GET", "/./", ""),
            headers: &[],
            body: "",
            signature: "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31",
        },
        Vector {
            name: "get-slashes-normalized",
            request: ("GET", "//example//", ""),
            headers: &[],
            body: "",
            signature: "9a624bd73a37c9a373b5312afbebe7a714a789de108f0bdfe846570885f57e84",
        },
        Vector {
            name: "get-utf8",
            request: ("GET", "/\u{1234}", ""),
            headers: &[],
            body: "",
            signature: "8318018e0b0f223aa2bbf98705b62bb787dc9c0e678f255a891fd03141be5d85",
        },
        Vector {
            name: "get-unreserved",
            request: ("GET", "/-._~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz", ""),
            headers: &[],
            body: "",
            signature: "07ef7494c76fa4850883e2b006601f940f8a34d404d0cfa977f52a65bbf5f24f",
        },
        Vector {
            name: "get-vanilla-query-order-key-case",
            request: ("GET", "/", "Param2=value2&Param1=value1"),
            headers: &[],
            body: "",
            signature: "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500",
        },
        Vector {
            name: "get-vanilla-query-order-encoded",
            request: ("GET", "/", "Param-3=Value3&Param=Value2&%E1%88%B4=Value1"),
            headers: &[],
            body: "",
            signature: "371d3713e185cc334048618a97f809c9ffe339c62934c032af5a0e595648fcac",
        },
        Vector {
            name: "get-vanilla-utf8-query",
            request: ("GET", "/", "\u{1234}=bar"),
            headers: &[],
            body: "",
            signature: "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04",
        },
        Vector {
            name: "get-header-key-duplicate",
            request: ("GET", "/", ""),
            headers: &[("my-header1", "value2"), ("my-header1", "value2"), ("my-header1", "value1")],
            body: "",
            signature: "c9d5ea9f3f72853aea855b47ea873832890dbdd183b4468f858259531a5138ea",
        },
        Vector {
            name: "get-header-value-order",
            request: ("GET", "/", ""),
            headers: &[("my-header1", "value4"), ("my-header1", "value1"), ("my-header1", "value3"), ("my-header1", "value2")],
            body: "",
            signature: "08c7e5a9acfcfeb3ab6b2185e75ce8b1deb5e634ec47601a50643f830c755c01",
        },
        Vector {
            name: "get-header-value-trim",
            request: ("GET", "/", ""),
            headers: &[("my-header1", " value1"), ("my-header2", " \"a   b   c\" ")],
            body: "",
            signature: "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736",
        },
        Vector {
            name: "get-vanilla-with-session-token",
            request: ("GET", "/", ""),
            headers: &[("x-amz-security-token", "6e86291e8372ff2a2260956d9b8aae1d763fbf315fa00fa31553b73ebf194267")],
            body: "",
            signature: "07ec1639c89043aa0e3e2de82b96708f198cceab042d4a97044c66dd9f74e7f8",
        },
        Vector {
            name: "post-vanilla",
            request: ("POST", "/", ""),
            headers: &[],
            body: "",
            signature: "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b",
        },
        Vector {
            name: "post-vanilla-empty-query-value",
            request: ("POST", "/", "Param1=value1"),
            headers: &[],
            body: "",
            signature: "28038455d6de14eafc1f9222cf5aa6f1a96197d7deb8263271d420d138af7f11",
        },
        Vector {
            name: "post-header-value-case",
            request: ("POST", "/", ""),
            headers: &[("my-header1", "VALUE1")],
            body: "",
            signature: "cdbc9802e29d2942e5e10b5bccfdd67c5f22c7c4e8ae67b53629efa58b974b7d",
        },
        Vector {
            name: "post-x-www-form-urlencoded",
            request: ("POST", "/", ""),
            headers: &[
                ("content-type", "application/x-www-form-urlencoded"),
                ("content-length", "13"),
                ("x-amz-content-sha256", FORM_HASH),
            ],
            body: "Param1=value1",
            signature: "d3875051da38690788ef43de4db0d8f280229d82040bfac253562e56c3f20e0b",
        },
        Vector {
            name: "post-x-www-form-urlencoded-parameters",
            request: ("POST", "/", ""),
            headers: &[
                ("content-type", "application/x-www-form-urlencoded; charset=utf-8"),
                ("content-length", "13"),
                ("x-amz-content-sha256", FORM_HASH),
            ],
            body: "Param1=value1",
            signature: "328d1b9eaadca9f5818ef05e8392801e091653bafec24fcab71e7344e7f51422",
        },
    ];

    fn headers_of(vector: &Vector) -> HeaderMap {
        let mut headers = HeaderMap::new();
        headers.insert("host", HeaderValue::from_static("example.amazonaws.com"));
        headers.insert("x-amz-date", HeaderValue::from_static("20150830T123600Z"));
        for (name, value) in vector.headers {
            headers.append(HeaderName::from_static(name), HeaderValue::from_static(value));
        }
        let mut signed: Vec<&str> = headers.keys().map(HeaderName::as_str).collect();
        signed.sort_unstable();
        let authorization = format!(
            "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20150830/us-east-1/service/aws4_request, SignedHeaders={}, Signature={}",
            signed.join(";"),
            vector.signature
        );
        headers.insert("authorization", authorization.parse().unwrap());
        headers
    }

    #[test]
    fn the_published_vectors_verify() {
        for vector in VECTORS {
            let headers = headers_of(vector);
            let (method, path, query) = vector.request;
            let request = Request { method, path, query, headers: &headers, body: vector.body.as_bytes() };
            let signed = Signed::parse(&headers).unwrap();
            assert_eq!((signed.access_key_id(), signed.region(), signed.service()), ("AKIDEXAMPLE", "us-east-1", "service"));
            assert_eq!(signed.verify(&request, SECRET, NOW), Ok(()), "{}", vector.name);
            assert_eq!(signed.verify(&request, "another", NOW), Err(SignatureError::Mismatch), "{}", vector.name);
        }
    }

    #[test]
    fn an_encoded_path_is_encoded_again() {
        // "double-encode-path" and "double-url-encode" of the suite give the canonical request only.
        assert_eq!(canonical_path("/test/@connections/JBDvjfGEIAMCERw%3D"), "/test/%40connections/JBDvjfGEIAMCERw%253D");
        assert_eq!(canonical_path("/functions/arn%3Aaws%3Alambda/invocations"), "/functions/arn%253Aaws%253Alambda/invocations");
        assert_eq!(canonical_path(""), "/");
    }

    #[test]
    fn the_documented_signing_key() {
        // "Examples of how to derive a signing key" in the AWS General Reference.
        let key = signing_key(SECRET, "20150830", "us-east-1", "iam");
        assert_eq!(hex(&key), "c4afb1cc5771d871763a393e44b703571b55cc28424d1a5e86da6ed3c154a4b9");
    }

    #[test]
    fn the_clocks_may_differ_by_five_minutes() {
        let headers = headers_of(&VECTORS[0]);
        let request = Request { method: "GET", path: "/", query: "", headers: &headers, body: b"" };
        let signed = Signed::parse(&headers).unwrap();
        for (offset, passes) in [(-301, false), (-300, true), (0, true), (300, true), (301, false)] {
            let verdict = signed.verify(&request, SECRET, NOW.plus_seconds(offset));
            assert_eq!(verdict.is_ok(), passes, "{offset}: {verdict:?}");
            assert!(verdict.is_ok() || matches!(verdict, Err(SignatureError::Skewed(_))));
        }
    }

    #[test]
    fn dates_are_dates() {
        assert_eq!(parse_timestamp("20150830T123600Z"), Some(NOW));
        assert_eq!(parse_timestamp("19700101T000000Z"), Some(Timestamp::from_unix_seconds(0)));
        assert_eq!(parse_timestamp("20240229T123456Z"), Some(Timestamp::from_unix_seconds(1_709_210_096)));
        for bad in ["20230229T000000Z", "20151301T000000Z", "20150830T240000Z", "20150830 123600Z", "2015-08-30T12:36Z", "+0150830T123600Z"]
        {
            assert_eq!(parse_timestamp(bad), None, "{bad}");
        }
    }

    #[test]
    fn headers_that_are_not_a_signature() {
        let good = headers_of(&VECTORS[0]);
        let authorization = good["authorization"].to_str().unwrap().to_owned();
        let change = |from: &str, to: &str| {
            let mut headers = good.clone();
            assert!(authorization.contains(from));
            headers.insert("authorization", authorization.replace(from, to).parse().unwrap());
            Signed::parse(&headers).unwrap_err()
        };
        for (from, to) in [
            ("AWS4-HMAC-SHA256", "AWS4-HMAC-SHA1"),
            ("AWS4-HMAC-SHA256 ", "Bearer "),
            ("/service/", "/"),
            ("aws4_request", "aws5_request"),
            ("AKIDEXAMPLE", ""),
            ("host;x-amz-date", "x-amz-date;host"),
            ("host;x-amz-date", "Host;x-amz-date"),
            ("host;x-amz-date", "host;host;x-amz-date"),
            ("host;x-amz-date", "host"),
            ("host;x-amz-date", "x-amz-date"),
            ("host;x-amz-date", "host;x-amz-date;x-not-there"),
            ("Signature=5", "Signature="),
            ("Signature=5f", "Signature=5F"),
            ("Signature=5f", "Signature=5g"),
            (", Signature=", ", Extra=1, Signature="),
            (", Signature=", ", Signature=0, Signature="),
        ] {
            assert!(matches!(change(from, to), SignatureError::Incomplete(_)), "{from} -> {to}");
        }
        assert!(matches!(change("/20150830/", "/20150831/"), SignatureError::WrongScope(_)));

        let mut twice = good.clone();
        twice.append("authorization", authorization.parse().unwrap());
        assert!(matches!(Signed::parse(&twice), Err(SignatureError::Incomplete(_))));
        let mut without = good.clone();
        without.remove("authorization");
        assert_eq!(Signed::parse(&without).unwrap_err(), SignatureError::Missing);
        for unsigned in ["x-amz-security-token", "x-amz-target", "content-type"] {
            let mut more = good.clone();
            more.insert(unsigned, HeaderValue::from_static("x"));
            assert!(matches!(Signed::parse(&more), Err(SignatureError::Incomplete(_))), "{unsigned}");
        }
    }

    #[test]
    fn a_declared_payload_hash_has_to_be_the_bodys() {
        let vector = VECTORS.iter().find(|vector| vector.name == "post-x-www-form-urlencoded").unwrap();
        let headers = headers_of(vector);
        let signed = Signed::parse(&headers).unwrap();
        let request = Request { method: "POST", path: "/", query: "", headers: &headers, body: b"Param1=value2" };
        assert_eq!(signed.verify(&request, SECRET, NOW), Err(SignatureError::PayloadHash));
    }

    #[test]
    fn nothing_secret_shows_in_debug() {
        let vector = VECTORS.iter().find(|vector| vector.name == "get-vanilla-with-session-token").unwrap();
        let headers = headers_of(vector);
        let shown = format!("{:?}", Signed::parse(&headers).unwrap());
        assert!(!shown.contains("6e86291e") && !shown.contains("07ec1639"), "{shown}");
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(128))]

        /// What is signed verifies, and a change of any one thing that is signed does not.
        #[test]
        fn a_changed_request_does_not_verify(
            path in "/[a-z%/.]{0,12}",
            name in "[a-z]{1,4}", value in "[a-z0-9 ]{0,8}",
            body in proptest::collection::vec(any::<u8>(), 0..40),
            what in 0_usize..8,
        ) {
            let mut headers = HeaderMap::new();
            headers.insert("host", HeaderValue::from_static("127.0.0.1:4000"));
            headers.insert("content-type", HeaderValue::from_static("application/x-amz-json-1.1"));
            let query = format!("{name}=1");
            let own = HeaderName::from_bytes(format!("x-{name}").as_bytes()).unwrap();
            headers.insert(own.clone(), value.parse().unwrap());
            let signer = Signer {
                access_key_id: "AKIDEXAMPLE",
                secret_access_key: SECRET,
                session_token: Some("token"),
                region: "eu-central-1",
                service: "sagemaker",
                now: NOW,
            };
            signer.sign("POST", &path, &query, &mut headers, &body);
            let signed = Signed::parse(&headers).unwrap();
            let request = Request { method: "POST", path: &path, query: &query, headers: &headers, body: &body };
            prop_assert_eq!(signed.verify(&request, SECRET, NOW), Ok(()));

            let mut other_headers = headers.clone();
            let other_path = format!("{path}x");
            let other_query = format!("{query}2");
            let mut other_body = body.clone();
            other_body.push(0);
            let mut other = request;
            let mut secret = SECRET.to_owned();
            match what {
                0 => other.method = "PUT",
                1 => other.path = &other_path,
                2 => other.query = &other_query,
                3 => other.body = &other_body,
                4 => { other_headers.insert("host", HeaderValue::from_static("127.0.0.1:4001")); }
                5 => { other_headers.insert("x-amz-security-token", HeaderValue::from_static("other")); }
                6 => { other_headers.append(own.clone(), HeaderValue::from_static("")); }
                _ => secret.push('x'),
            }
            other.headers = &other_headers;
            prop_assert_eq!(signed.verify(&other, &secret, NOW), Err(SignatureError::Mismatch));
        }

        /// A changed scope gives another key, a changed signature another signature.
        #[test]
        fn a_changed_authorization_does_not_verify(position in 0_usize..64, region in "[a-z]{2}-[a-z]{3,6}-[1-9]") {
            let headers = headers_of(&VECTORS[0]);
            let authorization = headers["authorization"].to_str().unwrap().to_owned();
            let start = authorization.len() - 64 + position;
            let digit = if authorization.as_bytes()[start] == b'0' { "1" } else { "0" };
            let mut changed = authorization.clone();
            changed.replace_range(start..=start, digit);
            for text in [changed, authorization.replace("us-east-1", &region), authorization.replace("/service/", "/sts/")] {
                if text == authorization {
                    continue;
                }
                let mut forged = headers.clone();
                forged.insert("authorization", text.parse().unwrap());
                let request = Request { method: "GET", path: "/", query: "", headers: &forged, body: b"" };
                prop_assert_eq!(Signed::parse(&forged).unwrap().verify(&request, SECRET, NOW), Err(SignatureError::Mismatch));
            }
        }

        #[test]
        fn any_text_is_refused_or_read(text in "\\PC{0,80}") {
            let mut headers = headers_of(&VECTORS[0]);
            if let Ok(value) = HeaderValue::from_bytes(text.as_bytes()) {
                headers.insert("authorization", value);
                prop_assert!(Signed::parse(&headers).is_err());
            }
            let _ = canonical_query(&text);
            prop_assert!(canonical_path(&text).starts_with('/'));
        }
    }
}
