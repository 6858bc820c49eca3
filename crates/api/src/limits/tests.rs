//! The arithmetic of limits against a model, bounded memory, fairness among threads.

use std::num::{NonZeroU32, NonZeroU64};

use nephometer_model::{ManualClock, Timestamp};
use proptest::prelude::*;

use super::table::{MAX_ACCOUNTS, MAX_NAME_BYTES};
use super::*;

const SECOND_NS: i64 = 1_000_000_000;

fn allowance(requests_in_flight: u32, per_second: u64, burst: u64) -> Allowance {
    let rate = |per_second| Some(Rate { per_second, burst: NonZeroU64::new(burst)? });
    Allowance {
        requests_in_flight: NonZeroU32::new(requests_in_flight),
        measures: NonZeroU64::new(per_second).and_then(rate),
    }
}

fn limits(settings: LimitSettings) -> (Limits, Arc<ManualClock>) {
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(SECOND_NS)));
    (Limits::new(settings, Arc::clone(&clock) as Arc<dyn Clock>), clock)
}

fn usual(usual: Allowance) -> (Limits, Arc<ManualClock>) {
    limits(LimitSettings { usual, ..LimitSettings::default() })
}

fn project(id: &str) -> Identity {
    Identity {
        project_id: Some(id.to_owned()),
        user_id: Some("u".to_owned()),
        creator: Some(format!("u:{id}")),
        ..Identity::default()
    }
}

fn user(name: &str) -> Identity {
    Identity { user: Some(name.to_owned()), creator: Some(name.to_owned()), ..Identity::default() }
}

/// Writes `measures`, or says why not.
fn write(limits: &Limits, identity: &Identity, measures: usize) -> Result<(), LimitError> {
    let permit = limits.enter(identity)?;
    limits.charge(permit.as_ref(), measures).map(Charge::keep)
}

fn retry_after(outcome: Result<(), LimitError>) -> Option<u32> {
    outcome.expect_err("is refused").retry_after_seconds()
}

#[test]
fn without_limits_nothing_is_remembered() {
    let (limits, _) = limits(LimitSettings::default());
    for _ in 0..3 {
        write(&limits, &project("a"), usize::MAX).unwrap();
        write(&limits, &Identity::default(), usize::MAX).unwrap();
    }
    assert_eq!(limits.status(), LimitStatus::default());
}

#[test]
fn requests_in_flight_are_bounded_until_their_last_owner_lets_go() {
    let (limits, _) = usual(allowance(2, 0, 0));
    let first = limits.enter(&project("a")).unwrap();
    let second = limits.enter(&project("a")).unwrap();
    let refused = limits.enter(&project("a")).unwrap_err();
    assert_eq!(refused.to_string(), "at most 2 requests at a time are served for project a");
    assert_eq!(refused.retry_after_seconds(), Some(1));
    let kept = first.clone();
    drop(first);
    assert!(limits.enter(&project("a")).is_err());
    drop(kept);
    drop(limits.enter(&project("a")).unwrap());
    let same_name = limits.enter(&user("a")).unwrap();
    drop((second, same_name));
    assert_eq!(limits.status().refusals.requests_in_flight, 2);
}

#[test]
fn measures_come_back_with_time() {
    let (limits, clock) = usual(allowance(0, 10, 30));
    let a = project("a");
    write(&limits, &a, 30).unwrap();
    assert_eq!(retry_after(write(&limits, &a, 1)), Some(1));
    assert_eq!(retry_after(write(&limits, &a, 25)), Some(3));
    write(&limits, &a, 0).unwrap();
    write(&limits, &project("b"), 30).unwrap();
    clock.advance_ns(SECOND_NS / 10 - 1);
    assert!(write(&limits, &a, 1).is_err());
    clock.advance_ns(1);
    write(&limits, &a, 1).unwrap();
    clock.advance_ns(1000 * SECOND_NS);
    let refused = write(&limits, &a, 31).unwrap_err();
    assert_eq!(
        refused.to_string(),
        "the request has 31 measures, and project a may write at most 30 at once: send fewer in one request"
    );
    assert_eq!(refused.retry_after_seconds(), None);
    write(&limits, &a, 30).unwrap();
    assert_eq!(
        limits.status().refusals,
        RefusalCounts { requests_in_flight: 0, measures: 3, request_size: 1 }
    );
}

#[test]
fn what_was_not_stored_is_given_back() {
    let (limits, clock) = usual(allowance(0, 10, 30));
    let permit = limits.enter(&project("a")).unwrap();
    drop(limits.charge(permit.as_ref(), 30).unwrap());
    let slow = limits.charge(permit.as_ref(), 30).unwrap();
    clock.advance_ns(SECOND_NS);
    limits.charge(permit.as_ref(), 10).unwrap().keep();
    // The bucket has had ten back by time already.
    drop(slow);
    assert!(limits.charge(permit.as_ref(), 21).is_err());
    limits.charge(permit.as_ref(), 20).unwrap().keep();
}

#[test]
fn the_operator_may_name_exceptions() {
    let settings = LimitSettings {
        usual: allowance(1, 0, 0),
        projects: HashMap::from([
            ("service".to_owned(), Allowance::default()),
            ("big".to_owned(), allowance(2, 0, 0)),
        ]),
        users: HashMap::from([("big".to_owned(), allowance(3, 0, 0))]),
    };
    let (limits, _) = limits(settings);
    for (identity, expected) in
        [(project("small"), 1), (project("big"), 2), (user("big"), 3), (project("service"), 100)]
    {
        let places: Vec<_> = (0..100).map_while(|_| limits.enter(&identity).ok()).collect();
        assert_eq!(places.len(), expected, "{identity:?}");
    }
}

#[test]
fn who_is_nobody_shares_with_all_nobodies() {
    let (limits, _) = usual(allowance(1, 0, 0));
    let empty = Identity { project_id: Some(String::new()), ..Identity::default() };
    let held = limits.enter(&empty).unwrap();
    assert!(
        limits.enter(&Identity::default()).unwrap_err().to_string().ends_with("callers without identity")
    );
    let system = Identity { user_id: Some("u".to_owned()), ..Identity::default() };
    let other = limits.enter(&system).unwrap();
    drop((held, other));
    assert_eq!(limits.status().most_refused, [(Party::Nobody, 1)]);
}

#[test]
fn very_many_names_take_bounded_memory_and_no_ones_place() {
    let (limits, clock) = usual(allowance(1, 1, 1));
    let busy = limits.enter(&user("busy")).unwrap();
    write(&limits, &user("spent"), 1).unwrap();
    for name in 0..5 * MAX_ACCOUNTS {
        drop(limits.enter(&user(&format!("name {name}"))).unwrap());
        clock.advance_ns(1000);
        assert!(name % 1000 != 0 || limits.status().identities <= MAX_ACCOUNTS as u64);
    }
    assert!(limits.status().identities <= MAX_ACCOUNTS as u64);
    assert!(limits.enter(&user("busy")).is_err(), "who is at work is remembered");
    assert!(write(&limits, &user("spent"), 1).is_err(), "and who has spent something");
    drop(busy);
    let long = "x".repeat(MAX_NAME_BYTES - 1);
    let held = limits.enter(&user(&format!("{long}é"))).unwrap();
    assert!(limits.enter(&user(&format!("{long}éb"))).is_err(), "long names count by how they begin");
    drop(held);
}

#[test]
fn where_all_are_busy_newcomers_share_one_account() {
    let (limits, _) = usual(allowance(1, 0, 0));
    let name = |n: usize| project(&format!("p{n}"));
    let all = 4 * MAX_ACCOUNTS;
    let mut places: Vec<_> = (0..all).filter_map(|n| limits.enter(&name(n)).ok()).collect();
    assert!(places.len() <= MAX_ACCOUNTS + 1, "{}", places.len());
    assert!(limits.status().most_refused.iter().any(|(party, _)| *party == Party::Others));
    places.clear();
}

#[test]
fn who_is_refused_most_is_told_whatever_passes_by() {
    let (limits, _) = usual(allowance(1, 0, 0));
    let names: Vec<_> = (0..500).map(|n| user(&format!("once {n}"))).collect();
    let held: Vec<_> = names.iter().map(|name| limits.enter(name).unwrap()).collect();
    let flood = project("flood");
    let busy = limits.enter(&flood).unwrap();
    for name in &names {
        assert!(limits.enter(name).is_err());
        for _ in 0..3 {
            assert!(limits.enter(&flood).is_err());
        }
    }
    let LimitStatus { refusals, most_refused, .. } = limits.status();
    assert_eq!(refusals.requests_in_flight, 2000);
    assert_eq!((most_refused.len(), &most_refused[0]), (10, &(Party::Project("flood".into()), 1500)));
    drop((held, busy));
}

#[test]
fn threads_take_no_more_than_there_is() {
    let (limits, _) = usual(allowance(3, 1, 1000));
    let limits = &limits;
    let stored: usize = std::thread::scope(|scope| {
        let write_all = || (0..10_000).filter(|_| write(limits, &project("a"), 1).is_ok()).count();
        let threads: Vec<_> = (0..4).map(|_| scope.spawn(write_all)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).sum()
    });
    assert_eq!(stored, 1000);
    let places: Vec<_> = (0..10).filter_map(|_| limits.enter(&project("a")).ok()).collect();
    assert_eq!(places.len(), 3, "every place was given back");
}

/// A step of a project's life.
#[derive(Debug, Clone)]
enum Step {
    Pass(u64),
    Begin(usize),
    /// The oldest charge that is open ends: stored or not.
    End(bool),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0_u64..3_000_000_000).prop_map(Step::Pass),
        (1_usize..60).prop_map(Step::Begin),
        any::<bool>().prop_map(Step::End),
    ]
}

proptest! {
    /// In no span of time more is stored than the burst and what the rate gives in the span.
    #[test]
    fn no_span_holds_more_than_burst_and_rate(
        steps in proptest::collection::vec(step(), 1..120), per_second in 1_u64..50, burst in 1_u64..50,
    ) {
        let (limits, clock) = usual(allowance(0, per_second, burst));
        let permit = limits.enter(&project("a")).unwrap();
        let mut open = std::collections::VecDeque::new();
        let mut stored: Vec<(u64, u64)> = Vec::new();
        for step in steps {
            match step {
                Step::Pass(ns) => clock.advance_ns(ns as i64),
                Step::Begin(measures) => {
                    let at_ns = clock.monotonic_ns();
                    if let Ok(charge) = limits.charge(permit.as_ref(), measures) {
                        open.push_back((charge, at_ns, measures as u64));
                    }
                }
                Step::End(keep) => {
                    if let Some((charge, at_ns, measures)) = open.pop_front() && keep {
                        charge.keep();
                        stored.push((at_ns, measures));
                    }
                }
            }
        }
        for first in 0..stored.len() {
            let mut measures = 0;
            for (at_ns, more) in &stored[first..] {
                measures += more;
                let span_ns = u128::from(at_ns - stored[first].0);
                // In billionths of a measure; a nanosecond more, because a bucket's height is rounded up to one.
                let given = u128::from(burst) * 1_000_000_000 + u128::from(per_second) * (span_ns + 1);
                prop_assert!(u128::from(measures) * 1_000_000_000 <= given, "{} in {} ns", measures, span_ns);
            }
        }
    }

    /// Who waits as long as it was told, alone, gets in, and not much earlier.
    #[test]
    fn the_time_to_wait_is_right(first in 1_usize..=40, second in 1_usize..=40, per_second in 1_u64..50) {
        let (limits, clock) = usual(allowance(0, per_second, 40));
        let a = project("a");
        write(&limits, &a, first).unwrap();
        if let Err(error) = write(&limits, &a, second) {
            let seconds = i64::from(error.retry_after_seconds().unwrap());
            prop_assert!(seconds >= 1);
            clock.advance_ns((seconds - 1) * SECOND_NS);
            prop_assert!(seconds == 1 || write(&limits, &a, second).is_err());
            clock.advance_ns(SECOND_NS);
            prop_assert!(write(&limits, &a, second).is_ok());
        }
    }
}
