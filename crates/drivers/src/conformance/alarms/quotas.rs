//! Quotas and counters.

use nephometer_model::{Alarm, AlarmCounts, AlarmState, Quota};

use super::fixtures::{alarm, id, make, remove};
use crate::{AlarmLimits, AlarmStore, AlarmStoreError, ChangeRecord};

fn quota(project: &str, limit: Option<u64>) -> Quota {
    Quota { project_id: project.to_owned(), resource: "alarms".to_owned(), limit }
}

/// Quotas are set, read and removed project by project.
pub async fn quotas_are_kept_by_project(store: &dyn AlarmStore) {
    assert!(store.quotas("p").await.unwrap().is_empty());
    let set = store.set_quotas("p", vec![quota("p", Some(1)), quota("p", Some(2))]).await.unwrap();
    assert_eq!(set, [quota("p", Some(2))]);
    store.set_quotas("q", vec![quota("q", Some(3))]).await.unwrap();
    assert_eq!(store.set_quotas("p", vec![quota("p", None)]).await.unwrap(), [quota("p", None)]);
    assert_eq!(store.set_quotas("p", Vec::new()).await.unwrap(), [quota("p", None)]);
    assert_eq!(store.quotas("q").await.unwrap(), [quota("q", Some(3))]);
    store.delete_quotas("p").await.unwrap();
    store.delete_quotas("p").await.unwrap();
    assert!(store.quotas("p").await.unwrap().is_empty());
    assert_eq!(store.quotas("q").await.unwrap().len(), 1);
}

/// A project's own quota comes before the usual limit; users have theirs over all projects.
pub async fn quotas_bound_projects_and_users(store: &dyn AlarmStore) {
    let limits = |project, user| AlarmLimits { project, user };
    let create = async |number, project: &str, user: &str, limits| {
        let new =
            Alarm { project_id: Some(project.to_owned()), user_id: Some(user.to_owned()), ..alarm(number) };
        store.create(new, ChangeRecord::default(), limits).await.map(drop)
    };
    let full = Err(AlarmStoreError::QuotaExceeded);
    assert_eq!(create(1, "p", "u", limits(Some(1), None)).await, Ok(()));
    assert_eq!(create(2, "p", "v", limits(Some(1), None)).await, full);
    assert_eq!(create(2, "p", "v", limits(None, Some(1))).await, Ok(()));
    assert_eq!(create(3, "q", "v", limits(None, Some(1))).await, full);
    store.set_quotas("p", vec![quota("p", Some(3))]).await.unwrap();
    assert_eq!(create(3, "p", "w", limits(Some(1), None)).await, Ok(()));
    assert_eq!(create(4, "p", "w", limits(None, None)).await, full);
    store.set_quotas("p", vec![quota("p", None)]).await.unwrap();
    assert_eq!(create(4, "p", "w", limits(Some(0), None)).await, Ok(()));
    store.set_quotas("p", vec![quota("p", Some(0))]).await.unwrap();
    assert_eq!(create(5, "p", "w", limits(None, None)).await, full);
    store.delete_quotas("p").await.unwrap();
    remove(store, 4).await;
    assert_eq!(create(5, "p", "w", limits(Some(4), Some(2))).await, Ok(()));
    let nobodys = Alarm { project_id: None, user_id: None, ..alarm(6) };
    assert!(store.create(nobodys, ChangeRecord::default(), limits(Some(0), Some(0))).await.is_ok());
}

/// Counters add up, begin at 1 again, and go with their alarm.
pub async fn counters_add_up(store: &dyn AlarmStore) {
    for number in 1..=3 {
        make(store, alarm(number)).await;
    }
    let counts = |number, project: &str, ok, alarm| AlarmCounts {
        alarm_id: id(number),
        project_id: project.to_owned(),
        insufficient_data: 0,
        ok,
        alarm,
    };
    let adding = vec![counts(1, "p", 2, 0), counts(2, "q", 0, 1), counts(1, "p", 1, 1), counts(9, "p", 1, 0)];
    store.count(adding).await.unwrap();
    assert_eq!(store.counts(None).await.unwrap(), [counts(1, "p", 3, 1), counts(2, "q", 0, 1)]);
    store.count(vec![counts(1, "p", 1_999_999_998, 0)]).await.unwrap();
    assert_eq!(store.counts(Some("p")).await.unwrap(), [counts(1, "p", 1, 1)]);
    store.count(vec![counts(1, "p", 1_999_999_999, 0)]).await.unwrap();
    assert_eq!(store.counts(Some("p")).await.unwrap(), [counts(1, "p", 2_000_000_000, 1)]);
    remove(store, 1).await;
    assert_eq!(store.counts(None).await.unwrap(), [counts(2, "q", 0, 1)]);
    store.count(Vec::new()).await.unwrap();
}

/// Alarms are counted by state, disabled ones are not.
pub async fn states_are_counted(store: &dyn AlarmStore) {
    for (number, state, enabled) in [
        (1, AlarmState::Ok, Some(true)),
        (2, AlarmState::Alarm, Some(true)),
        (3, AlarmState::Alarm, Some(true)),
        (4, AlarmState::Alarm, Some(false)),
        (5, AlarmState::Ok, None),
    ] {
        make(store, Alarm { state, enabled, ..alarm(number) }).await;
    }
    let mut states = store.states().await.unwrap();
    states.retain(|(_, count)| *count > 0);
    assert_eq!(states, [(AlarmState::Ok, 1), (AlarmState::Alarm, 2)]);
}
