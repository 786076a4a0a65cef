//! The audit lines of changes: who changed which row of the table, or which policy of a role, when, and what it was before.
//!
//! One line of JSON for each of them, `"event": "latchkey.change"`, as `docs/change.schema.json` has it: to standard error, or to
//! the end of a file. A log that cannot be opened stops a command before it changes anything.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::path::PathBuf;

use anyhow::Context as _;
use clap::Args;
use latchkey_aws::grant_admin::Change;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::Identity;
use latchkey_domain::names::{RoleArn, TargetName};
use serde::Serialize;
use serde_json::Value;

use crate::grant_args::Owner;
use crate::{output, printable};

/// Who makes a change, and where that is written down.
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
    table: Option<&'a str>,
    file: Option<File>,
}

/// A revocation written to a role, or deleted from it.
#[derive(Debug, Clone, Copy)]
pub struct PolicyChange<'a> {
    /// Whose sessions the command is about; none for everyone's, and for what else is deleted on the way.
    pub identity: Option<&'a Identity>,
    /// The role.
    pub role: &'a RoleArn,
    /// The name of the inline policy.
    pub policy_name: &'a str,
    /// The policy as it was found; IAM does not tell what a write replaces. None where the role could not be read.
    pub before: Option<Option<&'a Value>>,
    /// The policy as it is; none where it is gone.
    pub after: Option<&'a Value>,
    /// IAM's id of the request.
    pub aws_request_id: Option<&'a str>,
}

/// A line. What is changed is a row's attributes, or a policy's document.
#[derive(Debug, Serialize)]
struct ChangeRecord<'a, T> {
    event: &'static str,
    time: Timestamp,
    command: &'static str,
    change: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    by: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    table: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    issuer_id: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    subject: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    group: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    target: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    role_arn: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    policy_name: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    before: Option<&'a T>,
    #[serde(skip_serializing_if = "Option::is_none")]
    after: Option<&'a T>,
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
        Ok(Self { table: Some(table), ..Self::open_without_table(command, args)? })
    }

    /// Opens the log for a command that changes no row.
    ///
    /// # Errors
    /// The file cannot be opened for writing.
    pub fn open_without_table(command: &'static str, args: &'a ChangeArgs) -> anyhow::Result<Self> {
        let file = args.audit_log.as_ref().filter(|path| !path.as_os_str().is_empty()).map(|path| {
            let opened = OpenOptions::new().create(true).append(true).open(path);
            opened.with_context(|| format!("nothing is changed: the audit log {} cannot be opened", path.display()))
        });
        Ok(Self { command, by: args.by.as_deref(), table: None, file: file.transpose()? })
    }

    /// Whether the lines go to standard error.
    pub const fn is_standard_error(&self) -> bool {
        self.file.is_none()
    }

    /// Writes the line of a change to a grant, or without a target to the subject's own row.
    ///
    /// # Errors
    /// The line cannot be written; the change has been made.
    pub fn record(&self, at: Timestamp, owner: &Owner, target: Option<&TargetName>, change: &Change) -> anyhow::Result<()> {
        let kind = match (&change.before, &change.after) {
            (None, _) => "created",
            (Some(_), Some(_)) => "updated",
            (Some(_), None) => "deleted",
        };
        self.write(&ChangeRecord {
            table: self.table,
            issuer_id: Some(owner.issuer().as_str()),
            subject: owner.subject(),
            group: owner.group(),
            target: target.map(TargetName::as_str),
            before: change.before.as_ref().map(|row| &row.item),
            after: change.after.as_ref(),
            aws_request_id: change.aws_request_id.as_deref(),
            ..self.line(at, kind)
        })
    }

    /// Writes the line of a change to a role.
    ///
    /// # Errors
    /// The line cannot be written; the change has been made.
    pub fn record_policy(&self, at: Timestamp, change: PolicyChange<'_>) -> anyhow::Result<()> {
        let kind = match (change.before, change.after) {
            (_, None) => "deleted",
            (None, Some(_)) => "written",
            (Some(None), Some(_)) => "created",
            (Some(Some(_)), Some(_)) => "updated",
        };
        self.write(&ChangeRecord {
            issuer_id: change.identity.map(|identity| identity.issuer.as_str()),
            subject: change.identity.map(|identity| identity.subject.as_str()),
            role_arn: Some(change.role.as_str()),
            policy_name: Some(change.policy_name),
            before: change.before.flatten(),
            after: change.after,
            aws_request_id: change.aws_request_id,
            ..self.line(at, kind)
        })
    }

    /// What every line has. What is changed, and how, whoever records it adds.
    fn line<'r, T>(&'r self, time: Timestamp, change: &'static str) -> ChangeRecord<'r, T> {
        ChangeRecord {
            event: "latchkey.change",
            time,
            command: self.command,
            change,
            by: self.by,
            table: None,
            issuer_id: None,
            subject: None,
            group: None,
            target: None,
            role_arn: None,
            policy_name: None,
            before: None,
            after: None,
            aws_request_id: None,
            version: env!("CARGO_PKG_VERSION"),
        }
    }

    fn write(&self, record: &impl Serialize) -> anyhow::Result<()> {
        output::changed();
        // On a terminal it is read, too.
        let line = format!("{}\n", printable::lines(&serde_json::to_string(record)?));
        // In one piece: what is appended to a file in one write does not mix with another process's lines.
        let beside = || io::stderr().lock().write_all(line.as_bytes());
        let written = match &self.file {
            // The line is all there is of who has made the change: where its place is full, it is at least said.
            Some(file) => (&*file).write_all(line.as_bytes()).inspect_err(|_| drop(beside())),
            None => beside(),
        };
        written.context("the change is made, and its audit line cannot be written")
    }
}
