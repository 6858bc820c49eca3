//! Records of the journal as bytes: a head in MessagePack, and the samples that it speaks of, written as spools write them.

use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use nephometer_model::{Sample, Timestamp, Volume};
use serde::{Deserialize, Serialize};
use serde_json::Value;

use crate::spool::{decode_samples, encode_samples};
use crate::transform::{Kept, Key};

/// What a batch has led to.
#[derive(Debug, Clone)]
pub(super) struct Step {
    pub(super) sink: Arc<str>,
    /// What was made of it, for publishers.
    pub(super) samples: Arc<Vec<Sample>>,
    /// What is remembered from here on, and what is forgotten.
    pub(super) changes: BTreeMap<Key, Option<Kept>>,
    /// By what its samples are recognised if they come again.
    pub(super) seen: Vec<u64>,
    pub(super) now: Timestamp,
}

#[derive(Debug, Clone)]
pub(super) enum Record {
    Step(Step),
    /// A publisher has got everything up to a number.
    Settled {
        sink: Arc<str>,
        target: Arc<str>,
        sequence: u64,
    },
    /// A publisher is to get nothing any more.
    Detached {
        sink: Arc<str>,
        target: Arc<str>,
    },
    /// The number of what was made last.
    Sequence {
        sink: Arc<str>,
        last: u64,
    },
    /// A sink is there no more.
    Forgotten {
        sink: Arc<str>,
    },
}

#[derive(Serialize, Deserialize)]
enum Head {
    Step { sink: String, made: u32, changes: Vec<Change>, seen: Vec<u64>, now_ns: i64 },
    Settled { sink: String, target: String, sequence: u64 },
    Detached { sink: String, target: String },
    Sequence { sink: String, last: u64 },
    Forgotten { sink: String },
}

#[derive(Serialize, Deserialize)]
struct Change {
    transformer: u64,
    of: String,
    kept: Option<Row>,
}

/// What is remembered; samples are places among those of the record.
#[derive(Serialize, Deserialize)]
enum Row {
    Last { volume: Number, time_ns: i64, monotonic_seconds: Option<f64> },
    Sum { sample: u32, count: u64 },
    Held { from: u32, count: u32 },
    Since { time_ns: i64, count: u64 },
}

#[derive(Serialize, Deserialize)]
enum Number {
    Int(i64),
    Float(f64),
    Other(Value),
}

fn too_many<E>(_: E) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "a record is too long")
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

/// `record` as bytes.
pub(super) fn encode(record: &Record) -> io::Result<Vec<u8>> {
    let mut samples = Vec::new();
    let head = match record {
        Record::Step(step) => {
            samples.extend(step.samples.iter().cloned());
            let made = u32::try_from(samples.len()).map_err(too_many)?;
            let changes = step.changes.iter().map(|(key, kept)| {
                let kept = kept.as_ref().map(|kept| row(kept, &mut samples)).transpose()?;
                Ok(Change { transformer: key.transformer, of: key.of.clone(), kept })
            });
            let changes = changes.collect::<io::Result<_>>()?;
            let (sink, seen) = (step.sink.to_string(), step.seen.clone());
            Head::Step { sink, made, changes, seen, now_ns: step.now.ns() }
        }
        Record::Settled { sink, target, sequence } => {
            Head::Settled { sink: sink.to_string(), target: target.to_string(), sequence: *sequence }
        }
        Record::Detached { sink, target } => {
            Head::Detached { sink: sink.to_string(), target: target.to_string() }
        }
        Record::Sequence { sink, last } => Head::Sequence { sink: sink.to_string(), last: *last },
        Record::Forgotten { sink } => Head::Forgotten { sink: sink.to_string() },
    };
    let head = rmp_serde::to_vec(&head).map_err(io::Error::other)?;
    let mut out = u32::try_from(head.len()).map_err(too_many)?.to_le_bytes().to_vec();
    out.extend_from_slice(&head);
    if !samples.is_empty() {
        out.extend_from_slice(&encode_samples(&samples)?);
    }
    Ok(out)
}

fn row(kept: &Kept, samples: &mut Vec<Sample>) -> io::Result<Row> {
    let place = u32::try_from(samples.len()).map_err(too_many)?;
    Ok(match kept {
        Kept::Last { volume, time, monotonic_seconds } => Row::Last {
            volume: match volume {
                Volume::Int(value) => Number::Int(*value),
                Volume::Float(value) => Number::Float(*value),
                Volume::Other(value) => Number::Other(value.clone()),
            },
            time_ns: time.ns(),
            monotonic_seconds: *monotonic_seconds,
        },
        Kept::Sum { sample, count } => {
            samples.push(sample.clone());
            Row::Sum { sample: place, count: *count }
        }
        Kept::Held(held) => {
            samples.extend(held.iter().cloned());
            Row::Held { from: place, count: u32::try_from(held.len()).map_err(too_many)? }
        }
        Kept::Since { time, count } => Row::Since { time_ns: time.ns(), count: *count },
    })
}

/// The record that [`encode`] has written.
pub(super) fn decode(bytes: &[u8]) -> io::Result<Record> {
    let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(|| malformed("a record without head"))?;
    let length = usize::try_from(u32::from_le_bytes(*length)).unwrap_or(usize::MAX);
    let (head, samples) =
        rest.split_at_checked(length).ok_or_else(|| malformed("a head beyond its record"))?;
    let head: Head = rmp_serde::from_slice(head).map_err(io::Error::other)?;
    Ok(match head {
        Head::Step { sink, made, changes, seen, now_ns } => {
            let samples = if samples.is_empty() { Vec::new() } else { decode_samples(samples)? };
            let part = |from: u32, count: u32| {
                let from = usize::try_from(from).unwrap_or(usize::MAX);
                let end = from.saturating_add(usize::try_from(count).unwrap_or(usize::MAX));
                samples.get(from..end).ok_or_else(|| malformed("a sample is missing"))
            };
            let changes = changes.into_iter().map(|change| {
                let kept = change.kept.map(|row| kept(row, &part)).transpose()?;
                Ok((Key { transformer: change.transformer, of: change.of }, kept))
            });
            Record::Step(Step {
                sink: sink.into(),
                samples: Arc::new(part(0, made)?.to_vec()),
                changes: changes.collect::<io::Result<_>>()?,
                seen,
                now: Timestamp::from_ns(now_ns),
            })
        }
        Head::Settled { sink, target, sequence } => {
            Record::Settled { sink: sink.into(), target: target.into(), sequence }
        }
        Head::Detached { sink, target } => Record::Detached { sink: sink.into(), target: target.into() },
        Head::Sequence { sink, last } => Record::Sequence { sink: sink.into(), last },
        Head::Forgotten { sink } => Record::Forgotten { sink: sink.into() },
    })
}

fn kept<'s>(row: Row, part: &dyn Fn(u32, u32) -> io::Result<&'s [Sample]>) -> io::Result<Kept> {
    Ok(match row {
        Row::Last { volume, time_ns, monotonic_seconds } => Kept::Last {
            volume: match volume {
                Number::Int(value) => Volume::Int(value),
                Number::Float(value) => Volume::Float(value),
                Number::Other(value) => Volume::Other(value),
            },
            time: Timestamp::from_ns(time_ns),
            monotonic_seconds,
        },
        Row::Sum { sample, count } => {
            let sample = part(sample, 1)?.first().ok_or_else(|| malformed("a sample is missing"))?;
            Kept::Sum { sample: sample.clone(), count }
        }
        Row::Held { from, count } => Kept::Held(part(from, count)?.to_vec()),
        Row::Since { time_ns, count } => Kept::Since { time: Timestamp::from_ns(time_ns), count },
    })
}
