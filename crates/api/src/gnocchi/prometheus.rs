//! Prometheus remote write: `/v1/prometheus/write`.

use http::Method;
use nephometer_drivers::IndexError;
use nephometer_metric::prometheus::{PROMETHEUS_TYPE, prometheus_attributes, read_remote_write};
use nephometer_metric::{MeasureError, MetricError, ResourceMeasures};

use super::call::Call;
use super::error::ApiError;
use super::measures::{accepted, reading};
use super::route::{Answer, Produces, Route, handler};

pub(super) fn routes() -> Vec<Route> {
    vec![
        Route::new(Method::POST, "/v1/prometheus/write", "Write samples of Prometheus", handler!(write))
            .rule("post measures")
            .produces(Produces::Html)
            .consumes("application/x-protobuf")
            .statuses(&[202, 400, 409]),
    ]
}

async fn write(call: Call) -> Answer {
    let max_bytes = call.state.settings.front.body.max_bytes;
    let resources =
        reading(&call, || read_remote_write(&call.body, max_bytes)).map_err(MeasureError::from)?;
    if resources.is_empty() {
        return Ok(accepted());
    }
    let charge = call.charge(resources.iter().map(ResourceMeasures::len).sum())?;
    if let Err(MetricError::Index(IndexError::NoSuchResourceType(_))) =
        call.service().schema_of(PROMETHEUS_TYPE).await
    {
        make_type(&call).await?;
    }
    call.service().write_resources(&call.access(), PROMETHEUS_TYPE, resources).await?;
    charge.keep();
    Ok(accepted())
}

/// Makes the resource type, which the first write finds missing.
async fn make_type(call: &Call) -> Result<(), ApiError> {
    let attributes = prometheus_attributes();
    let made = call.service().create_resource_type(&call.access(), PROMETHEUS_TYPE, attributes).await;
    match made {
        Ok(_) | Err(MetricError::Index(IndexError::ResourceTypeAlreadyExists(_))) => Ok(()),
        Err(error) => Err(error.into()),
    }
}
