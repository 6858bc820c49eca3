//! Alarms are made, replaced, deleted.

use nephometer_model::{Alarm, AlarmRule, Timestamp};
use serde_json::json;

use super::fixtures::{alarm, change, id, make, transition, unusual};
use crate::{AlarmFilter, AlarmLimits, AlarmStore, AlarmStoreError, ChangeRecord, Page};

/// What comes out is what went in, times rounded to microseconds.
pub async fn alarms_are_kept_as_given(store: &dyn AlarmStore) {
    for given in [alarm(1), unusual()] {
        let timestamp = Timestamp::from_ns(given.timestamp.ns() + 499);
        let made = make(store, Alarm { timestamp, version: 77, ..given.clone() }).await;
        assert_eq!(made, Alarm { version: made.version, ..given.clone() });
        assert_eq!(store.alarm(&given.id).await.unwrap(), made);
        let filter = AlarmFilter::eq_text("alarm_id", &given.id.0);
        assert_eq!(store.alarms(&filter, &Page::default()).await.unwrap(), [made]);
    }
    let missing = AlarmStoreError::NoSuchAlarm(id(2));
    assert_eq!(store.alarm(&id(2)).await, Err(missing));
}

/// A rule of an unknown type is listed as it is.
pub async fn alarms_keep_rules_nobody_knows(store: &dyn AlarmStore) {
    let rule = AlarmRule::Unknown { type_name: "mystery".to_owned(), rule: json!({"é": [1, 2.0, null]}) };
    let made = make(store, Alarm { rule, ..alarm(1) }).await;
    assert_eq!(
        store.alarms(&AlarmFilter::eq_text("type", "mystery"), &Page::default()).await.unwrap(),
        [made]
    );
}

/// An id is taken once.
pub async fn alarms_are_made_once(store: &dyn AlarmStore) {
    make(store, alarm(1)).await;
    let again = Alarm { name: "another".to_owned(), ..alarm(1) };
    let outcome = store.create(again.clone(), change(&again, 1).into(), AlarmLimits::default()).await;
    assert_eq!(outcome, Err(AlarmStoreError::Changed));
    assert_eq!(store.alarm(&id(1)).await.unwrap().name, "alarm 1");
    assert!(store.history(&AlarmFilter::All, &Page::default()).await.unwrap().is_empty());
}

/// Texts that not all databases can keep are refused, those of others' making are made fit.
pub async fn alarms_refuse_what_could_not_be_found(store: &dyn AlarmStore) {
    for wrong in [
        Alarm { name: "a\0b".to_owned(), ..alarm(1) },
        Alarm { project_id: Some("p\0".to_owned()), ..alarm(1) },
        Alarm { user_id: Some("u".repeat(100_000)), ..alarm(1) },
    ] {
        let outcome = store.create(wrong, ChangeRecord::default(), AlarmLimits::default()).await;
        assert!(matches!(outcome, Err(AlarmStoreError::Query(_))), "{outcome:?}");
    }
    let long = "x".repeat(100_000);
    let made = make(store, Alarm { name: long.clone(), description: long.clone(), ..alarm(1) }).await;
    assert_eq!(store.alarms(&AlarmFilter::eq_text("name", &long), &Page::default()).await.unwrap(), [made]);
}

/// An alarm is replaced if it is still as the caller saw it, else nothing happens.
pub async fn alarms_are_replaced_as_they_were_seen(store: &dyn AlarmStore) {
    let made = make(store, alarm(1)).await;
    let wanted = Alarm { id: made.id.clone(), version: made.version, ..unusual() };
    let updated = store.update(wanted.clone(), change(&made, 1).into()).await.unwrap();
    assert!(updated.version > made.version);
    assert_eq!(updated, Alarm { version: updated.version, ..wanted.clone() });
    assert_eq!(store.alarm(&made.id).await.unwrap(), updated);
    assert_eq!(store.update(wanted, change(&made, 2).into()).await, Err(AlarmStoreError::Changed));
    assert_eq!(store.alarm(&made.id).await.unwrap(), updated);
    assert_eq!(store.history(&AlarmFilter::All, &Page::default()).await.unwrap(), [change(&made, 1)]);
    let missing = Alarm { id: id(9), ..made };
    assert_eq!(
        store.update(missing, ChangeRecord::default()).await,
        Err(AlarmStoreError::NoSuchAlarm(id(9)))
    );
}

/// With an alarm go its history and counters.
pub async fn alarms_go_with_all_they_have(store: &dyn AlarmStore) {
    let limits = AlarmLimits::default();
    for number in 1..=2 {
        let new = alarm(number);
        store.create(new.clone(), change(&new, number).into(), limits).await.unwrap();
    }
    let seen = store.alarm(&id(1)).await.unwrap();
    store.apply(vec![transition(&seen)]).await.unwrap();
    let version = seen.version + 1;
    assert_eq!(store.delete(&id(1), seen.version, Vec::new()).await, Err(AlarmStoreError::Changed));
    assert_eq!(store.alarm(&id(1)).await.unwrap().version, version);
    store.delete(&id(1), version, Vec::new()).await.unwrap();
    let gone = Err(AlarmStoreError::NoSuchAlarm(id(1)));
    assert_eq!(store.delete(&id(1), version, Vec::new()).await, gone);
    assert_eq!(store.alarm(&id(1)).await, Err(AlarmStoreError::NoSuchAlarm(id(1))));
    assert_eq!(store.history(&AlarmFilter::All, &Page::default()).await.unwrap(), [change(&alarm(2), 2)]);
    assert_eq!(store.alarms(&AlarmFilter::All, &Page::default()).await.unwrap().len(), 1);
}
