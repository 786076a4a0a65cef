//! The corpora of the fuzz targets, replayed: what a fuzzer has once found is looked at in every run.

use latchkey_fuzz::TARGETS;
use latchkey_tests::tools::root;

#[test]
fn every_corpus_holds() {
    for (name, target) in TARGETS {
        let folder = root().join("tests/fuzz/corpus").join(name);
        let files: Vec<_> = std::fs::read_dir(&folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        assert!(files.len() >= 5, "the corpus of {name} is too small to say anything");
        for file in files {
            target(&std::fs::read(file).unwrap());
        }
        assert!(root().join(format!("tests/fuzz/fuzz_targets/{name}.rs")).exists(), "{name} is not fuzzed");
    }
}

#[test]
fn the_events_are_a_corpus_too() {
    for entry in std::fs::read_dir(root().join("events")).unwrap() {
        latchkey_fuzz::event(&std::fs::read(entry.unwrap().path()).unwrap());
    }
}
