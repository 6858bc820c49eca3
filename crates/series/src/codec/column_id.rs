//! Stable numbers of the columns that a rollup may hold.

use nephometer_model::{AggregationMethod, Reducer};

/// Number of an aggregation method in files, never to change: 1 mean, 2 sum, 3 last, 4 max, 5 min, 6 std, 7 median,
/// 8 first, 9 count, 100 + p for percentile p; 512 more for the `rate:` form.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ColumnId(u16);

const RATE: u16 = 512;
const PERCENTILE: u16 = 100;

impl ColumnId {
    /// The number `code`, if it stands for a method.
    pub fn from_code(code: u16) -> Option<Self> {
        let id = Self(code);
        id.lookup().map(|_| id)
    }

    /// The number itself.
    pub const fn code(self) -> u16 {
        self.0
    }

    /// The method that it stands for.
    pub fn method(self) -> AggregationMethod {
        self.lookup().unwrap_or(AggregationMethod::MEAN)
    }

    fn lookup(self) -> Option<AggregationMethod> {
        let rate = self.0 >= RATE;
        let reducer = match self.0 % RATE {
            1 => Reducer::Mean,
            2 => Reducer::Sum,
            3 => Reducer::Last,
            4 => Reducer::Max,
            5 => Reducer::Min,
            6 => Reducer::Std,
            7 => Reducer::Median,
            8 => Reducer::First,
            9 => Reducer::Count,
            code @ 101..=199 => Reducer::Percentile(u8::try_from(code - PERCENTILE).ok()?),
            _ => return None,
        };
        (self.0 < 2 * RATE).then_some(AggregationMethod { rate, reducer })
    }
}

impl From<AggregationMethod> for ColumnId {
    fn from(method: AggregationMethod) -> Self {
        let code = match method.reducer {
            Reducer::Mean => 1,
            Reducer::Sum => 2,
            Reducer::Last => 3,
            Reducer::Max => 4,
            Reducer::Min => 5,
            Reducer::Std => 6,
            Reducer::Median => 7,
            Reducer::First => 8,
            Reducer::Count => 9,
            Reducer::Percentile(percent) => PERCENTILE + u16::from(percent),
        };
        Self(code + if method.rate { RATE } else { 0 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_methods_have_stable_unique_codes() {
        let mut codes: Vec<_> =
            AggregationMethod::all().map(|method| ColumnId::from(method).code()).collect();
        for (method, code) in AggregationMethod::all().zip(&codes) {
            assert_eq!(ColumnId::from_code(*code).map(ColumnId::method), Some(method));
        }
        assert_eq!(codes[..9], [1, 2, 3, 4, 5, 6, 7, 8, 9]);
        codes.sort_unstable();
        codes.dedup();
        assert_eq!(codes.len(), 216);
        let known = (0..=u16::MAX).filter(|code| ColumnId::from_code(*code).is_some()).count();
        assert_eq!(known, 216);
    }
}
