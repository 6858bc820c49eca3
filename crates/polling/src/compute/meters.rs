//! Every meter of the namespace: what it is called, its type and unit, and where its value comes from.

use nephometer_model::{Meter, MeterType, Volume};

use super::host::Guest;
use super::instance::Instance;
use super::rates;
use crate::libvirt::{BlockInfo, DiskStats, DomainStats, NicStats};

const KIB_IN_A_MIB: f64 = 1024.0;

/// Where a meter's values come from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// The guest's flavor; the hypervisor is not asked.
    Flavor(fn(&Instance) -> i64),
    /// The guest as a whole.
    Guest(fn(&Guest) -> Option<Volume>),
    /// The same; samples say how many vCPUs there are.
    Cpu(fn(&Guest) -> Option<Volume>),
    /// The same; there is a value for guests that are shut off too, where these are to be metered.
    AlsoStopped(fn(&Guest) -> Option<Volume>),
    /// What each block device has counted.
    Disk(fn(&DiskStats) -> Option<u64>),
    /// How fast it counts.
    DiskRate(fn(&DiskStats) -> Option<u64>),
    /// Sizes of each block device.
    DiskSize(fn(&BlockInfo) -> u64),
    /// What each interface has counted.
    Nic(fn(&NicStats) -> Option<u64>),
    /// What it has counted since the reading before.
    NicDelta(fn(&NicStats) -> Option<u64>),
    /// How fast it counts.
    NicRate(fn(&NicStats) -> Option<u64>),
}

/// A meter.
pub(super) struct MeterSpec {
    pub(super) name: &'static str,
    meter_type: MeterType,
    unit: &'static str,
    pub(super) source: Source,
    pub(super) origin: &'static str,
}

impl MeterSpec {
    pub(super) fn meter(&self) -> Meter {
        Meter::new(self.name, self.meter_type, self.unit)
    }
}

const fn of(name: &'static str, meter_type: MeterType, unit: &'static str, source: Source) -> MeterSpec {
    let origin = match source {
        Source::Flavor(_) => "the guest's flavor",
        Source::DiskSize(_) => "libvirt's sizes of block devices",
        Source::DiskRate(_) | Source::NicRate(_) | Source::NicDelta(_) => {
            "two readings of libvirt's statistics"
        }
        _ => "libvirt's statistics of domains",
    };
    MeterSpec { name, meter_type, unit, source, origin }
}

fn mib(kib: Option<u64>) -> Option<Volume> {
    kib.map(|kib| Volume::Float(kib as f64 / KIB_IN_A_MIB))
}

fn whole(value: Option<u64>) -> Option<Volume> {
    value.map(Volume::from)
}

/// Memory that the guest's programs use: what the balloon calls available less what is free for others, or just free.
fn used_kib(stats: &DomainStats) -> Option<f64> {
    let memory = &stats.balloon;
    let free = memory.usable.or(memory.unused)?;
    Some((memory.available? as f64 - free as f64) / KIB_IN_A_MIB)
}

fn swapped(guest: &Guest, out: bool) -> Option<Volume> {
    let memory = &guest.now.stats.balloon;
    let (swap_in, swap_out) = memory.swap_in.zip(memory.swap_out)?;
    mib(Some(if out { swap_out } else { swap_in }))
}

/// Memory that the guest has; of a guest that is shut off, what it may have.
fn memory(guest: &Guest) -> Option<Volume> {
    let memory = &guest.now.stats.balloon;
    mib(if guest.is_shut_off() { memory.maximum } else { memory.current })
}

use MeterType::{Cumulative, Delta, Gauge};

/// All meters.
pub(super) const METERS: &[MeterSpec] = &[
    of("power.state", Gauge, "", Source::AlsoStopped(|guest| guest.now.stats.state.map(Volume::Int))),
    of("cpu", Cumulative, "ns", Source::Cpu(|guest| whole(rates::cpu_ns(&guest.now.stats)))),
    of("cpu_util", Gauge, "%", Source::Cpu(|guest| rates::cpu_util(guest).map(Volume::Float))),
    of("vcpus", Gauge, "vcpu", Source::AlsoStopped(|guest| whole(guest.now.stats.vcpu_current))),
    of("memory", Gauge, "MiB", Source::AlsoStopped(memory)),
    of("memory.available", Gauge, "MiB", Source::Guest(|guest| mib(guest.now.stats.balloon.available))),
    of("memory.usage", Gauge, "MiB", Source::Guest(|guest| used_kib(&guest.now.stats).map(Volume::Float))),
    of("memory.resident", Gauge, "MiB", Source::Guest(|guest| mib(guest.now.stats.balloon.rss))),
    of("memory.swap.in", Cumulative, "MiB", Source::Guest(|guest| swapped(guest, false))),
    of("memory.swap.out", Cumulative, "MiB", Source::Guest(|guest| swapped(guest, true))),
    of("disk.root.size", Gauge, "GiB", Source::Flavor(|instance| instance.root_gib)),
    of("disk.ephemeral.size", Gauge, "GiB", Source::Flavor(|instance| instance.ephemeral_gib)),
    of("disk.device.read.requests", Cumulative, "request", Source::Disk(|disk| disk.read_requests)),
    of("disk.device.read.bytes", Cumulative, "B", Source::Disk(|disk| disk.read_bytes)),
    of("disk.device.write.requests", Cumulative, "request", Source::Disk(|disk| disk.write_requests)),
    of("disk.device.write.bytes", Cumulative, "B", Source::Disk(|disk| disk.write_bytes)),
    of("disk.device.read.latency", Cumulative, "ns", Source::Disk(|disk| disk.read_time_ns)),
    of("disk.device.write.latency", Cumulative, "ns", Source::Disk(|disk| disk.write_time_ns)),
    of("disk.device.read.requests.rate", Gauge, "request/s", Source::DiskRate(|disk| disk.read_requests)),
    of("disk.device.read.bytes.rate", Gauge, "B/s", Source::DiskRate(|disk| disk.read_bytes)),
    of("disk.device.write.requests.rate", Gauge, "request/s", Source::DiskRate(|disk| disk.write_requests)),
    of("disk.device.write.bytes.rate", Gauge, "B/s", Source::DiskRate(|disk| disk.write_bytes)),
    // Images of optical media are said to be smaller than their files.
    of("disk.device.capacity", Gauge, "B", Source::DiskSize(|size| size.capacity.max(size.physical))),
    of("disk.device.allocation", Gauge, "B", Source::DiskSize(|size| size.allocation)),
    of("disk.device.usage", Gauge, "B", Source::DiskSize(|size| size.physical)),
    of("network.incoming.bytes", Cumulative, "B", Source::Nic(|nic| nic.rx_bytes)),
    of("network.outgoing.bytes", Cumulative, "B", Source::Nic(|nic| nic.tx_bytes)),
    of("network.incoming.packets", Cumulative, "packet", Source::Nic(|nic| nic.rx_packets)),
    of("network.outgoing.packets", Cumulative, "packet", Source::Nic(|nic| nic.tx_packets)),
    of("network.incoming.packets.error", Cumulative, "packet", Source::Nic(|nic| nic.rx_errors)),
    of("network.outgoing.packets.error", Cumulative, "packet", Source::Nic(|nic| nic.tx_errors)),
    of("network.incoming.packets.drop", Cumulative, "packet", Source::Nic(|nic| nic.rx_drop)),
    of("network.outgoing.packets.drop", Cumulative, "packet", Source::Nic(|nic| nic.tx_drop)),
    of("network.incoming.bytes.delta", Delta, "B", Source::NicDelta(|nic| nic.rx_bytes)),
    of("network.outgoing.bytes.delta", Delta, "B", Source::NicDelta(|nic| nic.tx_bytes)),
    of("network.incoming.bytes.rate", Gauge, "B/s", Source::NicRate(|nic| nic.rx_bytes)),
    of("network.outgoing.bytes.rate", Gauge, "B/s", Source::NicRate(|nic| nic.tx_bytes)),
    of("network.incoming.packets.rate", Gauge, "packet/s", Source::NicRate(|nic| nic.rx_packets)),
    of("network.outgoing.packets.rate", Gauge, "packet/s", Source::NicRate(|nic| nic.tx_packets)),
    of("perf.cpu.cycles", Gauge, "", Source::Guest(|guest| whole(guest.now.stats.perf.cpu_cycles))),
    of("perf.instructions", Gauge, "", Source::Guest(|guest| whole(guest.now.stats.perf.instructions))),
    of(
        "perf.cache.references",
        Gauge,
        "",
        Source::Guest(|guest| whole(guest.now.stats.perf.cache_references)),
    ),
    of("perf.cache.misses", Gauge, "", Source::Guest(|guest| whole(guest.now.stats.perf.cache_misses))),
];
