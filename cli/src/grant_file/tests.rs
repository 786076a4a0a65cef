use latchkey_domain::item::Value;
use proptest::prelude::*;

use super::*;

fn read(format: Format, text: &[u8]) -> Vec<(u64, Result<Record, String>)> {
    let entries = entries(format, text).map(|entry| entry.unwrap());
    let record = |item: Result<Item, String>| item.and_then(|item| Record::from_item(item).map_err(|defect| defect.to_string()));
    entries.map(|entry| (entry.line, record(entry.item))).collect()
}

fn write(format: Format, records: &[Record]) -> Vec<u8> {
    let mut text = Vec::new();
    let mut writer = Writer::new(format, &mut text).unwrap();
    records.iter().for_each(|record| writer.write(record).unwrap());
    writer.finish().unwrap();
    text
}

#[track_caller]
fn problems(format: Format, text: &str) -> Vec<(u64, String)> {
    read(format, text.as_bytes()).into_iter().filter_map(|(line, record)| Some((line, record.err()?))).collect()
}

/// One problem, on that line, in these words.
#[track_caller]
fn assert_problem(format: Format, text: &str, line: u64, problem: &str) {
    let problems = problems(format, text);
    assert!(problems.len() == 1 && problems[0].0 == line && problems[0].1.contains(problem), "{text:?}: {problems:?}");
    assert!(!problems[0].1.contains("canary"), "{problems:?}");
}

const HEADER: &str = "issuer,subject,target,kind,domain_id,user_profile_name";

#[test]
fn a_spreadsheets_csv_is_read() {
    let text = format!(
        "\u{feff}{HEADER},enabled,expires_at,landings,x_ticket,own_attributes\r\nokta,00u1,research,studio,d-abc,jane,FALSE,1900000000,\
         \"{{\"\"lab\"\":{{\"\"landing_uri\"\":\"\"studio::\"\"}}}}\",CHG-1,\"{{\"\"x_n\"\":1}}\"\r\n\r\nokta,00u1,,,,,,,,,\r\n"
    );
    let rows = read(Format::Csv, text.as_bytes());
    assert_eq!((rows[0].0, rows.len()), (2, 2));
    let Record::Grant(_, row) = rows[0].1.as_ref().unwrap() else { panic!("{rows:?}") };
    assert!(!row.grant.enabled && row.grant.landings.len() == 1 && row.grant.expires_at.is_some());
    let own = Item::from([("x_n".to_owned(), Value::N("1".into())), ("x_ticket".to_owned(), Value::S("CHG-1".into()))]);
    assert_eq!(row.own, own);
    assert_eq!(rows[1].1.as_ref().unwrap().target(), None, "without a target it is the subject's own");
    // A file of groups alone need not say that it has no subjects.
    let rows = read(Format::Csv, b"issuer,group,target,kind,domain_id\nokta,data-scientists,research,studio,d-abc\n");
    let Record::OfGroup(whose, row) = rows[0].1.as_ref().unwrap() else { panic!("{rows:?}") };
    assert_eq!((whose.group.as_str(), row.grant.opens()), ("data-scientists", "studio d-abc".to_owned()));
}

#[test]
fn what_is_wrong_with_a_line_of_csv_is_said_without_its_values() {
    let row = "okta,00u1,research,studio,d-abc,jane";
    for (text, line, problem) in [
        (format!("{HEADER},enabled\n{row},canary\n"), 2, "enabled: is true or false"),
        (format!("{HEADER},expires_at\n{row},canary\n"), 2, "expires_at: is a whole number"),
        (format!("{HEADER},landings\n{row},canary\n"), 2, "landings: is not a JSON object"),
        (format!("{HEADER},own_attributes\n{row},\"{{\"\"canary\"\":1}}\"\n"), 2, "own_attributes: has a name that does not begin with x_"),
        (format!("{HEADER},x_a,own_attributes\n{row},1,\"{{\"\"x_a\"\":1}}\"\n"), 2, "own_attributes: has a name that is a column, too"),
        (format!("{HEADER},account_id\n{row},1.11122E+11\n"), 2, "account_id: 12 digits"),
        (format!("{HEADER}\n{row}\n{row},canary\n"), 3, "has 7 cells, and the first line names 6 columns"),
        (format!("{HEADER}\n\"okta\",\"a\nb\",r,studio,d-abc,jane\n"), 2, "subject: a subject has no control characters"),
        (format!("{HEADER},note\n{row},\"two\nlines\"\nokta,,research,studio,d-abc,canary,\n"), 4, "subject: is missing"),
        (format!("{HEADER},status\nokta,00u1,,,,,canary\n"), 2, "status: is active or suspended"),
        (format!("{HEADER}\nokta,00u1,,studio,d-abc,jane\n"), 2, "target: is missing"),
        (format!("{HEADER},note\r\n\r\n{row},\"a\r\nb\"\r\n\r\nokta,canary\r\n"), 6, "has 2 cells"),
        (format!("{HEADER},note\n{row},ca\"nary\n{row},\"x\"\n"), 2, "has a quote within a cell"),
        (format!("{HEADER},note\n{row},ca\"nary"), 2, "has a quote within a cell"),
        // What follows it would stand in its cell, and nobody would have imported it.
        (format!("{HEADER},note\n{row},\"canary\n{row},a\n{row},b\n"), 2, "a quote is opened and not closed"),
        (format!("{HEADER},note\r\n\r\n{row},\"canary"), 3, "a quote is opened and not closed"),
        (format!("{HEADER},note,x_a\n{row},\"ca\nna\"\"ry\",\"z\n"), 3, "a quote is opened and not closed"),
        (format!("{HEADER},\"note\n{row},canary\n"), 1, "a quote is opened and not closed"),
        (format!("{HEADER},enable\n{row},true\n"), 1, "the column enable is not known"),
        (format!("{HEADER},kind\n"), 1, "the column kind is there twice"),
        ("issuer;subject;target\n".to_owned(), 1, "separated by commas"),
        ("issuer,kind\n".to_owned(), 1, "there is no column subject or group"),
        ("subject,kind\n".to_owned(), 1, "there is no column issuer"),
        (format!("{HEADER},group\n{row},canary\n"), 2, "group: is there, and so is subject"),
        (format!("{HEADER},group\nokta,,research,studio,d-abc,jane,canary\n"), 2, "user_profile_name: is not for a group's grant"),
        (format!("{HEADER},group\nokta,,,,,,canary\n"), 2, "target: is missing (a group has grants"),
        (format!("{HEADER},group\nokta,,research,studio,d-abc,,\"a\nb\"\n"), 2, "group: a group has no control characters"),
    ] {
        assert_problem(Format::Csv, &text, line, problem);
    }
    let mut not_utf8 = format!("{HEADER}\nokta,").into_bytes();
    not_utf8.extend(b"\xff,r,studio,d-abc,jane\n");
    assert_eq!(read(Format::Csv, &not_utf8), [(2, Err("subject: is not UTF-8".to_owned()))]);
}

#[test]
fn what_a_spreadsheet_would_run_is_written_as_text_and_read_back_as_it_was() {
    for (subject, written) in
        [("=1+1", "'=1+1"), ("-2", "'-2"), ("@x", "'@x"), ("'=1", "''=1"), ("''+", "'''+"), ("'quoted'", "'quoted'"), ("a=b", "a=b")]
    {
        let item = Item::from([("issuer", "okta"), ("subject", subject)].map(|(name, text)| (name.to_owned(), Value::S(text.to_owned()))));
        let record = Record::from_item(item).unwrap();
        let text = String::from_utf8(write(Format::Csv, std::slice::from_ref(&record))).unwrap();
        let line = text.lines().nth(1).unwrap();
        assert!(line.starts_with(&format!("okta,{written},")), "{line}");
        assert_eq!(read(Format::Csv, text.as_bytes()), [(2, Ok(record))]);
    }
}

#[test]
fn what_is_wrong_with_a_line_of_json_is_said_without_its_values() {
    let row = r#"{"issuer":"okta","subject":"00u1","target":"r","kind":"studio","domain_id":"d-abc","user_profile_name":"jane""#;
    for (text, line, problem) in [
        (format!("{row}}}\n\n{row},\"x_n\":1.5}}"), 3, "column 119: has a member twice, or null, or a number"),
        (format!("{row},\"kind\":\"canary\"}}"), 1, "has a member twice"),
        (format!("{row},\"x_n\":18446744073709551615}}"), 1, "x_n: is neither text, a whole number of 64 bits"),
        (format!("{row},\"enabled\":\"canary\"}}"), 1, "enabled: is a truth value"),
        (format!("{row},\"enable\":false}}"), 1, "enable: is not an attribute"),
        (format!("{row},\"pk\":\"canary\"}}"), 1, "pk: comes from"),
        (row.to_owned(), 1, "is not JSON"),
        ("\"canary\"".to_owned(), 1, "is not a JSON object"),
        (r#"{"issuer":"Canary","subject":"x"}"#.to_owned(), 1, "issuer: an issuer id is"),
        (r#"{"issuer":"okta","subject":5}"#.to_owned(), 1, "subject: is text"),
        (r#"{"issuer":"okta","subject":"x","target":"no canary"}"#.to_owned(), 1, "target: 1 to 64"),
        (r#"{"issuer":"okta","subject":"x","statu":"canary"}"#.to_owned(), 1, "statu: is not an attribute of a subject"),
    ] {
        assert_problem(Format::Jsonl, &text, line, problem);
    }
    let long = format!("\"{}\"\n", "x".repeat(1024 * 1024));
    assert_problem(Format::Jsonl, &long, 1, "is longer than 1 MiB");
}

#[test]
fn yaml_is_read_strictly() {
    let text = "# who may open what\n- issuer: okta\n  subject: '007'\n  target: r\n  kind: studio\n  domain_id: d-abc\n  \
                user_profile_name: jane\n  enabled: false\n  landings:\n    lab: {landing_uri: 'studio::'}\n  x_list: [1, two, {a: true}]\n\
                - issuer: okta\n  subject: \"x\"\n  status: suspended\n  note: >-\n    left\n    the bank\n";
    let rows = read(Format::Yaml, text.as_bytes());
    assert_eq!(rows.iter().map(|row| row.0).collect::<Vec<_>>(), [2, 12]);
    let Record::Grant(_, row) = rows[0].1.as_ref().unwrap() else { panic!("{rows:?}") };
    assert!(!row.grant.enabled && row.grant.landings.len() == 1);
    assert_eq!(serde_json::json!(row.own).to_string(), r#"{"x_list":[1,"two",{"a":true}]}"#);
    let Record::Subject(_, row) = rows[1].1.as_ref().unwrap_or_else(|error| panic!("{error}")) else { panic!("{rows:?}") };
    assert!(row.suspended == Some(true) && row.note.as_deref() == Some("left the bank"));

    let row = "- {issuer: okta, subject: x, target: r, kind: studio, domain_id: d-abc, user_profile_name: jane";
    for (text, line, problem) in [
        (format!("{row}}}\n{row}, enabled: no}}\n"), 2, "enabled: is a truth value"),
        (format!("{row}, account_id: 111122223333}}\n"), 1, "account_id: is a string"),
        (format!("{row}, x_n: 1.5}}\n"), 1, "x_n: is a number that is not a whole"),
        (format!("{row}, x_n: 0x1f}}\n"), 1, "x_n: is a number that is not a whole"),
        (format!("{row}, x_n: ~}}\n"), 1, "x_n: has no value"),
        (format!("{row}, x_n: }}\n"), 1, "x_n: has no value"),
        (format!("{row}, kind: canary}}\n"), 1, "kind: stands there twice"),
        (format!("{row}, x_n: !canary 5}}\n"), 1, "x_n: has a tag"),
        (format!("{row}, x_n: &canary 5, x_m: *canary}}\n"), 1, "x_m: is an alias"),
        (format!("{row}, [canary]: 5}}\n"), 1, "has a name that is not text"),
        (format!("{row}}}\n- canary\n"), 2, "is not a map"),
        (format!("{row}}}\n- - canary\n"), 2, "is not a map"),
        (format!("{row}}}\n- {{canary\n"), 3, "is not YAML; nothing after it was read"),
        (format!("{row}, x_n: {}canary{}}}\n", "[".repeat(40), "]".repeat(40)), 1, "is nested more than 32 deep"),
    ] {
        assert_problem(Format::Yaml, &text, line, problem);
    }
    for empty in ["", "---\n", "# nothing\n", "[]\n"] {
        assert_eq!(read(Format::Yaml, empty.as_bytes()), [], "{empty:?}");
    }
    assert!(entries(Format::Yaml, &b"- {a: \0}"[..]).any(|entry| entry.is_err()), "what is cut off is not the end");
    assert!(entries(Format::Yaml, &b"- {a: \xff}"[..]).any(|entry| entry.is_err()));
}

#[test]
fn a_files_name_says_its_format() {
    for (name, format) in [
        ("a.csv", Some(Format::Csv)),
        ("a.b.JSONL", Some(Format::Jsonl)),
        ("a.ndjson", Some(Format::Jsonl)),
        ("a.yml", Some(Format::Yaml)),
        ("a.json", None),
        ("csv", None),
        ("-", None),
    ] {
        assert_eq!(Format::of(Path::new(name)), format, "{name}");
    }
}

fn any_text() -> impl Strategy<Value = String> {
    // What one of the formats has a meaning for, and anything else.
    prop_oneof![
        "[\\PC]{0,12}",
        "[ '\"=+@\\-#:,;|>\\[\\]{}&*!%\\\\\t\r\n]{0,6}",
        "(true|no|null|~|-?[0-9]{1,4}|0x1f|1\\.5|\\.inf|\u{85}|\u{2028}|\u{feff}|\u{0}|\u{7f}|---|\\.\\.\\.)",
        any::<String>(),
    ]
}

fn any_own() -> impl Strategy<Value = Item> {
    let leaf = prop_oneof![
        any_text().prop_map(Value::S),
        any::<i64>().prop_map(|number| Value::N(number.to_string())),
        any::<bool>().prop_map(Value::Bool),
    ];
    let value = leaf.prop_recursive(3, 12, 3, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..3).prop_map(Value::L),
            prop::collection::btree_map(any_text(), inner, 0..3).prop_map(Value::M),
        ]
    });
    prop::collection::btree_map(any_text().prop_map(|name| format!("x_{name}")), value, 0..3)
}

fn any_record() -> impl Strategy<Value = Record> {
    let subject = any_text().prop_map(|text| text.chars().filter(|c| !c.is_control()).collect::<String>() + "x");
    let kind = prop_oneof![
        ("[a-z]{1,5}", "[a-z]{1,5}").prop_map(|(domain, profile)| {
            vec![("kind", "studio".to_owned()), ("domain_id", format!("d-{domain}")), ("user_profile_name", profile)]
        }),
        "[a-z]{1,5}".prop_map(|name| vec![("kind", "notebook".to_owned()), ("notebook_instance_name", name)]),
        "[a-z]{1,5}".prop_map(|name| vec![("kind", "mlflow-server".to_owned()), ("tracking_server_name", name)]),
        Just(vec![
            ("kind", "partner-app".to_owned()),
            ("arn", "arn:aws:sagemaker:eu-west-1:111122223333:partner-app/app-ABCDEFGHIJ12".to_owned())
        ]),
    ];
    let terms = (
        any::<(bool, bool, bool)>(),
        prop::option::of(0i64..2_000_000_000),
        prop::option::of(5u32..=300),
        prop::option::of("[+=@.a-z]{2,6}"),
        prop::collection::btree_map("[a-z0-9]{1,4}", prop::option::of("studio::[a-z]{0,4}"), 0..3),
        any::<bool>(),
    );
    let target = prop_oneof![3 => "[A-Za-z0-9][A-Za-z0-9._-]{0,8}".prop_map(Some), 1 => Just(None)];
    ("[a-z0-9-]{1,5}", subject, target, kind, terms, prop::option::of(any_text()), any_own()).prop_map(
        |(issuer, subject, target, kind, (flags, not_before, url_seconds, external_id, landings, provision), note, own)| {
            let text = |text: &str| Value::S(text.to_owned());
            let mut item = own;
            let mut put = |name: &str, value: Value| item.insert(name.to_owned(), value);
            put("issuer", text(&issuer));
            // A group has no record of its own, and nothing that is one person's.
            let is_group = flags.2 && target.is_some() && kind[0].1 != "notebook";
            put(if is_group { "group" } else { "subject" }, text(&subject));
            if let Some(note) = note {
                put("note", Value::S(note));
            }
            let Some(target) = target else {
                put("status", text(if flags.0 { "active" } else { "suspended" }));
                return Record::from_item(item).unwrap();
            };
            put("target", Value::S(target));
            let is_studio = kind[0].1 == "studio";
            for (name, value) in kind {
                if !is_group || name != "user_profile_name" {
                    put(name, Value::S(value));
                }
            }
            put("enabled", Value::Bool(flags.0));
            put("default", Value::Bool(flags.1));
            if let Some(number) = not_before {
                put("not_before", Value::N(number.to_string()));
                put("expires_at", Value::N((number + 1).to_string()));
            }
            if let Some(number) = url_seconds {
                put("url_seconds", Value::N(number.to_string()));
            }
            if let Some(id) = external_id {
                put("external_id", Value::S(id));
            }
            if is_studio && let Some((first, _)) = landings.first_key_value() {
                put("landing", text(first));
                let landings = landings
                    .iter()
                    .map(|(name, uri)| (name.clone(), Value::M(uri.iter().map(|uri| ("landing_uri".to_owned(), text(uri))).collect())));
                put("landings", Value::M(landings.collect()));
            }
            if is_studio && provision {
                let tags = Value::M(Item::from([("cost centre".to_owned(), text("=42"))]));
                let plan = [
                    ("execution_role_arn".to_owned(), text("arn:aws:iam::111122223333:role/studio")),
                    ("security_group_ids".to_owned(), Value::L(vec![text("sg-0123456789abcdef0")])),
                    ("tags".to_owned(), tags),
                ];
                put("provision", Value::M(Item::from(plan)));
            }
            Record::from_item(item).unwrap()
        },
    )
}

proptest! {
    #[test]
    fn what_is_written_reads_back_equal(records in prop::collection::vec(any_record(), 0..5)) {
        for format in [Format::Csv, Format::Jsonl, Format::Yaml] {
            let text = write(format, &records);
            let read: Vec<_> = read(format, &text).into_iter().map(|(_, record)| record).collect();
            let expected: Vec<_> = records.iter().cloned().map(Ok).collect();
            prop_assert_eq!(&read, &expected, "{:?}\n{}", format, String::from_utf8_lossy(&text));
            prop_assert_eq!(write(format, &records), text);
        }
    }

    #[test]
    fn no_file_makes_it_panic(bytes: Vec<u8>, text in any_text()) {
        for format in [Format::Csv, Format::Jsonl, Format::Yaml] {
            for file in [&bytes[..], text.as_bytes(), &[b"- {a: ", text.as_bytes(), b"}"].concat(), &[b"issuer,subject\n", &bytes[..]].concat()] {
                let _ = entries(format, file).take(1000).count();
            }
        }
    }
}
