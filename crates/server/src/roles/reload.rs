//! Reads policy files and certificates again when they change, as upstream does with the former, and at SIGHUP, so that
//! operators need not restart.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use tokio::signal::unix::{SignalKind, signal};

use crate::policy_file::PolicyFile;
use crate::stage::Stage;

use super::{Handle, Role};

/// How often files are looked at.
const INTERVAL: Duration = Duration::from_secs(2);
/// How often it is said that a certificate ends soon.
const REMINDER: Duration = Duration::from_secs(86_400);

/// Part of every process.
pub(crate) static ROLE: Role = Role {
    name: "reload",
    stands_on: &[],
    is_wanted: |_| true,
    start: |stage| Box::pin(async move { start(stage) }),
};

/// Follows the files until the process stops.
fn start(stage: &Stage<'_>) -> Result<Handle> {
    let policies = [Arc::clone(&stage.policy), Arc::clone(&stage.alarm_policy)];
    let (certificates, shutdown) = (Arc::clone(&stage.certificates), stage.shutdown.clone());
    let mut hangups = signal(SignalKind::hangup())?;
    Ok(Handle::spawn(ROLE.name, None, async move {
        let (mut looks, mut reminders) = (tokio::time::interval(INTERVAL), tokio::time::interval(REMINDER));
        loop {
            tokio::select! {
                () = shutdown.requested() => return Ok(()),
                _ = hangups.recv() => {
                    tracing::info!("SIGHUP: files are read again");
                    policies.iter().for_each(|policy| follow(policy));
                    certificates.reload();
                }
                _ = looks.tick() => {
                    policies.iter().for_each(|policy| follow(policy));
                    certificates.follow();
                }
                _ = reminders.tick() => certificates.warn_of_ends(),
            }
        }
    }))
}

fn follow(policy: &PolicyFile) {
    match policy.reload_if_changed() {
        Ok(warnings) => warnings.iter().for_each(|warning| tracing::warn!("policy: {warning}")),
        Err(error) => tracing::error!("{error:#}; the rules stay as they were"),
    }
}
