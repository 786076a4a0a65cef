//! The demo portal: a page on which the made-up users sign in, see their targets and open them.
//!
//! It shows by example how a portal is built over latchkey. It is a client like any other: it reaches the issuer and the API by HTTP only,
//! and knows nothing of the broker but what the API says. The one exception is what it shows developers of a refusal (`backstage`).
//!
//! ```text
//! GET /          -> session? -> GET  /targets with the user's token       -> the list
//! GET /          -> none     -> 303 to the issuer, which sends the browser back to /callback -> a session, 303 to /
//! POST /open     -> session, own form -> POST /presigned-urls with the token -> 303 to the URL, in a new tab
//! POST /sign-out -> session, own form -> the session ends
//! ```
//!
//! Two things never reach a page: the user's token, which stays in the session, and the URL, which goes into one `Location`. One click
//! makes one URL: pages hold forms, not links, so that nothing which follows links ahead of the user makes one.

mod api;
mod backstage;
mod guard;
mod messages;
mod pages;
mod session;
mod sign_in;

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::Context as _;
use axum::Router;
use axum::body::Body;
use axum::extract::rejection::{FormRejection, QueryRejection};
use axum::extract::{DefaultBodyLimit, Form, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse as _, Response};
use axum::routing::{get, post};
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_standin::Secret;
use serde::Deserialize;
use serde_json::json;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use self::api::{Api, Refused};
use self::backstage::Backstage;
use self::messages::Message;
use self::pages::{Asked, Page};
use self::session::{Sessions, SignedIn, cookie, set_cookie};
use self::sign_in::{Callback, SIGN_IN_SECONDS, SignIn};
use crate::embedded::Embedded;

/// Where the issuer sends people back to.
const CALLBACK: &str = "/callback";

/// No form of the portal's is as large.
const MAX_FORM_BYTES: usize = 4096;

/// The portal, running on this machine. Dropped, it stops.
#[derive(Debug)]
pub struct Portal {
    origin: String,
    server: JoinHandle<std::io::Result<()>>,
}

impl Portal {
    /// Serves the portal in front of that service, on 127.0.0.1. Port 0 is any free one.
    ///
    /// # Errors
    /// The port is taken, or the issuer does not answer.
    pub async fn start(port: u16, embedded: &Embedded) -> anyhow::Result<Self> {
        let listener = TcpListener::bind(("127.0.0.1", port)).await.with_context(|| format!("port {port} cannot be used"))?;
        let address = listener.local_addr()?;
        let idp = &embedded.stack.idp;
        // Not 127.0.0.1, which is the issuer's: as in a deployment, the two are different sites.
        let origin = format!("http://localhost:{}", address.port());
        let redirect_uri = format!("{origin}{CALLBACK}");
        idp.allow_redirect_uri(&redirect_uri)?;
        let state = Shared {
            sign_in: SignIn::at(idp.issuer(), idp.client_id(), redirect_uri).await?,
            api: Api::at(embedded.api()),
            backstage: Backstage::of(embedded),
            sessions: Sessions::default(),
            names: Names::of(address),
            policy: policy(embedded.stack.aws.address()),
            clock: SystemClock::new(),
            origin: origin.clone(),
        };
        let router = router(Arc::new(state));
        let server = tokio::spawn(async move { axum::serve(listener, router).await });
        Ok(Self { origin, server })
    }

    /// The address of its first page.
    pub fn url(&self) -> String {
        format!("{}/", self.origin)
    }

    /// Stops it.
    pub async fn shutdown(mut self) {
        self.server.abort();
        let _ = (&mut self.server).await;
    }
}

impl Drop for Portal {
    fn drop(&mut self) {
        self.server.abort();
    }
}

/// What every request is answered from.
struct Shared {
    sign_in: SignIn,
    api: Api,
    backstage: Backstage,
    sessions: Sessions,
    names: Names,
    policy: HeaderValue,
    clock: SystemClock,
    origin: String,
}

/// The names of what belongs to this portal alone. Cookies know no ports, so those of two portals on a machine are told apart by name.
struct Names {
    authority: String,
    session: String,
    sign_in: String,
}

impl Names {
    fn of(address: SocketAddr) -> Self {
        let port = address.port();
        Self {
            authority: format!("localhost:{port}"),
            session: format!("latchkey-portal-{port}"),
            sign_in: format!("latchkey-portal-{port}-sign-in"),
        }
    }
}

/// The pages' Content-Security-Policy: nothing but the portal's own three files, and forms that lead to the portal or, by the redirect
/// that follows, to what URLs open. Chromium holds redirects after a form to `form-action`, too. In a deployment these are
/// `https://*.sagemaker.aws` and its like.
fn policy(aws: SocketAddr) -> HeaderValue {
    let port = aws.port();
    let policy = format!(
        "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; base-uri 'none'; \
         form-action 'self' http://*.sagemaker.localhost:{port} http://*.app.localhost:{port}; frame-ancestors 'none'; \
         require-trusted-types-for 'script'; trusted-types 'none'"
    );
    // It is made of visible ASCII. Should it not be, nothing at all is allowed.
    HeaderValue::try_from(policy).unwrap_or(HeaderValue::from_static("default-src 'none'"))
}

fn router(state: Arc<Shared>) -> Router {
    let file =
        |content_type: &'static str, content: &'static str| get(move || async move { ([(header::CONTENT_TYPE, content_type)], content) });
    Router::new()
        .route("/", get(home))
        .route(CALLBACK, get(callback))
        .route("/open", post(open))
        .route("/openings", get(openings))
        .route("/sign-out", post(sign_out))
        .route("/signed-out", get(async || answer(pages::signed_out())))
        .route("/portal.css", file("text/css; charset=utf-8", include_str!("portal/portal.css")))
        .route("/portal.js", file("text/javascript; charset=utf-8", include_str!("portal/portal.js")))
        .route("/icon.svg", file("image/svg+xml", include_str!("portal/icon.svg")))
        .method_not_allowed_fallback(async || answer(pages::message(405, None, messages::WRONG_METHOD, None)))
        .fallback(async || answer(pages::message(404, None, messages::NOT_FOUND, None)))
        .layer(DefaultBodyLimit::max(MAX_FORM_BYTES))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), front))
        .with_state(state)
}

/// Before and after every answer: the portal answers to one name, and each of its answers has the same protection.
async fn front(State(portal): State<Arc<Shared>>, request: Request, next: Next) -> Response {
    let mut response = if guard::is_for(request.headers(), &portal.names.authority) {
        next.run(request).await
    } else {
        (StatusCode::MISDIRECTED_REQUEST, format!("The portal answers at {}/ only.\n", portal.origin)).into_response()
    };
    let headers = response.headers_mut();
    headers.insert(header::CONTENT_SECURITY_POLICY, portal.policy.clone());
    for (name, value) in [
        (header::CACHE_CONTROL, "no-store"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (HeaderName::from_static("cross-origin-opener-policy"), "same-origin"),
        (HeaderName::from_static("cross-origin-resource-policy"), "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // With `no-referrer`, browsers write `Origin: null` on the portal's own forms (Fetch standard, "append a request Origin header").
    headers.entry(header::REFERRER_POLICY).or_insert(HeaderValue::from_static("same-origin"));
    response
}

/// A page as an answer.
fn answer(page: Page) -> Response {
    let status = StatusCode::from_u16(page.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    (status, [(header::CONTENT_TYPE, "text/html; charset=utf-8")], page.html).into_response()
}

/// 303: whatever the method was, what follows is a GET (RFC 9110, section 15.4.4). The address may hold a secret.
fn see_other(location: &str) -> Response {
    let Ok(mut location) = HeaderValue::try_from(location) else { return StatusCode::INTERNAL_SERVER_ERROR.into_response() };
    location.set_sensitive(true);
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SEE_OTHER;
    response.headers_mut().insert(header::LOCATION, location);
    // Where it leads to is not to learn where it comes from: the address of the callback has a code in it.
    response.headers_mut().insert(header::REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

impl Shared {
    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Whose session the request is in.
    fn session(&self, headers: &HeaderMap) -> Option<SignedIn> {
        self.sessions.find(cookie(headers, &self.names.session)?, self.now())
    }

    /// The session of a form, if one of its own pages has sent it.
    fn session_of_form(&self, headers: &HeaderMap, form_token: Option<&str>) -> Result<SignedIn, Page> {
        let foreign = |session: Option<&SignedIn>| pages::message(403, session, messages::FOREIGN_FORM, None);
        if !guard::is_from_own_page(headers, &self.origin) {
            return Err(foreign(None));
        }
        let Some(session) = self.session(headers) else { return Err(pages::message(403, None, messages::ENDED, None)) };
        if form_token.is_some_and(|token| session.has_made(token)) { Ok(session) } else { Err(foreign(Some(&session))) }
    }

    fn with_cookie(&self, mut response: Response, name: &str, value: Option<&Secret>, seconds: i64) -> Response {
        let value = value.map_or("", Secret::expose);
        // Ids are base64url, names ours.
        if let Ok(mut cookie) = HeaderValue::try_from(set_cookie(name, value, seconds)) {
            cookie.set_sensitive(true);
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        response
    }

    /// The API's refusal, as this user sees it.
    async fn refusal(&self, session: &SignedIn, asked: Asked, refused: &Refused, wish: &Wish) -> Response {
        let view = match &refused.request_id {
            Some(request_id) => {
                // Boxed: the explanation holds the broker's whole future, and every page would carry it along.
                let look = self.backstage.look(request_id, &session.token, wish.target.as_deref(), wish.landing.as_deref());
                Some(Box::pin(look).await)
            }
            None => None,
        };
        if refused.code == "invalid-token" {
            // The API has the last word on tokens: what it accepts no longer is no session.
            self.sessions.end(session);
            let response = answer(pages::refusal(None, asked, refused, view.as_ref()));
            return self.with_cookie(response, &self.names.session, None, 0);
        }
        let mut response = answer(pages::refusal(Some(session), asked, refused, view.as_ref()));
        if let Some(seconds) = refused.retry_after_seconds {
            response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}

/// The first page: the user's targets. Whoever is not signed in goes to the issuer at once.
async fn home(State(portal): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Some(session) = portal.session(&headers) else { return begin(&portal, &headers) };
    match portal.api.targets(&session.token).await {
        Ok(targets) => answer(pages::targets(&session, &targets, portal.now())),
        Err(refused) => portal.refusal(&session, Asked::List, &refused, &Wish::default()).await,
    }
}

fn begin(portal: &Shared, headers: &HeaderMap) -> Response {
    match portal.sign_in.begin(cookie(headers, &portal.names.sign_in), portal.now()) {
        Ok(begun) => portal.with_cookie(see_other(&begun.location), &portal.names.sign_in, Some(&begun.browser), SIGN_IN_SECONDS),
        Err(_) => not_signed_in(messages::NO_RANDOMNESS, None),
    }
}

fn not_signed_in(message: Message, why: Option<&str>) -> Response {
    let status = if message == messages::NO_RANDOMNESS { 503 } else { 403 };
    answer(pages::message(status, None, message, why))
}

/// The issuer has sent the browser back.
async fn callback(State(portal): State<Arc<Shared>>, headers: HeaderMap, callback: Result<Query<Callback>, QueryRejection>) -> Response {
    let Ok(Query(callback)) = callback else { return not_signed_in(messages::NOT_SIGNED_IN, Some("the query cannot be read")) };
    let user = match portal.sign_in.finish(callback, cookie(&headers, &portal.names.sign_in), portal.now()).await {
        Ok(user) => user,
        Err(error) => return not_signed_in(messages::NOT_SIGNED_IN, Some(&error.why())),
    };
    // A new id for each sign-in: one that somebody has planted before is never signed in.
    if let Some(before) = portal.session(&headers) {
        portal.sessions.end(&before);
    }
    let seconds = user.ends_at.unix_seconds() - portal.now().unix_seconds();
    match portal.sessions.begin(user, portal.now()) {
        Ok(id) => portal.with_cookie(see_other("/"), &portal.names.session, Some(&id), seconds),
        Err(_) => not_signed_in(messages::NO_RANDOMNESS, None),
    }
}

/// What somebody wants opened.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    form_token: Option<String>,
    target: Option<String>,
    landing: Option<String>,
}

impl Wish {
    /// As forms have it: what is empty was not chosen.
    fn chosen(self) -> Self {
        let chosen = |value: Option<String>| value.filter(|value| !value.is_empty());
        Self { target: chosen(self.target), landing: chosen(self.landing), ..self }
    }
}

/// One click: one URL, and the browser goes there.
async fn open(State(portal): State<Arc<Shared>>, headers: HeaderMap, wish: Result<Form<Wish>, FormRejection>) -> Response {
    let wish = wish.map(|Form(wish)| wish.chosen()).unwrap_or_default();
    let session = match portal.session_of_form(&headers, wish.form_token.as_deref()) {
        Ok(session) => session,
        Err(refused) => return answer(refused),
    };
    // The URL's life is counted from before the call: the page never shows more of it than there is.
    let at = portal.now();
    match portal.api.open(&session.token, wish.target.as_deref(), wish.landing.as_deref()).await {
        Ok(opened) => {
            portal.sessions.note(&session, &opened.target, at, Some(at.plus_seconds(i64::from(opened.expires_in_seconds))));
            see_other(opened.url.expose())
        }
        Err(refused) => {
            if let Some(target) = &wish.target {
                portal.sessions.note(&session, target, at, None);
            }
            portal.refusal(&session, Asked::Open, &refused, &wish).await
        }
    }
}

/// What came of the clicks, for the script that counts down. It says how long a URL still opens, and nothing of the URL.
async fn openings(State(portal): State<Arc<Shared>>, headers: HeaderMap) -> Response {
    let Some(session) = portal.session(&headers) else { return StatusCode::FORBIDDEN.into_response() };
    let now = portal.now();
    let openings: Vec<_> = session
        .openings
        .iter()
        .map(|opening| {
            json!({
                "target": opening.target,
                "number": opening.number,
                "left": opening.good_until.map(|until| pages::left(until, now)),
            })
        })
        .collect();
    axum::Json(json!({ "openings": openings })).into_response()
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SignOut {
    form_token: Option<String>,
}

async fn sign_out(State(portal): State<Arc<Shared>>, headers: HeaderMap, form: Result<Form<SignOut>, FormRejection>) -> Response {
    let form = form.map(|Form(form)| form).unwrap_or_default();
    match portal.session_of_form(&headers, form.form_token.as_deref()) {
        Ok(session) => {
            portal.sessions.end(&session);
            portal.with_cookie(see_other("/signed-out"), &portal.names.session, None, 0)
        }
        Err(refused) => answer(refused),
    }
}
