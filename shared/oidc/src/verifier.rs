//! The verification of a token, from its text to a principal.

use std::sync::Arc;
use std::time::Duration;

use futures_util::future::join_all;
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_domain::identity::{IssuerId, Principal};
use latchkey_domain::ports::{AuthenticationError, Authenticator};
use latchkey_domain::token::BearerToken;

use crate::claims::VerifiedClaims;
use crate::config::IssuerConfig;
use crate::fetch::{FETCH_TIMEOUT, Fetch};
use crate::issuer::{Sources, TrustedIssuer};
use crate::key_cache::Moment;
use crate::key_set::{KeySet, Lookup};
use crate::refusal::{KeyFailure, TokenRefusal};
use crate::signature;
use crate::snapshot::SnapshotStore;
use crate::unverified::{UnverifiedToken, is_key_id};

/// Verifies tokens of the trusted issuers.
///
/// `F` fetches key sets, `S` reads those in the table, `C` tells the time.
#[derive(Debug)]
pub struct Verifier<F, S, C> {
    issuers: Vec<TrustedIssuer>,
    sources: Sources<F, S, C>,
}

/// What [`Verifier::prepare`] came to for one issuer.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The issuer.
    pub issuer: IssuerId,
    /// Its keys, the ones that are left out with a reason among them; or why there are none.
    pub keys: Result<Arc<KeySet>, KeyFailure>,
}

/// Why a token was not verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum VerifyError {
    /// It is not accepted.
    Refused {
        /// Which check it failed.
        refusal: TokenRefusal,
        /// The trusted issuer that it claims to be from, where it names one.
        issuer: Option<IssuerId>,
    },
    /// There are no keys to verify it with.
    Unavailable {
        /// Why not.
        failure: KeyFailure,
        /// The issuer whose keys they would be.
        issuer: IssuerId,
    },
}

impl<F: Fetch, S: SnapshotStore, C: Clock> Verifier<F, S, C> {
    /// A verifier for these issuers. It loads nothing yet.
    pub fn new(issuers: Vec<IssuerConfig>, fetch: F, snapshots: S, clock: C) -> Self {
        Self { issuers: issuers.into_iter().map(TrustedIssuer::new).collect(), sources: Sources { fetch, snapshots, clock } }
    }

    /// Loads the keys of all issuers side by side, each within [`FETCH_TIMEOUT`]. For the start, which has time to spare; an
    /// issuer whose keys cannot be had now does not stop it, as they are asked for again by the first token that needs them.
    pub async fn prepare(&self) -> Vec<Prepared> {
        join_all(
            self.issuers
                .iter()
                .map(async |issuer| Prepared { issuer: issuer.config().id.clone(), keys: issuer.load(&self.sources, FETCH_TIMEOUT).await }),
        )
        .await
    }

    /// Verifies `token` as of `now`, loading keys within `budget` where that is due.
    ///
    /// The checks, in this order: size and shape; header; claims as JSON; issuer; algorithm; token type; key id; key;
    /// signature; then what the claims say. See [`TokenRefusal::ALL`].
    ///
    /// # Errors
    /// [`VerifyError::Unavailable`] when the issuer's keys cannot be had, [`VerifyError::Refused`] for everything that is
    /// wrong with the token.
    pub async fn verify(&self, token: &str, now: Timestamp, budget: Duration) -> Result<VerifiedClaims, VerifyError> {
        let token = UnverifiedToken::parse(token).map_err(|refusal| VerifyError::Refused { refusal, issuer: None })?;
        let issuer = token
            .claimed_issuer()
            .and_then(|claimed| self.issuers.iter().find(|issuer| issuer.config().issuer == claimed))
            .ok_or(VerifyError::Refused { refusal: TokenRefusal::Issuer, issuer: None })?;
        let config = issuer.config();
        let refused = |refusal| VerifyError::Refused { refusal, issuer: Some(config.id.clone()) };

        let header = token.header();
        if !header.algorithm.is_some_and(|algorithm| config.algorithms.contains(&algorithm)) {
            return Err(refused(TokenRefusal::Algorithm));
        }
        if !header.has_type(&config.token_types) {
            return Err(refused(TokenRefusal::Type));
        }
        let key_id = header.key_id.as_deref().filter(|kid| is_key_id(kid)).ok_or_else(|| refused(TokenRefusal::KeyId))?;
        let key = match issuer.find_key(key_id, &self.sources, budget).await {
            Ok(Lookup::Key(key)) => key,
            Ok(Lookup::Unknown) => return Err(refused(TokenRefusal::KeyUnknown)),
            Ok(Lookup::Ambiguous) => return Err(refused(TokenRefusal::KeyAmbiguous)),
            Err(failure) => return Err(VerifyError::Unavailable { failure, issuer: config.id.clone() }),
        };
        let signed = signature::verify(token, &key).map_err(refused)?;
        VerifiedClaims::check(signed, config, now).map_err(refused)
    }
}

impl<F: Fetch, S: SnapshotStore, C: Clock> Authenticator for Verifier<F, S, C> {
    async fn authenticate(&self, token: &BearerToken, now: Timestamp, budget: Duration) -> Result<Principal, AuthenticationError> {
        let claims = self.verify(token.expose(), now, budget).await?;
        let (identity, key_id, token_id, expires_at, groups) = claims.into_parts();
        #[expect(clippy::disallowed_methods, reason = "the one place where claims have been verified")]
        Ok(Principal::from_verified_claims(identity, key_id, token_id, expires_at, groups))
    }

    fn key_age(&self, issuer: &IssuerId, now: Timestamp) -> Option<Duration> {
        let of_issuer = self.issuers.iter().find(|known| known.config().id == *issuer)?;
        of_issuer.key_age(Moment::now(&self.sources.clock).with_wall(now))
    }
}

impl From<VerifyError> for AuthenticationError {
    fn from(error: VerifyError) -> Self {
        match error {
            VerifyError::Refused { refusal, issuer } => Self::Refused { reason: refusal.into(), issuer },
            VerifyError::Unavailable { failure, issuer } => Self::Unavailable { reason: failure.into(), issuer },
        }
    }
}

#[cfg(test)]
mod tests;
