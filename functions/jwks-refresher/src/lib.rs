//! The refresher as a Lambda function, in parts: what it is told, and what it says of a run. `latchkey keys refresh` says the same.

pub mod config;
pub mod report;
