//! Actions by HTTP: a POST of the message, by the owner's trust where the action says so.
//!
//! Each address that a name resolves to, of the target and of whatever it redirects to, is checked before a connection
//! is made, and connections are made to those addresses only: a name that changes its mind in between gains nothing.

mod client;
mod content;
mod redirect;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use nephometer_drivers::{DeliveryFailure, TrustTokens};
use nephometer_model::{Clock, Secret};
use reqwest::{Response, Url};
use uuid::Uuid;

use self::client::Clients;
use self::content::Content;
use super::address::shown;
use super::{Address, Notifier, Parcel};
use crate::definition::ActionScheme;

pub use client::{WebhookError, WebhookSettings};

/// The parameter of an address that says whether its server's certificate is checked: a whole number.
const SSL_VERIFY: &str = "aodh-alarm-ssl-verify";
const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
const REQUEST_ID: HeaderName = HeaderName::from_static("x-openstack-request-id");
const IDEMPOTENCY_KEY: HeaderName = HeaderName::from_static("idempotency-key");
/// Of an answer so much is read, so that the connection can be used again.
const MAX_ANSWER_BYTES: usize = 64 << 10;

/// Carries out `http`, `https`, `trust+http` and `trust+https`.
///
/// 2xx and what is left of 3xx mean that the message has arrived. 408, 425, 429 and 5xx are repeated, as are faults of
/// the connection. Any other status ends it: the target does not want the message as it is. Upstream ignores statuses.
pub struct WebhookNotifier {
    clients: Clients,
    trusts: Option<Arc<dyn TrustTokens>>,
    clock: Arc<dyn Clock>,
}

/// One request on its way, through all redirections.
struct Hop {
    method: Method,
    url: Url,
    headers: HeaderMap,
    body: Option<String>,
}

impl WebhookNotifier {
    /// The schemes that it carries out.
    pub const SCHEMES: [ActionScheme; 4] =
        [ActionScheme::Http, ActionScheme::Https, ActionScheme::TrustHttp, ActionScheme::TrustHttps];

    /// Reads certificates and keys; without `trusts` no trust action is carried out.
    ///
    /// # Errors
    /// A file that cannot be used.
    pub fn new(
        settings: WebhookSettings,
        trusts: Option<Arc<dyn TrustTokens>>,
        clock: Arc<dyn Clock>,
    ) -> Result<Self, WebhookError> {
        Ok(Self { clients: Clients::new(settings)?, trusts, clock })
    }

    /// Follows the request to whoever answers for good.
    async fn send(&self, mut hop: Hop, verify: bool) -> Result<(Url, Response), DeliveryFailure> {
        let client = self.clients.client(verify);
        for _ in 0..=redirect::MAX {
            self.clients.check(&hop.url)?;
            let mut request =
                client.request(hop.method.clone(), hop.url.clone()).headers(hop.headers.clone());
            if let Some(body) = &hop.body {
                request = request.body(body.clone());
            }
            let response = request.send().await.map_err(|error| client::failure(error, &hop.url))?;
            match redirect::next(&hop, response.status(), response.headers())? {
                Some(next) => hop = next,
                None => return Ok((hop.url, response)),
            }
        }
        Err(DeliveryFailure::Final(format!("more than {} redirections", redirect::MAX)))
    }

    async fn attempt(
        &self,
        address: &Address,
        content: &Content,
        token: Option<&Secret>,
    ) -> Result<(), DeliveryFailure> {
        let hop = Hop {
            method: Method::POST,
            url: address.url.clone(),
            headers: headers(content.id, token)?,
            body: Some(content.body.clone()),
        };
        let verify = verify(address)?.unwrap_or(self.clients.settings.verify);
        let timeout = self.clients.settings.timeout;
        let exchange = async {
            let (url, mut response) = self.send(hop, verify).await?;
            let outcome = self.judge(&url, &response);
            let mut read = 0;
            while let (true, Ok(Some(chunk))) = (read < MAX_ANSWER_BYTES, response.chunk().await) {
                read += chunk.len();
            }
            outcome
        };
        tokio::time::timeout(timeout, Box::pin(exchange)).await.unwrap_or_else(|_| {
            let url = shown(&address.url);
            Err(DeliveryFailure::later(format!("{url} gave no answer within {} s", timeout.as_secs_f64())))
        })
    }

    fn judge(&self, url: &Url, response: &Response) -> Result<(), DeliveryFailure> {
        let status = response.status();
        if status.is_success() || status.is_redirection() {
            return Ok(());
        }
        let reason = format!("{} answered with {status}", shown(url));
        let may_pass = status.is_server_error()
            || matches!(
                status,
                StatusCode::REQUEST_TIMEOUT | StatusCode::TOO_EARLY | StatusCode::TOO_MANY_REQUESTS
            );
        match may_pass {
            true => Err(DeliveryFailure::Later { reason, retry_after: self.retry_after(response.headers()) }),
            false => Err(DeliveryFailure::Final(reason)),
        }
    }

    /// What the target asks to wait: seconds, or until a date.
    fn retry_after(&self, headers: &HeaderMap) -> Option<Duration> {
        let text = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim();
        if let Ok(seconds) = text.parse() {
            return Some(Duration::from_secs(seconds));
        }
        let date = jiff::fmt::rfc2822::DateTimeParser::new().parse_timestamp(text).ok()?;
        let now = self.clock.now().ns().div_euclid(1_000_000_000);
        u64::try_from(date.as_second() - now).ok().map(Duration::from_secs)
    }
}

#[async_trait]
impl Notifier for WebhookNotifier {
    async fn deliver(&self, address: &Address, parcel: &Parcel) -> Result<(), DeliveryFailure> {
        let content = Content::of(parcel)?;
        let Some(trust_id) = &address.trust_id else { return self.attempt(address, &content, None).await };
        let Some(trusts) = &self.trusts else {
            let text = "trust actions need the identity service, which this deployment does not use";
            return Err(DeliveryFailure::Final(text.to_owned()));
        };
        let token = trusts.token(trust_id).await?;
        let outcome = self.attempt(address, &content, Some(&token)).await;
        let refused = format!("answered with {}", StatusCode::UNAUTHORIZED);
        match outcome {
            // The token may have been revoked: once more with a fresh one.
            Err(DeliveryFailure::Final(reason)) if reason.ends_with(&refused) => {
                trusts.forget(trust_id, &token);
                let fresh = trusts.token(trust_id).await?;
                self.attempt(address, &content, Some(&fresh)).await
            }
            outcome => outcome,
        }
    }
}

fn headers(id: Uuid, token: Option<&Secret>) -> Result<HeaderMap, DeliveryFailure> {
    let unfit = |_| DeliveryFailure::Final("the token of the trust cannot be a header".to_owned());
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(REQUEST_ID, HeaderValue::from_str(&format!("req-{id}")).map_err(unfit)?);
    headers.insert(IDEMPOTENCY_KEY, HeaderValue::from_str(&id.to_string()).map_err(unfit)?);
    if let Some(token) = token {
        let mut value = HeaderValue::from_str(token.expose()).map_err(unfit)?;
        value.set_sensitive(true);
        headers.insert(X_AUTH_TOKEN, value);
    }
    Ok(headers)
}

/// Whether the address itself says that certificates are checked, or are not.
fn verify(address: &Address) -> Result<Option<bool>, DeliveryFailure> {
    let Some(text) = address.last(SSL_VERIFY) else { return Ok(None) };
    match text.trim().parse::<i64>() {
        Ok(number) => Ok(Some(number != 0)),
        Err(_) => Err(DeliveryFailure::Final(format!("{SSL_VERIFY} is neither 0 nor 1"))),
    }
}
