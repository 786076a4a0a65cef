//! Every kind of target: what is asked for, word for word, under which session, and what its state becomes.

use latchkey_aws::role_session::SessionScope;
use latchkey_aws::sagemaker::{NOT_READY, OTHER_REGION, SageMaker};
use latchkey_domain::decision::Code;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::item::Value;
use latchkey_domain::ports::UrlIssuer as _;
use latchkey_domain::posture::{Finding, NotReady, PostureMode};
use latchkey_domain::target::Kind;
use serde_json::json as value;

use crate::support::{BUDGET, Server, SetClock, block_on, clients, error, json, nobody};
use crate::urls::{NOW, ROLE, entitlement_to, issue, issuer, session};

const MLFLOW_APP: &str = "arn:aws:sagemaker:eu-central-1:210987654321:mlflow-app/app-7QX2";
const PARTNER_APP: &str = "arn:aws:sagemaker:eu-central-1:210987654321:partner-app/app-ABCDEFGHIJ12";

/// What a kind is known by on the wire.
struct Wire {
    kind: Kind,
    attributes: &'static [(&'static str, &'static str)],
    presign: &'static str,
    input: serde_json::Value,
    answer: &'static str,
    url: &'static str,
    describe: &'static str,
    named: serde_json::Value,
    status: &'static str,
    ready: &'static str,
    arn: &'static str,
    further: serde_json::Value,
}

/// A row for each kind, in the order of [`Kind::ALL`].
fn wires() -> [Wire; 5] {
    [
        Wire {
            kind: Kind::Studio,
            attributes: &[("domain_id", "d-abc"), ("user_profile_name", "jane")],
            presign: "CreatePresignedDomainUrl",
            input: value!({"DomainId": "d-abc", "UserProfileName": "jane", "ExpiresInSeconds": 30, "SessionExpirationDurationInSeconds": 28800}),
            answer: "AuthorizedUrl",
            url: "https://d-abc.studio.eu-central-1.sagemaker.aws/auth?token=canary",
            describe: "DescribeUserProfile",
            named: value!({"DomainId": "d-abc", "UserProfileName": "jane"}),
            status: "Status",
            ready: "InService",
            arn: "arn:aws:sagemaker:eu-central-1:210987654321:user-profile/d-abc/jane",
            further: value!("sagemaker:DescribeUserProfile"),
        },
        Wire {
            kind: Kind::Notebook,
            attributes: &[("notebook_instance_name", "Research-Jane")],
            presign: "CreatePresignedNotebookInstanceUrl",
            // Its five minutes are fixed: there is no ExpiresInSeconds.
            input: value!({"NotebookInstanceName": "Research-Jane", "SessionExpirationDurationInSeconds": 28800}),
            answer: "AuthorizedUrl",
            url: "https://research-jane.notebook.eu-central-1.sagemaker.aws?authToken=canary",
            describe: "DescribeNotebookInstance",
            named: value!({"NotebookInstanceName": "Research-Jane"}),
            status: "NotebookInstanceStatus",
            ready: "InService",
            arn: "arn:aws:sagemaker:eu-central-1:210987654321:notebook-instance/Research-Jane",
            further: value!("sagemaker:DescribeNotebookInstance"),
        },
        Wire {
            kind: Kind::MlflowServer,
            attributes: &[("tracking_server_name", "team")],
            presign: "CreatePresignedMlflowTrackingServerUrl",
            input: value!({"TrackingServerName": "team", "ExpiresInSeconds": 30, "SessionExpirationDurationInSeconds": 28800}),
            answer: "AuthorizedUrl",
            url: "https://t-abc.eu-central-1.experiments.sagemaker.aws/auth?authToken=canary",
            describe: "DescribeMlflowTrackingServer",
            named: value!({"TrackingServerName": "team"}),
            status: "TrackingServerStatus",
            ready: "Started",
            arn: "arn:aws:sagemaker:eu-central-1:210987654321:mlflow-tracking-server/team",
            further: value!(["sagemaker:DescribeMlflowTrackingServer", "sagemaker-mlflow:*"]),
        },
        Wire {
            kind: Kind::MlflowApp,
            attributes: &[("arn", MLFLOW_APP)],
            presign: "CreatePresignedMlflowAppUrl",
            input: value!({"Arn": MLFLOW_APP, "ExpiresInSeconds": 30, "SessionExpirationDurationInSeconds": 28800}),
            answer: "AuthorizedUrl",
            url: "https://app-7qx2.mlflow.sagemaker.eu-central-1.app.aws/auth?authToken=canary",
            describe: "DescribeMlflowApp",
            named: value!({"Arn": MLFLOW_APP}),
            status: "Status",
            ready: "Updated",
            arn: MLFLOW_APP,
            further: value!(["sagemaker:DescribeMlflowApp", "sagemaker:CallMlflowAppApi", "sagemaker-mlflow:*"]),
        },
        Wire {
            kind: Kind::PartnerApp,
            attributes: &[("arn", PARTNER_APP)],
            presign: "CreatePartnerAppPresignedUrl",
            input: value!({"Arn": PARTNER_APP, "ExpiresInSeconds": 30, "SessionExpirationDurationInSeconds": 28800}),
            answer: "Url",
            url: "https://app-abcdefghij12.partner-app.eu-central-1.sagemaker.aws/auth?authToken=canary",
            describe: "DescribePartnerApp",
            named: value!({"Arn": PARTNER_APP}),
            status: "Status",
            ready: "Available",
            arn: PARTNER_APP,
            further: value!(["sagemaker:DescribePartnerApp", "sagemaker:CallPartnerAppApi"]),
        },
    ]
}

impl Wire {
    fn entitlement(&self) -> Entitlement {
        let text = |value: &str| Value::S(value.to_owned());
        let mut attributes = vec![("kind", text(self.kind.as_str()))];
        attributes.extend(self.attributes.iter().map(|&(name, value)| (name, text(value))));
        entitlement_to("jane", Some(ROLE), &attributes)
    }

    fn answer(&self) -> crate::support::Reply {
        json(200, &value!({(self.answer): self.url}).to_string())
    }

    fn described(&self, status: &str) -> crate::support::Reply {
        // Whether it serves is said of a tracking server besides.
        json(200, &value!({(self.status): status, "IsActive": "Active"}).to_string())
    }
}

#[test]
fn every_kind_has_its_call_and_its_session() {
    assert_eq!(wires().map(|wire| wire.kind).as_slice(), Kind::ALL);
    for wire in wires() {
        let (sts, sagemaker) = (Server::new([session(1)]), Server::new([wire.answer()]));
        let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
        let (_, issued) = block_on(issue(&issuer, &wire.entitlement())).unwrap();
        assert_eq!(issued.url.expose(), wire.url);
        assert_eq!(issued.url_seconds, if wire.kind == Kind::Notebook { 300 } else { 30 });
        assert_eq!((issued.session_seconds, issued.aws_request_id.as_deref()), (28800, Some("req-200")));

        let [request] = &sagemaker.requests()[..] else { panic!("one call") };
        assert_eq!(request.header("x-amz-target"), Some(&*format!("SageMaker.{}", wire.presign)));
        assert_eq!(request.json(), wire.input);
        let policy: serde_json::Value = serde_json::from_str(&sts.requests()[0].form()["Policy"]).unwrap();
        assert_eq!(
            policy,
            value!({"Version": "2012-10-17", "Statement": [
                {"Effect": "Allow", "Action": format!("sagemaker:{}", wire.presign), "Resource": [wire.arn]},
                {"Effect": "Allow", "Action": wire.further, "Resource": [wire.arn]},
            ]}),
            "{}: only names that AWS compares without case stand there twice",
            wire.kind
        );
    }
}

/// SageMaker has no error of its own for a target that is stopped or not there yet: whatever it refuses, the state may say why.
#[test]
fn a_target_in_no_state_to_be_opened_says_so() {
    for wire in wires() {
        for (state, retry_after) in [("Stopped", None), ("Failed", None), ("Updating", Some(15)), ("Starting", Some(15))] {
            for refusal in ["ValidationException", "SomethingElse"] {
                let sagemaker = Server::new([error(400, refusal), wire.described(state)]);
                let issuer = issuer(&Server::new([session(1)]).url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
                let denial = block_on(issue(&issuer, &wire.entitlement())).unwrap_err();
                assert_eq!((denial.code, denial.reason), (Code::TargetNotReady, NOT_READY), "{}", wire.kind);
                assert_eq!((denial.state.as_deref(), denial.retry_after_seconds), (Some(state), retry_after));
                assert_eq!((denial.detail.as_deref(), denial.aws_request_id.as_deref()), (Some(refusal), Some("req-400")));
                assert_eq!(denial.state_request_id.as_deref(), Some("req-200"), "both requests are named");
                let asked = &sagemaker.requests()[1];
                assert_eq!(asked.header("x-amz-target"), Some(&*format!("SageMaker.{}", wire.describe)));
                assert_eq!(asked.json(), wire.named);
                assert!(asked.header("authorization").unwrap().contains("ASIAROLE1/"), "under the same session");
            }
        }
        // It is as it should be: then the refusal is what it was.
        let sagemaker = Server::new([error(400, "ValidationException"), wire.described(wire.ready)]);
        let issuer = issuer(&Server::new([session(1)]).url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
        let denial = block_on(issue(&issuer, &wire.entitlement())).unwrap_err();
        assert_eq!((denial.code, denial.reason.0), (Code::Unavailable, "sagemaker.validation"), "{}", wire.kind);
    }
}

/// A tracking server has two things to say of itself.
#[test]
fn a_tracking_server_serves_when_it_is_active_and_nothing_is_done_to_it() {
    let [_, _, server, ..] = wires();
    for (status, activity, state) in [
        ("Started", Some("Active"), None),
        ("Created", Some("Active"), None),
        ("MaintenanceComplete", Some("Active"), None),
        ("Updating", Some("Active"), Some("Updating")),
        ("MaintenanceInProgress", Some("Active"), Some("MaintenanceInProgress")),
        ("Stopped", Some("Inactive"), Some("Stopped")),
        ("Updated", Some("Inactive"), Some("Inactive")),
        ("Started", None, Some("Unknown")),
    ] {
        let mut described = value!({ "TrackingServerStatus": status });
        if let Some(activity) = activity {
            described["IsActive"] = activity.into();
        }
        let sagemaker = Server::new([error(400, "ValidationException"), json(200, &described.to_string())]);
        let issuer = issuer(&Server::new([session(1)]).url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
        let denial = block_on(issue(&issuer, &server.entitlement())).unwrap_err();
        let told = (denial.code == Code::TargetNotReady).then_some(denial.state.as_deref()).flatten();
        assert_eq!(told, state, "{status} {activity:?}");
    }
}

/// The calls for notebook instances know no `ResourceNotFound`: a legal name that is not valid is one that is not there.
#[test]
fn a_target_that_is_not_there_says_so() {
    for wire in wires() {
        let refusal = if wire.kind == Kind::Notebook { "ValidationException" } else { "ResourceNotFound" };
        let sagemaker = Server::new([error(400, refusal)]);
        let issuer = issuer(&Server::new([session(1)]).url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
        let denial = block_on(issue(&issuer, &wire.entitlement())).unwrap_err();
        assert_eq!((denial.code, denial.reason.0), (Code::TargetNotReady, "sagemaker.not-found"), "{}", wire.kind);
        assert_eq!((denial.state.as_deref(), denial.retry_after_seconds), (Some("NotFound"), None));
        assert_eq!(denial.aws_request_id.as_deref(), Some("req-400"));
    }
}

/// An endpoint that is configured by hand is one region's: nobody is asked about another's targets.
#[test]
fn a_fixed_endpoint_is_for_its_own_region() {
    let sts = Server::new([session(1)]);
    let issuer = SageMaker::new(&clients(&nobody(), &sts.url(), "https://vpce-0.example"), SessionScope::User, SetClock::new(NOW));
    let [studio, ..] = wires();
    let mut attributes: Vec<_> = studio.attributes.iter().map(|&(name, value)| (name, Value::S(value.to_owned()))).collect();
    attributes.extend([("kind", Value::S("studio".to_owned())), ("region", Value::S("eu-west-1".to_owned()))]);
    let denial = block_on(issuer.open_session(&entitlement_to("jane", Some(ROLE), &attributes), BUDGET)).unwrap_err();
    assert_eq!((denial.code, denial.reason), (Code::Unavailable, OTHER_REGION));
    assert!(sts.requests().is_empty());
    assert!(block_on(issuer.open_session(&studio.entitlement(), BUDGET)).is_ok());
}

#[test]
fn a_notebook_is_looked_at_with_one_call() {
    let look = |body: serde_json::Value| {
        let (sts, sagemaker) = (Server::new([session(1)]), Server::new([json(200, &body.to_string())]));
        let issuer = SageMaker::new(&clients(&nobody(), &sts.url(), &sagemaker.url()), SessionScope::User, SetClock::new(NOW))
            .with_posture(PostureMode::Enforce);
        let [_, notebook, ..] = wires();
        let inspection = block_on(async {
            let entitlement = notebook.entitlement();
            let session = issuer.open_session(&entitlement, BUDGET).await.unwrap();
            issuer.inspect(&entitlement, &session, BUDGET).await.unwrap()
        });
        assert_eq!(sagemaker.requests().len(), 1);
        assert_eq!(sagemaker.requests()[0].json(), notebook.named);
        assert_eq!(inspection.aws_request_ids, ["req-200"]);
        (inspection.findings, inspection.not_ready)
    };
    let sound = value!({
        "NotebookInstanceStatus": "InService", "RootAccess": "Disabled", "DirectInternetAccess": "Disabled", "KmsKeyId": "alias/nb",
        "InstanceMetadataServiceConfiguration": {"MinimumInstanceMetadataServiceVersion": "2"},
    });
    assert_eq!(look(sound.clone()), (vec![], None));
    assert_eq!(look(value!({"NotebookInstanceStatus": "InService"})).0, Finding::ALL[5..9], "what is not said is not sound");
    for (member, value, finding) in [
        ("RootAccess", value!("Enabled"), Finding::RootAccess),
        ("DirectInternetAccess", value!("Enabled"), Finding::DirectInternet),
        ("KmsKeyId", value!(null), Finding::NotebookNoCustomerKey),
        ("InstanceMetadataServiceConfiguration", value!({"MinimumInstanceMetadataServiceVersion": "1"}), Finding::InstanceMetadataV1),
        ("InstanceMetadataServiceConfiguration", value!(null), Finding::InstanceMetadataV1),
    ] {
        let mut body = sound.clone();
        body[member] = value;
        assert_eq!(look(body), (vec![finding], None), "{member}");
    }
    let mut stopped = sound;
    stopped["NotebookInstanceStatus"] = value!("Stopped");
    let not_ready = NotReady { state: "Stopped".to_owned(), passes: false };
    assert_eq!(look(stopped), (vec![Finding::NotebookNotInService], Some(not_ready)));
}
