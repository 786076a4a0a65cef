//! What the broker would decide, step by step, with nothing done about it.
//!
//! The request goes through the broker's own [`Service`]: the same code, configuration and order of checks. Only its ports are others
//! ([`ports`]): the table is only read, uses are not counted, and STS and SageMaker are rehearsed ([`latchkey_aws::rehearsal`]), by the
//! broker's own adapter over a wire that ends in this process. What is explained is then read off the answer, the audit record, and the
//! calls that were rehearsed.

pub mod check;
pub mod ports;
pub mod reasons;
pub mod text;

use std::time::Duration;

use broker::config::Config;
use broker::service::{Ports, over};
use latchkey_api::event::ProxyEvent;
use latchkey_api::route::Route;
use latchkey_api::service::{AllowedEndpoints, Invocation, Service};
use latchkey_aws::clients::Clients;
use latchkey_aws::rehearsal::{Assumed, Call, Rehearsal};
use latchkey_domain::audit::{Action, AuditRecord, Verdict};
use latchkey_domain::clock::{Clock, Timestamp};
use latchkey_domain::decision::{Code, Reason};
use latchkey_domain::entitlement::{self, Entitlement};
use latchkey_domain::grant::Grant;
use latchkey_domain::identity::Group;
use latchkey_domain::item::Item;
use latchkey_domain::ports::{Authenticator, GrantStore, ProfileKeeper as _, RateLimit, UsageView};
use latchkey_domain::token::BearerToken;
use serde::Serialize;
use serde_json::json;

use self::check::Check;
use self::ports::{Caller, LastDecision, Onlooker, Seen};
use self::reasons::Advice;

/// How long an explanation may take: as long as API Gateway waits for an answer.
const BUDGET: Duration = Duration::from_secs(29);

/// The id of a request that has none.
const REQUEST_ID: &str = "explain";

/// What is explained.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Asked {
    /// A whole request.
    Event,
    /// A launch with a token, in a request that is made up.
    Token,
    /// A launch by somebody of whom there is no token.
    Subject,
}

/// What explains.
#[derive(Debug)]
pub struct Explainer<A, S, C> {
    asked: Asked,
    service: Service<Caller<A>, Onlooker<S>, Rehearsal<C>, C, LastDecision>,
    /// Rehearses what a first login takes besides.
    newcomer: Rehearsal<C>,
}

impl<A, S, C> Explainer<A, S, C>
where
    A: Authenticator,
    S: GrantStore + UsageView,
    C: Clock + Clone,
{
    /// Explains what a broker of this configuration decides, which would call AWS with these clients.
    pub fn new(asked: Asked, mut config: Config, clients: &Clients, caller: Caller<A>, table: S, clock: C) -> Self {
        if asked != Asked::Event {
            // Nobody has said where the request would come from.
            config.endpoints = AllowedEndpoints::Any;
        }
        if asked == Asked::Subject {
            // There is no token that could have been used.
            config.replay_guard = false;
        }
        let rehearse = |assumed| Rehearsal::new(clients, config.session_scope, config.posture, assumed, clock.clone());
        let (issuer, newcomer) = (rehearse(Assumed::OwnProfile), rehearse(Assumed::NoProfile));
        let ports = Ports { authenticator: caller, store: Onlooker::new(table), issuer, clock, sink: LastDecision::default() };
        Self { asked, service: over(ports, config, clients.region().clone()), newcomer }
    }

    /// Explains one event. `account_id` is the function's account, where somebody says it; else the event's counts.
    ///
    /// One request each: what was seen and rehearsed is read off the ports afterwards.
    ///
    /// # Errors
    /// [`AccountNeeded`] where the decision, or what follows, depends on an account that nobody has said.
    pub async fn explain(self, event: &[u8], account_id: Option<&str>) -> Result<Explanation, AccountNeeded> {
        let own_account = match account_id {
            Some(account_id) => account_id.to_owned(),
            None => account_of(event).unwrap_or_default(),
        };
        let invocation = Invocation { event, id: REQUEST_ID, account_id, budget: BUDGET };
        let answer = self.service.handle(invocation, std::future::pending()).await;
        let broker = &self.service.broker;
        let record = self.service.sink.take();
        let entitlement = broker.issuer.entitlement();
        if own_account.is_empty() && record.as_ref().is_some_and(|record| hangs_on_account(record, broker.rules.terms.role_arn.is_some())) {
            return Err(AccountNeeded);
        }
        let facts = Facts {
            asked: self.asked,
            record: record.as_ref(),
            entitlement: entitlement.as_ref(),
            seen: broker.store.seen(),
            rate_limit: broker.rules.rate_limit,
            replay_guard: broker.rules.replay_guard,
        };
        let (status, retry_after) = (answer.status(), answer.headers().get("Retry-After").cloned());
        // It holds what stands for a URL, which nobody is to take for one.
        drop(answer);
        let at = broker.clock.now();
        let rows = facts.seen.record.as_ref();
        // Of a suspended subject the list says nothing.
        let targets = rows.and_then(|rows| entitlement::list(rows, &broker.rules.terms, &own_account, at).ok()).unwrap_or_default();
        Ok(Explanation {
            asked: self.asked,
            at,
            action: record.as_ref().map(|record| record.action),
            decision: facts.decision(),
            status,
            code: record.as_ref().map_or("ok", |record| record.code),
            retry_after_seconds: retry_after.and_then(|seconds| seconds.parse().ok()),
            refusal: record.as_ref().and_then(Refusal::of),
            checks: facts.checks(at),
            issuer: record.as_ref().and_then(|record| record.issuer_id.clone()),
            subject: record.as_ref().and_then(|record| record.subject.clone()),
            groups: facts.seen.groups.iter().map(ToString::to_string).collect(),
            grant: facts.grant(at).map(|(grant, group)| Granted {
                target: grant.name.to_string(),
                group: group.map(ToString::to_string),
                attributes: grant.to_item(),
                terms: entitlement.as_ref().map(|entitlement| Terms::of(entitlement, &own_account)),
            }),
            targets: targets
                .into_iter()
                .map(|target| Row { name: target.name.to_string(), kind: target.kind, default: target.default, opens: target.enabled })
                .collect(),
            calls: self.calls(entitlement.as_ref()).await,
            not_asked: facts.not_asked(broker.posture.mode().inspects()),
        })
    }

    /// The calls in their order, what is called at a first login only among them.
    async fn calls(&self, entitlement: Option<&Entitlement>) -> Vec<Planned> {
        let calls = self.service.broker.issuer.calls();
        let mut planned: Vec<Planned> = calls.into_iter().map(|call| Planned { call, only_if: None }).collect();
        if let Some(entitlement) = entitlement
            && let Some(provisioning) = entitlement.provisioning()
        {
            // Where a profile is made, no URL is yet, and the portal asks again.
            let _ = self.newcomer.ensure_profile(entitlement, provisioning, BUDGET).await;
            let made = self.newcomer.calls().into_iter().find(|call| call.operation == "CreateUserProfile");
            let after = planned.iter().position(|planned| planned.call.operation == "DescribeUserProfile").map_or(0, |index| index + 1);
            planned.splice(after..after, made.map(|call| Planned { call, only_if: Some("there is no such profile; then it ends here") }));
        }
        planned
    }
}

/// The account that the function runs in is not known, and something hangs on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AccountNeeded;

/// Whether a decision would be another, or what follows, if the function's account were known.
fn hangs_on_account(record: &AuditRecord, has_role: bool) -> bool {
    let by_account = [entitlement::FOREIGN_ACCOUNT, entitlement::PROVISION_FOREIGN_ACCOUNT];
    let is_refused_by_it = !has_role && record.reason.is_some_and(|reason| by_account.contains(&Reason(reason)));
    is_refused_by_it || record.account.as_deref() == Some("")
}

/// When a grant opens.
fn in_force(grant: &Grant) -> Option<String> {
    let enabled = (!grant.enabled).then(|| "disabled".to_owned());
    let from = grant.not_before.map(|from| format!("from {}", from.rfc3339()));
    let until = grant.expires_at.map(|until| format!("until {}", until.rfc3339()));
    let said: Vec<String> = [enabled, from, until].into_iter().flatten().collect();
    (!said.is_empty()).then(|| said.join(", "))
}

/// The request that a portal would make for a launch with that token.
pub fn launch(token: &BearerToken, target: Option<&str>, landing: Option<&str>) -> Vec<u8> {
    let wishes = [("target", target), ("landing", landing)];
    let body: serde_json::Map<_, _> =
        wishes.into_iter().filter_map(|(name, value)| Some((name.to_owned(), serde_json::Value::from(value?)))).collect();
    json!({
        "path": Route::Mint.path(),
        "httpMethod": Route::Mint.method(),
        "headers": {"Authorization": format!("Bearer {}", token.expose()), "Content-Type": "application/json"},
        "requestContext": {},
        "body": serde_json::Value::Object(body).to_string(),
    })
    .to_string()
    .into_bytes()
}

/// The account that an event names.
fn account_of(event: &[u8]) -> Option<String> {
    ProxyEvent::parse(event).ok()?.request_context?.account_id
}

/// An explanation.
#[derive(Debug, Clone, Serialize)]
pub struct Explanation {
    /// What was explained.
    pub asked: Asked,
    /// The time for which it holds.
    pub at: Timestamp,
    /// What was asked for; null for `GET /health`, which is answered without a decision.
    pub action: Option<Action>,
    /// What the broker would decide.
    pub decision: Decision,
    /// The status of its answer.
    pub status: u16,
    /// The code of its answer.
    pub code: &'static str,
    /// After how many seconds it says to ask again.
    pub retry_after_seconds: Option<u32>,
    /// Why it refuses.
    pub refusal: Option<Refusal>,
    /// The checks, in their order.
    pub checks: Vec<Checked>,
    /// The issuer's id. Where the token is refused it is what the token claims.
    pub issuer: Option<String>,
    /// The subject.
    pub subject: Option<String>,
    /// The subject's groups that were looked for.
    pub groups: Vec<String>,
    /// The grant that matched.
    pub grant: Option<Granted>,
    /// The grants that were read, as `GET /targets` lists them: with a target named just that one.
    pub targets: Vec<Row>,
    /// The calls that would follow. None is made.
    pub calls: Vec<Planned>,
    /// What this does not look at.
    pub not_asked: Vec<&'static str>,
}

/// What the broker would decide.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Decision {
    /// The caller would get what is asked for.
    Allow,
    /// The caller would not.
    Deny,
    /// What it is decided by could not be had from here.
    Unknown,
}

/// Why the broker refuses.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// The reason, as the audit record has it.
    pub reason: &'static str,
    /// More on it.
    pub detail: Option<String>,
    /// What `docs/audit.md` says of it.
    #[serde(flatten)]
    pub advice: Option<Advice>,
}

impl Refusal {
    fn of(record: &AuditRecord) -> Option<Self> {
        let reason = record.reason?;
        Some(Self { reason, detail: record.detail.clone(), advice: reasons::advice(reason) })
    }
}

/// A check, and what came of it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Checked {
    /// The check.
    pub check: Check,
    /// What came of it.
    pub outcome: Outcome,
    /// What it was about, here.
    pub about: Option<String>,
}

/// What came of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It holds.
    Passed,
    /// It does not, and ends the request.
    Failed,
    /// The request has ended before it.
    NotReached,
    /// It was left out: there was nothing to look at.
    NotAsked,
    /// The configuration turns it off.
    Off,
    /// It could not be looked at from here.
    Unknown,
}

impl Outcome {
    /// The word for it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "FAILED",
            Self::NotReached => "not reached",
            Self::NotAsked => "not asked",
            Self::Off => "off",
            Self::Unknown => "UNKNOWN",
        }
    }
}

/// The grant that matched.
#[derive(Debug, Clone, Serialize)]
pub struct Granted {
    /// The target's name.
    pub target: String,
    /// The group whose grant it is; null for the subject's own.
    pub group: Option<String>,
    /// The row's attributes, defaults written out.
    pub attributes: Item,
    /// What it comes to with the configuration, where it opens.
    pub terms: Option<Terms>,
}

/// What a grant comes to with the configuration.
#[derive(Debug, Clone, Serialize)]
pub struct Terms {
    /// The ARN of what the URL opens.
    pub resource_arn: String,
    /// The account that it is in.
    pub account: String,
    /// Its region.
    pub region: String,
    /// The role under which the URL is made; none for the function's own.
    pub role: Option<String>,
    /// Life of the URL in seconds.
    pub url_seconds: u32,
    /// Life of the session in seconds.
    pub session_seconds: u32,
}

impl Terms {
    fn of(entitlement: &Entitlement, own_account: &str) -> Self {
        Self {
            resource_arn: entitlement.resource_arn(own_account),
            account: entitlement.account_id(own_account).to_owned(),
            region: entitlement.region().to_string(),
            role: entitlement.role().map(ToString::to_string),
            url_seconds: entitlement.url_seconds(),
            session_seconds: entitlement.session_seconds(),
        }
    }
}

/// One of the subject's grants.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Row {
    /// The target's name.
    pub name: String,
    /// Its kind.
    pub kind: &'static str,
    /// Whether it opens when no target is named.
    pub default: bool,
    /// Whether it opens at all now.
    pub opens: bool,
}

/// A call that would follow.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Planned {
    /// The call.
    #[serde(flatten)]
    pub call: Call,
    /// When it is made, where that is not always.
    pub only_if: Option<&'static str>,
}

/// What a request has shown.
struct Facts<'a> {
    asked: Asked,
    record: Option<&'a AuditRecord>,
    entitlement: Option<&'a Entitlement>,
    seen: Seen,
    rate_limit: Option<RateLimit>,
    replay_guard: bool,
}

impl Facts<'_> {
    fn reason(&self) -> Option<Reason> {
        self.record.and_then(|record| record.reason).map(Reason)
    }

    /// What could not be had from here says nothing of what the broker can have.
    fn decision(&self) -> Decision {
        let Some(record) = self.record else { return Decision::Allow };
        let is_failure = [Code::Unavailable, Code::Internal].iter().any(|code| code.as_str() == record.code);
        match record.decision {
            Verdict::Allow => Decision::Allow,
            Verdict::Deny if is_failure && self.reason() != Some(latchkey_aws::sagemaker::OTHER_REGION) => Decision::Unknown,
            Verdict::Deny => Decision::Deny,
        }
    }

    /// The check that ends the request, where one does; none of them where it ends by none that is known here.
    fn ends_at(&self) -> Option<Option<Check>> {
        Some(Check::of(self.reason()?, self.record?))
    }

    /// The grant that matched, of a request that came as far as that, and the group whose it is.
    fn grant(&self, at: Timestamp) -> Option<(&Grant, Option<&Group>)> {
        if let Some(entitlement) = self.entitlement {
            return Some((entitlement.grant(), entitlement.group()));
        }
        match self.ends_at() {
            Some(Some(end)) if end > Check::Choice => entitlement::meant(self.seen.record.as_ref()?, self.seen.target.as_ref(), at),
            Some(_) | None => None,
        }
    }

    fn checks(&self, at: Timestamp) -> Vec<Checked> {
        // Without a record nothing was checked: whether the service lives is anybody's business.
        let Some(record) = self.record else { return Vec::new() };
        let ends_at = self.ends_at();
        let is_due = |check: &&Check| record.action != Action::List || check.is_of_list();
        Check::ALL
            .iter()
            .filter(is_due)
            .map(|&check| {
                let outcome = self.outcome(check, ends_at);
                let is_told = matches!(outcome, Outcome::Passed | Outcome::Failed);
                Checked { check, outcome, about: if is_told { self.about(check, record, at) } else { None } }
            })
            .collect()
    }

    fn outcome(&self, check: Check, ends_at: Option<Option<Check>>) -> Outcome {
        match ends_at {
            Some(None) => return Outcome::Unknown,
            Some(Some(end)) if check > end => return Outcome::NotReached,
            Some(Some(end)) if check == end && self.decision() == Decision::Unknown => return Outcome::Unknown,
            Some(Some(end)) if check == end => return Outcome::Failed,
            Some(Some(_)) | None => {}
        }
        let no_request = check.is_of_request() && self.asked != Asked::Event;
        let no_token = (check.is_of_token() || check == Check::Authorization || check == Check::Replay) && self.asked == Asked::Subject;
        if no_request || no_token {
            Outcome::NotAsked
        } else if (check == Check::RateLimit && self.rate_limit.is_none()) || (check == Check::Replay && !self.replay_guard) {
            Outcome::Off
        } else {
            Outcome::Passed
        }
    }

    /// What a check that was made was about.
    fn about(&self, check: Check, record: &AuditRecord, at: Timestamp) -> Option<String> {
        let found = self.grant(at);
        let grant = found.map(|(grant, _)| grant);
        match check {
            Check::Endpoint => record.vpc_endpoint.clone(),
            Check::Issuer => record.issuer_id.clone(),
            Check::Key => record.key_id.clone(),
            Check::Subject => record.subject.clone(),
            Check::Groups => (!self.seen.groups.is_empty()).then(|| {
                let groups: Vec<&str> = self.seen.groups.iter().map(Group::as_str).collect();
                groups.join(", ")
            }),
            Check::Choice => match found {
                Some((grant, Some(group))) => Some(format!("{}, of the group {group}", grant.name)),
                Some((grant, None)) => Some(grant.name.to_string()),
                None => record.target.clone(),
            },
            Check::Grant => grant.map(|grant| grant.target.to_string()),
            Check::InForce => grant.and_then(in_force),
            Check::Landing => Some(self.entitlement?.landing().map_or("none wanted".to_owned(), |landing| {
                let places = [landing.landing_uri.as_ref().map(ToString::to_string), landing.space_name.as_ref().map(ToString::to_string)];
                places.into_iter().flatten().collect::<Vec<_>>().join(" in ")
            })),
            Check::Reach => Some(format!("{} in {}", record.account.as_deref()?, record.region.as_deref()?)),
            Check::FirstLogin => Some(match self.entitlement?.provisioning() {
                Some(provisioning) => format!("a missing profile would be made as {}", provisioning.role),
                None => "it says nothing".to_owned(),
            }),
            Check::RateLimit => {
                let (limit, used) = (self.rate_limit?, self.seen.used?);
                Some(format!("{used} of {} used, in windows of {} s", limit.urls, limit.seconds))
            }
            Check::Event
            | Check::Operation
            | Check::Authorization
            | Check::Token
            | Check::TokenHeader
            | Check::Signature
            | Check::TokenPurpose
            | Check::TokenLifetime
            | Check::Audience
            | Check::RequiredClaims
            | Check::Body
            | Check::Table
            | Check::Standing
            | Check::Replay
            | Check::EndpointRegion => None,
        }
    }

    /// What was not looked at.
    fn not_asked(&self, gate_is_on: bool) -> Vec<&'static str> {
        let mut not_asked = Vec::new();
        match self.asked {
            Asked::Event => {}
            Asked::Token => {
                not_asked.push("the request around the token: its VPC endpoint, headers and body; --event explains a whole one")
            }
            Asked::Subject => {
                not_asked.push("the request, and its VPC endpoint; --event explains a whole one");
                not_asked.push("a token: whether the user's would be accepted, whether it was used before, and which groups it names; --group says them");
            }
        }
        if let Some(entitlement) = self.entitlement {
            if entitlement.role().is_some() || entitlement.provisioning().is_some() {
                not_asked.push("STS: whether the role lets itself be assumed like this");
            }
            if entitlement.provisioning().is_some() {
                not_asked.push("SageMaker: whether the user profile is there, and its user's own; it is taken to be");
            }
            if gate_is_on && entitlement.grant().target.kind().is_gated() {
                not_asked.push("SageMaker: how the target looks to the posture gate; it is taken to be sound");
            }
            not_asked.push("SageMaker: whether the target is there and ready, and whether the policies let it make the URL");
        }
        not_asked
    }
}
