//! Replaying the log.

use std::io;
use std::ops::Range;

use super::segment::{Frame, HEADER_LEN, HeaderFound, SegmentHeader, frame_at, next_frame};
use super::{Record, first_position_of, payload, segment_path};
use crate::io::Storage;

/// Bytes of the log that hold no readable record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogDamage {
    /// Path of the segment.
    pub file: String,
    /// Where the damage begins.
    pub offset: u64,
    /// How many bytes are set aside; 0 where records are missing altogether.
    pub bytes: u64,
    /// What is wrong.
    pub reason: String,
}

/// What a replay found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Replayed {
    /// The position after the last record: where the writer goes on.
    pub next_position: u64,
    /// Records given to the caller.
    pub records: u64,
    /// Damage to report; a torn tail is none.
    pub damage: Vec<LogDamage>,
    /// Bytes after the last good record of a segment, which were never acknowledged.
    pub torn_bytes: u64,
}

/// Reads all segments in folder `folder` of `storage` and gives the records at or after `from_position` to `take`, in
/// order, each with its position. Positions of a log that is all new begin at `from_position`, or at 1.
pub fn replay(
    storage: &dyn Storage,
    folder: &str,
    from_position: u64,
    take: impl FnMut(u64, Record),
) -> io::Result<Replayed> {
    let names = storage.list(folder)?;
    let mut segments: Vec<_> = names.iter().filter_map(|name| first_position_of(name)).collect();
    segments.sort_unstable();
    // A segment whose successor begins at or before the wanted position has nothing wanted.
    let covered = segments.windows(2).take_while(|pair| pair[1] <= from_position).count();
    let replayed = Replayed { next_position: from_position.max(1), ..Replayed::default() };
    let mut replay = Replay { from_position, take, replayed, tail: None };
    for first_position in &segments[covered..] {
        let path = segment_path(folder, *first_position);
        let file = storage.open_read(&path)?;
        let len = usize::try_from(file.len()?).map_err(|_| io::ErrorKind::FileTooLarge)?;
        let mut bytes = vec![0; len];
        file.read_exact_at(0, &mut bytes)?;
        replay.segment(path, *first_position, &bytes)?;
    }
    replay.end_tail();
    Ok(replay.replayed)
}

struct Replay<F> {
    from_position: u64,
    take: F,
    replayed: Replayed,
    /// Bytes behind the last good record of the segment before, of which the next one tells what they are.
    tail: Option<LogDamage>,
}

impl<F: FnMut(u64, Record)> Replay<F> {
    fn segment(&mut self, path: String, first_position: u64, bytes: &[u8]) -> io::Result<()> {
        let header = match SegmentHeader::parse(bytes) {
            HeaderFound::Good(header) => header,
            HeaderFound::Half(header, range) => {
                self.damage(&path, range, "a copy of the segment's header is damaged");
                header
            }
            HeaderFound::Version(version) => {
                let reason = format!("{path} has version {version}, which this program does not know");
                return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
            }
            HeaderFound::None => {
                self.end_tail_before(first_position, &path);
                if bytes.len() > HEADER_LEN {
                    self.damage(&path, 0..bytes.len(), "the segment's header is damaged");
                } else {
                    self.leave_tail(path, 0..bytes.len(), "the segment's header is not whole");
                }
                return Ok(());
            }
        };
        if header.first_position != first_position {
            self.end_tail_before(first_position, &path);
            self.damage(&path, 0..bytes.len(), "the segment has another one's name");
            return Ok(());
        }
        self.end_tail_before(header.log_end, &path);
        self.replayed.next_position = self.replayed.next_position.max(first_position);
        self.records(path, &header, bytes);
        Ok(())
    }

    fn records(&mut self, path: String, header: &SegmentHeader, bytes: &[u8]) {
        let mut offset = HEADER_LEN.min(bytes.len());
        let mut expected = header.first_position;
        while offset < bytes.len() {
            // A record that repeats an earlier position is no part of the log.
            let fits = |frame: &Frame| frame.position >= expected;
            if let Some(frame) = frame_at(bytes, offset, header.salt).filter(fits) {
                if frame.position > expected {
                    self.damage(&path, offset..offset, &missing(expected, frame.position));
                }
                expected = frame.position + 1;
                self.give(&path, offset, &frame, bytes);
                offset = frame.payload.end;
                continue;
            }
            let bad = offset;
            let mut found = next_frame(bytes, offset, header.salt);
            while let Some((at, _)) = found.as_ref().filter(|(_, frame)| !fits(frame)) {
                found = next_frame(bytes, *at, header.salt);
            }
            let Some((at, frame)) = found else {
                self.leave_tail(path, bad..bytes.len(), "no record can be read up to the segment's end");
                return;
            };
            self.damage(&path, bad..at, "no record can be read");
            expected = frame.position;
            offset = at;
        }
    }

    fn give(&mut self, path: &str, offset: usize, frame: &Frame, bytes: &[u8]) {
        self.replayed.next_position = self.replayed.next_position.max(frame.position + 1);
        if frame.position < self.from_position {
            return;
        }
        match payload::decode(frame.kind, &bytes[frame.payload.clone()]) {
            Ok(record) => {
                self.replayed.records += 1;
                (self.take)(frame.position, record);
            }
            Err(error) => self.damage(path, offset..frame.payload.end, &error.to_string()),
        }
    }

    fn damage(&mut self, path: &str, range: Range<usize>, reason: &str) {
        self.replayed.damage.push(LogDamage {
            file: path.to_owned(),
            offset: range.start as u64,
            bytes: range.len() as u64,
            reason: reason.to_owned(),
        });
    }

    fn leave_tail(&mut self, path: String, range: Range<usize>, reason: &str) {
        self.tail = Some(LogDamage {
            file: path,
            offset: range.start as u64,
            bytes: range.len() as u64,
            reason: reason.to_owned(),
        });
    }

    /// The segment at `path` begins, and the log ended at `log_end` then: where that is further than the records
    /// reach, the tail before (or a whole segment) held records that were lost.
    fn end_tail_before(&mut self, log_end: u64, path: &str) {
        let expected = self.replayed.next_position;
        if log_end <= expected {
            self.end_tail();
            return;
        }
        match self.tail.take() {
            Some(tail) => self.replayed.damage.push(tail),
            None => self.damage(path, 0..0, &missing(expected, log_end)),
        }
        self.replayed.next_position = log_end;
    }

    /// What is left behind the last good record was never acknowledged.
    fn end_tail(&mut self) {
        self.replayed.torn_bytes += self.tail.take().map_or(0, |tail| tail.bytes);
    }
}

fn missing(expected: u64, found: u64) -> String {
    format!("the records from position {expected} to before {found} are missing")
}
