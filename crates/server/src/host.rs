//! What the host is and uses, from `/proc` and the file system of the data directory.

use std::path::Path;

/// What a host is, as far as it does not change while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct HostFacts {
    /// Its name.
    pub(crate) hostname: String,
    /// Release of its kernel.
    pub(crate) kernel: String,
    /// Its processors.
    pub(crate) cpus: u64,
}

/// What a host uses at one moment; parts that `/proc` does not tell are missing.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct HostUse {
    /// Processor time so far.
    pub(crate) cpu: Option<CpuTicks>,
    /// Processes that run or want to, averaged over a minute.
    pub(crate) load: Option<f64>,
    /// Memory in bytes.
    pub(crate) memory: Option<Capacity>,
    /// The file system of the data directory in bytes.
    pub(crate) disk: Option<Capacity>,
}

/// Processor time of all processors since the start of the host, in clock ticks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct CpuTicks {
    busy: u64,
    total: u64,
}

/// Something that is used up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Capacity {
    pub(crate) total: u64,
    pub(crate) used: u64,
}

impl CpuTicks {
    /// Per cent of all processors that were busy since `earlier`.
    #[expect(clippy::cast_precision_loss, reason = "differences of ticks are far below 2^53")]
    pub(crate) fn percent_since(self, earlier: Self) -> Option<f64> {
        let total = self.total.checked_sub(earlier.total).filter(|total| *total > 0)?;
        Some(self.busy.saturating_sub(earlier.busy) as f64 * 100.0 / total as f64)
    }
}

/// Facts about this host.
pub(crate) fn facts() -> HostFacts {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default().trim().to_owned();
    let cpus = std::thread::available_parallelism().map_or(1, |cpus| cpus.get() as u64);
    let hostname = read("/proc/sys/kernel/hostname");
    let hostname = if hostname.is_empty() { "localhost".to_owned() } else { hostname };
    HostFacts { hostname, kernel: read("/proc/sys/kernel/osrelease"), cpus }
}

/// What this host uses now.
pub(crate) fn usage(data_dir: &Path) -> HostUse {
    let read = |path: &str| std::fs::read_to_string(path).ok();
    HostUse {
        cpu: read("/proc/stat").as_deref().and_then(parse_cpu),
        load: read("/proc/loadavg").and_then(|text| text.split(' ').next()?.parse().ok()),
        memory: read("/proc/meminfo").as_deref().and_then(parse_memory),
        disk: rustix::fs::statvfs(data_dir).ok().map(|fs| {
            let total = fs.f_blocks.saturating_mul(fs.f_frsize);
            Capacity { total, used: total.saturating_sub(fs.f_bfree.saturating_mul(fs.f_frsize)) }
        }),
    }
}

/// The first line of `/proc/stat`: user, nice, system, idle, iowait, irq, softirq, steal, and guests, who are in user.
fn parse_cpu(stat: &str) -> Option<CpuTicks> {
    let fields = stat.lines().next()?.strip_prefix("cpu ")?;
    let ticks: Vec<u64> = fields.split_whitespace().take(8).map_while(|field| field.parse().ok()).collect();
    let total: u64 = ticks.iter().sum();
    let idle = ticks.get(3)? + ticks.get(4).copied().unwrap_or(0);
    Some(CpuTicks { busy: total - idle, total })
}

fn parse_memory(meminfo: &str) -> Option<Capacity> {
    let bytes = |name: &str| -> Option<u64> {
        let line = meminfo.lines().find_map(|line| line.strip_prefix(name))?;
        Some(line.trim().strip_suffix("kB")?.trim().parse::<u64>().ok()? * 1024)
    };
    let total = bytes("MemTotal:")?;
    Some(Capacity { total, used: total.saturating_sub(bytes("MemAvailable:")?) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_proc() {
        let before = parse_cpu("cpu  100 0 100 700 100 0 0 0 50 0\ncpu0 1").unwrap();
        let after = parse_cpu("cpu  150 0 150 800 100 0 0 0 50 0\n").unwrap();
        assert_eq!(after.percent_since(before), Some(50.0));
        assert_eq!(before.percent_since(before), None);
        let memory = parse_memory("MemTotal:  1000 kB\nMemFree: 1 kB\nMemAvailable:  400 kB\n").unwrap();
        assert_eq!(memory, Capacity { total: 1_024_000, used: 614_400 });
        assert_eq!(parse_memory("MemTotal: many"), None);
    }

    #[test]
    fn this_host_has_all_of_it() {
        let used = usage(Path::new("/"));
        assert!(used.cpu.is_some() && used.load.is_some() && used.memory.is_some() && used.disk.is_some());
        let facts = facts();
        assert!(!facts.hostname.is_empty() && facts.cpus > 0);
    }
}
