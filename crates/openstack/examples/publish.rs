//! Publishes samples to an address, for proofs against real receivers:
//!
//! `publish SPOOLS ADDRESS [gnocchi=URL] [bus=TRANSPORT_URL] [polling=TOPIC]`
//!
//! Each line of the standard input is a JSON list of samples in the form of meter messages; it is published by one call, and
//! answered by a line `ok`, or `later` and why. At the end of the input it waits until nothing is left in the spools, and
//! prints the publisher's counters. Killed and started again with the same SPOOLS it goes on where it was.

#![allow(clippy::unwrap_used, reason = "a tool of tests fails like tests")]

use std::io::{BufRead as _, Write as _};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::{MessageSink, MetricWriter};
use nephometer_model::{Clock, Sample, Secret, SecretUrl, SystemClock};
use nephometer_openstack::keystone::{HttpOptions, Url};
use nephometer_openstack::messaging::{MessagingSettings, RabbitSink};
use nephometer_openstack::services::{GnocchiApi, GnocchiWriter};
use nephometer_pipeline::Publisher;
use nephometer_pipeline::message::from_message;
use nephometer_pipeline::publish::{PublisherFactory, PublisherParts, PublisherSettings};
use nephometer_pipeline::signature::Signer;
use serde_json::{Value, json};

fn bus(url: &SecretUrl) -> Result<Arc<dyn MessageSink>, String> {
    let settings = MessagingSettings {
        transport_url: Secret::new(url.expose()),
        amqp_durable_queues: true,
        ..MessagingSettings::default()
    };
    let sink = RabbitSink::new(&settings, "samples").map_err(|error| error.to_string())?;
    Ok(Arc::new(sink))
}

fn gnocchi(url: &str, clock: Arc<dyn Clock>) -> Arc<dyn MetricWriter> {
    let options = HttpOptions { max_retries: 0, timeout: Duration::from_secs(6), ..HttpOptions::default() };
    let address = Url::parse(url).unwrap();
    let api = GnocchiApi::basic(address, "admin", &Secret::default(), &options, clock).unwrap();
    Arc::new(GnocchiWriter::new(api))
}

fn samples(line: &str) -> Vec<Sample> {
    let list: Vec<Value> = serde_json::from_str(line).unwrap();
    let anybody = Signer::new(&Secret::default());
    list.iter().map(|message| from_message(message, &anybody).unwrap()).collect()
}

async fn answer(publisher: &dyn Publisher, line: &str) {
    let said = match publisher.publish(&samples(line)).await {
        Ok(()) => "ok".to_owned(),
        Err(error) => format!("later {error}"),
    };
    let mut out = std::io::stdout().lock();
    writeln!(out, "{said}").and_then(|()| out.flush()).unwrap();
}

#[tokio::main]
async fn main() {
    let mut arguments = std::env::args().skip(1);
    let (spools, address) = (arguments.next().unwrap(), arguments.next().unwrap());
    let options: Vec<_> = arguments.collect();
    let option = |name: &str| options.iter().find_map(|option| option.strip_prefix(name)?.strip_prefix('='));
    let clock: Arc<dyn Clock> = Arc::new(SystemClock::new());
    let parts = PublisherParts {
        clock: Arc::clone(&clock),
        host: "this-host".to_owned(),
        bus: option("bus").map(|url| bus(&SecretUrl::new(url)).unwrap()),
        open_bus: Some(Arc::new(bus)),
        queues: None,
        metric_writer: option("gnocchi").map(|url| gnocchi(url, Arc::clone(&clock))),
        cloud: None,
    };
    let mut settings = PublisherSettings::default();
    settings.spool.retry_max_seconds = 1.0;
    settings.spool.patience_seconds = 1.0;
    let factory = PublisherFactory::new(settings, parts, Path::new(&spools));
    let publisher = match option("polling") {
        Some(topic) => factory.polling_notifier(&[topic.to_owned()]).unwrap(),
        None => factory.publisher(&SecretUrl::new(address)).unwrap(),
    };
    for line in std::io::stdin().lock().lines() {
        answer(publisher.as_ref(), &line.unwrap()).await;
    }
    while factory.counts().iter().any(|(_, counts)| counts.spool.samples > 0) {
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let (_, counts) = factory.counts().pop().unwrap();
    let counts =
        json!({"delivered": counts.delivered, "refused": counts.refused, "failures": counts.failures});
    println!("{counts}");
}
