//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

/// Measures cloud: metrics, resources and aggregates with Gnocchi's API, in one program.
#[derive(Debug, Parser)]
#[command(name = "nephometer", version, max_term_width = 100, propagate_version = true)]
pub(crate) struct Cli {
    #[command(flatten)]
    pub(crate) global: GlobalArgs,
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// Where the configuration comes from.
#[derive(Debug, Args)]
pub(crate) struct GlobalArgs {
    /// Configuration file (TOML); without it /etc/nephometer/nephometer.toml, where that exists
    #[arg(short, long, global = true, value_name = "FILE", env = "NEPHOMETER_CONFIG")]
    pub(crate) config: Option<PathBuf>,
    /// Sets one key, over file and environment; may be repeated
    #[arg(short, long, global = true, value_name = "SECTION.KEY=VALUE")]
    pub(crate) set: Vec<String>,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Runs every role in this process until SIGTERM or SIGINT
    Serve,
    /// Brings the index to this version's schema and, where it is empty, creates the default archive policies
    Upgrade,
    /// Checks the configuration and the policy file, and starts nothing
    CheckConfig,
    /// Tells how the server of this configuration is
    Status(StatusArgs),
    /// Puts load on a server and reports rates, CPU time and latencies
    Bench(BenchArgs),
    /// Shows the default, the current or an imported configuration
    #[command(subcommand)]
    Config(ConfigCommand),
    /// Prints the version
    Version,
}

/// Arguments of `config`.
#[derive(Debug, Subcommand)]
pub(crate) enum ConfigCommand {
    /// Prints every key with its default and what it means
    Default,
    /// Prints the configuration that flags, environment and file make together
    Show,
    /// Turns a gnocchi.conf into a configuration of ours, with comments on what has no counterpart
    Import {
        /// The file to read
        file: PathBuf,
    },
}

/// Arguments of `status`.
#[derive(Debug, Args)]
pub(crate) struct StatusArgs {
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

/// Arguments of `bench`.
#[derive(Debug, Args)]
pub(crate) struct BenchArgs {
    /// The server, as http://[user@]host:port[/prefix]; without it one is started here and removed afterwards
    #[arg(long)]
    pub(crate) url: Option<String>,
    /// Process of the server at --url, for its CPU time and memory
    #[arg(long, requires = "url")]
    pub(crate) pid: Option<u32>,
    /// Where a server that is started here keeps its data meanwhile; not a file system in memory, or syncs cost nothing
    #[arg(long, default_value = ".", value_name = "DIRECTORY")]
    pub(crate) dir: PathBuf,
    /// What to do: bulk-ids, bulk-names, reads, panels, panels-batch; without any, all of them
    #[arg(value_name = "WORKLOAD")]
    pub(crate) workloads: Vec<String>,
    /// How long each workload runs
    #[arg(long, default_value_t = 10.0)]
    pub(crate) seconds: f64,
    /// Connections that write at once
    #[arg(long, default_value_t = 2, value_parser = at_least_one)]
    pub(crate) workers: usize,
    /// Metrics that are written
    #[arg(long, default_value_t = 10_000, value_parser = at_least_one)]
    pub(crate) metrics: usize,
    /// Metrics in a request
    #[arg(long, default_value_t = 100, value_parser = at_least_one)]
    pub(crate) batch_metrics: usize,
    /// Measures of each metric in a request
    #[arg(long, default_value_t = 60)]
    pub(crate) measures: u32,
    /// Time between two measures of a metric
    #[arg(long, default_value_t = 60)]
    pub(crate) step_seconds: u32,
    /// What the values follow from
    #[arg(long, default_value_t = 1)]
    pub(crate) seed: u64,
    /// Prints JSON
    #[arg(long)]
    pub(crate) json: bool,
}

impl BenchArgs {
    /// How long each workload runs, in nanoseconds.
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "saturates, which is meant")]
    pub(crate) fn duration_ns(&self) -> u64 {
        (self.seconds * 1e9) as u64
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
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        Cli::command().debug_assert();
        let cli = Cli::try_parse_from(["nephometer", "serve", "--set", "a.b=c", "-s", "d.e=f"]).unwrap();
        assert_eq!(cli.global.set, ["a.b=c", "d.e=f"]);
        let cli = Cli::try_parse_from(["nephometer", "bench", "reads", "--seconds", "0.5"]).unwrap();
        let Command::Bench(args) = cli.command else { panic!() };
        assert_eq!((args.duration_ns(), args.workloads.as_slice()), (500_000_000, &["reads".to_owned()][..]));
        assert!(Cli::try_parse_from(["nephometer", "bench", "--workers", "0"]).is_err());
    }
}
