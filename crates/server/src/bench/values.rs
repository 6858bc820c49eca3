//! Values shaped like those of a cloud, reproducible from a seed: six kinds of metrics, about 1.2 bytes of entropy a
//! measure.

/// A small generator of pseudo-random numbers (SplitMix64); its sequence belongs to the definition of the workloads.
#[derive(Debug, Clone)]
pub(super) struct Random(u64);

impl Random {
    /// The sequence of `seed`.
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// The next 64 bits.
    pub(super) fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// An integer in `0..bound`.
    pub(super) fn below(&mut self, bound: u64) -> u64 {
        let wide = u128::from(self.next()) * u128::from(bound);
        u64::try_from(wide >> 64).unwrap_or(0)
    }

    /// A number in `low..high`.
    #[expect(clippy::cast_precision_loss, reason = "53 random bits fit")]
    fn uniform(&mut self, low: f64, high: f64) -> f64 {
        low + (high - low) * ((self.next() >> 11) as f64 / (1_u64 << 53) as f64)
    }
}

/// The state of one metric: its kind is its index modulo 6.
#[derive(Debug, Clone)]
pub(super) struct Walk {
    kind: u8,
    /// The value; hundredths for the utilisation.
    value: i64,
}

impl Walk {
    /// Metric `index`, started at a random integer below 100,000 (a utilisation within its bounds).
    pub(super) fn start(index: u64, random: &mut Random) -> Self {
        let value = i64::try_from(random.below(100_000)).unwrap_or(0);
        let kind = u8::try_from(index % 6).unwrap_or(0);
        let value = match kind {
            1 => value.clamp(64, 65_536),
            3 => value % 10_001,
            _ => value,
        };
        Self { kind, value }
    }

    /// Moves on by `step_seconds`.
    pub(super) fn step(&mut self, step_seconds: u32, random: &mut Random) {
        match self.kind {
            0 => self.value += floor(random.uniform(0.05, 0.9) * f64::from(step_seconds) * 1e9),
            1 => {
                let change = i64::try_from(random.below(17)).unwrap_or(0) - 8;
                self.value = (self.value + change).clamp(64, 65_536);
            }
            2 if random.uniform(0.0, 1.0) < 0.3 => {
                self.value += i64::try_from(random.below(5_000_000)).unwrap_or(0);
            }
            3 => self.value = (self.value + floor(random.uniform(-500.0, 500.0))).clamp(0, 10_000),
            5 => self.value += i64::try_from(random.below(40)).unwrap_or(0),
            _ => {}
        }
    }

    /// The value as a number.
    #[expect(
        clippy::cast_precision_loss,
        reason = "the values of the walks are far below 2^53 but for very long ones"
    )]
    pub(super) fn value(&self) -> f64 {
        if self.kind == 3 { self.value as f64 / 100.0 } else { self.value as f64 }
    }

    /// Appends the value as JSON.
    pub(super) fn write(&self, out: &mut Vec<u8>) {
        if self.kind == 3 {
            write_integer(out, self.value / 100);
            out.push(b'.');
            let hundredths = u8::try_from(self.value % 100).unwrap_or(0);
            out.extend_from_slice(&[b'0' + hundredths / 10, b'0' + hundredths % 10]);
        } else {
            write_integer(out, self.value);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "the values of the walks are far below 2^63")]
fn floor(value: f64) -> i64 {
    value.floor() as i64
}

/// Appends a non-negative integer in decimal.
pub(super) fn write_integer(out: &mut Vec<u8>, value: i64) {
    let mut digits = [0_u8; 20];
    let mut at = digits.len();
    let mut rest = value.unsigned_abs();
    loop {
        at -= 1;
        digits[at] = b'0' + u8::try_from(rest % 10).unwrap_or(0);
        rest /= 10;
        if rest == 0 {
            break;
        }
    }
    out.extend_from_slice(&digits[at..]);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn series(index: u64, seed: u64, len: usize) -> Vec<f64> {
        let mut random = Random::new(seed);
        let mut walk = Walk::start(index, &mut random);
        let mut values = Vec::new();
        for _ in 0..len {
            walk.step(60, &mut random);
            let mut text = Vec::new();
            walk.write(&mut text);
            values.push(String::from_utf8(text).unwrap().parse().unwrap());
        }
        values
    }

    #[test]
    fn kinds_stay_in_their_bounds_and_follow_the_seed() {
        assert_eq!(series(0, 7, 50), series(0, 7, 50));
        assert_ne!(series(0, 7, 50), series(0, 8, 50));
        for counter in [0, 2, 5] {
            assert!(series(counter, 1, 500).is_sorted(), "kind {counter}");
        }
        assert!(series(1, 1, 5000).iter().all(|v| (64.0..=65_536.0).contains(v)));
        assert!(series(3, 1, 5000).iter().all(|v| (0.0..=100.0).contains(v)));
        let constant = series(4, 1, 10);
        assert!(constant.iter().all(|v| v.total_cmp(&constant[0]).is_eq()));
    }

    #[test]
    fn integers_as_text() {
        for value in [0, 7, 10, 99_999, i64::MAX] {
            let mut text = Vec::new();
            write_integer(&mut text, value);
            assert_eq!(String::from_utf8(text).unwrap(), value.to_string());
        }
    }
}
