//! The pipelines of pipeline.yaml, which are followed while they run.

use std::path::Path;
use std::sync::Arc;

use anyhow::{Context as _, Result};
use async_trait::async_trait;
use nephometer_model::{Clock, Sample, SecretUrl};
use nephometer_pipeline::publish::{PublisherError, PublisherFactory};
use nephometer_pipeline::{
    NameKind, NotAccepted, PipelineConfig, PipelineError, Pipelines, Publisher, SampleSink,
};
use parking_lot::Mutex;

use crate::config::Config;

use super::files::{Definition, PIPELINE};
use super::outlet::{Outlet, OutletCounts};

/// See above.
pub(super) struct Piped {
    pipelines: Pipelines,
    publishers: PublisherFactory,
    /// Names another file than the usual one.
    cfg_file: String,
    definition: Mutex<Definition>,
}

impl Piped {
    /// Runs them; what they remember is in `memory`. To be called within a runtime.
    pub(super) fn start(
        config: &Config,
        publishers: PublisherFactory,
        memory: &Path,
        clock: Arc<dyn Clock>,
    ) -> Result<Self> {
        let cfg_file = config.pipeline.cfg_file.clone();
        let definition = PIPELINE.find(&cfg_file)?;
        let read = parsed(&definition)?;
        let settings = config.pipeline.settings();
        let pipelines = Pipelines::start(&read, settings, memory, clock, &mut |url| load(&publishers, url))
            .with_context(|| definition.place())?;
        tracing::info!("samples go by {}", definition.place());
        for spool in publishers.abandoned() {
            let (directory, samples) = (spool.directory.display(), spool.samples);
            tracing::warn!("{directory} holds {samples} samples for a publisher that is no longer named");
        }
        Ok(Self { pipelines, publishers, cfg_file, definition: Mutex::new(definition) })
    }
}

fn load(publishers: &PublisherFactory, url: &str) -> Result<Arc<dyn Publisher>, PipelineError> {
    let made = publishers.publisher(&SecretUrl::new(url.to_owned()));
    made.map_err(|PublisherError { publisher, reason }| PipelineError::Publisher {
        target: publisher,
        reason,
    })
}

/// What a pipeline.yaml says.
pub(crate) fn parsed(definition: &Definition) -> Result<PipelineConfig> {
    PipelineConfig::parse(&definition.text, NameKind::Meters).with_context(|| definition.place())
}

#[async_trait]
impl SampleSink for Piped {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        self.pipelines.accept(samples).await
    }
}

#[async_trait]
impl Outlet for Piped {
    async fn look(&self) -> Result<()> {
        let definition = PIPELINE.find(&self.cfg_file)?;
        if *self.definition.lock() == definition {
            return Ok(());
        }
        // A file with a mistake is told of once.
        self.definition.lock().clone_from(&definition);
        let read = parsed(&definition)?;
        let reloaded = self.pipelines.reload(&read, &mut |url| load(&self.publishers, url)).await;
        reloaded.with_context(|| definition.place())?;
        tracing::info!("read {} again", definition.place());
        Ok(())
    }

    async fn delivered(&self) {
        self.pipelines.delivered().await;
    }

    async fn counts(&self) -> OutletCounts {
        OutletCounts { sinks: self.pipelines.counts().await, publishers: self.publishers.counts() }
    }
}
