//! What samples of this process go out by, as the rest of the program sees it.

use anyhow::Result;
use async_trait::async_trait;
use nephometer_pipeline::publish::PublisherCounts;
use nephometer_pipeline::{SampleSink, SinkCounts};

/// Where samples go out.
#[async_trait]
pub(crate) trait Outlet: SampleSink {
    /// Reads its files again where they have changed. After an error it goes on as it was, and says so once.
    async fn look(&self) -> Result<()> {
        Ok(())
    }

    /// Returns when publishers, or their spools, have what was accepted.
    async fn delivered(&self) {}

    /// What has gone through it.
    async fn counts(&self) -> OutletCounts {
        OutletCounts::default()
    }
}

/// What has gone through an outlet since the start.
#[derive(Debug, Default)]
pub(crate) struct OutletCounts {
    /// Sinks of pipelines.
    pub(crate) sinks: Vec<SinkCounts>,
    /// Publishers, by their addresses without secrets.
    pub(crate) publishers: Vec<(String, PublisherCounts)>,
}
