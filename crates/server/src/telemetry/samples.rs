//! What has gone through pipelines and publishers, and what waits there.

use std::fmt;

use nephometer_pipeline::SinkCounts;
use nephometer_pipeline::publish::PublisherCounts;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::Counter;
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::Gauge;
use serde::{Deserialize, Serialize};

use crate::collection::OutletCounts;

use super::snapshot::put;

/// The figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SampleFigures {
    /// Sinks of pipelines.
    pub(crate) sinks: Vec<SinkFigures>,
    /// Publishers.
    pub(crate) publishers: Vec<PublisherFigures>,
}

/// A sink of pipelines, since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct SinkFigures {
    pub(crate) sink: String,
    /// Samples by pipeline, `source:sink`.
    pub(crate) received: Vec<(String, u64)>,
    pub(crate) sent: u64,
    /// Samples that went no further, by why.
    pub(crate) dropped: Vec<(String, u64)>,
    pub(crate) waiting: u64,
    pub(crate) remembered: u64,
}

impl From<SinkCounts> for SinkFigures {
    fn from(counts: SinkCounts) -> Self {
        let SinkCounts { sink, pipelines, sent, dropped, waiting, remembered } = counts;
        Self {
            sink: sink.to_string(),
            received: pipelines.iter().map(|by| (by.pipeline.to_string(), by.received)).collect(),
            sent,
            dropped: dropped.iter().map(|(reason, count)| (reason.as_str().to_owned(), *count)).collect(),
            waiting: waiting as u64,
            remembered: remembered as u64,
        }
    }
}

/// A publisher, since the start.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct PublisherFigures {
    /// Its address without secrets.
    pub(crate) publisher: String,
    pub(crate) delivered: u64,
    pub(crate) refused: u64,
    pub(crate) expired: u64,
    pub(crate) failures: u64,
    pub(crate) given_back: u64,
    pub(crate) spooled_samples: u64,
    pub(crate) spooled_bytes: u64,
    pub(crate) oldest_spooled: Option<String>,
    pub(crate) damaged_records: u64,
}

impl From<(String, PublisherCounts)> for PublisherFigures {
    fn from((publisher, counts): (String, PublisherCounts)) -> Self {
        let PublisherCounts { spool, delivered, refused, expired, failures, given_back } = counts;
        Self {
            publisher,
            delivered,
            refused,
            expired,
            failures,
            given_back,
            spooled_samples: spool.samples,
            spooled_bytes: spool.bytes,
            oldest_spooled: spool.oldest.map(|at| at.isoformat()),
            damaged_records: spool.damaged_records,
        }
    }
}

impl From<OutletCounts> for SampleFigures {
    fn from(counts: OutletCounts) -> Self {
        let OutletCounts { sinks, publishers } = counts;
        Self {
            sinks: sinks.into_iter().map(SinkFigures::from).collect(),
            publishers: publishers.into_iter().map(PublisherFigures::from).collect(),
        }
    }
}

impl SampleFigures {
    /// A line for people for each sink that computes, and for each publisher.
    pub(crate) fn summary(&self) -> Vec<(&'static str, String)> {
        let sinks = self.sinks.iter().filter(|sink| sink.remembered > 0 || sink.waiting > 0);
        let sinks = sinks.map(|sink| {
            let received: u64 = sink.received.iter().map(|(_, count)| count).sum();
            let SinkFigures { sink, sent, waiting, .. } = sink;
            ("sink", format!("{sink}: {received} samples in, {sent} out, {waiting} wait"))
        });
        let publishers = self.publishers.iter().map(|figures| {
            let PublisherFigures { publisher, delivered, refused, expired, spooled_samples, .. } = figures;
            let mut text = format!("{publisher}: {delivered} samples delivered");
            if *refused + *expired > 0 {
                text.push_str(&format!(", {refused} refused, {expired} too old"));
            }
            if let Some(oldest) = &figures.oldest_spooled {
                text.push_str(&format!(", {spooled_samples} wait, the oldest since {oldest}"));
            }
            ("publisher", text)
        });
        sinks.chain(publishers).collect()
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        self.encode_sinks(encoder)?;
        for (name, help, count) in [
            (
                "publisher_delivered_samples",
                "Samples that the target has taken",
                (|figures| figures.delivered) as fn(&PublisherFigures) -> u64,
            ),
            ("publisher_refused_samples", "Samples that the target refused for good", |figures| {
                figures.refused
            }),
            ("publisher_expired_samples", "Samples that waited for too long", |figures| figures.expired),
            ("publisher_failures", "Calls that failed and are repeated", |figures| figures.failures),
            ("publisher_given_back_samples", "Samples that found no room", |figures| figures.given_back),
            ("spool_damaged_records", "Records passed over as damaged", |figures| figures.damaged_records),
        ] {
            let family = Family::<PublisherLabels, Counter>::default();
            for figures in &self.publishers {
                family.get_or_create(&PublisherLabels::of(figures)).inc_by(count(figures));
            }
            put(encoder, name, help, &family)?;
        }
        for (name, help, count) in [
            (
                "spool_samples",
                "Samples that wait on disk",
                (|figures| figures.spooled_samples) as fn(&PublisherFigures) -> u64,
            ),
            ("spool_bytes", "Bytes of the spool", |figures| figures.spooled_bytes),
        ] {
            let family = Family::<PublisherLabels, Gauge>::default();
            for figures in &self.publishers {
                family.get_or_create(&PublisherLabels::of(figures)).set(gauge(count(figures)));
            }
            put(encoder, name, help, &family)?;
        }
        Ok(())
    }

    fn encode_sinks(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let received = Family::<PipelineLabels, Counter>::default();
        let dropped = Family::<DropLabels, Counter>::default();
        let sent = Family::<SinkLabels, Counter>::default();
        let waiting = Family::<SinkLabels, Gauge>::default();
        let remembered = Family::<SinkLabels, Gauge>::default();
        for figures in &self.sinks {
            let sink = SinkLabels { sink: figures.sink.clone() };
            for (pipeline, count) in &figures.received {
                received.get_or_create(&PipelineLabels { pipeline: pipeline.clone() }).inc_by(*count);
            }
            for (reason, count) in &figures.dropped {
                let labels = DropLabels { sink: figures.sink.clone(), reason: reason.clone() };
                dropped.get_or_create(&labels).inc_by(*count);
            }
            sent.get_or_create(&sink).inc_by(figures.sent);
            waiting.get_or_create(&sink).set(gauge(figures.waiting));
            remembered.get_or_create(&sink).set(gauge(figures.remembered));
        }
        put(encoder, "pipeline_samples", "Samples that came by a pipeline", &received)?;
        put(encoder, "sink_sent_samples", "Samples that publishers have taken of a sink", &sent)?;
        put(encoder, "sink_dropped_samples", "Samples that went no further", &dropped)?;
        put(encoder, "sink_waiting_samples", "Computed samples that wait for publishers", &waiting)?;
        put(encoder, "sink_remembered", "Things that transformers remember", &remembered)
    }
}

fn gauge(count: u64) -> i64 {
    i64::try_from(count).unwrap_or(i64::MAX)
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PublisherLabels {
    publisher: String,
}

impl PublisherLabels {
    fn of(figures: &PublisherFigures) -> Self {
        Self { publisher: figures.publisher.clone() }
    }
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct PipelineLabels {
    pipeline: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct SinkLabels {
    sink: String,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct DropLabels {
    sink: String,
    reason: String,
}
