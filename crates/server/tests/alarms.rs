//! The built program with alarms, from outside: measures come in over one API and change states over the other, what was
//! decided outlives a restart, callers are confined to their project.

#![expect(clippy::unwrap_used, reason = "helpers of tests fail as tests do")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");
const PATIENCE: Duration = Duration::from_secs(20);
const PAUSE: Duration = Duration::from_millis(20);
/// A caller of the metric API, and administrator there.
const MEASURER: &str = "Authorization: basic YWRtaW46";
/// Callers of the alarm API.
const OWNER: &str = "X-User-Id: u\r\nX-Project-Id: p\r\nX-Roles: admin";
const STRANGER: &str = "X-User-Id: x\r\nX-Project-Id: other\r\nX-Roles: member,reader";

/// A running server; killed when the test ends early.
struct Server {
    child: Child,
    run: Value,
}

fn command(data_dir: &Path, subcommand: &str) -> Command {
    let mut command = Command::new(PROGRAM);
    command.arg(subcommand).env_remove("NEPHOMETER_CONFIG");
    for setting in [
        "metric_api.listen=127.0.0.1:0",
        "alarm_api.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "statsd.enabled=false",
        "self_monitoring.enabled=false",
        "alarm.enable_evaluation_results_metrics=true",
    ] {
        command.args(["--set", setting]);
    }
    command.arg("--set").arg(format!("storage.data_dir={}", data_dir.display()));
    command
}

impl Server {
    fn start(data_dir: &Path) -> Self {
        let mut child = command(data_dir, "serve").stdout(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        let mut lines = BufReader::new(child.stdout.take().unwrap());
        while !greeting.contains("Next:") {
            assert!(lines.read_line(&mut greeting).unwrap() > 0, "the server ended: {greeting}");
        }
        assert!(greeting.contains("alarm API (Aodh v2)"), "{greeting}");
        let run = serde_json::from_slice(&std::fs::read(data_dir.join("run.json")).unwrap()).unwrap();
        Self { child, run }
    }

    /// Status and JSON of the answer to `what` at the API `api` by the caller whom `who` names.
    fn ask(&self, api: &str, who: &str, what: &str, body: &Value) -> (u16, Value) {
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

    fn measure(&self, what: &str, body: &Value) -> (u16, Value) {
        self.ask("metric_api", MEASURER, what, body)
    }

    fn alarm(&self, who: &str, what: &str, body: &Value) -> (u16, Value) {
        self.ask("alarm_api", who, what, body)
    }

    /// Waits until the alarm is in `state`.
    fn reaches(&self, id: &str, state: &str) {
        let mut waited = Duration::ZERO;
        loop {
            let (_, now) = self.alarm(OWNER, &format!("GET /v2/alarms/{id}/state"), &Value::Null);
            if now == *state {
                return;
            }
            assert!(waited < PATIENCE, "the alarm is {now} and not {state}");
            std::thread::sleep(PAUSE);
            waited += PAUSE;
        }
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

/// Takes one request and answers it; its path and body.
fn take_call(listener: &TcpListener) -> (String, Value) {
    let (mut stream, _) = listener.accept().unwrap();
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let mut lines = BufReader::new(stream.try_clone().unwrap());
    let (mut first, mut length) = (String::new(), 0);
    lines.read_line(&mut first).unwrap();
    loop {
        let mut line = String::new();
        lines.read_line(&mut line).unwrap();
        if let Some(value) = line.to_lowercase().strip_prefix("content-length:") {
            length = value.trim().parse().unwrap();
        }
        if line.trim().is_empty() {
            break;
        }
    }
    let mut body = vec![0; length];
    lines.read_exact(&mut body).unwrap();
    stream.write_all(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n").unwrap();
    (first.split(' ').nth(1).unwrap().to_owned(), serde_json::from_slice(&body).unwrap())
}

/// A point in time `seconds` ago, as Gnocchi takes it.
fn ago(seconds: i64) -> Value {
    json!(format!("{} seconds", -seconds))
}

#[test]
fn measures_change_states_and_what_was_decided_stays() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path().join("data");
    let server = Server::start(&data_dir);
    let policy = json!({"name": "seconds", "aggregation_methods": ["mean"], "definition": [{"granularity": 1, "points": 3600}]});
    assert_eq!(server.measure("POST /v1/archive_policy", &policy).0, 201);
    let resource = json!({"id": "vm", "metrics": {"cpu": {"archive_policy_name": "seconds"}}});
    let (status, made) = server.measure("POST /v1/resource/generic", &resource);
    assert_eq!(status, 201, "{made}");
    let cpu = made["metrics"]["cpu"].as_str().unwrap();
    let receiver = TcpListener::bind("127.0.0.1:0").unwrap();
    let alarm = json!({
        "alarm_actions": [format!("http://{}/hook", receiver.local_addr().unwrap())],
        "name": "busy",
        "type": "gnocchi_resources_threshold",
        "gnocchi_resources_threshold_rule": {
            "metric": "cpu", "resource_id": made["id"], "resource_type": "generic", "aggregation_method": "mean",
            "comparison_operator": "gt", "threshold": 10, "granularity": 1, "evaluation_periods": 60,
        },
    });
    let (status, alarm) = server.alarm(OWNER, "POST /v2/alarms", &alarm);
    assert_eq!((status, &alarm["state"]), (201, &json!("insufficient data")), "{alarm}");
    let id = alarm["alarm_id"].as_str().unwrap();
    let measures: Vec<_> =
        (0..70).rev().map(|second| json!({"timestamp": ago(second), "value": 42})).collect();
    assert_eq!(server.measure(&format!("POST /v1/metric/{cpu}/measures"), &json!(measures)).0, 202);
    server.reaches(id, "alarm");
    let (path, told) = take_call(&receiver);
    assert_eq!(
        (path.as_str(), &told["alarm_id"], &told["current"]),
        ("/hook", &json!(id), &json!("alarm")),
        "{told}"
    );
    let (_, history) = server.alarm(OWNER, &format!("GET /v2/alarms/{id}/history"), &Value::Null);
    assert_eq!(history[0]["type"], "state transition", "{history}");
    let detail: Value = serde_json::from_str(history[0]["detail"].as_str().unwrap()).unwrap();
    assert!(
        detail["transition_reason"].as_str().unwrap().starts_with("Transition to alarm due to"),
        "{detail}"
    );
    for (who, what) in [
        (STRANGER, format!("GET /v2/alarms/{id}")),
        (STRANGER, format!("DELETE /v2/alarms/{id}")),
        (STRANGER, format!("GET /v2/alarms/{id}/history")),
    ] {
        assert_eq!(server.alarm(who, &what, &Value::Null).0, 404, "{what}");
    }
    assert_eq!(server.alarm("X-Nobody: 1", "GET /v2/alarms", &Value::Null).0, 403);
    server.stop();
    let server = Server::start(&data_dir);
    let (_, kept) = server.alarm(OWNER, &format!("GET /v2/alarms/{id}"), &Value::Null);
    assert_eq!((&kept["state"], &kept["name"]), (&json!("alarm"), &json!("busy")), "{kept}");
    let status = command(&data_dir, "status").arg("--json").output().unwrap();
    let status: Value = serde_json::from_slice(&status.stdout).unwrap();
    assert!(status["alarms"]["states"].as_array().unwrap().contains(&json!(["alarm", 1])), "{status}");
    assert_eq!(server.alarm(OWNER, &format!("DELETE /v2/alarms/{id}"), &Value::Null).0, 204);
    assert_eq!(server.alarm(OWNER, &format!("GET /v2/alarms/{id}/history"), &Value::Null).0, 404);
    server.stop();
}

#[test]
fn the_listener_can_be_left_out() {
    let directory = tempfile::tempdir().unwrap();
    let output = command(directory.path(), "check-config")
        .args(["--set", "alarm_api.listen=0.0.0.0:0"])
        .output()
        .unwrap();
    let refused = String::from_utf8_lossy(&output.stderr);
    assert!(refused.contains("alarm_api.listen: auth_mode=noauth believes what callers say"), "{refused}");
    let output =
        command(directory.path(), "check-config").args(["--set", "alarm_api.listen="]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
}
