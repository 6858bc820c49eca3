//! Resources that a pollster has said it cannot read: they are left alone for a while that grows, and then tried again.
//! Upstream never tries again.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

/// How long such resources are left alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BlacklistSettings {
    /// For the first time.
    pub first: Duration,
    /// Twice as long each time it happens again, up to this.
    pub longest: Duration,
}

impl Default for BlacklistSettings {
    fn default() -> Self {
        Self { first: Duration::from_secs(600), longest: Duration::from_secs(86_400) }
    }
}

/// The resources of one pollster of one source.
#[derive(Debug, Default)]
pub(crate) struct Blacklist(HashMap<Arc<str>, Entry>);

#[derive(Debug, Clone, Copy)]
struct Entry {
    until_ns: u64,
    pause: Duration,
}

impl Blacklist {
    /// Whether the resource is left alone at `now_ns` of the monotonic clock.
    pub(crate) fn holds(&self, id: &str, now_ns: u64) -> bool {
        self.0.get(id).is_some_and(|entry| entry.until_ns > now_ns)
    }

    /// How many are left alone.
    pub(crate) fn len(&self, now_ns: u64) -> usize {
        self.0.values().filter(|entry| entry.until_ns > now_ns).count()
    }

    /// Forgets what is not there any more: `candidates` is all that was listed.
    pub(crate) fn retain(&mut self, candidates: &HashSet<Arc<str>>) {
        self.0.retain(|id, _| candidates.contains(id));
    }

    /// Takes in how a poll of `polled` has ended: `refused` could not be read, all else could.
    pub(crate) fn record(
        &mut self,
        polled: impl Iterator<Item = Arc<str>>,
        refused: &[Arc<str>],
        settings: BlacklistSettings,
        now_ns: u64,
    ) {
        let refused: HashSet<&str> = refused.iter().map(|id| &**id).collect();
        for id in polled {
            if !refused.contains(&*id) {
                self.0.remove(&id);
                continue;
            }
            let before = self.0.get(&id).map(|entry| entry.pause * 2);
            let pause = before.unwrap_or(settings.first).min(settings.longest);
            let pause_ns = u64::try_from(pause.as_nanos()).unwrap_or(u64::MAX);
            self.0.insert(id, Entry { until_ns: now_ns.saturating_add(pause_ns), pause });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND_NS: u64 = 1_000_000_000;

    #[test]
    fn pauses_grow_and_end() {
        let settings = BlacklistSettings { first: Duration::from_secs(10), longest: Duration::from_secs(30) };
        let mut list = Blacklist::default();
        let id: Arc<str> = "a".into();
        let ids = || std::iter::once(Arc::clone(&id));
        let mut now_ns = 0;
        for pause in [10, 20, 30, 30] {
            list.record(ids(), &[Arc::clone(&id)], settings, now_ns);
            assert!(list.holds("a", now_ns + pause * SECOND_NS - 1), "{pause}");
            now_ns += pause * SECOND_NS;
            assert!(!list.holds("a", now_ns) && !list.holds("b", now_ns));
        }
        list.record(ids(), &[], settings, now_ns);
        list.record(ids(), &[Arc::clone(&id)], settings, now_ns);
        assert_eq!((list.holds("a", now_ns + 10 * SECOND_NS), list.len(now_ns)), (false, 1));
        list.retain(&HashSet::new());
        assert_eq!(list.len(now_ns), 0);
    }
}
