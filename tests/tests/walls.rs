//! The walls between the rooms: which crate may know what (docs/architecture.md, "Walls").

use std::collections::BTreeMap;
use std::process::Command;

use latchkey_tests::tools::root;
use serde_json::Value;

/// What each crate of ours depends on directly, tests left out.
fn dependencies() -> BTreeMap<String, Vec<String>> {
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--no-deps", "--offline"])
        .current_dir(root())
        .output()
        .expect("cargo runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).unwrap();
    let packages = metadata["packages"].as_array().unwrap();
    let direct = |package: &Value| {
        let all = package["dependencies"].as_array().unwrap().iter();
        all.filter(|dependency| dependency["kind"].is_null()).map(|dependency| dependency["name"].as_str().unwrap().to_owned()).collect()
    };
    packages.iter().map(|package| (package["name"].as_str().unwrap().to_owned(), direct(package))).collect()
}

#[test]
fn each_room_knows_only_what_it_may() {
    let dependencies = dependencies();
    // Who may depend on what begins with that; everybody else may not. Of two that are meant, the longer one counts.
    let walls: &[(&str, &[&str])] = &[
        ("aws-sdk-", &["latchkey-aws"]),
        ("aws-sdk-iam", &["latchkey"]),
        ("aws-sdk-cloudcontrol", &["latchkey"]),
        ("hickory-resolver", &["latchkey"]),
        ("hickory-proto", &["latchkey-standin"]),
        ("aws-smithy-", &["latchkey-aws", "latchkey-transport"]),
        ("aws-config", &["latchkey"]),
        ("jsonwebtoken", &["latchkey-oidc"]),
        ("lambda_runtime", &["broker", "jwks-refresher", "empty-handler"]),
        ("hyper", &["latchkey-transport", "latchkey", "latchkey-standin"]),
        ("rustls", &["latchkey-transport"]),
        ("axum", &["latchkey", "latchkey-standin"]),
        ("dynoxide-rs", &["latchkey-standin"]),
        ("tracing-subscriber", &["latchkey-telemetry"]),
        (
            "tokio",
            &[
                "broker",
                "empty-handler",
                "jwks-refresher",
                "latchkey",
                "latchkey-aws",
                "latchkey-oidc",
                "latchkey-standin",
                "latchkey-tests",
                "latchkey-transport",
            ],
        ),
        ("latchkey-standin", &["latchkey", "latchkey-tests"]),
        ("latchkey-tests", &[]),
        ("latchkey-fuzz", &[]),
        ("broker", &["latchkey"]),
        ("jwks-refresher", &["latchkey"]),
        ("latchkey-api", &["broker", "latchkey", "latchkey-fuzz", "latchkey-tests"]),
        ("latchkey-aws", &["broker", "jwks-refresher", "latchkey", "latchkey-tests"]),
        (
            "latchkey-oidc",
            &["broker", "jwks-refresher", "latchkey", "latchkey-aws", "latchkey-fuzz", "latchkey-tests", "latchkey-transport"],
        ),
    ];
    let mut breaches = Vec::new();
    for (package, direct) in &dependencies {
        for dependency in direct {
            let is_meant = |wall: &str| if wall.ends_with('-') { dependency.starts_with(wall) } else { dependency == wall };
            let wall = walls.iter().filter(|(wall, _)| is_meant(wall)).max_by_key(|(wall, _)| wall.len());
            if wall.is_some_and(|(_, allowed)| !allowed.contains(&package.as_str())) {
                breaches.push(format!("{package} depends on {dependency}"));
            }
        }
    }
    assert!(breaches.is_empty(), "{breaches:#?}");
    // A wall around something that nobody has any more guards nothing.
    for (wall, _) in walls.iter().filter(|(_, allowed)| !allowed.is_empty()) {
        let is_there = dependencies
            .values()
            .flatten()
            .any(|dependency| if wall.ends_with('-') { dependency.starts_with(wall) } else { dependency == wall });
        assert!(is_there, "nobody depends on {wall}");
    }
}

#[test]
fn the_domain_knows_nothing_of_the_world() {
    let dependencies = dependencies();
    assert_eq!(dependencies["latchkey-domain"], ["base64", "serde", "sha2", "time"]);
    let api: Vec<_> = dependencies["latchkey-api"].iter().map(String::as_str).collect();
    assert_eq!(api, ["base64", "futures-util", "latchkey-domain", "serde", "serde_json"]);
}
