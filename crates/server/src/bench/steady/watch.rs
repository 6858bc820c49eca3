//! A look at the server now and then while it is loaded.

use std::sync::Mutex;

use nephometer_model::{Clock, SystemClock};

use super::super::report::Outcome;
use super::super::tally::Latency;
use super::super::target::{Target, seconds};
use super::super::usage::Usage;
use super::summary::Summary;

const MIB: u64 = 1 << 20;

/// What was seen of requests since the last line.
#[derive(Debug, Default)]
pub(super) struct Seen {
    measures: u64,
    writes_ns: Vec<u64>,
    reads_ns: Vec<u64>,
}

impl Seen {
    /// Notes a write.
    pub(super) fn note_write(seen: &Mutex<Self>, latency_ns: u64, measures: u64) {
        if let Ok(mut seen) = seen.lock() {
            seen.measures += measures;
            seen.writes_ns.push(latency_ns);
        }
    }

    /// Notes a read.
    pub(super) fn note_read(seen: &Mutex<Self>, latency_ns: u64) {
        if let Ok(mut seen) = seen.lock() {
            seen.reads_ns.push(latency_ns);
        }
    }

    /// Everything since the last time.
    pub(super) fn take(seen: &Mutex<Self>) -> Self {
        seen.lock().map(|mut seen| std::mem::take(&mut *seen)).unwrap_or_default()
    }
}

/// The server at one moment.
#[derive(Debug, Clone, Copy, Default)]
struct Moment {
    ns: u64,
    usage: Usage,
    data_bytes: u64,
    index_bytes: u64,
}

impl Moment {
    fn of(clock: SystemClock, target: &Target) -> Self {
        Self {
            ns: clock.monotonic_ns(),
            usage: target.usage().unwrap_or_default(),
            data_bytes: target.data_bytes().unwrap_or(0),
            index_bytes: target.index_bytes().unwrap_or(0),
        }
    }
}

/// What was seen of the server so far.
pub(super) struct Watch {
    clock: SystemClock,
    begin: Moment,
    last: Moment,
    measures: u64,
    /// Resident memory at each line, in bytes.
    resident_bytes: Vec<u64>,
    /// What the server itself counted, at the beginning and last.
    counters: [Option<WrittenBytes>; 2],
}

impl Watch {
    /// Begins now.
    pub(super) fn begin(clock: SystemClock, target: &Target) -> Self {
        let begin = Moment::of(clock, target);
        let counters = WrittenBytes::of(target);
        Self { clock, begin, last: begin, measures: 0, resident_bytes: Vec::new(), counters: [counters; 2] }
    }

    /// What happened since the line before; growth and bytes written since the beginning.
    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    pub(super) fn line(&mut self, target: &Target, seen: Seen, rate: f64) -> String {
        let now = Moment::of(self.clock, target);
        let passed = seconds(now.ns - self.last.ns);
        self.measures += seen.measures;
        self.resident_bytes.push(now.usage.resident_bytes);
        self.counters[1] = WrittenBytes::of(target);
        let grown = now.data_bytes.saturating_sub(self.begin.data_bytes) as f64;
        let bytes = now.usage.written_bytes.saturating_sub(self.begin.usage.written_bytes) as f64;
        let (write, read) = (Latency::of(seen.writes_ns), Latency::of(seen.reads_ns));
        let line = format!(
            "{:6.0} s: {:.0}/s ({:.1} %), {:.3} cores, {} MiB resident, measures {} MiB ({:.2} B each), index {:+} MiB, \
             written {:.2} B each{}, writes p50 {:.1} p99 {:.1} ms, reads p50 {:.1} p99 {:.1} ms",
            seconds(now.ns - self.begin.ns),
            seen.measures as f64 / passed,
            seen.measures as f64 / passed / rate * 100.0,
            (now.usage.cpu_seconds - self.last.usage.cpu_seconds) / passed,
            now.usage.resident_bytes / MIB,
            now.data_bytes / MIB,
            grown / self.measures.max(1) as f64,
            (now.index_bytes.cast_signed() - self.begin.index_bytes.cast_signed()) / MIB.cast_signed(),
            bytes / self.measures.max(1) as f64,
            self.written().map_or(String::new(), |written| written.text(self.measures)),
            write.p50,
            write.p99,
            read.p50,
            read.p99,
        );
        self.last = now;
        line
    }

    /// What the server has written since the beginning, by its own account.
    fn written(&self) -> Option<WrittenBytes> {
        let [begin, last] = self.counters;
        Some(last?.since(begin?))
    }

    /// Sums up; `outcome` is that of the load.
    pub(super) fn summary(self, outcome: &Outcome, rate: f64) -> Summary {
        let passed_seconds = seconds(self.last.ns - self.begin.ns);
        let own = self.written().map(|written| written.log + written.flush + written.merge);
        let last = (self.last.usage, passed_seconds);
        Summary::new((outcome, rate), self.begin.usage, last, &self.resident_bytes).with_own_account(own)
    }
}

/// Bytes that the server has written for each purpose, by its own account.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
struct WrittenBytes {
    log: u64,
    flush: u64,
    merge: u64,
}

impl WrittenBytes {
    fn of(target: &Target) -> Option<Self> {
        Self::parse(&target.own_metrics()?)
    }

    /// Of the counters in OpenMetrics text.
    fn parse(text: &str) -> Option<Self> {
        let counter = |name: &str| {
            let prefix = format!("nephometer_{name}_total ");
            text.lines().find_map(|line| line.strip_prefix(&prefix))?.trim().parse::<u64>().ok()
        };
        Some(Self {
            log: counter("log_bytes_written")?,
            flush: counter("flush_bytes_written")?,
            merge: counter("merge_bytes_written")?,
        })
    }

    fn since(self, begin: Self) -> Self {
        let Self { log, flush, merge } = self;
        Self {
            log: log.saturating_sub(begin.log),
            flush: flush.saturating_sub(begin.flush),
            merge: merge.saturating_sub(begin.merge),
        }
    }

    #[expect(clippy::cast_precision_loss, reason = "figures for people")]
    fn text(self, measures: u64) -> String {
        let each = |bytes: u64| bytes as f64 / measures.max(1) as f64;
        format!(" (log {:.2}, flush {:.2}, merge {:.2})", each(self.log), each(self.flush), each(self.merge))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_of_the_server() {
        let text = "# TYPE x counter\nnephometer_log_bytes_written_total 300\nnephometer_flush_bytes_written_total 200\n\
                    nephometer_merge_bytes_written_total 100\n# EOF\n";
        let written = WrittenBytes::parse(text).unwrap();
        assert_eq!(written, WrittenBytes { log: 300, flush: 200, merge: 100 });
        assert_eq!(written.since(written).text(1), " (log 0.00, flush 0.00, merge 0.00)");
        assert_eq!(WrittenBytes::parse("nephometer_flushes_total 1\n"), None);
    }
}
