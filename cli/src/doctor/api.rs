//! The API: whether it is private, and whom its policy lets in.

use std::collections::BTreeSet;

use super::checks::{API_ENDPOINTS, API_POLICY, API_PRIVATE};
use super::function::{Function, strings};
use super::policy::{self, Tie};
use super::{Doctor, Findings};

/// What the other checks need of the API.
#[derive(Debug, Default)]
pub(super) struct Api {
    /// Its id, if it is known.
    pub(super) id: Option<String>,
    /// The endpoints by which it is reached: those that the function believes.
    pub(super) endpoints: BTreeSet<String>,
}

/// What an API's policy calls all of itself. Before a resource without an ARN, as the template writes it, API Gateway puts the API's own,
/// and gives it out so ("Control access to a REST API with API Gateway resource policies").
fn everything(region: &str, function: &Function, id: &str) -> Vec<String> {
    let account = function.role_arn.split(':').nth(4).unwrap_or_default();
    let expanded = ["aws", "aws-cn", "aws-us-gov"].map(|partition| format!("arn:{partition}:execute-api:{region}:{account}:{id}/*"));
    ["*", "execute-api:/*"].map(str::to_owned).into_iter().chain(expanded).collect()
}

pub(super) async fn look(doctor: &Doctor, function: &Function, findings: &mut Findings) -> Api {
    let believed: BTreeSet<String> = function
        .variable("LATCHKEY_VPC_ENDPOINT_IDS")
        .into_iter()
        .flat_map(|ids| ids.split(',').map(|id| id.trim().to_owned()))
        .filter(|id| id.starts_with("vpce-"))
        .collect();
    let Some(id) = function.apis.first() else {
        findings.not_looked_at("the API: no permission of the function names one");
        return Api { id: None, endpoints: believed };
    };
    let api = Api { id: Some(id.clone()), endpoints: believed };
    let properties = match doctor.cloud.get("AWS::ApiGateway::RestApi", id).await {
        Ok(Some(properties)) => properties,
        Ok(None) => {
            findings.fault(API_PRIVATE, id, "there is no such API: the function's permission is for one that is gone");
            return api;
        }
        Err(why) => {
            findings.unknown(API_PRIVATE, id, why.0);
            return api;
        }
    };
    let types = strings(&properties["EndpointConfiguration"]["Types"]);
    findings.hold(API_PRIVATE, id, (types != ["PRIVATE"]).then(|| format!("it is {}", types.join(", "))));

    let Some(document) = policy::document(&properties["Policy"]) else {
        findings.fault(API_POLICY, id, "it has none");
        return api;
    };
    let everything = everything(doctor.region.as_str(), function, id);
    let everything: Vec<&str> = everything.iter().map(String::as_str).collect();
    match policy::tie(&policy::statements(&document), "execute-api:Invoke", &everything) {
        Some(Tie::Endpoints(named)) => {
            findings.sound(API_POLICY, id);
            let named: BTreeSet<String> = named.into_iter().collect();
            let wrong = (named != api.endpoints).then(|| {
                let words = |ids: &BTreeSet<String>| {
                    if ids.is_empty() { "none".to_owned() } else { ids.iter().cloned().collect::<Vec<_>>().join(", ") }
                };
                format!("the policy names {}, and the function believes {}", words(&named), words(&api.endpoints))
            });
            findings.hold(API_ENDPOINTS, id, wrong);
        }
        Some(Tie::Vpcs(vpcs)) => findings.weak(API_POLICY, id, format!("it goes by the VPC alone, {}", vpcs.join(", "))),
        None => findings.fault(API_POLICY, id, "it refuses nobody: every VPC endpoint of API Gateway leads to it, in any account"),
    }
    api
}
