//! The polling agent from outside: guests of a libvirt that answers from recordings arrive in the metric service, from the same
//! process and from another; what a cycle would read, what there is to read, and what is wrong with its files is told.

#![expect(clippy::unwrap_used, reason = "a test that cannot go on has failed")]

mod support;

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nephometer_testkit::libvirt::{FakeDomain, FakeLibvirt};
use nephometer_testkit::postgres::Postgres;
use serde_json::{Value, json};

use support::{MEASURER, PATIENCE, Process, command};

/// The recorded guest.
const GUEST: &str = "02eacd57-1358-4614-b3af-19e93bedf787";
const MEMORY_AND_CPU: &str =
    "sources:\n- {name: guests, interval: 1, meters: [cpu, cpu_util, memory.usage]}\n";

/// A host with guests, and a polling.yaml.
struct Host {
    directory: tempfile::TempDir,
    libvirt: FakeLibvirt,
}

impl Host {
    fn with(guests: Vec<FakeDomain>) -> Self {
        let host =
            Self { directory: tempfile::tempdir().unwrap(), libvirt: FakeLibvirt::start(guests).unwrap() };
        host.poll(MEMORY_AND_CPU);
        host
    }

    fn poll(&self, yaml: &str) {
        std::fs::write(self.polling_yaml(), yaml).unwrap();
    }

    fn polling_yaml(&self) -> PathBuf {
        self.directory.path().join("polling.yaml")
    }

    fn data_dir(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    fn settings(&self, more: &[&str]) -> Vec<String> {
        let own = [
            format!("polling.cfg_file={}", self.polling_yaml().display()),
            format!("compute.libvirt_uri={}", self.libvirt.uri()),
            "polling.jitter_seconds=0".to_owned(),
            "polling.host=node-1".to_owned(),
        ];
        own.into_iter().chain(more.iter().map(|setting| (*setting).to_owned())).collect()
    }

    fn start(&self, service: &str, more: &[&str]) -> Process {
        let settings = self.settings(more);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        Process::start(&self.data_dir(service), service, &settings)
    }

    /// What a command prints, and whether it is a success.
    fn run(&self, arguments: &[&str], more: &[&str]) -> (bool, String, String) {
        let settings = self.settings(more);
        let settings: Vec<&str> = settings.iter().map(String::as_str).collect();
        let output =
            command(&self.data_dir("cli"), arguments[0], &settings).args(&arguments[1..]).output().unwrap();
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.success(), text(&output.stdout), text(&output.stderr))
    }
}

fn eventually<T>(what: &str, found: impl Fn() -> Option<T>) -> T {
    let mut waited = Duration::ZERO;
    loop {
        if let Some(value) = found() {
            return value;
        }
        assert!(waited < PATIENCE, "{what} did not happen");
        std::thread::sleep(Duration::from_millis(50));
        waited += Duration::from_millis(50);
    }
}

/// What a guest's metric has been aggregated to by `method`, once there is something.
fn aggregates(server: &Process, guest: &str, metric: &str, method: &str) -> Vec<Value> {
    eventually(&format!("{method} of {metric}"), || {
        let ask = |what: &str| server.ask("metric_api", MEASURER, what, &Value::Null);
        let (status, resource) = ask(&format!("GET /v1/resource/instance/{guest}"));
        let id = resource["metrics"][metric].as_str().filter(|_| status == 200)?.to_owned();
        let rows = ask(&format!("GET /v1/metric/{id}/measures?aggregation={method}")).1;
        rows.as_array().filter(|rows| !rows.is_empty()).cloned()
    })
}

/// How many measures of `cpu` there are.
fn counted(server: &Process) -> u64 {
    let change = json!({"aggregation_methods": ["mean", "rate:mean", "count"]});
    let patched = server.ask("metric_api", MEASURER, "PATCH /v1/archive_policy/ceilometer-low-rate", &change);
    assert_eq!(patched.0, 200, "{patched:?}");
    let counts = aggregates(server, GUEST, "cpu", "count");
    counts.iter().filter_map(|row| row[2].as_f64()).sum::<f64>() as u64
}

#[test]
fn guests_arrive_in_the_store_of_the_same_process() {
    let host = Host::with(vec![FakeDomain::recorded(), FakeDomain::numbered(7)]);
    let server = host.start("serve", &[]);
    let found = aggregates(&server, GUEST, "memory.usage", "mean");
    assert!(found[0][2].as_f64().unwrap() > 0.0, "{found:?}");
    let ask = |what: &str| server.ask("metric_api", MEASURER, what, &Value::Null);
    let resource = ask(&format!("GET /v1/resource/instance/{GUEST}")).1;
    assert!(resource["project_id"].is_string() && resource["display_name"].is_string(), "{resource}");
    assert_eq!(ask("GET /v1/resource/instance").1.as_array().unwrap().len(), 2);
    server.comes_to(|status| {
        let tasks = &status["polling"]["tasks"];
        let pollsters = status["polling"]["pollsters"].as_array().map_or(0, Vec::len);
        tasks[0]["cycles"].as_u64().unwrap_or_default() >= 2 && pollsters == 3
    });
    let status = server.status();
    let cpu = status["polling"]["pollsters"].as_array().unwrap().iter().find(|row| row["pollster"] == "cpu");
    let cpu = cpu.unwrap();
    assert!(cpu["failure"].is_null() && cpu["resources"] == 2 && cpu["samples"].as_u64() >= Some(4), "{cpu}");
    // A changed file counts while it runs.
    host.poll("sources:\n- {name: power, interval: 1, meters: [power.state]}\n");
    server.comes_to(|status| status["polling"]["pollsters"][0]["pollster"] == "power.state");
    // And one with a mistake does not.
    host.poll("sources: {}\n");
    std::thread::sleep(Duration::from_secs(3));
    let polls = |status: &Value| status["polling"]["pollsters"][0]["polls"].as_u64().unwrap();
    let before = polls(&server.status());
    server.comes_to(|status| polls(status) > before);
    server.stop();
}

#[test]
fn an_agent_of_its_own_waits_for_the_store_and_loses_nothing() {
    let host = Host::with(vec![FakeDomain::recorded()]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let gnocchi = format!("gnocchi.url=http://{port}");
    let agent = host.start(
        "polling",
        &[&gnocchi, "publisher.spool.patience_seconds=0.5", "publisher.spool.retry_max_seconds=1"],
    );
    // Nobody takes anything yet, and cycles go on.
    agent.comes_to(|status| status["polling"]["tasks"][0]["cycles"].as_u64() >= Some(3));
    let listen = format!("metric_api.listen={port}");
    let start = || {
        let settings = [listen.as_str(), "polling.enabled=false"];
        Process::start(&host.data_dir("serve"), "serve", &settings)
    };
    let server = start();
    let polled = |process: &Process| process.status()["polling"]["pollsters"][0]["samples"].as_u64().unwrap();
    let before = polled(&agent);
    aggregates(&server, GUEST, "cpu", "mean");
    server.kill();
    agent.comes_to(|status| status["polling"]["pollsters"][0]["samples"].as_u64() >= Some(before + 3));
    let server = start();
    // As many measures as there were samples: none is lost, none counts twice. The agent goes on meanwhile.
    eventually("all samples in the store", || {
        let (before, counted, after) = (polled(&agent), counted(&server), polled(&agent));
        (before <= counted && counted <= after).then_some(())
    });
    agent.stop();
    server.stop();
}

/// Rates of `cpu` by a transformer, into a file; everything else, as it is, into the store.
const RATES: &str = r#"
sources:
  - {name: all, meters: ["*"], sinks: [store]}
  - {name: cpu, meters: [cpu], sinks: [rates]}
sinks:
  - {name: store, publishers: ["gnocchi://"]}
  - name: rates
    transformers:
      - name: rate_of_change
        parameters: {target: {name: cpu.rate, unit: ns/s, type: gauge}}
    publishers: ["file://FILE?json"]
"#;

#[test]
fn samples_go_by_pipeline_yaml_which_is_followed() {
    let host = Host::with(vec![FakeDomain::recorded()]);
    let place = |name: &str| host.directory.path().join(name);
    let (yaml, rates, others) = (place("pipeline.yaml"), place("rates"), place("others"));
    let write = |file: &Path| {
        std::fs::write(&yaml, RATES.replace("FILE", &file.display().to_string())).unwrap();
    };
    write(&rates);
    let setting = format!("pipeline.cfg_file={}", yaml.display());
    let server = host.start("serve", &[&setting]);
    aggregates(&server, GUEST, "cpu", "mean");
    let lines = |file: &Path| std::fs::read_to_string(file).unwrap_or_default();
    let first = eventually("rates in the file", || {
        let text = lines(&rates);
        text.lines().next().and_then(|line| serde_json::from_str::<Value>(line).ok())
    });
    assert_eq!((&first["name"], &first["unit"]), (&json!("cpu.rate"), &json!("ns/s")), "{first}");
    assert_eq!(first["resource_id"], GUEST);
    server.comes_to(|status| {
        let sinks = status["samples"]["sinks"].as_array().cloned().unwrap_or_default();
        let publishers = status["samples"]["publishers"].as_array().cloned().unwrap_or_default();
        sinks.iter().any(|sink| sink["sink"] == "rates" && sink["remembered"] == 1)
            && publishers.iter().filter(|publisher| publisher["delivered"].as_u64() > Some(0)).count() == 2
    });
    // A file with a mistake changes nothing, one without counts at once, and rates have no gap.
    std::fs::write(&yaml, "sources: []\nsinks: [{name: x}]\n").unwrap();
    std::thread::sleep(Duration::from_secs(3));
    let before = lines(&rates).lines().count();
    eventually("rates go on", || (lines(&rates).lines().count() > before).then_some(()));
    write(&others);
    eventually("rates in the other file", || (!lines(&others).is_empty()).then_some(()));
    // Each sample of cpu but the first has made one rate, wherever it was written.
    let received = || {
        let status = server.status();
        let sinks = status["samples"]["sinks"].as_array().cloned().unwrap_or_default();
        let rates = sinks.iter().find(|sink| sink["sink"] == "rates");
        rates.and_then(|sink| sink["received"][0][1].as_u64()).unwrap_or_default()
    };
    eventually("as many rates as samples but one", || {
        let before = received();
        let written = lines(&rates).lines().count() + lines(&others).lines().count();
        (written as u64 + 1 == before && received() == before).then_some(())
    });
    server.stop();
}

#[test]
fn a_sample_is_sent_by_hand_through_the_pipelines() {
    let host = Host::with(Vec::new());
    let place = |name: &str| host.directory.path().join(name);
    let (yaml, out) = (place("pipeline.yaml"), place("out"));
    let sinks = format!("sinks:\n- {{name: s, publishers: [\"file://{}?json\"]}}\n", out.display());
    std::fs::write(&yaml, format!("sources:\n- {{name: s, meters: [\"*\"], sinks: [s]}}\n{sinks}")).unwrap();
    let setting = format!("pipeline.cfg_file={}", yaml.display());
    let send = ["send-sample", "--sample-name", "door", "--sample-resource", "r-1"];
    let more = ["--sample-volume", "3", "--sample-metadata", "{'color': 'red', 'tags': ['it\\'s', None]}"];
    let arguments: Vec<&str> = send.into_iter().chain(more).collect();
    let (ok, _, error) = host.run(&arguments, &[&setting]);
    assert!(ok, "{error}");
    let sent: Value = serde_json::from_str(std::fs::read_to_string(&out).unwrap().trim()).unwrap();
    assert_eq!(
        (&sent["name"], &sent["resource_id"], &sent["volume"]),
        (&json!("door"), &json!("r-1"), &json!(3))
    );
    assert_eq!(sent["resource_metadata"], json!({"color": "red", "tags": ["it's", null]}));
    // A file that is none is told of, by whoever reads it.
    std::fs::write(&yaml, "sources:\n- {name: s, meters: [\"*\"], sinks: [gone]}\nsinks: []\n").unwrap();
    for command in [&arguments[..], &["check-config"]] {
        let (ok, _, error) = host.run(command, &[&setting]);
        assert!(!ok && error.contains("pipeline.yaml") && error.contains("gone"), "{error}");
    }
    let resources = place("resources.yaml");
    std::fs::write(&resources, "resources: 3").unwrap();
    let setting = format!("publisher.resources_definition_file={}", resources.display());
    let (ok, _, error) = host.run(&["check-config"], &[&setting]);
    assert!(!ok && error.contains("resources.yaml"), "{error}");
}

#[test]
fn agents_that_share_postgresql_divide_the_work() {
    const MACHINES: u64 = 60;
    let host = Host::with(Vec::new());
    // Nobody answers at these addresses; whose they are to ask counts.
    let machines: Vec<_> =
        (0..MACHINES).map(|number| format!("snmp://127.0.0.1:{}", 1000 + number)).collect();
    let machines = serde_json::to_string(&machines).unwrap();
    let yaml = format!(
        "sources:\n- {{name: m, interval: 1, meters: [hardware.cpu.load.1min], resources: {machines}}}\n"
    );
    host.poll(&yaml);
    let index = format!("index.url={}", Postgres::shared().unwrap().fresh_database().unwrap());
    let settings = [
        index.as_str(),
        "polling.namespaces=central",
        "polling.deliver_by=exporter",
        "polling.enable_prometheus_exporter=true",
        "polling.prometheus_listen_addresses=127.0.0.1:0",
    ];
    let (one, other) = (host.start("polling", &settings), host.start("polling", &settings));
    let asked =
        |agent: &Process| agent.status()["polling"]["pollsters"][0]["resources"].as_u64().unwrap_or(0);
    let held = |agent: &Process| agent.status()["polling"]["shares"][0][1].as_u64().unwrap_or(0);
    eventually("each machine is asked by one agent", || {
        let (first, second) = (asked(&one), asked(&other));
        (first > 0 && second > 0 && first + second == MACHINES && held(&one) + held(&other) == 256)
            .then_some(())
    });
    other.kill();
    eventually("the other's machines are asked by the first", || (asked(&one) == MACHINES).then_some(()));
    // Who leaves says so: whoever comes next does not wait for a lease to end.
    let third = host.start("polling", &settings);
    eventually("both have some again", || {
        (held(&third) > 0 && held(&one) + held(&third) == 256).then_some(())
    });
    third.stop();
    eventually("all is the first's again", || (held(&one) == 256).then_some(()));
    one.stop();
}

#[test]
fn what_a_cycle_reads_is_printed() {
    let host = Host::with(vec![FakeDomain::recorded()]);
    let (ok, text, error) = host.run(&["polling", "--namespace", "compute", "--once", "--dry-run"], &[]);
    assert!(ok, "{error}");
    assert!(text.contains("RESOURCE") && text.contains(GUEST) && text.contains("memory.usage"), "{text}");
    let (ok, text, error) =
        host.run(&["polling", "--once", "--dry-run", "--json"], &["polling.namespaces=compute"]);
    assert!(ok, "{error}");
    let told: Value = serde_json::from_str(&text).unwrap();
    let cpu = told["samples"].as_array().unwrap().iter().find(|sample| sample["name"] == "cpu").unwrap();
    assert_eq!(
        (&cpu["type"], &cpu["unit"], &cpu["resource_id"]),
        (&json!("cumulative"), &json!("ns"), &json!(GUEST))
    );
    assert_eq!(told["pollsters"].as_array().unwrap().len(), 3, "{told}");
    // Without a hypervisor there is nothing, and nothing is wrong.
    let nobody = "compute.libvirt_uri=qemu+unix:///system?socket=/nonexistent/libvirt-sock-ro";
    let (ok, text, error) =
        host.run(&["polling", "--once", "--dry-run", "--json"], &[nobody, "polling.namespaces=compute"]);
    let told: Value = serde_json::from_str(&text).unwrap();
    assert!(ok && told["samples"] == json!([]), "{text} {error}");
    assert!(told["pollsters"].as_array().unwrap().iter().all(|row| row["failure"].is_null()), "{told}");
}

#[test]
fn meters_are_listed_and_files_are_checked() {
    let host = Host::with(Vec::new());
    let (ok, text, error) = host.run(&["meters", "--json"], &[]);
    assert!(ok, "{error}");
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    for (meter, meter_type, unit, namespace) in [
        ("cpu", "cumulative", "ns", "compute"),
        ("cpu_util", "gauge", "%", "compute"),
        ("volume.size", "gauge", "GiB", "central"),
        ("radosgw.api.request", "gauge", "request", "central"),
    ] {
        let row = rows.iter().find(|row| row["meter"] == meter).unwrap_or_else(|| panic!("no {meter}"));
        assert_eq!((&row["type"], &row["unit"]), (&json!(meter_type), &json!(unit)), "{row}");
        assert!(row["namespace"] == namespace && !row["origin"].as_str().unwrap().is_empty(), "{row}");
    }
    let (ok, text, error) = host.run(&["check-config"], &[]);
    assert!(ok, "{text}{error}");
    host.poll("sources:\n- {name: guests, interval: never, meters: [cpu]}\n");
    let (ok, _, error) = host.run(&["check-config"], &[]);
    assert!(!ok && error.contains("polling.yaml: Polling {'name': 'guests'"), "{error}");
    assert!(error.contains("Invalid interval value"), "{error}");
}

#[test]
fn pollsters_that_files_define_are_listed_checked_and_polled() {
    let host = Host::with(Vec::new());
    let directory = host.directory.path().join("pollsters.d");
    std::fs::create_dir(&directory).unwrap();
    let define = |name: &str, text: &str| std::fs::write(directory.join(name), text).unwrap();
    let load = "{name: dynamic.load, sample_type: gauge, unit: process, namespaces: [compute, central], value_attribute: n, \
                resource_id_attribute: host, host_command: \"echo '[{\\\"n\\\": 7, \\\"host\\\": \\\"node-1\\\"}]'\"}";
    define("a.yaml", &format!("[{load}]"));
    host.poll("sources:\n- {name: dynamic, interval: 1, meters: ['dynamic.*']}\n");
    let dirs = format!("polling.pollsters_definitions_dirs={}", directory.display());
    let (ok, text, error) = host.run(&["meters", "--json"], &[&dirs]);
    assert!(ok, "{error}");
    let rows: Vec<Value> = serde_json::from_str(&text).unwrap();
    let rows: Vec<_> = rows.iter().filter(|row| row["meter"] == "dynamic.load").collect();
    let origin = format!("dynamic, {}", directory.join("a.yaml").display());
    assert_eq!((rows.len(), &rows[0]["origin"], &rows[0]["unit"]), (2, &json!(origin), &json!("process")));
    let (ok, text, error) = host.run(&["polling", "--once", "--dry-run", "--json"], &[&dirs]);
    assert!(ok, "{error}");
    let told: Value = serde_json::from_str(&text).unwrap();
    // Both namespaces have it, and it is polled once.
    let samples = told["samples"].as_array().unwrap();
    let sample = &samples[0];
    assert_eq!(
        (samples.len(), &sample["volume"], &sample["resource_id"]),
        (1, &json!(7), &json!("node-1")),
        "{told}"
    );
    let (ok, text, error) = host.run(&["check-config"], &[&dirs]);
    assert!(ok, "{text}{error}");
    // A definition that is wrong is left out; a file that holds no list stops the program.
    define("b.yaml", "[{name: dynamic.other, sample_type: gauge, unit: B}]");
    let (ok, _, error) = host.run(&["check-config"], &[&dirs]);
    let words = "b.yaml: Error [Required fields ['endpoint_type', 'url_path', 'value_attribute'] not specified.] while \
                 loading dynamic pollster [dynamic.other].";
    assert!(!ok && error.contains(words), "{error}");
    assert!(host.run(&["polling", "--once", "--dry-run"], &[&dirs]).0);
    define("c.yaml", "name: dynamic.third");
    let (ok, _, error) = host.run(&["polling", "--once", "--dry-run"], &[&dirs]);
    assert!(!ok && error.contains("c.yaml: it must hold a list of pollsters"), "{error}");
}

#[test]
fn the_exporter_and_the_heartbeat_tell_what_was_read() {
    let host = Host::with(vec![FakeDomain::recorded()]);
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let listen = format!("polling.prometheus_listen_addresses={port}");
    let heartbeat = format!("polling.heartbeat_socket_dir={}", host.directory.path().display());
    let agent = host.start(
        "polling",
        &[
            "polling.namespaces=compute",
            "polling.deliver_by=exporter",
            "polling.enable_prometheus_exporter=true",
            &listen,
            &heartbeat,
        ],
    );
    agent.comes_to(|status| status["polling"]["tasks"][0]["cycles"].as_u64() >= Some(1));
    let mut stream = TcpStream::connect(port).unwrap();
    write!(stream, "GET /anything HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    assert!(text.contains("text/plain; version=0.0.4"), "{text}");
    assert!(text.contains("# TYPE ceilometer_cpu gauge\nceilometer_cpu{cpu=\""), "{text}");
    let mut told = String::new();
    let socket = Path::new(host.directory.path()).join("ceilometer-compute.socket");
    UnixStream::connect(socket).unwrap().read_to_string(&mut told).unwrap();
    assert!(told.lines().any(|line| line.starts_with("cpu 20")) && told.lines().count() == 3, "{told}");
    agent.stop();
}
