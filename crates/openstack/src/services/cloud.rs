//! What pollsters ask: any service of the catalogue, as the session's user, no faster than the operator allows.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method};
use nephometer_drivers::{CloudAnswer, CloudCall, CloudError, CloudMethod, CloudReader, CloudTarget};
use nephometer_model::Clock;
use parking_lot::Mutex;
use tokio::sync::Semaphore;

use crate::keystone::{KeystoneError, Request, Session, Url};

/// How fast services are asked.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct CloudPace {
    /// Most calls a second to one service; 0 for as many as come.
    pub calls_per_second: f64,
    /// Most calls to one service at a time, one at least.
    pub at_once: usize,
}

impl Default for CloudPace {
    fn default() -> Self {
        Self { calls_per_second: 20.0, at_once: 4 }
    }
}

/// The calls to one service.
struct Lane {
    slots: Semaphore,
    /// The earliest start of the next call, by the monotonic clock.
    next_ns: Mutex<u64>,
}

/// The cloud as the user of a session sees it.
pub struct CloudSession {
    session: Arc<Session>,
    clock: Arc<dyn Clock>,
    pace: CloudPace,
    lanes: Mutex<HashMap<String, Arc<Lane>>>,
}

impl CloudSession {
    /// Asks as `session`.
    pub fn new(session: Arc<Session>, clock: Arc<dyn Clock>, pace: CloudPace) -> Self {
        Self { session, clock, pace, lanes: Mutex::default() }
    }

    /// Calls to `service` go through one lane; there are as many as the catalogue and the operator's files name.
    fn lane(&self, service: &str) -> Arc<Lane> {
        let mut lanes = self.lanes.lock();
        if let Some(lane) = lanes.get(service) {
            return Arc::clone(lane);
        }
        let lane = Lane { slots: Semaphore::new(self.pace.at_once.max(1)), next_ns: Mutex::new(0) };
        Arc::clone(lanes.entry(service.to_owned()).or_insert(Arc::new(lane)))
    }

    /// How long the next call of a lane is to wait for its turn, which is then taken.
    fn wait_for_turn(&self, lane: &Lane) -> Duration {
        if self.pace.calls_per_second <= 0.0 {
            return Duration::ZERO;
        }
        let apart_ns = (1e9 / self.pace.calls_per_second) as u64;
        let now_ns = self.clock.monotonic_ns();
        let mut next_ns = lane.next_ns.lock();
        let turn_ns = (*next_ns).max(now_ns);
        *next_ns = turn_ns.saturating_add(apart_ns);
        Duration::from_nanos(turn_ns - now_ns)
    }

    /// An address that a service gave, if a token may go there: its scheme, host and port are in the catalogue.
    async fn of_catalogue(&self, address: &str) -> Result<Url, CloudError> {
        let url = parse(address)?;
        let signed = self.session.signed_in().await.map_err(|error| failure(&error))?;
        let endpoints = signed.catalog.services().iter().flat_map(|service| &service.endpoints);
        let listed = endpoints.filter_map(|endpoint| Url::parse(&endpoint.url).ok());
        let overrides = self.session.endpoint_overrides().cloned();
        if listed.chain(overrides).any(|known| known.origin() == url.origin()) {
            return Ok(url);
        }
        Err(CloudError::Invalid(format!(
            "a service points to {address}, which is on no host of the catalogue: the token is not sent there"
        )))
    }

    async fn request(&self, call: &CloudCall) -> Result<Request, CloudError> {
        let method = match call.method {
            CloudMethod::Get => Method::GET,
            CloudMethod::Head => Method::HEAD,
        };
        let mut request = match &call.target {
            CloudTarget::Service { service_type, path } => Request::new(method, service_type, path),
            CloudTarget::Link(address) => Request::to_url(method, self.of_catalogue(address).await?),
            CloudTarget::Configured(address) => Request::to_url(method, parse(address)?),
        };
        for (name, value) in &call.query {
            request = request.query(name, value);
        }
        for (name, value) in &call.headers {
            let unfit = || CloudError::Invalid(format!("`{name}: {value}` cannot be a header"));
            let name = HeaderName::try_from(name).map_err(|_| unfit())?;
            request = request.header(name, HeaderValue::try_from(value).map_err(|_| unfit())?);
        }
        Ok(request)
    }
}

fn parse(address: &str) -> Result<Url, CloudError> {
    let url = Url::parse(address).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
    url.ok_or_else(|| CloudError::Invalid(format!("`{address}` is no address of an HTTP service")))
}

/// What is asked together: a service of the catalogue, or a host.
fn lane_of(target: &CloudTarget) -> String {
    match target {
        CloudTarget::Service { service_type, .. } => service_type.clone(),
        CloudTarget::Link(address) | CloudTarget::Configured(address) => {
            Url::parse(address).map_or_else(|_| address.clone(), |url| url.origin().ascii_serialization())
        }
    }
}

fn failure(error: &KeystoneError) -> CloudError {
    let text = error.to_string();
    match error {
        KeystoneError::NoEndpoint { .. } => CloudError::NoService(text),
        KeystoneError::SignIn { .. } => CloudError::SignIn(text),
        KeystoneError::Settings(_) => CloudError::Invalid(text),
        KeystoneError::Refused { .. }
        | KeystoneError::Unavailable { .. }
        | KeystoneError::Malformed { .. } => CloudError::Unavailable(text),
    }
}

#[async_trait]
impl CloudReader for CloudSession {
    async fn endpoints(&self, service_type: &str) -> Result<Vec<String>, CloudError> {
        match self.session.endpoint(service_type).await {
            Ok(url) => Ok(vec![url.to_string()]),
            Err(KeystoneError::NoEndpoint { .. }) => Ok(Vec::new()),
            Err(error) => Err(failure(&error)),
        }
    }

    async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError> {
        let request = self.request(call).await?;
        let lane = self.lane(&lane_of(&call.target));
        let _slot = lane.slots.acquire().await.expect("lanes are never closed");
        tokio::time::sleep(self.wait_for_turn(&lane)).await;
        let answer = self.session.answer(&request);
        let answer = match call.timeout {
            None => answer.await,
            Some(limit) => tokio::time::timeout(limit, answer).await.map_err(|_| {
                CloudError::Unavailable(format!("no answer within {} s", limit.as_secs_f64()))
            })?,
        };
        let answer = answer.map_err(|error| failure(&error))?;
        Ok(CloudAnswer { status: answer.status.as_u16(), headers: answer.headers, body: answer.body })
    }

    async fn project_id(&self) -> Result<Option<String>, CloudError> {
        let signed = self.session.signed_in().await.map_err(|error| failure(&error))?;
        Ok(signed.info.project.as_ref().map(|project| project.id.clone()))
    }
}
