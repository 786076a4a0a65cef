//! A SageMaker Partner AI App.

use super::{Place, TargetKind};
use crate::names::{PartnerAppArn, Region};
use crate::row::{GrantDefect, Row};

/// A SageMaker Partner AI App, named by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PartnerApp {
    /// Its ARN.
    pub arn: PartnerAppArn,
}

impl TargetKind for PartnerApp {
    const KIND: &'static str = "partner-app";
    const ATTRIBUTES: &'static [&'static str] = &["arn"];
    const PRESIGN_ACTION: &'static str = "sagemaker:CreatePartnerAppPresignedUrl";
    const STATE_ACTION: &'static str = "sagemaker:DescribePartnerApp";
    const SESSION_ACTIONS: &'static [&'static str] = &["sagemaker:CallPartnerAppApi"];

    fn read(row: &Row<'_>) -> Result<Self, GrantDefect> {
        Ok(Self { arn: row.required("arn", PartnerAppArn::new)? })
    }

    fn values(&self) -> Vec<&str> {
        vec![self.arn.as_str()]
    }

    fn resource_arn(&self, _: Place<'_>) -> String {
        self.arn.as_str().to_owned()
    }

    fn region(&self) -> Option<Region> {
        Some(self.arn.region())
    }

    fn account_id(&self) -> Option<&str> {
        Some(self.arn.account_id())
    }
}
