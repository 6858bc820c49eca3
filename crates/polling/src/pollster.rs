//! Reading what was discovered.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::{Meter, Sample};
use nephometer_pipeline::{NotAccepted, SampleSink};

use crate::{Cycle, Resource};

/// What a pollster could not read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PollError {
    /// These resources cannot be read by it and will not be: they are left alone until their time is over.
    #[error("{reason}")]
    Permanent {
        /// Their ids.
        resources: Vec<Arc<str>>,
        /// Why.
        reason: String,
    },
    /// It failed this time.
    #[error("{0}")]
    Failed(String),
    /// The samples found no taker; what is left of the round is not read.
    #[error("samples are not taken: {0}")]
    NotAccepted(#[from] NotAccepted),
}

/// Turns resources into samples.
#[async_trait]
pub trait Pollster: Send + Sync {
    /// The name that polling.yaml's patterns are matched with; that of its meter as a rule.
    fn name(&self) -> &str;

    /// The meters that it makes, as far as they are known before they are read.
    fn meters(&self) -> Vec<Meter>;

    /// Where the meters come from, in a few words, for people.
    fn origin(&self) -> &str;

    /// The discovery that lists its resources where polling.yaml names none.
    fn default_discovery(&self) -> Option<&str>;

    /// Reads `resources` and gives out their samples, without a timestamp: the agent says when they were read. What
    /// cannot be read of one resource costs that resource's samples alone.
    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError>;
}

/// What [`Pollster`] asks before anything is read, for a pollster of one meter. `self` is named so that the values can see it.
macro_rules! of_one_meter {
    (
        $self:ident, name: $name:expr, meter: $meter:expr, origin: $origin:expr, discovery: $discovery:expr $(,)?
    ) => {
        fn name(&$self) -> &str {
            $name
        }

        fn meters(&$self) -> Vec<nephometer_model::Meter> {
            vec![$meter.clone()]
        }

        fn origin(&$self) -> &str {
            $origin
        }

        fn default_discovery(&$self) -> Option<&str> {
            $discovery
        }
    };
}
pub(crate) use of_one_meter;

/// Where a pollster puts its samples: they are stamped and handed on by the batch.
pub struct SampleOut<'a> {
    sink: &'a dyn SampleSink,
    timestamp: Arc<str>,
    batch: Vec<Sample>,
    batch_size: usize,
    accepted: u64,
    refused: u64,
}

impl<'a> SampleOut<'a> {
    /// Hands samples stamped `timestamp` (ISO 8601 without a zone) to `sink`, `batch_size` (one or more) at a time.
    pub fn new(sink: &'a dyn SampleSink, timestamp: Arc<str>, batch_size: usize) -> Self {
        Self { sink, timestamp, batch: Vec::new(), batch_size: batch_size.max(1), accepted: 0, refused: 0 }
    }

    /// Takes a sample.
    pub async fn push(&mut self, mut sample: Sample) -> Result<(), NotAccepted> {
        sample.timestamp = Some(Arc::clone(&self.timestamp));
        self.batch.push(sample);
        if self.batch.len() < self.batch_size { Ok(()) } else { self.flush().await }
    }

    /// Hands on what is left.
    pub async fn flush(&mut self) -> Result<(), NotAccepted> {
        if self.batch.is_empty() {
            return Ok(());
        }
        let batch = std::mem::take(&mut self.batch);
        let count = batch.len() as u64;
        let outcome = self.sink.accept(batch).await;
        *if outcome.is_ok() { &mut self.accepted } else { &mut self.refused } += count;
        outcome
    }

    /// How many samples were accepted so far.
    pub fn accepted(&self) -> u64 {
        self.accepted
    }

    /// How many were not.
    pub fn refused(&self) -> u64 {
        self.refused
    }
}
