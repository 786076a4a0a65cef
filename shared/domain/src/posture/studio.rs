//! What the gate asks of a Studio domain and a user profile in it.

use super::{Finding, IN_SERVICE, Inspection, NotReady, is_customer_key};

/// What AWS says of a Studio domain and of a user profile in it. Absent is what AWS did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct StudioFacts<'a> {
    /// The domain's `AuthMode`.
    pub auth_mode: Option<&'a str>,
    /// The domain's `AppNetworkAccessType`.
    pub network_access: Option<&'a str>,
    /// The domain's `KmsKeyId`: id, ARN or alias of a key.
    pub kms_key: Option<&'a str>,
    /// The domain's `Status`.
    pub domain_status: Option<&'a str>,
    /// The user profile's `Status`.
    pub profile_status: Option<&'a str>,
}

impl StudioFacts<'_> {
    /// Judges them.
    pub fn judge(&self) -> Inspection {
        let is_sound = [
            (Finding::AuthModeNotIam, self.auth_mode == Some("IAM")),
            (Finding::NotVpcOnly, self.network_access == Some("VpcOnly")),
            (Finding::NoCustomerKey, self.kms_key.is_some_and(is_customer_key)),
            (Finding::DomainNotInService, self.domain_status == Some(IN_SERVICE)),
            (Finding::ProfileNotInService, self.profile_status == Some(IN_SERVICE)),
        ];
        // The profile cannot be well where the domain is not: its state is the one to name.
        let states = [self.domain_status, self.profile_status];
        let not_ready = states.into_iter().find(|state| *state != Some(IN_SERVICE)).map(NotReady::new);
        Inspection {
            findings: is_sound.into_iter().filter(|(_, is_sound)| !is_sound).map(|(finding, _)| finding).collect(),
            not_ready,
            aws_request_ids: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: StudioFacts<'_> = StudioFacts {
        auth_mode: Some("IAM"),
        network_access: Some("VpcOnly"),
        kms_key: Some("arn:aws:kms:eu-central-1:111122223333:key/0c2b8f5e-6f1d-4a0e-9d3b-7a1c5e9f2b46"),
        domain_status: Some("InService"),
        profile_status: Some("InService"),
    };

    #[test]
    fn a_sound_door_has_no_findings() {
        assert_eq!(SOUND.judge(), Inspection::default());
        for key in ["0c2b8f5e-6f1d-4a0e-9d3b-7a1c5e9f2b46", "mrk-1", "alias/studio", "arn:aws:kms:eu-central-1:111122223333:alias/studio"] {
            assert_eq!(StudioFacts { kms_key: Some(key), ..SOUND }.judge(), Inspection::default(), "{key}");
        }
    }

    /// What is wrong, what is missing, and what nobody knows is one finding each.
    #[test]
    fn whatever_is_not_known_to_be_right_is_a_finding() {
        for auth_mode in [Some("SSO"), Some("iam"), Some("IAM_V2"), Some(""), None] {
            assert_eq!(StudioFacts { auth_mode, ..SOUND }.judge().findings, [Finding::AuthModeNotIam], "{auth_mode:?}");
        }
        for network_access in [Some("PublicInternetOnly"), Some("vpconly"), Some("VpcMostly"), Some(""), None] {
            assert_eq!(StudioFacts { network_access, ..SOUND }.judge().findings, [Finding::NotVpcOnly], "{network_access:?}");
        }
        let of_aws = "arn:aws:kms:eu-central-1:111122223333:alias/aws/elasticfilesystem";
        for kms_key in [Some(""), Some("alias/aws/elasticfilesystem"), Some(of_aws), Some("arn:aws:kms:"), None] {
            assert_eq!(StudioFacts { kms_key, ..SOUND }.judge().findings, [Finding::NoCustomerKey], "{kms_key:?}");
        }
        let nothing = StudioFacts::default().judge();
        assert_eq!(nothing.findings, Finding::ALL[..5]);
        assert!(nothing.is_unsound());
    }

    #[test]
    fn what_is_not_in_service_has_a_state() {
        for (state, shown, passes) in [
            (Some("Pending"), "Pending", true),
            (Some("Updating"), "Updating", true),
            (Some("Failed"), "Failed", false),
            (Some("Update_Failed"), "Update_Failed", false),
            (Some("Delete_Failed"), "Delete_Failed", false),
            (Some("Deleting"), "Deleting", false),
            (Some("Sleeping"), "Sleeping", false),
            (Some("pending"), "pending", false),
            (Some("<b>Pending</b>"), "Unknown", false),
            (Some(""), "Unknown", false),
            (None, "Unknown", false),
        ] {
            let expected = Some(NotReady { state: shown.to_owned(), passes });
            let profile = StudioFacts { profile_status: state, ..SOUND }.judge();
            assert_eq!((profile.findings.as_slice(), &profile.not_ready), (&[Finding::ProfileNotInService][..], &expected), "{state:?}");
            let domain = StudioFacts { domain_status: state, ..SOUND }.judge();
            assert_eq!((domain.findings.as_slice(), &domain.not_ready), (&[Finding::DomainNotInService][..], &expected), "{state:?}");
            assert!(!profile.is_unsound() && !domain.is_unsound());
        }
        // Where neither is, the domain's state is the one that matters.
        let both = StudioFacts { domain_status: Some("Deleting"), profile_status: Some("Pending"), ..SOUND }.judge();
        assert_eq!(both.not_ready, Some(NotReady { state: "Deleting".to_owned(), passes: false }));
    }
}
