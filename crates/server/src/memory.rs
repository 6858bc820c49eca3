//! The allocator of the whole program, and when it gives memory back to the system.

use std::ffi::{c_int, c_long};

#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

/// mimalloc's number (`mi_option_purge_delay`) of how long it keeps what is free, in milliseconds.
const PURGE_DELAY: c_int = 15;
/// What keeps a polling agent's memory that of a cycle's work at any one time, not that of the whole cycle; less costs CPU.
const SOON_MS: c_long = 10;

#[expect(unsafe_code, reason = "mimalloc's options have no wrapper; these functions take any numbers")]
unsafe extern "C" {
    /// Sets an option, unless the environment (`MIMALLOC_PURGE_DELAY`) has.
    safe fn mi_option_set_default(option: c_int, value: c_long);
    #[cfg(test)]
    safe fn mi_option_get(option: c_int) -> c_long;
}

/// For processes that work for a moment and wait then: what they have freed goes back at once, not at the next work.
pub(crate) fn give_back_soon() {
    mi_option_set_default(PURGE_DELAY, SOON_MS);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_number_is_that_of_the_option() {
        assert_eq!(mi_option_get(PURGE_DELAY), 1000, "its default");
        give_back_soon();
        assert_eq!(mi_option_get(PURGE_DELAY), SOON_MS);
    }
}
