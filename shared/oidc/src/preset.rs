//! What well-known identity providers send, as data.
//!
//! A preset only sets defaults, and each can be written out by hand in the issuer's configuration instead. All six are for
//! **access tokens**, issued to an API that the operator registered for latchkey: an ID token is proof for the client that
//! asked for it, not for the services behind. Where a provider's ID tokens can be told apart, the preset keeps them out.

use std::fmt;

/// A provider whose tokens are known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Preset {
    /// Okta, a custom authorization server.
    Okta,
    /// Microsoft Entra ID, one tenant.
    Entra,
    /// Amazon Cognito user pools.
    Cognito,
    /// Auth0.
    Auth0,
    /// PingOne and PingFederate.
    Ping,
    /// Keycloak.
    Keycloak,
}

/// The defaults that a preset sets. What it does not name keeps the general default.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PresetDefaults {
    /// The claim that names who the token is for.
    pub audience_claim: &'static str,
    /// The claim that names the user, for good.
    pub subject_claim: &'static str,
    /// The accepted `typ` headers; `""` stands for none.
    pub token_types: &'static [&'static str],
    /// The required claims and their allowed values.
    pub required_claims: &'static [(&'static str, &'static [&'static str])],
    /// The claim that names the tenant. With it the issuer must name one by its id, and the claim must be that very one.
    pub tenant_claim: Option<&'static str>,
    /// Claims that cannot be the subject, as they can be changed and given to another person.
    pub never_subjects: &'static [&'static str],
}

/// The defaults without a preset (`docs/configuration.md`): any access or ID token that is not typed as something else.
pub const GENERAL: PresetDefaults = PresetDefaults {
    audience_claim: "aud",
    subject_claim: "sub",
    token_types: &["", "JWT", "at+jwt"],
    required_claims: &[],
    tenant_claim: None,
    never_subjects: &[],
};

impl Preset {
    /// All of them.
    pub const ALL: [Self; 6] = [Self::Okta, Self::Entra, Self::Cognito, Self::Auth0, Self::Ping, Self::Keycloak];

    /// The preset of that exact name.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|preset| preset.as_str() == name)
    }

    /// Its name in the configuration.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Okta => "okta",
            Self::Entra => "entra",
            Self::Cognito => "cognito",
            Self::Auth0 => "auth0",
            Self::Ping => "ping",
            Self::Keycloak => "keycloak",
        }
    }

    /// What it sets.
    pub const fn defaults(self) -> PresetDefaults {
        match self {
            // Okta's access tokens have no `typ`. In them `sub` is the login, which can be renamed and given to another
            // person; `uid` is the user's id. ID tokens have no `uid`, nor has the token of a service without a user.
            Self::Okta => PresetDefaults { subject_claim: "uid", token_types: &["", "at+jwt"], ..GENERAL },
            // `sub` differs for each application; `oid` is the user's object id in the tenant. E-mail and UPN are never an
            // identity: they can be changed, and another tenant's administrator can set them to anything. All tenants' tokens
            // are signed with the same keys, so the issuer must be one tenant's own and not `common` or `organizations`.
            Self::Entra => PresetDefaults {
                subject_claim: "oid",
                token_types: &["JWT", "at+jwt"],
                tenant_claim: Some("tid"),
                never_subjects: &["email", "upn", "preferred_username", "unique_name", "name"],
                ..GENERAL
            },
            // Access tokens have no `typ` and no `aud`: the app client is in `client_id`. ID tokens have the client in `aud`
            // and `token_use: id`.
            Self::Cognito => PresetDefaults {
                audience_claim: "client_id",
                token_types: &[""],
                required_claims: &[("token_use", &["access"])],
                ..GENERAL
            },
            // `JWT` with the Auth0 token profile, `at+jwt` with the RFC 9068 profile.
            Self::Auth0 => PresetDefaults { token_types: &["JWT", "at+jwt"], ..GENERAL },
            // Which `typ` is sent depends on the product, and for PingFederate on the access token manager.
            Self::Ping => GENERAL,
            // ID tokens say `typ: ID` in their claims, logout tokens `Logout`; those bound to a DPoP key, which is not
            // checked here, say `DPoP`.
            Self::Keycloak => PresetDefaults { token_types: &["JWT", "at+jwt"], required_claims: &[("typ", &["Bearer"])], ..GENERAL },
        }
    }
}

impl fmt::Display for Preset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// The tenant that an issuer names by its id: the first path segment of the form `8-4-4-4-12` hexadecimal digits.
pub(crate) fn tenant(issuer: &str) -> Option<&str> {
    let is_id = |segment: &&str| {
        segment.len() == 36
            && segment.bytes().enumerate().all(|(i, b)| if [8, 13, 18, 23].contains(&i) { b == b'-' } else { b.is_ascii_hexdigit() })
    };
    issuer.split('/').skip(3).find(is_id)
}

#[cfg(test)]
mod tests;
