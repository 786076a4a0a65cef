//! A trusted issuer: its configuration and its keys, held together so that no key can be used for another.

use std::sync::Arc;
use std::time::Duration;

use latchkey_domain::clock::Clock;

use crate::config::{IssuerConfig, KeySource};
use crate::fetch::Fetch;
use crate::key_cache::{KeyCache, LoadKeys, Loaded, Moment, TABLE_REFRESH_AFTER, URL_REFRESH_AFTER};
use crate::key_set::{KeySet, Lookup};
use crate::locator::KeySetLocator;
use crate::refusal::KeyFailure;
use crate::snapshot::SnapshotStore;

/// What keys are loaded with.
#[derive(Debug)]
pub(crate) struct Sources<F, S, C> {
    pub(crate) fetch: F,
    pub(crate) snapshots: S,
    pub(crate) clock: C,
}

#[derive(Debug)]
pub(crate) struct TrustedIssuer {
    config: IssuerConfig,
    keys: Keys,
}

#[derive(Debug)]
enum Keys {
    Inline(Arc<KeySet>),
    Table(KeyCache),
    Url(KeyCache, KeySetLocator),
}

impl TrustedIssuer {
    pub(crate) fn new(config: IssuerConfig) -> Self {
        let keys = match &config.keys {
            KeySource::Inline { keys } => Keys::Inline(Arc::new(keys.clone())),
            KeySource::Table => Keys::Table(KeyCache::new(TABLE_REFRESH_AFTER)),
            KeySource::Url { .. } => Keys::Url(KeyCache::new(URL_REFRESH_AFTER), KeySetLocator::new(&config)),
        };
        Self { config, keys }
    }

    pub(crate) const fn config(&self) -> &IssuerConfig {
        &self.config
    }

    /// What this issuer has under `key_id`.
    pub(crate) async fn find_key<F: Fetch, S: SnapshotStore, C: Clock>(
        &self,
        key_id: &str,
        sources: &Sources<F, S, C>,
        budget: Duration,
    ) -> Result<Lookup, KeyFailure> {
        match &self.keys {
            Keys::Inline(keys) => Ok(keys.find(key_id)),
            Keys::Table(cache) => cache.find(key_id, &FromTable { issuer: &self.config, sources }, &sources.clock, budget).await,
            Keys::Url(cache, locator) => cache.find(key_id, &FromUrl { locator, sources }, &sources.clock, budget).await,
        }
    }

    /// What its keys are kept in; none for inline keys.
    #[cfg(test)]
    pub(crate) const fn cache(&self) -> Option<&KeyCache> {
        match &self.keys {
            Keys::Inline(_) => None,
            Keys::Table(cache) | Keys::Url(cache, _) => Some(cache),
        }
    }

    /// Loads this issuer's keys now.
    pub(crate) async fn load<F: Fetch, S: SnapshotStore, C: Clock>(
        &self,
        sources: &Sources<F, S, C>,
        budget: Duration,
    ) -> Result<Arc<KeySet>, KeyFailure> {
        match &self.keys {
            Keys::Inline(keys) => Ok(Arc::clone(keys)),
            Keys::Table(cache) => cache.load(&FromTable { issuer: &self.config, sources }, &sources.clock, budget).await,
            Keys::Url(cache, locator) => cache.load(&FromUrl { locator, sources }, &sources.clock, budget).await,
        }
    }

    /// How long ago its keys came from it; none for inline keys, which do not age, and before any was loaded.
    pub(crate) fn key_age(&self, now: Moment) -> Option<Duration> {
        match &self.keys {
            Keys::Inline(_) => None,
            Keys::Table(cache) | Keys::Url(cache, _) => cache.age(now),
        }
    }
}

struct FromTable<'a, F, S, C> {
    issuer: &'a IssuerConfig,
    sources: &'a Sources<F, S, C>,
}

impl<F: Fetch, S: SnapshotStore, C: Clock> LoadKeys for FromTable<'_, F, S, C> {
    async fn load(&self, budget: Duration) -> Result<Loaded, KeyFailure> {
        let snapshot = self.sources.snapshots.load(&self.issuer.id, budget).await;
        let snapshot = snapshot.map_err(|unavailable| KeyFailure::Store(unavailable.reason))?.ok_or(KeyFailure::SnapshotMissing)?;
        let keys = KeySet::parse(snapshot.jwks.as_bytes()).map_err(|_| KeyFailure::NotAKeySet)?;
        Ok(Loaded { keys, fetched_at: Some(snapshot.fetched_at) })
    }
}

struct FromUrl<'a, F, S, C> {
    locator: &'a KeySetLocator,
    sources: &'a Sources<F, S, C>,
}

impl<F: Fetch, S: SnapshotStore, C: Clock> LoadKeys for FromUrl<'_, F, S, C> {
    async fn load(&self, budget: Duration) -> Result<Loaded, KeyFailure> {
        let fetched = self.locator.fetch(&self.sources.fetch, &self.sources.clock, budget).await?;
        Ok(Loaded { keys: fetched.keys, fetched_at: None })
    }
}
