//! Services of the cloud: Gnocchi, Prometheus and Octavia that alarms read, Gnocchi that publishers write, Zaqar, Heat and
//! trusts that they tell; all those that pollsters list.
//!
//! Each is a contract of `drivers` over a [`Session`](crate::keystone::Session): addresses come from its catalogue,
//! tokens from its sign-in, repetitions from its transport.

mod cloud;
mod failure;
mod gnocchi;
mod heat;
mod octavia;
mod prometheus;
mod promql;
mod trusts;
mod zaqar;

pub use cloud::{CloudPace, CloudSession};
pub use gnocchi::{GnocchiApi, GnocchiReader, GnocchiWriter};
pub use heat::HeatStacks;
pub use octavia::OctaviaPools;
pub use prometheus::{PrometheusAddress, PrometheusAddressError, PrometheusHttp};
pub use promql::{PromqlError, narrow};
pub use trusts::TrustSessions;
pub use zaqar::ZaqarQueues;
