//! What is asked at intervals: the agent that plans cycles, discoveries that list what there is, pollsters that read it.
//!
//! A service: it stands on contracts of `drivers` and hands samples to a sink of `pipeline`; it knows no SQL and no object
//! store, so that hypervisors can run it slim. What is local to a host (libvirt, IPMI, commands) is asked from here.

mod agent;
mod blacklist;
pub mod central;
pub mod compute;
mod config;
mod cycle;
mod discovery;
mod division;
pub mod dynamic;
mod exporter;
#[cfg(test)]
mod fakes;
mod heartbeat;
pub mod ipmi;
pub mod libvirt;
mod local_node;
mod names;
mod plan;
mod pollster;
mod pool;
mod round;
mod schedule;
pub mod snmp;
mod stamp;
mod tally;

pub use agent::{Agent, AgentHandle, AgentParts, AgentSettings};
pub use blacklist::BlacklistSettings;
pub use config::{PollingConfig, PollingConfigError, PollingSource};
pub use cycle::Cycle;
pub use discovery::{Discovery, DiscoveryError, DiscoveryGroup, Resource, ResourceData};
pub use division::{Division, LEASE};
pub use exporter::{Exporter, TEXT_FORMAT};
pub use heartbeat::Heartbeat;
pub use local_node::LocalNode;
pub use names::IdentityNames;
pub use plan::{FoundBy, Namespace, Plan, Reader, SourcePlan, TaskPlan};
pub use pollster::{PollError, Pollster, SampleOut};
pub use round::PollOutcome;
pub use schedule::Schedule;
pub use tally::{AgentStatus, PollsterKey, PollsterTally, TaskTally};

use std::sync::Arc;

/// What a host or a cloud can be asked, as one part of this crate offers it to the agent.
#[derive(Default)]
pub struct Plugins {
    /// Ways to list what is polled.
    pub discoveries: Vec<Arc<dyn Discovery>>,
    /// Ways to read it.
    pub pollsters: Vec<Arc<dyn Pollster>>,
}
