//! The load generator: writes and reads over HTTP with the values of a real cloud, against servers given by URL or ones
//! that it starts itself in temporary directories, side by side.
//!
//! The generator shares the machine with the server it measures, so it costs little: one thread and one kept-alive
//! connection a worker, bodies made before the time is taken. Everything follows from the seed but ids and timing.
//! `PERFORMANCE.md` says what the workloads are and what they found.

mod alarms;
mod args;
mod index;
mod latency;
mod load;
mod log;
mod names;
mod paced;
mod progress;
mod reads;
mod report;
mod retention;
mod runner;
mod schedule;
mod setup;
mod steady;
mod tally;
mod target;
mod usage;
mod user;
mod values;
mod workload;

use anyhow::{Context, Result, bail};

pub(crate) use args::BenchArgs;
use report::Report;
use retention::Haste;
use target::{StartSettings, Target};
use workload::Workload;

/// Runs the workloads that `args` name and prints the report.
///
/// `settings` are `section.key=value` arguments for a server of ours that is started here.
pub(crate) fn run(args: &BenchArgs, settings: &[String]) -> Result<()> {
    let mut report = Report::new(args);
    for workload in chosen(&args.workloads)? {
        let haste = Haste::of(args.seconds);
        let (mut all_settings, mut arguments) = (Vec::new(), Vec::new());
        if workload == Workload::Retention {
            all_settings = retention::settings();
            arguments.push(haste.argument());
        }
        all_settings.extend_from_slice(settings);
        let (parent, token) = (args.dir.as_path(), args.token.as_ref());
        let how = StartSettings { parent, settings: &all_settings, arguments: &arguments, token };
        for server in args.servers() {
            if !workload.suits(server.kind) {
                continue;
            }
            let mut target = Target::open(&server, how)?;
            let outcomes = workload
                .run(&args.for_server(&server), &mut target, haste)
                .with_context(|| format!("workload {} on {}", workload.name(), server.kind.name()))?;
            eprintln!("{} on {}: done", workload.name(), server.kind.name());
            report.add(outcomes);
        }
    }
    print!("{}", if args.json { report.json()? } else { report.table() });
    if report.problems() > 0 {
        bail!("{} requests failed or did not read back what was written", report.problems());
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Workload>> {
    if names.is_empty() {
        return Ok(Workload::USUAL.to_vec());
    }
    let find = |name: &String| {
        let known = || Workload::ALL.map(Workload::name).join(", ");
        Workload::ALL
            .into_iter()
            .find(|workload| workload.name() == name)
            .with_context(|| format!("no workload `{name}`: there are {}", known()))
    };
    names.iter().map(find).collect()
}
