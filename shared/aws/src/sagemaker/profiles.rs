//! First login: a user profile that is made when its user comes for the first time.

use std::time::Duration;

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::operation::create_user_profile::CreateUserProfileError;
use aws_sdk_sagemaker::types::{Tag, UserProfileStatus, UserSettings};
use latchkey_domain::clock::Clock;
use latchkey_domain::decision::Denial;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::ports::{ProfileKeeper, RoleSession};
use latchkey_domain::posture::NotReady;
use latchkey_domain::provision::{Ensured, Profile, Provisioning, is_own, owner_tags};
use latchkey_domain::target::{Studio, Target};
use tokio::time::Instant;

use super::{DESCRIBE, SageMaker, Via, denial, reason, send};
use crate::attempts::{self, Policy};
use crate::failure::{Failure, Kind, printable};
use crate::role_session::SessionCredentials;

/// A profile cannot be made twice: the second call says that its name is taken.
const CREATE: Policy = Policy { attempts: 2, each: Duration::from_millis(2500), whole: Duration::from_secs(5), harmless_twice: true };

/// Most tags on one page of `ListTags`: more than a resource can have.
const ALL_TAGS: i32 = 100;

/// One profile that is looked for: whose it should be, and as whom SageMaker is asked.
struct Search<'a> {
    studio: &'a Studio,
    entitlement: &'a Entitlement,
    provisioning: &'a Provisioning,
    via: Via<'a>,
    deadline: Instant,
    request_ids: Vec<String>,
}

/// Whether a profile could be made.
enum Creation {
    Made {
        request_id: Option<String>,
    },
    /// Somebody has made one of that name in the meantime.
    Taken {
        request_id: Option<String>,
    },
}

impl<C: Clock> ProfileKeeper for SageMaker<C> {
    async fn ensure_profile(&self, entitlement: &Entitlement, provisioning: &Provisioning, budget: Duration) -> Result<Ensured, Denial> {
        let Target::Studio(studio) = &entitlement.grant().target else {
            // Reading a grant has seen to it that only Studio's have a plan.
            return Err(Failure::new(Kind::NotSent, false).into_denial(reason));
        };
        let deadline = Instant::now() + budget;
        let session = self.sessions.open_for_provisioning(entitlement, provisioning, budget).await?;
        let mut search = Search {
            studio,
            entitlement,
            provisioning,
            via: self.via(entitlement.region(), &session.credentials),
            deadline,
            request_ids: session.aws_request_id.iter().cloned().collect(),
        };
        let profile = search.run().await.map_err(|failure| self.failed(&session, failure))?;
        Ok(Ensured { profile, source_identity: session.source_identity, aws_request_ids: search.request_ids })
    }
}

impl<C: Clock> SageMaker<C> {
    fn failed(&self, session: &RoleSession<SessionCredentials>, failure: Failure) -> Denial {
        self.forget_if_refused(session, &failure);
        denial(failure)
    }
}

impl Search<'_> {
    /// Looks, makes the profile if there is none, and looks again if somebody else was faster.
    async fn run(&mut self) -> Result<Profile, Failure> {
        if let Some(profile) = self.look().await? {
            return Ok(profile);
        }
        let deadline = self.deadline.min(attempts::deadline(CREATE.whole, CREATE));
        match attempts::run(CREATE, deadline, || self.create()).await? {
            Creation::Made { request_id } => {
                self.request_ids.extend(request_id);
                Ok(Profile::Created)
            }
            Creation::Taken { request_id } => {
                self.request_ids.extend(request_id.clone());
                // It is there and it is not: then it is gone again, and the next request may have more luck.
                self.look().await?.ok_or(Failure { request_id, ..Failure::new(Kind::Failed, false) })
            }
        }
    }

    /// The profile of that name, if there is one.
    async fn look(&mut self) -> Result<Option<Profile>, Failure> {
        let deadline = self.deadline.min(attempts::deadline(DESCRIBE.whole, DESCRIBE));
        let described = attempts::run(DESCRIBE, deadline, || async {
            let request = self.via.client.describe_user_profile();
            let request = request.domain_id(self.studio.domain_id.as_str()).user_profile_name(self.studio.user_profile_name.as_str());
            Ok(send!(self.via, request)?)
        });
        let described = match described.await {
            Ok(described) => described,
            Err(failure) if failure.kind == Kind::NotFound => {
                self.request_ids.extend(failure.request_id);
                return Ok(None);
            }
            Err(failure) => return Err(failure),
        };
        self.request_ids.extend(described.request_id().and_then(printable));

        // By the name that it has, where the session is good for that spelling; else by ours.
        let own_arn = self.entitlement.resource_arn(self.provisioning.role.account_id());
        let is_in_session = |arn: &&str| *arn == own_arn || *arn == own_arn.to_ascii_lowercase();
        let arn = described.user_profile_arn().filter(is_in_session).unwrap_or(&own_arn);
        let listed = attempts::run(DESCRIBE, deadline, || async {
            Ok(send!(self.via, self.via.client.list_tags().resource_arn(arn).max_results(ALL_TAGS))?)
        });
        let listed = match listed.await {
            Ok(listed) => listed,
            Err(failure) if failure.kind == Kind::NotFound => {
                // It is there, under a name that is spelt in another way than any that this grant has had made.
                self.request_ids.extend(failure.request_id);
                return Ok(Some(Profile::Foreign));
            }
            Err(failure) => return Err(failure),
        };
        self.request_ids.extend(listed.request_id().and_then(printable));
        if listed.next_token().is_some() {
            // Tags that were not seen could say that it is somebody else's.
            return Err(Failure::malformed(listed.request_id()));
        }
        let tags = listed.tags().iter().filter_map(|tag| tag.key().zip(tag.value()));
        if !is_own(self.entitlement.principal().identity(), tags) {
            return Ok(Some(Profile::Foreign));
        }
        let status = described.status.as_ref();
        let not_ready = (status != Some(&UserProfileStatus::InService)).then(|| NotReady::new(status.map(UserProfileStatus::as_str)));
        Ok(Some(Profile::Own(not_ready)))
    }

    async fn create(&self) -> Result<Creation, Failure> {
        let plan = &self.provisioning.plan;
        let groups: Vec<String> = plan.security_group_ids.iter().map(ToString::to_string).collect();
        let settings = UserSettings::builder()
            .execution_role(plan.execution_role_arn.as_str())
            .set_security_groups((!groups.is_empty()).then_some(groups))
            .build();
        let owner = owner_tags(self.entitlement.principal().identity());
        let owner = owner.iter().map(|(key, value)| tag(key, value));
        let tags = owner.chain(plan.tags.iter().map(|(key, value)| tag(key.as_str(), value.as_str())));
        let request = self
            .via
            .client
            .create_user_profile()
            .domain_id(self.studio.domain_id.as_str())
            .user_profile_name(self.studio.user_profile_name.as_str())
            .set_tags(Some(tags.collect()))
            .user_settings(settings);
        match send!(self.via, request) {
            Ok(output) => Ok(Creation::Made { request_id: output.request_id().and_then(printable) }),
            Err(error) if error.as_service_error().is_some_and(CreateUserProfileError::is_resource_in_use) => {
                Ok(Creation::Taken { request_id: error.request_id().and_then(printable) })
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn tag(key: &str, value: &str) -> Tag {
    Tag::builder().key(key).value(value).build()
}
