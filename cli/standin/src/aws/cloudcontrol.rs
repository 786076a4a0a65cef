//! AWS Cloud Control API: AWS JSON 1.0. What there is of a deployment, by type and identifier; nothing can be changed.

use http::header;
use serde_json::{Value, json};

use super::error::AwsError;
use super::members::Members;
use super::{Call, World, lock};
use crate::answer::Answer;
use crate::sigv4::Request;

/// What requests to it are signed for.
pub(super) const SERVICE: &str = "cloudcontrolapi";

const TARGET_PREFIX: &str = "CloudApiService.";
const CONTENT_TYPE: &str = "application/x-amz-json-1.0";

/// The type of SageMaker domains, which are where SageMaker has them.
const DOMAIN: &str = "AWS::SageMaker::Domain";

pub(super) fn action(wire: &Request<'_>) -> String {
    target(wire).unwrap_or_default().to_owned()
}

fn target<'a>(wire: &Request<'a>) -> Option<&'a str> {
    wire.headers.get(super::sagemaker::TARGET)?.to_str().ok()?.strip_prefix(TARGET_PREFIX)
}

pub(super) fn answer(call: &Call<'_>, wire: &Request<'_>) -> Result<Answer, AwsError> {
    let unknown = |why: &str| AwsError::new(404, "UnknownOperationException", why);
    if wire.method != "POST" || wire.path != "/" || !wire.query.is_empty() {
        return Err(unknown("Cloud Control takes a POST on /."));
    }
    if wire.headers.get(header::CONTENT_TYPE).map(http::HeaderValue::as_bytes) != Some(CONTENT_TYPE.as_bytes()) {
        return Err(unknown("The content type has to be application/x-amz-json-1.0."));
    }
    let mut members = Members::read(wire.body)?;
    let output = match target(wire) {
        Some("GetResource") => {
            let (type_name, identifier) = (required(&mut members, "TypeName")?, required(&mut members, "Identifier")?);
            members.finish()?;
            get(call, &type_name, &identifier)?
        }
        Some("ListResources") => {
            let type_name = required(&mut members, "TypeName")?;
            let model = members.text("ResourceModel")?;
            members.finish()?;
            list(call, &type_name, model.as_deref())?
        }
        _ => return Err(unknown("X-Amz-Target names no action that the stand-in knows.")),
    };
    Ok(Answer::new(200, CONTENT_TYPE, output.to_string()))
}

fn required(members: &mut Members, name: &str) -> Result<String, AwsError> {
    members.text(name)?.filter(|text| !text.is_empty()).ok_or_else(|| AwsError::invalid(format!("{name} must not be empty")))
}

fn get(call: &Call<'_>, type_name: &str, identifier: &str) -> Result<Value, AwsError> {
    call.authorize("cloudformation:GetResource", "*")?;
    let found = all(call, type_name).into_iter().find(|(name, _)| name == identifier);
    let (identifier, properties) = found.ok_or_else(|| {
        let message = format!("Resource of type '{type_name}' with identifier '{identifier}' was not found.");
        AwsError::new(400, "ResourceNotFoundException", message)
    })?;
    Ok(json!({"TypeName": type_name, "ResourceDescription": {"Identifier": identifier, "Properties": properties.to_string()}}))
}

/// Every resource of the type; of those that belong to another one, which `model` has to name, what belongs to it.
fn list(call: &Call<'_>, type_name: &str, model: Option<&str>) -> Result<Value, AwsError> {
    call.authorize("cloudformation:ListResources", "*")?;
    let model: Option<Value> = model
        .map(serde_json::from_str)
        .transpose()
        .map_err(|_| AwsError::new(400, "InvalidRequestException", "ResourceModel is not JSON."))?;
    if type_name == "AWS::Lambda::Permission" && model.is_none() {
        return Err(AwsError::new(400, "InvalidRequestException", "Missing or invalid ResourceModel property: FunctionName"));
    }
    let belongs = |properties: &Value| match &model {
        Some(Value::Object(asked)) => asked.iter().all(|(name, value)| properties.get(name) == Some(value)),
        Some(_) => false,
        None => true,
    };
    let descriptions: Vec<Value> = all(call, type_name)
        .into_iter()
        .filter(|(_, properties)| belongs(properties))
        .map(|(identifier, properties)| json!({"Identifier": identifier, "Properties": properties.to_string()}))
        .collect();
    Ok(json!({"TypeName": type_name, "ResourceDescriptions": descriptions}))
}

/// The resources of a type, of the caller's account and region.
fn all(call: &Call<'_>, type_name: &str) -> Vec<(String, Value)> {
    let world = lock(&call.state.world);
    if type_name == DOMAIN {
        return domains(call, &world);
    }
    let of_type = world.deployment.iter().filter(|resource| resource.type_name == type_name);
    of_type.map(|resource| (resource.identifier.clone(), resource.properties.clone())).collect()
}

fn domains(call: &Call<'_>, world: &World) -> Vec<(String, Value)> {
    let here = world.domains.iter().filter(|domain| &domain.region == call.region && domain.account_id == call.identity.account_id);
    here.map(|domain| {
        let mut properties = json!({
            "DomainId": domain.id.as_str(),
            "DomainArn": call.arn(&format!("domain/{}", domain.id)),
            "AuthMode": domain.auth_mode.as_str(),
            "AppNetworkAccessType": domain.network_access.as_str(),
        });
        if let Some(kms_key) = &domain.kms_key {
            properties["KmsKeyId"] = json!(kms_key);
        }
        (domain.id.to_string(), properties)
    })
    .collect()
}
