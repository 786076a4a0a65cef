//! The Studio that a presigned URL opens: a page that says what was opened, and for whom.
//!
//! A URL opens in time and once. AWS does not say that a domain's URLs are for single use; the stand-in refuses the second
//! opening so that nothing comes to rely on one.

use std::fmt::Write as _;

use aws_lc_rs::digest;
use http::header;
use latchkey_domain::clock::Timestamp;
use serde_json::json;

use super::{State, lock};
use crate::answer::Answer;
use crate::html::{self, Escaped};
use crate::sigv4::{self, Request};

const SUFFIX: &str = ".sagemaker.localhost";

/// What a URL opens.
pub(super) struct Opening {
    pub(super) domain_id: String,
    pub(super) user_profile_name: String,
    pub(super) space_name: Option<String>,
    pub(super) landing_uri: Option<String>,
    pub(super) session_seconds: i64,
    pub(super) region: String,
    pub(super) account_id: String,
    /// The ARN under which the URL was made.
    pub(super) caller: String,
    pub(super) source_identity: Option<String>,
    pub(super) expires_at: Timestamp,
    pub(super) opened: bool,
}

impl Opening {
    /// Keeps it under its token's hash.
    pub(super) fn remember(self, state: &State, token: &str) {
        lock(&state.openings).insert(key(token), self);
    }

    /// What the page says, for machines.
    fn json(&self, now: Timestamp) -> serde_json::Value {
        json!({
            "domain_id": self.domain_id,
            "user_profile_name": self.user_profile_name,
            "space_name": self.space_name,
            "landing_uri": self.landing_uri,
            "session_seconds": self.session_seconds,
            "session_ends_at": now.plus_seconds(self.session_seconds).rfc3339(),
            "region": self.region,
            "account_id": self.account_id,
            "caller": self.caller,
            "source_identity": self.source_identity,
            "opened_at": now.rfc3339(),
        })
    }

    /// What the page says, for people.
    fn page(&self, now: Timestamp) -> Answer {
        let mut facts = String::new();
        let mut fact = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(facts, "<dt>{name}</dt><dd>{}</dd>", Escaped(value));
        };
        fact("User profile", &self.user_profile_name);
        fact("Domain", &self.domain_id);
        fact("Space", self.space_name.as_deref().unwrap_or("none"));
        fact("Landing", self.landing_uri.as_deref().unwrap_or("Studio\u{2019}s own start page"));
        fact("Session", &format!("{}, until {}", duration(self.session_seconds), now.plus_seconds(self.session_seconds).rfc3339()));
        fact("Region", &self.region);
        fact("Account", &self.account_id);
        fact("Source identity", self.source_identity.as_deref().unwrap_or("none"));
        fact("URL made by", &self.caller);
        let body = format!(
            "<p class=\"tag\">latchkey stand-in for Amazon SageMaker Studio</p>\n<h1>Studio is open as {}</h1>\n\
             <p>The presigned URL was accepted. A real Studio would start here.</p>\n<h2>What was opened</h2>\n<dl>\n{facts}</dl>\n\
             <h2>About this URL</h2>\n<p>It opens nothing more: the stand-in accepts a URL once, and only before it expires. \
             AWS does not document single use for a domain\u{2019}s URLs, so rely neither on re-use nor on its absence.</p>\n",
            Escaped(&self.user_profile_name)
        );
        html::page(200, &format!("{} in {}", self.user_profile_name, self.domain_id), &body, "'none'")
    }
}

fn key(token: &str) -> String {
    sigv4::hex(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

fn host_name(host: &str) -> &str {
    host.rsplit_once(':').map_or(host, |(name, _)| name)
}

/// Whether a `Host` is one under which pages are served.
pub(super) fn is_below(host: &str) -> bool {
    host_name(host).ends_with(SUFFIX)
}

/// Answers a browser, with the error's code if it is one.
pub(super) fn open(state: &State, host: &str, wire: &Request<'_>) -> (Answer, Option<&'static str>) {
    let wants_json = html::wants_json(wire.headers);
    let refuse = |refusal: &Refusal| (refusal.answer(wants_json), Some(refusal.code));
    let site = host_name(host).strip_suffix(SUFFIX).and_then(|site| site.split_once(".studio."));
    let (Some((domain_id, region)), "/auth") = (site, wire.path) else { return refuse(&NOT_FOUND) };
    if wire.method != "GET" {
        return refuse(&METHOD);
    }
    let mut tokens = wire.query.split('&').filter_map(|pair| pair.strip_prefix("token="));
    let (Some(token), None) = (tokens.next(), tokens.next()) else { return refuse(&UNKNOWN) };

    let now = state.clock.now();
    let mut openings = lock(&state.openings);
    let Some(opening) = openings.get_mut(&key(token)).filter(|opening| opening.domain_id == domain_id && opening.region == region) else {
        return refuse(&UNKNOWN);
    };
    if opening.opened {
        return refuse(&USED);
    }
    if now >= opening.expires_at {
        return refuse(&EXPIRED);
    }
    opening.opened = true;
    let answer = if wants_json { Answer::json(200, &opening.json(now)) } else { opening.page(now) };
    (answer, None)
}

/// A page that opens nothing.
struct Refusal {
    status: u16,
    code: &'static str,
    title: &'static str,
    text: &'static str,
}

const UNKNOWN: Refusal = Refusal {
    status: 403,
    code: "unknown-token",
    title: "This link opens nothing here",
    text: "Its token was not made for this domain. Ask the portal for a new link.",
};
const USED: Refusal = Refusal {
    status: 403,
    code: "used-token",
    title: "This link was already opened",
    text: "The stand-in accepts a link once. Ask the portal for a new one.",
};
const EXPIRED: Refusal = Refusal {
    status: 403,
    code: "expired-token",
    title: "This link has expired",
    text: "A link opens for a short time only. Ask the portal for a new one. (AWS shows its console\u{2019}s sign-in page instead.)",
};
const NOT_FOUND: Refusal = Refusal {
    status: 404,
    code: "not-found",
    title: "There is nothing here",
    text: "The stand-in serves /auth of a Studio domain, and no other page.",
};
const METHOD: Refusal =
    Refusal { status: 405, code: "method-not-allowed", title: "A link is opened with GET", text: "No other method opens anything." };

impl Refusal {
    fn answer(&self, wants_json: bool) -> Answer {
        let answer = if wants_json {
            Answer::json(self.status, &json!({ "error": self.code, "message": self.text }))
        } else {
            let body = format!(
                "<p class=\"tag\">latchkey stand-in for Amazon SageMaker Studio</p>\n<h1>{}</h1>\n<p>{}</p>\n",
                Escaped(self.title),
                Escaped(self.text)
            );
            html::page(self.status, self.title, &body, "'none'")
        };
        if self.status == 405 { answer.with(header::ALLOW, "GET") } else { answer }
    }
}

fn duration(seconds: i64) -> String {
    let part = |count: i64, unit: &str| match count {
        0 => None,
        1 => Some(format!("1 {unit}")),
        _ => Some(format!("{count} {unit}s")),
    };
    let parts: Vec<String> =
        [part(seconds / 3600, "hour"), part(seconds / 60 % 60, "minute"), part(seconds % 60, "second")].into_iter().flatten().collect();
    parts.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_in_words() {
        assert_eq!(duration(28_800), "8 hours");
        assert_eq!(duration(5430), "1 hour 30 minutes 30 seconds");
    }
}
