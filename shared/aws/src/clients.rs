//! The SDK's clients: one HTTP client under all of them, and nothing left to their defaults that could surprise.

use std::fmt;
use std::time::Duration;

use aws_credential_types::Credentials;
use aws_credential_types::provider::SharedCredentialsProvider;
use aws_sdk_dynamodb::config::endpoint::ResolveEndpoint as _;
use aws_sdk_dynamodb::config::{AppName, BehaviorVersion, IdentityCache, Region, SharedIdentityCache, StalledStreamProtectionConfig};
use aws_sdk_dynamodb::error::BoxError;
use aws_sdk_sagemaker::config::endpoint::ResolveEndpoint as _;
use aws_sdk_sts::config::endpoint::ResolveEndpoint as _;
use aws_smithy_async::rt::sleep::TokioSleep;
use aws_smithy_types::endpoint::Endpoint;
use aws_smithy_types::retry::{ReconnectMode, RetryConfig};
use aws_smithy_types::timeout::TimeoutConfig;
use aws_types::endpoint_config::AccountIdEndpointMode;
use latchkey_domain::presigned_url::HostRule;
use latchkey_transport::Transport;

use crate::environment::{Environment, EnvironmentError, Service};

/// What the SDK puts into the user agent, and CloudTrail into `userAgent`: `app/latchkey`.
const APP_NAME: &str = "latchkey";

/// The SDK's behaviour is pinned: an update of the crates does not change how the broker behaves.
fn behavior_version() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// Makes clients for one set of credentials.
///
/// What they have in common, and why:
///
/// - **One transport**, with its pool and its TLS settings. The SDK's own would be one per client, with its own roots.
/// - **No retries, no time-outs of the SDK's own** for the broker: this crate decides both for each call, by what is left of
///   the request's time (see the crate's documentation). The operators' client has the SDK's standard retries.
/// - **No identity cache** over fixed credentials: there is nothing to cache, and the SDK's default would keep an entry for
///   every role session that a call brings along. A provider that has to ask somewhere gets the SDK's lazy cache.
/// - **No stalled-stream protection**: it watches uploads and downloads that go on for long; ours are a few kilobytes, and
///   every call has an end.
/// - **Endpoints** from `AWS_ENDPOINT_URL…`, FIPS and dual-stack as the environment says, else the SDK's rules for the region.
#[derive(Clone)]
pub struct Clients {
    environment: Environment,
    transport: Transport,
    credentials: SharedCredentialsProvider,
    identity_cache: SharedIdentityCache,
}

/// Sets on any service's builder what all of them have in common.
macro_rules! common {
    ($clients:expr, $builder:expr, $service:expr) => {{
        let clients: &Clients = $clients;
        let mut builder = $builder
            .behavior_version(behavior_version())
            .region(Region::new(clients.environment.region.as_str().to_owned()))
            .credentials_provider(clients.credentials.clone())
            .identity_cache(clients.identity_cache.clone())
            .http_client(clients.transport.clone())
            .use_fips(clients.environment.use_fips)
            .use_dual_stack(clients.environment.use_dual_stack)
            .stalled_stream_protection(StalledStreamProtectionConfig::disabled())
            .sleep_impl(TokioSleep::new())
            .retry_config(RetryConfig::disabled().with_reconnect_mode(ReconnectMode::ReuseAllConnections))
            .timeout_config(TimeoutConfig::disabled());
        if let Ok(name) = AppName::new(APP_NAME) {
            builder = builder.app_name(name);
        }
        if let Some(url) = clients.environment.endpoint($service) {
            builder = builder.endpoint_url(url);
        }
        builder
    }};
}

impl Clients {
    /// Clients under the credentials of the environment: the function's own, in Lambda.
    ///
    /// # Errors
    /// The environment has none.
    pub fn new(environment: &Environment, transport: Transport) -> Result<Self, EnvironmentError> {
        Ok(Self::with_credentials(environment, transport, environment.require_credentials()?))
    }

    /// Clients under these credentials, whatever the environment has.
    pub fn with_credentials(environment: &Environment, transport: Transport, credentials: Credentials) -> Self {
        Self {
            environment: environment.clone(),
            transport,
            credentials: SharedCredentialsProvider::new(credentials),
            identity_cache: IdentityCache::no_cache(),
        }
    }

    /// Clients under credentials from wherever `provider` has them, for operators with profiles and single sign-on.
    ///
    /// They are cached until they expire.
    pub fn with_provider(environment: &Environment, transport: Transport, provider: SharedCredentialsProvider) -> Self {
        Self { environment: environment.clone(), transport, credentials: provider, identity_cache: IdentityCache::lazy().build() }
    }

    /// DynamoDB, for the broker.
    pub fn dynamodb(&self) -> aws_sdk_dynamodb::Client {
        aws_sdk_dynamodb::Client::from_conf(self.dynamodb_config().build())
    }

    /// DynamoDB, for operators' commands: with the SDK's standard retries (three attempts) and time limits, since nobody's
    /// request is waiting.
    pub fn dynamodb_for_operators(&self) -> aws_sdk_dynamodb::Client {
        let timeouts =
            TimeoutConfig::builder().operation_timeout(Duration::from_secs(30)).operation_attempt_timeout(Duration::from_secs(10)).build();
        aws_sdk_dynamodb::Client::from_conf(self.dynamodb_config().retry_config(RetryConfig::standard()).timeout_config(timeouts).build())
    }

    fn dynamodb_config(&self) -> aws_sdk_dynamodb::config::Builder {
        // Endpoints by account are off: one host name per account more to resolve and to let through, for nothing.
        common!(self, aws_sdk_dynamodb::Config::builder(), Service::DynamoDb).account_id_endpoint_mode(AccountIdEndpointMode::Disabled)
    }

    /// STS, in the function's own region.
    pub fn sts(&self) -> aws_sdk_sts::Client {
        aws_sdk_sts::Client::from_conf(common!(self, aws_sdk_sts::Config::builder(), Service::Sts).build())
    }

    /// SageMaker, in the function's own region; calls for targets elsewhere name their region themselves.
    pub fn sagemaker(&self) -> aws_sdk_sagemaker::Client {
        aws_sdk_sagemaker::Client::from_conf(common!(self, aws_sdk_sagemaker::Config::builder(), Service::SageMaker).build())
    }

    /// The function's own region.
    pub const fn region(&self) -> &latchkey_domain::names::Region {
        &self.environment.region
    }

    /// Whether SageMaker's endpoint is configured by hand, and not the region's own.
    pub fn has_own_sagemaker_endpoint(&self) -> bool {
        self.environment.endpoint(Service::SageMaker).is_some()
    }

    /// Which hosts a URL from this SageMaker may have.
    pub fn host_rule(&self) -> HostRule {
        HostRule { allow_loopback: self.environment.sagemaker_is_on_loopback() }
    }

    /// Opens connections to the services, side by side, so that the first requests find them there. Gives up on each after
    /// `within`; what does not answer now will be tried again when it is needed.
    ///
    /// During init: a small function has CPU to spare then and little afterwards. Names are resolved on a thread of tokio's
    /// (see [`latchkey_transport`]), so this starts one.
    pub async fn open_connections(&self, services: &[Service], within: Duration) {
        let opening = services.iter().map(async |&service| {
            // What costs is the TLS handshake. Without TLS there is nothing to gain, and a stand-in on this machine would see a
            // request that nobody made.
            if let Some(url) = self.endpoint_url(service).await.filter(|url| url.starts_with("https://")) {
                // Nothing depends on it: the first call opens what is missing.
                let _ = self.transport.open(&url, within).await;
            }
        });
        futures_util::future::join_all(opening).await;
    }

    /// Where a service is: the override, else by the SDK's own rules.
    async fn endpoint_url(&self, service: Service) -> Option<String> {
        macro_rules! resolve {
            ($sdk:ident) => {{
                use $sdk::config::endpoint::{DefaultResolver, Params};
                let params = Params::builder()
                    .region(self.environment.region.as_str().to_owned())
                    .use_fips(self.environment.use_fips)
                    .use_dual_stack(self.environment.use_dual_stack)
                    .set_endpoint(self.environment.endpoint(service).map(ToOwned::to_owned))
                    .build()
                    .ok()?;
                DefaultResolver::new().resolve_endpoint(&params).await
            }};
        }
        let endpoint: Result<Endpoint, BoxError> = match service {
            Service::DynamoDb => resolve!(aws_sdk_dynamodb),
            Service::Sts => resolve!(aws_sdk_sts),
            Service::SageMaker => resolve!(aws_sdk_sagemaker),
        };
        endpoint.ok().map(|endpoint| endpoint.url().to_owned())
    }
}

impl fmt::Debug for Clients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Clients").field("environment", &self.environment).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn urls(region: &str, more: &[(&str, &str)]) -> Vec<String> {
        let environment = Environment::read(|name| {
            let own = [("AWS_REGION", region), ("AWS_ACCESS_KEY_ID", "AKIAX"), ("AWS_SECRET_ACCESS_KEY", "x")];
            own.iter().chain(more).find(|(key, _)| *key == name).map(|&(_, value)| value.to_owned())
        });
        let clients = Clients::new(&environment.unwrap(), Transport::new(None).unwrap()).unwrap();
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        Service::ALL.iter().map(|&service| runtime.block_on(clients.endpoint_url(service)).unwrap()).collect()
    }

    #[test]
    fn endpoints_are_the_sdks_own() {
        assert_eq!(
            urls("eu-central-1", &[]),
            [
                "https://dynamodb.eu-central-1.amazonaws.com",
                "https://sts.eu-central-1.amazonaws.com",
                "https://api.sagemaker.eu-central-1.amazonaws.com"
            ]
        );
        assert_eq!(
            urls("us-east-1", &[("AWS_USE_FIPS_ENDPOINT", "true")]),
            [
                "https://dynamodb-fips.us-east-1.amazonaws.com",
                "https://sts-fips.us-east-1.amazonaws.com",
                "https://api-fips.sagemaker.us-east-1.amazonaws.com"
            ]
        );
        assert_eq!(urls("cn-north-1", &[])[2], "https://api.sagemaker.cn-north-1.amazonaws.com.cn");
        assert_eq!(urls("eu-west-1", &[("AWS_ENDPOINT_URL", "http://localhost:8000")]), ["http://localhost:8000"; 3]);
    }
}
