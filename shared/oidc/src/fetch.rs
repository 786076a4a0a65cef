//! Getting a document over HTTP, as a port: the sockets and the TLS are elsewhere.
//!
//! What an implementation owes, whatever it is made of: one GET, no redirect followed, no cookie, no credentials, the time
//! and the size bounded by [`Limits`] over the whole exchange (connecting included), and a 200 as the only success. Which
//! addresses may be asked for is decided here, in [`crate::config`] and [`crate::locator`], before anything is fetched.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

/// Most time that one document may take, connecting included.
pub const FETCH_TIMEOUT: Duration = Duration::from_secs(5);

/// Most bytes that one document may have: 256 KiB, for a key set as for a discovery document.
pub const MAX_DOCUMENT_BYTES: usize = 256 * 1024;

/// What a fetch may cost.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The time from the call to the last byte of the body.
    pub timeout: Duration,
    /// The size of the body in bytes, after any decoding. One byte more is [`FetchError::TooLarge`].
    pub max_bytes: usize,
}

impl Limits {
    /// The limits of one document within what is left of a request's time: [`FETCH_TIMEOUT`] or `budget`, whichever is
    /// shorter, and [`MAX_DOCUMENT_BYTES`].
    pub fn within(budget: Duration) -> Self {
        Self { timeout: budget.min(FETCH_TIMEOUT), max_bytes: MAX_DOCUMENT_BYTES }
    }
}

/// Fetches documents.
pub trait Fetch: Send + Sync {
    /// Fetches the document at `url` with one GET, and gives its body.
    ///
    /// # Errors
    /// Anything but a 200 whose whole body arrived within `limits`. A redirect is an error, never followed: it could lead to
    /// any address at all.
    fn get(&self, url: &str, limits: Limits) -> impl Future<Output = Result<Vec<u8>, FetchError>> + Send;
}

impl<F: Fetch + ?Sized> Fetch for Arc<F> {
    fn get(&self, url: &str, limits: Limits) -> impl Future<Output = Result<Vec<u8>, FetchError>> + Send {
        (**self).get(url, limits)
    }
}

/// Why a document could not be had. None of these carries what the server said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum FetchError {
    /// It took longer than [`Limits::timeout`].
    Timeout,
    /// No connection: the name did not resolve, or nobody answered.
    Connect,
    /// The server's certificate is not trusted, or no TLS session could be agreed on.
    Tls,
    /// An answer with this status, neither a 200 nor a redirect.
    Status(u16),
    /// A redirect, which is not followed.
    Redirect,
    /// The body has more than [`Limits::max_bytes`].
    TooLarge,
    /// The connection broke, or did not speak HTTP.
    Body,
    /// The URL cannot be asked for.
    BadUrl,
}

/// Nothing that a server sent but its status. What audit records have instead is [`crate::refusal::KeyFailure::as_str`].
impl fmt::Display for FetchError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Timeout => "timeout",
            Self::Connect => "connect",
            Self::Tls => "tls",
            Self::Status(status) => return write!(f, "status {status}"),
            Self::Redirect => "redirect",
            Self::TooLarge => "too-large",
            Self::Body => "body",
            Self::BadUrl => "bad-url",
        })
    }
}

impl std::error::Error for FetchError {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_are_shown_in_a_word_or_two() {
        let shown = [
            FetchError::Timeout,
            FetchError::Connect,
            FetchError::Tls,
            FetchError::Status(503),
            FetchError::Redirect,
            FetchError::TooLarge,
            FetchError::Body,
            FetchError::BadUrl,
        ]
        .map(|error| error.to_string());
        assert_eq!(shown, ["timeout", "connect", "tls", "status 503", "redirect", "too-large", "body", "bad-url"]);
    }
}
