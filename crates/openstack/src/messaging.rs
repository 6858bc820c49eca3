//! The cloud's message bus: notifications over RabbitMQ as oslo.messaging sends and receives them.
//!
//! [`RabbitSource`] and [`RabbitSink`] are made from [`MessagingSettings`]. Each keeps its own connection, tries the hosts of
//! the transport URL in turn and backs off between rounds. Exchanges and queues are declared as oslo.messaging declares them;
//! where they are there already in another form they are used as they are.

mod backoff;
mod connect;
mod envelope;
mod recent;
mod settings;
mod sink;
mod source;
mod topology;
mod transport;

pub use envelope::EnvelopeError;
pub use settings::{MessagingError, MessagingSettings};
pub use sink::RabbitSink;
pub use source::RabbitSource;
pub use transport::TransportUrlError;

/// Reads and writes bodies of messages, for fuzzing and for tests.
pub mod wire {
    pub use super::envelope::{read, write};
}
