//! Pollsters that operators define in files (`pollsters.d/*.yaml`), in upstream's format: services of the cloud, other HTTP
//! APIs, and commands of the host.
//!
//! What differs from upstream's `dynamic_pollster.py`: definitions are checked when they are read, extra metadata included;
//! samples go out page by page, so that memory does not grow with the number of entries; what one entry lacks costs that
//! entry, and a place that cannot be read costs that place, told of when the poll has ended; a command has a time limit and
//! bounded output; a single object as an entry may take its ids from other attributes; extra metadata that says nothing of
//! how long its answers are kept goes by its parent each time; answers that differ by headers are kept apart; what a
//! service says is never evaluated, and a token follows links to hosts of the catalogue alone. Objects of Python modules
//! that sign requests are not loaded: [`signer`] says what there is instead.

mod answer;
mod asker;
mod attribute;
mod barbican;
mod command;
mod definition;
mod error;
mod extra;
mod extract;
mod load;
mod options;
mod pages;
mod pollster;
mod signer;
mod template;
#[cfg(test)]
mod tests;
mod xml;
mod yaml;

use std::sync::Arc;

use nephometer_drivers::CloudReader;
use nephometer_model::Clock;

use crate::{Discovery, Plugins};

pub use answer::read_any_answer;
pub use error::{DefinitionError, DefinitionProblem, DynamicError};
pub use load::{DynamicDefinitions, read_any_definitions};

use asker::Asker;
use definition::Source;

/// The pollsters of `definitions` that belong to `namespace`, and the discovery of credentials (`barbican`).
///
/// # Errors
/// The client for other APIs than OpenStack's cannot be made.
pub fn plugins(
    definitions: &DynamicDefinitions,
    namespace: &str,
    cloud: &Arc<dyn CloudReader>,
    clock: &Arc<dyn Clock>,
) -> Result<Plugins, DynamicError> {
    let belongs = |found: &&load::Found| found.namespaces.iter().any(|name| name == namespace);
    let found: Vec<_> = definitions.found.iter().filter(belongs).collect();
    let is_other = |found: &&load::Found| asks_others(&found.definition);
    let client = found.iter().any(is_other).then(asker::client).transpose()?;
    let pollsters = found.into_iter().map(|found| {
        let asker = Asker::new(Arc::clone(cloud), client.clone(), Arc::clone(clock));
        pollster::pollster(found.definition.clone(), &found.file, asker)
    });
    let barbican = Arc::new(barbican::Barbican { cloud: Arc::clone(cloud) }) as Arc<dyn Discovery>;
    Ok(Plugins { discoveries: vec![barbican], pollsters: pollsters.collect() })
}

/// Whether a definition asks other APIs than OpenStack's.
fn asks_others(definition: &definition::Definition) -> bool {
    matches!(definition.source, Source::Other { .. })
        || definition.extras.iter().any(|extra| asks_others(&extra.definition))
}
