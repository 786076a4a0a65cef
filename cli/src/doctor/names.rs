//! The names by which function, portal and browser find their way: each has to lead into the network.

use std::collections::BTreeSet;

use latchkey_domain::names::{Partition, Region};
use latchkey_domain::target::sagemaker_suffix;

use super::api::Api;
use super::checks::NAME_PRIVATE;
use super::endpoints::{Endpoints, Service, endpoint_variable};
use super::function::Function;
use super::roles::Roles;
use super::{Doctor, Findings};
use crate::dns::is_private;

pub(super) async fn look(doctor: &Doctor, function: &Function, api: &Api, roles: &Roles, endpoints: &Endpoints) -> Findings {
    let mut findings = Findings::default();
    let names = names(doctor, function, api, roles, endpoints);
    let asked = futures_util::future::join_all(names.iter().map(|name| doctor.resolver.addresses(name))).await;
    for (name, answer) in names.iter().zip(asked) {
        match answer {
            Ok(addresses) if addresses.is_empty() => {
                findings.fault(NAME_PRIVATE, name, format!("{} knows no such name", doctor.resolver.server()));
            }
            Ok(addresses) => {
                let public: Vec<String> = addresses.iter().filter(|address| !is_private(**address)).map(ToString::to_string).collect();
                findings.hold(
                    NAME_PRIVATE,
                    name,
                    (!public.is_empty()).then(|| format!("it answers {}, on the internet", public.join(", "))),
                );
            }
            Err(why) => findings.unknown(NAME_PRIVATE, name, why),
        }
    }
    findings
}

fn names(doctor: &Doctor, function: &Function, api: &Api, roles: &Roles, endpoints: &Endpoints) -> BTreeSet<String> {
    let region = &doctor.region;
    let suffix = match region.partition() {
        Partition::Aws | Partition::AwsUsGov => "amazonaws.com",
        Partition::AwsCn => "amazonaws.com.cn",
    };
    let mut names = BTreeSet::new();
    for (service, name) in [(Service::Sts, "sts"), (Service::SageMakerApi, "api.sagemaker")] {
        let instead = endpoint_variable(service).and_then(|variable| function.variable(variable)).and_then(host);
        names.insert(instead.unwrap_or_else(|| format!("{name}.{region}.{suffix}")));
    }
    if let Some(id) = &api.id {
        if endpoints.has_private_dns(Service::ExecuteApi) {
            names.insert(format!("{id}.execute-api.{region}.{suffix}"));
        } else {
            // The name that an association of the API with an endpoint makes; it answers everywhere, and what it answers is private.
            names.extend(api.endpoints.iter().map(|endpoint| format!("{id}-{endpoint}.execute-api.{region}.{suffix}")));
        }
    }
    let studio = sagemaker_suffix(region.partition());
    names.extend(roles.domains().iter().map(|domain| format!("{domain}.studio.{region}{studio}")));
    names.extend(roles.doors().into_iter().filter_map(|door| zone(door, region)).map(|zone| format!("{ANYBODY}.{zone}")));
    names
}

/// Stands for whatever is opened: the zones of endpoints answer every name in them alike.
const ANYBODY: &str = "latchkey-doctor";

/// The zone in which a browser finds what a door opens (docs/deploy.md, step 7). Studio's names are known one by one.
fn zone(door: Service, region: &Region) -> Option<String> {
    let below = sagemaker_suffix(region.partition());
    match door {
        Service::Notebook => Some(format!("notebook.{region}{below}")),
        Service::Experiments => Some(format!("{region}.experiments{below}")),
        Service::Mlflow => Some(format!("mlflow.sagemaker.{region}.app.aws")),
        Service::PartnerApp => Some(format!("partner-app.{region}{below}")),
        Service::DynamoDb | Service::ExecuteApi | Service::SageMakerApi | Service::Sts | Service::Studio => None,
    }
}

/// The host of a URL, where it is a name.
fn host(url: &str) -> Option<String> {
    let authority = url.split_once("://")?.1.split('/').next()?;
    let host = authority.split(':').next()?;
    host.parse::<std::net::IpAddr>().is_err().then(|| host.to_owned())
}
