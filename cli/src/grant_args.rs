//! A grant as it is written on the command line, or in a file.

use std::fmt;
use std::io::Read as _;
use std::ops::RangeInclusive;
use std::path::PathBuf;

use anyhow::{Context as _, bail};
use clap::Args;
use clap::builder::RangedI64ValueParser;
use latchkey_aws::grant_admin::GroupIdentity;
use latchkey_domain::grant::{Grant, SESSION_SECONDS, URL_SECONDS};
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::TargetName;
use latchkey_domain::target::Kind;

use crate::args::kinds;

/// Whose grants are meant.
#[derive(Debug, Clone, Args)]
pub struct SubjectArgs {
    /// The issuer's id, as in LATCHKEY_ISSUERS
    #[arg(long, value_name = "ID", value_parser = parse_issuer)]
    pub issuer: IssuerId,
    /// The subject, exactly as the issuer writes it in the subject claim
    #[arg(long, value_name = "SUBJECT", value_parser = parse_subject)]
    pub subject: Subject,
}

impl SubjectArgs {
    /// The identity that is meant.
    pub fn identity(&self) -> Identity {
        Identity { issuer: self.issuer.clone(), subject: self.subject.clone() }
    }
}

/// Whose grant is meant.
#[derive(Debug, Clone, Args)]
pub struct OwnerArgs {
    /// The issuer's id, as in LATCHKEY_ISSUERS
    #[arg(long, value_name = "ID", value_parser = parse_issuer)]
    pub issuer: IssuerId,
    /// The subject, exactly as the issuer writes it in the subject claim
    #[arg(long, value_name = "SUBJECT", value_parser = parse_subject, required_unless_present = "group")]
    pub subject: Option<Subject>,
    /// A group in place of a subject, exactly as the issuer writes it in the groups claim
    #[arg(long, value_name = "GROUP", value_parser = parse_group, conflicts_with = "subject")]
    pub group: Option<Group>,
}

/// Whose a grant is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Owner {
    /// A user's.
    Subject(Identity),
    /// Everybody's in a group.
    Group(GroupIdentity),
}

impl OwnerArgs {
    /// Whose it is.
    ///
    /// # Errors
    /// Neither a subject nor a group is named.
    pub fn owner(&self) -> anyhow::Result<Owner> {
        let issuer = self.issuer.clone();
        match (self.subject.clone(), self.group.clone()) {
            (Some(subject), _) => Ok(Owner::Subject(Identity { issuer, subject })),
            (None, Some(group)) => Ok(Owner::Group(GroupIdentity { issuer, group })),
            (None, None) => bail!("--subject or --group says whose"),
        }
    }
}

impl Owner {
    /// The issuer.
    pub const fn issuer(&self) -> &IssuerId {
        match self {
            Self::Subject(identity) => &identity.issuer,
            Self::Group(whose) => &whose.issuer,
        }
    }

    /// The subject; none for a group.
    pub fn subject(&self) -> Option<&str> {
        match self {
            Self::Subject(identity) => Some(identity.subject.as_str()),
            Self::Group(_) => None,
        }
    }

    /// The group; none for a subject.
    pub fn group(&self) -> Option<&str> {
        match self {
            Self::Subject(_) => None,
            Self::Group(whose) => Some(whose.group.as_str()),
        }
    }

    /// The partition key under which its rows stand.
    pub fn partition_key(&self) -> String {
        match self {
            Self::Subject(identity) => identity.partition_key(),
            Self::Group(whose) => whose.partition_key(),
        }
    }
}

impl fmt::Display for Owner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subject(identity) => write!(f, "{}", identity.subject),
            Self::Group(whose) => write!(f, "group {}", whose.group),
        }
    }
}

/// Reads an issuer's id.
///
/// # Errors
/// What a legal id is.
pub fn parse_issuer(text: &str) -> Result<IssuerId, String> {
    IssuerId::new(text).map_err(|error| error.to_string())
}

/// Reads a subject.
///
/// # Errors
/// What a legal subject is.
pub fn parse_subject(text: &str) -> Result<Subject, String> {
    Subject::new(text).map_err(|error| error.to_string())
}

/// Reads a group.
///
/// # Errors
/// What a legal group is.
pub fn parse_group(text: &str) -> Result<Group, String> {
    Group::new(text).map_err(|error| error.to_string())
}

/// Reads a target's name.
///
/// # Errors
/// What a legal name is.
pub fn parse_target(text: &str) -> Result<TargetName, String> {
    TargetName::new(text).map_err(|error| format!("a target's name is {error}"))
}

/// Reads a moment.
///
/// # Errors
/// What a moment is. What a grant cannot have is none, and milliseconds are none: as seconds they are thousands of years ahead.
pub fn parse_epoch(text: &str) -> Result<i64, String> {
    // 9999-12-31T23:59:59Z.
    const LAST: i64 = 253_402_300_799;
    let seconds = text.parse().ok().filter(|seconds| (0..=LAST).contains(seconds));
    seconds.ok_or_else(|| "is a whole number of seconds, and not of milliseconds, since 1970-01-01T00:00:00Z".to_owned())
}

/// Reads a number of seconds within these bounds.
fn within(bounds: &RangeInclusive<u32>) -> RangedI64ValueParser {
    RangedI64ValueParser::new().range(i64::from(*bounds.start())..=i64::from(*bounds.end()))
}

/// The attributes of a grant.
#[derive(Debug, Clone, Default, Args)]
pub struct GrantArgs {
    /// Read the attributes from a JSON object in this file, or from standard input with -; flags override its members
    #[arg(long, value_name = "FILE")]
    pub from: Option<PathBuf>,
    /// What the grant opens; needed unless --from has it
    #[arg(long, value_parser = kinds(), required_unless_present = "from")]
    pub kind: Option<Kind>,
    /// The SageMaker domain, as d-abcdefghijkl
    #[arg(long)]
    pub domain_id: Option<String>,
    /// The user profile in that domain; for a group's grant each user's own record says it (`latchkey grants profile`)
    #[arg(long, value_name = "NAME")]
    pub user_profile_name: Option<String>,
    /// The notebook instance
    #[arg(long, value_name = "NAME")]
    pub notebook_instance_name: Option<String>,
    /// The MLflow tracking server
    #[arg(long, value_name = "NAME")]
    pub tracking_server_name: Option<String>,
    /// The ARN of an MLflow app or a Partner AI App
    #[arg(long)]
    pub arn: Option<String>,
    /// The region, when it is not the function's own
    #[arg(long)]
    pub region: Option<String>,
    /// The account of the target; must be the role's
    #[arg(long, value_name = "ID")]
    pub account_id: Option<String>,
    /// The issuing role, when it is not the configured one
    #[arg(long, value_name = "ARN")]
    pub role_arn: Option<String>,
    /// The external id that the role's trust asks for
    #[arg(long, value_name = "ID")]
    pub external_id: Option<String>,
    /// Write the grant without letting it open anything yet
    #[arg(long)]
    pub disabled: bool,
    /// Open this one when the portal names no target
    #[arg(long)]
    pub default: bool,
    /// The first moment at which it opens, in seconds since 1970-01-01T00:00:00Z
    #[arg(long, value_name = "EPOCH", value_parser = parse_epoch)]
    pub not_before: Option<i64>,
    /// The first moment at which it no longer opens, in seconds since 1970-01-01T00:00:00Z
    #[arg(long, value_name = "EPOCH", value_parser = parse_epoch)]
    pub expires_at: Option<i64>,
    /// Lower the life of a URL, 5 to 300
    #[arg(long, value_name = "SECONDS", value_parser = within(&URL_SECONDS))]
    pub url_seconds: Option<i64>,
    /// Lower the life of a session, 1800 to 43200
    #[arg(long, value_name = "SECONDS", value_parser = within(&SESSION_SECONDS))]
    pub session_seconds: Option<i64>,
    /// A place to land in, as NAME=URI, NAME=URI@SPACE or NAME=@SPACE; may be repeated
    #[arg(long = "add-landing", value_name = "NAME=URI[@SPACE]", value_parser = check_landing)]
    pub landings: Vec<String>,
    /// The landing to use when the portal names none
    #[arg(long, value_name = "NAME")]
    pub landing: Option<String>,
    /// Make the user profile at first login, with this execution role; security groups and tags come with --from
    #[arg(long, value_name = "ROLE_ARN")]
    pub provision: Option<String>,
    /// The role that makes the profile, when it is not the configured one: in another account it cannot be
    #[arg(long, value_name = "ARN", requires = "provision")]
    pub provision_role_arn: Option<String>,
    /// The external id that the trust of that role asks for
    #[arg(long, value_name = "ID", requires = "provision")]
    pub provision_external_id: Option<String>,
    /// Why the grant exists, for whoever reads it later
    #[arg(long)]
    pub note: Option<String>,
}

impl GrantArgs {
    /// The item that the arguments describe, and the grant that it holds.
    ///
    /// The grant is read by the very rules that the broker reads it by, so what is written here is what the broker accepts.
    ///
    /// # Errors
    /// A file that cannot be read, or the first attribute that makes it no grant.
    pub fn read(&self, name: TargetName) -> anyhow::Result<(Grant, Item)> {
        let item = self.item()?;
        Ok((Grant::from_item(name, &item)?, item))
    }

    /// As [`Self::read`], for a grant of a group's.
    ///
    /// # Errors
    /// A file that cannot be read, or the first attribute that makes it no group's grant.
    pub fn read_for_group(&self, name: TargetName) -> anyhow::Result<(GroupGrant, Item)> {
        let item = self.item()?;
        Ok((GroupGrant::from_item(name, &item)?, item))
    }

    fn item(&self) -> anyhow::Result<Item> {
        let mut item = match &self.from {
            Some(path) => read_object(path)?,
            None => Item::new(),
        };
        if let Some(kind) = self.kind {
            item.insert("kind".to_owned(), Value::S(kind.as_str().to_owned()));
        }
        let text = [
            ("domain_id", &self.domain_id),
            ("user_profile_name", &self.user_profile_name),
            ("notebook_instance_name", &self.notebook_instance_name),
            ("tracking_server_name", &self.tracking_server_name),
            ("arn", &self.arn),
            ("region", &self.region),
            ("account_id", &self.account_id),
            ("role_arn", &self.role_arn),
            ("external_id", &self.external_id),
            ("landing", &self.landing),
            ("note", &self.note),
        ];
        for (attribute, value) in text {
            if let Some(value) = value {
                item.insert(attribute.to_owned(), Value::S(value.clone()));
            }
        }
        let numbers = [
            ("not_before", self.not_before),
            ("expires_at", self.expires_at),
            ("url_seconds", self.url_seconds),
            ("session_seconds", self.session_seconds),
        ];
        for (attribute, value) in numbers {
            if let Some(value) = value {
                item.insert(attribute.to_owned(), Value::N(value.to_string()));
            }
        }
        if self.disabled {
            item.insert("enabled".to_owned(), Value::Bool(false));
        }
        if self.default {
            item.insert("default".to_owned(), Value::Bool(true));
        }
        if !self.landings.is_empty() {
            let landings = self.landings.iter().map(|landing| parse_landing(landing)).collect::<Result<_, _>>();
            let landings = landings.map_err(anyhow::Error::msg)?;
            item.insert("landings".to_owned(), Value::M(landings));
        }
        let provision =
            [("execution_role_arn", &self.provision), ("role_arn", &self.provision_role_arn), ("external_id", &self.provision_external_id)];
        for (attribute, value) in provision.into_iter().filter_map(|(attribute, value)| Some((attribute, value.as_ref()?))) {
            // What stands in the file and is no map stays, and is refused.
            if let Value::M(plan) = item.entry("provision".to_owned()).or_insert_with(|| Value::M(Item::new())) {
                plan.insert(attribute.to_owned(), Value::S(value.clone()));
            }
        }
        Ok(item)
    }
}

fn read_object(path: &std::path::Path) -> anyhow::Result<Item> {
    let mut text = String::new();
    if path.as_os_str() == "-" {
        std::io::stdin().read_to_string(&mut text).context("standard input cannot be read")?;
    } else {
        text = std::fs::read_to_string(path).with_context(|| format!("{} cannot be read", path.display()))?;
    }
    let Value::M(item) = serde_json::from_str(&text).with_context(|| format!("{} is not a grant in JSON", path.display()))? else {
        bail!("{} is not a JSON object", path.display());
    };
    if item.contains_key("pk") || item.contains_key("sk") {
        bail!("{}: the keys come from --issuer, --subject or --group, and the target's name, not from the file", path.display());
    }
    Ok(item)
}

/// Lets through what [`parse_landing`] reads.
fn check_landing(text: &str) -> Result<String, String> {
    parse_landing(text).map(|_| text.to_owned())
}

fn parse_landing(text: &str) -> Result<(String, Value), String> {
    let Some((name, place)) = text.split_once('=') else { return Err("is NAME=URI, NAME=URI@SPACE or NAME=@SPACE".to_owned()) };
    let (uri, space) = place.rsplit_once('@').map_or((place, ""), |(uri, space)| (uri, space));
    let mut landing = Item::new();
    for (attribute, value) in [("landing_uri", uri), ("space_name", space)] {
        if !value.is_empty() {
            landing.insert(attribute.to_owned(), Value::S(value.to_owned()));
        }
    }
    Ok((name.to_owned(), Value::M(landing)))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn args() -> GrantArgs {
        GrantArgs {
            kind: Some(Kind::Studio),
            domain_id: Some("d-abc".into()),
            user_profile_name: Some("jane".into()),
            ..GrantArgs::default()
        }
    }

    fn read(args: &GrantArgs) -> Result<Grant, String> {
        args.read(TargetName::new("research").unwrap()).map(|(grant, _)| grant).map_err(|error| format!("{error:#}"))
    }

    #[test]
    fn landings_are_written_in_short() {
        let landings = ["lab=app:JupyterLab:lab@team", "home=studio::", "space=@solo"].map(ToOwned::to_owned).to_vec();
        let grant = read(&GrantArgs { landings, landing: Some("home".into()), ..args() }).unwrap();
        let shown: Vec<_> = grant
            .landings
            .iter()
            .map(|(name, l)| (name.as_str(), l.landing_uri.as_ref().map(|u| u.as_str()), l.space_name.as_ref().map(|s| s.as_str())))
            .collect();
        assert_eq!(
            shown,
            [("home", Some("studio::"), None), ("lab", Some("app:JupyterLab:lab"), Some("team")), ("space", None, Some("solo"))]
        );
    }

    #[test]
    fn what_the_broker_would_refuse_is_not_written() {
        for (broken, attribute) in [
            (GrantArgs { kind: None, ..args() }, "kind"),
            (GrantArgs { domain_id: Some("abc".into()), ..args() }, "domain_id"),
            (GrantArgs { user_profile_name: Some("jane@example.com".into()), ..args() }, "user_profile_name"),
            (GrantArgs { url_seconds: Some(3), ..args() }, "url_seconds"),
            (GrantArgs { landing: Some("nowhere".into()), ..args() }, "landing"),
            (GrantArgs { landings: vec!["lab=https://evil.example".into()], ..args() }, "landing_uri"),
        ] {
            assert!(read(&broken).unwrap_err().starts_with(attribute), "{attribute}");
        }
    }

    #[test]
    fn moments_are_those_that_a_grant_can_have() {
        for (text, is_one) in [("0", true), ("253402300799", true), ("253402300800", false), ("1796040970000", false), ("-1", false)] {
            assert_eq!(parse_epoch(text).is_ok(), is_one, "{text}");
            assert_eq!(read(&GrantArgs { expires_at: text.parse().ok(), ..args() }).is_ok(), is_one, "{text}");
        }
        assert!(parse_epoch("1.5").is_err() && parse_epoch("").is_err());
    }

    #[test]
    fn every_kind_has_its_flags() {
        let arn = |kind: &str| format!("arn:aws:sagemaker:eu-west-1:111122223333:{kind}");
        for (kind, grant) in [
            ("notebook", GrantArgs { notebook_instance_name: Some("nb".into()), ..GrantArgs::default() }),
            ("mlflow-server", GrantArgs { tracking_server_name: Some("team".into()), ..GrantArgs::default() }),
            ("mlflow-app", GrantArgs { arn: Some(arn("mlflow-app/app-1")), ..GrantArgs::default() }),
            ("partner-app", GrantArgs { arn: Some(arn("partner-app/app-ABCDEFGHIJ12")), ..GrantArgs::default() }),
        ] {
            let grant = read(&GrantArgs { kind: Kind::named(kind), ..grant }).unwrap();
            assert_eq!(grant.target.kind().as_str(), kind);
        }
        let plan = read(&GrantArgs { provision: Some("arn:aws:iam::111122223333:role/studio".into()), ..args() }).unwrap().provision;
        assert_eq!(plan.unwrap().execution_role_arn.role_name(), "studio");
        let whole = GrantArgs {
            provision: Some("arn:aws:iam::111122223333:role/studio".into()),
            provision_role_arn: Some("arn:aws:iam::111122223333:role/makes".into()),
            provision_external_id: Some("ext-1".into()),
            ..args()
        };
        let plan = read(&whole).unwrap().provision.unwrap();
        assert_eq!((plan.role_arn.unwrap().role_name(), plan.external_id.unwrap().as_str()), ("makes", "ext-1"));
        let elsewhere = GrantArgs { role_arn: Some("arn:aws:iam::444455556666:role/x".into()), ..whole.clone() };
        assert!(read(&elsewhere).unwrap_err().starts_with("provision.execution_role_arn"));
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"provision":"yes"}"#).unwrap();
        let from = GrantArgs { from: Some(file.path().to_owned()), ..whole };
        assert!(read(&from).unwrap_err().starts_with("provision: is a map"));
    }

    #[test]
    fn a_file_gives_the_rest_and_flags_override_it() {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), r#"{"kind":"studio","domain_id":"d-file","user_profile_name":"jane","expires_at":1900000000}"#)
            .unwrap();
        let from = Some(file.path().to_owned());
        let grant = read(&GrantArgs { from: from.clone(), domain_id: Some("d-flag".into()), ..GrantArgs::default() }).unwrap();
        assert_eq!(grant.target.to_string(), "studio d-flag/jane");
        std::fs::write(file.path(), r#"{"pk":"SUBJECT#x#y"}"#).unwrap();
        assert!(read(&GrantArgs { from, ..GrantArgs::default() }).unwrap_err().contains("the keys come from"));
    }
}
