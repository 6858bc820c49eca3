//! Publishers: samples to one target each, by upstream's addresses.

mod address;
mod factory;
mod gnocchi;
mod settings;
mod spooled;

pub use factory::{AbandonedSpool, PublisherError, PublisherFactory, PublisherParts};
pub use gnocchi::{GnocchiOptions, GnocchiPublisher, ProjectFilter, ProjectToFilter};
pub use settings::PublisherSettings;
pub use spooled::{PublisherCounts, SpooledPublisher};
