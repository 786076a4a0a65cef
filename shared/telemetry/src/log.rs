//! Log lines: JSON under the names that Powertools for AWS Lambda uses (`level`, `message`, `timestamp`, `service`,
//! `cold_start`, `function_request_id`, `xray_trace_id`), so that the queries an operator already has work.
//!
//! Only events of this project's own crates are written. The libraries below it log requests as they send and receive them
//! (at `trace`, the Lambda runtime writes whole events): tokens and URLs. No level lets those through.

use std::fmt::{self, Write as _};
use std::io::Write;
use std::str::FromStr;
use std::sync::{Arc, Mutex, PoisonError};

use latchkey_domain::clock::Clock;
use serde_json::Value;
use serde_json::map::Map;
use tracing::field::{Field, Visit};
use tracing::{Event, Level, Metadata, Subscriber};
use tracing_subscriber::layer::{Context, Layer, SubscriberExt as _};

/// The value of `service` in every line.
pub const SERVICE: &str = "latchkey";

/// From which level on events are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct LogLevel(Level);

impl Default for LogLevel {
    fn default() -> Self {
        Self(Level::INFO)
    }
}

impl FromStr for LogLevel {
    type Err = UnknownLevel;

    fn from_str(name: &str) -> Result<Self, UnknownLevel> {
        Ok(Self(match name {
            "error" => Level::ERROR,
            "warn" => Level::WARN,
            "info" => Level::INFO,
            "debug" => Level::DEBUG,
            "trace" => Level::TRACE,
            _ => return Err(UnknownLevel),
        }))
    }
}

/// Not the name of a level.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UnknownLevel;

impl fmt::Display for UnknownLevel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("is error, warn, info, debug or trace")
    }
}

impl std::error::Error for UnknownLevel {}

/// What every line of one invocation carries.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct InvocationFields {
    /// Whether it is the first of its execution environment.
    pub cold_start: bool,
    /// Lambda's id of the invocation.
    pub function_request_id: String,
    /// The X-Ray trace header.
    pub xray_trace_id: Option<String>,
}

/// Sets what the lines that follow carry. Invocations of one environment follow each other, so one place holds it.
#[derive(Debug, Clone, Default)]
pub struct InvocationScope(Arc<Mutex<InvocationFields>>);

impl InvocationScope {
    /// The next invocation has begun.
    pub fn enter(&self, fields: InvocationFields) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = fields;
    }
}

/// A `tracing` layer that writes JSON lines.
#[derive(Debug)]
pub struct JsonLines<C, W> {
    level: LogLevel,
    clock: C,
    scope: InvocationScope,
    out: Mutex<W>,
}

impl<C: Clock, W: Write> JsonLines<C, W> {
    /// Writes events from `level` on to `out`.
    pub const fn new(level: LogLevel, clock: C, scope: InvocationScope, out: W) -> Self {
        Self { level, clock, scope, out: Mutex::new(out) }
    }

    fn writes(&self, metadata: &Metadata<'_>) -> bool {
        let target = metadata.target();
        let crate_name = target.split("::").next().unwrap_or(target);
        let ours = matches!(crate_name, "broker" | "jwks_refresher") || target.starts_with("latchkey");
        ours && *metadata.level() <= self.level.0
    }
}

impl<S, C, W> Layer<S> for JsonLines<C, W>
where
    S: Subscriber,
    C: Clock + 'static,
    W: Write + Send + 'static,
{
    fn enabled(&self, metadata: &Metadata<'_>, _: Context<'_, S>) -> bool {
        self.writes(metadata)
    }

    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        let metadata = event.metadata();
        if !self.writes(metadata) {
            return;
        }
        let mut line = Map::new();
        line.insert("level".into(), metadata.level().as_str().into());
        line.insert("timestamp".into(), self.clock.now().rfc3339().into());
        line.insert("service".into(), SERVICE.into());
        line.insert("location".into(), metadata.target().into());
        let fields = self.scope.0.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if !fields.function_request_id.is_empty() {
            line.insert("cold_start".into(), fields.cold_start.into());
            line.insert("function_request_id".into(), fields.function_request_id.into());
        }
        if let Some(trace) = fields.xray_trace_id {
            line.insert("xray_trace_id".into(), trace.into());
        }
        event.record(&mut Fields(&mut line));
        let Ok(mut text) = serde_json::to_vec(&line) else { return };
        text.push(b'\n');
        // A log line that cannot be written has nobody to be told to.
        let _ = self.out.lock().unwrap_or_else(PoisonError::into_inner).write_all(&text);
    }
}

struct Fields<'a>(&'a mut Map<String, Value>);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        let mut text = String::new();
        let _ = write!(text, "{value:?}");
        self.0.insert(field.name().to_owned(), text.into());
    }

    fn record_str(&mut self, field: &Field, value: &str) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_bool(&mut self, field: &Field, value: bool) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_i64(&mut self, field: &Field, value: i64) {
        self.0.insert(field.name().to_owned(), value.into());
    }

    fn record_u64(&mut self, field: &Field, value: u64) {
        self.0.insert(field.name().to_owned(), value.into());
    }
}

/// Makes `layer` the process's log. A second call changes nothing.
pub fn install<C: Clock + 'static, W: Write + Send + 'static>(layer: JsonLines<C, W>) {
    // Fails only when a log is installed already, as in a test that starts two services.
    let _ = tracing::subscriber::set_global_default(tracing_subscriber::registry().with(layer));
}
