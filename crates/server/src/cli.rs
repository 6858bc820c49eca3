//! The command line.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand};

use crate::bench::BenchArgs;

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
    Bench(Box<BenchArgs>),
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
        assert_eq!(args.workloads, ["reads"]);
        assert!(Cli::try_parse_from(["nephometer", "bench", "--workers", "0"]).is_err());
    }
}
