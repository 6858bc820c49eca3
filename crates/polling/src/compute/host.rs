//! The hypervisor as one cycle sees it: one reading for all pollsters, and the reading before of each guest.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use uuid::Uuid;

use super::inspector::Inspector;
use crate::Cycle;
use crate::libvirt::{BlockInfo, Description, DomainRef, DomainStats, LibvirtError};

/// What a guest said at one time.
#[derive(Debug, PartialEq)]
pub(super) struct Reading {
    /// Which run of the guest: counters begin anew with each.
    pub(super) run: i32,
    /// When, on the monotonic clock.
    pub(super) monotonic_ns: u64,
    pub(super) stats: DomainStats,
}

/// A guest in this cycle.
pub(super) struct Guest {
    pub(super) domain: DomainRef,
    pub(super) description: Result<Arc<Description>, LibvirtError>,
    pub(super) now: Arc<Reading>,
    /// Its last complete reading in a cycle of the same interval.
    pub(super) before: Option<Arc<Reading>>,
}

/// Readings of cycles that come no more are kept so long at least.
const FORGOTTEN_AFTER: Duration = Duration::from_secs(3600);

/// `virDomainState` of a domain that does not run.
const SHUT_OFF: i64 = 5;

impl Guest {
    pub(super) fn is_shut_off(&self) -> bool {
        self.now.stats.state == Some(SHUT_OFF)
    }
}

/// All guests of a cycle.
pub(super) type Guests = HashMap<Uuid, Guest>;

/// Sizes of images, by guest and device.
pub(super) type DiskSizes = HashMap<(Uuid, Box<str>), Result<BlockInfo, LibvirtError>>;

/// The hypervisor.
pub(super) struct Host {
    inspector: Arc<dyn Inspector>,
    /// By the cycles' interval and the guest. A guest that is gone is forgotten.
    last: Mutex<HashMap<Duration, HashMap<Uuid, Arc<Reading>>>>,
}

impl Host {
    pub(super) fn new(inspector: Arc<dyn Inspector>) -> Self {
        Self { inspector, last: Mutex::default() }
    }

    /// The guests, read by whoever asks first in a cycle.
    pub(super) async fn guests(&self, cycle: &Cycle) -> Arc<Result<Guests, LibvirtError>> {
        cycle.shared("compute.guests", || self.read(cycle)).await
    }

    async fn read(&self, cycle: &Cycle) -> Result<Guests, LibvirtError> {
        let began_ns = cycle.clock().monotonic_ns();
        let records = self.inspector.domains().await?;
        // Somewhere in between they were read.
        let monotonic_ns = began_ns.midpoint(cycle.clock().monotonic_ns());
        let mut all = self.last.lock();
        // Intervals that polling.yaml has no more.
        all.retain(|interval, readings| {
            let limit_ns = (*interval * 4).max(FORGOTTEN_AFTER).as_nanos();
            readings
                .values()
                .any(|reading| u128::from(monotonic_ns.saturating_sub(reading.monotonic_ns)) < limit_ns)
        });
        let last = all.entry(cycle.interval()).or_default();
        let mut kept = HashMap::with_capacity(records.len());
        let mut guests = HashMap::with_capacity(records.len());
        for record in records {
            let uuid = record.domain.uuid;
            let now = Arc::new(Reading { run: record.domain.run, monotonic_ns, stats: record.stats });
            let before = last.remove(&uuid);
            // What is not whole is no beginning of a difference.
            let next = if record.partial { before.clone() } else { Some(Arc::clone(&now)) };
            if let Some(next) = next {
                kept.insert(uuid, next);
            }
            let guest = Guest { domain: record.domain, description: record.description, now, before };
            guests.insert(uuid, guest);
        }
        *last = kept;
        Ok(guests)
    }

    /// Sizes of the images of all guests' devices. Of guests that are shut off the bulk reading has them.
    pub(super) async fn disk_sizes(&self, cycle: &Cycle, guests: &Guests) -> Arc<DiskSizes> {
        cycle.shared("compute.disk_sizes", || self.read_sizes(guests)).await
    }

    async fn read_sizes(&self, guests: &Guests) -> DiskSizes {
        let mut sizes = DiskSizes::new();
        let mut asked = Vec::new();
        for guest in guests.values() {
            let Ok(description) = &guest.description else { continue };
            for disk in &description.disks {
                if guest.is_shut_off() {
                    let stats = guest.now.stats.disks.iter().find(|stats| stats.name == disk.device);
                    if let Some(info) = stats.and_then(|stats| {
                        let (capacity, allocation) = (stats.capacity?, stats.allocation?);
                        Some(BlockInfo { capacity, allocation, physical: stats.physical? })
                    }) {
                        sizes.insert((guest.domain.uuid, disk.device.clone()), Ok(info));
                    }
                } else {
                    asked.push((guest.domain.clone(), disk.device.clone()));
                }
            }
        }
        let answers = self.inspector.block_infos(&asked).await;
        sizes.extend(
            asked.into_iter().zip(answers).map(|((domain, device), info)| ((domain.uuid, device), info)),
        );
        sizes
    }
}
