//! What an operator may set about the engine.

use serde::{Deserialize, Serialize};

/// What happens to measures that arrive after newer ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LateRule {
    /// They count as long as raw measures of their time are kept.
    #[default]
    Accept,
    /// They count within the policy's back window only, as Gnocchi has it.
    Upstream,
}

/// Settings of the engine; sizes in bytes, times in seconds.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Over how many sacks series are spread. Fixed once there is data.
    pub sacks: u32,
    /// Most memory for measures that are not in parts yet; beyond it writes are answered with 503.
    pub head_bytes: u64,
    /// The head is written to parts when it takes so much memory and has some measures of each series, or half of what
    /// is allowed at all.
    pub flush_head_bytes: u64,
    /// The head is written to parts when the log has grown by so much.
    pub flush_log_bytes: u64,
    /// The head is written to parts when its oldest measure has waited so long.
    pub flush_age_seconds: u64,
    /// Most memory for requests that wait for the log; beyond it writes are answered with 503.
    pub queue_bytes: u64,
    /// A log segment is ended when it is so long, and has 48 bytes for each series in it.
    pub log_segment_bytes: u64,
    /// Writes are answered with 503 when the disk has less room than this.
    pub min_free_disk_bytes: u64,
    /// A measure further ahead of now is kept and shown, but retention does not count from it.
    pub future_horizon_seconds: u64,
    /// What happens to late measures.
    pub late: LateRule,
    /// Threads that read.
    pub read_threads: u32,
    /// Most memory for blocks of parts that were read lately.
    pub block_cache_bytes: u64,
    /// Parts are split at multiples of this; what lies in different partitions is never merged.
    pub partition_seconds: u64,
    /// So many parts of like size are merged into one.
    pub merge_fan_in: u32,
    /// Parts of this size and more are not merged any further.
    pub merge_max_bytes: u64,
    /// Raw measures are kept at least so long, also where rollups would take much less room.
    pub min_raw_seconds: u64,
    /// Deleted measures leave parts so long after a part was last written.
    pub garbage_seconds: u64,
    /// Whether flushing and merging happen by themselves. Off only where a test decides when.
    pub background: bool,
}

impl Default for Settings {
    fn default() -> Self {
        const MIB: u64 = 1 << 20;
        Self {
            sacks: 8,
            head_bytes: 1024 * MIB,
            flush_head_bytes: 128 * MIB,
            flush_log_bytes: 512 * MIB,
            flush_age_seconds: 3600,
            queue_bytes: 64 * MIB,
            log_segment_bytes: 64 * MIB,
            min_free_disk_bytes: 256 * MIB,
            future_horizon_seconds: 86_400,
            late: LateRule::Accept,
            read_threads: 2,
            block_cache_bytes: 128 * MIB,
            partition_seconds: 4 * 86_400,
            merge_fan_in: 8,
            merge_max_bytes: 1024 * MIB,
            min_raw_seconds: 86_400,
            garbage_seconds: 3600,
            background: true,
        }
    }
}

impl Settings {
    /// What is wrong with the settings, one sentence each.
    pub fn problems(&self) -> Vec<String> {
        let mut problems = Vec::new();
        let mut check = |bad: bool, text: &str| {
            if bad {
                problems.push(text.to_owned());
            }
        };
        check(!(1..=1024).contains(&self.sacks), "sacks must be between 1 and 1024");
        check(!(1..=256).contains(&self.read_threads), "read_threads must be between 1 and 256");
        check(self.merge_fan_in < 2, "merge_fan_in must be at least 2");
        check(self.partition_seconds < 3600, "partition_seconds must be at least 3600");
        check(self.partition_seconds > 1 << 32, "partition_seconds is too large");
        check(self.head_bytes < self.flush_head_bytes, "head_bytes must not be below flush_head_bytes");
        check(self.head_bytes > 1 << 34, "head_bytes must be at most 17179869184");
        check(self.log_segment_bytes < 1 << 16, "log_segment_bytes must be at least 65536");
        check(self.min_raw_seconds > 1 << 33, "min_raw_seconds is too large");
        check(self.future_horizon_seconds > 1 << 33, "future_horizon_seconds is too large");
        problems
    }

    pub(crate) fn partition_ns(&self) -> i64 {
        seconds_to_ns(self.partition_seconds)
    }

    pub(crate) fn min_raw_ns(&self) -> i64 {
        seconds_to_ns(self.min_raw_seconds)
    }

    pub(crate) fn future_horizon_ns(&self) -> i64 {
        seconds_to_ns(self.future_horizon_seconds)
    }
}

/// Whole seconds in nanoseconds; saturates.
pub(crate) fn seconds_to_ns(seconds: u64) -> i64 {
    i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000_000)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn defaults_are_sound() {
        assert_eq!(Settings::default().problems(), Vec::<String>::new());
        let bad = Settings { sacks: 0, merge_fan_in: 1, ..Settings::default() };
        assert_eq!(bad.problems().len(), 2);
    }
}
