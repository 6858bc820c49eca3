//! Ends, restores and removes resources by themselves, as the configuration asks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nephometer_metric::{Expirer, ExpiryOutcome};
use tokio::time::{MissedTickBehavior, interval};

use crate::stage::Stage;

use super::{Ground, Handle, Role};

/// Wanted where resources end or go by themselves.
pub(crate) static ROLE: Role = Role {
    name: "expirer",
    stands_on: &[Ground::Store],
    is_wanted: |config| config.expirer.is_wanted(),
    start: |stage| Box::pin(start(stage)),
};

/// Learns what has ended, and then runs once an interval until the process stops.
async fn start(stage: &Stage<'_>) -> Result<Handle> {
    let service = Arc::clone(&stage.parts.store()?.service);
    let (settings, shutdown) = (&stage.config.expirer, stage.shutdown.clone());
    let mut expirer = Expirer::start(service, settings.expiry()).await.context("expirer")?;
    let mut ticks = interval(Duration::from_secs(settings.interval_seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Handle::spawn(ROLE.name, None, async move {
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
            // Each step of a run is a transaction of its own, so a run may be left at any of them.
            let outcome = tokio::select! {
                () = shutdown.requested() => return Ok(()),
                outcome = expirer.run() => outcome,
            };
            match outcome {
                Ok(ExpiryOutcome { ended: 0, restored: 0, deleted: 0 }) => {}
                Ok(ExpiryOutcome { ended, restored, deleted }) => {
                    tracing::info!(ended, restored, deleted, "resources expired");
                }
                Err(error) => tracing::warn!(%error, "expiry goes on at the next interval"),
            }
        }
    }))
}
