//! `ListTags`: the tags of a user profile. AWS lists those of everything; the stand-in makes tags on profiles only.

use aws_lc_rs::digest;
use serde_json::{Value, json};

use crate::aws::error::{AwsError, Pattern, RESOURCE_ARN, Violations, arn_resource};
use crate::aws::members::Members;
use crate::aws::{Call, lock};
use crate::sigv4;

const ACTION: &str = "sagemaker:ListTags";

/// The smallest page, and the one that there is unless a larger one is asked for.
const PAGE: i64 = 50;

const NEXT_TOKEN: Pattern = Pattern { text: ".*", matches: |s| !s.contains(['\n', '\r']) };

pub(super) fn answer(call: &Call<'_>, mut members: Members) -> Result<Value, AwsError> {
    let arn = members.text("ResourceArn")?;
    let next_token = members.text("NextToken")?;
    let page = members.number("MaxResults")?.unwrap_or(PAGE);
    members.finish()?;

    let mut violations = Violations::default();
    let arn = violations.required("resourceArn", arn, 0..=256, &RESOURCE_ARN);
    if let Some(token) = &next_token {
        violations.text("nextToken", token, 0..=8192, &NEXT_TOKEN);
    }
    violations.number("maxResults", page, PAGE..=i64::from(i32::MAX));
    violations.finish("ValidationException")?;

    call.authorize(ACTION, &arn)?;

    let resource = arn_resource(&arn).unwrap_or_default();
    let Some((domain_id, name)) = resource.strip_prefix("user-profile/").and_then(|path| path.split_once('/')) else {
        return Err(AwsError::invalid(format!("The stand-in lists the tags of user profiles, and [{arn}] is none.")));
    };
    let not_found = || AwsError::not_found("UserProfile", &arn);
    if arn != call.arn(resource) {
        return Err(not_found());
    }
    let world = lock(&call.state.world);
    let domain = world.domain(&call.identity.account_id, call.region, domain_id).ok_or_else(not_found)?;
    let profile = domain.user_profile(name).ok_or_else(not_found)?;

    let count = profile.tags.len();
    let token = |from: usize| token(domain_id, profile.name.as_str(), from);
    let from = match &next_token {
        None => 0,
        Some(next) => {
            (1..count).find(|&from| token(from) == *next).ok_or_else(|| AwsError::invalid("NextToken is not one of this list's."))?
        }
    };
    let until = usize::try_from(page).map_or(count, |page| from.saturating_add(page).min(count));
    let tags: Vec<Value> = profile.tags.iter().take(until).skip(from).map(|(key, value)| json!({ "Key": key, "Value": value })).collect();
    let mut output = json!({ "Tags": tags });
    if until < count {
        output["NextToken"] = json!(token(until));
    }
    Ok(output)
}

/// Names a place in one profile's list: whoever passes on another list's token, or one that they made up, is refused.
fn token(domain_id: &str, profile: &str, from: usize) -> String {
    sigv4::hex(digest::digest(&digest::SHA256, format!("{domain_id}/{profile}/{from}").as_bytes()).as_ref())
}
