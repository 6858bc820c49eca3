//! What is asked at intervals: the agent that plans cycles, discoveries that list what there is, pollsters that read it.
//!
//! A service: it stands on contracts of `drivers` and hands samples to a sink of `pipeline`; it knows no SQL and no object
//! store, so that hypervisors can run it slim. What is local to a host (libvirt, IPMI, commands) is asked from here.

mod cycle;
mod discovery;
pub mod libvirt;
mod pollster;

pub use cycle::Cycle;
pub use discovery::{Discovery, DiscoveryError, DiscoveryGroup, Resource, ResourceData};
pub use pollster::{PollError, Pollster, SampleOut};

use std::sync::Arc;

/// What a host or a cloud can be asked, as one part of this crate offers it to the agent.
#[derive(Default)]
pub struct Plugins {
    /// Ways to list what is polled.
    pub discoveries: Vec<Arc<dyn Discovery>>,
    /// Ways to read it.
    pub pollsters: Vec<Arc<dyn Pollster>>,
}
