//! Limits of the built program, from outside: who floods is refused, who does not is not, and operators see who it was.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use base64::Engine as _;
use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");

/// A running server; killed when the test ends.
struct Server {
    child: Child,
    api: String,
    admin: String,
}

impl Server {
    fn start(data_dir: &Path, settings: &[&str]) -> Self {
        let mut command = command(data_dir, "serve");
        for setting in settings {
            command.args(["--set", setting]);
        }
        let mut child = command.stdout(Stdio::piped()).spawn().unwrap();
        let (mut greeting, mut lines) = (String::new(), BufReader::new(child.stdout.take().unwrap()));
        while !greeting.contains("Next:") {
            assert!(lines.read_line(&mut greeting).unwrap() > 0, "the server ended: {greeting}");
        }
        let run: Value = serde_json::from_slice(&std::fs::read(data_dir.join("run.json")).unwrap()).unwrap();
        let address = |name: &str| run[name].as_str().unwrap().to_owned();
        Self { child, api: address("metric_api"), admin: address("admin") }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn command(data_dir: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(subcommand).env_remove("NEPHOMETER_CONFIG");
    let data_dir = format!("storage.data_dir={}", data_dir.display());
    for setting in [
        data_dir.as_str(),
        "metric_api.listen=127.0.0.1:0",
        "alarm_api.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "statsd.enabled=false",
        "self_monitoring.enabled=false",
    ] {
        command.args(["--set", setting]);
    }
    command
}

/// A user's connection, kept open.
struct Client {
    stream: BufReader<TcpStream>,
    sign_in: String,
}

impl Client {
    fn connect(address: &str, user: &str) -> Self {
        let stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
        let pair = base64::engine::general_purpose::STANDARD.encode(format!("{user}:"));
        Self { stream: BufReader::new(stream), sign_in: format!("basic {pair}") }
    }

    /// Status, head and body of the answer.
    fn request(&mut self, method: &str, path: &str, body: &str) -> (u16, String, String) {
        let request = format!(
            "{method} {path} HTTP/1.1\r\nHost: x\r\nAuthorization: {}\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            self.sign_in,
            body.len()
        );
        self.stream.get_mut().write_all(request.as_bytes()).unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert!(self.stream.read_line(&mut head).unwrap() > 0, "the connection ended: {head}");
        }
        let head = head.to_lowercase();
        let length = head
            .split("content-length: ")
            .nth(1)
            .map_or(0, |rest| rest.lines().next().unwrap().parse().unwrap());
        let mut body = vec![0; length];
        self.stream.read_exact(&mut body).unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, head, String::from_utf8(body).unwrap())
    }

    /// A new metric's path for measures; nothing where too much is under way.
    fn metric(&mut self) -> Option<String> {
        let (status, _, body) = self.request("POST", "/v1/metric", r#"{"archive_policy_name": "low"}"#);
        if status == 429 {
            return None;
        }
        assert_eq!(status, 201, "{body}");
        let metric: Value = serde_json::from_str(&body).unwrap();
        Some(format!("/v1/metric/{}/measures", metric["id"].as_str().unwrap()))
    }
}

fn points(count: i64) -> String {
    let point = |n| json!({"timestamp": 1_767_225_600 + n, "value": n});
    Value::from((0..count).map(point).collect::<Vec<_>>()).to_string()
}

/// Writes without a pause until told to stop; how many requests were accepted, and how many refused.
fn flood(address: &str, stop: &AtomicBool) -> (u64, u64) {
    let mut client = Client::connect(address, "flood");
    let path = std::iter::repeat_with(|| client.metric()).find_map(|path| path).unwrap();
    let (mut accepted, mut refused) = (0, 0);
    while !stop.load(Ordering::Relaxed) {
        match client.request("POST", &path, &points(100)) {
            (202, ..) => accepted += 1,
            (429, head, _) => {
                assert!(head.contains("\r\nretry-after: "), "{head}");
                refused += 1;
            }
            (status, _, body) => panic!("{status}: {body}"),
        }
    }
    (accepted, refused)
}

#[test]
fn one_users_flood_is_not_anothers() {
    let directory = tempfile::tempdir().unwrap();
    let settings =
        ["limits.requests_in_flight=4", "limits.measures_per_second=400", "limits.measures_burst=500"];
    let server = Server::start(directory.path(), &settings);
    let stop = AtomicBool::new(false);
    let flooded = std::thread::scope(|scope| {
        let floods: Vec<_> = (0..8).map(|_| scope.spawn(|| flood(&server.api, &stop))).collect();
        let mut calm = Client::connect(&server.api, "calm");
        let path = calm.metric().unwrap();
        for round in 0..30 {
            let (status, _, body) = calm.request("POST", &path, &points(20));
            assert_eq!(status, 202, "round {round}: {body}");
            let (status, ..) = calm.request("GET", &path, "");
            assert_eq!(status, 200, "round {round}");
            std::thread::sleep(Duration::from_millis(100));
        }
        stop.store(true, Ordering::Relaxed);
        floods.into_iter().map(|flood| flood.join().unwrap()).collect::<Vec<_>>()
    });
    let (accepted, refused) = flooded.iter().fold((0, 0), |(a, r), flood| (a + flood.0, r + flood.1));
    assert!(accepted > 0 && refused > accepted, "{flooded:?}");
    let status = command(directory.path(), "status").arg("--json").output().unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    let limits = &status["limits"];
    assert_eq!(limits["most_refused"].as_array().unwrap().len(), 1, "{limits}");
    assert_eq!(limits["most_refused"][0][0], "user flood");
    assert!(limits["most_refused"][0][1].as_u64().unwrap() >= refused);
    let shown = command(directory.path(), "status").output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("refused by limits") && shown.contains("most of user flood"), "{shown}");
    let (_, _, text) = Client::connect(&server.admin, "").request("GET", "/metrics", "");
    let counted = text.lines().filter(|line| line.starts_with("nephometer_limit_refusals_total{"));
    assert_eq!(counted.clone().count(), 3, "{text}");
    let counted: u64 = counted.map(|line| line.split(' ').next_back().unwrap().parse::<u64>().unwrap()).sum();
    assert!(counted >= refused, "{text}");
}
