//! `latchkey revoke`: live sessions cut, and what has been cut shown and taken back.
//!
//! First it is found out what is to be done and to which roles, then that is shown, then asked about, then done: as much of it as can
//! be. Nothing that failed keeps the rest from being done, and the exit code says that not all of it was.

mod report;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use latchkey_aws::grant_admin::{Annotation, GrantAdmin, Row};
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_domain::group::TARGETS;
use latchkey_domain::identity::{Identity, IssuerId};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::RoleArn;
use latchkey_domain::subject::Standing;

use self::report::{Looked, Outcome, Report, RoleReport, SaysWhose, Suspension};
use super::grants::filter;
use super::{Usage, check_issuer, confirmed, say};
use crate::args::RevokeArgs;
use crate::change_log::{ChangeLog, PolicyChange};
use crate::grant_args::Owner;
use crate::issuing_roles::IssuingRoles;
use crate::revocation::{Revocation, Whose};
use crate::{aws, output};

/// How far ahead a revocation reaches where the subject is suspended: what the broker had decided before the suspension opens its
/// session a little after it. Nobody is kept out by it who is not anyway.
const LAUNCHES_UNDER_WAY_SECONDS: i64 = 60;

/// Does what the arguments say.
///
/// # Errors
/// What keeps it from being known what to do. What could not be done is in the report, and the exit code.
pub async fn run(args: RevokeArgs, json: bool) -> anyhow::Result<ExitCode> {
    if !args.list && !args.dry_run && !args.yes && !std::io::stdin().is_terminal() {
        return Err(Usage(
            "nothing is done: there is no terminal to ask on; --yes does it without asking, --dry-run only says what".into(),
        )
        .into());
    }
    let subject = args.subject();
    // What was done to the wrong one can be taken back.
    if let Some(identity) = subject.as_ref().filter(|_| !args.undo) {
        check_issuer(&identity.issuer)?;
    }
    let suspends = subject.is_some() && !args.undo && !args.no_suspend;
    if args.table.is_none() && (suspends || args.role_arn.is_empty()) {
        return Err(Usage(
            "--table (or LATCHKEY_TABLE) is missing: it names the roles and keeps the suspension. \
             --role-arn needs none where nobody is suspended (--no-suspend, --everyone, --undo, --list)"
                .into(),
        )
        .into());
    }
    let scope = args.session_scope.clone().or_else(|| set("LATCHKEY_SESSION_SCOPE").filter(|scope| scope == "role"));
    if subject.is_some() && !args.undo && scope.as_deref() == Some("role") {
        bail!(
            "with LATCHKEY_SESSION_SCOPE=role all users share one session, which names none of them: one user's cannot be cut. \
             Suspend the subject (latchkey suspend), then cut everyone's with --everyone"
        );
    }
    let deployment = aws::deployment().await?;
    let (clients, iam) = (&deployment.clients, deployment.iam());
    let table = args.table.as_deref().map(|name| GrantAdmin::new(clients.dynamodb_for_operators(), name));
    let found = match (&table, &subject) {
        (Some(table), Some(identity)) if suspends || args.role_arn.is_empty() => {
            let rows = table.list_subject(identity).await;
            let rows = rows.context("the table cannot be read; --role-arn with --no-suspend cuts sessions without it")?;
            let mut found = InTable::of(rows.iter());
            if args.role_arn.is_empty() {
                let looked = found.look_at_groups(table, &identity.issuer).await;
                looked.context("what groups were granted cannot be read, which may name a role; --role-arn names those that are meant")?;
            }
            found
        }
        (Some(table), None) if args.role_arn.is_empty() => InTable::of_everyone(table).await.context("the table cannot be read")?,
        _ => InTable::default(),
    };
    let roles = roles_meant(&args, &found)?;
    let iam = IssuingRoles::new(iam, clients).await;
    let mut looked = Vec::with_capacity(roles.len());
    let is_asked = subject.is_some() && !args.undo && !args.list && args.session_scope.is_none();
    for role in roles {
        let says_whose = if is_asked { SaysWhose::of(iam.says_whose(&role).await) } else { SaysWhose::NotAsked };
        let found = iam.look(&role).await;
        looked.push(Looked { role, found, says_whose });
    }
    refuse_what_would_cut_nothing(&looked)?;
    if args.list {
        let now = iam.now();
        say(if json { report::listed_as_json(&looked, now).to_string() } else { report::listed(&looked, now) });
        return Ok(code(looked.iter().all(|one| one.found.is_ok())));
    }
    let whose = subject.as_ref().map_or(Whose::Everyone, Whose::of);
    let suspension = match (suspends, found.standing) {
        (false, _) => Suspension::NotAsked,
        (true, Some(Standing::Suspended)) if !found.expires => Suspension::Already,
        (true, Some(Standing::Active | Standing::Malformed | Standing::Suspended) | None) => Suspension::Planned,
    };
    let grants = subject.as_ref().filter(|_| suspends || args.role_arn.is_empty()).map(|_| found.grants);
    let planned = Report::planned(args.undo, revocation(whose, suspends, &looked, iam.now()), &looked, iam.now());
    let report = Report { identity: subject, grants, suspension, ..planned };
    act(&args, json, report, table.as_ref(), &iam, &looked).await
}

/// Shows what is to be done, asks, does it, and shows what came of it.
async fn act(
    args: &RevokeArgs,
    json: bool,
    mut report: Report,
    table: Option<&GrantAdmin>,
    iam: &IssuingRoles,
    looked: &[Looked],
) -> anyhow::Result<ExitCode> {
    if args.dry_run {
        say(if json { report.as_json("dry run").to_string() } else { format!("{}\nnothing is done: this was a dry run", report.plan()) });
        return Ok(code(report.is_done() && !report.is_empty()));
    }
    if !json {
        say(report.plan());
    }
    // What is not there needs no answer.
    if !args.yes && !report.is_empty() {
        if json {
            output::tell(&report.plan());
        }
        if !confirmed(if args.undo { "Take it back?" } else { "Revoke?" })? {
            say(if json { report.as_json("refused").to_string() } else { "nothing is done".to_owned() });
            return Ok(ExitCode::FAILURE);
        }
    }
    let log = match &args.table {
        Some(table) => ChangeLog::open("revoke", &args.change, table)?,
        None => ChangeLog::open_without_table("revoke", &args.change)?,
    };
    if !args.undo {
        suspend(args, &mut report, table, &log).await;
        // As of now, and not of when the question was asked.
        let suspends = report.suspension != Suspension::NotAsked;
        report.revocation = revocation(report.revocation.whose.clone(), suspends, looked, iam.now());
    }
    let Report { identity, revocation, roles, unlogged, .. } = &mut report;
    let mut work = Work { iam, log: &log, identity: identity.as_ref(), revocation, unlogged };
    for (role, looked) in roles.iter_mut().zip(looked) {
        if args.undo { work.take_back(role, looked).await } else { work.cut(role, looked).await }
    }
    say(if json { report.as_json(report.what_came_of_it()).to_string() } else { report.done() });
    Ok(code(report.is_done() && !report.is_empty()))
}

/// Suspends the subject, where that is planned. First of all: whoever may open something would open it anew.
async fn suspend(args: &RevokeArgs, report: &mut Report, table: Option<&GrantAdmin>, log: &ChangeLog<'_>) {
    let (Suspension::Planned, Some(table), Some(identity)) = (&report.suspension, table, &report.identity) else { return };
    let at = SystemClock::new().now();
    let annotation = Annotation { by: args.change.by.clone(), ..Annotation::at(at) };
    report.suspension = match table.set_suspended(identity, true, &annotation).await {
        Ok(Some(change)) => {
            report
                .unlogged
                .extend(log.record(at, &Owner::Subject(identity.clone()), None, &change).err().map(|error| format!("{error:#}")));
            Suspension::Done
        }
        // Somebody else was faster.
        Ok(None) => Suspension::Already,
        Err(error) => Suspension::Failed(format!("{:#}", anyhow::Error::from(error))),
    };
}

/// The revocation as of now. One that is there already and reaches further is not shortened.
fn revocation(whose: Whose, suspends: bool, looked: &[Looked], now: Timestamp) -> Revocation {
    let ahead = if suspends { LAUNCHES_UNDER_WAY_SECONDS } else { 0 };
    let mut revocation = Revocation::up_to(whose, now.plus_seconds(ahead));
    for earlier in looked.iter().flat_map(Looked::revocations).filter(|earlier| earlier.whose == revocation.whose) {
        revocation.issued_before = revocation.issued_before.max(earlier.issued_before);
    }
    revocation
}

/// What is done to each role, and where it is written down.
struct Work<'a> {
    iam: &'a IssuingRoles,
    log: &'a ChangeLog<'a>,
    identity: Option<&'a Identity>,
    revocation: &'a Revocation,
    /// What could not be written down. It keeps nothing else from being done: sessions that go on are worse.
    unlogged: &'a mut Vec<String>,
}

impl Work<'_> {
    /// Writes the policy, also where the role could not be looked at: who may write may not be allowed to list. What has run out is
    /// deleted, since a role's inline policies have 10,240 characters together; afterwards, unless it is in the way.
    async fn cut(&mut self, report: &mut RoleReport, looked: &Looked) {
        let mut written = self.iam.put(&report.role, self.revocation).await;
        if written.as_ref().is_err_and(|why| why.is_full) && !report.drops.is_empty() {
            self.drop_spent(report, looked).await;
            written = self.iam.put(&report.role, self.revocation).await;
        }
        match written {
            Ok(aws_request_id) => {
                report.outcome = Outcome::Revoked;
                report.problem = None;
                let after = self.revocation.document();
                self.record(self.identity, looked, &self.revocation.whose.policy_name(), Some(&after), aws_request_id.as_deref());
                self.drop_spent(report, looked).await;
            }
            Err(why) => report.fail(why),
        }
    }

    async fn take_back(&mut self, report: &mut RoleReport, looked: &Looked) {
        if report.outcome == Outcome::Planned {
            let policy_name = self.revocation.whose.policy_name();
            match self.iam.delete(&report.role, &policy_name).await {
                Ok(Some(aws_request_id)) => {
                    report.outcome = Outcome::Removed;
                    self.record(self.identity, looked, &policy_name, None, aws_request_id.as_deref());
                }
                // Somebody else was faster.
                Ok(None) => report.outcome = Outcome::Absent,
                Err(why) => report.fail(why),
            }
        }
    }

    /// Deletes what refuses nothing any more, unless another operator has brought it up to date meanwhile. That one of them stays is
    /// worth no failure: the next revocation tries again.
    async fn drop_spent(&mut self, report: &mut RoleReport, looked: &Looked) {
        for policy_name in std::mem::take(&mut report.drops) {
            let Some(found) = looked.policies().iter().find(|found| found.policy_name == policy_name) else { continue };
            if self.iam.is_unchanged(&report.role, found).await.is_ok_and(|is_unchanged| is_unchanged)
                && let Ok(Some(aws_request_id)) = self.iam.delete(&report.role, &policy_name).await
            {
                // The command is about somebody else; whose it was, the document says.
                self.record(None, looked, &policy_name, None, aws_request_id.as_deref());
                report.dropped.push(policy_name);
            }
        }
    }

    fn record(
        &mut self,
        identity: Option<&Identity>,
        looked: &Looked,
        policy_name: &str,
        after: Option<&serde_json::Value>,
        aws_request_id: Option<&str>,
    ) {
        let there = looked.policies().iter().find(|found| found.policy_name == policy_name);
        let before = looked.found.is_ok().then(|| there.map(|found| &found.document));
        let change = PolicyChange { identity, role: &looked.role, policy_name, before, after, aws_request_id };
        self.unlogged.extend(self.log.record_policy(SystemClock::new().now(), change).err().map(|error| format!("{error:#}")));
    }
}

/// What the table says of those who are meant.
#[derive(Debug, Default)]
struct InTable {
    roles: BTreeSet<RoleArn>,
    grants: usize,
    /// The grants that name no role.
    without_role: usize,
    /// The subject's own, where it has a row; of everyone nobody's.
    standing: Option<Standing>,
    /// Whether DynamoDB deletes that row some day: then a suspension in it is none for good.
    expires: bool,
}

impl InTable {
    fn of<'a>(rows: impl Iterator<Item = &'a Row>) -> Self {
        let mut found = Self::default();
        rows.for_each(|row| found.take(row));
        found
    }

    /// Of every subject and every group, a page at a time.
    async fn of_everyone(table: &GrantAdmin) -> anyhow::Result<Self> {
        let mut found = Self::default();
        let mut next = None;
        loop {
            let page = filter::page(table, next.as_ref()).await?;
            page.rows.iter().for_each(|row| found.take(row));
            next = page.next;
            if next.is_none() {
                return Ok(found);
            }
        }
    }

    /// The roles that groups' grants name. Which groups a user is in the tokens say, and not the table: so those of all of the issuer's
    /// groups, as on a role that the user has no session of, the user's revocation refuses nobody anything.
    async fn look_at_groups(&mut self, table: &GrantAdmin, issuer: &IssuerId) -> anyhow::Result<()> {
        let mut next = None;
        loop {
            let page = filter::page(table, next.as_ref()).await?;
            let of_groups = page.rows.iter().filter(|row| row.group.as_ref().is_some_and(|whose| whose.issuer == *issuer));
            of_groups.for_each(|row| self.take_roles(row));
            next = page.next;
            if next.is_none() {
                return Ok(());
            }
        }
    }

    /// Also grants that do not open now: their sessions may still live.
    fn take(&mut self, row: &Row) {
        if let Some(standing) = row.standing() {
            self.standing = Some(standing);
            self.expires = row.is_subject_that_expires();
        }
        if row.target_name().is_some() {
            self.grants += 1;
        }
        self.take_roles(row);
    }

    fn take_roles(&mut self, row: &Row) {
        if row.target_name().is_some() {
            self.take_role(&row.item);
        } else if row.group.is_some()
            && let Some(Value::M(targets)) = row.item.get(TARGETS)
        {
            // A group's item that grants nothing as it stands. What it granted before may live.
            for grant in targets.values() {
                if let Value::M(grant) = grant {
                    self.take_role(grant);
                }
            }
        }
    }

    fn take_role(&mut self, grant: &Item) {
        match grant.get("role_arn") {
            Some(Value::S(arn)) => self.roles.extend(RoleArn::new(arn.clone()).ok()),
            Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_)) => {}
            None => self.without_role += 1,
        }
    }
}

/// The function alone knows its LATCHKEY_SESSION_SCOPE, and this machine's variables are not the function's. What the sessions are, the
/// trust of their role decides: with the scope user it opens none that does not say whose it is.
///
/// # Errors
/// Roles whose sessions need not say it.
fn refuse_what_would_cut_nothing(looked: &[Looked]) -> anyhow::Result<()> {
    let silent = looked.iter().filter(|one| one.says_whose == SaysWhose::NotAlways).map(|one| one.role.as_str());
    let silent: Vec<&str> = silent.collect();
    if silent.is_empty() {
        return Ok(());
    }
    bail!(
        "nothing is done: the trust of {} opens sessions that do not say whose they are, as with LATCHKEY_SESSION_SCOPE=role, and one \
         user's could not be told from the others'. Suspend the subject (latchkey suspend), then cut everyone's with --everyone. Where \
         the broker runs with the scope user all the same, --session-scope user cuts this user's",
        silent.join(", ")
    )
}

/// Which roles are meant.
///
/// # Errors
/// [`Usage`]: what is missing to know; or what is no role.
fn roles_meant(args: &RevokeArgs, found: &InTable) -> anyhow::Result<Vec<RoleArn>> {
    if !args.role_arn.is_empty() {
        return Ok(args.role_arn.iter().collect::<BTreeSet<_>>().into_iter().cloned().collect());
    }
    let default = set("LATCHKEY_ROLE_ARN").map(RoleArn::new).transpose().context("LATCHKEY_ROLE_ARN")?;
    if default.is_none() && found.without_role > 0 {
        return Err(Usage(
            "there are grants without a role, and LATCHKEY_ROLE_ARN is not set: set it as the broker has it, or name the role with \
             --role-arn. Sessions of the function's own role cannot be cut"
                .into(),
        )
        .into());
    }
    let mut roles = found.roles.clone();
    roles.extend(default);
    if roles.is_empty() {
        return Err(
            Usage("the table names no role: set LATCHKEY_ROLE_ARN as the broker has it, or name the role with --role-arn".into()).into()
        );
    }
    Ok(roles.into_iter().collect())
}

/// A variable that is set, and to something.
fn set(variable: &str) -> Option<String> {
    aws::environment_variable(variable).filter(|value| !value.is_empty())
}

const fn code(done: bool) -> ExitCode {
    if done { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

/// The identity as it is written on the command line.
fn flags(identity: &Identity) -> String {
    let subject = identity.subject.as_str();
    let is_plain = subject.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b));
    let subject = if is_plain { subject.to_owned() } else { format!("'{}'", subject.replace('\'', r"'\''")) };
    format!("--issuer {} --subject {subject}", identity.issuer)
}

#[cfg(test)]
mod tests {
    use latchkey_domain::identity::{IssuerId, Subject};

    use super::*;

    #[test]
    fn subjects_are_quoted_for_a_shell() {
        let shown = |subject: &str| flags(&Identity { issuer: IssuerId::new("a").unwrap(), subject: Subject::new(subject).unwrap() });
        assert_eq!(shown("00u1@x.example"), "--issuer a --subject 00u1@x.example");
        assert_eq!(shown("auth0|1"), "--issuer a --subject 'auth0|1'");
        assert_eq!(shown("o'neil $(x)"), r"--issuer a --subject 'o'\''neil $(x)'");
    }
}
