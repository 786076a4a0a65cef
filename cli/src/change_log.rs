//! The audit lines of changes to the table: who changed which row, when, and what it was before.
//!
//! One line of JSON for each row, `"event": "latchkey.change"`, as `docs/change.schema.json` has it: to standard error, or to
//! the end of a file. A log that cannot be opened stops a command before it changes anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use latchkey_aws::grant_admin::Change;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::Identity;
use latchkey_domain::item::Item;
use latchkey_domain::names::TargetName;
use serde::Serialize;

/// Who changes the table, and where that is written down.
#[derive(Debug, Clone, Args)]
pub struct ChangeArgs {
    /// Who does it, for the row and for the audit line of the change
    #[arg(long, env = "USER", value_name = "NAME")]
    pub by: Option<String>,
    /// Append the audit lines of changes to this file; without it they go to standard error
    #[arg(long, env = "LATCHKEY_AUDIT_LOG", value_name = "FILE")]
    pub audit_log: Option<PathBuf>,
}

/// Where the lines of one command go.
#[derive(Debug)]
pub struct ChangeLog<'a> {
    command: &'static str,
    by: Option<&'a str>,
    table: &'a str,
    file: Option<File>,
}

/// A line.
#[derive(Debug, Serialize)]
struct ChangeRecord<'a> {
    event: &'static str,
    time: Timestamp,
    command: &'static str,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    table: &'a str,
    issuer_id: &'a str,
    subject: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a Item>,
    #[serde(skip_serializing_if = "Option::is_none")]
    aws_request_id: Option<&'a str>,
    version: &'static str,
}

impl<'a> ChangeLog<'a> {
    /// Opens the log for a command that works on this table.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn open(command: &'static str, args: &'a ChangeArgs, table: &'a str) -> anyhow::Result<Self> {
        let file = args.audit_log.as_ref().filter(|path| !path.as_os_str().is_empty()).map(|path| {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            opened.with_context(|| format!("nothing is changed: the audit log {} cannot be opened", path.display()))
        });
        Ok(Self { command, by: args.by.as_deref(), table, file: file.transpose()? })
    }

    /// Whether the lines go to standard error.
    pub const fn is_standard_error(&self) -> bool {
        self.file.is_none()
    }

    /// Writes the line of a change to a grant, or without a target to the subject's own row.
    ///
    /// # Errors
    /// The line cannot be written; the change has been made.
    pub fn record(&self, at: Timestamp, identity: &Identity, target: Option<&TargetName>, change: &Change) -> anyhow::Result<()> {
        let record = ChangeRecord {
            event: "latchkey.change",
            time: at,
            command: self.command,
            change: match (&change.before, &change.after) {
                (None, _) => "created",
                (Some(_), Some(_)) => "updated",
                (Some(_), None) => "deleted",
            },
            by: self.by,
            table: self.table,
            issuer_id: identity.issuer.as_str(),
            subject: identity.subject.as_str(),
            target: target.map(TargetName::as_str),
            before: change.before.as_ref().map(|row| &row.item),
            after: change.after.as_ref(),
            aws_request_id: change.aws_request_id.as_deref(),
            version: env!("CARGO_PKG_VERSION"),
        };
        let mut line = serde_json::to_vec(&record)?;
        line.push(b'\n');
        // In one piece: what is appended to a file in one write does not mix with another process's lines.
        let written = match &self.file {
            Some(file) => (&*file).write_all(&line),
            None => io::stderr().lock().write_all(&line),
        };
        written.context("the change is made, and its audit line cannot be written")
    }
}
