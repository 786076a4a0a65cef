//! The command as people and scripts use it: what it prints, its exit codes, and that what it prints works.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::Path;
use std::process::{Command, Output, Stdio};
use std::time::Duration;

use latchkey_tests::process::Process;
use serde_json::Value;

const PATIENCE: Duration = Duration::from_secs(60);

fn latchkey() -> Command {
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

fn run(command: &mut Command) -> (i32, String, String) {
    let Output { status, stdout, stderr } = command.stdin(Stdio::null()).output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

/// A running `latchkey dev`, and the environment that it wrote.
struct Dev {
    process: Process,
    environment: Vec<(String, String)>,
    folder: tempfile::TempDir,
}

impl Dev {
    fn start(arguments: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("env");
        let process = Process::start(latchkey().args(["dev", "--port", "0", "--env-file"]).arg(&file).args(arguments));
        process.output().wait(0, PATIENCE, |line| line.contains("Ctrl-C ends it all").then_some(()));
        Self { process, environment: environment(&file), folder }
    }

    /// What stands behind the banner's indentation, on the line that begins so.
    fn printed(&self, begins: &str) -> String {
        self.process.output().wait(0, PATIENCE, |line| line.trim_start().starts_with(begins).then(|| line.trim().to_owned()))
    }

    fn grants(&self, arguments: &[&str]) -> (i32, String, String) {
        run(latchkey().envs(self.environment.iter().cloned()).arg("grants").args(arguments))
    }

    /// Launches as a portal does, by the two commands that `dev` prints, with another user in place of alice.
    fn launch(&self, user: &str) -> Value {
        let token = self.printed("TOKEN=").replace("user=alice", &format!("user={user}"));
        let ask = self.printed("curl -sS -X POST");
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

const DAVE: [&str; 4] = ["--issuer", "local", "--subject", "demo-dave"];
const STUDIO: [&str; 8] = ["--target", "lab", "--kind", "studio", "--domain-id", "d-demoresearch", "--external-id", "latchkey-demo"];

#[test]
fn demo_shows_a_launch_and_a_refusal_and_no_secret() {
    let (code, out, err) = run(latchkey().arg("demo"));
    assert_eq!((code, err.as_str()), (0, ""));
    let mut rest = out.as_str();
    for step in ["token accepted", "grant found", "role session opened", "URL minted", "page opened, as was granted", "refused", "audited"]
    {
        rest = rest.split_once(step).unwrap_or_else(|| panic!("no {step} in {out}")).1;
    }
    assert!(out.contains("/auth?(redacted)") && !out.contains("eyJ"));
    assert!(!out.to_lowercase().contains("token="), "{out}");
}

#[test]
fn demo_opens_every_kind() {
    for (kind, target, resource) in [
        ("studio", "research", "user-profile/d-demoresearch/alice"),
        ("notebook", "notebook", "notebook-instance/research-frank"),
        ("mlflow-server", "mlflow-server", "mlflow-tracking-server/experiments"),
        ("mlflow-app", "mlflow-app", "mlflow-app/"),
        ("partner-app", "partner-app", "partner-app/app-"),
    ] {
        let (code, out, err) = run(latchkey().args(["demo", "--kind", kind, "--json"]));
        assert_eq!((code, err.as_str()), (0, ""), "{kind}: {out}");
        let steps: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let facts = |name: &str| &steps.iter().find(|step| step["step"] == name).unwrap_or_else(|| panic!("no {name} in {out}"))["facts"];
        assert_eq!(facts("grant found")["target"], target);
        for (step, fact) in [("grant found", "opens"), ("page opened, as was granted", "resource")] {
            assert!(facts(step)[fact].as_str().unwrap().contains(resource), "{kind}: {out}");
        }
        assert!(!out.to_lowercase().contains("token="), "{out}");
        // AWS fixes a notebook's five minutes; for the others the broker does.
        let lives = if kind == "notebook" { "300 s;" } else { "30 s;" };
        assert!(facts("URL minted")["opens for"].as_str().unwrap().starts_with(lives), "{out}");
    }
    let (code, _, err) = run(latchkey().args(["demo", "--kind", "terminal"]));
    assert!(code == 2 && err.contains("mlflow-server"), "{err}");
}

#[test]
fn dev_prints_commands_that_work_as_they_stand() {
    let dev = Dev::start(&[]);
    let answer = dev.launch("alice");
    assert_eq!((answer["target"].as_str(), answer["expires_in_seconds"].as_u64()), (Some("research"), Some(30)));
    // The URL opens in what every browser and curl know: *.localhost is this machine.
    let url = answer["url"].as_str().unwrap();
    let open = || run(Command::new("curl").args(["-sS", "-H", "Accept: application/json", "-w", "\n%{http_code}", url]));
    let (code, page, _) = open();
    let (page, status) = page.rsplit_once('\n').unwrap();
    assert_eq!((code, status), (0, "200"));
    assert_eq!(serde_json::from_str::<Value>(page).unwrap()["user_profile_name"], "alice");
    assert!(open().1.ends_with("403"), "once");
    assert_eq!(dev.launch("carol")["code"], "not-entitled");
    assert_eq!(dev.launch("dave")["code"], "not-entitled");
    // Each decision is a line; none holds a secret. They come through a pipe, and are waited for.
    dev.process.output().wait(0, PATIENCE, |line| line.contains("demo-dave").then_some(()));
    let lines = dev.process.output().lines();
    assert_eq!(lines.iter().filter(|line| line.contains("latchkey.decision")).count(), 3);
    let secret = url.split_once("token=").unwrap().1;
    assert!(lines.iter().all(|line| !line.contains(secret) && !line.contains("eyJ")));
}

#[test]
fn grants_are_written_read_and_deleted() {
    let dev = Dev::start(&[]);
    let put =
        |profile: &str, more: &[&str]| dev.grants(&[&["put"], &DAVE[..], &STUDIO[..], &["--user-profile-name", profile], more].concat());
    let get = || dev.grants(&[&["get", "--json", "--target", "lab"], &DAVE[..]].concat());

    assert_eq!(get().0, 1, "there is none yet");
    assert_eq!(dev.launch("dave")["code"], "not-entitled");
    // The profile is erin's already: nobody gets at it by mistake.
    for profile in ["erin", "ERIN"] {
        let (code, out, err) = put(profile, &[]);
        assert_eq!((code, err.as_str()), (1, ""));
        assert!(
            out.contains("is or may be somebody else's already")
                && out.contains("local demo-erin (target research)")
                && out.contains("--shared"),
            "{out}"
        );
    }
    assert_eq!(get().0, 1, "nothing was written");
    let (_, out, _) = put("erin", &["--json"]);
    let refused: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((refused["done"].as_str(), refused["owners"][0]["subject"].as_str()), (Some("refused"), Some("demo-erin")));
    let (code, out, err) = put("erin", &["--shared", "--note", "for the test", "--url-seconds", "10"]);
    assert_eq!((code, out.trim(), err.as_str()), (0, "lab written", ""));
    let (code, out, _) = get();
    let row: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, row["state"].as_str(), row["attributes"]["note"].as_str()), (0, Some("open"), Some("for the test")));
    let answer = dev.launch("dave");
    assert_eq!((answer["target"].as_str(), answer["expires_in_seconds"].as_u64()), (Some("lab"), Some(10)));

    // A second put replaces, or refuses to.
    assert_eq!(put("erin", &["--shared", "--new"]).0, 1);
    // What is open already may be renewed, and anything may be closed, without saying so again.
    assert_eq!(put("erin", &["--expires-at", "1900000000"]).1.trim(), "lab replaced");
    assert_eq!(put("ERIN", &["--disabled"]).1.trim(), "lab replaced");
    assert_eq!(put("erin", &[]).0, 1, "opened anew, it is looked at anew");
    assert_eq!(dev.launch("dave")["code"], "not-entitled");

    let (code, out, _) = dev.grants(&["list"]);
    assert_eq!(code, 0);
    for shown in ["demo-alice", "demo-bob", "d-demorisk/bob", "suspended", "disabled", "expired"] {
        assert!(out.contains(shown), "{shown} is not in\n{out}");
    }
    let carols = out.lines().filter(|line| line.contains("demo-carol"));
    assert!(carols.clone().count() == 2 && carols.into_iter().all(|line| line.contains("suspended")), "her own row and her grant");
    let (_, out, _) = dev.grants(&["list", "--issuer", "local", "--subject", "demo-carol", "--json"]);
    let states: Vec<Value> = out.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(states.len() == 2 && states.iter().all(|row| row["state"] == "suspended"));

    assert_eq!(dev.grants(&[&["delete", "--target", "lab"], &DAVE[..]].concat()).0, 0);
    assert_eq!(dev.grants(&[&["delete", "--target", "lab"], &DAVE[..]].concat()).0, 1);
    assert_eq!(get().0, 1);
}

#[test]
fn what_is_not_a_grant_is_not_written() {
    let dev = Dev::start(&[]);
    for (more, says) in [
        (&["--user-profile-name", "dave@example.com"][..], "user_profile_name: "),
        (&["--user-profile-name", "dave", "--url-seconds", "301"], "url_seconds: "),
        (&["--user-profile-name", "dave", "--landing", "nowhere"], "landing: "),
        (&["--user-profile-name", "dave", "--account-id", "12"], "account_id: "),
        (&[], "user_profile_name: is missing"),
    ] {
        let (code, out, err) = dev.grants(&[&["put"], &DAVE[..], &STUDIO[..], more].concat());
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(err.starts_with("latchkey: ") && err.contains(says) && err.trim().lines().count() == 1, "{err}");
    }
    assert_eq!(dev.grants(&[&["get", "--target", "lab"], &DAVE[..]].concat()).0, 1);
    // Usage is 2, and says what is missing.
    for arguments in
        [&["put"][..], &["get", "--issuer", "Local", "--subject", "x", "--target", "y"], &["list", "--subject", "x"], &["copy"]]
    {
        let (code, _, err) = dev.grants(arguments);
        assert_eq!((code, err.contains("Usage:") || err.contains("error:")), (2, true), "{arguments:?}");
    }
}

#[test]
fn a_table_in_a_folder_is_kept() {
    let folder = tempfile::tempdir().unwrap();
    let kept = folder.path().to_str().unwrap();
    {
        let dev = Dev::start(&["--data-dir", kept]);
        let put = [&["put", "--shared"], &DAVE[..], &STUDIO[..], &["--user-profile-name", "erin"]].concat();
        assert_eq!(dev.grants(&put).0, 0);
    }
    let dev = Dev::start(&["--data-dir", kept]);
    assert_eq!(dev.launch("dave")["target"], "lab");
    assert_eq!(dev.launch("alice")["target"], "research");
}

#[test]
fn keys_are_fetched_into_the_table_and_shown() {
    let dev = Dev::start(&[]);
    let banner = dev.process.output().lines();
    let idp = banner.iter().find(|line| line.contains("the OpenID issuer")).unwrap().split_whitespace().next().unwrap();
    let issuers = format!(
        r#"[{{"id":"local","issuer":"{idp}","audiences":["a"]}},{{"id":"gone","issuer":"http://127.0.0.1:9","audiences":["a"]}},
            {{"id":"direct","issuer":"{idp}/x","audiences":["a"],"jwks":{{"source":"url"}}}}]"#
    );
    let file = dev.folder.path().join("issuers.json");
    std::fs::write(&file, &issuers).unwrap();
    let keys = |arguments: &[&str]| {
        run(latchkey().envs(dev.environment.iter().cloned()).env_remove("LATCHKEY_ISSUERS").arg("keys").args(arguments))
    };
    let file = file.to_str().unwrap();

    let (code, out, _) = keys(&["show", "--issuer", "local"]);
    assert!(code == 1 && out.contains("no keys of local") && out.contains("keys refresh"), "{out}");

    // One of them cannot be had: it is said, the other is kept all the same, and the exit code tells.
    let (code, out, err) = keys(&["refresh", "--issuers-file", file]);
    assert_eq!((code, err.as_str()), (1, ""));
    assert!(out.contains("local kept ") && out.contains(&format!("{idp}/")), "{out}");
    assert!(out.contains("gone failed: keys.discovery-connect") && out.contains("nothing that can be read"), "{out}");
    assert!(!out.contains("direct"), "its keys do not come from the table");
    let (code, out, _) = keys(&["refresh", "--issuers-file", file, "--issuer", "local", "--json"]);
    let record: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, record["event"].as_str(), record["outcome"].as_str()), (0, Some("latchkey.keys"), Some("kept")));

    // The file goes before the variable.
    let both = run(latchkey().envs(dev.environment.iter().cloned()).args(["keys", "refresh", "--issuers-file", file, "--issuer", "local"]));
    assert!(both.0 == 0 && both.1.contains("local kept "), "{both:?}");

    let (code, out, _) = keys(&["show", "--issuer", "local", "--json"]);
    let shown: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, shown["usable"].as_bool()), (0, Some(true)));
    let ids: Vec<&Value> = shown["keys"].as_array().unwrap().iter().map(|key| &key["key_id"]).collect();
    assert_eq!(record["key_ids"].as_array().unwrap().iter().collect::<Vec<_>>(), ids);
    assert!(shown["age_seconds"].as_u64().unwrap() < 60);
    let (code, out, _) = keys(&["show", "--issuer", "local"]);
    assert!(code == 0 && out.contains(" for RS256"), "{out}");

    for (arguments, code, says) in [
        (&["refresh", "--issuers-file", file, "--issuer", "nobody"][..], 1, "there is no issuer nobody"),
        (&["refresh", "--issuers-file", "/nowhere"], 1, "/nowhere cannot be read"),
        (&["refresh", "--issuers", "[]"], 1, "must name at least one issuer"),
        (&["refresh"], 2, "--issuers-file"),
        (&["show"], 2, "--issuer"),
        (&["show", "--issuer", "No"], 1, "--issuer"),
    ] {
        let (came, _, err) = keys(arguments);
        assert!(came == code && err.contains(says), "{arguments:?}: {came} {err}");
    }
}

#[test]
fn an_event_is_filled_in_from_a_running_dev() {
    let dev = Dev::start(&[]);
    let file = dev.folder.path().join("event.json");
    std::fs::write(&file, r#"{"headers":{"Authorization":"Bearer ${TOKEN:alice}"}}"#).unwrap();
    let banner = dev.process.output().lines();
    let issuer = banner.iter().find(|line| line.contains("the OpenID issuer")).unwrap().split_whitespace().next().unwrap();
    let (code, out, _) = run(latchkey().arg("event").arg(&file).args(["--issuer", issuer]));
    let event: Value = serde_json::from_str(&out).unwrap();
    assert_eq!(code, 0);
    assert_eq!(event["headers"]["Authorization"].as_str().unwrap().split('.').count(), 3);
    let (code, _, err) = run(latchkey().arg("event").arg(&file).args(["--issuer", "http://127.0.0.1:9"]));
    assert!(code == 1 && err.contains("is `latchkey dev` running?"), "{err}");
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, err) = run(latchkey().args(["dev", "--port", &port]));
    assert!(code == 1 && err.contains(&port), "{err}");
}
