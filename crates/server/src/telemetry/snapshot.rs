//! How the store, the index and the process are at one moment: for `/metrics`, for `status`, for self-monitoring.

use std::fmt;

use nephometer_api::limits::{LimitStatus, RefusalCounts};
use nephometer_drivers::{IndexCounts, StoreStatus};
use nephometer_metric::CacheStatus;
use nephometer_openstack::token::TokenStatus;
use prometheus_client::collector::Collector;
use prometheus_client::encoding::text::encode_registry;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet, EncodeMetric};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::ConstGauge;
use prometheus_client::registry::Registry;
use serde::{Deserialize, Serialize};

use crate::process::ProcessUse;

use super::{AlarmFigures, CertificateFigures, PollingFigures, SampleFigures};

/// One moment.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct Snapshot {
    /// Version of the program.
    pub(crate) version: String,
    /// Seconds since its start.
    pub(crate) uptime_seconds: f64,
    /// The store, where this process holds it.
    #[serde(default)]
    pub(crate) store: Option<StoreFigures>,
    /// What is remembered of metrics for writing.
    #[serde(default)]
    pub(crate) metric_cache: CacheFigures,
    /// What the index holds; nothing where it did not answer, or where this process does not hold the store.
    pub(crate) index: Option<IndexStatus>,
    /// Keystone; nothing where callers are recognised in another way.
    #[serde(default)]
    pub(crate) keystone: Option<KeystoneFigures>,
    /// What limits have refused.
    #[serde(default)]
    pub(crate) limits: LimitFigures,
    /// Certificates of listeners that speak TLS.
    #[serde(default)]
    pub(crate) certificates: Vec<CertificateFigures>,
    /// Alarms; nothing where the index did not answer.
    #[serde(default)]
    pub(crate) alarms: Option<AlarmFigures>,
    /// The polling agent, where this process has one.
    #[serde(default)]
    pub(crate) polling: Option<PollingFigures>,
    /// Samples on their way out, where this process has some.
    #[serde(default)]
    pub(crate) samples: Option<SampleFigures>,
    /// The process.
    pub(crate) process: ProcessStatus,
}

/// The store's own account.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct StoreFigures {
    pub(crate) measures_written: u64,
    pub(crate) head_measures: u64,
    pub(crate) head_series: u64,
    pub(crate) log_bytes: u64,
    pub(crate) parts: u64,
    pub(crate) part_bytes: u64,
    pub(crate) part_measures: u64,
    pub(crate) quarantined_blocks: u64,
    pub(crate) late_measures: u64,
    pub(crate) flushes: u64,
    pub(crate) merges: u64,
    #[serde(default)]
    pub(crate) log_bytes_written: u64,
    #[serde(default)]
    pub(crate) flush_bytes_written: u64,
    #[serde(default)]
    pub(crate) merge_bytes_written: u64,
    pub(crate) refusing_writes: Option<String>,
}

impl From<StoreStatus> for StoreFigures {
    fn from(status: StoreStatus) -> Self {
        let StoreStatus {
            measures_written,
            head_measures,
            head_series,
            log_bytes,
            parts,
            part_bytes,
            part_measures,
            quarantined_blocks,
            late_measures,
            flushes,
            merges,
            log_bytes_written,
            flush_bytes_written,
            merge_bytes_written,
            refusing_writes,
        } = status;
        Self {
            measures_written,
            head_measures,
            head_series,
            log_bytes,
            parts,
            part_bytes,
            part_measures,
            quarantined_blocks,
            late_measures,
            flushes,
            merges,
            log_bytes_written,
            flush_bytes_written,
            merge_bytes_written,
            refusing_writes,
        }
    }
}

/// The account of the metric service's cache.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct CacheFigures {
    pub(crate) entries: u64,
    pub(crate) bytes: u64,
    pub(crate) evicted: u64,
}

impl From<CacheStatus> for CacheFigures {
    fn from(status: CacheStatus) -> Self {
        let CacheStatus { entries, bytes, evicted } = status;
        Self { entries, bytes, evicted }
    }
}

/// How callers' tokens fare.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct KeystoneFigures {
    /// Whether it answered when it was last asked; nothing before that.
    pub(crate) is_reachable: Option<bool>,
    pub(crate) failure: Option<String>,
    pub(crate) cache_hits: u64,
    pub(crate) cache_misses: u64,
    pub(crate) upstream_calls: u64,
    pub(crate) upstream_failures: u64,
    pub(crate) remembered_tokens: u64,
}

impl From<TokenStatus> for KeystoneFigures {
    fn from(status: TokenStatus) -> Self {
        let TokenStatus {
            is_reachable,
            failure,
            hits,
            misses,
            upstream_calls,
            upstream_failures,
            remembered,
        } = status;
        Self {
            is_reachable,
            failure,
            cache_hits: hits,
            cache_misses: misses,
            upstream_calls,
            upstream_failures,
            remembered_tokens: remembered,
        }
    }
}

impl KeystoneFigures {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in [
            ("token_cache_hits", "Tokens shown of which an answer was known", self.cache_hits),
            ("token_cache_misses", "Tokens shown of which none was known", self.cache_misses),
            ("keystone_calls", "Questions to Keystone about tokens", self.upstream_calls),
            ("keystone_failures", "Questions to Keystone without an answer", self.upstream_failures),
        ] {
            put(encoder, name, help, &ConstCounter::new(value))?;
        }
        if let Some(is_reachable) = self.is_reachable {
            let up = ConstGauge::new(u64::from(is_reachable));
            put(encoder, "keystone_up", "1 where Keystone answered when it was last asked", &up)?;
        }
        put(
            encoder,
            "token_cache_entries",
            "Valid tokens remembered",
            &ConstGauge::new(self.remembered_tokens),
        )
    }
}

/// What limits of identities have refused.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct LimitFigures {
    pub(crate) refused_in_flight: u64,
    pub(crate) refused_measures: u64,
    pub(crate) refused_request_size: u64,
    pub(crate) identities: u64,
    /// Who was refused most, most first, with how often at least.
    pub(crate) most_refused: Vec<(String, u64)>,
}

impl From<LimitStatus> for LimitFigures {
    fn from(status: LimitStatus) -> Self {
        let LimitStatus { refusals, identities, most_refused } = status;
        let RefusalCounts { requests_in_flight, measures, request_size } = refusals;
        Self {
            refused_in_flight: requests_in_flight,
            refused_measures: measures,
            refused_request_size: request_size,
            identities,
            most_refused: most_refused.into_iter().map(|(party, times)| (party.to_string(), times)).collect(),
        }
    }
}

impl LimitFigures {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let refusals = Family::<RefusalLabels, Counter>::default();
        for (limit, times) in [
            ("requests_in_flight", self.refused_in_flight),
            ("measures", self.refused_measures),
            ("request_size", self.refused_request_size),
        ] {
            refusals.get_or_create(&RefusalLabels { limit }).inc_by(times);
        }
        put(encoder, "limit_refusals", "Requests refused by limits of identities", &refusals)?;
        let identities = ConstGauge::new(self.identities);
        put(encoder, "limited_identities", "Identities remembered for their limits", &identities)
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct RefusalLabels {
    limit: &'static str,
}

/// How much the index holds.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct IndexStatus {
    pub(crate) metrics: u64,
    pub(crate) resources: u64,
    pub(crate) archive_policies: u64,
}

impl From<IndexCounts> for IndexStatus {
    fn from(counts: IndexCounts) -> Self {
        let IndexCounts { metrics, resources, archive_policies } = counts;
        Self { metrics, resources, archive_policies }
    }
}

/// What the process uses.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct ProcessStatus {
    pub(crate) pid: u32,
    pub(crate) cpu_seconds: f64,
    pub(crate) resident_bytes: u64,
    pub(crate) threads: u64,
}

impl ProcessStatus {
    /// Process `pid`, which uses `used`.
    pub(crate) fn new(pid: u32, used: ProcessUse) -> Self {
        let ProcessUse { cpu_seconds, resident_bytes, threads, .. } = used;
        Self { pid, cpu_seconds, resident_bytes, threads }
    }
}

impl Snapshot {
    /// Appends the figures as OpenMetrics text, without its end mark.
    pub(super) fn encode(&self, text: &mut String) -> fmt::Result {
        let mut registry = Registry::with_prefix("nephometer");
        registry.register_collector(Box::new(self.clone()));
        encode_registry(text, &registry)
    }
}

impl Collector for Snapshot {
    fn encode(&self, mut encoder: DescriptorEncoder) -> fmt::Result {
        if let Some(store) = &self.store {
            self.encode_store(store, &mut encoder)?;
        }
        if let Some(keystone) = &self.keystone {
            keystone.encode(&mut encoder)?;
        }
        self.limits.encode(&mut encoder)?;
        if let Some(alarms) = &self.alarms {
            alarms.encode(&mut encoder)?;
        }
        if let Some(polling) = &self.polling {
            polling.encode(&mut encoder)?;
        }
        if let Some(samples) = &self.samples {
            samples.encode(&mut encoder)?;
        }
        CertificateFigures::encode(&self.certificates, &mut encoder)?;
        let process = &self.process;
        for (name, help, value) in [
            ("process_resident_bytes", "Resident memory of the process", process.resident_bytes),
            ("process_threads", "Threads of the process", process.threads),
        ] {
            put(&mut encoder, name, help, &ConstGauge::new(value))?;
        }
        put(&mut encoder, "uptime_seconds", "Time since the start", &ConstGauge::new(self.uptime_seconds))?;
        let cpu = ConstCounter::new(process.cpu_seconds);
        put(&mut encoder, "process_cpu_seconds", "CPU time of the process", &cpu)
    }
}

impl Snapshot {
    /// The store, and the index of its metrics.
    fn encode_store(&self, store: &StoreFigures, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let metric_cache = &self.metric_cache;
        for (name, help, value) in [
            ("measures_written", "Measures acknowledged", store.measures_written),
            ("flushes", "Flushes of the head to parts", store.flushes),
            ("merges", "Merges of parts", store.merges),
            ("log_bytes_written", "Bytes of log written or found at the start", store.log_bytes_written),
            ("flush_bytes_written", "Bytes of parts written by flushes", store.flush_bytes_written),
            ("merge_bytes_written", "Bytes of parts written by merges", store.merge_bytes_written),
            ("late_measures", "Measures that came too late to count", store.late_measures),
            ("metric_cache_evicted", "Metrics forgotten to make room for others", metric_cache.evicted),
        ] {
            put(encoder, name, help, &ConstCounter::new(value))?;
        }
        let index = self.index.unwrap_or_default();
        for (name, help, value) in [
            ("head_measures", "Measures in memory only and in the log", store.head_measures),
            ("head_series", "Series with measures in the head", store.head_series),
            ("log_bytes", "Bytes of the log that parts do not cover yet", store.log_bytes),
            ("parts", "Immutable parts", store.parts),
            ("part_bytes", "Bytes of all parts", store.part_bytes),
            ("part_measures", "Measures in raw parts", store.part_measures),
            ("quarantined_blocks", "Damaged blocks set aside", store.quarantined_blocks),
            ("refusing_writes", "1 while writes are refused", u64::from(store.refusing_writes.is_some())),
            ("metric_cache_entries", "Metrics remembered for writing", metric_cache.entries),
            ("metric_cache_bytes", "Memory of the metrics remembered for writing", metric_cache.bytes),
            ("index_up", "1 while the index answers", u64::from(self.index.is_some())),
            ("metrics", "Metrics in the index", index.metrics),
            ("resources", "Resources in the index", index.resources),
            ("archive_policies", "Archive policies in the index", index.archive_policies),
        ] {
            put(encoder, name, help, &ConstGauge::new(value))?;
        }
        Ok(())
    }
}

pub(super) fn put(
    encoder: &mut DescriptorEncoder,
    name: &str,
    help: &str,
    metric: &impl EncodeMetric,
) -> fmt::Result {
    metric.encode(encoder.encode_descriptor(name, help, None, metric.metric_type())?)
}
