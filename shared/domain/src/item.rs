//! A table item without its database: what the DynamoDB adapter reads and writes, and what the grant rules parse.

use std::collections::BTreeMap;

/// One attribute's value. Types that no item of ours uses keep their DynamoDB name only: they make an item malformed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Value {
    /// A string (`S`).
    S(String),
    /// A number (`N`), in DynamoDB's decimal text.
    N(String),
    /// A truth value (`BOOL`).
    Bool(bool),
    /// A map (`M`).
    M(Item),
    /// Any other type, by its DynamoDB name.
    Other(&'static str),
}

/// An item, or a map within one: attribute name to value.
pub type Item = BTreeMap<String, Value>;
