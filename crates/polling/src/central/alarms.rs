//! How often alarms were decided, as Aodh counts it where it is told to.

use std::sync::Arc;

use async_trait::async_trait;
use nephometer_drivers::{CloudCall, CloudReader};
use nephometer_model::{Meter, MeterType, Sample, Volume};
use serde_json::{Map, Value};

use super::{ServiceTypes, pages};
use crate::pollster::of_one_meter;
use crate::{Cycle, Discovery, DiscoveryError, Plugins, PollError, Pollster, Resource, SampleOut};

const METER: &str = "alarm.evaluation_result";
const DISCOVERY: &str = "alarm";

/// The counters of all alarms.
pub(super) fn plugins(services: &ServiceTypes, cloud: &Arc<dyn CloudReader>) -> Plugins {
    let call = CloudCall::get(&services.aodh, "/v2/metrics").query("all_projects", "true");
    let meter = Meter::new(METER, MeterType::Gauge, "evaluation_result_count");
    Plugins {
        discoveries: vec![Arc::new(Counters { cloud: Arc::clone(cloud), call })],
        pollsters: vec![Arc::new(EvaluationResults { meter })],
    }
}

/// Lists alarms with their counters.
struct Counters {
    cloud: Arc<dyn CloudReader>,
    call: CloudCall,
}

#[async_trait]
impl Discovery for Counters {
    fn name(&self) -> &str {
        DISCOVERY
    }

    async fn discover(&self, _: &Cycle, _: Option<&str>) -> Result<Vec<Resource>, DiscoveryError> {
        let answer = self.cloud.call(&self.call).await?;
        let mut body = pages::json(&self.call, &answer)?;
        let Value::Array(results) = body["evaluation_results"].take() else {
            return Err(DiscoveryError::Failed(
                "the answer of /v2/metrics has no list `evaluation_results`".into(),
            ));
        };
        let alarms = results.into_iter().filter_map(|result| {
            let id = result["alarm_id"].as_str()?.to_owned();
            Some(Resource::from_json(id, result))
        });
        Ok(alarms.collect())
    }
}

/// One sample for each alarm and state.
struct EvaluationResults {
    meter: Meter,
}

#[async_trait]
impl Pollster for EvaluationResults {
    of_one_meter! {
        self,
        name: METER,
        meter: self.meter,
        origin: DISCOVERY,
        discovery: Some(DISCOVERY),
    }

    async fn poll(
        &self,
        cycle: &Cycle,
        resources: &[Resource],
        out: &mut SampleOut<'_>,
    ) -> Result<(), PollError> {
        for resource in resources {
            let Some(result) = resource.json() else { continue };
            for (state, count) in result["state_counters"].as_object().into_iter().flatten() {
                let volume = Volume::from(count.clone());
                let mut sample = Sample::new(&self.meter, volume, cycle.ids().uuid().to_string());
                sample.resource_id = Some(resource.id.clone());
                sample.project_id = result["project_id"].as_str().map(Into::into);
                sample.metadata =
                    Map::from_iter([("alarm_state".to_owned(), Value::from(state.as_str()))]).into();
                out.push(sample).await?;
            }
        }
        Ok(())
    }
}
