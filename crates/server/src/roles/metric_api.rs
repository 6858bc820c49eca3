//! The metric API's listener: Gnocchi's v1 routes over the metric service.

use std::sync::Arc;

use anyhow::Result;
use axum::middleware;
use nephometer_api::gnocchi::{self, GnocchiSettings, GnocchiState};
use nephometer_api::serve;
use nephometer_drivers::PolicyEnforcer;

use crate::stage::Stage;
use crate::telemetry::count_requests;

use super::{Ground, Handle, Role, bind};

/// Always wanted where the measure store is.
pub(crate) static ROLE: Role = Role {
    name: "metric_api",
    stands_on: &[Ground::Store],
    is_wanted: |_| true,
    start: |stage| Box::pin(start(stage)),
};

/// Binds the address and serves until the process stops.
async fn start(stage: &Stage<'_>) -> Result<Handle> {
    let settings = &stage.config.metric_api;
    let (listener, address) = bind("metric_api.listen", &settings.listen).await?;
    let state = GnocchiState {
        service: Arc::clone(&stage.parts.store()?.service),
        authenticator: Arc::clone(&stage.recognition.authenticator),
        enforcer: Arc::clone(&stage.policy) as Arc<dyn PolicyEnforcer>,
        limits: Arc::clone(&stage.limits),
        settings: GnocchiSettings { max_limit: settings.max_limit, front: settings.http.front() },
    };
    let counted = middleware::from_fn_with_state(Arc::clone(&stage.telemetry), count_requests);
    let router = gnocchi::router(state).layer(counted);
    let http = settings.http.listener();
    let (tls, shutdown) = (stage.certificates.of(ROLE.name), stage.shutdown.clone());
    Ok(Handle::spawn(ROLE.name, Some(address), async move {
        Ok(serve(listener, tls, router, http, shutdown.requested()).await?)
    }))
}
