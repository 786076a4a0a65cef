//! What there is in the bank's accounts, and who may do what with it.

use latchkey_domain::names::{
    AccountId, DomainId, ExternalId, MlflowAppArn, NotebookInstanceName, PartnerAppArn, Region, RoleArn, SpaceName, TrackingServerName,
    UserProfileName,
};

use super::{
    ACCOUNT, DUBLIN, DUBLIN_ACCOUNT, DUBLIN_EXTERNAL_ID, DUBLIN_REGION, DUBLIN_ROLE, EXECUTION_ROLE, FRANKS_NOTEBOOK, FUNCTION_ROLE,
    GRACES_NOTEBOOK, ISSUING_EXTERNAL_ID, ISSUING_ROLE, MLFLOW_APP, PARTNER_APP, PROVISIONING_EXTERNAL_ID, PROVISIONING_ROLE, REGION,
    RESEARCH, RISK, RISK_EXTERNAL_ID, RISK_ROLE, STOPPED_NOTEBOOK, TEAM_SPACE, TRACKING_SERVER, UNSAFE_NOTEBOOK,
};
use crate::aws::policy::Policy;
use crate::aws::{
    Caller, Credentials, Domain, ImdsVersion, MlflowApp, NotebookInstance, NotebookStatus, PartnerApp, Role, SourceIdentity,
    TrackingServer, World,
};
use crate::stack::StackError;

/// What the templates deploy: tests/boundary/deployment.py writes it.
const DEPLOYMENT: &str = include_str!("deployment.json");

/// The broker calls from its own account; from there it may take on every role that is there for it. An operator of this bank works
/// with the same credentials, and so they may look at the deployment.
pub(super) fn world(function: &Credentials) -> Result<World, StackError> {
    Ok(World {
        callers: vec![Caller {
            credentials: function.clone(),
            account_id: AccountId::new(ACCOUNT)?,
            arn: format!("arn:aws:sts::{ACCOUNT}:assumed-role/latchkey-broker/latchkey-broker"),
            role_arn: Some(RoleArn::new(FUNCTION_ROLE)?),
            policy: Policy::allow(["sts:AssumeRole", "sts:SetSourceIdentity"], [ISSUING_ROLE, RISK_ROLE, DUBLIN_ROLE, PROVISIONING_ROLE])
                .and(Policy::allow(["cloudformation:GetResource", "cloudformation:ListResources"], ["*"])),
            expires_at: None,
        }],
        roles: vec![
            role(ISSUING_ROLE, ISSUING_EXTERNAL_ID, HOME.studio(RESEARCH).and(HOME.other_doors()))?,
            role(RISK_ROLE, RISK_EXTERNAL_ID, HOME.studio(RISK))?,
            role(DUBLIN_ROLE, DUBLIN_EXTERNAL_ID, ABROAD.studio(DUBLIN).and(ABROAD.other_doors()))?,
            role(PROVISIONING_ROLE, PROVISIONING_EXTERNAL_ID, HOME.provisioning(RESEARCH))?,
        ],
        domains: vec![
            HOME.domain(RESEARCH, &["alice", "bob", "carol", "erin", "frank", "kate", "leo", "mia"], &[TEAM_SPACE])?,
            HOME.domain(RISK, &["bob"], &[])?,
            ABROAD.domain(DUBLIN, &["grace"], &[])?,
        ],
        notebook_instances: vec![
            HOME.notebook(FRANKS_NOTEBOOK)?,
            NotebookInstance { status: NotebookStatus::Stopped, ..HOME.notebook(STOPPED_NOTEBOOK)? },
            NotebookInstance {
                minimum_imds_version: ImdsVersion::V1,
                root_access: true,
                direct_internet_access: true,
                kms_key: None,
                ..HOME.notebook(UNSAFE_NOTEBOOK)?
            },
            ABROAD.notebook(GRACES_NOTEBOOK)?,
        ],
        tracking_servers: vec![TrackingServer::in_service(
            TrackingServerName::new(TRACKING_SERVER)?,
            Region::new(REGION)?,
            AccountId::new(ACCOUNT)?,
        )],
        mlflow_apps: vec![MlflowApp::in_service(MlflowAppArn::new(MLFLOW_APP)?)],
        partner_apps: vec![PartnerApp::in_service(PartnerAppArn::new(PARTNER_APP)?)],
        deployment: serde_json::from_str(DEPLOYMENT)?,
    })
}

fn role(arn: &str, external_id: &str, policy: Policy) -> Result<Role, StackError> {
    Ok(Role {
        arn: RoleArn::new(arn)?,
        trusted: vec![FUNCTION_ROLE.to_owned()],
        external_id: Some(ExternalId::new(external_id)?),
        source_identity: SourceIdentity::Allowed,
        max_session_seconds: 3600,
        policy,
    })
}

/// A region of an account.
struct Site {
    region: &'static str,
    account_id: &'static str,
}

const HOME: Site = Site { region: REGION, account_id: ACCOUNT };
const ABROAD: Site = Site { region: DUBLIN_REGION, account_id: DUBLIN_ACCOUNT };

impl Site {
    fn arn(&self, resource: &str) -> String {
        format!("arn:aws:sagemaker:{}:{}:{resource}", self.region, self.account_id)
    }

    /// To make URLs for the profiles of one domain, and to look at both.
    fn studio(&self, domain_id: &str) -> Policy {
        let profiles = ["sagemaker:CreatePresignedDomainUrl", "sagemaker:DescribeUserProfile"];
        Policy::allow(profiles, [self.arn(&format!("user-profile/{domain_id}/*"))])
            .and(Policy::allow(["sagemaker:DescribeDomain"], [self.arn(&format!("domain/{domain_id}"))]))
    }

    /// To make URLs for whatever else there is, to look at it, and to work in it.
    fn other_doors(&self) -> Policy {
        Policy::allow(
            ["sagemaker:CreatePresignedNotebookInstanceUrl", "sagemaker:DescribeNotebookInstance"],
            [self.arn("notebook-instance/*")],
        )
        .and(Policy::allow(
            ["sagemaker:CreatePresignedMlflowTrackingServerUrl", "sagemaker:DescribeMlflowTrackingServer", "sagemaker-mlflow:*"],
            [self.arn("mlflow-tracking-server/*")],
        ))
        .and(Policy::allow(
            ["sagemaker:CreatePresignedMlflowAppUrl", "sagemaker:DescribeMlflowApp", "sagemaker:CallMlflowAppApi", "sagemaker-mlflow:*"],
            [self.arn("mlflow-app/*")],
        ))
        .and(Policy::allow(
            ["sagemaker:CreatePartnerAppPresignedUrl", "sagemaker:DescribePartnerApp", "sagemaker:CallPartnerAppApi"],
            [self.arn("partner-app/*")],
        ))
    }

    /// To make user profiles in one domain, and to tell whose they are. It opens none.
    fn provisioning(&self, domain_id: &str) -> Policy {
        let profiles = ["sagemaker:CreateUserProfile", "sagemaker:AddTags", "sagemaker:DescribeUserProfile", "sagemaker:ListTags"];
        Policy::allow(profiles, [self.arn(&format!("user-profile/{domain_id}/*"))]).and(Policy::allow(["iam:PassRole"], [EXECUTION_ROLE]))
    }

    fn domain(&self, id: &str, profiles: &[&str], spaces: &[&str]) -> Result<Domain, StackError> {
        Ok(Domain::in_service(
            DomainId::new(id)?,
            Region::new(self.region)?,
            AccountId::new(self.account_id)?,
            profiles.iter().map(|name| UserProfileName::new(*name)).collect::<Result<_, _>>()?,
            spaces.iter().map(|name| SpaceName::new(*name)).collect::<Result<_, _>>()?,
        ))
    }

    fn notebook(&self, name: &str) -> Result<NotebookInstance, StackError> {
        let name = NotebookInstanceName::new(name)?;
        Ok(NotebookInstance::in_service(name, Region::new(self.region)?, AccountId::new(self.account_id)?))
    }
}
