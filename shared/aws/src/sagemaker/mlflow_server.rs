//! An MLflow tracking server.

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::types::{IsTrackingServerActive, TrackingServerStatus};
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::posture::NotReady;
use latchkey_domain::target::MlflowServer;

use super::{Calls, Made, Told, Via, made, seconds, send};
use crate::failure::{Failure, printable};

impl Calls for MlflowServer {
    async fn presign(&self, via: &Via<'_>, entitlement: &Entitlement) -> Result<Made, Failure> {
        let request = via
            .client
            .create_presigned_mlflow_tracking_server_url()
            .tracking_server_name(self.tracking_server_name.as_str())
            .expires_in_seconds(seconds(entitlement.url_seconds()))
            .session_expiration_duration_in_seconds(seconds(entitlement.session_seconds()));
        let output = send!(via, request)?;
        made(output.authorized_url(), output.request_id())
    }

    async fn state(&self, via: &Via<'_>) -> Result<Told, Failure> {
        let output = send!(via, via.client.describe_mlflow_tracking_server().tracking_server_name(self.tracking_server_name.as_str()))?;
        // Its status tells of the last thing that was done to it, and `IsActive` whether it serves.
        let status = output.tracking_server_status.as_ref();
        let is_settled = matches!(
            status,
            Some(
                TrackingServerStatus::Created
                    | TrackingServerStatus::Updated
                    | TrackingServerStatus::Started
                    | TrackingServerStatus::MaintenanceComplete
            )
        );
        let not_ready = match &output.is_active {
            Some(IsTrackingServerActive::Active) if is_settled => None,
            activity if is_settled => Some(NotReady::new(activity.as_ref().map(IsTrackingServerActive::as_str))),
            _ => Some(NotReady::new(status.map(TrackingServerStatus::as_str))),
        };
        Ok(Told { not_ready, request_id: output.request_id().and_then(printable) })
    }
}
