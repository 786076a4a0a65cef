//! The VPC endpoints that roles and API name.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::Value;

use super::checks::{ENDPOINT_DNS, ENDPOINT_POLICY, ENDPOINT_THERE, ENDPOINT_VPC};
use super::function::Function;
use super::policy;
use super::roles::Roles;
use super::{Doctor, Findings};
use crate::cloud::NotSeen;

/// A service that latchkey is reached by, or reaches.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Service {
    DynamoDb,
    ExecuteApi,
    Experiments,
    Mlflow,
    Notebook,
    PartnerApp,
    SageMakerApi,
    Sts,
    Studio,
}

impl Service {
    const ALL: [Self; 9] = [
        Self::DynamoDb,
        Self::ExecuteApi,
        Self::Experiments,
        Self::Mlflow,
        Self::Notebook,
        Self::PartnerApp,
        Self::SageMakerApi,
        Self::Sts,
        Self::Studio,
    ];

    /// As it stands at the end of an endpoint's `ServiceName`.
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::DynamoDb => "dynamodb",
            Self::ExecuteApi => "execute-api",
            Self::Experiments => "experiments",
            Self::Mlflow => "mlflow",
            Self::Notebook => "notebook",
            Self::PartnerApp => "partner-app",
            Self::SageMakerApi => "sagemaker.api",
            Self::Sts => "sts",
            Self::Studio => "studio",
        }
    }

    /// Of `com.amazonaws.<region>.sts`, `aws.sagemaker.<region>.studio`, `cn.com.amazonaws.…`.
    fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|service| name.strip_suffix(service.as_str()).is_some_and(|before| before.ends_with('.')))
    }

    /// Whether the function calls it, from within its VPC.
    const fn is_called(self) -> bool {
        matches!(self, Self::DynamoDb | Self::SageMakerApi | Self::Sts)
    }
}

/// The endpoints, as they are.
#[derive(Debug)]
pub(super) struct Endpoints(BTreeMap<String, Result<Option<Value>, NotSeen>>);

impl Endpoints {
    /// Reads those.
    pub(super) async fn read(doctor: &Doctor, ids: BTreeSet<String>) -> Self {
        let reading = ids.into_iter().map(async |id| {
            let seen = doctor.cloud.get("AWS::EC2::VPCEndpoint", &id).await;
            (id, seen)
        });
        Self(futures_util::future::join_all(reading).await.into_iter().collect())
    }

    fn properties(&self, id: &str) -> Option<&Value> {
        self.0.get(id)?.as_ref().ok()?.as_ref()
    }

    /// What service an endpoint is for.
    pub(super) fn service(&self, id: &str) -> Option<Service> {
        Service::named(self.properties(id)?["ServiceName"].as_str()?)
    }

    /// Whether an endpoint could not be looked at.
    pub(super) fn is_unknown(&self, id: &str) -> bool {
        matches!(self.0.get(id), Some(Err(_)))
    }

    /// Whether the endpoint of a service answers by AWS's own name.
    pub(super) fn has_private_dns(&self, service: Service) -> bool {
        self.0.keys().any(|id| self.service(id) == Some(service) && self.properties(id).is_some_and(|p| p["PrivateDnsEnabled"] == true))
    }
}

pub(super) async fn look(doctor: &Doctor, function: &Function, roles: &Roles, endpoints: &Endpoints) -> Findings {
    let mut findings = Findings::default();
    let vpc = match function.subnets.first() {
        Some(subnet) => match doctor.cloud.get("AWS::EC2::Subnet", subnet).await {
            Ok(subnet) => subnet.and_then(|subnet| subnet["VpcId"].as_str().map(str::to_owned)),
            Err(why) => {
                findings.unknown(ENDPOINT_VPC, subnet, why.0);
                None
            }
        },
        None => None,
    };
    let named_by_roles = roles.endpoints();
    for (id, seen) in &endpoints.0 {
        let service = endpoints.service(id);
        let about = service.map_or_else(|| id.clone(), |service| format!("{id} ({})", service.as_str()));
        let Some(properties) = findings.expect(ENDPOINT_THERE, &about, seen.clone()) else { continue };
        // None is what AWS takes as everything.
        let document = policy::document(&properties["PolicyDocument"]);
        let open = document.as_ref().is_none_or(|document| policy::statements(document).iter().any(|s| s.lets_all_through()));
        findings.hold(ENDPOINT_POLICY, &about, open.then(|| "it lets everybody do everything".to_owned()));
        let Some(service) = service.filter(|service| service.is_called() && named_by_roles.contains(id)) else { continue };
        if let (Some(vpc), Some(its)) = (&vpc, properties["VpcId"].as_str()) {
            findings.hold(ENDPOINT_VPC, &about, (its != vpc).then(|| format!("it is in {its}, and the function in {vpc}")));
        }
        // A gateway endpoint is a route, and has no name.
        if let Some(variable) = endpoint_variable(service) {
            let by_itself = properties["PrivateDnsEnabled"] == true || function.variable(variable).is_some();
            findings.hold(ENDPOINT_DNS, &about, (!by_itself).then(|| format!("its private DNS is off, and `{variable}` is not set")));
        }
    }
    findings
}

/// The function's variable for another address of a service.
pub(super) const fn endpoint_variable(service: Service) -> Option<&'static str> {
    match service {
        Service::SageMakerApi => Some("AWS_ENDPOINT_URL_SAGEMAKER"),
        Service::Sts => Some("AWS_ENDPOINT_URL_STS"),
        Service::DynamoDb
        | Service::ExecuteApi
        | Service::Experiments
        | Service::Mlflow
        | Service::Notebook
        | Service::PartnerApp
        | Service::Studio => None,
    }
}
