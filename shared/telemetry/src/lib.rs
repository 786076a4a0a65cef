//! What the functions say about themselves, on standard output, one JSON object a line:
//!
//! - [`audit`]: one record for every decision, and the metrics that follow from it ([`emf`])
//! - [`keys`]: what came of an issuer's keys, from the function that refreshes them
//! - [`log`]: what an operator should know besides, under the names that Powertools for AWS Lambda uses
//!
//! And [`panics`], on standard error: where there was a bug.

pub mod audit;
pub mod emf;
pub mod keys;
pub mod log;
pub mod panics;
