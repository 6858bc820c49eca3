//! Pollsters that files define.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result, bail};
use nephometer_drivers::CloudReader;
use nephometer_model::Clock;
use nephometer_polling::Plugins;
use nephometer_polling::dynamic::{self, DynamicDefinitions};

use crate::config::Config;

const KEY: &str = "polling.pollsters_definitions_dirs";

/// The definitions for the namespaces that are polled, all of them together: of one name the first counts.
fn load(config: &Config) -> Result<DynamicDefinitions> {
    let polling = &config.polling;
    let directories: Vec<_> = polling.pollsters_definitions_dirs.iter().map(PathBuf::from).collect();
    DynamicDefinitions::load(&directories, &polling.namespaces).context(KEY)
}

/// Adds what files define for `namespace` to what is built in, which stays where it has the same name. A definition that
/// is wrong is left out and told of, as upstream does.
pub(super) fn add(
    plugins: &mut Plugins,
    namespace: &str,
    config: &Config,
    cloud: &Arc<dyn CloudReader>,
    clock: &Arc<dyn Clock>,
) -> Result<()> {
    let definitions = load(config)?;
    // Once is enough.
    if config.polling.namespaces.first().is_some_and(|first| first == namespace) {
        for problem in &definitions.problems {
            tracing::error!("{problem}");
        }
    }
    let defined = dynamic::plugins(&definitions, namespace, cloud, clock).context(KEY)?;
    for pollster in defined.pollsters {
        let name = pollster.name();
        if plugins.pollsters.iter().any(|known| known.name() == name) {
            tracing::warn!("{name} ({}): a pollster of that name is built in; it stays", pollster.origin());
        } else {
            plugins.pollsters.push(pollster);
        }
    }
    plugins.discoveries.extend(defined.discoveries);
    Ok(())
}

/// What is wrong with definitions of the namespaces that are polled.
pub(crate) fn check(config: &Config) -> Result<()> {
    let problems = load(config)?.problems;
    if problems.is_empty() {
        return Ok(());
    }
    let lines: Vec<_> = problems.iter().map(ToString::to_string).collect();
    bail!("{KEY}:\n{}", lines.join("\n"))
}
