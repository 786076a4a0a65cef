//! Nobody gets at another user's profile: not by a subject that looks like theirs, not at another issuer, not by items that somebody
//! has made by hand, and not through what the function remembers.

use std::sync::Arc;

use latchkey_domain::clock::SystemClock;
use latchkey_domain::identity::IssuerId;
use latchkey_domain::item::{Item, Value as Attribute};
use latchkey_standin::idp::{Idp, IdpOptions, MintOptions};
use latchkey_standin::stack::{AUDIENCE, CLIENT_ID, TABLE};
use latchkey_tests::aws_check::{form, json as body};
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::raw_table::RawTable;
use latchkey_tests::stack::{World, launch};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};

const PROFILES: &str = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-demoresearch";

struct House {
    world: World,
    emulator: Emulator,
    launches: std::cell::Cell<u32>,
}

impl House {
    fn open(overrides: &[(&str, &str)]) -> Self {
        let world = World::start();
        let overrides = [&[("LATCHKEY_RATE_LIMIT", "off")], overrides].concat();
        let emulator = Emulator::start(&bootstrap(), &world.env(&overrides));
        Self { world, emulator, launches: std::cell::Cell::default() }
    }

    fn issuer(&self) -> IssuerId {
        self.world.stack.issuer_id().clone()
    }

    fn launch_with(&self, token: &str, wish: Option<&Value>) -> (Answer, Value) {
        self.launches.set(self.launches.get() + 1);
        let request_id = format!("launch-{}", self.launches.get());
        self.world.clear_captured();
        let answer = self.emulator.invoke(&launch(&request_id, token, wish));
        (answer, self.emulator.record_of(&request_id))
    }

    fn launch(&self, subject: &str, wish: Option<&Value>) -> (Answer, Value) {
        self.launch_with(&self.world.token_of(subject, None), wish)
    }

    fn by_hand(&self) -> RawTable {
        RawTable::new(&self.world.stack.table.endpoint(), TABLE)
    }

    /// Refused without a call to STS or SageMaker.
    #[track_caller]
    fn refused(&self, subject: &str, wish: Option<&Value>) -> Value {
        let (answer, record) = self.launch(subject, wish);
        assert!(matches!(answer.status(), 401 | 403), "{subject:?} got {}: {record}", answer.status());
        let calls = self.world.captured().into_iter().filter(|call| matches!(call.service.as_str(), "sts" | "sagemaker"));
        assert_eq!(calls.count(), 0, "{subject:?}");
        record
    }
}

/// Subjects that a person, a parser, a database or Unicode could take for the owner's.
#[test]
#[ignore = "needs the tools: make test"]
fn no_other_spelling_of_a_subject_is_the_same_user() {
    const OWNER: &str = "Zoë|sales.1";
    let house = House::open(&[]);
    house.world.grant(&house.issuer(), OWNER, "research", "alice", &[("external_id", "latchkey-demo")]);
    assert_eq!(house.launch(OWNER, None).0.status(), 200, "the owner gets in");
    let named = json!({ "target": "research" });
    let strangers = [
        "zoë|sales.1", // another case
        "ZOË|SALES.1",
        "Zoe\u{308}|sales.1",       // the same letters, composed otherwise (NFD)
        "Zoe|sales.1",              // without the accent
        "Zo\u{435}\u{308}|sales.1", // a Cyrillic letter
        "Ｚoë|sales.1",             // full width: the same under NFKC
        "Zoë\u{ff5c}sales.1",
        "Zoë|sales.1 ", // spaces, which some systems trim
        " Zoë|sales.1",
        "Zoë|sales.1\u{200b}", // and what nobody sees
        "\u{feff}Zoë|sales.1",
        "Zoë|sales.1\u{0}",
        "Zoë|sales", // a prefix, and more than it
        "Zoë|sales.10",
        "Zoë|sales.1#TARGET#research", // parts of the table's keys
        "Zoë|sales.1#",
        "#Zoë|sales.1",
        "local#Zoë|sales.1",
        "SUBJECT#local#Zoë|sales.1",
        "Zo%C3%AB|sales.1", // encodings
        "Zo\\u00eb|sales.1",
        "Zo&euml;|sales.1",
        "*",
        "%",
        "_", // wildcards
    ];
    for stranger in strangers {
        for wish in [None, Some(&named)] {
            let record = house.refused(stranger, wish);
            let reason = record["reason"].as_str().unwrap();
            // Characters that no subject may have are refused with the token.
            assert!(reason == "grant.none" || reason == "token.subject", "{stranger:?}: {reason}");
        }
    }
    println!("{} look-alikes were each refused, by name and without", strangers.len());
}

/// One subject at two issuers is two users: with their own grants, sessions, names in CloudTrail, and rates.
#[test]
#[ignore = "needs the tools: make test"]
fn equal_subjects_at_two_issuers_are_two_users() {
    let world = World::start();
    let options = IdpOptions {
        port: 0,
        audience: AUDIENCE.to_owned(),
        client_id: CLIENT_ID.to_owned(),
        redirect_uris: Vec::new(),
        users: Vec::new(),
    };
    let other = world.block_on(Idp::start(options, Arc::new(SystemClock::new()))).unwrap();
    let env = world.env(&[]);
    let issuers = &env.iter().find(|(name, _)| name == "LATCHKEY_ISSUERS").unwrap().1;
    let mut issuers: Vec<Value> = serde_json::from_str(issuers).unwrap();
    let mut second = issuers[0].clone();
    (second["id"], second["issuer"]) = ("local-2".into(), other.issuer().into());
    issuers.push(second);
    let issuers = Value::from(issuers).to_string();

    let (first, second) = (world.stack.issuer_id().clone(), IssuerId::new("local-2").unwrap());
    let demo = ("external_id", "latchkey-demo");
    world.grant(&first, "twin", "research", "alice", &[demo]);
    let house = House {
        emulator: Emulator::start(&bootstrap(), &world.env(&[("LATCHKEY_ISSUERS", &issuers)])),
        world,
        launches: std::cell::Cell::default(),
    };
    let of_first = || house.world.token_of("twin", None);
    let of_second = || other.mint(&MintOptions::new("twin")).unwrap();

    assert_eq!(house.launch_with(&of_first(), None).0.status(), 200);
    let (answer, record) = house.launch_with(&of_second(), None);
    assert_eq!((answer.status(), record["reason"].as_str()), (403, Some("grant.none")), "the twin's grant is not his");
    assert_eq!((record["issuer_id"].as_str(), record["subject"].as_str()), (Some("local-2"), Some("twin")));

    // With a grant of his own, each opens his own, in turn, in the same environment of the function.
    house.world.grant(&second, "twin", "research", "bob", &[demo]);
    for round in 0..2 {
        for (token, profile, name) in [(of_first(), "alice", "local.twin"), (of_second(), "bob", "local-2.twin")] {
            let (answer, record) = house.launch_with(&token, None);
            assert_eq!((answer.status(), record["source_identity"].as_str()), (200, Some(name)), "{record}");
            let sent = house.world.captured();
            let presign = sent.iter().find(|call| call.action == "CreatePresignedDomainUrl").unwrap();
            assert_eq!(body(presign)["UserProfileName"], profile);
            let opened = sent.iter().find(|call| call.action == "AssumeRole");
            assert_eq!(opened.is_some(), round == 0 && name == "local-2.twin", "the first has his session already");
            if let Some(opened) = opened {
                assert_eq!(form(opened)["SourceIdentity"], name);
                let policy: Value = serde_json::from_str(&form(opened)["Policy"]).unwrap();
                assert_eq!(policy["Statement"][0]["Resource"], json!([format!("{PROFILES}/{profile}")]));
            }
        }
    }
}

/// Whoever may write items can grant. What they cannot do is write one that means something else than it says.
#[test]
#[ignore = "needs the tools: make test"]
fn an_item_made_by_hand_opens_what_it_says_to_whom_it_says_or_nothing() {
    let house = House::open(&[]);
    let table = house.by_hand();
    let text = |value: &str| Attribute::S(value.to_owned());
    let row = |more: &[(&str, Attribute)]| {
        let mut item = Item::from([
            ("kind".to_owned(), text("studio")),
            ("domain_id".to_owned(), text("d-demoresearch")),
            ("user_profile_name".to_owned(), text("alice")),
            ("external_id".to_owned(), text("latchkey-demo")),
        ]);
        item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        item
    };
    // Under keys that are nearly those of a grant of mallory's.
    for (pk, sk) in [
        ("SUBJECT#local#MALLORY", "TARGET#research"),
        ("SUBJECT#LOCAL#mallory", "TARGET#research"),
        ("subject#local#mallory", "TARGET#research"),
        ("SUBJECT#local#mallory#", "TARGET#research"),
        ("SUBJECT#local##mallory", "TARGET#research"),
        ("SUBJECT#local", "TARGET#research"),
        ("SUBJECT#local#mallory", "target#research"),
        ("SUBJECT#local#mallory", "TARGET"),
        ("SUBJECT#local#mallory", "TARGETS#research"),
        ("SUBJECT#local#mallory", "GROUP#research"),
        ("SUBJECT#local#*", "TARGET#research"),
    ] {
        table.put(pk, sk, row(&[]));
    }
    let named = json!({ "target": "research" });
    for wish in [None, Some(&named)] {
        assert_eq!(house.refused("mallory", wish)["reason"], "grant.none");
    }
    // Under the right keys, saying who it is for, or naming a profile in more ways than one.
    for (number, (name, value)) in [
        ("subject", text("mallory")),
        ("subjects", Attribute::L(vec![text("mallory")])),
        ("issuer", text("local")),
        ("User_Profile_Name", text("bob")),
        ("user_profile_name ", text("bob")),
        ("user_profile_name", Attribute::L(vec![text("alice"), text("bob")])),
        ("user_profile_name", text("alice,bob")),
        ("user_profile_name", text("*")),
        ("user_profile_name", text("alice/../bob")),
        ("domain_id", text("d-demoresearch/alice")),
        ("arn", text(&format!("{PROFILES}/bob"))),
        ("notebook_instance_name", text("research-frank")),
        ("provision", text("yes")),
        ("enabled", text("true")),
    ]
    .into_iter()
    .enumerate()
    {
        let subject = format!("mallory-{number}");
        table.put(&format!("SUBJECT#local#{subject}"), "TARGET#research", row(&[(name, value.clone())]));
        for wish in [None, Some(&named)] {
            assert_eq!(house.refused(&subject, wish)["reason"], "grant.malformed", "{name}: {value:?}");
        }
    }
    // What the sort key names is no target's name: nobody can ask for it, and it is no default either.
    for (number, name) in ["", " research", "research ", "re/search", "../research", "*"].into_iter().enumerate() {
        let subject = format!("oddly-named-{number}");
        table.put(&format!("SUBJECT#local#{subject}"), &format!("TARGET#{name}"), row(&[("default", Attribute::Bool(true))]));
        assert_eq!(house.refused(&subject, None)["reason"], "grant.malformed", "{name:?}");
    }
}

/// A second grant for one profile, past `latchkey grants put`: with `provision`, the profile's own tags tell that it is not his.
#[test]
#[ignore = "needs the tools: make test"]
fn a_row_copied_to_another_subject_does_not_open_a_provisioned_profile() {
    let house = House::open(&[]);
    let plan = json!({"execution_role_arn": "arn:aws:iam::111122223333:role/studio-execution"});
    let grant = |profile: &str| json!({"kind": "studio", "domain_id": "d-demoresearch", "user_profile_name": profile, "provision": plan});
    house.world.grant_item(&house.issuer(), "owner", "research", &grant("shared-desk"));
    assert_eq!(house.launch("owner", None).0.status(), 409, "it is being made");
    for profile in ["shared-desk", "Shared-Desk", "SHARED-DESK"] {
        house.world.grant_item(&house.issuer(), "copycat", "research", &grant(profile));
        let (answer, record) = house.launch("copycat", None);
        assert_eq!((answer.status(), record["reason"].as_str()), (403, Some("provision.foreign-profile")), "{profile}");
        assert!(!house.world.captured().iter().any(|call| call.action.starts_with("Create")), "{profile}");
    }
    let owned =
        house.world.stack.aws.change(|aws| aws.domain_mut("d-demoresearch").unwrap().user_profile_mut("shared-desk").unwrap().tags.clone());
    assert!(owned.contains(&("latchkey:subject".to_owned(), "owner".to_owned())), "{owned:?}");
}
