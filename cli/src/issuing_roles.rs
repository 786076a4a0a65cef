//! The issuing roles in IAM: which revocations they have, and writing and deleting one.
//!
//! Of a role nothing but inline policies whose names begin with [`POLICY_NAME_PREFIX`] is touched. The others are read for how much
//! room they leave.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use aws_sdk_iam::config::interceptors::BeforeDeserializationInterceptorContextRef;
use aws_sdk_iam::config::{ConfigBag, Intercept, RuntimeComponents};
use aws_sdk_iam::error::{BoxError, ProvideErrorMetadata, SdkError};
use aws_sdk_iam::operation::RequestId as _;
use aws_sdk_iam::operation::delete_role_policy::DeleteRolePolicyError;
use aws_sdk_iam::primitives::{DateTime, DateTimeFormat};
use latchkey_aws::clients::Clients;
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_domain::names::RoleArn;
use serde_json::Value;

use crate::doctor::policy;
use crate::revocation::{POLICY_NAME_PREFIX, ROLE_CHARACTERS, Revocation, characters};

/// Why a role could not be reached, or not be changed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unreached {
    /// Why, on one line.
    pub why: String,
    /// What can be done about it, where that is known.
    pub advice: Option<&'static str>,
    /// Whether the role has no room for another policy.
    pub is_full: bool,
}

impl Unreached {
    fn new(why: impl Into<String>, advice: Option<&'static str>) -> Self {
        Self { why: why.into(), advice, is_full: false }
    }

    /// The role's inline policies leave no room for another.
    pub fn full(why: impl Into<String>) -> Self {
        Self {
            advice: Some(
                "all inline policies of a role have 10,240 characters together. Take one back that nobody needs any more (--list shows \
                 them, --undo does it). Where many users are meant, --everyone is one policy for all",
            ),
            is_full: true,
            ..Self::new(why, None)
        }
    }
}

impl fmt::Display for Unreached {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.why)
    }
}

impl<E: ProvideErrorMetadata, R> From<SdkError<E, R>> for Unreached {
    fn from(error: SdkError<E, R>) -> Self {
        let Some(said) = error.as_service_error() else {
            return Self::new("no answer from IAM", Some("IAM has one endpoint for all regions: is there a way to it from here?"));
        };
        // IAM's words are for operators: they name the action, and whether a policy of the organisation's refuses it.
        let code = said.code().unwrap_or("refused");
        let why = format!("{code}: {}", said.message().unwrap_or_default().replace(['\r', '\n'], " "));
        let advice = match code {
            "LimitExceeded" | "LimitExceededException" => return Self::full(why),
            "AccessDenied" | "AccessDeniedException" => {
                "it takes iam:GetRole, ListRolePolicies, GetRolePolicy, PutRolePolicy and DeleteRolePolicy on this role. Where a service control \
                 policy refuses it, the operator's role has to be among the RevokeRoleArns of deploy/organization.yaml"
            }
            "NoSuchEntity" | "NoSuchEntityException" => {
                "the role's name is LATCHKEY_ROLE_ARN, or role_arn in a grant: is it as the broker has it? Where the role is gone, so are \
                 its sessions"
            }
            "ExpiredToken" | "InvalidClientTokenId" | "SignatureDoesNotMatch" => "these credentials are not accepted: sign in to AWS anew",
            _ => return Self::new(why, None),
        };
        Self::new(why, Some(advice))
    }
}

/// A policy on a role whose name is that of a revocation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Its name.
    pub policy_name: String,
    /// It itself.
    pub document: Value,
    /// What it revokes; none when it is not as this program writes it.
    pub revocation: Option<Revocation>,
}

/// What stands on a role.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct OnRole {
    /// What revokes.
    pub revocations: Vec<Found>,
    /// How many characters all of its inline policies have.
    pub characters: usize,
}

/// The issuing roles, as the operator's credentials reach them.
#[derive(Debug)]
pub struct IssuingRoles {
    iam: aws_sdk_iam::Client,
    /// The account that the credentials are for.
    account: Result<String, Unreached>,
    clock: AwsClock,
}

impl IssuingRoles {
    /// Asks STS whose credentials these are: IAM takes a role's name alone, and would find another account's role of that name.
    pub async fn new(iam: aws_sdk_iam::config::Builder, clients: &Clients) -> Self {
        let account = match clients.sts().get_caller_identity().send().await {
            Ok(caller) => caller.account.ok_or_else(|| "no account in the answer".to_owned()),
            Err(error) => Err(error
                .as_service_error()
                .and_then(|error| error.meta().code())
                .map_or_else(|| "no answer".to_owned(), ToOwned::to_owned)),
        };
        let account = account.map_err(|why| {
            Unreached::new(
                format!("STS does not say whose credentials these are: {why}"),
                Some("see whether `aws sts get-caller-identity` works"),
            )
        });
        let clock = AwsClock::default();
        Self { iam: aws_sdk_iam::Client::from_conf(iam.interceptor(clock.clone()).build()), account, clock }
    }

    /// The time: IAM's, once it has answered. The issue times of sessions are AWS's, and by the clock of a machine that is behind it,
    /// the sessions of the last minutes would go on.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    fn name<'a>(&self, role: &'a RoleArn) -> Result<&'a str, Unreached> {
        match &self.account {
            Err(unknown) => Err(unknown.clone()),
            Ok(account) if account == role.account_id() => Ok(role.role_name()),
            Ok(account) => Err(Unreached::new(
                format!("the credentials are for account {account}, and this role is in {}", role.account_id()),
                Some("take on a role of an operator in that account first"),
            )),
        }
    }

    /// The revocations that a role has, and how full it is.
    ///
    /// # Errors
    /// [`Unreached`].
    pub async fn look(&self, role: &RoleArn) -> Result<OnRole, Unreached> {
        let name = self.name(role)?;
        let mut on_role = OnRole::default();
        let mut names = self.iam.list_role_policies().role_name(name).into_paginator().items().send();
        while let Some(policy_name) = names.next().await {
            let policy_name = policy_name?;
            let text = self.text(name, &policy_name).await?;
            on_role.characters += characters(&text);
            if policy_name.starts_with(POLICY_NAME_PREFIX) {
                let document: Value = serde_json::from_str(&text).map_err(|_| unreadable(&policy_name))?;
                let revocation = Revocation::read(&policy_name, &document);
                on_role.revocations.push(Found { policy_name, document, revocation });
            }
        }
        Ok(on_role)
    }

    /// Whether every session that the role's trust lets be opened says whose it is; none where the trust does not tell.
    ///
    /// # Errors
    /// [`Unreached`].
    pub async fn says_whose(&self, role: &RoleArn) -> Result<Option<bool>, Unreached> {
        let found = self.iam.get_role().role_name(self.name(role)?).send().await?;
        let text = found.role.and_then(|role| role.assume_role_policy_document).unwrap_or_default();
        let trust = percent_decoded(&text).and_then(|text| serde_json::from_str::<Value>(&text).ok());
        Ok(trust.and_then(|trust| asks_whose(&trust)))
    }

    /// Whether a policy still is as it was found: whoever was asked may have taken a while to answer, and others work, too.
    ///
    /// # Errors
    /// [`Unreached`], also when it is gone.
    pub async fn is_unchanged(&self, role: &RoleArn, found: &Found) -> Result<bool, Unreached> {
        let text = self.text(self.name(role)?, &found.policy_name).await?;
        Ok(serde_json::from_str::<Value>(&text).is_ok_and(|document| document == found.document))
    }

    async fn text(&self, role_name: &str, policy_name: &str) -> Result<String, Unreached> {
        let policy = self.iam.get_role_policy().role_name(role_name).policy_name(policy_name).send().await?;
        percent_decoded(&policy.policy_document).ok_or_else(|| unreadable(policy_name))
    }

    /// Writes a revocation, in place of an earlier one of the same sessions. Gives back IAM's id of the request.
    ///
    /// # Errors
    /// [`Unreached`].
    pub async fn put(&self, role: &RoleArn, revocation: &Revocation) -> Result<Option<String>, Unreached> {
        let request = self.iam.put_role_policy().role_name(self.name(role)?).policy_name(revocation.whose.policy_name());
        let output = request.policy_document(revocation.document().to_string()).send().await?;
        Ok(output.request_id().map(ToOwned::to_owned))
    }

    /// Deletes the policy of a revocation. None when it is not there any more; otherwise IAM's id of the request.
    ///
    /// # Errors
    /// [`Unreached`].
    pub async fn delete(&self, role: &RoleArn, policy_name: &str) -> Result<Option<Option<String>>, Unreached> {
        debug_assert!(policy_name.starts_with(POLICY_NAME_PREFIX), "no other policy is ours");
        match self.iam.delete_role_policy().role_name(self.name(role)?).policy_name(policy_name).send().await {
            Ok(output) => Ok(Some(output.request_id().map(ToOwned::to_owned))),
            Err(error) if error.as_service_error().is_some_and(DeleteRolePolicyError::is_no_such_entity_exception) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }
}

/// Whether a trust lets no session be opened without a source identity, as template.yaml has it with the scope user. None where it lets
/// none be opened at all: there may be some from before.
fn asks_whose(trust: &Value) -> Option<bool> {
    const WAYS: [&str; 3] = ["sts:AssumeRole", "sts:AssumeRoleWithSAML", "sts:AssumeRoleWithWebIdentity"];
    let statements = policy::statements(trust);
    let opens: Vec<_> = statements.iter().filter(|s| s.allows() && WAYS.iter().any(|way| s.is_about(way))).collect();
    (!opens.is_empty()).then(|| opens.iter().all(|s| s.asks_for("sts:SourceIdentity")))
}

fn unreadable(policy_name: &str) -> Unreached {
    Unreached::new(format!("IAM gave out the policy {policy_name}, and it cannot be read"), None)
}

/// How many characters a role's inline policies may still have, for people: what it says when they are too many.
pub fn no_room(taken: usize, needed: usize) -> Option<Unreached> {
    (taken + needed > ROLE_CHARACTERS).then(|| {
        Unreached::full(format!(
            "its inline policies have {taken} characters of the {ROLE_CHARACTERS} that IAM lets them have, and this one takes {needed}"
        ))
    })
}

/// IAM's clock, as its answers tell it.
#[derive(Debug, Clone, Default)]
struct AwsClock {
    /// How far it is ahead of this machine's, in seconds.
    ahead: Arc<AtomicI64>,
}

/// Answers tell whole seconds and take some time to come: nearer than this is the same.
const SAME_SECONDS: i64 = 2;

impl AwsClock {
    fn now(&self) -> Timestamp {
        SystemClock::new().now().plus_seconds(self.ahead.load(Ordering::Relaxed))
    }

    fn take(&self, date: &str, now: Timestamp) {
        if let Ok(date) = DateTime::from_str(date, DateTimeFormat::HttpDate) {
            let ahead = date.secs().saturating_sub(now.unix_seconds());
            // That it is never behind: what is cut a second longer is opened anew, and what is not cut goes on.
            let ahead = if ahead.abs() <= SAME_SECONDS { 0 } else { ahead.saturating_add(1) };
            self.ahead.store(ahead, Ordering::Relaxed);
        }
    }
}

impl Intercept for AwsClock {
    fn name(&self) -> &'static str {
        "AwsClock"
    }

    fn read_before_deserialization(
        &self,
        context: &BeforeDeserializationInterceptorContextRef<'_>,
        _: &RuntimeComponents,
        _: &mut ConfigBag,
    ) -> Result<(), BoxError> {
        if let Some(date) = context.response().headers().get("date") {
            self.take(date, SystemClock::new().now());
        }
        Ok(())
    }
}

/// IAM gives policies out percent-encoded (RFC 3986).
fn percent_decoded(text: &str) -> Option<String> {
    let mut decoded = Vec::with_capacity(text.len());
    let mut bytes = text.bytes();
    while let Some(byte) = bytes.next() {
        decoded.push(match byte {
            b'%' => {
                let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
                digit(bytes.next())? << 4 | digit(bytes.next())?
            }
            byte => byte,
        });
    }
    String::from_utf8(decoded).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn documents_are_decoded() {
        assert_eq!(percent_decoded("%7B%22a%22%3A+1%7d").as_deref(), Some("{\"a\":+1}"));
        for bad in ["%", "%7", "%7G", "%FF"] {
            assert_eq!(percent_decoded(bad), None, "{bad}");
        }
    }

    #[test]
    fn a_trust_asks_whose_a_session_is_or_does_not() {
        let trust = |statements: Value| asks_whose(&serde_json::json!({"Version": "2012-10-17", "Statement": statements}));
        let opens = |action: &str, condition: Value| serde_json::json!({"Effect": "Allow", "Action": action, "Condition": condition});
        let null = |value: Value| serde_json::json!({"StringEquals": {"sts:ExternalId": "x"}, "Null": {"sts:SourceIdentity": value}});
        let says = serde_json::json!({"Effect": "Allow", "Action": "sts:SetSourceIdentity"});
        for value in ["false".into(), false.into(), serde_json::json!(["false"])] {
            assert_eq!(trust(serde_json::json!([opens("sts:AssumeRole", null(value)), says])), Some(true));
        }
        let like = serde_json::json!({"StringLike": {"STS:sourceidentity": "okta.*"}});
        assert_eq!(trust(opens("sts:AssumeRole", like)), Some(true));
        let without = serde_json::json!({"StringEquals": {"sts:ExternalId": "x"}});
        let if_exists = serde_json::json!({"StringLikeIfExists": {"sts:SourceIdentity": "okta.*"}});
        for condition in [null("true".into()), null(true.into()), null(serde_json::json!(["false", "true"])), without.clone(), if_exists] {
            assert_eq!(trust(serde_json::json!([opens("sts:AssumeRole", condition), says])), Some(false));
        }
        // One way that does not ask is enough.
        for way in ["sts:AssumeRoleWithSAML", "sts:*", "sts:AssumeRole"] {
            let both = serde_json::json!([opens("sts:AssumeRole", null("false".into())), opens(way, without.clone())]);
            assert_eq!(trust(both), Some(false), "{way}");
        }
        for nothing in [serde_json::json!([]), serde_json::json!([says]), Value::Null] {
            assert_eq!(trust(nothing), None);
        }
    }

    #[test]
    fn the_clock_is_iams_where_they_differ() {
        let now = Timestamp::from_unix_seconds(784_111_777);
        let clock = AwsClock::default();
        for (date, ahead) in [
            ("Sun, 06 Nov 1994 08:49:37 GMT", 0),
            ("Sun, 06 Nov 1994 08:49:35 GMT", 0),
            ("Sun, 06 Nov 1994 08:50:37 GMT", 61),
            ("no date", 61),
            ("Sun, 06 Nov 1994 08:48:37 GMT", -59),
            ("Sun, 06 Nov 1994 08:49:39 GMT", 0),
        ] {
            clock.take(date, now);
            assert_eq!(clock.ahead.load(Ordering::Relaxed), ahead, "{date}");
        }
    }

    #[test]
    fn what_does_not_fit_is_told_before_it_is_tried() {
        assert_eq!(no_room(10_000, 240), None);
        assert!(no_room(10_000, 241).is_some_and(|unreached| unreached.is_full && unreached.why.contains("10000 characters of the 10240")));
    }
}
