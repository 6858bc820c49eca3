//! Batches in the shape that the log and the heads rely on: one run a series, ascending timestamps, each once.

use nephometer_drivers::{SeriesRun, StoreError, WriteBatch};
use nephometer_series::{Duplicates, sort_and_deduplicate};

/// Brings `batch` into shape. Of measures with one timestamp the smallest value stays, NaN only where there is no other.
/// A batch that is in shape, as nearly all are, is looked at once and not copied.
pub(crate) fn normalise(batch: WriteBatch) -> Result<WriteBatch, StoreError> {
    let measures: usize = batch.runs.iter().map(|run| run.len as usize).sum();
    if measures != batch.timestamps_ns.len() || measures != batch.values.len() {
        return Err(StoreError::Io("runs and columns of a batch differ in length".to_owned()));
    }
    if runs_ascend(&batch) && keys_differ(&batch) { Ok(batch) } else { Ok(rebuild(&batch)) }
}

fn runs_ascend(batch: &WriteBatch) -> bool {
    let mut begin = 0;
    batch.runs.iter().all(|run| {
        let end = begin + run.len as usize;
        let ascends = batch.timestamps_ns[begin..end].is_sorted_by(|a, b| a < b);
        begin = end;
        ascends && run.len > 0
    })
}

fn keys_differ(batch: &WriteBatch) -> bool {
    if batch.runs.is_sorted_by(|a, b| a.key < b.key) {
        return true;
    }
    let mut keys: Vec<_> = batch.runs.iter().map(|run| run.key).collect();
    keys.sort_unstable();
    keys.is_sorted_by(|a, b| a < b)
}

fn rebuild(batch: &WriteBatch) -> WriteBatch {
    let mut begin = 0;
    let mut places: Vec<(usize, SeriesRun)> = Vec::with_capacity(batch.runs.len());
    for run in &batch.runs {
        places.push((begin, *run));
        begin += run.len as usize;
    }
    places.sort_by_key(|(_, run)| run.key);
    let mut result = WriteBatch::default();
    for same in places.chunk_by(|(_, a), (_, b)| a.key == b.key) {
        let (mut timestamps, mut values) = (Vec::new(), Vec::new());
        for (begin, run) in same {
            let range = *begin..begin + run.len as usize;
            timestamps.extend_from_slice(&batch.timestamps_ns[range.clone()]);
            values.extend_from_slice(&batch.values[range]);
        }
        sort_and_deduplicate(&mut timestamps, &mut values, Duplicates::Smallest);
        if let (Some((_, run)), false) = (same.last(), values.is_empty()) {
            result.runs.push(SeriesRun { len: values.len() as u32, ..*run });
            result.timestamps_ns.append(&mut timestamps);
            result.values.append(&mut values);
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use nephometer_model::{PolicyKey, SeriesKey};

    use super::*;

    fn batch(runs: &[(u64, &[(i64, f64)])]) -> WriteBatch {
        let mut batch = WriteBatch::default();
        for (key, measures) in runs {
            let len = measures.len() as u32;
            batch.runs.push(SeriesRun { key: SeriesKey(*key), policy: PolicyKey(1), len });
            batch.timestamps_ns.extend(measures.iter().map(|(at, _)| *at));
            batch.values.extend(measures.iter().map(|(_, value)| *value));
        }
        batch
    }

    #[test]
    fn what_is_in_shape_stays() {
        let good = batch(&[(2, &[(1, 1.0), (2, 2.0)]), (1, &[(1, 3.0)])]);
        assert_eq!(normalise(good.clone()).unwrap(), good);
    }

    #[test]
    fn runs_of_a_series_are_joined_and_the_smallest_value_stays() {
        let mixed = batch(&[(2, &[(5, 7.0), (1, 1.0)]), (1, &[]), (2, &[(5, 3.0), (9, 0.0)])]);
        let expected = batch(&[(2, &[(1, 1.0), (5, 3.0), (9, 0.0)])]);
        assert_eq!(normalise(mixed).unwrap(), expected);
    }

    #[test]
    fn lengths_must_agree() {
        let mut bad = batch(&[(2, &[(5, 7.0)])]);
        bad.values.clear();
        assert!(normalise(bad).is_err());
    }
}
