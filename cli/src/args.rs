//! The command line.

use std::collections::BTreeSet;
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser as _};
use clap::{Args, Parser, Subcommand};
use clap_complete::Shell;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::names::{AccountId, DomainId, LandingName, RoleArn, TargetName, UserProfileName};
use latchkey_domain::target::Kind;

use crate::change_log::ChangeArgs;
use crate::commands::dev::PORTAL;
use crate::commands::grants::state::State;
use crate::grant_args::{GrantArgs, OwnerArgs, SubjectArgs, parse_epoch, parse_group, parse_issuer, parse_subject, parse_target};
use crate::grant_file::Format;

/// Short-lived presigned URLs for Amazon SageMaker
///
/// Begin with `latchkey demo`: one launch and one refusal on this machine, step by step. `latchkey dev` keeps the whole service
/// running. The other commands work on a deployment's table.
#[derive(Debug, Parser)]
#[command(name = "latchkey", version, propagate_version = true, max_term_width = 110, after_help = HELP)]
pub struct Cli {
    /// Write JSON for scripts instead of text for people
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub command: Command,
}

const HELP: &str = "\
Examples:
  A launch and a refusal on this machine, step by step
    latchkey demo
  Who may open what, and let somebody in
    latchkey grants list
    latchkey grants put --help
  Why is this user refused?
    latchkey explain --issuer okta --subject 00u1a2b3
  Is the deployment sound?
    latchkey doctor
  Somebody has left: no new URL from the next request on, and the live sessions cut
    latchkey revoke --issuer okta --subject 00u1a2b3 --dry-run

Every command has its own --help, with examples. Those that work on a deployment take the table from LATCHKEY_TABLE, the region and \
credentials from wherever AWS tools have them. The exit code is 0 when it is done, 1 when it was refused, not found or failed, 2 for usage.";

/// What there is to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run the whole service on this machine until Ctrl-C, with made-up users
    #[command(after_help = "Examples:\n  latchkey dev\n  latchkey dev --port 0 --env-file latchkey.env\n  latchkey dev --data-dir ./table")]
    Dev(DevArgs),
    /// Do one launch and one refusal on this machine, print each step, and end
    #[command(after_help = "Examples:\n  latchkey demo\n  latchkey demo --kind notebook --json")]
    Demo(DemoArgs),
    /// Write, read, delete, import and export grants: who may open what
    #[command(subcommand)]
    Grants(GrantsCommand),
    /// Suspend a subject, at once: it opens nothing and sees no targets, from the next request on
    #[command(
        after_help = "Example:\n  latchkey suspend --issuer okta --subject 00u1a2b3 --note \"left the bank\"\n\nA URL that was handed out before opens for its seconds, and a session that it opened lives until its end; `latchkey revoke` ends both."
    )]
    Suspend(SuspendArgs),
    /// Make a suspended subject active again
    #[command(after_help = "Example:\n  latchkey resume --issuer okta --subject 00u1a2b3 --note \"back\"")]
    Resume(SuspendArgs),
    /// Fetch issuers' keys into the table, and look at them there
    #[command(subcommand)]
    Keys(KeysCommand),
    /// Fill in the tokens of an event file from a running `latchkey dev`, for `sam local invoke -e -`
    #[command(after_help = "Example:\n  latchkey event events/launch.json | sam local invoke BrokerFunction -e - --env-vars env.json")]
    Event(EventArgs),
    /// Show what the broker would decide for a token, a request or a user, check by check, and make no URL
    #[command(after_help = EXPLAIN_HELP)]
    Explain(Box<ExplainArgs>),
    /// Look at a deployment as it is, and say what of it is open, broken or weak, and what to do
    #[command(after_help = DOCTOR_HELP)]
    Doctor(DoctorArgs),
    /// Write the completions for a shell to standard output
    #[command(
        after_help = "Examples:\n  latchkey completions bash > ~/.local/share/bash-completion/completions/latchkey\n  latchkey completions zsh > ~/.zfunc/_latchkey\n  latchkey completions fish > ~/.config/fish/completions/latchkey.fish"
    )]
    Completions {
        /// The shell
        shell: Shell,
    },
    /// Write the manual, a page for each command, into a folder
    #[command(after_help = "Example:\n  latchkey man ~/.local/share/man/man1 && man latchkey-grants-import")]
    Man {
        /// The folder, which is made where it is missing
        #[arg(value_name = "DIR")]
        folder: PathBuf,
    },
    /// Cut the live sessions of one user, who is suspended first, or of everyone
    #[command(after_help = REVOKE_HELP)]
    Revoke(Box<RevokeArgs>),
}

impl Command {
    /// Whether what it writes to standard output is a file for somebody else, in which nothing else may stand.
    pub fn writes_data(&self) -> bool {
        match self {
            Self::Grants(GrantsCommand::Export { file, .. }) => file == Path::new("-"),
            Self::Event(_) | Self::Completions { .. } => true,
            Self::Dev(_) | Self::Demo(_) | Self::Grants(_) | Self::Suspend(_) | Self::Resume(_) | Self::Keys(_) | Self::Explain(_) => false,
            Self::Doctor(_) | Self::Man { .. } | Self::Revoke(_) => false,
        }
    }
}

const REVOKE_HELP: &str = "\
An inline policy on the issuing role refuses every session that was opened before this moment; SageMaker asks the role's policies at \
each request of a browser's session. (That this ends an open tab is not proven on AWS: docs/operations.md, \"Where it does not cut\".) \
A session that is opened later works, so the user is suspended first: `latchkey resume` is enough \
to let in again, and --undo gives the old sessions back. What runs already in the user's apps, as the profile's execution role, is not \
stopped by it.

The roles are those that the subject's grants and the issuer's groups' name (with --everyone, those of all grants), and LATCHKEY_ROLE_ARN. Each is in one \
account, and needs credentials for that account: repeat the command there with --role-arn. It takes iam:GetRole, ListRolePolicies, \
GetRolePolicy, PutRolePolicy and DeleteRolePolicy on those roles, and on the table dynamodb:Query, UpdateItem and Scan (none but for the suspension with --role-arn).

Examples:
  A laptop is stolen: what would be done? Then do it
    latchkey revoke --issuer okta --subject 00u1a2b3 --dry-run
    latchkey revoke --issuer okta --subject 00u1a2b3
  Everyone's sessions, from a script; everyone may open new ones
    latchkey revoke --everyone --yes
  The same user's in another account, with that account's credentials
    latchkey revoke --issuer okta --subject 00u1a2b3 --no-suspend \\
      --role-arn arn:aws:iam::444455556666:role/latchkey-issuing
  What is revoked now? And take it back
    latchkey revoke --list
    latchkey revoke --undo --issuer okta --subject 00u1a2b3

The exit code is 0 when all of it is done, 1 when any of it is not, 2 for usage.";

const DOCTOR_HELP: &str = "\
It reads, and changes nothing. The credentials are those that AWS tools have, and AWS_REGION is the deployment's region; \
docs/operations.md has the rights that it takes, and every check. Names are asked of this machine's name server: run it within the \
network, where the portal and the browsers are.

Examples:
  latchkey doctor
  latchkey doctor --name latchkey-test --dns 10.20.0.2
  latchkey doctor --json | jq '.findings[] | select(.outcome == \"fault\")'

The exit code is 0 when everything is sound or merely weak, 1 when there is a fault or something could not be looked at, 2 for usage.";

const EXPLAIN_HELP: &str = "\
The configuration is the broker's, from the same variables: docs/operations.md shows how to have it. It takes the right to read the \
table (dynamodb:GetItem, BatchGetItem, Query), and writes nothing; neither STS nor SageMaker is called.

Examples:
  Why is this token refused?
    pbpaste | latchkey explain
  What would it get in another target, and which calls would that take?
    pbpaste | latchkey explain --target research --json | jq .calls
  What would this user get, without a token? And when her grant begins?
    latchkey explain --issuer okta --subject 00u1a2b3
    latchkey explain --issuer okta --subject 00u1a2b3 --at 1900000000
  What becomes of this request?
    latchkey explain --event event.json

The exit code is 0 when the broker would allow it, 1 when it would not or that cannot be known, 2 for usage.";

/// How `dev` runs.
#[derive(Debug, Clone, Args)]
pub struct DevArgs {
    /// The port of the API; the issuer, AWS, the table, DNS and the demo portal take the five that follow. 0 takes any free ones
    #[arg(long, default_value_t = 8787, value_parser = parse_port)]
    pub port: u16,
    /// Keep the table in this folder instead of in memory
    #[arg(long, value_name = "DIR")]
    pub data_dir: Option<PathBuf>,
    /// Write the environment in which the Lambda and the other commands work against this stack to a file of shell variables:
    /// `set -a; . FILE; set +a` takes it on
    #[arg(long, value_name = "FILE")]
    pub env_file: Option<PathBuf>,
}

/// A port after which there are five more.
fn parse_port(text: &str) -> Result<u16, String> {
    let port: Option<u16> = text.parse().ok();
    let is_legal = |port: &u16| port.checked_add(PORTAL).is_some();
    port.filter(is_legal).ok_or_else(|| format!("is a port of at most {}: the five that follow are taken, too", u16::MAX - PORTAL))
}

/// Which deployment is looked at, and from where.
#[derive(Debug, Clone, Args)]
pub struct DoctorArgs {
    /// The deployment's name: the template's parameter `Name`
    #[arg(long, default_value = "latchkey", value_name = "NAME")]
    pub name: String,
    /// The name server that is asked, as 10.20.0.2 or 10.20.0.2:53; without it this machine's
    #[arg(long, env = "LATCHKEY_DNS", value_name = "ADDRESS", value_parser = name_server)]
    pub dns: Option<SocketAddr>,
}

/// An address, with or without a port: DNS has 53.
fn name_server(text: &str) -> Result<SocketAddr, String> {
    let address = text.parse().or_else(|_| text.parse::<IpAddr>().map(|address| SocketAddr::new(address, 53)));
    address.map_err(|_| "is not an address, as 10.20.0.2 or 10.20.0.2:53".to_owned())
}

/// What `demo` shows.
#[derive(Debug, Clone, Args)]
pub struct DemoArgs {
    /// The kind of target to open
    #[arg(long, default_value_t = Kind::Studio, value_parser = kinds())]
    pub kind: Kind,
}

/// Reads the name of a kind.
pub(crate) fn kinds() -> impl clap::builder::TypedValueParser<Value = Kind> {
    let names = Kind::ALL.iter().map(|kind| kind.as_str());
    // The names before have let through nothing else.
    PossibleValuesParser::new(names).map(|name| Kind::named(&name).unwrap_or(Kind::Studio))
}

/// Where the table is, and who works on it.
#[derive(Debug, Clone, Args)]
pub struct TableArgs {
    /// The table; AWS credentials and region come from the environment and profiles, as for every AWS tool
    #[arg(long, env = "LATCHKEY_TABLE", value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub table: String,
}

/// What there is to do with grants.
#[derive(Debug, Subcommand)]
pub enum GrantsCommand {
    /// Write a grant, new or in place of the old one
    #[command(
        after_help = "Example:\n  latchkey grants put --issuer okta --subject 00u1a2b3 --target research \\\n    --kind studio --domain-id d-abcdefghijkl --user-profile-name jane-doe --default\n\nFor everybody in a group, each with the profile that their own record names:\n  latchkey grants put --issuer okta --group data-scientists --target research \\\n    --kind studio --domain-id d-abcdefghijkl"
    )]
    Put {
        /// Which grant
        #[command(flatten)]
        key: GrantKey,
        /// Refuse to replace a grant that is there
        #[arg(long)]
        new: bool,
        /// Write it even if the profile or notebook instance is or may be somebody else's already. Without this the whole table is
        /// looked through for other owners, which takes the right to scan it
        #[arg(long)]
        shared: bool,
        /// Who writes it
        #[command(flatten)]
        change: ChangeArgs,
        /// What it grants
        #[command(flatten)]
        grant: Box<GrantArgs>,
    },
    /// Show one grant, and whether it would open now
    #[command(after_help = "Example:\n  latchkey grants get --issuer okta --subject 00u1a2b3 --target research --json")]
    Get(GrantKey),
    /// Say which user profile is a subject's, for the grants of its groups, which name none
    #[command(
        after_help = "Examples:\n  latchkey grants profile --issuer okta --subject 00u1a2b3 --user-profile-name jane-doe\n  latchkey grants profile --issuer okta --subject 00u1a2b3 --user-profile-name jane-2 --domain-id d-abcdefghijkl\n\nMany at once come with `latchkey grants import`, in rows without a target."
    )]
    Profile(ProfileArgs),
    /// List the grants of one subject, of one group, or of everybody and every group
    #[command(
        after_help = "Examples:\n  latchkey grants list --issuer okta --subject 00u1a2b3\n  latchkey grants list --issuer okta --group data-scientists\n  latchkey grants list --domain-id d-abcdefghijkl --state expired\n  latchkey grants list --state suspended --json"
    )]
    List {
        /// Where the table is
        #[command(flatten)]
        table: TableArgs,
        /// Whose grants are listed, and which of them
        #[command(flatten)]
        filter: RowFilter,
    },
    /// Delete a grant
    #[command(after_help = "Example:\n  latchkey grants delete --issuer okta --subject 00u1a2b3 --target research --by jane")]
    Delete {
        /// Which grant
        #[command(flatten)]
        key: GrantKey,
        /// Who deletes it
        #[command(flatten)]
        change: ChangeArgs,
    },
    /// Write the grants of a file: all of them are checked before the first is written, and only what differs is written
    #[command(
        after_help = "Examples:\n  latchkey grants import grants.csv --dry-run\n  latchkey grants import grants.csv --by jane\n  other-command | latchkey grants import - --format jsonl --yes\n\nA CSV file begins with the names of its columns:\n  issuer,subject,target,kind,domain_id,user_profile_name,expires_at,note\n  okta,00u1a2b3,research,studio,d-abcdefghijkl,jane-doe,1900000000,CHG-1\n\nA row with a group in place of the subject is for everybody in that group, and names no user profile; a row without a target is the subject's own record (status, user_profile_name, note), of which what it does not name stays. No row is deleted; a grant's row is written as a whole. After an interruption, run it again: what is written already is not written twice. `latchkey grants export` writes such files."
    )]
    Import(ImportArgs),
    /// Write the table's grants, and what it says of subjects, to a file that can be imported
    #[command(
        after_help = "Examples:\n  latchkey grants export grants.csv\n  latchkey grants export --format yaml --issuer okta --subject 00u1a2b3\n  latchkey grants export --issuer okta --group data-scientists"
    )]
    Export {
        /// Where the table is
        #[command(flatten)]
        table: TableArgs,
        /// Where to: a file, whose format is what its name ends with (.csv, .jsonl, .yaml), or - for standard output
        #[arg(default_value = "-", value_name = "FILE")]
        file: PathBuf,
        /// The format, where the file's name does not say it; to standard output without it JSON Lines
        #[arg(long, value_enum)]
        format: Option<Format>,
        /// Which rows
        #[command(flatten)]
        filter: RowFilter,
    },
}

/// Which profile is whose.
#[derive(Debug, Clone, Args)]
pub struct ProfileArgs {
    /// Where the table is
    #[command(flatten)]
    pub table: TableArgs,
    /// Whose it is
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// The user profile
    #[arg(long, value_name = "NAME", value_parser = parse_profile, required_unless_present = "remove")]
    pub user_profile_name: Option<UserProfileName>,
    /// In this domain alone; without it in every domain that the subject has no profile of its own for
    #[arg(long, value_name = "ID", value_parser = parse_domain)]
    pub domain_id: Option<DomainId>,
    /// Take it away
    #[arg(long, conflicts_with = "user_profile_name")]
    pub remove: bool,
    /// Write it even if the profile is or may be somebody else's already. Without this the whole table is looked through for other
    /// owners, which takes the right to scan it
    #[arg(long)]
    pub shared: bool,
    /// Who says so
    #[command(flatten)]
    pub change: ChangeArgs,
}

fn parse_profile(text: &str) -> Result<UserProfileName, String> {
    UserProfileName::new(text).map_err(|error| format!("a user profile is {error}"))
}

fn parse_domain(text: &str) -> Result<DomainId, String> {
    DomainId::new(text).map_err(|error| format!("a domain is {error}"))
}

/// What to import, and how.
#[derive(Debug, Clone, Args)]
pub struct ImportArgs {
    /// Where the table is
    #[command(flatten)]
    pub table: TableArgs,
    /// The file, whose format is what its name ends with (.csv, .jsonl, .yaml), or - for standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// The format, where the file's name does not say it
    #[arg(long, value_enum)]
    pub format: Option<Format>,
    /// Say what would be written, and write nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Write without asking. Needed where there is no terminal to ask on
    #[arg(long, conflicts_with = "dry_run")]
    pub yes: bool,
    /// Take grants for a profile or notebook instance that is or may be somebody else's already
    #[arg(long)]
    pub shared: bool,
    /// Who imports
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// Whom to suspend, or to make active.
#[derive(Debug, Clone, Args)]
pub struct SuspendArgs {
    /// Where the table is
    #[command(flatten)]
    pub table: TableArgs,
    /// Who
    #[command(flatten)]
    pub subject: SubjectArgs,
    /// Why, for whoever reads it later; without it the note that is there stays
    #[arg(long)]
    pub note: Option<String>,
    /// Who does it
    #[command(flatten)]
    pub change: ChangeArgs,
}

/// What there is to do with issuers' keys.
#[derive(Debug, Subcommand)]
pub enum KeysCommand {
    /// Fetch the keys of every issuer whose keys come from the table, and keep them there, as the refresher does on its schedule
    #[command(
        after_help = "Example:\n  latchkey keys refresh --table latchkey --issuers-file issuers.json\n\nThe exit code is 1 when an issuer's keys could not be had. What the table has of it stays."
    )]
    Refresh {
        /// Where the table is
        #[command(flatten)]
        table: TableArgs,
        /// The issuers, as the broker is told them
        #[command(flatten)]
        issuers: IssuersArgs,
        /// Only this issuer
        #[arg(long, value_name = "ID", value_parser = parse_issuer)]
        issuer: Option<IssuerId>,
    },
    /// Show the keys that the table has of an issuer, and how old they are
    #[command(after_help = "Example:\n  latchkey keys show --issuer okta")]
    Show {
        /// Where the table is
        #[command(flatten)]
        table: TableArgs,
        /// The issuer
        #[arg(long, value_name = "ID", value_parser = parse_issuer)]
        issuer: IssuerId,
    },
}

/// Where the issuers are configured.
#[derive(Debug, Clone, Args)]
// Both may be there: whoever names a file should not have to unset the variable.
#[group(required = true, multiple = true)]
pub struct IssuersArgs {
    /// A file with the JSON array of issuers, or - for standard input; it goes before --issuers
    #[arg(long, value_name = "FILE")]
    pub issuers_file: Option<PathBuf>,
    /// The JSON array itself
    #[arg(long, env = "LATCHKEY_ISSUERS", value_name = "JSON")]
    pub issuers: Option<String>,
}

/// Which grant is meant.
#[derive(Debug, Clone, Args)]
pub struct GrantKey {
    /// Where the table is
    #[command(flatten)]
    pub table: TableArgs,
    /// Whose grant it is
    #[command(flatten)]
    pub owner: OwnerArgs,
    /// The name by which the portal asks for it
    #[arg(long, value_parser = parse_target, value_name = "NAME")]
    pub target: TargetName,
}

/// Which rows of the table are meant.
#[derive(Debug, Clone, Args)]
pub struct RowFilter {
    /// Only this issuer's subjects and groups
    #[arg(long, value_name = "ID", value_parser = parse_issuer)]
    pub issuer: Option<IssuerId>,
    /// Only this subject; needs --issuer
    #[arg(long, requires = "issuer", value_name = "SUBJECT", value_parser = parse_subject)]
    pub subject: Option<Subject>,
    /// Only this group; needs --issuer
    #[arg(long, requires = "issuer", conflicts_with = "subject", value_name = "GROUP", value_parser = parse_group)]
    pub group: Option<Group>,
    /// Only grants for this domain
    #[arg(long, value_name = "ID")]
    pub domain_id: Option<String>,
    /// Only grants for this user profile; case does not count, as with SageMaker
    #[arg(long, value_name = "NAME")]
    pub user_profile_name: Option<String>,
    /// Only grants of this kind
    #[arg(long, value_parser = kinds())]
    pub kind: Option<Kind>,
    /// Only grants of this name
    #[arg(long, value_name = "NAME")]
    pub target: Option<String>,
    /// Only what is in this state now; may be repeated. `active` is for a subject's own record alone
    #[arg(long, value_enum)]
    pub state: Vec<State>,
}

/// Which event to fill in.
#[derive(Debug, Clone, Args)]
pub struct EventArgs {
    /// The event file, as in events/
    pub file: PathBuf,
    /// The issuer of the running `latchkey dev`
    #[arg(long, default_value = "http://127.0.0.1:8788", value_name = "URL")]
    pub issuer: String,
}

/// What is explained.
#[derive(Debug, Clone, Args)]
pub struct ExplainArgs {
    /// Where the table is
    #[command(flatten)]
    pub table: TableArgs,
    /// The issuers, as the broker is told them
    #[command(flatten)]
    pub issuers: IssuersArgs,
    /// Explain the request in this file, or on standard input with -: an event of API Gateway's, as in events/
    #[arg(long, value_name = "FILE", conflicts_with_all = ["issuer", "subject", "groups", "target", "landing"])]
    pub event: Option<PathBuf>,
    /// Explain what this issuer's subject would get, without a token; needs --subject. Without it and --event, a token is read from
    /// standard input
    #[arg(long, requires = "subject", value_parser = parse_issuer, value_name = "ID")]
    pub issuer: Option<IssuerId>,
    /// The subject, exactly as the issuer writes it in the subject claim; needs --issuer
    #[arg(long, requires = "issuer", value_parser = parse_subject, value_name = "SUBJECT")]
    pub subject: Option<Subject>,
    /// A group that this subject is in, as a token would name it; may be repeated
    #[arg(long = "group", requires = "subject", value_parser = parse_group, value_name = "GROUP")]
    pub groups: Vec<Group>,
    /// The target that the portal asks for; without it, as without one in a request, the default
    #[arg(long, value_parser = parse_target, value_name = "NAME")]
    pub target: Option<TargetName>,
    /// The landing that the portal asks for
    #[arg(long, value_parser = parse_landing, value_name = "NAME")]
    pub landing: Option<LandingName>,
    /// Decide as of another time, in seconds since 1970-01-01T00:00:00Z
    #[arg(long, value_name = "EPOCH", value_parser = parse_epoch)]
    pub at: Option<i64>,
    /// The account that the function runs in, where a grant has no role and the request does not tell it
    #[arg(long, value_parser = parse_account, value_name = "ID")]
    pub account_id: Option<AccountId>,
    /// The issuer of a running `latchkey dev`, for an event with placeholders for tokens
    #[arg(long, default_value = "http://127.0.0.1:8788", value_name = "URL")]
    pub token_issuer: String,
}

impl ExplainArgs {
    /// The user that is named, where one is.
    pub fn subject(&self) -> Option<Identity> {
        let (issuer, subject) = self.issuer.clone().zip(self.subject.clone())?;
        Some(Identity { issuer, subject })
    }

    /// The groups that the user is said to be in, each once.
    pub fn groups(&self) -> Vec<Group> {
        let groups: BTreeSet<&Group> = self.groups.iter().collect();
        groups.into_iter().cloned().collect()
    }
}

/// Whose sessions are cut, and where.
#[derive(Debug, Clone, Args)]
#[command(group = clap::ArgGroup::new("whose").required(true).args(["issuer", "everyone", "list"]))]
pub struct RevokeArgs {
    /// The table, which names the roles and keeps the suspension; AWS credentials and region come from the environment and profiles,
    /// as for every AWS tool
    #[arg(long, env = "LATCHKEY_TABLE", value_name = "NAME")]
    pub table: Option<String>,
    /// The issuer's id, as in LATCHKEY_ISSUERS; needs --subject
    #[arg(long, requires = "subject", value_parser = parse_issuer, value_name = "ID")]
    pub issuer: Option<IssuerId>,
    /// The subject, exactly as the issuer writes it in the subject claim; needs --issuer
    #[arg(long, requires = "issuer", value_parser = parse_subject, value_name = "SUBJECT")]
    pub subject: Option<Subject>,
    /// Cut everyone's sessions. Nobody is suspended
    #[arg(long)]
    pub everyone: bool,
    /// Show the revocations that the roles have, and change nothing
    #[arg(long, conflicts_with_all = ["undo", "dry_run", "no_suspend", "yes"])]
    pub list: bool,
    /// Only this issuing role, and not those of the table and LATCHKEY_ROLE_ARN; can be repeated
    #[arg(long, value_parser = parse_role, value_name = "ARN")]
    pub role_arn: Vec<RoleArn>,
    /// Take a revocation back. A suspended subject stays suspended
    #[arg(long)]
    pub undo: bool,
    /// LATCHKEY_SESSION_SCOPE of the broker, where it is known: user, or role. Without it the trust of each role is asked whether every
    /// session says whose it is
    #[arg(long, value_parser = ["user", "role"], conflicts_with_all = ["everyone", "undo", "list"], value_name = "SCOPE")]
    pub session_scope: Option<String>,
    /// Do not suspend the subject: the next click on the portal opens a new session
    #[arg(long, conflicts_with_all = ["everyone", "undo"])]
    pub no_suspend: bool,
    /// Show what would be done, by looking at the table and the roles, and do nothing
    #[arg(long)]
    pub dry_run: bool,
    /// Do not ask
    #[arg(long)]
    pub yes: bool,
    /// Who does it
    #[command(flatten)]
    pub change: ChangeArgs,
}

impl RevokeArgs {
    /// The user that is named, where one is.
    pub fn subject(&self) -> Option<Identity> {
        let (issuer, subject) = self.issuer.clone().zip(self.subject.clone())?;
        Some(Identity { issuer, subject })
    }
}

fn parse_role(text: &str) -> Result<RoleArn, String> {
    RoleArn::new(text).map_err(|error| format!("a role is {error}"))
}

fn parse_landing(text: &str) -> Result<LandingName, String> {
    LandingName::new(text).map_err(|error| format!("a landing's name is {error}"))
}

fn parse_account(text: &str) -> Result<AccountId, String> {
    AccountId::new(text).map_err(|error| format!("an account's id is {error}"))
}
