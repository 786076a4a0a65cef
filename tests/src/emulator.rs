//! A function under the Lambda runtime interface emulator: the front door of the real binary.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use serde_json::Value;

use crate::process::{Output, Process, free_port};
use crate::tools::tool;

/// How long the emulator may take to listen, and an invocation to answer.
const PATIENCE: Duration = Duration::from_secs(30);

/// One execution environment of a function.
pub struct Emulator {
    process: Process,
    url: String,
    agent: ureq::Agent,
}

impl Emulator {
    /// Starts `bootstrap` with exactly these environment variables. Its invocations may take 10 seconds, unless they say otherwise.
    ///
    /// # Panics
    /// When the emulator does not come up.
    pub fn start(bootstrap: &Path, environment: &[(String, String)]) -> Self {
        let emulator = tool(if cfg!(target_arch = "aarch64") { "rie/aws-lambda-rie-arm64" } else { "rie/aws-lambda-rie-x86_64" });
        let (port, runtime_port) = (free_port(), free_port());
        let mut command = Command::new(emulator);
        command
            .args(["--runtime-interface-emulator-address", &format!("127.0.0.1:{port}")])
            .args(["--runtime-api-address", &format!("127.0.0.1:{runtime_port}")])
            .arg(bootstrap)
            .env_clear()
            .env("AWS_LAMBDA_FUNCTION_TIMEOUT", "10")
            .envs(environment.iter().map(|(name, value)| (name, value)));
        let mut process = Process::start(&mut command);
        // It says that it runs a moment before it listens. It listens at the two by turns of its own, and starts the function as soon
        // as it is asked at the first: which may then come for its event before there is anybody at the second, and ends.
        process.wait_for_port(port, PATIENCE);
        process.wait_for_port(runtime_port, PATIENCE);
        let url = format!("http://127.0.0.1:{port}/2015-03-31/functions/function/invocations");
        let agent = ureq::Agent::config_builder().http_status_as_error(false).timeout_global(Some(PATIENCE)).build().into();
        Self { process, url, agent }
    }

    /// Invokes the function with an event and gives back what it returned, as text.
    ///
    /// # Panics
    /// When the emulator does not answer.
    pub fn invoke_raw(&self, event: &[u8]) -> String {
        match self.agent.post(&self.url).send(event) {
            Ok(mut response) => response.body_mut().read_to_string().unwrap(),
            Err(error) => panic!("the emulator does not answer: {error}\n{}", self.process.output().lines().join("\n")),
        }
    }

    /// Invokes the function with an event and gives back the proxy response.
    ///
    /// # Panics
    /// When the function returns anything but a JSON object.
    pub fn invoke(&self, event: &Value) -> Answer {
        let text = self.invoke_raw(event.to_string().as_bytes());
        Answer(serde_json::from_str(&text).unwrap_or_else(|_| panic!("not JSON: {text}\n{}", self.output().lines().join("\n"))))
    }

    /// What the function and the emulator have written.
    pub fn output(&self) -> &Output {
        self.process.output()
    }

    /// The memory that the function's process has in use, in bytes: `VmRSS` of proc(5).
    ///
    /// # Panics
    /// When the system does not tell.
    pub fn resident_bytes(&self) -> u64 {
        let emulator = self.process.id();
        let tasks = std::fs::read_dir(format!("/proc/{emulator}/task")).unwrap();
        // Any of the emulator's threads may have started it.
        let children = tasks.map(|task| std::fs::read_to_string(task.unwrap().path().join("children")).unwrap()).collect::<String>();
        let function = children.split_whitespace().next().expect("the emulator runs a function");
        let status = std::fs::read_to_string(format!("/proc/{function}/status")).unwrap();
        let kilobytes = status.lines().find_map(|line| line.strip_prefix("VmRSS:")?.strip_suffix("kB")).unwrap();
        kilobytes.trim().parse::<u64>().unwrap() * 1024
    }

    /// The audit records so far.
    pub fn records(&self) -> Vec<Value> {
        let records = self.output().lines();
        let records = records.iter().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        records.filter(|record| record["event"] == "latchkey.decision").collect()
    }

    /// The audit record of a request, once it is there.
    ///
    /// # Panics
    /// When it does not come, or comes twice.
    #[track_caller]
    pub fn record_of(&self, request_id: &str) -> Value {
        let is_wanted = |line: &str| {
            let record = serde_json::from_str::<Value>(line).ok()?;
            (record["event"] == "latchkey.decision" && record["request_id"] == request_id).then_some(record)
        };
        let record = self.output().wait(0, PATIENCE, is_wanted);
        let count = self.output().lines().iter().filter_map(|line| is_wanted(line)).count();
        assert_eq!(count, 1, "one record for every decision");
        record
    }
}

/// A proxy response.
#[derive(Clone)]
pub struct Answer(pub Value);

impl Answer {
    /// The status.
    pub fn status(&self) -> u64 {
        self.0["statusCode"].as_u64().unwrap_or_else(|| panic!("no proxy response: {}", self.0))
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.0["headers"].as_object()?.iter().find(|(key, _)| key.eq_ignore_ascii_case(name))?.1.as_str()
    }

    /// The body as JSON; null when there is none.
    pub fn body(&self) -> Value {
        serde_json::from_str(self.0["body"].as_str().unwrap_or_default()).unwrap_or_default()
    }
}
