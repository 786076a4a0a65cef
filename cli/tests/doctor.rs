//! `latchkey doctor` against the deployment that the templates make, as the embedded stack has it, whole and with faults in it.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use latchkey::doctor::checks::ALL;
use latchkey_domain::clock::{Clock, SystemClock, Timestamp};
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotKeeper as _};
use latchkey_standin::aws::{AuthMode, NetworkAccess, World as Bank};
use latchkey_standin::fault::Fault;
use latchkey_standin::stack::StackOptions;
use latchkey_tests::stack::World;
use latchkey_tests::tools::root;
use serde_json::{Value, json};

use support::{Dev, latchkey, run};

const FUNCTION: (&str, &str) = ("AWS::Lambda::Function", "latchkey-broker");
const API: (&str, &str) = ("AWS::ApiGateway::RestApi", "a1b2c3d4e5");
const ISSUING: (&str, &str) = ("AWS::IAM::Role", "latchkey-issuing");
const TABLE: (&str, &str) = ("AWS::DynamoDB::Table", "latchkey");
const STUDIO: &str = "d-demoresearch.studio.eu-central-1.sagemaker.aws";

fn doctor(world: &World, arguments: &[&str]) -> (i32, String) {
    let (code, out, err) = run(latchkey().envs(world.env(&[])).envs(world.stack.operator_env()).arg("doctor").args(arguments));
    assert_eq!(err, "");
    (code, out)
}

/// The exit code, and the findings as they are in JSON.
fn findings(world: &World) -> (i32, Vec<Value>, Value) {
    let (code, out) = doctor(world, &["--json"]);
    let mut diagnosis: Value = serde_json::from_str(&out).unwrap();
    (code, diagnosis["findings"].take().as_array().unwrap().clone(), diagnosis)
}

/// What does not hold: outcome, check, and what it is about.
fn ill(findings: &[Value]) -> BTreeSet<(String, String, String)> {
    let text = |finding: &Value, member: &str| finding[member].as_str().unwrap().to_owned();
    let ill = findings.iter().filter(|finding| finding["outcome"] != "sound");
    ill.map(|finding| (text(finding, "outcome"), text(finding, "check"), text(finding, "about"))).collect()
}

/// The id of the endpoint for a service.
fn endpoint(bank: &Bank, service: &str) -> String {
    let is_it = |one: &&latchkey_standin::aws::Resource| one.properties["ServiceName"].as_str().is_some_and(|name| name.ends_with(service));
    bank.deployment.iter().find(is_it).unwrap().identifier.clone()
}

fn properties<'a>(bank: &'a mut Bank, (type_name, identifier): (&str, &str)) -> &'a mut Value {
    bank.properties(type_name, identifier).unwrap()
}

fn endpoint_properties<'a>(bank: &'a mut Bank, service: &str) -> &'a mut Value {
    let id = endpoint(bank, service);
    properties(bank, ("AWS::EC2::VPCEndpoint", &id))
}

/// The statement of a role's first policy by its `Sid`.
fn statement<'a>(role: &'a mut Value, sid: &str) -> &'a mut Value {
    let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array_mut().unwrap();
    statements.iter_mut().find(|one| one["Sid"] == sid).unwrap()
}

/// Adds a statement to the issuing role's trust.
fn trust_more(bank: &mut Bank, statement: &Value) {
    properties(bank, ISSUING)["AssumeRolePolicyDocument"]["Statement"].as_array_mut().unwrap().push(statement.clone());
}

#[test]
fn a_deployment_as_the_templates_have_it_is_sound() {
    let world = World::start_with(StackOptions::default());
    let (code, findings, diagnosis) = findings(&world);
    assert_eq!((code, ill(&findings)), (0, BTreeSet::new()));
    assert_eq!((&diagnosis["name"], &diagnosis["region"]), (&json!("latchkey"), &json!("eu-central-1")));

    // Every check there is was made, but for those on keys, which this issuer has by itself; and it says so.
    let made: BTreeSet<&str> = findings.iter().map(|finding| finding["check"].as_str().unwrap()).collect();
    let rest: Vec<&str> = ALL.iter().map(|check| check.name).filter(|name| !made.contains(name)).collect();
    assert_eq!(rest, ["keys.age", "keys.refresher"]);
    let not_looked_at = diagnosis["not_looked_at"].to_string();
    assert!(not_looked_at.contains("the keys of local") && not_looked_at.contains("444455556666"), "{not_looked_at}");

    // For people the same, and nothing of it is a secret.
    let (code, text) = doctor(&world, &[]);
    assert_eq!(code, 0);
    assert!(text.starts_with("latchkey in eu-central-1: 0 faults, 0 unknown, 0 weaknesses, "), "{text}");
    for (name, value) in world.env(&[]) {
        if name.contains("SECRET") || name.contains("TOKEN") || name.contains("EXTERNAL_ID") {
            assert!(!text.contains(&value), "{name} is printed");
        }
    }
    // It reads, and does nothing else.
    let called: BTreeSet<String> = world.stack.aws.captured().into_iter().map(|call| call.action).collect();
    assert_eq!(called, ["GetResource", "ListResources"].map(str::to_owned).into());
}

/// What is planted, and what is to be found: outcome, check, and what it is about. Nothing else may be.
type Plant = (&'static str, fn(&mut Bank), &'static [(&'static str, &'static str, &'static str)]);

const PLANTS: &[Plant] = &[
    (
        "an issuer that nobody can read",
        |bank| properties(bank, FUNCTION)["Environment"]["Variables"]["LATCHKEY_ISSUERS"] = json!("[{}]"),
        &[("fault", "function.configuration", "latchkey-broker")],
    ),
    (
        "a misspelt variable",
        |bank| properties(bank, FUNCTION)["Environment"]["Variables"]["LATCHKEY_REPLY"] = json!("jti"),
        &[("weak", "function.configuration", "latchkey-broker")],
    ),
    (
        "a function outside the VPC",
        |bank| properties(bank, FUNCTION)["VpcConfig"] = Value::Null,
        &[("fault", "function.vpc", "latchkey-broker")],
    ),
    (
        "a function with Lambda's own three seconds",
        |bank| properties(bank, FUNCTION)["Timeout"] = Value::Null,
        &[("fault", "function.time", "latchkey-broker")],
    ),
    (
        "a permission for anybody's API",
        |bank| {
            let permission = bank.deployment.iter().find(|one| one.identifier == "latchkey-broker|BrokerPermission").unwrap();
            let mut other = permission.clone();
            other.identifier = "latchkey-broker|other".to_owned();
            other.properties["SourceArn"] = json!("arn:aws:execute-api:eu-central-1:111122223333:*/*");
            bank.deployment.push(other);
        },
        &[("fault", "function.callers", "latchkey-broker")],
    ),
    (
        "a Function URL",
        |bank| {
            let arn = properties(bank, FUNCTION)["Arn"].as_str().unwrap().to_owned();
            let url = json!({"type": "AWS::Lambda::Url", "identifier": arn, "properties": {"AuthType": "NONE", "FunctionArn": arn}});
            bank.deployment.push(serde_json::from_value(url).unwrap());
        },
        &[("fault", "function.url", "latchkey-broker")],
    ),
    (
        "a regional API",
        |bank| properties(bank, API)["EndpointConfiguration"]["Types"] = json!(["REGIONAL"]),
        &[("fault", "api.private", "a1b2c3d4e5")],
    ),
    (
        "an API that refuses nobody, with its policy as API Gateway writes it",
        |bank| {
            let policy = json!({"Statement": [properties(bank, API)["Policy"]["Statement"][0].take()]});
            properties(bank, API)["Policy"] = json!(policy.to_string().replace('"', "\\\""));
        },
        &[("fault", "api.policy", "a1b2c3d4e5")],
    ),
    (
        "an API that lets in one endpoint more than the function believes",
        |bank| {
            properties(bank, API)["Policy"]["Statement"][1]["Condition"]["StringNotEquals"]["aws:SourceVpce"] =
                json!(["vpce-0dev", "vpce-0ff"])
        },
        &[("fault", "api.endpoints", "a1b2c3d4e5")],
    ),
    (
        "an API whose policy refuses for a stage alone",
        |bank| {
            let refuses = &mut properties(bank, API)["Policy"]["Statement"][1]["Resource"];
            assert_eq!(*refuses, "arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/*");
            *refuses = json!("arn:aws:execute-api:eu-central-1:111122223333:a1b2c3d4e5/v2/*");
        },
        &[("fault", "api.policy", "a1b2c3d4e5")],
    ),
    (
        "an API whose policy refuses for another API",
        |bank| {
            properties(bank, API)["Policy"]["Statement"][1]["Resource"] =
                json!("arn:aws:execute-api:eu-central-1:111122223333:z9y8x7w6v5/*")
        },
        &[("fault", "api.policy", "a1b2c3d4e5")],
    ),
    (
        "an API whose policy refuses in another account",
        |bank| {
            properties(bank, API)["Policy"]["Statement"][1]["Resource"] =
                json!("arn:aws:execute-api:eu-central-1:444455556666:a1b2c3d4e5/*")
        },
        &[("fault", "api.policy", "a1b2c3d4e5")],
    ),
    (
        "an API whose policy refuses in another region",
        |bank| {
            properties(bank, API)["Policy"]["Statement"][1]["Resource"] = json!("arn:aws:execute-api:eu-west-1:111122223333:a1b2c3d4e5/*")
        },
        &[("fault", "api.policy", "a1b2c3d4e5")],
    ),
    (
        "a function's role whose credentials work anywhere",
        |bank| {
            statement(properties(bank, ("AWS::IAM::Role", "latchkey-broker")), "OnlyThroughOurEndpoints")["Action"] =
                json!("sts:AssumeRole")
        },
        &[("fault", "broker-role.network", "latchkey-broker")],
    ),
    (
        "an issuing role that somebody else may take on",
        |bank| {
            let trust = &mut properties(bank, ISSUING)["AssumeRolePolicyDocument"]["Statement"][0];
            trust["Principal"] = json!({"AWS": [trust["Principal"]["AWS"].take(), "arn:aws:iam::111122223333:root"]});
        },
        &[("fault", "role.trust", "latchkey-issuing")],
    ),
    (
        "an issuing role that another identity provider's users may take on",
        |bank| {
            let provider = json!({"Federated": "arn:aws:iam::111122223333:oidc-provider/idp.example"});
            trust_more(bank, &json!({"Effect": "Allow", "Principal": provider, "Action": "sts:AssumeRoleWithWebIdentity"}));
        },
        &[("fault", "role.trust", "latchkey-issuing")],
    ),
    (
        "an issuing role that a SAML provider's users may take on",
        |bank| {
            let provider = json!({"Federated": "arn:aws:iam::111122223333:saml-provider/adfs"});
            trust_more(bank, &json!({"Effect": "Allow", "Principal": provider, "Action": ["sts:AssumeRoleWithSAML"]}));
        },
        &[("fault", "role.trust", "latchkey-issuing")],
    ),
    (
        "an issuing role that may be taken on in every way",
        |bank| {
            let broker = json!({"AWS": "arn:aws:iam::111122223333:role/latchkey-broker"});
            trust_more(bank, &json!({"Effect": "Allow", "Principal": broker, "Action": "sts:AssumeRoleWith*"}));
        },
        &[("fault", "role.trust", "latchkey-issuing")],
    ),
    (
        "an issuing role whose trust names who may not",
        |bank| {
            let others = json!({"AWS": "arn:aws:iam::111122223333:role/somebody"});
            trust_more(bank, &json!({"Effect": "Allow", "NotPrincipal": others, "Action": "sts:SetSourceIdentity"}));
        },
        &[("fault", "role.trust", "latchkey-issuing")],
    ),
    (
        "an issuing role whose trust names what may not be done",
        |bank| {
            let broker = json!({"AWS": "arn:aws:iam::111122223333:role/latchkey-broker"});
            trust_more(bank, &json!({"Effect": "Allow", "Principal": broker, "NotAction": "sts:AssumeRole"}));
        },
        &[("fault", "role.trust", "latchkey-issuing")],
    ),
    (
        "an issuing role with another external id",
        |bank| {
            let trust = &mut properties(bank, ISSUING)["AssumeRolePolicyDocument"]["Statement"][0];
            trust["Condition"]["StringEquals"]["sts:ExternalId"] = json!("another");
        },
        &[("fault", "role.trust", "latchkey-issuing")],
    ),
    (
        "an issuing role that is taken on from anywhere",
        |bank| {
            let trust = &mut properties(bank, ISSUING)["AssumeRolePolicyDocument"]["Statement"][0];
            trust["Condition"]["StringEquals"].as_object_mut().unwrap().remove("aws:SourceVpce");
        },
        &[("fault", "role.sts", "latchkey-issuing")],
    ),
    (
        "an issuing role that names the function's endpoint, and not the browser's",
        |bank| {
            let studio = endpoint(bank, ".studio");
            let named = &mut statement(properties(bank, ISSUING), "OnlyFromOurNetwork")["Condition"]["StringNotEquals"]["aws:SourceVpce"];
            named.as_array_mut().unwrap().retain(|id| *id != studio.as_str());
        },
        &[("fault", "role.network", "latchkey-issuing")],
    ),
    (
        "an issuing role that names the browser's endpoint, and not the function's",
        |bank| {
            let api = endpoint(bank, ".sagemaker.api");
            let named = &mut statement(properties(bank, ISSUING), "OnlyFromOurNetwork")["Condition"]["StringNotEquals"]["aws:SourceVpce"];
            named.as_array_mut().unwrap().retain(|id| *id != api.as_str());
        },
        &[("fault", "role.network", "latchkey-issuing")],
    ),
    (
        "an issuing role that everything opens that comes from the internet",
        |bank| {
            statement(properties(bank, ISSUING), "OnlyFromOurNetwork")["Condition"]["NotIpAddress"] = json!({"aws:SourceIp": "0.0.0.0/0"})
        },
        &[("fault", "role.network", "latchkey-issuing")],
    ),
    (
        "an issuing role that an address opens, which is for notebook instances alone",
        |bank| {
            statement(properties(bank, ISSUING), "OnlyFromOurNetwork")["Condition"]["NotIpAddress"] =
                json!({"aws:SourceIp": "198.51.100.0/24"})
        },
        &[("fault", "role.network", "latchkey-issuing")],
    ),
    (
        "an issuing role that what comes by no endpoint opens",
        |bank| statement(properties(bank, ISSUING), "OnlyFromOurNetwork")["Condition"]["Null"] = json!({"aws:SourceVpce": "false"}),
        &[("fault", "role.network", "latchkey-issuing")],
    ),
    (
        "an issuing role without the condition",
        |bank| statement(properties(bank, ISSUING), "OnlyFromOurNetwork")["Effect"] = json!("Allow"),
        &[("fault", "role.network", "latchkey-issuing")],
    ),
    (
        "an endpoint that is gone",
        |bank| {
            let id = endpoint(bank, ".sts");
            bank.deployment.retain(|one| one.identifier != id);
        },
        &[
            ("fault", "endpoint.there", "the endpoint of STS"),
            ("fault", "broker-role.network", "latchkey-broker"),
            ("fault", "role.sts", "latchkey-issuing"),
            ("fault", "role.sts", "latchkey-provisioning"),
        ],
    ),
    (
        "an endpoint with AWS's own policy",
        |bank| endpoint_properties(bank, ".studio")["PolicyDocument"] = Value::Null,
        &[("fault", "endpoint.policy", "the endpoint of Studio")],
    ),
    (
        "an endpoint in another VPC",
        |bank| endpoint_properties(bank, ".sagemaker.api")["VpcId"] = json!("vpc-0fedcba9876543210"),
        &[("fault", "endpoint.vpc", "the endpoint of SageMaker")],
    ),
    (
        "an endpoint without private DNS",
        |bank| endpoint_properties(bank, ".sagemaker.api")["PrivateDnsEnabled"] = json!(false),
        &[("fault", "endpoint.private-dns", "the endpoint of SageMaker")],
    ),
    (
        "a domain with a way to the internet",
        |bank| bank.domains[0].network_access = NetworkAccess::PublicInternetOnly,
        &[("fault", "domain.network", "d-demoresearch")],
    ),
    ("a domain with single sign-on", |bank| bank.domains[0].auth_mode = AuthMode::Sso, &[("fault", "domain.auth", "d-demoresearch")]),
    ("a domain under AWS's key", |bank| bank.domains[0].kms_key = None, &[("weak", "domain.key", "d-demoresearch")]),
    ("a domain that is gone", |bank| drop(bank.domains.remove(0)), &[("fault", "domain.there", "d-demoresearch")]),
    (
        "another table",
        |bank| properties(bank, TABLE)["KeySchema"] = json!([{"AttributeName": "id", "KeyType": "HASH"}]),
        &[("fault", "table.keys", "latchkey")],
    ),
    (
        "a table that cannot be taken back",
        |bank| properties(bank, TABLE)["PointInTimeRecoverySpecification"] = Value::Null,
        &[("fault", "table.recovery", "latchkey")],
    ),
    (
        "a table whose rows stay",
        |bank| properties(bank, TABLE)["TimeToLiveSpecification"]["Enabled"] = json!(false),
        &[("fault", "table.expiry", "latchkey")],
    ),
    (
        "a table under AWS's key",
        |bank| properties(bank, TABLE)["SSESpecification"] = Value::Null,
        &[("fault", "table.encryption", "latchkey")],
    ),
    (
        "a table that anybody may delete",
        |bank| properties(bank, TABLE)["DeletionProtectionEnabled"] = json!(false),
        &[("fault", "table.deletion", "latchkey")],
    ),
    (
        "a key that stays the same",
        |bank| properties(bank, ("AWS::KMS::Key", "key"))["EnableKeyRotation"] = json!(false),
        &[("weak", "table.key-rotation", "key")],
    ),
    (
        "a log that is kept forever",
        |bank| properties(bank, ("AWS::Logs::LogGroup", "/aws/lambda/latchkey-broker"))["RetentionInDays"] = Value::Null,
        &[("weak", "log.kept", "/aws/lambda/latchkey-broker")],
    ),
    (
        "an alarm that tells nobody",
        |bank| properties(bank, ("AWS::CloudWatch::Alarm", "latchkey-slow"))["AlarmActions"] = json!([]),
        &[("weak", "alarm.told", "the alarms")],
    ),
    (
        "an alarm that is gone",
        |bank| bank.deployment.retain(|one| one.identifier != "latchkey-denied"),
        &[("fault", "alarm.there", "latchkey-denied")],
    ),
];

#[test]
fn each_planted_fault_is_found_and_nothing_else() {
    let world = World::start_with(StackOptions::default());
    let whole = world.stack.aws.change(|bank| bank.clone());
    let mut planted: BTreeSet<&str> = BTreeSet::new();
    for (what, plant, expected) in PLANTS {
        world.stack.aws.change(|bank| {
            bank.clone_from(&whole);
            plant(bank);
        });
        let (code, findings, _) = findings(&world);
        let expected: BTreeSet<_> = expected
            .iter()
            .map(|&(outcome, check, about)| {
                // By its id, which the templates give it.
                let service = |suffix, name: &str| format!("{} ({name})", endpoint(&whole, suffix));
                let about = match about {
                    "the endpoint of STS" => endpoint(&whole, ".sts"),
                    "the endpoint of Studio" => service(".studio", "studio"),
                    "the endpoint of SageMaker" => service(".sagemaker.api", "sagemaker.api"),
                    other => other.to_owned(),
                };
                planted.insert(check);
                (outcome.to_owned(), check.to_owned(), about)
            })
            .collect();
        assert_eq!(ill(&findings), expected, "{what}");
        let is_fault = expected.iter().any(|(outcome, ..)| outcome == "fault");
        assert_eq!(code, i32::from(is_fault), "{what}");
        for finding in findings.iter().filter(|finding| finding["outcome"] != "sound") {
            let said = |member: &str| finding[member].as_str().is_some_and(|text| text.len() > 5);
            assert!(said("found") && said("fix") && said("holds"), "{what}: {finding}");
        }
    }
    // Those that are planted otherwise, below.
    let elsewhere =
        ["function.there", "role.there", "name.private", "table.there", "keys.age", "keys.refresher", "clock.aws", "clock.issuer"];
    let all: BTreeSet<&str> = planted.iter().copied().chain(elsewhere).collect();
    assert_eq!(all, ALL.iter().map(|check| check.name).collect());
}

#[test]
fn an_api_s_policy_is_sound_however_it_names_the_api() {
    let world = World::start_with(StackOptions::default());
    for whole in [
        "execute-api:/*",
        "*",
        "arn:aws-us-gov:execute-api:eu-central-1:111122223333:a1b2c3d4e5/*",
        "arn:aws-cn:execute-api:eu-central-1:111122223333:a1b2c3d4e5/*",
    ] {
        world.stack.aws.change(|bank| properties(bank, API)["Policy"]["Statement"][1]["Resource"] = json!(whole));
        let (code, findings, _) = findings(&world);
        assert_eq!((code, ill(&findings)), (0, BTreeSet::new()), "{whole}");
    }
}

#[test]
fn a_role_that_goes_by_the_vpc_is_sound_too() {
    let world = World::start_with(StackOptions::default());
    world.stack.aws.change(|bank| {
        statement(properties(bank, ISSUING), "OnlyFromOurNetwork")["Condition"]["StringNotEquals"] =
            json!({"aws:SourceVpc": ["vpc-0123456789abcdef0"]});
    });
    let (code, findings, diagnosis) = findings(&world);
    assert_eq!((code, ill(&findings)), (0, BTreeSet::new()));
    assert!(diagnosis["not_looked_at"].to_string().contains("latchkey-issuing goes by the VPC"), "{diagnosis}");
}

/// NetworkMethod address of template.yaml: notebook instances also from known addresses, whatever else is opened from the network alone.
#[test]
fn notebooks_that_addresses_open_are_sound_while_these_are_some() {
    let world = World::start_with(StackOptions::default());
    let with = |ranges: Value| {
        world.stack.aws.change(|bank| {
            let role = properties(bank, ISSUING);
            let mut also = statement(role, "OnlyFromOurNetwork").clone();
            let others = statement(role, "OnlyFromOurNetwork").as_object_mut().unwrap();
            others.remove("Action");
            others.insert("NotAction".to_owned(), json!("sagemaker:CreatePresignedNotebookInstanceUrl"));
            also["Sid"] = json!("NotebooksAlsoFromTheseAddresses");
            also["Action"] = json!("sagemaker:CreatePresignedNotebookInstanceUrl");
            also.as_object_mut().unwrap().remove("NotAction");
            also["Condition"]["NotIpAddress"] = json!({"aws:SourceIp": ranges});
            let statements = role["Policies"][0]["PolicyDocument"]["Statement"].as_array_mut().unwrap();
            statements.retain(|one| one["Sid"] != "NotebooksAlsoFromTheseAddresses");
            statements.push(also);
        });
        let (code, findings, _) = findings(&world);
        (code, ill(&findings))
    };
    let fault = ("fault".to_owned(), "role.network".to_owned(), "latchkey-issuing".to_owned());
    assert_eq!(with(json!(["198.51.100.0/24", "203.0.113.0/28"])), (0, BTreeSet::new()));
    assert_eq!(with(json!(["198.51.100.0/24", "0.0.0.0/1", "128.0.0.0/1"])), (1, [fault].into()));
}

#[test]
fn names_that_lead_to_the_internet_or_nowhere_are_found() {
    let world = World::start_with(StackOptions::default());
    let fault = |name: &str| BTreeSet::from([("fault".to_owned(), "name.private".to_owned(), name.to_owned())]);
    world.stack.dns.tell(STUDIO, &["3.120.0.1".parse().unwrap(), "10.20.0.10".parse().unwrap()]);
    let (code, found, _) = findings(&world);
    assert_eq!((code, ill(&found)), (1, fault(STUDIO)));
    let about = found.iter().find(|finding| finding["outcome"] == "fault").unwrap();
    assert_eq!(about["found"], "it answers 3.120.0.1, on the internet");
    world.stack.dns.tell(STUDIO, &[]);
    let (code, found, _) = findings(&world);
    assert_eq!((code, ill(&found)), (1, fault(STUDIO)));
    // Another name server, which is none.
    let closed = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    let address = closed.local_addr().unwrap().to_string();
    drop(closed);
    let (code, out) = doctor(&world, &["--json", "--dns", &address]);
    let diagnosis: Value = serde_json::from_str(&out).unwrap();
    let unknown = ill(diagnosis["findings"].as_array().unwrap());
    // STS, SageMaker, the API, and the five kinds of targets.
    assert_eq!((code, unknown.len()), (1, 8), "{unknown:?}");
    assert!(unknown.iter().all(|(outcome, check, _)| outcome == "unknown" && check == "name.private"), "{unknown:?}");
}

#[test]
fn keys_are_as_old_as_the_table_says() {
    let world = World::start_with(StackOptions::default());
    let issuers = world.env(&[]).into_iter().find(|(name, _)| name == "LATCHKEY_ISSUERS").unwrap().1;
    world.stack.aws.change(|bank| {
        properties(bank, FUNCTION)["Environment"]["Variables"]["LATCHKEY_ISSUERS"] =
            json!(issuers.replace(r#""source":"url""#, r#""source":"table""#));
    });
    let old = |found: &[Value]| {
        let about = found.iter().find(|finding| finding["check"] == "keys.age").unwrap().clone();
        (about["outcome"].as_str().unwrap().to_owned(), about["found"].as_str().unwrap_or_default().to_owned())
    };
    let (code, found, _) = findings(&world);
    assert_eq!((code, old(&found)), (1, ("fault".to_owned(), "the table has none: no token of this issuer is accepted".to_owned())));
    for (minutes, outcome, words) in [
        (70, "fault", "they were confirmed 70 minutes ago: no token of this issuer is accepted"),
        (40, "fault", "they were confirmed 40 minutes ago"),
        (5, "sound", ""),
    ] {
        let fetched_at = Timestamp::from_unix_seconds(SystemClock::new().now().unix_seconds() - minutes * 60);
        let snapshot = KeySnapshot { jwks: r#"{"keys":[]}"#.to_owned(), fetched_at };
        let table = world.table();
        let saving = table.save(world.stack.issuer_id(), &snapshot, "https://issuer.example/keys", Duration::from_secs(5));
        assert!(world.block_on(saving).unwrap());
        let (code, found, _) = findings(&world);
        assert_eq!((code, old(&found)), (i32::from(outcome == "fault"), (outcome.to_owned(), words.to_owned())));
    }
    // And nobody to keep them fresh.
    world.stack.aws.change(|bank| bank.deployment.retain(|one| one.identifier != "latchkey-jwks-refresher"));
    let (code, found, _) = findings(&world);
    let expected = ("fault".to_owned(), "keys.refresher".to_owned(), "latchkey-jwks-refresher".to_owned());
    assert_eq!((code, ill(&found)), (1, BTreeSet::from([expected])));
}

/// AWS's clock, two minutes ahead.
struct Ahead(SystemClock);

impl Clock for Ahead {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.now().unix_seconds() + 120)
    }

    fn monotonic(&self) -> Duration {
        self.0.monotonic()
    }
}

#[test]
fn clocks_that_do_not_agree_are_found() {
    let world = World::start_with(StackOptions { clock: Arc::new(Ahead(SystemClock::new())), ..StackOptions::default() });
    let (code, findings, _) = findings(&world);
    // The issuer's server goes by this machine's clock.
    let fault = |check: &str, about: &str| ("fault".to_owned(), check.to_owned(), about.to_owned());
    assert_eq!((code, ill(&findings)), (1, [fault("clock.aws", "this machine"), fault("clock.issuer", "local")].into()));
    let of_aws = findings.iter().find(|finding| finding["check"] == "clock.aws").unwrap()["found"].as_str().unwrap();
    assert!(["AWS's clock is 119 s ahead", "AWS's clock is 120 s ahead"].contains(&of_aws), "{of_aws}");
}

#[test]
fn what_cannot_be_looked_at_is_said_to_be_unknown() {
    let world = World::start_with(StackOptions::default());
    // Every other call, and so whatever they are for.
    world.stack.aws.inject("GetResource", 1, &Fault::error(400, "AccessDeniedException"));
    let (code, found, diagnosis) = findings(&world);
    let expected = ("unknown".to_owned(), "function.there".to_owned(), "latchkey-broker".to_owned());
    assert_eq!((code, ill(&found)), (1, BTreeSet::from([expected])));
    assert!(found[0]["found"].as_str().unwrap().starts_with("AccessDeniedException: "), "{found:?}");
    assert_eq!(diagnosis["not_looked_at"], json!(["everything else: it hangs on the function"]));

    // There is no such deployment.
    let (code, out) = doctor(&world, &["--name", "another"]);
    assert_eq!(code, 1);
    assert!(out.starts_with("another in eu-central-1: 1 fault, 0 unknown, "), "{out}");
    assert!(out.contains("FAULT    function.there") && out.contains("what to do    `--name` is"), "{out}");

    // A role or a table that is gone.
    world.stack.aws.change(|bank| {
        bank.deployment.retain(|one| !(one.identifier == "latchkey-issuing" || (one.type_name == TABLE.0 && one.identifier == TABLE.1)));
    });
    let (_, found, _) = findings(&world);
    let fault = |check: &str, about: &str| ("fault".to_owned(), check.to_owned(), about.to_owned());
    assert_eq!(ill(&found), [fault("role.there", "latchkey-issuing"), fault("table.there", "latchkey")].into());
}

#[test]
#[ignore = "needs the tools: make test"]
fn its_requests_are_those_of_aws_s_model() {
    let world = World::start_with(StackOptions::default());
    assert_eq!(findings(&world).0, 0);
    let captured = world.stack.aws.captured();
    let operations = latchkey_tests::aws_check::assert_valid(&captured, |_| world.stack.credentials().clone());
    assert_eq!(operations.into_iter().collect::<BTreeSet<_>>(), ["GetResource", "ListResources"].map(str::to_owned).into());
}

#[test]
fn the_running_service_is_looked_at_with_the_file_that_it_writes() {
    let dev = Dev::start(&[]);
    let (code, out, err) = dev.run(&["doctor"]);
    assert_eq!((code, err.as_str()), (0, ""), "{out}");
    assert!(out.contains("sound    clock.issuer            local"), "{out}");
}

#[test]
fn the_document_has_every_check() {
    let text = std::fs::read_to_string(root().join("docs/operations.md")).unwrap();
    let rows: Vec<String> =
        text.lines().filter(|line| ALL.iter().any(|check| line.starts_with(&format!("| `{}` ", check.name)))).map(str::to_owned).collect();
    let expected: Vec<String> = ALL.iter().map(|check| format!("| `{}` | {} | {} |", check.name, check.holds, check.fix)).collect();
    assert_eq!(rows, expected);
}
