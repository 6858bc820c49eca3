//! Replaying the log.

use std::io;
use std::ops::Range;

use super::context::Context;
use super::scan::{Found, SegmentFile};
use super::segment::{HEADER_LEN, HeaderFound, SegmentHeader};
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
    let context = Context::default();
    let mut replay = Replay { from_position, take, replayed, tail: None, context, built_on_lost: None };
    for first_position in &segments[covered..] {
        let path = segment_path(folder, *first_position);
        let file = SegmentFile::open(storage.open_read(&path)?)?;
        replay.segment(path, *first_position, file)?;
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
    /// What the segment has said so far.
    context: Context,
    /// Good records of the segment that cannot be understood, since they build on lost ones: one damage for all.
    built_on_lost: Option<BuiltOnLost>,
}

#[derive(Default)]
struct BuiltOnLost {
    /// Where the first of them begins.
    offset: Option<usize>,
    bytes: usize,
    records: u64,
}

impl<F: FnMut(u64, Record)> Replay<F> {
    fn segment(&mut self, path: String, first_position: u64, mut file: SegmentFile) -> io::Result<()> {
        let len = file.len();
        let header = match SegmentHeader::parse(file.bytes(0..HEADER_LEN.min(len))?.unwrap_or_default()) {
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
                if len > HEADER_LEN {
                    self.damage(&path, 0..len, "the segment's header is damaged");
                } else {
                    self.leave_tail(path, 0..len, "the segment's header is not whole");
                }
                return Ok(());
            }
        };
        if header.first_position != first_position {
            self.end_tail_before(first_position, &path);
            self.damage(&path, 0..len, "the segment has another one's name");
            return Ok(());
        }
        self.end_tail_before(header.log_end, &path);
        self.replayed.next_position = self.replayed.next_position.max(first_position);
        self.context.begin_segment();
        self.records(&path, &header, &mut file)?;
        self.end_built_on_lost(&path);
        Ok(())
    }

    fn records(&mut self, path: &str, header: &SegmentHeader, file: &mut SegmentFile) -> io::Result<()> {
        let mut offset = HEADER_LEN.min(file.len());
        let mut expected = header.first_position;
        while offset < file.len() {
            // A record that repeats an earlier position is no part of the log.
            let fits = |found: &Found| found.frame.position >= expected;
            if let Some(found) = file.record_at(offset, header.salt)?.filter(fits) {
                if found.frame.position > expected {
                    self.lose(path, offset..offset, &missing(expected, found.frame.position));
                }
                expected = found.frame.position + 1;
                offset = found.range.end;
                self.give(path, &found, file.payload(&found)?);
                continue;
            }
            let mut found = file.next_record(offset, header.salt)?;
            while let Some(other) = found.as_ref().filter(|found| !fits(found)) {
                found = file.next_record(other.range.start, header.salt)?;
            }
            let Some(Found { frame, range }) = found else {
                let reason = "no record can be read up to the segment's end";
                self.leave_tail(path.to_owned(), offset..file.len(), reason);
                return Ok(());
            };
            self.lose(path, offset..range.start, "no record can be read");
            expected = frame.position;
            offset = range.start;
        }
        Ok(())
    }

    /// Hands on a record. Those that parts cover are read too: later ones build on them.
    fn give(&mut self, path: &str, found: &Found, payload: &[u8]) {
        let position = found.frame.position;
        self.replayed.next_position = self.replayed.next_position.max(position + 1);
        match payload::decode(found.frame.kind, payload, &mut self.context) {
            Ok(record) if position >= self.from_position => {
                self.replayed.records += 1;
                (self.take)(position, record);
            }
            Ok(_) => {}
            Err(error) => match &mut self.built_on_lost {
                Some(lost) => lost.add(&found.range, position >= self.from_position),
                None => self.lose(path, found.range.clone(), &error.to_string()),
            },
        }
    }

    /// Notes damage that costs records: those behind it may build on them.
    fn lose(&mut self, path: &str, range: Range<usize>, reason: &str) {
        self.built_on_lost.get_or_insert_default();
        self.damage(path, range, reason);
    }

    fn end_built_on_lost(&mut self, path: &str) {
        let Some(lost) = self.built_on_lost.take() else { return };
        if let Some(offset) = lost.offset.filter(|_| lost.records > 0) {
            self.replayed.damage.push(LogDamage {
                file: path.to_owned(),
                offset: offset as u64,
                bytes: lost.bytes as u64,
                reason: format!("{} records from here on build on what is lost before", lost.records),
            });
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

impl BuiltOnLost {
    /// Notes one more; it `counts` where no part has what it says.
    fn add(&mut self, range: &Range<usize>, counts: bool) {
        self.offset.get_or_insert(range.start);
        if counts {
            self.bytes += range.len();
            self.records += 1;
        }
    }
}

fn missing(expected: u64, found: u64) -> String {
    format!("the records from position {expected} to before {found} are missing")
}
