//! Transformers that hold samples back: `aggregator` makes one of many, `accumulator` lets them go together.

use nephometer_model::{Metadata, MeterType, Sample, Timespan, Timestamp, Volume};
use serde_json::{Map, Value};

use super::convert::{Conversion, sum, text, whole};
use super::{Kept, Outcome, View};

/// Under what is remembered how many samples came since when. No sample has this key.
const SINCE: &str = "";

/// Whose value an attribute has when samples become one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Whose {
    First,
    Last,
    Dropped,
}

#[derive(Debug, Clone)]
pub(super) struct Aggregator {
    conversion: Conversion,
    size: Option<u64>,
    retention: Option<Timespan>,
    /// Where nothing is said of the owner, samples of different owners stay apart.
    project: Option<Whose>,
    user: Option<Whose>,
    metadata: Whose,
    timestamp: Whose,
}

impl Aggregator {
    pub(super) fn read(parameters: &Map<String, Value>) -> Result<Self, String> {
        let retention = match parameters.get("retention_time") {
            None | Some(Value::Null) => None,
            Some(value) => {
                let seconds =
                    value.as_f64().or_else(|| value.as_str().and_then(|text| text.trim().parse().ok()));
                let seconds: f64 = seconds
                    .filter(|seconds| (0.0..1e9).contains(seconds))
                    .ok_or_else(|| format!("retention_time should be seconds, not {value}"))?;
                (seconds > 0.0).then(|| Timespan::from_ns((seconds * 1e9) as i64))
            }
        };
        let size = whole(parameters, "size")?.filter(|size| *size > 0);
        let owner = |key: &str| {
            let given = text(parameters, key)?.filter(|given| !given.is_empty());
            Ok::<_, String>(given.map(|given| whose(key, given, false)))
        };
        Ok(Self {
            conversion: Conversion::read(parameters)?,
            // One sample at a time, where nothing else says when it is enough.
            size: if size.is_none() && retention.is_none() { Some(1) } else { size },
            retention,
            project: owner("project_id")?,
            user: owner("user_id")?,
            metadata: text(parameters, "resource_metadata")?
                .map_or(Whose::Last, |given| whose("resource_metadata", given, true)),
            timestamp: if text(parameters, "timestamp")? == Some("last") {
                Whose::Last
            } else {
                Whose::First
            },
        })
    }

    /// What samples that become one have in common.
    fn key(&self, sample: &Sample) -> String {
        let owner = |merged: Option<Whose>, id: &Option<std::sync::Arc<str>>| match (merged, id) {
            (Some(_), _) => String::new(),
            (None, Some(id)) => format!("\0{id}"),
            (None, None) => "\0<undefined>".to_owned(),
        };
        let resource = sample.resource_id.as_deref().unwrap_or_default();
        let (project, user) = (owner(self.project, &sample.project_id), owner(self.user, &sample.user_id));
        format!("{}\0{resource}{project}{user}", sample.name)
    }

    pub(super) fn handle(&self, sample: &Sample, view: &mut View<'_>) -> Outcome {
        let volume = match self.conversion.scaled(sample) {
            Ok(volume) => volume,
            Err(reason) => return Outcome::Dropped(reason),
        };
        let (since, count) = match view.get(SINCE) {
            Some(Kept::Since { time, count }) => (*time, *count),
            _ => (view.now(), 0),
        };
        view.put(SINCE, Kept::Since { time: since, count: count + 1 });
        let key = self.key(sample);
        let so_far = match view.get(&key) {
            Some(Kept::Sum { sample, count }) => Some((sample.clone(), *count)),
            _ => None,
        };
        let merged = match so_far {
            None => {
                let mut first = self.conversion.convert(sample, volume, view.transformer());
                if self.metadata == Whose::Dropped {
                    first.metadata = Metadata::default();
                }
                Kept::Sum { sample: first, count: 1 }
            }
            Some((so_far, count)) => {
                Kept::Sum { sample: self.merge(so_far, sample, volume), count: count + 1 }
            }
        };
        view.put(&key, merged);
        Outcome::Kept
    }

    fn merge(&self, mut so_far: Sample, sample: &Sample, volume: Volume) -> Sample {
        so_far.volume =
            if sample.meter_type == MeterType::Cumulative { volume } else { sum(&so_far.volume, &volume) };
        if self.timestamp == Whose::Last {
            so_far.timestamp.clone_from(&sample.timestamp);
        }
        if self.project == Some(Whose::Last) {
            so_far.project_id.clone_from(&sample.project_id);
        }
        if self.user == Some(Whose::Last) {
            so_far.user_id.clone_from(&sample.user_id);
        }
        if self.metadata == Whose::Last {
            so_far.metadata.clone_from(&sample.metadata);
        }
        so_far
    }

    /// What became one, once it is enough, or its time is over, or it is asked for `anyway`.
    pub(super) fn flush(&self, view: &mut View<'_>, anyway: bool) -> Vec<Sample> {
        let Some(Kept::Since { time, count }) = view.get(SINCE) else { return Vec::new() };
        let full = self.size.is_some_and(|size| *count >= size);
        if !(anyway || full || self.is_over(*time, view.now())) {
            return Vec::new();
        }
        view.remove(SINCE);
        let mut out = Vec::new();
        for key in view.all() {
            let Some(Kept::Sum { mut sample, count }) = view.remove(&key) else { continue };
            if sample.meter_type == MeterType::Gauge && count > 1 {
                sample.volume = Volume::Float(sample.volume.as_f64().unwrap_or(f64::NAN) / count as f64);
            }
            sample.volume = self.conversion.cap(sample.volume);
            out.push(sample);
        }
        out
    }

    fn is_over(&self, since: Timestamp, now: Timestamp) -> bool {
        self.retention.is_some_and(|retention| now.ns() - since.ns() > retention.ns())
    }
}

fn whose(key: &str, given: &str, may_be_dropped: bool) -> Whose {
    match given {
        "first" => Whose::First,
        "last" => Whose::Last,
        "drop" if may_be_dropped => Whose::Dropped,
        _ => {
            tracing::warn!("{key} is unknown ({given}), using last");
            Whose::Last
        }
    }
}

/// Holds `sample` back.
pub(super) fn accumulate(sample: Sample, view: &mut View<'_>) -> Outcome {
    let count = held(view);
    view.put(SINCE, Kept::Since { time: view.now(), count: count + 1 });
    // One entry for each, so that a batch writes what is new and not all that waits.
    view.put(&format!("{count:020}"), Kept::Held(vec![sample]));
    Outcome::Kept
}

/// Samples that are held back, once they are `size`.
pub(super) fn release(size: u64, view: &mut View<'_>) -> Vec<Sample> {
    let count = held(view);
    if count == 0 || count < size {
        return Vec::new();
    }
    view.remove(SINCE);
    let mut out = Vec::new();
    for key in view.all() {
        if let Some(Kept::Held(mut samples)) = view.remove(&key) {
            out.append(&mut samples);
        }
    }
    out
}

fn held(view: &View<'_>) -> u64 {
    match view.get(SINCE) {
        Some(Kept::Since { count, .. }) => *count,
        _ => 0,
    }
}
