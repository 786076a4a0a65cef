//! What a row of a file, or of the table, says: the same whichever of them it came from.

use latchkey_aws::grant_admin::{GroupIdentity, OWN_ATTRIBUTE_PREFIX, Row};
use latchkey_domain::grant::{Grant, GrantDefect};
use latchkey_domain::group::GroupGrant;
use latchkey_domain::identity::{Group, Identity, IssuerId, Subject};
use latchkey_domain::item::{Item, Value};
use latchkey_domain::names::TargetName;
use latchkey_domain::subject::{PROFILE, PROFILES, Profiles, Standing};

use crate::grant_args::Owner;

/// A grant, of a subject's or a group's, or a subject's own record.
///
/// Two that are equal mean the same: an absent `enabled` is true, an empty note is none, and who wrote the row when is no part of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Record {
    /// A subject's grant.
    Grant(Identity, Box<GrantRow<Grant>>),
    /// A group's grant.
    OfGroup(GroupIdentity, Box<GrantRow<GroupGrant>>),
    /// The subject's own record.
    Subject(Identity, SubjectRow),
}

/// A grant and what is kept with it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GrantRow<G> {
    /// The grant.
    pub grant: G,
    /// Its note.
    pub note: Option<String>,
    /// The operator's own attributes.
    pub own: Item,
}

/// What a subject's own record says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SubjectRow {
    /// Whether the subject is suspended; none where a file does not say it.
    pub suspended: Option<bool>,
    /// The user profiles that are the subject's own, for the grants of its groups.
    pub profiles: Profiles,
    /// Its note.
    pub note: Option<String>,
    /// The operator's own attributes.
    pub own: Item,
}

impl Record {
    /// Reads a file's row: `issuer`, `subject` or `group`, perhaps `target`, and the attributes.
    ///
    /// # Errors
    /// The first attribute that is missing, not known, of the wrong type or out of its bounds.
    pub fn from_item(mut item: Item) -> Result<Self, GrantDefect> {
        let issuer = IssuerId::new(required(&mut item, "issuer")?).map_err(|error| defect("issuer", error.0))?;
        let owner = owner(issuer, &mut item)?;
        let target = take_text(&mut item, "target")?;
        if let Some(key) = ["pk", "sk"].into_iter().find(|key| item.contains_key(*key)) {
            return Err(defect(key, "comes from issuer, subject or group, and target, and does not stand in the file"));
        }
        let target = target.map(|name| TargetName::new(name).map_err(|error| defect("target", error.0))).transpose()?;
        let record = match (owner, target) {
            (Owner::Subject(identity), Some(name)) => Self::grant(identity, name, &item)?,
            (Owner::Subject(identity), None) => Self::subject(identity, &item)?,
            (Owner::Group(whose), Some(name)) => Self::of_group(whose, name, &item)?,
            (Owner::Group(_), None) => return Err(defect("target", "is missing (a group has grants, and no record of its own)")),
        };
        record.check_exact()?;
        Ok(record)
    }

    /// Reads a row of the table; none for one that is neither a grant's nor a subject's.
    ///
    /// # Errors
    /// The first attribute that makes it malformed.
    pub fn from_row(row: &Row) -> Option<Result<Self, GrantDefect>> {
        if let Some(whose) = row.group.clone() {
            return Some(match row.target_name().map(TargetName::new) {
                Some(Ok(name)) => Self::of_group(whose, name, &row.item),
                // What is wrong with it the row itself knows; the item of a group is in any case no grant.
                Some(Err(_)) | None => Err(row.defect().unwrap_or_else(|| defect("sk", "is a group's"))),
            });
        }
        let identity = row.identity.clone()?;
        if row.is_subject() {
            return Some(Self::subject(identity, &row.item).map(|mut record| {
                if let Self::Subject(_, row) = &mut record {
                    // What a row of the table leaves unsaid, it means.
                    row.suspended = row.suspended.or(Some(false));
                }
                record
            }));
        }
        let name = row.target_name()?;
        Some(match TargetName::new(name) {
            Ok(name) => Self::grant(identity, name, &row.item),
            Err(error) => Err(defect("sk", error.0)),
        })
    }

    fn grant(identity: Identity, name: TargetName, item: &Item) -> Result<Self, GrantDefect> {
        let grant = Grant::from_item(name, item)?;
        let row = GrantRow { grant, note: note(item)?, own: own_attributes(item) };
        Ok(Self::Grant(identity, Box::new(row)))
    }

    fn of_group(whose: GroupIdentity, name: TargetName, item: &Item) -> Result<Self, GrantDefect> {
        let grant = GroupGrant::from_item(name, item)?;
        let row = GrantRow { grant, note: note(item)?, own: own_attributes(item) };
        Ok(Self::OfGroup(whose, Box::new(row)))
    }

    fn subject(identity: Identity, item: &Item) -> Result<Self, GrantDefect> {
        if item.contains_key("kind") {
            return Err(defect("target", "is missing (without it a row is the subject's own, which has no kind)"));
        }
        let known = |name: &str| {
            matches!(name, "status" | PROFILE | PROFILES | "note" | "updated_at" | "updated_by") || name.starts_with(OWN_ATTRIBUTE_PREFIX)
        };
        if let Some(unknown) = item.keys().find(|name| !known(name)) {
            return Err(defect(unknown, "is not an attribute of a subject (own attributes begin with x_)"));
        }
        let suspended = match Standing::from_item(Some(item)) {
            Standing::Active => item.contains_key("status").then_some(false),
            Standing::Suspended => Some(true),
            Standing::Malformed => return Err(defect("status", "is active or suspended")),
        };
        let profiles = Profiles::from_item(Some(item))?;
        let row = SubjectRow { suspended, profiles, note: note(item)?, own: own_attributes(item) };
        Ok(Self::Subject(identity, row))
    }

    /// That a file can hold all of it: no value of a type, and no number, that JSON or YAML would give back as another.
    ///
    /// # Errors
    /// The first attribute of which it is not so. Only an operator's own can be.
    pub fn check_exact(&self) -> Result<(), GrantDefect> {
        let own = match self {
            Self::Grant(_, row) => &row.own,
            Self::OfGroup(_, row) => &row.own,
            Self::Subject(_, row) => &row.own,
        };
        match own.iter().find(|(_, value)| !is_exact(value)) {
            Some((name, _)) => {
                Err(defect(name, "is neither text, a whole number of 64 bits, true, false, a map nor a list, as a file can hold them"))
            }
            None => Ok(()),
        }
    }

    /// The name of the target; none for a subject's own record.
    pub fn target(&self) -> Option<&TargetName> {
        match self {
            Self::Grant(_, row) => Some(&row.grant.name),
            Self::OfGroup(_, row) => Some(row.grant.name()),
            Self::Subject(..) => None,
        }
    }

    /// Whose it is.
    pub fn owner(&self) -> Owner {
        match self {
            Self::Grant(identity, _) | Self::Subject(identity, _) => Owner::Subject(identity.clone()),
            Self::OfGroup(whose, _) => Owner::Group(whose.clone()),
        }
    }

    /// The attributes, without the keys, and without who wrote them when.
    pub fn attributes(&self) -> Item {
        let (mut item, note, own) = match self {
            Self::Grant(_, row) => (row.grant.to_item(), &row.note, &row.own),
            Self::OfGroup(_, row) => (row.grant.to_item(), &row.note, &row.own),
            Self::Subject(_, row) => {
                let mut item = row.profiles.to_item();
                if let Some(suspended) = row.suspended {
                    let status = if suspended { "suspended" } else { "active" };
                    item.insert("status".to_owned(), Value::S(status.to_owned()));
                }
                (item, &row.note, &row.own)
            }
        };
        item.extend(own.clone());
        if let Some(note) = note {
            item.insert("note".to_owned(), Value::S(note.clone()));
        }
        item
    }

    /// The row for a file. Reading it gives the record back.
    pub fn to_item(&self) -> Item {
        let mut item = self.attributes();
        let mut put = |name: &str, value: &str| item.insert(name.to_owned(), Value::S(value.to_owned()));
        let owner = self.owner();
        put("issuer", owner.issuer().as_str());
        for (name, value) in [("subject", owner.subject()), ("group", owner.group())] {
            if let Some(value) = value {
                put(name, value);
            }
        }
        if let Some(target) = self.target() {
            put("target", target.as_str());
        }
        item
    }
}

fn owner(issuer: IssuerId, item: &mut Item) -> Result<Owner, GrantDefect> {
    match (take_text(item, "subject")?, take_text(item, "group")?) {
        (Some(_), Some(_)) => Err(defect("group", "is there, and so is subject: a row is either's")),
        (None, Some(group)) => {
            let group = Group::new(group).map_err(|error| defect("group", error.0))?;
            Ok(Owner::Group(GroupIdentity { issuer, group }))
        }
        (Some(subject), None) => {
            let subject = Subject::new(subject).map_err(|error| defect("subject", error.0))?;
            Ok(Owner::Subject(Identity { issuer, subject }))
        }
        (None, None) => Err(defect("subject", "is missing, and so is group")),
    }
}

/// An attribute's name made printable and cut short, as it may be anything.
fn defect(attribute: &str, problem: &'static str) -> GrantDefect {
    let attribute = attribute.chars().take(64).map(|c| if c.is_control() { '?' } else { c }).collect();
    GrantDefect { attribute, problem }
}

fn take_text(item: &mut Item, attribute: &str) -> Result<Option<String>, GrantDefect> {
    match item.remove(attribute) {
        None => Ok(None),
        Some(Value::S(text)) => Ok(Some(text)),
        Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_)) => {
            Err(defect(attribute, "is text (in quotes, where it looks like a number or a truth value)"))
        }
    }
}

fn required(item: &mut Item, attribute: &str) -> Result<String, GrantDefect> {
    take_text(item, attribute)?.ok_or_else(|| defect(attribute, "is missing"))
}

fn note(item: &Item) -> Result<Option<String>, GrantDefect> {
    match item.get("note") {
        None => Ok(None),
        Some(Value::S(note)) => Ok(Some(note.clone()).filter(|note| !note.is_empty())),
        Some(Value::N(_) | Value::Bool(_) | Value::M(_) | Value::L(_) | Value::Other(_)) => Err(defect("note", "is text")),
    }
}

fn own_attributes(item: &Item) -> Item {
    item.iter().filter(|(name, _)| name.starts_with(OWN_ATTRIBUTE_PREFIX)).map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn is_exact(value: &Value) -> bool {
    match value {
        Value::S(_) | Value::Bool(_) => true,
        Value::N(number) => number.parse::<i64>().is_ok_and(|whole| whole.to_string() == *number),
        Value::M(map) => map.values().all(is_exact),
        Value::L(list) => list.iter().all(is_exact),
        Value::Other(_) => false,
    }
}
