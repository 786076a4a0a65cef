//! The documents are true: what they say of the code is what the code says.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use futures_util::FutureExt as _;
use latchkey_api::response::ProxyResponse;
use latchkey_api::route::Route;
use latchkey_api::service::{AllowedEndpoints, Invocation, Service};
use latchkey_api::{bearer, body, problem, route, service};
use latchkey_domain::audit::{ALLOWED, AuditRecord};
use latchkey_domain::broker::{self, Broker, KnownProfiles, Rules};
use latchkey_domain::clock::Timestamp;
use latchkey_domain::decision::{Code, Denial, Reason};
use latchkey_domain::entitlement::{self, Terms};
use latchkey_domain::fakes::{self, KnownTokens, ManualClock, MemorySink, MemoryTable, ScriptedIssuer};
use latchkey_domain::grant::{SESSION_SECONDS, URL_SECONDS};
use latchkey_domain::identity::IssuerId;
use latchkey_domain::item::{Item, Value as Attribute};
use latchkey_domain::names::{Region, RoleArn};
use latchkey_domain::ports::{AuthenticationError, RateLimit, Unavailable};
use latchkey_domain::posture::PostureGate;
use latchkey_domain::presigned_url::{HostRule, PresignedUrl};
use latchkey_domain::target::Kind;
use latchkey_oidc::preset::Preset;
use latchkey_oidc::refusal::{KeyFailure, TokenRefusal};
use latchkey_tests::tools::root;
use serde_json::{Map, Value, json};
use yaml_rust2::{Yaml, YamlLoader};

fn read(path: &str) -> String {
    std::fs::read_to_string(root().join(path)).unwrap_or_else(|error| panic!("{path}: {error}"))
}

/// What stands in one and not in the other, both ways.
#[track_caller]
fn assert_same(what: &str, documented: &BTreeSet<String>, real: &BTreeSet<String>) {
    let missing: Vec<_> = real.difference(documented).collect();
    let invented: Vec<_> = documented.difference(real).collect();
    assert!(missing.is_empty() && invented.is_empty(), "{what}: not documented {missing:?}, not in the code {invented:?}");
}

// --- docs/audit.md, docs/configuration.md ----------------------------------------------------------------------------------

/// Every reason that an audit record can have.
fn reasons() -> BTreeSet<String> {
    let of_modules = [
        broker::REASONS,
        entitlement::REASONS,
        bearer::REASONS,
        body::REASONS,
        route::REASONS,
        service::REASONS,
        latchkey_aws::grant_store::REASONS,
        latchkey_aws::role_session::REASONS,
        latchkey_aws::sagemaker::REASONS,
    ];
    let mut reasons: Vec<&str> = of_modules.into_iter().flatten().map(|reason| reason.0).collect();
    reasons.extend(TokenRefusal::ALL.iter().map(|refusal| refusal.as_str()));
    reasons.extend(KeyFailure::REASONS);
    let set: BTreeSet<String> = reasons.iter().map(|&reason| reason.to_owned()).collect();
    assert_eq!(set.len(), reasons.len(), "two reasons share a name");
    set
}

/// The part of a document under a heading, up to the next one of the same depth.
fn section<'a>(document: &'a str, heading: &str) -> &'a str {
    let (_, rest) = document.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    let depth = heading.bytes().take_while(|&b| b == b'#').count();
    let next = format!("\n{} ", "#".repeat(depth));
    rest.split_once(&next).map_or(rest, |(section, _)| section)
}

/// The rows of all tables in a text, each as its cells; without heads and rulers.
fn rows(text: &str) -> Vec<Vec<String>> {
    let lines: Vec<&str> = text.lines().collect();
    let is_ruler = |line: &str| line.starts_with("| -");
    let is_row = |index: &usize| {
        lines[*index].starts_with("| ") && !is_ruler(lines[*index]) && !lines.get(index + 1).is_some_and(|next| is_ruler(next))
    };
    (0..lines.len())
        .filter(is_row)
        .map(|index| lines[index].trim_matches('|').split(" | ").map(|cell| cell.trim().to_owned()).collect())
        .collect()
}

/// What a cell names in backticks, where that is all of it.
fn name(cell: &str) -> Option<&str> {
    cell.strip_prefix('`')?.strip_suffix('`').filter(|name| !name.contains('`'))
}

#[test]
fn every_reason_is_documented_and_every_documented_reason_exists() {
    let document = read("docs/audit.md");
    let rows = rows(section(&document, "## Reasons"));
    let documented: Vec<String> = rows.iter().map(|row| name(&row[0]).expect("a reason in backticks").to_owned()).collect();
    let set: BTreeSet<String> = documented.iter().cloned().collect();
    assert_eq!(set.len(), documented.len(), "a reason has two rows");
    assert_same("docs/audit.md", &set, &reasons());
    for row in &rows {
        assert!(row.len() == 4 && row.iter().all(|cell| !cell.is_empty()), "{row:?}");
        let code = name(&row[1]).expect("a code in backticks");
        assert!(Code::ALL.iter().any(|known| known.as_str() == code), "{}: there is no code {code}", row[0]);
    }
}

/// A reason that is in no module's list would be in no document either.
#[test]
fn no_reason_is_made_outside_the_lists() {
    let reasons = reasons();
    for folder in ["shared/domain/src", "shared/api/src", "shared/oidc/src", "shared/aws/src", "functions/broker/src"] {
        for file in files(&root().join(folder)) {
            // Those of the fakes are in no record but a test's.
            if file.ends_with("fakes.rs") || file.ends_with("tests.rs") || file.extension().is_none_or(|e| e != "rs") {
                continue;
            }
            let text = std::fs::read_to_string(&file).unwrap();
            let code = text.split("#[cfg(test)]").next().unwrap_or_default();
            for made in code.split("Reason(\"").skip(1) {
                let made = made.split('"').next().unwrap_or_default();
                assert!(reasons.contains(made), "{}: {made}", file.display());
            }
        }
    }
}

#[test]
fn every_variable_is_documented_and_every_documented_variable_exists() {
    let document = read("docs/configuration.md");
    let in_table = |heading: &str, prefix: &str| -> BTreeSet<String> {
        let rows = rows(section(&document, heading));
        rows.iter().filter_map(|row| name(&row[0])).filter(|name| name.starts_with(prefix)).map(ToOwned::to_owned).collect()
    };
    let variables = ::broker::config::VARIABLES.iter().map(|&variable| variable.to_owned()).collect();
    assert_same("the table of variables", &in_table("## Variables", "LATCHKEY_"), &variables);

    // No variable is named anywhere that does not exist. The tests have some of their own, and the command line has one.
    let mut known: BTreeSet<String> = variables.clone();
    known.insert("LATCHKEY_AUDIT_LOG".to_owned());
    known.extend(["LATCHKEY_TOOLS", "LATCHKEY_BOOTSTRAP", "LATCHKEY_REFRESHER", "LATCHKEY_SKIPS"].map(ToOwned::to_owned));
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        for rest in text.split("LATCHKEY_").skip(1) {
            let end = rest.find(|c: char| !c.is_ascii_uppercase() && c != '_').unwrap_or(rest.len());
            let variable = format!("LATCHKEY_{}", &rest[..end]);
            // The prefix alone, as in "a variable that begins with".
            let is_prefix = variable == "LATCHKEY_";
            assert!(is_prefix || known.contains(&variable), "{}: {variable}", document.display());
        }
    }
}

#[test]
fn every_member_of_an_issuer_is_documented_with_its_default() {
    let document = read("docs/configuration.md");
    let rows = rows(section(&document, "## An issuer"));
    let is_member = |name: &&str| name.bytes().all(|b| b.is_ascii_lowercase() || b == b'_');
    let documented: Vec<&str> = rows.iter().filter_map(|row| name(&row[0])).filter(is_member).collect();
    let members = [
        "id",
        "issuer",
        "audiences",
        "preset",
        "algorithms",
        "jwks",
        "audience_claim",
        "subject_claim",
        "groups_claim",
        "groups_prefix",
        "token_types",
        "required_claims",
        "leeway_seconds",
        "max_lifetime_seconds",
    ];
    assert_eq!(documented, members);
    // That these are the members is what the parser says: each is known to it, and nothing else is.
    let fault = |member: &str| {
        let issuers = json!([{ member: null, "id": "a", "issuer": "https://idp.example", "audiences": ["b"] }]);
        latchkey_oidc::config::parse_issuers(&issuers.to_string()).err().map(|error| error.to_string()).unwrap_or_default()
    };
    assert!(fault("x").contains("has no member"));
    for member in members {
        assert!(!fault(member).contains("has no member"), "{member}");
    }
}

/// The presets as they are written out by hand in the document do exactly what they do by name.
#[test]
fn presets_are_written_out_as_they_are() {
    let document = read("docs/configuration.md");
    let written = code_blocks(section(&document, "## Presets"), "json");
    assert_eq!(written.len(), Preset::ALL.len());
    for (preset, text) in Preset::ALL.into_iter().zip(written) {
        let by_hand: Value = serde_json::from_str(text).unwrap_or_else(|error| panic!("{preset}: {error}"));
        assert!(by_hand.get("preset").is_none(), "{preset} is to be written out");
        let mut by_name = json!({ "preset": preset.as_str() });
        for given in ["id", "issuer", "audiences"] {
            by_name[given] = by_hand[given].clone();
        }
        let parse = |issuer: &Value| latchkey_oidc::config::parse_issuers(&json!([issuer]).to_string()).unwrap().remove(0);
        let (mut by_name, by_hand) = (parse(&by_name), parse(&by_hand));
        assert_eq!(by_name.preset.take(), Some(preset));
        assert_eq!(format!("{by_name:?}"), format!("{by_hand:?}"), "{preset}");
    }
}

#[test]
fn the_examples_of_issuers_are_taken() {
    let document = read("docs/configuration.md");
    let examples = code_blocks(section(&document, "## Examples"), "json");
    assert!(!examples.is_empty());
    for example in examples {
        if let Err(error) = latchkey_oidc::config::parse_issuers(example) {
            panic!("{error}: {example}");
        }
    }
}

/// The broker stops with the very lines that the document shows.
#[test]
fn the_lines_that_stop_the_start_are_as_shown() {
    let document = read("docs/configuration.md");
    let rows = rows(section(&document, "## What stops the start"));
    assert!(rows.len() > 20);
    let mut shown = BTreeSet::new();
    for row in rows {
        let (variable, value) = name(&row[0]).and_then(|set| set.split_once('=')).expect("a variable and its value");
        shown.insert(variable.to_owned());
        let good = [
            ("LATCHKEY_ISSUERS", r#"[{"id":"a","issuer":"https://idp.example","audiences":["b"]}]"#),
            ("LATCHKEY_TABLE", "latchkey"),
            ("LATCHKEY_VPC_ENDPOINT_IDS", "vpce-0a"),
            ("AWS_REGION", "eu-central-1"),
            ("AWS_ACCESS_KEY_ID", "AKIDEXAMPLE"),
            ("AWS_SECRET_ACCESS_KEY", "secret"),
        ];
        let variables: BTreeMap<&str, &str> = good.into_iter().chain([(variable, value)]).collect();
        let get = |name: &str| variables.get(name).map(|&value| value.to_owned());
        let start = || -> Result<(), ::broker::config::ConfigError> {
            let config = ::broker::config::Config::from_environment(get)?;
            let environment = latchkey_aws::environment::Environment::read(get)?;
            ::broker::service::build(config, &environment, ManualClock::at(NOW), MemorySink::default()).map(drop)
        };
        let line = start().err().map(|error| error.to_string()).unwrap_or_default();
        assert_eq!(name(&row[1]), Some(line.as_str()), "{variable}={value}");
    }
    for variable in ::broker::config::VARIABLES {
        assert!(shown.contains(variable), "{variable}");
    }
}

/// The fenced blocks of a language.
fn code_blocks<'a>(text: &'a str, language: &str) -> Vec<&'a str> {
    text.split(&format!("\n```{language}\n")).skip(1).filter_map(|rest| rest.split_once("\n```").map(|(block, _)| block)).collect()
}

// --- The service over ports in memory ---------------------------------------------------------------------------------------

const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

type Fake = Service<KnownTokens, MemoryTable, ScriptedIssuer, ManualClock, MemorySink>;

/// The service, and what it runs on.
struct Scene {
    service: Fake,
    tokens: KnownTokens,
    table: MemoryTable,
    issuer: ScriptedIssuer,
    sink: MemorySink,
    /// Each answer, by the operation that it was asked of.
    answers: Vec<(Option<Route>, ProxyResponse)>,
}

impl Scene {
    fn new() -> Self {
        let (tokens, table, issuer, clock, sink) =
            (KnownTokens::default(), MemoryTable::default(), ScriptedIssuer::default(), ManualClock::at(NOW), MemorySink::default());
        tokens.insert("alice", Ok(fakes::principal("okta", "alice", Some("token-1"), NOW.plus_seconds(300)).unwrap()));
        let landing = Item::from([("landing_uri".to_owned(), Attribute::S("app:JupyterLab:lab".to_owned()))]);
        let grant = Item::from([
            ("kind".to_owned(), Attribute::S("studio".to_owned())),
            ("domain_id".to_owned(), Attribute::S("d-abc".to_owned())),
            ("user_profile_name".to_owned(), Attribute::S("alice".to_owned())),
            ("landings".to_owned(), Attribute::M(Item::from([("lab".to_owned(), Attribute::M(landing))]))),
        ]);
        table.put("SUBJECT#okta#alice", "TARGET#research", grant);
        let terms = Terms {
            role_arn: Some(RoleArn::new("arn:aws:iam::111122223333:role/issuing").unwrap()),
            ..Terms::in_region(Region::new("eu-central-1").unwrap())
        };
        let rules = Rules { terms, rate_limit: None, replay_guard: false };
        let broker = Broker {
            authenticator: tokens.clone(),
            store: table.clone(),
            issuer: issuer.clone(),
            clock,
            rules,
            posture: PostureGate::default(),
            profiles: KnownProfiles::default(),
        };
        let service = Service { broker, sink: sink.clone(), endpoints: AllowedEndpoints::These(vec!["vpce-0a".into()]) };
        Self { service, tokens, table, issuer, sink, answers: Vec::new() }
    }

    /// Asks for an operation with alice's token, in an event whose members `patch` replaces.
    fn ask(&mut self, route: Route, patch: Value) -> u16 {
        let event = json!({
            "resource": route.path(), "path": route.path(), "httpMethod": route.method(),
            "headers": {"Authorization": "Bearer alice"},
            "requestContext": {"requestId": "request-1", "accountId": "111122223333", "identity": {"vpceId": "vpce-0a", "sourceIp": "10.0.0.7"}},
        });
        let Value::Object(mut event) = event else { unreachable!() };
        event.extend(patch.as_object().cloned().unwrap_or_default());
        self.send(Some(route), &Value::Object(event).to_string(), Duration::from_secs(5))
    }

    fn send(&mut self, route: Option<Route>, event: &str, budget: Duration) -> u16 {
        let invocation = Invocation { event: event.as_bytes(), id: "invocation-1", account_id: None, budget };
        let answer = self.service.handle(invocation, std::future::pending()).now_or_never().expect("nothing in memory waits");
        let status = answer.status();
        self.answers.push((route, answer));
        status
    }
}

fn with_token(token: &str) -> Value {
    json!({"headers": {"Authorization": format!("Bearer {token}")}})
}

/// Everything that can happen, once.
fn everything() -> Scene {
    let mut scene = Scene::new();
    scene.tokens.insert(
        "no-keys",
        Err(AuthenticationError::Unavailable { reason: Reason("keys.fetch-timeout"), issuer: IssuerId::new("okta").unwrap() }),
    );
    let mint = Route::Mint;
    assert_eq!(scene.ask(mint, json!({})), 200);
    assert_eq!(scene.ask(mint, json!({"body": r#"{"target":"research","landing":"lab"}"#})), 200);
    assert_eq!(scene.ask(mint, json!({"headers": {"Authorization": "Bearer alice", "Accept": "text/html"}})), 303);
    assert_eq!(scene.ask(mint, json!({"body": "{"})), 400);
    assert_eq!(scene.ask(mint, json!({"headers": {"Authorization": "Bearer alice", "Content-Type": "text/plain"}, "body": "{}"})), 415);
    assert_eq!(scene.ask(mint, json!({"body": " ".repeat(body::MAX_BODY_BYTES + 1)})), 413);
    assert_eq!(scene.ask(mint, json!({"body": r#"{"target":"other"}"#})), 403);
    scene.service.broker.rules.rate_limit = Some(RateLimit { urls: 1, seconds: 60 });
    assert_eq!(scene.ask(mint, json!({})), 200);
    assert_eq!(scene.ask(mint, json!({})), 429);
    scene.service.broker.rules.rate_limit = None;
    scene.service.broker.rules.replay_guard = true;
    assert_eq!(scene.ask(mint, json!({})), 200);
    assert_eq!(scene.ask(mint, json!({})), 401);
    scene.service.broker.rules.replay_guard = false;
    scene.issuer.refuse_session(Some(Denial::unavailable(Reason("sts.timeout")).with_aws_request_id(Some("sts-1".into()))));
    assert_eq!(scene.ask(mint, json!({})), 503);
    scene.issuer.refuse_session(None);
    scene.issuer.refuse_presign(Some(
        Denial::new(Code::TargetNotReady, Reason("sagemaker.not-found")).with_state("NotFound").with_detail("ResourceNotFound"),
    ));
    assert_eq!(scene.ask(mint, json!({})), 409);
    scene.issuer.refuse_presign(Some(Denial::new(Code::TargetNotCompliant, Reason("sagemaker.refused"))));
    assert_eq!(scene.ask(mint, json!({})), 403);
    scene.issuer.refuse_presign(None);

    assert_eq!(scene.ask(Route::List, json!({})), 200);
    for route in [Route::Mint, Route::List] {
        assert_eq!(scene.ask(route, json!({"headers": null})), 401);
        assert_eq!(scene.ask(route, with_token("unknown")), 401);
        assert_eq!(scene.ask(route, with_token("no-keys")), 503);
        assert_eq!(scene.ask(route, json!({"multiValueHeaders": {"Authorization": ["Bearer a", "Bearer b"]}})), 400);
        assert_eq!(scene.ask(route, json!({"requestContext": null})), 403);
        assert_eq!(scene.ask(route, json!({"httpMethod": "DELETE"})), 405);
        scene.table.fail_with(Some(Unavailable {
            reason: Reason("dynamodb.throttled"),
            detail: Some("Throttling".into()),
            aws_request_id: Some("ddb-1".into()),
        }));
        assert_eq!(scene.ask(route, json!({})), 503);
        scene.table.fail_with(None);
        scene.table.put("SUBJECT#okta#alice", "SUBJECT", Item::from([("status".into(), Attribute::S("suspended".into()))]));
        assert_eq!(scene.ask(route, json!({})), 403);
        scene.table.put("SUBJECT#okta#alice", "SUBJECT", Item::new());
    }
    assert_eq!(scene.ask(Route::Health, json!({"requestContext": null})), 200);
    assert_eq!(scene.ask(Route::Health, json!({"httpMethod": "POST"})), 405);
    assert_eq!(scene.send(None, "not json", Duration::from_secs(5)), 400);
    assert_eq!(scene.ask(mint, json!({"resource": "/nowhere", "path": "/nowhere"})), 404);
    if let Some(last) = scene.answers.last_mut() {
        last.0 = None;
    }
    let event = json!({"httpMethod": "GET", "path": "/targets", "headers": {"Authorization": "Bearer alice"}, "requestContext": {"identity": {"vpceId": "vpce-0a"}}});
    assert_eq!(scene.send(Some(Route::List), &event.to_string(), Duration::ZERO), 503);
    scene
}

/// As [`everything`], and then the log is full.
fn everything_and_a_full_log() -> Scene {
    let mut scene = everything();
    scene.sink.fail();
    assert_eq!(scene.ask(Route::Mint, json!({})), 500);
    assert_eq!(scene.ask(Route::List, json!({})), 500);
    scene
}

// --- docs/audit.schema.json -------------------------------------------------------------------------------------------------

fn audit_schema() -> Value {
    serde_json::from_str(&read("docs/audit.schema.json")).unwrap()
}

fn validator(schema: &Value) -> jsonschema::Validator {
    jsonschema::draft202012::new(schema).unwrap_or_else(|error| panic!("not a schema: {error}"))
}

#[track_caller]
fn assert_valid(validator: &jsonschema::Validator, instance: &Value, what: &str) {
    let errors: Vec<String> = validator.iter_errors(instance).map(|error| format!("{}: {error}", error.instance_path())).collect();
    assert!(errors.is_empty(), "{what}: {errors:#?}\n{instance:#}");
}

#[test]
fn every_audit_record_is_as_the_schema_says() {
    let schema = validator(&audit_schema());
    let records = everything().sink.records();
    assert!(records.len() > 30);
    for record in &records {
        assert_valid(&schema, &serde_json::to_value(record).unwrap(), "a record");
    }
    let seen: BTreeSet<&str> = records.iter().map(|record| record.code).collect();
    let unseen: Vec<_> = Code::ALL.iter().map(|code| code.as_str()).filter(|code| !seen.contains(code)).collect();
    assert_eq!(unseen, ["internal"], "a record that could not be kept is in no log");
    assert!(seen.contains(ALLOWED));
}

#[test]
fn the_schema_refuses_what_a_record_must_not_be() {
    let schema = validator(&audit_schema());
    let records = everything().sink.records();
    let of = |wanted: &dyn Fn(&&AuditRecord) -> bool| serde_json::to_value(records.iter().find(wanted).unwrap()).unwrap();
    let minted = of(&|record| record.url_sha256.is_some() && record.code == ALLOWED);
    let denied = of(&|record| record.code == "not-entitled");
    let changed = |record: &Value, member: &str, value: Option<Value>| {
        let mut record = record.clone();
        match value {
            Some(value) => record[member] = value,
            None => drop(record.as_object_mut().unwrap().remove(member)),
        }
        record
    };
    for (record, member, value) in [
        (&minted, "url", Some(json!("https://d-abc.studio.eu-central-1.sagemaker.aws/auth?token=x"))),
        (&minted, "token", Some(json!("eyJ"))),
        (&minted, "url_sha256", None),
        (&minted, "resource_arn", None),
        (&minted, "subject", None),
        (&minted, "reason", Some(json!("grant.none"))),
        (&minted, "code", Some(json!("internal"))),
        (&minted, "url_seconds", Some(json!(URL_SECONDS.end() + 1))),
        (&minted, "session_seconds", Some(json!(SESSION_SECONDS.start() - 1))),
        (&minted, "kind", Some(json!("another"))),
        (&denied, "reason", None),
        (&denied, "reason", Some(json!("Because."))),
        (&denied, "code", Some(json!("ok"))),
        (&denied, "time", None),
        (&denied, "time", Some(json!("2026-11-21 12:00"))),
        (&denied, "request_id", Some(json!(""))),
        (&denied, "durations_ms", Some(json!({"total": 1.0, "lunch": 1.0}))),
        (&denied, "aws_request_ids", Some(json!({"s3": "x"}))),
    ] {
        assert!(!schema.is_valid(&changed(record, member, value.clone())), "{member}: {value:?}");
    }
    assert!(schema.is_valid(&minted) && schema.is_valid(&denied));
}

#[test]
fn the_schemas_lists_are_the_codes_lists() {
    let schema = audit_schema();
    assert!(jsonschema::meta::is_valid(&schema));
    let listed = |member: &str| schema["properties"][member]["enum"].clone();
    let codes: Vec<&str> = [ALLOWED].into_iter().chain(Code::ALL.map(Code::as_str)).collect();
    assert_eq!(listed("code"), json!(codes));
    assert_eq!(listed("kind"), json!(Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()));
    let reason = validator(&schema["properties"]["reason"]);
    for text in reasons() {
        assert!(reason.is_valid(&json!(text)), "{text}");
    }
    // Each member is in the table of the document, and nothing else is.
    let document = read("docs/audit.md");
    let documented = rows(section(&document, "## The record")).iter().filter_map(|row| name(&row[0])).map(ToOwned::to_owned).collect();
    let members = schema["properties"].as_object().unwrap().keys().cloned().collect();
    assert_same("the table of members", &documented, &members);
}

// --- openapi.yaml -----------------------------------------------------------------------------------------------------------

fn from_yaml(yaml: &Yaml) -> Value {
    match yaml {
        Yaml::String(text) => json!(text),
        Yaml::Integer(number) => json!(number),
        Yaml::Boolean(truth) => json!(truth),
        Yaml::Null => Value::Null,
        Yaml::Array(list) => list.iter().map(from_yaml).collect(),
        Yaml::Hash(hash) => {
            let members = hash.iter().map(|(name, value)| (name.as_str().expect("a name that is a string").to_owned(), from_yaml(value)));
            Value::Object(members.collect::<Map<_, _>>())
        }
        Yaml::Real(_) | Yaml::Alias(_) | Yaml::BadValue => panic!("not used in openapi.yaml: {yaml:?}"),
    }
}

struct OpenApi(Value);

impl OpenApi {
    fn read() -> Self {
        let documents = YamlLoader::load_from_str(&read("openapi.yaml")).unwrap();
        assert_eq!(documents.len(), 1);
        Self(from_yaml(&documents[0]))
    }

    /// What stands at a place, or what that refers to.
    fn resolve<'a>(&'a self, value: &'a Value) -> &'a Value {
        match value["$ref"].as_str() {
            Some(reference) => self.0.pointer(reference.strip_prefix('#').unwrap()).unwrap_or_else(|| panic!("{reference} is not there")),
            None => value,
        }
    }

    /// A validator of a schema that may refer to the components.
    fn validator(&self, schema: &Value) -> jsonschema::Validator {
        let mut schema = schema.clone();
        schema["components"] = self.0["components"].clone();
        validator(&schema)
    }

    fn operation(&self, route: Route) -> &Value {
        &self.0["paths"][route.path()][route.method().to_lowercase()]
    }

    /// The documented answers of an operation, by status.
    fn responses(&self, route: Route) -> BTreeMap<u16, &Value> {
        let responses = self.operation(route)["responses"].as_object().unwrap();
        responses.iter().map(|(status, response)| (status.parse().unwrap(), self.resolve(response))).collect()
    }

    /// The statuses that an operation has from API Gateway and never from the service.
    fn gateway_alone(&self, route: Route) -> BTreeSet<u16> {
        let alone = self.operation(route)["x-gateway-alone"].as_array().into_iter().flatten();
        alone.map(|status| status.as_u64().and_then(|status| u16::try_from(status).ok()).unwrap()).collect()
    }
}

#[test]
fn the_operations_are_the_routers() {
    let api = OpenApi::read();
    let documented: BTreeSet<String> = api.0["paths"]
        .as_object()
        .unwrap()
        .iter()
        .flat_map(|(path, methods)| methods.as_object().unwrap().keys().map(move |method| format!("{} {path}", method.to_uppercase())))
        .collect();
    let real = Route::ALL.map(|route| format!("{} {}", route.method(), route.path())).into();
    assert_same("openapi.yaml", &documented, &real);
    assert_eq!(api.0["info"]["version"], env!("CARGO_PKG_VERSION"));
    // A token is asked for wherever the service asks for one.
    for route in Route::ALL {
        let needs_token = api.operation(route)["security"].as_array().is_none_or(|schemes| !schemes.is_empty());
        assert_eq!(needs_token, route != Route::Health, "{route:?}");
    }
}

#[test]
fn the_codes_are_the_services() {
    let api = OpenApi::read();
    let schemas = &api.0["components"]["schemas"];
    assert_eq!(schemas["Problem"]["properties"]["code"]["enum"], json!(Code::ALL.map(Code::as_str)));
    assert_eq!(schemas["Kind"]["enum"], json!(Kind::ALL.iter().map(|kind| kind.as_str()).collect::<Vec<_>>()));
    let bounds = |member: &str| {
        let schema = &schemas["Minted"]["properties"][member];
        (schema["minimum"].as_u64().unwrap(), schema["maximum"].as_u64().unwrap())
    };
    assert_eq!(bounds("expires_in_seconds"), (u64::from(*URL_SECONDS.start()), u64::from(*URL_SECONDS.end())));
    assert_eq!(bounds("session_seconds"), (u64::from(*SESSION_SECONDS.start()), u64::from(*SESSION_SECONDS.end())));

    // Which operation can answer with which code. No operation answers `not-found`: it is for paths that are not described.
    let can_answer = |route: Route, code: Code| match code {
        Code::MethodNotAllowed => true,
        Code::NotFound => false,
        Code::InvalidRequest | Code::InvalidToken | Code::NotEntitled | Code::NotPrivate | Code::Unavailable | Code::Internal => {
            route != Route::Health
        }
        Code::TargetNotCompliant | Code::TooLarge | Code::UnsupportedMediaType | Code::TargetNotReady | Code::RateLimited => {
            route == Route::Mint
        }
    };
    for route in Route::ALL {
        let of_service: BTreeSet<Code> = Code::ALL.into_iter().filter(|code| can_answer(route, *code)).collect();
        let statuses: BTreeSet<u16> = of_service.iter().map(|code| problem::status(*code)).collect();
        let alone = api.gateway_alone(route);
        assert!(statuses.is_disjoint(&alone), "{route:?}: the service answers some of {alone:?}");
        let mut documented = api.responses(route);
        documented.retain(|status, _| *status >= 400);
        assert_eq!(documented.keys().copied().collect::<BTreeSet<_>>(), &statuses | &alone, "{route:?}");
        // Each status with the very codes that it can have. tests/boundary has those of the gateway.
        for (status, response) in documented {
            let code = &response["content"][problem::MEDIA_TYPE]["schema"]["properties"]["code"];
            let named = code["enum"].as_array().cloned().unwrap_or_else(|| vec![code["const"].clone()]);
            let named: BTreeSet<&str> = named.iter().map(|code| code.as_str().unwrap()).collect();
            assert!(named.iter().all(|name| Code::ALL.iter().any(|code| code.as_str() == *name && problem::status(*code) == status)));
            if !alone.contains(&status) {
                let real = of_service.iter().filter(|code| problem::status(**code) == status).map(|code| code.as_str()).collect();
                assert_eq!(named, real, "{route:?}: {status}");
            }
        }
    }
}

#[test]
fn the_examples_are_what_the_service_answers() {
    let api = OpenApi::read();
    let mut exemplified = BTreeSet::new();
    // By the names of the components, so that an answer that nothing refers to is looked at as well.
    for (component, response) in api.0["components"]["responses"].as_object().unwrap() {
        let content = &response["content"][problem::MEDIA_TYPE];
        let schema = api.validator(&content["schema"]);
        let reference = format!("#/components/responses/{component}");
        let documented_under: BTreeSet<String> = Route::ALL
            .into_iter()
            .flat_map(|route| api.operation(route)["responses"].as_object().unwrap())
            .filter(|(_, response)| response["$ref"] == reference)
            .map(|(status, _)| status.clone())
            .collect();
        for (name, example) in content["examples"].as_object().unwrap() {
            let example = &example["value"];
            assert_valid(&schema, example, name);
            let code = Code::ALL.into_iter().find(|code| example["code"] == code.as_str()).unwrap();
            assert_eq!(example["title"], problem::title(code), "{component}");
            assert_eq!(example["status"], problem::status(code), "{component}");
            assert_eq!(example["type"], format!("urn:problem-type:latchkey:{code}"));
            for status in &documented_under {
                assert_eq!(*status, problem::status(code).to_string(), "{component} is documented under another status");
            }
            assert!(response["description"].as_str().unwrap().contains(&format!("`{code}`")), "{component} does not name {code}");
            exemplified.insert(code);
        }
    }
    assert_eq!(exemplified, Code::ALL.into(), "each code has an example");

    // A URL for each kind, on a host that the broker would let pass.
    let examples = &api.operation(Route::Mint)["responses"]["200"]["content"]["application/json"]["examples"];
    for kind in Kind::ALL {
        let example = &examples[kind.as_str()]["value"];
        assert_eq!(example["kind"], kind.as_str());
        let region = Region::new(example["region"].as_str().unwrap()).unwrap();
        let url = PresignedUrl::new(example["url"].as_str().unwrap().to_owned(), *kind, &region, HostRule { allow_loopback: false });
        assert!(url.is_ok(), "{kind:?}");
    }
    assert_eq!(examples.as_object().unwrap().len(), Kind::ALL.len());

    for route in Route::ALL {
        let successes = api.responses(route);
        let request = &api.operation(route)["requestBody"];
        for content in successes.values().chain([&request]).filter_map(|described| described["content"]["application/json"].as_object()) {
            let schema = api.validator(&content["schema"]);
            for (name, example) in content["examples"].as_object().unwrap() {
                assert_valid(&schema, &example["value"], name);
            }
        }
    }
}

#[test]
fn every_answer_is_as_it_is_described() {
    let api = OpenApi::read();
    let scene = everything_and_a_full_log();
    let mut seen: BTreeMap<&str, BTreeSet<u16>> = BTreeMap::new();
    for (route, answer) in &scene.answers {
        for header in ["Cache-Control", "Referrer-Policy", "X-Content-Type-Options", "X-Request-Id"] {
            assert!(answer.headers().contains_key(header), "{header}");
            assert!(api.0["info"]["description"].as_str().unwrap().contains(header), "{header} is not described");
        }
        let status = answer.status();
        let response = match route {
            Some(route) => {
                seen.entry(route.path()).or_default().insert(status);
                *api.responses(*route).get(&status).unwrap_or_else(|| panic!("{route:?} answers {status}, which is not described"))
            }
            None if status == 404 => &api.0["components"]["responses"]["NotFound"],
            // What is no proxy event has come from no API.
            None => continue,
        };
        let headers = response["headers"].as_object().cloned().unwrap_or_default();
        for (name, header) in &headers {
            let header = api.resolve(header);
            match answer.headers().iter().find(|(known, _)| known.eq_ignore_ascii_case(name)) {
                Some((_, value)) => {
                    let value = value.parse::<u64>().map_or_else(|_| json!(value), |number| json!(number));
                    assert_valid(&api.validator(&header["schema"]), &value, name);
                }
                None => assert_ne!(header["required"], true, "{status} without {name}"),
            }
        }
        // Nor has it a header that is not described.
        for name in answer.headers().keys().filter(|name| **name != "Content-Type") {
            assert!(headers.contains_key(*name), "{status} has {name}");
        }
        match response["content"].as_object() {
            Some(content) => {
                let described = &content[&answer.headers()["Content-Type"]];
                assert_valid(&api.validator(&described["schema"]), &serde_json::from_str(answer.body()).unwrap(), "an answer");
            }
            None => assert_eq!(answer.body(), ""),
        }
    }
    for route in Route::ALL {
        let described: BTreeSet<u16> = api.responses(route).into_keys().collect();
        let of_service = &described - &api.gateway_alone(route);
        assert_eq!(seen[route.path()], of_service, "{route:?}: what is described and never happens");
    }
}

#[test]
fn the_body_is_what_the_parser_takes() {
    let api = OpenApi::read();
    let request = &api.operation(Route::Mint)["requestBody"];
    assert_eq!(request["required"], false);
    let schema = api.validator(&request["content"]["application/json"]["schema"]);
    let described = format!("{} bytes", body::MAX_BODY_BYTES);
    assert!(api.0["components"]["responses"]["TooLarge"]["description"].as_str().unwrap().contains(&described));

    let longest = "x".repeat(64);
    let names = ["a", "A.b_c-9", longest.as_str(), "", ".a", "-a", "_a", "a b", "a/b", "a\n", "ä", "a:b", "studio::"];
    let mut values: Vec<Value> = names.iter().map(|name| json!(name)).collect();
    values.extend([json!(format!("{longest}x")), json!(null), json!(7), json!(true), json!(["a"]), json!({"a": "b"})]);
    let mut bodies = vec![json!({}), json!(null), json!([]), json!(["a", "b"]), json!("a"), json!(7), json!(true)];
    bodies.extend([json!({"Target": "a"}), json!({"url": "https://x"}), json!({"target": "a", "profile": "b"}), json!({"": "a"})]);
    for value in &values {
        bodies.push(json!({ "target": value }));
        bodies.push(json!({ "landing": value }));
        bodies.push(json!({ "target": value, "landing": "a" }));
        bodies.push(json!({ "target": "a", "landing": value }));
    }
    let mut taken = 0;
    for body in &bodies {
        let is_taken = body::wish(Some(&body.to_string()), false, &["application/json".to_owned()]).is_ok();
        assert_eq!(schema.is_valid(body), is_taken, "{body}");
        taken += usize::from(is_taken);
    }
    assert!((10..bodies.len() - 10).contains(&taken));
}

// --- Links and paths --------------------------------------------------------------------------------------------------------

/// Every file below a folder. Not what is built, fetched or hidden.
fn files(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let entries = std::fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    for path in entries.map(|entry| entry.unwrap().path()) {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            if !name.starts_with('.') && name != "target" && name != "node_modules" {
                found.extend(files(&path));
            }
        } else {
            found.push(path);
        }
    }
    found
}

/// Every document of the project.
fn documents() -> Vec<PathBuf> {
    let documents: Vec<_> = files(&root()).into_iter().filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    for expected in ["README.md", "CHANGELOG.md", "SECURITY.md", "events/README.md", "docs/architecture.md"] {
        assert!(documents.contains(&root().join(expected)), "{expected}");
    }
    documents
}

/// A document without its fenced blocks, and what stands in them.
fn prose_and_blocks(text: &str) -> (String, String) {
    let (mut prose, mut blocks, mut in_block) = (String::new(), String::new(), false);
    for line in text.lines() {
        if line.trim_start().starts_with("```") {
            in_block = !in_block;
            continue;
        }
        let part = if in_block { &mut blocks } else { &mut prose };
        part.push_str(line);
        part.push('\n');
    }
    assert!(!in_block, "a block does not end");
    (prose, blocks)
}

/// The anchor that a heading has on a page.
fn anchor(heading: &str) -> String {
    let kept = heading.trim().to_lowercase();
    let kept = kept.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
    kept.map(|c| if c == ' ' { '-' } else { c }).collect()
}

fn anchors(text: &str) -> BTreeSet<String> {
    let headings = text.lines().filter(|line| line.starts_with('#'));
    headings.map(|line| anchor(line.trim_start_matches('#'))).collect()
}

#[test]
fn links_lead_somewhere() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let (prose, _) = prose_and_blocks(&text);
        for rest in prose.split("](").skip(1) {
            let target = rest.split(')').next().unwrap_or_default();
            if target.contains("://") {
                continue;
            }
            let (path, fragment) = target.split_once('#').map_or((target, None), |(path, fragment)| (path, Some(fragment)));
            let linked = if path.is_empty() { document.clone() } else { document.parent().unwrap().join(path) };
            assert!(linked.exists(), "{}: {target}", document.display());
            if let Some(fragment) = fragment {
                let there = std::fs::read_to_string(&linked).unwrap();
                let (prose, _) = prose_and_blocks(&there);
                assert!(anchors(&prose).contains(fragment), "{}: there is no heading for {target}", document.display());
            }
        }
    }
}

/// Extensions of files that a document can name without saying in which folder: then they lie at the root or beside it.
const EXTENSIONS: [&str; 8] = ["rs", "toml", "md", "json", "yaml", "yml", "py", "sh"];

fn is_path(text: &str) -> bool {
    let legal = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-' | '/');
    !text.is_empty() && text.chars().all(legal) && !text.starts_with('/') && !text.contains("//")
}

#[test]
fn named_files_exist() {
    let root = root();
    let top: BTreeSet<String> =
        std::fs::read_dir(&root).unwrap().map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect();
    let is_ours = |path: &str| path.split_once('/').is_some_and(|(first, _)| first != "target" && top.contains(first));
    let mut named = 0;
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let (prose, blocks) = prose_and_blocks(&text);
        let quoted = prose.split('`').skip(1).step_by(2).map(|text| text.split([',', ' ']).next().unwrap_or_default());
        let files = quoted.filter(|text| {
            is_path(text)
                && !text.starts_with("target/")
                && (is_ours(text) || text.rsplit_once('.').is_some_and(|(_, e)| EXTENSIONS.contains(&e)))
        });
        let in_blocks = blocks.split_whitespace().map(|word| word.trim_matches(['\'', '"', '(', ')', ',', ';', ':']));
        for path in files.chain(in_blocks.filter(|word| is_path(word) && is_ours(word))) {
            named += 1;
            let is_there = root.join(path).exists() || document.parent().unwrap().join(path).exists();
            assert!(is_there, "{}: {path} is not there", document.display());
        }
    }
    assert!(named > 100, "only {named} files are named: they are no longer found");
}

#[test]
fn lines_of_prose_are_not_too_long() {
    for document in documents() {
        let text = std::fs::read_to_string(&document).unwrap();
        let (prose, _) = prose_and_blocks(&text);
        // A row of a table is one line.
        for line in prose.lines().filter(|line| !line.starts_with('|')) {
            assert!(line.chars().count() <= 140, "{}: {line}", document.display());
        }
    }
}
