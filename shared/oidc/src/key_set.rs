//! A key set (RFC 7517, section 5), read key by key.
//!
//! Issuers publish keys that are not for us: for encryption, of curves we do not know, symmetric ones by mistake. One such
//! key must not cost the others, so each is read alone and the unusable are left out, with a reason.

use std::fmt;
use std::sync::Arc;

use serde::de::{Deserializer as _, Error as _, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;

use crate::fetch::MAX_DOCUMENT_BYTES;
use crate::json;
use crate::jwk::{KeyFault, VerifyingKey};

/// The most keys that a set may have, usable or not. Issuers publish a handful.
pub const MAX_KEYS: usize = 100;

/// The usable keys of one issuer.
#[derive(Debug, Clone)]
pub struct KeySet {
    keys: Vec<Arc<VerifyingKey>>,
    skipped: Vec<SkippedKey>,
}

/// A key that is not used, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SkippedKey {
    /// Its position in the set, from 0.
    pub index: usize,
    /// What is wrong with it.
    pub fault: KeyFault,
}

/// What a set has under a `kid`.
#[derive(Debug, Clone)]
pub enum Lookup {
    /// One usable key.
    Key(Arc<VerifyingKey>),
    /// None.
    Unknown,
    /// Several. Trying them in turn would let whoever can add a key to the set verify tokens under another key's name.
    Ambiguous,
}

impl KeySet {
    /// Reads a key set: at most [`MAX_DOCUMENT_BYTES`] and [`MAX_KEYS`].
    ///
    /// # Errors
    /// The document as a whole is not a key set. A set without any usable key is not an error here.
    pub fn parse(document: &[u8]) -> Result<Self, KeySetError> {
        if document.len() > MAX_DOCUMENT_BYTES {
            return Err(KeySetError::TooLarge);
        }
        let mut deserializer = serde_json::Deserializer::from_slice(document);
        let mut fault = KeySetError::NotAKeySet;
        let keys = deserializer.deserialize_map(SetVisitor { fault: &mut fault });
        let Ok(keys) = keys.and_then(|keys| deserializer.end().map(|()| keys)) else { return Err(fault) };
        Ok(Self::collect(keys.into_iter().map(|key| {
            let object = json::parse_object(key.get().as_bytes()).map_err(|_| KeyFault::Unreadable)?;
            VerifyingKey::read(&object)
        })))
    }

    /// Collects keys that were read one by one.
    pub(crate) fn collect(read: impl Iterator<Item = Result<VerifyingKey, KeyFault>>) -> Self {
        let (mut keys, mut skipped) = (Vec::new(), Vec::new());
        for (index, key) in read.enumerate() {
            match key {
                Ok(key) => keys.push(Arc::new(key)),
                Err(fault) => skipped.push(SkippedKey { index, fault }),
            }
        }
        Self { keys, skipped }
    }

    /// The keys that can be used, in the set's order.
    pub fn keys(&self) -> &[Arc<VerifyingKey>] {
        &self.keys
    }

    /// The keys that are not used.
    pub fn skipped(&self) -> &[SkippedKey] {
        &self.skipped
    }

    /// What the set has under `key_id`, compared byte for byte.
    pub fn find(&self, key_id: &str) -> Lookup {
        let mut named = self.keys.iter().filter(|key| key.key_id() == key_id);
        match (named.next(), named.next()) {
            (Some(key), None) => Lookup::Key(Arc::clone(key)),
            (None, _) => Lookup::Unknown,
            (Some(_), Some(_)) => Lookup::Ambiguous,
        }
    }

    /// Whether at least one key can be looked up. A set that is all bad, or in which all share one `kid`, is as good as none.
    pub fn is_usable(&self) -> bool {
        self.keys.iter().any(|key| matches!(self.find(key.key_id()), Lookup::Key(_)))
    }
}

struct SetVisitor<'f> {
    fault: &'f mut KeySetError,
}

impl<'de> Visitor<'de> for SetVisitor<'_> {
    type Value = Vec<&'de RawValue>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a key set")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
        let mut keys = None;
        while let Some(name) = map.next_key::<String>()? {
            if name == "keys" {
                if keys.is_some() {
                    return Err(A::Error::custom("keys twice"));
                }
                keys = Some(map.next_value::<Keys<'de>>()?);
            } else {
                map.next_value::<IgnoredAny>()?;
            }
        }
        let Keys(keys) = keys.ok_or_else(|| A::Error::custom("no keys"))?;
        if keys.len() > MAX_KEYS {
            *self.fault = KeySetError::TooManyKeys;
            return Err(A::Error::custom("too many keys"));
        }
        Ok(keys)
    }
}

/// The texts of the keys: at most one more than [`MAX_KEYS`] are kept.
struct Keys<'a>(Vec<&'a RawValue>);

impl<'de> serde::Deserialize<'de> for Keys<'de> {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeysVisitor;
        impl<'de> Visitor<'de> for KeysVisitor {
            type Value = Keys<'de>;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("an array of keys")
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self::Value, A::Error> {
                let mut keys = Vec::new();
                while let Some(key) = seq.next_element::<&RawValue>()? {
                    if keys.len() <= MAX_KEYS {
                        keys.push(key);
                    }
                }
                Ok(Keys(keys))
            }
        }
        deserializer.deserialize_seq(KeysVisitor)
    }
}

/// Why a document is not a key set.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum KeySetError {
    /// It has more than [`MAX_DOCUMENT_BYTES`].
    #[error("a key set has at most 256 KiB")]
    TooLarge,
    /// It is not a JSON object with one array `keys`.
    #[error("not a key set")]
    NotAKeySet,
    /// It has more than [`MAX_KEYS`].
    #[error("a key set has at most 100 keys")]
    TooManyKeys,
}

#[cfg(test)]
mod tests {
    use aws_lc_rs::signature::{ED25519, UnparsedPublicKey};
    use proptest::prelude::*;

    use super::*;
    use crate::algorithm::Algorithm;
    use crate::testing::{Pair, b64, key_set};

    /// The fault of one key beside a good one, which it must not cost; none where it is taken.
    fn fault(key: &str) -> Option<KeyFault> {
        let set = KeySet::parse(key_set(&[key.to_owned(), Pair::p256().jwk("good", "")]).as_bytes()).unwrap();
        assert!(matches!(set.find("good"), Lookup::Key(_)), "{key}");
        assert_eq!(set.keys().len() + set.skipped().len(), 2);
        set.skipped().first().map(|skipped| {
            assert_eq!(skipped.index, 0);
            skipped.fault
        })
    }

    fn rsa(n: &[u8], e: &[u8]) -> Option<KeyFault> {
        fault(&format!(r#"{{"kid":"k","kty":"RSA","n":"{}","e":"{}"}}"#, b64(n), b64(e)))
    }

    #[test]
    fn keys_are_for_what_their_type_and_alg_say() {
        let jwks = key_set(&[
            Pair::rsa(0).jwk("rsa", ""),
            Pair::rsa(0).jwk("ps", r#","alg":"PS256""#),
            Pair::p256().jwk("p256", ""),
            Pair::p384().jwk("p384", r#","alg":"ES384""#),
            Pair::ed25519().jwk("ed", ""),
        ]);
        let set = KeySet::parse(jwks.as_bytes()).unwrap();
        let algorithms: Vec<_> = set.keys().iter().map(|key| key.algorithms()).collect();
        use Algorithm::{ES256, ES384, EdDSA, PS256, RS256};
        assert_eq!(algorithms, [&[RS256, PS256][..], &[PS256], &[ES256], &[ES384], &[EdDSA]]);
        assert!(set.is_usable());
        assert_eq!(
            format!("{:?}", set.keys()[2]),
            r#"VerifyingKey { key_id: "p256", algorithms: [ES256], .. }"#,
            "an id and what it is for: enough for a log line"
        );
    }

    #[test]
    fn a_key_that_is_not_for_verifying_is_skipped_alone() {
        let with = |more: &str| fault(&Pair::rsa(0).jwk("k", more));
        for more in [r#","use":"sig""#, r#","key_ops":["sign","verify"]"#, r#","alg":"RS256""#, r#","x5c":["MII"],"x":{"y":1}"#] {
            assert_eq!(with(more), None, "{more}");
        }
        for (more, expected) in [
            (r#","use":"enc""#, KeyFault::Use),
            (r#","use":"SIG""#, KeyFault::Use),
            (r#","use":1"#, KeyFault::Unreadable),
            (r#","key_ops":[]"#, KeyFault::Operations),
            (r#","key_ops":["encrypt",1]"#, KeyFault::Operations),
            (r#","key_ops":"verify""#, KeyFault::Unreadable),
            (r#","alg":"RS512""#, KeyFault::Algorithm),
            (r#","alg":"ES256""#, KeyFault::Algorithm),
            (r#","alg":"RSA-OAEP""#, KeyFault::Algorithm),
            (r#","alg":"HS256""#, KeyFault::Algorithm),
            (r#","alg":"none""#, KeyFault::Algorithm),
            (r#","alg":null"#, KeyFault::Unreadable),
            (r#","d":"AQAB""#, KeyFault::Secret),
            (r#","p":null"#, KeyFault::Secret),
            (r#","q":"AQAB""#, KeyFault::Secret),
            (r#","dp":"AQAB""#, KeyFault::Secret),
            (r#","dq":"AQAB""#, KeyFault::Secret),
            (r#","qi":"AQAB""#, KeyFault::Secret),
            (r#","oth":[]"#, KeyFault::Secret),
            (r#","k":"AQAB""#, KeyFault::Secret),
            (r#","kid":"k""#, KeyFault::Unreadable),
            (r#","x":{"y":1,"y":1}"#, KeyFault::Unreadable),
        ] {
            assert_eq!(with(more), Some(expected), "{more}");
        }
    }

    #[test]
    fn symmetric_and_unknown_keys_are_skipped() {
        assert_eq!(fault(r#"{"kid":"k","kty":"oct","k":"c2VjcmV0"}"#), Some(KeyFault::Secret));
        assert_eq!(fault(r#"{"kid":"k","kty":"oct"}"#), Some(KeyFault::Type));
        for key in [r#"{"kid":"k","kty":"AKP","pub":"AQAB"}"#, r#"{"kid":"k","kty":"rsa","n":"AQAB","e":"AQAB"}"#, r#"{"kid":"k"}"#, "{}"] {
            assert_eq!(fault(key), Some(KeyFault::Type), "{key}");
        }
        for key in ["null", "1", "\"x\"", "[]", r#"{"kty":1}"#, r#"{"kty":"RSA","kid":1}"#] {
            assert_eq!(fault(key), Some(KeyFault::Unreadable), "{key}");
        }
    }

    #[test]
    fn key_ids_are_needed_and_plain() {
        let members = Pair::p256().members();
        assert_eq!(fault(&format!("{{{members}}}")), Some(KeyFault::KeyId));
        for kid in ["", "a\\u0000", "a\\nb", &"x".repeat(256)] {
            assert_eq!(fault(&format!(r#"{{"kid":"{kid}",{members}}}"#)), Some(KeyFault::KeyId), "{kid}");
        }
        assert_eq!(fault(&format!(r#"{{"kid":"{}",{members}}}"#, "ü".repeat(255))), None);
    }

    #[test]
    fn rsa_keys_have_a_size_and_a_sane_exponent() {
        let e = [1, 0, 1];
        let modulus = |bits: usize| {
            let mut n = vec![0xa5; bits / 8];
            n[0] |= 0x80;
            n[bits / 8 - 1] |= 1;
            n
        };
        for bits in [2048, 3072, 4096, 8192] {
            assert_eq!(rsa(&modulus(bits), &e), None, "{bits}");
        }
        for bits in [8, 512, 1024, 2040, 8200] {
            assert_eq!(rsa(&modulus(bits), &e), Some(KeyFault::ModulusSize), "{bits}");
        }
        let mut short = modulus(2048);
        short[0] = 0x7f;
        assert_eq!(rsa(&short, &e), Some(KeyFault::ModulusSize), "2047 bits");
        // A leading zero is the same number, and does not make a small one large.
        assert_eq!(rsa(&[&[0][..], &modulus(2048)].concat(), &e), None);
        assert_eq!(rsa(&[&[0; 128][..], &modulus(1024)].concat(), &e), Some(KeyFault::ModulusSize));
        let mut even = modulus(2048);
        even[255] = 0xa4;
        assert_eq!(rsa(&even, &e), Some(KeyFault::Point));
        assert_eq!(rsa(&[], &e), Some(KeyFault::ModulusSize));
        for e in
            [&[][..], &[0], &[1], &[2], &[3], &[17], &[0xff, 0xff], &[1, 0, 0], &[1, 0, 2], &[2, 0, 0, 0, 1], &[1, 0, 0, 0, 0, 0, 0, 0, 1]]
        {
            assert_eq!(rsa(&modulus(2048), e), Some(KeyFault::Exponent), "{e:?}");
        }
        // The last 64 bits of it would do.
        assert_eq!(rsa(&modulus(2048), &[1, 0, 0, 0, 0, 0, 1, 0, 1]), Some(KeyFault::Exponent));
        assert_eq!(rsa(&modulus(2048), &[1, 0xff, 0xff, 0xff, 0xff]), None);
        assert_eq!(rsa(&modulus(2048), &[1, 2, 3, 5]), None);
        for key in [
            r#"{"kid":"k","kty":"RSA","e":"AQAB"}"#,
            r#"{"kid":"k","kty":"RSA","n":"AQAB"}"#,
            r#"{"kid":"k","kty":"RSA","n":"AQAB=","e":"AQAB"}"#,
            r#"{"kid":"k","kty":"RSA","n":[1],"e":"AQAB"}"#,
        ] {
            assert_eq!(fault(key), Some(KeyFault::Unreadable), "{key}");
        }
    }

    #[test]
    fn points_are_on_their_curve() {
        let ec =
            |crv: &str, x: &[u8], y: &[u8]| fault(&format!(r#"{{"kid":"k","kty":"EC","crv":"{crv}","x":"{}","y":"{}"}}"#, b64(x), b64(y)));
        assert_eq!(ec("P-256", &[1; 32], &[1; 32]), Some(KeyFault::Point));
        assert_eq!(ec("P-256", &[0; 32], &[0; 32]), Some(KeyFault::Point));
        assert_eq!(ec("P-384", &[1; 48], &[1; 48]), Some(KeyFault::Point));
        assert_eq!(ec("P-384", &[1; 32], &[1; 32]), Some(KeyFault::Point));
        assert_eq!(ec("P-256", &[1; 31], &[1; 32]), Some(KeyFault::Point));
        assert_eq!(ec("P-256", &[1; 33], &[1; 31]), Some(KeyFault::Point), "the right length together");
        for crv in ["P-521", "secp256k1", "p-256", ""] {
            assert_eq!(ec(crv, &[1; 32], &[1; 32]), Some(KeyFault::Curve), "{crv}");
        }
        let okp = |crv: &str, x: &[u8]| fault(&format!(r#"{{"kid":"k","kty":"OKP","crv":"{crv}","x":"{}"}}"#, b64(x)));
        assert_eq!(okp("Ed25519", &[1; 31]), Some(KeyFault::Point));
        assert_eq!(okp("Ed25519", &[1; 32]), None);
        assert_eq!(okp("X25519", &[1; 32]), Some(KeyFault::Curve));
        assert_eq!(okp("Ed448", &[1; 57]), Some(KeyFault::Curve));
    }

    #[test]
    fn a_point_of_small_order_is_no_key_as_anybody_can_sign_under_it() {
        let near_p = |lowest: u8| format!("{lowest:02x}{}7f", "ff".repeat(30));
        // R = 0 and S = 0: a signature that nobody needs a secret for.
        let mut signature = [0; 64];
        signature[0] = 1;
        let mut forged = 0;
        for y in [
            "00".repeat(32),
            format!("01{}", "00".repeat(31)),
            "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05".to_owned(),
            "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a".to_owned(),
            near_p(0xec),
            near_p(0xed),
            near_p(0xee),
        ] {
            for sign in [0, 0x80] {
                let mut point: Vec<u8> = (0..64).step_by(2).map(|at| u8::from_str_radix(&y[at..at + 2], 16).unwrap()).collect();
                point[31] |= sign;
                let key = UnparsedPublicKey::new(&ED25519, &point);
                forged += u32::from((0..64_u8).any(|message| key.verify(&[message], &signature).is_ok()));
                let x = b64(&point);
                let fault = |x: &str| fault(&format!(r#"{{"kid":"k","kty":"OKP","crv":"Ed25519","x":"{x}"}}"#));
                assert_eq!(fault(&x), Some(KeyFault::Point), "{y} {sign}");
                // Its neighbours, the same but for one bit, are not meant.
                for (byte, bit) in [(0, 0x40), (30, 1), (31, 1)] {
                    let mut neighbour = point.clone();
                    neighbour[byte] ^= bit;
                    assert_eq!(fault(&b64(&neighbour)), None, "{y} {sign} {byte}");
                }
            }
        }
        // The other six are other encodings of these, which the verification refuses as it is.
        assert_eq!(forged, 8, "each of the eight points takes it for one message in eight, or more");
    }

    #[test]
    fn a_set_is_an_object_with_one_array_of_keys() {
        for document in [
            "",
            "null",
            "[]",
            "{}",
            r#"{"keys":{}}"#,
            r#"{"keys":null}"#,
            r#"{"keys":[],"keys":[]}"#,
            r#"{"keys":[]}x"#,
            r#"{"keys":[}"#,
            "<html>",
            r#"{"keys":[1,]}"#,
            r#"{"Keys":[]}"#,
        ] {
            assert_eq!(KeySet::parse(document.as_bytes()).err(), Some(KeySetError::NotAKeySet), "{document}");
        }
        assert!(KeySet::parse(b"{\"keys\":[\"\xff\"]}").is_err());
        let empty = KeySet::parse(br#"{"a":1,"keys":[],"b":{"keys":1}}"#).unwrap();
        assert!(empty.keys().is_empty() && !empty.is_usable());
        let bad = KeySet::parse(format!(r#"{{"keys":[{}]}}"#, "[".repeat(100) + &"]".repeat(100)).as_bytes()).unwrap();
        assert_eq!(bad.skipped(), [SkippedKey { index: 0, fault: KeyFault::Unreadable }]);
    }

    #[test]
    fn a_set_is_bounded() {
        let keys = |n: usize| key_set(&vec!["{}".to_owned(); n]);
        assert_eq!(KeySet::parse(keys(MAX_KEYS).as_bytes()).unwrap().skipped().len(), MAX_KEYS);
        assert_eq!(KeySet::parse(keys(MAX_KEYS + 1).as_bytes()).err(), Some(KeySetError::TooManyKeys));
        assert_eq!(KeySet::parse(keys(50_000).as_bytes()).err(), Some(KeySetError::TooManyKeys));
        let padded = |n: usize| format!("{}{}", key_set(&[]), " ".repeat(n - 11));
        assert!(KeySet::parse(padded(MAX_DOCUMENT_BYTES).as_bytes()).is_ok());
        assert_eq!(KeySet::parse(padded(MAX_DOCUMENT_BYTES + 1).as_bytes()).err(), Some(KeySetError::TooLarge));
    }

    #[test]
    fn a_kid_that_collides_names_no_key() {
        let key = Pair::p256().jwk("same", "");
        let set = KeySet::parse(key_set(&[key.clone(), key]).as_bytes()).unwrap();
        assert!(matches!(set.find("same"), Lookup::Ambiguous));
        assert!(matches!(set.find("other"), Lookup::Unknown));
        assert!(!set.is_usable(), "no key can be looked up");
    }

    #[test]
    fn faults_have_names_of_their_own() {
        let names: std::collections::BTreeSet<_> = KeyFault::ALL.iter().map(|fault| fault.as_str()).collect();
        assert_eq!(names.len(), KeyFault::ALL.len());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(document in proptest::collection::vec(any::<u8>(), 0..300)) {
            let _ = KeySet::parse(&document);
        }

        #[test]
        fn any_members_are_read_or_skipped(
            kty in "RSA|EC|OKP|oct",
            crv in "P-256|P-384|Ed25519",
            a in "[A-Za-z0-9_-]{0,344}",
            b in "AQAB|[A-Za-z0-9_-]{0,64}",
        ) {
            let key = format!(r#"{{"kid":"k","kty":"{kty}","crv":"{crv}","n":"{a}","e":"{b}","x":"{b}","y":"{a}"}}"#);
            let _ = fault(&key);
        }
    }
}
