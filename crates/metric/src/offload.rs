//! Long computations, kept away from the threads that serve requests.

use tokio::runtime::{Handle, RuntimeFlavor};
use tokio::task::block_in_place;

/// Work over more values (or bytes) than this takes long.
const LONG: usize = 200_000;

/// Runs `work`, which goes over `values` values or bytes. Where that takes long, other requests of the thread move to
/// another one meanwhile, if the runtime has several.
pub fn offload<T>(values: usize, work: impl FnOnce() -> T) -> T {
    let many_threads =
        || Handle::try_current().is_ok_and(|runtime| runtime.runtime_flavor() == RuntimeFlavor::MultiThread);
    if values > LONG && many_threads() { block_in_place(work) } else { work() }
}
