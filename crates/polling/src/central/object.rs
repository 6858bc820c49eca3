//! Meters that are read from listed objects: each is a row that says which fields make its samples.

use async_trait::async_trait;
use nephometer_model::{Meter, MeterType, Sample, Volume};
use serde_json::{Map, Value};

use crate::pollster::of_one_meter;
use crate::{Cycle, PollError, Pollster, Resource, SampleOut};

/// What an object's reading comes to: nothing where the object has none, a text where it cannot be read.
pub(super) type Reading = Result<Option<Volume>, String>;

/// Where a field of a sample's metadata comes from.
#[derive(Clone, Copy)]
pub(super) enum Source {
    /// The object's field of that name.
    Same,
    /// Another field of the object.
    Field(&'static str),
    /// What a function makes of the object.
    Made(fn(&Value) -> Value),
}

/// A field of a sample's metadata.
pub(super) type Field = (&'static str, Source);

/// A meter of listed objects. All are gauges.
pub(super) struct ObjectMeter {
    /// Its name, and the pollster's.
    pub(super) name: &'static str,
    /// Its unit.
    pub(super) unit: &'static str,
    /// The discovery that lists the objects.
    pub(super) discovery: &'static str,
    /// The reading.
    pub(super) volume: fn(&Value) -> Reading,
    /// The field with the owning project; of several the first that says something.
    pub(super) project: &'static [&'static str],
    /// The field with the owning user.
    pub(super) user: Option<&'static str>,
    /// What is told of the object.
    pub(super) metadata: &'static [Field],
}

/// Reads a field as it is.
pub(super) fn field(object: &Value, name: &str) -> Reading {
    match &object[name] {
        Value::Null => Ok(None),
        value => Ok(Some(Volume::from(value.clone()))),
    }
}

/// Reads a field that counts as nothing where it is missing.
pub(super) fn field_or_zero(object: &Value, name: &str) -> Reading {
    field(object, name).map(|volume| Some(volume.unwrap_or(Volume::Int(0))))
}

/// One of the rows as a pollster.
pub(super) struct ObjectPollster {
    row: &'static ObjectMeter,
    meter: Meter,
}

impl ObjectPollster {
    pub(super) fn new(row: &'static ObjectMeter) -> Self {
        Self { row, meter: Meter::new(row.name, MeterType::Gauge, row.unit) }
    }

    /// A sample of the meter with that reading.
    pub(super) fn sample(
        &self,
        cycle: &Cycle,
        resource: &Resource,
        object: &Value,
        volume: Volume,
    ) -> Sample {
        let mut sample = Sample::new(&self.meter, volume, cycle.ids().uuid().to_string());
        sample.resource_id = Some(resource.id.clone());
        let owner = |field: &&str| object[*field].as_str().map(Into::into);
        sample.project_id = self.row.project.iter().find_map(owner);
        sample.user_id = self.row.user.as_ref().and_then(owner);
        sample.metadata = metadata(object, self.row.metadata).into();
        sample
    }
}

/// The fields of a sample's metadata; what the object does not have is null.
fn metadata(object: &Value, fields: &[Field]) -> Map<String, Value> {
    let value = |(name, source): &Field| match source {
        Source::Same => object[*name].clone(),
        Source::Field(other) => object[*other].clone(),
        Source::Made(make) => make(object),
    };
    fields.iter().map(|field| (field.0.to_owned(), value(field))).collect()
}

#[async_trait]
impl Pollster for ObjectPollster {
    of_one_meter! {
        self,
        name: self.row.name,
        meter: self.meter,
        origin: self.row.discovery,
        discovery: Some(self.row.discovery),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        for resource in resources {
            let Some(object) = resource.json() else {
                tracing::warn!(meter = self.row.name, resource = %resource.id, "is no object of an API; passed over");
                continue;
            };
            match (self.row.volume)(object) {
                Ok(Some(volume)) => out.push(self.sample(cycle, resource, object, volume)).await?,
                Ok(None) => {}
                Err(reason) => {
                    tracing::warn!(meter = self.row.name, resource = %resource.id, reason, "not read");
                }
            }
        }
        Ok(())
    }
}
