//! What is asked of DynamoDB, word for word, and what its answers and failures become.

use std::time::Duration;

use crate::stopwatch::Stopwatch;
use crate::support::{BUDGET, Reply, SLACK, Server, block_on, budgets, clients, cut_off, error, html, json, nobody};
use latchkey_aws::grant_admin::{AdminError, Annotation, Expect, GrantAdmin, GroupIdentity};
use latchkey_aws::grant_store::{MAX_PAGES, TOO_MANY_ROWS, Table};
use latchkey_domain::clock::Timestamp;
use latchkey_domain::entitlement::SubjectRecord;
use latchkey_domain::grant::Grant;
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::TargetName;
use latchkey_domain::ports::{Admission, Claim, GrantStore as _, RateLimit, Unavailable, UsageLedger as _};
use latchkey_domain::subject::Profiles;
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotKeeper as _, SnapshotStore as _};
use serde_json::json as value;

const NOW: Timestamp = Timestamp::from_unix_millis(1_000_030_500);

fn identity() -> Identity {
    Identity { issuer: IssuerId::new("okta").unwrap(), subject: Subject::new("00u#1").unwrap() }
}

fn target() -> TargetName {
    TargetName::new("research").unwrap()
}

fn table(url: &str) -> Table {
    Table::new(clients(url, &nobody(), &nobody()).dynamodb(), "latchkey")
}

fn read_one(server: &Server) -> Result<SubjectRecord, Unavailable> {
    read_one_within(server, BUDGET)
}

fn read_one_within(server: &Server, budget: Duration) -> Result<SubjectRecord, Unavailable> {
    block_on(table(&server.url()).read(&identity(), &[], Some(&target()), budget))
}

fn read_all(server: &Server) -> Result<SubjectRecord, Unavailable> {
    block_on(table(&server.url()).read(&identity(), &[], None, BUDGET))
}

const GRANT_ROW: &str = r#"{"pk":{"S":"SUBJECT#okta#00u#1"},"sk":{"S":"TARGET#research"},"kind":{"S":"studio"},"domain_id":{"S":"d-abc"},"user_profile_name":{"S":"jane"}}"#;
const SUBJECT_ROW: &str = r#"{"pk":{"S":"SUBJECT#okta#00u#1"},"sk":{"S":"SUBJECT"},"status":{"S":"suspended"}}"#;

#[test]
fn a_named_target_is_one_consistent_batch_of_two() {
    let server = Server::new([json(200, &format!(r#"{{"Responses":{{"latchkey":[{GRANT_ROW},{SUBJECT_ROW}]}},"UnprocessedKeys":{{}}}}"#))]);
    let record = read_one(&server).unwrap();
    let shown = format!("{record:?}");
    assert!(shown.contains("standing: Suspended") && shown.contains("\"d-abc\""), "{shown}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1);
    assert_eq!(requests[0].header("x-amz-target"), Some("DynamoDB_20120810.BatchGetItem"));
    let pk = value!({"S": "SUBJECT#okta#00u#1"});
    assert_eq!(
        requests[0].json(),
        value!({"RequestItems": {"latchkey": {"ConsistentRead": true, "Keys": [
            {"pk": pk, "sk": {"S": "SUBJECT"}}, {"pk": pk, "sk": {"S": "TARGET#research"}}]}}})
    );
    let authorization = requests[0].header("authorization").unwrap();
    assert!(authorization.contains("AKIAOWN/") && authorization.contains("/eu-central-1/dynamodb/aws4_request"), "{authorization}");
    assert_eq!(requests[0].header("x-amz-security-token"), Some("canary-own-token"));
    assert!(requests[0].header("user-agent").is_some() && requests[0].head.contains("app/latchkey"), "{}", requests[0].head);
}

#[test]
fn a_subject_without_rows_is_an_empty_record() {
    let empty = Server::new([json(200, r#"{"Responses":{},"UnprocessedKeys":{}}"#)]);
    assert!(format!("{:?}", read_one(&empty).unwrap()).contains("standing: Active, grants: []"));
    let empty = Server::new([json(200, r#"{"Count":0,"Items":[],"ScannedCount":0}"#)]);
    assert!(format!("{:?}", read_all(&empty).unwrap()).contains("standing: Active, grants: []"));
}

#[test]
fn unprocessed_keys_are_read_again_and_never_taken_for_absence() {
    let left_out = r#"{"Responses":{"latchkey":[]},"UnprocessedKeys":{"latchkey":{"Keys":[{"pk":{"S":"x"},"sk":{"S":"SUBJECT"}}]}}}"#;
    let server = Server::new([json(200, left_out), json(200, &format!(r#"{{"Responses":{{"latchkey":[{SUBJECT_ROW}]}}}}"#))]);
    assert!(format!("{:?}", read_one(&server).unwrap()).contains("Suspended"));
    let server = Server::new([json(200, left_out)]);
    let unavailable = read_one(&server).unwrap_err();
    assert_eq!((unavailable.reason.0, unavailable.aws_request_id.as_deref()), ("dynamodb.throttled", Some("req-200")));
    assert_eq!(server.requests().len(), 3);
}

#[test]
fn without_a_target_every_page_is_read_consistently() {
    let page =
        |rows: &str| json(200, &format!(r#"{{"Items":[{rows}],"Count":1,"LastEvaluatedKey":{{"pk":{{"S":"p"}},"sk":{{"S":"s"}}}}}}"#));
    let server = Server::new([page(GRANT_ROW), page(""), json(200, &format!(r#"{{"Items":[{SUBJECT_ROW}],"Count":1}}"#))]);
    let shown = format!("{:?}", read_all(&server).unwrap());
    assert!(shown.contains("Suspended") && shown.contains("d-abc"), "{shown}");
    let requests = server.requests();
    assert_eq!(requests.len(), 3);
    assert_eq!(
        requests[0].json(),
        value!({"TableName": "latchkey", "ConsistentRead": true, "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": "SUBJECT#okta#00u#1"}}})
    );
    assert_eq!(requests[1].json()["ExclusiveStartKey"], value!({"pk": {"S": "p"}, "sk": {"S": "s"}}));

    let endless = Server::new([page(GRANT_ROW)]);
    assert_eq!(read_all(&endless).unwrap_err().reason, TOO_MANY_ROWS);
    assert_eq!(endless.requests().len(), MAX_PAGES);
}

const GROUP_ROW: &str = r#"{"pk":{"S":"GROUP#okta#risk#1"},"sk":{"S":"GROUP"},"targets":{"M":{"research":{"M":{"kind":{"S":"mlflow-server"},"tracking_server_name":{"S":"risks"}}}}}}"#;

fn groups() -> [Group; 2] {
    ["risk#1", "traders"].map(|group| Group::new(group).unwrap())
}

#[test]
fn with_a_named_target_the_groups_come_in_the_same_request() {
    let server = Server::new([json(200, &format!(r#"{{"Responses":{{"latchkey":[{GROUP_ROW}]}}}}"#))]);
    let read = table(&server.url());
    let shown = format!("{:?}", block_on(read.read(&identity(), &groups(), Some(&target()), BUDGET)).unwrap());
    assert!(shown.contains(r#"Group("risk#1")"#) && shown.contains("\"risks\"") && shown.contains("grants: []"), "{shown}");
    let requests = server.requests();
    assert_eq!(requests.len(), 1, "no request besides the one that is made anyway");
    let pk = value!({"S": "SUBJECT#okta#00u#1"});
    assert_eq!(
        requests[0].json(),
        value!({"RequestItems": {"latchkey": {"ConsistentRead": true, "Keys": [
            {"pk": pk, "sk": {"S": "SUBJECT"}}, {"pk": pk, "sk": {"S": "TARGET#research"}},
            {"pk": {"S": "GROUP#okta#risk#1"}, "sk": {"S": "GROUP"}}, {"pk": {"S": "GROUP#okta#traders"}, "sk": {"S": "GROUP"}}]}}})
    );
}

#[test]
fn without_a_target_the_groups_are_one_request_more() {
    // Whatever order the two come in, and whatever stands in the subject's own partition under a group's sort key.
    let own = r#"{"pk":{"S":"SUBJECT#okta#00u#1"},"sk":{"S":"GROUP"},"targets":{"M":{"x":{"M":{}}}}}"#;
    let both = json(200, &format!(r#"{{"Items":[{own},{SUBJECT_ROW}],"Responses":{{"latchkey":[{GROUP_ROW}]}}}}"#));
    let server = Server::new([both.clone(), both]);
    let shown = format!("{:?}", block_on(table(&server.url()).read(&identity(), &groups(), None, BUDGET)).unwrap());
    assert!(shown.contains("Suspended") && shown.contains("\"risks\"") && shown.matches("group: Some").count() == 1, "{shown}");
    let requests = server.requests();
    let mut targets: Vec<_> = requests.iter().filter_map(|request| request.header("x-amz-target")).collect();
    targets.sort_unstable();
    assert_eq!(targets, ["DynamoDB_20120810.BatchGetItem", "DynamoDB_20120810.Query"]);
    let batch = requests.iter().map(|request| request.json()).find(|body| body.get("RequestItems").is_some()).unwrap();
    assert_eq!(
        batch,
        value!({"RequestItems": {"latchkey": {"ConsistentRead": true, "Keys": [
            {"pk": {"S": "GROUP#okta#risk#1"}, "sk": {"S": "GROUP"}}, {"pk": {"S": "GROUP#okta#traders"}, "sk": {"S": "GROUP"}}]}}})
    );
}

#[test]
fn a_group_that_is_left_out_is_no_group_without_grants() {
    let left_out =
        r#"{"Responses":{},"UnprocessedKeys":{"latchkey":{"Keys":[{"pk":{"S":"GROUP#okta#traders"},"sk":{"S":"GROUP"}}]}},"Items":[]}"#;
    for target in [Some(target()), None] {
        let server = Server::new([json(200, left_out)]);
        let unavailable = block_on(table(&server.url()).read(&identity(), &groups(), target.as_ref(), BUDGET)).unwrap_err();
        assert_eq!(unavailable.reason.0, "dynamodb.throttled");
    }
}

#[test]
fn a_thousand_grants_are_read() {
    let rows: Vec<String> = (0..1000).map(|n| GRANT_ROW.replace("TARGET#research", &format!("TARGET#research-{n}"))).collect();
    let server = Server::new([json(200, &format!(r#"{{"Items":[{}]}}"#, rows.join(",")))]);
    let shown = format!("{:?}", read_all(&server).unwrap());
    assert_eq!(shown.matches("DomainId(\"d-abc\")").count(), 1000);
}

#[test]
fn every_failure_of_a_read_is_unavailable_with_its_reason_in_time() {
    for (reply, reason, detail, tries) in [
        (error(400, "ProvisionedThroughputExceededException"), "dynamodb.throttled", Some("ProvisionedThroughputExceededException"), 3),
        (error(400, "AccessDeniedException"), "dynamodb.access-denied", Some("AccessDeniedException"), 1),
        (error(400, "ExpiredTokenException"), "dynamodb.credentials", Some("ExpiredTokenException"), 1),
        (error(400, "ValidationException"), "dynamodb.validation", Some("ValidationException"), 1),
        (error(400, "ResourceNotFoundException"), "dynamodb.not-found", Some("ResourceNotFoundException"), 1),
        (error(500, "InternalServerError"), "dynamodb.failed", Some("InternalServerError"), 3),
        (html(503, "<html>busy</html>"), "dynamodb.failed", None, 3),
        (html(200, "<html>not DynamoDB</html>"), "dynamodb.malformed-answer", None, 3),
        // Taken for no rows it would lift a suspension.
        (json(200, "{}"), "dynamodb.malformed-answer", None, 3),
        (json(200, ""), "dynamodb.malformed-answer", None, 3),
        (json(200, r#"{"Responses":{"latchkey":[{"#), "dynamodb.malformed-answer", None, 3),
        (json(200, r#"{"Responses":{"latchkey":[{"kind":{"S":"studio"}}]}}"#), "dynamodb.malformed-answer", None, 1),
        (cut_off(r#"{"Responses":"#), "dynamodb.malformed-answer", None, 3),
        (Reply::SendAndClose(vec![]), "dynamodb.broken", None, 3),
        (Reply::SendAndClose(b"SSH-2.0-x\r\n".to_vec()), "dynamodb.broken", None, 3),
        (Reply::Silence, "dynamodb.timeout", None, 3),
    ] {
        for &(budget, all_tries) in budgets(&reply) {
            let server = Server::new([reply.clone()]);
            let stopwatch = Stopwatch::start();
            let unavailable = read_one_within(&server, budget).unwrap_err();
            assert!(stopwatch.elapsed() < budget + SLACK, "{reply:?}");
            assert_eq!((unavailable.reason.0, unavailable.detail.as_deref()), (reason, detail), "{reply:?}");
            assert!(!all_tries || server.requests().len() == tries, "{reply:?}: {} tries", server.requests().len());
            assert!(!format!("{unavailable:?}").contains("canary"), "{unavailable:?}");
            assert!(latchkey_aws::grant_store::REASONS.contains(&unavailable.reason));
        }
    }
    let unavailable = block_on(table(&nobody()).read(&identity(), &[], None, BUDGET)).unwrap_err();
    assert_eq!(unavailable.reason.0, "dynamodb.unreachable");
}

#[test]
fn a_failure_that_passes_is_not_seen() {
    let good = json(200, r#"{"Responses":{}}"#);
    for bad in [error(500, "InternalServerError"), Reply::SendAndClose(vec![]), Reply::Silence, cut_off("{")] {
        assert!(read_one(&Server::new([bad.clone(), good.clone()])).is_ok(), "{bad:?}");
    }
}

fn count(server: &Server) -> Result<Admission, Unavailable> {
    block_on(table(&server.url()).count(&identity(), RateLimit { urls: 20, seconds: 60 }, NOW, Duration::from_secs(1)))
}

#[test]
fn a_use_is_counted_with_one_conditional_update() {
    let server = Server::new([json(200, "{}")]);
    assert_eq!(count(&server), Ok(Admission::Admitted));
    let request = server.requests().remove(0);
    assert_eq!(request.header("x-amz-target"), Some("DynamoDB_20120810.UpdateItem"));
    // 1000030 is in the window from 1000020 to 1000080.
    assert_eq!(
        request.json(),
        value!({"TableName": "latchkey", "Key": {"pk": {"S": "RATE#okta#00u#1"}, "sk": {"S": "WINDOW#1000020"}},
            "UpdateExpression": "SET #ttl = :ttl ADD #urls :one",
            "ConditionExpression": "attribute_not_exists(#urls) OR #urls < :limit",
            "ExpressionAttributeNames": {"#ttl": "ttl", "#urls": "urls"},
            "ExpressionAttributeValues": {":one": {"N": "1"}, ":limit": {"N": "20"}, ":ttl": {"N": "1003680"}}})
    );
}

#[test]
fn a_full_window_says_when_the_next_one_begins() {
    let server = Server::new([error(400, "ConditionalCheckFailedException")]);
    assert_eq!(count(&server), Ok(Admission::Limited { retry_after_seconds: 50 }));
    assert_eq!(server.requests().len(), 1);
}

#[test]
fn a_count_is_repeated_only_when_it_certainly_was_not_made() {
    for (reply, reason) in [
        (Reply::Silence, "dynamodb.timeout"),
        (Reply::SendAndClose(vec![]), "dynamodb.broken"),
        (error(500, "InternalServerError"), "dynamodb.failed"),
        (html(200, "<html>"), "dynamodb.malformed-answer"),
    ] {
        let server = Server::new([reply.clone(), json(200, "{}")]);
        assert_eq!(count(&server).unwrap_err().reason.0, reason, "{reply:?}");
        assert_eq!(server.requests().len(), 1, "{reply:?}");
    }
    let server = Server::new([error(400, "ThrottlingException"), json(200, "{}")]);
    assert_eq!(count(&server), Ok(Admission::Admitted));
}

fn claim(server: &Server) -> Result<Claim, Unavailable> {
    block_on(table(&server.url()).claim_token(&identity(), "j-1", NOW, NOW.plus_seconds(60), BUDGET))
}

/// What DynamoDB answers when the condition fails, with the item that is there.
fn taken(claim: &str) -> Reply {
    json(
        400,
        &format!(
            r#"{{"__type":"com.amazonaws.dynamodb.v20120810#ConditionalCheckFailedException","message":"no","Item":{{"claim":{{"S":"{claim}"}}}}}}"#
        ),
    )
}

#[test]
fn a_token_is_claimed_with_one_conditional_put() {
    let server = Server::new([json(200, "{}")]);
    assert_eq!(claim(&server), Ok(Claim::Claimed));
    let mut body = server.requests().remove(0).json();
    let nonce = body["Item"]["claim"]["S"].take();
    assert_eq!(nonce.as_str().unwrap().len(), 32);
    assert_eq!(
        body,
        value!({"TableName": "latchkey",
            "Item": {"pk": {"S": "TOKEN#okta#j-1"}, "sk": {"S": "TOKEN"}, "until": {"N": "1000091"}, "ttl": {"N": "1000091"},
                "claim": {"S": null}},
            "ConditionExpression": "attribute_not_exists(pk) OR #until < :now",
            "ExpressionAttributeNames": {"#until": "until"},
            "ExpressionAttributeValues": {":now": {"N": "1000030"}},
            "ReturnValuesOnConditionCheckFailure": "ALL_OLD"})
    );
    assert_eq!(claim(&Server::new([taken("somebody-else")])), Ok(Claim::Replayed));
    assert_eq!(claim(&Server::new([error(400, "ConditionalCheckFailedException")])), Ok(Claim::Replayed));
}

#[test]
fn a_claim_whose_answer_was_lost_is_repeated_under_the_same_mark() {
    let server = Server::new([Reply::SendAndClose(vec![]), json(200, "{}")]);
    assert_eq!(claim(&server), Ok(Claim::Claimed));
    let marks: Vec<_> = server.requests().iter().map(|request| request.json()["Item"]["claim"].clone()).collect();
    assert_eq!(marks.len(), 2);
    assert_eq!(marks[0], marks[1]);
    // And another's mark that was there all along is still another's.
    assert_eq!(claim(&Server::new([Reply::SendAndClose(vec![]), taken("somebody-else")])), Ok(Claim::Replayed));
}

#[test]
fn a_mark_is_taken_back_once_at_most() {
    let release = |server: &Server| block_on(table(&server.url()).release_token(&identity(), "j-1", Duration::from_millis(500)));
    let server = Server::new([json(200, "{}")]);
    assert_eq!(release(&server), Ok(()));
    assert_eq!(
        server.requests().remove(0).json(),
        value!({"TableName": "latchkey", "Key": {"pk": {"S": "TOKEN#okta#j-1"}, "sk": {"S": "TOKEN"}}})
    );
    let lost = Server::new([Reply::SendAndClose(vec![]), json(200, "{}")]);
    assert!(release(&lost).is_err());
    assert_eq!(lost.requests().len(), 1);
}

#[test]
fn key_sets_are_read_consistently_and_strictly() {
    let load = |server: &Server| block_on(table(&server.url()).load(&IssuerId::new("okta").unwrap(), BUDGET));
    let server = Server::new([json(200, r#"{"Item":{"jwks":{"S":"{\"keys\":[]}"},"fetched_at":{"N":"1000"}}}"#)]);
    let snapshot = load(&server).unwrap().unwrap();
    assert_eq!((snapshot.jwks.as_str(), snapshot.fetched_at), (r#"{"keys":[]}"#, Timestamp::from_unix_seconds(1000)));
    assert_eq!(
        server.requests().remove(0).json(),
        value!({"TableName": "latchkey", "ConsistentRead": true, "ProjectionExpression": "jwks, fetched_at",
            "Key": {"pk": {"S": "JWKS#okta"}, "sk": {"S": "JWKS"}}})
    );
    assert_eq!(load(&Server::new([json(200, "{}")])), Ok(None));
    for (item, attribute) in [
        (r#"{"fetched_at":{"N":"1"}}"#, "jwks"),
        (r#"{"jwks":{"N":"1"},"fetched_at":{"N":"1"}}"#, "jwks"),
        (r#"{"jwks":{"S":"{}"}}"#, "fetched_at"),
        (r#"{"jwks":{"S":"{}"},"fetched_at":{"S":"yesterday"}}"#, "fetched_at"),
        (r#"{"jwks":{"S":"{}"},"fetched_at":{"N":"1e3"}}"#, "fetched_at"),
    ] {
        let unavailable = load(&Server::new([json(200, &format!(r#"{{"Item":{item}}}"#))])).unwrap_err();
        assert_eq!((unavailable.reason.0, unavailable.detail.as_deref()), ("dynamodb.keys-malformed", Some(attribute)), "{item}");
    }
}

#[test]
fn an_older_key_set_never_replaces_a_newer_one() {
    let snapshot = KeySnapshot { jwks: "{}".to_owned(), fetched_at: Timestamp::from_unix_seconds(1000) };
    let save = |server: &Server| {
        block_on(table(&server.url()).save(&IssuerId::new("okta").unwrap(), &snapshot, "https://idp.example/keys", BUDGET))
    };
    let server = Server::new([json(200, "{}")]);
    assert_eq!(save(&server), Ok(true));
    assert_eq!(
        server.requests().remove(0).json(),
        value!({"TableName": "latchkey",
            "Item": {"pk": {"S": "JWKS#okta"}, "sk": {"S": "JWKS"}, "jwks": {"S": "{}"}, "fetched_at": {"N": "1000"},
                "source": {"S": "https://idp.example/keys"}},
            "ConditionExpression": "attribute_not_exists(pk) OR fetched_at <= :fetched_at OR fetched_at > :future \
                OR NOT attribute_type(fetched_at, :number)",
            "ExpressionAttributeValues": {":fetched_at": {"N": "1000"}, ":future": {"N": "1300"}, ":number": {"S": "N"}}})
    );
    assert_eq!(save(&Server::new([error(400, "ConditionalCheckFailedException")])), Ok(false));
}

fn grant() -> Grant {
    let row = Item::from([
        ("kind".to_owned(), Value::S("studio".to_owned())),
        ("domain_id".to_owned(), Value::S("d-abc".to_owned())),
        ("user_profile_name".to_owned(), Value::S("jane".to_owned())),
    ]);
    Grant::from_item(target(), &row).unwrap()
}

fn admin(server: &Server) -> GrantAdmin {
    GrantAdmin::new(clients(&server.url(), &nobody(), &nobody()).dynamodb_for_operators(), "latchkey")
}

#[test]
fn operators_write_grants_that_the_broker_reads() {
    let server = Server::new([json(200, &format!(r#"{{"Attributes":{GRANT_ROW}}}"#))]);
    let annotation = Annotation {
        by: Some("ops@example.com".to_owned()),
        note: Some("T-1".to_owned()),
        own: Item::from([("x_cost".to_owned(), Value::S("42".to_owned()))]),
        ..Annotation::at(Timestamp::from_unix_seconds(7))
    };
    let change = block_on(admin(&server).put_grant(&identity(), &grant(), &annotation, Expect::Present)).unwrap();
    assert_eq!(change.after.unwrap()["note"], Value::S("T-1".to_owned()));
    assert_eq!(change.aws_request_id.as_deref(), Some("req-200"));
    let old = change.before.unwrap();
    assert_eq!(old.grant().unwrap().unwrap(), grant());
    assert_eq!((old.identity.clone(), old.target_name()), (Some(identity()), Some("research")));
    assert_eq!(
        server.requests().remove(0).json(),
        value!({"TableName": "latchkey", "ReturnValues": "ALL_OLD", "ConditionExpression": "attribute_exists(pk)",
            "Item": {"pk": {"S": "SUBJECT#okta#00u#1"}, "sk": {"S": "TARGET#research"}, "kind": {"S": "studio"},
                "domain_id": {"S": "d-abc"}, "user_profile_name": {"S": "jane"}, "enabled": {"BOOL": true}, "default": {"BOOL": false},
                "note": {"S": "T-1"}, "updated_by": {"S": "ops@example.com"}, "updated_at": {"N": "7"}, "x_cost": {"S": "42"}}})
    );

    let conflict = Server::new([error(400, "ConditionalCheckFailedException")]);
    let put = |expect| block_on(admin(&conflict).put_grant(&identity(), &grant(), &Annotation::at(NOW), expect)).unwrap_err();
    assert_eq!(put(Expect::Absent).to_string(), "there is such a grant already");
    assert_eq!(put(Expect::Present).to_string(), "there is no such grant");

    let mut odd = grant();
    odd.url_seconds = Some(1);
    let unused = Server::new([json(200, "{}")]);
    let error = block_on(admin(&unused).put_grant(&identity(), &odd, &Annotation::at(NOW), Expect::Anything)).unwrap_err();
    assert!(matches!(error, AdminError::Defect(_)), "{error}");
    assert!(unused.requests().is_empty());
}

#[test]
fn operators_suspend_with_one_write() {
    let server = Server::new([json(200, "{}")]);
    block_on(admin(&server).set_suspended(&identity(), true, &Annotation::at(Timestamp::from_unix_seconds(7)))).unwrap().unwrap();
    let body = server.requests().remove(0).json();
    assert_eq!(body["Key"], value!({"pk": {"S": "SUBJECT#okta#00u#1"}, "sk": {"S": "SUBJECT"}}));
    let mut written: Vec<(String, serde_json::Value)> = (0..2)
        .map(|n| {
            let name = body["ExpressionAttributeNames"][format!("#n{n}")].as_str().unwrap().to_owned();
            (name, body["ExpressionAttributeValues"][format!(":v{n}")].clone())
        })
        .collect();
    written.sort_by(|a, b| a.0.cmp(&b.0));
    assert_eq!(written, [("status".to_owned(), value!({"S": "suspended"})), ("updated_at".to_owned(), value!({"N": "7"}))]);
    // Without its `ttl`, by which DynamoDB would delete the row some day and lift the suspension: also from one that is suspended.
    assert_eq!(body["UpdateExpression"], "SET #n0 = :v0, #n1 = :v1 REMOVE #n2");
    assert_eq!(body["ExpressionAttributeNames"]["#n2"], "ttl");
    let condition = body["ConditionExpression"].as_str().unwrap();
    assert!(condition.ends_with(" OR attribute_exists(#n2)"), "{condition}");
    // Done already: nothing has changed, and it is no error.
    let there = Server::new([error(400, "ConditionalCheckFailedException")]);
    assert_eq!(block_on(admin(&there).set_suspended(&identity(), true, &Annotation::at(NOW))).unwrap(), None);
}

#[test]
fn of_a_subjects_record_only_what_is_given_is_written() {
    let old = r#"{"Attributes":{"pk":{"S":"p"},"sk":{"S":"SUBJECT"},"status":{"S":"active"},"note":{"S":"old"},"x_old":{"S":"1"},
        "email":{"S":"e"},"ttl":{"N":"1900000000"}}}"#;
    let server = Server::new([json(200, old)]);
    let mut read = Item::from(
        [("status", "active"), ("note", "old"), ("x_old", "1"), ("email", "e")].map(|(n, v)| (n.to_owned(), Value::S(v.to_owned()))),
    );
    read.insert("ttl".to_owned(), Value::N("1900000000".to_owned()));
    let annotation = Annotation::at(Timestamp::from_unix_seconds(7));
    let put = |server: &Server| {
        block_on(admin(server).put_subject(&identity(), Some(true), &Profiles::default(), &annotation, Expect::AsRead(&read)))
    };
    let change = put(&server).unwrap();
    let body = server.requests().remove(0).json();
    let (set, removed) = body["UpdateExpression"].as_str().unwrap().split_once(" REMOVE ").unwrap();
    let named = |part: &str| -> Vec<String> {
        let placeholders = part.split([' ', ',']).filter(|word| word.starts_with('#'));
        placeholders.map(|placeholder| body["ExpressionAttributeNames"][placeholder].as_str().unwrap().to_owned()).collect()
    };
    let mut set = named(set);
    set.sort();
    assert_eq!((set, named(removed)), (vec!["status".to_owned(), "updated_at".to_owned()], vec!["ttl".to_owned()]));
    let condition = body["ConditionExpression"].as_str().unwrap();
    assert!(condition.starts_with("attribute_exists(pk) AND ") && condition.contains("attribute_not_exists("), "{condition}");
    assert_eq!(change.before.unwrap().item, read);
    let after: Vec<String> = change.after.unwrap().into_keys().collect();
    assert_eq!(after, ["email", "note", "status", "updated_at", "x_old"]);
    let conflict = Server::new([error(400, "ConditionalCheckFailedException")]);
    assert_eq!(put(&conflict).unwrap_err().to_string(), "it was changed meanwhile");
}

#[test]
fn a_groups_grant_is_written_by_itself_and_the_map_for_it_where_there_is_none() {
    let whose = GroupIdentity { issuer: IssuerId::new("okta").unwrap(), group: Group::new("risk").unwrap() };
    let item = |text: &str| serde_json::from_str::<Item>(text).unwrap();
    let server_grant = item(r#"{"kind":"mlflow-server","tracking_server_name":"a"}"#);
    let grant = GroupGrant::from_item(target(), &server_grant).unwrap();
    let put = |server: &Server, expect: Expect<'_>| {
        block_on(admin(server).put_group_grant(&whose, &grant, &Annotation::at(Timestamp::from_unix_seconds(7)), expect))
    };
    let refused = || error(400, "ConditionalCheckFailedException");
    let spelt_out = |body: &serde_json::Value, member: &str| {
        let mut text = body[member].as_str().unwrap().to_owned();
        for (placeholder, name) in body["ExpressionAttributeNames"].as_object().unwrap() {
            let (from, to) = (format!("{placeholder}."), format!("{}.", name.as_str().unwrap()));
            text = format!("{text} ").replace(&from, &to).replace(&format!("{placeholder} "), &format!("{} ", name.as_str().unwrap()));
            text = text.trim_end().replace(&format!("{placeholder})"), &format!("{})", name.as_str().unwrap()));
        }
        text
    };
    // In a map that is there, and what was there before comes back.
    let server = Server::new([json(200, r#"{"Attributes":{"targets":{"M":{"research":{"M":{"kind":{"S":"old"}}},"b":{"M":{}}}}}}"#)]);
    let change = put(&server, Expect::Anything).unwrap();
    let body = server.requests().remove(0).json();
    assert_eq!(body["Key"], value!({"pk": {"S": "GROUP#okta#risk"}, "sk": {"S": "GROUP"}}));
    assert_eq!(spelt_out(&body, "UpdateExpression"), "SET targets.research = :v0");
    assert_eq!(spelt_out(&body, "ConditionExpression"), "attribute_exists(targets)");
    assert_eq!(body["ReturnValues"], "ALL_OLD");
    assert_eq!(change.before.unwrap().item, item(r#"{"kind":"old"}"#));
    assert_eq!(change.after.unwrap()["updated_at"], Value::N("7".to_owned()));
    // There is no map yet, so it is made with the grant in it; and where somebody was quicker, it goes into theirs.
    let server = Server::new([refused(), refused(), json(200, "{}")]);
    assert_eq!(put(&server, Expect::Anything).unwrap().before, None);
    let conditions: Vec<String> = server.requests().iter().map(|request| spelt_out(&request.json(), "ConditionExpression")).collect();
    assert_eq!(conditions, ["attribute_exists(targets)", "attribute_not_exists(targets)", "attribute_exists(targets)"]);
    // A new one replaces none, and one that replaces another finds it as it was read, or nothing is made in its place.
    let server = Server::new([refused(), refused(), refused(), refused()]);
    assert_eq!(put(&server, Expect::Absent).unwrap_err().to_string(), "there is such a grant already");
    let condition = spelt_out(&server.requests()[0].json(), "ConditionExpression");
    assert_eq!(condition, "attribute_exists(targets) AND attribute_not_exists(targets.research)");
    let server = Server::new([refused()]);
    assert_eq!(put(&server, Expect::AsRead(&server_grant)).unwrap_err().to_string(), "it was changed meanwhile");
    let condition = spelt_out(&server.requests().remove(0).json(), "ConditionExpression");
    let as_read = "attribute_exists(targets) AND attribute_exists(targets.research) AND targets.research.kind = ";
    assert!(condition.starts_with(as_read) && condition.contains("attribute_not_exists(targets.research.enabled)"), "{condition}");
    // One that goes takes no other with it, and one that is not there is not missed.
    let server = Server::new([json(200, r#"{"Attributes":{"targets":{"M":{"research":{"M":{}}}}}}"#), refused()]);
    let deleted = block_on(admin(&server).delete_group_grant(&whose, &target())).unwrap();
    assert!(deleted.before.is_some() && deleted.after.is_none());
    let body = server.requests().remove(0).json();
    assert_eq!(spelt_out(&body, "UpdateExpression"), "REMOVE targets.research");
    assert_eq!(spelt_out(&body, "ConditionExpression"), "attribute_exists(targets.research)");
    assert_eq!(block_on(admin(&server).delete_group_grant(&whose, &target())).unwrap().before, None);
}

#[test]
fn operators_list_page_by_page() {
    let more = format!(r#"{{"Items":[{GRANT_ROW}],"LastEvaluatedKey":{{"pk":{{"S":"p"}},"sk":{{"S":"s"}}}}}}"#);
    let group = r#"{"pk":{"S":"GROUP#okta#risk"},"sk":{"S":"GROUP"},"targets":{"M":{"a":{"M":{"kind":{"S":"x"}}},"b":{"M":{}}}}}"#;
    let lost = r#"{"pk":{"S":"GROUP#okta#lost"},"sk":{"S":"GROUP"},"enabled":{"BOOL":false}}"#;
    let server = Server::new([json(200, &more), json(200, &format!(r#"{{"Items":[{SUBJECT_ROW},{group},{lost}]}}"#))]);
    let admin = admin(&server);
    block_on(async {
        let first = admin.list_all(None).await.unwrap();
        assert_eq!(first.rows[0].target_name(), Some("research"));
        let second = admin.list_all(first.next).await.unwrap();
        assert!(second.rows[0].is_subject() && second.next.is_none());
        assert_eq!(second.rows[0].standing(), Some(latchkey_domain::subject::Standing::Suspended));
        // A group's item is a row for each of its grants, and one where it cannot be read.
        let of_groups: Vec<_> =
            second.rows[1..].iter().map(|row| (row.group.as_ref().unwrap().group.as_str(), row.target_name())).collect();
        assert_eq!(of_groups, [("risk", Some("a")), ("risk", Some("b")), ("lost", None)]);
        assert!(second.rows[1..].iter().all(|row| row.identity.is_none() && row.defect().is_some()));
    });
    let requests = server.requests();
    assert_eq!(requests[0].header("x-amz-target"), Some("DynamoDB_20120810.Scan"));
    let filter = "begins_with(pk, :subject) OR (begins_with(pk, :group) AND sk = :own)";
    assert_eq!(requests[0].json()["FilterExpression"], filter);
    assert_eq!(requests[1].json()["ExclusiveStartKey"], value!({"pk": {"S": "p"}, "sk": {"S": "s"}}));
}

#[test]
fn operators_get_awss_own_words_as_the_source() {
    let server = Server::new([error(400, "AccessDeniedException")]);
    let error = block_on(admin(&server).get_grant(&identity(), &target())).unwrap_err();
    assert_eq!(error.to_string(), "DynamoDB: AccessDeniedException");
    assert!(matches!(&error, AdminError::Aws { aws_request_id: Some(id), .. } if id == "req-400"), "{error:?}");
}

#[test]
fn the_table_is_made_as_the_contract_has_it() {
    let active = json(200, r#"{"Table":{"TableStatus":"ACTIVE"}}"#);
    let server = Server::new([json(200, "{}"), active, json(200, "{}")]);
    assert!(block_on(admin(&server).create_table()).unwrap());
    let requests = server.requests();
    assert_eq!(
        requests[0].json(),
        value!({"TableName": "latchkey", "BillingMode": "PAY_PER_REQUEST",
            "AttributeDefinitions": [{"AttributeName": "pk", "AttributeType": "S"}, {"AttributeName": "sk", "AttributeType": "S"}],
            "KeySchema": [{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}]})
    );
    assert_eq!(requests[2].json(), value!({"TableName": "latchkey", "TimeToLiveSpecification": {"AttributeName": "ttl", "Enabled": true}}));
    let there = Server::new([error(400, "ResourceInUseException")]);
    assert!(!block_on(admin(&there).create_table()).unwrap());
}
