//! moto: a DynamoDB that shares nothing with the embedded engine, and IAM, of which it ignores what policies say.

use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::Process;
use crate::tools::{root, tool};

/// How long it may take to listen: it is a large Python program.
const PATIENCE: Duration = Duration::from_secs(60);

/// A running moto, with an empty account.
pub struct Moto {
    _process: Process,
    url: String,
}

impl Moto {
    /// Starts it.
    ///
    /// # Panics
    /// When it does not come up.
    pub fn start() -> Self {
        let process = Process::start(Command::new(tool("python/bin/python")).arg(root().join("tests/tools/moto_server")));
        let url = process.output().wait(0, PATIENCE, |line| {
            let line: Value = serde_json::from_str(line).ok()?;
            Some(line["url"].as_str()?.to_owned())
        });
        Self { _process: process, url }
    }

    /// The endpoint for each of its services.
    pub fn endpoint(&self) -> &str {
        &self.url
    }
}
