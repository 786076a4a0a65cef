//! Sign-in by authorization code with PKCE (RFC 6749, RFC 7636, OpenID Connect Core 1.0), for one public client.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;

use aws_lc_rs::digest;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use http::{HeaderMap, header};
use latchkey_domain::clock::Timestamp;
use serde_json::json;

use super::{MintOptions, State, TOKEN_SECONDS, User, lock, text};
use crate::answer::Answer;
use crate::html::{self, Escaped};
use crate::random;
use crate::sigv4;

/// How long a code is good for, in seconds.
const CODE_SECONDS: i64 = 60;
/// How long somebody may take to choose a user, in seconds.
const SIGN_IN_SECONDS: i64 = 600;
/// How many sign-ins may be under way.
const UNDER_WAY: usize = 1000;

/// A sign-in that has begun.
#[derive(Debug, Clone)]
pub(super) struct Transaction {
    redirect_uri: String,
    state: Option<String>,
    nonce: Option<String>,
    scope: String,
    challenge: String,
    expires_at: Timestamp,
}

/// A code that has been sent.
#[derive(Debug)]
pub(super) struct Code {
    transaction: Transaction,
    user: User,
    signed_in_at: Timestamp,
    expires_at: Timestamp,
}

/// Whether an address is `http` on this machine: to nowhere else is a code sent.
pub(super) fn is_loopback(uri: &str) -> bool {
    let Some(rest) = uri.strip_prefix("http://") else { return false };
    let authority = rest.split(['/', '?']).next().unwrap_or_default();
    let port = ["127.0.0.1", "localhost", "[::1]"].into_iter().find_map(|host| authority.strip_prefix(host));
    let port_is_legal = match port {
        Some("") => true,
        Some(port) => {
            port.strip_prefix(':').is_some_and(|digits| (1..=5).contains(&digits.len()) && digits.bytes().all(|b| b.is_ascii_digit()))
        }
        None => false,
    };
    port_is_legal && rest.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'#' | b'\\' | b'"' | b'<' | b'>' | b'@'))
}

type Fields = BTreeMap<String, String>;

/// The fields of a query or a form, each once.
fn fields(text: &str) -> Option<Fields> {
    let mut fields = Fields::new();
    for pair in text.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
        let decode = |text: &str| String::from_utf8(sigv4::percent_decoded(&text.replace('+', " "))?).ok();
        if fields.insert(decode(name)?, decode(value)?).is_some() {
            return None;
        }
    }
    Some(fields)
}

fn form(body: &[u8]) -> Option<Fields> {
    fields(std::str::from_utf8(body).ok()?)
}

fn problem(title: &str, explanation: &str) -> Answer {
    let body =
        format!("<p class=\"tag\">latchkey\u{2019}s local issuer</p>\n<h1>{}</h1>\n<p>{}</p>\n", Escaped(title), Escaped(explanation));
    html::page(400, title, &body, "'none'")
}

/// `GET /authorize`: checks the request and shows who can sign in.
pub(super) fn ask(state: &State, query: &str) -> Answer {
    let Some(fields) = fields(query) else {
        return problem("This sign-in cannot be read", "The query is not percent-encoded, or has a parameter twice.");
    };
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    // Until client and address are known to be right, an error must not be sent to that address.
    if field("client_id") != state.client_id {
        return problem("This application is not known", "client_id is not the one that this issuer was started with.");
    }
    let redirect_uri = field("redirect_uri");
    if !lock(&state.redirect_uris).iter().any(|allowed| allowed == redirect_uri) {
        return problem("This address is not known", "redirect_uri is not one to which this issuer was told to send codes.");
    }
    let refuse = |error: &str| redirect(redirect_uri, &[("error", error), ("state", field("state")), ("iss", &state.issuer)]);
    if field("response_type") != "code" {
        return refuse("unsupported_response_type");
    }
    if !field("scope").split(' ').any(|scope| scope == "openid") {
        return refuse("invalid_scope");
    }
    let challenge = field("code_challenge");
    let is_challenge = challenge.len() == 43 && challenge.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_'));
    if field("code_challenge_method") != "S256" || !is_challenge || fields.contains_key("request") || fields.contains_key("request_uri") {
        return refuse("invalid_request");
    }
    if field("prompt").split(' ').any(|prompt| prompt == "none") {
        // Nobody stays signed in.
        return refuse("login_required");
    }

    let Ok(id) = random::secret() else { return refuse("server_error") };
    let now = state.clock.now();
    let transaction = Transaction {
        redirect_uri: redirect_uri.to_owned(),
        state: fields.get("state").cloned(),
        nonce: fields.get("nonce").cloned(),
        scope: field("scope").to_owned(),
        challenge: challenge.to_owned(),
        expires_at: now.plus_seconds(SIGN_IN_SECONDS),
    };
    let mut transactions = lock(&state.transactions);
    make_room(&mut transactions, |transaction| transaction.expires_at > now);
    transactions.insert(id.clone(), transaction);
    drop(transactions);
    page(state, &id)
}

/// Forgets what is over, and all of it when too much is under way.
fn make_room<T>(map: &mut HashMap<String, T>, is_live: impl Fn(&T) -> bool) {
    map.retain(|_, value| is_live(value));
    if map.len() >= UNDER_WAY {
        map.clear();
    }
}

fn page(state: &State, transaction: &str) -> Answer {
    let mut users = String::new();
    for user in &state.users {
        // Writing to a String cannot fail.
        let _ = writeln!(
            users,
            "<li><button name=\"user\" value=\"{}\">{}<span>{}</span></button></li>",
            Escaped(&user.name),
            Escaped(&user.display_name),
            Escaped(&user.about)
        );
    }
    let body = format!(
        "<p class=\"tag\">latchkey\u{2019}s local issuer</p>\n<h1>Sign in</h1>\n\
         <p>These users are made up, and nobody has a password. Choose who to be.</p>\n\
         <form method=\"post\" action=\"/authorize\">\n<input type=\"hidden\" name=\"transaction\" value=\"{}\">\n\
         <ul>\n{users}</ul>\n</form>\n",
        Escaped(transaction)
    );
    // A browser holds the redirect that follows a form to the same rule. There is no source that means [::1]: the grammar has names and
    // IPv4 addresses (CSP Level 3, section 2.3.1).
    html::page(200, "Sign in", &body, "'self' http://127.0.0.1:* http://localhost:*")
}

/// `POST /authorize`: somebody has chosen a user.
pub(super) fn sign_in(state: &State, body: &[u8]) -> Answer {
    let fields = form(body).unwrap_or_default();
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    let now = state.clock.now();
    let Some(user) = state.users.iter().find(|user| user.name == field("user")) else {
        return problem("This user is not known", "Go back, and choose one of the list.");
    };
    let Some(transaction) = lock(&state.transactions).remove(field("transaction")).filter(|transaction| transaction.expires_at > now)
    else {
        return problem("This sign-in is over", "It took too long, or was used already. Go back to the application and begin again.");
    };
    let Ok(code) = random::secret() else { return text(500, "There is no randomness.\n") };
    let location = redirect(
        &transaction.redirect_uri,
        &[("code", &code), ("state", transaction.state.as_deref().unwrap_or_default()), ("iss", &state.issuer)],
    );
    let mut codes = lock(&state.codes);
    make_room(&mut codes, |code| code.expires_at > now);
    codes.insert(code, Code { transaction, user: user.clone(), signed_in_at: now, expires_at: now.plus_seconds(CODE_SECONDS) });
    location
}

fn redirect(uri: &str, parameters: &[(&str, &str)]) -> Answer {
    let mut location = uri.to_owned();
    for (name, value) in parameters.iter().filter(|(_, value)| !value.is_empty()) {
        location.push(if location.contains('?') { '&' } else { '?' });
        location.push_str(name);
        location.push('=');
        sigv4::push_encoded(&mut location, value.as_bytes());
    }
    text(303, "").with(header::LOCATION, location).with(header::REFERRER_POLICY, "no-referrer")
}

/// `POST /token`: a code for tokens.
pub(super) fn exchange(state: &State, headers: &HeaderMap, body: &[u8]) -> Answer {
    let refuse = |error: &str| Answer::json(400, &json!({ "error": error }));
    let content_type = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok()).unwrap_or_default();
    if content_type.split(';').next().unwrap_or_default().trim() != "application/x-www-form-urlencoded" {
        return refuse("invalid_request");
    }
    let Some(fields) = form(body) else { return refuse("invalid_request") };
    let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
    if field("client_id") != state.client_id || headers.contains_key(header::AUTHORIZATION) || fields.contains_key("client_secret") {
        return refuse("invalid_client");
    }
    if field("grant_type") != "authorization_code" {
        return refuse("unsupported_grant_type");
    }
    // Taken out whatever follows: a code is good for one try.
    let now = state.clock.now();
    let Some(code) = lock(&state.codes).remove(field("code")).filter(|code| code.expires_at > now) else { return refuse("invalid_grant") };
    if field("redirect_uri") != code.transaction.redirect_uri || !proves(field("code_verifier"), &code.transaction.challenge) {
        return refuse("invalid_grant");
    }
    match tokens(state, &code) {
        Ok((id_token, access_token)) => Answer::json(
            200,
            &json!({
                "access_token": access_token,
                "token_type": "Bearer",
                "expires_in": TOKEN_SECONDS,
                "id_token": id_token,
                "scope": code.transaction.scope,
            }),
        )
        .with(header::PRAGMA, "no-cache"),
        Err(_) => Answer::json(500, &json!({ "error": "server_error" })),
    }
}

/// RFC 7636, 4.6: the challenge is the verifier's SHA-256.
fn proves(verifier: &str, challenge: &str) -> bool {
    let legal = |b: u8| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_' | b'~');
    (43..=128).contains(&verifier.len())
        && verifier.bytes().all(legal)
        && URL_SAFE_NO_PAD.encode(digest::digest(&digest::SHA256, verifier.as_bytes())) == challenge
}

fn tokens(state: &State, code: &Code) -> Result<(String, String), super::IdpError> {
    let mut id_token = MintOptions::new(&code.user.subject)
        .claim("auth_time", code.signed_in_at.unix_seconds())
        .claim("name", code.user.display_name.as_str())
        .claim("preferred_username", code.user.name.as_str());
    id_token.audience = Some(state.client_id.as_str().into());
    id_token.typ = Some("JWT".to_owned());
    id_token.lifetime_seconds = TOKEN_SECONDS;
    if let Some(nonce) = &code.transaction.nonce {
        id_token = id_token.claim("nonce", nonce.as_str());
    }
    Ok((state.mint(&id_token)?, state.mint(&access_token(state, &code.user, &code.transaction.scope))?))
}

/// RFC 9068.
fn access_token(state: &State, user: &User, scope: &str) -> MintOptions {
    let mut token = MintOptions::new(&user.subject).claim("client_id", state.client_id.as_str()).claim("scope", scope);
    token.lifetime_seconds = TOKEN_SECONDS;
    if user.groups.is_empty() { token } else { token.claim("groups", user.groups.clone()) }
}

/// `POST /dev/token`: an access token as text, so that a `curl` needs no browser.
pub(super) fn dev_token(state: &State, body: &[u8]) -> Answer {
    let fields = form(body).unwrap_or_default();
    let Some(user) = fields.get("user").and_then(|name| state.users.iter().find(|user| &user.name == name)) else {
        let names: Vec<&str> = state.users.iter().map(|user| user.name.as_str()).collect();
        return text(400, &format!("Say user=<name>, with one of: {}.\n", names.join(", ")));
    };
    match state.mint(&access_token(state, user, "openid")) {
        Ok(token) => text(200, &format!("{token}\n")),
        Err(_) => text(500, "The token could not be signed.\n"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_go_to_this_machine_only() {
        for good in
            ["http://127.0.0.1/", "http://127.0.0.1:8080/callback", "http://localhost:1/cb?x=1", "http://[::1]:8080/cb", "http://localhost"]
        {
            assert!(is_loopback(good), "{good}");
        }
        for bad in [
            "https://127.0.0.1/",
            "http://127.0.0.1.evil.example/",
            "http://127.0.0.1@evil.example/",
            "http://localhost:80@evil.example/",
            "http://evil.example/127.0.0.1",
            "http://localhost:/",
            "http://localhost:123456/",
            "http://localhost/#x",
            "http://localhost/\r\nx: y",
            "javascript:alert(1)",
            "",
        ] {
            assert!(!is_loopback(bad), "{bad}");
        }
    }

    #[test]
    fn the_published_pkce_example() {
        // RFC 7636, appendix B.
        let verifier = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
        assert!(proves(verifier, "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert!(!proves("dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXl", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
        assert!(!proves("short", "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM"));
    }
}
