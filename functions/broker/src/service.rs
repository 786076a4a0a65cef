//! How the parts are put together.

use std::time::Duration;

use latchkey_api::service::{AllowedEndpoints, Service};
use latchkey_aws::clients::Clients;
use latchkey_aws::environment::{self, Environment};
use latchkey_aws::grant_store::Table;
use latchkey_aws::sagemaker::SageMaker;
use latchkey_domain::broker::{Broker, KnownProfiles, Rules};
use latchkey_domain::clock::Clock;
use latchkey_domain::entitlement::Terms;
use latchkey_domain::names::Region;
use latchkey_domain::ports::AuditSink;
use latchkey_domain::posture::PostureGate;
use latchkey_oidc::verifier::Verifier;
use latchkey_transport::Transport;

use crate::config::{Config, ConfigError};

/// The service over the real adapters. `C` tells the time, `K` keeps the decisions.
pub type LiveService<C, K> = Service<Verifier<Transport, Table, C>, Table, SageMaker<C>, C, K>;

/// The service, and the clients that it works through.
#[derive(Debug)]
pub struct Live<C, K> {
    /// The service.
    pub service: LiveService<C, K>,
    clients: Clients,
}

/// How long opening connections may take at start. Lambda gives a start ten seconds; nothing depends on these.
const OPEN_CONNECTIONS_WITHIN: Duration = Duration::from_secs(2);

/// Puts the service together. Opens no connection and loads no key: [`Live::prepare`] does.
///
/// # Errors
/// The environment lacks credentials, or `AWS_CA_BUNDLE` names a file that cannot be used.
pub fn build<C, K>(mut config: Config, environment: &Environment, clock: C, sink: K) -> Result<Live<C, K>, ConfigError>
where
    C: Clock + Clone,
    K: AuditSink,
{
    let transport = Transport::new(environment.ca_bundle.as_deref())
        .map_err(|error| ConfigError { variable: "AWS_CA_BUNDLE", problem: error.to_string().into() })?;
    let clients = Clients::new(environment, transport.clone())?;
    if config.endpoints == AllowedEndpoints::Any {
        // An error, so that no level keeps quiet about it.
        tracing::error!(variable = "LATCHKEY_VPC_ENDPOINT_IDS", "requests are taken from anywhere: the check of the VPC endpoint is off");
    }
    if config.external_id.is_some() && config.role_arn.is_none() {
        tracing::warn!(variable = "LATCHKEY_EXTERNAL_ID", "nobody is told it: it is for LATCHKEY_ROLE_ARN, which is not set");
    }
    if config.provision_external_id.is_some() && config.provision_role_arn.is_none() {
        tracing::warn!(
            variable = "LATCHKEY_PROVISION_EXTERNAL_ID",
            "nobody is told it: it is for LATCHKEY_PROVISION_ROLE_ARN, which is not set"
        );
    }
    let table = Table::new(clients.dynamodb(), std::mem::take(&mut config.table));
    let ports = Ports {
        authenticator: Verifier::new(std::mem::take(&mut config.issuers), transport, table.clone(), clock.clone()),
        store: table,
        issuer: SageMaker::new(&clients, config.session_scope, clock.clone()).with_posture(config.posture),
        clock,
        sink,
    };
    Ok(Live { service: over(ports, config, environment.region.clone()), clients })
}

/// What a service works through.
#[derive(Debug)]
pub struct Ports<A, S, U, C, K> {
    /// Proves callers.
    pub authenticator: A,
    /// Reads grants and counts uses.
    pub store: S,
    /// Makes URLs.
    pub issuer: U,
    /// Tells the time.
    pub clock: C,
    /// Keeps the decisions.
    pub sink: K,
}

/// The service over these ports, with the rules that the configuration makes for a function in `region`.
///
/// Whoever wants the broker's decisions over other ports than its own, as `latchkey explain` does, has them from here.
pub fn over<A, S, U, C, K>(ports: Ports<A, S, U, C, K>, config: Config, region: Region) -> Service<A, S, U, C, K> {
    let rules = Rules {
        terms: Terms {
            region,
            role_arn: config.role_arn,
            external_id: config.external_id,
            provision_role_arn: config.provision_role_arn,
            provision_external_id: config.provision_external_id,
            url_seconds: config.url_seconds,
            session_seconds: config.session_seconds,
        },
        rate_limit: config.rate_limit,
        replay_guard: config.replay_guard,
    };
    let broker = Broker {
        authenticator: ports.authenticator,
        store: ports.store,
        issuer: ports.issuer,
        clock: ports.clock,
        rules,
        posture: PostureGate::new(config.posture),
        profiles: KnownProfiles::default(),
    };
    Service { broker, sink: ports.sink, endpoints: config.endpoints }
}

impl<C: Clock, K: AuditSink> Live<C, K> {
    /// Loads the issuers' keys and opens connections, side by side: the start has time to spare, the first request has not.
    ///
    /// What cannot be had now is said in the log and tried again when it is needed.
    pub async fn prepare(&self) {
        let services = [environment::Service::DynamoDb, environment::Service::Sts, environment::Service::SageMaker];
        let keys = self.service.broker.authenticator.prepare();
        let (prepared, ()) = tokio::join!(keys, self.clients.open_connections(&services, OPEN_CONNECTIONS_WITHIN));
        for issuer in prepared {
            let id = issuer.issuer.as_str();
            match issuer.keys {
                Ok(keys) => {
                    for skipped in keys.skipped() {
                        tracing::warn!(issuer = id, reason = %skipped.fault, "a key of the issuer's is not used");
                    }
                }
                Err(failure) => tracing::error!(issuer = id, reason = %failure, "the issuer's keys cannot be had"),
            }
        }
    }
}
