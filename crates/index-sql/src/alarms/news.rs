//! What is new in shares of alarms.

use std::collections::HashMap;

use nephometer_drivers::AlarmNews;
use nephometer_model::AlarmId;

use super::columns::ALARMS;
use super::rows::read_alarm;
use crate::Failure;
use crate::session::Session;
use crate::value::Value;

/// Where there is nothing new, one statement finds out.
pub(super) async fn news(session: &mut dyn Session, since: &Vec<(u16, i64)>) -> Result<AlarmNews, Failure> {
    let shares = since.iter().map(|(share, _)| i64::from(*share)).collect();
    let condition = session.dialect().any_of("s.share", "$1", false);
    let sql = format!("SELECT s.share, s.revision FROM alarm_share s WHERE {condition}");
    let mut revisions = HashMap::new();
    for mut row in session.query(&sql, &[Value::Ints(shares)]).await? {
        revisions.insert(row.int()?, row.int()?);
    }
    let mut news = AlarmNews::default();
    for &(share, seen) in since {
        let Some(&revision) = revisions.get(&share.into()) else { continue };
        news.revisions.push((share, revision));
        if revision > seen {
            add(session, &mut news, i64::from(share), seen).await?;
        }
    }
    Ok(news)
}

async fn add(session: &mut dyn Session, news: &mut AlarmNews, share: i64, seen: i64) -> Result<(), Failure> {
    let params: [Value; 2] = [share.into(), seen.into()];
    let sql = format!("SELECT {} FROM alarm a WHERE a.share = $1 AND a.revision > $2", ALARMS.cells("a"));
    for row in session.query(&sql, &params).await? {
        news.changed.push(read_alarm(row)?);
    }
    let sql = "SELECT t.alarm_id FROM alarm_tombstone t WHERE t.share = $1 AND t.revision > $2 \
               AND NOT EXISTS (SELECT 1 FROM alarm a WHERE a.alarm_id = t.alarm_id)";
    for mut row in session.query(sql, &params).await? {
        news.deleted.push(AlarmId(row.text()?));
    }
    Ok(())
}
