//! Every request that the real function sends to AWS: right by AWS's own models, signed right, and saying no more and no less
//! than it should.

use latchkey_aws::grant_admin::Expect;
use latchkey_domain::clock::{Clock as _, SystemClock};
use latchkey_domain::grant::Landing;
use latchkey_domain::identity::{Identity, IssuerId, Subject};
use latchkey_domain::names::{AccountId, DomainId, LandingName, LandingUri, Region, SpaceName, UserProfileName};
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotKeeper as _};
use latchkey_standin::aws::policy::Policy;
use latchkey_standin::aws::{Credentials, Domain};
use latchkey_standin::captured::Captured;
use latchkey_standin::fault::Fault;
use latchkey_standin::idp::MintOptions;
use latchkey_standin::stack::TABLE;
use latchkey_tests::aws_check::{self, form, json as body};
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::stack::{World, annotation, launch, long_window, targets};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};

const ISSUING_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing";
const RISK_ROLE: &str = "arn:aws:iam::111122223333:role/latchkey-issuing-risk";
const ALICE_ARN: &str = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-demoresearch/alice";
const BOB_ARN: &str = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-demoresearch/bob";

/// The function, and what it runs against.
struct Run<'a> {
    world: &'a World,
    emulator: Emulator,
    count: std::cell::Cell<u32>,
}

impl<'a> Run<'a> {
    fn start(world: &'a World, overrides: &[(&str, &str)]) -> Self {
        let emulator = Emulator::start(&bootstrap(), &world.env(overrides));
        Self { world, emulator, count: std::cell::Cell::default() }
    }

    fn request_id(&self) -> String {
        self.count.set(self.count.get() + 1);
        format!("99164ef8-2b74-522c-96ed-{:012}", self.count.get())
    }

    fn launch_with(&self, token: &str, wish: Option<&Value>) -> Answer {
        self.emulator.invoke(&launch(&self.request_id(), token, wish))
    }

    fn launch(&self, user: &str, wish: Option<&Value>) -> Answer {
        self.launch_with(&self.world.token(user), wish)
    }

    /// A launch that must succeed, and what was sent for it.
    #[track_caller]
    fn launched(&self, user: &str, wish: Option<&Value>) -> Sent {
        self.world.clear_captured();
        let answer = self.launch(user, wish);
        assert_eq!(answer.status(), 200, "{:?}", self.emulator.records().last());
        Sent(self.world.captured())
    }
}

/// What was sent for one request.
struct Sent(Vec<Captured>);

impl Sent {
    fn operations(&self) -> Vec<&str> {
        self.0.iter().map(|request| request.action.as_str()).collect()
    }

    #[track_caller]
    fn one(&self, operation: &str) -> &Captured {
        let found: Vec<&Captured> = self.0.iter().filter(|request| request.action == operation).collect();
        assert_eq!(found.len(), 1, "{operation} among {:?}", self.operations());
        found[0]
    }
}

/// The credentials that a request is signed with.
fn credentials(world: &World, request: &Captured) -> Credentials {
    let own = world.stack.credentials();
    if request.access_key_id == own.access_key_id {
        return own.clone();
    }
    world.stack.aws.credentials(&request.access_key_id).expect("signed with a key that STS has given out")
}

fn issuer() -> IssuerId {
    IssuerId::new("local").unwrap()
}

/// Gives bob's grant a landing of every sort: a page, a space, a page in a space. The first is the grant's own.
fn add_landings(world: &World) {
    let bob = world.stack.user("bob").unwrap();
    let mut grant = bob.grants.iter().find(|grant| grant.name.as_str() == "research").unwrap().clone();
    let landing = |name: &str, uri: Option<&str>, space: Option<&str>| {
        let landing_uri = uri.map(|uri| LandingUri::new(uri).unwrap());
        (LandingName::new(name).unwrap(), Landing { landing_uri, space_name: space.map(|space| SpaceName::new(space).unwrap()) })
    };
    grant.landings = [
        landing("page", Some("app:JupyterLab:lab"), None),
        landing("space", None, Some("team-notebooks")),
        landing("both", Some("app:JupyterLab:lab"), Some("team-notebooks")),
    ]
    .into();
    grant.landing = Some(LandingName::new("page").unwrap());
    let identity = Identity { issuer: issuer(), subject: bob.subject.clone() };
    world.block_on(world.operator().put_grant(&identity, &grant, &annotation(), Expect::Present)).unwrap();
}

/// Lets the function's own role make URLs, as in a deployment without an issuing role.
fn allow_own_role(world: &World) {
    world.stack.aws.change(|aws| {
        let own = Policy::allow(["sagemaker:CreatePresignedDomainUrl"], [ALICE_ARN]);
        let caller = &mut aws.callers[0];
        caller.policy = caller.policy.clone().and(own);
    });
}

/// A second region with a domain, which the issuing role may open.
fn add_region(world: &World) {
    world.stack.aws.change(|aws| {
        let (id, region) = (DomainId::new("d-demoireland").unwrap(), Region::new("eu-west-1").unwrap());
        let profile = UserProfileName::new("Grace").unwrap();
        aws.domains.push(Domain::in_service(id, region, AccountId::new("111122223333").unwrap(), vec![profile], Vec::new()));
        let role = aws.roles.iter_mut().find(|role| role.arn.as_str() == ISSUING_ROLE).unwrap();
        let ireland = "arn:aws:sagemaker:eu-west-1:111122223333:user-profile/d-demoireland/*";
        role.policy = role.policy.clone().and(Policy::allow(["sagemaker:CreatePresignedDomainUrl"], [ireland]));
    });
}

/// The issuers with the keys out of the table, where they are put.
fn keys_in_the_table(world: &World) -> String {
    let snapshot = KeySnapshot { jwks: world.stack.idp.jwks().unwrap().to_string(), fetched_at: SystemClock::new().now() };
    let source = format!("{}/jwks", world.stack.idp.issuer());
    assert!(world.block_on(world.table().save(&issuer(), &snapshot, &source, std::time::Duration::from_secs(5))).unwrap());
    let env = world.env(&[]);
    let issuers = env.iter().find(|(name, _)| name == "LATCHKEY_ISSUERS").unwrap();
    let mut issuers: Value = serde_json::from_str(&issuers.1).unwrap();
    issuers[0]["jwks"] = json!({ "source": "table" });
    issuers.to_string()
}

/// Whatever is configured and whatever is asked for: botocore's models accept every request, and its signer comes to the same
/// signature.
#[test]
#[ignore = "needs the tools: make test"]
fn every_request_is_valid_and_signed_right_in_every_configuration() {
    let world = World::start();
    allow_own_role(&world);
    add_region(&world);
    add_landings(&world);
    world.grant(
        &issuer(),
        "visitor",
        "ireland",
        "Grace",
        &[("domain_id", "d-demoireland"), ("region", "eu-west-1"), ("external_id", "latchkey-demo")],
    );
    world.grant(&issuer(), "own role", "research", "alice", &[]);
    // A subject that fits neither a session name nor one byte for each character.
    let odd = "auth0|ü €/+#\u{1f511}";
    world.grant(&issuer(), odd, "research", "alice", &[("external_id", "latchkey-demo")]);
    let table_keys = keys_in_the_table(&world);

    let good = |run: &Run<'_>, user: &str, wish: Option<Value>| {
        let answer = run.launch(user, wish.as_ref());
        assert_eq!(answer.status(), 200, "{user}: {:?}", run.emulator.records().last());
    };
    let mut served = 0;
    let mut all_with = |overrides: &[(&str, &str)], requests: &dyn Fn(&Run<'_>)| {
        requests(&Run::start(&world, overrides));
        served += 1;
    };

    all_with(&[], &|run| {
        good(run, "alice", None);
        good(run, "alice", Some(json!({ "target": "research" })));
        good(run, "bob", None);
        for landing in ["page", "space", "both"] {
            good(run, "bob", Some(json!({ "target": "research", "landing": landing })));
        }
        good(run, "bob", Some(json!({ "target": "risk" })));
        assert_eq!(run.launch("dave", None).status(), 403);
        assert_eq!(run.launch("dave", Some(&json!({ "target": "research" }))).status(), 403);
        assert_eq!(run.emulator.invoke(&targets(&run.request_id(), &world.token("bob"))).status(), 200);
        for subject in ["visitor", odd] {
            assert_eq!(run.launch_with(&world.token_of(subject, None), None).status(), 200, "{:?}", run.emulator.records().last());
        }
    });
    all_with(&[("LATCHKEY_SESSION_SCOPE", "role")], &|run| {
        good(run, "alice", None);
        good(run, "bob", Some(json!({ "target": "research", "landing": "both" })));
        good(run, "bob", Some(json!({ "target": "risk" })));
    });
    all_with(&[("LATCHKEY_ROLE_ARN", "")], &|run| {
        assert_eq!(run.launch_with(&world.token_of("own role", None), None).status(), 200, "{:?}", run.emulator.records().last());
        good(run, "bob", Some(json!({ "target": "risk" })));
    });
    all_with(&[("LATCHKEY_REPLAY", "jti"), ("LATCHKEY_RATE_LIMIT", "off")], &|run| {
        let token = world.token("alice");
        assert_eq!(run.launch_with(&token, None).status(), 200);
        assert_eq!(run.launch_with(&token, None).status(), 401);
        // A long id is written in another way.
        let subject = world.stack.user("alice").unwrap().subject.as_str();
        let long = world.stack.idp.mint(&MintOptions { jti: Some("ü".repeat(200)), ..MintOptions::new(subject) }).unwrap();
        assert_eq!(run.launch_with(&long, None).status(), 200, "{:?}", run.emulator.records().last());
        // Of a launch that failed, the mark is taken back.
        world.stack.aws.inject("CreatePresignedDomainUrl", 1, &Fault::error(400, "ValidationException"));
        let token = world.token("alice");
        assert_eq!(run.launch_with(&token, None).status(), 503);
        assert_eq!(run.launch_with(&token, None).status(), 200);
    });
    let once = format!("1/{}", long_window());
    all_with(&[("LATCHKEY_RATE_LIMIT", &once), ("LATCHKEY_URL_SECONDS", "300"), ("LATCHKEY_SESSION_SECONDS", "43200")], &|run| {
        good(run, "alice", None);
        assert_eq!(run.launch("alice", None).status(), 429);
    });
    all_with(&[("LATCHKEY_ISSUERS", &table_keys)], &|run| good(run, "alice", None));

    let captured = world.captured();
    let operations = aws_check::assert_valid(&captured, |request| credentials(&world, request));
    println!("{served} configurations, {} requests", operations.len());
    for operation in ["BatchGetItem", "Query", "GetItem", "UpdateItem", "PutItem", "DeleteItem", "AssumeRole", "CreatePresignedDomainUrl"] {
        let count = operations.iter().filter(|other| *other == operation).count();
        println!("{count:>4} {operation}");
        assert!(count > 0, "no {operation} was sent");
    }
    // The strict engine behind each took them too: what was refused was meant to be.
    for request in captured.iter().filter(|request| !request.is_ok()) {
        let meant = ["ConditionalCheckFailedException", "ValidationException"];
        assert!(request.error().is_some_and(|error| meant.contains(&error)), "{request:?}");
    }
    // A check that passes everything shows nothing: one bit of one request, and one secret, must each be noticed.
    let presign = captured.iter().find(|request| request.action == "CreatePresignedDomainUrl").unwrap();
    let mut changed = presign.clone();
    changed.body[1] ^= 1;
    let lines = [
        aws_check::line(presign, &credentials(&world, presign)),
        aws_check::line(&changed, &credentials(&world, presign)),
        aws_check::line(presign, world.stack.credentials()),
    ];
    let valid: Vec<bool> = aws_check::run(&lines).iter().map(|result| result["valid"] == true).collect();
    assert_eq!(valid, [true, false, false]);
}

/// The default configuration: one read that decides, one conditional write, one session, one URL. A second launch of the same
/// user costs one call less.
#[test]
#[ignore = "needs the tools: make test"]
fn a_launch_costs_one_read_and_one_conditional_write() {
    let world = World::start();
    let run = Run::start(&world, &[]);
    assert_eq!(run.launched("alice", None).operations(), ["Query", "UpdateItem", "AssumeRole", "CreatePresignedDomainUrl"]);
    assert_eq!(run.launched("alice", None).operations(), ["Query", "UpdateItem", "CreatePresignedDomainUrl"]);
    // With more grants, and a target that is named: a read of two keys, whatever else the subject has.
    for number in 0..30 {
        world.grant(&issuer(), "demo-alice", &format!("more-{number}"), "alice", &[]);
    }
    let sent = run.launched("alice", Some(&json!({ "target": "research" })));
    assert_eq!(sent.operations(), ["BatchGetItem", "UpdateItem", "CreatePresignedDomainUrl"]);
    let keys = ["SUBJECT", "TARGET#research"].map(|sk| json!({ "pk": { "S": "SUBJECT#local#demo-alice" }, "sk": { "S": sk } }));
    assert_eq!(body(sent.one("BatchGetItem")), json!({ "RequestItems": { (TABLE): { "Keys": keys, "ConsistentRead": true } } }));

    let write = body(sent.one("UpdateItem"));
    assert!(write["ConditionExpression"].is_string(), "{write}");
    assert_eq!(write["Key"]["pk"]["S"], "RATE#local#demo-alice");
    assert!(!write["Key"]["sk"]["S"].as_str().unwrap().starts_with("TARGET#"));
}

/// Every read that decides is consistent, in every configuration that reads.
#[test]
#[ignore = "needs the tools: make test"]
fn every_read_that_decides_is_consistent() {
    let world = World::start();
    let table_keys = keys_in_the_table(&world);
    let run = Run::start(&world, &[("LATCHKEY_ISSUERS", &table_keys)]);
    assert_eq!(run.launch("alice", None).status(), 200);
    assert_eq!(run.launch("bob", Some(&json!({ "target": "risk" }))).status(), 200);
    assert_eq!(run.emulator.invoke(&targets(&run.request_id(), &world.token("bob"))).status(), 200);
    let mut reads = std::collections::BTreeSet::new();
    for request in world.captured() {
        let members = body_or_null(&request);
        let consistent = match request.action.as_str() {
            "GetItem" | "Query" => &members["ConsistentRead"],
            "BatchGetItem" => &members["RequestItems"][TABLE]["ConsistentRead"],
            "Scan" | "TransactGetItems" => panic!("{} is not for a launch", request.action),
            _ => continue,
        };
        assert_eq!(*consistent, true, "{}", request.action);
        reads.insert(request.action);
    }
    assert_eq!(reads.into_iter().collect::<Vec<_>>(), ["BatchGetItem", "GetItem", "Query"]);
}

/// STS is asked in a form, everybody else in JSON.
fn body_or_null(request: &Captured) -> Value {
    if request.service == "sts" { Value::Null } else { body(request) }
}

/// `LATCHKEY_SESSION_SCOPE=user`: the session is one user's by name, and good for one action on one profile.
#[test]
#[ignore = "needs the tools: make test"]
fn a_session_is_one_users_and_for_one_profile() {
    let world = World::start();
    let run = Run::start(&world, &[]);
    for (user, wish, role, external_id, arn) in [
        ("alice", None, ISSUING_ROLE, "latchkey-demo", ALICE_ARN),
        ("bob", None, ISSUING_ROLE, "latchkey-demo", BOB_ARN),
        (
            "bob",
            Some(json!({ "target": "risk" })),
            RISK_ROLE,
            "latchkey-demo-risk",
            "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-demorisk/bob",
        ),
    ] {
        let sent = run.launched(user, wish.as_ref());
        let assume_role = sent.one("AssumeRole");
        let mut members = form(assume_role);
        let policy: Value = serde_json::from_str(&members.remove("Policy").unwrap()).unwrap();
        let allow = |action: &str| json!({ "Effect": "Allow", "Action": action, "Resource": [arn] });
        let statements = [allow("sagemaker:CreatePresignedDomainUrl"), allow("sagemaker:DescribeUserProfile")];
        assert_eq!(policy, json!({ "Version": "2012-10-17", "Statement": statements }));
        let name = format!("local.demo-{user}");
        let expected = [
            ("Action", "AssumeRole"),
            ("DurationSeconds", "3600"),
            ("ExternalId", external_id),
            ("RoleArn", role),
            ("RoleSessionName", &name),
            ("SourceIdentity", &name),
            ("Version", "2011-06-15"),
        ];
        // All of it: nothing that was not asked for is sent along.
        assert_eq!(members.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);

        // The function assumes the role as itself; the URL is asked for under the session and never under the function's role.
        assert_eq!(assume_role.access_key_id, world.stack.credentials().access_key_id);
        let presign = sent.one("CreatePresignedDomainUrl");
        assert_ne!(presign.access_key_id, world.stack.credentials().access_key_id);
        assert_eq!((presign.region.as_str(), assume_role.region.as_str()), ("eu-central-1", "eu-central-1"));
    }
}

/// SageMaker compares profile names without case. What the policy then has to say is the same profile in both spellings, and no
/// other.
#[test]
#[ignore = "needs the tools: make test"]
fn a_profile_with_capitals_is_named_in_both_spellings() {
    let world = World::start();
    add_region(&world);
    let ireland = [("domain_id", "d-demoireland"), ("region", "eu-west-1"), ("external_id", "latchkey-demo")];
    world.grant(&issuer(), "visitor", "ireland", "Grace", &ireland);
    let run = Run::start(&world, &[]);
    world.clear_captured();
    assert_eq!(run.launch_with(&world.token_of("visitor", None), None).status(), 200, "{:?}", run.emulator.records().last());
    let sent = Sent(world.captured());
    let policy: Value = serde_json::from_str(&form(sent.one("AssumeRole"))["Policy"]).unwrap();
    let arn = |profile: &str| format!("arn:aws:sagemaker:eu-west-1:111122223333:user-profile/d-demoireland/{profile}");
    assert_eq!(policy["Statement"][0]["Resource"], json!([arn("Grace"), arn("grace")]));
    // STS is asked at home, SageMaker where the target is.
    assert_eq!(sent.one("AssumeRole").region, "eu-central-1");
    assert_eq!(sent.one("CreatePresignedDomainUrl").region, "eu-west-1");
    assert_eq!(body(sent.one("CreatePresignedDomainUrl"))["UserProfileName"], "Grace");
}

/// `LATCHKEY_SESSION_SCOPE=role`: one session for all users of a role, which names none of them.
#[test]
#[ignore = "needs the tools: make test"]
fn a_shared_session_names_nobody() {
    let world = World::start();
    let run = Run::start(&world, &[("LATCHKEY_SESSION_SCOPE", "role")]);
    let sent = run.launched("alice", None);
    let members = form(sent.one("AssumeRole"));
    let expected = [
        ("Action", "AssumeRole"),
        ("DurationSeconds", "3600"),
        ("ExternalId", "latchkey-demo"),
        ("RoleArn", ISSUING_ROLE),
        ("RoleSessionName", "latchkey"),
        ("Version", "2011-06-15"),
    ];
    assert_eq!(members.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect::<Vec<_>>(), expected);
    let key = sent.one("CreatePresignedDomainUrl").access_key_id.clone();

    let sent = run.launched("bob", None);
    assert!(!sent.operations().contains(&"AssumeRole"), "{:?}", sent.operations());
    assert_eq!(sent.one("CreatePresignedDomainUrl").access_key_id, key);
    // Another role is another session.
    let sent = run.launched("bob", Some(&json!({ "target": "risk" })));
    assert_eq!(form(sent.one("AssumeRole"))["RoleArn"], RISK_ROLE);
    assert_ne!(sent.one("CreatePresignedDomainUrl").access_key_id, key);
}

/// Without an issuing role there is no session: the function's own credentials sign.
#[test]
#[ignore = "needs the tools: make test"]
fn without_a_role_the_function_asks_as_itself() {
    let world = World::start();
    allow_own_role(&world);
    world.grant(&issuer(), "demo-dave", "research", "alice", &[]);
    let run = Run::start(&world, &[("LATCHKEY_ROLE_ARN", "")]);
    let sent = run.launched("dave", None);
    assert_eq!(sent.operations(), ["Query", "UpdateItem", "CreatePresignedDomainUrl"]);
    assert_eq!(sent.one("CreatePresignedDomainUrl").access_key_id, world.stack.credentials().access_key_id);
}

/// Both lifetimes are said in every request, since SageMaker's defaults are its own affair (and five minutes for a URL); the
/// rest is what the grant has.
#[test]
#[ignore = "needs the tools: make test"]
fn a_url_is_asked_for_with_both_lifetimes_and_nothing_that_the_grant_has_not() {
    let world = World::start();
    add_landings(&world);
    let presigned =
        |run: &Run<'_>, user: &str, wish: Option<Value>| body(run.launched(user, wish.as_ref()).one("CreatePresignedDomainUrl"));
    let run = Run::start(&world, &[]);
    let basic = |domain: &str, profile: &str, url: u32, session: u32| {
        json!({
            "DomainId": domain,
            "UserProfileName": profile,
            "ExpiresInSeconds": url,
            "SessionExpirationDurationInSeconds": session,
        })
    };
    let with = |mut request: Value, more: &[(&str, &str)]| {
        more.iter().for_each(|&(name, value)| request[name] = value.into());
        request
    };
    let research = |profile: &str| basic("d-demoresearch", profile, 30, 28800);
    assert_eq!(presigned(&run, "alice", None), research("alice"));
    let (page, space) = (("LandingUri", "app:JupyterLab:lab"), ("SpaceName", "team-notebooks"));
    assert_eq!(presigned(&run, "bob", None), with(research("bob"), &[page]));
    let landing = |name: &str| Some(json!({ "target": "research", "landing": name }));
    assert_eq!(presigned(&run, "bob", landing("page")), with(research("bob"), &[page]));
    assert_eq!(presigned(&run, "bob", landing("space")), with(research("bob"), &[space]));
    assert_eq!(presigned(&run, "bob", landing("both")), with(research("bob"), &[page, space]));

    // A grant lowers them, and never raises them.
    let risk = world.stack.user("bob").unwrap().grants.iter().find(|grant| grant.name.as_str() == "risk").unwrap();
    let lowered = (risk.url_seconds.unwrap_or(30), risk.session_seconds.unwrap_or(28800));
    assert_ne!(lowered, (30, 28800));
    assert_eq!(presigned(&run, "bob", Some(json!({ "target": "risk" }))), basic("d-demorisk", "bob", lowered.0, lowered.1));
    drop(run);
    let run = Run::start(&world, &[("LATCHKEY_URL_SECONDS", "5"), ("LATCHKEY_SESSION_SECONDS", "1800")]);
    assert_eq!(presigned(&run, "alice", None), basic("d-demoresearch", "alice", 5, 1800));
    assert_eq!(presigned(&run, "bob", Some(json!({ "target": "risk" }))), basic("d-demorisk", "bob", 5, 1800));
}

/// Who is refused causes no call of STS and none of SageMaker; and whose token is refused, none of the table either.
#[test]
#[ignore = "needs the tools: make test"]
fn a_refused_request_calls_neither_sts_nor_sagemaker() {
    let world = World::start();
    let once = format!("1/{}", long_window());
    let run = Run::start(&world, &[("LATCHKEY_RATE_LIMIT", &once), ("LATCHKEY_REPLAY", "jti")]);
    let used = world.token("alice");
    assert_eq!(run.launch_with(&used, None).status(), 200);
    world.clear_captured();
    let refused = |answer: &Answer, status: u64, what: &str| {
        assert_eq!(answer.status(), status, "{what}");
        let sent = Sent(world.captured());
        world.clear_captured();
        let aws: Vec<&str> = sent.0.iter().filter(|request| request.service != "dynamodb").map(|request| request.action.as_str()).collect();
        assert!(aws.is_empty(), "{what}: {aws:?}");
        sent.operations().into_iter().map(str::to_owned).collect::<Vec<_>>()
    };

    for variant in ["expired", "other-audience", "other-issuer", "forged", "unknown-key"] {
        let sent = refused(&run.launch(&format!("alice:{variant}"), None), 401, variant);
        assert!(sent.is_empty(), "{variant}: {sent:?}");
    }
    assert!(refused(&run.launch_with("not-a-token", None), 401, "no token").is_empty());
    let mut elsewhere = launch(&run.request_id(), &world.token("alice"), None);
    elsewhere["requestContext"]["identity"]["vpceId"] = "vpce-0other".into();
    assert!(refused(&run.emulator.invoke(&elsewhere), 403, "another endpoint").is_empty());
    let unknown = json!({ "target": "research", "domain_id": "d-demoresearch" });
    assert!(refused(&run.launch("alice", Some(&unknown)), 400, "an unknown member").is_empty());

    for (user, wish) in [
        ("carol", None),
        ("carol", Some(json!({ "target": "research" }))),
        ("dave", None),
        ("erin", None),
        ("alice", Some(json!({ "target": "risk" }))),
        ("bob", Some(json!({ "target": "research", "landing": "nowhere" }))),
    ] {
        refused(&run.launch(user, wish.as_ref()), 403, user);
    }
    refused(&run.launch("alice", None), 429, "too often");

    let run = Run::start(&world, &[("LATCHKEY_REPLAY", "jti"), ("LATCHKEY_RATE_LIMIT", "off")]);
    let id = run.request_id();
    refused(&run.emulator.invoke(&launch(&id, &used, None)), 401, "a used token");
    // What the function writes comes through a pipe, perhaps after its answer: it is waited for.
    assert_eq!(run.emulator.record_of(&id)["reason"], "token.replayed");
    // Listing makes no URL.
    let listed = run.emulator.invoke(&targets(&run.request_id(), &world.token("bob")));
    assert_eq!(refused(&listed, 200, "targets"), ["Query"]);
    // The identity that the table was asked about is the one in the token, and nothing that the request says besides.
    let identity = Identity { issuer: issuer(), subject: Subject::new("demo-bob").unwrap() };
    run.launched("bob", None);
    assert_eq!(body(Sent(world.captured()).one("Query"))["ExpressionAttributeValues"][":pk"]["S"], identity.partition_key());
}
