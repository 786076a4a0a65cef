//! The subject's own row: written attribute by attribute, so that what else it holds stays.

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::RequestId as _;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::ReturnValue;
use latchkey_domain::identity::Identity;
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::{DomainId, UserProfileName};
use latchkey_domain::subject::{PROFILE, PROFILES, Profiles, SUBJECT_SORT_KEY};

use super::entry::{Entry, Write, Written};
use super::{AdminError, Annotation, Change, Expect, Expression, GrantAdmin, Row, writable};
use crate::item::key;

/// By it DynamoDB deletes a row. A subject's own is none that ends by itself: a suspension would end with it.
const TTL: &str = "ttl";

impl GrantAdmin {
    /// Suspends a subject or makes it active again, with one write that holds from the next request on. A note that is there
    /// stays, unless the annotation has one; so does everything else in the row, but for a `ttl`.
    ///
    /// None when the subject was suspended already, for good and with this note if there is one, or was not suspended: then nothing is
    /// written.
    ///
    /// # Errors
    /// [`AdminError::OwnAttribute`], [`AdminError::Aws`].
    pub async fn set_suspended(&self, identity: &Identity, suspended: bool, annotation: &Annotation) -> Result<Option<Change>, AdminError> {
        let mut item = status(suspended);
        annotation.write(&mut item)?;
        let different = |expression: &mut Expression| {
            let differs = |expression: &mut Expression, attribute: &str, value: &str| {
                let (name, value) = (expression.name(attribute), expression.value(crate::item::text(value)));
                (format!("attribute_exists({name})"), format!("{name} <> {value}"), format!("attribute_not_exists({name})"))
            };
            if suspended {
                let (_, other, absent) = differs(expression, "status", "suspended");
                // A row with a `ttl` DynamoDB would delete some day, and the suspension with it.
                let mut condition = format!("{absent} OR {other} OR attribute_exists({})", expression.name(TTL));
                if let Some(note) = &annotation.note {
                    let (_, other, absent) = differs(expression, "note", note);
                    condition.push_str(&format!(" OR {absent} OR {other}"));
                }
                condition
            } else {
                // Without a row, or without a status in it, the subject is active.
                let (there, other, _) = differs(expression, "status", "active");
                format!("{there} AND {other}")
            }
        };
        match self.update_subject(identity, item, &[TTL], |expression| Some(different(expression))).await {
            Ok(change) => Ok(Some(change)),
            Err(Refused::Condition) => Ok(None),
            Err(Refused::Other(error)) => Err(error),
        }
    }

    /// Says which user profile is the subject's in a domain, or in every domain that it has none of its own for; or that none is. It
    /// makes the row where there is none, and leaves everything else in it as it was.
    ///
    /// None when none was to be and there was none: then nothing is written.
    ///
    /// # Errors
    /// [`AdminError::OwnAttribute`], [`AdminError::Aws`].
    pub async fn set_profile(
        &self,
        identity: &Identity,
        domain: Option<&DomainId>,
        profile: Option<&UserProfileName>,
        annotation: &Annotation,
    ) -> Result<Option<Change>, AdminError> {
        let mut item = Item::new();
        annotation.write(&mut item)?;
        let value = profile.map(|profile| Value::S(profile.as_str().to_owned()));
        if let Some(domain) = domain {
            let entry = Entry { map: PROFILES, name: domain.as_str() };
            let write = value.clone().map_or(Write::Remove, |value| Write::Set(value, Expect::Anything));
            let written = self.write_entry(key(identity.partition_key(), SUBJECT_SORT_KEY), entry, write, &item).await?;
            return Ok(written.map(|Written { before, aws_request_id }| {
                let mut after = before.clone();
                after.extend(item);
                if let Value::M(profiles) = after.entry(PROFILES.to_owned()).or_insert_with(|| Value::M(Item::new())) {
                    match value {
                        Some(value) => drop(profiles.insert(domain.as_str().to_owned(), value)),
                        None => drop(profiles.remove(domain.as_str())),
                    }
                }
                Change { before: (!before.is_empty()).then(|| Row::of_subject(identity, before)), after: Some(after), aws_request_id }
            }));
        }
        let gone: &[&str] = if value.is_some() { &[] } else { &[PROFILE] };
        item.extend(value.map(|value| (PROFILE.to_owned(), value)));
        let is_there = |expression: &mut Expression| {
            let gone: Option<&str> = gone.first().copied();
            gone.map(|name| format!("attribute_exists({})", expression.name(name)))
        };
        match self.update_subject(identity, item, gone, is_there).await {
            Ok(change) => Ok(Some(change)),
            Err(Refused::Condition) => Ok(None),
            Err(Refused::Other(error)) => Err(error),
        }
    }

    /// Writes of the subject's own row what is given: its status, its user profiles, its note and the operator's own attributes. What
    /// the row has besides stays, but for a `ttl`: of what was read, also the profiles in domains that none is given for.
    ///
    /// # Errors
    /// [`AdminError::Conflict`] when `expect` does not hold, and also when the row was written and the answer was lost;
    /// [`AdminError::OwnAttribute`], [`AdminError::Aws`].
    pub async fn put_subject(
        &self,
        identity: &Identity,
        suspended: Option<bool>,
        profiles: &Profiles,
        annotation: &Annotation,
        expect: Expect<'_>,
    ) -> Result<Change, AdminError> {
        let read = match expect {
            Expect::AsRead(read) => Profiles::from_item(Some(read)).unwrap_or_default(),
            Expect::Anything | Expect::Absent | Expect::Present => Profiles::default(),
        };
        let mut item = suspended.map(status).unwrap_or_default();
        item.extend(profiles.to_item());
        if !profiles.by_domain.is_empty() {
            item.extend(profiles.clone().or(read).to_item());
        }
        annotation.write(&mut item)?;
        self.update_subject(identity, item, &[TTL], |expression| expect.condition(expression)).await.map_err(|refused| match refused {
            Refused::Condition => AdminError::Conflict(expect.refusal()),
            Refused::Other(error) => error,
        })
    }

    async fn update_subject(
        &self,
        identity: &Identity,
        item: Item,
        gone: &[&str],
        condition: impl FnOnce(&mut Expression) -> Option<String>,
    ) -> Result<Change, Refused> {
        let mut expression = Expression::default();
        let mut assignments = Vec::with_capacity(item.len());
        for (name, value) in writable(item.clone()).map_err(Refused::Other)? {
            let name = expression.name(name);
            assignments.push(format!("{name} = {}", expression.value(value)));
        }
        let mut update = format!("SET {}", assignments.join(", "));
        if !gone.is_empty() {
            let gone: Vec<String> = gone.iter().map(|name| expression.name(*name)).collect();
            update.push_str(&format!(" REMOVE {}", gone.join(", ")));
        }
        let condition = condition(&mut expression);
        let request = self.client.update_item().table_name(&self.table).set_key(Some(key(identity.partition_key(), SUBJECT_SORT_KEY)));
        let request = request.update_expression(update).set_condition_expression(condition).return_values(ReturnValue::AllOld);
        let request = request.set_expression_attribute_names(expression.names()).set_expression_attribute_values(expression.values());
        match request.send().await {
            Ok(output) => {
                let aws_request_id = output.request_id().map(ToOwned::to_owned);
                // The embedded engine answers with the key alone where there was no row; DynamoDB with nothing.
                let before = output.attributes.map(Row::from_attributes).filter(|row| !row.item.is_empty());
                // The update is one step, so what it left is what it found, with what it has set and without what it has removed.
                let mut after = before.as_ref().map(|row| row.item.clone()).unwrap_or_default();
                after.extend(item);
                after.retain(|name, _| !gone.contains(&name.as_str()));
                Ok(Change { before, after: Some(after), aws_request_id })
            }
            Err(SdkError::ServiceError(error)) if matches!(error.err(), UpdateItemError::ConditionalCheckFailedException(_)) => {
                Err(Refused::Condition)
            }
            Err(error) => Err(Refused::Other(error.into())),
        }
    }
}

impl Row {
    fn of_subject(identity: &Identity, item: Item) -> Self {
        let (sort_key, partition_key) = (SUBJECT_SORT_KEY.to_owned(), identity.partition_key());
        Self { sort_key, identity: Some(identity.clone()), group: None, partition_key, item }
    }
}

/// Why an update was not done.
enum Refused {
    /// Its condition did not hold.
    Condition,
    /// Anything else.
    Other(AdminError),
}

fn status(suspended: bool) -> Item {
    Item::from([("status".to_owned(), Value::S(if suspended { "suspended" } else { "active" }.to_owned()))])
}
