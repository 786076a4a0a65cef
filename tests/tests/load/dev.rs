//! `latchkey dev`: hundreds of users at the same moment, each with a connection.

use std::collections::HashMap;
use std::sync::Arc;

use axum::body::Body;
use axum::http::Request;
use latchkey::embedded::{Embedded, Options};
use latchkey::http;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_admin::{Expect, GrantAdmin};
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::grant::Grant;
use latchkey_domain::identity::{Identity, Subject};
use latchkey_domain::item::Item;
use latchkey_domain::names::TargetName;
use latchkey_standin::idp::MintOptions;
use latchkey_standin::stack::TABLE;
use latchkey_tests::stack::{annotation, clients};
use serde_json::{Value, json};

use crate::crowd::{ALONE, Answered, Change, Crowd, USERS, judge, now, subjects, suspend_some};
use crate::record;

/// Requests: with so many users each has ten, which is below their limit.
const REQUESTS: usize = 3000;

/// The limit of `latchkey dev`: so many in a window of so many seconds.
const LIMIT: usize = 20;
const WINDOW_SECONDS: i64 = 60;

struct Scene {
    embedded: Embedded,
    operator: GrantAdmin,
}

impl Scene {
    async fn new() -> Self {
        let embedded = Embedded::start(Options::default()).await.unwrap();
        let variables: HashMap<String, String> = embedded.stack.env().into_iter().collect();
        let environment = Environment::read(|name| variables.get(name).cloned()).unwrap();
        let operator = GrantAdmin::new(clients(&environment).dynamodb_for_operators(), TABLE);
        let attributes = json!({ "kind": "studio", "domain_id": "d-demoresearch", "user_profile_name": "alice" });
        let item: Item = serde_json::from_value(attributes).unwrap();
        let grant = Grant::from_item(TargetName::new("lab").unwrap(), &item).unwrap();
        for subject in subjects() {
            let identity = Identity { issuer: embedded.stack.issuer_id().clone(), subject: Subject::new(subject).unwrap() };
            operator.put_grant(&identity, &grant, &annotation(), Expect::Absent).await.unwrap();
        }
        Self { embedded, operator }
    }

    /// One of those who ask at once: as long as there is something to ask for, without a pause.
    async fn ask(&self, crowd: &Crowd) -> Vec<Answered> {
        let stack = &self.embedded.stack;
        let mut answers = Vec::new();
        while let Some((number, change)) = crowd.next() {
            match change {
                Change::None => {}
                Change::Keys => drop(stack.idp.rotate().unwrap()),
                Change::Suspension => {
                    suspend_some(&self.operator, stack.issuer_id()).await;
                    crowd.suspension_is_done();
                }
            }
            let asked = crowd.ask(number);
            let token = stack.idp.mint(&MintOptions::new(&asked.subject)).unwrap();
            let request =
                Request::post(format!("{}/presigned-urls", self.embedded.api())).header("authorization", format!("Bearer {token}"));
            let begun = now();
            let answer = http::send(request.body(Body::empty()).unwrap()).await.unwrap();
            let took = begun.elapsed();
            let body: Value = serde_json::from_str(&answer.body).unwrap();
            let request_id = answer.headers["x-request-id"].to_str().unwrap().to_owned();
            let record = self.embedded.decisions.of(&request_id).expect("a record for each answer");
            assert_eq!(record.subject.as_deref(), Some(asked.subject.as_str()));
            let reason = record.reason.unwrap_or_default().to_owned();
            let url = body["url"].as_str().map(str::to_owned);
            answers.push(Answered { asked, request_id, status: answer.status.into(), reason, url, took });
        }
        answers
    }
}

/// So many at once, and all of them within so many windows of the limit.
async fn run(at_once: usize) -> Value {
    let scene = Arc::new(Scene::new().await);
    let crowd = Arc::new(Crowd::new(REQUESTS));
    let window = || SystemClock::new().now().unix_seconds() / WINDOW_SECONDS;
    let (begun, first_window) = (now(), window());
    let asking: Vec<_> = (0..at_once)
        .map(|_| {
            let (scene, crowd) = (Arc::clone(&scene), Arc::clone(&crowd));
            tokio::spawn(async move { scene.ask(&crowd).await })
        })
        .collect();
    let mut answers = Vec::with_capacity(REQUESTS);
    for asking in asking {
        answers.extend(asking.await.unwrap());
    }
    let (whole, windows) = (begun.elapsed(), usize::try_from(window() - first_window + 1).unwrap());
    judge(&answers, REQUESTS, &(LIMIT..=LIMIT * windows));
    record::latencies(at_once, whole, answers.iter().map(|answered| answered.took).collect())
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs the tools: make test"]
async fn hundreds_at_once_on_dev() {
    let _alone = ALONE.lock().await;
    let mut figures = Vec::new();
    for at_once in if record::folder().is_some() { vec![1, 10, 100, USERS] } else { vec![USERS] } {
        figures.push(run(at_once).await);
    }
    record::write("dev", &json!({ "latencies": figures }));
}
