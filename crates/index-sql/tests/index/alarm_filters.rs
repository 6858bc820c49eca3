//! Random filters over random alarms: what the index finds is what a plain reading of the rules finds.

use std::cmp::Ordering;

use nephometer_drivers::{
    AlarmFilter, AlarmLimits, AlarmStore, AlarmValue, ChangeRecord, Direction, NullOrder, Page, Sort,
};
use nephometer_index_sql::SqlIndex;
use nephometer_model::{Alarm, AlarmRule, AlarmState, EventRule, Operator, Severity};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;

use crate::alarm_support::{alarm, moment};
use crate::support;

const TEXTS: [&str; 7] = ["", "a", "A", "ab", "b", "ä", "😀"];
const PATTERNS: [&str; 6] = ["a", "^.$", "[^a]", "(?i)A", "\\w", "^$|b"];

/// A cell as comparisons see it.
#[derive(Debug, Clone, PartialEq, PartialOrd)]
enum Plain {
    Text(String),
    Number(i64),
}

fn text(value: impl Into<String>) -> Option<Plain> {
    Some(Plain::Text(value.into()))
}

fn field(alarm: &Alarm, name: &str) -> Option<Plain> {
    match name {
        "alarm_id" => text(alarm.id.0.clone()),
        "name" => text(alarm.name.clone()),
        "user_id" => alarm.user_id.clone().map(Plain::Text),
        "state" => text(alarm.state.as_str()),
        "severity" => text(alarm.severity.as_str()),
        "rule" => text(format!("{{\"event_type\": \"{}\", \"query\": []}}", escaped(&alarm.description))),
        "ok_actions" => alarm.ok_actions.as_ref().and(text("[]")),
        "enabled" => alarm.enabled.map(|enabled| Plain::Number(enabled.into())),
        "repeat_actions" => Some(Plain::Number(alarm.repeat_actions.into())),
        "timestamp" => Some(Plain::Number(alarm.timestamp.micros())),
        other => panic!("{other}"),
    }
}

fn escaped(text: &str) -> String {
    let units = |character: char| -> String {
        let mut units = [0; 2];
        character.encode_utf16(&mut units).iter().map(|unit| format!("\\u{unit:04x}")).collect()
    };
    text.chars()
        .map(|character| if character.is_ascii() { character.to_string() } else { units(character) })
        .collect()
}

fn value(value: &AlarmValue) -> Plain {
    match value {
        AlarmValue::Bool(value) => Plain::Number((*value).into()),
        AlarmValue::Time(time) => Plain::Number(time.micros()),
        AlarmValue::Text(text) => Plain::Text(text.clone()),
        AlarmValue::Number(number) => Plain::Text(number.to_string()),
    }
}

/// Whether a filter holds; nothing for unknown.
fn holds(filter: &AlarmFilter, alarm: &Alarm) -> Option<bool> {
    match filter {
        AlarmFilter::All => Some(true),
        AlarmFilter::Compare(operator, name, wanted) => {
            let ordering = field(alarm, name)?.partial_cmp(&value(wanted)).unwrap();
            Some(match operator {
                Operator::Lt => ordering == Ordering::Less,
                Operator::Le => ordering != Ordering::Greater,
                Operator::Eq => ordering == Ordering::Equal,
                Operator::Ne => ordering != Ordering::Equal,
                Operator::Ge => ordering != Ordering::Less,
                Operator::Gt => ordering == Ordering::Greater,
            })
        }
        AlarmFilter::In(name, wanted) => {
            let cell = field(alarm, name)?;
            Some(wanted.iter().any(|wanted| value(wanted) == cell))
        }
        AlarmFilter::Matches(name, pattern) => match field(alarm, name)? {
            Plain::Text(cell) => Some(regex::Regex::new(pattern).unwrap().is_match(&cell)),
            Plain::Number(_) => panic!("a pattern for a number"),
        },
        AlarmFilter::And(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, alarm)).collect();
            if parts.contains(&Some(false)) {
                Some(false)
            } else if parts.contains(&None) {
                None
            } else {
                Some(true)
            }
        }
        AlarmFilter::Or(parts) => {
            let parts: Vec<_> = parts.iter().map(|part| holds(part, alarm)).collect();
            if parts.contains(&Some(true)) {
                Some(true)
            } else if parts.contains(&None) {
                None
            } else {
                Some(false)
            }
        }
        AlarmFilter::Not(inner) => holds(inner, alarm).map(|holds| !holds),
    }
}

fn any_text() -> impl Strategy<Value = String> {
    prop::sample::select(&TEXTS[..]).prop_map(str::to_owned)
}

prop_compose! {
    fn any_alarm()(
        name in any_text(),
        description in any_text(),
        user_id in prop::option::of(any_text()),
        enabled in any::<Option<bool>>(),
        repeat_actions in any::<bool>(),
        state in prop::sample::select(AlarmState::ALL),
        severity in prop::sample::select(Severity::ALL),
        time in 0_u128..5,
        has_actions in any::<bool>(),
    ) -> Alarm {
        Alarm {
            name,
            user_id,
            enabled,
            repeat_actions,
            state,
            severity,
            timestamp: moment(time),
            ok_actions: has_actions.then(Vec::new),
            rule: AlarmRule::Event(EventRule { event_type: description.clone(), query: Vec::new() }),
            description,
            ..alarm(0, "p", "u")
        }
    }
}

/// A column and a value that it is compared with.
fn any_comparison() -> impl Strategy<Value = (String, AlarmValue)> {
    let of = |names: &'static [&'static str]| prop::sample::select(names).prop_map(str::to_owned);
    let word = prop::sample::select(&["ok", "alarm", "low", "critical", "[]"][..]).prop_map(str::to_owned);
    prop_oneof![
        3 => (of(&["name", "user_id"]), any_text().prop_map(AlarmValue::Text)),
        1 => (of(&["name", "rule"]), (0_i32..9).prop_map(|number| AlarmValue::Number(number.into()))),
        2 => (of(&["state", "severity", "ok_actions"]), word.prop_map(AlarmValue::Text)),
        2 => (of(&["enabled", "repeat_actions"]), any::<bool>().prop_map(AlarmValue::Bool)),
        2 => (of(&["timestamp"]), (0_u128..5).prop_map(|time| AlarmValue::Time(moment(time)))),
    ]
}

fn any_filter() -> impl Strategy<Value = AlarmFilter> {
    let operator = prop::sample::select(Operator::ALL);
    let matched = prop::sample::select(&["name", "user_id", "state", "rule", "ok_actions"][..]);
    let leaf = prop_oneof![
        1 => Just(AlarmFilter::All),
        6 => (operator, any_comparison()).prop_map(|(operator, (name, value))| AlarmFilter::Compare(operator, name, value)),
        2 => (any_comparison(), 0_usize..3, any_text()).prop_map(|((name, value), count, text)| {
            let mut values = vec![value; count.min(1)];
            if count > 1 && ["name", "user_id"].contains(&name.as_str()) {
                values.push(AlarmValue::Text(text));
            }
            AlarmFilter::In(name, values)
        }),
        2 => (matched, prop::sample::select(&PATTERNS[..]))
            .prop_map(|(name, pattern)| AlarmFilter::Matches(name.to_owned(), pattern.to_owned())),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(AlarmFilter::And),
            prop::collection::vec(inner.clone(), 0..4).prop_map(AlarmFilter::Or),
            inner.prop_map(|inner| AlarmFilter::Not(Box::new(inner))),
        ]
    })
}

fn any_sorts() -> impl Strategy<Value = Vec<Sort>> {
    let key =
        prop::sample::select(&["name", "user_id", "enabled", "severity", "timestamp", "ok_actions"][..]);
    let direction = prop::sample::select(&[Direction::Ascending, Direction::Descending][..]);
    let nulls = prop::sample::select(&[None, Some(NullOrder::First), Some(NullOrder::Last)][..]);
    let sort = (key, direction, nulls).prop_map(|(key, direction, nulls)| Sort {
        key: key.to_owned(),
        direction,
        nulls,
    });
    prop::collection::vec(sort, 0..3)
}

/// The order that sorts ask for.
fn order(sorts: &[Sort], one: &Alarm, other: &Alarm) -> Ordering {
    let newest = [Sort { key: "timestamp".to_owned(), direction: Direction::Descending, nulls: None }];
    for sort in if sorts.is_empty() { &newest } else { sorts } {
        let value = |alarm: &Alarm| match sort.key.as_str() {
            "severity" => Some(Plain::Number(alarm.severity as i64)),
            key => field(alarm, key),
        };
        let descending = sort.direction == Direction::Descending;
        let nulls_first = sort.nulls.map_or(descending, |nulls| nulls == NullOrder::First);
        let ordering = match (value(one), value(other)) {
            (None, None) => Ordering::Equal,
            (None, Some(_)) => {
                if nulls_first {
                    Ordering::Less
                } else {
                    Ordering::Greater
                }
            }
            (Some(_), None) => {
                if nulls_first {
                    Ordering::Greater
                } else {
                    Ordering::Less
                }
            }
            (Some(one), Some(other)) => {
                let ordering = one.partial_cmp(&other).unwrap();
                if descending { ordering.reverse() } else { ordering }
            }
        };
        if ordering != Ordering::Equal {
            return ordering;
        }
    }
    one.id.cmp(&other.id)
}

fn check(index: &SqlIndex, handle: &tokio::runtime::Handle) {
    let mut runner = TestRunner::new(ProptestConfig {
        cases: 8,
        max_shrink_iters: 64,
        failure_persistence: None,
        ..ProptestConfig::default()
    });
    let cases = (
        prop::collection::vec(any_alarm(), 1..40),
        prop::collection::vec((any_filter(), any_sorts(), 1_u64..6), 40),
    );
    let outcome = runner.run(&cases, |(alarms, queries)| {
        handle.block_on(async {
            for old in index.alarms(&AlarmFilter::All, &Page::default()).await.unwrap() {
                index.delete(&old.id, old.version, Vec::new()).await.unwrap();
            }
            let mut stored = Vec::new();
            for (number, alarm_given) in (0..).zip(alarms) {
                let given = Alarm { id: crate::alarm_support::id(number), ..alarm_given };
                stored.push(
                    index.create(given, ChangeRecord::default(), AlarmLimits::default()).await.unwrap(),
                );
            }
            for (filter, sorts, limit) in &queries {
                let mut expected: Vec<_> =
                    stored.iter().filter(|alarm| holds(filter, alarm) == Some(true)).collect();
                expected.sort_by(|one, other| order(sorts, one, other));
                let mut page = Page { limit: Some(*limit), marker: None, sorts: sorts.clone() };
                let mut found = Vec::new();
                loop {
                    let rows = index.alarms(filter, &page).await.unwrap();
                    let Some(last) = rows.last() else { break };
                    page.marker = Some(last.id.0.clone());
                    found.extend(rows);
                }
                prop_assert_eq!(found.iter().collect::<Vec<_>>(), expected, "{:?} {:?}", filter, sorts);
            }
            Ok(())
        })
    });
    outcome.unwrap();
}

#[test]
fn sqlite_finds_the_alarms_that_match() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fresh = runtime.block_on(support::sqlite());
    check(&fresh.index, runtime.handle());
}

#[test]
fn postgres_finds_the_alarms_that_match() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let fresh = runtime.block_on(support::postgres());
    check(&fresh.index, runtime.handle());
}
