//! Grants by the file: what an operator who knows only `--help` does, and what may go wrong on the way into the table.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use latchkey_aws::grant_admin::{Expect, GrantAdmin, GroupIdentity};
use latchkey_domain::grant::Grant;
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::item::{Item, Value as Attribute};
use latchkey_domain::names::TargetName;
use latchkey_domain::subject::Profiles;
use latchkey_standin::fault::{Fault, Gate};
use latchkey_standin::relay::Relay;
use latchkey_tests::process::Process;
use latchkey_tests::raw_table::RawTable;
use latchkey_tests::stack::{World, annotation, clients};
use serde_json::{Value, json};

use support::{Dev, PATIENCE, change, changes, latchkey, run};

const CSV: &str = "issuer,subject,target,kind,domain_id,user_profile_name,notebook_instance_name,expires_at,note\n";

#[track_caller]
fn assert_ok((code, out, err): (i32, String, String)) -> (String, String) {
    assert_eq!(code, 0, "{out}\n{err}");
    (out, err)
}

#[test]
fn an_operator_who_knows_only_the_help_imports_explains_suspends_and_exports() {
    let dev = Dev::start(&[]);
    let path = dev.folder.path().join("grants.csv");
    let file = path.to_str().unwrap();

    // The help names the commands, and the columns of the file.
    let (out, _) = assert_ok(dev.run(&["--help"]));
    assert!(["grants", "suspend", "resume"].iter().all(|command| out.contains(command)), "{out}");
    let (out, _) = assert_ok(dev.run(&["grants", "--help"]));
    assert!(["import", "export"].iter().all(|command| out.contains(command)), "{out}");
    let (out, _) = assert_ok(dev.run(&["grants", "import", "--help"]));
    let row = "issuer,subject,target,kind,domain_id,user_profile_name,expires_at,note";
    assert!(out.contains(row) && out.contains("grants import grants.csv --dry-run"), "{out}");

    // Three bad rows: one is no grant, one stands there twice, and one is for a profile that is erin's by the table.
    let bad = format!(
        "{CSV}local,new-1,lab,studio,d-demoresearch,new-1,,1900000000,CHG-1\n\
         local,new-2,lab,studio,d-demoresearch,new-2,,tomorrow,CHG-1\n\
         local,new-1,lab,studio,d-demoresearch,new-1,,,\n\
         local,new-3,lab,studio,d-demoresearch,Erin,,,\n\
         local,demo-dave,,,,,,,\"=HYPERLINK(\"\"x\"\")\"\n"
    );
    std::fs::write(&path, &bad).unwrap();
    let before = dev.grants(&["list", "--json"]).1;
    let (code, out, err) = dev.grants(&["import", file, "--yes"]);
    assert_eq!((code, err.as_str()), (1, ""));
    assert_eq!(
        out,
        "line 3: expires_at: is a whole number (N) of seconds since 1970-01-01T00:00:00Z\n\
         line 4: is for the same issuer, subject and target as line 2\n\
         line 5: opens what is or may be somebody else's already, see local demo-erin (target research); --shared takes it all the same\n\
         nothing is written: 3 of 5 rows are bad\n"
    );
    assert_eq!(dev.grants(&["list", "--json"]).1, before, "nothing was written");

    // Mended, looked at, and imported.
    let good =
        bad.replace("tomorrow", "1900000000").replace("local,new-1,lab,studio,d-demoresearch,new-1,,,\n", "").replace("Erin", "new-3");
    std::fs::write(&path, &good).unwrap();
    let difference = "+ local new-1 lab\n+ local new-2 lab\n+ local new-3 lab\n+ local demo-dave (the subject)\n\
                      4 added, 0 changed, 0 unchanged: 4 rows read; an import deletes no row\n";
    let (out, err) = assert_ok(dev.grants(&["import", file, "--dry-run"]));
    assert_eq!((out, err), (format!("{difference}nothing is written: this was a dry run\n"), String::new()));
    assert_eq!(dev.grants(&["list", "--json"]).1, before, "nothing was written");
    let (code, out, err) = dev.grants(&["import", file]);
    assert_eq!((code, out.as_str()), (2, ""));
    assert!(err.contains("there is no terminal to ask on; --yes writes without asking"), "{err}");
    let (out, err) = assert_ok(dev.grants(&["import", file, "--yes", "--by", "ops-jane"]));
    assert_eq!(out, format!("{difference}4 of 4 written\n"));
    let records = changes(&err);
    assert_eq!(records.len(), 4);
    assert!(
        records.iter().all(|record| record["by"] == "ops-jane" && record["command"] == "grants import" && record["change"] == "created")
    );

    // Again: there is nothing left to do. Then a change.
    let (out, err) = assert_ok(dev.grants(&["import", file, "--yes"]));
    assert!(out.starts_with("0 added, 0 changed, 4 unchanged") && err.is_empty(), "{out}{err}");
    std::fs::write(&path, good.replace("new-2,,1900000000,CHG-1", "new-2,,1900000001,CHG-2")).unwrap();
    let (out, err) = assert_ok(dev.grants(&["import", file, "--yes"]));
    assert!(out.starts_with("~ local new-2 lab: expires_at, note\n0 added, 1 changed, 3 unchanged"), "{out}");
    let record = change(&err);
    assert_eq!((&record["before"]["note"], &record["after"]["note"]), (&"CHG-1".into(), &"CHG-2".into()));

    // A subject is suspended, at once, and resumed; what its record said besides stays.
    let dave = ["--issuer", "local", "--subject", "demo-dave"];
    assert_ok(
        dev.grants(
            &[
                &["put", "--target", "lab", "--kind", "studio", "--domain-id", "d-demoresearch", "--external-id", "latchkey-demo"],
                &dave[..],
                &["--user-profile-name", "erin", "--shared"],
            ]
            .concat(),
        ),
    );
    assert_eq!(dev.launch("dave")["target"], "lab");
    let (out, err) = assert_ok(dev.run(&[&["suspend"], &dave[..]].concat()));
    assert_eq!(out, "demo-dave is suspended\n");
    let record = change(&err);
    assert_eq!((&record["before"]["status"], &record["after"]["status"]), (&"active".into(), &"suspended".into()));
    assert_eq!(record["after"]["note"], "=HYPERLINK(\"x\")", "what is there stays");
    assert_eq!(dev.launch("dave")["code"], "not-entitled");
    // Why? The help knows a command for it, and its answer says what to do.
    let (out, _) = assert_ok(dev.run(&["--help"]));
    assert!(out.contains("explain"), "{out}");
    let (code, out, _) = dev.run(&[&["explain"], &dave[..]].concat());
    println!("{out}");
    assert!(code == 1 && out.contains("subject.suspended") && out.contains("not-entitled"), "{out}");
    let (out, err) = assert_ok(dev.run(&[&["suspend"], &dave[..]].concat()));
    assert_eq!((out.as_str(), err.as_str()), ("demo-dave was suspended already\n", ""));
    let (out, err) = assert_ok(dev.run(&[&["suspend", "--note", "T-1"], &dave[..]].concat()));
    assert_eq!((out.as_str(), &change(&err)["after"]["note"]), ("demo-dave was suspended already; the note is new\n", &"T-1".into()));
    // A file that has the subject as active: an old file lets nobody in again. One that does not say it leaves the suspension.
    let old = dev.folder.path().join("old.csv");
    std::fs::write(&old, "issuer,subject,status,note\nlocal,demo-dave,active,old\n").unwrap();
    let (code, out, _) = dev.grants(&["import", old.to_str().unwrap(), "--yes"]);
    assert!(
        code == 1 && out.starts_with("line 2: status: the subject is suspended in the table, which only `latchkey resume` ends"),
        "{out}"
    );
    std::fs::write(&old, "issuer,subject,note\nlocal,demo-dave,T-2\n").unwrap();
    let (out, err) = assert_ok(dev.grants(&["import", old.to_str().unwrap(), "--yes"]));
    assert!(out.starts_with("~ local demo-dave (the subject): note\n"), "{out}");
    assert_eq!((&change(&err)["after"]["status"], &change(&err)["after"]["note"]), (&"suspended".into(), &"T-2".into()));
    let (out, err) = assert_ok(dev.run(&[&["resume", "--json", "--note", "back"], &dave[..]].concat()));
    assert_eq!(
        serde_json::from_str::<Value>(&out).unwrap(),
        json!({"issuer": "local", "subject": "demo-dave", "state": "active", "done": "resumed"})
    );
    assert_eq!((&change(&err)["command"], &change(&err)["after"]["note"]), (&"resume".into(), &"back".into()));
    assert_eq!(dev.launch("dave")["target"], "lab");
    let (out, err) = assert_ok(dev.run(&[&["resume"], &dave[..]].concat()));
    assert_eq!((out.as_str(), err.as_str()), ("demo-dave was not suspended\n", ""));
    // Somebody without any record.
    let nobody = ["--issuer", "local", "--subject", "nobody-yet"];
    let (out, err) = assert_ok(dev.run(&[&["resume"], &nobody[..]].concat()));
    let mind = "the table had nothing of this subject: is it spelt as the issuer spells it?";
    assert_eq!((out, err), (format!("nobody-yet was not suspended\n  mind              {mind}\n"), String::new()));
    let (out, err) = assert_ok(dev.run(&[&["suspend", "--by", "ops"], &nobody[..]].concat()));
    assert_eq!(out, format!("nobody-yet is suspended\n  mind              {mind}\n"));
    assert_eq!((&change(&err)["change"], &change(&err)["after"]["updated_by"]), (&"created".into(), &"ops".into()));
    let (out, _) = assert_ok(dev.run(&["suspend", "--json", "--issuer", "local", "--subject", "nobody-at-all"]));
    assert_eq!(serde_json::from_str::<Value>(&out).unwrap()["mind"], mind);
    // Of somebody who has a grant, and no record, nothing is to be minded.
    assert_ok(dev.grants(&[
        "put",
        "--issuer",
        "local",
        "--subject",
        "granted",
        "--target",
        "runs",
        "--kind",
        "mlflow-server",
        "--tracking-server-name",
        "s",
    ]));
    assert_eq!(assert_ok(dev.run(&["suspend", "--issuer", "local", "--subject", "granted"])).0, "granted is suspended\n");
    // An issuer that is not there: nothing is done. Only where the variable says which there are can that be known.
    for command in [&["suspend"][..], &["resume"], &["revoke", "--yes"]] {
        let (code, out, err) = dev.run(&[command, &["--issuer", "locl", "--subject", "demo-dave"]].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{command:?}: {err}");
        assert!(err.starts_with("latchkey: nothing is done: there is no issuer locl in LATCHKEY_ISSUERS, which has local."), "{err}");
    }
    assert!(!dev.grants(&["list"]).1.contains("locl"));
    let mut command = latchkey();
    command.envs(dev.environment.iter().filter(|(name, _)| name != "LATCHKEY_ISSUERS").cloned());
    assert_ok(run(command.args(["suspend", "--issuer", "formerly", "--subject", "demo-dave"])));

    // Everything as a file, in which a spreadsheet runs nothing.
    let exported = dev.folder.path().join("all.csv");
    let (out, err) = assert_ok(dev.grants(&["export", exported.to_str().unwrap()]));
    assert!(out.is_empty() && err.contains("grants and ") && err.contains("subjects' records are exported"), "{err}");
    let text = std::fs::read_to_string(&exported).unwrap();
    assert!(text.starts_with("issuer,subject,group,target,status,kind,") && text.contains("nobody-yet,,,suspended"), "{text}");
    let (out, _) = assert_ok(dev.grants(&["import", exported.to_str().unwrap(), "--yes"]));
    assert!(out.starts_with("0 added, 0 changed, "), "{out}");
}

#[test]
fn grants_are_listed_by_what_they_open_and_by_their_state() {
    let dev = Dev::start(&[]);
    let list = |arguments: &[&str]| -> Vec<(String, String, String)> {
        let (out, _) = assert_ok(dev.grants(&[&["list", "--json"], arguments].concat()));
        let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
        let rows = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| (text(&row["subject"]), text(&row["target"]), text(&row["state"]))).collect()
    };
    let closed = ["--target", "own", "--kind", "mlflow-server", "--tracking-server-name", "s", "--disabled"];
    assert_ok(dev.grants(&[&["put", "--issuer", "local", "--subject", "demo-alice"], &closed[..]].concat()));
    let later = ["--target", "later", "--kind", "mlflow-server", "--tracking-server-name", "s", "--not-before", "4000000000"];
    assert_ok(dev.grants(&[&["put", "--issuer", "local", "--subject", "demo-alice"], &later[..]].concat()));
    for command in ["suspend", "resume"] {
        assert_ok(dev.run(&[command, "--issuer", "local", "--subject", "demo-alice"]));
    }
    let all = list(&[]);
    let states: BTreeSet<&str> = all.iter().map(|row| row.2.as_str()).collect();
    assert!(states.is_superset(&["open", "active", "suspended", "disabled", "expired", "not yet"].into()), "{states:?}");
    for state in &states {
        let expected: Vec<_> = all.iter().filter(|row| row.2 == **state).cloned().collect();
        assert_eq!(list(&["--state", &state.replace(' ', "-")]), expected, "{state}");
    }
    let both = list(&["--state", "disabled", "--state", "expired"]);
    assert!(both.len() >= 2 && both.iter().all(|row| ["disabled", "expired"].contains(&row.2.as_str())));
    let (out, _) = assert_ok(dev.grants(&["list", "--json", "--kind", "notebook"]));
    assert!(out.lines().count() > 0 && out.lines().all(|line| line.contains(r#""kind":"notebook""#)), "{out}");
    let bobs = list(&["--domain-id", "d-demorisk", "--user-profile-name", "BOB"]);
    assert!(!bobs.is_empty() && bobs.iter().all(|row| row.0 == "demo-bob"), "{bobs:?}");
    assert!(list(&["--domain-id", "d-demorisk", "--user-profile-name", "alice"]).is_empty());
    assert!(list(&["--target", "research"]).iter().all(|row| row.1 == "research"));
    assert!(list(&["--issuer", "elsewhere"]).is_empty());
    assert_eq!(list(&["--issuer", "local", "--subject", "demo-carol", "--state", "suspended"]).len(), 2);
    for arguments in
        [&["list", "--kind", "terminal"][..], &["list", "--state", "odd"], &["list", "--issuer", "Odd"], &["list", "--subject", "x"]]
    {
        assert_eq!(dev.grants(arguments).0, 2, "{arguments:?}");
    }
}

/// A table whose calls go through a relay, and its operator's environment.
struct Scene {
    world: World,
    folder: tempfile::TempDir,
    table: String,
}

impl Scene {
    fn start() -> Self {
        Self { world: World::start(), folder: tempfile::tempdir().unwrap(), table: "latchkey".to_owned() }
    }

    /// The same, with another table, which has nothing in it yet.
    fn with_table(mut self, name: &str) -> Self {
        name.clone_into(&mut self.table);
        assert!(self.world.block_on(self.operator().create_table()).unwrap());
        self
    }

    /// Past the relay.
    fn operator(&self) -> GrantAdmin {
        let endpoint = self.world.stack.table.endpoint();
        let environment = self.world.environment(&[("AWS_ENDPOINT_URL_DYNAMODB", &endpoint)]);
        GrantAdmin::new(clients(&environment).dynamodb_for_operators(), &*self.table)
    }

    fn relay(&self) -> &Relay {
        self.world.stack.table_relay.as_ref().unwrap()
    }

    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = latchkey();
        command.envs(self.world.env(&[("LATCHKEY_TABLE", &self.table)])).arg("grants").args(arguments);
        command
    }

    fn grants(&self, arguments: &[&str]) -> (i32, String, String) {
        run(&mut self.command(arguments))
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path
    }

    /// How many calls of that name have gone through.
    fn count(&self, action: &str) -> usize {
        self.relay().captured().iter().filter(|call| call.action == action).count()
    }

    /// The rows of the table without who wrote them when, each as JSON.
    fn rows(&self) -> BTreeSet<String> {
        let mut rows = BTreeSet::new();
        let operator = self.operator();
        let mut next = None;
        loop {
            let page = self.world.block_on(operator.list_all(next)).unwrap();
            for mut row in page.rows {
                row.item.retain(|name, _| !name.starts_with("updated_"));
                if row.is_subject() {
                    // A file spells out what may be left unsaid.
                    row.item.entry("status".to_owned()).or_insert_with(|| Attribute::S("active".to_owned()));
                }
                rows.insert(json!([row.partition_key, row.sort_key, row.item]).to_string());
            }
            next = page.next;
            if next.is_none() {
                return rows;
            }
        }
    }

    fn put(&self, subject: &str, target: &str, attributes: &Value) {
        let item: Item = serde_json::from_value(attributes.clone()).unwrap();
        let grant = Grant::from_item(TargetName::new(target).unwrap(), &item).unwrap();
        let identity = Identity { issuer: IssuerId::new("local").unwrap(), subject: Subject::new(subject).unwrap() };
        self.world.block_on(self.operator().put_grant(&identity, &grant, &annotation(), Expect::Anything)).unwrap();
    }

    fn grant_to_group(&self, group: &str, target: &str, attributes: &Value) {
        let item: Item = serde_json::from_value(attributes.clone()).unwrap();
        let grant = GroupGrant::from_item(TargetName::new(target).unwrap(), &item).unwrap();
        let whose = GroupIdentity { issuer: IssuerId::new("local").unwrap(), group: Group::new(group).unwrap() };
        self.world.block_on(self.operator().put_group_grant(&whose, &grant, &annotation(), Expect::Anything)).unwrap();
    }
}

/// A file of so many notebooks, one for each subject.
fn notebooks(count: usize, note: &str) -> String {
    let rows = (0..count).map(|n| format!("local,user-{n},lab,notebook,,,nb-{n},,{note}\n"));
    format!("{CSV}{}", rows.collect::<String>())
}

fn text(path: &Path) -> &str {
    path.to_str().unwrap()
}

#[test]
fn what_is_exported_imports_back_equal_in_every_format() {
    let scene = Scene::start();
    // A grant with all there is, and odd values.
    scene.put(
        "= \"odd\", 'subject'#\u{2028}é",
        "whole",
        &json!({"kind": "studio", "domain_id": "d-demoresearch", "user_profile_name": "whole", "region": "eu-central-1",
            "account_id": "111122223333", "role_arn": "arn:aws:iam::111122223333:role/x", "external_id": "=ext", "enabled": false,
            "not_before": 5, "expires_at": 1_900_000_000, "url_seconds": 5, "session_seconds": 1800, "landing": "lab",
            "landings": {"lab": {"landing_uri": "app:JupyterLab:lab", "space_name": "team"}, "bare": {}},
            "provision": {"execution_role_arn": "arn:aws:iam::111122223333:role/e", "security_group_ids": ["sg-01234567"], "tags": {"a b": "c"}}}),
    );
    let rows = scene.rows();
    let exports = ["csv", "jsonl", "yaml"].map(|format| {
        let path = scene.folder.path().join(format!("all.{format}"));
        let (_, err) = assert_ok(scene.grants(&["export", text(&path)]));
        assert!(err.contains("exported"), "{err}");
        let (out, _) = assert_ok(scene.grants(&["export", "--format", format]));
        assert_eq!(out, std::fs::read_to_string(&path).unwrap(), "to standard output it is the same");
        path
    });
    for (index, path) in exports.iter().enumerate() {
        let other = Scene::start().with_table(&format!("other-{index}"));
        let (out, _) = assert_ok(other.grants(&["import", text(path), "--yes", "--shared", "--json"]));
        let summary: Value = serde_json::from_str(out.lines().last().unwrap()).unwrap();
        assert_eq!((&summary["done"], &summary["added"]), (&"imported".into(), &rows.len().into()));
        assert_eq!(other.rows(), rows, "{}", path.display());
        let again = other.folder.path().join(path.file_name().unwrap());
        assert_ok(other.grants(&["export", text(&again)]));
        let sorted = |path: &Path| -> BTreeSet<String> { std::fs::read_to_string(path).unwrap().lines().map(ToOwned::to_owned).collect() };
        assert_eq!(sorted(&again), sorted(path));
    }
}

#[test]
fn what_groups_were_granted_goes_out_and_in_by_the_file() {
    let scene = Scene::start();
    let desk = ["--issuer", "local", "--group", "research-desk"];
    let path = scene.folder.path().join("desk.yaml");
    let (_, err) = assert_ok(scene.grants(&[&["export", text(&path)], &desk[..]].concat()));
    assert_eq!(err, "2 grants and 0 subjects' records are exported\n");
    let exported = std::fs::read_to_string(&path).unwrap();
    assert!(!exported.contains("subject") && !exported.contains("user_profile_name"), "{exported}");
    let list = |scene: &Scene| -> Vec<Value> {
        let (out, _) = assert_ok(scene.grants(&[&["list", "--json"], &desk[..]].concat()));
        let rows = out.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        rows.map(|row| json!([row["target"], row["state"], row["attributes"]["kind"], row["attributes"]["url_seconds"]])).collect()
    };
    let other = Scene::start().with_table("other");
    let (out, err) = assert_ok(other.grants(&["import", text(&path), "--yes", "--by", "ops"]));
    assert!(out.starts_with("+ local group research-desk research\n+ local group research-desk runs\n2 added"), "{out}");
    assert!(changes(&err).iter().all(|line| line["group"] == "research-desk" && line["change"] == "created" && line["by"] == "ops"));
    assert_eq!((list(&other).len(), list(&other)), (2, list(&scene)));

    // Only what differs is written, and what else the group was granted is as it was.
    let changed = scene.file(
        "desk.csv",
        "issuer,group,target,kind,tracking_server_name,url_seconds\nlocal,research-desk,runs,mlflow-server,experiments,20\n",
    );
    let (out, err) = assert_ok(scene.grants(&["import", text(&changed), "--yes"]));
    assert!(out.starts_with("~ local group research-desk runs: ") && out.contains("1 of 1 written"), "{out}");
    let record = change(&err);
    assert_eq!((record["before"].get("url_seconds"), &record["after"]["url_seconds"]), (None, &20.into()));
    assert_eq!(list(&scene), [list(&other)[0].clone(), json!(["runs", "open", "mlflow-server", 20])]);
    scene.relay().clear_captured();
    let (out, err) = assert_ok(scene.grants(&["import", text(&changed), "--yes"]));
    assert!(out.starts_with("0 added, 0 changed, 1 unchanged") && err.is_empty() && scene.count("UpdateItem") == 0, "{out}");

    // What somebody writes meanwhile, to that very grant, is not written over; what they write to another is no matter.
    let again = |seconds: u32, meanwhile: &str| {
        let text_of = std::fs::read_to_string(&changed).unwrap().replace(",20", &format!(",{seconds}"));
        let path = scene.file("again.csv", &text_of);
        scene.relay().clear_captured();
        let gate = Gate::closed();
        scene.relay().inject("UpdateItem", 1, &Fault::Hold(gate.clone()));
        let mut import = Process::start(&mut scene.command(&["import", text(&path), "--yes"]));
        wait(|| scene.count("UpdateItem") == 1);
        let closed = json!({"kind": "mlflow-server", "tracking_server_name": "experiments", "enabled": false});
        scene.grant_to_group("research-desk", meanwhile, &closed);
        gate.open();
        (import.wait(PATIENCE).code(), import)
    };
    let (code, import) = again(25, "runs");
    let said = "line 2: not written: the table's row has been written since it was compared";
    import.output().wait(0, PATIENCE, |line| (line == said).then_some(()));
    assert_eq!((code, &list(&scene)[1]), (Some(1), &json!(["runs", "disabled", "mlflow-server", null])));
    let (code, _) = again(26, "a-new-one");
    assert_eq!((code, list(&scene).len(), &list(&scene)[2]), (Some(0), 3, &json!(["runs", "open", "mlflow-server", 26])));
}

/// The procedure of docs/grants.md for a whole list: a file that says whom to suspend, and nothing else.
#[test]
fn a_list_of_whom_to_suspend_takes_nothing_else_from_anybody() {
    let scene = Scene::start();
    let subject = |name: &str| Identity { issuer: IssuerId::new("local").unwrap(), subject: Subject::new(name).unwrap() };
    let profiles = |text: &str| Profiles::from_item(Some(&serde_json::from_str(text).unwrap())).unwrap();
    let pias = profiles(r#"{"user_profile_name":"pia","user_profile_names":{"d-demorisk":"pia-risk"}}"#);
    let noted = latchkey_aws::grant_admin::Annotation {
        note: Some("CHG-7".to_owned()),
        own: serde_json::from_str(r#"{"x_desk":"rates","x_n":5}"#).unwrap(),
        ..annotation()
    };
    scene.world.block_on(scene.operator().put_subject(&subject("pia"), Some(false), &pias, &noted, Expect::Absent)).unwrap();
    let before = scene.rows();
    let list = scene.file("list.csv", "issuer,subject,status\nlocal,pia,suspended\nlocal,nobody-yet,suspended\n");
    let (out, err) = assert_ok(scene.grants(&["import", text(&list), "--yes", "--by", "ops"]));
    assert!(out.starts_with("~ local pia (the subject): status\n+ local nobody-yet (the subject)\n1 added, 1 changed"), "{out}");
    let line = changes(&err).into_iter().find(|line| line["subject"] == "pia").unwrap();
    let mut after = line["before"].clone();
    after["status"] = "suspended".into();
    after["updated_at"] = line["after"]["updated_at"].clone();
    after["updated_by"] = "ops".into();
    assert_eq!(line["after"], after);
    let row = scene.world.block_on(scene.operator().get_subject(&subject("pia"))).unwrap().unwrap();
    assert_eq!((row.profiles(), &row.item["note"]), (Some(pias), &Attribute::S("CHG-7".to_owned())));
    assert_eq!((&row.item["x_desk"], &row.item["x_n"]), (&Attribute::S("rates".to_owned()), &Attribute::N("5".to_owned())));
    let rows: Vec<String> = before.iter().filter(|row| row.contains("#pia")).cloned().collect();
    let mut suspended: Vec<String> = scene.rows().into_iter().filter(|row| row.contains("#pia")).collect();
    assert_eq!((rows.len(), suspended.len()), (1, 1));
    assert_eq!(suspended.remove(0).replace("suspended", "active"), rows[0]);
    let (out, err) = assert_ok(scene.grants(&["import", text(&list), "--yes"]));
    assert!(out.starts_with("0 added, 0 changed, 2 unchanged") && err.is_empty(), "{out}");

    // A note and a profile in one more domain: the suspension, the other domain's profile and the rest stay.
    let more = r#"{"issuer":"local","subject":"pia","note":"CHG-8","user_profile_names":{"d-demoresearch":"pia-r"}}"#;
    let (out, _) = assert_ok(scene.grants(&["import", text(&scene.file("more.jsonl", more)), "--yes"]));
    assert!(out.starts_with("~ local pia (the subject): note, user_profile_names\n"), "{out}");
    let row = scene.world.block_on(scene.operator().get_subject(&subject("pia"))).unwrap().unwrap();
    let names = r#"{"user_profile_name":"pia","user_profile_names":{"d-demorisk":"pia-risk","d-demoresearch":"pia-r"}}"#;
    assert_eq!((row.profiles(), &row.item["status"]), (Some(profiles(names)), &Attribute::S("suspended".to_owned())));
    assert_eq!((&row.item["note"], &row.item["x_desk"]), (&Attribute::S("CHG-8".to_owned()), &Attribute::S("rates".to_owned())));

    // A grant's row is written as a whole, and what goes with that is shown as such.
    scene.put(
        "pia",
        "lab",
        &json!({"kind": "notebook", "notebook_instance_name": "nb-pia", "url_seconds": 10, "expires_at": 1_900_000_000}),
    );
    let grant = scene.file("grant.csv", &format!("{CSV}local,pia,lab,notebook,,,nb-pia,1900000001,\n"));
    let (out, _) = assert_ok(scene.grants(&["import", text(&grant), "--dry-run"]));
    assert!(out.starts_with("~ local pia lab: expires_at, url_seconds (goes)\n"), "{out}");
    let (out, _) = assert_ok(scene.grants(&["import", text(&grant), "--dry-run", "--json"]));
    let shown: Value = serde_json::from_str(out.lines().next().unwrap()).unwrap();
    assert_eq!((&shown["attributes"], &shown["gone"]), (&json!(["expires_at", "url_seconds"]), &json!(["url_seconds"])));
}

#[test]
fn a_suspension_does_not_end_with_its_row() {
    let scene = Scene::start();
    let raw = RawTable::new(&scene.world.stack.table.endpoint(), &scene.table);
    let expiring = |subject: &str, status: &str| {
        let item = serde_json::from_value(json!({"status": status, "note": "CHG-1", "ttl": 1_900_000_000})).unwrap();
        raw.put(&format!("SUBJECT#local#{subject}"), "SUBJECT", item);
    };
    let row = |subject: &str| {
        let identity = Identity { issuer: IssuerId::new("local").unwrap(), subject: Subject::new(subject).unwrap() };
        scene.world.block_on(scene.operator().get_subject(&identity)).unwrap().unwrap()
    };
    let suspend = |subject: &str| {
        let mut command = latchkey();
        command.envs(scene.world.env(&[])).args(["suspend", "--issuer", "local", "--subject", subject]);
        assert_ok(run(&mut command))
    };
    // It is seen, in the list and with a grant.
    expiring("pia", "suspended");
    scene.put("pia", "lab", &json!({"kind": "notebook", "notebook_instance_name": "nb-pia"}));
    let pia = ["--issuer", "local", "--subject", "pia"];
    let (out, _) = assert_ok(scene.grants(&[&["list"], &pia[..]].concat()));
    assert!(out.contains("suspended  ttl: by it DynamoDB deletes the row, and the suspension with it; `latchkey suspend`"), "{out}");
    let (out, _) = assert_ok(scene.grants(&[&["get", "--target", "lab"], &pia[..]].concat()));
    assert!(out.starts_with("lab suspended (ttl: by it DynamoDB deletes the row"), "{out}");
    let (out, _) = assert_ok(scene.grants(&[&["get", "--json", "--target", "lab"], &pia[..]].concat()));
    assert!(serde_json::from_str::<Value>(&out).unwrap()["problem"].as_str().unwrap().starts_with("ttl: "), "{out}");
    // Who is suspended already stays so, and who becomes so as well.
    let (out, err) = suspend("pia");
    assert_eq!(out, "pia was suspended already, and DynamoDB would have deleted that at its ttl: now it stays\n");
    assert_eq!((change(&err)["before"]["ttl"].as_i64(), change(&err)["after"].get("ttl")), (Some(1_900_000_000), None));
    expiring("pip", "active");
    assert_eq!(suspend("pip").0, "pip is suspended\n");
    // By the file, too.
    expiring("pat", "suspended");
    let list = scene.file("list.csv", "issuer,subject,status\nlocal,pat,suspended\n");
    let (out, _) = assert_ok(scene.grants(&["import", text(&list), "--yes"]));
    assert!(out.starts_with("~ local pat (the subject): ttl (goes)\n"), "{out}");
    for subject in ["pia", "pip", "pat"] {
        let item = row(subject).item;
        let has = |name: &str, value: &str| item[name] == Attribute::S(value.to_owned());
        assert!(!item.contains_key("ttl") && has("status", "suspended") && has("note", "CHG-1"), "{subject}: {item:?}");
    }
}

/// Escape sequences, C1's among them, and what shows text in another order or on another line.
const OBEYED: &str = "\u{1b}]52;c;eA\u{7}\u{9b}2J\u{202e}\u{2028}\n";

#[test]
fn what_stands_in_the_table_or_a_file_a_terminal_is_shown_and_does_not_obey() {
    let scene = Scene::start();
    let raw = RawTable::new(&scene.world.stack.table.endpoint(), &scene.table);
    let item = |value: Value| serde_json::from_value::<Item>(value).unwrap();
    let spelt = "\u{202e}aip\u{2066}";
    let of_pia = format!("SUBJECT#local#{spelt}");
    let own = |value: &str| json!({"kind": "notebook", "notebook_instance_name": "nb-pia", "note": value, "x_n": {"m": value}});
    raw.put(&of_pia, "TARGET#lab", item(own(OBEYED)));
    raw.put(&of_pia, &format!("TARGET#{OBEYED}"), item(own("")));
    raw.put(&of_pia, "TARGET#odd", item(json!({"kind": "notebook", "notebook_instance_name": "nb", OBEYED: OBEYED})));
    raw.put(&format!("SUBJECT#{OBEYED}"), "SUBJECT", item(json!({"status": "active"})));
    let shown = |arguments: &[&str]| {
        let (_, out, err) = scene.grants(arguments);
        for (stream, text) in [("output", &out), ("error", &err)] {
            let obeyed = text.chars().find(|c| c.is_control() && *c != '\n' || OBEYED.contains(*c) && *c != '\n' && !c.is_ascii());
            assert_eq!(obeyed, None, "{arguments:?}, standard {stream}: {text:?}");
            assert!(!text.contains("\u{2066}"), "{arguments:?}, standard {stream}: {text:?}");
        }
        (out, err)
    };
    let (list, _) = shown(&["list"]);
    let ours: Vec<&str> = list.lines().filter(|line| line.contains("\\u202e")).collect();
    assert!(ours.len() == 4 && ours.iter().any(|line| line.contains("SUBJECT#\\u001b]52;c;eA\\u0007\\u009b2J\\u202e\\u2028\\n")), "{list}");
    let (get, _) = shown(&["get", "--issuer", "local", "--subject", spelt, "--target", "lab"]);
    assert!(get.contains("\n  note                \\u001b]52;") && get.lines().count() == 5, "{get}");
    let (get, _) = shown(&["get", "--issuer", "local", "--subject", spelt, "--target", "odd"]);
    assert!(get.starts_with("odd malformed (?]52;c;eA??2J\\u202e") && get.lines().count() == 4, "{get}");
    let to = scene.folder.path().join("all.jsonl");
    let (_, err) = shown(&["export", text(&to)]);
    assert_eq!(err.lines().filter(|line| line.contains("is left out")).count(), 3, "{err}");
    // For scripts it is as it was.
    let (list, _) = shown(&["list", "--json"]);
    let rows: Vec<Value> = list.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert!(rows.iter().any(|row| row["subject"] == spelt && row["attributes"]["note"] == OBEYED), "{list}");
    // A file's rows, what is wrong with them, whose a door is, and the line of the change.
    let row = |more: &str| {
        format!(r#"{{"issuer":"local","subject":"x\u202ey\u2066","target":"lab","kind":"notebook","notebook_instance_name":"{more}}}"#)
    };
    let file = |text: &str| scene.file("a.jsonl", text);
    for problem in [row("nb-pia\""), row("nb-x\",\"x\\u001b\\u202e\":1")] {
        let (out, _) = shown(&["import", text(&file(&problem)), "--yes"]);
        assert!(out.contains("nothing is written: 1 of 1 row is bad"), "{out}");
    }
    let (out, err) = shown(&["import", text(&file(&row("nb-x\",\"note\":\"\\u009b\\u001b\""))), "--yes"]);
    assert!(out.starts_with("+ local x\\u202ey\\u2066 lab\n"), "{out}");
    assert_eq!(change(&err)["after"]["note"], "\u{9b}\u{1b}");
    let put =
        ["put", "--issuer", "local", "--subject", "other", "--target", "lab", "--kind", "notebook", "--notebook-instance-name", "nb-pia"];
    assert!(shown(&put).0.contains("\n  local \\u202eaip\\u2066 (target lab)\n"));
}

#[test]
fn an_export_that_is_not_whole_says_so() {
    let scene = Scene::start();
    let identity = Identity { issuer: IssuerId::new("local").unwrap(), subject: Subject::new("odd").unwrap() };
    let own = |text: &str| serde_json::from_str::<Item>(text).unwrap();
    let annotation = latchkey_aws::grant_admin::Annotation { own: own(r#"{"x_n":18446744073709551615}"#), ..annotation() };
    scene.world.block_on(scene.operator().put_subject(&identity, Some(true), &Profiles::default(), &annotation, Expect::Absent)).unwrap();
    let (code, out, err) = scene.grants(&["export", "--issuer", "local", "--subject", "odd", "--json"]);
    assert_eq!((code, out.as_str()), (1, ""));
    // Standard output is the file: its summary is beside it.
    let mut lines = err.lines();
    assert!(lines.next().unwrap().contains("local odd (the subject) is left out: x_n: is neither"), "{err}");
    let summary: Value = serde_json::from_str(lines.next().unwrap()).unwrap();
    assert_eq!(summary, json!({"done": "exported", "grants": 0, "subjects": 0, "left_out": 1}));
    assert_eq!(scene.grants(&["export", "all.txt"]).0, 2, "no format");
    // A file is there as a whole or as it was.
    let path = scene.file("all.jsonl", "old");
    scene.relay().inject("Scan", 1, &Fault::error(400, "AccessDeniedException"));
    assert_eq!(scene.grants(&["export", text(&path)]).0, 1);
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
    assert_eq!(std::fs::read_dir(scene.folder.path()).unwrap().count(), 1, "and nothing beside it");
}

#[test]
fn an_import_waits_while_dynamodb_has_too_much_to_do() {
    let scene = Scene::start();
    let path = scene.file("a.csv", &notebooks(40, ""));
    scene.relay().inject("Scan", 4, &Fault::error(400, "ProvisionedThroughputExceededException"));
    scene.relay().inject("PutItem", 60, &Fault::error(400, "ThrottlingException"));
    let (out, err) = assert_ok(scene.grants(&["import", text(&path), "--yes"]));
    assert!(out.ends_with("40 of 40 written\n"), "{out}");
    assert_eq!((changes(&err).len(), scene.count("PutItem"), scene.count("Scan")), (40, 100, 5));
}

#[test]
fn an_import_that_is_refused_breaks_off_and_goes_on_when_it_is_run_again() {
    let scene = Scene::start();
    let path = scene.file("a.csv", &notebooks(100, ""));
    scene.relay().inject("PutItem", 30, &Fault::Delay(Duration::ZERO));
    scene.relay().inject("PutItem", 1, &Fault::error(400, "AccessDeniedException"));
    let (code, out, err) = scene.grants(&["import", text(&path), "--yes"]);
    assert_eq!(code, 1);
    assert!(out.trim_end().ends_with("; run the import again to go on: what is written already is not written twice"), "{out}");
    let [.., error, advice] = err.lines().collect::<Vec<_>>()[..] else { panic!("{err}") };
    assert!(error.starts_with("latchkey: DynamoDB: AccessDeniedException"), "{err}");
    assert!(advice.starts_with("what to do: the message names the right that is missing"), "{err}");
    let audited = err.lines().filter(|line| line.starts_with('{')).count();
    assert!((30..60).contains(&audited), "what is under way is finished, and no more begun: {audited}");
    assert!(out.contains(&format!("{audited} of 100 written")), "{out}");
    scene.relay().clear_faults();
    scene.relay().clear_captured();
    let (out, err) = assert_ok(scene.grants(&["import", text(&path), "--yes"]));
    let left = 100 - audited;
    assert!(out.contains(&format!("{left} added, 0 changed, {audited} unchanged")), "{out}");
    assert_eq!((changes(&err).len(), scene.count("PutItem")), (left, left));
}

#[test]
fn an_import_that_is_killed_goes_on_when_it_is_run_again() {
    let scene = Scene::start();
    let others = scene.rows().len();
    let path = scene.file("a.csv", &notebooks(400, ""));
    scene.relay().inject("PutItem", 60, &Fault::Delay(Duration::ZERO));
    scene.relay().inject("PutItem", 340, &Fault::Hold(Gate::closed()));
    let import = Process::start(&mut scene.command(&["import", text(&path), "--yes"]));
    let done = || scene.relay().captured().iter().filter(|call| call.action == "PutItem" && call.outcome.is_some()).count();
    wait(|| done() == 60 && scene.relay().under_way() > 0);
    drop(import);
    wait(|| scene.relay().under_way() == 0);
    let written = scene.rows().len() - others;
    assert_eq!(written, 60, "it was killed on the way");
    scene.relay().clear_faults();
    scene.relay().clear_captured();
    let (out, _) = assert_ok(scene.grants(&["import", text(&path), "--yes"]));
    assert!(out.ends_with(&format!("{0} of {0} written\n", 400 - written)), "{out}");
    assert_eq!((scene.count("PutItem"), scene.rows().len() - others), (400 - written, 400));
}

#[test]
fn an_interruption_ends_an_import_between_two_rows() {
    for signal in ["-INT", "-TERM", "-HUP"] {
        let scene = Scene::start();
        let path = scene.file("a.csv", &notebooks(200, ""));
        let log = scene.folder.path().join("changes");
        let gate = Gate::closed();
        scene.relay().inject("PutItem", 40, &Fault::Delay(Duration::ZERO));
        scene.relay().inject("PutItem", 160, &Fault::Hold(gate.clone()));
        let import = scene.command(&["import", text(&path), "--yes", "--audit-log", text(&log)]);
        let mut import = Process::start(&mut by(&BY_A_SHELL, &import));
        wait(|| scene.count("PutItem") > 40);
        kill(signal, &import);
        gate.open();
        assert_eq!(import.wait(PATIENCE).code(), Some(1), "{signal}");
        let audited = changes(&std::fs::read_to_string(&log).unwrap()).len();
        let said = format!("{audited} of 200 written; run the import again to go on: what is written already is not written twice");
        import.output().wait(0, PATIENCE, |line| (line == said).then_some(()));
        assert!(audited < 200 && audited == scene.count("PutItem"), "{signal}: what was begun is finished, and has its line: {audited}");
    }
}

#[test]
fn under_nohup_an_import_outlives_its_terminal() {
    let scene = Scene::start();
    let path = scene.file("a.csv", &notebooks(80, ""));
    let gate = Gate::closed();
    scene.relay().inject("PutItem", 20, &Fault::Delay(Duration::ZERO));
    scene.relay().inject("PutItem", 60, &Fault::Hold(gate.clone()));
    let mut import = Process::start(&mut by(&["nohup"], &scene.command(&["import", text(&path), "--yes"])));
    wait(|| scene.count("PutItem") > 20);
    kill("-HUP", &import);
    gate.open();
    assert_eq!(import.wait(PATIENCE).code(), Some(0));
    assert_eq!(scene.count("PutItem"), 80);
}

/// The command, started by another one.
fn by(starter: &[&str], command: &Command) -> Command {
    let mut started = Command::new(starter[0]);
    started.args(&starter[1..]).arg(command.get_program()).args(command.get_args());
    started.envs(command.get_envs().filter_map(|(name, value)| Some((name, value?))));
    started
}

/// How a shell on a terminal starts a command. These tests may run under `nohup` themselves, which is left to all that they start.
const BY_A_SHELL: [&str; 2] = ["env", "--default-signal=HUP"];

fn kill(signal: &str, process: &Process) {
    assert!(Command::new("kill").args([signal, &process.id().to_string()]).status().unwrap().success());
}

#[test]
fn an_export_takes_the_place_of_a_file_and_of_nothing_else() {
    use std::os::unix::fs::{FileTypeExt as _, PermissionsExt as _, symlink};
    let scene = Scene::start();
    let folder = scene.folder.path();
    let mode = |path: &Path| std::fs::metadata(path).unwrap().permissions().mode() & 0o777;
    // A new file is its owner's; one that is there stays as open as it was, also past a link, which stays one.
    let new = folder.join("new.jsonl");
    assert_ok(scene.grants(&["export", text(&new)]));
    assert_eq!(mode(&new), 0o600);
    let (there, link, chain) = (scene.file("there.jsonl", "old"), folder.join("link.jsonl"), folder.join("chain.jsonl"));
    std::fs::set_permissions(&there, std::fs::Permissions::from_mode(0o644)).unwrap();
    symlink("there.jsonl", &link).unwrap();
    symlink(&link, &chain).unwrap();
    for name in [&there, &link, &chain] {
        std::fs::write(&there, "old").unwrap();
        assert_ok(scene.grants(&["export", text(name)]));
        let written = std::fs::read_to_string(&there).unwrap();
        assert!(written.lines().count() > 5 && mode(&there) == 0o644, "{}: {written}", name.display());
    }
    assert!(link.symlink_metadata().unwrap().is_symlink() && chain.symlink_metadata().unwrap().is_symlink());

    // A pipe somebody may read, and a folder is no file; a link to nothing may be meant otherwise.
    let (fifo, to_fifo, dangling) = (folder.join("pipe.csv"), folder.join("to-pipe.csv"), folder.join("dangling.csv"));
    assert!(Command::new("mkfifo").arg(&fifo).status().unwrap().success());
    symlink(&fifo, &to_fifo).unwrap();
    symlink("nowhere", &dangling).unwrap();
    let sub = folder.join("folder.csv");
    std::fs::create_dir(&sub).unwrap();
    scene.relay().clear_captured();
    for (path, says) in [(&fifo, "is no file; `-`"), (&to_fifo, "is no file; `-`"), (&sub, "is no file; `-`"), (&dangling, "is a link")] {
        let (code, out, err) = scene.grants(&["export", text(path)]);
        assert_eq!((code, out.as_str()), (2, ""));
        assert!(err.starts_with(&format!("latchkey: {} {says}", path.display())), "{err}");
    }
    assert_eq!(scene.count("Scan"), 0, "it is said before the table is read");
    assert!(fifo.symlink_metadata().unwrap().file_type().is_fifo() && to_fifo.symlink_metadata().unwrap().is_symlink());
    assert!(dangling.symlink_metadata().unwrap().is_symlink());
}

#[test]
fn an_export_that_is_interrupted_leaves_nothing() {
    let scene = Scene::start();
    let path = scene.file("all.jsonl", "old");
    for signal in ["-INT", "-TERM", "-HUP"] {
        scene.relay().clear_captured();
        scene.relay().inject("Scan", 1, &Fault::Delay(Duration::from_secs(20)));
        let mut export = Process::start(&mut by(&BY_A_SHELL, &scene.command(&["export", text(&path)])));
        wait(|| scene.count("Scan") == 1);
        assert_eq!(std::fs::read_dir(scene.folder.path()).unwrap().count(), 2, "it is on its way");
        kill(signal, &export);
        assert_eq!(export.wait(PATIENCE).code(), Some(1), "{signal}");
        export.output().wait(0, PATIENCE, |line| line.ends_with("all.jsonl is as it was").then_some(()));
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "old");
        assert_eq!(std::fs::read_dir(scene.folder.path()).unwrap().count(), 1, "{signal}: nothing is beside it");
    }
}

#[track_caller]
fn wait(until: impl Fn() -> bool) {
    for _ in 0..PATIENCE.as_millis() / 10 {
        if until() {
            return;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("it does not come");
}

#[test]
fn a_write_whose_answer_was_lost_is_not_taken_for_somebody_elses() {
    let scene = Scene::start();
    let path = scene.file("a.csv", &notebooks(4, ""));
    scene.relay().inject("PutItem", 4, &Fault::Truncated);
    let (out, err) = assert_ok(scene.grants(&["import", text(&path), "--yes", "--by", "ops"]));
    assert!(out.ends_with("4 of 4 written\n"), "{out}");
    let records = changes(&err);
    assert!(records.len() == 4 && records.iter().all(|record| record["change"] == "created" && record["after"]["updated_by"] == "ops"));
}

#[test]
fn what_somebody_writes_meanwhile_is_not_written_over() {
    let scene = Scene::start();
    let grant = |name: &str| json!({"kind": "notebook", "notebook_instance_name": name});
    scene.put("user-0", "lab", &grant("nb-0"));
    let path = scene.file("a.csv", &notebooks(2, "new"));
    let gate = Gate::closed();
    scene.relay().inject("PutItem", 2, &Fault::Hold(gate.clone()));
    let mut import = Process::start(&mut scene.command(&["import", text(&path), "--yes"]));
    wait(|| scene.count("PutItem") == 2);
    // One is closed, and one made, while the import is about to write both.
    scene.put("user-0", "lab", &json!({"kind": "notebook", "notebook_instance_name": "nb-0", "enabled": false}));
    scene.put("user-1", "lab", &grant("other"));
    gate.open();
    assert_eq!(import.wait(PATIENCE).code(), Some(1));
    let lines = import.output();
    for line in [2, 3] {
        let said = format!("line {line}: not written: the table's row has been written since it was compared");
        lines.wait(0, PATIENCE, |text| (text == said).then_some(()));
    }
    lines.wait(0, PATIENCE, |text| text.starts_with("0 of 2 written; run the import again").then_some(()));
    let rows = scene.rows();
    assert!(rows.iter().any(|row| row.contains("nb-0") && row.contains("\"enabled\":false")), "{rows:?}");
    assert!(rows.iter().any(|row| row.contains("\"other\"")) && !rows.iter().any(|row| row.contains("nb-1")), "{rows:?}");
}

#[test]
fn a_person_at_a_terminal_is_asked() {
    let scene = Scene::start();
    let path = scene.file("a.csv", &notebooks(3, ""));
    let log = scene.folder.path().join("changes");
    // Python's pty is the terminal: it types the answer once it is asked.
    let script = r#"
import os, pty, sys
answer, seen = sys.argv[1], b""
def read(fd):
    global seen
    data = os.read(fd, 1024)
    if b"[y/N]" in seen + data and b"[y/N]" not in seen:
        os.write(fd, answer.encode() + b"\n")
    seen += data
    return data
sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[2:], read)))
"#;
    let answer = |answer: &str| {
        let command = scene.command(&["import", text(&path), "--audit-log", text(&log)]);
        let mut python = Command::new("python3");
        python.args(["-c", script, answer]).arg(command.get_program()).args(command.get_args());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => python.env(name, value),
                None => python.env_remove(name),
            };
        }
        run(&mut python)
    };
    let (code, out, _) = answer("n");
    assert!(code == 1 && out.contains("Write 3 rows? [y/N]") && out.contains("nothing is written"), "{out}");
    assert!(!log.exists() && scene.count("PutItem") == 0);
    let (code, out, _) = answer("y");
    assert!(code == 0 && out.contains("3 of 3 written"), "{out}");
    assert_eq!(changes(&std::fs::read_to_string(&log).unwrap()).len(), 3);
}

#[test]
fn a_quote_that_is_not_closed_takes_no_rows_with_it() {
    let scene = Scene::start();
    let before = scene.rows();
    let open = notebooks(4, "").replace("nb-1,,\n", "nb-1,,\"CHG-1\n");
    let path = scene.file("open.csv", &open);
    let (code, out, err) = scene.grants(&["import", text(&path), "--yes"]);
    let said = "line 3: a quote is opened and not closed\nnothing is written: 1 of 2 rows is bad\n";
    assert_eq!((code, out.as_str(), err.as_str()), (1, said, ""));
    let (_, out, _) = scene.grants(&["import", text(&path), "--yes", "--json"]);
    let [_, summary] = out.lines().collect::<Vec<_>>()[..] else { panic!("{out}") };
    let summary: Value = serde_json::from_str(summary).unwrap();
    assert_eq!(summary, json!({"done": "refused", "rows": 2, "bad": 1, "written": 0}));
    assert_eq!(scene.rows(), before);
}

#[test]
fn what_is_too_large_for_dynamodb_is_found_before_anything_is_written() {
    let scene = Scene::start();
    let large = "x".repeat(400 * 1024);
    let half = "x".repeat(200 * 1024);
    let raw = RawTable::new(&scene.world.stack.table.endpoint(), &scene.table);
    let there = json!({"targets": {"there": {"kind": "mlflow-server", "tracking_server_name": "s", "note": half}}});
    raw.put("GROUP#local#desk", "GROUP", serde_json::from_value(there).unwrap());
    raw.put("SUBJECT#local#pat", "SUBJECT", serde_json::from_value(json!({"status": "active", "x_a": half})).unwrap());
    let before = scene.rows();
    let server = |owner: &str, target: &str, note: &str| {
        let mut row = json!({"issuer": "local", "target": target, "kind": "mlflow-server", "tracking_server_name": "s", "note": note});
        let (name, value) = owner.split_once(' ').unwrap();
        row[name] = value.into();
        format!("{row}\n")
    };
    let subject = format!("{}\n", json!({"issuer": "local", "subject": "pat", "note": half}));
    let text_of = [
        &server("subject pia", "lab", "")[..],
        &server("subject pia", "large", &large),
        &subject,
        &server("group desk", "small", ""),
        &server("group desk", "half", &half),
    ];
    let path = scene.file("large.jsonl", &text_of.concat());
    let (code, out, err) = scene.grants(&["import", text(&path), "--yes"]);
    let said = "line 2: has more than the 400 KB that DynamoDB takes of a row\n\
                line 3: has more than the 400 KB that DynamoDB takes of a row\n\
                line 5: with it the group's item has more than the 400 KB that DynamoDB takes\n\
                nothing is written: 3 of 5 rows are bad\n";
    assert_eq!((code, out.as_str(), err.as_str()), (1, said, ""));
    assert_eq!(scene.rows(), before);
    assert_eq!(scene.count("PutItem") + scene.count("UpdateItem"), 0);
    // One by one, too.
    let from = scene.file("large.json", &json!({"note": large}).to_string());
    let grant = ["--target", "lab", "--kind", "mlflow-server", "--tracking-server-name", "s", "--from", text(&from), "--issuer", "local"];
    for owner in [["--subject", "pia"], ["--group", "desk"]] {
        let (code, _, err) = scene.grants(&[&["put"], &grant[..], &owner].concat());
        assert_eq!((code, err.as_str()), (1, "latchkey: the row has more than the 400 KB that DynamoDB takes\n"));
    }
    assert_eq!(scene.count("PutItem") + scene.count("UpdateItem"), 0);
    // What is just as large as it may be is written, and DynamoDB thinks so, too.
    let most = "x".repeat(400 * 1024 - 300);
    let path = scene.file("most.jsonl", &server("subject pia", "lab", &most));
    let (out, _) = assert_ok(scene.grants(&["import", text(&path), "--yes", "--by", "ops"]));
    assert!(out.ends_with("1 of 1 written\n"), "{out}");
}

#[test]
fn a_file_without_rows_is_no_success() {
    let scene = Scene::start();
    for (name, text_of) in [
        ("a.csv", ""),
        ("b.csv", "\n\r\n"),
        ("c.csv", "issuer,subject,status\n"),
        ("d.jsonl", ""),
        ("e.jsonl", "\n"),
        ("f.yaml", ""),
        ("g.yaml", "[]\n"),
    ] {
        let path = scene.file(name, text_of);
        for arguments in [&["--yes"][..], &["--dry-run"]] {
            let (code, out, err) = scene.grants(&[&["import", text(&path)], arguments].concat());
            assert_eq!((code, out.as_str()), (1, ""), "{name}");
            assert_eq!(err, format!("latchkey: {} has no rows: nothing is written\n", path.display()));
        }
    }
    let (code, _, err) = scene.grants(&["import", "-", "--format", "csv", "--yes"]);
    assert_eq!((code, err.as_str()), (1, "latchkey: standard input has no rows: nothing is written\n"));
}

#[test]
fn what_cannot_be_read_is_said() {
    let scene = Scene::start();
    let (code, _, err) = scene.grants(&["import", "grants.txt", "--yes"]);
    assert!(code == 2 && err.contains("grants.txt: the format is not known by that name; --format says it"), "{err}");
    let (code, _, err) = scene.grants(&["import", "/nowhere.csv", "--yes"]);
    assert!(code == 1 && err.contains("/nowhere.csv cannot be read"), "{err}");
    assert_eq!(scene.grants(&["import", "a.csv", "--yes", "--dry-run"]).0, 2);
    // A table that does not answer does not keep the file's faults secret.
    let path = scene.file("a.csv", &format!("{CSV}local,,lab,notebook,,,x,,\n"));
    scene.relay().inject("Scan", 1, &Fault::error(400, "AccessDeniedException"));
    let (code, out, err) = scene.grants(&["import", text(&path), "--yes"]);
    assert!(
        code == 1 && out.starts_with("line 2: subject: is missing, and so is group\n") && err.contains("AccessDeniedException"),
        "{out}{err}"
    );
}
