//! Panics: where, and not what.

use std::io::Write;
use std::panic;
use std::sync::{Mutex, PoisonError};

/// From now on a panic writes one line to `out`: the place in the code, and nothing of what it says.
///
/// What it says may hold anything. A text that is cut in the middle of a character is quoted whole, for one: it might be a token.
pub fn tell_only_where(out: impl Write + Send + 'static) {
    let out = Mutex::new(out);
    panic::set_hook(Box::new(move |panic| {
        let mut out = out.lock().unwrap_or_else(PoisonError::into_inner);
        // A line that cannot be written has nobody to be told to.
        let _ = match panic.location() {
            Some(place) => writeln!(out, "panicked at {place}"),
            None => writeln!(out, "panicked"),
        };
    }));
}
