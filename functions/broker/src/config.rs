//! The configuration: environment variables, read and checked once at start.

use std::borrow::Cow;

use latchkey_api::service::AllowedEndpoints;
/// A variable whose value cannot be used: one line that names it and says what is wrong.
pub use latchkey_aws::environment::EnvironmentError as ConfigError;
use latchkey_aws::grant_store::is_table_name;
use latchkey_aws::role_session::SessionScope;
use latchkey_domain::grant::{SESSION_SECONDS, URL_SECONDS};
use latchkey_domain::names::{ExternalId, InvalidName, RoleArn};
use latchkey_domain::ports::RateLimit;
use latchkey_domain::posture::PostureMode;
use latchkey_oidc::config::IssuerConfig;
use latchkey_telemetry::log::LogLevel;

/// The broker's own configuration. What `AWS_*` variables say is read by `latchkey_aws::environment`.
#[derive(Debug, Clone)]
pub struct Config {
    /// `LATCHKEY_ISSUERS`
    pub issuers: Vec<IssuerConfig>,
    /// `LATCHKEY_TABLE`
    pub table: String,
    /// `LATCHKEY_VPC_ENDPOINT_IDS`
    pub endpoints: AllowedEndpoints,
    /// `LATCHKEY_ROLE_ARN`
    pub role_arn: Option<RoleArn>,
    /// `LATCHKEY_EXTERNAL_ID`
    pub external_id: Option<ExternalId>,
    /// `LATCHKEY_PROVISION_ROLE_ARN`
    pub provision_role_arn: Option<RoleArn>,
    /// `LATCHKEY_PROVISION_EXTERNAL_ID`
    pub provision_external_id: Option<ExternalId>,
    /// `LATCHKEY_SESSION_SCOPE`
    pub session_scope: SessionScope,
    /// `LATCHKEY_URL_SECONDS`
    pub url_seconds: u32,
    /// `LATCHKEY_SESSION_SECONDS`
    pub session_seconds: u32,
    /// `LATCHKEY_RATE_LIMIT`
    pub rate_limit: Option<RateLimit>,
    /// `LATCHKEY_REPLAY`
    pub replay_guard: bool,
    /// `LATCHKEY_POSTURE`
    pub posture: PostureMode,
    /// `LATCHKEY_LOG`
    pub log_level: LogLevel,
}

fn wrong(variable: &'static str, problem: impl Into<Cow<'static, str>>) -> ConfigError {
    ConfigError { variable, problem: problem.into() }
}

/// Every variable that [`Config`] reads.
pub const VARIABLES: [&str; 14] = [
    "LATCHKEY_ISSUERS",
    "LATCHKEY_TABLE",
    "LATCHKEY_VPC_ENDPOINT_IDS",
    "LATCHKEY_ROLE_ARN",
    "LATCHKEY_EXTERNAL_ID",
    "LATCHKEY_PROVISION_ROLE_ARN",
    "LATCHKEY_PROVISION_EXTERNAL_ID",
    "LATCHKEY_SESSION_SCOPE",
    "LATCHKEY_URL_SECONDS",
    "LATCHKEY_SESSION_SECONDS",
    "LATCHKEY_RATE_LIMIT",
    "LATCHKEY_REPLAY",
    "LATCHKEY_POSTURE",
    "LATCHKEY_LOG",
];

/// Says in the log which variables look like ours and are none: a misspelt one would otherwise leave a default in place
/// that somebody meant to change.
pub fn warn_of_unknown(names: impl Iterator<Item = String>) {
    for name in names.filter(|name| name.starts_with("LATCHKEY_") && !VARIABLES.contains(&name.as_str())) {
        tracing::warn!(variable = name, "this environment variable is not one of the broker's");
    }
}

impl Config {
    /// Reads the configuration through `variable`, which gives the value of an environment variable. An empty value counts as
    /// none: that is how a deployment template writes an optional parameter.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be used.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| optional(name).ok_or_else(|| wrong(name, "is required"));

        let issuers = required("LATCHKEY_ISSUERS")?;
        let issuers = latchkey_oidc::config::parse_issuers(&issuers).map_err(|error| wrong("LATCHKEY_ISSUERS", error.to_string()))?;
        let role_arn = name("LATCHKEY_ROLE_ARN", optional("LATCHKEY_ROLE_ARN"), RoleArn::new)?;
        let provision_role_arn = name("LATCHKEY_PROVISION_ROLE_ARN", optional("LATCHKEY_PROVISION_ROLE_ARN"), RoleArn::new)?;
        if provision_role_arn.is_some() && provision_role_arn == role_arn {
            return Err(wrong("LATCHKEY_PROVISION_ROLE_ARN", "is LATCHKEY_ROLE_ARN: profiles are made under a role of their own"));
        }
        Ok(Self {
            issuers,
            table: table(required("LATCHKEY_TABLE")?)?,
            endpoints: endpoints(&required("LATCHKEY_VPC_ENDPOINT_IDS")?)?,
            role_arn,
            external_id: name("LATCHKEY_EXTERNAL_ID", optional("LATCHKEY_EXTERNAL_ID"), ExternalId::new)?,
            provision_role_arn,
            provision_external_id: name("LATCHKEY_PROVISION_EXTERNAL_ID", optional("LATCHKEY_PROVISION_EXTERNAL_ID"), ExternalId::new)?,
            session_scope: match optional("LATCHKEY_SESSION_SCOPE").as_deref() {
                None | Some("user") => SessionScope::User,
                Some("role") => SessionScope::Role,
                Some(_) => return Err(wrong("LATCHKEY_SESSION_SCOPE", "is user or role")),
            },
            url_seconds: seconds("LATCHKEY_URL_SECONDS", optional("LATCHKEY_URL_SECONDS"), 30, &URL_SECONDS)?,
            session_seconds: seconds("LATCHKEY_SESSION_SECONDS", optional("LATCHKEY_SESSION_SECONDS"), 28800, &SESSION_SECONDS)?,
            rate_limit: rate_limit(optional("LATCHKEY_RATE_LIMIT").as_deref())?,
            replay_guard: match optional("LATCHKEY_REPLAY").as_deref() {
                None | Some("off") => false,
                Some("jti") => true,
                Some(_) => return Err(wrong("LATCHKEY_REPLAY", "is off or jti")),
            },
            posture: match optional("LATCHKEY_POSTURE").as_deref() {
                None | Some("off") => PostureMode::Off,
                Some("report") => PostureMode::Report,
                Some("enforce") => PostureMode::Enforce,
                Some(_) => return Err(wrong("LATCHKEY_POSTURE", "is off, report or enforce")),
            },
            log_level: match optional("LATCHKEY_LOG") {
                None => LogLevel::default(),
                Some(level) => level.parse().map_err(|rule| wrong("LATCHKEY_LOG", format!("{rule}")))?,
            },
        })
    }
}

fn name<T>(
    variable: &'static str,
    value: Option<String>,
    parse: impl Fn(String) -> Result<T, InvalidName>,
) -> Result<Option<T>, ConfigError> {
    value.map(|value| parse(value).map_err(|rule| wrong(variable, format!("is not {rule}")))).transpose()
}

fn table(name: String) -> Result<String, ConfigError> {
    if is_table_name(&name) { Ok(name) } else { Err(wrong("LATCHKEY_TABLE", "is not the name or the ARN of a table")) }
}

fn endpoints(list: &str) -> Result<AllowedEndpoints, ConfigError> {
    if list == "any" {
        return Ok(AllowedEndpoints::Any);
    }
    let ids: Vec<String> = list.split(',').map(|id| id.trim().to_owned()).collect();
    let is_endpoint_id = |id: &String| {
        id.strip_prefix("vpce-")
            .is_some_and(|rest| (1..=64).contains(&rest.len()) && rest.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-'))
    };
    if ids.iter().all(is_endpoint_id) {
        Ok(AllowedEndpoints::These(ids))
    } else {
        Err(wrong("LATCHKEY_VPC_ENDPOINT_IDS", "is a list of VPC endpoint ids (vpce-…) with commas between them, or any"))
    }
}

fn seconds(
    variable: &'static str,
    value: Option<String>,
    default: u32,
    bounds: &std::ops::RangeInclusive<u32>,
) -> Result<u32, ConfigError> {
    match value.map(|value| value.parse()) {
        None => Ok(default),
        Some(Ok(seconds)) if bounds.contains(&seconds) => Ok(seconds),
        Some(_) => Err(wrong(variable, format!("is a whole number of seconds from {} to {}", bounds.start(), bounds.end()))),
    }
}

fn rate_limit(value: Option<&str>) -> Result<Option<RateLimit>, ConfigError> {
    let limit = match value {
        Some("off") => return Ok(None),
        None => "20/60",
        Some(limit) => limit,
    };
    let parsed =
        limit.split_once('/').and_then(|(urls, seconds)| Some(RateLimit { urls: urls.parse().ok()?, seconds: seconds.parse().ok()? }));
    match parsed {
        Some(limit) if (1..=1_000_000).contains(&limit.urls) && (1..=86_400).contains(&limit.seconds) => Ok(Some(limit)),
        Some(_) | None => Err(wrong("LATCHKEY_RATE_LIMIT", "is URLs per seconds, such as 20/60 (at most 1000000 per 86400), or off")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUERS: &str = r#"[{"id":"idp","issuer":"https://idp.example.com","audiences":["latchkey"]}]"#;

    fn read(more: &[(&str, &str)]) -> Result<Config, String> {
        let base = [("LATCHKEY_ISSUERS", ISSUERS), ("LATCHKEY_TABLE", "latchkey"), ("LATCHKEY_VPC_ENDPOINT_IDS", "vpce-0a")];
        let variables: std::collections::HashMap<&str, &str> = base.into_iter().chain(more.iter().copied()).collect();
        Config::from_environment(|name| variables.get(name).map(|&value| value.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn the_defaults_are_those_of_the_contract() {
        let config = read(&[]).unwrap();
        assert_eq!(config.endpoints, AllowedEndpoints::These(vec!["vpce-0a".into()]));
        assert_eq!((config.role_arn, config.external_id, config.session_scope), (None, None, SessionScope::User));
        assert_eq!((config.provision_role_arn, config.provision_external_id), (None, None));
        assert_eq!((config.url_seconds, config.session_seconds), (30, 28800));
        assert_eq!((config.rate_limit, config.replay_guard), (Some(RateLimit { urls: 20, seconds: 60 }), false));
        assert_eq!((config.posture, config.log_level), (PostureMode::Off, LogLevel::default()));
    }

    #[test]
    fn every_variable_can_be_set() {
        let config = read(&[
            ("LATCHKEY_VPC_ENDPOINT_IDS", "vpce-0a, vpce-0b"),
            ("LATCHKEY_ROLE_ARN", "arn:aws:iam::111122223333:role/issuing"),
            ("LATCHKEY_EXTERNAL_ID", "ext-1"),
            ("LATCHKEY_PROVISION_ROLE_ARN", "arn:aws:iam::111122223333:role/provisioning"),
            ("LATCHKEY_PROVISION_EXTERNAL_ID", "ext-2"),
            ("LATCHKEY_SESSION_SCOPE", "role"),
            ("LATCHKEY_URL_SECONDS", "5"),
            ("LATCHKEY_SESSION_SECONDS", "43200"),
            ("LATCHKEY_RATE_LIMIT", "1/1"),
            ("LATCHKEY_REPLAY", "jti"),
            ("LATCHKEY_POSTURE", "enforce"),
            ("LATCHKEY_LOG", "debug"),
        ])
        .unwrap();
        assert_eq!(config.endpoints, AllowedEndpoints::These(vec!["vpce-0a".into(), "vpce-0b".into()]));
        assert_eq!(config.external_id, Some(ExternalId::new("ext-1").unwrap()));
        assert_eq!(config.provision_role_arn.unwrap().role_name(), "provisioning");
        assert_eq!(config.provision_external_id, Some(ExternalId::new("ext-2").unwrap()));
        assert_eq!((config.session_scope, config.url_seconds, config.session_seconds), (SessionScope::Role, 5, 43200));
        assert_eq!((config.rate_limit, config.replay_guard), (Some(RateLimit { urls: 1, seconds: 1 }), true));
        assert_eq!(config.posture, PostureMode::Enforce);
        assert_eq!(read(&[("LATCHKEY_POSTURE", "report")]).unwrap().posture, PostureMode::Report);
        assert_eq!(read(&[("LATCHKEY_POSTURE", "off")]).unwrap().posture, PostureMode::Off);
        assert_eq!(read(&[("LATCHKEY_VPC_ENDPOINT_IDS", "any"), ("LATCHKEY_RATE_LIMIT", "off")]).unwrap().rate_limit, None);
    }

    #[test]
    fn profiles_are_made_under_a_role_of_their_own() {
        let role = "arn:aws:iam::111122223333:role/issuing";
        let error = read(&[("LATCHKEY_ROLE_ARN", role), ("LATCHKEY_PROVISION_ROLE_ARN", role)]).unwrap_err();
        assert_eq!(error, "LATCHKEY_PROVISION_ROLE_ARN: is LATCHKEY_ROLE_ARN: profiles are made under a role of their own");
    }

    #[test]
    fn an_empty_value_is_none() {
        assert!(read(&[("LATCHKEY_ROLE_ARN", ""), ("LATCHKEY_LOG", ""), ("LATCHKEY_RATE_LIMIT", "")]).is_ok());
        assert_eq!(read(&[("LATCHKEY_TABLE", "")]).unwrap_err(), "LATCHKEY_TABLE: is required");
    }

    #[test]
    fn a_bad_value_is_named_in_one_line() {
        for (variable, values) in [
            ("LATCHKEY_ISSUERS", &["", "{}", "[]", "[{}]"][..]),
            ("LATCHKEY_TABLE", &["", "a b", "x", "foo/bar", "arn:aws:s3:::latchkey"]),
            ("LATCHKEY_VPC_ENDPOINT_IDS", &["", "*", "vpce-", "vpce-0a,", "vpce-*", "Any", "any,vpce-0a", "vpc-0a"]),
            ("LATCHKEY_ROLE_ARN", &["latchkey", "arn:aws:iam::111122223333:role/*"]),
            ("LATCHKEY_EXTERNAL_ID", &["x", "a b", "ext#1"]),
            ("LATCHKEY_PROVISION_ROLE_ARN", &["on", "arn:aws:iam::111122223333:user/x"]),
            ("LATCHKEY_PROVISION_EXTERNAL_ID", &["x", "a b"]),
            ("LATCHKEY_SESSION_SCOPE", &["User", "none"]),
            ("LATCHKEY_URL_SECONDS", &["4", "301", "-5", "5.0", "30s"]),
            ("LATCHKEY_SESSION_SECONDS", &["1799", "43201"]),
            ("LATCHKEY_RATE_LIMIT", &["20", "0/60", "20/0", "20/60/1", "-1/60", "on", "1/86401"]),
            ("LATCHKEY_REPLAY", &["on", "JTI"]),
            ("LATCHKEY_POSTURE", &["on", "Report", "enforced"]),
            ("LATCHKEY_LOG", &["verbose", "INFO"]),
        ] {
            for value in values {
                let error = read(&[(variable, value)]).unwrap_err();
                assert!(error.starts_with(&format!("{variable}: ")) && !error.contains('\n'), "{variable}={value}: {error}");
            }
        }
    }
}
