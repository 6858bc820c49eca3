//! What is posted, and what answers mean; a real Pushgateway where it is installed by `./test`.

use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

use crate::{Factory, samples};

/// A request as it came: its head in small letters, and its body.
type Seen = (String, Vec<u8>);

/// A receiver that answers each request as `answer` wants: by the number of the request and its body.
struct Receiver {
    address: String,
    seen: Arc<Mutex<Vec<Seen>>>,
}

impl Receiver {
    async fn start(answer: impl Fn(usize, &[u8]) -> u16 + Send + Sync + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap().to_string();
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (kept, answer) = (Arc::clone(&seen), Arc::new(answer));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(converse(stream, Arc::clone(&kept), Arc::clone(&answer)));
            }
        });
        Self { address, seen }
    }

    fn seen(&self) -> Vec<Seen> {
        std::mem::take(&mut self.seen.lock().unwrap())
    }
}

async fn converse(
    mut stream: TcpStream,
    seen: Arc<Mutex<Vec<Seen>>>,
    answer: Arc<impl Fn(usize, &[u8]) -> u16 + Send + Sync + 'static>,
) {
    let mut bytes = Vec::new();
    loop {
        let end = loop {
            if let Some(end) = bytes.windows(4).position(|four| four == b"\r\n\r\n") {
                break end + 4;
            }
            if stream.read_buf(&mut bytes).await.unwrap_or(0) == 0 {
                return;
            }
        };
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let length = head
            .lines()
            .find_map(|line| line.to_ascii_lowercase().strip_prefix("content-length: ")?.parse().ok());
        let length: usize = length.unwrap_or(0);
        while bytes.len() < end + length {
            stream.read_buf(&mut bytes).await.unwrap();
        }
        let body = bytes[end..end + length].to_vec();
        bytes.drain(..end + length);
        let status = {
            let mut seen = seen.lock().unwrap();
            seen.push((head, body.clone()));
            answer(seen.len(), &body)
        };
        let answer = format!("HTTP/1.1 {status} So\r\nContent-Length: 3\r\n\r\nyes");
        stream.write_all(answer.as_bytes()).await.unwrap();
    }
}

#[tokio::test]
async fn samples_are_posted_as_a_list() {
    let receiver = Receiver::start(|_, _| 204).await;
    let factory = Factory::new();
    let url = format!("http://user:pass@{}/in/here?key=v&timeout=3&max_retries=1", receiver.address);
    factory.publisher(&url).publish(&samples(3)).await.unwrap();
    let (head, body) = receiver.seen().pop().unwrap();
    assert!(head.starts_with("POST /in/here?key=v HTTP/1.1\r\n"), "{head}");
    let head = head.to_ascii_lowercase();
    assert!(head.contains("content-type: application/json\r\n"), "{head}");
    assert!(head.contains("authorization: basic dxnlcjpwyxnz\r\n"), "{head}");
    let text = String::from_utf8(body).unwrap();
    assert!(text.starts_with("[{\"name\": \"disk.device.read.bytes\", \"type\": \"cumulative\", "), "{text}");
    assert!(text.contains("\"v\\u00e9 \\\"m\\\"\"") && text.contains(", \"volume\": 1.5, "), "{text}");
    let list: Value = serde_json::from_str(&text).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 3);
    assert_eq!(list[0]["id"], "id-0");
}

#[tokio::test]
async fn without_batch_each_sample_is_posted_and_goes_on_where_it_stopped() {
    let receiver = Receiver::start(|number, _| if number == 3 { 503 } else { 200 }).await;
    let factory = Factory::new();
    let publisher = factory.publisher(&format!("http://{}/?batch=false", receiver.address));
    publisher.publish(&samples(5)).await.unwrap();
    for _ in 0..100 {
        if factory.publishers.counts()[0].1.delivered == 5 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let ids: Vec<_> = receiver
        .seen()
        .into_iter()
        .map(|(_, body)| serde_json::from_slice::<Value>(&body).unwrap()["id"].as_str().unwrap().to_owned())
        .collect();
    assert_eq!(ids, ["id-0", "id-1", "id-2", "id-2", "id-3", "id-4"]);
}

#[tokio::test]
async fn what_is_refused_is_found_and_set_aside() {
    let bad = |body: &[u8]| {
        body.windows(4).any(|four| four == b"id-7") || body.windows(5).any(|five| five == b"id-12")
    };
    let receiver = Receiver::start(move |_, body| if bad(body) { 400 } else { 200 }).await;
    let factory = Factory::new();
    factory.publisher(&format!("http://{}/", receiver.address)).publish(&samples(40)).await.unwrap();
    let counts = factory.publishers.counts()[0].1;
    assert_eq!((counts.delivered, counts.refused, counts.spool.samples), (38, 2, 0));
}

#[tokio::test]
async fn a_receiver_that_says_nothing_does_not_hold_up_who_brings_samples() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let factory = Factory::new();
    let publisher = factory.publisher(&format!("http://{}/?timeout=60", listener.local_addr().unwrap()));
    tokio::time::timeout(Duration::from_secs(10), publisher.publish(&samples(3))).await.unwrap().unwrap();
    assert_eq!(factory.publishers.counts()[0].1.spool.samples, 3);
}

#[tokio::test]
async fn upstreams_opentelemetry_is_as_upstream_writes_it() {
    let receiver = Receiver::start(|_, _| 200).await;
    let factory = Factory::new();
    factory
        .publisher(&format!("opentelemetryhttp://{}/v1", receiver.address))
        .publish(&samples(1))
        .await
        .unwrap();
    let (head, body) = receiver.seen().pop().unwrap();
    assert!(head.starts_with("POST /v1 HTTP/1.1\r\n"), "{head}");
    let body: Value = serde_json::from_slice(&body).unwrap();
    let metric = &body["resource_metrics"][0]["scope_metrics"][0]["metrics"][0];
    assert_eq!((&metric["name"], &metric["unit"]), (&"disk_device_read_bytes".into(), &"B".into()));
    let point = &metric["counter"]["data_points"][0];
    assert_eq!(point["time_unix_nano"], 1_767_323_040);
    assert_eq!(point["attributes"][0]["value"]["string_value"], "resource-0/x");
}

#[tokio::test]
async fn otlp_goes_where_receivers_listen() {
    let receiver = Receiver::start(|_, _| 200).await;
    let factory = Factory::new();
    factory.publisher(&format!("otlp+http://{}", receiver.address)).publish(&samples(6)).await.unwrap();
    let (head, body) = receiver.seen().pop().unwrap();
    assert!(head.starts_with("POST /v1/metrics HTTP/1.1\r\n"), "{head}");
    assert!(head.to_ascii_lowercase().contains("content-type: application/x-protobuf"), "{head}");
    assert!(body.windows(22).any(|part| part == b"disk.device.read.bytes"));
}

/// A real Pushgateway on a port of its own.
struct Pushgateway {
    server: Child,
    address: String,
}

impl Pushgateway {
    async fn start() -> Self {
        drop(rustls::crypto::ring::default_provider().install_default());
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let address = format!("127.0.0.1:{port}");
        let mut command = Command::new("prometheus-pushgateway");
        command.arg(format!("--web.listen-address={address}")).stdout(Stdio::null()).stderr(Stdio::null());
        let server = command.spawn().expect("apt-get install prometheus-pushgateway (it need not run)");
        for _ in 0..100 {
            tokio::time::sleep(Duration::from_millis(100)).await;
            if reqwest::get(format!("http://{address}/-/ready")).await.is_ok() {
                break;
            }
        }
        Self { server, address }
    }

    async fn metrics(&self) -> String {
        reqwest::get(format!("http://{}/metrics", self.address)).await.unwrap().text().await.unwrap()
    }
}

impl Drop for Pushgateway {
    fn drop(&mut self) {
        drop(self.server.kill());
        drop(self.server.wait());
    }
}

#[tokio::test]
async fn a_pushgateway_takes_samples_by_resource_or_by_group() {
    let gateway = Pushgateway::start().await;
    let factory = Factory::new();
    factory
        .publisher(&format!("prometheus://{}/metrics/job/all", gateway.address))
        .publish(&samples(6))
        .await
        .unwrap();
    factory
        .publisher(&format!("prometheus://{}/metrics/job/grouped/zone/a", gateway.address))
        .publish(&samples(60))
        .await
        .unwrap();
    for (_, counts) in factory.publishers.counts() {
        assert_eq!((counts.refused, counts.spool.samples), (0, 0));
    }
    let metrics = gateway.metrics().await;
    for line in [
        "# TYPE disk_device_read_bytes counter",
        r#"disk_device_read_bytes{instance="",job="all",project_id="a-project",resource_id="resource-0/x",user_id="None"} 0"#,
        r#"power_state{instance="",job="all",project_id="a-project",resource_id="resource-1/x",user_id="None"} 1.5"#,
        r#"power_state{instance="",job="grouped",project_id="a-project",resource_id="resource-1/x",user_id="None",zone="a"} 55.5"#,
    ] {
        assert!(metrics.contains(line), "{line}\n{metrics}");
    }
}
