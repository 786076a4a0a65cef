use latchkey_aws::grant_admin::GroupIdentity;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};

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
    let (issuer, subject, group) = (IssuerId::new(take("issuer").unwrap()).unwrap(), take("subject"), take("group"));
    let own = if group.is_some() { "GROUP" } else { "SUBJECT" };
    let sort_key = take("target").map_or_else(|| own.to_owned(), |target| format!("TARGET#{target}"));
    if let Some(group) = group {
        let whose = GroupIdentity { issuer, group: Group::new(group).unwrap() };
        return Row { sort_key, partition_key: whose.partition_key(), identity: None, group: Some(whose), item };
    }
    let identity = Identity { issuer, subject: Subject::new(subject.unwrap()).unwrap() };
    Row { sort_key, partition_key: identity.partition_key(), identity: Some(identity), group: None, item }
}

fn plan(shared: bool, file: &[String], table: &[String]) -> Plan {
    let mut plan = Plan::new(shared, None);
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
    let gone: Vec<_> = plan.different().flat_map(|row| row.gone_attributes()).map(|name| &**name).collect();
    assert_eq!(gone, ["x_a"], "a grant is written as a whole");
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
    // What says nothing of the status leaves it; nobody can say what a malformed one was meant to be.
    let note = [r#"{"issuer":"okta","subject":"a","note":"x"}"#.to_owned()];
    let noted = plan(false, &note, &[subject("suspended")]);
    assert_bad(&noted, &[]);
    assert_eq!(noted.different().flat_map(|row| row.changed_attributes()).map(|name| &**name).collect::<Vec<_>>(), ["note"]);
    assert_bad(&plan(false, &note, &[subject("Suspended")]), &[(1, "status")]);
    let plan = plan(false, &[subject("suspended")], &[subject("active")]);
    assert_bad(&plan, &[]);
    assert_eq!(plan.counts(), [0, 1, 0]);
}

#[test]
fn a_groups_grants_are_compared_each_by_itself() {
    let studio = |group: &str, target: &str, more: &str| {
        format!(r#"{{"issuer":"okta","group":"{group}","target":"{target}","kind":"studio","domain_id":"d-abc"{more}}}"#)
    };
    let file = [studio("desk", "a", ""), studio("desk", "b", r#","url_seconds":10"#), studio("desk", "c", ""), studio("other", "a", "")];
    let table = [studio("desk", "a", r#","enabled":true,"updated_at":5"#), studio("desk", "b", ""), studio("desk", "z", "")];
    let good = plan(false, &file, &table);
    assert_bad(&good, &[]);
    assert_eq!(good.counts(), [2, 1, 1]);
    // A subject of the same name is somebody else.
    let subject = r#"{"issuer":"okta","subject":"desk","target":"a","kind":"mlflow-server","tracking_server_name":"s"}"#.to_owned();
    assert_eq!(plan(false, &file[..1], std::slice::from_ref(&subject)).counts(), [1, 0, 0]);
    assert_bad(&plan(false, &[file[0].clone(), subject, file[0].clone()], &[]), &[(3, "the same issuer, group and target as line 1")]);
    // What would stand in an item that grants nothing is not written into it.
    let lost = r#"{"issuer":"okta","group":"desk","enabled":false}"#.to_owned();
    let problem = "the group's item in the table is none: enabled: is not an attribute of a group";
    assert_bad(&plan(false, &file, &[lost]), &[(1, problem), (2, problem), (3, problem)]);
}

#[test]
fn a_profile_of_a_subjects_own_row_has_one_owner_too() {
    let subject = |subject: &str, profile: &str| format!(r#"{{"issuer":"okta","subject":"{subject}","user_profile_name":"{profile}"}}"#);
    let there = |subject: &str, domain: &str, profile: &str| {
        format!(r#"{{"issuer":"okta","subject":"{subject}","user_profile_names":{{"{domain}":"{profile}"}}}}"#)
    };
    // Within the file: with another subject's row, and with another subject's grant; one's own do not count.
    assert_bad(&plan(false, &[subject("a", "jane"), subject("b", "Jane")], &[]), &[(2, "see line 1; --shared")]);
    assert_bad(&plan(true, &[subject("a", "jane"), subject("b", "Jane")], &[]), &[]);
    assert_bad(&plan(false, &[subject("a", "jane"), studio("b", "jane", "")], &[]), &[(2, "see line 1")]);
    assert_bad(&plan(false, &[subject("a", "jane"), studio("a", "jane", "")], &[]), &[]);
    assert_bad(&plan(false, &[there("a", "d-abc", "jane"), there("b", "d-xyz", "jane")], &[]), &[]);
    assert_bad(&plan(false, &[there("a", "d-abc", "jane"), studio("b", "jane", "")], &[]), &[(2, "see line 1")]);
    assert_bad(&plan(false, &[there("a", "d-xyz", "jane"), studio("b", "jane", "")], &[]), &[]);
    // In the table.
    assert_bad(&plan(false, &[subject("b", "jane")], &[studio("a", "Jane", "")]), &[(1, "see okta a (target r)")]);
    assert_bad(&plan(false, &[studio("b", "jane", "")], &[subject("a", "Jane")]), &[(1, "see okta a (for the grants of groups)")]);
    assert_bad(&plan(false, &[subject("b", "jane")], &[subject("a", "jane")]), &[(1, "see okta a (for the grants of groups)")]);
    assert_bad(&plan(false, &[subject("b", "jane")], &[subject("a", "jane"), subject("b", "jane")]), &[]);
    // A row without one leaves it, and one for another domain adds to it, also where the first was shared.
    let status = [r#"{"issuer":"okta","subject":"a","status":"active"}"#.to_owned()];
    assert_eq!(plan(false, &status, &[subject("a", "jane")]).counts(), [0, 0, 1]);
    let two = [there("a", "d-xyz", "jane"), there("b", "d-abc", "jane")];
    let both = r#"{"issuer":"okta","subject":"a","user_profile_names":{"d-abc":"jane","d-xyz":"jane"}}"#.to_owned();
    let again = plan(false, &two[..1], &[both, two[1].clone()]);
    assert_bad(&again, &[]);
    assert_eq!(again.counts(), [0, 0, 1]);
    let more = plan(false, &two[..1], &[there("a", "d-abc", "jane")]);
    let changed: Vec<_> = more.different().flat_map(|row| row.changed_attributes()).map(|name| &**name).collect();
    assert_eq!((changed, more.different().map(|row| row.gone_attributes().len()).sum::<usize>()), (vec!["user_profile_names"], 0));
}
