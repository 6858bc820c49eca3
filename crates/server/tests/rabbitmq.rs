//! Alarms over a real RabbitMQ, from end to end: Ceilometer's publisher sends an event, one program decides and leaves the
//! telling to the bus, another one takes the message there and calls the webhook; and what becomes of alarms is told to
//! whoever listens by oslo.messaging. Ignored where nobody asked for it: `./test rabbitmq` runs this.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::path::Path;
use std::process::Command;
use std::sync::mpsc::Receiver;
use std::time::Duration;

use nephometer_testkit::rabbitmq::Rabbitmq;
use serde_json::{Value, json};

use support::{OWNER, PATIENCE, Process, webhook};

fn start(data_dir: &Path, service: &str, bus: &Rabbitmq, settings: &[&str]) -> Process {
    let bus = format!("messaging.transport_url={}", bus.transport_url());
    let settings: Vec<&str> = settings.iter().copied().chain([bus.as_str()]).collect();
    Process::start(data_dir, service, &settings)
}

/// An alarm that the second and third event of [`publish`] fire.
fn create_alarm(api: &Process, url: &str) {
    let alarm = json!({
        "name": "second",
        "type": "event",
        "event_rule": {
            "event_type": "compute.*",
            "query": [{"field": "traits.number", "op": "ge", "type": "integer", "value": "1"}],
        },
        "alarm_actions": [url],
        "repeat_actions": true,
    });
    let (status, alarm) = api.ask("alarm_api", OWNER, "POST /v2/alarms", &alarm);
    assert_eq!(status, 201, "{alarm}");
}

/// Each of the two events is told once.
fn expect_both(told: &Receiver<Value>) {
    let messages = [told.recv_timeout(PATIENCE).unwrap(), told.recv_timeout(PATIENCE).unwrap()];
    let of = |key: &str| messages.iter().map(|message| message[key].clone()).collect::<Vec<_>>();
    assert_eq!(of("previous"), ["insufficient data", "alarm"]);
    assert_eq!((of("current"), of("alarm_name")), (vec![json!("alarm"); 2], vec![json!("second"); 2]));
    let events: Vec<_> =
        messages.iter().map(|told| told["reason_data"]["event"]["message_id"].clone()).collect();
    assert_eq!(events, ["m1", "m2"]);
    assert!(told.recv_timeout(Duration::from_secs(1)).is_err(), "each is told once");
}

/// Upstream's client of the bus.
fn client(bus: &Rabbitmq, command: &str, rest: &[&str]) -> Command {
    let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
    let environment = Command::new(conformance.join("venv")).arg("ceilometer").output().unwrap();
    let environment = String::from_utf8(environment.stdout).unwrap();
    let mut client = Command::new(Path::new(environment.trim()).join("bin/python"));
    client.args(["-W", "ignore"]).arg(conformance.join("messaging/client.py"));
    client.args([command, &bus.transport_url()]).args(rest).env("PYTHONDONTWRITEBYTECODE", "1");
    client
}

/// Has Ceilometer's publisher send events for alarms.
fn publish(bus: &Rabbitmq, count: u32) {
    let published = client(bus, "publish", &["alarm.all", &count.to_string()]).output().unwrap();
    assert!(published.status.success(), "{}", String::from_utf8_lossy(&published.stderr));
}

#[test]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
fn an_event_becomes_a_webhook_over_two_programs_and_the_bus() {
    let bus = Rabbitmq::start_own().unwrap();
    let (decides, tells) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let evaluator = start(decides.path(), "serve", &bus, &["alarm_bus.deliver_by=bus"]);
    let notifier = ["alarm_bus.hear_evaluators=true", "alarm_bus.hear_events=false"];
    let _notifier = start(tells.path(), "serve", &bus, &notifier);
    let (url, told) = webhook();
    create_alarm(&evaluator, &url);
    publish(&bus, 3);
    expect_both(&told);
}

#[test]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
fn an_event_becomes_a_webhook_over_listener_and_notifier_apart() {
    let bus = Rabbitmq::start_own().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let [api, listener, notifier] =
        ["api", "listener", "notifier"].map(|service| start(directory.path(), service, &bus, &[]));
    assert_eq!(
        api.run["roles"],
        json!(["metric_api", "alarm_api", "admin", "reload"]),
        "hears nothing itself"
    );
    let (url, told) = webhook();
    create_alarm(&api, &url);
    publish(&bus, 3);
    expect_both(&told);
    [listener, notifier, api].into_iter().for_each(Process::stop);
}

#[test]
#[ignore = "needs RabbitMQ: ./test rabbitmq"]
fn what_becomes_of_an_alarm_is_told_to_oslo_messaging() {
    let bus = Rabbitmq::start_own().unwrap();
    let directory = tempfile::tempdir().unwrap();
    let topics = ["alarm_bus.change_topics=[\"notifications\"]"];
    let server = start(directory.path(), "serve", &bus, &topics);
    let ask = |request: &str, body: &Value, expected: u16| {
        let (status, answer) = server.ask("alarm_api", OWNER, request, body);
        assert_eq!(status, expected, "{request}: {answer}");
        answer
    };
    let mut alarm = json!({"name": "told", "type": "event", "event_rule": {"event_type": "compute.*"}});
    let made = ask("POST /v2/alarms", &alarm, 201);
    let path = format!("/v2/alarms/{}", made["alarm_id"].as_str().unwrap());
    alarm["severity"] = json!("critical");
    ask(&format!("PUT {path}"), &alarm, 200);
    ask(&format!("PUT {path}/state"), &json!("ok"), 200);
    publish(&bus, 1);
    let fired = || ask(&format!("GET {path}/state"), &Value::Null, 200) == json!("alarm");
    let waits = (0..600).take_while(|_| !fired()).inspect(|_| std::thread::sleep(Duration::from_millis(100)));
    assert!(waits.count() < 600, "the event did not fire the alarm");
    ask(&format!("DELETE {path}"), &Value::Null, 204);
    let heard = client(&bus, "hear", &["aodh", "notifications", "info", "5"]).output().unwrap();
    let heard = String::from_utf8(heard.stdout).unwrap();
    let heard: Vec<Value> = heard.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let said: Vec<_> = heard
        .iter()
        .map(|told| (told["event_type"].as_str().unwrap(), told["publisher_id"].as_str().unwrap()))
        .collect();
    let expected = [
        ("alarm.creation", "aodh.api"),
        ("alarm.rule_change", "aodh.api"),
        ("alarm.state_transition", "aodh.api"),
        ("alarm.state_transition", "aodh.evaluator"),
        ("alarm.deletion", "aodh.api"),
    ];
    assert_eq!(said, expected);
    let payloads: Vec<_> = heard.iter().map(|told| &told["payload"]).collect();
    assert!(payloads.iter().all(|told| told["alarm_id"] == made["alarm_id"] && told["on_behalf_of"] == "p"));
    assert_eq!(payloads[0]["detail"]["name"], "told");
    assert_eq!(payloads[1]["detail"], json!({"severity": "critical"}));
    assert_eq!(payloads[1]["severity"], "critical");
    assert_eq!(payloads[2]["detail"], json!({"state": "ok", "state_reason": "Manually set via API"}));
    let transition: Value = serde_json::from_str(payloads[3]["detail"].as_str().unwrap()).unwrap();
    assert_eq!(transition["state"], "alarm");
    assert_eq!(payloads[4]["detail"], json!({"state": "alarm"}));
}
