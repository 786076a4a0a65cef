//! Each preset with tokens shaped like its provider's: what it is for is accepted, what the same provider issues for other
//! purposes is not.

use latchkey_domain::clock::Timestamp;

use super::*;
use crate::algorithm::Algorithm;
use crate::config::parse_issuers;
use crate::testing::{BUDGET, NOW, Pair, verifier};
use crate::verifier::VerifyError;

const TENANT: &str = "72f988bf-86f1-41af-91ab-2d7cd011db47";

/// The subject, or why it was refused.
fn outcome(preset: Preset, issuer: &str, audience: &str, header: &str, claims: &str) -> String {
    let config = format!(
        r#"{{"id":"main","preset":"{preset}","issuer":"{issuer}","audiences":["{audience}"],"jwks":{{"source":"inline","keys":[{}]}}}}"#,
        Pair::rsa(0).jwk("k0", "")
    );
    let header = format!(r#"{{"kid":"k0","alg":"RS256"{header}}}"#);
    let claims = format!(r#"{{"iss":"{issuer}","iat":{NOW},"exp":{},{claims}}}"#, NOW + 3600);
    let token = Pair::rsa(0).token(Algorithm::RS256, &header, &claims);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    match runtime.block_on(verifier(&[config]).verify(&token, Timestamp::from_unix_seconds(NOW), BUDGET)) {
        Ok(claims) => claims.identity().subject.to_string(),
        Err(VerifyError::Refused { refusal, .. }) => refusal.to_string(),
        Err(VerifyError::Unavailable { failure, .. }) => failure.to_string(),
    }
}

#[test]
fn names() {
    for preset in Preset::ALL {
        assert_eq!(Preset::from_name(preset.as_str()), Some(preset));
    }
    assert_eq!(Preset::from_name("Okta"), None);
}

#[test]
fn okta() {
    let okta = |header: &str, claims: &str| outcome(Preset::Okta, "https://bank.okta.com/oauth2/aus1", "api://latchkey", header, claims);
    let access = r#""ver":1,"jti":"AT.x","aud":"api://latchkey","cid":"0oa1","uid":"00u1","scp":["url.mint"],"sub":"ada@bank.example""#;
    assert_eq!(okta("", access), "00u1", "the user's id, not the login");
    let id = r#""ver":1,"jti":"ID.x","aud":"0oa1","sub":"00u1","amr":["pwd"],"idp":"00o1""#;
    assert_eq!(okta("", id), "token.audience");
    assert_eq!(okta("", &id.replace("\"0oa1\"", "\"api://latchkey\"")), "token.subject", "an ID token has no uid");
    let service = r#""ver":1,"jti":"AT.x","aud":"api://latchkey","cid":"0oa1","scp":["url.mint"],"sub":"0oa1""#;
    assert_eq!(okta("", service), "token.subject", "a service has no user");
    assert_eq!(okta(r#","typ":"okta-internal-at+jwt""#, access), "token.type", "of Okta's own authorization server");
}

#[test]
fn entra() {
    let issuer = format!("https://login.microsoftonline.com/{TENANT}/v2.0");
    let entra = |header: &str, claims: &str| outcome(Preset::Entra, &issuer, "6e74172b-be56-4843-9ff4-e66a39bb12e3", header, claims);
    let access = format!(
        r#""aud":"6e74172b-be56-4843-9ff4-e66a39bb12e3","azp":"c1","name":"Ada","oid":"690222be-ff1a-4d56-abd1-7e4f7d38e474",
           "preferred_username":"ada@bank.example","rh":"I","scp":"url.mint","sub":"HKZpfaHyWadeOouYlitjrI","tid":"{TENANT}","ver":"2.0""#
    );
    assert_eq!(entra(r#","typ":"JWT""#, &access), "690222be-ff1a-4d56-abd1-7e4f7d38e474");
    assert_eq!(entra("", &access), "token.type");
    assert_eq!(entra(r#","typ":"pop""#, &access), "token.type");
    let id = access.replace("6e74172b-be56-4843-9ff4-e66a39bb12e3", "c1");
    assert_eq!(entra(r#","typ":"JWT""#, &id), "token.audience");
    assert_eq!(entra(r#","typ":"JWT""#, &access.replace("\"oid\"", "\"o\"")), "token.subject", "never e-mail or UPN");
    let elsewhere = format!(r#"{access},"iss":"https://login.microsoftonline.com/other/v2.0""#);
    assert_eq!(entra(r#","typ":"JWT""#, &elsewhere), "token.claims");
}

#[test]
fn entra_is_one_tenant() {
    for (issuer, accepted) in [
        (format!("https://login.microsoftonline.com/{TENANT}/v2.0"), true),
        (format!("https://sts.windows.net/{TENANT}/"), true),
        (format!("https://login.microsoftonline.us/{TENANT}/v2.0"), true),
        ("https://login.microsoftonline.com/common/v2.0".into(), false),
        ("https://login.microsoftonline.com/organizations/v2.0".into(), false),
        ("https://login.microsoftonline.com/{tenantid}/v2.0".into(), false),
        ("https://login.microsoftonline.com/bank.example/v2.0".into(), false),
        (format!("https://{TENANT}/v2.0"), false),
    ] {
        let result = parse_issuers(&format!(r#"[{{"id":"a","preset":"entra","issuer":"{issuer}","audiences":["x"]}}]"#));
        assert_eq!(result.is_ok(), accepted, "{issuer}");
        if let Err(error) = result {
            assert!(error.to_string().starts_with("[0].issuer: must name the tenant"), "{error}");
        }
    }
}

#[test]
fn cognito() {
    let issuer = "https://cognito-idp.eu-central-1.amazonaws.com/eu-central-1_AbCdEfGhI";
    let cognito = |claims: &str| outcome(Preset::Cognito, issuer, "1example23456789", "", claims);
    let access = r#""sub":"aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee","client_id":"1example23456789","token_use":"access","scope":"openid",
        "username":"ada","jti":"j","origin_jti":"o","event_id":"e","auth_time":1676312777,"cognito:groups":["g"]"#;
    assert_eq!(cognito(access), "aaaaaaaa-bbbb-cccc-dddd-eeeeeeeeeeee");
    assert_eq!(cognito(&access.replace("\"access\"", "\"id\"")), "token.required-claim");
    let id = r#""sub":"aaaaaaaa","aud":"1example23456789","token_use":"id","cognito:username":"ada""#;
    assert_eq!(cognito(id), "token.audience");
    assert_eq!(cognito(&access.replace("1example23456789", "other")), "token.audience");
}

#[test]
fn auth0() {
    let auth0 = |header: &str, claims: &str| outcome(Preset::Auth0, "https://bank.eu.auth0.com/", "https://latchkey", header, claims);
    let access = r#""sub":"auth0|1","aud":["https://latchkey","https://bank.eu.auth0.com/userinfo"],"azp":"c1","scope":"openid url.mint""#;
    assert_eq!(auth0(r#","typ":"JWT""#, access), "auth0|1");
    assert_eq!(auth0(r#","typ":"at+jwt""#, access), "auth0|1");
    assert_eq!(auth0("", access), "token.type");
    assert_eq!(auth0(r#","typ":"JWT""#, r#""sub":"auth0|1","aud":"c1","nonce":"n""#), "token.audience");
}

#[test]
fn ping() {
    let ping = |header: &str, claims: &str| outcome(Preset::Ping, "https://auth.pingone.eu/env/as", "https://latchkey", header, claims);
    let access = r#""client_id":"c1","sub":"u-1","aud":["https://latchkey"],"scope":"url.mint","env":"e","org":"o","p1.rid":"r""#;
    assert_eq!(ping("", access), "u-1");
    assert_eq!(ping(r#","typ":"at+jwt","pi.atm":"1""#, access), "u-1");
    assert_eq!(ping("", &access.replace("https://latchkey", "https://api.pingone.eu")), "token.audience");
    assert_eq!(ping(r#","typ":"logout+jwt""#, access), "token.type");
}

#[test]
fn keycloak() {
    let keycloak = |claims: &str| outcome(Preset::Keycloak, "https://sso.bank.example/realms/staff", "latchkey", r#","typ":"JWT""#, claims);
    let access = r#""jti":"onrtac:1","aud":["latchkey","account"],"sub":"f:1","typ":"Bearer","azp":"portal","sid":"s","acr":"1",
        "realm_access":{"roles":["a"]},"resource_access":{"account":{"roles":["b"]}},"scope":"openid","email_verified":true"#;
    assert_eq!(keycloak(access), "f:1");
    for other in ["ID", "Refresh", "Offline", "Logout", "DPoP"] {
        assert_eq!(keycloak(&access.replace("\"Bearer\"", &format!("{other:?}"))), "token.required-claim", "{other}");
    }
    assert_eq!(keycloak(&access.replace(r#"["latchkey","account"]"#, "\"account\"")), "token.audience");
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
    let required: Vec<_> = changed.required_claims.iter().map(|r| (r.name.as_str(), r.values.join(","))).collect();
    assert_eq!(required, [("token_use", "access".into()), ("cognito:groups", "g".into())], "a requirement is added, none is lost");
    let replaced = config(r#","required_claims":{"token_use":["id"]}"#);
    assert_eq!(replaced.required_claims.len(), 1);
    assert_eq!(replaced.required_claims[0].values, ["id"]);
}

#[test]
fn a_preset_is_only_defaults() {
    for preset in Preset::ALL {
        let written = preset.defaults();
        let claims: Vec<_> = written.required_claims.iter().map(|(name, values)| format!("{name:?}:{values:?}")).collect();
        let common = format!(r#""id":"a","issuer":"https://x/{TENANT}/","audiences":["y"]"#);
        let by_hand = format!(
            r#"[{{{common},"audience_claim":{:?},"subject_claim":{:?},"token_types":{:?},"required_claims":{{{}}}}}]"#,
            written.audience_claim,
            written.subject_claim,
            written.token_types,
            claims.join(",")
        );
        let by_preset = format!(r#"[{{{common},"preset":"{preset}"}}]"#);
        let strip = |json: &str| {
            let mut issuer = parse_issuers(json).unwrap().remove(0);
            issuer.preset = None;
            format!("{issuer:?}")
        };
        assert_eq!(strip(&by_hand), strip(&by_preset), "{preset}");
    }
}
