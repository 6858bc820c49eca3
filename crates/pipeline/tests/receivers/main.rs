//! Publishers before receivers that are real: sockets, a Prometheus Pushgateway, Python's MessagePack, OpenTelemetry's own
//! messages.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod http;
mod sockets;

use std::sync::Arc;

use nephometer_model::{Metadata, Meter, MeterType, Sample, SecretUrl, SystemClock};
use nephometer_pipeline::Publisher;
use nephometer_pipeline::publish::{PublisherFactory, PublisherParts, PublisherSettings};
use serde_json::json;
use tempfile::TempDir;

/// Makes publishers whose spools are in a place of their own.
pub(crate) struct Factory {
    pub(crate) publishers: PublisherFactory,
    _spools: TempDir,
}

impl Factory {
    pub(crate) fn new() -> Self {
        let parts = PublisherParts {
            clock: Arc::new(SystemClock::new()),
            host: "here".to_owned(),
            bus: None,
            open_bus: None,
            queues: None,
            metric_writer: None,
            cloud: None,
        };
        let spools = tempfile::tempdir().unwrap();
        let mut settings = PublisherSettings::default();
        settings.spool.patience_seconds = 2.0;
        Self { publishers: PublisherFactory::new(settings, parts, spools.path()), _spools: spools }
    }

    pub(crate) fn publisher(&self, url: &str) -> Arc<dyn Publisher> {
        self.publishers.publisher(&SecretUrl::new(url)).unwrap()
    }
}

pub(crate) fn samples(count: u32) -> Vec<Sample> {
    let meters = [
        Meter::new("disk.device.read.bytes", MeterType::Cumulative, "B"),
        Meter::new("power.state", MeterType::Gauge, ""),
        Meter::new("network.incoming.bytes.delta", MeterType::Delta, "B"),
    ];
    let metadata = json!({"display_name": "vé \"m\"", "flavor": {"vcpus": 2}, "tags": ["a", 1.5, null]});
    let metadata = Metadata::from(metadata.as_object().unwrap().clone());
    let sample = |number: u32| {
        let mut sample =
            Sample::new(&meters[number as usize % 3], f64::from(number) + 0.5, format!("id-{number}"));
        if number.is_multiple_of(2) {
            sample.volume = i64::from(number).into();
        }
        sample.resource_id = Some(format!("resource-{}/x", number % 2).into());
        sample.project_id = Some("a-project".into());
        sample.timestamp = Some(format!("2026-01-02T03:04:{:02}.678901", number % 60).into());
        sample.metadata = metadata.clone();
        sample
    };
    (0..count).map(sample).collect()
}

#[tokio::test]
async fn addresses_that_cannot_be_are_refused_with_their_reason() {
    let factory = Factory::new();
    let refused = |url: &str| factory.publishers.publisher(&SecretUrl::new(url)).err().unwrap().to_string();
    for (url, expected) in [
        ("kafka://u:hush@h", "publisher kafka://u:(secret)@h: there is no publisher for kafka://"),
        ("http:///x", "publisher http:///x: The hostname of an endpoint for HttpPublisher is required"),
        (
            "http://h?timeout=soon",
            "publisher http://h?timeout=soon: timeout=soon is no number that it can be",
        ),
        (
            "http://h?batch=perhaps",
            "publisher http://h?batch=perhaps: batch=perhaps is neither true nor false",
        ),
        ("http://h:99999/", "publisher http://h:99999/: its port is 99999"),
        ("zaqar://", "publisher zaqar://: there is no Zaqar to send to"),
        ("gnocchi://", "publisher gnocchi://: there is no metric service to write to"),
        ("notifier://", "publisher notifier://: there is no message bus to send to"),
        ("udp://", "publisher udp://: it names no host"),
        ("file://", "publisher file://: The path for the file publisher is required"),
    ] {
        assert_eq!(refused(url), expected);
    }
    let url = "https://h/?verify_ssl=/no/such/file&key=hush";
    assert!(refused(url).contains("/no/such/file") && !refused(url).contains("hush"), "{}", refused(url));
}

#[tokio::test]
async fn the_same_address_is_the_same_publisher() {
    let factory = Factory::new();
    let [first, second] = ["test://", "test"].map(|url| factory.publisher(url));
    assert!(Arc::ptr_eq(&first, &second));
    first.publish(&samples(4)).await.unwrap();
    let counts = factory.publishers.counts();
    assert_eq!((counts.len(), counts[0].0.as_str(), counts[0].1.delivered), (1, "test://", 4));
}
