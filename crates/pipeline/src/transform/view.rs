//! What transformers remember, as one batch sees it: what is stored, under the changes that the batch makes.

use std::collections::{BTreeMap, HashMap};

use nephometer_model::{Sample, Timestamp, Volume};

/// Whose memory it is, and of what: a meter of a resource, a resource, or whatever else the transformer goes by.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) struct Key {
    /// The transformer's identity in its sink.
    pub(crate) transformer: u64,
    /// Of what.
    pub(crate) of: String,
}

/// What is remembered of one thing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Kept {
    /// The last reading of a meter of a resource.
    Last { volume: Volume, time: Timestamp, monotonic_seconds: Option<f64> },
    /// Samples that became one, and how many.
    Sum { sample: Sample, count: u64 },
    /// Samples that wait.
    Held(Vec<Sample>),
    /// How many samples came since when.
    Since { time: Timestamp, count: u64 },
}

impl Kept {
    /// Whether it holds samples that were accepted and have not gone on: then it is never merely idle.
    pub(crate) fn owes(&self, keyed_by_resource: bool) -> bool {
        match self {
            Self::Last { .. } => false,
            // Operands that wait for others of their resource.
            Self::Held(_) => !keyed_by_resource,
            Self::Sum { .. } | Self::Since { .. } => true,
        }
    }
}

/// What is remembered, and when it last changed.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Entry {
    pub(crate) kept: Kept,
    pub(crate) touched: Timestamp,
}

/// See the module.
pub(crate) struct View<'s> {
    stored: &'s HashMap<Key, Entry>,
    changes: BTreeMap<Key, Option<Kept>>,
    transformer: u64,
    now: Timestamp,
}

impl<'s> View<'s> {
    pub(crate) fn new(stored: &'s HashMap<Key, Entry>, now: Timestamp) -> Self {
        Self { stored, changes: BTreeMap::new(), transformer: 0, now }
    }

    /// Whose memory is meant from here on.
    pub(crate) fn turn_to(&mut self, transformer: u64) {
        self.transformer = transformer;
    }

    pub(super) fn transformer(&self) -> u64 {
        self.transformer
    }

    /// The time of this batch.
    pub(super) fn now(&self) -> Timestamp {
        self.now
    }

    fn key(&self, of: &str) -> Key {
        Key { transformer: self.transformer, of: of.to_owned() }
    }

    pub(super) fn get(&self, of: &str) -> Option<&Kept> {
        let key = self.key(of);
        match self.changes.get(&key) {
            Some(changed) => changed.as_ref(),
            None => self.stored.get(&key).map(|entry| &entry.kept),
        }
    }

    pub(super) fn put(&mut self, of: &str, kept: Kept) {
        self.changes.insert(self.key(of), Some(kept));
    }

    pub(super) fn remove(&mut self, of: &str) -> Option<Kept> {
        let key = self.key(of);
        let stored = self.stored.get(&key);
        let before = match self.changes.remove(&key) {
            Some(changed) => changed,
            None => stored.map(|entry| entry.kept.clone()),
        };
        if stored.is_some() {
            self.changes.insert(key, None);
        }
        before
    }

    /// What this batch has changed of the transformer's memory.
    pub(super) fn touched(&self) -> Vec<String> {
        self.of_this(self.changes.keys())
    }

    /// All that the transformer remembers, in order.
    pub(super) fn all(&self) -> Vec<String> {
        let mut all = self.of_this(self.stored.keys().chain(self.changes.keys()));
        all.sort_unstable();
        all.dedup();
        all.retain(|of| self.get(of).is_some());
        all
    }

    fn of_this<'k>(&self, keys: impl Iterator<Item = &'k Key>) -> Vec<String> {
        keys.filter(|key| key.transformer == self.transformer).map(|key| key.of.clone()).collect()
    }

    /// What is to be stored.
    pub(crate) fn into_changes(self) -> BTreeMap<Key, Option<Kept>> {
        self.changes
    }
}
