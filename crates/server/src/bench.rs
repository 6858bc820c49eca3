//! The load generator: writes and reads over HTTP with the values of a real cloud, against a server given by URL or one
//! that it starts itself in a temporary directory.
//!
//! The generator shares the machine with the server it measures, so it costs little: one thread and one kept-alive
//! connection a worker, bodies written without a tree. Everything follows from the seed but the timing.

mod load;
mod report;
mod setup;
mod target;
mod values;
mod workload;

use anyhow::{Context, Result, bail};

use crate::cli::BenchArgs;
use report::Report;
use target::Target;
use workload::Workload;

/// Runs the workloads that `args` name and prints the report.
///
/// `settings` are `section.key=value` arguments for a server that is started here.
pub(crate) fn run(args: &BenchArgs, settings: &[String]) -> Result<()> {
    let workloads = chosen(&args.workloads)?;
    let mut target = Target::open(args, settings)?;
    let mut report = Report::new(args);
    for workload in workloads {
        let outcome = workload.run(args, &target).with_context(|| format!("workload {}", workload.name()))?;
        if !args.json {
            eprintln!("{}: done in {:.1} s", workload.name(), outcome.seconds);
        }
        report.add(outcome);
    }
    report.finish(target.settle()?);
    print!("{}", if args.json { report.json()? } else { report.table() });
    if report.failures() > 0 {
        bail!("{} requests failed or did not read back what was written", report.failures());
    }
    Ok(())
}

fn chosen(names: &[String]) -> Result<Vec<Workload>> {
    if names.is_empty() {
        return Ok(Workload::ALL.to_vec());
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
