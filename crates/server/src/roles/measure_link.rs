//! The listener by which processes that do not hold the measure store read measures and hear of writes.

use std::sync::Arc;
use std::time::Duration;

use anyhow::Result;
use nephometer_api::{HttpSettings, serve};
use nephometer_drivers::{MetricReader, WriteFeed};
use nephometer_link::{LinkParts, router};

use crate::stage::Stage;

use super::{Ground, Handle, Role, bind};

/// Few processes connect, each with some connections; more have to wait.
const MAX_CONNECTIONS: usize = 1024;
/// Streams have no end: they are cut off after this when the process stops.
const STOP_TIMEOUT: Duration = Duration::from_secs(1);

/// Wanted where `measure_link.listen` is set.
pub(crate) static ROLE: Role = Role {
    name: "measure_link",
    stands_on: &[Ground::Store],
    is_wanted: |config| config.measure_link.is_on(),
    start: |stage| Box::pin(start(stage)),
};

/// Binds the address and serves until the process stops.
async fn start(stage: &Stage<'_>) -> Result<Handle> {
    let settings = &stage.config.measure_link;
    let (listener, address) = bind("measure_link.listen", &settings.listen).await?;
    let service = &stage.parts.store()?.service;
    let router = router(LinkParts {
        reader: Arc::clone(service) as Arc<dyn MetricReader>,
        feed: Arc::clone(service) as Arc<dyn WriteFeed>,
        token: settings.open_token()?,
        clock: stage.clock(),
        ids: Arc::clone(&stage.parts.clock) as _,
    });
    let http = HttpSettings {
        max_connections: MAX_CONNECTIONS,
        stop_timeout: STOP_TIMEOUT,
        ..HttpSettings::default()
    };
    let (tls, shutdown) = (stage.certificates.of(ROLE.name), stage.shutdown.clone());
    Ok(Handle::spawn(ROLE.name, Some(address), async move {
        Ok(serve(listener, tls, router, http, shutdown.requested()).await?)
    }))
}
