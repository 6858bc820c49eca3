//! Machines over SNMP: processors, memory, disks and interfaces (`hardware.*`, spec ceilometer-v2 7.1). Machines are
//! resources of polling.yaml: `snmp://[user[:password]@]host[:port][?options]`.

mod address;
mod client;
mod pollster;
mod table;

use std::sync::Arc;

use crate::{Plugins, Pollster};

pub use address::{SnmpAddress, SnmpAddressError};

/// The meters of machines.
pub fn plugins() -> Plugins {
    let pollsters =
        table::rows().into_iter().map(|row| Arc::new(pollster::Hardware::new(row)) as Arc<dyn Pollster>);
    Plugins { pollsters: pollsters.collect(), ..Plugins::default() }
}
