//! What the write path pays for alarms: a question for each series written.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use divan::Bencher;
use divan::counter::ItemsCount;
use nephometer_alarm::evaluate::{
    Evaluator, EvaluatorParts, EvaluatorSettings, Recorder, Recording, Sources,
};
use nephometer_drivers::{
    AlarmLimits, AlarmStore, ChangeRecord, DataPoints, LeaseStore, MetricRead, MetricReadError, MetricReader,
    SeriesRun, WriteObserver, WriteWatch,
};
use nephometer_index_sql::{SqlIndex, SqliteSettings};
use nephometer_model::{
    Alarm, AlarmId, AlarmRule, AlarmState, Clock, IdSource, MetricsRule, Operator, PolicyKey, SeriesKey,
    Severity, SystemClock, Threshold, Timestamp,
};
use tokio::sync::Notify;

/// Watched series: those with even keys below.
const WATCHED: u64 = 400_000;

struct Even;

#[async_trait]
impl MetricReader for Even {
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>> {
        reads.iter().map(|read| Ok(vec![(read.start, 1.0)])).collect()
    }

    async fn check(&self, _read: &MetricRead) -> Result<(), MetricReadError> {
        Ok(())
    }

    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError> {
        Ok(Vec::new())
    }

    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>> {
        reads.iter().map(|_| Some((0..WATCHED).map(|number| SeriesKey(2 * number)).collect())).collect()
    }
}

fn alarm() -> Alarm {
    let threshold = Threshold {
        granularity_seconds: 60,
        comparison_operator: Operator::Gt,
        threshold: 80.0,
        aggregation_method: "mean".to_owned(),
        evaluation_periods: 1,
        datapoints_to_alarm: None,
        treat_missing_data: None,
        scope_to_project: None,
    };
    Alarm {
        id: AlarmId("a".to_owned()),
        version: 0,
        enabled: Some(true),
        name: "a".to_owned(),
        description: String::new(),
        severity: Severity::Low,
        user_id: None,
        project_id: None,
        timestamp: Timestamp::default(),
        state: AlarmState::InsufficientData,
        state_reason: String::new(),
        state_timestamp: Timestamp::default(),
        evaluate_timestamp: Timestamp::default(),
        ok_actions: None,
        alarm_actions: None,
        insufficient_data_actions: None,
        repeat_actions: false,
        time_constraints: Vec::new(),
        rule: AlarmRule::Metrics(MetricsRule { threshold, metrics: vec!["m".to_owned()] }),
    }
}

/// An observer of even series, whose evaluator has stopped listening: every series is in its queue once.
fn observer() -> Arc<WriteWatch> {
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build();
    let runtime = runtime.expect("a runtime");
    let directory = tempfile::tempdir().expect("a directory");
    let clock = Arc::new(SystemClock::new());
    let settings = SqliteSettings::at(directory.path().join("index.sqlite"));
    let index = SqlIndex::open_sqlite(&settings, Arc::clone(&clock) as Arc<dyn Clock>).expect("an index");
    let index = Arc::new(index);
    runtime
        .block_on(index.create(alarm(), ChangeRecord::default(), AlarmLimits::default()))
        .expect("an alarm");
    let parts = EvaluatorParts {
        sources: Sources {
            reader: Arc::new(Even),
            prometheus: None,
            members: None,
            store: Arc::clone(&index) as Arc<dyn AlarmStore>,
        },
        leases: index as Arc<dyn LeaseStore>,
        recorder: Recorder::new(Arc::clone(&clock) as Arc<dyn IdSource>, Recording::default()),
        deliveries: Arc::new(Notify::new()),
        member: clock.uuid(),
        clock,
    };
    let evaluator = Evaluator::new(parts, EvaluatorSettings::default());
    let handle = evaluator.handle();
    let task = runtime.spawn(evaluator.run(std::future::pending()));
    while handle.status().series < WATCHED {
        std::thread::sleep(Duration::from_millis(10));
    }
    task.abort();
    runtime.shutdown_background();
    handle.watch()
}

/// A thousand series in one request, scattered over all there are.
fn runs(odd: u64) -> Vec<SeriesRun> {
    let key = |number: u64| SeriesKey(2 * (number * 7_919 % WATCHED) + odd);
    (0..1000).map(|number| SeriesRun { key: key(number), policy: PolicyKey(0), len: 1 }).collect()
}

/// Series that no alarm watches, among many that alarms watch.
#[divan::bench]
fn unwatched(bencher: Bencher<'_, '_>) {
    let (observer, runs) = (observer(), runs(1));
    bencher.counter(ItemsCount::new(runs.len())).bench_local(|| observer.written(&runs));
}

/// Series that alarms watch and that wait already.
#[divan::bench]
fn watched_and_waiting(bencher: Bencher<'_, '_>) {
    let (observer, runs) = (observer(), runs(0));
    observer.written(&runs);
    bencher.counter(ItemsCount::new(runs.len())).bench_local(|| observer.written(&runs));
}

fn main() {
    divan::main();
}
