//! A grant: one row of the table, read strictly.
//!
//! A row that cannot be read as a whole is not a grant. An attribute that is not known is such a case too: `enable` for
//! `enabled` would otherwise open a door that somebody meant to close. Attributes that begin with `x_` are the operator's
//! own and are passed over.

use std::collections::BTreeMap;
use std::fmt;

use crate::clock::Timestamp;
use crate::item::{Item, Value};
use crate::names::{
    AccountId, DomainId, ExternalId, InvalidName, LandingName, LandingUri, Region, RoleArn, SpaceName, TargetName, UserProfileName,
};
use crate::target::{Kind, Target};

/// What the sort key of every grant begins with; the target's name follows.
pub const GRANT_SORT_KEY_PREFIX: &str = "TARGET#";

/// Bounds of `url_seconds` (`ExpiresInSeconds` of `CreatePresignedDomainUrl`).
pub const URL_SECONDS: std::ops::RangeInclusive<u32> = 5..=300;

/// Bounds of `session_seconds` (`SessionExpirationDurationInSeconds` of `CreatePresignedDomainUrl`).
pub const SESSION_SECONDS: std::ops::RangeInclusive<u32> = 1800..=43200;

/// What one user was granted: a target, and the terms on which it opens.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Grant {
    /// The name by which the portal asks for it.
    pub name: TargetName,
    /// What it opens.
    pub target: Target,
    /// The region of the target; absent, the function's own.
    pub region: Option<Region>,
    /// The account of the target; absent, the issuing role's.
    pub account_id: Option<AccountId>,
    /// The issuing role; absent, the configured one.
    pub role_arn: Option<RoleArn>,
    /// The external id that the issuing role's trust asks for.
    pub external_id: Option<ExternalId>,
    /// Whether it may be used at all.
    pub enabled: bool,
    /// Whether it is meant when no target is named.
    pub default: bool,
    /// The first moment at which it may be used.
    pub not_before: Option<Timestamp>,
    /// The first moment at which it may no longer be used.
    pub expires_at: Option<Timestamp>,
    /// Lowers the life of a URL.
    pub url_seconds: Option<u32>,
    /// Lowers the life of the session that a URL opens.
    pub session_seconds: Option<u32>,
    /// Places to land in, by name.
    pub landings: BTreeMap<LandingName, Landing>,
    /// The landing that is meant when none is named.
    pub landing: Option<LandingName>,
}

/// A place to land in within a Studio domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landing {
    /// What Studio opens first.
    pub landing_uri: Option<LandingUri>,
    /// The space that it opens in.
    pub space_name: Option<SpaceName>,
}

/// Why a row is not a grant: the attribute, and what is wrong with it. Holds nothing of the row's values.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantDefect {
    /// The attribute; for one that is not known, its name made printable and cut short.
    pub attribute: String,
    /// What a legal value is.
    pub problem: &'static str,
}

impl fmt::Display for GrantDefect {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.attribute, self.problem)
    }
}

impl std::error::Error for GrantDefect {}

fn defect(attribute: &str, problem: &'static str) -> GrantDefect {
    let printable = attribute.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    GrantDefect { attribute: printable, problem }
}

/// Attributes that any grant can have besides its kind's own.
const COMMON: [&str; 18] = [
    "pk",
    "sk",
    "kind",
    "region",
    "account_id",
    "role_arn",
    "external_id",
    "enabled",
    "default",
    "not_before",
    "expires_at",
    "url_seconds",
    "session_seconds",
    "landings",
    "landing",
    "note",
    "updated_at",
    "updated_by",
];

/// When DynamoDB may delete an item. It deletes late, so a reader treats the item as gone from that moment on.
const TTL: &str = "ttl";

impl Grant {
    /// Reads the grant `name` from its row.
    ///
    /// # Errors
    /// The first attribute that is missing, not known, of the wrong type or out of its bounds.
    pub fn from_item(name: TargetName, item: &Item) -> Result<Self, GrantDefect> {
        let row = Row(item);
        let kind = row.string("kind")?.ok_or_else(|| defect("kind", "is missing"))?;
        let kind = Kind::named(kind).ok_or_else(|| defect("kind", "is not a kind that this version knows"))?;
        if let Some(unknown) = item.keys().find(|key| !is_known(key, kind)) {
            return Err(defect(unknown, "is not an attribute of a grant of this kind (own attributes begin with x_)"));
        }
        let target = match kind {
            Kind::Studio => Target::Studio {
                domain_id: row.required("domain_id", DomainId::new)?,
                user_profile_name: row.required("user_profile_name", UserProfileName::new)?,
            },
        };
        let grant = Self {
            name,
            target,
            region: row.optional("region", Region::new)?,
            account_id: row.optional("account_id", AccountId::new)?,
            role_arn: row.optional("role_arn", RoleArn::new)?,
            external_id: row.optional("external_id", ExternalId::new)?,
            enabled: row.boolean("enabled")?.unwrap_or(true),
            default: row.boolean("default")?.unwrap_or(false),
            not_before: row.time("not_before")?,
            expires_at: earlier(row.time("expires_at")?, row.time(TTL)?),
            url_seconds: row.seconds("url_seconds", &URL_SECONDS, "is a whole number of seconds from 5 to 300")?,
            session_seconds: row.seconds("session_seconds", &SESSION_SECONDS, "is a whole number of seconds from 1800 to 43200")?,
            landings: row.landings()?,
            landing: row.optional("landing", LandingName::new)?,
        };
        grant.check_whole()?;
        Ok(grant)
    }

    /// The rules that tie attributes to each other.
    fn check_whole(&self) -> Result<(), GrantDefect> {
        if !self.target.kind().has_landings() && (!self.landings.is_empty() || self.landing.is_some()) {
            return Err(defect("landings", "are for kinds that have landings"));
        }
        if let Some(landing) = &self.landing
            && !self.landings.contains_key(landing)
        {
            return Err(defect("landing", "names none of the landings"));
        }
        if let (Some(account), Some(role)) = (&self.account_id, &self.role_arn)
            && account.as_str() != role.account_id()
        {
            return Err(defect("account_id", "is not the account of role_arn"));
        }
        if let (Some(from), Some(until)) = (self.not_before, self.expires_at)
            && from >= until
        {
            return Err(defect("expires_at", "is not after not_before"));
        }
        Ok(())
    }

    /// The row for this grant, without its keys. Reading it gives the grant back.
    pub fn to_item(&self) -> Item {
        let mut item = Item::new();
        let mut put = |name: &str, value: Value| {
            item.insert(name.to_owned(), value);
        };
        let text = |s: &str| Value::S(s.to_owned());
        put("kind", text(self.target.kind().as_str()));
        match &self.target {
            Target::Studio { domain_id, user_profile_name } => {
                put("domain_id", text(domain_id.as_str()));
                put("user_profile_name", text(user_profile_name.as_str()));
            }
        }
        if let Some(region) = &self.region {
            put("region", text(region.as_str()));
        }
        if let Some(account_id) = &self.account_id {
            put("account_id", text(account_id.as_str()));
        }
        if let Some(role_arn) = &self.role_arn {
            put("role_arn", text(role_arn.as_str()));
        }
        if let Some(external_id) = &self.external_id {
            put("external_id", text(external_id.as_str()));
        }
        put("enabled", Value::Bool(self.enabled));
        put("default", Value::Bool(self.default));
        if let Some(not_before) = self.not_before {
            put("not_before", Value::N(not_before.unix_seconds().to_string()));
        }
        if let Some(expires_at) = self.expires_at {
            put("expires_at", Value::N(expires_at.unix_seconds().to_string()));
        }
        if let Some(seconds) = self.url_seconds {
            put("url_seconds", Value::N(seconds.to_string()));
        }
        if let Some(seconds) = self.session_seconds {
            put("session_seconds", Value::N(seconds.to_string()));
        }
        if !self.landings.is_empty() {
            let landings = self.landings.iter().map(|(name, landing)| (name.as_str().to_owned(), Value::M(landing.to_item()))).collect();
            put("landings", Value::M(landings));
        }
        if let Some(landing) = &self.landing {
            put("landing", text(landing.as_str()));
        }
        item
    }
}

impl Landing {
    fn to_item(&self) -> Item {
        let mut item = Item::new();
        if let Some(uri) = &self.landing_uri {
            item.insert("landing_uri".to_owned(), Value::S(uri.as_str().to_owned()));
        }
        if let Some(space) = &self.space_name {
            item.insert("space_name".to_owned(), Value::S(space.as_str().to_owned()));
        }
        item
    }
}

fn is_known(attribute: &str, kind: Kind) -> bool {
    COMMON.contains(&attribute) || attribute == TTL || attribute.starts_with("x_") || kind.attributes().contains(&attribute)
}

fn earlier(a: Option<Timestamp>, b: Option<Timestamp>) -> Option<Timestamp> {
    match (a, b) {
        (Some(a), Some(b)) => Some(a.min(b)),
        (one, other) => one.or(other),
    }
}

/// The value of `default` in a row that is not otherwise a grant, so that a broken default is still known to be one.
pub(crate) fn claims_default(item: &Item) -> bool {
    item.get("default") == Some(&Value::Bool(true))
}

/// Typed access to a row's attributes.
struct Row<'a>(&'a Item);

impl<'a> Row<'a> {
    fn string(&self, attribute: &str) -> Result<Option<&'a str>, GrantDefect> {
        match self.0.get(attribute) {
            None => Ok(None),
            Some(Value::S(text)) => Ok(Some(text)),
            Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::Other(_)) => Err(defect(attribute, "is a string (S)")),
        }
    }

    fn optional<T>(&self, attribute: &str, parse: impl Fn(&'a str) -> Result<T, InvalidName>) -> Result<Option<T>, GrantDefect> {
        self.string(attribute)?.map(|text| parse(text).map_err(|InvalidName(rule)| defect(attribute, rule))).transpose()
    }

    fn required<T>(&self, attribute: &str, parse: impl Fn(&'a str) -> Result<T, InvalidName>) -> Result<T, GrantDefect> {
        self.optional(attribute, parse)?.ok_or_else(|| defect(attribute, "is missing"))
    }

    fn boolean(&self, attribute: &str) -> Result<Option<bool>, GrantDefect> {
        match self.0.get(attribute) {
            None => Ok(None),
            Some(Value::Bool(value)) => Ok(Some(*value)),
            Some(Value::S(_) | Value::N(_) | Value::M(_) | Value::Other(_)) => Err(defect(attribute, "is a truth value (BOOL)")),
        }
    }

    fn number(&self, attribute: &str, problem: &'static str) -> Result<Option<i64>, GrantDefect> {
        match self.0.get(attribute) {
            None => Ok(None),
            Some(Value::N(text)) => text.parse().map(Some).map_err(|_| defect(attribute, problem)),
            Some(Value::S(_) | Value::Bool(_) | Value::M(_) | Value::Other(_)) => Err(defect(attribute, problem)),
        }
    }

    fn time(&self, attribute: &str) -> Result<Option<Timestamp>, GrantDefect> {
        // 9999-12-31T23:59:59Z. More is milliseconds given as seconds, which would be a grant for ever.
        const LAST: i64 = 253_402_300_799;
        let problem = "is a whole number (N) of seconds since 1970-01-01T00:00:00Z";
        match self.number(attribute, problem)? {
            Some(seconds) if (0..=LAST).contains(&seconds) => Ok(Some(Timestamp::from_unix_seconds(seconds))),
            Some(_) => Err(defect(attribute, problem)),
            None => Ok(None),
        }
    }

    fn seconds(&self, attribute: &str, bounds: &std::ops::RangeInclusive<u32>, problem: &'static str) -> Result<Option<u32>, GrantDefect> {
        match self.number(attribute, problem)? {
            None => Ok(None),
            Some(number) => match u32::try_from(number) {
                Ok(seconds) if bounds.contains(&seconds) => Ok(Some(seconds)),
                Ok(_) | Err(_) => Err(defect(attribute, problem)),
            },
        }
    }

    fn landings(&self) -> Result<BTreeMap<LandingName, Landing>, GrantDefect> {
        let map = match self.0.get("landings") {
            None => return Ok(BTreeMap::new()),
            Some(Value::M(map)) => map,
            Some(Value::S(_) | Value::N(_) | Value::Bool(_) | Value::Other(_)) => {
                return Err(defect("landings", "is a map (M) of landings by name"));
            }
        };
        let mut landings = BTreeMap::new();
        for (name, value) in map {
            let name = LandingName::new(name.as_str()).map_err(|_| defect("landings", "has a name that is not a landing's name"))?;
            let Value::M(attributes) = value else { return Err(defect("landings", "has a landing that is not a map (M)")) };
            if attributes.keys().any(|key| key != "landing_uri" && key != "space_name") {
                return Err(defect("landings", "has a landing with other attributes than landing_uri and space_name"));
            }
            let landing = Row(attributes);
            let landing = Landing {
                landing_uri: landing.optional("landing_uri", LandingUri::new)?,
                space_name: landing.optional("space_name", SpaceName::new)?,
            };
            landings.insert(name, landing);
        }
        Ok(landings)
    }
}
