//! A grant: one row of the table, read strictly.
//!
//! A row that cannot be read as a whole is not a grant. An attribute that is not known is such a case too: `enable` for
//! `enabled` would otherwise open a door that somebody meant to close. Attributes that begin with `x_` are the operator's
//! own and are passed over.

use std::collections::BTreeMap;

use crate::clock::Timestamp;
use crate::item::{Item, Value};
use crate::names::{AccountId, ExternalId, LandingName, LandingUri, Region, RoleArn, SpaceName, TargetName};
use crate::provision::Provision;
pub use crate::row::GrantDefect;
use crate::row::{Row, defect};
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
    /// How the target is made when its user comes for the first time; absent, it has to be there.
    pub provision: Option<Provision>,
}

/// A place to land in within a Studio domain.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Landing {
    /// What Studio opens first.
    pub landing_uri: Option<LandingUri>,
    /// The space that it opens in.
    pub space_name: Option<SpaceName>,
}

/// Attributes that any grant can have besides its kind's own.
const COMMON: [&str; 19] = [
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
    "provision",
    "note",
    "updated_at",
    "updated_by",
];

/// When DynamoDB may delete an item. It deletes late, so from that moment on the grant has expired, whether it is still there or not.
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
        let target = kind.read(&row)?;
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
            landings: landings(&row)?,
            landing: row.optional("landing", LandingName::new)?,
            provision: provision(&row)?,
        };
        grant.check_whole()?;
        Ok(grant)
    }

    /// The rules that tie attributes to each other.
    fn check_whole(&self) -> Result<(), GrantDefect> {
        let kind = self.target.kind();
        if !kind.has_landings() && (!self.landings.is_empty() || self.landing.is_some()) {
            return Err(defect("landings", "are for kinds that have landings"));
        }
        if let Some(landing) = &self.landing
            && !self.landings.contains_key(landing)
        {
            return Err(defect("landing", "names none of the landings"));
        }
        if self.provision.is_some() && !kind.can_be_provisioned() {
            return Err(defect("provision", "is for kinds that can be made at first login"));
        }
        self.check_place()?;
        self.check_provision()?;
        if let (Some(from), Some(until)) = (self.not_before, self.expires_at)
            && from >= until
        {
            return Err(defect("expires_at", "is not after not_before"));
        }
        Ok(())
    }

    /// That whatever says where the target is says the same.
    fn check_place(&self) -> Result<(), GrantDefect> {
        let (of_target, of_role) = (self.target.account_id(), self.role_arn.as_ref().map(RoleArn::account_id));
        if let (Some(region), Some(own)) = (&self.region, self.target.region())
            && *region != own
        {
            return Err(defect("region", "is not the region of arn"));
        }
        if let Some(account) = self.account_id.as_ref().map(AccountId::as_str) {
            if of_target.is_some_and(|own| own != account) {
                return Err(defect("account_id", "is not the account of arn"));
            }
            if of_role.is_some_and(|own| own != account) {
                return Err(defect("account_id", "is not the account of role_arn"));
            }
        }
        if let (Some(of_role), Some(of_target)) = (of_role, of_target)
            && of_role != of_target
        {
            return Err(defect("role_arn", "is not of the account of arn"));
        }
        if let (Some(role), Some(region)) = (&self.role_arn, self.own_region())
            && role.partition() != region.partition()
        {
            return Err(defect("role_arn", "is not of the partition of the target's region"));
        }
        Ok(())
    }

    /// That the roles of `provision` are where the target is, as far as the row says where that is.
    fn check_provision(&self) -> Result<(), GrantDefect> {
        let Some(provision) = &self.provision else { return Ok(()) };
        let (account, partition) = (self.own_account(), self.own_region().map(|region| region.partition()));
        let roles = [("execution_role_arn", Some(&provision.execution_role_arn)), ("role_arn", provision.role_arn.as_ref())];
        for (name, role) in roles.into_iter().filter_map(|(name, role)| Some((name, role?))) {
            if account.is_some_and(|account| account != role.account_id()) {
                return Err(defect(&format!("provision.{name}"), "is not of the target's account"));
            }
            if partition.is_some_and(|partition| partition != role.partition()) {
                return Err(defect(&format!("provision.{name}"), "is not of the partition of the target's region"));
            }
        }
        Ok(())
    }

    /// The region, where the grant or its target says so.
    pub fn own_region(&self) -> Option<Region> {
        self.region.clone().or_else(|| self.target.region())
    }

    /// The account, where the grant, its target or its role says so.
    pub fn own_account(&self) -> Option<&str> {
        let account = self.account_id.as_ref().map(AccountId::as_str);
        account.or_else(|| self.target.account_id()).or_else(|| self.role_arn.as_ref().map(RoleArn::account_id))
    }

    /// Whether these two may be for one and the same door. Where one does not say its region or account, it could be the other's.
    pub fn may_open_the_same_door(&self, other: &Self) -> bool {
        let agree = |differ: Option<bool>| differ != Some(true);
        let regions = self.own_region().zip(other.own_region()).map(|(own, others)| own != others);
        let accounts = self.own_account().zip(other.own_account()).map(|(own, others)| own != others);
        self.target.is_same_as(&other.target) && agree(regions) && agree(accounts)
    }

    /// Whether it opens the same as another on the same terms, whoever may use which of them until when.
    pub fn opens_as(&self, other: &Self) -> bool {
        let bare = |grant: &Self| Self { enabled: true, default: false, not_before: None, expires_at: None, ..grant.clone() };
        bare(self) == bare(other)
    }

    /// The row for this grant, without its keys. Reading it gives the grant back.
    pub fn to_item(&self) -> Item {
        let mut item = Item::new();
        let mut put = |name: &str, value: Value| {
            item.insert(name.to_owned(), value);
        };
        let text = |s: &str| Value::S(s.to_owned());
        put("kind", text(self.target.kind().as_str()));
        for (name, value) in self.target.attributes() {
            put(name, text(value));
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
        if let Some(provision) = &self.provision {
            put("provision", Value::M(provision.to_item()));
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

/// The attributes that a grant's row can have, of whatever kind, without the keys and the operator's own: what says what it
/// opens first, then the terms.
pub fn attribute_names() -> Vec<&'static str> {
    let common = || COMMON.into_iter().filter(|name| !matches!(*name, "pk" | "sk"));
    let mut names: Vec<&'static str> = common().take(1).collect();
    for name in Kind::ALL.iter().flat_map(|kind| kind.attributes()).copied().chain(common().skip(1)).chain([TTL]) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
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

fn landings(row: &Row<'_>) -> Result<BTreeMap<LandingName, Landing>, GrantDefect> {
    let mut landings = BTreeMap::new();
    for (name, value) in row.map("landings", "is a map (M) of landings by name")?.into_iter().flatten() {
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

fn provision(row: &Row<'_>) -> Result<Option<Provision>, GrantDefect> {
    let Some(map) = row.map("provision", "is a map (M)")? else { return Ok(None) };
    Provision::from_item(map).map(Some).map_err(|inner| defect(&format!("provision.{}", inner.attribute), inner.problem))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text(s: &str) -> Value {
        Value::S(s.to_owned())
    }

    fn studio(more: &[(&str, Value)]) -> Item {
        let mut item = Item::from([
            ("pk".to_owned(), text("SUBJECT#a#b")),
            ("sk".to_owned(), text("TARGET#t")),
            ("kind".to_owned(), text("studio")),
            ("domain_id".to_owned(), text("d-abc")),
            ("user_profile_name".to_owned(), text("jane")),
        ]);
        item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        item
    }

    fn read(item: &Item) -> Result<Grant, GrantDefect> {
        Grant::from_item(TargetName::new("t").unwrap(), item)
    }

    fn defective_attribute(more: &[(&str, Value)]) -> String {
        read(&studio(more)).unwrap_err().attribute
    }

    #[test]
    fn the_least_grant_is_enabled_and_takes_the_brokers_terms() {
        let grant = read(&studio(&[])).unwrap();
        assert!(grant.enabled && !grant.default);
        assert_eq!((grant.region, grant.url_seconds, grant.session_seconds, grant.landing), (None, None, None, None));
    }

    #[test]
    fn a_missing_attribute_is_named() {
        for missing in ["kind", "domain_id", "user_profile_name"] {
            let mut item = studio(&[]);
            item.remove(missing);
            let defect = read(&item).unwrap_err();
            assert_eq!((defect.attribute.as_str(), defect.problem), (missing, "is missing"));
        }
    }

    #[test]
    fn nothing_is_guessed_at() {
        // A misspelt attribute, one of another kind, a wrong type, a value out of its bounds.
        for (name, value) in [
            ("enable", Value::Bool(false)),
            ("Enabled", Value::Bool(false)),
            ("notebook_instance_name", text("nb")),
            ("enabled", text("false")),
            ("enabled", Value::N("0".into())),
            ("enabled", Value::Other("NULL")),
            ("default", text("true")),
            ("kind", text("Studio")),
            ("kind", Value::Bool(true)),
            ("domain_id", text("")),
            ("user_profile_name", text("jane@example.com")),
            ("region", text("eu-central-1.evil.example")),
            ("account_id", Value::N("123456789012".into())),
            ("role_arn", text("arn:aws:iam::123456789012:user/x")),
            ("external_id", text("x")),
            ("expires_at", text("1900000000")),
            ("expires_at", Value::N("1.5".into())),
            ("expires_at", Value::N("1E9".into())),
            ("expires_at", Value::N("1900000000000".into())),
            ("not_before", Value::N("-1".into())),
            ("url_seconds", Value::N("4".into())),
            ("url_seconds", Value::N("301".into())),
            ("session_seconds", Value::N("1799".into())),
            ("session_seconds", Value::N("43201".into())),
            ("landings", text("x")),
            ("landing", text("nowhere")),
            ("ttl", text("soon")),
        ] {
            assert_eq!(defective_attribute(&[(name, value.clone())]), name, "{value:?}");
        }
    }

    #[test]
    fn own_attributes_and_notes_are_passed_over() {
        assert!(
            read(&studio(&[
                ("x_ticket", text("CHG-1")),
                ("note", Value::Bool(true)),
                ("updated_at", Value::N("1".into())),
                ("updated_by", text("ops"))
            ]))
            .is_ok()
        );
    }

    #[test]
    fn landings_are_read_whole_or_not_at_all() {
        let landing = |attributes: &[(&str, Value)]| Value::M(attributes.iter().map(|(k, v)| ((*k).to_owned(), v.clone())).collect());
        let landings = |name: &str, value: Value| ("landings", Value::M(Item::from([(name.to_owned(), value)])));
        let good = landing(&[("landing_uri", text("app:JupyterLab:lab")), ("space_name", text("team"))]);
        let grant = read(&studio(&[landings("lab", good.clone()), ("landing", text("lab"))])).unwrap();
        assert_eq!(grant.landings.len(), 1);
        for bad in [
            landings("not a name", good),
            landings("lab", text("studio::")),
            landings("lab", landing(&[("landing_uri", text("https://evil.example"))])),
            landings("lab", landing(&[("space_name", text("-"))])),
            landings("lab", landing(&[("landing", text("studio::"))])),
        ] {
            assert!(read(&studio(&[bad])).is_err());
        }
    }

    #[test]
    fn attributes_agree_with_each_other() {
        let role = ("role_arn", text("arn:aws:iam::111122223333:role/x"));
        assert!(read(&studio(&[role.clone(), ("account_id", text("111122223333"))])).is_ok());
        assert_eq!(defective_attribute(&[role, ("account_id", text("444455556666"))]), "account_id");
        assert_eq!(defective_attribute(&[("not_before", Value::N("5".into())), ("expires_at", Value::N("5".into()))]), "expires_at");
    }

    fn of_kind(kind: &str, more: &[(&str, Value)]) -> Result<Grant, String> {
        let mut item = Item::from([("kind".to_owned(), text(kind))]);
        item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        read(&item).map_err(|defect| defect.attribute)
    }

    #[test]
    fn every_kind_has_its_own_attributes_and_no_other() {
        let arn = |kind: &str| text(&format!("arn:aws:sagemaker:eu-west-1:111122223333:{kind}"));
        let own = |kind: Kind| match kind {
            Kind::Studio => vec![("domain_id", text("d-abc")), ("user_profile_name", text("jane"))],
            Kind::Notebook => vec![("notebook_instance_name", text("jane"))],
            Kind::MlflowServer => vec![("tracking_server_name", text("team"))],
            Kind::MlflowApp => vec![("arn", arn("mlflow-app/app-1"))],
            Kind::PartnerApp => vec![("arn", arn("partner-app/app-ABCDEFGHIJ12"))],
        };
        for &kind in Kind::ALL {
            let grant = of_kind(kind.as_str(), &own(kind)).unwrap();
            assert_eq!(read(&grant.to_item()), Ok(grant));
            for (missing, _) in own(kind) {
                let rest: Vec<_> = own(kind).into_iter().filter(|(name, _)| *name != missing).collect();
                assert_eq!(of_kind(kind.as_str(), &rest), Err(missing.to_owned()), "{kind}");
            }
            for &other in Kind::ALL {
                for (name, value) in own(other).into_iter().filter(|(name, _)| !kind.attributes().contains(name)) {
                    let with = [own(kind), vec![(name, value)]].concat();
                    assert_eq!(of_kind(kind.as_str(), &with), Err(name.to_owned()), "{kind} with {name}");
                }
            }
            let landing = [own(kind), vec![("landings", Value::M(Item::from([("lab".to_owned(), Value::M(Item::new()))])))]].concat();
            assert_eq!(of_kind(kind.as_str(), &landing).is_ok(), kind.has_landings(), "{kind}");
            let plan = Value::M(Item::from([("execution_role_arn".to_owned(), text("arn:aws:iam::111122223333:role/studio"))]));
            let provision = [own(kind), vec![("provision", plan)]].concat();
            assert_eq!(of_kind(kind.as_str(), &provision).is_ok(), kind.can_be_provisioned(), "{kind}");
        }
        assert_eq!(of_kind("mlflow-app", &own(Kind::PartnerApp)), Err("arn".to_owned()));
    }

    #[test]
    fn an_arn_says_where_the_target_is() {
        for (kind, resource) in [("mlflow-app", "mlflow-app/app-1"), ("partner-app", "partner-app/app-ABCDEFGHIJ12")] {
            let arn = ("arn", text(&format!("arn:aws:sagemaker:eu-west-1:111122223333:{resource}")));
            let of = |more: &[(&str, Value)]| of_kind(kind, &[std::slice::from_ref(&arn), more].concat());
            let grant = of(&[]).unwrap();
            assert_eq!(grant.own_region().unwrap().as_str(), "eu-west-1");
            assert_eq!(grant.own_account(), Some("111122223333"));
            let role = |account: &str| ("role_arn", text(&format!("arn:aws:iam::{account}:role/x")));
            assert!(of(&[("region", text("eu-west-1")), ("account_id", text("111122223333")), role("111122223333")]).is_ok());
            assert_eq!(of(&[("region", text("eu-central-1"))]), Err("region".to_owned()));
            assert_eq!(of(&[("account_id", text("444455556666"))]), Err("account_id".to_owned()));
            assert_eq!(of(&[role("444455556666")]), Err("role_arn".to_owned()));
            assert_eq!(of(&[("role_arn", text("arn:aws-cn:iam::111122223333:role/x"))]), Err("role_arn".to_owned()));
        }
    }

    #[test]
    fn a_plan_that_is_none_is_named_within_the_grant() {
        let plan = |name: &str| ("provision", Value::M(Item::from([(name.to_owned(), text("x"))])));
        assert_eq!(defective_attribute(&[plan("execution_role_arn")]), "provision.execution_role_arn");
        assert_eq!(defective_attribute(&[plan("roles")]), "provision.roles");
        assert_eq!(defective_attribute(&[("provision", Value::Bool(true))]), "provision");
        let plan = |execution_role: &str, role: &str| {
            let arn = |role: &str| text(&format!("arn:{role}:role/x"));
            (
                "provision",
                Value::M(Item::from([("execution_role_arn".to_owned(), arn(execution_role)), ("role_arn".to_owned(), arn(role))])),
            )
        };
        let (home, away, china) = ("aws:iam::111122223333", "aws:iam::444455556666", "aws-cn:iam::111122223333");
        let account = ("account_id", text("111122223333"));
        assert!(read(&studio(&[plan(home, home), account.clone()])).is_ok());
        assert_eq!(defective_attribute(&[plan(away, home), account.clone()]), "provision.execution_role_arn");
        assert_eq!(defective_attribute(&[plan(home, away), account]), "provision.role_arn");
        assert_eq!(defective_attribute(&[plan(china, home), ("region", text("eu-central-1"))]), "provision.execution_role_arn");
    }

    #[test]
    fn the_names_of_all_attributes_are_those_that_are_read() {
        let names = attribute_names();
        assert_eq!((names[0], names[names.len() - 1]), ("kind", "ttl"));
        let mut once = names.clone();
        once.sort_unstable();
        once.dedup();
        assert_eq!(once.len(), names.len());
        let read = |name: &str| Kind::ALL.iter().any(|&kind| is_known(name, kind));
        assert!(names.iter().all(|name| read(name)) && !names.contains(&"pk") && !names.contains(&"sk"));
        for kind in Kind::ALL {
            assert!(kind.attributes().iter().all(|name| names.contains(name)), "{kind}");
        }
        assert!(["region", "role_arn", "landings", "expires_at"].iter().all(|name| names.contains(name)));
    }

    #[test]
    fn who_may_use_it_until_when_does_not_change_what_a_grant_opens() {
        let plain = read(&studio(&[])).unwrap();
        for more in [
            ("enabled", Value::Bool(false)),
            ("default", Value::Bool(true)),
            ("not_before", Value::N("5".into())),
            ("expires_at", Value::N("5".into())),
        ] {
            let other = read(&studio(std::slice::from_ref(&more))).unwrap();
            assert!(plain.opens_as(&other) && other.opens_as(&plain), "{more:?}");
        }
        for more in [("url_seconds", Value::N("5".into())), ("domain_id", text("d-other")), ("region", text("eu-west-1"))] {
            assert!(!plain.opens_as(&read(&studio(std::slice::from_ref(&more))).unwrap()), "{more:?}");
        }
    }

    #[test]
    fn two_grants_may_be_for_one_door() {
        let of = |more: &[(&str, Value)]| read(&studio(more)).unwrap();
        let region = |name: &str| ("region", text(name));
        assert!(of(&[]).may_open_the_same_door(&of(&[("user_profile_name", text("JANE"))])));
        assert!(of(&[]).may_open_the_same_door(&of(&[region("eu-west-1")])), "the function's region may be this one");
        assert!(!of(&[region("eu-central-1")]).may_open_the_same_door(&of(&[region("eu-west-1")])));
        let account = |id: &str| ("account_id", text(id));
        assert!(!of(&[account("111122223333")]).may_open_the_same_door(&of(&[account("444455556666")])));
        assert!(!of(&[]).may_open_the_same_door(&of(&[("user_profile_name", text("joe"))])));
    }

    #[test]
    fn an_items_ttl_ends_its_grant_too() {
        let grant = read(&studio(&[("expires_at", Value::N("9".into())), ("ttl", Value::N("5".into()))])).unwrap();
        assert_eq!(grant.expires_at, Some(Timestamp::from_unix_seconds(5)));
    }

    #[test]
    fn a_defect_shows_the_attribute_and_nothing_of_its_value() {
        let defect = read(&studio(&[("domain_id", text("canary"))])).unwrap_err();
        assert!(!defect.to_string().contains("canary"));
        let long = "y".repeat(500);
        let defect = read(&studio(&[(&long, text("v"))])).unwrap_err();
        assert_eq!(defect.attribute.len(), 64);
    }

    fn any_value() -> impl Strategy<Value = Value> {
        let leaf = prop_oneof![
            "\\PC{0,12}".prop_map(Value::S),
            "-?[0-9]{1,20}(\\.[0-9])?".prop_map(Value::N),
            any::<bool>().prop_map(Value::Bool),
            Just(Value::Other("NULL")),
        ];
        leaf.prop_recursive(2, 8, 4, |inner| prop::collection::btree_map("[a-z_]{1,12}", inner, 0..4).prop_map(Value::M))
    }

    proptest! {
        #[test]
        fn what_is_written_reads_back_equal(
            enabled: bool, default: bool, not_before in prop::option::of(0i64..2_000_000_000), life in prop::option::of(1i64..1_000_000),
            url_seconds in prop::option::of(5u32..=300), session_seconds in prop::option::of(1800u32..=43200),
            landings in prop::collection::btree_map("[a-z]{1,8}", (prop::option::of("studio::[a-z/]{0,1}[a-z]{0,8}"), prop::option::of("[a-z]{1,8}")), 0..3),
        ) {
            let mut item = studio(&[("enabled", Value::Bool(enabled)), ("default", Value::Bool(default))]);
            let mut number = |name: &str, value: Option<i64>| if let Some(value) = value { item.insert(name.to_owned(), Value::N(value.to_string())); };
            number("not_before", not_before);
            number("expires_at", life.map(|life| not_before.unwrap_or(0) + life));
            number("url_seconds", url_seconds.map(i64::from));
            number("session_seconds", session_seconds.map(i64::from));
            let mut map = Item::new();
            for (name, (uri, space)) in landings {
                let mut attributes = Item::new();
                if let Some(uri) = uri { attributes.insert("landing_uri".into(), Value::S(uri)); }
                if let Some(space) = space { attributes.insert("space_name".into(), Value::S(space)); }
                map.insert(name, Value::M(attributes));
            }
            item.insert("landings".into(), Value::M(map));
            if let Ok(grant) = read(&item) {
                prop_assert_eq!(read(&grant.to_item()), Ok(grant));
            }
        }

        #[test]
        fn no_row_makes_it_panic(item in prop::collection::btree_map("[a-z_]{1,16}", any_value(), 0..8)) {
            let _ = read(&item);
            let _ = read(&studio(&[]).into_iter().chain(item).collect());
        }
    }
}
