//! Writing the parts of a flush or a merge: raw measures split by partition, rollups in one file.

use std::sync::Arc;

use nephometer_drivers::{PartId, PartKind, PartRow, StoreError};
use nephometer_series::codec::{RollupColumns, SeriesColumns};

use super::{PARTS, file_name};
use crate::core::Core;
use crate::io::FileWriter;
use crate::part::{PartError, PartHeader, PartWriter};

/// Most partitions that get a file of their own; what lies in others shares one.
const MAX_PARTITIONS: usize = 32;

/// What all parts written together have in common.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Provenance {
    pub(crate) sack: u32,
    pub(crate) level: u32,
    pub(crate) min_position: u64,
    pub(crate) max_position: u64,
    /// As of when retention has been applied; nothing where it has not.
    pub(crate) as_of_ns: Option<i64>,
}

/// Parts being written. Unless finished, their files are removed.
pub(crate) struct PartsWriter {
    core: Arc<Core>,
    provenance: Provenance,
    raw: Vec<(Option<i64>, OpenPart)>,
    rollup: Option<OpenPart>,
    rollup_floor_ns: i64,
    finished: bool,
}

struct OpenPart {
    row: PartRow,
    writer: PartWriter<Box<dyn FileWriter>>,
}

impl PartsWriter {
    pub(crate) fn new(core: &Arc<Core>, provenance: Provenance) -> Self {
        Self {
            core: Arc::clone(core),
            provenance,
            raw: Vec::new(),
            rollup: None,
            rollup_floor_ns: i64::MIN,
            finished: false,
        }
    }

    /// Appends raw measures; keys must not descend.
    pub(crate) fn push_raw(&mut self, columns: &SeriesColumns<'_>) -> Result<(), StoreError> {
        let width_ns = self.core.settings.partition_ns();
        let mut begin = 0;
        while let Some(first) = columns.timestamps_ns.get(begin) {
            let partition = first.div_euclid(width_ns);
            let rest = &columns.timestamps_ns[begin..];
            let end = begin + rest.partition_point(|t| t.div_euclid(width_ns) == partition);
            let piece = SeriesColumns {
                timestamps_ns: &columns.timestamps_ns[begin..end],
                values: &columns.values[begin..end],
                ..*columns
            };
            let part = self.raw_part(partition)?;
            part.writer.push_raw(&piece).map_err(store_error)?;
            begin = end;
        }
        Ok(())
    }

    fn raw_part(&mut self, partition: i64) -> Result<&mut OpenPart, StoreError> {
        let find = |raw: &[(Option<i64>, OpenPart)], wanted| raw.iter().position(|(at, _)| *at == wanted);
        let found = find(&self.raw, Some(partition));
        let shared = || if self.raw.len() >= MAX_PARTITIONS { find(&self.raw, None) } else { None };
        let at = match found.or_else(shared) {
            Some(at) => at,
            None => {
                let own = (self.raw.len() < MAX_PARTITIONS).then_some(partition);
                let part = self.open(PartKind::Raw)?;
                self.raw.push((own, part));
                self.raw.len() - 1
            }
        };
        Ok(&mut self.raw[at].1)
    }

    /// Appends rollups, sorted by key and granularity.
    pub(crate) fn push_rollup(&mut self, columns: &RollupColumns<'_>) -> Result<(), StoreError> {
        self.rollup_floor_ns = self.rollup_floor_ns.max(columns.raw_floor_ns);
        if self.rollup.is_none() {
            self.rollup = Some(self.open(PartKind::Rollup)?);
        }
        match &mut self.rollup {
            Some(part) => part.writer.push_rollup(columns).map_err(store_error),
            None => Ok(()),
        }
    }

    /// The greatest floor of the rollups pushed; nothing where there are none.
    pub(crate) fn rollup_floor_ns(&self) -> Option<i64> {
        self.rollup.is_some().then_some(self.rollup_floor_ns)
    }

    fn open(&self, kind: PartKind) -> Result<OpenPart, StoreError> {
        let Provenance { sack, level, min_position, max_position, as_of_ns } = self.provenance;
        let row = PartRow {
            id: PartId(self.core.ids.uuid()),
            kind,
            sack,
            level,
            min_ns: 0,
            max_ns: 0,
            min_position,
            max_position,
            bytes: 0,
            series: 0,
            points: 0,
            as_of_ns: as_of_ns.unwrap_or(i64::MIN),
        };
        let header =
            PartHeader { id: row.id, kind, sack, level, min_position, max_position, as_of_ns: row.as_of_ns };
        let file =
            self.core.storage.create(&path(&row)).map_err(|error| StoreError::Io(error.to_string()))?;
        Ok(OpenPart { row, writer: PartWriter::new(file, &header).map_err(store_error)? })
    }

    /// Ends the files and makes them durable; returns what the catalog is to know of them. Durable they are but for their names: see [`crate::io::Storage::sync_dir`].
    pub(crate) fn finish(mut self) -> Result<Vec<PartRow>, StoreError> {
        let mut parts = Vec::new();
        let now_ns = self.core.now_ns();
        let open = std::mem::take(&mut self.raw).into_iter().map(|(_, part)| part).chain(self.rollup.take());
        let open: Vec<OpenPart> = open.collect();
        let paths: Vec<String> = open.iter().map(|part| path(&part.row)).collect();
        for part in open {
            parts.push(finish_part(part).inspect_err(|_| remove_all(&self.core, &paths))?);
        }
        for row in &mut parts {
            if row.kind == PartKind::Rollup {
                row.max_ns = self.rollup_floor_ns.saturating_sub(1);
            }
            if self.provenance.as_of_ns.is_none() {
                row.as_of_ns = row.max_ns.min(now_ns);
            }
        }
        self.finished = true;
        Ok(parts)
    }
}

impl Drop for PartsWriter {
    fn drop(&mut self) {
        if !self.finished {
            let open = self.raw.iter().map(|(_, part)| part).chain(&self.rollup);
            let paths: Vec<String> = open.map(|part| path(&part.row)).collect();
            remove_all(&self.core, &paths);
        }
    }
}

fn finish_part(part: OpenPart) -> Result<PartRow, StoreError> {
    let (mut file, summary) = part.writer.finish().map_err(store_error)?;
    file.sync().map_err(|error| StoreError::Io(error.to_string()))?;
    Ok(PartRow {
        min_ns: summary.min_ns,
        max_ns: summary.max_ns,
        bytes: summary.bytes,
        series: summary.series,
        points: summary.points,
        ..part.row
    })
}

/// Removes the files of parts that never came to be.
pub(crate) fn discard<'a>(core: &Core, parts: impl IntoIterator<Item = &'a PartRow>) {
    remove_all(core, &parts.into_iter().map(path).collect::<Vec<_>>());
}

/// What stays behind is swept at the next start.
fn remove_all(core: &Core, paths: &[String]) {
    for path in paths {
        if let Err(error) = core.storage.remove(path) {
            tracing::warn!(path, %error, "an unfinished part could not be removed");
        }
    }
}

/// Path of a part's file.
fn path(row: &PartRow) -> String {
    format!("{PARTS}/{}", file_name(row))
}

#[expect(clippy::needless_pass_by_value, reason = "maps errors")]
fn store_error(error: PartError) -> StoreError {
    StoreError::Io(error.to_string())
}
