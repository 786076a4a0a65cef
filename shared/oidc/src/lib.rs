//! Who a bearer token is from: OAuth 2.0 and OpenID Connect access tokens (RFC 9068, RFC 7519), verified.
//!
//! One way, and each step can only be made from the one before it:
//!
//! ```text
//! BearerToken -> UnverifiedToken -> (key of its issuer) -> SignedClaims -> VerifiedClaims -> Principal
//! ```
//!
//! A token names the issuer and the key that it wants to be verified with, so it has to be read before it can be believed.
//! [`unverified::UnverifiedToken`] is what has been read; [`claims::VerifiedClaims`] can only be made from a token whose
//! signature has been verified, by the one place that checks everything else. "Used a claim that nobody had verified" does
//! not compile.
//!
//! | module | what |
//! | --- | --- |
//! | [`verifier`] | the whole verification, and the domain's port |
//! | [`unverified`], [`claims`] | before and after |
//! | [`refusal`] | every reason why not |
//! | [`config`], [`preset`] | the trusted issuers |
//! | [`jwk`], [`key_set`] | keys, checked one by one |
//! | [`key_cache`] | when keys are loaded, used and given up |
//! | [`fetch`], [`snapshot`] | the two ports keys come through |
//! | [`locator`] | discovery |
//! | [`refresh`] | from the issuers to where snapshots are kept |
//!
//! The crate does no I/O of its own, reads no clock but the one it is given, and starts no task. It needs a tokio runtime
//! with its timer enabled, to give up waiting.

pub mod algorithm;
mod base64url;
pub mod claims;
pub mod config;
mod endpoint;
pub mod fetch;
mod issuer;
mod json;
pub mod jwk;
pub mod key_cache;
pub mod key_set;
pub mod locator;
pub mod preset;
pub mod refresh;
pub mod refusal;
mod signature;
pub mod snapshot;
#[cfg(test)]
mod testing;
pub mod unverified;
pub mod verifier;
