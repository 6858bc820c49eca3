//! Merging rollup parts: slots of one series and granularity come together; each is in one part only.

use std::collections::BTreeMap;

use nephometer_drivers::StoreError;
use nephometer_series::codec::{CodecError, ColumnId, RollupBlock, RollupColumns, RollupEntry};

use super::Job;
use super::cursor::RollupCursor;
use crate::core::Core;
use crate::parts::PartsWriter;
use crate::retention::oldest_bucket_ns;
use crate::rollup::absent;
use crate::tombstones::hides_slot;

/// All that the inputs hold of one series.
#[derive(Default)]
struct Gathered {
    policy: u32,
    floor_ns: i64,
    /// By granularity: slots and their values by column.
    slots: BTreeMap<i64, BTreeMap<i64, Vec<(ColumnId, f64)>>>,
}

/// Merges the rollups of a job.
pub(super) fn merge(core: &Core, job: &Job, writer: &mut PartsWriter) -> Result<(), StoreError> {
    let orders = &job.orders;
    let mut cursors = Vec::new();
    for part in &job.inputs {
        cursors.extend(RollupCursor::open(part)?);
    }
    while let Some(key) = cursors.iter().filter_map(RollupCursor::key).min() {
        core.go_on()?;
        let mut gathered = Gathered { floor_ns: i64::MIN, ..Gathered::default() };
        let tombstones = orders.tombstones.of(key);
        for cursor in cursors.iter_mut().filter(|cursor| cursor.key() == Some(key)) {
            let position = cursor.max_position();
            cursor.take(key, |block, index, entry| {
                gathered.add(block, index, entry, |slot_ns| {
                    hides_slot(tombstones, position, slot_ns, entry.granularity_ns)
                })
            })?;
        }
        if !orders.dead.contains_key(&key) {
            gathered.retain(core, key)?;
            gathered.write(key, writer)?;
        }
    }
    Ok(())
}

impl Gathered {
    fn add(
        &mut self,
        block: &RollupBlock,
        index: usize,
        entry: &RollupEntry,
        is_hidden: impl Fn(i64) -> bool,
    ) -> Result<(), CodecError> {
        self.policy = entry.policy;
        self.floor_ns = self.floor_ns.max(entry.raw_floor_ns);
        let mut slots_ns = Vec::with_capacity(entry.count);
        block.decode_slots(index, &mut slots_ns)?;
        let mut columns = Vec::new();
        for column in block.columns(index) {
            let mut values = Vec::with_capacity(slots_ns.len());
            if block.decode_column(index, *column, &mut values)? {
                columns.push((*column, values));
            }
        }
        let slots = self.slots.entry(entry.granularity_ns).or_default();
        for (at, slot_ns) in slots_ns.iter().enumerate().filter(|(_, slot_ns)| !is_hidden(**slot_ns)) {
            let row = columns.iter().map(|(column, values)| (*column, values[at]));
            slots.insert(*slot_ns, row.collect());
        }
        Ok(())
    }

    /// Drops what the policy does not keep any more.
    fn retain(&mut self, core: &Core, key: u64) -> Result<(), StoreError> {
        let Some(policy) = core.policy(self.policy) else { return Ok(()) };
        let Some(newest_ns) = core.view(key).newest(core.present_ns())? else { return Ok(()) };
        for item in &policy.definition {
            let Some(oldest_ns) = oldest_bucket_ns(item, newest_ns) else { continue };
            if let Some(slots) = self.slots.get_mut(&item.granularity.ns()) {
                *slots = slots.split_off(&oldest_ns);
            }
        }
        Ok(())
    }

    fn write(&self, key: u64, writer: &mut PartsWriter) -> Result<(), StoreError> {
        for (granularity_ns, slots) in self.slots.iter().filter(|(_, slots)| !slots.is_empty()) {
            let slots_ns: Vec<i64> = slots.keys().copied().collect();
            let mut columns: BTreeMap<ColumnId, Vec<f64>> = BTreeMap::new();
            for (at, row) in slots.values().enumerate() {
                for (column, value) in row {
                    columns.entry(*column).or_insert_with(|| vec![absent(); slots_ns.len()])[at] = *value;
                }
            }
            let columns: Vec<(ColumnId, &[f64])> =
                columns.iter().map(|(column, values)| (*column, values.as_slice())).collect();
            writer.push_rollup(&RollupColumns {
                key,
                policy: self.policy,
                granularity_ns: *granularity_ns,
                raw_floor_ns: self.floor_ns,
                slots_ns: &slots_ns,
                columns: &columns,
            })?;
        }
        Ok(())
    }
}
