//! What filters find.

use nephometer_model::{Alarm, Operator, Severity};

use super::fixtures::{after, alarm, compare, make, names, text};
use crate::{AlarmFilter, AlarmStore, AlarmStoreError, AlarmValue, Page};

async fn some(store: &dyn AlarmStore) {
    for (number, name) in (1..).zip(["B", "a", "ab", "ä", "5", "true"]) {
        let given = alarm(number);
        let is_first = number == 1;
        make(
            store,
            Alarm {
                name: name.to_owned(),
                enabled: [Some(true), Some(false), None][usize::try_from(number % 3).unwrap()],
                severity: Severity::ALL[usize::try_from(number % 3).unwrap()],
                user_id: (!is_first).then(|| "u".to_owned()),
                ok_actions: (!is_first).then(Vec::new),
                ..given
            },
        )
        .await;
    }
}

/// Texts compare by code point, numbers and truths with texts as their JSON.
pub async fn alarm_filters_on_texts(store: &dyn AlarmStore) {
    some(store).await;
    let find = async |operator, value| names(store, &compare(operator, "name", value)).await;
    assert_eq!(find(Operator::Eq, text("a")).await, ["a"]);
    assert_eq!(find(Operator::Ne, text("a")).await, ["5", "B", "ab", "true", "ä"]);
    assert_eq!(find(Operator::Lt, text("a")).await, ["5", "B"]);
    assert_eq!(find(Operator::Le, text("a")).await, ["5", "B", "a"]);
    assert_eq!(find(Operator::Gt, text("ab")).await, ["true", "ä"]);
    assert_eq!(find(Operator::Ge, text("ab")).await, ["ab", "true", "ä"]);
    assert_eq!(find(Operator::Eq, AlarmValue::Number(5.0)).await, ["5"]);
    assert_eq!(find(Operator::Eq, AlarmValue::Bool(true)).await, ["true"]);
    let several = AlarmFilter::In("name".to_owned(), vec![text("a"), text("none"), AlarmValue::Number(5.0)]);
    assert_eq!(names(store, &several).await, ["5", "a"]);
    let json = AlarmFilter::eq_text("rule", r#"{"event_type": "*", "query": []}"#);
    assert_eq!(names(store, &json).await.len(), 6);
    let severe = compare(Operator::Lt, "severity", text("low"));
    assert_eq!(names(store, &severe).await, ["5", "a"]);
}

/// Truths and times compare as what they are.
pub async fn alarm_filters_on_truths_and_times(store: &dyn AlarmStore) {
    some(store).await;
    let enabled = |value| compare(Operator::Eq, "enabled", value);
    assert_eq!(names(store, &enabled(AlarmValue::Bool(true))).await, ["ab", "true"]);
    assert_eq!(names(store, &enabled(AlarmValue::Bool(false))).await, ["B", "ä"]);
    assert_eq!(names(store, &enabled(text("False"))).await, ["B", "ä"]);
    assert_eq!(names(store, &enabled(AlarmValue::Number(1.0))).await, ["ab", "true"]);
    assert_eq!(names(store, &enabled(AlarmValue::Number(0.5))).await, Vec::<String>::new());
    let any = AlarmFilter::In("enabled".to_owned(), vec![AlarmValue::Bool(true), AlarmValue::Bool(false)]);
    assert_eq!(names(store, &any).await, ["B", "ab", "true", "ä"]);
    let time = |operator| compare(operator, "timestamp", AlarmValue::Time(after(2)));
    assert_eq!(names(store, &time(Operator::Eq)).await, ["a"]);
    assert_eq!(names(store, &time(Operator::Le)).await, ["B", "a"]);
    assert_eq!(names(store, &time(Operator::Ne)).await.len(), 5);
}

/// What has no value matches nothing, and neither does its opposite.
pub async fn alarm_filters_keep_unknown_unknown(store: &dyn AlarmStore) {
    some(store).await;
    let user = AlarmFilter::eq_text("user_id", "u");
    let column = || "user_id".to_owned();
    for filter in [
        user.clone(),
        AlarmFilter::Not(Box::new(AlarmFilter::eq_text("user_id", "other"))),
        AlarmFilter::Not(Box::new(AlarmFilter::Not(Box::new(user.clone())))),
        AlarmFilter::Not(Box::new(AlarmFilter::In(column(), Vec::new()))),
        AlarmFilter::Not(Box::new(AlarmFilter::Matches(column(), "x".to_owned()))),
        AlarmFilter::Matches(column(), String::new()),
        AlarmFilter::Matches("ok_actions".to_owned(), "^\\[]$".to_owned()),
    ] {
        assert_eq!(names(store, &filter).await.len(), 5, "{filter:?}");
    }
    let all = AlarmFilter::Or(vec![user, AlarmFilter::eq_text("name", "B")]);
    assert_eq!(names(store, &all).await.len(), 6);
    assert!(names(store, &AlarmFilter::In(column(), Vec::new())).await.is_empty());
}

/// Filters join; of nothing all hold and none does.
pub async fn alarm_filters_combine(store: &dyn AlarmStore) {
    some(store).await;
    let name = |name: &str| AlarmFilter::eq_text("name", name);
    let either = AlarmFilter::Or(vec![name("a"), name("ab")]);
    assert_eq!(names(store, &either).await, ["a", "ab"]);
    let both = either.clone().and(AlarmFilter::Not(Box::new(name("a"))));
    assert_eq!(names(store, &both).await, ["ab"]);
    assert_eq!(names(store, &AlarmFilter::All.and(name("a"))).await, ["a"]);
    assert_eq!(names(store, &AlarmFilter::And(Vec::new())).await.len(), 6);
    assert!(names(store, &AlarmFilter::Or(Vec::new())).await.is_empty());
    assert!(names(store, &AlarmFilter::Not(Box::new(AlarmFilter::All))).await.is_empty());
    let many = AlarmFilter::Or((0..5000).map(|number| name(&number.to_string())).collect());
    assert_eq!(names(store, &many).await, ["5"]);
}

/// Regular expressions are found anywhere in a text, and have one meaning everywhere.
pub async fn alarm_filters_match_expressions(store: &dyn AlarmStore) {
    some(store).await;
    let name = |pattern: &str| AlarmFilter::Matches("name".to_owned(), pattern.to_owned());
    assert_eq!(names(store, &name("a")).await, ["a", "ab"]);
    assert_eq!(names(store, &name("^(?i)[AB]")).await, ["B", "a", "ab"]);
    assert_eq!(names(store, &name(r"^\p{Alphabetic}$")).await, ["B", "a", "ä"]);
    let not = AlarmFilter::Not(Box::new(name("a")));
    assert_eq!(names(store, &not).await, ["5", "B", "true", "ä"]);
    let either = AlarmFilter::Or(vec![name("ab"), AlarmFilter::eq_text("name", "5")]);
    assert_eq!(names(store, &either).await, ["5", "ab"]);
    let neither = AlarmFilter::Not(Box::new(AlarmFilter::Or(vec![either, name("true|ä")])));
    assert_eq!(names(store, &neither).await, ["B", "a"]);
    let rule = AlarmFilter::Matches("rule".to_owned(), "\"event_type\": \"\\*\"".to_owned());
    assert_eq!(names(store, &rule.and(name("b"))).await, ["ab"]);
}

/// Columns that are not there, values that a column cannot have, bad expressions, and too much of anything.
pub async fn alarm_filters_refuse_what_has_no_meaning(store: &dyn AlarmStore) {
    let equal = |column: &str, value| compare(Operator::Eq, column, value);
    for filter in [
        equal("none", text("a")),
        equal("version", AlarmValue::Number(1.0)),
        equal("name", AlarmValue::Time(after(0))),
        equal("name", text("a\0")),
        equal("name", AlarmValue::Number(f64::NAN)),
        equal("enabled", text("perhaps")),
        equal("enabled", AlarmValue::Time(after(0))),
        equal("timestamp", text("yesterday")),
        equal("timestamp", AlarmValue::Number(1.0)),
        AlarmFilter::Matches("name".to_owned(), "(".to_owned()),
        AlarmFilter::Matches("timestamp".to_owned(), "1".to_owned()),
        AlarmFilter::Not(Box::new(AlarmFilter::In("none".to_owned(), Vec::new()))),
        AlarmFilter::Or(vec![AlarmFilter::All; 100_000]),
    ] {
        let outcome = store.alarms(&filter, &Page::default()).await;
        assert!(matches!(outcome, Err(AlarmStoreError::Query(_))), "{outcome:?}");
    }
}
