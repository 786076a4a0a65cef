//! Everything that the broker runs against, with the made-up bank's table filled, for tests that are no futures.

use std::collections::HashMap;
use std::sync::{Arc, OnceLock};

use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_admin::{Annotation, Expect, GrantAdmin, GroupIdentity};
use latchkey_aws::grant_store::Table;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::grant::Grant;
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::item::Item;
use latchkey_domain::names::TargetName;
use latchkey_domain::ports::RateLimit;
use latchkey_standin::captured::Captured;
use latchkey_standin::idp::{Idp, IdpOptions, Kid, MintOptions};
use latchkey_standin::relay::Relay;
use latchkey_standin::stack::{AUDIENCE, CLIENT_ID, Stack, StackOptions, TABLE};
use latchkey_transport::Transport;
use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::tools::root;

/// The stand-ins, filled, and the runtime on which they run.
pub struct World {
    /// The stand-ins.
    pub stack: Stack,
    /// An issuer that nobody trusts, whose keys are not the stack's. It is there once a token asks for it.
    stranger: OnceLock<Idp>,
    // Last: what runs on it goes first.
    runtime: Runtime,
}

impl World {
    /// Starts with the calls of the table kept too.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start() -> Self {
        Self::start_with(StackOptions { relay_table: true, ..StackOptions::default() })
    }

    /// Starts with these options.
    ///
    /// # Panics
    /// When it does not start.
    pub fn start_with(options: StackOptions) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
        let stack = runtime.block_on(Stack::start(options)).unwrap();
        let world = Self { stack, stranger: OnceLock::new(), runtime };
        let environment = world.operators_environment();
        world.block_on(latchkey::embedded::fill_table(&world.stack, &environment)).unwrap();
        world
    }

    /// The environment in which the broker runs here, with these variables in place of the stack's own or besides them. A
    /// variable whose value is empty is taken out.
    pub fn env(&self, overrides: &[(&str, &str)]) -> Vec<(String, String)> {
        let mut env = self.stack.env();
        for &(name, value) in overrides {
            env.retain(|(other, _)| other != name);
            if !value.is_empty() {
                env.push((name.to_owned(), value.to_owned()));
            }
        }
        env
    }

    /// What the adapters read out of [`Self::env`].
    ///
    /// # Panics
    /// When it cannot be used.
    pub fn environment(&self, overrides: &[(&str, &str)]) -> Environment {
        let variables: HashMap<String, String> = self.env(overrides).into_iter().collect();
        Environment::read(|name| variables.get(name).cloned()).unwrap()
    }

    /// An operator goes past the relay: what it keeps, and what it breaks, is the broker's alone.
    fn operators_environment(&self) -> Environment {
        self.environment(&[("AWS_ENDPOINT_URL_DYNAMODB", &self.stack.table.endpoint())])
    }

    /// The table, as an operator has it.
    ///
    /// # Panics
    /// When the environment cannot be used.
    pub fn operator(&self) -> GrantAdmin {
        GrantAdmin::new(clients(&self.operators_environment()).dynamodb_for_operators(), TABLE)
    }

    /// The table, as the broker's own adapter has it, past the relay.
    ///
    /// # Panics
    /// When the environment cannot be used.
    pub fn table(&self) -> Table {
        Table::new(clients(&self.operators_environment()).dynamodb(), TABLE)
    }

    /// Writes a grant: `target` for this subject of this issuer, which opens that profile in the domain `d-demoresearch` unless
    /// `more` says otherwise, besides what else it says.
    ///
    /// # Panics
    /// When it is no grant, or cannot be written.
    pub fn grant(&self, issuer: &IssuerId, subject: &str, target: &str, profile: &str, more: &[(&str, &str)]) {
        let base = [("kind", "studio"), ("domain_id", "d-demoresearch"), ("user_profile_name", profile)];
        let attributes: serde_json::Map<_, _> =
            base.iter().chain(more).map(|&(name, value)| (name.to_owned(), Value::from(value))).collect();
        self.grant_item(issuer, subject, target, &attributes.into());
    }

    /// Writes a grant with these attributes: a JSON object.
    ///
    /// # Panics
    /// When it is no grant, or cannot be written.
    pub fn grant_item(&self, issuer: &IssuerId, subject: &str, target: &str, attributes: &Value) {
        let item: Item = serde_json::from_value(attributes.clone()).unwrap();
        let grant = Grant::from_item(TargetName::new(target).unwrap(), &item).unwrap();
        let identity = Identity { issuer: issuer.clone(), subject: Subject::new(subject).unwrap() };
        self.block_on(self.operator().put_grant(&identity, &grant, &annotation(), Expect::Anything)).unwrap();
    }

    /// Writes a grant of a group's with these attributes: a JSON object.
    ///
    /// # Panics
    /// When it is no group's grant, or cannot be written.
    pub fn grant_to_group(&self, issuer: &IssuerId, group: &str, target: &str, attributes: &Value) {
        let item: Item = serde_json::from_value(attributes.clone()).unwrap();
        let grant = GroupGrant::from_item(TargetName::new(target).unwrap(), &item).unwrap();
        let whose = GroupIdentity { issuer: issuer.clone(), group: Group::new(group).unwrap() };
        self.block_on(self.operator().put_group_grant(&whose, &grant, &annotation(), Expect::Anything)).unwrap();
    }

    /// What the broker has sent to the table, to STS and to SageMaker, in this order of services. Connections that were only
    /// opened are left out.
    ///
    /// # Panics
    /// When there is no relay in front of the table.
    pub fn captured(&self) -> Vec<Captured> {
        let table = self.stack.table_relay.as_ref().expect("the relay is asked for at the start").captured();
        table.into_iter().chain(self.stack.aws.captured()).filter(|request| request.method != "HEAD").collect()
    }

    /// Forgets what has been sent.
    pub fn clear_captured(&self) {
        self.stack.table_relay.iter().for_each(Relay::clear_captured);
        self.stack.aws.clear_captured();
    }

    /// A token as `events/README.md` writes it: `alice` for a good one, `alice:expired` for one that must be refused for that.
    ///
    /// # Panics
    /// When there is no such user or variant.
    pub fn token(&self, spec: &str) -> String {
        let (name, variant) = spec.split_once(':').map_or((spec, None), |(name, variant)| (name, Some(variant)));
        let user = self.stack.user(name).unwrap_or_else(|| panic!("the bank has no user {name}"));
        self.token_of(user.subject.as_str(), variant)
    }

    /// A token for any subject: a good one, or of one of the variants of `events/README.md`.
    ///
    /// # Panics
    /// When there is no such variant.
    pub fn token_of(&self, subject: &str, variant: Option<&str>) -> String {
        let mut good = MintOptions::new(subject);
        let user = self.stack.users().iter().find(|user| user.subject.as_str() == subject);
        let groups: Vec<String> = user.into_iter().flat_map(|user| &user.groups).map(ToString::to_string).collect();
        if !groups.is_empty() {
            good = good.claim("groups", groups);
        }
        let idp = &self.stack.idp;
        match variant {
            None => idp.mint(&good),
            Some("expired") => idp.mint(&MintOptions { issued_in_seconds: -3600, ..good }),
            Some("other-audience") => idp.mint(&MintOptions { audience: Some("another-service".into()), ..good }),
            Some("other-issuer") => idp.mint(&MintOptions { issuer: Some("https://idp.elsewhere.example".to_owned()), ..good }),
            Some(variant @ ("forged" | "unknown-key")) => {
                let kid = if variant == "forged" { Kid::Text(self.rs256_key_id()) } else { Kid::OfTheKey };
                self.stranger().mint(&MintOptions { issuer: Some(idp.issuer().to_owned()), kid, ..good })
            }
            Some(variant) => panic!("there is no variant {variant}"),
        }
        .unwrap()
    }

    /// The id of the key with which the stack's issuer signs.
    fn rs256_key_id(&self) -> String {
        let keys = self.stack.idp.jwks().unwrap();
        let newest = keys["keys"].as_array().unwrap().iter().rev().find(|key| key["kty"] == "RSA");
        newest.unwrap()["kid"].as_str().unwrap().to_owned()
    }

    fn stranger(&self) -> &Idp {
        self.stranger.get_or_init(|| {
            let options = IdpOptions {
                port: 0,
                audience: AUDIENCE.to_owned(),
                client_id: CLIENT_ID.to_owned(),
                redirect_uris: Vec::new(),
                users: Vec::new(),
            };
            self.block_on(Idp::start(options, Arc::new(SystemClock::new()))).unwrap()
        })
    }

    /// Runs a future to its end.
    pub fn block_on<F: Future>(&self, future: F) -> F::Output {
        self.runtime.block_on(future)
    }
}

/// The SDK's clients for an environment.
///
/// # Panics
/// When it has no credentials.
pub fn clients(environment: &Environment) -> Clients {
    Clients::new(environment, Transport::new(None).unwrap()).unwrap()
}

/// The length of a window of the rate limit, in seconds, that does not end while a test runs: a day or a second less, by what has more of
/// its time left. Windows follow each other from 1970 on, so the ends of the two are hours apart by now, and for decades to come.
pub fn long_window() -> u32 {
    let now = SystemClock::new().now();
    let left = |seconds: u32| RateLimit { urls: 1, seconds }.window(now).end - now.unix_seconds();
    [86_400, 86_399].into_iter().max_by_key(|&seconds| left(seconds)).unwrap_or_default()
}

/// What an operator writes beside a row, now.
pub fn annotation() -> Annotation {
    Annotation::at(SystemClock::new().now())
}

/// The event of a launch with this token: `events/launch.json`, with a request id of its own, and with a JSON body if there is one.
///
/// # Panics
/// When the file is not what it was.
pub fn launch(request_id: &str, token: &str, body: Option<&Value>) -> Value {
    let text = std::fs::read_to_string(root().join("events/launch.json")).unwrap();
    let mut event: Value = serde_json::from_str(&text.replace("${TOKEN:alice}", token)).unwrap();
    event["requestContext"]["requestId"] = request_id.into();
    if let Some(body) = body {
        event["body"] = body.to_string().into();
        event["headers"]["Content-Type"] = "application/json".into();
        event["multiValueHeaders"]["Content-Type"] = json!(["application/json"]);
    }
    event
}

/// The event that asks for the list of targets with this token.
///
/// # Panics
/// When the file is not what it was.
pub fn targets(request_id: &str, token: &str) -> Value {
    let mut event = launch(request_id, token, None);
    event["httpMethod"] = "GET".into();
    for path in ["resource", "path"] {
        event[path] = "/targets".into();
    }
    let context = &mut event["requestContext"];
    context["httpMethod"] = "GET".into();
    context["resourcePath"] = "/targets".into();
    context["path"] = "/v1/targets".into();
    event
}
