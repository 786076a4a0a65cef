//! What a verified token says, after every check of it.
//!
//! How a claim is compared with the values that are configured, here and nowhere else:
//!
//! - Everything byte for byte: no trimming, no folding of case, no Unicode normalisation, no URL normalisation.
//! - The audience claim is a string, or an array of nothing but strings, and one of them is one of the audiences.
//! - A required claim is one of the allowed values, or an array in which one element is. `scope` and `scp` (RFC 8693, section 4.2)
//!   may also be one string of words parted by single spaces, of which one is allowed. Values of different types are different:
//!   `"true"` and `true` are not the same. `null`, objects, numbers with a fraction or an exponent and those beyond 64 bits match nothing.
//! - The groups claim is a string, which is one group, or an array of nothing but strings. Of those, the groups count that begin
//!   with the prefix, and each must be a legal one.

use std::fmt;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::{Group, Identity, MAX_GROUPS, Subject};

use crate::config::{ClaimValue, GroupsClaim, IssuerConfig, RequiredClaim};
use crate::json::{Object, Value};
use crate::refusal::TokenRefusal;
use crate::signature::SignedClaims;

/// The first second that is no longer a time: 1 January 10000, UTC.
const END_OF_TIME: i64 = 253_402_300_800;

/// The most characters of a token id, as of a subject.
const MAX_TOKEN_ID_CHARS: usize = 255;

/// The claims of a token that has passed every check. The only constructor is private to the verification.
#[derive(Clone, PartialEq, Eq)]
pub struct VerifiedClaims {
    identity: Identity,
    key_id: String,
    token_id: Option<String>,
    issued_at: Option<Timestamp>,
    expires_at: Timestamp,
    groups: Vec<Group>,
}

impl VerifiedClaims {
    /// Who the token is from.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The `kid` of the key that signed it.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// `jti`, where it has one: 1 to 255 characters, none of them a control character.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// `iat`, where it has one.
    pub const fn issued_at(&self) -> Option<Timestamp> {
        self.issued_at
    }

    /// `exp` plus the leeway: from then on it is refused.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }

    /// The groups that count, each once and in order; none where the issuer's are not looked at.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// The identity, key id, token id, end and groups, for the principal.
    pub(crate) fn into_parts(self) -> (Identity, String, Option<String>, Timestamp, Vec<Group>) {
        (self.identity, self.key_id, self.token_id, self.expires_at, self.groups)
    }

    /// Checks claims that `issuer` has signed, as of `now`.
    pub(crate) fn check(token: SignedClaims, issuer: &IssuerConfig, now: Timestamp) -> Result<Self, TokenRefusal> {
        let claims = token.claims();
        // The issuer was looked up by this very claim. Were that ever changed, a key would vouch for another issuer's users.
        if claims.get("iss").and_then(Value::as_text) != Some(issuer.issuer.as_str()) {
            return Err(TokenRefusal::Issuer);
        }
        // A back-channel logout token has issuer, audience and subject of the session it ends (OpenID Connect Back-Channel
        // Logout 1.0, section 2.4), and this claim. Whoever holds one does not hold the session.
        if claims.has("events") {
            return Err(TokenRefusal::SecurityEvent);
        }
        // A token that its issuer has bound to a key is worth nothing to a thief as long as nobody takes it without a proof of that
        // key (RFC 9449, section 7.2; RFC 8705, section 3), and a private API Gateway passes none on. Whatever `cnf` says: a way of
        // binding that is not known here is one that is not checked.
        if claims.has("cnf") {
            return Err(TokenRefusal::SenderConstrained);
        }
        let (issued_at, expires_at) = check_times(claims, issuer, now)?;
        check_audience(claims.get(&issuer.audience_claim), &issuer.audiences)?;
        let subject = claims.get(&issuer.subject_claim).and_then(Value::as_text).ok_or(TokenRefusal::Subject)?;
        let subject = Subject::new(subject).map_err(|_| TokenRefusal::Subject)?;
        let token_id = claims.get("jti").map(token_id).transpose()?;
        for required in &issuer.required_claims {
            check_required(claims, required)?;
        }
        let groups = match &issuer.groups {
            Some(groups) => read_groups(claims, groups)?,
            None => Vec::new(),
        };
        let identity = Identity { issuer: issuer.id.clone(), subject };
        Ok(Self { identity, key_id: token.into_key_id(), token_id, issued_at, expires_at, groups })
    }
}

// A new field must not show up in a log because someone printed the whole.
impl fmt::Debug for VerifiedClaims {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("VerifiedClaims(redacted)")
    }
}

/// Checks `exp`, `nbf` and `iat` (RFC 7519, section 4.1), and gives `iat` and the end with the leeway.
fn check_times(claims: &Object, issuer: &IssuerConfig, now: Timestamp) -> Result<(Option<Timestamp>, Timestamp), TokenRefusal> {
    let leeway = i64::from(issuer.leeway_seconds);
    // All three are read before any is judged: a token with an odd time is odd, expired or not.
    let [exp, nbf, iat] = ["exp", "nbf", "iat"].map(|name| claims.get(name).map(numeric_date).transpose());
    let (exp, nbf, iat) = (exp?, nbf?, iat?);
    let exp = exp.ok_or(TokenRefusal::ExpiryMissing)?;
    let end = exp.plus_seconds(leeway);
    if now >= end {
        return Err(TokenRefusal::Expired);
    }
    let latest = now.plus_seconds(leeway);
    if nbf.is_some_and(|nbf| nbf > latest) {
        return Err(TokenRefusal::NotYetValid);
    }
    if iat.is_some_and(|iat| iat > latest) {
        return Err(TokenRefusal::IssuedInFuture);
    }
    // Without `iat` the lifetime that is left is bounded. It is the weaker check, and the only one there is.
    if iat.is_some_and(|iat| exp <= iat) || exp > iat.unwrap_or(now).plus_seconds(i64::from(issuer.max_lifetime_seconds)) {
        return Err(TokenRefusal::Lifetime);
    }
    Ok((iat, end))
}

/// Seconds since 1970, with or without a fraction (RFC 7519, section 2); rounded down to milliseconds.
fn numeric_date(value: &Value) -> Result<Timestamp, TokenRefusal> {
    match value {
        Value::Integer(seconds) if (0..END_OF_TIME).contains(seconds) => Ok(Timestamp::from_unix_seconds(*seconds)),
        #[expect(clippy::cast_possible_truncation, reason = "the guard bounds it to what i64 holds")]
        #[expect(clippy::cast_precision_loss, reason = "the bound is exact in f64")]
        Value::Float(seconds) if (0.0..END_OF_TIME as f64).contains(seconds) => {
            Ok(Timestamp::from_unix_millis((seconds * 1000.0).floor() as i64))
        }
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::List(_) | Value::Object(_) => {
            Err(TokenRefusal::Time)
        }
    }
}

fn check_audience(claim: Option<&Value>, accepted: &[String]) -> Result<(), TokenRefusal> {
    let is_accepted = |text: &str| accepted.iter().any(|a| a == text);
    let mut found = false;
    match claim {
        Some(Value::Text(audience)) => found = is_accepted(audience),
        Some(Value::List(list)) => {
            for audience in list {
                found |= is_accepted(audience.as_text().ok_or(TokenRefusal::Audience)?);
            }
        }
        Some(_) | None => {}
    }
    if found { Ok(()) } else { Err(TokenRefusal::Audience) }
}

fn token_id(value: &Value) -> Result<String, TokenRefusal> {
    let text = value.as_text().ok_or(TokenRefusal::TokenId)?;
    let fits = !text.is_empty() && text.len() <= 4 * MAX_TOKEN_ID_CHARS && text.chars().count() <= MAX_TOKEN_ID_CHARS;
    if fits && !text.chars().any(char::is_control) { Ok(text.to_owned()) } else { Err(TokenRefusal::TokenId) }
}

/// The groups that count. A token without the claim has none: one that the issuer left out for its length reads as if it were empty.
fn read_groups(claims: &Object, configured: &GroupsClaim) -> Result<Vec<Group>, TokenRefusal> {
    let listed = match claims.get(&configured.name) {
        None => return Ok(Vec::new()),
        Some(Value::List(list)) => list.as_slice(),
        Some(one @ Value::Text(_)) => std::slice::from_ref(one),
        Some(Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Object(_)) => return Err(TokenRefusal::Groups),
    };
    let mut groups = Vec::new();
    for group in listed {
        let group = group.as_text().ok_or(TokenRefusal::Groups)?;
        if configured.counts(group) {
            groups.push(Group::new(group).map_err(|_| TokenRefusal::Groups)?);
        }
    }
    // A request for the same item twice would be refused by the table.
    groups.sort_unstable();
    groups.dedup();
    if groups.len() > MAX_GROUPS { Err(TokenRefusal::TooManyGroups) } else { Ok(groups) }
}

fn check_required(claims: &Object, required: &RequiredClaim) -> Result<(), TokenRefusal> {
    let is_allowed = |value: &Value| required.values.iter().any(|allowed| allowed.is(value));
    let is_word = |word: &str| required.values.iter().any(|allowed| matches!(allowed, ClaimValue::Text(text) if text == word));
    let met = match claims.get(&required.name) {
        Some(Value::List(list)) => list.iter().any(is_allowed),
        Some(Value::Text(words)) if matches!(required.name.as_str(), "scope" | "scp") => words.split(' ').any(is_word) || is_word(words),
        Some(value) => is_allowed(value),
        None if is_left_out(claims, &required.name) => return Err(TokenRefusal::ClaimOverage),
        None => false,
    };
    if met { Ok(()) } else { Err(TokenRefusal::RequiredClaim) }
}

/// Whether the issuer says that it left the claim out and where it could be asked for: a distributed claim (OpenID Connect
/// Core 1.0, section 5.6.2), which is what Entra makes of `groups` when there are too many, or its shorter `hasgroups`. Its
/// documentation also writes the former as a claim `groups:src1`. Nobody is asked: the token is refused, with a reason of its
/// own as there is something the operator can do.
fn is_left_out(claims: &Object, name: &str) -> bool {
    let distributed = matches!(claims.get("_claim_names"), Some(Value::Object(names)) if names.has(name));
    let has_source = || claims.iter().any(|(other, _)| other.strip_prefix(name).is_some_and(|rest| rest.starts_with(":src")));
    let has_groups = || claims.get("hasgroups").is_some_and(|v| *v == Value::Bool(true) || v.as_text() == Some("true"));
    distributed || has_source() || (name == "groups" && has_groups())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::key_set::{KeySet, Lookup};
    use crate::signature;
    use crate::testing::{Claims, NOW, Pair, config, issuer_json, key_set};
    use crate::unverified::UnverifiedToken;

    #[test]
    fn claims_are_checked_against_the_issuer_that_signed_them() {
        let keys = [Pair::rsa(0).jwk("k0", "")];
        let token = Claims::good().signed();
        let check = |config: &IssuerConfig| {
            let Lookup::Key(key) = KeySet::parse(key_set(&keys).as_bytes()).unwrap().find("k0") else { panic!("a key") };
            let signed = signature::verify(UnverifiedToken::parse(&token).unwrap(), &key).ok().unwrap();
            VerifiedClaims::check(signed, config, Timestamp::from_unix_seconds(NOW)).err()
        };
        let own = issuer_json(&keys, "");
        assert_eq!(check(&config(&own)), None);
        assert_eq!(check(&config(&own.replace("idp.example", "other.example"))), Some(TokenRefusal::Issuer));
    }
}
