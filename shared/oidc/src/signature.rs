//! From a token that was read to one that was signed by a certain key.

use crate::json::Object;
use crate::jwk::VerifyingKey;
use crate::refusal::TokenRefusal;
use crate::unverified::UnverifiedToken;

/// The claims of a token whose signature has been verified. Only [`verify`] makes one.
pub(crate) struct SignedClaims {
    claims: Object,
    key_id: String,
}

impl SignedClaims {
    pub(crate) const fn claims(&self) -> &Object {
        &self.claims
    }

    pub(crate) fn into_key_id(self) -> String {
        self.key_id
    }
}

/// Verifies the token's signature with `key`.
///
/// The algorithm is the token's, and must be one that the key is for. That binding is what stops a token from choosing how
/// its key is used: without it, one signed by HMAC with the public key as the secret would pass (CVE-2015-9235).
pub(crate) fn verify(token: UnverifiedToken<'_>, key: &VerifyingKey) -> Result<SignedClaims, TokenRefusal> {
    let algorithm = token.header().algorithm.ok_or(TokenRefusal::Algorithm)?;
    if !key.is_for(algorithm) {
        return Err(TokenRefusal::KeyAlgorithm);
    }
    if !key.verifies(algorithm, token.signing_input().as_bytes(), token.signature()) {
        return Err(TokenRefusal::Signature);
    }
    Ok(SignedClaims { claims: token.into_claims(), key_id: key.key_id().to_owned() })
}
