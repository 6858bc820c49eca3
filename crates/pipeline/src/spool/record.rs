//! Samples as bytes: MessagePack, compressed. Metadata that samples share is written once and shared again when read.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use nephometer_model::{Metadata, MeterType, Sample, Volume};
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// zstd's level: what follows the first costs more time than bytes here.
const LEVEL: i32 = 1;
/// Longest record when it is decompressed.
const MAX_PLAIN_BYTES: usize = 256 << 20;

/// A volume with its kind, so that each comes back as what it was.
#[derive(Serialize, Deserialize)]
enum StoredVolume {
    Int(i64),
    Float(f64),
    Other(Value),
}

/// A sample whose metadata stands elsewhere in the record.
#[derive(Serialize, Deserialize)]
struct Row<T> {
    name: T,
    meter_type: MeterType,
    unit: T,
    volume: StoredVolume,
    user_id: Option<T>,
    user_name: Option<T>,
    project_id: Option<T>,
    project_name: Option<T>,
    resource_id: Option<T>,
    timestamp: Option<T>,
    metadata: u32,
    source: T,
    id: T,
    monotonic_time_seconds: Option<f64>,
}

#[derive(Serialize)]
struct Written<'a> {
    metadata: Vec<&'a Metadata>,
    rows: Vec<Row<&'a str>>,
}

#[derive(Deserialize)]
struct Read {
    metadata: Vec<Metadata>,
    rows: Vec<Row<String>>,
}

/// Samples as bytes.
pub(crate) fn encode(samples: &[Sample]) -> io::Result<Vec<u8>> {
    let mut places: HashMap<usize, u32> = HashMap::new();
    let mut written = Written { metadata: Vec::new(), rows: Vec::with_capacity(samples.len()) };
    for sample in samples {
        let place = *places.entry(sample.metadata.place()).or_insert_with(|| {
            written.metadata.push(&sample.metadata);
            u32::try_from(written.metadata.len() - 1).unwrap_or(u32::MAX)
        });
        written.rows.push(Row {
            name: &sample.name,
            meter_type: sample.meter_type,
            unit: &sample.unit,
            volume: match &sample.volume {
                Volume::Int(value) => StoredVolume::Int(*value),
                Volume::Float(value) => StoredVolume::Float(*value),
                Volume::Other(value) => StoredVolume::Other(value.clone()),
            },
            user_id: sample.user_id.as_deref(),
            user_name: sample.user_name.as_deref(),
            project_id: sample.project_id.as_deref(),
            project_name: sample.project_name.as_deref(),
            resource_id: sample.resource_id.as_deref(),
            timestamp: sample.timestamp.as_deref(),
            metadata: place,
            source: &sample.source,
            id: &sample.id,
            monotonic_time_seconds: sample.monotonic_time_seconds,
        });
    }
    let plain = rmp_serde::to_vec(&written).map_err(io::Error::other)?;
    zstd::bulk::compress(&plain, LEVEL)
}

/// The samples that [`encode`] has written.
pub(crate) fn decode(bytes: &[u8]) -> io::Result<Vec<Sample>> {
    // The frame says how much it holds; what says more than a record can hold is none of ours.
    let plain_bytes = zstd::zstd_safe::get_frame_content_size(bytes).ok().flatten();
    let plain_bytes = plain_bytes.and_then(|size| usize::try_from(size).ok());
    let fits = plain_bytes.filter(|size| *size <= MAX_PLAIN_BYTES);
    let plain = zstd::bulk::decompress(bytes, fits.ok_or_else(|| malformed("a frame without size"))?)?;
    let read: Read = rmp_serde::from_slice(&plain).map_err(io::Error::other)?;
    let mut texts = Texts::default();
    read.rows.into_iter().map(|row| sample(row, &read.metadata, &mut texts)).collect()
}

fn sample(row: Row<String>, metadata: &[Metadata], texts: &mut Texts) -> io::Result<Sample> {
    let place = usize::try_from(row.metadata).unwrap_or(usize::MAX);
    Ok(Sample {
        name: texts.shared(row.name),
        meter_type: row.meter_type,
        unit: texts.shared(row.unit),
        volume: match row.volume {
            StoredVolume::Int(value) => Volume::Int(value),
            StoredVolume::Float(value) => Volume::Float(value),
            StoredVolume::Other(value) => Volume::Other(value),
        },
        user_id: row.user_id.map(|text| texts.shared(text)),
        user_name: row.user_name.map(|text| texts.shared(text)),
        project_id: row.project_id.map(|text| texts.shared(text)),
        project_name: row.project_name.map(|text| texts.shared(text)),
        resource_id: row.resource_id.map(|text| texts.shared(text)),
        timestamp: row.timestamp.map(|text| texts.shared(text)),
        metadata: metadata.get(place).cloned().ok_or_else(|| malformed("metadata is missing"))?,
        source: texts.shared(row.source),
        id: row.id.into(),
        monotonic_time_seconds: row.monotonic_time_seconds,
    })
}

/// Texts that many samples of a record repeat.
#[derive(Default)]
struct Texts(HashMap<String, Arc<str>>);

impl Texts {
    fn shared(&mut self, text: String) -> Arc<str> {
        if let Some(known) = self.0.get(&text) {
            return Arc::clone(known);
        }
        let shared: Arc<str> = text.as_str().into();
        self.0.insert(text, Arc::clone(&shared));
        shared
    }
}

fn malformed(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}
