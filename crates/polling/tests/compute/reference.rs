//! Against Ceilometer 27: the recorded domain says what it said when the real agent read it, and our samples are the agent's,
//! field by field. What differs on purpose is listed in `compute.rs`; none of it shows here.

use std::collections::{BTreeMap, HashSet};

use nephometer_model::Sample;
use nephometer_testkit::libvirt::{FakeDomain, FakeLibvirt};
use serde_json::{Map, Value};

use crate::Bench;

/// Samples of two polls of each meter, as the agent gave them to its publisher.
const REFERENCE: &str = include_str!("fixtures/ceilometer27-libvirt-samples.jsonl");

/// Fields that are another each time: when it was read, and under which id.
const FRESH: [&str; 3] = ["timestamp", "id", "monotonic_time"];

/// Where libvirt had a meter's value from, and how much of it is one of the meter's units.
const INPUTS: [(&str, &str, f64); 14] = [
    ("cpu", "vcpu.0.time", 1.0),
    ("memory.resident", "balloon.rss", 1024.0),
    ("disk.device.read.requests", "block.0.rd.reqs", 1.0),
    ("disk.device.read.bytes", "block.0.rd.bytes", 1.0),
    ("disk.device.read.latency", "block.0.rd.times", 1.0),
    ("disk.device.write.requests", "block.0.wr.reqs", 1.0),
    ("disk.device.write.bytes", "block.0.wr.bytes", 1.0),
    ("disk.device.write.latency", "block.0.wr.times", 1.0),
    ("network.incoming.bytes", "net.0.rx.bytes", 1.0),
    ("network.incoming.packets", "net.0.rx.pkts", 1.0),
    ("network.outgoing.bytes", "net.0.tx.bytes", 1.0),
    ("network.outgoing.packets", "net.0.tx.pkts", 1.0),
    ("vcpus", "vcpu.current", 1.0),
    ("power.state", "state.state", 1.0),
];

fn reference() -> BTreeMap<String, Vec<Map<String, Value>>> {
    let mut by_meter: BTreeMap<String, Vec<Map<String, Value>>> = BTreeMap::new();
    for line in REFERENCE.lines() {
        let sample: Map<String, Value> = serde_json::from_str(line).unwrap();
        by_meter.entry(sample["name"].as_str().unwrap().to_owned()).or_default().push(sample);
    }
    by_meter
}

fn comparable(mut sample: Map<String, Value>) -> Map<String, Value> {
    for field in FRESH {
        assert!(sample.contains_key(field), "{field}");
        sample.shift_remove(field);
    }
    sample
}

#[tokio::test]
async fn samples_are_those_of_ceilometer_27() {
    let reference = reference();
    let bench = Bench::plain(FakeLibvirt::start(vec![FakeDomain::recorded()]).unwrap());
    let mut compared = HashSet::new();
    for poll in 0..2 {
        for (meter, parameter, factor) in INPUTS {
            let value =
                reference[meter].get(poll).or(reference[meter].last()).unwrap()["volume"].as_f64().unwrap();
            bench.daemon.domains()[0].set(parameter, (value * factor) as u64);
        }
        let ours: BTreeMap<String, Vec<Sample>> = bench.all(60).await;
        for (meter, theirs) in &reference {
            let Some(theirs) = theirs.get(poll) else { continue };
            let [sample] = ours[meter].as_slice() else { panic!("{meter}: {} samples", ours[meter].len()) };
            let (got, wanted) = (comparable(sample.to_map()), comparable(theirs.clone()));
            assert_eq!(Value::from(got.clone()), Value::from(wanted.clone()), "{meter}");
            // The order of keys shows in files and message bodies, so it counts too.
            assert_eq!(
                serde_json::to_string(&got).unwrap(),
                serde_json::to_string(&wanted).unwrap(),
                "{meter}"
            );
            compared.insert((meter.clone(), poll));
        }
    }
    assert_eq!(compared.len(), 56);
}
