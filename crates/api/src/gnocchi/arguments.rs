//! Query parameters that requests for measures share, refused in upstream's words.

use nephometer_metric::{Calendar, Fill, Grouping, MeasureError, MeasuresQuery};
use nephometer_model::{Timespan, Timestamp, time};

use super::call::Call;
use super::error::ApiError;

/// `start` or `stop`: a point in time in any of upstream's forms.
pub(super) fn timestamp(call: &Call, name: &str) -> Result<Option<Timestamp>, ApiError> {
    let read = |text| {
        time::parse_timestamp(text, call.service().clock().now())
            .map_err(|_| ApiError::argument(name, "Must be a datetime or a timestamp"))
    };
    call.query.single(name)?.map(read).transpose()
}

/// `granularity`: a span of time.
pub(super) fn granularity(call: &Call) -> Result<Option<Timespan>, ApiError> {
    let read = |text| {
        time::parse_timespan(text).map_err(|error| ApiError::argument("granularity", &error.to_string()))
    };
    call.query.single("granularity")?.map(read).transpose()
}

/// `needed_overlap`: a percentage.
pub(super) fn needed_overlap(call: &Call) -> Result<Option<f64>, ApiError> {
    let read = |text| {
        time::parse_float(text).ok_or_else(|| ApiError::argument("needed_overlap", "Must be a number"))
    };
    call.query.single("needed_overlap")?.map(read).transpose()
}

/// `fill`: a number, or the name of a way to fill.
pub(super) fn fill(call: &Call) -> Result<Option<Fill>, ApiError> {
    let read = |text: &str| {
        let number = time::parse_float(text).map(Fill::Value);
        number.or_else(|| Fill::parse(text)).ok_or_else(|| {
            let reason = "Must be a float, 'dropna', 'null', 'ffill', 'bfill', 'full_ffill' or 'full_bfill'";
            ApiError::argument("fill", reason)
        })
    };
    call.query.single("fill")?.map(read).transpose()
}

/// What `resample` names: a period of the calendar or a span of time.
pub(super) fn grouping(text: &str) -> Result<Grouping, MeasureError> {
    match Calendar::parse(text) {
        Some(calendar) => Ok(Grouping::Calendar(calendar)),
        None => Ok(Grouping::Span(time::parse_timespan(text)?)),
    }
}

/// `resample`, which needs `granularity`; empty is as good as absent.
pub(super) fn resample(call: &Call) -> Result<Option<Grouping>, ApiError> {
    let Some(text) = call.query.single("resample")?.filter(|text| !text.is_empty()) else { return Ok(None) };
    if call.query.single("granularity")?.is_none_or(str::is_empty) {
        return Err(MeasureError::ResampleNeedsGranularity.into());
    }
    Ok(Some(grouping(text)?))
}

/// `aggregation`: the name of a method.
pub(super) fn aggregation(call: &Call) -> Result<String, ApiError> {
    Ok(call.query.single("aggregation")?.unwrap_or("mean").to_owned())
}

/// All parameters of a request for aggregates of a metric.
pub(super) fn measures_query(call: &Call) -> Result<MeasuresQuery, ApiError> {
    let resample = resample(call)?;
    let (start, stop) = (timestamp(call, "start")?, timestamp(call, "stop")?);
    let query =
        MeasuresQuery { granularity: granularity(call)?, start, stop, resample, method: aggregation(call)? };
    call.flag("refresh", false)?;
    Ok(query)
}
