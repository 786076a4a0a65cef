//! A user profile in a SageMaker Studio domain.

use super::{Permission, Place, TargetKind};
use crate::names::{DomainId, UserProfileName};
use crate::row::{GrantDefect, Row};

/// A user profile in a SageMaker Studio domain. SageMaker compares the names of profiles without case.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Studio {
    /// The domain.
    pub domain_id: DomainId,
    /// The profile within it.
    pub user_profile_name: UserProfileName,
}

impl TargetKind for Studio {
    const KIND: &'static str = "studio";
    const ATTRIBUTES: &'static [&'static str] = &["domain_id", "user_profile_name"];
    const PRESIGN_ACTION: &'static str = "sagemaker:CreatePresignedDomainUrl";
    const STATE_ACTION: &'static str = "sagemaker:DescribeUserProfile";
    const HAS_LANDINGS: bool = true;
    const CAN_BE_PROVISIONED: bool = true;
    const IS_GATED: bool = true;
    const IS_PERSONAL: bool = true;
    const IGNORES_CASE: bool = true;

    fn read(row: &Row<'_>) -> Result<Self, GrantDefect> {
        Ok(Self {
            domain_id: row.required("domain_id", DomainId::new)?,
            user_profile_name: row.required("user_profile_name", UserProfileName::new)?,
        })
    }

    fn values(&self) -> Vec<&str> {
        vec![self.domain_id.as_str(), self.user_profile_name.as_str()]
    }

    fn resource_arn(&self, place: Place<'_>) -> String {
        place.arn(format_args!("user-profile/{}/{}", self.domain_id, self.user_profile_name))
    }

    fn gate_permissions(&self, place: Place<'_>) -> Vec<Permission> {
        let resource_arn = place.arn(format_args!("domain/{}", self.domain_id));
        vec![Permission { actions: vec!["sagemaker:DescribeDomain"], resource_arn }]
    }
}
