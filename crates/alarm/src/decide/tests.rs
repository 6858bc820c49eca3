//! Decisions by upstream's tables, and the words for them.

use nephometer_drivers::{MetricReadError, MetricSubject, PoolMembersError};
use nephometer_model::AlarmState::{Alarm, InsufficientData, Ok as Well};
use nephometer_model::{
    CombinationRule, LoadBalancerRule, MetersRule, MetricsRule, MissingData, Operator, PrometheusRule,
    ResourceRule, ResourcesRule, SubRule, Threshold, Timespan, Timestamp, python,
};
use serde_json::{Value, json};

use super::*;

pub(super) fn rule(operator: Operator, threshold: f64, periods: u32) -> Threshold {
    Threshold {
        granularity_seconds: 60,
        comparison_operator: operator,
        threshold,
        aggregation_method: "mean".to_owned(),
        evaluation_periods: periods,
        datapoints_to_alarm: None,
        treat_missing_data: None,
        scope_to_project: None,
    }
}

fn look(values: &[f64], rule: &Threshold) -> Finding {
    Samples::by_rule(values, rule)
}

/// The state and the reason that follow, if anything does.
fn outcome(current: AlarmState, repeat: bool, finding: &Finding) -> Option<(AlarmState, String)> {
    let decision = threshold(current, repeat, finding).unwrap();
    decision.verdict.map(|verdict| (verdict.state, verdict.reason))
}

fn says(state: AlarmState, reason: &str) -> Option<(AlarmState, String)> {
    Some((state, reason.to_owned()))
}

const ABOVE: &[f64] = &[81.0, 82.0, 83.0];
const BELOW: &[f64] = &[76.0, 77.0, 8.0];
const RISING: &[f64] = &[76.0, 79.0, 81.0];
const FALLING: &[f64] = &[83.0, 82.0, 79.0];

#[test]
fn the_transition_table_is_complete() {
    let rule = rule(Operator::Gt, 80.0, 3);
    let (up, down) = (look(ABOVE, &rule), look(BELOW, &rule));
    let to_alarm = "Transition to alarm due to 3 samples outside threshold, most recent: 83.0";
    let to_ok = "Transition to ok due to 3 samples inside threshold, most recent: 8.0";
    for repeat in [false, true] {
        for current in [Well, InsufficientData] {
            assert_eq!(outcome(current, repeat, &up), says(Alarm, to_alarm));
        }
        for current in [Alarm, InsufficientData] {
            assert_eq!(outcome(current, repeat, &down), says(Well, to_ok));
        }
        for current in [Alarm, Well] {
            assert_eq!(
                outcome(current, repeat, &look(&[1.0], &rule)),
                says(InsufficientData, "3 datapoints are unknown")
            );
        }
    }
    assert_eq!(outcome(Alarm, false, &up), None);
    assert_eq!(
        outcome(Alarm, true, &up),
        says(Alarm, "Remaining as alarm due to 3 samples outside threshold, most recent: 83.0")
    );
    assert_eq!(outcome(Well, false, &down), None);
    assert_eq!(
        outcome(Well, true, &down),
        says(Well, "Remaining as ok due to 3 samples inside threshold, most recent: 8.0")
    );
}

#[test]
fn mixed_samples_matter_to_the_unknown_and_to_those_who_repeat() {
    let rule = rule(Operator::Gt, 80.0, 3);
    let (rising, falling) = (look(RISING, &rule), look(FALLING, &rule));
    for repeat in [false, true] {
        assert_eq!(
            outcome(InsufficientData, repeat, &rising),
            says(Alarm, "Transition to alarm due to 1 samples outside threshold, most recent: 81.0")
        );
        assert_eq!(
            outcome(InsufficientData, repeat, &falling),
            says(Well, "Transition to ok due to 1 samples inside threshold, most recent: 79.0")
        );
    }
    for current in [Well, Alarm] {
        assert_eq!(outcome(current, false, &rising), None);
        assert_eq!(outcome(current, false, &falling), None);
    }
    assert_eq!(
        outcome(Well, true, &rising),
        says(Well, "Remaining as ok due to 2 samples inside threshold, most recent: 81.0")
    );
    assert_eq!(
        outcome(Alarm, true, &falling),
        says(Alarm, "Remaining as alarm due to 2 samples outside threshold, most recent: 79.0")
    );
}

#[test]
fn what_stays_unknown_is_told_only_to_those_who_repeat() {
    let rule = rule(Operator::Gt, 80.0, 3);
    for (values, last) in [(&[][..], "None"), (&[1e-5][..], "1e-05")] {
        let finding = Samples::by_rule(values, &rule);
        assert_eq!(outcome(InsufficientData, false, &finding), None);
        let reason =
            format!("Remaining as insufficient data due to 0 samples outside threshold, most recent: {last}");
        assert_eq!(outcome(InsufficientData, true, &finding), says(InsufficientData, &reason));
    }
}

#[test]
fn reason_data_for_machines() {
    let rule = rule(Operator::Gt, 80.0, 3);
    let data = |current, repeat, values: &[f64]| -> Value {
        threshold(current, repeat, &look(values, &rule)).unwrap().verdict.unwrap().reason_data
    };
    let of = |disposition: &str, count: u32, most_recent: Value| json!({"type": "threshold", "disposition": disposition, "count": count, "most_recent": most_recent});
    assert_eq!(data(Well, false, ABOVE), of("outside", 3, 83.0.into()));
    assert_eq!(data(Alarm, false, BELOW), of("inside", 3, 8.0.into()));
    assert_eq!(data(Well, false, &[5.0, 6.0]), of("unknown", 3, 6.0.into()));
    assert_eq!(data(Alarm, false, &[]), of("unknown", 3, Value::Null));
    assert_eq!(data(InsufficientData, true, &[]), of("outside", 0, Value::Null));
    let text = python::dumps(&data(Well, false, ABOVE));
    assert_eq!(text, r#"{"type": "threshold", "disposition": "outside", "count": 3, "most_recent": 83.0}"#);
}

#[test]
fn counters_count_definite_and_missing_but_not_mixed() {
    let rule = rule(Operator::Gt, 80.0, 3);
    let counted = |values: &[f64]| threshold(Well, false, &look(values, &rule)).unwrap().counted;
    assert_eq!(counted(ABOVE), Some(Alarm));
    assert_eq!(counted(BELOW), Some(Well));
    assert_eq!(counted(&[]), Some(InsufficientData));
    assert_eq!(counted(RISING), None);
}

#[test]
fn the_newest_periods_are_looked_at_with_every_operator() {
    for (operator, outside) in [
        (Operator::Lt, false),
        (Operator::Le, true),
        (Operator::Eq, true),
        (Operator::Ne, false),
        (Operator::Ge, true),
        (Operator::Gt, false),
    ] {
        let finding = look(&[-1e9, 1e9, 80.0, 80.0], &rule(operator, 80.0, 2));
        let state = if outside { Alarm } else { Well };
        assert_eq!(outcome(InsufficientData, false, &finding).unwrap().0, state, "{operator}");
    }
    let nan = look(&[f64::NAN], &rule(Operator::Gt, 80.0, 1));
    assert_eq!(
        outcome(Alarm, false, &nan),
        says(Well, "Transition to ok due to 1 samples inside threshold, most recent: nan")
    );
}

#[test]
fn m_of_n() {
    let rule = Threshold { datapoints_to_alarm: Some(2), ..rule(Operator::Gt, 80.0, 4) };
    assert_eq!(
        outcome(Well, false, &look(&[81.0, 1.0, 82.0, 2.0], &rule)),
        says(Alarm, "Transition to alarm due to 2 samples outside threshold, most recent: 2.0")
    );
    assert_eq!(
        outcome(Alarm, false, &look(&[81.0, 1.0, 2.0, 3.0], &rule)),
        says(Well, "Transition to ok due to 3 samples inside threshold, most recent: 3.0")
    );
    assert_eq!(outcome(Alarm, false, &look(&[90.0; 3], &rule)).unwrap().0, InsufficientData);
}

#[test]
fn absent_data_points_count_as_the_rule_says() {
    let with = |treat, enough| Threshold {
        treat_missing_data: Some(treat),
        scope_to_project: None,
        datapoints_to_alarm: enough,
        ..rule(Operator::Gt, 80.0, 3)
    };
    let state = |current, rule: &Threshold, values: &[f64]| {
        outcome(current, false, &look(values, rule)).map(|(state, _)| state)
    };
    assert_eq!(state(Well, &with(MissingData::Missing, None), &[90.0]), Some(InsufficientData));
    assert_eq!(state(Well, &with(MissingData::Breaching, None), &[90.0]), Some(Alarm));
    assert_eq!(state(Well, &with(MissingData::Breaching, None), &[]), Some(Alarm));
    assert_eq!(state(InsufficientData, &with(MissingData::Breaching, None), &[1.0]), Some(Well));
    assert_eq!(state(Alarm, &with(MissingData::NotBreaching, None), &[]), Some(Well));
    assert_eq!(state(Alarm, &with(MissingData::NotBreaching, None), &[90.0]), None);
    assert_eq!(state(Well, &with(MissingData::NotBreaching, Some(1)), &[90.0]), Some(Alarm));
    for current in [Well, Alarm, InsufficientData] {
        assert_eq!(state(current, &with(MissingData::Ignore, None), &[90.0, 90.0]), None);
    }
    assert_eq!(
        outcome(Well, false, &look(&[], &with(MissingData::Breaching, None))),
        says(Alarm, "Transition to alarm due to 3 samples outside threshold, most recent: None")
    );
}

fn resource(threshold: Threshold) -> SubRule {
    SubRule::Resource(ResourceRule {
        threshold,
        metric: "cpu_util".to_owned(),
        resource_id: "my_instance".to_owned(),
        resource_type: "instance".to_owned(),
    })
}

fn metrics(threshold: Threshold) -> SubRule {
    SubRule::Metrics(MetricsRule { threshold, metrics: vec!["a".to_owned(), "b".to_owned()] })
}

fn resources(threshold: Threshold) -> SubRule {
    SubRule::Resources(ResourcesRule {
        threshold,
        metric: "cpu_util".to_owned(),
        query: r#"{"=": {"server_group": "my_group"}}"#.to_owned(),
        resource_type: "instance".to_owned(),
    })
}

#[test]
fn windows_reach_back_one_period_more() {
    let now = Timestamp::from_ns(10_000_000_000_000);
    let look = Look { now, ingestion_lag_seconds: 0 };
    let scoped = Threshold { scope_to_project: Some("p".to_owned()), ..rule(Operator::Gt, 80.0, 5) };
    let read = metric_read(&resource(scoped), &look).unwrap().unwrap();
    assert_eq!((read.start, read.stop), (Timestamp::from_ns(now.ns() - 360_000_000_000), now));
    assert_eq!((read.method.as_str(), read.granularity), ("mean", Timespan::from_seconds(60)));
    assert_eq!(read.project_id.as_deref(), Some("p"));
    let late = Look { ingestion_lag_seconds: 30, ..look };
    let read = metric_read(&resources(rule(Operator::Gt, 80.0, 5)), &late).unwrap().unwrap();
    assert_eq!(read.start, Timestamp::from_ns(now.ns() - 390_000_000_000));
    let search = json!({"=": {"server_group": "my_group"}});
    assert_eq!(
        read.subject,
        MetricSubject::OfResources {
            metric: "cpu_util".to_owned(),
            resource_type: "instance".to_owned(),
            search
        }
    );
}

#[test]
fn what_is_not_there_is_told_in_upstreams_words() {
    use MetricReadError::{NoSuchAggregate, NoSuchMetric, NoSuchResource, Refused, Unavailable};
    let plain = || rule(Operator::Gt, 80.0, 5);
    let down = || Unavailable("connection refused".to_owned());
    let cases = [
        (resource(plain()), NoSuchMetric, "metric cpu_util for resource my_instance does not exists"),
        (resource(plain()), NoSuchResource, "resource my_instance does not exists"),
        (
            resource(plain()),
            NoSuchAggregate,
            "aggregation mean does not exist for metric cpu_util of resource my_instance",
        ),
        (resource(plain()), down(), "alarm statistics retrieval failed: connection refused"),
        (
            resource(plain()),
            Refused { status: 500, text: "oops".to_owned() },
            "alarm statistics retrieval failed: oops (HTTP 500)",
        ),
        (metrics(plain()), NoSuchMetric, "At least of metrics in ['a', 'b'] does not exist"),
        (
            metrics(plain()),
            NoSuchAggregate,
            "aggregation mean does not exist for at least one metrics in ['a', 'b']",
        ),
        (resources(plain()), NoSuchMetric, "metric cpu_util does not exists"),
        (
            resources(plain()),
            NoSuchAggregate,
            "aggregation mean does not exist for at least one metric of the query",
        ),
    ];
    for (rule, error, reason) in cases {
        let expected = Finding::Insufficient { reason: reason.to_owned(), samples: Vec::new(), count: 5 };
        assert_eq!(finding(&rule, &Err(error)), expected);
    }
    let Finding::Insufficient { reason, .. } = finding(&resource(plain()), &Ok(Vec::new())) else { panic!() };
    assert_eq!(reason, "No datapoint for granularity 60");
    let point = |value| (Timestamp::default(), value);
    let Finding::Insufficient { reason, samples, .. } = finding(&resource(plain()), &Ok(vec![point(7.0)]))
    else {
        panic!()
    };
    assert_eq!((reason.as_str(), samples), ("5 datapoints are unknown", vec![7.0]));
}

#[test]
fn a_reader_that_fails_is_not_missing_data() {
    let breaching =
        Threshold { treat_missing_data: Some(MissingData::Breaching), ..rule(Operator::Gt, 80.0, 2) };
    let look = |error| finding(&resource(breaching.clone()), &Err(error));
    assert!(matches!(look(MetricReadError::NoSuchMetric), Finding::Samples(_)));
    assert!(matches!(look(MetricReadError::NoSuchResource), Finding::Samples(_)));
    assert!(matches!(look(MetricReadError::NoSuchAggregate), Finding::Insufficient { .. }));
    let down = MetricReadError::Unavailable("away".to_owned());
    assert!(matches!(look(down), Finding::Insufficient { .. }));
}

#[test]
fn prometheus_series_must_agree() {
    let rule = PrometheusRule {
        comparison_operator: Operator::Gt,
        threshold: 2.0,
        query: "up".to_owned(),
        scope_to_project: None,
    };
    let state = |answer| outcome(InsufficientData, false, &prometheus_finding(&rule, &answer));
    assert_eq!(state(Ok(vec![3.0, 4.0])).unwrap().0, Alarm);
    assert_eq!(state(Ok(vec![3.0, 1.0])).unwrap().0, Well);
    let empty = prometheus_finding(&rule, &Ok(Vec::new()));
    let verdict = threshold(Well, false, &empty).unwrap().verdict.unwrap();
    assert_eq!(verdict.reason, "datapoints are unknown");
    assert_eq!(verdict.reason_data["count"], 0);
    let down = prometheus_finding(&rule, &Err(MetricReadError::Unavailable("away".to_owned())));
    assert_eq!(outcome(Well, false, &down).unwrap().1, "alarm statistics retrieval failed: away");
}

#[test]
fn combinations_of_states() {
    let decide = |operator: &str, current, repeat, states: [Option<AlarmState>; 2]| {
        let alarm_ids = vec!["1".to_owned(), "2".to_owned()];
        let rule = CombinationRule { operator: operator.to_owned(), alarm_ids };
        let verdict = combination(&rule, current, repeat, &states).verdict;
        verdict.map(|verdict| (verdict.state, verdict.reason))
    };
    let (a, o, u) = (Some(Alarm), Some(Well), Some(InsufficientData));
    let to_alarm = "Transition to alarm due to alarms 1,2 in state alarm";
    assert_eq!(decide("and", Well, false, [a, a]), says(Alarm, to_alarm));
    let one = "Transition to alarm due to alarms 2 in state alarm";
    assert_eq!(decide("or", Well, false, [o, a]), says(Alarm, one));
    assert_eq!(decide("or", Well, false, [u, a]), says(Alarm, one));
    assert_eq!(decide("or", Well, false, [None, a]), says(Alarm, one));
    let to_ok = "Transition to ok due to alarms 1 in state ok";
    assert_eq!(decide("and", Alarm, false, [o, a]), says(Well, to_ok));
    assert_eq!(decide("and", Well, false, [o, a]), None);
    assert_eq!(
        decide("and", Well, true, [o, o]),
        says(Well, "Remaining as ok due to alarms 1,2 in state ok")
    );
    let unknown = "Alarms 1 are in unknown state";
    for operator in ["and", "or"] {
        assert_eq!(decide(operator, Well, false, [u, o]), says(InsufficientData, unknown));
        assert_eq!(decide(operator, InsufficientData, true, [None, o]), None);
    }
    assert_eq!(decide("and", Alarm, false, [u, a]), says(InsufficientData, unknown));
}

#[test]
fn members_of_a_pool() {
    let rule = LoadBalancerRule {
        pool_id: "pool".to_owned(),
        stack_id: "stack".to_owned(),
        autoscaling_group_id: "group".to_owned(),
    };
    let now = nephometer_model::time::parse_timestamp("2026-01-02T00:10:00", Timestamp::default()).unwrap();
    let age = MemberAge { now, grace_seconds: 120 };
    let member = |created: &str, up: bool, status: &str| json!({"id": "m", "created_at": created, "admin_state_up": up, "operating_status": status});
    let bad = member("2026-01-02T00:08:00", true, "ERROR");
    let fine = vec![
        member("2026-01-02T00:08:01", true, "ERROR"),
        member("yesterday-ish", true, "ERROR"),
        member("2026-01-01T00:00:00", false, "ERROR"),
        member("2026-01-01T00:00:00", true, "ONLINE"),
    ];
    let verdict = |current, repeat, members_now: &Result<Vec<Value>, PoolMembersError>| {
        members(&rule, current, repeat, age, members_now).verdict
    };
    assert_eq!(verdict(Well, false, &Ok(fine.clone())), None);
    assert_eq!(verdict(Well, true, &Ok(fine.clone())).unwrap().reason, "Remaining as ok");
    let well = verdict(Alarm, false, &Ok(fine.clone())).unwrap();
    assert_eq!(well.reason, "Transition to ok due to 0 members unhealthy, most recent: None");
    let sick = verdict(Well, false, &Ok([fine, vec![bad.clone()]].concat())).unwrap();
    assert_eq!(
        sick.reason,
        "Transition to alarm due to 1 members unhealthy, most recent: {'id': 'm', 'created_at': \
         '2026-01-02T00:08:00', 'admin_state_up': True, 'operating_status': 'ERROR'}"
    );
    assert_eq!(
        sick.reason_data,
        json!({"type": "loadbalancer_member_health", "count": 1, "most_recent": bad, "unhealthy_members": [bad],
               "pool_id": "pool", "stack_id": "stack", "asg_id": "group"})
    );
    let away = Err(PoolMembersError::Unreachable("x".to_owned()));
    let unknown = verdict(Well, false, &away).unwrap();
    assert_eq!(
        (unknown.state, unknown.reason.as_str()),
        (InsufficientData, "failed to communicate with load balancing service")
    );
    let refused = Err(PoolMembersError::Refused("404 no pool".to_owned()));
    assert_eq!(verdict(Well, false, &refused).unwrap().reason, "404 no pool");
}

#[test]
fn meters_and_their_outliers() {
    let mut rule = MetersRule {
        meter_name: "cpu_util".to_owned(),
        comparison_operator: Operator::Gt,
        threshold: 80.0,
        statistic: "avg".to_owned(),
        period_seconds: 60,
        evaluation_periods: 5,
        exclude_outliers: true,
        query: vec![json!({"field": "resource_id", "op": "eq", "value": "r"})],
    };
    // Six periods of twenty samples each are well; five small ones at the threshold's other side are outliers.
    let mut points = vec![MeterPoint { value: 70.0, count: 20.0 }; 9];
    points.push(MeterPoint { value: 90.0, count: 1.0 });
    let state = |rule: &MetersRule| match meters(rule, &points) {
        Finding::Samples(samples) => samples.judge(),
        other => panic!("{other:?}"),
    };
    assert_eq!(state(&rule), Judgement::Definite(Well));
    rule.exclude_outliers = false;
    assert_eq!(state(&rule), Judgement::Mixed(Alarm));
    let now = Timestamp::from_ns(10_000_000_000_000);
    let look = Look { now, ingestion_lag_seconds: 0 };
    let reads = meters_reads(&rule, &look).unwrap();
    assert_eq!((reads.len(), reads[0].method.as_str()), (1, "mean"));
    rule.exclude_outliers = true;
    let reads = meters_reads(&rule, &look).unwrap();
    assert_eq!((reads.len(), reads[1].method.as_str()), (2, "count"));
    assert_eq!(now.ns() - reads[0].start.ns(), 600_000_000_000);
    let start = |at: i64| Timestamp::from_ns(at * 60_000_000_000);
    let values = Ok((0..10).map(|at| (start(at), if at == 9 { 90.0 } else { 70.0 })).collect());
    let counts = Ok((0..10).map(|at| (start(at), if at == 9 { 1.0 } else { 20.0 })).collect());
    assert!(matches!(meters_finding(&rule, &[&values, &counts]), Finding::Samples(_)));
    rule.query.push(json!({"field": "project_id", "op": "eq", "value": "p"}));
    let reads = meters_reads(&rule, &look).unwrap();
    let one = MetricSubject::OfResource { resource_id: "r".to_owned(), metric: "cpu_util".to_owned() };
    assert_eq!((&reads[0].subject, reads[0].project_id.as_deref()), (&one, Some("p")));
    rule.query.remove(0);
    assert!(meters_reads(&rule, &look).is_err(), "samples of many resources are not counted");
    rule.exclude_outliers = false;
    let reads = meters_reads(&rule, &look).unwrap();
    assert!(matches!(&reads[0].subject, MetricSubject::OfResources { search, .. }
        if *search == json!({"=": {"project_id": "p"}})));
    let failed = Err(MetricReadError::NoSuchMetric);
    let Finding::Insufficient { reason, .. } = meters_finding(&rule, &[&failed]) else { panic!() };
    assert_eq!(reason, "5 datapoints are unknown");
}
