//! Publishers: samples to one target each, by upstream's addresses.

mod address;
mod bus;
mod client;
mod factory;
mod file;
mod gnocchi;
mod http;
mod memory;
mod otlp;
mod plain;
mod prometheus;
mod settings;
mod sockets;
mod spooled;
mod zaqar;

pub use factory::{AbandonedSpool, OpenBus, PublisherError, PublisherFactory, PublisherParts};
pub use gnocchi::{GnocchiOptions, GnocchiPublisher, ProjectFilter, ProjectToFilter};
pub use memory::MemoryPublisher;
pub use settings::PublisherSettings;
pub use spooled::{PublisherCounts, SpooledPublisher};
