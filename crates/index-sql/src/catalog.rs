//! The part catalog. Unsigned numbers are kept as signed ones of the same 64 bits; nothing here compares them in SQL.

use nephometer_drivers::{
    CatalogChange, CatalogState, LateCount, PartId, PartKind, PartRow, Quarantined, Tombstone,
};
use nephometer_model::{SeriesKey, Timespan, Timestamp};

use crate::Failure;
use crate::session::{Session, query_one};
use crate::value::{Batch, ColumnType, Row, Value};

const fn int(name: &'static str) -> (&'static str, ColumnType) {
    (name, ColumnType::Int)
}

const PART_IDS: [(&str, ColumnType); 1] = [("id", ColumnType::Uuid)];
const PARTS: [(&str, ColumnType); 12] = [
    ("id", ColumnType::Uuid),
    int("kind"),
    int("sack"),
    int("level"),
    int("min_ns"),
    int("max_ns"),
    int("min_position"),
    int("max_position"),
    int("bytes"),
    int("series"),
    int("points"),
    int("as_of_ns"),
];
const TOMBSTONES: [(&str, ColumnType); 4] =
    [int("series_key"), int("start_ns"), int("stop_ns"), int("position")];
const LATE: [(&str, ColumnType); 4] = [int("series_key"), int("start_ns"), int("width_ns"), int("measures")];
const QUARANTINE: [(&str, ColumnType); 5] =
    [("file", ColumnType::Text), int("start"), int("bytes"), ("reason", ColumnType::Text), int("found_ns")];

fn signed(value: u64) -> Value {
    value.cast_signed().into()
}

fn unsigned(row: &mut Row) -> Result<u64, Failure> {
    row.int().map(i64::cast_unsigned)
}

fn small(row: &mut Row) -> Result<u32, Failure> {
    u32::try_from(row.int()?)
        .map_err(|_| Failure::Internal("a number of the catalog is out of range".to_owned()))
}

fn series_key(row: &mut Row) -> Result<SeriesKey, Failure> {
    unsigned(row).map(SeriesKey)
}

fn read_part(mut row: Row) -> Result<PartRow, Failure> {
    Ok(PartRow {
        id: PartId(row.uuid()?),
        kind: match row.int()? {
            0 => PartKind::Raw,
            1 => PartKind::Rollup,
            other => return Err(Failure::Internal(format!("a part is of the unknown kind {other}"))),
        },
        sack: small(&mut row)?,
        level: small(&mut row)?,
        min_ns: row.int()?,
        max_ns: row.int()?,
        min_position: unsigned(&mut row)?,
        max_position: unsigned(&mut row)?,
        bytes: unsigned(&mut row)?,
        series: unsigned(&mut row)?,
        points: unsigned(&mut row)?,
        as_of_ns: row.int()?,
    })
}

fn part_values(part: &PartRow) -> Vec<Value> {
    let kind = match part.kind {
        PartKind::Raw => 0,
        PartKind::Rollup => 1,
    };
    vec![
        part.id.0.into(),
        kind.into(),
        i64::from(part.sack).into(),
        i64::from(part.level).into(),
        part.min_ns.into(),
        part.max_ns.into(),
        signed(part.min_position),
        signed(part.max_position),
        signed(part.bytes),
        signed(part.series),
        signed(part.points),
        part.as_of_ns.into(),
    ]
}

fn tombstone_values(tombstone: &Tombstone) -> Vec<Value> {
    let Tombstone { key, start_ns, stop_ns, position } = tombstone;
    vec![signed(key.0), (*start_ns).into(), (*stop_ns).into(), signed(*position)]
}

fn columns(columns: &[(&str, ColumnType)], prefix: &str) -> String {
    let names: Vec<_> = columns.iter().map(|(name, _)| format!("{prefix}{name}")).collect();
    names.join(", ")
}

pub(crate) async fn load(session: &mut dyn Session) -> Result<CatalogState, Failure> {
    let sql = format!("SELECT {} FROM part ORDER BY sack, min_position, id", columns(&PARTS, ""));
    let parts = session.query(&sql, &[]).await?.into_iter().map(read_part).collect::<Result<_, _>>()?;
    let log_position = query_one(session, "SELECT log_position FROM catalog_state", &[]).await?.int()?;
    let sql = format!("SELECT {} FROM tombstone ORDER BY position", columns(&TOMBSTONES, ""));
    let tombstone = |mut row: Row| {
        Ok(Tombstone {
            key: series_key(&mut row)?,
            start_ns: row.int()?,
            stop_ns: row.int()?,
            position: unsigned(&mut row)?,
        })
    };
    let tombstones =
        session.query(&sql, &[]).await?.into_iter().map(tombstone).collect::<Result<_, Failure>>()?;
    let rows = session.query("SELECT series_key FROM dead_series ORDER BY series_key", &[]).await?;
    let dead_series = rows.into_iter().map(|mut row| series_key(&mut row)).collect::<Result<_, _>>()?;
    let sql = format!("SELECT {} FROM quarantine ORDER BY pk", columns(&QUARANTINE, ""));
    let quarantined = |mut row: Row| {
        Ok(Quarantined {
            file: row.text()?,
            offset: unsigned(&mut row)?,
            bytes: unsigned(&mut row)?,
            reason: row.text()?,
            found_at: Timestamp::from_ns(row.int()?),
        })
    };
    let rows = session.query(&sql, &[]).await?;
    let quarantined = rows.into_iter().map(quarantined).collect::<Result<_, Failure>>()?;
    let log_position = log_position.cast_unsigned();
    Ok(CatalogState { parts, log_position, tombstones, dead_series, quarantined })
}

async fn insert(
    session: &mut dyn Session,
    table: &str,
    names: &'static [(&'static str, ColumnType)],
    rows: Vec<Vec<Value>>,
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let sql =
        format!("INSERT INTO {table} ({}) SELECT {} FROM {{rows}}", columns(names, ""), columns(names, "v."));
    session.execute_batch(&sql, &Batch { columns: names, rows }).await?;
    Ok(())
}

/// Refuses parts that the catalog has already: such a change has been applied before.
async fn check_new(session: &mut dyn Session, parts: &[PartRow]) -> Result<(), Failure> {
    let sql = "SELECT p.id FROM {rows} JOIN part p ON p.id = v.id";
    let batch = Batch::of(&PART_IDS, parts.iter().map(|part| part.id.0));
    match session.query_batch(sql, &batch).await?.into_iter().next() {
        Some(mut row) => Err(Failure::Internal(format!("part {} is there already", row.uuid()?))),
        None => Ok(()),
    }
}

pub(crate) async fn commit(session: &mut dyn Session, change: &CatalogChange) -> Result<(), Failure> {
    check_new(session, &change.add_parts).await?;
    if !change.remove_parts.is_empty() {
        let condition = session.dialect().any_of("id", "$1", false);
        let ids = change.remove_parts.iter().map(|id| id.0).collect();
        session.execute(&format!("DELETE FROM part WHERE {condition}"), &[Value::Uuids(ids)]).await?;
    }
    insert(session, "part", &PARTS, change.add_parts.iter().map(part_values).collect()).await?;
    if let Some(position) = change.log_position {
        session.execute("UPDATE catalog_state SET log_position = $1", &[signed(position)]).await?;
    }
    tombstones(session, change).await?;
    late_counts(session, &change.late).await?;
    let damage = |found: &Quarantined| {
        vec![
            (&found.file).into(),
            signed(found.offset),
            signed(found.bytes),
            (&found.reason).into(),
            found.found_at.ns().into(),
        ]
    };
    insert(session, "quarantine", &QUARANTINE, change.quarantine.iter().map(damage).collect()).await?;
    forget(session, &change.forget_series).await
}

async fn tombstones(session: &mut dyn Session, change: &CatalogChange) -> Result<(), Failure> {
    let rows = |tombstones: &[Tombstone]| Batch {
        columns: &TOMBSTONES,
        rows: tombstones.iter().map(tombstone_values).collect(),
    };
    let names = columns(&TOMBSTONES, "");
    if !change.remove_tombstones.is_empty() {
        let sql = format!("DELETE FROM tombstone WHERE ({names}) IN (SELECT {names} FROM {{rows}})");
        session.execute_batch(&sql, &rows(&change.remove_tombstones)).await?;
    }
    if !change.add_tombstones.is_empty() {
        let sql = format!(
            "INSERT INTO tombstone ({names}) SELECT {names} FROM {{rows}} WHERE 1 = 1 ON CONFLICT DO NOTHING"
        );
        session.execute_batch(&sql, &rows(&change.add_tombstones)).await?;
    }
    Ok(())
}

async fn late_counts(session: &mut dyn Session, late: &[LateCount]) -> Result<(), Failure> {
    if late.is_empty() {
        return Ok(());
    }
    let mut total: u64 = 0;
    let mut spans = std::collections::BTreeMap::new();
    for LateCount { key, start, width, measures } in late {
        total = total.saturating_add(*measures);
        *spans.entry((key.0, start.ns(), width.ns())).or_insert(0_u64) += measures;
    }
    let row = |((key, start, width), measures): ((u64, i64, i64), u64)| {
        vec![signed(key), start.into(), width.into(), signed(measures)]
    };
    let batch = Batch { columns: &LATE, rows: spans.into_iter().map(row).collect() };
    let sql = "INSERT INTO late (series_key, start_ns, width_ns, measures) \
               SELECT v.series_key, v.start_ns, v.width_ns, v.measures FROM {rows} WHERE 1 = 1 \
               ON CONFLICT (series_key, start_ns, width_ns) \
               DO UPDATE SET measures = late.measures + excluded.measures";
    session.execute_batch(sql, &batch).await?;
    let sql = "UPDATE catalog_state SET late_measures = late_measures + $1";
    session.execute(sql, &[signed(total)]).await?;
    Ok(())
}

async fn forget(session: &mut dyn Session, keys: &[SeriesKey]) -> Result<(), Failure> {
    if keys.is_empty() {
        return Ok(());
    }
    let keys = [Value::Ints(keys.iter().map(|key| key.0.cast_signed()).collect())];
    let condition = session.dialect().any_of("series_key", "$1", false);
    for table in ["dead_series", "tombstone", "late"] {
        session.execute(&format!("DELETE FROM {table} WHERE {condition}"), &keys).await?;
    }
    Ok(())
}

pub(crate) async fn late(session: &mut dyn Session, key: &SeriesKey) -> Result<Vec<LateCount>, Failure> {
    let sql =
        "SELECT start_ns, width_ns, measures FROM late WHERE series_key = $1 ORDER BY start_ns, width_ns";
    let count = |mut row: Row| {
        Ok(LateCount {
            key: *key,
            start: Timestamp::from_ns(row.int()?),
            width: Timespan::from_ns(row.int()?),
            measures: unsigned(&mut row)?,
        })
    };
    session.query(sql, &[signed(key.0)]).await?.into_iter().map(count).collect()
}

pub(crate) async fn late_total(session: &mut dyn Session) -> Result<u64, Failure> {
    unsigned(&mut query_one(session, "SELECT late_measures FROM catalog_state", &[]).await?)
}
