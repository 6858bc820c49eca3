//! The notifier: carries messages of alarms to their targets.

use nephometer_alarm::notify::Dispatcher;

use super::{Handle, Shutdown};

/// Delivers until `shutdown`.
pub(crate) fn start(dispatcher: Dispatcher, shutdown: Shutdown) -> Handle {
    Handle::spawn("notifier", None, async move {
        dispatcher.run(shutdown.requested()).await;
        Ok(())
    })
}
