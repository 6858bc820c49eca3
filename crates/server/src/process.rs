//! What a process has used so far, from `/proc`.

use std::path::Path;

/// CPU time and memory of a process.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct ProcessUse {
    /// User and system time since its start, in seconds.
    pub(crate) cpu_seconds: f64,
    /// Resident memory in bytes.
    pub(crate) resident_bytes: u64,
    /// The largest resident memory so far, in bytes.
    pub(crate) peak_resident_bytes: u64,
    /// Threads.
    pub(crate) threads: u64,
}

/// Clock ticks a second as `/proc` counts them; 100 on every Linux that Rust runs on.
const TICKS_PER_SECOND: f64 = 100.0;

/// What process `pid` has used; nothing where `/proc` does not tell.
pub(crate) fn process_use(pid: u32) -> Option<ProcessUse> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    parse(&stat, &status)
}

#[expect(clippy::cast_precision_loss, reason = "ticks stay far below 2^53")]
fn parse(stat: &str, status: &str) -> Option<ProcessUse> {
    // The command's name, in parentheses, may hold anything; fields are counted after it.
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_whitespace().collect();
    let ticks: u64 = fields.get(11)?.parse::<u64>().ok()? + fields.get(12)?.parse::<u64>().ok()?;
    let kilobytes = |name: &str| {
        let line = status.lines().find_map(|line| line.strip_prefix(name))?;
        line.split_whitespace().next()?.parse::<u64>().ok()
    };
    Some(ProcessUse {
        cpu_seconds: ticks as f64 / TICKS_PER_SECOND,
        resident_bytes: kilobytes("VmRSS:").unwrap_or(0) * 1024,
        peak_resident_bytes: kilobytes("VmHWM:").unwrap_or(0) * 1024,
        threads: kilobytes("Threads:").unwrap_or(0),
    })
}

/// Bytes of all files below `directory`.
pub(crate) fn directory_bytes(directory: &Path) -> u64 {
    let Ok(entries) = std::fs::read_dir(directory) else { return 0 };
    let size = |entry: std::fs::DirEntry| match entry.metadata() {
        Ok(metadata) if metadata.is_dir() => directory_bytes(&entry.path()),
        Ok(metadata) => metadata.len(),
        Err(_) => 0,
    };
    entries.flatten().map(size).sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_stat_and_status() {
        let stat = "42 (a ) b) S 1 42 42 0 -1 4194560 1000 0 0 0 250 50 0 0 20 0 7 0 100 1 2";
        let status = "Name:\ta\nVmHWM:\t  2048 kB\nVmRSS:\t  1024 kB\nThreads:\t7\n";
        let used = parse(stat, status).unwrap();
        assert!((used.cpu_seconds - 3.0).abs() < 1e-9);
        assert_eq!((used.resident_bytes, used.peak_resident_bytes, used.threads), (1 << 20, 2 << 20, 7));
        assert!(process_use(std::process::id()).is_some());
        assert!(process_use(u32::MAX).is_none());
    }
}
