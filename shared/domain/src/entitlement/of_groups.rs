//! What groups were granted, and what goes before what.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;
use crate::fakes;
use crate::item::Value;

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
const OWN_ACCOUNT: &str = "111122223333";

fn text(value: &str) -> Value {
    Value::S(value.to_owned())
}

fn attributes(base: &[(&str, &str)], more: &[(&str, Value)]) -> Item {
    let base = base.iter().map(|&(name, value)| (name.to_owned(), text(value)));
    base.chain(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone()))).collect()
}

fn own(name: &str, more: &[(&str, Value)]) -> (String, Item) {
    (name.to_owned(), attributes(&[("kind", "studio"), ("domain_id", "d-abc"), ("user_profile_name", "jane-own")], more))
}

fn studio(more: &[(&str, Value)]) -> Item {
    attributes(&[("kind", "studio"), ("domain_id", "d-abc")], more)
}

fn server(name: &str, more: &[(&str, Value)]) -> Item {
    attributes(&[("kind", "mlflow-server"), ("tracking_server_name", name)], more)
}

fn group(name: &str, targets: &[(&str, Item)]) -> (Group, Item) {
    let targets = targets.iter().map(|(name, grant)| ((*name).to_owned(), Value::M(grant.clone()))).collect();
    (Group::new(name).unwrap(), Item::from([("targets".to_owned(), Value::M(targets))]))
}

fn profiles(more: &[(&str, Value)]) -> Item {
    attributes(&[("user_profile_name", "jane")], more)
}

fn decide(record: &SubjectRecord, target: Option<&str>) -> Result<Entitlement, Denial> {
    let wish = Wish { target: target.map(|name| TargetName::new(name).unwrap()), landing: None };
    let principal = fakes::member("okta", "jane", None, &["risk", "traders"], NOW.plus_seconds(300)).unwrap();
    entitle(principal, record, &wish, &Terms::in_region(Region::new("eu-central-1").unwrap()), OWN_ACCOUNT, NOW)
}

/// What opens, as `group resource` with `-` for the subject's own; or the reason for which nothing does.
fn opened(record: &SubjectRecord, target: Option<&str>) -> Result<String, Reason> {
    decide(record, target)
        .map(|e| {
            let arn = e.resource_arn(OWN_ACCOUNT);
            format!("{} {}", e.group().map_or("-", Group::as_str), arn.rsplit('/').next().unwrap_or_default())
        })
        .map_err(|denial| denial.reason)
}

fn record(subject: Option<&Item>, grants: Vec<(String, Item)>, groups: Vec<(Group, Item)>) -> SubjectRecord {
    SubjectRecord::new(subject, grants).with_groups(subject, groups)
}

#[test]
fn a_groups_grant_opens_the_subjects_own_profile() {
    let groups = || vec![group("risk", &[("lab", studio(&[])), ("runs", server("risks", &[]))])];
    let with_profile = record(Some(&profiles(&[])), vec![], groups());
    assert_eq!(opened(&with_profile, Some("lab")), Ok("risk jane".into()));
    assert_eq!(opened(&with_profile, Some("runs")), Ok("risk risks".into()));
    assert_eq!(opened(&with_profile, Some("Lab")), Err(NO_GRANT));
    let by_domain = |domain: &str| {
        let names = Value::M(Item::from([(domain.to_owned(), text("jane-there"))]));
        record(Some(&profiles(&[("user_profile_names", names)])), vec![], groups())
    };
    assert_eq!(opened(&by_domain("d-abc"), Some("lab")), Ok("risk jane-there".into()));
    assert_eq!(opened(&by_domain("d-xyz"), Some("lab")), Ok("risk jane".into()));

    // Without a profile the rest opens all the same.
    let without = record(None, vec![], groups());
    assert_eq!(opened(&without, Some("lab")), Err(NO_PROFILE));
    assert_eq!(opened(&without, Some("runs")), Ok("risk risks".into()));
    assert_eq!(opened(&without, None), Ok("risk risks".into()), "it is the only one that can be used");
    let broken = Item::from([("user_profile_name".to_owned(), text("jane@example.com"))]);
    let broken = record(Some(&broken), vec![], groups());
    let denial = decide(&broken, Some("lab")).unwrap_err();
    assert_eq!(denial.reason, NO_PROFILE);
    let detail = denial.detail.unwrap();
    assert!(detail.starts_with("group risk: the subject's own item: user_profile_name: ") && !detail.contains('@'), "{detail}");
    assert_eq!(opened(&broken, Some("runs")), Ok("risk risks".into()));
}

#[test]
fn the_subjects_own_row_goes_before_any_groups() {
    let groups = || vec![group("risk", &[("lab", studio(&[("default", Value::Bool(true))]))])];
    let with = |more: &[(&str, Value)]| record(Some(&profiles(&[])), vec![own("lab", more)], groups());
    assert_eq!(opened(&with(&[]), Some("lab")), Ok("- jane-own".into()));
    for (more, reason) in [
        (("enabled", Value::Bool(false)), DISABLED),
        (("expires_at", Value::N("1".into())), EXPIRED),
        (("not_before", Value::N("1900000000".into())), NOT_YET),
        (("enable", Value::Bool(true)), MALFORMED),
    ] {
        // That is how one user is kept out, by name and without.
        assert_eq!(opened(&with(std::slice::from_ref(&more)), Some("lab")), Err(reason), "{more:?}");
        assert_eq!(opened(&with(std::slice::from_ref(&more)), None), Err(reason), "{more:?}");
    }
    for status in [text("suspended"), text("on leave"), Value::Bool(true)] {
        let closed = record(Some(&profiles(&[("status", status)])), vec![], groups());
        assert!(matches!(opened(&closed, Some("lab")), Err(SUSPENDED | SUBJECT_MALFORMED)));
        assert!(list(&closed, &Terms::in_region(Region::new("eu-central-1").unwrap()), OWN_ACCOUNT, NOW).is_err());
    }
}

#[test]
fn groups_that_say_the_same_are_one_and_others_are_not_chosen_from() {
    let of = |one: Item, other: Item| {
        record(Some(&profiles(&[])), vec![], vec![group("traders", &[("a", other)]), group("risk", &[("a", one)])])
    };
    let until = ("expires_at", Value::N("1900000000".into()));
    let marked = ("default", Value::Bool(true));
    assert_eq!(opened(&of(server("x", &[]), server("x", &[])), Some("a")), Ok("risk x".into()), "the first group's, by name");
    assert_eq!(opened(&of(server("x", &[until, marked]), server("x", &[])), Some("a")), Ok("risk x".into()));
    for other in [
        server("y", &[]),
        server("x", &[("url_seconds", Value::N("10".into()))]),
        server("x", &[("session_seconds", Value::N("3600".into()))]),
        server("x", &[("role_arn", text("arn:aws:iam::111122223333:role/other"))]),
        server("x", &[("region", text("eu-west-1"))]),
        studio(&[]),
    ] {
        let denial = decide(&of(server("x", &[]), other), Some("a")).unwrap_err();
        assert_eq!((denial.code, denial.reason, denial.detail.as_deref()), (Code::NotEntitled, AMBIGUOUS, Some("groups risk, traders")));
    }
    // Each stands for itself: what is closed in one group closes nothing of another's.
    for (closed, reason) in [
        (server("y", &[("enabled", Value::Bool(false))]), DISABLED),
        (server("y", &[("expires_at", Value::N("1".into()))]), EXPIRED),
        (server("y", &[("enable", Value::Bool(true))]), MALFORMED),
    ] {
        assert_eq!(opened(&of(closed.clone(), server("x", &[])), Some("a")), Ok("traders x".into()));
        assert_eq!(opened(&of(closed.clone(), closed), Some("a")), Err(reason));
    }
}

#[test]
fn a_refusal_names_the_group_whose_grant_refuses() {
    let detail = |grant: Item| decide(&record(None, vec![], vec![group("risk", &[("a", grant)])]), Some("a")).unwrap_err().detail;
    assert_eq!(detail(server("x", &[("enabled", Value::Bool(false))])).as_deref(), Some("group risk"));
    assert_eq!(detail(server("x", &[("account_id", text("444455556666"))])).as_deref(), Some("group risk"));
    let malformed = detail(studio(&[("user_profile_name", text("canary"))])).unwrap();
    assert_eq!(malformed, "group risk: user_profile_name: is not for a group's grant: each user's own record says it");
    let lost = (Group::new("risk").unwrap(), Item::from([("enabled".to_owned(), Value::Bool(false))]));
    let denial = decide(&record(None, vec![], vec![lost.clone()]), Some("a")).unwrap_err();
    assert_eq!(denial.reason, MALFORMED);
    assert!(denial.detail.unwrap().starts_with("group risk: enabled: "));
    assert_eq!(opened(&record(None, vec![], vec![lost.clone()]), None), Err(MALFORMED));
    assert_eq!(opened(&record(None, vec![], vec![lost, group("traders", &[("a", server("x", &[]))])]), Some("a")), Ok("traders x".into()));
}

/// What a row says of itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Says {
    /// It opens the one server or the other.
    Opens(bool),
    Disabled,
    Expired,
    Malformed,
    /// For a profile that the subject has not.
    NoProfile,
}

/// Target name to what its row says, and whether it is marked default.
type Rows = BTreeMap<&'static str, (Says, bool)>;

const NAMES: [&str; 3] = ["a", "b", "c"];
const GROUPS: [&str; 3] = ["g1", "g2", "g3"];

fn item_of((says, default): (Says, bool)) -> Item {
    let mark = ("default", Value::Bool(default));
    match says {
        Says::Opens(which) => server(if which { "x" } else { "y" }, &[mark]),
        Says::Disabled => server("x", &[mark, ("enabled", Value::Bool(false))]),
        Says::Expired => server("x", &[mark, ("expires_at", Value::N("1".into()))]),
        Says::Malformed => server("x", &[mark, ("enable", Value::Bool(true))]),
        Says::NoProfile => studio(&[mark]),
    }
}

fn reason_of(says: Says) -> Reason {
    match says {
        Says::Disabled => DISABLED,
        Says::Expired => EXPIRED,
        Says::Malformed => MALFORMED,
        Says::NoProfile => NO_PROFILE,
        Says::Opens(_) => unreachable!("it opens"),
    }
}

/// The table of `docs/grants.md`, cell by cell: what a name comes to.
fn by_the_table(own: &Rows, groups: &[Rows], name: &str) -> Result<String, Reason> {
    let server = |which: bool| if which { "x" } else { "y" };
    match own.get(name) {
        Some((Says::Opens(which), _)) => return Ok(format!("- {}", server(*which))),
        Some((says, _)) => return Err(reason_of(*says)),
        None => {}
    }
    let says: Vec<(usize, Says)> = (0..groups.len()).filter_map(|group| Some((group, groups[group].get(name)?.0))).collect();
    let of = |wanted: bool| says.iter().find(|(_, says)| *says == Says::Opens(wanted)).map(|(group, _)| GROUPS[*group]);
    match (of(true), of(false)) {
        (Some(_), Some(_)) => Err(AMBIGUOUS),
        (Some(group), None) => Ok(format!("{group} x")),
        (None, Some(group)) => Ok(format!("{group} y")),
        (None, None) => Err(says.first().map_or(NO_GRANT, |(_, says)| reason_of(*says))),
    }
}

/// Which name is meant without one, or why none is.
fn meant_by_the_table(own: &Rows, groups: &[Rows]) -> Result<&'static str, Reason> {
    let marked = |rows: &Rows, name: &str| rows.get(name).is_some_and(|(_, default)| *default);
    let in_groups = |name: &str| !own.contains_key(name) && groups.iter().any(|rows| marked(rows, name));
    for marks in [NAMES.map(|name| marked(own, name)), NAMES.map(in_groups)] {
        match marks.iter().filter(|marked| **marked).count() {
            0 => {}
            1 => return Ok(NAMES[marks.iter().position(|marked| *marked).unwrap()]),
            _ => return Err(SEVERAL_DEFAULTS),
        }
    }
    let there = |name: &&&str| own.contains_key(**name) || groups.iter().any(|rows| rows.contains_key(**name));
    let can_be_used = |name: &&&str| by_the_table(own, groups, name).map_or_else(|reason| reason == AMBIGUOUS, |_| true);
    match (NAMES.iter().filter(can_be_used).collect::<Vec<_>>().as_slice(), NAMES.iter().filter(there).collect::<Vec<_>>().as_slice()) {
        ([name], _) | ([], [name]) => Ok(name),
        ([], _) => Err(NO_GRANT),
        _ => Err(NOT_NAMED),
    }
}

fn rows(own: bool) -> impl Strategy<Value = Rows> {
    let closed = prop_oneof![Just(Says::Disabled), Just(Says::Expired), Just(Says::Malformed)];
    let lacking = if own { Just(Says::Malformed) } else { Just(Says::NoProfile) };
    let says = prop_oneof![4 => any::<bool>().prop_map(Says::Opens), 3 => closed, 1 => lacking];
    proptest::collection::btree_map(proptest::sample::select(&NAMES), (says, proptest::bool::weighted(0.25)), 0..=3)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(4000))]
    #[test]
    fn what_opens_is_what_the_document_says(own_rows in rows(true), groups in proptest::collection::vec(rows(false), 0..=3), order in any::<bool>()) {
        let mut items: Vec<_> = groups.iter().enumerate().map(|(index, rows)| {
            let targets: Vec<_> = rows.iter().map(|(name, row)| (*name, item_of(*row))).collect();
            group(GROUPS[index], &targets)
        }).collect();
        if order {
            items.reverse();
        }
        let own_items: Vec<_> = own_rows.iter().map(|(name, row)| ((*name).to_owned(), item_of(*row))).collect();
        let record = record(None, own_items.clone(), items);
        for name in NAMES {
            let expected = by_the_table(&own_rows, &groups, name);
            prop_assert_eq!(opened(&record, Some(name)), expected.clone(), "{}", name);
            // With the one row that is read for a name, it is the same.
            let narrow = own_items.iter().filter(|(own, _)| own == name).cloned();
            let mut narrow = SubjectRecord::new(None, narrow);
            narrow.of_groups.clone_from(&record.of_groups);
            prop_assert_eq!(opened(&narrow, Some(name)), expected, "{}", name);
        }
        let meant = meant_by_the_table(&own_rows, &groups);
        prop_assert_eq!(opened(&record, None), meant.and_then(|name| by_the_table(&own_rows, &groups, name)));

        // The list says of each target whether it opens, and which opens without a name.
        let views = list(&record, &Terms::in_region(Region::new("eu-central-1").unwrap()), OWN_ACCOUNT, NOW).unwrap();
        let listed: BTreeSet<_> = views.iter().map(|view| view.name.as_str()).collect();
        prop_assert_eq!(listed.len(), views.len(), "each once");
        for name in NAMES {
            let view = views.iter().find(|view| view.name.as_str() == name);
            let opens = opened(&record, Some(name)).is_ok();
            prop_assert_eq!(view.is_some_and(|view| view.enabled), opens);
            prop_assert_eq!(view.is_some_and(|view| view.default), view.is_some() && meant == Ok(name));
        }
    }

    /// Whoever is in no group has what he had.
    #[test]
    fn without_groups_nothing_is_another(own_rows in rows(true)) {
        let items: Vec<_> = own_rows.iter().map(|(name, row)| ((*name).to_owned(), item_of(*row))).collect();
        let (plain, with) = (SubjectRecord::new(None, items.clone()), record(None, items, vec![]));
        for name in [None, Some("a"), Some("b"), Some("c")] {
            prop_assert_eq!(opened(&plain, name), opened(&with, name));
        }
    }
}
