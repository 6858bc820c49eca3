//! Meters over recorded output, a Node Manager that is played, and failures.

use std::collections::BTreeMap;
use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::{ManualClock, Sample, Timestamp};
use nephometer_pipeline::KeptSamples;
use parking_lot::Mutex;
use serde_json::json;

use super::{CommandError, CommandRunner, IpmiSettings, plugins};
use crate::{Cycle, PollError, Resource, SampleOut};

/// Answers from a table; `sdr dump` writes a repository with a discovery record.
#[derive(Default)]
struct Played {
    answers: BTreeMap<&'static str, &'static str>,
    asked: Mutex<Vec<String>>,
}

#[async_trait]
impl CommandRunner for Played {
    async fn run(&self, arguments: &[&str]) -> Result<Vec<u8>, CommandError> {
        let question = arguments.join(" ");
        self.asked.lock().push(question.clone());
        if let Some(path) = question.strip_prefix("sdr dump ") {
            std::fs::write(path, [0x51, 0xc0, 0x57, 0x01, 0x00, 0x0d, 0x01, 0x2c, 0x60]).unwrap();
            return Ok(Vec::new());
        }
        let answer = self.answers.get(question.as_str());
        answer
            .map(|text| text.as_bytes().to_vec())
            .ok_or_else(|| CommandError::Failed(format!("no answer to {question}")))
    }
}

fn intel() -> Played {
    let answers = [
        ("raw 0x06 0x01", " 21 01 01 04 02 bf 57 01 00 49 00 01 07 50 0b"),
        ("raw 0x0a 0x2c 0x00", " 01"),
        ("-b 0x6 -t 0x2c raw 0x06 0x01", " 50 01 03 02 02 21 57 01 00 02 0b 02 09 10 01"),
        ("-b 0x6 -t 0x2c raw 0x2e 0xca 0x57 0x01 0x00", " 57 01 00 05 03 07 03 02"),
        ("-b 0x6 -t 0x2c raw 0x2e 0xc8 0x57 0x01 0x00 0x01 0x00 0x00", " 57 01 00 be 00 96 00 26 02 cb 00"),
        (
            "-b 0x6 -t 0x2c raw 0x2e 0x65 0x57 0x01 0x00 0x05",
            " 57 01 00 33 00 00 00 00 00 00 00 05 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00",
        ),
    ];
    Played { answers: answers.into(), asked: Mutex::default() }
}

/// One cycle of the meters `names` on the host `node1`.
async fn poll(
    settings: &IpmiSettings,
    runner: &Arc<Played>,
    names: &[&str],
) -> (Vec<Sample>, Vec<Result<(), PollError>>) {
    let plugins = plugins(settings, &(Arc::clone(runner) as Arc<dyn CommandRunner>));
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
    let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
    let sink = KeptSamples::default();
    let mut outcomes = Vec::new();
    for name in names {
        let pollster = plugins.pollsters.iter().find(|pollster| pollster.name() == *name).unwrap();
        let mut out = SampleOut::new(&sink, "2026-11-20T08:30:00".into(), 50);
        outcomes.push(pollster.poll(&cycle, &[Resource::from_id("node1")], &mut out).await);
        out.flush().await.unwrap();
    }
    (sink.take(), outcomes)
}

#[tokio::test]
async fn sensors_become_samples_of_the_host() {
    let output = include_str!("fixtures/sdr-v.txt");
    let answers = [("sdr -v type Temperature", output), ("sdr -v type Current", output)];
    let runner = Arc::new(Played { answers: answers.into(), asked: Mutex::default() });
    let names = ["hardware.ipmi.temperature", "hardware.ipmi.current"];
    let (samples, outcomes) = poll(&IpmiSettings::default(), &runner, &names).await;
    assert_eq!(outcomes, [Ok(()), Ok(())]);
    let ids: Vec<_> = samples.iter().map(|sample| sample.resource_id.as_deref().unwrap()).collect();
    assert_eq!(ids, ["node1-cpu1_temp_(0x1)", "node1-ambient_temp_(0x2)", "node1-psu1_current_(0x7)"]);
    assert_eq!((samples[0].volume.to_json(), &*samples[0].unit), (json!(45.0), "C"));
    assert_eq!(samples[2].metadata["node"], json!("node1"));
}

#[tokio::test]
async fn a_node_manager_is_found_by_its_record_and_asked_once_for_what_stands_together() {
    let runner = Arc::new(intel());
    let names = [
        "hardware.ipmi.node.power",
        "hardware.ipmi.node.cpu_util",
        "hardware.ipmi.node.mem_util",
        "hardware.ipmi.node.io_util",
    ];
    let (samples, outcomes) = poll(&IpmiSettings::default(), &runner, &names).await;
    assert!(outcomes.iter().all(Result::is_ok), "{outcomes:?}");
    let volumes: Vec<_> = samples.iter().map(|sample| sample.volume.to_json()).collect();
    assert_eq!(volumes, [json!(190), json!(51), json!(5), json!(0)]);
    assert_eq!(samples[0].resource_id.as_deref(), Some("node1"));
    let asked = runner.asked.lock();
    assert_eq!(asked.iter().filter(|question| question.ends_with("0x57 0x01 0x00 0x05")).count(), 1);
    assert_eq!(asked.iter().filter(|question| question.starts_with("sdr dump")).count(), 1);
}

#[tokio::test]
async fn a_machine_without_a_node_manager_has_no_such_samples_and_no_failures() {
    let answers = [("raw 0x06 0x01", " 00 83 09 08 02 9f 91 12 00 02 0f 00 00 00 00")];
    let runner = Arc::new(Played { answers: answers.into(), asked: Mutex::default() });
    let (samples, outcomes) = poll(&IpmiSettings::default(), &runner, &["hardware.ipmi.node.power"]).await;
    assert_eq!((samples.len(), outcomes), (0, vec![Ok(())]));
}

#[tokio::test]
async fn patience_ends_after_failures_in_a_row() {
    let settings = IpmiSettings { polling_retry: 1, ..IpmiSettings::default() };
    let plugins = plugins(&settings, &(Arc::new(Played::default()) as Arc<dyn CommandRunner>));
    let clock = Arc::new(ManualClock::at(Timestamp::from_ns(0)));
    let cycle = Cycle::new(Arc::clone(&clock) as _, clock);
    let sink = KeptSamples::default();
    let mut out = SampleOut::new(&sink, "".into(), 1);
    let host = [Resource::from_id("node1")];
    let first = plugins.pollsters[0].poll(&cycle, &host, &mut out).await;
    assert!(matches!(first, Err(PollError::Failed(_))), "{first:?}");
    let second = plugins.pollsters[0].poll(&cycle, &host, &mut out).await;
    assert!(
        matches!(&second, Err(PollError::Permanent { resources, .. }) if resources.len() == 1),
        "{second:?}"
    );
}
