//! Tokens that are made of good ones by changing them.

use std::sync::OnceLock;
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, Ed25519KeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use futures_util::FutureExt as _;
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Unavailable;
use latchkey_oidc::config::parse_issuers;
use latchkey_oidc::fetch::{Fetch, FetchError, Limits};
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotStore};
use latchkey_oidc::verifier::{Verifier, VerifyError};
use serde_json::{Value, json};

const NOW: i64 = 1_767_225_600;
const ISSUER: &str = "https://idp.example/tenant";

/// The issuer's keys, or a forger's of the same kinds. Made anew in each process: what is changed is told by position, so that an input
/// means the same again, and no secret key lies in a file.
struct Pairs {
    rsa: RsaKeyPair,
    p256: EcdsaKeyPair,
    ed: Ed25519KeyPair,
}

const ALGORITHMS: [&str; 3] = ["RS256", "ES256", "EdDSA"];

impl Pairs {
    fn new() -> Option<Self> {
        Some(Self {
            rsa: RsaKeyPair::generate(KeySize::Rsa2048).ok()?,
            p256: EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).ok()?,
            ed: Ed25519KeyPair::generate().ok()?,
        })
    }

    fn sign(&self, algorithm: usize, message: &[u8]) -> Option<Vec<u8>> {
        let random = SystemRandom::new();
        match algorithm % ALGORITHMS.len() {
            0 => {
                let mut signature = vec![0; self.rsa.public_modulus_len()];
                self.rsa.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).ok()?;
                Some(signature)
            }
            1 => Some(self.p256.sign(&random, message).ok()?.as_ref().to_vec()),
            _ => Some(self.ed.sign(message).as_ref().to_vec()),
        }
    }

    /// The public keys, each under the name of its algorithm.
    fn jwks(&self) -> Option<Value> {
        let encode = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        // An RSAPublicKey (RFC 8017, appendix A.1.1) of 2048 bits with the exponent 65537: the modulus is after nine bytes.
        let n = self.rsa.public_key().as_ref().get(9..265)?;
        let point = self.p256.public_key().as_ref();
        Some(json!([
            {"kid": "RS256", "kty": "RSA", "n": encode(n), "e": "AQAB"},
            {"kid": "ES256", "kty": "EC", "crv": "P-256", "x": encode(point.get(1..33)?), "y": encode(point.get(33..65)?)},
            {"kid": "EdDSA", "kty": "OKP", "crv": "Ed25519", "x": encode(self.ed.public_key().as_ref())},
        ]))
    }
}

/// Nothing is fetched and nothing is read: the keys are in the configuration.
struct Nowhere;

impl Fetch for Nowhere {
    async fn get(&self, _url: &str, _limits: Limits) -> Result<Vec<u8>, FetchError> {
        Err(FetchError::BadUrl)
    }
}

impl SnapshotStore for Nowhere {
    async fn load(&self, _issuer: &IssuerId, _budget: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        Ok(None)
    }
}

impl Clock for Nowhere {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(NOW)
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

struct Bench {
    verifier: Verifier<Nowhere, Nowhere, Nowhere>,
    forger: Pairs,
    /// Good tokens: one for each algorithm, and another of the same issuer's for each.
    good: Vec<String>,
}

impl Bench {
    fn new() -> Option<Self> {
        let (issuer, forger) = (Pairs::new()?, Pairs::new()?);
        let issuers = json!([{
            "id": "main", "issuer": ISSUER, "audiences": ["a"], "algorithms": ALGORITHMS,
            "jwks": {"source": "inline", "keys": issuer.jwks()?},
        }]);
        let verifier = Verifier::new(parse_issuers(&issuers.to_string()).ok()?, Nowhere, Nowhere, Nowhere);
        let mut good = Vec::new();
        for (index, algorithm) in ALGORITHMS.iter().enumerate() {
            for subject in ["alice", "bob"] {
                let header = json!({"alg": algorithm, "kid": algorithm, "typ": "JWT"}).to_string();
                let claims = json!({"iss": ISSUER, "aud": "a", "sub": subject, "iat": NOW, "exp": NOW + 600, "jti": "1"}).to_string();
                let input = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
                let signature = issuer.sign(index, input.as_bytes())?;
                good.push(format!("{input}.{}", URL_SAFE_NO_PAD.encode(signature)));
            }
        }
        let bench = Self { verifier, forger, good };
        // Otherwise that nothing is verified would say nothing.
        bench.good.iter().all(|token| bench.verifies(token)).then_some(bench)
    }

    fn verifies(&self, token: &str) -> bool {
        let verified = self.verifier.verify(token, Timestamp::from_unix_seconds(NOW), Duration::from_secs(1)).now_or_never();
        assert!(verified.is_some(), "nothing is waited for");
        assert!(!matches!(verified, Some(Err(VerifyError::Unavailable { .. }))), "no token makes keys unavailable");
        matches!(verified, Some(Ok(_)))
    }
}

fn bench() -> &'static Bench {
    static BENCH: OnceLock<Bench> = OnceLock::new();
    #[expect(clippy::expect_used, reason = "a target that tries nothing would hold for any input")]
    BENCH.get_or_init(|| Bench::new().expect("good tokens can be made, and are verified"))
}

/// What an input says, byte by byte; zeros at its end.
struct Script<'a>(&'a [u8]);

impl<'a> Script<'a> {
    fn byte(&mut self) -> u8 {
        self.0.split_off_first().copied().unwrap_or(0)
    }

    /// A position within that many.
    fn at(&mut self, length: usize) -> usize {
        let position = usize::from(self.byte()) << 8 | usize::from(self.byte());
        position % length.max(1)
    }

    /// A text of the length that comes first.
    fn bytes(&mut self) -> &'a [u8] {
        let length = usize::from(self.byte()).min(self.0.len());
        self.0.split_off(..length).unwrap_or_default()
    }
}

/// Changes a good token as `data` says: its characters, its parts, the bytes that its parts stand for, their JSON, and whose signature it
/// has. However it was changed, it is not verified, unless it is a good one still, byte for byte.
pub fn forged_token(data: &[u8]) {
    let bench = bench();
    let mut script = Script(data);
    let Some(first) = bench.good.get(usize::from(script.byte()) % bench.good.len()) else { return };
    let mut token = first.clone().into_bytes();
    for _ in 0..8 {
        if script.0.is_empty() {
            break;
        }
        token = change(bench, token, &mut script);
    }
    let Ok(text) = String::from_utf8(token) else { return };
    if bench.verifies(&text) {
        assert!(bench.good.contains(&text), "a token was verified that nobody has signed");
    }
}

/// One change.
fn change(bench: &Bench, mut token: Vec<u8>, script: &mut Script<'_>) -> Vec<u8> {
    match script.byte() % 9 {
        0 => {
            let at = script.at(token.len());
            if let Some(byte) = token.get_mut(at) {
                *byte = script.byte();
            }
            token
        }
        1 => {
            let at = script.at(token.len());
            token.splice(at..at, script.bytes().iter().copied());
            token
        }
        2 => {
            let at = script.at(token.len());
            let end = at.saturating_add(usize::from(script.byte())).min(token.len());
            token.drain(at..end);
            token
        }
        3 => with_part(token, script, |_, script| script.bytes().to_vec()),
        4 => {
            let other = bench.good.get(usize::from(script.byte()) % bench.good.len()).map(String::as_bytes).unwrap_or_default();
            with_part(token, script, |which, _| other.split(|b| *b == b'.').nth(which).unwrap_or_default().to_vec())
        }
        // What a part stands for, changed: a byte, a text between, a text cut out.
        5 => within(token, script, |bytes, script| {
            let at = script.at(bytes.len());
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= script.byte();
            }
        }),
        6 => within(token, script, |bytes, script| {
            let at = script.at(bytes.len() + 1);
            let end = at.saturating_add(usize::from(script.byte() % 32)).min(bytes.len());
            bytes.splice(at..end, script.bytes().iter().copied());
        }),
        // A member, put first or last into an object.
        7 => within(token, script, |bytes, script| {
            let (first, member) = (script.byte() % 2 == 0, script.bytes());
            let member = if first { [member, b","].concat() } else { [b",", member].concat() };
            let at = if first { 1 } else { bytes.len().saturating_sub(1) };
            if at <= bytes.len() {
                bytes.splice(at..at, member);
            }
        }),
        // Signed by a forger, who has keys of the same kinds.
        _ => {
            let end = token.iter().rposition(|b| *b == b'.').unwrap_or(token.len());
            token.truncate(end);
            let signature = bench.forger.sign(usize::from(script.byte()), &token).unwrap_or_default();
            [&token[..], b".", URL_SAFE_NO_PAD.encode(signature).as_bytes()].concat()
        }
    }
}

/// The token with another text for one of its parts.
fn with_part(token: Vec<u8>, script: &mut Script<'_>, make: impl FnOnce(usize, &mut Script<'_>) -> Vec<u8>) -> Vec<u8> {
    let mut parts: Vec<Vec<u8>> = token.split(|b| *b == b'.').map(<[u8]>::to_vec).collect();
    let which = usize::from(script.byte()) % parts.len();
    if let Some(part) = parts.get_mut(which) {
        *part = make(which, script);
    }
    parts.join(&b'.')
}

/// The token with other bytes for what one of its parts stands for.
fn within(token: Vec<u8>, script: &mut Script<'_>, change: impl FnOnce(&mut Vec<u8>, &mut Script<'_>)) -> Vec<u8> {
    let parts: Vec<Vec<u8>> = token.split(|b| *b == b'.').map(<[u8]>::to_vec).collect();
    with_part(token, script, |which, script| {
        let part = parts.get(which).cloned().unwrap_or_default();
        let Ok(mut bytes) = URL_SAFE_NO_PAD.decode(&part) else { return part };
        change(&mut bytes, script);
        URL_SAFE_NO_PAD.encode(bytes).into_bytes()
    })
}
