//! The service that dialects and listeners call: one method per thing that a client can ask for, in one file per noun.

use std::sync::{Arc, Weak};

use nephometer_drivers::{Indexer, MeasureStore, WriteFeed, WriteObserver};
use nephometer_model::{Clock, IdSource, MethodSet, MetricId, OrderedIds};
use parking_lot::RwLock;

use crate::MetricError;
use crate::cache::{CacheStatus, MetricCache};
use crate::watch::WatchedIndexer;

/// What an operator decides about the service.
#[derive(Debug, Clone)]
pub struct MetricSettings {
    /// Methods of policies that name none, or only `+m`/`-m`.
    pub default_methods: MethodSet,
    /// How many metrics are remembered in memory for writing, at about 40 bytes each; one that is written by id and by
    /// name counts twice.
    pub cached_metrics: usize,
    /// Most points that one request may read from several metrics, at 16 bytes each and as much again for operations.
    pub max_points: usize,
}

impl Default for MetricSettings {
    fn default() -> Self {
        Self {
            default_methods: MethodSet::upstream_default(),
            cached_metrics: 5_000_000,
            max_points: 50_000_000,
        }
    }
}

/// The metric service. Cheap to share behind an `Arc`.
pub struct MetricService {
    pub(crate) indexer: Arc<dyn Indexer>,
    pub(crate) store: Arc<dyn MeasureStore>,
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) settings: MetricSettings,
    pub(crate) cache: Arc<MetricCache>,
    metric_ids: OrderedIds,
    /// Those who hear of acknowledged measures, as long as somebody else holds them.
    pub(crate) observers: RwLock<Vec<Weak<dyn WriteObserver>>>,
    /// Held while policies travel from the index to the store, so that an older state never comes after a newer one.
    policies_on_their_way: tokio::sync::Mutex<()>,
}

impl MetricService {
    /// A service over these parts. Call [`MetricService::load_policies`] before the first request.
    pub fn new(
        indexer: Arc<dyn Indexer>,
        store: Arc<dyn MeasureStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn IdSource>,
        settings: MetricSettings,
    ) -> Self {
        let cache = Arc::new(MetricCache::new(settings.cached_metrics));
        let indexer = Arc::new(WatchedIndexer::new(indexer, Arc::clone(&cache)));
        let policies_on_their_way = tokio::sync::Mutex::new(());
        let metric_ids = OrderedIds::default();
        let observers = RwLock::default();
        Self { indexer, store, clock, ids, settings, cache, metric_ids, observers, policies_on_their_way }
    }

    /// The id of a metric that is to be made. Ids grow, so that rows of metrics that are made together lie together
    /// in each index of the database: very many can be made at the cost of few pages.
    pub(crate) fn new_metric_id(&self) -> MetricId {
        MetricId(self.metric_ids.next(self.clock.now(), self.ids.uuid()))
    }

    /// The clock that requests are measured and dated by.
    pub fn clock(&self) -> &Arc<dyn Clock> {
        &self.clock
    }

    /// How much is remembered of metrics for writing.
    pub fn cache_status(&self) -> CacheStatus {
        self.cache.status()
    }

    /// Tells the store how all policies look now: at start, and after each change of one.
    pub async fn load_policies(&self) -> Result<(), MetricError> {
        let _alone = self.policies_on_their_way.lock().await;
        let policies = self.indexer.archive_policies().await?;
        self.store.set_policies(&policies);
        Ok(())
    }
}

impl WriteFeed for MetricService {
    fn observe(&self, observer: Weak<dyn WriteObserver>) {
        let mut observers = self.observers.write();
        observers.retain(|observer| observer.strong_count() > 0);
        observers.push(observer);
    }
}
