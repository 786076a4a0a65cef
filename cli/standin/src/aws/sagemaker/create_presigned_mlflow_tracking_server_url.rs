//! `CreatePresignedMlflowTrackingServerUrl`: a URL that opens an MLflow tracking server.

use serde_json::{Value, json};

use super::presign::{self, Lifetimes};
use crate::aws::error::{AwsError, TRACKING_SERVER_NAME, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{self, Door, Fact, MLFLOW_SERVER};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:CreatePresignedMlflowTrackingServerUrl";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let name = members.text("TrackingServerName")?;
    let lifetimes = Lifetimes::read(&mut members)?;
    members.finish()?;

    let mut violations = Violations::default();
    let name = violations.required("trackingServerName", name, 1..=256, &TRACKING_SERVER_NAME);
    lifetimes.check(&mut violations);
    violations.finish("ValidationException")?;

    let arn = call.arn(&format!("mlflow-tracking-server/{name}"));
    call.authorize(ACTION, &arn)?;

    let found = lock(&call.state.world).tracking_server(&call.identity.account_id, call.region, &name).cloned();
    let server = found.ok_or_else(|| AwsError::not_found("TrackingServer", &arn))?;
    if !server.opens() {
        let activity = if server.is_active { "Active" } else { "Inactive" };
        return Err(AwsError::not_ready("TrackingServer", &name, &format!("{} and {activity}", server.status.as_str())));
    }
    let door = Door {
        site: &MLFLOW_SERVER,
        label: pages::tracking_server_label(&arn),
        resource_arn: arn,
        heading: format!("MLflow tracking server {name} is open"),
        facts: vec![Fact::new("tracking_server_name", "Tracking server", name)],
    };
    Ok(json!({ "AuthorizedUrl": presign::url(call, door, &lifetimes)? }))
}
