//! One request as a handler sees it.

use http::StatusCode;
use nephometer_metric::{Access, MetricService};
use serde_json::Value;

use super::GnocchiState;
use super::decode;
use super::error::ApiError;
use crate::limits::Charge;
use crate::schema::Schema;

/// One request: who asks, for what, with which body.
pub(super) type Call = crate::http::call::Call<GnocchiState>;

impl Call {
    /// The service.
    pub(super) fn service(&self) -> &MetricService {
        &self.state.service
    }

    /// The caller and the rules it is judged by.
    pub(super) fn access(&self) -> Access<'_> {
        Access::new(&self.identity, &*self.state.enforcer)
    }

    /// Counts measures that are about to be stored against what the caller may write; 429 and 413 where they are too many.
    /// To be kept when they are stored.
    pub(super) fn charge(&self, measures: usize) -> Result<Charge<'_>, ApiError> {
        Ok(self.state.limits.charge(self.permit.as_ref(), measures)?)
    }

    /// The body as JSON; 415 and 400 as upstream.
    pub(super) fn json(&self) -> Result<Value, ApiError> {
        decode::require_media_type(&self.headers, decode::JSON)?;
        decode::decode(&self.body)
    }

    /// The body as JSON that keeps to `schema`, converted by it.
    pub(super) fn checked(&self, schema: &Schema) -> Result<Value, ApiError> {
        Ok(schema.check(self.json()?)?)
    }

    /// A boolean of the query string; 400 in upstream's words where it is none.
    pub(super) fn flag(&self, name: &str, default: bool) -> Result<bool, ApiError> {
        let Some(text) = self.query.single(name)? else { return Ok(default) };
        match text.trim().to_ascii_lowercase().as_str() {
            "1" | "t" | "true" | "on" | "y" | "yes" => Ok(true),
            "0" | "f" | "false" | "off" | "n" | "no" => Ok(false),
            _ => Err(ApiError::new(
                StatusCode::BAD_REQUEST,
                format!(
                    "Unable to parse `{name}': Unrecognized value '{text}', acceptable values are: '0', '1', 'f', \
                     'false', 'n', 'no', 'off', 'on', 't', 'true', 'y', 'yes'"
                ),
            )),
        }
    }
}
