//! CSV (RFC 4180): a header, and a line for each row. An empty cell is an attribute that is absent.
//!
//! What has parts stands as JSON in its one cell: `landings`, `provision`, `user_profile_names`, and in `own_attributes` the
//! operator's own. Own attributes can be columns of their own as well, of text.
//!
//! A spreadsheet runs a cell that begins with one of `=+-@` as a formula, whoever wrote it there, and a subject or a note can be
//! anything. So such a cell is written with a `'` before it, and one is taken off such a cell when it is read: nothing runs, and
//! every value comes back as it was.

use std::io::{self, BufRead, Write};

use ::csv::{ByteRecord, ReaderBuilder, Terminator, WriterBuilder};
use latchkey_aws::grant_admin::OWN_ATTRIBUTE_PREFIX;
use latchkey_domain::grant;
use latchkey_domain::item::{Item, Value};
use latchkey_domain::subject::PROFILES;

use super::{Entry, MAX_ROW};

/// The column with the operator's own attributes.
const OWN: &str = "own_attributes";

/// The columns that are not attributes of a grant, and come first.
const FIRST: [&str; 5] = ["issuer", "subject", "group", "target", "status"];

/// What a table's row has and a file's does not: when and by whom it was written. Of these, `ttl` is taken as `expires_at`.
const NOT_WRITTEN: [&str; 3] = ["updated_at", "updated_by", "ttl"];

/// What a cell of a column holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Cell {
    Text,
    Number,
    Truth,
    Json,
}

fn cell_of(column: &str) -> Option<Cell> {
    Some(match column {
        "not_before" | "expires_at" | "url_seconds" | "session_seconds" | "ttl" | "updated_at" => Cell::Number,
        "enabled" | "default" => Cell::Truth,
        "landings" | "provision" | PROFILES | OWN => Cell::Json,
        _ if FIRST.contains(&column) || column.starts_with(OWN_ATTRIBUTE_PREFIX) => Cell::Text,
        _ if grant::attribute_names().contains(&column) => Cell::Text,
        _ => return None,
    })
}

/// The rows.
pub(super) struct Entries<R> {
    file: R,
    columns: Option<Vec<(String, Cell)>>,
    /// How many lines have been read.
    lines: u64,
    ended: bool,
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, columns: None, lines: 0, ended: false }
    }

    /// The lines of the next row, the number of the first, and whether it ends as a row does; none at the end. The csv crate does not
    /// tell on which line a row begins that follows an empty line or Windows' line ends, and takes the end of the file for the end of
    /// a quote, so a row is cut out here: it ends with a line after which all quotes are closed.
    fn row(&mut self) -> io::Result<Option<(u64, Vec<u8>, bool)>> {
        let (mut row, mut first, mut quotes) = (Vec::new(), 0, 0);
        loop {
            let begin = row.len();
            let read = io::Read::take(&mut self.file, MAX_ROW).read_until(b'\n', &mut row)?;
            if read == 0 {
                return Ok((!row.is_empty()).then_some((first, row, quotes % 2 == 0)));
            }
            self.lines += 1;
            if row.len() == read {
                first = self.lines;
            }
            if self.lines == 1 && row.starts_with(b"\xef\xbb\xbf") {
                // Windows' programs begin a file with it.
                row.drain(..3);
            }
            quotes += row.iter().skip(begin).filter(|byte| **byte == b'"').count();
            if row.trim_ascii().is_empty() {
                row.clear();
            } else if quotes % 2 == 0 || row.len() as u64 >= MAX_ROW {
                return Ok(Some((first, row, true)));
            }
        }
    }

    fn header(&mut self, record: &ByteRecord, line: u64) -> Result<(), Entry> {
        let bad = |problem: String| Err(Entry::bad(line, problem));
        let mut columns: Vec<(String, Cell)> = Vec::with_capacity(record.len());
        for name in record {
            let printable: String = String::from_utf8_lossy(name).chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
            let known = std::str::from_utf8(name).ok().and_then(|name| Some((name.to_owned(), cell_of(name)?)));
            let Some((name, cell)) = known else {
                let semicolons =
                    if record.len() == 1 && printable.contains(';') { ": the cells are to be separated by commas" } else { "" };
                return bad(format!("the column {printable} is not known (own attributes begin with x_){semicolons}"));
            };
            if columns.iter().any(|(other, _)| *other == name) {
                return bad(format!("the column {name} is there twice"));
            }
            columns.push((name, cell));
        }
        let is_there = |name: &&str| columns.iter().any(|(column, _)| column == name);
        for wanted in [&["issuer"][..], &["subject", "group"]] {
            if !wanted.iter().any(is_there) {
                return bad(format!("there is no column {}; the first line names the columns", wanted.join(" or ")));
            }
        }
        self.columns = Some(columns);
        Ok(())
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        while !self.ended {
            let (line, text, is_closed) = match self.row() {
                Ok(Some(row)) => row,
                Ok(None) => return None,
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            };
            if text.len() as u64 >= MAX_ROW {
                self.ended = true;
                return Some(Ok(Entry::bad(line, "is longer than 1 MiB, or has a quote that is not closed; nothing after it was read")));
            }
            if !is_closed {
                self.ended = true;
                // Whatever follows the quote stands in its cell: rows that somebody believes to be imported.
                return Some(Ok(match unclosed(&text) {
                    Some(at) => {
                        let before = text.iter().take(at).filter(|byte| **byte == b'\n').count();
                        let line = line.saturating_add(u64::try_from(before).unwrap_or(u64::MAX));
                        Entry::bad(line, "a quote is opened and not closed")
                    }
                    None => Entry::bad(line, WITHIN_A_CELL),
                }));
            }
            let record = match cells(&text) {
                Ok(record) => record,
                Err(problem) => return Some(Ok(Entry::bad(line, problem))),
            };
            let Some(columns) = &self.columns else {
                if let Err(entry) = self.header(&record, line) {
                    self.ended = true;
                    return Some(Ok(entry));
                }
                continue;
            };
            return Some(Ok(Entry { line, item: row(columns, &record) }));
        }
        None
    }
}

const WITHIN_A_CELL: &str = "has a quote within a cell that is not in quotes";

/// Where the quote stands that is open at the end, if one is: read as the csv crate reads it.
fn unclosed(text: &[u8]) -> Option<usize> {
    #[derive(Clone, Copy)]
    enum At {
        Start,
        Within,
        Quoted(usize),
        /// Behind a quote that ends the quoted text or, before another one, stands in it.
        Quote(usize),
    }
    let mut at = At::Start;
    for (position, byte) in text.iter().enumerate() {
        at = match (at, byte) {
            (At::Start, b'"') => At::Quoted(position),
            (At::Quoted(opened), b'"') => At::Quote(opened),
            (At::Quoted(opened), _) | (At::Quote(opened), b'"') => At::Quoted(opened),
            (At::Start | At::Within | At::Quote(_), b',' | b'\r' | b'\n') => At::Start,
            (At::Start | At::Within | At::Quote(_), _) => At::Within,
        };
    }
    match at {
        At::Quoted(opened) => Some(opened),
        At::Start | At::Within | At::Quote(_) => None,
    }
}

fn cells(text: &[u8]) -> Result<ByteRecord, &'static str> {
    let mut reader = ReaderBuilder::new().has_headers(false).flexible(true).buffer_capacity(512).from_reader(text);
    let mut records = reader.byte_records();
    let (Some(Ok(record)), None) = (records.next(), records.next()) else { return Err(WITHIN_A_CELL) };
    Ok(record)
}

fn row(columns: &[(String, Cell)], record: &ByteRecord) -> Result<Item, String> {
    if record.len() != columns.len() {
        return Err(format!("has {} cells, and the first line names {} columns", record.len(), columns.len()));
    }
    let mut item = Item::new();
    for ((name, cell), text) in columns.iter().zip(record) {
        let text = std::str::from_utf8(text).map_err(|_| format!("{name}: is not UTF-8"))?;
        if text.is_empty() {
            continue;
        }
        let value = match cell {
            Cell::Text => Value::S(unguarded(text).to_owned()),
            Cell::Number => Value::N(text.to_owned()),
            Cell::Truth if text.eq_ignore_ascii_case("true") => Value::Bool(true),
            Cell::Truth if text.eq_ignore_ascii_case("false") => Value::Bool(false),
            Cell::Truth => return Err(format!("{name}: is true or false")),
            Cell::Json => {
                let Ok(value @ Value::M(_)) = serde_json::from_str(text) else { return Err(format!("{name}: is not a JSON object")) };
                value
            }
        };
        let own = if name == OWN { value } else { Value::M(Item::from([(name.clone(), value)])) };
        let Value::M(own) = own else { continue };
        for (attribute, value) in own {
            if name == OWN && !attribute.starts_with(OWN_ATTRIBUTE_PREFIX) {
                return Err(format!("{OWN}: has a name that does not begin with x_"));
            }
            if item.insert(attribute, value).is_some() {
                return Err(format!("{OWN}: has a name that is a column, too"));
            }
        }
    }
    Ok(item)
}

/// Writes the rows.
pub(super) struct Writer<W: Write> {
    file: ::csv::Writer<W>,
    columns: Vec<&'static str>,
}

impl<W: Write> Writer<W> {
    pub(super) fn new(to: W) -> io::Result<Self> {
        let attributes = grant::attribute_names().into_iter().filter(|name| !NOT_WRITTEN.contains(name));
        let columns: Vec<&str> = FIRST.into_iter().chain(attributes).chain([PROFILES, OWN]).collect();
        let mut file = WriterBuilder::new().terminator(Terminator::CRLF).from_writer(to);
        file.write_record(&columns)?;
        Ok(Self { file, columns })
    }

    pub(super) fn write(&mut self, item: &Item) -> io::Result<()> {
        let cells = self.columns.iter().map(|column| match item.get(*column) {
            Some(Value::S(text)) => guarded(text),
            Some(Value::N(number)) => number.clone(),
            Some(Value::Bool(truth)) => truth.to_string(),
            Some(value @ (Value::M(_) | Value::L(_) | Value::Other(_))) => serde_json::json!(value).to_string(),
            None if *column == OWN => {
                let own: Item = item
                    .iter()
                    .filter(|(name, _)| name.starts_with(OWN_ATTRIBUTE_PREFIX))
                    .map(|(name, value)| (name.clone(), value.clone()))
                    .collect();
                if own.is_empty() { String::new() } else { serde_json::json!(own).to_string() }
            }
            None => String::new(),
        });
        self.file.write_record(cells.collect::<Vec<_>>())?;
        Ok(())
    }

    pub(super) fn finish(mut self) -> io::Result<()> {
        self.file.flush()
    }
}

/// Whether a spreadsheet would run the text as a formula, but for the `'` that may stand before it.
fn is_formula(text: &str) -> bool {
    text.trim_start_matches('\'').starts_with(['=', '+', '-', '@', '\t', '\r'])
}

fn guarded(text: &str) -> String {
    if is_formula(text) { format!("'{text}") } else { text.to_owned() }
}

fn unguarded(text: &str) -> &str {
    text.strip_prefix('\'').filter(|_| is_formula(text)).unwrap_or(text)
}
