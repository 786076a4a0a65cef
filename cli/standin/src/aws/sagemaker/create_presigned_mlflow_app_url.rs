//! `CreatePresignedMlflowAppUrl`: a URL that opens an MLflow app.

use serde_json::{Value, json};

use super::presign::{self, Lifetimes};
use crate::aws::error::{AwsError, MLFLOW_APP_ARN, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{self, Door, MLFLOW_APP};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:CreatePresignedMlflowAppUrl";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let arn = members.text("Arn")?;
    let lifetimes = Lifetimes::read(&mut members)?;
    members.finish()?;

    let mut violations = Violations::default();
    let arn = violations.required("arn", arn, 1..=128, &MLFLOW_APP_ARN);
    lifetimes.check(&mut violations);
    violations.finish("ValidationException")?;

    call.authorize(ACTION, &arn)?;

    let found = lock(&call.state.world).mlflow_app(&call.identity.account_id, call.region, &arn).cloned();
    let app = found.ok_or_else(|| AwsError::not_found("MlflowApp", &arn))?;
    if !app.opens() {
        return Err(AwsError::not_ready("MlflowApp", &arn, app.status.as_str()));
    }
    let id = pages::app_id(&arn);
    let door =
        Door { site: &MLFLOW_APP, label: id.to_owned(), heading: format!("MLflow app {id} is open"), facts: Vec::new(), resource_arn: arn };
    Ok(json!({ "AuthorizedUrl": presign::url(call, door, &lifetimes)? }))
}
