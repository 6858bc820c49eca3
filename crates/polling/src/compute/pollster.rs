//! Guests to samples, meter by meter, out of the cycle's one reading.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use async_trait::async_trait;
use nephometer_model::{Meter, Sample, Volume};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128_with_seed;

use super::discovery::LOCAL_INSTANCES;
use super::host::{DiskSizes, Guest, Host};
use super::instance::{Instance, Kind};
use super::meters::{METERS, MeterSpec, Source};
use super::rates;
use super::settings::ComputeSettings;
use crate::libvirt::{DiskStats, DomainStats, NicStats};
use crate::pollster::of_one_meter;
use crate::{Cycle, PollError, Pollster, Resource, SampleOut};

/// One for each meter.
pub(super) fn all(host: &Arc<Host>, settings: &ComputeSettings) -> Vec<Arc<dyn Pollster>> {
    let one = |spec: &'static MeterSpec| -> Arc<dyn Pollster> {
        Arc::new(ComputePollster {
            spec,
            meter: spec.meter(),
            host: Arc::clone(host),
            also_stopped: settings.report_stopped_instance_metrics,
            said: AtomicBool::new(false),
        })
    };
    METERS.iter().map(one).collect()
}

struct ComputePollster {
    spec: &'static MeterSpec,
    meter: Meter,
    host: Arc<Host>,
    also_stopped: bool,
    /// Whether it was said already that guests lack the statistic: most that do always will.
    said: AtomicBool,
}

/// What has no value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unavailable;

#[async_trait]
impl Pollster for ComputePollster {
    of_one_meter! {
        self,
        name: self.spec.name,
        meter: self.meter,
        origin: self.spec.origin,
        discovery: Some(LOCAL_INSTANCES),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        if let Source::Flavor(size) = self.spec.source {
            return self.poll_flavors(size, cycle, resources, out).await;
        }
        let guests = self.host.guests(cycle).await;
        let guests = guests.as_ref().as_ref().map_err(|error| {
            let reason = error.to_string();
            match error.is_unsupported() {
                true => PollError::Permanent {
                    resources: resources.iter().map(|resource| Arc::clone(&resource.id)).collect(),
                    reason,
                },
                false => PollError::Failed(reason),
            }
        })?;
        let sizes = match self.spec.source {
            Source::DiskSize(_) => Some(self.host.disk_sizes(cycle, guests).await),
            _ => None,
        };
        let ids = SampleIds::new(cycle);
        let mut lacking = 0_u32;
        for resource in resources {
            let Some(instance) = resource.of::<Instance>() else { continue };
            let Some(guest) = guests.get(&instance.uuid) else {
                tracing::debug!(instance = %instance.id, meter = self.spec.name, "it is gone");
                continue;
            };
            if guest.is_shut_off() && !(self.also_stopped && self.spec.source.has_stopped()) {
                continue;
            }
            let reading =
                Reader { pollster: self, ids: &ids, instance: &instance, guest, sizes: sizes.as_deref() };
            let mut samples = Vec::new();
            if reading.read(&mut samples) == Err(Unavailable) {
                lacking += 1;
                tracing::debug!(instance = %instance.id, meter = self.spec.name, "statistic is not available");
            }
            for sample in samples {
                out.push(sample).await?;
            }
        }
        if lacking > 0 && !self.said.swap(true, Ordering::Relaxed) {
            let meter = self.spec.name;
            tracing::warn!(
                meter,
                instances = lacking,
                "statistic is not available (said once; more at level debug)"
            );
        }
        Ok(())
    }
}

impl ComputePollster {
    async fn poll_flavors(
        &self,
        size: fn(&Instance) -> i64,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        let ids = SampleIds::new(cycle);
        for resource in resources {
            let Some(instance) = resource.of::<Instance>() else { continue };
            let mut sample = instance.sample(&self.meter, Volume::Int(size(&instance)), ids.fresh());
            sample.monotonic_time_seconds = Some(seconds(cycle.clock().monotonic_ns()));
            out.push(sample).await?;
        }
        Ok(())
    }
}

impl Source {
    /// Whether there is something to say of a guest that is shut off.
    fn has_stopped(self) -> bool {
        matches!(self, Self::AlsoStopped(_) | Self::DiskSize(_))
    }
}

/// Ids of the samples of one poll: one random number, mixed with a count. To ask the system for each takes longer than all
/// the rest.
struct SampleIds {
    base: Uuid,
    count: AtomicU64,
}

impl SampleIds {
    fn new(cycle: &Cycle) -> Self {
        Self { base: cycle.ids().uuid(), count: AtomicU64::new(0) }
    }

    fn fresh(&self) -> String {
        let count = self.count.fetch_add(1, Ordering::Relaxed);
        let mixed = xxh3_128_with_seed(self.base.as_bytes(), count);
        uuid::Builder::from_random_bytes(mixed.to_be_bytes()).into_uuid().to_string()
    }
}

fn seconds(monotonic_ns: u64) -> f64 {
    monotonic_ns as f64 / 1e9
}

/// One guest read for one meter.
struct Reader<'a> {
    pollster: &'a ComputePollster,
    ids: &'a SampleIds,
    instance: &'a Instance,
    guest: &'a Guest,
    sizes: Option<&'a DiskSizes>,
}

impl Reader<'_> {
    /// Adds the guest's samples; says where a value is missing that should be there.
    fn read(&self, samples: &mut Vec<Sample>) -> Result<(), Unavailable> {
        let meter = &self.pollster.meter;
        let guest = self.guest;
        match self.pollster.spec.source {
            Source::Flavor(_) => Ok(()),
            Source::Guest(value) | Source::AlsoStopped(value) => {
                let volume = value(guest).ok_or(Unavailable)?;
                samples.push(self.timed(self.instance.sample(meter, volume, self.ids.fresh())));
                Ok(())
            }
            Source::Cpu(value) => {
                let Some(volume) = value(guest) else {
                    // A rate is missing at a run's first reading, and nobody is to be told.
                    return if guest.now.stats.cpu_time_ns.is_some() { Ok(()) } else { Err(Unavailable) };
                };
                match guest.now.stats.vcpu_current {
                    Some(number) => self.each(&Kind::Vcpus(number), samples, |_| Some(volume.clone())),
                    None => {
                        samples.push(self.timed(self.instance.sample(meter, volume, self.ids.fresh())));
                        Ok(())
                    }
                }
            }
            Source::Disk(value) => {
                self.each_disk(samples, |device| disk(&guest.now.stats, device, value).map(Volume::from))
            }
            Source::DiskRate(value) => self.rates(samples, true, |stats, device| disk(stats, device, value)),
            Source::DiskSize(size) => self.each_disk(samples, |device| {
                let info = self.sizes?.get(&(self.instance.uuid, device.into()))?.as_ref();
                let info = info.inspect_err(|error| tracing::debug!(%error, device, "no sizes")).ok()?;
                Some(Volume::from(size(info)))
            }),
            Source::Nic(value) => {
                self.each_nic(samples, |device| nic(&guest.now.stats, device, value).map(Volume::from))
            }
            Source::NicDelta(value) => self.each_nic(samples, |device| {
                rates::delta(guest, |stats| nic(stats, device, value)).map(Volume::from)
            }),
            Source::NicRate(value) => self.rates(samples, false, |stats, device| nic(stats, device, value)),
        }
    }

    fn timed(&self, mut sample: Sample) -> Sample {
        sample.monotonic_time_seconds = Some(seconds(self.guest.now.monotonic_ns));
        sample
    }

    fn each_disk(
        &self,
        samples: &mut Vec<Sample>,
        value: impl Fn(&str) -> Option<Volume>,
    ) -> Result<(), Unavailable> {
        let Ok(description) = &self.guest.description else { return Err(Unavailable) };
        self.each(&Kind::Disks(Arc::clone(description)), samples, value)
    }

    fn each_nic(
        &self,
        samples: &mut Vec<Sample>,
        value: impl Fn(&str) -> Option<Volume>,
    ) -> Result<(), Unavailable> {
        let Ok(description) = &self.guest.description else { return Err(Unavailable) };
        self.each(&Kind::Nics(Arc::clone(description)), samples, value)
    }

    fn each(
        &self,
        kind: &Kind,
        samples: &mut Vec<Sample>,
        value: impl Fn(&str) -> Option<Volume>,
    ) -> Result<(), Unavailable> {
        let mut outcome = Ok(());
        for part in self.instance.parts(kind).iter() {
            match value(&part.device) {
                Some(volume) => {
                    let sample =
                        self.instance.part_sample(&self.pollster.meter, volume, self.ids.fresh(), part);
                    samples.push(self.timed(sample));
                }
                None => outcome = Err(Unavailable),
            }
        }
        outcome
    }

    /// Rates of disks or interfaces. That there is none yet is nothing to be told of.
    fn rates(
        &self,
        samples: &mut Vec<Sample>,
        of_disks: bool,
        counter: impl Fn(&DomainStats, &str) -> Option<u64>,
    ) -> Result<(), Unavailable> {
        let value = |device: &str| rates::rate(self.guest, |stats| counter(stats, device)).map(Volume::Float);
        let _ = if of_disks { self.each_disk(samples, value) } else { self.each_nic(samples, value) };
        Ok(())
    }
}

fn disk(stats: &DomainStats, device: &str, value: fn(&DiskStats) -> Option<u64>) -> Option<u64> {
    stats.disks.iter().find(|disk| *disk.name == *device).and_then(value)
}

fn nic(stats: &DomainStats, device: &str, value: fn(&NicStats) -> Option<u64>) -> Option<u64> {
    stats.nics.iter().find(|nic| *nic.name == *device).and_then(value)
}
