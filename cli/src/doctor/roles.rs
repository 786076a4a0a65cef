//! The roles: the function's own, and those that it takes on in its account.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use super::checks::{BROKER_ROLE_NETWORK, ROLE_NETWORK, ROLE_STS, ROLE_THERE, ROLE_TRUST};
use super::endpoints::{Endpoints, Service};
use super::function::Function;
use super::policy::{self, Tie};
use super::{Doctor, Findings};

const ROLE: &str = "AWS::IAM::Role";

/// What a URL of each kind is made by, and the endpoint that its browser comes by.
const DOORS: [(&str, Service); 5] = [
    ("sagemaker:CreatePresignedDomainUrl", Service::Studio),
    ("sagemaker:CreatePresignedNotebookInstanceUrl", Service::Notebook),
    ("sagemaker:CreatePresignedMlflowTrackingServerUrl", Service::Experiments),
    ("sagemaker:CreatePresignedMlflowAppUrl", Service::Mlflow),
    ("sagemaker:CreatePartnerAppPresignedUrl", Service::PartnerApp),
];

/// What the trust of a role allows, as the templates have it; a session's tags say nothing to anything here.
const TAKEN_ON_BY: [&str; 3] = ["sts:AssumeRole", "sts:SetSourceIdentity", "sts:TagSession"];

/// A role that the function takes on.
#[derive(Debug)]
pub(super) struct IssuingRole {
    name: String,
    /// What its trust names; none where it is not tied.
    sts: Option<Vec<String>>,
    /// What its policy names; none where it is not tied.
    pub(super) network: Option<Tie>,
    /// Which doors it opens.
    doors: Vec<(&'static str, Service)>,
    /// The domains whose profiles it opens.
    domains: BTreeSet<String>,
}

/// The roles of a deployment.
#[derive(Debug, Default)]
pub(super) struct Roles {
    broker: String,
    /// The endpoints of DynamoDB and STS.
    broker_endpoints: Option<Vec<String>>,
    pub(super) issuing: Vec<IssuingRole>,
    not_looked_at: Vec<String>,
}

impl Roles {
    /// Every endpoint that some role names.
    pub(super) fn endpoints(&self) -> BTreeSet<String> {
        let of_role = |role: &IssuingRole| {
            let network = match &role.network {
                Some(Tie::Endpoints(ids)) => ids.clone(),
                Some(Tie::Vpcs(_)) | None => Vec::new(),
            };
            role.sts.clone().unwrap_or_default().into_iter().chain(network)
        };
        self.broker_endpoints.clone().unwrap_or_default().into_iter().chain(self.issuing.iter().flat_map(of_role)).collect()
    }

    /// What is opened.
    pub(super) fn doors(&self) -> Vec<Service> {
        self.issuing.iter().flat_map(|role| role.doors.iter().map(|(_, service)| *service)).collect()
    }

    /// The domains whose profiles are opened.
    pub(super) fn domains(&self) -> BTreeSet<String> {
        self.issuing.iter().flat_map(|role| role.domains.iter().cloned()).collect()
    }
}

/// Reads them, and looks at what can be seen of each alone.
pub(super) async fn look(doctor: &Doctor, function: &Function, findings: &mut Findings) -> Roles {
    let broker = function.role_arn.rsplit('/').next().unwrap_or_default().to_owned();
    let mut roles = Roles { broker: broker.clone(), ..Roles::default() };
    let Some(properties) = findings.expect(ROLE_THERE, &broker, doctor.cloud.get(ROLE, &broker).await) else { return roles };
    let documents = policies(&properties);
    let statements: Vec<_> = documents.iter().flat_map(policy::statements).collect();
    let ties: Vec<_> = ["sts:AssumeRole", "dynamodb:GetItem"].map(|action| policy::tie(&statements, action, &policy::ALL)).into();
    if let [Some(Tie::Endpoints(sts)), Some(Tie::Endpoints(dynamodb))] = ties.as_slice() {
        roles.broker_endpoints = Some(sts.iter().chain(dynamodb).cloned().collect());
    } else {
        findings.fault(
            BROKER_ROLE_NETWORK,
            &broker,
            "no Deny of it refuses what comes by another way: stolen, its credentials work anywhere",
        );
    }

    // In the function's account, roles that it is told of; in others, what its policy lets it take on.
    let account = |arn: &str| arn.split(':').nth(4).unwrap_or_default().to_owned();
    let named = ["LATCHKEY_ROLE_ARN", "LATCHKEY_PROVISION_ROLE_ARN"].map(|name| function.variable(name).map(str::to_owned));
    let mut arns: BTreeSet<String> = named.into_iter().flatten().collect();
    let taken_on = statements.iter().filter(|s| s.allows() && s.is_about("sts:AssumeRole")).flat_map(|s| s.resources());
    arns.extend(taken_on.map(str::to_owned));
    for arn in arns {
        let name = arn.rsplit('/').next().unwrap_or_default().to_owned();
        if account(&arn) != account(&function.role_arn) || name.contains('*') {
            roles.not_looked_at.push(format!("{arn}: it is in another account, or a pattern"));
            continue;
        }
        if let Some(properties) = findings.expect(ROLE_THERE, &name, doctor.cloud.get(ROLE, &name).await) {
            let provisions = function.variable("LATCHKEY_PROVISION_ROLE_ARN") == Some(arn.as_str());
            let external_id = if provisions { "LATCHKEY_PROVISION_EXTERNAL_ID" } else { "LATCHKEY_EXTERNAL_ID" };
            roles.issuing.push(issuing(&name, &properties, function, function.variable(external_id), findings));
        }
    }
    for what in &roles.not_looked_at {
        findings.not_looked_at(what);
    }
    roles
}

/// The documents of a role's own policies.
fn policies(properties: &Value) -> Vec<Value> {
    properties["Policies"].as_array().into_iter().flatten().filter_map(|one| policy::document(&one["PolicyDocument"])).collect()
}

fn issuing(name: &str, properties: &Value, function: &Function, external_id: Option<&str>, findings: &mut Findings) -> IssuingRole {
    let trust = policy::document(&properties["AssumeRolePolicyDocument"]).unwrap_or_else(|| json!({}));
    let allows: Vec<_> = policy::statements(&trust).into_iter().filter(|s| s.allows()).collect();
    let trusting: Vec<_> = allows.iter().copied().filter(|s| s.is_about("sts:AssumeRole")).collect();
    // Whatever is allowed, and not only that by which the function takes it on: there are other ways to take a role on.
    let strangers: Vec<&str> = allows.iter().flat_map(|s| s.principals()).filter(|principal| *principal != function.role_arn).collect();
    let other_ways: Vec<&str> =
        allows.iter().flat_map(|s| s.actions()).filter(|action| !TAKEN_ON_BY.iter().any(|own| own.eq_ignore_ascii_case(action))).collect();
    let without_id =
        external_id.is_some_and(|id| trusting.iter().any(|s| s.values("StringEquals", "sts:ExternalId").is_none_or(|ids| ids != [id])));
    let wrong = if trusting.is_empty() {
        Some("it lets nobody take it on".to_owned())
    } else if !strangers.is_empty() {
        // A role that was deleted and made again is another one: its trust then names an id, as AROA….
        Some(format!("it lets others take it on: {}", strangers.join(", ")))
    } else if allows.iter().any(|s| s.names_exceptions()) {
        Some("it lets all take it on, or all be done, but for what it names (NotPrincipal, NotAction)".to_owned())
    } else if !other_ways.is_empty() {
        Some(format!("it lets itself be taken on otherwise than by the function: {}", other_ways.join(", ")))
    } else if without_id {
        Some("it does not ask for the external id that the function has".to_owned())
    } else {
        None
    };
    findings.hold(ROLE_TRUST, name, wrong);
    let sts: Option<Vec<Vec<String>>> = trusting
        .iter()
        .map(|s| s.values("StringEquals", "aws:SourceVpce").map(|ids| ids.into_iter().map(str::to_owned).collect()))
        .collect();

    let documents = policies(properties);
    let statements: Vec<_> = documents.iter().flat_map(policy::statements).collect();
    let allowed = |action: &str| statements.iter().any(|s| s.allows() && s.is_about(action));
    let doors: Vec<_> = DOORS.into_iter().filter(|(action, _)| allowed(action)).collect();
    // Each thing that it may do has to be tied; the loosest counts.
    let actions: Vec<&str> =
        if doors.is_empty() { vec!["sagemaker:CreateUserProfile"] } else { doors.iter().map(|(action, _)| *action).collect() };
    let ties: Option<Vec<Tie>> = actions.iter().map(|action| policy::tie(&statements, action, &policy::ALL)).collect();
    let domains = statements
        .iter()
        .filter(|s| s.allows() && s.is_about("sagemaker:CreatePresignedDomainUrl"))
        .flat_map(|s| s.resources())
        .filter_map(|arn| arn.split_once(":user-profile/")?.1.split('/').next())
        .filter(|domain| !domain.contains('*'))
        .map(str::to_owned)
        .collect();
    let sts = sts.filter(|sts| !sts.is_empty()).map(|sts| sts.concat());
    IssuingRole { name: name.to_owned(), sts, network: ties.and_then(|ties| ties.into_iter().next()), doors, domains }
}

/// What the endpoints are that the roles name: this takes knowing them.
pub(super) fn judge(roles: &Roles, endpoints: &Endpoints) -> Findings {
    let mut findings = Findings::default();
    if let Some(ids) = &roles.broker_endpoints {
        let missing = missing(&[Service::DynamoDb, Service::Sts], ids, endpoints);
        findings.hold(BROKER_ROLE_NETWORK, &roles.broker, missing);
    }
    for role in &roles.issuing {
        match &role.sts {
            Some(ids) => findings.hold(ROLE_STS, &role.name, missing(&[Service::Sts], ids, endpoints)),
            None => findings.fault(ROLE_STS, &role.name, "its trust names no endpoint: it can be taken on from anywhere"),
        }
        match &role.network {
            Some(Tie::Endpoints(ids)) => {
                let services: Vec<Service> =
                    std::iter::once(Service::SageMakerApi).chain(role.doors.iter().map(|(_, service)| *service)).collect();
                findings.hold(ROLE_NETWORK, &role.name, missing(&services, ids, endpoints));
            }
            // NetworkMethod vpc.
            Some(Tie::Vpcs(vpcs)) => {
                findings.sound(ROLE_NETWORK, &role.name);
                findings.not_looked_at(format!("the endpoints of SageMaker: {} goes by the VPC, {}", role.name, vpcs.join(", ")));
            }
            None => findings.fault(ROLE_NETWORK, &role.name, "no Deny of it refuses what comes by another way: its URLs open anywhere"),
        }
    }
    findings
}

/// Which services have no endpoint among these. One that could not be looked at may be any.
fn missing(services: &[Service], ids: &[String], endpoints: &Endpoints) -> Option<String> {
    if ids.iter().any(|id| endpoints.is_unknown(id)) {
        return None;
    }
    let missing: Vec<&str> = services
        .iter()
        .filter(|service| !ids.iter().any(|id| endpoints.service(id) == Some(**service)))
        .map(|service| service.as_str())
        .collect();
    (!missing.is_empty()).then(|| format!("it names no endpoint for {}, which is refused by it", missing.join(", ")))
}
