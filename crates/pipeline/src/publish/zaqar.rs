//! `zaqar://`: a message for each sample in a queue of Zaqar.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{DeliveryFailure, MessageQueues, QueueAccess, QueueMessage};
use nephometer_model::Sample;
use serde_json::{Value, json};
use xxhash_rust::xxh3::xxh3_128;

use super::address::Address;
use crate::{PublishError, Publisher};

/// See the module.
pub(super) struct ZaqarPublisher {
    name: String,
    queues: Arc<dyn MessageQueues>,
    queue: String,
    ttl_seconds: i64,
}

impl ZaqarPublisher {
    pub(super) fn new(address: &mut Address, queues: Arc<dyn MessageQueues>) -> Result<Self, String> {
        let name = address.to_string();
        let queue = address.take("queue").filter(|queue| !queue.is_empty());
        let queue = queue.ok_or("Must specify a queue in the zaqar publisher")?;
        let ttl_seconds = address.take_number("ttl", 3600)?;
        Ok(Self { name, queues, queue, ttl_seconds })
    }
}

#[async_trait]
impl Publisher for ZaqarPublisher {
    fn target(&self) -> &str {
        &self.name
    }

    fn at_once(&self) -> usize {
        1
    }

    async fn publish(&self, samples: &[Sample]) -> Result<(), PublishError> {
        for sample in samples {
            let id = xxh3_128(sample.id.as_bytes()).to_be_bytes();
            let message = QueueMessage {
                id: uuid::Builder::from_random_bytes(id).into_uuid(),
                queue: self.queue.clone(),
                access: QueueAccess::Service,
                body: json!({"body": Value::Object(sample.to_map()), "ttl": self.ttl_seconds}),
                subscribers: Vec::new(),
                ttl_seconds: self.ttl_seconds,
            };
            self.queues.post(message).await.map_err(|failure| match failure {
                DeliveryFailure::Later { reason, .. } => PublishError::Later(reason),
                DeliveryFailure::Final(reason) => PublishError::Refused(reason),
            })?;
        }
        Ok(())
    }
}
