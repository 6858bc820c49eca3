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
    /// Damage to report; a torn group at the end is none.
    pub damage: Vec<LogDamage>,
    /// Bytes of groups that were begun and not finished, and so never acknowledged, as far as these show.
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
    let open = |first_position: &u64| Segment::open(storage, folder, *first_position);
    let segments: Vec<_> = segments[covered..].iter().map(open).collect::<io::Result<_>>()?;
    let log_ends: Vec<_> = segments.iter().skip(1).map(Segment::log_end).collect();
    let replayed = Replayed { next_position: from_position.max(1), ..Replayed::default() };
    let context = Context::default();
    let mut replay = Replay { from_position, take, replayed, context, built_on_lost: None };
    for (at, segment) in segments.into_iter().enumerate() {
        replay.segment(segment, log_ends.get(at).copied().unwrap_or(0))?;
    }
    Ok(replay.replayed)
}

/// A segment that is about to be read.
struct Segment {
    path: String,
    first_position: u64,
    file: SegmentFile,
    header: HeaderFound,
}

impl Segment {
    fn open(storage: &dyn Storage, folder: &str, first_position: u64) -> io::Result<Self> {
        let path = segment_path(folder, first_position);
        let mut file = SegmentFile::open(storage.open_read(&path)?)?;
        let header = SegmentHeader::parse(file.bytes(0..HEADER_LEN.min(file.len()))?.unwrap_or_default());
        if let HeaderFound::Version(version) = header {
            let reason = format!("{path} has version {version}, which this program does not know");
            return Err(io::Error::new(io::ErrorKind::Unsupported, reason));
        }
        Ok(Self { path, first_position, file, header })
    }

    /// All records before this position were durable when the segment was begun.
    fn log_end(&self) -> u64 {
        match &self.header {
            HeaderFound::Good(header) | HeaderFound::Half(header, _)
                if header.first_position == self.first_position =>
            {
                header.log_end
            }
            _ => self.first_position,
        }
    }
}

struct Replay<F> {
    from_position: u64,
    take: F,
    replayed: Replayed,
    /// What the segment has said so far.
    context: Context,
    /// Good records of the segment that cannot be understood, since they build on lost ones: one damage for all.
    built_on_lost: Option<BuiltOnLost>,
}

/// What is behind the last good record of a segment.
struct Tail {
    range: Range<usize>,
    /// How many bytes of it are known to be of a torn group.
    torn_bytes: usize,
}

impl<F: FnMut(u64, Record)> Replay<F> {
    /// Reads a segment; records before `durable_to` were durable when the one behind it was begun.
    fn segment(&mut self, segment: Segment, durable_to: u64) -> io::Result<()> {
        let Segment { path, first_position, mut file, header } = segment;
        let len = file.len();
        let header = match header {
            HeaderFound::Good(header) => header,
            HeaderFound::Half(header, range) => {
                self.damage(&path, range, "a copy of the segment's header is damaged");
                header
            }
            HeaderFound::Version(_) | HeaderFound::None => {
                if len > HEADER_LEN {
                    self.damage(&path, 0..len, "the segment's header is damaged");
                }
                self.end(&path, None, durable_to);
                return Ok(());
            }
        };
        if header.first_position == first_position {
            self.replayed.next_position = self.replayed.next_position.max(first_position);
            self.context.begin_segment();
            let tail = self.records(&path, &header, &mut file, durable_to)?;
            self.end_built_on_lost(&path);
            self.end(&path, tail, durable_to);
        } else {
            self.damage(&path, 0..len, "the segment has another one's name");
            self.end(&path, None, durable_to);
        }
        Ok(())
    }

    /// Gives the records of a segment; returns what is behind them.
    fn records(
        &mut self,
        path: &str,
        header: &SegmentHeader,
        file: &mut SegmentFile,
        durable_to: u64,
    ) -> io::Result<Option<Tail>> {
        let mut offset = header.block_end(HEADER_LEN).min(file.len());
        let mut expected = header.first_position;
        while offset < file.len() {
            // A record that repeats an earlier position is no part of the log.
            let fits = |found: &Found| found.frame.position >= expected;
            let mut found = file.record_at(offset, header.salt)?.filter(fits);
            if found.is_none() {
                found = file.record_at(header.block_end(offset), header.salt)?.filter(fits);
            }
            if let Some(found) = found {
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
            let Some(found) = found else {
                let torn_bytes = file.begun_at(header.block_end(offset), header.salt)?;
                return Ok(Some(Tail { range: offset..file.len(), torn_bytes }));
            };
            if durable_to <= expected && !is_behind_durable(&found, expected, file, header.salt)? {
                let torn_bytes = found.range.end - header.block_end(offset);
                return Ok(Some(Tail { range: offset..file.len(), torn_bytes }));
            }
            self.lose(path, offset..found.range.start, "no record can be read");
            expected = found.frame.position;
            offset = found.range.start;
        }
        Ok(None)
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

    /// Ends a segment. Where its records do not reach as far as was durable when the next one was begun, some are lost,
    /// at its end or with whole segments; otherwise what follows them was never acknowledged.
    fn end(&mut self, path: &str, tail: Option<Tail>, durable_to: u64) {
        let expected = self.replayed.next_position;
        if durable_to > expected {
            let range = tail.map_or(0..0, |tail| tail.range);
            self.damage(path, range, &missing(expected, durable_to));
            self.replayed.next_position = durable_to;
        } else if let Some(tail) = tail {
            self.replayed.torn_bytes += tail.torn_bytes as u64;
        }
    }
}

/// Whether what is missing at position `expected`, in front of `found`, was durable once. A group is written when those
/// before it are; within a group that was not finished any part may be missing.
fn is_behind_durable(found: &Found, expected: u64, file: &mut SegmentFile, salt: u64) -> io::Result<bool> {
    let is_later = |found: &Found| found.frame.group_position() > expected;
    if found.frame.position == expected || is_later(found) {
        return Ok(true);
    }
    let mut from = found.range.start;
    while let Some(next) = file.next_record(from, salt)? {
        if is_later(&next) {
            return Ok(true);
        }
        from = next.range.start;
    }
    Ok(false)
}

#[derive(Default)]
struct BuiltOnLost {
    /// Where the first of them begins.
    offset: Option<usize>,
    bytes: usize,
    records: u64,
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
