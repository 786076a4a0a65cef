//! The doors besides Studio: the same rules for each of them.

use latchkey_domain::names::{MlflowAppArn, NotebookInstanceName, PartnerAppArn, TrackingServerName};

use super::*;

/// What a test has to know of a kind of door.
struct Door {
    kind: &'static str,
    presign: &'static str,
    describe: &'static str,
    /// The member that names it, and what it says.
    member: &'static str,
    name: &'static str,
    arn: &'static str,
    /// The output member that has the URL.
    output: &'static str,
    /// The URL's host, up to its port, and what follows.
    host: &'static str,
    after_port: &'static str,
    captured: &'static str,
}

const DOORS: [Door; 4] = [
    Door {
        kind: "notebook",
        presign: "CreatePresignedNotebookInstanceUrl",
        describe: "DescribeNotebookInstance",
        member: "NotebookInstanceName",
        name: "Research-Jane",
        arn: "arn:aws:sagemaker:eu-central-1:111122223333:notebook-instance/Research-Jane",
        output: "AuthorizedUrl",
        host: "research-jane.notebook.eu-central-1.sagemaker.localhost",
        after_port: "?authToken=",
        captured: "OpenNotebook",
    },
    Door {
        kind: "mlflow-server",
        presign: "CreatePresignedMlflowTrackingServerUrl",
        describe: "DescribeMlflowTrackingServer",
        member: "TrackingServerName",
        name: "experiments",
        arn: "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-tracking-server/experiments",
        output: "AuthorizedUrl",
        // printf '%s' "$arn" | sha256sum
        host: "t-4b23a34bf8c1.eu-central-1.experiments.sagemaker.localhost",
        after_port: "/auth?authToken=",
        captured: "OpenMlflowServer",
    },
    Door {
        kind: "mlflow-app",
        presign: "CreatePresignedMlflowAppUrl",
        describe: "DescribeMlflowApp",
        member: "Arn",
        name: "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-app/app-7QX2",
        arn: "arn:aws:sagemaker:eu-central-1:111122223333:mlflow-app/app-7QX2",
        output: "AuthorizedUrl",
        host: "app-7qx2.mlflow.sagemaker.eu-central-1.app.localhost",
        after_port: "/auth?authToken=",
        captured: "OpenMlflowApp",
    },
    Door {
        kind: "partner-app",
        presign: "CreatePartnerAppPresignedUrl",
        describe: "DescribePartnerApp",
        member: "Arn",
        name: "arn:aws:sagemaker:eu-central-1:111122223333:partner-app/app-ABCDEFGHIJ12",
        arn: "arn:aws:sagemaker:eu-central-1:111122223333:partner-app/app-ABCDEFGHIJ12",
        output: "Url",
        host: "app-abcdefghij12.partner-app.eu-central-1.sagemaker.localhost",
        after_port: "/auth?authToken=",
        captured: "OpenPartnerApp",
    },
];

impl Door {
    fn has_url_seconds(&self) -> bool {
        self.kind != "notebook"
    }

    fn named(&self) -> Value {
        self.called(self.name)
    }

    fn called(&self, name: &str) -> Value {
        json!({ self.member: name })
    }

    /// One of the same kind that is not there.
    fn absent(&self) -> Value {
        self.called(&self.name.replace("Jane", "Joan").replace("experiments", "none").replace("-7QX2", "-NONE").replace("IJ12", "NONE"))
    }

    async fn url(&self, aws: &Fixture, session: &Credentials) -> String {
        let reply = aws.sagemaker(session, self.presign, &self.named()).await;
        assert_eq!(reply.status, 200, "{}: {}", self.presign, reply.body);
        reply.json()[self.output].as_str().unwrap().to_owned()
    }
}

async fn fixture() -> Fixture {
    let aws = Fixture::new().await;
    let (region, account_id) = (Region::new("eu-central-1").unwrap(), AccountId::new(ACCOUNT).unwrap());
    aws.with_doors(|world| {
        let notebook = NotebookInstanceName::new(DOORS[0].name).unwrap();
        world.notebook_instances.push(NotebookInstance::in_service(notebook, region.clone(), account_id.clone()));
        let server = TrackingServerName::new(DOORS[1].name).unwrap();
        world.tracking_servers.push(TrackingServer::in_service(server, region, account_id));
        world.mlflow_apps.push(MlflowApp::in_service(MlflowAppArn::new(DOORS[2].arn).unwrap()));
        world.partner_apps.push(PartnerApp::in_service(PartnerAppArn::new(DOORS[3].arn).unwrap()));
    });
    aws
}

#[tokio::test]
async fn every_door_opens_once_and_in_time_at_its_own_address() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let port = aws.aws.address().port();
    let error = async |url: &str| {
        let reply = aws.open(url, "application/json").await;
        (reply.status, reply.json()["error"].as_str().unwrap_or("none").to_owned())
    };
    let unknown = || (403, "unknown-token".to_owned());
    for door in &DOORS {
        let url = door.url(&aws, &session).await;
        let start = format!("http://{}:{port}{}", door.host, door.after_port);
        assert!(url.starts_with(&start), "{url}");
        // Another region, another door of the kind, another kind, another parameter, no token, two tokens.
        assert_eq!(error(&url.replace("eu-central-1", "eu-west-1")).await, unknown());
        assert_eq!(error(&url.replacen("://", "://x", 1)).await, unknown());
        let token = url.split_once('=').unwrap().1;
        for other in DOORS.iter().filter(|other| other.kind != door.kind) {
            assert_eq!(error(&format!("http://{}:{port}{}{token}", other.host, other.after_port)).await, unknown());
        }
        assert_eq!(error(&format!("http://d-abc.studio.eu-central-1.sagemaker.localhost:{port}/auth?token={token}")).await, unknown());
        assert_eq!(error(&url.replace("authToken=", "token=")).await, unknown());
        assert_eq!(error(&url.replace("authToken=", "authToken=x&authToken=")).await, unknown());
        assert_eq!(error(&start.replace("?authToken=", "?")).await, unknown());
        assert_eq!(error(&format!("http://{}:{port}/other?authToken={token}", door.host)).await, (404, "not-found".to_owned()));
        // None of that has used it up.
        let mut opened = aws.open(&url, "application/json").await.json();
        for (name, value) in [
            ("kind", json!(door.kind)),
            ("resource_arn", json!(door.arn)),
            ("session_seconds", json!(43200)),
            ("session_ends_at", json!("2027-01-15T20:00:00.000Z")),
            ("region", json!("eu-central-1")),
            ("account_id", json!(ACCOUNT)),
            ("caller", json!("arn:aws:sts::111122223333:assumed-role/issuing/local.jane")),
            ("source_identity", json!("local.jane")),
            ("opened_at", json!("2027-01-15T08:00:00.000Z")),
        ] {
            assert_eq!(opened.as_object_mut().unwrap().remove(name), Some(value), "{name}");
        }
        let rest = match door.kind {
            "notebook" => json!({ "notebook_instance_name": door.name }),
            "mlflow-server" => json!({ "tracking_server_name": door.name }),
            _ => json!({}),
        };
        assert_eq!(opened, rest);
        assert_eq!(error(&url).await, (403, "used-token".to_owned()));
        let last = aws.aws.captured().pop().unwrap();
        assert_eq!((last.service.as_str(), last.action.as_str(), last.error()), (door.kind, door.captured, Some("used-token")));
    }
    let late: Vec<String> = futures_util::future::join_all(DOORS.iter().map(|door| door.url(&aws, &session))).await;
    aws.pass(300);
    for url in late {
        assert_eq!(error(&url).await, (403, "expired-token".to_owned()));
    }
}

#[tokio::test]
async fn every_page_is_for_people() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    for (door, heading) in DOORS.iter().zip([
        "Notebook instance Research-Jane is open",
        "MLflow tracking server experiments is open",
        "MLflow app app-7QX2 is open",
        "Partner AI App app-ABCDEFGHIJ12 is open",
    ]) {
        let page = aws.open(&door.url(&aws, &session).await, "text/html").await;
        assert_eq!((page.status, page.header("content-type")), (200, "text/html; charset=utf-8"));
        for text in [&format!("<h1>{heading}</h1>"), "12 hours", door.arn, "local.jane", ACCOUNT, "Amazon SageMaker"] {
            assert!(page.body.contains(text), "{text}: {}", page.body);
        }
        let documented = page.body.contains("AWS documents the same");
        assert_eq!(documented, door.kind.starts_with("mlflow"), "{}", door.kind);
    }
}

#[tokio::test]
async fn lifetimes_have_their_bounds() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    for door in &DOORS {
        let presign = async |name: &str, value: Value| {
            let reply = aws.sagemaker(&session, door.presign, &with(door.named(), name, value)).await;
            if reply.status == 200 { String::new() } else { code(&reply) }
        };
        for (value, expected) in [(1799, "ValidationException"), (1800, ""), (43200, ""), (43201, "ValidationException")] {
            assert_eq!(presign("SessionExpirationDurationInSeconds", json!(value)).await, expected, "{} {value}", door.kind);
        }
        assert_eq!(presign("SessionExpirationDurationInSeconds", json!("1800")).await, "SerializationException");
        for (value, expected) in [(4, "ValidationException"), (5, ""), (300, ""), (301, "ValidationException")] {
            let expected = if door.has_url_seconds() { expected } else { "SerializationException" };
            assert_eq!(presign("ExpiresInSeconds", json!(value)).await, expected, "{} {value}", door.kind);
        }
        let mut input = with(door.named(), "SessionExpirationDurationInSeconds", json!(3600));
        if door.has_url_seconds() {
            input = with(input, "ExpiresInSeconds", json!(30));
        }
        let made = async || aws.sagemaker(&session, door.presign, &input).await.json()[door.output].as_str().unwrap().to_owned();
        let (url, late) = (made().await, made().await);
        let last = if door.has_url_seconds() { 29 } else { 299 };
        aws.pass(last);
        let opened = aws.open(&url, "application/json").await;
        assert_eq!((opened.status, &opened.json()["session_seconds"]), (200, &json!(3600)), "{}", door.kind);
        aws.pass(1);
        assert_eq!(aws.open(&late, "application/json").await.json()["error"], "expired-token");
    }
}

/// What [`outcome`] makes of the two ways of saying that something is not there.
const ABSENT: &str = "absent";

/// The code of an error, or that what it was asked about is not there.
fn outcome(reply: &Reply) -> String {
    let body = reply.json();
    let message = body["Message"].as_str().or(body["message"].as_str()).unwrap_or_default();
    match code(reply).as_str() {
        "ResourceNotFound" if message.ends_with("does not exist.") => ABSENT.to_owned(),
        "ValidationException" if message == "RecordNotFound" => ABSENT.to_owned(),
        code => code.to_owned(),
    }
}

#[tokio::test]
async fn inputs_are_held_to_the_model() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let (mlflow, partner) = (DOORS[2].arn, DOORS[3].arn);
    let long_arn = format!("{mlflow}{}", "x".repeat(128));
    let lengths = |most: usize| ("x".repeat(most), "x".repeat(most + 1));
    let ((notebook, notebook_more), (server, server_more)) = (lengths(63), lengths(256));
    for (door, names) in [
        (&DOORS[0], &[("", "ValidationException"), ("-a", "ValidationException"), ("a_b", "ValidationException")][..]),
        (&DOORS[0], &[(&notebook, ABSENT), (&notebook_more, "ValidationException")]),
        (&DOORS[1], &[("", "ValidationException"), ("a-", "ValidationException"), ("a.b", "ValidationException")]),
        (&DOORS[1], &[(&server, ABSENT), (&server_more, "ValidationException")]),
        (&DOORS[2], &[("", "ValidationException"), ("app-7QX2", "ValidationException"), (partner, "ValidationException")]),
        (&DOORS[2], &[(&long_arn, "ValidationException")]),
        (
            &DOORS[3],
            &[("", "ValidationException"), (mlflow, "ValidationException"), (&partner[..partner.len() - 1], "ValidationException")],
        ),
    ] {
        for (name, expected) in names {
            for action in [door.presign, door.describe] {
                let reply = aws.sagemaker(&session, action, &door.called(name)).await;
                assert_eq!((reply.status, &*outcome(&reply)), (400, *expected), "{action} {name}: {}", reply.body);
            }
        }
    }
    for door in &DOORS {
        for (input, expected) in [
            (json!({}), "ValidationException"),
            (json!({ door.member: null }), "ValidationException"),
            (json!({ door.member: 7 }), "SerializationException"),
            (json!({ door.member: [door.name] }), "SerializationException"),
            (with(door.named(), "Extra", json!(1)), "SerializationException"),
            (with(door.named(), "LandingUri", json!("studio::x")), "SerializationException"),
            (json!({ door.member.to_lowercase(): door.name }), "SerializationException"),
            (door.absent(), ABSENT),
        ] {
            for action in [door.presign, door.describe] {
                let reply = aws.sagemaker(&session, action, &input).await;
                assert_eq!((reply.status, &*outcome(&reply)), (400, expected), "{action} {input}: {}", reply.body);
            }
        }
        let described = aws.sagemaker(&session, door.describe, &with(door.named(), "ExpiresInSeconds", json!(30))).await;
        assert_eq!(code(&described), "SerializationException");
        // Only the calls for notebook instances know no ResourceNotFound.
        let absent = aws.sagemaker(&session, door.describe, &door.absent()).await;
        let is_notebook = door.member == "NotebookInstanceName";
        assert_eq!(code(&absent), if is_notebook { "ValidationException" } else { "ResourceNotFound" });
    }
}

#[tokio::test]
async fn what_is_elsewhere_is_not_there() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let absent = async || {
        for door in &DOORS {
            for action in [door.presign, door.describe] {
                assert_eq!(outcome(&aws.sagemaker(&session, action, &door.named()).await), ABSENT, "{action}");
            }
        }
    };
    aws.with_doors(|world| {
        let region = Region::new("eu-west-1").unwrap();
        world.notebook_instance_mut(DOORS[0].name).unwrap().region = region.clone();
        world.tracking_server_mut(DOORS[1].name).unwrap().region = region;
        let there = DOORS[2].arn.replace("eu-central-1", "eu-west-1");
        world.mlflow_app_mut(DOORS[2].arn).unwrap().arn = MlflowAppArn::new(there).unwrap();
        let there = DOORS[3].arn.replace("eu-central-1", "eu-west-1");
        world.partner_app_mut(DOORS[3].arn).unwrap().arn = PartnerAppArn::new(there).unwrap();
    });
    absent().await;
    // Neither is an app of another region or account there for whoever names it by its own ARN.
    for door in &DOORS[2..] {
        let there = door.arn.replace("eu-central-1", "eu-west-1");
        assert_eq!(code(&aws.sagemaker(&session, door.presign, &door.called(&there)).await), "ResourceNotFound");
    }
    aws.with_doors(|world| {
        let account_id = AccountId::new("444455556666").unwrap();
        let notebook = world.notebook_instance_mut(DOORS[0].name).unwrap();
        (notebook.region, notebook.account_id) = (Region::new("eu-central-1").unwrap(), account_id.clone());
        let server = world.tracking_server_mut(DOORS[1].name).unwrap();
        (server.region, server.account_id) = (Region::new("eu-central-1").unwrap(), account_id);
        world.mlflow_apps[0].arn = MlflowAppArn::new(DOORS[2].arn.replace(ACCOUNT, "444455556666")).unwrap();
        world.partner_apps[0].arn = PartnerAppArn::new(DOORS[3].arn.replace(ACCOUNT, "444455556666")).unwrap();
    });
    absent().await;
    for door in &DOORS[2..] {
        let there = door.arn.replace(ACCOUNT, "444455556666");
        assert_eq!(code(&aws.sagemaker(&session, door.presign, &door.called(&there)).await), "ResourceNotFound");
    }
}

#[tokio::test]
async fn who_may_not_does_not_learn_what_exists() {
    let aws = fixture().await;
    for door in &DOORS {
        let actions = [door.presign, door.describe].map(|action| format!("sagemaker:{action}"));
        // The session policy that the broker writes, its session actions included.
        let permissions = [(&*actions[0], door.arn), (&*actions[1], door.arn), ("sagemaker-mlflow:*", door.arn)];
        let session = aws.narrow_session(&permissions).await;
        for action in [door.presign, door.describe] {
            assert_eq!(aws.sagemaker(&session, action, &door.named()).await.status, 200, "{action}");
            let denied = aws.sagemaker(&session, action, &door.absent()).await;
            assert_eq!(code(&denied), "AccessDeniedException", "{action}: {}", denied.body);
            assert!(denied.json()["message"].as_str().unwrap().contains("no session policy"), "{}", denied.body);
            for other in DOORS.iter().filter(|other| other.kind != door.kind) {
                assert_eq!(code(&aws.sagemaker(&session, other.presign, &other.named()).await), "AccessDeniedException");
            }
        }
        // One action on the one resource is not the other.
        let session = aws.narrow_session(&permissions[1..]).await;
        assert_eq!(code(&aws.sagemaker(&session, door.presign, &door.named()).await), "AccessDeniedException");
        assert_eq!(aws.sagemaker(&session, door.describe, &door.named()).await.status, 200);
        // The bounds come first, as they do at AWS's front.
        assert_eq!(code(&aws.sagemaker(&session, door.presign, &json!({})).await), "ValidationException");
    }
    aws.aws.change(|world| world.role_mut(ROLE).unwrap().policy = Policy::nothing());
    let session = aws.wide_session().await;
    for door in &DOORS {
        for action in [door.presign, door.describe] {
            assert_eq!(code(&aws.sagemaker(&session, action, &door.named()).await), "AccessDeniedException", "{action}");
        }
    }
}

#[tokio::test]
async fn a_door_opens_in_some_states_and_tells_all_of_them() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let open = async |door: &Door| {
        let reply = aws.sagemaker(&session, door.presign, &door.named()).await;
        if reply.status != 200 {
            assert_eq!((reply.status, &*code(&reply)), (400, "ValidationException"), "{}", reply.body);
        }
        reply.status == 200
    };
    let told = async |door: &Door, member: &str| aws.sagemaker(&session, door.describe, &door.named()).await.json()[member].clone();

    for status in NotebookStatus::ALL {
        aws.aws.change(|world| world.notebook_instance_mut(DOORS[0].name).unwrap().status = *status);
        assert_eq!(told(&DOORS[0], "NotebookInstanceStatus").await, status.as_str());
        assert_eq!(open(&DOORS[0]).await, status.as_str() == "InService", "{status:?}");
    }
    for status in TrackingServerStatus::ALL {
        for (is_active, activity) in [(true, "Active"), (false, "Inactive")] {
            aws.aws.change(|world| {
                let server = world.tracking_server_mut(DOORS[1].name).unwrap();
                (server.status, server.is_active) = (*status, is_active);
            });
            assert_eq!(told(&DOORS[1], "TrackingServerStatus").await, status.as_str());
            assert_eq!(told(&DOORS[1], "IsActive").await, activity);
            let is_settled = matches!(status.as_str(), "Created" | "Updated" | "Started" | "MaintenanceComplete");
            assert_eq!(open(&DOORS[1]).await, is_settled && is_active, "{status:?} {activity}");
        }
    }
    for status in MlflowAppStatus::ALL {
        aws.aws.change(|world| world.mlflow_app_mut(DOORS[2].arn).unwrap().status = *status);
        assert_eq!(told(&DOORS[2], "Status").await, status.as_str());
        assert_eq!(open(&DOORS[2]).await, matches!(status.as_str(), "Created" | "Updated"), "{status:?}");
    }
    for status in PartnerAppStatus::ALL {
        aws.aws.change(|world| world.partner_app_mut(DOORS[3].arn).unwrap().status = *status);
        assert_eq!(told(&DOORS[3], "Status").await, status.as_str());
        assert_eq!(open(&DOORS[3]).await, matches!(status.as_str(), "Available" | "UpdateFailed"), "{status:?}");
    }
}

#[tokio::test]
async fn doors_are_described_as_they_are() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    let port = aws.aws.address().port();
    let described = async |door: &Door| aws.sagemaker(&session, door.describe, &door.named()).await.json();
    let notebook = json!({
        "NotebookInstanceArn": DOORS[0].arn,
        "NotebookInstanceName": "Research-Jane",
        "NotebookInstanceStatus": "InService",
        "Url": format!("{}:{port}", DOORS[0].host),
        "RootAccess": "Disabled",
        "DirectInternetAccess": "Disabled",
        "InstanceMetadataServiceConfiguration": { "MinimumInstanceMetadataServiceVersion": "2" },
        "KmsKeyId": format!("arn:aws:kms:eu-central-1:{ACCOUNT}:key/11111111-2222-4333-8444-555555555555"),
    });
    assert_eq!(described(&DOORS[0]).await, notebook);
    assert_eq!(
        described(&DOORS[1]).await,
        json!({
            "TrackingServerArn": DOORS[1].arn,
            "TrackingServerName": "experiments",
            "TrackingServerStatus": "Created",
            "IsActive": "Active",
            "TrackingServerUrl": format!("http://{}:{port}", DOORS[1].host),
        })
    );
    assert_eq!(described(&DOORS[2]).await, json!({ "Arn": DOORS[2].arn, "Name": "app-7QX2", "Status": "Created" }));
    let partner = json!({
        "Arn": DOORS[3].arn, "Status": "Available", "AuthType": "IAM", "BaseUrl": format!("http://{}:{port}", DOORS[3].host),
    });
    assert_eq!(described(&DOORS[3]).await, partner);

    aws.aws.change(|world| {
        let notebook = world.notebook_instance_mut(DOORS[0].name).unwrap();
        (notebook.minimum_imds_version, notebook.kms_key) = (ImdsVersion::V1, None);
        (notebook.root_access, notebook.direct_internet_access) = (true, true);
    });
    let unsound = described(&DOORS[0]).await;
    assert_eq!((&unsound["RootAccess"], &unsound["DirectInternetAccess"]), (&json!("Enabled"), &json!("Enabled")));
    assert_eq!(unsound["InstanceMetadataServiceConfiguration"]["MinimumInstanceMetadataServiceVersion"], "1");
    assert_eq!(unsound.get("KmsKeyId"), None);
    // It opens all the same: what AWS thinks unsafe is the gate's to say.
    assert!(!DOORS[0].url(&aws, &session).await.is_empty());
}

#[tokio::test]
async fn every_door_can_be_made_to_fail() {
    let aws = fixture().await;
    let session = aws.wide_session().await;
    for door in &DOORS {
        aws.aws.inject(door.presign, 1, &Fault::ForeignUrl("https://evil.example/auth?authToken=x".to_owned()));
        assert_eq!(door.url(&aws, &session).await, "https://evil.example/auth?authToken=x");
        aws.aws.inject(door.describe, 1, &Fault::error(400, "ThrottlingException"));
        assert_eq!(code(&aws.sagemaker(&session, door.describe, &door.named()).await), "ThrottlingException");
        let url = door.url(&aws, &session).await;
        aws.aws.inject(door.captured, 1, &Fault::error(503, "Unavailable"));
        assert_eq!(aws.open(&url, "text/html").await.status, 503);
        assert_eq!(aws.open(&url, "text/html").await.status, 200);
    }
}
