//! `latchkey completions` and `latchkey man`: what the command line says of itself, for shells and for `man`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;
use serde_json::json;

use super::report;
use crate::args::Cli;
use crate::output;

/// Writes the completions for a shell to standard output.
pub fn completions(shell: Shell) -> ExitCode {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "latchkey", &mut script);
    output::write(&script);
    ExitCode::SUCCESS
}

/// Writes a page for each command into a folder.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn man(folder: &Path, json: bool) -> anyhow::Result<ExitCode> {
    let writing = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)
    };
    writing().with_context(|| format!("the pages cannot be written to {}", folder.display()))?;
    let (pages, folder) = (pages(&Cli::command().disable_help_subcommand(true)), folder.display().to_string());
    report(json, &json!({"done": "written", "pages": pages, "folder": folder}), &format!("{pages} pages are in {folder}"));
    Ok(ExitCode::SUCCESS)
}

/// How many pages there are: one for each command, and for what it is part of.
fn pages(command: &clap::Command) -> usize {
    1 + command.get_subcommands().filter(|below| !below.is_hide_set()).map(pages).sum::<usize>()
}
