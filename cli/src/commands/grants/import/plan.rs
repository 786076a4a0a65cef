//! What an import is to do: the rows of its file, each compared with the table.
//!
//! A row is kept as the text that it would be in a file, a few hundred bytes, and of the table's rows nothing but what differs.

use std::collections::{BTreeSet, HashMap};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

use anyhow::Context as _;
use latchkey_aws::grant_admin::{Row, size};
use latchkey_domain::grant::{GRANT_SORT_KEY_PREFIX, Grant};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::subject::{Profiles, SUBJECT_SORT_KEY, Standing};
use latchkey_domain::target::{Kind, Target};

use crate::commands::grants::put::opens_the_same;
use crate::commands::grants::whose;
use crate::grant_file::{Entry, Record};

const TOO_LARGE: &str = "has more than the 400 KB that DynamoDB takes of a row";
const FULL_GROUP: &str = "with it the group's item has more than the 400 KB that DynamoDB takes";

/// The rows of a file.
#[derive(Debug, Default)]
pub(super) struct Plan {
    /// What cannot be imported: the lines, in order once it has been judged, and what is wrong with each.
    pub(super) bad: Vec<(u64, String)>,
    /// How many rows the file has, the bad ones among them.
    pub(super) read: usize,
    rows: Vec<Planned>,
    by_key: HashMap<Box<str>, usize>,
    /// The rows that take what is one person's own, by its name.
    takers: HashMap<Box<str>, Vec<usize>>,
    /// The groups of the table whose items cannot be read, by their partition keys, and what is wrong with each.
    lost_groups: HashMap<Box<str>, Box<str>>,
    /// How many bytes of each group's item are grants of the table's that the file does not have, by its partition key.
    group_bytes: HashMap<Box<str>, usize>,
    shared: bool,
    /// How many bytes it takes to say in a row who has written it when.
    annotation: usize,
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
    /// The partition key of the group's item that it is a part of, and how many bytes of it.
    part: Option<Box<(String, usize)>>,
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
        /// Those of them that the table's row has, and will not have any more.
        gone: Box<[Box<str>]>,
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

    /// Those of them that go.
    pub(super) fn gone_attributes(&self) -> &[Box<str>] {
        match &self.difference {
            Difference::Changed { gone, .. } => gone,
            Difference::Added | Difference::Unchanged => &[],
        }
    }

    fn taken(&self) -> anyhow::Result<Option<(String, Taken)>> {
        let record = self.record()?;
        let partition_key = record.owner().partition_key();
        Ok(Taken::by(record).map(|taken| (partition_key, taken)))
    }
}

/// What a row takes that is one person's own.
#[derive(Debug)]
enum Taken {
    /// What a grant opens.
    Door(Box<Grant>),
    /// The user profiles that the grants of a subject's groups open.
    Profiles(Profiles),
}

impl Taken {
    /// What a row of the file takes. One that opens nothing takes nothing.
    fn by(record: Record) -> Option<Self> {
        match record {
            Record::Grant(_, row) => (row.grant.enabled && row.grant.target.kind().is_personal()).then(|| Self::Door(Box::new(row.grant))),
            // What a group was granted is nobody's own: the profiles are the subjects'.
            Record::OfGroup(..) => None,
            Record::Subject(_, row) => Some(row.profiles).filter(|profiles| *profiles != Profiles::default()).map(Self::Profiles),
        }
    }

    /// What a row of the table takes, or may take again.
    fn by_table(row: &Row) -> Option<Self> {
        match row.grant() {
            Some(grant) => grant.ok().filter(|grant| grant.target.kind().is_personal()).map(|grant| Self::Door(Box::new(grant))),
            None => row.profiles().map(Self::Profiles),
        }
    }

    /// Names by which those are found that may be the same: of a user profile without its domain, which not everybody says.
    fn names(&self) -> Vec<Box<str>> {
        let of = |kind: Kind, name: &str| format!("{kind} {}", name.to_ascii_lowercase()).into();
        match self {
            Self::Door(grant) => vec![match &grant.target {
                Target::Studio(studio) => of(Kind::Studio, studio.user_profile_name.as_str()),
                target @ (Target::Notebook(_) | Target::MlflowServer(_) | Target::MlflowApp(_) | Target::PartnerApp(_)) => {
                    target.to_string().to_ascii_lowercase().into()
                }
            }],
            Self::Profiles(profiles) => {
                let names: BTreeSet<Box<str>> = profiles.names().map(|name| of(Kind::Studio, name.as_str())).collect();
                names.into_iter().collect()
            }
        }
    }

    fn may_be_the_same(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Door(one), Self::Door(other)) => one.may_open_the_same_door(other),
            (Self::Door(grant), Self::Profiles(profiles)) | (Self::Profiles(profiles), Self::Door(grant)) => profiles.may_be(&grant.target),
            (Self::Profiles(one), Self::Profiles(other)) => one.may_meet(other),
        }
    }
}

impl Plan {
    pub(super) fn new(shared: bool, by: Option<&str>) -> Self {
        let written = [("updated_at", Value::N("1900000000".to_owned())), ("updated_by", Value::S(by.unwrap_or_default().to_owned()))];
        let annotation = size::bytes(&written.map(|(name, value)| (name.to_owned(), value)).into());
        Self { shared, annotation, ..Self::default() }
    }

    /// Takes a row of the file on, or notes what is wrong with it.
    pub(super) fn add(&mut self, entry: Entry) -> anyhow::Result<()> {
        let line = entry.line;
        self.read += 1;
        let record = match entry.item.and_then(|item| Record::from_item(item).map_err(|defect| defect.to_string())) {
            Ok(record) => record,
            Err(problem) => {
                self.bad.push((line, problem));
                return Ok(());
            }
        };
        let sort_key = record.target().map_or_else(|| SUBJECT_SORT_KEY.to_owned(), |target| format!("{GRANT_SORT_KEY_PREFIX}{target}"));
        let partition_key = record.owner().partition_key();
        let bytes = size::of_row(&partition_key, &sort_key, &record.attributes()) + self.annotation;
        if bytes > size::MAX_BYTES {
            self.bad.push((line, TOO_LARGE.to_owned()));
            return Ok(());
        }
        let key = key(&partition_key, &sort_key);
        let index = self.rows.len();
        if let Some(first) = self.by_key.insert(key.clone(), index) {
            let whose = if matches!(record, Record::OfGroup(..)) { "group" } else { "subject" };
            self.bad.push((line, format!("is for the same issuer, {whose} and target as line {}", self.rows[first].line)));
            self.by_key.insert(key, first);
            return Ok(());
        }
        let text = serde_json::to_vec(&record.to_item())?.into_boxed_slice();
        let part = matches!(record, Record::OfGroup(..)).then(|| Box::new((partition_key, bytes)));
        for name in Taken::by(record).iter().flat_map(Taken::names) {
            self.takers.entry(name).or_default().push(index);
        }
        self.rows.push(Planned { line, difference: Difference::Added, record: text, is_open: false, owner: None, refused: None, part });
        Ok(())
    }

    /// Compares with a row of the table.
    pub(super) fn see(&mut self, row: &Row) -> anyhow::Result<()> {
        if let Some(&index) = self.by_key.get(&key(&row.partition_key, &row.sort_key)) {
            self.compare(index, row)?;
        } else if row.group.is_some() {
            let bytes = row.sort_key.len() + size::bytes(&row.item);
            *self.group_bytes.entry(row.partition_key.as_str().into()).or_default() += bytes;
        }
        if row.group.is_some() && row.target_name().is_none() {
            let defect = row.defect().map(|defect| defect.to_string()).unwrap_or_default();
            self.lost_groups.insert(row.partition_key.as_str().into(), defect.into());
        }
        if self.shared {
            return Ok(());
        }
        let Some(other) = Taken::by_table(row) else { return Ok(()) };
        for index in other.names().iter().filter_map(|name| self.takers.get(name)).flatten() {
            let planned = &mut self.rows[*index];
            if planned.owner.is_none()
                && let Some((partition_key, taken)) = planned.taken()?
                && partition_key != row.partition_key
                && taken.may_be_the_same(&other)
            {
                let (issuer, subject) = whose(row);
                let by = row.target_name().map_or_else(|| "for the grants of groups".to_owned(), |target| format!("target {target}"));
                planned.owner = Some(format!("{issuer} {subject} ({by})").into());
            }
        }
        Ok(())
    }

    fn compare(&mut self, index: usize, row: &Row) -> anyhow::Result<()> {
        let record = self.rows[index].record()?;
        let (wanted, is) = (wanted(&record, row), meaning(row));
        let is_too_large = || size::of_row(&row.partition_key, &row.sort_key, &wanted) + self.annotation > size::MAX_BYTES;
        let planned = &mut self.rows[index];
        planned.difference = if is == wanted {
            Difference::Unchanged
        } else {
            let names = is.keys().chain(wanted.keys().filter(|name| !is.contains_key(*name)));
            let attributes = names.filter(|name| is.get(*name) != wanted.get(*name)).map(|name| name.as_str().into()).collect();
            let gone = is.keys().filter(|name| !wanted.contains_key(*name)).map(|name| name.as_str().into()).collect();
            Difference::Changed { read: fingerprint(&row.item), attributes, gone }
        };
        match (&record, row.standing()) {
            (Record::OfGroup(..), _) => {}
            (Record::Grant(_, new), _) => {
                planned.is_open = row.grant().and_then(Result::ok).is_some_and(|own| opens_the_same(&own, &new.grant));
            }
            // An old file must not let anybody in again who has been shut out since.
            (Record::Subject(_, new), Some(standing))
                if standing == Standing::Malformed && new.suspended.is_none()
                    || standing != Standing::Active && new.suspended == Some(false) =>
            {
                planned.refused = Some("status: the subject is suspended in the table, which only `latchkey resume` ends");
            }
            // What the file does not name stays, beside what it does.
            (Record::Subject(..), _) if is != wanted && is_too_large() => planned.refused = Some(TOO_LARGE),
            (Record::Subject(_, new), _) => planned.is_open = row.profiles().is_some_and(|own| own == new.profiles.clone().or(own.clone())),
        }
        Ok(())
    }

    /// Once every row of the table has been seen: which rows cannot be imported after all.
    pub(super) fn judge(&mut self) -> anyhow::Result<()> {
        let mut bad = Vec::new();
        for row in &self.rows {
            if !self.lost_groups.is_empty()
                && let Some(defect) = self.lost_groups.get(row.record()?.owner().partition_key().as_str())
            {
                // It would stand there, and grant nothing.
                bad.push((row.line, format!("the group's item in the table is none: {defect}")));
            } else if let Some(problem) = row.refused {
                bad.push((row.line, problem.to_owned()));
            } else if let (Some(owner), false) = (&row.owner, row.is_open) {
                bad.push((row.line, already(owner)));
            }
        }
        let full = self.full_groups();
        bad.extend(full.into_iter().map(|line| (line, FULL_GROUP.to_owned())));
        let crowded = if self.shared { None } else { Some(self.takers.values().filter(|indices| indices.len() > 1)) };
        for indices in crowded.into_iter().flatten() {
            let takers = indices.iter().map(|&index| Ok((&self.rows[index], self.rows[index].taken()?)));
            let takers: Vec<_> = takers.collect::<anyhow::Result<_>>()?;
            for (at, (row, taken)) in takers.iter().enumerate() {
                let Some((partition_key, taken)) = taken else { continue };
                // What is open already has been looked at when it was opened, and what the table refuses has been told.
                if row.is_open || row.owner.is_some() {
                    continue;
                }
                let others = takers.iter().enumerate().filter(|(other, (row, _))| *other < at || row.is_open);
                let owner = others.map(|(_, other)| other).find(|(_, other)| {
                    other.as_ref().is_some_and(|(others_key, other)| others_key != partition_key && other.may_be_the_same(taken))
                });
                if let Some((owner, _)) = owner {
                    bad.push((row.line, already(&format!("line {}", owner.line))));
                }
            }
        }
        self.bad.append(&mut bad);
        self.bad.sort();
        // Two that meet in two names are told once.
        self.bad.dedup();
        Ok(())
    }

    /// The lines with which a group's item, all of whose grants are one item, would have more than DynamoDB takes.
    fn full_groups(&self) -> Vec<u64> {
        let mut bytes: HashMap<&str, usize> = self.group_bytes.iter().map(|(key, bytes)| (&**key, *bytes)).collect();
        let mut full = Vec::new();
        let is_written = |row: &&Planned| row.difference != Difference::Unchanged;
        let there = self.rows.iter().filter(|row| !is_written(row));
        // What stays as it is was there first.
        for row in there.chain(self.rows.iter().filter(is_written)) {
            let Some((partition_key, part)) = row.part.as_deref() else { continue };
            let whole = bytes.entry(partition_key).or_default();
            *whole += part;
            if *whole > size::MAX_BYTES && is_written(&row) {
                full.push(row.line);
            }
        }
        full
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

/// What the table's row is to say once a row of the file is imported. A grant is written as a whole; of a subject's own record what the
/// file does not name stays: a list of whom to suspend has nothing else in it.
pub(super) fn wanted(record: &Record, row: &Row) -> Item {
    let mut wanted = record.attributes();
    if let Record::Subject(_, new) = record {
        if !new.profiles.by_domain.is_empty()
            && let Some(own) = row.profiles()
        {
            wanted.extend(new.profiles.clone().or(own).to_item());
        }
        for (name, value) in meaning(row) {
            wanted.entry(name).or_insert(value);
        }
        // The row is not to go by itself, and a suspension with it.
        wanted.remove("ttl");
    }
    wanted
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

#[cfg(test)]
mod tests;
