//! The evaluator: decides alarms when measures arrive and when time has passed.

use anyhow::Result;

use crate::alarms;
use crate::stage::Stage;

use super::{Ground, Handle, Role};

/// Wanted where `alarm.evaluate` is; any number of processes share the alarms among themselves.
pub(crate) static ROLE: Role = Role {
    name: "evaluator",
    stands_on: &[Ground::Index, Ground::Measures],
    is_wanted: |config| config.alarm.evaluate,
    start: |stage| Box::pin(async move { start(stage) }),
};

/// Evaluates until the process stops.
fn start(stage: &Stage<'_>) -> Result<Handle> {
    let (evaluator, shutdown) = (alarms::evaluator(stage)?, stage.shutdown.clone());
    let (watch, link) = (evaluator.handle().watch(), stage.link.clone());
    Ok(Handle::spawn(ROLE.name, None, async move {
        let hearing = async {
            match link {
                Some(link) => link.follow(&watch).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = evaluator.run(shutdown.requested()) => {}
            () = hearing => {}
        }
        Ok(())
    }))
}
