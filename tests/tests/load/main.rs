//! Several environments of the function at once, as Lambda has them in the morning: they share a table and nothing else. Hundreds of
//! users, one of them in a loop; in the middle the issuer changes its keys, and some users are suspended. docs/reliability.md has what
//! it came to.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use latchkey_domain::identity::{Identity, Subject};
use latchkey_standin::stack::StackOptions;
use latchkey_tests::emulator::Emulator;
use latchkey_tests::stack::{World, annotation, launch};
use latchkey_tests::tools::bootstrap;
use serde_json::Value;

const ENVIRONMENTS: usize = 4;
const USERS: usize = 300;
const REQUESTS: usize = 2400;

/// Every so many requests one is the hot user's, who asks far more often than the limit lets through.
const HOT_EVERY: usize = 8;
const HOT: &str = "hot";

/// A window of a day, so that none ends in the middle but at midnight.
const LIMIT: usize = 40;
const RATE_LIMIT: &str = "40/86400";

/// Who is suspended half-way: the first of the users.
const SUSPENDED: usize = 10;

/// One answer.
struct Answered {
    subject: String,
    request_id: String,
    environment: usize,
    /// Whether the suspension was done before it was asked for.
    after_the_suspension: bool,
    status: u64,
    /// From the record, which is looked for at the end.
    reason: String,
    url: Option<String>,
    took: Duration,
}

#[expect(clippy::disallowed_methods, reason = "a test measures real time")]
fn now() -> Instant {
    Instant::now()
}

fn subject_of(number: usize) -> String {
    if number.is_multiple_of(HOT_EVERY) { HOT.to_owned() } else { format!("load-{}", number * 7 % USERS) }
}

fn suspend(world: &World, subject: &str) {
    let identity = Identity { issuer: world.stack.issuer_id().clone(), subject: Subject::new(subject).unwrap() };
    world.block_on(world.operator().set_suspended(&identity, true, &annotation())).unwrap();
}

fn run(world: &World, environments: &[Emulator]) -> Vec<Answered> {
    let (next, suspended) = (AtomicUsize::new(0), AtomicBool::new(false));
    let answers = Mutex::new(Vec::with_capacity(REQUESTS));
    std::thread::scope(|scope| {
        for (environment, emulator) in environments.iter().enumerate() {
            let (next, suspended, answers) = (&next, &suspended, &answers);
            scope.spawn(move || {
                loop {
                    let number = next.fetch_add(1, Ordering::SeqCst);
                    if number >= REQUESTS {
                        return;
                    }
                    if number == REQUESTS / 3 {
                        world.stack.idp.rotate().unwrap();
                    }
                    if number == REQUESTS / 2 {
                        (0..SUSPENDED).for_each(|user| suspend(world, &format!("load-{user}")));
                        suspended.store(true, Ordering::SeqCst);
                    }
                    let subject = subject_of(number);
                    let after_the_suspension = suspended.load(Ordering::SeqCst);
                    let request_id = format!("load-{number}");
                    let event = launch(&request_id, &world.token_of(&subject, None), None);
                    let begun = now();
                    let answer = emulator.invoke(&event);
                    let took = begun.elapsed();
                    let answered = Answered {
                        subject,
                        request_id,
                        environment,
                        after_the_suspension,
                        status: answer.status(),
                        reason: String::new(),
                        url: answer.body()["url"].as_str().map(str::to_owned),
                        took,
                    };
                    answers.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
                }
            });
        }
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let reasons = reasons(environments);
    for answered in &mut answers {
        answered.reason.clone_from(&reasons[&answered.request_id]);
    }
    answers
}

/// The reasons by the requests' ids: one record for each request, once all of them are written.
fn reasons(environments: &[Emulator]) -> HashMap<String, String> {
    let until = now() + Duration::from_secs(10);
    loop {
        let records: Vec<Value> = environments.iter().flat_map(Emulator::records).collect();
        if records.len() >= REQUESTS || now() > until {
            let text = |record: &Value, member: &str| record[member].as_str().unwrap_or_default().to_owned();
            let reasons: HashMap<_, _> = records.iter().map(|record| (text(record, "request_id"), text(record, "reason"))).collect();
            assert_eq!((records.len(), reasons.len()), (REQUESTS, REQUESTS), "one record for each request");
            return reasons;
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// The value that so many in a hundred do not exceed.
fn percentile(sorted: &[Duration], percent: usize) -> f64 {
    sorted[(sorted.len() * percent / 100).min(sorted.len() - 1)].as_secs_f64() * 1000.0
}

#[test]
#[ignore = "needs the tools: make test"]
fn many_users_on_several_environments() {
    let world = World::start_with(StackOptions::default());
    let issuer = world.stack.issuer_id().clone();
    for subject in (0..USERS).map(|user| format!("load-{user}")).chain([HOT.to_owned()]) {
        world.grant(&issuer, &subject, "lab", "alice", &[]);
    }
    let variables = world.env(&[("LATCHKEY_RATE_LIMIT", RATE_LIMIT)]);
    let environments: Vec<Emulator> = (0..ENVIRONMENTS).map(|_| Emulator::start(&bootstrap(), &variables)).collect();
    let answers = run(&world, &environments);

    // Nothing is lost, and nothing is answered twice.
    assert_eq!(answers.len(), REQUESTS);
    let ids: HashSet<&str> = answers.iter().map(|answered| answered.request_id.as_str()).collect();
    let urls: Vec<&str> = answers.iter().filter_map(|answered| answered.url.as_deref()).collect();
    assert_eq!((ids.len(), urls.iter().collect::<HashSet<_>>().len()), (REQUESTS, urls.len()));

    // The limit holds over all environments, to the request.
    let hot: Vec<&Answered> = answers.iter().filter(|answered| answered.subject == HOT).collect();
    let opened = hot.iter().filter(|answered| answered.status == 200).count();
    assert!(hot.len() > 4 * LIMIT && hot.iter().map(|answered| answered.environment).collect::<HashSet<_>>().len() == ENVIRONMENTS);
    assert_eq!(opened, LIMIT);
    assert!(
        hot.iter().all(|answered| answered.status == 200 || (answered.status, answered.reason.as_str()) == (429, "usage.rate-limited"))
    );

    // Everybody else gets what they may have: new keys are found, and a suspension holds from the next request on.
    let mut outcomes: BTreeMap<(bool, u64), usize> = BTreeMap::new();
    for answered in answers.iter().filter(|answered| answered.subject != HOT) {
        let is_suspended = (0..SUSPENDED).any(|user| answered.subject == format!("load-{user}"));
        let what = format!("{} of {}: {}", answered.request_id, answered.subject, answered.reason);
        match (is_suspended, answered.after_the_suspension) {
            (true, true) => assert_eq!((answered.status, answered.reason.as_str()), (403, "subject.suspended"), "{what}"),
            // One that was under way meanwhile is the one or the other.
            (true, false) => assert!(answered.status == 200 || answered.reason == "subject.suspended", "{what}"),
            (false, _) => assert_eq!(answered.status, 200, "{what}"),
        }
        *outcomes.entry((is_suspended && answered.after_the_suspension, answered.status)).or_default() += 1;
    }
    assert!(outcomes[&(true, 403)] > SUSPENDED, "{outcomes:?}");

    let mut times: Vec<Duration> = answers.iter().map(|answered| answered.took).collect();
    times.sort_unstable();
    println!(
        "{REQUESTS} requests of {} users on {ENVIRONMENTS} environments: p50 {:.1} ms, p90 {:.1} ms, p99 {:.1} ms, longest {:.1} ms",
        USERS + 1,
        percentile(&times, 50),
        percentile(&times, 90),
        percentile(&times, 99),
        percentile(&times, 100),
    );
}
