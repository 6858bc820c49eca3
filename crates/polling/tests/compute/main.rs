//! The namespace `compute` against a daemon that answers from recordings: libvirt's client, every meter, both discoveries.

#![allow(clippy::unwrap_used, reason = "helpers of tests fail like tests")]

mod client;
mod faults;
mod meters;
mod nova;
mod reference;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::CloudReader;
use nephometer_model::{ManualClock, Sample, Timestamp, Volume};
use nephometer_pipeline::KeptSamples;
use nephometer_polling::compute::{self, ComputeParts, ComputeSettings, UserMetadataRules};
use nephometer_polling::libvirt::{LibvirtClient, LibvirtUri};
use nephometer_polling::{Cycle, DiscoveryError, Plugins, PollError, Resource, SampleOut};
use nephometer_testkit::libvirt::FakeLibvirt;

/// A host with its daemon, and a clock that moves when told.
struct Bench {
    daemon: FakeLibvirt,
    clock: Arc<ManualClock>,
    plugins: Plugins,
}

fn client(daemon: &FakeLibvirt, limit: Duration) -> LibvirtClient {
    let uri = LibvirtUri::parse(&daemon.uri(), None).unwrap();
    LibvirtClient::new(uri, limit).with_pauses(&[Duration::from_millis(20); 2])
}

impl Bench {
    fn new(daemon: FakeLibvirt, settings: &ComputeSettings, cloud: Option<Arc<dyn CloudReader>>) -> Self {
        // 2026-11-20T08:28:00Z.
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(1_795_163_280_000_000_000)));
        let parts = ComputeParts {
            host: "lablv".into(),
            inspector: Arc::new(client(&daemon, Duration::from_secs(5))),
            cloud,
            nova_service_type: "compute".to_owned(),
            user_metadata: UserMetadataRules::default(),
        };
        let plugins = compute::plugins(settings, parts).unwrap();
        Self { daemon, clock, plugins }
    }

    fn with_settings(daemon: FakeLibvirt, settings: &ComputeSettings) -> Self {
        Self::new(daemon, settings, None)
    }

    fn plain(daemon: FakeLibvirt) -> Self {
        Self::with_settings(daemon, &ComputeSettings::default())
    }

    fn cycle(&self, interval_seconds: u64) -> Cycle {
        let cycle = Cycle::new(Arc::clone(&self.clock) as _, Arc::clone(&self.clock) as _);
        cycle.every(Duration::from_secs(interval_seconds))
    }

    async fn resources(&self, cycle: &Cycle) -> Result<Vec<Resource>, DiscoveryError> {
        self.plugins.discoveries[0].discover(cycle, None).await
    }

    /// What one pollster makes of `resources`.
    async fn poll(
        &self,
        cycle: &Cycle,
        meter: &str,
        resources: &[Resource],
    ) -> Result<Vec<Sample>, PollError> {
        let pollster = self.plugins.pollsters.iter().find(|pollster| pollster.name() == meter).unwrap();
        let kept = KeptSamples::default();
        let mut out = SampleOut::new(&kept, "2026-11-20T08:28:18.674302".into(), 7);
        pollster.poll(cycle, resources, &mut out).await?;
        out.flush().await?;
        Ok(kept.take())
    }

    /// All samples of a cycle, by meter; the clock moves on by `interval_seconds` afterwards.
    async fn all(&self, interval_seconds: u64) -> BTreeMap<String, Vec<Sample>> {
        let cycle = self.cycle(interval_seconds);
        let resources = self.resources(&cycle).await.unwrap();
        let mut samples = BTreeMap::new();
        for pollster in &self.plugins.pollsters {
            let made = self.poll(&cycle, pollster.name(), &resources).await.unwrap();
            samples.insert(pollster.name().to_owned(), made);
        }
        self.clock.advance_ns(i64::try_from(interval_seconds).unwrap() * 1_000_000_000);
        samples
    }
}

/// The value of the one sample of a meter.
fn one(samples: &BTreeMap<String, Vec<Sample>>, meter: &str) -> Volume {
    let [sample] = samples[meter].as_slice() else {
        panic!("{meter} has {} samples", samples[meter].len());
    };
    sample.volume.clone()
}
