//! The archive policies of the workload `retention`: between them raw measures stay until they are dropped, give way to
//! rollups after the span of the finest definition, and give way early because they lie close together.

use serde_json::{Value, json};

/// Raw measures that lie close together give way to rollups after this (`engine.min_raw_seconds`).
pub(super) const MIN_RAW_SECONDS: i64 = 3600;

/// A policy and how its metrics are measured. All times in seconds.
#[derive(Debug)]
pub(super) struct Policy {
    pub(super) name: &'static str,
    /// Granularities and points, finest first.
    pub(super) definitions: &'static [(i64, i64)],
    pub(super) methods: &'static [&'static str],
    pub(super) back_window: i64,
    /// Between two measures of a metric.
    pub(super) step_seconds: i64,
}

/// All of them.
pub(super) const POLICIES: [Policy; 5] = [
    Policy {
        name: "retention-three",
        definitions: &[(10, 360), (60, 240), (600, 60)],
        methods: &["mean", "min", "max", "sum", "count", "std", "first", "last"],
        back_window: 0,
        step_seconds: 10,
    },
    Policy {
        name: "retention-dense",
        definitions: &[(300, 96)],
        methods: &["mean", "max", "count"],
        back_window: 0,
        step_seconds: 5,
    },
    Policy {
        name: "retention-rates",
        definitions: &[(60, 120), (300, 96)],
        methods: &["mean", "rate:mean", "rate:max", "median", "95pct"],
        back_window: 6,
        step_seconds: 30,
    },
    Policy {
        name: "retention-raw",
        definitions: &[(60, 300)],
        methods: &["mean", "sum"],
        back_window: 0,
        step_seconds: 60,
    },
    Policy {
        name: "retention-uneven",
        definitions: &[(70, 100), (420, 60)],
        methods: &["mean", "min", "last"],
        back_window: 2,
        step_seconds: 20,
    },
];

/// The longest that any policy shows anything, in seconds.
pub(super) fn longest_span_seconds() -> i64 {
    POLICIES.iter().map(Policy::span_seconds).max().unwrap_or(0)
}

impl Policy {
    /// As Gnocchi's API takes it.
    pub(super) fn body(&self) -> Value {
        let definition =
            self.definitions.iter().map(|(step, points)| json!({"granularity": step, "points": points}));
        json!({
            "name": self.name, "back_window": self.back_window, "definition": definition.collect::<Value>(),
            "aggregation_methods": self.methods,
        })
    }

    /// How far back its longest definition shows anything.
    pub(super) fn span_seconds(&self) -> i64 {
        self.definitions.iter().map(|(step, points)| step * points).max().unwrap_or(0)
    }

    /// Its coarsest granularity.
    pub(super) fn coarsest_seconds(&self) -> i64 {
        self.definitions.iter().map(|(step, _)| *step).max().unwrap_or(1)
    }

    /// Raw measures are kept at least so long: late measures and deletions reach as far.
    pub(super) fn raw_seconds(&self) -> i64 {
        let finest = self.definitions.iter().map(|(step, points)| step * points).min().unwrap_or(0);
        finest.min(MIN_RAW_SECONDS).max((self.back_window + 1) * self.coarsest_seconds())
    }

    /// Whether some method looks at the measure before.
    pub(super) fn has_rates(&self) -> bool {
        self.methods.iter().any(|method| method.starts_with("rate:"))
    }
}
