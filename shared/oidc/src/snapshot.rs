//! Key sets that someone else fetched, as a port: how the broker has keys without a way out of its network.
//!
//! A refresher outside the private subnets fetches each issuer's keys and keeps them in the table (`docs/grants.md`,
//! "keys"); the broker reads them from there.

use std::fmt;
use std::future::Future;
use std::sync::Arc;
use std::time::Duration;

use latchkey_domain::clock::Timestamp;
use latchkey_domain::identity::IssuerId;
use latchkey_domain::ports::Unavailable;

/// A key set as it was when it was fetched. Not yet parsed, and not believed to be well-formed.
#[derive(Clone, PartialEq, Eq)]
pub struct KeySnapshot {
    /// The JSON document (RFC 7517, section 5).
    pub jwks: String,
    /// When it was fetched from the issuer. It bounds for how long it is trusted, however often it is read.
    pub fetched_at: Timestamp,
}

// The document can be 256 KiB: a log line with one in it helps nobody.
impl fmt::Debug for KeySnapshot {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeySnapshot").field("bytes", &self.jwks.len()).field("fetched_at", &self.fetched_at).finish()
    }
}

/// Where snapshots are kept.
pub trait SnapshotStore: Send + Sync {
    /// Reads the issuer's snapshot, consistently; none where there is no such item.
    ///
    /// # Errors
    /// The store did not answer in time, or the item is not one.
    fn load(&self, issuer: &IssuerId, budget: Duration) -> impl Future<Output = Result<Option<KeySnapshot>, Unavailable>> + Send;
}

/// Where snapshots are kept, for whoever writes them.
pub trait SnapshotKeeper: SnapshotStore {
    /// Keeps a snapshot of the issuer's keys, which came from the address `source`, unless one that was fetched later is kept
    /// already. Gives back whether it was kept.
    ///
    /// Two refreshers, or one that was held up, must not put an older set in a newer one's place: a key that the issuer has
    /// withdrawn in between would be trusted again.
    ///
    /// # Errors
    /// The store did not answer in time.
    fn save(
        &self,
        issuer: &IssuerId,
        snapshot: &KeySnapshot,
        source: &str,
        budget: Duration,
    ) -> impl Future<Output = Result<bool, Unavailable>> + Send;
}

impl<S: SnapshotStore + ?Sized> SnapshotStore for Arc<S> {
    fn load(&self, issuer: &IssuerId, budget: Duration) -> impl Future<Output = Result<Option<KeySnapshot>, Unavailable>> + Send {
        (**self).load(issuer, budget)
    }
}
