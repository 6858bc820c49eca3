//! Columns of series to bytes and back, bit for bit.
//!
//! A *block* holds a run of consecutive series, sorted by key: a directory (key, policy, timestamps, stream of each)
//! and *streams* of values. Short series with like values share a stream, so that its header is paid once a block; a
//! long series has one of its own, so that reading it decodes nothing else. Series with equal timestamps share
//! them. The bytes are described in the engine's `FORMAT.md`.
//!
//! Blocks carry no checksum: who stores them adds one and verifies it before parsing. Parsing and decoding
//! arbitrary bytes gives an error or some values, but neither panics nor allocates more than a block can hold.

mod bytes;
mod column_id;
mod decimal;
mod ints;
mod raw;
mod rollup;
mod runs;
mod times;

pub use bytes::{ByteReader, put_varint, put_zigzag};
pub use column_id::ColumnId;
pub use decimal::{MAX_EXPONENT, decimal_to_int, decimals_to_ints, int_to_decimal, ints_to_decimals};
pub use ints::{get_ints, put_ints};
pub use raw::{RawBlock, RawEntry, SeriesColumns, encode_raw_block};
pub use rollup::{RollupBlock, RollupColumns, RollupEntry, encode_rollup_block};

/// The most measures that a raw block may hold, and the most values (slots times stored columns) of a rollup block.
pub const MAX_BLOCK_VALUES: usize = 1 << 20;

/// How hard the encoder tries.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effort {
    /// Quick: what is written will be merged soon.
    Flush,
    /// Small: what is written stays.
    Merge,
}

/// Why columns could not be encoded or bytes not be decoded.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CodecError {
    /// The bytes end too early.
    #[error("the bytes end too early")]
    Truncated,
    /// The bytes contradict themselves or the format.
    #[error("invalid block: {0}")]
    Invalid(&'static str),
    /// A compressed stream could not be decoded.
    #[error("invalid stream: {0}")]
    Stream(String),
    /// The columns given break a rule of the encoder.
    #[error("columns cannot be encoded: {0}")]
    Input(&'static str),
}
