//! Ends, restores and removes resources by themselves, as the configuration asks.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result};
use nephometer_metric::{Expirer, ExpiryOutcome, MetricService};
use tokio::time::{MissedTickBehavior, interval};

use crate::config::ExpirerSection;

use super::{Handle, Shutdown};

/// Learns what has ended, and then runs once an interval until `shutdown`. To be started before what takes measures.
pub(crate) async fn start(
    service: Arc<MetricService>,
    settings: &ExpirerSection,
    shutdown: Shutdown,
) -> Result<Handle> {
    let mut expirer = Expirer::start(service, settings.expiry()).await.context("expirer")?;
    let mut ticks = interval(Duration::from_secs(settings.interval_seconds));
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    Ok(Handle::spawn("expirer", None, async move {
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
