//! From runs of values to streams.

use super::super::decimal::decimals_to_ints;
use super::super::ints::{bit_length, put_floats, put_ints};
use super::super::{Effort, put_varint};
use super::{BITS, CONSTANT, FLOATS, LEVELS, STEPS, ordered_bits};

/// A run of so many values has a stream of its own.
const LONG_RUN: usize = 2048;

/// The same for floats that are no decimals, when trying hard: multiples of some base (rates, means) show only
/// where they are not mixed with others.
const LONG_FLOAT_RUN: usize = 256;

/// Streams of fewer values are joined with their neighbours.
const STREAM_MIN_VALUES: usize = 1024;

/// How much of a run is looked at to choose its form.
const SAMPLE: usize = 512;

/// Which runs may share a stream: those that are equal in all of this.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Class {
    kind: u8,
    /// For a long run its number plus one, so that it stays alone.
    own: usize,
    mostly_zero: bool,
    /// Bits of the largest number.
    bits: u32,
}

/// What became of a run.
#[derive(Debug, Clone)]
struct Run {
    class: Class,
    exponent: i64,
    factor: i64,
    base: i64,
    /// Of floats: whether their differences are smaller than they.
    by_steps: bool,
    /// Its numbers in the arena; none for a constant and for floats.
    numbers: std::ops::Range<usize>,
}

/// Appends `runs` (none empty): the stream of each, then the streams. Only `runs` and their lengths are needed to
/// read them again.
pub(crate) fn encode_runs(runs: &[&[f64]], effort: Effort, out: &mut Vec<u8>) {
    let mut arena = Vec::with_capacity(runs.iter().map(|run| run.len()).sum());
    let coded: Vec<_> =
        runs.iter().enumerate().map(|(at, run)| Run::of(at, run, effort, &mut arena)).collect();
    let streams = assign(&coded);
    let mut stream_of = vec![0_i64; runs.len()];
    for (stream, members) in streams.iter().enumerate() {
        members.iter().for_each(|run| stream_of[*run] = stream as i64);
    }
    put_varint(out, streams.len() as u64);
    put_ints(out, &stream_of, effort);
    let mut blob = Vec::new();
    let mut lengths = Vec::with_capacity(streams.len());
    for members in &streams {
        let before = blob.len();
        put_stream(members, &coded, runs, &arena, effort, &mut blob);
        lengths.push((blob.len() - before) as u64);
    }
    lengths.iter().for_each(|length| put_varint(out, *length));
    out.extend_from_slice(&blob);
}

impl Run {
    fn of(at: usize, values: &[f64], effort: Effort, arena: &mut Vec<i64>) -> Self {
        let start = arena.len();
        let constant = values.iter().all(|value| value.to_bits() == values[0].to_bits());
        let looked_at = if constant { &values[..1] } else { values };
        let exponent = match decimals_to_ints(looked_at, arena) {
            Some(exponent) => i64::from(exponent),
            None => {
                arena.extend(looked_at.iter().map(|value| ordered_bits(*value)));
                BITS
            }
        };
        let class = Class { kind: CONSTANT, own: 0, mostly_zero: false, bits: 0 };
        let base = arena[start];
        let mut run = Self { class, exponent, factor: 1, base, by_steps: false, numbers: start..start };
        if constant {
            arena.truncate(start);
            return run;
        }
        let long = if exponent == BITS && effort == Effort::Merge { LONG_FLOAT_RUN } else { LONG_RUN };
        let own = if values.len() >= long { at + 1 } else { 0 };
        let by_steps = prefers_steps(&arena[start..]);
        if own > 0 && exponent == BITS {
            arena.truncate(start);
            run.class = Class { kind: FLOATS, own, ..class };
            run.by_steps = by_steps;
            return run;
        }
        if by_steps {
            run.take_steps(arena, start);
        } else {
            run.take_levels(arena, start);
        }
        run.describe(&mut arena[run.numbers.clone()], own);
        run
    }

    fn take_steps(&mut self, arena: &mut [i64], start: usize) {
        self.class.kind = STEPS;
        let ints = &mut arena[start..];
        for at in (1..ints.len()).rev() {
            ints[at] = ints[at].wrapping_sub(ints[at - 1]);
        }
        self.numbers = start + 1..arena.len();
    }

    fn take_levels(&mut self, arena: &mut [i64], start: usize) {
        self.class.kind = LEVELS;
        let ints = &mut arena[start..];
        self.base = ints.iter().copied().min().unwrap_or_default();
        ints.iter_mut().for_each(|int| *int = int.wrapping_sub(self.base));
        self.numbers = start..arena.len();
    }

    /// Divides the numbers by their common factor and finds the run's class.
    fn describe(&mut self, numbers: &mut [i64], own: usize) {
        let factor = if self.exponent == BITS { 1 } else { common_factor(numbers) };
        if factor > 1 {
            numbers.iter_mut().for_each(|number| *number /= factor);
            self.factor = factor;
        }
        let (mut all, mut zeros) = (0, 0);
        for number in numbers.iter() {
            all |= number.unsigned_abs();
            zeros += usize::from(*number == 0);
        }
        self.class = Class {
            kind: self.class.kind,
            own,
            mostly_zero: zeros > numbers.len() / 3,
            bits: bit_length(all),
        };
    }
}

/// Whether differences of `ints` are smaller than the distances from the smallest.
fn prefers_steps(ints: &[i64]) -> bool {
    let sample = &ints[..ints.len().min(SAMPLE)];
    let min = sample.iter().copied().min().unwrap_or_default();
    let bits = |value: u64| u64::from(bit_length(value));
    let levels: u64 = sample.iter().map(|int| bits(int.wrapping_sub(min).cast_unsigned())).sum();
    let mut steps = 0;
    let mut falls = false;
    for pair in sample.windows(2) {
        let step = pair[1].wrapping_sub(pair[0]);
        falls |= step < 0;
        steps += bits(step.unsigned_abs());
    }
    let signs = if falls { sample.len() as u64 } else { 0 };
    steps + signs <= levels + sample.len() as u64 / 2
}

/// The greatest common divisor of `numbers`, or 1 where it is too large to be told apart from none.
fn common_factor(numbers: &[i64]) -> i64 {
    let mut factor = 0_u64;
    for number in numbers {
        let number = number.unsigned_abs();
        if number == 0 || (factor != 0 && number % factor == 0) {
            continue;
        }
        factor = greatest_common_divisor(number, factor);
        if factor == 1 {
            break;
        }
    }
    i64::try_from(factor).unwrap_or(1).max(1)
}

fn greatest_common_divisor(mut a: u64, mut b: u64) -> u64 {
    while b != 0 {
        (a, b) = (b, a % b);
    }
    a
}

/// Numbers of the runs of each stream, ascending. Classes with few values join the next wider one of their kind.
fn assign(coded: &[Run]) -> Vec<Vec<usize>> {
    let mut order: Vec<_> = (0..coded.len()).collect();
    order.sort_by_key(|run| coded[*run].class);
    let mut streams: Vec<(Class, Vec<usize>, usize)> = Vec::new();
    for run in order {
        let class = coded[run].class;
        let values = coded[run].numbers.len();
        match streams.last_mut() {
            Some((last, members, held)) if *last == class || joinable(*last, class, *held) => {
                *last = class;
                members.push(run);
                *held += values;
            }
            _ => streams.push((class, vec![run], values)),
        }
    }
    streams
        .into_iter()
        .map(|(_, mut members, _)| {
            members.sort_unstable();
            members
        })
        .collect()
}

/// Whether runs of `class` go to the stream whose last class is `last` and which holds `held` values so far.
fn joinable(last: Class, class: Class, held: usize) -> bool {
    let alike = last.kind == class.kind && last.own == 0 && class.own == 0;
    alike && (class.kind == CONSTANT || held < STREAM_MIN_VALUES)
}

fn put_stream(
    members: &[usize],
    coded: &[Run],
    runs: &[&[f64]],
    arena: &[i64],
    effort: Effort,
    out: &mut Vec<u8>,
) {
    let class = coded[members[0]].class;
    out.push(class.kind);
    if class.kind == FLOATS {
        put_floats(out, runs[members[0]], coded[members[0]].by_steps, effort);
        return;
    }
    let column = |field: fn(&Run) -> i64| members.iter().map(|run| field(&coded[*run])).collect::<Vec<_>>();
    put_ints(out, &column(|run| run.exponent), effort);
    put_ints(out, &column(|run| run.base), effort);
    if class.kind == CONSTANT {
        return;
    }
    put_ints(out, &column(|run| run.factor), effort);
    if let [only] = members {
        put_ints(out, &arena[coded[*only].numbers.clone()], effort);
        return;
    }
    let mut numbers = Vec::with_capacity(members.iter().map(|run| coded[*run].numbers.len()).sum());
    members.iter().for_each(|run| numbers.extend_from_slice(&arena[coded[*run].numbers.clone()]));
    put_ints(out, &numbers, effort);
}
