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
use latchkey_api::response::ProxyResponse;
use latchkey_api::service::{Invocation, Service};
use latchkey_api::{body, problem};
use latchkey_domain::clock::Clock;
use latchkey_domain::decision::{Code, Denial};
use latchkey_domain::ports::{AuditSink, Authenticator, GrantStore, ProfileKeeper, UrlIssuer, UsageLedger};
use latchkey_standin::random;
use serde_json::{Value, json};
use tokio::sync::Semaphore;

/// The stage under which the API is deployed.
pub const STAGE: &str = "v1";

/// The VPC endpoint that requests on this machine claim to come through.
pub const VPC_ENDPOINT: &str = "vpce-0dev";

/// The largest request that is read; API Gateway's own limit is 10 MB.
const MAX_REQUEST_BYTES: usize = 10 << 20;

/// How many requests are at work at once; the others wait for their turn. Lambda has an environment for each, with a processor's share
/// of its own: on this machine hundreds would only share one, until the calls that each of them makes ran out of time.
const AT_ONCE: usize = 32;

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
    let state = Arc::new(Gateway { service, account_id, turns: Semaphore::new(AT_ONCE) });
    Router::new().nest(&format!("/{STAGE}"), Router::new().fallback(serve::<A, S, U, C, K>).with_state(state))
}

type Shared<A, S, U, C, K> = Arc<Gateway<A, S, U, C, K>>;

struct Gateway<A, S, U, C, K> {
    service: Arc<Service<A, S, U, C, K>>,
    account_id: String,
    turns: Semaphore,
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
    let Ok(body) = to_bytes(body, MAX_REQUEST_BYTES).await else {
        // As the template has API Gateway answer (`REQUEST_TOO_LARGE`): the function never hears of it.
        return http_response(&problem::answer(&Denial::new(Code::TooLarge, body::TOO_LARGE), None, &id));
    };
    // It is never closed.
    let _turn = gateway.turns.acquire().await;
    let event = proxy_event(&parts, &body, &id, &gateway.account_id).to_string();
    let invocation = Invocation { event: event.as_bytes(), id: &id, account_id: Some(&gateway.account_id), budget: INTEGRATION_TIMEOUT };
    http_response(&gateway.service.handle(invocation, tokio::time::sleep(INTEGRATION_TIMEOUT)).await)
}

fn http_response(answer: &ProxyResponse) -> Response {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::embedded::{Embedded, Options};
    use crate::http;

    #[tokio::test]
    async fn a_body_that_the_gateway_does_not_take_is_answered_as_the_template_says() {
        let embedded = Embedded::start(Options::default()).await.unwrap();
        let url = format!("{}/presigned-urls", embedded.api());
        let answer = http::send(Request::post(&url).body(Body::from(vec![b' '; MAX_REQUEST_BYTES + 1])).unwrap()).await.unwrap();
        let body: Value = serde_json::from_str(&answer.body).unwrap();
        assert_eq!((answer.status, &body["code"]), (413, &json!("too-large")));
        assert_eq!(body["request_id"], answer.headers["x-request-id"].to_str().unwrap());
        assert_eq!(answer.headers["content-type"], "application/problem+json");
    }

    #[tokio::test]
    async fn what_is_dropped_does_not_answer_any_more() {
        let embedded = Embedded::start(Options::default()).await.unwrap();
        let url = format!("{}/health", embedded.api());
        assert_eq!(http::get(&url).await.unwrap().status, 200);
        drop(embedded);
        // The task ends when it is next looked at.
        tokio::task::yield_now().await;
        assert!(http::get(&url).await.is_err());
    }
}
