//! Which columns the entries of a rollup block have, and where their values come from.

use nephometer_model::Reducer;

use super::super::ints::{get_ints, put_ints};
use super::super::{ByteReader, CodecError, ColumnId, Effort, put_varint};

/// Where the values of a column come from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Origin {
    /// A run of their own.
    Stored,
    /// The stored column at this place of the same entry.
    Same(usize),
    /// The entry's sums divided by its counts (of differences for a `rate:` column).
    Ratio,
}

impl Origin {
    pub(super) fn code(self) -> i64 {
        match self {
            Self::Stored => 0,
            Self::Same(place) => place as i64 + 1,
            Self::Ratio => -1,
        }
    }

    pub(super) fn from_code(code: i64) -> Option<Self> {
        match code {
            0 => Some(Self::Stored),
            -1 => Some(Self::Ratio),
            _ => usize::try_from(code - 1).ok().map(Self::Same),
        }
    }
}

/// For a mean: the columns of which it is the quotient.
pub(super) fn terms(column: ColumnId) -> Option<(ColumnId, ColumnId)> {
    let method = column.method();
    let with = |reducer| ColumnId::from(nephometer_model::AggregationMethod { reducer, ..method });
    (method.reducer == Reducer::Mean).then(|| (with(Reducer::Sum), with(Reducer::Count)))
}

fn equal_bits(one: &[f64], other: &[f64]) -> bool {
    one.iter().zip(other).all(|(a, b)| a.to_bits() == b.to_bits())
}

/// Where each of `columns` may come from, as cheaply as possible. What a column refers to is always stored.
pub(super) fn origins(columns: &[(ColumnId, &[f64])]) -> Vec<Origin> {
    let mut origins: Vec<_> = columns.iter().map(|column| is_ratio(column, columns)).collect();
    for at in 0..columns.len() {
        if origins[at] == Origin::Ratio {
            continue;
        }
        let same = (0..at)
            .find(|other| origins[*other] == Origin::Stored && equal_bits(columns[*other].1, columns[at].1));
        origins[at] = same.map_or(Origin::Stored, Origin::Same);
    }
    origins
}

/// [`Origin::Ratio`] where `column` is a mean that its sum and count give back. Not where it equals one of them, since
/// they could then not be stored as equal to it; not with NaN, whose bits depend on who divides.
fn is_ratio(column: &(ColumnId, &[f64]), columns: &[(ColumnId, &[f64])]) -> Origin {
    let values_of = |id| columns.iter().find(|(known, _)| *known == id).map(|(_, values)| *values);
    let found = terms(column.0).and_then(|(sum, count)| values_of(sum).zip(values_of(count)));
    let Some((sums, counts)) = found else { return Origin::Stored };
    let divides = column
        .1
        .iter()
        .zip(sums.iter().zip(counts))
        .all(|(mean, (sum, count))| !mean.is_nan() && (sum / count).to_bits() == mean.to_bits());
    if divides && !equal_bits(column.1, sums) && !equal_bits(column.1, counts) {
        Origin::Ratio
    } else {
        Origin::Stored
    }
}

/// Lists of columns while a block is made: series of one policy have the same.
#[derive(Debug, Default)]
pub(super) struct ColumnSetsEncoder {
    sets: Vec<Vec<ColumnId>>,
    used: Vec<i64>,
}

impl ColumnSetsEncoder {
    /// Notes that the next entry has `columns`.
    pub(super) fn push(&mut self, columns: &[(ColumnId, &[f64])]) {
        let ids = || columns.iter().map(|(id, _)| *id);
        let known = self.sets.iter().position(|set| set.iter().copied().eq(ids()));
        let index = known.unwrap_or_else(|| {
            self.sets.push(ids().collect());
            self.sets.len() - 1
        });
        self.used.push(index as i64);
    }

    /// Appends the lists and which entry has which.
    pub(super) fn finish(&self, effort: Effort, out: &mut Vec<u8>) {
        put_varint(out, self.sets.len() as u64);
        for set in &self.sets {
            put_varint(out, set.len() as u64);
            set.iter().for_each(|id| put_varint(out, u64::from(id.code())));
        }
        put_ints(out, &self.used, effort);
    }
}

/// Lists of columns of a block that is read.
#[derive(Debug)]
pub(super) struct ColumnSets {
    sets: Vec<Vec<ColumnId>>,
    used: Vec<u32>,
}

impl ColumnSets {
    pub(super) fn parse(reader: &mut ByteReader<'_>, entries: usize) -> Result<Self, CodecError> {
        let len = reader.count(entries)?;
        let mut sets = Vec::new();
        for _ in 0..len {
            let columns = reader.count(u16::MAX.into())?;
            let mut set = Vec::new();
            for _ in 0..columns {
                let code = u16::try_from(reader.varint()?).ok().and_then(ColumnId::from_code);
                set.push(code.ok_or(CodecError::Invalid("unknown column"))?);
            }
            sets.push(set);
        }
        let known = |index: i64| u32::try_from(index).ok().filter(|index| (*index as usize) < len);
        let used: Option<Vec<_>> = get_ints(reader, entries)?.into_iter().map(known).collect();
        Ok(Self { sets, used: used.ok_or(CodecError::Invalid("unknown list of columns"))? })
    }

    /// Which list entry `index` has.
    pub(super) fn of(&self, index: usize) -> u32 {
        self.used[index]
    }

    /// The columns of a list.
    pub(super) fn columns(&self, set: u32) -> &[ColumnId] {
        &self.sets[set as usize]
    }
}
