//! Decisions of evaluators: many in one transaction, each whole or not at all.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use nephometer_drivers::{Applied, Fence, Transition};
use nephometer_model::AlarmId;

use super::outbox;
use super::rows::{change_batch, share_value, stored};
use super::shares::HeldShares;
use crate::Failure;
use crate::session::Session;
use crate::value::{Batch, ColumnType, Row, Value};

const STATES: [(&str, ColumnType); 7] = [
    ("alarm_id", ColumnType::Text),
    ("version", ColumnType::Int),
    ("revision", ColumnType::Int),
    ("state", ColumnType::Text),
    ("state_reason", ColumnType::Text),
    ("state_timestamp", ColumnType::Int),
    ("evaluate_timestamp", ColumnType::Int),
];

/// Where an alarm stands.
struct Standing {
    version: i64,
    revision: i64,
    state: String,
    reason: String,
    state_micros: i64,
    evaluate_micros: i64,
    has_changed: bool,
    /// Whether somebody without a fence changed it: then it is news.
    is_news: bool,
}

pub(super) async fn apply(
    session: &mut dyn Session,
    transitions: &Vec<Transition>,
) -> Result<Vec<Applied>, Failure> {
    let fenced = fenced(session, transitions).await?;
    let unfenced = transitions.iter().filter(|transition| transition.fence.is_none());
    let shares = unfenced.map(|transition| share_value(&transition.alarm_id)).collect();
    let shares = HeldShares::hold(session, shares).await?;
    let mut standings = standings(session, transitions).await?;
    let mut outcomes = Vec::with_capacity(transitions.len());
    let mut done = Vec::new();
    for transition in transitions {
        let outcome = match standings.get_mut(transition.alarm_id.0.as_str()) {
            _ if transition.fence.as_ref().is_some_and(|fence| fenced.contains(&key(fence))) => {
                Applied::Fenced
            }
            Some(standing) if standing.version == transition.version => {
                done.push(transition);
                Applied::Done(standing.change(transition))
            }
            _ => Applied::Stale,
        };
        outcomes.push(outcome);
    }
    write_standings(session, &shares, &standings).await?;
    session
        .insert("alarm_history", &change_batch(done.iter().filter_map(|done| done.change.as_ref())))
        .await?;
    outbox::insert(session, done.iter().flat_map(|done| &done.deliveries)).await?;
    Ok(outcomes)
}

type FenceKey<'a> = (&'a str, u16, i64);

fn key(fence: &Fence) -> FenceKey<'_> {
    (&fence.group, fence.lease.share, fence.lease.epoch)
}

/// The fences that are over. Leases of the others stay as they are until the transaction ends.
async fn fenced<'a>(
    session: &mut dyn Session,
    transitions: &'a [Transition],
) -> Result<BTreeSet<FenceKey<'a>>, Failure> {
    let mut fences: BTreeSet<_> =
        transitions.iter().filter_map(|transition| transition.fence.as_ref()).map(key).collect();
    let groups: BTreeSet<&str> = fences.iter().map(|(group, ..)| *group).collect();
    for group in groups {
        let of_group = fences.iter().filter(|(name, ..)| *name == group);
        let shares: BTreeSet<i64> = of_group.map(|(_, share, _)| i64::from(*share)).collect();
        let condition = session.dialect().any_of("l.share", "$2", false);
        let sql = format!(
            "SELECT l.share, l.epoch FROM lease l WHERE l.group_name = $1 AND {condition} \
             ORDER BY l.share {{share}}"
        );
        let shares = Value::Ints(shares.into_iter().collect());
        for mut row in session.query(&sql, &[stored(group), shares]).await? {
            let (share, epoch) = (row.int()?, row.int()?);
            fences.retain(|fence| *fence != (group, u16::try_from(share).unwrap_or(u16::MAX), epoch));
        }
    }
    Ok(fences)
}

/// Where the alarms stand that transitions are about; nobody else changes them then.
async fn standings(
    session: &mut dyn Session,
    transitions: &[Transition],
) -> Result<HashMap<String, Standing>, Failure> {
    let ids: BTreeSet<&str> = transitions.iter().map(|transition| transition.alarm_id.0.as_str()).collect();
    let ids = ids.into_iter().filter(|id| !id.contains('\0')).map(str::to_owned).collect();
    let condition = session.dialect().any_of("a.alarm_id", "$1", false);
    let sql = format!(
        "SELECT a.alarm_id, a.version, a.revision, a.state, a.state_reason, a.state_timestamp, \
         a.evaluate_timestamp FROM alarm a WHERE {condition} ORDER BY a.alarm_id {{lock}}"
    );
    let standing = |mut row: Row| {
        let id = row.text()?;
        let standing = Standing {
            version: row.int()?,
            revision: row.int()?,
            state: row.text()?,
            reason: row.text()?,
            state_micros: row.int()?,
            evaluate_micros: row.int()?,
            has_changed: false,
            is_news: false,
        };
        Ok((id, standing))
    };
    session.query(&sql, &[Value::Texts(ids)]).await?.into_iter().map(standing).collect()
}

impl Standing {
    /// Where the alarm stands after a transition; its version then.
    fn change(&mut self, transition: &Transition) -> i64 {
        let at = transition.at.micros();
        if let Some((state, reason)) = &transition.state {
            if self.state != state.as_str() {
                state.as_str().clone_into(&mut self.state);
                self.state_micros = at;
            }
            self.reason.clone_from(reason);
        }
        self.evaluate_micros = at;
        self.version += 1;
        self.has_changed = true;
        self.is_news |= transition.fence.is_none();
        self.version
    }
}

async fn write_standings(
    session: &mut dyn Session,
    shares: &HeldShares,
    standings: &HashMap<String, Standing>,
) -> Result<(), Failure> {
    let changed = standings.iter().filter(|(_, standing)| standing.has_changed);
    let changed: BTreeMap<AlarmId, &Standing> =
        changed.map(|(id, standing)| (AlarmId(id.clone()), standing)).collect();
    let mut batch = Batch::new(&STATES);
    for (id, standing) in &changed {
        let revision = if standing.is_news { shares.next(id)? } else { standing.revision };
        batch.push(vec![
            (&id.0).into(),
            standing.version.into(),
            revision.into(),
            (&standing.state).into(),
            stored(&standing.reason),
            standing.state_micros.into(),
            standing.evaluate_micros.into(),
        ]);
    }
    let sql = "UPDATE alarm SET version = v.version, revision = v.revision, state = v.state, \
               state_reason = v.state_reason, state_timestamp = v.state_timestamp, \
               evaluate_timestamp = v.evaluate_timestamp FROM {rows} WHERE alarm.alarm_id = v.alarm_id";
    session.execute_batch(sql, &batch).await?;
    let news = changed.iter().filter(|(_, standing)| standing.is_news).map(|(id, _)| id);
    shares.advance(session, news).await
}
