//! `latchkey doctor`: looks at a deployment as it is, and says what of it is not as it has to be.
//!
//! Everything begins at the function: its variables say which issuers, table and roles there are, its roles which endpoints, the
//! endpoints which VPC. Each part is looked at by a module of its own, which returns findings; none changes anything.

mod api;
pub mod checks;
mod clocks;
mod domains;
mod endpoints;
mod function;
mod keys;
mod names;
pub(crate) mod policy;
mod roles;
mod table;
pub mod text;
mod watch;

use latchkey_aws::clients::Clients;
use latchkey_domain::names::Region;
use latchkey_transport::Transport;
use serde::Serialize;
use serde_json::Value;

use self::checks::Check;
use self::endpoints::Endpoints;
use self::function::Function;
use crate::cloud::{Cloud, NotSeen};
use crate::dns::Resolver;

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It does not hold: something does not work, or is open.
    Fault,
    /// It could not be looked at.
    Unknown,
    /// It does not hold, and nothing is open or broken by it.
    Weak,
    /// It holds.
    Sound,
}

/// What was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// The check's name.
    pub check: &'static str,
    /// What it was about: a role, an endpoint, a name.
    pub about: String,
    /// What came of it.
    pub outcome: Outcome,
    /// What is to hold.
    pub holds: &'static str,
    /// What there is instead, or why it is not known; none where it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub found: Option<String>,
    /// What to do; none where it holds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub fix: Option<&'static str>,
}

/// A deployment's state.
#[derive(Debug, Clone, Serialize)]
pub struct Diagnosis {
    /// The deployment's name.
    pub name: String,
    /// Its region.
    pub region: String,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
    /// What was not looked at, in words.
    pub not_looked_at: Vec<String>,
}

impl Diagnosis {
    /// How many findings have that outcome.
    pub fn count(&self, outcome: Outcome) -> usize {
        self.findings.iter().filter(|finding| finding.outcome == outcome).count()
    }

    /// Whether everything that matters holds, and could be looked at.
    pub fn is_well(&self) -> bool {
        self.count(Outcome::Fault) == 0 && self.count(Outcome::Unknown) == 0
    }
}

/// Findings as they are collected.
#[derive(Debug, Default)]
struct Findings {
    findings: Vec<Finding>,
    not_looked_at: Vec<String>,
}

impl Findings {
    fn add(&mut self, check: &'static Check, about: &str, outcome: Outcome, found: Option<String>) {
        let fix = (outcome != Outcome::Sound).then_some(check.fix);
        self.findings.push(Finding { check: check.name, about: about.to_owned(), outcome, holds: check.holds, found, fix });
    }

    fn sound(&mut self, check: &'static Check, about: &str) {
        self.add(check, about, Outcome::Sound, None);
    }

    fn fault(&mut self, check: &'static Check, about: &str, found: impl Into<String>) {
        self.add(check, about, Outcome::Fault, Some(found.into()));
    }

    fn weak(&mut self, check: &'static Check, about: &str, found: impl Into<String>) {
        self.add(check, about, Outcome::Weak, Some(found.into()));
    }

    fn unknown(&mut self, check: &'static Check, about: &str, why: impl Into<String>) {
        self.add(check, about, Outcome::Unknown, Some(why.into()));
    }

    /// Sound, or a fault with what there is instead.
    fn hold(&mut self, check: &'static Check, about: &str, wrong: Option<String>) {
        match wrong {
            None => self.sound(check, about),
            Some(found) => self.fault(check, about, found),
        }
    }

    fn not_looked_at(&mut self, what: impl Into<String>) {
        self.not_looked_at.push(what.into());
    }

    fn append(&mut self, other: Self) {
        self.findings.extend(other.findings);
        self.not_looked_at.extend(other.not_looked_at);
    }

    /// A resource that has to be there, or none with a finding that says why.
    fn expect(&mut self, check: &'static Check, about: &str, seen: Result<Option<Value>, NotSeen>) -> Option<Value> {
        match seen {
            Ok(Some(properties)) => {
                self.sound(check, about);
                Some(properties)
            }
            Ok(None) => {
                self.fault(check, about, "there is none of that name");
                None
            }
            Err(why) => {
                self.unknown(check, about, why.0);
                None
            }
        }
    }
}

/// Where to look, and with what.
#[derive(Debug)]
pub struct Doctor {
    /// The deployment's name: the template's parameter `Name`.
    pub name: String,
    /// Its region.
    pub region: Region,
    /// The resources.
    pub cloud: Cloud,
    /// The names.
    pub resolver: Resolver,
    /// The table's rows.
    pub clients: Clients,
    /// The way to the issuers.
    pub transport: Transport,
}

impl Doctor {
    /// Looks at all of it.
    pub async fn examine(&self) -> Diagnosis {
        let mut findings = Findings::default();
        if let Some(function) = function::look(self, &mut findings).await {
            self.go_on(&function, &mut findings).await;
        } else {
            findings.not_looked_at("everything else: it hangs on the function");
        }
        let mut found = findings.findings;
        // The worst first, and otherwise in their order.
        found.sort_by_key(|finding| finding.outcome as u8);
        Diagnosis { name: self.name.clone(), region: self.region.to_string(), findings: found, not_looked_at: findings.not_looked_at }
    }

    async fn go_on(&self, function: &Function, findings: &mut Findings) {
        let api = api::look(self, function, findings).await;
        let roles = roles::look(self, function, findings).await;
        let mut wanted = roles.endpoints();
        wanted.extend(api.endpoints.iter().cloned());
        let endpoints = Endpoints::read(self, wanted).await;
        // Side by side: each of them waits for AWS most of the time.
        let parts = futures_util::join!(
            async { roles::judge(&roles, &endpoints) },
            endpoints::look(self, function, &roles, &endpoints),
            names::look(self, function, &api, &roles, &endpoints),
            domains::look(self, &roles),
            table::look(self, function),
            keys::look(self, function),
            watch::look(self),
            clocks::look(self, function),
        );
        for part in <[Findings; 8]>::from(parts) {
            findings.append(part);
        }
    }
}
