//! `test://`: samples are kept in memory, the newest of them, for people who try pipelines.

use std::collections::VecDeque;

use async_trait::async_trait;
use nephometer_model::Sample;
use parking_lot::Mutex;

use crate::{PublishError, Publisher};

/// Samples that are kept.
const KEPT: usize = 100_000;

/// See the module.
#[derive(Default)]
pub struct MemoryPublisher {
    kept: Mutex<Kept>,
}

#[derive(Default)]
struct Kept {
    samples: VecDeque<Sample>,
    calls: u64,
}

impl MemoryPublisher {
    /// The samples that have come, in order.
    pub fn samples(&self) -> Vec<Sample> {
        self.kept.lock().samples.iter().cloned().collect()
    }

    /// In how many calls they came.
    pub fn calls(&self) -> u64 {
        self.kept.lock().calls
    }
}

#[async_trait]
impl Publisher for MemoryPublisher {
    fn target(&self) -> &str {
        "test://"
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        let mut kept = self.kept.lock();
        kept.calls += 1;
        kept.samples.extend(samples.iter().cloned());
        let too_many = kept.samples.len().saturating_sub(KEPT);
        kept.samples.drain(..too_many);
        Ok(())
    }
}
