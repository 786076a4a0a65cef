//! The real function and a real OpenID provider: it finds the keys by discovery, takes that provider's tokens and no others,
//! and goes on through a rotation. The hours between are in `key_rotation.rs`, on a clock that is set by hand.

use std::time::Duration;

use latchkey_domain::identity::IssuerId;
use latchkey_tests::emulator::{Answer, Emulator};
use latchkey_tests::openid_provider::{OpenIdProvider, ProviderToken};
use latchkey_tests::stack::{World, launch};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};
use tokio::time::Instant;

const SUBJECT: &str = "jane";

/// Everything but the function, with a grant for [`SUBJECT`] of the provider's.
struct Scene {
    world: World,
    provider: OpenIdProvider,
}

impl Scene {
    fn start() -> Self {
        let scene = Self { world: World::start(), provider: OpenIdProvider::start() };
        scene.world.grant(&IssuerId::new("op").unwrap(), SUBJECT, "research", "alice", &[("external_id", "latchkey-demo")]);
        scene
    }

    /// The function, with the provider as its one issuer: its keys by discovery, and what `more` says besides.
    fn function(&self, more: Value) -> Function<'_> {
        let mut issuer = json!({ "id": "op", "issuer": self.provider.issuer(), "jwks": { "source": "url" } });
        issuer.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        let issuers = json!([issuer]).to_string();
        let env = self.world.env(&[("LATCHKEY_ISSUERS", &issuers), ("LATCHKEY_RATE_LIMIT", "off")]);
        let emulator = Emulator::start(&bootstrap(), &env);
        Function { scene: self, emulator, count: std::cell::Cell::default() }
    }

    fn for_access_tokens(&self) -> Function<'_> {
        self.function(json!({ "audiences": [self.provider.audience()], "token_types": ["at+jwt"] }))
    }
}

struct Function<'a> {
    scene: &'a Scene,
    emulator: Emulator,
    count: std::cell::Cell<u32>,
}

impl Function<'_> {
    /// Launches with a token; gives back the answer and the audit record.
    fn launch(&self, token: &ProviderToken) -> (Answer, Value) {
        self.count.set(self.count.get() + 1);
        let id = format!("99164ef8-2b74-522c-96ed-{:012}", self.count.get());
        let answer = self.emulator.invoke(&launch(&id, &token.token, None));
        (answer, self.emulator.record_of(&id))
    }

    /// Launches, which must succeed, as the right user and by the right key.
    #[track_caller]
    fn accepts(&self, token: &ProviderToken) {
        let (answer, record) = self.launch(token);
        assert_eq!(answer.status(), 200, "{record}");
        let expected = json!(["op", SUBJECT, token.kid, "research"]);
        assert_eq!(json!([record["issuer_id"], record["subject"], record["key_id"], record["target"]]), expected);
    }

    /// Launches, which must be refused for this reason, without any call.
    #[track_caller]
    fn refuses(&self, token: &ProviderToken, reason: &str) {
        self.scene.world.clear_captured();
        let (answer, record) = self.launch(token);
        assert_eq!((answer.status(), answer.body()["code"].as_str()), (401, Some("invalid-token")), "{record}");
        assert!(answer.header("WWW-Authenticate").is_some_and(|value| value.starts_with("Bearer")));
        assert_eq!((record["reason"].as_str(), record["issuer_id"].as_str()), (Some(reason), Some("op")), "{record}");
        let sent: Vec<String> = self.scene.world.captured().into_iter().map(|request| request.action).collect();
        assert!(sent.is_empty(), "{sent:?}");
    }
}

/// Access tokens where those are configured, ID tokens where those are, each in RS256 and ES256, and neither in place of the
/// other.
#[test]
#[ignore = "needs the tools: make test"]
fn access_tokens_and_id_tokens_open_what_they_are_configured_for() {
    let scene = Scene::start();
    let provider = &scene.provider;
    let access = scene.for_access_tokens();
    let id = scene.function(json!({ "audiences": [provider.client("RS256"), provider.client("ES256")] }));

    for algorithm in ["RS256", "ES256"] {
        let token = |kind: &str| provider.token(&json!({ "kind": kind, "alg": algorithm, "subject": SUBJECT }));
        for kind in ["access", "user-access"] {
            access.accepts(&token(kind));
            id.refuses(&token(kind), "token.audience");
        }
        let id_token = token("id");
        id.accepts(&id_token);
        access.refuses(&id_token, "token.type");

        let elsewhere = provider.token(&json!({ "alg": algorithm, "subject": SUBJECT, "audience": "https://another.test" }));
        access.refuses(&elsewhere, "token.audience");
    }
    // The keys came by discovery, once for each function.
    assert_eq!((provider.requests("/.well-known/openid-configuration"), provider.requests("/jwks")), (2, 2));

    // ID tokens of a client that is not configured are another audience's, whatever signed them.
    let one = scene.function(json!({ "audiences": [provider.client("RS256")] }));
    one.refuses(&provider.token(&json!({ "kind": "id", "alg": "ES256", "subject": SUBJECT })), "token.audience");
    // Another algorithm has to be configured, though its keys are published and its tokens are right.
    let pss = provider.access_token("PS256", SUBJECT);
    access.refuses(&pss, "token.algorithm");
    scene.function(json!({ "audiences": [provider.audience()], "algorithms": ["PS256"] })).accepts(&pss);
    // Whoever is not in the table is nobody here, however good the token.
    let (answer, record) = access.launch(&provider.access_token("RS256", "joe"));
    assert_eq!((answer.status(), record["reason"].as_str()), (403, Some("grant.none")));
}

/// Of both algorithms the keys are changed while the function runs.
#[test]
#[ignore = "needs the tools: make test"]
fn keys_rotate_while_the_function_runs() {
    const ALGORITHMS: [&str; 2] = ["RS256", "ES256"];
    let scene = Scene::start();
    let provider = &scene.provider;
    let function = scene.for_access_tokens();
    let old = ALGORITHMS.map(|algorithm| provider.access_token(algorithm, SUBJECT));
    old.iter().for_each(|token| function.accepts(token));
    assert_eq!(provider.requests("/jwks"), 1);

    ALGORITHMS.iter().for_each(|algorithm| drop(provider.rotate(algorithm)));
    let new = ALGORITHMS.map(|algorithm| provider.access_token(algorithm, SUBJECT));
    assert!(old.iter().zip(&new).all(|(old, new)| old.kid != new.kid));

    // The first token that comes with a new key has the keys loaded, and is accepted. That load brought the other algorithm's
    // new key too, and the old keys work as long as they are published.
    new.iter().chain(&old).for_each(|token| function.accepts(token));
    assert_eq!(provider.requests("/jwks"), 2);

    // A key that nobody has published is refused, and the provider is not asked for each token that has one.
    let stranger = OpenIdProvider::start();
    for algorithm in ALGORITHMS {
        let forged = stranger.access_token(algorithm, SUBJECT).with_issuer(provider.issuer());
        function.refuses(&forged, "token.key-unknown");
    }
    assert_eq!(provider.requests("/jwks"), 2);
    function.accepts(&new[0]);

    // A retired key: a function that starts now does not know it.
    old.iter().for_each(|token| provider.retire(&token.kid));
    let fresh = scene.for_access_tokens();
    old.iter().for_each(|token| fresh.refuses(token, "token.key-unknown"));
    new.iter().for_each(|token| fresh.accepts(token));
}

/// A provider that cannot be asked when the function starts: the function starts all the same, says that it is unavailable, and
/// recovers by itself.
#[test]
#[ignore = "needs the tools: make test"]
fn a_provider_that_is_down_at_the_start_is_unavailable_until_it_is_back() {
    let scene = Scene::start();
    let provider = &scene.provider;
    let token = provider.access_token("RS256", SUBJECT);
    provider.break_off("error");
    let function = scene.for_access_tokens();
    scene.world.clear_captured();
    let (answer, record) = function.launch(&token);
    assert_eq!((answer.status(), answer.body()["code"].as_str()), (503, Some("unavailable")), "{record}");
    assert!(answer.header("Retry-After").is_some_and(|seconds| seconds.parse::<u32>().is_ok_and(|seconds| seconds > 0)));
    assert_eq!((record["reason"].as_str(), record["issuer_id"].as_str()), (Some("keys.discovery-status"), Some("op")), "{record}");
    assert!(scene.world.captured().is_empty());

    provider.restore();
    // As a caller does who was told to try again.
    let begun = Instant::now();
    while function.launch(&token).0.status() != 200 {
        assert!(begun.elapsed() < Duration::from_secs(10), "it does not recover");
        std::thread::sleep(Duration::from_millis(200));
    }
}
