//! Counters of evaluations, and how many alarms are in each state.

use std::collections::BTreeMap;

use nephometer_model::{AlarmCounts, AlarmId, AlarmState};

use super::rows::stored;
use crate::Failure;
use crate::session::Session;
use crate::value::{Batch, ColumnType, Row, Value};

const COUNTS: [(&str, ColumnType); 5] = [
    ("alarm_id", ColumnType::Text),
    ("project_id", ColumnType::Text),
    ("insufficient_data", ColumnType::Int),
    ("ok", ColumnType::Int),
    ("alarm", ColumnType::Int),
];

/// No counter is larger.
const MAXIMUM: i64 = 2_000_000_000;

/// The sum of counters as SQL, which begins at 1 again beyond the maximum.
fn sum(column: &str) -> String {
    let sum = format!("alarm_counter.{column} + excluded.{column}");
    format!("{column} = CASE WHEN {sum} > {MAXIMUM} THEN ({sum} - 1) % {MAXIMUM} + 1 ELSE {sum} END")
}

fn number(count: u64) -> i64 {
    i64::try_from(count).map_or(MAXIMUM, |count| count.min(MAXIMUM))
}

pub(super) async fn count(session: &mut dyn Session, evaluations: &[AlarmCounts]) -> Result<(), Failure> {
    let mut sums: BTreeMap<&AlarmId, (&str, [i64; 3])> = BTreeMap::new();
    for counts in evaluations.iter().filter(|counts| !counts.alarm_id.0.contains('\0')) {
        let (project_id, sums) = sums.entry(&counts.alarm_id).or_default();
        *project_id = &counts.project_id;
        for (sum, count) in sums.iter_mut().zip([counts.insufficient_data, counts.ok, counts.alarm]) {
            *sum = number((*sum + number(count)).cast_unsigned());
        }
    }
    let mut batch = Batch::new(&COUNTS);
    for (id, (project_id, [insufficient_data, ok, alarm])) in sums {
        let numbers = [insufficient_data, ok, alarm].map(Value::from);
        batch.push([(&id.0).into(), stored(project_id)].into_iter().chain(numbers).collect());
    }
    let sql = format!(
        "INSERT INTO alarm_counter (alarm_id, project_id, insufficient_data, ok, alarm) \
         SELECT v.alarm_id, v.project_id, v.insufficient_data, v.ok, v.alarm \
         FROM {{rows}} JOIN alarm a ON a.alarm_id = v.alarm_id WHERE 1 = 1 ORDER BY v.alarm_id \
         ON CONFLICT (alarm_id) DO UPDATE SET project_id = excluded.project_id, {}, {}, {}",
        sum("insufficient_data"),
        sum("ok"),
        sum("alarm")
    );
    session.execute_batch(&sql, &batch).await.map(drop)
}

fn read(mut row: Row) -> Result<AlarmCounts, Failure> {
    Ok(AlarmCounts {
        alarm_id: AlarmId(row.text()?),
        project_id: row.text()?,
        insufficient_data: row.int()?.cast_unsigned(),
        ok: row.int()?.cast_unsigned(),
        alarm: row.int()?.cast_unsigned(),
    })
}

pub(super) async fn counts(
    session: &mut dyn Session,
    project_id: &Option<String>,
) -> Result<Vec<AlarmCounts>, Failure> {
    let of_project = if project_id.is_some() { "WHERE c.project_id = $1 " } else { "" };
    let sql = format!(
        "SELECT c.alarm_id, c.project_id, c.insufficient_data, c.ok, c.alarm FROM alarm_counter c \
         {of_project}ORDER BY c.alarm_id"
    );
    let params: Vec<Value> = project_id.iter().map(|id| stored(id)).collect();
    session.query(&sql, &params).await?.into_iter().map(read).collect()
}

pub(super) async fn states(session: &mut dyn Session) -> Result<Vec<(AlarmState, u64)>, Failure> {
    let sql = "SELECT a.state, count(*) FROM alarm a WHERE a.enabled = 1 GROUP BY a.state";
    let mut found = BTreeMap::new();
    for mut row in session.query(sql, &[]).await? {
        found.insert(row.text()?, row.int()?.cast_unsigned());
    }
    let count = |state: &AlarmState| (*state, found.get(state.as_str()).copied().unwrap_or(0));
    Ok(AlarmState::ALL.iter().map(count).collect())
}
