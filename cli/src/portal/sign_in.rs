//! Signing in at the issuer: OpenID Connect's code flow (Core 1.0, section 3.1) with PKCE (RFC 7636), all of it in the backend.
//!
//! | what | keeps out |
//! | --- | --- |
//! | `state`, and a cookie that only the browser has in which it was begun | a sign-in that somebody else began (RFC 6749, section 10.12) |
//! | `code_verifier` | a code that was taken from the browser on its way |
//! | `nonce`, in the ID token behind its signature | an ID token of another sign-in |
//! | `iss` in the answer (RFC 9207) | a code of another issuer's |

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context as _, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_domain::clock::{SystemClock, Timestamp};
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Unavailable;
use latchkey_domain::token::BearerToken;
use latchkey_oidc::claims::VerifiedClaims;
use latchkey_oidc::config::parse_issuers;
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotStore};
use latchkey_oidc::verifier::{Verifier, VerifyError};
use latchkey_standin::{NoRandomness, Secret, random, sigv4};
use latchkey_transport::Transport;
use serde::Deserialize;
use serde_json::json;
use sha2::{Digest as _, Sha256};

use super::session::{Key, User, key};
use crate::http;

/// How long somebody may take to sign in, in seconds.
pub(super) const SIGN_IN_SECONDS: i64 = 600;

/// How many sign-ins may be under way. The one that was begun first gives way to a new one.
const UNDER_WAY: usize = 100;

/// How long the issuer may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A client of the issuer's.
#[derive(Debug)]
pub(super) struct SignIn {
    client_id: String,
    redirect_uri: String,
    discovery: Discovery,
    transport: Transport,
    under_way: Mutex<HashMap<Key, UnderWay>>,
}

/// What of the issuer's metadata is used (OpenID Connect Discovery 1.0, section 3).
#[derive(Debug, Deserialize)]
struct Discovery {
    issuer: String,
    authorization_endpoint: String,
    token_endpoint: String,
    jwks_uri: String,
}

/// A sign-in that has begun, kept under its `state`.
#[derive(Debug)]
struct UnderWay {
    /// The cookie of the browser in which it was begun.
    browser: Key,
    nonce: Secret,
    code_verifier: Secret,
    expires_at: Timestamp,
}

/// Where the browser goes to sign in, and the cookie that it takes along.
pub(super) struct Begun {
    pub(super) location: String,
    pub(super) browser: Secret,
}

/// What the issuer sends the browser back with (RFC 6749, section 4.1.2; RFC 9207). Each parameter is there once, or it is refused.
#[derive(Deserialize)]
pub(super) struct Callback {
    code: Option<String>,
    state: Option<String>,
    iss: Option<String>,
    error: Option<String>,
}

/// Why nobody is signed in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum NotSignedIn {
    /// The answer is to no sign-in of this browser that is under way.
    NotBegun,
    /// The answer is another issuer's.
    OtherIssuer,
    /// The issuer says no, with an error code of RFC 6749 or one that is as good as none.
    Declined(String),
    /// The code was not changed for tokens.
    NoTokens,
    /// The ID token is not accepted.
    IdToken(String),
    /// There is no randomness.
    NoRandomness,
}

impl NotSignedIn {
    /// For developers. It holds nothing that the issuer or the browser could make up at will.
    pub(super) fn why(&self) -> String {
        match self {
            Self::NotBegun => "state: it belongs to no sign-in that is under way in this browser".to_owned(),
            Self::OtherIssuer => "iss: the answer is not from the issuer that was asked".to_owned(),
            Self::Declined(error) => format!("error: the issuer has answered {error}"),
            Self::NoTokens => "the issuer gives no tokens for the code".to_owned(),
            Self::IdToken(refusal) => format!("the ID token is not accepted: {refusal}"),
            Self::NoRandomness => NoRandomness.to_string(),
        }
    }
}

impl From<NoRandomness> for NotSignedIn {
    fn from(_: NoRandomness) -> Self {
        Self::NoRandomness
    }
}

/// The token endpoint's answer.
#[derive(Deserialize)]
struct Tokens {
    access_token: String,
    token_type: String,
    expires_in: i64,
    id_token: String,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl SignIn {
    /// A client of that issuer's, to which it sends codes at `redirect_uri`.
    ///
    /// # Errors
    /// The issuer does not answer, or calls itself otherwise.
    pub(super) async fn at(issuer: &str, client_id: &str, redirect_uri: String) -> anyhow::Result<Self> {
        let answer = http::get(&format!("{issuer}/.well-known/openid-configuration")).await?;
        ensure!(answer.status == 200, "the issuer does not say where its endpoints are (status {})", answer.status);
        let discovery: Discovery = serde_json::from_str(&answer.body).context("the issuer's metadata cannot be read")?;
        ensure!(discovery.issuer == issuer, "the issuer calls itself otherwise");
        let transport = Transport::new(None)?;
        Ok(Self { client_id: client_id.to_owned(), redirect_uri, discovery, transport, under_way: Mutex::default() })
    }

    /// Begins a sign-in. A browser that has another one under way keeps its cookie: people do open two tabs.
    ///
    /// # Errors
    /// There is no randomness.
    pub(super) fn begin(&self, browser: Option<&str>, now: Timestamp) -> Result<Begun, NoRandomness> {
        let (state, nonce, code_verifier) = (random::secret()?, random::secret()?, random::secret()?);
        let mut under_way = lock(&self.under_way);
        under_way.retain(|_, sign_in| sign_in.expires_at > now);
        let is_known = |browser: &str| under_way.values().any(|sign_in| sign_in.browser == key(browser));
        let browser = match browser {
            Some(browser) if is_known(browser) => browser.to_owned(),
            Some(_) | None => random::secret()?,
        };
        if under_way.len() >= UNDER_WAY
            && let Some(first) = under_way.iter().min_by_key(|(_, sign_in)| sign_in.expires_at).map(|(state, _)| *state)
        {
            under_way.remove(&first);
        }
        let challenge = URL_SAFE_NO_PAD.encode(Sha256::digest(code_verifier.as_bytes()));
        let location = format!(
            "{}?{}",
            self.discovery.authorization_endpoint,
            encoded(&[
                ("response_type", "code"),
                ("client_id", &self.client_id),
                ("redirect_uri", &self.redirect_uri),
                ("scope", "openid profile"),
                ("state", &state),
                ("nonce", &nonce),
                ("code_challenge", &challenge),
                ("code_challenge_method", "S256"),
            ])
        );
        let sign_in = UnderWay {
            browser: key(&browser),
            nonce: Secret::new(nonce),
            code_verifier: Secret::new(code_verifier),
            expires_at: now.plus_seconds(SIGN_IN_SECONDS),
        };
        under_way.insert(key(&state), sign_in);
        Ok(Begun { location, browser: Secret::new(browser) })
    }

    /// Ends a sign-in with what the browser has come back with. It is tried once, whatever comes of it.
    ///
    /// # Errors
    /// See [`NotSignedIn`].
    pub(super) async fn finish(&self, callback: Callback, browser: Option<&str>, now: Timestamp) -> Result<User, NotSignedIn> {
        let sign_in = self.take(callback.state.as_deref(), browser, now).ok_or(NotSignedIn::NotBegun)?;
        if callback.iss.as_deref() != Some(self.discovery.issuer.as_str()) {
            return Err(NotSignedIn::OtherIssuer);
        }
        let Some(code) = callback.code.filter(|_| callback.error.is_none()) else {
            return Err(NotSignedIn::Declined(error_code(callback.error.as_deref())));
        };
        let tokens = self.exchange(&code, &sign_in.code_verifier).await?;
        let claims = self.verify(&tokens.id_token, &sign_in.nonce, now).await?;
        Ok(User {
            name: display_name(&claims, &tokens.id_token),
            token: BearerToken::new(tokens.access_token),
            ends_at: now.plus_seconds(tokens.expires_in),
        })
    }

    /// The sign-in with that state, if this browser has begun it. Somebody else's stays where it is.
    fn take(&self, state: Option<&str>, browser: Option<&str>, now: Timestamp) -> Option<UnderWay> {
        let (state, browser) = (key(state?), key(browser?));
        let mut under_way = lock(&self.under_way);
        let is_own = under_way.get(&state).is_some_and(|sign_in| sign_in.browser == browser && sign_in.expires_at > now);
        if is_own { under_way.remove(&state) } else { None }
    }

    async fn exchange(&self, code: &str, code_verifier: &Secret) -> Result<Tokens, NotSignedIn> {
        let form = encoded(&[
            ("grant_type", "authorization_code"),
            ("client_id", &self.client_id),
            ("code", code),
            ("code_verifier", code_verifier.expose()),
            ("redirect_uri", &self.redirect_uri),
        ]);
        let answer = tokio::time::timeout(PATIENCE, http::post_form(&self.discovery.token_endpoint, form)).await;
        let Ok(Ok(answer)) = answer else { return Err(NotSignedIn::NoTokens) };
        let tokens =
            Some(answer).filter(|answer| answer.status == 200).and_then(|answer| serde_json::from_str::<Tokens>(&answer.body).ok());
        tokens.filter(|tokens| tokens.token_type.eq_ignore_ascii_case("bearer") && tokens.expires_in > 0).ok_or(NotSignedIn::NoTokens)
    }

    /// Verifies an ID token (OpenID Connect Core 1.0, section 3.1.3.7) with the broker's own verifier, set up for this client and this
    /// sign-in: the nonce is a claim that the token has to have.
    async fn verify(&self, id_token: &str, nonce: &Secret, now: Timestamp) -> Result<VerifiedClaims, NotSignedIn> {
        let issuers = json!([{
            "id": "portal",
            "issuer": self.discovery.issuer,
            "audiences": [self.client_id],
            "algorithms": ["RS256"],
            "token_types": ["JWT"],
            "jwks": {"source": "url", "url": self.discovery.jwks_uri},
            "required_claims": {"nonce": [nonce.expose()]},
        }]);
        let issuers = parse_issuers(&issuers.to_string()).map_err(|error| NotSignedIn::IdToken(error.to_string()))?;
        let verifier = Verifier::new(issuers, self.transport.clone(), NoSnapshots, SystemClock::new());
        verifier.verify(id_token, now, PATIENCE).await.map_err(|error| match error {
            VerifyError::Refused { refusal, .. } => NotSignedIn::IdToken(refusal.as_str().to_owned()),
            VerifyError::Unavailable { failure, .. } => NotSignedIn::IdToken(failure.to_string()),
        })
    }
}

/// The user's name, of an ID token whose claims have been verified; without one the subject.
fn display_name(claims: &VerifiedClaims, id_token: &str) -> String {
    #[derive(Deserialize)]
    struct Profile {
        name: Option<String>,
    }
    let payload = id_token.split('.').nth(1).and_then(|payload| URL_SAFE_NO_PAD.decode(payload).ok());
    let profile = payload.and_then(|payload| serde_json::from_slice::<Profile>(&payload).ok());
    profile.and_then(|profile| profile.name).unwrap_or_else(|| claims.identity().subject.as_str().to_owned())
}

/// An error code of RFC 6749, which is all that is repeated of what came by way of the browser.
fn error_code(error: Option<&str>) -> String {
    let is_code = |error: &&str| (1..=40).contains(&error.len()) && error.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    error.filter(is_code).unwrap_or("no code").to_owned()
}

fn encoded(fields: &[(&str, &str)]) -> String {
    let mut text = String::new();
    for (name, value) in fields {
        if !text.is_empty() {
            text.push('&');
        }
        text.push_str(name);
        text.push('=');
        sigv4::push_encoded(&mut text, value.as_bytes());
    }
    text
}

/// The portal reads the issuer's keys at the issuer.
struct NoSnapshots;

impl SnapshotStore for NoSnapshots {
    async fn load(&self, _: &IssuerId, _: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        Ok(None)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn sign_in() -> SignIn {
        let address = |path: &str| format!("http://127.0.0.1:9{path}");
        let discovery = Discovery {
            issuer: address(""),
            authorization_endpoint: address("/authorize"),
            token_endpoint: address("/token"),
            jwks_uri: address("/jwks"),
        };
        SignIn {
            client_id: "portal".to_owned(),
            redirect_uri: "http://localhost:9/callback".to_owned(),
            discovery,
            transport: Transport::new(None).unwrap(),
            under_way: Mutex::default(),
        }
    }

    fn parameter<'a>(location: &'a str, name: &str) -> &'a str {
        location.split(['?', '&']).find_map(|pair| pair.strip_prefix(name)?.strip_prefix('=')).unwrap()
    }

    fn callback(state: &str) -> Callback {
        Callback { code: Some("code".into()), state: Some(state.into()), iss: Some("http://127.0.0.1:9".into()), error: None }
    }

    #[tokio::test]
    async fn a_sign_in_is_of_one_browser_and_tried_once() {
        let sign_in = sign_in();
        let begun = sign_in.begin(None, NOW).unwrap();
        let state = parameter(&begun.location, "state").to_owned();
        for (state, browser, at) in [
            ("other", Some(begun.browser.expose()), NOW),
            (state.as_str(), None, NOW),
            (state.as_str(), Some("other"), NOW),
            (state.as_str(), Some(begun.browser.expose()), NOW.plus_seconds(SIGN_IN_SECONDS)),
        ] {
            assert_eq!(sign_in.finish(callback(state), browser, at).await.unwrap_err(), NotSignedIn::NotBegun);
        }
        // The right one finds nobody at the token endpoint, and is used up.
        let finish = || sign_in.finish(callback(&state), Some(begun.browser.expose()), NOW);
        assert_eq!(finish().await.unwrap_err(), NotSignedIn::NoTokens);
        assert_eq!(finish().await.unwrap_err(), NotSignedIn::NotBegun);
    }

    #[tokio::test]
    async fn another_issuers_answer_and_an_error_end_it() {
        let sign_in = sign_in();
        for (change, expected) in [
            ((|callback| callback.iss = None) as fn(&mut Callback), NotSignedIn::OtherIssuer),
            (|callback| callback.iss = Some("http://127.0.0.1:10".into()), NotSignedIn::OtherIssuer),
            (|callback| callback.error = Some("access_denied".into()), NotSignedIn::Declined("access_denied".into())),
            (|callback| callback.error = Some("<b>Pay here</b>".into()), NotSignedIn::Declined("no code".into())),
            (|callback| callback.code = None, NotSignedIn::Declined("no code".into())),
        ] {
            let begun = sign_in.begin(None, NOW).unwrap();
            let mut callback = callback(parameter(&begun.location, "state"));
            change(&mut callback);
            assert_eq!(sign_in.finish(callback, Some(begun.browser.expose()), NOW).await.unwrap_err(), expected);
        }
    }

    #[test]
    fn two_tabs_share_a_cookie_and_nothing_else_gives_one() {
        let sign_in = sign_in();
        let first = sign_in.begin(Some("planted"), NOW).unwrap();
        assert_ne!(first.browser.expose(), "planted");
        let second = sign_in.begin(Some(first.browser.expose()), NOW).unwrap();
        assert_eq!(first.browser, second.browser);
        for name in ["state", "nonce", "code_challenge"] {
            assert_ne!(parameter(&first.location, name), parameter(&second.location, name), "{name}");
        }
        for _ in 0..2 * UNDER_WAY {
            sign_in.begin(None, NOW.plus_seconds(1)).unwrap();
        }
        assert_eq!(lock(&sign_in.under_way).len(), UNDER_WAY);
    }

    #[test]
    fn nothing_secret_is_shown() {
        let sign_in = sign_in();
        let begun = sign_in.begin(None, NOW).unwrap();
        assert!(!format!("{sign_in:?}").contains(parameter(&begun.location, "nonce")));
    }
}
