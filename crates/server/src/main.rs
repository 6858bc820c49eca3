//! The nephometer program: roles, configuration, wiring. The only crate that sees services and adapters.
//!
//! `cli` says what can be asked, `commands` does it, `services` says which roles a process runs, `wiring` and `stage` build what
//! these stand on, `roles` are the parts that run.

mod alarm_bus;
mod alarms;
mod bench;
mod certificates;
mod cli;
mod client;
mod collection;
mod commands;
mod config;
mod host;
mod identity;
mod import;
mod logging;
mod memory;
mod panics;
mod policy_file;
mod process;
mod roles;
mod run_file;
mod services;
mod stage;
mod telemetry;
mod watcher;
mod wiring;

use std::process::ExitCode;

use clap::Parser;

fn main() -> ExitCode {
    panics::install();
    // rustls asks for one where a library does not name its own; nobody can have been first.
    drop(rustls::crypto::ring::default_provider().install_default());
    match commands::run(cli::Cli::parse()) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("nephometer: {error:#}");
            ExitCode::FAILURE
        }
    }
}
