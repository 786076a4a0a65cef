//! The HTTP API of the broker, as API Gateway's REST proxy integration (payload 1.0) delivers it.
//!
//! ```text
//! event -> ProxyEvent -> Request -> route -> use case -> ProxyResponse + one AuditRecord
//! ```
//!
//! The crate knows neither the Lambda runtime nor any async runtime: who serves the events brings both
//! ([`service::Service::handle`]).

pub mod bearer;
pub mod body;
pub mod event;
pub mod problem;
pub mod response;
pub mod route;
pub mod service;
