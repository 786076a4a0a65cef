//! The audit record: one for every decision, allow or deny.
//!
//! `docs/audit.schema.json` describes it. It never holds a token or a URL, and nothing that an unverified caller chose:
//! what a refused token claims about its subject is not in it.

use serde::Serialize;

use crate::clock::Timestamp;
use crate::decision::{Code, Denial};

/// The value of `event` in every record, by which a log query finds them.
pub const EVENT: &str = "latchkey.decision";

/// The code of a decision that allows.
pub const ALLOWED: &str = "ok";

/// What was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// A URL (`POST /presigned-urls`).
    Mint,
    /// The list of targets (`GET /targets`).
    List,
    /// Nothing that the service offers: an unknown path or method, or an event that cannot be read.
    None,
}

/// Allow or deny.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The caller got what was asked for.
    Allow,
    /// The caller did not.
    Deny,
}

/// One decision. Members that are not known stay out of the line.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct AuditRecord {
    /// Always [`EVENT`].
    pub event: &'static str,
    /// When the decision was made (RFC 3339, UTC, milliseconds).
    pub time: Timestamp,
    /// The request's id, as in `X-Request-Id`.
    pub request_id: String,
    /// What was asked for.
    pub action: Action,
    /// Allow or deny.
    pub decision: Verdict,
    /// `ok`, or the code that the caller got.
    pub code: &'static str,
    /// Why it was refused.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reason: Option<&'static str>,
    /// More on why. With the finding `posture.not-inspected`, why it could not be looked.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub detail: Option<String>,
    /// The trusted issuer's id. In a refusal with `invalid-token` it is what the token claimed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub issuer_id: Option<String>,
    /// The verified subject.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub subject: Option<String>,
    /// The key (`kid`) that verified the token.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_id: Option<String>,
    /// The token's id (`jti`).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token_id: Option<String>,
    /// The target's name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub target: Option<String>,
    /// The group whose grant it was; absent where it was the user's own.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
    /// The target's kind.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kind: Option<&'static str>,
    /// The target's account.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// The target's region.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<String>,
    /// The ARN of what the URL opens.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resource_arn: Option<String>,
    /// The ARN of the issuing role.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role: Option<String>,
    /// The ARN of the role that makes user profiles, where one was looked for or made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision_role: Option<String>,
    /// The source identity that CloudTrail shows.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_identity: Option<String>,
    /// How the target falls short, where the posture gate has looked at it.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub findings: Vec<&'static str>,
    /// SHA-256 of the URL, lowercase hexadecimal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_sha256: Option<String>,
    /// Life of the URL in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub url_seconds: Option<u32>,
    /// Life of the session in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session_seconds: Option<u32>,
    /// The VPC endpoint that the request came through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub vpc_endpoint: Option<String>,
    /// The address that the request came from, as API Gateway saw it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source_ip: Option<String>,
    /// Ids of the AWS requests that followed, for joining with CloudTrail.
    #[serde(skip_serializing_if = "AwsRequestIds::is_empty")]
    pub aws_request_ids: AwsRequestIds,
    /// How long each step took, in milliseconds. Steps that were not reached stay out.
    pub durations_ms: Durations,
    /// How long ago the issuer confirmed the keys that the token was verified with, or could not be, in seconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub key_age_seconds: Option<u64>,
    /// Version of the broker.
    pub broker_version: &'static str,
}

/// Ids of AWS requests.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct AwsRequestIds {
    /// Of `AssumeRole`; absent when a session was already open.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sts: Option<String>,
    /// Of the calls that looked for a user profile, and made it; absent when it was known to be the user's own.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub provision: Vec<String>,
    /// Of the calls that looked at the target; absent when its findings were known.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub posture: Vec<String>,
    /// Of the call that makes the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sagemaker: Option<String>,
    /// Of the call that told in what state the target is, after no URL was made.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<String>,
    /// Of a table request that failed.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub dynamodb: Option<String>,
}

impl AwsRequestIds {
    const fn is_empty(&self) -> bool {
        self.sts.is_none()
            && self.provision.is_empty()
            && self.posture.is_empty()
            && self.sagemaker.is_none()
            && self.state.is_none()
            && self.dynamodb.is_none()
    }
}

/// Durations per step, in milliseconds.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Durations {
    /// Verifying the token, key loading included.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub authenticate: Option<f64>,
    /// Reading the grant.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub read_grant: Option<f64>,
    /// Counting against the rate limit.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rate_limit: Option<f64>,
    /// Marking the token as used.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub replay: Option<f64>,
    /// Looking for the user profile, and making it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub provision: Option<f64>,
    /// Opening the role session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub role_session: Option<f64>,
    /// Looking at the target, for the posture gate.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub posture: Option<f64>,
    /// Making the URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub presign: Option<f64>,
    /// From the event to the decision.
    pub total: f64,
}

impl AuditRecord {
    /// A record of a request about which nothing more is known yet. It denies, until somebody decides otherwise.
    pub fn new(request_id: impl Into<String>) -> Self {
        Self {
            event: EVENT,
            time: Timestamp::from_unix_seconds(0),
            request_id: request_id.into(),
            action: Action::None,
            decision: Verdict::Deny,
            code: Code::Internal.as_str(),
            reason: None,
            detail: None,
            issuer_id: None,
            subject: None,
            key_id: None,
            token_id: None,
            target: None,
            group: None,
            kind: None,
            account: None,
            region: None,
            resource_arn: None,
            role: None,
            provision_role: None,
            source_identity: None,
            findings: Vec::new(),
            url_sha256: None,
            url_seconds: None,
            session_seconds: None,
            vpc_endpoint: None,
            source_ip: None,
            aws_request_ids: AwsRequestIds::default(),
            durations_ms: Durations::default(),
            key_age_seconds: None,
            broker_version: env!("CARGO_PKG_VERSION"),
        }
    }

    /// Writes down that the caller got what was asked for.
    pub const fn allow(&mut self) {
        self.decision = Verdict::Allow;
        self.code = ALLOWED;
    }

    /// Writes down a refusal.
    pub fn deny(&mut self, denial: &Denial) {
        self.decision = Verdict::Deny;
        self.code = denial.code.as_str();
        self.reason = Some(denial.reason.0);
        self.detail.clone_from(&denial.detail);
    }
}
