//! Where samples go: into the pipelines, and out of them.

use async_trait::async_trait;
use nephometer_model::Sample;
use parking_lot::Mutex;

/// Samples were not taken, for a reason that may pass: whoever brought them keeps them, or their source, where it is.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotAccepted(pub String);

/// Takes samples: pipelines of this process, or the message bus towards another's.
#[async_trait]
pub trait SampleSink: Send + Sync {
    /// Takes samples in their order. When it returns they are where a crash of this process does not lose them.
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted>;
}

/// Keeps all samples in memory: for tests, and for whoever only looks.
#[derive(Debug, Default)]
pub struct KeptSamples(Mutex<Vec<Sample>>);

impl KeptSamples {
    /// What has come in since this was asked last.
    pub fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut self.0.lock())
    }
}

#[async_trait]
impl SampleSink for KeptSamples {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        self.0.lock().extend(samples);
        Ok(())
    }
}

/// A sample that a target will never take.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RefusedSample {
    /// Its place among the samples of the call.
    pub index: usize,
    /// What is wrong with it.
    pub reason: String,
}

/// Why a publisher's target did not take samples.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PublishError {
    /// The same samples may be taken later.
    #[error("{0}")]
    Later(String),
    /// The target will never take them as they are: one of them, or their number, is wrong. Repeating holds up what comes
    /// after them.
    #[error("{0}")]
    Refused(String),
    /// These the target will never take, in the order of the call; all others it has taken.
    #[error("{} of the samples are refused, the first because {}", .0.len(), .0.first().map_or("", |first| &first.reason))]
    SomeRefused(Vec<RefusedSample>),
}

/// Delivers samples to one target.
#[async_trait]
pub trait Publisher: Send + Sync {
    /// Its address without what is secret in it, for logs and counters.
    fn target(&self) -> &str;

    /// Most samples that a call should have: for targets that take them one by one, so that an error concerns few.
    fn at_once(&self) -> usize {
        usize::MAX
    }

    /// Delivers samples in their order. Returns once the target has accepted all of them; after an error it may have
    /// some.
    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError>;
}
