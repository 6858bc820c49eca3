//! Meters of a management controller that OpenIPMI's `ipmi_sim` plays, asked by a real ipmitool over both of its networks'
//! protocols (Debian's `openipmi` and `ipmitool`). What is expected is what ipmitool's own list shows.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::net::UdpSocket;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nephometer_model::{Sample, SystemClock};
use nephometer_pipeline::KeptSamples;
use nephometer_polling::ipmi::{self, IpmiSettings, IpmiTool};
use nephometer_polling::{Cycle, PollError, Resource, SampleOut};
use serde_json::json;

const USER: &str = "ipmiusr";
const PASSWORD: &str = "labpass";

/// A controller on a free port of loopback; it ends with the test.
struct Controller {
    process: Child,
    port: u16,
    directory: tempfile::TempDir,
}

impl Drop for Controller {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Controller {
    /// Starts it, and waits until it answers.
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let lan = format!(
            "name \"labbmc\"\nset_working_mc 0x20\n  startlan 1\n    addr 127.0.0.1 {port}\n    priv_limit admin\n    \
             allowed_auths_callback none md2 md5 straight\n    allowed_auths_user none md2 md5 straight\n    \
             allowed_auths_operator none md2 md5 straight\n    allowed_auths_admin none md2 md5 straight\n    \
             guid a123456789abcdefa123456789abcdef\n  endlan\n  \
             user 2 true \"{USER}\" \"{PASSWORD}\" admin 10 none md2 md5 straight\n"
        );
        std::fs::write(directory.path().join("lan.conf"), lan).unwrap();
        std::fs::write(directory.path().join("password"), PASSWORD).unwrap();
        std::fs::create_dir(directory.path().join("state")).unwrap();
        let log = std::fs::File::create(directory.path().join("log")).unwrap();
        let process = Command::new("ipmi_sim")
            .args(["-n", "-c", "lan.conf", "-s", "state", "-f"])
            .arg(Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/ipmi/sim.emu"))
            .current_dir(directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .spawn()
            .expect("Debian's openipmi is installed");
        let controller = Self { process, port, directory };
        for _ in 0..50 {
            if controller.ask(&["mc", "info"]).status.success() {
                return controller;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        panic!("{}", std::fs::read_to_string(controller.directory.path().join("log")).unwrap());
    }

    /// How ipmitool reaches it by `interface`, with the password in a file.
    fn command(&self, interface: &str) -> Vec<String> {
        let password = self.directory.path().join("password");
        let (port, password) = (self.port.to_string(), password.to_str().unwrap());
        let mut command =
            vec!["ipmitool", "-I", interface, "-H", "127.0.0.1", "-p", &port, "-U", USER, "-f", password];
        if interface == "lanplus" {
            command.extend(["-C", "3"]);
        }
        command.into_iter().map(str::to_owned).collect()
    }

    /// What ipmitool itself says.
    fn ask(&self, arguments: &[&str]) -> std::process::Output {
        let command = self.command("lan");
        Command::new(&command[0])
            .args(&command[1..])
            .args(arguments)
            .output()
            .expect("Debian's ipmitool is installed")
    }

    /// The sensors that read something, as `sdr elist` shows them: resource ids, volumes and units of their samples.
    fn listed(&self) -> BTreeSet<String> {
        let output = self.ask(&["sdr", "elist"]);
        let text = String::from_utf8(output.stdout).unwrap();
        let sensors = text.lines().filter_map(|line| {
            let [name, number, _, _, reading] = line.split('|').map(str::trim).collect::<Vec<_>>()[..] else {
                panic!("{line}");
            };
            let (value, unit) = reading.split_once(' ')?;
            let unit = match unit {
                "degrees C" => "C",
                "Volts" => "V",
                "Watts" => "W",
                other => other,
            };
            let number = u8::from_str_radix(number.trim_end_matches('h'), 16).unwrap();
            let id = format!("node1-{}_({number:#x})", name.to_lowercase().replace(' ', "_"));
            Some(shown(&id, value.parse().unwrap(), unit))
        });
        sensors.collect()
    }
}

fn shown(id: &str, value: f64, unit: &str) -> String {
    format!("{id} {value} {unit}")
}

fn settings(command: Vec<String>) -> IpmiSettings {
    IpmiSettings { command, polling_retry: 1, ..IpmiSettings::default() }
}

/// One cycle of all meters: samples by meter.
async fn poll(settings: &IpmiSettings) -> Result<BTreeMap<String, Vec<Sample>>, PollError> {
    let clock = Arc::new(SystemClock::new());
    let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
    let plugins = ipmi::plugins(settings, &(Arc::new(IpmiTool::new(settings)) as _));
    let mut by_meter = BTreeMap::new();
    for pollster in &plugins.pollsters {
        let kept = KeptSamples::default();
        let mut out = SampleOut::new(&kept, "2026-11-20T08:30:00".into(), 2);
        pollster.poll(&cycle, &[Resource::from_id("node1")], &mut out).await?;
        out.flush().await?;
        by_meter.insert(pollster.name().to_owned(), kept.take());
    }
    Ok(by_meter)
}

#[tokio::test]
async fn a_controllers_sensors_are_what_ipmitool_shows() {
    let controller = Controller::start();
    let listed = controller.listed();
    assert_eq!(listed.len(), 8, "{listed:?}");
    for interface in ["lan", "lanplus"] {
        let by_meter = poll(&settings(controller.command(interface))).await.unwrap();
        let counts: Vec<_> =
            by_meter.iter().map(|(meter, samples)| (meter.as_str(), samples.len())).collect();
        let counts: Vec<_> = counts.into_iter().filter(|(_, count)| *count > 0).collect();
        // Power is no current, and what reads nothing has no sample; there is no Node Manager.
        let expected = [
            ("hardware.ipmi.current", 1),
            ("hardware.ipmi.fan", 2),
            ("hardware.ipmi.power", 1),
            ("hardware.ipmi.temperature", 2),
            ("hardware.ipmi.voltage", 2),
        ];
        assert_eq!(counts, expected, "{interface}");
        let mut found = BTreeSet::new();
        for (meter, samples) in &by_meter {
            for sample in samples {
                assert_eq!((&*sample.name, sample.meter_type.as_str()), (meter.as_str(), "gauge"));
                assert_eq!((&sample.user_id, &sample.project_id), (&None, &None));
                assert_eq!(sample.timestamp.as_deref(), Some("2026-11-20T08:30:00"));
                let id = sample.resource_id.as_deref().unwrap();
                let maximum =
                    if id == "node1-fan1_(0x3)" { json!({"maximum_rpm": "12000.000"}) } else { json!({}) };
                let mut metadata = json!({"node": "node1"});
                metadata.as_object_mut().unwrap().extend(maximum.as_object().unwrap().clone());
                assert_eq!(sample.metadata.to_json(), metadata, "{id}");
                found.insert(shown(id, sample.volume.as_f64().unwrap(), &sample.unit));
            }
        }
        assert_eq!(found, listed, "{interface}");
    }
}

#[tokio::test]
async fn who_is_refused_fails_without_showing_the_password_and_for_good_in_the_end() {
    let controller = Controller::start();
    let mut command = controller.command("lan");
    let file = command.iter().position(|argument| argument == "-f").unwrap();
    command.splice(file..file + 2, ["-P".to_owned(), "not-the-password".to_owned()]);
    let settings = settings(command);
    let plugins = ipmi::plugins(&settings, &(Arc::new(IpmiTool::new(&settings)) as _));
    let clock = Arc::new(SystemClock::new());
    let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
    let kept = KeptSamples::default();
    let mut out = SampleOut::new(&kept, "".into(), 1);
    let first = plugins.pollsters[0].poll(&cycle, &[Resource::from_id("node1")], &mut out).await;
    assert!(
        matches!(&first, Err(PollError::Failed(reason)) if !reason.contains("not-the-password")),
        "{first:?}"
    );
    let second = plugins.pollsters[0].poll(&cycle, &[Resource::from_id("node1")], &mut out).await;
    let PollError::Permanent { resources, reason } = second.unwrap_err() else {
        panic!("it is no last failure")
    };
    assert_eq!(resources, [Arc::<str>::from("node1")]);
    assert!(!reason.contains("not-the-password"), "{reason}");
    assert!(kept.take().is_empty());
}
