//! Writes what differs, several rows at a time.
//!
//! Each row by a conditional `PutItem` of its own, and not twenty-five by a `BatchWriteItem`: a batch has no conditions, so it would
//! write over whatever somebody else has written since the table was read, such as a grant that was closed. It would save nothing
//! else, either: DynamoDB charges, and throttles, by the row both ways.

use std::sync::Arc;

use indicatif::ProgressBar;
use latchkey_aws::grant_admin::{AdminError, Annotation, Change, Expect, GrantAdmin, Row};
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::TargetName;
use tokio::task::JoinSet;

use super::plan::{Difference, Plan, fingerprint, meaning, wanted};
use crate::backoff::Backoff;
use crate::change_log::ChangeLog;
use crate::grant_args::Owner;
use crate::grant_file::Record;
use crate::interrupt::Interrupt;

/// How many rows are written at a time.
const AT_A_TIME: usize = 16;

/// What an import has come to.
#[derive(Debug, Default)]
pub(super) struct Outcome {
    /// Rows that are in the table now as the file has them.
    pub(super) written: usize,
    /// Lines that were not written, as the table had changed meanwhile, and how.
    pub(super) conflicts: Vec<(u64, &'static str)>,
    /// What broke it off.
    pub(super) failure: Option<anyhow::Error>,
    interrupted: bool,
}

impl Outcome {
    /// Whether everything is written.
    pub(super) const fn is_whole(&self) -> bool {
        self.conflicts.is_empty() && self.failure.is_none() && !self.interrupted
    }
}

/// What has become of one row.
struct Done {
    line: u64,
    at: Timestamp,
    owner: Owner,
    target: Option<TargetName>,
    what: What,
}

enum What {
    Written(Box<Change>),
    /// Somebody else has written just that meanwhile.
    ThereAlready,
    Conflict(&'static str),
}

/// Writes every row that differs. An interruption ends it after the rows that are under way, whose audit lines would be lost.
pub(super) async fn run(
    plan: &Plan,
    table: &GrantAdmin,
    by: Option<&str>,
    log: &ChangeLog<'_>,
    bar: &ProgressBar,
    mut interrupt: Interrupt,
) -> Outcome {
    let mut outcome = Outcome::default();
    let mut under_way: JoinSet<anyhow::Result<Done>> = JoinSet::new();
    let mut rows = plan.different();
    let by: Option<Arc<str>> = by.map(Arc::from);
    loop {
        while under_way.len() < AT_A_TIME
            && outcome.failure.is_none()
            && !outcome.interrupted
            && let Some(row) = rows.next()
        {
            match row.record() {
                Ok(record) => {
                    let read = match row.difference {
                        Difference::Changed { read, .. } => Some(read),
                        Difference::Added | Difference::Unchanged => None,
                    };
                    let writing = Writing { table: table.clone(), record, at: SystemClock::new().now(), by: by.clone() };
                    under_way.spawn(writing.run(row.line, read));
                }
                Err(error) => outcome.failure = Some(error),
            }
        }
        let done = tokio::select! {
            done = under_way.join_next() => done,
            () = interrupt.comes(), if !outcome.interrupted => {
                outcome.interrupted = true;
                continue;
            }
        };
        match done {
            None => return outcome,
            Some(Ok(Ok(done))) => {
                if let Err(error) = take(&mut outcome, done, log, bar) {
                    outcome.failure.get_or_insert(error);
                }
            }
            Some(Ok(Err(error))) => {
                outcome.failure.get_or_insert(error);
            }
            Some(Err(error)) => {
                outcome.failure.get_or_insert(error.into());
            }
        }
    }
}

fn take(outcome: &mut Outcome, done: Done, log: &ChangeLog<'_>, bar: &ProgressBar) -> anyhow::Result<()> {
    match done.what {
        What::Written(change) => {
            outcome.written += 1;
            bar.inc(1);
            let record = || log.record(done.at, &done.owner, done.target.as_ref(), &change);
            if log.is_standard_error() { bar.suspend(record) } else { record() }
        }
        What::ThereAlready => {
            outcome.written += 1;
            bar.inc(1);
            Ok(())
        }
        What::Conflict(why) => {
            outcome.conflicts.push((done.line, why));
            Ok(())
        }
    }
}

/// One row, on its way into the table.
struct Writing {
    table: GrantAdmin,
    record: Record,
    at: Timestamp,
    by: Option<Arc<str>>,
}

impl Writing {
    async fn run(self, line: u64, read: Option<u64>) -> anyhow::Result<Done> {
        let what = self.write(read).await?;
        Ok(Done { line, at: self.at, target: self.record.target().cloned(), owner: self.record.owner(), what })
    }

    /// Writes it in place of the row with that fingerprint, or where there is no row.
    async fn write(&self, read: Option<u64>) -> Result<What, AdminError> {
        // The row that is to be replaced is read once more: of what was compared only a fingerprint is kept.
        let current = if read.is_some() { self.get().await? } else { None };
        if let Some(read) = read {
            match &current {
                Some(row) if fingerprint(&row.item) == read => {}
                Some(row) if meaning(row) == wanted(&self.record, row) => return Ok(What::ThereAlready),
                Some(_) => return Ok(What::Conflict("the table's row has changed since it was compared")),
                None => return Ok(What::Conflict("the table's row has been deleted since it was compared")),
            }
        }
        let expect = current.as_ref().map_or(Expect::Absent, |row| Expect::AsRead(&row.item));
        match self.put(expect).await {
            Ok(change) => Ok(What::Written(Box::new(change))),
            Err(AdminError::Conflict(_)) => {
                // An answer that was lost and a call that was repeated look like this, too.
                let Some(row) = self.get().await? else {
                    return Ok(What::Conflict("the table's row has been deleted since it was compared"));
                };
                Ok(if meaning(&row) != wanted(&self.record, &row) {
                    What::Conflict("the table's row has been written since it was compared")
                } else if is_own(&row.item, self.at, self.by.as_deref()) {
                    What::Written(Box::new(Change { before: current, after: Some(row.item), aws_request_id: None }))
                } else {
                    What::ThereAlready
                })
            }
            Err(error) => Err(error),
        }
    }

    async fn get(&self) -> Result<Option<Row>, AdminError> {
        let mut backoff = Backoff::default();
        loop {
            let row = match &self.record {
                Record::Grant(identity, row) => self.table.get_grant(identity, &row.grant.name).await,
                Record::OfGroup(whose, row) => self.table.get_group_grant(whose, row.grant.name()).await,
                Record::Subject(identity, _) => self.table.get_subject(identity).await,
            };
            match row {
                Ok(row) => return Ok(row),
                Err(error) => backoff.pause(error).await?,
            }
        }
    }

    async fn put(&self, expect: Expect<'_>) -> Result<Change, AdminError> {
        let mut backoff = Backoff::default();
        let annotation = |note: &Option<String>, own: &Item| Annotation {
            at: self.at,
            by: self.by.as_deref().map(ToOwned::to_owned),
            note: note.clone(),
            own: own.clone(),
        };
        loop {
            let change = match &self.record {
                Record::Grant(identity, row) => self.table.put_grant(identity, &row.grant, &annotation(&row.note, &row.own), expect).await,
                Record::OfGroup(whose, row) => {
                    self.table.put_group_grant(whose, &row.grant, &annotation(&row.note, &row.own), expect).await
                }
                Record::Subject(identity, row) => {
                    // A row that is made says what it means; of one that is there, what the file does not say stays.
                    let suspended = row.suspended.or_else(|| (expect == Expect::Absent).then_some(false));
                    self.table.put_subject(identity, suspended, &row.profiles, &annotation(&row.note, &row.own), expect).await
                }
            };
            match change {
                Ok(change) => return Ok(change),
                Err(error) => backoff.pause(error).await?,
            }
        }
    }
}

/// Whether the row was written by this very write.
fn is_own(item: &Item, at: Timestamp, by: Option<&str>) -> bool {
    item.get("updated_at") == Some(&Value::N(at.unix_seconds().to_string()))
        && item.get("updated_by") == by.map(|by| Value::S(by.to_owned())).as_ref()
}
