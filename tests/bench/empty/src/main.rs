//! A function that does nothing: what the broker's own cost is to be seen against.

use lambda_runtime::{Error, LambdaEvent, service_fn};
use serde::de::IgnoredAny;
use serde_json::{Value, json};

fn main() -> Result<(), Error> {
    // As the broker has it: one thread.
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(lambda_runtime::run(service_fn(answer)))
}

async fn answer(_event: LambdaEvent<IgnoredAny>) -> Result<Value, Error> {
    Ok(json!({ "statusCode": 200 }))
}
