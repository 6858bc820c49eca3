//! Meters of sensors, a type each.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::{Meter, MeterType, Sample};
use serde_json::{Map, Value};

use super::readings::{self, SensorReading};
use super::{CommandError, CommandRunner, IpmiSettings, Patience};
use crate::pollster::of_one_meter;
use crate::{Cycle, PollError, Pollster, Resource, SampleOut};

/// A meter: its name, the unit that upstream documents, what is asked, the type of sensor that is meant.
struct Row {
    meter: &'static str,
    unit: &'static str,
    question: &'static [&'static str],
    sensor_type: &'static str,
}

/// Sensors of power are asked for by name, and are no currents.
const POWER: &str = "Pwr Consumption";

const ROWS: [Row; 5] = [
    Row {
        meter: "hardware.ipmi.temperature",
        unit: "C",
        question: &["sdr", "-v", "type", "Temperature"],
        sensor_type: "Temperature",
    },
    Row {
        meter: "hardware.ipmi.current",
        unit: "Amps",
        question: &["sdr", "-v", "type", "Current"],
        sensor_type: "Current",
    },
    Row {
        meter: "hardware.ipmi.fan",
        unit: "RPM",
        question: &["sdr", "-v", "type", "Fan"],
        sensor_type: "Fan",
    },
    Row {
        meter: "hardware.ipmi.voltage",
        unit: "V",
        question: &["sdr", "-v", "type", "Voltage"],
        sensor_type: "Voltage",
    },
    Row {
        meter: "hardware.ipmi.power",
        unit: "W",
        question: &["sensor", "get", POWER],
        sensor_type: "Current",
    },
];

/// The meters of sensors.
pub(super) fn pollsters<'a>(
    runner: &'a Arc<dyn CommandRunner>,
    settings: &'a IpmiSettings,
) -> impl Iterator<Item = Arc<dyn Pollster>> + 'a {
    ROWS.iter().map(move |row| {
        let (runner, patience) = (Arc::clone(runner), Patience::new(settings));
        let meter = Meter::new(row.meter, MeterType::Gauge, row.unit);
        Arc::new(Sensors { row, meter, runner, patience }) as Arc<dyn Pollster>
    })
}

struct Sensors {
    row: &'static Row,
    meter: Meter,
    runner: Arc<dyn CommandRunner>,
    patience: Patience,
}

impl Sensors {
    async fn read(&self) -> Result<Vec<SensorReading>, CommandError> {
        let output = self.runner.run(self.row.question).await?;
        let readings = readings::read(&String::from_utf8_lossy(&output));
        readings.map_err(|reason| {
            CommandError::Failed(format!("ipmitool {}: {reason}", self.row.question.join(" ")))
        })
    }

    /// Whether a reading is of this meter.
    fn takes(&self, reading: &SensorReading) -> bool {
        let is_power = self.row.question.contains(&POWER);
        reading.sensor_type == self.row.sensor_type && (is_power || !reading.id.contains(POWER))
    }

    fn sample(&self, cycle: &Cycle, host: &Resource, reading: SensorReading) -> Sample {
        let mut sample = Sample::new(&self.meter, reading.value, cycle.ids().uuid().to_string());
        let sensor = reading.id.to_lowercase().replace(' ', "_");
        sample.resource_id = Some(format!("{}-{sensor}", host.id).into());
        sample.unit = reading.unit.into();
        let mut metadata = Map::from_iter([("node".to_owned(), Value::from(&*host.id))]);
        if let Some(maximum) = reading.normal_maximum.filter(|_| self.row.sensor_type == "Fan") {
            metadata.insert("maximum_rpm".to_owned(), Value::from(maximum));
        }
        sample.metadata = metadata.into();
        sample
    }
}

#[async_trait]
impl Pollster for Sensors {
    of_one_meter! {
        self,
        name: self.row.meter,
        meter: self.meter,
        origin: "ipmitool, each sensor",
        discovery: Some("local_node"),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        let Some(host) = resources.first() else { return Ok(()) };
        let readings = self.read().await.map_err(|error| self.patience.failed(resources, &error))?;
        self.patience.restored();
        for reading in readings.into_iter().filter(|reading| self.takes(reading)) {
            out.push(self.sample(cycle, host, reading)).await?;
        }
        Ok(())
    }
}
