use latchkey_domain::identity::{Identity, IssuerId, Subject};

use super::*;

fn item(text: &str) -> Item {
    let Value::M(item) = serde_json::from_str(text).unwrap() else { panic!("{text}") };
    item
}

/// A Studio grant of a subject, with these members more.
fn studio(subject: &str, profile: &str, more: &str) -> String {
    format!(
        r#"{{"issuer":"okta","subject":"{subject}","target":"r","kind":"studio","domain_id":"d-abc","user_profile_name":"{profile}"{more}}}"#
    )
}

/// The table's row of what a file's row says, perhaps with further attributes.
fn row(file_row: &str) -> Row {
    let mut item = item(file_row);
    let mut take = |name: &str| match item.remove(name) {
        Some(Value::S(text)) => Some(text),
        _ => None,
    };
    let (issuer, subject) = (take("issuer").unwrap(), take("subject").unwrap());
    let sort_key = take("target").map_or_else(|| "SUBJECT".to_owned(), |target| format!("TARGET#{target}"));
    let identity = Identity { issuer: IssuerId::new(issuer).unwrap(), subject: Subject::new(subject).unwrap() };
    Row { sort_key, partition_key: identity.partition_key(), identity: Some(identity), item }
}

fn plan(shared: bool, file: &[String], table: &[String]) -> Plan {
    let mut plan = Plan::new(shared);
    for (index, text) in file.iter().enumerate() {
        plan.add(Entry { line: index as u64 + 1, item: Ok(item(text)) }).unwrap();
    }
    table.iter().for_each(|text| plan.see(&row(text)).unwrap());
    plan.judge().unwrap();
    plan
}

#[track_caller]
fn assert_bad(plan: &Plan, expected: &[(u64, &str)]) {
    assert_eq!(plan.bad.len(), expected.len(), "{:?}", plan.bad);
    for ((line, problem), (expected_line, part)) in plan.bad.iter().zip(expected) {
        assert!(line == expected_line && problem.contains(part), "{:?}", plan.bad);
    }
}

#[test]
fn only_what_means_something_else_differs() {
    let same = studio("a", "a", "");
    let spelt_out = studio("a", "a", r#","enabled":true,"default":false,"updated_at":5,"updated_by":"x""#);
    let file = [
        same,
        studio("b", "b", r#","note":"new","url_seconds":10"#),
        studio("c", "c", ""),
        r#"{"issuer":"okta","subject":"a","status":"active"}"#.to_owned(),
    ];
    let table = [
        spelt_out,
        studio("b", "b", r#","note":"old","x_a":1"#),
        studio("elsewhere", "z", ""),
        r#"{"issuer":"okta","subject":"a","updated_by":"x"}"#.to_owned(),
    ];
    let plan = plan(false, &file, &table);
    assert_bad(&plan, &[]);
    assert_eq!((plan.counts(), plan.differences()), ([1, 1, 2], 2));
    let different: Vec<_> = plan.different().map(|row| (row.line, row.changed_attributes().join(" "))).collect();
    assert_eq!(different, [(2, "note x_a url_seconds".to_owned()), (3, String::new())]);
    let Difference::Changed { read, .. } = plan.different().next().unwrap().difference else { panic!("{plan:?}") };
    assert_eq!(read, fingerprint(&row(&table[1]).item));
    assert_ne!(read, fingerprint(&row(&table[0]).item));
}

#[test]
fn a_malformed_row_of_the_table_is_replaced() {
    let plan = plan(false, &[studio("a", "a", "")], &[studio("a", "a", r#","enable":false"#)]);
    let names: Vec<_> = plan.different().flat_map(|row| row.changed_attributes()).map(|name| &**name).collect();
    assert!(names.contains(&"enable") && plan.bad.is_empty(), "{names:?}");
}

#[test]
fn a_grant_stands_in_a_file_once() {
    let plan = plan(false, &[studio("a", "a", ""), studio("a", "b", ""), studio("A", "c", ""), studio("a", "a", "")], &[]);
    assert_bad(&plan, &[(2, "as line 1"), (4, "as line 1")]);
}

#[test]
fn a_profile_has_one_owner_within_the_file() {
    let two = [studio("a", "jane", ""), studio("b", "JANE", "")];
    assert_bad(&plan(false, &two, &[]), &[(2, "see line 1; --shared")]);
    assert_bad(&plan(true, &two, &[]), &[]);
    // What opens nothing takes nothing; elsewhere is another profile.
    assert_bad(&plan(false, &[studio("a", "jane", ""), studio("b", "jane", r#","enabled":false"#)], &[]), &[]);
    let [here, there] = ["eu-west-1", "eu-central-1"].map(|region| format!(r#","region":"{region}""#));
    assert_bad(&plan(false, &[studio("a", "jane", &here), studio("b", "jane", &there)], &[]), &[]);
    // Both are open already: somebody said --shared, and an export imports back.
    assert_bad(&plan(false, &two, &two), &[]);
    // One is: the other one is told, whichever comes first.
    assert_bad(&plan(false, &two, &two[..1]), &[(2, "see okta a (target r)")]);
    assert_bad(&plan(false, &two, &two[1..]), &[(1, "see okta b (target r)")]);
}

#[test]
fn a_profile_has_one_owner_in_the_table_too() {
    let file = [studio("b", "jane", "")];
    assert_bad(&plan(false, &file, &[studio("a", "Jane", "")]), &[(1, "see okta a (target r)")]);
    assert_bad(&plan(true, &file, &[studio("a", "Jane", "")]), &[]);
    assert_bad(&plan(false, &file, &[studio("a", "joe", "")]), &[]);
    assert_bad(&plan(false, &file, &[studio("a", "jane", ""), studio("b", "jane", "")]), &[]);
    // Opened anew, it is looked at anew.
    assert_bad(&plan(false, &file, &[studio("a", "jane", ""), studio("b", "jane", r#","enabled":false"#)]), &[(1, "see okta a")]);
}

#[test]
fn a_file_suspends_and_never_lifts_a_suspension() {
    let subject = |status: &str| format!(r#"{{"issuer":"okta","subject":"a","status":"{status}"}}"#);
    assert_bad(&plan(false, &[subject("active")], &[subject("suspended")]), &[(1, "latchkey resume")]);
    assert_bad(&plan(false, &[subject("active")], &[subject("Suspended")]), &[(1, "latchkey resume")]);
    assert_bad(&plan(false, &[r#"{"issuer":"okta","subject":"a","note":"x"}"#.to_owned()], &[subject("suspended")]), &[(1, "status")]);
    let plan = plan(false, &[subject("suspended")], &[subject("active")]);
    assert_bad(&plan, &[]);
    assert_eq!(plan.counts(), [0, 1, 0]);
}
