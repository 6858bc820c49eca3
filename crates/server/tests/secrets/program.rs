//! The built program with settings, variables and a configuration file, its output kept.

use std::fs::File;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output};
use std::time::Duration;

use serde_json::Value;

const PROGRAM: &str = env!("CARGO_BIN_EXE_nephometer");
const PAUSE: Duration = Duration::from_millis(20);
const ATTEMPTS: u32 = 1500;

/// What the program is told besides the usual.
#[derive(Default)]
pub(crate) struct Told<'a> {
    /// `section.key=value`.
    pub(crate) set: &'a [&'a str],
    /// Variables.
    pub(crate) env: &'a [(&'a str, &'a str)],
    /// The configuration file's text.
    pub(crate) file: &'a str,
}

fn command(directory: &Path, subcommand: &[&str], told: &Told<'_>) -> Command {
    let mut command = Command::new(PROGRAM);
    command.args(subcommand).env_remove("NEPHOMETER_CONFIG").env_remove("RUST_BACKTRACE");
    command.envs(told.env.iter().copied());
    if !told.file.is_empty() {
        let path = directory.join("nephometer.toml");
        std::fs::write(&path, told.file).unwrap();
        command.arg("--config").arg(path);
    }
    let data_dir = format!("storage.data_dir={}", directory.join("data").display());
    for setting in [
        "metric_api.listen=127.0.0.1:0",
        "alarm_api.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "statsd.listen=127.0.0.1:0",
        "self_monitoring.interval_seconds=1",
        &data_dir,
    ] {
        command.args(["--set", setting]);
    }
    told.set.iter().for_each(|setting| {
        command.args(["--set", setting]);
    });
    command
}

/// Runs a subcommand to its end: whether it succeeded, and all that it printed.
pub(crate) fn run(directory: &Path, subcommand: &[&str], told: &Told<'_>) -> (bool, Vec<u8>) {
    let Output { status, stdout, stderr } = command(directory, subcommand, told).output().unwrap();
    (status.success(), [stdout, stderr].concat())
}

/// A running server; killed when the test ends early.
pub(crate) struct Server {
    child: Child,
    output: PathBuf,
    pub(crate) metric_api: String,
    pub(crate) admin: String,
}

impl Server {
    pub(crate) fn start(directory: &Path, told: &Told<'_>) -> Self {
        let output = directory.join("output");
        let file = File::create(&output).unwrap();
        let mut command = command(directory, &["serve"], told);
        let child = command.stdout(file.try_clone().unwrap()).stderr(file).spawn().unwrap();
        let run_file = directory.join("data/run.json");
        let mut server = Self { child, output, metric_api: String::new(), admin: String::new() };
        for _ in 0..ATTEMPTS {
            if let Ok(bytes) = std::fs::read(&run_file) {
                let run: Value = serde_json::from_slice(&bytes).unwrap();
                let address = |name: &str| run[name].as_str().unwrap().to_owned();
                (server.metric_api, server.admin) = (address("metric_api"), address("admin"));
                return server;
            }
            assert!(server.child.try_wait().unwrap().is_none(), "it ended: {}", server.shown());
            std::thread::sleep(PAUSE);
        }
        panic!("it does not come up: {}", server.shown());
    }

    fn shown(&self) -> String {
        String::from_utf8_lossy(&std::fs::read(&self.output).unwrap()).into_owned()
    }

    /// Waits until its output holds `text`.
    pub(crate) fn until_it_says(&self, text: &str) {
        for _ in 0..ATTEMPTS {
            if self.shown().contains(text) {
                return;
            }
            std::thread::sleep(PAUSE);
        }
        panic!("it does not say `{text}`: {}", self.shown());
    }

    /// Stops it; all that it printed.
    pub(crate) fn stop(mut self) -> Vec<u8> {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        self.child.wait().unwrap();
        std::fs::read(&self.output).unwrap()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// The whole answer to a request over HTTP/1.1, head and body.
pub(crate) fn ask(address: &str, what: &str, headers: &[(&str, &str)], body: &str) -> Vec<u8> {
    let mut stream = TcpStream::connect(address).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(60))).unwrap();
    let lines: String = headers.iter().map(|(name, value)| format!("{name}: {value}\r\n")).collect();
    let request = format!(
        "{what} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n{lines}\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).unwrap();
    answer
}

/// The status of an answer.
pub(crate) fn status(answer: &[u8]) -> u16 {
    String::from_utf8_lossy(answer).split(' ').nth(1).unwrap().parse().unwrap()
}
