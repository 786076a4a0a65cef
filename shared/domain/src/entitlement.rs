//! The rules that turn a verified caller and the table's rows into what may be opened.

use std::collections::{BTreeMap, BTreeSet};

use crate::clock::Timestamp;
use crate::decision::{Code, Denial, Reason};
use crate::grant::{self, Grant, GrantDefect, Landing, SESSION_SECONDS, URL_SECONDS};
use crate::group::{self, GroupGrant};
use crate::identity::{Group, Principal};
use crate::item::Item;
use crate::names::{ExternalId, LandingName, Region, RoleArn, TargetName};
use crate::provision::Provisioning;
use crate::subject::{Profiles, Standing};
use crate::target::{Place, UrlLife};

/// What the table holds for one subject: its standing, and its grants and those of its groups, each read or not readable.
#[derive(Debug, Clone)]
pub struct SubjectRecord {
    standing: Standing,
    grants: Vec<Row>,
    /// The grants of the subject's groups, in the order of their groups; none where the subject has none.
    of_groups: Vec<Row>,
}

#[derive(Debug, Clone)]
struct Row {
    /// The group whose grant it is; none for the subject's own.
    group: Option<Group>,
    /// The name, where the table has a legal one for it.
    name: Option<TargetName>,
    grant: Result<Grant, Unopenable>,
    claims_default: bool,
}

/// Why a row is no grant of the subject's.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Unopenable {
    /// It is not a grant.
    Malformed(GrantDefect),
    /// It is what a group was granted as a whole, and that is not one.
    MalformedGroup(GrantDefect),
    /// The subject's own item says which profiles are its own, and cannot be read.
    MalformedProfile(GrantDefect),
    /// A group's grant for a user profile, of which the subject has none.
    NoProfile,
}

impl Row {
    fn is_usable(&self, now: Timestamp) -> bool {
        self.usable(now).is_some()
    }

    /// The grant, where it may be used.
    fn usable(&self, now: Timestamp) -> Option<&Grant> {
        self.grant.as_ref().ok().filter(|grant| grant.usable_at(now).is_ok())
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
                    Ok(name) => {
                        let grant = Grant::from_item(name.clone(), &item).map_err(Unopenable::Malformed);
                        Row { group: None, name: Some(name), grant, claims_default }
                    }
                    Err(_) => {
                        let defect = GrantDefect { attribute: "sk".to_owned(), problem: "does not hold a target's name" };
                        Row { group: None, name: None, grant: Err(Unopenable::Malformed(defect)), claims_default }
                    }
                }
            })
            .collect();
        Self { standing: Standing::from_item(subject), grants, of_groups: Vec::new() }
    }

    /// Adds what the subject's groups were granted: each group with its item. `subject` is the subject's own item once more, as
    /// that says which user profiles are its own.
    #[must_use]
    pub fn with_groups(mut self, subject: Option<&Item>, groups: impl IntoIterator<Item = (Group, Item)>) -> Self {
        let profiles = Profiles::from_item(subject);
        let mut groups: Vec<_> = groups.into_iter().collect();
        // In whatever order they were read, what is decided is the same.
        groups.sort_by(|(one, _), (other, _)| one.cmp(other));
        self.of_groups = groups.into_iter().flat_map(|(group, item)| rows_of_group(&group, &item, &profiles)).collect();
        self
    }
}

/// The rows that a group's item stands for.
fn rows_of_group(group: &Group, item: &Item, profiles: &Result<Profiles, GrantDefect>) -> Vec<Row> {
    let row = |name: Option<TargetName>, grant: Result<Grant, Unopenable>, claims_default: bool| Row {
        group: Some(group.clone()),
        name,
        grant,
        claims_default,
    };
    let grants = match group::grants(item) {
        Ok(grants) => grants,
        Err(defect) => return vec![row(None, Err(Unopenable::MalformedGroup(defect)), false)],
    };
    grants
        .map(|(name, attributes)| {
            let claims_default = attributes.as_ref().is_ok_and(|attributes| grant::claims_default(attributes));
            let Ok(name) = TargetName::new(name) else {
                let defect = GrantDefect { attribute: group::TARGETS.to_owned(), problem: "has a name that is not a target's" };
                return row(None, Err(Unopenable::Malformed(defect)), claims_default);
            };
            let grant = attributes
                .and_then(|attributes| GroupGrant::from_item(name.clone(), attributes))
                .map_err(Unopenable::Malformed)
                .and_then(|grant| for_subject(&grant, profiles));
            row(Some(name), grant, claims_default)
        })
        .collect()
}

/// A group's grant, for the subject with these profiles.
fn for_subject(grant: &GroupGrant, profiles: &Result<Profiles, GrantDefect>) -> Result<Grant, Unopenable> {
    match profiles {
        Ok(profiles) => grant.for_subject(profiles).ok_or(Unopenable::NoProfile),
        // What opens no profile needs none.
        Err(defect) => grant.for_subject(&Profiles::default()).ok_or_else(|| Unopenable::MalformedProfile(defect.clone())),
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
    group: Option<Group>,
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

    /// The group whose grant it is; none for the caller's own.
    pub const fn group(&self) -> Option<&Group> {
        self.group.as_ref()
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
    /// Several of the subject's groups have a grant of that name, and they do not say the same.
    AMBIGUOUS = "grant.ambiguous";
    /// It is a group's grant for a user profile, and the subject's own item names none.
    NO_PROFILE = "grant.no-profile";
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
/// least the grant of that name otherwise, and what all of its groups were granted. `own_account` is the function's, empty when not
/// known.
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
    let row = choose(record, wish.target.as_ref(), now)?;
    let grant = match row.grant.as_ref() {
        Ok(grant) => grant.clone(),
        Err(unopenable) => return Err(unopenable.refusal(row.group.as_ref())),
    };
    // Whose grant refuses is worth knowing where it is not the caller's own.
    let of_group = |denial: Denial| match &row.group {
        Some(group) => denial.with_detail(format!("group {group}")),
        None => denial,
    };
    grant.usable_at(now).map_err(|reason| of_group(refuse(reason)))?;

    let landing = match wish.landing.as_ref().or(grant.landing.as_ref()) {
        Some(name) => Some(grant.landings.get(name).cloned().ok_or_else(|| of_group(refuse(NO_LANDING)))?),
        None => None,
    };
    let Reach { region, role, provisioning } = reach(&grant, terms, own_account).map_err(of_group)?;
    // The configured one is for the configured role: another role's owner need not know it.
    let external_id = grant.external_id.clone().or_else(|| terms.external_id.clone().filter(|_| role == terms.role_arn));
    Ok(Entitlement {
        principal,
        group: row.group.clone(),
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
/// Rows that are not grants are left out, and so are names for which several groups have different ones: nobody can say what they
/// would open.
///
/// # Errors
/// [`Code::NotEntitled`] for a subject that may open nothing at all because of its standing.
pub fn list(record: &SubjectRecord, terms: &Terms, own_account: &str, now: Timestamp) -> Result<Vec<TargetView>, Denial> {
    check_standing(record)?;
    let default = choose(record, None, now).ok().and_then(|row| row.name.as_ref());
    let own = record.grants.iter();
    let mut targets: Vec<TargetView> = own
        .chain(listed_of_groups(record, now))
        .filter_map(|row| row.grant.as_ref().ok())
        .map(|grant| TargetView {
            name: grant.name.clone(),
            kind: grant.target.kind().as_str(),
            region: grant.own_region().unwrap_or_else(|| terms.region.clone()),
            landings: grant.landings.keys().cloned().collect(),
            default: default == Some(&grant.name),
            enabled: grant.usable_at(now).is_ok() && reach(grant, terms, own_account).is_ok(),
        })
        .collect();
    // The subject's own come in this order from the table; their groups' belong among them.
    targets.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(targets)
}

/// The groups' row for each name that means one of theirs, where it can be told which.
fn listed_of_groups(record: &SubjectRecord, now: Timestamp) -> impl Iterator<Item = &Row> {
    let names: BTreeSet<&TargetName> = offered(record).filter_map(|row| row.name.as_ref()).collect();
    names.into_iter().filter_map(move |name| choose_of_groups(record, name, now).ok())
}

/// The grant that is meant, whether or not it opens: the one named `target`, without a name the default or the only one; and the
/// group whose it is, where it is not the subject's own. None where that cannot be told, or the row is not a grant.
///
/// For whoever explains a refusal. What may be opened, [`entitle`] alone decides.
pub fn meant<'a>(record: &'a SubjectRecord, target: Option<&TargetName>, now: Timestamp) -> Option<(&'a Grant, Option<&'a Group>)> {
    let row = choose(record, target, now).ok()?;
    Some((row.grant.as_ref().ok()?, row.group.as_ref()))
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
/// would be a guess. What the subject's groups were granted comes after what it was granted itself, see [`choose_of_groups`].
fn choose<'a>(record: &'a SubjectRecord, name: Option<&TargetName>, now: Timestamp) -> Result<&'a Row, Denial> {
    if let Some(name) = name {
        return match record.grants.iter().find(|row| row.name.as_ref() == Some(name)) {
            Some(row) => Ok(row),
            None => choose_of_groups(record, name, now),
        };
    }
    let mut defaults = record.grants.iter().filter(|row| row.claims_default);
    match (defaults.next(), defaults.next()) {
        (Some(row), None) => return Ok(row),
        (Some(_), Some(_)) => return Err(refuse(SEVERAL_DEFAULTS)),
        (None, _) => {}
    }
    if !record.of_groups.is_empty() {
        return choose_among_all(record, now);
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

/// The groups' rows that count: the subject's own of the same name goes before them, whether it opens or not, as that is how one
/// user is kept out of what a group may open.
fn offered(record: &SubjectRecord) -> impl Iterator<Item = &Row> {
    let is_own = |name: &TargetName| record.grants.iter().any(|own| own.name.as_ref() == Some(name));
    record.of_groups.iter().filter(move |row| !row.name.as_ref().is_some_and(is_own))
}

/// The groups' row that is meant by a name of which the subject has none of its own.
///
/// Each group's grant stands for itself: one that is disabled, out of its dates or malformed closes no other's. Of several that can
/// be used it has to be all one which is taken, so they must say the same; then it is that of the first group.
fn choose_of_groups<'a>(record: &'a SubjectRecord, name: &TargetName, now: Timestamp) -> Result<&'a Row, Denial> {
    let named = || record.of_groups.iter().filter(|row| row.name.as_ref() == Some(name));
    let usable: Vec<(&Row, &Grant)> = named().filter_map(|row| Some((row, row.usable(now)?))).collect();
    if let [(first, grant), others @ ..] = usable.as_slice() {
        if others.iter().all(|(_, other)| grant.opens_as(other)) {
            return Ok(first);
        }
        let groups: Vec<&str> = usable.iter().filter_map(|(row, _)| row.group.as_ref()).map(Group::as_str).collect();
        return Err(refuse(AMBIGUOUS).with_detail(format!("groups {}", groups.join(", "))));
    }
    // One that says why it does not open says more than that there is none; and so does a group of which nothing can be read.
    let is_lost = |row: &&Row| matches!(row.grant, Err(Unopenable::MalformedGroup(_)));
    named().next().or_else(|| record.of_groups.iter().find(is_lost)).ok_or_else(|| refuse(NO_GRANT))
}

/// The row that is meant when no target is named, none of the subject's own is marked default, and it has groups: the one that they
/// mark, else the only one that is usable of all. A name counts once, in however many groups.
fn choose_among_all(record: &SubjectRecord, now: Timestamp) -> Result<&Row, Denial> {
    let all = || record.grants.iter().chain(offered(record));
    let of = |rows: BTreeMap<Option<&TargetName>, _>| match rows.into_iter().next() {
        Some((Some(name), _)) => choose(record, Some(name), now),
        Some((None, row)) => Ok(row),
        None => Err(refuse(NO_GRANT)),
    };
    let marked = by_name(offered(record).filter(|row| row.claims_default));
    let usable = by_name(all().filter(|row| row.is_usable(now)));
    match (marked.len(), usable.len()) {
        (1, _) => of(marked),
        (0, 1) => of(usable),
        (0, 0) => {
            let all = by_name(all());
            // The only one there is says best why nothing opens.
            if all.len() == 1 { of(all) } else { Err(refuse(NO_GRANT)) }
        }
        (0, _) => Err(refuse(NOT_NAMED)),
        _ => Err(refuse(SEVERAL_DEFAULTS)),
    }
}

/// The rows by what they are called. Of those that have no legal name it keeps one.
fn by_name<'a>(rows: impl Iterator<Item = &'a Row>) -> BTreeMap<Option<&'a TargetName>, &'a Row> {
    rows.map(|row| (row.name.as_ref(), row)).collect()
}

impl Unopenable {
    /// The refusal for it, of a grant of this group's, or of the subject's own.
    fn refusal(&self, group: Option<&Group>) -> Denial {
        let (reason, what) = match self {
            Self::Malformed(defect) | Self::MalformedGroup(defect) => (MALFORMED, Some(defect.to_string())),
            Self::MalformedProfile(defect) => (NO_PROFILE, Some(format!("the subject's own item: {defect}"))),
            Self::NoProfile => (NO_PROFILE, None),
        };
        let whose = group.map(|group| format!("group {group}"));
        let detail: Vec<String> = [whose, what].into_iter().flatten().collect();
        let refusal = refuse(reason);
        if detail.is_empty() { refusal } else { refusal.with_detail(detail.join(": ")) }
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
mod of_groups;

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
    fn what_is_meant_is_told_whether_or_not_it_opens() {
        let off = ("enabled", Value::Bool(false));
        let record = SubjectRecord::new(None, vec![row("a", &[off]), row("b", &[("domain_id", Value::S("x".into()))])]);
        let meant = |target: &str| {
            let name = TargetName::new(target).unwrap();
            meant(&record, Some(&name), NOW).map(|(grant, group)| (grant.name.to_string(), group.cloned()))
        };
        assert_eq!(meant("a"), Some(("a".to_owned(), None)));
        assert_eq!((meant("b"), meant("c")), (None, None), "what is no grant cannot be shown");
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
        let opened = |more: &[(&str, &str)]| {
            let more: Vec<_> = more.iter().map(|&(name, value)| (name, Value::S(value.to_owned()))).collect();
            decide(vec![row("a", &more)], &Wish::default(), &configured).unwrap()
        };
        let said = |more: &[(&str, &str)]| opened(more).external_id().map(ToString::to_string);
        assert_eq!(opened(&[]).role(), Some(&role(configured_role)));
        assert_eq!(opened(&[("role_arn", own_role)]).role(), Some(&role(own_role)));
        assert_eq!(decide(vec![row("a", &[])], &Wish::default(), &terms()).unwrap().role(), None, "the function's own");
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
            row("0", &[("enabled", Value::Bool(false))]),
        ];
        let views = list(&SubjectRecord::new(None, rows), &terms(), OWN_ACCOUNT, NOW).unwrap();
        let seen: Vec<_> = views.iter().map(|v| (v.name.as_str(), v.region.as_str(), v.default, v.enabled)).collect();
        assert_eq!(seen[0], ("0", "eu-central-1", false, false), "in the order of their names");
        assert_eq!(seen[1..], [("a", "eu-central-1", false, false), ("b", "us-east-1", true, true), ("d", "eu-central-1", false, false)]);
    }
}
