//! What went wrong with an AWS call: the SDK's many errors as a few that somebody can act on.

use std::time::Duration;

use aws_sdk_dynamodb::operation::RequestId as _;
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use aws_smithy_runtime_api::client::result::SdkError;
use aws_smithy_types::error::metadata::ProvideErrorMetadata;
use latchkey_domain::decision::{Denial, Reason};
use latchkey_domain::ports::Unavailable;
use latchkey_transport::{CallError, ConnectFailure};

/// What went wrong, by who can act on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// No answer in time.
    Timeout,
    /// No connection.
    Unreachable,
    /// No TLS session, mostly for a certificate that is not trusted.
    Tls,
    /// The connection broke before the answer was complete.
    Broken,
    /// The service asks to slow down.
    Throttled,
    /// The caller's role, or a policy on the way, does not allow it.
    AccessDenied,
    /// The credentials have expired, or are not known, or the clock is wrong.
    Credentials,
    /// The service does not take the parameters.
    Validation,
    /// What the call is about does not exist.
    NotFound,
    /// What came back cannot be read.
    Malformed,
    /// The service failed (5xx).
    Failed,
    /// The service refused for another reason (4xx).
    Refused,
    /// The request could not be made: no credentials, no endpoint.
    NotSent,
}

/// A failed call.
#[derive(Debug, Clone)]
pub(crate) struct Failure {
    pub(crate) kind: Kind,
    /// AWS's error code: letters, digits and a little punctuation, never a message.
    pub(crate) code: Option<String>,
    pub(crate) request_id: Option<String>,
    /// Whether the service may have done what it was asked. `false` is certain.
    pub(crate) may_be_done: bool,
    /// How long the service asks to wait (`x-amz-retry-after`, in milliseconds).
    pub(crate) retry_after: Option<Duration>,
}

impl Failure {
    pub(crate) const fn new(kind: Kind, may_be_done: bool) -> Self {
        Self { kind, code: None, request_id: None, may_be_done, retry_after: None }
    }

    /// An answer that arrived, and is not what was asked for.
    pub(crate) fn malformed(request_id: Option<&str>) -> Self {
        Self { request_id: request_id.and_then(printable), ..Self::new(Kind::Malformed, true) }
    }

    pub(crate) fn into_unavailable(self, reason: fn(Kind) -> Reason) -> Unavailable {
        Unavailable { reason: reason(self.kind), detail: self.code, aws_request_id: self.request_id }
    }

    pub(crate) fn into_denial(self, reason: fn(Kind) -> Reason) -> Denial {
        self.into_unavailable(reason).into()
    }
}

impl<E> From<SdkError<E, HttpResponse>> for Failure
where
    E: ProvideErrorMetadata,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let code = error.code();
        let (kind, may_be_done) = match &error {
            SdkError::TimeoutError(_) => (Kind::Timeout, true),
            SdkError::DispatchFailure(failure) => {
                dispatch(failure.as_connector_error().and_then(|error| CallError::find(error)), failure.is_timeout())
            }
            SdkError::ServiceError(failure) => answered(code, failure.raw().status().as_u16()),
            // The answer broke off or could not be read, so there is no code; its status may still say enough.
            SdkError::ResponseError(failure) => answered(None, failure.raw().status().as_u16()),
            SdkError::ConstructionFailure(_) => (Kind::NotSent, false),
            // The SDK's enum is open. Whatever else there will be, it may have been sent.
            _ => (Kind::Broken, true),
        };
        let retry_after = error.raw_response().and_then(|raw| raw.headers().get("x-amz-retry-after"));
        Self {
            kind,
            code: code.and_then(printable),
            request_id: error.request_id().and_then(printable),
            may_be_done,
            retry_after: retry_after.and_then(|millis| millis.parse().ok()).map(Duration::from_millis),
        }
    }
}

fn dispatch(error: Option<&CallError>, timed_out: bool) -> (Kind, bool) {
    let Some(error) = error else { return (if timed_out { Kind::Timeout } else { Kind::Broken }, true) };
    let kind = match error {
        CallError::NotConnected { kind: ConnectFailure::Unreachable, .. } => Kind::Unreachable,
        CallError::NotConnected { kind: ConnectFailure::Tls, .. } => Kind::Tls,
        CallError::NotConnected { kind: ConnectFailure::Timeout, .. } | CallError::Timeout => Kind::Timeout,
        CallError::Broken(_) => Kind::Broken,
        CallError::BadUrl => Kind::NotSent,
    };
    (kind, error.may_have_been_sent())
}

/// Reads an error that the service answered with: its code, and where that says nothing, the status.
///
/// Only a refusal (4xx, throttling) is certain not to have been carried out; after a 5xx DynamoDB leaves it open.
fn answered(code: Option<&str>, status: u16) -> (Kind, bool) {
    let kind = match code.unwrap_or_default() {
        "ProvisionedThroughputExceededException"
        | "RequestLimitExceeded"
        | "RequestThrottled"
        | "RequestThrottledException"
        | "SlowDown"
        | "ThrottledException"
        | "Throttling"
        | "ThrottlingException"
        | "TooManyRequestsException" => Kind::Throttled,
        "AccessDenied" | "AccessDeniedException" | "NotAuthorized" | "UnauthorizedOperation" => Kind::AccessDenied,
        "AuthFailure"
        | "ExpiredToken"
        | "ExpiredTokenException"
        | "IncompleteSignature"
        | "IncompleteSignatureException"
        | "InvalidAccessKeyId"
        | "InvalidClientTokenId"
        | "InvalidSignatureException"
        | "MissingAuthenticationToken"
        | "MissingAuthenticationTokenException"
        | "RequestExpired"
        | "RequestTimeTooSkewed"
        | "SignatureDoesNotMatch"
        | "UnrecognizedClientException" => Kind::Credentials,
        "InvalidParameterValue"
        | "MalformedPolicyDocument"
        | "PackedPolicyTooLarge"
        | "SerializationException"
        | "ValidationError"
        | "ValidationException" => Kind::Validation,
        "ResourceNotFound" | "ResourceNotFoundException" => Kind::NotFound,
        "InternalFailure" | "InternalServerError" | "InternalServiceError" | "ServiceUnavailable" | "ServiceUnavailableException" => {
            Kind::Failed
        }
        _ => match status {
            // The SDK reports a success that it cannot read like any other error.
            ..300 => Kind::Malformed,
            429 => Kind::Throttled,
            500.. => Kind::Failed,
            401 | 403 => Kind::AccessDenied,
            _ => Kind::Refused,
        },
    };
    (kind, matches!(kind, Kind::Failed | Kind::Malformed))
}

/// Text that came from outside, if it is what codes and request ids are: short, and of harmless characters.
pub(crate) fn printable(text: &str) -> Option<String> {
    let harmless = |b: u8| b.is_ascii_alphanumeric() || b"._-:".contains(&b);
    ((1..=64).contains(&text.len()) && text.bytes().all(harmless)).then(|| text.to_owned())
}

/// The reasons that calls to one service can fail for, and the module's own, as one closed vocabulary.
macro_rules! service_reasons {
    ($service:literal; $($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: latchkey_domain::decision::Reason = latchkey_domain::decision::Reason($text);)*

        /// The reason for each way in which a call can fail.
        pub(crate) const fn reason(kind: crate::failure::Kind) -> latchkey_domain::decision::Reason {
            use crate::failure::Kind;
            latchkey_domain::decision::Reason(match kind {
                Kind::Timeout => concat!($service, ".timeout"),
                Kind::Unreachable => concat!($service, ".unreachable"),
                Kind::Tls => concat!($service, ".tls"),
                Kind::Broken => concat!($service, ".broken"),
                Kind::Throttled => concat!($service, ".throttled"),
                Kind::AccessDenied => concat!($service, ".access-denied"),
                Kind::Credentials => concat!($service, ".credentials"),
                Kind::Validation => concat!($service, ".validation"),
                Kind::NotFound => concat!($service, ".not-found"),
                Kind::Malformed => concat!($service, ".malformed-answer"),
                Kind::Failed => concat!($service, ".failed"),
                Kind::Refused => concat!($service, ".refused"),
                Kind::NotSent => concat!($service, ".not-sent"),
            })
        }

        /// Every reason of this module.
        pub const REASONS: &[latchkey_domain::decision::Reason] = &[
            $($name,)*
            reason(crate::failure::Kind::Timeout),
            reason(crate::failure::Kind::Unreachable),
            reason(crate::failure::Kind::Tls),
            reason(crate::failure::Kind::Broken),
            reason(crate::failure::Kind::Throttled),
            reason(crate::failure::Kind::AccessDenied),
            reason(crate::failure::Kind::Credentials),
            reason(crate::failure::Kind::Validation),
            reason(crate::failure::Kind::NotFound),
            reason(crate::failure::Kind::Malformed),
            reason(crate::failure::Kind::Failed),
            reason(crate::failure::Kind::Refused),
            reason(crate::failure::Kind::NotSent),
        ];
    };
}
pub(crate) use service_reasons;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_come_before_statuses() {
        for (code, status, kind, may_be_done) in [
            (Some("ThrottlingException"), 400, Kind::Throttled, false),
            (Some("ProvisionedThroughputExceededException"), 400, Kind::Throttled, false),
            (Some("Throttling"), 400, Kind::Throttled, false),
            (None, 429, Kind::Throttled, false),
            (Some("AccessDeniedException"), 400, Kind::AccessDenied, false),
            (None, 403, Kind::AccessDenied, false),
            (Some("ExpiredTokenException"), 403, Kind::Credentials, false),
            (Some("ValidationException"), 400, Kind::Validation, false),
            (Some("ResourceNotFound"), 400, Kind::NotFound, false),
            (Some("InternalServerError"), 500, Kind::Failed, true),
            (Some("Something"), 503, Kind::Failed, true),
            (None, 500, Kind::Failed, true),
            (Some("Something"), 400, Kind::Refused, false),
            (None, 404, Kind::Refused, false),
            (None, 302, Kind::Refused, false),
            (None, 200, Kind::Malformed, true),
        ] {
            assert_eq!(answered(code, status), (kind, may_be_done), "{code:?} {status}");
        }
    }

    #[test]
    fn only_short_and_harmless_text_is_kept() {
        assert_eq!(printable("AccessDenied").as_deref(), Some("AccessDenied"));
        assert_eq!(printable("8e7c-41:aa_b.c").as_deref(), Some("8e7c-41:aa_b.c"));
        for bad in ["", "a b", "a\nb", "ä", "a/b", "{}", &"x".repeat(65)] {
            assert_eq!(printable(bad), None, "{bad}");
        }
    }
}
