//! `CreatePresignedDomainUrl`: a URL that opens a domain's Studio as one of its user profiles.

use serde_json::{Value, json};

use super::presign::{self, Lifetimes};
use crate::aws::error::{AwsError, DOMAIN_ID, ENTITY_NAME, Pattern, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{Door, Fact, STUDIO};
use crate::aws::world::{AuthMode, Status};
use crate::aws::{Call, lock};

const ACTION: &str = "sagemaker:CreatePresignedDomainUrl";

/// The model bounds the length only; the forms are those that the API's documentation gives.
const LANDING_URI: Pattern = Pattern {
    text: "studio::relative/path or app:(JupyterServer|JupyterLab|RStudioServerPro|CodeEditor|Canvas):relative/path",
    matches: |s| {
        let app = |rest: &str| {
            rest.split_once(':').is_some_and(|(app, path)| {
                matches!(app, "JupyterServer" | "JupyterLab" | "RStudioServerPro" | "CodeEditor" | "Canvas") && !path.starts_with('/')
            })
        };
        s.strip_prefix("studio::").is_some_and(|path| !path.starts_with('/')) || s.strip_prefix("app:").is_some_and(app)
    },
};

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let domain_id = members.text("DomainId")?;
    let profile_name = members.text("UserProfileName")?;
    let lifetimes = Lifetimes::read(&mut members)?;
    let space_name = members.text("SpaceName")?;
    let landing_uri = members.text("LandingUri")?;
    members.finish()?;

    let mut violations = Violations::default();
    let domain_id = violations.required("domainId", domain_id, 0..=63, &DOMAIN_ID);
    let profile_name = violations.required("userProfileName", profile_name, 0..=63, &ENTITY_NAME);
    for (member, value, longest, pattern) in
        [("spaceName", &space_name, 63, &ENTITY_NAME), ("landingUri", &landing_uri, 1023, &LANDING_URI)]
    {
        if let Some(value) = value {
            violations.text(member, value, 0..=longest, pattern);
        }
    }
    lifetimes.check(&mut violations);
    violations.finish("ValidationException")?;

    let arn = call.arn(&format!("user-profile/{domain_id}/{profile_name}"));
    call.authorize(ACTION, &arn)?;

    let world = lock(&call.state.world);
    let not_found = |what: &str, resource: &str| AwsError::not_found(what, &call.arn(resource));
    let domain = world
        .domain(&call.identity.account_id, call.region, &domain_id)
        .ok_or_else(|| not_found("Domain", &format!("domain/{domain_id}")))?;
    if domain.auth_mode != AuthMode::Iam {
        let message = format!("Domain [{domain_id}] does not have AuthMode IAM: presigned URLs exist for AuthMode IAM only.");
        return Err(AwsError::invalid(message));
    }
    if domain.status != Status::InService {
        return Err(AwsError::not_ready("Domain", &domain_id, domain.status.as_str()));
    }
    let profile = domain.user_profile(&profile_name).ok_or_else(|| AwsError::not_found("UserProfile", &arn))?;
    let status = profile.status_at(call.now);
    if status != Status::InService {
        return Err(AwsError::not_ready("UserProfile", &profile_name, status.as_str()));
    }
    let space_name = match &space_name {
        None => None,
        Some(name) => Some(domain.space(name).ok_or_else(|| not_found("Space", &format!("space/{domain_id}/{name}")))?.as_str().to_owned()),
    };
    let name = profile.name.as_str().to_owned();
    drop(world);

    let door = Door {
        site: &STUDIO,
        label: domain_id.clone(),
        resource_arn: call.arn(&format!("user-profile/{domain_id}/{name}")),
        heading: format!("Studio is open as {name}"),
        facts: vec![
            Fact::new("user_profile_name", "User profile", name),
            Fact::new("domain_id", "Domain", domain_id),
            Fact { member: "space_name", name: "Space", value: space_name, otherwise: "none" },
            Fact { member: "landing_uri", name: "Landing", value: landing_uri, otherwise: "Studio\u{2019}s own start page" },
        ],
    };
    Ok(json!({ "AuthorizedUrl": presign::url(call, door, &lifetimes)? }))
}
