//! Notifications in: acknowledged after they were dealt with, never before.

use std::sync::atomic::{AtomicU64, Ordering};

use async_trait::async_trait;
use futures::future::Shared;
use futures::{FutureExt, StreamExt};
use lapin::message::Delivery;
use lapin::options::{BasicAckOptions, BasicConsumeOptions, BasicQosOptions, BasicRejectOptions};
use lapin::types::FieldTable;
use lapin::{Channel, Connection, Consumer};
use nephometer_drivers::{
    BusCounts, BusMessage, MessageHandler, MessageSource, NotHandled, Subscription, UntilStopped,
};

use super::backoff::Backoff;
use super::connect::{Connector, close};
use super::recent::Recent;
use super::settings::{MessagingError, MessagingSettings};
use super::{envelope, topology};

/// So many messages are known again when they come a second time: more than can be unacknowledged at once.
const REMEMBERED: usize = 4096;

type Stop = Shared<UntilStopped>;

/// Receives notifications over RabbitMQ.
pub struct RabbitSource {
    connector: Connector,
    handled: AtomicU64,
    dropped: AtomicU64,
    repeated: AtomicU64,
    interruptions: AtomicU64,
}

/// Who takes what, until when.
struct Listening<'a> {
    subscription: &'a Subscription,
    handler: &'a dyn MessageHandler,
    stop: Stop,
    recent: Recent,
    backoff: Backoff,
}

/// Why a connection is not used any longer.
enum End {
    /// It is time to stop.
    Stopped,
    /// It broke.
    Broken(String),
}

impl From<lapin::Error> for End {
    fn from(error: lapin::Error) -> Self {
        Self::Broken(error.to_string())
    }
}

impl RabbitSource {
    /// A source whose connections are called `name` at the server. Nothing is opened yet.
    ///
    /// # Errors
    /// Settings that cannot work.
    pub fn new(settings: &MessagingSettings, name: &str) -> Result<Self, MessagingError> {
        Ok(Self {
            connector: Connector::new(settings, name)?,
            handled: AtomicU64::new(0),
            dropped: AtomicU64::new(0),
            repeated: AtomicU64::new(0),
            interruptions: AtomicU64::new(0),
        })
    }

    /// Listens over one connection until it ends.
    async fn session(&self, listening: &mut Listening<'_>) -> End {
        let connected = tokio::select! {
            () = listening.stop.clone() => return End::Stopped,
            connected = self.connector.connect() => connected,
        };
        let connection = match connected {
            Ok(connection) => connection,
            Err(error) => return End::Broken(error),
        };
        let end = match self.consume(&connection, listening).await {
            Ok(never) => match never {},
            Err(end) => end,
        };
        // What was handed out and not acknowledged goes back to the queue.
        close(&connection).await;
        end
    }

    async fn consume(
        &self,
        connection: &Connection,
        listening: &mut Listening<'_>,
    ) -> Result<std::convert::Infallible, End> {
        let (channel, mut consumer) = self.subscribe(connection, listening.subscription).await?;
        listening.backoff.reset();
        loop {
            let first = tokio::select! {
                () = listening.stop.clone() => return Err(End::Stopped),
                next = consumer.next() => next,
            };
            let first =
                first.ok_or_else(|| End::Broken("the server has ended the subscription".to_owned()))??;
            let mut deliveries = vec![first];
            while deliveries.len() < usize::from(listening.subscription.batch.max(1))
                && let Some(Some(next)) = consumer.next().now_or_never()
            {
                deliveries.push(next?);
            }
            self.deal_with(&channel, deliveries, listening).await?;
        }
    }

    async fn subscribe(
        &self,
        connection: &Connection,
        subscription: &Subscription,
    ) -> lapin::Result<(Channel, Consumer)> {
        let settings = self.connector.settings();
        let queue = topology::queue_name(&subscription.topic, &subscription.priority);
        for exchange in &subscription.exchanges {
            topology::declare(connection, settings, exchange, &queue).await?;
        }
        let channel = connection.create_channel().await?;
        let prefetch = settings.rabbit_qos_prefetch_count.max(subscription.batch);
        channel.basic_qos(prefetch, BasicQosOptions::default()).await?;
        let (options, arguments) = (BasicConsumeOptions::default(), FieldTable::default());
        let consumer = channel.basic_consume(queue.as_str().into(), "".into(), options, arguments).await?;
        Ok((channel, consumer))
    }

    /// Reads, hands over, acknowledges.
    async fn deal_with(
        &self,
        channel: &Channel,
        deliveries: Vec<Delivery>,
        listening: &mut Listening<'_>,
    ) -> Result<(), End> {
        let mut messages = Vec::with_capacity(deliveries.len());
        let mut last = None;
        for delivery in deliveries {
            match read(&delivery) {
                Ok(message) => {
                    last = Some(delivery.delivery_tag);
                    if listening.recent.holds(&message.unique_id) {
                        self.repeated.fetch_add(1, Ordering::Relaxed);
                    } else {
                        messages.push(message);
                    }
                }
                Err(error) => {
                    let queue = delivery.routing_key.as_str();
                    tracing::warn!(queue, error, "message bus: a message that nobody can read is dropped");
                    delivery.reject(BasicRejectOptions { requeue: false }).await?;
                    self.dropped.fetch_add(1, Ordering::Relaxed);
                }
            }
        }
        if !messages.is_empty() {
            listening.hand_over(&messages).await?;
            messages.iter().for_each(|message| listening.recent.add(&message.unique_id));
            self.handled.fetch_add(messages.len() as u64, Ordering::Relaxed);
        }
        if let Some(tag) = last {
            // All up to this one: those in between were dealt with or rejected.
            channel.basic_ack(tag, BasicAckOptions { multiple: true }).await?;
        }
        Ok(())
    }
}

impl Listening<'_> {
    /// Hands messages over until that succeeds. Meanwhile they stay unacknowledged, so that the server keeps them.
    async fn hand_over(&self, messages: &[BusMessage]) -> Result<(), End> {
        let mut backoff = Backoff::new();
        loop {
            let Err(NotHandled(reason)) = self.handler.handle(messages).await else { return Ok(()) };
            let (pause, topic) = (backoff.pause(), &self.subscription.topic);
            tracing::warn!(
                topic,
                messages = messages.len(),
                reason,
                ?pause,
                "message bus: not handled, again later"
            );
            tokio::select! {
                () = self.stop.clone() => return Err(End::Stopped),
                () = tokio::time::sleep(pause) => {}
            }
        }
    }
}

fn read(delivery: &Delivery) -> Result<BusMessage, String> {
    let compression = delivery
        .properties
        .headers()
        .as_ref()
        .and_then(|headers| headers.inner().get("compression"))
        .filter(|value| !matches!(value, lapin::types::AMQPValue::Void));
    if compression.is_some() {
        return Err("it is compressed (kombu_compression), which is not understood".to_owned());
    }
    envelope::read(&delivery.data).map_err(|error| error.to_string())
}

#[async_trait]
impl MessageSource for RabbitSource {
    async fn listen(&self, subscription: &Subscription, handler: &dyn MessageHandler, stop: UntilStopped) {
        let (recent, backoff) = (Recent::new(REMEMBERED), Backoff::new());
        let mut listening = Listening { subscription, handler, stop: stop.shared(), recent, backoff };
        while let End::Broken(reason) = self.session(&mut listening).await {
            self.interruptions.fetch_add(1, Ordering::Relaxed);
            let (pause, topic) = (listening.backoff.pause(), &subscription.topic);
            tracing::warn!(topic, reason, ?pause, "message bus: interrupted");
            tokio::select! {
                () = listening.stop.clone() => return,
                () = tokio::time::sleep(pause) => {}
            }
        }
    }

    fn counts(&self) -> BusCounts {
        BusCounts {
            handled: self.handled.load(Ordering::Relaxed),
            dropped: self.dropped.load(Ordering::Relaxed),
            repeated: self.repeated.load(Ordering::Relaxed),
            interruptions: self.interruptions.load(Ordering::Relaxed),
        }
    }
}
