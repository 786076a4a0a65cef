//! The bearer token as a secret.

use std::fmt;

/// The largest token that is looked at, in bytes.
pub const MAX_TOKEN_BYTES: usize = 16 * 1024;

/// A bearer token (RFC 6750) as the caller sent it: a secret, and not yet believed.
///
/// It has no `Display` and no `Serialize`, and its `Debug` shows nothing of it.
#[derive(Clone)]
pub struct BearerToken(String);

impl BearerToken {
    /// Takes a token out of a request.
    pub const fn new(token: String) -> Self {
        Self(token)
    }

    /// The token itself, for the verifier.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for BearerToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BearerToken(redacted)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn debug_shows_nothing_of_it() {
        assert_eq!(format!("{:?}", BearerToken::new("canary".into())), "BearerToken(redacted)");
    }
}
