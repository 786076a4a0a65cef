//! The broker: its configuration, and how the parts of the shared crates are put together into one service.
//!
//! `main.rs` runs the service as a Lambda function; `latchkey dev` serves the same one on this machine.

pub mod config;
pub mod service;
