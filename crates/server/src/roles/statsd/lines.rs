//! Cuts a byte stream into whole lines.

/// Longest line in bytes.
const MAX_LINE_BYTES: usize = 65_536;

/// Bytes of a connection that were not handed on yet.
#[derive(Debug, Default)]
pub(super) struct Lines {
    bytes: Vec<u8>,
}

impl Lines {
    /// Where read bytes are appended.
    pub(super) fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }

    /// Takes all whole lines that have come; an error where a line is longer than allowed.
    pub(super) fn complete(&mut self) -> Result<Vec<u8>, &'static str> {
        let end = self.bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        if self.bytes.len() - end > MAX_LINE_BYTES {
            return Err("a line is longer than 65536 bytes");
        }
        let rest = self.bytes.split_off(end);
        Ok(std::mem::replace(&mut self.bytes, rest))
    }

    /// Takes what is left when the stream has ended: the last line may lack its end.
    pub(super) fn rest(self) -> Vec<u8> {
        self.bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_whole_wherever_the_stream_is_cut() {
        let mut lines = Lines::default();
        let mut seen = Vec::new();
        for piece in ["a:1|", "c\nb:2|c\nc", ":3|c"] {
            lines.buffer().extend_from_slice(piece.as_bytes());
            seen.push(String::from_utf8(lines.complete().unwrap()).unwrap());
        }
        assert_eq!(seen, ["", "a:1|c\nb:2|c\n", ""]);
        assert_eq!(lines.rest(), b"c:3|c");
    }

    #[test]
    fn endless_lines_are_refused() {
        let mut lines = Lines::default();
        lines.buffer().extend(std::iter::repeat_n(b'x', MAX_LINE_BYTES + 1));
        assert!(lines.complete().is_err());
        lines.buffer().push(b'\n');
        assert_eq!(lines.complete().unwrap().len(), MAX_LINE_BYTES + 2);
    }
}
