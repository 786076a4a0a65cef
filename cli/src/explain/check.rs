//! The checks on the way to a URL, in the broker's order, and which of them a refusal comes from.
//!
//! Nothing is decided here: the broker's own code decides, and says in its audit record for which reason it refuses. A check that is
//! named here stands for the reasons with which it refuses, so what the reason says of one check says that those before it have passed.
//! Tests hold the list to the broker: each reason belongs to one check, and of two faults the broker tells the one whose check is first.

use latchkey_api::{bearer, body, route, service};
use latchkey_domain::audit::AuditRecord;
use latchkey_domain::broker::{NO_TOKEN_ID, RATE_LIMITED, REPLAYED};
use latchkey_domain::decision::Reason;
use latchkey_domain::entitlement as grant;
use latchkey_oidc::refusal::{KeyFailure, TokenRefusal};
use serde::{Serialize, Serializer};

macro_rules! checks {
    ($($(#[$doc:meta])* $check:ident = $name:literal, $passes:literal;)*) => {
        /// One check.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
        pub enum Check {
            $($(#[$doc])* $check,)*
        }

        impl Check {
            /// Every check, in the order in which they are made.
            pub const ALL: &[Self] = &[$(Self::$check,)*];

            /// Its name.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$check => $name,)* }
            }

            /// What holds when it passes.
            pub const fn passes(self) -> &'static str {
                match self { $(Self::$check => $passes,)* }
            }
        }
    };
}

checks! {
    /// The event is a proxy event.
    Event = "event", "the event is API Gateway's";
    /// The VPC endpoint is an allowed one.
    Endpoint = "vpc-endpoint", "it comes through an allowed VPC endpoint";
    /// There is such an operation.
    Operation = "operation", "the API has that path and method";
    /// There is one bearer token.
    Authorization = "authorization", "it has one bearer token";
    /// The token is a signed JWT.
    Token = "token", "the token is a signed JWT";
    /// Its issuer is trusted.
    Issuer = "issuer", "its issuer is trusted";
    /// Algorithm, type and key id.
    TokenHeader = "token-header", "its algorithm, type and key id are accepted";
    /// The issuer has the key.
    Key = "key", "the issuer has its key";
    /// The signature verifies.
    Signature = "signature", "its signature verifies";
    /// It is no security event, and whoever has it may use it.
    TokenPurpose = "token-purpose", "it is no logout token, and bound to no key";
    /// Its times.
    TokenLifetime = "token-lifetime", "it is in its time, and does not live too long";
    /// Its audience.
    Audience = "audience", "it is meant for this service";
    /// Its subject and its own id.
    Subject = "subject", "it names its subject";
    /// The claims that the issuer's configuration requires.
    RequiredClaims = "required-claims", "it has the required claims";
    /// The groups that it names, where they are looked at.
    Groups = "groups", "its groups can be read, where they are looked at";
    /// The body.
    Body = "body", "the body can be read";
    /// The table answers.
    Table = "table", "the subject's rows can be read";
    /// The subject's own row.
    Standing = "standing", "the subject is not suspended";
    /// Which grant is meant.
    Choice = "choice", "there is such a grant, and it is the only one meant";
    /// The grant's row.
    Grant = "grant", "its row is a grant";
    /// Enabled, and in its dates.
    InForce = "in-force", "it is enabled and in its dates";
    /// The landing.
    Landing = "landing", "it has the landing";
    /// Account and partition.
    Reach = "reach", "the broker can work in the target's account and partition";
    /// What making a profile takes.
    FirstLogin = "first-login", "what it says of the first login can be done";
    /// The replay guard.
    Replay = "replay", "the token was not used before";
    /// The rate limit.
    RateLimit = "rate-limit", "the user has a URL left in this window";
    /// SageMaker's endpoint.
    EndpointRegion = "sagemaker-endpoint", "SageMaker's endpoint is for the target's region";
}

impl Check {
    /// Whether it refuses with that reason. What the table fails with is told apart by [`Self::of`].
    fn refuses_with(self, reason: Reason) -> bool {
        let is_one_of = |reasons: &[Reason]| reasons.contains(&reason);
        let is_token = |refusals: &[TokenRefusal]| refusals.iter().any(|refusal| refusal.as_str() == reason.0);
        match self {
            Self::Event => reason == service::MALFORMED_EVENT,
            Self::Endpoint => reason == service::NOT_PRIVATE,
            Self::Operation => is_one_of(route::REASONS),
            Self::Authorization => is_one_of(bearer::REASONS),
            Self::Token => is_token(&[
                TokenRefusal::TooLarge,
                TokenRefusal::Malformed,
                TokenRefusal::Header,
                TokenRefusal::Critical,
                TokenRefusal::EmbeddedKey,
                TokenRefusal::Nested,
                TokenRefusal::Compressed,
                TokenRefusal::Claims,
            ]),
            Self::Issuer => is_token(&[TokenRefusal::Issuer]),
            Self::TokenHeader => is_token(&[TokenRefusal::Algorithm, TokenRefusal::Type, TokenRefusal::KeyId]),
            Self::Key => is_token(&[TokenRefusal::KeyUnknown, TokenRefusal::KeyAmbiguous]) || KeyFailure::REASONS.contains(&reason.0),
            Self::Signature => is_token(&[TokenRefusal::KeyAlgorithm, TokenRefusal::Signature]),
            Self::TokenPurpose => is_token(&[TokenRefusal::SecurityEvent, TokenRefusal::SenderConstrained]),
            Self::TokenLifetime => is_token(&[
                TokenRefusal::Time,
                TokenRefusal::ExpiryMissing,
                TokenRefusal::Expired,
                TokenRefusal::NotYetValid,
                TokenRefusal::IssuedInFuture,
                TokenRefusal::Lifetime,
            ]),
            Self::Audience => is_token(&[TokenRefusal::Audience]),
            Self::Subject => is_token(&[TokenRefusal::Subject, TokenRefusal::TokenId]),
            Self::RequiredClaims => is_token(&[TokenRefusal::ClaimOverage, TokenRefusal::RequiredClaim]),
            Self::Groups => is_token(&[TokenRefusal::Groups, TokenRefusal::TooManyGroups]),
            Self::Body => is_one_of(body::REASONS),
            Self::Table => false,
            Self::Standing => is_one_of(&[grant::SUSPENDED, grant::SUBJECT_MALFORMED]),
            Self::Choice => is_one_of(&[grant::NO_GRANT, grant::NOT_NAMED, grant::SEVERAL_DEFAULTS, grant::AMBIGUOUS]),
            Self::Grant => is_one_of(&[grant::MALFORMED, grant::NO_PROFILE]),
            Self::InForce => is_one_of(&[grant::DISABLED, grant::NOT_YET, grant::EXPIRED]),
            Self::Landing => reason == grant::NO_LANDING,
            Self::Reach => is_one_of(&[grant::FOREIGN_ACCOUNT, grant::FOREIGN_PARTITION]),
            Self::FirstLogin => is_one_of(&[grant::PROVISION_OFF, grant::PROVISION_FOREIGN_ACCOUNT]),
            Self::Replay => is_one_of(&[NO_TOKEN_ID, REPLAYED]),
            Self::RateLimit => reason == RATE_LIMITED,
            Self::EndpointRegion => reason == latchkey_aws::sagemaker::OTHER_REGION,
        }
    }

    /// The check that refuses with that reason, in a request of which the record tells how far it came. None for what is no check on
    /// the way to a URL: what AWS says, and failures of the broker itself.
    pub fn of(reason: Reason, record: &AuditRecord) -> Option<Self> {
        if latchkey_aws::grant_store::REASONS.contains(&reason) {
            let steps = &record.durations_ms;
            return Some(match record.subject {
                None => Self::Key,
                Some(_) if steps.rate_limit.is_some() => Self::RateLimit,
                Some(_) if steps.replay.is_some() => Self::Replay,
                Some(_) => Self::Table,
            });
        }
        Self::ALL.iter().copied().find(|check| check.refuses_with(reason))
    }

    /// Whether it is about who asks, and not about what for.
    pub const fn is_of_token(self) -> bool {
        matches!(
            self,
            Self::Token
                | Self::Issuer
                | Self::TokenHeader
                | Self::Key
                | Self::Signature
                | Self::TokenPurpose
                | Self::TokenLifetime
                | Self::Audience
                | Self::Subject
                | Self::RequiredClaims
                | Self::Groups
        )
    }

    /// Whether it is about how the portal has put the request.
    pub const fn is_of_request(self) -> bool {
        matches!(self, Self::Event | Self::Endpoint | Self::Operation | Self::Body)
    }

    /// Whether it is made for the list of targets, too.
    pub const fn is_of_list(self) -> bool {
        self.is_of_token()
            || matches!(self, Self::Event | Self::Endpoint | Self::Operation | Self::Authorization | Self::Table | Self::Standing)
    }
}

impl Serialize for Check {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all_reasons() -> Vec<Reason> {
        let token = TokenRefusal::ALL.iter().map(|refusal| Reason(refusal.as_str()));
        let keys = KeyFailure::REASONS.into_iter().map(Reason);
        let of_modules = [
            service::REASONS,
            route::REASONS,
            bearer::REASONS,
            body::REASONS,
            grant::REASONS,
            latchkey_domain::broker::REASONS,
            latchkey_aws::grant_store::REASONS,
            latchkey_aws::role_session::REASONS,
            latchkey_aws::sagemaker::REASONS,
        ];
        of_modules.into_iter().flatten().copied().chain(token).chain(keys).collect()
    }

    /// A reason that no check is named for is one of what an explanation does not ask.
    #[test]
    fn each_reason_is_of_one_check_or_of_what_is_not_asked() {
        let record = AuditRecord::new("x");
        let not_asked = |reason: Reason| {
            let of_aws = ["sts.", "sagemaker.", "posture."].iter().any(|area| reason.0.starts_with(area));
            let at_first_login = ["provision.created", "provision.not-in-service", "provision.foreign-profile"].contains(&reason.0);
            let of_the_broker = ["deadline.passed", "broker.panicked", "audit.not-kept"].contains(&reason.0);
            (of_aws && reason != latchkey_aws::sagemaker::OTHER_REGION) || at_first_login || of_the_broker
        };
        for reason in all_reasons() {
            let checks = Check::ALL.iter().filter(|check| check.refuses_with(reason)).count();
            let is_the_tables = latchkey_aws::grant_store::REASONS.contains(&reason);
            assert_eq!(checks, usize::from(!is_the_tables && !not_asked(reason)), "{reason}");
            assert_eq!(Check::of(reason, &record).is_none(), not_asked(reason), "{reason}");
        }
    }

    #[test]
    fn the_tokens_checks_are_in_the_verifiers_order() {
        let record = AuditRecord::new("x");
        let order: Vec<Check> = TokenRefusal::ALL.iter().filter_map(|refusal| Check::of(Reason(refusal.as_str()), &record)).collect();
        assert!(order.len() == TokenRefusal::ALL.len() && order.is_sorted(), "{order:?}");
    }

    #[test]
    fn what_the_table_fails_with_is_told_by_how_far_the_request_came() {
        let reason = latchkey_aws::grant_store::REASONS[0];
        let mut record = AuditRecord::new("x");
        assert_eq!(Check::of(reason, &record), Some(Check::Key));
        record.subject = Some("jane".to_owned());
        record.durations_ms.read_grant = Some(1.0);
        assert_eq!(Check::of(reason, &record), Some(Check::Table));
        record.durations_ms.replay = Some(1.0);
        assert_eq!(Check::of(reason, &record), Some(Check::Replay));
        record.durations_ms.rate_limit = Some(1.0);
        assert_eq!(Check::of(reason, &record), Some(Check::RateLimit));
    }
}
