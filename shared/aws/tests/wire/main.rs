//! The adapters over the wire, against a server with canned answers.
#![allow(clippy::disallowed_methods, reason = "a test has no verifier to make its principals")]
#![allow(clippy::unwrap_used, reason = "helpers of tests, which clippy does not know for such")]

mod kinds;
mod posture;
mod profiles;
// By its path, as the tests that have it depend on this crate.
#[path = "../../../../tests/src/stopwatch.rs"]
#[expect(unreachable_pub, reason = "it is public where it lies")]
mod stopwatch;
mod support;
mod table;
mod urls;
