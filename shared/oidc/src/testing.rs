//! Keys, tokens, clocks and sources for the tests.

use std::collections::HashMap;
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, Mutex, OnceLock};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_domain::decision::Reason;
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Unavailable;

use crate::algorithm::Algorithm;
use crate::config::{IssuerConfig, parse_issuers};
use crate::fetch::{Fetch, FetchError, Limits};
use crate::snapshot::{KeySnapshot, SnapshotKeeper, SnapshotStore};
use crate::verifier::Verifier;

pub(crate) const ISSUER: &str = "https://idp.example/tenant";
pub(crate) const AUDIENCE: &str = "api://latchkey";

/// The time of the tests: 2026-01-01T00:00:00Z.
pub(crate) const NOW: i64 = 1_767_225_600;

pub(crate) const BUDGET: Duration = Duration::from_secs(4);

pub(crate) fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

/// A key pair of a test issuer.
pub(crate) enum Pair {
    Rsa(lc::RsaKeyPair),
    Ec(lc::EcdsaKeyPair, &'static str),
    Ed(lc::Ed25519KeyPair),
}

impl Pair {
    /// An RSA pair, the `n`th: made once, as making one takes its time.
    pub(crate) fn rsa(n: usize) -> &'static Self {
        static PAIRS: [OnceLock<Pair>; 4] = [const { OnceLock::new() }; 4];
        PAIRS[n].get_or_init(|| Self::Rsa(lc::RsaKeyPair::generate(KeySize::Rsa2048).unwrap()))
    }

    pub(crate) fn p256() -> &'static Self {
        static PAIR: OnceLock<Pair> = OnceLock::new();
        PAIR.get_or_init(|| Self::Ec(lc::EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), "P-256"))
    }

    pub(crate) fn p384() -> &'static Self {
        static PAIR: OnceLock<Pair> = OnceLock::new();
        PAIR.get_or_init(|| Self::Ec(lc::EcdsaKeyPair::generate(&lc::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(), "P-384"))
    }

    pub(crate) fn ed25519() -> &'static Self {
        static PAIR: OnceLock<Pair> = OnceLock::new();
        PAIR.get_or_init(|| Self::Ed(lc::Ed25519KeyPair::generate().unwrap()))
    }

    /// The pair that fits an algorithm.
    pub(crate) fn of(algorithm: Algorithm) -> &'static Self {
        match algorithm {
            Algorithm::RS256 | Algorithm::PS256 => Self::rsa(0),
            Algorithm::ES256 => Self::p256(),
            Algorithm::ES384 => Self::p384(),
            Algorithm::EdDSA => Self::ed25519(),
        }
    }

    /// The members of the public JWK that hold the key, without braces.
    pub(crate) fn members(&self) -> String {
        match self {
            Self::Rsa(pair) => {
                let (n, e) = rsa_components(pair.public_key().as_ref());
                format!(r#""kty":"RSA","n":"{}","e":"{}""#, b64(n), b64(e))
            }
            Self::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                format!(r#""kty":"EC","crv":"{curve}","x":"{}","y":"{}""#, b64(x), b64(y))
            }
            Self::Ed(pair) => format!(r#""kty":"OKP","crv":"Ed25519","x":"{}""#, b64(pair.public_key().as_ref())),
        }
    }

    /// The public JWK, with further members.
    pub(crate) fn jwk(&self, kid: &str, more: &str) -> String {
        format!(r#"{{"kid":"{kid}",{}{more}}}"#, self.members())
    }

    pub(crate) fn sign(&self, algorithm: Algorithm, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn lc::RsaEncoding =
                    if algorithm == Algorithm::PS256 { &lc::RSA_PSS_SHA256 } else { &lc::RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of exactly these texts.
    pub(crate) fn token(&self, algorithm: Algorithm, header: &str, claims: &str) -> String {
        let input = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign(algorithm, input.as_bytes());
        format!("{input}.{}", b64(signature))
    }
}

/// `n` and `e` of an `RSAPublicKey` (RFC 8017, appendix A.1.1).
fn rsa_components(der: &[u8]) -> (Vec<u8>, Vec<u8>) {
    fn element(der: &[u8]) -> (&[u8], &[u8]) {
        let (size, at) = match der[1] {
            short @ 0..0x80 => (usize::from(short), 2),
            long => {
                let digits = usize::from(long & 0x7f);
                (der[2..2 + digits].iter().fold(0, |size, &b| size << 8 | usize::from(b)), 2 + digits)
            }
        };
        der[at..].split_at(size)
    }
    let (sequence, _) = element(der);
    let (n, rest) = element(sequence);
    let (e, _) = element(rest);
    let trim = |bytes: &[u8]| bytes.iter().copied().skip_while(|b| *b == 0).collect();
    (trim(n), trim(e))
}

/// Claims as their texts, in order, so that a test can make them as odd as it needs.
#[derive(Clone)]
pub(crate) struct Claims(Vec<(String, String)>);

impl Claims {
    /// Claims that are accepted at [`NOW`].
    pub(crate) fn good() -> Self {
        Self(Vec::new())
            .with("iss", &format!("{ISSUER:?}"))
            .with("aud", &format!("{AUDIENCE:?}"))
            .with("sub", "\"user-1\"")
            .with("iat", &(NOW - 10).to_string())
            .with("exp", &(NOW + 3600).to_string())
    }

    /// With this claim, in place of one of that name.
    pub(crate) fn with(mut self, name: &str, json: &str) -> Self {
        match self.0.iter_mut().find(|(n, _)| n == name) {
            Some((_, value)) => *value = json.to_owned(),
            None => self.0.push((name.to_owned(), json.to_owned())),
        }
        self
    }

    pub(crate) fn without(mut self, name: &str) -> Self {
        self.0.retain(|(n, _)| n != name);
        self
    }

    pub(crate) fn json(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, json)| format!("{name:?}:{json}")).collect();
        format!("{{{}}}", members.join(","))
    }

    /// Signed as an ordinary token, by the RSA pair 0 under the `kid` "k0".
    pub(crate) fn signed(&self) -> String {
        Pair::rsa(0).token(Algorithm::RS256, r#"{"alg":"RS256","kid":"k0","typ":"JWT"}"#, &self.json())
    }
}

/// A key set of these JWKs.
pub(crate) fn key_set(keys: &[String]) -> String {
    format!(r#"{{"keys":[{}]}}"#, keys.join(","))
}

/// The configuration of one issuer with inline keys, and `more` members.
pub(crate) fn issuer_json(keys: &[String], more: &str) -> String {
    format!(
        r#"{{"id":"main","issuer":"{ISSUER}","audiences":["{AUDIENCE}"],"jwks":{{"source":"inline","keys":[{}]}}{more}}}"#,
        keys.join(",")
    )
}

pub(crate) fn config(json: &str) -> IssuerConfig {
    parse_issuers(&format!("[{json}]")).unwrap().remove(0)
}

/// A verifier of the issuers of this configuration, with a clock at [`NOW`] and nothing to load from.
pub(crate) fn verifier(issuers: &[String]) -> Verifier<Web, Table, ManualClock> {
    let world = World::new();
    Verifier::new(parse_issuers(&format!("[{}]", issuers.join(","))).unwrap(), world.web(), world.table(), world.clock)
}

/// A clock that is set by hand.
#[derive(Debug, Clone)]
pub(crate) struct ManualClock {
    wall: Arc<AtomicI64>,
    monotonic: Arc<AtomicI64>,
}

impl ManualClock {
    pub(crate) fn new() -> Self {
        Self { wall: Arc::new(AtomicI64::new(NOW * 1000)), monotonic: Arc::new(AtomicI64::new(0)) }
    }

    pub(crate) fn advance(&self, by: Duration) {
        self.advance_wall(by);
        self.advance_monotonic(by);
    }

    pub(crate) fn advance_wall(&self, by: Duration) {
        self.wall.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn set_back(&self, by: Duration) {
        self.wall.fetch_sub(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }

    pub(crate) fn advance_monotonic(&self, by: Duration) {
        self.monotonic.fetch_add(i64::try_from(by.as_millis()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_millis(self.wall.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::from_millis(u64::try_from(self.monotonic.load(Ordering::SeqCst)).unwrap())
    }
}

/// What a source answers.
#[derive(Debug, Clone)]
pub(crate) enum Answer {
    Document(String),
    /// The document, after that long; nothing where that is too long.
    Slow(Duration, String),
    Fails(FetchError),
}

/// The network, the table and the time of a test, kept by it to change them.
#[derive(Debug, Clone)]
pub(crate) struct World {
    pub(crate) clock: ManualClock,
    answers: Arc<Mutex<HashMap<String, Answer>>>,
    snapshots: Arc<Mutex<HashMap<String, Result<KeySnapshot, &'static str>>>>,
    asked: Arc<Mutex<Vec<String>>>,
}

impl World {
    pub(crate) fn new() -> Self {
        Self { clock: ManualClock::new(), answers: Arc::default(), snapshots: Arc::default(), asked: Arc::default() }
    }

    pub(crate) fn web(&self) -> Web {
        Web(self.clone())
    }

    pub(crate) fn table(&self) -> Table {
        Table(self.clone())
    }

    /// A verifier in this world.
    pub(crate) fn verifier(&self, issuers: &[&str]) -> Verifier<Web, Table, ManualClock> {
        let issuers = parse_issuers(&format!("[{}]", issuers.join(","))).unwrap();
        Verifier::new(issuers, self.web(), self.table(), self.clock.clone())
    }

    pub(crate) fn answer(&self, url: &str, answer: Answer) {
        self.answers.lock().unwrap().insert(url.to_owned(), answer);
    }

    /// Puts a key set into the table, fetched that long ago.
    pub(crate) fn store(&self, issuer: &str, jwks: &str, ago: Duration) {
        let fetched_at = Timestamp::from_unix_millis(self.clock.now().unix_millis() - i64::try_from(ago.as_millis()).unwrap());
        self.snapshots.lock().unwrap().insert(issuer.to_owned(), Ok(KeySnapshot { jwks: jwks.to_owned(), fetched_at }));
    }

    pub(crate) fn break_table(&self, issuer: &str, reason: &'static str) {
        self.snapshots.lock().unwrap().insert(issuer.to_owned(), Err(reason));
    }

    pub(crate) fn drop_snapshot(&self, issuer: &str) {
        self.snapshots.lock().unwrap().remove(issuer);
    }

    /// What was asked for since the last time, in order.
    pub(crate) fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.asked.lock().unwrap())
    }
}

/// [`World`] as the network.
#[derive(Debug)]
pub(crate) struct Web(World);

impl Fetch for Web {
    async fn get(&self, url: &str, limits: Limits) -> Result<Vec<u8>, FetchError> {
        self.0.asked.lock().unwrap().push(url.to_owned());
        // Let others run: a load must not look as if it took no time.
        tokio::task::yield_now().await;
        let answer = self.0.answers.lock().unwrap().get(url).cloned();
        match answer.unwrap_or(Answer::Fails(FetchError::Connect)) {
            Answer::Document(text) if text.len() > limits.max_bytes => Err(FetchError::TooLarge),
            Answer::Document(text) => Ok(text.into_bytes()),
            Answer::Slow(takes, _) if takes > limits.timeout => {
                self.0.clock.advance(limits.timeout);
                Err(FetchError::Timeout)
            }
            Answer::Slow(takes, text) => {
                self.0.clock.advance(takes);
                Ok(text.into_bytes())
            }
            Answer::Fails(error) => Err(error),
        }
    }
}

/// [`World`] as the table.
#[derive(Debug)]
pub(crate) struct Table(World);

impl SnapshotStore for Table {
    async fn load(&self, issuer: &IssuerId, _budget: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        self.0.asked.lock().unwrap().push(format!("table:{issuer}"));
        tokio::task::yield_now().await;
        match self.0.snapshots.lock().unwrap().get(issuer.as_str()) {
            None => Ok(None),
            Some(Ok(snapshot)) => Ok(Some(snapshot.clone())),
            Some(Err(reason)) => Err(Unavailable { reason: Reason(reason), detail: None, aws_request_id: None }),
        }
    }
}

impl SnapshotKeeper for Table {
    async fn save(&self, issuer: &IssuerId, snapshot: &KeySnapshot, source: &str, _budget: Duration) -> Result<bool, Unavailable> {
        self.0.asked.lock().unwrap().push(format!("save:{issuer}:{source}"));
        let mut snapshots = self.0.snapshots.lock().unwrap();
        match snapshots.get(issuer.as_str()) {
            Some(Err(reason)) => return Err(Unavailable { reason: Reason(reason), detail: None, aws_request_id: None }),
            Some(Ok(kept)) if kept.fetched_at > snapshot.fetched_at => return Ok(false),
            Some(Ok(_)) | None => {}
        }
        snapshots.insert(issuer.as_str().to_owned(), Ok(snapshot.clone()));
        Ok(true)
    }
}
