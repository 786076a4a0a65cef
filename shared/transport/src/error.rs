//! Why there is no client, and why there is no answer.

use std::error::Error;
use std::path::PathBuf;

/// Why a [`Transport`](crate::Transport) cannot be made. Each is one line, for whoever set the bundle.
#[derive(Debug, thiserror::Error)]
pub enum TransportError {
    /// The bundle cannot be opened or read.
    #[error("the CA bundle {} cannot be read: {source}", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the operating system said.
        source: std::io::Error,
    },
    /// The bundle is there and is not what it should be.
    #[error("the CA bundle {}: {problem}", path.display())]
    NotABundle {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
    /// The TLS library refuses its own defaults. Cannot happen with the features it is built with.
    #[error("TLS cannot be set up: {0}")]
    Tls(#[from] rustls::Error),
}

/// Why there is no answer to a request.
///
/// Found in the source chain of the SDK's dispatch failures. Its texts tell nothing of what was sent.
#[derive(Debug, thiserror::Error)]
pub enum CallError {
    /// There is no connection. The server has seen nothing of the request.
    #[error("{kind}")]
    NotConnected {
        /// How far it came.
        kind: ConnectFailure,
        /// What was in the way.
        source: Box<dyn Error + Send + Sync>,
    },
    /// The answer did not begin in time. The request may have been carried out.
    #[error("no answer in time")]
    Timeout,
    /// The connection broke, or what came was not HTTP. The request may have been carried out.
    #[error("the connection broke")]
    Broken(#[source] Box<dyn Error + Send + Sync>),
    /// The URL is not one to which a request can be sent. Nothing was.
    #[error("not a URL to send a request to")]
    BadUrl,
}

/// Why there is no connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum ConnectFailure {
    /// The name did not resolve, or nobody answered at its addresses.
    #[error("no connection")]
    Unreachable,
    /// The server's certificate is not trusted, or no TLS session could be agreed on.
    #[error("no TLS session")]
    Tls,
    /// It took too long.
    #[error("no connection in time")]
    Timeout,
}

impl CallError {
    /// Whether the server may have seen the request, and so may have acted on it.
    ///
    /// `false` is certain: sending the request again cannot do its work twice.
    pub const fn may_have_been_sent(&self) -> bool {
        match self {
            Self::NotConnected { .. } | Self::BadUrl => false,
            Self::Timeout | Self::Broken(_) => true,
        }
    }

    /// The [`CallError`] in an error's source chain, where there is one.
    pub fn find<'a>(error: &'a (dyn Error + 'static)) -> Option<&'a Self> {
        let mut next = Some(error);
        while let Some(error) = next {
            if let Some(found) = error.downcast_ref() {
                return Some(found);
            }
            next = error.source();
        }
        None
    }

    /// Reads hyper-util's error.
    pub(crate) fn from_client(error: hyper_util::client::legacy::Error) -> Self {
        if !error.is_connect() {
            return Self::Broken(Box::new(error));
        }
        let kind = error.source().and_then(|source| source.downcast_ref::<ConnectError>()).map_or(ConnectFailure::Unreachable, |e| e.kind);
        Self::NotConnected { kind, source: Box::new(error) }
    }
}

/// What the connector tells hyper-util.
#[derive(Debug, thiserror::Error)]
#[error("{kind}")]
pub(crate) struct ConnectError {
    pub(crate) kind: ConnectFailure,
    pub(crate) source: Option<Box<dyn Error + Send + Sync>>,
}

impl ConnectError {
    pub(crate) fn new(source: Box<dyn Error + Send + Sync>) -> Self {
        let kind = if is_tls(source.as_ref()) { ConnectFailure::Tls } else { ConnectFailure::Unreachable };
        Self { kind, source: Some(source) }
    }

    pub(crate) const fn timeout() -> Self {
        Self { kind: ConnectFailure::Timeout, source: None }
    }
}

/// Whether rustls is in the error's chain. `io::Error::source` skips the error that it wraps, so that is looked into.
fn is_tls(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<rustls::Error>() {
            return true;
        }
        next = match error.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref) {
            Some(inner) => Some(inner as &(dyn Error + 'static)),
            None => error.source(),
        };
    }
    false
}
