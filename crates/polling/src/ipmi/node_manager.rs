//! What Intel's Node Manager measures of the whole machine (Intel Intelligent Power Node Manager interface specification;
//! upstream had these meters up to 24.0).

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nephometer_model::{Clock, Meter, MeterType, Sample};
use serde_json::{Map, Value};
use tokio::sync::Mutex;

use super::raw::{self, Target};
use super::{CommandError, CommandRunner, IpmiSettings, Patience};
use crate::pollster::of_one_meter;
use crate::{Cycle, PollError, Pollster, Resource, SampleOut};

/// That there is none is believed for so long.
const ABSENT_FOR: Duration = Duration::from_secs(3600);
/// What a manager that was told to start is given.
const STARTING: Duration = Duration::from_secs(1);

const MANUFACTURER_INTEL: u64 = 0x157;
/// How an OEM record of the sensor repository that tells of a Node Manager begins: Intel, subtype 0Dh, version 01h; the
/// manager's address and channel follow.
const DISCOVERY_RECORD: [u8; 5] = [0x57, 0x01, 0x00, 0x0d, 0x01];

const DEVICE_ID: &str = "0x06 0x01";
const START: &str = "0x0a 0x2c 0x01";
const IS_STARTED: &str = "0x0a 0x2c 0x00";
const VERSION: &str = "0x2e 0xca 0x57 0x01 0x00";

/// What is asked, and where in the answer, behind the manufacturer's three bytes, the reading stands.
#[derive(Clone, Copy)]
struct Question {
    request: &'static str,
    at: usize,
    len: usize,
    /// The earliest version that answers: 1 for any, 5 for 3.0.
    since: u64,
}

const fn statistics(request: &'static str, since: u64) -> Question {
    Question { request, at: 3, len: 2, since }
}

const CUPS: &str = "0x2e 0x65 0x57 0x01 0x00 0x05";

const ROWS: [(&str, &str, Question); 8] = [
    ("hardware.ipmi.node.power", "W", statistics("0x2e 0xc8 0x57 0x01 0x00 0x01 0x00 0x00", 1)),
    ("hardware.ipmi.node.temperature", "C", statistics("0x2e 0xc8 0x57 0x01 0x00 0x02 0x00 0x00", 1)),
    ("hardware.ipmi.node.outlet_temperature", "C", statistics("0x2e 0xc8 0x57 0x01 0x00 0x05 0x00 0x00", 5)),
    ("hardware.ipmi.node.airflow", "CFM", statistics("0x2e 0xc8 0x57 0x01 0x00 0x04 0x00 0x00", 5)),
    ("hardware.ipmi.node.cups", "CUPS", statistics("0x2e 0x65 0x57 0x01 0x00 0x01", 5)),
    ("hardware.ipmi.node.cpu_util", "%", Question { request: CUPS, at: 3, len: 8, since: 5 }),
    ("hardware.ipmi.node.mem_util", "%", Question { request: CUPS, at: 11, len: 8, since: 5 }),
    ("hardware.ipmi.node.io_util", "%", Question { request: CUPS, at: 19, len: 8, since: 5 }),
];

/// A Node Manager that answers.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Manager {
    target: Target,
    version: u64,
}

/// Whether there is one, as last seen.
enum Seen {
    Never,
    Present(Manager),
    AbsentUntil(u64),
}

/// The machine's Node Manager, if it has one.
struct NodeManager {
    runner: Arc<dyn CommandRunner>,
    start_attempts: u32,
    seen: Mutex<Seen>,
}

impl NodeManager {
    async fn find(&self, clock: &dyn Clock) -> Option<Manager> {
        let mut seen = self.seen.lock().await;
        match &*seen {
            Seen::Present(manager) => return Some(manager.clone()),
            Seen::AbsentUntil(until_ns) if clock.monotonic_ns() < *until_ns => return None,
            Seen::Never | Seen::AbsentUntil(_) => {}
        }
        let found = match self.look().await {
            Ok(found) => found,
            Err(error) => {
                tracing::debug!(%error, "no Intel Node Manager");
                None
            }
        };
        let absent_until = clock.monotonic_ns().saturating_add(ABSENT_FOR.as_nanos() as u64);
        *seen = found.clone().map_or(Seen::AbsentUntil(absent_until), Seen::Present);
        found
    }

    async fn look(&self) -> Result<Option<Manager>, CommandError> {
        let runner = self.runner.as_ref();
        let device = raw::ask(runner, None, DEVICE_ID).await?;
        if raw::number(&device, 6, 3) != Some(MANUFACTURER_INTEL) || !self.start().await? {
            return Ok(None);
        }
        let Some(target) = self.address().await? else { return Ok(None) };
        let device = raw::ask(runner, Some(&target), DEVICE_ID).await?;
        // The low half of the byte says which firmware is implemented; 0 is none.
        if device.get(11).is_none_or(|firmware| firmware & 0xf == 0) {
            return Ok(None);
        }
        let version = raw::ask(runner, Some(&target), VERSION).await?;
        let version = raw::number(&version, 3, 1).unwrap_or(0);
        Ok((version > 0).then_some(Manager { target, version }))
    }

    /// Has its sensors initialised; whether they are.
    async fn start(&self) -> Result<bool, CommandError> {
        let runner = self.runner.as_ref();
        let is_started = || async { Ok(raw::ask(runner, None, IS_STARTED).await? == [1]) };
        for _ in 0..self.start_attempts {
            if is_started().await? {
                return Ok(true);
            }
            raw::ask(runner, None, START).await?;
            tokio::time::sleep(STARTING).await;
        }
        is_started().await
    }

    /// Where it is, as the sensor repository says.
    async fn address(&self) -> Result<Option<Target>, CommandError> {
        let failed =
            |error: std::io::Error| CommandError::Failed(format!("the sensor repository's copy: {error}"));
        let file = tempfile::NamedTempFile::new().map_err(failed)?;
        let path = file.path().to_string_lossy().into_owned();
        self.runner.run(&["sdr", "dump", &path]).await?;
        Ok(target_in(&std::fs::read(file.path()).map_err(failed)?))
    }
}

/// The address in the first discovery record of a sensor repository.
fn target_in(repository: &[u8]) -> Option<Target> {
    let at = repository.windows(DISCOVERY_RECORD.len()).position(|window| window == DISCOVERY_RECORD)?;
    let [slave, channel] = *repository.get(at + DISCOVERY_RECORD.len()..)?.first_chunk()?;
    Some(Target { channel: format!("{:#x}", channel >> 4), slave: format!("{slave:#04x}") })
}

/// The meters of Node Managers.
pub(super) fn pollsters<'a>(
    runner: &Arc<dyn CommandRunner>,
    settings: &'a IpmiSettings,
) -> impl Iterator<Item = Arc<dyn Pollster>> + 'a {
    let manager = Arc::new(NodeManager {
        runner: Arc::clone(runner),
        start_attempts: settings.node_manager_init_retry,
        seen: Mutex::new(Seen::Never),
    });
    ROWS.iter().map(move |(name, unit, question)| {
        let (manager, patience) = (Arc::clone(&manager), Patience::new(settings));
        let meter = Meter::new(name, MeterType::Gauge, unit);
        Arc::new(Statistic { meter, question: *question, manager, patience }) as Arc<dyn Pollster>
    })
}

struct Statistic {
    meter: Meter,
    question: Question,
    manager: Arc<NodeManager>,
    patience: Patience,
}

type Asked = Result<Vec<u8>, CommandError>;

impl Statistic {
    /// The reading; several meters stand in one answer, which is asked for once a cycle.
    async fn read(&self, cycle: &Cycle, manager: &Manager) -> Result<Option<u64>, CommandError> {
        let Question { request, at, len, .. } = self.question;
        let ask = || raw::ask(self.manager.runner.as_ref(), Some(&manager.target), request);
        let answer: Arc<Asked> = cycle.shared(&format!("ipmi/{request}"), ask).await;
        let answer = answer.as_ref().as_ref().map_err(Clone::clone)?;
        Ok(raw::number(answer, at, len))
    }
}

#[async_trait]
impl Pollster for Statistic {
    of_one_meter! {
        self,
        name: &self.meter.name,
        meter: self.meter,
        origin: "ipmitool, Intel Node Manager",
        discovery: Some("local_node"),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        let Some(host) = resources.first() else { return Ok(()) };
        let manager = self.manager.find(cycle.clock()).await;
        let Some(manager) = manager.filter(|manager| manager.version >= self.question.since) else {
            return Ok(());
        };
        let reading =
            self.read(cycle, &manager).await.map_err(|error| self.patience.failed(resources, &error))?;
        self.patience.restored();
        let Some(reading) = reading else {
            let reason = format!("{}: the answer is too short", self.meter.name);
            return Err(self.patience.failed(resources, &CommandError::Failed(reason)));
        };
        let mut sample = Sample::new(&self.meter, reading, cycle.ids().uuid().to_string());
        sample.resource_id = Some(Arc::clone(&host.id));
        sample.metadata = Map::from_iter([("node".to_owned(), Value::from(&*host.id))]).into();
        out.push(sample).await?;
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_managers_address_is_in_its_discovery_record() {
        let mut repository = vec![0, 0, 0x51, 0xc0, 0x0b];
        repository.extend(DISCOVERY_RECORD);
        repository.extend([0x2c, 0x60, 0x18]);
        let target = target_in(&repository).unwrap();
        assert_eq!((target.channel.as_str(), target.slave.as_str()), ("0x6", "0x2c"));
        assert_eq!(target_in(&repository[..repository.len() - 2]), None);
        assert_eq!(target_in(include_bytes!("fixtures/sdr-repository.bin")), None);
    }
}
