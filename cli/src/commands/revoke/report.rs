//! What is to be revoked and what was, as text and as JSON.

use std::fmt::Write as _;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::Identity;
use latchkey_domain::names::RoleArn;
use serde_json::{Value, json};

use super::flags;
use crate::issuing_roles::{Found, OnRole, Unreached, no_room};
use crate::printable::printable;
use crate::revocation::{Revocation, Whose, characters};

/// A role, and what was found on it.
#[derive(Debug)]
pub(super) struct Looked {
    pub(super) role: RoleArn,
    pub(super) found: Result<OnRole, Unreached>,
    pub(super) says_whose: SaysWhose,
}

/// Whether the sessions of a role say whose they are: a revocation of one user's goes by that.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum SaysWhose {
    /// It does not matter, or was said.
    NotAsked,
    /// Its trust opens no others.
    Always,
    /// Its trust opens others.
    NotAlways,
    /// Nobody can say, and why.
    NotKnown(Unreached),
}

impl SaysWhose {
    pub(super) fn of(asked: Result<Option<bool>, Unreached>) -> Self {
        let not_known = |why: &str| {
            Self::NotKnown(Unreached {
                why: format!("whether its sessions say whose they are, without which nothing is cut: {why}"),
                advice: Some(
                    "it takes iam:GetRole. Or see LATCHKEY_SESSION_SCOPE of the function: where it is user, run this again with \
                     --session-scope user, and where it is role, cut everyone's with --everyone",
                ),
                is_full: false,
            })
        };
        match asked {
            Ok(Some(true)) => Self::Always,
            Ok(Some(false)) => Self::NotAlways,
            Ok(None) => not_known("the role's trust lets nobody take it on, or cannot be read"),
            Err(unreached) => not_known(&unreached.why),
        }
    }
}

impl Looked {
    pub(super) fn policies(&self) -> &[Found] {
        self.found.as_ref().map(|on_role| on_role.revocations.as_slice()).unwrap_or_default()
    }

    pub(super) fn revocations(&self) -> impl Iterator<Item = &Revocation> {
        self.policies().iter().filter_map(|found| found.revocation.as_ref())
    }
}

/// Whether the subject is kept from opening new sessions.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Suspension {
    /// Nobody asked for it.
    NotAsked,
    /// It was so before.
    Already,
    /// It is to be.
    Planned,
    /// It is.
    Done,
    /// It is not, and why.
    Failed(String),
}

/// What became of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Something is to be done.
    Planned,
    /// The revocation is written.
    Revoked,
    /// The revocation is taken back.
    Removed,
    /// There is none to take back.
    Absent,
    /// It could not be reached, or not be changed.
    Failed,
}

#[derive(Debug)]
pub(super) struct RoleReport {
    pub(super) role: RoleArn,
    pub(super) outcome: Outcome,
    pub(super) problem: Option<Unreached>,
    /// Why it is not known whether what is written cuts anything.
    pub(super) doubt: Option<Unreached>,
    /// Revocations that have run out, to be deleted.
    pub(super) drops: Vec<String>,
    /// Those that are.
    pub(super) dropped: Vec<String>,
}

impl RoleReport {
    pub(super) fn fail(&mut self, why: Unreached) {
        self.outcome = Outcome::Failed;
        self.problem = Some(why);
        self.drops.clear();
    }
}

/// All of it.
#[derive(Debug)]
pub(super) struct Report {
    pub(super) undo: bool,
    /// Whose sessions; none for everyone's.
    pub(super) identity: Option<Identity>,
    /// How many grants the subject has in the table, where that was looked at.
    pub(super) grants: Option<usize>,
    pub(super) suspension: Suspension,
    pub(super) revocation: Revocation,
    pub(super) roles: Vec<RoleReport>,
    /// Why changes that were made could not be written down.
    pub(super) unlogged: Vec<String>,
}

impl Report {
    /// A revocation of everyone's sessions on these roles, before it is done.
    pub(super) fn planned(undo: bool, revocation: Revocation, looked: &[Looked], now: Timestamp) -> Self {
        let policy_name = revocation.whose.policy_name();
        let roles = looked.iter().map(|one| {
            let is_there = one.policies().iter().any(|found| found.policy_name == policy_name);
            let outcome = match &one.found {
                Err(_) => Outcome::Failed,
                Ok(_) if undo && !is_there => Outcome::Absent,
                Ok(_) => Outcome::Planned,
            };
            let spent = one.revocations().filter(|found| !undo && found.whose != revocation.whose && found.is_spent(now));
            let drops: Vec<String> = spent.map(|found| found.whose.policy_name()).collect();
            let problem = match &one.found {
                Err(why) => Some(why.clone()),
                Ok(_) if undo => None,
                Ok(on_role) => {
                    let goes =
                        on_role.revocations.iter().filter(|found| found.policy_name == policy_name || drops.contains(&found.policy_name));
                    let goes: usize = goes.map(|found| characters(&found.document.to_string())).sum();
                    no_room(on_role.characters.saturating_sub(goes), characters(&revocation.document().to_string()))
                }
            };
            let doubt = match &one.says_whose {
                SaysWhose::NotKnown(why) => Some(why.clone()),
                SaysWhose::NotAsked | SaysWhose::Always | SaysWhose::NotAlways => None,
            };
            RoleReport { role: one.role.clone(), outcome, problem, doubt, drops, dropped: Vec::new() }
        });
        let roles = roles.collect();
        Self { undo, identity: None, grants: None, suspension: Suspension::NotAsked, revocation, roles, unlogged: Vec::new() }
    }

    /// Whether anything was not done, or will not be.
    pub(super) fn has_failed(&self) -> bool {
        let is_in_the_way = |role: &RoleReport| role.outcome == Outcome::Failed || role.problem.is_some();
        matches!(self.suspension, Suspension::Failed(_)) || !self.unlogged.is_empty() || self.roles.iter().any(is_in_the_way)
    }

    /// Whether all of it was done, and is known to have been.
    pub(super) fn is_done(&self) -> bool {
        !self.has_failed() && !self.is_in_doubt()
    }

    fn is_in_doubt(&self) -> bool {
        self.roles.iter().any(|role| role.doubt.is_some())
    }

    /// What came of it, in a word.
    pub(super) fn what_came_of_it(&self) -> &'static str {
        match (self.has_failed(), self.undo) {
            (true, _) => "not all",
            (false, _) if self.is_in_doubt() => "not known",
            (false, true) if self.is_empty() => "nothing to take back",
            (false, true) => "taken back",
            (false, false) => "revoked",
        }
    }

    /// Whether there is nothing to take back.
    pub(super) fn is_empty(&self) -> bool {
        self.roles.iter().all(|role| role.outcome == Outcome::Absent)
    }

    fn whose(&self) -> String {
        match (&self.identity, &self.revocation.whose) {
            (Some(identity), Whose::One(source_identity)) => {
                format!("{} {} (source identity {source_identity})", identity.issuer, identity.subject)
            }
            (_, whose) => named(whose),
        }
    }

    /// What is to be done, for people.
    pub(super) fn plan(&self) -> String {
        let mut text = if self.undo {
            format!("Takes back what cuts the sessions of {}.", self.whose())
        } else {
            format!("Cuts the sessions of {}.", self.whose())
        };
        if self.grants == Some(0) {
            line(
                &mut text,
                "mind",
                "the table has no grant of this subject's own: is it spelt as the issuer spells it? Of grants that were deleted",
            );
            line(&mut text, "", "the roles are not known any more: --role-arn names them");
        }
        match &self.suspension {
            Suspension::Planned => line(&mut text, "suspends", "the subject in the table: no new URL from the next request on"),
            Suspension::Already => line(&mut text, "suspended", "already: no new URL"),
            Suspension::NotAsked | Suspension::Done | Suspension::Failed(_) if self.undo => {}
            Suspension::NotAsked | Suspension::Done | Suspension::Failed(_) => {
                line(&mut text, "suspends", "nobody: whoever may open something can open it anew, in a new session");
            }
        }
        if !self.undo {
            let moment = match self.suspension {
                Suspension::NotAsked => "the moment it is done",
                Suspension::Already | Suspension::Planned | Suspension::Done | Suspension::Failed(_) => {
                    "a minute after it is done, for launches that are under way"
                }
            };
            line(&mut text, "refuses", &format!("sessions opened before {}: {moment}", self.revocation.issued_before_text()));
        }
        for role in &self.roles {
            line(&mut text, "role", role.role.as_str());
            match (role.outcome, &role.problem) {
                (Outcome::Absent, _) => line(&mut text, "", "has nothing to take back"),
                (Outcome::Failed, Some(problem)) => explained(&mut text, "  NOT REACHED", problem),
                (_, Some(problem)) => explained(&mut text, "  NO ROOM", problem),
                (_, None) => {}
            }
            if let (Outcome::Planned, Some(doubt)) = (role.outcome, &role.doubt) {
                explained(&mut text, "  NOT KNOWN", doubt);
            }
            for policy_name in &role.drops {
                line(&mut text, "  drops", &format!("{policy_name}: every session that it refused has ended"));
            }
        }
        line(&mut text, "policy", &self.revocation.whose.policy_name());
        if self.undo {
            line(&mut text, "mind", "sessions that have not ended by themselves work again, a thief's too; new ones do not need this");
            if self.identity.is_some() {
                line(&mut text, "suspension", "stays as it is: latchkey resume ends it");
            }
        } else {
            for part in format!("{:#}", self.revocation.document()).lines() {
                line(&mut text, "", part);
            }
            line(&mut text, "goes on", "what runs already in the users' apps, as the profiles' execution roles");
        }
        text
    }

    /// What was done, for people.
    pub(super) fn done(&self) -> String {
        let mut text = match (self.has_failed(), self.undo) {
            (true, _) => "NOT ALL OF IT IS DONE.".to_owned(),
            (false, _) if self.is_in_doubt() => "IT IS NOT KNOWN WHETHER ALL OF IT IS DONE.".to_owned(),
            (false, true) if self.is_empty() => "There is nothing to take back.".to_owned(),
            (false, true) => "Taken back.".to_owned(),
            (false, false) => "Revoked.".to_owned(),
        };
        match &self.suspension {
            Suspension::Done => line(&mut text, "suspended", &self.whose()),
            Suspension::Failed(why) => {
                line(&mut text, "NOT SUSPENDED", &self.whose());
                line(&mut text, "  because", why);
                line(
                    &mut text,
                    "  what to do",
                    &format!("with credentials that may write the table: latchkey suspend {}", self.who_flags()),
                );
            }
            Suspension::NotAsked | Suspension::Already | Suspension::Planned => {}
        }
        for role in &self.roles {
            match role.outcome {
                Outcome::Revoked => {
                    line(&mut text, "revoked", &format!("{}, before {}", role.role, self.revocation.issued_before_text()));
                    if let Some(doubt) = &role.doubt {
                        explained(&mut text, "  NOT KNOWN", doubt);
                    }
                }
                Outcome::Removed => line(&mut text, "taken back", role.role.as_str()),
                Outcome::Absent => line(&mut text, "nothing on", role.role.as_str()),
                Outcome::Failed | Outcome::Planned => {
                    line(&mut text, "FAILED", role.role.as_str());
                    if let Some(problem) = &role.problem {
                        explained(&mut text, "  because", problem);
                    }
                    line(&mut text, "  then", &self.again(&role.role));
                }
            }
            for policy_name in &role.dropped {
                line(&mut text, "  dropped", policy_name);
            }
        }
        for why in &self.unlogged {
            line(&mut text, "NOT WRITTEN DOWN", why);
        }
        if !self.undo && self.roles.iter().any(|role| role.outcome == Outcome::Revoked) {
            line(&mut text, "holds", "within seconds; IAM takes them to tell every region");
            if matches!(self.suspension, Suspension::Done | Suspension::Already) {
                line(&mut text, "let in again", &format!("latchkey resume {}: in new sessions alone", self.who_flags()));
            }
            line(&mut text, "undo", &format!("latchkey revoke --undo {}: what was cut lives again", self.who_flags()));
        }
        text
    }

    fn who_flags(&self) -> String {
        self.identity.as_ref().map_or_else(|| "--everyone".to_owned(), flags)
    }

    /// The command for one role. What was to be suspended is, or is not for a reason of the table's.
    fn again(&self, role: &RoleArn) -> String {
        let how = match (self.undo, &self.identity) {
            (true, _) => " --undo",
            (false, Some(_)) => " --no-suspend",
            (false, None) => "",
        };
        format!("latchkey revoke {}{how} --role-arn {role}", self.who_flags())
    }

    /// All of it, for scripts; `done` says in a word what came of it.
    pub(super) fn as_json(&self, done: &str) -> Value {
        let (suspension, suspension_problem) = match &self.suspension {
            Suspension::NotAsked => ("not_asked", None),
            Suspension::Already => ("already", None),
            Suspension::Planned => ("planned", None),
            Suspension::Done => ("suspended", None),
            Suspension::Failed(why) => ("failed", Some(why)),
        };
        let roles = self.roles.iter().map(|role| {
            json!({
                "role_arn": role.role.as_str(),
                "outcome": role.outcome.as_str(),
                "problem": role.problem.as_ref().map(|problem| &problem.why),
                "advice": role.problem.as_ref().or(role.doubt.as_ref()).and_then(|problem| problem.advice),
                "doubt": role.doubt.as_ref().map(|doubt| &doubt.why),
                "drops": role.drops,
                "dropped": role.dropped,
            })
        });
        json!({
            "action": if self.undo { "undo" } else { "revoke" },
            "issuer": self.identity.as_ref().map(|identity| identity.issuer.as_str()),
            "subject": self.identity.as_ref().map(|identity| identity.subject.as_str()),
            "source_identity": source_identity(&self.revocation.whose),
            "done": done,
            "suspension": suspension,
            "suspension_problem": suspension_problem,
            "policy_name": self.revocation.whose.policy_name(),
            "issued_before": if self.undo { Value::Null } else { self.revocation.issued_before_text().into() },
            "policy": if self.undo { Value::Null } else { self.revocation.document() },
            "roles": roles.collect::<Vec<_>>(),
            "unlogged": self.unlogged,
        })
    }
}

impl Outcome {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Planned => "planned",
            Self::Revoked => "revoked",
            Self::Removed => "removed",
            Self::Absent => "absent",
            Self::Failed => "failed",
        }
    }
}

/// The revocations on each role, for people.
pub(super) fn listed(looked: &[Looked], now: Timestamp) -> String {
    let mut text = String::new();
    for one in looked {
        if !text.is_empty() {
            text.push('\n');
        }
        text.push_str(one.role.as_str());
        if let Err(why) = &one.found {
            explained(&mut text, "NOT REACHED", why);
        } else if one.policies().is_empty() {
            line(&mut text, "nothing", "is revoked");
        }
        for found in one.policies() {
            match &found.revocation {
                Some(revocation) => {
                    let ended = if revocation.is_spent(now) { ", all of which have ended" } else { "" };
                    let whose = format!("{}: sessions opened before {}{ended}", named(&revocation.whose), revocation.issued_before_text());
                    line(&mut text, "revoked", &whose);
                }
                None => line(&mut text, "unknown", &format!("{} is not as this program writes it", found.policy_name)),
            }
        }
    }
    text
}

/// The revocations on each role.
pub(super) fn listed_as_json(looked: &[Looked], now: Timestamp) -> Value {
    let roles = looked.iter().map(|one| {
        let revocations = one.policies().iter().map(|found| {
            let state =
                found.revocation.as_ref().map_or("unknown", |revocation| if revocation.is_spent(now) { "spent" } else { "in_force" });
            json!({
                "policy_name": found.policy_name,
                "state": state,
                "everyone": found.revocation.as_ref().map(|revocation| revocation.whose == Whose::Everyone),
                "source_identity": found.revocation.as_ref().and_then(|revocation| source_identity(&revocation.whose)),
                "issued_before": found.revocation.as_ref().map(Revocation::issued_before_text),
            })
        });
        json!({
            "role_arn": one.role.as_str(),
            "problem": one.found.as_ref().err().map(|why| &why.why),
            "revocations": revocations.collect::<Vec<_>>(),
        })
    });
    json!({"roles": roles.collect::<Vec<_>>()})
}

fn source_identity(whose: &Whose) -> Option<&str> {
    match whose {
        Whose::One(source_identity) => Some(source_identity),
        Whose::Everyone => None,
    }
}

fn named(whose: &Whose) -> String {
    source_identity(whose).map_or_else(|| "everyone".to_owned(), |source_identity| format!("source identity {source_identity}"))
}

/// What is in the way, and what to do about it.
fn explained(text: &mut String, name: &str, problem: &Unreached) {
    line(text, name, &problem.why);
    if let Some(advice) = problem.advice {
        line(text, "  what to do", advice);
    }
}

fn line(text: &mut String, name: &str, value: &str) {
    let _ = write!(text, "\n  {name:<17} {}", printable(value));
}

#[cfg(test)]
mod tests {
    use latchkey_domain::identity::{IssuerId, Subject};

    use super::*;

    #[test]
    fn what_is_not_suspended_is_not_called_revoked() {
        let identity = Identity { issuer: IssuerId::new("okta").unwrap(), subject: Subject::new("00u1").unwrap() };
        let revocation = Revocation::up_to(Whose::of(&identity), Timestamp::from_unix_seconds(1_800_000_000));
        let role = RoleArn::new("arn:aws:iam::111122223333:role/latchkey-issuing").unwrap();
        let looked = [Looked { role, found: Ok(OnRole::default()), says_whose: SaysWhose::Always }];
        let mut report = Report::planned(false, revocation, &looked, Timestamp::from_unix_seconds(1_800_000_000));
        report.identity = Some(identity);
        report.roles[0].outcome = Outcome::Revoked;
        report.suspension = Suspension::Done;
        assert!(report.done().starts_with("Revoked.") && report.what_came_of_it() == "revoked");
        report.suspension = Suspension::Failed("DynamoDB: AccessDeniedException".to_owned());
        assert!(report.done().starts_with("NOT ALL OF IT IS DONE.\n  NOT SUSPENDED     okta 00u1"), "{}", report.done());
        assert!(report.has_failed() && report.what_came_of_it() == "not all");
        assert_eq!(report.as_json("not all")["suspension_problem"], "DynamoDB: AccessDeniedException");
        // Nor what cuts nothing, as far as anybody knows.
        report.suspension = Suspension::Done;
        let SaysWhose::NotKnown(doubt) = SaysWhose::of(Ok(None)) else { panic!("it is not known") };
        report.roles[0].doubt = Some(doubt);
        assert!(!report.is_done() && report.what_came_of_it() == "not known" && !report.done().contains("Revoked."), "{}", report.done());
    }
}
