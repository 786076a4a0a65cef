//! `DescribeUserProfile`: the state of a user profile.

use serde_json::{Map, Value, json};

use crate::aws::error::{AwsError, DOMAIN_ID, ENTITY_NAME, Violations};
use crate::aws::members::Members;
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:DescribeUserProfile";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let domain_id = members.text("DomainId")?;
    let profile_name = members.text("UserProfileName")?;
    members.finish()?;

    let mut violations = Violations::default();
    let domain_id = violations.required("domainId", domain_id, 0..=63, &DOMAIN_ID);
    let profile_name = violations.required("userProfileName", profile_name, 0..=63, &ENTITY_NAME);
    violations.finish("ValidationException")?;

    let arn = call.arn(&format!("user-profile/{domain_id}/{profile_name}"));
    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let domain = world
        .domain(&call.identity.account_id, call.region, &domain_id)
        .ok_or_else(|| AwsError::not_found("Domain", &call.arn(&format!("domain/{domain_id}"))))?;
    let profile = domain.user_profile(&profile_name).ok_or_else(|| AwsError::not_found("UserProfile", &arn))?;
    let mut output = json!({
        "DomainId": domain_id,
        "UserProfileArn": call.arn(&format!("user-profile/{domain_id}/{}", profile.name)),
        "UserProfileName": profile.name.as_str(),
        "Status": profile.status_at(call.now).as_str(),
    });
    // AWS leaves out what there is none of.
    let mut settings = Map::new();
    if let Some(role) = &profile.execution_role {
        settings.insert("ExecutionRole".to_owned(), json!(role.as_str()));
    }
    if !profile.security_groups.is_empty() {
        settings.insert("SecurityGroups".to_owned(), json!(profile.security_groups));
    }
    if !settings.is_empty() {
        output["UserSettings"] = Value::Object(settings);
    }
    Ok(output)
}
