//! Each preset with tokens shaped like its provider's: what it is for is accepted, what the same provider issues for other
//! purposes is not.
//!
//! The shapes follow the providers' own documentation; `docs/identity-providers.md` names it. The examples of that document are
//! verified here too.

use latchkey_domain::clock::Timestamp;
use serde_json::{Map, Value, json};

use super::*;
use crate::algorithm::Algorithm;
use crate::config::ClaimValue;
use crate::config::parse_issuers;
use crate::testing::{BUDGET, NOW, Pair, verifier};
use crate::verifier::VerifyError;

const TENANT: &str = "6f1d3c2a-0b4e-4f5d-8c7b-9a8e7d6c5b4a";
const OTHER_TENANT: &str = "11111111-2222-4333-8444-555555555555";

/// A provider as it is configured, and the header of its access tokens.
struct Provider {
    config: Value,
    header: Value,
}

impl Provider {
    fn new(preset: &str, issuer: &str, audience: &str, header: Value) -> Self {
        Self { config: json!({ "id": "main", "preset": preset, "issuer": issuer, "audiences": [audience] }), header }
    }

    /// With these members in its configuration.
    fn with(&self, members: &Value) -> Self {
        Self { config: changed(&self.config, members), header: self.header.clone() }
    }

    /// The subject of a token of these claims, or why it was refused.
    fn verdict(&self, claims: &Value) -> String {
        self.verdict_with(&json!({}), claims)
    }

    /// As [`Self::verdict`], with these members in the header. `null` takes one away.
    fn verdict_with(&self, header: &Value, claims: &Value) -> String {
        verdict(&self.config, &changed(&self.header, header), claims, NOW)
    }
}

/// An object with some of its members replaced; `null` takes one away.
fn changed(object: &Value, members: &Value) -> Value {
    let mut object: Map<String, Value> = object.as_object().unwrap().clone();
    for (name, value) in members.as_object().unwrap() {
        if value.is_null() {
            object.remove(name);
        } else {
            object.insert(name.clone(), value.clone());
        }
    }
    Value::Object(object)
}

/// What comes of a token of this header and these claims at an issuer of this configuration. It is signed with the issuer's
/// key whatever it says; of its header only `kid` is set here, and what says nothing of times is good now.
fn verdict(config: &Value, header: &Value, claims: &Value, now: i64) -> String {
    let algorithm = header["alg"].as_str().and_then(Algorithm::from_name).unwrap_or(Algorithm::RS256);
    let pair = Pair::of(algorithm);
    let key: Value = serde_json::from_str(&pair.jwk("k0", "")).unwrap();
    let config = changed(config, &json!({ "jwks": { "source": "inline", "keys": [key] } }));
    let header = changed(header, &json!({ "kid": "k0" }));
    let mut all = json!({ "iss": config["issuer"], "iat": now, "exp": now + 3600 });
    all.as_object_mut().unwrap().extend(claims.as_object().unwrap().clone());
    let token = pair.token(algorithm, &header.to_string(), &all.to_string());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    match runtime.block_on(verifier(&[config.to_string()]).verify(&token, Timestamp::from_unix_seconds(now), BUDGET)) {
        Ok(claims) => claims.identity().subject.to_string(),
        Err(VerifyError::Refused { refusal, .. }) => refusal.to_string(),
        Err(VerifyError::Unavailable { failure, .. }) => failure.to_string(),
    }
}

#[test]
fn names() {
    for preset in Preset::ALL {
        assert_eq!(Preset::from_name(preset.as_str()), Some(preset));
        assert_eq!(preset.to_string(), preset.as_str());
    }
    assert_eq!(Preset::from_name("Okta"), None);
}

/// What every preset refuses, given the header and the claims of an access token that it accepts.
#[track_caller]
fn refuses_what_all_refuse(provider: &Provider, access: &Value) {
    let refused = |members: Value| provider.verdict(&changed(access, &members));
    // OpenID Connect Back-Channel Logout 1.0, section 2.4: with the type it recommends, and without.
    let logout = json!({ "events": { "http://schemas.openid.net/event/backchannel-logout": {} }, "sid": "s-1" });
    assert_eq!(refused(logout.clone()), "token.security-event");
    assert_eq!(provider.verdict_with(&json!({ "typ": "logout+jwt" }), &changed(access, &logout)), "token.type");
    assert_eq!(refused(json!({ "iss": "https://another.example/" })), "token.issuer");
    let subject = provider.config.get("subject_claim").and_then(Value::as_str);
    let subject =
        subject.unwrap_or_else(|| Preset::from_name(provider.config["preset"].as_str().unwrap()).unwrap().defaults().subject_claim);
    let contact =
        json!({ subject: null, "email": "ada@bank.example", "upn": "ada@bank.example", "preferred_username": "ada@bank.example" });
    assert_eq!(refused(contact), "token.subject", "never e-mail or UPN");
    assert_eq!(provider.verdict_with(&json!({ "alg": "HS256" }), access), "token.algorithm");
    assert_eq!(provider.verdict_with(&json!({ "typ": "dpop+jwt" }), access), "token.type");
}

fn okta() -> Provider {
    let issuer = "https://bank.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9";
    Provider::new("okta", issuer, "api://latchkey", json!({ "alg": "RS256" }))
}

fn okta_access() -> Value {
    json!({
        "ver": 1, "jti": "AT.0mP4JKAZX1iACIT4vbEDF7LpvDVjxypPMf0D7uX39RE", "aud": "api://latchkey", "cid": "0oa1a2b3c4d5e6f7g8h9",
        "uid": "00u1a2b3c4d5e6f7g8h9", "scp": ["openid", "profile", "url.mint"], "auth_time": NOW - 60, "sub": "ada@bank.example",
    })
}

#[test]
fn okta_access_tokens_of_a_custom_authorization_server() {
    let (okta, access) = (okta(), okta_access());
    assert_eq!(okta.verdict(&access), "00u1a2b3c4d5e6f7g8h9", "the user's id, not the login");
    assert_eq!(okta.verdict_with(&json!({ "typ": "at+jwt" }), &access), "00u1a2b3c4d5e6f7g8h9");
    assert_eq!(okta.verdict_with(&json!({ "typ": "JWT" }), &access), "token.type");
    let renamed = changed(&access, &json!({ "sub": "ada.lovelace@bank.example" }));
    assert_eq!(okta.verdict(&renamed), okta.verdict(&access), "whoever is renamed stays the same");
    refuses_what_all_refuse(&okta, &access);
    assert_eq!(okta.verdict(&changed(&access, &json!({ "aud": "api://default" }))), "token.audience");
}

#[test]
fn okta_issues_other_tokens_that_are_not_taken() {
    let okta = okta();
    let id = json!({
        "ver": 1, "jti": "ID.vGkmnfpoMHnZ1aG7UNvGLc4LlpLZxIRwyvaZnJLBnlo", "aud": "0oa1a2b3c4d5e6f7g8h9", "sub": "00u1a2b3c4d5e6f7g8h9",
        "idp": "00o1a2b3c4d5e6f7g8h9", "amr": ["pwd"], "auth_time": NOW, "at_hash": "x", "nonce": "n", "name": "Ada Lovelace",
        "preferred_username": "ada@bank.example",
    });
    assert_eq!(okta.verdict(&id), "token.audience");
    assert_eq!(okta.verdict(&changed(&id, &json!({ "aud": "api://latchkey" }))), "token.subject", "an ID token has no uid");
    let service = changed(&okta_access(), &json!({ "uid": null, "sub": "0oa1a2b3c4d5e6f7g8h9", "auth_time": null }));
    assert_eq!(okta.verdict(&service), "token.subject", "a service has no user");
    // The authorization server of the organisation: an audience and a type of Okta's own.
    let org = changed(&okta_access(), &json!({ "iss": "https://bank.okta.com", "aud": "https://bank.okta.com" }));
    assert_eq!(okta.verdict(&org), "token.issuer");
    let trusted = okta.with(&json!({ "issuer": "https://bank.okta.com", "audiences": ["https://bank.okta.com"] }));
    assert_eq!(trusted.verdict_with(&json!({ "typ": "application/okta-internal-at+jwt" }), &org), "token.type");
}

fn entra() -> Provider {
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    Provider::new("entra", &issuer, "2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f", json!({ "typ": "JWT", "alg": "RS256" }))
}

fn entra_access() -> Value {
    json!({
        "aud": "2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f", "nbf": NOW, "aio": "AWQAm/8XAAAA", "azp": "c1a2b3c4-5d6e-4f70-8a9b-0c1d2e3f4a5b",
        "azpacr": "1", "name": "Ada Lovelace", "oid": "690222be-ff1a-4d56-abd1-7e4f7d38e474", "preferred_username": "ada@bank.example",
        "rh": "1.AXkAKjwdb04LXU-Me5q", "scp": "url.mint", "sid": "001f2e3d-4c5b-6a79-8897-a6b5c4d3e2f1",
        "sub": "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ", "tid": TENANT, "uti": "kL9zXcVbN0GqFj3nRt6LsA", "ver": "2.0",
    })
}

#[test]
fn entra_access_tokens_of_version_2() {
    let (entra, access) = (entra(), entra_access());
    assert_eq!(entra.verdict(&access), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
    refuses_what_all_refuse(&entra, &access);
    assert_eq!(entra.verdict_with(&json!({ "typ": null }), &access), "token.type");
    assert_eq!(entra.verdict_with(&json!({ "typ": "pop" }), &access), "token.type");
    assert_eq!(entra.verdict(&changed(&access, &json!({ "aud": "api://2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f" }))), "token.audience");
    assert_eq!(entra.verdict(&changed(&access, &json!({ "aud": "00000003-0000-0000-c000-000000000000" }))), "token.audience", "Graph's");
}

#[test]
fn entra_access_tokens_of_version_1_are_another_issuers() {
    let access = changed(
        &entra_access(),
        &json!({
            "iss": format!("https://sts.windows.net/{TENANT}/"), "aud": "api://2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f", "ver": "1.0", "acr": "1",
            "amr": ["pwd", "mfa"], "appid": "c1a2b3c4-5d6e-4f70-8a9b-0c1d2e3f4a5b", "appidacr": "1", "unique_name": "ada@bank.example",
            "upn": "ada@bank.example", "ipaddr": "192.0.2.7", "azp": null, "azpacr": null, "preferred_username": null,
        }),
    );
    assert_eq!(entra().verdict(&access), "token.issuer");
    let issuer = format!("https://sts.windows.net/{TENANT}/");
    let first = entra().with(&json!({ "issuer": issuer, "audiences": ["api://2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f"] }));
    assert_eq!(first.verdict(&access), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
    assert_eq!(first.verdict_with(&json!({ "x5t": "abc" }), &access), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
    assert_eq!(first.verdict(&entra_access()), "token.audience");
    refuses_what_all_refuse(&first, &access);
}

#[test]
fn entra_id_tokens_are_told_apart_by_audience_or_scope() {
    let id = changed(
        &entra_access(),
        &json!({
            "aud": "c1a2b3c4-5d6e-4f70-8a9b-0c1d2e3f4a5b", "nonce": "n", "email": "ada@bank.example", "azp": null, "azpacr": null, "scp": null,
        }),
    );
    assert_eq!(entra().verdict(&id), "token.audience", "that of the portal");
    // An application that is portal and API in one: the ID token has the same audience, and only the scope is missing.
    let own = changed(&id, &json!({ "aud": "2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f" }));
    let with_scope = entra().with(&json!({ "required_claims": { "scp": ["url.mint"] } }));
    assert_eq!(with_scope.verdict(&own), "token.required-claim");
    assert_eq!(with_scope.verdict(&entra_access()), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
    // An application's own token has an object id too: that of its service principal. It has roles and no scope.
    let service = changed(
        &entra_access(),
        &json!({ "oid": "0b1c2d3e-4f50-4617-8293-a4b5c6d7e8f9", "roles": ["url.mint"], "scp": null, "name": null, "preferred_username": null }),
    );
    assert_eq!(with_scope.verdict(&service), "token.required-claim");
}

#[test]
fn entra_is_one_tenant() {
    for (issuer, accepted) in [
        (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), true),
        (format!("https://sts.windows.net/{TENANT}/"), true),
        (format!("https://login.microsoftonline.us/{TENANT}/v2.0"), true),
        ("https://login.microsoftonline.com/common/v2.0".into(), false),
        ("https://login.microsoftonline.com/organizations/v2.0".into(), false),
        ("https://login.microsoftonline.com/consumers/v2.0".into(), false),
        ("https://login.microsoftonline.com/{tenantid}/v2.0".into(), false),
        ("https://login.microsoftonline.com/bank.example/v2.0".into(), false),
        (format!("https://login.microsoftonline.com/{TENANT}x/v2.0"), false),
        ("https://login.microsoftonline.com/abcdef/v2.0".into(), false),
        (format!("https://{TENANT}/v2.0"), false),
    ] {
        let result = parse_issuers(&json!([{ "id": "a", "preset": "entra", "issuer": issuer, "audiences": ["x"] }]).to_string());
        assert_eq!(result.is_ok(), accepted, "{issuer}");
        if let Err(error) = result {
            assert!(error.to_string().starts_with("[0].issuer: must name the tenant"), "{error}");
        }
    }

    // The keys are the same for all tenants, so what keeps another's users out is what the token says of its tenant.
    let refused = |members: Value| entra().verdict(&changed(&entra_access(), &members));
    let elsewhere = format!("https://login.microsoftonline.com/{OTHER_TENANT}/v2.0");
    assert_eq!(refused(json!({ "iss": elsewhere, "tid": OTHER_TENANT })), "token.issuer");
    assert_eq!(refused(json!({ "iss": elsewhere })), "token.issuer");
    assert_eq!(refused(json!({ "iss": "https://login.microsoftonline.com/common/v2.0" })), "token.issuer");
    assert_eq!(refused(json!({ "tid": OTHER_TENANT })), "token.required-claim");
    assert_eq!(refused(json!({ "tid": null })), "token.required-claim");
    assert_eq!(refused(json!({ "tid": TENANT.to_uppercase() })), "token.required-claim");
    // It stays pinned whatever else is asked for.
    let with_scope = entra().with(&json!({ "required_claims": { "scp": ["url.mint"] } }));
    assert_eq!(with_scope.verdict(&changed(&entra_access(), &json!({ "tid": OTHER_TENANT }))), "token.required-claim");
}

#[test]
fn entra_takes_no_name_for_an_identity() {
    for claim in ["email", "upn", "preferred_username", "unique_name", "name"] {
        let error = parse_issuers(&format!("[{}]", entra().with(&json!({ "subject_claim": claim })).config)).err().map(|e| e.to_string());
        assert!(error.as_deref().is_some_and(|e| e.starts_with("[0].subject_claim: must name the user for good")), "{claim}: {error:?}");
    }
    let pairwise = entra().with(&json!({ "subject_claim": "sub" }));
    assert_eq!(pairwise.verdict(&entra_access()), "HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ");
}

#[test]
fn entra_groups_that_do_not_fit_into_the_token_are_a_refusal_of_their_own() {
    const GROUP: &str = "9d8c7b6a-5e4f-4a3b-8c2d-1e0f9a8b7c6d";
    let entra = entra().with(&json!({ "required_claims": { "groups": [GROUP] } }));
    let verdict = |members: Value| entra.verdict(&changed(&entra_access(), &members));
    let source = json!({ "src1": { "endpoint": "https://graph.windows.net/x/users/y/getMemberObjects" } });
    assert_eq!(verdict(json!({ "groups": [OTHER_TENANT, GROUP] })), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
    assert_eq!(verdict(json!({ "groups": [OTHER_TENANT] })), "token.required-claim");
    assert_eq!(verdict(json!({})), "token.required-claim");
    assert_eq!(verdict(json!({ "_claim_names": { "groups": "src1" }, "_claim_sources": source })), "token.claim-overage");
    assert_eq!(verdict(json!({ "hasgroups": true })), "token.claim-overage");
    assert_eq!(verdict(json!({ "groups:src1": source["src1"] })), "token.claim-overage");
    // What points elsewhere is no member of anything, whatever stands beside it.
    assert_eq!(verdict(json!({ "_claim_names": { "groups": GROUP }, "_claim_sources": { GROUP: {} } })), "token.claim-overage");
    assert_eq!(verdict(json!({ "groups": [OTHER_TENANT], "_claim_names": { "groups": "src1" } })), "token.required-claim");
    assert_eq!(verdict(json!({ "groups": "src1" })), "token.required-claim");
    // Where no group is asked for, an overage is nobody's concern.
    let none = super::tests::entra();
    assert_eq!(none.verdict(&changed(&entra_access(), &json!({ "hasgroups": true }))), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
}

fn cognito() -> Provider {
    let issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
    Provider::new("cognito", issuer, "1h57kf5cpq17m0eml12EXAMPLE", json!({ "alg": "RS256" }))
}

fn cognito_access() -> Value {
    json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "client_id": "1h57kf5cpq17m0eml12EXAMPLE", "token_use": "access", "version": 2,
        "scope": "openid latchkey/url.mint", "username": "ada", "jti": "f7b0a1c2-3d4e-4f50-8617-283940a5b6c7", "auth_time": NOW - 60,
        "origin_jti": "a1b2c3d4-5e6f-4708-8192-a3b4c5d6e7f8", "event_id": "b2c3d4e5-6f70-4819-82a3-b4c5d6e7f809", "device_key": "d",
        "cognito:groups": ["data-scientists"],
    })
}

#[test]
fn cognito_access_tokens_of_a_user_pool() {
    let (cognito, access) = (cognito(), cognito_access());
    assert_eq!(cognito.verdict(&access), "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_eq!(cognito.verdict(&changed(&access, &json!({ "aud": "https://api.example" }))), "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    refuses_what_all_refuse(&cognito, &access);
    assert_eq!(cognito.verdict(&changed(&access, &json!({ "client_id": "another" }))), "token.audience");
    assert_eq!(cognito.verdict(&changed(&access, &json!({ "client_id": null, "aud": "1h57kf5cpq17m0eml12EXAMPLE" }))), "token.audience");
    for other in [json!("id"), json!("refresh"), Value::Null] {
        assert_eq!(cognito.verdict(&changed(&access, &json!({ "token_use": other }))), "token.required-claim");
    }
    let pool = json!({ "iss": "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_Another12" });
    assert_eq!(cognito.verdict(&changed(&access, &pool)), "token.issuer");
    let group = cognito.with(&json!({ "required_claims": { "cognito:groups": ["data-scientists"] } }));
    assert_eq!(group.verdict(&access), "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_eq!(group.verdict(&changed(&access, &json!({ "cognito:groups": ["staff"] }))), "token.required-claim");
    assert_eq!(group.verdict(&changed(&access, &json!({ "token_use": "id" }))), "token.required-claim", "still asked for");
}

#[test]
fn cognito_id_tokens_are_not_taken() {
    let id = json!({
        "sub": "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee", "aud": "1h57kf5cpq17m0eml12EXAMPLE", "token_use": "id", "cognito:username": "ada",
        "email": "ada@bank.example", "email_verified": true, "auth_time": NOW, "event_id": "e", "origin_jti": "o", "jti": "j", "at_hash": "h",
    });
    assert_eq!(cognito().verdict(&id), "token.audience");
    let by_aud = cognito().with(&json!({ "audience_claim": "aud" }));
    assert_eq!(by_aud.verdict(&id), "token.required-claim", "nor where the audience fits");
    // A service has its client for a subject: nobody who has a grant.
    let service = json!({
        "sub": "1h57kf5cpq17m0eml12EXAMPLE", "client_id": "1h57kf5cpq17m0eml12EXAMPLE", "token_use": "access", "scope": "latchkey/url.mint",
        "auth_time": NOW, "version": 2, "jti": "j",
    });
    assert_eq!(cognito().verdict(&service), "1h57kf5cpq17m0eml12EXAMPLE");
}

fn auth0() -> Provider {
    Provider::new("auth0", "https://bank.eu.auth0.com/", "https://latchkey.example", json!({ "alg": "RS256", "typ": "JWT" }))
}

fn auth0_access() -> Value {
    json!({
        "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "aud": ["https://latchkey.example", "https://bank.eu.auth0.com/userinfo"],
        "azp": "my_client_id", "scope": "openid profile url.mint",
    })
}

#[test]
fn auth0_access_tokens_of_both_profiles() {
    let (auth0, access) = (auth0(), auth0_access());
    assert_eq!(auth0.verdict(&access), "auth0|5f7c8ec7c33c6c004bbafe82");
    let rfc9068 = changed(&access, &json!({ "azp": null, "client_id": "my_client_id", "jti": "73WakrfVbNJBaAmhQtEeDv" }));
    assert_eq!(auth0.verdict_with(&json!({ "typ": "at+jwt" }), &rfc9068), "auth0|5f7c8ec7c33c6c004bbafe82");
    refuses_what_all_refuse(&auth0, &access);
    assert_eq!(auth0.verdict_with(&json!({ "typ": null }), &access), "token.type");
    assert_eq!(auth0.verdict(&changed(&access, &json!({ "aud": "https://bank.eu.auth0.com/userinfo" }))), "token.audience");
    assert_eq!(auth0.verdict(&changed(&access, &json!({ "iss": "https://bank.eu.auth0.com" }))), "token.issuer", "the slash belongs to it");
    let scoped = auth0.with(&json!({ "required_claims": { "scope": "url.mint" } }));
    assert_eq!(scoped.verdict(&access), "auth0|5f7c8ec7c33c6c004bbafe82");
    assert_eq!(scoped.verdict(&changed(&access, &json!({ "scope": "openid profile" }))), "token.required-claim");
}

#[test]
fn auth0_issues_other_tokens_that_are_not_taken() {
    let id =
        json!({ "sub": "auth0|5f7c8ec7c33c6c004bbafe82", "aud": "my_client_id", "nonce": "n", "sid": "s", "email": "ada@bank.example" });
    assert_eq!(auth0().verdict(&id), "token.audience");
    // Without an audience in the request the access token is for Auth0 alone: an encrypted one, of five parts.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    let auth0 = verifier(&[changed(&auth0().config, &json!({ "jwks": { "source": "table" } })).to_string()]);
    let header = crate::testing::b64(r#"{"alg":"dir","enc":"A256GCM","iss":"https://bank.eu.auth0.com/"}"#);
    let opaque = runtime.block_on(auth0.verify(&format!("{header}..aXY.Y2lwaGVy.dGFn"), Timestamp::from_unix_seconds(NOW), BUDGET));
    assert_eq!(opaque.err(), Some(VerifyError::Refused { refusal: crate::refusal::TokenRefusal::Malformed, issuer: None }));
    // A service has its client for a subject: nobody who has a grant.
    let service =
        json!({ "sub": "my_client_id@clients", "aud": "https://latchkey.example", "azp": "my_client_id", "gty": "client-credentials" });
    assert_eq!(super::tests::auth0().verdict(&service), "my_client_id@clients");
}

fn ping() -> Provider {
    let issuer = "https://auth.pingone.eu/3b2a1c0d-9e8f-4a7b-8c6d-5e4f3a2b1c0d/as";
    Provider::new("ping", issuer, "https://latchkey.example", json!({ "alg": "RS256" }))
}

fn ping_access() -> Value {
    json!({
        "client_id": "a1b2c3d4-5e6f-4708-8192-a3b4c5d6e7f8", "jti": "c3d4e5f6-7081-492a-83b4-c5d6e7f8091a", "aud": ["https://latchkey.example"],
        "scope": "url.mint", "sub": "b2c3d4e5-6f70-4819-82a3-b4c5d6e7f809", "sid": "d4e5f607-1829-4a3b-84c5-d6e7f8091a2b",
        "auth_time": NOW - 60, "acr": "Multi_Factor", "env": "3b2a1c0d-9e8f-4a7b-8c6d-5e4f3a2b1c0d",
        "org": "e5f60718-293a-4b4c-85d6-e7f8091a2b3c", "p1.rid": "f6071829-3a4b-4c5d-86e7-f8091a2b3c4d",
    })
}

#[test]
fn ping_access_tokens_for_a_custom_resource() {
    let (ping, access) = (ping(), ping_access());
    assert_eq!(ping.verdict(&access), "b2c3d4e5-6f70-4819-82a3-b4c5d6e7f809");
    assert_eq!(ping.verdict_with(&json!({ "typ": "at+jwt" }), &access), "b2c3d4e5-6f70-4819-82a3-b4c5d6e7f809", "always, from 2027 on");
    refuses_what_all_refuse(&ping, &access);
    assert_eq!(ping.verdict(&changed(&access, &json!({ "aud": ["https://api.pingone.eu"] }))), "token.audience", "PingOne's own");
    let service = changed(&access, &json!({ "sub": null, "sid": null, "auth_time": null, "acr": null }));
    assert_eq!(ping.verdict(&service), "token.subject", "a service has no user");
    let id = changed(&access, &json!({ "aud": "a1b2c3d4-5e6f-4708-8192-a3b4c5d6e7f8", "amr": ["pwd"], "at_hash": "h", "nonce": "n" }));
    assert_eq!(ping.verdict(&id), "token.audience");
    let stepped_up = ping.with(&json!({ "required_claims": { "acr": ["Multi_Factor"] } }));
    assert_eq!(stepped_up.verdict(&access), "b2c3d4e5-6f70-4819-82a3-b4c5d6e7f809");
    assert_eq!(stepped_up.verdict(&changed(&access, &json!({ "acr": "Single_Factor" }))), "token.required-claim");
    assert_eq!(stepped_up.verdict(&service), "token.subject");
}

#[test]
fn ping_federate_writes_what_it_is_told_to() {
    let ping = ping().with(&json!({ "issuer": "https://sso.bank.example", "audiences": ["latchkey"] }));
    let access = json!({ "scope": "url.mint", "client_id": "portal", "aud": "latchkey", "sub": "e4711", "jti": "bFhWeVB4N0wzZ2d" });
    for typ in [Value::Null, json!("JWT"), json!("at+jwt")] {
        assert_eq!(ping.verdict_with(&json!({ "typ": typ, "pi.atm": "1a2b" }), &access), "e4711", "{typ}");
    }
    refuses_what_all_refuse(&ping, &access);
    // Without an issuer and an audience among the settings of its access token manager, it writes neither.
    assert_eq!(ping.verdict(&changed(&access, &json!({ "aud": null }))), "token.audience");
    assert_eq!(ping.verdict(&changed(&access, &json!({ "iss": 0 }))), "token.issuer");
}

fn keycloak() -> Provider {
    Provider::new("keycloak", "https://keycloak.example/realms/bank", "latchkey", json!({ "alg": "RS256", "typ": "JWT" }))
}

fn keycloak_access() -> Value {
    json!({
        "jti": "onrtac:0a1b2c3d-4e5f-4607-8192-a3b4c5d6e7f8", "aud": ["latchkey", "account"], "sub": "f7e6d5c4-b3a2-4190-8f7e-6d5c4b3a2910",
        "typ": "Bearer", "azp": "portal", "sid": "1a2b3c4d-5e6f-4708-8192-a3b4c5d6e7f8", "acr": "1", "auth_time": NOW - 60,
        "realm_access": { "roles": ["default-roles-bank", "offline_access"] },
        "resource_access": { "account": { "roles": ["manage-account"] } }, "scope": "openid email profile", "email_verified": true,
        "name": "Ada Lovelace", "preferred_username": "ada", "given_name": "Ada", "family_name": "Lovelace", "email": "ada@bank.example",
    })
}

#[test]
fn keycloak_access_tokens_of_a_realm() {
    let (keycloak, access) = (keycloak(), keycloak_access());
    assert_eq!(keycloak.verdict(&access), "f7e6d5c4-b3a2-4190-8f7e-6d5c4b3a2910");
    assert_eq!(keycloak.verdict_with(&json!({ "typ": "at+jwt" }), &access), "f7e6d5c4-b3a2-4190-8f7e-6d5c4b3a2910");
    assert_eq!(keycloak.verdict_with(&json!({ "typ": null }), &access), "token.type");
    refuses_what_all_refuse(&keycloak, &access);
    let verdict = |members: Value| keycloak.verdict(&changed(&access, &members));
    for audience in [json!("account"), json!(["account", "portal"]), Value::Null] {
        assert_eq!(verdict(json!({ "aud": audience })), "token.audience", "without an audience mapper");
    }
    assert_eq!(verdict(json!({ "iss": "https://keycloak.example/realms/master" })), "token.issuer");
    for other in ["ID", "Refresh", "Offline", "Logout", "DPoP", "bearer"] {
        assert_eq!(verdict(json!({ "typ": other })), "token.required-claim", "{other}");
    }
    let id = changed(&access, &json!({ "typ": "ID", "aud": "portal", "at_hash": "h", "nonce": "n", "realm_access": null }));
    assert_eq!(keycloak.verdict(&id), "token.audience");
    assert_eq!(keycloak.verdict(&changed(&id, &json!({ "aud": ["portal", "latchkey"] }))), "token.required-claim", "nor with our audience");
    assert_eq!(verdict(json!({ "sub": null })), "token.subject", "as without the client scope `basic`");
    let group = keycloak.with(&json!({ "required_claims": { "groups": "/data-scientists", "acr": ["2", "3"] } }));
    assert_eq!(
        group.verdict(&changed(&access, &json!({ "groups": ["/data-scientists"], "acr": "2" }))),
        "f7e6d5c4-b3a2-4190-8f7e-6d5c4b3a2910"
    );
    assert_eq!(group.verdict(&changed(&access, &json!({ "groups": ["/data-scientists"] }))), "token.required-claim", "one factor");
    assert_eq!(group.verdict(&changed(&access, &json!({ "groups": ["data-scientists"], "acr": "2" }))), "token.required-claim");
}

#[test]
fn what_is_written_out_goes_before_the_preset() {
    let config = |more: &str| {
        parse_issuers(&format!(r#"[{{"id":"a","preset":"cognito","issuer":"x","audiences":["y"]{more}}}]"#)).unwrap().remove(0)
    };
    let plain = config("");
    assert_eq!((plain.audience_claim.as_str(), plain.subject_claim.as_str()), ("client_id", "sub"));
    assert_eq!(plain.token_types, [""]);
    let changed =
        config(r#","audience_claim":"aud","subject_claim":"username","token_types":["JWT"],"required_claims":{"cognito:groups":"g"}"#);
    assert_eq!((changed.audience_claim.as_str(), changed.subject_claim.as_str()), ("aud", "username"));
    assert_eq!(changed.token_types, ["jwt"]);
    let required: Vec<_> = changed.required_claims.iter().map(|r| (r.name.as_str(), r.values.as_slice())).collect();
    let asked: [(_, &[ClaimValue]); 2] = [("token_use", &["access".into()]), ("cognito:groups", &["g".into()])];
    assert_eq!(required, asked, "a requirement is added, none is lost");
    let replaced = config(r#","required_claims":{"token_use":["id"]}"#);
    assert_eq!(replaced.required_claims.len(), 1);
    assert_eq!(replaced.required_claims[0].values, ["id".into()]);
}

#[test]
fn a_preset_is_only_defaults() {
    for preset in Preset::ALL {
        let written = preset.defaults();
        let mut required: Map<String, Value> =
            written.required_claims.iter().map(|(name, values)| ((*name).to_owned(), json!(values))).collect();
        if let Some(claim) = written.tenant_claim {
            required.insert(claim.to_owned(), json!([TENANT]));
        }
        let common = json!({ "id": "a", "issuer": format!("https://x/{TENANT}/"), "audiences": ["y"] });
        let by_hand = changed(
            &common,
            &json!({
                "audience_claim": written.audience_claim, "subject_claim": written.subject_claim, "token_types": written.token_types,
                "required_claims": required,
            }),
        );
        let by_preset = changed(&common, &json!({ "preset": preset.as_str() }));
        let strip = |issuer: &Value| {
            let mut issuer = parse_issuers(&json!([issuer]).to_string()).unwrap().remove(0);
            issuer.preset = None;
            format!("{issuer:?}")
        };
        assert_eq!(strip(&by_hand), strip(&by_preset), "{preset}");
    }
}

// --- docs/identity-providers.md --------------------------------------------------------------------------------------------

/// The parts of the document under `## `, by their headings.
fn parts() -> Vec<(&'static str, &'static str)> {
    let document = include_str!("../../../../docs/identity-providers.md");
    document.split("\n## ").skip(1).filter_map(|part| part.split_once('\n')).collect()
}

/// The fenced blocks of JSON: entries of issuers are arrays, examples of tokens are objects of a header and claims.
fn blocks(part: &str) -> impl Iterator<Item = Value> + '_ {
    let fenced = part.split("\n```json\n").skip(1);
    fenced.map(|rest| {
        let block = rest.split_once("\n```").unwrap().0;
        serde_json::from_str(block).unwrap_or_else(|error| panic!("{error}: {block}"))
    })
}

/// Every entry of the document is one that the broker takes, and every token shown with it is accepted by the entry before it,
/// for the subject that its preset names.
#[test]
fn the_document_shows_what_is_taken() {
    let mut presets = Vec::new();
    for (heading, part) in parts() {
        let mut config: Option<Value> = None;
        let mut tokens = 0;
        for block in blocks(part) {
            if let Value::Array(issuers) = &block {
                let parsed = parse_issuers(&block.to_string()).unwrap_or_else(|error| panic!("{heading}: {error}"));
                assert_eq!(issuers.len(), 1, "{heading}: an entry is of one issuer");
                presets.extend(parsed.iter().filter_map(|issuer| issuer.preset));
                config = Some(issuers[0].clone());
                continue;
            }
            let (header, claims) = (&block["header"], &block["claims"]);
            let config = config.as_ref().unwrap_or_else(|| panic!("{heading}: a token before its issuer"));
            let issued_at = claims["iat"].as_i64().unwrap_or_else(|| panic!("{heading}: no iat"));
            let subject = parse_issuers(&json!([config]).to_string()).unwrap().remove(0).subject_claim;
            assert_eq!(json!(verdict(config, header, claims, issued_at)), claims[&subject], "{heading}");
            // And it is not the signature alone that makes it so.
            let elsewhere = changed(claims, &json!({ "aud": "another", "client_id": "another" }));
            assert_eq!(verdict(config, header, &elsewhere, issued_at), "token.audience", "{heading}");
            tokens += 1;
        }
        assert_eq!(config.is_some(), tokens > 0, "{heading}: an entry without a token");
    }
    presets.sort_unstable();
    presets.dedup();
    assert_eq!(presets, Preset::ALL, "every preset has an entry");
}
