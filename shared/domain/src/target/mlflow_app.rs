//! An MLflow app.

use super::{Place, TargetKind};
use crate::names::{MlflowAppArn, Partition, Region};
use crate::row::{GrantDefect, Row};

/// An MLflow app, named by its ARN.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlflowApp {
    /// Its ARN.
    pub arn: MlflowAppArn,
}

impl TargetKind for MlflowApp {
    const KIND: &'static str = "mlflow-app";
    const ATTRIBUTES: &'static [&'static str] = &["arn"];
    const PRESIGN_ACTION: &'static str = "sagemaker:CreatePresignedMlflowAppUrl";
    const STATE_ACTION: &'static str = "sagemaker:DescribeMlflowApp";
    // An app's own gate, and behind it the actions of MLflow's REST API. Which of them, the issuing role says.
    const SESSION_ACTIONS: &'static [&'static str] = &["sagemaker:CallMlflowAppApi", "sagemaker-mlflow:*"];

    fn read(row: &Row<'_>) -> Result<Self, GrantDefect> {
        Ok(Self { arn: row.required("arn", MlflowAppArn::new)? })
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

    /// `https://app-….mlflow.sagemaker.<region>.app.aws/auth?authToken=…` (AWS's `sagemaker-mlflow` has the name in all
    /// partitions but China's, where there are no MLflow apps).
    fn host_suffixes(region: &Region) -> Vec<String> {
        match region.partition() {
            Partition::Aws | Partition::AwsUsGov => vec![format!(".mlflow.sagemaker.{region}.app.aws")],
            Partition::AwsCn => Vec::new(),
        }
    }
}
