//! Aodh's REST API v2: paths, statuses, headers and texts as its clients expect them, over the alarm service.
//!
//! A noun's file holds its routes and handlers; `shown` holds the forms of answers. What happens around a handler is
//! shared by all dialects (`http::front`); `dialect` says how this one differs.

mod alarms;
mod call;
mod deliveries;
mod dialect;
mod error;
mod history;
mod metrics;
mod openapi;
mod preview;
mod query;
mod quotas;
mod shown;
mod silences;
mod state;
mod versions;

use std::sync::Arc;

use axum::response::Response;
use nephometer_alarm::service::AlarmService;
use nephometer_drivers::Authenticator;
use nephometer_model::IdSource;

use crate::http::dialect::FrontSettings;
use crate::http::front;
use crate::limits::Limits;

pub use openapi::statuses;

/// What handlers work with.
pub struct AodhState {
    /// The service behind the API.
    pub service: Arc<AlarmService>,
    /// Recognises who asks.
    pub authenticator: Arc<dyn Authenticator>,
    /// What one identity may take.
    pub limits: Arc<Limits>,
    /// Names requests.
    pub ids: Arc<dyn IdSource>,
    /// How requests are taken.
    pub settings: FrontSettings,
}

/// What a handler gives back.
type Answer = Result<Response, error::ApiError>;
/// One verb on one path.
pub type Route = crate::http::route::Route<AodhState>;

/// All routes, in the order of the document.
pub fn routes() -> Vec<Route> {
    let nouns = [
        versions::routes(),
        openapi::routes(),
        alarms::routes(),
        preview::routes(),
        state::routes(),
        history::routes(),
        query::routes(),
        quotas::routes(),
        metrics::routes(),
        silences::routes(),
        deliveries::routes(),
    ];
    nouns.into_iter().flatten().collect()
}

/// The whole API, its root document and `/healthcheck` included, ready to be served.
pub fn router(state: AodhState) -> axum::Router {
    front::router(Arc::new(state))
}
