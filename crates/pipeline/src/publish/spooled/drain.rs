//! Giving what is on disk to the target, as soon as it takes it.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use super::Shared;
use crate::spool::Chunk;

/// First pause before another attempt; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);

impl Shared {
    /// The drainer.
    pub(super) async fn drain(self: Arc<Self>) {
        loop {
            let began = self.delivered.load(Ordering::Relaxed);
            let mut some = false;
            while let Some(chunk) = self.next_chunk().await {
                some = true;
                self.deliver_chunk(&chunk).await;
                self.advance(chunk).await;
            }
            if some {
                let count = self.delivered.load(Ordering::Relaxed).saturating_sub(began);
                let publisher = self.target.target();
                tracing::info!(publisher, count, "samples that waited on disk are delivered");
            }
            self.spooled.notified().await;
        }
    }

    /// What waits longest; nothing where nothing waits.
    async fn next_chunk(self: &Arc<Self>) -> Option<Chunk> {
        let enough = self.settings.batch_samples;
        let mut pause = FIRST_PAUSE;
        loop {
            match self.with_spool(move |spool| spool.front(enough)).await {
                Ok(chunk) => return chunk,
                Err(reason) => {
                    tracing::error!(publisher = self.target.target(), reason, "a spool cannot be read");
                }
            }
            pause = self.wait(pause).await;
        }
    }

    async fn advance(self: &Arc<Self>, chunk: Chunk) {
        if let Err(reason) = self.with_spool(move |spool| spool.advance(&chunk)).await {
            tracing::error!(
                publisher = self.target.target(),
                reason,
                "what was delivered cannot be noted and will be delivered again after a restart"
            );
        }
    }

    /// Tries until the target has taken or refused all samples, or they have waited for too long.
    async fn deliver_chunk(self: &Arc<Self>, chunk: &Chunk) {
        let mut taken = 0;
        let mut pause = FIRST_PAUSE;
        loop {
            if self.is_expired(chunk) {
                let left = chunk.samples.get(taken..).unwrap_or_default();
                self.expired.fetch_add(left.len() as u64, Ordering::Relaxed);
                let reason = format!("they have waited for more than {} s", self.settings.max_age_seconds);
                let left: Vec<_> = left.iter().map(|sample| (sample, reason.as_str())).collect();
                return self.set_aside(&left).await;
            }
            let before = taken;
            let Err(reason) = self.deliver(&chunk.samples, &mut taken).await else { return };
            tracing::debug!(publisher = self.target.target(), reason, "the target does not take samples yet");
            if taken > before {
                pause = FIRST_PAUSE;
            }
            pause = self.wait(pause).await;
        }
    }

    fn is_expired(&self, chunk: &Chunk) -> bool {
        let age_ns = self.clock.now().ns().saturating_sub(chunk.spooled_at.ns());
        let max_age_ns = i64::try_from(self.settings.max_age_seconds.saturating_mul(1_000_000_000));
        self.settings.max_age_seconds != 0 && age_ns > max_age_ns.unwrap_or(i64::MAX)
    }

    /// Waits between half of `pause` and all of it, so that publishers that failed together do not return together;
    /// answers how long to wait next time.
    async fn wait(&self, pause: Duration) -> Duration {
        let share = u32::try_from(self.clock.monotonic_ns() / 1000 % 1000).unwrap_or(0);
        tokio::time::sleep(pause / 2 + pause / 2 * share / 1000).await;
        (pause * 2).min(Duration::from_secs_f64(self.settings.retry_max_seconds))
    }
}
