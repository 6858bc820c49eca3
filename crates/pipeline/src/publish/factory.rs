//! Publishers from their addresses, each behind its spool.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nephometer_drivers::{CloudReader, MetricWriter};
use nephometer_model::{Clock, SecretUrl};
use parking_lot::Mutex;

use super::address::Address;
use super::gnocchi::{GnocchiOptions, GnocchiPublisher, ProjectFilter, ProjectToFilter};
use super::{PublisherCounts, PublisherSettings, SpooledPublisher};
use crate::Publisher;
use crate::resources::{DEFAULT_DEFINITIONS, ResourceDefinitions};
use crate::spool::Spool;

/// A publisher that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("publisher {publisher}: {reason}")]
pub struct PublisherError {
    /// Its address, without secrets.
    pub publisher: String,
    /// What is wrong with it.
    pub reason: String,
}

/// What publishers are made of. What is missing makes the publishers that need it impossible.
#[derive(Clone)]
pub struct PublisherParts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Where `gnocchi://` writes to.
    pub metric_writer: Option<Arc<dyn MetricWriter>>,
    /// The cloud, to find the project that `gnocchi://` leaves out; nothing is left out without it.
    pub cloud: Option<Arc<dyn CloudReader>>,
}

/// A spool that holds samples for a publisher that nobody wants any more.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AbandonedSpool {
    /// Where it is.
    pub directory: PathBuf,
    /// How many samples it holds.
    pub samples: u64,
}

/// Makes publishers. The same address gives the same publisher.
pub struct PublisherFactory {
    settings: PublisherSettings,
    parts: PublisherParts,
    spools: PathBuf,
    made: Mutex<BTreeMap<String, Arc<SpooledPublisher>>>,
}

impl PublisherFactory {
    /// Spools are put into `spools`, a directory for each publisher.
    pub fn new(settings: PublisherSettings, parts: PublisherParts, spools: &Path) -> Self {
        Self { settings, parts, spools: spools.to_owned(), made: Mutex::default() }
    }

    /// The publisher of an address. Must be called within a runtime.
    pub fn publisher(&self, url: &SecretUrl) -> Result<Arc<dyn Publisher>, PublisherError> {
        let mut address =
            Address::parse(url).map_err(|reason| PublisherError { publisher: url.to_string(), reason })?;
        let publisher = address.to_string();
        let failed = |reason: String| PublisherError { publisher: publisher.clone(), reason };
        let mut made = self.made.lock();
        if let Some(known) = made.get(address.key()) {
            return Ok(Arc::clone(known) as Arc<dyn Publisher>);
        }
        let key = address.key().to_owned();
        let target = self.target(&mut address).map_err(failed)?;
        for (option, _) in address.rest() {
            tracing::warn!(publisher, option, "a publisher does not know an option of its address");
        }
        let directory = self.spools.join(&key);
        let spool = self.settings.spool.clone();
        let spooled = SpooledPublisher::start(target, &directory, spool, Arc::clone(&self.parts.clock));
        let spooled = Arc::new(spooled.map_err(|error| failed(error.to_string()))?);
        made.insert(key, Arc::clone(&spooled));
        Ok(spooled)
    }

    /// What delivers to the address, without its spool.
    fn target(&self, address: &mut Address) -> Result<Arc<dyn Publisher>, String> {
        match address.scheme.as_str() {
            "gnocchi" => self.gnocchi(address),
            other => Err(format!("there is no publisher for {other}://")),
        }
    }

    fn gnocchi(&self, address: &mut Address) -> Result<Arc<dyn Publisher>, String> {
        let writer = self.parts.metric_writer.clone();
        let writer = writer.ok_or("there is no metric service to write to")?;
        let options =
            GnocchiOptions { archive_policy: address.take("archive_policy").filter(|name| !name.is_empty()) };
        let wanted = address.take_flag("enable_filter_project", true)?;
        let project = ProjectToFilter {
            name: address.take("filter_project").unwrap_or_else(|| "service".to_owned()),
            domain: address.take("filter_domain").unwrap_or_else(|| "Default".to_owned()),
        };
        let filter = match self.parts.cloud.clone().filter(|_| wanted) {
            Some(cloud) => ProjectFilter::new(project, cloud),
            None => ProjectFilter::off(),
        };
        // How long the service may take is decided where it is connected to.
        address.take("timeout");
        let definitions = self.definitions(address.take("resources_definition_file"))?;
        let clock = Arc::clone(&self.parts.clock);
        let target = address.to_string();
        Ok(Arc::new(GnocchiPublisher::new(target, writer, definitions, options, filter, clock)))
    }

    /// The resource definitions of a file, of the settings' file, or the program's own.
    fn definitions(&self, file: Option<String>) -> Result<Arc<ResourceDefinitions>, String> {
        let file = file.unwrap_or_else(|| self.settings.resources_definition_file.clone());
        let text = match file.as_str() {
            "" => DEFAULT_DEFINITIONS.to_owned(),
            path => std::fs::read_to_string(path).map_err(|error| format!("{path}: {error}"))?,
        };
        let definitions = ResourceDefinitions::parse(&text).map_err(|error| error.to_string())?;
        for problem in definitions.problems() {
            tracing::warn!(file, problem, "a resource definition does not count");
        }
        Ok(Arc::new(definitions))
    }

    /// How each publisher fares, by its address without secrets.
    pub fn counts(&self) -> Vec<(String, PublisherCounts)> {
        let made = self.made.lock();
        made.values().map(|publisher| (publisher.target().to_owned(), publisher.counts())).collect()
    }

    /// Spools with samples for which no publisher has been made: their pipelines are gone.
    pub fn abandoned(&self) -> Vec<AbandonedSpool> {
        let known: HashSet<String> = self.made.lock().keys().cloned().collect();
        let Ok(entries) = std::fs::read_dir(&self.spools) else { return Vec::new() };
        let directories = entries.filter_map(|entry| Some(entry.ok()?.path()));
        let unknown = directories.filter(|path| {
            path.is_dir()
                && path.file_name().and_then(|name| name.to_str()).is_some_and(|name| !known.contains(name))
        });
        let opened = unknown.filter_map(|directory| {
            let samples = Spool::open(&directory, self.settings.spool.max_bytes).ok()?.counts().samples;
            Some(AbandonedSpool { directory, samples })
        });
        opened.filter(|spool| spool.samples > 0).collect()
    }
}
