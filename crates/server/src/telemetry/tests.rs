//! Kinds of requests and the text of `/metrics`.

use nephometer_alarm::notify::DispatcherStatus;
use nephometer_model::SystemClock;

use super::snapshot::StoreFigures;
use super::*;

#[test]
fn requests_have_the_kind_that_operators_expect() {
    for (method, path, expected) in [
        (Method::POST, "/v1/batch/metrics/measures", RequestKind::Ingest),
        (Method::POST, "/gnocchi/v1/metric/x/measures/", RequestKind::Ingest),
        (Method::POST, "/v1/influxdb/write", RequestKind::Ingest),
        (Method::GET, "/v1/metric/x/measures", RequestKind::Query),
        (Method::POST, "/v1/batch/metrics/measures/read", RequestKind::Query),
        (Method::POST, "/v1/aggregates", RequestKind::Query),
        (Method::GET, "/v1/aggregation/metric", RequestKind::Query),
        (Method::POST, "/v1/search/resource/generic", RequestKind::Index),
        (Method::GET, "/v1/metric", RequestKind::Index),
        (Method::POST, "/v2/query/alarms", RequestKind::Alarm),
        (Method::GET, "/v1/resource/generic/x/v2/metric", RequestKind::Index),
    ] {
        assert_eq!(RequestKind::of(&method, path), expected, "{method} {path}");
    }
}

#[test]
fn the_text_has_every_figure_and_ends() {
    let telemetry = Telemetry::new(Arc::new(SystemClock::new()));
    telemetry.count(RequestKind::Ingest, 202, 500_000_000);
    let store = StoreFigures { measures_written: 7, ..StoreFigures::default() };
    let keystone = KeystoneFigures { is_reachable: Some(true), cache_hits: 3, ..KeystoneFigures::default() };
    let limits = LimitFigures { refused_measures: 5, ..LimitFigures::default() };
    let heard = HeardFigures { handled: 4, interruptions: 1, ..HeardFigures::default() };
    let alarms = AlarmFigures {
        waiting_messages: 2,
        notifier: Some(DispatcherStatus { delivered: 6, retried: 1, ..DispatcherStatus::default() }.into()),
        heard: vec![("listener".to_owned(), heard)],
        ..AlarmFigures::default()
    };
    let snapshot = Snapshot {
        store: Some(store),
        keystone: Some(keystone),
        limits,
        alarms: Some(alarms),
        ..Snapshot::default()
    };
    let text = telemetry.render(&snapshot).unwrap();
    for line in [
        "nephometer_http_requests_total{kind=\"ingest\",status=\"202\"} 1\n",
        "nephometer_http_request_seconds_count{kind=\"ingest\"} 1\n",
        "nephometer_http_request_seconds_count{kind=\"query\"} 0\n",
        "nephometer_measures_written_total 7\n",
        "nephometer_metric_cache_entries 0\n",
        "nephometer_index_up 0\n",
        "nephometer_token_cache_hits_total 3\n",
        "nephometer_keystone_up 1\n",
        "nephometer_limit_refusals_total{limit=\"measures\"} 5\n",
        "nephometer_limit_refusals_total{limit=\"request_size\"} 0\n",
        "nephometer_alarm_messages_waiting 2\n",
        "nephometer_alarm_messages_sent_total 6\n",
        "nephometer_alarm_messages_retried_total 1\n",
        "nephometer_bus_messages_handled_total{listener=\"listener\"} 4\n",
        "nephometer_bus_interruptions_total{listener=\"listener\"} 1\n",
        "# TYPE nephometer_process_cpu_seconds counter\n",
    ] {
        assert!(text.contains(line), "{line} not in\n{text}");
    }
    assert!(text.ends_with("# EOF\n"));
    assert_eq!(telemetry.totals(RequestKind::Ingest), RequestTotals { requests: 1, seconds: 0.5 });
}
