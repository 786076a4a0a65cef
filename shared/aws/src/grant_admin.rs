//! What operators do to the table: grants and subjects written, read, listed and deleted.
//!
//! Nothing here is called on the way to a URL. Nothing is written that the broker would not read back as the same grant.

mod entry;
mod expression;
mod group;
mod row;
pub mod size;
mod subject;

use std::error::Error;
use std::fmt;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_dynamodb::operation::RequestId as _;
use aws_sdk_dynamodb::operation::create_table::CreateTableError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::scan::builders::ScanFluentBuilder;
use aws_sdk_dynamodb::types::{
    AttributeDefinition, BillingMode, KeySchemaElement, KeyType, ReturnValue, ScalarAttributeType, TableStatus, TimeToLiveSpecification,
};
use aws_smithy_runtime_api::client::orchestrator::HttpResponse;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::grant::{GRANT_SORT_KEY_PREFIX, Grant, GrantDefect};
use latchkey_domain::group::GROUP_SORT_KEY;
use latchkey_domain::identity::Identity;
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::TargetName;
use latchkey_domain::subject::{Profiles, SUBJECT_SORT_KEY};
use latchkey_domain::target::Kind;
use latchkey_transport::CallError;

pub use self::expression::Expect;
use self::expression::Expression;
pub use self::group::GroupIdentity;
pub use self::row::Row;
use crate::item::{Attributes, Unwritable, key, text, to_attributes};

/// What begins the names of an operator's own attributes, which the broker passes over.
pub const OWN_ATTRIBUTE_PREFIX: &str = "x_";

/// How often, and how many times, a new table is looked at until it is active.
const CREATION_POLL: (Duration, u32) = (Duration::from_millis(500), 120);

/// Why something could not be done to the table. One line each; AWS's own words are the source.
#[derive(Debug, thiserror::Error)]
pub enum AdminError {
    /// The row is there and was not to be, or is not there and was to be.
    #[error("{0}")]
    Conflict(&'static str),
    /// The grant would not be read back as it is.
    #[error("not a grant: {0}")]
    Defect(#[from] GrantDefect),
    /// An own attribute's name does not begin with `x_`, or its value is of a type that is not written.
    #[error("the attribute {0} is not an operator's own (x_…), or of a type that is not written")]
    OwnAttribute(String),
    /// The row is larger than DynamoDB takes.
    #[error("the row has more than the 400 KB that DynamoDB takes")]
    TooLarge,
    /// AWS refused or did not answer.
    #[error("DynamoDB: {}", code.as_deref().unwrap_or("no answer"))]
    Aws {
        /// AWS's error code, where there was an answer.
        code: Option<String>,
        /// The id of the AWS request, where there was an answer.
        aws_request_id: Option<String>,
        /// All that the SDK knows, AWS's message included.
        source: Box<dyn Error + Send + Sync>,
    },
}

impl AdminError {
    /// Whether the same call may succeed later: DynamoDB had too much to do, or did not answer. Where there is no way to it at all, there
    /// is none in half a minute either, and who waits wants to know.
    pub fn may_pass(&self) -> bool {
        const PASSING: [&str; 5] = [
            "ThrottlingException",
            "ProvisionedThroughputExceededException",
            "RequestLimitExceeded",
            "InternalServerError",
            "ServiceUnavailable",
        ];
        match self {
            Self::Aws { code: Some(code), .. } => PASSING.contains(&code.as_str()),
            Self::Aws { code: None, source, .. } => !matches!(CallError::find(&**source), Some(CallError::NotConnected { .. })),
            Self::Conflict(_) | Self::Defect(_) | Self::OwnAttribute(_) | Self::TooLarge => false,
        }
    }
}

impl<E> From<SdkError<E, HttpResponse>> for AdminError
where
    E: ProvideErrorMetadata + Error + Send + Sync + 'static,
{
    fn from(error: SdkError<E, HttpResponse>) -> Self {
        let (code, aws_request_id) = (error.code().map(ToOwned::to_owned), error.request_id().map(ToOwned::to_owned));
        Self::Aws { code, aws_request_id, source: Box::new(error) }
    }
}

impl From<BuildError> for AdminError {
    fn from(error: BuildError) -> Self {
        Self::Aws { code: None, aws_request_id: None, source: Box::new(error) }
    }
}

/// A row as it was before a write and after it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// The row that was there; none where there was none.
    pub before: Option<Row>,
    /// The attributes that are there now, without the keys; none where the row is gone.
    pub after: Option<Item>,
    /// AWS's id of the request, by which CloudTrail knows whose credentials wrote.
    pub aws_request_id: Option<String>,
}

/// Who writes, when, and what else is to be kept with the row.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Annotation {
    /// When it is written.
    pub at: Timestamp,
    /// Who writes it, as the operator is known.
    pub by: Option<String>,
    /// A note, for people.
    pub note: Option<String>,
    /// The operator's own attributes; their names begin with [`OWN_ATTRIBUTE_PREFIX`].
    pub own: Item,
}

impl Annotation {
    /// An annotation with nothing but the time.
    pub const fn at(at: Timestamp) -> Self {
        Self { at, by: None, note: None, own: Item::new() }
    }

    /// Adds itself to an item.
    fn write(&self, item: &mut Item) -> Result<(), AdminError> {
        if let Some(name) = self.own.keys().find(|name| !name.starts_with(OWN_ATTRIBUTE_PREFIX)) {
            return Err(AdminError::OwnAttribute(name.clone()));
        }
        item.extend(self.own.clone());
        item.insert("updated_at".to_owned(), Value::N(self.at.unix_seconds().to_string()));
        if let Some(by) = &self.by {
            item.insert("updated_by".to_owned(), Value::S(by.clone()));
        }
        if let Some(note) = &self.note {
            item.insert("note".to_owned(), Value::S(note.clone()));
        }
        Ok(())
    }
}

/// Where a listing goes on.
#[derive(Debug, Clone)]
pub struct Cursor(Attributes);

/// A part of a listing. It can be empty and not the last.
#[derive(Debug, Clone)]
pub struct Page {
    /// The rows.
    pub rows: Vec<Row>,
    /// Where the next page begins; none after the last.
    pub next: Option<Cursor>,
}

/// The table, for operators.
#[derive(Clone)]
pub struct GrantAdmin {
    client: Client,
    table: String,
}

// The client's own `Debug` goes on for pages, down to the access key.
impl fmt::Debug for GrantAdmin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("GrantAdmin").field("table", &self.table).finish_non_exhaustive()
    }
}

impl GrantAdmin {
    /// The table of that name (or ARN), through a client of [`crate::clients::Clients::dynamodb_for_operators`].
    pub fn new(client: Client, table: impl Into<String>) -> Self {
        Self { client, table: table.into() }
    }

    /// Writes a grant, the whole row.
    ///
    /// # Errors
    /// [`AdminError::Conflict`] when `expect` does not hold, and also when the row was written and the answer was lost;
    /// [`AdminError::Defect`] for a grant that the broker would not read back as it is.
    pub async fn put_grant(
        &self,
        identity: &Identity,
        grant: &Grant,
        annotation: &Annotation,
        expect: Expect<'_>,
    ) -> Result<Change, AdminError> {
        let mut item = grant.to_item();
        annotation.write(&mut item)?;
        if Grant::from_item(grant.name.clone(), &item)? != *grant {
            return Err(AdminError::Defect(GrantDefect { attribute: grant.name.to_string(), problem: "would not be read back as it is" }));
        }
        let (partition_key, sort_key) = (identity.partition_key(), grant_sort_key(&grant.name));
        if !size::fits(&partition_key, &sort_key, &item) {
            return Err(AdminError::TooLarge);
        }
        let mut attributes = writable(item.clone())?;
        attributes.extend(key(partition_key, sort_key));
        let mut expression = Expression::default();
        let condition = expect.condition(&mut expression);
        let request = self.client.put_item().table_name(&self.table).set_item(Some(attributes)).set_condition_expression(condition);
        let request = request.set_expression_attribute_names(expression.names()).set_expression_attribute_values(expression.values());
        match request.return_values(ReturnValue::AllOld).send().await {
            Ok(output) => Ok(Change {
                aws_request_id: output.request_id().map(ToOwned::to_owned),
                before: output.attributes.filter(|old| !old.is_empty()).map(Row::from_attributes),
                after: Some(item),
            }),
            Err(SdkError::ServiceError(error)) if matches!(error.err(), PutItemError::ConditionalCheckFailedException(_)) => {
                Err(AdminError::Conflict(expect.refusal()))
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Reads one grant's row, consistently.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn get_grant(&self, identity: &Identity, name: &TargetName) -> Result<Option<Row>, AdminError> {
        self.get(identity, grant_sort_key(name)).await
    }

    /// Reads the subject's own row, consistently.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn get_subject(&self, identity: &Identity) -> Result<Option<Row>, AdminError> {
        self.get(identity, SUBJECT_SORT_KEY.to_owned()).await
    }

    async fn get(&self, identity: &Identity, sort_key: String) -> Result<Option<Row>, AdminError> {
        let request = self.client.get_item().table_name(&self.table).set_key(Some(key(identity.partition_key(), sort_key)));
        let output = request.consistent_read(true).send().await?;
        Ok(output.item.filter(|item| !item.is_empty()).map(Row::from_attributes))
    }

    /// Deletes a grant; nothing has changed when there was none.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn delete_grant(&self, identity: &Identity, name: &TargetName) -> Result<Change, AdminError> {
        let request = self.client.delete_item().table_name(&self.table).set_key(Some(key(identity.partition_key(), grant_sort_key(name))));
        let output = request.return_values(ReturnValue::AllOld).send().await?;
        Ok(Change {
            aws_request_id: output.request_id().map(ToOwned::to_owned),
            before: output.attributes.filter(|old| !old.is_empty()).map(Row::from_attributes),
            after: None,
        })
    }

    /// Lists one subject's rows, its own and its grants, consistently.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn list_subject(&self, identity: &Identity) -> Result<Vec<Row>, AdminError> {
        let mut rows = Vec::new();
        let mut next = None;
        loop {
            let output = self
                .client
                .query()
                .table_name(&self.table)
                .consistent_read(true)
                .key_condition_expression("pk = :pk")
                .expression_attribute_values(":pk", text(identity.partition_key()))
                .set_exclusive_start_key(next)
                .send()
                .await?;
            rows.extend(output.items.unwrap_or_default().into_iter().map(Row::from_attributes));
            next = output.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(rows);
            }
        }
    }

    /// Lists every subject's rows and every group's, a page of at most 1 MB at a time, in no particular order. It reads the whole table.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn list_all(&self, from: Option<Cursor>) -> Result<Page, AdminError> {
        let request = self.client.scan().table_name(&self.table).consistent_read(true);
        let request = request.filter_expression("begins_with(pk, :subject) OR (begins_with(pk, :group) AND sk = :own)");
        let request =
            request.expression_attribute_values(":subject", text("SUBJECT#")).expression_attribute_values(":group", text("GROUP#"));
        let request = request.expression_attribute_values(":own", text(GROUP_SORT_KEY));
        let output = request.set_exclusive_start_key(from.map(|cursor| cursor.0)).send().await?;
        let rows = output.items.unwrap_or_default().into_iter().map(Row::from_attributes);
        Ok(Page {
            rows: rows.flat_map(|row| if row.group.is_some() { group::rows(row) } else { vec![row] }).collect(),
            next: output.last_evaluated_key.filter(|key| !key.is_empty()).map(Cursor),
        })
    }

    /// The rows of other subjects by which they may open the same door as by this grant: nobody should get at somebody else's profile
    /// by mistake. They are grants, and for a user profile also subjects' own rows that name it for what their groups may open. It reads
    /// the whole table (`dynamodb:Scan`, and the cost of that), since rows are found by their subject alone, but of its rows only those
    /// come back that are of the same kind, and for Studio of the same domain, or are subjects'.
    ///
    /// Rows that are no grants are passed over, as the broker passes them over. What is written while it reads may be missed.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn other_owners(&self, identity: &Identity, grant: &Grant) -> Result<Vec<Row>, AdminError> {
        let request = self.client.scan().expression_attribute_names("#kind", "kind");
        let mut request = request.expression_attribute_values(":kind", text(grant.target.kind().as_str()));
        let mut filter = "#kind = :kind".to_owned();
        // Case does not count for names, so they are compared here; a domain's id has none.
        if let [(name, value), _, ..] = grant.target.attributes().as_slice() {
            filter.push_str(" AND #first = :first");
            request = request.expression_attribute_names("#first", *name).expression_attribute_values(":first", text(*value));
        }
        let owns = |row: &Row| {
            row.grant().and_then(Result::ok).is_some_and(|other| other.may_open_the_same_door(grant))
                || row.profiles().is_some_and(|profiles| profiles.may_be(&grant.target))
        };
        self.others(identity, request, &filter, owns).await
    }

    /// The rows of other subjects by which one of these user profiles is or may be theirs, as [`Self::other_owners`] has them.
    ///
    /// # Errors
    /// [`AdminError::Aws`].
    pub async fn other_owners_of_profiles(&self, identity: &Identity, profiles: &Profiles) -> Result<Vec<Row>, AdminError> {
        let request = self.client.scan().expression_attribute_names("#kind", "kind");
        let request = request.expression_attribute_values(":kind", text(Kind::Studio.as_str()));
        let owns = |row: &Row| {
            row.grant().and_then(Result::ok).is_some_and(|other| profiles.may_be(&other.target))
                || row.profiles().is_some_and(|others| others.may_meet(profiles))
        };
        self.others(identity, request, "#kind = :kind", owns).await
    }

    /// Other subjects' rows: those that the filter lets through and subjects' own, of them those that `owns` takes.
    async fn others(
        &self,
        identity: &Identity,
        request: ScanFluentBuilder,
        filter: &str,
        owns: impl Fn(&Row) -> bool,
    ) -> Result<Vec<Row>, AdminError> {
        let partition_key = identity.partition_key();
        let request = request.table_name(&self.table).consistent_read(true);
        let request = request.filter_expression(format!("begins_with(pk, :subject) AND (({filter}) OR sk = :own)"));
        let request = request.expression_attribute_values(":subject", text("SUBJECT#"));
        let request = request.expression_attribute_values(":own", text(SUBJECT_SORT_KEY));
        let (mut owners, mut next) = (Vec::new(), None);
        loop {
            let output = request.clone().set_exclusive_start_key(next).send().await?;
            let rows = output.items.unwrap_or_default().into_iter().map(Row::from_attributes);
            owners.extend(rows.filter(|row| row.partition_key != partition_key && owns(row)));
            next = output.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(owners);
            }
        }
    }

    /// Makes the table (keys `pk` and `sk`, on demand, TTL on `ttl`) and waits until it can be used; for
    /// development. A deployment's table comes from its template.
    ///
    /// A table that is there already stays as it is. Gives back whether one was made.
    ///
    /// # Errors
    /// [`AdminError::Aws`]; [`AdminError::Conflict`] when the table does not become active within a minute.
    pub async fn create_table(&self) -> Result<bool, AdminError> {
        let attribute = |name: &str| AttributeDefinition::builder().attribute_name(name).attribute_type(ScalarAttributeType::S).build();
        let element = |name: &str, key_type: KeyType| KeySchemaElement::builder().attribute_name(name).key_type(key_type).build();
        let created = self
            .client
            .create_table()
            .table_name(&self.table)
            .attribute_definitions(attribute("pk")?)
            .attribute_definitions(attribute("sk")?)
            .key_schema(element("pk", KeyType::Hash)?)
            .key_schema(element("sk", KeyType::Range)?)
            .billing_mode(BillingMode::PayPerRequest)
            .send()
            .await;
        match created {
            Ok(_) => {}
            Err(SdkError::ServiceError(error)) if matches!(error.err(), CreateTableError::ResourceInUseException(_)) => return Ok(false),
            Err(error) => return Err(error.into()),
        }
        self.wait_until_active().await?;
        let ttl = TimeToLiveSpecification::builder().attribute_name("ttl").enabled(true).build()?;
        self.client.update_time_to_live().table_name(&self.table).time_to_live_specification(ttl).send().await?;
        Ok(true)
    }

    async fn wait_until_active(&self) -> Result<(), AdminError> {
        let (pause, looks) = CREATION_POLL;
        for _ in 0..looks {
            let output = self.client.describe_table().table_name(&self.table).send().await?;
            if output.table.and_then(|table| table.table_status) == Some(TableStatus::Active) {
                return Ok(());
            }
            tokio::time::sleep(pause).await;
        }
        Err(AdminError::Conflict("the table was made and is not active after a minute"))
    }
}

fn grant_sort_key(name: &TargetName) -> String {
    format!("{GRANT_SORT_KEY_PREFIX}{name}")
}

fn writable(item: Item) -> Result<Attributes, AdminError> {
    to_attributes(item).map_err(|Unwritable(name)| AdminError::OwnAttribute(name.to_owned()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn own_attributes_are_marked_as_such() {
        let mut annotation = Annotation::at(Timestamp::from_unix_seconds(5));
        annotation.own = Item::from([("x_ticket".to_owned(), Value::S("T-1".to_owned()))]);
        let mut item = Item::new();
        annotation.write(&mut item).unwrap();
        assert_eq!(item["updated_at"], Value::N("5".to_owned()));
        annotation.own = Item::from([("enabled".to_owned(), Value::Bool(true))]);
        assert!(matches!(annotation.write(&mut item), Err(AdminError::OwnAttribute(name)) if name == "enabled"));
    }
}
