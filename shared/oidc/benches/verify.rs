//! What it costs to verify a token with a key that is held, in instructions, beside what aws-lc takes for the signature alone.
//!
//! Instructions and not time, as only those are the same on every run. They are counted by callgrind, of a process that does
//! nothing else, as the difference between many verifications and few: what is done once cancels out.
//!
//! ```sh
//! cargo bench --package latchkey-oidc --bench verify
//! ```
//!
//! | row | what is done for each token |
//! | --- | --- |
//! | `aws-lc, key from n and e` | the RSA key is made from its numbers, and verifies |
//! | `aws-lc, key held` | a key that was made before verifies |
//! | `latchkey` | what the broker does with a bearer token: read, find issuer and key, verify, check claims, make a principal |
//!
//! The bound is against `aws-lc, key held`, the cheaper of the two: an issuer's keys are held here, and the making of a key that
//! is there already would be no fair part of what the rest is compared with. It holds for a small token and for a large one, as
//! reading costs what there is to read.
//!
//! Key pair and tokens are made for each run. What is measured gets the public key and one token through a pipe.

#![expect(
    clippy::print_stdout,
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a program for people, not part of the product"
)]

use std::env;
use std::hint::black_box;
use std::io::{Read as _, Write as _};
use std::process::{Command, ExitCode, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use aws_lc_rs::rand::SystemRandom;
use aws_lc_rs::rsa::KeySize;
use aws_lc_rs::signature::{KeyPair as _, RSA_PKCS1_2048_8192_SHA256, RSA_PKCS1_SHA256, RsaKeyPair, RsaPublicKeyComponents};
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use latchkey_domain::clock::{Clock as _, SystemClock, Timestamp};
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::{Authenticator as _, Unavailable};
use latchkey_domain::token::BearerToken;
use latchkey_oidc::config::parse_issuers;
use latchkey_oidc::fetch::{Fetch, FetchError, Limits};
use latchkey_oidc::snapshot::{KeySnapshot, SnapshotStore};
use latchkey_oidc::verifier::Verifier;

/// What `latchkey` may cost, in percent of `aws-lc, key held`.
const MOST_PERCENT: u64 = 130;

/// The two counts of verifications. What aws-lc puts off until a key is first used is done within the few.
const FEW: u64 = 20;
const MANY: u64 = 220;

const BUDGET: Duration = Duration::from_secs(4);
const ISSUED: i64 = 1_767_225_600;
const KEY_ID: &str = "Bz1Lk9sT3XvQeYp0rN5mWc7dJfUaGh2iKoR4t6y8uE";

/// What is measured, as the rows are called.
const ROWS: [&str; 3] = ["aws-lc, key from n and e", "aws-lc, key held", "latchkey"];

/// A kind of token, and the issuer that latchkey is configured with for it.
struct Sample {
    name: &'static str,
    issuer: String,
    header: String,
    claims: String,
}

fn samples() -> [Sample; 2] {
    const OKTA: &str = "https://bank.okta.com/oauth2/aus1a2b3c4d5e6f7g8h9";
    const ENTRA: &str = "https://login.microsoftonline.com/6f1d3c2a-0b4e-4f5d-8c7b-9a8e7d6c5b4a/v2.0";
    let groups: Vec<_> = (0..30).map(|i| format!(r#""{i:08x}-5e4f-4a3b-8c2d-1e0f9a8b7c6d""#)).collect();
    let expires = ISSUED + 3600;
    [
        Sample {
            name: "an access token of Okta",
            issuer: format!(r#"{{"id":"idp","preset":"okta","issuer":"{OKTA}","audiences":["api://latchkey"]}}"#),
            header: format!(r#"{{"kid":"{KEY_ID}","alg":"RS256"}}"#),
            claims: format!(
                r#"{{"ver":1,"jti":"AT.2Yk1mFq8Z0xVb3nRt6LsWc9dJpUaGh5iKoE7y4uQwXr","iss":"{OKTA}","aud":"api://latchkey","iat":{ISSUED},"#
            ) + &format!(r#""exp":{expires},"cid":"0oa1b2c3d4e5f6g7h8i9","uid":"00u1a2b3c4d5e6f7g8h9","#)
                + r#""scp":["openid","profile","url.mint"],"auth_time":1767225540,"sub":"ada.lovelace@bank.example"}"#,
        },
        Sample {
            name: "an access token of Entra ID with 30 groups",
            issuer: format!(r#"{{"id":"idp","preset":"entra","issuer":"{ENTRA}","audiences":["2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f"],"#)
                + r#""required_claims":{"groups":["0000001d-5e4f-4a3b-8c2d-1e0f9a8b7c6d"],"scp":["url.mint"]}}"#,
            header: format!(r#"{{"typ":"JWT","alg":"RS256","kid":"{KEY_ID}"}}"#),
            claims: format!(
                r#"{{"aud":"2c9f1e7d-5a3b-4c8e-9d6f-1b2a3c4d5e6f","iss":"{ENTRA}","iat":{ISSUED},"nbf":{ISSUED},"exp":{expires},"#
            ) + r#""aio":"AWQAm/8XAAAAbkq1x0w1m0Q8b3zqK0J4o7V2t8y9pLr5sD6fG7hJ8kL9zXcVbN","azp":"c1a2b3c4-5d6e-4f70-8a9b-0c1d2e3f4a5b","#
                + &format!(r#""azpacr":"1","groups":[{}],"name":"Ada Lovelace","#, groups.join(","))
                + r#""oid":"690222be-ff1a-4d56-abd1-7e4f7d38e474","preferred_username":"ada@bank.example","rh":"1.AXkAKjwdb04LXU-Me5q","#
                + r#""scp":"url.mint","sid":"001f2e3d-4c5b-6a79-8897-a6b5c4d3e2f1","sub":"HKZpfaHyWadeOouYlitjrI-KffTm222X5rrV3xDqfKQ","#
                + r#""tid":"6f1d3c2a-0b4e-4f5d-8c7b-9a8e7d6c5b4a","uti":"kL9zXcVbN0GqFj3nRt6LsA","ver":"2.0"}"#,
        },
    ]
}

fn main() -> ExitCode {
    let arguments: Vec<String> = env::args().skip(1).collect();
    // cargo passes `--bench`.
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["measured", row, count] => {
            measured(row, count.parse().expect("a count"));
            ExitCode::SUCCESS
        }
        _ => compare(),
    }
}

/// Measures each row for each kind of token, and says whether the bound is kept.
fn compare() -> ExitCode {
    if !Command::new("valgrind").arg("--version").stdout(Stdio::null()).status().is_ok_and(|status| status.success()) {
        println!("valgrind is missing: it counts the instructions (Debian: apt-get install valgrind)");
        return if skipped("bench: valgrind is missing, which counts the instructions") { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    }
    let pair = RsaKeyPair::generate(KeySize::Rsa2048).unwrap();
    println!("instructions for one RS256 token, key of 2048 bits (callgrind: {MANY} verifications less {FEW})");
    let mut kept = true;
    for sample in samples() {
        let token = sample.signed(&pair);
        let input = format!("{}\n{}\n{token}", numbers(&pair), sample.issuer);
        let counts = ROWS.map(|row| {
            let [few, many] = [FEW, MANY].map(|count| instructions(row, count, &input));
            (many - few) / (MANY - FEW)
        });
        let [_, held, ours] = counts;
        println!("\n{}, {} bytes", sample.name, token.len());
        for (row, count) in ROWS.iter().zip(counts) {
            println!("  {row:<26}{count:>9}  {}", ratio(count * 100 / held));
        }
        kept &= ours * 100 <= held * MOST_PERCENT;
    }
    let verdict = if kept { "kept" } else { "EXCEEDED" };
    println!("\nbound: latchkey at most {} of {}: {verdict}", ratio(MOST_PERCENT), ROWS[1]);
    if kept { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn ratio(percent: u64) -> String {
    format!("{}.{:02}", percent / 100, percent % 100)
}

/// The modulus and the exponent, a line each.
fn numbers(pair: &RsaKeyPair) -> String {
    let public = pair.public_key();
    let [n, e] = [public.modulus(), public.exponent()].map(|number| number.big_endian_without_leading_zero().to_vec());
    format!("{}\n{}", URL_SAFE_NO_PAD.encode(n), URL_SAFE_NO_PAD.encode(e))
}

impl Sample {
    fn signed(&self, pair: &RsaKeyPair) -> String {
        let message = format!("{}.{}", URL_SAFE_NO_PAD.encode(&self.header), URL_SAFE_NO_PAD.encode(&self.claims));
        let mut signature = vec![0; pair.public_modulus_len()];
        pair.sign(&RSA_PKCS1_SHA256, &SystemRandom::new(), message.as_bytes(), &mut signature).unwrap();
        format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature))
    }
}

/// Says so to the test command, where it listens (`tests/run`).
#[expect(clippy::disallowed_methods, reason = "the test command says where it listens")]
fn skipped(reason: &str) -> bool {
    let Some(path) = env::var_os("LATCHKEY_SKIPS") else { return false };
    std::fs::OpenOptions::new().append(true).open(path).is_ok_and(|mut file| writeln!(file, "{reason}").is_ok())
}

/// The instructions of a process that verifies `count` times.
fn instructions(row: &str, count: u64, input: &str) -> u64 {
    let mut child = Command::new("valgrind")
        .args(["--tool=callgrind", "--callgrind-out-file=/dev/null"])
        .arg(env::current_exe().unwrap())
        .args(["measured", row, &count.to_string()])
        .stdin(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{row}: {said}");
    let collected = said.lines().find_map(|line| line.split_once("Collected :")).unwrap_or_else(|| panic!("{row}: {said}")).1;
    collected.trim().parse().unwrap()
}

/// Verifies the token of the standard input `count` times.
fn measured(row: &str, count: u64) {
    let mut input = String::new();
    std::io::stdin().read_to_string(&mut input).unwrap();
    let [n, e, issuer, token] = input.split('\n').collect::<Vec<_>>()[..] else { panic!("four lines") };
    if row == ROWS[2] {
        return latchkey(n, e, issuer, token, count);
    }
    let [n, e] = [n, e].map(|number| URL_SAFE_NO_PAD.decode(number).unwrap());
    let (message, signature) = token.rsplit_once('.').unwrap();
    let signature = URL_SAFE_NO_PAD.decode(signature).unwrap();
    let components = RsaPublicKeyComponents { n: &n, e: &e };
    let held = components.to_parsed_public_key(&RSA_PKCS1_2048_8192_SHA256).unwrap();
    for _ in 0..count {
        let (message, signature) = black_box((message.as_bytes(), &signature));
        if row == ROWS[0] {
            components.verify(&RSA_PKCS1_2048_8192_SHA256, message, signature).unwrap();
        } else {
            held.verify_sig(message, signature).unwrap();
        }
    }
}

/// As the broker does it, with keys from the table.
fn latchkey(n: &str, e: &str, issuer: &str, token: &str, count: u64) {
    let clock = SystemClock::new();
    let jwks = format!(r#"{{"keys":[{{"kty":"RSA","alg":"RS256","use":"sig","kid":"{KEY_ID}","n":"{n}","e":"{e}"}}]}}"#);
    let reads = Arc::new(AtomicU32::new(0));
    let table = Table { snapshot: KeySnapshot { jwks, fetched_at: clock.now() }, reads: Arc::clone(&reads) };
    let verifier = Verifier::new(parse_issuers(&format!("[{issuer}]")).unwrap(), NoNetwork, table, clock);
    let token = BearerToken::new(token.to_owned());
    let now = Timestamp::from_unix_seconds(ISSUED + 60);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().build().unwrap();
    runtime.block_on(async {
        assert!(verifier.prepare().await.iter().all(|prepared| prepared.keys.is_ok()));
        for _ in 0..count {
            let principal = verifier.authenticate(black_box(&token), now, BUDGET).await.unwrap();
            assert_eq!(black_box(principal).key_id(), KEY_ID);
        }
    });
    // What is said of loading keys: one read at the start, and none for a token.
    assert_eq!(reads.load(Ordering::SeqCst), 1, "reads of the table");
}

struct NoNetwork;

impl Fetch for NoNetwork {
    async fn get(&self, _url: &str, _limits: Limits) -> Result<Vec<u8>, FetchError> {
        panic!("the keys are in the table");
    }
}

struct Table {
    snapshot: KeySnapshot,
    reads: Arc<AtomicU32>,
}

impl SnapshotStore for Table {
    async fn load(&self, _issuer: &IssuerId, _budget: Duration) -> Result<Option<KeySnapshot>, Unavailable> {
        self.reads.fetch_add(1, Ordering::SeqCst);
        Ok(Some(self.snapshot.clone()))
    }
}
