//! The made-up bank: an account with two domains and two issuing roles, and five users, each for something that can happen.

use std::collections::BTreeMap;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::grant::{Grant, Landing};
use latchkey_domain::identity::Subject;
use latchkey_domain::names::{
    AccountId, DomainId, ExternalId, LandingName, LandingUri, Region, RoleArn, SpaceName, TargetName, UserProfileName,
};
use latchkey_domain::subject::Standing;
use latchkey_domain::target::Target;

use super::StackError;
use crate::aws::policy::Policy;
use crate::aws::{Caller, Credentials, Domain, Role, SourceIdentity, World};

pub(super) const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "111122223333";
const ISSUING_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing";
pub(super) const ISSUING_EXTERNAL_ID: &str = "latchkey-demo";
const RISK_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing-risk";
const RISK_EXTERNAL_ID: &str = "latchkey-demo-risk";
const FUNCTION_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-broker";
const RESEARCH: &str = "d-demoresearch";
const RISK: &str = "d-demorisk";
const TEAM_SPACE: &str = "team-notebooks";
const DAY: i64 = 86_400;

/// A made-up user, and what the table should say about them.
#[derive(Debug, Clone)]
pub struct DemoUser {
    /// What people type.
    pub name: String,
    /// `sub` of the user's tokens.
    pub subject: Subject,
    /// The name on the sign-in page.
    pub display_name: String,
    /// What the user is there to show.
    pub about: String,
    /// Whether the user is suspended.
    pub standing: Standing,
    /// The user's grants.
    pub grants: Vec<Grant>,
}

pub(super) struct Demo {
    pub(super) world: World,
    pub(super) users: Vec<DemoUser>,
    pub(super) function: Credentials,
    pub(super) issuing_role: RoleArn,
}

impl Demo {
    pub(super) fn new(now: Timestamp) -> Result<Self, StackError> {
        let function = Credentials::temporary()?;
        Ok(Self { world: world(&function)?, users: users(now)?, function, issuing_role: RoleArn::new(ISSUING_ROLE)? })
    }
}

fn world(function: &Credentials) -> Result<World, StackError> {
    let region = Region::new(REGION)?;
    let account_id = AccountId::new(ACCOUNT)?;
    let role = |arn: &str, external_id: &str, domain: &str| -> Result<Role, StackError> {
        Ok(Role {
            arn: RoleArn::new(arn)?,
            trusted: vec![FUNCTION_ROLE.to_owned()],
            external_id: Some(ExternalId::new(external_id)?),
            source_identity: SourceIdentity::Allowed,
            max_session_seconds: 3600,
            policy: Policy::allow(
                ["sagemaker:CreatePresignedDomainUrl", "sagemaker:DescribeUserProfile"],
                [format!("arn:aws:sagemaker:{REGION}:{ACCOUNT}:user-profile/{domain}/*")],
            )
            .and(Policy::allow(["sagemaker:DescribeDomain"], [format!("arn:aws:sagemaker:{REGION}:{ACCOUNT}:domain/{domain}")])),
        })
    };
    let domain = |id: &str, profiles: &[&str], spaces: &[&str]| -> Result<Domain, StackError> {
        Ok(Domain::in_service(
            DomainId::new(id)?,
            region.clone(),
            account_id.clone(),
            profiles.iter().map(|name| UserProfileName::new(*name)).collect::<Result<_, _>>()?,
            spaces.iter().map(|name| SpaceName::new(*name)).collect::<Result<_, _>>()?,
        ))
    };
    Ok(World {
        callers: vec![Caller {
            credentials: function.clone(),
            account_id: account_id.clone(),
            arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/latchkey-broker/latchkey-broker"),
            role_arn: Some(RoleArn::new(FUNCTION_ROLE)?),
            policy: Policy::allow(["sts:AssumeRole", "sts:SetSourceIdentity"], [ISSUING_ROLE, RISK_ROLE]),
            expires_at: None,
        }],
        roles: vec![role(ISSUING_ROLE, ISSUING_EXTERNAL_ID, RESEARCH)?, role(RISK_ROLE, RISK_EXTERNAL_ID, RISK)?],
        domains: vec![domain(RESEARCH, &["alice", "bob", "carol", "erin"], &[TEAM_SPACE])?, domain(RISK, &["bob"], &[])?],
    })
}

fn users(now: Timestamp) -> Result<Vec<DemoUser>, StackError> {
    let user = |name: &str, display_name: &str, about: &str, standing: Standing, grants: Vec<Grant>| -> Result<DemoUser, StackError> {
        Ok(DemoUser {
            name: name.to_owned(),
            subject: Subject::new(format!("demo-{name}"))?,
            display_name: display_name.to_owned(),
            about: about.to_owned(),
            standing,
            grants,
        })
    };

    let mut bob = studio("research", RESEARCH, "bob")?;
    bob.default = true;
    bob.landings = BTreeMap::from([
        (
            LandingName::new("notebooks")?,
            Landing { landing_uri: Some(LandingUri::new("app:JupyterLab:lab")?), space_name: Some(SpaceName::new(TEAM_SPACE)?) },
        ),
        (LandingName::new("canvas")?, Landing { landing_uri: Some(LandingUri::new("app:Canvas:")?), space_name: None }),
    ]);
    bob.landing = Some(LandingName::new("notebooks")?);
    let mut bob_risk = studio("risk", RISK, "bob")?;
    bob_risk.role_arn = Some(RoleArn::new(RISK_ROLE)?);
    bob_risk.external_id = Some(ExternalId::new(RISK_EXTERNAL_ID)?);
    bob_risk.url_seconds = Some(15);
    bob_risk.session_seconds = Some(3600);

    let mut erin = studio("research", RESEARCH, "erin")?;
    erin.not_before = Some(Timestamp::from_unix_seconds(now.unix_seconds() - 30 * DAY));
    erin.expires_at = Some(Timestamp::from_unix_seconds(now.unix_seconds() - DAY));

    Ok(vec![
        user("alice", "Alice Ahrens", "One studio: it opens.", Standing::Active, vec![studio("research", RESEARCH, "alice")?])?,
        user("bob", "Bob Baumann", "Two targets, one of them with places to land in.", Standing::Active, vec![bob, bob_risk])?,
        user("carol", "Carol Conrad", "Suspended: nothing opens.", Standing::Suspended, vec![studio("research", RESEARCH, "carol")?])?,
        user("dave", "Dave Decker", "Has no grant: nothing opens.", Standing::Active, Vec::new())?,
        user("erin", "Erin Ebert", "Her grant ended yesterday: nothing opens.", Standing::Active, vec![erin])?,
    ])
}

fn studio(name: &str, domain_id: &str, user_profile_name: &str) -> Result<Grant, StackError> {
    Ok(Grant {
        name: TargetName::new(name)?,
        target: Target::Studio { domain_id: DomainId::new(domain_id)?, user_profile_name: UserProfileName::new(user_profile_name)? },
        region: Some(Region::new(REGION)?),
        account_id: None,
        role_arn: None,
        external_id: None,
        enabled: true,
        default: false,
        not_before: None,
        expires_at: None,
        url_seconds: None,
        session_seconds: None,
        landings: BTreeMap::new(),
        landing: None,
    })
}
