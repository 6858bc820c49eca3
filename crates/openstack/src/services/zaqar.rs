//! Zaqar: messages in queues, by its v2 API as Zaqar's own client speaks it. Queues come into being by being used.

use std::sync::Arc;

use async_trait::async_trait;
use http::{HeaderName, HeaderValue, Method, StatusCode};
use nephometer_drivers::{DeliveryFailure, MessageQueues, QueueAccess, QueueMessage};
use serde_json::{Value, json};

use super::TrustSessions;
use super::failure::undelivered;
use crate::keystone::{KeystoneError, Request, Session, segment};

const CLIENT_ID: HeaderName = HeaderName::from_static("client-id");
const PROJECT_ID: HeaderName = HeaderName::from_static("x-project-id");
const URL_EXPIRES: HeaderName = HeaderName::from_static("url-expires");
const URL_METHODS: HeaderName = HeaderName::from_static("url-methods");
const URL_PATHS: HeaderName = HeaderName::from_static("url-paths");
const URL_SIGNATURE: HeaderName = HeaderName::from_static("url-signature");

/// Queues of Zaqar.
pub struct ZaqarQueues {
    session: Arc<Session>,
    trusts: Arc<TrustSessions>,
    service_type: String,
}

impl ZaqarQueues {
    /// Queues of the service that the catalogue lists as `service_type` (`messaging`), used as `session` or by trusts.
    pub fn new(session: Arc<Session>, trusts: Arc<TrustSessions>, service_type: &str) -> Self {
        Self { session, trusts, service_type: service_type.to_owned() }
    }

    fn request(&self, message: &QueueMessage, part: &str, body: &Value) -> Result<Request, DeliveryFailure> {
        let path = format!("/v2/queues/{}/{part}", segment(&message.queue));
        let request = Request::new(Method::POST, &self.service_type, &path).json(body);
        let mut request = request.header(CLIENT_ID, header(&message.id.to_string())?);
        let QueueAccess::PreSigned { project_id, paths, methods, expires, signature } = &message.access
        else {
            return Ok(request);
        };
        let mut secret = header(signature.expose())?;
        secret.set_sensitive(true);
        request = request
            .header(URL_EXPIRES, header(expires)?)
            .header(URL_METHODS, header(&methods.join(","))?)
            .header(URL_PATHS, header(&paths.join(","))?)
            .header(URL_SIGNATURE, secret);
        if !project_id.is_empty() {
            request = request.header(PROJECT_ID, header(project_id)?);
        }
        Ok(request)
    }

    async fn send(&self, access: &QueueAccess, request: &Request) -> Result<(), KeystoneError> {
        match access {
            QueueAccess::Service => self.session.request(request).await,
            QueueAccess::Trust(id) => self.trusts.session(id).request(request).await,
            QueueAccess::PreSigned { .. } => self.session.request_unsigned(request).await,
        }
        .map(drop)
    }

    fn failed(&self, access: &QueueAccess, error: &KeystoneError) -> DeliveryFailure {
        match access {
            QueueAccess::Trust(id) => self.trusts.failed(id, error),
            _ => undelivered(error),
        }
    }
}

fn header(text: &str) -> Result<HeaderValue, DeliveryFailure> {
    let unfit = |_| DeliveryFailure::Final("the action holds what cannot be a header".to_owned());
    HeaderValue::from_str(text).map_err(unfit)
}

#[async_trait]
impl MessageQueues for ZaqarQueues {
    async fn post(&self, message: QueueMessage) -> Result<(), DeliveryFailure> {
        for subscriber in &message.subscribers {
            let body = json!({"subscriber": subscriber, "ttl": message.ttl_seconds, "options": {}});
            let request = self.request(&message, "subscriptions", &body)?;
            match self.send(&message.access, &request).await {
                // Somebody subscribed already.
                Err(KeystoneError::Refused { status, .. }) if status == StatusCode::CONFLICT => {}
                outcome => outcome.map_err(|error| self.failed(&message.access, &error))?,
            }
        }
        let request = self.request(&message, "messages", &json!({"messages": [&message.body]}))?;
        let sent = self.send(&message.access, &request).await;
        sent.map_err(|error| self.failed(&message.access, &error))
    }
}
