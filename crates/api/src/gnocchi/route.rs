//! The list of routes.

use axum::response::Response;

use super::error::ApiError;
use super::{
    GnocchiState, aggregates, aggregation, archive_policy, archive_policy_rule, batch, influxdb, late,
    measures, metric, openapi, prometheus, resource, resource_metric, resource_type, search_metric,
    search_resource, status, versions,
};

pub use crate::http::route::Produces;
pub(super) use crate::http::route::handler;

/// What a handler gives back.
pub(super) type Answer = Result<Response, ApiError>;
/// One verb on one path.
pub type Route = crate::http::route::Route<GnocchiState>;

/// All routes, in the order of the document.
pub fn routes() -> Vec<Route> {
    let nouns = [
        versions::routes(),
        openapi::routes(),
        archive_policy::routes(),
        archive_policy_rule::routes(),
        resource_type::routes(),
        resource::routes(),
        resource_metric::routes(),
        search_resource::routes(),
        metric::routes(),
        measures::routes(),
        late::routes(),
        batch::routes(),
        aggregates::routes(),
        aggregation::routes(),
        search_metric::routes(),
        influxdb::routes(),
        prometheus::routes(),
        status::routes(),
    ];
    nouns.into_iter().flatten().collect()
}
