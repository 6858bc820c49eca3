//! What limits cost a request, to be let in, to have its measures counted, and to leave: `cargo bench -p nephometer-api
//! --bench limits`.

use std::num::{NonZeroU32, NonZeroU64};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use divan::Bencher;
use nephometer_api::limits::{Allowance, LimitSettings, Limits, Rate};
use nephometer_model::{Identity, SystemClock};

fn main() {
    divan::main();
}

const PLENTY: NonZeroU64 = NonZeroU64::new(1_000_000_000_000).expect("is not zero");

fn limits(usual: Allowance) -> Limits {
    Limits::new(LimitSettings { usual, ..LimitSettings::default() }, Arc::new(SystemClock::new()))
}

fn all() -> Allowance {
    Allowance {
        requests_in_flight: Some(NonZeroU32::MAX),
        measures: Some(Rate { per_second: PLENTY, burst: PLENTY }),
    }
}

fn identities(count: usize) -> Vec<Identity> {
    let project = |n| Identity { project_id: Some(format!("{n:032x}")), ..Identity::default() };
    (0..count).map(project).collect()
}

/// One request after the other, of so many projects in turn.
fn measured(bencher: Bencher<'_, '_>, usual: Allowance, projects: usize) {
    let (limits, identities, turn) = (limits(usual), identities(projects), AtomicUsize::new(0));
    for identity in &identities {
        drop(limits.enter(identity));
    }
    bencher.bench(|| {
        let identity = &identities[turn.fetch_add(7919, Ordering::Relaxed) % projects];
        let permit = limits.enter(identity).expect("there is room");
        limits.charge(permit.as_ref(), 100).expect("there is plenty").keep();
        drop(permit);
    });
}

#[divan::bench(args = [1, 10_000], sample_size = 10_000)]
fn off(bencher: Bencher<'_, '_>, projects: usize) {
    measured(bencher, Allowance::default(), projects);
}

#[divan::bench(args = [1, 100, 10_000], sample_size = 10_000)]
fn on(bencher: Bencher<'_, '_>, projects: usize) {
    measured(bencher, all(), projects);
}

#[divan::bench(args = [1, 100, 10_000], threads = 2, sample_size = 10_000)]
fn on_two_threads(bencher: Bencher<'_, '_>, projects: usize) {
    measured(bencher, all(), projects);
}
