//! The notifier: carries messages of alarms to their targets.

use anyhow::Result;

use crate::alarms;
use crate::stage::Stage;

use super::{Ground, Handle, Role};

/// Wanted where `alarm_notifier.enabled` is; any number of processes work on one outbox.
pub(crate) static ROLE: Role = Role {
    name: "notifier",
    stands_on: &[Ground::Index],
    is_wanted: |config| config.alarm_notifier.enabled,
    start: |stage| Box::pin(async move { start(stage) }),
};

/// Delivers until the process stops.
fn start(stage: &Stage<'_>) -> Result<Handle> {
    let (dispatcher, shutdown) = (alarms::dispatcher(stage)?, stage.shutdown.clone());
    Ok(Handle::spawn(ROLE.name, None, async move {
        dispatcher.run(shutdown.requested()).await;
        Ok(())
    }))
}
