//! A real OpenID provider (npm `oidc-provider`), told what to do by `tests/tools/oidc-provider/server.mjs`.

use std::process::Command;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use crate::process::Process;
use crate::tools::{root, tool, tools};

/// How long it may take to listen, and to make a key or a token.
const PATIENCE: Duration = Duration::from_secs(30);

/// A running provider.
pub struct OpenIdProvider {
    _process: Process,
    agent: ureq::Agent,
    announcement: Value,
}

impl OpenIdProvider {
    /// Starts it, with one key of each algorithm.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with these environment variables besides.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start_with(environment: &[(String, String)]) -> Self {
        let mut command = Command::new(tool("bin/node"));
        command.envs(environment.iter().map(|(name, value)| (name, value)));
        command.arg(root().join("tests/tools/oidc-provider/server.mjs")).env("LATCHKEY_TOOLS", std::path::absolute(tools()).unwrap());
        tool("oidc-provider/node_modules/oidc-provider");
        let process = Process::start(&mut command);
        let announcement = process.output().wait(0, PATIENCE, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            line["issuer"].is_string().then_some(line)
        });
        // A connection for each request: node closes idle ones after five seconds, maybe just when one is used again.
        let agent = ureq::Agent::config_builder().timeout_global(Some(PATIENCE)).max_idle_connections(0).build().into();
        Self { _process: process, agent, announcement }
    }

    /// Its name, as `iss` has it.
    pub fn issuer(&self) -> &str {
        self.announcement["issuer"].as_str().unwrap()
    }

    /// `aud` of its access tokens, where nothing else is asked for.
    pub fn audience(&self) -> &str {
        self.announcement["audience"].as_str().unwrap()
    }

    /// `aud` of its ID tokens of that algorithm: the client that people sign in to.
    pub fn client(&self, algorithm: &str) -> &str {
        self.announcement["clients"][algorithm].as_str().unwrap()
    }

    /// A token, as `wish` has it: see the head of the server.
    pub fn token(&self, wish: &Value) -> ProviderToken {
        let made = self.post("token", wish);
        ProviderToken { token: made["token"].as_str().unwrap().to_owned(), kid: made["kid"].as_str().unwrap().to_owned() }
    }

    /// An access token (`at+jwt`) for that subject.
    pub fn access_token(&self, algorithm: &str, subject: &str) -> ProviderToken {
        self.token(&json!({ "kind": "access", "alg": algorithm, "subject": subject }))
    }

    /// Makes a new key that signs from now on. The old one stays published. Gives back the new one's id and the old one's.
    pub fn rotate(&self, algorithm: &str) -> (String, String) {
        let rotated = self.post("rotate", &json!({ "alg": algorithm }));
        (rotated["kid"].as_str().unwrap().to_owned(), rotated["previous"].as_str().unwrap().to_owned())
    }

    /// Takes a key out of the published set.
    pub fn retire(&self, kid: &str) {
        self.post("retire", &json!({ "kid": kid }));
    }

    /// Breaks every answer in that way: `error`, `close`, `hang` or `garbage`.
    pub fn break_off(&self, mode: &str) {
        self.post("break", &json!({ "mode": mode }));
    }

    /// Answers again.
    pub fn restore(&self) {
        self.post("restore", &json!({}));
    }

    /// How often `path` was asked for.
    ///
    /// # Panics
    /// When the provider does not answer.
    pub fn requests(&self, path: &str) -> u64 {
        let counts: Value =
            serde_json::from_str(&self.agent.get(self.control("requests")).call().unwrap().body_mut().read_to_string().unwrap()).unwrap();
        counts[path].as_u64().unwrap_or(0)
    }

    fn post(&self, action: &str, body: &Value) -> Value {
        let answer = self.agent.post(self.control(action)).send(body.to_string());
        let mut answer = answer.unwrap_or_else(|error| panic!("the provider does not {action}: {error}"));
        serde_json::from_str(&answer.body_mut().read_to_string().unwrap()).unwrap()
    }

    fn control(&self, action: &str) -> String {
        format!("{}/{action}", self.announcement["control"].as_str().unwrap())
    }
}

/// A token that the provider has made.
pub struct ProviderToken {
    /// The token: a secret, as far as a test goes.
    pub token: String,
    /// The key that signed it.
    pub kid: String,
}

impl ProviderToken {
    /// The same token with another `iss`. Its signature is no longer right, and its key is not one of that issuer's.
    ///
    /// # Panics
    /// When it is no token.
    #[must_use]
    pub fn with_issuer(mut self, issuer: &str) -> Self {
        let parts: Vec<&str> = self.token.split('.').collect();
        let mut claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(parts[1]).unwrap()).unwrap();
        claims["iss"] = issuer.into();
        self.token = format!("{}.{}.{}", parts[0], URL_SAFE_NO_PAD.encode(claims.to_string()), parts[2]);
        self
    }
}
