//! `DescribeMlflowTrackingServer`: the state of an MLflow tracking server.

use serde_json::{Value, json};

use crate::aws::error::{AwsError, TRACKING_SERVER_NAME, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{self, MLFLOW_SERVER};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribeMlflowTrackingServer";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let name = members.text("TrackingServerName")?;
    members.finish()?;

    let mut violations = Violations::default();
    let name = violations.required("trackingServerName", name, 1..=256, &TRACKING_SERVER_NAME);
    violations.finish("ValidationException")?;

    let arn = call.arn(&format!("mlflow-tracking-server/{name}"));
    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let server =
        world.tracking_server(&call.identity.account_id, call.region, &name).ok_or_else(|| AwsError::not_found("TrackingServer", &arn))?;
    let host = MLFLOW_SERVER.host(&pages::tracking_server_label(&arn), call.region);
    Ok(json!({
        "TrackingServerArn": arn,
        "TrackingServerName": name,
        "TrackingServerStatus": server.status.as_str(),
        "IsActive": if server.is_active { "Active" } else { "Inactive" },
        "TrackingServerUrl": format!("http://{host}:{}", call.state.port),
    }))
}
