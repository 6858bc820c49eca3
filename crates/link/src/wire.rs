//! What is said, as protocol buffers: both ends may be of different versions while an operator upgrades one after the other,
//! and every value of a 64-bit float is carried as it is.

mod readings;

use nephometer_model::SeriesKey;
use prost::Message;

pub(crate) use readings::{Answers, Checked, Methods, Read, Reads, SeriesLists};

/// Longest message, in bytes.
pub(crate) const MAX_MESSAGE_BYTES: usize = 64 << 20;
/// Series of one message at most.
pub(crate) const SERIES_AT_ONCE: usize = 16_384;

/// Where readings are made.
pub(crate) const READ: &str = "/link/v1/read";
/// Where it is asked whether a reading can be made.
pub(crate) const CHECK: &str = "/link/v1/check";
/// The aggregation methods.
pub(crate) const METHODS: &str = "/link/v1/methods";
/// The series that readings depend on.
pub(crate) const SERIES: &str = "/link/v1/series";
/// The stream of [`News`]; below it, by the session's id, what the session watches ([`Watch`]).
pub(crate) const NEWS: &str = "/link/v1/news";

/// Something that is wrong with what was said.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum WireError {
    /// No protocol buffer of that kind.
    #[error("not understood: {0}")]
    Undecodable(#[from] prost::DecodeError),
    /// Something is missing, or means nothing.
    #[error("{0}")]
    Meaningless(String),
}

/// A message of the stream. One without an event says that its sender lives.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct News {
    #[prost(oneof = "Event", tags = "1, 2")]
    pub(crate) event: Option<Event>,
}

#[derive(Clone, PartialEq, prost::Oneof)]
pub(crate) enum Event {
    /// The first: under which id the session watches.
    #[prost(string, tag = "1")]
    Session(String),
    /// Watched series that have new measures.
    #[prost(message, tag = "2")]
    Written(Series),
}

#[derive(Clone, PartialEq, Message)]
pub(crate) struct Series {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) keys: Vec<u64>,
}

/// What a session watches from now on, and what no longer.
#[derive(Clone, PartialEq, Message)]
pub(crate) struct Watch {
    #[prost(uint64, repeated, tag = "1")]
    pub(crate) begun: Vec<u64>,
    #[prost(uint64, repeated, tag = "2")]
    pub(crate) ended: Vec<u64>,
}

/// Keys as they are sent.
pub(crate) fn numbers(series: &[SeriesKey]) -> Vec<u64> {
    series.iter().map(|series| series.0).collect()
}

/// Keys that were sent.
pub(crate) fn keys(numbers: Vec<u64>) -> Vec<SeriesKey> {
    numbers.into_iter().map(SeriesKey).collect()
}
