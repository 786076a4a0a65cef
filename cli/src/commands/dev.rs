//! `latchkey dev`: the whole service on this machine.

use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::Context as _;
use serde_json::json;

use super::say;
use crate::args::DevArgs;
use crate::embedded::{self, Embedded, Options};
use crate::portal::Portal;

/// How far the portal's port is from the API's: the stand-ins have those between.
pub(crate) const PORTAL: u16 = 5;

/// Runs the service until Ctrl-C.
///
/// # Errors
/// A port is taken, or a file cannot be written.
pub async fn run(args: DevArgs, json: bool) -> anyhow::Result<ExitCode> {
    let options = Options { port: args.port, data_dir: args.data_dir.clone(), print_decisions: true };
    let embedded = Embedded::start(options).await?;
    let portal = Portal::start(embedded::next_port(args.port, PORTAL), &embedded).await?;
    let environment = [embedded.stack.env(), embedded.stack.operator_env()].concat();
    if let Some(path) = &args.env_file {
        let lines = environment.iter().fold(String::new(), |mut lines, (name, value)| {
            let _ = writeln!(lines, "{name}='{value}'");
            lines
        });
        std::fs::write(path, lines).with_context(|| format!("{} cannot be written", path.display()))?;
    }
    say(if json { described(&embedded, &portal).to_string() } else { explained(&embedded, &portal, &args) });
    tokio::signal::ctrl_c().await?;
    portal.shutdown().await;
    embedded.shutdown().await;
    Ok(ExitCode::SUCCESS)
}

fn described(embedded: &Embedded, portal: &Portal) -> serde_json::Value {
    let stack = &embedded.stack;
    json!({
        "portal": portal.url(),
        "api": embedded.api(),
        "issuer": stack.idp.issuer(),
        "aws": stack.aws.endpoint(),
        "table": stack.table.endpoint(),
        "users": stack.users().iter().map(|user| user.name.as_str()).collect::<Vec<_>>(),
    })
}

fn explained(embedded: &Embedded, portal: &Portal, args: &DevArgs) -> String {
    let stack = &embedded.stack;
    let (api, issuer) = (embedded.api(), stack.idp.issuer());
    let kept =
        args.data_dir.as_ref().map_or_else(|| "in memory: gone when this ends".to_owned(), |dir| format!("kept in {}", dir.display()));
    let mut text = format!(
        "latchkey runs on this machine. Nothing of it can be reached from elsewhere, and no user, domain or key in it is real.

  {:<30}  the demo portal: open it in a browser, and choose who to be

  {api:<30}  the API, as API Gateway serves its stage v1
  {issuer:<30}  the OpenID issuer
  {:<30}  STS, SageMaker, and the Studio that URLs open
  {:<30}  the table ({kept})

Users:
",
        portal.url(),
        stack.aws.endpoint(),
        stack.table.endpoint(),
    );
    for user in stack.users() {
        let _ = writeln!(text, "  {:<8}{}", user.name, user.about);
    }
    let _ = write!(
        text,
        r#"
Without a browser: this takes a token for alice, as a portal has it, and asks for a URL:

  TOKEN=$(curl -sS -d user=alice {issuer}/dev/token)
  printf 'Authorization: Bearer %s\n' "$TOKEN" | curl -sS -X POST -H @- {api}/presigned-urls

The "url" of the answer opens within 30 seconds. Each decision is a line of JSON below. Ctrl-C ends it all.
"#
    );
    text
}
