//! The arguments of `bench`.

use std::path::PathBuf;

use clap::{Args, ValueEnum};
use nephometer_openstack::keystone::Secret;

/// Arguments of `bench`.
#[derive(Debug, Clone, Args)]
pub(crate) struct BenchArgs {
    /// What to do: bulk, bulk-names, cycle, cycle-names, user, reads; and, only when named, latency, steady,
    /// steady-names, index, retention, alarms, alarms-aggregated
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workloads: Vec<String>,
    /// What the server is
    #[arg(long, value_enum, default_value_t = Kind::Nephometer)]
    pub(crate) target: Kind,
    /// The server, as http://[user@]host:port[/prefix]; without it one is started here for each workload and removed
    /// afterwards (nephometer, victoria-metrics)
    #[arg(long, required_if_eq("target", "gnocchi"))]
    pub(crate) url: Option<String>,
    /// Process of the server at --url, for its CPU time and memory with those of its children; may be repeated
    #[arg(long, requires = "url")]
    pub(crate) pid: Vec<u32>,
    /// Data directory of the server at --url, for its size; may be repeated
    #[arg(long, requires = "url", value_name = "DIRECTORY")]
    pub(crate) data_dir: Vec<PathBuf>,
    /// A Keystone token that requests carry, for servers that ask Keystone who their callers are
    #[arg(long, env = "OS_TOKEN", hide_env_values = true, value_parser = secret)]
    pub(crate) token: Option<Secret>,
    /// A server to compare with: KIND[,url=URL][,pid=PID]…[,data-dir=DIRECTORY]…[,metrics=N][,rounds=N], the last two
    /// instead of those of the others, where it is much slower; may be repeated
    #[arg(long, value_name = "SERVER", value_parser = Server::parse)]
    pub(crate) against: Vec<Server>,
    /// Where servers that are started here keep their data meanwhile; not a file system in memory, or syncs cost nothing
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub(crate) dir: PathBuf,
    /// Connections that write at once
    #[arg(long, default_value_t = 8, value_parser = at_least_one)]
    pub(crate) workers: usize,
    /// Metrics that are written [bulk: 10000, cycle, latency and alarms: 100000, alarms-aggregated:
    /// 1000000, steady: 3600000, retention: 60]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) metrics: Option<usize>,
    /// Metrics in a request [bulk: 100, otherwise 1000]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) batch: Option<usize>,
    /// How often each metric is written, after a first time that is not measured [bulk: 20 requests, cycle: 40]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) rounds: Option<usize>,
    /// Metrics of a resource, where resources and names are written [index: 4]
    #[arg(long, value_parser = at_least_one)]
    pub(crate) per_resource: Option<usize>,
    /// Resources of the workload `index`
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub(crate) resources: usize,
    /// Measures a second of the workload `steady`
    #[arg(long, default_value_t = 60_000, value_parser = at_least_one)]
    pub(crate) rate: usize,
    /// How long `steady`, `retention` and `alarms` run, and each part of `latency` and each read is repeated [5;
    /// retention: 30, alarms: 180]
    #[arg(long)]
    pub(crate) seconds: Option<f64>,
    /// Kills the server at the end of `steady` (as kill -9 does), before it is stopped as it should be
    #[arg(long)]
    pub(crate) kill: bool,
    /// Where the lines of `steady` go besides standard error
    #[arg(long, value_name = "FILE")]
    pub(crate) log: Option<PathBuf>,
    /// What the values follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

fn secret(text: &str) -> Result<Secret, std::convert::Infallible> {
    Ok(Secret::new(text))
}

/// What kind of server is loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Kind {
    /// This program.
    Nephometer,
    /// Gnocchi with its v1 API.
    Gnocchi,
    /// VictoriaMetrics, or whatever takes its JSON lines.
    VictoriaMetrics,
}

impl Kind {
    /// The name on the command line and in reports.
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Nephometer => "nephometer",
            Self::Gnocchi => "gnocchi",
            Self::VictoriaMetrics => "victoria-metrics",
        }
    }
}

/// A server to be loaded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Server {
    pub(super) kind: Kind,
    /// Where it is; nothing where it is to be started.
    pub(super) url: Option<String>,
    pub(super) pids: Vec<u32>,
    pub(super) data_dirs: Vec<PathBuf>,
    /// So many metrics and rounds instead of what the others get.
    metrics: Option<usize>,
    rounds: Option<usize>,
}

impl Server {
    fn parse(text: &str) -> Result<Self, String> {
        let mut parts = text.split(',');
        let kind = Kind::from_str(parts.next().unwrap_or_default(), false)?;
        let mut server =
            Self { kind, url: None, pids: Vec::new(), data_dirs: Vec::new(), metrics: None, rounds: None };
        for part in parts {
            match part.split_once('=') {
                Some(("url", url)) => server.url = Some(url.to_owned()),
                Some(("pid", pid)) => server.pids.push(pid.parse().map_err(|e| format!("{part}: {e}"))?),
                Some(("data-dir", path)) => server.data_dirs.push(PathBuf::from(path)),
                Some(("metrics", number)) => server.metrics = Some(at_least_one(number)?),
                Some(("rounds", number)) => server.rounds = Some(at_least_one(number)?),
                _ => return Err(format!("`{part}` is none of url=, pid=, data-dir=, metrics=, rounds=")),
            }
        }
        if kind == Kind::Gnocchi && server.url.is_none() {
            return Err("gnocchi is not started here: it needs url=".to_owned());
        }
        Ok(server)
    }
}

impl BenchArgs {
    /// The server under test, and those to compare with.
    pub(super) fn servers(&self) -> Vec<Server> {
        let first = Server {
            kind: self.target,
            url: self.url.clone(),
            pids: self.pid.clone(),
            data_dirs: self.data_dir.clone(),
            metrics: self.metrics,
            rounds: self.rounds,
        };
        std::iter::once(first).chain(self.against.iter().cloned()).collect()
    }

    /// The arguments as they are for one of the servers.
    pub(super) fn for_server(&self, server: &Server) -> Self {
        let (metrics, rounds) = (server.metrics.or(self.metrics), server.rounds.or(self.rounds));
        Self { metrics, rounds, ..self.clone() }
    }

    /// How long things are repeated.
    pub(super) fn duration_seconds(&self) -> f64 {
        self.seconds.unwrap_or(5.0)
    }

    /// How long things are repeated, in nanoseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, which is meant")]
    pub(super) fn duration_ns(&self) -> u64 {
        (self.duration_seconds() * 1e9) as u64
    }
}

fn at_least_one(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(0) => Err("must be at least 1".to_owned()),
        Ok(number) => Ok(number),
        Err(e) => Err(e.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_as_text() {
        let server = Server::parse("gnocchi,url=http://h:1,pid=3,pid=4,data-dir=/d").unwrap();
        assert_eq!((server.kind, server.url.as_deref()), (Kind::Gnocchi, Some("http://h:1")));
        assert_eq!((server.pids, server.data_dirs), (vec![3, 4], vec![PathBuf::from("/d")]));
        assert!(Server::parse("victoria-metrics").unwrap().url.is_none());
        let slow = Server::parse("victoria-metrics,metrics=10,rounds=2").unwrap();
        assert_eq!((slow.metrics, slow.rounds), (Some(10), Some(2)));
        for bad in ["gnocchi", "prometheus", "nephometer,port=1", "nephometer,pid=x", "nephometer,rounds=0"] {
            assert!(Server::parse(bad).is_err(), "{bad}");
        }
    }
}
