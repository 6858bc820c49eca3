//! Leases of shares. A lease holds as long as its member lives: what a member renews is one row.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use nephometer_drivers::Lease;
use uuid::Uuid;

use crate::Failure;
use crate::session::{Dialect, Session, query_one};
use crate::value::{Batch, ColumnType, Value};

const LEASES: [(&str, ColumnType); 4] = [
    ("group_name", ColumnType::Text),
    ("share", ColumnType::Int),
    ("member", ColumnType::Uuid),
    ("epoch", ColumnType::Int),
];

/// What a member asks for.
pub(crate) struct Renewal {
    pub(crate) group: String,
    pub(crate) member: Uuid,
    pub(crate) shares: u16,
    pub(crate) length: Duration,
}

/// A row of `lease`.
struct Row {
    member: Option<Uuid>,
    epoch: i64,
}

/// The time of the database, where it has one: members' clocks need not agree then.
async fn now_micros(session: &mut dyn Session) -> Result<i64, Failure> {
    match session.dialect() {
        Dialect::Sqlite => Ok(session.shared().clock.now().micros()),
        Dialect::Postgres => {
            let sql = "SELECT CAST(extract(epoch FROM clock_timestamp()) * 1000000 AS BIGINT)";
            query_one(session, sql, &[]).await?.int()
        }
    }
}

/// Holds a group: members change its leases one after the other.
async fn hold(session: &mut dyn Session, group: &str) -> Result<(), Failure> {
    let sql = "SELECT g.name FROM lease_group g WHERE g.name = $1 {lock}";
    if session.query(sql, &[group.into()]).await?.is_empty() {
        let sql = "INSERT INTO lease_group (name) VALUES ($1) ON CONFLICT DO NOTHING";
        session.execute(sql, &[group.into()]).await?;
        query_one(session, "SELECT g.name FROM lease_group g WHERE g.name = $1 {lock}", &[group.into()])
            .await?;
    }
    Ok(())
}

/// Notes that the member lives until its lease ends, and forgets those that are dead; who lives now.
async fn live_members(session: &mut dyn Session, renewal: &Renewal) -> Result<BTreeSet<Uuid>, Failure> {
    let now = now_micros(session).await?;
    let length = i64::try_from(renewal.length.as_micros()).unwrap_or(i64::MAX);
    let group = Value::from(&renewal.group);
    let sql = "INSERT INTO lease_member (group_name, member, ends_at) VALUES ($1, $2, $3) \
               ON CONFLICT (group_name, member) DO UPDATE SET ends_at = excluded.ends_at";
    let params = [group.clone(), renewal.member.into(), now.saturating_add(length).into()];
    session.execute(sql, &params).await?;
    let sql = "DELETE FROM lease_member WHERE group_name = $1 AND ends_at <= $2 AND member <> $3";
    session.execute(sql, &[group.clone(), now.into(), renewal.member.into()]).await?;
    let sql = "SELECT m.member FROM lease_member m WHERE m.group_name = $1";
    session.query(sql, &[group]).await?.into_iter().map(|mut row| row.uuid()).collect()
}

/// Members of a group that live now.
pub(crate) async fn living(session: &mut dyn Session, group: &str) -> Result<Vec<Uuid>, Failure> {
    let now = now_micros(session).await?;
    let sql = "SELECT m.member FROM lease_member m WHERE m.group_name = $1 AND m.ends_at > $2";
    let rows = session.query(sql, &[group.into(), now.into()]).await?;
    rows.into_iter().map(|mut row| row.uuid()).collect()
}

async fn leases(session: &mut dyn Session, renewal: &Renewal) -> Result<BTreeMap<u16, Row>, Failure> {
    let mut all: BTreeMap<u16, Row> =
        (0..renewal.shares).map(|share| (share, Row { member: None, epoch: 0 })).collect();
    let sql = "SELECT l.share, l.member, l.epoch FROM lease l WHERE l.group_name = $1";
    for mut row in session.query(sql, &[(&renewal.group).into()]).await? {
        let share = u16::try_from(row.int()?).ok();
        if let Some(lease) = share.and_then(|share| all.get_mut(&share)) {
            *lease = Row { member: row.opt_uuid()?, epoch: row.int()? };
        }
    }
    Ok(all)
}

/// Gives back or takes shares until the member has its fair part; those that changed.
fn balance(leases: &mut BTreeMap<u16, Row>, member: Uuid, live: &BTreeSet<Uuid>) -> BTreeSet<u16> {
    let fair = leases.len().div_ceil(live.len().max(1));
    let mut changed = BTreeSet::new();
    let mut held = leases.values().filter(|lease| lease.member == Some(member)).count();
    for (share, lease) in leases.iter_mut().rev() {
        if held > fair && lease.member == Some(member) {
            lease.member = None;
            held -= 1;
            changed.insert(*share);
        }
    }
    for (share, lease) in leases.iter_mut() {
        if held < fair && lease.member.is_none_or(|holder| !live.contains(&holder)) {
            *lease = Row { member: Some(member), epoch: lease.epoch + 1 };
            held += 1;
            changed.insert(*share);
        }
    }
    changed
}

pub(crate) async fn renew(session: &mut dyn Session, renewal: &Renewal) -> Result<Vec<Lease>, Failure> {
    hold(session, &renewal.group).await?;
    let live = live_members(session, renewal).await?;
    let mut leases = leases(session, renewal).await?;
    let changed = balance(&mut leases, renewal.member, &live);
    let mut batch = Batch::new(&LEASES);
    for share in changed {
        let lease = &leases[&share];
        let values =
            [(&renewal.group).into(), i64::from(share).into(), lease.member.into(), lease.epoch.into()];
        batch.push(Vec::from(values));
    }
    // Waits for writers that the old epoch lets in.
    let sql = "INSERT INTO lease (group_name, share, member, epoch) \
               SELECT v.group_name, v.share, v.member, v.epoch FROM {rows} WHERE 1 = 1 ORDER BY v.share \
               ON CONFLICT (group_name, share) DO UPDATE SET member = excluded.member, epoch = excluded.epoch";
    session.execute_batch(sql, &batch).await?;
    let held = leases.into_iter().filter(|(_, lease)| lease.member == Some(renewal.member));
    Ok(held.map(|(share, lease)| Lease { share, epoch: lease.epoch }).collect())
}

pub(crate) async fn leave(
    session: &mut dyn Session,
    (group, member): &(String, Uuid),
) -> Result<(), Failure> {
    hold(session, group).await?;
    let params = [Value::from(group), (*member).into()];
    session.execute("UPDATE lease SET member = NULL WHERE group_name = $1 AND member = $2", &params).await?;
    session.execute("DELETE FROM lease_member WHERE group_name = $1 AND member = $2", &params).await.map(drop)
}
