//! What the posture gate asks of SageMaker, word for word, and what its answers and failures become.

use std::collections::BTreeSet;
use std::time::Duration;

use crate::stopwatch::Stopwatch;
use crate::support::{BUDGET, Reply, SLACK, Server, SetClock, block_on, budgets, clients, error, html, json, nobody};
use crate::urls::{NOW, ROLE, entitlement, session};
use latchkey_aws::role_session::SessionScope;
use latchkey_aws::sagemaker::{self, SageMaker};
use latchkey_domain::decision::{Code, Denial};
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::item::Value;
use latchkey_domain::ports::UrlIssuer as _;
use latchkey_domain::posture::{Finding, Inspection, NotReady, PostureMode};
use serde_json::json as value;

fn gate(sts: &str, sagemaker: &str, mode: PostureMode) -> SageMaker<SetClock> {
    SageMaker::new(&clients(&nobody(), sts, sagemaker), SessionScope::User, SetClock::new(NOW)).with_posture(mode)
}

async fn look(issuer: &SageMaker<SetClock>, entitlement: &Entitlement) -> Result<Inspection, Denial> {
    look_within(issuer, entitlement, BUDGET).await
}

/// The same, with this budget for each of the two.
async fn look_within(issuer: &SageMaker<SetClock>, entitlement: &Entitlement, budget: Duration) -> Result<Inspection, Denial> {
    let session = issuer.open_session(entitlement, budget).await?;
    issuer.inspect(entitlement, &session, budget).await
}

/// One answer to both questions: neither reads what the other needs, but for the state.
fn sound() -> Reply {
    json(200, r#"{"Status":"InService","AuthMode":"IAM","AppNetworkAccessType":"VpcOnly","KmsKeyId":"alias/studio"}"#)
}

fn inspected(body: &str) -> Inspection {
    let sagemaker = Server::new([json(200, body)]);
    block_on(look(&gate(&nobody(), &sagemaker.url(), PostureMode::Enforce), &entitlement("jane", None, &[]))).unwrap()
}

#[test]
fn the_domain_and_the_profile_are_asked_about_side_by_side() {
    // Neither is answered before both are asked.
    let Reply::Send(answer) = sound() else { unreachable!() };
    let (sts, sagemaker) = (Server::new([session(1)]), Server::new([Reply::Together(2, answer)]));
    let issuer = gate(&sts.url(), &sagemaker.url(), PostureMode::Report);
    let grant = entitlement("jane", Some(ROLE), &[("region", Value::S("us-east-1".to_owned()))]);
    let inspection = block_on(look(&issuer, &grant)).expect("not one after the other");
    assert_eq!((inspection.findings.as_slice(), &inspection.not_ready), (&[][..], &None));
    assert_eq!(inspection.aws_request_ids, ["req-200", "req-200"]);

    let requests = sagemaker.requests();
    let asked: BTreeSet<(String, String)> = requests
        .iter()
        .map(|request| (request.header("x-amz-target").unwrap_or_default().to_owned(), request.json().to_string()))
        .collect();
    let expected = [
        ("SageMaker.DescribeDomain", value!({"DomainId": "d-abc"})),
        ("SageMaker.DescribeUserProfile", value!({"DomainId": "d-abc", "UserProfileName": "Jane"})),
    ];
    assert_eq!(asked, expected.map(|(target, body)| (target.to_owned(), body.to_string())).into());
    for request in &requests {
        let authorization = request.header("authorization").unwrap();
        assert!(authorization.contains("ASIAROLE1/") && authorization.contains("/us-east-1/sagemaker/aws4_request"), "{authorization}");
    }
}

#[test]
fn a_session_may_look_at_the_domain_only_where_the_gate_is_on() {
    for mode in [PostureMode::Off, PostureMode::Report, PostureMode::Enforce] {
        let sts = Server::new([session(1)]);
        block_on(gate(&sts.url(), &nobody(), mode).open_session(&entitlement("jane", Some(ROLE), &[]), BUDGET)).unwrap();
        let policy: serde_json::Value = serde_json::from_str(&sts.requests()[0].form()["Policy"]).unwrap();
        let profile = "arn:aws:sagemaker:eu-central-1:210987654321:user-profile/d-abc/Jane";
        let allow = |action: &str, resource: &[&str]| value!({"Effect": "Allow", "Action": action, "Resource": resource});
        let mut statements = vec![
            allow("sagemaker:CreatePresignedDomainUrl", &[profile, &profile.to_lowercase()]),
            allow("sagemaker:DescribeUserProfile", &[profile, &profile.to_lowercase()]),
        ];
        if mode != PostureMode::Off {
            statements.push(allow("sagemaker:DescribeDomain", &["arn:aws:sagemaker:eu-central-1:210987654321:domain/d-abc"]));
        }
        assert_eq!(policy, value!({"Version": "2012-10-17", "Statement": statements}), "{mode:?}");
    }
}

#[test]
fn what_falls_short_is_found() {
    let nothing = inspected(r#"{"Status":"InService"}"#);
    assert_eq!((nothing.findings.as_slice(), nothing.not_ready), (&Finding::ALL[..3], None), "what is not said is not sound");
    let open = r#"{"Status":"InService","AuthMode":"SSO","AppNetworkAccessType":"PublicInternetOnly"}"#;
    assert_eq!(inspected(open).findings, [Finding::AuthModeNotIam, Finding::NotVpcOnly, Finding::NoCustomerKey]);
    // Values that the SDK does not know either.
    let new = r#"{"Status":"Hibernating","AuthMode":"IAM2","AppNetworkAccessType":"VpcMostly","KmsKeyId":"alias/aws/elasticfilesystem"}"#;
    let new = inspected(new);
    assert_eq!(new.findings, Finding::ALL[..5]);
    assert_eq!(new.not_ready, Some(NotReady { state: "Hibernating".to_owned(), passes: false }));
    let pending = r#"{"Status":"Pending","AuthMode":"IAM","AppNetworkAccessType":"VpcOnly","KmsKeyId":"k"}"#;
    assert_eq!(inspected(pending).not_ready, Some(NotReady { state: "Pending".to_owned(), passes: true }));
}

#[test]
fn every_failure_to_look_has_its_code_and_reason_in_time() {
    for (reply, code, reason, tries) in [
        (error(400, "ResourceNotFound"), Code::TargetNotReady, "sagemaker.not-found", 2),
        (error(400, "AccessDeniedException"), Code::Unavailable, "sagemaker.access-denied", 2),
        (error(400, "ValidationException"), Code::Unavailable, "sagemaker.validation", 2),
        (error(400, "ThrottlingException"), Code::Unavailable, "sagemaker.throttled", 4),
        (error(500, "InternalFailure"), Code::Unavailable, "sagemaker.failed", 4),
        (html(200, "<html>a portal</html>"), Code::Unavailable, "sagemaker.malformed-answer", 4),
        // Without a state it is the answer of nobody.
        (json(200, "{}"), Code::Unavailable, "sagemaker.malformed-answer", 4),
        (Reply::Silence, Code::Unavailable, "sagemaker.timeout", 4),
    ] {
        for &(budget, all_tries) in budgets(&reply) {
            let sagemaker = Server::new([reply.clone()]);
            let stopwatch = Stopwatch::start();
            let issuer = gate(&nobody(), &sagemaker.url(), PostureMode::Report);
            let denial = block_on(look_within(&issuer, &entitlement("jane", None, &[]), budget)).unwrap_err();
            assert!(stopwatch.elapsed() < budget + SLACK, "{reply:?}");
            assert_eq!((denial.code, denial.reason.0), (code, reason), "{reply:?}");
            assert!(!all_tries || sagemaker.requests().len() == tries, "{reply:?}: {} tries", sagemaker.requests().len());
            assert!(sagemaker::REASONS.contains(&denial.reason) && !format!("{denial:?}").contains("canary"), "{denial:?}");
        }
    }
}

/// A session that was revoked must not stand in the way until it ends; a role that only may not look must not cost a session for
/// every URL.
#[test]
fn a_session_that_may_not_look_is_opened_anew_where_that_decides() {
    for (mode, sessions) in [(PostureMode::Enforce, 2), (PostureMode::Report, 1)] {
        let (sts, sagemaker) = (Server::new((0..9).map(session)), Server::new([error(400, "AccessDeniedException")]));
        let issuer = gate(&sts.url(), &sagemaker.url(), mode);
        let jane = entitlement("jane", Some(ROLE), &[]);
        block_on(async {
            look(&issuer, &jane).await.unwrap_err();
            look(&issuer, &jane).await.unwrap_err();
        });
        assert_eq!(sts.requests().len(), sessions, "{mode:?}");
    }
}
