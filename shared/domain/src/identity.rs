//! Who a request is from, once that has been proven.

use std::fmt;

use crate::clock::Timestamp;

/// The operator's short name for a trusted issuer: `[a-z0-9-]{1,32}`.
///
/// It is part of table keys, so it can hold no separator.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IssuerId(String);

impl IssuerId {
    /// Takes a legal issuer id.
    ///
    /// # Errors
    /// Anything that is not `[a-z0-9-]{1,32}`.
    pub fn new(id: impl Into<String>) -> Result<Self, InvalidIdentity> {
        let id = id.into();
        let legal = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-';
        if (1..=32).contains(&id.len()) && id.bytes().all(legal) {
            Ok(Self(id))
        } else {
            Err(InvalidIdentity("an issuer id is 1 to 32 of a-z, 0-9 and -"))
        }
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IssuerId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// What an issuer names, if it is 1 to 255 characters and none of them a control character; else which of these rules it breaks.
fn legal(text: String, [not_empty, not_long, no_control]: [&'static str; 3]) -> Result<String, InvalidIdentity> {
    if text.is_empty() {
        return Err(InvalidIdentity(not_empty));
    }
    // The bytes are bounded first: counting the characters of a long string is work an attacker would choose.
    if text.len() > 4 * 255 || text.chars().count() > 255 {
        return Err(InvalidIdentity(not_long));
    }
    if text.chars().any(char::is_control) {
        return Err(InvalidIdentity(no_control));
    }
    Ok(text)
}

/// A subject as its issuer names it, compared byte for byte: no trimming, folding or normalising.
///
/// 1 to 255 characters (OpenID Connect Core 1.0, section 2), none of them a control character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Subject(String);

impl Subject {
    /// Takes a legal subject.
    ///
    /// # Errors
    /// An empty one, one of more than 255 characters, one with a control character.
    pub fn new(subject: impl Into<String>) -> Result<Self, InvalidIdentity> {
        let rules = ["a subject is not empty", "a subject has at most 255 characters", "a subject has no control characters"];
        legal(subject.into(), rules).map(Self)
    }

    /// The subject.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for Subject {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// An issuer id, a subject or a group that is not one, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidIdentity(pub &'static str);

impl fmt::Display for InvalidIdentity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidIdentity {}

/// The most groups of a caller that are looked at: one `BatchGetItem` has room for 100 items, the caller's own among them.
pub const MAX_GROUPS: usize = 90;

/// A group as its issuer names it, compared byte for byte, as a [`Subject`] is: 1 to 255 characters, none of them a control
/// character.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Group(String);

impl Group {
    /// Takes a legal group.
    ///
    /// # Errors
    /// An empty one, one of more than 255 characters, one with a control character.
    pub fn new(group: impl Into<String>) -> Result<Self, InvalidIdentity> {
        let rules = ["a group is not empty", "a group has at most 255 characters", "a group has no control characters"];
        legal(group.into(), rules).map(Self)
    }

    /// The group.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The partition key under which the table holds what this group of that issuer was granted. Equal groups of two issuers are two
    /// groups: an issuer id holds no `#`.
    pub fn partition_key(&self, issuer: &IssuerId) -> String {
        format!("GROUP#{issuer}#{self}")
    }
}

impl fmt::Display for Group {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Whose grants are looked up: a subject of one issuer. Equal subjects of two issuers are two identities.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// The trusted issuer.
    pub issuer: IssuerId,
    /// The subject, in that issuer's words.
    pub subject: Subject,
}

impl Identity {
    /// The partition key under which the table holds this identity's record and grants.
    ///
    /// An issuer id holds no `#`, so the first two separators are unambiguous whatever the subject holds.
    pub fn partition_key(&self) -> String {
        format!("SUBJECT#{}#{}", self.issuer, self.subject)
    }
}

/// A caller whose token has been verified.
///
/// The rest of the broker trusts what this says, so it is made in one place only: by the verifier, from verified claims.
/// `clippy.toml` bans [`Principal::from_verified_claims`] everywhere else.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Principal {
    identity: Identity,
    key_id: String,
    token_id: Option<String>,
    expires_at: Timestamp,
    groups: Vec<Group>,
}

impl Principal {
    /// States that a token with these claims has passed every check.
    ///
    /// The groups are those of the identity's own issuer, each once and at most [`MAX_GROUPS`]; none where the issuer's are not
    /// looked at.
    pub const fn from_verified_claims(
        identity: Identity,
        key_id: String,
        token_id: Option<String>,
        expires_at: Timestamp,
        groups: Vec<Group>,
    ) -> Self {
        Self { identity, key_id, token_id, expires_at, groups }
    }

    /// Who it is.
    pub const fn identity(&self) -> &Identity {
        &self.identity
    }

    /// The id (`kid`) of the key that the token was verified with.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The token's own id (`jti`), where it has one.
    pub fn token_id(&self) -> Option<&str> {
        self.token_id.as_deref()
    }

    /// The groups of its issuer's that the caller is in, as far as they are looked at.
    pub fn groups(&self) -> &[Group] {
        &self.groups
    }

    /// When the token stops being valid, the leeway included.
    pub const fn expires_at(&self) -> Timestamp {
        self.expires_at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn issuer_ids_hold_no_separator() {
        for good in ["a", "okta", "entra-2", &"x".repeat(32)] {
            assert!(IssuerId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "Okta", "a#b", "a b", "ä", "a_b", &"x".repeat(33)] {
            let error = IssuerId::new(bad).unwrap_err();
            assert_eq!(error.to_string(), "an issuer id is 1 to 32 of a-z, 0-9 and -", "{bad}");
        }
    }

    #[test]
    fn a_principal_is_what_its_token_says() {
        let identity = Identity { issuer: IssuerId::new("okta").unwrap(), subject: Subject::new("jane").unwrap() };
        #[expect(clippy::disallowed_methods, reason = "this is where it is made")]
        let principal = |token_id: Option<&str>, groups: &[Group]| {
            let expires_at = Timestamp::from_unix_seconds(5);
            Principal::from_verified_claims(identity.clone(), "k1".into(), token_id.map(Into::into), expires_at, groups.to_vec())
        };
        let group = Group::new("risk").unwrap();
        let full = principal(Some("t1"), std::slice::from_ref(&group));
        assert_eq!((full.identity(), full.key_id(), full.token_id()), (&identity, "k1", Some("t1")));
        assert_eq!((full.groups(), full.expires_at()), (&[group][..], Timestamp::from_unix_seconds(5)));
        let bare = principal(None, &[]);
        assert!(bare.token_id().is_none() && bare.groups().is_empty());
    }

    #[test]
    fn subjects_are_bounded_and_printable() {
        assert!(Subject::new("ü".repeat(255)).is_ok());
        for bad in [String::new(), "x".repeat(256), "a\u{0}b".into(), "a\nb".into(), "a\u{85}".into(), "x".repeat(5000)] {
            assert!(Subject::new(bad.clone()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn groups_are_bounded_and_printable_and_their_issuers_own() {
        let key = |issuer: &str, group: &str| Group::new(group).unwrap().partition_key(&IssuerId::new(issuer).unwrap());
        assert_eq!(key("okta", "risk"), "GROUP#okta#risk");
        assert_eq!(key("okta", "a#b"), "GROUP#okta#a#b");
        assert_ne!(key("okta", "risk"), key("entra", "risk"));
        assert_ne!(key("okta", "risk"), key("okta", "Risk"));
        assert!(key(&"x".repeat(32), &"\u{10000}".repeat(255)).len() <= 2048, "DynamoDB's bound for a partition key");
        for bad in [String::new(), "x".repeat(256), "a\u{0}b".into(), "a\nb".into(), "a\u{85}".into(), "x".repeat(5000)] {
            assert!(Group::new(bad.clone()).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn partition_keys_of_different_identities_differ() {
        let key = |issuer: &str, subject: &str| {
            Identity { issuer: IssuerId::new(issuer).unwrap(), subject: Subject::new(subject).unwrap() }.partition_key()
        };
        assert_ne!(key("a", "b#c"), key("a", "b"));
        assert_ne!(key("a", "x"), key("b", "x"));
        assert_ne!(key("a", "X"), key("a", "x"));
        assert_eq!(key("okta", "00u1"), "SUBJECT#okta#00u1");
    }
}
