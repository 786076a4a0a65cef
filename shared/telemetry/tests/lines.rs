//! What is written, line by line.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod written;

use std::io::{self, Write};

use latchkey_domain::audit::{Action, AuditRecord};
use latchkey_domain::clock::Timestamp;
use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::fakes::ManualClock;
use latchkey_domain::ports::AuditSink as _;
use latchkey_telemetry::audit::LineSink;
use latchkey_telemetry::log::{InvocationFields, InvocationScope, JsonLines, LogLevel};
use tracing_subscriber::layer::SubscriberExt as _;
use written::Written;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

fn allowed() -> AuditRecord {
    let mut record = AuditRecord::new("request-1");
    record.time = NOW;
    record.action = Action::Mint;
    record.url_sha256 = Some("0".repeat(64));
    record.key_age_seconds = Some(60);
    record.durations_ms.total = 12.345;
    record.durations_ms.presign = Some(4.5);
    record.allow();
    record
}

#[test]
fn a_decision_is_a_record_and_its_metrics() {
    let written = Written::default();
    let sink = LineSink::new(written.clone());
    sink.record(&allowed()).unwrap();
    let mut denied = AuditRecord::new("request-2");
    denied.time = NOW;
    denied.deny(&Denial::new(Code::NotEntitled, Reason("grant.expired")));
    sink.record(&denied).unwrap();
    insta::assert_snapshot!("decisions", written.text());
}

#[test]
fn a_sink_that_cannot_write_says_so() {
    struct Full;
    impl Write for Full {
        fn write(&mut self, _: &[u8]) -> io::Result<usize> {
            Err(io::Error::other("full"))
        }
        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    assert!(LineSink::new(Full).record(&allowed()).is_err());
}

fn logged(level: &str, events: impl FnOnce()) -> String {
    let written = Written::default();
    let scope = InvocationScope::default();
    scope.enter(InvocationFields {
        cold_start: true,
        function_request_id: "invocation-1".into(),
        xray_trace_id: Some("Root=1-0-0".into()),
    });
    let layer = JsonLines::new(level.parse().unwrap(), ManualClock::at(NOW), scope, written.clone());
    tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), events);
    written.text()
}

#[test]
fn lines_carry_the_names_that_powertools_uses() {
    let text = logged("info", || {
        tracing::warn!(target: "broker::service", issuer = "okta", age = 7_u64, "keys are old");
        tracing::debug!(target: "broker::service", "too fine");
    });
    insta::assert_snapshot!("log_line", text);
}

#[test]
fn no_level_lets_the_libraries_below_speak() {
    let text = logged("trace", || {
        tracing::error!(target: "lambda_runtime::layers::api_response", body = "canary", "raw JSON event received from Lambda");
        tracing::error!(target: "aws_smithy_runtime::client::orchestrator", "canary");
        tracing::error!(target: "hyper_util::client::legacy::pool", "canary");
        tracing::error!(target: "brokerage", "canary");
        tracing::trace!(target: "latchkey_oidc::key_cache", "ours");
    });
    assert!(text.contains("ours") && !text.contains("canary"), "{text}");
}

#[test]
fn a_level_is_one_of_five() {
    assert_eq!("info".parse(), Ok(LogLevel::default()));
    for name in ["", "INFO", "off", "warning"] {
        assert!(name.parse::<LogLevel>().is_err(), "{name}");
    }
}
