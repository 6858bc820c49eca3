//! Test harness: real servers on free ports, temporary places, faults. A dev-dependency only.

#[cfg(feature = "app")]
pub mod alarm_app;
#[cfg(feature = "app")]
pub mod app;
#[cfg(feature = "certificates")]
pub mod certificates;
#[cfg(feature = "keystone")]
pub mod keystone;
pub mod libvirt;
pub mod postgres;
pub mod rabbitmq;
#[cfg(any(feature = "app", feature = "keystone"))]
pub mod tokens;
