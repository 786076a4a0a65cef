//! One module for each command.

pub mod demo;
pub mod dev;
pub mod event;
pub mod grants;
pub mod keys;

use std::process::ExitCode;

use crate::args::{Cli, Command};

/// Runs a command.
///
/// # Errors
/// What kept it from being done, for standard error.
pub async fn run(cli: Cli) -> anyhow::Result<ExitCode> {
    match cli.command {
        Command::Dev(args) => dev::run(args, cli.json).await,
        Command::Demo(args) => demo::run(args, cli.json).await,
        Command::Grants(command) => grants::run(command, cli.json).await,
        Command::Keys(command) => keys::run(command, cli.json).await,
        Command::Event(args) => event::run(args).await,
    }
}

/// Writes a line to standard output. A reader that has gone away (`latchkey … | head`) is not an error.
fn say(line: impl AsRef<str>) {
    use std::io::Write as _;
    let _ = writeln!(std::io::stdout(), "{}", line.as_ref());
}
