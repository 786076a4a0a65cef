//! What the gate asks of a notebook instance.

use super::{Finding, IN_SERVICE, Inspection, NotReady, is_customer_key};

/// What AWS says of a notebook instance (`DescribeNotebookInstance`). Absent is what AWS did not say.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct NotebookFacts<'a> {
    /// `MinimumInstanceMetadataServiceVersion` of its `InstanceMetadataServiceConfiguration`; AWS's default is 1.
    pub minimum_imds_version: Option<&'a str>,
    /// Its `RootAccess`.
    pub root_access: Option<&'a str>,
    /// Its `DirectInternetAccess`.
    pub direct_internet: Option<&'a str>,
    /// Its `KmsKeyId`: id, ARN or alias of a key.
    pub kms_key: Option<&'a str>,
    /// Its `NotebookInstanceStatus`.
    pub status: Option<&'a str>,
}

impl NotebookFacts<'_> {
    /// Judges them.
    pub fn judge(&self) -> Inspection {
        const OFF: Option<&str> = Some("Disabled");
        let is_sound = [
            (Finding::InstanceMetadataV1, self.minimum_imds_version == Some("2")),
            (Finding::RootAccess, self.root_access == OFF),
            (Finding::DirectInternet, self.direct_internet == OFF),
            (Finding::NotebookNoCustomerKey, self.kms_key.is_some_and(is_customer_key)),
            (Finding::NotebookNotInService, self.status == Some(IN_SERVICE)),
        ];
        Inspection {
            findings: is_sound.into_iter().filter(|(_, is_sound)| !is_sound).map(|(finding, _)| finding).collect(),
            not_ready: (self.status != Some(IN_SERVICE)).then(|| NotReady::new(self.status)),
            aws_request_ids: Vec::new(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: NotebookFacts<'_> = NotebookFacts {
        minimum_imds_version: Some("2"),
        root_access: Some("Disabled"),
        direct_internet: Some("Disabled"),
        kms_key: Some("arn:aws:kms:eu-central-1:111122223333:key/0c2b8f5e-6f1d-4a0e-9d3b-7a1c5e9f2b46"),
        status: Some("InService"),
    };

    /// What is wrong, what is missing, and what nobody knows is one finding each.
    #[test]
    fn whatever_is_not_known_to_be_right_is_a_finding() {
        assert_eq!(SOUND.judge(), Inspection::default());
        for minimum_imds_version in [Some("1"), Some("3"), Some("2.0"), Some(""), None] {
            let judged = NotebookFacts { minimum_imds_version, ..SOUND }.judge();
            assert_eq!(judged.findings, [Finding::InstanceMetadataV1], "{minimum_imds_version:?}");
        }
        for switch in [Some("Enabled"), Some("disabled"), Some("Off"), Some(""), None] {
            assert_eq!(NotebookFacts { root_access: switch, ..SOUND }.judge().findings, [Finding::RootAccess], "{switch:?}");
            assert_eq!(NotebookFacts { direct_internet: switch, ..SOUND }.judge().findings, [Finding::DirectInternet], "{switch:?}");
        }
        for kms_key in [Some(""), Some("alias/aws/sagemaker"), Some("arn:aws:kms:eu-central-1:111122223333:alias/aws/sagemaker"), None] {
            assert_eq!(NotebookFacts { kms_key, ..SOUND }.judge().findings, [Finding::NotebookNoCustomerKey], "{kms_key:?}");
        }
        let nothing = NotebookFacts::default().judge();
        assert_eq!(nothing.findings, Finding::ALL[5..10]);
        assert!(nothing.is_unsound());
    }

    #[test]
    fn a_notebook_that_is_stopped_says_so() {
        for (status, passes) in [("Stopped", false), ("Stopping", false), ("Pending", true), ("Updating", true), ("Failed", false)] {
            let judged = NotebookFacts { status: Some(status), ..SOUND }.judge();
            assert_eq!(judged.findings, [Finding::NotebookNotInService]);
            assert_eq!(judged.not_ready, Some(NotReady { state: status.to_owned(), passes }));
            assert!(!judged.is_unsound());
        }
    }
}
