//! Writing what a call brings: measures, resources that are missing, attributes that have changed.

use std::collections::{HashMap, HashSet};

use futures::{StreamExt as _, TryStreamExt as _};
use nephometer_drivers::{Made, MetricWriteError, NamedMeasures};
use serde_json::{Map, Value};

use super::GnocchiPublisher;
use super::group::{Group, Groups};
use crate::{PublishError, RefusedSample};

/// Resources that are made or changed at a time.
const AT_ONCE: usize = 16;
/// How often resources are made that go away again before their measures are written.
const ATTEMPTS: usize = 3;

/// Whether the same request will be refused for ever: for what is in it, not for who sends it or how things stand.
fn is_final(status: u16) -> bool {
    matches!(status, 400 | 404 | 409 | 413 | 415 | 422)
}

fn later(error: &MetricWriteError) -> PublishError {
    PublishError::Later(error.to_string())
}

impl GnocchiPublisher {
    /// Writes all of it; answers which samples the service will never take.
    pub(super) async fn write(&self, groups: Groups<'_>) -> Result<Vec<RefusedSample>, PublishError> {
        let Groups(mut groups) = groups;
        let mut refused = Vec::new();
        // Parts that are still to be written, the next one last: where a part is refused, what is meant is found by
        // halving.
        let mut parts = vec![Part::of(&mut groups)];
        let by_id: HashMap<&str, &Group<'_>> =
            groups.iter().map(|group| (group.id.as_str(), group)).collect();
        while let Some(part) = parts.pop() {
            if let Some(refused_together) = self.write_part(part, &by_id, &mut refused).await? {
                let [first, second] = refused_together.halves();
                parts.extend([second, first]);
            }
        }
        self.write_attributes(&groups).await?;
        Ok(refused)
    }

    /// Writes metrics; gives them back where they are refused together, being more than one.
    async fn write_part(
        &self,
        mut part: Part,
        groups: &HashMap<&str, &Group<'_>>,
        refused: &mut Vec<RefusedSample>,
    ) -> Result<Option<Part>, PublishError> {
        for _ in 0..ATTEMPTS {
            if part.measures.is_empty() {
                return Ok(None);
            }
            match self.writer.write(&part.measures).await {
                Ok(()) => return Ok(None),
                Err(MetricWriteError::UnknownResources(ids)) => {
                    part = part.without(&self.make(&ids, groups).await?, refused);
                }
                Err(MetricWriteError::Refused { status, text }) if is_final(status) => {
                    if part.measures.len() > 1 {
                        return Ok(Some(part));
                    }
                    part.samples.iter().for_each(|samples| refuse(samples, &text, refused));
                    return Ok(None);
                }
                Err(error) => return Err(later(&error)),
            }
        }
        Err(PublishError::Later("resources go away as soon as they are made".to_owned()))
    }

    /// Makes resources that the service does not know; answers which cannot be, and why.
    async fn make(
        &self,
        ids: &[String],
        groups: &HashMap<&str, &Group<'_>>,
    ) -> Result<HashMap<String, String>, PublishError> {
        let unique: HashSet<&str> = ids.iter().map(String::as_str).collect();
        let mut making = Vec::with_capacity(unique.len());
        for id in unique {
            if let Some(group) = groups.get(id) {
                making.push(Box::pin(self.make_one(group)));
            }
        }
        let made = futures::stream::iter(making).buffer_unordered(AT_ONCE);
        let unfit: Vec<_> = made.try_collect().await?;
        Ok(unfit.into_iter().flatten().collect())
    }

    async fn make_one(&self, group: &Group<'_>) -> Result<Option<(String, String)>, PublishError> {
        let mut attributes = Map::new();
        attributes.insert("id".to_owned(), Value::from(group.id.as_str()));
        if let Some(user) = &group.user_id {
            attributes.insert("user_id".to_owned(), Value::from(&**user));
        }
        let own = group.all_attributes();
        attributes.extend(own.clone());
        let resource_type = group.definition.resource_type();
        match self.writer.create_resource(resource_type, &attributes).await {
            Ok(Made::New) => {
                self.known.forget(&group.id);
                self.known.note(&group.id, &own, group.read.as_ref());
                Ok(None)
            }
            Ok(Made::Existing) => Ok(None),
            Err(MetricWriteError::Refused { status, text }) if is_final(status) => {
                let reason = format!("a resource of type {resource_type} cannot be made of it: {text}");
                Ok(Some((group.id.clone(), reason)))
            }
            Err(MetricWriteError::NotFound(text)) => Ok(Some((group.id.clone(), text))),
            Err(error) => Err(later(&error)),
        }
    }

    /// Writes attributes that are not known to be as samples have them.
    async fn write_attributes(&self, groups: &[Group<'_>]) -> Result<(), PublishError> {
        let mut changes = Vec::new();
        for group in groups {
            let changed = self.known.changed(&group.id, &group.attributes);
            if !changed.is_empty() {
                changes.push(Box::pin(self.change(group, changed)));
            } else if group.read.is_some() {
                self.known.note(&group.id, &changed, group.read.as_ref());
            }
        }
        futures::stream::iter(changes).buffer_unordered(AT_ONCE).try_collect().await
    }

    async fn change(&self, group: &Group<'_>, changed: Map<String, Value>) -> Result<(), PublishError> {
        let resource_type = group.definition.resource_type();
        match self.writer.change_resource(resource_type, &group.id, &changed).await {
            Ok(()) => {}
            Err(error @ MetricWriteError::Unavailable(_)) => return Err(later(&error)),
            // Measures are stored without them; asking again would be refused again.
            Err(error) => tracing::warn!(
                publisher = self.target, resource = group.id, resource_type, %error,
                "attributes of a resource are not taken"
            ),
        }
        self.known.note(&group.id, &changed, group.read.as_ref());
        Ok(())
    }
}

/// Metrics with measures, and for each the places of its samples in the call.
#[derive(Default)]
struct Part {
    measures: Vec<NamedMeasures>,
    samples: Vec<Vec<usize>>,
}

impl Part {
    fn of(groups: &mut [Group<'_>]) -> Self {
        let metrics = groups.iter_mut().flat_map(|group| group.metrics.drain(..));
        let (measures, samples) = metrics.map(|metric| (metric.measures, metric.samples)).unzip();
        Self { measures, samples }
    }

    fn halves(mut self) -> [Self; 2] {
        let half = self.measures.len() / 2;
        let second = Self { measures: self.measures.split_off(half), samples: self.samples.split_off(half) };
        [self, second]
    }

    /// What is left without the metrics of resources that cannot be made, which are refused.
    fn without(self, unfit: &HashMap<String, String>, refused: &mut Vec<RefusedSample>) -> Self {
        let mut left = Self::default();
        for (measures, samples) in self.measures.into_iter().zip(self.samples) {
            match unfit.get(&measures.resource_id) {
                Some(reason) => refuse(&samples, reason, refused),
                None => {
                    left.measures.push(measures);
                    left.samples.push(samples);
                }
            }
        }
        left
    }
}

fn refuse(samples: &[usize], reason: &str, refused: &mut Vec<RefusedSample>) {
    refused.extend(samples.iter().map(|index| RefusedSample { index: *index, reason: reason.to_owned() }));
}
