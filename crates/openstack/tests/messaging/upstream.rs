//! Upstream's own client of the bus, run by `conformance/messaging/client.py`.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

/// A running client.
pub(crate) struct Upstream(Child);

fn environment() -> &'static Path {
    static ENVIRONMENT: OnceLock<PathBuf> = OnceLock::new();
    ENVIRONMENT.get_or_init(|| {
        let output = Command::new(conformance().join("venv")).arg("ceilometer").output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).trim().into()
    })
}

fn conformance() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance")
}

/// A number or JSON, as the script writes.
fn is_ours(line: &&str) -> bool {
    line.starts_with('{') || line.bytes().all(|byte| byte.is_ascii_digit())
}

impl Upstream {
    fn run(arguments: &[&str]) -> Self {
        let child = Command::new(environment().join("bin/python"))
            .args(["-W", "ignore"])
            .arg(conformance().join("messaging/client.py"))
            .args(arguments)
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.unwrap())
    }

    pub(crate) fn notify(url: &str, exchange: &str, topic: &str, count: u32) -> Self {
        Self::run(&["notify", url, exchange, topic, &count.to_string()])
    }

    pub(crate) fn publish(url: &str, topic: &str, count: u32) -> Self {
        Self::run(&["publish", url, topic, &count.to_string()])
    }

    pub(crate) fn hear(url: &str, exchange: &str, topic: &str, priority: &str, count: u32) -> Self {
        Self::run(&["hear", url, exchange, topic, priority, &count.to_string()])
    }

    /// The lines that it has written, once it has ended well. Ceilometer's own warnings, which may come between, are none.
    pub(crate) fn finish(self) -> Vec<String> {
        let output = self.0.wait_with_output().unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8_lossy(&output.stdout).lines().filter(is_ours).map(str::to_owned).collect()
    }
}
