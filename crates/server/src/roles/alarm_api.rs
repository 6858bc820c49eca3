//! The alarm API's listener: Aodh's v2 routes over the alarm service.

use std::sync::Arc;

use anyhow::Result;
use axum::middleware;
use nephometer_api::aodh::{self, AodhState};
use nephometer_api::serve;

use crate::alarms;
use crate::stage::Stage;
use crate::telemetry::count_requests;

use super::{Ground, Handle, Role, bind};

/// Wanted unless `alarm_api.listen` is empty.
pub(crate) static ROLE: Role = Role {
    name: "alarm_api",
    stands_on: &[Ground::Index, Ground::Measures],
    is_wanted: |config| config.alarm_api.is_on(),
    start: |stage| Box::pin(start(stage)),
};

/// Binds the address and serves until the process stops.
async fn start(stage: &Stage<'_>) -> Result<Handle> {
    let settings = &stage.config.alarm_api;
    let (listener, address) = bind("alarm_api.listen", &settings.listen).await?;
    let state = AodhState {
        service: alarms::service(stage)?,
        authenticator: Arc::clone(&stage.recognition.of_alarms),
        limits: Arc::clone(&stage.limits),
        ids: Arc::clone(&stage.parts.clock) as _,
        settings: settings.http.front(),
    };
    let counted = middleware::from_fn_with_state(Arc::clone(&stage.telemetry), count_requests);
    let router = aodh::router(state).layer(counted);
    let http = settings.http.listener();
    let (tls, shutdown) = (stage.certificates.of(ROLE.name), stage.shutdown.clone());
    Ok(Handle::spawn(ROLE.name, Some(address), async move {
        Ok(serve(listener, tls, router, http, shutdown.requested()).await?)
    }))
}
