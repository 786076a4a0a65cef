//! The issuer's keys: made at start, signed with aws-lc-rs directly, so that the verifier's library has no part in them.

use std::fmt;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, KeyPair as _, RSA_PKCS1_SHA256, RsaKeyPair};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde_json::{Value, json};

use super::IdpError;
use crate::random;

/// How a token is signed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256 and a key of 2048 bits.
    Rs256,
    /// ECDSA on P-256 with SHA-256.
    Es256,
}

impl Algorithm {
    /// The name as a token's header has it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Rs256 => "RS256",
            Self::Es256 => "ES256",
        }
    }
}

pub(super) struct Key {
    pub(super) kid: String,
    pub(super) retired: bool,
    pair: Pair,
}

enum Pair {
    Rsa(Box<RsaKeyPair>),
    Ec(Box<EcdsaKeyPair>),
}

impl fmt::Debug for Key {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Key").field("kid", &self.kid).field("retired", &self.retired).finish_non_exhaustive()
    }
}

impl Key {
    pub(super) fn generate(algorithm: Algorithm) -> Result<Self, IdpError> {
        let pair = match algorithm {
            Algorithm::Rs256 => Pair::Rsa(Box::new(RsaKeyPair::generate(KeySize::Rsa2048).map_err(|_| IdpError::Key)?)),
            Algorithm::Es256 => Pair::Ec(Box::new(EcdsaKeyPair::generate(&ECDSA_P256_SHA256_FIXED_SIGNING).map_err(|_| IdpError::Key)?)),
        };
        let unique = random::uuid()?;
        let kid = format!("{}-{}", algorithm.as_str().to_ascii_lowercase(), unique.get(..8).unwrap_or_default());
        Ok(Self { kid, retired: false, pair })
    }

    pub(super) const fn algorithm(&self) -> Algorithm {
        match self.pair {
            Pair::Rsa(_) => Algorithm::Rs256,
            Pair::Ec(_) => Algorithm::Es256,
        }
    }

    pub(super) fn sign(&self, message: &[u8]) -> Result<Vec<u8>, IdpError> {
        let random = SystemRandom::new();
        match &self.pair {
            Pair::Rsa(pair) => {
                let mut signature = vec![0; pair.public_modulus_len()];
                pair.sign(&RSA_PKCS1_SHA256, &random, message, &mut signature).map_err(|_| IdpError::Key)?;
                Ok(signature)
            }
            Pair::Ec(pair) => Ok(pair.sign(&random, message).map_err(|_| IdpError::Key)?.as_ref().to_vec()),
        }
    }

    /// The public half, as RFC 7517 has it.
    pub(super) fn jwk(&self) -> Result<Value, IdpError> {
        let text = |bytes: &[u8]| URL_SAFE_NO_PAD.encode(bytes);
        let alg = self.algorithm().as_str();
        match &self.pair {
            Pair::Rsa(pair) => {
                let (n, e) = rsa_public_key(pair.public_key().as_ref()).ok_or(IdpError::Key)?;
                Ok(json!({ "kty": "RSA", "use": "sig", "alg": alg, "kid": self.kid, "n": text(n), "e": text(e) }))
            }
            Pair::Ec(pair) => {
                // SEC 1: 4, then both coordinates of 32 bytes.
                let Some((4, point)) = pair.public_key().as_ref().split_first().map(|(first, rest)| (*first, rest)) else {
                    return Err(IdpError::Key);
                };
                let (x, y) = point.split_at_checked(32).ok_or(IdpError::Key)?;
                Ok(json!({ "kty": "EC", "use": "sig", "alg": alg, "kid": self.kid, "crv": "P-256", "x": text(x), "y": text(y) }))
            }
        }
    }
}

/// Modulus and exponent of an `RSAPublicKey` (RFC 8017, A.1.1), without leading zeros; none where it is none.
pub fn rsa_public_key(der: &[u8]) -> Option<(&[u8], &[u8])> {
    let (sequence, rest) = element(der, 0x30)?;
    let (n, after) = element(sequence, 0x02)?;
    let (e, end) = element(after, 0x02)?;
    let unsigned = |integer: &'_ [u8]| integer.iter().position(|&b| b != 0);
    (rest.is_empty() && end.is_empty()).then_some(())?;
    Some((n.get(unsigned(n)?..)?, e.get(unsigned(e)?..)?))
}

/// The content of a DER element with this tag, and what follows it.
fn element(der: &[u8], tag: u8) -> Option<(&[u8], &[u8])> {
    let (&first, rest) = der.split_first()?;
    let (&length, rest) = rest.split_first()?;
    (first == tag).then_some(())?;
    let (length, rest) = match length {
        0..=0x7f => (usize::from(length), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => (usize::from(*rest.first()?) << 8 | usize::from(*rest.get(1)?), rest.get(2..)?),
        _ => return None,
    };
    rest.split_at_checked(length)
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};

    use super::*;

    fn part(jwk: &Value, name: &str) -> Vec<u8> {
        URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap()
    }

    #[test]
    fn the_published_half_verifies_what_the_private_half_signs() {
        let rsa = Key::generate(Algorithm::Rs256).unwrap();
        let jwk = rsa.jwk().unwrap();
        assert_eq!(jwk["e"], "AQAB");
        let public = RsaPublicKeyComponents { n: part(&jwk, "n"), e: part(&jwk, "e") };
        assert_eq!(public.n.len(), 256);
        public.verify(&RSA_PKCS1_2048_8192_SHA256, b"message", &rsa.sign(b"message").unwrap()).unwrap();

        let ec = Key::generate(Algorithm::Es256).unwrap();
        let jwk = ec.jwk().unwrap();
        let point = [&[4][..], &part(&jwk, "x"), &part(&jwk, "y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(b"message", &ec.sign(b"message").unwrap()).unwrap();
    }

    #[test]
    fn der_is_read_to_its_ends() {
        assert_eq!(rsa_public_key(&[0x30, 6, 2, 1, 5, 2, 1, 3]), Some((&[5][..], &[3][..])));
        assert_eq!(rsa_public_key(&[0x30, 7, 2, 2, 0, 5, 2, 1, 3]), Some((&[5][..], &[3][..])));
        for bad in [&[][..], &[0x30], &[0x30, 6, 2, 1, 5, 2, 1], &[0x30, 6, 2, 1, 5, 2, 1, 3, 0], &[0x31, 6, 2, 1, 5, 2, 1, 3]] {
            assert_eq!(rsa_public_key(bad), None, "{bad:?}");
        }
    }
}
