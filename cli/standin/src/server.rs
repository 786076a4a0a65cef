//! An HTTP server on loopback that owns its connections, so that nothing of it is left once it has stopped.

use std::net::{Ipv4Addr, SocketAddr};
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Duration;

use axum::Router;
use axum::body::Body;
use hyper::body::Incoming;
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};
use tower_service::Service as _;

/// How long requests that are being answered may take to finish when the server is asked to stop.
const GRACE: Duration = Duration::from_millis(500);

/// Put into a response's extensions: the connection is closed instead of sending it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CloseConnection;

/// Put into a response's extensions: the connection breaks after so many bytes of it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct CutConnection {
    pub(crate) after: usize,
}

#[derive(Debug, thiserror::Error)]
#[error("the connection is closed without an answer")]
struct Closed;

/// Listens on 127.0.0.1. Port 0 is any free one.
///
/// # Errors
/// The port is taken.
pub(crate) async fn listen(port: u16) -> std::io::Result<(TcpListener, SocketAddr)> {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port)).await?;
    let address = listener.local_addr()?;
    Ok((listener, address))
}

/// A running server. Dropped, it stops at once; [`Server::shutdown`] lets answers under way finish.
#[derive(Debug)]
pub(crate) struct Server {
    stop: watch::Sender<bool>,
    task: JoinHandle<()>,
}

impl Server {
    /// Serves `router` on `listener`.
    pub(crate) fn start(listener: TcpListener, router: Router) -> Self {
        let (stop, stopped) = watch::channel(false);
        Self { stop, task: tokio::spawn(accept(listener, router, stopped)) }
    }

    /// Stops accepting, gives answers under way a moment, and returns when every connection is closed.
    pub(crate) async fn shutdown(mut self) {
        let _ = self.stop.send(true);
        // An error means that the task has been aborted or has panicked: it has ended either way.
        let _ = (&mut self.task).await;
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // The connections' tasks are in a set that the task owns: they are aborted with it.
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, router: Router, mut stopped: watch::Receiver<bool>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            () = told_to_stop(&mut stopped) => break,
            Some(_) = connections.join_next() => {}
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => {
                    connections.spawn(serve(stream, router.clone(), stopped.clone()));
                }
                // Out of file descriptors, mostly: waiting is all that helps.
                Err(_) => tokio::time::sleep(Duration::from_millis(10)).await,
            },
        }
    }
    drop(listener);
    let all_closed = async { while connections.join_next().await.is_some() {} };
    if tokio::time::timeout(GRACE, all_closed).await.is_err() {
        connections.shutdown().await;
    }
}

async fn told_to_stop(stopped: &mut watch::Receiver<bool>) {
    // An error means that the server is gone.
    let _ = stopped.wait_for(|stop| *stop).await;
}

async fn serve(stream: TcpStream, router: Router, mut stopped: watch::Receiver<bool>) {
    // Small answers must not wait for the peer's acknowledgement.
    let _ = stream.set_nodelay(true);
    let left = Arc::new(AtomicUsize::new(usize::MAX));
    let stream = Cut { stream, left: Arc::clone(&left) };
    let service = service_fn(move |request: http::Request<Incoming>| {
        let mut router = router.clone();
        let left = Arc::clone(&left);
        async move {
            let response = match router.call(request.map(Body::new)).await {
                Ok(response) => response,
                Err(never) => match never {},
            };
            if let Some(cut) = response.extensions().get::<CutConnection>() {
                left.store(cut.after, Ordering::Relaxed);
            }
            if response.extensions().get::<CloseConnection>().is_some() { Err(Closed) } else { Ok(response) }
        }
    });
    let connection = hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(stream), service);
    tokio::pin!(connection);
    tokio::select! {
        // How a connection ends is its peer's affair, or a fault that was asked for.
        _ = connection.as_mut() => {}
        () = told_to_stop(&mut stopped) => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
}

/// A stream that breaks once so many bytes have been written to it.
struct Cut {
    stream: TcpStream,
    /// How many may still be. It is told between two answers, so nothing else hangs on when it is seen.
    left: Arc<AtomicUsize>,
}

impl AsyncRead for Cut {
    fn poll_read(mut self: Pin<&mut Self>, context: &mut Context<'_>, buffer: &mut ReadBuf<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_read(context, buffer)
    }
}

impl AsyncWrite for Cut {
    fn poll_write(mut self: Pin<&mut Self>, context: &mut Context<'_>, bytes: &[u8]) -> Poll<std::io::Result<usize>> {
        let left = self.left.load(Ordering::Relaxed);
        if left == usize::MAX {
            return Pin::new(&mut self.stream).poll_write(context, bytes);
        }
        if left == 0 {
            return Poll::Ready(Err(std::io::ErrorKind::ConnectionReset.into()));
        }
        let written = ready!(Pin::new(&mut self.stream).poll_write(context, bytes.get(..left).unwrap_or(bytes)))?;
        self.left.store(left - written, Ordering::Relaxed);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
pub(crate) mod client {
    //! A bare HTTP/1.1 client for this crate's tests.

    use bytes::Bytes;
    use http_body_util::{BodyExt as _, Full};

    use super::*;

    /// What came back.
    #[derive(Debug)]
    pub(crate) struct Reply {
        pub(crate) status: u16,
        pub(crate) headers: http::HeaderMap,
        pub(crate) body: String,
    }

    impl Reply {
        pub(crate) fn json(&self) -> serde_json::Value {
            serde_json::from_str(&self.body).unwrap_or_else(|e| panic!("{e}: {}", self.body))
        }

        pub(crate) fn header(&self, name: &str) -> &str {
            self.headers.get(name).map_or("", |value| value.to_str().unwrap())
        }
    }

    /// Sends one request on a connection of its own. An error is a connection that broke.
    pub(crate) async fn send(address: SocketAddr, request: http::Request<String>) -> Result<Reply, hyper::Error> {
        let stream = TcpStream::connect(address).await.unwrap();
        let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
        let driver = tokio::spawn(connection);
        let reply = async {
            let response = sender.send_request(request.map(|body| Full::new(Bytes::from(body)))).await?;
            let (parts, body) = response.into_parts();
            let body = body.collect().await?.to_bytes();
            Ok(Reply { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8(body.to_vec()).unwrap() })
        }
        .await;
        driver.abort();
        reply
    }

    /// A request with a `host` of its own.
    pub(crate) fn request(method: &str, target: &str, host: &str, headers: &[(&str, &str)], body: &str) -> http::Request<String> {
        let mut request = http::Request::builder().method(method).uri(target).header("host", host);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        request.body(body.to_owned()).unwrap()
    }
}

#[cfg(test)]
mod tests {
    use axum::routing::get;
    use tokio::sync::Notify;

    use super::client::{request, send};
    use super::*;

    fn router() -> Router {
        Router::new().route("/", get(|| async { "hello" }))
    }

    #[tokio::test]
    async fn stops_with_a_request_under_way() {
        let (listener, address) = listen(0).await.unwrap();
        let arrived = Arc::new(Notify::new());
        let arriving = Arc::clone(&arrived);
        let never_answered = get(move || async move {
            arriving.notify_one();
            std::future::pending::<()>().await;
        });
        let server = Server::start(listener, router().route("/slow", never_answered));
        assert_eq!(send(address, request("GET", "/", "x", &[], "")).await.unwrap().body, "hello");
        let slow = tokio::spawn(send(address, request("GET", "/slow", "x", &[], "")));
        arrived.notified().await;
        tokio::time::timeout(Duration::from_secs(5), server.shutdown()).await.unwrap();
        assert!(slow.await.unwrap().is_err());
        assert!(TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_is_cut_breaks_within_the_head() {
        let (listener, address) = listen(0).await.unwrap();
        let cut = Router::new().route(
            "/",
            get(|| async { axum::response::IntoResponse::into_response((axum::Extension(CutConnection { after: 11 }), "hello")) }),
        );
        let server = Server::start(listener, cut);
        let mut stream = TcpStream::connect(address).await.unwrap();
        tokio::io::AsyncWriteExt::write_all(&mut stream, b"GET / HTTP/1.1\r\nhost: x\r\n\r\n").await.unwrap();
        let mut received = Vec::new();
        let _ = tokio::io::AsyncReadExt::read_to_end(&mut stream, &mut received).await;
        assert_eq!(received, b"HTTP/1.1 20");
        server.shutdown().await;
    }

    #[tokio::test]
    async fn an_idle_connection_does_not_hold_it_up() {
        let (listener, address) = listen(0).await.unwrap();
        let server = Server::start(listener, router());
        let idle = TcpStream::connect(address).await.unwrap();
        assert_eq!(send(address, request("GET", "/", "x", &[], "")).await.unwrap().status, 200);
        tokio::time::timeout(Duration::from_secs(5), server.shutdown()).await.unwrap();
        drop(idle);
    }

    #[tokio::test]
    async fn dropped_it_is_gone() {
        let (listener, address) = listen(0).await.unwrap();
        drop(Server::start(listener, router()));
        for _ in 0..100 {
            if TcpStream::connect(address).await.is_err() {
                return;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        panic!("still listening");
    }
}
