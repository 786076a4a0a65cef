//! Keys, signatures and tokens as a forger can make them, and as an issuer makes them that is trusted.

use aws_lc_rs::encoding::AsDer as _;
use aws_lc_rs::hmac;
use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature as lc;
use aws_lc_rs::signature::KeyPair as _;
use base64::Engine as _;
use base64::engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD};
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_standin::idp::rsa_public_key;
use serde_json::{Value, json};

/// The issuer under whose id the made-up bank's users have their grants.
pub const ISSUER: &str = "https://idp.example/tenant";
/// Another trusted issuer, with other keys under the same ids.
pub const SECOND: &str = "https://second.example";
/// Who the tokens are for.
pub const AUDIENCE: &str = "api://latchkey";

/// How tokens can be signed that are verified.
pub const ALGORITHMS: [&str; 5] = ["RS256", "PS256", "ES256", "ES384", "EdDSA"];

/// The orders of P-256 and P-384.
pub const ORDER_256: &str = "ffffffff00000000ffffffffffffffffbce6faada7179e84f3b9cac2fc632551";
pub const ORDER_384: &str = "ffffffffffffffffffffffffffffffffffffffffffffffffc7634d81f4372ddf581a0db248b0a77aecec196accc52973";

pub fn b64(bytes: impl AsRef<[u8]>) -> String {
    URL_SAFE_NO_PAD.encode(bytes)
}

pub fn hex(text: &str) -> Vec<u8> {
    (0..text.len()).step_by(2).map(|at| u8::from_str_radix(&text[at..at + 2], 16).unwrap()).collect()
}

/// `a - b`, both big-endian and of one length.
pub fn minus(a: &[u8], b: &[u8]) -> Vec<u8> {
    let mut borrow = 0;
    let mut difference: Vec<u8> = a
        .iter()
        .zip(b)
        .rev()
        .map(|(a, b)| {
            let digit = i16::from(*a) - i16::from(*b) - borrow;
            borrow = i16::from(digit < 0);
            u8::try_from(digit.rem_euclid(256)).unwrap()
        })
        .collect();
    difference.reverse();
    difference
}

/// `a + b`, both little-endian and of one length; none where it does not fit.
pub fn plus_little_endian(a: &[u8], b: &[u8]) -> Option<Vec<u8>> {
    let mut carry = 0;
    let add = |(a, b): (&u8, &u8)| {
        let sum = u16::from(*a) + u16::from(*b) + carry;
        carry = sum >> 8;
        u8::try_from(sum & 0xff).unwrap()
    };
    let sum = a.iter().zip(b).map(add).collect();
    (carry == 0).then_some(sum)
}

/// A key pair.
pub enum Pair {
    Rsa(lc::RsaKeyPair),
    Ec(lc::EcdsaKeyPair, &'static str),
    Ed(lc::Ed25519KeyPair),
}

impl Pair {
    pub fn rsa() -> Self {
        Self::Rsa(lc::RsaKeyPair::generate(KeySize::Rsa2048).unwrap())
    }

    pub fn p256() -> Self {
        Self::Ec(lc::EcdsaKeyPair::generate(&lc::ECDSA_P256_SHA256_FIXED_SIGNING).unwrap(), "P-256")
    }

    pub fn p384() -> Self {
        Self::Ec(lc::EcdsaKeyPair::generate(&lc::ECDSA_P384_SHA384_FIXED_SIGNING).unwrap(), "P-384")
    }

    pub fn ed25519() -> Self {
        Self::Ed(lc::Ed25519KeyPair::generate().unwrap())
    }

    /// The public key as a JWK, with these members besides.
    pub fn jwk(&self, kid: &str, more: &Value) -> Value {
        let mut jwk = match self {
            Self::Rsa(pair) => {
                let (n, e) = rsa_public_key(pair.public_key().as_ref()).unwrap();
                json!({"kty": "RSA", "n": b64(n), "e": b64(e)})
            }
            Self::Ec(pair, curve) => {
                let point = &pair.public_key().as_ref()[1..];
                let (x, y) = point.split_at(point.len() / 2);
                json!({"kty": "EC", "crv": curve, "x": b64(x), "y": b64(y)})
            }
            Self::Ed(pair) => json!({"kty": "OKP", "crv": "Ed25519", "x": b64(pair.public_key().as_ref())}),
        };
        jwk["kid"] = kid.into();
        jwk.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        jwk
    }

    /// The public key in every form in which somebody could take it for a secret.
    pub fn encodings(&self) -> Vec<(&'static str, Vec<u8>)> {
        let (raw, spki) = match self {
            Self::Rsa(pair) => (pair.public_key().as_ref().to_vec(), pair.public_key().as_der().unwrap().as_ref().to_vec()),
            Self::Ec(pair, _) => (pair.public_key().as_ref().to_vec(), pair.public_key().as_der().unwrap().as_ref().to_vec()),
            Self::Ed(pair) => (pair.public_key().as_ref().to_vec(), pair.public_key().as_der().unwrap().as_ref().to_vec()),
        };
        let lines = |der: &[u8]| {
            let text = STANDARD.encode(der);
            text.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect::<Vec<_>>().join("\n")
        };
        let pem = format!("-----BEGIN PUBLIC KEY-----\n{}\n-----END PUBLIC KEY-----", lines(&spki));
        let jwk = self.jwk("k", &json!({}));
        vec![
            ("PEM", pem.clone().into_bytes()),
            ("PEM with a line end", format!("{pem}\n").into_bytes()),
            ("PEM with CR LF", pem.replace('\n', "\r\n").into_bytes()),
            ("PEM of a certificate", pem.replace("PUBLIC KEY", "CERTIFICATE").into_bytes()),
            ("PKCS #1 PEM", format!("-----BEGIN RSA PUBLIC KEY-----\n{}\n-----END RSA PUBLIC KEY-----\n", lines(&raw)).into_bytes()),
            ("base64 of the SPKI", STANDARD.encode(&spki).into_bytes()),
            ("SPKI", spki),
            ("base64 of the raw key", STANDARD.encode(&raw).into_bytes()),
            ("the raw key", raw),
            ("JWK", jwk.to_string().into_bytes()),
            ("key set", json!({"keys": [jwk]}).to_string().into_bytes()),
            ("the number in the JWK", jwk.get("n").or(jwk.get("x")).unwrap().as_str().unwrap().as_bytes().to_vec()),
            ("nothing", Vec::new()),
        ]
    }

    pub fn sign(&self, algorithm: &str, message: &[u8]) -> Vec<u8> {
        match self {
            Self::Rsa(pair) => {
                let encoding: &'static dyn lc::RsaEncoding = if algorithm == "PS256" { &lc::RSA_PSS_SHA256 } else { &lc::RSA_PKCS1_SHA256 };
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(encoding, &SystemRandom::new(), message, &mut signature).unwrap();
                signature
            }
            Self::Ec(pair, _) => pair.sign(&SystemRandom::new(), message).unwrap().as_ref().to_vec(),
            Self::Ed(pair) => pair.sign(message).as_ref().to_vec(),
        }
    }

    /// A token of exactly these texts.
    pub fn token(&self, algorithm: &str, header: impl AsRef<[u8]>, claims: impl AsRef<[u8]>) -> String {
        let input = format!("{}.{}", b64(header), b64(claims));
        let signature = self.sign(algorithm, input.as_bytes());
        format!("{input}.{}", b64(signature))
    }
}

pub fn hmac(algorithm: &str, secret: &[u8], message: &[u8]) -> Vec<u8> {
    let algorithm = match algorithm {
        "HS384" => hmac::HMAC_SHA384,
        "HS512" => hmac::HMAC_SHA512,
        _ => hmac::HMAC_SHA256,
    };
    hmac::sign(&hmac::Key::new(algorithm, secret), message).as_ref().to_vec()
}

/// Claims as their texts, in order, so that they can be as odd as a member needs.
#[derive(Clone)]
pub struct Claims(Vec<(String, String)>);

impl Claims {
    /// With this claim, in place of one of that name.
    #[must_use]
    pub fn with(mut self, name: &str, json: impl Into<String>) -> Self {
        match self.0.iter_mut().find(|(other, _)| other == name) {
            Some((_, value)) => *value = json.into(),
            None => self.0.push((name.to_owned(), json.into())),
        }
        self
    }

    #[must_use]
    pub fn without(mut self, name: &str) -> Self {
        self.0.retain(|(other, _)| other != name);
        self
    }

    pub fn json(&self) -> String {
        let members: Vec<_> = self.0.iter().map(|(name, json)| format!("\"{name}\":{json}")).collect();
        format!("{{{}}}", members.join(","))
    }
}

/// Everything that tokens are made with: the trusted issuers' keys, and a stranger's.
pub struct Forge {
    pub rsa: Pair,
    /// Published as one for RS256 alone.
    pub rs256: Pair,
    pub p256: Pair,
    pub p384: Pair,
    pub ed: Pair,
    pub second_rsa: Pair,
    pub second_p256: Pair,
    pub stranger_rsa: Pair,
    pub stranger_p256: Pair,
    pub stranger_ed: Pair,
    /// The subject of the good tokens.
    pub subject: String,
    /// Where nobody is to call.
    pub trap: String,
    pub now: i64,
}

impl Forge {
    pub fn new(subject: &str, trap: &str) -> Self {
        Self {
            rsa: Pair::rsa(),
            rs256: Pair::rsa(),
            p256: Pair::p256(),
            p384: Pair::p384(),
            ed: Pair::ed25519(),
            second_rsa: Pair::rsa(),
            second_p256: Pair::p256(),
            stranger_rsa: Pair::rsa(),
            stranger_p256: Pair::p256(),
            stranger_ed: Pair::ed25519(),
            subject: subject.to_owned(),
            trap: trap.to_owned(),
            now: SystemClock::new().now().unix_seconds(),
        }
    }

    /// Makes its tokens as of now.
    pub fn go_on(&mut self) {
        self.now = SystemClock::new().now().unix_seconds();
    }

    /// `LATCHKEY_ISSUERS`: both issuers, with their keys in it, so that no key has to be fetched.
    pub fn issuers(&self, id: &str) -> Value {
        let keys = json!([
            self.rsa.jwk("k-rsa", &json!({})),
            self.rs256.jwk("k-rs256", &json!({"alg": "RS256", "use": "sig"})),
            self.p256.jwk("k-p256", &json!({})),
            self.p384.jwk("k-p384", &json!({})),
            self.ed.jwk("k-ed", &json!({})),
        ]);
        let second = json!([self.second_rsa.jwk("k-rsa", &json!({})), self.second_p256.jwk("k-p256", &json!({}))]);
        json!([
            {"id": id, "issuer": ISSUER, "audiences": [AUDIENCE], "algorithms": ALGORITHMS, "jwks": {"source": "inline", "keys": keys}},
            {"id": "second", "issuer": SECOND, "audiences": [AUDIENCE], "jwks": {"source": "inline", "keys": second}},
        ])
    }

    /// The keys of the issuer, each with its id and what it can be used for.
    pub fn keys(&self) -> [(&'static str, &Pair, &'static [&'static str]); 5] {
        [
            ("k-rsa", &self.rsa, &["RS256", "PS256"]),
            ("k-rs256", &self.rs256, &["RS256"]),
            ("k-p256", &self.p256, &["ES256"]),
            ("k-p384", &self.p384, &["ES384"]),
            ("k-ed", &self.ed, &["EdDSA"]),
        ]
    }

    /// The issuer's key for an algorithm, and its id.
    pub fn key_of(&self, algorithm: &str) -> (&'static str, &Pair) {
        let (kid, pair, _) = self.keys().into_iter().find(|(.., algorithms)| algorithms.contains(&algorithm)).unwrap();
        (kid, pair)
    }

    /// Claims that are accepted.
    pub fn good(&self) -> Claims {
        Claims(Vec::new())
            .with("iss", format!("\"{ISSUER}\""))
            .with("aud", format!("\"{AUDIENCE}\""))
            .with("sub", format!("\"{}\"", self.subject))
            .with("iat", (self.now - 10).to_string())
            .with("exp", (self.now + 3600).to_string())
    }

    /// A token with these claims that the issuer signs, whatever they are. With ES256, as that is quick.
    pub fn signed(&self, claims: impl AsRef<[u8]>) -> String {
        self.p256.token("ES256", header("ES256", "k-p256"), claims)
    }

    /// A token with this header and good claims that the issuer signs, whatever the header says.
    pub fn headed(&self, header: impl AsRef<[u8]>) -> String {
        self.p256.token("ES256", header, self.good().json())
    }

    /// A token that is good.
    pub fn good_token(&self) -> String {
        self.signed(self.good().json())
    }

    /// A token that is good, of that algorithm.
    pub fn good_of(&self, algorithm: &str) -> String {
        let (kid, pair) = self.key_of(algorithm);
        pair.token(algorithm, header(algorithm, kid), self.good().json())
    }
}

/// An ordinary header.
pub fn header(algorithm: &str, kid: &str) -> String {
    format!(r#"{{"alg":"{algorithm}","kid":"{kid}","typ":"JWT"}}"#)
}
