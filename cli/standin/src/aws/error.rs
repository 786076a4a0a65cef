//! AWS's errors, in the shape of each protocol.

use http::HeaderName;

use super::policy::Verdict;
use crate::answer::Answer;
use crate::html::Escaped;
use crate::sigv4::SignatureError;

pub(super) const REQUEST_ID: HeaderName = HeaderName::from_static("x-amzn-requestid");
const ERROR_TYPE: HeaderName = HeaderName::from_static("x-amzn-errortype");

/// How a service is spoken to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Protocol {
    /// AWS Query: a form in, XML out (STS).
    Query,
    /// AWS JSON 1.1 (SageMaker).
    Json,
}

/// An error as a caller sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AwsError {
    pub(super) status: u16,
    pub(super) code: String,
    pub(super) message: String,
}

impl AwsError {
    pub(super) fn new(status: u16, code: impl Into<String>, message: impl Into<String>) -> Self {
        Self { status, code: code.into(), message: message.into() }
    }

    pub(super) fn internal() -> Self {
        Self::new(500, "InternalFailure", "The stand-in has failed.")
    }

    /// What the calls for notebook instances say of one that is not there: they know no `ResourceNotFound`.
    pub(super) fn no_record() -> Self {
        Self::new(400, "ValidationException", "RecordNotFound")
    }

    /// SageMaker's answer for what is not there, as for what is in another account or region. `what` is a type, as `Domain`.
    pub(super) fn not_found(what: &str, arn: &str) -> Self {
        Self::new(400, "ResourceNotFound", format!("{what} [{arn}] does not exist."))
    }

    /// SageMaker's answer for what cannot be done now.
    pub(super) fn invalid(message: impl Into<String>) -> Self {
        Self::new(400, "ValidationException", message)
    }

    /// SageMaker's answer for what is not in a state to be opened.
    pub(super) fn not_ready(what: &str, name: &str, state: &str) -> Self {
        Self::invalid(format!("{what} [{name}] cannot be opened: it is {state}."))
    }

    /// The same cause has another name, and often another status, in each protocol.
    fn of(protocol: Protocol, query: (u16, &str), json: &str, message: impl Into<String>) -> Self {
        match protocol {
            Protocol::Query => Self::new(query.0, query.1, message),
            Protocol::Json => Self::new(400, json, message),
        }
    }

    pub(super) fn signature(protocol: Protocol, error: &SignatureError) -> Self {
        let (query, json) = match error {
            SignatureError::Missing => ((403, "MissingAuthenticationToken"), "MissingAuthenticationTokenException"),
            SignatureError::Incomplete(_) => ((400, "IncompleteSignature"), "IncompleteSignatureException"),
            SignatureError::WrongScope(_) | SignatureError::Skewed(_) | SignatureError::PayloadHash | SignatureError::Mismatch => {
                ((403, "SignatureDoesNotMatch"), "InvalidSignatureException")
            }
        };
        Self::of(protocol, query, json, error.to_string())
    }

    pub(super) fn unknown_key(protocol: Protocol) -> Self {
        let message = "The security token included in the request is invalid.";
        Self::of(protocol, (403, "InvalidClientTokenId"), "UnrecognizedClientException", message)
    }

    pub(super) fn expired_token(protocol: Protocol) -> Self {
        Self::of(protocol, (403, "ExpiredToken"), "ExpiredTokenException", "The security token included in the request is expired")
    }

    /// SageMaker's refusal, which says which kind of policy was in the way.
    pub(super) fn access_denied(arn: &str, action: &str, resource: &str, kind: &str, verdict: Verdict) -> Self {
        let because = match verdict {
            Verdict::Denied => format!("with an explicit deny in {kind} policy"),
            Verdict::NotAllowed | Verdict::Allowed => {
                format!("because no {} policy allows the {action} action", kind.trim_start_matches("an ").trim_start_matches("a "))
            }
        };
        Self::new(
            400,
            "AccessDeniedException",
            format!("User: {arn} is not authorized to perform: {action} on resource: {resource} {because}"),
        )
    }

    pub(super) fn answer(&self, protocol: Protocol, request_id: &str) -> Answer {
        let answer = match protocol {
            Protocol::Query => Answer::new(
                self.status,
                "text/xml",
                format!(
                    "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n    <Type>{}</Type>\n    \
                     <Code>{}</Code>\n    <Message>{}</Message>\n  </Error>\n  <RequestId>{request_id}</RequestId>\n</ErrorResponse>\n",
                    if self.status < 500 { "Sender" } else { "Receiver" },
                    Escaped(&self.code),
                    Escaped(&self.message),
                ),
            ),
            Protocol::Json => {
                // Modelled errors have their text in `Message`; the others come from the service's front, which writes `message`.
                let member = if matches!(&*self.code, "ResourceNotFound" | "ResourceInUse") { "Message" } else { "message" };
                let body = serde_json::json!({ "__type": self.code, member: self.message });
                Answer::new(self.status, "application/x-amz-json-1.1", body.to_string()).with(ERROR_TYPE, &self.code)
            }
        };
        answer.with(REQUEST_ID, request_id)
    }
}

/// What is wrong with the members of a request, all of it at once, in AWS's words.
#[derive(Debug, Default)]
pub(super) struct Violations(Vec<String>);

impl Violations {
    fn push(&mut self, member: &str, value: Option<&str>, rule: impl std::fmt::Display) {
        let value = value.map_or_else(|| "null".to_owned(), |value| format!("'{value}'"));
        self.0.push(format!("Value {value} at '{member}' failed to satisfy constraint: {rule}"));
    }

    pub(super) fn missing(&mut self, member: &str) {
        self.push(member, None, "Member must not be null");
    }

    /// A text that has to be there. Gives it back.
    pub(super) fn required(
        &mut self,
        member: &str,
        value: Option<String>,
        length: std::ops::RangeInclusive<usize>,
        pattern: &Pattern,
    ) -> String {
        match &value {
            None => self.missing(member),
            Some(value) => self.text(member, value, length, pattern),
        }
        value.unwrap_or_default()
    }

    /// Length in characters, then the pattern.
    pub(super) fn text(&mut self, member: &str, value: &str, length: std::ops::RangeInclusive<usize>, pattern: &Pattern) {
        let characters = value.chars().count();
        if characters > *length.end() {
            self.push(member, Some(value), format_args!("Member must have length less than or equal to {}", length.end()));
        }
        if characters < *length.start() {
            self.push(member, Some(value), format_args!("Member must have length greater than or equal to {}", length.start()));
        }
        if !(pattern.matches)(value) {
            self.push(member, Some(value), format_args!("Member must satisfy regular expression pattern: {}", pattern.text));
        }
    }

    pub(super) fn number(&mut self, member: &str, value: i64, bounds: std::ops::RangeInclusive<i64>) {
        if value < *bounds.start() {
            self.push(member, Some(&value.to_string()), format_args!("Member must have value greater than or equal to {}", bounds.start()));
        }
        if value > *bounds.end() {
            self.push(member, Some(&value.to_string()), format_args!("Member must have value less than or equal to {}", bounds.end()));
        }
    }

    /// The entries of a list.
    pub(super) fn count(&mut self, member: &str, count: usize, most: usize) {
        if count > most {
            self.push(member, Some(&format!("{count} entries")), format_args!("Member must have length less than or equal to {most}"));
        }
    }

    pub(super) fn finish(self, code: &str) -> Result<(), AwsError> {
        match self.0.as_slice() {
            [] => Ok(()),
            [one] => Err(AwsError::new(400, code, format!("1 validation error detected: {one}"))),
            many => Err(AwsError::new(400, code, format!("{} validation errors detected: {}", many.len(), many.join("; ")))),
        }
    }
}

/// A pattern of the API model: how AWS writes it, and what it means.
pub(super) struct Pattern {
    pub(super) text: &'static str,
    pub(super) matches: fn(&str) -> bool,
}

/// `DomainId`.
pub(super) const DOMAIN_ID: Pattern = Pattern {
    text: "^d-(-*[a-z0-9]){1,61}",
    matches: |s| {
        s.strip_prefix("d-").is_some_and(|rest| {
            hyphens_before(rest, |b| b.is_ascii_lowercase() || b.is_ascii_digit()).is_some_and(|count| (1..=61).contains(&count))
        })
    },
};

/// `UserProfileName`, `SpaceName`.
pub(super) const ENTITY_NAME: Pattern = Pattern {
    text: "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}",
    matches: |s| !s.starts_with('-') && hyphens_before(s, |b| b.is_ascii_alphanumeric()).is_some_and(|count| (1..=63).contains(&count)),
};

/// `NotebookInstanceName`; at most 63 in all.
pub(super) const NOTEBOOK_NAME: Pattern = Pattern { text: "^[a-zA-Z0-9](-*[a-zA-Z0-9])*", matches: is_name };

/// `TrackingServerName`; at most 256 in all.
pub(super) const TRACKING_SERVER_NAME: Pattern = Pattern { text: "^[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}", matches: is_name };

fn is_name(text: &str) -> bool {
    !text.starts_with('-') && hyphens_before(text, |b| b.is_ascii_alphanumeric()).is_some_and(|count| count > 0)
}

/// `Arn` of an MLflow app.
pub(super) const MLFLOW_APP_ARN: Pattern = Pattern {
    text: "^arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:mlflow-app/.*",
    matches: |s| arn_resource(s).is_some_and(|resource| resource.starts_with("mlflow-app/")),
};

/// `Arn` of a Partner AI App.
pub(super) const PARTNER_APP_ARN: Pattern = Pattern {
    text: "^arn:aws[a-z\\-]*:sagemaker:[a-z0-9\\-]*:[0-9]{12}:partner-app\\/app-[A-Z0-9]{12}",
    matches: |s| {
        arn_resource(s)
            .and_then(|resource| resource.strip_prefix("partner-app/app-"))
            .is_some_and(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
    },
};

/// `ResourceArn` of `ListTags`.
pub(super) const RESOURCE_ARN: Pattern =
    Pattern { text: "^arn:aws[a-z-]*:sagemaker:[a-z0-9-]*:[0-9]{12}:.+", matches: |s| arn_resource(s).is_some_and(|r| !r.is_empty()) };

/// The resource that the ARN of something of SageMaker's names, if it is one.
pub(super) fn arn_resource(arn: &str) -> Option<&str> {
    let mut parts = arn.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    let is_arn = arn == "arn"
        && partition.strip_prefix("aws").is_some_and(|rest| rest.bytes().all(|b| b.is_ascii_lowercase() || b == b'-'))
        && service == "sagemaker"
        && region.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && account.len() == 12
        && account.bytes().all(|b| b.is_ascii_digit())
        && !resource.contains(['\n', '\r']);
    is_arn.then_some(resource)
}

/// `ExecutionRole`. The model has less to say of what follows `role`.
pub(super) const ROLE_ARN: Pattern = Pattern {
    text: "^arn:aws[a-z\\-]*:iam::\\d{12}:role/?[a-zA-Z_0-9+=,.@\\-_/]+",
    matches: |s| latchkey_domain::names::RoleArn::new(s).is_ok(),
};

/// `SecurityGroupId`.
pub(super) const SECURITY_GROUP: Pattern =
    Pattern { text: "[-0-9a-zA-Z]+", matches: |s| !s.is_empty() && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') };

/// `TagKey`, `TagValue`: letters, separators and numbers of Unicode. (Rust's letters are a few marks more than `\\p{L}`.)
pub(super) const TAG_TEXT: Pattern = Pattern {
    text: "^([\\p{L}\\p{Z}\\p{N}_.:/=+\\-@]*)$",
    matches: |s| s.chars().all(|c| c.is_alphanumeric() || c.is_whitespace() && !c.is_control() || "_.:/=+-@".contains(c)),
};

/// `RoleSessionName`, `SourceIdentity`.
pub(super) const SESSION_NAME: Pattern =
    Pattern { text: "[\\w+=,.@-]*", matches: |s| s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@-".contains(&b)) };

/// `ExternalId`.
pub(super) const EXTERNAL_ID: Pattern =
    Pattern { text: "[\\w+=,.@:\\/-]*", matches: |s| s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b)) };

/// `RoleArn`, `Policy`, `LandingUri`: the model has any printable text.
pub(super) const PRINTABLE: Pattern = Pattern {
    text: "[\\u0009\\u000A\\u000D\\u0020-\\u007E\\u0085\\u00A0-\\uD7FF\\uE000-\\uFFFD\\u10000-\\u10FFFF]+",
    matches: |s| !s.is_empty() && s.chars().all(|c| matches!(c, '\t' | '\n' | '\r' | ' '..='~' | '\u{85}' | '\u{a0}'..)),
};

/// `(-*[x])` repeated: how often, or none if the text is something else.
fn hyphens_before(text: &str, legal: impl Fn(u8) -> bool) -> Option<usize> {
    let whole = text.bytes().all(|b| legal(b) || b == b'-') && !text.ends_with('-');
    whole.then(|| text.bytes().filter(|&b| b != b'-').count())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn patterns() {
        for (pattern, good, bad) in [
            (&DOMAIN_ID, &["d-a", "d-abc", "d--a-b"][..], &["", "d-", "d-A", "d-a-", "x-a", "d-a b"][..]),
            (&ENTITY_NAME, &["a", "Jane-Doe", "a--b", "7"], &["", "-a", "a-", "a_b", "jane@example.com", "ä"]),
            (&SESSION_NAME, &["a_b", "okta.jane@example.com"], &["a b", "a/b", "ä"]),
            (&EXTERNAL_ID, &["a:b/c"], &["a b", "a#b"]),
            (&PRINTABLE, &["a b", "ü"], &["", "\u{1}", "a\u{7f}"]),
            (&NOTEBOOK_NAME, &["a", "Jane-Doe", "a--b"], &["", "-", "-a", "a-", "a_b"]),
            (&TRACKING_SERVER_NAME, &["a", "experiments"], &["", "-a", "a-", "a.b"]),
            (
                &MLFLOW_APP_ARN,
                &["arn:aws:sagemaker:eu-west-1:444455556666:mlflow-app/app-7QX2", "arn:aws-cn:sagemaker::444455556666:mlflow-app/"],
                &["", "arn:aws:sagemaker:eu-west-1:4444:mlflow-app/x", "arn:aws:s3:eu-west-1:444455556666:mlflow-app/x"],
            ),
            (
                &PARTNER_APP_ARN,
                &["arn:aws:sagemaker:eu-west-1:444455556666:partner-app/app-ABCDEFGHIJ12"],
                &["arn:aws:sagemaker:eu-west-1:444455556666:partner-app/app-ABC", "arn:AWS:sagemaker:eu-west-1:444455556666:partner-app/x"],
            ),
            (&RESOURCE_ARN, &["arn:aws:sagemaker:eu-west-1:444455556666:x"], &["arn:aws:sagemaker:eu-west-1:444455556666:", "x"]),
            (&ROLE_ARN, &["arn:aws:iam::111122223333:role/a/b"], &["arn:aws:iam::111122223333:user/a", "role/a"]),
            (&SECURITY_GROUP, &["sg-0123"], &["", "sg_0"]),
            (&TAG_TEXT, &["", "Größe 1", "a_.:/=+-@"], &["a|b", "a\tb", "#"]),
        ] {
            for text in good {
                assert!((pattern.matches)(text), "{text}");
            }
            for text in bad {
                assert!(!(pattern.matches)(text), "{text}");
            }
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_at_once() {
        let mut violations = Violations::default();
        violations.missing("userProfileName");
        violations.text("domainId", "x", 0..=63, &DOMAIN_ID);
        violations.number("expiresInSeconds", 4, 5..=300);
        let error = violations.finish("ValidationException").unwrap_err();
        assert_eq!(
            error.message,
            "3 validation errors detected: Value null at 'userProfileName' failed to satisfy constraint: Member must not be null; \
             Value 'x' at 'domainId' failed to satisfy constraint: Member must satisfy regular expression pattern: ^d-(-*[a-z0-9]){1,61}; \
             Value '4' at 'expiresInSeconds' failed to satisfy constraint: Member must have value greater than or equal to 5"
        );
        assert_eq!(Violations::default().finish("x"), Ok(()));
    }

    #[test]
    fn both_shapes() {
        let error = AwsError::new(400, "Some<Code>", "a & b");
        let xml = error.answer(Protocol::Query, "id-1");
        assert!(xml.text().contains("<Code>Some&lt;Code&gt;</Code>") && xml.text().contains("<RequestId>id-1</RequestId>"));
        let json = error.answer(Protocol::Json, "id-1");
        assert_eq!(json.text(), r#"{"__type":"Some<Code>","message":"a & b"}"#);
    }
}
