//! An answer while it can still be damaged on purpose.

use std::borrow::Cow;
use std::time::Duration;

use axum::body::Body;
use axum::response::Response;
use bytes::Bytes;
use futures_util::StreamExt as _;
use futures_util::stream;
use http::{HeaderName, HeaderValue, StatusCode, header};

use crate::fault::Fault;
use crate::server::{CloseConnection, CutConnection};

/// A whole answer.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) content_type: Cow<'static, str>,
    pub(crate) headers: Vec<(HeaderName, String)>,
    pub(crate) body: Bytes,
}

impl Answer {
    pub(crate) fn new(status: u16, content_type: impl Into<Cow<'static, str>>, body: impl Into<Bytes>) -> Self {
        Self { status, content_type: content_type.into(), headers: Vec::new(), body: body.into() }
    }

    #[cfg(test)]
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.body).unwrap()
    }

    pub(crate) fn json(status: u16, body: &serde_json::Value) -> Self {
        Self::new(status, "application/json", body.to_string())
    }

    pub(crate) fn with(mut self, name: HeaderName, value: impl Into<String>) -> Self {
        self.headers.push((name, value.into()));
        self
    }

    /// The answer as it goes out, damaged as `fault` says. Faults that belong before an answer change nothing here.
    pub(crate) fn into_response(self, fault: Option<&Fault>) -> Response {
        let mut content_type = self.content_type;
        let mut body = self.body;
        let mut truncated = false;
        match fault {
            Some(Fault::Malformed) => body = Bytes::from_static(b"{\"<not>: what was asked for"),
            Some(Fault::Body(text)) => body = Bytes::from(text.clone()),
            Some(Fault::WrongContentType) => content_type = Cow::Borrowed("text/html; charset=utf-8"),
            Some(Fault::Truncated) => truncated = true,
            Some(Fault::Close) => return close(),
            Some(Fault::Delay(_) | Fault::Hold(_) | Fault::Error { .. } | Fault::ForeignUrl(_) | Fault::HalfHead) | None => {}
        }
        let length = body.len();
        let body = if truncated { half(body) } else { Body::from(body) };
        let mut response = Response::new(body);
        *response.status_mut() = StatusCode::from_u16(self.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        if fault == Some(&Fault::HalfHead) {
            response.extensions_mut().insert(CutConnection { after: HALF_A_HEAD });
        }
        let headers = response.headers_mut();
        if let Ok(content_type) = HeaderValue::from_str(&content_type) {
            headers.insert(header::CONTENT_TYPE, content_type);
        }
        headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if truncated {
            headers.insert(header::CONTENT_LENGTH, HeaderValue::from(length));
        }
        for (name, value) in self.headers {
            if let Ok(value) = HeaderValue::from_str(&value) {
                headers.insert(name, value);
            }
        }
        response
    }
}

/// Within the status line: `HTTP/1.1 20`.
const HALF_A_HEAD: usize = 11;

fn close() -> Response {
    let mut response = Response::new(Body::empty());
    response.extensions_mut().insert(CloseConnection);
    response
}

/// The first half of the body, and then a connection that breaks.
fn half(body: Bytes) -> Body {
    let body = body.slice(..body.len() / 2);
    let first = stream::once(async move { Ok(body) });
    let then = stream::once(async {
        // Time for the first half to leave.
        tokio::time::sleep(Duration::from_millis(20)).await;
        Err(std::io::Error::from(std::io::ErrorKind::ConnectionReset))
    });
    Body::from_stream(first.chain(then))
}
