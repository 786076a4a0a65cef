//! Names with AWS's limits: what parses is legal.
//!
//! The limits are those of the SageMaker, STS and IAM API models. The models' minimum lengths are 0, so an empty domain or
//! profile would pass the SDK; it does not pass here.

use std::fmt;

/// A value that is not a legal name, and what a legal one is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InvalidName(pub &'static str);

impl fmt::Display for InvalidName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for InvalidName {}

macro_rules! name {
    ($(#[$doc:meta])* $type:ident, $legal:path, $rule:literal) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $type(String);

        impl $type {
            #[doc = concat!("What a legal one is: ", $rule, ".")]
            pub const RULE: &'static str = $rule;

            /// Takes a legal name.
            ///
            /// # Errors
            #[doc = concat!("Anything but ", $rule, ".")]
            pub fn new(name: impl Into<String>) -> Result<Self, InvalidName> {
                let name = name.into();
                if $legal(&name) { Ok(Self(name)) } else { Err(InvalidName(Self::RULE)) }
            }

            /// The name.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

name!(
    /// The name of one of a user's targets, as the portal asks for it.
    TargetName,
    is_label,
    "1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or a digit"
);
name!(
    /// The name of a place to land in within a target.
    LandingName,
    is_label,
    "1 to 64 of A-Z, a-z, 0-9, '.', '_' and '-', the first a letter or a digit"
);
name!(
    /// A SageMaker domain (`DomainId`: `d-(-*[a-z0-9]){1,61}`).
    DomainId,
    is_domain_id,
    "'d-' and then 1 to 61 of a-z and 0-9, with '-' before any of them, at most 63 in all"
);
name!(
    /// A user profile (`UserProfileName`: `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,62}`). SageMaker compares them without case.
    UserProfileName,
    is_resource_name,
    "1 to 63 of A-Z, a-z, 0-9 and '-', neither the first nor the last a '-'"
);
name!(
    /// A space (`SpaceName`: as a user profile).
    SpaceName,
    is_resource_name,
    "1 to 63 of A-Z, a-z, 0-9 and '-', neither the first nor the last a '-'"
);
name!(
    /// A notebook instance (`NotebookInstanceName`: `[a-zA-Z0-9](-*[a-zA-Z0-9])*`, at most 63).
    NotebookInstanceName,
    is_resource_name,
    "1 to 63 of A-Z, a-z, 0-9 and '-', neither the first nor the last a '-'"
);
name!(
    /// An MLflow tracking server (`TrackingServerName`: `[a-zA-Z0-9](-*[a-zA-Z0-9]){0,255}`, at most 256).
    TrackingServerName,
    is_tracking_server_name,
    "1 to 256 of A-Z, a-z, 0-9 and '-', neither the first nor the last a '-'"
);
name!(
    /// The ARN of an MLflow app (`Arn` of `CreatePresignedMlflowAppUrl`, at most 128; what follows `mlflow-app/` is held to
    /// what ids are made of, as it goes into policies).
    MlflowAppArn,
    is_mlflow_app_arn,
    "the ARN of an MLflow app, arn:<partition>:sagemaker:<region>:<12 digits>:mlflow-app/<id>, at most 128"
);
name!(
    /// The ARN of a SageMaker Partner AI App (`Arn` of `CreatePartnerAppPresignedUrl`:
    /// `arn:aws[a-z\-]*:sagemaker:[a-z0-9\-]*:[0-9]{12}:partner-app\/app-[A-Z0-9]{12}`, at most 128).
    PartnerAppArn,
    is_partner_app_arn,
    "the ARN of a Partner AI App, arn:<partition>:sagemaker:<region>:<12 digits>:partner-app/app-<12 of A-Z and 0-9>"
);
name!(
    /// A security group of a VPC, as `sg-0123456789abcdef0`.
    SecurityGroupId,
    is_security_group_id,
    "'sg-' and 8 to 17 of 0-9 and a-f"
);
name!(
    /// The key of a tag (`TagKey`, of which the ASCII part is taken here). `aws:` is AWS's, `latchkey:` the broker's.
    TagKey,
    is_tag_key,
    "1 to 128 of A-Z, a-z, 0-9, spaces and _.:/=+-@, beginning neither with aws: nor with latchkey:"
);
name!(
    /// The value of a tag (`TagValue`, of which the ASCII part is taken here).
    TagValue,
    is_tag_value,
    "at most 256 of A-Z, a-z, 0-9, spaces and _.:/=+-@"
);
name!(
    /// An AWS region, as `eu-central-1`.
    Region,
    is_region,
    "an AWS region such as eu-central-1"
);
name!(
    /// An AWS account: 12 digits.
    AccountId,
    is_account_id,
    "12 digits"
);
name!(
    /// The ARN of an IAM role, as `arn:aws:iam::123456789012:role/path/name`.
    RoleArn,
    is_role_arn,
    "the ARN of an IAM role, arn:<partition>:iam::<12 digits>:role/<name>"
);
name!(
    /// An external id (STS `ExternalId`: 2 to 1224 of `[\w+=,.@:\/-]`).
    ExternalId,
    is_external_id,
    "2 to 1224 of A-Z, a-z, 0-9 and _+=,.@:/-"
);
name!(
    /// A landing URI (`LandingUri`, at most 1023): `studio::` or `app:<type>:` and a relative path.
    LandingUri,
    is_landing_uri,
    "'studio::' or 'app:' with JupyterServer, JupyterLab, RStudioServerPro, CodeEditor or Canvas and ':', then a relative path without '..', '\\' or '//', at most 1023 in all"
);

impl RoleArn {
    /// The account in which the role is.
    pub fn account_id(&self) -> &str {
        // `is_role_arn` has checked that there are six parts and that the fifth is an account.
        self.0.split(':').nth(4).unwrap_or_default()
    }

    /// The partition in which the role is.
    pub fn partition(&self) -> Partition {
        match self.0.split(':').nth(1) {
            Some("aws-cn") => Partition::AwsCn,
            Some("aws-us-gov") => Partition::AwsUsGov,
            Some(_) | None => Partition::Aws,
        }
    }

    /// The name of the role, without its path.
    pub fn role_name(&self) -> &str {
        self.0.rsplit('/').next().unwrap_or_default()
    }
}

macro_rules! sagemaker_arn {
    ($($type:ident)*) => {$(
        impl $type {
            /// The region in the ARN.
            pub fn region(&self) -> Region {
                // The ARN was held to the form of one when it was taken.
                Region(self.0.split(':').nth(3).unwrap_or_default().to_owned())
            }

            /// The account in the ARN.
            pub fn account_id(&self) -> &str {
                self.0.split(':').nth(4).unwrap_or_default()
            }
        }
    )*};
}
sagemaker_arn!(MlflowAppArn PartnerAppArn);

impl Region {
    /// The partition in which the region is.
    pub fn partition(&self) -> Partition {
        if self.0.starts_with("cn-") {
            Partition::AwsCn
        } else if self.0.starts_with("us-gov-") {
            Partition::AwsUsGov
        } else {
            Partition::Aws
        }
    }
}

/// A partition of AWS in which the broker can work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Partition {
    /// The commercial regions.
    Aws,
    /// The regions in China.
    AwsCn,
    /// AWS GovCloud (US).
    AwsUsGov,
}

impl Partition {
    /// The partition as it stands in an ARN.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Aws => "aws",
            Self::AwsCn => "aws-cn",
            Self::AwsUsGov => "aws-us-gov",
        }
    }
}

fn is_label(s: &str) -> bool {
    (1..=64).contains(&s.len())
        && s.as_bytes()[0].is_ascii_alphanumeric()
        && s.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'.' | b'_' | b'-'))
}

fn is_domain_id(s: &str) -> bool {
    let Some(rest) = s.strip_prefix("d-") else { return false };
    s.len() <= 63
        && rest.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-')
        && rest.bytes().last().is_some_and(|b| b != b'-')
}

fn is_resource_name(s: &str) -> bool {
    (1..=63).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !s.starts_with('-') && !s.ends_with('-')
}

fn is_tracking_server_name(s: &str) -> bool {
    (1..=256).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-') && !s.starts_with('-') && !s.ends_with('-')
}

/// What follows the type of a SageMaker resource in its ARN, if `s` is one of that type, within the API's 128 characters, and
/// its partition is that of its region.
fn sagemaker_resource<'a>(s: &'a str, resource_type: &str) -> Option<&'a str> {
    let mut parts = s.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    let (arn, partition, service, region, account, resource) = (next(), next(), next(), next(), next(), next());
    let region = Region::new(region).ok()?;
    let whole =
        s.len() <= 128 && arn == "arn" && partition == region.partition().as_str() && service == "sagemaker" && is_account_id(account);
    resource.strip_prefix(resource_type)?.strip_prefix('/').filter(|_| whole)
}

fn is_mlflow_app_arn(s: &str) -> bool {
    // The model takes any text as an id. In a policy a `*` or a `$` would not stand for itself.
    sagemaker_resource(s, "mlflow-app").is_some_and(is_resource_name)
}

fn is_partner_app_arn(s: &str) -> bool {
    sagemaker_resource(s, "partner-app")
        .and_then(|id| id.strip_prefix("app-"))
        .is_some_and(|id| id.len() == 12 && id.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit()))
}

fn is_security_group_id(s: &str) -> bool {
    s.strip_prefix("sg-").is_some_and(|id| (8..=17).contains(&id.len()) && id.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f')))
}

fn is_tag_text(s: &str) -> bool {
    // AWS takes the letters and digits of every script (`\p{L}\p{N}`), which std's classes are not exactly.
    s.bytes().all(|b| b.is_ascii_alphanumeric() || b" _.:/=+-@".contains(&b))
}

fn is_tag_key(s: &str) -> bool {
    let lower = s.to_ascii_lowercase();
    (1..=128).contains(&s.len()) && is_tag_text(s) && !lower.starts_with("aws:") && !lower.starts_with("latchkey:")
}

fn is_tag_value(s: &str) -> bool {
    s.len() <= 256 && is_tag_text(s)
}

fn is_region(s: &str) -> bool {
    // At least two parts of letters and a number: a region is part of host names and ARNs, so nothing else may slip in.
    let parts: Vec<&str> = s.split('-').collect();
    let [words @ .., number] = parts.as_slice() else { return false };
    s.len() <= 32
        && words.len() >= 2
        && words.iter().all(|w| !w.is_empty() && w.bytes().all(|b| b.is_ascii_lowercase()))
        && (1..=2).contains(&number.len())
        && number.bytes().all(|b| b.is_ascii_digit())
}

fn is_account_id(s: &str) -> bool {
    s.len() == 12 && s.bytes().all(|b| b.is_ascii_digit())
}

fn is_role_arn(s: &str) -> bool {
    // STS takes 20 to 2048; a role's path has at most 512 characters and its name 64, of those below (IAM, "IAM and STS quotas").
    let mut parts = s.splitn(6, ':');
    let mut next = || parts.next().unwrap_or_default();
    (20..=2048).contains(&s.len())
        && next() == "arn"
        && matches!(next(), "aws" | "aws-cn" | "aws-us-gov")
        && next() == "iam"
        && next().is_empty()
        && is_account_id(next())
        && next().strip_prefix("role/").is_some_and(|role| {
            // The path begins with the slash that ends `role`.
            let (path, name) = role.rsplit_once('/').map_or((0, role), |(path, name)| (path.len() + 2, name));
            let is_legal = |b: u8| b.is_ascii_alphanumeric() || b"_+=,.@-/".contains(&b);
            path <= 512 && (1..=64).contains(&name.len()) && role.bytes().all(is_legal)
        })
}

fn is_external_id(s: &str) -> bool {
    (2..=1224).contains(&s.len()) && s.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+=,.@:/-".contains(&b))
}

fn is_landing_uri(s: &str) -> bool {
    const APPS: [&str; 5] = ["JupyterServer", "JupyterLab", "RStudioServerPro", "CodeEditor", "Canvas"];
    let path = match s.strip_prefix("studio::") {
        Some(path) => path,
        None => {
            let Some((app, path)) = s.strip_prefix("app:").and_then(|rest| rest.split_once(':')) else { return false };
            if !APPS.contains(&app) {
                return false;
            }
            path
        }
    };
    // A path that leaves its root, or that a browser would read as another host, could reach a port which an app proxies.
    s.len() <= 1023
        && path.bytes().all(|b| b.is_ascii_graphic() && b != b'\\')
        && !path.starts_with('/')
        && !path.contains("//")
        && !decoded_dots(path)
}

/// Whether a segment of the path is `..`, written plainly or percent-encoded.
fn decoded_dots(path: &str) -> bool {
    let plain =
        path.replace("%2e", ".").replace("%2E", ".").replace("%2f", "/").replace("%2F", "/").replace("%5c", "/").replace("%5C", "/");
    let path_only = plain.split(['?', '#']).next().unwrap_or_default();
    path_only.split('/').any(|segment| segment == "..")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn domain_ids() {
        for good in ["d-a", "d-abc123", "d--a", "d-a-b", &format!("d-{}", "x".repeat(61))] {
            assert!(DomainId::new(good).is_ok(), "{good}");
        }
        for bad in ["", "d-", "d-A", "x-abc", "d-abc-", "d-ab_c", "d-a\n", "D-abc", &format!("d-{}", "x".repeat(62))] {
            assert!(DomainId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn profile_names_are_not_e_mail_addresses() {
        for good in ["a", "jane-doe", "Jane", "a--b", &"x".repeat(63)] {
            assert!(UserProfileName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "jane@example.com", "a b", "ä", "a/b", &"x".repeat(64)] {
            assert!(UserProfileName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn role_arns() {
        let arn = RoleArn::new("arn:aws:iam::123456789012:role/team/latchkey-issuing").unwrap();
        assert_eq!(arn.account_id(), "123456789012");
        assert_eq!(arn.role_name(), "latchkey-issuing");
        assert!(RoleArn::new(format!("arn:aws:iam::123456789012:role/{}/{}", "p".repeat(510), "x".repeat(64))).is_ok());
        for bad in [
            "",
            "arn:aws:iam::123456789012:user/jane",
            "arn:aws:iam::12345678901:role/x",
            "arn:aws:iam:eu-west-1:123456789012:role/x",
            "arn:evil:iam::123456789012:role/x",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::123456789012:role/a b",
            "arn:aws:iam::123456789012:role/a*",
            "arn:aws:iam::123456789012:role/a:b",
            "arn:aws:iam::123456789012:role/path/",
            &format!("arn:aws:iam::123456789012:role/{}", "x".repeat(65)),
            &format!("arn:aws:iam::123456789012:role/{}/x", "p".repeat(511)),
        ] {
            assert!(RoleArn::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn regions() {
        for (good, partition) in [
            ("eu-central-1", Partition::Aws),
            ("ap-southeast-12", Partition::Aws),
            ("cn-north-1", Partition::AwsCn),
            ("us-gov-west-1", Partition::AwsUsGov),
        ] {
            assert_eq!(Region::new(good).unwrap().partition(), partition);
        }
        for bad in ["", "eu-central", "eu-central-1.evil.example", "eu--1", "EU-central-1", "1-eu-central", "eu-central-123"] {
            assert!(Region::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn landing_uris_stay_inside() {
        for good in
            ["studio::", "studio::models/registry", "app:JupyterLab:lab/tree/start.ipynb", "app:Canvas:", "app:CodeEditor:?folder=/home"]
        {
            assert!(LandingUri::new(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "studio:",
            "https://evil.example",
            "app:Terminal:x",
            "app:JupyterLab",
            "studio::/etc",
            "studio:://evil.example",
            "app:JupyterLab:../proxy/8080",
            "app:JupyterLab:a/%2e%2E/proxy",
            "app:JupyterLab:a%2f..%2fproxy",
            "app:JupyterLab:a\\..\\b",
            "app:JupyterLab:a b",
            &format!("studio::{}", "x".repeat(1016)),
        ] {
            assert!(LandingUri::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn tracking_servers_have_long_names() {
        for good in ["a", "team-a", &"x".repeat(256)] {
            assert!(TrackingServerName::new(good).is_ok(), "{good}");
        }
        for bad in ["", "-a", "a-", "a_b", "a*", &"x".repeat(257)] {
            assert!(TrackingServerName::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn app_arns() {
        let app = MlflowAppArn::new("arn:aws-us-gov:sagemaker:us-gov-west-1:123456789012:mlflow-app/app-7QX2").unwrap();
        assert_eq!((app.region().as_str(), app.account_id()), ("us-gov-west-1", "123456789012"));
        let partner = "arn:aws:sagemaker:eu-central-1:123456789012:partner-app/app-ABCDEFGHIJ12";
        assert_eq!(PartnerAppArn::new(partner).unwrap().account_id(), "123456789012");
        for bad in [
            "",
            "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/",
            "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/*",
            "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/app/1",
            "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/${aws:username}",
            "arn:aws:sagemaker:eu-central-1:12345678901:mlflow-app/app-1",
            "arn:aws:sagemaker:eu-central:123456789012:mlflow-app/app-1",
            "arn:aws:sagemaker::123456789012:mlflow-app/app-1",
            "arn:aws-cn:sagemaker:eu-central-1:123456789012:mlflow-app/app-1",
            "arn:aws:s3:eu-central-1:123456789012:mlflow-app/app-1",
            "arn:aws:sagemaker:eu-central-1:123456789012:mlflow-apps/app-1",
            &format!("arn:aws:sagemaker:eu-central-1:123456789012:mlflow-app/{}", "x".repeat(80)),
            partner,
        ] {
            assert!(MlflowAppArn::new(bad).is_err(), "{bad}");
        }
        for bad in ["app-abcdefghij12", "app-ABCDEFGHIJ1", "app-ABCDEFGHIJ123", "ABCDEFGHIJ12", "app-ABCDEFGHIJ1*"] {
            assert!(PartnerAppArn::new(format!("arn:aws:sagemaker:eu-central-1:123456789012:partner-app/{bad}")).is_err(), "{bad}");
        }
    }

    #[test]
    fn tags_and_security_groups() {
        for good in ["team", "cost centre", "a:b/c=d+e-f@g.h_i", &"x".repeat(128)] {
            assert!(TagKey::new(good).is_ok(), "{good}");
        }
        for bad in ["", "aws:x", "AWS:x", "latchkey:subject", "Latchkey:Subject", "Süd", "\u{24b6}", "a#b", "a\tb", &"x".repeat(129)] {
            assert!(TagKey::new(bad).is_err(), "{bad}");
        }
        assert!(TagValue::new("").is_ok() && TagValue::new("x".repeat(256)).is_ok());
        assert!(TagValue::new("x".repeat(257)).is_err() && TagValue::new("a|b").is_err());
        assert!(SecurityGroupId::new("sg-0123456789abcdef0").is_ok());
        for bad in ["", "sg-", "sg-123", "sg-0123456789ABCDEF0", "subnet-0123456789abcdef0", "sg-0123456789abcdef01"] {
            assert!(SecurityGroupId::new(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn labels() {
        for good in ["a", "Research.2", "team_a-b", &"x".repeat(64)] {
            assert!(TargetName::new(good).is_ok(), "{good}");
        }
        for bad in ["", ".a", "-a", "a b", "a/b", "a#b", "ä", &"x".repeat(65)] {
            assert_eq!(TargetName::new(bad).unwrap_err().to_string(), TargetName::RULE, "{bad}");
        }
    }
}
