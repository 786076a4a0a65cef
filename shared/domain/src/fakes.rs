//! Ports in memory and a clock that is set by hand, for tests. They run the same contract suites as the real adapters.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::attribution::source_identity;
use crate::audit::AuditRecord;
use crate::clock::{Clock, Timestamp};
use crate::decision::{Denial, Reason};
use crate::entitlement::{Entitlement, SubjectRecord};
use crate::grant::GRANT_SORT_KEY_PREFIX;
use crate::group::GROUP_SORT_KEY;
use crate::identity::{Group, Identity, IssuerId, Principal, Subject};
use crate::item::Item;
use crate::names::TargetName;
use crate::ports::{
    Admission, AuditSink, AuthenticationError, Authenticator, Claim, GrantStore, Issued, ProfileKeeper, RateLimit, RoleSession,
    Unavailable, UrlIssuer, UsageLedger, UsageView,
};
use crate::posture::Inspection;
use crate::presigned_url::{HostRule, PresignedUrl};
use crate::provision::{Ensured, Profile, Provisioning};
use crate::subject::SUBJECT_SORT_KEY;
use crate::token::BearerToken;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A clock that stands still until it is moved.
#[derive(Debug, Clone)]
pub struct ManualClock(Arc<Mutex<(Timestamp, Duration)>>);

impl ManualClock {
    /// A clock that shows `now`.
    pub fn at(now: Timestamp) -> Self {
        Self(Arc::new(Mutex::new((now, Duration::ZERO))))
    }

    /// Moves both clocks on.
    pub fn advance(&self, by: Duration) {
        let mut times = lock(&self.0);
        let millis = i64::try_from(by.as_millis()).unwrap_or(i64::MAX);
        times.0 = Timestamp::from_unix_millis(times.0.unix_millis().saturating_add(millis));
        times.1 = times.1.saturating_add(by);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        lock(&self.0).0
    }

    fn monotonic(&self) -> Duration {
        lock(&self.0).1
    }
}

/// An authenticator that knows tokens by heart.
#[derive(Debug, Clone, Default)]
pub struct KnownTokens(Arc<Mutex<HashMap<String, Result<Principal, AuthenticationError>>>>);

impl KnownTokens {
    /// The reason for which it refuses what it does not know.
    pub const UNKNOWN: Reason = Reason("token.unknown-to-the-fake");

    /// Answers `token` with `outcome`.
    pub fn insert(&self, token: &str, outcome: Result<Principal, AuthenticationError>) {
        lock(&self.0).insert(token.to_owned(), outcome);
    }
}

impl Authenticator for KnownTokens {
    async fn authenticate(&self, token: &BearerToken, _: Timestamp, _: Duration) -> Result<Principal, AuthenticationError> {
        lock(&self.0).get(token.expose()).cloned().unwrap_or(Err(AuthenticationError::Refused { reason: Self::UNKNOWN, issuer: None }))
    }

    fn key_age(&self, _: &IssuerId, _: Timestamp) -> Option<Duration> {
        Some(Duration::from_secs(60))
    }
}

/// A principal without a token behind it.
///
/// # Errors
/// An issuer id or a subject that is not one.
#[expect(clippy::disallowed_methods, reason = "a fake verifies nothing")]
pub fn principal(
    issuer: &str,
    subject: &str,
    token_id: Option<&str>,
    expires_at: Timestamp,
) -> Result<Principal, crate::identity::InvalidIdentity> {
    let identity = Identity { issuer: IssuerId::new(issuer)?, subject: Subject::new(subject)? };
    Ok(Principal::from_verified_claims(identity, "key-1".to_owned(), token_id.map(ToOwned::to_owned), expires_at, Vec::new()))
}

/// A principal who is in these groups of its issuer's, without a token behind it.
///
/// # Errors
/// An issuer id, a subject or a group that is not one.
#[expect(clippy::disallowed_methods, reason = "a fake verifies nothing")]
pub fn member(
    issuer: &str,
    subject: &str,
    token_id: Option<&str>,
    groups: &[&str],
    expires_at: Timestamp,
) -> Result<Principal, crate::identity::InvalidIdentity> {
    let identity = Identity { issuer: IssuerId::new(issuer)?, subject: Subject::new(subject)? };
    let groups = groups.iter().map(|group| Group::new(*group)).collect::<Result<_, _>>()?;
    Ok(Principal::from_verified_claims(identity, "key-1".to_owned(), token_id.map(ToOwned::to_owned), expires_at, groups))
}

/// A table in memory. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct MemoryTable(Arc<Mutex<MemoryRows>>);

#[derive(Debug, Default)]
struct MemoryRows {
    items: BTreeMap<(String, String), Item>,
    counters: HashMap<(String, i64), u32>,
    tokens: HashMap<(String, String), Timestamp>,
    failing: Option<Unavailable>,
    requests: Vec<&'static str>,
}

impl MemoryTable {
    /// Puts an item under its keys.
    pub fn put(&self, pk: &str, sk: &str, item: Item) {
        lock(&self.0).items.insert((pk.to_owned(), sk.to_owned()), item);
    }

    /// The item under these keys.
    pub fn get(&self, pk: &str, sk: &str) -> Option<Item> {
        lock(&self.0).items.get(&(pk.to_owned(), sk.to_owned())).cloned()
    }

    /// Lets every request fail from now on, or none.
    pub fn fail_with(&self, failing: Option<Unavailable>) {
        lock(&self.0).failing = failing;
    }

    /// The requests made so far, by name.
    pub fn requests(&self) -> Vec<&'static str> {
        lock(&self.0).requests.clone()
    }

    fn request(&self, name: &'static str) -> Result<MutexGuard<'_, MemoryRows>, Unavailable> {
        let mut rows = lock(&self.0);
        rows.requests.push(name);
        match rows.failing.clone() {
            Some(failing) => Err(failing),
            None => Ok(rows),
        }
    }
}

impl GrantStore for MemoryTable {
    async fn read(
        &self,
        identity: &Identity,
        groups: &[Group],
        target: Option<&TargetName>,
        _: Duration,
    ) -> Result<SubjectRecord, Unavailable> {
        if target.is_none() && !groups.is_empty() {
            drop(self.request("read-groups")?);
        }
        let rows = self.request("read")?;
        let pk = identity.partition_key();
        let own = rows.items.iter().filter(|((item_pk, _), _)| *item_pk == pk);
        let grants = own.filter_map(|((_, sk), item)| {
            let name = sk.strip_prefix(GRANT_SORT_KEY_PREFIX)?;
            target.is_none_or(|target| target.as_str() == name).then(|| (name.to_owned(), item.clone()))
        });
        let subject = rows.items.get(&(pk.clone(), SUBJECT_SORT_KEY.to_owned()));
        let record = SubjectRecord::new(subject, grants);
        if groups.is_empty() {
            return Ok(record);
        }
        let granted = groups.iter().filter_map(|group| {
            let item = rows.items.get(&(group.partition_key(&identity.issuer), GROUP_SORT_KEY.to_owned()))?;
            Some((group.clone(), item.clone()))
        });
        Ok(record.with_groups(subject, granted))
    }
}

impl UsageLedger for MemoryTable {
    async fn count(&self, identity: &Identity, limit: RateLimit, now: Timestamp, _: Duration) -> Result<Admission, Unavailable> {
        let mut rows = self.request("count")?;
        let seconds = i64::from(limit.seconds.max(1));
        let window = now.unix_seconds().div_euclid(seconds);
        let used = rows.counters.entry((identity.partition_key(), window)).or_default();
        if *used < limit.urls {
            *used += 1;
            Ok(Admission::Admitted)
        } else {
            let left = (window + 1) * seconds - now.unix_seconds();
            Ok(Admission::Limited { retry_after_seconds: u32::try_from(left).unwrap_or(1).max(1) })
        }
    }

    async fn claim_token(
        &self,
        identity: &Identity,
        token_id: &str,
        now: Timestamp,
        until: Timestamp,
        _: Duration,
    ) -> Result<Claim, Unavailable> {
        let mut rows = self.request("claim")?;
        let key = (identity.issuer.to_string(), token_id.to_owned());
        if rows.tokens.get(&key).is_some_and(|&marked_until| marked_until >= now) {
            return Ok(Claim::Replayed);
        }
        rows.tokens.insert(key, until);
        Ok(Claim::Claimed)
    }

    async fn release_token(&self, identity: &Identity, token_id: &str, _: Duration) -> Result<(), Unavailable> {
        let mut rows = self.request("release")?;
        rows.tokens.remove(&(identity.issuer.to_string(), token_id.to_owned()));
        Ok(())
    }
}

impl UsageView for MemoryTable {
    async fn used(&self, identity: &Identity, limit: RateLimit, now: Timestamp, _: Duration) -> Result<u32, Unavailable> {
        let rows = self.request("used")?;
        let window = now.unix_seconds().div_euclid(i64::from(limit.seconds.max(1)));
        Ok(rows.counters.get(&(identity.partition_key(), window)).copied().unwrap_or_default())
    }

    async fn is_claimed(&self, identity: &Identity, token_id: &str, now: Timestamp, _: Duration) -> Result<bool, Unavailable> {
        let rows = self.request("is_claimed")?;
        let key = (identity.issuer.to_string(), token_id.to_owned());
        Ok(rows.tokens.get(&key).is_some_and(|&marked_until| marked_until >= now))
    }
}

/// An issuer of URLs that answers as it is told. Clones share what they are told.
#[derive(Debug, Clone)]
pub struct ScriptedIssuer(Arc<Mutex<Script>>);

#[derive(Debug, Default)]
struct Script {
    session: Option<Denial>,
    inspection: Option<Result<Inspection, Denial>>,
    presign: Option<Denial>,
    profile: Option<Result<Profile, Denial>>,
    calls: Vec<&'static str>,
}

impl Default for ScriptedIssuer {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Script::default())))
    }
}

impl ScriptedIssuer {
    /// Refuses sessions from now on, or opens them.
    pub fn refuse_session(&self, denial: Option<Denial>) {
        lock(&self.0).session = denial;
    }

    /// Sees this in every target from now on, or fails to look. Without it, every target is sound.
    pub fn see(&self, inspection: Result<Inspection, Denial>) {
        lock(&self.0).inspection = Some(inspection);
    }

    /// Finds this when it looks for a profile, or fails to look. Without it, every profile is its user's own and in service.
    pub fn find_profile(&self, found: Result<Profile, Denial>) {
        lock(&self.0).profile = Some(found);
    }

    /// Refuses URLs from now on, or makes them.
    pub fn refuse_presign(&self, denial: Option<Denial>) {
        lock(&self.0).presign = denial;
    }

    /// The calls made so far, by name.
    pub fn calls(&self) -> Vec<&'static str> {
        lock(&self.0).calls.clone()
    }
}

impl UrlIssuer for ScriptedIssuer {
    type Credentials = ();

    async fn open_session(&self, entitlement: &Entitlement, _: Duration) -> Result<RoleSession<()>, Denial> {
        let mut script = lock(&self.0);
        script.calls.push("open_session");
        match script.session.clone() {
            Some(denial) => Err(denial),
            None => Ok(RoleSession {
                role_arn: entitlement.role().map(ToString::to_string),
                source_identity: entitlement.role().map(|_| source_identity(entitlement.principal().identity())),
                aws_request_id: entitlement.role().map(|_| "sts-request".to_owned()),
                credentials: (),
            }),
        }
    }

    async fn inspect(&self, _: &Entitlement, _: &RoleSession<()>, _: Duration) -> Result<Inspection, Denial> {
        let mut script = lock(&self.0);
        script.calls.push("inspect");
        script.inspection.clone().unwrap_or_else(|| Ok(Inspection::default()))
    }

    async fn presign(&self, entitlement: &Entitlement, _: &RoleSession<()>, _: Duration) -> Result<Issued, Denial> {
        let mut script = lock(&self.0);
        script.calls.push("presign");
        if let Some(denial) = script.presign.clone() {
            return Err(denial);
        }
        let url = format!("https://d-demo.studio.{}.sagemaker.aws/auth?token=canary", entitlement.region());
        let kind = entitlement.grant().target.kind();
        let url = PresignedUrl::new(url, kind, entitlement.region(), HostRule { allow_loopback: false });
        Ok(Issued {
            url: url.map_err(|_| Denial::unavailable(Reason("fake.region")))?,
            url_seconds: entitlement.url_seconds(),
            session_seconds: entitlement.session_seconds(),
            aws_request_id: Some("sagemaker-request".to_owned()),
        })
    }
}

impl ProfileKeeper for ScriptedIssuer {
    async fn ensure_profile(&self, entitlement: &Entitlement, _: &Provisioning, _: Duration) -> Ensured {
        let mut script = lock(&self.0);
        script.calls.push("ensure_profile");
        Ensured {
            outcome: script.profile.clone().unwrap_or(Ok(Profile::Own(None))),
            source_identity: Some(source_identity(entitlement.principal().identity())),
            aws_request_ids: vec!["profile-request".to_owned()],
        }
    }
}

/// Keeps records in memory. Clones share them.
#[derive(Debug, Clone, Default)]
pub struct MemorySink(Arc<Mutex<(Vec<AuditRecord>, bool)>>);

impl MemorySink {
    /// The records kept so far.
    pub fn records(&self) -> Vec<AuditRecord> {
        lock(&self.0).0.clone()
    }

    /// Keeps nothing from now on, and says so.
    pub fn fail(&self) {
        lock(&self.0).1 = true;
    }
}

impl AuditSink for MemorySink {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        let mut kept = lock(&self.0);
        if kept.1 {
            return Err(io::Error::other("the sink is full"));
        }
        kept.0.push(record.clone());
        Ok(())
    }
}
