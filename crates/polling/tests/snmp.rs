//! Meters of machines against a real snmpd (Debian's `snmpd`), by version 2c and by both levels of version 3.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

use std::collections::BTreeMap;
use std::net::UdpSocket;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nephometer_model::{Sample, SystemClock};
use nephometer_pipeline::KeptSamples;
use nephometer_polling::{Cycle, Plugins, PollError, Resource, SampleOut, snmp};
use serde_json::json;

/// An agent of its own on a free port of loopback; it ends with the test.
struct Snmpd {
    process: Child,
    port: u16,
    _directory: tempfile::TempDir,
}

impl Drop for Snmpd {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Snmpd {
    fn start() -> Self {
        let directory = tempfile::tempdir().unwrap();
        let port = UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let state = directory.path().display();
        let text = format!(
            "agentaddress udp:127.0.0.1:{port}\n[snmp] persistentDir {state}/state\nrocommunity labpublic 127.0.0.1\n\
             createUser labuser SHA \"labauthpass\" AES \"labprivpass\"\nrouser labuser priv\n\
             createUser labmd5 MD5 \"labauthpass\"\nrouser labmd5 authNoPriv\ndisk / 10%\nload 12 10 5\n"
        );
        let config = directory.path().join("snmpd.conf");
        std::fs::write(&config, text).unwrap();
        let process = Command::new("/usr/sbin/snmpd")
            .args(["-f", "-C", "-Lf"])
            .arg(directory.path().join("log"))
            .arg("-c")
            .arg(&config)
            .arg("-p")
            .arg(directory.path().join("pid"))
            .env("MIBS", "")
            .stdin(Stdio::null())
            .spawn()
            .expect("Debian's snmpd is installed");
        Self { process, port, _directory: directory }
    }
}

/// One cycle of all meters of the machine at `url`: samples by meter.
async fn poll(plugins: &Plugins, url: &str) -> Result<BTreeMap<String, Vec<Sample>>, PollError> {
    let clock = Arc::new(SystemClock::new());
    let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
    let sink = KeptSamples::default();
    for pollster in &plugins.pollsters {
        let mut out = SampleOut::new(&sink, "2026-11-20T08:30:00".into(), 50);
        pollster.poll(&cycle, &[Resource::from_id(url)], &mut out).await?;
        out.flush().await?;
    }
    let mut by_meter = BTreeMap::<_, Vec<_>>::new();
    for sample in sink.take() {
        by_meter.entry(sample.name.to_string()).or_default().push(sample);
    }
    Ok(by_meter)
}

async fn poll_until_it_answers(plugins: &Plugins, url: &str) -> BTreeMap<String, Vec<Sample>> {
    for _ in 0..20 {
        if let Ok(samples) = poll(plugins, url).await {
            return samples;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("no answer from {url}")
}

#[tokio::test]
async fn a_real_agents_machine_is_measured_by_each_version() {
    let agent = Snmpd::start();
    let plugins = snmp::plugins();
    let at = format!("127.0.0.1:{}", agent.port);
    for (url, shown) in [
        (format!("snmp://labpublic@{at}"), format!("snmp://{at}")),
        (format!("snmp://labmd5:labauthpass@{at}?auth_proto=md5"), format!("snmp://{at}")),
        (
            format!(
                "snmp://labuser:labauthpass@{at}?auth_proto=sha&priv_proto=aes128&priv_password=labprivpass"
            ),
            format!("snmp://{at}"),
        ),
    ] {
        let samples = poll_until_it_answers(&plugins, &url).await;
        let one = |meter: &str| &samples.get(meter).unwrap_or_else(|| panic!("{meter} of {shown}"))[0];
        let number = |meter: &str| one(meter).volume.as_f64().unwrap();
        assert!(number("hardware.cpu.load.1min") >= 0.0);
        let (total, used) = (number("hardware.memory.total"), number("hardware.memory.used"));
        assert!(used > 0.0 && used < total, "{used} of {total}");
        let loopback = samples["hardware.network.incoming.bytes"]
            .iter()
            .find(|sample| sample.metadata["name"] == json!("lo"))
            .expect("the loopback interface");
        assert_eq!(loopback.resource_id.as_deref(), Some("127.0.0.1.lo"));
        assert_eq!(loopback.metadata["ip"], json!("127.0.0.1"));
        assert_eq!(loopback.metadata["resource_url"], json!(shown));
        assert_eq!(&*loopback.source, "hardware");
        let root = samples["hardware.disk.size.total"]
            .iter()
            .find(|sample| sample.metadata["path"] == json!("/"))
            .expect("the root file system");
        assert!(root.volume.as_f64().unwrap() > 0.0);
    }
}

#[tokio::test]
async fn who_is_not_known_is_refused_and_who_does_not_answer_is_given_up_once() {
    let agent = Snmpd::start();
    let plugins = snmp::plugins();
    let at = format!("127.0.0.1:{}", agent.port);
    poll_until_it_answers(&plugins, &format!("snmp://labpublic@{at}")).await;
    let wrong = poll(&plugins, &format!("snmp://labmd5:wrongwrong@{at}")).await;
    assert!(matches!(&wrong, Err(PollError::Failed(reason)) if !reason.contains("wrongwrong")), "{wrong:?}");
    let malformed = poll(&plugins, "snmp://").await;
    assert!(matches!(malformed, Err(PollError::Failed(_))), "{malformed:?}");
}
