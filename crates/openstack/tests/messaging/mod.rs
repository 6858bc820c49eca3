//! What tests of the message bus share: a store that may refuse, messages, waiting.

pub(crate) mod upstream;

use std::collections::HashSet;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use lapin::options::BasicPublishOptions;
use lapin::{BasicProperties, Connection, ConnectionProperties};
use nephometer_drivers::{
    BusMessage, Destination, MessageHandler, MessageSink, MessageSource, NotHandled, Subscription,
};
use nephometer_model::Secret;
use nephometer_openstack::messaging::{MessagingSettings, RabbitSink, RabbitSource};
use nephometer_testkit::rabbitmq::Rabbitmq;
use parking_lot::Mutex;
use serde_json::json;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Keeps what it is given, after it has refused some times.
#[derive(Default)]
pub(crate) struct Store {
    kept: Mutex<Vec<BusMessage>>,
    refusals_left: AtomicU32,
    refused: AtomicU32,
}

impl Store {
    pub(crate) fn refusing(times: u32) -> Self {
        Self { refusals_left: AtomicU32::new(times), ..Self::default() }
    }

    pub(crate) fn refusals(&self) -> u32 {
        self.refused.load(Ordering::SeqCst)
    }

    pub(crate) fn len(&self) -> usize {
        self.kept.lock().len()
    }

    pub(crate) fn get(&self, at: usize) -> BusMessage {
        self.kept.lock()[at].clone()
    }

    pub(crate) fn numbers(&self) -> Vec<u64> {
        self.kept.lock().iter().map(|message| message.payload["n"].as_u64().unwrap()).collect()
    }

    /// The numbers of these ranges that are not kept.
    pub(crate) fn missing(&self, ranges: &[Range<u64>]) -> String {
        let kept: HashSet<u64> = self.numbers().into_iter().collect();
        let missing: Vec<u64> = ranges.iter().flat_map(Clone::clone).filter(|n| !kept.contains(n)).collect();
        format!("missing {}: {:?}", missing.len(), &missing[..missing.len().min(20)])
    }

    pub(crate) fn distinct(&self) -> usize {
        self.numbers().into_iter().collect::<HashSet<_>>().len()
    }
}

#[async_trait]
impl MessageHandler for Store {
    async fn handle(&self, messages: &[BusMessage]) -> Result<(), NotHandled> {
        let less = |left: u32| left.checked_sub(1);
        if self.refusals_left.fetch_update(Ordering::SeqCst, Ordering::SeqCst, less).is_ok() {
            self.refused.fetch_add(1, Ordering::SeqCst);
            return Err(NotHandled("the store is away".to_owned()));
        }
        self.kept.lock().extend_from_slice(messages);
        Ok(())
    }
}

/// A source that listens.
pub(crate) struct Listening {
    pub(crate) source: Arc<RabbitSource>,
    stop: oneshot::Sender<()>,
    task: JoinHandle<()>,
}

impl Listening {
    pub(crate) async fn stop(self) {
        self.stop.send(()).unwrap();
        tokio::time::timeout(Duration::from_secs(10), self.task).await.unwrap().unwrap();
    }
}

pub(crate) fn listen(source: RabbitSource, subscription: Subscription, store: &Arc<Store>) -> Listening {
    let (source, store) = (Arc::new(source), Arc::clone(store));
    let (stop, stopped) = oneshot::channel();
    let listening = Arc::clone(&source);
    let task = tokio::spawn(async move {
        let stop = Box::pin(async { drop(stopped.await) });
        listening.listen(&subscription, store.as_ref(), stop).await;
    });
    Listening { source, stop, task }
}

pub(crate) fn settings(node: &Rabbitmq) -> MessagingSettings {
    MessagingSettings { transport_url: Secret::new(node.transport_url()), ..MessagingSettings::default() }
}

pub(crate) fn message(id: &str, number: u64) -> BusMessage {
    BusMessage {
        message_id: id.to_owned(),
        unique_id: id.to_owned(),
        publisher_id: "test".to_owned(),
        event_type: "test.sent".to_owned(),
        priority: "SAMPLE".to_owned(),
        timestamp: "2026-01-02 03:04:05.678901".to_owned(),
        payload: json!({"n": number}),
        ..BusMessage::default()
    }
}

/// Sends messages of these numbers, each again until the server has confirmed it.
pub(crate) async fn send_all(settings: MessagingSettings, destination: Destination, numbers: Range<u64>) {
    let sink = RabbitSink::new(&settings, "sender").unwrap();
    for number in numbers {
        while sink.send(&destination, &[message(&format!("s{number}"), number)]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Puts any bytes on an exchange.
pub(crate) async fn publish_raw(node: &Rabbitmq, exchange: &str, key: &str, body: &[u8]) {
    let url = format!("amqp://guest:guest@127.0.0.1:{}/%2f", node.port());
    let connection = Connection::connect(&url, ConnectionProperties::default()).await.unwrap();
    let channel = connection.create_channel().await.unwrap();
    let (options, properties) = (BasicPublishOptions::default(), BasicProperties::default());
    channel.basic_publish(exchange.into(), key.into(), options, body, properties).await.unwrap();
    connection.close(200, "done".into()).await.unwrap();
}

/// A port at which nobody listens.
pub(crate) fn closed_port() -> u16 {
    std::net::TcpListener::bind(("127.0.0.1", 0)).unwrap().local_addr().unwrap().port()
}

/// Waits until something is so, for two minutes at most.
pub(crate) async fn until(what: &str, so: impl Fn() -> bool) {
    until_or(what, so, String::new).await;
}

/// The same; `instead` tells how it is where the wait was in vain.
pub(crate) async fn until_or(what: &str, so: impl Fn() -> bool, instead: impl Fn() -> String) {
    for _ in 0..2400 {
        if so() {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("waited in vain for {what}: {}", instead());
}
