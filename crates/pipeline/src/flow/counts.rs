//! What has gone through a sink, and what has not.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::Mutex;

use crate::PublishError;
use crate::transform::DropReason;

/// Counters of a sink, kept when the configuration changes.
#[derive(Debug, Default)]
pub(super) struct Counters {
    /// By pipeline: samples that came by it.
    received: Mutex<BTreeMap<Arc<str>, u64>>,
    sent: AtomicU64,
    dropped: Mutex<BTreeMap<DropReason, u64>>,
}

/// Samples of a batch that a sink has chosen, by pipeline, and why others went no further.
#[derive(Debug, Default, Clone)]
pub(super) struct Tally {
    pub(super) received: Vec<(Arc<str>, u64)>,
    pub(super) drops: Vec<DropReason>,
}

impl Tally {
    pub(super) fn receive(&mut self, pipeline: &Arc<str>) {
        match self.received.iter_mut().find(|(known, _)| known == pipeline) {
            Some((_, count)) => *count += 1,
            None => self.received.push((Arc::clone(pipeline), 1)),
        }
    }
}

impl Counters {
    pub(super) fn add(&self, tally: &Tally) {
        let mut received = self.received.lock();
        for (pipeline, count) in &tally.received {
            *received.entry(Arc::clone(pipeline)).or_default() += count;
        }
        drop(received);
        self.drop_all(&tally.drops);
    }

    pub(super) fn drop_all(&self, reasons: &[DropReason]) {
        let mut dropped = self.dropped.lock();
        for reason in reasons {
            *dropped.entry(*reason).or_default() += 1;
        }
    }

    pub(super) fn drop_many(&self, reason: DropReason, count: u64) {
        if count > 0 {
            *self.dropped.lock().entry(reason).or_default() += count;
        }
    }

    /// Counts what a publisher has said to `count` samples. The error is that they may be taken later.
    pub(super) fn published(
        &self,
        sink: &str,
        publisher: &str,
        count: usize,
        result: Result<(), PublishError>,
    ) -> Result<(), String> {
        let refused = match &result {
            Ok(()) => 0,
            Err(PublishError::Refused(_)) => count,
            Err(PublishError::SomeRefused(refused)) => refused.len().min(count),
            Err(PublishError::Later(reason)) => return Err(format!("{publisher}: {reason}")),
        };
        if let Err(error) = result {
            tracing::warn!(sink, publisher, refused, "samples are refused: {error}");
        }
        self.sent.fetch_add((count - refused) as u64, Ordering::Relaxed);
        self.drop_many(DropReason::Refused, refused as u64);
        Ok(())
    }

    pub(super) fn read(&self, sink: &Arc<str>, waiting: usize, remembered: usize) -> SinkCounts {
        let received = self.received.lock().clone();
        SinkCounts {
            sink: Arc::clone(sink),
            pipelines: received
                .into_iter()
                .map(|(pipeline, received)| PipelineCounts { pipeline, received })
                .collect(),
            sent: self.sent.load(Ordering::Relaxed),
            dropped: self.dropped.lock().clone(),
            waiting,
            remembered,
        }
    }
}

/// What came by a pipeline: a source and a sink.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PipelineCounts {
    /// `source:sink`, or just the name where both have the same.
    pub pipeline: Arc<str>,
    /// Samples that were accepted.
    pub received: u64,
}

/// What has gone through a sink since the start.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SinkCounts {
    /// The sink.
    pub sink: Arc<str>,
    /// What came in.
    pub pipelines: Vec<PipelineCounts>,
    /// Samples that went out, each counted once for each publisher that has taken it.
    pub sent: u64,
    /// Samples that went no further, by why.
    pub dropped: BTreeMap<DropReason, u64>,
    /// Samples that were computed and wait for publishers.
    pub waiting: usize,
    /// Things that its transformers remember.
    pub remembered: usize,
}
