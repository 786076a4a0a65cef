//! What can be opened besides Studio: notebook instances, MLflow tracking servers and apps, Partner AI Apps.

use latchkey_domain::names::{AccountId, MlflowAppArn, NotebookInstanceName, PartnerAppArn, Region, TrackingServerName};

/// States, each by SageMaker's own word for it.
macro_rules! states {
    ($($(#[$doc:meta])* $type:ident: $($word:ident)*;)*) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum $type {
            $(#[doc = concat!("`", stringify!($word), "`.")] $word,)*
        }

        impl $type {
            /// Every state.
            pub const ALL: &[Self] = &[$(Self::$word,)*];

            /// The state as SageMaker writes it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => stringify!($word),)* }
            }
        }
    )*};
}

states! {
    /// The state of a notebook instance (`NotebookInstanceStatus`).
    NotebookStatus: Pending InService Stopping Stopped Failed Deleting Updating PendingMaintenance InMaintenance;

    /// The state of an MLflow tracking server (`TrackingServerStatus`): the last thing that was done to it, and how it ended.
    TrackingServerStatus: Creating Created CreateFailed Updating Updated UpdateFailed Deleting DeleteFailed Stopping Stopped StopFailed
        Starting Started StartFailed MaintenanceInProgress MaintenanceComplete MaintenanceFailed;

    /// The state of an MLflow app (`MlflowAppStatus`).
    MlflowAppStatus: Creating Created CreateFailed Updating Updated UpdateFailed Deleting DeleteFailed Deleted;

    /// The state of a Partner AI App (`PartnerAppStatus`).
    PartnerAppStatus: Creating Updating Deleting Available Failed UpdateFailed Deleted;
}

/// The oldest version of the instance metadata service that a notebook instance answers to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ImdsVersion {
    /// Version 1, and version 2 besides: AWS's default.
    V1,
    /// Version 2 only.
    V2,
}

impl ImdsVersion {
    /// The version as SageMaker writes it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::V1 => "1",
            Self::V2 => "2",
        }
    }
}

/// A notebook instance.
#[derive(Debug, Clone)]
pub struct NotebookInstance {
    /// Its name.
    pub name: NotebookInstanceName,
    /// Its region: a name means nothing outside it.
    pub region: Region,
    /// Its account.
    pub account_id: AccountId,
    /// Its state. Only one in service opens.
    pub status: NotebookStatus,
    /// The oldest metadata service that it answers to.
    pub minimum_imds_version: ImdsVersion,
    /// Whether its users are root.
    pub root_access: bool,
    /// Whether it reaches the internet past the VPC.
    pub direct_internet_access: bool,
    /// The customer's key that its volume is encrypted with; AWS's own without one.
    pub kms_key: Option<String>,
}

impl NotebookInstance {
    /// One in service, and sound: version 2 of the metadata service only, no root, no direct internet access, a customer's key.
    pub fn in_service(name: NotebookInstanceName, region: Region, account_id: AccountId) -> Self {
        let kms_key = Some(super::customer_key(&region, &account_id));
        Self {
            name,
            region,
            account_id,
            status: NotebookStatus::InService,
            minimum_imds_version: ImdsVersion::V2,
            root_access: false,
            direct_internet_access: false,
            kms_key,
        }
    }
}

/// An MLflow tracking server.
#[derive(Debug, Clone)]
pub struct TrackingServer {
    /// Its name.
    pub name: TrackingServerName,
    /// Its region: a name means nothing outside it.
    pub region: Region,
    /// Its account.
    pub account_id: AccountId,
    /// Its state.
    pub status: TrackingServerStatus,
    /// Whether it is running (`IsActive`). The state alone does not say so: a stopped server can be `Updated`.
    pub is_active: bool,
}

impl TrackingServer {
    /// One that runs.
    pub const fn in_service(name: TrackingServerName, region: Region, account_id: AccountId) -> Self {
        Self { name, region, account_id, status: TrackingServerStatus::Created, is_active: true }
    }

    /// Whether it can be opened: it runs, and nothing is being done to it or has failed.
    pub(crate) const fn opens(&self) -> bool {
        match self.status {
            TrackingServerStatus::Created
            | TrackingServerStatus::Updated
            | TrackingServerStatus::Started
            | TrackingServerStatus::MaintenanceComplete => self.is_active,
            TrackingServerStatus::Creating
            | TrackingServerStatus::CreateFailed
            | TrackingServerStatus::Updating
            | TrackingServerStatus::UpdateFailed
            | TrackingServerStatus::Deleting
            | TrackingServerStatus::DeleteFailed
            | TrackingServerStatus::Stopping
            | TrackingServerStatus::Stopped
            | TrackingServerStatus::StopFailed
            | TrackingServerStatus::Starting
            | TrackingServerStatus::StartFailed
            | TrackingServerStatus::MaintenanceInProgress
            | TrackingServerStatus::MaintenanceFailed => false,
        }
    }
}

/// An MLflow app. Its ARN says where it is.
#[derive(Debug, Clone)]
pub struct MlflowApp {
    /// Its ARN.
    pub arn: MlflowAppArn,
    /// Its state.
    pub status: MlflowAppStatus,
}

impl MlflowApp {
    /// One that runs.
    pub const fn in_service(arn: MlflowAppArn) -> Self {
        Self { arn, status: MlflowAppStatus::Created }
    }

    /// Whether it can be opened.
    pub(crate) const fn opens(&self) -> bool {
        match self.status {
            MlflowAppStatus::Created | MlflowAppStatus::Updated => true,
            MlflowAppStatus::Creating
            | MlflowAppStatus::CreateFailed
            | MlflowAppStatus::Updating
            | MlflowAppStatus::UpdateFailed
            | MlflowAppStatus::Deleting
            | MlflowAppStatus::DeleteFailed
            | MlflowAppStatus::Deleted => false,
        }
    }
}

/// A Partner AI App. Its ARN says where it is.
#[derive(Debug, Clone)]
pub struct PartnerApp {
    /// Its ARN.
    pub arn: PartnerAppArn,
    /// Its state. Only one that is `Available` opens, although AWS calls one that is `UpdateFailed` available too.
    pub status: PartnerAppStatus,
}

impl PartnerApp {
    /// One that is available.
    pub const fn in_service(arn: PartnerAppArn) -> Self {
        Self { arn, status: PartnerAppStatus::Available }
    }
}
