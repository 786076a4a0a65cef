//! The `AWS_*` variables, with the meaning that they have to every SDK.
//!
//! Only the environment is read: no profile, no configuration file, no metadata service. In Lambda the environment has the
//! region and the credentials, and looking elsewhere costs half a million instructions at every cold start.

use std::borrow::Cow;
use std::fmt;
use std::path::PathBuf;

use aws_credential_types::Credentials;
use http::Uri;
use latchkey_domain::names::Region;
use latchkey_transport::is_loopback;

/// A variable that cannot be used, and why. One line, without the value: it may be a secret.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{variable}: {problem}")]
pub struct EnvironmentError {
    /// The variable.
    pub variable: &'static str,
    /// What is wrong with it.
    pub problem: Cow<'static, str>,
}

fn wrong(variable: &'static str, problem: &'static str) -> EnvironmentError {
    EnvironmentError { variable, problem: problem.into() }
}

/// An AWS service that the broker calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Service {
    /// DynamoDB.
    DynamoDb,
    /// STS.
    Sts,
    /// SageMaker's control plane.
    SageMaker,
}

impl Service {
    /// Every service.
    pub const ALL: [Self; 3] = [Self::DynamoDb, Self::Sts, Self::SageMaker];

    /// The variable that overrides this service's endpoint.
    pub const fn endpoint_variable(self) -> &'static str {
        match self {
            Self::DynamoDb => "AWS_ENDPOINT_URL_DYNAMODB",
            Self::Sts => "AWS_ENDPOINT_URL_STS",
            Self::SageMaker => "AWS_ENDPOINT_URL_SAGEMAKER",
        }
    }
}

/// What the `AWS_*` variables say.
#[derive(Clone)]
pub struct Environment {
    /// `AWS_REGION`, else `AWS_DEFAULT_REGION`.
    pub region: Region,
    /// `AWS_ACCESS_KEY_ID`, `AWS_SECRET_ACCESS_KEY` and `AWS_SESSION_TOKEN`, where they are set. Lambda sets them.
    pub credentials: Option<Credentials>,
    /// Where DynamoDB is, when that is overridden.
    pub dynamodb_endpoint: Option<String>,
    /// Where STS is, when that is overridden.
    pub sts_endpoint: Option<String>,
    /// Where SageMaker is, when that is overridden.
    pub sagemaker_endpoint: Option<String>,
    /// `AWS_USE_FIPS_ENDPOINT`.
    pub use_fips: bool,
    /// `AWS_USE_DUALSTACK_ENDPOINT`.
    pub use_dual_stack: bool,
    /// `AWS_CA_BUNDLE`: the path; reading the file is the transport's work.
    pub ca_bundle: Option<PathBuf>,
}

impl Environment {
    /// Reads the variables through `get`. An empty variable counts as one that is not set, as it does for every SDK.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be used.
    pub fn read(get: impl Fn(&str) -> Option<String>) -> Result<Self, EnvironmentError> {
        let get = |variable: &str| get(variable).filter(|value| !value.is_empty());
        let endpoints_ignored = switch(&get, "AWS_IGNORE_CONFIGURED_ENDPOINT_URLS")?;
        let endpoint = |service: Service| if endpoints_ignored { Ok(None) } else { endpoint(&get, service) };
        let environment = Self {
            region: region(&get)?,
            credentials: credentials(&get)?,
            dynamodb_endpoint: endpoint(Service::DynamoDb)?,
            sts_endpoint: endpoint(Service::Sts)?,
            sagemaker_endpoint: endpoint(Service::SageMaker)?,
            use_fips: switch(&get, "AWS_USE_FIPS_ENDPOINT")?,
            use_dual_stack: switch(&get, "AWS_USE_DUALSTACK_ENDPOINT")?,
            ca_bundle: get("AWS_CA_BUNDLE").map(PathBuf::from),
        };
        environment.check_whole()?;
        Ok(environment)
    }

    /// The SDK refuses every call to an endpoint that is named and is to be chosen at the same time. That is said at start.
    fn check_whole(&self) -> Result<(), EnvironmentError> {
        let overridden = Service::ALL.into_iter().any(|service| self.endpoint(service).is_some());
        for (set, variable) in [(self.use_fips, "AWS_USE_FIPS_ENDPOINT"), (self.use_dual_stack, "AWS_USE_DUALSTACK_ENDPOINT")] {
            if set && overridden {
                return Err(wrong(variable, "cannot be true while an endpoint is overridden (AWS_ENDPOINT_URL…)"));
            }
        }
        Ok(())
    }

    /// The credentials, for whoever cannot do without.
    ///
    /// # Errors
    /// They are not set.
    pub fn require_credentials(&self) -> Result<Credentials, EnvironmentError> {
        self.credentials.clone().ok_or(wrong("AWS_ACCESS_KEY_ID", "is not set"))
    }

    /// Where a service is, when that is overridden.
    pub fn endpoint(&self, service: Service) -> Option<&str> {
        match service {
            Service::DynamoDb => self.dynamodb_endpoint.as_deref(),
            Service::Sts => self.sts_endpoint.as_deref(),
            Service::SageMaker => self.sagemaker_endpoint.as_deref(),
        }
    }

    /// Whether SageMaker's endpoint is overridden with one on this machine: the one case in which URLs on loopback are taken.
    pub fn sagemaker_is_on_loopback(&self) -> bool {
        self.sagemaker_endpoint.as_deref().is_some_and(|url| url.parse::<Uri>().is_ok_and(|uri| uri.host().is_some_and(is_loopback)))
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { region, credentials, dynamodb_endpoint, sts_endpoint, sagemaker_endpoint, use_fips, use_dual_stack, ca_bundle } = self;
        f.debug_struct("Environment")
            .field("region", &region.as_str())
            .field("credentials", &credentials.as_ref().map(|_| "redacted"))
            .field("dynamodb_endpoint", dynamodb_endpoint)
            .field("sts_endpoint", sts_endpoint)
            .field("sagemaker_endpoint", sagemaker_endpoint)
            .field("use_fips", use_fips)
            .field("use_dual_stack", use_dual_stack)
            .field("ca_bundle", ca_bundle)
            .finish()
    }
}

fn region(get: &impl Fn(&str) -> Option<String>) -> Result<Region, EnvironmentError> {
    for variable in ["AWS_REGION", "AWS_DEFAULT_REGION"] {
        if let Some(region) = get(variable) {
            return Region::new(region).map_err(|_| wrong(variable, "is not an AWS region such as eu-central-1"));
        }
    }
    Err(wrong("AWS_REGION", "is not set"))
}

fn credentials(get: &impl Fn(&str) -> Option<String>) -> Result<Option<Credentials>, EnvironmentError> {
    let token = get("AWS_SESSION_TOKEN");
    match (get("AWS_ACCESS_KEY_ID"), get("AWS_SECRET_ACCESS_KEY")) {
        (Some(id), Some(secret)) => Ok(Some(Credentials::new(id, secret, token, None, "environment"))),
        (Some(_), None) => Err(wrong("AWS_SECRET_ACCESS_KEY", "is not set, and AWS_ACCESS_KEY_ID is")),
        (None, Some(_)) => Err(wrong("AWS_ACCESS_KEY_ID", "is not set, and AWS_SECRET_ACCESS_KEY is")),
        (None, None) => Ok(None),
    }
}

/// A variable that is `true` or `false`, in any case of letters; absent means false.
fn switch(get: &impl Fn(&str) -> Option<String>, variable: &'static str) -> Result<bool, EnvironmentError> {
    match get(variable) {
        None => Ok(false),
        Some(value) if value.eq_ignore_ascii_case("true") => Ok(true),
        Some(value) if value.eq_ignore_ascii_case("false") => Ok(false),
        Some(_) => Err(wrong(variable, "is neither true nor false")),
    }
}

/// The service's own override, else the one for all services.
fn endpoint(get: &impl Fn(&str) -> Option<String>, service: Service) -> Result<Option<String>, EnvironmentError> {
    for variable in [service.endpoint_variable(), "AWS_ENDPOINT_URL"] {
        if let Some(url) = get(variable) {
            check_endpoint(&url).map_err(|problem| wrong(variable, problem))?;
            return Ok(Some(url));
        }
    }
    Ok(None)
}

fn check_endpoint(url: &str) -> Result<(), &'static str> {
    let uri = url.parse::<Uri>().map_err(|_| "is not a URL")?;
    let (Some("http" | "https"), Some(authority)) = (uri.scheme_str(), uri.authority()) else {
        return Err("is not an http:// or https:// URL");
    };
    if authority.host().is_empty() || authority.as_str().contains('@') {
        return Err("is not a URL with a host and without user information");
    }
    if uri.query().is_some() || url.contains('#') {
        return Err("has a query or a fragment");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::*;

    fn read(variables: &[(&str, &str)]) -> Result<Environment, EnvironmentError> {
        let variables: HashMap<&str, &str> = variables.iter().copied().collect();
        Environment::read(|name| variables.get(name).map(|&value| value.to_owned()))
    }

    #[test]
    fn lambda_needs_nothing_else() {
        let environment = read(&[
            ("AWS_REGION", "eu-central-1"),
            ("AWS_DEFAULT_REGION", "us-east-1"),
            ("AWS_ACCESS_KEY_ID", "ASIAEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "canary-secret"),
            ("AWS_SESSION_TOKEN", "canary-token"),
        ])
        .unwrap();
        assert_eq!(environment.region.as_str(), "eu-central-1");
        let credentials = environment.require_credentials().unwrap();
        assert_eq!((credentials.access_key_id(), credentials.session_token()), ("ASIAEXAMPLE", Some("canary-token")));
        assert!(Service::ALL.iter().all(|&service| environment.endpoint(service).is_none()));
        assert!(!environment.sagemaker_is_on_loopback());
        let shown = format!("{environment:?}");
        assert!(!shown.contains("canary") && !shown.contains("ASIA"), "{shown}");
    }

    #[test]
    fn the_region_is_required_and_legal() {
        let error = |variables: &[(&str, &str)]| read(variables).unwrap_err().to_string();
        assert_eq!(error(&[]), "AWS_REGION: is not set");
        assert_eq!(error(&[("AWS_REGION", "")]), "AWS_REGION: is not set");
        assert_eq!(error(&[("AWS_REGION", "Frankfurt")]), "AWS_REGION: is not an AWS region such as eu-central-1");
        assert_eq!(error(&[("AWS_DEFAULT_REGION", "x y")]), "AWS_DEFAULT_REGION: is not an AWS region such as eu-central-1");
        assert_eq!(read(&[("AWS_DEFAULT_REGION", "us-east-1")]).unwrap().region.as_str(), "us-east-1");
    }

    #[test]
    fn half_of_the_credentials_is_an_error() {
        let error = |name: &str| read(&[("AWS_REGION", "eu-west-1"), (name, "x")]).unwrap_err().variable;
        assert_eq!(error("AWS_ACCESS_KEY_ID"), "AWS_SECRET_ACCESS_KEY");
        assert_eq!(error("AWS_SECRET_ACCESS_KEY"), "AWS_ACCESS_KEY_ID");
        let none = read(&[("AWS_REGION", "eu-west-1")]).unwrap();
        assert!(none.credentials.is_none());
        assert_eq!(none.require_credentials().unwrap_err().variable, "AWS_ACCESS_KEY_ID");
    }

    #[test]
    fn endpoints_are_overridden_one_by_one_or_all_at_once() {
        let all = ("AWS_ENDPOINT_URL", "http://localhost:1");
        let one = ("AWS_ENDPOINT_URL_STS", "https://sts.example:8443");
        let environment = read(&[("AWS_REGION", "eu-west-1"), all, one]).unwrap();
        assert_eq!(environment.endpoint(Service::DynamoDb), Some("http://localhost:1"));
        assert_eq!(environment.endpoint(Service::SageMaker), Some("http://localhost:1"));
        assert_eq!(environment.endpoint(Service::Sts), Some("https://sts.example:8443"));
        let ignored = read(&[("AWS_REGION", "eu-west-1"), all, one, ("AWS_IGNORE_CONFIGURED_ENDPOINT_URLS", "true")]).unwrap();
        assert!(Service::ALL.iter().all(|&service| ignored.endpoint(service).is_none()));
        for bad in ["localhost", "ftp://x/", "http://", "https://a@b/", "http://a/?x", "http://a/#x", "http://a b/"] {
            let error = read(&[("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL_SAGEMAKER", bad)]).unwrap_err();
            assert_eq!(error.variable, "AWS_ENDPOINT_URL_SAGEMAKER", "{bad}");
        }
    }

    #[test]
    fn loopback_is_what_is_on_this_machine() {
        let on_loopback =
            |url: &str| read(&[("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL_SAGEMAKER", url)]).unwrap().sagemaker_is_on_loopback();
        for url in ["http://localhost:1", "http://127.0.0.1:9/", "https://[::1]:1", "http://api.sagemaker.localhost"] {
            assert!(on_loopback(url), "{url}");
        }
        for url in ["https://api.sagemaker.eu-west-1.amazonaws.com", "http://localhost.example", "http://10.0.0.1", "http://0.0.0.0"] {
            assert!(!on_loopback(url), "{url}");
        }
        // The endpoint of another service says nothing about SageMaker's.
        let table_only = read(&[("AWS_REGION", "eu-west-1"), ("AWS_ENDPOINT_URL_DYNAMODB", "http://localhost:1")]).unwrap();
        assert!(!table_only.sagemaker_is_on_loopback());
    }

    #[test]
    fn switches_are_true_or_false() {
        let fips = |value: &str| read(&[("AWS_REGION", "eu-west-1"), ("AWS_USE_FIPS_ENDPOINT", value)]);
        assert!(fips("TRUE").unwrap().use_fips);
        assert!(!fips("false").unwrap().use_fips);
        assert!(!fips("").unwrap().use_fips);
        for variable in ["AWS_USE_FIPS_ENDPOINT", "AWS_USE_DUALSTACK_ENDPOINT"] {
            let both = [("AWS_REGION", "eu-west-1"), (variable, "true"), ("AWS_ENDPOINT_URL_STS", "http://localhost:1")];
            assert_eq!(read(&both).unwrap_err().variable, variable);
        }
        assert_eq!(fips("1").unwrap_err().to_string(), "AWS_USE_FIPS_ENDPOINT: is neither true nor false");
    }
}
