//! Captured AWS requests before AWS's own service models and signer (`tests/tools/check_aws_requests.py`).

use std::collections::BTreeMap;
use std::io::Write as _;
use std::process::{Command, Stdio};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use latchkey_standin::aws::Credentials;
use latchkey_standin::captured::Captured;
use serde_json::{Value, json};

use crate::tools::{root, tool};

/// Has every request checked, each with the credentials that it is to be signed with. Gives back the operations, in order.
///
/// # Panics
/// When one of them is not valid or there is none, with what is wrong; secrets stay out of it.
#[track_caller]
pub fn assert_valid<'a>(requests: impl IntoIterator<Item = &'a Captured>, credentials: impl Fn(&Captured) -> Credentials) -> Vec<String> {
    let lines: Vec<Value> = requests.into_iter().map(|request| line(request, &credentials(request))).collect();
    let results = run(&lines);
    assert!(!results.is_empty() && results.len() == lines.len(), "{} of {} requests were checked", results.len(), lines.len());
    let invalid: Vec<&Value> = results.iter().filter(|result| result["valid"] != true).collect();
    assert!(invalid.is_empty(), "{invalid:#?}");
    results.iter().map(|result| result["operation"].as_str().unwrap().to_owned()).collect()
}

/// A request as the checker reads it: to the byte as it arrived.
///
/// # Panics
/// When a header is not text.
pub fn line(request: &Captured, credentials: &Credentials) -> Value {
    let headers: Vec<[&str; 2]> = request.headers.iter().map(|(name, value)| [name.as_str(), value.to_str().unwrap()]).collect();
    json!({
        "service": request.service,
        "method": request.method,
        "path": request.path,
        "query": request.query,
        "headers": headers,
        "body": STANDARD.encode(&request.body),
        "region": request.region,
        "access_key_id": credentials.access_key_id,
        "secret_access_key": credentials.secret_access_key.expose(),
        "session_token": credentials.session_token.as_ref().map(|token| token.expose()),
    })
}

/// Runs the checker over these lines and gives back its own, one for each.
///
/// # Panics
/// When it does not run.
pub fn run(lines: &[Value]) -> Vec<Value> {
    let mut checker = Command::new(tool("python/bin/python"))
        .arg(root().join("tests/tools/check_aws_requests.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    let mut stdin = checker.stdin.take().unwrap();
    // It answers each line before it reads the next, so both pipes have to be served at once.
    let text: String = lines.iter().map(|line| format!("{line}\n")).collect();
    let writer = std::thread::spawn(move || stdin.write_all(text.as_bytes()));
    let output = checker.wait_with_output().unwrap();
    writer.join().unwrap().unwrap();
    String::from_utf8(output.stdout).unwrap().lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The members of a request in JSON.
///
/// # Panics
/// When it is not.
pub fn json(request: &Captured) -> Value {
    serde_json::from_slice(&request.body).unwrap()
}

/// The members of a request that is a form, `Action` and `Version` among them.
///
/// # Panics
/// When it is none, or names a member twice.
pub fn form(request: &Captured) -> BTreeMap<String, String> {
    let mut members = BTreeMap::new();
    for pair in std::str::from_utf8(&request.body).unwrap().split('&') {
        let (name, value) = pair.split_once('=').unwrap();
        assert!(members.insert(decoded(name), decoded(value)).is_none(), "{name} twice");
    }
    members
}

fn decoded(text: &str) -> String {
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        bytes.push(match byte {
            b'+' => b' ',
            b'%' => {
                let hex = [rest.next().unwrap(), rest.next().unwrap()];
                u8::from_str_radix(std::str::from_utf8(&hex).unwrap(), 16).unwrap()
            }
            byte => byte,
        });
    }
    String::from_utf8(bytes).unwrap()
}
