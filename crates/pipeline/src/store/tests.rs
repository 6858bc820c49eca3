//! The journal under crashes: whatever was accepted has its consequences exactly once.

use std::fs::{self, OpenOptions};
use std::sync::Arc;

use nephometer_model::{Meter, MeterType, Sample, Timestamp};
use proptest::prelude::*;
use serde_json::json;

use super::*;
use crate::run;
use crate::transform::Transformer;

const BOUNDS: Bounds = Bounds { replay_window: 1000, waiting: 100_000, keys: 10_000 };
const START_NS: i64 = 1_767_225_600_000_000_000;

fn sink() -> Arc<str> {
    "sink".into()
}

fn target() -> Arc<str> {
    "target".into()
}

/// A counter that each sample adds to, then pairs of its differences: both remember, and buffer.
fn chain() -> Vec<Transformer> {
    let entries = [
        json!({"name": "delta", "parameters": {"target": {"name": "cpu.delta"}}}),
        json!({"name": "aggregator", "parameters": {"size": 3}}),
        json!({"name": "accumulator", "parameters": {"size": 2}}),
    ];
    entries.iter().map(|entry| Transformer::read(entry).unwrap()).collect()
}

fn sample(number: u64, resource: u8) -> Sample {
    let meter = Meter::new("cpu", MeterType::Cumulative, "ns");
    let mut sample = Sample::new(&meter, number * number, format!("id-{number}"));
    sample.resource_id = Some(format!("r{resource}").into());
    let time = Timestamp::from_ns(START_NS + i64::try_from(number).unwrap() * 1_000_000_000);
    sample.timestamp = Some(time.isoformat().into());
    sample
}

fn now() -> Timestamp {
    Timestamp::from_ns(START_NS)
}

fn step(store: &Store, samples: Vec<Sample>) -> Result<(), StoreError> {
    let chain = chain();
    let compute = |memory: &SinkMemory, fresh| run::batch(&chain, &memory.entries, fresh, now());
    store.step(&sink(), samples, now(), compute).map(drop)
}

/// Everything that waits for the target, taken or not.
fn take_all(store: &Store, got: &mut Vec<Sample>) {
    while let Some((sequence, samples)) = store.next(&sink(), &target()) {
        got.extend(samples.iter().cloned());
        store.settle(&sink(), &target(), sequence).unwrap();
    }
}

fn open(directory: &std::path::Path) -> Store {
    let store = Store::open(directory, BOUNDS).unwrap();
    store.attach(&sink(), &[target()]).unwrap();
    store
}

/// What comes out where nothing ever fails.
fn expected(batches: &[Vec<Sample>]) -> Vec<Sample> {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    let mut got = Vec::new();
    for batch in batches {
        step(&store, batch.clone()).unwrap();
    }
    take_all(&store, &mut got);
    got
}

/// What happens after a batch was brought.
#[derive(Debug, Clone, Copy)]
enum Then {
    /// The next one.
    Nothing,
    /// The target takes what waits.
    Deliver,
    /// The process dies, and everything it has written is there.
    Crash,
    /// The machine dies before the batch was acknowledged: this part of what was written for it is there.
    Torn(u8),
    /// The batch is brought again, though it was acknowledged.
    Replay,
}

fn thens() -> impl Strategy<Value = Then> {
    prop_oneof![
        3 => Just(Then::Nothing),
        2 => Just(Then::Deliver),
        1 => Just(Then::Crash),
        2 => any::<u8>().prop_map(Then::Torn),
        1 => Just(Then::Replay),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]
    #[test]
    fn whatever_was_accepted_counts_once(plan in prop::collection::vec((prop::collection::vec(0..3_u8, 1..5), thens()), 1..25)) {
        let mut number = 0;
        let mut batch_of = |resources: &[u8]| -> Vec<Sample> {
            resources.iter().map(|resource| { number += 1; sample(number, *resource) }).collect()
        };
        let batches: Vec<Vec<Sample>> = plan.iter().map(|(resources, _)| batch_of(resources)).collect();
        let directory = tempfile::tempdir().unwrap();
        let journal = directory.path().join("journal");
        let mut store = open(directory.path());
        let mut got = Vec::new();
        for (batch, (_, then)) in batches.iter().zip(&plan) {
            let before = fs::metadata(&journal).unwrap().len();
            step(&store, batch.clone()).unwrap();
            match then {
                Then::Nothing => {}
                Then::Deliver => take_all(&store, &mut got),
                Then::Replay => step(&store, batch.clone()).unwrap(),
                Then::Crash => {
                    drop(store);
                    store = open(directory.path());
                }
                Then::Torn(part) => {
                    drop(store);
                    let after = fs::metadata(&journal).unwrap().len();
                    let left = before + (after - before) * u64::from(*part) / 255;
                    OpenOptions::new().write(true).open(&journal).unwrap().set_len(left).unwrap();
                    store = open(directory.path());
                    // Nobody was told that it was accepted, so it comes again.
                    step(&store, batch.clone()).unwrap();
                }
            }
        }
        take_all(&store, &mut got);
        prop_assert_eq!(got, expected(&batches));
    }
}

#[test]
fn a_long_journal_is_written_anew_and_says_the_same() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    for number in 1..=20 {
        step(&store, vec![sample(number, u8::try_from(number % 3).unwrap())]).unwrap();
    }
    let describe = |store: &Store| {
        let mut inner = store.inner.lock();
        let memory = inner.memory.sink(&sink());
        let mut entries: Vec<_> =
            memory.entries.iter().map(|(key, entry)| (key.clone(), entry.clone())).collect();
        entries.sort_by(|(a, _), (b, _)| a.cmp(b));
        let next = memory.next(&target());
        (entries, next, memory.last_sequence(), memory.settled.clone())
    };
    let before = describe(&store);
    {
        let mut inner = store.inner.lock();
        let records = inner.memory.records();
        inner.journal.rewrite(&records).unwrap();
    }
    step(&store, vec![sample(21, 0)]).unwrap();
    let after = describe(&store);
    drop(store);
    let store = open(directory.path());
    assert_eq!(describe(&store), after);
    assert_eq!(before.3, after.3);
    // Ids are still recognised.
    let (_, replayed) = store
        .step(&sink(), vec![sample(21, 0), sample(3, 0)], now(), |memory, fresh| {
            run::batch(&chain(), &memory.entries, fresh, now())
        })
        .unwrap();
    assert_eq!(replayed, 2);
}

#[test]
fn damage_ends_the_journal_where_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let store = open(directory.path());
    step(&store, vec![sample(1, 0)]).unwrap();
    let whole = fs::metadata(directory.path().join("journal")).unwrap().len();
    step(&store, vec![sample(2, 0)]).unwrap();
    drop(store);
    let path = directory.path().join("journal");
    let mut bytes = fs::read(&path).unwrap();
    let at = usize::try_from(whole).unwrap() + 30;
    bytes[at] ^= 0xff;
    fs::write(&path, &bytes).unwrap();
    let store = open(directory.path());
    assert_eq!(store.counts(&sink()).1, 1);
    step(&store, vec![sample(2, 0)]).unwrap();
    drop(store);
    fs::write(&path, b"something else altogether").unwrap();
    assert!(Store::open(directory.path(), BOUNDS).is_err());
}

#[test]
fn memory_is_bounded() {
    let directory = tempfile::tempdir().unwrap();
    let bounds = Bounds { replay_window: 5, waiting: 3, keys: 4 };
    let store = Store::open(directory.path(), bounds).unwrap();
    store.attach(&sink(), &[target()]).unwrap();
    let rate = [Transformer::read(&json!({"name": "rate_of_change"})).unwrap()];
    let take = |number: u64, resource: u8, at: Timestamp| {
        store.step(&sink(), vec![sample(number, resource)], at, |memory, fresh| {
            run::batch(&rate, &memory.entries, fresh, at)
        })
    };
    for resource in 0..10 {
        take(u64::from(resource), resource, Timestamp::from_ns(START_NS + i64::from(resource))).unwrap();
    }
    let nobody = |_: u64| false;
    assert_eq!(store.counts(&sink()).1, 10);
    assert_eq!(store.evict(&sink(), Timestamp::from_ns(START_NS + 3), &nobody, now()).unwrap(), 6);
    assert_eq!(store.counts(&sink()).1, 4);
    // Nobody takes what is made: in the end nothing more is accepted.
    let mut refused = None;
    for number in 20..30 {
        if let Err(error) = take(number, 9, now()) {
            refused = Some(error.to_string());
            break;
        }
    }
    assert_eq!(refused.as_deref(), Some("3 samples of sink sink wait for their publishers"));
    let mut got = Vec::new();
    take_all(&store, &mut got);
    assert_eq!(got.len(), 3);
    take(40, 9, now()).unwrap();
}

#[test]
fn one_process_has_a_journal() {
    let directory = tempfile::tempdir().unwrap();
    let _store = open(directory.path());
    let error = Store::open(directory.path(), BOUNDS).err().unwrap();
    assert!(error.to_string().ends_with("another process has it"), "{error}");
}
