//! `latchkey completions` and `latchkey man`: what the command line says of itself, for shells and for `man`.

use std::io::Write as _;
use std::path::Path;
use std::process::ExitCode;

use anyhow::Context as _;
use clap::CommandFactory as _;
use clap_complete::Shell;

use crate::args::Cli;

/// Writes the completions for a shell to standard output.
///
/// # Errors
/// Standard output cannot be written to.
pub fn completions(shell: Shell) -> anyhow::Result<ExitCode> {
    let mut script = Vec::new();
    clap_complete::generate(shell, &mut Cli::command(), "latchkey", &mut script);
    match std::io::stdout().write_all(&script) {
        // A reader that has gone away has read enough.
        Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => Err(error.into()),
        Ok(()) | Err(_) => Ok(ExitCode::SUCCESS),
    }
}

/// Writes a page for each command into a folder.
///
/// # Errors
/// The folder cannot be made or written to.
pub fn man(folder: &Path) -> anyhow::Result<ExitCode> {
    let writing = || {
        std::fs::create_dir_all(folder)?;
        clap_mangen::generate_to(Cli::command().disable_help_subcommand(true), folder)
    };
    writing().with_context(|| format!("the pages cannot be written to {}", folder.display()))?;
    Ok(ExitCode::SUCCESS)
}
