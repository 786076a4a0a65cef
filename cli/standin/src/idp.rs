//! A local OpenID issuer with made-up users: discovery, keys that rotate, sign-in by code and PKCE, and tokens to order.
//!
//! Nobody types a password: whoever reaches the port may be any of its users. It listens on loopback only, and answers only
//! requests that name it as it is, so that a page from elsewhere cannot reach it under a name of its own.

mod authorize;
mod keys;
mod mint;

use std::collections::HashMap;
use std::fmt;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use axum::Router;
use axum::response::Response;
use http::{Method, header};
use latchkey_domain::clock::Clock;
use serde_json::{Value, json};

pub use self::keys::{Algorithm, rsa_public_key};
pub use self::mint::{Kid, MintOptions};

use self::authorize::{Code, Transaction};
use self::keys::Key;
use crate::answer::Answer;
use crate::fault::{Fault, Faults};
use crate::random::NoRandomness;
use crate::server::{self, Server};

/// No form that the issuer takes is as large.
const MAX_BODY: usize = 16 * 1024;

/// How long a token from the token endpoint is good for, in seconds.
pub const TOKEN_SECONDS: i64 = 3600;

/// Who can sign in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// What people type: the name for `POST /dev/token`.
    pub name: String,
    /// `sub` of the user's tokens.
    pub subject: String,
    /// `name` of the user's ID tokens.
    pub display_name: String,
    /// What the sign-in page says about the user.
    pub about: String,
    /// `groups` of the user's access tokens; without any there is no such claim.
    pub groups: Vec<String>,
}

/// How the issuer is set up.
#[derive(Debug, Clone)]
pub struct IdpOptions {
    /// The port; 0 is any free one.
    pub port: u16,
    /// `aud` of access tokens: the API that they are for.
    pub audience: String,
    /// The one client, a public one: `aud` of ID tokens.
    pub client_id: String,
    /// Where codes may be sent: `http` on loopback, compared byte for byte. [`Idp::allow_redirect_uri`] adds to them.
    pub redirect_uris: Vec<String>,
    /// Who can sign in.
    pub users: Vec<User>,
}

/// Why the issuer could not do something.
#[derive(Debug, thiserror::Error)]
pub enum IdpError {
    /// The port is taken.
    #[error("the issuer cannot listen: {0}")]
    Listen(#[from] std::io::Error),
    /// A key could not be made or used.
    #[error("a signing key could not be made or used")]
    Key,
    /// There is no key of that id.
    #[error("the issuer never had a key with that id")]
    NoSuchKey,
    /// The address is not one to which a code may be sent.
    #[error("a redirect URI is http on 127.0.0.1, [::1] or localhost, without a fragment")]
    RedirectUri,
    /// There is no randomness.
    #[error(transparent)]
    Random(#[from] NoRandomness),
}

/// A running issuer. Dropped, it stops.
pub struct Idp {
    state: Arc<State>,
    address: SocketAddr,
    server: Server,
}

impl fmt::Debug for Idp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Idp").field("issuer", &self.state.issuer).finish_non_exhaustive()
    }
}

struct State {
    issuer: String,
    audience: String,
    client_id: String,
    users: Vec<User>,
    redirect_uris: Mutex<Vec<String>>,
    /// Oldest first. The last of each kind that is not retired signs.
    keys: Mutex<Vec<Key>>,
    transactions: Mutex<HashMap<String, Transaction>>,
    codes: Mutex<HashMap<String, Code>>,
    requests: Mutex<HashMap<String, usize>>,
    faults: Faults,
    clock: Arc<dyn Clock>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // What a panicking call left behind is whole: every change under these locks is one step.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Idp {
    /// Starts the issuer on 127.0.0.1, with a new key of each kind.
    ///
    /// # Errors
    /// The port is taken, a redirect URI is not on loopback, or a key could not be made.
    pub async fn start(options: IdpOptions, clock: Arc<dyn Clock>) -> Result<Self, IdpError> {
        if !options.redirect_uris.iter().all(|uri| authorize::is_loopback(uri)) {
            return Err(IdpError::RedirectUri);
        }
        let keys = vec![Key::generate(Algorithm::Rs256)?, Key::generate(Algorithm::Es256)?];
        let (listener, address) = server::listen(options.port).await?;
        let state = Arc::new(State {
            issuer: format!("http://{address}"),
            audience: options.audience,
            client_id: options.client_id,
            users: options.users,
            redirect_uris: Mutex::new(options.redirect_uris),
            keys: Mutex::new(keys),
            transactions: Mutex::default(),
            codes: Mutex::default(),
            requests: Mutex::default(),
            faults: Faults::default(),
            clock,
        });
        let serving = Arc::clone(&state);
        let router = Router::new().fallback(move |request| front(Arc::clone(&serving), request));
        Ok(Self { state, address, server: Server::start(listener, router) })
    }

    /// Its name, as `iss` has it, and the address below which everything is.
    pub fn issuer(&self) -> &str {
        &self.state.issuer
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// `aud` of its access tokens.
    pub fn audience(&self) -> &str {
        &self.state.audience
    }

    /// Its one client.
    pub fn client_id(&self) -> &str {
        &self.state.client_id
    }

    /// Lets codes be sent to one more address.
    ///
    /// # Errors
    /// It is not on loopback.
    pub fn allow_redirect_uri(&self, uri: &str) -> Result<(), IdpError> {
        if !authorize::is_loopback(uri) {
            return Err(IdpError::RedirectUri);
        }
        lock(&self.state.redirect_uris).push(uri.to_owned());
        Ok(())
    }

    /// Makes a token: a secret.
    ///
    /// # Errors
    /// There is no such key, or signing failed.
    pub fn mint(&self, options: &MintOptions) -> Result<String, IdpError> {
        self.state.mint(options)
    }

    /// Signs these texts as a token's header and payload, whatever they are, with the current key of that kind.
    ///
    /// # Errors
    /// There is no such key, or signing failed.
    pub fn sign_raw(&self, header: &str, payload: &str, algorithm: Algorithm) -> Result<String, IdpError> {
        let keys = lock(&self.state.keys);
        mint::compact(header, payload, current(&keys, algorithm)?)
    }

    /// Makes a new key of each kind, which sign from now on. The old ones stay published until they are retired.
    /// Returns the ids of the new ones, RS256 first.
    ///
    /// # Errors
    /// A key could not be made.
    pub fn rotate(&self) -> Result<[String; 2], IdpError> {
        let new = [Key::generate(Algorithm::Rs256)?, Key::generate(Algorithm::Es256)?];
        let kids = [new[0].kid.clone(), new[1].kid.clone()];
        lock(&self.state.keys).extend(new);
        Ok(kids)
    }

    /// Withdraws a key: it is no longer published, and signs only where [`MintOptions::key`] names it.
    ///
    /// # Errors
    /// There is no such key.
    pub fn retire(&self, kid: &str) -> Result<(), IdpError> {
        let mut keys = lock(&self.state.keys);
        let key = keys.iter_mut().find(|key| key.kid == kid).ok_or(IdpError::NoSuchKey)?;
        key.retired = true;
        Ok(())
    }

    /// The ids of the published keys, oldest first.
    pub fn kids(&self) -> Vec<String> {
        lock(&self.state.keys).iter().filter(|key| !key.retired).map(|key| key.kid.clone()).collect()
    }

    /// The published key set.
    ///
    /// # Errors
    /// A key could not be written down.
    pub fn jwks(&self) -> Result<Value, IdpError> {
        self.state.jwks()
    }

    /// How often `path` was asked for.
    pub fn requests(&self, path: &str) -> usize {
        lock(&self.state.requests).get(path).copied().unwrap_or_default()
    }

    /// The next `times` requests for `path` (as `/jwks`) go wrong in this way.
    pub fn inject(&self, path: &str, times: usize, fault: &Fault) {
        self.state.faults.inject(path, times, fault);
    }

    /// No further request goes wrong on purpose.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// Stops, and returns once nothing is left running.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

fn current(keys: &[Key], algorithm: Algorithm) -> Result<&Key, IdpError> {
    keys.iter().rev().find(|key| !key.retired && key.algorithm() == algorithm).ok_or(IdpError::NoSuchKey)
}

impl State {
    fn mint(&self, options: &MintOptions) -> Result<String, IdpError> {
        let keys = lock(&self.keys);
        let key = match &options.key {
            Some(kid) => keys.iter().find(|key| &key.kid == kid).ok_or(IdpError::NoSuchKey)?,
            None => current(&keys, options.algorithm)?,
        };
        options.sign(key, &self.issuer, &self.audience, self.clock.now().unix_seconds())
    }

    fn jwks(&self) -> Result<Value, IdpError> {
        let keys = lock(&self.keys);
        let published: Vec<Value> = keys.iter().filter(|key| !key.retired).map(Key::jwk).collect::<Result<_, _>>()?;
        Ok(json!({ "keys": published }))
    }

    fn discovery(&self) -> Value {
        let issuer = &self.issuer;
        json!({
            "issuer": issuer,
            "authorization_endpoint": format!("{issuer}/authorize"),
            "token_endpoint": format!("{issuer}/token"),
            "jwks_uri": format!("{issuer}/jwks"),
            "response_types_supported": ["code"],
            "response_modes_supported": ["query"],
            "grant_types_supported": ["authorization_code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
            "scopes_supported": ["openid", "profile"],
            "claims_supported": ["iss", "sub", "aud", "exp", "iat", "auth_time", "nonce", "name", "preferred_username"],
            "token_endpoint_auth_methods_supported": ["none"],
            "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": true,
        })
    }
}

async fn front(state: Arc<State>, request: axum::extract::Request) -> Response {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path().to_owned();
    *lock(&state.requests).entry(path.clone()).or_default() += 1;
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return text(413, "The request is too large.\n").into_response(None);
    };
    let fault = state.faults.next(&path).await;
    if let Some(Fault::Error { status, code }) = &fault {
        return Answer::json(*status, &json!({ "error": code })).into_response(None);
    }
    // The name that the issuer goes by, and no other that somebody has pointed at this machine.
    let host = parts.headers.get(header::HOST).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if state.issuer.strip_prefix("http://") != Some(host) {
        return text(421, "The issuer answers under its own address only.\n").into_response(None);
    }
    let query = parts.uri.query().unwrap_or_default();
    let answer = match (&parts.method, path.as_str()) {
        (&Method::GET, "/.well-known/openid-configuration") => Answer::json(200, &state.discovery()),
        (&Method::GET, "/jwks") => match state.jwks() {
            Ok(jwks) => Answer::json(200, &jwks),
            Err(_) => text(500, "The keys cannot be written down.\n"),
        },
        (&Method::GET, "/authorize") => authorize::ask(&state, query),
        (&Method::POST, "/authorize") => authorize::sign_in(&state, &body),
        (&Method::POST, "/token") => authorize::exchange(&state, &parts.headers, &body),
        (&Method::POST, "/dev/token") => authorize::dev_token(&state, &body),
        (_, "/.well-known/openid-configuration" | "/jwks") => text(405, "GET only.\n").with(header::ALLOW, "GET"),
        (_, "/authorize") => text(405, "GET and POST only.\n").with(header::ALLOW, "GET, POST"),
        (_, "/token" | "/dev/token") => text(405, "POST only.\n").with(header::ALLOW, "POST"),
        _ => text(404, "There is nothing here.\n"),
    };
    answer.into_response(fault.as_ref())
}

fn text(status: u16, text: &str) -> Answer {
    Answer::new(status, "text/plain; charset=utf-8", text.to_owned())
}

#[cfg(test)]
mod tests;
