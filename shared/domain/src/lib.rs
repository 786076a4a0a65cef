//! What latchkey is, without any input or output.
//!
//! The crate holds the nouns (an [`identity::Principal`], a [`grant::Grant`], an [`entitlement::Entitlement`], a
//! [`presigned_url::PresignedUrl`]), the rules that lead from one to the next, and the use case that walks them
//! ([`broker::Broker`]). It knows no AWS SDK, no HTTP, no Lambda, no JSON Web Token and no async runtime; what it needs
//! from outside it asks for through the traits in [`ports`].
//!
//! Data flows one way, and each step can only be made from the one before it:
//!
//! ```text
//! BearerToken -> Principal -> Entitlement -> RoleSession -> PresignedUrl
//! ```

pub mod attribution;
pub mod audit;
pub mod broker;
pub mod clock;
pub mod decision;
pub mod entitlement;
#[cfg(any(test, feature = "fakes"))]
pub mod fakes;
pub mod grant;
pub mod group;
pub mod hex;
pub mod identity;
pub mod item;
pub mod names;
pub mod ports;
pub mod posture;
pub mod presigned_url;
pub mod provision;
mod recent;
mod row;
pub mod subject;
pub mod target;
pub mod token;
