//! What the actions that make URLs have in common.

use crate::aws::Call;
use crate::aws::error::{AwsError, Violations};
use crate::aws::members::Members;
use crate::aws::pages::{Door, Opening};
use crate::random;

/// The longest life of a URL, and the one it has unless another is asked for.
const URL_SECONDS: i64 = 300;

/// The longest session that a URL opens, and the one it opens unless another is asked for.
const SESSION_SECONDS: i64 = 43_200;

/// How long a URL opens, and how long the session lasts that it opens.
pub(super) struct Lifetimes {
    url_seconds: i64,
    session_seconds: i64,
}

impl Lifetimes {
    pub(super) fn read(members: &mut Members) -> Result<Self, AwsError> {
        let url_seconds = members.number("ExpiresInSeconds")?.unwrap_or(URL_SECONDS);
        Ok(Self { url_seconds, ..Self::read_session(members)? })
    }

    /// For a URL whose life nobody can choose.
    pub(super) fn read_session(members: &mut Members) -> Result<Self, AwsError> {
        let session_seconds = members.number("SessionExpirationDurationInSeconds")?.unwrap_or(SESSION_SECONDS);
        Ok(Self { url_seconds: URL_SECONDS, session_seconds })
    }

    pub(super) fn check(&self, violations: &mut Violations) {
        violations.number("expiresInSeconds", self.url_seconds, 5..=URL_SECONDS);
        violations.number("sessionExpirationDurationInSeconds", self.session_seconds, 1800..=SESSION_SECONDS);
    }
}

/// Makes a URL for a door that the caller may open.
pub(super) fn url(call: &Call<'_>, door: Door, lifetimes: &Lifetimes) -> Result<String, AwsError> {
    let token = random::secret().map_err(|_| AwsError::internal())?;
    let url = door.url(call.region, call.state.port, &token);
    let opening = Opening {
        door,
        session_seconds: lifetimes.session_seconds,
        region: call.region.clone(),
        account_id: call.identity.account_id.clone(),
        caller: call.identity.arn.clone(),
        source_identity: call.identity.source_identity.clone(),
        expires_at: call.now.plus_seconds(lifetimes.url_seconds),
        opened: false,
    };
    opening.remember(call.state, &token);
    Ok(call.foreign_url.map_or(url, str::to_owned))
}
