//! `latchkey explain`: what the broker would decide.

use std::io::{IsTerminal as _, Read as _};
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context as _, bail};
use broker::config::Config;
use clap::CommandFactory as _;
use clap::error::ErrorKind;
use latchkey_aws::grant_store::Table;
use latchkey_domain::clock::{SystemClock, Timestamp};
use latchkey_domain::identity::{Group, Identity, MAX_GROUPS};
use latchkey_domain::token::{BearerToken, MAX_TOKEN_BYTES};
use latchkey_oidc::config::IssuerConfig;
use latchkey_oidc::verifier::Verifier;

use super::{Usage, read_issuers_text, say};
use crate::args::{Cli, ExplainArgs};
use crate::aws::{self, Deployment};
use crate::event;
use crate::explain::ports::{Caller, Shifted};
use crate::explain::text::explained;
use crate::explain::{self, AccountNeeded, Asked, Decision, Explainer, Explanation};

/// The most that is read of standard input: a token, and far more than any.
const MAX_INPUT_BYTES: u64 = 4 * MAX_TOKEN_BYTES as u64;

/// Explains one request.
///
/// # Errors
/// A configuration or an event that cannot be read, and whatever keeps AWS's credentials from being found.
pub async fn run(args: ExplainArgs, json: bool) -> anyhow::Result<ExitCode> {
    let asked = match (&args.event, args.subject()) {
        (Some(_), _) => Asked::Event,
        (None, Some(_)) => Asked::Subject,
        (None, None) => Asked::Token,
    };
    let reads_issuers = args.issuers.issuers_file.as_deref() == Some(Path::new("-"));
    if reads_issuers && (asked == Asked::Token || args.event.as_deref() == Some(Path::new("-"))) {
        return Ok(usage("--issuers-file - would read what standard input has besides"));
    }
    let deployment = aws::deployment().await?;
    let config = configuration(&args, asked)?;
    if let Some(identity) = args.subject() {
        let Some(issuer) = config.issuers.iter().find(|issuer| issuer.id == identity.issuer) else {
            return Err(Usage(format!("there is no issuer {} among those that are configured", identity.issuer)).into());
        };
        check_groups(issuer, &args.groups())?;
    }
    let launch = |token: &BearerToken| {
        let (target, landing) = (args.target.as_ref().map(ToString::to_string), args.landing.as_ref().map(ToString::to_string));
        explain::launch(token, target.as_deref(), landing.as_deref())
    };
    let event = match (&args.event, asked) {
        (Some(file), _) => read_event(file, &args.token_issuer).await?,
        (None, Asked::Token) => {
            if std::io::stdin().is_terminal() {
                return Ok(usage("a token comes through a pipe: typed in, it would stand on the screen. --issuer and --subject need none"));
            }
            launch(&read_token()?)
        }
        (None, Asked::Event | Asked::Subject) => launch(&BearerToken::new("none".to_owned())),
    };
    match explanation(asked, &args, config, deployment, args.subject(), &event).await {
        Ok(explanation) => {
            say(if json { serde_json::to_string(&explanation)? } else { explained(&explanation) });
            Ok(if explanation.decision == Decision::Allow { ExitCode::SUCCESS } else { ExitCode::FAILURE })
        }
        Err(AccountNeeded) => Ok(usage("it hangs on the account that the function runs in: say it with --account-id")),
    }
}

async fn explanation(
    asked: Asked,
    args: &ExplainArgs,
    mut config: Config,
    deployment: Deployment,
    named: Option<Identity>,
    event: &[u8],
) -> Result<Explanation, AccountNeeded> {
    let table = Table::new(deployment.clients.dynamodb(), config.table.clone());
    let clock = SystemClock::new();
    let caller = match named {
        Some(identity) => Caller::Named(identity, args.groups()),
        // The keys are as old as they are, whenever the token is looked at.
        None => Caller::OfTheToken(Verifier::new(std::mem::take(&mut config.issuers), deployment.transport, table.clone(), clock)),
    };
    let clock = Shifted::to(args.at.map(Timestamp::from_unix_seconds), clock);
    let account_id = args.account_id.as_ref().map(|account_id| account_id.as_str());
    Explainer::new(asked, config, &deployment.clients, caller, table, clock).explain(event, account_id).await
}

/// That the broker would look at these groups, if a token of the issuer's named them.
fn check_groups(issuer: &IssuerConfig, groups: &[Group]) -> anyhow::Result<()> {
    let Some(first) = groups.first() else { return Ok(()) };
    let Some(configured) = &issuer.groups else {
        bail!("the broker looks at no groups of the issuer {}, which has no groups_claim; so not at {first}", issuer.id);
    };
    if let Some(other) = groups.iter().find(|group| !configured.counts(group.as_str())) {
        bail!("the broker does not look at the group {other}, which does not begin with {}, the issuer's groups_prefix", configured.prefix);
    }
    if groups.len() > MAX_GROUPS {
        bail!("the broker refuses a token with more than {MAX_GROUPS} groups");
    }
    Ok(())
}

/// The broker's configuration: from its variables, the flags before them.
fn configuration(args: &ExplainArgs, asked: Asked) -> anyhow::Result<Config> {
    let issuers = read_issuers_text(&args.issuers)?;
    Ok(Config::from_environment(|name| match name {
        "LATCHKEY_TABLE" => Some(args.table.table.clone()),
        "LATCHKEY_ISSUERS" => Some(issuers.clone()),
        // What comes from nowhere comes through no endpoint.
        "LATCHKEY_VPC_ENDPOINT_IDS" if asked != Asked::Event => Some("any".to_owned()),
        name => aws::environment_variable(name),
    })?)
}

async fn read_event(file: &Path, token_issuer: &str) -> anyhow::Result<Vec<u8>> {
    let bytes = if file == Path::new("-") {
        let mut bytes = Vec::new();
        std::io::stdin().read_to_end(&mut bytes).context("standard input cannot be read")?;
        bytes
    } else {
        std::fs::read(file).with_context(|| format!("{} cannot be read", file.display()))?
    };
    // An event that is no text is the broker's to refuse.
    match std::str::from_utf8(&bytes) {
        Ok(text) => Ok(event::fill_in(text, async |name| event::demo_token(token_issuer, name).await).await?.into_bytes()),
        Err(_) => Ok(bytes),
    }
}

fn read_token() -> anyhow::Result<BearerToken> {
    let mut text = String::new();
    std::io::stdin().take(MAX_INPUT_BYTES).read_to_string(&mut text).context("standard input cannot be read")?;
    let token = text.trim();
    // As it stands in the header, for whoever has copied it from there.
    let token = token.strip_prefix("Bearer ").unwrap_or(token).trim_start();
    if token.is_empty() {
        let needed = "there is no token on standard input; --issuer and --subject need none, and --event FILE explains a whole request";
        return Err(Usage(needed.to_owned()).into());
    }
    Ok(BearerToken::new(token.to_owned()))
}

/// Says what is wrong with how it was called, as clap does.
fn usage(problem: &str) -> ExitCode {
    let error = Cli::command().error(ErrorKind::MissingRequiredArgument, problem);
    let _ = error.print();
    ExitCode::from(2)
}
