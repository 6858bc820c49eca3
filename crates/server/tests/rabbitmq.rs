//! Alarms over a real RabbitMQ, from end to end: Ceilometer's publisher sends an event, one program decides and leaves the
//! telling to the bus, another one takes the message there and calls the webhook. Ignored where nobody asked for it:
//! `./test rabbitmq` runs this.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use nephometer_testkit::rabbitmq::Rabbitmq;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");
const PATIENCE: Duration = Duration::from_secs(60);
const OWNER: &str = "X-User-Id: u\r\nX-Project-Id: p\r\nX-Roles: admin";

/// A running server; killed when the test ends early.
struct Server {
    child: Child,
    api: String,
}

impl Server {
    fn start(data_dir: &Path, bus: &Rabbitmq, settings: &[&str]) -> Self {
        let mut command = Command::new(PROGRAM);
        command.arg("serve").env_remove("NEPHOMETER_CONFIG");
        command.env("NEPHOMETER__MESSAGING__TRANSPORT_URL", bus.transport_url());
        for setting in [
            "metric_api.listen=127.0.0.1:0",
            "alarm_api.listen=127.0.0.1:0",
            "admin.listen=127.0.0.1:0",
            "statsd.enabled=false",
            "self_monitoring.enabled=false",
        ]
        .iter()
        .chain(settings)
        {
            command.args(["--set", setting]);
        }
        command.arg("--set").arg(format!("storage.data_dir={}", data_dir.display()));
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !greeting.contains("Next:") {
            assert!(lines.read_line(&mut greeting).unwrap() > 0, "the server ended: {greeting}");
        }
        let run: Value = serde_json::from_slice(&std::fs::read(data_dir.join("run.json")).unwrap()).unwrap();
        Self { child, api: run["alarm_api"].as_str().unwrap().to_owned() }
    }

    fn create_alarm(&self, alarm: &Value) {
        let (body, mut stream) = (alarm.to_string(), TcpStream::connect(&self.api).unwrap());
        write!(
            stream,
            "POST /v2/alarms HTTP/1.1\r\nHost: {}\r\n{OWNER}\r\nConnection: close\r\nContent-Type: \
             application/json\r\nContent-Length: {}\r\n\r\n{body}",
            self.api,
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        assert!(answer.starts_with("HTTP/1.1 201"), "{answer}");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A webhook that answers 200 and passes on the bodies that it gets.
fn webhook() -> (String, mpsc::Receiver<Value>) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/hook", listener.local_addr().unwrap());
    let (sender, receiver) = mpsc::channel();
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut lines = BufReader::new(stream.unwrap());
            let (mut line, mut length) = (String::new(), 0);
            while lines.read_line(&mut line).unwrap() > 2 {
                if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
                    length = value.trim().parse().unwrap();
                }
                line.clear();
            }
            let mut body = vec![0; length];
            lines.read_exact(&mut body).unwrap();
            lines
                .get_mut()
                .write_all(b"HTTP/1.1 200 OK\r\nContent-Length: 0\r\nConnection: close\r\n\r\n")
                .unwrap();
            if sender.send(serde_json::from_slice(&body).unwrap()).is_err() {
                return;
            }
        }
    });
    (url, receiver)
}

/// Has Ceilometer's publisher send events for alarms.
fn publish(bus: &Rabbitmq, count: u32) {
    let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let environment = Command::new(conformance.join("venv")).arg("ceilometer").output().unwrap();
    let environment = String::from_utf8(environment.stdout).unwrap();
    let published = Command::new(Path::new(environment.trim()).join("bin/python"))
        .args(["-W", "ignore"])
        .arg(conformance.join("messaging/client.py"))
        .args(["publish", &bus.transport_url(), "alarm.all", &count.to_string()])
        .env("PYTHONDONTWRITEBYTECODE", "1")
        .output()
        .unwrap();
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
}

#[test]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
fn an_event_becomes_a_webhook_over_two_programs_and_the_bus() {
    let bus = Rabbitmq::start_own().unwrap();
    let (decides, tells) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let evaluator = Server::start(decides.path(), &bus, &["alarm_bus.deliver_by=bus"]);
    let notifier = ["alarm_bus.hear_evaluators=true", "alarm_bus.hear_events=false"];
    let _notifier = Server::start(tells.path(), &bus, &notifier);
    let (url, told) = webhook();
    evaluator.create_alarm(&json!({
        "name": "second",
        "type": "event",
        "event_rule": {
            "event_type": "compute.*",
            "query": [{"field": "traits.number", "op": "ge", "type": "integer", "value": "1"}],
        },
        "alarm_actions": [url],
        "repeat_actions": true,
    }));
    publish(&bus, 3);
    let messages = [told.recv_timeout(PATIENCE).unwrap(), told.recv_timeout(PATIENCE).unwrap()];
    let of = |key: &str| messages.iter().map(|message| message[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("previous"), ["insufficient data", "alarm"]);
    assert_eq!((of("current"), of("alarm_name")), (vec![json!("alarm"); 2], vec![json!("second"); 2]));
    let events: Vec<_> =
        messages.iter().map(|told| told["reason_data"]["event"]["message_id"].clone()).collect();
    assert_eq!(events, ["m1", "m2"]);
    assert!(told.recv_timeout(Duration::from_secs(1)).is_err(), "each is told once");
}
