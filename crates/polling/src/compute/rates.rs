//! What two readings of one guest tell together: differences, rates, the share of its vCPUs that it used.

use super::host::{Guest, Reading};
use crate::libvirt::DomainStats;

/// CPU time by Ceilometer's definition of `cpu`: that in which vCPUs ran and that in which they had to wait, where all
/// vCPUs tell both; that of the process where not.
pub(super) fn cpu_ns(stats: &DomainStats) -> Option<u64> {
    let waited = |stats: &DomainStats| {
        let times = stats.vcpus.iter().filter_map(|vcpu| vcpu.time_ns?.checked_add(vcpu.wait_ns?));
        times.fold(0_u64, u64::saturating_add)
    };
    if all_vcpus_tell(stats) { Some(waited(stats)) } else { stats.cpu_time_ns }
}

/// CPU time that was spent: waiting is none of it.
fn busy_ns(stats: &DomainStats) -> Option<u64> {
    let ran = || stats.vcpus.iter().filter_map(|vcpu| vcpu.time_ns).fold(0_u64, u64::saturating_add);
    if all_vcpus_tell(stats) { Some(ran()) } else { stats.cpu_time_ns }
}

fn all_vcpus_tell(stats: &DomainStats) -> bool {
    let maximum = stats.vcpu_maximum.unwrap_or_default();
    let telling = stats.vcpus.iter().filter(|vcpu| u64::from(vcpu.number) < maximum).count();
    stats.vcpu_current.is_some_and(|current| current == telling as u64)
}

/// The reading before, where it is one of the same run and some time has passed since.
fn comparable(guest: &Guest) -> Option<(&Reading, f64)> {
    let before = guest.before.as_deref().filter(|before| before.run == guest.now.run && before.run >= 0)?;
    let passed_ns = guest.now.monotonic_ns.checked_sub(before.monotonic_ns).filter(|passed| *passed > 0)?;
    Some((before, passed_ns as f64 / 1e9))
}

/// How fast a counter grew since the reading before, in its unit a second. None at the first reading of a run, and where
/// the counter began anew in between.
pub(super) fn rate(guest: &Guest, counter: impl Fn(&DomainStats) -> Option<u64>) -> Option<f64> {
    let (before, seconds) = comparable(guest)?;
    let grown = counter(&guest.now.stats)?.checked_sub(counter(&before.stats)?)?;
    Some(grown as f64 / seconds)
}

/// Per cent of the time of all its vCPUs in which they ran, since the reading before. None where vCPUs came or went in
/// between, because nobody knows when.
pub(super) fn cpu_util(guest: &Guest) -> Option<f64> {
    let (before, _) = comparable(guest)?;
    let vcpus = guest.now.stats.vcpu_current.filter(|vcpus| *vcpus > 0)?;
    let same = before.stats.vcpu_current == Some(vcpus)
        && all_vcpus_tell(&before.stats) == all_vcpus_tell(&guest.now.stats);
    let busy_ns_each_second = same.then(|| rate(guest, busy_ns))??;
    Some(busy_ns_each_second / 1e9 / vcpus as f64 * 100.0)
}

/// By how much a counter grew since the reading before, as Ceilometer has it: 0 at the first reading, all of it where it
/// began anew.
pub(super) fn delta(guest: &Guest, counter: impl Fn(&DomainStats) -> Option<u64>) -> Option<u64> {
    let now = counter(&guest.now.stats)?;
    let Some(before) = guest.before.as_deref() else { return Some(0) };
    if before.run != guest.now.run {
        return Some(now);
    }
    Some(counter(&before.stats).map_or(0, |before| now.checked_sub(before).unwrap_or(now)))
}
