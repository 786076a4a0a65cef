//! A user profile in a SageMaker Studio domain.

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::operation::describe_domain::DescribeDomainOutput;
use aws_sdk_sagemaker::operation::describe_user_profile::DescribeUserProfileOutput;
use aws_sdk_sagemaker::types::{AppNetworkAccessType, AuthMode, DomainStatus, UserProfileStatus};
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::posture::{Inspection, NotReady, StudioFacts};
use latchkey_domain::target::Studio;
use tokio::time::Instant;

use super::{Calls, DESCRIBE, Inspect, Made, Told, Via, made, seconds, send};
use crate::attempts;
use crate::failure::{Failure, printable};

async fn describe_profile(studio: &Studio, via: &Via<'_>) -> Result<DescribeUserProfileOutput, Failure> {
    let request = via.client.describe_user_profile();
    let request = request.domain_id(studio.domain_id.as_str()).user_profile_name(studio.user_profile_name.as_str());
    let output = send!(via, request)?;
    // Whatever has no state is no profile: an answer that is empty must not be taken for one that has nothing set.
    if output.status.is_some() { Ok(output) } else { Err(Failure::malformed(output.request_id())) }
}

async fn describe_domain(studio: &Studio, via: &Via<'_>) -> Result<DescribeDomainOutput, Failure> {
    let output = send!(via, via.client.describe_domain().domain_id(studio.domain_id.as_str()))?;
    if output.status.is_some() { Ok(output) } else { Err(Failure::malformed(output.request_id())) }
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
        made(output.authorized_url(), output.request_id())
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
        let domain = attempts::run(DESCRIBE, deadline, || describe_domain(self, via));
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
