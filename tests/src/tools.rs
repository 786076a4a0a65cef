//! Where the tools are that `tests/tools/install` puts in place.

use std::path::{Path, PathBuf};

/// The project's root.
pub fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The folder of the tools: `LATCHKEY_TOOLS`, else `target/tools`.
#[expect(clippy::disallowed_methods, reason = "tests are told where the tools are")]
pub fn tools() -> PathBuf {
    std::env::var_os("LATCHKEY_TOOLS").map_or_else(|| root().join("target/tools"), PathBuf::from)
}

/// A tool that must be there.
///
/// # Panics
/// When it is not, with what puts it there.
pub fn tool(path: &str) -> PathBuf {
    let tool = tools().join(path);
    assert!(tool.exists(), "{} is missing: run tests/tools/install, or the whole by `make test`", tool.display());
    tool
}

/// The function to run under the emulator: `LATCHKEY_BOOTSTRAP`, else the broker that cargo has built beside this test.
#[expect(clippy::disallowed_methods, reason = "tests are told which function to run")]
pub fn bootstrap() -> PathBuf {
    let bootstrap = std::env::var_os("LATCHKEY_BOOTSTRAP").map_or_else(|| binary("broker"), PathBuf::from);
    assert!(bootstrap.exists(), "{} is missing: build it with `cargo build -p broker`", bootstrap.display());
    bootstrap
}

/// The refresher to run under the emulator: `LATCHKEY_REFRESHER`, else the one that cargo has built beside this test.
#[expect(clippy::disallowed_methods, reason = "tests are told which function to run")]
pub fn refresher() -> PathBuf {
    let refresher = std::env::var_os("LATCHKEY_REFRESHER").map_or_else(|| binary("jwks-refresher"), PathBuf::from);
    assert!(refresher.exists(), "{} is missing: build it with `cargo build -p jwks-refresher`", refresher.display());
    refresher
}

/// Says that a test cannot be made here, and why: it is then counted as skipped (`tests/run`). It has to return after this.
///
/// # Panics
/// When nobody would hear of it.
#[expect(clippy::disallowed_methods, reason = "the test command says where it listens")]
pub fn skip(test: &str, reason: &str) {
    use std::io::Write as _;
    println!("{test} is skipped: {reason}");
    if let Some(path) = std::env::var_os("LATCHKEY_SKIPS") {
        let mut file = std::fs::OpenOptions::new().append(true).create(true).open(path).expect("the list of skipped tests can be written");
        writeln!(file, "{test}: {reason}").expect("the list of skipped tests can be written");
    }
}

/// A binary of the workspace, built in the profile of this test.
pub fn binary(name: &str) -> PathBuf {
    let test = std::env::current_exe().expect("a test knows its own path");
    let profile = test.parent().and_then(Path::parent).expect("a test lies in target/<profile>/deps");
    profile.join(name)
}
