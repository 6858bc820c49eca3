//! Ids that grow with time, so that what is made together lies together wherever rows are sorted by id.

use std::sync::atomic::{AtomicU64, Ordering};

use uuid::Uuid;

use crate::Timestamp;

const MILLIS_BITS: u32 = 48;
/// Bits that count within a millisecond.
const COUNT_BITS: u32 = 64 - MILLIS_BITS;
/// Random bits between which an id is placed: version and variant lie beside them.
const RANDOM_BITS: u32 = 58;

/// Makes version-7 UUIDs (RFC 9562, section 5.7): milliseconds since the epoch, then 16 bits that count, then 58 random
/// bits. Each is larger than all that were made before it, also where the clock stands still or goes back; then they
/// run ahead of it.
#[derive(Debug, Default)]
pub struct OrderedIds {
    /// Milliseconds and count of the id made last.
    last: AtomicU64,
}

impl OrderedIds {
    /// The next id at the time `now`; `random` is a fresh random UUID.
    pub fn next(&self, now: Timestamp, random: Uuid) -> Uuid {
        let millis = u64::try_from(now.ns() / 1_000_000).unwrap_or(0);
        let earliest = millis.min((1 << MILLIS_BITS) - 1) << COUNT_BITS;
        let next = |last: u64| earliest.max(last.wrapping_add(1));
        let last = self.last.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |last| Some(next(last)));
        let moment = next(last.unwrap_or_else(|last| last));
        // A version-4 UUID ends in 62 random bits.
        let bits = u128::from(random.as_u64_pair().1) & ((1 << RANDOM_BITS) - 1);
        let (millis, count) =
            (u128::from(moment >> COUNT_BITS), u128::from(moment & ((1 << COUNT_BITS) - 1)));
        // The version parts the first twelve bits of the count from the rest, the variant those from the random bits.
        Uuid::from_u128(
            millis << 80 | 0x7 << 76 | (count >> 4) << 64 | 0b10 << 62 | (count & 0xf) << RANDOM_BITS | bits,
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_grow_with_the_clock_and_without_it() {
        let ids = OrderedIds::default();
        let mut last = Uuid::nil();
        for step in 0_u64..200_000 {
            // The clock stands still, jumps, and goes back.
            let millis =
                1_767_225_600_000 + i64::try_from(step / 70_000 * 5 + (step / 1000 % 2) * 3).unwrap();
            let random = Uuid::from_u128(u128::from(step.wrapping_mul(0x9e37_79b9_7f4a_7c15)));
            let id = ids.next(Timestamp::from_ns(millis * 1_000_000), random);
            assert!(id > last, "{id} after {last}");
            assert_eq!((id.get_version_num(), id.get_variant()), (7, uuid::Variant::RFC4122));
            last = id;
        }
    }

    #[test]
    fn an_id_tells_its_time_and_keeps_its_random_bits() {
        let now = Timestamp::from_ns(0x0123_4567_89ab * 1_000_000 + 999_999);
        let id = OrderedIds::default().next(now, Uuid::from_u128(u128::MAX));
        assert_eq!(id.to_string(), "01234567-89ab-7000-83ff-ffffffffffff");
    }
}
