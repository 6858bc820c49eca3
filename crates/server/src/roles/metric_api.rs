//! The metric API's listener: Gnocchi's v1 routes over the metric service.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use axum::middleware;
use nephometer_api::gnocchi::{self, GnocchiSettings, GnocchiState};
use nephometer_api::http::body::BodyLimits;
use nephometer_api::http::cors::Cors;
use nephometer_api::http::tls::Tls;
use nephometer_api::limits::Limits;
use nephometer_api::{HttpSettings, serve};
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
        settings: gnocchi_settings(settings),
    };
    let counted = middleware::from_fn_with_state(deps.telemetry, count_requests);
    let router = gnocchi::router(state).layer(counted);
    let http = HttpSettings {
        max_connections: settings.max_connections,
        header_timeout: Duration::from_secs_f64(settings.header_read_timeout_seconds),
        stop_timeout: Duration::from_secs_f64(settings.stop_timeout_seconds),
    };
    Ok(Handle::spawn("metric_api", Some(address), async move {
        Ok(serve(listener, deps.tls, router, http, shutdown.requested()).await?)
    }))
}

fn gnocchi_settings(settings: &MetricApiSection) -> GnocchiSettings {
    GnocchiSettings {
        max_limit: settings.max_limit,
        body: BodyLimits {
            max_bytes: settings.max_body_bytes,
            timeout: Duration::from_secs_f64(settings.body_read_timeout_seconds),
        },
        request_timeout: Duration::from_secs_f64(settings.request_timeout_seconds),
        path_prefix: settings.path_prefix.clone(),
        trust_proxy_headers: settings.enable_proxy_headers_parsing,
        cors: Cors::new(settings.cors_allowed_origins.clone()),
    }
}
