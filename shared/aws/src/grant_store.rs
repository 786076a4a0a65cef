//! The table: grants read consistently, uses counted exactly.
//!
//! Keys (`docs/grants.md`), `#` between their parts; an issuer id holds none, so no two things share a key:
//!
//! | item | pk | sk |
//! | --- | --- | --- |
//! | subject | `SUBJECT#<issuer id>#<subject>` | `SUBJECT` |
//! | grant | same | `TARGET#<name>` |
//! | group | `GROUP#<issuer id>#<group>` | `GROUP` |
//! | key set | `JWKS#<issuer id>` | `JWKS` |
//! | uses in a window | `RATE#<issuer id>#<subject>` | `WINDOW#<first second>` |
//! | used token | `TOKEN#<issuer id>#<jti>`, or `TOKEN-SHA256#<issuer id>#<hash>` for a long `jti` | `TOKEN` |

use std::fmt;
use std::ops::Range;
use std::time::Duration;

use aws_sdk_dynamodb::Client;
use aws_sdk_dynamodb::error::SdkError;
use aws_sdk_dynamodb::operation::RequestId as _;
use aws_sdk_dynamodb::operation::put_item::PutItemError;
use aws_sdk_dynamodb::operation::update_item::UpdateItemError;
use aws_sdk_dynamodb::types::builders::KeysAndAttributesBuilder;
use aws_sdk_dynamodb::types::{AttributeValue, KeysAndAttributes, ReturnValuesOnConditionCheckFailure};
use futures_util::future::try_join;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::entitlement::SubjectRecord;
use latchkey_domain::grant::GRANT_SORT_KEY_PREFIX;
use latchkey_domain::group::GROUP_SORT_KEY;
use latchkey_domain::hex::lower_hex;
use latchkey_domain::identity::{Group, Identity};
use latchkey_domain::item::Item;
use latchkey_domain::names::{AccountId, Region, TargetName};
use latchkey_domain::ports::{Admission, Claim, GrantStore, RateLimit, Unavailable, UsageLedger, UsageView};
use latchkey_domain::subject::SUBJECT_SORT_KEY;
use sha2::{Digest as _, Sha256};
use tokio::time::Instant;

use crate::attempts::{self, Policy};
use crate::failure::{Failure, Kind, service_reasons};
use crate::item::{Attributes, from_attributes, key, number, text};

service_reasons! {
    "dynamodb";
    /// A subject has more rows than are read for one request.
    TOO_MANY_ROWS = "dynamodb.too-many-rows";
    /// The item of an issuer's keys is not one.
    KEYS_MALFORMED = "dynamodb.keys-malformed";
}

/// Most pages that are read of one subject's rows, 1 MB each (DynamoDB's limit): some ten thousand grants. A record of which
/// only a part is known cannot be decided on, so more is an error.
pub const MAX_PAGES: usize = 4;

/// How long after its window a counter may be deleted. Nothing reads it any more; an operator may.
const COUNTER_KEPT_SECONDS: i64 = 3600;

/// The longest token id that is part of a key as it is. With the prefix and the issuer that stays far below the 2048 bytes
/// of a partition key.
const LONGEST_PLAIN_TOKEN_ID: usize = 256;

/// Reads, and writes that are safe to repeat: a table answers in milliseconds, so what takes a second hangs.
pub(crate) const REPEATABLE: Policy =
    Policy { attempts: 3, each: Duration::from_secs(1), whole: Duration::from_secs(4), harmless_twice: true };

/// Writes that must not be done twice: tried again only after failures that certainly did nothing (a throttle, no connection).
const ONCE: Policy = Policy { harmless_twice: false, ..REPEATABLE };

/// The table.
#[derive(Clone)]
pub struct Table {
    pub(crate) client: Client,
    pub(crate) name: String,
}

// The client's own `Debug` goes on for pages, down to the access key.
impl fmt::Debug for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Table").field("name", &self.name).finish_non_exhaustive()
    }
}

/// Whether this is a table's name or ARN, either of which DynamoDB takes as `TableName`: names have 3 to 255 of the characters
/// `a-zA-Z0-9_.-`.
pub fn is_table_name(name: &str) -> bool {
    let is_name = |name: &str| (3..=255).contains(&name.len()) && name.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.-".contains(&b));
    let is_arn = |arn: &str| {
        let parts: Vec<&str> = arn.splitn(6, ':').collect();
        let [_, partition, "dynamodb", region, account, resource] = parts[..] else { return false };
        let region = Region::new(region).is_ok_and(|region| region.partition().as_str() == partition);
        region && AccountId::new(account).is_ok() && resource.strip_prefix("table/").is_some_and(is_name)
    };
    if name.starts_with("arn:") { is_arn(name) } else { is_name(name) }
}

impl Table {
    /// The table of that name (or ARN), through a client of [`crate::clients::Clients::dynamodb`].
    pub fn new(client: Client, name: impl Into<String>) -> Self {
        Self { client, name: name.into() }
    }

    /// Reads the subject's own item, one grant, and its groups' items, in one request. Costs the same however many grants there are.
    async fn read_one(&self, identity: &Identity, groups: &[Group], target: &TargetName, deadline: Instant) -> Result<Rows, Failure> {
        let pk = identity.partition_key();
        let grant = format!("{GRANT_SORT_KEY_PREFIX}{target}");
        let keys = KeysAndAttributes::builder().keys(key(pk.as_str(), SUBJECT_SORT_KEY)).keys(key(pk, grant));
        self.read_batch(with_groups(keys, identity, groups), deadline).await
    }

    /// Reads the items of the subject's groups, in one request.
    async fn read_groups(&self, identity: &Identity, groups: &[Group], deadline: Instant) -> Result<Rows, Failure> {
        self.read_batch(with_groups(KeysAndAttributes::builder(), identity, groups), deadline).await
    }

    /// Reads these items consistently: at most 100, as many as one request can have.
    async fn read_batch(&self, keys: KeysAndAttributesBuilder, deadline: Instant) -> Result<Rows, Failure> {
        let keys = keys.consistent_read(true).build().map_err(|_| Failure::new(Kind::NotSent, false))?;
        attempts::run(REPEATABLE, deadline, || {
            let request = self.client.batch_get_item().request_items(&self.name, keys.clone());
            async move {
                let output = request.send().await?;
                // What was left out would read as "no suspension" or "no grant": all or nothing. DynamoDB leaves keys out
                // when it is short of capacity.
                if output.unprocessed_keys().is_some_and(|keys| !keys.is_empty()) {
                    return Err(Failure { request_id: output.request_id().map(ToOwned::to_owned), ..Failure::new(Kind::Throttled, false) });
                }
                // An answer without any list is none of DynamoDB's, and would read as "no suspension" too.
                let Some(responses) = output.responses else { return Err(Failure::malformed(None)) };
                // One table was asked, so there is one list; by whatever name the answer calls the table.
                Ok(responses.into_values().flatten().collect())
            }
        })
        .await
    }

    /// Reads all of the subject's rows.
    async fn read_all(&self, identity: &Identity, deadline: Instant) -> Result<Rows, Unavailable> {
        let pk = identity.partition_key();
        let mut rows = Vec::new();
        let mut next: Option<Attributes> = None;
        for _ in 0..MAX_PAGES {
            let page = attempts::run(REPEATABLE, deadline, || {
                let request = self
                    .client
                    .query()
                    .table_name(&self.name)
                    .consistent_read(true)
                    .key_condition_expression("pk = :pk")
                    .expression_attribute_values(":pk", text(pk.as_str()))
                    .set_exclusive_start_key(next.clone());
                async move {
                    let page = request.send().await?;
                    // DynamoDB lists the items of a page that has none, too. An answer without a list says nothing: taken for no rows
                    // it would lift a suspension, and what a group was granted would open.
                    if page.items.is_some() { Ok(page) } else { Err(Failure::malformed(None)) }
                }
            })
            .await
            .map_err(|failure| failure.into_unavailable(reason))?;
            rows.extend(page.items.unwrap_or_default());
            next = page.last_evaluated_key.filter(|key| !key.is_empty());
            if next.is_none() {
                return Ok(rows);
            }
        }
        Err(Unavailable { reason: TOO_MANY_ROWS, detail: None, aws_request_id: None })
    }

    /// Reads one item by its keys.
    async fn look_at(&self, pk: &str, sk: &str, budget: Duration) -> Result<Option<Attributes>, Unavailable> {
        attempts::run(REPEATABLE, attempts::deadline(budget, REPEATABLE), || {
            let request = self.client.get_item().table_name(&self.name).set_key(Some(key(pk, sk))).consistent_read(true);
            async move { Ok(request.send().await?.item) }
        })
        .await
        .map_err(|failure| failure.into_unavailable(reason))
    }
}

/// Items as they were read.
type Rows = Vec<Attributes>;

/// Adds the keys of the groups' items.
fn with_groups(keys: KeysAndAttributesBuilder, identity: &Identity, groups: &[Group]) -> KeysAndAttributesBuilder {
    groups.iter().fold(keys, |keys, group| keys.keys(key(group.partition_key(&identity.issuer), GROUP_SORT_KEY)))
}

/// Sorts a subject's rows by their sort keys. Rows that are neither the subject's own nor grants are passed over.
fn record(rows: Rows, identity: &Identity, groups: &[Group]) -> Result<SubjectRecord, Failure> {
    let mut subject: Option<Item> = None;
    let mut grants = Vec::with_capacity(rows.len());
    let mut granted = Vec::new();
    for mut row in rows {
        let pk = row.remove("pk");
        let Some(AttributeValue::S(sk)) = row.remove("sk") else { return Err(Failure::malformed(None)) };
        if sk == SUBJECT_SORT_KEY {
            subject = Some(from_attributes(row));
        } else if let Some(name) = sk.strip_prefix(GRANT_SORT_KEY_PREFIX) {
            grants.push((name.to_owned(), from_attributes(row)));
        } else if sk == GROUP_SORT_KEY
            && let Some(group) = groups.iter().find(|group| is_text(pk.as_ref(), &group.partition_key(&identity.issuer)))
        {
            granted.push((group.clone(), from_attributes(row)));
        }
    }
    let record = SubjectRecord::new(subject.as_ref(), grants);
    Ok(if groups.is_empty() { record } else { record.with_groups(subject.as_ref(), granted) })
}

fn is_text(value: Option<&AttributeValue>, text: &str) -> bool {
    matches!(value, Some(AttributeValue::S(value)) if value == text)
}

impl GrantStore for Table {
    async fn read(
        &self,
        identity: &Identity,
        groups: &[Group],
        target: Option<&TargetName>,
        budget: Duration,
    ) -> Result<SubjectRecord, Unavailable> {
        let deadline = attempts::deadline(budget, REPEATABLE);
        let unavailable = |failure: Failure| failure.into_unavailable(reason);
        let rows = match target {
            Some(target) => self.read_one(identity, groups, target, deadline).await.map_err(unavailable)?,
            None if groups.is_empty() => self.read_all(identity, deadline).await?,
            None => {
                // Side by side: the second request costs a request, and no time.
                let of_groups = async { self.read_groups(identity, groups, deadline).await.map_err(unavailable) };
                let (mut rows, of_groups) = Box::pin(try_join(self.read_all(identity, deadline), of_groups)).await?;
                rows.extend(of_groups);
                rows
            }
        };
        record(rows, identity, groups).map_err(unavailable)
    }
}

impl UsageLedger for Table {
    /// Counts with one conditional update, so that the sum over all environments is exact: the limit is never exceeded.
    ///
    /// An update whose answer was lost may have counted. It is not sent again, since that could count one use twice; the
    /// caller gets no URL, and has at worst one fewer in this window.
    async fn count(&self, identity: &Identity, limit: RateLimit, now: Timestamp, budget: Duration) -> Result<Admission, Unavailable> {
        let Range { start, end } = limit.window(now);
        let now = now.unix_seconds();
        let (pk, sk) = counter_key(identity, start);
        attempts::run(ONCE, attempts::deadline(budget, ONCE), || {
            let request = self
                .client
                .update_item()
                .table_name(&self.name)
                .set_key(Some(key(pk.as_str(), sk.as_str())))
                .update_expression("SET #ttl = :ttl ADD #urls :one")
                .condition_expression("attribute_not_exists(#urls) OR #urls < :limit")
                .expression_attribute_names("#ttl", "ttl")
                .expression_attribute_names("#urls", "urls")
                .expression_attribute_values(":ttl", number(end.saturating_add(COUNTER_KEPT_SECONDS)))
                .expression_attribute_values(":one", number(1))
                .expression_attribute_values(":limit", number(limit.urls));
            async move {
                match request.send().await {
                    Ok(_) => Ok(Admission::Admitted),
                    Err(SdkError::ServiceError(error)) if matches!(error.err(), UpdateItemError::ConditionalCheckFailedException(_)) => {
                        Ok(Admission::Limited { retry_after_seconds: u32::try_from(end - now).unwrap_or(u32::MAX).max(1) })
                    }
                    Err(error) => Err(error.into()),
                }
            }
        })
        .await
        .map_err(|failure| failure.into_unavailable(reason))
    }

    /// Marks with one conditional put. The mark carries a random number of this call's own, and a put that finds a mark gets
    /// to see it: an attempt that is repeated after its answer was lost knows its own mark again, and nobody else's.
    ///
    /// Should every attempt go unanswered, the token stays used: no URL was made for it, and its owner needs a new one.
    async fn claim_token(
        &self,
        identity: &Identity,
        token_id: &str,
        now: Timestamp,
        until: Timestamp,
        budget: Duration,
    ) -> Result<Claim, Unavailable> {
        let mut claim = [0; 16];
        aws_lc_rs::rand::fill(&mut claim).map_err(|_| Failure::new(Kind::NotSent, false).into_unavailable(reason))?;
        let claim = lower_hex(&claim);
        let pk = token_key(identity, token_id);
        // Rounded up: a mark never ends before the token does.
        let until = until.unix_millis().saturating_add(999).div_euclid(1000);
        attempts::run(REPEATABLE, attempts::deadline(budget, REPEATABLE), || {
            let request = self
                .client
                .put_item()
                .table_name(&self.name)
                .set_item(Some(key(pk.as_str(), "TOKEN")))
                .item("until", number(until))
                .item("ttl", number(until))
                .item("claim", text(claim.as_str()))
                // TTL deletes late, and is not needed here: a mark that has run out counts as none.
                .condition_expression("attribute_not_exists(pk) OR #until < :now")
                .expression_attribute_names("#until", "until")
                .expression_attribute_values(":now", number(now.unix_seconds()))
                .return_values_on_condition_check_failure(ReturnValuesOnConditionCheckFailure::AllOld);
            let claim = claim.as_str();
            async move {
                match request.send().await {
                    Ok(_) => Ok(Claim::Claimed),
                    Err(error) => match error.as_service_error() {
                        Some(PutItemError::ConditionalCheckFailedException(found)) => {
                            let found = found.item().and_then(|item| item.get("claim"));
                            let own = found.is_some_and(|found| found.as_s().is_ok_and(|found| found == claim));
                            Ok(if own { Claim::Claimed } else { Claim::Replayed })
                        }
                        Some(_) | None => Err(error.into()),
                    },
                }
            }
        })
        .await
        .map_err(|failure| failure.into_unavailable(reason))
    }

    /// Deletes the mark, and never twice: a delete that is repeated after its answer was lost could take away the mark that
    /// another request has set in between.
    async fn release_token(&self, identity: &Identity, token_id: &str, budget: Duration) -> Result<(), Unavailable> {
        let pk = token_key(identity, token_id);
        attempts::run(ONCE, attempts::deadline(budget, ONCE), || {
            let request = self.client.delete_item().table_name(&self.name).set_key(Some(key(pk.as_str(), "TOKEN")));
            async move { Ok(request.send().await.map(drop)?) }
        })
        .await
        .map_err(|failure| failure.into_unavailable(reason))
    }
}

impl UsageView for Table {
    /// Reads the counter with one consistent `GetItem`. One that holds no number counts as used up: so the count's condition has it.
    async fn used(&self, identity: &Identity, limit: RateLimit, now: Timestamp, budget: Duration) -> Result<u32, Unavailable> {
        let (pk, sk) = counter_key(identity, limit.window(now).start);
        let counter = self.look_at(&pk, &sk, budget).await?;
        Ok(match counter.as_ref().and_then(|counter| counter.get("urls")) {
            None => 0,
            Some(urls) => urls.as_n().ok().and_then(|urls| urls.parse().ok()).unwrap_or(u32::MAX),
        })
    }

    /// Reads the mark with one consistent `GetItem`. One without an end stays: so the claim's condition has it.
    async fn is_claimed(&self, identity: &Identity, token_id: &str, now: Timestamp, budget: Duration) -> Result<bool, Unavailable> {
        let Some(mark) = self.look_at(&token_key(identity, token_id), "TOKEN", budget).await? else { return Ok(false) };
        let until = mark.get("until").and_then(|until| until.as_n().ok()).and_then(|until| until.parse::<i64>().ok());
        Ok(until.is_none_or(|until| until >= now.unix_seconds()))
    }
}

/// The keys of an identity's counter for the window that begins with that second.
fn counter_key(identity: &Identity, window_start: i64) -> (String, String) {
    (format!("RATE#{}#{}", identity.issuer, identity.subject), format!("WINDOW#{window_start}"))
}

/// The partition key of a token's mark. Long ids are hashed; the two forms differ before the first `#`, so they cannot meet.
fn token_key(identity: &Identity, token_id: &str) -> String {
    if token_id.len() <= LONGEST_PLAIN_TOKEN_ID {
        format!("TOKEN#{}#{token_id}", identity.issuer)
    } else {
        format!("TOKEN-SHA256#{}#{}", identity.issuer, lower_hex(&Sha256::digest(token_id)))
    }
}

#[cfg(test)]
mod tests {
    use latchkey_domain::identity::{IssuerId, Subject};

    use super::*;

    #[test]
    fn tables_are_called_by_name_or_arn() {
        let arn = "arn:aws:dynamodb:eu-central-1:111122223333:table/";
        for name in ["abc", "latchkey", "A.b_c-9", &"x".repeat(255)] {
            assert!(is_table_name(name) && is_table_name(&format!("{arn}{name}")), "{name}");
        }
        assert!(is_table_name("arn:aws-cn:dynamodb:cn-north-1:111122223333:table/latchkey"));
        for name in ["", "ab", "a b", "a:b:c", "foo/bar", "tisch-ü", &"x".repeat(256), "latchkey\n"] {
            assert!(!is_table_name(name) && !is_table_name(&format!("{arn}{name}")), "{name}");
        }
        for arn in [
            "arn:aws:s3:::bucket",
            "arn:aws:dynamodb:eu-central-1:1:table/latchkey",
            "arn:aws:dynamodb::111122223333:table/latchkey",
            "arn:aws-cn:dynamodb:eu-central-1:111122223333:table/latchkey",
            "arn:aws:dynamodb:eu-central-1:111122223333:latchkey",
            "arn:aws:dynamodb:eu-central-1:111122223333:table/latchkey/index/x",
            "arn:aws:dynamodb",
        ] {
            assert!(!is_table_name(arn), "{arn}");
        }
    }

    #[test]
    fn token_keys_are_apart_and_short() {
        let identity = |issuer: &str| Identity { issuer: IssuerId::new(issuer).unwrap(), subject: Subject::new("s").unwrap() };
        assert_eq!(token_key(&identity("okta"), "a#b"), "TOKEN#okta#a#b");
        let long = "x".repeat(257);
        let hashed = token_key(&identity("okta"), &long);
        assert!(hashed.starts_with("TOKEN-SHA256#okta#") && hashed.len() < 100);
        assert_ne!(hashed, token_key(&identity("okta"), &format!("{long}y")));
        assert_ne!(token_key(&identity("a"), "1"), token_key(&identity("b"), "1"));
        assert!(token_key(&identity(&"i".repeat(32)), &"x".repeat(256)).len() < 2048);
    }

    #[test]
    fn rows_without_a_sort_key_are_not_rows() {
        let jane = Identity { issuer: IssuerId::new("okta").unwrap(), subject: Subject::new("jane").unwrap() };
        assert!(record(vec![Attributes::new()], &jane, &[]).is_err());
        assert!(record(vec![Attributes::from([("sk".to_owned(), text("SUBJECT"))])], &jane, &[]).is_ok());
    }

    #[test]
    fn reasons_are_apart() {
        let texts: std::collections::HashSet<&str> = REASONS.iter().map(|reason| reason.0).collect();
        assert_eq!(texts.len(), REASONS.len());
        assert!(texts.iter().all(|text| text.starts_with("dynamodb.")));
    }
}
