//! A row as an operator sees it: read as the broker reads it, and shown when it is not legal.

use aws_sdk_dynamodb::types::AttributeValue;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::decision::Reason;
use latchkey_domain::grant::{GRANT_SORT_KEY_PREFIX, Grant, GrantDefect};
use latchkey_domain::group::{self, GroupGrant, TARGETS};
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::item::Item;
use latchkey_domain::names::TargetName;
use latchkey_domain::subject::{Profiles, SUBJECT_SORT_KEY, Standing};

use super::GroupIdentity;
use crate::item::{Attributes, from_attributes};

/// A row under a subject, as it stands in the table: legal or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Row {
    /// The sort key: `SUBJECT`, `TARGET#<name>`, or what else somebody has put there.
    pub sort_key: String,
    /// Whose row it is; none when the partition key names no identity.
    pub identity: Option<Identity>,
    /// The group whose row it is; none when the partition key names none. Its item is then one of the group's grants, and the sort key
    /// what that of a user's grant would be; a group's item that cannot be read is itself a row, under its own sort key.
    pub group: Option<GroupIdentity>,
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
        let (identity, group) = (identity(&partition_key), group(&partition_key));
        Self { identity, group, sort_key, partition_key, item: from_attributes(attributes) }
    }

    /// Whether it is the subject's own row.
    pub fn is_subject(&self) -> bool {
        self.sort_key == SUBJECT_SORT_KEY
    }

    /// What a grant's sort key names, legal or not; none for other rows.
    pub fn target_name(&self) -> Option<&str> {
        self.sort_key.strip_prefix(GRANT_SORT_KEY_PREFIX)
    }

    /// The grant, read exactly as the broker reads it; none for rows that are no user's grants.
    pub fn grant(&self) -> Option<Result<Grant, GrantDefect>> {
        if self.group.is_some() {
            return None;
        }
        let name = self.target_name()?;
        Some(match TargetName::new(name) {
            Ok(name) => Grant::from_item(name, &self.item),
            Err(rule) => Err(GrantDefect { attribute: "sk".to_owned(), problem: rule.0 }),
        })
    }

    /// The group's grant, read exactly as the broker reads it; none for rows that are no group's.
    pub fn group_grant(&self) -> Option<Result<GroupGrant, GrantDefect>> {
        self.group.as_ref()?;
        let Some(name) = self.target_name() else {
            let whole = group::grants(&self.item).map(drop);
            let nothing = GrantDefect { attribute: "sk".to_owned(), problem: "is not GROUP" };
            return Some(Err(whole.err().unwrap_or(nothing)));
        };
        Some(match TargetName::new(name) {
            Ok(name) => GroupGrant::from_item(name, &self.item),
            Err(rule) => Err(GrantDefect { attribute: TARGETS.to_owned(), problem: rule.0 }),
        })
    }

    /// Whether the grant may be used at `now`; none for what is no grant, or no legal one.
    pub fn usable_at(&self, now: Timestamp) -> Option<Result<(), Reason>> {
        match (self.grant(), self.group_grant()) {
            (Some(grant), _) => Some(grant.ok()?.usable_at(now)),
            (None, Some(grant)) => Some(grant.ok()?.usable_at(now)),
            (None, None) => None,
        }
    }

    /// What the grant opens, for people; none for what is no grant, or no legal one.
    pub fn opens(&self) -> Option<String> {
        let own = self.grant().and_then(Result::ok).map(|grant| grant.target.to_string());
        own.or_else(|| Some(self.group_grant()?.ok()?.opens()))
    }

    /// What is wrong with the grant.
    pub fn defect(&self) -> Option<GrantDefect> {
        self.grant().and_then(Result::err).or_else(|| self.group_grant()?.err())
    }

    /// Whether DynamoDB deletes the subject's own row some day, and with it a suspension; no row that this program writes has a `ttl`.
    pub fn is_subject_that_expires(&self) -> bool {
        self.is_subject() && self.item.contains_key("ttl")
    }

    /// The user profiles that the subject's own row says are its own; none for rows that are no subjects, or do not say it legally.
    pub fn profiles(&self) -> Option<Profiles> {
        if self.is_subject() && self.identity.is_some() { Profiles::from_item(Some(&self.item)).ok() } else { None }
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

pub(super) fn group(partition_key: &str) -> Option<GroupIdentity> {
    let (issuer, group) = partition_key.strip_prefix("GROUP#")?.split_once('#')?;
    Some(GroupIdentity { issuer: IssuerId::new(issuer).ok()?, group: Group::new(group).ok()? })
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
        let read = |key: &str| group(key).map(|whose| (whose.issuer.to_string(), whose.group.to_string()));
        assert_eq!(read("GROUP#okta#a#b"), Some(("okta".to_owned(), "a#b".to_owned())));
        for bad in ["", "GROUP#okta", "GROUP#okta#", "GROUP#OKTA#a", "SUBJECT#okta#a"] {
            assert_eq!(read(bad), None, "{bad}");
        }
    }
}
