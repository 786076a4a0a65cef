//! Presigned URLs from SageMaker, and what it says of their targets.

use std::fmt;
use std::time::Duration;

use aws_sdk_sagemaker::config::IdentityCache;
use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::types::{AppNetworkAccessType, AuthMode, DomainStatus, UserProfileStatus};
use latchkey_domain::clock::Clock;
use latchkey_domain::decision::{Code, Denial};
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::names::Region;
use latchkey_domain::ports::{Issued, RoleSession, UrlIssuer};
use latchkey_domain::posture::{Inspection, PostureMode, StudioFacts};
use latchkey_domain::presigned_url::{HostRule, PresignedUrl};
use latchkey_domain::target::Target;

use crate::attempts::{self, Policy};
use crate::clients::Clients;
use crate::failure::{Failure, Kind, printable, service_reasons};
use crate::role_session::{RoleSessions, SessionCredentials, SessionScope};

service_reasons! {
    "sagemaker";
    /// SageMaker returned a URL whose host is not one of its own. It was not handed on.
    FOREIGN_URL = "sagemaker.foreign-url";
}

/// The state of a target that does not exist, in the words of the answer's `state`.
const NOT_FOUND_STATE: &str = "NotFound";

/// A URL that was made and never received opens nothing for anybody, so making it again does no harm.
const PRESIGN: Policy = Policy { attempts: 2, each: Duration::from_millis(2500), whole: Duration::from_secs(5), harmless_twice: true };

/// Looking changes nothing. It takes less than making the URL may, which comes after it.
const DESCRIBE: Policy = Policy { attempts: 2, each: Duration::from_millis(1500), whole: Duration::from_secs(3), harmless_twice: true };

/// SageMaker, and the sessions to call it under.
///
/// One client for all regions and roles: a call names the region and brings the session's credentials along. A client for
/// each would cost 0.4 million instructions whenever it is made and have to be bounded.
pub struct SageMaker<C> {
    client: aws_sdk_sagemaker::Client,
    own_region: Region,
    host_rule: HostRule,
    sessions: RoleSessions<C>,
    posture: PostureMode,
}

impl<C: Clock> SageMaker<C> {
    /// URLs through these clients, under sessions of this scope. `clock` tells when sessions end.
    pub fn new(clients: &Clients, scope: SessionScope, clock: C) -> Self {
        Self {
            client: clients.sagemaker(),
            own_region: clients.region().clone(),
            host_rule: clients.host_rule(),
            sessions: RoleSessions::new(clients.sts(), scope, clock),
            posture: PostureMode::Off,
        }
    }

    /// The same for a posture gate that does this: unless it is off, sessions may look at their targets.
    #[must_use]
    pub fn with_posture(self, mode: PostureMode) -> Self {
        Self { sessions: self.sessions.may_inspect(mode.inspects()), posture: mode, ..self }
    }

    /// What a call needs beyond the client's own: the session's credentials and the target's region, where they differ.
    fn overrides(&self, region: &Region, session: &SessionCredentials) -> Option<aws_sdk_sagemaker::config::Builder> {
        let credentials = session.credentials();
        if credentials.is_none() && *region == self.own_region {
            return None;
        }
        let mut builder = aws_sdk_sagemaker::Config::builder();
        if let Some(credentials) = credentials {
            // Fixed credentials need no cache; without saying so, every call would make one of its own.
            builder = builder.credentials_provider(credentials.clone()).identity_cache(IdentityCache::no_cache());
        }
        if *region != self.own_region {
            builder = builder.region(aws_sdk_sagemaker::config::Region::new(region.as_str().to_owned()));
        }
        Some(builder)
    }

    /// A session can be revoked, or the role changed, before it ends. The next request opens a new one.
    fn forget_if_refused(&self, session: &RoleSession<SessionCredentials>, failure: &Failure) {
        if matches!(failure.kind, Kind::AccessDenied | Kind::Credentials) {
            self.sessions.forget(&session.credentials);
        }
    }

    /// Calls SageMaker for the URL of this kind of target: the URL, and the id of the request.
    async fn call(
        &self,
        entitlement: &Entitlement,
        session: &SessionCredentials,
        budget: Duration,
    ) -> Result<(Option<String>, Option<String>), Failure> {
        let overrides = self.overrides(entitlement.region(), session);
        attempts::run(PRESIGN, attempts::deadline(budget, PRESIGN), || {
            let overrides = overrides.clone();
            match &entitlement.grant().target {
                Target::Studio { domain_id, user_profile_name } => {
                    let landing = entitlement.landing();
                    let request = self
                        .client
                        .create_presigned_domain_url()
                        .domain_id(domain_id.as_str())
                        .user_profile_name(user_profile_name.as_str())
                        .expires_in_seconds(seconds(entitlement.url_seconds()))
                        .session_expiration_duration_in_seconds(seconds(entitlement.session_seconds()))
                        .set_landing_uri(landing.and_then(|landing| landing.landing_uri.as_ref()).map(ToString::to_string))
                        .set_space_name(landing.and_then(|landing| landing.space_name.as_ref()).map(ToString::to_string));
                    async move {
                        let output = match overrides {
                            Some(overrides) => request.customize().config_override(overrides).send().await?,
                            None => request.send().await?,
                        };
                        let request_id = output.request_id().and_then(printable);
                        Ok((output.authorized_url, request_id))
                    }
                }
            }
        })
        .await
    }

    /// Asks SageMaker about the domain and the user profile, side by side.
    async fn inspect_studio(
        &self,
        (domain_id, user_profile_name): (&str, &str),
        overrides: Option<&aws_sdk_sagemaker::config::Builder>,
        budget: Duration,
    ) -> Result<Inspection, Failure> {
        let deadline = attempts::deadline(budget, DESCRIBE);
        let domain = attempts::run(DESCRIBE, deadline, || {
            let (request, overrides) = (self.client.describe_domain().domain_id(domain_id), overrides.cloned());
            async move {
                Ok(match overrides {
                    Some(overrides) => request.customize().config_override(overrides).send().await?,
                    None => request.send().await?,
                })
            }
        });
        let profile = attempts::run(DESCRIBE, deadline, || {
            let request = self.client.describe_user_profile().domain_id(domain_id).user_profile_name(user_profile_name);
            let overrides = overrides.cloned();
            async move {
                Ok(match overrides {
                    Some(overrides) => request.customize().config_override(overrides).send().await?,
                    None => request.send().await?,
                })
            }
        });
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

/// Lifetimes as the SDK takes them. The domain's bounds end at 43200.
fn seconds(seconds: u32) -> i32 {
    i32::try_from(seconds).unwrap_or(i32::MAX)
}

impl<C: Clock> UrlIssuer for SageMaker<C> {
    type Credentials = SessionCredentials;

    async fn open_session(&self, entitlement: &Entitlement, budget: Duration) -> Result<RoleSession<SessionCredentials>, Denial> {
        self.sessions.open(entitlement, budget).await
    }

    async fn inspect(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<SessionCredentials>,
        budget: Duration,
    ) -> Result<Inspection, Denial> {
        let overrides = self.overrides(entitlement.region(), &session.credentials);
        let looking = match &entitlement.grant().target {
            Target::Studio { domain_id, user_profile_name } => {
                self.inspect_studio((domain_id.as_str(), user_profile_name.as_str()), overrides.as_ref(), budget)
            }
        };
        looking.await.map_err(|failure| {
            // Where the gate only reports, the URL is asked for next and shows whether the session is to blame; a role that
            // merely may not look would otherwise need a new session for every URL.
            if self.posture == PostureMode::Enforce {
                self.forget_if_refused(session, &failure);
            }
            denial(failure)
        })
    }

    async fn presign(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<SessionCredentials>,
        budget: Duration,
    ) -> Result<Issued, Denial> {
        let (url, aws_request_id) = self.call(entitlement, &session.credentials, budget).await.map_err(|failure| {
            self.forget_if_refused(session, &failure);
            denial(failure)
        })?;
        let Some(url) = url.filter(|url| !url.is_empty()) else {
            return Err(Failure::malformed(aws_request_id.as_deref()).into_denial(reason));
        };
        match PresignedUrl::new(url, entitlement.region(), self.host_rule) {
            Ok(url) => {
                Ok(Issued { url, url_seconds: entitlement.url_seconds(), session_seconds: entitlement.session_seconds(), aws_request_id })
            }
            Err(foreign) => Err(Denial::unavailable(FOREIGN_URL).with_detail(foreign.0).with_aws_request_id(aws_request_id)),
        }
    }
}

/// What a failed call means to the caller. A target that does not exist is the table's mistake or the target's absence, not
/// an outage: waiting does not help.
fn denial(failure: Failure) -> Denial {
    if failure.kind == Kind::NotFound {
        let mut denial = Denial::new(Code::TargetNotReady, reason(Kind::NotFound)).with_state(NOT_FOUND_STATE);
        denial.detail = failure.code;
        denial.aws_request_id = failure.request_id;
        return denial;
    }
    failure.into_denial(reason)
}

impl<C> fmt::Debug for SageMaker<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SageMaker")
            .field("own_region", &self.own_region.as_str())
            .field("host_rule", &self.host_rule)
            .field("sessions", &self.sessions)
            .field("posture", &self.posture)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reasons_are_apart() {
        let texts: std::collections::HashSet<&str> = REASONS.iter().map(|reason| reason.0).collect();
        assert_eq!(texts.len(), REASONS.len());
    }
}
