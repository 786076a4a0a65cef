//! The issuer over the wire.

use std::sync::atomic::{AtomicI64, Ordering};
use std::time::Duration;

use aws_lc_rs::signature::{ECDSA_P256_SHA256_FIXED, RSA_PKCS1_2048_8192_SHA256, RsaPublicKeyComponents, UnparsedPublicKey};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_domain::clock::Timestamp;

use super::*;
use crate::server::client::{Reply, request, send};

const CALLBACK: &str = "http://127.0.0.1:9999/callback";
// RFC 7636, appendix B.
const VERIFIER: &str = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
const CHALLENGE: &str = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";

/// A clock that is set by hand.
struct Hand(AtomicI64);

impl Clock for Hand {
    fn now(&self) -> Timestamp {
        Timestamp::from_unix_seconds(self.0.load(Ordering::SeqCst))
    }

    fn monotonic(&self) -> Duration {
        Duration::ZERO
    }
}

async fn start() -> (Idp, Arc<Hand>) {
    let clock = Arc::new(Hand(AtomicI64::new(1_800_000_000)));
    let options = IdpOptions {
        port: 0,
        audience: "latchkey".to_owned(),
        client_id: "portal".to_owned(),
        redirect_uris: vec![CALLBACK.to_owned()],
        users: vec![User {
            name: "alice".to_owned(),
            subject: "sub-alice".to_owned(),
            display_name: "Alice <A>".to_owned(),
            about: "One studio".to_owned(),
            groups: vec!["desk".to_owned()],
        }],
    };
    (Idp::start(options, Arc::clone(&clock) as Arc<dyn Clock>).await.unwrap(), clock)
}

async fn get(idp: &Idp, target: &str) -> Reply {
    send(idp.address(), request("GET", target, &idp.address().to_string(), &[], "")).await.unwrap()
}

async fn post(idp: &Idp, target: &str, form: &str) -> Reply {
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    send(idp.address(), request("POST", target, &idp.address().to_string(), &headers, form)).await.unwrap()
}

fn part(token: &str, index: usize) -> Value {
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(token.split('.').nth(index).unwrap()).unwrap()).unwrap()
}

/// Verifies a token against a published key set, by its `kid`.
fn verifies(token: &str, jwks: &Value) -> bool {
    let header = part(token, 0);
    let Some(jwk) = jwks["keys"].as_array().unwrap().iter().find(|jwk| jwk["kid"] == header["kid"]) else { return false };
    assert_eq!(jwk["alg"], header["alg"]);
    let bytes = |name: &str| URL_SAFE_NO_PAD.decode(jwk[name].as_str().unwrap()).unwrap();
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    if header["alg"] == "RS256" {
        let public = RsaPublicKeyComponents { n: bytes("n"), e: bytes("e") };
        public.verify(&RSA_PKCS1_2048_8192_SHA256, message.as_bytes(), &signature).is_ok()
    } else {
        let point = [&[4][..], &bytes("x"), &bytes("y")].concat();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, point).verify(message.as_bytes(), &signature).is_ok()
    }
}

#[tokio::test]
async fn discovery_leads_to_the_keys() {
    let (idp, _) = start().await;
    let discovery = get(&idp, "/.well-known/openid-configuration").await;
    assert_eq!((discovery.status, discovery.header("cache-control")), (200, "no-store"));
    let discovery = discovery.json();
    assert_eq!(discovery["issuer"], idp.issuer());
    assert_eq!(discovery["jwks_uri"], format!("{}/jwks", idp.issuer()));
    let jwks = get(&idp, "/jwks").await.json();
    assert_eq!(jwks, idp.jwks().unwrap());
    assert_eq!(jwks["keys"].as_array().unwrap().len(), 2);
    // Nothing private is published.
    assert!(jwks["keys"].as_array().unwrap().iter().all(|key| key.get("d").is_none() && key.get("p").is_none()));
    for algorithm in [Algorithm::Rs256, Algorithm::Es256] {
        let token = idp.mint(&MintOptions { algorithm, ..MintOptions::new("sub-alice") }).unwrap();
        assert!(verifies(&token, &jwks));
    }
    assert_eq!((idp.requests("/jwks"), idp.requests("/none")), (1, 0));
}

#[tokio::test]
async fn tokens_say_what_was_ordered() {
    let (idp, _) = start().await;
    let token = idp.mint(&MintOptions::new("sub-alice")).unwrap();
    let (header, mut payload) = (part(&token, 0), part(&token, 1));
    assert_eq!(header, json!({ "alg": "RS256", "kid": idp.kids()[0], "typ": "at+jwt" }));
    let jti = payload.as_object_mut().unwrap().remove("jti").unwrap();
    assert_eq!(jti.as_str().unwrap().len(), 36);
    let expected = json!({ "iss": idp.issuer(), "sub": "sub-alice", "aud": "latchkey", "iat": 1_800_000_000, "exp": 1_800_000_300 });
    assert_eq!(payload, expected);

    let mut options = MintOptions::new("x").claim("exp", "soon").claim("groups", json!(["a"]));
    options.issuer = Some("https://evil.example".to_owned());
    options.audience = Some(json!(["a", "b"]));
    options.issued_in_seconds = -10;
    options.not_before_in_seconds = Some(5);
    options.jti = Some("once".to_owned());
    options.typ = None;
    options.kid = Kid::Text("other".to_owned());
    options.header.insert("crit".to_owned(), json!(["b64"]));
    options.without = vec!["sub".to_owned()];
    options.algorithm = Algorithm::Es256;
    let token = idp.mint(&options).unwrap();
    assert_eq!(part(&token, 0), json!({ "alg": "ES256", "kid": "other", "crit": ["b64"] }));
    assert_eq!(
        part(&token, 1),
        json!({
            "iss": "https://evil.example", "aud": ["a", "b"], "iat": 1_799_999_990, "nbf": 1_800_000_005, "exp": "soon",
            "jti": "once", "groups": ["a"],
        })
    );
    let raw = idp.sign_raw("{not json", "{\"sub\":1,\"sub\":2}", Algorithm::Rs256).unwrap();
    assert!(raw.starts_with(&URL_SAFE_NO_PAD.encode("{not json")));
}

#[tokio::test]
async fn keys_rotate_and_retire() {
    let (idp, _) = start().await;
    let before = idp.mint(&MintOptions::new("a")).unwrap();
    let first = idp.kids();
    let second = idp.rotate().unwrap();
    assert_eq!(idp.kids(), [&first[..], &second[..]].concat());
    let after = idp.mint(&MintOptions::new("a")).unwrap();
    assert_eq!(part(&after, 0)["kid"], second[0]);
    assert!(verifies(&before, &idp.jwks().unwrap()) && verifies(&after, &idp.jwks().unwrap()));

    idp.retire(&first[0]).unwrap();
    assert!(!verifies(&before, &idp.jwks().unwrap()) && verifies(&after, &idp.jwks().unwrap()));
    let forged = idp.mint(&MintOptions { key: Some(first[0].clone()), ..MintOptions::new("a") }).unwrap();
    assert_eq!(part(&forged, 0)["kid"], first[0]);
    idp.retire(&second[0]).unwrap();
    assert!(matches!(idp.mint(&MintOptions::new("a")), Err(IdpError::NoSuchKey)));
    assert!(matches!(idp.retire("none"), Err(IdpError::NoSuchKey)));
    assert!(idp.mint(&MintOptions { algorithm: Algorithm::Es256, ..MintOptions::new("a") }).is_ok());
}

fn authorize(changes: &[(&str, &str)]) -> String {
    let usual = [
        ("client_id", "portal"),
        ("redirect_uri", CALLBACK),
        ("response_type", "code"),
        ("scope", "openid profile"),
        ("state", "st&te"),
        ("nonce", "n1"),
        ("code_challenge", CHALLENGE),
        ("code_challenge_method", "S256"),
    ];
    let mut target = String::from("/authorize?");
    let kept = usual.iter().filter(|(name, _)| !changes.iter().any(|(changed, _)| changed == name));
    for (name, value) in kept.chain(changes) {
        target.push_str(name);
        target.push('=');
        crate::sigv4::push_encoded(&mut target, value.as_bytes());
        target.push('&');
    }
    target
}

/// Signs alice in and gives the code.
async fn code(idp: &Idp) -> String {
    let page = get(idp, &authorize(&[])).await;
    assert_eq!(page.status, 200, "{}", page.body);
    let transaction = page.body.split_once("name=\"transaction\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    let signed_in = post(idp, "/authorize", &format!("transaction={transaction}&user=alice")).await;
    assert_eq!(signed_in.status, 303);
    let location = signed_in.header("location").to_owned();
    let rest = location.strip_prefix(&format!("{CALLBACK}?code=")).unwrap();
    let (code, rest) = rest.split_once('&').unwrap();
    let mut issuer = String::new();
    crate::sigv4::push_encoded(&mut issuer, idp.issuer().as_bytes());
    assert_eq!(rest, format!("state=st%26te&iss={issuer}"));
    let again = post(idp, "/authorize", &format!("transaction={transaction}&user=alice")).await;
    assert_eq!(again.status, 400);
    code.to_owned()
}

fn exchange(code: &str) -> String {
    format!(
        "grant_type=authorization_code&client_id=portal&code={code}&code_verifier={VERIFIER}\
         &redirect_uri=http%3A%2F%2F127.0.0.1%3A9999%2Fcallback"
    )
}

#[tokio::test]
async fn sign_in_by_code_and_pkce() {
    let (idp, clock) = start().await;
    let page = get(&idp, &authorize(&[])).await;
    assert!(page.header("content-security-policy").contains("form-action 'self' http://127.0.0.1:*"));
    for text in ["<html lang=\"en\">", "<h1>Sign in</h1>", "Alice &lt;A&gt;", "One studio"] {
        assert!(page.body.contains(text), "{text}");
    }
    let code_value = code(&idp).await;
    clock.0.fetch_add(59, Ordering::SeqCst);
    let reply = post(&idp, "/token", &exchange(&code_value)).await;
    assert_eq!((reply.status, reply.header("cache-control"), reply.header("pragma")), (200, "no-store", "no-cache"));
    let tokens = reply.json();
    let (id_token, access_token) = (tokens["id_token"].as_str().unwrap(), tokens["access_token"].as_str().unwrap());
    let jwks = idp.jwks().unwrap();
    assert!(verifies(id_token, &jwks) && verifies(access_token, &jwks));
    let claims = part(id_token, 1);
    assert_eq!((&claims["aud"], &claims["nonce"], &claims["name"]), (&json!("portal"), &json!("n1"), &json!("Alice <A>")));
    assert_eq!((&claims["auth_time"], &part(id_token, 0)["typ"]), (&json!(1_800_000_000), &json!("JWT")));
    let claims = part(access_token, 1);
    assert_eq!((&claims["aud"], &claims["sub"], &claims["client_id"]), (&json!("latchkey"), &json!("sub-alice"), &json!("portal")));
    assert_eq!((&tokens["expires_in"], &part(access_token, 0)["typ"]), (&json!(3600), &json!("at+jwt")));
    // A code is for one use.
    assert_eq!(post(&idp, "/token", &exchange(&code_value)).await.json()["error"], "invalid_grant");
}

#[tokio::test]
async fn codes_are_short_lived_bound_and_tried_once() {
    let (idp, clock) = start().await;
    for (from, to, error) in [
        ("grant_type=authorization_code", "grant_type=password", "unsupported_grant_type"),
        ("client_id=portal", "client_id=other", "invalid_client"),
        (VERIFIER, "EBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk", "invalid_grant"),
        (&*format!("&code_verifier={VERIFIER}"), "", "invalid_grant"),
        ("callback", "other", "invalid_grant"),
    ] {
        let form = exchange(&code(&idp).await);
        assert!(form.contains(from));
        let reply = post(&idp, "/token", &form.replace(from, to)).await;
        assert_eq!((reply.status, &reply.json()["error"]), (400, &json!(error)), "{from} -> {to}");
        if error == "invalid_grant" {
            assert_eq!(post(&idp, "/token", &form).await.json()["error"], "invalid_grant", "{from} -> {to}");
        }
    }
    let form = exchange(&code(&idp).await);
    clock.0.fetch_add(60, Ordering::SeqCst);
    assert_eq!(post(&idp, "/token", &form).await.json()["error"], "invalid_grant");
    assert_eq!(post(&idp, "/token", &format!("{form}&code=x")).await.json()["error"], "invalid_request");
}

#[tokio::test]
async fn a_wrong_request_is_sent_nowhere_a_faulty_one_is_sent_back() {
    let (idp, clock) = start().await;
    for changes in [
        &[("client_id", "other")][..],
        &[("redirect_uri", "https://evil.example/callback")],
        &[("redirect_uri", "http://127.0.0.1:9999/callback/")],
        &[("redirect_uri", "http://127.0.0.1:9998/callback")],
        &[("client_id", "portal"), ("client_id", "portal")],
    ] {
        let reply = get(&idp, &authorize(changes)).await;
        assert_eq!((reply.status, reply.header("location")), (400, ""), "{changes:?}");
    }
    for (changes, error) in [
        (&[("response_type", "token")][..], "unsupported_response_type"),
        (&[("scope", "profile")], "invalid_scope"),
        (&[("code_challenge_method", "plain")], "invalid_request"),
        (&[("code_challenge", "short")], "invalid_request"),
        (&[("request_uri", "http://evil.example/")], "invalid_request"),
        (&[("prompt", "none")], "login_required"),
    ] {
        let reply = get(&idp, &authorize(changes)).await;
        assert_eq!(reply.status, 303, "{changes:?}");
        let location = reply.header("location");
        assert!(location.starts_with(&format!("{CALLBACK}?error={error}&state=st%26te&iss=")), "{location}");
    }
    assert!(matches!(idp.allow_redirect_uri("https://evil.example/"), Err(IdpError::RedirectUri)));
    idp.allow_redirect_uri("http://localhost:1234/cb").unwrap();
    let page = get(&idp, &authorize(&[("redirect_uri", "http://localhost:1234/cb")])).await;
    assert_eq!(page.status, 200);
    let transaction = page.body.split_once("name=\"transaction\" value=\"").unwrap().1.split_once('"').unwrap().0.to_owned();
    assert_eq!(post(&idp, "/authorize", &format!("transaction={transaction}&user=mallory")).await.status, 400);
    clock.0.fetch_add(600, Ordering::SeqCst);
    assert_eq!(post(&idp, "/authorize", &format!("transaction={transaction}&user=alice")).await.status, 400);
}

#[tokio::test]
async fn a_token_for_curl() {
    let (idp, _) = start().await;
    let reply = post(&idp, "/dev/token", "user=alice").await;
    assert_eq!((reply.status, reply.header("content-type")), (200, "text/plain; charset=utf-8"));
    assert!(verifies(reply.body.trim_end(), &idp.jwks().unwrap()));
    let reply = post(&idp, "/dev/token", "user=mallory").await;
    assert_eq!((reply.status, reply.body.as_str()), (400, "Say user=<name>, with one of: alice.\n"));
    assert_eq!(get(&idp, "/dev/token").await.status, 405);
    assert_eq!(get(&idp, "/none").await.status, 404);
    // Under a name that somebody else has pointed here, there is nothing.
    let headers = [("content-type", "application/x-www-form-urlencoded")];
    let rebound = send(idp.address(), request("POST", "/dev/token", "evil.example", &headers, "user=alice")).await.unwrap();
    assert_eq!(rebound.status, 421);
}

#[tokio::test]
async fn it_fails_on_demand_and_stops() {
    let (idp, _) = start().await;
    idp.inject("/jwks", 1, &Fault::error(503, "unavailable"));
    idp.inject("/jwks", 1, &Fault::Malformed);
    idp.inject("/jwks", 1, &Fault::Truncated);
    assert_eq!(get(&idp, "/jwks").await.status, 503);
    assert!(serde_json::from_str::<Value>(&get(&idp, "/jwks").await.body).is_err());
    assert!(send(idp.address(), request("GET", "/jwks", &idp.address().to_string(), &[], "")).await.is_err());
    assert_eq!(get(&idp, "/jwks").await.json(), idp.jwks().unwrap());
    assert_eq!(idp.requests("/jwks"), 4);
    idp.inject("/jwks", 1, &Fault::Close);
    idp.clear_faults();
    assert_eq!(get(&idp, "/jwks").await.status, 200);
    let address = idp.address();
    idp.shutdown().await;
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}
