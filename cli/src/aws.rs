//! Clients for an operator's commands: credentials and region from wherever AWS tools have them.

use std::time::Duration;

use anyhow::Context as _;
use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::future;
use aws_sdk_iam::config::{Credentials, ProvideCredentials, SharedCredentialsProvider};
use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_admin::GrantAdmin;
use latchkey_aws::grant_store::Table;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_transport::Transport;

use crate::advice::NoCredentials;

/// The table, for an operator.
///
/// # Errors
/// As for [`deployment`].
pub async fn table(name: &str) -> anyhow::Result<GrantAdmin> {
    Ok(GrantAdmin::new(deployment().await?.clients.dynamodb_for_operators(), name))
}

/// The table as the functions see it, and the way to fetch what goes into it.
///
/// # Errors
/// As for [`deployment`].
pub async fn table_and_transport(name: &str) -> anyhow::Result<(Table, Transport)> {
    let Deployment { clients, transport, .. } = deployment().await?;
    Ok((Table::new(clients.dynamodb_for_operators(), name), transport))
}

/// A deployment as an operator reaches it, under the operator's own credentials.
#[derive(Debug)]
pub struct Deployment {
    /// What the broker's adapters are made from.
    pub clients: Clients,
    /// What clients of services that the broker does not touch are made from.
    pub config: SdkConfig,
    /// The way to what is not AWS.
    pub transport: Transport,
}

/// What the environment says of a deployment. The credentials are asked for once, and not while the time of a call runs.
///
/// # Errors
/// No region or no credentials are configured, or the credentials cannot be had.
pub async fn deployment() -> anyhow::Result<Deployment> {
    let transport = transport()?;
    let config = load(&transport).await?;
    Ok(Deployment { clients: clients(&config, transport.clone())?, config, transport })
}

impl Deployment {
    /// What an IAM client is made from, with the SDK's standard retries and time limits: nobody's request is waiting.
    pub fn iam(&self) -> aws_sdk_iam::config::Builder {
        let timeouts =
            TimeoutConfig::builder().operation_timeout(Duration::from_secs(30)).operation_attempt_timeout(Duration::from_secs(10)).build();
        aws_sdk_iam::config::Builder::from(&self.config).retry_config(RetryConfig::standard()).timeout_config(timeouts)
    }
}

fn transport() -> anyhow::Result<Transport> {
    let ca_bundle = environment_variable("AWS_CA_BUNDLE").filter(|path| !path.is_empty());
    Transport::new(ca_bundle.as_deref().map(std::path::Path::new)).context("AWS_CA_BUNDLE")
}

/// What AWS tools are configured with here. The credentials are asked for at once: without any, a client would look for them at each
/// of its attempts, and say so half a minute later.
async fn load(transport: &Transport) -> anyhow::Result<SdkConfig> {
    let config = aws_config::defaults(BehaviorVersion::latest()).http_client(transport.clone()).load().await;
    let provider = config.credentials_provider().context("no AWS credentials are configured")?;
    let first = provider.provide_credentials().await.map_err(|error| NoCredentials::new(&error))?;
    Ok(config.into_builder().credentials_provider(SharedCredentialsProvider::new(Asked { first, provider })).build())
}

/// Credentials that were asked for, while they last; then others. Who is asked may have to ask a person.
#[derive(Debug)]
struct Asked {
    first: Credentials,
    provider: SharedCredentialsProvider,
}

/// As long before their end as the SDK's own cache gives credentials up, and more.
const BEFORE_THE_END: Duration = Duration::from_secs(60);

impl ProvideCredentials for Asked {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        let now = std::time::UNIX_EPOCH + Duration::from_secs(u64::try_from(SystemClock::new().now().unix_seconds()).unwrap_or(0));
        if self.first.expiry().is_none_or(|end| end > now + BEFORE_THE_END) {
            return future::ProvideCredentials::ready(Ok(self.first.clone()));
        }
        self.provider.provide_credentials()
    }
}

fn clients(config: &SdkConfig, transport: Transport) -> anyhow::Result<Clients> {
    let region = config.region().map(ToString::to_string);
    let environment = Environment::read(|name| match name {
        // The region may come from a profile.
        "AWS_REGION" => region.clone().or_else(|| environment_variable(name)),
        // So may the credentials: the chain below has them.
        "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" | "AWS_SESSION_TOKEN" => None,
        _ => environment_variable(name),
    })?;
    let provider = config.credentials_provider().context("no AWS credentials are configured")?;
    Ok(Clients::with_provider(&environment, transport, provider))
}

#[expect(clippy::disallowed_methods, reason = "a command reads the environment of whoever runs it")]
pub(crate) fn environment_variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}
