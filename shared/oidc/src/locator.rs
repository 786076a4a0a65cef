//! From an issuer to its key set over https, by discovery where no address is configured.
//!
//! The broker uses it for issuers with `jwks.source = url`; the refresher uses it for those with `jwks.source = table`.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use latchkey_domain::clock::{Clock, Deadline};

use crate::config::{IssuerConfig, KeySource, discovery_url};
use crate::endpoint;
use crate::fetch::{Fetch, FetchError, Limits};
use crate::json::{self, Value};
use crate::key_cache::Moment;
use crate::key_set::KeySet;
use crate::refusal::KeyFailure;

/// For how long a discovered address is used before discovery is asked again. It is asked sooner when the address fails.
pub const DISCOVERY_LIFE: Duration = Duration::from_secs(3600);

/// Finds and fetches one issuer's key set.
#[derive(Debug)]
pub struct KeySetLocator {
    issuer: String,
    /// The configured address; none for discovery.
    url: Option<String>,
    discovered: Mutex<Option<(String, Moment)>>,
}

/// A key set as it was fetched.
#[derive(Debug)]
pub struct FetchedKeySet {
    /// The address that it came from.
    pub url: String,
    /// The document, for whoever keeps it.
    pub document: Vec<u8>,
    /// What it says. At least one key is usable.
    pub keys: KeySet,
}

impl KeySetLocator {
    /// For an issuer as it is configured: its `jwks.url` where it has one, otherwise by discovery.
    pub fn new(issuer: &IssuerConfig) -> Self {
        let url = match &issuer.keys {
            KeySource::Url { url } => url.clone(),
            KeySource::Table | KeySource::Inline { .. } => None,
        };
        Self { issuer: issuer.issuer.clone(), url, discovered: Mutex::new(None) }
    }

    /// Fetches the key set within `budget`: one document, or two with discovery.
    ///
    /// # Errors
    /// It could not be had, or has no usable key.
    pub async fn fetch(&self, fetch: &impl Fetch, clock: &impl Clock, budget: Duration) -> Result<FetchedKeySet, KeyFailure> {
        let deadline = Deadline::after(clock, budget);
        let fetched = self.fetch_within(fetch, clock, deadline).await;
        if fetched.is_err() {
            // The address may have moved: next time it is asked for anew.
            *self.discovered.lock().unwrap_or_else(PoisonError::into_inner) = None;
        }
        fetched
    }

    async fn fetch_within(&self, fetch: &impl Fetch, clock: &impl Clock, deadline: Deadline) -> Result<FetchedKeySet, KeyFailure> {
        let url = match &self.url {
            Some(url) => url.clone(),
            None => self.discover(fetch, clock, deadline).await?,
        };
        let document = get(fetch, &url, deadline.remaining(clock)).await.map_err(|failure| match failure {
            Failure::OutOfTime => KeyFailure::OutOfTime,
            Failure::Fetch(error) => KeyFailure::Fetch(error),
        })?;
        let keys = KeySet::parse(&document).map_err(|_| KeyFailure::NotAKeySet)?;
        if keys.is_usable() { Ok(FetchedKeySet { url, document, keys }) } else { Err(KeyFailure::NoUsableKey) }
    }

    /// The address of the key set as the issuer's discovery document names it (OpenID Connect Discovery 1.0, section 4).
    async fn discover(&self, fetch: &impl Fetch, clock: &impl Clock, deadline: Deadline) -> Result<String, KeyFailure> {
        let now = Moment::now(clock);
        if let Some((url, at)) = &*self.discovered.lock().unwrap_or_else(PoisonError::into_inner)
            && now.since(*at) < DISCOVERY_LIFE
        {
            return Ok(url.clone());
        }
        let discovery = discovery_url(&self.issuer).ok_or(KeyFailure::Discovery)?;
        let document = get(fetch, &discovery, deadline.remaining(clock)).await.map_err(|failure| match failure {
            Failure::OutOfTime => KeyFailure::OutOfTime,
            Failure::Fetch(error) => KeyFailure::DiscoveryFetch(error),
        })?;
        let url = read_discovery(&document, &self.issuer).ok_or(KeyFailure::Discovery)?;
        *self.discovered.lock().unwrap_or_else(PoisonError::into_inner) = Some((url.clone(), Moment::now(clock)));
        Ok(url)
    }
}

enum Failure {
    OutOfTime,
    Fetch(FetchError),
}

async fn get(fetch: &impl Fetch, url: &str, budget: Duration) -> Result<Vec<u8>, Failure> {
    if budget.is_zero() {
        return Err(Failure::OutOfTime);
    }
    let limits = Limits::within(budget);
    let document = fetch.get(url, limits).await.map_err(Failure::Fetch)?;
    // An implementation that forgets the bound must not make the parsers do the work.
    if document.len() > limits.max_bytes { Err(Failure::Fetch(FetchError::TooLarge)) } else { Ok(document) }
}

/// `jwks_uri` of a discovery document that is `issuer`'s own: its `issuer` is the same byte for byte (section 4.3), as
/// otherwise whoever can put a document at an address of that host could name keys for it.
fn read_discovery(document: &[u8], issuer: &str) -> Option<String> {
    let document = json::parse_object(document).ok()?;
    if document.get("issuer").and_then(Value::as_text) != Some(issuer) {
        return None;
    }
    let url = document.get("jwks_uri").and_then(Value::as_text)?;
    endpoint::check(url).ok()?;
    Some(url.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fetch::{FETCH_TIMEOUT, MAX_DOCUMENT_BYTES};
    use crate::testing::{Answer, BUDGET, ISSUER, Pair, World, config, key_set};

    const DISCOVERY: &str = "https://idp.example/tenant/.well-known/openid-configuration";
    const KEYS: &str = "https://keys.example/jwks";

    fn document(issuer: &str, jwks_uri: &str) -> Answer {
        Answer::Document(format!(
            r#"{{"issuer":{issuer:?},"jwks_uri":{jwks_uri:?},"token_endpoint":"https://x","claims_supported":["sub"]}}"#
        ))
    }

    fn keys() -> Answer {
        Answer::Document(key_set(&[Pair::p256().jwk("k", "")]))
    }

    fn by_discovery() -> (World, KeySetLocator) {
        let world = World::new();
        world.answer(DISCOVERY, document(ISSUER, KEYS));
        world.answer(KEYS, keys());
        let config = config(&format!(r#"{{"id":"main","issuer":"{ISSUER}","audiences":["a"],"jwks":{{"source":"url"}}}}"#));
        (world, KeySetLocator::new(&config))
    }

    async fn fetch(world: &World, locator: &KeySetLocator) -> Result<FetchedKeySet, KeyFailure> {
        locator.fetch(&world.web(), &world.clock, BUDGET).await
    }

    #[tokio::test]
    async fn discovery_is_asked_once_and_again_after_a_failure_or_an_hour() {
        let (world, locator) = by_discovery();
        assert_eq!(fetch(&world, &locator).await.unwrap().keys.keys().len(), 1);
        assert_eq!(world.asked(), [DISCOVERY, KEYS]);
        fetch(&world, &locator).await.unwrap();
        assert_eq!(world.asked(), [KEYS]);
        world.answer(KEYS, Answer::Fails(FetchError::Status(404)));
        assert_eq!(fetch(&world, &locator).await.err(), Some(KeyFailure::Fetch(FetchError::Status(404))));
        world.asked();
        world.answer(DISCOVERY, document(ISSUER, "https://moved.example/jwks"));
        world.answer("https://moved.example/jwks", keys());
        fetch(&world, &locator).await.unwrap();
        assert_eq!(world.asked(), [DISCOVERY, "https://moved.example/jwks"]);
        world.clock.advance(DISCOVERY_LIFE);
        fetch(&world, &locator).await.unwrap();
        assert_eq!(world.asked().len(), 2);
    }

    #[tokio::test]
    async fn a_configured_address_needs_no_discovery() {
        let (world, _) = by_discovery();
        let config = config(&format!(r#"{{"id":"main","issuer":"opaque","audiences":["a"],"jwks":{{"source":"url","url":"{KEYS}"}}}}"#));
        let locator = KeySetLocator::new(&config);
        let fetched = fetch(&world, &locator).await.unwrap();
        assert_eq!(fetched.document, key_set(&[Pair::p256().jwk("k", "")]).into_bytes());
        assert_eq!(world.asked(), [KEYS]);
    }

    #[tokio::test]
    async fn a_discovery_document_is_the_issuers_own_and_names_an_allowed_address() {
        let (world, locator) = by_discovery();
        for answer in [
            document("https://idp.example/tenant/", KEYS),
            document("https://IDP.example/tenant", KEYS),
            document("https://evil.example", KEYS),
            document(ISSUER, "http://keys.example/jwks"),
            document(ISSUER, "http://169.254.169.254/latest"),
            document(ISSUER, "file:///etc/passwd"),
            document(ISSUER, ""),
            Answer::Document(format!(r#"{{"issuer":"{ISSUER}"}}"#)),
            Answer::Document(format!(r#"{{"jwks_uri":"{KEYS}"}}"#)),
            Answer::Document(format!(r#"{{"issuer":"{ISSUER}","jwks_uri":"{KEYS}","jwks_uri":"https://evil.example"}}"#)),
            Answer::Document("<html>sign in</html>".into()),
            Answer::Document(String::new()),
        ] {
            world.answer(DISCOVERY, answer.clone());
            assert_eq!(fetch(&world, &locator).await.err(), Some(KeyFailure::Discovery), "{answer:?}");
            assert_eq!(world.asked(), [DISCOVERY]);
        }
        world.answer(DISCOVERY, Answer::Fails(FetchError::Redirect));
        assert_eq!(fetch(&world, &locator).await.err(), Some(KeyFailure::DiscoveryFetch(FetchError::Redirect)));
    }

    #[tokio::test]
    async fn what_is_no_usable_key_set_is_a_failure() {
        let (world, locator) = by_discovery();
        for (answer, failure) in [
            (Answer::Document("<html>".into()), KeyFailure::NotAKeySet),
            (Answer::Document(key_set(&[])), KeyFailure::NoUsableKey),
            (Answer::Document(key_set(&[Pair::p256().jwk("k", r#","use":"enc""#)])), KeyFailure::NoUsableKey),
            (Answer::Document(" ".repeat(MAX_DOCUMENT_BYTES + 1)), KeyFailure::Fetch(FetchError::TooLarge)),
            (Answer::Slow(BUDGET + Duration::from_secs(1), String::new()), KeyFailure::Fetch(FetchError::Timeout)),
        ] {
            world.answer(KEYS, answer);
            assert_eq!(fetch(&world, &locator).await.err(), Some(failure));
        }
    }

    #[tokio::test]
    async fn both_documents_share_one_budget() {
        let (world, locator) = by_discovery();
        let Answer::Document(text) = document(ISSUER, KEYS) else { unreachable!() };
        world.answer(DISCOVERY, Answer::Slow(BUDGET, text));
        assert_eq!(fetch(&world, &locator).await.err(), Some(KeyFailure::OutOfTime));
        assert_eq!(world.asked(), [DISCOVERY]);
    }

    /// A fetcher that keeps to no limit: every document has so many bytes.
    struct Careless(usize);

    impl Fetch for Careless {
        async fn get(&self, _url: &str, _limits: Limits) -> Result<Vec<u8>, FetchError> {
            Ok(vec![b' '; self.0])
        }
    }

    #[tokio::test]
    async fn a_document_that_is_too_large_is_not_read_whoever_fetched_it() {
        let (world, locator) = by_discovery();
        let fetched = locator.fetch(&Careless(MAX_DOCUMENT_BYTES + 1), &world.clock, BUDGET).await;
        assert_eq!(fetched.err(), Some(KeyFailure::DiscoveryFetch(FetchError::TooLarge)));
        // The largest is read, and found to be no such document.
        let fetched = locator.fetch(&Careless(MAX_DOCUMENT_BYTES), &world.clock, BUDGET).await;
        assert_eq!(fetched.err(), Some(KeyFailure::Discovery));
    }

    #[test]
    fn limits_are_within_the_budget_and_within_five_seconds() {
        assert_eq!(Limits::within(Duration::from_secs(60)).timeout, FETCH_TIMEOUT);
        assert_eq!(Limits::within(Duration::from_secs(1)).timeout, Duration::from_secs(1));
        assert_eq!(Limits::within(FETCH_TIMEOUT).max_bytes, 256 * 1024);
    }
}
