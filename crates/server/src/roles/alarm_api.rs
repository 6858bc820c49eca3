//! The alarm API's listener: Aodh's v2 routes over the alarm service.

use std::sync::Arc;

use anyhow::Result;
use axum::middleware;
use nephometer_alarm::service::AlarmService;
use nephometer_api::aodh::{self, AodhState};
use nephometer_api::http::tls::Tls;
use nephometer_api::limits::Limits;
use nephometer_api::serve;
use nephometer_drivers::Authenticator;
use nephometer_model::IdSource;

use crate::config::AlarmApiSection;
use crate::telemetry::{Telemetry, count_requests};

use super::{Handle, Shutdown, bind};

/// What the role stands on.
pub(crate) struct Deps {
    pub(crate) service: Arc<AlarmService>,
    pub(crate) authenticator: Arc<dyn Authenticator>,
    pub(crate) limits: Arc<Limits>,
    pub(crate) ids: Arc<dyn IdSource>,
    pub(crate) telemetry: Arc<Telemetry>,
    pub(crate) tls: Option<Arc<Tls>>,
}

/// Binds the address and serves until `shutdown`.
pub(crate) async fn start(deps: Deps, settings: &AlarmApiSection, shutdown: Shutdown) -> Result<Handle> {
    let (listener, address) = bind("alarm_api.listen", &settings.listen).await?;
    let state = AodhState {
        service: deps.service,
        authenticator: deps.authenticator,
        limits: deps.limits,
        ids: deps.ids,
        settings: settings.http.front(),
    };
    let counted = middleware::from_fn_with_state(deps.telemetry, count_requests);
    let router = aodh::router(state).layer(counted);
    let http = settings.http.listener();
    Ok(Handle::spawn("alarm_api", Some(address), async move {
        Ok(serve(listener, deps.tls, router, http, shutdown.requested()).await?)
    }))
}
