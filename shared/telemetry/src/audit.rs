//! Where decisions are kept: standard output, which Lambda hands to CloudWatch Logs.

use std::io::{self, Write};
use std::sync::{Mutex, PoisonError};

use latchkey_domain::audit::AuditRecord;
use latchkey_domain::ports::AuditSink;

use crate::emf;

/// Writes each decision as one line, and its metrics as another, in one write.
#[derive(Debug)]
pub struct LineSink<W> {
    out: Mutex<W>,
}

impl LineSink<io::Stdout> {
    /// Writes to standard output.
    pub fn stdout() -> Self {
        Self::new(io::stdout())
    }
}

impl<W: Write> LineSink<W> {
    /// Writes to `out`.
    pub const fn new(out: W) -> Self {
        Self { out: Mutex::new(out) }
    }
}

impl<W: Write + Send> AuditSink for LineSink<W> {
    fn record(&self, record: &AuditRecord) -> io::Result<()> {
        let mut lines = Vec::with_capacity(2048);
        serde_json::to_writer(&mut lines, record)?;
        lines.push(b'\n');
        serde_json::to_writer(&mut lines, &emf::metrics(record))?;
        lines.push(b'\n');
        let mut out = self.out.lock().unwrap_or_else(PoisonError::into_inner);
        out.write_all(&lines)?;
        out.flush()
    }
}
