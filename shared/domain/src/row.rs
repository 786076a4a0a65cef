//! Typed access to a row of the table: each attribute of its type and within its bounds, or a defect that names it.

use std::fmt;

use crate::clock::Timestamp;
use crate::item::{Item, Value};
use crate::names::InvalidName;

/// Why a row is not a grant: the attribute, and what is wrong with it. Holds nothing of the row's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantDefect {
    /// The attribute; for one that is not known, its name made printable and cut short.
    pub attribute: String,
    /// What a legal value is.
    pub problem: &'static str,
}

impl fmt::Display for GrantDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attribute, self.problem)
    }
}

impl std::error::Error for GrantDefect {}

pub(crate) fn defect(attribute: &str, problem: &'static str) -> GrantDefect {
    let printable = attribute.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    GrantDefect { attribute: printable, problem }
}

/// Typed access to the attributes of a row, or of a map within one.
pub(crate) struct Row<'a>(pub(crate) &'a Item);

impl<'a> Row<'a> {
    pub(crate) fn string(&self, attribute: &str) -> Result<Option<&'a str>, GrantDefect> {
        match self.0.get(attribute) {
            None => Ok(None),
            Some(Value::S(text)) => Ok(Some(text)),
            Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_)) => Err(defect(attribute, "is a string (S)")),
        }
    }

    pub(crate) fn optional<T>(&self, attribute: &str, parse: impl Fn(&'a str) -> Result<T, InvalidName>) -> Result<Option<T>, GrantDefect> {
        self.string(attribute)?.map(|text| parse(text).map_err(|InvalidName(rule)| defect(attribute, rule))).transpose()
    }

    pub(crate) fn required<T>(&self, attribute: &str, parse: impl Fn(&'a str) -> Result<T, InvalidName>) -> Result<T, GrantDefect> {
        self.optional(attribute, parse)?.ok_or_else(|| defect(attribute, "is missing"))
    }

    pub(crate) fn boolean(&self, attribute: &str) -> Result<Option<bool>, GrantDefect> {
        match self.0.get(attribute) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::S(_) | Value::N(_) | Value::M(_) | Value::L(_) | Value::Other(_)) => {
                Err(defect(attribute, "is a truth value (BOOL)"))
            }
        }
    }

    fn number(&self, attribute: &str, problem: &'static str) -> Result<Option<i64>, GrantDefect> {
        match self.0.get(attribute) {
            None => Ok(None),
            Some(Value::N(text)) => text.parse().map(Some).map_err(|_| defect(attribute, problem)),
            Some(Value::S(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_)) => Err(defect(attribute, problem)),
        }
    }

    pub(crate) fn time(&self, attribute: &str) -> Result<Option<Timestamp>, GrantDefect> {
        // 9999-12-31T23:59:59Z. More is milliseconds given as seconds, which would be a grant for ever.
        const LAST: i64 = 253_402_300_799;
        let problem = "is a whole number (N) of seconds since 1970-01-01T00:00:00Z";
        match self.number(attribute, problem)? {
            Some(seconds) if (0..=LAST).contains(&seconds) => Ok(Some(Timestamp::from_unix_seconds(seconds))),
            Some(_) => Err(defect(attribute, problem)),
            None => Ok(None),
        }
    }

    pub(crate) fn seconds(
        &self,
        attribute: &str,
        bounds: &std::ops::RangeInclusive<u32>,
        problem: &'static str,
    ) -> Result<Option<u32>, GrantDefect> {
        match self.number(attribute, problem)? {
            None => Ok(None),
            Some(number) => match u32::try_from(number) {
                Ok(seconds) if bounds.contains(&seconds) => Ok(Some(seconds)),
                Ok(_) | Err(_) => Err(defect(attribute, problem)),
            },
        }
    }

    pub(crate) fn map(&self, attribute: &str, problem: &'static str) -> Result<Option<&'a Item>, GrantDefect> {
        match self.0.get(attribute) {
            None => Ok(None),
            Some(Value::M(map)) => Ok(Some(map)),
            Some(Value::S(_) | Value::N(_) | Value::Bool(_) | Value::L(_) | Value::Other(_)) => Err(defect(attribute, problem)),
        }
    }

    /// A list of texts, each a legal one and none twice.
    pub(crate) fn texts<T: PartialEq>(
        &self,
        attribute: &str,
        parse: impl Fn(&'a str) -> Result<T, InvalidName>,
    ) -> Result<Vec<T>, GrantDefect> {
        let list = match self.0.get(attribute) {
            None => return Ok(Vec::new()),
            Some(Value::L(list)) => list,
            Some(Value::S(_) | Value::N(_) | Value::Bool(_) | Value::M(_) | Value::Other(_)) => {
                return Err(defect(attribute, "is a list (L) of strings"));
            }
        };
        let mut texts = Vec::with_capacity(list.len());
        for value in list {
            let Value::S(text) = value else { return Err(defect(attribute, "is a list (L) of strings")) };
            let text = parse(text).map_err(|InvalidName(rule)| defect(attribute, rule))?;
            if texts.contains(&text) {
                return Err(defect(attribute, "has an entry twice"));
            }
            texts.push(text);
        }
        Ok(texts)
    }
}
