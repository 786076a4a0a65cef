//! SageMaker: AWS JSON 1.1. One file for each action.

mod create_partner_app_presigned_url;
mod create_presigned_domain_url;
mod create_presigned_mlflow_app_url;
mod create_presigned_mlflow_tracking_server_url;
mod create_presigned_notebook_instance_url;
mod create_user_profile;
mod describe_domain;
mod describe_mlflow_app;
mod describe_mlflow_tracking_server;
mod describe_notebook_instance;
mod describe_partner_app;
mod describe_user_profile;
mod list_tags;
mod presign;

use http::header;
use serde_json::Value;

use super::Call;
use super::error::AwsError;
use super::members::Members;
use crate::answer::Answer;
use crate::sigv4::Request;

/// The header that names the action.
pub(super) const TARGET: &str = "x-amz-target";

const CONTENT_TYPE: &str = "application/x-amz-json-1.1";

type Action = fn(&Call<'_>, Members) -> Result<Value, AwsError>;

/// Every action that the stand-in knows.
const ACTIONS: &[(&str, Action)] = &[
    ("CreatePartnerAppPresignedUrl", create_partner_app_presigned_url::answer),
    ("CreatePresignedDomainUrl", create_presigned_domain_url::answer),
    ("CreatePresignedMlflowAppUrl", create_presigned_mlflow_app_url::answer),
    ("CreatePresignedMlflowTrackingServerUrl", create_presigned_mlflow_tracking_server_url::answer),
    ("CreatePresignedNotebookInstanceUrl", create_presigned_notebook_instance_url::answer),
    ("CreateUserProfile", create_user_profile::answer),
    ("DescribeDomain", describe_domain::answer),
    ("DescribeMlflowApp", describe_mlflow_app::answer),
    ("DescribeMlflowTrackingServer", describe_mlflow_tracking_server::answer),
    ("DescribeNotebookInstance", describe_notebook_instance::answer),
    ("DescribePartnerApp", describe_partner_app::answer),
    ("DescribeUserProfile", describe_user_profile::answer),
    ("ListTags", list_tags::answer),
];

pub(super) fn action(wire: &Request<'_>) -> String {
    target(wire).unwrap_or_default().to_owned()
}

fn target<'a>(wire: &Request<'a>) -> Option<&'a str> {
    wire.headers.get(TARGET)?.to_str().ok()?.strip_prefix("SageMaker.")
}

pub(super) fn answer(call: &Call<'_>, wire: &Request<'_>) -> Result<Answer, AwsError> {
    if wire.method != "POST" || wire.path != "/" || !wire.query.is_empty() {
        return Err(AwsError::new(404, "UnknownOperationException", "SageMaker takes a POST on /."));
    }
    let content_type = wire.headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes).unwrap_or_default();
    if content_type != CONTENT_TYPE.as_bytes() {
        return Err(AwsError::new(404, "UnknownOperationException", "The content type has to be application/x-amz-json-1.1."));
    }
    let action = target(wire)
        .and_then(|name| ACTIONS.iter().find(|(known, _)| *known == name))
        .ok_or_else(|| AwsError::new(400, "UnknownOperationException", "X-Amz-Target names no action that the stand-in knows."))?;
    let output = (action.1)(call, Members::read(wire.body)?)?;
    Ok(Answer::new(200, CONTENT_TYPE, output.to_string()))
}
