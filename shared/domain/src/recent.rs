//! A small cache of what was seen lately.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::clock::Timestamp;

/// What was seen lately, by what it was seen of: each for some seconds, and only so many. The oldest makes room.
#[derive(Debug)]
pub(crate) struct Recent<K, V> {
    seconds: i64,
    most: usize,
    kept: Mutex<HashMap<K, Kept<V>>>,
}

#[derive(Debug)]
struct Kept<V> {
    value: V,
    at: Timestamp,
}

impl<K: Clone + Eq + Hash, V: Clone> Recent<K, V> {
    /// Keeps at most `most` for `seconds` each.
    pub(crate) fn new(seconds: i64, most: usize) -> Self {
        Self { seconds, most, kept: Mutex::default() }
    }

    /// What was seen of it, if that is not too long ago.
    pub(crate) fn get(&self, key: &K, now: Timestamp) -> Option<V> {
        self.kept().get(key).filter(|kept| self.is_fresh(kept, now)).map(|kept| kept.value.clone())
    }

    /// Keeps what was seen.
    pub(crate) fn keep(&self, key: K, value: V, now: Timestamp) {
        let mut kept = self.kept();
        if kept.len() >= self.most && !kept.contains_key(&key) {
            kept.retain(|_, kept| self.is_fresh(kept, now));
            if kept.len() >= self.most
                && let Some(oldest) = kept.iter().min_by_key(|(_, kept)| kept.at).map(|(key, _)| key.clone())
            {
                kept.remove(&oldest);
            }
        }
        kept.insert(key, Kept { value, at: now });
    }

    /// Forgets what was seen of it.
    pub(crate) fn forget(&self, key: &K) {
        self.kept().remove(key);
    }

    /// By the clock on the wall: the other one may stand still while the environment is frozen. A clock that was set back ends
    /// what seems to come from the future.
    fn is_fresh(&self, kept: &Kept<V>, now: Timestamp) -> bool {
        kept.at <= now && now < kept.at.plus_seconds(self.seconds)
    }

    fn kept(&self) -> MutexGuard<'_, HashMap<K, Kept<V>>> {
        // Nothing that runs under the lock can leave the map half changed.
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }

    #[cfg(test)]
    pub(crate) fn len(&self) -> usize {
        self.kept().len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_unix_seconds(1_800_000_000);

    #[test]
    fn what_was_seen_is_kept_for_its_seconds() {
        let recent = Recent::new(300, 4);
        recent.keep(0, "a", NOW);
        assert_eq!(recent.get(&0, NOW), Some("a"));
        assert_eq!(recent.get(&0, NOW.plus_seconds(299)), Some("a"));
        assert_eq!(recent.get(&0, NOW.plus_seconds(300)), None);
        assert_eq!(recent.get(&0, NOW.plus_seconds(-1)), None, "the clock was set back");
        assert_eq!(recent.get(&1, NOW), None);
        recent.forget(&0);
        assert_eq!(recent.get(&0, NOW), None);
    }

    #[test]
    fn it_is_bounded_and_the_oldest_goes() {
        let recent = Recent::new(300, 8);
        for number in 0..8 {
            recent.keep(number, number, NOW.plus_seconds(i64::from(number > 0)));
        }
        let now = NOW.plus_seconds(2);
        recent.keep(8, 8, now);
        assert_eq!((recent.len(), recent.get(&0, now)), (8, None));
        // One that takes its own place needs no room, and what is over goes first.
        recent.keep(1, 1, now);
        assert_eq!(recent.len(), 8);
        recent.keep(0, 0, NOW.plus_seconds(301));
        assert_eq!(recent.len(), 3, "the two that were kept last, and the new one");
    }
}
