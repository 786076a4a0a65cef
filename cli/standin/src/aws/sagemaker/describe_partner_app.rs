//! `DescribePartnerApp`: the state of a Partner AI App.

use serde_json::{Value, json};

use crate::aws::error::{AwsError, PARTNER_APP_ARN, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{self, PARTNER_APP};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribePartnerApp";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let arn = members.text("Arn")?;
    members.finish()?;

    let mut violations = Violations::default();
    let arn = violations.required("arn", arn, 1..=128, &PARTNER_APP_ARN);
    violations.finish("ValidationException")?;

    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let app = world.partner_app(&call.identity.account_id, call.region, &arn).ok_or_else(|| AwsError::not_found("PartnerApp", &arn))?;
    let host = PARTNER_APP.host(pages::app_id(&arn), call.region);
    Ok(json!({
        "Arn": arn,
        "Status": app.status.as_str(),
        "AuthType": "IAM",
        "BaseUrl": format!("http://{host}:{}", call.state.port),
    }))
}
