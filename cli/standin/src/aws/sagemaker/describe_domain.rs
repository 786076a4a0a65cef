//! `DescribeDomain`: how a domain is set up.

use serde_json::{Value, json};

use crate::aws::error::{AwsError, DOMAIN_ID, Violations};
use crate::aws::members::Members;
use crate::aws::pages::STUDIO;
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribeDomain";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let domain_id = members.text("DomainId")?;
    members.finish()?;

    let mut violations = Violations::default();
    let domain_id = violations.required("domainId", domain_id, 0..=63, &DOMAIN_ID);
    violations.finish("ValidationException")?;

    let arn = call.arn(&format!("domain/{domain_id}"));
    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let domain = world.domain(&call.identity.account_id, call.region, &domain_id).ok_or_else(|| AwsError::not_found("Domain", &arn))?;
    let mut output = json!({
        "DomainArn": arn,
        "DomainId": domain_id,
        "DomainName": domain_id,
        "Status": domain.status.as_str(),
        "AuthMode": domain.auth_mode.as_str(),
        "AppNetworkAccessType": domain.network_access.as_str(),
        "Url": format!("http://{}:{}", STUDIO.host(&domain_id, call.region), call.state.port),
    });
    // AWS leaves out what there is none of.
    if let Some(kms_key) = &domain.kms_key {
        output["KmsKeyId"] = json!(kms_key);
    }
    Ok(output)
}
