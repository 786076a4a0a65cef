//! The `latchkey` command.

#![recursion_limit = "256"]

use std::io::Write as _;
use std::process::ExitCode;

use clap::Parser as _;
use latchkey::args::Cli;
use latchkey::redact::redacted;
use latchkey::{advice, commands, output};
use serde_json::json;

/// Exit codes: 0, 1 for refused, not found or failed, 2 for usage (clap's own, and what only the command can see).
fn main() -> ExitCode {
    let code = match Cli::try_parse() {
        Ok(cli) => run(cli),
        Err(error) => explained(&error),
    };
    output::end(code)
}

fn run(cli: Cli) -> ExitCode {
    let (json, is_data) = (cli.json, cli.command.writes_data());
    let result = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()
        .map_err(Into::into)
        .and_then(|runtime| runtime.block_on(commands::run(cli)));
    let error = match result {
        Ok(code) => return code,
        Err(error) => error,
    };
    let problem = format!("{error:#}");
    let advice = advice::what_to_do(&error);
    output::tell(&format!("latchkey: {problem}"));
    if let Some(advice) = &advice {
        output::tell(&format!("what to do: {advice}"));
    }
    hint();
    if commands::is_usage(&error) {
        return ExitCode::from(2);
    }
    if json {
        let failed = json!({"done": "failed", "problem": redacted(&problem), "what_to_do": advice}).to_string();
        // What takes the output for a file of rows must not take this for one.
        if is_data { output::tell(&failed) } else { output::say(&failed) }
    }
    ExitCode::FAILURE
}

/// Prints what clap says: help, or what is wrong with the command line.
fn explained(error: &clap::Error) -> ExitCode {
    if !error.use_stderr() {
        output::note(error.print().and_then(|()| std::io::stdout().flush()));
        return ExitCode::SUCCESS;
    }
    let text = error.to_string();
    if redacted(&text) == text {
        // In its colours.
        let _ = error.print();
    } else {
        output::tell(text.trim_end());
    }
    hint();
    ExitCode::from(2)
}

/// What to do for whoever has given a token as an argument.
fn hint() {
    let is_secret = |argument: std::ffi::OsString| {
        let argument = argument.to_string_lossy();
        redacted(&argument) != argument
    };
    if std::env::args_os().skip(1).any(is_secret) {
        output::tell(
            "what to do: a token comes through standard input, as in `pbpaste | latchkey explain`; the one that was typed is in the \
             shell's history now",
        );
    }
}
