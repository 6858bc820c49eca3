//! Values: by Ceilometer's definitions, and of the meters that two readings make.

use std::collections::HashSet;

use nephometer_model::Volume;
use nephometer_polling::compute::ComputeSettings;
use nephometer_testkit::libvirt::{FakeDomain, FakeLibvirt};

use crate::{Bench, one};

fn float(volume: &Volume) -> f64 {
    match volume {
        Volume::Float(value) => *value,
        other => panic!("{other:?} is no float"),
    }
}

fn bench() -> Bench {
    Bench::plain(FakeLibvirt::start(vec![FakeDomain::recorded()]).unwrap())
}

#[tokio::test]
async fn every_meter_of_the_table_has_its_sample() {
    let bench = bench();
    let first = bench.all(10).await;
    let second = bench.all(10).await;
    let silent_first =
        |name: &str| name.ends_with(".rate") || name == "cpu_util" || name.starts_with("perf.");
    assert_eq!(first.len(), 43);
    for (name, samples) in &first {
        assert_eq!(samples.len(), usize::from(!silent_first(name)), "{name}");
    }
    for (name, samples) in &second {
        assert_eq!(samples.len(), usize::from(!name.starts_with("perf.")), "{name}");
    }
    let ids: HashSet<_> =
        first.values().chain(second.values()).flatten().map(|sample| sample.id.clone()).collect();
    assert_eq!(
        ids.len(),
        first.values().chain(second.values()).flatten().count(),
        "each sample has its own id"
    );
    let cpu = &second["cpu"][0];
    assert!(cpu.monotonic_time_seconds > first["cpu"][0].monotonic_time_seconds);
    assert_eq!(cpu.timestamp.as_deref(), Some("2026-11-20T08:28:18.674302"));
}

#[tokio::test]
async fn cpu_has_waiting_in_it_and_cpu_util_has_not() {
    let bench = bench();
    bench.daemon.domains()[0].set("vcpu.0.time", 4_000_000_000).set("vcpu.0.wait", 1_000_000_000);
    let first = bench.all(10).await;
    assert_eq!(one(&first, "cpu"), Volume::Int(5_000_000_000));
    bench.daemon.domains()[0].set("vcpu.0.time", 9_000_000_000).set("vcpu.0.wait", 3_000_000_000);
    let second = bench.all(10).await;
    assert_eq!(one(&second, "cpu"), Volume::Int(12_000_000_000));
    assert_eq!(one(&second, "cpu_util"), Volume::Float(50.0));
    // A vCPU that does not tell: the process's time stands in for all of them.
    bench.daemon.domains()[0].set("vcpu.current", 2).set("vcpu.maximum", 2).set("cpu.time", 20_000_000_000);
    let third = bench.all(10).await;
    assert_eq!(one(&third, "cpu"), Volume::Int(20_000_000_000));
    assert!(third["cpu_util"].is_empty(), "a vCPU came in between");
    bench.daemon.domains()[0].set("cpu.time", 26_000_000_000);
    assert_eq!(one(&bench.all(10).await, "cpu_util"), Volume::Float(30.0));
}

#[tokio::test]
async fn rates_are_of_one_run_and_of_counters_that_grew() {
    let bench = bench();
    let counters = ["net.0.rx.bytes", "net.0.tx.pkts", "block.0.rd.bytes", "block.0.wr.reqs"];
    let set = |to: u64| {
        for counter in counters {
            bench.daemon.domains()[0].set(counter, to);
        }
    };
    let meters = [
        "network.incoming.bytes.rate",
        "network.outgoing.packets.rate",
        "disk.device.read.bytes.rate",
        "disk.device.write.requests.rate",
    ];
    set(1000);
    bench.all(10).await;
    set(6000);
    let grown = bench.all(10).await;
    for meter in meters {
        assert_eq!(one(&grown, meter), Volume::Float(500.0), "{meter}");
    }
    assert_eq!(one(&grown, "network.incoming.bytes.delta"), Volume::Int(5000));
    // Began anew.
    set(200);
    let anew = bench.all(10).await;
    assert!(meters.iter().all(|meter| anew[*meter].is_empty()));
    assert_eq!(one(&anew, "network.incoming.bytes.delta"), Volume::Int(200));
    // Another run, whose counters are beyond the old ones already.
    bench.daemon.domains()[0].run = 4;
    set(9000);
    let next_run = bench.all(10).await;
    assert!(meters.iter().all(|meter| next_run[*meter].is_empty()));
    assert!(next_run["cpu_util"].is_empty());
    assert_eq!(one(&next_run, "network.incoming.bytes.delta"), Volume::Int(9000));
    set(9100);
    assert_eq!(one(&bench.all(10).await, meters[0]), Volume::Float(10.0));
}

#[tokio::test]
async fn cycles_of_other_intervals_have_other_readings_before() {
    let bench = bench();
    let set = |to: u64| {
        bench.daemon.domains()[0].set("net.0.rx.bytes", to);
    };
    set(0);
    bench.all(0).await;
    bench.all(10).await;
    set(100);
    let short = bench.all(10).await;
    assert_eq!(one(&short, "network.incoming.bytes.delta"), Volume::Int(100));
    set(300);
    let long = bench.all(0).await;
    assert_eq!(one(&long, "network.incoming.bytes.delta"), Volume::Int(300));
    assert_eq!(one(&long, "network.incoming.bytes.rate"), Volume::Float(15.0));
}

#[tokio::test]
async fn memory_is_what_the_balloon_says() {
    let bench = bench();
    let samples = bench.all(10).await;
    assert_eq!(one(&samples, "memory"), Volume::Float(128.0));
    assert_eq!(float(&one(&samples, "memory.usage")), 22.5625);
    bench.daemon.domains()[0].remove("balloon.usable").set("balloon.unused", 94_788 - 2048);
    assert_eq!(one(&bench.all(10).await, "memory.usage"), Volume::Float(2.0));
    bench.daemon.domains()[0].remove("balloon.swap_in");
    let samples = bench.all(10).await;
    assert!(samples["memory.swap.in"].is_empty() && samples["memory.swap.out"].is_empty());
}

/// A domain as libvirt tells of it when it does not run (recorded as `domstats-shutoff`).
fn shut_off() -> FakeDomain {
    let mut domain = FakeDomain::recorded();
    domain.set("state.state", 5).set("balloon.maximum", 262_144);
    for gone in ["balloon.current", "balloon.s", "balloon.a", "balloon.u", "balloon.rss", "vcpu.0", "net."] {
        domain.remove(gone);
    }
    domain.remove("block.0.rd").remove("block.0.wr").remove("block.0.fl");
    domain
        .set("block.0.allocation", 200_704)
        .set("block.0.capacity", 67_108_864)
        .set("block.0.physical", 196_616);
    domain.run = -1;
    domain
}

#[tokio::test]
async fn guests_that_are_shut_off_are_silent_unless_they_are_asked_for() {
    let bench = Bench::plain(FakeLibvirt::start(vec![shut_off()]).unwrap());
    for (name, samples) in bench.all(10).await {
        let of_flavor = name == "disk.root.size" || name == "disk.ephemeral.size";
        assert_eq!(samples.len(), usize::from(of_flavor), "{name}");
    }
    let settings = ComputeSettings { report_stopped_instance_metrics: true, ..ComputeSettings::default() };
    let bench = Bench::with_settings(FakeLibvirt::start(vec![shut_off()]).unwrap(), &settings);
    let samples = bench.all(10).await;
    assert_eq!(one(&samples, "power.state"), Volume::Int(5));
    assert_eq!(one(&samples, "vcpus"), Volume::Int(1));
    assert_eq!(one(&samples, "memory"), Volume::Float(256.0));
    assert_eq!(one(&samples, "disk.device.allocation"), Volume::Int(200_704));
    assert_eq!(one(&samples, "disk.device.capacity"), Volume::Int(67_108_864));
    assert_eq!(one(&samples, "disk.device.usage"), Volume::Int(196_616));
    assert!(samples["cpu"].is_empty() && samples["memory.usage"].is_empty());
    assert_eq!(samples["power.state"][0].metadata["status"], "stopped");
    assert_eq!(samples["power.state"][0].metadata["state"], "shutdown");
}

#[tokio::test]
async fn a_device_without_statistics_costs_itself() {
    let mut domain = FakeDomain::recorded();
    let second = "<disk type='file' device='disk'><source file='/x'/><target dev='vdb' bus='virtio'/></disk>";
    let empty = "<disk type='file' device='cdrom'><target dev='hda'/></disk>";
    domain.xml = domain.xml.replacen("<disk ", &format!("{empty}{second}<disk "), 1);
    let bench = Bench::plain(FakeLibvirt::start(vec![domain]).unwrap());
    let samples = bench.all(10).await;
    let read = &samples["disk.device.read.bytes"];
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].resource_id.as_deref(), Some("02eacd57-1358-4614-b3af-19e93bedf787-vda"));
    assert_eq!(samples["disk.device.capacity"].len(), 2, "libvirt told of its size");
}

#[tokio::test]
async fn an_interface_under_a_filter_is_named_by_it() {
    let mut domain = FakeDomain::recorded();
    let filter = "<filterref filter='nova-instance-5'><parameter name='IP' value='10.20.0.16'/></filterref>\
        <virtualport type='openvswitch'><parameters interfaceid='4370'/></virtualport><source bridge='br-int'/>";
    domain.xml = domain.xml.replace("<mtu size='1450'/>", filter);
    let bench = Bench::plain(FakeLibvirt::start(vec![domain]).unwrap());
    let samples = bench.all(10).await;
    let sample = &samples["network.incoming.bytes"][0];
    assert_eq!(sample.resource_id.as_deref(), Some("nova-instance-5"));
    assert_eq!(sample.metadata["vnic_name"], "nova-instance-5");
    assert_eq!(sample.metadata["name"], "tap4370fddf-b8");
    let parameters = serde_json::json!({"ip": "10.20.0.16", "interfaceid": "4370", "bridge": "br-int"});
    assert_eq!(sample.metadata["parameters"], parameters);
}
