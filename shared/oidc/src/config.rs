//! The trusted issuers, as the operator configures them (`LATCHKEY_ISSUERS`; `docs/configuration.md`).
//!
//! Reading is strict: an unknown member, a name given twice, a value out of bounds stops the start. A misspelt
//! `required_claims` that is ignored would be a check that is not made.

use std::fmt;

use latchkey_domain::identity::IssuerId;

use crate::algorithm::Algorithm;
use crate::endpoint;
use crate::json::{self, Object, Value};
use crate::jwk::{KeyFault, VerifyingKey};
use crate::key_set::{KeySet, MAX_KEYS};
use crate::preset::{self, GENERAL, Preset, PresetDefaults};
use crate::unverified::normal_media_type;

/// The most issuers that can be configured.
pub const MAX_ISSUERS: usize = 64;

/// The most seconds that another clock may be off by.
pub const MAX_LEEWAY_SECONDS: u32 = 60;

/// The default of `leeway_seconds`.
pub const DEFAULT_LEEWAY_SECONDS: u32 = 30;

/// The default of `max_lifetime_seconds`: a day.
pub const DEFAULT_MAX_LIFETIME_SECONDS: u32 = 86_400;

/// The most that `max_lifetime_seconds` can be: 30 days.
pub const LONGEST_MAX_LIFETIME_SECONDS: u32 = 30 * 86_400;

/// The most entries of a list: audiences, token types, required claims, values of one.
pub const MAX_ENTRIES: usize = 256;

/// The longest issuer, audience, claim name or value, in bytes.
pub const MAX_TEXT_BYTES: usize = 1024;

/// A trusted issuer. Only [`parse_issuers`] makes one, so what it holds has been checked.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct IssuerConfig {
    /// The operator's name for it, in table keys and audit records.
    pub id: IssuerId,
    /// `iss`, byte for byte.
    pub issuer: String,
    /// The audiences, one of which a token must be for; at least one.
    pub audiences: Vec<String>,
    /// The preset that set the defaults.
    pub preset: Option<Preset>,
    /// The allowed algorithms; at least one.
    pub algorithms: Vec<Algorithm>,
    /// Where its keys come from.
    pub keys: KeySource,
    /// The claim that names the audience.
    pub audience_claim: String,
    /// The claim that names the user.
    pub subject_claim: String,
    /// The groups that are looked at; none where grants are for users alone.
    pub groups: Option<GroupsClaim>,
    /// The accepted `typ` headers in lower case and without `application/`; an empty one stands for a header without `typ`.
    pub token_types: Vec<String>,
    /// The required claims, and for each its allowed values; no name twice.
    pub required_claims: Vec<RequiredClaim>,
    /// The seconds by which the issuer's clock and ours may differ; at most [`MAX_LEEWAY_SECONDS`].
    pub leeway_seconds: u32,
    /// The most seconds between a token's `iat` and `exp`.
    pub max_lifetime_seconds: u32,
}

impl IssuerConfig {
    /// The address of its discovery document (OpenID Connect Discovery 1.0, section 4); none where the issuer is no address
    /// that is fetched from.
    pub fn discovery_url(&self) -> Option<String> {
        discovery_url(&self.issuer)
    }
}

pub(crate) fn discovery_url(issuer: &str) -> Option<String> {
    endpoint::check_issuer(issuer).ok()?;
    // "Any terminating / MUST be removed before appending": Auth0's issuers have one.
    let base = issuer.strip_suffix('/').unwrap_or(issuer);
    Some(format!("{base}/.well-known/openid-configuration"))
}

/// Where an issuer's tokens name the user's groups.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupsClaim {
    /// The claim's name: a member of the claims themselves, not of an object within.
    pub name: String,
    /// What a group begins with that counts; empty where each does.
    pub prefix: String,
}

impl GroupsClaim {
    /// Whether a group counts that a token names.
    pub fn counts(&self, group: &str) -> bool {
        group.starts_with(&self.prefix)
    }
}

/// A claim that a token must have.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RequiredClaim {
    /// The claim's name: a member of the claims themselves, not of an object within.
    pub name: String,
    /// The allowed values, at least one. See [`crate::claims`] for how a claim is compared with them.
    pub values: Vec<ClaimValue>,
}

/// A value that a claim can be required to have. Of another type is another value: `"true"`, `true` and `1` are three.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ClaimValue {
    /// A string, compared byte for byte.
    Text(String),
    /// A boolean, as `email_verified` is.
    Bool(bool),
    /// A whole number that fits 64 bits.
    Integer(i64),
}

impl ClaimValue {
    /// Reads an allowed value.
    fn read(value: &Value) -> Result<Self, &'static str> {
        match value {
            Value::Text(_) => text(value).map(Self::Text),
            Value::Bool(value) => Ok(Self::Bool(*value)),
            Value::Integer(value) => Ok(Self::Integer(*value)),
            Value::Null | Value::Float(_) | Value::List(_) | Value::Object(_) => Err("must be a string, a boolean or a whole number"),
        }
    }

    /// Whether a claim, or an element of one, is this value.
    pub(crate) fn is(&self, value: &Value) -> bool {
        match (self, value) {
            (Self::Text(allowed), Value::Text(text)) => allowed == text,
            (Self::Bool(allowed), Value::Bool(value)) => allowed == value,
            (Self::Integer(allowed), Value::Integer(value)) => allowed == value,
            (Self::Text(_) | Self::Bool(_) | Self::Integer(_), _) => false,
        }
    }
}

impl From<&str> for ClaimValue {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

/// Where an issuer's keys come from.
#[derive(Debug, Clone)]
pub enum KeySource {
    /// The table, where the refresher keeps them.
    Table,
    /// The issuer, over https.
    Url {
        /// The address of the key set; none for discovery.
        url: Option<String>,
    },
    /// The configuration. They change with it.
    Inline {
        /// The keys: at least one of them can be used.
        keys: KeySet,
    },
}

/// A configuration that is not accepted: one line that says where and what, and repeats no value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError(String);

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for ConfigError {}

/// Reads the trusted issuers.
///
/// # Errors
/// The first thing that is wrong, as `[0].audiences: must name at least one audience`.
pub fn parse_issuers(json: &str) -> Result<Vec<IssuerConfig>, ConfigError> {
    let document = json::parse(json.as_bytes()).map_err(|error| ConfigError(error.to_string()))?;
    let Value::List(entries) = document else { return Err(ConfigError("must be a JSON array of issuers".into())) };
    if entries.is_empty() {
        return Err(ConfigError("must name at least one issuer".into()));
    }
    if entries.len() > MAX_ISSUERS {
        return Err(ConfigError(format!("must name at most {MAX_ISSUERS} issuers")));
    }
    let mut issuers: Vec<IssuerConfig> = Vec::with_capacity(entries.len());
    for (index, entry) in entries.iter().enumerate() {
        let place = format!("[{index}]");
        let issuer = read_issuer(entry, &place)?;
        for (other, earlier) in issuers.iter().enumerate() {
            if earlier.id == issuer.id {
                return Err(fault(&format!("{place}.id"), format_args!("is already that of [{other}]")));
            }
            // Two entries for one `iss` would be two key sets for it, and which one verifies a token a matter of order.
            if earlier.issuer == issuer.issuer {
                return Err(fault(&format!("{place}.issuer"), format_args!("is already that of [{other}]")));
            }
        }
        issuers.push(issuer);
    }
    Ok(issuers)
}

fn fault(place: &str, what: impl fmt::Display) -> ConfigError {
    ConfigError(format!("{place}: {what}"))
}

/// An object of the configuration, and where it stands.
struct Section<'a> {
    object: &'a Object,
    place: &'a str,
}

impl<'a> Section<'a> {
    fn new(value: &'a Value, place: &'a str, known: &[&str]) -> Result<Self, ConfigError> {
        let Value::Object(object) = value else { return Err(fault(place, "must be an object")) };
        if let Some((name, _)) = object.iter().find(|(name, _)| !known.contains(name)) {
            // A name is repeated only where it looks like one: anything could have been pasted there.
            let plain = name.len() <= 32 && name.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'_' || b == b'-');
            return Err(if plain { fault(place, format_args!("has no member \"{name}\"")) } else { fault(place, "has an unknown member") });
        }
        Ok(Self { object, place })
    }

    fn fault(&self, name: &str, what: impl fmt::Display) -> ConfigError {
        fault(&format!("{}.{name}", self.place), what)
    }

    fn text(&self, name: &str) -> Result<Option<String>, ConfigError> {
        self.object.get(name).map(|value| text(value).map_err(|what| self.fault(name, what))).transpose()
    }

    fn required_text(&self, name: &str) -> Result<String, ConfigError> {
        self.text(name)?.ok_or_else(|| self.fault(name, "is required"))
    }

    fn number(&self, name: &str, bounds: std::ops::RangeInclusive<u32>, default: u32) -> Result<u32, ConfigError> {
        match self.object.get(name) {
            None => Ok(default),
            Some(Value::Integer(number)) if u32::try_from(*number).is_ok_and(|n| bounds.contains(&n)) => {
                Ok(u32::try_from(*number).unwrap_or(default))
            }
            Some(_) => Err(self.fault(name, format_args!("must be a number from {} to {}", bounds.start(), bounds.end()))),
        }
    }

    fn list(&self, name: &str) -> Result<Option<&'a [Value]>, ConfigError> {
        match self.object.get(name) {
            None => Ok(None),
            Some(Value::List(list)) if list.len() <= MAX_ENTRIES => Ok(Some(list)),
            Some(Value::List(_)) => Err(self.fault(name, format_args!("must have at most {MAX_ENTRIES} entries"))),
            Some(_) => Err(self.fault(name, "must be an array")),
        }
    }
}

/// A text that is compared with claims: not empty, bounded, and of printable characters, as a stray line end would match nothing.
fn text(value: &Value) -> Result<String, &'static str> {
    let text = value.as_text().ok_or("must be a string")?;
    if text.is_empty() {
        return Err("must not be empty");
    }
    if text.len() > MAX_TEXT_BYTES {
        return Err("must have at most 1024 bytes");
    }
    if text.chars().any(char::is_control) {
        return Err("must have no control characters");
    }
    Ok(text.to_owned())
}

fn read_issuer(value: &Value, place: &str) -> Result<IssuerConfig, ConfigError> {
    let section = Section::new(
        value,
        place,
        &[
            "id",
            "issuer",
            "audiences",
            "preset",
            "algorithms",
            "jwks",
            "audience_claim",
            "subject_claim",
            "groups_claim",
            "groups_prefix",
            "token_types",
            "required_claims",
            "leeway_seconds",
            "max_lifetime_seconds",
        ],
    )?;
    let id = IssuerId::new(section.required_text("id")?).map_err(|error| section.fault("id", error))?;
    let issuer = section.required_text("issuer")?;
    let preset = match section.text("preset")? {
        None => None,
        Some(name) => Some(
            Preset::from_name(&name)
                .ok_or_else(|| section.fault("preset", format_args!("must be one of {}", Preset::ALL.map(Preset::as_str).join(", "))))?,
        ),
    };
    let defaults = preset.map_or(GENERAL, Preset::defaults);
    let tenant = match defaults.tenant_claim {
        None => None,
        Some(claim) => Some((
            claim,
            preset::tenant(&issuer).ok_or_else(|| {
                section.fault("issuer", "must name the tenant by its id, so that no other tenant's users are taken for yours")
            })?,
        )),
    };
    Ok(IssuerConfig {
        id,
        audiences: read_audiences(&section)?,
        preset,
        algorithms: read_algorithms(&section)?,
        keys: read_key_source(&section, &issuer)?,
        audience_claim: section.text("audience_claim")?.unwrap_or_else(|| defaults.audience_claim.into()),
        subject_claim: read_subject_claim(&section, &defaults)?,
        groups: read_groups_claim(&section)?,
        token_types: read_token_types(&section, defaults.token_types)?,
        required_claims: read_required_claims(&section, defaults.required_claims, tenant)?,
        leeway_seconds: section.number("leeway_seconds", 0..=MAX_LEEWAY_SECONDS, DEFAULT_LEEWAY_SECONDS)?,
        max_lifetime_seconds: section.number("max_lifetime_seconds", 1..=LONGEST_MAX_LIFETIME_SECONDS, DEFAULT_MAX_LIFETIME_SECONDS)?,
        issuer,
    })
}

fn read_audiences(section: &Section<'_>) -> Result<Vec<String>, ConfigError> {
    let list = section.list("audiences")?.ok_or_else(|| section.fault("audiences", "is required"))?;
    if list.is_empty() {
        return Err(section.fault("audiences", "must name at least one audience"));
    }
    list.iter().enumerate().map(|(i, value)| text(value).map_err(|what| section.fault(&format!("audiences[{i}]"), what))).collect()
}

fn read_subject_claim(section: &Section<'_>, defaults: &PresetDefaults) -> Result<String, ConfigError> {
    let Some(claim) = section.text("subject_claim")? else { return Ok(defaults.subject_claim.into()) };
    if defaults.never_subjects.contains(&claim.as_str()) {
        return Err(
            section.fault("subject_claim", "must name the user for good: what that claim holds can be changed and given to another")
        );
    }
    Ok(claim)
}

fn read_groups_claim(section: &Section<'_>) -> Result<Option<GroupsClaim>, ConfigError> {
    match (section.text("groups_claim")?, section.text("groups_prefix")?) {
        (Some(name), prefix) => Ok(Some(GroupsClaim { name, prefix: prefix.unwrap_or_default() })),
        (None, None) => Ok(None),
        (None, Some(_)) => Err(section.fault("groups_prefix", "is for groups_claim, which is not there")),
    }
}

fn read_algorithms(section: &Section<'_>) -> Result<Vec<Algorithm>, ConfigError> {
    let Some(list) = section.list("algorithms")? else { return Ok(vec![Algorithm::RS256, Algorithm::ES256]) };
    if list.is_empty() {
        return Err(section.fault("algorithms", "must name at least one algorithm"));
    }
    let mut algorithms = Vec::with_capacity(list.len());
    for (i, value) in list.iter().enumerate() {
        let algorithm = value.as_text().and_then(Algorithm::from_name).ok_or_else(|| {
            let names = Algorithm::ALL.map(Algorithm::as_str).join(", ");
            section.fault(&format!("algorithms[{i}]"), format_args!("must be one of {names}"))
        })?;
        if algorithms.contains(&algorithm) {
            return Err(section.fault(&format!("algorithms[{i}]"), "is named twice"));
        }
        algorithms.push(algorithm);
    }
    Ok(algorithms)
}

fn read_token_types(section: &Section<'_>, default: &[&str]) -> Result<Vec<String>, ConfigError> {
    let Some(list) = section.list("token_types")? else { return Ok(default.iter().map(|t| t.to_ascii_lowercase()).collect()) };
    if list.is_empty() {
        return Err(section.fault("token_types", "must name at least one type, or \"\" for a header without one"));
    }
    let read = |value: &Value| {
        let given = value.as_text().ok_or("must be a string")?;
        let normal = normal_media_type(given);
        let legal = |b: u8| b.is_ascii_graphic() && b != b'"' && b != b'\\';
        // `application/` alone would come out as "", which stands for something else.
        if normal.len() > 127 || !normal.bytes().all(legal) || (normal.is_empty() && !given.is_empty()) {
            return Err("must be a media type");
        }
        Ok(normal.to_ascii_lowercase())
    };
    list.iter().enumerate().map(|(i, value)| read(value).map_err(|what| section.fault(&format!("token_types[{i}]"), what))).collect()
}

/// What is written out replaces a preset's requirement of the same name and leaves the others: an operator who adds a group
/// does not thereby let in ID tokens.
fn read_required_claims(
    section: &Section<'_>,
    default: &[(&str, &[&str])],
    tenant: Option<(&str, &str)>,
) -> Result<Vec<RequiredClaim>, ConfigError> {
    let mut claims: Vec<RequiredClaim> = default
        .iter()
        .map(|(name, values)| RequiredClaim { name: (*name).into(), values: values.iter().map(|v| (*v).into()).collect() })
        .collect();
    claims.extend(tenant.map(|(claim, id)| RequiredClaim { name: claim.into(), values: vec![id.into()] }));
    let Some(value) = section.object.get("required_claims") else { return Ok(claims) };
    let Value::Object(object) = value else { return Err(section.fault("required_claims", "must be an object")) };
    for (i, (name, value)) in object.iter().enumerate() {
        // Claim names are often URLs; the entry's position names it as well, and cannot be anything that was pasted.
        let at = |what: &str| section.fault("required_claims", format_args!("claim {}: {what}", i + 1));
        let name = text(&Value::Text(name.into())).map_err(at)?;
        let values = match value {
            Value::List(list) if list.is_empty() => return Err(at("must have at least one allowed value")),
            Value::List(list) if list.len() > MAX_ENTRIES => return Err(at("must have at most 256 allowed values")),
            Value::List(list) => list.iter().map(ClaimValue::read).collect::<Result<Vec<_>, _>>().map_err(at)?,
            Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::Object(_) => {
                vec![ClaimValue::read(value).map_err(at)?]
            }
        };
        match claims.iter_mut().find(|claim| claim.name == name) {
            Some(claim) => claim.values = values,
            None => claims.push(RequiredClaim { name, values }),
        }
    }
    Ok(claims)
}

fn read_key_source(section: &Section<'_>, issuer: &str) -> Result<KeySource, ConfigError> {
    let Some(value) = section.object.get("jwks") else { return Ok(KeySource::Table) };
    let place = format!("{}.jwks", section.place);
    // Which members there may be depends on the source, so it is read first.
    let source = match value {
        Value::Object(object) => object.get("source").and_then(Value::as_text),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::List(_) => {
            return Err(fault(&place, "must be an object"));
        }
    };
    match source {
        Some("table") => {
            Section::new(value, &place, &["source"])?;
            Ok(KeySource::Table)
        }
        Some("url") => {
            let section = Section::new(value, &place, &["source", "url"])?;
            let url = section.text("url")?;
            match &url {
                Some(url) => endpoint::check(url).map_err(|what| section.fault("url", what))?,
                None => endpoint::check_issuer(issuer)
                    .map_err(|what| section.fault("url", format_args!("is required, as for discovery the issuer {what}")))?,
            }
            Ok(KeySource::Url { url })
        }
        Some("inline") => {
            let section = Section::new(value, &place, &["source", "keys"])?;
            Ok(KeySource::Inline { keys: read_inline_keys(&section)? })
        }
        Some(_) | None => Err(fault(&format!("{place}.source"), "must be one of table, url, inline")),
    }
}

/// Keys are read one by one, as from an issuer: what is pasted here is mostly an issuer's published set, and such sets hold
/// keys for encryption too. Those that are skipped are told when the keys are prepared; a set of which none can be used stops
/// the start.
fn read_inline_keys(section: &Section<'_>) -> Result<KeySet, ConfigError> {
    let list = section.list("keys")?.ok_or_else(|| section.fault("keys", "is required"))?;
    if list.is_empty() || list.len() > MAX_KEYS {
        return Err(section.fault("keys", format_args!("must have 1 to {MAX_KEYS} keys")));
    }
    let keys = KeySet::collect(list.iter().map(|key| match key {
        Value::Object(object) => VerifyingKey::read(object),
        Value::Null | Value::Bool(_) | Value::Integer(_) | Value::Float(_) | Value::Text(_) | Value::List(_) => Err(KeyFault::Unreadable),
    }));
    if keys.is_usable() {
        return Ok(keys);
    }
    Err(match keys.skipped().first() {
        Some(skipped) => {
            section.fault(&format!("keys[{}]", skipped.index), format_args!("{}, and no other key can be used", skipped.fault))
        }
        None => section.fault("keys", "has no kid that names one key"),
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::testing::{Pair, config, issuer_json};

    const MINIMAL: &str = r#""id":"main","issuer":"https://idp.example","audiences":["a"]"#;

    fn error(json: &str) -> String {
        parse_issuers(json).err().map_or_else(|| "accepted".into(), |error| error.to_string())
    }

    /// The error of the minimal issuer with further members.
    fn error_with(more: &str) -> String {
        error(&format!("[{{{MINIMAL}{more}}}]"))
    }

    #[test]
    fn defaults_are_those_of_the_contract() {
        let issuer = config(&format!("{{{MINIMAL}}}"));
        assert_eq!((issuer.id.as_str(), issuer.issuer.as_str(), &issuer.audiences[..]), ("main", "https://idp.example", &["a".into()][..]));
        assert_eq!(issuer.preset, None);
        assert_eq!(issuer.algorithms, [Algorithm::RS256, Algorithm::ES256]);
        assert!(matches!(issuer.keys, KeySource::Table));
        assert_eq!((issuer.audience_claim.as_str(), issuer.subject_claim.as_str()), ("aud", "sub"));
        assert_eq!(issuer.groups, None);
        assert_eq!(issuer.token_types, ["", "jwt", "at+jwt"]);
        assert!(issuer.required_claims.is_empty());
        assert_eq!((issuer.leeway_seconds, issuer.max_lifetime_seconds), (30, 86_400));
        assert_eq!(issuer.discovery_url().as_deref(), Some("https://idp.example/.well-known/openid-configuration"));
    }

    #[test]
    fn everything_can_be_written_out() {
        let issuer = config(
            r#"{"id":"a-1","issuer":"https://idp.example/t/","audiences":["x","y"],"preset":"ping","algorithms":["EdDSA","PS256"],
                "jwks":{"source":"url","url":"http://localhost:8080/keys"},"audience_claim":"client_id","subject_claim":"oid",
                "groups_claim":"cognito:groups","groups_prefix":"sagemaker-",
                "token_types":["application/AT+JWT",""],"required_claims":{"acr":"2","https://x/groups":["a","b"]},
                "leeway_seconds":0,"max_lifetime_seconds":600}"#,
        );
        assert_eq!(issuer.preset, Some(Preset::Ping));
        assert_eq!(issuer.algorithms, [Algorithm::EdDSA, Algorithm::PS256]);
        assert!(matches!(&issuer.keys, KeySource::Url { url: Some(url) } if url == "http://localhost:8080/keys"));
        assert_eq!(issuer.groups, Some(GroupsClaim { name: "cognito:groups".into(), prefix: "sagemaker-".into() }));
        assert_eq!(issuer.token_types, ["at+jwt", ""]);
        assert_eq!(issuer.required_claims.len(), 2);
        assert_eq!(issuer.required_claims[0], RequiredClaim { name: "acr".into(), values: vec!["2".into()] });
        assert_eq!((issuer.leeway_seconds, issuer.max_lifetime_seconds), (0, 600));
        assert_eq!(issuer.discovery_url().as_deref(), Some("https://idp.example/t/.well-known/openid-configuration"));
    }

    #[test]
    fn an_error_says_where_and_what() {
        for (json, expected) in [
            ("", "not JSON at line 1 column 0"),
            ("{}", "must be a JSON array of issuers"),
            ("[]", "must name at least one issuer"),
            ("[1]", "[0]: must be an object"),
            ("[{}]", "[0].id: is required"),
            (r#"[{"id":"A"}]"#, "[0].id: an issuer id is 1 to 32 of a-z, 0-9 and -"),
            (r#"[{"id":"a"}]"#, "[0].issuer: is required"),
            (r#"[{"id":"a","issuer":""}]"#, "[0].issuer: must not be empty"),
            (r#"[{"id":"a","issuer":"x\n"}]"#, "[0].issuer: must have no control characters"),
            (r#"[{"id":"a","issuer":"x"}]"#, "[0].audiences: is required"),
            (r#"[{"id":"a","id":"b"}]"#, "a member is named twice at line 1 column 15"),
        ] {
            assert_eq!(error(json), expected, "{json}");
        }
        for (more, expected) in [
            (r#","audience":"x""#, "[0]: has no member \"audience\""),
            (r#","eyJhbGciOiJSUzI1NiJ9.eyJzdWIiOiJ4In0.c2ln":1"#, "[0]: has an unknown member"),
            (r#","preset":"google""#, "[0].preset: must be one of okta, entra, cognito, auth0, ping, keycloak"),
            (r#","preset":null"#, "[0].preset: must be a string"),
            (r#","algorithms":[]"#, "[0].algorithms: must name at least one algorithm"),
            (r#","algorithms":"RS256""#, "[0].algorithms: must be an array"),
            (r#","algorithms":["RS256","HS256"]"#, "[0].algorithms[1]: must be one of RS256, ES256, PS256, ES384, EdDSA"),
            (r#","algorithms":["none"]"#, "[0].algorithms[0]: must be one of RS256, ES256, PS256, ES384, EdDSA"),
            (r#","algorithms":["RS256","RS256"]"#, "[0].algorithms[1]: is named twice"),
            (r#","leeway_seconds":61"#, "[0].leeway_seconds: must be a number from 0 to 60"),
            (r#","leeway_seconds":-1"#, "[0].leeway_seconds: must be a number from 0 to 60"),
            (r#","leeway_seconds":"30""#, "[0].leeway_seconds: must be a number from 0 to 60"),
            (r#","leeway_seconds":30.5"#, "[0].leeway_seconds: must be a number from 0 to 60"),
            (r#","max_lifetime_seconds":0"#, "[0].max_lifetime_seconds: must be a number from 1 to 2592000"),
            (r#","audience_claim":"""#, "[0].audience_claim: must not be empty"),
            (r#","subject_claim":["sub"]"#, "[0].subject_claim: must be a string"),
            (r#","groups_claim":"""#, "[0].groups_claim: must not be empty"),
            (r#","groups_claim":["groups"]"#, "[0].groups_claim: must be a string"),
            (r#","groups_claim":"groups","groups_prefix":"""#, "[0].groups_prefix: must not be empty"),
            (r#","groups_prefix":"a""#, "[0].groups_prefix: is for groups_claim, which is not there"),
            (r#","token_types":[]"#, "[0].token_types: must name at least one type, or \"\" for a header without one"),
            (r#","token_types":["a b"]"#, "[0].token_types[0]: must be a media type"),
            (r#","token_types":["application/"]"#, "[0].token_types[0]: must be a media type"),
            (r#","required_claims":[]"#, "[0].required_claims: must be an object"),
            (r#","required_claims":{"a":"b","c":[]}"#, "[0].required_claims: claim 2: must have at least one allowed value"),
            (r#","required_claims":{"a":null}"#, "[0].required_claims: claim 1: must be a string, a boolean or a whole number"),
            (r#","required_claims":{"a":["b",1.5]}"#, "[0].required_claims: claim 1: must be a string, a boolean or a whole number"),
            (r#","required_claims":{"":"b"}"#, "[0].required_claims: claim 1: must not be empty"),
            (r#","jwks":"table""#, "[0].jwks: must be an object"),
            (r#","jwks":{}"#, "[0].jwks.source: must be one of table, url, inline"),
            (r#","jwks":{"source":"file"}"#, "[0].jwks.source: must be one of table, url, inline"),
            (r#","jwks":{"source":"table","url":"https://x"}"#, "[0].jwks: has no member \"url\""),
            (
                r#","jwks":{"source":"url","url":"http://idp.example/keys"}"#,
                "[0].jwks.url: must be https: http is for loopback hosts alone",
            ),
            (r#","jwks":{"source":"url","url":"keys"}"#, "[0].jwks.url: must begin with https://"),
            (r#","jwks":{"source":"inline"}"#, "[0].jwks.keys: is required"),
            (r#","jwks":{"source":"inline","keys":[]}"#, "[0].jwks.keys: must have 1 to 100 keys"),
            (r#","jwks":{"source":"inline","keys":[1]}"#, "[0].jwks.keys[0]: unreadable, and no other key can be used"),
            (
                r#","jwks":{"source":"inline","keys":[{"kty":"oct","kid":"k","k":"c2VjcmV0"}]}"#,
                "[0].jwks.keys[0]: has secret parts, and no other key can be used",
            ),
        ] {
            assert_eq!(error_with(more), expected, "{more}");
        }
        assert_eq!(error(r#"[{"id":"a","issuer":"x","audiences":[]}]"#), "[0].audiences: must name at least one audience");
        assert_eq!(error(r#"[{"id":"a","issuer":"x","audiences":["y",""]}]"#), "[0].audiences[1]: must not be empty");
        assert_eq!(
            error(r#"[{"id":"a","issuer":"idp","audiences":["y"],"jwks":{"source":"url"}}]"#),
            "[0].jwks.url: is required, as for discovery the issuer must begin with https://"
        );
    }

    #[test]
    fn what_is_written_is_bounded() {
        let text = |bytes: usize| "x".repeat(bytes);
        let list = |entries: usize| format!("[{}]", vec![r#""JWT""#; entries].join(","));
        for (member, most, what) in [
            ("audience_claim", text(1024), None),
            ("audience_claim", text(1025), Some("must have at most 1024 bytes")),
            ("token_types", text(127), None),
            ("token_types", text(128), Some("[0]: must be a media type")),
        ] {
            let value = if member == "token_types" { format!(r#"["{most}"]"#) } else { format!(r#""{most}""#) };
            let expected = what.map_or_else(
                || "accepted".to_owned(),
                |what| format!("[0].{member}{}{what}", if what.starts_with('[') { "" } else { ": " }),
            );
            assert_eq!(error_with(&format!(r#","{member}":{value}"#)), expected);
        }
        let required = |entries: usize| format!(r#","required_claims":{{"c":{}}}"#, list(entries));
        assert_eq!(error_with(&format!(r#","token_types":{}"#, list(256))), "accepted");
        assert_eq!(error_with(&format!(r#","token_types":{}"#, list(257))), "[0].token_types: must have at most 256 entries");
        assert_eq!(error_with(&required(256)), "accepted");
        assert_eq!(error_with(&required(257)), "[0].required_claims: claim 1: must have at most 256 allowed values");
        let keys = |keys: usize| error(&format!("[{}]", issuer_json(&vec![Pair::p256().jwk("a", ""); keys], "")));
        // They share an id, so none of them can be used: but they have been read.
        assert_eq!(keys(MAX_KEYS), "[0].jwks.keys: has no kid that names one key");
        assert_eq!(keys(MAX_KEYS + 1), format!("[0].jwks.keys: must have 1 to {MAX_KEYS} keys"));
        assert_eq!(keys(0), format!("[0].jwks.keys: must have 1 to {MAX_KEYS} keys"));
    }

    #[test]
    fn no_two_issuers_share_an_id_or_a_name() {
        let issuer = |id: &str, issuer: &str| format!(r#"{{"id":"{id}","issuer":"{issuer}","audiences":["a"]}}"#);
        let two = |a: String, b: String| error(&format!("[{a},{b}]"));
        assert_eq!(two(issuer("a", "x"), issuer("b", "y")), "accepted");
        assert_eq!(two(issuer("a", "x"), issuer("b", "X")), "accepted", "names are compared byte for byte");
        assert_eq!(two(issuer("a", "x"), issuer("a", "y")), "[1].id: is already that of [0]");
        assert_eq!(two(issuer("a", "x"), issuer("b", "x")), "[1].issuer: is already that of [0]");
        let many: Vec<_> = (0..=MAX_ISSUERS).map(|i| issuer(&format!("i{i}"), &format!("x{i}"))).collect();
        assert_eq!(error(&format!("[{}]", many[..MAX_ISSUERS].join(","))), "accepted");
        assert_eq!(error(&format!("[{}]", many.join(","))), "must name at most 64 issuers");
    }

    #[test]
    fn inline_keys_are_read_one_by_one() {
        let keys = |keys: &[String]| match config(&issuer_json(keys, "")).keys {
            KeySource::Inline { keys } => (keys.keys().len(), keys.skipped().len()),
            KeySource::Table | KeySource::Url { .. } => panic!("inline"),
        };
        let good = Pair::rsa(0).jwk("a", "");
        assert_eq!(keys(&[good.clone(), Pair::p256().jwk("b", "")]), (2, 0));
        assert_eq!(keys(&[Pair::p256().jwk("b", r#","use":"enc""#), good.clone(), Pair::p256().jwk("c", r#","d":"x""#)]), (1, 2));
        let error = |keys: &[String]| error(&format!("[{}]", issuer_json(keys, "")));
        assert_eq!(error(&[good, Pair::p256().jwk("a", "")]), "[0].jwks.keys: has no kid that names one key");
        let (key, canary) = (Pair::rsa(0).jwk("a", r#","use":"enc""#), "AQAB");
        assert!(!error(&[key]).contains(canary), "no key material in an error");
    }

    proptest! {
        #[test]
        fn any_text_is_read_or_refused_in_one_line(text in "\\PC{0,100}|[\\[\\]{}:,\"a-z0-9 ]{0,60}") {
            if let Err(error) = parse_issuers(&text) {
                prop_assert!(!error.to_string().contains('\n'));
            }
        }
    }
}
