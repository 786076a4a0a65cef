//! JSON Lines: an object on each line; empty lines are passed over.

use std::io::{self, BufRead};

use latchkey_domain::item::Value;
use serde_json::error::Category;

use super::{Entry, MAX_ROW};

/// The rows.
pub(super) struct Entries<R> {
    file: R,
    line: u64,
    ended: bool,
}

impl<R: BufRead> Entries<R> {
    pub(super) fn new(file: R) -> Self {
        Self { file, line: 0, ended: false }
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        let mut text = Vec::new();
        while !self.ended {
            text.clear();
            match io::Read::take(&mut self.file, MAX_ROW).read_until(b'\n', &mut text) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => {
                    self.ended = true;
                    return Some(Err(error));
                }
            }
            self.line += 1;
            // Windows' editors begin a file with it.
            let bytes = if self.line == 1 { text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&text) } else { &text };
            if bytes.trim_ascii().is_empty() {
                continue;
            }
            if text.len() as u64 == MAX_ROW && !text.ends_with(b"\n") {
                self.ended = true;
                return Some(Ok(Entry::bad(self.line, "is longer than 1 MiB; nothing after it was read")));
            }
            return Some(Ok(Entry { line: self.line, item: read(bytes) }));
        }
        None
    }
}

fn read(text: &[u8]) -> Result<latchkey_domain::item::Item, String> {
    match serde_json::from_slice(text) {
        Ok(Value::M(item)) => Ok(item),
        Ok(Value::S(_) | Value::N(_) | Value::Bool(_) | Value::L(_) | Value::Other(_)) => Err("is not a JSON object".to_owned()),
        // serde's own words can hold a value.
        Err(error) => Err(match error.classify() {
            Category::Data => {
                format!("column {}: has a member twice, or null, or a number that is not a whole one of 64 bits", error.column())
            }
            Category::Syntax | Category::Eof | Category::Io => format!("column {}: is not JSON", error.column()),
        }),
    }
}
