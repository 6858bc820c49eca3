//! Many at the same alarms at once: quotas hold, nothing is lost, doubled, or missed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use nephometer_drivers::{
    ALARM_SHARES, AlarmFilter, AlarmLimits, AlarmStore, AlarmStoreError, Applied, ChangeRecord, DeliveryEnd,
    Fence, LeaseStore, NOTIFIERS, NewDelivery, Page,
};
use nephometer_index_sql::SqlIndex;
use nephometer_model::{Alarm, AlarmCounts, AlarmState};
use uuid::Uuid;

use crate::alarm_support::{alarm, change, crowd, id, scattered, transition, two_programs};
use crate::support;

type Programs = [Arc<SqlIndex>];

async fn quotas_are_never_exceeded(programs: &Programs) {
    let limits = AlarmLimits { project: Some(25), user: None };
    let outcomes = crowd(programs, |index, caller| async move {
        let mut made = 0;
        for round in 0..10 {
            match index.create(alarm(caller * 100 + round, "p", "u"), ChangeRecord::default(), limits).await {
                Ok(_) => made += 1,
                Err(error) => assert_eq!(error, AlarmStoreError::QuotaExceeded),
            }
        }
        made
    })
    .await;
    assert_eq!(outcomes.iter().sum::<u32>(), 25);
    let limits = AlarmLimits { project: None, user: Some(7) };
    let outcomes = crowd(programs, |index, caller| async move {
        let new = alarm((caller + 1) << 32, &format!("project {caller}"), "busy");
        index.create(new, ChangeRecord::default(), limits).await.is_ok()
    })
    .await;
    assert_eq!(outcomes.into_iter().filter(|made| *made).count(), 7);
}

async fn no_update_is_lost(programs: &Programs) {
    let made = programs[0]
        .create(alarm(1 << 70, "p", "u"), ChangeRecord::default(), AlarmLimits::default())
        .await
        .unwrap();
    let target = made.id.clone();
    let tries = crowd(programs, |index, caller| {
        let target = target.clone();
        async move {
            let mut tries = 0;
            for round in 0..5 {
                loop {
                    tries += 1;
                    let seen = index.alarm(&target).await.unwrap();
                    let done = if caller % 2 == 0 {
                        let wanted = Alarm { description: format!("{}+", seen.description), ..seen };
                        index.update(wanted, ChangeRecord::default()).await.is_ok()
                    } else {
                        let decided = transition(&seen, AlarmState::Alarm, ((caller << 8) + round) << 80);
                        matches!(index.apply(vec![decided]).await.unwrap()[0], Applied::Done(_))
                    };
                    if done {
                        break;
                    }
                }
            }
            tries
        }
    })
    .await;
    let seen = programs[0].alarm(&target).await.unwrap();
    assert_eq!(seen.description.matches('+').count(), 40);
    assert_eq!(seen.version, made.version + 80);
    let history = AlarmFilter::eq_text("alarm_id", &target.0);
    assert_eq!(programs[0].history(&history, &Page::default()).await.unwrap().len(), 40);
    assert!(tries.iter().sum::<u32>() >= 80);
}

async fn overlapping_decisions_are_made_once(programs: &Programs) {
    let mut alarms = Vec::new();
    for number in 0..40 {
        let new = alarm((number + 1) << 72, "overlap", "u");
        alarms.push(programs[0].create(new, ChangeRecord::default(), AlarmLimits::default()).await.unwrap());
    }
    let alarms = Arc::new(alarms);
    let done = crowd(programs, |index, caller| {
        let alarms = Arc::clone(&alarms);
        async move {
            // Each in an order of his own.
            let order = (0..40).map(|place| (place * 7 + caller * 11) % 40);
            let decided = order.map(|place| {
                let alarm = &alarms[usize::try_from(place).unwrap()];
                transition(alarm, AlarmState::Ok, ((caller << 8) + place + 1) << 93)
            });
            let outcome = index.apply(decided.collect()).await.unwrap();
            outcome.into_iter().filter(|outcome| matches!(outcome, Applied::Done(_))).count()
        }
    })
    .await;
    assert_eq!(done.into_iter().sum::<usize>(), 40);
    let history = AlarmFilter::eq_text("on_behalf_of", "overlap");
    assert_eq!(programs[1 % programs.len()].history(&history, &Page::default()).await.unwrap().len(), 40);
}

async fn messages_are_taken_once_and_in_order(programs: &Programs) {
    let message = |number: u128| NewDelivery {
        id: scattered(number << 106),
        alarm_id: id(number % 20),
        project_id: None,
        action: "a".to_owned(),
        payload: number.to_string(),
        not_before: nephometer_drivers::conformance::NOW,
        group: None,
    };
    programs[0].add_deliveries((1..=400).map(message).collect()).await.unwrap();
    let taken = crowd(programs, |index, caller| async move {
        let member = Uuid::from_u128(caller + 1);
        index.renew(NOTIFIERS, member, 0, Duration::from_secs(600)).await.unwrap();
        let mut taken: Vec<(String, u128)> = Vec::new();
        let mut idle = 0;
        while idle < 20 {
            let batch = index.take_deliveries(member, Duration::from_secs(600), 7).await.unwrap();
            idle = if batch.is_empty() { idle + 1 } else { 0 };
            let ours = batch.iter().filter(|delivery| delivery.message.action == "a");
            taken.extend(
                ours.map(|ours| (ours.message.alarm_id.0.clone(), ours.message.payload.parse().unwrap())),
            );
            let ends = batch.iter().map(|delivery| (delivery.message.id, DeliveryEnd::Delivered));
            index.end_deliveries(member, ends.collect()).await.unwrap();
        }
        taken
    })
    .await;
    let mut numbers: Vec<_> = taken.iter().flatten().map(|(_, number)| *number).collect();
    numbers.sort_unstable();
    assert_eq!(numbers, (1..=400).collect::<Vec<_>>());
    // One caller sees the messages of a target in their order.
    for caller in taken {
        let mut last = BTreeMap::new();
        for (target, number) in caller {
            assert!(last.insert(target, number).is_none_or(|before| before < number));
        }
    }
    assert_eq!(programs[0].outbox().await.unwrap().waiting, 0);
}

async fn counters_are_never_wrong(programs: &Programs) {
    for number in 0..5 {
        let new = alarm((number + 1) << 110, "counted", "u");
        programs[0].create(new, ChangeRecord::default(), AlarmLimits::default()).await.unwrap();
    }
    crowd(programs, |index, caller| async move {
        for round in 0..10 {
            let count = |number: u128| AlarmCounts {
                alarm_id: id(((number + caller) % 5 + 1) << 110),
                project_id: "counted".to_owned(),
                insufficient_data: 0,
                ok: 1,
                alarm: u64::from(round == 0),
            };
            index.count((0..5).map(count).collect()).await.unwrap();
        }
    })
    .await;
    let counts = programs[0].counts(Some("counted")).await.unwrap();
    assert_eq!(counts.len(), 5);
    assert!(counts.iter().all(|counts| (counts.ok, counts.alarm) == (160, 16)), "{counts:?}");
}

/// Somebody follows the news while others work; in the end he knows what there is.
async fn no_news_are_missed(programs: &Programs) {
    let stop = Arc::new(AtomicBool::new(false));
    let follower = {
        let (index, stop) = (Arc::clone(&programs[0]), Arc::clone(&stop));
        tokio::spawn(async move {
            let mut known: BTreeMap<String, i64> = BTreeMap::new();
            let mut since: Vec<_> = (0..ALARM_SHARES).map(|share| (share, 0)).collect();
            let mut is_last = false;
            loop {
                let news = index.news(&since).await.unwrap();
                for id in news.deleted {
                    known.remove(&id.0);
                }
                known.extend(news.changed.into_iter().map(|alarm| (alarm.id.0, alarm.version)));
                since = news.revisions;
                if is_last {
                    return known;
                }
                is_last = stop.load(Ordering::SeqCst);
            }
        })
    };
    crowd(programs, |index, caller| async move {
        for round in 0..12 {
            let new = alarm(((caller << 8) + round + 1) << 60, "news", "u");
            let made = index.create(new, ChangeRecord::default(), AlarmLimits::default()).await.unwrap();
            match round % 3 {
                0 => index.delete(&made.id, made.version, Vec::new()).await.unwrap(),
                1 => drop(index.update(made, ChangeRecord::default()).await.unwrap()),
                _ => {
                    let decided = transition(&made, AlarmState::Ok, ((caller << 8) + round + 1) << 61);
                    index.apply(vec![decided]).await.unwrap();
                }
            }
        }
    })
    .await;
    stop.store(true, Ordering::SeqCst);
    let known = follower.await.unwrap();
    let all = programs[0].alarms(&AlarmFilter::All, &Page::default()).await.unwrap();
    let all: BTreeMap<_, _> = all.into_iter().map(|alarm| (alarm.id.0, alarm.version)).collect();
    assert_eq!(known, all);
}

/// Members come and go in a hurry; of two decisions the later one is never that of an earlier holder.
async fn former_holders_are_kept_out(programs: &Programs) {
    const GROUP: &str = "hasty";
    let made = programs[0]
        .create(alarm(1 << 120, "fence", "u"), ChangeRecord::default(), AlarmLimits::default())
        .await
        .unwrap();
    let target = made.id.clone();
    let decisions = crowd(programs, |index, caller| {
        let target = target.clone();
        async move {
            let member = Uuid::from_u128(caller + 1);
            let mut decisions = BTreeSet::new();
            let mut fence = None;
            for round in 0..30 {
                // What was held once is used as long as it lasts.
                let held = index.renew(GROUP, member, 1, Duration::from_millis(3)).await.unwrap();
                fence = held.first().map(|lease| Fence { group: GROUP.to_owned(), lease: *lease }).or(fence);
                let Some(fence) = &fence else { continue };
                let seen = index.alarm(&target).await.unwrap();
                let number = ((caller << 8) + round + 1) << 50;
                let mut decided = transition(&seen, AlarmState::Ok, number);
                decided.fence = Some(fence.clone());
                decided.change = Some(change(&seen, number, fence.lease.epoch.to_string()));
                match index.apply(vec![decided]).await.unwrap()[0] {
                    Applied::Done(version) => drop(decisions.insert((version, fence.lease.epoch))),
                    Applied::Stale | Applied::Fenced => {}
                }
            }
            decisions
        }
    })
    .await;
    let decisions: BTreeSet<(i64, i64)> = decisions.into_iter().flatten().collect();
    let epochs: Vec<i64> = decisions.iter().map(|(_, epoch)| *epoch).collect();
    assert!(epochs.is_sorted(), "{decisions:?}");
    assert!(!epochs.is_empty());
    assert_eq!(programs[0].alarm(&target).await.unwrap().version, made.version + epochs.len() as i64);
}

async fn all(programs: &Programs) {
    no_news_are_missed(programs).await;
    quotas_are_never_exceeded(programs).await;
    no_update_is_lost(programs).await;
    overlapping_decisions_are_made_once(programs).await;
    messages_are_taken_once_and_in_order(programs).await;
    counters_are_never_wrong(programs).await;
    former_holders_are_kept_out(programs).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn many_share_sqlite_alarms() {
    let fresh = support::sqlite().await;
    all(&[Arc::new(fresh.index)]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn two_programs_share_postgres_alarms() {
    all(&two_programs().await).await;
}
