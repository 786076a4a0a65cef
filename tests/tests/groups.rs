//! Launches through a group, by the function's front door: each user opens a profile of their own, what groups were granted is read
//! in the request that is made anyway, and a suspension or a row of one's own goes before any group.

use std::cell::Cell;

use latchkey_domain::identity::Subject;
use latchkey_domain::item::{Item, Value as Attribute};
use latchkey_domain::names::{DomainId, UserProfileName};
use latchkey_domain::target::Kind;
use latchkey_domain::{entitlement, identity::Identity};
use latchkey_oidc::refusal::TokenRefusal;
use latchkey_standin::captured::Captured;
use latchkey_standin::idp::MintOptions;
use latchkey_standin::stack::TABLE;
use latchkey_tests::aws_check::{form, json as body};
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::raw_table::RawTable;
use latchkey_tests::stack::{World, annotation, launch, targets};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};

const PROFILES: &str = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-demoresearch";

struct Bank {
    world: World,
    emulator: Emulator,
    launches: Cell<u32>,
}

impl Bank {
    fn open() -> Self {
        Self::with_groups_claim(|issuer| issuer["groups_prefix"] = "app-".into())
    }

    /// The bank, whose issuer is configured as usual but for this.
    fn with_groups_claim(change: impl Fn(&mut Value)) -> Self {
        let world = World::start();
        let usual = world.env(&[]).into_iter().find(|(name, _)| name == "LATCHKEY_ISSUERS").unwrap().1;
        let mut issuers: Value = serde_json::from_str(&usual).unwrap();
        change(&mut issuers[0]);
        let emulator =
            Emulator::start(&bootstrap(), &world.env(&[("LATCHKEY_RATE_LIMIT", "off"), ("LATCHKEY_ISSUERS", &issuers.to_string())]));
        Self { world, emulator, launches: Cell::default() }
    }

    /// A token of a subject in these groups.
    fn token(&self, subject: &str, groups: impl Into<Value>) -> String {
        self.world.stack.idp.mint(&MintOptions::new(subject).claim("groups", groups.into())).unwrap()
    }

    fn ask(&self, event: impl Fn(&str) -> Value) -> (Answer, Value) {
        self.launches.set(self.launches.get() + 1);
        let request_id = format!("launch-{}", self.launches.get());
        self.world.clear_captured();
        (self.emulator.invoke(&event(&request_id)), self.emulator.record_of(&request_id))
    }

    fn launch(&self, subject: &str, groups: &[&str], target: Option<&str>) -> (Answer, Value) {
        let (token, wish) = (self.token(subject, groups), target.map(|target| json!({ "target": target })));
        self.ask(|request_id| launch(request_id, &token, wish.as_ref()))
    }

    /// The reason for which nothing opens, without a call to STS or SageMaker.
    #[track_caller]
    fn refused(&self, subject: &str, groups: &[&str], target: Option<&str>) -> String {
        let (answer, record) = self.launch(subject, groups, target);
        assert_eq!((answer.status(), answer.body()["code"].as_str()), (403, Some("not-entitled")), "{record}");
        assert!(self.calls("sts").is_empty() && self.calls("sagemaker").is_empty(), "{subject}");
        assert!(!answer.0.to_string().contains("app-"), "the answer names no group: {}", answer.0);
        record["reason"].as_str().unwrap().to_owned()
    }

    fn calls(&self, service: &str) -> Vec<Captured> {
        self.world.captured().into_iter().filter(|call| call.service == service).collect()
    }

    /// What was read of the table, as the actions.
    fn reads(&self) -> Vec<String> {
        let mut reads: Vec<String> = self.calls("dynamodb").into_iter().map(|call| call.action).collect();
        reads.sort();
        reads
    }

    fn identity(&self, subject: &str) -> Identity {
        Identity { issuer: self.world.stack.issuer_id().clone(), subject: Subject::new(subject).unwrap() }
    }

    fn grant(&self, group: &str, target: &str, attributes: &Value) {
        self.world.grant_to_group(self.world.stack.issuer_id(), group, target, attributes);
    }

    fn profile(&self, subject: &str, domain: Option<&str>, profile: &str) {
        let (domain, profile) = (domain.map(|domain| DomainId::new(domain).unwrap()), UserProfileName::new(profile).unwrap());
        let (operator, identity) = (self.world.operator(), self.identity(subject));
        self.world.block_on(operator.set_profile(&identity, domain.as_ref(), Some(&profile), &annotation())).unwrap().unwrap();
    }

    fn by_hand(&self, pk: &str, sk: &str, item: Item) {
        RawTable::new(&self.world.stack.table.endpoint(), TABLE).put(pk, sk, item);
    }
}

fn studio() -> Value {
    json!({"kind": Kind::Studio.as_str(), "domain_id": "d-demoresearch"})
}

fn server(name: &str) -> Value {
    json!({"kind": "mlflow-server", "tracking_server_name": name})
}

#[test]
#[ignore = "needs the tools: make test"]
fn everybody_in_a_group_opens_a_profile_of_their_own_by_one_grant() {
    let bank = Bank::open();
    bank.grant("app-lab", "lab", &studio());
    for user in ["erin", "frank"] {
        let subject = format!("new-{user}");
        assert_eq!(bank.refused(&subject, &["app-lab"], Some("lab")), entitlement::NO_PROFILE.0);
        bank.profile(&subject, None, user);
        let (answer, record) = bank.launch(&subject, &["app-lab", "another"], Some("lab"));
        assert_eq!(answer.status(), 200, "{record}");
        let profile = format!("{PROFILES}/{user}");
        assert_eq!(
            (&record["resource_arn"], &record["group"], &record["target"]),
            (&profile.as_str().into(), &"app-lab".into(), &"lab".into())
        );
        // The session is this user's, for this profile and no other.
        let session = form(&bank.calls("sts")[0]);
        assert_eq!(session["SourceIdentity"], format!("local.{subject}"));
        assert!(session["Policy"].contains(&profile) && session["Policy"].matches("user-profile/").count() <= 2, "{}", session["Policy"]);
        let asked = body(&bank.calls("sagemaker")[0]);
        assert_eq!((&asked["DomainId"], &asked["UserProfileName"]), (&"d-demoresearch".into(), &user.into()));
    }
    // In a domain of its own, another.
    bank.profile("new-erin", Some("d-demoresearch"), "alice");
    assert_eq!(bank.launch("new-erin", &["app-lab"], None).1["resource_arn"], format!("{PROFILES}/alice"));
    // Their own grants are in no group.
    let (_, record) = bank.launch("demo-alice", &["app-lab"], Some("research"));
    assert_eq!((&record["decision"], record.get("group")), (&"allow".into(), None));
}

#[test]
#[ignore = "needs the tools: make test"]
fn what_groups_were_granted_is_read_in_one_batched_request_and_consistently() {
    let bank = Bank::open();
    bank.grant("app-b", "runs", &server("experiments"));
    // With a name it is the one request that is made anyway.
    let (answer, record) = bank.launch("anna", &["app-c", "app-a", "app-b", "app-b", "x-ops"], Some("runs"));
    assert_eq!((answer.status(), &record["group"]), (200, &"app-b".into()), "{record}");
    assert_eq!(bank.reads(), ["BatchGetItem"]);
    let asked = body(&bank.calls("dynamodb")[0]);
    let asked = &asked["RequestItems"][TABLE];
    assert_eq!(asked["ConsistentRead"], true);
    let keys: Vec<&str> = asked["Keys"].as_array().unwrap().iter().map(|key| key["pk"]["S"].as_str().unwrap()).collect();
    let groups = ["GROUP#local#app-a", "GROUP#local#app-b", "GROUP#local#app-c"];
    assert_eq!(keys, [&["SUBJECT#local#anna"; 2][..], &groups].concat(), "each once, and none without the prefix");
    // Without one it is one more, whatever the number of groups; and the same for the list.
    let (answer, _) = bank.launch("anna", &["app-c", "app-a", "app-b"], None);
    assert_eq!((answer.status(), bank.reads()), (200, vec!["BatchGetItem".to_owned(), "Query".to_owned()]));
    let token = bank.token("anna", json!(["app-b"]));
    let (answer, _) = bank.ask(|request_id| targets(request_id, &token));
    assert_eq!((&answer.body()["targets"][0]["name"], bank.reads().len()), (&"runs".into(), 2));
    // Who is in no group that counts costs what they cost before.
    assert_eq!(bank.refused("anna", &["x-ops"], None), entitlement::NO_GRANT.0);
    assert_eq!(bank.reads(), ["Query"]);
    // A change holds from the next request on.
    let mut closed = server("experiments");
    closed["enabled"] = false.into();
    bank.grant("app-b", "runs", &closed);
    assert_eq!(bank.refused("anna", &["app-b"], Some("runs")), entitlement::DISABLED.0);
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_suspension_and_a_row_of_ones_own_go_before_any_group() {
    let bank = Bank::open();
    bank.grant("app-a", "runs", &server("experiments"));
    bank.grant("app-b", "runs", &server("experiments"));
    let groups = ["app-a", "app-b"];
    let (answer, record) = bank.launch("anna", &groups, Some("runs"));
    assert_eq!((answer.status(), &record["group"]), (200, &"app-a".into()), "they say the same");
    // They differ: nobody says which was meant.
    let mut short = server("experiments");
    short["url_seconds"] = 10.into();
    bank.grant("app-b", "runs", &short);
    assert_eq!(bank.refused("anna", &groups, Some("runs")), entitlement::AMBIGUOUS.0);
    assert_eq!(bank.launch("anna", &["app-b"], Some("runs")).0.body()["expires_in_seconds"], 10);
    // A row of one's own decides, and keeps one user out.
    let issuer = bank.world.stack.issuer_id().clone();
    bank.world.grant_item(&issuer, "anna", "runs", &server("experiments"));
    let (answer, record) = bank.launch("anna", &groups, Some("runs"));
    assert_eq!((answer.status(), record.get("group")), (200, None));
    let mut closed = server("experiments");
    closed["enabled"] = false.into();
    bank.world.grant_item(&issuer, "anna", "runs", &closed);
    for target in [Some("runs"), None] {
        assert_eq!(bank.refused("anna", &groups[..1], target), entitlement::DISABLED.0);
    }
    assert_eq!(bank.launch("berta", &groups[..1], Some("runs")).0.status(), 200);
    // And who is suspended gets nothing of a group's.
    bank.world.block_on(bank.world.operator().set_suspended(&bank.identity("berta"), true, &annotation())).unwrap();
    for target in [Some("runs"), None] {
        assert_eq!(bank.refused("berta", &groups[..1], target), entitlement::SUSPENDED.0);
    }
    // An item that somebody has made by hand, for everybody's profile or closed as one does not close it, opens nothing.
    let text = |text: &str| Attribute::S(text.to_owned());
    let shared = Item::from(
        [("kind", "studio"), ("domain_id", "d-demoresearch"), ("user_profile_name", "alice")].map(|(n, v)| (n.to_owned(), text(v))),
    );
    let targets = |grant: Item| Attribute::M(Item::from([("x".to_owned(), Attribute::M(grant))]));
    bank.by_hand("GROUP#local#app-x", "GROUP", Item::from([("targets".to_owned(), targets(shared))]));
    assert_eq!(bank.refused("carla", &["app-x"], Some("x")), entitlement::MALFORMED.0);
    let good: Item = serde_json::from_value(server("experiments")).unwrap();
    let closed = [("targets".to_owned(), targets(good)), ("enabled".to_owned(), Attribute::Bool(false))];
    bank.by_hand("GROUP#local#app-y", "GROUP", Item::from(closed));
    assert_eq!(bank.refused("carla", &["app-y"], Some("x")), entitlement::MALFORMED.0);
}

#[test]
#[ignore = "needs the tools: make test"]
fn groups_that_cannot_be_read_are_refused_before_the_table_is_asked() {
    let bank = Bank::open();
    bank.grant("app-a", "runs", &server("experiments"));
    let many: Vec<String> = (0..91).map(|number| format!("app-{number}")).collect();
    let fits: Vec<String> = many.iter().take(89).cloned().chain(["app-a".to_owned(), "app-a".to_owned(), "x".to_owned()]).collect();
    let attempt = |groups: Value| {
        let token = bank.token("anna", groups);
        let (answer, record) = bank.ask(|request_id| launch(request_id, &token, Some(&json!({"target": "runs"}))));
        (answer.status(), record["reason"].as_str().map(ToOwned::to_owned), bank.reads().len())
    };
    assert_eq!(attempt(json!(fits)), (200, None, 1), "90 that count");
    assert_eq!(attempt(json!("app-a")), (200, None, 1));
    assert_eq!(attempt(json!(many)), (401, Some(TokenRefusal::TooManyGroups.as_str().to_owned()), 0));
    for odd in [json!({"app-a": true}), json!(["app-a", 7]), json!(true), json!(["app-\n"]), json!([format!("app-{}", "x".repeat(252))])] {
        assert_eq!(attempt(odd.clone()), (401, Some(TokenRefusal::Groups.as_str().to_owned()), 0), "{odd}");
    }
    // Where no claim is named, no group is looked at, whatever a token says.
    let without = Bank::with_groups_claim(|issuer| drop(issuer.as_object_mut().unwrap().remove("groups_claim")));
    without.grant("app-a", "runs", &server("experiments"));
    assert_eq!(without.refused("anna", &["app-a"], Some("runs")), entitlement::NO_GRANT.0);
}
