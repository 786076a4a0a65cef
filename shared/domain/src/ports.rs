//! What the use case asks of the world. Each trait has a contract suite that every implementation runs.
//!
//! Every call gets the time it may take. An implementation answers within it, or says that it could not.

use std::future::Future;
use std::ops::Range;
use std::time::Duration;

use crate::clock::Timestamp;
use crate::decision::{Denial, Reason};
use crate::entitlement::{Entitlement, SubjectRecord};
use crate::identity::{Group, Identity, IssuerId, Principal};
use crate::names::TargetName;
use crate::posture::Inspection;
use crate::presigned_url::PresignedUrl;
use crate::provision::{Ensured, Provisioning};
use crate::token::BearerToken;

/// Proves who a bearer token is from.
pub trait Authenticator: Send + Sync {
    /// Verifies the token as of `now`.
    ///
    /// # Errors
    /// [`AuthenticationError::Refused`] for anything that is wrong with the token; [`AuthenticationError::Unavailable`] only
    /// when there are no keys to verify it with, which no token can bring about.
    fn authenticate(
        &self,
        token: &BearerToken,
        now: Timestamp,
        budget: Duration,
    ) -> impl Future<Output = Result<Principal, AuthenticationError>> + Send;

    /// How long ago the issuer's keys came from it, for the record and the metrics; none where they do not age, and before any was
    /// loaded.
    fn key_age(&self, issuer: &IssuerId, now: Timestamp) -> Option<Duration>;
}

/// Why a token proves nothing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AuthenticationError {
    /// The token is not accepted.
    Refused {
        /// Which check it failed.
        reason: Reason,
        /// The trusted issuer that it claims to be from, where it names one: a claim, not a fact.
        issuer: Option<IssuerId>,
    },
    /// The issuer's keys cannot be had.
    Unavailable {
        /// What did not answer.
        reason: Reason,
        /// The issuer.
        issuer: IssuerId,
    },
}

/// Reads what the table holds for a subject. Every read is consistent.
pub trait GrantStore: Send + Sync {
    /// Reads the subject's record: all of it, or with `target` just its own item and that grant, in one request whose cost
    /// does not grow with the number of grants. With `groups`, at most [`crate::identity::MAX_GROUPS`] of the identity's issuer's and
    /// none twice, also what they were granted: with `target` in that same request, without it in one more.
    ///
    /// # Errors
    /// The table did not answer in time, or not sensibly. A subject without any item is an empty record, not an error.
    fn read(
        &self,
        identity: &Identity,
        groups: &[Group],
        target: Option<&TargetName>,
        budget: Duration,
    ) -> impl Future<Output = Result<SubjectRecord, Unavailable>> + Send;
}

/// Counts what callers use, exactly and for all environments of the function together.
pub trait UsageLedger: Send + Sync {
    /// Counts one URL for the identity, if its limit allows another. One conditional write.
    ///
    /// # Errors
    /// The table did not answer in time, or not sensibly.
    fn count(
        &self,
        identity: &Identity,
        limit: RateLimit,
        now: Timestamp,
        budget: Duration,
    ) -> impl Future<Output = Result<Admission, Unavailable>> + Send;

    /// Marks the token `token_id` as used until `until`, if it is not. One conditional write.
    ///
    /// # Errors
    /// The table did not answer in time, or not sensibly.
    fn claim_token(
        &self,
        identity: &Identity,
        token_id: &str,
        now: Timestamp,
        until: Timestamp,
        budget: Duration,
    ) -> impl Future<Output = Result<Claim, Unavailable>> + Send;

    /// Takes the mark back, after no URL was handed out for it.
    ///
    /// # Errors
    /// The table did not answer in time, or not sensibly. The token then stays used.
    fn release_token(&self, identity: &Identity, token_id: &str, budget: Duration) -> impl Future<Output = Result<(), Unavailable>> + Send;
}

/// Sees what callers have used, and changes nothing: what a [`UsageLedger`] would say, for whoever must not write.
pub trait UsageView: Send + Sync {
    /// How many URLs are counted for the identity in the window of `now`.
    ///
    /// # Errors
    /// The table did not answer in time, or not sensibly.
    fn used(
        &self,
        identity: &Identity,
        limit: RateLimit,
        now: Timestamp,
        budget: Duration,
    ) -> impl Future<Output = Result<u32, Unavailable>> + Send;

    /// Whether the token `token_id` is marked as used at `now`.
    ///
    /// # Errors
    /// The table did not answer in time, or not sensibly.
    fn is_claimed(
        &self,
        identity: &Identity,
        token_id: &str,
        now: Timestamp,
        budget: Duration,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

/// How many URLs a user may have in how much time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RateLimit {
    /// URLs, at least 1.
    pub urls: u32,
    /// Seconds, at least 1. Windows of this length follow each other from the Unix epoch on.
    pub seconds: u32,
}

impl RateLimit {
    /// The window of `now`, in whole Unix seconds: from its first to the first of the next.
    pub fn window(self, now: Timestamp) -> Range<i64> {
        let length = i64::from(self.seconds.max(1));
        let now = now.unix_seconds();
        let start = now - now.rem_euclid(length);
        start..start.saturating_add(length)
    }
}

/// Whether the rate limit lets a caller through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// It does, and this use is counted.
    Admitted,
    /// It does not; the next window begins after that many seconds, at least 1.
    Limited {
        /// Seconds until the next window.
        retry_after_seconds: u32,
    },
}

/// Whether a token was unused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Claim {
    /// It was, and is now marked.
    Claimed,
    /// It was used before.
    Replayed,
}

/// Makes URLs.
pub trait UrlIssuer: Send + Sync {
    /// What proves the role session to the service that makes the URL.
    type Credentials: Send + Sync;

    /// Takes on the role that the entitlement names, for this user and this one resource.
    ///
    /// # Errors
    /// Mostly [`crate::decision::Code::Unavailable`]: STS did not answer in time, or refused.
    fn open_session(
        &self,
        entitlement: &Entitlement,
        budget: Duration,
    ) -> impl Future<Output = Result<RoleSession<Self::Credentials>, Denial>> + Send;

    /// Looks at the target under that session, for the posture gate.
    ///
    /// # Errors
    /// It could not be looked at: [`crate::decision::Code::TargetNotReady`] when it does not exist, otherwise mostly
    /// [`crate::decision::Code::Unavailable`]. How it falls short, and that it is not in service, is no error.
    fn inspect(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<Self::Credentials>,
        budget: Duration,
    ) -> impl Future<Output = Result<Inspection, Denial>> + Send;

    /// Makes the URL under that session, with both lifetimes set, and checks its host.
    ///
    /// # Errors
    /// [`crate::decision::Code::TargetNotReady`] when the target cannot be opened now, otherwise mostly
    /// [`crate::decision::Code::Unavailable`].
    fn presign(
        &self,
        entitlement: &Entitlement,
        session: &RoleSession<Self::Credentials>,
        budget: Duration,
    ) -> impl Future<Output = Result<Issued, Denial>> + Send;
}

/// Makes user profiles at their users' first login, and tells whose a profile is.
pub trait ProfileKeeper: Send + Sync {
    /// Sees to it that the entitlement's profile is there: looks at it, and makes it if there is none. It works under a role of
    /// its own, for this user and this one profile.
    ///
    /// What it gives back names the requests that were made, whatever came of them. Its outcome is an error mostly with
    /// [`crate::decision::Code::Unavailable`]; whose the profile is, and that it is not in service, is none.
    fn ensure_profile(
        &self,
        entitlement: &Entitlement,
        provisioning: &Provisioning,
        budget: Duration,
    ) -> impl Future<Output = Ensured> + Send;
}

/// A session under a role, held for one user.
#[derive(Debug, Clone)]
pub struct RoleSession<C> {
    /// The role's ARN; none when the function works under its own role.
    pub role_arn: Option<String>,
    /// The source identity that CloudTrail shows for what is done in this session.
    pub source_identity: Option<String>,
    /// The id of the STS request that opened it; none for a session that was already open.
    pub aws_request_id: Option<String>,
    /// What proves it.
    pub credentials: C,
}

/// A URL that was made.
#[derive(Debug, Clone)]
pub struct Issued {
    /// The URL, its host checked.
    pub url: PresignedUrl,
    /// For how many seconds it opens, from when it was made.
    pub url_seconds: u32,
    /// How long the session it opens lasts, in seconds.
    pub session_seconds: u32,
    /// The id of the AWS request that made it.
    pub aws_request_id: Option<String>,
}

/// A dependency that did not answer in time, or not sensibly.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// What did not answer, and how.
    pub reason: Reason,
    /// The dependency's own error code, for the audit record. Never anything a caller sent.
    pub detail: Option<String>,
    /// The id of the AWS request that failed, where there was one.
    pub aws_request_id: Option<String>,
}

impl From<Unavailable> for Denial {
    fn from(unavailable: Unavailable) -> Self {
        let mut denial = Self::unavailable(unavailable.reason);
        denial.detail = unavailable.detail;
        denial.aws_request_id = unavailable.aws_request_id;
        denial
    }
}

/// Where decisions are kept.
pub trait AuditSink: Send + Sync {
    /// Keeps one record.
    ///
    /// # Errors
    /// It could not be kept. The caller then gets no URL: nothing is opened without a trace.
    fn record(&self, record: &crate::audit::AuditRecord) -> std::io::Result<()>;
}
