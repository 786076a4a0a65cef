//! `latchkey event`: an event file with its tokens filled in.

use std::process::ExitCode;

use anyhow::Context as _;

use crate::args::EventArgs;
use crate::{event, output};

/// Writes the event to standard output, for a pipe: its tokens are secrets of the stand-in's, and good for an hour.
///
/// # Errors
/// The file cannot be read, or `latchkey dev` gives no token.
pub async fn run(args: EventArgs) -> anyhow::Result<ExitCode> {
    let text = std::fs::read_to_string(&args.file).with_context(|| format!("{} cannot be read", args.file.display()))?;
    // For a program, which gets the file as it is.
    let text = event::fill_in(&text, async |name| event::demo_token(&args.issuer, name).await).await?;
    output::write(format!("{text}\n").as_bytes());
    Ok(ExitCode::SUCCESS)
}
