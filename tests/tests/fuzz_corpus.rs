//! The corpora of the fuzz targets, replayed: what a fuzzer has once found is looked at in every run. And a little fuzzing without a
//! fuzzer: each of their files changed at random, the same way in every run.

use std::path::PathBuf;

use latchkey_fuzz::{TARGETS, Target};
use latchkey_tests::tools::root;

/// What a corpus may have: enough to say something, little enough to be read by people.
const FILES: std::ops::RangeInclusive<usize> = 5..=60;
const MAX_FILE_BYTES: usize = 4096;
const MAX_CORPUS_BYTES: usize = 32 * 1024;

/// How many changes of its corpus each target is given: five seconds for all of them together, unoptimised.
const CHANGES: usize = 25_000;

/// What stands in documents of these kinds, for a change to put somewhere.
const WORDS: [&str; 44] = [
    "{",
    "}",
    "[",
    "]",
    ",",
    ":",
    "\"",
    "\\",
    "\\u0000",
    "\\ud800",
    "null",
    "true",
    "-1",
    "1e999",
    "18446744073709551616",
    "0.5",
    "\0",
    "\u{feff}",
    "\u{200b}",
    "\u{430}",
    ".",
    "..",
    "=",
    "Bearer ",
    "eyJ",
    "\"kid\":",
    "\"alg\":\"none\"",
    "\"keys\":[",
    "\"sub\":\"x\",",
    "\"headers\":",
    "\"multiValueHeaders\":",
    "\"Authorization\":",
    "\"requestContext\":",
    "\"identity\":",
    "\"vpceId\":\"vpce-1\"",
    "\"httpMethod\":\"POST\"",
    "\"isBase64Encoded\":true",
    "{\"S\":\"",
    "{\"BOOL\":",
    "{\"M\":{",
    "/presigned-urls",
    "AQAB",
    "\"kty\":\"RSA\"",
    "\n",
];

/// A generator of numbers, the same ones in every run (splitmix64, S. Vigna).
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ z >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ z >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ z >> 31
    }

    fn below(&mut self, bound: usize) -> usize {
        usize::try_from(self.next() % u64::try_from(bound.max(1)).unwrap()).unwrap()
    }

    /// One change.
    fn change(&mut self, bytes: &mut Vec<u8>, corpus: &[(PathBuf, Vec<u8>)]) {
        let at = self.below(bytes.len() + 1);
        let end = (at + self.below(16)).min(bytes.len());
        match self.below(8) {
            0 if at < bytes.len() => bytes[at] ^= 1 << self.below(8),
            1 if at < bytes.len() => bytes[at] = [0, 1, 0x20, 0x22, 0x2c, 0x2e, 0x5c, 0x7f, 0x80, 0xff][self.below(10)],
            2 => drop(bytes.drain(at..end)),
            3 => bytes.truncate(at),
            4 => {
                let again = bytes[at..end].to_vec();
                bytes.splice(at..at, again);
            }
            // The end of another one.
            5 => {
                let other = &corpus[self.below(corpus.len())].1;
                bytes.truncate(at);
                bytes.extend_from_slice(&other[self.below(other.len() + 1)..]);
            }
            6 => drop(bytes.splice(at..end, WORDS[self.below(WORDS.len())].bytes())),
            _ => drop(bytes.splice(at..at, WORDS[self.below(WORDS.len())].bytes())),
        }
    }
}

fn files(folder: PathBuf) -> Vec<(PathBuf, Vec<u8>)> {
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    files.into_iter().map(|path| (path.clone(), std::fs::read(path).unwrap())).collect()
}

fn corpus(name: &str) -> Vec<(PathBuf, Vec<u8>)> {
    files(root().join("tests/fuzz/corpus").join(name))
}

#[test]
fn every_corpus_holds() {
    for (name, target) in TARGETS {
        for (_, bytes) in corpus(name) {
            target(&bytes);
        }
        assert!(root().join(format!("tests/fuzz/fuzz_targets/{name}.rs")).exists(), "{name} is not fuzzed");
    }
    let targets = std::fs::read_dir(root().join("tests/fuzz/fuzz_targets")).unwrap().count();
    let corpora = std::fs::read_dir(root().join("tests/fuzz/corpus")).unwrap().count();
    assert_eq!((targets, corpora), (TARGETS.len(), TARGETS.len()), "a target without a body, or a corpus without a target");
}

#[test]
fn the_events_are_a_corpus_too() {
    for (_, bytes) in files(root().join("events")) {
        latchkey_fuzz::event(&bytes);
    }
}

#[test]
fn the_corpora_stay_small() {
    for (name, _) in TARGETS {
        let corpus = corpus(name);
        assert!(FILES.contains(&corpus.len()), "{name} has {} files, and may have {FILES:?}", corpus.len());
        for (path, bytes) in &corpus {
            assert!(bytes.len() <= MAX_FILE_BYTES, "{} has {} bytes", path.display(), bytes.len());
        }
        let total: usize = corpus.iter().map(|(_, bytes)| bytes.len()).sum();
        assert!(total <= MAX_CORPUS_BYTES, "{name} has {total} bytes");
    }
}

/// Gives a target what its corpus comes to by up to four changes each.
fn change(target: &Target, corpus: &[(PathBuf, Vec<u8>)], times: usize) {
    let (name, target) = *target;
    let mut random = Random(0);
    for number in 0..times {
        let (path, bytes) = &corpus[number % corpus.len()];
        let mut bytes = bytes.clone();
        for _ in 0..=random.below(4) {
            random.change(&mut bytes, corpus);
        }
        if std::panic::catch_unwind(|| target(&bytes)).is_err() {
            // As text it could be split over lines, and would be no file again.
            let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            panic!("{name} does not hold: change {number}, of {}; xxd -r -p makes the input of:\n{hexadecimal}", path.display());
        }
    }
}

#[test]
fn every_corpus_holds_when_it_is_changed() {
    for target in TARGETS {
        change(&target, &corpus(target.0), CHANGES);
    }
}

#[test]
fn the_events_hold_when_they_are_changed() {
    change(&("event", latchkey_fuzz::event), &files(root().join("events")), CHANGES / 2);
}
