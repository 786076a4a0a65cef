//! What a stand-in was asked, for tests to look at. Answers are never kept.

use std::collections::VecDeque;
use std::fmt;

use http::HeaderMap;
use latchkey_domain::clock::Timestamp;

use crate::fault::Fault;

/// How many requests are kept; the oldest go first.
pub const CAPTURED_REQUESTS: usize = 1024;

/// One request, and how it went.
///
/// It is kept as it was received, so its headers and body hold secrets: `Debug` does not show them.
#[derive(Clone)]
pub struct Captured {
    /// Which of the requests it was, from 0.
    pub number: u64,
    /// When it came.
    pub at: Timestamp,
    /// What its signature is scoped to, as `sts`, `sagemaker` or `dynamodb`; for a page the kind of what it is of, as `studio` or
    /// `notebook`; empty where nothing could be made out.
    pub service: String,
    /// The call, as `AssumeRole`; empty where nothing could be made out.
    pub action: String,
    /// The method.
    pub method: String,
    /// The path.
    pub path: String,
    /// What followed the `?`.
    pub query: String,
    /// The headers.
    pub headers: HeaderMap,
    /// The body.
    pub body: Vec<u8>,
    /// The region that its signature is scoped to.
    pub region: String,
    /// The key that it is signed with.
    pub access_key_id: String,
    /// How it went; none while the answer is under way, and for good when the caller has gone away before it.
    pub outcome: Option<Outcome>,
}

/// How a request went.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Outcome {
    /// The status of the answer.
    pub status: u16,
    /// The error code, if it was one.
    pub error: Option<String>,
    /// The fault that had been asked for.
    pub fault: Option<Fault>,
}

impl Captured {
    /// Whether it was answered as it asked, at once or late.
    pub fn is_ok(&self) -> bool {
        self.outcome
            .as_ref()
            .is_some_and(|outcome| outcome.error.is_none() && matches!(outcome.fault, None | Some(Fault::Delay(_) | Fault::Hold(_))))
    }

    /// The error code with which it was answered.
    pub fn error(&self) -> Option<&str> {
        self.outcome.as_ref()?.error.as_deref()
    }

    /// The whole request as JSON, secrets and all, for a check outside of this process.
    pub fn expose_json(&self) -> serde_json::Value {
        let headers: Vec<[String; 2]> = self
            .headers
            .iter()
            .map(|(name, value)| [name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned()])
            .collect();
        serde_json::json!({
            "number": self.number,
            "at": self.at.rfc3339(),
            "service": self.service,
            "action": self.action,
            "method": self.method,
            "path": self.path,
            "query": self.query,
            "headers": headers,
            "body": String::from_utf8_lossy(&self.body),
            "region": self.region,
            "access_key_id": self.access_key_id,
            "status": self.outcome.as_ref().map(|outcome| outcome.status),
            "error": self.error(),
        })
    }
}

impl fmt::Debug for Captured {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Captured")
            .field("number", &self.number)
            .field("service", &self.service)
            .field("action", &self.action)
            .field("region", &self.region)
            .field("access_key_id", &self.access_key_id)
            .field("outcome", &self.outcome)
            .finish_non_exhaustive()
    }
}

/// The last requests.
#[derive(Debug, Default)]
pub(crate) struct Ring {
    next: u64,
    requests: VecDeque<Captured>,
}

impl Ring {
    /// Keeps a request and gives the number under which [`Ring::update`] finds it again.
    pub(crate) fn push(&mut self, mut captured: Captured) -> u64 {
        let number = self.next;
        self.next += 1;
        captured.number = number;
        if self.requests.len() == CAPTURED_REQUESTS {
            self.requests.pop_front();
        }
        self.requests.push_back(captured);
        number
    }

    pub(crate) fn update(&mut self, number: u64, change: impl FnOnce(&mut Captured)) {
        if let Some(captured) = self.requests.iter_mut().rev().find(|captured| captured.number == number) {
            change(captured);
        }
    }

    pub(crate) fn all(&self) -> Vec<Captured> {
        self.requests.iter().cloned().collect()
    }

    pub(crate) fn clear(&mut self) {
        self.requests.clear();
    }
}
