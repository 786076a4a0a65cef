//! A SageMaker Partner AI App.

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::types::PartnerAppStatus;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::posture::NotReady;
use latchkey_domain::target::PartnerApp;

use super::{Calls, Made, Told, Via, made, seconds, send};
use crate::failure::{Failure, printable};

impl Calls for PartnerApp {
    async fn presign(&self, via: &Via<'_>, entitlement: &Entitlement) -> Result<Made, Failure> {
        let request = via
            .client
            .create_partner_app_presigned_url()
            .arn(self.arn.as_str())
            .expires_in_seconds(seconds(entitlement.url_seconds()))
            .session_expiration_duration_in_seconds(seconds(entitlement.session_seconds()));
        let output = send!(via, request)?;
        // `Url`, where the other calls have `AuthorizedUrl`.
        made(output.url(), output.request_id())
    }

    async fn state(&self, via: &Via<'_>) -> Result<Told, Failure> {
        let output = send!(via, via.client.describe_partner_app().arn(self.arn.as_str()))?;
        let status = output.status.as_ref();
        // One whose update has failed serves on as it was ("The application is available", says the API model).
        let serves = matches!(status, Some(PartnerAppStatus::Available | PartnerAppStatus::UpdateFailed));
        let not_ready = (!serves).then(|| NotReady::new(status.map(PartnerAppStatus::as_str)));
        Ok(Told { not_ready, request_id: output.request_id().and_then(printable) })
    }
}
