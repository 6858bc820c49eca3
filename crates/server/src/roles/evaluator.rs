//! The evaluator: decides alarms when measures arrive and when time has passed.

use nephometer_alarm::evaluate::Evaluator;

use super::{Handle, Shutdown};

/// Evaluates until `shutdown`.
pub(crate) fn start(evaluator: Evaluator, shutdown: Shutdown) -> Handle {
    Handle::spawn("evaluator", None, async move {
        evaluator.run(shutdown.requested()).await;
        Ok(())
    })
}
