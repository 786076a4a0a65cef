//! A row as an operator sees it: read as the broker reads it, and shown when it is not legal.

use aws_sdk_dynamodb::types::AttributeValue;
use latchkey_domain::grant::{GRANT_SORT_KEY_PREFIX, Grant, GrantDefect};
use latchkey_domain::identity::{Identity, IssuerId, Subject};
use latchkey_domain::item::Item;
use latchkey_domain::names::TargetName;
use latchkey_domain::subject::{SUBJECT_SORT_KEY, Standing};

use crate::item::{Attributes, from_attributes};

/// A row under a subject, as it stands in the table: legal or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The sort key: `SUBJECT`, `TARGET#<name>`, or what else somebody has put there.
    pub sort_key: String,
    /// Whose row it is; none when the partition key names no identity.
    pub identity: Option<Identity>,
    /// The partition key.
    pub partition_key: String,
    /// The attributes, without the keys.
    pub item: Item,
}

impl Row {
    pub(super) fn from_attributes(mut attributes: Attributes) -> Self {
        let mut take = |name: &str| match attributes.remove(name) {
            Some(AttributeValue::S(value)) => value,
            _ => String::new(),
        };
        let (partition_key, sort_key) = (take("pk"), take("sk"));
        Self { identity: identity(&partition_key), sort_key, partition_key, item: from_attributes(attributes) }
    }

    /// Whether it is the subject's own row.
    pub fn is_subject(&self) -> bool {
        self.sort_key == SUBJECT_SORT_KEY
    }

    /// What a grant's sort key names, legal or not; none for other rows.
    pub fn target_name(&self) -> Option<&str> {
        self.sort_key.strip_prefix(GRANT_SORT_KEY_PREFIX)
    }

    /// The grant, read exactly as the broker reads it; none for rows that are no grants.
    pub fn grant(&self) -> Option<Result<Grant, GrantDefect>> {
        let name = self.target_name()?;
        Some(match TargetName::new(name) {
            Ok(name) => Grant::from_item(name, &self.item),
            Err(rule) => Err(GrantDefect { attribute: "sk".to_owned(), problem: rule.0 }),
        })
    }

    /// The subject's standing, read exactly as the broker reads it; none for rows that are no subjects.
    pub fn standing(&self) -> Option<Standing> {
        self.is_subject().then(|| Standing::from_item(Some(&self.item)))
    }
}

fn identity(partition_key: &str) -> Option<Identity> {
    let (issuer, subject) = partition_key.strip_prefix("SUBJECT#")?.split_once('#')?;
    Some(Identity { issuer: IssuerId::new(issuer).ok()?, subject: Subject::new(subject).ok()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn partition_keys_are_read_back() {
        let read = |key: &str| identity(key).map(|identity| (identity.issuer.to_string(), identity.subject.to_string()));
        assert_eq!(read("SUBJECT#okta#a#b"), Some(("okta".to_owned(), "a#b".to_owned())));
        for bad in ["", "SUBJECT#okta", "SUBJECT#okta#", "SUBJECT#OKTA#a", "JWKS#okta", "RATE#okta#a"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
