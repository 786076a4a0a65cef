//! One key of a key set (RFC 7517, RFC 7518 section 6, RFC 8037), checked before it is ever used.

use std::fmt;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, ECDSA_P384_SHA384_FIXED, ParsedPublicKey};
use aws_lc_rs::signature::{RSA_PKCS1_2048_8192_SHA256, RSA_PSS_2048_8192_SHA256, RsaPublicKeyComponents};
use jsonwebtoken::DecodingKey;

use crate::algorithm::Algorithm;
use crate::base64url;
use crate::json::{Object, Value};
use crate::unverified::is_key_id;

/// The smallest RSA modulus, in bits (NIST SP 800-131A: less is not acceptable since 2014).
pub const MIN_RSA_BITS: usize = 2048;

/// The largest RSA modulus, in bits. More buys nothing, and a verification costs with the square of it.
pub const MAX_RSA_BITS: usize = 8192;

/// The smallest RSA public exponent (NIST SP 800-56B and FIPS 186-5: above 2^16).
pub const MIN_RSA_EXPONENT: u64 = 65_537;

/// The largest RSA public exponent: 33 bits, as aws-lc has it. A larger one only makes verification slow.
pub const MAX_RSA_EXPONENT: u64 = 0x1_ffff_ffff;

/// The bytes of that exponent.
const MAX_RSA_EXPONENT_BYTES: usize = 5;

/// A public key that signatures are verified with, and the algorithms it is for.
#[derive(Clone)]
pub struct VerifyingKey {
    key_id: String,
    algorithms: &'static [Algorithm],
    key: Material,
}

/// What signatures are verified with.
#[derive(Clone)]
enum Material {
    /// An RSA key, made when it was read. `jsonwebtoken` would make it anew for each token, which is a tenth of a verification
    /// (`benches/verify.rs`), and RS256 is what nearly every issuer signs with.
    Rsa { pkcs1: ParsedPublicKey, pss: ParsedPublicKey },
    /// A key of another family.
    Other(DecodingKey),
}

impl VerifyingKey {
    /// Its `kid`.
    pub fn key_id(&self) -> &str {
        &self.key_id
    }

    /// The algorithms it is for: what its type allows, or of these the one that its `alg` names.
    pub const fn algorithms(&self) -> &'static [Algorithm] {
        self.algorithms
    }

    pub(crate) fn is_for(&self, algorithm: Algorithm) -> bool {
        self.algorithms.contains(&algorithm)
    }

    /// Whether `signature`, in base64url, is this key's for `message`.
    pub(crate) fn verifies(&self, algorithm: Algorithm, message: &[u8], signature: &str) -> bool {
        let by_rsa = |key: &ParsedPublicKey| base64url::decode(signature).is_some_and(|bytes| key.verify_sig(message, &bytes).is_ok());
        match (&self.key, algorithm) {
            (Material::Rsa { pkcs1, .. }, Algorithm::RS256) => by_rsa(pkcs1),
            (Material::Rsa { pss, .. }, Algorithm::PS256) => by_rsa(pss),
            (Material::Rsa { .. }, Algorithm::ES256 | Algorithm::ES384 | Algorithm::EdDSA) => false,
            // An error (a key of another family, say) proves as little as a "no".
            (Material::Other(key), _) => {
                jsonwebtoken::crypto::verify(signature, message, key, algorithm.for_verification()).unwrap_or(false)
            }
        }
    }

    /// Takes a key out of a key set, if it can be used to verify signatures.
    pub(crate) fn read(jwk: &Object) -> Result<Self, KeyFault> {
        // First, as a key set that gives secrets away is worth knowing about whatever else is wrong with the key.
        if ["d", "p", "q", "dp", "dq", "qi", "oth", "k"].iter().any(|name| jwk.has(name)) {
            return Err(KeyFault::Secret);
        }
        let kind = match text(jwk, "kty")? {
            Some("RSA") => Kind::Rsa,
            Some("EC") => Kind::Ec,
            Some("OKP") => Kind::Okp,
            Some(_) | None => return Err(KeyFault::Type),
        };
        if text(jwk, "use")?.is_some_and(|u| u != "sig") {
            return Err(KeyFault::Use);
        }
        if let Some(operations) = jwk.get("key_ops") {
            let Value::List(operations) = operations else { return Err(KeyFault::Unreadable) };
            if !operations.iter().any(|operation| operation.as_text() == Some("verify")) {
                return Err(KeyFault::Operations);
            }
        }
        let key_id = text(jwk, "kid")?.ok_or(KeyFault::KeyId)?;
        // It is copied to audit records, so it is text that can be read.
        if !is_key_id(key_id) || key_id.chars().any(char::is_control) {
            return Err(KeyFault::KeyId);
        }
        let (possible, key) = match kind {
            Kind::Rsa => read_rsa(jwk)?,
            Kind::Ec => read_ec(jwk)?,
            Kind::Okp => read_okp(jwk)?,
        };
        let algorithms = match text(jwk, "alg")? {
            None => possible,
            Some(name) => {
                let position = possible.iter().position(|algorithm| algorithm.as_str() == name).ok_or(KeyFault::Algorithm)?;
                &possible[position..=position]
            }
        };
        Ok(Self { key_id: key_id.to_owned(), algorithms, key })
    }
}

impl fmt::Debug for VerifyingKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifyingKey").field("key_id", &self.key_id).field("algorithms", &self.algorithms).finish_non_exhaustive()
    }
}

enum Kind {
    Rsa,
    Ec,
    Okp,
}

type Read = (&'static [Algorithm], Material);

fn read_rsa(jwk: &Object) -> Result<Read, KeyFault> {
    let n = bytes(jwk, "n")?;
    let e = bytes(jwk, "e")?;
    // RFC 7518 forbids leading zeros and notes that some write one all the same. The number is the same, so it is read; the
    // size is that of the number, not of its text.
    let (n, e) = (trim_zeros(&n), trim_zeros(&e));
    let bits = n.first().map_or(0, |first| 8 * n.len() - first.leading_zeros() as usize);
    if !(MIN_RSA_BITS..=MAX_RSA_BITS).contains(&bits) {
        return Err(KeyFault::ModulusSize);
    }
    if e.len() > MAX_RSA_EXPONENT_BYTES {
        return Err(KeyFault::Exponent);
    }
    let exponent = e.iter().fold(0, |value: u64, &byte| value * 256 + u64::from(byte));
    if !(MIN_RSA_EXPONENT..=MAX_RSA_EXPONENT).contains(&exponent) || exponent % 2 == 0 {
        return Err(KeyFault::Exponent);
    }
    if n.last().is_none_or(|last| last % 2 == 0) {
        return Err(KeyFault::Point);
    }
    let components = RsaPublicKeyComponents { n, e };
    let pkcs1 = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).map_err(|_| KeyFault::Point)?;
    let pss = components.to_parsed_public_key(&RSA_PSS_2048_8192_SHA256).map_err(|_| KeyFault::Point)?;
    Ok((&[Algorithm::RS256, Algorithm::PS256], Material::Rsa { pkcs1, pss }))
}

fn read_ec(jwk: &Object) -> Result<Read, KeyFault> {
    let (size, possible): (usize, &'static [Algorithm]) = match text(jwk, "crv")? {
        Some("P-256") => (32, &[Algorithm::ES256]),
        Some("P-384") => (48, &[Algorithm::ES384]),
        Some(_) | None => return Err(KeyFault::Curve),
    };
    let (x, y) = (bytes(jwk, "x")?, bytes(jwk, "y")?);
    // Coordinates have the full size of the curve (RFC 7518, section 6.2.1.2).
    if [x.len(), y.len()] != [size; 2] {
        return Err(KeyFault::Point);
    }
    let point = [&[4], &x[..], &y[..]].concat();
    let parsed = match size {
        32 => ParsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, &point),
        _ => ParsedPublicKey::new(&ECDSA_P384_SHA384_FIXED, &point),
    };
    parsed.map_err(|_| KeyFault::Point)?;
    Ok((possible, Material::Other(DecodingKey::from_ec_der(&point))))
}

fn read_okp(jwk: &Object) -> Result<Read, KeyFault> {
    if text(jwk, "crv")? != Some("Ed25519") {
        return Err(KeyFault::Curve);
    }
    let x = bytes(jwk, "x")?;
    if x.len() != 32 {
        return Err(KeyFault::Point);
    }
    // Under a point of small order anybody can sign: a signature says nothing of who made it.
    if is_of_small_order(&x) {
        return Err(KeyFault::Point);
    }
    // Any other 32 bytes can be taken here: whether they are a point is found when a signature is verified.
    Ok((&[Algorithm::EdDSA], Material::Other(DecodingKey::from_ed_der(&x))))
}

/// Whether these 32 bytes are one of the eight points of Ed25519 whose order divides the cofactor, in any encoding (RFC 8032,
/// section 5.1.3, and those with a coordinate that is not reduced). The verification multiplies without the cofactor and does
/// not look for them.
fn is_of_small_order(x: &[u8]) -> bool {
    /// The y coordinates, without the sign of x: 0, 1, the two of order eight, and -1, 0, 1 as p - 1, p, p + 1.
    const Y: [[u8; 32]; 7] = [
        [0; 32],
        {
            let mut one = [0; 32];
            one[0] = 1;
            one
        },
        [
            0x26, 0xe8, 0x95, 0x8f, 0xc2, 0xb2, 0x27, 0xb0, 0x45, 0xc3, 0xf4, 0x89, 0xf2, 0xef, 0x98, 0xf0, 0xd5, 0xdf, 0xac, 0x05, 0xd3,
            0xc6, 0x33, 0x39, 0xb1, 0x38, 0x02, 0x88, 0x6d, 0x53, 0xfc, 0x05,
        ],
        [
            0xc7, 0x17, 0x6a, 0x70, 0x3d, 0x4d, 0xd8, 0x4f, 0xba, 0x3c, 0x0b, 0x76, 0x0d, 0x10, 0x67, 0x0f, 0x2a, 0x20, 0x53, 0xfa, 0x2c,
            0x39, 0xcc, 0xc6, 0x4e, 0xc7, 0xfd, 0x77, 0x92, 0xac, 0x03, 0x7a,
        ],
        near_p(0xec),
        near_p(0xed),
        near_p(0xee),
    ];
    const fn near_p(lowest: u8) -> [u8; 32] {
        let mut bytes = [0xff; 32];
        bytes[0] = lowest;
        bytes[31] = 0x7f;
        bytes
    }
    let Some((last, rest)) = x.split_last() else { return false };
    Y.iter().any(|y| rest == &y[..31] && last & 0x7f == y[31])
}

fn text<'a>(jwk: &'a Object, name: &str) -> Result<Option<&'a str>, KeyFault> {
    jwk.get(name).map(|value| value.as_text().ok_or(KeyFault::Unreadable)).transpose()
}

fn bytes(jwk: &Object, name: &str) -> Result<Vec<u8>, KeyFault> {
    text(jwk, name)?.and_then(base64url::decode).ok_or(KeyFault::Unreadable)
}

fn trim_zeros(bytes: &[u8]) -> &[u8] {
    let zeros = bytes.iter().take_while(|&&byte| byte == 0).count();
    &bytes[zeros..]
}

/// Why a key of a key set is not used. It says nothing of what the key holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyFault {
    /// It is not an object that names no member twice, or a member is missing or of the wrong type.
    Unreadable,
    /// It has parts that are secret (`d`, `k` and so on): whoever can read the key set can sign.
    Secret,
    /// `kty` is not `RSA`, `EC` or `OKP`.
    Type,
    /// `use` is not `sig`.
    Use,
    /// `key_ops` does not have `verify`.
    Operations,
    /// `kid` is missing, empty, longer than 255 characters or has control characters.
    KeyId,
    /// Its `alg` is not one that a key of its kind is used with here.
    Algorithm,
    /// `crv` is not `P-256`, `P-384` or `Ed25519`.
    Curve,
    /// The RSA modulus has less than [`MIN_RSA_BITS`] or more than [`MAX_RSA_BITS`].
    ModulusSize,
    /// The RSA exponent is even or not between [`MIN_RSA_EXPONENT`] and [`MAX_RSA_EXPONENT`].
    Exponent,
    /// What it holds is no public key: a point off the curve or of small order, an even modulus, a coordinate of the wrong length.
    Point,
}

impl KeyFault {
    /// Every fault.
    pub const ALL: [Self; 11] = [
        Self::Unreadable,
        Self::Secret,
        Self::Type,
        Self::Use,
        Self::Operations,
        Self::KeyId,
        Self::Algorithm,
        Self::Curve,
        Self::ModulusSize,
        Self::Exponent,
        Self::Point,
    ];

    /// The fault as it is written in logs.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Unreadable => "unreadable",
            Self::Secret => "has secret parts",
            Self::Type => "key type is not RSA, EC or OKP",
            Self::Use => "not for signatures",
            Self::Operations => "not for verifying",
            Self::KeyId => "no usable key id",
            Self::Algorithm => "algorithm does not fit",
            Self::Curve => "curve is not P-256, P-384 or Ed25519",
            Self::ModulusSize => "RSA modulus is not of 2048 to 8192 bits",
            Self::Exponent => "RSA exponent is unfit",
            Self::Point => "not a public key",
        }
    }
}

impl fmt::Display for KeyFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl std::error::Error for KeyFault {}
