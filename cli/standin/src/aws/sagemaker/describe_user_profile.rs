//! `DescribeUserProfile`: the state of a user profile.

use serde_json::{Value, json};

use super::Members;
use crate::aws::error::{AwsError, DOMAIN_ID, ENTITY_NAME, Violations};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribeUserProfile";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let domain_id = members.text("DomainId")?;
    let profile_name = members.text("UserProfileName")?;
    members.finish()?;

    let mut violations = Violations::default();
    for (member, value, pattern) in [("domainId", &domain_id, &DOMAIN_ID), ("userProfileName", &profile_name, &ENTITY_NAME)] {
        match value {
            None => violations.missing(member),
            Some(value) => violations.text(member, value, 0..=63, pattern),
        }
    }
    violations.finish("ValidationException")?;
    let (domain_id, profile_name) = (domain_id.unwrap_or_default(), profile_name.unwrap_or_default());

    let resource = call.arn(&format!("user-profile/{domain_id}/{profile_name}"));
    call.authorize(ACTION, &resource)?;

    let world = lock(&call.state.world);
    let not_found = |what: &str, resource: &str| AwsError::new(400, "ResourceNotFound", format!("{what} [{resource}] does not exist."));
    let domain = world
        .domain(&call.identity.account_id, call.region, &domain_id)
        .ok_or_else(|| not_found("Domain", &call.arn(&format!("domain/{domain_id}"))))?;
    let profile = domain.user_profile(&profile_name).ok_or_else(|| not_found("UserProfile", &resource))?;
    Ok(json!({
        "DomainId": domain_id,
        "UserProfileArn": call.arn(&format!("user-profile/{domain_id}/{}", profile.name.as_str())),
        "UserProfileName": profile.name.as_str(),
        "Status": profile.status.as_str(),
    }))
}
