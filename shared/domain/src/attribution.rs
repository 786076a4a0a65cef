//! How a user is named to STS, so that CloudTrail says who did what.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest as _, Sha256};

use crate::identity::Identity;

/// The longest `SourceIdentity` and `RoleSessionName` that STS takes.
const MAX: usize = 64;

/// The `SourceIdentity` of an identity: 2 to 64 of `[\w+=,.@-]` (STS, `AssumeRole`).
///
/// `<issuer id>.<subject>` where that is legal. A subject that does not fit is hashed, never cut: two users must never
/// share a name. The hashed form is `<issuer id>+` and 31 characters of base64url of the SHA-256 of the identity's table
/// key (186 bits). An issuer id holds neither `.` nor `+`, so the forms cannot meet.
pub fn source_identity(identity: &Identity) -> String {
    let issuer = identity.issuer.as_str();
    let subject = identity.subject.as_str();
    let legal = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b);
    if issuer.len() + 1 + subject.len() <= MAX && subject.bytes().all(legal) {
        format!("{issuer}.{subject}")
    } else {
        let hash = URL_SAFE_NO_PAD.encode(Sha256::digest(identity.partition_key()));
        format!("{issuer}+{}", hash.get(..31).unwrap_or(&hash))
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use proptest::prelude::*;

    use super::*;
    use crate::identity::{IssuerId, Subject};

    fn identity(issuer: &str, subject: &str) -> Identity {
        Identity { issuer: IssuerId::new(issuer).unwrap(), subject: Subject::new(subject).unwrap() }
    }

    #[test]
    fn a_subject_that_fits_is_readable() {
        assert_eq!(source_identity(&identity("okta", "00u1a2b3")), "okta.00u1a2b3");
        assert_eq!(source_identity(&identity("kc", "jane@example.com")), "kc.jane@example.com");
    }

    #[test]
    fn subjects_that_do_not_fit_are_hashed_apart() {
        let long = "x".repeat(80);
        let names: HashSet<String> = [&*long, &format!("{long}y"), "auth0|1", "auth0|2", "auth0:1", "ü", "u\u{308}"]
            .into_iter()
            .map(|subject| source_identity(&identity("a", subject)))
            .collect();
        assert_eq!(names.len(), 7);
        assert!(source_identity(&identity("a", "auth0|1")).starts_with("a+"));
    }

    proptest! {
        #[test]
        fn every_identity_has_a_legal_name(issuer in "[a-z0-9-]{1,32}", subject in "\\PC{1,100}") {
            let name = source_identity(&identity(&issuer, &subject));
            prop_assert!((2..=64).contains(&name.len()));
            prop_assert!(name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)));
        }

        #[test]
        fn names_are_apart_when_identities_are(
            a in ("[a-c-]{1,2}", "[a.+|]{1,4}"), b in ("[a-c-]{1,2}", "[a.+|]{1,4}")
        ) {
            let (one, other) = (identity(&a.0, &a.1), identity(&b.0, &b.1));
            prop_assert_eq!(one == other, source_identity(&one) == source_identity(&other));
        }
    }
}
