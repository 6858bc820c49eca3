//! Files of segments that parts cover, kept to be written again: a file that has its room already costs a write nothing but
//! its blocks, while one that grows costs the file system a note in its journal each time.

use std::io;

use super::segment::SegmentHeader;
use super::{segment_path, spare_path};
use crate::io::{BlockWriter, Storage};

const PREFIX: &str = "spare-";

/// The spare files in a folder.
#[derive(Debug, Default)]
pub(super) struct Spares {
    paths: Vec<String>,
    /// Whether a crash leaves them the names that they have. Under a segment's name no file may be written anew.
    named: bool,
}

impl Spares {
    /// Those among the files `names` of `folder`.
    pub(super) fn of(folder: &str, names: &[String]) -> Self {
        let spares = names.iter().filter(|name| name.starts_with(PREFIX));
        Self { paths: spares.map(|name| format!("{folder}/{name}")).collect(), named: false }
    }

    /// Takes the file of a segment that is done with.
    pub(super) fn add(&mut self, storage: &dyn Storage, folder: &str, first_position: u64) -> io::Result<()> {
        let path = spare_path(folder, first_position);
        storage.rename(&segment_path(folder, first_position), &path)?;
        self.paths.push(path);
        self.named = false;
        Ok(())
    }

    /// Removes all but `count`.
    pub(super) fn keep(&mut self, storage: &dyn Storage, count: usize) -> io::Result<()> {
        while self.paths.len() > count
            && let Some(path) = self.paths.last()
        {
            storage.remove(path)?;
            self.paths.pop();
        }
        Ok(())
    }

    /// Begins a segment in a spare file, or in a new one: writes its header, and makes it and then its name durable, so
    /// that a file of a segment's name has a header. Leaves nothing behind after an error.
    pub(super) fn begin_segment(
        &mut self,
        storage: &dyn Storage,
        folder: &str,
        header: SegmentHeader,
    ) -> io::Result<(Box<dyn BlockWriter>, SegmentHeader)> {
        if !self.named && !self.paths.is_empty() {
            storage.sync_dir(folder)?;
            self.named = true;
        }
        let unfinished = self.paths.pop().unwrap_or_else(|| spare_path(folder, header.first_position));
        let path = segment_path(folder, header.first_position);
        let begin = || {
            let mut file = storage.rewrite(&unfinished)?;
            let block_bytes = u16::try_from(file.block_bytes()).map_err(io::Error::other)?;
            let header = SegmentHeader { block_bytes, ..header };
            file.write_blocks(0, &header.bytes())?;
            storage.rename(&unfinished, &path)?;
            storage.sync_dir(folder)?;
            Ok((file, header))
        };
        begin().inspect_err(|_: &io::Error| {
            // What cannot be removed is a spare file, or a segment without records, which the next replay passes over.
            let _ = storage.remove(&unfinished);
            let _ = storage.remove(&path);
        })
    }
}
