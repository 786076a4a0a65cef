//! API Gateway on this machine: turns HTTP requests into the proxy events that the broker answers, and its answers back.
//!
//! Source: API Gateway Developer Guide, "Input format of a Lambda function for proxy integration" (payload 1.0). Only what
//! the broker reads is filled in faithfully.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::extract::{Request, State};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse as _, Response};
use latchkey_api::service::{Invocation, Service};
use latchkey_domain::clock::Clock;
use latchkey_domain::ports::{AuditSink, Authenticator, GrantStore, ProfileKeeper, UrlIssuer, UsageLedger};
use latchkey_standin::random;
use serde_json::{Value, json};

/// The stage under which the API is deployed.
pub const STAGE: &str = "v1";

/// The VPC endpoint that requests on this machine claim to come through.
pub const VPC_ENDPOINT: &str = "vpce-0dev";

/// The largest request that is read; API Gateway's own limit is 10 MB.
const MAX_REQUEST_BYTES: usize = 10 << 20;

/// How long an answer may take: API Gateway's limit.
const INTEGRATION_TIMEOUT: Duration = Duration::from_secs(29);

/// Serves `service` below the stage's path.
pub fn router<A, S, U, C, K>(service: Arc<Service<A, S, U, C, K>>, account_id: String) -> Router
where
    A: Authenticator + 'static,
    S: GrantStore + UsageLedger + 'static,
    U: UrlIssuer + ProfileKeeper + 'static,
    C: Clock + 'static,
    K: AuditSink + 'static,
{
    let state = Arc::new(Gateway { service, account_id });
    Router::new().nest(&format!("/{STAGE}"), Router::new().fallback(serve::<A, S, U, C, K>).with_state(state))
}

type Shared<A, S, U, C, K> = Arc<Gateway<A, S, U, C, K>>;

struct Gateway<A, S, U, C, K> {
    service: Arc<Service<A, S, U, C, K>>,
    account_id: String,
}

async fn serve<A, S, U, C, K>(State(gateway): State<Shared<A, S, U, C, K>>, request: Request) -> Response
where
    A: Authenticator,
    S: GrantStore + UsageLedger,
    U: UrlIssuer + ProfileKeeper,
    C: Clock,
    K: AuditSink,
{
    let Ok(id) = random::uuid() else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    let (parts, body) = request.into_parts();
    let Ok(body) = to_bytes(body, MAX_REQUEST_BYTES).await else { return StatusCode::PAYLOAD_TOO_LARGE.into_response() };
    let event = proxy_event(&parts, &body, &id, &gateway.account_id).to_string();
    let invocation = Invocation { event: event.as_bytes(), id: &id, account_id: Some(&gateway.account_id), budget: INTEGRATION_TIMEOUT };
    let answer = gateway.service.handle(invocation, tokio::time::sleep(INTEGRATION_TIMEOUT)).await;

    let mut response = Response::new(Body::from(answer.body().to_owned()));
    *response.status_mut() = StatusCode::from_u16(answer.status()).unwrap_or(StatusCode::BAD_GATEWAY);
    for (name, value) in answer.headers() {
        if let (Ok(name), Ok(value)) = (HeaderName::try_from(*name), HeaderValue::try_from(value)) {
            response.headers_mut().insert(name, value);
        }
    }
    response
}

/// The event that API Gateway would send for a request through the development endpoint.
fn proxy_event(parts: &axum::http::request::Parts, body: &[u8], id: &str, account_id: &str) -> Value {
    let mut headers: BTreeMap<&str, String> = BTreeMap::new();
    let mut multi_value_headers: BTreeMap<&str, Vec<String>> = BTreeMap::new();
    for (name, value) in &parts.headers {
        let value = String::from_utf8_lossy(value.as_bytes()).into_owned();
        headers.insert(name.as_str(), value.clone());
        multi_value_headers.entry(name.as_str()).or_default().push(value);
    }
    let path = parts.uri.path();
    let body = if body.is_empty() { Value::Null } else { String::from_utf8_lossy(body).into() };
    json!({
        "resource": "/{proxy+}",
        "path": path,
        "httpMethod": parts.method.as_str(),
        "headers": headers,
        "multiValueHeaders": multi_value_headers,
        "queryStringParameters": null,
        "multiValueQueryStringParameters": null,
        "pathParameters": {"proxy": path.trim_start_matches('/')},
        "stageVariables": null,
        "requestContext": {
            "requestId": id,
            "accountId": account_id,
            "stage": STAGE,
            "path": format!("/{STAGE}{path}"),
            "httpMethod": parts.method.as_str(),
            "identity": {"sourceIp": "127.0.0.1", "vpceId": VPC_ENDPOINT},
        },
        "body": body,
        "isBase64Encoded": false,
    })
}
