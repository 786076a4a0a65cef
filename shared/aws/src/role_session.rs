//! Sessions under issuing roles: opened with STS, kept in memory for a while.

use std::borrow::Cow;
use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_sdk_sts::operation::RequestId as _;
use latchkey_domain::attribution::source_identity;
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_domain::decision::Denial;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::grant::URL_SECONDS;
use latchkey_domain::names::{ExternalId, RoleArn};
use latchkey_domain::ports::RoleSession;
use latchkey_domain::provision::Provisioning;
use latchkey_domain::target::Permission;
use serde::Serialize;

use crate::attempts::{self, Policy};
use crate::failure::{Failure, printable, service_reasons};

service_reasons! {
    "sts";
}

/// How long a session lasts, in seconds. A function's own credentials are a role session already, and a role that is assumed
/// from one can be had for an hour at most (STS, `AssumeRole`, role chaining), whatever the role's own maximum.
pub const SESSION_SECONDS: i32 = 3600;

/// A session is not used any more when it ends within this many seconds: the URL that is made under it has to open for as
/// long as it says, and clocks differ.
pub const MARGIN_SECONDS: i64 = 300;

const _: () = assert!(MARGIN_SECONDS >= *URL_SECONDS.end() as i64, "a session outlives every URL made under it");

/// Most sessions kept in memory, some 3 KB each. The one that was used longest ago makes room.
pub const MAX_SESSIONS: usize = 256;

/// The session name where all users share one session.
const SHARED_SESSION_NAME: &str = "latchkey";

const ASSUME_ROLE: Policy = Policy { attempts: 2, each: Duration::from_millis(2500), whole: Duration::from_secs(5), harmless_twice: true };

/// Who shares a role session (`LATCHKEY_SESSION_SCOPE`).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SessionScope {
    /// Nobody: one session per user and resource, with the user as its `SourceIdentity` and a session policy for that one
    /// resource; for the posture gate of Studio also its domain to be looked at. CloudTrail says who did what, and a bug in the broker cannot make
    /// a URL for anything else.
    #[default]
    User,
    /// All users of a role: one session, without `SourceIdentity` and without a session policy, for issuing roles whose trust does
    /// not allow `sts:SetSourceIdentity`. Sessions that make user profiles are one user's all the same.
    Role,
}

/// What proves a session to SageMaker. Its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct SessionCredentials(Source);

#[derive(Clone)]
enum Source {
    /// The function's own role: the client has its credentials.
    Own,
    /// A role that was taken on.
    Role(Arc<Session>),
}

impl SessionCredentials {
    pub(crate) const fn own() -> Self {
        Self(Source::Own)
    }

    /// The credentials to call with; none means the client's own.
    pub(crate) fn credentials(&self) -> Option<&Credentials> {
        match &self.0 {
            Source::Own => None,
            Source::Role(session) => Some(&session.credentials),
        }
    }
}

impl fmt::Debug for SessionCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match &self.0 {
            Source::Own => "SessionCredentials(own)",
            Source::Role(_) => "SessionCredentials(redacted)",
        })
    }
}

/// What a session is for. Two requests share one exactly when all of it is the same.
#[derive(Clone, PartialEq, Eq, Hash)]
struct Key {
    role: RoleArn,
    external_id: Option<ExternalId>,
    /// Who, and what it may do. None for a session that all users of the role share.
    user: Option<UserKey>,
}

#[derive(Clone, PartialEq, Eq, Hash)]
struct UserKey {
    source_identity: String,
    /// All that the session policy allows: making a profile and opening it are two sessions.
    permissions: Vec<Permission>,
}

struct Session {
    key: Key,
    credentials: Credentials,
    expires_at: Timestamp,
}

/// Opens role sessions and keeps them for a while.
///
/// | cache | key | lifetime | bound |
/// | --- | --- | --- | --- |
/// | sessions | role, external id, and where it is one user's the source identity and all that it may do | an hour less [`MARGIN_SECONDS`]; shorter when SageMaker refuses it | [`MAX_SESSIONS`], least recently used out |
///
/// Two requests that need the same new session at the same moment both open one; the later one is kept.
pub struct RoleSessions<C> {
    sts: aws_sdk_sts::Client,
    scope: SessionScope,
    may_inspect: bool,
    clock: C,
    cache: Mutex<Cache>,
}

impl<C: Clock> RoleSessions<C> {
    /// Sessions from this STS. `clock` tells when they end.
    pub fn new(sts: aws_sdk_sts::Client, scope: SessionScope, clock: C) -> Self {
        Self { sts, scope, may_inspect: false, clock, cache: Mutex::new(Cache::default()) }
    }

    /// Whether new sessions may also look at what they are for, as the posture gate does.
    #[must_use]
    pub const fn may_inspect(mut self, may_inspect: bool) -> Self {
        self.may_inspect = may_inspect;
        self
    }

    /// The session for what the entitlement allows: the function's own role where it names none, one from the cache, or a new
    /// one.
    ///
    /// # Errors
    /// [`latchkey_domain::decision::Code::Unavailable`] with one of [`REASONS`].
    pub async fn open(&self, entitlement: &Entitlement, budget: Duration) -> Result<RoleSession<SessionCredentials>, Denial> {
        let Some(role) = entitlement.role() else {
            return Ok(RoleSession { role_arn: None, source_identity: None, aws_request_id: None, credentials: SessionCredentials::own() });
        };
        // The account is the role's own, so the function's does not matter.
        let place = entitlement.place(role.account_id());
        let user = match self.scope {
            SessionScope::User => Some(UserKey {
                source_identity: source_identity(entitlement.principal().identity()),
                permissions: entitlement.grant().target.permissions(place, self.may_inspect),
            }),
            SessionScope::Role => None,
        };
        self.open_wanted(entitlement, Key { role: role.clone(), external_id: entitlement.external_id().cloned(), user }, budget).await
    }

    /// The session for making the entitlement's user profile, under the role that does so: one user's, whatever the scope, since
    /// what it makes is that user's.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub async fn open_for_provisioning(
        &self,
        entitlement: &Entitlement,
        provisioning: &Provisioning,
        budget: Duration,
    ) -> Result<RoleSession<SessionCredentials>, Denial> {
        let profile_arn = entitlement.grant().target.resource_arn(entitlement.place(provisioning.role.account_id()));
        let user = UserKey {
            source_identity: source_identity(entitlement.principal().identity()),
            permissions: provisioning.permissions(profile_arn),
        };
        let key = Key { role: provisioning.role.clone(), external_id: provisioning.external_id.clone(), user: Some(user) };
        self.open_wanted(entitlement, key, budget).await
    }

    async fn open_wanted(&self, entitlement: &Entitlement, key: Key, budget: Duration) -> Result<RoleSession<SessionCredentials>, Denial> {
        let cached = self.cache().get(&key, self.clock.now());
        let (session, aws_request_id) = match cached {
            Some(session) => (session, None),
            None => {
                let target = &entitlement.grant().target;
                let own_arn = target.resource_arn(entitlement.place(key.role.account_id()));
                let in_any_case = target.kind().ignores_case().then_some(own_arn.as_str());
                let policy = match &key.user {
                    Some(user) => Some(session_policy(&user.permissions, in_any_case)?),
                    None => None,
                };
                let (session, request_id) = self.assume(key, policy, budget).await?;
                let session = Arc::new(session);
                self.cache().put(Arc::clone(&session), self.clock.now());
                (session, request_id)
            }
        };
        Ok(RoleSession {
            role_arn: Some(session.key.role.to_string()),
            source_identity: session.key.user.as_ref().map(|user| user.source_identity.clone()),
            aws_request_id,
            credentials: SessionCredentials(Source::Role(session)),
        })
    }

    /// Takes a session out of the cache, after a service did not accept it: it may have been revoked, and a new one may work.
    pub fn forget(&self, credentials: &SessionCredentials) {
        if let Source::Role(session) = &credentials.0 {
            self.cache().remove(session);
        }
    }

    async fn assume(&self, key: Key, policy: Option<String>, budget: Duration) -> Result<(Session, Option<String>), Denial> {
        let output = attempts::run(ASSUME_ROLE, attempts::deadline(budget, ASSUME_ROLE), || {
            let user = key.user.as_ref().map(|user| user.source_identity.as_str());
            let request = self
                .sts
                .assume_role()
                .role_arn(key.role.as_str())
                .role_session_name(user.unwrap_or(SHARED_SESSION_NAME))
                .set_source_identity(user.map(ToOwned::to_owned))
                .set_external_id(key.external_id.as_ref().map(ToString::to_string))
                .set_policy(policy.clone())
                .duration_seconds(SESSION_SECONDS);
            async move { Ok(request.send().await?) }
        })
        .await
        .map_err(|failure| failure.into_denial(reason))?;
        let request_id = output.request_id().and_then(printable);
        let Some(issued) = output.credentials.filter(|issued| !issued.access_key_id.is_empty() && !issued.secret_access_key.is_empty())
        else {
            return Err(Failure::malformed(request_id.as_deref()).into_denial(reason));
        };
        let expires_at = Timestamp::from_unix_seconds(issued.expiration.secs());
        let credentials = Credentials::new(issued.access_key_id, issued.secret_access_key, Some(issued.session_token), None, "sts");
        Ok((Session { key, credentials, expires_at }, request_id))
    }

    fn cache(&self) -> std::sync::MutexGuard<'_, Cache> {
        // Nothing that runs under the lock can leave the cache half changed.
        self.cache.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<C> fmt::Debug for RoleSessions<C> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RoleSessions").field("scope", &self.scope).finish_non_exhaustive()
    }
}

/// A policy of one statement for each of these: these actions on this resource, and nothing else. What a session may do is what
/// both this and the role's own policies allow.
///
/// SageMaker compares the names of some resources without case, and what ARN it then asks IAM about is not documented. So the
/// ARN `in_any_case` stands there as the grant has it and, where that differs, in lower case: both name the same resource.
fn session_policy(permissions: &[Permission], in_any_case: Option<&str>) -> Result<String, Denial> {
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Policy<'a> {
        version: &'a str,
        statement: Vec<Statement<'a>>,
    }
    #[derive(Serialize)]
    #[serde(rename_all = "PascalCase")]
    struct Statement<'a> {
        effect: &'a str,
        action: Actions<'a>,
        resource: Vec<Cow<'a, str>>,
    }
    #[derive(Serialize)]
    #[serde(untagged)]
    enum Actions<'a> {
        One(&'a str),
        Several(&'a [&'a str]),
    }
    let statement = permissions.iter().map(|Permission { actions, resource_arn }| {
        let mut resource = vec![Cow::Borrowed(resource_arn.as_str())];
        let lower_case = resource_arn.to_ascii_lowercase();
        if in_any_case == Some(resource_arn) && lower_case != *resource_arn {
            resource.push(Cow::Owned(lower_case));
        }
        let action = match actions.as_slice() {
            [one] => Actions::One(one),
            several => Actions::Several(several),
        };
        Statement { effect: "Allow", action, resource }
    });
    let policy = Policy { version: "2012-10-17", statement: statement.collect() };
    // Strings alone: it cannot fail.
    serde_json::to_string(&policy).map_err(|_| Failure::new(crate::failure::Kind::NotSent, false).into_denial(reason))
}

/// The sessions in memory.
#[derive(Default)]
struct Cache {
    sessions: HashMap<Key, Entry>,
    /// Counts lookups: the order in which entries were last used.
    uses: u64,
}

struct Entry {
    session: Arc<Session>,
    last_used: u64,
}

impl Cache {
    fn get(&mut self, key: &Key, now: Timestamp) -> Option<Arc<Session>> {
        let entry = self.sessions.get_mut(key)?;
        if !is_usable(&entry.session, now) {
            self.sessions.remove(key);
            return None;
        }
        self.uses += 1;
        entry.last_used = self.uses;
        Some(Arc::clone(&entry.session))
    }

    fn put(&mut self, session: Arc<Session>, now: Timestamp) {
        if self.sessions.len() >= MAX_SESSIONS && !self.sessions.contains_key(&session.key) {
            self.sessions.retain(|_, entry| is_usable(&entry.session, now));
            if self.sessions.len() >= MAX_SESSIONS {
                let oldest = self.sessions.iter().min_by_key(|(_, entry)| entry.last_used).map(|(key, _)| key.clone());
                if let Some(oldest) = oldest {
                    self.sessions.remove(&oldest);
                }
            }
        }
        self.uses += 1;
        self.sessions.insert(session.key.clone(), Entry { session, last_used: self.uses });
    }

    /// Removes that very session; one that has taken its place stays.
    fn remove(&mut self, session: &Arc<Session>) {
        if self.sessions.get(&session.key).is_some_and(|entry| Arc::ptr_eq(&entry.session, session)) {
            self.sessions.remove(&session.key);
        }
    }
}

fn is_usable(session: &Session, now: Timestamp) -> bool {
    now.plus_seconds(MARGIN_SECONDS) < session.expires_at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn session(role: usize, expires_at: i64) -> Arc<Session> {
        Arc::new(Session {
            key: key(role),
            credentials: Credentials::new("ASIACANARY", "canary-secret", Some("canary-token".to_owned()), None, "sts"),
            expires_at: Timestamp::from_unix_seconds(expires_at),
        })
    }

    fn key(role: usize) -> Key {
        Key { role: RoleArn::new(format!("arn:aws:iam::123456789012:role/r{role}")).unwrap(), external_id: None, user: None }
    }

    const NOW: Timestamp = Timestamp::from_unix_seconds(1000);

    #[test]
    fn a_session_is_used_until_five_minutes_before_its_end() {
        let mut cache = Cache::default();
        cache.put(session(0, 1000 + 3600), NOW);
        assert!(cache.get(&key(0), NOW).is_some());
        assert!(cache.get(&key(1), NOW).is_none());
        assert!(cache.get(&key(0), NOW.plus_seconds(3299)).is_some());
        assert!(cache.get(&key(0), NOW.plus_seconds(3300)).is_none());
        assert!(cache.sessions.is_empty());
    }

    #[test]
    fn the_cache_is_bounded_and_keeps_what_is_used() {
        let mut cache = Cache::default();
        for role in 0..MAX_SESSIONS {
            cache.put(session(role, 9999), NOW);
        }
        assert!(cache.get(&key(0), NOW).is_some());
        cache.put(session(MAX_SESSIONS, 9999), NOW);
        assert_eq!(cache.sessions.len(), MAX_SESSIONS);
        assert!(cache.get(&key(0), NOW).is_some(), "used a moment ago");
        assert!(cache.get(&key(1), NOW).is_none(), "the least recently used");
        // A session that takes another's place needs no room.
        cache.put(session(5, 9999), NOW);
        assert_eq!(cache.sessions.len(), MAX_SESSIONS);
        // What has ended goes first.
        cache.put(session(6, 1001), NOW);
        cache.put(session(MAX_SESSIONS + 1, 9999), NOW);
        assert!(cache.get(&key(7), NOW).is_some());
        assert_eq!(cache.sessions.len(), MAX_SESSIONS);
    }

    #[test]
    fn only_the_session_that_failed_is_forgotten() {
        let mut cache = Cache::default();
        let (old, new) = (session(0, 9999), session(0, 9999));
        cache.put(Arc::clone(&old), NOW);
        cache.put(Arc::clone(&new), NOW);
        cache.remove(&old);
        assert!(cache.get(&key(0), NOW).is_some());
        cache.remove(&new);
        assert!(cache.get(&key(0), NOW).is_none());
    }

    fn permission(actions: &[&'static str], resource_arn: &str) -> Permission {
        Permission { actions: actions.to_vec(), resource_arn: resource_arn.to_owned() }
    }

    #[test]
    fn a_session_policy_allows_these_actions_on_these_resources() {
        let role = "arn:aws:iam::123456789012:role/Studio";
        let jane = "arn:aws:sagemaker:eu-central-1:123456789012:user-profile/d-abc/Jane";
        let policy = session_policy(&[permission(&["a:b"], jane), permission(&["c:d", "e:f"], role)], Some(jane)).unwrap();
        let both = format!(r#""{jane}","{}""#, jane.to_lowercase());
        assert_eq!(
            policy,
            format!(
                r#"{{"Version":"2012-10-17","Statement":[{{"Effect":"Allow","Action":"a:b","Resource":[{both}]}},{{"Effect":"Allow","Action":["c:d","e:f"],"Resource":["{role}"]}}]}}"#
            )
        );
        let exact = session_policy(&[permission(&["a:b"], jane)], None).unwrap();
        assert!(exact.ends_with(&format!(r#""Resource":["{jane}"]}}]}}"#)), "{exact}");
    }

    /// STS takes 2048 characters at most.
    #[test]
    fn the_longest_session_policies_fit() {
        use latchkey_domain::names::{DomainId, MlflowAppArn, PartnerAppArn, Region, TrackingServerName, UserProfileName};
        use latchkey_domain::target::{MlflowApp, MlflowServer, PartnerApp, Place, Studio, Target};
        let region = Region::new("us-gov-verylongname-99").unwrap();
        let place = Place { region: &region, account_id: "123456789012" };
        let account = "arn:aws-us-gov:sagemaker:us-gov-verylongname-99:123456789012";
        let app = format!("{account}:mlflow-app/{}", "X".repeat(128 - account.len() - 12));
        let longest: [Target; 4] = [
            Studio {
                domain_id: DomainId::new(format!("d-{}", "x".repeat(61))).unwrap(),
                user_profile_name: UserProfileName::new("X".repeat(63)).unwrap(),
            }
            .into(),
            MlflowServer { tracking_server_name: TrackingServerName::new("X".repeat(256)).unwrap() }.into(),
            MlflowApp { arn: MlflowAppArn::new(app).unwrap() }.into(),
            PartnerApp { arn: PartnerAppArn::new(format!("{account}:partner-app/app-ABCDEFGHIJ12")).unwrap() }.into(),
        ];
        for target in &longest {
            let arn = target.resource_arn(place);
            let policy = session_policy(&target.permissions(place, true), Some(&arn)).unwrap();
            assert!(policy.len() <= 2048, "{target}: {}", policy.len());
        }
        let role = RoleArn::new(format!("arn:aws-us-gov:iam::123456789012:role/{}/{}", "p".repeat(510), "R".repeat(64))).unwrap();
        let plan = latchkey_domain::provision::Provision {
            execution_role_arn: role.clone(),
            security_group_ids: Vec::new(),
            tags: std::collections::BTreeMap::new(),
            role_arn: None,
            external_id: None,
        };
        let profile = longest[0].resource_arn(place);
        let permissions = Provisioning { plan, role, external_id: None }.permissions(profile.clone());
        assert!(session_policy(&permissions, Some(&profile)).unwrap().len() <= 2048);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let shown = format!("{:?} {:?}", SessionCredentials(Source::Role(session(0, 9999))), SessionCredentials::own());
        assert_eq!(shown, "SessionCredentials(redacted) SessionCredentials(own)");
    }

    #[test]
    fn reasons_are_apart() {
        let texts: std::collections::HashSet<&str> = REASONS.iter().map(|reason| reason.0).collect();
        assert_eq!(texts.len(), REASONS.len());
    }
}
