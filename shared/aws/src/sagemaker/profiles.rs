//! First login: a user profile that is made when its user comes for the first time.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_sdk_sagemaker::operation::RequestId as _;
use aws_sdk_sagemaker::operation::create_user_profile::CreateUserProfileError;
use aws_sdk_sagemaker::types::{Tag, UserProfileStatus, UserSettings};
use latchkey_domain::attribution::source_identity;
use latchkey_domain::clock::Clock;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::ports::ProfileKeeper;
use latchkey_domain::posture::NotReady;
use latchkey_domain::provision::{Ensured, Profile, Provisioning, is_own, is_owned, owner_tags};
use latchkey_domain::target::{Studio, Target};
use tokio::time::Instant;

use super::{DESCRIBE, SageMaker, Via, denial, reason, send};
use crate::attempts::{self, Policy};
use crate::failure::{Failure, Kind, printable};

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
    /// There is one of that name by now.
    Taken {
        request_id: Option<String>,
    },
}

/// A profile that is there.
struct Seen {
    is_own: bool,
    /// Whether its tags name anybody.
    is_owned: bool,
    not_ready: Option<NotReady>,
}

impl Seen {
    fn profile(self) -> Profile {
        if self.is_own { Profile::Own(self.not_ready) } else { Profile::Foreign }
    }
}

impl<C: Clock> ProfileKeeper for SageMaker<C> {
    async fn ensure_profile(&self, entitlement: &Entitlement, provisioning: &Provisioning, budget: Duration) -> Ensured {
        let deadline = Instant::now() + budget;
        let mut ensured = Ensured {
            outcome: Err(Failure::new(Kind::NotSent, false).into_denial(reason)),
            source_identity: Some(source_identity(entitlement.principal().identity())),
            aws_request_ids: Vec::new(),
        };
        // Reading a grant has seen to it that only Studio's have a plan.
        let Target::Studio(studio) = &entitlement.grant().target else { return ensured };
        let opened = match self.check_region(entitlement.region()) {
            Ok(()) => self.sessions.open_for_provisioning(entitlement, provisioning, budget).await,
            Err(denial) => Err(denial),
        };
        let session = match opened {
            Ok(session) => session,
            Err(denial) => {
                ensured.aws_request_ids.extend(denial.aws_request_id.clone());
                ensured.outcome = Err(denial);
                return ensured;
            }
        };
        let mut search = Search {
            studio,
            entitlement,
            provisioning,
            via: self.via(entitlement.region(), &session.credentials),
            deadline,
            request_ids: session.aws_request_id.iter().cloned().collect(),
        };
        let outcome = search.run().await;
        ensured.aws_request_ids = search.request_ids;
        ensured.outcome = outcome.map_err(|failure| {
            self.forget_if_refused(&session, &failure);
            ensured.aws_request_ids.extend(failure.request_id.clone());
            denial(failure)
        });
        ensured
    }
}

impl Search<'_> {
    /// Looks, makes the profile if there is none, and looks again if there was one all of a sudden.
    async fn run(&mut self) -> Result<Profile, Failure> {
        if let Some(seen) = self.look().await? {
            return Ok(seen.profile());
        }
        let deadline = self.deadline.min(attempts::deadline(CREATE.whole, CREATE));
        let attempts_made = AtomicU32::new(0);
        let creating = attempts::run(CREATE, deadline, || {
            attempts_made.fetch_add(1, Ordering::Relaxed);
            self.create()
        });
        let request_id = match creating.await? {
            Creation::Made { request_id } => {
                self.request_ids.extend(request_id);
                return Ok(Profile::Created);
            }
            Creation::Taken { request_id } => request_id,
        };
        self.request_ids.extend(request_id);
        Ok(match self.look().await? {
            // The answer to an attempt of ours was lost.
            Some(Seen { is_own: true, .. }) if attempts_made.into_inner() > 1 => Profile::Created,
            // Its tags may come a moment after it. Nobody opens what is being made.
            Some(Seen { is_owned: false, not_ready: Some(_), .. }) => Profile::Changing,
            Some(seen) => seen.profile(),
            // There and not there: it is being deleted, or not to be seen yet.
            None => Profile::Changing,
        })
    }

    /// The profile of that name, if there is one.
    async fn look(&mut self) -> Result<Option<Seen>, Failure> {
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
                return Ok(Some(Seen { is_own: false, is_owned: true, not_ready: None }));
            }
            Err(failure) => return Err(failure),
        };
        self.request_ids.extend(listed.request_id().and_then(printable));
        if listed.next_token().is_some() {
            // Tags that were not seen could say that it is somebody else's.
            return Err(Failure::malformed(listed.request_id()));
        }
        let tags = listed.tags().iter().filter_map(|tag| tag.key().zip(tag.value()));
        let status = described.status.as_ref();
        Ok(Some(Seen {
            is_own: is_own(self.entitlement.principal().identity(), tags.clone()),
            is_owned: is_owned(tags),
            not_ready: (status != Some(&UserProfileStatus::InService)).then(|| NotReady::new(status.map(UserProfileStatus::as_str))),
        }))
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
