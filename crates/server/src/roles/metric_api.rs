//! The metric API's listener: Gnocchi's v1 routes over the metric service.

use std::sync::Arc;

use anyhow::Result;
use axum::middleware;
use nephometer_api::gnocchi::{self, GnocchiSettings, GnocchiState};
use nephometer_api::http::tls::Tls;
use nephometer_api::limits::Limits;
use nephometer_api::serve;
use nephometer_drivers::{Authenticator, PolicyEnforcer};
use nephometer_metric::MetricService;

use crate::config::MetricApiSection;
use crate::telemetry::{Telemetry, count_requests};

use super::{Handle, Shutdown, bind};

/// What the role stands on.
pub(crate) struct Deps {
    pub(crate) service: Arc<MetricService>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) enforcer: Arc<dyn PolicyEnforcer>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Binds the address and serves until `shutdown`.
pub(crate) async fn start(deps: Deps, settings: &MetricApiSection, shutdown: Shutdown) -> Result<Handle> {
    let (listener, address) = bind("metric_api.listen", &settings.listen).await?;
    let state = GnocchiState {
        service: deps.service,
        authenticator: deps.authenticator,
        enforcer: deps.enforcer,
        limits: deps.limits,
        settings: GnocchiSettings { max_limit: settings.max_limit, front: settings.http.front() },
    };
    let counted = middleware::from_fn_with_state(deps.telemetry, count_requests);
    let router = gnocchi::router(state).layer(counted);
    let http = settings.http.listener();
    Ok(Handle::spawn("metric_api", Some(address), async move {
        Ok(serve(listener, deps.tls, router, http, shutdown.requested()).await?)
    }))
}
