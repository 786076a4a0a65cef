//! What can be opened: one kind of SageMaker door each. A kind is one file below and one line of the table in [`kinds!`].

mod mlflow_app;
mod mlflow_server;
mod notebook;
mod partner_app;
mod studio;

use std::fmt;

pub use self::mlflow_app::MlflowApp;
pub use self::mlflow_server::MlflowServer;
pub use self::notebook::Notebook;
pub use self::partner_app::PartnerApp;
pub use self::studio::Studio;

use crate::names::{Partition, Region};
use crate::row::{GrantDefect, Row};

/// What a kind of target has to say of itself.
trait TargetKind: Sized {
    /// The kind as a grant's `kind` names it.
    const KIND: &'static str;
    /// The attributes of a grant that belong to the kind: strings, all of them required.
    const ATTRIBUTES: &'static [&'static str];
    /// The IAM action that makes a URL for it.
    const PRESIGN_ACTION: &'static str;
    /// The IAM action that tells its state.
    const STATE_ACTION: &'static str;
    /// The further IAM actions by which AWS judges what a browser does in the session that a URL opens.
    const SESSION_ACTIONS: &'static [&'static str] = &[];
    /// How long a URL lives.
    const URL_LIFE: UrlLife = UrlLife::Chosen;
    /// Whether a grant can name landings.
    const HAS_LANDINGS: bool = false;
    /// Whether it can be made when its user comes for the first time.
    const CAN_BE_PROVISIONED: bool = false;
    /// Whether the posture gate looks at it (the contract's section 5).
    const IS_GATED: bool = false;
    /// Whether it is one person's own, so that a second owner is mostly a mistake.
    const IS_PERSONAL: bool = false;
    /// Whether AWS compares its names without case.
    const IGNORES_CASE: bool = false;

    /// Reads its attributes.
    fn read(row: &Row<'_>) -> Result<Self, GrantDefect>;

    /// The values of its attributes, in the order of [`TargetKind::ATTRIBUTES`].
    fn values(&self) -> Vec<&str>;

    /// The ARN that IAM policies name it by.
    fn resource_arn(&self, place: Place<'_>) -> String;

    /// Its region, where its attributes say so.
    fn region(&self) -> Option<Region> {
        None
    }

    /// Its account, where its attributes say so.
    fn account_id(&self) -> Option<&str> {
        None
    }

    /// What the posture gate looks at besides the target's own state: IAM actions, each with its ARN.
    fn gate_permissions(&self, place: Place<'_>) -> Vec<Permission> {
        let _ = place;
        Vec::new()
    }

    /// The names below which a partition's URLs for it are, besides SageMaker's own ([`crate::presigned_url`]).
    fn host_suffixes(region: &Region) -> Vec<String> {
        let _ = region;
        Vec::new()
    }
}

/// Where a target is.
#[derive(Debug, Clone, Copy)]
pub struct Place<'a> {
    /// Its region.
    pub region: &'a Region,
    /// Its account: 12 digits.
    pub account_id: &'a str,
}

impl Place<'_> {
    /// The ARN of a SageMaker resource here.
    fn arn(self, resource: fmt::Arguments<'_>) -> String {
        let Self { region, account_id } = self;
        format!("arn:{}:sagemaker:{region}:{account_id}:{resource}", region.partition().as_str())
    }
}

/// How long a URL lives.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UrlLife {
    /// As long as it is asked to, from 5 to 300 seconds (`ExpiresInSeconds`).
    Chosen,
    /// So many seconds, whatever anybody asks for.
    Fixed(u32),
}

/// IAM actions on one resource: a statement of a session policy.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Permission {
    /// The actions, as `sagemaker:CreatePresignedDomainUrl`.
    pub actions: Vec<&'static str>,
    /// The ARN.
    pub resource_arn: String,
}

macro_rules! kinds {
    ($($(#[$doc:meta])* $kind:ident;)*) => {
        /// A kind of target.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Kind {
            $($(#[$doc])* $kind,)*
        }

        impl Kind {
            /// Every kind.
            pub const ALL: &[Self] = &[$(Self::$kind,)*];

            /// The kind as the table and the answers write it.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$kind => $kind::KIND,)* }
            }

            /// The attributes of a grant that belong to this kind alone: strings, all of them required.
            pub const fn attributes(self) -> &'static [&'static str] {
                match self { $(Self::$kind => $kind::ATTRIBUTES,)* }
            }

            /// Whether a grant of this kind can name landings.
            pub const fn has_landings(self) -> bool {
                match self { $(Self::$kind => $kind::HAS_LANDINGS,)* }
            }

            /// Whether a target of this kind can be made when its user comes for the first time.
            pub const fn can_be_provisioned(self) -> bool {
                match self { $(Self::$kind => $kind::CAN_BE_PROVISIONED,)* }
            }

            /// Whether the posture gate looks at targets of this kind.
            pub const fn is_gated(self) -> bool {
                match self { $(Self::$kind => $kind::IS_GATED,)* }
            }

            /// Whether a target of this kind is one person's own.
            pub const fn is_personal(self) -> bool {
                match self { $(Self::$kind => $kind::IS_PERSONAL,)* }
            }

            /// Whether AWS compares the names of this kind without case.
            pub const fn ignores_case(self) -> bool {
                match self { $(Self::$kind => $kind::IGNORES_CASE,)* }
            }

            /// How long the URLs of this kind live.
            pub const fn url_life(self) -> UrlLife {
                match self { $(Self::$kind => $kind::URL_LIFE,)* }
            }

            /// The IAM action that makes a URL of this kind.
            pub const fn presign_action(self) -> &'static str {
                match self { $(Self::$kind => $kind::PRESIGN_ACTION,)* }
            }

            const fn state_action(self) -> &'static str {
                match self { $(Self::$kind => $kind::STATE_ACTION,)* }
            }

            const fn session_actions(self) -> &'static [&'static str] {
                match self { $(Self::$kind => $kind::SESSION_ACTIONS,)* }
            }

            /// The names below which the hosts of this kind's URLs are in a region, besides SageMaker's own; each begins with
            /// a dot.
            pub(crate) fn host_suffixes(self, region: &Region) -> Vec<String> {
                match self { $(Self::$kind => $kind::host_suffixes(region),)* }
            }

            pub(crate) fn read(self, row: &Row<'_>) -> Result<Target, GrantDefect> {
                match self { $(Self::$kind => $kind::read(row).map(Target::$kind),)* }
            }
        }

        /// One door: exactly what a URL will open.
        #[derive(Debug, Clone, PartialEq, Eq)]
        pub enum Target {
            $($(#[$doc])* $kind($kind),)*
        }

        impl Target {
            /// Its kind.
            pub const fn kind(&self) -> Kind {
                match self { $(Self::$kind(_) => Kind::$kind,)* }
            }

            /// Its own attributes, as a grant has them.
            pub fn attributes(&self) -> Vec<(&'static str, &str)> {
                let values = match self { $(Self::$kind(target) => target.values(),)* };
                self.kind().attributes().iter().copied().zip(values).collect()
            }

            /// The ARN that IAM policies name it by.
            pub fn resource_arn(&self, place: Place<'_>) -> String {
                match self { $(Self::$kind(target) => target.resource_arn(place),)* }
            }

            /// Its region, where its attributes say so.
            pub fn region(&self) -> Option<Region> {
                match self { $(Self::$kind(target) => target.region(),)* }
            }

            /// Its account, where its attributes say so.
            pub fn account_id(&self) -> Option<&str> {
                match self { $(Self::$kind(target) => target.account_id(),)* }
            }

            fn gate_permissions(&self, place: Place<'_>) -> Vec<Permission> {
                match self { $(Self::$kind(target) => target.gate_permissions(place),)* }
            }
        }

        $(impl From<$kind> for Target {
            fn from(target: $kind) -> Self {
                Self::$kind(target)
            }
        })*
    };
}

kinds! {
    /// A user profile in a SageMaker Studio domain.
    Studio;
    /// A notebook instance.
    Notebook;
    /// An MLflow tracking server.
    MlflowServer;
    /// An MLflow app.
    MlflowApp;
    /// A SageMaker Partner AI App.
    PartnerApp;
}

impl Kind {
    /// The kind of that name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|kind| kind.as_str() == name)
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl Target {
    /// All that a session may do that opens it, and nothing else: make its URL, tell its state, whatever AWS judges a browser
    /// by, and with `gated` look at it for the posture gate.
    ///
    /// Source: Service Authorization Reference, "Actions, resources, and condition keys for Amazon SageMaker".
    pub fn permissions(&self, place: Place<'_>, gated: bool) -> Vec<Permission> {
        let kind = self.kind();
        let resource_arn = self.resource_arn(place);
        let further = [kind.state_action()].into_iter().chain(kind.session_actions().iter().copied()).collect();
        let mut permissions = vec![
            Permission { actions: vec![kind.presign_action()], resource_arn: resource_arn.clone() },
            Permission { actions: further, resource_arn },
        ];
        if gated {
            permissions.extend(self.gate_permissions(place));
        }
        permissions
    }

    /// Whether these may be one target, by what their attributes say. Case does not count: for some names it does not with AWS, and
    /// for the others two that differ in nothing else are a mistake at best.
    pub fn is_same_as(&self, other: &Self) -> bool {
        self.kind() == other.kind()
            && self.attributes().into_iter().zip(other.attributes()).all(|((_, own), (_, others))| own.eq_ignore_ascii_case(others))
    }
}

impl fmt::Display for Target {
    /// The kind and the attributes' values, as `studio d-abc/jane`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let values: Vec<&str> = self.attributes().into_iter().map(|(_, value)| value).collect();
        write!(f, "{} {}", self.kind(), values.join("/"))
    }
}

/// SageMaker's suffix for hosts, by partition. Source: the Public Suffix List, which AWS keeps its own names in.
pub const fn sagemaker_suffix(partition: Partition) -> &'static str {
    match partition {
        Partition::Aws | Partition::AwsUsGov => ".sagemaker.aws",
        Partition::AwsCn => ".sagemaker.com.cn",
    }
}

#[cfg(test)]
mod tests;
