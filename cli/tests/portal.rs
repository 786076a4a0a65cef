//! The demo portal, as a browser without a script meets it: signing in, opening, being refused, and what is kept from whom.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;

use axum::body::Body;
use axum::http::{HeaderMap, Request, header};
use latchkey::embedded::{Embedded, Options};
use latchkey::http::{self, Answer};
use latchkey::portal::Portal;
use latchkey_standin::fault::Fault;
use latchkey_standin::idp::{Algorithm, MintOptions};
use serde_json::json;

use support::{Dev, PATIENCE};

/// The portal, and what it stands before.
struct Scene {
    embedded: Embedded,
    portal: Portal,
}

impl Scene {
    async fn new() -> Self {
        let embedded = Embedded::start(Options::default()).await.unwrap();
        let portal = Portal::start(0, &embedded).await.unwrap();
        Self { embedded, portal }
    }

    fn browser(&self) -> Browser {
        Browser::new(&self.portal.url())
    }

    async fn signed_in(&self, user: &str) -> Browser {
        let mut browser = self.browser();
        browser.sign_in(user).await;
        browser
    }
}

/// A browser without a script: cookies, forms, and no redirect followed without being told.
struct Browser {
    origin: String,
    cookies: BTreeMap<String, String>,
    /// Every page that the portal has shown, for what must not be on any.
    seen: String,
}

impl Browser {
    fn new(portal: &str) -> Self {
        Self { origin: portal.trim_end_matches('/').to_owned(), cookies: BTreeMap::new(), seen: String::new() }
    }

    async fn send(&mut self, request: axum::http::request::Builder, body: String) -> Answer {
        let cookies: Vec<String> = self.cookies.iter().map(|(name, value)| format!("{name}={value}")).collect();
        let request = if cookies.is_empty() { request } else { request.header(header::COOKIE, cookies.join("; ")) };
        let answer = http::send(request.body(Body::from(body)).unwrap()).await.unwrap();
        for cookie in answer.headers.get_all(header::SET_COOKIE) {
            let cookie = cookie.to_str().unwrap();
            assert!(cookie.contains("; Path=/; ") && cookie.ends_with("; HttpOnly; SameSite=Lax"), "{cookie}");
            let (name, value) = cookie.split(';').next().unwrap().split_once('=').unwrap();
            if cookie.contains("Max-Age=0;") {
                self.cookies.remove(name);
            } else {
                self.cookies.insert(name.to_owned(), value.to_owned());
            }
        }
        self.seen.push_str(&answer.body);
        is_protected(&answer.headers);
        answer
    }

    async fn get(&mut self, path: &str) -> Answer {
        self.send(Request::get(format!("{}{path}", self.origin)), String::new()).await
    }

    /// A form that a page of the portal's own sends.
    async fn post(&mut self, path: &str, form: &str) -> Answer {
        self.post_from(path, form, &[("origin", &self.origin.clone()), ("sec-fetch-site", "same-origin")]).await
    }

    async fn post_from(&mut self, path: &str, form: &str, headers: &[(&str, &str)]) -> Answer {
        let request = Request::post(format!("{}{path}", self.origin)).header("content-type", "application/x-www-form-urlencoded");
        let request = headers.iter().fold(request, |request, (name, value)| request.header(*name, *value));
        self.send(request, form.to_owned()).await
    }

    /// Chooses a user at the issuer, and gives where it sends the browser: the callback.
    async fn choose(&mut self, user: &str) -> String {
        let begun = self.get("/").await;
        assert_eq!(begun.status, 303);
        self.choose_at(&location(&begun), user).await
    }

    async fn choose_at(&self, authorize: &str, user: &str) -> String {
        let page = http::get(authorize).await.unwrap();
        let transaction = between(&page.body, "name=\"transaction\" value=\"", "\"");
        let (endpoint, _) = authorize.split_once('?').unwrap();
        let sent = http::post_form(endpoint, format!("transaction={transaction}&user={user}")).await.unwrap();
        let back = location(&sent);
        back.strip_prefix(&self.origin).unwrap_or_else(|| panic!("{back}")).to_owned()
    }

    async fn sign_in(&mut self, user: &str) {
        let callback = self.choose(user).await;
        let answer = self.get(&callback).await;
        assert_eq!((answer.status, location(&answer).as_str()), (303, "/"));
        assert_eq!(answer.headers["referrer-policy"], "no-referrer", "the callback's address has a code in it");
    }

    /// What the session's forms bring along.
    async fn form_token(&mut self) -> String {
        between(&self.get("/").await.body, "name=\"form_token\" value=\"", "\"").to_owned()
    }

    async fn open(&mut self, target: &str, landing: &str) -> Answer {
        let token = self.form_token().await;
        self.post("/open", &format!("form_token={token}&target={target}&landing={landing}")).await
    }
}

/// Every answer of the portal's has these.
#[track_caller]
fn is_protected(headers: &HeaderMap) {
    let policy = headers["content-security-policy"].to_str().unwrap();
    assert!(policy.starts_with("default-src 'none'; ") && policy.contains("frame-ancestors 'none'"), "{policy}");
    assert!(!policy.contains("unsafe") && !policy.contains("data:"), "{policy}");
    assert_eq!(headers["cache-control"], "no-store");
    assert_eq!(headers["x-content-type-options"], "nosniff");
    assert!(headers["referrer-policy"] == "same-origin" || headers["referrer-policy"] == "no-referrer");
}

fn location(answer: &Answer) -> String {
    answer.headers.get("location").unwrap_or_else(|| panic!("{}: {}", answer.status, answer.body)).to_str().unwrap().to_owned()
}

#[track_caller]
fn between<'a>(text: &'a str, begins: &str, ends: &str) -> &'a str {
    let (_, rest) = text.split_once(begins).unwrap_or_else(|| panic!("no {begins} in {text}"));
    rest.split_once(ends).unwrap().0
}

/// Opens a URL at the stand-in, as a machine.
async fn opened(url: &str) -> serde_json::Value {
    let request = Request::get(url).header("accept", "application/json").body(Body::empty()).unwrap();
    serde_json::from_str(&http::send(request).await.unwrap().body).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_signs_in_opens_and_signs_out() {
    let scene = Scene::new().await;
    let mut bob = scene.signed_in("bob").await;
    let page = bob.get("/").await;
    assert_eq!(page.status, 200);
    for text in [
        "<p>Bob Baumann, signed in until ",
        "<h2>research <span class=\"tag\">your default</span></h2>",
        "<option>canvas</option>",
        ">Open risk<",
    ] {
        assert!(page.body.contains(text), "{text}: {}", page.body);
    }

    for (target, landing, uri, space) in [
        ("research", "", json!("app:JupyterLab:lab"), json!("team-notebooks")),
        ("research", "canvas", json!("app:Canvas:"), json!(null)),
        ("risk", "", json!(null), json!(null)),
    ] {
        let answer = bob.open(target, landing).await;
        assert_eq!((answer.status, answer.body.as_str()), (303, ""), "{target}");
        assert_eq!(answer.headers["referrer-policy"], "no-referrer");
        let page = opened(&location(&answer)).await;
        assert_eq!((&page["landing_uri"], &page["space_name"]), (&uri, &space), "{target} {landing}");
        assert_eq!(page["source_identity"], "local.demo-bob");
    }
    // Without a target it is the default.
    let token = bob.form_token().await;
    let answer = bob.post("/open", &format!("form_token={token}")).await;
    assert!(location(&answer).contains("d-demoresearch."), "the default");

    let page = bob.get("/").await;
    assert!(page.body.contains("The last link was made at "), "{}", page.body);
    let openings: serde_json::Value = serde_json::from_str(&bob.get("/openings").await.body).unwrap();
    let risk = openings["openings"].as_array().unwrap().iter().find(|one| one["target"] == "risk").unwrap();
    assert_eq!(risk["number"], 3);
    assert!((1..=15_000).contains(&risk["left"].as_i64().unwrap()), "a URL of this target lives 15 seconds: {risk}");

    let answer = bob.post("/sign-out", &format!("form_token={token}")).await;
    assert_eq!((answer.status, location(&answer).as_str()), (303, "/signed-out"));
    assert!(bob.get("/signed-out").await.body.contains("You have signed out"));
    assert!(bob.cookies.keys().all(|name| name.ends_with("-sign-in")), "{:?}", bob.cookies);
    assert_eq!(bob.get("/openings").await.status, 403);
    assert_eq!(bob.get("/").await.status, 303, "to the issuer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_signed_out_or_signed_in_anew_is_over_for_good() {
    let scene = Scene::new().await;
    // Two tabs, in both of which a user is chosen.
    let mut alice = scene.browser();
    let (first, second) = (alice.choose("alice").await, alice.choose("alice").await);
    assert_eq!(alice.get(&first).await.status, 303);
    let token = alice.form_token().await;
    let before = alice.cookies.clone();
    assert_eq!(alice.get(&second).await.status, 303);
    assert_ne!(alice.cookies, before, "each sign-in has a session of its own");
    let mut stolen = scene.browser();
    stolen.cookies = before;
    assert_eq!(stolen.get("/openings").await.status, 403, "the one before is over");

    let now = alice.cookies.clone();
    let form = format!("form_token={}", alice.form_token().await);
    assert_ne!(form, format!("form_token={token}"));
    alice.post("/sign-out", &form).await;
    stolen.cookies = now;
    assert_eq!(stolen.get("/openings").await.status, 403);
    assert_eq!(stolen.post("/open", &form).await.status, 403);
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_to_another_sign_in_signs_nobody_in() {
    let scene = Scene::new().await;
    let mut alice = scene.browser();
    let callback = alice.choose("alice").await;
    let state = between(&callback, "state=", "&").to_owned();

    // Somebody else's browser, with a sign-in of its own and with none.
    let mut mallory = scene.browser();
    mallory.get("/").await;
    let mut nobody = scene.browser();
    for browser in [&mut mallory, &mut nobody] {
        let answer = browser.get(&callback).await;
        assert_eq!(answer.status, 403);
        assert!(
            answer.body.contains("You are not signed in") && answer.body.contains("state: it belongs to no sign-in"),
            "{}",
            answer.body
        );
        assert!(!browser.cookies.keys().any(|name| !name.ends_with("-sign-in")), "{:?}", browser.cookies);
    }
    for (wrong, why) in [
        (callback.replace(&state, "other"), "state: "),
        (callback.replace("state=", "x="), "state: "),
        (format!("{callback}&state={state}"), "cannot be read"),
        ("/callback".to_owned(), "state: "),
    ] {
        let answer = alice.get(&wrong).await;
        assert!(answer.status == 403 && answer.body.contains(why), "{wrong}: {}", answer.body);
    }
    // None of this has used hers up, which is good once.
    assert_eq!(alice.get(&callback).await.status, 303);
    assert_eq!(alice.get(&callback).await.status, 403);
    assert_eq!(alice.get("/").await.status, 200, "and signs nobody out");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_id_token_is_verified() {
    type Change = fn(&mut MintOptions);
    const CHANGES: [(Change, Option<&str>); 8] = [
        (|_| {}, None),
        (|token| drop(token.claims.insert("nonce".to_owned(), "other".into())), Some("token.required-claim")),
        (|token| drop(token.claims.remove("nonce")), Some("token.required-claim")),
        (|token| token.audience = Some("latchkey".into()), Some("token.audience")),
        (|token| token.issuer = Some("http://127.0.0.1:9".to_owned()), Some("token.issuer")),
        (|token| token.typ = Some("at+jwt".to_owned()), Some("token.type")),
        (|token| token.issued_in_seconds = -7200, Some("token.expired")),
        (|token| token.algorithm = Algorithm::Es256, Some("token.algorithm")),
    ];
    let scene = Scene::new().await;
    let idp = &scene.embedded.stack.idp;
    for (change, refusal) in CHANGES {
        let mut browser = scene.browser();
        let authorize = location(&browser.get("/").await);
        let callback = browser.choose_at(&authorize, "alice").await;
        let mut token = MintOptions::new("demo-alice").claim("nonce", between(&authorize, "nonce=", "&")).claim("name", "Alice");
        (token.audience, token.typ) = (Some(idp.client_id().into()), Some("JWT".to_owned()));
        change(&mut token);
        let answer = json!({"access_token": "x", "token_type": "Bearer", "expires_in": 60, "id_token": idp.mint(&token).unwrap()});
        idp.inject("/token", 1, &Fault::Body(answer.to_string()));
        let answer = browser.get(&callback).await;
        match refusal {
            None => assert_eq!((answer.status, location(&answer).as_str()), (303, "/")),
            Some(refusal) => {
                assert_eq!(answer.status, 403, "{refusal}");
                assert!(answer.body.contains(&format!("the ID token is not accepted: {refusal}")), "{refusal}: {}", answer.body);
                assert!(!browser.cookies.keys().any(|name| !name.ends_with("-sign-in")), "{refusal}");
            }
        }
        assert!(!browser.seen.contains("eyJ"));
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_issuer_that_fails_signs_nobody_in() {
    let scene = Scene::new().await;
    for fault in [Fault::error(503, "unavailable"), Fault::Malformed, Fault::Truncated, Fault::Close, Fault::Body("{}".to_owned())] {
        let mut browser = scene.browser();
        let callback = browser.choose("alice").await;
        scene.embedded.stack.idp.inject("/token", 1, &fault);
        let answer = browser.get(&callback).await;
        assert!(answer.status == 403 && answer.body.contains("gives no tokens"), "{fault:?}: {}", answer.body);
    }
    let mut browser = scene.browser();
    let callback = browser.choose("alice").await;
    let callback = format!("/callback?error=access_denied&{}", callback.split_once('&').unwrap().1);
    let answer = browser.get(&callback).await;
    assert!(answer.status == 403 && answer.body.contains("the issuer has answered access_denied"), "{}", answer.body);
}

#[tokio::test(flavor = "multi_thread")]
async fn only_its_own_pages_open_anything() {
    let scene = Scene::new().await;
    let mut alice = scene.signed_in("alice").await;
    let token = alice.form_token().await;
    let other = scene.signed_in("alice").await.form_token().await;
    let own = alice.origin.clone();
    let calls = scene.embedded.stack.aws.captured().len();
    for path in ["/open", "/sign-out"] {
        for (form_token, headers) in [
            (&token, &[][..]),
            (&token, &[("sec-fetch-site", "same-origin")]),
            (&token, &[("origin", "null")]),
            (&token, &[("origin", "http://evil.example")]),
            (&token, &[("origin", "http://localhost:1")]),
            (&token, &[("origin", &own), ("sec-fetch-site", "cross-site")]),
            (&token, &[("origin", &own), ("sec-fetch-site", "same-site")]),
            (&String::new(), &[("origin", &own)]),
            (&other, &[("origin", &own)]),
        ] {
            let answer = alice.post_from(path, &format!("form_token={form_token}"), headers).await;
            assert_eq!(answer.status, 403, "{path} {headers:?}");
            assert!(answer.body.contains("This form was not sent by the portal"), "{}", answer.body);
        }
        for form in ["", "x=y", &format!("form_token={token}&form_token={token}"), &format!("form_token={token}&url=http://evil.example/")]
        {
            assert_eq!(alice.post(path, form).await.status, 403, "{path} {form}");
        }
        let too_large = format!("form_token={token}&target={}", "x".repeat(5000));
        assert_eq!(alice.post(path, &too_large).await.status, 403);
        // Nothing that changes something is a GET, which a link or an image could make.
        let answer = alice.get(path).await;
        assert!(answer.status == 405 && answer.body.contains("is not opened like this"), "{path}");
    }
    assert_eq!(scene.embedded.stack.aws.captured().len(), calls, "nothing was opened");
    assert_eq!(alice.get("/").await.status, 200, "nor signed out");
    assert_eq!(alice.open("research", "").await.status, 303);
}

#[tokio::test(flavor = "multi_thread")]
async fn it_answers_to_its_own_name_only() {
    let scene = Scene::new().await;
    let mut browser = Browser::new(&scene.portal.url().replace("localhost", "rebound.localhost"));
    for path in ["/", "/openings", "/portal.js", "/callback", "/none"] {
        let answer = browser.get(path).await;
        assert_eq!(answer.status, 421, "{path}");
        assert_eq!(answer.body, format!("The portal answers at {} only.\n", scene.portal.url()));
    }
    let mut browser = scene.browser();
    assert_eq!(browser.get("/none").await.status, 404);
    for (path, content_type) in [("/portal.css", "text/css"), ("/portal.js", "text/javascript"), ("/icon.svg", "image/svg+xml")] {
        assert!(browser.get(path).await.headers["content-type"].to_str().unwrap().starts_with(content_type));
    }
    let Scene { embedded, portal } = scene;
    let url = portal.url();
    portal.shutdown().await;
    assert!(http::get(&url).await.is_err(), "nothing is left of it");
    embedded.shutdown().await;
}

/// What each of the users that are refused sees, and what a developer does.
#[tokio::test(flavor = "multi_thread")]
async fn a_refusal_says_what_to_do_and_to_developers_why() {
    let scene = Scene::new().await;
    for (user, target, status, title, code, reason, explained) in [
        (
            "carol",
            "research",
            403,
            "You may not open this",
            "not-entitled",
            "subject.suspended",
            "FAILED      the subject is not suspended",
        ),
        ("dave", "", 403, "You may not open this", "not-entitled", "grant.none", "FAILED      there is such a grant"),
        ("erin", "research", 403, "You may not open this", "not-entitled", "grant.expired", "FAILED      it is enabled and in its dates"),
        ("heidi", "stopped", 409, "This is not ready", "target-not-ready", "sagemaker.not-ready", "ALLOWED at "),
        ("judy", "research", 403, "You may not open this", "not-entitled", "provision.foreign-profile", "ALLOWED at "),
        ("ivan", "research", 409, "This is not ready", "target-not-ready", "provision.created", "only if there is no such profile"),
    ] {
        let mut browser = scene.signed_in(user).await;
        let page = browser.get("/").await;
        // Of a suspended user the list is refused, too; her page has no form for a target, and the session's token all the same.
        assert_eq!(page.status, if user == "carol" { 403 } else { 200 }, "{user}");
        assert_eq!(page.body.contains("<h1>Nothing is open to you now</h1>"), user == "carol", "{user}");
        let answer = browser.open(target, "").await;
        let body = &answer.body;
        assert_eq!(answer.status, status, "{user}: {body}");
        let id = between(body, "<dt>Request id</dt><dd>", "<");
        let record = scene.embedded.decisions.of(id).unwrap();
        assert_eq!((record.code, record.reason), (code, Some(reason)), "{user}");
        for text in
            [title, &format!("<dd>{code}</dd>"), &format!("<code>{reason}</code>"), explained, "latchkey.decision", "Back to your targets"]
        {
            assert!(body.contains(text), "{user}: no {text} in {body}");
        }
        let said_before_developers = body.split_once("class=\"backstage\"").unwrap().0;
        assert!(!said_before_developers.contains(reason), "{user}");
        let retry = answer.headers.get("retry-after").map(|seconds| seconds.to_str().unwrap().to_owned());
        assert_eq!(retry.is_some(), body.contains("<dt>Try again</dt>"), "{user}");
        assert!(user != "ivan" || retry.is_some(), "a profile that is made is worth waiting for");
        assert!(user != "heidi" || body.contains("<dt>State</dt><dd>Stopped</dd>"), "{body}");
        assert!(!browser.seen.contains("eyJ"), "{user}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn too_many_clicks_are_told_when_to_go_on() {
    let scene = Scene::new().await;
    let mut alice = scene.signed_in("alice").await;
    let form = format!("form_token={}&target=research", alice.form_token().await);
    let mut answer = alice.post("/open", &form).await;
    // 20 in a minute; the window may end in between.
    for _ in 0..40 {
        if answer.status != 303 {
            break;
        }
        answer = alice.post("/open", &form).await;
    }
    assert_eq!(answer.status, 429, "{}", answer.body);
    let seconds = answer.headers["retry-after"].to_str().unwrap();
    assert!(answer.body.contains(&format!("<dt>Try again</dt><dd>in {seconds} second")), "{}", answer.body);
    assert!(answer.body.contains("Too many links") && answer.body.contains("20 of 20 used"), "{}", answer.body);
    assert!(alice.get("/").await.body.contains("Refused at "));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_that_the_api_accepts_no_longer_ends_the_session() {
    let scene = Scene::new().await;
    let mut alice = scene.signed_in("alice").await;
    let form = format!("form_token={}&target=research", alice.form_token().await);
    // An issuer that gives a token which the API does not take, as one does whose keys have been withdrawn since.
    let mut browser = scene.browser();
    let authorize = location(&browser.get("/").await);
    let callback = browser.choose_at(&authorize, "alice").await;
    let idp = &scene.embedded.stack.idp;
    let mut token = MintOptions::new("demo-alice").claim("nonce", between(&authorize, "nonce=", "&"));
    (token.audience, token.typ) = (Some(idp.client_id().into()), Some("JWT".to_owned()));
    let answer = json!({"access_token": "worthless", "token_type": "Bearer", "expires_in": 60, "id_token": idp.mint(&token).unwrap()});
    idp.inject("/token", 1, &Fault::Body(answer.to_string()));
    assert_eq!(browser.get(&callback).await.status, 303);
    let answer = browser.get("/").await;
    assert!(
        answer.status == 403 && answer.body.contains("Your sign-in has ended") && answer.body.contains("token.malformed"),
        "{}",
        answer.body
    );
    assert!(!answer.body.contains("worthless") && !answer.headers.contains_key("www-authenticate"));
    assert_eq!(browser.get("/").await.status, 303, "to the issuer");
    assert_eq!(alice.post("/open", &form).await.status, 303, "others' sessions go on");
}

#[tokio::test(flavor = "multi_thread")]
async fn an_api_that_is_gone_is_unavailable() {
    let scene = Scene::new().await;
    let mut alice = scene.signed_in("alice").await;
    scene.embedded.stack.aws.inject("CreatePresignedDomainUrl", 10, &Fault::error(503, "ServiceUnavailable"));
    let answer = alice.open("research", "").await;
    assert!(answer.status == 503 && answer.body.contains("The service cannot answer now"), "{}", answer.body);
    assert!(answer.body.contains("what it allows, AWS can still refuse"), "{}", answer.body);
    assert!(answer.headers.contains_key("retry-after"));
}

/// `latchkey dev` serves it, says so first, and writes neither tokens nor URLs.
#[test]
fn dev_serves_it_and_writes_no_secret() {
    let dev = Dev::start(&[]);
    let portal = dev.printed("http://localhost:");
    assert!(portal.ends_with("choose who to be"), "{portal}");
    let lines = dev.process.output().lines();
    let first = |needle: &str| lines.iter().position(|line| line.contains(needle)).unwrap();
    assert!(first("http://localhost:") < first("/v1 "), "{lines:#?}");
    let mut browser = Browser::new(portal.split_whitespace().next().unwrap());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (url, refused) = runtime.block_on(async {
        browser.sign_in("bob").await;
        (location(&browser.open("risk", "").await), browser.open("none", "").await)
    });
    assert_eq!(refused.status, 403);
    dev.process.output().wait(0, PATIENCE, |line| line.contains("grant.none").then_some(()));
    let (_, secret) = url.split_once("token=").unwrap();
    let written = dev.process.output().lines().join("\n");
    for text in [&browser.seen, &written] {
        assert!(!text.contains(secret) && !text.contains("eyJ"));
        // Neither of the cookies, which are as good as the token.
        assert!(browser.cookies.values().all(|id| !text.contains(id)));
    }
    assert!(browser.cookies.len() == 2 && browser.seen.len() > 1000 && written.contains("latchkey.decision"));
}
