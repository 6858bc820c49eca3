//! The built program as processes of a test: started with settings, asked over HTTP, stopped as systemd stops it.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]
#![allow(dead_code, unreachable_pub, reason = "each test uses some of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");
pub const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(20);
/// A caller of the metric API, and administrator there.
pub const MEASURER: &str = "Authorization: basic YWRtaW46";
/// A caller of the alarm API.
pub const OWNER: &str = "X-User-Id: u\r\nX-Project-Id: p\r\nX-Roles: admin";

/// What is said on the command line.
pub fn command(data_dir: &Path, subcommand: &str, settings: &[&str]) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(subcommand).env_remove("NEPHOMETER_CONFIG");
    let common = [
        "metric_api.listen=127.0.0.1:0",
        "alarm_api.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "statsd.enabled=false",
        "self_monitoring.enabled=false",
    ];
    for setting in common.iter().chain(settings) {
        command.args(["--set", setting]);
    }
    command.arg("--set").arg(format!("storage.data_dir={}", data_dir.display()));
    command
}

/// A running process; killed when the test ends early.
pub struct Process {
    child: Child,
    /// What it says of itself on disk.
    pub run: Value,
}

impl Process {
    /// Starts a service and waits until it says that it is ready.
    pub fn start(data_dir: &Path, service: &str, settings: &[&str]) -> Self {
        let mut child = command(data_dir, service, settings).stdout(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        let mut first = String::new();
        assert!(lines.read_line(&mut first).unwrap() > 0, "`{service}` ended");
        assert!(first.contains(" is ready"), "{first}");
        // What else it says must find a reader.
        std::thread::spawn(move || std::io::copy(&mut lines, &mut std::io::sink()));
        let beside = data_dir.join(format!("run/{service}-{}.json", child.id()));
        let run = std::fs::read(beside).or_else(|_| std::fs::read(data_dir.join("run.json"))).unwrap();
        Self { child, run: serde_json::from_slice(&run).unwrap() }
    }

    /// Status and JSON of the answer to `what` at the API `api` by the caller whom `who` names.
    pub fn ask(&self, api: &str, who: &str, what: &str, body: &Value) -> (u16, Value) {
        let address = self.run[api].as_str().unwrap();
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = TcpStream::connect(address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        write!(
            stream,
            "{what} HTTP/1.1\r\nHost: {address}\r\n{who}\r\nConnection: close\r\nContent-Type: application/json\r\n\
             Content-Length: {}\r\n\r\n{body}",
            body.len()
        )
        .unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        let status = head.split(' ').nth(1).unwrap().parse().unwrap();
        (status, serde_json::from_str(body).unwrap_or(Value::Null))
    }

    /// What its own listener says.
    pub fn status(&self) -> Value {
        self.ask("admin", "Accept: */*", "GET /status", &Value::Null).1
    }

    /// Waits until its own listener says something of which `is_wanted`.
    pub fn comes_to(&self, is_wanted: impl Fn(&Value) -> bool) {
        let mut waited = Duration::ZERO;
        loop {
            let status = self.status();
            if is_wanted(&status) {
                return;
            }
            assert!(waited < PATIENCE, "{status}");
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
    }

    /// SIGTERM: a graceful stop is a success.
    pub fn stop(mut self) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        assert!(self.child.wait().unwrap().success());
    }

    /// SIGKILL.
    pub fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

/// A webhook that answers 200 and passes on the bodies that it gets.
pub fn webhook() -> (String, mpsc::Receiver<Value>) {
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
