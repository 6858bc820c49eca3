//! Evaluators at a real index: one is killed, another cut off beyond its lease, while measures arrive. History stays a
//! chain of transitions and each is told once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nephometer_alarm::evaluate::{
    Evaluator, EvaluatorHandle, EvaluatorParts, EvaluatorSettings, Recorder, Recording, Sources,
};
use nephometer_drivers::{
    AlarmFilter, AlarmLimits, AlarmStore, ChangeRecord, DataPoints, LeaseStore, MetricRead, MetricReadError,
    MetricReader, Page, SeriesRun, WriteObserver,
};
use nephometer_index_sql::{SqlIndex, SqliteSettings};
use nephometer_model::{
    Alarm, AlarmId, AlarmRule, AlarmState, Clock, IdSource, Operator, PolicyKey, ResourceRule, SeriesKey,
    Severity, SystemClock, Threshold, Timestamp,
};
use serde_json::Value;
use tokio::sync::Notify;
use tokio::task::JoinHandle;

const ALARMS: usize = 300;

/// One series, which is high or low.
struct Measures(AtomicBool);

#[async_trait]
impl MetricReader for Measures {
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>> {
        let value = if self.0.load(Ordering::SeqCst) { 90.0 } else { 10.0 };
        reads.iter().map(|read| Ok(vec![(read.start, value)])).collect()
    }

    async fn check(&self, _read: &MetricRead) -> Result<(), MetricReadError> {
        Ok(())
    }

    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError> {
        Ok(Vec::new())
    }

    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>> {
        reads.iter().map(|_| Some(vec![SeriesKey(1)])).collect()
    }
}

fn alarm(number: usize) -> Alarm {
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
    let actions = || Some(vec!["log://".to_owned()]);
    Alarm {
        id: AlarmId(format!("alarm-{number}")),
        version: 0,
        enabled: Some(true),
        name: format!("alarm {number}"),
        description: String::new(),
        severity: Severity::Low,
        user_id: None,
        project_id: Some("p".to_owned()),
        timestamp: Timestamp::default(),
        state: AlarmState::InsufficientData,
        state_reason: "Not evaluated yet".to_owned(),
        state_timestamp: Timestamp::default(),
        evaluate_timestamp: Timestamp::default(),
        ok_actions: actions(),
        alarm_actions: actions(),
        insufficient_data_actions: actions(),
        repeat_actions: false,
        time_constraints: Vec::new(),
        rule: AlarmRule::Resource(ResourceRule {
            threshold,
            metric: "cpu".to_owned(),
            resource_id: "r".to_owned(),
            resource_type: "instance".to_owned(),
        }),
    }
}

fn start(index: &Arc<SqlIndex>, measures: &Arc<Measures>) -> (EvaluatorHandle, JoinHandle<()>) {
    let clock = Arc::new(SystemClock::new());
    let sources = Sources {
        reader: Arc::clone(measures) as Arc<dyn MetricReader>,
        prometheus: None,
        members: None,
        store: Arc::clone(index) as Arc<dyn AlarmStore>,
    };
    let recorder = Recorder::new(Arc::clone(&clock) as Arc<dyn IdSource>, Recording::default());
    let parts = EvaluatorParts {
        sources,
        leases: Arc::clone(index) as Arc<dyn LeaseStore>,
        recorder,
        deliveries: Arc::new(Notify::new()),
        member: clock.uuid(),
        clock: Arc::clone(&clock) as Arc<dyn Clock>,
    };
    let settings = EvaluatorSettings { lease_seconds: 1, ..EvaluatorSettings::default() };
    let evaluator = Evaluator::new(parts, settings);
    let handle = evaluator.handle();
    (handle, tokio::spawn(evaluator.run(std::future::pending())))
}

/// How many alarms are in a state.
async fn in_state(index: &SqlIndex, state: AlarmState) -> u64 {
    let states = index.states().await.expect("states");
    states.into_iter().find(|(one, _)| *one == state).map_or(0, |(_, count)| count)
}

async fn until_all(index: &SqlIndex, state: AlarmState) {
    let reached = async {
        while in_state(index, state).await < ALARMS as u64 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(40), reached).await.expect("all alarms reach the state");
}

fn write(measures: &Measures, handles: &[&EvaluatorHandle], high: bool) {
    measures.0.store(high, Ordering::SeqCst);
    for handle in handles {
        handle.watch().written(&[SeriesRun { key: SeriesKey(1), policy: PolicyKey(0), len: 1 }]);
    }
}

async fn check(index: &SqlIndex) {
    let mut history: HashMap<AlarmId, Vec<String>> = HashMap::new();
    let mut changes = index.history(&AlarmFilter::All, &Page::default()).await.expect("history");
    changes.sort_by_key(|change| change.timestamp);
    for change in changes {
        let detail: Value = serde_json::from_str(&change.detail).expect("JSON");
        history
            .entry(change.alarm_id)
            .or_default()
            .push(detail["state"].as_str().expect("a state").to_owned());
    }
    assert_eq!(history.len(), ALARMS);
    for (id, states) in &history {
        assert!(states.windows(2).all(|pair| pair[0] != pair[1]), "{id} made a transition twice: {states:?}");
    }
    let told = index.outbox().await.expect("the outbox").waiting;
    let made: usize = history.values().map(Vec::len).sum();
    assert_eq!(told, made as u64);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_killed_evaluators_shares_are_taken_over_and_nothing_is_doubled() {
    let directory = tempfile::tempdir().unwrap();
    let settings = SqliteSettings::at(directory.path().join("index.sqlite"));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let index = Arc::new(SqlIndex::open_sqlite(&settings, clock).unwrap());
    for number in 0..ALARMS {
        index.create(alarm(number), ChangeRecord::default(), AlarmLimits::default()).await.unwrap();
    }
    let measures = Arc::new(Measures(AtomicBool::new(true)));
    let (one, one_task) = start(&index, &measures);
    let (two, two_task) = start(&index, &measures);
    until_all(&index, AlarmState::Alarm).await;
    write(&measures, &[&one, &two], false);
    // The first is killed somewhere in the middle of what it does.
    one_task.abort();
    until_all(&index, AlarmState::Ok).await;
    write(&measures, &[&two], true);
    until_all(&index, AlarmState::Alarm).await;
    assert_eq!(two.status().shares, 64);
    // A third comes; the second is killed while both work.
    let (three, three_task) = start(&index, &measures);
    tokio::time::sleep(Duration::from_millis(700)).await;
    write(&measures, &[&two, &three], false);
    two_task.abort();
    until_all(&index, AlarmState::Ok).await;
    check(&index).await;
    three_task.abort();
}
