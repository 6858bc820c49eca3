//! Listens on the message bus: for events that fire alarms, and for upstream's evaluators.

use nephometer_drivers::MessageSource as _;

use super::{Handle, Shutdown};
use crate::alarm_bus::Inbox;

/// Listens until `shutdown`; what was taken then is still finished.
pub(crate) fn start(inbox: Inbox, shutdown: Shutdown) -> Handle {
    Handle::spawn(inbox.name, None, async move {
        let stop = Box::pin(async move { shutdown.requested().await });
        inbox.source.listen(&inbox.subscription, inbox.handler.as_ref(), stop).await;
        Ok(())
    })
}
