//! How long is waited between attempts.

use std::hash::{BuildHasher as _, RandomState};
use std::time::Duration;

/// The first pause.
const FIRST: Duration = Duration::from_millis(200);
/// The longest pause.
const LONGEST: Duration = Duration::from_secs(15);

/// Pauses that double up to a limit.
#[derive(Debug)]
pub(super) struct Backoff(Duration);

impl Backoff {
    /// Begins with the shortest pause.
    pub(super) const fn new() -> Self {
        Self(FIRST)
    }

    /// After a success.
    pub(super) const fn reset(&mut self) {
        self.0 = FIRST;
    }

    /// The next pause: between half of it and all of it, so that many who lost the same server do not return at once.
    pub(super) fn pause(&mut self) -> Duration {
        let whole = self.0;
        self.0 = (whole * 2).min(LONGEST);
        // Each state of this kind hashes by keys of its own.
        let spread = u32::try_from(RandomState::new().hash_one(0) % 256).unwrap_or_default();
        whole / 2 + whole / 2 * spread / 255
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn doubles_up_to_the_limit_and_starts_anew() {
        let mut backoff = Backoff::new();
        let mut whole = FIRST;
        for _ in 0..12 {
            let pause = backoff.pause();
            assert!(pause >= whole / 2 && pause <= whole, "{pause:?} of {whole:?}");
            whole = (whole * 2).min(LONGEST);
        }
        assert_eq!(whole, LONGEST);
        backoff.reset();
        assert!(backoff.pause() <= FIRST);
    }
}
