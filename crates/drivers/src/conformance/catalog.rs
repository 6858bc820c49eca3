//! Behaviours of a [`PartCatalog`]. Its calls block and may need a thread of their own: run these functions on one.

use nephometer_model::{SeriesKey, Timespan, Timestamp};
use uuid::Uuid;

use crate::conformance::indexer::delete_some_metrics;
use crate::{
    CatalogChange, CatalogState, Indexer, LateCount, PartCatalog, PartId, PartKind, PartRow, Quarantined,
    Tombstone,
};

/// Calls the macro `$callback` with the names of all behaviours of [`conformance::catalog`](crate::conformance::catalog),
/// each a function over `&dyn PartCatalog`.
#[macro_export]
macro_rules! for_each_catalog_behaviour {
    ($callback:ident) => {
        $callback! {
            catalogs_begin_empty
            catalogs_keep_every_bit
            changes_are_applied_whole
            changes_are_applied_once
            late_measures_add_up
            forgotten_series_leave_nothing
        }
    };
}

fn part(number: u128) -> PartRow {
    PartRow {
        id: PartId(Uuid::from_u128(number)),
        kind: PartKind::Raw,
        sack: 3,
        level: 0,
        min_ns: -5,
        max_ns: 5,
        min_position: 10 * u64::try_from(number).unwrap(),
        max_position: 10 * u64::try_from(number).unwrap() + 10,
        bytes: 1000,
        series: 7,
        points: 99,
        as_of_ns: 5,
    }
}

fn add(parts: Vec<PartRow>, log_position: u64) -> CatalogChange {
    CatalogChange { add_parts: parts, log_position: Some(log_position), ..CatalogChange::default() }
}

fn tombstone(key: u64, position: u64) -> Tombstone {
    Tombstone { key: SeriesKey(key), start_ns: i64::MIN, stop_ns: i64::MAX, position }
}

fn late(key: u64, start_seconds: i64, measures: u64) -> LateCount {
    LateCount {
        key: SeriesKey(key),
        start: Timestamp::from_micros(start_seconds * 1_000_000),
        width: Timespan::from_seconds(60),
        measures,
    }
}

/// A fresh catalog holds nothing.
pub fn catalogs_begin_empty(catalog: &dyn PartCatalog) {
    assert_eq!(catalog.load().unwrap(), CatalogState::default());
    assert_eq!(catalog.late_total().unwrap(), 0);
    assert!(catalog.late(SeriesKey(1)).unwrap().is_empty());
    catalog.commit(&CatalogChange::default()).unwrap();
    assert_eq!(catalog.load().unwrap(), CatalogState::default());
}

/// Numbers keep all their bits, up to the largest ones.
pub fn catalogs_keep_every_bit(catalog: &dyn PartCatalog) {
    let extreme = PartRow {
        id: PartId(Uuid::max()),
        kind: PartKind::Rollup,
        sack: u32::MAX,
        level: u32::MAX,
        min_ns: i64::MIN,
        max_ns: i64::MAX,
        min_position: u64::MAX - 1,
        max_position: u64::MAX,
        bytes: u64::MAX,
        series: u64::MAX,
        points: u64::MAX,
        as_of_ns: i64::MIN,
    };
    let damage = |file: &str| Quarantined {
        file: file.to_owned(),
        offset: u64::MAX,
        bytes: 17,
        reason: "checksum: ü".to_owned(),
        found_at: Timestamp::from_ns(123_456_789),
    };
    let change = CatalogChange {
        add_parts: vec![part(1), extreme.clone()],
        log_position: Some(u64::MAX),
        add_tombstones: vec![tombstone(u64::MAX, 1), tombstone(2, 2)],
        quarantine: vec![damage("b.part"), damage("a.part"), damage("a.part")],
        ..CatalogChange::default()
    };
    catalog.commit(&change).unwrap();
    let state = catalog.load().unwrap();
    assert_eq!(state.parts.len(), 2);
    assert!(state.parts.contains(&part(1)) && state.parts.contains(&extreme));
    assert_eq!(state.log_position, u64::MAX);
    assert_eq!(state.tombstones, change.add_tombstones);
    assert_eq!(state.quarantined, change.quarantine);
}

/// Parts come and go together with everything else of their change.
pub fn changes_are_applied_whole(catalog: &dyn PartCatalog) {
    catalog.commit(&add((1..=50).map(part).collect(), 500)).unwrap();
    let merged = PartRow { level: 1, ..part(100) };
    let change = CatalogChange {
        add_parts: vec![merged.clone()],
        remove_parts: (1..=49).map(|number| part(number).id).collect(),
        add_tombstones: vec![tombstone(1, 600), tombstone(2, 601)],
        ..CatalogChange::default()
    };
    catalog.commit(&change).unwrap();
    let change = CatalogChange {
        remove_tombstones: vec![tombstone(1, 600), tombstone(9, 9)],
        add_tombstones: vec![tombstone(2, 601)],
        ..CatalogChange::default()
    };
    catalog.commit(&change).unwrap();
    let state = catalog.load().unwrap();
    assert_eq!(state.parts.len(), 2);
    assert!(state.parts.contains(&part(50)) && state.parts.contains(&merged));
    assert_eq!((state.log_position, state.tombstones), (500, vec![tombstone(2, 601)]));
}

/// A change whose parts are there already is refused, with everything in it.
pub fn changes_are_applied_once(catalog: &dyn PartCatalog) {
    let change = CatalogChange {
        add_parts: vec![part(1), part(2)],
        log_position: Some(20),
        late: vec![late(1, 0, 5)],
        ..CatalogChange::default()
    };
    catalog.commit(&change).unwrap();
    let before = catalog.load().unwrap();
    catalog.commit(&change).unwrap_err();
    let overlapping = CatalogChange { add_parts: vec![part(3), part(2)], log_position: Some(30), ..change };
    catalog.commit(&overlapping).unwrap_err();
    let repeated = CatalogChange { remove_parts: vec![part(1).id], ..add(vec![part(4), part(4)], 40) };
    catalog.commit(&repeated).unwrap_err();
    assert_eq!(catalog.load().unwrap(), before);
    assert_eq!(catalog.late_total().unwrap(), 5);
}

/// Counts of one span add up, within a change and over several.
pub fn late_measures_add_up(catalog: &dyn PartCatalog) {
    let counts = vec![late(1, 60, 2), late(2, 0, 10), late(1, 0, 1), late(1, 60, 3)];
    for _ in 0..2 {
        catalog.commit(&CatalogChange { late: counts.clone(), ..CatalogChange::default() }).unwrap();
    }
    assert_eq!(catalog.late(SeriesKey(1)).unwrap(), [late(1, 0, 2), late(1, 60, 10)]);
    assert_eq!(catalog.late(SeriesKey(2)).unwrap(), [late(2, 0, 20)]);
    assert_eq!(catalog.late_total().unwrap(), 32);
}

/// A forgotten series leaves no tombstone and no late measures behind; what was counted stays counted.
pub fn forgotten_series_leave_nothing(catalog: &dyn PartCatalog) {
    let change = CatalogChange {
        add_tombstones: vec![tombstone(1, 1), tombstone(2, 2)],
        late: vec![late(1, 0, 3), late(2, 0, 4)],
        ..CatalogChange::default()
    };
    catalog.commit(&change).unwrap();
    let forget =
        CatalogChange { forget_series: vec![SeriesKey(1), SeriesKey(77)], ..CatalogChange::default() };
    catalog.commit(&forget).unwrap();
    assert_eq!(catalog.load().unwrap().tombstones, [tombstone(2, 2)]);
    assert!(catalog.late(SeriesKey(1)).unwrap().is_empty());
    assert_eq!(catalog.late_total().unwrap(), 7);
}

/// Metrics that the index deletes, alone or with their resources, are dead series until they are forgotten.
pub async fn deleted_metrics_are_dead_series(index: &dyn Indexer, catalog: &dyn PartCatalog) {
    let keys = delete_some_metrics(index).await;
    let state = std::thread::scope(|scope| scope.spawn(|| catalog.load().unwrap()).join().unwrap());
    assert_eq!(state.dead_series, keys);
    let forget = CatalogChange { forget_series: keys[1..].to_vec(), ..CatalogChange::default() };
    std::thread::scope(|scope| scope.spawn(|| catalog.commit(&forget).unwrap()).join().unwrap());
    let state = std::thread::scope(|scope| scope.spawn(|| catalog.load().unwrap()).join().unwrap());
    assert_eq!(state.dead_series, keys[..1]);
}
