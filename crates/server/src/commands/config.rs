//! `check-config` and `config default | show | import`.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context, Result};
use nephometer_model::{Clock, SystemClock};
use nephometer_openstack::policy::{ALARM_RULES, METRIC_RULES};
use nephometer_pipeline::resources::ResourceDefinitions;

use crate::certificates::Certificates;
use crate::cli::{CheckConfigArgs, ConfigCommand, GlobalArgs};
use crate::collection::{Collection, dynamic, files, parsed};
use crate::config::{Config, DEFAULT_FILE, Layers};
use crate::identity::Recognition;
use crate::policy_file::PolicyFile;
use crate::services::{self, Service};
use crate::{import, logging};

use super::{load_config, say};

/// Runs `config …`.
pub(super) fn run(command: ConfigCommand, global: &GlobalArgs) -> Result<()> {
    match command {
        ConfigCommand::Default => say(DEFAULT_FILE)?,
        ConfigCommand::Show => say(&toml::to_string(&load_config(global)?)?)?,
        ConfigCommand::Import { from, files } => {
            let imported = imported(from.as_deref(), &files)?;
            say(&imported)?;
            let layers =
                Layers { file: Some((PathBuf::from("the imported"), imported)), ..Layers::default() };
            for problem in Config::load(layers).err().unwrap_or_default() {
                eprintln!("to be mended: {problem}");
            }
        }
    }
    Ok(())
}

fn imported(program: Option<&str>, paths: &[PathBuf]) -> Result<String> {
    let read = |path: &PathBuf| {
        let text =
            std::fs::read_to_string(path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok((path.display().to_string(), text))
    };
    let read: Vec<(String, String)> = paths.iter().map(read).collect::<Result<_>>()?;
    let files: Vec<_> = read.iter().map(|(path, text)| import::File { path, text, program }).collect();
    import::import(&files)
}

/// Runs `check-config`; where no service is named, for `serve`.
pub(super) fn check(args: &CheckConfigArgs, global: &GlobalArgs) -> Result<()> {
    let config = load_config(global)?;
    // Warnings about the policy file go to the log.
    logging::start(&config.log)?;
    PolicyFile::load(&METRIC_RULES, &config.policy)?;
    PolicyFile::load(&ALARM_RULES, &config.alarm_policy)?;
    config.index.open(&config.storage.data_dir)?;
    config.measure_link.open()?;
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    definitions(&config)?;
    Recognition::open(&config, Arc::clone(&clock))?;
    let named = if args.services.is_empty() { &[&services::SERVE] } else { args.services.as_slice() };
    for service in named {
        Certificates::open(&config, &clock, &service.roles(&config))?.warn_of_ends();
        service.check(&config).with_context(|| service.name)?;
    }
    let lines = args.services.iter().map(|service| described(service, &config));
    say(&(lines.collect::<String>() + "the configuration is fine\n"))
}

/// Reads the definition files of polling, pipelines and resources.
fn definitions(config: &Config) -> Result<()> {
    dynamic::check(config)?;
    let (plan, _) = Collection::open(config, &Arc::new(SystemClock::new()))?.plan()?;
    for warning in &plan.warnings {
        eprintln!("polling.yaml: {warning}");
    }
    parsed(&files::PIPELINE.find(&config.pipeline.cfg_file)?)?;
    let resources = files::RESOURCES.find(&config.publisher.resources_definition_file)?;
    let definitions = ResourceDefinitions::parse(&resources.text).with_context(|| resources.place())?;
    for problem in definitions.problems() {
        eprintln!("{}: {problem}", resources.place());
    }
    Ok(())
}

/// What a service is made of and stands on.
fn described(service: &Service, config: &Config) -> String {
    let roles: Vec<_> = service.roles(config).iter().map(|role| role.name).collect();
    let grounds: Vec<_> = service.grounds(config).iter().map(ToString::to_string).collect();
    let grounds = if grounds.is_empty() { "nothing".to_owned() } else { grounds.join(", ") };
    format!("{}: {}\n  stands on {grounds}\n", service.name, roles.join(", "))
}
