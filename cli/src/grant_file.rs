//! Files of grants: CSV, JSON Lines and YAML, read and written a row at a time, so that memory does not grow with the file.
//!
//! A row of a file is flat: `issuer`, `subject` or `group`, `target`, and the attributes of the grant by their names in the table. A
//! row of a subject's without `target` is the subject's own record. What is written here reads back equal.

mod csv;
mod jsonl;
mod record;
mod yaml;

use std::io::{self, BufRead, Write};
use std::path::Path;

use clap::ValueEnum;
use latchkey_domain::item::Item;

pub use self::record::{GrantRow, Record, SubjectRow};

/// Longer than any row can be, in bytes: an item of DynamoDB's has at most 400 KB.
const MAX_ROW: u64 = 1024 * 1024;

/// How a file is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Format {
    /// A header and a line for each grant
    Csv,
    /// A JSON object on each line
    Jsonl,
    /// A list of maps
    Yaml,
}

impl Format {
    /// The format that the end of a file's name says; none where it says none.
    pub fn of(path: &Path) -> Option<Self> {
        match path.extension()?.to_str()?.to_ascii_lowercase().as_str() {
            "csv" => Some(Self::Csv),
            "jsonl" | "ndjson" => Some(Self::Jsonl),
            "yaml" | "yml" => Some(Self::Yaml),
            _ => None,
        }
    }
}

/// A row of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The line on which it begins; the first is 1.
    pub line: u64,
    /// What stands there, or what is wrong with it: the attribute and the rule, and nothing of a value.
    pub item: Result<Item, String>,
}

impl Entry {
    fn bad(line: u64, problem: impl Into<String>) -> Self {
        Self { line, item: Err(problem.into()) }
    }
}

/// The rows of a file, in its order. What cannot be read any further ends them, with an entry that says so.
pub fn entries<'a>(format: Format, file: impl BufRead + 'a) -> Box<dyn Iterator<Item = io::Result<Entry>> + 'a> {
    match format {
        Format::Csv => Box::new(csv::Entries::new(file)),
        Format::Jsonl => Box::new(jsonl::Entries::new(file)),
        Format::Yaml => Box::new(yaml::Entries::new(file)),
    }
}

/// Writes a file of grants.
pub struct Writer<W: Write>(Form<W>);

enum Form<W: Write> {
    Csv(Box<csv::Writer<W>>),
    Jsonl(W),
    Yaml(W),
}

impl<W: Write> Writer<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn new(format: Format, to: W) -> io::Result<Self> {
        Ok(Self(match format {
            Format::Csv => Form::Csv(Box::new(csv::Writer::new(to)?)),
            Format::Jsonl => Form::Jsonl(to),
            Format::Yaml => Form::Yaml(to),
        }))
    }

    /// Writes a row.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn write(&mut self, record: &Record) -> io::Result<()> {
        let item = record.to_item();
        match &mut self.0 {
            Form::Csv(writer) => writer.write(&item),
            Form::Jsonl(to) => {
                serde_json::to_writer(&mut *to, &item)?;
                to.write_all(b"\n")
            }
            Form::Yaml(to) => yaml::write(to, &item),
        }
    }

    /// Ends the file.
    ///
    /// # Errors
    /// It cannot be written.
    pub fn finish(self) -> io::Result<()> {
        match self.0 {
            Form::Csv(writer) => writer.finish(),
            Form::Jsonl(mut to) | Form::Yaml(mut to) => to.flush(),
        }
    }
}

#[cfg(test)]
mod tests;
