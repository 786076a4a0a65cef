use std::collections::BTreeSet;
use std::sync::Mutex;

use latchkey_domain::decision::Reason;
use proptest::prelude::*;

use super::*;
use crate::algorithm::Algorithm;
use crate::key_cache::URL_REFRESH_AFTER;
use crate::testing::{
    AUDIENCE, Answer, BUDGET, Claims, ISSUER, ManualClock, NOW, Pair, Table, Web, World, b64, issuer_json, key_set, verifier,
};

type TestVerifier = Verifier<Web, Table, ManualClock>;

/// One issuer with the RSA key "k0", and `more` in its configuration.
fn plain_with(more: &str) -> TestVerifier {
    verifier(&[issuer_json(&[Pair::rsa(0).jwk("k0", "")], more)])
}

fn plain() -> TestVerifier {
    plain_with("")
}

/// The outcome at `NOW` plus that many milliseconds: "ok", or the reason.
fn outcome_at(verifier: &TestVerifier, token: &str, millis: i64) -> &'static str {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    match runtime.block_on(verifier.verify(token, Timestamp::from_unix_millis(NOW * 1000 + millis), BUDGET)) {
        Ok(_) => "ok",
        Err(VerifyError::Refused { refusal, .. }) => refusal.as_str(),
        Err(VerifyError::Unavailable { failure, .. }) => failure.as_str(),
    }
}

fn outcome(verifier: &TestVerifier, token: &str) -> &'static str {
    outcome_at(verifier, token, 0)
}

/// A token with this header and good claims, signed by the RSA pair 0 with RS256 whatever the header says.
fn with_header(header: &str) -> String {
    Pair::rsa(0).token(Algorithm::RS256, header, &Claims::good().json())
}

#[test]
fn every_algorithm_that_can_be_allowed_is_verified() {
    for algorithm in Algorithm::ALL {
        let pair = Pair::of(algorithm);
        let allowed = format!(r#","algorithms":["{algorithm}"]"#);
        let token = pair.token(algorithm, &format!(r#"{{"alg":"{algorithm}","kid":"k"}}"#), &Claims::good().json());
        for bound in [String::new(), format!(r#","alg":"{algorithm}","use":"sig","key_ops":["verify"]"#)] {
            let verifier = verifier(&[issuer_json(&[pair.jwk("k", &bound)], &allowed)]);
            assert_eq!(outcome(&verifier, &token), "ok", "{algorithm}");
        }
    }
}

#[tokio::test]
async fn what_is_verified_is_what_the_token_says() {
    let token = Claims::good().with("jti", "\"t-1\"").signed();
    let verifier = plain();
    let now = Timestamp::from_unix_seconds(NOW);
    let claims = verifier.verify(&token, now, BUDGET).await.unwrap();
    assert_eq!(claims.identity().issuer.as_str(), "main");
    assert_eq!(claims.identity().subject.as_str(), "user-1");
    assert_eq!(claims.key_id(), "k0");
    assert_eq!(claims.token_id(), Some("t-1"));
    assert_eq!(claims.issued_at(), Some(Timestamp::from_unix_seconds(NOW - 10)));
    assert_eq!(claims.expires_at(), Timestamp::from_unix_seconds(NOW + 3600 + 30));
    assert_eq!(format!("{claims:?}"), "VerifiedClaims(redacted)");

    let principal = verifier.authenticate(&BearerToken::new(token), now, BUDGET).await.unwrap();
    assert_eq!(principal.identity(), claims.identity());
    assert_eq!((principal.key_id(), principal.token_id(), principal.expires_at()), ("k0", Some("t-1"), claims.expires_at()));
}

#[tokio::test]
async fn a_refusal_names_the_issuer_only_where_it_is_a_trusted_one() {
    let refused = async |token: String| plain().authenticate(&BearerToken::new(token), Timestamp::from_unix_seconds(NOW), BUDGET).await;
    assert_eq!(refused("x".into()).await, Err(AuthenticationError::Refused { reason: Reason("token.malformed"), issuer: None }));
    assert_eq!(
        refused(Claims::good().with("iss", "\"https://evil.example\"").signed()).await,
        Err(AuthenticationError::Refused { reason: Reason("token.issuer"), issuer: None })
    );
    assert_eq!(
        refused(Claims::good().with("aud", "\"other\"").signed()).await,
        Err(AuthenticationError::Refused { reason: Reason("token.audience"), issuer: Some(IssuerId::new("main").unwrap()) })
    );
}

#[test]
fn size_and_shape_come_before_decoding() {
    let good = Claims::good().signed();
    let verifier = plain();
    assert_eq!(outcome(&verifier, &good), "ok");
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    for (token, why) in [
        (String::new(), "empty"),
        (".".into(), "two empty parts"),
        ("..".into(), "three empty parts"),
        (header.into(), "one part"),
        (format!("{header}.{claims}"), "two parts"),
        (format!("{header}.{claims}."), "no signature"),
        (format!("{header}..{signature}"), "no claims"),
        (format!(".{claims}.{signature}"), "no header"),
        (format!("{good}."), "four parts"),
        (format!("{good}.{signature}.{signature}"), "five parts, as an encrypted token has"),
        (format!("{good}="), "padding"),
        (format!("{good} "), "white space after"),
        (format!(" {good}"), "white space before"),
        (format!("{good}\n"), "a line end"),
        (good.replacen('.', "=.", 1), "padding in the header"),
        (format!("{header}.{claims}.{}", signature.replace(['-', '_'], "+")), "the other alphabet"),
        (format!("{header}.{claims}.é"), "not ASCII"),
        (format!("{header}.{claims}.A"), "no length of base64"),
        (format!("Bearer {good}"), "with its scheme"),
        (format!(r#"{{"payload":"{claims}","protected":"{header}","signature":"{signature}"}}"#), "JSON serialisation"),
    ] {
        assert_eq!(outcome(&verifier, &token), "token.malformed", "{why}");
    }
    let filled = |n: usize| Claims::good().with("fill", &format!("\"{}\"", "x".repeat(n))).signed();
    assert_eq!(outcome(&verifier, &filled(11_000)), "ok");
    assert_eq!(outcome(&verifier, &filled(12_000)), "token.too-large");
    assert_eq!(outcome(&verifier, &"é".repeat(9000)), "token.too-large");
}

#[test]
fn a_text_that_means_the_same_bytes_is_not_the_same_token() {
    // The last character of a 256-byte signature in base64url has four bits that decode to nothing.
    let good = Claims::good().signed();
    let verifier = plain();
    let alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let (body, last) = good.split_at(good.len() - 1);
    for other in alphabet.chars().filter(|c| !last.contains(*c)) {
        assert_ne!(outcome(&verifier, &format!("{body}{other}")), "ok", "{other}");
    }
}

#[test]
fn headers_are_json_objects_that_name_nothing_twice() {
    for header in [
        "",
        "null",
        "[]",
        "\"x\"",
        "{",
        r#"{"alg":"RS256","kid":"k0"}x"#,
        r#"{"alg":"RS256","kid":"k0","alg":"RS256"}"#,
        r#"{"alg":"none","kid":"k0","\u0061lg":"RS256"}"#,
        r#"{"alg":"RS256","kid":"k0","x":{"a":1,"a":2}}"#,
        r#"{"alg":1,"kid":"k0"}"#,
        r#"{"alg":"RS256","kid":0}"#,
        r#"{"alg":"RS256","kid":["k0"]}"#,
        r#"{"alg":"RS256","kid":null}"#,
        r#"{"alg":"RS256","kid":"k0","typ":null}"#,
        r#"{"alg":"RS256","kid":"k0","typ":["JWT"]}"#,
        r#"{"alg":"RS256","kid":"k0","cty":1}"#,
    ] {
        let expected = if header.is_empty() { "token.malformed" } else { "token.header" };
        assert_eq!(outcome(&plain(), &with_header(header)), expected, "{header}");
    }
    assert_eq!(outcome(&plain(), &with_header(r#" {"kid":"k0" , "alg":"RS256","x5t":"abc","nonce":"n","x":[{}]} "#)), "ok");
}

#[test]
fn extensions_and_keys_in_the_header_are_refused_whatever_they_hold() {
    let jwk = Pair::rsa(0).jwk("k0", "");
    for (member, reason) in [
        (r#""crit":["exp"]"#.to_owned(), "token.critical"),
        (r#""crit":[]"#.into(), "token.critical"),
        (r#""crit":null"#.into(), "token.critical"),
        (r#""b64":true"#.into(), "token.critical"),
        (r#""b64":false,"crit":["b64"]"#.into(), "token.critical"),
        (format!(r#""jwk":{jwk}"#), "token.embedded-key"),
        (r#""jwk":null"#.into(), "token.embedded-key"),
        (r#""jku":"https://evil.example/keys""#.into(), "token.embedded-key"),
        (r#""x5u":"https://evil.example/cert""#.into(), "token.embedded-key"),
        (r#""x5c":["MIIB"]"#.into(), "token.embedded-key"),
        (r#""zip":"DEF""#.into(), "token.compressed"),
        (r#""cty":"JWT""#.into(), "token.nested"),
        (r#""cty":"application/jwt""#.into(), "token.nested"),
    ] {
        let token = with_header(&format!(r#"{{"alg":"RS256","kid":"k0",{member}}}"#));
        assert_eq!(outcome(&plain(), &token), reason, "{member}");
    }
    assert_eq!(outcome(&plain(), &with_header(r#"{"alg":"RS256","kid":"k0","cty":"json"}"#)), "ok");
}

#[test]
fn the_token_does_not_choose_how_its_key_is_used() {
    let keys = [
        Pair::rsa(0).jwk("rsa", ""),
        Pair::rsa(1).jwk("rs256", r#","alg":"RS256""#),
        Pair::p256().jwk("p256", ""),
        Pair::p384().jwk("p384", ""),
        Pair::ed25519().jwk("ed", ""),
    ];
    let all = verifier(&[issuer_json(&keys, r#","algorithms":["RS256","PS256","ES256","ES384","EdDSA"]"#)]);
    let claims = Claims::good().json();
    let token =
        |pair: &Pair, signed: Algorithm, alg: &str, kid: &str| pair.token(signed, &format!(r#"{{"alg":"{alg}","kid":"{kid}"}}"#), &claims);
    // Signed as said, with a key that is not for it.
    assert_eq!(outcome(&all, &token(Pair::rsa(1), Algorithm::PS256, "PS256", "rs256")), "token.key-algorithm");
    for (alg, kid) in [("ES256", "rsa"), ("EdDSA", "p256"), ("ES384", "p256"), ("ES256", "p384"), ("RS256", "ed"), ("RS256", "p256")] {
        assert_eq!(outcome(&all, &token(Pair::rsa(0), Algorithm::RS256, alg, kid)), "token.key-algorithm", "{alg} {kid}");
    }
    // Signed otherwise than said.
    assert_eq!(outcome(&all, &token(Pair::rsa(0), Algorithm::PS256, "RS256", "rsa")), "token.signature");
    assert_eq!(outcome(&all, &token(Pair::rsa(0), Algorithm::RS256, "PS256", "rsa")), "token.signature");
    // Not allowed for the issuer, although the key is for it.
    let narrow = verifier(&[issuer_json(&keys, r#","algorithms":["ES256"]"#)]);
    assert_eq!(outcome(&narrow, &token(Pair::rsa(0), Algorithm::RS256, "RS256", "rsa")), "token.algorithm");
    assert_eq!(outcome(&narrow, &token(Pair::p256(), Algorithm::ES256, "ES256", "p256")), "ok");
    // PS256 is not among the defaults.
    assert_eq!(outcome(&plain(), &token(Pair::rsa(0), Algorithm::PS256, "PS256", "k0")), "token.algorithm");
}

#[test]
fn no_secret_and_no_signature_is_no_algorithm() {
    for alg in ["none", "None", "NONE", "nOnE", "HS256", "HS384", "HS512", "RS384", "RS512", "ES512", "ES256K", "rs256", "RS256 ", ""] {
        let token = with_header(&format!(r#"{{"alg":"{alg}","kid":"k0"}}"#));
        assert_eq!(outcome(&plain(), &token), "token.algorithm", "{alg}");
    }
    assert_eq!(outcome(&plain(), &with_header(r#"{"kid":"k0"}"#)), "token.algorithm");
    let unsecured = format!("{}.{}.", b64(r#"{"alg":"none","kid":"k0"}"#), b64(Claims::good().json()));
    assert_eq!(outcome(&plain(), &unsecured), "token.malformed");
}

#[test]
fn the_public_key_is_no_hmac_secret() {
    // What a verifier without algorithms bound to keys would accept: HS256 over the public key, in the forms it is published.
    let input = format!("{}.{}", b64(r#"{"alg":"HS256","kid":"k0"}"#), b64(Claims::good().json()));
    let jwk = Pair::rsa(0).jwk("k0", "");
    for secret in [jwk.as_bytes(), Pair::rsa(0).members().as_bytes()] {
        let key = aws_lc_rs::hmac::Key::new(aws_lc_rs::hmac::HMAC_SHA256, secret);
        let token = format!("{input}.{}", b64(aws_lc_rs::hmac::sign(&key, input.as_bytes())));
        assert_eq!(outcome(&plain(), &token), "token.algorithm");
    }
}

#[test]
fn token_types_are_compared_as_media_types() {
    let token = |typ: &str| with_header(&format!(r#"{{"alg":"RS256","kid":"k0","typ":"{typ}"}}"#));
    let untyped = with_header(r#"{"alg":"RS256","kid":"k0"}"#);
    let standard = plain();
    for typ in ["JWT", "jwt", "at+jwt", "AT+JWT", "application/at+jwt", "Application/JWT"] {
        assert_eq!(outcome(&standard, &token(typ)), "ok", "{typ}");
    }
    assert_eq!(outcome(&standard, &untyped), "ok");
    for typ in [
        "",
        "application/",
        "logout+jwt",
        "JOSE",
        "dpop+jwt",
        "secevent+jwt",
        "JWT ",
        "application/application/jwt",
        "text/plainx/at+jwt",
        "xat+jwt",
    ] {
        assert_eq!(outcome(&standard, &token(typ)), "token.type", "{typ}");
    }
    let strict = plain_with(r#","token_types":["application/at+JWT"]"#);
    assert_eq!(outcome(&strict, &token("AT+jwt")), "ok");
    assert_eq!(outcome(&strict, &token("JWT")), "token.type");
    assert_eq!(outcome(&strict, &untyped), "token.type");
}

#[test]
fn key_ids_are_exact_and_needed() {
    for kid in ["K0", "k0 ", " k0", "k", "k00", "k\\u0000", "k1"] {
        let token = with_header(&format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#));
        assert_eq!(outcome(&plain(), &token), "token.key-unknown", "{kid}");
    }
    let long = "k".repeat(256);
    for header in [r#"{"alg":"RS256"}"#, r#"{"alg":"RS256","kid":""}"#, &format!(r#"{{"alg":"RS256","kid":"{long}"}}"#)] {
        assert_eq!(outcome(&plain(), &with_header(header)), "token.key-id", "{header}");
    }
    let longest = "ü".repeat(255);
    let verifier = verifier(&[issuer_json(&[Pair::rsa(0).jwk(&longest, "")], "")]);
    assert_eq!(outcome(&verifier, &with_header(&format!(r#"{{"alg":"RS256","kid":"{longest}"}}"#))), "ok");
}

#[tokio::test]
async fn an_ambiguous_key_id_is_refused_and_costs_the_others_nothing() {
    let world = World::new();
    let jwks = key_set(&[
        Pair::rsa(0).jwk("twice", ""),
        Pair::rsa(1).jwk("twice", ""),
        Pair::rsa(2).jwk("once", ""),
        // A key that cannot be used makes nothing ambiguous.
        Pair::rsa(3).jwk("once", r#","use":"enc""#),
    ]);
    world.store("main", &jwks, Duration::ZERO);
    let verifier = world.verifier(&[&format!(r#"{{"id":"main","issuer":"{ISSUER}","audiences":["{AUDIENCE}"]}}"#)]);
    let now = Timestamp::from_unix_seconds(NOW);
    for (n, kid, accepted) in [(0, "twice", false), (1, "twice", false), (2, "once", true)] {
        let header = format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#);
        let token = Pair::rsa(n).token(Algorithm::RS256, &header, &Claims::good().json());
        let result = verifier.verify(&token, now, BUDGET).await;
        let refused = VerifyError::Refused { refusal: TokenRefusal::KeyAmbiguous, issuer: Some(IssuerId::new("main").unwrap()) };
        assert_eq!(result.is_ok(), accepted, "{kid}");
        if !accepted {
            assert_eq!(result.err(), Some(refused));
        }
    }
}

#[test]
fn a_signature_is_of_this_key_over_this_text() {
    let good = Claims::good().signed();
    let [header, claims, signature] = good.split('.').collect::<Vec<_>>()[..] else { panic!("three parts") };
    let verifier = plain();
    let other_key = Pair::rsa(1).token(Algorithm::RS256, r#"{"alg":"RS256","kid":"k0"}"#, &Claims::good().json());
    assert_eq!(outcome(&verifier, &other_key), "token.signature");
    let other_claims = b64(Claims::good().with("sub", "\"admin\"").json());
    assert_eq!(outcome(&verifier, &format!("{header}.{other_claims}.{signature}")), "token.signature");
    let other_header = b64(r#"{"alg":"RS256","kid":"k0","x":1}"#);
    assert_eq!(outcome(&verifier, &format!("{other_header}.{claims}.{signature}")), "token.signature");
    for odd in [b64([0; 256]), b64([0xff; 256]), b64([0; 1]), b64([0; 257])] {
        assert_eq!(outcome(&verifier, &format!("{header}.{claims}.{odd}")), "token.signature");
    }
    // Zeros as both numbers of an ECDSA signature (CVE-2022-21449).
    let ec = verifier_of(Algorithm::ES256);
    let input = format!("{}.{}", b64(r#"{"alg":"ES256","kid":"k"}"#), b64(Claims::good().json()));
    assert_eq!(outcome(&ec, &format!("{input}.{}", b64([0; 64]))), "token.signature");
    assert_eq!(outcome(&ec, &format!("{input}.{}", b64([0xff; 64]))), "token.signature");
}

fn verifier_of(algorithm: Algorithm) -> TestVerifier {
    verifier(&[issuer_json(&[Pair::of(algorithm).jwk("k", "")], &format!(r#","algorithms":["{algorithm}"]"#))])
}

#[test]
fn claims_are_json_objects_that_name_nothing_twice() {
    let sign = |claims: &str| Pair::rsa(0).token(Algorithm::RS256, r#"{"alg":"RS256","kid":"k0"}"#, claims);
    let good = Claims::good().json();
    let body = good.trim_start_matches('{');
    for claims in [
        "null".to_owned(),
        "[]".into(),
        format!("[{good}]"),
        format!("{good}{good}"),
        good.trim_end_matches('}').into(),
        format!(r#"{{"sub":"x",{body}"#),
        format!(r#"{{"custom":1,"custom":1,{body}"#),
        format!(r#"{{"a":{{"deep":[{{"b":1,"b":2}}]}},{body}"#),
        format!(r#"{{"\u0073ub":"x",{body}"#),
        format!(r#"{{"a":{},{body}"#, "[".repeat(2000)),
        format!(r#"{{"a":{}{},{body}"#, "[".repeat(40), "]".repeat(40)),
        format!("\u{feff}{good}"),
    ] {
        assert_eq!(outcome(&plain(), &sign(&claims)), "token.claims", "{claims}");
    }
    let latin1 = [b"{\"sub\":\"\xfc\",".as_slice(), body.as_bytes()].concat();
    let input = format!("{}.{}", b64(r#"{"alg":"RS256","kid":"k0"}"#), b64(latin1));
    let token = format!("{input}.{}", b64(Pair::rsa(0).sign(Algorithm::RS256, input.as_bytes())));
    assert_eq!(outcome(&plain(), &token), "token.claims");
    assert_eq!(outcome(&plain(), &sign(&format!(r#"{{"a":{{"b":{{"b":[1,{{"b":2}}]}}}},{body}"#))), "ok");
}

#[test]
fn the_issuer_is_exact() {
    for iss in [
        "null",
        "1",
        "[]",
        "{}",
        "\"\"",
        &format!("[{ISSUER:?}]"),
        &format!("\"{ISSUER}/\""),
        &format!("\" {ISSUER}\""),
        "\"https://IDP.example/tenant\"",
        "\"https://idp.example:443/tenant\"",
        "\"http://idp.example/tenant\"",
        "\"https://idp.example\"",
        "\"https://idp.example/tenant\\u0000\"",
    ] {
        assert_eq!(outcome(&plain(), &Claims::good().with("iss", iss).signed()), "token.issuer", "{iss}");
    }
    assert_eq!(outcome(&plain(), &Claims::good().without("iss").signed()), "token.issuer");
    let escaped = Claims::good().with("iss", "\"https:\\/\\/idp.example\\/tenant\"").signed();
    assert_eq!(outcome(&plain(), &escaped), "ok", "the same string, written otherwise");
}

#[test]
fn a_key_is_for_its_own_issuer_alone() {
    let other = r#"{"id":"other","issuer":"https://other.example","audiences":["api://latchkey"],"jwks":{"source":"inline","keys":["#;
    let two =
        |a: &str, b: &str| verifier(&[issuer_json(&[Pair::rsa(0).jwk(a, "")], ""), format!("{other}{}]}}}}", Pair::rsa(1).jwk(b, ""))]);
    let token = |n: usize, iss: &str, kid: &str| {
        let claims = Claims::good().with("iss", &format!("{iss:?}")).json();
        Pair::rsa(n).token(Algorithm::RS256, &format!(r#"{{"alg":"RS256","kid":"{kid}"}}"#), &claims)
    };
    let same_ids = two("k", "k");
    assert_eq!(outcome(&same_ids, &token(0, ISSUER, "k")), "ok");
    assert_eq!(outcome(&same_ids, &token(1, "https://other.example", "k")), "ok");
    assert_eq!(outcome(&same_ids, &token(1, ISSUER, "k")), "token.signature");
    assert_eq!(outcome(&same_ids, &token(0, "https://other.example", "k")), "token.signature");
    let own_ids = two("a", "b");
    assert_eq!(outcome(&own_ids, &token(1, ISSUER, "b")), "token.key-unknown");
}

/// Two issuers that publish different keys under the same id, wherever each has its keys from, at first and after they have
/// swapped them. The user of one is never the other's of the same name.
#[tokio::test]
async fn keys_never_cross_over_whatever_their_source() {
    const SOURCES: [&str; 3] = ["inline", "url", "table"];
    for sources in SOURCES.iter().flat_map(|a| SOURCES.iter().map(move |b| [*a, *b])) {
        let world = World::new();
        let names = ["first", "second"];
        let publish = |issuer: usize, n: usize| {
            let set = key_set(&[Pair::rsa(n).jwk("k", "")]);
            world.store(names[issuer], &set, Duration::ZERO);
            world.answer(&format!("https://{}.example/keys", names[issuer]), Answer::Document(set));
        };
        let issuer = |issuer: usize| {
            let name = names[issuer];
            let jwks = match sources[issuer] {
                "inline" => format!(r#"{{"source":"inline","keys":[{}]}}"#, Pair::rsa(issuer).jwk("k", "")),
                "url" => format!(r#"{{"source":"url","url":"https://{name}.example/keys"}}"#),
                _ => r#"{"source":"table"}"#.to_owned(),
            };
            format!(r#"{{"id":"{name}","issuer":"https://{name}.example","audiences":["{AUDIENCE}"],"jwks":{jwks}}}"#)
        };
        publish(0, 0);
        publish(1, 1);
        let (first, second) = (issuer(0), issuer(1));
        let verifier = world.verifier(&[&first, &second]);
        // A token that says that it is from this issuer, signed by the `n`th pair.
        let verify = async |issuer: usize, n: usize| {
            let now = world.clock.now();
            let claims = Claims::good()
                .with("iss", &format!("\"https://{}.example\"", names[issuer]))
                .with("iat", &now.unix_seconds().to_string())
                .with("exp", &(now.unix_seconds() + 60).to_string());
            let token = Pair::rsa(n).token(Algorithm::RS256, r#"{"alg":"RS256","kid":"k"}"#, &claims.json());
            match verifier.verify(&token, now, BUDGET).await {
                Ok(claims) => format!("{}'s {}", claims.identity().issuer, claims.identity().subject),
                Err(VerifyError::Refused { refusal, .. }) => refusal.to_string(),
                Err(VerifyError::Unavailable { failure, .. }) => failure.to_string(),
            }
        };
        for (issuer, name) in names.iter().enumerate() {
            assert_eq!(verify(issuer, issuer).await, format!("{name}'s user-1"), "{sources:?}");
            assert_eq!(verify(issuer, 1 - issuer).await, "token.signature", "{sources:?}: {name} with the other's key");
        }

        // Each now publishes what was the other's. Keys in the configuration stay what they are.
        publish(0, 1);
        publish(1, 0);
        world.clock.advance(URL_REFRESH_AFTER);
        for (issuer, name) in names.iter().enumerate() {
            let own = if sources[issuer] == "inline" { issuer } else { 1 - issuer };
            assert_eq!(verify(issuer, own).await, format!("{name}'s user-1"), "{sources:?}");
            assert_eq!(verify(issuer, 1 - own).await, "token.signature", "{sources:?}: {name} with the other's key");
        }

        // An unknown key of one asks for that one's keys and no other's.
        world.asked();
        let claims = Claims::good().with("iss", "\"https://first.example\"").json();
        let unknown = Pair::rsa(2).token(Algorithm::RS256, r#"{"alg":"RS256","kid":"u"}"#, &claims);
        assert!(verifier.verify(&unknown, world.clock.now(), BUDGET).await.is_err());
        let expected: &[&str] = match sources[0] {
            "inline" => &[],
            "url" => &["https://first.example/keys"],
            _ => &["table:first"],
        };
        assert_eq!(world.asked(), expected, "{sources:?}");
    }
}

#[test]
fn times_are_judged_at_their_edges() {
    let verifier = plain();
    let at = |claims: &Claims, millis: i64| outcome_at(&verifier, &claims.signed(), millis);
    let good = Claims::good();

    let exp = good.clone().with("exp", &NOW.to_string());
    assert_eq!(at(&exp, -1), "ok");
    assert_eq!(at(&exp, 29_999), "ok");
    assert_eq!(at(&exp, 30_000), "token.expired");

    let nbf = good.clone().with("nbf", &NOW.to_string());
    assert_eq!(at(&nbf, -30_001), "token.not-yet-valid");
    let nbf = nbf.with("iat", &(NOW - 100).to_string());
    assert_eq!(at(&nbf, -30_001), "token.not-yet-valid");
    assert_eq!(at(&nbf, -30_000), "ok");

    let iat = good.clone().with("iat", &NOW.to_string());
    assert_eq!(at(&iat, -30_001), "token.issued-in-future");
    assert_eq!(at(&iat, -30_000), "ok");

    let exact = plain_with(r#","leeway_seconds":0"#);
    let at = |claims: &Claims, millis: i64| outcome_at(&exact, &claims.signed(), millis);
    assert_eq!(at(&exp, -1), "ok");
    assert_eq!(at(&exp, 0), "token.expired", "at exp it is over (RFC 7519: current time MUST be before it)");
    assert_eq!(at(&nbf, -1), "token.not-yet-valid");
    assert_eq!(at(&nbf, 0), "ok");
    assert_eq!(at(&iat, -1), "token.issued-in-future");
    assert_eq!(at(&iat, 0), "ok");

    let fraction = good.with("exp", &format!("{NOW}.25")).with("iat", &format!("{}.5e0", NOW - 1)).with("nbf", &format!("{}.5", NOW - 1));
    assert_eq!(at(&fraction, 249), "ok");
    assert_eq!(at(&fraction, 250), "token.expired");
    assert_eq!(at(&fraction, -501), "token.not-yet-valid");
}

#[test]
fn times_are_numbers_that_are_times() {
    let verifier = plain();
    for time in [
        "null",
        "true",
        "\"1767225700\"",
        "[]",
        "{}",
        "-1",
        "-0.5",
        "253402300800",
        "1e300",
        "253402300800.0",
        "9223372036854775807",
        "18446744073709551615",
    ] {
        for claim in ["exp", "nbf", "iat"] {
            assert_eq!(outcome(&verifier, &Claims::good().with(claim, time).signed()), "token.time", "{claim} {time}");
        }
    }
    assert_eq!(outcome(&verifier, &Claims::good().with("exp", "1e999").signed()), "token.claims");
    assert_eq!(outcome(&verifier, &Claims::good().with("exp", &format!("{}e0", NOW + 60)).signed()), "ok");
    assert_eq!(outcome(&verifier, &Claims::good().with("nbf", "0").signed()), "ok");
    assert_eq!(outcome(&verifier, &Claims::good().with("nbf", "-0").signed()), "ok");
    assert_eq!(outcome(&verifier, &Claims::good().with("exp", "0").with("iat", "0").signed()), "token.expired");
    assert_eq!(outcome(&verifier, &Claims::good().without("exp").signed()), "token.expiry-missing");
    assert_eq!(outcome(&verifier, &Claims::good().without("iat").signed()), "ok");
    // An odd time is told as such even where the token has expired as well.
    assert_eq!(outcome(&verifier, &Claims::good().with("exp", "1").with("nbf", "\"x\"").signed()), "token.time");
}

#[test]
fn a_lifetime_is_bounded() {
    let verifier = plain_with(r#","max_lifetime_seconds":600"#);
    let token = |iat: Option<i64>, exp: i64| {
        let claims = Claims::good().with("exp", &(NOW + exp).to_string());
        match iat {
            Some(iat) => claims.with("iat", &(NOW + iat).to_string()).signed(),
            None => claims.without("iat").signed(),
        }
    };
    assert_eq!(outcome(&verifier, &token(Some(-100), 500)), "ok");
    assert_eq!(outcome(&verifier, &token(Some(-100), 501)), "token.lifetime");
    assert_eq!(outcome(&verifier, &token(Some(0), 1)), "ok");
    assert_eq!(outcome(&verifier, &token(Some(5), 5)), "token.lifetime", "no time at all");
    assert_eq!(outcome(&verifier, &token(Some(6), 5)), "token.lifetime", "over before it began");
    assert_eq!(outcome(&verifier, &token(None, 600)), "ok");
    assert_eq!(outcome(&verifier, &token(None, 601)), "token.lifetime");
    assert_eq!(outcome(&plain(), &token(Some(0), 86_400)), "ok");
    assert_eq!(outcome(&plain(), &token(Some(0), 86_401)), "token.lifetime");
}

#[test]
fn the_audience_is_ours() {
    let verifier = verifier(&[format!(
        r#"{{"id":"main","issuer":"{ISSUER}","audiences":["{AUDIENCE}","second"],"jwks":{{"source":"inline","keys":[{}]}}}}"#,
        Pair::rsa(0).jwk("k0", "")
    )]);
    for aud in ["\"api://latchkey\"", "\"second\"", r#"["api://latchkey"]"#, r#"["other","second"]"#, r#"["second","other"]"#] {
        assert_eq!(outcome(&verifier, &Claims::good().with("aud", aud).signed()), "ok", "{aud}");
    }
    for aud in [
        "null",
        "1",
        "{}",
        "[]",
        "\"\"",
        "\"other\"",
        "\"API://latchkey\"",
        "\"api://latchkey/\"",
        "\"api://latchkey \"",
        "\"api://latchkey second\"",
        r#"["other"]"#,
        r#"["api://latchkey",1]"#,
        r#"["api://latchkey",null]"#,
        r#"[["api://latchkey"]]"#,
        r#"{"api://latchkey":true}"#,
    ] {
        assert_eq!(outcome(&verifier, &Claims::good().with("aud", aud).signed()), "token.audience", "{aud}");
    }
    assert_eq!(outcome(&verifier, &Claims::good().without("aud").signed()), "token.audience");
    let by_client = plain_with(r#","audience_claim":"azp""#);
    assert_eq!(outcome(&by_client, &Claims::good().signed()), "token.audience");
    assert_eq!(outcome(&by_client, &Claims::good().with("azp", "\"api://latchkey\"").with("aud", "1").signed()), "ok");
}

#[tokio::test]
async fn the_subject_is_taken_as_it_is() {
    let now = Timestamp::from_unix_seconds(NOW);
    for (json, subject) in [
        ("\"User\"", "User"),
        ("\" user \"", " user "),
        ("\"u\\u00fc\"", "u\u{fc}"),
        ("\"uu\\u0308\"", "uu\u{308}"),
        ("\"auth0|1\"", "auth0|1"),
        ("\"a#b\"", "a#b"),
    ] {
        let claims = plain().verify(&Claims::good().with("sub", json).signed(), now, BUDGET).await.unwrap();
        assert_eq!(claims.identity().subject.as_str(), subject);
    }
    let long = format!("{:?}", "x".repeat(256));
    for json in ["null", "1", "[]", "[\"user-1\"]", "\"\"", "\"a\\u0000b\"", "\"a\\nb\"", &long] {
        let error = plain().verify(&Claims::good().with("sub", json).signed(), now, BUDGET).await.err();
        assert!(matches!(error, Some(VerifyError::Refused { refusal: TokenRefusal::Subject, .. })), "{json}");
    }
    assert_eq!(outcome_async(&plain(), &Claims::good().without("sub").signed()).await, Some(TokenRefusal::Subject));
    let by_oid = plain_with(r#","subject_claim":"oid""#);
    let claims = by_oid.verify(&Claims::good().with("oid", "\"o-1\"").signed(), now, BUDGET).await.unwrap();
    assert_eq!(claims.identity().subject.as_str(), "o-1");
    assert_eq!(outcome_async(&by_oid, &Claims::good().signed()).await, Some(TokenRefusal::Subject));
}

async fn outcome_async(verifier: &TestVerifier, token: &str) -> Option<TokenRefusal> {
    match verifier.verify(token, Timestamp::from_unix_seconds(NOW), BUDGET).await.err()? {
        VerifyError::Refused { refusal, .. } => Some(refusal),
        VerifyError::Unavailable { .. } => panic!("a token never makes it unavailable"),
    }
}

#[test]
fn token_ids_are_plain_text() {
    let long = format!("{:?}", "x".repeat(256));
    for jti in ["null", "1", "[]", "\"\"", "\"a\\u0007\"", &long] {
        assert_eq!(outcome(&plain(), &Claims::good().with("jti", jti).signed()), "token.token-id", "{jti}");
    }
    for jti in ["AT.x_y-z|1", &"\u{1d11e}".repeat(255)] {
        assert_eq!(outcome(&plain(), &Claims::good().with("jti", &format!("\"{jti}\"")).signed()), "ok");
    }
}

#[test]
fn a_logout_token_proves_no_session() {
    for events in [r#"{"http://schemas.openid.net/event/backchannel-logout":{}}"#, "null", "{}"] {
        assert_eq!(outcome(&plain(), &Claims::good().with("events", events).signed()), "token.security-event");
    }
}

#[test]
fn a_token_that_is_bound_to_a_key_is_no_bearer_token() {
    for cnf in [
        r#"{"jkt":"0ZcOCORZNYy-DWpqq30jZyJGHTN0d2HglBV3uiguA4I"}"#,
        r#"{"x5t#S256":"bwcK0esc3ACC3DB2Y5_lESsXE8o9ltc05O89jdN-dg2"}"#,
        "{}",
        "null",
    ] {
        assert_eq!(outcome(&plain(), &Claims::good().with("cnf", cnf).signed()), "token.sender-constrained");
    }
}

/// The groups of a good token with this claim, or the reason for which it is refused.
fn groups_of(verifier: &TestVerifier, claim: Option<&str>) -> Result<Vec<String>, &'static str> {
    let token = claim.map_or_else(Claims::good, |claim| Claims::good().with("grp", claim)).signed();
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    match runtime.block_on(verifier.verify(&token, Timestamp::from_unix_seconds(NOW), BUDGET)) {
        Ok(claims) => Ok(claims.groups().iter().map(ToString::to_string).collect()),
        Err(VerifyError::Refused { refusal, .. }) => Err(refusal.as_str()),
        Err(VerifyError::Unavailable { failure, .. }) => panic!("{failure}"),
    }
}

#[test]
fn groups_are_those_of_the_claim_byte_for_byte_each_once() {
    let verifier = plain_with(r#","groups_claim":"grp""#);
    let read = |claim: &str| groups_of(&verifier, Some(claim));
    let are = |groups: &[&str]| Ok(groups.iter().map(|group| (*group).to_owned()).collect::<Vec<_>>());
    assert_eq!(groups_of(&verifier, None), are(&[]), "no claim, no groups: nor where it was left out for its length");
    assert_eq!(read(r#""risk""#), are(&["risk"]), "a string is one group, whatever it holds");
    assert_eq!(read(r#""risk traders,all""#), are(&["risk traders,all"]));
    assert_eq!(read("[]"), are(&[]));
    assert_eq!(read(r#"["b","a","b","A"," a","/x/ü#*"]"#), are(&[" a", "/x/ü#*", "A", "a", "b"]));
    assert_eq!(read(&format!("[\"{}\"]", "ü".repeat(255))).unwrap().len(), 1);
    let long = format!("[\"a\",\"{}\"]", "x".repeat(256));
    for odd in ["null", "true", "1", "{}", "[1]", "[null]", r#"["a",["b"]]"#, r#"["a",1]"#, r#"[""]"#, r#""""#, r#"["a\u0000"]"#, &long] {
        assert_eq!(read(odd), Err("token.groups"), "{odd}");
    }
    // A dot is no path, as in no claim's name.
    let nested = plain_with(r#","groups_claim":"realm.grp""#);
    assert_eq!(groups_of(&nested, Some(r#"["a"]"#)), are(&[]));
}

#[test]
fn only_groups_with_the_prefix_count_and_of_those_not_too_many() {
    let verifier = plain_with(r#","groups_claim":"grp","groups_prefix":"sm-""#);
    let listed = |count: usize, prefix: &str| (0..count).map(|n| format!("\"{prefix}{n}\"")).collect::<Vec<_>>().join(",");
    let read = |groups: &[String]| groups_of(&verifier, Some(&format!("[{}]", groups.join(",")))).map(|groups| groups.len());
    assert_eq!(read(&[listed(90, "sm-"), listed(500, "other-")]), Ok(90));
    assert_eq!(read(&[listed(91, "sm-")]), Err("token.too-many-groups"), "and not the first of them");
    assert_eq!(read(&[listed(90, "sm-"), listed(90, "sm-")]), Ok(90), "the same ones again are not more");
    let long = format!("\"{}\"", "x".repeat(300));
    assert_eq!(read(&[long.clone(), "\"SM-1\"".into(), "\"sm-\"".into()]), Ok(1), "what does not count can be anything, if it is text");
    assert_eq!(read(&["1".into()]), Err("token.groups"));
    assert_eq!(read(&[format!("\"sm-{}", &long[1..])]), Err("token.groups"));
}

#[test]
fn groups_are_looked_at_where_the_issuer_is_told_to() {
    for claim in ["1", "[1]", r#"["a","b"]"#] {
        assert_eq!(groups_of(&plain(), Some(claim)), Ok(Vec::new()), "{claim}");
    }
}

#[tokio::test]
async fn the_principal_is_in_its_groups() {
    let token = Claims::good().with("grp", r#"["b","a"]"#).signed();
    let verifier = plain_with(r#","groups_claim":"grp""#);
    let principal = verifier.authenticate(&BearerToken::new(token), Timestamp::from_unix_seconds(NOW), BUDGET).await.unwrap();
    assert_eq!(principal.groups().iter().map(|group| group.as_str()).collect::<Vec<_>>(), ["a", "b"]);
}

#[test]
fn required_claims_are_values_or_lists_of_them() {
    let verifier = plain_with(r#","required_claims":{"groups":["a","b"],"acr":"2"}"#);
    let with = |groups: &str, acr: &str| outcome(&verifier, &Claims::good().with("groups", groups).with("acr", acr).signed());
    for groups in ["\"a\"", "[\"b\"]", "[\"x\",\"a\"]", "[1,null,\"a\"]"] {
        assert_eq!(with(groups, "\"2\""), "ok", "{groups}");
    }
    for groups in ["null", "true", "1", "{}", "[]", "\"\"", "\"A\"", "\"a b\"", "\"a,b\"", "[\"x\"]", "[[\"a\"]]", "{\"a\":true}"] {
        assert_eq!(with(groups, "\"2\""), "token.required-claim", "{groups}");
    }
    assert_eq!(with("\"a\"", "2"), "token.required-claim", "a number is no string");
    assert_eq!(with("\"a\"", "\"20\""), "token.required-claim");
    assert_eq!(outcome(&verifier, &Claims::good().with("groups", "\"a\"").signed()), "token.required-claim");
}

#[test]
fn a_required_claim_can_be_a_boolean_or_a_number() {
    for (required, met, unmet) in [
        ("true", ["true", "[false,true]"], ["false", "\"true\"", "1", "[]", "null", "[[true]]", "[\"true\"]", "{}"]),
        ("[2,3]", ["3", "[1,2]"], ["1", "\"2\"", "2.0", "3e0", "[1,\"3\"]", "true", "-2", "9223372036854775808"]),
        ("[false,\"none\"]", ["false", "\"none\""], ["true", "0", "\"false\"", "\"\"", "\"None\"", "null", "[]", "[null]"]),
    ] {
        let verifier = plain_with(&format!(r#","required_claims":{{"level":{required}}}"#));
        let with = |level: &str| outcome(&verifier, &Claims::good().with("level", level).signed());
        for level in met {
            assert_eq!(with(level), "ok", "{required}: {level}");
        }
        for level in unmet {
            assert_eq!(with(level), "token.required-claim", "{required}: {level}");
        }
        assert_eq!(outcome(&verifier, &Claims::good().signed()), "token.required-claim", "{required}");
    }
}

#[test]
fn scopes_are_words() {
    for name in ["scope", "scp"] {
        let verifier = plain_with(&format!(r#","required_claims":{{"{name}":["url.mint"]}}"#));
        let with = |scope: &str| outcome(&verifier, &Claims::good().with(name, scope).signed());
        for scope in ["\"url.mint\"", "\"openid url.mint\"", "\"url.mint openid\"", "[\"openid\",\"url.mint\"]"] {
            assert_eq!(with(scope), "ok", "{scope}");
        }
        for scope in [
            "\"\"",
            "\"openid\"",
            "\"url.mint2\"",
            "\"xurl.mint\"",
            "\"openid,url.mint\"",
            "\"openid\\turl.mint\"",
            "\"URL.mint\"",
            "[\"openid url.mint\"]",
        ] {
            assert_eq!(with(scope), "token.required-claim", "{scope}");
        }
    }
}

/// Step-up (RFC 9470): how the user has signed in is a claim like any other, in each of the forms that providers have for it.
#[test]
fn a_second_factor_can_be_asked_for() {
    let asks = |required: &str| plain_with(&format!(r#","required_claims":{{{required}}}"#));
    let with = |verifier: &TestVerifier, name: &str, json: &str| outcome(verifier, &Claims::good().with(name, json).signed());
    // RFC 8176: methods are a list, one of which has to be among those that are asked for.
    let amr = asks(r#""amr":["mfa","hwk"]"#);
    for methods in [r#"["mfa"]"#, r#"["pwd","mfa"]"#, r#"["hwk","pin"]"#, r#""mfa""#] {
        assert_eq!(with(&amr, "amr", methods), "ok", "{methods}");
    }
    for methods in
        ["[]", r#"["pwd"]"#, r#"["pwd","MFA"]"#, r#"["pwd mfa"]"#, r#""pwd mfa""#, r#"[["mfa"]]"#, r#"{"mfa":true}"#, "true", "null"]
    {
        assert_eq!(with(&amr, "amr", methods), "token.required-claim", "{methods}");
    }
    assert_eq!(outcome(&amr, &Claims::good().signed()), "token.required-claim", "said nothing of it");
    // OpenID Connect Core 1.0, section 2: a level is a string. It has no order: a higher one is not a lower one too.
    let acr = asks(r#""acr":["2","urn:okta:loa:2fa:any"]"#);
    for level in [r#""2""#, r#""urn:okta:loa:2fa:any""#] {
        assert_eq!(with(&acr, "acr", level), "ok", "{level}");
    }
    for level in [r#""3""#, r#""1""#, "2", "2.0", r#""urn:okta:loa:1fa:any""#, r#""2 urn:okta:loa:2fa:any""#] {
        assert_eq!(with(&acr, "acr", level), "token.required-claim", "{level}");
    }
    // Entra's authentication contexts.
    let acrs = asks(r#""acrs":"c1""#);
    assert_eq!(with(&acrs, "acrs", r#"["p1","c1"]"#), "ok");
    assert_eq!(with(&acrs, "acrs", r#"["p1","c10"]"#), "token.required-claim");
    // Of several claims that are asked for, each has to be met.
    let all = asks(r#""groups":["a"],"scope":["url.mint"],"acr":["2"],"amr":["mfa"]"#);
    let claims =
        Claims::good().with("groups", r#"["a"]"#).with("scope", "\"openid url.mint\"").with("acr", "\"2\"").with("amr", r#"["mfa"]"#);
    assert_eq!(outcome(&all, &claims.signed()), "ok");
    for name in ["groups", "scope", "acr", "amr"] {
        assert_eq!(outcome(&all, &claims.clone().without(name).signed()), "token.required-claim", "{name}");
        assert_eq!(outcome(&all, &claims.clone().with(name, "\"x\"").signed()), "token.required-claim", "{name}");
    }
}

#[test]
fn a_claim_that_was_too_long_to_send_is_refused_with_its_reason() {
    let verifier = plain_with(r#","required_claims":{"groups":["a"]}"#);
    for (name, json) in [("_claim_names", r#"{"groups":"src1"}"#), ("hasgroups", "true"), ("hasgroups", "\"true\"")] {
        assert_eq!(outcome(&verifier, &Claims::good().with(name, json).signed()), "token.claim-overage", "{json}");
    }
    assert_eq!(outcome(&verifier, &Claims::good().with("_claim_names", r#"{"other":"x"}"#).signed()), "token.required-claim");
    assert_eq!(outcome(&verifier, &Claims::good().with("hasgroups", "false").signed()), "token.required-claim");
    // It is no claim where it is there.
    let both = Claims::good().with("_claim_names", r#"{"groups":"src1"}"#).with("groups", "[\"a\"]").signed();
    assert_eq!(outcome(&verifier, &both), "ok");
}

#[test]
fn of_two_faults_the_first_check_is_told() {
    // A wrong signature hides what the claims are: nothing in them has been proven.
    let forged = Pair::rsa(1).token(Algorithm::RS256, r#"{"alg":"RS256","kid":"k0"}"#, &Claims::good().with("exp", "1").json());
    assert_eq!(outcome(&plain(), &forged), "token.signature");
    let wrong = Claims::good().with("exp", "1").with("aud", "\"x\"").with("sub", "1").with("events", "{}").with("cnf", "{}");
    assert_eq!(outcome(&plain(), &wrong.signed()), "token.security-event");
    assert_eq!(outcome(&plain(), &wrong.clone().without("events").signed()), "token.sender-constrained");
    assert_eq!(outcome(&plain(), &wrong.clone().without("events").without("cnf").signed()), "token.expired");
}

/// Every reason is reached by a test of this file: what cannot be reached is either dead or untested.
#[test]
fn every_refusal_can_be_reached() {
    let source = include_str!("tests.rs");
    let missing: BTreeSet<_> = TokenRefusal::ALL
        .into_iter()
        .filter(|refusal| !source.contains(&format!("{:?}", refusal.as_str())) && !source.contains(&format!("TokenRefusal::{refusal:?}")))
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

#[test]
fn nothing_of_a_token_is_printed() {
    let token = Claims::good().with("sub", "\"canary\"").signed();
    let parsed = UnverifiedToken::parse(&token).unwrap();
    assert_eq!(format!("{parsed:?} {:?}", parsed.header()), "UnverifiedToken(redacted) Header(redacted)");
    let verifier = plain();
    assert!(!format!("{verifier:?}").contains("canary"));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    /// No bit of a token can be changed: the text is one, and only that one verifies.
    #[test]
    fn no_mutated_byte_verifies(position in any::<prop::sample::Index>(), replacement in any::<u8>(), algorithm in 0..5_usize) {
        static VERIFIERS: Mutex<Vec<(TestVerifier, String)>> = Mutex::new(Vec::new());
        let mut verifiers = VERIFIERS.lock().unwrap();
        if verifiers.is_empty() {
            for algorithm in Algorithm::ALL {
                let header = format!(r#"{{"alg":"{algorithm}","kid":"k","typ":"JWT"}}"#);
                let token = Pair::of(algorithm).token(algorithm, &header, &Claims::good().json());
                verifiers.push((verifier_of(algorithm), token));
            }
        }
        let (verifier, token) = &verifiers[algorithm];
        prop_assert_eq!(outcome(verifier, token), "ok");
        let mut bytes = token.clone().into_bytes();
        let position = position.index(bytes.len());
        prop_assume!(bytes[position] != replacement);
        bytes[position] = replacement;
        let mutated = String::from_utf8_lossy(&bytes);
        prop_assert_ne!(outcome(verifier, &mutated), "ok");
    }

    #[test]
    fn any_text_is_refused(text in "\\PC{0,200}") {
        prop_assert!(outcome(&plain(), &text).starts_with("token."));
    }

    #[test]
    fn any_signed_claims_are_judged(claims in proptest::collection::vec(any::<u8>(), 0..300)) {
        let input = format!("{}.{}", b64(r#"{"alg":"RS256","kid":"k0"}"#), b64(claims));
        let token = format!("{input}.{}", b64(Pair::rsa(0).sign(Algorithm::RS256, input.as_bytes())));
        prop_assert!(outcome(&plain(), &token).starts_with("token."));
    }
}
