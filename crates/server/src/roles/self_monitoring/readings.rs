//! Readings of host and process as named values; those that are rates of counters need an earlier look.

use nephometer_model::Timestamp;

use crate::host::{CpuTicks, HostUse};
use crate::telemetry::{RequestKind, Snapshot, Telemetry};

/// One value of one metric.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Reading {
    pub(super) name: &'static str,
    pub(super) unit: &'static str,
    pub(super) value: f64,
}

/// What the last look saw.
#[derive(Debug, Default)]
pub(super) struct Readings {
    host_cpu: Option<CpuTicks>,
    process_cpu: Option<(Timestamp, f64)>,
}

fn reading(name: &'static str, unit: &'static str, value: f64) -> Reading {
    Reading { name, unit, value }
}

#[expect(clippy::cast_precision_loss, reason = "measures are 64-bit floats; counts beyond 2^53 round")]
fn count(name: &'static str, unit: &'static str, value: u64) -> Reading {
    reading(name, unit, value as f64)
}

impl Readings {
    /// What the host uses.
    pub(super) fn host(&mut self, used: HostUse) -> Vec<Reading> {
        let mut readings = Vec::new();
        let earlier = std::mem::replace(&mut self.host_cpu, used.cpu);
        if let Some(percent) = used.cpu.zip(earlier).and_then(|(now, earlier)| now.percent_since(earlier)) {
            readings.push(reading("cpu.util", "%", percent));
        }
        readings.extend(used.load.map(|load| reading("cpu.load.1m", "process", load)));
        if let Some(memory) = used.memory {
            readings.push(count("memory.total", "B", memory.total));
            readings.push(count("memory.usage", "B", memory.used));
        }
        if let Some(disk) = used.disk {
            readings.push(count("disk.total", "B", disk.total));
            readings.push(count("disk.usage", "B", disk.used));
        }
        readings
    }

    /// What the process uses and does.
    pub(super) fn process(
        &mut self,
        snapshot: &Snapshot,
        telemetry: &Telemetry,
        now: Timestamp,
    ) -> Vec<Reading> {
        let Snapshot { store, process, index, .. } = snapshot;
        let store = store.clone().unwrap_or_default();
        let ingest = telemetry.totals(RequestKind::Ingest);
        let query = telemetry.totals(RequestKind::Query);
        let mut readings = vec![
            count("memory.resident", "B", process.resident_bytes),
            count("threads", "thread", process.threads),
            count("ingest.measures", "measure", store.measures_written),
            count("ingest.requests", "request", ingest.requests),
            reading("ingest.seconds", "s", ingest.seconds),
            count("query.requests", "request", query.requests),
            reading("query.seconds", "s", query.seconds),
            count("store.head_measures", "measure", store.head_measures),
            count("store.log_bytes", "B", store.log_bytes),
            count("store.parts", "part", store.parts),
            count("store.part_bytes", "B", store.part_bytes),
            count("store.late_measures", "measure", store.late_measures),
            count("store.quarantined_blocks", "block", store.quarantined_blocks),
        ];
        if let Some(index) = index {
            readings.push(count("index.metrics", "metric", index.metrics));
            readings.push(count("index.resources", "resource", index.resources));
        }
        let earlier = self.process_cpu.replace((now, process.cpu_seconds));
        readings.extend(earlier.and_then(|(then, cpu_seconds)| {
            let elapsed_ns = u64::try_from(now.ns() - then.ns()).ok().filter(|elapsed| *elapsed > 0)?;
            let elapsed = std::time::Duration::from_nanos(elapsed_ns).as_secs_f64();
            Some(reading("cpu.util", "%", (process.cpu_seconds - cpu_seconds) * 100.0 / elapsed))
        }));
        readings
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use nephometer_model::SystemClock;

    use super::*;
    use crate::host;

    #[test]
    fn rates_come_with_the_second_look() {
        let mut readings = Readings::default();
        let names = |readings: Vec<Reading>| readings.iter().map(|r| r.name).collect::<Vec<_>>();
        let used = host::usage(std::path::Path::new("/"));
        assert!(!names(readings.host(used)).contains(&"cpu.util"));
        let telemetry = Telemetry::new(Arc::new(SystemClock::new()));
        let mut snapshot = Snapshot::default();
        assert!(!names(readings.process(&snapshot, &telemetry, Timestamp::from_ns(0))).contains(&"cpu.util"));
        snapshot.process.cpu_seconds = 1.5;
        let second = readings.process(&snapshot, &telemetry, Timestamp::from_ns(3_000_000_000));
        let util = second.iter().find(|reading| reading.name == "cpu.util").unwrap();
        assert!((util.value - 50.0).abs() < 1e-9);
    }
}
