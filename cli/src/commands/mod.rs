//! One module for each command.

pub mod demo;
pub mod dev;
pub mod doctor;
pub mod event;
pub mod explain;
pub mod grants;
pub mod keys;
pub mod reference;
pub mod revoke;
pub mod suspend;

use std::io::Read as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use latchkey_aws::environment::EnvironmentError;
use latchkey_domain::identity::IssuerId;
use latchkey_oidc::config::parse_issuers;

use crate::args::{Cli, Command, IssuersArgs};
use crate::{aws, output};

/// Runs a command.
///
/// # Errors
/// What kept it from being done, for standard error.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Dev(args) => dev::run(args, cli.json).await,
        Command::Demo(args) => demo::run(args, cli.json).await,
        Command::Grants(command) => grants::run(command, cli.json).await,
        Command::Suspend(args) => suspend::run(&args, true, cli.json).await,
        Command::Resume(args) => suspend::run(&args, false, cli.json).await,
        Command::Keys(command) => keys::run(command, cli.json).await,
        Command::Event(args) => event::run(args).await,
        Command::Explain(args) => explain::run(*args, cli.json).await,
        Command::Doctor(args) => doctor::run(args, cli.json).await,
        Command::Completions { shell } => Ok(reference::completions(shell)),
        Command::Man { folder } => reference::man(&folder, cli.json),
        Command::Revoke(mut args) => {
            // An empty variable names no table, and what needs none must not fail for it.
            args.table = args.table.filter(|table| !table.is_empty());
            revoke::run(*args, cli.json).await
        }
    }
}

/// A command line that cannot be used, for a reason that only the command itself sees. The exit code is 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl std::fmt::Display for Usage {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Whether an error is of usage: the command line's, or of an environment that lacks what every command needs.
pub fn is_usage(error: &anyhow::Error) -> bool {
    let is_region = |cause: &EnvironmentError| cause.variable == "AWS_REGION";
    error.is::<Usage>() || error.chain().any(|cause| cause.downcast_ref().is_some_and(is_region))
}

/// Says what was done: as JSON for scripts, as text for people.
fn report(json: bool, value: &serde_json::Value, text: &str) {
    if json {
        say(value.to_string());
    } else {
        say(text);
    }
}

/// Writes a line, or JSON, to standard output, with nothing in it that a terminal would obey.
fn say(line: impl AsRef<str>) {
    output::say(line.as_ref());
}

/// The JSON array of issuers, from where the arguments say.
fn read_issuers_text(arguments: &IssuersArgs) -> anyhow::Result<String> {
    Ok(match (&arguments.issuers_file, &arguments.issuers) {
        (Some(file), _) if file == Path::new("-") => {
            let mut text = String::new();
            std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
            text
        }
        (Some(file), _) => std::fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?,
        (None, Some(text)) if !text.trim().is_empty() => text.clone(),
        (None, _) => return Err(Usage("LATCHKEY_ISSUERS (or --issuers) is empty: it is the JSON array of issuers".to_owned()).into()),
    })
}

/// That an issuer is one of those that are configured, where LATCHKEY_ISSUERS says which there are. Under an id that is none of theirs
/// nobody ever asks, and whoever was meant goes on.
fn check_issuer(issuer: &IssuerId) -> anyhow::Result<()> {
    let Some(text) = aws::environment_variable("LATCHKEY_ISSUERS").filter(|text| !text.is_empty()) else { return Ok(()) };
    let issuers = parse_issuers(&text).context("LATCHKEY_ISSUERS says which issuers there are, and cannot be used")?;
    if issuers.iter().any(|one| one.id == *issuer) {
        return Ok(());
    }
    let ids: Vec<&str> = issuers.iter().map(|one| one.id.as_str()).collect();
    bail!(
        "nothing is done: there is no issuer {issuer} in LATCHKEY_ISSUERS, which has {}. Where it is one that was, unset the variable",
        ids.join(", ")
    )
}

/// Asks on the terminal. What is not yes is no.
fn confirmed(question: &str) -> anyhow::Result<bool> {
    use std::io::Write as _;
    // Standard output may be a pipe; the question is for the person.
    write!(std::io::stderr(), "{question} [y/N] ")?;
    std::io::stderr().flush()?;
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}
