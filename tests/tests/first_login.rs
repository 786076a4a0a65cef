//! First login through the function's front door: a profile is made for its user, opens once it is there, and is never somebody
//! else's.

use std::sync::Arc;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::names::UserProfileName;
use latchkey_standin::aws::Domain;
use latchkey_standin::captured::Captured;
use latchkey_tests::aws_check::{self, form, json as body};
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::stack::{World, launch};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};

const RESEARCH: &str = "d-demoresearch";
const PROVISIONING_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-provisioning";

struct Door {
    world: World,
    emulator: Emulator,
}

impl Door {
    fn open(overrides: &[(&str, &str)]) -> Self {
        let world = World::start();
        let emulator = Emulator::start(&bootstrap(), &world.env(overrides));
        Self { world, emulator }
    }

    fn launch(&self, request_id: &str, user: &str) -> (Answer, Value) {
        self.world.clear_captured();
        let answer = self.emulator.invoke(&launch(request_id, &self.world.token(user), None));
        (answer, self.emulator.record_of(request_id))
    }

    /// Changes the domain in which profiles are made.
    fn domain(&self, change: impl FnOnce(&mut Domain)) {
        self.world.stack.aws.change(|world| change(world.domain_mut(RESEARCH).unwrap()));
    }

    /// What the last launch asked of STS and SageMaker.
    fn calls(&self) -> Vec<Captured> {
        self.world.captured().into_iter().filter(|call| matches!(call.service.as_str(), "sts" | "sagemaker")).collect()
    }

    fn actions(&self) -> Vec<String> {
        self.calls().into_iter().map(|call| call.action).collect()
    }
}

#[test]
#[ignore = "needs the tools: make test"]
fn a_profile_is_made_at_first_login_and_opens_once_it_is_there() {
    // The gate is on: it must not stand in the way of a profile that is not there yet.
    let door = Door::open(&[("LATCHKEY_POSTURE", "enforce"), ("LATCHKEY_RATE_LIMIT", "off")]);
    door.domain(|domain| domain.profile_seconds = 3600);
    let (answer, record) = door.launch("first", "ivan");
    assert_eq!(
        (answer.status(), answer.body()["state"].as_str(), answer.header("Retry-After")),
        (409, Some("Pending"), Some("15")),
        "{record}"
    );
    assert_eq!((record["reason"].as_str(), record["provision_role"].as_str()), (Some("provision.created"), Some(PROVISIONING_ROLE)));
    assert_eq!(record["source_identity"], "local.demo-ivan");
    assert_eq!(door.actions(), ["AssumeRole", "DescribeUserProfile", "CreateUserProfile"]);
    let calls = door.calls();
    assert_eq!(record["aws_request_ids"]["provision"].as_array().unwrap().len(), calls.len());

    // Under the role for it, for this user, and good for this one profile and its execution role.
    let members = form(&calls[0]);
    assert_eq!((members["RoleArn"].as_str(), members["ExternalId"].as_str()), (PROVISIONING_ROLE, "latchkey-demo-provisioning"));
    assert_eq!(members["SourceIdentity"], "local.demo-ivan");
    let policy: Value = serde_json::from_str(&members["Policy"]).unwrap();
    let actions = ["sagemaker:CreateUserProfile", "sagemaker:AddTags", "sagemaker:DescribeUserProfile", "sagemaker:ListTags"];
    let profile = format!("arn:aws:sagemaker:eu-central-1:111122223333:user-profile/{RESEARCH}/ivan");
    assert_eq!(policy["Statement"][0], json!({"Effect": "Allow", "Action": actions, "Resource": [profile]}));
    assert_eq!(policy["Statement"][1]["Action"], "iam:PassRole");
    let created = body(&calls[2]);
    let tag = |key: &str, value: &str| json!({"Key": key, "Value": value});
    assert_eq!(created["Tags"], json!([tag("latchkey:issuer", "local"), tag("latchkey:subject", "demo-ivan"), tag("team", "research")]));
    let credentials = |request: &Captured| {
        let own = door.world.stack.credentials();
        if request.access_key_id == own.access_key_id {
            own.clone()
        } else {
            door.world.stack.aws.credentials(&request.access_key_id).unwrap()
        }
    };
    aws_check::assert_valid(&calls, credentials);

    // Impatience makes no second one.
    let (answer, record) = door.launch("impatient", "ivan");
    assert_eq!((answer.status(), answer.body()["state"].as_str(), answer.header("Retry-After")), (409, Some("Pending"), Some("15")));
    assert_eq!(record["reason"], "provision.not-in-service");
    assert_eq!(door.actions(), ["DescribeUserProfile", "ListTags"]);
    aws_check::assert_valid(&door.calls(), credentials);

    // The hour that it takes is over.
    door.domain(|domain| domain.user_profile_mut("ivan").unwrap().in_service_from = Some(Timestamp::from_unix_seconds(0)));
    let (answer, record) = door.launch("again", "ivan");
    assert_eq!((answer.status(), &record["resource_arn"]), (200, &json!(profile)), "{record}");
    // Known to be his own, it costs no call more than any other.
    let (answer, record) = door.launch("known", "ivan");
    assert_eq!((answer.status(), &record["provision_role"]), (200, &Value::Null));
    assert_eq!(door.actions(), ["CreatePresignedDomainUrl"]);
}

#[test]
#[ignore = "needs the tools: make test"]
fn somebody_elses_profile_is_never_taken_over() {
    let mut door = Door::open(&[("LATCHKEY_RATE_LIMIT", "off")]);
    // Judy's grant names `Bob`; bob is there, in another case, and has no tags of hers.
    let (answer, record) = door.launch("taken", "judy");
    assert_eq!((answer.status(), answer.body()["code"].as_str()), (403, Some("not-entitled")), "{record}");
    assert_eq!(record["reason"], "provision.foreign-profile");
    assert!(!answer.0.to_string().contains("Bob") && !answer.0.to_string().contains("profile"), "{}", answer.0);
    assert_eq!(door.actions(), ["AssumeRole", "DescribeUserProfile", "ListTags"], "nothing is opened and nothing is changed");

    // What is known is refused without a call, for a minute.
    assert_eq!(door.launch("taken-again", "judy").0.status(), 403);
    assert!(door.actions().is_empty());

    // Whatever tags it has: only both of hers, to the byte, will do.
    for (number, (tags, status)) in [
        (&[("latchkey:issuer", "local"), ("latchkey:subject", "demo-bob")][..], 403),
        (&[("latchkey:issuer", "local"), ("latchkey:subject", "Demo-Judy")], 403),
        (&[("latchkey:issuer", "other"), ("latchkey:subject", "demo-judy")], 403),
        (&[("latchkey:subject", "demo-judy")], 403),
        (&[("latchkey:issuer", "local"), ("latchkey:subject", "demo-judy")], 200),
    ]
    .into_iter()
    .enumerate()
    {
        let owned = tags.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect::<Vec<_>>();
        door.world.stack.aws.change(|aws| aws.domain_mut(RESEARCH).unwrap().user_profile_mut("bob").unwrap().tags = owned);
        // An environment that has seen nothing yet.
        door.emulator = Emulator::start(&bootstrap(), &door.world.env(&[("LATCHKEY_RATE_LIMIT", "off")]));
        let (answer, record) = door.launch(&format!("tags-{number}"), "judy");
        assert_eq!(answer.status(), status, "{tags:?}: {record}");
        assert_eq!(record["reason"].as_str(), (status == 403).then_some("provision.foreign-profile"), "{tags:?}");
    }
}

/// Two that come at the same moment, one of whom has been given the other's profile name in another case: one gets it.
#[test]
#[ignore = "needs the tools: make test"]
fn of_two_who_come_at_once_one_gets_the_profile() {
    let door = Arc::new(Door::open(&[("LATCHKEY_RATE_LIMIT", "off")]));
    let plan = json!({"execution_role_arn": "arn:aws:iam::111122223333:role/studio-execution"});
    let issuer = door.world.stack.issuer_id().clone();
    for (subject, profile) in [("first", "Newcomer"), ("second", "newCOMER")] {
        door.world.grant_item(
            &issuer,
            subject,
            "research",
            &json!({"kind": "studio", "domain_id": RESEARCH, "user_profile_name": profile, "provision": plan}),
        );
    }
    let emulators: Vec<_> = (0..2).map(|_| Emulator::start(&bootstrap(), &door.world.env(&[]))).collect();
    let launches = |round: usize| -> Vec<(u64, String)> {
        std::thread::scope(|scope| {
            let running: Vec<_> = ["first", "second"]
                .into_iter()
                .zip(&emulators)
                .map(|(subject, emulator)| {
                    let token = door.world.token_of(subject, None);
                    scope.spawn(move || {
                        let request_id = format!("{subject}-{round}");
                        let answer = emulator.invoke(&launch(&request_id, &token, None));
                        (answer.status(), emulator.record_of(&request_id)["reason"].as_str().unwrap_or("none").to_owned())
                    })
                })
                .collect();
            running.into_iter().map(|launch| launch.join().unwrap()).collect()
        })
    };
    let mut seen = launches(0);
    seen.sort();
    assert_eq!(seen[0], (403, "provision.foreign-profile".to_owned()), "{seen:?}");
    assert_eq!(seen[1].0, 409, "{seen:?}");
    let made = door.world.stack.aws.change(|aws| {
        let domain = aws.domain_mut(RESEARCH).unwrap();
        domain.user_profiles.iter().filter(|profile| profile.name.as_str().eq_ignore_ascii_case("newcomer")).count()
    });
    assert_eq!(made, 1);
}

/// Off unless the configuration switches it on: then such a grant opens nothing, not even what is there.
#[test]
#[ignore = "needs the tools: make test"]
fn without_a_role_for_it_nothing_is_made() {
    let door = Door::open(&[("LATCHKEY_PROVISION_ROLE_ARN", ""), ("LATCHKEY_PROVISION_EXTERNAL_ID", "")]);
    let (answer, record) = door.launch("off", "ivan");
    assert_eq!((answer.status(), record["reason"].as_str()), (403, Some("provision.off")));
    assert!(door.actions().is_empty());
    door.world.stack.aws.change(|aws| {
        let domain = aws.domain_mut(RESEARCH).unwrap();
        assert!(domain.user_profile_mut(UserProfileName::new("ivan").unwrap().as_str()).is_none());
    });
}
