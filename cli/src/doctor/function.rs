//! The function: whether it starts, where it is, and who may invoke it.

use std::collections::BTreeMap;

use broker::config::{Config, VARIABLES};
use serde_json::{Value, json};

use super::checks::{FUNCTION_CALLERS, FUNCTION_CONFIGURATION, FUNCTION_THERE, FUNCTION_TIME, FUNCTION_URL, FUNCTION_VPC};
use super::{Doctor, Findings};

const FUNCTION: &str = "AWS::Lambda::Function";

/// What the other checks need of the function.
#[derive(Debug)]
pub(super) struct Function {
    /// Its variables.
    pub(super) variables: BTreeMap<String, String>,
    /// What the broker makes of them; none if it would not start.
    pub(super) config: Option<Config>,
    /// The ARN of its role.
    pub(super) role_arn: String,
    /// Its subnets.
    pub(super) subnets: Vec<String>,
    /// The APIs for which it may be invoked.
    pub(super) apis: Vec<String>,
}

impl Function {
    /// The value of a variable that is set.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }
}

pub(super) async fn look(doctor: &Doctor, findings: &mut Findings) -> Option<Function> {
    let name = format!("{}-broker", doctor.name);
    let properties = findings.expect(FUNCTION_THERE, &name, doctor.cloud.get(FUNCTION, &name).await)?;
    let variables = variables(&properties);
    let config = configuration(&name, &variables, findings);

    let subnets = strings(&properties["VpcConfig"]["SubnetIds"]);
    findings.hold(FUNCTION_VPC, &name, subnets.is_empty().then(|| "it is in none".to_owned()));
    let seconds = properties["Timeout"].as_u64();
    let wrong = |seconds: &u64| !(5..=29).contains(seconds);
    // Lambda's own default, where nothing is said.
    findings.hold(FUNCTION_TIME, &name, Some(seconds.unwrap_or(3)).filter(wrong).map(|seconds| format!("it has {seconds} s")));

    let apis = callers(doctor, &name, findings).await;
    let arn = properties["Arn"].as_str().unwrap_or(&name);
    match doctor.cloud.get("AWS::Lambda::Url", arn).await {
        Ok(url) => {
            findings.hold(FUNCTION_URL, &name, url.map(|url| format!("it has one, for {}", url["AuthType"].as_str().unwrap_or("anybody"))))
        }
        Err(why) => findings.unknown(FUNCTION_URL, &name, why.0),
    }
    let role_arn = properties["Role"].as_str().unwrap_or_default().to_owned();
    Some(Function { variables, config, role_arn, subnets, apis })
}

fn variables(properties: &Value) -> BTreeMap<String, String> {
    let variables = properties["Environment"]["Variables"].as_object();
    variables.into_iter().flatten().filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned()))).collect()
}

/// By the broker's own code: what stops its start is what is found here.
fn configuration(name: &str, variables: &BTreeMap<String, String>, findings: &mut Findings) -> Option<Config> {
    let config = match Config::from_environment(|variable| variables.get(variable).cloned()) {
        Ok(config) => config,
        Err(error) => {
            findings.fault(FUNCTION_CONFIGURATION, name, format!("it does not start: {error}"));
            return None;
        }
    };
    let unknown = variables.keys().filter(|name| name.starts_with("LATCHKEY_") && !VARIABLES.contains(&name.as_str()));
    let unknown: Vec<&str> = unknown.map(String::as_str).collect();
    if unknown.is_empty() {
        findings.sound(FUNCTION_CONFIGURATION, name);
    } else {
        findings.weak(
            FUNCTION_CONFIGURATION,
            name,
            format!("the broker knows no {}: a misspelt variable changes nothing", unknown.join(", ")),
        );
    }
    Some(config)
}

/// The ids of the APIs for which the function may be invoked.
async fn callers(doctor: &Doctor, name: &str, findings: &mut Findings) -> Vec<String> {
    const PERMISSION: &str = "AWS::Lambda::Permission";
    let mut apis = Vec::new();
    let permissions = match doctor.cloud.list(PERMISSION, &json!({"FunctionName": name})).await {
        Ok(permissions) => permissions,
        Err(why) => {
            findings.unknown(FUNCTION_CALLERS, name, why.0);
            return apis;
        }
    };
    let mut others = Vec::new();
    for permission in permissions {
        match doctor.cloud.get(PERMISSION, &permission).await {
            Ok(Some(properties)) => match api_of(&properties) {
                Some(api) if apis.is_empty() || apis.contains(&api) => apis.push(api),
                Some(_) | None => others.push(permission),
            },
            // Gone since.
            Ok(None) => {}
            Err(why) => {
                findings.unknown(FUNCTION_CALLERS, name, why.0);
                return apis;
            }
        }
    }
    apis.dedup();
    let wrong = if !others.is_empty() {
        Some(format!("others may as well: {}", others.join(", ")))
    } else if apis.is_empty() {
        Some("no API may".to_owned())
    } else {
        None
    };
    findings.hold(FUNCTION_CALLERS, name, wrong);
    apis
}

/// The API that a permission is for: `arn:…:execute-api:<region>:<account>:<api>/…`.
fn api_of(permission: &Value) -> Option<String> {
    let source = permission["SourceArn"].as_str()?;
    let parts: Vec<&str> = source.splitn(6, ':').collect();
    let [_, _, "execute-api", _, account, resource] = parts.as_slice() else { return None };
    let api = resource.split('/').next().filter(|api| !api.is_empty() && !api.contains('*'))?;
    let whole =
        permission["Principal"] == "apigateway.amazonaws.com" && permission["Action"] == "lambda:InvokeFunction" && !account.contains('*');
    whole.then(|| api.to_owned())
}

/// The texts of a list.
pub(super) fn strings(value: &Value) -> Vec<String> {
    value.as_array().into_iter().flatten().filter_map(Value::as_str).map(str::to_owned).collect()
}
