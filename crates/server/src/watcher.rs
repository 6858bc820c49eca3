//! Looks at the store, the index and the process, for whoever wants to know how they are.

use std::sync::{Arc, OnceLock};
use std::time::Duration;

use nephometer_alarm::evaluate::EvaluatorHandle;
use nephometer_alarm::notify::DispatcherHandle;
use nephometer_api::limits::Limits;
use nephometer_drivers::{AlarmStore, Indexer, MeasureStore, MessageSource};
use nephometer_link::Link;
use nephometer_metric::MetricService;
use nephometer_model::Clock;
use nephometer_openstack::token::KeystoneAuthenticator;
use nephometer_polling::AgentHandle;
use tokio::sync::Mutex;

use crate::certificates::Certificates;
use crate::collection::Outlet;
use crate::process::process_use;
use crate::telemetry::{
    AlarmFigures, AlarmWork, EvaluatorFigures, IndexStatus, PollingFigures, ProcessStatus, Snapshot,
    Telemetry,
};

/// Counting a large index takes a while: it is not counted again before so many times as long have passed.
const COUNTING_SHARE: u64 = 50;

/// What is looked at.
pub(crate) struct Watched {
    pub(crate) telemetry: Arc<Telemetry>,
    /// Where this process holds the measure store.
    pub(crate) store: Option<WatchedStore>,
    /// Where this process has the index open.
    pub(crate) alarms: Option<Arc<dyn AlarmStore>>,
    pub(crate) polling: Arc<OnceLock<AgentHandle>>,
    pub(crate) outlet: Arc<OnceLock<Arc<dyn Outlet>>>,
    pub(crate) at_alarms: Arc<AtAlarms>,
    /// To the process that holds the measure store, where this one does not.
    pub(crate) link: Option<Arc<Link>>,
    pub(crate) keystone: Option<Arc<KeystoneAuthenticator>>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) certificates: Arc<Certificates>,
    pub(crate) clock: Arc<dyn Clock>,
}

/// What works at alarms in this process, as the roles say when they start.
#[derive(Default)]
pub(crate) struct AtAlarms {
    pub(crate) evaluator: OnceLock<EvaluatorHandle>,
    pub(crate) notifier: OnceLock<DispatcherHandle>,
    /// Who listens on the bus.
    pub(crate) listener: OnceLock<Arc<dyn MessageSource>>,
    /// Who hears upstream's evaluators there.
    pub(crate) notifier_inbox: OnceLock<Arc<dyn MessageSource>>,
}

impl AtAlarms {
    /// What they have done; `hears_of_writes` is said of the evaluator.
    fn work(&self, hears_of_writes: bool) -> AlarmWork {
        let listeners = [("listener", &self.listener), ("notifier_inbox", &self.notifier_inbox)];
        let heard = listeners.into_iter().filter_map(|(name, source)| Some((name, source.get()?.counts())));
        let evaluator = self.evaluator.get().map(EvaluatorHandle::status);
        AlarmWork {
            evaluator: evaluator.map(|status| EvaluatorFigures::new(status, hears_of_writes)),
            notifier: self.notifier.get().map(DispatcherHandle::status),
            heard: heard.collect(),
        }
    }
}

/// The measure store and what serves it.
pub(crate) struct WatchedStore {
    pub(crate) store: Arc<dyn MeasureStore>,
    pub(crate) service: Arc<MetricService>,
    pub(crate) indexer: Arc<dyn Indexer>,
}

/// Who looks.
pub(crate) struct Watcher {
    watched: Watched,
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
    pub(crate) fn new(watched: Watched) -> Self {
        let start_ns = watched.clock.monotonic_ns();
        Self { watched, start_ns, counts: Mutex::new(None) }
    }

    /// What the program counts.
    pub(crate) fn telemetry(&self) -> &Arc<Telemetry> {
        &self.watched.telemetry
    }

    /// How everything is now.
    pub(crate) async fn look(&self) -> Snapshot {
        let Watched { store, keystone, limits, certificates, clock, .. } = &self.watched;
        let pid = std::process::id();
        let uptime = Duration::from_nanos(clock.monotonic_ns().saturating_sub(self.start_ns));
        Snapshot {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            uptime_seconds: uptime.as_secs_f64(),
            store: store.as_ref().map(|store| store.store.status().into()),
            metric_cache: store.as_ref().map(|store| store.service.cache_status().into()).unwrap_or_default(),
            index: match store {
                Some(store) => self.index(&*store.indexer).await,
                None => None,
            },
            keystone: keystone.as_ref().map(|keystone| keystone.status().into()),
            limits: limits.status().into(),
            certificates: certificates.figures(),
            alarms: self.alarms().await,
            polling: self.watched.polling.get().map(PollingFigures::of),
            samples: match self.watched.outlet.get() {
                Some(outlet) => Some(outlet.counts().await.into()),
                None => None,
            },
            process: ProcessStatus::new(pid, process_use(pid).unwrap_or_default()),
        }
    }

    async fn alarms(&self) -> Option<AlarmFigures> {
        let Watched { store, link, alarms, at_alarms, clock, .. } = &self.watched;
        let hears = store.is_some() || link.as_ref().is_some_and(|link| link.status().is_connected);
        match AlarmFigures::of(&**alarms.as_ref()?, at_alarms.work(hears), clock.now()).await {
            Ok(figures) => Some(figures),
            Err(error) => {
                tracing::warn!(%error, "alarms are not counted");
                None
            }
        }
    }

    async fn index(&self, indexer: &dyn Indexer) -> Option<IndexStatus> {
        let mut counts = self.counts.lock().await;
        let begin_ns = self.watched.clock.monotonic_ns();
        if let Some(Counted { status, good_until_ns }) = *counts
            && begin_ns < good_until_ns
        {
            return Some(status);
        }
        let status: IndexStatus = match indexer.counts().await {
            Ok(counted) => counted.into(),
            Err(error) => {
                tracing::warn!(%error, "the index does not count");
                return None;
            }
        };
        let end_ns = self.watched.clock.monotonic_ns();
        let good_until_ns = end_ns + (end_ns - begin_ns) * COUNTING_SHARE;
        *counts = Some(Counted { status, good_until_ns });
        Some(status)
    }
}
