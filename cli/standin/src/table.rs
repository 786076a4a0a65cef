//! The DynamoDB engine: dynoxide, on loopback, in memory or in a directory.
//!
//! It runs on a thread and a runtime of its own. Its storage blocks while it reads and writes, which would hold up whatever
//! shared the runtime; and when its runtime goes, every connection goes with it and the database file is closed.
//!
//! What it leaves out: signatures are read and not verified, and `ttl` never deletes an item, which the broker must not
//! rely on anyway.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::PathBuf;
use std::thread::JoinHandle;
use std::time::Duration;

use dynoxide::Database;
use tokio::sync::oneshot;

/// How long requests under way may take to finish when the engine is asked to stop.
const GRACE: Duration = Duration::from_millis(500);

/// Where the items are.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Store {
    /// In memory: gone with the engine.
    Memory,
    /// In a file in this directory, which is made where it is missing.
    Directory(PathBuf),
}

/// Why the engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum TableError {
    /// The port is taken, or the directory cannot be made.
    #[error("the table engine cannot start: {0}")]
    Io(#[from] std::io::Error),
    /// The database cannot be opened.
    #[error("the table engine cannot open its database: {0}")]
    Database(String),
    /// The directory's name is not UTF-8, which the engine asks for.
    #[error("the data directory's name is not UTF-8")]
    Path,
}

/// A running engine. Dropped, it stops.
#[derive(Debug)]
pub struct Table {
    address: SocketAddr,
    /// Sends whether requests under way may finish.
    stop: Option<oneshot::Sender<bool>>,
    thread: Option<JoinHandle<()>>,
}

impl Table {
    /// Starts the engine on 127.0.0.1; port 0 is any free one.
    ///
    /// # Errors
    /// The port is taken, or the database cannot be opened.
    pub fn start(port: u16, store: &Store) -> Result<Self, TableError> {
        let failed = |error: dynoxide::DynoxideError| TableError::Database(error.to_string());
        let database = match store {
            Store::Memory => Database::memory().map_err(failed)?,
            Store::Directory(directory) => {
                std::fs::create_dir_all(directory)?;
                Database::new(directory.join("latchkey.sqlite").to_str().ok_or(TableError::Path)?).map_err(failed)?
            }
        };
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, port))?;
        listener.set_nonblocking(true)?;
        let address = listener.local_addr()?;
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = oneshot::channel();
        let thread = std::thread::Builder::new().name("latchkey-table".to_owned()).spawn(move || {
            runtime.block_on(serve(listener, database, stopped));
            // Ends the connections that are left, each with its handle to the database.
            drop(runtime);
        })?;
        Ok(Self { address, stop: Some(stop), thread: Some(thread) })
    }

    /// Where it listens.
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// The endpoint for DynamoDB.
    pub fn endpoint(&self) -> String {
        format!("http://{}", self.address)
    }

    /// Stops, and returns once nothing is left running and the database is closed.
    pub async fn shutdown(mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(true);
        }
        if let Some(thread) = self.thread.take() {
            // The thread ends within the grace; an error would be a panic in it, and it has ended then too.
            let _ = tokio::task::spawn_blocking(move || thread.join()).await;
        }
    }
}

impl Drop for Table {
    fn drop(&mut self) {
        if let Some(stop) = self.stop.take() {
            let _ = stop.send(false);
        }
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

async fn serve(listener: TcpListener, database: Database, stopped: oneshot::Receiver<bool>) {
    let Ok(listener) = tokio::net::TcpListener::from_std(listener) else { return };
    let (begin, begun) = oneshot::channel::<()>();
    let serving = dynoxide::server::serve_with_shutdown(listener, database, async {
        let _ = begun.await;
    });
    tokio::pin!(serving);
    let graceful = tokio::select! {
        _ = serving.as_mut() => return,
        graceful = stopped => graceful.unwrap_or(false),
    };
    drop(begin);
    if graceful {
        let _ = tokio::time::timeout(GRACE, serving).await;
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::server::client::{request, send};

    /// One DynamoDB call, with credentials that nobody checks.
    async fn call(table: &Table, action: &str, input: &Value) -> (u16, Value) {
        let headers = [
            ("content-type", "application/x-amz-json-1.0"),
            ("x-amz-target", &*format!("DynamoDB_20120810.{action}")),
            ("x-amz-date", "20260131T120000Z"),
            (
                "authorization",
                "AWS4-HMAC-SHA256 Credential=AKIDEXAMPLE/20260131/eu-central-1/dynamodb/aws4_request, \
                 SignedHeaders=host;x-amz-date, Signature=0",
            ),
        ];
        let reply = send(table.address(), request("POST", "/", &table.address().to_string(), &headers, &input.to_string())).await.unwrap();
        (reply.status, reply.json())
    }

    fn schema() -> Value {
        json!({
            "TableName": "latchkey",
            "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [
                { "AttributeName": "pk", "AttributeType": "S" },
                { "AttributeName": "sk", "AttributeType": "S" },
            ],
            "KeySchema": [{ "AttributeName": "pk", "KeyType": "HASH" }, { "AttributeName": "sk", "KeyType": "RANGE" }],
        })
    }

    #[tokio::test]
    async fn it_does_what_the_broker_asks_of_a_table() {
        let table = Table::start(0, &Store::Memory).unwrap();
        assert_eq!(call(&table, "CreateTable", &schema()).await.0, 200);
        let (status, again) = call(&table, "CreateTable", &schema()).await;
        assert_eq!(status, 400);
        assert!(again["__type"].as_str().unwrap().ends_with("ResourceInUseException"), "{again}");
        let (status, described) = call(&table, "DescribeTable", &json!({ "TableName": "latchkey" })).await;
        assert_eq!((status, &described["Table"]["TableStatus"]), (200, &json!("ACTIVE")));
        assert_eq!(described["Table"]["BillingModeSummary"]["BillingMode"], "PAY_PER_REQUEST");
        let ttl = json!({ "TableName": "latchkey", "TimeToLiveSpecification": { "AttributeName": "ttl", "Enabled": true } });
        assert_eq!(call(&table, "UpdateTimeToLive", &ttl).await.0, 200);
        let (_, ttl) = call(&table, "DescribeTimeToLive", &json!({ "TableName": "latchkey" })).await;
        assert!(ttl["TimeToLiveDescription"]["TimeToLiveStatus"].as_str().unwrap().starts_with("ENABL"), "{ttl}");

        let pk = "SUBJECT#local#demo-alice";
        for (sk, more) in [
            ("SUBJECT", json!({ "status": { "S": "active" } })),
            ("TARGET#research", json!({ "kind": { "S": "studio" }, "enabled": { "BOOL": true } })),
            (
                "TARGET#risk",
                json!({ "kind": { "S": "studio" }, "landings": { "M": { "lab": { "M": { "landing_uri": { "S": "studio::" } } } } } }),
            ),
        ] {
            let mut item = json!({ "pk": { "S": pk }, "sk": { "S": sk } });
            item.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            assert_eq!(call(&table, "PutItem", &json!({ "TableName": "latchkey", "Item": item })).await.0, 200);
        }

        let key = |sk: &str| json!({ "pk": { "S": pk }, "sk": { "S": sk } });
        let batch = json!({ "RequestItems": { "latchkey": {
            "Keys": [key("SUBJECT"), key("TARGET#research"), key("TARGET#none")], "ConsistentRead": true,
        } } });
        let (status, found) = call(&table, "BatchGetItem", &batch).await;
        assert_eq!((status, found["Responses"]["latchkey"].as_array().unwrap().len()), (200, 2));
        assert_eq!(found["UnprocessedKeys"], json!({}));

        let query = json!({
            "TableName": "latchkey", "ConsistentRead": true,
            "KeyConditionExpression": "pk = :pk AND begins_with(sk, :prefix)",
            "ExpressionAttributeValues": { ":pk": { "S": pk }, ":prefix": { "S": "TARGET#" } },
        });
        let (status, found) = call(&table, "Query", &query).await;
        assert_eq!((status, &found["Count"]), (200, &json!(2)));

        // The rate limit: count up while below the limit.
        let count = json!({
            "TableName": "latchkey", "Key": { "pk": { "S": "RATE#local#demo-alice" }, "sk": { "S": "1000" } },
            "UpdateExpression": "ADD #n :one SET #ttl = :ttl",
            "ConditionExpression": "attribute_not_exists(#n) OR #n < :limit",
            "ExpressionAttributeNames": { "#n": "n", "#ttl": "ttl" },
            "ExpressionAttributeValues": { ":one": { "N": "1" }, ":limit": { "N": "2" }, ":ttl": { "N": "1" } },
            "ReturnValues": "UPDATED_NEW",
        });
        assert_eq!(call(&table, "UpdateItem", &count).await.1["Attributes"]["n"], json!({ "N": "1" }));
        assert_eq!(call(&table, "UpdateItem", &count).await.1["Attributes"]["n"], json!({ "N": "2" }));
        let (status, full) = call(&table, "UpdateItem", &count).await;
        assert_eq!(status, 400);
        assert!(full["__type"].as_str().unwrap().ends_with("ConditionalCheckFailedException"), "{full}");
        // A `ttl` long past deletes nothing.
        let counter = json!({ "TableName": "latchkey", "Key": { "pk": { "S": "RATE#local#demo-alice" }, "sk": { "S": "1000" } } });
        assert_eq!(call(&table, "GetItem", &counter).await.1["Item"]["n"], json!({ "N": "2" }));

        // The replay guard: put unless it is there.
        let mark = json!({
            "TableName": "latchkey", "Item": { "pk": { "S": "JTI#local#1" }, "sk": { "S": "JTI" } },
            "ConditionExpression": "attribute_not_exists(pk)",
        });
        assert_eq!(call(&table, "PutItem", &mark).await.0, 200);
        assert_eq!(call(&table, "PutItem", &mark).await.0, 400);
        table.shutdown().await;
    }

    #[tokio::test]
    async fn concurrent_conditional_writes_are_exact() {
        let table = std::sync::Arc::new(Table::start(0, &Store::Memory).unwrap());
        call(&table, "CreateTable", &schema()).await;
        let mut tasks = tokio::task::JoinSet::new();
        for _ in 0..40 {
            let table = std::sync::Arc::clone(&table);
            tasks.spawn(async move {
                let count = json!({
                    "TableName": "latchkey", "Key": { "pk": { "S": "RATE" }, "sk": { "S": "0" } },
                    "UpdateExpression": "ADD n :one", "ConditionExpression": "attribute_not_exists(n) OR n < :limit",
                    "ExpressionAttributeValues": { ":one": { "N": "1" }, ":limit": { "N": "20" } },
                });
                call(&table, "UpdateItem", &count).await.0 == 200
            });
        }
        assert_eq!(tasks.join_all().await.into_iter().filter(|&counted| counted).count(), 20);
    }

    #[tokio::test]
    async fn a_directory_outlives_the_engine() {
        let directory = tempfile::tempdir().unwrap();
        let store = Store::Directory(directory.path().join("data"));
        let table = Table::start(0, &store).unwrap();
        call(&table, "CreateTable", &schema()).await;
        let item = json!({ "TableName": "latchkey", "Item": { "pk": { "S": "a" }, "sk": { "S": "b" } } });
        assert_eq!(call(&table, "PutItem", &item).await.0, 200);
        table.shutdown().await;

        let table = Table::start(0, &store).unwrap();
        let key = json!({ "TableName": "latchkey", "Key": { "pk": { "S": "a" }, "sk": { "S": "b" } } });
        assert_eq!(call(&table, "GetItem", &key).await.1["Item"]["pk"], json!({ "S": "a" }));
        let address = table.address();
        drop(table);
        assert!(tokio::net::TcpStream::connect(address).await.is_err());
    }

    #[tokio::test]
    async fn a_connection_that_says_nothing_does_not_hold_it_up() {
        let table = Table::start(0, &Store::Memory).unwrap();
        let silent = tokio::net::TcpStream::connect(table.address()).await.unwrap();
        silent.writable().await.unwrap();
        silent.try_write(b"POST / HTTP/1.1\r\nhost: x\r\ncontent-length: 10\r\n\r\n{").unwrap();
        tokio::time::sleep(Duration::from_millis(50)).await;
        tokio::time::timeout(Duration::from_secs(5), table.shutdown()).await.unwrap();
    }
}
