//! What to do about an error, for whoever has it on the screen: said once, behind the error, and only where it is known.

use std::error::Error;
use std::fmt;

use aws_sdk_iam::error::DisplayErrorContext;
use latchkey_aws::environment::EnvironmentError;
use latchkey_aws::grant_admin::AdminError;
use latchkey_domain::ports::Unavailable;

use crate::explain::reasons;

/// No credentials could be had from any of the places where AWS tools look.
#[derive(Debug)]
pub struct NoCredentials(String);

impl NoCredentials {
    /// The first line of what the SDK says; the others are all the places where it has looked.
    pub fn new(error: &(dyn Error + 'static)) -> Self {
        let words = DisplayErrorContext(error).to_string();
        Self(words.lines().next().unwrap_or_default().trim_end_matches(" Attempted:").to_owned())
    }
}

impl fmt::Display for NoCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the AWS credentials cannot be had: {}", self.0)
    }
}

impl Error for NoCredentials {}

/// Something that a command cannot do without did not answer; the reason is one of those in docs/audit.md.
#[derive(Debug)]
pub struct NoAnswer(pub Unavailable);

impl fmt::Display for NoAnswer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0.reason.0)?;
        self.0.detail.as_ref().map_or(Ok(()), |detail| write!(f, ": {detail}"))
    }
}

impl Error for NoAnswer {}

/// What to do about an error, if it is one of those that have an answer.
pub fn what_to_do(error: &anyhow::Error) -> Option<String> {
    error.chain().find_map(|cause| {
        if cause.is::<NoCredentials>() {
            return Some(CREDENTIALS.to_owned());
        }
        if let Some(NoAnswer(unavailable)) = cause.downcast_ref() {
            return reasons::advice(unavailable.reason.0).map(|advice| format!("{} ({})", advice.what_to_do, advice.meaning));
        }
        match cause.downcast_ref::<AdminError>() {
            Some(AdminError::Aws { code, .. }) => return about_aws(code.as_deref()).map(str::to_owned),
            Some(AdminError::Conflict(_) | AdminError::Defect(_) | AdminError::OwnAttribute(_) | AdminError::TooLarge) => return None,
            None => {}
        }
        let variable = cause.downcast_ref::<EnvironmentError>()?.variable;
        Some(match variable {
            "AWS_REGION" => REGION.to_owned(),
            ours if ours.starts_with("LATCHKEY_") => format!("docs/configuration.md has {ours}, with examples"),
            _ => return None,
        })
    })
}

const CREDENTIALS: &str = "sign in to AWS (`aws sso login`), and name the profile in AWS_PROFILE; or set AWS_ACCESS_KEY_ID and \
                           AWS_SECRET_ACCESS_KEY. Against `latchkey dev`: its --env-file has them";

const REGION: &str = "set AWS_REGION, or AWS_PROFILE to a profile with a region: the region of the deployment's table";

/// DynamoDB's codes ("Error handling with DynamoDB"), and no answer at all.
fn about_aws(code: Option<&str>) -> Option<&'static str> {
    match code {
        None => Some(
            "is there a way from here to DynamoDB in the region that AWS_REGION names? Within the VPC it takes the endpoint, whose policy \
             lets the broker's role through and no other",
        ),
        Some("ResourceNotFoundException") => Some(
            "there is no table of that name in this account and region: --table, AWS_REGION and AWS_PROFILE say where it is looked for",
        ),
        Some("AccessDeniedException") => {
            Some("the message names the right that is missing; docs/grants.md and docs/operations.md have what each command takes")
        }
        Some("ExpiredTokenException" | "UnrecognizedClientException" | "InvalidSignatureException" | "IncompleteSignatureException") => {
            Some("these credentials are not accepted: sign in to AWS anew, and see that this machine's clock is right")
        }
        Some("ThrottlingException" | "ProvisionedThroughputExceededException" | "RequestLimitExceeded" | "InternalServerError") => {
            Some("run it again in a while: nothing is done twice")
        }
        Some(_) => None,
    }
}

#[cfg(test)]
mod tests {
    use anyhow::Context as _;
    use latchkey_domain::decision::Reason;

    use super::*;

    fn aws(code: Option<&str>) -> AdminError {
        AdminError::Aws { code: code.map(str::to_owned), aws_request_id: None, source: "all that the SDK knows".into() }
    }

    #[test]
    fn what_can_be_done_is_found_however_deep_the_error_is() {
        let unavailable = Unavailable { reason: Reason("dynamodb.unreachable"), detail: None, aws_request_id: None };
        for (error, words) in [
            (anyhow::Error::from(NoCredentials("no".to_owned())).context("while looking"), "aws sso login"),
            (anyhow::Error::from(aws(Some("ResourceNotFoundException"))).context("a").context("b"), "--table"),
            (aws(Some("ExpiredTokenException")).into(), "anew"),
            (aws(None).into(), "AWS_REGION"),
            (NoAnswer(unavailable).into(), "DNS"),
            (EnvironmentError { variable: "AWS_REGION", problem: "is not set".into() }.into(), "AWS_PROFILE"),
            (EnvironmentError { variable: "LATCHKEY_ISSUERS", problem: "is required".into() }.into(), "docs/configuration.md"),
        ] {
            let advice = what_to_do(&error).unwrap_or_else(|| panic!("{error:#}"));
            assert!(advice.contains(words), "{advice}");
        }
        for silent in [anyhow::anyhow!("x"), aws(Some("ValidationException")).into(), AdminError::Conflict("is there").into()] {
            assert_eq!(what_to_do(&silent), None);
        }
        let result: Result<(), _> = Err(aws(Some("ThrottlingException"))).context("the last of many");
        assert!(what_to_do(&result.unwrap_err()).is_some());
    }
}
