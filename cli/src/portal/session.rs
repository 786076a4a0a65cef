//! Who is signed in: the sessions of the portal's backend, and the cookies by which a browser is known again.
//!
//! The user's token is in here and nowhere else: the browser has a random id, which is worth nothing without this table.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};

use axum::http::{HeaderMap, header};
use latchkey_domain::clock::Timestamp;
use latchkey_domain::token::BearerToken;
use latchkey_standin::{NoRandomness, Secret, random};
use sha2::{Digest as _, Sha256};

/// How many sessions are kept. The one that would end first gives way to a new one.
pub(super) const MAX_SESSIONS: usize = 100;

/// How many targets of a session have their last opening kept.
const MAX_OPENINGS: usize = 50;

/// Under what something secret is kept: its SHA-256. Neither a look-up's time nor a copy of the table gives the secret away.
pub(super) type Key = [u8; 32];

/// The key of a secret.
pub(super) fn key(secret: &str) -> Key {
    Sha256::digest(secret.as_bytes()).into()
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Who has signed in: what a session is made of.
pub(super) struct User {
    /// The name that the page greets.
    pub(super) name: String,
    /// The access token.
    pub(super) token: BearerToken,
    /// When the token ends, and the session with it.
    pub(super) ends_at: Timestamp,
}

// The token has a Debug that shows nothing; so has this, should it ever be given more.
impl fmt::Debug for User {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("User").field("name", &self.name).finish_non_exhaustive()
    }
}

/// What came of the last click on a target. The URL itself is not kept: it went to the browser, once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Opening {
    /// The target.
    pub(super) target: String,
    /// Counts the session's clicks, so that a page can tell a new opening from one that it knows.
    pub(super) number: u32,
    /// When it was.
    pub(super) at: Timestamp,
    /// Until when the URL opens; none where it was refused.
    pub(super) good_until: Option<Timestamp>,
}

/// A session as a request has it.
#[derive(Clone)]
pub(super) struct SignedIn {
    key: Key,
    /// The user's name.
    pub(super) name: String,
    /// The user's token.
    pub(super) token: BearerToken,
    /// When it ends.
    pub(super) ends_at: Timestamp,
    /// What the session's forms have to bring.
    pub(super) form_token: Secret,
    /// The last opening of each target.
    pub(super) openings: Vec<Opening>,
}

impl SignedIn {
    /// Whether a form that brought this was made for this session.
    pub(super) fn has_made(&self, form_token: &str) -> bool {
        key(self.form_token.expose()) == key(form_token)
    }

    /// The last opening of a target.
    pub(super) fn opening(&self, target: &str) -> Option<&Opening> {
        self.openings.iter().find(|opening| opening.target == target)
    }
}

struct Session {
    user: User,
    form_token: Secret,
    clicks: u32,
    openings: Vec<Opening>,
}

/// The sessions.
#[derive(Default)]
pub(super) struct Sessions(Mutex<HashMap<Key, Session>>);

impl Sessions {
    /// Begins a session, and gives the id for the browser.
    ///
    /// # Errors
    /// There is no randomness.
    pub(super) fn begin(&self, user: User, now: Timestamp) -> Result<Secret, NoRandomness> {
        let (id, form_token) = (random::secret()?, random::secret()?);
        let mut sessions = lock(&self.0);
        sessions.retain(|_, session| session.user.ends_at > now);
        if sessions.len() >= MAX_SESSIONS
            && let Some(first) = sessions.iter().min_by_key(|(_, session)| session.user.ends_at).map(|(key, _)| *key)
        {
            sessions.remove(&first);
        }
        sessions.insert(key(&id), Session { user, form_token: Secret::new(form_token), clicks: 0, openings: Vec::new() });
        Ok(Secret::new(id))
    }

    /// The session with that id, unless it is over.
    pub(super) fn find(&self, id: &str, now: Timestamp) -> Option<SignedIn> {
        let key = key(id);
        let sessions = lock(&self.0);
        let session = sessions.get(&key).filter(|session| session.user.ends_at > now)?;
        Some(SignedIn {
            key,
            name: session.user.name.clone(),
            token: session.user.token.clone(),
            ends_at: session.user.ends_at,
            form_token: session.form_token.clone(),
            openings: session.openings.clone(),
        })
    }

    /// Ends a session: its id is worth nothing from now on.
    pub(super) fn end(&self, session: &SignedIn) {
        lock(&self.0).remove(&session.key);
    }

    /// Writes down what came of a click.
    pub(super) fn note(&self, session: &SignedIn, target: &str, at: Timestamp, good_until: Option<Timestamp>) {
        let mut sessions = lock(&self.0);
        let Some(session) = sessions.get_mut(&session.key) else { return };
        session.clicks = session.clicks.saturating_add(1);
        session.openings.retain(|opening| opening.target != target);
        if session.openings.len() >= MAX_OPENINGS {
            session.openings.remove(0);
        }
        session.openings.push(Opening { target: target.to_owned(), number: session.clicks, at, good_until });
    }
}

/// A cookie's value, where the request has exactly one of that name. Of two, another server on this machine has set one: cookies
/// know no ports.
pub(super) fn cookie<'a>(headers: &'a HeaderMap, name: &str) -> Option<&'a str> {
    let mut values = headers
        .get_all(header::COOKIE)
        .iter()
        .filter_map(|line| line.to_str().ok())
        .flat_map(|line| line.split(';'))
        .filter_map(|pair| pair.trim().split_once('='))
        .filter(|(other, _)| *other == name)
        .map(|(_, value)| value);
    match (values.next(), values.next()) {
        (value, None) => value,
        (_, Some(_)) => None,
    }
}

/// A `Set-Cookie` for `seconds`; none at all takes the cookie away.
///
/// No script can read it, and no other site's form brings it along. A portal on https adds `Secure` and begins the name with `__Host-`.
pub(super) fn set_cookie(name: &str, value: &str, seconds: i64) -> String {
    format!("{name}={value}; Path=/; Max-Age={}; HttpOnly; SameSite=Lax", seconds.max(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    fn user(seconds: i64) -> User {
        User { name: "Alice".to_owned(), token: BearerToken::new("canary".to_owned()), ends_at: NOW.plus_seconds(seconds) }
    }

    #[test]
    fn a_session_ends_with_its_token_or_when_it_is_ended() {
        let sessions = Sessions::default();
        let id = sessions.begin(user(60), NOW).unwrap();
        let session = sessions.find(id.expose(), NOW.plus_seconds(59)).unwrap();
        assert!(session.has_made(session.form_token.expose()) && !session.has_made("") && !session.has_made("other"));
        assert!(sessions.find(id.expose(), NOW.plus_seconds(60)).is_none());
        assert!(sessions.find("other", NOW).is_none());
        sessions.end(&session);
        assert!(sessions.find(id.expose(), NOW).is_none());
    }

    #[test]
    fn there_are_only_so_many() {
        let sessions = Sessions::default();
        let first_to_end = sessions.begin(user(10), NOW).unwrap();
        let oldest = sessions.begin(user(3600), NOW).unwrap();
        for _ in 0..MAX_SESSIONS - 1 {
            sessions.begin(user(600), NOW).unwrap();
        }
        assert_eq!(lock(&sessions.0).len(), MAX_SESSIONS);
        assert!(sessions.find(first_to_end.expose(), NOW).is_none() && sessions.find(oldest.expose(), NOW).is_some());
        // Those that are over make room first.
        sessions.begin(user(3600), NOW.plus_seconds(600)).unwrap();
        assert_eq!(lock(&sessions.0).len(), 2);
    }

    #[test]
    fn the_last_opening_of_each_target_is_kept() {
        let sessions = Sessions::default();
        let id = sessions.begin(user(60), NOW).unwrap();
        let find = || sessions.find(id.expose(), NOW).unwrap();
        sessions.note(&find(), "research", NOW, None);
        sessions.note(&find(), "risk", NOW, None);
        sessions.note(&find(), "research", NOW, Some(NOW.plus_seconds(30)));
        let session = find();
        assert_eq!(session.openings.len(), 2);
        let opening = session.opening("research").unwrap();
        assert_eq!((opening.number, opening.good_until), (3, Some(NOW.plus_seconds(30))));
        for target in 0..2 * MAX_OPENINGS {
            sessions.note(&session, &target.to_string(), NOW, None);
        }
        assert_eq!(find().openings.len(), MAX_OPENINGS);
    }

    #[test]
    fn nothing_secret_is_shown() {
        assert_eq!(format!("{:?}", user(1)), "User { name: \"Alice\", .. }");
    }

    #[test]
    fn one_cookie_counts_and_two_do_not() {
        let headers = |lines: &[&str]| {
            let mut headers = HeaderMap::new();
            for line in lines {
                headers.append(header::COOKIE, line.parse().unwrap());
            }
            headers
        };
        assert_eq!(cookie(&headers(&["a=1; b=2", "c=3"]), "b"), Some("2"));
        assert_eq!(cookie(&headers(&["a=1"]), "b"), None);
        assert_eq!(cookie(&headers(&["b=1; b=2"]), "b"), None);
        assert_eq!(cookie(&headers(&["b=1", "b=1"]), "b"), None);
        assert_eq!(set_cookie("a", "b", -1), "a=b; Path=/; Max-Age=0; HttpOnly; SameSite=Lax");
    }
}
