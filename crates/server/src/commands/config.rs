//! `check-config` and `config default | show | import`.

use std::sync::Arc;

use anyhow::{Context, Result};
use nephometer_model::{Clock, SystemClock};
use nephometer_openstack::policy::{ALARM_RULES, METRIC_RULES};

use crate::certificates::Certificates;
use crate::cli::{ConfigCommand, GlobalArgs};
use crate::config::{Config, DEFAULT_FILE, Layers};
use crate::identity::Recognition;
use crate::policy_file::PolicyFile;
use crate::{import, logging};

use super::{load_config, say};

/// Runs `config …`.
pub(super) fn run(command: ConfigCommand, global: &GlobalArgs) -> Result<()> {
    match command {
        ConfigCommand::Default => say(DEFAULT_FILE)?,
        ConfigCommand::Show => say(&toml::to_string(&load_config(global)?)?)?,
        ConfigCommand::Import { file } => {
            let text =
                std::fs::read_to_string(&file).with_context(|| format!("cannot read {}", file.display()))?;
            let imported = import::gnocchi(&file.display().to_string(), &text)?;
            say(&imported)?;
            let layers = Layers { file: Some((file, imported)), ..Layers::default() };
            for problem in Config::load(layers).err().unwrap_or_default() {
                eprintln!("to be mended: {problem}");
            }
        }
    }
    Ok(())
}

/// Runs `check-config`.
pub(super) fn check(global: &GlobalArgs) -> Result<()> {
    let config = load_config(global)?;
    // Warnings about the policy file go to the log.
    logging::start(&config.log)?;
    PolicyFile::load(&METRIC_RULES, &config.policy)?;
    PolicyFile::load(&ALARM_RULES, &config.alarm_policy)?;
    config.index.open(&config.storage.data_dir)?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    Certificates::open(&config, &clock)?.warn_of_ends();
    Recognition::open(&config, clock)?;
    say("the configuration is fine\n")
}
