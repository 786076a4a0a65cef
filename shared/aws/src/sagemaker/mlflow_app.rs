//! An MLflow app.

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::types::MlflowAppStatus;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::posture::NotReady;
use latchkey_domain::target::MlflowApp;

use super::{Calls, Made, Told, Via, made, seconds, send};
use crate::failure::{Failure, printable};

impl Calls for MlflowApp {
    async fn presign(&self, via: &Via<'_>, entitlement: &Entitlement) -> Result<Made, Failure> {
        let request = via
            .client
            .create_presigned_mlflow_app_url()
            .arn(self.arn.as_str())
            .expires_in_seconds(seconds(entitlement.url_seconds()))
            .session_expiration_duration_in_seconds(seconds(entitlement.session_seconds()));
        let output = send!(via, request)?;
        made(output.authorized_url(), output.request_id())
    }

    async fn state(&self, via: &Via<'_>) -> Result<Told, Failure> {
        let output = send!(via, via.client.describe_mlflow_app().arn(self.arn.as_str()))?;
        let status = output.status.as_ref();
        let serves = matches!(status, Some(MlflowAppStatus::Created | MlflowAppStatus::Updated));
        let not_ready = (!serves).then(|| NotReady::new(status.map(MlflowAppStatus::as_str)));
        Ok(Told { not_ready, request_id: output.request_id().and_then(printable) })
    }
}
