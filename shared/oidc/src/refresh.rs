//! From the issuers to the store that the broker reads: how keys get into a network without a way out.
//!
//! Only issuers with `jwks.source = table` are refreshed. Each is fetched by discovery under the limits of [`crate::fetch`],
//! checked as the verifier would check it, and kept only if at least one key can be used: good keys are never replaced by none.

use std::time::Duration;

use futures_util::future::join_all;
use latchkey_domain::clock::{Clock, Deadline, Timestamp};
use latchkey_domain::identity::IssuerId;

use crate::config::{IssuerConfig, KeySource};
use crate::fetch::{FETCH_TIMEOUT, Fetch};
use crate::key_set::KeySet;
use crate::locator::KeySetLocator;
use crate::refusal::KeyFailure;
use crate::snapshot::{KeySnapshot, SnapshotKeeper};

/// Most time for one issuer's documents: the discovery document and the key set.
const DOCUMENTS_WITHIN: Duration = FETCH_TIMEOUT.saturating_mul(2);

/// Refreshes the snapshots of a configuration's issuers.
pub struct Refresher<F, S, C> {
    issuers: Vec<(IssuerId, KeySetLocator)>,
    fetch: F,
    store: S,
    clock: C,
}

/// What came of one issuer.
#[derive(Debug)]
pub struct Refreshed {
    /// The issuer.
    pub issuer: IssuerId,
    /// The keys that it publishes now; or why they could not be had or kept.
    pub outcome: Result<Published, KeyFailure>,
    /// How long ago the snapshot that is kept now was fetched; none where there is none, or it cannot be read.
    pub snapshot_age: Option<Duration>,
}

/// An issuer's keys, fetched and kept.
#[derive(Debug)]
pub struct Published {
    /// The address that they came from.
    pub source: String,
    /// The keys. At least one can be used.
    pub keys: KeySet,
    /// Whether this set was kept. It was not when a later one was there already.
    pub kept: bool,
}

impl<F: Fetch, S: SnapshotKeeper, C: Clock> Refresher<F, S, C> {
    /// A refresher for those of these issuers whose keys come from the table.
    pub fn new(issuers: &[IssuerConfig], fetch: F, store: S, clock: C) -> Self {
        let from_table = issuers.iter().filter(|issuer| matches!(issuer.keys, KeySource::Table));
        Self { issuers: from_table.map(|issuer| (issuer.id.clone(), KeySetLocator::new(issuer))).collect(), fetch, store, clock }
    }

    /// The issuers that it refreshes.
    pub fn issuers(&self) -> impl Iterator<Item = &IssuerId> {
        self.issuers.iter().map(|(issuer, _)| issuer)
    }

    /// Refreshes every issuer within `budget`, side by side, so that none waits for another. One that fails keeps what it has.
    pub async fn refresh(&self, budget: Duration) -> Vec<Refreshed> {
        let deadline = Deadline::after(&self.clock, budget);
        join_all(self.issuers.iter().map(|(issuer, locator)| self.refresh_one(issuer, locator, deadline))).await
    }

    async fn refresh_one(&self, issuer: &IssuerId, locator: &KeySetLocator, deadline: Deadline) -> Refreshed {
        let outcome = self.publish(issuer, locator, deadline).await;
        let snapshot_age = match &outcome {
            Ok((published, fetched_at)) if published.kept => Some(self.since(*fetched_at)),
            // What the broker goes on with, and for how long still, is what whoever is called for this wants to know first.
            Ok(_) | Err(_) => match self.store.load(issuer, deadline.remaining(&self.clock)).await {
                Ok(snapshot) => snapshot.map(|snapshot| self.since(snapshot.fetched_at)),
                Err(_) => None,
            },
        };
        Refreshed { issuer: issuer.clone(), outcome: outcome.map(|(published, _)| published), snapshot_age }
    }

    async fn publish(&self, issuer: &IssuerId, locator: &KeySetLocator, deadline: Deadline) -> Result<(Published, Timestamp), KeyFailure> {
        // Before it is asked for: never younger than the truth.
        let fetched_at = self.clock.now();
        let within = deadline.remaining(&self.clock).min(DOCUMENTS_WITHIN);
        let fetched = locator.fetch(&self.fetch, &self.clock, within).await?;
        let jwks = String::from_utf8(fetched.document).map_err(|_| KeyFailure::NotAKeySet)?;
        let snapshot = KeySnapshot { jwks, fetched_at };
        let saved = self.store.save(issuer, &snapshot, &fetched.url, deadline.remaining(&self.clock)).await;
        let kept = saved.map_err(|unavailable| KeyFailure::Store(unavailable.reason))?;
        Ok((Published { source: fetched.url, keys: fetched.keys, kept }, fetched_at))
    }

    fn since(&self, then: Timestamp) -> Duration {
        let seconds = self.clock.now().unix_seconds().saturating_sub(then.unix_seconds());
        Duration::from_secs(u64::try_from(seconds).unwrap_or(0))
    }
}

impl<F, S, C> std::fmt::Debug for Refresher<F, S, C> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Refresher").field("issuers", &self.issuers).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::parse_issuers;
    use crate::fetch::FetchError;
    use crate::snapshot::SnapshotStore as _;
    use crate::testing::{Answer, BUDGET, ISSUER, ManualClock, Pair, Table, Web, World, key_set};
    use latchkey_domain::decision::Reason;

    const OTHER: &str = "https://other.example";
    const KEYS: &str = "https://keys.example/jwks";
    const OTHER_KEYS: &str = "https://other.example/jwks";

    fn discovery(issuer: &str, jwks_uri: &str) -> (String, Answer) {
        let document = format!(r#"{{"issuer":"{issuer}","jwks_uri":"{jwks_uri}"}}"#);
        (format!("{issuer}/.well-known/openid-configuration"), Answer::Document(document))
    }

    /// Two issuers whose keys come from the table, and two that have theirs otherwise.
    fn scene() -> (World, Refresher<Web, Table, ManualClock>) {
        let world = World::new();
        for (issuer, keys) in [(ISSUER, KEYS), (OTHER, OTHER_KEYS)] {
            let (url, answer) = discovery(issuer, keys);
            world.answer(&url, answer);
        }
        world.answer(KEYS, Answer::Document(key_set(&[Pair::p256().jwk("one", "")])));
        world.answer(OTHER_KEYS, Answer::Document(key_set(&[Pair::ed25519().jwk("two", ""), Pair::p256().jwk("e", r#","use":"enc""#)])));
        let inline =
            format!(r#"{{"id":"c","issuer":"c","audiences":["a"],"jwks":{{"source":"inline","keys":[{}]}}}}"#, Pair::p256().jwk("k", ""));
        let issuers = parse_issuers(&format!(
            r#"[{{"id":"a","issuer":"{ISSUER}","audiences":["a"]}},{{"id":"b","issuer":"{OTHER}","audiences":["a"],"jwks":{{"source":"table"}}}},
                {inline},{{"id":"d","issuer":"https://d.example","audiences":["a"],"jwks":{{"source":"url"}}}}]"#
        ))
        .unwrap();
        let refresher = Refresher::new(&issuers, world.web(), world.table(), world.clock.clone());
        (world, refresher)
    }

    async fn kept(world: &World, issuer: &str) -> Option<KeySnapshot> {
        world.table().load(&IssuerId::new(issuer).unwrap(), BUDGET).await.unwrap()
    }

    /// `issuer: outcome`, one for each.
    fn outcomes(refreshed: &[Refreshed]) -> Vec<String> {
        let outcome = |one: &Refreshed| match &one.outcome {
            Ok(published) => format!("{}: {} keys, kept {}", one.issuer, published.keys.keys().len(), published.kept),
            Err(failure) => format!("{}: {failure}", one.issuer),
        };
        refreshed.iter().map(outcome).collect()
    }

    #[tokio::test]
    async fn each_issuer_of_the_table_is_fetched_and_kept() {
        let (world, refresher) = scene();
        assert_eq!(refresher.issuers().map(IssuerId::as_str).collect::<Vec<_>>(), ["a", "b"]);
        let refreshed = refresher.refresh(BUDGET).await;
        assert_eq!(outcomes(&refreshed), ["a: 1 keys, kept true", "b: 1 keys, kept true"]);
        let published = refreshed[1].outcome.as_ref().unwrap();
        assert_eq!((published.source.as_str(), published.keys.skipped().len()), (OTHER_KEYS, 1));
        assert_eq!(refreshed[0].snapshot_age, Some(Duration::ZERO));
        assert!(world.asked().iter().all(|asked| !asked.starts_with("table:")), "what was just written is not read again");
        // The document as it is, keys that are not used among it: the broker judges for itself.
        let snapshot = kept(&world, "b").await.unwrap();
        assert!(snapshot.jwks.contains("\"enc\""));
        let shown = format!("{snapshot:?} {refresher:?}");
        assert!(shown.contains(&format!("bytes: {}", snapshot.jwks.len())) && shown.contains("other.example"), "{shown}");
        assert!(!shown.contains("enc"), "a document in a log line helps nobody");
        assert_eq!(snapshot.fetched_at, world.clock.now());
        assert_eq!(kept(&world, "c").await, None);
    }

    #[tokio::test]
    async fn good_keys_are_never_replaced_by_none() {
        let (world, refresher) = scene();
        refresher.refresh(BUDGET).await;
        let good = kept(&world, "a").await;
        for (answer, failure) in [
            (Answer::Document(key_set(&[])), KeyFailure::NoUsableKey),
            (Answer::Document(key_set(&[Pair::p256().jwk("k", r#","use":"enc""#)])), KeyFailure::NoUsableKey),
            (Answer::Document("<html>sign in</html>".into()), KeyFailure::NotAKeySet),
            (Answer::Document(String::new()), KeyFailure::NotAKeySet),
            (Answer::Document(" ".repeat(300_000)), KeyFailure::Fetch(FetchError::TooLarge)),
            (Answer::Fails(FetchError::Status(503)), KeyFailure::Fetch(FetchError::Status(503))),
            (Answer::Fails(FetchError::Redirect), KeyFailure::Fetch(FetchError::Redirect)),
            (Answer::Slow(Duration::from_secs(6), String::new()), KeyFailure::Fetch(FetchError::Timeout)),
        ] {
            world.clock.advance(Duration::from_secs(60));
            let age = world.clock.now().unix_seconds() - good.as_ref().unwrap().fetched_at.unix_seconds();
            world.answer(KEYS, answer);
            let refreshed = refresher.refresh(BUDGET).await;
            assert_eq!(refreshed[0].outcome.as_ref().err(), Some(&failure));
            // How long the broker has been going on with them.
            assert!(refreshed[0].snapshot_age.unwrap().as_secs() >= u64::try_from(age).unwrap());
            assert_eq!(kept(&world, "a").await, good);
            // And the other issuer does not suffer.
            assert!(refreshed[1].outcome.is_ok());
        }
        let (url, _) = discovery(ISSUER, KEYS);
        world.answer(&url, Answer::Document(format!(r#"{{"issuer":"https://evil.example","jwks_uri":"{OTHER_KEYS}"}}"#)));
        assert_eq!(refresher.refresh(BUDGET).await[0].outcome.as_ref().err(), Some(&KeyFailure::Discovery));
        assert_eq!(kept(&world, "a").await, good);
    }

    #[tokio::test]
    async fn a_later_set_is_not_replaced_by_an_earlier_one() {
        let (world, refresher) = scene();
        let later = key_set(&[Pair::p256().jwk("later", "")]);
        world.store("a", &later, Duration::ZERO);
        world.answer(KEYS, Answer::Slow(Duration::from_secs(3), key_set(&[Pair::p256().jwk("one", "")])));
        // Held up for a minute between asking and keeping, in which another has kept a set.
        world.clock.set_back(Duration::from_secs(60));
        let refreshed = refresher.refresh(BUDGET).await;
        assert_eq!(outcomes(&refreshed)[0], "a: 1 keys, kept false");
        assert_eq!(kept(&world, "a").await.unwrap().jwks, later);
        // The age is that of the set which is there, not of the one that was asked for three seconds ago.
        assert_eq!(refreshed[0].snapshot_age, Some(Duration::ZERO));
    }

    #[tokio::test]
    async fn a_table_that_fails_is_said() {
        let (world, refresher) = scene();
        world.break_table("a", "dynamodb.throttled");
        let refreshed = refresher.refresh(BUDGET).await;
        assert_eq!(refreshed[0].outcome.as_ref().err(), Some(&KeyFailure::Store(Reason("dynamodb.throttled"))));
        assert_eq!(refreshed[0].snapshot_age, None);
        assert!(refreshed[1].outcome.is_ok());
    }

    #[tokio::test]
    async fn a_set_is_as_old_as_the_question_for_it() {
        let (world, refresher) = scene();
        let asked_at = world.clock.now();
        world.answer(KEYS, Answer::Slow(Duration::from_secs(3), key_set(&[Pair::p256().jwk("one", "")])));
        refresher.refresh(BUDGET).await;
        assert_eq!(kept(&world, "a").await.unwrap().fetched_at, asked_at);
    }
}
