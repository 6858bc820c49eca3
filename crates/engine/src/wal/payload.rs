//! Records as bytes.

use nephometer_drivers::WriteBatch;
use nephometer_model::SeriesKey;
use nephometer_series::codec::CodecError;

use super::Record;

/// A record whose payload is encoded already, so that the commit thread only has to append it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EncodedRecord {
    pub(super) kind: u8,
    pub(super) payload: Vec<u8>,
}

impl EncodedRecord {
    /// The record of a request's measures.
    pub fn write(batch: &WriteBatch) -> Self {
        let _ = batch;
        unimplemented!()
    }

    /// The record of a deleted span; see [`Record::DeleteSpan`].
    pub fn delete_span(key: SeriesKey, start_ns: i64, stop_ns: i64) -> Self {
        let _ = (key, start_ns, stop_ns);
        unimplemented!()
    }

    /// The record of forgotten series.
    pub fn delete_series(keys: &[SeriesKey]) -> Self {
        let _ = keys;
        unimplemented!()
    }

    /// Bytes that the record takes in the log.
    pub fn log_bytes(&self) -> u64 {
        self.payload.len() as u64
    }

    /// What the record says; an error is a fault of the program, since records of the log are verified.
    pub fn decode(&self) -> Result<Record, CodecError> {
        unimplemented!()
    }
}
