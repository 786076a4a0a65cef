//! What there is in the stand-in's AWS: callers, roles, domains, profiles, spaces.

use latchkey_domain::clock::Timestamp;
use latchkey_domain::names::{AccountId, DomainId, ExternalId, Region, RoleArn, SpaceName, UserProfileName};

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

/// A SageMaker domain.
#[derive(Debug, Clone)]
pub struct Domain {
    /// Its id.
    pub id: DomainId,
    /// Its region: an id means nothing outside it.
    pub region: Region,
    /// Its account.
    pub account_id: AccountId,
    /// How its users sign in.
    pub auth_mode: AuthMode,
    /// How its apps reach the network.
    pub network_access: NetworkAccess,
    /// The customer's key that its storage is encrypted with; AWS's own without one.
    pub kms_key: Option<String>,
    /// Its state.
    pub status: Status,
    /// Its user profiles.
    pub user_profiles: Vec<UserProfile>,
    /// Its spaces.
    pub spaces: Vec<SpaceName>,
}

impl Domain {
    /// A domain in service, with AuthMode IAM, VpcOnly and a customer's key, these profiles in service and these spaces.
    pub fn in_service(
        id: DomainId,
        region: Region,
        account_id: AccountId,
        user_profiles: Vec<UserProfileName>,
        spaces: Vec<SpaceName>,
    ) -> Self {
        let user_profiles = user_profiles.into_iter().map(|name| UserProfile { name, status: Status::InService }).collect();
        let partition = region.partition().as_str();
        let kms_key = Some(format!("arn:{partition}:kms:{region}:{account_id}:key/11111111-2222-4333-8444-555555555555"));
        Self {
            id,
            region,
            account_id,
            auth_mode: AuthMode::Iam,
            network_access: NetworkAccess::VpcOnly,
            kms_key,
            status: Status::InService,
            user_profiles,
            spaces,
        }
    }

    /// The profile of that name, compared without case, to change it.
    pub fn user_profile_mut(&mut self, name: &str) -> Option<&mut UserProfile> {
        self.user_profiles.iter_mut().find(|profile| profile.name.as_str().eq_ignore_ascii_case(name))
    }

    /// The profile of that name, compared without case.
    pub(crate) fn user_profile(&self, name: &str) -> Option<&UserProfile> {
        self.user_profiles.iter().find(|profile| profile.name.as_str().eq_ignore_ascii_case(name))
    }

    /// The space of that name, compared without case.
    pub(crate) fn space(&self, name: &str) -> Option<&SpaceName> {
        self.spaces.iter().find(|space| space.as_str().eq_ignore_ascii_case(name))
    }
}

/// How a domain's users sign in. Presigned URLs exist only under IAM.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AuthMode {
    /// With IAM.
    Iam,
    /// With IAM Identity Center.
    Sso,
}

impl AuthMode {
    /// The mode as SageMaker writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Iam => "IAM",
            Self::Sso => "SSO",
        }
    }
}

/// How a domain's apps reach the network (`AppNetworkAccessType`).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NetworkAccess {
    /// Through a VPC of AWS's with a way to the internet: the default.
    PublicInternetOnly,
    /// Through the customer's VPC.
    VpcOnly,
}

impl NetworkAccess {
    /// The type as SageMaker writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::PublicInternetOnly => "PublicInternetOnly",
            Self::VpcOnly => "VpcOnly",
        }
    }
}

/// The state of a domain or a user profile.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Status {
    /// Being created.
    Pending,
    /// Ready.
    InService,
    /// Being changed.
    Updating,
    /// Not to be used.
    Failed,
    /// A change to it has failed.
    UpdateFailed,
    /// On its way out.
    Deleting,
    /// It should be gone and is not.
    DeleteFailed,
}

impl Status {
    /// The state as SageMaker writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "Pending",
            Self::InService => "InService",
            Self::Updating => "Updating",
            Self::Failed => "Failed",
            Self::UpdateFailed => "Update_Failed",
            Self::Deleting => "Deleting",
            Self::DeleteFailed => "Delete_Failed",
        }
    }
}

/// A user profile.
#[derive(Debug, Clone)]
pub struct UserProfile {
    /// Its name, with the case it was made with.
    pub name: UserProfileName,
    /// Its state.
    pub status: Status,
}

impl World {
    pub(crate) fn role(&self, arn: &str) -> Option<&Role> {
        self.roles.iter().find(|role| role.arn.as_str() == arn)
    }

    pub(crate) fn domain(&self, account_id: &AccountId, region: &Region, id: &str) -> Option<&Domain> {
        self.domains.iter().find(|domain| domain.id.as_str() == id && &domain.region == region && &domain.account_id == account_id)
    }

    /// The domain with that id, to change it.
    pub fn domain_mut(&mut self, id: &str) -> Option<&mut Domain> {
        self.domains.iter_mut().find(|domain| domain.id.as_str() == id)
    }

    /// The role with that ARN, to change it.
    pub fn role_mut(&mut self, arn: &str) -> Option<&mut Role> {
        self.roles.iter_mut().find(|role| role.arn.as_str() == arn)
    }
}
