//! What a segment has said of each series so far, so that a record need only say what is new. The writer and the
//! reader of a segment go through the same states; both begin with nothing at the segment's start.

use nephometer_series::codec::{CodecError, MAX_EXPONENT, int_to_decimal};

use super::bits::{BitReader, BitWriter};
use super::number::{ESCAPE_BITS, ESCAPE_EXPONENT, Number};
use crate::head::KeyMap;

/// The exponent of integers that are the bits of floating-point numbers, in the order of the numbers.
pub(super) const RAW: u8 = 15;
const EXPONENT_BITS: u32 = 4;

const PAGE_SERIES: usize = 256;

/// The last value of a series, as an integer and its exponent, and what its differences are like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct SeriesState {
    pub(super) number: Number,
    pub(super) exponent: u8,
}

impl SeriesState {
    /// Of a series of which nothing was said.
    pub(super) const FRESH: Self = Self { number: Number::FRESH, exponent: 0 };

    /// Of a series of which only the last value is known.
    pub(super) const fn after(last: i64, exponent: u8) -> Self {
        Self { number: Number::after(last), exponent }
    }

    /// Appends the integer `first` of `exponent`. An integer that `may_scale` is written with the series' own exponent
    /// where that says the same value.
    #[inline]
    pub(super) fn put(&mut self, bits: &mut BitWriter, first: i64, exponent: u8, may_scale: bool) {
        let mut first = first;
        if exponent != self.exponent {
            match scaled(first, exponent, self.exponent).filter(|_| may_scale) {
                Some(same) => first = same,
                None => {
                    let escape = ESCAPE_EXPONENT | u64::from(exponent) << ESCAPE_BITS;
                    bits.put(escape, ESCAPE_BITS + EXPONENT_BITS);
                    self.go_on_with(exponent);
                }
            }
        }
        self.number.put(bits, first);
    }

    /// The next integer, which has [`Self::exponent`] then.
    #[inline]
    pub(super) fn get(&mut self, bits: &mut BitReader<'_>) -> Result<i64, CodecError> {
        if bits.peek() & 0b111 == ESCAPE_EXPONENT {
            bits.skip(ESCAPE_BITS);
            let exponent = bits.take(EXPONENT_BITS) as u8;
            if exponent > MAX_EXPONENT && exponent != RAW {
                return Err(CodecError::Invalid("unknown exponent"));
            }
            self.go_on_with(exponent);
        }
        self.number.get(bits)
    }

    /// Changes the exponent: differences count from the last value in the new one, or from something like it.
    fn go_on_with(&mut self, exponent: u8) {
        let last = self.number.last;
        self.number.last = match (self.exponent, exponent) {
            (RAW, _) => 0,
            (from, RAW) => ordered(int_to_decimal(last, from)),
            (from, to) if from <= to => last.wrapping_mul(power(to - from)),
            (from, to) => last / power(from - to),
        };
        self.exponent = exponent;
    }
}

/// What `int` of exponent `from` is in exponent `to`, if it is an integer there that stands for the very same value.
fn scaled(int: i64, from: u8, to: u8) -> Option<i64> {
    // Both integers and both powers have no more than 53 bits: one quotient, rounded once.
    const EXACT: i64 = 1 << 53;
    if to == RAW || from > to {
        return None;
    }
    int.checked_mul(power(to - from)).filter(|scaled| (-EXACT..=EXACT).contains(scaled))
}

fn power(exponent: u8) -> i64 {
    10_i64.pow(exponent.into())
}

/// The bits of `value` as an integer; integers are in the order of values.
#[inline]
pub(super) fn ordered(value: f64) -> i64 {
    flip(value.to_bits().cast_signed())
}

/// Undoes [`ordered`].
#[inline]
pub(super) fn of_ordered(int: i64) -> f64 {
    f64::from_bits(flip(int).cast_unsigned())
}

fn flip(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

/// States of neighbouring keys; 12 bytes a series.
#[derive(Debug)]
struct Page {
    lasts: [i64; PAGE_SERIES],
    /// See [`Number::state`]; the exponent is in the highest byte.
    states: [u32; PAGE_SERIES],
}

impl Page {
    fn fresh() -> Self {
        let SeriesState { number, exponent } = SeriesState::FRESH;
        let state = number.state() | u32::from(exponent) << 24;
        Self { lasts: [number.last; PAGE_SERIES], states: [state; PAGE_SERIES] }
    }
}

/// The states of all series of a segment.
#[derive(Debug, Default)]
pub(super) struct Context {
    numbers: KeyMap<usize>,
    /// Pages, each with the number of the segment that it is about; one of another segment says nothing.
    pages: Vec<(u32, Box<Page>)>,
    segment: u32,
    /// Key of the page used last, and its number.
    recent: Option<(u64, usize)>,
    series: u64,
}

impl Context {
    /// Begins a segment. Memory of series that the segment before said something of is kept for them.
    pub(super) fn begin_segment(&mut self) {
        let Self { numbers, pages, segment, .. } = self;
        if pages.iter().any(|(about, _)| about != segment) {
            let mut kept: KeyMap<usize> = KeyMap::default();
            let mut left = Vec::new();
            let mut pages: Vec<_> = std::mem::take(pages).into_iter().map(Some).collect();
            for (key, number) in numbers.drain() {
                if let Some(page) = pages[number].take_if(|(about, _)| about == segment) {
                    kept.insert(key, left.len());
                    left.push(page);
                }
            }
            (self.numbers, self.pages) = (kept, left);
        }
        self.segment = self.segment.wrapping_add(1);
        (self.recent, self.series) = (None, 0);
    }

    /// Of how many series the segment has said something.
    pub(super) fn series(&self) -> u64 {
        self.series
    }

    /// Lets `change` look at the state of series `key` and leave another one.
    #[inline]
    pub(super) fn with<T>(&mut self, key: u64, change: impl FnOnce(&mut SeriesState) -> T) -> T {
        let (page, slot) = (key / PAGE_SERIES as u64, (key % PAGE_SERIES as u64) as usize);
        let number = match self.recent {
            Some((recent, number)) if recent == page => number,
            _ => self.turn_to(page),
        };
        let page = &mut *self.pages[number].1;
        let packed = page.states[slot];
        let number = Number::of_state(page.lasts[slot], packed & 0x00ff_ffff);
        let mut state = SeriesState { number, exponent: (packed >> 24) as u8 };
        self.series += u64::from(state.number.is_fresh());
        let result = change(&mut state);
        page.lasts[slot] = state.number.last;
        page.states[slot] = state.number.state() | u32::from(state.exponent) << 24;
        result
    }

    fn turn_to(&mut self, page: u64) -> usize {
        let Self { numbers, pages, segment, .. } = self;
        let number = *numbers.entry(page).or_insert_with(|| {
            pages.push((*segment, Box::new(Page::fresh())));
            pages.len() - 1
        });
        let (about, known) = &mut pages[number];
        if about != segment {
            *about = *segment;
            **known = Page::fresh();
        }
        self.recent = Some((page, number));
        number
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// A value in an exponent that it has.
    fn values() -> impl Strategy<Value = (i64, u8)> {
        let decimal = (-(1_i64 << 51)..1 << 51, 0_u32..52, 0..=MAX_EXPONENT)
            .prop_map(|(int, shift, exponent)| (int >> shift, exponent));
        prop_oneof![decimal, any::<u64>().prop_map(|bits| (ordered(f64::from_bits(bits)), RAW))]
    }

    fn value((int, exponent): (i64, u8)) -> u64 {
        if exponent == RAW { of_ordered(int) } else { int_to_decimal(int, exponent) }.to_bits()
    }

    proptest! {
        #[test]
        fn values_come_back(all in prop::collection::vec((0_u64..600, values(), any::<bool>()), 0..300)) {
            let mut context = Context::default();
            let mut bits = BitWriter::default();
            for (key, (int, exponent), may_scale) in &all {
                context.with(*key, |state| state.put(&mut bits, *int, *exponent, *may_scale));
            }
            let bytes = bits.finish();
            let mut bits = BitReader::new(&bytes);
            // What an earlier segment said is forgotten.
            context.begin_segment();
            for (key, (int, exponent), may_scale) in &all {
                let (back, found) = context.with(*key, |state| (state.get(&mut bits).unwrap(), state.exponent));
                prop_assert_eq!(value((back, found)), value((*int, *exponent)));
                prop_assert!(*may_scale || found == *exponent);
            }
            prop_assert_eq!(bits.end(), Ok(()));
        }

        #[test]
        fn bits_keep_the_order_of_values(one: f64, other: f64, bits: u64) {
            prop_assert_eq!(of_ordered(ordered(f64::from_bits(bits))).to_bits(), bits);
            prop_assert_eq!(ordered(one).cmp(&ordered(other)), one.total_cmp(&other));
        }
    }

    #[test]
    fn pages_of_series_that_are_gone_are_given_back() {
        let mut context = Context::default();
        let say = |context: &mut Context, key| context.with(key, |state| state.number.last += 1);
        (0..10).for_each(|page| say(&mut context, page * 256));
        say(&mut context, 0);
        assert_eq!(context.pages.len(), 10);
        context.begin_segment();
        say(&mut context, 256);
        say(&mut context, u64::MAX);
        assert_eq!(context.pages.len(), 11);
        context.begin_segment();
        assert_eq!((context.pages.len(), context.series()), (2, 0));
        context.with(256, |state| assert_eq!(*state, SeriesState::FRESH));
        assert_eq!(context.series(), 1);
    }
}
