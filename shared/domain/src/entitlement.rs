//! The rules that turn a verified caller and the table's rows into what may be opened.

use crate::clock::Timestamp;
use crate::decision::{Code, Denial, Reason};
use crate::grant::{self, Grant, GrantDefect, Landing, SESSION_SECONDS, URL_SECONDS};
use crate::identity::Principal;
use crate::item::Item;
use crate::names::{ExternalId, LandingName, Region, RoleArn, TargetName};
use crate::provision::Provisioning;
use crate::subject::Standing;
use crate::target::{Place, UrlLife};

/// What the table holds for one subject: its standing, and its grants, each read or not readable.
#[derive(Debug, Clone)]
pub struct SubjectRecord {
    standing: Standing,
    grants: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    /// The name, where the sort key holds a legal one.
    name: Option<TargetName>,
    grant: Result<Grant, GrantDefect>,
    claims_default: bool,
}

impl Row {
    fn is_usable(&self, now: Timestamp) -> bool {
        self.grant.as_ref().is_ok_and(|grant| grant.usable_at(now).is_ok())
    }
}

impl SubjectRecord {
    /// Reads a subject's rows: its own item, where there is one, and each grant's name (its sort key after the prefix) with
    /// its item.
    pub fn new(subject: Option<&Item>, grants: impl IntoIterator<Item = (String, Item)>) -> Self {
        let grants = grants
            .into_iter()
            .map(|(name, item)| {
                let name = TargetName::new(name);
                let claims_default = grant::claims_default(&item);
                match name {
                    Ok(name) => Row { name: Some(name.clone()), grant: Grant::from_item(name, &item), claims_default },
                    Err(_) => Row {
                        name: None,
                        grant: Err(GrantDefect { attribute: "sk".to_owned(), problem: "does not hold a target's name" }),
                        claims_default,
                    },
                }
            })
            .collect();
        Self { standing: Standing::from_item(subject), grants }
    }
}

/// The broker's terms, which a grant can only tighten.
#[derive(Debug, Clone)]
pub struct Terms {
    /// The function's region, for grants that name none.
    pub region: Region,
    /// The issuing role, for grants that name none; without either, the function's own role is used.
    pub role_arn: Option<RoleArn>,
    /// The external id for that role, for grants that name none.
    pub external_id: Option<ExternalId>,
    /// The role that makes user profiles, for grants that name none; without it none are made, whatever a grant says.
    pub provision_role_arn: Option<RoleArn>,
    /// The external id for that role, for grants that name none.
    pub provision_external_id: Option<ExternalId>,
    /// Life of a URL in seconds, 5 to 300.
    pub url_seconds: u32,
    /// Life of the session that a URL opens in seconds, 1800 to 43200.
    pub session_seconds: u32,
}

impl Terms {
    /// The contract's defaults: no role, URLs of 30 seconds, sessions of 8 hours.
    pub const fn in_region(region: Region) -> Self {
        Self {
            region,
            role_arn: None,
            external_id: None,
            provision_role_arn: None,
            provision_external_id: None,
            url_seconds: 30,
            session_seconds: 28800,
        }
    }
}

/// What a caller asks for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Wish {
    /// The target; without one the grant marked default is meant, else the only one.
    pub target: Option<TargetName>,
    /// The landing; without one the grant's own is meant, if it has one.
    pub landing: Option<LandingName>,
}

/// That this caller may open this target now, on these terms.
///
/// Only [`entitle`] makes one, from a [`Principal`]: a URL cannot be asked for without it.
#[derive(Debug, Clone)]
pub struct Entitlement {
    principal: Principal,
    grant: Grant,
    landing: Option<Landing>,
    region: Region,
    role: Option<RoleArn>,
    external_id: Option<ExternalId>,
    url_seconds: u32,
    session_seconds: u32,
    provisioning: Option<Provisioning>,
}

impl Entitlement {
    /// The caller.
    pub const fn principal(&self) -> &Principal {
        &self.principal
    }

    /// The grant it rests on.
    pub const fn grant(&self) -> &Grant {
        &self.grant
    }

    /// Where to land, if anywhere in particular.
    pub const fn landing(&self) -> Option<&Landing> {
        self.landing.as_ref()
    }

    /// The target's region.
    pub const fn region(&self) -> &Region {
        &self.region
    }

    /// The role to work under; none means the function's own.
    pub const fn role(&self) -> Option<&RoleArn> {
        self.role.as_ref()
    }

    /// The external id for assuming that role.
    pub const fn external_id(&self) -> Option<&ExternalId> {
        self.external_id.as_ref()
    }

    /// Life of the URL in seconds. Where AWS fixes it, that.
    pub const fn url_seconds(&self) -> u32 {
        self.url_seconds
    }

    /// How the target is made if it is not there, where the grant wants that.
    pub const fn provisioning(&self) -> Option<&Provisioning> {
        self.provisioning.as_ref()
    }

    /// Life of the session in seconds.
    pub const fn session_seconds(&self) -> u32 {
        self.session_seconds
    }

    /// The account that the target is in: the issuing role's, else the one in the target's ARN, else the function's own.
    pub fn account_id<'a>(&'a self, own_account: &'a str) -> &'a str {
        self.role.as_ref().map(RoleArn::account_id).or_else(|| self.grant.target.account_id()).unwrap_or(own_account)
    }

    /// The ARN of what the URL opens.
    pub fn resource_arn(&self, own_account: &str) -> String {
        self.grant.target.resource_arn(self.place(own_account))
    }

    /// Where the target is.
    pub fn place<'a>(&'a self, own_account: &'a str) -> Place<'a> {
        Place { region: &self.region, account_id: self.account_id(own_account) }
    }
}

/// A line of the list of what a caller may open.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetView {
    /// The name to ask for.
    pub name: TargetName,
    /// The kind.
    pub kind: &'static str,
    /// The region.
    pub region: Region,
    /// The names of its landings.
    pub landings: Vec<LandingName>,
    /// Whether it opens when no target is named.
    pub default: bool,
    /// Whether it opens at all now.
    pub enabled: bool,
}

macro_rules! reasons {
    ($($(#[$doc:meta])* $name:ident = $text:literal;)*) => {
        $($(#[$doc])* pub const $name: Reason = Reason($text);)*
        /// Every reason of this module.
        pub const REASONS: &[Reason] = &[$($name),*];
    };
}

reasons! {
    /// The subject is suspended.
    SUSPENDED = "subject.suspended";
    /// The subject's own item cannot be read.
    SUBJECT_MALFORMED = "subject.malformed";
    /// The subject has no grant of that name, or none at all.
    NO_GRANT = "grant.none";
    /// Several grants, none named, none marked default.
    NOT_NAMED = "grant.not-named";
    /// More than one grant is marked default.
    SEVERAL_DEFAULTS = "grant.several-defaults";
    /// The grant's row is not a grant.
    MALFORMED = "grant.malformed";
    /// The grant is disabled.
    DISABLED = "grant.disabled";
    /// The grant is not yet valid.
    NOT_YET = "grant.not-yet-valid";
    /// The grant has expired.
    EXPIRED = "grant.expired";
    /// The grant has no landing of that name.
    NO_LANDING = "grant.no-such-landing";
    /// The grant's account is not the account that the broker would work in.
    FOREIGN_ACCOUNT = "grant.another-account";
    /// The grant's region is in another partition than the broker.
    FOREIGN_PARTITION = "grant.another-partition";
    /// The grant wants its target to be made at first login, and this broker makes none.
    PROVISION_OFF = "provision.off";
    /// The role that would make the target, or the role that it would be given, is of another account than the target.
    PROVISION_FOREIGN_ACCOUNT = "provision.another-account";
}

const fn refuse(reason: Reason) -> Denial {
    Denial::new(Code::NotEntitled, reason)
}

/// Decides what `principal` may open of what `record` holds for it.
///
/// The caller must have read the record of that very principal: its whole set of grants when the wish names no target, at
/// least the grant of that name otherwise. `own_account` is the function's, empty when not known.
///
/// # Errors
/// [`Code::NotEntitled`] with one of [`REASONS`].
pub fn entitle(
    principal: Principal,
    record: &SubjectRecord,
    wish: &Wish,
    terms: &Terms,
    own_account: &str,
    now: Timestamp,
) -> Result<Entitlement, Denial> {
    check_standing(record)?;
    let grant = match choose(record, wish.target.as_ref(), now)?.grant.as_ref() {
        Ok(grant) => grant.clone(),
        Err(defect) => return Err(refuse(MALFORMED).with_detail(defect.to_string())),
    };
    grant.usable_at(now).map_err(refuse)?;

    let landing = match wish.landing.as_ref().or(grant.landing.as_ref()) {
        Some(name) => Some(grant.landings.get(name).cloned().ok_or_else(|| refuse(NO_LANDING))?),
        None => None,
    };
    let Reach { region, role, provisioning } = reach(&grant, terms, own_account)?;
    // The configured one is for the configured role: another role's owner need not know it.
    let external_id = grant.external_id.clone().or_else(|| terms.external_id.clone().filter(|_| role == terms.role_arn));
    Ok(Entitlement {
        principal,
        landing,
        region,
        role,
        external_id,
        url_seconds: match grant.target.kind().url_life() {
            UrlLife::Chosen => lowered(terms.url_seconds, grant.url_seconds, &URL_SECONDS),
            UrlLife::Fixed(seconds) => seconds,
        },
        session_seconds: lowered(terms.session_seconds, grant.session_seconds, &SESSION_SECONDS),
        provisioning,
        grant,
    })
}

/// Where a grant's target is, and as whom one gets there.
struct Reach {
    region: Region,
    role: Option<RoleArn>,
    provisioning: Option<Provisioning>,
}

/// Whether the broker, as it is configured, gets at a grant's target at all.
fn reach(grant: &Grant, terms: &Terms, own_account: &str) -> Result<Reach, Denial> {
    let role = grant.role_arn.as_ref().or(terms.role_arn.as_ref()).cloned();
    // Under a role one works in that role's account, whatever the grant says. Without one, a target that is named by its ARN may be
    // in another account than the function: whether it is shared with that one, SageMaker says.
    let working_account = match (&role, grant.target.account_id()) {
        (Some(role), _) => role.account_id(),
        (None, Some(of_target)) => of_target,
        (None, None) => own_account,
    };
    if grant.own_account().is_some_and(|account| account != working_account) {
        return Err(refuse(FOREIGN_ACCOUNT));
    }
    let region = grant.own_region().unwrap_or_else(|| terms.region.clone());
    // STS gives out sessions within its own partition only.
    if region.partition() != terms.region.partition() {
        return Err(refuse(FOREIGN_PARTITION));
    }
    let provisioning = provisioning(grant, terms, working_account)?;
    Ok(Reach { region, role, provisioning })
}

/// How the target is made at first login, where the grant wants that.
///
/// A grant that wants it opens nothing while it is off: whose the profile of that name is could not be told.
fn provisioning(grant: &Grant, terms: &Terms, working_account: &str) -> Result<Option<Provisioning>, Denial> {
    let Some(plan) = &grant.provision else { return Ok(None) };
    let Some(configured) = &terms.provision_role_arn else { return Err(refuse(PROVISION_OFF)) };
    let role = plan.role_arn.as_ref().unwrap_or(configured);
    if [role, &plan.execution_role_arn].into_iter().any(|role| role.account_id() != working_account) {
        return Err(refuse(PROVISION_FOREIGN_ACCOUNT));
    }
    let external_id = plan.external_id.clone().or_else(|| terms.provision_external_id.clone().filter(|_| role == configured));
    Ok(Some(Provisioning { plan: plan.clone(), role: role.clone(), external_id }))
}

/// Lists what the record's subject may open.
///
/// Rows that are not grants are left out: nobody can say what they would open.
///
/// # Errors
/// [`Code::NotEntitled`] for a subject that may open nothing at all because of its standing.
pub fn list(record: &SubjectRecord, terms: &Terms, own_account: &str, now: Timestamp) -> Result<Vec<TargetView>, Denial> {
    check_standing(record)?;
    let default = choose(record, None, now).ok().and_then(|row| row.name.as_ref());
    Ok(record
        .grants
        .iter()
        .filter_map(|row| row.grant.as_ref().ok())
        .map(|grant| TargetView {
            name: grant.name.clone(),
            kind: grant.target.kind().as_str(),
            region: grant.own_region().unwrap_or_else(|| terms.region.clone()),
            landings: grant.landings.keys().cloned().collect(),
            default: default == Some(&grant.name),
            enabled: grant.usable_at(now).is_ok() && reach(grant, terms, own_account).is_ok(),
        })
        .collect())
}

/// The grant that is meant, whether or not it opens: the one named `target`, without a name the default or the only one. None where
/// that cannot be told, or the row is not a grant.
///
/// For whoever explains a refusal. What may be opened, [`entitle`] alone decides.
pub fn meant<'a>(record: &'a SubjectRecord, target: Option<&TargetName>, now: Timestamp) -> Option<&'a Grant> {
    choose(record, target, now).ok()?.grant.as_ref().ok()
}

const fn check_standing(record: &SubjectRecord) -> Result<(), Denial> {
    match record.standing {
        Standing::Active => Ok(()),
        Standing::Suspended => Err(refuse(SUSPENDED)),
        Standing::Malformed => Err(refuse(SUBJECT_MALFORMED)),
    }
}

/// The row that is meant: the one of that name; without a name the one marked default, else the only one that is usable.
///
/// A default that cannot be used is refused rather than passed over: opening another target than the one that was meant
/// would be a guess.
fn choose<'a>(record: &'a SubjectRecord, name: Option<&TargetName>, now: Timestamp) -> Result<&'a Row, Denial> {
    if let Some(name) = name {
        return record.grants.iter().find(|row| row.name.as_ref() == Some(name)).ok_or_else(|| refuse(NO_GRANT));
    }
    let mut defaults = record.grants.iter().filter(|row| row.claims_default);
    match (defaults.next(), defaults.next()) {
        (Some(row), None) => return Ok(row),
        (Some(_), Some(_)) => return Err(refuse(SEVERAL_DEFAULTS)),
        (None, _) => {}
    }
    let mut usable = record.grants.iter().filter(|row| row.is_usable(now));
    match (usable.next(), usable.next(), record.grants.as_slice()) {
        (Some(row), None, _) => Ok(row),
        (Some(_), Some(_), _) => Err(refuse(NOT_NAMED)),
        // The only row there is says best why nothing opens.
        (None, _, [only]) => Ok(only),
        (None, _, _) => Err(refuse(NO_GRANT)),
    }
}

impl Grant {
    /// Whether the grant may be used at `now`: enabled, and in its dates.
    ///
    /// # Errors
    /// [`DISABLED`], [`NOT_YET`] or [`EXPIRED`].
    pub fn usable_at(&self, now: Timestamp) -> Result<(), Reason> {
        if !self.enabled {
            Err(DISABLED)
        } else if self.not_before.is_some_and(|from| now < from) {
            Err(NOT_YET)
        } else if self.expires_at.is_some_and(|until| now >= until) {
            Err(EXPIRED)
        } else {
            Ok(())
        }
    }
}

/// The configured seconds, lowered by the grant, never outside what AWS takes.
fn lowered(configured: u32, granted: Option<u32>, bounds: &std::ops::RangeInclusive<u32>) -> u32 {
    configured.min(granted.unwrap_or(configured)).clamp(*bounds.start(), *bounds.end())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fakes;
    use crate::item::Value;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);
    const OWN_ACCOUNT: &str = "111122223333";

    fn terms() -> Terms {
        Terms::in_region(Region::new("eu-central-1").unwrap())
    }

    fn row(name: &str, more: &[(&str, Value)]) -> (String, Item) {
        let mut item = Item::from([
            ("kind".to_owned(), Value::S("studio".into())),
            ("domain_id".to_owned(), Value::S("d-abc".into())),
            ("user_profile_name".to_owned(), Value::S(format!("jane-{name}"))),
        ]);
        item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        (name.to_owned(), item)
    }

    fn number(seconds: i64) -> Value {
        Value::N(seconds.to_string())
    }

    fn wish(target: Option<&str>, landing: Option<&str>) -> Wish {
        Wish { target: target.map(|t| TargetName::new(t).unwrap()), landing: landing.map(|l| LandingName::new(l).unwrap()) }
    }

    fn decide(rows: Vec<(String, Item)>, wish: &Wish, terms: &Terms) -> Result<Entitlement, Denial> {
        let principal = fakes::principal("okta", "jane", None, NOW.plus_seconds(300)).unwrap();
        entitle(principal, &SubjectRecord::new(None, rows), wish, terms, OWN_ACCOUNT, NOW)
    }

    fn opened(rows: Vec<(String, Item)>, target: Option<&str>) -> Result<String, Reason> {
        decide(rows, &wish(target, None), &terms()).map(|e| e.grant().name.to_string()).map_err(|denial| {
            assert_eq!(denial.code, Code::NotEntitled);
            denial.reason
        })
    }

    #[test]
    fn the_named_one_opens() {
        let rows = || vec![row("a", &[]), row("b", &[])];
        assert_eq!(opened(rows(), Some("b")), Ok("b".into()));
        assert_eq!(opened(rows(), Some("c")), Err(NO_GRANT));
        assert_eq!(opened(rows(), Some("A")), Err(NO_GRANT));
        assert_eq!(opened(vec![], Some("a")), Err(NO_GRANT));
    }

    #[test]
    fn without_a_name_the_default_opens_else_the_only_one() {
        let default = ("default", Value::Bool(true));
        let off = ("enabled", Value::Bool(false));
        assert_eq!(opened(vec![row("a", &[])], None), Ok("a".into()));
        assert_eq!(opened(vec![row("a", &[]), row("b", std::slice::from_ref(&default))], None), Ok("b".into()));
        assert_eq!(opened(vec![row("a", &[]), row("b", &[])], None), Err(NOT_NAMED));
        assert_eq!(opened(vec![row("a", &[]), row("b", std::slice::from_ref(&off))], None), Ok("a".into()));
        assert_eq!(opened(vec![row("a", std::slice::from_ref(&off))], None), Err(DISABLED));
        assert_eq!(opened(vec![row("a", std::slice::from_ref(&off)), row("b", std::slice::from_ref(&off))], None), Err(NO_GRANT));
        assert_eq!(opened(vec![], None), Err(NO_GRANT));
        // A default that does not open is not passed over for another.
        assert_eq!(opened(vec![row("a", &[]), row("b", &[default.clone(), off])], None), Err(DISABLED));
        let broken = row("b", &[default.clone(), ("domain_id", Value::S(String::new()))]);
        assert_eq!(opened(vec![row("a", &[]), broken], None), Err(MALFORMED));
        assert_eq!(opened(vec![row("a", std::slice::from_ref(&default)), row("b", &[default])], None), Err(SEVERAL_DEFAULTS));
    }

    #[test]
    fn only_an_enabled_grant_in_its_dates_opens() {
        let seconds = NOW.unix_seconds();
        for (attribute, value, outcome) in [
            ("enabled", Value::Bool(true), Ok("a".to_owned())),
            ("enabled", Value::Bool(false), Err(DISABLED)),
            ("not_before", number(seconds), Ok("a".into())),
            ("not_before", number(seconds + 1), Err(NOT_YET)),
            ("expires_at", number(seconds + 1), Ok("a".into())),
            ("expires_at", number(seconds), Err(EXPIRED)),
            ("ttl", number(seconds), Err(EXPIRED)),
            ("domain_id", Value::S("x".into()), Err(MALFORMED)),
        ] {
            assert_eq!(opened(vec![row("a", &[(attribute, value.clone())])], Some("a")), outcome, "{attribute} {value:?}");
        }
    }

    #[test]
    fn a_malformed_grant_is_named_in_the_detail_only() {
        let denial = decide(vec![row("a", &[("url_seconds", number(1))])], &wish(Some("a"), None), &terms()).unwrap_err();
        assert_eq!((denial.code, denial.reason), (Code::NotEntitled, MALFORMED));
        assert_eq!(denial.detail.as_deref(), Some("url_seconds: is a whole number of seconds from 5 to 300"));
    }

    #[test]
    fn the_standing_comes_before_any_grant() {
        let subject = |status: &str| Item::from([("status".to_owned(), Value::S(status.into()))]);
        let decide = |subject: &Item| {
            let principal = fakes::principal("okta", "jane", None, NOW).unwrap();
            let record = SubjectRecord::new(Some(subject), [row("a", &[])]);
            let listed = list(&record, &terms(), OWN_ACCOUNT, NOW).map(|_| ()).map_err(|denial| denial.reason);
            let entitled =
                entitle(principal, &record, &Wish::default(), &terms(), OWN_ACCOUNT, NOW).map(|_| ()).map_err(|denial| denial.reason);
            assert_eq!(listed, entitled);
            entitled
        };
        assert_eq!(decide(&subject("active")), Ok(()));
        assert_eq!(decide(&subject("suspended")), Err(SUSPENDED));
        assert_eq!(decide(&subject("on leave")), Err(SUBJECT_MALFORMED));
    }

    #[test]
    fn a_grant_only_lowers_lifetimes() {
        let lives = |url: i64, session: i64| {
            let e =
                decide(vec![row("a", &[("url_seconds", number(url)), ("session_seconds", number(session))])], &Wish::default(), &terms())
                    .unwrap();
            (e.url_seconds(), e.session_seconds())
        };
        assert_eq!(lives(5, 1800), (5, 1800));
        assert_eq!(lives(300, 43200), (30, 28800));
    }

    #[test]
    fn landings_are_the_grants_own() {
        let landing = |uri: &str| Value::M(Item::from([("landing_uri".to_owned(), Value::S(uri.into()))]));
        let landings = (
            "landings",
            Value::M(Item::from([("lab".to_owned(), landing("app:JupyterLab:lab")), ("home".to_owned(), landing("studio::"))])),
        );
        let uri = |more: &[(&str, Value)], landing: Option<&str>| {
            decide(vec![row("a", more)], &wish(None, landing), &terms())
                .map(|e| e.landing().and_then(|l| l.landing_uri.as_ref()).map(ToString::to_string))
                .map_err(|denial| denial.reason)
        };
        let with_default = [landings.clone(), ("landing", Value::S("home".into()))];
        assert_eq!(uri(std::slice::from_ref(&landings), None), Ok(None));
        assert_eq!(uri(std::slice::from_ref(&landings), Some("lab")), Ok(Some("app:JupyterLab:lab".into())));
        assert_eq!(uri(&with_default, None), Ok(Some("studio::".into())));
        assert_eq!(uri(&with_default, Some("lab")), Ok(Some("app:JupyterLab:lab".into())));
        assert_eq!(uri(&with_default, Some("shell")), Err(NO_LANDING));
        assert_eq!(uri(&[], Some("lab")), Err(NO_LANDING));
    }

    #[test]
    fn one_works_in_the_account_of_the_role() {
        let role = |arn: &str| Value::S(arn.to_owned());
        let configured = Terms { role_arn: Some(RoleArn::new("arn:aws:iam::444455556666:role/default").unwrap()), ..terms() };
        let arn = |more: &[(&str, Value)], terms: &Terms| {
            decide(vec![row("a", more)], &Wish::default(), terms).map(|e| e.resource_arn(OWN_ACCOUNT)).map_err(|denial| denial.reason)
        };
        let at = |account: &str| Ok(format!("arn:aws:sagemaker:eu-central-1:{account}:user-profile/d-abc/jane-a"));
        let own_role = ("role_arn", role("arn:aws:iam::777788889999:role/grant"));
        assert_eq!(arn(&[], &terms()), at(OWN_ACCOUNT));
        assert_eq!(arn(&[], &configured), at("444455556666"));
        assert_eq!(arn(std::slice::from_ref(&own_role), &configured), at("777788889999"));
        let account = |account: &str| ("account_id", Value::S(account.to_owned()));
        assert_eq!(arn(&[account(OWN_ACCOUNT)], &terms()), at(OWN_ACCOUNT));
        assert_eq!(arn(&[account("444455556666")], &terms()), Err(FOREIGN_ACCOUNT));
        assert_eq!(arn(&[account("444455556666")], &configured), at("444455556666"));
        assert_eq!(arn(&[account("777788889999")], &configured), Err(FOREIGN_ACCOUNT));
    }

    fn of_kind(kind: &str, own: &[(&str, &str)]) -> (String, Item) {
        let mut item = Item::from([("kind".to_owned(), Value::S(kind.to_owned()))]);
        item.extend(own.iter().map(|&(name, value)| (name.to_owned(), Value::S(value.to_owned()))));
        ("a".to_owned(), item)
    }

    #[test]
    fn an_arn_says_region_and_account() {
        let app = "arn:aws:sagemaker:eu-west-1:444455556666:mlflow-app/app-1";
        let decide = |more: &[(&str, &str)], terms: &Terms| {
            let own = [&[("arn", app)], more].concat();
            decide(vec![of_kind("mlflow-app", &own)], &Wish::default(), terms)
                .map(|e| (e.region().to_string(), e.account_id(OWN_ACCOUNT).to_owned(), e.resource_arn(OWN_ACCOUNT)))
                .map_err(|denial| denial.reason)
        };
        let there = Ok(("eu-west-1".to_owned(), "444455556666".to_owned(), app.to_owned()));
        assert_eq!(decide(&[], &terms()), there);
        let with_role = |account: &str| {
            let role = format!("arn:aws:iam::{account}:role/default");
            Terms { role_arn: Some(RoleArn::new(role).unwrap()), ..terms() }
        };
        assert_eq!(decide(&[], &with_role("444455556666")), there);
        assert_eq!(decide(&[], &with_role("777788889999")), Err(FOREIGN_ACCOUNT));
        assert_eq!(decide(&[("account_id", "444455556666")], &terms()), there, "who says it besides, says the same");
    }

    #[test]
    fn another_partition_is_out_of_reach() {
        let region = |region: &str| ("region", Value::S(region.to_owned()));
        let decide = |more: &[(&str, Value)]| {
            decide(vec![row("a", more)], &Wish::default(), &terms()).map(|e| e.region().to_string()).map_err(|denial| denial.reason)
        };
        assert_eq!(decide(&[region("us-east-1")]), Ok("us-east-1".to_owned()));
        for elsewhere in ["cn-north-1", "us-gov-west-1"] {
            assert_eq!(decide(&[region(elsewhere)]), Err(FOREIGN_PARTITION), "{elsewhere}");
        }
    }

    #[test]
    fn a_notebooks_url_lives_as_long_as_aws_says() {
        let (name, mut item) = of_kind("notebook", &[("notebook_instance_name", "jane")]);
        item.insert("url_seconds".to_owned(), number(10));
        let opened = decide(vec![(name, item)], &Wish::default(), &terms()).unwrap();
        assert_eq!((opened.url_seconds(), opened.session_seconds()), (300, 28800));
    }

    #[test]
    fn a_profile_is_made_where_grant_and_configuration_want_it() {
        const CONFIGURED: &str = "arn:aws:iam::111122223333:role/provisioning";
        let on = Terms {
            provision_role_arn: Some(RoleArn::new(CONFIGURED).unwrap()),
            provision_external_id: Some(ExternalId::new("ours").unwrap()),
            ..terms()
        };
        let decide = |plan: &[(&str, &str)], terms: &Terms| {
            let execution_role = ("execution_role_arn", "arn:aws:iam::111122223333:role/studio");
            let plan: Item =
                [&[execution_role], plan].concat().into_iter().map(|(name, value)| (name.to_owned(), Value::S(value.to_owned()))).collect();
            decide(vec![row("a", &[("provision", Value::M(plan))])], &Wish::default(), terms)
                .map(|e| {
                    let provisioning = e.provisioning().unwrap();
                    (provisioning.role.to_string(), provisioning.external_id.as_ref().map(ToString::to_string))
                })
                .map_err(|denial| (denial.code, denial.reason))
        };
        assert_eq!(decide(&[], &terms()), Err((Code::NotEntitled, PROVISION_OFF)));
        assert_eq!(decide(&[("role_arn", CONFIGURED)], &terms()), Err((Code::NotEntitled, PROVISION_OFF)));
        assert_eq!(decide(&[], &on), Ok((CONFIGURED.to_owned(), Some("ours".to_owned()))));
        let own = "arn:aws:iam::111122223333:role/own";
        assert_eq!(decide(&[("role_arn", own)], &on), Ok((own.to_owned(), None)));
        assert_eq!(decide(&[("role_arn", own), ("external_id", "its-own")], &on), Ok((own.to_owned(), Some("its-own".to_owned()))));
        let foreign = Err((Code::NotEntitled, PROVISION_FOREIGN_ACCOUNT));
        assert_eq!(decide(&[("role_arn", "arn:aws:iam::444455556666:role/own")], &on), foreign);
        assert_eq!(decide(&[("execution_role_arn", "arn:aws:iam::444455556666:role/studio")], &on), foreign);
        let without = super::tests::decide(vec![row("a", &[])], &Wish::default(), &on).unwrap();
        assert!(without.provisioning().is_none());
    }

    #[test]
    fn the_configured_external_id_is_for_the_configured_role() {
        let role = |arn: &str| RoleArn::new(arn).unwrap();
        let (configured_role, own_role) = ("arn:aws:iam::444455556666:role/default", "arn:aws:iam::777788889999:role/grant");
        let configured = Terms { role_arn: Some(role(configured_role)), external_id: Some(ExternalId::new("ours").unwrap()), ..terms() };
        let said = |more: &[(&str, &str)]| {
            let more: Vec<_> = more.iter().map(|&(name, value)| (name, Value::S(value.to_owned()))).collect();
            decide(vec![row("a", &more)], &Wish::default(), &configured).unwrap().external_id().map(ToString::to_string)
        };
        assert_eq!(said(&[]).as_deref(), Some("ours"));
        assert_eq!(said(&[("external_id", "its-own")]).as_deref(), Some("its-own"));
        assert_eq!(said(&[("role_arn", configured_role)]).as_deref(), Some("ours"));
        assert_eq!(said(&[("role_arn", own_role)]), None);
        assert_eq!(said(&[("role_arn", own_role), ("external_id", "its-own")]).as_deref(), Some("its-own"));
    }

    #[test]
    fn the_list_shows_what_is_and_what_opens() {
        let rows = vec![
            row("a", &[("enabled", Value::Bool(false))]),
            row("b", &[("region", Value::S("us-east-1".into()))]),
            row("c", &[("domain_id", Value::S("x".into()))]),
            row("d", &[("expires_at", number(1))]),
            ("no name".to_owned(), Item::new()),
        ];
        let views = list(&SubjectRecord::new(None, rows), &terms(), OWN_ACCOUNT, NOW).unwrap();
        let seen: Vec<_> = views.iter().map(|v| (v.name.as_str(), v.region.as_str(), v.default, v.enabled)).collect();
        assert_eq!(seen, [("a", "eu-central-1", false, false), ("b", "us-east-1", true, true), ("d", "eu-central-1", false, false)]);
    }
}
