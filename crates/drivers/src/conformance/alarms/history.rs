//! History of alarms.

use nephometer_model::{AlarmChange, AlarmChangeKind, Operator, Severity};
use uuid::Uuid;

use super::fixtures::{after, alarm, change, compare, make, sorted};
use crate::{AlarmFilter, AlarmLimits, AlarmStore, AlarmStoreError, AlarmValue, Direction, Page};

/// Adds records to the alarm 1 by changing nothing else of it.
async fn record(store: &dyn AlarmStore, changes: Vec<AlarmChange>) {
    let mut seen = make(store, alarm(1)).await;
    for change in changes {
        seen = store.update(seen, change.into()).await.unwrap();
    }
}

/// What comes out is what went in.
pub async fn history_is_kept_as_given(store: &dyn AlarmStore) {
    let first = change(&alarm(1), 1);
    store.create(alarm(1), first.clone().into(), AlarmLimits::default()).await.unwrap();
    let second = AlarmChange {
        kind: AlarmChangeKind::RuleChange,
        user_id: None,
        project_id: None,
        on_behalf_of: None,
        severity: None,
        ..change(&alarm(1), 2)
    };
    let seen = store.alarm(&alarm(1).id).await.unwrap();
    store.update(seen, second.clone().into()).await.unwrap();
    assert_eq!(store.history(&AlarmFilter::All, &Page::default()).await.unwrap(), [second, first]);
}

/// Records are found by what they say, newest first or as asked.
pub async fn history_is_searched_and_paged(store: &dyn AlarmStore) {
    let number = |number: u128| AlarmChange {
        severity: [None, Some(Severity::Critical), Some(Severity::Low)][usize::try_from(number % 3).unwrap()],
        timestamp: after(i64::try_from(number / 2).unwrap()),
        ..change(&alarm(1), number)
    };
    record(store, (1..=7).map(number).collect()).await;
    let find = async |filter: &AlarmFilter, page: &Page| {
        let found = store.history(filter, page).await.unwrap();
        found.into_iter().map(|change| change.event_id.as_u128()).collect::<Vec<_>>()
    };
    let everything = AlarmFilter::All;
    assert_eq!(find(&everything, &Page::default()).await, [6, 7, 4, 5, 2, 3, 1]);
    let marker = Uuid::from_u128(4).to_string();
    let page = Page { limit: Some(2), marker: Some(marker.clone()), sorts: Vec::new() };
    assert_eq!(find(&everything, &page).await, [5, 2]);
    let severe = sorted(&[("severity", Direction::Descending), ("timestamp", Direction::Ascending)]);
    assert_eq!(find(&everything, &severe).await, [3, 6, 1, 4, 7, 2, 5]);
    let since = compare(Operator::Ge, "timestamp", AlarmValue::Time(after(3)));
    assert_eq!(find(&since, &Page::default()).await, [6, 7]);
    let detail = AlarmFilter::Matches("detail".to_owned(), "number\": [23]".to_owned());
    assert_eq!(find(&detail, &Page::default()).await, [2, 3]);
    let owner = AlarmFilter::eq_text("on_behalf_of", "p").and(AlarmFilter::eq_text("severity", "low"));
    assert_eq!(find(&owner, &Page::default()).await, [5, 2]);
    let outcome = store.history(&detail, &page).await;
    assert_eq!(outcome, Err(AlarmStoreError::NoSuchMarker(marker)));
    let outcome = store.history(&AlarmFilter::eq_text("name", "a"), &Page::default()).await;
    assert!(matches!(outcome, Err(AlarmStoreError::Query(_))), "{outcome:?}");
}

/// The oldest records go first, so many at a time.
pub async fn history_expires_from_its_old_end(store: &dyn AlarmStore) {
    record(store, (1..=5).map(|number| change(&alarm(1), number)).collect()).await;
    assert_eq!(store.expire_history(after(4), 2).await.unwrap(), 2);
    let left = store.history(&AlarmFilter::All, &Page::default()).await.unwrap();
    assert_eq!(left.iter().map(|change| change.event_id.as_u128()).collect::<Vec<_>>(), [5, 4, 3]);
    assert_eq!(store.expire_history(after(4), 2).await.unwrap(), 1);
    assert_eq!(store.expire_history(after(4), 2).await.unwrap(), 0);
}
