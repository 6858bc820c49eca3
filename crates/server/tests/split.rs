//! The program as several processes on one host: the APIs with the measure store, evaluator and notifier apart, the index in
//! SQLite's file; what each says where it lacks what it stands on.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use support::{MEASURER, OWNER, PATIENCE, Process, command, webhook};

/// A link on a port that was free a moment ago.
fn link() -> [String; 2] {
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let token = "measure_link.token=known to both ends";
    [format!("measure_link.listen=127.0.0.1:{port}"), token.to_owned()]
}

fn measure(api: &Process, metric: &Value, value: i32) {
    let what = format!("POST /v1/metric/{}/measures", metric.as_str().unwrap());
    let measures = json!([{"timestamp": "-1 seconds", "value": value}]);
    assert_eq!(api.ask("metric_api", MEASURER, &what, &measures).0, 202);
}

/// Why a command fails.
fn complaint(data_dir: &Path, subcommand: &str, settings: &[&str]) -> String {
    let output = command(data_dir, subcommand, settings).output().unwrap();
    assert!(!output.status.success(), "{subcommand}");
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn measures_reach_webhooks_over_three_processes() {
    let directory = tempfile::tempdir().unwrap();
    let link = link();
    // Nothing comes up by time within the test.
    let settings = [&link[0], &link[1], "alarm.evaluation_interval_seconds=3600"];
    let api = Process::start(directory.path(), "api", &settings);
    let evaluator = Process::start(directory.path(), "evaluator", &settings);
    let notifier = Process::start(directory.path(), "notifier", &settings);
    let policy = json!({"name": "hours", "aggregation_methods": ["last"], "definition": [{"granularity": 3600, "points": 9}]});
    assert_eq!(api.ask("metric_api", MEASURER, "POST /v1/archive_policy", &policy).0, 201);
    let resource = json!({"id": "vm", "metrics": {"cpu": {"archive_policy_name": "hours"}}});
    let (status, resource) = api.ask("metric_api", MEASURER, "POST /v1/resource/generic", &resource);
    assert_eq!(status, 201, "{resource}");
    let cpu = &resource["metrics"]["cpu"];
    let (url, told) = webhook();
    let alarm = json!({
        "name": "busy", "type": "gnocchi_resources_threshold", "alarm_actions": [url], "ok_actions": [url],
        "gnocchi_resources_threshold_rule": {
            "metric": "cpu", "resource_id": resource["id"], "resource_type": "generic", "aggregation_method": "last",
            "comparison_operator": "gt", "threshold": 0, "granularity": 3600, "evaluation_periods": 1,
        },
    });
    assert_eq!(api.ask("alarm_api", OWNER, "POST /v2/alarms", &alarm).0, 201);
    evaluator.comes_to(|status| status["alarms"]["evaluator"]["series"] == 1);
    let next = || told.recv_timeout(PATIENCE).unwrap()["current"].clone();
    measure(&api, cpu, 1);
    assert_eq!(next(), "alarm");
    measure(&api, cpu, -1);
    assert_eq!(next(), "ok");

    let output = command(directory.path(), "status", &settings).arg("--json").output().unwrap();
    let status: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!((&status["run"]["service"], &status["state"]), (&json!("api"), &json!("running")), "{status}");
    let others = |key: &str| {
        let others = status["others"].as_array().unwrap().iter();
        others.map(|other| other["run"][key].clone()).collect::<Vec<_>>()
    };
    assert_eq!(others("service"), ["evaluator", "notifier"]);
    assert!(status["others"][0]["store"].is_null() && status["store"].is_object(), "{status}");
    let shown = command(directory.path(), "status", &settings).output().unwrap();
    let shown = String::from_utf8(shown.stdout).unwrap();
    assert!(shown.contains("evaluator 0.1.0 running as process"), "{shown}");

    // What was written while the other end was away is found when it is back.
    api.stop();
    evaluator.comes_to(|status| status["alarms"]["evaluator"]["hears_of_writes"] == false);
    let api = Process::start(directory.path(), "api", &settings);
    measure(&api, cpu, 2);
    assert_eq!(next(), "alarm");
    evaluator.kill();
    let evaluator = Process::start(directory.path(), "evaluator", &settings);
    measure(&api, cpu, -2);
    assert_eq!(next(), "ok");
    assert!(told.recv_timeout(Duration::from_millis(700)).is_err(), "each is told once");
    [evaluator, notifier, api].into_iter().for_each(Process::stop);
    assert_eq!(
        std::fs::read_dir(directory.path().join("run")).unwrap().count(),
        1,
        "of the one that was killed"
    );
}

#[test]
fn what_is_missing_is_named() {
    let directory = tempfile::tempdir().unwrap();
    let data_dir = directory.path();
    let token = "measure_link.token=known to both ends";
    for (subcommand, settings, wanted) in [
        ("evaluator", &[][..], "`evaluator` cannot run: role evaluator: index: there is no"),
        (
            "listener",
            &["index.url=postgresql://localhost/none"],
            "role listener: it hears the message bus: set messaging",
        ),
        (
            "alarm-api",
            &["index.url=postgresql://localhost/none"],
            "role alarm_api: it reads measures that another process",
        ),
        (
            "api",
            &["measure_link.listen=127.0.0.1:0"],
            "measure_link.token: whoever connects reads every measure",
        ),
        (
            "api",
            &["measure_link.listen=0.0.0.0:0", token],
            "measure_link.listen: without TLS its token can be overheard",
        ),
        ("api", &["measure_link.token=short"], "measure_link.token: must have 16 characters"),
        ("evaluator", &["measure_link.url=nowhere", token], "measure_link.url: expected http://host:port"),
    ] {
        let said = complaint(data_dir, subcommand, settings);
        assert!(said.contains(wanted), "{subcommand} {settings:?}: {said}");
    }
    let output = command(data_dir, "check-config", &[]).args(["api", "notifier"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("notifier: role notifier: index: there is no"), "{said}");
    let output = command(data_dir, "check-config", &["index.url=postgresql://localhost/none"]);
    let output = { output }.args(["notifier"]).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(said.contains("notifier: notifier, admin, reload\n  stands on the index\n"), "{said}");

    let holder = Process::start(data_dir, "api", &[]);
    let said = complaint(data_dir, "serve", &[]);
    assert!(said.contains(&format!("(`api`, process {})", holder.run["pid"])), "{said}");
    holder.stop();
}
