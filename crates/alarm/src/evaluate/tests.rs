//! The evaluator in a world of its own: what it decides, when, and that faults neither lose nor double anything.

use nephometer_drivers::{
    AlarmStore, BUS_ACTION, DeliveryGroup, LeaseStore, MetricReadError, MetricReader, PoolMembers,
    PoolMembersError, PrometheusReader, SeriesRun, Silence, WriteObserver,
};
use nephometer_model::{
    Alarm, AlarmId, AlarmRule, Clock, CombinationRule, CompositeRule, IdSource, LoadBalancerRule, Operator,
    PolicyKey, PrometheusRule, SubRule, TimeConstraint, Timestamp,
};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Notify;

use super::*;
use crate::world::{World, above_80, alarm, series_of};

struct Elsewhere;

#[async_trait::async_trait]
impl PrometheusReader for Elsewhere {
    async fn query(&self, query: &str, _scope: Option<&str>) -> Result<Vec<f64>, MetricReadError> {
        query.parse().map(|value| vec![value]).map_err(|_| MetricReadError::Unavailable("no".to_owned()))
    }
}

#[async_trait::async_trait]
impl PoolMembers for Elsewhere {
    async fn members(&self, pool_id: &str) -> Result<Vec<serde_json::Value>, PoolMembersError> {
        let member = serde_json::json!({"created_at": "2020-01-01T00:00:00", "admin_state_up": true,
            "operating_status": pool_id});
        Ok(vec![member])
    }
}

fn evaluator(world: &Arc<World>, recording: Recording, settings: EvaluatorSettings) -> Evaluator {
    let sources = Sources {
        reader: Arc::clone(world) as Arc<dyn MetricReader>,
        prometheus: Some(Arc::new(Elsewhere)),
        members: Some(Arc::new(Elsewhere)),
        store: Arc::clone(world) as Arc<dyn AlarmStore>,
    };
    let parts = EvaluatorParts {
        sources,
        leases: Arc::clone(world) as Arc<dyn LeaseStore>,
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        recorder: Recorder::new(Arc::clone(&world.clock) as Arc<dyn IdSource>, recording),
        deliveries: Arc::new(Notify::new()),
        member: world.clock.uuid(),
    };
    Evaluator::new(parts, settings)
}

fn plain(world: &Arc<World>) -> Evaluator {
    evaluator(world, Recording::default(), EvaluatorSettings::default())
}

/// Measures arrive and the evaluator hears of them.
fn write(world: &World, evaluator: &Evaluator, metric: &str, value: f64) {
    world.measure(metric, value);
    let run = SeriesRun { key: series_of(metric), policy: PolicyKey(0), len: 1 };
    evaluator.handle().watch().written(&[run]);
}

fn state(world: &World, id: &str) -> String {
    world.alarm(id).state.to_string()
}

/// Lets `seconds` pass, with something done each second.
async fn pass(world: &World, evaluator: &mut Evaluator, seconds: i64) {
    for _ in 0..seconds {
        world.advance(1);
        evaluator.settle().await;
    }
}

#[tokio::test]
async fn measures_start_evaluations() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    assert_eq!((state(&world, "a").as_str(), world.history_of("a")), ("alarm", vec!["alarm".to_owned()]));
    world.advance(1);
    write(&world, &evaluator, "m1", 20.0);
    evaluator.settle().await;
    assert_eq!((state(&world, "a").as_str(), world.history_of("a").len()), ("ok", 2));
    // Another metric's measures start nothing.
    world.advance(1);
    let before = evaluator.handle().status();
    write(&world, &evaluator, "m2", 90.0);
    evaluator.settle().await;
    let after = evaluator.handle().status();
    assert_eq!(before.evaluations, after.evaluations);
    assert_eq!((after.alarms, after.series, after.shares, after.transitions), (1, 1, 64, 2));
    assert!(after.started_by_measures >= 1 && after.lag.count >= 1);
}

#[tokio::test]
async fn a_metric_that_comes_later_is_heard_soon() {
    let world = World::new();
    world.put(above_80("a", "m1", 1));
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    pass(&world, &mut evaluator, 30).await;
    write(&world, &evaluator, "m1", 90.0);
    pass(&world, &mut evaluator, 10).await;
    assert_eq!(state(&world, "a"), "alarm");
    world.advance(1);
    write(&world, &evaluator, "m1", 10.0);
    evaluator.settle().await;
    assert_eq!(state(&world, "a"), "ok");
}

#[tokio::test]
async fn measures_that_are_away_for_less_than_an_interval_change_nothing() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    for _ in 0..2 {
        world.state.lock().is_away = true;
        write(&world, &evaluator, "m1", 20.0);
        pass(&world, &mut evaluator, 50).await;
        assert_eq!((state(&world, "a").as_str(), evaluator.handle().status().series), ("alarm", 1));
        world.state.lock().is_away = false;
        pass(&world, &mut evaluator, 2).await;
        assert_eq!(state(&world, "a"), "ok");
        write(&world, &evaluator, "m1", 90.0);
        pass(&world, &mut evaluator, 1).await;
        assert_eq!(state(&world, "a"), "alarm");
    }
    world.state.lock().is_away = true;
    write(&world, &evaluator, "m1", 20.0);
    pass(&world, &mut evaluator, 63).await;
    let alarm = world.alarm("a");
    assert_eq!(alarm.state.to_string(), "insufficient data");
    assert_eq!(alarm.state_reason, "alarm statistics retrieval failed: away");
    world.state.lock().is_away = false;
    write(&world, &evaluator, "m1", 20.0);
    pass(&world, &mut evaluator, 2).await;
    assert_eq!(state(&world, "a"), "ok");
}

#[tokio::test]
async fn what_is_written_is_what_upstream_writes() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let recording = Recording {
        user_id: Some("evaluator".to_owned()),
        project_id: Some("service".to_owned()),
        ..Recording::default()
    };
    let mut evaluator = evaluator(&world, recording, EvaluatorSettings::default());
    world.advance(5);
    evaluator.settle().await;
    let alarm = world.alarm("a");
    let reason = "Transition to alarm due to 1 samples outside threshold, most recent: 90.0";
    assert_eq!(alarm.state_reason, reason);
    assert_eq!((alarm.state_timestamp, alarm.evaluate_timestamp), (world.clock.now(), world.clock.now()));
    assert_eq!(alarm.timestamp, Timestamp::default());
    let world_state = world.state.lock();
    let change = &world_state.history[0];
    assert_eq!(change.detail, format!(r#"{{"state": "alarm", "transition_reason": "{reason}"}}"#));
    assert_eq!(
        (change.user_id.as_deref(), change.project_id.as_deref()),
        (Some("evaluator"), Some("service"))
    );
    assert_eq!((change.on_behalf_of.as_deref(), change.timestamp), (Some("p"), world.clock.now()));
    let delivery = &world_state.deliveries[0];
    assert_eq!((delivery.action.as_str(), delivery.not_before), ("log://alarm", world.clock.now()));
    assert_eq!(
        delivery.payload,
        format!(
            r#"{{"alarm_name": "name of a", "alarm_id": "a", "severity": "low", "previous": "insufficient data", "current": "alarm", "reason": "{reason}", "reason_data": {{"type": "threshold", "disposition": "outside", "count": 1, "most_recent": 90.0}}}}"#
        )
    );
}

#[tokio::test]
async fn windows_that_close_without_data_are_seen_by_time() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    assert_eq!(state(&world, "a"), "alarm");
    pass(&world, &mut evaluator, 300).await;
    assert_eq!(state(&world, "a"), "insufficient data");
    assert_eq!(world.history_of("a"), ["alarm", "insufficient data"]);
    assert_eq!(world.alarm("a").state_reason, "No datapoint for granularity 60");
}

#[tokio::test]
async fn repeated_actions_follow_the_clock_and_not_the_measures() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(Alarm { repeat_actions: true, ..above_80("a", "m1", 1) });
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    for _ in 0..600 {
        world.advance(1);
        write(&world, &evaluator, "m1", 90.0);
        evaluator.settle().await;
    }
    let state = world.state.lock();
    // The transition, and once a minute afterwards.
    assert!((10..=12).contains(&state.deliveries.len()), "{}", state.deliveries.len());
    assert_eq!(state.history.len(), 1);
    let last = &state.deliveries.last().unwrap().payload;
    assert!(last.contains("Remaining as alarm due to 1 samples outside threshold"), "{last}");
}

#[tokio::test]
async fn measures_put_off_the_evaluation_by_time() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    pass(&world, &mut evaluator, 120).await;
    let before = evaluator.handle().status().evaluations;
    for _ in 0..10 {
        write(&world, &evaluator, "m1", 90.0);
        pass(&world, &mut evaluator, 60).await;
    }
    let evaluations = evaluator.handle().status().evaluations - before;
    assert!((10..=12).contains(&evaluations), "{evaluations}");
}

#[tokio::test]
async fn edits_are_never_overwritten_and_decided_anew() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let mut evaluator = plain(&world);
    world.state.lock().before_apply = Some(Box::new(|state| {
        let mut edited = above_80("a", "m1", 1);
        edited.name = "edited".to_owned();
        if let AlarmRule::Resource(rule) = &mut edited.rule {
            rule.threshold.threshold = 95.0;
        }
        state.put(edited);
    }));
    evaluator.settle().await;
    let alarm = world.alarm("a");
    assert_eq!((alarm.name.as_str(), alarm.state.as_str()), ("edited", "ok"));
    assert_eq!(world.history_of("a"), ["ok"]);
    assert_eq!(evaluator.handle().status().outdated, 1);
    // Switched off between decision and write: nothing is written.
    world.advance(1);
    world.measure("m1", 99.0);
    world.state.lock().before_apply = Some(Box::new(|state| {
        let off = Alarm { enabled: Some(false), ..above_80("a", "m1", 1) };
        state.put(off);
    }));
    pass(&world, &mut evaluator, 100).await;
    assert_eq!((state(&world, "a").as_str(), world.history_of("a").len()), ("insufficient data", 1));
    assert_eq!(evaluator.handle().status().alarms, 0);
    // And deleted.
    world.put(above_80("b", "m1", 1));
    world.state.lock().before_apply = Some(Box::new(|state| state.delete(&AlarmId("b".to_owned()))));
    pass(&world, &mut evaluator, 2).await;
    assert_eq!((evaluator.handle().status().alarms, world.history_of("b").len()), (0, 0));
}

#[tokio::test]
async fn an_evaluator_that_slept_beyond_its_lease_writes_nothing() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let (mut asleep, mut awake) = (plain(&world), plain(&world));
    asleep.maintain().await;
    let jobs = asleep.batch().unwrap();
    assert_eq!(jobs.len(), 1);
    // It is cut off here, in the middle of its evaluation, for longer than its lease.
    pass(&world, &mut awake, 10).await;
    assert_eq!(world.history_of("a"), ["alarm"]);
    world.advance(1);
    write(&world, &awake, "m1", 20.0);
    awake.settle().await;
    assert_eq!(world.history_of("a"), ["alarm", "ok"]);
    let done = asleep.run_batch(jobs).await;
    asleep.absorb(done);
    asleep.settle().await;
    pass(&world, &mut awake, 5).await;
    assert_eq!(world.history_of("a"), ["alarm", "ok"]);
    assert_eq!(world.state.lock().deliveries.len(), 2);
    // Both go on, each with its half of the shares.
    for _ in 0..20 {
        world.advance(1);
        asleep.settle().await;
        awake.settle().await;
    }
    assert_eq!((asleep.handle().status().shares, awake.handle().status().shares), (32, 32));
}

#[tokio::test]
async fn a_store_that_fails_before_or_after_it_has_written_changes_nothing() {
    for wrote in [false, true] {
        let world = World::new();
        world.measure("m1", 90.0);
        world.put(above_80("a", "m1", 1));
        let mut evaluator = plain(&world);
        world.state.lock().fail_apply = Some(wrote);
        evaluator.settle().await;
        assert_eq!(world.history_of("a").len(), usize::from(wrote));
        pass(&world, &mut evaluator, 3).await;
        assert_eq!((state(&world, "a").as_str(), world.history_of("a")), ("alarm", vec!["alarm".to_owned()]));
        assert_eq!(world.state.lock().deliveries.len(), 1);
        write(&world, &evaluator, "m1", 20.0);
        pass(&world, &mut evaluator, 3).await;
        assert_eq!(world.history_of("a"), ["alarm", "ok"]);
    }
}

#[tokio::test]
async fn changes_by_others_are_learned_within_a_second() {
    let world = World::new();
    world.measure("m1", 90.0);
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    world.put(above_80("a", "m1", 1));
    pass(&world, &mut evaluator, 1).await;
    assert_eq!(state(&world, "a"), "alarm");
    world.state.lock().delete(&AlarmId("a".to_owned()));
    pass(&world, &mut evaluator, 1).await;
    assert_eq!((evaluator.handle().status().alarms, evaluator.handle().status().series), (0, 0));
}

#[tokio::test]
async fn alarms_over_the_same_series_share_the_reading() {
    let world = World::new();
    world.measure("m1", 90.0);
    for number in 0..500 {
        world.put(above_80(&format!("a{number}"), "m1", 1));
    }
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    assert_eq!(world.state.lock().history.len(), 500);
    let before = world.state.lock().reads;
    world.advance(1);
    write(&world, &evaluator, "m1", 20.0);
    evaluator.settle().await;
    let state = world.state.lock();
    assert_eq!((state.history.len(), state.reads - before), (1000, 1));
}

#[tokio::test]
async fn outside_its_time_constraints_an_alarm_is_left_alone() {
    let world = World::new();
    world.measure("m1", 90.0);
    let constraint = |start: &str| TimeConstraint {
        name: "t".to_owned(),
        description: String::new(),
        start: start.to_owned(),
        duration_seconds: 60,
        timezone: String::new(),
    };
    // The world begins on a Tuesday at 22:13:20.
    world.put(Alarm { time_constraints: vec![constraint("0 3 * * *")], ..above_80("a", "m1", 1) });
    world.put(Alarm { time_constraints: vec![constraint("no cron")], ..above_80("b", "m1", 1) });
    world.put(Alarm { time_constraints: vec![constraint("13 22 * * tue")], ..above_80("c", "m1", 1) });
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    assert_eq!(["a", "b", "c"].map(|id| world.history_of(id).len()), [0, 0, 1]);
}

#[tokio::test]
async fn silences_hold_messages_back_and_history_can_be_switched_off() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let ends_at = Timestamp::from_ns(world.clock.now().ns() + 3_600_000_000_000);
    world.state.lock().silences.push(Silence {
        id: world.clock.uuid(),
        project_id: None,
        user_id: None,
        filter: r#"{"=": {"project_id": "p"}}"#.to_owned(),
        comment: String::new(),
        starts_at: Timestamp::default(),
        ends_at,
    });
    let recording = Recording { history: false, announce: true, ..Recording::default() };
    let mut evaluator = evaluator(&world, recording, EvaluatorSettings::default());
    evaluator.settle().await;
    let state = world.state.lock();
    assert_eq!((state.history.len(), state.deliveries.len()), (0, 1));
    assert_eq!(state.deliveries[0].not_before, ends_at);
    assert_eq!(state.deliveries[0].group, None);
}

#[tokio::test]
async fn actions_are_grouped_as_they_ask_and_changes_announced() {
    let world = World::new();
    world.measure("m1", 90.0);
    let actions = [
        "http://h/?nephometer-group-by=project,state&nephometer-group-window=7",
        "http://h/?nephometer-group-by=severity",
        "http://h/",
    ];
    let actions = Some(actions.map(str::to_owned).to_vec());
    world.put(Alarm { alarm_actions: actions, ..above_80("a", "m1", 1) });
    let recording = Recording { announce: true, ..Recording::default() };
    let mut evaluator = evaluator(&world, recording, EvaluatorSettings::default());
    evaluator.settle().await;
    let state = world.state.lock();
    let group =
        |key: &str, seconds| Some(DeliveryGroup { key: key.to_owned(), wait: Duration::from_secs(seconds) });
    let groups: Vec<_> = state.deliveries.iter().take(3).map(|message| message.group.clone()).collect();
    let wanted =
        [group(r#"{"project": "p", "state": "alarm"}"#, 7), group(r#"{"severity": "low"}"#, 30), None];
    assert_eq!(groups, wanted);
    assert_eq!(state.deliveries.len(), 4);
    let told = &state.deliveries[3];
    assert_eq!((told.action.as_str(), told.id), (BUS_ACTION, state.history[0].event_id));
}

#[tokio::test]
async fn evaluations_are_counted_where_that_is_wanted() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    world.put(above_80("b", "m2", 1));
    let settings = EvaluatorSettings { counters: true, ..EvaluatorSettings::default() };
    let mut evaluator = evaluator(&world, Recording::default(), settings);
    evaluator.settle().await;
    pass(&world, &mut evaluator, 6).await;
    let counts = world.state.lock().counts.clone();
    let of = |id: &str| {
        let own = counts.iter().filter(|count| count.alarm_id.0 == id);
        own.fold([0, 0, 0], |sum, one| [sum[0] + one.insufficient_data, sum[1] + one.ok, sum[2] + one.alarm])
    };
    assert!(of("a")[2] >= 1 && of("a")[0] == 0 && of("b")[0] >= 1 && of("b")[2] == 0);
}

#[tokio::test]
async fn every_type_finds_its_answers() {
    let world = World::new();
    world.measure("m1", 90.0);
    let prometheus = |value: &str| PrometheusRule {
        comparison_operator: Operator::Gt,
        threshold: 5.0,
        query: value.to_owned(),
        scope_to_project: None,
    };
    let leaf = |value: &str| CompositeRule::Rule(Box::new(SubRule::Prometheus(prometheus(value))));
    world.put(above_80("gnocchi", "m1", 1));
    world.put(alarm("prometheus", AlarmRule::Prometheus(prometheus("7"))));
    world.put(alarm("broken", AlarmRule::Prometheus(prometheus("x"))));
    world.put(alarm("composite", AlarmRule::Composite(CompositeRule::And(vec![leaf("7"), leaf("8")]))));
    let members = |status: &str| LoadBalancerRule {
        pool_id: status.to_owned(),
        stack_id: "s".to_owned(),
        autoscaling_group_id: "g".to_owned(),
    };
    world.put(alarm("members", AlarmRule::LoadBalancer(members("ERROR"))));
    world.put(alarm("healthy", AlarmRule::LoadBalancer(members("ONLINE"))));
    let mut evaluator = plain(&world);
    evaluator.settle().await;
    let alarm_ids = ["gnocchi", "prometheus"].map(str::to_owned).to_vec();
    let rule = CombinationRule { operator: "and".to_owned(), alarm_ids };
    world.put(alarm("combination", AlarmRule::Combination(rule)));
    pass(&world, &mut evaluator, 1).await;
    for (id, expected) in [
        ("gnocchi", "alarm"),
        ("prometheus", "alarm"),
        ("broken", "insufficient data"),
        ("composite", "alarm"),
        ("members", "alarm"),
        ("healthy", "ok"),
        ("combination", "alarm"),
    ] {
        assert_eq!(state(&world, id), expected, "{id}");
    }
}

#[tokio::test]
async fn a_loop_runs_and_gives_its_shares_back() {
    let world = World::new();
    world.measure("m1", 90.0);
    world.put(above_80("a", "m1", 1));
    let evaluator = plain(&world);
    let handle = evaluator.handle();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn(evaluator.run(async move {
        let _ = stopped.await;
    }));
    while handle.status().transitions == 0 {
        tokio::task::yield_now().await;
    }
    world.advance(1);
    world.measure("m1", 20.0);
    handle.watch().written(&[SeriesRun { key: series_of("m1"), policy: PolicyKey(0), len: 1 }]);
    while handle.status().transitions == 1 {
        tokio::task::yield_now().await;
    }
    world.put(above_80("b", "m1", 1));
    world.advance(1);
    handle.news().notify_one();
    while handle.status().transitions == 2 {
        tokio::task::yield_now().await;
    }
    stop.send(()).unwrap();
    running.await.unwrap();
    assert_eq!((state(&world, "a").as_str(), state(&world, "b").as_str()), ("ok", "ok"));
    let mut next = plain(&world);
    next.settle().await;
    assert_eq!(next.handle().status().shares, 64);
}
