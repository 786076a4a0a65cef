//! What a command writes for whoever has called it: to standard output, and beside that to standard error.
//!
//! No command looks whether it could be written: what went wrong is kept, and [`end`] makes the exit code of it. A command whose answer
//! nobody has got has not succeeded, even where it has done what it was told.

use std::io::{self, ErrorKind, Write};
use std::process::ExitCode;
use std::sync::OnceLock;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::printable;
use crate::redact::redacted;

/// Why standard output cannot be written.
static OUTPUT: OnceLock<io::Error> = OnceLock::new();
/// Whether standard error could not be written.
static BESIDE: AtomicBool = AtomicBool::new(false);
/// Whether anything has been changed.
static CHANGED: AtomicBool = AtomicBool::new(false);

/// Writes a line, or several, to standard output, with nothing in it that a terminal would obey.
pub fn say(text: &str) {
    write(format!("{}\n", printable::lines(text)).as_bytes());
}

/// Writes to standard output, as it is: what is no text for people.
pub fn write(bytes: &[u8]) {
    let mut output = io::stdout().lock();
    note(output.write_all(bytes).and_then(|()| output.flush()));
}

/// Takes note of how writing to standard output went. A reader that has gone away (`latchkey … | head`) has what it wanted.
pub fn note(written: io::Result<()>) {
    if let Err(error) = written
        && error.kind() != ErrorKind::BrokenPipe
    {
        let _ = OUTPUT.set(error);
    }
}

/// Says something beside the output, on standard error: no secret with it, and nothing that a terminal would obey. It may have AWS's
/// words in it, and what a file says.
pub fn tell(text: &str) {
    if writeln!(io::stderr(), "{}", printable::lines(&redacted(text))).is_err() {
        BESIDE.store(true, Ordering::Relaxed);
    }
}

/// Takes note that something has been changed: that its answer is lost takes nothing back.
pub fn changed() {
    CHANGED.store(true, Ordering::Relaxed);
}

/// The exit code of a command that ended with this one.
pub fn end(code: ExitCode) -> ExitCode {
    if let Some(error) = OUTPUT.get() {
        let change = if CHANGED.load(Ordering::Relaxed) { "; the change is made" } else { "" };
        tell(&format!("latchkey: standard output: {error}{change}"));
        return ExitCode::FAILURE;
    }
    if code == ExitCode::SUCCESS && BESIDE.load(Ordering::Relaxed) { ExitCode::FAILURE } else { code }
}
