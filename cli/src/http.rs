//! A small HTTP client for this machine's own servers.
//!
//! It connects to 127.0.0.1 whatever the name in the URL: not every resolver knows that `*.localhost` is this machine
//! (RFC 6761, section 6.3), while browsers and curl do.

use std::fmt;

use anyhow::{Context as _, bail};
use axum::body::{Body, to_bytes};
use axum::http::{Request, Uri};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;

/// The largest answer that is read.
const MAX_ANSWER_BYTES: usize = 4 << 20;

/// An answer. It may hold a token or a URL, so its `Debug` shows the status only.
pub struct Answer {
    /// The status.
    pub status: u16,
    /// The headers.
    pub headers: axum::http::HeaderMap,
    /// The body, as text.
    pub body: String,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Answer").field("status", &self.status).finish_non_exhaustive()
    }
}

/// Sends a request to the port in its URL on this machine. Redirects are not followed.
///
/// # Errors
/// A URL that is not `http` on `localhost`, a name below it or 127.0.0.1; a connection that fails; an answer that is too
/// large.
pub async fn send(mut request: Request<Body>) -> anyhow::Result<Answer> {
    let uri = request.uri().clone();
    let host = uri.host().unwrap_or_default();
    if uri.scheme_str() != Some("http") || !(host == "127.0.0.1" || host == "localhost" || host.ends_with(".localhost")) {
        bail!("only this machine is asked");
    }
    let authority = uri.authority().context("the URL has no host")?.to_string();
    let port = uri.port_u16().unwrap_or(80);
    *request.uri_mut() = uri.path_and_query().map_or_else(Uri::default, |path| Uri::from(path.clone()));
    request.headers_mut().insert(axum::http::header::HOST, authority.parse().context("the URL's host cannot be a header")?);

    let stream = TcpStream::connect(("127.0.0.1", port)).await.with_context(|| format!("nothing answers on port {port}"))?;
    let (mut sender, connection) = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await?;
    let connection = tokio::spawn(connection);
    let response = sender.send_request(request).await?;
    let (parts, body) = response.into_parts();
    let body = to_bytes(Body::new(body), MAX_ANSWER_BYTES).await?;
    drop(sender);
    // The connection's own outcome says nothing that the answer has not said.
    let _ = connection.await;
    Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: String::from_utf8_lossy(&body).into_owned() })
}

/// Sends a GET.
///
/// # Errors
/// As [`send`].
pub async fn get(url: &str) -> anyhow::Result<Answer> {
    send(Request::get(url).body(Body::empty())?).await
}

/// Sends a POST of a form.
///
/// # Errors
/// As [`send`].
pub async fn post_form(url: &str, form: String) -> anyhow::Result<Answer> {
    send(Request::post(url).header("content-type", "application/x-www-form-urlencoded").body(Body::from(form))?).await
}
