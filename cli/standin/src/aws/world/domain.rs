//! Studio: domains, and the user profiles and spaces in them.

use latchkey_domain::clock::Timestamp;
use latchkey_domain::names::{AccountId, DomainId, Region, RoleArn, SpaceName, UserProfileName};

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
    /// How long a user profile takes to make, in seconds of the stand-in's clock.
    pub profile_seconds: i64,
}

impl Domain {
    /// A domain in service, with AuthMode IAM, VpcOnly and a customer's key, these profiles in service and these spaces. A
    /// profile takes 3 seconds to make.
    pub fn in_service(
        id: DomainId,
        region: Region,
        account_id: AccountId,
        user_profiles: Vec<UserProfileName>,
        spaces: Vec<SpaceName>,
    ) -> Self {
        let kms_key = Some(super::customer_key(&region, &account_id));
        Self {
            id,
            region,
            account_id,
            auth_mode: AuthMode::Iam,
            network_access: NetworkAccess::VpcOnly,
            kms_key,
            status: Status::InService,
            user_profiles: user_profiles.into_iter().map(UserProfile::in_service).collect(),
            spaces,
            profile_seconds: 3,
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
    /// Its state. One that is `Pending` comes into service at [`UserProfile::in_service_from`].
    pub status: Status,
    /// The moment at which one that is being made is done; without it, it stays as it is.
    pub in_service_from: Option<Timestamp>,
    /// Its own execution role; the domain's without one.
    pub execution_role: Option<RoleArn>,
    /// Its own security groups.
    pub security_groups: Vec<String>,
    /// Its tags: keys and values.
    pub tags: Vec<(String, String)>,
}

impl UserProfile {
    /// One in service that nobody has said more about.
    pub const fn in_service(name: UserProfileName) -> Self {
        Self { name, status: Status::InService, in_service_from: None, execution_role: None, security_groups: Vec::new(), tags: Vec::new() }
    }

    /// Its state at that moment.
    pub(crate) fn status_at(&self, now: Timestamp) -> Status {
        let is_done = self.in_service_from.is_some_and(|moment| now >= moment);
        if self.status == Status::Pending && is_done { Status::InService } else { self.status }
    }
}
