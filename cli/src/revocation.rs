//! A revocation: an inline policy on an issuing role that refuses every session opened before a moment.
//!
//! SageMaker asks IAM about the issuing role's policies at every request of a browser's session, not only when its URL is made, so a
//! Deny that is written now ends sessions that were opened before. It names the user by the `aws:SourceIdentity` that the broker gives
//! each user's sessions, and the moment by `aws:TokenIssueTime`: what is opened later, once the user may again, works.
//!
//! Each revocation is a policy of its own, and all of it stands in its document: two operators at work at once do not overwrite each
//! other's, as they would in a policy that is read, changed and written back.

use aws_sdk_iam::primitives::{DateTime, DateTimeFormat};
use latchkey_domain::attribution::source_identity;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::Identity;
use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

/// What begins the names of the policies that revoke.
pub const POLICY_NAME_PREFIX: &str = "latchkey-revoked-";

/// The most characters that all inline policies of a role may have together (IAM User Guide, "IAM and AWS STS quotas"), white space
/// not counted. A revocation has some 250, so that about forty users can be cut off at once.
pub const ROLE_CHARACTERS: usize = 10_240;

/// How many of those characters a policy takes.
pub fn characters(document: &str) -> usize {
    document.chars().filter(|c| !c.is_whitespace()).count()
}

/// The longest that a session opened before a revocation can go on without it: the longest browser session that SageMaker grants
/// (12 hours), begun at the end of the longest role session that the broker can have (1 hour).
pub const SPENT_AFTER_SECONDS: i64 = 13 * 3600;

const EVERYONE: &str = "everyone";
const SID: &str = "LatchkeyRevoked";

/// Whose sessions are revoked.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Whose {
    /// Those of one user, by the source identity of the user's sessions.
    One(String),
    /// Those of everyone who has one of the role.
    Everyone,
}

impl Whose {
    /// This user's.
    pub fn of(identity: &Identity) -> Self {
        Self::One(source_identity(identity))
    }

    /// The name of the policy by which they are revoked, at most 98 characters of the 128 that IAM takes.
    ///
    /// A source identity is made of what a policy's name may be made of. IAM does not tell names apart by case, and subjects can
    /// differ in nothing else: the digest tells them apart.
    pub fn policy_name(&self) -> String {
        match self {
            Self::Everyone => format!("{POLICY_NAME_PREFIX}{EVERYONE}"),
            Self::One(source_identity) => {
                let digest = Sha256::digest(source_identity);
                let digest: String = digest.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
                format!("{POLICY_NAME_PREFIX}{source_identity}-{digest}")
            }
        }
    }
}

/// Sessions that are refused from now on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revocation {
    /// Whose.
    pub whose: Whose,
    /// Those that were opened before this, a whole second.
    pub issued_before: Timestamp,
}

impl Revocation {
    /// Of the sessions opened up to this moment. AWS counts in whole seconds, so those of the second that runs are among them.
    pub const fn up_to(whose: Whose, moment: Timestamp) -> Self {
        Self { whose, issued_before: Timestamp::from_unix_seconds(moment.unix_seconds().saturating_add(1)) }
    }

    /// The policy.
    ///
    /// A session without a source identity is none of the user's that is meant, and one without a token issue time is none of a
    /// role's at all: where either key is absent the Deny does not match, and need not.
    pub fn document(&self) -> Value {
        let mut condition = json!({"DateLessThan": {"aws:TokenIssueTime": self.issued_before_text()}});
        if let Whose::One(source_identity) = &self.whose {
            condition["StringEquals"] = json!({"aws:SourceIdentity": source_identity});
        }
        json!({
            "Version": "2012-10-17",
            "Statement": [{"Sid": SID, "Effect": "Deny", "Action": "*", "Resource": "*", "Condition": condition}],
        })
    }

    /// The moment as it stands in the policy: `2026-01-31T12:00:00Z`.
    pub fn issued_before_text(&self) -> String {
        self.issued_before.rfc3339().replace(".000Z", "Z")
    }

    /// Reads a policy back; none when it is not exactly what a revocation of this name would be, and so is somebody else's.
    pub fn read(policy_name: &str, document: &Value) -> Option<Self> {
        let condition = document.pointer("/Statement/0/Condition")?;
        let issued_before = condition.pointer("/DateLessThan/aws:TokenIssueTime")?.as_str()?;
        let issued_before = DateTime::from_str(issued_before, DateTimeFormat::DateTime).ok()?.secs();
        let whose = match condition.pointer("/StringEquals/aws:SourceIdentity") {
            Some(source_identity) => Whose::One(source_identity.as_str()?.to_owned()),
            None => Whose::Everyone,
        };
        let read = Self { whose, issued_before: Timestamp::from_unix_seconds(issued_before) };
        (read.whose.policy_name() == policy_name && read.document() == *document).then_some(read)
    }

    /// Whether every session that it refuses has ended by itself.
    pub fn is_spent(&self, now: Timestamp) -> bool {
        self.issued_before.plus_seconds(SPENT_AFTER_SECONDS) < now
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use latchkey_domain::identity::{IssuerId, Subject};

    use super::*;

    const NOON: Timestamp = Timestamp::from_unix_millis(1_800_000_000_250);

    fn of(issuer: &str, subject: &str) -> Whose {
        Whose::of(&Identity { issuer: IssuerId::new(issuer).unwrap(), subject: Subject::new(subject).unwrap() })
    }

    #[test]
    fn one_users_is_a_deny_by_source_identity_and_token_issue_time() {
        let revocation = Revocation::up_to(of("okta", "00u1a2b3"), NOON);
        assert_eq!(
            revocation.document(),
            json!({
                "Version": "2012-10-17",
                "Statement": [{
                    "Sid": "LatchkeyRevoked",
                    "Effect": "Deny",
                    "Action": "*",
                    "Resource": "*",
                    "Condition": {
                        "StringEquals": {"aws:SourceIdentity": "okta.00u1a2b3"},
                        "DateLessThan": {"aws:TokenIssueTime": "2027-01-15T08:00:01Z"},
                    },
                }],
            })
        );
    }

    #[test]
    fn everyones_is_a_deny_by_token_issue_time_alone() {
        let document = Revocation::up_to(Whose::Everyone, NOON).document();
        assert_eq!(document["Statement"][0]["Condition"], json!({"DateLessThan": {"aws:TokenIssueTime": "2027-01-15T08:00:01Z"}}));
        assert_eq!(Whose::Everyone.policy_name(), "latchkey-revoked-everyone");
    }

    /// The matrix of the boundary is decided with these very policies.
    #[test]
    fn the_simulator_is_asked_about_what_is_written() {
        let file = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/boundary/revocation.json");
        let simulated: Value = serde_json::from_str(&std::fs::read_to_string(file).unwrap()).unwrap();
        // 2026-01-31T11:59:59.500Z, and so of the sessions opened before noon.
        let moment = Timestamp::from_unix_millis(1_769_860_799_500);
        let written = |whose| Revocation::up_to(whose, moment).document();
        assert_eq!(simulated, json!({"one": written(of("okta", "alice")), "everyone": written(Whose::Everyone)}));
    }

    #[test]
    fn forty_of_them_fit_on_a_role() {
        let document = |subject: &str| Revocation::up_to(of("okta", subject), NOON).document();
        assert_eq!(characters("{ \"a\":\n\t[] }"), 8);
        // The template's own policies take a part of it, which tests/boundary holds to less than half.
        assert!(20 * characters(&document("00u1a2b3c4d5e6f7g8h9").to_string()) < ROLE_CHARACTERS / 2);
        // The longest source identity is of 64 characters.
        assert!(characters(&document(&"x".repeat(255)).to_string()) < 280);
    }

    #[test]
    fn names_are_legal_and_apart_also_without_case() {
        let long = "x".repeat(80);
        let whose = [of("okta", "a"), of("okta", "A"), of("okta", "auth0|1"), of("okta", &long), of("everyone", "x"), Whose::Everyone];
        let names: HashSet<String> = whose.iter().map(|whose| whose.policy_name().to_lowercase()).collect();
        assert_eq!(names.len(), whose.len());
        for name in names {
            assert!(name.len() <= 128 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)), "{name}");
        }
    }

    #[test]
    fn what_is_written_is_read_back_and_nothing_else_is() {
        for whose in [of("okta", "00u1a2b3"), of("a", "auth0|1"), Whose::Everyone] {
            // Leap days and ends of years are where calendars go wrong.
            for at in [1_800_000_000, 1_709_164_799, 1_709_251_199, 1_735_689_599, 951_782_399, 4_107_542_399] {
                let revocation = Revocation::up_to(whose.clone(), Timestamp::from_unix_seconds(at));
                let (name, document) = (whose.policy_name(), revocation.document());
                assert_eq!(Revocation::read(&name, &document), Some(revocation));
                assert_eq!(Revocation::read("latchkey-revoked-x", &document), None);
                for (pointer, value) in [
                    ("/Statement/0/Effect", json!("Allow")),
                    ("/Statement/0/Action", json!("s3:*")),
                    ("/Statement/0/Condition/DateLessThan/aws:TokenIssueTime", json!("2027-01-15")),
                    ("/Statement/0/Condition/DateLessThan/aws:TokenIssueTime", json!("2027-01-15T08:00:00+01:00")),
                ] {
                    let mut other = document.clone();
                    *other.pointer_mut(pointer).unwrap() = value;
                    assert_eq!(Revocation::read(&name, &other), None, "{other}");
                }
            }
        }
        assert_eq!(Revocation::read("latchkey-revoked-everyone", &json!([])), None);
    }

    #[test]
    fn it_is_spent_when_the_last_session_has_ended() {
        let revocation = Revocation::up_to(Whose::Everyone, NOON);
        let end = revocation.issued_before.plus_seconds(SPENT_AFTER_SECONDS);
        assert!(!revocation.is_spent(end) && revocation.is_spent(end.plus_seconds(1)));
    }
}
