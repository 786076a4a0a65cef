//! What a group was granted: one item of the table with a grant for each target, read as strictly as a user's.
//!
//! A group's grant says everything but whose user profile it opens: that the record of each of its users says
//! ([`crate::subject::Profiles`]). So nothing that is one person's own can be granted to a group.

use crate::clock::Timestamp;
use crate::decision::Reason;
use crate::grant::{Grant, GrantDefect};
use crate::item::{Item, Value};
use crate::names::TargetName;
use crate::row::{Row, defect};
use crate::subject::Profiles;
use crate::target::{Kind, Studio, Target};

/// Sort key of a group's item.
pub const GROUP_SORT_KEY: &str = "GROUP";

/// The attribute of a group's item that holds its grants: target name to the grant's attributes.
pub const TARGETS: &str = "targets";

/// The attribute of a user's grant that a group's has not.
const PROFILE: &str = "user_profile_name";

/// Stands for whoever comes while a grant of a group's is read. It goes no further than this file.
const ANYBODY: &str = "anybody";

/// A grant of a group's: a target and its terms, for everybody in the group.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GroupGrant(Grant);

impl GroupGrant {
    /// Reads the grant `name` from its attributes.
    ///
    /// # Errors
    /// The first attribute that is missing, not known, of the wrong type or out of its bounds, or that a group's grant cannot have.
    pub fn from_item(name: TargetName, item: &Item) -> Result<Self, GrantDefect> {
        if item.contains_key(PROFILE) {
            return Err(defect(PROFILE, "is not for a group's grant: each user's own record says it"));
        }
        if let Some(key) = ["pk", "sk"].into_iter().find(|key| item.contains_key(*key)) {
            return Err(defect(key, "is not an attribute of a group's grant"));
        }
        let kind = Row(item).string("kind")?.and_then(Kind::named);
        if kind == Some(Kind::Studio) {
            let mut whole = item.clone();
            whole.insert(PROFILE.to_owned(), Value::S(ANYBODY.to_owned()));
            return Grant::from_item(name, &whole).map(Self);
        }
        if kind.is_some_and(Kind::is_personal) {
            return Err(defect("kind", "is one person's own, and no group's"));
        }
        Grant::from_item(name, item).map(Self)
    }

    /// The grant as it is for a subject with these profiles; none where it opens a profile and they have none for its domain.
    pub fn for_subject(&self, profiles: &Profiles) -> Option<Grant> {
        let mut grant = self.0.clone();
        if let Target::Studio(Studio { domain_id, user_profile_name }) = &mut grant.target {
            *user_profile_name = profiles.in_domain(domain_id)?.clone();
        }
        Some(grant)
    }

    /// Whether it may be used at `now`: enabled, and in its dates.
    ///
    /// # Errors
    /// As [`Grant::usable_at`].
    pub fn usable_at(&self, now: Timestamp) -> Result<(), Reason> {
        self.0.usable_at(now)
    }

    /// Its name.
    pub const fn name(&self) -> &TargetName {
        &self.0.name
    }

    /// What it opens, for people: the kind and its attributes, as `studio d-abc`.
    pub fn opens(&self) -> String {
        if let Target::Studio(studio) = &self.0.target {
            return format!("{} {}", Kind::Studio, studio.domain_id);
        }
        self.0.target.to_string()
    }

    /// The attributes. Reading them gives the grant back.
    pub fn to_item(&self) -> Item {
        let mut item = self.0.to_item();
        item.remove(PROFILE);
        item
    }
}

/// The grants of a group's item, by the names that stand there.
///
/// # Errors
/// The item as a whole is not a group's: nobody can say what it was meant to grant, so it grants nothing.
pub fn grants(item: &Item) -> Result<impl Iterator<Item = (&str, Result<&Item, GrantDefect>)>, GrantDefect> {
    let is_known = |name: &str| matches!(name, "pk" | "sk" | TARGETS | "note" | "updated_at" | "updated_by") || name.starts_with("x_");
    if let Some(unknown) = item.keys().find(|name| !is_known(name)) {
        return Err(defect(unknown, "is not an attribute of a group (own attributes begin with x_)"));
    }
    let targets = Row(item).map(TARGETS, "is a map (M) of grants by their targets' names")?;
    Ok(targets.into_iter().flatten().map(|(name, value)| match value {
        Value::M(attributes) => (name.as_str(), Ok(attributes)),
        Value::S(_) | Value::N(_) | Value::Bool(_) | Value::L(_) | Value::Other(_) => {
            (name.as_str(), Err(defect(TARGETS, "has a grant that is not a map (M)")))
        }
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn item(attributes: &[(&str, &str)]) -> Item {
        attributes.iter().map(|&(name, value)| (name.to_owned(), Value::S(value.to_owned()))).collect()
    }

    fn read(attributes: &[(&str, &str)]) -> Result<GroupGrant, String> {
        GroupGrant::from_item(TargetName::new("lab").unwrap(), &item(attributes)).map_err(|defect| defect.attribute)
    }

    #[test]
    fn a_groups_grant_says_everything_but_whose_it_is() {
        let studio = read(&[("kind", "studio"), ("domain_id", "d-abc"), ("region", "eu-west-1")]).unwrap();
        assert_eq!(studio.opens(), "studio d-abc");
        assert_eq!(GroupGrant::from_item(studio.name().clone(), &studio.to_item()), Ok(studio.clone()));
        assert!(!studio.to_item().contains_key("user_profile_name"));
        let profiles = Profiles::from_item(Some(&item(&[("user_profile_name", "jane")]))).unwrap();
        assert_eq!(studio.for_subject(&profiles).unwrap().target.to_string(), "studio d-abc/jane");
        assert_eq!(studio.for_subject(&Profiles::default()), None, "without a profile there is nothing to open");
        let server = read(&[("kind", "mlflow-server"), ("tracking_server_name", "team")]).unwrap();
        assert_eq!(server.for_subject(&Profiles::default()).unwrap().target.to_string(), "mlflow-server team");
    }

    #[test]
    fn it_is_usable_as_any_grant_is() {
        let of = |more: (&str, Value)| {
            let mut item = item(&[("kind", "studio"), ("domain_id", "d-abc")]);
            item.insert(more.0.to_owned(), more.1);
            GroupGrant::from_item(TargetName::new("lab").unwrap(), &item).unwrap().usable_at(Timestamp::from_unix_seconds(100))
        };
        assert_eq!(of(("enabled", Value::Bool(true))), Ok(()));
        assert_eq!(of(("enabled", Value::Bool(false))), Err(Reason("grant.disabled")));
        assert_eq!(of(("expires_at", Value::N("100".into()))), Err(Reason("grant.expired")));
    }

    #[test]
    fn what_would_be_shared_by_everybody_is_malformed() {
        assert_eq!(read(&[("kind", "studio"), ("domain_id", "d-abc"), ("user_profile_name", "jane")]), Err("user_profile_name".into()));
        assert_eq!(read(&[("kind", "notebook"), ("notebook_instance_name", "nb")]), Err("kind".into()));
        let server = [("kind", "mlflow-server"), ("tracking_server_name", "team")];
        for more in ["user_profile_name", "pk", "sk", "enable"] {
            assert_eq!(read(&[server[0], server[1], (more, "x")]), Err(more.into()));
        }
        assert_eq!(read(&[("kind", "studio")]), Err("domain_id".into()));
        assert_eq!(read(&[("kind", "castle")]), Err("kind".into()));
        // Every kind is either nobody's in particular, or a profile that each user brings.
        assert!(Kind::ALL.iter().all(|kind| !kind.is_personal() || matches!(kind, Kind::Studio | Kind::Notebook)));
    }

    #[test]
    fn a_groups_item_is_read_as_a_whole_or_not_at_all() {
        let of = |more: &[(&str, Value)]| -> Item { more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect() };
        let count = |item: &Item| grants(item).map(|grants| grants.count()).map_err(|defect| defect.attribute);
        let targets = Value::M(of(&[("a", Value::M(Item::new())), ("b", Value::Bool(true))]));
        assert_eq!(count(&Item::new()), Ok(0));
        assert_eq!(count(&of(&[("targets", targets.clone()), ("note", Value::Bool(true)), ("x_1", Value::Bool(true))])), Ok(2));
        assert_eq!(count(&of(&[("targets", Value::L(vec![]))])), Err("targets".into()));
        // Whoever writes these means to close something.
        for closes in ["enabled", "expires_at", "ttl", "status"] {
            assert_eq!(count(&of(&[("targets", targets.clone()), (closes, Value::Bool(false))])), Err(closes.into()));
        }
        let item = of(&[("targets", targets)]);
        let read: Vec<_> = grants(&item).unwrap().map(|(name, grant)| (name, grant.is_ok())).collect();
        assert_eq!(read, [("a", true), ("b", false)]);
    }
}
