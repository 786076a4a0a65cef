//! One entry of a map within an item: a group's grant, a user's profile in a domain. It is written by itself, so that of two who
//! write at a time neither undoes what the other has written.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::RequestId as _;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::{AttributeValue, ReturnValue};
use latchkey_domain::item::{Item, Value};

use super::{AdminError, Expect, Expression, GrantAdmin, writable};
use crate::item::{Attributes, from_attributes, to_attributes};

/// Which entry is meant.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry<'a> {
    /// The attribute that holds the map.
    pub(super) map: &'static str,
    /// The name of the entry in it.
    pub(super) name: &'a str,
}

/// What is to become of it.
#[derive(Debug, Clone)]
pub(super) enum Write<'a> {
    /// It is set, where this holds of the entry that is there.
    Set(Value, Expect<'a>),
    /// It goes.
    Remove,
}

/// An item as it was before a write.
#[derive(Debug)]
pub(super) struct Written {
    /// The attributes, without the keys.
    pub(super) before: Item,
    pub(super) aws_request_id: Option<String>,
}

/// How a write is tried.
enum Outcome {
    Written(Written),
    /// Its condition did not hold.
    Refused,
}

impl GrantAdmin {
    /// Writes an entry, and `also` these attributes of the item. None where what is expected of the entry does not hold, or it goes and
    /// is not there.
    pub(super) async fn write_entry(
        &self,
        keys: Attributes,
        entry: Entry<'_>,
        write: Write<'_>,
        also: &Item,
    ) -> Result<Option<Written>, AdminError> {
        // An entry has a place only in a map that is there, and a map that is there must not be written over. So it is one write or
        // the other, and where somebody else has made the map in between, the first again.
        for _ in 0..2 {
            if let Outcome::Written(written) = self.set_within(&keys, entry, &write, also).await? {
                return Ok(Some(written));
            }
            let Write::Set(value, Expect::Anything | Expect::Absent) = &write else { return Ok(None) };
            if let Outcome::Written(written) = self.set_map(&keys, entry, value.clone(), also).await? {
                return Ok(Some(written));
            }
        }
        match write {
            Write::Set(_, Expect::Anything) => Err(AdminError::Conflict(Expect::Anything.refusal())),
            Write::Set(..) | Write::Remove => Ok(None),
        }
    }

    async fn set_within(&self, keys: &Attributes, entry: Entry<'_>, write: &Write<'_>, also: &Item) -> Result<Outcome, AdminError> {
        let mut expression = Expression::default();
        let (map, name) = (expression.name(entry.map), expression.name(entry.name));
        let mut assignments = assignments(&mut expression, also)?;
        let (update, condition) = match write {
            Write::Set(value, expect) => {
                let value = expression.value(attribute(value.clone())?);
                assignments.push(format!("{map}.{name} = {value}"));
                let expected = expect.condition_of(&format!("{map}.{name}"), &mut expression);
                let condition = [Some(format!("attribute_exists({map})")), expected].into_iter().flatten().collect::<Vec<_>>();
                (format!("SET {}", assignments.join(", ")), condition.join(" AND "))
            }
            Write::Remove => {
                let set = if assignments.is_empty() { String::new() } else { format!("SET {} ", assignments.join(", ")) };
                (format!("{set}REMOVE {map}.{name}"), format!("attribute_exists({map}.{name})"))
            }
        };
        self.update(keys, expression, update, condition).await
    }

    async fn set_map(&self, keys: &Attributes, entry: Entry<'_>, value: Value, also: &Item) -> Result<Outcome, AdminError> {
        let mut expression = Expression::default();
        let map = expression.name(entry.map);
        let mut assignments = assignments(&mut expression, also)?;
        let value = expression.value(attribute(Value::M(Item::from([(entry.name.to_owned(), value)])))?);
        assignments.push(format!("{map} = {value}"));
        self.update(keys, expression, format!("SET {}", assignments.join(", ")), format!("attribute_not_exists({map})")).await
    }

    async fn update(&self, keys: &Attributes, expression: Expression, update: String, condition: String) -> Result<Outcome, AdminError> {
        let request = self.client.update_item().table_name(&self.table).set_key(Some(keys.clone()));
        let request = request.update_expression(update).condition_expression(condition).return_values(ReturnValue::AllOld);
        let request = request.set_expression_attribute_names(expression.names()).set_expression_attribute_values(expression.values());
        match request.send().await {
            Ok(output) => {
                let aws_request_id = output.request_id().map(ToOwned::to_owned);
                let mut before = from_attributes(output.attributes.unwrap_or_default());
                before.retain(|name, _| name != "pk" && name != "sk");
                Ok(Outcome::Written(Written { before, aws_request_id }))
            }
            Err(SdkError::ServiceError(error)) if matches!(error.err(), UpdateItemError::ConditionalCheckFailedException(_)) => {
                Ok(Outcome::Refused)
            }
            Err(error) => Err(error.into()),
        }
    }
}

fn assignments(expression: &mut Expression, item: &Item) -> Result<Vec<String>, AdminError> {
    let attributes = writable(item.clone())?;
    Ok(attributes.into_iter().map(|(name, value)| format!("{} = {}", expression.name(name), expression.value(value))).collect())
}

fn attribute(value: Value) -> Result<AttributeValue, AdminError> {
    let attributes = to_attributes(Item::from([(String::new(), value)]));
    let unwritable = |name: &str| AdminError::OwnAttribute(name.to_owned());
    attributes.map_err(|error| unwritable(error.0))?.remove("").ok_or_else(|| unwritable("unknown"))
}
