//! An MLflow tracking server.

use super::{Place, TargetKind};
use crate::names::TrackingServerName;
use crate::row::{GrantDefect, Row};

/// An MLflow tracking server. Its URLs open once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MlflowServer {
    /// Its name.
    pub tracking_server_name: TrackingServerName,
}

impl TargetKind for MlflowServer {
    const KIND: &'static str = "mlflow-server";
    const ATTRIBUTES: &'static [&'static str] = &["tracking_server_name"];
    const PRESIGN_ACTION: &'static str = "sagemaker:CreatePresignedMlflowTrackingServerUrl";
    const STATE_ACTION: &'static str = "sagemaker:DescribeMlflowTrackingServer";
    // What the user interface and the REST API behind it ask for. Which of them, the issuing role says.
    const SESSION_ACTIONS: &'static [&'static str] = &["sagemaker-mlflow:*"];

    fn read(row: &Row<'_>) -> Result<Self, GrantDefect> {
        Ok(Self { tracking_server_name: row.required("tracking_server_name", TrackingServerName::new)? })
    }

    fn values(&self) -> Vec<&str> {
        vec![self.tracking_server_name.as_str()]
    }

    fn resource_arn(&self, place: Place<'_>) -> String {
        place.arn(format_args!("mlflow-tracking-server/{}", self.tracking_server_name))
    }
}
