//! What a presigned URL opens: a page that says what was opened, and for whom.
//!
//! Every kind of door has addresses of its own ([`Site`]), and its page is made of the same parts. A URL opens in time, once
//! and at its own address. AWS documents single use for MLflow's URLs only; the stand-in refuses every second opening so that
//! nothing comes to rely on one.

mod site;

use std::fmt::Write as _;

use aws_lc_rs::digest;
use http::header;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::names::{AccountId, Region};
use serde_json::{Map, Value, json};

pub(super) use self::site::{Address, MLFLOW_APP, MLFLOW_SERVER, NOTEBOOK, PARTNER_APP, STUDIO, Site};

use super::{State, lock};
use crate::answer::Answer;
use crate::html::{self, Escaped};
use crate::sigv4::{self, Request};

/// One door: what a URL opens.
pub(super) struct Door {
    pub(super) site: &'static Site,
    /// What its host begins with.
    pub(super) label: String,
    pub(super) resource_arn: String,
    /// What its page says first.
    pub(super) heading: String,
    /// What there is to say of it besides.
    pub(super) facts: Vec<Fact>,
}

/// Something to say of a door.
pub(super) struct Fact {
    /// Its name for machines.
    pub(super) member: &'static str,
    /// Its name for people.
    pub(super) name: &'static str,
    pub(super) value: Option<String>,
    /// What people read where there is no value.
    pub(super) otherwise: &'static str,
}

impl Fact {
    pub(super) fn new(member: &'static str, name: &'static str, value: impl Into<String>) -> Self {
        Self { member, name, value: Some(value.into()), otherwise: "" }
    }
}

impl Door {
    /// The URL that opens it with that token.
    pub(super) fn url(&self, region: &Region, port: u16, token: &str) -> String {
        let Site { path, parameter, .. } = self.site;
        // AWS writes no path where there is none.
        let path = if *path == "/" { "" } else { path };
        format!("http://{}:{port}{path}?{parameter}={token}", self.site.host(&self.label, region))
    }
}

/// An MLflow tracking server's host begins with an id that nobody chooses: here one that follows from its ARN.
pub(super) fn tracking_server_label(arn: &str) -> String {
    let hash = key(arn);
    format!("t-{}", hash.get(..12).unwrap_or_default())
}

/// The id at the end of an app's ARN: its host begins with it.
pub(super) fn app_id(arn: &str) -> &str {
    arn.rsplit('/').next().unwrap_or_default()
}

/// What a URL opens, and on which terms.
pub(super) struct Opening {
    pub(super) door: Door,
    pub(super) session_seconds: i64,
    pub(super) region: Region,
    pub(super) account_id: AccountId,
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

    fn is_at(&self, address: &Address) -> bool {
        self.door.site.host(&self.door.label, &self.region) == address.host
    }

    /// What the page says, for machines.
    fn json(&self, now: Timestamp) -> Value {
        let mut members: Map<String, Value> = self.door.facts.iter().map(|fact| (fact.member.to_owned(), json!(fact.value))).collect();
        for (name, value) in [
            ("kind", json!(self.door.site.kind)),
            ("resource_arn", json!(self.door.resource_arn)),
            ("session_seconds", json!(self.session_seconds)),
            ("session_ends_at", json!(now.plus_seconds(self.session_seconds).rfc3339())),
            ("region", json!(self.region.as_str())),
            ("account_id", json!(self.account_id.as_str())),
            ("caller", json!(self.caller)),
            ("source_identity", json!(self.source_identity)),
            ("opened_at", json!(now.rfc3339())),
        ] {
            members.insert(name.to_owned(), value);
        }
        Value::Object(members)
    }

    /// What the page says, for people.
    fn page(&self, now: Timestamp) -> Answer {
        let mut facts = String::new();
        let mut fact = |name: &str, value: &str| {
            // Writing to a String cannot fail.
            let _ = writeln!(facts, "<dt>{name}</dt><dd>{}</dd>", Escaped(value));
        };
        for Fact { name, value, otherwise, .. } in &self.door.facts {
            fact(name, value.as_deref().unwrap_or(otherwise));
        }
        fact("Session", &format!("{}, until {}", duration(self.session_seconds), now.plus_seconds(self.session_seconds).rfc3339()));
        fact("Region", self.region.as_str());
        fact("Account", self.account_id.as_str());
        fact("Resource", &self.door.resource_arn);
        fact("Source identity", self.source_identity.as_deref().unwrap_or("none"));
        fact("URL made by", &self.caller);
        let Site { product, interface, is_documented_single_use, .. } = self.door.site;
        let single_use = if *is_documented_single_use {
            "AWS documents the same for these URLs."
        } else {
            "AWS does not document single use for these URLs, so rely neither on re-use nor on its absence."
        };
        let body = format!(
            "<p class=\"tag\">latchkey stand-in for {product}</p>\n<h1>{}</h1>\n\
             <p>The presigned URL was accepted. A real {interface} would start here.</p>\n<h2>What was opened</h2>\n<dl>\n{facts}</dl>\n\
             <h2>About this URL</h2>\n<p>It opens nothing more: the stand-in accepts a URL once, and only before it expires. \
             {single_use}</p>\n",
            Escaped(&self.door.heading)
        );
        html::page(200, &self.door.heading, &body, "'none'")
    }
}

fn key(token: &str) -> String {
    sigv4::hex(digest::digest(&digest::SHA256, token.as_bytes()).as_ref())
}

/// Answers a browser, with the error's code if it is one.
pub(super) fn open(state: &State, address: &Address, wire: &Request<'_>) -> (Answer, Option<&'static str>) {
    let wants_json = html::wants_json(wire.headers);
    let refuse = |refusal: &Refusal| (refusal.answer(wants_json), Some(refusal.code));
    let Some(site) = address.site.filter(|site| site.path == wire.path) else { return refuse(&NOT_FOUND) };
    if wire.method != "GET" {
        return refuse(&METHOD);
    }
    let pairs = wire.query.split('&').filter_map(|pair| pair.split_once('='));
    let mut tokens = pairs.filter(|(name, _)| *name == site.parameter).map(|(_, token)| token);
    let (Some(token), None) = (tokens.next(), tokens.next()) else { return refuse(&UNKNOWN) };

    let now = state.clock.now();
    let mut openings = lock(&state.openings);
    let Some(opening) = openings.get_mut(&key(token)).filter(|opening| opening.is_at(address)) else {
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
    text: "Its token was not made for this address. Ask the portal for a new link.",
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
    text: "The stand-in serves the addresses of presigned URLs, and no other page.",
};
const METHOD: Refusal =
    Refusal { status: 405, code: "method-not-allowed", title: "A link is opened with GET", text: "No other method opens anything." };

impl Refusal {
    fn answer(&self, wants_json: bool) -> Answer {
        let answer = if wants_json {
            Answer::json(self.status, &json!({ "error": self.code, "message": self.text }))
        } else {
            let body = format!(
                "<p class=\"tag\">latchkey stand-in for Amazon SageMaker</p>\n<h1>{}</h1>\n<p>{}</p>\n",
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
