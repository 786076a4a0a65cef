//! What an explanation puts in the place of the broker's ports: each lets the same decision be made, and nothing be done.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use latchkey_domain::audit::AuditRecord;
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_domain::entitlement::SubjectRecord;
use latchkey_domain::identity::{Group, Identity, IssuerId, Principal};
use latchkey_domain::names::TargetName;
use latchkey_domain::ports::{
    Admission, AuditSink, AuthenticationError, Authenticator, Claim, GrantStore, RateLimit, Unavailable, UsageLedger, UsageView,
};
use latchkey_domain::token::BearerToken;

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A table that is only looked at: uses are not counted, tokens not marked.
#[derive(Debug)]
pub struct Onlooker<S> {
    table: S,
    seen: Mutex<Seen>,
}

/// What was seen in the table.
#[derive(Debug, Clone, Default)]
pub struct Seen {
    /// What it holds for the subject: all of it, or what was read for the target that was named.
    pub record: Option<SubjectRecord>,
    /// The groups for which it was looked.
    pub groups: Vec<Group>,
    /// The target that was named.
    pub target: Option<TargetName>,
    /// How many URLs are counted in this window.
    pub used: Option<u32>,
}

impl<S> Onlooker<S> {
    /// Looks at this table.
    pub fn new(table: S) -> Self {
        Self { table, seen: Mutex::default() }
    }

    /// What was seen so far.
    pub fn seen(&self) -> Seen {
        lock(&self.seen).clone()
    }
}

impl<S: GrantStore> GrantStore for Onlooker<S> {
    async fn read(
        &self,
        identity: &Identity,
        groups: &[Group],
        target: Option<&TargetName>,
        budget: Duration,
    ) -> Result<SubjectRecord, Unavailable> {
        let record = self.table.read(identity, groups, target, budget).await;
        let mut seen = lock(&self.seen);
        seen.groups = groups.to_vec();
        let record = record?;
        (seen.record, seen.target) = (Some(record.clone()), target.cloned());
        Ok(record)
    }
}

impl<S: UsageView> UsageLedger for Onlooker<S> {
    async fn count(&self, identity: &Identity, limit: RateLimit, now: Timestamp, budget: Duration) -> Result<Admission, Unavailable> {
        let used = self.table.used(identity, limit, now, budget).await?;
        lock(&self.seen).used = Some(used);
        Ok(if used < limit.urls {
            Admission::Admitted
        } else {
            let left = limit.window(now).end - now.unix_seconds();
            Admission::Limited { retry_after_seconds: u32::try_from(left).unwrap_or(u32::MAX).max(1) }
        })
    }

    async fn claim_token(
        &self,
        identity: &Identity,
        token_id: &str,
        now: Timestamp,
        _until: Timestamp,
        budget: Duration,
    ) -> Result<Claim, Unavailable> {
        let is_claimed = self.table.is_claimed(identity, token_id, now, budget).await?;
        Ok(if is_claimed { Claim::Replayed } else { Claim::Claimed })
    }

    /// Nothing was marked.
    async fn release_token(&self, _: &Identity, _: &str, _: Duration) -> Result<(), Unavailable> {
        Ok(())
    }
}

/// Whose request is explained.
#[derive(Debug)]
pub enum Caller<A> {
    /// The token's, as the broker proves it.
    OfTheToken(A),
    /// Somebody whom the operator names, in these groups. There is no token, and nothing is proven.
    Named(Identity, Vec<Group>),
}

impl<A: Authenticator> Authenticator for Caller<A> {
    async fn authenticate(&self, token: &BearerToken, now: Timestamp, budget: Duration) -> Result<Principal, AuthenticationError> {
        match self {
            Self::OfTheToken(authenticator) => authenticator.authenticate(token, now, budget).await,
            #[expect(clippy::disallowed_methods, reason = "over ports that write nothing and mint nothing, being somebody opens nothing")]
            Self::Named(identity, groups) => {
                Ok(Principal::from_verified_claims(identity.clone(), String::new(), None, now, groups.clone()))
            }
        }
    }

    fn key_age(&self, issuer: &IssuerId, now: Timestamp) -> Option<Duration> {
        match self {
            Self::OfTheToken(authenticator) => authenticator.key_age(issuer, now),
            Self::Named(..) => None,
        }
    }
}

/// A clock that runs at another time of day.
#[derive(Debug, Clone)]
pub struct Shifted<C> {
    clock: C,
    by_millis: i64,
}

impl<C: Clock> Shifted<C> {
    /// `clock`, as if it were `at` now; without one, as it is.
    pub fn to(at: Option<Timestamp>, clock: C) -> Self {
        let by_millis = at.map_or(0, |at| at.unix_millis().saturating_sub(clock.now().unix_millis()));
        Self { clock, by_millis }
    }
}

impl<C: Clock> Clock for Shifted<C> {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.clock.now().unix_millis().saturating_add(self.by_millis))
    }

    fn monotonic(&self) -> Duration {
        self.clock.monotonic()
    }
}

/// Keeps the one decision in memory: the broker's audit log is about what was asked of the broker.
#[derive(Debug, Clone, Default)]
pub struct LastDecision(Arc<Mutex<Option<AuditRecord>>>);

impl LastDecision {
    /// Takes the record out; none where nothing was decided.
    pub fn take(&self) -> Option<AuditRecord> {
        lock(&self.0).take()
    }
}

impl AuditSink for LastDecision {
    fn record(&self, record: &AuditRecord) -> std::io::Result<()> {
        *lock(&self.0) = Some(record.clone());
        Ok(())
    }
}
