//! Reads the policy files again when they change, as upstream does, so that operators need not restart.

use std::sync::Arc;
use std::time::Duration;

use crate::policy_file::PolicyFile;

use super::{Handle, Shutdown};

/// How often the file is looked at.
const INTERVAL: Duration = Duration::from_secs(2);

/// Follows the file until `shutdown`.
pub(crate) fn start(file: Arc<PolicyFile>, shutdown: Shutdown) -> Handle {
    Handle::spawn("policy_reload", None, async move {
        let mut ticks = tokio::time::interval(INTERVAL);
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                _ = ticks.tick() => {}
            }
            match file.reload_if_changed() {
                Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("policy: {warning}")),
                Err(error) => tracing::error!("{error:#}; the rules stay as they were"),
            }
        }
    })
}
