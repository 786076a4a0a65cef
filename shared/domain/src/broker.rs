//! The use case: from a bearer token to a presigned URL, in the order that lets nothing happen too early.
//!
//! 1. the token is verified
//! 2. the caller's grant is read and decided on
//! 3. the use is counted, and with the replay guard the token marked
//! 4. where the grant wants it, the user profile is looked for, and made if there is none
//! 5. the role session is opened
//! 6. with the posture gate the target is looked at
//! 7. the URL is made
//!
//! Whatever refuses does so before step 4, so that a refused request causes no call to STS or SageMaker. Steps 4 and 6 are the
//! exception, since looking takes calls; what the posture gate has seen lately it refuses before step 4 too. Each step writes what it
//! learns into the audit record as it learns it, so that a refusal, or a request that is cut off, leaves all that was known.

use std::pin::{Pin, pin};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use crate::attribution::source_identity;
use crate::audit::AuditRecord;
use crate::clock::{Clock, Deadline, Timestamp};
use crate::decision::{Code, Denial, Reason};
use crate::entitlement::{self, TargetView, Terms, Wish};
use crate::identity::{IssuerId, Principal};
use crate::names::{RoleArn, TargetName};
use crate::ports::{
    Admission, AuthenticationError, Authenticator, Claim, GrantStore, Issued, ProfileKeeper, RateLimit, RoleSession, UrlIssuer, UsageLedger,
};
use crate::posture::{Door, Finding, Inspection, NotReady, PostureGate, PostureMode};
use crate::provision::{Profile, Provisioning};
use crate::recent::Recent;
use crate::token::BearerToken;

/// The rate limit is used up.
pub const RATE_LIMITED: Reason = Reason("usage.rate-limited");
/// The token was used before.
pub const REPLAYED: Reason = Reason("token.replayed");
/// The replay guard is on and the token has no id.
pub const NO_TOKEN_ID: Reason = Reason("token.jti-missing");
/// The posture gate refuses the target.
pub const NOT_COMPLIANT: Reason = Reason("posture.not-compliant");
/// The target is not in service.
pub const NOT_IN_SERVICE: Reason = Reason("posture.not-in-service");
/// There was no user profile yet. It is being made.
pub const PROFILE_CREATED: Reason = Reason("provision.created");
/// The user's own profile is not in service.
pub const PROFILE_NOT_IN_SERVICE: Reason = Reason("provision.not-in-service");
/// The user profile of that name is not the user's own.
pub const FOREIGN_PROFILE: Reason = Reason("provision.foreign-profile");
/// No time was left for the next step.
pub const OUT_OF_TIME: Reason = Reason("deadline.passed");

/// Every reason of this module.
pub const REASONS: &[Reason] = &[
    RATE_LIMITED,
    REPLAYED,
    NO_TOKEN_ID,
    NOT_COMPLIANT,
    NOT_IN_SERVICE,
    PROFILE_CREATED,
    PROFILE_NOT_IN_SERVICE,
    FOREIGN_PROFILE,
    OUT_OF_TIME,
];

/// The state of a user profile that is being made, in SageMaker's word.
const PENDING: &str = "Pending";

/// Below this, a step is not begun: no AWS call ends in less, and a call that is cut off may still have had its effect.
const SHORTEST_STEP: Duration = Duration::from_millis(20);

/// The broker's rules, from its configuration.
#[derive(Debug, Clone)]
pub struct Rules {
    /// The terms that grants can tighten.
    pub terms: Terms,
    /// URLs per user; none means no limit.
    pub rate_limit: Option<RateLimit>,
    /// Whether a token is good for one URL only.
    pub replay_guard: bool,
}

/// What a request has shown so far, for its one audit record.
///
/// Behind a lock, so that it outlives a request that is cut off or panics in the middle.
#[derive(Debug)]
pub struct Trail(Mutex<AuditRecord>);

impl Trail {
    /// Begins with what is known of the request.
    pub const fn new(record: AuditRecord) -> Self {
        Self(Mutex::new(record))
    }

    /// Writes down what has been learnt.
    pub fn note<T>(&self, write: impl FnOnce(&mut AuditRecord) -> T) -> T {
        write(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// A URL that a caller may have.
#[derive(Debug)]
pub struct Minted {
    /// The URL and its lifetimes.
    pub issued: Issued,
    /// When the URL stops opening, counted from before it was made: never later than the truth.
    pub expires_at: Timestamp,
    /// The target's name.
    pub target: TargetName,
    /// The target's kind.
    pub kind: &'static str,
    /// The target's region.
    pub region: String,
}

/// How long a user profile is taken to be its user's own after it was seen to be, in seconds.
pub const OWN_PROFILE_SECONDS: i64 = 300;

/// How long it is taken to be somebody else's, in seconds: less, since an operator may set that right.
pub const FOREIGN_PROFILE_SECONDS: i64 = 60;

/// Most user profiles that are remembered of each sort. The oldest make room.
pub const MAX_PROFILES: usize = 256;

/// The user profiles that were seen, within the last minutes, to be their users' own and in service, or somebody else's.
///
/// | cache | key | lifetime | bound |
/// | --- | --- | --- | --- |
/// | own profiles | resource ARN, identity, provisioning role | [`OWN_PROFILE_SECONDS`], shorter when one turns out not to be ready | [`MAX_PROFILES`], oldest out |
/// | others' profiles | the same | [`FOREIGN_PROFILE_SECONDS`] | the same |
#[derive(Debug)]
pub struct KnownProfiles {
    own: Recent<ProfileKey, ()>,
    foreign: Recent<ProfileKey, ()>,
}

/// Which profile, for whom, and seen by which role.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct ProfileKey {
    resource_arn: String,
    identity: String,
    role: RoleArn,
}

impl Default for KnownProfiles {
    fn default() -> Self {
        Self { own: Recent::new(OWN_PROFILE_SECONDS, MAX_PROFILES), foreign: Recent::new(FOREIGN_PROFILE_SECONDS, MAX_PROFILES) }
    }
}

/// The use case and what it needs.
#[derive(Debug)]
pub struct Broker<A, S, U, C> {
    /// Proves callers.
    pub authenticator: A,
    /// Reads grants and counts uses.
    pub store: S,
    /// Makes URLs.
    pub issuer: U,
    /// Tells the time.
    pub clock: C,
    /// The rules.
    pub rules: Rules,
    /// Looks at targets before it lets them be opened.
    pub posture: PostureGate,
    /// Knows, for a while, whose profile is whose.
    pub profiles: KnownProfiles,
}

/// What surrounds one request.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// When an answer must have been given.
    pub deadline: Deadline,
    /// The account that the function runs in: the account of targets when nothing else names one. Empty when not known.
    pub own_account: &'a str,
    /// What has been learnt so far.
    pub trail: &'a Trail,
}

impl<A, S, U, C> Broker<A, S, U, C>
where
    A: Authenticator,
    S: GrantStore + UsageLedger,
    U: UrlIssuer + ProfileKeeper,
    C: Clock,
{
    /// Proves who a token is from.
    ///
    /// # Errors
    /// [`Code::InvalidToken`], or [`Code::Unavailable`] when there are no keys to verify it with.
    pub async fn authenticate(&self, token: &BearerToken, call: Call<'_>) -> Result<Principal, Denial> {
        let Call { deadline, trail, .. } = call;
        let now = self.clock.now();
        let result =
            self.timed(trail, |d| &mut d.authenticate, pin!(self.authenticator.authenticate(token, now, self.budget(deadline)?))).await;
        // Of the keys that this token was verified with, or could not be. A token that is refused has perhaps not had any looked at,
        // and those of an issuer whose users do not come grow old without harm to anyone.
        let key_age = |issuer: &IssuerId| self.authenticator.key_age(issuer, now).map(|age| age.as_secs());
        match result {
            Ok(principal) => {
                trail.note(|record| {
                    record.key_age_seconds = key_age(&principal.identity().issuer);
                    record.issuer_id = Some(principal.identity().issuer.to_string());
                    record.subject = Some(principal.identity().subject.to_string());
                    record.key_id = Some(principal.key_id().to_owned());
                    record.token_id = principal.token_id().map(ToOwned::to_owned);
                });
                Ok(principal)
            }
            Err(AuthenticationError::Refused { reason, issuer }) => {
                trail.note(|record| record.issuer_id = issuer.map(|issuer| issuer.to_string()));
                Err(Denial::new(Code::InvalidToken, reason))
            }
            Err(AuthenticationError::Unavailable { reason, issuer }) => {
                trail.note(|record| {
                    record.key_age_seconds = key_age(&issuer);
                    record.issuer_id = Some(issuer.to_string());
                });
                Err(Denial::unavailable(reason))
            }
        }
    }

    /// Makes one URL for the caller.
    ///
    /// # Errors
    /// The refusal. The trail holds all that was learnt either way.
    pub async fn mint(&self, principal: Principal, wish: &Wish, call: Call<'_>) -> Result<Minted, Denial> {
        let Call { deadline, own_account, trail } = call;
        trail.note(|record| record.target = wish.target.as_ref().map(ToString::to_string));
        let now = self.clock.now();
        let identity = principal.identity().clone();

        let reading = self.store.read(&identity, principal.groups(), wish.target.as_ref(), self.budget(deadline)?);
        let record =
            self.timed(trail, |d| &mut d.read_grant, pin!(reading)).await.map_err(|unavailable| table_failed(unavailable, trail))?;
        let entitlement = entitlement::entitle(principal, &record, wish, &self.rules.terms, own_account, now)?;
        let grant = entitlement.grant();
        trail.note(|record| {
            record.target = Some(grant.name.to_string());
            record.group = entitlement.group().map(ToString::to_string);
            record.kind = Some(grant.target.kind().as_str());
            record.account = Some(entitlement.account_id(own_account).to_owned());
            record.region = Some(entitlement.region().to_string());
            record.resource_arn = Some(entitlement.resource_arn(own_account));
            record.role = entitlement.role().map(ToString::to_string);
        });

        // First the mark: who sends a used token again must not use up what its owner may still open.
        let claimed = self.claim(&entitlement, now, deadline, trail).await?;
        let result = match self.count(&entitlement, now, deadline, trail).await {
            Ok(()) => pin!(self.issue(&entitlement, call)).await,
            Err(denial) => Err(denial),
        };
        if result.is_err()
            && let Some(token_id) = claimed
        {
            // Nothing was handed out, so the token may be tried again. Should this fail, it stays used: fail closed.
            let _ = self.store.release_token(&identity, &token_id, deadline.remaining(&self.clock)).await;
        }
        result
    }

    /// Lists what the caller may open.
    ///
    /// # Errors
    /// The refusal. The trail holds all that was learnt either way.
    pub async fn list(&self, principal: &Principal, call: Call<'_>) -> Result<Vec<TargetView>, Denial> {
        let Call { deadline, own_account, trail } = call;
        let reading = self.store.read(principal.identity(), principal.groups(), None, self.budget(deadline)?);
        let record =
            self.timed(trail, |d| &mut d.read_grant, pin!(reading)).await.map_err(|unavailable| table_failed(unavailable, trail))?;
        entitlement::list(&record, &self.rules.terms, own_account, self.clock.now())
    }

    async fn count(&self, entitlement: &entitlement::Entitlement, now: Timestamp, deadline: Deadline, trail: &Trail) -> Result<(), Denial> {
        let Some(limit) = self.rules.rate_limit else { return Ok(()) };
        let identity = entitlement.principal().identity();
        let counting = self.store.count(identity, limit, now, self.budget(deadline)?);
        match self.timed(trail, |d| &mut d.rate_limit, pin!(counting)).await.map_err(|unavailable| table_failed(unavailable, trail))? {
            Admission::Admitted => Ok(()),
            Admission::Limited { retry_after_seconds } => {
                Err(Denial::new(Code::RateLimited, RATE_LIMITED).with_retry_after(retry_after_seconds.max(1)))
            }
        }
    }

    /// Marks the token as used, where the replay guard is on; gives back the id that was marked.
    async fn claim(
        &self,
        entitlement: &entitlement::Entitlement,
        now: Timestamp,
        deadline: Deadline,
        trail: &Trail,
    ) -> Result<Option<String>, Denial> {
        if !self.rules.replay_guard {
            return Ok(None);
        }
        let principal = entitlement.principal();
        let Some(token_id) = principal.token_id() else { return Err(Denial::new(Code::InvalidToken, NO_TOKEN_ID)) };
        let claiming = self.store.claim_token(principal.identity(), token_id, now, principal.expires_at(), self.budget(deadline)?);
        match self.timed(trail, |d| &mut d.replay, pin!(claiming)).await.map_err(|unavailable| table_failed(unavailable, trail))? {
            Claim::Claimed => Ok(Some(token_id.to_owned())),
            Claim::Replayed => Err(Denial::new(Code::InvalidToken, REPLAYED)),
        }
    }

    async fn issue(&self, entitlement: &entitlement::Entitlement, call: Call<'_>) -> Result<Minted, Denial> {
        let Call { own_account, trail, .. } = call;
        let looks = self.posture.mode().inspects() && entitlement.grant().target.kind().is_gated();
        let door = looks.then(|| Door { resource_arn: entitlement.resource_arn(own_account), role: entitlement.role().cloned() });
        let known = door.as_ref().and_then(|door| self.posture.findings(door, self.clock.now()));
        if let Some(findings) = &known {
            self.judge(&Inspection { findings: findings.clone(), ..Inspection::default() }, trail)?;
        }
        let Some(provisioning) = entitlement.provisioning() else { return self.open(entitlement, door, known, call).await };
        let profile = ProfileKey {
            resource_arn: entitlement.resource_arn(own_account),
            identity: entitlement.principal().identity().partition_key(),
            role: provisioning.role.clone(),
        };
        self.ensure_profile(&profile, entitlement, provisioning, call).await?;
        let opened = self.open(entitlement, door, known, call).await;
        if opened.as_ref().is_err_and(|denial| denial.code == Code::TargetNotReady) {
            // Somebody has deleted it, or is at it: the next request looks again.
            self.profiles.own.forget(&profile);
        }
        opened
    }

    /// Opens a session, looks at the target where that is due, and has the URL made.
    async fn open(
        &self,
        entitlement: &entitlement::Entitlement,
        door: Option<Door>,
        known: Option<Vec<Finding>>,
        call: Call<'_>,
    ) -> Result<Minted, Denial> {
        let Call { deadline, trail, .. } = call;
        let opening = self.issuer.open_session(entitlement, self.budget(deadline)?);
        let session = self.timed(trail, |d| &mut d.role_session, pin!(opening)).await.inspect_err(|denial| {
            trail.note(|record| {
                record.source_identity = entitlement.role().map(|_| source_identity(entitlement.principal().identity()));
                record.aws_request_ids.sts.clone_from(&denial.aws_request_id);
            });
        })?;
        trail.note(|record| {
            record.source_identity.clone_from(&session.source_identity);
            record.aws_request_ids.sts.clone_from(&session.aws_request_id);
            record.url_seconds = Some(entitlement.url_seconds());
            record.session_seconds = Some(entitlement.session_seconds());
        });
        if let (Some(door), None) = (door, known) {
            self.inspect(door, entitlement, &session, deadline, trail).await?;
        }

        let asked_at = self.clock.now();
        let presigning = self.issuer.presign(entitlement, &session, self.budget(deadline)?);
        let issued = self.timed(trail, |d| &mut d.presign, pin!(presigning)).await.inspect_err(|denial| {
            trail.note(|record| {
                record.aws_request_ids.sagemaker.clone_from(&denial.aws_request_id);
                record.aws_request_ids.state = denial.state_request_id.as_deref().map(str::to_owned);
            });
        })?;
        trail.note(|record| {
            record.aws_request_ids.sagemaker.clone_from(&issued.aws_request_id);
            record.url_sha256 = Some(issued.url.sha256());
            record.url_seconds = Some(issued.url_seconds);
            record.session_seconds = Some(issued.session_seconds);
        });
        Ok(Minted {
            expires_at: asked_at.plus_seconds(i64::from(issued.url_seconds)),
            target: entitlement.grant().name.clone(),
            kind: entitlement.grant().target.kind().as_str(),
            region: entitlement.region().to_string(),
            issued,
        })
    }

    /// Looks at the target and keeps what was seen.
    ///
    /// Where the gate only reports, looking costs nobody a URL: it gets half of the time that is left, and may fail.
    async fn inspect(
        &self,
        door: Door,
        entitlement: &entitlement::Entitlement,
        session: &RoleSession<U::Credentials>,
        deadline: Deadline,
        trail: &Trail,
    ) -> Result<(), Denial> {
        let budget = self.budget(deadline)?;
        let enforces = self.posture.mode() == PostureMode::Enforce;
        let looking = self.issuer.inspect(entitlement, session, if enforces { budget } else { budget / 2 });
        match self.timed(trail, |d| &mut d.posture, pin!(looking)).await {
            Ok(inspection) => {
                trail.note(|record| record.aws_request_ids.posture.clone_from(&inspection.aws_request_ids));
                self.posture.keep(door, &inspection, self.clock.now());
                self.judge(&inspection, trail)
            }
            Err(denial) => {
                trail.note(|record| record.aws_request_ids.posture.extend(denial.aws_request_id.clone()));
                if enforces {
                    return Err(denial);
                }
                trail.note(|record| {
                    record.findings = vec![Finding::NotInspected.as_str()];
                    record.detail = Some(denial.reason.to_string());
                });
                Ok(())
            }
        }
    }

    /// Writes down what was seen, and decides on it. Whatever waiting does not change comes first.
    fn judge(&self, inspection: &Inspection, trail: &Trail) -> Result<(), Denial> {
        trail.note(|record| record.findings = inspection.findings.iter().map(|finding| finding.as_str()).collect());
        if self.posture.mode() != PostureMode::Enforce {
            return Ok(());
        }
        if inspection.is_unsound() {
            return Err(Denial::new(Code::TargetNotCompliant, NOT_COMPLIANT));
        }
        inspection.not_ready.as_ref().map_or(Ok(()), |not_ready| Err(not_ready.refusal(NOT_IN_SERVICE)))
    }

    /// Sees to it that the user's own profile is there, before anything is opened in its name.
    async fn ensure_profile(
        &self,
        profile: &ProfileKey,
        entitlement: &entitlement::Entitlement,
        provisioning: &Provisioning,
        call: Call<'_>,
    ) -> Result<(), Denial> {
        let Call { deadline, trail, .. } = call;
        let now = self.clock.now();
        if self.profiles.own.get(profile, now).is_some() {
            return Ok(());
        }
        trail.note(|record| record.provision_role = Some(provisioning.role.to_string()));
        if self.profiles.foreign.get(profile, now).is_some() {
            return Err(Denial::new(Code::NotEntitled, FOREIGN_PROFILE));
        }
        let ensuring = self.issuer.ensure_profile(entitlement, provisioning, self.budget(deadline)?);
        let ensured = self.timed(trail, |d| &mut d.provision, pin!(ensuring)).await;
        trail.note(|record| {
            record.source_identity.clone_from(&ensured.source_identity);
            record.aws_request_ids.provision.clone_from(&ensured.aws_request_ids);
        });
        match ensured.outcome? {
            Profile::Own(None) => {
                self.profiles.own.keep(profile.clone(), (), self.clock.now());
                Ok(())
            }
            Profile::Own(Some(not_ready)) => Err(not_ready.refusal(PROFILE_NOT_IN_SERVICE)),
            Profile::Created => Err(NotReady::new(Some(PENDING)).refusal(PROFILE_CREATED)),
            Profile::Changing => Err(NotReady::new(Some(PENDING)).refusal(PROFILE_NOT_IN_SERVICE)),
            Profile::Foreign => {
                self.profiles.foreign.keep(profile.clone(), (), self.clock.now());
                Err(Denial::new(Code::NotEntitled, FOREIGN_PROFILE))
            }
        }
    }

    /// What a step may take: all that is left. A step is not begun when it could not end.
    fn budget(&self, deadline: Deadline) -> Result<Duration, Denial> {
        let remaining = deadline.remaining(&self.clock);
        if remaining < SHORTEST_STEP { Err(Denial::unavailable(OUT_OF_TIME)) } else { Ok(remaining) }
    }

    /// Runs a step and writes down how long it took, whatever came of it.
    ///
    /// The step comes pinned: a call to AWS is a future of many kilobytes, and one that is passed by value is copied on its way into
    /// each function that it goes through.
    async fn timed<T>(
        &self,
        trail: &Trail,
        slot: impl FnOnce(&mut crate::audit::Durations) -> &mut Option<f64>,
        step: Pin<&mut (impl Future<Output = T> + Send)>,
    ) -> T {
        let begun = self.clock.monotonic();
        let result = step.await;
        let took = self.clock.monotonic().saturating_sub(begun);
        trail.note(|record| *slot(&mut record.durations_ms) = Some(milliseconds(took)));
        result
    }
}

/// A duration in milliseconds, to the microsecond.
pub fn milliseconds(duration: Duration) -> f64 {
    (duration.as_secs_f64() * 1_000_000.0).round() / 1000.0
}

fn table_failed(unavailable: crate::ports::Unavailable, trail: &Trail) -> Denial {
    trail.note(|record| record.aws_request_ids.dynamodb.clone_from(&unavailable.aws_request_id));
    unavailable.into()
}
