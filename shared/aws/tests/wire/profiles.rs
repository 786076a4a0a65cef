//! First login: what is asked of STS and SageMaker before a profile is opened, and what their answers become.

use latchkey_aws::role_session::SessionScope;
use latchkey_domain::decision::Code;
use latchkey_domain::entitlement::Entitlement;
use latchkey_domain::item::{Item, Value};
use latchkey_domain::ports::ProfileKeeper as _;
use latchkey_domain::posture::NotReady;
use latchkey_domain::provision::{Ensured, Profile};
use serde_json::json as value;

use crate::stopwatch::Stopwatch;
use crate::support::{BUDGET, Reply, SLACK, Server, SetClock, block_on, error, html, json};
use crate::urls::{NOW, PROVISION_ROLE, ROLE, entitlement, issue, issuer, session};

const ARN: &str = "arn:aws:sagemaker:eu-central-1:210987654321:user-profile/d-abc/Jane";
const EXECUTION_ROLE: &str = "arn:aws:iam::210987654321:role/Studio";

fn provisioned(subject: &str) -> Entitlement {
    let text = |value: &str| Value::S(value.to_owned());
    let plan = Item::from([
        ("execution_role_arn".to_owned(), text(EXECUTION_ROLE)),
        ("security_group_ids".to_owned(), Value::L(vec![text("sg-0123456789abcdef0")])),
        ("tags".to_owned(), Value::M(Item::from([("team".to_owned(), text("research"))]))),
    ]);
    entitlement(subject, Some(ROLE), &[("provision", Value::M(plan))])
}

fn ensure(replies: impl IntoIterator<Item = Reply>) -> (Ensured, Server, Server) {
    let (sts, sagemaker) = (Server::new([session(1)]), Server::new(replies));
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    let entitlement = provisioned("jane");
    let ensured = block_on(issuer.ensure_profile(&entitlement, entitlement.provisioning().unwrap(), BUDGET));
    (ensured, sts, sagemaker)
}

fn calls(sagemaker: &Server) -> Vec<String> {
    let name = |target: &str| target.trim_start_matches("SageMaker.").to_owned();
    sagemaker.requests().iter().map(|request| name(request.header("x-amz-target").unwrap())).collect()
}

fn profile(status: &str) -> Reply {
    json(200, &value!({"Status": status, "UserProfileArn": ARN.to_lowercase()}).to_string())
}

fn tags(tags: &[(&str, &str)]) -> Reply {
    let tags: Vec<_> = tags.iter().map(|(key, value)| value!({"Key": key, "Value": value})).collect();
    json(200, &value!({ "Tags": tags }).to_string())
}

const OWN: [(&str, &str); 3] = [("team", "research"), ("latchkey:subject", "jane"), ("latchkey:issuer", "okta")];

#[test]
fn a_profile_that_is_not_there_is_made_under_the_role_for_it() {
    let (ensured, sts, sagemaker) = ensure([error(400, "ResourceNotFound"), json(200, &value!({"UserProfileArn": ARN}).to_string())]);
    assert_eq!((ensured.outcome.unwrap(), ensured.source_identity.as_deref()), (Profile::Created, Some("okta.jane")));
    assert_eq!(ensured.aws_request_ids, ["req-200", "req-400", "req-200"], "of STS, of looking, of making");
    assert_eq!(calls(&sagemaker), ["DescribeUserProfile", "CreateUserProfile"]);
    assert_eq!(
        sagemaker.requests()[1].json(),
        value!({
            "DomainId": "d-abc", "UserProfileName": "Jane",
            "Tags": [
                {"Key": "latchkey:issuer", "Value": "okta"}, {"Key": "latchkey:subject", "Value": "jane"}, {"Key": "team", "Value": "research"},
            ],
            "UserSettings": {"ExecutionRole": EXECUTION_ROLE, "SecurityGroups": ["sg-0123456789abcdef0"]},
        })
    );
    let form = sts.requests()[0].form();
    assert_eq!((form["RoleArn"].as_str(), form["ExternalId"].as_str()), (PROVISION_ROLE, "ext-provision"));
    assert_eq!((form["SourceIdentity"].as_str(), form["RoleSessionName"].as_str()), ("okta.jane", "okta.jane"));
    let policy: serde_json::Value = serde_json::from_str(&form["Policy"]).unwrap();
    let own = ["sagemaker:CreateUserProfile", "sagemaker:AddTags", "sagemaker:DescribeUserProfile", "sagemaker:ListTags"];
    assert_eq!(
        policy,
        value!({"Version": "2012-10-17", "Statement": [
            {"Effect": "Allow", "Action": own, "Resource": [ARN, ARN.to_lowercase()]},
            {"Effect": "Allow", "Action": "iam:PassRole", "Resource": [EXECUTION_ROLE]},
        ]}),
        "another role is not the same in lower case"
    );
}

#[test]
fn ones_own_profile_is_told_by_its_tags() {
    let (ensured, _, sagemaker) = ensure([profile("InService"), tags(&OWN)]);
    assert_eq!(ensured.outcome.unwrap(), Profile::Own(None));
    assert_eq!(calls(&sagemaker), ["DescribeUserProfile", "ListTags"]);
    assert_eq!(sagemaker.requests()[1].json(), value!({"ResourceArn": ARN.to_lowercase(), "MaxResults": 100}), "as AWS spells it");
    let (ensured, ..) = ensure([profile("Pending"), tags(&OWN)]);
    assert_eq!(ensured.outcome.unwrap(), Profile::Own(Some(NotReady { state: "Pending".to_owned(), passes: true })));
    let (ensured, ..) = ensure([profile("Failed"), tags(&OWN)]);
    assert_eq!(ensured.outcome.unwrap(), Profile::Own(Some(NotReady { state: "Failed".to_owned(), passes: false })));
}

#[test]
fn whatever_is_not_ones_own_is_foreign_and_left_alone() {
    for others in [
        &[][..],
        &[("team", "research")],
        &[("latchkey:issuer", "okta")],
        &[("latchkey:issuer", "okta"), ("latchkey:subject", "JANE")],
        &[("latchkey:issuer", "other"), ("latchkey:subject", "jane")],
        &[("latchkey:issuer", "okta"), ("latchkey:subject", "jane"), ("latchkey:subject", "joe")],
    ] {
        // Being made is no better: its state is nobody else's business.
        for status in ["InService", "Pending"] {
            let (ensured, _, sagemaker) = ensure([profile(status), tags(others)]);
            assert_eq!(ensured.outcome.unwrap(), Profile::Foreign, "{others:?}");
            assert_eq!(calls(&sagemaker), ["DescribeUserProfile", "ListTags"], "nothing is changed");
        }
    }
}

/// The session is good for the grant's spelling and for lower case. Under a third one it could not even ask.
#[test]
fn a_profile_that_is_spelt_otherwise_is_asked_about_in_our_spelling() {
    let spelt = |arn: &str| json(200, &value!({"Status": "InService", "UserProfileArn": arn}).to_string());
    for (arn, asked) in [
        (ARN.to_owned(), ARN.to_owned()),
        (ARN.to_lowercase(), ARN.to_lowercase()),
        (ARN.replace("Jane", "JANE"), ARN.to_owned()),
        (ARN.replace("Jane", "joe"), ARN.to_owned()),
    ] {
        let (ensured, _, sagemaker) = ensure([spelt(&arn), tags(&[])]);
        assert_eq!(ensured.outcome.unwrap(), Profile::Foreign);
        assert_eq!(sagemaker.requests()[1].json()["ResourceArn"], asked);
    }
    let (ensured, ..) = ensure([spelt(&ARN.replace("Jane", "JANE")), error(400, "ResourceNotFound")]);
    assert_eq!(ensured.outcome.unwrap(), Profile::Foreign);
}

#[test]
fn who_was_faster_is_looked_at() {
    let taken = || [error(400, "ResourceNotFound"), error(400, "ResourceInUse")];
    let (ensured, _, sagemaker) = ensure(taken().into_iter().chain([profile("Pending"), tags(&OWN)]));
    assert_eq!(ensured.outcome.unwrap(), Profile::Own(Some(NotReady { state: "Pending".to_owned(), passes: true })));
    assert_eq!(calls(&sagemaker), ["DescribeUserProfile", "CreateUserProfile", "DescribeUserProfile", "ListTags"]);
    let others = [("latchkey:issuer", "okta"), ("latchkey:subject", "joe")];
    for (status, tagged, outcome) in [
        ("Pending", &others[..], Profile::Foreign),
        ("InService", &[], Profile::Foreign),
        // Its tags may not be there yet.
        ("Pending", &[], Profile::Changing),
        ("Pending", &[("team", "research")], Profile::Changing),
    ] {
        let (ensured, ..) = ensure(taken().into_iter().chain([profile(status), tags(tagged)]));
        assert_eq!(ensured.outcome.unwrap(), outcome, "{status} {tagged:?}");
    }
    // There, and not there: being deleted.
    let (ensured, ..) = ensure(taken().into_iter().chain([error(400, "ResourceNotFound")]));
    assert_eq!(ensured.outcome.unwrap(), Profile::Changing);
}

/// The answer to the first attempt is lost, and it was carried out.
#[test]
fn a_profile_whose_answer_was_lost_was_made_all_the_same() {
    let lost = [error(400, "ResourceNotFound"), error(500, "InternalFailure"), error(400, "ResourceInUse")];
    let (ensured, _, sagemaker) = ensure(lost.into_iter().chain([profile("Pending"), tags(&OWN)]));
    assert_eq!(ensured.outcome.unwrap(), Profile::Created);
    let asked = ["DescribeUserProfile", "CreateUserProfile", "CreateUserProfile", "DescribeUserProfile", "ListTags"];
    assert_eq!(calls(&sagemaker), asked);
}

/// Whatever came of it, the record is told who asked and by which requests.
#[test]
fn a_failure_names_its_requests_and_its_user() {
    let (ensured, ..) = ensure([error(400, "ResourceNotFound"), error(400, "AccessDeniedException")]);
    assert_eq!(ensured.outcome.unwrap_err().reason.0, "sagemaker.access-denied");
    assert_eq!(ensured.aws_request_ids, ["req-200", "req-400", "req-400"], "of STS, of looking, of making");
    assert_eq!(ensured.source_identity.as_deref(), Some("okta.jane"));
}

/// Whatever the scope of other sessions, what is made for a user is made in the user's name, and for that profile alone.
#[test]
fn making_is_in_a_users_name_in_every_scope() {
    let (sts, sagemaker) = (Server::new((0..9).map(session)), Server::new([profile("InService"), tags(&OWN)]));
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::Role, &SetClock::new(NOW));
    let entitlement = provisioned("jane");
    block_on(issuer.ensure_profile(&entitlement, entitlement.provisioning().unwrap(), BUDGET)).outcome.unwrap();
    let form = sts.requests()[0].form();
    assert_eq!((form["SourceIdentity"].as_str(), form["RoleSessionName"].as_str()), ("okta.jane", "okta.jane"));
    assert!(form["Policy"].contains(ARN));
}

#[test]
fn every_failure_has_its_reason_in_time_and_makes_nothing() {
    for (reply, reason) in [
        (error(400, "AccessDeniedException"), "sagemaker.access-denied"),
        (error(400, "ValidationException"), "sagemaker.validation"),
        (error(400, "ThrottlingException"), "sagemaker.throttled"),
        (error(500, "InternalFailure"), "sagemaker.failed"),
        (html(200, "<html>a portal</html>"), "sagemaker.malformed-answer"),
        (Reply::Silence, "sagemaker.timeout"),
    ] {
        for before in [vec![], vec![profile("InService")]] {
            let stopwatch = Stopwatch::start();
            let (ensured, _, sagemaker) = ensure(before.into_iter().chain([reply.clone()]));
            assert!(stopwatch.elapsed() < BUDGET + SLACK, "{reply:?}");
            let denial = ensured.outcome.unwrap_err();
            assert_eq!((denial.code, denial.reason.0), (Code::Unavailable, reason), "{reply:?}");
            assert!(!calls(&sagemaker).contains(&"CreateUserProfile".to_owned()));
            assert!(!format!("{denial:?}").contains("canary"));
        }
        let (ensured, ..) = ensure([error(400, "ResourceNotFound"), reply.clone()]);
        assert_eq!(ensured.outcome.unwrap_err().reason.0, reason, "{reply:?}");
    }
    // More tags than could be: what was not seen might name another owner.
    let more = json(200, &value!({"Tags": [{"Key": "latchkey:issuer", "Value": "okta"}], "NextToken": "more"}).to_string());
    let (ensured, ..) = ensure([profile("InService"), more]);
    assert_eq!(ensured.outcome.unwrap_err().reason.0, "sagemaker.malformed-answer");
}

/// A session is good for the execution role that it was opened for.
#[test]
fn another_execution_role_is_another_session() {
    let (sts, sagemaker) =
        (Server::new((0..9).map(session)), Server::new([profile("InService"), tags(&OWN), profile("InService"), tags(&OWN)]));
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    let plan =
        |role: &str| Value::M(Item::from([("execution_role_arn".to_owned(), Value::S(format!("arn:aws:iam::210987654321:role/{role}")))]));
    for (role, sessions) in [("a", 1), ("a", 1), ("b", 2)] {
        let entitlement = entitlement("jane", Some(ROLE), &[("provision", plan(role))]);
        let _ = block_on(issuer.ensure_profile(&entitlement, entitlement.provisioning().unwrap(), BUDGET));
        assert_eq!(sts.requests().len(), sessions, "{role}");
    }
}

#[test]
fn making_and_opening_have_sessions_of_their_own() {
    let (sts, sagemaker) = (Server::new((0..9).map(session)), Server::new([profile("InService"), tags(&OWN), profile("InService")]));
    let issuer = issuer(&sts.url(), &sagemaker.url(), SessionScope::User, &SetClock::new(NOW));
    let entitlement = provisioned("jane");
    block_on(async {
        issuer.ensure_profile(&entitlement, entitlement.provisioning().unwrap(), BUDGET).await.outcome.unwrap();
        // There is no URL in what is answered: only the session matters here.
        issue(&issuer, &entitlement).await.unwrap_err();
    });
    let roles: Vec<String> = sts.requests().iter().map(|request| request.form()["RoleArn"].clone()).collect();
    assert_eq!(roles, [PROVISION_ROLE, ROLE]);
    let keys: Vec<String> = sagemaker.requests().iter().map(|r| r.header("x-amz-security-token").unwrap().to_owned()).collect();
    // What holds no URL is asked for twice.
    assert_eq!(keys, [0, 0, 1, 1].map(|n| format!("canary-token-{n}")));
}
