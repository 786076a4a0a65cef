//! Opening connections: TCP, TLS for `https`, and a limit on both together.

use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Duration;

use http::Uri;
use hyper_rustls::{HttpsConnector, MaybeHttpsStream};
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioIo;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tower_service::Service;

use crate::CONNECT_TIMEOUT;
use crate::error::ConnectError;

tokio::task_local! {
    /// How long the call that is being made will wait for a new connection.
    ///
    /// hyper-util asks the connector for a connection from within the call's own future, with nothing but the address, so the
    /// task is the only way to hand the limit on.
    pub(crate) static CONNECT_WITHIN: Duration;
}

type Connection = MaybeHttpsStream<TokioIo<TcpStream>>;

/// Opens connections within the call's limit.
#[derive(Clone)]
pub(crate) struct Connector(HttpsConnector<HttpConnector>);

impl Connector {
    pub(crate) fn new(tls: Arc<ClientConfig>) -> Self {
        let mut tcp = HttpConnector::new();
        // The TLS layer above decides by the scheme; this one would refuse `https`.
        tcp.enforce_http(false);
        // A request is one small write: Nagle's algorithm would hold back its end until the server acknowledges the rest.
        tcp.set_nodelay(true);
        // Shared out among a name's addresses.
        tcp.set_connect_timeout(Some(CONNECT_TIMEOUT));
        Self(HttpsConnector::from((tcp, tls)))
    }
}

impl Service<Uri> for Connector {
    type Response = Connection;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Connection, ConnectError>> + Send>>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        self.0.poll_ready(cx).map_err(ConnectError::new)
    }

    fn call(&mut self, destination: Uri) -> Self::Future {
        let limit = CONNECT_WITHIN.try_with(|limit| *limit).unwrap_or(CONNECT_TIMEOUT);
        let connecting = self.0.call(destination);
        Box::pin(async move {
            match tokio::time::timeout(limit, connecting).await {
                Ok(result) => result.map_err(ConnectError::new),
                Err(_elapsed) => Err(ConnectError::timeout()),
            }
        })
    }
}
