//! What each subcommand does.

mod config;
mod meters;
mod policy;
mod polling;
mod send_sample;
mod serve;
mod status;
mod upgrade;

use std::io::{ErrorKind, Write as _};
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, anyhow};

use crate::cli::{Cli, Command, GlobalArgs, ServiceCommand};
use crate::config::{Config, Layers, Problem};
use crate::{bench, logging};

/// Used where no file is named.
const SYSTEM_CONFIG: &str = "/etc/nephometer/nephometer.toml";

/// Does what the command line asks.
pub(crate) fn run(cli: Cli) -> Result<()> {
    match cli.command {
        Command::Version => say(concat!("nephometer ", env!("CARGO_PKG_VERSION"), "\n"))?,
        Command::Config(command) => config::run(command, &cli.global)?,
        Command::Policy(command) => policy::run(&command, &cli.global)?,
        Command::CheckConfig(args) => config::check(&args, &cli.global)?,
        Command::Bench(args) => {
            logging::start(&Config::default().log)?;
            bench::run(&args, &cli.global.set)?;
        }
        Command::Service(ServiceCommand::Polling(args)) => polling::run(&args, cli.global)?,
        Command::Service(command) => serve::run(command.service(), command.clock(), &cli.global)?,
        Command::SendSample(args) => send_sample::run(&args, &cli.global)?,
        Command::Meters(args) => meters::run(&args, &cli.global)?,
        Command::Upgrade => upgrade::run(&cli.global)?,
        Command::Status(args) => status::run(&args, &cli.global)?,
    }
    Ok(())
}

/// Writes `text` to the standard output; a reader who has seen enough and gone (`| head`) is no error.
fn say(text: &str) -> Result<()> {
    match std::io::stdout().write_all(text.as_bytes()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("the standard output"),
        _ => Ok(()),
    }
}

/// Rows under a heading, in columns.
fn table<const N: usize>(heading: [&str; N], rows: &[[String; N]]) -> String {
    let heading = heading.map(str::to_owned);
    let width = |column: usize| {
        let cells = std::iter::once(&heading).chain(rows).map(|row| row[column].chars().count());
        cells.max().unwrap_or_default()
    };
    let widths: [usize; N] = std::array::from_fn(width);
    let mut out = String::new();
    for row in std::iter::once(&heading).chain(rows) {
        let cells = row.iter().zip(widths).map(|(cell, width)| format!("{cell:<width$}"));
        out.push_str(cells.collect::<Vec<_>>().join("  ").trim_end());
        out.push('\n');
    }
    out
}

/// The file that the configuration is read from, if any.
fn config_path(global: &GlobalArgs) -> Option<PathBuf> {
    let system = Path::new(SYSTEM_CONFIG);
    global.config.clone().or_else(|| system.exists().then(|| system.to_owned()))
}

/// Reads and checks the configuration; the error lists everything that is wrong.
fn load_config(global: &GlobalArgs) -> Result<Config> {
    let file = match config_path(global) {
        None => None,
        Some(path) => {
            let text = std::fs::read_to_string(&path)
                .with_context(|| format!("cannot read the configuration {}", path.display()))?;
            Some((path, text))
        }
    };
    let env = std::env::vars_os()
        .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
        .collect();
    let layers = Layers { file, env, flags: global.set.clone() };
    Config::load(layers).map_err(|problems| listed(&problems))
}

fn listed(problems: &[Problem]) -> anyhow::Error {
    let lines: String = problems.iter().map(|problem| format!("\n  {problem}")).collect();
    anyhow!("the configuration cannot be used:{lines}")
}
