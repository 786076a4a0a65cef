//! The command as people and scripts use it: what it prints, its exit codes, and that what it prints works.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::process::{Command, Output, Stdio};

use serde_json::Value;

use support::{Dev, PATIENCE, change, latchkey, run};

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
    assert_eq!((code, out.trim()), (0, "lab written"));
    let record = change(&err);
    assert_eq!((&record["command"], &record["change"], &record["target"]), (&"grants put".into(), &"created".into(), &"lab".into()));
    assert_eq!((&record["subject"], &record["after"]["note"]), (&"demo-dave".into(), &"for the test".into()));
    let (code, out, _) = get();
    let row: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, row["state"].as_str(), row["attributes"]["note"].as_str()), (0, Some("open"), Some("for the test")));
    let answer = dev.launch("dave");
    assert_eq!((answer["target"].as_str(), answer["expires_in_seconds"].as_u64()), (Some("lab"), Some(10)));

    // A second put replaces, or refuses to.
    assert_eq!(put("erin", &["--shared", "--new"]).0, 1);
    // What is open already may be renewed, and anything may be closed, without saying so again.
    assert_eq!(put("erin", &["--expires-at", "1900000000"]).1.trim(), "lab replaced");
    let (_, out, err) = put("ERIN", &["--disabled", "--by", "ops-jane"]);
    assert_eq!(out.trim(), "lab replaced");
    let record = change(&err);
    assert_eq!((&record["change"], &record["by"]), (&"updated".into(), &"ops-jane".into()));
    assert_eq!((&record["before"]["enabled"], &record["after"]["enabled"]), (&true.into(), &false.into()));
    assert_eq!((&record["before"]["expires_at"], &record["after"]["updated_by"]), (&1_900_000_000.into(), &"ops-jane".into()));
    assert!(record["aws_request_id"].is_string(), "{record}");
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

    let delete = |more: &[&str]| dev.grants(&[&["delete", "--target", "lab"], &DAVE[..], more].concat());
    // Without a place for its audit line nothing is changed.
    let (code, _, err) = delete(&["--audit-log", "/nowhere/changes"]);
    assert!(code == 1 && err.contains("nothing is changed: the audit log /nowhere/changes"), "{err}");
    let log = dev.folder.path().join("changes");
    let (code, _, err) = delete(&["--audit-log", log.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (0, ""));
    let (code, _, err) = delete(&["--audit-log", log.to_str().unwrap()]);
    assert_eq!((code, err.as_str()), (1, ""), "what changes nothing leaves no line");
    let record = change(&std::fs::read_to_string(&log).unwrap());
    assert_eq!((&record["change"], &record["before"]["enabled"]), (&"deleted".into(), &false.into()));
    assert_eq!(get().0, 1);
}

#[test]
fn what_is_not_a_grant_is_not_written() {
    let dev = Dev::start(&[]);
    for (more, says) in [
        (&["--user-profile-name", "dave@example.com"][..], "user_profile_name: "),
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
    for (more, says) in [
        (&[][..], "--kind"),
        (&["--kind", "terminal"], "mlflow-server"),
        (&["--kind", "studio", "--url-seconds", "3"], "5..=300"),
        (&["--kind", "studio", "--session-seconds", "1"], "1800..=43200"),
        (&["--kind", "studio", "--add-landing", "l"], "NAME=URI"),
        (&["--kind", "studio", "--expires-at", "1796040970000"], "not of milliseconds"),
    ] {
        let (code, out, err) = dev.grants(&[&["put", "--target", "lab"], &DAVE[..], more].concat());
        assert_eq!((code, out.as_str(), err.contains(says)), (2, "", true), "{more:?}: {err}");
    }
    // What a file has to have, it has to have.
    let file = dev.folder.path().join("grant.json");
    std::fs::write(&file, r#"{"kind":"notebook","notebook_instance_name":"nb-dave"}"#).unwrap();
    let from = |more: &[&str]| dev.grants(&[&["put", "--target", "lab", "--from", file.to_str().unwrap()], &DAVE[..], more].concat());
    assert_eq!(from(&[]).1, "lab written\n");
    std::fs::write(&file, r#"{"notebook_instance_name":"nb-dave"}"#).unwrap();
    let (code, _, err) = from(&[]);
    assert!(code == 1 && err.contains("kind: is missing"), "{err}");
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
        (&["show", "--issuer", "No"], 2, "--issuer"),
        (&["show", "--issuer", "a b"], 2, "--issuer"),
        (&["refresh", "--issuers", ""], 2, "is empty"),
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

/// `latchkey explain` in the environment that `dev` wrote, with this on standard input.
fn explain(dev: &Dev, input: &str, arguments: &[&str]) -> (i32, String, String) {
    use std::io::Write as _;
    let mut command = latchkey();
    command.envs(dev.environment.iter().cloned()).arg("explain").args(arguments);
    let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    // What does not read it closes it.
    let _ = child.stdin.take().unwrap().write_all(input.as_bytes());
    let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
    (status.code().unwrap(), String::from_utf8(stdout).unwrap(), String::from_utf8(stderr).unwrap())
}

#[test]
fn explain_tells_what_the_broker_would_decide_and_does_nothing() {
    let dev = Dev::start(&[]);
    let banner = dev.process.output().lines();
    let issuer = banner.iter().find(|line| line.contains("the OpenID issuer")).unwrap().split_whitespace().next().unwrap().to_owned();
    let token = |user: &str| run(Command::new("curl").args(["-sS", "-d", &format!("user={user}"), &format!("{issuer}/dev/token")])).1;
    let check = |explanation: &Value, name: &str| {
        explanation["checks"].as_array().unwrap().iter().find(|check| check["check"] == name).unwrap().clone()
    };

    // A token: each check, the grant, the calls with role and policy, and what was not looked at.
    let alice = token("alice");
    let (code, out, err) = explain(&dev, &alice, &[]);
    assert_eq!((code, err.as_str()), (0, ""));
    let mut rest = out.as_str();
    for shown in [
        "ALLOWED",
        "local demo-alice, to research. None was made.",
        "passed      its signature verifies",
        "not asked   the body can be read",
        "passed      the user has a URL left in this window: 0 of 20 used",
        "The grant that matched: research",
        "user-profile/d-demoresearch/alice",
        "sts AssumeRole in eu-central-1",
        "as                            the function's own role",
        "\"sagemaker:CreatePresignedDomainUrl\"",
        "SourceIdentity                local.demo-alice",
        "sagemaker CreatePresignedDomainUrl in eu-central-1",
        "as                            arn:aws:iam::111122223333:role/latchkey-issuing",
        "ExpiresInSeconds              30",
        "Not asked",
    ] {
        rest = rest.split_once(shown).unwrap_or_else(|| panic!("no {shown} in its place in {out}")).1;
    }
    // It was neither counted nor made: the broker has decided nothing, and the first launch is the first of its window.
    assert_eq!(dev.launch("alice")["target"], "research");
    dev.process.output().wait(0, PATIENCE, |line| line.contains("demo-alice").then_some(()));
    assert_eq!(dev.process.output().lines().iter().filter(|line| line.contains("latchkey.decision")).count(), 1);
    let (_, out, _) = explain(&dev, &format!("Bearer {alice}\n"), &["--json"]);
    let explanation: Value = serde_json::from_str(&out).unwrap();
    let used = check(&explanation, "rate-limit")["about"].as_str().unwrap().to_owned();
    // None where the next window has begun meanwhile.
    assert!(["1 of 20 used, in windows of 60 s", "0 of 20 used, in windows of 60 s"].contains(&used.as_str()), "{used}");
    assert_eq!((&explanation["decision"], &explanation["status"]), (&"allow".into(), &200.into()));
    assert_eq!(explanation["calls"][1]["parameters"]["UserProfileName"], "alice");

    // What is refused says which check, what it means, and what to do.
    let (code, out, _) = explain(&dev, &token("erin"), &[]);
    assert_eq!(code, 1);
    for shown in [
        "REFUSED",
        "403 not-entitled",
        "grant.expired",
        "what to do        renew it, if it is due",
        "FAILED      it is enabled and in its dates: from 20",
        "The grant that matched: research",
        "user_profile_name             erin",
    ] {
        assert!(out.contains(shown), "no {shown} in {out}");
    }
    assert!(!out.contains("AssumeRole"), "{out}");
    let forged = format!("{}x", alice.trim());
    let (code, out, _) = explain(&dev, &forged, &["--json"]);
    let explanation: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &explanation["code"], explanation["subject"].is_null()), (1, &"invalid-token".into(), true));
    let (code, out, _) = explain(&dev, &token("bob"), &["--target", "risk", "--landing", "canvas"]);
    assert!(code == 1 && out.contains("grant.no-such-landing"), "risk has none: {out}");
    let (code, out, _) = explain(&dev, &token("bob"), &["--landing", "canvas"]);
    assert!(code == 0 && out.contains("LandingUri"), "{out}");

    // Without a token, and at another time.
    let named = |subject: &str, more: &[&str]| explain(&dev, "", &[&["--issuer", "local", "--subject", subject], more].concat());
    let (code, out, _) = named("demo-carol", &[]);
    assert!(code == 1 && out.contains("subject.suspended") && out.contains("not asked   from \"the event is API Gateway's\" to"), "{out}");
    assert!(named("demo-erin", &["--at", "0"]).1.contains("grant.not-yet-valid"));
    let now: i64 = run(Command::new("date").arg("+%s")).1.trim().parse().unwrap();
    let (code, out, _) = named("demo-erin", &["--at", &(now - 25 * 3600).to_string()]);
    assert!(code == 0 && out.contains(", until 20"), "an hour before its end her grant opens: {out}");
    let (code, out, _) = named("demo-ivan", &[]);
    assert!(code == 0 && out.contains("CreateUserProfile in eu-central-1, only if there is no such profile"), "{out}");

    // A whole request: its endpoint counts too. The placeholders are filled in as for `latchkey event`.
    let event = dev.folder.path().join("event.json");
    let text = r#"{"path":"/presigned-urls","httpMethod":"POST","headers":{"Authorization":"Bearer ${TOKEN:alice}"},
        "requestContext":{"accountId":"111122223333","identity":{"vpceId":"vpce-0dev"}}}"#;
    std::fs::write(&event, text).unwrap();
    let file = event.to_str().unwrap();
    let (code, out, _) = explain(&dev, "", &["--event", file, "--token-issuer", &issuer]);
    assert!(code == 0 && out.contains("passed      it comes through an allowed VPC endpoint: vpce-0dev"), "{out}");
    let (code, out, _) = explain(&dev, &text.replace("vpce-0dev", "vpce-0x").replace("${TOKEN:alice}", "x"), &["--event", "-"]);
    assert!(code == 1 && out.contains("endpoint.not-allowed") && out.contains("compare `vpc_endpoint` with the setting"), "{out}");

    // Nothing that it prints is a secret.
    for arguments in
        [&["--json"][..], &[], &["--event", file, "--token-issuer", &issuer], &["--event", file, "--token-issuer", &issuer, "--json"]]
    {
        let (_, out, err) = explain(&dev, &alice, arguments);
        assert!(!out.contains("eyJ") && !out.contains("https://") && !err.contains("eyJ"), "{arguments:?}");
    }
}

#[test]
fn explain_says_what_it_needs() {
    let dev = Dev::start(&[]);
    for (arguments, code, says) in [
        (&[][..], 2, "there is no token on standard input"),
        (&["--issuer", "local"], 2, "--subject"),
        (&["--event", "x", "--target", "y"], 2, "cannot be used with"),
        (&["--event", "/nowhere"], 1, "/nowhere cannot be read"),
        (&["--issuer", "nobody", "--subject", "x"], 2, "there is no issuer nobody"),
        (&["--at", "1796040970000"], 2, "not of milliseconds"),
        (&["--issuers-file", "-"], 2, "--issuers-file -"),
        (&["--account-id", "12"], 2, "an account's id is"),
    ] {
        let (came, out, err) = explain(&dev, "", arguments);
        assert!(came == code && out.is_empty() && err.contains(says), "{arguments:?}: {came} {out} {err}");
    }
    // The function's account decides where there is no role. It is asked for rather than guessed at.
    let without_role = |arguments: &[&str]| {
        let mut command = latchkey();
        command.envs(dev.environment.iter().cloned()).env_remove("LATCHKEY_ROLE_ARN").args([
            "explain",
            "--issuer",
            "local",
            "--subject",
            "demo-alice",
        ]);
        run(command.args(arguments))
    };
    let (code, out, err) = without_role(&[]);
    assert!(code == 2 && out.is_empty() && err.contains("--account-id"), "{err}");
    let (code, out, _) = without_role(&["--account-id", "111122223333"]);
    assert!(code == 0 && !out.contains("AssumeRole") && out.contains("arn:aws:sagemaker:eu-central-1:111122223333"), "{out}");
    // What cannot be had from here says nothing of the broker.
    let mut command = latchkey();
    command.envs(dev.environment.iter().cloned()).env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9");
    let (code, out, _) = run(command.args(["explain", "--issuer", "local", "--subject", "demo-alice", "--json"]));
    let explanation: Value = serde_json::from_str(&out).unwrap();
    assert_eq!((code, &explanation["decision"], &explanation["refusal"]["reason"]), (1, &"unknown".into(), &"dynamodb.unreachable".into()));
}

#[test]
fn an_environment_that_lacks_what_every_command_needs_is_usage() {
    let dev = Dev::start(&[]);
    let run_with = |name: &str, value: Option<&str>, arguments: &[&str]| {
        let mut command = latchkey();
        command.envs(dev.environment.iter().cloned()).env_remove(name).args(arguments);
        run(command.envs(value.map(|value| (name, value))))
    };
    let explain = ["explain", "--issuer", "local", "--subject", "demo-alice"];
    for (name, value, arguments, says) in [
        ("LATCHKEY_TABLE", None, &["grants", "list"][..], "--table"),
        ("LATCHKEY_TABLE", Some(""), &["grants", "list"], "--table"),
        ("LATCHKEY_ISSUERS", None, &explain, "--issuers"),
        ("LATCHKEY_ISSUERS", Some(""), &explain, "LATCHKEY_ISSUERS (or --issuers) is empty"),
        ("LATCHKEY_ISSUERS", Some(" "), &["keys", "refresh"], "LATCHKEY_ISSUERS (or --issuers) is empty"),
        ("AWS_REGION", None, &["grants", "list"], "AWS_REGION"),
        ("AWS_REGION", None, &["grants", "list", "--json"], "AWS_REGION"),
    ] {
        let (code, out, err) = run_with(name, value, arguments);
        assert!(code == 2 && !out.contains("done") && err.contains(says), "{name}={value:?}: {code} {out} {err}");
    }
    // A file goes before the variable, also where that is empty.
    let issuers = dev.environment.iter().find(|(name, _)| name == "LATCHKEY_ISSUERS").unwrap();
    let file = dev.folder.path().join("issuers.json");
    std::fs::write(&file, &issuers.1).unwrap();
    let with_file = [&explain[..], &["--issuers-file", file.to_str().unwrap()]].concat();
    assert_eq!(run_with("LATCHKEY_ISSUERS", Some(""), &with_file).0, 0);
}

#[test]
fn a_token_in_an_argument_is_said_nowhere() {
    let dev = Dev::start(&[]);
    // As long as one: a short one would be the legal name of a target.
    let secret = "c2lnbmF0dXJlLW9mLWEtdG9rZW4tdGhhdC1pcy1sb25n";
    let token = format!("eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.{secret}");
    let url = format!("https://d-x.studio.eu-central-1.sagemaker.aws/auth?token={secret}");
    let flag = format!("--target={token}");
    for (arguments, code) in [
        (&["explain", &token][..], 2),
        (&["explain", "--", &token], 2),
        (&["explain", "--target", &token], 2),
        (&["explain", &flag], 2),
        (&["explain", "--event", &token], 1),
        (&["explain", "--event", &token, "--json"], 1),
        (&["explain", "--event", &url], 1),
        (&["explain", "--at", &token], 2),
        (&[&token], 2),
        (&["grants", "export", &token], 2),
        (&["grants", "import", &token, "--yes", "--format", "csv"], 1),
        (
            &[
                "grants",
                "put",
                "--issuer",
                "local",
                "--subject",
                "x",
                "--target",
                "lab",
                "--kind",
                "studio",
                "--arn",
                &token,
                "--add-landing",
                &token,
            ],
            2,
        ),
    ] {
        let (came, out, err) = dev.run(arguments);
        assert!(!out.contains(secret) && !err.contains(secret), "{arguments:?}: {out}{err}");
        assert_eq!((came, err.contains("(a token)") || err.contains("token=(redacted)")), (code, true), "{arguments:?}: {out}{err}");
        assert!(err.contains("a token comes through standard input") && err.contains("the shell's history"), "{err}");
    }
    let (_, _, err) = dev.run(&["explain", "nosuch"]);
    assert!(err.contains("'nosuch'") && !err.contains("history"), "{err}");
}

/// A device that takes nothing. It is only ever a stream of a process here, and never a file that is named.
fn full() -> Stdio {
    std::fs::File::options().write(true).open("/dev/full").unwrap().into()
}

#[test]
fn an_answer_that_nobody_gets_is_no_success() {
    let dev = Dev::start(&[]);
    let into_full = |arguments: &[&str]| {
        let mut command = latchkey();
        command.envs(dev.environment.iter().cloned()).args(arguments).stdin(Stdio::null()).stdout(full()).stderr(Stdio::piped());
        let Output { status, stderr, .. } = command.output().unwrap();
        (status.code().unwrap(), String::from_utf8(stderr).unwrap())
    };
    let grant = ["--target", "lab", "--kind", "notebook", "--notebook-instance-name", "nb-dave"];
    let put = [&["grants", "put"], &DAVE[..], &grant].concat();
    let get = [&["grants", "get", "--target", "lab"], &DAVE[..]].concat();
    let (suspend, resume) = ([&["suspend"], &DAVE[..]].concat(), [&["resume"], &DAVE[..]].concat());
    for (arguments, is_change) in [
        (&["--help"][..], false),
        (&["grants", "put", "--help"], false),
        (&["--version"], false),
        (&["completions", "bash"], false),
        (&["demo"], false),
        (&put, true),
        (&get, false),
        (&["grants", "list"], false),
        (&["grants", "list", "--json"], false),
        (&["grants", "export"], false),
        (&["explain", "--issuer", "local", "--subject", "demo-alice"], false),
        (&["doctor"], false),
        (&suspend, true),
        (&resume, true),
        (&["keys", "show", "--issuer", "local"], false),
    ] {
        let (code, err) = into_full(arguments);
        let last = err.lines().last().unwrap_or_default();
        assert!(code == 1 && last.starts_with("latchkey: standard output: No space left on device"), "{arguments:?}: {code} {err}");
        assert_eq!(last.ends_with("; the change is made"), is_change, "{arguments:?}: {err}");
    }
    // A reader that has what it wants is another thing.
    let piped = run(Command::new("sh").args(["-c", "\"$0\" --help | head -1", env!("CARGO_BIN_EXE_latchkey")]));
    assert_eq!((piped.0, piped.2.as_str()), (0, ""));

    // Nothing panics where even that cannot be said.
    let beside_full = |arguments: &[&str]| {
        let mut command = latchkey();
        command.envs(dev.environment.iter().cloned()).args(arguments).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(full());
        command.output().unwrap().status.code().unwrap()
    };
    for (arguments, code) in [
        (&["nosuch"][..], 2),
        (&["explain", "--issuer", "nosuch", "--subject", "x"], 2),
        (&["grants", "import", "/nowhere.csv", "--yes"], 1),
        (&["grants", "export"], 1),
        (&suspend, 1),
        (&["grants", "list"], 0),
    ] {
        assert_eq!(beside_full(arguments), code, "{arguments:?}");
    }
}

#[test]
fn an_audit_line_whose_file_is_full_is_said_all_the_same() {
    let dev = Dev::start(&[]);
    // It is opened to append to, and nothing of it is ever replaced.
    let (code, out, err) = dev.run(&[&["suspend", "--audit-log", "/dev/full"], &DAVE[..]].concat());
    assert_eq!((code, out.as_str()), (1, ""));
    let (line, error) = err.split_once('\n').unwrap();
    assert_eq!(change(line)["after"]["status"], "suspended");
    assert!(error.starts_with("latchkey: the change is made, and its audit line cannot be written: No space left"), "{error}");
}

#[test]
fn a_failure_is_json_too() {
    let dev = Dev::start(&[]);
    let failed = |arguments: &[&str], (code, out, err): (i32, String, String)| {
        let answer: Value = serde_json::from_str(out.lines().last().unwrap_or_default()).unwrap_or_else(|_| panic!("{arguments:?}: {out}"));
        assert_eq!((code, &answer["done"]), (1, &"failed".into()), "{arguments:?}: {out}");
        let said = err.lines().find_map(|line| line.strip_prefix("latchkey: ")).unwrap();
        assert_eq!(answer["problem"], said, "it is what people read");
        let advice = err.lines().find_map(|line| line.strip_prefix("what to do: "));
        assert_eq!(answer["what_to_do"].as_str(), advice);
        advice.is_some()
    };
    for arguments in [
        &["grants", "import", "/nowhere.csv", "--yes", "--json"][..],
        &["grants", "list", "--table", "nosuch", "--json"],
        &["suspend", "--issuer", "locl", "--subject", "x", "--json"],
        &["keys", "show", "--issuer", "local", "--table", "nosuch", "--json"],
        &["explain", "--event", "/nowhere", "--json"],
        &["man", "/dev/null/man1", "--json"],
    ] {
        failed(arguments, dev.run(arguments));
    }
    let lost = ["grants", "list", "--table", "nosuch", "--json"];
    assert!(failed(&lost, dev.run(&lost)), "what can be done about it is said, too");
    // Where standard output is the file, it is no line of that.
    let (code, out, err) = dev.grants(&["export", "--table", "nosuch", "--json"]);
    assert_eq!((code, out.as_str()), (1, ""));
    assert!(err.lines().last().unwrap().starts_with(r#"{"done":"failed","#), "{err}");

    // Answers say whose and what they are about.
    let answer = |arguments: &[&str]| serde_json::from_str::<Value>(&dev.grants(&[arguments, &["--json"]].concat()).1).unwrap();
    let dave = |done: &str| serde_json::json!({"issuer": "local", "subject": "demo-dave", "group": null, "target": "lab", "done": done});
    let grant = ["--target", "lab", "--kind", "mlflow-server", "--tracking-server-name", "s"];
    assert_eq!(answer(&[&["get", "--target", "lab"], &DAVE[..]].concat()), dave("not found"));
    assert_eq!(answer(&[&["put"], &DAVE[..], &grant].concat()), dave("written"));
    assert_eq!(answer(&[&["put"], &DAVE[..], &grant].concat()), dave("replaced"));
    assert_eq!(answer(&[&["delete", "--target", "lab"], &DAVE[..]].concat()), dave("deleted"));
    assert_eq!(answer(&[&["delete", "--target", "lab"], &DAVE[..]].concat()), dave("not found"));
    let group = answer(&[&["put", "--issuer", "local", "--group", "desk"], &grant[..]].concat());
    assert_eq!((&group["group"], &group["subject"], &group["done"]), (&"desk".into(), &Value::Null, &"written".into()));
    let exported = dev.folder.path().join("all.jsonl");
    let summary = answer(&["export", exported.to_str().unwrap()]);
    assert_eq!((&summary["done"], &summary["left_out"]), (&"exported".into(), &0.into()));
}

#[test]
fn dev_has_no_iam_and_lets_nobody_ask_the_real_one() {
    let dev = Dev::start(&[]);
    let endpoint = dev.environment.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL_IAM").unwrap();
    assert!(endpoint.1.starts_with("http://127.0.0.1:"), "{endpoint:?}");
    let (code, out, _) = dev.run(&["revoke", "--everyone", "--yes"]);
    assert!(code == 1 && out.contains("NotImplemented: The stand-in has no IAM"), "{out}");
    let (code, out, _) = dev.run(&["revoke", "--list"]);
    assert!(code == 1 && out.contains("The stand-in has no IAM"), "{out}");
}

#[test]
fn a_table_that_nobody_can_reach_is_not_waited_for() {
    let dev = Dev::start(&[]);
    let file = dev.folder.path().join("grants.csv");
    std::fs::write(&file, "issuer,subject,status\nlocal,demo-dave,suspended\n").unwrap();
    for arguments in [&["list"][..], &["export"], &["import", file.to_str().unwrap(), "--yes"]] {
        // The SDK's own three attempts, and no more of them.
        let mut command = Command::new("timeout");
        command.args(["12", env!("CARGO_BIN_EXE_latchkey"), "grants"]).args(arguments);
        command.env("AWS_CONFIG_FILE", "/dev/null").env("AWS_SHARED_CREDENTIALS_FILE", "/dev/null");
        command.envs(dev.environment.iter().cloned()).env("AWS_ENDPOINT_URL_DYNAMODB", "http://127.0.0.1:9");
        let (code, out, err) = run(&mut command);
        assert!(code == 1 && err.starts_with("latchkey: DynamoDB: no answer"), "{arguments:?}: {code} {err}");
        assert_eq!(out, "", "{arguments:?}: not the head of a table without rows");
    }
}

#[test]
fn a_port_without_five_more_is_refused() {
    for port in ["65531", "65535", "65536", "x"] {
        let (code, out, err) = run(latchkey().args(["dev", "--port", port]));
        assert!(code == 2 && out.is_empty() && err.contains("is a port of at most 65530"), "{port}: {err}");
    }
}

#[test]
fn a_port_that_is_taken_is_named() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let port = taken.local_addr().unwrap().port().to_string();
    let (code, _, err) = run(latchkey().args(["dev", "--port", &port]));
    assert!(code == 1 && err.contains(&port), "{err}");
}
