//! Variable-length integers and a reader over bytes that never reads past the end.

use super::CodecError;

/// Appends `value` as LEB128: seven bits a byte, lowest first, the top bit set on all bytes but the last.
#[inline]
pub fn put_varint(out: &mut Vec<u8>, mut value: u64) {
    while value >= 0x80 {
        out.push((value & 0x7f) as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// Appends `value` as a varint of its zigzag form (0, -1, 1, -2, … become 0, 1, 2, 3, …).
#[inline]
pub fn put_zigzag(out: &mut Vec<u8>, value: i64) {
    put_varint(out, ((value << 1) ^ (value >> 63)).cast_unsigned());
}

/// Takes integers and slices from the front of some bytes.
#[derive(Debug, Clone, Copy)]
pub struct ByteReader<'a> {
    rest: &'a [u8],
}

impl<'a> ByteReader<'a> {
    /// A reader at the start of `bytes`.
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    /// What has not been taken yet.
    pub const fn rest(&self) -> &'a [u8] {
        self.rest
    }

    /// Whether all has been taken.
    pub const fn is_empty(&self) -> bool {
        self.rest.is_empty()
    }

    /// The next byte.
    #[inline]
    pub fn byte(&mut self) -> Result<u8, CodecError> {
        let (first, rest) = self.rest.split_first().ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(*first)
    }

    /// The next `len` bytes.
    #[inline]
    pub fn slice(&mut self, len: usize) -> Result<&'a [u8], CodecError> {
        let (taken, rest) = self.rest.split_at_checked(len).ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(taken)
    }

    /// The next `N` bytes as an array.
    #[inline]
    pub fn array<const N: usize>(&mut self) -> Result<[u8; N], CodecError> {
        let (taken, rest) = self.rest.split_first_chunk().ok_or(CodecError::Truncated)?;
        self.rest = rest;
        Ok(*taken)
    }

    /// The next varint; see [`put_varint`].
    #[inline]
    pub fn varint(&mut self) -> Result<u64, CodecError> {
        if let Some((first, rest)) = self.rest.split_first()
            && *first < 0x80
        {
            self.rest = rest;
            return Ok(u64::from(*first));
        }
        self.long_varint()
    }

    fn long_varint(&mut self) -> Result<u64, CodecError> {
        let mut value = 0_u64;
        for (at, byte) in self.rest.iter().take(10).enumerate() {
            let bits = u64::from(byte & 0x7f);
            if at == 9 && *byte > 1 {
                return Err(CodecError::Invalid("varint beyond 64 bits"));
            }
            value |= bits << (7 * at);
            if *byte < 0x80 {
                self.rest = &self.rest[at + 1..];
                return Ok(value);
            }
        }
        Err(CodecError::Truncated)
    }

    /// The next zigzag varint; see [`put_zigzag`].
    #[inline]
    pub fn zigzag(&mut self) -> Result<i64, CodecError> {
        let value = self.varint()?;
        Ok((value >> 1).cast_signed() ^ -(value & 1).cast_signed())
    }

    /// The next varint as a count that may not exceed `limit`.
    #[inline]
    pub fn count(&mut self, limit: usize) -> Result<usize, CodecError> {
        let value = usize::try_from(self.varint()?).map_err(|_| CodecError::Invalid("count too large"))?;
        if value > limit { Err(CodecError::Invalid("count too large")) } else { Ok(value) }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn integers_round_trip(unsigned: u64, signed: i64, shift in 0_u32..64) {
            let mut out = Vec::new();
            put_varint(&mut out, unsigned >> shift);
            put_zigzag(&mut out, signed >> shift);
            let mut reader = ByteReader::new(&out);
            prop_assert_eq!(reader.varint(), Ok(unsigned >> shift));
            prop_assert_eq!(reader.zigzag(), Ok(signed >> shift));
            prop_assert!(reader.is_empty());
            prop_assert!(ByteReader::new(&out[..out.len() - 1]).slice(out.len()).is_err());
        }

        #[test]
        fn arbitrary_bytes_never_panic(bytes: Vec<u8>) {
            let mut reader = ByteReader::new(&bytes);
            while !reader.is_empty() && reader.varint().is_ok() {}
        }
    }

    #[test]
    fn overlong_varints_are_refused() {
        assert!(ByteReader::new(&[0xff; 9]).varint().is_err());
        assert!(
            ByteReader::new(&[0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2]).varint().is_err()
        );
    }
}
