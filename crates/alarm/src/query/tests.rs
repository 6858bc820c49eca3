//! Queries as clients send them.

#![allow(clippy::unwrap_used, reason = "tests fail by panicking")]

use nephometer_drivers::{AlarmFilter, AlarmValue, Direction, NullOrder};
use nephometer_model::{Operator, Timestamp};
use serde_json::{Value, json};

use super::*;

fn items(pairs: &[(&str, &str)]) -> Result<Vec<QueryItem>, QueryError> {
    query_items(pairs.iter().copied())
}

fn list(pairs: &[(&str, &str)]) -> Result<ListQuery, String> {
    items(pairs).and_then(|items| list_query(&items)).map_err(|error| error.to_string())
}

fn history(pairs: &[(&str, &str)]) -> Result<HistoryQuery, String> {
    items(pairs).and_then(|items| history_query(&items)).map_err(|error| error.to_string())
}

fn eq(column: &str, value: AlarmValue) -> AlarmFilter {
    AlarmFilter::Compare(Operator::Eq, column.to_owned(), value)
}

#[test]
fn conditions_are_zipped_by_their_places() {
    let zipped = items(&[
        ("q.field", "name"),
        ("q.field", "state"),
        ("q.value", "a"),
        ("q.value", "ok"),
        ("limit", "1"),
    ]);
    let named =
        items(&[("q[1].field", "state"), ("q[0].field", "name"), ("q[0].value", "a"), ("q[1].value", "ok")]);
    assert_eq!(zipped, named);
    assert_eq!(zipped.unwrap()[1].op, "eq");
    let text = items(&[("q.field", "name")]).unwrap_err().to_string();
    assert_eq!(text, "Invalid input for field/attribute value. Value: 'None'. Mandatory field missing.");
}

#[test]
fn lists_are_narrowed() {
    let query = list(&[
        ("q.field", "enabled"),
        ("q.value", "False"),
        ("q.field", "project_id"),
        ("q.value", "12"),
        ("q.field", "name"),
        ("q.value", "[1]"),
        ("q.field", "all_projects"),
        ("q.value", "true"),
    ])
    .unwrap();
    assert_eq!((query.all_projects, query.project_ids), (Some(true), vec!["12".to_owned()]));
    let name = eq("name", AlarmValue::Text("[1]".to_owned()));
    assert_eq!(query.filter, eq("enabled", AlarmValue::Bool(false)).and(name));
    let cases = [
        (
            vec![("q.field", "foo"), ("q.value", "1")],
            "Invalid input for field/attribute field. Value: '{'foo'}'. only fields {",
        ),
        (
            vec![("q.field", "timestamp"), ("q.op", "gt"), ("q.value", "2026-01-01")],
            "Invalid input for field/attribute op. Value: '{'gt'}'. only operations {'eq'} are allowed",
        ),
        (
            vec![("q.field", "enabled"), ("q.value", "maybe")],
            "Unable to convert the value maybe to the expected data type boolean.",
        ),
        (
            vec![("q.field", "name"), ("q.type", "integer"), ("q.value", "x")],
            "Unable to convert the value x to the expected data type integer.",
        ),
    ];
    for (pairs, begin) in cases {
        let text = list(&pairs).unwrap_err();
        assert!(text.starts_with(begin), "{text}");
    }
}

#[test]
fn history_knows_time_and_its_offset() {
    let query = history(&[
        ("q.field", "timestamp"),
        ("q.op", "ge"),
        ("q.value", "2026-01-01T01:00:00"),
        ("q.field", "search_offset"),
        ("q.op", "eq"),
        ("q.value", "60"),
    ])
    .unwrap();
    let value = AlarmValue::Time(Timestamp::from_ns(1_767_225_600_000_000_000));
    assert_eq!(query.filter, AlarmFilter::Compare(Operator::Ge, "timestamp".to_owned(), value));
    let query = history(&[("q.field", "project"), ("q.value", "p")]).unwrap();
    assert_eq!(
        (query.filter, query.project_ids),
        (AlarmFilter::eq_text("project_id", "p"), vec!["p".to_owned()])
    );
    let cases = [
        (
            vec![("q.field", "alarm_id"), ("q.value", "v")],
            "Unknown argument: \"alarm_id\": unrecognized field in query: [<Query 'alarm_id' eq 'v' Unset>], valid keys: ['project', 'search_offset', 'severity', 'timestamp', 'type', 'user']",
        ),
        (
            vec![("q.field", "search_offset"), ("q.value", "6")],
            "Invalid input for field/attribute field. Value: 'search_offset'. search_offset cannot be used without timestamp",
        ),
        (
            vec![("q.field", "timestamp"), ("q.value", "2026-01-01")],
            "Invalid input for field/attribute op. Value: 'eq'. unimplemented operator for timestamp",
        ),
        (
            vec![("q.field", "timestamp"), ("q.op", "gt"), ("q.value", "soon")],
            "Invalid input for field/attribute timestamp. Value: 'soon'. invalid timestamp format",
        ),
        (
            vec![("q.field", "type"), ("q.op", "ne"), ("q.value", "x")],
            "Invalid input for field/attribute op. Value: 'ne'. unimplemented operator for type",
        ),
    ];
    for (pairs, expected) in cases {
        assert_eq!(history(&pairs).unwrap_err(), expected);
    }
}

#[test]
fn pages_are_read() {
    let page =
        parse_page(Listed::Alarms, &["name", "severity:desc-nullsfirst"], Some("3"), Some("x")).unwrap();
    assert_eq!((page.limit, page.marker.as_deref()), (Some(3), Some("x")));
    assert_eq!(
        (page.sorts[0].direction, page.sorts[1].nulls),
        (Direction::Ascending, Some(NullOrder::First))
    );
    assert_eq!(parse_page(Listed::Alarms, &[], Some("0"), Some("")).unwrap().limit, None);
    assert_eq!(parse_page(Listed::Alarms, &["name"], Some("0"), None).unwrap().limit, Some(0));
    let refused =
        |sort: &[&str], limit| parse_page(Listed::History, sort, limit, None).unwrap_err().to_string();
    assert_eq!(
        refused(&[], Some("-1")),
        "Invalid input for field/attribute limit. Value: '-1'. it should be a positive integer."
    );
    assert!(refused(&[], Some("x")).contains("unable to convert to int"));
    assert!(
        refused(&["name"], None)
            .starts_with("Invalid input for field/attribute sort. Value: 'name'. the sort parameter")
    );
    assert!(refused(&["timestamp:DESC"], None).contains("Unknown sort direction"));
}

fn complex(filter: &Value) -> Result<ComplexQuery, String> {
    parse_complex(Listed::Alarms, &json!({"filter": filter.to_string()})).map_err(|error| error.to_string())
}

#[test]
fn complex_filters_are_trees() {
    let query = complex(&json!({"AND": [{"=": {"project": "p"}}, {"not": {"=~": {"rule": "metrics"}}},
        {"in": {"state": ["ok", 5]}}, {"=>": {"timestamp": "2026-01-01T00:00:00"}}]}));
    let query = query.unwrap();
    assert_eq!(query.projects, [json!("p")]);
    let expected = AlarmFilter::And(vec![
        AlarmFilter::eq_text("project_id", "p"),
        AlarmFilter::Not(Box::new(AlarmFilter::Matches("rule".to_owned(), "\"metrics\"".to_owned()))),
        AlarmFilter::In("state".to_owned(), vec![AlarmValue::Text("ok".to_owned()), AlarmValue::Number(5.0)]),
        AlarmFilter::Compare(
            Operator::Ge,
            "timestamp".to_owned(),
            AlarmValue::Time(Timestamp::from_ns(1_767_225_600_000_000_000)),
        ),
    ]);
    assert_eq!(query.filter, expected);
}

#[test]
fn complex_queries_are_refused() {
    let grammar = [
        json!({"and": [{"=": {"name": "a"}}]}),
        json!({"=": {"name": "a"}, "!=": {"name": "b"}}),
        json!({"=": {"name": null}}),
        json!({"=": {"metadata.x": 1}}),
        json!({"~": {"name": "a"}}),
        json!({"in": {"name": []}}),
        json!({"in": {"enabled": [true]}}),
        json!([]),
    ];
    for filter in grammar {
        let text = complex(&filter).expect_err(&filter.to_string());
        assert!(text.starts_with("Filter expression not valid: "), "{text}");
    }
    assert_eq!(
        complex(&json!({"<": {"timestamp": "soon"}})).unwrap_err(),
        "Failed to parse the timestamp value soon"
    );
    let body = |body: &Value| parse_complex(Listed::History, body).map_err(|error| error.to_string());
    assert_eq!(body(&json!({"limit": 0})).unwrap_err(), "Limit should be positive");
    assert_eq!(body(&json!({"limit": "2"})).unwrap().page.limit, Some(2));
    assert_eq!(body(&json!({"x": 1})).unwrap_err(), "Unknown attribute for argument body: x");
    assert!(body(&json!({"filter": {}})).unwrap_err().contains("Wrong type"));
    assert!(
        body(&json!({"orderby": "[{\"timestamp\": \"up\"}]"}))
            .unwrap_err()
            .starts_with("Order-by expression not valid: ")
    );
    let ordered = body(&json!({"orderby": "[{\"timestamp\": \"DESC\"}]", "filter": null})).unwrap();
    assert_eq!((ordered.page.sorts[0].direction, ordered.filter), (Direction::Descending, AlarmFilter::All));
}
