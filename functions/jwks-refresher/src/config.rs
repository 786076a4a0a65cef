//! What the refresher is told, by environment variables.

use std::borrow::Cow;

/// A variable whose value cannot be used: one line that names it and says what is wrong.
pub use latchkey_aws::environment::EnvironmentError as ConfigError;
use latchkey_aws::grant_store::is_table_name;
use latchkey_oidc::config::IssuerConfig;
use latchkey_telemetry::log::LogLevel;

/// The refresher's own configuration: three of the broker's variables, with the same meaning.
#[derive(Debug, Clone)]
pub struct Config {
    /// `LATCHKEY_ISSUERS`
    pub issuers: Vec<IssuerConfig>,
    /// `LATCHKEY_TABLE`
    pub table: String,
    /// `LATCHKEY_LOG`
    pub log_level: LogLevel,
}

fn wrong(variable: &'static str, problem: impl Into<Cow<'static, str>>) -> ConfigError {
    ConfigError { variable, problem: problem.into() }
}

impl Config {
    /// Reads the configuration through `variable`. An empty value counts as none.
    ///
    /// # Errors
    /// The first variable that is missing or cannot be used.
    pub fn from_environment(variable: impl Fn(&str) -> Option<String>) -> Result<Self, ConfigError> {
        let optional = |name: &str| variable(name).filter(|value| !value.is_empty());
        let required = |name: &'static str| optional(name).ok_or_else(|| wrong(name, "is required"));
        let issuers = required("LATCHKEY_ISSUERS")?;
        let issuers = latchkey_oidc::config::parse_issuers(&issuers).map_err(|error| wrong("LATCHKEY_ISSUERS", error.to_string()))?;
        let table = required("LATCHKEY_TABLE")?;
        if !is_table_name(&table) {
            return Err(wrong("LATCHKEY_TABLE", "is not the name or the ARN of a table"));
        }
        let log_level = match optional("LATCHKEY_LOG") {
            None => LogLevel::default(),
            Some(level) => level.parse().map_err(|rule| wrong("LATCHKEY_LOG", format!("{rule}")))?,
        };
        Ok(Self { issuers, table, log_level })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ISSUERS: &str = r#"[{"id":"idp","issuer":"https://idp.example.com","audiences":["latchkey"]}]"#;

    fn read(more: &[(&str, &str)]) -> Result<Config, String> {
        let base = [("LATCHKEY_ISSUERS", ISSUERS), ("LATCHKEY_TABLE", "latchkey")];
        let variables: std::collections::HashMap<&str, &str> = base.into_iter().chain(more.iter().copied()).collect();
        Config::from_environment(|name| variables.get(name).map(|&value| value.to_owned())).map_err(|error| error.to_string())
    }

    #[test]
    fn three_variables_are_read_and_the_brokers_others_are_not() {
        let config = read(&[("LATCHKEY_LOG", "debug"), ("LATCHKEY_VPC_ENDPOINT_IDS", "nonsense"), ("LATCHKEY_RATE_LIMIT", "")]).unwrap();
        assert_eq!((config.issuers.len(), config.table.as_str()), (1, "latchkey"));
        assert_eq!(config.log_level, "debug".parse().unwrap());
    }

    #[test]
    fn a_bad_value_is_named_in_one_line() {
        for (variable, value, line) in [
            ("LATCHKEY_ISSUERS", "", "LATCHKEY_ISSUERS: is required"),
            ("LATCHKEY_ISSUERS", "{}", "LATCHKEY_ISSUERS: must be a JSON array of issuers"),
            ("LATCHKEY_TABLE", "", "LATCHKEY_TABLE: is required"),
            ("LATCHKEY_TABLE", "a b", "LATCHKEY_TABLE: is not the name or the ARN of a table"),
            ("LATCHKEY_LOG", "verbose", "LATCHKEY_LOG: is error, warn, info, debug or trace"),
        ] {
            assert_eq!(read(&[(variable, value)]).unwrap_err(), line);
        }
    }
}
