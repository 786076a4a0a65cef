//! What there is in the stand-in's AWS: callers, roles, and what can be opened.

mod deployment;
mod domain;
mod doors;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::names::{AccountId, ExternalId, Region, RoleArn};

pub use self::deployment::Resource;
pub use self::domain::{AuthMode, Domain, NetworkAccess, Status, UserProfile};
pub use self::doors::{
    ImdsVersion, MlflowApp, MlflowAppStatus, NotebookInstance, NotebookStatus, PartnerApp, PartnerAppStatus, TrackingServer,
    TrackingServerStatus,
};

use super::policy::Policy;
use crate::random::{self, NoRandomness};
use crate::secret::Secret;

/// Everything that exists. The owner may change it while the stand-in runs ([`super::Aws::change`]).
#[derive(Debug, Clone, Default)]
pub struct World {
    /// Who may call from the beginning.
    pub callers: Vec<Caller>,
    /// Roles that can be assumed.
    pub roles: Vec<Role>,
    /// SageMaker domains, in any account and region.
    pub domains: Vec<Domain>,
    /// Notebook instances, in any account and region.
    pub notebook_instances: Vec<NotebookInstance>,
    /// MLflow tracking servers, in any account and region.
    pub tracking_servers: Vec<TrackingServer>,
    /// MLflow apps, in any account and region.
    pub mlflow_apps: Vec<MlflowApp>,
    /// Partner AI Apps, in any account and region.
    pub partner_apps: Vec<PartnerApp>,
    /// What a deployment consists of, in the caller's account and region. Nothing of it is enforced: it is there to be looked at.
    pub deployment: Vec<Resource>,
}

/// A key, its secret, and the session token that goes with it where there is one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// The access key id: not a secret.
    pub access_key_id: String,
    /// The secret.
    pub secret_access_key: Secret,
    /// The session token; every temporary key has one.
    pub session_token: Option<Secret>,
}

impl Credentials {
    /// New ones, with a session token. The key id says `EXAMPLE`, so that nobody takes it for a real one.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn temporary() -> Result<Self, NoRandomness> {
        Ok(Self {
            access_key_id: random::aws_id("ASIAEXAMPLE")?,
            secret_access_key: Secret::new(random::secret()?),
            session_token: Some(Secret::new(format!("{}{}", random::secret()?, random::secret()?))),
        })
    }

    /// New ones, without a session token.
    ///
    /// # Errors
    /// The operating system gave no random bytes.
    pub fn long_lived() -> Result<Self, NoRandomness> {
        Ok(Self { access_key_id: random::aws_id("AKIAEXAMPLE")?, secret_access_key: Secret::new(random::secret()?), session_token: None })
    }
}

/// Credentials that are there from the beginning, as those of the function's own role.
#[derive(Debug, Clone)]
pub struct Caller {
    /// What it signs with.
    pub credentials: Credentials,
    /// Its account.
    pub account_id: AccountId,
    /// Its own ARN: `arn:aws:sts::<account>:assumed-role/<role>/<session>` for a role session.
    pub arn: String,
    /// The role of which it is a session, if it is one. Roles that it assumes are then chained: one hour at most.
    pub role_arn: Option<RoleArn>,
    /// What it may do.
    pub policy: Policy,
    /// The first moment at which its credentials no longer work.
    pub expires_at: Option<Timestamp>,
}

/// A role that can be assumed.
#[derive(Debug, Clone)]
pub struct Role {
    /// Its ARN.
    pub arn: RoleArn,
    /// Who may assume it: ARNs of roles, of role sessions, of users.
    pub trusted: Vec<String>,
    /// The external id that its trust asks for.
    pub external_id: Option<ExternalId>,
    /// What its trust says about `sts:SetSourceIdentity`.
    pub source_identity: SourceIdentity,
    /// Its `MaxSessionDuration`, in seconds: 3600 unless somebody has raised it, 43200 at most.
    pub max_session_seconds: u32,
    /// What its sessions may do, before a session policy narrows it.
    pub policy: Policy,
}

/// What a role's trust says about `SourceIdentity`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum SourceIdentity {
    /// `sts:SetSourceIdentity` is not granted: a caller that sets one is refused.
    Forbidden,
    /// It may be set.
    Allowed,
    /// A condition asks for it: a caller that sets none is refused.
    Required,
}

impl World {
    /// The properties of a resource of the deployment, to be changed.
    pub fn properties(&mut self, type_name: &str, identifier: &str) -> Option<&mut serde_json::Value> {
        let is_it = |resource: &&mut Resource| resource.type_name == type_name && resource.identifier == identifier;
        self.deployment.iter_mut().find(is_it).map(|resource| &mut resource.properties)
    }

    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.arn.as_str() == arn)
    }

    pub(crate) fn domain(&self, account_id: &AccountId, region: &Region, id: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.id.as_str() == id && &domain.region == region && &domain.account_id == account_id)
    }

    pub(crate) fn domain_here(&mut self, account_id: &AccountId, region: &Region, id: &str) -> Option<&mut Domain> {
        self.domains.iter_mut().find(|domain| domain.id.as_str() == id && &domain.region == region && &domain.account_id == account_id)
    }

    pub(crate) fn notebook_instance(&self, account_id: &AccountId, region: &Region, name: &str) -> Option<&NotebookInstance> {
        let is_it = |n: &&NotebookInstance| n.name.as_str() == name && &n.region == region && &n.account_id == account_id;
        self.notebook_instances.iter().find(is_it)
    }

    pub(crate) fn tracking_server(&self, account_id: &AccountId, region: &Region, name: &str) -> Option<&TrackingServer> {
        let is_it = |s: &&TrackingServer| s.name.as_str() == name && &s.region == region && &s.account_id == account_id;
        self.tracking_servers.iter().find(is_it)
    }

    pub(crate) fn mlflow_app(&self, account_id: &AccountId, region: &Region, arn: &str) -> Option<&MlflowApp> {
        let is_here = |app: &&MlflowApp| &app.arn.region() == region && app.arn.account_id() == account_id.as_str();
        self.mlflow_apps.iter().filter(is_here).find(|app| app.arn.as_str() == arn)
    }

    pub(crate) fn partner_app(&self, account_id: &AccountId, region: &Region, arn: &str) -> Option<&PartnerApp> {
        let is_here = |app: &&PartnerApp| &app.arn.region() == region && app.arn.account_id() == account_id.as_str();
        self.partner_apps.iter().filter(is_here).find(|app| app.arn.as_str() == arn)
    }

    /// The role with that ARN, to change it.
    pub fn role_mut(&mut self, arn: &str) -> Option<&mut Role> {
        self.roles.iter_mut().find(|role| role.arn.as_str() == arn)
    }

    /// The domain with that id, to change it.
    pub fn domain_mut(&mut self, id: &str) -> Option<&mut Domain> {
        self.domains.iter_mut().find(|domain| domain.id.as_str() == id)
    }

    /// The notebook instance of that name, to change it.
    pub fn notebook_instance_mut(&mut self, name: &str) -> Option<&mut NotebookInstance> {
        self.notebook_instances.iter_mut().find(|notebook| notebook.name.as_str() == name)
    }

    /// The tracking server of that name, to change it.
    pub fn tracking_server_mut(&mut self, name: &str) -> Option<&mut TrackingServer> {
        self.tracking_servers.iter_mut().find(|server| server.name.as_str() == name)
    }

    /// The MLflow app with that ARN, to change it.
    pub fn mlflow_app_mut(&mut self, arn: &str) -> Option<&mut MlflowApp> {
        self.mlflow_apps.iter_mut().find(|app| app.arn.as_str() == arn)
    }

    /// The Partner AI App with that ARN, to change it.
    pub fn partner_app_mut(&mut self, arn: &str) -> Option<&mut PartnerApp> {
        self.partner_apps.iter_mut().find(|app| app.arn.as_str() == arn)
    }
}

/// A customer's key, for what is set up soundly.
fn customer_key(region: &Region, account_id: &AccountId) -> String {
    let partition = region.partition().as_str();
    format!("arn:{partition}:kms:{region}:{account_id}:key/11111111-2222-4333-8444-555555555555")
}
