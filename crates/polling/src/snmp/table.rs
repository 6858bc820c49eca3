//! The meters, as data: which value, of which kind, with which metadata (spec ceilometer-v2 7.1).
//!
//! Two defects of upstream's table are mended: `hardware.disk.read.bytes`, which never made a sample, does, and samples of
//! disks' transfers carry their device, so that the disks of a host are told apart.

use nephometer_model::{Meter, MeterType};

/// A value's kind.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// A whole number.
    Number,
    /// Text that reads as a number.
    NumberInText,
}

/// What else is told of a row of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Detail {
    /// The text of the column.
    Text(&'static str),
    /// Its number, bits a second told as bytes a second.
    BitsAsBytes(&'static str),
    /// Its bytes as a hardware address.
    HardwareAddress(&'static str),
    /// The address whose row in the column has the row's number as its value.
    AddressOf(&'static str),
}

/// Which values a meter reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// One.
    Exact(&'static str),
    /// What is left of another: `total - value`.
    Used { total: &'static str, available: &'static str },
    /// A column of a table, a sample each row, told apart by the detail of that name.
    Column { oid: &'static str, details: &'static [(&'static str, Detail)], suffix: &'static str },
}

/// A meter.
#[derive(Debug, Clone)]
pub(super) struct Row {
    pub(super) meter: Meter,
    pub(super) kind: Kind,
    pub(super) place: Place,
}

const FILE_SYSTEM: &[(&str, Detail)] =
    &[("path", Detail::Text("1.3.6.1.4.1.2021.9.1.2")), ("device", Detail::Text("1.3.6.1.4.1.2021.9.1.3"))];
const DISK: &[(&str, Detail)] = &[("device", Detail::Text("1.3.6.1.4.1.2021.13.15.1.1.2"))];
const INTERFACE: &[(&str, Detail)] = &[
    ("name", Detail::Text("1.3.6.1.2.1.2.2.1.2")),
    ("speed", Detail::BitsAsBytes("1.3.6.1.2.1.2.2.1.5")),
    ("mac", Detail::HardwareAddress("1.3.6.1.2.1.2.2.1.6")),
    ("ip", Detail::AddressOf("1.3.6.1.2.1.4.20.1.2")),
];

/// Name, unit and place of single values that are gauges.
const GAUGES: &[(&str, &str, &str)] = &[
    ("hardware.cpu.util", "%", "1.3.6.1.4.1.2021.11.9.0"),
    ("hardware.cpu.user", "tick", "1.3.6.1.4.1.2021.11.50.0"),
    ("hardware.cpu.nice", "tick", "1.3.6.1.4.1.2021.11.51.0"),
    ("hardware.cpu.system", "tick", "1.3.6.1.4.1.2021.11.52.0"),
    ("hardware.cpu.idle", "tick", "1.3.6.1.4.1.2021.11.53.0"),
    ("hardware.cpu.wait", "tick", "1.3.6.1.4.1.2021.11.54.0"),
    ("hardware.cpu.kernel", "tick", "1.3.6.1.4.1.2021.11.55.0"),
    ("hardware.cpu.interrupt", "tick", "1.3.6.1.4.1.2021.11.56.0"),
    ("hardware.memory.total", "KB", "1.3.6.1.4.1.2021.4.5.0"),
    ("hardware.memory.swap.total", "KB", "1.3.6.1.4.1.2021.4.3.0"),
    ("hardware.memory.swap.avail", "KB", "1.3.6.1.4.1.2021.4.4.0"),
    ("hardware.memory.buffer", "KB", "1.3.6.1.4.1.2021.4.14.0"),
    ("hardware.memory.cached", "KB", "1.3.6.1.4.1.2021.4.15.0"),
    ("hardware.system_stats.cpu.idle", "%", "1.3.6.1.4.1.2021.11.11.0"),
];
/// The same of counters.
const COUNTERS: &[(&str, &str, &str)] = &[
    ("hardware.network.ip.outgoing.datagrams", "datagrams", "1.3.6.1.2.1.4.10.0"),
    ("hardware.network.ip.incoming.datagrams", "datagrams", "1.3.6.1.2.1.4.3.0"),
    ("hardware.system_stats.io.outgoing.blocks", "blocks", "1.3.6.1.4.1.2021.11.57.0"),
    ("hardware.system_stats.io.incoming.blocks", "blocks", "1.3.6.1.4.1.2021.11.58.0"),
];
/// The same of load averages, which agents tell as text.
const LOADS: &[(&str, &str, &str)] = &[
    ("hardware.cpu.load.1min", "process", "1.3.6.1.4.1.2021.10.1.3.1"),
    ("hardware.cpu.load.5min", "process", "1.3.6.1.4.1.2021.10.1.3.2"),
    ("hardware.cpu.load.15min", "process", "1.3.6.1.4.1.2021.10.1.3.3"),
];

type Column =
    (&'static str, MeterType, &'static str, &'static str, &'static [(&'static str, Detail)], &'static str);

/// Columns of tables: name, type, unit, place, details, and by which of them rows are told apart.
const COLUMNS: &[Column] = &[
    ("hardware.disk.size.total", MeterType::Gauge, "KB", "1.3.6.1.4.1.2021.9.1.6", FILE_SYSTEM, "device"),
    ("hardware.disk.size.used", MeterType::Gauge, "KB", "1.3.6.1.4.1.2021.9.1.8", FILE_SYSTEM, "device"),
    ("hardware.disk.read.bytes", MeterType::Gauge, "B", "1.3.6.1.4.1.2021.13.15.1.1.3", DISK, "device"),
    ("hardware.disk.write.bytes", MeterType::Gauge, "B", "1.3.6.1.4.1.2021.13.15.1.1.4", DISK, "device"),
    (
        "hardware.disk.read.requests",
        MeterType::Gauge,
        "requests",
        "1.3.6.1.4.1.2021.13.15.1.1.5",
        DISK,
        "device",
    ),
    (
        "hardware.disk.write.requests",
        MeterType::Gauge,
        "requests",
        "1.3.6.1.4.1.2021.13.15.1.1.6",
        DISK,
        "device",
    ),
    (
        "hardware.network.incoming.bytes",
        MeterType::Cumulative,
        "B",
        "1.3.6.1.2.1.2.2.1.10",
        INTERFACE,
        "name",
    ),
    (
        "hardware.network.outgoing.bytes",
        MeterType::Cumulative,
        "B",
        "1.3.6.1.2.1.2.2.1.16",
        INTERFACE,
        "name",
    ),
    (
        "hardware.network.outgoing.errors",
        MeterType::Cumulative,
        "packet",
        "1.3.6.1.2.1.2.2.1.20",
        INTERFACE,
        "name",
    ),
];

/// All meters.
pub(super) fn rows() -> Vec<Row> {
    let exact = |meter_type, kind| {
        move |(name, unit, oid): &(&'static str, &'static str, &'static str)| Row {
            meter: Meter::new(name, meter_type, unit),
            kind,
            place: Place::Exact(oid),
        }
    };
    let column = |(name, meter_type, unit, oid, details, suffix): &Column| {
        let place = Place::Column { oid, details, suffix };
        Row { meter: Meter::new(name, *meter_type, unit), kind: Kind::Number, place }
    };
    let used = Row {
        meter: Meter::new("hardware.memory.used", MeterType::Gauge, "KB"),
        kind: Kind::Number,
        place: Place::Used { total: "1.3.6.1.4.1.2021.4.5.0", available: "1.3.6.1.4.1.2021.4.6.0" },
    };
    let loads = LOADS.iter().map(exact(MeterType::Gauge, Kind::NumberInText));
    let gauges = GAUGES.iter().map(exact(MeterType::Gauge, Kind::Number));
    let counters = COUNTERS.iter().map(exact(MeterType::Cumulative, Kind::Number));
    loads.chain(gauges).chain(counters).chain(COLUMNS.iter().map(column)).chain([used]).collect()
}

/// The parts of a name that the table writes with dots.
pub(super) fn parts(oid: &str) -> Vec<u64> {
    oid.split('.').filter_map(|part| part.parse().ok()).collect()
}
