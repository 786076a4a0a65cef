//! The posture gate: whether a door is sound, looked at before a URL is made for it.
//!
//! What AWS says of a target comes in as plain text, and anything that is not known to be right is a finding: a value that
//! AWS invents tomorrow closes the door rather than opens it.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;
use crate::names::RoleArn;

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
    /// The target could not be looked at. Under [`PostureMode::Report`] only: it is refused otherwise.
    NotInspected,
}

impl Finding {
    /// Every finding.
    pub const ALL: [Self; 6] = [
        Self::AuthModeNotIam,
        Self::NotVpcOnly,
        Self::NoCustomerKey,
        Self::DomainNotInService,
        Self::ProfileNotInService,
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
            Self::NotInspected => "posture.not-inspected",
        }
    }
}

/// The state of what can be opened, in SageMaker's word.
const IN_SERVICE: &str = "InService";

/// The states that pass by themselves, so that waiting helps.
const PASSING_STATES: [&str; 2] = ["Pending", "Updating"];

/// What is said of a state that AWS does not tell, or tells in no word.
const UNKNOWN_STATE: &str = "Unknown";

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
        let is_of_state = |finding: &Finding| matches!(finding, Finding::DomainNotInService | Finding::ProfileNotInService);
        self.findings.iter().any(|finding| !is_of_state(finding))
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
    /// Reads a state. Callers see it, so it is one word or nothing.
    fn new(state: Option<&str>) -> Self {
        let is_word = |state: &&str| (1..=32).contains(&state.len()) && state.bytes().all(|b| b.is_ascii_alphabetic() || b == b'_');
        let state = state.filter(is_word).unwrap_or(UNKNOWN_STATE);
        Self { state: state.to_owned(), passes: PASSING_STATES.contains(&state) }
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
#[derive(Debug, Default)]
pub struct PostureGate {
    mode: PostureMode,
    kept: Mutex<HashMap<Door, Kept>>,
}

/// What is looked at, and as whom.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Door {
    pub(crate) resource_arn: String,
    pub(crate) role: Option<RoleArn>,
}

#[derive(Debug)]
struct Kept {
    findings: Vec<Finding>,
    at: Timestamp,
}

impl Kept {
    /// By the clock on the wall: the other one may stand still while the environment is frozen. A clock that was set back ends
    /// what seems to come from the future.
    fn is_fresh(&self, now: Timestamp) -> bool {
        self.at <= now && now < self.at.plus_seconds(FINDINGS_SECONDS)
    }
}

impl PostureGate {
    /// A gate that has seen nothing yet.
    pub fn new(mode: PostureMode) -> Self {
        Self { mode, kept: Mutex::default() }
    }

    /// What it does.
    pub const fn mode(&self) -> PostureMode {
        self.mode
    }

    /// What was seen of this door within the last minutes.
    pub(crate) fn findings(&self, door: &Door, now: Timestamp) -> Option<Vec<Finding>> {
        self.kept().get(door).filter(|kept| kept.is_fresh(now)).map(|kept| kept.findings.clone())
    }

    /// Keeps what was seen, if it will hold for a while.
    pub(crate) fn keep(&self, door: Door, inspection: &Inspection, now: Timestamp) {
        if inspection.not_ready.is_some() {
            return;
        }
        let mut kept = self.kept();
        if kept.len() >= MAX_FINDINGS && !kept.contains_key(&door) {
            kept.retain(|_, kept| kept.is_fresh(now));
            if kept.len() >= MAX_FINDINGS
                && let Some(oldest) = kept.iter().min_by_key(|(_, kept)| kept.at).map(|(door, _)| door.clone())
            {
                kept.remove(&oldest);
            }
        }
        kept.insert(door, Kept { findings: inspection.findings.clone(), at: now });
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<Door, Kept>> {
        // Nothing that runs under the lock can leave the map half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

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
        gate.keep(door(1), &StudioFacts { profile_status: Some("Failed"), ..SOUND }.judge(), NOW);
        assert_eq!(gate.findings(&door(1), NOW), None);
    }

    #[test]
    fn the_cache_is_bounded_and_the_oldest_goes() {
        let gate = PostureGate::new(PostureMode::Report);
        let second = |number: usize| NOW.plus_seconds(i64::from(number > 0));
        for number in 0..MAX_FINDINGS {
            gate.keep(door(number), &seen(&[]), second(number));
        }
        let now = NOW.plus_seconds(2);
        gate.keep(door(MAX_FINDINGS), &seen(&[]), now);
        assert_eq!(gate.kept().len(), MAX_FINDINGS);
        assert_eq!(gate.findings(&door(0), now), None);
        // One that takes its own place needs no room, and what is over goes first.
        gate.keep(door(1), &seen(&[Finding::NotVpcOnly]), now);
        assert_eq!(gate.kept().len(), MAX_FINDINGS);
        let later = NOW.plus_seconds(301);
        gate.keep(door(0), &seen(&[]), later);
        assert_eq!(gate.kept().len(), 3, "the two that were kept last, and the new one");
    }
}
