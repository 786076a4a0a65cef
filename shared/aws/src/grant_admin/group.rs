//! What groups were granted: one item for each group, and in it an entry for each grant.

use std::mem;

use latchkey_domain::grant::GRANT_SORT_KEY_PREFIX;
use latchkey_domain::group::{GROUP_SORT_KEY, GroupGrant, TARGETS};
use latchkey_domain::identity::{Group, IssuerId};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::TargetName;

use super::entry::{Entry, Write, Written};
use super::{AdminError, Annotation, Change, Expect, GrantAdmin, GrantDefect, Row, size};
use crate::item::key;

/// A group, and the issuer whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupIdentity {
    /// The trusted issuer.
    pub issuer: IssuerId,
    /// The group, in that issuer's words.
    pub group: Group,
}

impl GroupIdentity {
    /// The partition key of the group's item.
    pub fn partition_key(&self) -> String {
        self.group.partition_key(&self.issuer)
    }
}

impl GrantAdmin {
    /// Writes a grant of a group's, and nothing else that the group was granted. What is expected is expected of that grant.
    ///
    /// # Errors
    /// [`AdminError::Conflict`] when `expect` does not hold, and also when the grant was written and the answer was lost;
    /// [`AdminError::Defect`] for a grant that the broker would not read back as it is.
    pub async fn put_group_grant(
        &self,
        whose: &GroupIdentity,
        grant: &GroupGrant,
        annotation: &Annotation,
        expect: Expect<'_>,
    ) -> Result<Change, AdminError> {
        let mut item = grant.to_item();
        annotation.write(&mut item)?;
        if GroupGrant::from_item(grant.name().clone(), &item)? != *grant {
            return Err(AdminError::Defect(GrantDefect {
                attribute: grant.name().to_string(),
                problem: "would not be read back as it is",
            }));
        }
        // What else the group was granted DynamoDB adds to it, and refuses the one write if it is too much.
        if !size::fits(&whose.partition_key(), GROUP_SORT_KEY, &item) {
            return Err(AdminError::TooLarge);
        }
        let written = self.write_grant(whose, grant.name(), Write::Set(Value::M(item.clone()), expect)).await?;
        let Some(written) = written else { return Err(AdminError::Conflict(expect.refusal())) };
        Ok(change(whose, grant.name(), written, Some(item)))
    }

    /// Deletes a grant of a group's; nothing has changed when there was none. The group's item stays, as does what else is in it.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn delete_group_grant(&self, whose: &GroupIdentity, name: &TargetName) -> Result<Change, AdminError> {
        match self.write_grant(whose, name, Write::Remove).await? {
            Some(written) => Ok(change(whose, name, written, None)),
            None => Ok(Change { before: None, after: None, aws_request_id: None }),
        }
    }

    /// Reads one grant of a group's, consistently; where nothing of the group's item can be read, the row for that.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn get_group_grant(&self, whose: &GroupIdentity, name: &TargetName) -> Result<Option<Row>, AdminError> {
        let rows = self.list_group(whose).await?;
        Ok(rows.into_iter().find(|row| row.target_name().is_none_or(|of_row| of_row == name.as_str())))
    }

    /// Lists what a group was granted, consistently: a row for each grant, and one for the item itself where it is not a group's.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn list_group(&self, whose: &GroupIdentity) -> Result<Vec<Row>, AdminError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key(whose.partition_key(), GROUP_SORT_KEY)));
        let output = request.consistent_read(true).send().await?;
        Ok(output.item.filter(|item| !item.is_empty()).map(Row::from_attributes).map(rows).unwrap_or_default())
    }

    async fn write_grant(&self, whose: &GroupIdentity, name: &TargetName, write: Write<'_>) -> Result<Option<Written>, AdminError> {
        let entry = Entry { map: TARGETS, name: name.as_str() };
        self.write_entry(key(whose.partition_key(), GROUP_SORT_KEY), entry, write, &Item::new()).await
    }
}

fn change(whose: &GroupIdentity, name: &TargetName, mut written: Written, after: Option<Item>) -> Change {
    let mut before = None;
    if let Some(Value::M(targets)) = written.before.get_mut(TARGETS) {
        before = targets.remove(name.as_str()).map(|grant| Row::of_group(whose.partition_key(), name.as_str(), attributes(grant)));
    }
    Change { before, after, aws_request_id: written.aws_request_id }
}

/// The rows that a group's item stands for: one for each of its grants, as if each were an item. One that cannot be read as a group's
/// stays the one row that it is.
pub(super) fn rows(mut row: Row) -> Vec<Row> {
    let Ok(grants) = latchkey_domain::group::grants(&row.item) else { return vec![row] };
    let names: Vec<String> = grants.map(|(name, _)| name.to_owned()).collect();
    let Some(Value::M(targets)) = row.item.get_mut(TARGETS) else { return Vec::new() };
    let mut targets = mem::take(targets);
    let of = |name: String| {
        let item = targets.remove(&name).map(attributes).unwrap_or_default();
        Row::of_group(row.partition_key.clone(), &name, item)
    };
    names.into_iter().map(of).collect()
}

/// The attributes of a grant; of what somebody has put in its place by hand, that under no attribute's name.
fn attributes(grant: Value) -> Item {
    if let Value::M(item) = grant { item } else { Item::from([("(not a map)".to_owned(), grant)]) }
}

impl Row {
    fn of_group(partition_key: String, name: &str, item: Item) -> Self {
        let sort_key = format!("{GRANT_SORT_KEY_PREFIX}{name}");
        Self { sort_key, identity: None, group: super::row::group(&partition_key), partition_key, item }
    }
}
