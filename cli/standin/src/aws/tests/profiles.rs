//! User profiles: made, tagged, told apart.

use super::*;

const EXECUTION_ROLE: &str = "arn:aws:iam::111122223333:role/studio-execution";
const NEW: &str = "arn:aws:sagemaker:eu-central-1:111122223333:user-profile/d-abc/Joan";

fn joan() -> Value {
    json!({
        "DomainId": "d-abc",
        "UserProfileName": "Joan",
        "Tags": [{ "Key": "latchkey:issuer", "Value": "local" }, { "Key": "team", "Value": "" }],
        "UserSettings": { "ExecutionRole": EXECUTION_ROLE, "SecurityGroups": ["sg-0123456789abcdef0"] },
    })
}

async fn fixture() -> Fixture {
    let aws = Fixture::new().await;
    aws.with_doors(|_| {});
    aws
}

impl Fixture {
    async fn create(&self, session: &Credentials, input: &Value) -> Reply {
        self.sagemaker(session, "CreateUserProfile", input).await
    }

    async fn tags(&self, session: &Credentials, arn: &str) -> Reply {
        self.sagemaker(session, "ListTags", &json!({ "ResourceArn": arn })).await
    }
}

#[tokio::test]
async fn a_profile_is_made_and_opens_once_it_is_in_service() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let described =
        async || aws.sagemaker(&session, "DescribeUserProfile", &json!({ "DomainId": "d-abc", "UserProfileName": "joan" })).await.json();
    let opened = async || aws.presign(&session, &with(jane(), "UserProfileName", json!("joan"))).await;

    assert_eq!(code(&opened().await), "ResourceNotFound");
    let reply = aws.create(&session, &joan()).await;
    assert_eq!((reply.status, reply.json()), (200, json!({ "UserProfileArn": NEW })));
    let profile = json!({
        "DomainId": "d-abc",
        "UserProfileArn": NEW,
        "UserProfileName": "Joan",
        "Status": "Pending",
        "UserSettings": { "ExecutionRole": EXECUTION_ROLE, "SecurityGroups": ["sg-0123456789abcdef0"] },
    });
    assert_eq!(described().await, profile);
    let refused = opened().await;
    assert_eq!(code(&refused), "ValidationException");
    assert!(refused.json()["message"].as_str().unwrap().ends_with("it is Pending."), "{}", refused.body);
    // Its name is taken and its tags are told from the first moment on, in any case.
    for name in ["Joan", "joan", "JOAN"] {
        let taken = aws.create(&session, &with(joan(), "UserProfileName", json!(name))).await;
        assert_eq!((taken.status, &*code(&taken)), (400, "ResourceInUse"), "{}", taken.body);
        assert!(taken.json()["Message"].as_str().unwrap().contains(NEW), "{}", taken.body);
        let tags = aws.tags(&session, &NEW.replace("Joan", name)).await.json();
        assert_eq!(tags, json!({ "Tags": [{ "Key": "latchkey:issuer", "Value": "local" }, { "Key": "team", "Value": "" }] }));
    }
    aws.pass(2);
    assert_eq!(described().await["Status"], "Pending");
    aws.pass(1);
    assert_eq!(described().await, with(profile, "Status", json!("InService")));
    let url = opened().await.json()["AuthorizedUrl"].as_str().unwrap().to_owned();
    assert_eq!(aws.open(&url, "application/json").await.json()["user_profile_name"], "Joan");

    // A test's own idea of a state wins.
    aws.aws.change(|world| world.domain_mut("d-abc").unwrap().user_profile_mut("joan").unwrap().status = Status::Failed);
    assert_eq!((&described().await["Status"], &*code(&opened().await)), (&json!("Failed"), "ValidationException"));
}

#[tokio::test]
async fn how_long_it_takes_is_the_domains_to_say() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    for (seconds, name) in [(0, "at-once"), (60, "slow")] {
        aws.aws.change(|world| world.domain_mut("d-abc").unwrap().profile_seconds = seconds);
        let input = json!({ "DomainId": "d-abc", "UserProfileName": name });
        assert_eq!(aws.create(&session, &input).await.status, 200);
        let status = async || aws.sagemaker(&session, "DescribeUserProfile", &input).await.json();
        if seconds > 0 {
            aws.pass(seconds - 1);
            assert_eq!(status().await["Status"], "Pending");
            aws.pass(1);
        }
        // Without settings and tags it has none.
        let profile = status().await;
        assert_eq!((&profile["Status"], profile.get("UserSettings")), (&json!("InService"), None));
        let arn = profile["UserProfileArn"].as_str().unwrap().to_owned();
        assert_eq!(aws.tags(&session, &arn).await.json(), json!({ "Tags": [] }));
    }
}

#[tokio::test]
async fn each_permission_is_needed() {
    let aws = fixture().await;
    let all = [("sagemaker:CreateUserProfile", NEW), ("sagemaker:AddTags", NEW), ("iam:PassRole", EXECUTION_ROLE)];
    for (missing, _) in all {
        let rest: Vec<_> = all.into_iter().filter(|(action, _)| *action != missing).collect();
        let session = aws.narrow_session(&rest).await;
        let denied = aws.create(&session, &joan()).await;
        assert_eq!(code(&denied), "AccessDeniedException");
        assert!(denied.json()["message"].as_str().unwrap().contains(&format!("to perform: {missing} on resource: ")), "{}", denied.body);
    }
    let session = aws.narrow_session(&all).await;
    // For that one profile, that one role, and nothing else.
    for (name, value) in [
        ("UserProfileName", json!("Joe")),
        ("UserProfileName", json!("joan")),
        ("DomainId", json!("d-none")),
        ("UserSettings", json!({ "ExecutionRole": "arn:aws:iam::111122223333:role/admin" })),
    ] {
        assert_eq!(code(&aws.create(&session, &with(joan(), name, value.clone())).await), "AccessDeniedException", "{name} {value}");
    }
    assert_eq!(code(&aws.tags(&session, NEW).await), "AccessDeniedException");
    assert_eq!(aws.create(&session, &joan()).await.status, 200);
    // What is not asked for needs no permission.
    let session = aws.narrow_session(&[("sagemaker:CreateUserProfile", &NEW.replace("Joan", "Joe"))]).await;
    let plain = json!({ "DomainId": "d-abc", "UserProfileName": "Joe", "Tags": [], "UserSettings": {} });
    assert_eq!(aws.create(&session, &plain).await.status, 200);
}

#[tokio::test]
async fn creation_is_held_to_the_model() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let tag = |key: Value, value: Value| json!([{ "Key": key, "Value": value }]);
    let tags = |count: usize| json!((0..count).map(|n| json!({ "Key": format!("k{n}"), "Value": "v" })).collect::<Vec<_>>());
    let groups = |count: usize| json!({ "SecurityGroups": vec!["sg-1"; count] });
    let role = |arn: &str| json!({ "ExecutionRole": arn });
    let validation = "ValidationException";
    let serialization = "SerializationException";
    for (name, value, expected) in [
        ("DomainId", Value::Null, validation),
        ("DomainId", json!("abc"), validation),
        ("DomainId", json!("d-none"), "ResourceNotFound"),
        ("DomainId", json!("d-sso"), validation),
        ("UserProfileName", json!(""), validation),
        ("UserProfileName", json!("joan@example.com"), validation),
        ("UserProfileName", json!("x".repeat(64)), validation),
        ("UserProfileName", json!(7), serialization),
        ("Tags", json!({}), serialization),
        ("Tags", json!(["team"]), serialization),
        ("Tags", tags(51), validation),
        ("Tags", tag(json!(""), json!("v")), validation),
        ("Tags", tag(json!("k".repeat(129)), json!("v")), validation),
        ("Tags", tag(json!("a|b"), json!("v")), validation),
        ("Tags", tag(json!("aws:team"), json!("v")), validation),
        ("Tags", tag(json!("k"), json!("v".repeat(257))), validation),
        ("Tags", tag(json!("k"), Value::Null), validation),
        ("Tags", tag(json!("k"), json!(1)), serialization),
        ("Tags", json!([{ "Key": "k", "Value": "1" }, { "Key": "k", "Value": "2" }]), validation),
        ("Tags", json!([{ "Key": "k", "Value": "1", "Extra": 1 }]), serialization),
        ("UserSettings", json!([]), serialization),
        ("UserSettings", role("x"), validation),
        ("UserSettings", role("arn:aws:iam::111122223333:user/studio-execution"), validation),
        ("UserSettings", role("arn:aws:iam::444455556666:role/studio-execution"), validation),
        ("UserSettings", groups(6), validation),
        ("UserSettings", json!({ "SecurityGroups": ["sg_1"] }), validation),
        ("UserSettings", json!({ "SecurityGroups": ["x".repeat(33)] }), validation),
        ("UserSettings", json!({ "SecurityGroups": "sg-1" }), serialization),
        ("UserSettings", json!({ "SecurityGroups": [1] }), serialization),
        ("UserSettings", json!({ "DefaultLandingUri": "studio::" }), serialization),
        ("SingleSignOnUserValue", json!("joan"), serialization),
    ] {
        let reply = aws.create(&session, &with(joan(), name, value.clone())).await;
        assert_eq!((reply.status, &*code(&reply)), (400, expected), "{name} {value}: {}", reply.body);
    }
    for status in [Status::Pending, Status::Updating, Status::Deleting] {
        aws.aws.change(|world| world.domain_mut("d-abc").unwrap().status = status);
        assert_eq!(code(&aws.create(&session, &joan()).await), validation);
    }
    // None of that has made one, and what is at the bounds can be made.
    aws.aws.change(|world| {
        let domain = world.domain_mut("d-abc").unwrap();
        domain.status = Status::InService;
        assert!(domain.user_profile_mut("joan").is_none());
    });
    let mut largest = with(joan(), "Tags", tags(50));
    largest["UserSettings"]["SecurityGroups"] = groups(5)["SecurityGroups"].clone();
    assert_eq!(aws.create(&session, &largest).await.status, 200);
    // Another region's or account's domain is not there.
    for (region, account) in [("eu-west-1", ACCOUNT), ("eu-central-1", "444455556666")] {
        aws.aws.change(|world| {
            let domain = world.domain_mut("d-abc").unwrap();
            (domain.region, domain.account_id) = (Region::new(region).unwrap(), AccountId::new(account).unwrap());
        });
        assert_eq!(code(&aws.create(&session, &with(joan(), "UserProfileName", json!("Joe"))).await), "ResourceNotFound");
    }
}

#[tokio::test]
async fn tags_come_in_pages() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let tags = |count: usize| (0..count).map(|n| (format!("k{n}"), String::new())).collect::<Vec<_>>();
    aws.aws.change(|world| {
        let domain = world.domain_mut("d-abc").unwrap();
        // AWS's own tags do not count towards the 50 that a caller can set.
        domain.user_profile_mut("jane").unwrap().tags = tags(120);
        domain.user_profile_mut("mixed-case").unwrap().tags = tags(120);
    });
    let page = async |more: &[(&str, Value)]| {
        let input = more.iter().fold(json!({ "ResourceArn": JANE }), |input, (name, value)| with(input, name, value.clone()));
        aws.sagemaker(&session, "ListTags", &input).await
    };
    let mut next = None;
    let mut keys = Vec::new();
    for expected in [50, 50, 20] {
        let reply = match next.take() {
            None => page(&[]).await.json(),
            Some(token) => page(&[("NextToken", token)]).await.json(),
        };
        let listed = reply["Tags"].as_array().unwrap();
        assert_eq!(listed.len(), expected);
        keys.extend(listed.iter().map(|tag| tag["Key"].as_str().unwrap().to_owned()));
        next = reply.get("NextToken").cloned();
    }
    assert_eq!((keys, next), (tags(120).into_iter().map(|(key, _)| key).collect::<Vec<_>>(), None));
    let first = page(&[("MaxResults", json!(100))]).await.json();
    assert_eq!(first["Tags"].as_array().unwrap().len(), 100);
    assert_eq!(page(&[("NextToken", first["NextToken"].clone())]).await.json()["Tags"].as_array().unwrap().len(), 20);
    assert_eq!(page(&[("MaxResults", json!(120))]).await.json().get("NextToken"), None);

    for (name, value, expected) in [
        ("MaxResults", json!(49), "ValidationException"),
        ("MaxResults", json!("50"), "SerializationException"),
        ("NextToken", json!("made-up"), "ValidationException"),
        ("NextToken", json!(""), "ValidationException"),
        ("NextToken", json!("x".repeat(8193)), "ValidationException"),
        ("Extra", json!(1), "SerializationException"),
    ] {
        assert_eq!(code(&page(&[(name, value.clone())]).await), expected, "{name} {value}");
    }
    // A token is of one profile's list.
    let input = json!({ "ResourceArn": JANE.replace("jane", "Mixed-Case"), "NextToken": first["NextToken"] });
    assert_eq!(code(&aws.sagemaker(&session, "ListTags", &input).await), "ValidationException");
}

#[tokio::test]
async fn tags_are_of_one_profile_here() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    for (arn, expected) in [
        ("", "ValidationException"),
        ("d-abc/jane", "ValidationException"),
        ("arn:aws:sagemaker:eu-central-1:111122223333:", "ValidationException"),
        ("arn:aws:sagemaker:eu-central-1:111122223333:domain/d-abc", "ValidationException"),
        (&JANE.replace("jane", &"x".repeat(256)), "ValidationException"),
        (&JANE.replace("jane", "nobody"), "ResourceNotFound"),
        (&JANE.replace("d-abc", "d-none"), "ResourceNotFound"),
        (&JANE.replace("eu-central-1", "eu-west-1"), "ResourceNotFound"),
        (&JANE.replace(ACCOUNT, "444455556666"), "ResourceNotFound"),
        (&JANE.replace("arn:aws:", "arn:aws-cn:"), "ResourceNotFound"),
    ] {
        let reply = aws.tags(&session, arn).await;
        assert_eq!((reply.status, &*code(&reply)), (400, expected), "{arn}: {}", reply.body);
    }
    assert_eq!(code(&aws.sagemaker(&session, "ListTags", &json!({})).await), "ValidationException");
    let narrow = aws.narrow_session(&[("sagemaker:ListTags", JANE)]).await;
    assert_eq!(aws.tags(&narrow, JANE).await.status, 200);
    assert_eq!(code(&aws.tags(&narrow, &JANE.replace("jane", "nobody")).await), "AccessDeniedException");
}
