//! YAML 1.2: a list of maps, read event by event.
//!
//! Values are read by the core schema, and strictly: what is neither text, a whole number, true nor false is refused, and so
//! are aliases and tags. So a file is as large as it looks, and means what it shows.

use std::borrow::Cow;
use std::cell::RefCell;
use std::io::{self, BufRead, Write};
use std::rc::Rc;

use latchkey_domain::item::{Item, Value};
use saphyr_parser::{BufferedInput, Event, Parser, ScalarStyle, ScanError, Span};

use super::Entry;

/// As deep as an item of DynamoDB's can be.
const MAX_DEPTH: usize = 32;

/// The characters of a file. The parser takes nothing but characters, so what goes wrong is kept beside it.
struct Characters<R> {
    file: R,
    text: std::vec::IntoIter<char>,
    failed: Rc<RefCell<Option<io::Error>>>,
}

impl<R: BufRead> Iterator for Characters<R> {
    type Item = char;

    fn next(&mut self) -> Option<char> {
        loop {
            if let Some(next) = self.text.next() {
                // The parser takes it for the end.
                if next == '\0' {
                    self.failed.replace(Some(io::Error::new(io::ErrorKind::InvalidData, "the file has a NUL character")));
                    return None;
                }
                return Some(next);
            }
            if self.failed.borrow().is_some() {
                return None;
            }
            let mut line = String::new();
            match self.file.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => self.text = line.chars().collect::<Vec<_>>().into_iter(),
                Err(error) => {
                    self.failed.replace(Some(error));
                    return None;
                }
            }
        }
    }
}

/// The rows.
pub(super) struct Entries<R: BufRead> {
    parser: Parser<'static, BufferedInput<Characters<R>>>,
    failed: Rc<RefCell<Option<io::Error>>>,
    ended: bool,
    /// Whether the events are within a document's list.
    in_list: bool,
}

/// What is read of a node: its value, or why it has none. The events of the node are gone either way.
type Node = Result<Value, String>;

impl<R: BufRead> Entries<R> {
    pub(super) fn new(file: R) -> Self {
        let failed = Rc::new(RefCell::new(None));
        let characters = Characters { file, text: Vec::new().into_iter(), failed: Rc::clone(&failed) };
        Self { parser: Parser::new(BufferedInput::new(characters)), failed, ended: false, in_list: false }
    }

    /// The next row; none at the end.
    fn row(&mut self) -> Result<Option<Entry>, ScanError> {
        while let Some((event, span)) = self.event()? {
            match event {
                Event::SequenceStart(..) if !self.in_list => self.in_list = true,
                Event::SequenceEnd => self.in_list = false,
                Event::StreamEnd => return Ok(None),
                Event::StreamStart | Event::DocumentStart(_) | Event::DocumentEnd | Event::Nothing => {}
                // A document with nothing in it.
                Event::Scalar(text, ScalarStyle::Plain, ..) if !self.in_list && matches!(&*text, "" | "~") => {}
                Event::MappingStart(..) | Event::Scalar(..) | Event::SequenceStart(..) | Event::MappingEnd | Event::Alias(_) => {
                    let item = match self.node(event, 0)? {
                        Ok(Value::M(item)) => Ok(item),
                        Ok(Value::S(_) | Value::N(_) | Value::Bool(_) | Value::L(_) | Value::Other(_)) => {
                            Err("is not a map; the file is a list of maps".to_owned())
                        }
                        Err(problem) => Err(problem),
                    };
                    return Ok(Some(Entry { line: line(span), item }));
                }
            }
        }
        Ok(None)
    }

    fn event(&mut self) -> Result<Option<(Event<'static>, Span)>, ScanError> {
        self.parser.next_event().transpose()
    }

    fn node(&mut self, event: Event<'static>, depth: usize) -> Result<Node, ScanError> {
        let tagged = |tag: &Option<Cow<'_, saphyr_parser::Tag>>| tag.is_some();
        Ok(match event {
            Event::Scalar(_, _, _, tag) if tagged(&tag) => Err("has a tag (!…), which is not taken".to_owned()),
            Event::Scalar(text, ScalarStyle::Plain, ..) => plain(&text),
            Event::Scalar(text, ..) => Ok(Value::S(text.into_owned())),
            Event::SequenceStart(_, tag) => {
                let mut list = if tagged(&tag) { Err("has a tag (!…), which is not taken".to_owned()) } else { Ok(Vec::new()) };
                while let Some((event, _)) = self.event()? {
                    if event == Event::SequenceEnd {
                        break;
                    }
                    let value = self.inner(event, depth)?;
                    list = list.and_then(|mut list| {
                        list.push(value?);
                        Ok(list)
                    });
                }
                list.map(Value::L)
            }
            Event::MappingStart(_, tag) => {
                let mut map = if tagged(&tag) { Err("has a tag (!…), which is not taken".to_owned()) } else { Ok(Item::new()) };
                while let Some((event, _)) = self.event()? {
                    if event == Event::MappingEnd {
                        break;
                    }
                    // A name is text however it looks.
                    let name = if let Event::Scalar(text, _, _, None) = event {
                        Ok(text.into_owned())
                    } else {
                        self.inner(event, depth)?.and(Err("has a name that is not text".to_owned()))
                    };
                    let Some((event, _)) = self.event()? else { break };
                    let value = self.inner(event, depth)?;
                    map = map.and_then(|mut map: Item| {
                        let name = name?;
                        let printable: String = name.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
                        if map.contains_key(&name) {
                            return Err(format!("{printable}: stands there twice"));
                        }
                        map.insert(name, value.map_err(|problem| format!("{printable}: {problem}"))?);
                        Ok(map)
                    });
                }
                map.map(Value::M)
            }
            Event::Alias(_) => Err("is an alias (*…), which is not taken".to_owned()),
            Event::Nothing
            | Event::StreamStart
            | Event::StreamEnd
            | Event::DocumentStart(_)
            | Event::DocumentEnd
            | Event::SequenceEnd
            | Event::MappingEnd => Err("has no value".to_owned()),
        })
    }

    /// A node within another.
    fn inner(&mut self, event: Event<'static>, depth: usize) -> Result<Node, ScanError> {
        if depth < MAX_DEPTH {
            return self.node(event, depth + 1);
        }
        let mut open = usize::from(matches!(event, Event::SequenceStart(..) | Event::MappingStart(..)));
        while open > 0 {
            match self.event()? {
                Some((Event::SequenceStart(..) | Event::MappingStart(..), _)) => open += 1,
                Some((Event::SequenceEnd | Event::MappingEnd, _)) => open -= 1,
                Some(_) => {}
                None => break,
            }
        }
        Ok(Err("is nested more than 32 deep".to_owned()))
    }
}

impl<R: BufRead> Iterator for Entries<R> {
    type Item = io::Result<Entry>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let row = self.row();
        if let Some(error) = self.failed.borrow_mut().take() {
            self.ended = true;
            return Some(Err(error));
        }
        match row {
            Ok(Some(entry)) => Some(Ok(entry)),
            Ok(None) => {
                self.ended = true;
                None
            }
            Err(error) => {
                self.ended = true;
                let line = u64::try_from(error.marker().line()).unwrap_or(0);
                Some(Ok(Entry::bad(line, "is not YAML; nothing after it was read")))
            }
        }
    }
}

fn line(span: Span) -> u64 {
    u64::try_from(span.start.line()).unwrap_or(0)
}

/// What a plain scalar is by the core schema, of which only text, whole numbers and truth values are taken.
fn plain(text: &str) -> Node {
    match text {
        "" | "~" | "null" | "Null" | "NULL" => return Err("has no value".to_owned()),
        "true" | "True" | "TRUE" => return Ok(Value::Bool(true)),
        "false" | "False" | "FALSE" => return Ok(Value::Bool(false)),
        _ => {}
    }
    if let Ok(number) = text.parse::<i64>() {
        return Ok(Value::N(number.to_string()));
    }
    let like_a_number = text.starts_with(|c: char| c.is_ascii_digit() || matches!(c, '+' | '-' | '.'));
    let in_another_base = text.starts_with("0x") || text.starts_with("0o");
    let no_number = matches!(text.trim_start_matches(['+', '-']), ".inf" | ".Inf" | ".INF" | ".nan" | ".NaN" | ".NAN");
    if in_another_base || no_number || (like_a_number && text.parse::<f64>().is_ok()) {
        return Err("is a number that is not a whole, decimal one of 64 bits (text that looks like one is to be in quotes)".to_owned());
    }
    Ok(Value::S(text.to_owned()))
}

/// Writes a row: the keys first, then the attributes.
pub(super) fn write(to: &mut impl Write, item: &Item) -> io::Result<()> {
    let first = ["issuer", "subject", "target", "kind"];
    let keys = first.iter().filter_map(|name| item.get_key_value(*name));
    let others = item.iter().filter(|(name, _)| !first.contains(&name.as_str()));
    for (index, (name, value)) in keys.chain(others).enumerate() {
        to.write_all(if index == 0 { b"- " } else { b"  " })?;
        write_pair(to, name, value, 2)?;
    }
    Ok(())
}

fn write_pair(to: &mut impl Write, name: &str, value: &Value, indent: usize) -> io::Result<()> {
    write!(to, "{}:", scalar(name))?;
    if let Value::M(map) = value
        && !map.is_empty()
    {
        writeln!(to)?;
        for (name, value) in map {
            write!(to, "{:1$}", "", indent + 2)?;
            write_pair(to, name, value, indent + 2)?;
        }
        return Ok(());
    }
    writeln!(to, " {}", flow(value))
}

/// A value in one line.
fn flow(value: &Value) -> String {
    match value {
        Value::S(text) => scalar(text),
        Value::N(number) => number.clone(),
        Value::Bool(truth) => truth.to_string(),
        Value::M(map) => {
            let pairs: Vec<String> = map.iter().map(|(name, value)| format!("{}: {}", scalar(name), flow(value))).collect();
            format!("{{{}}}", pairs.join(", "))
        }
        Value::L(list) => format!("[{}]", list.iter().map(flow).collect::<Vec<_>>().join(", ")),
        Value::Other(name) => quoted(name),
    }
}

/// Text, in quotes unless nobody's YAML could take it for anything else.
fn scalar(text: &str) -> String {
    let words = ["true", "false", "null", "yes", "no", "on", "off", "y", "n"];
    let is_plain = text.starts_with(|c: char| c.is_ascii_alphabetic())
        && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b))
        && !words.contains(&text.to_ascii_lowercase().as_str());
    if is_plain { text.to_owned() } else { quoted(text) }
}

fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            // What is not printable to YAML, and what breaks a line or cannot be seen.
            c if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{feff}') || u32::from(c) & 0xfffe == 0xfffe => {
                quoted.push_str(&format!("\\U{:08x}", u32::from(c)));
            }
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}
