//! Families of events: what a caller does to the `Authorization` header, and what a gateway sends that is another, or set up otherwise.

use serde_json::{Value, json};

use super::forge::Forge;
use super::tokens::OK;

/// One event.
pub struct Knock {
    pub what: String,
    pub event: Vec<u8>,
    /// The reason, or [`OK`].
    pub comes_to: &'static str,
}

/// Events of one kind.
pub struct Family {
    pub name: &'static str,
    pub make: fn(&Forge) -> Vec<Knock>,
}

pub const FAMILIES: [Family; 5] = [
    Family { name: "the header `Authorization`: names, schemes, values, characters", make: authorization },
    Family { name: "other events than a REST API's, and no events at all", make: other_events },
    Family { name: "members that are missing, null, of another type, or there twice", make: members },
    Family { name: "the endpoint: missing, another, nearly one, somewhere else", make: endpoints },
    Family { name: "methods, paths and bodies", make: routes_and_bodies },
];

/// A request for a URL, as the gateway sends it, with this token.
fn launch(token: &str) -> Value {
    latchkey_tests::stack::launch("adversary", token, None)
}

/// A change to an event.
type Change = fn(&mut Value);

fn knock(what: impl Into<String>, event: &Value, comes_to: &'static str) -> Knock {
    Knock { what: what.into(), event: event.to_string().into_bytes(), comes_to }
}

fn raw(what: impl Into<String>, event: impl Into<Vec<u8>>, comes_to: &'static str) -> Knock {
    Knock { what: what.into(), event: event.into(), comes_to }
}

fn take_out(event: &mut Value, name: &str) {
    event.as_object_mut().unwrap().remove(name);
}

fn authorization(forge: &Forge) -> Vec<Knock> {
    let (token, other) = (forge.good_token(), forge.good_token());
    let bare = || {
        let mut event = launch("x");
        take_out(&mut event["headers"], "Authorization");
        take_out(&mut event["multiValueHeaders"], "Authorization");
        event
    };
    let (one, two) = (format!("Bearer {token}"), format!("Bearer {other}"));
    let mut all = Vec::new();
    let mut add = |what: String, single: &[(&str, Value)], multi: &[(&str, Value)], comes_to| {
        let mut event = bare();
        for (name, value) in single {
            event["headers"][*name] = value.clone();
        }
        for (name, value) in multi {
            event["multiValueHeaders"][*name] = value.clone();
        }
        all.push(knock(what, &event, comes_to));
    };
    const SEVERAL: &str = "authorization.several";
    const MISSING: &str = "authorization.missing";
    const SCHEME: &str = "authorization.other-scheme";
    const MALFORMED: &str = "authorization.malformed";

    let names = ["Authorization", "authorization", "AUTHORIZATION", "aUtHoRiZaTiOn"];
    for name in names {
        add(format!("{name} in the one map"), &[(name, json!(one))], &[], OK);
        add(format!("{name} in the other"), &[], &[(name, json!([one]))], OK);
        for other_name in names {
            add(format!("{name} and {other_name}, alike"), &[(name, json!(one))], &[(other_name, json!([one]))], OK);
            add(format!("{name} and {other_name}, not alike"), &[(name, json!(one))], &[(other_name, json!([two]))], SEVERAL);
            if name != other_name {
                add(format!("{name} beside {other_name}"), &[(name, json!(one)), (other_name, json!(one))], &[], SEVERAL);
                add(format!("{name} beside {other_name}, of many"), &[], &[(name, json!([one])), (other_name, json!([one]))], SEVERAL);
                add(format!("{name} beside {other_name}, empty"), &[(name, json!(one)), (other_name, json!(""))], &[], SEVERAL);
                add(format!("{name} beside {other_name}, null"), &[(name, json!(one)), (other_name, Value::Null)], &[], OK);
            }
        }
    }
    for (what, single, multi, comes_to) in [
        ("two values", json!(two), json!([one, two]), SEVERAL),
        ("one value twice", json!(one), json!([one, one]), SEVERAL),
        ("a hundred values", json!(one), json!(vec![&one; 100]), SEVERAL),
        ("a list that is empty", json!(one), json!([]), OK),
        ("a list that is null", json!(one), Value::Null, OK),
        ("null and a list", Value::Null, json!([one]), OK),
        ("null and null", Value::Null, Value::Null, MISSING),
        ("null and an empty list", Value::Null, json!([]), MISSING),
        ("empty and a list", json!(""), json!([one]), SEVERAL),
        ("a value and an empty one", json!(one), json!(["", one]), SEVERAL),
        ("another scheme besides", json!("Basic dTpw"), json!([one]), SEVERAL),
        ("a list for the value", json!([one]), json!([one]), OK),
        ("a text for the list", json!(one), json!(one), OK),
        ("lists that differ", json!([one, two]), json!([one]), SEVERAL),
        ("the same with a space", json!(format!("{one} ")), json!([one]), SEVERAL),
        ("the same in another case", json!(format!("bearer {token}")), json!([one]), SEVERAL),
        ("null in a list", json!(one), json!([null]), "event.malformed"),
        ("a number", json!(7), json!([one]), "event.malformed"),
        ("true", json!(true), json!([one]), "event.malformed"),
        ("an object", json!({"0": one}), json!([one]), "event.malformed"),
        ("a list in a list", json!(one), json!([[one]]), "event.malformed"),
        ("a number in a list", json!(one), json!([7]), "event.malformed"),
    ] {
        add(what.to_owned(), &[("Authorization", single)], &[("Authorization", multi)], comes_to);
    }
    for name in [
        "Authorization ",
        " Authorization",
        "Authorization:",
        "Authorization\u{0}",
        "Authorization\r\n",
        "Proxy-Authorization",
        "X-Authorization",
        "X-Forwarded-Authorization",
        "X-Amzn-Remapped-Authorization",
        "Authorisation",
        "Auth",
        "Token",
        "X-Access-Token",
        "Cookie",
        "access_token",
        "Authorization_",
        "\u{410}uthorization",
        "\u{ff21}uthorization",
        "Author\u{131}zation",
        "Authori\u{200b}zation",
        "DPoP",
    ] {
        add(format!("{name:?} for it"), &[(name, json!(one))], &[(name, json!([one]))], MISSING);
    }
    let mut value = |what: String, value: String, comes_to| {
        add(what, &[("Authorization", json!(value))], &[("Authorization", json!([value]))], comes_to);
    };
    for joined in
        [format!("{one},{two}"), format!("{one}, {two}"), format!("{one}, {token}"), format!(",{one}"), format!("{one},"), ",".into()]
    {
        value(format!("joined: {} bytes", joined.len()), joined, SEVERAL);
    }
    for scheme in ["bearer", "BEARER", "bEaReR", "Bearer "] {
        value(format!("scheme {scheme:?}"), format!("{scheme} {token}"), OK);
    }
    value("many spaces".into(), format!("Bearer{}{token}", " ".repeat(500)), OK);
    let others = [
        "Basic",
        "Digest",
        "Negotiate",
        "NTLM",
        "DPoP",
        "MAC",
        "Token",
        "JWT",
        "OAuth",
        "PoP",
        "GNAP",
        "AWS4-HMAC-SHA256",
        "Bear",
        "Bearers",
        "Bearer:",
        "Bearer=",
        "Bearer\t",
        "Bearer\u{a0}",
        "Bearer\u{3000}",
        "\u{412}earer",
        "\u{ff22}earer",
        "\u{200b}Bearer",
        "\u{feff}Bearer",
        "\"Bearer\"",
        "Authorization:",
        "",
    ];
    for scheme in others {
        value(format!("scheme {scheme:?}"), format!("{scheme} {token}"), SCHEME);
    }
    for (what, odd, comes_to) in [
        ("no scheme", token.clone(), SCHEME),
        ("no space", format!("Bearer{token}"), SCHEME),
        ("a tab for the space", format!("Bearer\t{token}"), SCHEME),
        ("a plus for the space", format!("Bearer+{token}"), SCHEME),
        ("an escape for the space", format!("Bearer%20{token}"), SCHEME),
        ("a space before", format!(" {one}"), SCHEME),
        ("a line end before", format!("\n{one}"), SCHEME),
        ("the scheme alone", "Bearer".into(), MALFORMED),
        ("the scheme and a space", "Bearer ".into(), MALFORMED),
        ("the scheme twice", format!("Bearer {one}"), MALFORMED),
        ("a space after", format!("{one} "), MALFORMED),
        ("a line end after", format!("{one}\r\n"), MALFORMED),
        ("a header after", format!("{one}\r\nX-Request-Id: x"), MALFORMED),
        ("a tab between", format!("Bearer \t{token}"), MALFORMED),
        ("two tokens", format!("{one} {token}"), MALFORMED),
        ("quotes", format!("Bearer \"{token}\""), MALFORMED),
        ("brackets", format!("Bearer <{token}>"), MALFORMED),
        ("a parameter", format!("Bearer token={token}"), "token.malformed"),
        ("parameters", format!("Bearer {token};realm=x"), MALFORMED),
        ("a fragment", format!("Bearer {token}#"), MALFORMED),
        ("percent", format!("Bearer {}", token.replacen('.', "%2E", 1)), MALFORMED),
        ("the words null", "Bearer null".into(), "token.malformed"),
        ("the word undefined", "Bearer undefined".into(), "token.malformed"),
        ("an object's text", "Bearer [object Object]".into(), MALFORMED),
        ("a variable", "Bearer ${TOKEN}".into(), MALFORMED),
        ("an asterisk", "Bearer *".into(), MALFORMED),
        ("padding alone", "Bearer ====".into(), "token.malformed"),
        ("nothing", String::new(), SCHEME),
        ("a space", " ".into(), SCHEME),
        ("a megabyte", format!("Bearer {}", "A".repeat(1 << 20)), "token.too-large"),
        ("a megabyte of scheme", "B".repeat(1 << 20), SCHEME),
    ] {
        value(what.to_owned(), odd, comes_to);
    }
    // Every control character, and others that some server drops, in the token, behind it and before it.
    let odd = (0..0x20).chain([0x7f, 0x80, 0x85, 0xa0, 0xad, 0x200b, 0x2028, 0xfeff, 0xff0e, 0x1_f600]);
    for character in odd.map(|code| char::from_u32(code).unwrap()) {
        value(format!("{character:?} in the token"), one.replacen('.', &format!(".{character}"), 1), MALFORMED);
        value(format!("{character:?} after it"), format!("{one}{character}"), MALFORMED);
        value(format!("{character:?} before the scheme"), format!("{character}{one}"), SCHEME);
    }
    all
}

fn other_events(forge: &Forge) -> Vec<Knock> {
    let token = forge.good_token();
    let bearer = format!("Bearer {token}");
    const NO_EVENT: &str = "event.malformed";
    const NOT_PRIVATE: &str = "endpoint.not-allowed";
    let mut all = Vec::new();
    let http_api = json!({
        "version": "2.0", "routeKey": "POST /presigned-urls", "rawPath": "/presigned-urls", "rawQueryString": "",
        "headers": {"authorization": bearer, "x-amzn-vpce-id": "vpce-0dev"},
        "requestContext": {
            "accountId": "123456789012", "apiId": "a1", "stage": "$default", "requestId": "JKJaXmPLvHcESHA=",
            "http": {"method": "POST", "path": "/presigned-urls", "protocol": "HTTP/1.1", "sourceIp": "10.0.4.17"},
        },
        "isBase64Encoded": false,
    });
    all.push(knock("an HTTP API, payload 2.0", &http_api, NO_EVENT));
    let mut url = http_api.clone();
    url["requestContext"]["domainName"] = "x.lambda-url.eu-central-1.on.aws".into();
    url["requestContext"]["authorizer"] = json!({"iam": {"userArn": "arn:aws:iam::123456789012:user/x"}});
    all.push(knock("a function URL", &url, NO_EVENT));
    let mut hybrid = http_api.clone();
    hybrid["httpMethod"] = "POST".into();
    hybrid["path"] = "/presigned-urls".into();
    all.push(knock("payload 2.0 with a method and a path", &hybrid, NOT_PRIVATE));
    hybrid["requestContext"]["vpceId"] = "vpce-0dev".into();
    all.push(knock("the same with an endpoint in the wrong place", &hybrid, NOT_PRIVATE));
    let mut http_api_1 = launch(&token);
    http_api_1["version"] = "1.0".into();
    take_out(&mut http_api_1["requestContext"]["identity"], "vpceId");
    all.push(knock("an HTTP API, payload 1.0", &http_api_1, NOT_PRIVATE));
    for multi in [false, true] {
        let headers = if multi { json!({"authorization": [bearer]}) } else { json!({"authorization": bearer}) };
        let balancer = json!({
            "requestContext": {"elb": {"targetGroupArn": "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/x/1"}},
            "httpMethod": "POST", "path": "/presigned-urls", "queryStringParameters": {}, "body": "", "isBase64Encoded": false,
            (if multi { "multiValueHeaders" } else { "headers" }): headers,
        });
        all.push(knock(format!("a load balancer's, headers of many {multi}"), &balancer, NOT_PRIVATE));
    }
    let lattice = json!({
        "version": "2.0", "path": "/presigned-urls", "method": "POST", "headers": {"authorization": [bearer]},
        "requestContext": {"serviceArn": "arn:aws:vpc-lattice:eu-central-1:123456789012:service/x", "identity": {"sourceVpcArn": "x"}},
    });
    all.push(knock("VPC Lattice, 2.0", &lattice, NO_EVENT));
    let lattice_1 = json!({"raw_path": "/presigned-urls", "method": "POST", "headers": {"authorization": bearer}, "body": ""});
    all.push(knock("VPC Lattice, 1.0", &lattice_1, NO_EVENT));
    let socket = json!({
        "requestContext": {"routeKey": "$connect", "eventType": "CONNECT", "connectionId": "x", "identity": {"vpceId": "vpce-0dev"}},
        "headers": {"Authorization": bearer}, "isBase64Encoded": false,
    });
    all.push(knock("a WebSocket API", &socket, NO_EVENT));
    let authorizer = json!({"type": "TOKEN", "authorizationToken": bearer, "methodArn": "arn:aws:execute-api:eu-central-1:1:x/v1/POST/x"});
    all.push(knock("an authorizer's", &authorizer, NO_EVENT));
    for (what, event) in [
        ("a queue's", json!({"Records": [{"eventSource": "aws:sqs", "body": launch(&token).to_string()}]})),
        ("a topic's", json!({"Records": [{"EventSource": "aws:sns", "Sns": {"Message": "x"}}]})),
        ("a bucket's", json!({"Records": [{"eventSource": "aws:s3"}]})),
        ("a schedule's", json!({"source": "aws.events", "detail-type": "Scheduled Event", "detail": {}})),
        ("a pool's", json!({"triggerSource": "PreSignUp_SignUp", "request": {}, "response": {}})),
        ("a warmer's", json!({"source": "serverless-plugin-warmup"})),
        ("a custom resource's", json!({"RequestType": "Create", "ResourceProperties": {}})),
        ("a console's test", json!({"key1": "value1", "key2": "value2"})),
        ("a proxy event in a proxy event", json!({"body": launch(&token).to_string()})),
        ("an edge's", json!({"Records": [{"cf": {"request": {"uri": "/presigned-urls", "method": "POST"}}}]})),
        ("an agent's", json!({"messageVersion": "1.0", "httpMethod": null, "apiPath": "/presigned-urls"})),
    ] {
        all.push(knock(what, &event, NO_EVENT));
    }
    let good = launch(&token).to_string();
    for (what, event) in [
        ("null", &b"null"[..]),
        ("a number", b"7"),
        ("a text", b"\"launch\""),
        ("a list", b"[]"),
        ("a list with an event", format!("[{good}]").as_bytes()),
        ("an object", b"{}"),
        ("text", b"hello"),
        ("HTML", b"<html></html>"),
        ("half an object", &good.as_bytes()[..good.len() / 2]),
        ("all but the last", &good.as_bytes()[..good.len() - 1]),
        ("an event and more", format!("{good}x").as_bytes()),
        ("two events", format!("{good}{good}").as_bytes()),
        ("a byte order mark", format!("\u{feff}{good}").as_bytes()),
        ("UTF-16", &good.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>()),
        ("NUL after", format!("{good}\0").as_bytes()),
        ("a comment", format!("/**/{good}").as_bytes()),
        ("in base64", super::forge::b64(&good).as_bytes()),
        ("lists without end", "[".repeat(50_000).as_bytes()),
        ("objects without end", "{\"a\":".repeat(50_000).as_bytes()),
        ("a megabyte of nothing", vec![b' '; 1 << 20].as_slice()),
    ] {
        all.push(raw(what, event, NO_EVENT));
    }
    // What is read has to be text, and what is not can be anything.
    for (what, from, to, comes_to) in [
        ("the endpoint", "\"vpceId\":\"vpce-0dev\"", "\"vpceId\":\"@\"", NO_EVENT),
        ("the method", "\"httpMethod\":\"POST\",\"isBase", "\"httpMethod\":\"@\",\"isBase", NO_EVENT),
        ("a header that is not read", "portal/1.0", "@", OK),
    ] {
        assert!(good.contains(from), "{what}");
        let bytes = good.replace(from, to).bytes().map(|b| if b == b'@' { 0xff } else { b }).collect::<Vec<_>>();
        all.push(raw(format!("no UTF-8 in {what}"), bytes, comes_to));
    }
    all
}

fn members(forge: &Forge) -> Vec<Knock> {
    let token = forge.good_token();
    const NO_EVENT: &str = "event.malformed";
    const NOT_PRIVATE: &str = "endpoint.not-allowed";
    let mut all = Vec::new();
    // Each member: without it, and with null.
    for (name, without) in [
        ("resource", OK),
        ("path", OK),
        ("httpMethod", NO_EVENT),
        ("headers", OK),
        ("multiValueHeaders", OK),
        ("queryStringParameters", OK),
        ("multiValueQueryStringParameters", OK),
        ("pathParameters", OK),
        ("stageVariables", OK),
        ("requestContext", NOT_PRIVATE),
        ("body", OK),
        ("isBase64Encoded", OK),
    ] {
        let mut event = launch(&token);
        event[name] = Value::Null;
        all.push(knock(format!("{name} null"), &event, without));
        take_out(&mut event, name);
        all.push(knock(format!("no {name}"), &event, without));
        // Every other type. What is not read can be anything.
        let (is_read, fits): (bool, fn(&Value) -> bool) = match name {
            "resource" | "path" | "httpMethod" | "body" => (true, Value::is_string),
            "isBase64Encoded" => (true, Value::is_boolean),
            "headers" | "multiValueHeaders" => (true, Value::is_object),
            "requestContext" => (true, Value::is_object),
            _ => (false, Value::is_null),
        };
        for value in [json!(7), json!(true), json!("x"), json!(["x"]), json!({"x": 1}), json!(1.5)] {
            if !(is_read && fits(&value)) {
                event[name] = value.clone();
                all.push(knock(format!("{name}: {value}"), &event, if is_read { NO_EVENT } else { OK }));
            }
        }
    }
    for (name, comes_to) in [("requestContext", NOT_PRIVATE), ("headers", OK), ("multiValueHeaders", OK)] {
        let mut event = launch(&token);
        event[name] = json!({});
        all.push(knock(format!("{name} empty"), &event, comes_to));
    }
    let mut event = launch(&token);
    event["headers"] = Value::Null;
    event["multiValueHeaders"] = Value::Null;
    all.push(knock("no headers at all", &event, "authorization.missing"));
    for name in ["resource", "path"] {
        event[name] = Value::Null;
    }
    all.push(knock("neither resource nor path", &event, NO_EVENT));
    let all_null: Value =
        event.as_object().unwrap().keys().map(|name| (name.clone(), Value::Null)).collect::<serde_json::Map<_, _>>().into();
    all.push(knock("null everywhere", &all_null, NO_EVENT));
    for name in
        ["requestId", "accountId", "identity", "stage", "resourcePath", "httpMethod", "path", "apiId", "protocol", "extendedRequestId"]
    {
        let comes_to = if name == "identity" { NOT_PRIVATE } else { OK };
        let mut event = launch(&token);
        event["requestContext"][name] = Value::Null;
        all.push(knock(format!("requestContext.{name} null"), &event, comes_to));
        take_out(&mut event["requestContext"], name);
        all.push(knock(format!("no requestContext.{name}"), &event, comes_to));
    }
    for name in ["vpceId", "sourceIp", "vpcId", "userAgent"] {
        let comes_to = if name == "vpceId" { NOT_PRIVATE } else { OK };
        let mut event = launch(&token);
        event["requestContext"]["identity"][name] = Value::Null;
        all.push(knock(format!("identity.{name} null"), &event, comes_to));
        take_out(&mut event["requestContext"]["identity"], name);
        all.push(knock(format!("no identity.{name}"), &event, comes_to));
    }
    for (name, value) in [("requestId", json!(7)), ("accountId", json!(123_456_789_012_u64)), ("identity", json!("vpce-0dev"))] {
        let mut event = launch(&token);
        event["requestContext"][name] = value;
        all.push(knock(format!("requestContext.{name} of another type"), &event, NO_EVENT));
    }
    // Lists, as some readers take for a structure of as many members.
    let context = json!(["id", "123456789012", {"vpceId": "vpce-0dev"}]);
    let whole = json!(["/presigned-urls", "/presigned-urls", "POST", {}, {}, null, false, launch(&token)["requestContext"]]);
    let mut event = launch(&token);
    event["requestContext"]["identity"] = json!(["vpce-0dev", "10.0.4.17"]);
    all.push(knock("a list for the identity", &event, NO_EVENT));
    event["requestContext"] = context;
    all.push(knock("a list for the context", &event, NO_EVENT));
    all.push(knock("a list for the event", &whole, NO_EVENT));
    // Twice, written alike or with an escape: which of the two counts would be a guess.
    let good = launch(&token).to_string();
    for name in ["resource", "path", "httpMethod", "headers", "multiValueHeaders", "requestContext", "body", "isBase64Encoded"] {
        let value = launch(&token)[name].to_string();
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        all.push(raw(format!("{name} twice"), good.replacen('{', &format!("{{\"{name}\":{value},"), 1), NO_EVENT));
        all.push(raw(format!("{name} twice, with an escape"), good.replacen('{', &format!("{{\"{escaped}\":{value},"), 1), NO_EVENT));
    }
    for name in ["vpceId", "vpc\\u0065Id", "sourceIp"] {
        let twice = good.replacen("\"identity\":{", &format!("\"identity\":{{\"{name}\":\"vpce-0dev\","), 1);
        all.push(raw(format!("identity.{name} twice"), twice, NO_EVENT));
    }
    // Members of a caller's own, and of an authorizer that is not there.
    for (what, member, value) in [
        ("stage variables", "stageVariables", json!({"LATCHKEY_ROLE_ARN": "arn:aws:iam::999999999999:role/x", "vpceId": "vpce-x"})),
        ("a query", "queryStringParameters", json!({"target": "other", "access_token": "x", "landing": "../x"})),
        ("path parameters", "pathParameters", json!({"proxy": "health", "target": "other"})),
        ("a version", "version", json!("2.0")),
        ("cookies", "cookies", json!(["Authorization=x"])),
        ("a prototype", "__proto__", json!({"httpMethod": "GET"})),
    ] {
        let mut event = launch(&token);
        event[member] = value;
        all.push(knock(format!("{what}, which count for nothing"), &event, OK));
    }
    let mut event = launch("x");
    for map in ["headers", "multiValueHeaders"] {
        take_out(&mut event[map], "Authorization");
    }
    for (what, authorizer) in [
        ("an authorizer's claims", json!({"claims": {"iss": super::forge::ISSUER, "sub": forge.subject}})),
        ("an authorizer's principal", json!({"principalId": forge.subject, "integrationLatency": 1})),
        ("an authorizer's token", json!({"token": token})),
    ] {
        event["requestContext"]["authorizer"] = authorizer;
        all.push(knock(format!("{what} and no token"), &event, "authorization.missing"));
    }
    event["requestContext"]["identity"]["userArn"] = "arn:aws:iam::123456789012:role/portal".into();
    event["requestContext"]["identity"]["caller"] = "AROAEXAMPLE:portal".into();
    all.push(knock("a signature of AWS's and no token", &event, "authorization.missing"));
    event["requestContext"]["identity"]["apiKey"] = "x".into();
    all.push(knock("an API key and no token", &event, "authorization.missing"));
    event["requestContext"]["identity"]["clientCert"] = json!({"subjectDN": "CN=alice"});
    all.push(knock("a client's certificate and no token", &event, "authorization.missing"));
    all
}

fn endpoints(forge: &Forge) -> Vec<Knock> {
    let token = forge.good_token();
    let mut all = Vec::new();
    let names = [
        "",
        " ",
        "vpce-0de",
        "vpce-0devx",
        "xvpce-0dev",
        "VPCE-0DEV",
        "vpce-0dev ",
        " vpce-0dev",
        "vpce-0dev\0",
        "vpce-0dev\n",
        "vpce-0dev,vpce-0x",
        "vpce-0x,vpce-0dev",
        "vpce-0dev-x.execute-api",
        "vpce-0d\u{435}v",
        "vpce\u{2011}0dev",
        "vpce-0dev\u{200b}",
        "any",
        "*",
        "vpce-*",
        "vpce-0dev*",
        "null",
        "true",
        "${vpceId}",
        "$context.identity.vpceId",
        "vpc-0dev",
        "vpce-0other",
        "arn:aws:ec2:eu-central-1:123456789012:vpc-endpoint/vpce-0dev",
    ];
    for name in names.into_iter().map(str::to_owned).chain(["v".repeat(100_000)]) {
        let mut event = launch(&token);
        event["requestContext"]["identity"]["vpceId"] = name.clone().into();
        all.push(knock(format!("endpoint {:?}", name.get(..60).unwrap_or(&name)), &event, "endpoint.not-allowed"));
    }
    for value in [json!(0), json!(true), json!(["vpce-0dev"]), json!({"id": "vpce-0dev"})] {
        let mut event = launch(&token);
        event["requestContext"]["identity"]["vpceId"] = value.clone();
        all.push(knock(format!("endpoint {value}"), &event, "event.malformed"));
    }
    // Where a caller can write it, or another version has it.
    let elsewhere: [(&str, Change); 12] = [
        ("in the request's headers", |_| {}),
        ("in the context", |event| event["requestContext"]["vpceId"] = "vpce-0dev".into()),
        ("in the event", |event| event["vpceId"] = "vpce-0dev".into()),
        ("in an identity of the event's", |event| event["identity"] = json!({"vpceId": "vpce-0dev"})),
        ("in the authorizer's", |event| event["requestContext"]["authorizer"] = json!({"vpceId": "vpce-0dev"})),
        ("with another case", |event| event["requestContext"]["identity"]["VpceId"] = "vpce-0dev".into()),
        ("with another case still", |event| event["requestContext"]["identity"]["vpceid"] = "vpce-0dev".into()),
        ("with an underscore", |event| event["requestContext"]["identity"]["vpce_id"] = "vpce-0dev".into()),
        ("in the stage's variables", |event| event["stageVariables"] = json!({"vpceId": "vpce-0dev"})),
        ("in the query", |event| event["queryStringParameters"] = json!({"vpceId": "vpce-0dev"})),
        ("as the address", |event| event["requestContext"]["identity"]["sourceIp"] = "vpce-0dev".into()),
        ("in the domain", |event| event["requestContext"]["domainPrefix"] = "vpce-0dev".into()),
    ];
    for (where_, change) in elsewhere {
        let mut event = launch(&token);
        take_out(&mut event["requestContext"]["identity"], "vpceId");
        change(&mut event);
        all.push(knock(format!("the endpoint {where_}"), &event, "endpoint.not-allowed"));
    }
    // Whoever comes from elsewhere is not told what there is, and a token is not looked at.
    for (path, method) in [("/targets", "GET"), ("/targets", "POST"), ("/nothing", "GET"), ("/presigned-urls", "DELETE"), ("", "")] {
        for token in [token.as_str(), "x", ""] {
            let mut event = launch(token);
            event["requestContext"]["identity"]["vpceId"] = "vpce-0other".into();
            (event["resource"], event["path"], event["httpMethod"]) = (path.into(), path.into(), method.into());
            all.push(knock(format!("{method} {path} from elsewhere, {} bytes of token", token.len()), &event, "endpoint.not-allowed"));
        }
    }
    all
}

fn routes_and_bodies(forge: &Forge) -> Vec<Knock> {
    let token = forge.good_token();
    let mut all = Vec::new();
    for (path, right) in [("/presigned-urls", "POST"), ("/targets", "GET")] {
        for method in [
            "GET", "POST", "PUT", "PATCH", "DELETE", "HEAD", "OPTIONS", "TRACE", "CONNECT", "post", "get", "POST ", " GET", "POST\0",
            "ANY", "*", "",
        ] {
            if method != right {
                let mut event = launch(&token);
                (event["resource"], event["path"], event["httpMethod"]) = (path.into(), path.into(), method.into());
                event["headers"]["X-HTTP-Method-Override"] = right.into();
                all.push(knock(format!("{method:?} {path}"), &event, "route.no-such-method"));
            }
        }
    }
    let paths = [
        "/presigned-urls/",
        "//presigned-urls",
        "/presigned-urls//",
        "presigned-urls",
        "/presigned%2Durls",
        "/%70resigned-urls",
        "/presigned-urls%2F",
        "%2Fpresigned-urls",
        "/presigned-urls%00",
        "/presigned-urls\0",
        "/presigned-urls%20",
        "/presigned-urls ",
        "/presigned-urls?a=b",
        "/presigned-urls#a",
        "/presigned-urls;a=b",
        "/presigned-urls/..",
        "/presigned-urls/.",
        "/./presigned-urls",
        "/targets/../presigned-urls",
        "/targets/..%2Fpresigned-urls",
        "/health/..%2fpresigned-urls",
        "/health;/../presigned-urls",
        "\\presigned-urls",
        "/v1/presigned-urls",
        "/prod/presigned-urls",
        "/Presigned-Urls",
        "/PRESIGNED-URLS",
        "/presigned_urls",
        "/presigned-url",
        "/presigned-urlss",
        "/presigned\u{2010}urls",
        "/presigned-url\u{455}",
        "/\u{ff50}resigned-urls",
        "https://evil.example/presigned-urls",
        "//evil.example/presigned-urls",
        "/",
        "",
        "*",
        "/targets/secret",
        "/health/x",
        "/.env",
        "/../../etc/passwd",
        "/${jndi:ldap://evil.example/x}",
    ];
    for path in paths {
        for resource in [json!(path), json!("/{proxy+}"), Value::Null] {
            let mut event = launch(&token);
            (event["resource"], event["path"]) = (resource.clone(), path.into());
            all.push(knock(format!("{resource} at {path:?}"), &event, "route.no-such-path"));
        }
    }
    // The template's path is the gateway's word; the other can hold a custom domain's base path, or anything.
    let mut add = |what: &str, change: Change, comes_to| {
        let mut event = launch(&token);
        change(&mut event);
        all.push(knock(what, &event, comes_to));
    };
    add("another path than the resource's", |event| event["path"] = "/base/presigned-urls".into(), OK);
    add("another resource than the path's", |event| event["resource"] = "/nothing".into(), "route.no-such-path");
    add("the resource of the list", |event| event["resource"] = "/targets".into(), "route.no-such-method");
    add("another path in the context", |event| event["requestContext"]["path"] = "/v1/targets".into(), OK);
    add("another resource in the context", |event| event["requestContext"]["resourcePath"] = "/targets".into(), OK);
    add("another method in the context", |event| event["requestContext"]["httpMethod"] = "GET".into(), OK);
    add("another method than the context's", |event| event["httpMethod"] = "GET".into(), "route.no-such-method");
    add("another stage", |event| event["requestContext"]["stage"] = "test-invoke-stage".into(), OK);
    let body = |what: &str, body: Value, is_base64: Value, content_type: Value, comes_to| {
        let mut event = launch(&token);
        (event["body"], event["isBase64Encoded"]) = (body, is_base64);
        event["headers"]["Content-Type"] = content_type;
        knock(what, &event, comes_to)
    };
    let json_type = || json!("application/json");
    let encoded = |text: &str| {
        use base64::Engine as _;
        json!(base64::engine::general_purpose::STANDARD.encode(text))
    };
    for (what, text, flag, comes_to) in [
        ("JSON", json!("{}"), json!(false), OK),
        ("JSON in base64", encoded("{}"), json!(true), OK),
        ("JSON that is said to be base64", json!("{}"), json!(true), "body.not-base64"),
        ("base64 that is said to be JSON", encoded("{}"), json!(false), "body.malformed"),
        ("base64 and null for the flag", encoded("{}"), Value::Null, "body.malformed"),
        ("base64 twice", encoded("e30="), json!(true), "body.malformed"),
        ("base64url", json!("eyJ0YXJnZXQiOiI_PyJ9"), json!(true), "body.not-base64"),
        ("base64 without its padding", json!("e30"), json!(true), "body.not-base64"),
        ("base64 with a line end", json!("e30=\n"), json!(true), "body.not-base64"),
        ("base64 of no text", json!("/////w=="), json!(true), "body.malformed"),
        ("base64 of nothing", json!(""), json!(true), OK),
        ("the flag as text", json!("{}"), json!("false"), "event.malformed"),
        ("the flag as a number", json!("{}"), json!(0), "event.malformed"),
        ("an object that is no text", json!({}), json!(false), "event.malformed"),
        ("a list", json!("[]"), json!(false), "body.malformed"),
        ("a list of values", json!("[\"research\"]"), json!(false), "body.malformed"),
        ("null as text", json!("null"), json!(false), "body.malformed"),
        ("a text", json!("\"research\""), json!(false), "body.malformed"),
        ("a member twice", json!("{\"target\":\"research\",\"target\":\"research\"}"), json!(false), "body.malformed"),
        ("a member twice, with an escape", json!("{\"target\":\"research\",\"t\\u0061rget\":\"x\"}"), json!(false), "body.malformed"),
        ("another member", json!("{\"domain_id\":\"d-demoresearch\"}"), json!(false), "body.malformed"),
        ("a prototype", json!("{\"__proto__\":{\"target\":\"x\"}}"), json!(false), "body.malformed"),
        ("a path", json!("{\"target\":\"../x\"}"), json!(false), "body.not-a-name"),
        ("an address", json!("{\"landing\":\"https://evil.example\"}"), json!(false), "body.not-a-name"),
        ("a key of the table", json!("{\"target\":\"TARGET#research\"}"), json!(false), "body.not-a-name"),
        ("a look-alike", json!("{\"target\":\"rese\u{430}rch\"}"), json!(false), "body.not-a-name"),
        ("a byte order mark", json!("\u{feff}{}"), json!(false), "body.malformed"),
        ("deep", json!(format!("{{\"target\":{}}}", "[".repeat(2000))), json!(false), "body.malformed"),
        ("a form", json!("target=research"), json!(false), "body.malformed"),
        ("XML", json!("<target>research</target>"), json!(false), "body.malformed"),
        ("4,097 bytes", json!(format!("{{}}{}", " ".repeat(4095))), json!(false), "body.too-large"),
        ("a megabyte", json!("x".repeat(1 << 20)), json!(false), "body.too-large"),
        ("a megabyte of base64", json!("A".repeat(1 << 20)), json!(true), "body.too-large"),
    ] {
        all.push(body(what, text, flag, json_type(), comes_to));
    }
    for content_type in [
        "text/plain",
        "application/x-www-form-urlencoded",
        "multipart/form-data; boundary=x",
        "application/jsonp",
        "application/xml",
        "json",
        "",
    ] {
        all.push(body(content_type, json!("{}"), json!(false), json!(content_type), "body.media-type"));
    }
    all
}
