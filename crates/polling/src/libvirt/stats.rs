//! Statistics of domains: typed parameters by name, read into fields without keeping the names.

use super::LibvirtError;
use super::protocol::{DomainRef, read_domain};
use super::xdr::{XdrError, XdrReader};

/// What one domain has to say. What is `None` was not in the answer.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct DomainStats {
    /// `virDomainState`.
    pub state: Option<i64>,
    /// CPU time of the whole process, its own threads included.
    pub cpu_time_ns: Option<u64>,
    /// Memory.
    pub balloon: Balloon,
    /// vCPUs that are plugged in.
    pub vcpu_current: Option<u64>,
    /// vCPUs that can be plugged in.
    pub vcpu_maximum: Option<u64>,
    /// vCPUs that tell both their times.
    pub vcpus: Vec<VcpuTimes>,
    /// Interfaces that have a name.
    pub nics: Vec<NicStats>,
    /// Block devices that have a name.
    pub disks: Vec<DiskStats>,
    /// Performance events, where they are enabled.
    pub perf: PerfStats,
}

/// Memory in KiB, as far as balloon and host know it.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "libvirt's own names")]
pub struct Balloon {
    pub current: Option<u64>,
    pub maximum: Option<u64>,
    pub available: Option<u64>,
    pub usable: Option<u64>,
    pub unused: Option<u64>,
    pub rss: Option<u64>,
    pub swap_in: Option<u64>,
    pub swap_out: Option<u64>,
}

/// Times of one vCPU.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct VcpuTimes {
    /// Its number; numbers may have gaps.
    pub number: u32,
    /// Time in which it ran.
    pub time_ns: Option<u64>,
    /// Time in which it wanted to run and the host was busy otherwise.
    pub wait_ns: Option<u64>,
}

/// Counters of one interface, from the guest's side: `rx` is what it received.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "libvirt's own names")]
pub struct NicStats {
    number: u32,
    pub name: Box<str>,
    pub rx_bytes: Option<u64>,
    pub rx_packets: Option<u64>,
    pub rx_errors: Option<u64>,
    pub rx_drop: Option<u64>,
    pub tx_bytes: Option<u64>,
    pub tx_packets: Option<u64>,
    pub tx_errors: Option<u64>,
    pub tx_drop: Option<u64>,
}

/// Counters and sizes of one block device; times in nanoseconds, sizes in bytes.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "libvirt's own names")]
pub struct DiskStats {
    number: u32,
    pub name: Box<str>,
    pub read_requests: Option<u64>,
    pub read_bytes: Option<u64>,
    pub read_time_ns: Option<u64>,
    pub write_requests: Option<u64>,
    pub write_bytes: Option<u64>,
    pub write_time_ns: Option<u64>,
    pub allocation: Option<u64>,
    pub capacity: Option<u64>,
    pub physical: Option<u64>,
}

/// Performance events since they were enabled.
#[derive(Debug, Clone, Default, PartialEq)]
#[allow(missing_docs, reason = "libvirt's own names")]
pub struct PerfStats {
    pub cpu_cycles: Option<u64>,
    pub instructions: Option<u64>,
    pub cache_references: Option<u64>,
    pub cache_misses: Option<u64>,
}

/// The answer to a question for statistics.
pub(super) fn read_records(body: &[u8]) -> Result<Vec<(DomainRef, DomainStats)>, LibvirtError> {
    let mut reader = XdrReader::new(body);
    let count = reader.u32()?;
    let mut records = Vec::new();
    for _ in 0..count {
        let domain = read_domain(&mut reader)?;
        let parameters = reader.u32()?;
        let mut stats = DomainStats::default();
        for _ in 0..parameters {
            let name = reader.text()?;
            let value = Parameter::read(&mut reader)?;
            stats.set(name, &value);
        }
        stats.tidy();
        records.push((domain, stats));
    }
    Ok(records)
}

/// A value of any of the types that parameters have.
enum Parameter<'a> {
    Whole(u64),
    Text(&'a str),
    /// Negative numbers and fractions: counters that are not there are -1.
    Other,
}

impl<'a> Parameter<'a> {
    fn read(reader: &mut XdrReader<'a>) -> Result<Self, XdrError> {
        match reader.u32()? {
            1 => Ok(u64::try_from(reader.i32()?).map_or(Self::Other, Self::Whole)),
            2 | 6 => Ok(Self::Whole(reader.u32()?.into())),
            3 => {
                let value = i64::from_be_bytes(reader.bytes()?);
                Ok(u64::try_from(value).map_or(Self::Other, Self::Whole))
            }
            4 => reader.u64().map(Self::Whole),
            5 => reader.u64().map(|_| Self::Other),
            7 => reader.text().map(Self::Text),
            kind => Err(XdrError::Type(kind)),
        }
    }

    fn whole(&self) -> Option<u64> {
        match self {
            Self::Whole(value) => Some(*value),
            _ => None,
        }
    }
}

/// The element of that number. Parameters of one device stand together, so it is the last one as a rule.
fn numbered<T: Default>(items: &mut Vec<T>, number: u32, of: impl Fn(&mut T) -> &mut u32) -> &mut T {
    let found = items.iter_mut().rposition(|item| *of(item) == number);
    let at = found.unwrap_or_else(|| {
        let mut item = T::default();
        *of(&mut item) = number;
        items.push(item);
        items.len() - 1
    });
    &mut items[at]
}

impl DomainStats {
    fn set(&mut self, name: &str, value: &Parameter<'_>) {
        let Some((group, rest)) = name.split_once('.') else { return };
        let whole = value.whole();
        match (group, rest) {
            ("state", "state") => self.state = whole.and_then(|state| i64::try_from(state).ok()),
            ("cpu", "time") => self.cpu_time_ns = whole,
            ("balloon", field) => self.balloon.set(field, whole),
            ("vcpu", "current") => self.vcpu_current = whole,
            ("vcpu", "maximum") => self.vcpu_maximum = whole,
            ("perf", field) => self.perf.set(field, whole),
            ("vcpu" | "net" | "block", rest) => {
                let Some((number, field)) = rest.split_once('.') else { return };
                let Ok(number) = number.parse() else { return };
                match group {
                    "vcpu" if matches!(field, "time" | "wait") => {
                        numbered(&mut self.vcpus, number, |vcpu| &mut vcpu.number).set(field, whole);
                    }
                    "net" => numbered(&mut self.nics, number, |nic| &mut nic.number).set(field, value),
                    "block" => numbered(&mut self.disks, number, |disk| &mut disk.number).set(field, value),
                    _ => {}
                }
            }
            _ => {}
        }
    }

    fn tidy(&mut self) {
        self.nics.retain(|nic| !nic.name.is_empty());
        self.disks.retain(|disk| !disk.name.is_empty());
        self.vcpus.retain(|vcpu| vcpu.time_ns.is_some() && vcpu.wait_ns.is_some());
        // They are kept until the next reading.
        self.nics.shrink_to_fit();
        self.disks.shrink_to_fit();
        self.vcpus.shrink_to_fit();
    }
}

impl Balloon {
    fn set(&mut self, field: &str, value: Option<u64>) {
        match field {
            "current" => self.current = value,
            "maximum" => self.maximum = value,
            "available" => self.available = value,
            "usable" => self.usable = value,
            "unused" => self.unused = value,
            "rss" => self.rss = value,
            "swap_in" => self.swap_in = value,
            "swap_out" => self.swap_out = value,
            _ => {}
        }
    }
}

impl PerfStats {
    fn set(&mut self, field: &str, value: Option<u64>) {
        match field {
            "cpu_cycles" => self.cpu_cycles = value,
            "instructions" => self.instructions = value,
            "cache_references" => self.cache_references = value,
            "cache_misses" => self.cache_misses = value,
            _ => {}
        }
    }
}

impl VcpuTimes {
    fn set(&mut self, field: &str, value: Option<u64>) {
        match field {
            "time" => self.time_ns = value,
            "wait" => self.wait_ns = value,
            _ => {}
        }
    }
}

impl NicStats {
    fn set(&mut self, field: &str, value: &Parameter<'_>) {
        let whole = value.whole();
        match (field, value) {
            ("name", Parameter::Text(name)) => self.name = (*name).into(),
            ("rx.bytes", _) => self.rx_bytes = whole,
            ("rx.pkts", _) => self.rx_packets = whole,
            ("rx.errs", _) => self.rx_errors = whole,
            ("rx.drop", _) => self.rx_drop = whole,
            ("tx.bytes", _) => self.tx_bytes = whole,
            ("tx.pkts", _) => self.tx_packets = whole,
            ("tx.errs", _) => self.tx_errors = whole,
            ("tx.drop", _) => self.tx_drop = whole,
            _ => {}
        }
    }
}

impl DiskStats {
    fn set(&mut self, field: &str, value: &Parameter<'_>) {
        let whole = value.whole();
        match (field, value) {
            ("name", Parameter::Text(name)) => self.name = (*name).into(),
            ("rd.reqs", _) => self.read_requests = whole,
            ("rd.bytes", _) => self.read_bytes = whole,
            ("rd.times", _) => self.read_time_ns = whole,
            ("wr.reqs", _) => self.write_requests = whole,
            ("wr.bytes", _) => self.write_bytes = whole,
            ("wr.times", _) => self.write_time_ns = whole,
            ("allocation", _) => self.allocation = whole,
            ("capacity", _) => self.capacity = whole,
            ("physical", _) => self.physical = whole,
            _ => {}
        }
    }
}
