//! What is left of a panic. A process has one hook, so this test has a process of its own.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod written;

use latchkey_telemetry::panics::tell_only_where;
use written::Written;

#[test]
fn a_panic_tells_where_and_not_what() {
    let written = Written::default();
    tell_only_where(written.clone());
    let secret = String::from("canary-é-canary");
    // Cut in the middle of a character: the message of this panic quotes the text.
    let cut = std::panic::catch_unwind(|| secret[..8].len());
    drop(std::panic::take_hook());
    assert!(cut.is_err());
    let text = written.text();
    assert!(text.starts_with("panicked at ") && text.ends_with('\n') && text.lines().count() == 1, "{text}");
    assert!(text.contains(file!()) && !text.contains("canary"), "{text}");
}
