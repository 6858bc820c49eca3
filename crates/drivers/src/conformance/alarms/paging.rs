//! Pages and their order.

use nephometer_model::{Alarm, Severity};

use super::fixtures::{after, alarm, id, make, sorted};
use crate::Direction::{Ascending, Descending};
use crate::{AlarmFilter, AlarmStore, AlarmStoreError, NullOrder, Page, Sort};

async fn numbers(store: &dyn AlarmStore, filter: &AlarmFilter, page: &Page) -> Vec<u128> {
    let found = store.alarms(filter, page).await.unwrap();
    found.into_iter().map(|alarm| uuid::Uuid::parse_str(&alarm.id.0).unwrap().as_u128()).collect()
}

/// Without sorts the newest definition comes first, of equal ones the smallest id.
pub async fn alarm_pages_begin_with_the_newest(store: &dyn AlarmStore) {
    for number in [3, 1, 2] {
        make(store, Alarm { timestamp: after(i64::from(number == 1)), ..alarm(number) }).await;
    }
    assert_eq!(numbers(store, &AlarmFilter::All, &Page::default()).await, [1, 2, 3]);
    let page = Page { limit: Some(1), ..Page::default() };
    assert_eq!(numbers(store, &AlarmFilter::All, &page).await, [1]);
    let page = Page { marker: Some(id(2).0), ..Page::default() };
    assert_eq!(numbers(store, &AlarmFilter::All, &page).await, [3]);
    let page = Page { limit: Some(0), ..Page::default() };
    assert!(numbers(store, &AlarmFilter::All, &page).await.is_empty());
}

/// Page by page everything is seen once, whatever the sort keys and however many rows are equal.
pub async fn alarm_pages_walk_through_everything(store: &dyn AlarmStore) {
    for number in 1..=13 {
        let odd = number % 2 == 1;
        make(
            store,
            Alarm {
                name: format!("name {}", number % 3),
                project_id: (number % 4 != 0).then(|| format!("project {}", number % 4)),
                enabled: [Some(true), Some(false), None][usize::try_from(number % 3).unwrap()],
                severity: if odd { Severity::Critical } else { Severity::Moderate },
                ..alarm(number)
            },
        )
        .await;
    }
    for keys in [
        &[][..],
        &[("name", Ascending)],
        &[("name", Descending)],
        &[("project_id", Ascending), ("name", Descending)],
        &[("project_id", Descending)],
        &[("severity", Descending), ("enabled", Ascending)],
        &[("enabled", Descending), ("alarm_id", Descending)],
        &[("state", Ascending), ("repeat_actions", Descending), ("timestamp", Ascending)],
    ] {
        for filter in [AlarmFilter::All, AlarmFilter::Matches("name".to_owned(), "name".to_owned())] {
            let mut page = sorted(keys);
            let all = numbers(store, &filter, &page).await;
            assert_eq!(all.len(), 13);
            page.limit = Some(4);
            let mut walked: Vec<u128> = Vec::new();
            loop {
                let next = numbers(store, &filter, &page).await;
                walked.extend(&next);
                let Some(last) = next.last() else { break };
                page.marker = Some(id(*last).0);
            }
            assert_eq!(walked, all, "{keys:?}");
        }
    }
}

/// Severities sort by what they mean.
pub async fn alarm_pages_sort_by_meaning(store: &dyn AlarmStore) {
    for (number, severity) in (1..).zip([Severity::Moderate, Severity::Critical, Severity::Low]) {
        make(store, Alarm { severity, ..alarm(number) }).await;
    }
    let page = sorted(&[("severity", Ascending)]);
    assert_eq!(numbers(store, &AlarmFilter::All, &page).await, [3, 1, 2]);
    let page = sorted(&[("severity", Descending)]);
    assert_eq!(numbers(store, &AlarmFilter::All, &page).await, [2, 1, 3]);
}

/// Rows without a value are largest, unless the caller says where they go.
pub async fn alarm_pages_put_nulls_where_they_belong(store: &dyn AlarmStore) {
    for (number, user) in (1..).zip([Some("b"), None, Some("a")]) {
        make(store, Alarm { user_id: user.map(str::to_owned), ..alarm(number) }).await;
    }
    for (direction, nulls, expected) in [
        (Ascending, None, [3, 1, 2]),
        (Descending, None, [2, 1, 3]),
        (Ascending, Some(NullOrder::First), [2, 3, 1]),
        (Descending, Some(NullOrder::Last), [1, 3, 2]),
    ] {
        let sorts = vec![Sort { key: "user_id".to_owned(), direction, nulls }];
        let page = Page { sorts, ..Page::default() };
        assert_eq!(numbers(store, &AlarmFilter::All, &page).await, expected);
        for number in 0..3 {
            let marker = Some(id(expected[number]).0);
            let rest = numbers(store, &AlarmFilter::All, &Page { marker, ..page.clone() }).await;
            assert_eq!(rest, expected[number + 1..]);
        }
    }
}

/// A page of what an expression matches is as full as any other.
pub async fn alarm_pages_are_full_where_expressions_match(store: &dyn AlarmStore) {
    for number in 1..=20 {
        make(store, alarm(number)).await;
    }
    let filter = AlarmFilter::Matches("name".to_owned(), "[05]$".to_owned());
    let page = Page { limit: Some(2), ..sorted(&[("timestamp", Ascending)]) };
    assert_eq!(numbers(store, &filter, &page).await, [5, 10]);
    let page = Page { marker: Some(id(10).0), ..page };
    assert_eq!(numbers(store, &filter, &page).await, [15, 20]);
    let page = Page { marker: Some(id(11).0), ..page };
    let missing = AlarmStoreError::NoSuchMarker(id(11).0);
    assert_eq!(store.alarms(&filter, &page).await, Err(missing));
}

/// Keys that are not there, and markers that the filter does not find.
pub async fn alarm_pages_refuse_bad_keys_and_markers(store: &dyn AlarmStore) {
    make(store, alarm(1)).await;
    let outcome = store.alarms(&AlarmFilter::All, &sorted(&[("version", Ascending)])).await;
    assert!(matches!(outcome, Err(AlarmStoreError::Query(_))), "{outcome:?}");
    for marker in [id(2).0, id(1).0, "a\0".to_owned()] {
        let page = Page { marker: Some(marker.clone()), ..Page::default() };
        let outcome = store.alarms(&AlarmFilter::eq_text("name", "none"), &page).await;
        let error = outcome.unwrap_err();
        assert_eq!(error.to_string(), format!("Marker {marker} not found."));
    }
}
