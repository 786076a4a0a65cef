//! `CreatePartnerAppPresignedUrl`: a URL that opens a Partner AI App. The output has a name of its own.

use serde_json::{Value, json};

use super::presign::{self, Lifetimes};
use crate::aws::error::{AwsError, PARTNER_APP_ARN, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{self, Door, PARTNER_APP};
use crate::aws::world::PartnerAppStatus;
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:CreatePartnerAppPresignedUrl";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let arn = members.text("Arn")?;
    let lifetimes = Lifetimes::read(&mut members)?;
    members.finish()?;

    let mut violations = Violations::default();
    let arn = violations.required("arn", arn, 1..=128, &PARTNER_APP_ARN);
    lifetimes.check(&mut violations);
    violations.finish("ValidationException")?;

    call.authorize(ACTION, &arn)?;

    let found = lock(&call.state.world).partner_app(&call.identity.account_id, call.region, &arn).map(|app| app.status);
    let status = found.ok_or_else(|| AwsError::not_found("PartnerApp", &arn))?;
    // One whose update has failed "is available", says the API model.
    if !matches!(status, PartnerAppStatus::Available | PartnerAppStatus::UpdateFailed) {
        return Err(AwsError::not_ready("PartnerApp", &arn, status.as_str()));
    }
    let id = pages::app_id(&arn);
    let door = Door {
        site: &PARTNER_APP,
        label: id.to_owned(),
        heading: format!("Partner AI App {id} is open"),
        facts: Vec::new(),
        resource_arn: arn,
    };
    Ok(json!({ "Url": presign::url(call, door, &lifetimes)? }))
}
