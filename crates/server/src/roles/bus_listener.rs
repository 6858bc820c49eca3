//! Listens on the message bus: for events that fire alarms, and for upstream's evaluators.

use std::sync::{Arc, OnceLock};

use anyhow::Result;
use nephometer_drivers::MessageSource;

use crate::alarm_bus::{self, Inbox};
use crate::stage::Stage;

use super::{Ground, Handle, Role};

/// Hears events.
pub(crate) static LISTENER: Role = Role {
    name: "listener",
    stands_on: &[Ground::Index, Ground::Bus],
    is_wanted: |config| config.messaging.is_on() && config.alarm_bus.hear_events,
    start: |stage| {
        let place = &stage.at_alarms.listener;
        Box::pin(async move { start(&LISTENER, alarm_bus::events(stage)?, place, stage) })
    },
};

/// Hears upstream's evaluators and listeners.
pub(crate) static NOTIFIER_INBOX: Role = Role {
    name: "notifier_inbox",
    stands_on: &[Ground::Index, Ground::Bus],
    is_wanted: |config| config.messaging.is_on() && config.alarm_bus.hear_evaluators,
    start: |stage| {
        let place = &stage.at_alarms.notifier_inbox;
        Box::pin(async move { start(&NOTIFIER_INBOX, alarm_bus::evaluators(stage)?, place, stage) })
    },
};

/// Listens until the process stops; what was taken then is still finished. Who wants to know how it goes finds the source in
/// `place`.
fn start(
    role: &Role,
    inbox: Inbox,
    place: &OnceLock<Arc<dyn MessageSource>>,
    stage: &Stage<'_>,
) -> Result<Handle> {
    let source: Arc<dyn MessageSource> = Arc::new(alarm_bus::source(stage.config, role.name)?);
    place.get_or_init(|| Arc::clone(&source));
    let shutdown = stage.shutdown.clone();
    Ok(Handle::spawn(role.name, None, async move {
        let stop = Box::pin(async move { shutdown.requested().await });
        source.listen(&inbox.subscription, inbox.handler.as_ref(), stop).await;
        Ok(())
    }))
}
