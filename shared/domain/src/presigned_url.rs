//! The presigned URL: a secret that is checked before it is handed on.

use std::fmt;

use sha2::{Digest as _, Sha256};

use crate::hex::lower_hex;
use crate::names::Region;
use crate::target::{Kind, sagemaker_suffix};

/// A presigned URL whose host has been checked. Whoever holds it is in.
///
/// It has no `Display` and no `Serialize`, and its `Debug` shows nothing of it.
#[derive(Clone, PartialEq, Eq)]
pub struct PresignedUrl(String);

/// Which hosts a presigned URL may have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HostRule {
    /// Also `http` and `https` on `localhost` and the names below it, on any port.
    ///
    /// For development only: set exactly when the SageMaker endpoint itself is on loopback.
    pub allow_loopback: bool,
}

/// Why a URL was not handed on. Holds nothing of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ForeignUrl(pub &'static str);

impl fmt::Display for ForeignUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0)
    }
}

impl std::error::Error for ForeignUrl {}

impl PresignedUrl {
    /// Takes a URL that SageMaker returned for a target of this kind in `region`: below `sagemaker.aws` or the partition's name for
    /// it, or below what the kind has besides.
    ///
    /// The URL is read narrowly rather than by the rules of browsers: letters, digits, `-` and `.` in the host, no user
    /// information, no port, nothing but printable ASCII. Whatever two parsers could read differently is refused.
    ///
    /// # Errors
    /// A URL that is not one of SageMaker's.
    pub fn new(url: String, kind: Kind, region: &Region, rule: HostRule) -> Result<Self, ForeignUrl> {
        // 8 KiB: above any URL SageMaker makes, below what a Location header may hold.
        if url.len() > 8192
            || !url.bytes().all(|b| b.is_ascii_graphic() && !matches!(b, b'\\' | b'"' | b'<' | b'>' | b'^' | b'`' | b'{' | b'|' | b'}'))
        {
            return Err(ForeignUrl("is not printable ASCII of at most 8192"));
        }
        let (scheme, rest) = url.split_once("://").ok_or(ForeignUrl("has no scheme"))?;
        let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
        if rule.allow_loopback && matches!(scheme, "http" | "https") && is_loopback(authority) {
            return Ok(Self(url));
        }
        if scheme != "https" {
            return Err(ForeignUrl("is not https"));
        }
        if !is_sagemaker_host(authority, kind, region) {
            return Err(ForeignUrl("is not on a SageMaker host"));
        }
        Ok(Self(url))
    }

    /// The URL itself, for the one place that answers with it.
    pub fn expose(&self) -> &str {
        &self.0
    }

    /// SHA-256 of the URL in lowercase hexadecimal: joins an audit record to a URL that somebody else has found.
    pub fn sha256(&self) -> String {
        lower_hex(&Sha256::digest(&self.0))
    }
}

impl fmt::Debug for PresignedUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PresignedUrl(redacted)")
    }
}

fn is_sagemaker_host(authority: &str, kind: Kind, region: &Region) -> bool {
    let is_below = |suffix: &str| authority.strip_suffix(suffix).is_some_and(are_labels);
    is_below(sagemaker_suffix(region.partition())) || kind.host_suffixes(region).iter().any(|suffix| is_below(suffix))
}

/// `localhost` or a name below it, with or without a port. Not 127.0.0.1: cookies of one domain would reach another.
fn is_loopback(authority: &str) -> bool {
    let host = match authority.split_once(':') {
        Some((host, port)) if !port.is_empty() && port.len() <= 5 && port.bytes().all(|b| b.is_ascii_digit()) => host,
        Some(_) => return false,
        None => authority,
    };
    host == "localhost" || host.strip_suffix(".localhost").is_some_and(are_labels)
}

/// DNS labels with dots between them (RFC 1123): this is what keeps `@`, `:` and `%` out.
fn are_labels(name: &str) -> bool {
    name.split('.').all(|label| {
        (1..=63).contains(&label.len())
            && label.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-')
            && !label.starts_with('-')
            && !label.ends_with('-')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const LIVE: HostRule = HostRule { allow_loopback: false };
    const DEVELOPMENT: HostRule = HostRule { allow_loopback: true };

    fn check(url: &str, region: &str, rule: HostRule) -> Result<PresignedUrl, ForeignUrl> {
        PresignedUrl::new(url.to_owned(), Kind::Studio, &Region::new(region).unwrap(), rule)
    }

    #[test]
    fn sagemaker_hosts_pass() {
        for url in [
            "https://d-abc.studio.eu-central-1.sagemaker.aws/auth?token=x",
            "https://nb.notebook.eu-central-1.sagemaker.aws?authToken=x",
            "https://d-abc.studio.eu-central-1.sagemaker.aws",
        ] {
            assert!(check(url, "eu-central-1", LIVE).is_ok(), "{url}");
        }
        assert!(check("https://d-abc.studio.cn-north-1.sagemaker.com.cn/auth?token=x", "cn-north-1", LIVE).is_ok());
        assert!(check("https://d-abc.studio.us-gov-west-1.sagemaker.aws/auth?token=x", "us-gov-west-1", LIVE).is_ok());
    }

    #[test]
    fn every_kind_has_its_hosts() {
        let check = |url: &str, kind: Kind| PresignedUrl::new(url.to_owned(), kind, &Region::new("eu-west-1").unwrap(), LIVE).is_ok();
        for (kind, url) in [
            (Kind::Studio, "https://d-abc.studio.eu-west-1.sagemaker.aws/auth?token=x"),
            (Kind::Notebook, "https://nb-1.notebook.eu-west-1.sagemaker.aws?authToken=x"),
            (Kind::MlflowServer, "https://t-abc.eu-west-1.experiments.sagemaker.aws/auth?authToken=x"),
            (Kind::MlflowApp, "https://app-ABC.mlflow.sagemaker.eu-west-1.app.aws/auth?authToken=x"),
            (Kind::PartnerApp, "https://app-abc.partner-app.eu-west-1.sagemaker.aws/auth?authToken=x"),
        ] {
            assert!(check(url, kind), "{url}");
        }
        // `app.aws` is for MLflow apps alone, and in their own region.
        for (kind, url) in [
            (Kind::Studio, "https://app-ABC.mlflow.sagemaker.eu-west-1.app.aws/auth"),
            (Kind::PartnerApp, "https://app-ABC.mlflow.sagemaker.eu-west-1.app.aws/auth"),
            (Kind::MlflowApp, "https://app-ABC.mlflow.sagemaker.eu-central-1.app.aws/auth"),
            (Kind::MlflowApp, "https://mlflow.sagemaker.eu-west-1.app.aws/auth"),
            (Kind::MlflowApp, "https://app-ABC.mlflow.sagemaker.eu-west-1.app.aws.evil.example/auth"),
            (Kind::MlflowApp, "https://app-ABC.other.eu-west-1.app.aws/auth"),
        ] {
            assert!(!check(url, kind), "{url}");
        }
    }

    #[test]
    fn foreign_and_ambiguous_hosts_do_not() {
        for url in [
            "http://d-abc.studio.eu-central-1.sagemaker.aws/",
            "https://sagemaker.aws/",
            "https://.sagemaker.aws/",
            "https://evil.example/",
            "https://evilsagemaker.aws/",
            "https://d.sagemaker.aws.evil.example/",
            "https://d.sagemaker.aws@evil.example/",
            "https://evil.example/x.sagemaker.aws",
            "https://evil.example?x.sagemaker.aws",
            "https://evil.example#x.sagemaker.aws",
            "https://evil.example\\.sagemaker.aws/",
            "https://d.sagemaker.aws:8443/",
            "https://d.sagemaker.aws./",
            "https://a..sagemaker.aws/",
            "https://-a.sagemaker.aws/",
            "https://a%2e.sagemaker.aws/",
            "https:///d.sagemaker.aws/",
            "https:d.sagemaker.aws/",
            "javascript://d.sagemaker.aws/",
            "https://d.sagemaker.aws/\nSet-Cookie: x",
            "https://d.sagemaker.aws/ä",
            "https://d-abc.studio.cn-north-1.sagemaker.com.cn/auth",
            "http://d-abc.sagemaker.localhost:9000/",
            "",
        ] {
            assert!(check(url, "eu-central-1", LIVE).is_err(), "{url}");
        }
        let of_bytes = |bytes: usize| check(&format!("https://d.sagemaker.aws/{}", "x".repeat(bytes - 24)), "eu-central-1", LIVE);
        assert!(of_bytes(8192).is_ok());
        assert_eq!(of_bytes(8193).unwrap_err().to_string(), "is not printable ASCII of at most 8192");
    }

    #[test]
    fn loopback_is_for_development() {
        for url in ["http://d-abc.studio.eu-central-1.sagemaker.localhost:9000/auth?token=x", "http://localhost:1/", "https://a.localhost/"]
        {
            assert!(check(url, "eu-central-1", DEVELOPMENT).is_ok(), "{url}");
            assert!(check(url, "eu-central-1", LIVE).is_err(), "{url}");
        }
        for url in [
            "http://localhost.evil.example/",
            "http://evillocalhost/",
            "http://localhost:80@evil.example/",
            "ftp://localhost/",
            "http://localhost:/",
            "http://localhost:123456/",
        ] {
            assert!(check(url, "eu-central-1", DEVELOPMENT).is_err(), "{url}");
        }
    }

    #[test]
    fn debug_shows_nothing_and_the_hash_is_sha256() {
        let url = check("https://d.sagemaker.aws/auth?token=canary", "eu-central-1", LIVE).unwrap();
        assert_eq!(format!("{url:?}"), "PresignedUrl(redacted)");
        assert_eq!(url.expose(), "https://d.sagemaker.aws/auth?token=canary");
        // printf '%s' 'https://d.sagemaker.aws/auth?token=canary' | sha256sum
        assert_eq!(url.sha256(), "422d6c68f9b4f9e4ee694c54c1d3361bab7b877c080e7541a3e7c9d682eaef74");
    }
}
