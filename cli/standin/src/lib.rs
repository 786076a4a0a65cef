//! What latchkey runs against on one machine: STS and SageMaker, an OpenID issuer, a DynamoDB engine.
//!
//! `latchkey dev`, `latchkey demo` and the whole-system tests start a [`stack::Stack`]. All of it listens on 127.0.0.1 only,
//! holds made-up users and credentials that are drawn at each start, and is never part of what is deployed.
//!
//! The stand-ins are a second opinion, so they share no code with what they check: signatures are verified from the
//! specification ([`sigv4`]), tokens are signed without the verifier's library ([`idp`]), and requests are held to AWS's API
//! model rather than to the SDK ([`aws`]). Where AWS is lenient and a client would be wrong to rely on it, they refuse.
//!
//! Each of them can be told to fail ([`fault::Fault`]), and keeps what it was asked ([`captured::Captured`]).

mod answer;
pub mod aws;
pub mod captured;
pub mod dns;
pub mod fault;
pub mod html;
pub mod idp;
pub mod random;
pub mod relay;
mod secret;
mod server;
pub mod sigv4;
pub mod stack;
pub mod table;

pub use random::NoRandomness;
pub use secret::Secret;
