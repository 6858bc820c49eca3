//! Small closed sets of words.

use serde::{Deserialize, Serialize};

/// Makes an enum of words with their wire spelling.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$word_doc:meta])* $word:ident = $text:literal),+ $(,)? }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        pub enum $name {
            $($(#[$word_doc])* #[serde(rename = $text)] $word),+
        }

        impl $name {
            /// All of them, in upstream's order.
            pub const ALL: &[Self] = &[$(Self::$word),+];

            /// The wire spelling.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$word => $text),+ }
            }

            /// The word that is spelled so.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$word),)+ _ => None }
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.as_str())
            }
        }
    };
}

words! {
    /// Where an alarm stands.
    AlarmState {
        /// The condition does not hold.
        Ok = "ok",
        /// The condition holds.
        Alarm = "alarm",
        /// Nobody can tell.
        InsufficientData = "insufficient data",
    }
}

words! {
    /// How much an alarm matters; ordered.
    Severity {
        /// Least.
        Low = "low",
        /// Between.
        Moderate = "moderate",
        /// Most.
        Critical = "critical",
    }
}

words! {
    /// How a value is compared with a threshold.
    Operator {
        /// Less.
        Lt = "lt",
        /// Less or equal.
        Le = "le",
        /// Equal.
        Eq = "eq",
        /// Not equal.
        Ne = "ne",
        /// Greater or equal.
        Ge = "ge",
        /// Greater.
        Gt = "gt",
    }
}

words! {
    /// What kind of thing an alarm watches.
    AlarmType {
        /// One metric of one resource.
        GnocchiResourcesThreshold = "gnocchi_resources_threshold",
        /// Several metrics together.
        GnocchiAggregationByMetricsThreshold = "gnocchi_aggregation_by_metrics_threshold",
        /// A metric of all resources that a search finds.
        GnocchiAggregationByResourcesThreshold = "gnocchi_aggregation_by_resources_threshold",
        /// Events.
        Event = "event",
        /// Rules joined by and, or.
        Composite = "composite",
        /// Members of a load balancer's pool.
        LoadbalancerMemberHealth = "loadbalancer_member_health",
        /// A PromQL query.
        Prometheus = "prometheus",
        /// Retired upstream: statistics of metered samples.
        Threshold = "threshold",
        /// Retired upstream: states of other alarms.
        Combination = "combination",
    }
}

words! {
    /// What an absent data point counts as; an addition to upstream.
    MissingData {
        /// As upstream has it: too few data points are insufficient data.
        Missing = "missing",
        /// As one that breaches the threshold.
        Breaching = "breaching",
        /// As one that does not.
        NotBreaching = "not_breaching",
        /// The alarm stays as it is.
        Ignore = "ignore",
    }
}

impl Operator {
    /// Whether `value` stands so to `threshold`; NaN only differs.
    #[expect(clippy::float_cmp, reason = "equality is what the user asked for")]
    pub fn holds(self, value: f64, threshold: f64) -> bool {
        match self {
            Self::Lt => value < threshold,
            Self::Le => value <= threshold,
            Self::Eq => value == threshold,
            Self::Ne => value != threshold,
            Self::Ge => value >= threshold,
            Self::Gt => value > threshold,
        }
    }
}
