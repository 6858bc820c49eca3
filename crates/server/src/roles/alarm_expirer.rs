//! Forgets old records of alarms' history, and messages that were given up and silences that ended long ago.

use std::time::Duration;

use anyhow::Result;
use nephometer_drivers::{AlarmStore, AlarmStoreError};
use nephometer_model::Timestamp;
use tokio::time::{MissedTickBehavior, interval};

use crate::stage::Stage;

use super::{Ground, Handle, Role};

/// How often it looks.
const INTERVAL: Duration = Duration::from_secs(300);
/// Records that are removed in one transaction.
const BATCH: u64 = 1000;

/// Always wanted; any number may run.
pub(crate) static ROLE: Role = Role {
    name: "alarm_expirer",
    stands_on: &[Ground::Index],
    is_wanted: |_| true,
    start: |stage| Box::pin(async move { start(stage) }),
};

/// Looks once an interval until the process stops.
fn start(stage: &Stage<'_>) -> Result<Handle> {
    let (store, clock, shutdown) = (stage.alarm_store()?, stage.clock(), stage.shutdown.clone());
    let settings = &stage.config.alarm;
    let ages = [
        settings.history_time_to_live_seconds,
        settings.dead_messages_time_to_live_seconds,
        settings.silences_time_to_live_seconds,
    ];
    let mut ticks = interval(INTERVAL);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Handle::spawn(ROLE.name, None, async move {
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
            let now = clock.now();
            let outcome = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                outcome = expire(&*store, ages.map(|seconds| ago(now, seconds))) => outcome,
            };
            if let Err(error) = outcome {
                tracing::warn!(%error, "old records of alarms are removed at the next interval");
            }
        }
    }))
}

/// So many seconds before `now`; nothing for 0, which stands for never.
fn ago(now: Timestamp, seconds: u64) -> Option<Timestamp> {
    let ns = i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000);
    (seconds > 0).then(|| Timestamp::from_ns(now.ns().saturating_sub(ns)))
}

/// Removes what is older than these: records of history, messages that were given up, ends of silences.
async fn expire(
    store: &dyn AlarmStore,
    [history, messages, silences]: [Option<Timestamp>; 3],
) -> Result<(), AlarmStoreError> {
    if let Some(before) = history {
        let mut removed = 0;
        loop {
            let batch = store.expire_history(before, BATCH).await?;
            removed += batch;
            if batch < BATCH {
                break;
            }
        }
        tell(removed, "records of alarms' history expired");
    }
    if let Some(before) = messages {
        tell(store.expire_deliveries(before).await?, "messages that were given up expired");
    }
    if let Some(before) = silences {
        tell(store.expire_silences(before).await?, "silences that had ended expired");
    }
    Ok(())
}

fn tell(removed: u64, what: &str) {
    if removed > 0 {
        tracing::info!(removed, "{what}");
    }
}
