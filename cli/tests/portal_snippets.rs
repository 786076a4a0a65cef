//! The portals of docs/portal-integration.md, as they stand there, run: against `latchkey dev`, and against answers to order.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test that cannot go on fails")]

mod support;

use std::collections::BTreeMap;
use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_tests::process::{Process, free_port};
use latchkey_tests::tools::{root, skip, tools};
use serde_json::{Value, json};

use self::support::{Dev, PATIENCE, run};

// --- The document ---------------------------------------------------------------------------------------------------------

fn document() -> String {
    std::fs::read_to_string(root().join("docs/portal-integration.md")).unwrap()
}

/// The first block of a language under a heading.
fn block(heading: &str, language: &str) -> String {
    let document = document();
    let (_, section) = document.split_once(&format!("\n{heading}\n")).unwrap_or_else(|| panic!("there is no {heading}"));
    let (_, block) = section.split_once(&format!("\n```{language}\n")).unwrap_or_else(|| panic!("{heading} has no {language}"));
    block.split_once("\n```").unwrap().0.to_owned() + "\n"
}

/// The table of refusals: code, status, and what the portal says.
fn table() -> Vec<(String, u16, String)> {
    let document = document();
    let rows = document.lines().filter_map(|line| line.strip_prefix("| `")).map(|row| row.split(" | ").collect::<Vec<_>>());
    let rows = rows.filter(|cells| cells.len() == 4 && cells[1].parse::<u16>().is_ok());
    let rows: Vec<_> = rows
        .map(|cells| (cells[0].trim_matches('`').to_owned(), cells[1].parse().unwrap(), cells[2].trim_matches('"').to_owned()))
        .collect();
    assert_eq!(rows.len(), 13, "each code has a row");
    rows
}

fn said_of(code: &str) -> String {
    table().into_iter().find(|(known, ..)| known == code).unwrap().2
}

// --- The toolchains -------------------------------------------------------------------------------------------------------

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Language {
    Curl,
    Python,
    TypeScript,
    Java,
    CSharp,
}

/// What a program says of itself, where there is one.
fn asked(program: &Path, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok().filter(|output| output.status.success())?;
    String::from_utf8(output.stdout).ok()
}

/// The first number with a dot in it, major and minor.
fn version(said: &str) -> (u32, u32) {
    let word = said.split_whitespace().map(|word| word.trim_start_matches('v')).find(|word| word.starts_with(|c: char| c.is_ascii_digit()));
    let mut parts = word.unwrap_or_default().split(['.', '-', '+']).map(|part| part.parse().unwrap_or(0));
    (parts.next().unwrap_or(0), parts.next().unwrap_or(0))
}

/// One of the tests' tools, else whatever is on the path.
fn tool_or(ours: &str, name: &str) -> PathBuf {
    let ours = tools().join(ours);
    if ours.exists() { std::path::absolute(ours).unwrap() } else { name.into() }
}

/// A program and its first arguments.
type Program = (PathBuf, &'static [&'static str]);

impl Language {
    fn source(self) -> (String, &'static str) {
        match self {
            Self::Curl => (block("### curl", "sh"), "portal.sh"),
            Self::Python => (block("### Python", "python"), "portal.py"),
            Self::TypeScript => (block("### TypeScript", "ts"), "portal.mts"),
            Self::Java => (block("### Java", "java"), "Portal.java"),
            Self::CSharp => (block("### C#", "csharp"), "portal.cs"),
        }
    }

    /// The program that runs it and its first arguments, or why there is none.
    fn toolchain(self) -> Result<Program, String> {
        let new_enough = |name: &str, program: &Path, wanted: (u32, u32)| {
            let (major, minor) = wanted;
            match asked(program, &["--version"]).map(|said| version(&said)) {
                None => Err(format!("there is no {name}")),
                Some(found) if found < wanted => Err(format!("{name} {}.{} is older than {major}.{minor}", found.0, found.1)),
                Some(_) => Ok(()),
            }
        };
        match self {
            Self::Curl => {
                new_enough("curl", Path::new("curl"), (7, 84))?;
                asked(Path::new("jq"), &["--version"]).ok_or("there is no jq")?;
                Ok(("sh".into(), &[]))
            }
            Self::Python => {
                let python = tool_or("python/bin/python", "python3");
                new_enough("Python", &python, (3, 9))?;
                Ok((python, &[]))
            }
            Self::TypeScript => {
                let node = tool_or("bin/node", "node");
                new_enough("Node", &node, (22, 18))?;
                Ok((node, &[]))
            }
            Self::Java => {
                new_enough("Java", Path::new("java"), (17, 0))?;
                let modules = asked(Path::new("java"), &["--list-modules"]).unwrap_or_default();
                let is_jdk = ["jdk.compiler", "jdk.httpserver", "java.net.http"].iter().all(|module| modules.contains(module));
                // Small machines: a portal of a hundred lines wants no server's heap.
                if is_jdk {
                    Ok(("java".into(), &["-Xmx64m", "-XX:TieredStopAtLevel=1"]))
                } else {
                    Err("this Java has no compiler".to_owned())
                }
            }
            Self::CSharp => {
                new_enough("dotnet", Path::new("dotnet"), (10, 0))?;
                Ok(("dotnet".into(), &["run"]))
            }
        }
    }
}

// --- A portal that runs ---------------------------------------------------------------------------------------------------

/// What the browser gets.
struct Answer {
    status: u16,
    headers: BTreeMap<String, String>,
    body: String,
    /// What the portal has written for it.
    log: String,
}

/// Reads an answer's head and body, where the first line has the status.
fn answer(text: &str, log: String) -> Answer {
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer; the portal has written: {log}"));
    let mut lines = head.lines();
    let status = lines.next().unwrap().split_whitespace().nth(1).unwrap().parse().unwrap();
    let headers = lines.map(|line| line.split_once(':').unwrap()).map(|(name, value)| (name.to_lowercase(), value.trim().to_owned()));
    Answer { status, headers: headers.collect(), body: body.to_owned(), log }
}

struct Portal {
    language: Language,
    program: Program,
    folder: tempfile::TempDir,
    environment: Vec<(&'static str, String)>,
    /// All but the CGI script are servers.
    server: Option<(Process, u16)>,
}

impl Portal {
    fn start(language: Language, program: &Program, api: &str, token: &str) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let (source, name) = language.source();
        std::fs::write(folder.path().join(name), source).unwrap();
        let port = free_port();
        let environment = vec![("API_URL", api.to_owned()), ("ACCESS_TOKEN", token.to_owned()), ("PORT", port.to_string())];
        let mut portal = Self { language, program: program.clone(), folder, environment, server: None };
        if language != Language::Curl {
            let mut process = Process::start(&mut portal.command());
            process.wait_for_port(port, Duration::from_secs(120));
            portal.server = Some((process, port));
        }
        portal
    }

    fn command(&self) -> Command {
        let (program, arguments) = &self.program;
        let mut command = Command::new(program);
        command.args(*arguments).arg(self.folder.path().join(self.language.source().1));
        command.current_dir(self.folder.path()).envs(self.environment.iter().cloned());
        command
    }

    /// A click on a button of the portal's page.
    fn click(&self, form: &str, site: &str) -> Answer {
        let Some((process, port)) = &self.server else { return self.click_on_script(form, site) };
        let before = process.output().lines().len();
        let text = exchange(
            *port,
            &format!(
                "POST /open HTTP/1.0\r\nHost: 127.0.0.1:{port}\r\nSec-Fetch-Site: {site}\r\n\
                 Content-Type: application/x-www-form-urlencoded\r\nContent-Length: {}\r\n\r\n{form}",
                form.len()
            ),
        );
        if site == "same-origin" {
            process.output().wait(before, PATIENCE, |line| line.contains("\"launch\"").then_some(()));
        }
        answer(&text, process.output().lines()[before..].join("\n"))
    }

    fn click_on_script(&self, form: &str, site: &str) -> Answer {
        let cgi = [("REQUEST_METHOD", "POST"), ("HTTP_SEC_FETCH_SITE", site)];
        let mut child = self.command().envs(cgi).stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        child.stdin.take().unwrap().write_all(form.as_bytes()).unwrap();
        let output = child.wait_with_output().unwrap();
        let log = String::from_utf8(output.stderr).unwrap();
        assert!(output.status.success(), "the script fails: {log}");
        answer(&String::from_utf8(output.stdout).unwrap(), log)
    }
}

fn now() -> Timestamp {
    SystemClock::new().now()
}

/// Sends a request and reads to the end. By HTTP/1.0 an answer comes in one piece.
fn exchange(port: u16, request: &str) -> String {
    let mut stream = TcpStream::connect(("127.0.0.1", port)).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    stream.write_all(request.as_bytes()).unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    text
}

// --- Against `latchkey dev` -----------------------------------------------------------------------------------------------

fn api(dev: &Dev) -> String {
    dev.printed("http://127.0.0.1").split_whitespace().next().unwrap().to_owned()
}

fn token(dev: &Dev, user: &str) -> String {
    let line = dev.printed("TOKEN=").replace("user=alice", &format!("user={user}"));
    let (code, out, _) = run(Command::new("sh").args(["-euc", &format!("{line}\nprintf %s \"$TOKEN\"")]));
    assert_eq!(code, 0);
    out
}

/// The audit records of a user's.
fn records(dev: &Dev, subject: &str) -> Vec<Value> {
    let lines = dev.process.output().lines();
    let records = lines.iter().filter(|line| line.starts_with('{')).map(|line| serde_json::from_str::<Value>(line).unwrap());
    records.filter(|record| record["event"] == "latchkey.decision" && record["subject"] == subject).collect()
}

#[track_caller]
fn assert_for_a_browser(answer: &Answer) {
    assert_eq!(answer.headers.get("cache-control").map(String::as_str), Some("no-store"));
    assert_eq!(answer.headers.get("referrer-policy").map(String::as_str), Some("no-referrer"));
}

/// Nothing in the log, nor in the page, that lets anybody in. What is found is not shown.
#[track_caller]
fn assert_no_secret(answer: &Answer, token: &str) {
    let signature = token.rsplit('.').next().unwrap();
    for text in [&answer.log, &answer.body] {
        for secret in ["eyJ", signature, "sagemaker.localhost", "sagemaker.aws", "oken="] {
            assert!(!text.contains(secret), "a token or a URL is in what the portal has written");
        }
    }
}

fn check_with_dev(language: Language, program: &Program) {
    let dev = Dev::start(&[]);
    let (api, alice, carol) = (api(&dev), token(&dev, "alice"), token(&dev, "carol"));

    let portal = Portal::start(language, program, &api, &alice);
    let opened = portal.click("target=research", "same-origin");
    assert_eq!((opened.status, opened.body.as_str()), (303, ""), "{}", opened.log);
    assert_for_a_browser(&opened);
    assert_no_secret(&opened, &alice);
    let line: Value = serde_json::from_str(opened.log.lines().last().unwrap()).unwrap();
    assert_eq!((&line["event"], &line["code"]), (&json!("launch"), &json!("ok")));
    let id = line["request_id"].as_str().unwrap();
    let record =
        dev.process.output().wait(0, PATIENCE, |line| (line.contains("latchkey.decision") && line.contains(id)).then(|| line.to_owned()));
    let record: Value = serde_json::from_str(&record).unwrap();
    assert_eq!((&record["decision"], &record["subject"], &record["target"]), (&json!("allow"), &json!("demo-alice"), &json!("research")));
    // The browser goes on, and is where alice belongs.
    let location = &opened.headers["location"];
    let (host, path) = location.strip_prefix("http://").unwrap().split_once('/').unwrap();
    let port = host.rsplit(':').next().unwrap().parse().unwrap();
    let page = exchange(port, &format!("GET /{path} HTTP/1.0\r\nHost: {host}\r\nAccept: application/json\r\n\r\n"));
    assert!(page.split(' ').nth(1) == Some("200") && page.contains(r#""user_profile_name":"alice""#), "{location:.40}… does not open");

    // A page of somebody else's gets nobody anywhere, and asks for nothing.
    let asked = records(&dev, "demo-alice").len();
    let foreign = portal.click("target=research", "cross-site");
    assert_eq!((foreign.status, foreign.headers.get("location")), (403, None));
    // A name that is none is the broker's to refuse, or the portal's own: in any case nothing else is opened in its place.
    let wrong = portal.click("target=..%2Fother", "same-origin");
    assert_eq!((wrong.status, wrong.headers.get("location")), (400, None));
    assert!(wrong.body.starts_with(&said_of("invalid-request")), "{}", wrong.body);
    let allowed = records(&dev, "demo-alice").iter().filter(|record| record["decision"] == "allow").count();
    assert_eq!(allowed, asked);
    drop(portal);

    let portal = Portal::start(language, program, &api, &carol);
    let refused = portal.click("target=research", "same-origin");
    assert_eq!((refused.status, refused.headers.get("location")), (403, None));
    assert_for_a_browser(&refused);
    assert_no_secret(&refused, &carol);
    let said = refused.body.trim_end();
    let id = said.strip_prefix(&format!("{} Request ", said_of("not-entitled"))).and_then(|rest| rest.strip_suffix('.'));
    let id = id.unwrap_or_else(|| panic!("{said}"));
    assert!(refused.log.contains(id) && !said.contains("suspended"));
    // Records come through a pipe, each after those before it: where the one of this answer is, all of them are.
    dev.process.output().wait(0, PATIENCE, |line| (line.contains("latchkey.decision") && line.contains(id)).then_some(()));
    assert_eq!(records(&dev, "demo-carol").len(), 1, "a refusal is not tried again");
}

// --- Against answers to order ---------------------------------------------------------------------------------------------

/// What is answered to a request.
#[derive(Clone)]
enum Reply {
    /// A URL, as JSON or as a redirect, by what is accepted.
    Url,
    /// This, whatever was asked.
    Text(String),
    /// The connection is closed.
    Nothing,
    /// The connection stays open, and nothing comes.
    Silence,
}

/// As latchkey answers, or something between.
struct StandIn {
    port: u16,
    replies: Arc<Mutex<Vec<Reply>>>,
    seen: Arc<Mutex<Vec<(String, String)>>>,
}

const URL: &str = "https://d-abcdefghijkl.studio.eu-central-1.sagemaker.aws/auth?token=CANARY";

impl StandIn {
    fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let stand_in = Self { port: listener.local_addr().unwrap().port(), replies: Arc::default(), seen: Arc::default() };
        let (replies, seen) = (Arc::clone(&stand_in.replies), Arc::clone(&stand_in.seen));
        std::thread::spawn(move || {
            let mut silent = Vec::new();
            for stream in listener.incoming().map_while(Result::ok) {
                let mut reader = BufReader::new(stream);
                let Some((head, body)) = request(&mut reader) else { continue };
                let wants_page = head.to_lowercase().contains("\r\naccept: text/html");
                seen.lock().unwrap().push((head, body));
                let reply = replies.lock().unwrap().pop().unwrap_or(Reply::Text(problem(500, "internal", "", "")));
                let text = match reply {
                    Reply::Url if wants_page => format!(
                        "HTTP/1.1 303 See Other\r\nLocation: {URL}\r\nX-Request-Id: id-1\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                    ),
                    Reply::Url => {
                        json_answer(200, "application/json", "", &json!({"url": URL, "expires_in_seconds": 30, "request_id": "id-1"}))
                    }
                    Reply::Text(text) => text,
                    Reply::Nothing => continue,
                    Reply::Silence => {
                        silent.push(reader);
                        continue;
                    }
                };
                let _ = reader.get_mut().write_all(text.as_bytes());
            }
        });
        stand_in
    }

    /// Has these answered, in this order.
    fn script(&self, replies: &[Reply]) {
        *self.replies.lock().unwrap() = replies.iter().rev().cloned().collect();
        self.seen.lock().unwrap().clear();
    }

    fn seen(&self) -> Vec<(String, String)> {
        self.seen.lock().unwrap().clone()
    }
}

fn request(reader: &mut BufReader<TcpStream>) -> Option<(String, String)> {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).ok()? == 0 {
            return None;
        }
    }
    let header = |name: &str| head.lines().find_map(|line| line.to_lowercase().strip_prefix(name).map(|value| value.trim().to_owned()));
    let mut body = vec![0; header("content-length:").map_or(0, |length| length.parse().unwrap())];
    reader.read_exact(&mut body).ok()?;
    Some((head.clone(), String::from_utf8(body).unwrap()))
}

fn json_answer(status: u16, media_type: &str, headers: &str, body: &Value) -> String {
    let body = body.to_string();
    format!(
        "HTTP/1.1 {status} Any\r\nContent-Type: {media_type}\r\nX-Request-Id: id-1\r\n{headers}Content-Length: {}\r\nConnection: close\r\n\r\n{body}",
        body.len()
    )
}

fn problem(status: u16, code: &str, retry_after: &str, state: &str) -> String {
    let mut body = json!({
        "type": format!("urn:problem-type:latchkey:{code}"), "title": "A title that is not to be gone by", "status": status, "code": code,
        "request_id": "id-1",
    });
    if !state.is_empty() {
        body["state"] = json!(state);
    }
    let header = if retry_after.is_empty() { String::new() } else { format!("Retry-After: {retry_after}\r\n") };
    json_answer(status, "application/problem+json", &header, &body)
}

fn check_with_stand_in(language: Language, program: &Program) {
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.e30.c2lnbmF0dXJl";
    let stand_in = StandIn::start();
    let portal = Portal::start(language, program, &format!("http://127.0.0.1:{}/v1", stand_in.port), TOKEN);
    let click = |replies: &[Reply], requests: usize| {
        stand_in.script(replies);
        let answer = portal.click("target=research&landing=canvas", "same-origin");
        assert_eq!(stand_in.seen().len(), requests, "{language:?}: how often it was asked; {} {}", answer.status, answer.body);
        assert_no_secret(&answer, TOKEN);
        assert_for_a_browser(&answer);
        answer
    };
    let said = |code: &str, more: &str| format!("{}{more} Request id-1.", said_of(code));

    // What is asked, and that the URL gets through untouched.
    let opened = click(&[Reply::Url], 1);
    assert_eq!((opened.status, opened.headers["location"].as_str(), opened.body.as_str()), (303, URL, ""));
    let (head, body) = stand_in.seen().remove(0);
    let (line, headers) = head.split_once("\r\n").unwrap();
    let headers = headers.to_lowercase();
    assert_eq!(line, "POST /v1/presigned-urls HTTP/1.1");
    assert_eq!(headers.matches("\r\nauthorization:").count() + usize::from(headers.starts_with("authorization:")), 1);
    assert!(head.contains(&format!("uthorization: Bearer {TOKEN}\r\n")), "the token is sent as it is");
    assert!(headers.contains("content-type: application/json"));
    assert_eq!(serde_json::from_str::<Value>(&body).unwrap(), json!({"target": "research", "landing": "canvas"}));

    // The one thing that is tried again, once, after what it was told to wait.
    let late = |after| Reply::Text(problem(503, "unavailable", after, ""));
    let begun = now();
    let opened = click(&[late("1"), Reply::Url], 2);
    assert_eq!((opened.status, opened.headers["location"].as_str()), (303, URL));
    assert!(now() >= begun.plus_seconds(1), "it did not wait");
    let refused = click(&[late("1"), late("2"), Reply::Url], 2);
    assert_eq!((refused.status, refused.body.trim_end()), (503, said("unavailable", " Try again in 2 seconds.").as_str()));
    // Not for as long as no browser waits, nor at a date, nor without being told.
    for (after, more) in [("60", " Try again in 60 seconds."), ("Wed, 21 Oct 2026 07:28:00 GMT", ""), ("", "")] {
        let refused = click(&[late(after), Reply::Url], 1);
        assert_eq!((refused.status, refused.body.trim_end()), (503, said("unavailable", more).as_str()));
    }
    for (code, status) in [("rate-limited", 429), ("target-not-ready", 409)] {
        let refused = click(&[Reply::Text(problem(status, code, "3", "Pending")), Reply::Url], 1);
        assert_eq!((refused.status, refused.body.trim_end()), (status, said(code, " Try again in 3 seconds.").as_str()));
    }

    // Every code says what the table says.
    for (code, status, text) in table() {
        let refused = click(&[Reply::Text(problem(status, &code, "", "")), Reply::Url], 1);
        assert_eq!((refused.status, refused.body.trim_end()), (status, format!("{text} Request id-1.").as_str()), "{code}");
        assert!(refused.log.contains(&code) && refused.log.contains("id-1"), "{code}: {}", refused.log);
    }

    // What does not come from latchkey.
    let page = "HTTP/1.1 502 Bad Gateway\r\nContent-Type: text/html\r\nContent-Length: 9\r\nConnection: close\r\n\r\n<h1>!</h1";
    let elsewhere = format!(
        "HTTP/1.1 307 Elsewhere\r\nLocation: http://127.0.0.1:{}/v1/elsewhere\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
        stand_in.port
    );
    for text in [page.to_owned(), elsewhere] {
        let refused = click(&[Reply::Text(text), Reply::Url], 1);
        assert_eq!((refused.status, refused.headers.get("location")), (502, None));
        assert_eq!(refused.body.trim_end(), format!("{} Request unknown.", said_of("internal")));
    }

    // Nobody knows what became of these, so they are not sent again.
    let lost = click(&[Reply::Nothing, Reply::Url], 1);
    assert_eq!((lost.status, lost.body.trim_end()), (504, format!("{} Request unknown.", said_of("internal")).as_str()));
    let begun = now();
    let silent = click(&[Reply::Silence, Reply::Url], 1);
    assert_eq!(silent.status, 504);
    assert!((begun.plus_seconds(13)..begun.plus_seconds(25)).contains(&now()), "it waits for 15 seconds");
}

fn check(language: Language, test: &str) {
    match language.toolchain() {
        Ok(program) => {
            check_with_dev(language, &program);
            check_with_stand_in(language, &program);
        }
        Err(reason) => skip(test, &reason),
    }
}

#[test]
fn curl() {
    check(Language::Curl, "curl");
}

#[test]
fn python() {
    check(Language::Python, "python");
}

#[test]
fn typescript() {
    check(Language::TypeScript, "typescript");
}

#[test]
fn java() {
    check(Language::Java, "java");
}

#[test]
fn csharp() {
    check(Language::CSharp, "csharp");
}

/// The command that lists, as it stands in the document, and an answer as it is shown there.
#[test]
fn the_targets() {
    let dev = Dev::start(&[]);
    let heading = "## What a user may open";
    let mut list = Command::new("sh");
    list.args(["-euc", &block(heading, "sh")]).env("API_URL", api(&dev)).env("ACCESS_TOKEN", token(&dev, "bob"));
    let (code, out, _) = run(&mut list);
    assert_eq!(code, 0);
    let listed: Value = serde_json::from_str(&out).unwrap();
    let shown: Value = serde_json::from_str(&block(heading, "json")).unwrap();
    let names = |value: &Value| value.as_object().unwrap().keys().cloned().collect::<Vec<_>>();
    assert_eq!(names(&listed), names(&shown));
    let target = &listed["targets"][0];
    assert_eq!(names(target), names(&shown["targets"][0]));
    assert_eq!((&target["name"], &target["landings"]), (&shown["targets"][0]["name"], &shown["targets"][0]["landings"]));
}
