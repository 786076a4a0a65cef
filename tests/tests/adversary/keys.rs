//! Key sets and discovery documents as a broken issuer serves them, and the server that does.

use std::collections::HashMap;
use std::io::{BufRead as _, BufReader, Write as _};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::{Value, json};

use super::forge::{Pair, b64, hex};
use super::tokens::SOMEBODY_ELSE;

/// The points of Ed25519 whose order divides eight, in each of their encodings. With one of them as a key, anybody can sign.
pub const SMALL_ORDER: [&str; 14] = [
    "0000000000000000000000000000000000000000000000000000000000000000",
    "0000000000000000000000000000000000000000000000000000000000000080",
    "0100000000000000000000000000000000000000000000000000000000000000",
    "0100000000000000000000000000000000000000000000000000000000000080",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc05",
    "26e8958fc2b227b045c3f489f2ef98f0d5dfac05d3c63339b13802886d53fc85",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac037a",
    "c7176a703d4dd84fba3c0b760d10670f2a2053fa2c39ccc64ec7fd7792ac03fa",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "ecffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "edffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff7f",
    "eeffffffffffffffffffffffffffffffffffffffffffffffffffffffffffffff",
];

/// What a server sends.
#[derive(Clone)]
pub enum Serve {
    /// These bytes, and then it closes.
    Bytes(Vec<u8>),
    /// A head, and then a body without an end.
    Endless,
    /// A byte now and then.
    Drip,
}

/// An issuer that serves its key set, or its discovery document, in one of these ways.
pub struct Case {
    pub what: String,
    /// Whether its keys are found by discovery: then that is what is served.
    pub by_discovery: bool,
    pub serve: Serve,
    /// The id of the key that its token names, and what comes of that token.
    pub kid: &'static str,
    pub comes_to: &'static str,
}

/// Cases of one kind.
pub struct Family {
    pub name: &'static str,
    pub make: fn(&Keys) -> Vec<Case>,
}

pub const FAMILIES: [Family; 4] = [
    Family { name: "key sets that are none", make: no_key_sets },
    Family { name: "key sets with keys that are not for us, secret, weak or no keys, alone and beside a good one", make: keys_of_sets },
    Family { name: "answers: status, redirects, sizes, slowness, encodings", make: answers },
    Family { name: "discovery documents of others, or that lead elsewhere", make: discovery },
];

/// The keys of the issuers here.
pub struct Keys {
    pub good: Pair,
    pub other: Pair,
    pub rsa: Pair,
    /// Where nobody is to call.
    pub trap: String,
}

impl Keys {
    pub fn new(trap: String) -> Self {
        Self { good: Pair::p256(), other: Pair::p384(), rsa: Pair::rsa(), trap }
    }

    fn set(&self, keys: &[Value]) -> String {
        json!({ "keys": keys }).to_string()
    }

    /// A set with nothing wrong.
    pub fn well(&self) -> String {
        self.set(&[self.good.jwk("k", &json!({}))])
    }
}

/// An answer with this status and content.
fn answer(status: u16, headers: &str, body: &[u8]) -> Serve {
    let head = format!("HTTP/1.1 {status} X\r\nContent-Length: {}\r\nConnection: close\r\n{headers}\r\n", body.len());
    Serve::Bytes([head.as_bytes(), body].concat())
}

fn document(body: impl AsRef<[u8]>) -> Serve {
    answer(200, "Content-Type: application/json\r\n", body.as_ref())
}

fn case(what: impl Into<String>, serve: Serve, kid: &'static str, comes_to: &'static str) -> Case {
    Case { what: what.into(), by_discovery: false, serve, kid, comes_to }
}

fn no_key_sets(keys: &Keys) -> Vec<Case> {
    let good = keys.well();
    let members = &good[1..good.len() - 1];
    let jwk = keys.good.jwk("k", &json!({}));
    let many: Vec<Value> = (0..101).map(|n| keys.good.jwk(&format!("k{n}"), &json!({}))).collect();
    let utf16: Vec<u8> = good.encode_utf16().flat_map(u16::to_le_bytes).collect();
    let documents: Vec<(&str, Vec<u8>)> = vec![
        ("a page", "<!doctype html><title>Sign in</title>".into()),
        ("nothing", Vec::new()),
        ("white space", "  \n".into()),
        ("half of it", good.as_bytes()[..good.len() / 2].to_vec()),
        ("a byte order mark before", format!("\u{feff}{good}").into()),
        ("UTF-16", utf16),
        ("text after", format!("{good}x").into()),
        ("twice", format!("{good}{good}").into()),
        ("keys twice", format!("{{{members},{members}}}").into()),
        ("keys twice, once with an escape", format!("{{{members},\"\\u006beys\":[]}}").into()),
        ("keys as an object", json!({"keys": {"k": jwk}}).to_string().into()),
        ("keys null", json!({"keys": null}).to_string().into()),
        ("keys as text", json!({"keys": good}).to_string().into()),
        ("no keys", json!({"jwks": [jwk]}).to_string().into()),
        ("a key alone", jwk.to_string().into()),
        ("a list of keys", json!([jwk]).to_string().into()),
        ("null", "null".into()),
        ("certificates by key id", json!({"k": "-----BEGIN CERTIFICATE-----"}).to_string().into()),
        ("a comment", format!("/* keys */{good}").into()),
        ("a prefix against inclusion", format!(")]}}',\n{good}").into()),
        ("a signed set", format!("e30.{}.AAAA", b64(&good)).into()),
        ("101 keys", keys.set(&many).into()),
        ("no UTF-8", good.bytes().map(|b| if b == b'k' { 0xff } else { b }).collect()),
        ("lists without end", format!("{{\"keys\":{}", "[".repeat(100_000)).into()),
    ];
    documents.into_iter().map(|(what, body)| case(what, document(body), "k", "keys.not-a-key-set")).collect()
}

fn keys_of_sets(keys: &Keys) -> Vec<Case> {
    let bad_rsa = |n: Vec<u8>, e: &[u8]| json!({"kty": "RSA", "n": b64(n), "e": b64(e)});
    let modulus = |bytes: usize| (0..bytes).map(|at| if at == 0 || at == bytes - 1 { 0xc1 } else { 0x5a }).collect::<Vec<u8>>();
    let with = |pair: &Pair, more: Value| pair.jwk("bad", &more);
    let ec = |crv: &str, x: &[u8], y: &[u8]| json!({"kty": "EC", "crv": crv, "x": b64(x), "y": b64(y)});
    let okp = |crv: &str, x: &[u8]| json!({"kty": "OKP", "crv": crv, "x": b64(x)});
    let mut bad: Vec<(String, Value)> = Vec::new();
    let e = &[1, 0, 1][..];
    let odd: Vec<(&str, Value)> = vec![
        ("with its secret, RSA", with(&keys.rsa, json!({"d": "AQAB", "p": "AQAB", "q": "AQAB"}))),
        ("with a factor, RSA", with(&keys.rsa, json!({"p": "AQAB"}))),
        ("with an exponent of the secret, RSA", with(&keys.rsa, json!({"dp": "AQAB"}))),
        ("with further primes, RSA", with(&keys.rsa, json!({"oth": []}))),
        ("with its secret, EC", with(&keys.other, json!({"d": b64([1; 48])}))),
        ("with a secret that is null, EC", with(&keys.other, json!({"d": null}))),
        ("with its secret, OKP", json!({"kty": "OKP", "crv": "Ed25519", "x": b64([9; 32]), "d": b64([1; 32])})),
        ("symmetric", json!({"kty": "oct", "k": b64([1; 32]), "alg": "HS256"})),
        ("symmetric, without its secret", json!({"kty": "oct", "alg": "HS256"})),
        ("for encryption", with(&keys.other, json!({"use": "enc"}))),
        ("for something else", with(&keys.other, json!({"use": "SIG"}))),
        ("for signing", with(&keys.other, json!({"key_ops": ["sign"]}))),
        ("for nothing", with(&keys.other, json!({"key_ops": []}))),
        ("for what is no list", with(&keys.other, json!({"key_ops": "verify"}))),
        ("for HS256", with(&keys.rsa, json!({"alg": "HS256"}))),
        ("for none", with(&keys.rsa, json!({"alg": "none"}))),
        ("for RS512", with(&keys.rsa, json!({"alg": "RS512"}))),
        ("for an algorithm of another kind", with(&keys.rsa, json!({"alg": "ES256"}))),
        ("RSA of 512 bits", bad_rsa(modulus(64), e)),
        ("RSA of 1024 bits", bad_rsa(modulus(128), e)),
        ("RSA of 2047 bits", bad_rsa([&[0x7f], &modulus(255)[..]].concat(), e)),
        ("RSA of 16384 bits", bad_rsa(modulus(2048), e)),
        ("RSA with zeros before it", bad_rsa([&[0; 128], &modulus(128)[..]].concat(), e)),
        ("RSA with the exponent 1", bad_rsa(modulus(256), &[1])),
        ("RSA with the exponent 0", bad_rsa(modulus(256), &[0])),
        ("RSA with the exponent 3", bad_rsa(modulus(256), &[3])),
        ("RSA with an even exponent", bad_rsa(modulus(256), &[1, 0, 2])),
        ("RSA with a long exponent", bad_rsa(modulus(256), &[0xff; 256])),
        ("RSA with an even modulus", bad_rsa([&modulus(255)[..], &[2]].concat(), e)),
        ("RSA without a modulus", json!({"kty": "RSA", "e": "AQAB"})),
        ("RSA with padding in the modulus", json!({"kty": "RSA", "n": format!("{}==", b64(modulus(256))), "e": "AQAB"})),
        ("a point off P-256", ec("P-256", &[1; 32], &[1; 32])),
        ("the point of zeros", ec("P-256", &[0; 32], &[0; 32])),
        ("a point off P-384", ec("P-384", &[1; 48], &[1; 48])),
        ("a point of P-256 under P-384", {
            let mut key = keys.good.jwk("bad", &json!({}));
            key["crv"] = "P-384".into();
            key
        }),
        ("a point that is too short", ec("P-256", &[1; 31], &[1; 32])),
        ("a coordinate beyond the field", ec("P-256", &[0xff; 32], &[1; 32])),
        ("P-521", ec("P-521", &[1; 66], &[1; 66])),
        ("secp256k1", ec("secp256k1", &[1; 32], &[1; 32])),
        ("X25519", okp("X25519", &[9; 32])),
        ("Ed448", okp("Ed448", &[1; 57])),
        ("Ed25519 of 31 bytes", okp("Ed25519", &[1; 31])),
        ("of no type", json!({"crv": "P-256"})),
        ("of a type in another case", {
            let mut key = keys.other.jwk("bad", &json!({}));
            key["kty"] = "ec".into();
            key
        }),
        ("of numbers", json!({"kty": "EC", "crv": "P-256", "x": 1, "y": 2})),
        ("of a certificate alone", json!({"kty": "RSA", "x5c": ["MIIB"]})),
        ("null", Value::Null),
        ("text", json!("key")),
        ("a list", json!([])),
    ];
    bad.extend(odd.into_iter().map(|(what, key)| (what.to_owned(), key)));
    for point in SMALL_ORDER {
        bad.push((format!("Ed25519 of small order {}…{}", &point[..4], &point[62..]), okp("Ed25519", &hex(point))));
    }
    for kid in [json!(null), json!(7), json!(""), json!("k".repeat(256)), json!("k\n"), json!(["bad"])] {
        let mut key = keys.other.jwk("bad", &json!({}));
        key["kid"] = kid.clone();
        bad.push((format!("with the id {}", kid.to_string().get(..12).unwrap_or(&kid.to_string())), key));
    }
    let mut all = Vec::new();
    let good = keys.good.jwk("k", &json!({}));
    for (what, mut key) in bad {
        if key.is_object() && key.get("kid").is_none() {
            key["kid"] = "bad".into();
        }
        all.push(case(format!("a key {what}, alone"), document(keys.set(&[key.clone()])), "bad", "keys.no-usable-key"));
        all.push(case(
            format!("a key {what}, whose token comes"),
            document(keys.set(&[key.clone(), good.clone()])),
            "bad",
            "token.key-unknown",
        ));
        all.push(case(format!("a key {what}, beside a good one"), document(keys.set(&[key, good.clone()])), "k", SOMEBODY_ELSE));
    }
    let twice = [good.clone(), keys.rsa.jwk("twice", &json!({})), keys.other.jwk("twice", &json!({}))];
    all.push(case("no keys at all", document(keys.set(&[])), "k", "keys.no-usable-key"));
    all.push(case("an id twice, alone", document(keys.set(&twice[1..])), "twice", "keys.no-usable-key"));
    all.push(case("an id twice, and its token", document(keys.set(&twice)), "twice", "token.key-ambiguous"));
    all.push(case("an id twice, beside a good one", document(keys.set(&twice)), "k", SOMEBODY_ELSE));
    all.push(case("the same key twice", document(keys.set(&[good.clone(), good.clone()])), "k", "keys.no-usable-key"));
    let named_twice = keys.well().replacen("\"kid\":\"k\"", "\"kid\":\"k\",\"kid\":\"k\"", 1);
    all.push(case("a member of the key twice", document(named_twice), "k", "keys.no-usable-key"));
    let hundred: Vec<Value> = (0..99).map(|_| json!({"kty": "oct"})).chain([good]).collect();
    all.push(case("99 that are no use before a good one", document(keys.set(&hundred)), "k", SOMEBODY_ELSE));
    all
}

fn answers(keys: &Keys) -> Vec<Case> {
    let good = keys.well();
    let mut all = Vec::new();
    for status in [201, 202, 203, 204, 206, 400, 401, 403, 404, 410, 418, 429, 500, 502, 503, 504] {
        all.push(case(format!("status {status}"), answer(status, "", good.as_bytes()), "k", "keys.fetch-status"));
    }
    for status in [300, 301, 302, 303, 307, 308] {
        for to in [keys.trap.as_str(), "/again", "https://evil.example/keys", "//evil.example/keys", "file:///etc/passwd", ""] {
            let serve = answer(status, &format!("Location: {to}\r\n"), good.as_bytes());
            all.push(case(format!("status {status} to {to:?}"), serve, "k", "keys.fetch-redirect"));
        }
    }
    let announced = |length: u64| Serve::Bytes(format!("HTTP/1.1 200 OK\r\nContent-Length: {length}\r\n\r\n{good}").into_bytes());
    all.push(case("a byte too many", document(" ".repeat(256 * 1024 + 1)), "k", "keys.fetch-too-large"));
    all.push(case("as many as there may be", document(format!("{good}{}", " ".repeat(256 * 1024 - good.len()))), "k", SOMEBODY_ELSE));
    all.push(case("a terabyte, as it says", announced(1 << 40), "k", "keys.fetch-too-large"));
    all.push(case("more than there is, as it says", announced(good.len() as u64 + 1), "k", "keys.fetch-body"));
    all.push(case("a body without an end", Serve::Endless, "k", "keys.fetch-too-large"));
    all.push(case("a byte now and then", Serve::Drip, "k", "keys.fetch-timeout"));
    all.push(case("another protocol", Serve::Bytes(b"SSH-2.0-OpenSSH_9.6\r\n".to_vec()), "k", "keys.fetch-body"));
    all.push(case("nothing at all", Serve::Bytes(Vec::new()), "k", "keys.fetch-body"));
    all.push(case("half a head", Serve::Bytes(b"HTTP/1.1 200 OK\r\nContent-".to_vec()), "k", "keys.fetch-body"));
    let headers = "X-A: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n".repeat(20_000);
    all.push(case("a head without measure", answer(200, &headers, good.as_bytes()), "k", "keys.fetch-body"));
    for content_type in ["text/html", "text/plain", "application/jwk-set+json", "image/png", ""] {
        let serve = answer(200, &format!("Content-Type: {content_type}\r\n"), good.as_bytes());
        all.push(case(format!("content type {content_type:?}"), serve, "k", SOMEBODY_ELSE));
    }
    let zipped = answer(
        200,
        "Content-Encoding: gzip\r\n",
        &[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3, 0xab, 0xae, 5, 0, 0x43, 0xbf, 0xa6, 0xa3, 2, 0, 0, 0],
    );
    all.push(case("compressed", zipped, "k", "keys.not-a-key-set"));
    let cookie =
        answer(200, &format!("Set-Cookie: a=b\r\nRefresh: 0; url={}\r\nLink: <{}>; rel=next\r\n", keys.trap, keys.trap), good.as_bytes());
    all.push(case("a cookie and links to elsewhere", cookie, "k", SOMEBODY_ELSE));
    all
}

/// Stands for the case's own issuer in a discovery document.
pub const OWN: &str = "{issuer}";

fn discovery(keys: &Keys) -> Vec<Case> {
    let found = |issuer: &str, jwks_uri: Value| json!({"issuer": issuer, "jwks_uri": jwks_uri}).to_string();
    let keys_at = || json!(format!("{OWN}/keys"));
    let mut all = Vec::new();
    let mut add = |what: &str, serve: Serve, comes_to| {
        all.push(Case { what: what.to_owned(), by_discovery: true, serve, kid: "k", comes_to });
    };
    for (what, body) in [
        ("of another issuer", found("https://evil.example", keys_at())),
        ("with a slash more", found(&format!("{OWN}/"), keys_at())),
        ("with a space more", found(&format!("{OWN} "), keys_at())),
        ("with a letter more", found(&format!("{OWN}x"), keys_at())),
        ("of a template", found("https://login.example/{tenantid}/v2.0", keys_at())),
        ("of no issuer", json!({"jwks_uri": keys_at()}).to_string()),
        ("of a list of issuers", json!({"issuer": [OWN], "jwks_uri": keys_at()}).to_string()),
        ("without keys", json!({"issuer": OWN}).to_string()),
        ("with the keys in it", json!({"issuer": OWN, "jwks": {"keys": [keys.good.jwk("k", &json!({}))]}}).to_string()),
        ("keys over http elsewhere", found(OWN, json!("http://keys.example/jwks"))),
        ("keys at the metadata service", found(OWN, json!("http://169.254.169.254/latest/meta-data/"))),
        ("keys on another address of this machine", found(OWN, json!("http://0.0.0.0/jwks"))),
        ("keys with a password", found(OWN, json!(keys.trap.replace("http://", "http://user:secret@")))),
        ("keys at a host that looks like this machine", found(OWN, json!("http://127.0.0.1.evil.example/jwks"))),
        ("keys at a host behind an at sign", found(OWN, json!("http://localhost@evil.example/jwks"))),
        ("keys behind a backslash", found(OWN, json!("http://localhost\\@evil.example/jwks"))),
        ("keys behind a fragment", found(OWN, json!("http://evil.example#@localhost/jwks"))),
        ("keys with a line end", found(OWN, json!(format!("{OWN}/keys\r\nX: y")))),
        ("keys in a file", found(OWN, json!("file:///etc/passwd"))),
        ("keys in the address", found(OWN, json!("data:application/json,{\"keys\":[]}"))),
        ("keys by another protocol", found(OWN, json!("gopher://127.0.0.1/x"))),
        ("keys at a relative address", found(OWN, json!("/keys"))),
        ("keys at no scheme", found(OWN, json!("//evil.example/keys"))),
        ("keys nowhere", found(OWN, json!(""))),
        ("keys null", found(OWN, Value::Null)),
        ("keys at several", found(OWN, json!([format!("{OWN}/keys")]))),
        ("keys twice", format!("{{\"issuer\":\"{OWN}\",\"jwks_uri\":\"{OWN}/keys\",\"jwks_uri\":\"{}\"}}", keys.trap)),
        ("the issuer twice", format!("{{\"issuer\":\"https://evil.example\",\"issuer\":\"{OWN}\",\"jwks_uri\":\"{OWN}/keys\"}}")),
        ("a page", "<html></html>".to_owned()),
        ("nothing", String::new()),
        ("a key set", keys.well()),
        ("a list", json!([{"issuer": OWN, "jwks_uri": keys_at()}]).to_string()),
    ] {
        add(what, document(body), "keys.discovery");
    }
    add("one that is missing", answer(404, "", b""), "keys.discovery-status");
    add("a redirect", answer(302, &format!("Location: {}\r\n", keys.trap), b""), "keys.discovery-redirect");
    add(
        "a redirect to itself",
        answer(301, &format!("Location: {OWN}/.well-known/openid-configuration\r\n"), b""),
        "keys.discovery-redirect",
    );
    add("a byte too many", document(" ".repeat(256 * 1024 + 1)), "keys.discovery-too-large");
    add("another protocol", Serve::Bytes(b"220 smtp.example ESMTP\r\n".to_vec()), "keys.discovery-body");
    all
}

/// A server of these cases, under `/0` and so on, until it is told to be well.
pub struct Hostile {
    pub address: SocketAddr,
    state: Arc<State>,
}

struct State {
    well: AtomicBool,
    sent: AtomicUsize,
    cases: Vec<Serve>,
    well_set: String,
    asked: Mutex<HashMap<String, usize>>,
    address: SocketAddr,
}

impl Hostile {
    pub fn start(cases: &[Case], well_set: String) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let address = listener.local_addr().unwrap();
        let cases = cases.iter().map(|case| case.serve.clone()).collect();
        let asked = Mutex::default();
        let state = Arc::new(State { well: AtomicBool::new(false), sent: AtomicUsize::new(0), cases, well_set, asked, address });
        let serving = Arc::clone(&state);
        // They end with the process: each connection is answered and closed.
        std::thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let state = Arc::clone(&serving);
                std::thread::spawn(move || state.serve(stream));
            }
        });
        Self { address, state }
    }

    /// Serves what is right from now on.
    pub fn recover(&self) {
        self.state.well.store(true, Ordering::SeqCst);
    }

    /// How many bytes of bodies without an end were taken off it.
    pub fn sent_without_end(&self) -> usize {
        self.state.sent.load(Ordering::SeqCst)
    }

    /// The paths that were asked for.
    pub fn asked(&self) -> Vec<String> {
        self.state.asked.lock().unwrap().keys().cloned().collect()
    }
}

impl State {
    fn serve(&self, mut stream: TcpStream) -> Option<()> {
        stream.set_read_timeout(Some(Duration::from_secs(10))).ok()?;
        stream.set_write_timeout(Some(Duration::from_secs(10))).ok()?;
        let mut lines = BufReader::new(stream.try_clone().ok()?).lines().map_while(Result::ok);
        let path = lines.next()?.split(' ').nth(1)?.to_owned();
        lines.find(String::is_empty)?;
        *self.asked.lock().unwrap().entry(path.clone()).or_default() += 1;
        let number: usize = path.split('/').nth(1)?.parse().ok()?;
        let own = format!("http://{}/{number}", self.address);
        let serve = match (self.well.load(Ordering::SeqCst), path.ends_with("/.well-known/openid-configuration")) {
            (true, true) => document(json!({"issuer": own, "jwks_uri": format!("{own}/keys")}).to_string()),
            (true, false) => document(&self.well_set),
            (false, _) => self.cases.get(number)?.clone(),
        };
        match serve {
            Serve::Bytes(bytes) => {
                let text = String::from_utf8_lossy(&bytes);
                if text.contains(OWN) {
                    let (head, body) = text.split_once("\r\n\r\n")?;
                    let (head, body) = (head.replace(OWN, &own), body.replace(OWN, &own));
                    let lines = head.lines().filter(|line| !line.starts_with("Content-Length")).collect::<Vec<_>>().join("\r\n");
                    write!(stream, "{lines}\r\nContent-Length: {}\r\n\r\n{body}", body.len()).ok()
                } else {
                    stream.write_all(&bytes).ok()
                }
            }
            Serve::Endless => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n").ok()?;
                let chunk = format!("1000\r\n{}\r\n", " ".repeat(0x1000));
                loop {
                    stream.write_all(chunk.as_bytes()).ok()?;
                    self.sent.fetch_add(0x1000, Ordering::SeqCst);
                }
            }
            Serve::Drip => {
                stream.write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\n").ok()?;
                loop {
                    stream.write_all(b" ").ok()?;
                    std::thread::sleep(Duration::from_millis(200));
                }
            }
        }
    }
}

/// A server that nobody is to call: it counts who does.
pub struct Trap {
    pub url: String,
    calls: Arc<AtomicUsize>,
}

impl Trap {
    pub fn set() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let url = format!("http://{}", listener.local_addr().unwrap());
        let calls = Arc::new(AtomicUsize::new(0));
        let counting = Arc::clone(&calls);
        std::thread::spawn(move || {
            for _ in listener.incoming().map_while(Result::ok) {
                counting.fetch_add(1, Ordering::SeqCst);
            }
        });
        Self { url, calls }
    }

    pub fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}
