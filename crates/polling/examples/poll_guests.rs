//! Reads the guests of a libvirt whenever it is told to, and says what it read: for proofs against real daemons, and to measure.
//!
//! `poll_guests URI` reads a line for each cycle from its standard input and answers with a line of JSON: all samples, what
//! failed, the CPU time of the cycle and the memory that is resident after it. `poll_guests --serve N` is a daemon with `N`
//! recorded domains, in a process of its own so that its work is not measured; it prints its URI. `poll_guests --measure N`
//! starts one and prints what cycles of all its domains cost.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use async_trait::async_trait;
use nephometer_model::{Sample, SystemClock};
use nephometer_pipeline::{NotAccepted, SampleSink};
use nephometer_polling::compute::{self, ComputeParts, ComputeSettings, UserMetadataRules};
use nephometer_polling::{Cycle, Plugins, SampleOut};
use nephometer_testkit::libvirt::{FakeDomain, FakeLibvirt};
use parking_lot::Mutex;
use serde_json::{Value, json};

const INTERVAL: Duration = Duration::from_secs(10);
const MEASURED_CYCLES: u32 = 10;

/// Counts samples, and keeps them where they are to be shown.
struct Taken {
    keeps: bool,
    count: Mutex<u64>,
    samples: Mutex<Vec<Sample>>,
}

#[async_trait]
impl SampleSink for Taken {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        *self.count.lock() += samples.len() as u64;
        if self.keeps {
            self.samples.lock().extend(samples);
        }
        Ok(())
    }
}

fn main() -> Result<()> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>().as_slice() {
        ["--serve", count] => serve(count.parse()?),
        ["--measure", count] => measure(count),
        [uri] => runtime()?.block_on(follow(uri)),
        _ => bail!("say a libvirt URI, --serve N or --measure N"),
    }
}

fn runtime() -> Result<tokio::runtime::Runtime> {
    Ok(tokio::runtime::Builder::new_current_thread().enable_all().build()?)
}

fn plugins(uri: &str) -> Result<Plugins> {
    let settings = ComputeSettings {
        libvirt_uri: uri.to_owned(),
        libvirt_timeout_seconds: 5,
        ..ComputeSettings::default()
    };
    let parts = ComputeParts {
        host: "host".into(),
        inspector: Arc::new(compute::inspector(&settings, None)?),
        cloud: None,
        nova_service_type: "compute".to_owned(),
        user_metadata: UserMetadataRules::default(),
    };
    Ok(compute::plugins(&settings, parts)?)
}

/// One cycle of everything.
async fn poll(plugins: &Plugins, clock: &Arc<SystemClock>, taken: &Taken) -> BTreeMap<String, String> {
    let cycle = Cycle::new(Arc::clone(clock) as _, Arc::clone(clock) as _).every(INTERVAL);
    let mut failures = BTreeMap::new();
    let resources = match plugins.discoveries[0].discover(&cycle, None).await {
        Ok(resources) => resources,
        Err(error) => {
            failures.insert("local_instances".to_owned(), error.to_string());
            return failures;
        }
    };
    for pollster in &plugins.pollsters {
        let mut out = SampleOut::new(taken, "2026-01-01T00:00:00".into(), 50);
        let read = pollster.poll(&cycle, &resources, &mut out).await;
        let flushed = out.flush().await;
        if let Err(error) = read.and(flushed.map_err(Into::into)) {
            failures.insert(pollster.name().to_owned(), error.to_string());
        }
    }
    failures
}

async fn follow(uri: &str) -> Result<()> {
    let (plugins, clock) = (plugins(uri)?, Arc::new(SystemClock::new()));
    for line in std::io::stdin().lines() {
        line?;
        let taken = Taken { keeps: true, count: Mutex::new(0), samples: Mutex::default() };
        let began_ms = cpu_ms()?;
        let failures = poll(&plugins, &clock, &taken).await;
        let spent_ms = cpu_ms()? - began_ms;
        let samples: Vec<_> =
            taken.samples.into_inner().iter().map(|sample| Value::from(sample.to_map())).collect();
        let answer = json!({
            "samples": samples, "failures": failures, "cpu_ms": spent_ms, "resident_kib": resident_kib()?,
        });
        println!("{answer}");
        std::io::stdout().flush()?;
    }
    Ok(())
}

fn serve(count: u32) -> Result<()> {
    let daemon = FakeLibvirt::start((0..count).map(FakeDomain::numbered).collect())?;
    println!("{}", daemon.uri());
    std::io::stdout().flush()?;
    // Until whoever started it goes.
    std::io::stdin().lines().for_each(drop);
    Ok(())
}

fn measure(count: &str) -> Result<()> {
    let mut daemon = Command::new(std::env::current_exe()?)
        .args(["--serve", count])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let mut uri = String::new();
    BufReader::new(daemon.stdout.take().context("no output")?).read_line(&mut uri)?;
    let plugins = plugins(uri.trim())?;
    let clock = Arc::new(SystemClock::new());
    let runtime = runtime()?;
    for cycle in 0..=MEASURED_CYCLES {
        let taken = Taken { keeps: false, count: Mutex::new(0), samples: Mutex::default() };
        let began_ms = cpu_ms()?;
        let failures = runtime.block_on(poll(&plugins, &clock, &taken));
        let (spent_ms, resident) = (cpu_ms()? - began_ms, resident_kib()?);
        println!(
            "cycle {cycle}: {} samples, {spent_ms} ms of CPU, {:.1} MiB resident, {} failures",
            taken.count.into_inner(),
            resident as f64 / 1024.0,
            failures.len()
        );
    }
    drop(daemon.stdin.take());
    daemon.wait()?;
    Ok(())
}

/// CPU time of this process, user and system, in milliseconds: Linux counts it in hundredths of a second.
fn cpu_ms() -> Result<u64> {
    let stat = std::fs::read_to_string("/proc/self/stat")?;
    let fields: Vec<_> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks =
        |at: usize| fields.get(at).and_then(|field| field.parse::<u64>().ok()).context("/proc/self/stat");
    Ok((ticks(11)? + ticks(12)?) * 10)
}

fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find(|line| line.starts_with("VmRSS:")).context("no VmRSS")?;
    Ok(line.split_whitespace().nth(1).context("no VmRSS")?.parse()?)
}
