//! What alarms cost the index. Not a test of anything by itself: run it with
//! `NEPHOMETER_ALARMS=100000 cargo test --release -p nephometer-index-sql alarm_costs -- --ignored --nocapture --test-threads 1`.
//! `NEPHOMETER_ALARMS_IN` names a directory on the disk to measure; the PostgreSQL of tests does not wait for a disk. CPU
//! time is this process', so SQLite's is in it and PostgreSQL's is not.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::stream::{self, StreamExt};
use nephometer_drivers::{
    ALARM_SHARES, AlarmFilter, AlarmLimits, AlarmStore, Applied, ChangeRecord, DeliveryEnd, LeaseStore,
    NOTIFIERS, Page,
};
use nephometer_index_sql::{PostgresSettings, SqlIndex, SqliteSettings};
use nephometer_model::{Alarm, AlarmState};
use uuid::Uuid;

use crate::alarm_support::{alarm, change, transition};
use crate::support;

/// Alarms of a project,
const OF_PROJECT: u128 = 1000;
/// and requests at a time.
const AT_A_TIME: usize = 32;

/// Processor time of this process so far, in microseconds.
fn spent() -> f64 {
    let stat = std::fs::read_to_string("/proc/self/stat").unwrap();
    let fields: Vec<&str> = stat.rsplit_once(')').unwrap().1.split_whitespace().collect();
    fields[11..13].iter().map(|field| field.parse::<f64>().unwrap()).sum::<f64>() * 10_000.0
}

async fn measured<T>(what: &str, things: usize, work: impl Future<Output = T>) -> T {
    #[expect(clippy::disallowed_methods, reason = "a measurement")]
    let (start, cpu) = (Instant::now(), spent());
    let outcome = work.await;
    let (seconds, cpu) = (start.elapsed().as_secs_f64(), spent() - cpu);
    let rate = things as f64 / seconds;
    let each = cpu / things as f64;
    println!("{what}: {things} in {:.1} ms, {rate:.0}/s, {each:.1} us CPU each", seconds * 1e3);
    outcome
}

async fn create(index: &Arc<SqlIndex>, count: u128, limits: AlarmLimits) {
    let made = stream::iter(0..count).map(|number| async move {
        let new =
            alarm(number, &format!("project {}", number / OF_PROJECT), &format!("user {}", number / 100));
        let record = change(&new, number, "{\"name\": \"what it is\"}".repeat(20));
        index.create(new, record.into(), limits).await.unwrap()
    });
    made.buffer_unordered(AT_A_TIME).for_each(|_| async {}).await;
}

async fn decide(index: &Arc<SqlIndex>, alarms: &[Alarm], round: u128) {
    let state = if round.is_multiple_of(2) { AlarmState::Alarm } else { AlarmState::Ok };
    let number = |place: usize| ((round + 1) << 40) + place as u128;
    let decided = alarms.iter().enumerate().map(|(place, alarm)| transition(alarm, state, number(place)));
    let outcome = index.apply(decided.collect()).await.unwrap();
    assert!(outcome.iter().all(|outcome| matches!(outcome, Applied::Done(_))));
}

async fn deliver(index: &Arc<SqlIndex>, count: usize) {
    let member = Uuid::from_u128(1);
    index.renew(NOTIFIERS, member, 0, Duration::from_secs(60)).await.unwrap();
    let taken =
        index.take_deliveries(member, Duration::from_secs(60), u32::try_from(count).unwrap()).await.unwrap();
    assert_eq!(taken.len(), count);
    let ends = taken.into_iter().map(|delivery| (delivery.message.id, DeliveryEnd::Delivered));
    index.end_deliveries(member, ends.collect()).await.unwrap();
}

async fn list(index: &Arc<SqlIndex>, what: &str, filter: &AlarmFilter, limit: u64) {
    let page = Page { limit: Some(limit), ..Page::default() };
    for _ in 0..3 {
        let found = measured(what, usize::try_from(limit).unwrap(), index.alarms(filter, &page)).await;
        assert_eq!(found.unwrap().len() as u64, limit);
    }
}

async fn measure(index: SqlIndex) {
    let count: u128 = std::env::var("NEPHOMETER_ALARMS").map_or(5000, |count| count.parse().unwrap());
    let (index, things) = (Arc::new(index), usize::try_from(count).unwrap());
    measured("create", things, create(&index, count, AlarmLimits::default())).await;
    let since: Vec<_> = (0..ALARM_SHARES).map(|share| (share, 0)).collect();
    let news = measured("news of everything", things, index.news(&since)).await.unwrap();
    assert_eq!(news.changed.len(), things);
    for _ in 0..3 {
        measured("news of nothing", 1, index.news(&news.revisions)).await.unwrap();
    }
    let project = AlarmFilter::eq_text("project_id", "project 3");
    list(&index, "page by project", &project, 1000).await;
    list(&index, "page of the newest", &AlarmFilter::All, 1000).await;
    list(&index, "page by state", &AlarmFilter::eq_text("state", "insufficient data"), 1000).await;
    let expression = AlarmFilter::Matches("name".to_owned(), "^cpu of .*77$".to_owned());
    list(&index, "page by expression of one in 100", &expression, 50).await;
    measured("states", 1, index.states()).await.unwrap();
    for round in 0..6 {
        let filter = AlarmFilter::eq_text("project_id", &format!("project {}", round / 2));
        let alarms = index.alarms(&filter, &Page::default()).await.unwrap();
        measured("apply", alarms.len(), decide(&index, &alarms, round)).await;
        measured("take and end", alarms.len(), deliver(&index, alarms.len())).await;
    }
    let limits = AlarmLimits { project: Some(100_000), user: Some(100_000) };
    let more = stream::iter(0..1000_u128).map(|number| {
        let index = &index;
        async move {
            let new = alarm(count + number, "project 3", &format!("user {}", number / 10));
            index.create(new, ChangeRecord::default(), limits).await.unwrap()
        }
    });
    let more = more.buffer_unordered(AT_A_TIME).for_each(|_| async {});
    measured("create within a quota in one project", 1000, more).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn alarm_costs_of_sqlite() {
    let place = std::env::var("NEPHOMETER_ALARMS_IN").map_or_else(|_| std::env::temp_dir(), PathBuf::from);
    let directory = tempfile::tempdir_in(place).unwrap();
    let settings = SqliteSettings::at(directory.path().join("index.sqlite"));
    measure(SqlIndex::open_sqlite(&settings, support::clock()).unwrap()).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "a measurement"]
async fn alarm_costs_of_postgres() {
    let settings = PostgresSettings::at(support::fresh_postgres().await);
    measure(SqlIndex::connect_postgres(&settings, support::clock()).await.unwrap()).await;
}
