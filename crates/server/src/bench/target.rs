//! The server under load: one that runs already, or one started here with its data in a fresh directory.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tempfile::TempDir;

use crate::cli::BenchArgs;
use crate::client::Endpoint;
use crate::process::{ProcessUse, directory_bytes, process_use};
use crate::run_file::RunFile;

/// A started server must answer within this.
const START_TIMEOUT: Duration = Duration::from_secs(20);
/// A started server must stop within this.
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const POLL: Duration = Duration::from_millis(20);

/// A server and, where it runs on this machine, its process.
pub(super) struct Target {
    pub(super) endpoint: Endpoint,
    pid: Option<u32>,
    started: Option<Started>,
}

struct Started {
    child: Child,
    directory: TempDir,
}

/// What the server holds in the end.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Settled {
    /// Its process, if it is known.
    pub(super) process: Option<ProcessUse>,
    /// Bytes of its data directory after it has stopped, where it was started here.
    pub(super) data_bytes: Option<u64>,
}

impl Target {
    /// The server at `args.url`, or a new one.
    pub(super) fn open(args: &BenchArgs, settings: &[String]) -> Result<Self> {
        match &args.url {
            Some(url) => Ok(Self { endpoint: Endpoint::parse(url)?, pid: args.pid, started: None }),
            None => Self::start(&args.dir, settings),
        }
    }

    fn start(parent: &Path, settings: &[String]) -> Result<Self> {
        let directory = tempfile::Builder::new()
            .prefix("nephometer-bench-")
            .tempdir_in(parent)
            .with_context(|| format!("no directory in {}", parent.display()))?;
        let data_dir = directory.path().join("data");
        let mut command = Command::new(std::env::current_exe().context("the path of this program")?);
        command.arg("serve").stdout(Stdio::null()).stderr(Stdio::inherit());
        for setting in [
            "metric_api.listen=127.0.0.1:0",
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
        let mut child = command.spawn().context("the server does not start")?;
        let pid = child.id();
        let mut waited = Duration::ZERO;
        let run = loop {
            if let Some(run) = RunFile::read(&data_dir)? {
                break run;
            }
            if let Some(status) = child.try_wait()? {
                bail!("the server ended at once: {status}");
            }
            if waited > START_TIMEOUT {
                child.kill()?;
                bail!("the server did not come up within {} s", START_TIMEOUT.as_secs());
            }
            std::thread::sleep(POLL);
            waited += POLL;
        };
        let endpoint = Endpoint::parse(&format!("http://{}", run.metric_api))?;
        Ok(Self { endpoint, pid: Some(pid), started: Some(Started { child, directory }) })
    }

    /// CPU and memory of the server's process so far.
    pub(super) fn process(&self) -> Option<ProcessUse> {
        self.pid.and_then(process_use)
    }

    /// Stops a server that was started here and measures what it leaves on disk.
    pub(super) fn settle(&mut self) -> Result<Settled> {
        let process = self.process();
        let Some(mut started) = self.started.take() else {
            return Ok(Settled { process, data_bytes: None });
        };
        Command::new("kill").args(["-TERM", &started.child.id().to_string()]).status()?;
        let mut waited = Duration::ZERO;
        while started.child.try_wait()?.is_none() {
            if waited > STOP_TIMEOUT {
                started.child.kill()?;
                bail!("the server did not stop within {} s", STOP_TIMEOUT.as_secs());
            }
            std::thread::sleep(POLL);
            waited += POLL;
        }
        Ok(Settled { process, data_bytes: Some(directory_bytes(started.directory.path())) })
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        // Nothing can be done about a process that is gone already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
