//! Notifications over a real RabbitMQ, with upstream's own client at the other end. Ignored where nobody asked for one:
//! `./test rabbitmq` runs these, and so does `cargo test -p nephometer-openstack --test rabbitmq -- --ignored`.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod messaging;

use std::sync::Arc;
use std::time::Duration;

use messaging::upstream::Upstream;
use messaging::{Store, listen, message, settings, until, until_or};
use nephometer_drivers::{Destination, MessageSink, MessageSource, Subscription};
use nephometer_model::Secret;
use nephometer_openstack::messaging::{MessagingSettings, RabbitSink, RabbitSource};
use nephometer_testkit::certificates::Authority;
use nephometer_testkit::rabbitmq::{Rabbitmq, RabbitmqTls};
use serde_json::json;

fn subscription(exchanges: &[&str], topic: &str) -> Subscription {
    Subscription {
        topic: topic.to_owned(),
        priority: "sample".to_owned(),
        exchanges: exchanges.iter().map(|&name| name.to_owned()).collect(),
        batch: 50,
    }
}

fn destination(exchange: &str, topic: &str, priority: &str) -> Destination {
    let [exchange, topic, priority] = [exchange, topic, priority].map(str::to_owned);
    Destination { exchange, topic, priority }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn events_of_ceilometers_publisher() {
    let node = Rabbitmq::shared().unwrap();
    // Sent before anybody listens: the publisher makes the queue, on its own exchange.
    assert_eq!(Upstream::publish(&node.transport_url(), "early", 3).finish().len(), 3);
    let source = RabbitSource::new(&settings(node), "test").unwrap();
    let store = Arc::new(Store::default());
    let task = listen(source, subscription(&["aodh", "ceilometer"], "early"), &store);
    until("three events", || store.len() == 3).await;
    let first = store.get(0);
    assert_eq!((first.event_type.as_str(), first.priority.as_str()), ("event", "SAMPLE"));
    assert_eq!(first.payload[0]["event_type"], "compute.instance.update");
    assert_eq!(first.payload[0]["traits"], json!([["project_id", 1, "p"], ["number", 2, 0]]));
    assert_eq!(first.unique_id.len(), 32);
    task.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn upstream_hears_what_we_send() {
    let node = Rabbitmq::shared().unwrap();
    let sink = RabbitSink::new(&settings(node), "test").unwrap();
    let messages = [message("m1", 1), message("m2", 2)];
    // Kept for whoever comes later, in a queue that upstream declares in the same form.
    sink.send(&destination("aodh", "heard", "sample"), &messages).await.unwrap();
    let heard = Upstream::hear(&node.transport_url(), "aodh", "heard", "sample", 2).finish();
    let read: Vec<serde_json::Value> = heard.iter().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(read[0]["payload"], json!({"n": 1}));
    assert_eq!(read[1]["metadata"]["message_id"], "m2");
    assert_eq!(read[1]["publisher_id"], "test");
    sink.close().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn nothing_is_acknowledged_before_it_is_stored() {
    let node = Rabbitmq::shared().unwrap();
    let sink = RabbitSink::new(&settings(node), "test").unwrap();
    let messages: Vec<_> = (0..20).map(|n| message(&format!("u{n}"), n)).collect();
    sink.send(&destination("aodh", "unstored", "sample"), &messages).await.unwrap();
    let refusing = Arc::new(Store::refusing(u32::MAX));
    let source = RabbitSource::new(&settings(node), "test").unwrap();
    let task = listen(source, subscription(&["aodh"], "unstored"), &refusing);
    until("some refusals", || refusing.refusals() >= 3).await;
    task.stop().await;
    // All of them went back to the queue; a store that refuses twice gets them all, once.
    let store = Arc::new(Store::refusing(2));
    let source = RabbitSource::new(&settings(node), "test").unwrap();
    let task = listen(source, subscription(&["aodh"], "unstored"), &store);
    until("all messages", || store.len() >= 20).await;
    assert_eq!(store.numbers(), (0..20).collect::<Vec<_>>());
    task.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn what_nobody_can_read_is_dropped_and_counted() {
    let node = Rabbitmq::shared().unwrap();
    let sink = RabbitSink::new(&settings(node), "test").unwrap();
    let place = destination("aodh", "poison", "sample");
    sink.send(&place, &[message("a", 1)]).await.unwrap();
    messaging::publish_raw(node, "aodh", "poison.sample", b"no JSON").await;
    sink.send(&place, &[message("b", 2), message("a", 1)]).await.unwrap();
    let store = Arc::new(Store::default());
    let source = RabbitSource::new(&settings(node), "test").unwrap();
    let task = listen(source, subscription(&["aodh"], "poison"), &store);
    until("two messages and what is wrong", || {
        let counts = task.source.counts();
        counts.handled >= 2 && counts.dropped == 1
    })
    .await;
    assert_eq!(&store.numbers()[..2], [1, 2]);
    task.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn queues_in_another_form_are_used_as_they_are() {
    let node = Rabbitmq::shared().unwrap();
    let durable = format!("{}?amqp_durable_queues=true", node.transport_url());
    assert_eq!(Upstream::notify(&durable, "other", "form", 2).finish().len(), 2);
    let store = Arc::new(Store::default());
    let source = RabbitSource::new(&settings(node), "test").unwrap();
    let task = listen(source, subscription(&["other"], "form"), &store);
    until("what was there", || store.len() == 2).await;
    let sink = RabbitSink::new(&settings(node), "test").unwrap();
    sink.send(&destination("other", "form", "sample"), &[message("x", 9)]).await.unwrap();
    until("what was sent", || store.len() == 3).await;
    task.stop().await;
    let quorum = MessagingSettings { rabbit_quorum_queue: true, ..settings(node) };
    let sink = RabbitSink::new(&quorum, "test").unwrap();
    sink.send(&destination("replicated", "quorum", "sample"), &[message("q", 1)]).await.unwrap();
    let url = format!("{}?rabbit_quorum_queue=true", node.transport_url());
    assert_eq!(Upstream::hear(&url, "replicated", "quorum", "sample", 1).finish().len(), 1);
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn a_server_killed_under_load_loses_nothing() {
    let node = Rabbitmq::start_own().unwrap();
    let durable = MessagingSettings { amqp_durable_queues: true, ..settings(&node) };
    let store = Arc::new(Store::refusing(1));
    let source = RabbitSource::new(&durable, "test").unwrap();
    let task = listen(source, subscription(&["ceilometer", "aodh"], "killed"), &store);
    let url = format!("{}?amqp_durable_queues=true", node.transport_url());
    let upstream = Upstream::notify(&url, "ceilometer", "killed", 2000);
    let ours =
        tokio::spawn(messaging::send_all(durable, destination("aodh", "killed", "sample"), 10_000..12_000));
    for _ in 0..3 {
        let before = store.len();
        until("some messages", || store.len() > before + 100 || store.distinct() == 4000).await;
        node.kill().unwrap();
        tokio::time::sleep(Duration::from_millis(300)).await;
        tokio::task::block_in_place(|| node.start()).unwrap();
    }
    assert_eq!(tokio::task::block_in_place(|| upstream.finish()).len(), 2000);
    ours.await.unwrap();
    until_or("all messages", || store.distinct() == 4000, || store.missing(&[0..2000, 10_000..12_000])).await;
    assert!(task.source.counts().interruptions >= 3);
    task.stop().await;
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn tls_with_certificates_of_both_sides() {
    let (authority, directory) = (Authority::new("bus").unwrap(), tempfile::tempdir().unwrap());
    let server = authority.issue(&["127.0.0.1"]).unwrap();
    let (cert, key) = authority.issue(&["nephometer"]).unwrap().write(directory.path(), "client").unwrap();
    let ca = authority.write(directory.path(), "ca").unwrap();
    let tls =
        RabbitmqTls { certificate: server.certificate, key: server.key, client_authority: authority.pem() };
    let node = Rabbitmq::start_with(&tls).unwrap();
    let text = |path: std::path::PathBuf| path.to_string_lossy().into_owned();
    let trusting = MessagingSettings { ssl: true, ssl_ca_file: text(ca), ..settings(&node) };
    let place = destination("aodh", "private", "sample");
    let showing =
        MessagingSettings { ssl_cert_file: text(cert), ssl_key_file: text(key), ..trusting.clone() };
    RabbitSink::new(&showing, "test").unwrap().send(&place, &[message("a", 1)]).await.unwrap();
    for refused in [trusting, MessagingSettings { ssl_ca_file: String::new(), ..showing }] {
        let sent = RabbitSink::new(&refused, "test").unwrap().send(&place, &[message("b", 2)]).await;
        assert!(sent.is_err());
    }
}

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
async fn the_next_server_is_tried_and_refusals_tell_no_password() {
    let node = Rabbitmq::shared().unwrap();
    let (port, closed) = (node.port(), messaging::closed_port());
    let several = format!("rabbit://guest:guest@127.0.0.1:{closed},guest:guest@127.0.0.1:{port}/");
    let several = MessagingSettings { transport_url: Secret::new(several), ..MessagingSettings::default() };
    let sink = RabbitSink::new(&several, "test").unwrap();
    sink.send(&destination("aodh", "second", "sample"), &[message("a", 1)]).await.unwrap();
    let wrong = format!("rabbit://guest:hunter2@127.0.0.1:{port}/");
    let wrong = MessagingSettings { transport_url: Secret::new(wrong), ..MessagingSettings::default() };
    let sink = RabbitSink::new(&wrong, "test").unwrap();
    let refused = sink.send(&destination("aodh", "second", "sample"), &[message("a", 1)]).await.unwrap_err();
    assert!(!refused.to_string().contains("hunter2"), "{refused}");
}
