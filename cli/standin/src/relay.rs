//! A relay in front of an HTTP service that this crate did not write: it keeps what goes through, and fails on demand.
//!
//! Put in front of the table's engine it shows which calls were made, how many, and lets any of them go wrong. A call is
//! named by the end of `X-Amz-Target` (as `BatchGetItem`), or by its path where there is none.

use std::fmt;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use axum::Router;
use axum::response::Response;
use bytes::Bytes;
use http::{HeaderMap, header};
use http_body_util::{BodyExt as _, Full};
use hyper_util::client::legacy::Client;
use hyper_util::client::legacy::connect::HttpConnector;
use hyper_util::rt::TokioExecutor;
use latchkey_domain::clock::Clock;

use crate::answer::Answer;
use crate::captured::{Captured, Outcome, Ring};
use crate::fault::{Fault, Faults, Instead};
use crate::server::{self, Server};
use crate::sigv4::Signed;

/// As large as DynamoDB's own limit.
const MAX_BODY: usize = 16 * 1024 * 1024;

/// A running relay. Dropped, it stops.
pub struct Relay {
    state: Arc<State>,
    address: SocketAddr,
    server: Server,
}

struct State {
    upstream: SocketAddr,
    client: Client<HttpConnector, Full<Bytes>>,
    captured: Mutex<Ring>,
    faults: Faults,
    under_way: AtomicUsize,
    clock: Arc<dyn Clock>,
}

/// Counted for as long as it lasts: until there is an answer, or whoever asked has gone.
struct UnderWay<'a>(&'a AtomicUsize);

impl<'a> UnderWay<'a> {
    fn count(of: &'a AtomicUsize) -> Self {
        of.fetch_add(1, Ordering::SeqCst);
        Self(of)
    }
}

impl Drop for UnderWay<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl fmt::Debug for Relay {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Relay").field("address", &self.address).field("upstream", &self.state.upstream).finish_non_exhaustive()
    }
}

impl Relay {
    /// Starts on 127.0.0.1 and passes everything on to `upstream`; port 0 is any free one.
    ///
    /// # Errors
    /// The port is taken.
    pub async fn start(port: u16, upstream: SocketAddr, clock: Arc<dyn Clock>) -> std::io::Result<Self> {
        let (listener, address) = server::listen(port).await?;
        let state = Arc::new(State {
            upstream,
            client: Client::builder(TokioExecutor::new()).build_http(),
            captured: Mutex::default(),
            faults: Faults::default(),
            under_way: AtomicUsize::new(0),
            clock,
        });
        let serving = Arc::clone(&state);
        let router = Router::new().fallback(move |request| pass(Arc::clone(&serving), request));
        Ok(Self { state, address, server: Server::start(listener, router) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint to use instead of the service's own.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// The next `times` calls of `action` go wrong in this way. An error is in DynamoDB's shape; there is no URL to replace.
    pub fn inject(&self, action: &str, times: usize, fault: &Fault) {
        self.state.faults.inject(action, times, fault);
    }

    /// No further call goes wrong on purpose.
    pub fn clear_faults(&self) {
        self.state.faults.clear();
    }

    /// The requests so far, oldest first; the last [`crate::captured::CAPTURED_REQUESTS`] of them.
    pub fn captured(&self) -> Vec<Captured> {
        self.state.captured.lock().unwrap_or_else(PoisonError::into_inner).all()
    }

    /// How many requests have neither been answered nor been given up.
    pub fn under_way(&self) -> usize {
        self.state.under_way.load(Ordering::SeqCst)
    }

    /// Forgets the requests so far.
    pub fn clear_captured(&self) {
        self.state.captured.lock().unwrap_or_else(PoisonError::into_inner).clear();
    }

    /// Stops, and returns once nothing is left running.
    pub async fn shutdown(self) {
        self.server.shutdown().await;
    }
}

fn call(headers: &HeaderMap, path: &str) -> String {
    let target = headers.get("x-amz-target").and_then(|value| value.to_str().ok());
    target.map_or(path, |target| target.rsplit('.').next().unwrap_or(target)).to_owned()
}

async fn pass(state: Arc<State>, request: axum::extract::Request) -> Response {
    let _under_way = UnderWay::count(&state.under_way);
    let (parts, body) = request.into_parts();
    let Ok(body) = axum::body::to_bytes(body, MAX_BODY).await else {
        return Answer::new(413, "text/plain", "The request is too large.\n").into_response(None);
    };
    let action = call(&parts.headers, parts.uri.path());
    let signed = Signed::parse(&parts.headers).ok();
    let scoped = |part: fn(&Signed) -> &str| signed.as_ref().map(part).unwrap_or_default().to_owned();
    let number = state.captured.lock().unwrap_or_else(PoisonError::into_inner).push(Captured {
        number: 0,
        at: state.clock.now(),
        service: scoped(Signed::service),
        action: action.clone(),
        method: parts.method.as_str().to_owned(),
        path: parts.uri.path().to_owned(),
        query: parts.uri.query().unwrap_or_default().to_owned(),
        headers: parts.headers.clone(),
        body: body.to_vec(),
        region: scoped(Signed::region),
        access_key_id: scoped(Signed::access_key_id),
        outcome: None,
    });

    let fault = state.faults.next(&action).await;
    let answer = match fault.as_ref().and_then(Fault::instead) {
        Some(Instead::Error(status, code)) => error(status, code),
        Some(Instead::Close) => error(500, "Closed"),
        None => forward(&state, parts, body).await.unwrap_or_else(|_| error(502, "NoUpstream")),
    };
    state.captured.lock().unwrap_or_else(PoisonError::into_inner).update(number, |captured| {
        let error = (answer.status >= 400).then(|| code(&answer.body));
        captured.outcome = Some(Outcome { status: answer.status, error, fault: fault.clone() });
    });
    answer.into_response(fault.as_ref())
}

fn error(status: u16, code: &str) -> Answer {
    let body =
        serde_json::json!({ "__type": format!("com.amazonaws.dynamodb.v20120810#{code}"), "message": "The relay was told to fail." });
    Answer::new(status, "application/x-amz-json-1.0", body.to_string())
}

/// The code of an error in an AWS JSON shape; empty for anything else.
fn code(body: &[u8]) -> String {
    let body: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let text = body.get("__type").and_then(serde_json::Value::as_str).unwrap_or_default();
    text.rsplit('#').next().unwrap_or_default().to_owned()
}

#[derive(Debug, thiserror::Error)]
enum ForwardError {
    #[error(transparent)]
    Request(#[from] http::Error),
    #[error(transparent)]
    Client(#[from] hyper_util::client::legacy::Error),
    #[error(transparent)]
    Body(#[from] hyper::Error),
}

async fn forward(state: &State, parts: http::request::Parts, body: Bytes) -> Result<Answer, ForwardError> {
    let target = parts.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str);
    let mut request =
        http::Request::builder().method(parts.method).uri(format!("http://{}{target}", state.upstream)).body(Full::new(body))?;
    // The signed `host` stays as it is: the service would not verify otherwise.
    *request.headers_mut() = parts.headers;
    for hop in [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH] {
        request.headers_mut().remove(hop);
    }
    let (parts, body) = state.client.request(request).await?.into_parts();
    let body = body.collect().await?.to_bytes();
    let content_type =
        parts.headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or("application/octet-stream").to_owned();
    let mut answer = Answer::new(parts.status.as_u16(), content_type, body);
    for (name, value) in &parts.headers {
        let ours = [header::CONNECTION, header::TRANSFER_ENCODING, header::CONTENT_LENGTH, header::CONTENT_TYPE, header::DATE];
        if let (false, Ok(value)) = (ours.contains(name), value.to_str()) {
            answer = answer.with(name.clone(), value);
        }
    }
    Ok(answer)
}

#[cfg(test)]
mod tests {
    use latchkey_domain::clock::SystemClock;

    use super::*;
    use crate::server::client::{Reply, request, send};
    use crate::table::{Store, Table};

    async fn list(address: SocketAddr) -> Result<Reply, hyper::Error> {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", "DynamoDB_20120810.ListTables"),
            ("x-amz-date", "20260131T120000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/eu-central-1/dynamodb/aws4_request, \
                 SignedHeaders=content-type;host;x-amz-date;x-amz-target, \
                 Signature=0000000000000000000000000000000000000000000000000000000000000000",
            ),
        ];
        send(address, request("POST", "/", &address.to_string(), &headers, "{}")).await
    }

    #[tokio::test]
    async fn it_passes_on_keeps_and_fails() {
        let table = Table::start(0, &Store::Memory).unwrap();
        let relay = Relay::start(0, table.address(), Arc::new(SystemClock::new())).await.unwrap();
        let direct = list(table.address()).await.unwrap();
        let relayed = list(relay.address()).await.unwrap();
        assert_eq!((relayed.status, &relayed.body), (direct.status, &direct.body));
        assert_eq!(relayed.header("content-type"), direct.header("content-type"));
        assert_eq!(relayed.header("x-amz-crc32"), direct.header("x-amz-crc32"));

        relay.inject("ListTables", 1, &Fault::error(400, "ProvisionedThroughputExceededException"));
        relay.inject("ListTables", 1, &Fault::Malformed);
        relay.inject("ListTables", 1, &Fault::Truncated);
        relay.inject("ListTables", 1, &Fault::Close);
        let throttled = list(relay.address()).await.unwrap();
        assert!(throttled.json()["__type"].as_str().unwrap().ends_with("#ProvisionedThroughputExceededException"));
        assert!(serde_json::from_str::<serde_json::Value>(&list(relay.address()).await.unwrap().body).is_err());
        assert!(list(relay.address()).await.is_err());
        assert!(list(relay.address()).await.is_err());

        let captured = relay.captured();
        assert_eq!(captured.len(), 5);
        assert!(captured.iter().all(|c| c.action == "ListTables" && c.service == "dynamodb" && c.region == "eu-central-1"));
        assert_eq!(captured[1].error(), Some("ProvisionedThroughputExceededException"));
        relay.clear_captured();
        relay.clear_faults();

        table.shutdown().await;
        let gone = list(relay.address()).await.unwrap();
        assert_eq!((gone.status, relay.captured()[0].error()), (502, Some("NoUpstream")));
        relay.shutdown().await;
    }
}
