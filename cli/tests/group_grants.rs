//! What groups were granted, as an operator does it: granted, said whose profile is whose, explained, and taken back.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use latchkey_domain::item::{Item, Value as Attribute};
use latchkey_tests::raw_table::RawTable;
use serde_json::{Value, json};

use support::{Dev, change, changes};

#[track_caller]
fn assert_ok((code, out, err): (i32, String, String)) -> (String, String) {
    assert_eq!(code, 0, "{out}\n{err}");
    (out, err)
}

/// Runs a command of `grants`, and adds the issuer.
fn local(dev: &Dev, command: &str, arguments: &[&str]) -> (i32, String, String) {
    dev.grants(&[&[command, "--issuer", "local"], arguments].concat())
}

/// What the broker would decide for a demo user in these groups, as its reason or what opens.
fn explained(dev: &Dev, user: &str, groups: &[&str], target: &str) -> Value {
    let subject = format!("demo-{user}");
    let groups = groups.iter().flat_map(|group| ["--group", group]);
    let arguments = ["explain", "--json", "--issuer", "local", "--subject", &subject, "--target", target];
    let (_, out, err) = dev.run(&arguments.into_iter().chain(groups).collect::<Vec<_>>());
    serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}"))
}

const STUDIO: [&str; 4] = ["--kind", "studio", "--domain-id", "d-demoresearch"];
const RUNS: [&str; 4] = ["--kind", "mlflow-server", "--tracking-server-name", "experiments"];

#[test]
fn a_group_is_granted_something_and_each_user_opens_a_profile_of_their_own() {
    let dev = Dev::start(&[]);
    // The demo's group has a studio, which opens kate's profile for kate. Nick has none, and gets in nowhere.
    assert_eq!((&dev.launch("kate")["target"], &dev.launch("nick")["code"]), (&"research".into(), &"not-entitled".into()));
    assert_eq!(explained(&dev, "nick", &["research-desk"], "research")["refusal"]["reason"], "grant.no-profile");

    // Whose profile is whose is said once for each user, and nobody gets another's: not by a record, nor by a grant.
    let nick = ["--subject", "demo-nick"];
    let profile = |profile: &str, more: &[&str]| local(&dev, "profile", &[&nick[..], &["--user-profile-name", profile], more].concat());
    for (taken, owner) in [("Kate", "local demo-kate (for the grants of groups)"), ("alice", "local demo-alice (target research)")] {
        let (code, out, err) = profile(taken, &[]);
        assert_eq!((code, err.as_str()), (1, ""));
        let refusal = format!("the profile of demo-nick is not written: {taken} in any domain is or may be somebody else's already");
        assert!(out.starts_with(&refusal) && out.contains(owner), "{out}");
        assert_eq!(profile(taken, &["--domain-id", "d-demoresearch"]).0, 1, "{taken} in that domain alone");
    }
    let dave = ["--subject", "demo-dave", "--target", "own"];
    let (code, out, _) = local(&dev, "put", &[&dave[..], &STUDIO, &["--user-profile-name", "kate"]].concat());
    assert!(code == 1 && out.contains("local demo-kate (for the grants of groups)"), "{out}");
    assert_eq!(explained(&dev, "nick", &["research-desk"], "research")["refusal"]["reason"], "grant.no-profile", "nothing was written");

    let (out, err) = assert_ok(profile("nick", &["--by", "ops-jane"]));
    assert_eq!(out, "demo-nick is nick in any domain\n");
    let record = change(&err);
    assert_eq!((&record["command"], &record["change"], &record["by"]), (&"grants profile".into(), &"created".into(), &"ops-jane".into()));
    assert_eq!((&record["subject"], &record["after"]["user_profile_name"]), (&"demo-nick".into(), &"nick".into()));
    let explanation = explained(&dev, "nick", &["research-desk"], "research");
    assert_eq!((&explanation["decision"], &explanation["grant"]["group"]), (&"allow".into(), &"research-desk".into()));
    assert_eq!(
        explanation["grant"]["terms"]["resource_arn"],
        "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-demoresearch/nick"
    );
    assert_eq!(explanation["groups"], json!(["research-desk"]));
    assert_eq!(explained(&dev, "nick", &["Research-desk"], "research")["refusal"]["reason"], "grant.none", "a group is what it is called");

    // Two who are one on purpose; and in one domain alone.
    assert_ok(profile("erin", &["--shared"]));
    assert_eq!(dev.launch("nick")["target"], "research");
    let (out, err) = assert_ok(profile("nobody", &["--domain-id", "d-demoresearch"]));
    assert_eq!((out.as_str(), &change(&err)["change"]), ("demo-nick is nobody in d-demoresearch\n", &"updated".into()));
    assert_eq!(change(&err)["after"]["user_profile_names"], json!({"d-demoresearch": "nobody"}));
    assert_eq!(change(&err)["after"]["user_profile_name"], "erin", "what is there stays");
    assert_eq!(dev.launch("nick")["code"], "target-not-ready", "there is no such profile, and no other is taken for it");
    let remove = |more: &[&str]| local(&dev, "profile", &[&nick[..], &["--remove"], more].concat());
    let (out, _) = assert_ok(remove(&["--domain-id", "d-demoresearch"]));
    assert_eq!(out, "demo-nick has no profile in d-demoresearch any more\n");
    assert_eq!(dev.launch("nick")["target"], "research");

    // A suspension is before everything, and a row of one's own before any group's.
    assert_ok(dev.run(&["suspend", "--issuer", "local", "--subject", "demo-nick"]));
    assert_eq!(dev.launch("nick")["code"], "not-entitled");
    assert_eq!(explained(&dev, "nick", &["research-desk"], "research")["refusal"]["reason"], "subject.suspended");
    assert_ok(dev.run(&["resume", "--issuer", "local", "--subject", "demo-nick"]));
    assert_eq!(dev.launch("nick")["target"], "research");
    let own = ["--target", "research", "--user-profile-name", "erin", "--disabled"];
    assert_ok(local(&dev, "put", &[&nick[..], &STUDIO, &own].concat()));
    assert_eq!(explained(&dev, "nick", &["research-desk"], "research")["refusal"]["reason"], "grant.disabled");
    assert_ok(local(&dev, "delete", &[&nick[..], &["--target", "research"]].concat()));
    assert_ok(remove(&[]));
    let (code, out, err) = remove(&[]);
    assert_eq!((code, out.as_str(), err.as_str()), (1, "demo-nick has no profile in any domain\n", ""));
    assert_eq!(dev.launch("nick")["code"], "not-entitled");
}

#[test]
fn a_groups_grants_are_put_shown_listed_and_deleted_each_by_itself() {
    let dev = Dev::start(&[]);
    let desk = ["--group", "research-desk"];
    let targets = |dev: &Dev| -> Vec<(Value, Value, Value)> {
        let (out, err) = assert_ok(local(dev, "list", &[&desk[..], &["--json"]].concat()));
        assert_eq!(err, "");
        let rows = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| (row["group"].clone(), row["target"].clone(), row["state"].clone())).collect()
    };
    let row = |target: &str, state: &str| (Value::from("research-desk"), Value::from(target), Value::from(state));
    assert_eq!(targets(&dev), [row("research", "open"), row("runs", "open")]);

    // New, again, in place of the old one; the line says what was there. The others stay.
    let more = [&desk[..], &["--target", "more"], &RUNS].concat();
    let (out, err) = assert_ok(local(&dev, "put", &[&more[..], &["--new", "--note", "CHG-1", "--by", "ops"]].concat()));
    assert_eq!(out, "more written\n");
    let record = change(&err);
    assert_eq!((&record["change"], &record["group"], record.get("subject")), (&"created".into(), &"research-desk".into(), None));
    assert_eq!((&record["after"]["note"], &record["after"]["updated_by"]), (&"CHG-1".into(), &"ops".into()));
    let (code, out, err) = local(&dev, "put", &[&more[..], &["--new"]].concat());
    assert!(code == 1 && out.is_empty() && err.contains("there is such a grant already"), "{out}{err}");
    let (out, err) = assert_ok(local(&dev, "put", &[&more[..], &["--disabled"]].concat()));
    assert_eq!((out.as_str(), &change(&err)["before"]["note"]), ("more replaced\n", &"CHG-1".into()));
    assert_eq!(targets(&dev), [row("more", "disabled"), row("research", "open"), row("runs", "open")]);
    let (out, _) = assert_ok(local(&dev, "get", &[&desk[..], &["--target", "more"]].concat()));
    assert!(out.starts_with("more disabled\n") && out.contains("tracking_server_name experiments"), "{out}");

    // A group that there is not yet; with everybody's rows it is listed too, by what it opens and by its state.
    assert_ok(local(&dev, "put", &["--group", "=new group", "--target", "lab", "--kind", "studio", "--domain-id", "d-demorisk"]));
    let (out, _) = assert_ok(dev.grants(&["list", "--domain-id", "d-demorisk", "--state", "open"]));
    assert!(out.contains("group =new group") && out.contains("studio d-demorisk\n") && out.contains("demo-bob"), "{out}");
    let (out, _) = assert_ok(local(&dev, "list", &["--target", "more", "--state", "disabled"]));
    assert!(out.lines().count() == 2 && out.contains("group research-desk"), "{out}");

    let (out, err) = assert_ok(local(&dev, "delete", &[&desk[..], &["--target", "more"]].concat()));
    assert_eq!((out.as_str(), &change(&err)["change"]), ("more deleted\n", &"deleted".into()));
    for command in ["delete", "get"] {
        let (code, out, err) = local(&dev, command, &[&desk[..], &["--target", "more"]].concat());
        assert_eq!((code, out.as_str(), err.as_str()), (1, "group research-desk has no grant more\n", ""));
    }
    assert_eq!(targets(&dev), [row("research", "open"), row("runs", "open")]);
    assert_eq!(dev.launch("kate")["target"], "research");
}

#[test]
fn what_a_group_cannot_be_granted_is_refused_before_it_is_written() {
    let dev = Dev::start(&[]);
    let desk = ["--group", "research-desk", "--target", "x"];
    for (arguments, code, says) in [
        (&[&STUDIO[..], &["--user-profile-name", "kate"]].concat()[..], 1, "user_profile_name: is not for a group's grant"),
        (&["--kind", "notebook", "--notebook-instance-name", "nb"], 1, "kind: is one person's own, and no group's"),
        (&["--kind", "studio"], 1, "domain_id: is missing"),
        (&[&STUDIO[..], &["--subject", "demo-kate"]].concat(), 2, "cannot be used with"),
    ] {
        let (came, out, err) = local(&dev, "put", &[&desk, arguments].concat());
        assert!(came == code && out.is_empty() && err.contains(says), "{arguments:?}: {came} {out} {err}");
    }
    for (command, arguments) in [
        ("put", &[&["--target", "x"], &STUDIO[..]].concat()[..]),
        ("get", &["--target", "x"]),
        ("list", &["--group", "a", "--subject", "b"]),
        ("put", &[&["--group", "a\nb", "--target", "x"], &STUDIO[..]].concat()),
        ("profile", &["--subject", "demo-nick"]),
        ("profile", &["--subject", "demo-nick", "--user-profile-name", "a b"]),
        ("profile", &["--subject", "demo-nick", "--user-profile-name", "a", "--remove"]),
        ("profile", &["--subject", "demo-nick", "--user-profile-name", "a", "--domain-id", "abc"]),
    ] {
        let (code, out, err) = local(&dev, command, arguments);
        assert!(code == 2 && out.is_empty(), "{command} {arguments:?}: {code} {out} {err}");
    }
    assert_eq!(dev.grants(&["list", "--group", "a"]).0, 2, "a group is an issuer's");

    // Somebody has closed a group by hand, in a way that there is not: it grants nothing, and nothing is written into it.
    let url = dev.environment.iter().find(|(name, _)| name == "AWS_ENDPOINT_URL_DYNAMODB").map(|(_, url)| url.clone()).unwrap();
    RawTable::new(&url, "latchkey").put("GROUP#local#closed", "GROUP", Item::from([("enabled".to_owned(), Attribute::Bool(false))]));
    let closed = ["--group", "closed", "--target", "x"];
    let (code, out, err) = local(&dev, "put", &[&closed[..], &RUNS].concat());
    assert_eq!((code, err.as_str()), (1, ""));
    let rule = "enabled: is not an attribute of a group (own attributes begin with x_)";
    assert_eq!(out, format!("x is not written: the item of group closed is no group's: {rule}\n"));
    let (out, _) = assert_ok(dev.grants(&["list", "--state", "malformed"]));
    assert!(out.lines().any(|line| line.contains("group closed") && line.contains("(the group)")), "{out}");
    let explanation = explained(&dev, "dave", &["closed"], "x");
    assert_eq!(explanation["refusal"]["reason"], "grant.malformed");
    let (code, _, err) = dev.grants(&["export"]);
    assert!(code == 1 && err.contains(&format!("local group closed (the group) is left out: {rule}")), "{err}");
    let file = dev.folder.path().join("a.csv");
    std::fs::write(&file, "issuer,group,target,kind,tracking_server_name\nlocal,closed,x,mlflow-server,s\n").unwrap();
    let (code, out, err) = dev.grants(&["import", file.to_str().unwrap(), "--yes"]);
    assert!(code == 1 && out.starts_with(&format!("line 2: the group's item in the table is none: {rule}\n")), "{out}");
    assert!(changes(&err).is_empty());
}

/// By a token, the groups are those that it names.
#[test]
fn a_launch_through_a_group_is_explained() {
    let dev = Dev::start(&[]);
    let token = dev.printed("TOKEN=");
    let issuer = token.split_whitespace().find_map(|word| word.strip_suffix("/dev/token)")).unwrap();
    let events = latchkey_tests::tools::root().join("events");
    let explain = |event: &str, more: &[&str]| {
        let path = events.join(event);
        dev.run(&[&["explain", "--event", path.to_str().unwrap(), "--token-issuer", issuer], more].concat())
    };
    let (out, _) = assert_ok(explain("launch-group.json", &[]));
    for says in [
        "its groups can be read, where they are looked at: research-desk",
        "it is the only one meant: research, of the group research-desk",
        "The grant that matched: research, of the group research-desk",
        "user-profile/d-demoresearch/kate",
    ] {
        assert!(out.contains(says), "{says}: {out}");
    }
    for (event, says) in [
        ("not-entitled-group-ambiguous.json", "groups mlops, research-desk"),
        ("not-entitled-group-no-profile.json", "grant.no-profile"),
        ("not-entitled-group-own-row.json", "grant.disabled"),
        ("not-entitled-not-in-group.json", "grant.none"),
    ] {
        let (code, out, err) = explain(event, &[]);
        assert!(code == 1 && out.contains(says), "{event}: {code} {out}{err}");
        let (_, out, _) = explain(event, &["--json"]);
        let explanation: Value = serde_json::from_str(&out).unwrap();
        assert!(explanation["calls"].as_array().unwrap().is_empty() && !explanation["refusal"]["what_to_do"].is_null(), "{out}");
    }
}

/// What the broker would not look at is not explained as if it did.
#[test]
fn a_group_that_is_not_looked_at_is_not_explained() {
    let dev = Dev::start(&[]);
    let usual = dev.environment.iter().find(|(name, _)| name == "LATCHKEY_ISSUERS").map(|(_, issuers)| issuers.clone()).unwrap();
    let explain = |claim: &str, groups: &[String]| {
        let issuers = usual.replace(r#""groups_claim":"groups""#, claim);
        let groups = groups.iter().flat_map(|group| ["--group", group]);
        let arguments = ["explain", "--issuers", &issuers, "--issuer", "local", "--subject", "demo-kate"];
        dev.run(&arguments.into_iter().chain(groups).collect::<Vec<_>>())
    };
    let desk = ["research-desk".to_owned()];
    let many: Vec<String> = (0..91).map(|number| format!("research-{number}")).collect();
    let prefixed = |prefix: &str| format!(r#""groups_claim":"groups","groups_prefix":"{prefix}""#);
    for (claim, groups, says) in [
        (r#""algorithms":["RS256"]"#.to_owned(), &desk[..], "looks at no groups of the issuer local, which has no groups_claim"),
        (prefixed("app-"), &desk, "the group research-desk, which does not begin with app-"),
        (prefixed("research-"), &many, "more than 90 groups"),
    ] {
        let (code, out, err) = explain(&claim, groups);
        assert!(code == 1 && out.is_empty() && err.contains(says), "{claim}: {code} {out}{err}");
    }
    let (out, _) = assert_ok(explain(&prefixed("research-"), &desk));
    assert!(out.contains("The grant that matched: research, of the group research-desk"), "{out}");
    // Nobody is in a group that is not said, and it is said that nobody was asked.
    let (code, out, _) = explain(&prefixed("research-"), &[]);
    assert!(code == 1 && out.contains("grant.none") && out.contains("which groups it names; --group says them"), "{out}");
}
