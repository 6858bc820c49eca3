//! Where samples go.

use std::path::PathBuf;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use nephometer_drivers::{MessageQueues, MessageSink, MetricWriter};
use nephometer_metric::{LocalMetricWriter, MetricService};
use nephometer_model::{Clock, Identity, Sample, Secret, SystemClock};
use nephometer_openstack::keystone::{HttpOptions, Session, Url};
use nephometer_openstack::messaging::{MessagingError, MessagingSettings, RabbitSink};
use nephometer_openstack::services::{GnocchiApi, GnocchiWriter, TrustSessions, ZaqarQueues};
use nephometer_pipeline::publish::{OpenBus, PublisherFactory, PublisherParts};
use nephometer_pipeline::{NotAccepted, Publisher, SampleSink};

use crate::config::{Config, SamplesBy};

use super::outlet::{Outlet, OutletCounts};
use super::piped::Piped;
use super::{Collection, files};

/// The type of the queues' service in the catalogue.
const QUEUES: &str = "messaging";
/// Where spools are, and what pipelines remember.
const SPOOLS_NAME: &str = "spool";
const MEMORY_NAME: &str = "pipelines";
/// Who is said to have made resources and metrics of what was polled in this process.
const CREATOR: &str = "ceilometer";

/// Takes samples that only the exporter shows.
#[derive(Debug)]
struct Shown;

impl Outlet for Shown {}

#[async_trait]
impl SampleSink for Shown {
    async fn accept(&self, _: Vec<Sample>) -> Result<(), NotAccepted> {
        Ok(())
    }
}

/// Gives all samples to one publisher.
struct All {
    publisher: Arc<dyn Publisher>,
    publishers: PublisherFactory,
}

#[async_trait]
impl Outlet for All {
    async fn counts(&self) -> OutletCounts {
        OutletCounts { publishers: self.publishers.counts(), ..OutletCounts::default() }
    }
}

#[async_trait]
impl SampleSink for All {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        self.publisher.publish(&samples).await.map_err(|error| NotAccepted(error.to_string()))
    }
}

/// What samples are handed to, of this process and beyond.
pub(crate) struct Outlets<'a> {
    pub(crate) collection: &'a Collection,
    /// The metric service of this process, where it holds the measure store.
    pub(crate) service: Option<&'a Arc<MetricService>>,
    /// Where what waits and what is remembered is kept, of this process alone.
    pub(crate) directory: PathBuf,
}

impl Outlets<'_> {
    /// Where the configuration has samples go. To be called within a runtime.
    pub(crate) fn open(&self) -> Result<Arc<dyn Outlet>> {
        let config = self.config();
        match config.polling.deliver_by {
            SamplesBy::Exporter => Ok(Arc::new(Shown)),
            SamplesBy::Bus => {
                let topics = [config.publisher.polling_topic.clone()];
                let publishers = self.publishers()?;
                let publisher = publishers.polling_notifier(&topics)?;
                Ok(Arc::new(All { publisher, publishers }))
            }
            SamplesBy::Pipeline => {
                let memory = self.directory.join(MEMORY_NAME);
                let piped =
                    Piped::start(self.config(), self.publishers()?, &memory, Arc::clone(self.clock()) as _)?;
                Ok(Arc::new(piped))
            }
        }
    }

    fn config(&self) -> &Config {
        self.collection.config()
    }

    fn clock(&self) -> &Arc<SystemClock> {
        &self.collection.clock
    }

    /// Where `gnocchi://` writes: to the service of this process, to an address, or to what the catalogue lists; nowhere
    /// where there is none of them.
    fn metric_writer(&self) -> Result<Option<Arc<dyn MetricWriter>>> {
        let settings = &self.config().gnocchi;
        let clock = Arc::clone(self.clock()) as Arc<dyn Clock>;
        if let Some(service) = self.service {
            let identity = Identity { creator: Some(CREATOR.to_owned()), ..Identity::default() };
            return Ok(Some(Arc::new(LocalMetricWriter::new(Arc::clone(service), identity))));
        }
        let api = match (settings.url.as_str(), &self.collection.session) {
            ("", None) => return Ok(None),
            ("", Some(session)) => GnocchiApi::keystone(Arc::<Session>::clone(session)),
            (address, _) => {
                let options = HttpOptions {
                    ca_file: (!settings.cafile.is_empty()).then(|| PathBuf::from(&settings.cafile)),
                    timeout: settings.timeout(),
                    ..HttpOptions::default()
                };
                let address = Url::parse(address).context("gnocchi.url")?;
                GnocchiApi::basic(address, &settings.username, &settings.password()?, &options, clock)
                    .context("gnocchi")?
            }
        };
        Ok(Some(Arc::new(GnocchiWriter::new(api))))
    }

    /// Publishers by their addresses.
    fn publishers(&self) -> Result<PublisherFactory> {
        let config = self.config();
        let resources = files::RESOURCES.find(&config.publisher.resources_definition_file)?;
        let resources = resources.path.map_or_else(String::new, |path| path.display().to_string());
        let messaging = &config.messaging;
        let bus = messaging.is_on().then(|| open_bus(messaging)).transpose().context("messaging")?;
        let others = messaging.clone();
        let open_other: OpenBus = Arc::new(move |url| {
            let settings = MessagingSettings { transport_url: Secret::new(url.expose()), ..others.clone() };
            open_bus(&settings).map_err(|error| error.to_string())
        });
        let session = self.collection.session.as_ref();
        let queues = session.map(|session| {
            let trusts = Arc::new(TrustSessions::new(Arc::clone(session)));
            Arc::new(ZaqarQueues::new(Arc::clone(session), trusts, QUEUES)) as Arc<dyn MessageQueues>
        });
        let parts = PublisherParts {
            clock: Arc::clone(self.clock()) as _,
            host: config.polling.host().to_string(),
            bus,
            open_bus: Some(open_other),
            queues,
            metric_writer: self.metric_writer()?,
            cloud: self.collection.cloud.clone(),
        };
        Ok(PublisherFactory::new(
            config.publisher.settings(resources)?,
            parts,
            &self.directory.join(SPOOLS_NAME),
        ))
    }
}

fn open_bus(settings: &MessagingSettings) -> Result<Arc<dyn MessageSink>, MessagingError> {
    Ok(Arc::new(RabbitSink::new(settings, "nephometer polling")?))
}
