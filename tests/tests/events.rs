//! Every file in `events/`, through the front door of the function: the answer is the one beside it, and so is the record.

use std::collections::BTreeSet;
use std::path::PathBuf;

use futures_util::FutureExt as _;
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::stack::World;
use latchkey_tests::tools::{bootstrap, root};
use serde_json::Value;

struct Case {
    name: String,
    event: String,
    expected: Value,
}

fn cases() -> Vec<Case> {
    let mut events: Vec<PathBuf> = std::fs::read_dir(root().join("events")).unwrap().map(|entry| entry.unwrap().path()).collect();
    events.sort();
    let is_event = |path: &PathBuf| path.extension().is_some_and(|e| e == "json") && !path.to_string_lossy().ends_with(".expected.json");
    events
        .into_iter()
        .filter(is_event)
        .map(|path| Case {
            name: path.file_stem().unwrap().to_string_lossy().into_owned(),
            event: std::fs::read_to_string(&path).unwrap(),
            expected: serde_json::from_str(&std::fs::read_to_string(path.with_extension("expected.json")).unwrap()).unwrap(),
        })
        .collect()
}

fn names(value: &Value) -> BTreeSet<String> {
    match value {
        Value::Object(members) => members.keys().cloned().collect(),
        Value::Array(names) => names.iter().map(|name| name.as_str().unwrap().to_owned()).collect(),
        _ => BTreeSet::new(),
    }
}

/// What is wrong with an answer, by the rules of `events/README.md`.
fn differences(expected: &Value, answer: &Answer) -> Vec<String> {
    let mut wrong = Vec::new();
    if expected["status"] != answer.status() {
        wrong.push(format!("status {} instead of {}", answer.status(), expected["status"]));
    }
    if answer.0["isBase64Encoded"] != false {
        wrong.push("isBase64Encoded is not false".to_owned());
    }
    for (name, value) in expected["headers"].as_object().into_iter().flatten() {
        if answer.header(name) != value.as_str() {
            wrong.push(format!("header {name}: {:?} instead of {value}", answer.header(name)));
        }
    }
    for name in names(&expected["headers_any"]) {
        if answer.header(&name).is_none_or(str::is_empty) {
            wrong.push(format!("header {name} is missing"));
        }
    }
    let lower = |names: BTreeSet<String>| names.into_iter().map(|name| name.to_lowercase()).collect::<BTreeSet<_>>();
    let known: BTreeSet<_> = lower(names(&expected["headers"])).union(&lower(names(&expected["headers_any"]))).cloned().collect();
    for extra in lower(names(&answer.0["headers"])).difference(&known) {
        wrong.push(format!("header {extra} says more than it should"));
    }

    match &expected["body"] {
        Value::String(body) => {
            if answer.0["body"] != *body {
                wrong.push("the body is another".to_owned());
            }
        }
        members => {
            let body = answer.body();
            for (name, value) in members.as_object().into_iter().flatten() {
                if body[name] != *value {
                    wrong.push(format!("member {name}: {} instead of {value}", body[name]));
                }
            }
            for name in names(&expected["body_any"]) {
                if body[&name].is_null() || body[&name] == "" {
                    wrong.push(format!("member {name} is missing"));
                }
            }
            let known: BTreeSet<_> = names(members).union(&names(&expected["body_any"])).cloned().collect();
            for extra in names(&body).difference(&known) {
                wrong.push(format!("member {extra} says more than it should"));
            }
        }
    }
    wrong
}

#[test]
#[ignore = "needs the tools: make test"]
fn every_event_is_answered_as_expected() {
    let world = World::start();
    // The events are more launches by one user than the default rate limit lets through in one window.
    let emulator = Emulator::start(&bootstrap(), &world.env(&[("LATCHKEY_RATE_LIMIT", "1000/60")]));
    let cases = cases();
    assert!(cases.len() >= 50, "only {} events", cases.len());
    let (mut wrong, mut silent) = (Vec::new(), 0);
    for Case { name, event, expected } in &cases {
        let calls = world.stack.aws.captured().len();
        let event = latchkey::event::fill_in(event, async |spec| Ok(world.token(spec))).now_or_never().unwrap().unwrap();
        let answer = emulator.invoke(&serde_json::from_str(&event).unwrap());
        wrong.extend(differences(expected, &answer).into_iter().map(|what| format!("{name}: {what}")));

        let made = world.stack.aws.captured().len() - calls;
        if answer.status() >= 400 && made != 0 {
            wrong.push(format!("{name}: a refused request made {made} calls to STS or SageMaker"));
        }
        match &expected["audit"] {
            Value::Object(audit) => {
                // An event without a usable id is recorded under the invocation's own, which the answer tells.
                let record = emulator.record_of(answer.header("X-Request-Id").unwrap());
                for (member, value) in audit {
                    if record[member] != *value {
                        wrong.push(format!("{name}: the record's {member} is {} instead of {value}", record[member]));
                    }
                }
            }
            _ => silent += 1,
        }
    }
    // The last event leaves a record, which has been waited for: by now all are there.
    if emulator.records().len() + silent != cases.len() {
        wrong.push(format!("{} records of {} events, of which {silent} must leave none", emulator.records().len(), cases.len()));
    }
    assert!(wrong.is_empty(), "{} differences:\n{}", wrong.len(), wrong.join("\n"));
    println!("{} events answered as expected", cases.len());

    // A canary in each secret: none of what went in or out as a secret stands in any line of the log.
    let lines = emulator.output().lines();
    for (index, line) in lines.iter().enumerate() {
        for secret in ["eyJ", "auth?token=", "authToken=", "Bearer ", "sagemaker.localhost", "app.localhost"] {
            assert!(!line.contains(secret), "line {index} of the log holds {secret}…");
        }
    }
}
