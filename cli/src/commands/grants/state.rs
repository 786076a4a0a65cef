//! What state a row is in, for an operator: whether it would open now, and if not, why not.

use clap::ValueEnum;
use latchkey_aws::grant_admin::Row;
use latchkey_domain::clock::Timestamp;
use latchkey_domain::entitlement;
use latchkey_domain::subject::Standing;

/// The state of a grant, or of a subject's own record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum State {
    /// A grant that opens
    Open,
    /// A grant that is not enabled
    Disabled,
    /// A grant whose time has not come
    NotYet,
    /// A grant whose time is over
    Expired,
    /// A row that the broker refuses as it stands, or a grant of a subject whose record is such a row
    Malformed,
    /// A subject that is suspended, or a grant of one
    Suspended,
    /// A subject that is not suspended
    Active,
}

impl State {
    /// The state in words.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Open => "open",
            Self::Disabled => "disabled",
            Self::NotYet => "not yet",
            Self::Expired => "expired",
            Self::Malformed => "malformed",
            Self::Suspended => "suspended",
            Self::Active => "active",
        }
    }
}

/// The state of a row, whose subject stands like this.
pub(super) fn of(row: &Row, standing: Standing, now: Timestamp) -> State {
    if let Some(own) = row.standing() {
        return match own {
            Standing::Active => State::Active,
            Standing::Suspended => State::Suspended,
            Standing::Malformed => State::Malformed,
        };
    }
    match (standing, row.usable_at(now)) {
        (Standing::Suspended, _) => State::Suspended,
        (Standing::Malformed, _) | (_, None) => State::Malformed,
        (Standing::Active, Some(Ok(()))) => State::Open,
        (Standing::Active, Some(Err(entitlement::DISABLED))) => State::Disabled,
        (Standing::Active, Some(Err(entitlement::NOT_YET))) => State::NotYet,
        (Standing::Active, Some(Err(_))) => State::Expired,
    }
}
