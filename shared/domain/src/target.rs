//! What can be opened: one kind of SageMaker door each, with the attributes that name it.

use std::fmt;

use crate::names::{DomainId, Region, UserProfileName};

/// A kind of target, as a grant's `kind` names it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// A user profile in a SageMaker Studio domain.
    Studio,
}

impl Kind {
    /// Every kind.
    pub const ALL: [Self; 1] = [Self::Studio];

    /// The kind as the table and the answers write it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Studio => "studio",
        }
    }

    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.as_str() == name)
    }

    /// The attributes of a grant that belong to this kind alone.
    pub const fn attributes(self) -> &'static [&'static str] {
        match self {
            Self::Studio => &["domain_id", "user_profile_name"],
        }
    }

    /// Whether a grant of this kind can name landings.
    pub const fn has_landings(self) -> bool {
        match self {
            Self::Studio => true,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One door: exactly what a URL will open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Target {
    /// A user profile in a SageMaker Studio domain.
    Studio {
        /// The domain.
        domain_id: DomainId,
        /// The profile within it.
        user_profile_name: UserProfileName,
    },
}

impl Target {
    /// Its kind.
    pub const fn kind(&self) -> Kind {
        match self {
            Self::Studio { .. } => Kind::Studio,
        }
    }

    /// The ARN that IAM policies name it by, in the given region and account.
    pub fn resource_arn(&self, region: &Region, account_id: &str) -> String {
        let partition = region.partition().as_str();
        match self {
            Self::Studio { domain_id, user_profile_name } => {
                format!("arn:{partition}:sagemaker:{region}:{account_id}:user-profile/{domain_id}/{user_profile_name}")
            }
        }
    }

    /// The IAM action that makes a URL for it.
    pub const fn presign_action(&self) -> &'static str {
        match self {
            Self::Studio { .. } => "sagemaker:CreatePresignedDomainUrl",
        }
    }

    /// The IAM actions that look at it for the posture gate, each with the ARN that it is asked about.
    ///
    /// Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SageMaker".
    pub fn inspect_permissions(&self, region: &Region, account_id: &str) -> Vec<(&'static str, String)> {
        let partition = region.partition().as_str();
        match self {
            Self::Studio { domain_id, .. } => vec![
                ("sagemaker:DescribeDomain", format!("arn:{partition}:sagemaker:{region}:{account_id}:domain/{domain_id}")),
                ("sagemaker:DescribeUserProfile", self.resource_arn(region, account_id)),
            ],
        }
    }
}
