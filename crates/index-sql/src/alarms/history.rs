//! History of alarms.

use nephometer_drivers::{AlarmFilter, Page};
use nephometer_model::{AlarmChange, Timestamp};

use super::columns::HISTORY;
use super::list;
use super::rows::read_change;
use crate::Failure;
use crate::session::Session;

pub(super) async fn list(
    session: &mut dyn Session,
    (filter, page): &(AlarmFilter, Page),
) -> Result<Vec<AlarmChange>, Failure> {
    list::rows(session, &HISTORY, filter, page).await?.into_iter().map(read_change).collect()
}

pub(super) async fn expire(
    session: &mut dyn Session,
    (before, batch): &(Timestamp, u64),
) -> Result<u64, Failure> {
    let sql = "DELETE FROM alarm_history WHERE event_id IN \
               (SELECT h.event_id FROM alarm_history h WHERE h.timestamp < $1 ORDER BY h.timestamp LIMIT $2)";
    let batch = i64::try_from(*batch).unwrap_or(i64::MAX);
    session.execute(sql, &[before.micros().into(), batch.into()]).await
}
