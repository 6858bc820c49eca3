//! One meter of machines.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_model::{Sample, Volume};
use serde_json::{Map, Value};

use super::SnmpAddress;
use super::client::{Client, Name, Shared, Told, dotted};
use super::table::{Detail, Kind, Place, Row, parts};
use crate::pollster::of_one_meter;
use crate::{Cycle, PollError, Pollster, Resource, SampleOut};

/// What samples say they come from.
const SOURCE: &str = "hardware";

/// A meter of machines.
pub(super) struct Hardware {
    row: Row,
}

/// A reading: what tells it apart on its machine, the value, what is told of it.
struct Reading {
    suffix: Option<String>,
    volume: Volume,
    metadata: Map<String, Value>,
}

impl Reading {
    fn single(volume: Volume) -> Self {
        Self { suffix: None, volume, metadata: Map::new() }
    }
}

/// One agent in one cycle: what several meters ask for is asked once.
struct Asked<'a> {
    cycle: &'a Cycle,
    url: &'a str,
    client: &'a Client,
}

impl Asked<'_> {
    async fn value(&self, oid: &str) -> Result<Option<Told>, String> {
        let key = format!("snmp/{}/{oid}", self.url);
        let told = self.cycle.shared(&key, || async { self.client.get(&parts(oid)).await }).await;
        told.as_ref().clone()
    }

    async fn column(&self, oid: &str) -> Arc<Result<Vec<(Name, Told)>, String>> {
        let key = format!("snmp/{}/{oid}.*", self.url);
        self.cycle.shared(&key, || async { self.client.table(&parts(oid)).await }).await
    }
}

impl Hardware {
    pub(super) fn new(row: Row) -> Self {
        Self { row }
    }

    async fn read(&self, asked: &Asked<'_>) -> Result<Vec<Reading>, String> {
        match self.row.place {
            Place::Exact(oid) => {
                let told = asked.value(oid).await?;
                let volume = told.and_then(|told| self.volume(&told));
                Ok(volume.map(Reading::single).into_iter().collect())
            }
            Place::Used { total, available } => {
                match (asked.value(total).await?, asked.value(available).await?) {
                    (Some(Told::Number(total)), Some(Told::Number(available))) => {
                        Ok(vec![Reading::single(Volume::Int(total - available))])
                    }
                    _ => Ok(Vec::new()),
                }
            }
            Place::Column { oid, details, suffix } => self.rows(asked, oid, details, suffix).await,
        }
    }

    /// A reading for each row of a table.
    async fn rows(
        &self,
        asked: &Asked<'_>,
        oid: &str,
        details: &[(&str, Detail)],
        suffix: &str,
    ) -> Result<Vec<Reading>, String> {
        let column = asked.column(oid).await;
        let column = column.as_ref().as_ref().map_err(Clone::clone)?;
        let mut told_of = Vec::new();
        for (name, detail) in details {
            told_of.push((*name, *detail, asked.column(place(*detail)).await));
        }
        let reading = |(index, told): &(Name, Told)| {
            let volume = self.volume(told)?;
            let mut metadata = Map::new();
            for (name, detail, column) in &told_of {
                let column = column.as_ref().as_ref().map_or(&[][..], Vec::as_slice);
                metadata.insert((*name).to_owned(), shown(*detail, column, index));
            }
            let suffix = metadata.get(suffix).and_then(Value::as_str).map(str::to_owned);
            Some(Reading { suffix: suffix.or_else(|| Some(dotted(index))), volume, metadata })
        };
        Ok(column.iter().filter_map(reading).collect())
    }

    fn volume(&self, told: &Told) -> Option<Volume> {
        match (self.row.kind, told) {
            (Kind::Number, Told::Number(number)) => Some(Volume::Int(*number)),
            (Kind::Number, Told::Large(number)) => Some(Volume::from(*number)),
            (Kind::NumberInText, Told::Bytes(text)) => {
                std::str::from_utf8(text).ok()?.trim().parse().ok().map(Volume::Float)
            }
            _ => None,
        }
    }

    fn sample(&self, cycle: &Cycle, address: &SnmpAddress, reading: Reading) -> Sample {
        let mut sample = Sample::new(&self.row.meter, reading.volume, cycle.ids().uuid().to_string());
        let host = address.host();
        sample.resource_id = Some(match reading.suffix {
            Some(suffix) => format!("{host}.{suffix}").into(),
            None => host.into(),
        });
        let mut metadata = Map::from_iter([("resource_url".to_owned(), Value::from(address.to_string()))]);
        metadata.extend(reading.metadata);
        sample.metadata = metadata.into();
        sample.source = SOURCE.into();
        sample
    }

    /// The samples of one machine.
    async fn of_machine(&self, cycle: &Cycle, url: &str) -> Result<Vec<Sample>, String> {
        let address: SnmpAddress = url.parse().map_err(|error: super::SnmpAddressError| error.to_string())?;
        let open = || async { Client::open(address.clone()).await.map(Arc::new) };
        let client: Arc<Shared> = cycle.shared(&format!("snmp/{url}"), open).await;
        let client = client.as_ref().as_ref().map_err(Clone::clone)?;
        let readings = self.read(&Asked { cycle, url, client }).await?;
        Ok(readings.into_iter().map(|reading| self.sample(cycle, &address, reading)).collect())
    }
}

/// The column that a detail stands in.
fn place(detail: Detail) -> &'static str {
    match detail {
        Detail::Text(oid)
        | Detail::BitsAsBytes(oid)
        | Detail::HardwareAddress(oid)
        | Detail::AddressOf(oid) => oid,
    }
}

/// A detail of the row `index`; null where nothing is told.
fn shown(detail: Detail, column: &[(Name, Told)], index: &[u64]) -> Value {
    if matches!(detail, Detail::AddressOf(_)) {
        let is_row = |told: &Told| matches!((told, index), (Told::Number(number), [row]) if u64::try_from(*number) == Ok(*row));
        let address = column.iter().find(|(_, told)| is_row(told));
        return address.map_or(Value::Null, |(address, _)| Value::from(dotted(address)));
    }
    let Some((_, told)) = column.iter().find(|(row, _)| row == index) else { return Value::Null };
    match (detail, told) {
        (Detail::BitsAsBytes(_), Told::Number(bits)) => Value::from(bits / 8),
        (Detail::HardwareAddress(_), Told::Bytes(bytes)) => {
            Value::from(bytes.iter().map(|byte| format!("{byte:02x}")).collect::<Vec<_>>().join(":"))
        }
        (_, Told::Bytes(text)) => Value::from(String::from_utf8_lossy(text).into_owned()),
        (_, Told::Number(number)) => Value::from(*number),
        (_, Told::Large(number)) => Value::from(*number),
    }
}

#[async_trait]
impl Pollster for Hardware {
    of_one_meter! {
        self,
        name: &self.row.meter.name,
        meter: self.row.meter,
        origin: "SNMP agents that polling.yaml names",
        discovery: None,
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        let mut failures = Vec::new();
        for resource in resources.iter().filter(|resource| resource.id.starts_with("snmp://")) {
            match self.of_machine(cycle, &resource.id).await {
                Ok(samples) => {
                    for sample in samples {
                        out.push(sample).await?;
                    }
                }
                Err(reason) => {
                    tracing::warn!(meter = self.name(), reason, "not read");
                    failures.push(reason);
                }
            }
        }
        match failures.first() {
            Some(first) if failures.len() == resources.len() => Err(PollError::Failed(first.clone())),
            _ => Ok(()),
        }
    }
}
