//! How much of a part has come of age: found from a sample of its blocks and of the series in them, so that it takes
//! milliseconds whatever the size of the part. What answers show never depends on it.

use std::sync::Arc;

use nephometer_drivers::{PartKind, StoreError};
use nephometer_series::codec::{RawBlock, RollupBlock};

use crate::core::Core;
use crate::merge::{Orders, Settler, merged_rank};
use crate::part::{Block, PartReader};
use crate::parts::Part;
use crate::retention::oldest_bucket_ns;

/// Most blocks of a part that are read.
const BLOCKS: usize = 32;
/// Most series of a block that are looked at.
const SERIES: usize = 8;

/// Measures, or values of rollups: those that would go, and all.
#[derive(Debug, Clone, Copy, Default)]
struct Count {
    going: usize,
    all: usize,
}

impl Count {
    fn share(self) -> f64 {
        if self.all == 0 { 0.0 } else { self.going as f64 / self.all as f64 }
    }
}

/// The share of `part`, from 0 to 1, that would go if it were merged now together with `last`, a part that is not older or
/// `part` itself: dropped, or replaced by rollups.
pub(super) fn share_of_age(
    core: &Core,
    orders: &Orders,
    part: &Arc<Part>,
    last: &Arc<Part>,
) -> Result<f64, StoreError> {
    let Some(reader) = part.reader()? else { return Ok(0.0) };
    let inputs = std::slice::from_ref(part);
    let settler =
        Settler::new(core, inputs, merged_rank(inputs, orders), orders, true).reaching(last.row.max_ns);
    let (mut going, mut all) = (0.0, 0.0);
    for index in spread(reader.index().len(), BLOCKS) {
        core.go_on()?;
        let count = match part.block_uncached(reader, index)? {
            Some(Block::Raw(block)) => raw_count(&settler, part, (reader, index), &block)?,
            Some(Block::Rollup(block)) => rollup_count(core, part, (reader, index), &block)?,
            None => continue,
        };
        let weight = f64::from(reader.index()[index].points);
        going += weight * count.share();
        all += weight;
    }
    Ok(if all > 0.0 { going / all } else { 0.0 })
}

/// At most `most` of the numbers below `len`, at equal distances.
fn spread(len: usize, most: usize) -> impl Iterator<Item = usize> {
    let count = len.min(most);
    (0..count).map(move |at| (2 * at + 1) * len / (2 * count))
}

fn raw_count(
    settler: &Settler<'_>,
    part: &Part,
    (reader, index): (&PartReader, usize),
    block: &RawBlock,
) -> Result<Count, StoreError> {
    let mut count = Count::default();
    let mut timestamps_ns = Vec::new();
    for at in spread(block.entries().len(), SERIES) {
        let entry = block.entries()[at];
        timestamps_ns.clear();
        if let Err(error) = block.decode_times(at, &mut timestamps_ns) {
            part.stream_damaged(reader, index, &error.to_string());
            continue;
        }
        count.all += timestamps_ns.len();
        count.going += settler.going(entry.key, entry.policy, &timestamps_ns)?;
    }
    Ok(count)
}

fn rollup_count(
    core: &Core,
    part: &Part,
    (reader, index): (&PartReader, usize),
    block: &RollupBlock,
) -> Result<Count, StoreError> {
    debug_assert_eq!(part.row.kind, PartKind::Rollup, "a part has blocks of its kind");
    let mut count = Count::default();
    let mut slots_ns = Vec::new();
    for at in spread(block.entries().len(), SERIES) {
        let entry = &block.entries()[at];
        slots_ns.clear();
        if let Err(error) = block.decode_slots(at, &mut slots_ns) {
            part.stream_damaged(reader, index, &error.to_string());
            continue;
        }
        let columns = block.columns(at).len().max(1);
        count.all += slots_ns.len() * columns;
        let Some(policy) = core.policy(entry.policy) else { continue };
        let item = policy.definition.iter().find(|item| item.granularity.ns() == entry.granularity_ns);
        if let Some(item) = item
            && let Some(newest_ns) = core.view(entry.key).newest(core.present_ns())?
            && let Some(oldest_ns) = oldest_bucket_ns(item, newest_ns)
        {
            count.going += slots_ns.partition_point(|slot_ns| *slot_ns < oldest_ns) * columns;
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_are_spread() {
        assert_eq!(spread(0, 4).collect::<Vec<_>>(), Vec::<usize>::new());
        assert_eq!(spread(3, 4).collect::<Vec<_>>(), [0, 1, 2]);
        assert_eq!(spread(4, 4).collect::<Vec<_>>(), [0, 1, 2, 3]);
        assert_eq!(spread(40, 4).collect::<Vec<_>>(), [5, 15, 25, 35]);
    }
}
