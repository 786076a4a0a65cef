//! Items put into a table by requests that are written out here, past the adapters and the SDK under them: by hand, so to say.

use latchkey_domain::item::{Item, Value};
use serde_json::{Map, json};

/// A table, by the endpoint of its engine.
pub struct RawTable {
    url: String,
    table: String,
    agent: ureq::Agent,
}

impl RawTable {
    /// The table of that name.
    pub fn new(url: &str, table: &str) -> Self {
        let agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
        Self { url: url.to_owned(), table: table.to_owned(), agent }
    }

    /// Puts an item under these keys. It blocks.
    ///
    /// # Panics
    /// When the engine does not take it.
    pub fn put(&self, pk: &str, sk: &str, mut item: Item) {
        item.insert("pk".to_owned(), Value::S(pk.to_owned()));
        item.insert("sk".to_owned(), Value::S(sk.to_owned()));
        let body = json!({ "TableName": self.table, "Item": attributes(&item) });
        // Neither engine verifies a signature; both read the region out of it.
        let authorization = "AWS4-HMAC-SHA256 Credential=AKIAEXAMPLE/20260131/eu-central-1/dynamodb/aws4_request, \
             SignedHeaders=host;x-amz-date, Signature=0";
        let request = self
            .agent
            .post(&self.url)
            .header("content-type", "application/x-amz-json-1.0")
            .header("x-amz-target", "DynamoDB_20120810.PutItem")
            .header("x-amz-date", "20260131T120000Z")
            .header("authorization", authorization);
        let mut answer = request.send(body.to_string()).unwrap();
        let (status, text) = (answer.status(), answer.body_mut().read_to_string().unwrap());
        assert_eq!(status, 200, "{text}");
    }
}

fn attributes(item: &Item) -> serde_json::Value {
    item.iter().map(|(name, value)| (name.clone(), attribute(value))).collect::<Map<_, _>>().into()
}

fn attribute(value: &Value) -> serde_json::Value {
    match value {
        Value::S(text) => json!({ "S": text }),
        Value::N(number) => json!({ "N": number }),
        Value::Bool(truth) => json!({ "BOOL": truth }),
        Value::M(item) => json!({ "M": attributes(item) }),
        Value::L(list) => json!({ "L": list.iter().map(attribute).collect::<Vec<_>>() }),
        Value::Other(name) => panic!("nothing of type {name} is put by hand"),
    }
}
