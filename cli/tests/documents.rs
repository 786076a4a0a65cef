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

/// The commands of a line, each as its words: what stands between quotes is one, and `|`, `;`, `&`, `>` and `#` end a command.
fn commands(line: &str) -> Vec<Vec<String>> {
    let (mut commands, mut words, mut word) = (Vec::new(), Vec::new(), String::new());
    let (mut quote, mut has_word) = (None, false);
    for c in line.chars().chain([';']) {
        match quote {
            Some(end) if c == end => quote = None,
            Some(_) => word.push(c),
            None if c == '\'' || c == '"' => (quote, has_word) = (Some(c), true),
            None if c.is_whitespace() || "|;&()".contains(c) || (c == '>' && !has_word) => {
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

/// Every command that does something, with its names.
fn leaves(command: &clap::Command, names: &[&str]) -> Vec<(Vec<String>, String)> {
    let names: Vec<&str> = names.iter().copied().chain([command.get_name()]).collect();
    let below: Vec<_> = command.get_subcommands().filter(|below| below.get_name() != "help").collect();
    if below.is_empty() {
        let help = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        return vec![(names.iter().skip(1).map(|&name| name.to_owned()).collect(), help)];
    }
    below.into_iter().flat_map(|below| leaves(below, &names)).collect()
}

#[test]
fn the_help_of_each_command_has_examples_that_are_its_own() {
    let cli = <latchkey::args::Cli as clap::CommandFactory>::command();
    for (names, help) in leaves(&cli, &[]) {
        let (_, examples) = help.split_once("Example").unwrap_or_else(|| panic!("{names:?} has no example"));
        let mut its_own = 0;
        for line in examples.replace("\\\n", " ").lines().filter(|line| line.starts_with("  ")) {
            for words in commands(line) {
                if let Some(arguments) = arguments(&words) {
                    assert_eq!(fault(arguments), None, "{names:?}: {line}");
                    its_own += usize::from(arguments.starts_with(&names));
                }
            }
        }
        assert!(its_own > 0, "{names:?}: no example is one of its own:{examples}");
    }
    let help = cli.get_after_help().unwrap().to_string();
    let named =
        help.lines().flat_map(commands).filter(|words| arguments(words).is_some_and(|arguments| fault(arguments).is_none())).count();
    assert_eq!(named, help.lines().filter(|line| line.trim_start().starts_with("latchkey ")).count());
    assert!(named > 4);
}

#[test]
fn each_shell_takes_its_completions() {
    let script = |shell: &str| {
        let done = Command::new(env!("CARGO_BIN_EXE_latchkey")).args(["completions", shell]).output().unwrap();
        assert!(done.status.success(), "{shell}");
        String::from_utf8(done.stdout).unwrap()
    };
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = script(shell);
        assert!(["grants", "import", "doctor", "dry-run"].iter().all(|word| script.contains(word)), "{shell}");
    }
    // As bash asks for what may follow these words.
    let complete = |words: &str| {
        let asked = format!(
            "{}\nCOMP_WORDS=({words}); COMP_CWORD=$((${{#COMP_WORDS[@]}} - 1))\n_latchkey latchkey \"${{COMP_WORDS[COMP_CWORD]}}\" \"${{COMP_WORDS[COMP_CWORD - 1]}}\"\n\
             printf '%s\\n' \"${{COMPREPLY[@]}}\"",
            script("bash")
        );
        let done = Command::new("bash").args(["--norc", "-c", &asked]).output().unwrap();
        let (out, err) = (String::from_utf8_lossy(&done.stdout).into_owned(), String::from_utf8_lossy(&done.stderr).into_owned());
        assert!(done.status.success() && err.is_empty(), "{words}: {err}");
        out.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(complete("latchkey gra"), ["grants"]);
    assert_eq!(complete("latchkey grants im"), ["import"]);
    assert_eq!(complete("latchkey demo --kind mlflow-"), ["mlflow-server", "mlflow-app"]);
    assert!(complete("latchkey grants import --").contains(&"--dry-run".to_owned()));
}

#[test]
fn there_is_a_page_of_the_manual_for_each_command() {
    let folder = tempfile::tempdir().unwrap();
    let pages = folder.path().join("man1");
    let done = Command::new(env!("CARGO_BIN_EXE_latchkey")).arg("man").arg(&pages).output().unwrap();
    assert!(done.status.success() && done.stderr.is_empty(), "{done:?}");
    let count = std::fs::read_dir(&pages).unwrap().count();
    assert_eq!(String::from_utf8_lossy(&done.stdout), format!("{count} pages are in {}\n", pages.display()));
    let done = Command::new(env!("CARGO_BIN_EXE_latchkey")).args(["man", "--json"]).arg(&pages).output().unwrap();
    let said: serde_json::Value = serde_json::from_slice(&done.stdout).unwrap();
    assert_eq!((&said["done"], &said["pages"], &said["folder"]), (&"written".into(), &count.into(), &pages.to_str().unwrap().into()));
    let cli = <latchkey::args::Cli as clap::CommandFactory>::command();
    for (names, _) in leaves(&cli, &["latchkey"]) {
        let name = format!("latchkey-{}", names[1..].join("-"));
        let page = std::fs::read_to_string(pages.join(format!("{name}.1"))).unwrap_or_else(|error| panic!("{name}: {error}"));
        for part in [".SH NAME", ".SH SYNOPSIS", ".SH OPTIONS", "Example"] {
            assert!(page.contains(part), "{name} has no {part}");
        }
    }
    assert!(pages.join("latchkey.1").exists());
    // Where it cannot be written, it says so.
    let done = Command::new(env!("CARGO_BIN_EXE_latchkey")).args(["man", "/dev/null/man1"]).output().unwrap();
    assert_eq!(done.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&done.stderr).starts_with("latchkey: the pages cannot be written to /dev/null/man1: "), "{done:?}");
}

/// Every user of a machine sees the arguments of its processes. A shell's own `printf` is none.
#[test]
fn no_document_gives_a_token_to_a_program_as_an_argument() {
    let mut checked = 0;
    for path in documents() {
        let text = std::fs::read_to_string(&path).unwrap();
        for line in shell(&text) {
            for command in commands(&line).iter().filter(|words| words.iter().any(|word| word.contains("Bearer "))) {
                assert_eq!(command[0], "printf", "{}: {line}", path.display());
                checked += 1;
            }
        }
    }
    assert!(checked >= 3, "{checked}");
}
