//! Exchanges, queues and bindings as oslo.messaging makes them: a topic exchange of the sender, a queue named after topic
//! and priority, bound by its own name.

use lapin::options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions};
use lapin::types::{AMQPValue, FieldTable};
use lapin::{Channel, Connection, ExchangeKind};

use super::settings::MessagingSettings;

/// The server's answer to a declaration of what is there already in another form.
const PRECONDITION_FAILED: u16 = 406;

/// The queue, and the routing key, of a topic and a priority.
pub(super) fn queue_name(topic: &str, priority: &str) -> String {
    format!("{topic}.{priority}").to_lowercase()
}

/// Sees to it that the exchange, the queue and their binding are there.
pub(super) async fn declare(
    connection: &Connection,
    settings: &MessagingSettings,
    exchange: &str,
    queue: &str,
) -> lapin::Result<()> {
    // Channels of their own, because the server closes a channel over which it refuses something.
    let declared = declare_exchange(&connection.create_channel().await?, settings, exchange, false).await;
    or_as_it_is(declared, async || {
        tracing::info!(exchange, "message bus: the exchange is there in another form and used as it is");
        declare_exchange(&connection.create_channel().await?, settings, exchange, true).await
    })
    .await?;
    let declared = declare_queue(&connection.create_channel().await?, settings, queue, false).await;
    or_as_it_is(declared, async || {
        tracing::info!(queue, "message bus: the queue is there in another form and used as it is");
        declare_queue(&connection.create_channel().await?, settings, queue, true).await
    })
    .await?;
    let channel = connection.create_channel().await?;
    let (options, arguments) = (QueueBindOptions::default(), FieldTable::default());
    channel.queue_bind(queue.into(), exchange.into(), queue.into(), options, arguments).await?;
    channel.close(200, "declared".into()).await
}

async fn or_as_it_is(
    declared: lapin::Result<()>,
    passively: impl AsyncFnOnce() -> lapin::Result<()>,
) -> lapin::Result<()> {
    match declared {
        Err(error) if refusal(&error) == Some(PRECONDITION_FAILED) => passively().await,
        other => other,
    }
}

/// The code with which the server has refused.
fn refusal(error: &lapin::Error) -> Option<u16> {
    match error.kind() {
        lapin::ErrorKind::ProtocolError(error) => Some(error.get_id()),
        _ => None,
    }
}

async fn declare_exchange(
    channel: &Channel,
    settings: &MessagingSettings,
    exchange: &str,
    passive: bool,
) -> lapin::Result<()> {
    let options = ExchangeDeclareOptions {
        passive,
        durable: settings.durable(),
        auto_delete: settings.amqp_auto_delete,
        ..ExchangeDeclareOptions::default()
    };
    channel.exchange_declare(exchange.into(), ExchangeKind::Topic, options, FieldTable::default()).await?;
    channel.close(200, "declared".into()).await
}

async fn declare_queue(
    channel: &Channel,
    settings: &MessagingSettings,
    queue: &str,
    passive: bool,
) -> lapin::Result<()> {
    let options = QueueDeclareOptions {
        passive,
        durable: settings.durable(),
        auto_delete: settings.amqp_auto_delete,
        ..QueueDeclareOptions::default()
    };
    let mut arguments = FieldTable::default();
    if settings.rabbit_quorum_queue {
        arguments.insert("x-queue-type".into(), AMQPValue::LongString("quorum".into()));
    }
    channel.queue_declare(queue.into(), options, arguments).await?;
    channel.close(200, "declared".into()).await
}
