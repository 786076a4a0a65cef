//! The bank's people, and what each of them was granted.

use std::collections::BTreeMap;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::grant::{Grant, Landing};
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Subject};
use latchkey_domain::names::{
    AccountId, DomainId, ExternalId, LandingName, LandingUri, MlflowAppArn, NotebookInstanceName, PartnerAppArn, Region, RoleArn,
    SecurityGroupId, SpaceName, TagKey, TagValue, TargetName, TrackingServerName, UserProfileName,
};
use latchkey_domain::provision::Provision;
use latchkey_domain::subject::Standing;
use latchkey_domain::target::{MlflowApp, MlflowServer, Notebook, PartnerApp, Studio, Target};

use super::{
    DUBLIN, DUBLIN_ACCOUNT, DUBLIN_EXTERNAL_ID, DUBLIN_REGION, DUBLIN_ROLE, DemoGroup, DemoUser, EXECUTION_ROLE, FRANKS_NOTEBOOK,
    GRACES_NOTEBOOK, MLFLOW_APP, PARTNER_APP, REGION, RESEARCH, RISK, RISK_EXTERNAL_ID, RISK_ROLE, STOPPED_NOTEBOOK, TEAM_SPACE,
    TRACKING_SERVER, UNSAFE_NOTEBOOK,
};
use crate::stack::StackError;

const DAY: i64 = 86_400;

pub(super) fn users(now: Timestamp) -> Result<Vec<DemoUser>, StackError> {
    let active = |name, display_name, about, grants| user(name, display_name, about, Standing::Active, grants);
    let carol = vec![studio("research", RESEARCH, "carol")?];
    Ok(vec![
        active("alice", "Alice Ahrens", "One studio: it opens.", vec![studio("research", RESEARCH, "alice")?])?,
        active("bob", "Bob Baumann", "Two targets, one of them with places to land in.", bob()?)?,
        user("carol", "Carol Conrad", "Suspended: nothing opens.", Standing::Suspended, carol)?,
        active("dave", "Dave Decker", "Has no grant: nothing opens.", Vec::new())?,
        active("erin", "Erin Ebert", "Her grant ended yesterday: nothing opens.", vec![erin(now)?])?,
        active("frank", "Frank Fischer", "One door of each kind.", frank()?)?,
        active("grace", "Grace Gallagher", "Works in another account and region.", grace()?)?,
        active("heidi", "Heidi Hartmann", "Her notebooks are not as they should be.", heidi()?)?,
        active("ivan", "Ivan Iversen", "His profile is made when he comes first.", vec![made_at_first_login("ivan")?])?,
        // The profile `bob` is there, and was made by somebody else: AWS compares the names without case.
        active("judy", "Judy Jansen", "Her profile's name is taken.", vec![made_at_first_login("Bob")?])?,
        member("kate", "Kate Keller", "Opens what her group was granted.", &[DESK], Some("kate"), Vec::new())?,
        member("leo", "Leo Lorenz", "Kept out of his group's studio by a row of his own.", &[DESK], Some("leo"), vec![leo()?])?,
        member("mia", "Mia Moser", "Her two groups differ over one target.", &[DESK, MLOPS], Some("mia"), Vec::new())?,
        member("nick", "Nick Neumann", "In the group, and without a profile.", &[DESK], None, Vec::new())?,
    ])
}

/// The group that has a studio for each of its people, and a tracking server for all of them.
const DESK: &str = "research-desk";
/// The group that has the tracking server on other terms.
const MLOPS: &str = "mlops";

pub(super) fn groups() -> Result<Vec<DemoGroup>, StackError> {
    let server = || grant("runs", MlflowServer { tracking_server_name: TrackingServerName::new(TRACKING_SERVER)? });
    let mut research = studio("research", RESEARCH, "anybody")?;
    research.default = true;
    let mut short = server()?;
    short.url_seconds = Some(15);
    let group = |name: &str, grants: Vec<Grant>| -> Result<DemoGroup, StackError> {
        let of_group = |grant: &Grant| {
            let mut item = grant.to_item();
            // Each of its people has a profile of their own.
            item.remove("user_profile_name");
            GroupGrant::from_item(grant.name.clone(), &item)
        };
        Ok(DemoGroup { group: Group::new(name)?, grants: grants.iter().map(of_group).collect::<Result<_, _>>()? })
    };
    Ok(vec![group(DESK, vec![research, server()?])?, group(MLOPS, vec![short])?])
}

fn member(
    name: &str,
    display_name: &str,
    about: &str,
    groups: &[&str],
    profile: Option<&str>,
    grants: Vec<Grant>,
) -> Result<DemoUser, StackError> {
    Ok(DemoUser {
        groups: groups.iter().map(|group| Group::new(*group)).collect::<Result<_, _>>()?,
        profile: profile.map(UserProfileName::new).transpose()?,
        ..user(name, display_name, about, Standing::Active, grants)?
    })
}

fn leo() -> Result<Grant, StackError> {
    Ok(Grant { enabled: false, ..studio("research", RESEARCH, "leo")? })
}

fn user(name: &str, display_name: &str, about: &str, standing: Standing, grants: Vec<Grant>) -> Result<DemoUser, StackError> {
    Ok(DemoUser {
        name: name.to_owned(),
        subject: Subject::new(format!("demo-{name}"))?,
        display_name: display_name.to_owned(),
        about: about.to_owned(),
        standing,
        grants,
        groups: Vec::new(),
        profile: None,
    })
}

fn bob() -> Result<Vec<Grant>, StackError> {
    let mut research = studio("research", RESEARCH, "bob")?;
    research.default = true;
    research.landings = BTreeMap::from([
        (
            LandingName::new("notebooks")?,
            Landing { landing_uri: Some(LandingUri::new("app:JupyterLab:lab")?), space_name: Some(SpaceName::new(TEAM_SPACE)?) },
        ),
        (LandingName::new("canvas")?, Landing { landing_uri: Some(LandingUri::new("app:Canvas:")?), space_name: None }),
    ]);
    research.landing = Some(LandingName::new("notebooks")?);
    let mut risk = studio("risk", RISK, "bob")?;
    risk.role_arn = Some(RoleArn::new(RISK_ROLE)?);
    risk.external_id = Some(ExternalId::new(RISK_EXTERNAL_ID)?);
    risk.url_seconds = Some(15);
    risk.session_seconds = Some(3600);
    Ok(vec![research, risk])
}

fn erin(now: Timestamp) -> Result<Grant, StackError> {
    let mut grant = studio("research", RESEARCH, "erin")?;
    grant.not_before = Some(Timestamp::from_unix_seconds(now.unix_seconds() - 30 * DAY));
    grant.expires_at = Some(Timestamp::from_unix_seconds(now.unix_seconds() - DAY));
    Ok(grant)
}

fn frank() -> Result<Vec<Grant>, StackError> {
    let mut first = studio("studio", RESEARCH, "frank")?;
    first.default = true;
    let server = MlflowServer { tracking_server_name: TrackingServerName::new(TRACKING_SERVER)? };
    Ok(vec![
        first,
        notebook("notebook", FRANKS_NOTEBOOK)?,
        grant("mlflow-server", server)?,
        grant("mlflow-app", MlflowApp { arn: MlflowAppArn::new(MLFLOW_APP)? })?,
        grant("partner-app", PartnerApp { arn: PartnerAppArn::new(PARTNER_APP)? })?,
    ])
}

fn grace() -> Result<Vec<Grant>, StackError> {
    let mut grants = vec![studio("dublin", DUBLIN, "grace")?, notebook("notebook", GRACES_NOTEBOOK)?];
    for grant in &mut grants {
        grant.default = grant.name.as_str() == "dublin";
        grant.region = Some(Region::new(DUBLIN_REGION)?);
        grant.account_id = Some(AccountId::new(DUBLIN_ACCOUNT)?);
        grant.role_arn = Some(RoleArn::new(DUBLIN_ROLE)?);
        grant.external_id = Some(ExternalId::new(DUBLIN_EXTERNAL_ID)?);
    }
    Ok(grants)
}

fn heidi() -> Result<Vec<Grant>, StackError> {
    Ok(vec![notebook("stopped", STOPPED_NOTEBOOK)?, notebook("unsafe", UNSAFE_NOTEBOOK)?])
}

fn made_at_first_login(profile: &str) -> Result<Grant, StackError> {
    let mut grant = studio("research", RESEARCH, profile)?;
    grant.provision = Some(Provision {
        execution_role_arn: RoleArn::new(EXECUTION_ROLE)?,
        security_group_ids: vec![SecurityGroupId::new("sg-0123456789abcdef0")?],
        tags: BTreeMap::from([(TagKey::new("team")?, TagValue::new("research")?)]),
        role_arn: None,
        external_id: None,
    });
    Ok(grant)
}

fn studio(name: &str, domain_id: &str, user_profile_name: &str) -> Result<Grant, StackError> {
    grant(name, Studio { domain_id: DomainId::new(domain_id)?, user_profile_name: UserProfileName::new(user_profile_name)? })
}

fn notebook(name: &str, notebook_instance_name: &str) -> Result<Grant, StackError> {
    grant(name, Notebook { notebook_instance_name: NotebookInstanceName::new(notebook_instance_name)? })
}

fn grant(name: &str, target: impl Into<Target>) -> Result<Grant, StackError> {
    Ok(Grant {
        name: TargetName::new(name)?,
        target: target.into(),
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
        provision: None,
    })
}
