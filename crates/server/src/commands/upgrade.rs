//! `upgrade`: schema and default policies, as `gnocchi-upgrade` does it; `serve` does the same when it starts.

use std::sync::Arc;

use anyhow::Result;
use nephometer_model::SystemClock;

use crate::cli::GlobalArgs;
use crate::logging;
use crate::run_file::DataDirLock;
use crate::wiring::{create_default_policies, open_index};

use super::{load_config, say};

/// Brings the index up to date and ends.
pub(super) fn run(global: &GlobalArgs) -> Result<()> {
    let config = load_config(global)?;
    logging::start(&config.log)?;
    let _lock = DataDirLock::acquire(&config.storage.data_dir)?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let index = open_index(&config, &Arc::new(SystemClock::new())).await?;
        say("the index is up to date\n")?;
        if config.metric.create_default_policies && create_default_policies(&index).await? {
            say("created the default archive policies and their rule\n")?;
        }
        Ok(())
    })
}
