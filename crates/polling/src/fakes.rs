//! Pollsters, discoveries and sinks that tests of the agent say what to do.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use nephometer_model::{Meter, MeterType, Sample};
use nephometer_pipeline::{NotAccepted, SampleSink};
use parking_lot::Mutex;

use crate::pollster::of_one_meter;
use crate::{Cycle, Discovery, DiscoveryError, DiscoveryGroup, PollError, Pollster, Resource, SampleOut};

/// How a [`FakePollster`] reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Habit {
    /// All, in no time.
    Well,
    /// All, but it takes so long.
    Slowly(Duration),
    /// The first, then it fails.
    Halfway,
    /// All but those whose names begin with an x, for good.
    Refusing,
    /// It panics.
    Panicking,
}

/// Makes one sample of each resource.
pub(crate) struct FakePollster {
    pub(crate) name: String,
    pub(crate) meter: Meter,
    pub(crate) habit: Habit,
    pub(crate) at_once: Arc<AtomicU32>,
    pub(crate) most_at_once: Arc<AtomicU32>,
}

impl FakePollster {
    /// A pollster `name`, or `name=meter` where its meter is called otherwise.
    pub(crate) fn named(name: &str) -> Self {
        let (name, meter) = name.split_once('=').unwrap_or((name, name));
        Self {
            name: name.to_owned(),
            meter: Meter::new(meter, MeterType::Gauge, "B"),
            habit: Habit::Well,
            at_once: Arc::default(),
            most_at_once: Arc::default(),
        }
    }

    pub(crate) fn that(name: &str, habit: Habit) -> Self {
        Self { habit, ..Self::named(name) }
    }

    async fn read(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        let mut refused = Vec::new();
        for resource in resources {
            if self.habit == Habit::Refusing && resource.id.starts_with('x') {
                refused.push(Arc::clone(&resource.id));
                continue;
            }
            let mut sample = Sample::new(&self.meter, 1_i64, cycle.ids().uuid().to_string());
            sample.resource_id = Some(Arc::clone(&resource.id));
            out.push(sample).await?;
            if self.habit == Habit::Halfway {
                return Err(PollError::Failed("halfway".to_owned()));
            }
        }
        if refused.is_empty() {
            return Ok(());
        }
        Err(PollError::Permanent { resources: refused, reason: "never".to_owned() })
    }
}

#[async_trait]
impl Pollster for FakePollster {
    of_one_meter! {
        self,
        name: &self.name,
        meter: self.meter,
        origin: "nowhere",
        discovery: Some("local_node"),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
        self.most_at_once.fetch_max(now, Ordering::SeqCst);
        match self.habit {
            Habit::Panicking => panic!("as it does"),
            Habit::Slowly(time) => tokio::time::sleep(time).await,
            _ => tokio::task::yield_now().await,
        }
        let outcome = self.read(cycle, resources, out).await;
        self.at_once.fetch_sub(1, Ordering::SeqCst);
        outcome
    }
}

/// Lists what it is told to, and counts how often it is asked.
#[derive(Default)]
pub(crate) struct FakeDiscovery {
    pub(crate) ids: Mutex<Vec<&'static str>>,
    pub(crate) asked: AtomicU32,
}

#[async_trait]
impl Discovery for FakeDiscovery {
    fn name(&self) -> &str {
        "fake"
    }

    fn group(&self) -> DiscoveryGroup {
        DiscoveryGroup::Global
    }

    async fn discover(&self, _: &Cycle, parameter: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        match parameter {
            Some("broken") => Err(DiscoveryError::Failed("broken".to_owned())),
            _ => Ok(self.ids.lock().iter().map(|id| Resource::from_id(*id)).collect()),
        }
    }
}

/// Keeps samples, or takes none.
#[derive(Default)]
pub(crate) struct FakeSink {
    pub(crate) samples: Mutex<Vec<Sample>>,
    pub(crate) is_full: std::sync::atomic::AtomicBool,
}

impl FakeSink {
    /// What has come in: meter and resource.
    pub(crate) fn taken(&self) -> Vec<String> {
        let name =
            |sample: &Sample| format!("{} {}", sample.name, sample.resource_id.as_deref().unwrap_or("-"));
        self.samples.lock().iter().map(name).collect()
    }
}

#[async_trait]
impl SampleSink for FakeSink {
    async fn accept(&self, samples: Vec<Sample>) -> Result<(), NotAccepted> {
        if self.is_full.load(Ordering::SeqCst) {
            return Err(NotAccepted("full".to_owned()));
        }
        self.samples.lock().extend(samples);
        Ok(())
    }
}
