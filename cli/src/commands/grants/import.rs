//! `latchkey grants import`: a file of grants into the table.
//!
//! The file is read and checked as a whole, then compared with the table as a whole, and only then, if every row is good, what
//! differs is written. So an import that broke off is gone on with by running it again: what is written already differs no longer.

mod plan;
mod write;

use std::fs::File;
use std::io::{self, BufReader, IsTerminal as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use latchkey_aws::grant_admin::GrantAdmin;
use serde_json::{Value, json};

use self::plan::{Difference, Plan};
use super::{filter, report};
use crate::args::ImportArgs;
use crate::aws;
use crate::change_log::ChangeLog;
use crate::commands::{Usage, confirmed, say};
use crate::grant_file::{Format, entries};
use crate::interrupt::Interrupt;
use crate::printable::printable;

/// How many differences people are shown; scripts get all of them.
const SHOWN: usize = 100;

pub(super) async fn run(args: &ImportArgs, json: bool) -> anyhow::Result<ExitCode> {
    let from_stdin = args.file == Path::new("-");
    let Some(format) = args.format.or_else(|| Format::of(&args.file)) else {
        return Err(Usage(format!("{}: the format is not known by that name; --format says it", args.file.display())).into());
    };
    let can_ask = !from_stdin && io::stdin().is_terminal();
    if !args.dry_run && !args.yes && !can_ask {
        return Err(Usage(
            "nothing is written: there is no terminal to ask on; --yes writes without asking, --dry-run only says what".into(),
        )
        .into());
    }
    let mut plan = Plan::new(args.shared, args.change.by.as_deref());
    if from_stdin {
        read(&mut plan, format, io::stdin().lock())?;
    } else {
        let file = File::open(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
        read(&mut plan, format, BufReader::with_capacity(64 * 1024, file))
            .with_context(|| format!("{} cannot be read", args.file.display()))?;
    }
    if plan.read == 0 {
        let name = if from_stdin { "standard input".to_owned() } else { args.file.display().to_string() };
        // Whoever made the file meant to have some in it: a list that came out empty is no success.
        bail!("{name} has no rows: nothing is written");
    }
    let table = aws::table(&args.table.table).await?;
    if let Err(error) = compare(&mut plan, &table).await {
        // What is wrong with the file is worth knowing even so.
        refuse(&plan, json);
        return Err(error);
    }
    plan.judge()?;
    if refuse(&plan, json) {
        return Ok(ExitCode::FAILURE);
    }
    show(&plan, args.dry_run, json)?;
    if args.dry_run || plan.differences() == 0 {
        let done = if args.dry_run { "dry run" } else { "unchanged" };
        report(
            json,
            &summary(&plan, done, 0),
            if args.dry_run { "nothing is written: this was a dry run" } else { "nothing is to be written" },
        );
        return Ok(ExitCode::SUCCESS);
    }
    if !args.yes && !confirmed(&format!("Write {}?", rows(plan.differences())))? {
        report(json, &summary(&plan, "refused", 0), "nothing is written");
        return Ok(ExitCode::FAILURE);
    }
    let log = ChangeLog::open("grants import", &args.change, &args.table.table)?;
    let bar = progress(plan.differences())?;
    let outcome = write::run(&plan, &table, args.change.by.as_deref(), &log, &bar, Interrupt::listen()?).await;
    bar.finish_and_clear();
    for (line, why) in &outcome.conflicts {
        report(json, &json!({"line": line, "done": "not written", "problem": why}), &format!("line {line}: not written: {why}"));
    }
    let done = if outcome.is_whole() { "imported" } else { "broken off" };
    let mut text = format!("{} of {} written", outcome.written, plan.differences());
    if !outcome.is_whole() {
        text.push_str("; run the import again to go on: what is written already is not written twice");
    }
    report(json, &summary(&plan, done, outcome.written), &text);
    match outcome.failure {
        Some(error) => Err(error),
        None if outcome.is_whole() => Ok(ExitCode::SUCCESS),
        None => Ok(ExitCode::FAILURE),
    }
}

fn read(plan: &mut Plan, format: Format, file: impl io::BufRead) -> anyhow::Result<()> {
    for entry in entries(format, file) {
        plan.add(entry?)?;
    }
    Ok(())
}

/// Compares with every row of the table, a page at a time.
async fn compare(plan: &mut Plan, table: &GrantAdmin) -> anyhow::Result<()> {
    let mut next = None;
    loop {
        let page = filter::page(table, next.as_ref()).await?;
        for row in &page.rows {
            plan.see(row)?;
        }
        next = page.next;
        if next.is_none() {
            return Ok(());
        }
    }
}

/// Says what is wrong with the file, if anything is.
fn refuse(plan: &Plan, json: bool) -> bool {
    if plan.bad.is_empty() {
        return false;
    }
    for (line, problem) in &plan.bad {
        report(json, &json!({"line": line, "done": "refused", "problem": problem}), &format!("line {line}: {}", printable(problem)));
    }
    let count = plan.bad.len();
    let are = if count == 1 { "is" } else { "are" };
    let text = format!("nothing is written: {count} of {} {are} bad", rows(plan.read));
    report(json, &json!({"done": "refused", "rows": plan.read, "bad": count, "written": 0}), &text);
    true
}

/// Says what an import changes.
fn show(plan: &Plan, all: bool, json: bool) -> anyhow::Result<()> {
    for (shown, row) in plan.different().enumerate() {
        let (record, attributes, gone) = (row.record()?, row.changed_attributes(), row.gone_attributes());
        if !json && !all && shown == SHOWN {
            say(format!("… and {} more; --dry-run shows all of them", plan.differences() - shown));
            break;
        }
        let (owner, target) = (record.owner(), record.target().map(|target| target.as_str()));
        let (sign, word) = if matches!(row.difference, Difference::Added) { ('+', "added") } else { ('~', "changed") };
        let mut text = format!("{sign} {} {} {}", owner.issuer(), owner, target.unwrap_or("(the subject)"));
        if !attributes.is_empty() {
            let named: Vec<String> =
                attributes.iter().map(|name| if gone.contains(name) { format!("{name} (goes)") } else { name.to_string() }).collect();
            text.push_str(&format!(": {}", named.join(", ")));
        }
        let value = json!({
            "line": row.line, "issuer": owner.issuer().as_str(), "subject": owner.subject(),
            "group": owner.group(), "target": target, "difference": word, "attributes": attributes, "gone": gone,
        });
        report(json, &value, &printable(&text));
    }
    let [added, changed, unchanged] = plan.counts();
    if !json {
        let read = rows(plan.read);
        say(format!("{added} added, {changed} changed, {unchanged} unchanged: {read} read; an import deletes no row"));
    }
    Ok(())
}

fn rows(count: usize) -> String {
    if count == 1 { "1 row".to_owned() } else { format!("{count} rows") }
}

fn summary(plan: &Plan, done: &str, written: usize) -> Value {
    let [added, changed, unchanged] = plan.counts();
    json!({"done": done, "rows": plan.read, "added": added, "changed": changed, "unchanged": unchanged, "written": written})
}

/// A bar for people; hidden where standard error is no terminal.
fn progress(rows: usize) -> anyhow::Result<ProgressBar> {
    let length = u64::try_from(rows).unwrap_or(u64::MAX);
    let style = ProgressStyle::with_template("{bar:40} {pos} of {len} written, {per_sec}, {eta} left")?;
    Ok(ProgressBar::with_draw_target(Some(length), ProgressDrawTarget::stderr()).with_style(style))
}
