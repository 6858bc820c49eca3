//! Streams of bits, from the lowest bit of each byte on.

use nephometer_series::codec::CodecError;

/// Appends numbers of some bits to bytes.
#[derive(Debug, Default)]
pub(super) struct BitWriter {
    bytes: Vec<u8>,
    /// What does not fill eight bytes yet, from the lowest bit on.
    word: u64,
    filled: u32,
}

impl BitWriter {
    /// Goes on behind `bytes`.
    pub(super) fn behind(bytes: Vec<u8>) -> Self {
        Self { bytes, word: 0, filled: 0 }
    }

    /// Appends the lowest `bits` bits of `value`; those above are zeros, and there are at most 64.
    #[inline]
    pub(super) fn put(&mut self, value: u64, bits: u32) {
        debug_assert!(bits <= 64 && value.checked_shr(bits).unwrap_or(0) == 0, "{value} in {bits} bits");
        self.word |= value << self.filled;
        let filled = self.filled + bits;
        if filled < 64 {
            self.filled = filled;
            return;
        }
        self.bytes.extend_from_slice(&self.word.to_le_bytes());
        self.word = value.checked_shr(64 - self.filled).unwrap_or(0);
        self.filled = filled - 64;
    }

    /// The bytes, the last one filled up with zeros.
    pub(super) fn finish(mut self) -> Vec<u8> {
        let bytes = self.filled.div_ceil(8) as usize;
        self.bytes.extend_from_slice(&self.word.to_le_bytes()[..bytes]);
        self.bytes
    }
}

/// Takes numbers of some bits from bytes. Behind their end there are zeros, until [`Self::end`] tells.
#[derive(Debug)]
pub(super) struct BitReader<'a> {
    bytes: &'a [u8],
    /// Bits taken.
    at: usize,
}

impl<'a> BitReader<'a> {
    /// Bits that [`Self::peek`] shows at least.
    pub(super) const PEEKED: u32 = 57;

    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    /// The next bits, and some more or zeros above them.
    #[inline]
    pub(super) fn peek(&self) -> u64 {
        let rest = self.bytes.get(self.at / 8..).unwrap_or_default();
        let word = match rest.first_chunk() {
            Some(word) => u64::from_le_bytes(*word),
            None => last_bytes(rest),
        };
        word >> (self.at % 8)
    }

    /// Passes over `bits` bits.
    #[inline]
    pub(super) fn skip(&mut self, bits: u32) {
        self.at += bits as usize;
    }

    /// The next `bits` bits, at most 64.
    #[inline]
    pub(super) fn take(&mut self, bits: u32) -> u64 {
        let mut value = self.peek();
        if bits > Self::PEEKED {
            self.skip(Self::PEEKED);
            value = value & mask(Self::PEEKED) | self.peek() << Self::PEEKED;
            self.skip(bits - Self::PEEKED);
        } else {
            self.skip(bits);
        }
        value & mask(bits)
    }

    /// An error unless just the bytes were taken.
    pub(super) fn end(&self) -> Result<(), CodecError> {
        match self.at.div_ceil(8).cmp(&self.bytes.len()) {
            std::cmp::Ordering::Equal => Ok(()),
            std::cmp::Ordering::Less => Err(CodecError::Invalid("bits behind a stream")),
            std::cmp::Ordering::Greater => Err(CodecError::Truncated),
        }
    }
}

#[cold]
fn last_bytes(rest: &[u8]) -> u64 {
    rest.iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte))
}

/// The lowest `bits` bits, at most 64.
#[inline]
pub(super) fn mask(bits: u32) -> u64 {
    u64::MAX.checked_shr(64 - bits).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn bits_come_back(before: Vec<u8>, numbers in prop::collection::vec((any::<u64>(), 0_u32..=64), 0..200)) {
            let mut writer = BitWriter::behind(before.clone());
            numbers.iter().for_each(|(value, bits)| writer.put(value & mask(*bits), *bits));
            let bytes = writer.finish();
            prop_assert_eq!(&bytes[..before.len()], &before);
            let mut reader = BitReader::new(&bytes[before.len()..]);
            for (value, bits) in &numbers {
                prop_assert_eq!(reader.peek() & mask((*bits).min(57)), value & mask((*bits).min(57)));
                prop_assert_eq!(reader.take(*bits), value & mask(*bits));
            }
            prop_assert_eq!(reader.end(), Ok(()));
            reader.skip(64);
            prop_assert_eq!(reader.peek(), 0);
            prop_assert_eq!(reader.end(), Err(CodecError::Truncated));
        }
    }
}
