//! Several environments of the function, which share a table.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use latchkey_standin::stack::StackOptions;
use latchkey_tests::emulator::Emulator;
use latchkey_tests::stack::{World, launch, long_window};
use latchkey_tests::tools::bootstrap;
use serde_json::{Value, json};

use crate::crowd::{ALONE, Answered, Change, Crowd, HOT_EVERY, judge, now, subjects, suspend_some};
use crate::record;

const ENVIRONMENTS: usize = 4;

/// Requests: in the ordinary run, and in the long one.
const SHORT: usize = 2400;
const LONG: usize = 100_000;

/// How often the memory of an environment is looked at, in requests of its own.
const SAMPLED_EVERY: usize = 100;

/// What one environment had in memory, in bytes, every [`SAMPLED_EVERY`] requests.
type Memory = Vec<u64>;

fn run(world: &World, environments: &[Emulator], requests: usize) -> (Vec<Answered>, Vec<Memory>, HashSet<usize>) {
    let crowd = Crowd::new(requests);
    let answers = Mutex::new(Vec::with_capacity(requests));
    let hot_environments = Mutex::new(HashSet::new());
    let memory = std::thread::scope(|scope| {
        let work = |environment: usize| {
            let emulator = &environments[environment];
            let mut memory = Memory::new();
            // Each the same number, however fast it is: what is told of its memory is told of so many requests.
            for made in 1..=requests / environments.len() {
                let (number, change) = crowd.next().unwrap();
                match change {
                    Change::None => {}
                    Change::Keys => drop(world.stack.idp.rotate().unwrap()),
                    Change::Suspension => {
                        world.block_on(suspend_some(&world.operator(), world.stack.issuer_id()));
                        crowd.suspension_is_done();
                    }
                }
                let asked = crowd.ask(number);
                let request_id = format!("load-{number}");
                let event = launch(&request_id, &world.token_of(&asked.subject, None), None);
                let begun = now();
                let answer = emulator.invoke(&event);
                let took = begun.elapsed();
                if number.is_multiple_of(HOT_EVERY) {
                    hot_environments.lock().unwrap_or_else(PoisonError::into_inner).insert(environment);
                }
                let url = answer.body()["url"].as_str().map(str::to_owned);
                let answered = Answered { asked, request_id, status: answer.status(), reason: String::new(), url, took };
                answers.lock().unwrap_or_else(PoisonError::into_inner).push(answered);
                if made.is_multiple_of(SAMPLED_EVERY) {
                    memory.push(emulator.resident_bytes());
                    // Kept for tests that look at them; a hundred thousand are too many.
                    world.clear_captured();
                }
            }
            memory
        };
        let threads: Vec<_> = (0..environments.len()).map(|environment| scope.spawn(move || work(environment))).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
    let reasons = reasons(environments, requests);
    for answered in &mut answers {
        answered.reason.clone_from(&reasons[&answered.request_id]);
    }
    (answers, memory, hot_environments.into_inner().unwrap_or_else(PoisonError::into_inner))
}

/// The reasons by the requests' ids: one record for each request, once all of them are written.
fn reasons(environments: &[Emulator], requests: usize) -> HashMap<String, String> {
    let until = now() + Duration::from_secs(60);
    loop {
        let records: Vec<Value> = environments.iter().flat_map(Emulator::records).collect();
        if records.len() >= requests || now() > until {
            let text = |record: &Value, member: &str| record[member].as_str().unwrap_or_default().to_owned();
            let reasons: HashMap<_, _> = records.iter().map(|record| (text(record, "request_id"), text(record, "reason"))).collect();
            assert_eq!((records.len(), reasons.len()), (requests, requests), "one record for each request");
            return reasons;
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}

fn mean(values: &[u64]) -> f64 {
    values.iter().sum::<u64>() as f64 / values.len() as f64
}

#[test]
#[ignore = "needs the tools: make test"]
fn many_users_on_several_environments() {
    let _alone = ALONE.blocking_lock();
    let requests = if record::folder().is_some() { LONG } else { SHORT };
    // A sixtieth of the requests: a seventh of what the user in a loop asks for, and more than any other user wants.
    let limit = requests / 60;
    let world = World::start_with(StackOptions::default());
    let issuer = world.stack.issuer_id().clone();
    subjects().for_each(|subject| world.grant(&issuer, &subject, "lab", "alice", &[]));
    let variables = world.env(&[("LATCHKEY_RATE_LIMIT", &format!("{limit}/{}", long_window()))]);
    let environments: Vec<Emulator> = (0..ENVIRONMENTS).map(|_| Emulator::start(&bootstrap(), &variables)).collect();
    let begun = now();
    let (answers, memory, hot_environments) = run(&world, &environments, requests);
    let whole = begun.elapsed();

    assert_eq!(hot_environments.len(), ENVIRONMENTS, "the limit is one over all of them");
    judge(&answers, requests, &(limit..=limit));

    // What an environment keeps is bounded: it has seen all users in the first third, and needs no more for as long as it lives.
    let mut growth = Vec::new();
    for samples in &memory {
        let third = samples.len() / 3;
        let (middle, end) = (mean(&samples[third..2 * third]), mean(&samples[2 * third..]));
        println!("{:.2} MB in the middle third, {:.2} MB in the last", middle / 1e6, end / 1e6);
        growth.push(end / middle);
    }
    assert!(growth.iter().all(|growth| *growth < 1.1), "memory grows: {growth:?}");
    let figures = record::latencies(ENVIRONMENTS, whole, answers.iter().map(|answered| answered.took).collect());
    record::write("environments", &json!({ "latencies": figures, "sampled_every": SAMPLED_EVERY, "resident_bytes": memory }));
}
