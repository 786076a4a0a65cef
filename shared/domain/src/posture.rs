//! The posture gate: whether a door is sound, looked at before a URL is made for it.
//!
//! What AWS says of a target comes in as plain text, and anything that is not known to be right is a finding: a value that
//! AWS invents tomorrow closes the door rather than opens it.

mod notebook;
mod studio;

use crate::clock::Timestamp;
use crate::decision::{Code, Denial, RETRY_AFTER_NOT_READY, Reason};
use crate::names::RoleArn;
use crate::recent::Recent;

pub use self::notebook::NotebookFacts;
pub use self::studio::StudioFacts;

/// What the gate does (`LATCHKEY_POSTURE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum PostureMode {
    /// Nothing: no target is looked at.
    #[default]
    Off,
    /// Targets are looked at, and what falls short is audited. Nothing is refused, not even what cannot be looked at.
    Report,
    /// What falls short is refused, and so is what cannot be looked at.
    Enforce,
}

impl PostureMode {
    /// Whether targets are looked at.
    pub const fn inspects(self) -> bool {
        match self {
            Self::Off => false,
            Self::Report | Self::Enforce => true,
        }
    }
}

/// How a target falls short: a closed vocabulary, as the audit record has it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Finding {
    /// The domain's users do not sign in with IAM.
    AuthModeNotIam,
    /// The domain's apps reach the internet past the VPC.
    NotVpcOnly,
    /// The domain's storage is not encrypted with a customer's key.
    NoCustomerKey,
    /// The domain is not in service.
    DomainNotInService,
    /// The user profile is not in service.
    ProfileNotInService,
    /// The notebook instance still answers to version 1 of the instance metadata service.
    InstanceMetadataV1,
    /// The notebook instance's users are root.
    RootAccess,
    /// The notebook instance reaches the internet past the VPC.
    DirectInternet,
    /// The notebook instance's volume is not encrypted with a customer's key.
    NotebookNoCustomerKey,
    /// The notebook instance is not in service.
    NotebookNotInService,
    /// The target could not be looked at. Under [`PostureMode::Report`] only: it is refused otherwise.
    NotInspected,
}

impl Finding {
    /// Every finding.
    pub const ALL: [Self; 11] = [
        Self::AuthModeNotIam,
        Self::NotVpcOnly,
        Self::NoCustomerKey,
        Self::DomainNotInService,
        Self::ProfileNotInService,
        Self::InstanceMetadataV1,
        Self::RootAccess,
        Self::DirectInternet,
        Self::NotebookNoCustomerKey,
        Self::NotebookNotInService,
        Self::NotInspected,
    ];

    /// The finding as audit records write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AuthModeNotIam => "domain.auth-mode-not-iam",
            Self::NotVpcOnly => "domain.not-vpc-only",
            Self::NoCustomerKey => "domain.no-customer-key",
            Self::DomainNotInService => "domain.not-in-service",
            Self::ProfileNotInService => "profile.not-in-service",
            Self::InstanceMetadataV1 => "notebook.imds-v1",
            Self::RootAccess => "notebook.root-access",
            Self::DirectInternet => "notebook.direct-internet",
            Self::NotebookNoCustomerKey => "notebook.no-customer-key",
            Self::NotebookNotInService => "notebook.not-in-service",
            Self::NotInspected => "posture.not-inspected",
        }
    }

    /// Whether it is of a state, which waiting or starting may change.
    const fn is_of_state(self) -> bool {
        match self {
            Self::DomainNotInService | Self::ProfileNotInService | Self::NotebookNotInService => true,
            Self::AuthModeNotIam
            | Self::NotVpcOnly
            | Self::NoCustomerKey
            | Self::InstanceMetadataV1
            | Self::RootAccess
            | Self::DirectInternet
            | Self::NotebookNoCustomerKey
            | Self::NotInspected => false,
        }
    }
}

/// The state of what can be opened, in SageMaker's word.
const IN_SERVICE: &str = "InService";

/// The states that pass by themselves, so that waiting helps, of every kind of target.
const PASSING_STATES: [&str; 7] =
    ["Pending", "Updating", "Creating", "Starting", "InMaintenance", "PendingMaintenance", "MaintenanceInProgress"];

/// What is said of a state that AWS does not tell, or tells in no word.
const UNKNOWN_STATE: &str = "Unknown";

/// Whether a key is the customer's own. `alias/aws/…` is AWS's, by name or as the end of an ARN.
fn is_customer_key(key: &str) -> bool {
    let name = key.rsplit_once(':').map_or(key, |(_, name)| name);
    !name.is_empty() && !name.starts_with("alias/aws/")
}

/// What was seen of a target.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Inspection {
    /// How it falls short.
    pub findings: Vec<Finding>,
    /// Its state, where it is not in service.
    pub not_ready: Option<NotReady>,
    /// The ids of the AWS requests that looked.
    pub aws_request_ids: Vec<String>,
}

impl Inspection {
    /// Whether waiting would not change that it is refused.
    pub(crate) fn is_unsound(&self) -> bool {
        self.findings.iter().any(|finding| !finding.is_of_state())
    }
}

/// The state of a target that cannot be opened now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NotReady {
    /// The state, as AWS names it.
    pub state: String,
    /// Whether it passes by itself.
    pub passes: bool,
}

impl NotReady {
    /// Reads a state, in AWS's word for it. Callers see it, so it is one word or nothing.
    pub fn new(state: Option<&str>) -> Self {
        let is_word = |state: &&str| (1..=32).contains(&state.len()) && state.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let state = state.filter(is_word).unwrap_or(UNKNOWN_STATE);
        Self { state: state.to_owned(), passes: PASSING_STATES.contains(&state) }
    }

    /// The refusal of a target in this state, with when to try again where that helps.
    pub fn refusal(&self, reason: Reason) -> Denial {
        let denial = Denial::new(Code::TargetNotReady, reason).with_state(self.state.clone());
        if self.passes { denial.with_retry_after(RETRY_AFTER_NOT_READY) } else { denial }
    }
}

/// How long findings are used, in seconds: what somebody repairs, or breaks, shows after that at the latest.
pub const FINDINGS_SECONDS: i64 = 300;

/// Most targets whose findings are kept. The oldest make room.
pub const MAX_FINDINGS: usize = 256;

/// The gate: what it does, and what it has seen lately.
///
/// | cache | key | lifetime | bound |
/// | --- | --- | --- | --- |
/// | findings | resource ARN, role | [`FINDINGS_SECONDS`] | [`MAX_FINDINGS`], oldest out |
///
/// Only targets in service are kept: a state that is not passes, and a failure to look is no finding.
#[derive(Debug)]
pub struct PostureGate {
    mode: PostureMode,
    seen: Recent<Door, Vec<Finding>>,
}

/// What is looked at, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Door {
    pub(crate) resource_arn: String,
    pub(crate) role: Option<RoleArn>,
}

impl Default for PostureGate {
    fn default() -> Self {
        Self::new(PostureMode::Off)
    }
}

impl PostureGate {
    /// A gate that has seen nothing yet.
    pub fn new(mode: PostureMode) -> Self {
        Self { mode, seen: Recent::new(FINDINGS_SECONDS, MAX_FINDINGS) }
    }

    /// What it does.
    pub const fn mode(&self) -> PostureMode {
        self.mode
    }

    /// What was seen of this door within the last minutes.
    pub(crate) fn findings(&self, door: &Door, now: Timestamp) -> Option<Vec<Finding>> {
        self.seen.get(door, now)
    }

    /// Keeps what was seen, if it will hold for a while.
    pub(crate) fn keep(&self, door: Door, inspection: &Inspection, now: Timestamp) {
        if inspection.not_ready.is_none() {
            self.seen.keep(door, inspection.findings.clone(), now);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn a_state_is_one_word() {
        for (state, shown, passes) in [
            (Some("Pending"), "Pending", true),
            (Some("Updating"), "Updating", true),
            (Some("Starting"), "Starting", true),
            (Some("Creating"), "Creating", true),
            (Some("InMaintenance"), "InMaintenance", true),
            (Some("Stopping"), "Stopping", false),
            (Some("Stopped"), "Stopped", false),
            (Some("Failed"), "Failed", false),
            (Some("Update_Failed"), "Update_Failed", false),
            (Some("Sleeping"), "Sleeping", false),
            (Some("pending"), "pending", false),
            (Some("<b>Pending</b>"), "Unknown", false),
            (Some(""), "Unknown", false),
            (None, "Unknown", false),
        ] {
            assert_eq!(NotReady::new(state), NotReady { state: shown.to_owned(), passes }, "{state:?}");
        }
    }

    #[test]
    fn findings_have_names_of_their_own() {
        let names: std::collections::HashSet<&str> = Finding::ALL.iter().map(|finding| finding.as_str()).collect();
        assert_eq!(names.len(), Finding::ALL.len());
    }

    fn door(number: usize) -> Door {
        Door { resource_arn: format!("arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/p{number}"), role: None }
    }

    fn seen(findings: &[Finding]) -> Inspection {
        Inspection { findings: findings.to_vec(), ..Inspection::default() }
    }

    #[test]
    fn findings_are_kept_for_five_minutes_by_target_and_role() {
        let gate = PostureGate::new(PostureMode::Report);
        gate.keep(door(0), &seen(&[Finding::NotVpcOnly]), NOW);
        assert_eq!(gate.findings(&door(0), NOW), Some(vec![Finding::NotVpcOnly]));
        assert_eq!(gate.findings(&door(0), NOW.plus_seconds(299)), Some(vec![Finding::NotVpcOnly]));
        assert_eq!(gate.findings(&door(0), NOW.plus_seconds(300)), None);
        assert_eq!(gate.findings(&door(0), NOW.plus_seconds(-1)), None, "the clock was set back");
        assert_eq!(gate.findings(&door(1), NOW), None);
        let role = RoleArn::new("arn:aws:iam::111122223333:role/issuing").ok();
        assert_eq!(gate.findings(&Door { role, ..door(0) }, NOW), None);
        // What is not in service changes soon.
        let failed = Inspection { not_ready: Some(NotReady::new(Some("Failed"))), ..Inspection::default() };
        gate.keep(door(1), &failed, NOW);
        assert_eq!(gate.findings(&door(1), NOW), None);
    }
}
