//! What the processes of a server use together, with their children, and how much they wrote to disk.

use std::collections::BTreeSet;

use crate::process::process_use;

/// What some processes have used so far.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(super) struct Usage {
    /// User and system time, in seconds.
    pub(super) cpu_seconds: f64,
    /// Resident memory in bytes.
    pub(super) resident_bytes: u64,
    /// The largest resident memory of each so far, in bytes.
    pub(super) peak_resident_bytes: u64,
    /// Bytes that they had written to block devices.
    pub(super) written_bytes: u64,
}

/// The sum over `pids` and their children; nothing where none of them lives.
pub(super) fn usage(pids: &[u32]) -> Option<Usage> {
    let mut all = BTreeSet::new();
    for pid in pids {
        add_tree(*pid, &mut all);
    }
    let mut sum = Usage::default();
    let mut living = 0;
    for pid in all {
        let Some(used) = process_use(pid) else { continue };
        living += 1;
        sum.cpu_seconds += used.cpu_seconds;
        sum.resident_bytes += used.resident_bytes;
        sum.peak_resident_bytes += used.peak_resident_bytes;
        sum.written_bytes += written_bytes(pid).unwrap_or(0);
    }
    (living > 0).then_some(sum)
}

fn add_tree(pid: u32, all: &mut BTreeSet<u32>) {
    if !all.insert(pid) {
        return;
    }
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{pid}/task")) else { return };
    for task in tasks.flatten() {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        for child in children.split_whitespace().filter_map(|child| child.parse().ok()) {
            add_tree(child, all);
        }
    }
}

fn written_bytes(pid: u32) -> Option<u64> {
    let io = std::fs::read_to_string(format!("/proc/{pid}/io")).ok()?;
    io.lines().find_map(|line| line.strip_prefix("write_bytes:"))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn children_count() {
        let mut child = std::process::Command::new("sleep").arg("10").spawn().unwrap();
        let mut all = BTreeSet::new();
        add_tree(std::process::id(), &mut all);
        assert!(all.contains(&child.id()));
        assert!(usage(&[std::process::id()]).unwrap().resident_bytes > 0);
        child.kill().unwrap();
        child.wait().unwrap();
        assert_eq!(usage(&[u32::MAX]), None);
    }
}
