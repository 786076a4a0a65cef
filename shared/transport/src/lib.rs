//! The one HTTP client and the one TLS stack.
//!
//! Everything that leaves the process over HTTP leaves through a [`Transport`]: the calls of the AWS SDK's clients (it is
//! their [`HttpClient`](aws_smithy_runtime_api::client::http::HttpClient)) and the key sets of issuers (it is a
//! [`Fetch`](latchkey_oidc::fetch::Fetch)). One connection pool, one set of trusted roots, one crypto library (aws-lc-rs).
//!
//! # What it does not do, and why
//!
//! - It reads no environment variable and no certificate folder. The operating system's store costs some 20 million
//!   instructions to read, at every cold start; Mozilla's roots are compiled in instead, or the caller names a bundle.
//! - It starts no thread and no task of its own. hyper drives each connection in a task on the caller's runtime, and idle
//!   connections are thrown away when they are next looked at ([`IDLE_TIMEOUT`]) rather than by a timer: a function that is
//!   frozen between two requests runs no timers. Names are resolved by the operating system on tokio's blocking pool, which
//!   starts a thread when the first connection to a *name* is opened, and not before: whoever opens connections at start has
//!   that thread at start. Resolving on the caller's own thread would need none, and would let a silent name server hold up
//!   every deadline of the process for seconds.
//! - It follows no redirect, stores no cookie, decodes no compressed body, and goes through no proxy.
//! - It does not try again. hyper-util sends a request anew only when it was handed to a pooled connection that turned out
//!   to be closed before anything was written; whether more than that is safe, only the caller knows ([`CallError::may_have_been_sent`]).

mod connect;
mod error;
mod fetch;
mod sdk;
mod tls;

use std::fmt;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use aws_smithy_types::body::SdkBody;
use http::{Method, Request, Response, Uri};
use hyper::body::Incoming;
use hyper_util::client::legacy::Client;
use hyper_util::rt::TokioExecutor;

use crate::connect::{CONNECT_WITHIN, Connector};
pub use crate::error::{CallError, ConnectFailure, TransportError};
pub use crate::fetch::is_loopback;

/// Most time that opening one connection may take: resolving the name, connecting, and the TLS handshake together.
///
/// Where a name has several addresses each gets its share of it, so that one dead availability zone does not use it up.
pub const CONNECT_TIMEOUT: Duration = Duration::from_secs(2);

/// How long a connection may lie idle and still be used.
///
/// A request on a connection that the server has just closed fails in a way that cannot always be told from one that was
/// carried out. AWS's front ends close idle connections after about a minute, NAT gateways and interface endpoints drop them
/// silently after 350 s. 20 s is well below all of them, and above the gap between two requests of a busy function. Where a
/// frozen process's clock stands still, the close itself is noticed when the connection is next used.
pub const IDLE_TIMEOUT: Duration = Duration::from_secs(20);

/// Most idle connections kept per host. A Lambda environment needs one or two; the rest is for `latchkey dev` under load.
pub const MAX_IDLE_PER_HOST: usize = 32;

/// Most bytes that hyper buffers per connection; also bounds the head of an answer.
const MAX_BUFFER: usize = 64 * 1024;

/// The shared HTTP client. Clones share its connections.
#[derive(Clone)]
pub struct Transport {
    client: Arc<Client<Connector, SdkBody>>,
}

impl Transport {
    /// A client that trusts Mozilla's roots, or with `ca_bundle` (what `AWS_CA_BUNDLE` names) the certificates of that PEM
    /// file and nothing else.
    ///
    /// Opens no connection; needs no runtime yet.
    ///
    /// # Errors
    /// The bundle cannot be read, is not PEM, is over 4 MiB, or has no certificate or one that cannot be a root: one line
    /// that names the file.
    pub fn new(ca_bundle: Option<&Path>) -> Result<Self, TransportError> {
        let connector = Connector::new(tls::config(ca_bundle)?);
        let client = Client::builder(TokioExecutor::new())
            .pool_idle_timeout(IDLE_TIMEOUT)
            .pool_max_idle_per_host(MAX_IDLE_PER_HOST)
            .http1_max_buf_size(MAX_BUFFER)
            .build(connector);
        Ok(Self { client: Arc::new(client) })
    }

    /// Opens a connection to the server of `url` and leaves it in the pool, so that the first request finds it there.
    ///
    /// It asks `HEAD /`, without any credentials, and takes any answer as a success: what counts is the connection. `url` is
    /// an endpoint (scheme, host and port); its path is not used. Gives up after `within`.
    ///
    /// # Errors
    /// There is no connection now. The first request will try again by itself.
    pub async fn open(&self, url: &str, within: Duration) -> Result<(), CallError> {
        let authority = url.parse::<Uri>().map_err(|_| CallError::BadUrl)?.into_parts();
        let (Some(scheme), Some(authority)) = (authority.scheme, authority.authority) else { return Err(CallError::BadUrl) };
        let uri = Uri::builder().scheme(scheme).authority(authority).path_and_query("/").build().map_err(|_| CallError::BadUrl)?;
        let mut request = Request::new(SdkBody::empty());
        *request.method_mut() = Method::HEAD;
        *request.uri_mut() = uri;
        self.send(request, None, Some(within)).await.map(drop)
    }

    /// Sends a request and waits for the head of its answer: at most `connect_within` for opening a connection (and never more
    /// than [`CONNECT_TIMEOUT`]), at most `answer_within` for all of it.
    ///
    /// The body is not bounded: whoever reads it bounds that.
    async fn send(
        &self,
        request: Request<SdkBody>,
        connect_within: Option<Duration>,
        answer_within: Option<Duration>,
    ) -> Result<Response<Incoming>, CallError> {
        // The limit reaches the connector by way of the task: connections belong to the pool and limits to the call.
        let connect_within = connect_within.map_or(CONNECT_TIMEOUT, |limit| limit.min(CONNECT_TIMEOUT));
        let sending = CONNECT_WITHIN.scope(connect_within, self.client.request(request));
        let result = match answer_within {
            Some(limit) => tokio::time::timeout(limit, sending).await.map_err(|_| CallError::Timeout)?,
            None => sending.await,
        };
        result.map_err(CallError::from_client)
    }
}

impl fmt::Debug for Transport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Transport").finish_non_exhaustive()
    }
}
