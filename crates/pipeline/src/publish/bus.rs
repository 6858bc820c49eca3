//! Samples as notifications on the message bus: `notifier://`, and what polling agents send to notification agents.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{BusMessage, Destination, MessageSink};
use nephometer_model::{Clock, Sample, Timestamp};
use serde_json::{Map, Value, json};
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::address::Address;
use crate::message::to_message;
use crate::signature::Signer;
use crate::{PublishError, Publisher};

/// Samples of one message.
const OF_MESSAGE: usize = 100;
/// All of it goes by this priority.
const PRIORITY: &str = "SAMPLE";

/// How samples stand in a message.
enum Form {
    /// `notifier://`: the payload is a list of samples.
    Notifier {
        /// Whether a message for each meter follows, whose event type ends in its name.
        per_meter_topic: bool,
    },
    /// A polling agent's: the payload has a list `samples`.
    Polling,
}

/// See the module. Messages that are sent again have the ids that they had.
pub(super) struct BusPublisher {
    name: String,
    sink: Arc<dyn MessageSink>,
    exchange: String,
    topics: Vec<String>,
    publisher_id: String,
    event_type: String,
    form: Form,
    /// Whether samples that cannot be sent are given up.
    drops: bool,
    signer: Arc<Signer>,
    clock: Arc<dyn Clock>,
}

/// What publishers over the bus have in common.
pub(super) struct BusParts {
    pub(super) sink: Arc<dyn MessageSink>,
    pub(super) exchange: String,
    pub(super) signer: Arc<Signer>,
    pub(super) clock: Arc<dyn Clock>,
}

impl BusPublisher {
    /// `notifier://`; `host` is this machine's name.
    pub(super) fn notifier(
        address: &mut Address,
        parts: BusParts,
        host: &str,
        metering_topic: &str,
    ) -> Result<Self, String> {
        let name = address.to_string();
        let mut topics = address.take_all("topic");
        if topics.is_empty() {
            topics.push(metering_topic.to_owned());
        }
        let per_meter_topic = address.take_flag("per_meter_topic", false)?;
        let drops = match address.take("policy").as_deref().unwrap_or("default") {
            "drop" => true,
            // Both keep samples until they are sent: here on the spool, which has bounds of its own.
            "default" | "queue" => false,
            other => {
                tracing::warn!(
                    publisher = name,
                    policy = other,
                    "Publishing policy is unknown, using default"
                );
                false
            }
        };
        for option in ["driver", "max_queue_length", "max_retry"] {
            address.take(option);
        }
        let BusParts { sink, exchange, signer, clock } = parts;
        let publisher_id = format!("telemetry.publisher.{host}");
        let (event_type, form) = (metering_topic.to_owned(), Form::Notifier { per_meter_topic });
        Ok(Self { name, sink, exchange, topics, publisher_id, event_type, form, drops, signer, clock })
    }

    /// What a polling agent sends to `topics`, for notification agents.
    pub(super) fn polling(parts: BusParts, topics: Vec<String>) -> Self {
        let BusParts { sink, exchange, signer, clock } = parts;
        Self {
            name: format!("polling agent's notifications to {}", topics.join(", ")),
            sink,
            exchange,
            topics,
            publisher_id: "ceilometer.polling".to_owned(),
            event_type: "telemetry.polling".to_owned(),
            form: Form::Polling,
            drops: false,
            signer,
            clock,
        }
    }

    fn messages(&self, samples: &[Sample]) -> Vec<BusMessage> {
        let timestamp = bus_time(self.clock.now());
        let mut messages = Vec::new();
        for part in samples.chunks(OF_MESSAGE) {
            let ids: Vec<&str> = part.iter().map(|sample| &*sample.id).collect();
            let list: Vec<_> =
                part.iter().map(|sample| Value::Object(to_message(sample, None, &self.signer))).collect();
            match self.form {
                Form::Polling => {
                    messages.push(self.message(&self.event_type, json!({"samples": list}), &ids, &timestamp));
                }
                Form::Notifier { per_meter_topic } => {
                    let per_meter = if per_meter_topic { meters(part) } else { Vec::new() };
                    let per_meter: Vec<_> = per_meter
                        .into_iter()
                        .map(|meter| self.of_meter(meter, part, &list, &timestamp))
                        .collect();
                    messages.push(self.message(&self.event_type, Value::Array(list), &ids, &timestamp));
                    messages.extend(per_meter);
                }
            }
        }
        messages
    }

    /// The samples of one meter once more.
    fn of_meter(&self, meter: &str, part: &[Sample], list: &[Value], timestamp: &str) -> BusMessage {
        let own = part.iter().zip(list).filter(|(sample, _)| &*sample.name == meter);
        let (ids, payload): (Vec<&str>, Vec<Value>) =
            own.map(|(sample, message)| (&*sample.id, message.clone())).unzip();
        let event_type = format!("{}.{meter}", self.event_type);
        self.message(&event_type, Value::Array(payload), &ids, timestamp)
    }

    fn message(&self, event_type: &str, payload: Value, ids: &[&str], timestamp: &str) -> BusMessage {
        let told = format!("{event_type} {}", ids.join(" "));
        let id = |seed: u64| {
            let bytes = xxh3_128_with_seed(told.as_bytes(), seed).to_be_bytes();
            uuid::Builder::from_random_bytes(bytes).into_uuid()
        };
        BusMessage {
            message_id: id(0).to_string(),
            unique_id: id(1).simple().to_string(),
            publisher_id: self.publisher_id.clone(),
            event_type: event_type.to_owned(),
            priority: PRIORITY.to_owned(),
            timestamp: timestamp.to_owned(),
            context: Map::new(),
            payload,
        }
    }
}

/// Names of meters in the order in which they are first met.
fn meters(samples: &[Sample]) -> Vec<&str> {
    let mut meters: Vec<&str> = Vec::new();
    for sample in samples {
        if !meters.contains(&&*sample.name) {
            meters.push(&sample.name);
        }
    }
    meters
}

/// A time as notifications have it: `2026-01-02 03:04:05.678901`.
fn bus_time(time: Timestamp) -> String {
    let text = time.isoformat().replacen('T', " ", 1);
    let text = text.trim_end_matches("+00:00");
    if text.contains('.') { text.to_owned() } else { format!("{text}.000000") }
}

#[async_trait]
impl Publisher for BusPublisher {
    fn target(&self) -> &str {
        &self.name
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        let messages = self.messages(samples);
        for topic in &self.topics {
            let (exchange, topic) = (self.exchange.clone(), topic.clone());
            let destination = Destination { exchange, topic, priority: PRIORITY.to_ascii_lowercase() };
            match self.sink.send(&destination, &messages).await {
                Ok(()) => {}
                Err(error) if self.drops => {
                    let count = samples.len();
                    tracing::warn!(publisher = self.name, %error, count, "samples are dropped, as the policy says");
                }
                Err(error) => return Err(PublishError::Later(error.to_string())),
            }
        }
        Ok(())
    }
}
