//! Every kind of target through the function's front door, in two accounts and two regions: what comes back, what it opens, what
//! was asked of AWS and as whom.

use latchkey_domain::target::Kind;
use latchkey_standin::captured::Captured;
use latchkey_tests::aws_check::{self, form, json as body};
use latchkey_tests::emulator::Emulator;
use latchkey_tests::stack::{World, launch, targets};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};

const HOME: &str = "arn:aws:sagemaker:eu-central-1:111122223333";
const DUBLIN: &str = "arn:aws:sagemaker:eu-west-1:444455556666";
const HOME_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing";
const DUBLIN_ROLE: &str = "arn:aws:iam::444455556666:role/latchkey-issuing";

struct Run {
    world: World,
    emulator: Emulator,
}

impl Run {
    fn start(overrides: &[(&str, &str)]) -> Self {
        let world = World::start();
        let emulator = Emulator::start(&bootstrap(), &world.env(overrides));
        Self { world, emulator }
    }

    /// A launch that must succeed: the answer's body, the record, and what was sent for it.
    #[track_caller]
    fn launched(&self, user: &str, target: &str) -> (Value, Value, Vec<Captured>) {
        self.world.clear_captured();
        let request_id = format!("{user}-{target}-{}", self.emulator.records().len());
        let event = launch(&request_id, &self.world.token(user), Some(&json!({ "target": target })));
        let answer = self.emulator.invoke(&event);
        let record = self.emulator.record_of(&request_id);
        assert_eq!(answer.status(), 200, "{record}");
        (answer.body(), record, self.world.captured())
    }
}

#[track_caller]
fn one<'a>(sent: &'a [Captured], operation: &str) -> &'a Captured {
    let found: Vec<&Captured> = sent.iter().filter(|request| request.action == operation).collect();
    assert_eq!(found.len(), 1, "{operation} among {:?}", sent.iter().map(|request| &request.action).collect::<Vec<_>>());
    found[0]
}

/// Opens a URL as a browser does, with the host that it names, and gives back what the page says.
fn open(url: &str) -> (u16, Value) {
    let agent: ureq::Agent = ureq::Agent::config_builder().http_status_as_error(false).build().into();
    let (host, path) = url.strip_prefix("http://").unwrap().split_once(['/', '?']).unwrap();
    let path = if url.contains(&format!("{host}?")) { format!("/?{path}") } else { format!("/{path}") };
    // Every name below localhost is this machine, whatever the resolver here makes of it.
    let (_, port) = host.rsplit_once(':').unwrap();
    let request = agent.get(format!("http://127.0.0.1:{port}{path}")).header("host", host).header("accept", "application/json");
    let mut answer = request.call().unwrap();
    let page = answer.body_mut().read_to_string().unwrap();
    (answer.status().as_u16(), serde_json::from_str(&page).unwrap())
}

#[test]
#[ignore = "needs the tools: make test"]
fn every_kind_opens_what_was_granted_and_nothing_else() {
    let run = Run::start(&[("LATCHKEY_RATE_LIMIT", "off"), ("LATCHKEY_POSTURE", "enforce")]);
    let mut operations = Vec::new();
    for &kind in Kind::ALL {
        let (answer, record, sent) = run.launched("frank", kind.as_str());
        let resource_arn = record["resource_arn"].as_str().unwrap();
        assert!(resource_arn.starts_with(&format!("{HOME}:")), "{record}");
        assert_eq!(
            (&answer["kind"], &answer["target"], &answer["region"]),
            (&json!(kind.as_str()), &json!(kind.as_str()), &json!("eu-central-1"))
        );
        // AWS fixes how long a notebook's URL lives.
        let seconds = if kind == Kind::Notebook { 300 } else { 30 };
        assert_eq!((&answer["expires_in_seconds"], &record["url_seconds"]), (&json!(seconds), &json!(seconds)));

        // One session for this user and this one resource, and nothing that is not about it.
        let policy: Value = serde_json::from_str(&form(one(&sent, "AssumeRole"))["Policy"]).unwrap();
        for statement in policy["Statement"].as_array().unwrap() {
            let is_domain = statement["Action"] == "sagemaker:DescribeDomain";
            assert!(is_domain || statement["Resource"] == json!([resource_arn]), "{policy}");
        }
        let presign = kind.presign_action().trim_start_matches("sagemaker:");
        let presigned = one(&sent, presign);
        assert_eq!(body(presigned)["SessionExpirationDurationInSeconds"], 28800);
        assert_eq!(body(presigned).get("ExpiresInSeconds"), (kind != Kind::Notebook).then_some(&json!(30)));
        assert_eq!(sent.iter().any(|request| request.action.starts_with("Describe")), kind.is_gated(), "{kind}");

        let credentials = |request: &Captured| {
            let own = run.world.stack.credentials();
            if request.access_key_id == own.access_key_id {
                own.clone()
            } else {
                run.world.stack.aws.credentials(&request.access_key_id).unwrap()
            }
        };
        operations.extend(aws_check::assert_valid(&sent, credentials));

        let url = answer["url"].as_str().unwrap();
        let (status, page) = open(url);
        assert_eq!((status, page["kind"].as_str(), page["resource_arn"].as_str()), (200, Some(kind.as_str()), Some(resource_arn)));
        assert_eq!(page["source_identity"], "local.demo-frank");
        assert_eq!(open(url).0, 403, "once");
        println!("{kind}: opened {resource_arn}");
    }
    println!("{} requests are valid by AWS's models: {operations:?}", operations.len());
    let list = run.emulator.invoke(&targets("list-1", &run.world.token("frank"))).body();
    let kinds: Vec<&str> = list["targets"].as_array().unwrap().iter().map(|target| target["kind"].as_str().unwrap()).collect();
    assert_eq!(kinds.len(), Kind::ALL.len(), "{list}");
}

/// One function, two accounts, two regions: each launch under its own role, with what that role's trust asks for.
#[test]
#[ignore = "needs the tools: make test"]
fn two_accounts_and_two_regions() {
    let run = Run::start(&[]);
    for (user, target, region, account, role, external_id, presign, arn) in [
        (
            "alice",
            "research",
            "eu-central-1",
            "111122223333",
            HOME_ROLE,
            "latchkey-demo",
            "CreatePresignedDomainUrl",
            format!("{HOME}:user-profile/d-demoresearch/alice"),
        ),
        (
            "grace",
            "dublin",
            "eu-west-1",
            "444455556666",
            DUBLIN_ROLE,
            "latchkey-demo-dublin",
            "CreatePresignedDomainUrl",
            format!("{DUBLIN}:user-profile/d-demodublin/grace"),
        ),
        (
            "grace",
            "notebook",
            "eu-west-1",
            "444455556666",
            DUBLIN_ROLE,
            "latchkey-demo-dublin",
            "CreatePresignedNotebookInstanceUrl",
            format!("{DUBLIN}:notebook-instance/dublin-grace"),
        ),
        (
            "frank",
            "notebook",
            "eu-central-1",
            "111122223333",
            HOME_ROLE,
            "latchkey-demo",
            "CreatePresignedNotebookInstanceUrl",
            format!("{HOME}:notebook-instance/research-frank"),
        ),
    ] {
        let (answer, record, sent) = run.launched(user, target);
        assert_eq!(answer["region"], region);
        for (member, value) in [("account", account), ("region", region), ("role", role), ("resource_arn", &arn)] {
            assert_eq!(record[member], value, "{record}");
        }
        let assume_role = one(&sent, "AssumeRole");
        let members = form(assume_role);
        let name = format!("local.demo-{user}");
        for (member, value) in [("RoleArn", role), ("ExternalId", external_id), ("SourceIdentity", &name), ("RoleSessionName", &name)] {
            assert_eq!(members[member], value);
        }
        let policy: Value = serde_json::from_str(&members["Policy"]).unwrap();
        assert_eq!(policy["Statement"][0], json!({"Effect": "Allow", "Action": format!("sagemaker:{presign}"), "Resource": [arn]}));
        assert_eq!(policy["Statement"].as_array().unwrap().len(), 2);
        assert_eq!(policy["Statement"][1]["Resource"], json!([arn]));
        // STS is asked at home, SageMaker where the target is, under the session and not as the function.
        let presigned = one(&sent, presign);
        assert_eq!((assume_role.region.as_str(), presigned.region.as_str()), ("eu-central-1", region));
        assert_eq!(assume_role.access_key_id, run.world.stack.credentials().access_key_id);
        assert_ne!(presigned.access_key_id, assume_role.access_key_id);
        // What CloudTrail will know the two calls by.
        for call in ["sts", "sagemaker"] {
            assert!(record["aws_request_ids"][call].is_string(), "{record}");
        }
        let (status, page) = open(answer["url"].as_str().unwrap());
        assert_eq!((status, page["account_id"].as_str(), page["region"].as_str()), (200, Some(account), Some(region)));
    }
    // Each of them has a session of its own by now, and keeps it.
    for (user, target) in [("alice", "research"), ("grace", "dublin"), ("grace", "notebook"), ("frank", "notebook")] {
        let (_, _, sent) = run.launched(user, target);
        assert!(!sent.iter().any(|request| request.action == "AssumeRole"), "{user} {target}");
    }
}

/// A target that cannot be opened now says in what state it is, whether or not the posture gate has looked.
#[test]
#[ignore = "needs the tools: make test"]
fn a_stopped_notebook_says_so() {
    for (posture, reason, calls) in [
        ("off", "sagemaker.not-ready", &["AssumeRole", "CreatePresignedNotebookInstanceUrl", "DescribeNotebookInstance"][..]),
        ("enforce", "posture.not-in-service", &["AssumeRole", "DescribeNotebookInstance"]),
    ] {
        let run = Run::start(&[("LATCHKEY_POSTURE", posture)]);
        let event = launch("stopped-1", &run.world.token("heidi"), Some(&json!({ "target": "stopped" })));
        let answer = run.emulator.invoke(&event);
        let record = run.emulator.record_of("stopped-1");
        assert_eq!((answer.status(), answer.body()["code"].as_str()), (409, Some("target-not-ready")), "{record}");
        assert_eq!((answer.body()["state"].as_str(), answer.header("Retry-After")), (Some("Stopped"), None), "waiting does not start it");
        assert_eq!(record["reason"], reason);
        let sent = run.world.captured().into_iter().filter(|request| matches!(request.service.as_str(), "sts" | "sagemaker"));
        assert_eq!(sent.map(|request| request.action).collect::<Vec<_>>(), calls);
    }
}
