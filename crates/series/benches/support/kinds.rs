//! Kinds of series for benches: a CPU time counter in nanoseconds, a memory gauge, a bursty byte counter, a utilisation
//! with two decimals, a constant, a slow counter; beyond those six, which are also mixed: a rate by the minute, and a
//! gauge that uses all its bits.

/// What each kind is called.
#[allow(dead_code, reason = "not every bench names them")]
pub(crate) const KINDS: [&str; 8] =
    ["cpu ns", "memory", "bursty", "percent", "constant", "slow", "rate", "mantissa"];
/// How many of them make a mix.
pub(crate) const MIXED: usize = 6;
const SECOND_NS: i64 = 1_000_000_000;

/// A small generator of random numbers (splitmix64).
pub(crate) struct Random(pub(crate) u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        z ^ (z >> 31)
    }

    /// Uniform in [0, 1).
    fn unit(&mut self) -> f64 {
        (self.next() >> 11) as f64 / (1_u64 << 53) as f64
    }

    fn below(&mut self, limit: u64) -> f64 {
        (self.next() % limit) as f64
    }
}

/// Measures of one series.
pub(crate) struct Series {
    /// Its key.
    pub(crate) key: u64,
    /// When, in nanoseconds.
    pub(crate) timestamps_ns: Vec<i64>,
    /// What.
    pub(crate) values: Vec<f64>,
}

impl Series {
    /// So many points of a kind, one each `step_seconds`.
    pub(crate) fn new(key: u64, kind: usize, points: usize, step_seconds: i64, random: &mut Random) -> Self {
        let mut value = random.below(100_000);
        let mut next = || {
            match kind {
                0 => value += ((0.05 + 0.85 * random.unit()) * step_seconds as f64 * 1e9).floor(),
                1 => value = (value + random.below(17) - 8.0).clamp(64.0, 65_536.0),
                2 if random.unit() < 0.3 => value += random.below(5_000_000),
                3 => value = (value + random.unit() * 10.0 - 5.0).clamp(0.0, 100.0),
                5 => value += random.below(40),
                6 => value = random.below(100_000) / 60.0,
                7 => value = (value + random.unit() - 0.5).clamp(0.0, 100.0),
                _ => {}
            }
            if kind == 3 { (value * 100.0).round() / 100.0 } else { value }
        };
        let values = (0..points).map(|_| next()).collect();
        let start = 1_700_000_000 * SECOND_NS;
        let timestamps_ns = (0..points as i64).map(|i| start + i * step_seconds * SECOND_NS).collect();
        Self { key, timestamps_ns, values }
    }
}
