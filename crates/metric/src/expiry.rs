//! Ends of resources that nobody measures any more, restoring them when somebody does, and removing what ended long ago:
//! upstream's janitor.
//!
//! A resource is restored by the write that brings the measure, before it is acknowledged. What that needs to know, which
//! resources have ended, is in [`Endings`].

mod endings;

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::{IndexError, LifeQuery, LifeState, MetricQuery, ResourceChange, ResourceLife};
use nephometer_model::{Comparison, Filter, FilterValue, ResourceId, SeriesKey, Timestamp};

use crate::resources::just_after;
use crate::{MetricError, MetricService};

pub(crate) use endings::Endings;

/// Resources looked at together.
const PAGE: u64 = 1000;
/// Resources deleted in one transaction.
const DELETED_TOGETHER: u64 = 200;
/// Series whose newest measure is asked for at once.
const SERIES_TOGETHER: usize = 2000;
/// How far before its last endings a process looks, after a start, for measures that came while they happened.
const UNSETTLED_NS: i64 = 3_600_000_000_000;
/// So long after a start nothing is ended: what could not arrive while the server was down is no sign of an end.
const GRACE: Duration = Duration::from_secs(3600);
/// How often a change is tried that another one comes before.
const ATTEMPTS: usize = 10;

/// When resources end and go by themselves.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpirySettings {
    /// Resources end whose metrics all have had no measure for so long; nothing means never. Then measures also
    /// restore resources that ended before them.
    pub inactive_after: Option<Duration>,
    /// Resources are deleted that ended so long ago; nothing means never.
    pub cleanup_after: Option<Duration>,
}

/// What a run has done.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct ExpiryOutcome {
    /// Resources ended.
    pub ended: u64,
    /// Resources restored for measures that came while they were ended.
    pub restored: u64,
    /// Resources deleted.
    pub deleted: u64,
}

/// Ends and deletes resources whenever it is told to run.
pub struct Expirer {
    service: Arc<MetricService>,
    settings: ExpirySettings,
    started_at: Timestamp,
    /// Ended in the last run, while writes may have been under way.
    unsettled: Vec<ResourceId>,
}

/// `duration` before `time`.
fn before(time: Timestamp, duration: Duration) -> Timestamp {
    let ns = i64::try_from(duration.as_nanos()).unwrap_or(i64::MAX);
    Timestamp::from_ns(time.ns().saturating_sub(ns))
}

impl Expirer {
    /// Learns which resources have ended. Call it before the service takes measures: those that are on their way
    /// meanwhile restore nothing.
    pub async fn start(service: Arc<MetricService>, settings: ExpirySettings) -> Result<Self, MetricError> {
        let started_at = service.now_micros();
        let mut expirer = Self { service, settings, started_at, unsettled: Vec::new() };
        if settings.inactive_after.is_some() {
            expirer.learn().await?;
        }
        Ok(expirer)
    }

    async fn learn(&mut self) -> Result<(), MetricError> {
        let cache = &self.service.cache;
        cache.endings.watch();
        let mut last_ended: VecDeque<(Timestamp, ResourceId)> = VecDeque::new();
        let all = LifeState::Ended { before: Timestamp::from_ns(i64::MAX) };
        let mut pages = Pages::new(all, PAGE * 10, false);
        while let Some(page) = pages.next(&self.service).await? {
            cache.endings.insert(page.iter().filter_map(|life| Some((life.id, life.ended_at?))));
            // What a run ends ends when its revision begins; whoever else ends something says when.
            for life in page.iter().filter(|life| life.ended_at == Some(life.revision_start)) {
                last_ended.push_back((life.revision_start, life.id));
                let oldest = life.revision_start.ns().saturating_sub(UNSETTLED_NS);
                while last_ended.front().is_some_and(|(end, _)| end.ns() < oldest) {
                    last_ended.pop_front();
                }
            }
        }
        cache.clear();
        self.unsettled = last_ended.into_iter().map(|(_, id)| id).collect();
        Ok(())
    }

    /// Does what is due, in bounded pages. May be dropped at any point and run again.
    pub async fn run(&mut self) -> Result<ExpiryOutcome, MetricError> {
        let mut outcome = ExpiryOutcome::default();
        let now = self.service.now_micros();
        if let Some(inactive_after) = self.settings.inactive_after {
            outcome.restored = self.settle().await?;
            if self.started_at <= before(now, inactive_after.min(GRACE)) {
                outcome.ended = self.end_inactive(before(now, inactive_after)).await?;
            }
        }
        if let Some(cleanup_after) = self.settings.cleanup_after {
            outcome.deleted = self.service.delete_ended(before(now, cleanup_after)).await?;
        }
        Ok(outcome)
    }

    /// Restores what was ended while a measure was on its way.
    async fn settle(&mut self) -> Result<u64, MetricError> {
        let mut restored = 0;
        while !self.unsettled.is_empty() {
            let from = self.unsettled.len().saturating_sub(PAGE as usize);
            let newest = self.service.newest_of_resources(&self.unsettled[from..]).await?;
            for (id, newest) in newest {
                restored += u64::from(self.service.restore(id, newest).await?);
            }
            self.unsettled.truncate(from);
        }
        Ok(restored)
    }

    /// Ends the open resources that have metrics and neither changed nor were measured since `cutoff`.
    async fn end_inactive(&mut self, cutoff: Timestamp) -> Result<u64, MetricError> {
        let mut ended = 0;
        let mut pages = Pages::new(LifeState::Open { unchanged_since: cutoff }, PAGE, true);
        while let Some(page) = pages.next(&self.service).await? {
            for life in self.service.inactive(page, cutoff).await? {
                if self.service.end(&life).await? {
                    self.unsettled.push(life.id);
                    ended += 1;
                }
            }
        }
        Ok(ended)
    }
}

/// Lives, page by page.
struct Pages {
    query: LifeQuery,
    done: bool,
}

impl Pages {
    fn new(state: LifeState, limit: u64, with_series: bool) -> Self {
        Self { query: LifeQuery { state, after: None, limit, with_series }, done: false }
    }

    async fn next(&mut self, service: &MetricService) -> Result<Option<Vec<ResourceLife>>, MetricError> {
        if self.done {
            return Ok(None);
        }
        let page = service.indexer.list_lives(&self.query).await?;
        self.done = (page.len() as u64) < self.query.limit;
        self.query.after = page.last().map(|life| (life.ended_at, life.id));
        Ok(Some(page))
    }
}

impl MetricService {
    /// Those of `page` that have metrics of which none has a measure at `cutoff` or later.
    async fn inactive(
        &self,
        mut page: Vec<ResourceLife>,
        cutoff: Timestamp,
    ) -> Result<Vec<ResourceLife>, MetricError> {
        page.retain(|life| !life.series.is_empty());
        // Most resources are measured, and then by any of their metrics: one of each first, the others where need be.
        for first in [true, false] {
            let part = |life: &ResourceLife| if first { 0..1 } else { 1..life.series.len() };
            let keys: Vec<_> = page.iter().flat_map(|life| &life.series[part(life)]).copied().collect();
            let mut newest = self.newest(&keys).await?.into_iter();
            page.retain(|life| {
                let mine: Vec<_> = newest.by_ref().take(part(life).len()).collect();
                mine.iter().flatten().all(|newest| *newest < cutoff)
            });
        }
        Ok(page)
    }

    /// The newest measure of each series.
    async fn newest(&self, keys: &[SeriesKey]) -> Result<Vec<Option<Timestamp>>, MetricError> {
        let mut newest = Vec::with_capacity(keys.len());
        for keys in keys.chunks(SERIES_TOGETHER) {
            newest.extend(self.store.newest(keys).await?);
        }
        Ok(newest)
    }

    /// The newest measure of each of these resources that has any.
    async fn newest_of_resources(
        &self,
        ids: &[ResourceId],
    ) -> Result<BTreeMap<ResourceId, Timestamp>, MetricError> {
        let query = MetricQuery { resource_ids: Some(ids.to_vec()), ..MetricQuery::default() };
        let metrics = self.indexer.list_metrics(&query).await?;
        let keys: Vec<_> = metrics.iter().map(|metric| metric.key).collect();
        let mut newest = BTreeMap::new();
        for (metric, last) in metrics.iter().zip(self.newest(&keys).await?) {
            if let (Some(id), Some(last)) = (metric.resource_id, last) {
                newest.entry(id).and_modify(|seen: &mut Timestamp| *seen = last.max(*seen)).or_insert(last);
            }
        }
        Ok(newest)
    }

    /// Ends a resource now, unless it has changed meanwhile.
    async fn end(&self, life: &ResourceLife) -> Result<bool, MetricError> {
        let now = self.now_micros().max(just_after(life.revision_start));
        let change = ResourceChange {
            ended_at: Some(Some(now)),
            now,
            expected_revision_start: Some(life.revision_start),
            ..ResourceChange::default()
        };
        match self.indexer.update_resource("generic", life.id, change).await {
            Ok(_) => Ok(true),
            // It changed, is gone, or begins only later.
            Err(
                IndexError::Changed
                | IndexError::NoSuchResource(_)
                | IndexError::AttributeValueInvalid { .. },
            ) => Ok(false),
            Err(error) => Err(error.into()),
        }
    }

    /// Opens a resource again that ended no later than its newest measure; tells whether it did.
    pub(crate) async fn restore(&self, id: ResourceId, newest: Timestamp) -> Result<bool, MetricError> {
        for _ in 0..ATTEMPTS {
            let resource = self.indexer.resources_by_id(&[id]).await?.pop();
            let ended = resource.filter(|resource| resource.ended_at.is_some_and(|end| end <= newest));
            let Some(resource) = ended else { return Ok(false) };
            let change = ResourceChange {
                ended_at: Some(None),
                now: self.now_micros().max(just_after(resource.revision_start)),
                expected_revision_start: Some(resource.revision_start),
                ..ResourceChange::default()
            };
            match self.indexer.update_resource("generic", id, change).await {
                Err(IndexError::Changed) => {}
                Err(IndexError::NoSuchResource(_)) => return Ok(false),
                changed => return Ok(changed.map(|_| true)?),
            }
        }
        Err(IndexError::Unavailable(format!("resource {id} changes too often to be restored")).into())
    }

    /// Deletes the resources that ended before `cutoff`, wholly; returns how many.
    async fn delete_ended(&self, cutoff: Timestamp) -> Result<u64, MetricError> {
        let mut total = 0;
        let mut pages = Pages::new(LifeState::Ended { before: cutoff }, DELETED_TOGETHER, false);
        while let Some(page) = pages.next(self).await? {
            let ids = page.iter().map(|life| FilterValue::Text(life.id.to_string())).collect();
            let long_ago = Filter::Compare(Comparison::Lt, "ended_at".to_owned(), FilterValue::Time(cutoff));
            let filter = Filter::In("id".to_owned(), ids).and(long_ago);
            let (deleted, metrics) = self.indexer.delete_resources("generic", &filter).await?;
            self.forget_series(&metrics).await;
            self.cache.endings.remove(page.iter().map(|life| life.id));
            total += deleted;
        }
        Ok(total)
    }
}
