//! Every `latchkey …` in the shell blocks of the documents is a command that there is, with options that it has.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

use std::path::{Path, PathBuf};
use std::process::Command;

/// The documents that an operator reads.
fn documents() -> Vec<PathBuf> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
    let docs = std::fs::read_dir(root.join("docs")).unwrap().map(|entry| entry.unwrap().path());
    let mut found: Vec<PathBuf> = docs.filter(|path| path.extension().is_some_and(|e| e == "md")).collect();
    found.push(root.join("README.md"));
    found.sort();
    found
}

/// The lines of a document's shell blocks, those that go on joined.
fn shell(text: &str) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let (mut within, mut goes_on) = (false, false);
    for line in text.lines() {
        let line = line.trim();
        if line.starts_with("```") {
            within = line == "```sh";
            goes_on = false;
        } else if within {
            let (part, more) = line.strip_suffix('\\').map_or((line, false), |part| (part, true));
            match lines.last_mut() {
                Some(last) if goes_on => last.push_str(part),
                _ => lines.push(part.to_owned()),
            }
            goes_on = more;
        }
    }
    lines
}

/// The commands of a line, each as its words: what stands between quotes is one, and `|`, `;`, `&` and `#` end a command.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let (mut quote, mut has_word) = (None, false);
    for c in line.chars().chain([';']) {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.push(c),
            None if c == '\'' || c == '"' => (quote, has_word) = (Some(c), true),
            None if c.is_whitespace() || "|;&()".contains(c) => {
                if has_word {
                    words.push(std::mem::take(&mut word));
                    has_word = false;
                }
                if !c.is_whitespace() {
                    commands.push(std::mem::take(&mut words));
                }
            }
            None if c == '#' && !has_word => break,
            None => {
                word.push(c);
                has_word = true;
            }
        }
    }
    commands.push(words);
    commands
}

/// What follows the name of the command line, however it is called.
fn arguments(words: &[String]) -> Option<&[String]> {
    let is_variable =
        |word: &String| word.split_once('=').is_some_and(|(name, _)| name.bytes().all(|b| b.is_ascii_uppercase() || b == b'_'));
    let words = &words[words.iter().take_while(|word| is_variable(word)).count()..];
    match words {
        [name, rest @ ..] if name == "latchkey" => Some(rest),
        [cargo, run, rest @ ..] if cargo == "cargo" && run == "run" => {
            let ours = rest.windows(2).any(|two| two[0] == "-p" && two[1] == "latchkey");
            rest.iter().position(|word| word == "--").filter(|_| ours).map(|at| &rest[at + 1..])
        }
        _ => None,
    }
}

/// Whether the command line takes these arguments. With `--help` behind them it does nothing, and still refuses what it does not know.
fn fault(arguments: &[String]) -> Option<String> {
    let done = Command::new(env!("CARGO_BIN_EXE_latchkey")).args(arguments).arg("--help").output().unwrap();
    (!done.status.success()).then(|| String::from_utf8_lossy(&done.stderr).into_owned())
}

#[test]
fn the_commands_in_the_documents_are_there() {
    let mut seen = 0;
    for document in documents() {
        for line in shell(&std::fs::read_to_string(&document).unwrap()) {
            for words in commands(&line) {
                if let Some(arguments) = arguments(&words) {
                    seen += 1;
                    assert_eq!(fault(arguments), None, "{}: {line}", document.display());
                }
            }
        }
    }
    assert!(seen > 20, "only {seen} commands are named: they are no longer found");
}

#[test]
fn one_that_is_not_there_is_noticed() {
    for line in [
        "latchkey nosuch",
        "latchkey grants look",
        "latchkey grants get --name x",
        "jq . x | latchkey explain --token x",
        "LATCHKEY_TABLE=t cargo run -q -p latchkey -- keys shew",
    ] {
        let found: Vec<_> = commands(line).iter().filter_map(|words| arguments(words).map(fault)).collect();
        assert!(matches!(found.as_slice(), [Some(_)]), "{line}: {found:?}");
    }
    let words = commands("A=1 latchkey grants put --note 'a | b' # and more");
    assert_eq!(arguments(&words[0]).unwrap(), ["grants", "put", "--note", "a | b"]);
    assert!(arguments(&commands("cargo run -p other -- nosuch")[0]).is_none());
}
