//! What an import is to do: the rows of its file, each compared with the table.
//!
//! A row is kept as the text that it would be in a file, a few hundred bytes, and of the table's rows nothing but what differs.

use std::collections::HashMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::Context as _;
use latchkey_aws::grant_admin::Row;
use latchkey_domain::grant::{GRANT_SORT_KEY_PREFIX, Grant};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::subject::{SUBJECT_SORT_KEY, Standing};
use latchkey_domain::target::Target;

use crate::commands::grants::put::opens_the_same;
use crate::commands::grants::whose;
use crate::grant_file::{Content, Entry, Record};

/// The rows of a file.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What cannot be imported: the lines, in order once it has been judged, and what is wrong with each.
    pub(super) bad: Vec<(u64, String)>,
    rows: Vec<Planned>,
    by_key: HashMap<Box<str>, usize>,
    /// The grants that are one person's own and open something, by what they open.
    doors: HashMap<Box<str>, Vec<usize>>,
    shared: bool,
}

/// A row that is to be in the table.
#[derive(Debug)]
pub(super) struct Planned {
    /// The line on which it begins.
    pub(super) line: u64,
    /// How it differs from the table.
    pub(super) difference: Difference,
    record: Box<[u8]>,
    /// Whether the table's row opens what this one does already.
    is_open: bool,
    /// Whose else's it is or may be, by the table.
    owner: Option<Box<str>>,
    /// Why the table's row is not to be replaced by it.
    refused: Option<&'static str>,
}

/// How a row differs from the table.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Difference {
    /// The table has no such row.
    Added,
    /// The table's row is another.
    Changed {
        /// A fingerprint of the row as it was read.
        read: u64,
        /// The attributes that differ.
        attributes: Box<[Box<str>]>,
    },
    /// The table's row says the same.
    Unchanged,
}

impl Planned {
    /// What is to be written.
    pub(super) fn record(&self) -> anyhow::Result<Record> {
        let Value::M(item) = serde_json::from_slice(&self.record)? else { anyhow::bail!("line {}: is not read back", self.line) };
        Record::from_item(item).with_context(|| format!("line {}", self.line))
    }

    /// The attributes that differ from the table's row.
    pub(super) fn changed_attributes(&self) -> &[Box<str>] {
        match &self.difference {
            Difference::Changed { attributes, .. } => attributes,
            Difference::Added | Difference::Unchanged => &[],
        }
    }

    fn grant(&self) -> anyhow::Result<Option<(String, Grant)>> {
        let record = self.record()?;
        Ok(match record.content {
            Content::Grant(row) => Some((record.identity.partition_key(), row.grant)),
            Content::Subject(_) => None,
        })
    }
}

impl Plan {
    pub(super) fn new(shared: bool) -> Self {
        Self { shared, ..Self::default() }
    }

    /// Takes a row of the file on, or notes what is wrong with it.
    pub(super) fn add(&mut self, entry: Entry) -> anyhow::Result<()> {
        let line = entry.line;
        let record = match entry.item.and_then(|item| Record::from_item(item).map_err(|defect| defect.to_string())) {
            Ok(record) => record,
            Err(problem) => {
                self.bad.push((line, problem));
                return Ok(());
            }
        };
        let sort_key = record.target().map_or_else(|| SUBJECT_SORT_KEY.to_owned(), |target| format!("{GRANT_SORT_KEY_PREFIX}{target}"));
        let key = key(&record.identity.partition_key(), &sort_key);
        let index = self.rows.len();
        if let Some(first) = self.by_key.insert(key.clone(), index) {
            self.bad.push((line, format!("is for the same issuer, subject and target as line {}", self.rows[first].line)));
            self.by_key.insert(key, first);
            return Ok(());
        }
        if let Content::Grant(row) = &record.content
            && row.grant.enabled
            && let Some(door) = door(&row.grant.target)
        {
            self.doors.entry(door).or_default().push(index);
        }
        let text = serde_json::to_vec(&record.to_item())?.into_boxed_slice();
        self.rows.push(Planned { line, difference: Difference::Added, record: text, is_open: false, owner: None, refused: None });
        Ok(())
    }

    /// Compares with a row of the table.
    pub(super) fn see(&mut self, row: &Row) -> anyhow::Result<()> {
        if let Some(&index) = self.by_key.get(&key(&row.partition_key, &row.sort_key)) {
            self.compare(index, row)?;
        }
        if self.shared {
            return Ok(());
        }
        let Some(Ok(other)) = row.grant() else { return Ok(()) };
        let indices = door(&other.target).and_then(|door| self.doors.get(&door)).into_iter().flatten();
        for &index in indices {
            let planned = &mut self.rows[index];
            if planned.owner.is_none()
                && let Some((partition_key, grant)) = planned.grant()?
                && partition_key != row.partition_key
                && other.may_open_the_same_door(&grant)
            {
                let (issuer, subject) = whose(row);
                planned.owner = Some(format!("{issuer} {subject} (target {})", other.name).into());
            }
        }
        Ok(())
    }

    fn compare(&mut self, index: usize, row: &Row) -> anyhow::Result<()> {
        let planned = &mut self.rows[index];
        let record = planned.record()?;
        let (wanted, is) = (record.attributes(), meaning(row));
        planned.difference = if is == wanted {
            Difference::Unchanged
        } else {
            let names = is.keys().chain(wanted.keys().filter(|name| !is.contains_key(*name)));
            let attributes = names.filter(|name| is.get(*name) != wanted.get(*name)).map(|name| name.as_str().into()).collect();
            Difference::Changed { read: fingerprint(&row.item), attributes }
        };
        match (&record.content, row.standing()) {
            (Content::Grant(new), _) => {
                planned.is_open = row.grant().and_then(Result::ok).is_some_and(|own| opens_the_same(&own, &new.grant));
            }
            // An old file must not let anybody in again who has been shut out since.
            (Content::Subject(new), Some(Standing::Suspended | Standing::Malformed)) if !new.suspended => {
                planned.refused = Some("status: the subject is suspended in the table, which only `latchkey resume` ends");
            }
            (Content::Subject(_), _) => {}
        }
        Ok(())
    }

    /// Once every row of the table has been seen: which rows cannot be imported after all.
    pub(super) fn judge(&mut self) -> anyhow::Result<()> {
        let mut bad = Vec::new();
        for row in &self.rows {
            if let Some(problem) = row.refused {
                bad.push((row.line, problem.to_owned()));
            } else if let (Some(owner), false) = (&row.owner, row.is_open) {
                bad.push((row.line, already(owner)));
            }
        }
        let crowded = if self.shared { None } else { Some(self.doors.values().filter(|indices| indices.len() > 1)) };
        for indices in crowded.into_iter().flatten() {
            let grants = indices.iter().map(|&index| Ok((&self.rows[index], self.rows[index].grant()?)));
            let grants: Vec<_> = grants.collect::<anyhow::Result<_>>()?;
            for (at, (row, grant)) in grants.iter().enumerate() {
                let Some((partition_key, grant)) = grant else { continue };
                // What is open already has been looked at when it was opened, and what the table refuses has been told.
                if row.is_open || row.owner.is_some() {
                    continue;
                }
                let others = grants.iter().enumerate().filter(|(other, (row, _))| *other < at || row.is_open);
                let owner = others.map(|(_, other)| other).find(|(_, other)| {
                    other.as_ref().is_some_and(|(others_key, other)| others_key != partition_key && other.may_open_the_same_door(grant))
                });
                if let Some((owner, _)) = owner {
                    bad.push((row.line, already(&format!("line {}", owner.line))));
                }
            }
        }
        self.bad.append(&mut bad);
        self.bad.sort();
        Ok(())
    }

    /// The rows that are to be written, in the file's order.
    pub(super) fn different(&self) -> impl Iterator<Item = &Planned> {
        self.rows.iter().filter(|row| row.difference != Difference::Unchanged)
    }

    /// How many rows are to be written.
    pub(super) fn differences(&self) -> usize {
        let [added, changed, _] = self.counts();
        added + changed
    }

    /// How many rows are added, changed and unchanged.
    pub(super) fn counts(&self) -> [usize; 3] {
        let mut counts = [0; 3];
        for row in &self.rows {
            counts[match row.difference {
                Difference::Added => 0,
                Difference::Changed { .. } => 1,
                Difference::Unchanged => 2,
            }] += 1;
        }
        counts
    }
}

/// What a row of the table says: without who wrote it when, and with what is left unsaid spelt out. A malformed one says what it
/// holds.
pub(super) fn meaning(row: &Row) -> Item {
    if let Some(Ok(record)) = Record::from_row(row) {
        return record.attributes();
    }
    let mut item = row.item.clone();
    item.retain(|name, _| name != "updated_at" && name != "updated_by");
    item
}

/// A number that is another for another row. It is no proof against somebody who wants two to be alike, and nobody gains by that.
pub(super) fn fingerprint(item: &Item) -> u64 {
    let mut hasher = DefaultHasher::new();
    serde_json::json!(item).to_string().hash(&mut hasher);
    hasher.finish()
}

fn already(owner: &str) -> String {
    format!("opens what is or may be somebody else's already, see {owner}; --shared takes it all the same")
}

fn key(partition_key: &str, sort_key: &str) -> Box<str> {
    // No subject has a control character.
    format!("{partition_key}\n{sort_key}").into()
}

/// A name for what is one person's own, the same for all that may be the same; none for other kinds.
fn door(target: &Target) -> Option<Box<str>> {
    target.kind().is_personal().then(|| target.to_string().to_ascii_lowercase().into())
}

#[cfg(test)]
mod tests;
