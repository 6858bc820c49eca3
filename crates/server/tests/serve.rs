//! The built program from outside: starts, measures itself, takes statsd, answers `status`, stops cleanly, keeps what it
//! acknowledged.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpStream, UdpSocket};
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::Duration;

use nephometer_testkit::postgres::Postgres;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");
const PATIENCE: Duration = Duration::from_secs(10);
const PAUSE: Duration = Duration::from_millis(50);

/// A running server; killed when the test ends early.
struct Server {
    child: Child,
    greeting: String,
    address: String,
}

impl Server {
    fn start(data_dir: &Path, settings: &[&str]) -> Self {
        let mut child = command(data_dir, "serve", settings).stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !greeting.contains("Next:") {
            assert!(lines.read_line(&mut greeting).unwrap() > 0, "the server ended: {greeting}");
        }
        let run: Value = serde_json::from_slice(&std::fs::read(data_dir.join("run.json")).unwrap()).unwrap();
        Self { child, greeting, address: run["metric_api"].as_str().unwrap().to_owned() }
    }

    fn request(&self, method: &str, path: &str, body: &str) -> (u16, String) {
        http(&self.address, method, path, body)
    }

    /// The answer's body; nothing unless the status is 200.
    fn get(&self, path: &str) -> Option<Value> {
        let (status, body) = self.request("GET", path, "");
        (status == 200).then(|| serde_json::from_str(&body).unwrap())
    }

    fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success(), "a graceful stop is a success");
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(data_dir: &Path, subcommand: &str, settings: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(subcommand).env_remove("NEPHOMETER_CONFIG");
    let data_dir = format!("storage.data_dir={}", data_dir.display());
    let ports = [
        "metric_api.listen=127.0.0.1:0",
        "alarm_api.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "statsd.listen=127.0.0.1:0",
    ];
    for setting in ports.into_iter().chain([data_dir.as_str()]).chain(settings.iter().copied()) {
        command.args(["--set", setting]);
    }
    command
}

fn run(data_dir: &Path, arguments: &[&str]) -> Output {
    command(data_dir, arguments[0], &[]).args(&arguments[1..]).output().unwrap()
}

fn http(address: &str, method: &str, path: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nAuthorization: basic YWRtaW46\r\nConnection: close\r\nAccept: */*\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n{body}",
        body.len()
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    assert!(!head.to_lowercase().contains("transfer-encoding"), "this client reads no chunks");
    (head.split(' ').nth(1).unwrap().parse().unwrap(), body.to_owned())
}

/// Asks again and again until `found` is content.
fn eventually<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(waited < PATIENCE, "{what} did not happen");
        std::thread::sleep(PAUSE);
        waited += PAUSE;
    }
}

#[test]
fn it_measures_itself_within_ten_seconds_and_says_how_it_is() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let server = Server::start(&data_dir, &["self_monitoring.interval_seconds=1"]);
    for expected in
        ["metric API (Gnocchi v1)", "statsd (UDP and TCP)", "/metrics", "gnocchi --endpoint http://"]
    {
        assert!(server.greeting.contains(expected), "{expected} not in\n{}", server.greeting);
    }
    for (type_name, metric) in [("nephometer_host", "memory.usage"), ("nephometer_process", "cpu.util")] {
        let row = eventually(&format!("{metric} of {type_name}"), || {
            let resources = server.get(&format!("/v1/resource/{type_name}"))?;
            let id = resources[0]["metrics"][metric].as_str()?;
            let measures = server.get(&format!("/v1/metric/{id}/measures?aggregation=last&granularity=5"))?;
            measures.as_array().unwrap().last().cloned()
        });
        assert!(row[2].as_f64().unwrap() >= 0.0, "{row}");
    }
    let status: Value = serde_json::from_slice(&run(&data_dir, &["status", "--json"]).stdout).unwrap();
    assert_eq!(status["state"], "running");
    assert!(status["store"]["measures_written"].as_u64().unwrap() > 0, "{status}");
    assert!(status["index"]["resources"].as_u64().unwrap() >= 2, "{status}");
    let admin = status["run"]["admin"].as_str().unwrap();
    let (code, text) = http(admin, "GET", "/metrics", "");
    assert!(code == 200 && text.ends_with("# EOF\n"), "{text}");
    assert!(text.contains("nephometer_http_requests_total{kind=\"query\",status=\"200\"}"), "{text}");
    let refused = run(&data_dir, &["serve"]);
    assert!(!refused.status.success());
    assert!(String::from_utf8_lossy(&refused.stderr).contains("another process uses the data directory"));
    server.stop();
    let stopped: Value = serde_json::from_slice(&run(&data_dir, &["status", "--json"]).stdout).unwrap();
    assert_eq!(stopped["state"], "stopped");
    assert!(stopped["files"]["parts"].as_u64().unwrap() > 0, "a stop flushes: {stopped}");
}

fn survives_a_stop_and_a_kill(data_dir: &Path, settings: &[&str]) {
    let server = Server::start(data_dir, settings);
    let (status, body) =
        server.request("POST", "/v1/metric", &json!({"archive_policy_name": "high"}).to_string());
    assert_eq!(status, 201, "{body}");
    let metric: Value = serde_json::from_str(&body).unwrap();
    let path = format!("/v1/metric/{}/measures", metric["id"].as_str().unwrap());
    let post = |server: &Server, timestamp: &str, value: f64| {
        let body = json!([{"timestamp": timestamp, "value": value}]).to_string();
        assert_eq!(server.request("POST", &path, &body).0, 202);
    };
    post(&server, "2026-01-01T00:00:00", 1.0);
    server.stop();
    let mut server = Server::start(data_dir, settings);
    post(&server, "2026-01-01T00:00:01", 2.0);
    server.child.kill().unwrap();
    server.child.wait().unwrap();
    let status: Value = serde_json::from_slice(&run(data_dir, &["status", "--json"]).stdout).unwrap();
    assert_eq!(status["state"], "stopped", "a killed server leaves a run file: {status}");
    let server = Server::start(data_dir, settings);
    let measures = server.get(&format!("{path}?granularity=1&aggregation=sum")).unwrap();
    assert_eq!(
        measures,
        json!([["2026-01-01T00:00:00+00:00", 1.0, 1.0], ["2026-01-01T00:00:01+00:00", 1.0, 2.0]])
    );
    server.stop();
}

#[test]
fn what_was_acknowledged_survives() {
    let directory = tempfile::tempdir().unwrap();
    survives_a_stop_and_a_kill(directory.path(), &["self_monitoring.enabled=false", "statsd.enabled=false"]);
}

#[test]
fn the_index_may_live_in_postgresql() {
    let directory = tempfile::tempdir().unwrap();
    let url = format!("index.url={}", Postgres::shared().unwrap().fresh_database().unwrap());
    let settings = ["self_monitoring.enabled=false", "statsd.enabled=false", url.as_str()];
    let data_dir = directory.path().join("one");
    survives_a_stop_and_a_kill(&data_dir, &settings);
    let other = command(&directory.path().join("another"), "serve", &settings).output().unwrap();
    let text = String::from_utf8_lossy(&other.stderr).into_owned();
    assert!(!other.status.success() && text.contains("belongs to another data directory"), "{text}");
}

#[test]
fn statsd_values_become_metrics_by_the_rules() {
    let directory = tempfile::tempdir().unwrap();
    let settings = ["self_monitoring.enabled=false", "statsd.flush_delay_seconds=0.2"];
    let server = Server::start(directory.path(), &settings);
    let line = server.greeting.lines().find(|line| line.contains("statsd")).unwrap();
    let address = line.split_whitespace().last().unwrap();
    let udp = UdpSocket::bind("127.0.0.1:0").unwrap();
    udp.send_to(b"requests:45|c\nrequests:2|c|@0.2\nload:0.5|g", address).unwrap();
    let mut tcp = TcpStream::connect(address).unwrap();
    tcp.write_all(b"latency:12|ms\nnonsense\n").unwrap();
    drop(tcp);
    let total = |name: &str| {
        let path =
            format!("/v1/resource/generic/statsd/metric/{name}/measures?aggregation=sum&granularity=300");
        let rows = server.get(&path)?;
        Some(rows.as_array().unwrap().iter().filter_map(|row| row[2].as_f64()).sum::<f64>())
    };
    for (name, expected) in [("requests%7Cc", 55.0), ("load%7Cg", 0.5), ("latency%7Cms", 12.0)] {
        let value = eventually(name, || total(name).filter(|sum| *sum > 0.0));
        assert!((value - expected).abs() < 1e-9, "{name}: {value}");
    }
    server.stop();
}

#[test]
fn mistakes_are_told_and_tools_work_without_a_server() {
    let directory = tempfile::tempdir().unwrap();
    let check = command(directory.path(), "check-config", &["metric_api.listne=x", "log.level=loud=1=2"]);
    let output = { check }.output().unwrap();
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(!output.status.success() && text.contains("did you mean metric_api.listen?"), "{text}");
    assert!(run(directory.path(), &["check-config"]).status.success());
    let upgraded = run(directory.path(), &["upgrade"]);
    assert!(String::from_utf8_lossy(&upgraded.stdout).contains("created the default archive policies"));
    let shown = run(directory.path(), &["config", "show"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("[metric_api]"));
    assert!(run(directory.path(), &["version"]).stdout.starts_with(b"nephometer "));
}
