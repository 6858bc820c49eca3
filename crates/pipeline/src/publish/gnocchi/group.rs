//! Samples of a call by the resources that they are of.

use std::collections::HashMap;
use std::sync::Arc;

use nephometer_drivers::NamedMeasures;
use nephometer_model::time::parse_timestamp;
use nephometer_model::{Metadata, Sample, Timestamp};
use serde_json::{Map, Value, json};

use super::GnocchiPublisher;
use super::attributes::KnownAttributes;
use crate::RefusedSample;
use crate::resources::ResourceDefinition;

/// The type whose resources are projects: those of the filtered one are left out by their id.
const ACCOUNT: &str = "swift_account";

/// Longer units no metric can have: a metric without one is better than none.
const MAX_UNIT_CHARS: usize = 31;

/// One resource with what a call says of it.
pub(super) struct Group<'a> {
    pub(super) id: String,
    pub(super) definition: &'a ResourceDefinition,
    pub(super) user_id: Option<Arc<str>>,
    /// Attributes that samples have, `project_id` among them; the last sample that has one counts.
    pub(super) attributes: Map<String, Value>,
    /// The metadata that attributes were last taken from.
    pub(super) read: Option<Metadata>,
    /// Metadata whose attributes the service has already.
    known: Option<Metadata>,
    pub(super) metrics: Vec<MetricGroup>,
}

/// One metric's measures, and the places of its samples in the call.
pub(super) struct MetricGroup {
    pub(super) measures: NamedMeasures,
    pub(super) samples: Vec<usize>,
}

/// Resources in the order in which they are first met.
pub(super) struct Groups<'a>(pub(super) Vec<Group<'a>>);

impl<'a> Groups<'a> {
    /// Samples of meters that no definition lists, and those of the project that is left out, are not among them. What
    /// cannot be a measure goes to `refused`.
    pub(super) fn of(
        publisher: &'a GnocchiPublisher,
        samples: &[Sample],
        filtered: Option<&str>,
        refused: &mut Vec<RefusedSample>,
    ) -> Self {
        let mut groups = Self(Vec::new());
        let mut places: HashMap<&str, usize> = HashMap::new();
        let now = publisher.clock.now();
        for (index, sample) in samples.iter().enumerate() {
            let Some(metric) = publisher.definitions.metric(&sample.name) else {
                publisher.tell_unmapped(&sample.name);
                continue;
            };
            if filtered.is_some_and(|project| is_filtered(sample, metric.resource, project)) {
                continue;
            }
            match measure(sample, now) {
                Ok((id, time, value)) => {
                    let place =
                        *places.entry(id).or_insert_with(|| groups.begin(id, metric.resource, sample));
                    let Some(group) = groups.0.get_mut(place) else { continue };
                    let policy = metric.archive_policy(publisher.options.archive_policy.as_deref());
                    group.add(index, sample, policy, (time, value));
                    group.read_attributes(sample, &publisher.known);
                }
                Err(reason) => refused.push(RefusedSample { index, reason }),
            }
        }
        groups
    }

    fn begin(&mut self, id: &str, definition: &'a ResourceDefinition, sample: &Sample) -> usize {
        self.0.push(Group {
            // Slashes would become parts of addresses.
            id: id.replace('/', "_"),
            definition,
            user_id: sample.user_id.clone(),
            attributes: Map::new(),
            read: None,
            known: None,
            metrics: Vec::new(),
        });
        self.0.len() - 1
    }
}

impl Group<'_> {
    fn add(&mut self, index: usize, sample: &Sample, policy: &str, measure: (Timestamp, f64)) {
        let metric = match self.metrics.iter().position(|metric| metric.measures.metric == *sample.name) {
            Some(place) => &mut self.metrics[place],
            None => {
                self.metrics.push(MetricGroup::new(&self.id, sample, policy));
                let last = self.metrics.len() - 1;
                &mut self.metrics[last]
            }
        };
        metric.measures.measures.push(measure);
        metric.samples.push(index);
    }

    /// Takes attributes from a sample, once where samples share what they are taken from.
    fn read_attributes(&mut self, sample: &Sample, known: &KnownAttributes) {
        let project = sample.project_id.as_deref().map(Value::from);
        if let Some(project) = project.filter(|project| self.attributes.get("project_id") != Some(project)) {
            self.attributes.insert("project_id".to_owned(), project);
        }
        if self.definition.has_no_attributes() {
            return;
        }
        if !self.definition.reads_metadata_alone() {
            self.attributes.extend(self.definition.attributes(&Value::Object(sample.to_map())));
            return;
        }
        let metadata = &sample.metadata;
        let is_it = |other: &Option<Metadata>| other.as_ref().is_some_and(|other| other.is(metadata));
        if is_it(&self.read) || is_it(&self.known) {
            return;
        }
        if known.is_read(&self.id, metadata) {
            self.known = Some(metadata.clone());
        } else {
            self.attributes.extend(self.definition.attributes(&json!({"resource_metadata": metadata})));
            self.read = Some(metadata.clone());
        }
    }

    /// All attributes, those that the service should have already among them.
    pub(super) fn all_attributes(&self) -> Map<String, Value> {
        let known = self.known.as_ref();
        let mut all = known.map_or_else(Map::new, |metadata| {
            self.definition.attributes(&json!({"resource_metadata": metadata}))
        });
        all.extend(self.attributes.clone());
        all
    }
}

impl MetricGroup {
    fn new(resource_id: &str, sample: &Sample, policy: &str) -> Self {
        let measures = NamedMeasures {
            resource_id: resource_id.to_owned(),
            metric: sample.name.to_string(),
            archive_policy: Some(policy.to_owned()),
            unit: (sample.unit.chars().count() <= MAX_UNIT_CHARS).then(|| sample.unit.to_string()),
            measures: Vec::new(),
        };
        Self { measures, samples: Vec::new() }
    }
}

fn is_filtered(sample: &Sample, definition: &ResourceDefinition, project: &str) -> bool {
    sample.project_id.as_deref() == Some(project)
        || (sample.resource_id.as_deref() == Some(project) && definition.resource_type() == ACCOUNT)
}

/// Of what, when and what; or why it is nothing that can be stored.
fn measure(sample: &Sample, now: Timestamp) -> Result<(&str, Timestamp, f64), String> {
    let id = sample.resource_id.as_deref().filter(|id| !id.is_empty());
    let id = id.ok_or_else(|| "it names no resource".to_owned())?;
    let value = sample.volume.as_f64().ok_or_else(|| format!("its volume is {}", sample.volume.to_json()))?;
    let text = sample.timestamp.as_deref().ok_or_else(|| "it has no timestamp".to_owned())?;
    let time = parse_timestamp(text, now).map_err(|error| format!("its timestamp is {error}"))?;
    Ok((id, time, value))
}
