//! The server under load: one that runs already, or one started here with its data in a fresh directory.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nephometer_model::{Clock, SystemClock};
use nephometer_openstack::keystone::Secret;
use tempfile::TempDir;

use crate::client::{Answer, Connection, Endpoint};
use crate::process::directory_bytes;
use crate::run_file::RunFile;
use crate::telemetry::Snapshot;

use super::args::{Kind, Server};
use super::usage::{Usage, usage};

/// A started server must answer within this.
const START_TIMEOUT: Duration = Duration::from_secs(60);
/// A started server must stop within this.
const STOP_TIMEOUT: Duration = Duration::from_secs(300);
/// Peers may be slow.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(600);
/// A data directory must be still within this.
const STILL_TIMEOUT: Duration = Duration::from_secs(900);
/// A data directory is still when its size did not change for so long.
const STILL: Duration = Duration::from_secs(3);
const POLL: Duration = Duration::from_millis(10);

/// How servers are started.
#[derive(Debug, Clone, Copy)]
pub(super) struct StartSettings<'a> {
    /// Where their directories are made.
    pub(super) parent: &'a Path,
    /// `section.key=value` arguments for ours; the last of a key counts.
    pub(super) settings: &'a [String],
    /// More arguments of `serve`.
    pub(super) arguments: &'a [String],
    /// Keystone token of requests.
    pub(super) token: Option<&'a Secret>,
}

/// A server and, where it runs on this machine, its processes and its data.
pub(super) struct Target {
    pub(super) kind: Kind,
    pub(super) endpoint: Endpoint,
    pids: Vec<u32>,
    data_dirs: Vec<PathBuf>,
    started: Option<Started>,
    /// Keeps the data of a server that was started here.
    _directory: Option<TempDir>,
    settings: Vec<String>,
    arguments: Vec<String>,
    clock: SystemClock,
}

/// A process that is killed when it is dropped.
struct Started(Child);

/// What became of the server after a load.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settled {
    /// Bytes of its data, flushed and merged.
    pub(super) data_bytes: Option<u64>,
    /// CPU time of flushing and merging since the load ended, in seconds.
    pub(super) cpu_seconds: Option<f64>,
    /// Bytes that it had written since the load ended.
    pub(super) written_bytes: Option<u64>,
    /// From the start of its process to its first answer, where it was started again.
    pub(super) start_seconds: Option<f64>,
    /// What it uses now.
    pub(super) usage: Option<Usage>,
}

impl Target {
    /// The server, started where it has no URL.
    pub(super) fn open(server: &Server, how: StartSettings<'_>) -> Result<Self> {
        let mut target = Self {
            kind: server.kind,
            endpoint: Endpoint::parse(server.url.as_deref().unwrap_or("http://127.0.0.1:1"))?
                .with_token(how.token.cloned()),
            pids: server.pids.clone(),
            data_dirs: server.data_dirs.clone(),
            started: None,
            _directory: None,
            settings: how.settings.to_vec(),
            arguments: how.arguments.to_vec(),
            clock: SystemClock::new(),
        };
        if server.url.is_none() {
            let directory = tempfile::Builder::new()
                .prefix("nephometer-bench-")
                .tempdir_in(how.parent)
                .with_context(|| format!("no directory in {}", how.parent.display()))?;
            target.data_dirs = vec![directory.path().join("data")];
            target._directory = Some(directory);
            target.start()?;
        }
        Ok(target)
    }

    /// Starts the server on its directory; returns the seconds to its first answer.
    fn start(&mut self) -> Result<f64> {
        let begin_ns = self.clock.monotonic_ns();
        let data_dir = &self.data_dirs[0];
        let (mut command, address) = match self.kind {
            Kind::Nephometer => (nephometer(data_dir, &self.settings, &self.arguments)?, None),
            Kind::VictoriaMetrics => {
                let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
                (victoria_metrics(data_dir, port), Some(format!("http://127.0.0.1:{port}")))
            }
            Kind::Gnocchi => bail!("gnocchi is not started here: it needs --url"),
        };
        let child = command.stdout(Stdio::null()).spawn().context("the server does not start")?;
        self.pids = vec![child.id()];
        let started = self.started.insert(Started(child));
        let end_ns = begin_ns + as_ns(START_TIMEOUT);
        loop {
            let url = match &address {
                Some(url) => Some(url.clone()),
                None => RunFile::read(data_dir)?.and_then(|run| run.metric_api_url()),
            };
            if let Some(url) = url {
                self.endpoint = Endpoint::parse(&url)?.with_token(self.endpoint.token.clone());
                if first_answer(&self.endpoint).is_ok() {
                    break;
                }
            }
            if let Some(status) = started.0.try_wait()? {
                bail!("the server ended at once: {status}");
            }
            if self.clock.monotonic_ns() > end_ns {
                bail!("the server did not come up within {} s", START_TIMEOUT.as_secs());
            }
            std::thread::sleep(POLL);
        }
        Ok(seconds(self.clock.monotonic_ns() - begin_ns))
    }

    /// Kills the server (as `kill -9` does), or stops it as one should, and starts it again; returns the seconds to its
    /// first answer.
    pub(super) fn restart(&mut self, kill: bool) -> Result<f64> {
        let started = self.started.take().context("the server was not started here")?;
        if kill {
            drop(started);
        } else {
            stop(started, &self.clock)?;
        }
        self.start()
    }

    /// The data directory of a server that was started here.
    pub(super) fn data_dir(&self) -> Option<&Path> {
        self.started.as_ref().and(self.data_dirs.first()).map(PathBuf::as_path)
    }

    /// A connection to the server.
    pub(super) fn connect(&self) -> Result<Connection> {
        let mut connection = Connection::open(&self.endpoint)?;
        connection.wait_at_most(ANSWER_TIMEOUT)?;
        Ok(connection)
    }

    /// What the server's processes have used so far.
    pub(super) fn usage(&self) -> Option<Usage> {
        usage(&self.pids)
    }

    /// Bytes of its measures, where that is known; what its index of metrics takes is left out.
    pub(super) fn data_bytes(&self) -> Option<u64> {
        let below = match self.kind {
            Kind::Nephometer => "measures",
            Kind::VictoriaMetrics => "data",
            Kind::Gnocchi => "",
        };
        let bytes = |path: &PathBuf| directory_bytes(&path.join(below));
        (!self.data_dirs.is_empty()).then(|| self.data_dirs.iter().map(bytes).sum())
    }

    /// Bytes of what it knows of metrics, where that is known.
    pub(super) fn index_bytes(&self) -> Option<u64> {
        let all: u64 = self.data_dirs.iter().map(|path| directory_bytes(path)).sum();
        Some(all - self.data_bytes()?.min(all))
    }

    /// What a server of ours counts about itself, as OpenMetrics text.
    pub(super) fn own_metrics(&self) -> Option<String> {
        String::from_utf8(self.ask_admin("/metrics").ok()?.body).ok()
    }

    /// What a server of ours says about itself.
    pub(super) fn own_status(&self) -> Result<Snapshot> {
        Ok(serde_json::from_value(self.ask_admin("/status")?.json()?)?)
    }

    fn ask_admin(&self, path: &str) -> Result<Answer> {
        let endpoint = self.run_file()?.admin_endpoint().context("the server has no admin listener")?;
        Connection::open(&endpoint)?.request("GET", path, b"")
    }

    /// Where the alarm API of a server of ours is.
    pub(super) fn alarm_endpoint(&self) -> Result<Endpoint> {
        let url = self.run_file()?.alarm_api_url().context("the server has no alarm API")?;
        Ok(Endpoint::parse(&url)?.with_token(self.endpoint.token.clone()))
    }

    fn run_file(&self) -> Result<RunFile> {
        let data_dir = self.data_dir().context("the server's data directory is not known")?;
        RunFile::read(data_dir)?.with_context(|| format!("no server runs on {}", data_dir.display()))
    }

    /// Has the server bring its data into order, and waits until it has: one that was started here is stopped, which
    /// writes to disk what is in memory, and started again; others are only waited for.
    pub(super) fn settle(&mut self) -> Result<Settled> {
        let mut settled = Settled::default();
        let before = self.usage();
        let mut base = before;
        if let Some(started) = self.started.take() {
            let last = stop(started, &self.clock)?;
            settled.cpu_seconds = difference(before, last, |usage| usage.cpu_seconds);
            settled.written_bytes =
                last.zip(before).map(|(last, before)| last.written_bytes - before.written_bytes);
            settled.start_seconds = Some(self.start()?);
            base = Some(Usage::default());
        }
        settled.data_bytes = self.until_still();
        settled.usage = self.usage();
        let more = difference(base, settled.usage, |usage| usage.cpu_seconds);
        settled.cpu_seconds = more.map(|more| more + settled.cpu_seconds.unwrap_or(0.0));
        if let (Some(base), Some(last)) = (base, settled.usage) {
            let more = last.written_bytes.saturating_sub(base.written_bytes);
            settled.written_bytes = Some(settled.written_bytes.unwrap_or(0) + more);
        }
        Ok(settled)
    }

    fn until_still(&self) -> Option<u64> {
        let mut bytes = self.data_bytes()?;
        let end_ns = self.clock.monotonic_ns() + as_ns(STILL_TIMEOUT);
        let mut changed_ns = self.clock.monotonic_ns();
        loop {
            std::thread::sleep(POLL * 20);
            let (now_ns, now_bytes) = (self.clock.monotonic_ns(), self.data_bytes()?);
            if now_bytes != bytes {
                (bytes, changed_ns) = (now_bytes, now_ns);
            }
            if now_ns - changed_ns > as_ns(STILL) {
                return Some(bytes);
            }
            if now_ns > end_ns {
                tracing::warn!("the data directory did not come to rest");
                return Some(bytes);
            }
        }
    }
}

/// `after - before` of one figure.
pub(super) fn difference(
    before: Option<Usage>,
    after: Option<Usage>,
    figure: impl Fn(&Usage) -> f64,
) -> Option<f64> {
    Some(figure(&after?) - figure(&before?))
}

fn nephometer(data_dir: &Path, settings: &[String], arguments: &[String]) -> Result<Command> {
    let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
    command.arg("serve").args(arguments);
    for setting in [
        "metric_api.listen=127.0.0.1:0",
        "alarm_api.listen=127.0.0.1:0",
        "admin.listen=127.0.0.1:0",
        "statsd.enabled=false",
        "self_monitoring.enabled=false",
        "log.level=warn",
        &format!("storage.data_dir={}", data_dir.display()),
    ] {
        command.args(["--set", setting]);
    }
    for setting in settings {
        command.args(["--set", setting]);
    }
    Ok(command)
}

fn victoria_metrics(data_dir: &Path, port: u16) -> Command {
    let mut command = Command::new("victoria-metrics");
    command
        .arg(format!("-storageDataPath={}", data_dir.display()))
        .arg(format!("-httpListenAddr=127.0.0.1:{port}"))
        .args(["-retentionPeriod=10y", "-search.latencyOffset=0", "-loggerLevel=ERROR"]);
    command
}

fn first_answer(endpoint: &Endpoint) -> Result<()> {
    Connection::open(endpoint)?.request("GET", "/", b"").map(|_| ())
}

/// Stops a server; returns what it had used in the end, to within [`POLL`].
fn stop(mut started: Started, clock: &SystemClock) -> Result<Option<Usage>> {
    let pid = started.0.id();
    Command::new("kill").args(["-TERM", &pid.to_string()]).status()?;
    let end_ns = clock.monotonic_ns() + as_ns(STOP_TIMEOUT);
    let mut last = None;
    loop {
        // A process that has ended still shows its time here but no memory, until it is waited for.
        let now = usage(&[pid]).filter(|now| now.resident_bytes > 0);
        last = now.or(last);
        if started.0.try_wait()?.is_some() {
            return Ok(last);
        }
        if clock.monotonic_ns() > end_ns {
            bail!("the server did not stop within {} s", STOP_TIMEOUT.as_secs());
        }
        std::thread::sleep(POLL);
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Nothing can be done about a process that is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn as_ns(duration: Duration) -> u64 {
    u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)
}

/// Nanoseconds as seconds.
#[expect(clippy::cast_precision_loss, reason = "figures for reports")]
pub(super) fn seconds(ns: u64) -> f64 {
    ns as f64 / 1e9
}
