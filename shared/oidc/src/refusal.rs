//! Why a token is refused, and why keys cannot be had: two closed vocabularies for the audit record.

use std::fmt;

use latchkey_domain::decision::Reason;

use crate::fetch::FetchError;

/// Which check a token failed. Every token failure is one of these, and every one of these is answered alike (401).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TokenRefusal {
    /// Larger than [`latchkey_domain::token::MAX_TOKEN_BYTES`].
    TooLarge,
    /// Not a JWS in compact serialisation (RFC 7515, section 7.1): not three non-empty parts of canonical base64url.
    Malformed,
    /// The header is not acceptable JSON, or a member of it has the wrong type.
    Header,
    /// The header has `crit` or `b64` (RFC 7515, section 4.1.11; RFC 7797): extensions that change how the token is to be
    /// read, none of which is understood here.
    Critical,
    /// The header has `jwk`, `jku`, `x5c` or `x5u`: a token that brings or points at the key it wants to be verified with.
    EmbeddedKey,
    /// The header has `cty: JWT`: a token within a token (RFC 7519, section 5.2).
    Nested,
    /// The header has `zip`.
    Compressed,
    /// The claims are not an acceptable JSON object.
    Claims,
    /// `iss` is missing, not a string, or not byte for byte one of the trusted issuers.
    Issuer,
    /// `alg` is missing, unknown, or not allowed for the issuer.
    Algorithm,
    /// `typ` is not one of the issuer's token types.
    Type,
    /// `kid` is missing, empty or longer than 255 characters.
    KeyId,
    /// The issuer has no usable key with that `kid`.
    KeyUnknown,
    /// The issuer has several keys with that `kid`: which one is meant is not guessed.
    KeyAmbiguous,
    /// The key is not for that `alg`.
    KeyAlgorithm,
    /// The signature does not verify.
    Signature,
    /// `exp`, `nbf` or `iat` is not a number of seconds between 1970 and the year 9999.
    Time,
    /// There is no `exp`.
    ExpiryMissing,
    /// `exp` has passed, the leeway included.
    Expired,
    /// `nbf` has not come, the leeway included.
    NotYetValid,
    /// `iat` is in the future, beyond the leeway.
    IssuedInFuture,
    /// Valid for longer than the issuer's tokens may be, or from after its end.
    Lifetime,
    /// The audience claim is missing, not a string or array of strings, or names none of the configured audiences.
    Audience,
    /// The subject claim is missing or not a legal subject.
    Subject,
    /// `jti` is not a string of 1 to 255 characters without control characters.
    TokenId,
    /// The claims have `events`: a logout token or another security event (RFC 8417), which proves no session.
    SecurityEvent,
    /// The claims have `cnf` (RFC 7800): the token is its holder's only together with a key of theirs (DPoP, RFC 9449; mutual TLS,
    /// RFC 8705), and what comes here proves no possession of one.
    SenderConstrained,
    /// A required claim is missing, or has none of its allowed values.
    RequiredClaim,
    /// A required claim was left out by the issuer because it would have been too long (Entra's groups overage), so nothing
    /// is known of it.
    ClaimOverage,
    /// The groups claim is neither a string nor an array of strings, or has a group that counts and is no legal one.
    Groups,
    /// More groups that count than are looked at. Which of them to leave out would be a guess.
    TooManyGroups,
}

impl TokenRefusal {
    /// Every refusal, in the order in which the checks are made.
    pub const ALL: [Self; 31] = [
        Self::TooLarge,
        Self::Malformed,
        Self::Header,
        Self::Critical,
        Self::EmbeddedKey,
        Self::Nested,
        Self::Compressed,
        Self::Claims,
        Self::Issuer,
        Self::Algorithm,
        Self::Type,
        Self::KeyId,
        Self::KeyUnknown,
        Self::KeyAmbiguous,
        Self::KeyAlgorithm,
        Self::Signature,
        Self::SecurityEvent,
        Self::SenderConstrained,
        Self::Time,
        Self::ExpiryMissing,
        Self::Expired,
        Self::NotYetValid,
        Self::IssuedInFuture,
        Self::Lifetime,
        Self::Audience,
        Self::Subject,
        Self::TokenId,
        Self::ClaimOverage,
        Self::RequiredClaim,
        Self::Groups,
        Self::TooManyGroups,
    ];

    /// The refusal as it is written in audit records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::TooLarge => "token.too-large",
            Self::Malformed => "token.malformed",
            Self::Header => "token.header",
            Self::Critical => "token.critical",
            Self::EmbeddedKey => "token.embedded-key",
            Self::Nested => "token.nested",
            Self::Compressed => "token.compressed",
            Self::Claims => "token.claims",
            Self::Issuer => "token.issuer",
            Self::Algorithm => "token.algorithm",
            Self::Type => "token.type",
            Self::KeyId => "token.key-id",
            Self::KeyUnknown => "token.key-unknown",
            Self::KeyAmbiguous => "token.key-ambiguous",
            Self::KeyAlgorithm => "token.key-algorithm",
            Self::Signature => "token.signature",
            Self::Time => "token.time",
            Self::ExpiryMissing => "token.expiry-missing",
            Self::Expired => "token.expired",
            Self::NotYetValid => "token.not-yet-valid",
            Self::IssuedInFuture => "token.issued-in-future",
            Self::Lifetime => "token.lifetime",
            Self::Audience => "token.audience",
            Self::Subject => "token.subject",
            Self::TokenId => "token.token-id",
            Self::SecurityEvent => "token.security-event",
            Self::SenderConstrained => "token.sender-constrained",
            Self::RequiredClaim => "token.required-claim",
            Self::ClaimOverage => "token.claim-overage",
            Self::Groups => "token.groups",
            Self::TooManyGroups => "token.too-many-groups",
        }
    }
}

impl fmt::Display for TokenRefusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for TokenRefusal {}

impl From<TokenRefusal> for Reason {
    fn from(refusal: TokenRefusal) -> Self {
        Self(refusal.as_str())
    }
}

/// Why an issuer's keys cannot be had. It is the state of a dependency, never of a token.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum KeyFailure {
    /// The key set could not be fetched.
    Fetch(FetchError),
    /// The discovery document could not be fetched.
    DiscoveryFetch(FetchError),
    /// The discovery document is not one, is for another issuer, or names an address that is not fetched from.
    Discovery,
    /// The table did not answer; the reason is its adapter's.
    Store(Reason),
    /// The table has no keys for the issuer.
    SnapshotMissing,
    /// The keys in the table were fetched longer ago than they are trusted.
    SnapshotTooOld,
    /// What was loaded is not a key set.
    NotAKeySet,
    /// What was loaded has no key that can be used.
    NoUsableKey,
    /// There was not enough time left to load them.
    OutOfTime,
}

impl KeyFailure {
    /// The failures as they are written in audit records, all but [`KeyFailure::Store`]'s, which are its adapter's.
    pub const REASONS: [&'static str; 22] = [
        "keys.fetch-timeout",
        "keys.fetch-connect",
        "keys.fetch-tls",
        "keys.fetch-status",
        "keys.fetch-redirect",
        "keys.fetch-too-large",
        "keys.fetch-body",
        "keys.fetch-bad-url",
        "keys.discovery-timeout",
        "keys.discovery-connect",
        "keys.discovery-tls",
        "keys.discovery-status",
        "keys.discovery-redirect",
        "keys.discovery-too-large",
        "keys.discovery-body",
        "keys.discovery-bad-url",
        "keys.discovery",
        "keys.snapshot-missing",
        "keys.snapshot-too-old",
        "keys.not-a-key-set",
        "keys.no-usable-key",
        "keys.out-of-time",
    ];

    /// The failure as it is written in audit records.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Fetch(FetchError::Timeout) => "keys.fetch-timeout",
            Self::Fetch(FetchError::Connect) => "keys.fetch-connect",
            Self::Fetch(FetchError::Tls) => "keys.fetch-tls",
            Self::Fetch(FetchError::Status(_)) => "keys.fetch-status",
            Self::Fetch(FetchError::Redirect) => "keys.fetch-redirect",
            Self::Fetch(FetchError::TooLarge) => "keys.fetch-too-large",
            Self::Fetch(FetchError::Body) => "keys.fetch-body",
            Self::Fetch(FetchError::BadUrl) => "keys.fetch-bad-url",
            Self::DiscoveryFetch(FetchError::Timeout) => "keys.discovery-timeout",
            Self::DiscoveryFetch(FetchError::Connect) => "keys.discovery-connect",
            Self::DiscoveryFetch(FetchError::Tls) => "keys.discovery-tls",
            Self::DiscoveryFetch(FetchError::Status(_)) => "keys.discovery-status",
            Self::DiscoveryFetch(FetchError::Redirect) => "keys.discovery-redirect",
            Self::DiscoveryFetch(FetchError::TooLarge) => "keys.discovery-too-large",
            Self::DiscoveryFetch(FetchError::Body) => "keys.discovery-body",
            Self::DiscoveryFetch(FetchError::BadUrl) => "keys.discovery-bad-url",
            Self::Discovery => "keys.discovery",
            Self::Store(reason) => reason.0,
            Self::SnapshotMissing => "keys.snapshot-missing",
            Self::SnapshotTooOld => "keys.snapshot-too-old",
            Self::NotAKeySet => "keys.not-a-key-set",
            Self::NoUsableKey => "keys.no-usable-key",
            Self::OutOfTime => "keys.out-of-time",
        }
    }
}

impl fmt::Display for KeyFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for KeyFailure {}

impl From<KeyFailure> for Reason {
    fn from(failure: KeyFailure) -> Self {
        Self(failure.as_str())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;

    #[test]
    fn the_vocabulary_is_closed_and_unambiguous() {
        let names: BTreeSet<_> = TokenRefusal::ALL.iter().map(|r| r.as_str()).collect();
        assert_eq!(names.len(), TokenRefusal::ALL.len());
        for name in names {
            let what = name.strip_prefix("token.").unwrap();
            assert!(what.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'), "{name}");
        }
    }

    #[test]
    fn failures_are_shown_as_they_are_written() {
        assert_eq!(KeyFailure::NoUsableKey.to_string(), "keys.no-usable-key");
        assert_eq!(KeyFailure::Fetch(FetchError::Tls).to_string(), "keys.fetch-tls");
    }
}
