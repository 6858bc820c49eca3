//! Notifications out: persistent, and confirmed by the server before anybody is told that they were sent.

use std::collections::HashSet;
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::{BasicPublishOptions, ConfirmSelectOptions};
use lapin::{BasicProperties, Channel, Confirmation, Connection};
use nephometer_drivers::{BusMessage, Destination, MessageSink, NotSent};
use tokio::sync::Mutex;

use super::connect::{Connector, close};
use super::settings::{MessagingError, MessagingSettings};
use super::{envelope, topology};

/// So long the server may take to say that it keeps the messages of a call.
const CONFIRM_TIMEOUT: Duration = Duration::from_secs(30);
/// Delivery mode of messages that outlive a restart in a durable queue.
const PERSISTENT: u8 = 2;

/// A connection and what has been declared over it.
struct Line {
    connection: Connection,
    channel: Channel,
    declared: HashSet<Destination>,
}

/// Sends notifications over RabbitMQ; connects when there is something to send.
pub struct RabbitSink {
    connector: Connector,
    line: Mutex<Option<Line>>,
}

impl RabbitSink {
    /// A sink whose connection is called `name` at the server. Nothing is opened yet.
    ///
    /// # Errors
    /// Settings that cannot work.
    pub fn new(settings: &MessagingSettings, name: &str) -> Result<Self, MessagingError> {
        Ok(Self { connector: Connector::new(settings, name)?, line: Mutex::new(None) })
    }

    /// Ends the connection, if there is one.
    pub async fn close(&self) {
        if let Some(line) = self.line.lock().await.take() {
            close(&line.connection).await;
        }
    }

    async fn open(&self) -> Result<Line, NotSent> {
        let connection = self.connector.connect().await.map_err(NotSent)?;
        let channel = connection.create_channel().await.map_err(|error| not_sent(&error))?;
        channel.confirm_select(ConfirmSelectOptions::default()).await.map_err(|error| not_sent(&error))?;
        Ok(Line { connection, channel, declared: HashSet::new() })
    }
}

#[async_trait]
impl MessageSink for RabbitSink {
    async fn send(&self, destination: &Destination, messages: &[BusMessage]) -> Result<(), NotSent> {
        if messages.is_empty() {
            return Ok(());
        }
        let mut place = self.line.lock().await;
        // Taken, so that a call that fails or is given up leaves none whose state is unknown.
        let mut line = match place.take() {
            Some(line) if line.connection.status().connected() => line,
            _ => self.open().await?,
        };
        let sending = line.send(self.connector.settings(), destination, messages);
        match tokio::time::timeout(CONFIRM_TIMEOUT, sending).await {
            Ok(Ok(())) => {
                *place = Some(line);
                Ok(())
            }
            Ok(Err(error)) => Err(error),
            Err(_) => Err(NotSent(format!("no confirmation within {} s", CONFIRM_TIMEOUT.as_secs()))),
        }
    }
}

impl Line {
    async fn send(
        &mut self,
        settings: &MessagingSettings,
        destination: &Destination,
        messages: &[BusMessage],
    ) -> Result<(), NotSent> {
        let queue = topology::queue_name(&destination.topic, &destination.priority);
        if !self.declared.contains(destination) {
            topology::declare(&self.connection, settings, &destination.exchange, &queue)
                .await
                .map_err(|error| not_sent(&error))?;
            self.declared.insert(destination.clone());
        }
        let mut confirmations = Vec::with_capacity(messages.len());
        for message in messages {
            // A message for which there is no queue is handed back, not swallowed.
            let options = BasicPublishOptions { mandatory: true, ..BasicPublishOptions::default() };
            let properties = BasicProperties::default()
                .with_content_type("application/json".into())
                .with_content_encoding("utf-8".into())
                .with_delivery_mode(PERSISTENT)
                .with_priority(0);
            let (exchange, key) = (destination.exchange.as_str().into(), queue.as_str().into());
            let body = envelope::write(message);
            let published = self.channel.basic_publish(exchange, key, options, &body, properties);
            confirmations.push(published.await.map_err(|error| not_sent(&error))?);
        }
        for confirmation in confirmations {
            match confirmation.await.map_err(|error| not_sent(&error))? {
                Confirmation::Ack(None) => {}
                Confirmation::Ack(Some(_)) => return Err(NotSent(format!("there is no queue {queue}"))),
                _ => return Err(NotSent(format!("the server does not take messages for {queue}"))),
            }
        }
        Ok(())
    }
}

fn not_sent(error: &lapin::Error) -> NotSent {
    NotSent(error.to_string())
}
