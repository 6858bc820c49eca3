//! The words of telemetry as validated types: ids, times, policies, resources, metrics, samples, identities.
//!
//! This crate may not do I/O, may not read the clock or make random ids by itself (see [`Clock`]),
//! may not be async, and knows neither HTTP nor SQL nor files.

mod alarm;
mod causes;
mod clock;
mod filter;
mod id;
mod identity;
pub mod json;
mod metadata;
mod method;
mod metric;
mod ordered_ids;
mod policy;
pub mod python;
mod resource;
mod sample;
mod secret;
mod suggest;
pub mod time;

pub use alarm::{
    Alarm, AlarmChange, AlarmChangeKind, AlarmCounts, AlarmId, AlarmRule, AlarmState, AlarmType,
    CombinationRule, CompositeRule, EventCondition, EventRule, LoadBalancerRule, MetersRule, MetricsRule,
    MissingData, Notification, Operator, PrometheusRule, Quota, ResourceRule, ResourcesRule, Severity,
    SubRule, Threshold, TimeConstraint,
};
pub use causes::with_causes;
pub use clock::{Clock, IdSource, ManualClock, SystemClock};
pub use filter::{Comparison, Filter, FilterValue};
pub use id::{
    MAX_ORIGINAL_RESOURCE_ID_CHARS, MetricId, PolicyKey, ResourceId, ResourceIdError, SeriesKey,
    parse_python_uuid, resource_id_from,
};
pub use identity::{Identity, PolicyTarget};
pub use metadata::{Metadata, SharedField, WeakMetadata};
pub use method::{AggregationMethod, MethodSet, Reducer};
pub use metric::{Metric, MetricStatus};
pub use ordered_ids::OrderedIds;
pub use policy::{
    ArchivePolicy, ArchivePolicyRule, NewArchivePolicy, PolicyError, PolicyItem, PolicyItemSpec, glob_match,
};
pub use resource::{
    Attribute, AttributeKind, AttributeValue, Attributes, Resource, ResourceType, ResourceTypeState, Revision,
};
pub use sample::{Meter, MeterType, Sample, UnknownMeterType, Volume};
pub use secret::{Secret, SecretUrl};
pub use suggest::closest_name;
pub use time::{Timespan, Timestamp};
