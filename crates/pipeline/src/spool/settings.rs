//! What an operator decides about spools.

use serde::{Deserialize, Serialize};

/// Bounds of a publisher's spool, and how its target is tried again.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SpoolSettings {
    /// Most bytes that a publisher's samples take on disk; 0 keeps none, so that whoever brings samples waits for the
    /// target.
    pub max_bytes: u64,
    /// Samples that have waited for longer are set aside as if the target had refused them, in seconds; 0: they wait until
    /// they are taken.
    pub max_age_seconds: u64,
    /// Most bytes of refused samples that are kept to be looked at; twice as many may be on disk.
    pub refused_max_bytes: u64,
    /// How long whoever brings samples waits for the target itself before they go to disk, in seconds.
    pub patience_seconds: f64,
    /// Longest pause between attempts while a target does not take samples, in seconds.
    pub retry_max_seconds: f64,
    /// Most samples that are given to a target at once.
    pub batch_samples: usize,
}

impl Default for SpoolSettings {
    fn default() -> Self {
        Self {
            max_bytes: 1 << 30,
            max_age_seconds: 0,
            refused_max_bytes: 16 << 20,
            patience_seconds: 5.0,
            retry_max_seconds: 30.0,
            batch_samples: 5000,
        }
    }
}

impl SpoolSettings {
    /// Everything that is wrong: the key and why.
    pub fn problems(&self) -> Vec<(&'static str, String)> {
        let mut problems = Vec::new();
        if self.max_bytes != 0 && self.max_bytes < MIN_BYTES {
            problems.push(("max_bytes", format!("is {}; it is 0 or at least {MIN_BYTES}", self.max_bytes)));
        }
        for (key, seconds) in
            [("patience_seconds", self.patience_seconds), ("retry_max_seconds", self.retry_max_seconds)]
        {
            if !(seconds > 0.0 && seconds <= 86_400.0) {
                problems.push((key, format!("is {seconds}; it is above 0 and at most 86400")));
            }
        }
        if self.batch_samples == 0 || self.batch_samples > MAX_BATCH {
            problems.push(("batch_samples", format!("is {}; it is 1 to {MAX_BATCH}", self.batch_samples)));
        }
        problems
    }
}

/// Smallest spool that makes sense, in bytes.
const MIN_BYTES: u64 = 1 << 20;
/// Most samples that may be given to a target at once.
const MAX_BATCH: usize = 100_000;
