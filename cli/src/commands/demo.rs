//! `latchkey demo`: one launch and one refusal, step by step.

use std::process::ExitCode;

use anyhow::{Context as _, bail, ensure};
use axum::body::Body;
use axum::http::Request;
use latchkey_domain::audit::AuditRecord;
use latchkey_domain::target::Kind;
use serde_json::{Value, json};

use super::say;
use crate::args::DemoArgs;
use crate::embedded::{Embedded, Options};
use crate::event::demo_token;
use crate::http::{self, Answer};

/// Runs the demonstration.
///
/// # Errors
/// Anything that did not go as it must: the demonstration is a test of itself.
pub async fn run(args: DemoArgs, json: bool) -> anyhow::Result<ExitCode> {
    let embedded = Embedded::start(Options::default()).await?;
    let report = Report { json };
    launch(&embedded, &report, args.kind).await?;
    refusal(&embedded, &report).await?;
    embedded.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

struct Report {
    json: bool,
}

impl Report {
    fn heading(&self, text: &str) {
        if !self.json {
            say(format!("\n{text}"));
        }
    }

    /// One step: what happened, and the facts of it.
    fn step(&self, what: &str, facts: &[(&str, &str)]) {
        if self.json {
            let facts: serde_json::Map<_, _> = facts.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
            say(json!({"step": what, "facts": facts}).to_string());
        } else {
            say(format!("  {what}"));
            for (name, value) in facts {
                say(format!("      {name:<16}{value}"));
            }
        }
    }
}

/// Asks the API as a portal does, for the target of that name or for the user's default.
async fn ask(embedded: &Embedded, user: &str, target: Option<&str>) -> anyhow::Result<(Answer, AuditRecord)> {
    let token = demo_token(embedded.stack.idp.issuer(), user).await?;
    let request = Request::post(format!("{}/presigned-urls", embedded.api()))
        .header("authorization", format!("Bearer {token}"))
        .header("accept", "application/json");
    let request = match target {
        Some(target) => request.header("content-type", "application/json").body(Body::from(json!({ "target": target }).to_string()))?,
        None => request.body(Body::empty())?,
    };
    let answer = http::send(request).await?;
    let id = answer.headers.get("x-request-id").and_then(|id| id.to_str().ok()).context("the answer has no X-Request-Id")?;
    let record = embedded.decisions.of(id).context("the decision left no audit record")?;
    Ok((answer, record))
}

fn text(value: Option<&String>) -> &str {
    value.map_or("", String::as_str)
}

/// A launch of one kind of target: Alice's Studio, or Frank's target of that name, who has one of each.
async fn launch(embedded: &Embedded, report: &Report, kind: Kind) -> anyhow::Result<()> {
    let (user, name, target) = match kind {
        Kind::Studio => ("alice", "Alice", None),
        Kind::Notebook | Kind::MlflowServer | Kind::MlflowApp | Kind::PartnerApp => ("frank", "Frank", Some(kind.as_str())),
    };
    report.heading(&format!("A launch. {name} has signed in; the portal asks for a URL with the user's token."));
    let (answer, record) = ask(embedded, user, target).await?;
    ensure!(answer.status == 200, "the launch was refused: {} {}", record.code, record.reason.unwrap_or_default());
    ensure!(record.kind == Some(kind.as_str()), "the launch was of another kind");
    report.step(
        "token accepted",
        &[("issuer", text(record.issuer_id.as_ref())), ("subject", text(record.subject.as_ref())), ("key", text(record.key_id.as_ref()))],
    );
    report.step("grant found", &[("target", text(record.target.as_ref())), ("opens", text(record.resource_arn.as_ref()))]);
    report.step("role session opened", &[("role", text(record.role.as_ref())), ("source identity", text(record.source_identity.as_ref()))]);
    let body: Value = serde_json::from_str(&answer.body).context("the answer is not JSON")?;
    let url = body["url"].as_str().context("the answer has no URL")?;
    let (shown, _) = url.split_once('?').context("the URL has no token")?;
    let lives = format!("{} s; the session it opens: {} s", body["expires_in_seconds"], body["session_seconds"]);
    report.step("URL minted", &[("url", &format!("{shown}?(redacted)")), ("opens for", &lives)]);

    let page = open(url).await?;
    ensure!(page.status == 200, "the URL does not open (status {})", page.status);
    let opened: Value = serde_json::from_str(&page.body).context("the page is not JSON")?;
    let opened = |member: &str| opened[member].as_str().unwrap_or_default();
    let granted = text(record.resource_arn.as_ref());
    ensure!(opened("resource_arn") == granted, "the URL opened {}, not {granted}", opened("resource_arn"));
    ensure!(opened("source_identity") == text(record.source_identity.as_ref()), "the page is not the user's");
    report.step("page opened, as was granted", &[("resource", granted), ("for", opened("source_identity"))]);
    ensure!(open(url).await?.status == 403, "the URL opened a second time");
    report.step("page closed: the stand-in opens a URL once", &[]);
    Ok(())
}

async fn open(url: &str) -> anyhow::Result<Answer> {
    http::send(Request::get(url).header("accept", "application/json").body(Body::empty())?).await
}

async fn refusal(embedded: &Embedded, report: &Report) -> anyhow::Result<()> {
    report.heading("A refusal. Carol's token is as good as Alice's, but she has been suspended.");
    let calls = embedded.stack.aws.captured().len();
    let (answer, record) = ask(embedded, "carol", None).await?;
    let body: Value = serde_json::from_str(&answer.body).context("the answer is not JSON")?;
    if answer.status != 403 || record.code != "not-entitled" {
        bail!("carol was not refused as she must be: {} {}", answer.status, record.code);
    }
    let status = answer.status.to_string();
    report.step("refused", &[("status", &status), ("code", record.code), ("the portal sees", body["title"].as_str().unwrap_or_default())]);
    report.step("audited", &[("reason", record.reason.unwrap_or_default()), ("subject", text(record.subject.as_ref()))]);
    ensure!(embedded.stack.aws.captured().len() == calls, "a refused request reached STS or SageMaker");
    report.step("no call to STS or SageMaker was made", &[]);
    Ok(())
}
