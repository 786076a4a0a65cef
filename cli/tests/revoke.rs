//! `latchkey revoke` against moto's IAM, STS and DynamoDB: what stands on the roles and in the table afterwards, and what it says.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};

use aws_sdk_iam::primitives::{DateTime, DateTimeFormat};
use latchkey_aws::clients::Clients;
use latchkey_aws::environment::Environment;
use latchkey_aws::grant_admin::{Annotation, Expect, GrantAdmin, GroupIdentity};
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_domain::grant::Grant;
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::item::{Item, Value as Attribute};
use latchkey_domain::names::TargetName;
use latchkey_domain::subject::Standing;
use latchkey_tests::moto::Moto;
use latchkey_tests::tools::tool;
use latchkey_transport::Transport;
use serde_json::{Value, json};

use self::support::{change, changes, latchkey, run};

/// moto's account, and one whose credentials the operator does not have.
const OWN: &str = "123456789012";
const ANOTHER: &str = "444455556666";
const ALICE: [&str; 4] = ["--issuer", "okta", "--subject", "00u1alice"];
const BOB: [&str; 4] = ["--issuer", "okta", "--subject", "auth0|bob"];
const ALICES: &str = "latchkey-revoked-okta.00u1alice-";

fn role(account: &str, name: &str) -> String {
    format!("arn:aws:iam::{account}:role/{name}")
}

fn identity(flags: [&str; 4]) -> Identity {
    Identity { issuer: IssuerId::new(flags[1]).unwrap(), subject: Subject::new(flags[3]).unwrap() }
}

/// The trust of an issuing role as template.yaml has it, with the scope user or role.
fn trust(scope_is_user: bool) -> Value {
    let broker = json!({"AWS": role(OWN, "latchkey-broker")});
    let mut opens = json!({
        "Sid": "Broker", "Effect": "Allow", "Principal": broker, "Action": "sts:AssumeRole",
        "Condition": {"StringEquals": {"sts:ExternalId": "x", "aws:SourceVpce": ["vpce-0123456789abcdef0"]}},
    });
    if scope_is_user {
        opens["Condition"]["Null"] = json!({"sts:SourceIdentity": "false"});
    }
    let says = json!({"Sid": "BrokerSaysForWhom", "Effect": "Allow", "Principal": broker, "Action": "sts:SetSourceIdentity"});
    json!({"Version": "2012-10-17", "Statement": [opens, says]})
}

/// An account with a table, the issuing role, and a role of the name that another account's issuing role has.
struct Account {
    moto: Moto,
    runtime: tokio::runtime::Runtime,
    table: GrantAdmin,
    iam: aws_sdk_iam::Client,
}

impl Account {
    fn new() -> Self {
        let moto = Moto::start();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let variables = |name: &str| match name {
            "AWS_REGION" => Some("eu-central-1".to_owned()),
            "AWS_ACCESS_KEY_ID" | "AWS_SECRET_ACCESS_KEY" => Some("test".to_owned()),
            "AWS_ENDPOINT_URL" => Some(moto.endpoint().to_owned()),
            _ => None,
        };
        let transport = Transport::new(None).unwrap();
        let clients = Clients::new(&Environment::read(variables).unwrap(), transport.clone()).unwrap();
        let table = GrantAdmin::new(clients.dynamodb_for_operators(), "latchkey");
        let iam = aws_sdk_iam::Config::builder()
            .behavior_version(aws_sdk_iam::config::BehaviorVersion::latest())
            .region(aws_sdk_iam::config::Region::new("eu-central-1"))
            .credentials_provider(aws_sdk_iam::config::Credentials::new("test", "test", None, None, "test"))
            .endpoint_url(moto.endpoint())
            .http_client(transport);
        let account = Self { iam: aws_sdk_iam::Client::from_conf(iam.build()), table, runtime, moto };
        account.runtime.block_on(account.table.create_table()).unwrap();
        for name in ["latchkey-issuing", "latchkey-risk"] {
            let request = account.iam.create_role().role_name(name).assume_role_policy_document(trust(true).to_string());
            account.runtime.block_on(request.send()).unwrap();
        }
        let presign = json!({"Effect": "Allow", "Action": "sagemaker:CreatePresignedDomainUrl", "Resource": "*"});
        account.write("latchkey-issuing", "presign", &json!({"Version": "2012-10-17", "Statement": [presign]}));
        account
    }

    fn grant(&self, flags: [&str; 4], target: &str, role_arn: Option<&str>) {
        let text = |value: &str| Attribute::S(value.to_owned());
        let mut item = Item::from([
            ("kind".to_owned(), text("studio")),
            ("domain_id".to_owned(), text("d-abcdefghijkl")),
            ("user_profile_name".to_owned(), text("jane")),
        ]);
        item.extend(role_arn.map(|arn| ("role_arn".to_owned(), text(arn))));
        let grant = Grant::from_item(TargetName::new(target).unwrap(), &item).unwrap();
        let annotation = Annotation::at(Timestamp::from_unix_seconds(1));
        self.runtime.block_on(self.table.put_grant(&identity(flags), &grant, &annotation, Expect::Absent)).unwrap();
    }

    fn grant_to_group(&self, issuer: &str, group: &str, target: &str, role_arn: Option<&str>) {
        let text = |value: &str| Attribute::S(value.to_owned());
        let mut item = Item::from([("kind".to_owned(), text("studio")), ("domain_id".to_owned(), text("d-abcdefghijkl"))]);
        item.extend(role_arn.map(|arn| ("role_arn".to_owned(), text(arn))));
        let grant = GroupGrant::from_item(TargetName::new(target).unwrap(), &item).unwrap();
        let whose = GroupIdentity { issuer: IssuerId::new(issuer).unwrap(), group: Group::new(group).unwrap() };
        let annotation = Annotation::at(Timestamp::from_unix_seconds(1));
        self.runtime.block_on(self.table.put_group_grant(&whose, &grant, &annotation, Expect::Absent)).unwrap();
    }

    fn standing(&self, flags: [&str; 4]) -> Option<Standing> {
        self.runtime.block_on(self.table.get_subject(&identity(flags))).unwrap().and_then(|row| row.standing())
    }

    /// Writes a revocation for everyone of which nothing lives any more. Gives back its document, and what it would be now.
    fn revoked_long_ago(&self) -> (Value, Value) {
        let (_, planned, _) = self.revoke_json(&["--everyone", "--dry-run"]);
        let mut old = planned["policy"].clone();
        old["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] = "2026-01-31T12:00:00Z".into();
        self.write("latchkey-issuing", "latchkey-revoked-everyone", &old);
        (old, planned["policy"].clone())
    }

    fn write(&self, role: &str, name: &str, document: &Value) {
        let request = self.iam.put_role_policy().role_name(role).policy_name(name).policy_document(document.to_string());
        self.runtime.block_on(request.send()).unwrap();
    }

    /// The names of the inline policies of a role.
    fn policies(&self, role: &str) -> Vec<String> {
        let mut names = self.runtime.block_on(self.iam.list_role_policies().role_name(role).send()).unwrap().policy_names;
        names.sort();
        names
    }

    /// An inline policy, as IAM gives it out: percent-encoded.
    fn policy(&self, role: &str, name: &str) -> Value {
        let policy = self.runtime.block_on(self.iam.get_role_policy().role_name(role).policy_name(name).send()).unwrap();
        let mut parts = policy.policy_document.split('%');
        let mut text = parts.next().unwrap().to_owned();
        for part in parts {
            text.push(char::from(u8::from_str_radix(&part[..2], 16).unwrap()));
            text.push_str(&part[2..]);
        }
        serde_json::from_str(&text).unwrap()
    }

    fn command(&self) -> Command {
        let mut command = latchkey();
        command
            .envs([("AWS_REGION", "eu-central-1"), ("AWS_ACCESS_KEY_ID", "test"), ("AWS_SECRET_ACCESS_KEY", "test")])
            .envs([("AWS_ENDPOINT_URL", self.moto.endpoint()), ("LATCHKEY_TABLE", "latchkey"), ("USER", "olga")])
            .env("LATCHKEY_ROLE_ARN", role(OWN, "latchkey-issuing"));
        command
    }

    fn revoke(&self, arguments: &[&str]) -> (i32, String, String) {
        run(self.command().arg("revoke").args(arguments))
    }

    fn revoke_json(&self, arguments: &[&str]) -> (i32, Value, String) {
        as_json(self.revoke(&[arguments, &["--json"]].concat()))
    }
}

fn as_json((code, out, err): (i32, String, String)) -> (i32, Value, String) {
    (code, serde_json::from_str(&out).unwrap_or_else(|error| panic!("{error}: {out}{err}")), err)
}

fn now() -> i64 {
    SystemClock::new().now().unix_seconds()
}

/// Whether the moment is what it should be, from now on, give or take.
fn assert_ahead(report: &Value, seconds: i64) {
    let text = report["issued_before"].as_str().unwrap();
    let time = DateTime::from_str(text, DateTimeFormat::DateTime).unwrap();
    let ahead = time.secs() - now();
    assert!((seconds - 20..=seconds + 1).contains(&ahead), "{text} is {ahead} s ahead");
}

#[test]
#[ignore = "needs the tools: make test"]
fn one_users_sessions_are_cut_shown_and_given_back() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    account.grant(BOB, "research", Some(&role(OWN, "latchkey-issuing")));
    let noted = Annotation { note: Some("a note".to_owned()), ..Annotation::at(Timestamp::from_unix_seconds(1)) };
    for suspended in [true, false] {
        account.runtime.block_on(account.table.set_suspended(&identity(ALICE), suspended, &noted)).unwrap();
    }

    // What would be done is shown, and not done.
    let (code, planned, _) = account.revoke_json(&[&ALICE[..], &["--dry-run"]].concat());
    assert_eq!((code, planned["suspension"].as_str(), planned["roles"][0]["outcome"].as_str()), (0, Some("planned"), Some("planned")));
    assert_eq!(planned["policy"]["Statement"][0]["Condition"]["StringEquals"], json!({"aws:SourceIdentity": "okta.00u1alice"}));
    let (code, out, _) = account.revoke(&[&ALICE[..], &["--dry-run"]].concat());
    for shown in
        ["Cuts the sessions of okta 00u1alice", "suspends          the subject", &role(OWN, "latchkey-issuing"), "\"Effect\": \"Deny\""]
    {
        assert!(code == 0 && out.contains(shown), "{shown} is not in {out}");
    }
    assert_eq!(account.policies("latchkey-issuing"), ["presign"]);
    assert_eq!(account.standing(ALICE), Some(Standing::Active));

    // It is done: the user is suspended, and the policy is the one that is shown.
    let (code, report, audit) = account.revoke_json(&[&ALICE[..], &["--yes"]].concat());
    assert_eq!((code, report["done"].as_str(), report["suspension"].as_str()), (0, Some("revoked"), Some("suspended")));
    assert_ahead(&report, 60);
    let name = report["policy_name"].as_str().unwrap();
    assert!(name.starts_with(ALICES));
    assert_eq!(account.policies("latchkey-issuing"), [name, "presign"]);
    assert_eq!(account.policy("latchkey-issuing", name), report["policy"]);
    let row = account.runtime.block_on(account.table.get_subject(&identity(ALICE))).unwrap().unwrap();
    assert_eq!(row.standing(), Some(Standing::Suspended));
    assert_eq!(row.item["note"], Attribute::S("a note".to_owned()));
    assert_eq!(row.item["updated_by"], Attribute::S("olga".to_owned()));

    // Both are written down: the row first, then the policy.
    let lines = changes(&audit);
    assert_eq!(lines.iter().map(|line| line["change"].as_str().unwrap()).collect::<Vec<_>>(), ["updated", "created"]);
    for line in &lines {
        assert_eq!((&line["command"], &line["by"], &line["subject"]), (&json!("revoke"), &json!("olga"), &json!("00u1alice")));
    }
    assert_eq!((&lines[0]["before"]["status"], &lines[0]["after"]["status"]), (&json!("active"), &json!("suspended")));
    assert_eq!((&lines[1]["role_arn"], &lines[1]["policy_name"]), (&json!(role(OWN, "latchkey-issuing")), &report["policy_name"]));
    assert_eq!((&lines[1]["after"], lines[1].get("before"), lines[1].get("table")), (&report["policy"], None, None));
    assert!(lines[1]["aws_request_id"].is_string(), "CloudTrail knows it by this");

    // Bob's stands beside hers, and each can be seen. Without a suspension it reaches to now and no further.
    let (code, bobs, _) = account.revoke_json(&[&BOB[..], &["--yes", "--no-suspend"]].concat());
    assert_eq!((code, bobs["suspension"].as_str(), account.standing(BOB)), (0, Some("not_asked"), None));
    assert_ahead(&bobs, 1);
    let (code, listed, _) = account.revoke_json(&["--list"]);
    let revocations = listed["roles"][0]["revocations"].as_array().unwrap();
    assert_eq!((code, revocations.len()), (0, 2));
    let alices = revocations.iter().find(|one| one["policy_name"] == name).unwrap();
    assert_eq!(
        (alices["source_identity"].as_str(), &alices["issued_before"], alices["state"].as_str()),
        (Some("okta.00u1alice"), &report["issued_before"], Some("in_force"))
    );
    let (_, out, _) = account.revoke(&["--list"]);
    assert!(out.contains("source identity okta.00u1alice: sessions opened before ") && out.contains("source identity okta+"), "{out}");

    // A second time does not shorten the first, and brings it up to date: who was let in again meanwhile is cut off again.
    let (code, again, audit) = account.revoke_json(&[&ALICE[..], &["--yes", "--no-suspend"]].concat());
    assert!(code == 0 && again["issued_before"] == report["issued_before"], "{again}");
    let line = change(&audit);
    assert_eq!((&line["change"], &line["before"], &line["after"]), (&json!("updated"), &report["policy"], &report["policy"]));
    let mut earlier = report["policy"].clone();
    earlier["Statement"][0]["Condition"]["DateLessThan"]["aws:TokenIssueTime"] = "2026-01-31T12:00:00Z".into();
    account.write("latchkey-issuing", name, &earlier);
    let (code, again, audit) = account.revoke_json(&[&ALICE[..], &["--yes"]].concat());
    assert_eq!((code, again["suspension"].as_str(), again["roles"][0]["outcome"].as_str()), (0, Some("already"), Some("revoked")));
    assert_ahead(&again, 60);
    assert_eq!(account.policy("latchkey-issuing", name), again["policy"]);
    let line = change(&audit);
    assert_eq!((&line["before"], &line["after"]), (&earlier, &again["policy"]));

    // Hers is taken back, and his stays; so does her suspension.
    let undo = [&ALICE[..], &["--undo"]].concat();
    assert_eq!(account.revoke(&undo).0, 2, "it asks first");
    let (code, plan, _) = account.revoke_json(&[&undo[..], &["--dry-run"]].concat());
    assert_eq!((code, plan["action"].as_str(), account.policies("latchkey-issuing").len()), (0, Some("undo"), 3));
    let (code, out, err) = account.revoke(&[&undo[..], &["--yes"]].concat());
    assert!(code == 0 && out.contains("Taken back.") && out.contains("a thief's too"), "{out}{err}");
    let line = change(&err);
    assert_eq!(
        (&line["change"], &line["policy_name"], &line["before"], line.get("after")),
        (&json!("deleted"), &json!(name), &again["policy"], None)
    );
    assert_eq!(account.policies("latchkey-issuing"), [bobs["policy_name"].as_str().unwrap(), "presign"]);
    assert_eq!(account.standing(ALICE), Some(Standing::Suspended));
    let (code, out, err) = account.revoke(&[&undo[..], &["--yes"]].concat());
    assert!(code == 1 && out.contains("There is nothing to take back.") && err.is_empty(), "{out}{err}");
    // With her standing as well, all is as it was.
    assert_eq!(run(account.command().arg("resume").args(ALICE)).0, 0);
    assert_eq!(account.standing(ALICE), Some(Standing::Active));
}

#[test]
#[ignore = "needs the tools: make test"]
fn everyones_sessions_are_cut_on_every_role_that_a_grant_names() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    account.grant(BOB, "risk", Some(&role(OWN, "latchkey-risk")));
    let (code, report, audit) = account.revoke_json(&["--everyone", "--yes"]);
    let lines = changes(&audit);
    assert_eq!(lines.len(), 2, "a line for each role");
    assert!(lines.iter().all(|line| line.get("subject").is_none() && line["after"] == report["policy"]), "{lines:?}");
    assert_eq!((code, report["suspension"].as_str(), &report["source_identity"]), (0, Some("not_asked"), &Value::Null));
    assert_eq!(report["policy"]["Statement"][0]["Condition"].as_object().unwrap().keys().collect::<Vec<_>>(), ["DateLessThan"]);
    assert_ahead(&report, 1);
    assert_eq!(account.policies("latchkey-issuing"), ["latchkey-revoked-everyone", "presign"]);
    assert_eq!(account.policies("latchkey-risk"), ["latchkey-revoked-everyone"]);
    assert_eq!((account.standing(ALICE), account.standing(BOB)), (None, None));

    // On a named role alone, nothing is read of the table.
    let named = role(OWN, "latchkey-risk");
    let mut command = account.command();
    command.env_remove("LATCHKEY_TABLE").args(["revoke", "--everyone", "--undo", "--yes", "--role-arn", &named]);
    assert_eq!(run(&mut command).0, 0);
    assert_eq!((account.policies("latchkey-issuing").len(), account.policies("latchkey-risk").len()), (2, 0));
}

/// Whoever opens something by a group's grant has no row that names its role.
#[test]
#[ignore = "needs the tools: make test"]
fn sessions_by_a_groups_grant_are_cut_on_the_role_that_it_names() {
    let account = Account::new();
    account.grant_to_group("okta", "risk-desk", "risk", Some(&role(OWN, "latchkey-risk")));
    account.grant_to_group("entra", "risk-desk", "risk", Some(&role(ANOTHER, "latchkey-issuing")));
    let (code, report, _) = account.revoke_json(&[&ALICE[..], &["--yes"]].concat());
    assert_eq!((code, report["done"].as_str()), (0, Some("revoked")), "another issuer's groups are not hers: {report}");
    assert_eq!(account.standing(ALICE), Some(Standing::Suspended));
    for name in ["latchkey-issuing", "latchkey-risk"] {
        assert!(account.policies(name).iter().any(|policy| policy.starts_with(ALICES)), "{name}: {:?}", account.policies(name));
    }
    // A group's grant without a role is under the configured one, which has to be known.
    account.grant_to_group("okta", "risk-desk", "plain", None);
    let mut command = account.command();
    command.env_remove("LATCHKEY_ROLE_ARN").arg("revoke").args(BOB).arg("--yes");
    let (code, out, err) = run(&mut command);
    assert!(code == 2 && out.is_empty() && err.contains("LATCHKEY_ROLE_ARN is not set"), "{out}{err}");
    // Everyone's are those of every group, whoever's issuer it is.
    let (code, report, _) = account.revoke_json(&["--everyone", "--dry-run"]);
    let roles: Vec<&str> = report["roles"].as_array().unwrap().iter().map(|one| one["role_arn"].as_str().unwrap()).collect();
    assert!(code == 1 && roles.len() == 3 && roles.contains(&role(ANOTHER, "latchkey-issuing").as_str()), "{roles:?}");
}

/// IAM takes a role's name and no account: with the wrong credentials, another role of that name would be written to.
#[test]
#[ignore = "needs the tools: make test"]
fn a_role_in_another_account_is_not_done_and_not_mistaken() {
    let account = Account::new();
    let (own, risk) = (role(OWN, "latchkey-issuing"), role(ANOTHER, "latchkey-risk"));
    account.grant(ALICE, "research", Some(&own));
    account.grant(ALICE, "risk", Some(&risk));
    let (code, planned, _) = account.revoke_json(&[&ALICE[..], &["--dry-run"]].concat());
    assert_eq!((code, planned["done"].as_str()), (1, Some("dry run")));

    let (code, out, err) = account.revoke(&[&ALICE[..], &["--yes"]].concat());
    assert_eq!((code, changes(&err).len()), (1, 2), "the suspension, and the role that could be reached");
    let done = out.split_once("NOT ALL OF IT IS DONE.").unwrap_or_else(|| panic!("{out}")).1;
    assert!(!out.contains("Revoked.") && done.contains(&format!("revoked           {own}")), "{out}");
    let again = format!("latchkey revoke --issuer okta --subject 00u1alice --no-suspend --role-arn {risk}");
    for said in [&format!("FAILED            {risk}"), "the credentials are for account 123456789012", &again] {
        assert!(done.contains(said), "{said} is not in {done}");
    }
    assert_eq!(account.standing(ALICE), Some(Standing::Suspended), "what can be done is done");
    assert!(account.policies("latchkey-issuing")[0].starts_with(ALICES));
    assert!(account.policies("latchkey-risk").is_empty(), "the own account's role of that name is another");
    // The same for what is listed and taken back; and for a role that is not there.
    assert_eq!(account.revoke(&["--list", "--role-arn", &risk]).0, 1);
    let (code, out, _) = account.revoke(&[&ALICE[..], &["--undo", "--yes"]].concat());
    assert!(code == 1 && out.contains(&format!("taken back        {own}")) && out.contains(&format!("FAILED            {risk}")), "{out}");
    let (code, report, _) = account.revoke_json(&["--everyone", "--yes", "--role-arn", &role(OWN, "latchkey-isuing")]);
    assert!(code == 1 && report["roles"][0]["problem"].as_str().unwrap().starts_with("NoSuchEntity"), "{report}");
    assert!(report["roles"][0]["advice"].as_str().unwrap().contains("is it as the broker has it?"), "{report}");
}

#[test]
#[ignore = "needs the tools: make test"]
fn what_has_run_out_is_dropped_and_nothing_else() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    let (old, now) = account.revoked_long_ago();
    // Of that name, and not as it is written here: somebody may have meant it.
    account.write("latchkey-issuing", "latchkey-revoked-by-hand", &old);
    let (_, listed, _) = account.revoke_json(&["--list"]);
    let states: Vec<_> = listed["roles"][0]["revocations"].as_array().unwrap().iter().map(|one| one["state"].as_str().unwrap()).collect();
    assert_eq!(states.iter().filter(|state| **state == "spent").count(), 1, "{states:?}");
    assert_eq!(states.iter().filter(|state| **state == "unknown").count(), 1, "{states:?}");
    let (code, report, audit) = account.revoke_json(&[&ALICE[..], &["--yes"]].concat());
    assert_eq!((code, &report["roles"][0]["dropped"]), (0, &json!(["latchkey-revoked-everyone"])));
    // What was deleted is written down too, and not as if it had been about her.
    let lines = changes(&audit);
    assert_eq!((lines.len(), &lines[2]["change"], &lines[2]["before"], lines[2].get("subject")), (3, &json!("deleted"), &old, None));
    let left = account.policies("latchkey-issuing");
    assert_eq!(left, ["latchkey-revoked-by-hand", report["policy_name"].as_str().unwrap(), "presign"]);

    // What another operator has brought up to date since it was looked at is not dropped: here, as this one's is written.
    account.write("latchkey-issuing", "latchkey-revoked-everyone", &old);
    let (other, current) = (Arc::new(account), now.clone());
    let account = Arc::clone(&other);
    let between = Between::start(account.moto.endpoint(), move |action, _| {
        if action == "PutRolePolicy" {
            other.write("latchkey-issuing", "latchkey-revoked-everyone", &current);
        }
        None
    });
    let arguments = [&ALICE[..], &["--yes", "--json"]].concat();
    let (code, report, _) = as_json(run(account.command().env("AWS_ENDPOINT_URL_IAM", &between.endpoint).arg("revoke").args(arguments)));
    assert_eq!((code, &report["roles"][0]["dropped"]), (0, &json!([])), "{report}");
    assert_eq!(account.policy("latchkey-issuing", "latchkey-revoked-everyone"), now);
}

/// IAM as moto has it, but for what this says of a request by its action and its form; and then it is an hour later.
struct Between {
    endpoint: String,
    refuses: Arc<Mutex<Refuses>>,
}

type Refuses = Box<dyn FnMut(&str, &str) -> Option<(u16, &'static str, &'static str)> + Send>;

impl Between {
    fn start(moto: &str, refuses: impl FnMut(&str, &str) -> Option<(u16, &'static str, &'static str)> + Send + 'static) -> Self {
        let upstream = moto.strip_prefix("http://").unwrap().to_owned();
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let endpoint = format!("http://{}", listener.local_addr().unwrap());
        let refuses: Arc<Mutex<Refuses>> = Arc::new(Mutex::new(Box::new(refuses)));
        let asked = Arc::clone(&refuses);
        // It ends with the test's process; a command is run to its end before the next begins.
        std::thread::spawn(move || {
            for stream in listener.incoming() {
                serve(&mut stream.unwrap(), &upstream, &asked);
            }
        });
        Self { endpoint, refuses }
    }
}

fn serve(stream: &mut TcpStream, upstream: &str, refuses: &Mutex<Refuses>) {
    let mut request = Vec::new();
    let mut part = [0; 4096];
    let (head, body) = loop {
        let read = stream.read(&mut part).unwrap();
        if read == 0 {
            return;
        }
        request.extend_from_slice(&part[..read]);
        let text = std::str::from_utf8(&request).unwrap();
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let length = head.lines().find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse::<usize>().ok());
            if body.len() >= length.unwrap_or(0) {
                break (head, body);
            }
        }
    };
    let action = body.split('&').find_map(|pair| pair.strip_prefix("Action=")).unwrap();
    let refused = refuses.lock().unwrap()(action, body);
    let answer = match refused {
        Some((status, code, message)) => {
            let text = format!(
                "<ErrorResponse xmlns=\"https://iam.amazonaws.com/doc/2010-05-08/\"><Error><Type>Sender</Type><Code>{code}</Code>\
                 <Message>{message}</Message></Error><RequestId>r-1</RequestId></ErrorResponse>"
            );
            let date = DateTime::from_secs(now() + 3600).fmt(DateTimeFormat::HttpDate).unwrap();
            format!(
                "HTTP/1.1 {status} X\r\nDate: {date}\r\nContent-Type: text/xml\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{text}",
                text.len()
            )
            .into_bytes()
        }
        None => {
            let mut moto = TcpStream::connect(upstream).unwrap();
            moto.write_all(format!("{head}\r\nConnection: close\r\n\r\n{body}").as_bytes()).unwrap();
            let mut answer = Vec::new();
            moto.read_to_end(&mut answer).unwrap();
            answer
        }
    };
    stream.write_all(&answer).unwrap();
}

#[test]
#[ignore = "needs the tools: make test"]
fn what_iam_refuses_is_said_with_what_to_do() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    let between = Between::start(account.moto.endpoint(), |action, _| {
        let denied = "User: arn:aws:sts::123456789012:assumed-role/ops/olga is not authorized to perform: iam:PutRolePolicy on resource: \
                      role latchkey-issuing with an explicit deny in a service control policy";
        (action == "PutRolePolicy").then_some((403, "AccessDenied", denied))
    });
    let revoke = |arguments: &[&str]| run(account.command().env("AWS_ENDPOINT_URL_IAM", &between.endpoint).arg("revoke").args(arguments));
    let (code, out, err) = revoke(&[&ALICE[..], &["--yes"]].concat());
    assert!(code == 1 && out.contains("NOT ALL OF IT IS DONE.") && !out.contains("Revoked."), "{out}");
    for said in ["with an explicit deny in a service control policy", "RevokeRoleArns", "--no-suspend --role-arn arn:aws:iam::123456789012"]
    {
        assert!(out.contains(said), "{said} is not in {out}");
    }
    // What could be done is done, and no more than that is written down.
    assert_eq!(account.standing(ALICE), Some(Standing::Suspended));
    assert_eq!((change(&err)["table"].as_str(), account.policies("latchkey-issuing").len()), (Some("latchkey"), 1));

    // Who may write and not list cuts sessions all the same; what was there before is then not known.
    *between.refuses.lock().unwrap() = Box::new(|action, _| (action == "ListRolePolicies").then_some((403, "AccessDenied", "no")));
    let arguments = [&ALICE[..], &["--yes", "--json"]].concat();
    let (code, report, err) = as_json(revoke(&arguments));
    assert_eq!((code, report["roles"][0]["outcome"].as_str()), (0, Some("revoked")), "{report}");
    // The moment is by IAM's clock, which is AWS's, and not by that of this machine; a second later, as answers tell whole ones.
    assert_ahead(&report, 3661);
    assert_eq!((change(&err)["change"].as_str(), account.policies("latchkey-issuing").len()), (Some("written"), 2));
    // But nothing is taken back that nobody has seen.
    let (code, out, _) = revoke(&[&ALICE[..], &["--undo", "--yes"]].concat());
    assert!(code == 1 && out.contains("FAILED") && account.policies("latchkey-issuing").len() == 2, "{out}");
    // Somebody else was faster: nothing is left to be taken back.
    *between.refuses.lock().unwrap() = Box::new(|action, _| (action == "DeleteRolePolicy").then_some((404, "NoSuchEntity", "gone")));
    let (code, out, err) = revoke(&[&ALICE[..], &["--undo", "--yes"]].concat());
    assert!(code == 1 && out.contains("There is nothing to take back.") && err.is_empty(), "{out}{err}");
}

/// Whether the broker's sessions say whose they are its own variables decide, which are not this machine's: the role's trust tells.
#[test]
#[ignore = "needs the tools: make test"]
fn one_users_sessions_are_not_called_cut_where_they_may_not_say_whose_they_are() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    let request = account.iam.update_assume_role_policy().role_name("latchkey-issuing").policy_document(trust(false).to_string());
    account.runtime.block_on(request.send()).unwrap();
    for how in ["--yes", "--dry-run"] {
        let (code, out, err) = account.revoke(&[&ALICE[..], &[how]].concat());
        assert_eq!((code, out.as_str()), (1, ""), "{err}");
        for said in ["nothing is done", &role(OWN, "latchkey-issuing"), "latchkey suspend", "--everyone", "--session-scope user"] {
            assert!(err.contains(said), "{said} is not in {err}");
        }
    }
    let (code, _, err) = account.revoke(&[&ALICE[..], &["--yes", "--session-scope", "role"]].concat());
    assert!(code == 1 && err.contains("--everyone"), "{err}");
    assert_eq!((account.policies("latchkey-issuing").len(), account.standing(ALICE)), (1, None), "nothing was done");
    // Whoever knows better says so, also against a variable that is this machine's.
    let mut command = account.command();
    command.env("LATCHKEY_SESSION_SCOPE", "role").arg("revoke").args(ALICE).args(["--yes", "--session-scope", "user"]);
    let (code, out, _) = run(&mut command);
    assert!(code == 0 && out.contains("Revoked."), "{out}");
    // Everyone's need not say it; nor is anything kept from being taken back.
    assert_eq!(account.revoke(&["--everyone", "--yes"]).0, 0);
    assert_eq!(account.revoke(&[&ALICE[..], &["--undo", "--yes"]].concat()).0, 0);

    // Not to know it is not to have done it: what can be done is, and it is said.
    let between = Between::start(account.moto.endpoint(), |action, _| (action == "GetRole").then_some((403, "AccessDenied", "no GetRole")));
    let revoke = |more: &[&str]| {
        let mut command = account.command();
        command.env("AWS_ENDPOINT_URL_IAM", &between.endpoint).arg("revoke").args(ALICE).args(more);
        run(&mut command)
    };
    let (code, out, _) = revoke(&["--dry-run"]);
    assert!(code == 1 && out.contains("  NOT KNOWN") && out.contains("AccessDenied: no GetRole"), "{out}");
    let (code, out, _) = revoke(&["--yes"]);
    assert!(code == 1 && out.contains("IT IS NOT KNOWN WHETHER ALL OF IT IS DONE.") && !out.contains("Revoked."), "{out}");
    assert!(out.contains("it takes iam:GetRole") && out.contains("--session-scope user"), "{out}");
    assert!(account.policies("latchkey-issuing").iter().any(|name| name.starts_with(ALICES)));
    let (code, report, _) = as_json(revoke(&["--yes", "--json"]));
    assert_eq!((code, report["done"].as_str(), report["roles"][0]["outcome"].as_str()), (1, Some("not known"), Some("revoked")));
    assert!(report["roles"][0]["doubt"].as_str().unwrap().ends_with("AccessDenied: no GetRole"), "{report}");
    let (code, out, _) = revoke(&["--yes", "--session-scope", "user"]);
    assert!(code == 0 && out.contains("Revoked."), "{out}");
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_role_that_is_full_is_cleared_of_what_has_run_out_and_otherwise_told() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    account.revoked_long_ago();
    // moto knows no such limit. IAM does: nothing more is written until something is deleted.
    let mut is_full = true;
    let between = Between::start(account.moto.endpoint(), move |action, _| {
        is_full &= action != "DeleteRolePolicy";
        let full = "Maximum policy size of 10240 bytes exceeded for role latchkey-issuing";
        (is_full && action == "PutRolePolicy").then_some((409, "LimitExceeded", full))
    });
    let revoke = |arguments: &[&str]| {
        as_json(run(account.command().env("AWS_ENDPOINT_URL_IAM", &between.endpoint).args(["revoke", "--json"]).args(arguments)))
    };
    let (code, report, audit) = revoke(&[&ALICE[..], &["--yes"]].concat());
    assert_eq!((code, &report["roles"][0]["dropped"]), (0, &json!(["latchkey-revoked-everyone"])), "{report}");
    let lines = changes(&audit);
    assert_eq!(lines.iter().map(|line| line["change"].as_str().unwrap()).collect::<Vec<_>>(), ["created", "deleted", "created"]);

    // With nothing that has run out, it is said, and said what to do.
    *between.refuses.lock().unwrap() = Box::new(|action, _| (action == "PutRolePolicy").then_some((409, "LimitExceeded", "exceeded")));
    let (code, report, audit) = revoke(&[&BOB[..], &["--yes", "--no-suspend"]].concat());
    assert!(code == 1 && audit.is_empty() && report["roles"][0]["outcome"] == "failed", "{report}");
    assert!(report["roles"][0]["advice"].as_str().unwrap().contains("10,240 characters together"), "{report}");

    // It is seen beforehand. What is replaced makes its own room, and white space is none of it.
    let taken = account.policies("latchkey-issuing").into_iter().map(|name| account.policy("latchkey-issuing", &name).to_string().len());
    let taken = taken.sum::<usize>();
    let of_length = |length: usize| {
        let resource = format!("arn:aws:s3:::{}", "x".repeat(length));
        json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": "s3:GetObject", "Resource": resource}]})
    };
    let large = of_length(10_240 - taken - of_length(0).to_string().len());
    account.write("latchkey-issuing", "large", &large);
    let (code, report, _) = account.revoke_json(&[&ALICE[..], &["--dry-run"]].concat());
    assert_eq!((code, report["roles"][0]["problem"].as_str()), (0, None), "{report}");
    let (code, report, _) = account.revoke_json(&[&BOB[..], &["--dry-run"]].concat());
    assert_eq!((code, report["roles"][0]["outcome"].as_str()), (1, Some("planned")));
    assert!(report["roles"][0]["problem"].as_str().unwrap().contains("have 10240 characters of the 10240"), "{report}");
    let (code, out, _) = account.revoke(&[&BOB[..], &["--dry-run"]].concat());
    assert!(code == 1 && out.contains("NO ROOM") && out.contains("--everyone is one policy for all"), "{out}");
}

#[test]
#[ignore = "needs the tools: make test"]
fn what_cannot_be_written_down_is_not_begun_or_is_told() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    let folder = tempfile::tempdir().unwrap();
    let log = folder.path().join("changes.jsonl");
    let (code, _, err) = account.revoke(&[&ALICE[..], &["--yes", "--audit-log", folder.path().to_str().unwrap()]].concat());
    assert!(code == 1 && err.contains("nothing is changed: the audit log"), "{err}");
    assert_eq!((account.standing(ALICE), account.policies("latchkey-issuing").len()), (None, 1));
    let (code, out, err) = account.revoke(&[&ALICE[..], &["--yes", "--audit-log", log.to_str().unwrap()]].concat());
    assert!(code == 0 && err.is_empty() && out.contains("Revoked."), "{out}{err}");
    assert_eq!(changes(&std::fs::read_to_string(&log).unwrap()).len(), 2);
    // A disc that is full: sessions are cut all the same, and that it is not written down is told.
    if cfg!(target_os = "linux") {
        let (code, report, _) = account.revoke_json(&["--everyone", "--yes", "--audit-log", "/dev/full"]);
        assert_eq!((code, report["done"].as_str(), report["roles"][0]["outcome"].as_str()), (1, Some("not all"), Some("revoked")));
        assert!(report["unlogged"][0].as_str().unwrap().contains("its audit line cannot be written"), "{report}");
        assert!(account.policies("latchkey-issuing").contains(&"latchkey-revoked-everyone".to_owned()));
    }
}

#[test]
#[ignore = "needs the tools: make test"]
fn it_asks_on_a_terminal() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    let answered = |answer: &str| {
        let spawn = "import os, pty, sys; sys.exit(os.waitstatus_to_exitcode(pty.spawn(sys.argv[1:])))";
        let mut command = Command::new(tool("python/bin/python"));
        for (name, value) in account.command().get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.args(["-c", spawn, env!("CARGO_BIN_EXE_latchkey"), "revoke"]).args(ALICE);
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        // The terminal keeps what is typed before the question.
        let mut keyboard = child.stdin.take().unwrap();
        keyboard.write_all(answer.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        drop(keyboard);
        (output.status.code().unwrap(), String::from_utf8(output.stdout).unwrap())
    };
    let (code, out) = answered("\n");
    assert!(code == 1 && out.contains("Revoke? [y/N]") && out.contains("nothing is done"), "{out}");
    assert_eq!((account.policies("latchkey-issuing").len(), account.standing(ALICE)), (1, None));
    let (code, out) = answered("y\n");
    assert!(code == 0 && out.contains("Revoked."), "{out}");
    assert_eq!((account.policies("latchkey-issuing").len(), account.standing(ALICE)), (2, Some(Standing::Suspended)));
}

#[test]
#[ignore = "needs the tools: make test"]
fn it_says_what_it_needs() {
    let account = Account::new();
    account.grant(ALICE, "research", None);
    let alice = |more: &[&'static str]| [&ALICE[..], more].concat();
    for (arguments, says) in [
        (alice(&[]), "there is no terminal to ask on; --yes does it without asking"),
        (vec!["--everyone"], "--yes"),
        (vec!["--yes"], "--everyone"),
        (vec!["--issuer", "okta", "--yes"], "--subject"),
        (alice(&["--everyone", "--yes"]), "cannot be used with"),
        (vec!["--everyone", "--no-suspend", "--yes"], "cannot be used with"),
        (vec!["--list", "--undo"], "cannot be used with"),
        (vec!["--everyone", "--session-scope", "user", "--yes"], "cannot be used with"),
        (alice(&["--session-scope", "mine", "--yes"]), "possible values: user, role"),
        (vec!["--everyone", "--role-arn", "latchkey-issuing"], "a role is the ARN of an IAM role"),
    ] {
        let (code, out, err) = account.revoke(&arguments);
        assert!(code == 2 && out.is_empty() && err.contains(says), "{arguments:?}: {code} {out} {err}");
    }
    let with = |variable: &str, value: Option<&str>, arguments: &[&str]| {
        let mut command = account.command();
        match value {
            Some(value) => command.env(variable, value),
            None => command.env_remove(variable),
        };
        run(command.arg("revoke").args(arguments))
    };
    for (variable, value, code, says) in [
        ("LATCHKEY_TABLE", None, 2, "--table"),
        ("LATCHKEY_ROLE_ARN", None, 2, "LATCHKEY_ROLE_ARN is not set"),
        ("LATCHKEY_ROLE_ARN", Some("latchkey-issuing"), 1, "LATCHKEY_ROLE_ARN: "),
        ("LATCHKEY_SESSION_SCOPE", Some("role"), 1, "--everyone"),
    ] {
        let (came, out, err) = with(variable, value, &alice(&["--yes"]));
        assert!(came == code && out.is_empty() && err.contains(says), "{variable}: {came} {out} {err}");
    }
    // Nobody of that name: it is said.
    let (code, out, _) = account.revoke(&["--issuer", "okta", "--subject", "00u1Alice", "--dry-run"]);
    assert!(code == 0 && out.contains("the table has no grant of this subject"), "{out}");
    assert_eq!((account.policies("latchkey-issuing").len(), account.standing(ALICE)), (1, None), "nothing was done");
    // Without the table the roles are not known, unless they are named.
    let nowhere = Some("http://127.0.0.1:9");
    let (code, out, err) = with("AWS_ENDPOINT_URL_DYNAMODB", nowhere, &alice(&["--yes"]));
    assert!(code == 1 && out.is_empty() && err.contains("--role-arn with --no-suspend cuts sessions without it"), "{out}{err}");
    let named = role(OWN, "latchkey-issuing");
    let (code, out, _) =
        with("AWS_ENDPOINT_URL_DYNAMODB", nowhere, &[&ALICE[..], &["--yes", "--no-suspend", "--role-arn", &named]].concat());
    assert!(code == 0 && out.contains("Revoked."), "{out}");
    // What does not answer is not done.
    for service in ["AWS_ENDPOINT_URL_IAM", "AWS_ENDPOINT_URL_STS"] {
        let (code, out, _) = with(service, nowhere, &["--everyone", "--yes", "--role-arn", &named]);
        assert!(code == 1 && out.contains("NOT ALL OF IT IS DONE.") && out.contains("no answer"), "{service}: {out}");
    }
}
