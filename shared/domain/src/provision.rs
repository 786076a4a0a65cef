//! First login: a user profile that is made when its user comes for the first time, and whose it is.
//!
//! A profile that the broker makes has two tags, [`ISSUER_TAG`] and [`SUBJECT_TAG`]. A grant with `provision` opens a profile
//! with exactly these tags and no other: one that somebody else has made, or made for somebody else, is never taken over. AWS
//! compares the names of profiles without case, so the name alone would not say whose a profile is.

use std::collections::BTreeMap;

use sha2::{Digest as _, Sha256};

use crate::decision::Denial;
use crate::hex::lower_hex;
use crate::identity::Identity;
use crate::item::{Item, Value};
use crate::names::{ExternalId, RoleArn, SecurityGroupId, TagKey, TagValue};
use crate::posture::NotReady;
use crate::row::{GrantDefect, Row, defect};
use crate::target::Permission;

/// The tag that names the issuer by its id.
pub const ISSUER_TAG: &str = "latchkey:issuer";

/// The tag that names the subject: as it is, or hashed where a tag could not hold it ([`owner_tags`]).
pub const SUBJECT_TAG: &str = "latchkey:subject";

/// Most security groups of a user profile (`SecurityGroupIds` of `UserSettings`).
pub const MAX_SECURITY_GROUPS: usize = 5;

/// Most tags of a grant's own: SageMaker takes 50, two of which are the broker's.
pub const MAX_TAGS: usize = 48;

/// How a user profile is made, as a grant says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provision {
    /// The profile's execution role.
    pub execution_role_arn: RoleArn,
    /// The profile's security groups; none leaves them to the domain.
    pub security_group_ids: Vec<SecurityGroupId>,
    /// Further tags.
    pub tags: BTreeMap<TagKey, TagValue>,
    /// The role that makes it; absent, the configured one.
    pub role_arn: Option<RoleArn>,
    /// The external id for that role.
    pub external_id: Option<ExternalId>,
}

/// How a user profile is made, and as whom: what a grant and the configuration say together.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Provisioning {
    /// The profile.
    pub plan: Provision,
    /// The role that makes it.
    pub role: RoleArn,
    /// The external id for that role.
    pub external_id: Option<ExternalId>,
}

impl Provisioning {
    /// All that a session may do that looks for this profile and makes it: the profile itself, and giving it its role.
    ///
    /// Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SageMaker": tags at creation
    /// take `AddTags`, an execution role `iam:PassRole`.
    pub fn permissions(&self, profile_arn: String) -> Vec<Permission> {
        let on_profile = vec!["sagemaker:CreateUserProfile", "sagemaker:AddTags", "sagemaker:DescribeUserProfile", "sagemaker:ListTags"];
        vec![
            Permission { actions: on_profile, resource_arn: profile_arn },
            Permission { actions: vec!["iam:PassRole"], resource_arn: self.plan.execution_role_arn.to_string() },
        ]
    }
}

const ATTRIBUTES: [&str; 5] = ["execution_role_arn", "security_group_ids", "tags", "role_arn", "external_id"];

impl Provision {
    /// Reads a grant's `provision`.
    ///
    /// # Errors
    /// The first attribute that is missing, not known, of the wrong type or out of its bounds.
    pub(crate) fn from_item(item: &Item) -> Result<Self, GrantDefect> {
        if let Some(unknown) = item.keys().find(|key| !ATTRIBUTES.contains(&key.as_str())) {
            return Err(defect(unknown, "is not an attribute of provision"));
        }
        let row = Row(item);
        let security_group_ids = row.texts("security_group_ids", SecurityGroupId::new)?;
        if security_group_ids.len() > MAX_SECURITY_GROUPS {
            return Err(defect("security_group_ids", "has more than 5 entries"));
        }
        let mut tags = BTreeMap::new();
        for (key, value) in row.map("tags", "is a map (M) of tags by key")?.into_iter().flatten() {
            let key = TagKey::new(key.as_str()).map_err(|problem| defect("tags", problem.0))?;
            let Value::S(value) = value else { return Err(defect("tags", "has a value that is not a string (S)")) };
            tags.insert(key, TagValue::new(value.as_str()).map_err(|problem| defect("tags", problem.0))?);
        }
        if tags.len() > MAX_TAGS {
            return Err(defect("tags", "has more than 48 entries"));
        }
        Ok(Self {
            execution_role_arn: row.required("execution_role_arn", RoleArn::new)?,
            security_group_ids,
            tags,
            role_arn: row.optional("role_arn", RoleArn::new)?,
            external_id: row.optional("external_id", ExternalId::new)?,
        })
    }

    /// The map for this. Reading it gives it back.
    pub(crate) fn to_item(&self) -> Item {
        let text = |text: &str| Value::S(text.to_owned());
        let mut item = Item::from([("execution_role_arn".to_owned(), text(self.execution_role_arn.as_str()))]);
        if !self.security_group_ids.is_empty() {
            let ids = self.security_group_ids.iter().map(|id| text(id.as_str())).collect();
            item.insert("security_group_ids".to_owned(), Value::L(ids));
        }
        if !self.tags.is_empty() {
            let tags = self.tags.iter().map(|(key, value)| (key.as_str().to_owned(), text(value.as_str()))).collect();
            item.insert("tags".to_owned(), Value::M(tags));
        }
        if let Some(role_arn) = &self.role_arn {
            item.insert("role_arn".to_owned(), text(role_arn.as_str()));
        }
        if let Some(external_id) = &self.external_id {
            item.insert("external_id".to_owned(), text(external_id.as_str()));
        }
        item
    }
}

/// The two tags of what is this identity's own. Two identities never have the same ones.
///
/// Of the characters of a subject, tags hold letters, digits and `_.:/=+-@`; letters beyond ASCII could be written in two
/// ways. A subject of others, or one that begins as the hashed form does, stands there as `sha256:` and the SHA-256 of its
/// UTF-8 in hexadecimal.
pub fn owner_tags(identity: &Identity) -> [(&'static str, String); 2] {
    const HASHED: &str = "sha256:";
    let subject = identity.subject.as_str();
    let plain = subject.len() <= 256
        && !subject.starts_with(HASHED)
        && subject.bytes().all(|b| b.is_ascii_alphanumeric() || b"_.:/=+-@".contains(&b));
    let subject = if plain { subject.to_owned() } else { format!("{HASHED}{}", lower_hex(&Sha256::digest(subject))) };
    [(ISSUER_TAG, identity.issuer.to_string()), (SUBJECT_TAG, subject)]
}

/// Whether somebody is named as the owner of a profile with these tags.
pub fn is_owned<'a>(tags: impl IntoIterator<Item = (&'a str, &'a str)>) -> bool {
    tags.into_iter().any(|(key, _)| key == ISSUER_TAG || key == SUBJECT_TAG)
}

/// Whether a profile with these tags is this identity's own: it has both of [`owner_tags`], each once, to the byte.
pub fn is_own<'a>(identity: &Identity, tags: impl IntoIterator<Item = (&'a str, &'a str)> + Clone) -> bool {
    owner_tags(identity).iter().all(|(key, value)| {
        let mut values = tags.clone().into_iter().filter(|(other, _)| other == key).map(|(_, value)| value);
        values.next() == Some(value) && values.next().is_none()
    })
}

/// What was found of a profile, or done about it, and by which requests, whatever came of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ensured {
    /// Whose it is, and whether it can be opened; or why that could not be found out.
    pub outcome: Result<Profile, Denial>,
    /// The source identity that CloudTrail shows for what was done.
    pub source_identity: Option<String>,
    /// The ids of the AWS requests that looked, and made it.
    pub aws_request_ids: Vec<String>,
}

/// A user profile, as its user's first login finds it or leaves it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Profile {
    /// The user's own; with its state where it is not in service.
    Own(Option<NotReady>),
    /// There was none, and now it is being made.
    Created,
    /// Somebody is making or deleting one of that name: whose it is, is not to be seen yet.
    Changing,
    /// Somebody else's.
    Foreign,
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::identity::{IssuerId, Subject};

    fn identity(issuer: &str, subject: &str) -> Identity {
        Identity { issuer: IssuerId::new(issuer).unwrap(), subject: Subject::new(subject).unwrap() }
    }

    fn text(s: &str) -> Value {
        Value::S(s.to_owned())
    }

    fn plan(more: &[(&str, Value)]) -> Item {
        let mut item = Item::from([("execution_role_arn".to_owned(), text("arn:aws:iam::111122223333:role/studio"))]);
        item.extend(more.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        item
    }

    #[test]
    fn what_is_written_reads_back_equal() {
        let item = plan(&[
            ("security_group_ids", Value::L(vec![text("sg-0123456789abcdef0"), text("sg-11111111")])),
            ("tags", Value::M(Item::from([("team".to_owned(), text("research")), ("Kostenstelle".to_owned(), text(""))]))),
            ("role_arn", text("arn:aws:iam::111122223333:role/provisioning")),
            ("external_id", text("x-1")),
        ]);
        assert_eq!(Provision::from_item(&item).unwrap().to_item(), item);
        assert_eq!(Provision::from_item(&plan(&[])).unwrap().to_item(), plan(&[]));
    }

    #[test]
    fn nothing_is_guessed_at() {
        let many = |count: usize| Value::L((0..count).map(|n| text(&format!("sg-0000000{n}"))).collect());
        assert!(Provision::from_item(&plan(&[("security_group_ids", many(5))])).is_ok());
        let tags = |count: usize| Value::M((0..count).map(|n| (format!("t{n}"), text("v"))).collect());
        assert!(Provision::from_item(&plan(&[("tags", tags(48))])).is_ok());
        for (name, value) in [
            ("execution_role", text("arn:aws:iam::111122223333:role/studio")),
            ("execution_role_arn", text("arn:aws:iam::111122223333:user/studio")),
            ("security_group_ids", text("sg-11111111")),
            ("security_group_ids", Value::L(vec![text("sg-11111111"), text("sg-11111111")])),
            ("security_group_ids", Value::L(vec![text("subnet-11111111")])),
            ("security_group_ids", Value::L(vec![Value::N("1".into())])),
            ("security_group_ids", many(6)),
            ("tags", Value::L(vec![text("team")])),
            ("tags", Value::M(Item::from([("latchkey:subject".to_owned(), text("joe"))]))),
            ("tags", Value::M(Item::from([("aws:x".to_owned(), text("joe"))]))),
            ("tags", Value::M(Item::from([("team".to_owned(), Value::Bool(true))]))),
            ("tags", Value::M(Item::from([("team".to_owned(), text("a|b"))]))),
            ("tags", tags(49)),
            ("role_arn", text("x")),
            ("external_id", text("x")),
        ] {
            assert_eq!(Provision::from_item(&plan(&[(name, value.clone())])).unwrap_err().attribute, name, "{value:?}");
        }
        assert_eq!(Provision::from_item(&Item::new()).unwrap_err().attribute, "execution_role_arn");
    }

    #[test]
    fn a_profile_is_ones_own_by_both_tags_to_the_byte() {
        let jane = identity("okta", "jane@example.com");
        let [issuer, subject] = owner_tags(&jane);
        assert_eq!((issuer.1.as_str(), subject.1.as_str()), ("okta", "jane@example.com"));
        let (issuer, subject) = ((ISSUER_TAG, "okta"), (SUBJECT_TAG, "jane@example.com"));
        assert!(is_own(&jane, [("team", "x"), subject, issuer]));
        for tags in [
            &[][..],
            &[issuer],
            &[subject],
            &[issuer, (SUBJECT_TAG, "Jane@example.com")],
            &[issuer, (SUBJECT_TAG, "jane@example.com ")],
            &[("latchkey:Issuer", "okta"), subject],
            &[(ISSUER_TAG, "okta-2"), subject],
            &[issuer, subject, (SUBJECT_TAG, "joe")],
            &[issuer, subject, subject],
        ] {
            assert!(!is_own(&jane, tags.iter().copied()), "{tags:?}");
        }
        assert!(is_owned([("team", "x"), subject]) && is_owned([issuer]) && !is_owned([("team", "x"), ("latchkey:Subject", "x")]));
    }

    #[test]
    fn a_subject_that_no_tag_holds_is_hashed() {
        for subject in ["auth0|1", "jane doe", "zoë", "zoe\u{308}", "sha256:ab", &"x".repeat(255).replacen('x', "#", 1)] {
            let [_, (_, tag)] = owner_tags(&identity("a", subject));
            assert!(tag.starts_with("sha256:") && tag.len() == 71 && TagValue::new(tag.as_str()).is_ok(), "{subject}: {tag}");
        }
        // printf '%s' 'auth0|1' | sha256sum
        let [_, (_, tag)] = owner_tags(&identity("a", "auth0|1"));
        assert_eq!(tag, "sha256:b03e5d4509cd37476db38fb76f9b5b3ca8de1e6976d6b7ae5f7f9bc5664c7d0d");
    }

    proptest! {
        #[test]
        fn tags_are_apart_when_identities_are(
            a in ("[ab]", "\\PC{1,3}|sha256:[0-9a-f]{2}"), b in ("[ab]", "\\PC{1,3}|sha256:[0-9a-f]{2}")
        ) {
            let (Ok(one), Ok(other)) = (Subject::new(a.1.as_str()), Subject::new(b.1.as_str())) else { return Ok(()) };
            let one = Identity { issuer: IssuerId::new(a.0.as_str()).unwrap(), subject: one };
            let other = Identity { issuer: IssuerId::new(b.0.as_str()).unwrap(), subject: other };
            prop_assert_eq!(one == other, owner_tags(&one) == owner_tags(&other));
            let tags = owner_tags(&other);
            prop_assert_eq!(one == other, is_own(&one, tags.iter().map(|(key, value)| (*key, value.as_str()))));
        }
    }
}
