//! What the table says about a subject as a whole.

use std::collections::BTreeMap;

use crate::grant::GrantDefect;
use crate::item::{Item, Value};
use crate::names::{DomainId, InvalidName, UserProfileName};
use crate::row::{Row, defect};
use crate::target::Target;

/// Sort key of the subject's own item.
pub const SUBJECT_SORT_KEY: &str = "SUBJECT";

/// Whether a subject may open anything at all.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Nothing speaks against it. A subject without an item is active.
    Active,
    /// An operator has suspended the subject.
    Suspended,
    /// The item is there and cannot be read. Nobody can say whether it was meant to suspend, so it does.
    Malformed,
}

impl Standing {
    /// Reads the subject's item.
    ///
    /// An item without `status` (one that only carries a note) is active. Its `ttl` is not looked at: a suspension ends
    /// when an operator ends it.
    pub fn from_item(item: Option<&Item>) -> Self {
        match item.map(|item| item.get("status")) {
            None | Some(None) => Self::Active,
            Some(Some(Value::S(status))) => match status.as_str() {
                "active" => Self::Active,
                "suspended" => Self::Suspended,
                _ => Self::Malformed,
            },
            Some(Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_))) => Self::Malformed,
        }
    }
}

/// The subject's user profile in any domain.
pub const PROFILE: &str = "user_profile_name";

/// The subject's user profiles by domain, which go before the one in any.
pub const PROFILES: &str = "user_profile_names";

/// Which user profiles are a subject's, for the grants of its groups, which name none.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Profiles {
    /// The one in every domain that the others are not for.
    pub anywhere: Option<UserProfileName>,
    /// Those in domains of their own.
    pub by_domain: BTreeMap<DomainId, UserProfileName>,
}

impl Profiles {
    /// Reads them from the subject's item.
    ///
    /// # Errors
    /// They cannot be read: nobody can say which profile was meant.
    pub fn from_item(item: Option<&Item>) -> Result<Self, GrantDefect> {
        let Some(item) = item else { return Ok(Self::default()) };
        let row = Row(item);
        let mut by_domain = BTreeMap::new();
        for (domain, profile) in row.map(PROFILES, "is a map (M) of user profiles by domain")?.into_iter().flatten() {
            let domain = DomainId::new(domain.as_str()).map_err(|_| defect(PROFILES, "has a domain that is not one"))?;
            let Value::S(profile) = profile else { return Err(defect(PROFILES, "has a profile that is not a string (S)")) };
            let profile = UserProfileName::new(profile.as_str()).map_err(|InvalidName(rule)| defect(PROFILES, rule))?;
            by_domain.insert(domain, profile);
        }
        Ok(Self { anywhere: row.optional(PROFILE, UserProfileName::new)?, by_domain })
    }

    /// These, and those of `others` where these say nothing.
    #[must_use]
    pub fn or(mut self, others: Self) -> Self {
        self.anywhere = self.anywhere.or(others.anywhere);
        for (domain, profile) in others.by_domain {
            self.by_domain.entry(domain).or_insert(profile);
        }
        self
    }

    /// The profile in that domain, where there is one.
    pub fn in_domain(&self, domain: &DomainId) -> Option<&UserProfileName> {
        self.by_domain.get(domain).or(self.anywhere.as_ref())
    }

    /// Whether one of them is or may be this target. Case does not count, as with SageMaker.
    pub fn may_be(&self, target: &Target) -> bool {
        match target {
            Target::Studio(studio) => self.in_domain(&studio.domain_id).is_some_and(|own| is_same(own, &studio.user_profile_name)),
            Target::Notebook(_) | Target::MlflowServer(_) | Target::MlflowApp(_) | Target::PartnerApp(_) => false,
        }
    }

    /// Whether a profile of theirs is or may be one of another subject's.
    pub fn may_meet(&self, other: &Self) -> bool {
        let meet = |own: Option<&UserProfileName>, others: Option<&UserProfileName>| {
            own.zip(others).is_some_and(|(own, others)| is_same(own, others))
        };
        let mut domains = self.by_domain.keys().chain(other.by_domain.keys());
        // In a domain that neither has one of its own for.
        meet(self.anywhere.as_ref(), other.anywhere.as_ref()) || domains.any(|domain| meet(self.in_domain(domain), other.in_domain(domain)))
    }

    /// The names, whatever domain they are in.
    pub fn names(&self) -> impl Iterator<Item = &UserProfileName> {
        self.anywhere.iter().chain(self.by_domain.values())
    }

    /// The attributes. Reading them gives the profiles back.
    pub fn to_item(&self) -> Item {
        let text = |name: &UserProfileName| Value::S(name.as_str().to_owned());
        let mut item = Item::new();
        if let Some(anywhere) = &self.anywhere {
            item.insert(PROFILE.to_owned(), text(anywhere));
        }
        if !self.by_domain.is_empty() {
            let by_domain = self.by_domain.iter().map(|(domain, name)| (domain.as_str().to_owned(), text(name))).collect();
            item.insert(PROFILES.to_owned(), Value::M(by_domain));
        }
        item
    }
}

fn is_same(one: &UserProfileName, other: &UserProfileName) -> bool {
    one.as_str().eq_ignore_ascii_case(other.as_str())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::target::{Kind, Studio};

    fn name(name: &str) -> UserProfileName {
        UserProfileName::new(name).unwrap()
    }

    fn domain(id: &str) -> DomainId {
        DomainId::new(id).unwrap()
    }

    fn of(anywhere: Option<&str>, by_domain: &[(&str, &str)]) -> Profiles {
        Profiles { anywhere: anywhere.map(name), by_domain: by_domain.iter().map(|(id, profile)| (domain(id), name(profile))).collect() }
    }

    #[test]
    fn what_is_not_said_is_taken_from_the_others() {
        let others = of(Some("jane"), &[("d-a", "x"), ("d-b", "y")]);
        assert_eq!(of(None, &[]).or(others.clone()), others);
        assert_eq!(
            of(Some("joe"), &[("d-b", "z"), ("d-c", "w")]).or(others.clone()),
            of(Some("joe"), &[("d-a", "x"), ("d-b", "z"), ("d-c", "w")])
        );
        assert_eq!(others.clone().or(of(None, &[])), others);
    }

    #[test]
    fn what_may_be_anothers_is_told() {
        let meet = |one: &Profiles, other: &Profiles| {
            assert_eq!(one.may_meet(other), other.may_meet(one));
            one.may_meet(other)
        };
        assert!(meet(&of(Some("jane"), &[]), &of(Some("Jane"), &[])));
        assert!(!meet(&of(Some("jane"), &[]), &of(Some("joe"), &[])));
        assert!(meet(&of(Some("jane"), &[]), &of(Some("joe"), &[("d-a", "JANE")])));
        assert!(!meet(&of(Some("jane"), &[("d-a", "x")]), &of(None, &[("d-a", "jane")])), "there she is x");
        assert!(meet(&of(None, &[("d-a", "x")]), &of(None, &[("d-a", "x")])));
        assert!(!meet(&of(None, &[("d-a", "x")]), &of(None, &[("d-b", "x")])));
        assert!(!meet(&of(None, &[]), &of(None, &[])));
        let studio = |id: &str, profile: &str| Target::from(Studio { domain_id: domain(id), user_profile_name: name(profile) });
        let jane = of(Some("jane"), &[("d-a", "x")]);
        assert!(jane.may_be(&studio("d-b", "JANE")) && jane.may_be(&studio("d-a", "x")));
        assert!(!jane.may_be(&studio("d-a", "jane")) && !jane.may_be(&studio("d-b", "x")));
        assert_eq!(jane.names().count(), 2);
        assert_eq!(Kind::Studio.attributes(), ["domain_id", PROFILE]);
    }

    #[test]
    fn profiles_are_one_for_all_domains_and_one_for_each() {
        let text = |value: &str| Value::S(value.to_owned());
        let by_domain = Value::M(Item::from([("d-abc".to_owned(), text("jane-2"))]));
        let item = Item::from([("user_profile_name".to_owned(), text("jane")), ("user_profile_names".to_owned(), by_domain)]);
        let profiles = Profiles::from_item(Some(&item)).unwrap();
        let at = |domain: &str| profiles.in_domain(&DomainId::new(domain).unwrap()).map(ToString::to_string);
        assert_eq!((at("d-abc").as_deref(), at("d-xyz").as_deref()), (Some("jane-2"), Some("jane")));
        assert_eq!(profiles.to_item(), item);
        assert_eq!(Profiles::from_item(None), Ok(Profiles::default()));
        assert_eq!(Profiles::from_item(Some(&Item::new())), Ok(Profiles::default()));
        let map = |domain: &str, profile: Value| Value::M(Item::from([(domain.to_owned(), profile)]));
        for (name, odd) in [
            ("user_profile_name", text("jane@example.com")),
            ("user_profile_name", Value::L(vec![text("jane"), text("joe")])),
            ("user_profile_names", text("jane")),
            ("user_profile_names", map("abc", text("jane"))),
            ("user_profile_names", map("d-abc", text(""))),
            ("user_profile_names", map("d-abc", Value::Bool(true))),
        ] {
            let defect = Profiles::from_item(Some(&Item::from([(name.to_owned(), odd.clone())]))).unwrap_err();
            assert_eq!(defect.attribute, name, "{odd:?}");
        }
    }

    #[test]
    fn only_what_is_known_to_be_active_is_active() {
        let with = |value: Value| Standing::from_item(Some(&Item::from([("status".to_owned(), value)])));
        assert_eq!(Standing::from_item(None), Standing::Active);
        assert_eq!(Standing::from_item(Some(&Item::new())), Standing::Active);
        assert_eq!(with(Value::S("active".into())), Standing::Active);
        assert_eq!(with(Value::S("suspended".into())), Standing::Suspended);
        for odd in [Value::S("Active".into()), Value::S(String::new()), Value::Bool(true), Value::N("1".into()), Value::Other("NULL")] {
            assert_eq!(with(odd.clone()), Standing::Malformed, "{odd:?}");
        }
    }
}
