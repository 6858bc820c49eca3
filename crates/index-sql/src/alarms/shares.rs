//! Shares of alarms and the revisions by which evaluators see what is new in them.

use std::collections::BTreeMap;

use nephometer_drivers::share_of;
use nephometer_model::AlarmId;

use crate::Failure;
use crate::session::Session;
use crate::value::{Batch, ColumnType, Value};

const SHARES: [(&str, ColumnType); 2] = [("share", ColumnType::Int), ("revision", ColumnType::Int)];

/// Shares that are held until the transaction ends, with the revision that each has.
pub(super) struct HeldShares(BTreeMap<i64, i64>);

impl HeldShares {
    /// Holds shares, one transaction after the other.
    pub(super) async fn hold(session: &mut dyn Session, mut shares: Vec<i64>) -> Result<Self, Failure> {
        if shares.is_empty() {
            return Ok(Self(BTreeMap::new()));
        }
        shares.sort_unstable();
        shares.dedup();
        let condition = session.dialect().any_of("s.share", "$1", false);
        let sql = format!(
            "SELECT s.share, s.revision FROM alarm_share s WHERE {condition} ORDER BY s.share {{lock}}"
        );
        let rows = session.query(&sql, &[Value::Ints(shares)]).await?;
        rows.into_iter().map(|mut row| Ok((row.int()?, row.int()?))).collect::<Result<_, _>>().map(Self)
    }

    /// The next revision of the share of an alarm.
    pub(super) fn next(&self, id: &AlarmId) -> Result<i64, Failure> {
        let revision = self.0.get(&share_of(id).into());
        revision
            .map(|revision| revision + 1)
            .ok_or_else(|| Failure::Internal("a share is missing".to_owned()))
    }

    /// Gives the shares of `ids` their next revision.
    pub(super) async fn advance(
        &self,
        session: &mut dyn Session,
        ids: impl IntoIterator<Item = &AlarmId>,
    ) -> Result<(), Failure> {
        let next = ids.into_iter().map(|id| Ok((i64::from(share_of(id)), self.next(id)?)));
        let next = next.collect::<Result<BTreeMap<_, _>, Failure>>()?;
        let mut batch = Batch::new(&SHARES);
        for (share, revision) in next {
            batch.push(vec![share.into(), revision.into()]);
        }
        let sql =
            "UPDATE alarm_share SET revision = v.revision FROM {rows} WHERE alarm_share.share = v.share";
        session.execute_batch(sql, &batch).await.map(drop)
    }
}
