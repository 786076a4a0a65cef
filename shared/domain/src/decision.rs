//! The outcomes of a request, by who can act on them.

use std::fmt;

/// The stable name of a refusal, as callers see it (`code` in the problem document, RFC 9457).
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Code {
    /// The request cannot be read: body, member, header.
    InvalidRequest,
    /// No token, or a token that is not accepted.
    InvalidToken,
    /// A verified caller who may not open that target.
    NotEntitled,
    /// The request did not come through an allowed VPC endpoint.
    NotPrivate,
    /// The posture gate refuses the target.
    TargetNotCompliant,
    /// No such path.
    NotFound,
    /// The path exists, with another method.
    MethodNotAllowed,
    /// The body is larger than is read.
    TooLarge,
    /// The body is of a media type that is not read.
    UnsupportedMediaType,
    /// The target exists and cannot be opened now.
    TargetNotReady,
    /// The caller asked too often.
    RateLimited,
    /// Something the broker depends on did not answer in time, or did not answer sensibly.
    Unavailable,
    /// A bug in the broker.
    Internal,
}

impl Code {
    /// Every code, in the order of the contract's table.
    pub const ALL: [Self; 13] = [
        Self::InvalidRequest,
        Self::InvalidToken,
        Self::NotEntitled,
        Self::NotPrivate,
        Self::TargetNotCompliant,
        Self::NotFound,
        Self::MethodNotAllowed,
        Self::TooLarge,
        Self::UnsupportedMediaType,
        Self::TargetNotReady,
        Self::RateLimited,
        Self::Unavailable,
        Self::Internal,
    ];

    /// The code as it is written in answers, audit records and metrics.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::InvalidRequest => "invalid-request",
            Self::InvalidToken => "invalid-token",
            Self::NotEntitled => "not-entitled",
            Self::NotPrivate => "not-private",
            Self::TargetNotCompliant => "target-not-compliant",
            Self::NotFound => "not-found",
            Self::MethodNotAllowed => "method-not-allowed",
            Self::TooLarge => "too-large",
            Self::UnsupportedMediaType => "unsupported-media-type",
            Self::TargetNotReady => "target-not-ready",
            Self::RateLimited => "rate-limited",
            Self::Unavailable => "unavailable",
            Self::Internal => "internal",
        }
    }
}

impl fmt::Display for Code {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// Why a request was refused, for the audit record alone: a short name from a closed vocabulary, `area.what`.
///
/// Only static text can be a reason, so that nothing a caller sent can become one. Callers never see it: it would tell a
/// stranger which check failed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Reason(pub &'static str);

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

/// A refusal: what the caller is told, and what the audit record keeps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Denial {
    /// What the caller is told.
    pub code: Code,
    /// Why, for the audit record.
    pub reason: Reason,
    /// More for the audit record: which attribute of a grant, which AWS error code. Never anything a caller sent.
    pub detail: Option<String>,
    /// After how many seconds trying again makes sense (RFC 9110, `Retry-After`).
    pub retry_after_seconds: Option<u32>,
    /// The state of a target that is not ready, as AWS names it.
    pub state: Option<String>,
    /// The id of the AWS request that failed, where there was one.
    pub aws_request_id: Option<String>,
    /// The id of the AWS request that told why, where there was one.
    pub state_request_id: Option<Box<str>>,
}

impl Denial {
    /// A refusal with `code` because of `reason`.
    pub const fn new(code: Code, reason: Reason) -> Self {
        Self { code, reason, detail: None, retry_after_seconds: None, state: None, aws_request_id: None, state_request_id: None }
    }

    /// A dependency could not answer; worth trying again in a few seconds.
    pub const fn unavailable(reason: Reason) -> Self {
        let mut denial = Self::new(Code::Unavailable, reason);
        denial.retry_after_seconds = Some(RETRY_AFTER_UNAVAILABLE);
        denial
    }

    /// Adds what only the audit record gets, up to [`MAX_DETAIL_CHARS`]: what is beyond them is cut off, and `…` says so.
    #[must_use]
    pub fn with_detail(mut self, detail: impl Into<String>) -> Self {
        let mut detail = detail.into();
        if detail.chars().count() > MAX_DETAIL_CHARS {
            detail = detail.chars().take(MAX_DETAIL_CHARS - 1).chain(['…']).collect();
        }
        self.detail = Some(detail);
        self
    }

    /// Adds when to try again.
    #[must_use]
    pub const fn with_retry_after(mut self, seconds: u32) -> Self {
        self.retry_after_seconds = Some(seconds);
        self
    }

    /// Adds the target's state.
    #[must_use]
    pub fn with_state(mut self, state: impl Into<String>) -> Self {
        self.state = Some(state.into());
        self
    }

    /// Adds the id of the AWS request that failed.
    #[must_use]
    pub fn with_aws_request_id(mut self, id: Option<String>) -> Self {
        self.aws_request_id = id;
        self
    }
}

/// The most characters of a refusal's detail: what the audit record's schema allows (`docs/audit.schema.json`).
pub const MAX_DETAIL_CHARS: usize = 256;

/// Seconds that a caller is asked to wait for a target whose state passes by itself: a user profile is made in about that
/// time, and whoever looks sooner looks twice.
pub const RETRY_AFTER_NOT_READY: u32 = 15;

/// Seconds that a caller is asked to wait when a dependency did not answer: long enough for a throttle to pass, short
/// enough for a person to wait for.
pub const RETRY_AFTER_UNAVAILABLE: u32 = 5;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_and_reasons_are_shown_as_they_are_written() {
        let codes: Vec<&str> = Code::ALL.iter().map(|code| code.as_str()).collect();
        assert_eq!(
            codes,
            [
                "invalid-request",
                "invalid-token",
                "not-entitled",
                "not-private",
                "target-not-compliant",
                "not-found",
                "method-not-allowed",
                "too-large",
                "unsupported-media-type",
                "target-not-ready",
                "rate-limited",
                "unavailable",
                "internal",
            ]
        );
        assert_eq!((Code::NotEntitled.to_string(), Reason("grant.none").to_string()), ("not-entitled".into(), "grant.none".into()));
    }

    #[test]
    fn a_detail_is_as_long_as_the_records_schema_allows() {
        let detail = |text: String| Denial::new(Code::NotEntitled, Reason("grant.ambiguous")).with_detail(text).detail.unwrap();
        assert_eq!(detail("ü".repeat(256)), "ü".repeat(256));
        assert_eq!(detail("ü".repeat(257)), format!("{}…", "ü".repeat(255)));
    }
}
