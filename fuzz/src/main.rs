//! One program for all targets: `FUZZ_TARGET` chooses, the arguments are libFuzzer's. `./test fuzz` builds it with the
//! instrumentation that libFuzzer wants (stable Rust can) and runs each target over `seeds/<target>` for some seconds.
//! A panic, an overflow, too much memory and too much time are findings; libFuzzer writes the input that caused one to
//! the current directory, and `FUZZ_TARGET=… fuzz FILE` repeats it.

#![no_main]

mod log;
mod promql;
mod targets;

use std::sync::LazyLock;

use targets::TARGETS;

/// What `FUZZ_TARGET` names.
static TARGET: LazyLock<fn(&[u8])> = LazyLock::new(|| {
    let wanted = std::env::var("FUZZ_TARGET").unwrap_or_default();
    let found = TARGETS.iter().find(|(name, _)| *name == wanted);
    match found {
        Some((_, target)) => *target,
        None => {
            let names: Vec<_> = TARGETS.iter().map(|(name, _)| *name).collect();
            eprintln!("FUZZ_TARGET must be one of: {}", names.join(" "));
            std::process::exit(2);
        }
    }
});

libfuzzer_sys::fuzz_target!(|data: &[u8]| TARGET(data));
