//! `DescribeDomain`: how a domain is set up.

use serde_json::{Value, json};

use super::Members;
use crate::aws::error::{AwsError, DOMAIN_ID, Violations};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribeDomain";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let domain_id = members.text("DomainId")?;
    members.finish()?;

    let mut violations = Violations::default();
    match &domain_id {
        None => violations.missing("domainId"),
        Some(domain_id) => violations.text("domainId", domain_id, 0..=63, &DOMAIN_ID),
    }
    violations.finish("ValidationException")?;
    let domain_id = domain_id.unwrap_or_default();

    let arn = call.arn(&format!("domain/{domain_id}"));
    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let domain = world
        .domain(&call.identity.account_id, call.region, &domain_id)
        .ok_or_else(|| AwsError::new(400, "ResourceNotFound", format!("Domain [{arn}] does not exist.")))?;
    let mut output = json!({
        "DomainArn": arn,
        "DomainId": domain_id,
        "DomainName": domain_id,
        "Status": domain.status.as_str(),
        "AuthMode": domain.auth_mode.as_str(),
        "AppNetworkAccessType": domain.network_access.as_str(),
        "Url": format!("http://{domain_id}.studio.{}.sagemaker.localhost:{}", call.region, call.state.port),
    });
    // AWS leaves out what there is none of.
    if let Some(kms_key) = &domain.kms_key {
        output["KmsKeyId"] = json!(kms_key);
    }
    Ok(output)
}
