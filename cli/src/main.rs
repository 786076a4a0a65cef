//! The `latchkey` command.

#![recursion_limit = "256"]

use std::process::ExitCode;

use clap::Parser as _;
use latchkey::advice;
use latchkey::args::Cli;
use latchkey::{commands, printable};

/// Exit codes: 0, 1 for refused, not found or failed, 2 for usage (clap's own, and what only the command can see).
#[expect(clippy::print_stderr, reason = "a command says on standard error why it failed")]
fn main() -> ExitCode {
    let cli = Cli::parse();
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(commands::run(cli)));
    match result {
        Ok(code) => code,
        Err(error) => {
            // It may have AWS's words in it, and what a file says.
            eprintln!("latchkey: {}", printable::lines(&format!("{error:#}")));
            if let Some(advice) = advice::what_to_do(&error) {
                eprintln!("what to do: {advice}");
            }
            if error.is::<commands::Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}
