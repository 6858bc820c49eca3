//! Publishers from their addresses, each behind its spool.

use std::collections::{BTreeMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nephometer_drivers::{CloudReader, MessageQueues, MessageSink, MetricWriter};
use nephometer_model::{Clock, SecretUrl};
use parking_lot::Mutex;

use super::address::Address;
use super::bus::{BusParts, BusPublisher};
use super::file::FilePublisher;
use super::gnocchi::{GnocchiOptions, GnocchiPublisher, ProjectFilter, ProjectToFilter};
use super::http::HttpPublisher;
use super::memory::MemoryPublisher;
use super::otlp::OtlpPublisher;
use super::prometheus::PrometheusPublisher;
use super::sockets::{TcpPublisher, UdpPublisher};
use super::zaqar::ZaqarPublisher;
use super::{PublisherCounts, PublisherSettings, SpooledPublisher};
use crate::Publisher;
use crate::resources::{DEFAULT_DEFINITIONS, ResourceDefinitions};
use crate::signature::Signer;
use crate::spool::Spool;
use xxhash_rust::xxh3::xxh3_64;

/// Schemes whose receivers get what is left of an address's query.
const HTTP_SCHEMES: &[&str] =
    &["http", "https", "prometheus", "opentelemetryhttp", "otlp+http", "otlp+https"];
/// Options of `notifier://` that are not the bus's.
const BUS_OPTIONS: &[&str] =
    &["topic", "driver", "policy", "max_queue_length", "max_retry", "per_meter_topic"];

/// A publisher that cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("publisher {publisher}: {reason}")]
pub struct PublisherError {
    /// Its address, without secrets.
    pub publisher: String,
    /// What is wrong with it.
    pub reason: String,
}

/// Opens another message bus than the usual one, by oslo.messaging's transport URL. The error says why it cannot be.
pub type OpenBus = Arc<dyn Fn(&SecretUrl) -> Result<Arc<dyn MessageSink>, String> + Send + Sync>;

/// What publishers are made of. What is missing makes the publishers that need it impossible.
#[derive(Clone)]
pub struct PublisherParts {
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// What this machine is called in what it publishes.
    pub host: String,
    /// The message bus that `notifier://` uses unless its address names another.
    pub bus: Option<Arc<dyn MessageSink>>,
    /// Opens the bus that an address of `notifier://` names.
    pub open_bus: Option<OpenBus>,
    /// Queues of `zaqar://`.
    pub queues: Option<Arc<dyn MessageQueues>>,
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
    signer: Arc<Signer>,
    spools: PathBuf,
    made: Mutex<BTreeMap<String, Arc<SpooledPublisher>>>,
}

impl PublisherFactory {
    /// Spools are put into `spools`, a directory for each publisher.
    pub fn new(settings: PublisherSettings, parts: PublisherParts, spools: &Path) -> Self {
        let signer = Arc::new(Signer::new(&settings.telemetry_secret));
        Self { settings, parts, signer, spools: spools.to_owned(), made: Mutex::default() }
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
        let spooled = self.spooled(target, key, &mut made).map_err(failed)?;
        Ok(spooled)
    }

    /// The publisher that sends samples to notification agents, as polling agents do: to `topics` of the usual bus. Must be
    /// called within a runtime.
    pub fn polling_notifier(&self, topics: &[String]) -> Result<Arc<dyn Publisher>, PublisherError> {
        let key = format!("polling-{:016x}", xxh3_64(topics.join(" ").as_bytes()));
        let mut made = self.made.lock();
        if let Some(known) = made.get(&key) {
            return Ok(Arc::clone(known) as Arc<dyn Publisher>);
        }
        let failed = |reason: String| PublisherError { publisher: "notifications".to_owned(), reason };
        let parts = self.bus_parts(None).map_err(failed)?;
        let target = Arc::new(BusPublisher::polling(parts, topics.to_vec()));
        let spooled = self.spooled(target, key, &mut made).map_err(failed)?;
        Ok(spooled)
    }

    /// Puts a spool before a target.
    fn spooled(
        &self,
        target: Arc<dyn Publisher>,
        key: String,
        made: &mut BTreeMap<String, Arc<SpooledPublisher>>,
    ) -> Result<Arc<SpooledPublisher>, String> {
        let directory = self.spools.join(&key);
        let spool = self.settings.spool.clone();
        let spooled = SpooledPublisher::start(target, &directory, spool, Arc::clone(&self.parts.clock));
        let spooled = Arc::new(spooled.map_err(|error| error.to_string())?);
        made.insert(key, Arc::clone(&spooled));
        Ok(spooled)
    }

    /// What delivers to the address, without its spool.
    fn target(&self, address: &mut Address) -> Result<Arc<dyn Publisher>, String> {
        let clock = || Arc::clone(&self.parts.clock);
        let signer = || Arc::clone(&self.signer);
        let target: Arc<dyn Publisher> = match address.scheme.as_str() {
            "gnocchi" => self.gnocchi(address)?,
            "notifier" => self.notifier(address)?,
            "http" | "https" => Arc::new(HttpPublisher::new(address)?),
            "udp" => Arc::new(UdpPublisher::new(address, signer())?),
            "tcp" => Arc::new(TcpPublisher::new(address, &self.parts.host, signer())?),
            "file" => Arc::new(FilePublisher::new(address)?),
            "prometheus" => Arc::new(PrometheusPublisher::new(address)?),
            "opentelemetryhttp" | "otlp+http" | "otlp+https" => {
                Arc::new(OtlpPublisher::new(address, clock())?)
            }
            "zaqar" => {
                let queues = self.parts.queues.clone().ok_or("there is no Zaqar to send to")?;
                Arc::new(ZaqarPublisher::new(address, queues)?)
            }
            "test" => Arc::new(MemoryPublisher::default()),
            other => return Err(format!("there is no publisher for {other}://")),
        };
        // What is left of the query belongs to receivers that are asked over HTTP.
        if !HTTP_SCHEMES.contains(&address.scheme.as_str()) {
            for (option, _) in address.rest() {
                tracing::warn!(
                    publisher = target.target(),
                    option,
                    "a publisher does not know this option of its address"
                );
            }
        }
        Ok(target)
    }

    fn notifier(&self, address: &mut Address) -> Result<Arc<dyn Publisher>, String> {
        let bus = match address.host.is_empty() {
            true => None,
            false => {
                let open = self.parts.open_bus.as_ref().ok_or("no message bus can be opened here")?;
                let driver = address.take("driver").unwrap_or_else(|| "rabbit".to_owned());
                Some(open(&address.transport_url(&driver, BUS_OPTIONS))?)
            }
        };
        let parts = self.bus_parts(bus)?;
        let (host, topic) = (&self.parts.host, &self.settings.metering_topic);
        Ok(Arc::new(BusPublisher::notifier(address, parts, host, topic)?))
    }

    /// What publishers over `bus`, or the usual one, are made of.
    fn bus_parts(&self, bus: Option<Arc<dyn MessageSink>>) -> Result<BusParts, String> {
        let sink = bus.or_else(|| self.parts.bus.clone()).ok_or("there is no message bus to send to")?;
        let (exchange, clock) = (self.settings.control_exchange.clone(), Arc::clone(&self.parts.clock));
        Ok(BusParts { sink, exchange, signer: Arc::clone(&self.signer), clock })
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
