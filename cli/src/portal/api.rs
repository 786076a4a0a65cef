//! The portal's calls to latchkey's API, with the token of the user for whom it asks.

use std::fmt;
use std::time::Duration;

use anyhow::Context as _;
use axum::body::Body;
use axum::http::{HeaderMap, Request};
use latchkey_domain::token::BearerToken;
use latchkey_standin::Secret;
use serde::Deserialize;
use serde_json::{Map, Value};

use crate::http::{self, Answer};

/// How long an answer may take: what API Gateway waits for the broker, and a second more.
const PATIENCE: Duration = Duration::from_secs(30);

/// The API.
#[derive(Debug)]
pub(super) struct Api {
    base: String,
}

/// One of the user's targets.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub(super) struct Target {
    pub(super) name: String,
    pub(super) kind: String,
    pub(super) region: String,
    pub(super) landings: Vec<String>,
    pub(super) default: bool,
    pub(super) enabled: bool,
}

#[derive(Deserialize)]
struct Targets {
    targets: Vec<Target>,
}

/// A URL, and for how long it is one.
pub(super) struct Opened {
    /// It lets its holder in: it goes into one `Location` header, and nowhere else.
    pub(super) url: Secret,
    pub(super) target: String,
    pub(super) expires_in_seconds: u32,
}

#[derive(Deserialize)]
struct Minted {
    url: String,
    target: String,
    expires_in_seconds: u32,
}

/// An answer that is not what was asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refused {
    pub(super) status: u16,
    /// The code, for the message.
    pub(super) code: String,
    /// By which the operators find the reason; none where nothing has answered.
    pub(super) request_id: Option<String>,
    /// The target's state, where the API tells it.
    pub(super) state: Option<String>,
    /// After how many seconds it is worth asking again.
    pub(super) retry_after_seconds: Option<u32>,
}

/// A problem document (RFC 9457), of which a portal needs this much.
#[derive(Deserialize)]
struct Problem {
    code: String,
    state: Option<String>,
}

impl Refused {
    /// Nothing has answered, or nothing that can be read.
    fn unavailable(request_id: Option<String>) -> Self {
        Self { status: 503, code: "unavailable".to_owned(), request_id, state: None, retry_after_seconds: None }
    }

    fn read(answer: &Answer) -> Self {
        let request_id = header(&answer.headers, "x-request-id").map(ToOwned::to_owned);
        let Ok(problem) = serde_json::from_str::<Problem>(&answer.body) else { return Self::unavailable(request_id) };
        Self {
            status: answer.status,
            code: problem.code,
            request_id,
            state: problem.state,
            retry_after_seconds: header(&answer.headers, "retry-after").and_then(|seconds| seconds.parse().ok()),
        }
    }
}

fn header<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    headers.get(name)?.to_str().ok()
}

impl Api {
    /// The API at that address.
    pub(super) fn at(base: String) -> Self {
        Self { base }
    }

    /// What the user may open.
    pub(super) async fn targets(&self, token: &BearerToken) -> Result<Vec<Target>, Refused> {
        let request = Request::get(format!("{}/targets", self.base));
        let answer = ask(request, token, Body::empty()).await?;
        read::<Targets>(&answer).map(|list| list.targets)
    }

    /// One URL. Without a target it is the user's default, without a landing the target's own.
    pub(super) async fn open(&self, token: &BearerToken, target: Option<&str>, landing: Option<&str>) -> Result<Opened, Refused> {
        let mut body = Map::new();
        for (name, value) in [("target", target), ("landing", landing)] {
            body.extend(value.map(|value| (name.to_owned(), Value::from(value))));
        }
        let request = Request::post(format!("{}/presigned-urls", self.base)).header("content-type", "application/json");
        let answer = ask(request, token, Body::from(Value::Object(body).to_string())).await?;
        let Minted { url, target, expires_in_seconds } = read(&answer)?;
        Ok(Opened { url: Secret::new(url), target, expires_in_seconds })
    }
}

async fn ask(request: axum::http::request::Builder, token: &BearerToken, body: Body) -> Result<Answer, Refused> {
    let send = async {
        let request = request
            .header("authorization", format!("Bearer {}", token.expose()))
            .header("accept", "application/json")
            .body(body)
            .context("the token cannot stand in a header")?;
        http::send(request).await
    };
    match tokio::time::timeout(PATIENCE, send).await {
        Ok(Ok(answer)) if answer.status == 200 => Ok(answer),
        Ok(Ok(answer)) => Err(Refused::read(&answer)),
        Ok(Err(_)) | Err(_) => Err(Refused::unavailable(None)),
    }
}

fn read<T: serde::de::DeserializeOwned>(answer: &Answer) -> Result<T, Refused> {
    let request_id = || header(&answer.headers, "x-request-id").map(ToOwned::to_owned);
    // What is wrong with it might be quoted from it, so it is not said.
    serde_json::from_str(&answer.body).map_err(|_| Refused::unavailable(request_id()))
}

impl fmt::Debug for Opened {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Opened").field("target", &self.target).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn answer(status: u16, headers: &[(&'static str, &str)], body: &str) -> Answer {
        let headers = headers.iter().map(|(name, value)| (axum::http::HeaderName::from_static(name), value.parse().unwrap())).collect();
        Answer { status, headers, body: body.to_owned() }
    }

    #[test]
    fn a_refusal_is_read_off_the_problem() {
        let refused = Refused::read(&answer(
            409,
            &[("x-request-id", "r-1"), ("retry-after", "5")],
            r#"{"type":"urn:x","title":"t","status":409,"code":"target-not-ready","request_id":"r-1","state":"Pending"}"#,
        ));
        assert_eq!((refused.status, refused.code.as_str(), refused.retry_after_seconds), (409, "target-not-ready", Some(5)));
        assert_eq!((refused.request_id.as_deref(), refused.state.as_deref()), (Some("r-1"), Some("Pending")));
        // What is no problem document is a gateway's, and says nothing that a user could use.
        let refused = Refused::read(&answer(502, &[], "<html>"));
        assert_eq!((refused.status, refused.code.as_str(), refused.request_id), (503, "unavailable", None));
    }

    #[test]
    fn an_answer_and_what_is_made_of_it_show_no_url() {
        let body = r#"{"url":"https://canary.example/?token=canary","target":"research","expires_in_seconds":30,"more":1}"#;
        let answer = answer(200, &[], body);
        let minted: Minted = read(&answer).unwrap();
        let opened = Opened { url: Secret::new(minted.url), target: minted.target, expires_in_seconds: minted.expires_in_seconds };
        assert!(!format!("{answer:?}{opened:?}").contains("canary"));
        assert_eq!((opened.target.as_str(), opened.expires_in_seconds), ("research", 30));
    }

    #[tokio::test]
    async fn nobody_there_is_unavailable() {
        let api = Api::at("http://127.0.0.1:9/v1".to_owned());
        let refused = api.targets(&BearerToken::new("x".to_owned())).await.unwrap_err();
        assert_eq!((refused.status, refused.code.as_str()), (503, "unavailable"));
        // A token that is no header's value is no panic.
        assert!(api.open(&BearerToken::new("x\ny".to_owned()), None, None).await.is_err());
    }
}
