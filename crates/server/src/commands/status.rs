//! `status`: how the processes of this configuration on this host are, asked from them, or from what was left on disk.

use std::io;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Serialize;

use crate::cli::{GlobalArgs, StatusArgs};
use crate::client::Connection;
use crate::process::{directory_bytes, process_use};
use crate::run_file::RunFile;
use crate::telemetry::{
    AlarmFigures, CertificateFigures, EvaluatorFigures, HeardFigures, KeystoneFigures, LimitFigures,
    SampleFigures, Snapshot, StoreFigures,
};
use crate::wiring::MEASURES_NAME;

use super::{load_config, say};

/// What is known.
#[derive(Debug, Serialize)]
struct Status {
    /// Of the process that holds the data directory.
    #[serde(flatten)]
    holder: Holder,
    /// The other processes of this configuration on this host.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    others: Vec<Other>,
}

/// The process that holds the data directory.
#[derive(Debug, Serialize)]
#[serde(tag = "state", rename_all = "lowercase")]
enum Holder {
    /// It answers.
    Running {
        run: RunFile,
        data_bytes: u64,
        #[serde(flatten)]
        snapshot: Box<Snapshot>,
    },
    /// It runs, but its own listener is off.
    Silent { run: RunFile, data_bytes: u64 },
    /// It does not run.
    Stopped { data_bytes: u64, files: Files },
}

/// A process that does not hold the data directory.
#[derive(Debug, Serialize)]
struct Other {
    run: RunFile,
    /// Nothing where it does not say.
    #[serde(flatten)]
    snapshot: Option<Box<Snapshot>>,
}

/// What a stopped server has left.
#[derive(Debug, Serialize)]
struct Files {
    /// Parts.
    parts: u64,
    /// Bytes of the log, which the next start replays as far as parts do not cover it.
    log_bytes: u64,
}

impl Files {
    fn of(data_dir: &Path) -> Self {
        let measures = data_dir.join(MEASURES_NAME);
        let parts = std::fs::read_dir(measures.join("parts")).map_or(0, Iterator::count);
        Self { parts: parts as u64, log_bytes: directory_bytes(&measures.join("log")) }
    }
}

/// Prints the status.
pub(super) fn run(args: &StatusArgs, global: &GlobalArgs) -> Result<()> {
    let config = load_config(global)?;
    let data_dir = &config.storage.data_dir;
    let is_alive = |pid| process_use(pid).is_some();
    let others = RunFile::beside(data_dir, is_alive)?.into_iter().map(|run| {
        let snapshot = ask(&run).ok().map(Box::new);
        Other { run, snapshot }
    });
    let others = others.collect();
    let data_bytes = directory_bytes(data_dir);
    let holder = match RunFile::read(data_dir)?.filter(|run| is_alive(run.pid)) {
        None => Holder::Stopped { data_bytes, files: Files::of(data_dir) },
        Some(run @ RunFile { admin: None, .. }) => Holder::Silent { run, data_bytes },
        Some(run) => match ask(&run) {
            Ok(snapshot) => Holder::Running { run, data_bytes, snapshot: Box::new(snapshot) },
            // A server that was killed leaves its run file, and its number may be another process's by now.
            Err(error) if is_refused(&error) => Holder::Stopped { data_bytes, files: Files::of(data_dir) },
            Err(error) => return Err(error.context(format!("process {} does not answer", run.pid))),
        },
    };
    let status = Status { holder, others };
    if args.json { say(&(serde_json::to_string_pretty(&status)? + "\n")) } else { say(&table(&status)) }
}

fn ask(run: &RunFile) -> Result<Snapshot> {
    let admin = run.admin_endpoint().context("it serves no status")?;
    let mut connection = Connection::open(&admin)?;
    Ok(serde_json::from_value(connection.request("GET", "/status", b"")?.json()?)?)
}

fn is_refused(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.downcast_ref::<io::Error>().is_some_and(|e| e.kind() == io::ErrorKind::ConnectionRefused)
    })
}

fn table(status: &Status) -> String {
    let mut rows: Vec<(&str, String)> = Vec::new();
    let data_bytes = match &status.holder {
        Holder::Stopped { data_bytes, files: Files { parts, log_bytes } } => {
            let state =
                if status.others.is_empty() { "stopped" } else { "nobody holds the measure store here" };
            rows.push(("state", state.to_owned()));
            rows.push(("parts", parts.to_string()));
            rows.push(("log", format!("{log_bytes} bytes")));
            data_bytes
        }
        Holder::Silent { run, data_bytes } => {
            rows.push(("state", format!("running as process {}; admin.listen is off", run.pid)));
            listeners(&mut rows, run);
            data_bytes
        }
        Holder::Running { run, data_bytes, snapshot } => {
            running(&mut rows, run, snapshot);
            data_bytes
        }
    };
    rows.push(("data directory", format!("{data_bytes} bytes")));
    for Other { run, snapshot } in &status.others {
        rows.push(("", String::new()));
        match snapshot {
            Some(snapshot) => running(&mut rows, run, snapshot),
            None => rows.push((
                "state",
                format!("{} runs as process {}; it does not say how it is", run.service, run.pid),
            )),
        }
    }
    rows.into_iter().map(|(name, value)| format!("{name:<22} {value}").trim_end().to_owned() + "\n").collect()
}

fn listeners(rows: &mut Vec<(&str, String)>, run: &RunFile) {
    rows.extend(run.metric_api_url().map(|url| ("metric API", format!("{url}/"))));
    rows.extend(run.alarm_api_url().map(|url| ("alarm API", format!("{url}/"))));
}

fn running(rows: &mut Vec<(&str, String)>, run: &RunFile, snapshot: &Snapshot) {
    let Snapshot {
        version,
        uptime_seconds,
        store,
        keystone,
        limits,
        certificates,
        alarms,
        polling,
        samples,
        process,
        ..
    } = snapshot;
    let (service, pid) = (&run.service, run.pid);
    rows.push(("state", format!("{service} {version} running as process {pid} for {uptime_seconds:.0} s")));
    listeners(rows, run);
    if let Some(keystone) = keystone {
        rows.push(("Keystone", reached(keystone)));
        rows.push((
            "tokens",
            format!(
                "{} remembered, {} hits, {} misses, {} calls to Keystone of which {} failed",
                keystone.remembered_tokens,
                keystone.cache_hits,
                keystone.cache_misses,
                keystone.upstream_calls,
                keystone.upstream_failures
            ),
        ));
    }
    rows.extend(refused(limits).map(|text| ("refused by limits", text)));
    rows.extend(certificates.iter().map(|certificate| ("TLS", good_until(certificate))));
    if let Some(store) = store {
        stored(rows, store, snapshot);
    }
    for (name, text) in alarms.iter().flat_map(of_alarms) {
        rows.push((name, text));
    }
    rows.extend(polling.as_ref().map(|polling| ("polling", polling.summary())));
    for (name, text) in samples.iter().flat_map(SampleFigures::summary) {
        rows.push((name, text));
    }
    rows.push((
        "process",
        format!("{:.1} s CPU, {} bytes resident", process.cpu_seconds, process.resident_bytes),
    ));
}

/// The measure store, and the index of its metrics.
fn stored(rows: &mut Vec<(&str, String)>, store: &StoreFigures, snapshot: &Snapshot) {
    let Snapshot { metric_cache, index, .. } = snapshot;
    let writes = store.refusing_writes.as_ref().map(|reason| format!("refused: {reason}"));
    rows.push(("writes", writes.unwrap_or_else(|| "accepted".to_owned())));
    rows.push((
        "index",
        index.map_or("does not answer".to_owned(), |index| {
            format!(
                "{} metrics, {} resources, {} archive policies",
                index.metrics, index.resources, index.archive_policies
            )
        }),
    ));
    rows.push(("measures written", store.measures_written.to_string()));
    rows.push(("in memory", format!("{} measures of {} series", store.head_measures, store.head_series)));
    rows.push(("cache", format!("{} metrics in {} bytes", metric_cache.entries, metric_cache.bytes)));
    rows.push(("log", format!("{} bytes", store.log_bytes)));
    rows.push((
        "parts",
        format!("{} with {} measures in {} bytes", store.parts, store.part_measures, store.part_bytes),
    ));
    rows.push(("flushes, merges", format!("{}, {}", store.flushes, store.merges)));
    rows.push(("late measures", store.late_measures.to_string()));
    rows.push(("quarantined blocks", store.quarantined_blocks.to_string()));
}

/// What limits have refused; nothing where they have refused nothing.
fn refused(limits: &LimitFigures) -> Option<String> {
    let LimitFigures { refused_in_flight, refused_measures, refused_request_size, most_refused, .. } = limits;
    let (first, _) = most_refused.first()?;
    let more = most_refused.len() - 1;
    let others = if more > 0 { format!(" and {more} more (--json names them)") } else { String::new() };
    Some(format!(
        "{refused_in_flight} requests in flight, {refused_measures} for their measures, {refused_request_size} for their \
         size; most of {first}{others}"
    ))
}

/// Alarms by state, how they are decided and told, and what was heard of the bus.
fn of_alarms(alarms: &AlarmFigures) -> Vec<(&'static str, String)> {
    let AlarmFigures { states, waiting_messages, oldest_message_seconds, dead_messages, .. } = alarms;
    let states: Vec<_> = states.iter().map(|(state, count)| format!("{count} {state}")).collect();
    let states = if states.is_empty() { "none".to_owned() } else { states.join(", ") };
    let mut rows = vec![("alarms", states)];
    rows.extend(alarms.evaluator.as_ref().map(|evaluator| {
        let EvaluatorFigures { evaluations, transitions, failures, .. } = evaluator;
        let EvaluatorFigures { lag_p50_ms, lag_p99_ms, lag_max_ms, .. } = evaluator;
        let how = if evaluator.hears_of_writes {
            format!(
                "lately {lag_p50_ms:.0} ms after their measures (p50), {lag_p99_ms:.0} (p99), {lag_max_ms:.0} (max)"
            )
        } else {
            "by time alone: writes are not heard of".to_owned()
        };
        let text = format!(
            "{evaluations} evaluations, {transitions} changes of state, {failures} failures; {how}"
        );
        ("evaluator", text)
    }));
    let waiting = match waiting_messages {
        0 => "none waits".to_owned(),
        waiting => format!("{waiting} wait, the oldest for {oldest_message_seconds:.0} s"),
    };
    let work = alarms.notifier.as_ref().map_or_else(String::new, |notifier| {
        format!(
            "; {} sent, {} retried, {} given up since the start",
            notifier.sent, notifier.retried, notifier.dead
        )
    });
    rows.push(("messages", format!("{waiting}, {dead_messages} dead{work}")));
    rows.extend(alarms.heard.iter().map(|(listener, heard)| {
        let HeardFigures { handled, dropped, repeated, interruptions } = heard;
        let text = format!(
            "{listener}: {handled} handled, {dropped} dropped, {repeated} repeated, {interruptions} interruptions"
        );
        ("message bus", text)
    }));
    rows
}

fn good_until(certificate: &CertificateFigures) -> String {
    let CertificateFigures { listener, not_after, left_seconds, is_ending, failure, .. } = certificate;
    let days = left_seconds.div_euclid(86_400);
    let renew = if *is_ending { "; renew it" } else { "" };
    let failure =
        failure.as_ref().map_or_else(String::new, |reason| format!("; its files cannot be used: {reason}"));
    format!("certificate of {listener} is good until {not_after} ({days} days){renew}{failure}")
}

fn reached(keystone: &KeystoneFigures) -> String {
    let KeystoneFigures { is_reachable, failure, .. } = keystone;
    match (is_reachable, failure) {
        (None, _) => "not asked yet".to_owned(),
        (Some(true), _) => "answers".to_owned(),
        (Some(false), None) => "does not answer".to_owned(),
        (Some(false), Some(failure)) => format!("does not answer: {failure}"),
    }
}
