//! Giving samples to a target so that one that it refuses does not hold up the others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use nephometer_model::Sample;

use super::Shared;
use crate::PublishError;

impl Shared {
    /// Gives samples to the target, in order. Where it refuses a call without saying which samples it means, they are
    /// found by halving. `taken` counts those from the beginning that need not be given again, also while this is
    /// waiting. The error says why it cannot go on now.
    pub(super) async fn deliver(
        self: &Arc<Self>,
        samples: &[Sample],
        taken: &mut usize,
    ) -> Result<(), String> {
        // Lengths of the parts that are still to be given, the next one last.
        let left = samples.get(*taken..).unwrap_or_default();
        let mut parts: Vec<_> = left.chunks(self.target.at_once().max(1)).map(<[_]>::len).collect();
        parts.reverse();
        while let Some(len) = parts.pop() {
            let Some(part) = samples.get(*taken..*taken + len).filter(|part| !part.is_empty()) else {
                continue;
            };
            match self.target.publish(part).await {
                Ok(()) => self.count_delivered(len),
                Err(PublishError::SomeRefused(refused)) => {
                    let named: Vec<_> = refused
                        .iter()
                        .filter_map(|refused| Some((part.get(refused.index)?, refused.reason.as_str())))
                        .collect();
                    self.count_delivered(len.saturating_sub(named.len()));
                    self.refused.fetch_add(named.len() as u64, Ordering::Relaxed);
                    self.set_aside(&named).await;
                }
                Err(PublishError::Refused(reason)) if len == 1 => {
                    self.refused.fetch_add(1, Ordering::Relaxed);
                    self.set_aside(&[(&part[0], reason.as_str())]).await;
                }
                Err(PublishError::Refused(_)) => {
                    parts.extend([len - len / 2, len / 2]);
                    continue;
                }
                Err(PublishError::Later(reason)) => {
                    self.failures.fetch_add(1, Ordering::Relaxed);
                    return Err(reason);
                }
            }
            *taken += len;
        }
        Ok(())
    }

    fn count_delivered(&self, count: usize) {
        self.delivered.fetch_add(count as u64, Ordering::Relaxed);
    }

    /// Keeps samples that will not be delivered where people find them, and says so.
    pub(super) async fn set_aside(self: &Arc<Self>, refused: &[(&Sample, &str)]) {
        let Some((first, reason)) = refused.first() else { return };
        let (count, name, resource) = (refused.len(), &*first.name, first.resource_id.as_deref());
        let shared = Arc::clone(self);
        let owned: Vec<_> =
            refused.iter().map(|(sample, reason)| ((*sample).clone(), (*reason).to_owned())).collect();
        let now = self.clock.now();
        let written = tokio::task::spawn_blocking(move || {
            let refused: Vec<_> = owned.iter().map(|(sample, reason)| (sample, reason.as_str())).collect();
            let mut file = shared.refused_file.lock();
            file.write(&refused, now).map(|()| file.path().to_owned())
        });
        match written.await {
            Ok(Ok(path)) => tracing::warn!(
                publisher = self.target.target(), count, name, resource, reason, path = %path.display(),
                "samples are set aside: the target will not take them"
            ),
            Ok(Err(error)) => tracing::error!(
                publisher = self.target.target(), count, name, resource, reason, %error,
                "samples that the target will not take cannot be kept"
            ),
            Err(error) => tracing::error!(%error, "samples that the target will not take cannot be kept"),
        }
    }
}
