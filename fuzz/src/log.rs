//! Payloads of the log's records, behind checksums that fit, as chance would never make them.

use std::io;
use std::sync::Arc;

use nephometer_engine::io::{BlockWriter, FileWriter, ReadAt, Storage};
use nephometer_engine::wal::replay;
use xxhash_rust::xxh3::{xxh3_64, xxh3_64_with_seed};

const SALT: u64 = 7;
const NAME: &str = "wal-00000000000000000001.log";

/// Replays `data` as the only segment of a log: for each record its kind (a byte), the length of its payload (two bytes,
/// low byte first), and the payload.
pub(crate) fn replay_records(data: &[u8]) {
    let storage = OneSegment(Arc::new(Bytes(segment(data))));
    let mut records = 0;
    let replayed = replay(&storage, "log", 1, |_, _| records += 1).expect("reading memory does not fail");
    assert_eq!(replayed.records, records);
}

fn segment(mut data: &[u8]) -> Vec<u8> {
    let mut out = b"NEPHLOG\0\x02\0\0\0\0\0\0\0".to_vec();
    for number in [1, 1, SALT] {
        out.extend_from_slice(&u64::to_le_bytes(number));
    }
    out.extend_from_slice(&xxh3_64(&out).to_le_bytes());
    out.extend_from_within(..);
    let mut position: u64 = 1;
    while let [kind, low, high, rest @ ..] = data {
        let len = usize::from(u16::from_le_bytes([*low, *high])).min(rest.len());
        let (payload, more) = rest.split_at(len);
        let start = out.len();
        out.extend_from_slice(b"\xf0REC");
        out.extend_from_slice(&(len as u32).to_le_bytes());
        out.extend_from_slice(&position.to_le_bytes());
        out.extend_from_slice(&[*kind, 0, 0, 0]);
        let check = (xxh3_64_with_seed(&out[start..], SALT) >> 32) as u32;
        out.extend_from_slice(&check.to_le_bytes());
        out.extend_from_slice(&xxh3_64_with_seed(payload, SALT ^ position).to_le_bytes());
        out.extend_from_slice(payload);
        (data, position) = (more, position + 1);
    }
    out
}

struct Bytes(Vec<u8>);

impl ReadAt for Bytes {
    fn read_exact_at(&self, offset: u64, buffer: &mut [u8]) -> io::Result<()> {
        let start = usize::try_from(offset).map_err(io::Error::other)?;
        let end = start.checked_add(buffer.len()).ok_or(io::ErrorKind::UnexpectedEof)?;
        buffer.copy_from_slice(self.0.get(start..end).ok_or(io::ErrorKind::UnexpectedEof)?);
        Ok(())
    }

    fn len(&self) -> io::Result<u64> {
        Ok(self.0.len() as u64)
    }
}

/// A folder with one file, for reading.
struct OneSegment(Arc<Bytes>);

impl Storage for OneSegment {
    fn create(&self, _path: &str) -> io::Result<Box<dyn FileWriter>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rewrite(&self, _path: &str) -> io::Result<Box<dyn BlockWriter>> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn open_read(&self, _path: &str) -> io::Result<Arc<dyn ReadAt>> {
        Ok(Arc::clone(&self.0) as _)
    }

    fn list(&self, _path: &str) -> io::Result<Vec<String>> {
        Ok(vec![NAME.to_owned()])
    }

    fn remove(&self, _path: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn rename(&self, _from: &str, _to: &str) -> io::Result<()> {
        Err(io::ErrorKind::Unsupported.into())
    }

    fn sync_dir(&self, _path: &str) -> io::Result<()> {
        Ok(())
    }

    fn free_bytes(&self) -> io::Result<u64> {
        Ok(0)
    }
}
