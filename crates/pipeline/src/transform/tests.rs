//! Each transformer on small series, upstream's surprises among them.

use std::collections::HashMap;

use nephometer_model::{Meter, MeterType, Sample, Timestamp, Volume};
use serde_json::{Value, json};

use super::*;
use crate::run;

const START_NS: i64 = 1_767_225_600_000_000_000;

/// A chain with what it remembers, batch by batch.
struct Chain {
    transformers: Vec<Transformer>,
    stored: HashMap<Key, Entry>,
    now: Timestamp,
    drops: Vec<DropReason>,
}

impl Chain {
    fn new(entries: &Value) -> Self {
        let entries = entries.as_array().unwrap();
        let transformers = entries.iter().map(|entry| Transformer::read(entry).unwrap()).collect();
        Self { transformers, stored: HashMap::new(), now: Timestamp::from_ns(START_NS), drops: Vec::new() }
    }

    fn one(name: &str, parameters: &Value) -> Self {
        Self::new(&json!([{"name": name, "parameters": parameters}]))
    }

    fn batch(&mut self, samples: Vec<Sample>) -> Vec<Sample> {
        let outcomes = run::batch(&self.transformers, &self.stored, samples, self.now);
        for (key, kept) in outcomes.changes {
            match kept {
                Some(kept) => self.stored.insert(key, Entry { kept, touched: self.now }),
                None => self.stored.remove(&key),
            };
        }
        self.drops.extend(outcomes.drops);
        outcomes.samples
    }

    /// Volumes that come out of batches of one sample each.
    fn volumes(&mut self, samples: Vec<Sample>) -> Vec<Value> {
        let out: Vec<Sample> = samples.into_iter().flat_map(|sample| self.batch(vec![sample])).collect();
        out.iter().map(|sample| sample.volume.to_json()).collect()
    }
}

fn sample(meter: (&str, MeterType, &str), resource: &str, second: i64, volume: impl Into<Value>) -> Sample {
    let id = format!("{}-{resource}-{second}", meter.0);
    let mut sample = Sample::new(&Meter::new(meter.0, meter.1, meter.2), Volume::from(volume.into()), id);
    sample.resource_id = Some(resource.into());
    sample.project_id = Some("p".into());
    sample.timestamp = Some(Timestamp::from_ns(START_NS + second * 1_000_000_000).isoformat().into());
    sample
}

fn cpu(resource: &str, second: i64, volume: impl Into<Value>) -> Sample {
    sample(("cpu", MeterType::Cumulative, "ns"), resource, second, volume)
}

fn with_metadata(mut sample: Sample, metadata: Value) -> Sample {
    let Value::Object(metadata) = metadata else { panic!("no map") };
    sample.metadata = metadata.into();
    sample
}

/// A volume without what arithmetic has left behind its sixth digit.
fn rounded(sample: &Sample) -> f64 {
    (sample.volume.as_f64().unwrap() * 1e6).round() / 1e6
}

fn cpu_util() -> Chain {
    Chain::one(
        "rate_of_change",
        &json!({"target": {"name": "cpu_util", "unit": "%", "type": "gauge", "max": 100,
            "scale": "100.0 / (10**9 * (resource_metadata.cpu_number or 1))"}}),
    )
}

#[test]
fn cpu_util_is_the_share_of_all_vcpus() {
    let mut chain = cpu_util();
    let two = json!({"cpu_number": 2});
    let batch = |second: i64, a: i64, b: i64| {
        vec![with_metadata(cpu("a", second, a), two.clone()), with_metadata(cpu("b", second, b), json!({}))]
    };
    assert_eq!(chain.batch(batch(0, 0, 500)).len(), 0);
    let out = chain.batch(batch(10, 10_000_000_000, 1_000_000_500));
    let shown: Vec<_> = out.iter().map(|s| (&*s.name, &*s.unit, s.meter_type, rounded(s))).collect();
    assert_eq!(shown, [("cpu_util", "%", MeterType::Gauge, 50.0), ("cpu_util", "%", MeterType::Gauge, 10.0)]);
    assert_eq!(out[0].resource_id.as_deref(), Some("a"));
    assert_ne!(out[0].id, out[1].id);
    // A counter that begins anew, an older sample, and more than can be.
    let out = chain.batch(batch(20, 4_000_000_000, 90_000_000_000));
    assert_eq!(out.iter().map(rounded).collect::<Vec<_>>(), [20.0, 100.0]);
    assert_eq!(chain.batch(batch(15, 5_000_000_000, 0)).len(), 0);
    assert_eq!(
        chain.drops,
        [
            DropReason::NoPredecessor,
            DropReason::NoPredecessor,
            DropReason::OutOfOrder,
            DropReason::OutOfOrder
        ]
    );
}

#[test]
fn rates_follow_upstreams_rules_and_mend_its_mistakes() {
    let rate = |target: Value| Chain::one("rate_of_change", &json!({"target": target}));
    // A number scales the rate, not the counter.
    assert_eq!(rate(json!({"scale": 2})).volumes(vec![cpu("a", 0, 1000), cpu("a", 10, 1100)]), [json!(20.0)]);
    assert_eq!(
        rate(json!({"scale": "2"})).volumes(vec![cpu("a", 0, 1000), cpu("a", 10, 1100)]),
        [json!(20.0)]
    );
    // No time between two: nothing per second.
    assert_eq!(
        rate(json!({})).volumes(vec![cpu("a", 0, 1), cpu("a", 0, 5), cpu("a", 10, 15)]),
        [json!(0.0), json!(1.0)]
    );
    // What may fall, falls.
    let gauge = |second, volume: i64| sample(("g", MeterType::Gauge, "B"), "r", second, volume);
    assert_eq!(rate(json!({})).volumes(vec![gauge(0, 10), gauge(10, 5)]), [json!(-0.5)]);
    // Numbers in texts.
    assert_eq!(
        rate(json!({})).volumes(vec![cpu("a", 0, json!("10")), cpu("a", 10, json!("20.0"))]),
        [json!(1.0)]
    );
    // Meters and resources that only run together alike.
    let named = |name, resource, second, volume: i64| {
        sample((name, MeterType::Cumulative, ""), resource, second, volume)
    };
    assert_eq!(
        rate(json!({})).volumes(vec![named("ab", "c", 0, 0), named("a", "bc", 1, 9)]),
        Vec::<Value>::new()
    );
}

#[test]
fn the_monotonic_clock_counts_where_it_can_be_believed() {
    let mut chain = Chain::one("rate_of_change", &json!({}));
    let at = |second, monotonic: f64, volume: i64| Sample {
        monotonic_time_seconds: Some(monotonic),
        ..cpu("a", second, volume)
    };
    assert_eq!(chain.volumes(vec![at(0, 100.0, 0), at(10, 112.5, 25)]), [json!(2.0)]);
    // Another host, whose clock knows another beginning; a restart of the host.
    assert_eq!(chain.volumes(vec![at(20, 900_000.0, 45), at(30, 3.0, 55)]), [json!(2.0), json!(1.0)]);
}

#[test]
fn names_and_units_are_mapped() {
    let mut chain = Chain::one(
        "rate_of_change",
        &json!({
            "source": {"map_from": {"name": "(disk\\.device|disk)\\.(read|write)\\.(bytes|requests)", "unit": "(B|request)"}},
            "target": {"map_to": {"name": "\\1.\\2.\\3.rate", "unit": "\\1/s"}, "type": "gauge"},
        }),
    );
    let disk = |second, volume: i64| {
        sample(("disk.device.read.bytes", MeterType::Cumulative, "B"), "vm-vda", second, volume)
    };
    let out: Vec<Sample> = [disk(0, 0), disk(5, 50)].into_iter().flat_map(|s| chain.batch(vec![s])).collect();
    assert_eq!((&*out[0].name, &*out[0].unit), ("disk.device.read.bytes.rate", "B/s"));
    assert_eq!(out[0].volume, Volume::Float(10.0));
}

#[test]
fn units_are_converted() {
    let temperature = |unit, volume: f64| sample(("temperature", MeterType::Gauge, unit), "r", 0, volume);
    let mut chain = Chain::one(
        "unit_conversion",
        &json!({"source": {"unit": "C"}, "target": {"unit": "F", "scale": "(volume * 1.8) + 32"}}),
    );
    let out = chain.batch(vec![temperature("C", 100.0), temperature("K", 5.0)]);
    assert_eq!((out[0].volume.clone(), &*out[0].unit), (Volume::Float(212.0), "F"));
    assert_eq!((out[1].volume.clone(), &*out[1].unit), (Volume::Float(5.0), "K"));
    let mut chain =
        Chain::one("unit_conversion", &json!({"target": {"unit": "B", "scale": 1024, "max": 5000}}));
    assert_eq!(
        chain.volumes(vec![cpu("a", 0, 2), cpu("a", 1, 9), cpu("a", 2, 1.5)]),
        [json!(2048), json!(5000.0), json!(1536.0)]
    );
    let mut chain =
        Chain::one("unit_conversion", &json!({"target": {"scale": "volume / resource_metadata.none"}}));
    assert_eq!(chain.volumes(vec![cpu("a", 0, 2)]), Vec::<Value>::new());
    assert_eq!(chain.drops, [DropReason::Expression]);
}

#[test]
fn deltas_are_differences() {
    let mut chain = Chain::one(
        "delta",
        &json!({"target": {"name": "cpu.delta", "unit": "ignored"}, "growth_only": true}),
    );
    let out: Vec<Sample> =
        [cpu("a", 0, 10), cpu("a", 10, 25), cpu("a", 20, 5), cpu("a", 30, 6), cpu("a", 5, 100)]
            .into_iter()
            .flat_map(|sample| chain.batch(vec![sample]))
            .collect();
    let shown: Vec<_> = out.iter().map(|s| (&*s.name, &*s.unit, s.meter_type, s.volume.clone())).collect();
    assert_eq!(
        shown,
        [
            ("cpu.delta", "ns", MeterType::Delta, Volume::Int(15)),
            ("cpu.delta", "ns", MeterType::Delta, Volume::Int(1))
        ]
    );
    assert_eq!(chain.drops, [DropReason::NoPredecessor, DropReason::NotGrown, DropReason::OutOfOrder]);
}

#[test]
fn aggregates_are_means_sums_and_last_values() {
    let all = |meter_type, parameters: Value| {
        let mut chain = Chain::one("aggregator", &parameters);
        let meter = ("m", meter_type, "B");
        let out = chain.batch(vec![
            sample(meter, "r", 0, 1),
            sample(meter, "r", 1, 2),
            sample(meter, "q", 2, 7),
            sample(meter, "r", 3, 6),
        ]);
        out.iter()
            .map(|s| (s.resource_id.clone().unwrap().to_string(), s.volume.as_f64().unwrap()))
            .collect::<Vec<_>>()
    };
    let pairs = |q: f64, r: f64| vec![("q".to_owned(), q), ("r".to_owned(), r)];
    assert_eq!(all(MeterType::Gauge, json!({"size": 4})), pairs(7.0, 3.0));
    assert_eq!(all(MeterType::Delta, json!({"size": 4})), pairs(7.0, 9.0));
    assert_eq!(all(MeterType::Cumulative, json!({"size": 4})), pairs(7.0, 6.0));
    assert!(all(MeterType::Gauge, json!({"size": 5})).is_empty());
    // Upstream fails for ever where the target renames the meter or makes it a gauge.
    assert_eq!(
        all(MeterType::Delta, json!({"size": 4, "target": {"name": "n", "type": "gauge"}})),
        pairs(7.0, 3.0)
    );
    assert_eq!(
        all(MeterType::Delta, json!({"size": 4, "target": {"scale": 10, "max": 50}})),
        pairs(50.0, 50.0)
    );
}

#[test]
fn aggregates_end_when_their_time_is_over() {
    let mut chain = Chain::one(
        "aggregator",
        &json!({"retention_time": 60, "timestamp": "last", "resource_metadata": "drop"}),
    );
    let meter = ("m", MeterType::Delta, "B");
    assert_eq!(chain.batch(vec![sample(meter, "r", 0, 1)]).len(), 0);
    chain.now = Timestamp::from_ns(START_NS + 60_000_000_000);
    assert_eq!(chain.batch(vec![with_metadata(sample(meter, "r", 50, 2), json!({"a": 1}))]).len(), 0);
    chain.now = Timestamp::from_ns(START_NS + 61_000_000_000);
    let out = chain.batch(Vec::new());
    assert_eq!(
        (out[0].volume.clone(), out[0].timestamp.clone()),
        (Volume::Int(3), sample(meter, "r", 50, 2).timestamp)
    );
    assert!(chain.stored.is_empty());
}

#[test]
fn owners_keep_aggregates_apart_unless_they_are_merged() {
    let meter = ("m", MeterType::Delta, "B");
    let of =
        |project: &str, second| Sample { project_id: Some(project.into()), ..sample(meter, "r", second, 1) };
    for (parameters, expected) in [
        (json!({"size": 2}), vec!["p", "q"]),
        (json!({"size": 2, "project_id": "first"}), vec!["p"]),
        (json!({"size": 2, "project_id": "last"}), vec!["q"]),
        (json!({"size": 2, "project_id": "whatever"}), vec!["q"]),
    ] {
        let out = Chain::one("aggregator", &parameters).batch(vec![of("p", 0), of("q", 1)]);
        let projects: Vec<_> =
            out.iter().map(|sample| sample.project_id.clone().unwrap().to_string()).collect();
        assert_eq!(projects, expected);
    }
}

#[test]
fn samples_accumulate() {
    let mut chain = Chain::one("accumulator", &json!({"size": 3}));
    assert_eq!(chain.batch(vec![cpu("a", 0, 0), cpu("a", 1, 1)]).len(), 0);
    let out = chain.batch(vec![cpu("a", 2, 2), cpu("a", 3, 3)]);
    assert_eq!(
        out.iter().map(|s| s.volume.to_json()).collect::<Vec<_>>(),
        [json!(0), json!(1), json!(2), json!(3)]
    );
    assert!(chain.stored.is_empty());
    assert_eq!(Chain::one("accumulator", &json!({"size": 0})).batch(vec![cpu("a", 0, 0)]).len(), 1);
    // What one lets go, the next takes, within one batch.
    let mut chain = Chain::new(&json!([
        {"name": "accumulator", "parameters": {"size": 2}},
        {"name": "aggregator", "parameters": {"size": 2}},
    ]));
    let meter = ("m", MeterType::Delta, "B");
    assert_eq!(chain.batch(vec![sample(meter, "r", 0, 1)]).len(), 0);
    assert_eq!(chain.batch(vec![sample(meter, "r", 1, 2)])[0].volume, Volume::Int(3));
}

#[test]
fn arithmetic_waits_for_its_operands() {
    let target = json!({"name": "memory_util", "unit": "%", "type": "gauge",
        "expr": "100 * $(memory.usage) / $(memory-total).volume or $(memory.usage).resource_metadata.x"});
    let mut chain = Chain::one("arithmetic", &json!({"target": target}));
    let usage = |resource, second, volume: i64| {
        sample(("memory.usage", MeterType::Gauge, "MB"), resource, second, volume)
    };
    let total = |resource, second, volume: i64| {
        sample(("memory-total", MeterType::Gauge, "MB"), resource, second, volume)
    };
    assert_eq!(
        chain.batch(vec![usage("a", 0, 1), usage("a", 5, 64), cpu("a", 9, 1), usage("b", 0, 5)]).len(),
        0
    );
    let out = chain.batch(vec![with_metadata(total("a", 3, 256), json!({"y": 1}))]);
    assert_eq!(out.len(), 1);
    assert_eq!(
        (&*out[0].name, out[0].volume.clone(), &*out[0].unit),
        ("memory_util", Volume::Float(25.0), "%")
    );
    assert_eq!(out[0].timestamp, usage("a", 5, 64).timestamp);
    assert!(out[0].metadata.is_empty());
    // Complete, but without a value: it is over all the same.
    assert_eq!(chain.batch(vec![total("b", 1, 0)]).len(), 0);
    assert_eq!(chain.drops, [DropReason::Expression]);
    assert!(chain.stored.is_empty());
}

#[test]
fn wrong_parameters_are_named() {
    for (entry, message) in [
        (json!({"name": "nothing"}), "No transformer named nothing loaded"),
        (
            json!({"name": "arithmetic", "parameters": {"target": {"expr": "1"}}}),
            "arithmetic: Arithmetic transformer must use at least one meter in expression '1'",
        ),
        (
            json!({"name": "aggregator", "parameters": {"size": "x"}}),
            "aggregator: size should be a whole number, not \"x\"",
        ),
        (
            json!({"name": "unit_conversion", "parameters": {"target": {"type": "rate"}}}),
            "unit_conversion: type: unsupported sample type `rate`: it is gauge, delta or cumulative",
        ),
        (
            json!({"name": "delta", "parameters": {"growth_only": "yes"}}),
            "delta: growth_only should be true or false, not \"yes\"",
        ),
        (json!({"name": "delta", "parameters": [1]}), "delta: parameters should be a mapping, not [1]"),
    ] {
        assert_eq!(Transformer::read(&entry).unwrap_err().to_string(), message);
    }
}

#[test]
fn what_is_computed_again_has_the_same_id() {
    let run = || {
        let mut chain = cpu_util();
        chain.batch(vec![cpu("a", 0, 0)]);
        chain.batch(vec![cpu("a", 10, 5)])[0].id.clone()
    };
    assert_eq!(run(), run());
}
