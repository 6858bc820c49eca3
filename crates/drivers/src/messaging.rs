//! Notifications on the cloud's message bus, in and out, without the bus: services say what they want to hear and what they
//! have to say.

use std::future::Future;
use std::pin::Pin;

use async_trait::async_trait;
use serde_json::{Map, Value};

/// A notification as OpenStack's services send them.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct BusMessage {
    /// Names what is told: the same wherever and however often it is sent.
    pub message_id: String,
    /// Names this sending of it; empty where the sender gave none.
    pub unique_id: String,
    /// Who tells it.
    pub publisher_id: String,
    /// What kind of thing happened.
    pub event_type: String,
    /// How urgent it is, in capitals: `SAMPLE`, `INFO`.
    pub priority: String,
    /// When, UTC: `2026-01-02 03:04:05.678901`.
    pub timestamp: String,
    /// On whose behalf: the request's context, by names without prefix.
    pub context: Map<String, Value>,
    /// What happened.
    pub payload: Value,
}

/// Where notifications of one kind go: an exchange, and the topic and priority that make up the name of their queue.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Destination {
    /// The sender's exchange (oslo's control exchange).
    pub exchange: String,
    /// The topic, `alarm.all`.
    pub topic: String,
    /// The priority in small letters, `sample`.
    pub priority: String,
}

/// What a service wants to hear.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subscription {
    /// The topic, `alarm.all`.
    pub topic: String,
    /// The priority in small letters, `sample`.
    pub priority: String,
    /// The exchanges whose notifications of that topic and priority are meant; they share one queue.
    pub exchanges: Vec<String>,
    /// Most messages that are handed over at once; those that are there are not waited with for others.
    pub batch: u16,
}

/// Messages could not be dealt with for a reason that may pass.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0}")]
pub struct NotHandled(pub String);

/// Takes messages from a [`MessageSource`].
#[async_trait]
pub trait MessageHandler: Send + Sync {
    /// Deals with messages in their order. They are acknowledged once this has returned without error, and never before.
    /// After an error they are handed over again, all of them; messages that no repetition makes better are the
    /// handler's to tell of and to leave. The same message may come more than once.
    async fn handle(&self, messages: &[BusMessage]) -> Result<(), NotHandled>;
}

/// Ready when the one who waits is to stop.
pub type UntilStopped = Pin<Box<dyn Future<Output = ()> + Send>>;

/// Where notifications come from.
#[async_trait]
pub trait MessageSource: Send + Sync {
    /// Hands over what comes in until `stop` is ready: what was handed over then is still finished, what was not goes back
    /// to the bus. A bus that is away is waited for.
    async fn listen(&self, subscription: &Subscription, handler: &dyn MessageHandler, stop: UntilStopped);

    /// What has come in so far, over all subscriptions.
    fn counts(&self) -> BusCounts;
}

/// What has come over a bus since the process started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct BusCounts {
    /// Messages that were dealt with and acknowledged.
    pub handled: u64,
    /// Messages that nobody can read: dropped.
    pub dropped: u64,
    /// Repetitions of what had been dealt with.
    pub repeated: u64,
    /// How often a connection broke or could not be made.
    pub interruptions: u64,
}

/// Not known to be on the bus: they may be sent again.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the message bus: {0}")]
pub struct NotSent(pub String);

/// Where notifications go to.
#[async_trait]
pub trait MessageSink: Send + Sync {
    /// Sends messages in their order to a destination, whose queue is made if it is not there. Returns once the bus has
    /// said that it keeps them all; after an error it may keep some of them.
    async fn send(&self, destination: &Destination, messages: &[BusMessage]) -> Result<(), NotSent>;
}
