//! The signature algorithms that can be allowed (RFC 7518, section 3.1; RFC 8037).

use std::fmt;

/// A signature algorithm, as `alg` names it. Asymmetric ones only: there is no value for HMAC or `none`, so that a public
/// key can never be taken for a shared secret.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Algorithm {
    /// RSASSA-PKCS1-v1_5 with SHA-256.
    RS256,
    /// ECDSA on P-256 with SHA-256.
    ES256,
    /// RSASSA-PSS with SHA-256.
    PS256,
    /// ECDSA on P-384 with SHA-384.
    ES384,
    /// Edwards-curve signatures, with Ed25519 only.
    EdDSA,
}

impl Algorithm {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::RS256, Self::ES256, Self::PS256, Self::ES384, Self::EdDSA];

    /// The algorithm of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|algorithm| algorithm.as_str() == name)
    }

    /// Its name.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::RS256 => "RS256",
            Self::ES256 => "ES256",
            Self::PS256 => "PS256",
            Self::ES384 => "ES384",
            Self::EdDSA => "EdDSA",
        }
    }

    pub(crate) const fn for_verification(self) -> jsonwebtoken::Algorithm {
        match self {
            Self::RS256 => jsonwebtoken::Algorithm::RS256,
            Self::ES256 => jsonwebtoken::Algorithm::ES256,
            Self::PS256 => jsonwebtoken::Algorithm::PS256,
            Self::ES384 => jsonwebtoken::Algorithm::ES384,
            Self::EdDSA => jsonwebtoken::Algorithm::EdDSA,
        }
    }
}

impl fmt::Display for Algorithm {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_exact() {
        for algorithm in Algorithm::ALL {
            assert_eq!(Algorithm::from_name(algorithm.as_str()), Some(algorithm));
            assert_eq!(format!("{:?}", algorithm.for_verification()), algorithm.as_str());
        }
        for name in ["", "none", "None", "HS256", "rs256", "RS256 ", "RS384", "RS512", "RS1", "ES256K", "ES512", "Ed25519", "Ed448"] {
            assert_eq!(Algorithm::from_name(name), None, "{name}");
        }
    }
}
