//! Who comes, and what has to come of it: some hundred users, one of them in a loop; in the middle the issuer changes its keys, and
//! some users are suspended.

use std::collections::{BTreeMap, HashSet};
use std::ops::RangeInclusive;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use latchkey_aws::grant_admin::GrantAdmin;
use latchkey_domain::identity::{Identity, IssuerId, Subject};
use latchkey_tests::stack::annotation;
use tokio::sync::Mutex;

/// Without the one in a loop.
pub(crate) const USERS: usize = 300;

/// Every so many requests one is the hot user's, who asks far more often than the limit lets through.
pub(crate) const HOT_EVERY: usize = 8;
const HOT: &str = "hot";

/// Who is suspended half-way: the first of the users.
const SUSPENDED: usize = 10;

pub(crate) fn subjects() -> impl Iterator<Item = String> {
    (0..USERS).map(|user| format!("load-{user}")).chain([HOT.to_owned()])
}

fn subject_of(number: usize) -> String {
    if number.is_multiple_of(HOT_EVERY) { HOT.to_owned() } else { format!("load-{}", number * 7 % USERS) }
}

/// Held by a run for as long as it lasts: two at once would measure each other.
pub(crate) static ALONE: Mutex<()> = Mutex::const_new(());

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
pub(crate) fn now() -> Instant {
    Instant::now()
}

/// Suspends the first of the users, one after the other.
pub(crate) async fn suspend_some(operator: &GrantAdmin, issuer: &IssuerId) {
    for user in 0..SUSPENDED {
        let identity = Identity { issuer: issuer.clone(), subject: Subject::new(format!("load-{user}")).unwrap() };
        operator.set_suspended(&identity, true, &annotation()).await.unwrap();
    }
}

/// One request that is to be made.
pub(crate) struct Asked {
    pub(crate) subject: String,
    /// Whether the suspension was done before it was asked for.
    after_the_suspension: bool,
}

/// What happens before a request is made.
#[derive(PartialEq, Eq)]
pub(crate) enum Change {
    None,
    Keys,
    Suspension,
}

/// Hands out the requests to whoever makes them.
pub(crate) struct Crowd {
    requests: usize,
    next: AtomicUsize,
    is_suspended: AtomicBool,
}

impl Crowd {
    pub(crate) fn new(requests: usize) -> Self {
        Self { requests, next: AtomicUsize::new(0), is_suspended: AtomicBool::new(false) }
    }

    /// The next number, and what is to be done first.
    pub(crate) fn next(&self) -> Option<(usize, Change)> {
        let number = self.next.fetch_add(1, Ordering::SeqCst);
        let change = match number {
            _ if number == self.requests / 3 => Change::Keys,
            _ if number == self.requests / 2 => Change::Suspension,
            _ => Change::None,
        };
        (number < self.requests).then_some((number, change))
    }

    pub(crate) fn suspension_is_done(&self) {
        self.is_suspended.store(true, Ordering::SeqCst);
    }

    pub(crate) fn ask(&self, number: usize) -> Asked {
        Asked { subject: subject_of(number), after_the_suspension: self.is_suspended.load(Ordering::SeqCst) }
    }
}

/// One answer.
pub(crate) struct Answered {
    pub(crate) asked: Asked,
    pub(crate) request_id: String,
    pub(crate) status: u64,
    /// Of the audit record; empty where the answer is a URL.
    pub(crate) reason: String,
    pub(crate) url: Option<String>,
    pub(crate) took: Duration,
}

/// Holds the answers to what they must be. `limit` is what the user in a loop may get.
#[track_caller]
pub(crate) fn judge(answers: &[Answered], requests: usize, limit: &RangeInclusive<usize>) {
    // Nothing is lost, and nothing is answered twice.
    assert_eq!(answers.len(), requests);
    let ids: HashSet<&str> = answers.iter().map(|answered| answered.request_id.as_str()).collect();
    let urls: Vec<&str> = answers.iter().filter_map(|answered| answered.url.as_deref()).collect();
    assert_eq!((ids.len(), urls.iter().collect::<HashSet<_>>().len()), (requests, urls.len()));

    // The limit holds to the request.
    let (hot, others): (Vec<&Answered>, Vec<&Answered>) = answers.iter().partition(|answered| answered.asked.subject == HOT);
    let opened = hot.iter().filter(|answered| answered.status == 200).count();
    assert!(hot.len() > 4 * limit.end() && limit.contains(&opened), "{opened} of {} within {limit:?}", hot.len());
    for answered in &hot {
        assert!(matches!((answered.status, answered.reason.as_str()), (200, "") | (429, "usage.rate-limited")), "{}", answered.reason);
    }

    // Everybody else gets what they may have: new keys are found, and a suspension holds from the next request on.
    let mut outcomes: BTreeMap<(bool, u64), usize> = BTreeMap::new();
    for answered in others {
        let is_suspended = (0..SUSPENDED).any(|user| answered.asked.subject == format!("load-{user}"));
        let what = format!("{} of {}: {} {}", answered.request_id, answered.asked.subject, answered.status, answered.reason);
        let is_open = (answered.status, answered.reason.as_str()) == (200, "");
        let is_closed = (answered.status, answered.reason.as_str()) == (403, "subject.suspended");
        match (is_suspended, answered.asked.after_the_suspension) {
            (true, true) => assert!(is_closed, "{what}"),
            // One that was under way meanwhile is the one or the other.
            (true, false) => assert!(is_open || is_closed, "{what}"),
            (false, _) => assert!(is_open, "{what}"),
        }
        *outcomes.entry((is_suspended && answered.asked.after_the_suspension, answered.status)).or_default() += 1;
    }
    assert!(outcomes[&(true, 403)] > SUSPENDED, "{outcomes:?}");
}
