//! A user profile in a SageMaker Studio domain.

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::operation::describe_user_profile::DescribeUserProfileOutput;
use aws_sdk_sagemaker::types::{AppNetworkAccessType, AuthMode, DomainStatus, UserProfileStatus};
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::posture::{Inspection, NotReady, StudioFacts};
use latchkey_domain::target::Studio;
use tokio::time::Instant;

use super::{Calls, DESCRIBE, Inspect, Made, Told, Via, seconds, send};
use crate::attempts;
use crate::failure::{Failure, printable};

async fn describe_profile(studio: &Studio, via: &Via<'_>) -> Result<DescribeUserProfileOutput, Failure> {
    let request = via.client.describe_user_profile();
    let request = request.domain_id(studio.domain_id.as_str()).user_profile_name(studio.user_profile_name.as_str());
    Ok(send!(via, request)?)
}

impl Calls for Studio {
    async fn presign(&self, via: &Via<'_>, entitlement: &Entitlement) -> Result<Made, Failure> {
        let landing = entitlement.landing();
        let request = via
            .client
            .create_presigned_domain_url()
            .domain_id(self.domain_id.as_str())
            .user_profile_name(self.user_profile_name.as_str())
            .expires_in_seconds(seconds(entitlement.url_seconds()))
            .session_expiration_duration_in_seconds(seconds(entitlement.session_seconds()))
            .set_landing_uri(landing.and_then(|landing| landing.landing_uri.as_ref()).map(ToString::to_string))
            .set_space_name(landing.and_then(|landing| landing.space_name.as_ref()).map(ToString::to_string));
        let output = send!(via, request)?;
        let request_id = output.request_id().and_then(printable);
        Ok(Made { url: output.authorized_url, request_id })
    }

    async fn state(&self, via: &Via<'_>) -> Result<Told, Failure> {
        let output = describe_profile(self, via).await?;
        let status = output.status.as_ref();
        let not_ready = (status != Some(&UserProfileStatus::InService)).then(|| NotReady::new(status.map(UserProfileStatus::as_str)));
        Ok(Told { not_ready, request_id: output.request_id().and_then(printable) })
    }
}

impl Inspect for Studio {
    /// Asks about the domain and the user profile, side by side.
    async fn inspect(&self, via: &Via<'_>, deadline: Instant) -> Result<Inspection, Failure> {
        let domain = attempts::run(DESCRIBE, deadline, || async {
            Ok(send!(via, via.client.describe_domain().domain_id(self.domain_id.as_str()))?)
        });
        let profile = attempts::run(DESCRIBE, deadline, || describe_profile(self, via));
        // Both to their end: which of two failures is told does not hang on which came first.
        let (domain, profile) = futures_util::future::join(domain, profile).await;
        let (domain, profile) = (domain?, profile?);
        let facts = StudioFacts {
            auth_mode: domain.auth_mode.as_ref().map(AuthMode::as_str),
            network_access: domain.app_network_access_type.as_ref().map(AppNetworkAccessType::as_str),
            kms_key: domain.kms_key_id(),
            domain_status: domain.status.as_ref().map(DomainStatus::as_str),
            profile_status: profile.status.as_ref().map(UserProfileStatus::as_str),
        };
        let request_ids = [domain.request_id(), profile.request_id()];
        Ok(Inspection { aws_request_ids: request_ids.into_iter().flatten().filter_map(printable).collect(), ..facts.judge() })
    }
}
