//! The made-up bank: two accounts with something of every kind in them, and fourteen users, each for something that can happen.

mod users;
mod world;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::grant::Grant;
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Subject};
use latchkey_domain::names::{RoleArn, UserProfileName};
use latchkey_domain::subject::Standing;

use super::StackError;
use crate::aws::{Credentials, World};

pub(super) const REGION: &str = "eu-central-1";
const ACCOUNT: &str = "111122223333";
const DUBLIN_REGION: &str = "eu-west-1";
const DUBLIN_ACCOUNT: &str = "444455556666";

const FUNCTION_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-broker";
const ISSUING_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing";
pub(super) const ISSUING_EXTERNAL_ID: &str = "latchkey-demo";
const RISK_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing-risk";
const RISK_EXTERNAL_ID: &str = "latchkey-demo-risk";
const DUBLIN_ROLE: &str = "arn:aws:iam::444455556666:role/latchkey-issuing";
const DUBLIN_EXTERNAL_ID: &str = "latchkey-demo-dublin";
const PROVISIONING_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-provisioning";
pub(super) const PROVISIONING_EXTERNAL_ID: &str = "latchkey-demo-provisioning";
/// The role that the work in Studio is done under.
const EXECUTION_ROLE: &str = "arn:aws:iam::111122223333:role/studio-execution";

const RESEARCH: &str = "d-demoresearch";
const RISK: &str = "d-demorisk";
const DUBLIN: &str = "d-demodublin";
const TEAM_SPACE: &str = "team-notebooks";
const FRANKS_NOTEBOOK: &str = "research-frank";
const GRACES_NOTEBOOK: &str = "dublin-grace";
const STOPPED_NOTEBOOK: &str = "research-heidi-stopped";
const UNSAFE_NOTEBOOK: &str = "research-heidi-unsafe";
const TRACKING_SERVER: &str = "experiments";
const MLFLOW_APP: &str = "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-app/app-DEMO00000001";
const PARTNER_APP: &str = "arn:aws:sagemaker:eu-central-1:111122223333:partner-app/app-DEMO00000001";

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
    /// The groups that the user is in.
    pub groups: Vec<Group>,
    /// The user's own profile, for the grants of groups.
    pub profile: Option<UserProfileName>,
}

/// A made-up group, and what the table should say it was granted.
#[derive(Debug, Clone)]
pub struct DemoGroup {
    /// The group.
    pub group: Group,
    /// The group's grants.
    pub grants: Vec<GroupGrant>,
}

pub(super) struct Demo {
    pub(super) world: World,
    pub(super) users: Vec<DemoUser>,
    pub(super) groups: Vec<DemoGroup>,
    pub(super) function: Credentials,
    pub(super) issuing_role: RoleArn,
    pub(super) provisioning_role: RoleArn,
}

impl Demo {
    pub(super) fn new(now: Timestamp) -> Result<Self, StackError> {
        let function = Credentials::temporary()?;
        Ok(Self {
            world: world::world(&function)?,
            users: users::users(now)?,
            groups: users::groups()?,
            function,
            issuing_role: RoleArn::new(ISSUING_ROLE)?,
            provisioning_role: RoleArn::new(PROVISIONING_ROLE)?,
        })
    }
}
