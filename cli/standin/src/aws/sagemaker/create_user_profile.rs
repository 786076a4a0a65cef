//! `CreateUserProfile`: makes a user profile in a domain. It takes a while until the profile is in service.

use std::collections::BTreeSet;

use latchkey_domain::names::{RoleArn, UserProfileName};
use serde_json::{Value, json};

use crate::aws::error::{AwsError, DOMAIN_ID, ENTITY_NAME, ROLE_ARN, SECURITY_GROUP, TAG_TEXT, Violations};
use crate::aws::members::Members;
use crate::aws::world::{AuthMode, Status, UserProfile};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:CreateUserProfile";
const TAG_ACTION: &str = "sagemaker:AddTags";
const ROLE_ACTION: &str = "iam:PassRole";

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let domain_id = members.text("DomainId")?;
    let name = members.text("UserProfileName")?;
    let mut tags = Vec::new();
    for mut tag in members.objects("Tags")?.unwrap_or_default() {
        tags.push((tag.text("Key")?, tag.text("Value")?));
        tag.finish()?;
    }
    let (mut execution_role, mut security_groups) = (None, Vec::new());
    if let Some(mut settings) = members.object("UserSettings")? {
        execution_role = settings.text("ExecutionRole")?;
        security_groups = settings.texts("SecurityGroups")?.unwrap_or_default();
        settings.finish()?;
    }
    members.finish()?;

    let mut violations = Violations::default();
    let domain_id = violations.required("domainId", domain_id, 0..=63, &DOMAIN_ID);
    let name = violations.required("userProfileName", name, 0..=63, &ENTITY_NAME);
    violations.count("tags", tags.len(), 50);
    let mut tag = |(n, (key, value)): (usize, (Option<String>, Option<String>))| {
        let key = violations.required(&format!("tags.{n}.member.key"), key, 1..=128, &TAG_TEXT);
        (key, violations.required(&format!("tags.{n}.member.value"), value, 0..=256, &TAG_TEXT))
    };
    let tags: Vec<(String, String)> = (1..).zip(tags).map(&mut tag).collect();
    if let Some(role) = &execution_role {
        violations.text("userSettings.executionRole", role, 20..=2048, &ROLE_ARN);
    }
    violations.count("userSettings.securityGroups", security_groups.len(), 5);
    for group in &security_groups {
        violations.text("userSettings.securityGroups", group, 0..=32, &SECURITY_GROUP);
    }
    violations.finish("ValidationException")?;
    let mut keys = BTreeSet::new();
    for (key, _) in &tags {
        if key.to_ascii_lowercase().starts_with("aws:") {
            return Err(AwsError::invalid(format!("The tag key {key} begins with aws:, which is AWS's own.")));
        }
        if !keys.insert(key) {
            return Err(AwsError::invalid(format!("The tag key {key} is there twice.")));
        }
    }

    let arn = call.arn(&format!("user-profile/{domain_id}/{name}"));
    call.authorize(ACTION, &arn)?;
    if !tags.is_empty() {
        call.authorize(TAG_ACTION, &arn)?;
    }
    if let Some(role) = &execution_role {
        call.authorize(ROLE_ACTION, role)?;
    }
    let execution_role = execution_role.map(RoleArn::new).transpose().map_err(|_| AwsError::internal())?;
    if execution_role.as_ref().is_some_and(|role| role.account_id() != call.identity.account_id.as_str()) {
        return Err(AwsError::invalid("Cross-account pass role is not allowed."));
    }

    let mut world = lock(&call.state.world);
    let domain = world
        .domain_here(&call.identity.account_id, call.region, &domain_id)
        .ok_or_else(|| AwsError::not_found("Domain", &call.arn(&format!("domain/{domain_id}"))))?;
    if domain.auth_mode != AuthMode::Iam {
        return Err(AwsError::invalid(format!("Domain [{domain_id}] does not have AuthMode IAM: its profiles are of SSO users.")));
    }
    if domain.status != Status::InService {
        return Err(AwsError::invalid(format!("Domain [{domain_id}] is {}, not InService.", domain.status.as_str())));
    }
    if let Some(other) = domain.user_profile(&name) {
        let other = call.arn(&format!("user-profile/{domain_id}/{}", other.name));
        return Err(AwsError::new(400, "ResourceInUse", format!("UserProfile [{other}] already exists.")));
    }
    domain.user_profiles.push(UserProfile {
        name: UserProfileName::new(name).map_err(|_| AwsError::internal())?,
        status: Status::Pending,
        in_service_from: Some(call.now.plus_seconds(domain.profile_seconds)),
        execution_role,
        security_groups,
        tags,
    });
    Ok(json!({ "UserProfileArn": arn }))
}
