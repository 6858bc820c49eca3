//! When resources began their revisions and ended.

use nephometer_model::{ResourceId, Timestamp};

use super::fixtures::{at, change_project, later, metric, prepare, resource, rid};
use crate::{Indexer, LifeQuery, LifeState, ResourceChange, ResourceLife};

fn lives(state: LifeState) -> LifeQuery {
    LifeQuery { state, after: None, limit: 100, with_series: true }
}

async fn ids(index: &dyn Indexer, state: LifeState) -> Vec<ResourceId> {
    index.list_lives(&lives(state)).await.unwrap().into_iter().map(|life| life.id).collect()
}

/// Makes `id`, ended at a second after 1000 if given.
async fn make(index: &dyn Indexer, id: u128, type_name: &str, ended: Option<i64>) {
    let mut new = resource(id, type_name);
    new.ended_at = ended.map(at);
    index.create_resource(new).await.unwrap();
}

/// Open and ended resources of any type, each before a time, with all their series; as they are now, not as they were.
pub async fn lives_are_listed_by_state(index: &dyn Indexer) {
    prepare(index).await;
    for (id, type_name, ended) in
        [(3, "server", None), (1, "generic", None), (2, "server", Some(3000)), (4, "generic", Some(2000))]
    {
        make(index, id, type_name, ended).await;
    }
    let news = [(1, Some(3), "a"), (2, Some(2), "a"), (3, Some(3), "b"), (4, None, "c")];
    let news = news.map(|(id, owner, name)| metric(id, owner, name));
    let made = index.create_or_get_metrics(news.into()).await.unwrap();
    let open = LifeState::Open { unchanged_since: later(1) };
    let listed = index.list_lives(&lives(open)).await.unwrap();
    let mut series = vec![made[0].key, made[2].key];
    series.sort_unstable();
    let life = |id, ended_at, series| ResourceLife { id, ended_at, revision_start: later(0), series };
    assert_eq!(listed, [life(rid(1), None, vec![]), life(rid(3), None, series)]);
    let ended = |before| LifeState::Ended { before };
    let listed = index.list_lives(&lives(ended(at(3001)))).await.unwrap();
    let two = life(rid(2), Some(at(3000)), vec![made[1].key]);
    assert_eq!(listed, [life(rid(4), Some(at(2000)), vec![]), two]);
    assert_eq!(ids(index, ended(at(3000))).await, [rid(4)]);
    assert_eq!(ids(index, LifeState::Open { unchanged_since: later(0) }).await, []);
    let bare = LifeQuery { with_series: false, ..lives(open) };
    assert!(index.list_lives(&bare).await.unwrap().iter().all(|life| life.series.is_empty()));

    index.update_resource("generic", rid(1), change_project(5, "p")).await.unwrap();
    let again = ResourceChange { ended_at: Some(None), now: later(6), ..ResourceChange::default() };
    index.update_resource("generic", rid(2), again).await.unwrap();
    assert_eq!(ids(index, open).await, [rid(3)]);
    assert_eq!(ids(index, LifeState::Open { unchanged_since: later(6) }).await, [rid(1), rid(3)]);
    assert_eq!(ids(index, ended(Timestamp::from_ns(i64::MAX))).await, [rid(4)]);
}

/// Pages walk through everything once, equal ends included, and go on from where a resource was.
pub async fn lives_are_paged(index: &dyn Indexer) {
    prepare(index).await;
    for id in 0..9 {
        make(index, id, "server", (id % 2 == 1).then(|| 5000 - i64::try_from(id / 4).unwrap())).await;
    }
    for state in [
        LifeState::Open { unchanged_since: later(1) },
        LifeState::Ended { before: Timestamp::from_ns(i64::MAX) },
    ] {
        let whole = index.list_lives(&lives(state)).await.unwrap();
        let mut walked = Vec::new();
        let mut query = LifeQuery { limit: 2, ..lives(state) };
        loop {
            let page = index.list_lives(&query).await.unwrap();
            let Some(last) = page.last() else { break };
            query.after = Some((last.ended_at, last.id));
            index.delete_resource("generic", last.id).await.unwrap();
            assert!(page.len() <= 2);
            walked.extend(page);
        }
        assert_eq!(walked, whole);
    }
    assert_eq!(index.counts().await.unwrap().resources, 4);
}
