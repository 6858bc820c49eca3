//! Gnocchi's REST API v1: paths, statuses, headers and texts as its clients expect them, over the metric service.
//!
//! A noun's file holds its routes, its handlers of about ten lines and its wire forms. What happens around a handler
//! (routing, negotiation, identity, body) is shared by all dialects (`http::front`); `dialect` says how this one differs.

mod aggregates;
mod aggregation;
mod archive_policy;
mod archive_policy_rule;
mod arguments;
mod attributes;
mod batch;
mod call;
mod conditional;
mod decode;
mod dialect;
mod document;
mod error;
mod influxdb;
mod json_patch;
mod late;
mod measure_error;
mod measures;
mod metric;
mod openapi;
mod paging;
mod points;
mod prometheus;
mod render;
mod resource;
mod resource_form;
mod resource_metric;
mod resource_rows;
mod resource_type;
mod route;
mod search_metric;
mod search_resource;
mod status;
mod values;
mod versions;

use std::sync::Arc;

use nephometer_drivers::{Authenticator, PolicyEnforcer};
use nephometer_metric::MetricService;

pub use openapi::statuses;
pub use route::{Produces, Route, routes};

use crate::http::dialect::FrontSettings;
use crate::http::front;
use crate::limits::Limits;

/// What an operator decides about the API.
#[derive(Debug, Clone)]
pub struct GnocchiSettings {
    /// Largest and usual size of a page.
    pub max_limit: u64,
    /// How requests are taken.
    pub front: FrontSettings,
}

impl Default for GnocchiSettings {
    fn default() -> Self {
        Self { max_limit: 1000, front: FrontSettings::default() }
    }
}

/// What handlers work with.
pub struct GnocchiState {
    /// The service behind the API.
    pub service: Arc<MetricService>,
    /// Recognises who asks.
    pub authenticator: Arc<dyn Authenticator>,
    /// Decides by named rules.
    pub enforcer: Arc<dyn PolicyEnforcer>,
    /// What one identity may take.
    pub limits: Arc<Limits>,
    /// What the operator decided.
    pub settings: GnocchiSettings,
}

/// The whole API, its root document and `/healthcheck` included, ready to be served.
pub fn router(state: GnocchiState) -> axum::Router {
    front::router(Arc::new(state))
}
