//! Services of the cloud that alarms use: Gnocchi, Prometheus and Octavia to read, Zaqar, Heat and trusts to tell.
//!
//! Each is a contract of `drivers` over a [`Session`](crate::keystone::Session): addresses come from its catalogue,
//! tokens from its sign-in, repetitions from its transport.

mod failure;
mod gnocchi;
mod heat;
mod octavia;
mod prometheus;
mod promql;
mod trusts;
mod zaqar;

pub use gnocchi::GnocchiReader;
pub use heat::HeatStacks;
pub use octavia::OctaviaPools;
pub use prometheus::{PrometheusAddress, PrometheusAddressError, PrometheusHttp};
pub use promql::{PromqlError, narrow};
pub use trusts::TrustSessions;
pub use zaqar::ZaqarQueues;
