//! `DescribeMlflowApp`: the state of an MLflow app.

use serde_json::{Value, json};

use crate::aws::error::{AwsError, MLFLOW_APP_ARN, Violations};
use crate::aws::members::Members;
use crate::aws::pages;
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribeMlflowApp";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let arn = members.text("Arn")?;
    members.finish()?;

    let mut violations = Violations::default();
    let arn = violations.required("arn", arn, 1..=128, &MLFLOW_APP_ARN);
    violations.finish("ValidationException")?;

    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let app = world.mlflow_app(&call.identity.account_id, call.region, &arn).ok_or_else(|| AwsError::not_found("MlflowApp", &arn))?;
    Ok(json!({ "Arn": arn, "Name": pages::app_id(&arn), "Status": app.status.as_str() }))
}
