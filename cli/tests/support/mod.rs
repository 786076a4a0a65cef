//! What the tests of the command share.

#![allow(dead_code, reason = "each of the tests uses a part of it")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::sync::LazyLock;
use std::time::Duration;

use latchkey_tests::process::Process;
use latchkey_tests::tools::root;
use serde_json::Value;

pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) fn latchkey() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latchkey"));
    // What the person at the keyboard has set for AWS is none of a test's business.
    for (name, _) in std::env::vars_os() {
        if let Some(name) = name.to_str().filter(|name| name.starts_with("AWS_") || name.starts_with("LATCHKEY_")) {
            command.env_remove(name);
        }
    }
    command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null").env("AWS_EC2_METADATA_DISABLED", "true");
    command
}

pub(crate) fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A running `latchkey dev`, and the environment that it wrote.
pub(crate) struct Dev {
    pub(crate) process: Process,
    pub(crate) environment: Vec<(String, String)>,
    pub(crate) folder: tempfile::TempDir,
}

impl Dev {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        let process = Process::start(latchkey().args(["dev", "--port", "0", "--env-file"]).arg(&file).args(arguments));
        process.output().wait(0, PATIENCE, |line| line.contains("Ctrl-C ends it all").then_some(()));
        Self { process, environment: environment(&file), folder }
    }

    /// What stands behind the banner's indentation, on the line that begins so.
    pub(crate) fn printed(&self, begins: &str) -> String {
        self.process.output().wait(0, PATIENCE, |line| line.trim_start().starts_with(begins).then(|| line.trim().to_owned()))
    }

    /// Runs any command against it.
    pub(crate) fn run(&self, arguments: &[&str]) -> (i32, String, String) {
        run(latchkey().envs(self.environment.iter().cloned()).args(arguments))
    }

    pub(crate) fn grants(&self, arguments: &[&str]) -> (i32, String, String) {
        self.run(&[&["grants"], arguments].concat())
    }

    /// Launches as a portal does, by the two commands that `dev` prints, with another user in place of alice.
    pub(crate) fn launch(&self, user: &str) -> Value {
        let token = self.printed("TOKEN=").replace("user=alice", &format!("user={user}"));
        let ask = self.printed("printf 'Authorization: Bearer %s");
        let (code, out, err) = run(Command::new("sh").args(["-euc", &format!("{token}\n{ask}")]));
        assert_eq!((code, err.as_str()), (0, ""), "the printed commands work as they stand");
        serde_json::from_str(&out).unwrap()
    }
}

/// Reads the file as a shell would: `NAME='value'`.
fn environment(file: &Path) -> Vec<(String, String)> {
    let text = std::fs::read_to_string(file).unwrap();
    let quoted = text.lines().map(|line| line.split_once('=').unwrap());
    quoted.map(|(name, value)| (name.to_owned(), value.strip_prefix('\'').unwrap().strip_suffix('\'').unwrap().to_owned())).collect()
}

/// The audit lines of changes, each held to the schema.
#[track_caller]
pub(crate) fn changes(text: &str) -> Vec<Value> {
    static SCHEMA: LazyLock<jsonschema::Validator> = LazyLock::new(|| {
        let schema = std::fs::read_to_string(root().join("docs/change.schema.json")).unwrap();
        jsonschema::draft202012::new(&serde_json::from_str(&schema).unwrap()).unwrap()
    });
    let lines = text.lines().map(|line| {
        let record: Value = serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let errors: Vec<String> = SCHEMA.iter_errors(&record).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{errors:#?}\n{record:#}");
        record
    });
    lines.collect()
}

/// The one line of a command that changed one row.
#[track_caller]
pub(crate) fn change(text: &str) -> Value {
    let mut changes = changes(text);
    assert_eq!(changes.len(), 1, "{text}");
    changes.remove(0)
}
