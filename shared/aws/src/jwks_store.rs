//! Issuers' key sets in the table, where a refresher keeps them.

use std::time::Duration;

use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::types::AttributeValue;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Unavailable;
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotKeeper, SnapshotStore};

use crate::attempts;
use crate::grant_store::{KEYS_MALFORMED, REPEATABLE, Table, reason};
use crate::item::{Attributes, key, number, text};

/// Sort key of an issuer's keys.
pub const KEYS_SORT_KEY: &str = "JWKS";

/// By how much the clocks of two refreshers may differ. A set that is later than that is none.
const CLOCKS_DIFFER_SECONDS: i64 = 300;

/// The partition key of an issuer's keys.
pub fn keys_partition_key(issuer: &IssuerId) -> String {
    format!("JWKS#{issuer}")
}

impl SnapshotStore for Table {
    /// Reads `jwks` (S) and `fetched_at` (N, epoch seconds) with one consistent `GetItem`.
    async fn load(&self, issuer: &IssuerId, budget: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        let pk = keys_partition_key(issuer);
        let output = attempts::run(REPEATABLE, attempts::deadline(budget, REPEATABLE), || {
            let request = self
                .client
                .get_item()
                .table_name(&self.name)
                .set_key(Some(key(pk.as_str(), KEYS_SORT_KEY)))
                .consistent_read(true)
                .projection_expression("jwks, fetched_at");
            async move { Ok(request.send().await?) }
        })
        .await
        .map_err(|failure| failure.into_unavailable(reason))?;
        output.item.map(snapshot).transpose()
    }
}

impl SnapshotKeeper for Table {
    /// Writes `jwks`, `fetched_at` and `source` with one conditional `PutItem`.
    async fn save(&self, issuer: &IssuerId, snapshot: &KeySnapshot, source: &str, budget: Duration) -> Result<bool, Unavailable> {
        let pk = keys_partition_key(issuer);
        attempts::run(REPEATABLE, attempts::deadline(budget, REPEATABLE), || {
            let request = self
                .client
                .put_item()
                .table_name(&self.name)
                .set_item(Some(key(pk.as_str(), KEYS_SORT_KEY)))
                .item("jwks", text(snapshot.jwks.as_str()))
                .item("fetched_at", number(snapshot.fetched_at.unix_seconds()))
                .item("source", text(source))
                // The same moment again is this very write, repeated after its answer was lost. A moment that has not come yet, or
                // none at all, is whoever's mistake: left alone, it would keep every later set out.
                .condition_expression(
                    "attribute_not_exists(pk) OR fetched_at <= :fetched_at OR fetched_at > :future OR NOT attribute_type(fetched_at, :number)",
                )
                .expression_attribute_values(":fetched_at", number(snapshot.fetched_at.unix_seconds()))
                .expression_attribute_values(":future", number(snapshot.fetched_at.unix_seconds().saturating_add(CLOCKS_DIFFER_SECONDS)))
                .expression_attribute_values(":number", text("N"));
            async move {
                match request.send().await {
                    Ok(_) => Ok(true),
                    Err(SdkError::ServiceError(error)) if matches!(error.err(), PutItemError::ConditionalCheckFailedException(_)) => {
                        Ok(false)
                    }
                    Err(error) => Err(error.into()),
                }
            }
        })
        .await
        .map_err(|failure| failure.into_unavailable(reason))
    }
}

fn snapshot(mut item: Attributes) -> Result<KeySnapshot, Unavailable> {
    let malformed = |attribute: &str| Unavailable { reason: KEYS_MALFORMED, detail: Some(attribute.to_owned()), aws_request_id: None };
    let Some(AttributeValue::S(jwks)) = item.remove("jwks") else { return Err(malformed("jwks")) };
    match item.remove("fetched_at") {
        Some(AttributeValue::N(seconds)) => match seconds.parse() {
            Ok(seconds) => Ok(KeySnapshot { jwks, fetched_at: Timestamp::from_unix_seconds(seconds) }),
            Err(_) => Err(malformed("fetched_at")),
        },
        _ => Err(malformed("fetched_at")),
    }
}
