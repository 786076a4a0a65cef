//! What the broker says about itself, all of it on standard output, one JSON object a line:
//!
//! - [`audit`]: one record for every decision, and the metrics that follow from it ([`emf`])
//! - [`log`]: what an operator should know besides, under the names that Powertools for AWS Lambda uses

pub mod audit;
pub mod emf;
pub mod log;
