//! XDR (RFC 4506) as far as libvirt's messages use it: big-endian words, texts padded to four bytes.

/// Bytes that are no such message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum XdrError {
    /// They end too early.
    #[error("a message ends within a value")]
    Truncated,
    /// A text is no UTF-8.
    #[error("a text of a message is no UTF-8")]
    Text,
    /// A union has an arm that nobody knows.
    #[error("a value has the unknown type {0}")]
    Type(u32),
}

/// Reads values one after the other; nothing is copied.
pub(super) struct XdrReader<'a> {
    rest: &'a [u8],
}

impl<'a> XdrReader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { rest: bytes }
    }

    pub(super) fn bytes<const N: usize>(&mut self) -> Result<[u8; N], XdrError> {
        let (head, rest) = self.rest.split_first_chunk().ok_or(XdrError::Truncated)?;
        self.rest = rest;
        Ok(*head)
    }

    pub(super) fn u32(&mut self) -> Result<u32, XdrError> {
        self.bytes().map(u32::from_be_bytes)
    }

    pub(super) fn i32(&mut self) -> Result<i32, XdrError> {
        self.bytes().map(i32::from_be_bytes)
    }

    pub(super) fn u64(&mut self) -> Result<u64, XdrError> {
        self.bytes().map(u64::from_be_bytes)
    }

    /// A text or opaque bytes of any length.
    pub(super) fn opaque(&mut self) -> Result<&'a [u8], XdrError> {
        let length = self.u32()? as usize;
        let padded = length.checked_next_multiple_of(4).ok_or(XdrError::Truncated)?;
        if self.rest.len() < padded {
            return Err(XdrError::Truncated);
        }
        let (head, rest) = self.rest.split_at(padded);
        self.rest = rest;
        Ok(&head[..length])
    }

    pub(super) fn text(&mut self) -> Result<&'a str, XdrError> {
        std::str::from_utf8(self.opaque()?).map_err(|_| XdrError::Text)
    }

    /// A text that may be missing.
    pub(super) fn optional_text(&mut self) -> Result<Option<&'a str>, XdrError> {
        if self.u32()? == 0 { Ok(None) } else { self.text().map(Some) }
    }
}

/// Writes values one after the other.
#[derive(Default)]
pub(super) struct XdrWriter(Vec<u8>);

impl XdrWriter {
    pub(super) fn u32(&mut self, value: u32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn i32(&mut self, value: i32) -> &mut Self {
        self.0.extend(value.to_be_bytes());
        self
    }

    pub(super) fn fixed(&mut self, bytes: &[u8; 16]) -> &mut Self {
        self.0.extend(bytes);
        self
    }

    pub(super) fn text(&mut self, text: &str) -> &mut Self {
        // No text of ours is near 4 GiB.
        self.u32(text.len() as u32);
        self.0.extend(text.as_bytes());
        self.0.resize(self.0.len().next_multiple_of(4), 0);
        self
    }

    pub(super) fn finish(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read() {
        let bytes = XdrWriter::default().u32(7).text("abcde").i32(-1).u32(1).text("").finish();
        assert_eq!(bytes.len(), 4 + 4 + 8 + 4 + 4 + 4);
        let mut reader = XdrReader::new(&bytes);
        assert_eq!((reader.u32(), reader.text(), reader.i32()), (Ok(7), Ok("abcde"), Ok(-1)));
        assert_eq!((reader.optional_text(), reader.u32()), (Ok(Some("")), Err(XdrError::Truncated)));
    }

    #[test]
    fn lengths_beyond_the_message_are_errors() {
        for bytes in [&[0xff; 4][..], &[0, 0, 0, 5, b'a', b'b', b'c', b'd', b'e'], &[0, 0]] {
            assert_eq!(XdrReader::new(bytes).opaque(), Err(XdrError::Truncated));
        }
        assert_eq!(XdrReader::new(&[0, 0, 0, 1, 0xff, 0, 0, 0]).text(), Err(XdrError::Text));
    }
}
