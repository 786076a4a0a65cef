//! `CreatePresignedDomainUrl`: a URL that opens a domain's Studio as one of its user profiles.

use serde_json::{Value, json};

use super::Members;
use crate::aws::error::{AwsError, DOMAIN_ID, ENTITY_NAME, Pattern, Violations};
use crate::aws::studio::Opening;
use crate::aws::world::{AuthMode, Status};
use crate::aws::{Call, lock};
use crate::random;

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
    let url_seconds = members.number("ExpiresInSeconds")?.unwrap_or(300);
    let session_seconds = members.number("SessionExpirationDurationInSeconds")?.unwrap_or(43200);
    let space_name = members.text("SpaceName")?;
    let landing_uri = members.text("LandingUri")?;
    members.finish()?;

    let mut violations = Violations::default();
    for (member, value) in [("domainId", &domain_id), ("userProfileName", &profile_name)] {
        if value.is_none() {
            violations.missing(member);
        }
    }
    for (member, value, longest, pattern) in [
        ("domainId", &domain_id, 63, &DOMAIN_ID),
        ("userProfileName", &profile_name, 63, &ENTITY_NAME),
        ("spaceName", &space_name, 63, &ENTITY_NAME),
        ("landingUri", &landing_uri, 1023, &LANDING_URI),
    ] {
        if let Some(value) = value {
            violations.text(member, value, 0..=longest, pattern);
        }
    }
    violations.number("expiresInSeconds", url_seconds, 5..=300);
    violations.number("sessionExpirationDurationInSeconds", session_seconds, 1800..=43200);
    violations.finish("ValidationException")?;
    let (domain_id, profile_name) = (domain_id.unwrap_or_default(), profile_name.unwrap_or_default());

    let resource = call.arn(&format!("user-profile/{domain_id}/{profile_name}"));
    call.authorize(ACTION, &resource)?;
    let (identity, region) = (call.identity, call.region);

    let world = lock(&call.state.world);
    let not_found =
        |what: &str, resource: &str| AwsError::new(400, "ResourceNotFound", format!("{what} [{}] does not exist.", call.arn(resource)));
    let invalid = |message: String| AwsError::new(400, "ValidationException", message);
    let domain = world
        .domain(&call.identity.account_id, call.region, &domain_id)
        .ok_or_else(|| not_found("Domain", &format!("domain/{domain_id}")))?;
    if domain.auth_mode != AuthMode::Iam {
        return Err(invalid(format!("Domain [{domain_id}] does not have AuthMode IAM: presigned URLs exist for AuthMode IAM only.")));
    }
    if domain.status != Status::InService {
        return Err(invalid(format!("Domain [{domain_id}] is {}, not InService.", domain.status.as_str())));
    }
    let profile =
        domain.user_profile(&profile_name).ok_or_else(|| not_found("UserProfile", &format!("user-profile/{domain_id}/{profile_name}")))?;
    if profile.status != Status::InService {
        return Err(invalid(format!("UserProfile [{profile_name}] is {}, not InService.", profile.status.as_str())));
    }
    let space_name = match &space_name {
        None => None,
        Some(name) => Some(domain.space(name).ok_or_else(|| not_found("Space", &format!("space/{domain_id}/{name}")))?.as_str().to_owned()),
    };
    let opening = Opening {
        domain_id: domain_id.clone(),
        user_profile_name: profile.name.as_str().to_owned(),
        space_name,
        landing_uri,
        session_seconds,
        region: region.as_str().to_owned(),
        account_id: identity.account_id.as_str().to_owned(),
        caller: identity.arn.clone(),
        source_identity: identity.source_identity.clone(),
        expires_at: call.now.plus_seconds(url_seconds),
        opened: false,
    };
    drop(world);

    let token = random::secret().map_err(|_| AwsError::internal())?;
    let url = format!("http://{domain_id}.studio.{region}.sagemaker.localhost:{}/auth?token={token}", call.state.port);
    opening.remember(call.state, &token);
    Ok(json!({ "AuthorizedUrl": call.foreign_url.unwrap_or(&url) }))
}
