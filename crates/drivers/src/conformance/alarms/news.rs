//! What evaluators are told.

use nephometer_model::AlarmId;

use super::fixtures::{alarm, id, make, remove};
use crate::{ALARM_SHARES, AlarmNews, AlarmStore, ChangeRecord, share_of};

fn everything() -> Vec<(u16, i64)> {
    (0..ALARM_SHARES).map(|share| (share, 0)).collect()
}

fn ids(mut news: AlarmNews) -> (Vec<AlarmId>, Vec<AlarmId>) {
    news.changed.sort_by(|one, other| one.id.cmp(&other.id));
    news.deleted.sort();
    (news.changed.into_iter().map(|alarm| alarm.id).collect(), news.deleted)
}

/// From call to call only what is new is told.
pub async fn news_tell_what_changed_and_what_is_gone(store: &dyn AlarmStore) {
    let nothing = store.news(&everything()).await.unwrap();
    assert_eq!((nothing.changed.len(), nothing.deleted.len()), (0, 0));
    for number in 1..=3 {
        make(store, alarm(number)).await;
    }
    let first = store.news(&nothing.revisions).await.unwrap();
    assert_eq!(ids(first.clone()), (vec![id(1), id(2), id(3)], vec![]));
    let seen = store.alarm(&id(2)).await.unwrap();
    let updated = store.update(seen, ChangeRecord::default()).await.unwrap();
    remove(store, 3).await;
    let second = store.news(&first.revisions).await.unwrap();
    assert_eq!((second.changed.clone(), second.deleted.clone()), (vec![updated], vec![id(3)]));
    let third = store.news(&second.revisions).await.unwrap();
    assert_eq!((ids(third.clone()), third.revisions), ((vec![], vec![]), second.revisions));
    assert_eq!(ids(store.news(&everything()).await.unwrap()).0, [id(1), id(2)]);
    make(store, alarm(3)).await;
    assert_eq!(ids(store.news(&first.revisions).await.unwrap()), (vec![id(2), id(3)], vec![]));
}

/// Who asks for some shares hears of these only.
pub async fn news_are_by_share(store: &dyn AlarmStore) {
    for number in 1..=40 {
        make(store, alarm(number)).await;
    }
    let mut told = Vec::new();
    for share in 0..ALARM_SHARES {
        let news = store.news(&[(share, 0)]).await.unwrap();
        assert_eq!(news.revisions.iter().map(|(share, _)| *share).collect::<Vec<_>>(), [share]);
        assert!(news.changed.iter().all(|alarm| share_of(&alarm.id) == share));
        told.extend(news.changed);
    }
    assert_eq!(told.len(), 40);
    assert!(store.news(&[]).await.unwrap().changed.is_empty());
}
