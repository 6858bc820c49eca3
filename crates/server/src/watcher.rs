//! Looks at the store, the index and the process, for whoever wants to know how they are.

use std::sync::Arc;
use std::time::Duration;

use nephometer_api::limits::Limits;
use nephometer_drivers::{Indexer, MeasureStore};
use nephometer_metric::MetricService;
use nephometer_model::Clock;
use nephometer_openstack::token::KeystoneAuthenticator;
use tokio::sync::Mutex;

use crate::certificates::Certificates;
use crate::process::process_use;
use crate::telemetry::{IndexStatus, ProcessStatus, Snapshot, Telemetry};

/// Counting a large index takes a while: it is not counted again before so many times as long have passed.
const COUNTING_SHARE: u64 = 50;

/// What it looks at.
pub(crate) struct Watcher {
    pub(crate) telemetry: Arc<Telemetry>,
    indexer: Arc<dyn Indexer>,
    store: Arc<dyn MeasureStore>,
    service: Arc<MetricService>,
    keystone: Option<Arc<KeystoneAuthenticator>>,
    limits: Arc<Limits>,
    certificates: Arc<Certificates>,
    clock: Arc<dyn Clock>,
    start_ns: u64,
    counts: Mutex<Option<Counted>>,
}

/// What the index holds, as counted lately.
#[derive(Clone, Copy)]
struct Counted {
    status: IndexStatus,
    good_until_ns: u64,
}

impl Watcher {
    /// Watches these parts, up since now.
    pub(crate) fn new(
        telemetry: Arc<Telemetry>,
        indexer: Arc<dyn Indexer>,
        store: Arc<dyn MeasureStore>,
        service: Arc<MetricService>,
        keystone: Option<Arc<KeystoneAuthenticator>>,
        limits: Arc<Limits>,
        certificates: Arc<Certificates>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        let start_ns = clock.monotonic_ns();
        Self {
            telemetry,
            indexer,
            store,
            service,
            keystone,
            limits,
            certificates,
            clock,
            start_ns,
            counts: Mutex::new(None),
        }
    }

    /// How everything is now.
    pub(crate) async fn look(&self) -> Snapshot {
        let pid = std::process::id();
        let uptime = Duration::from_nanos(self.clock.monotonic_ns().saturating_sub(self.start_ns));
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: uptime.as_secs_f64(),
            store: self.store.status().into(),
            metric_cache: self.service.cache_status().into(),
            index: self.index().await,
            keystone: self.keystone.as_ref().map(|keystone| keystone.status().into()),
            limits: self.limits.status().into(),
            certificates: self.certificates.figures(),
            process: ProcessStatus::new(pid, process_use(pid).unwrap_or_default()),
        }
    }

    async fn index(&self) -> Option<IndexStatus> {
        let mut counts = self.counts.lock().await;
        let begin_ns = self.clock.monotonic_ns();
        if let Some(Counted { status, good_until_ns }) = *counts
            && begin_ns < good_until_ns
        {
            return Some(status);
        }
        let status: IndexStatus = match self.indexer.counts().await {
            Ok(counted) => counted.into(),
            Err(error) => {
                tracing::warn!(%error, "the index does not count");
                return None;
            }
        };
        let end_ns = self.clock.monotonic_ns();
        let good_until_ns = end_ns + (end_ns - begin_ns) * COUNTING_SHARE;
        *counts = Some(Counted { status, good_until_ns });
        Some(status)
    }
}
