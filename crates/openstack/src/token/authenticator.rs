//! From headers to an identity, with one question to Keystone for all who wait for the same answer.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use http::{HeaderMap, HeaderName};
use nephometer_drivers::{AuthError, Authenticator};
use nephometer_model::{Clock, Identity};
use parking_lot::Mutex;
use tokio::sync::{Semaphore, watch};

use super::TokenStatus;
use super::cache::{Known, TokenCache, TokenKey};
use super::source::TokenSource;
use super::vouched::{Vouched, nobody};
use crate::keystone::{AuthtokenSettings, KeystoneError, Secret, ValidationError};

const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
/// What Swift's old clients send instead.
const X_STORAGE_TOKEN: HeaderName = HeaderName::from_static("x-storage-token");
const X_SERVICE_TOKEN: HeaderName = HeaderName::from_static("x-service-token");

/// Questions to Keystone at one time.
pub(super) const MAX_AT_ONCE: usize = 32;
/// Tokens that Keystone is being asked about or that wait for it; who shows another is told to come later.
pub(super) const MAX_WAITING: usize = 4096;
/// Longest wait for one's turn to ask.
const MAX_WAIT: Duration = Duration::from_secs(10);

/// Why a token does not count.
#[derive(Debug, Clone)]
enum Refusal {
    /// It is not valid.
    Invalid,
    /// Nobody knows.
    Unavailable(String),
}

type Outcome = Result<Arc<Vouched>, Refusal>;

/// Recognises callers by `X-Auth-Token` and `X-Service-Token`. No other header says anything about who they are.
pub struct KeystoneAuthenticator {
    desk: Arc<Desk>,
    settings: Rules,
}

/// What the operator decided.
struct Rules {
    keystone_uri: String,
    delay_auth_decision: bool,
    service_token_roles: Vec<String>,
    service_token_roles_required: bool,
}

/// The service that passes a request on.
enum Service {
    /// No service token.
    None,
    /// A valid one; `goes_on` where it may go on with a user's token that has ended.
    Valid { vouched: Arc<Vouched>, goes_on: bool },
    /// One that is not valid.
    Invalid,
}

impl KeystoneAuthenticator {
    /// Asks `source` as `settings` say. Nothing is asked before the first caller comes.
    pub fn new(source: Arc<dyn TokenSource>, settings: &AuthtokenSettings, clock: Arc<dyn Clock>) -> Self {
        let rules = Rules {
            keystone_uri: settings.authenticate_uri().to_owned(),
            delay_auth_decision: settings.delay_auth_decision,
            service_token_roles: settings.service_token_roles.clone(),
            service_token_roles_required: settings.service_token_roles_required,
        };
        let cache = TokenCache::new(settings.token_cache_time, clock);
        Self { desk: Arc::new(Desk::new(source, cache)), settings: rules }
    }

    /// Signs in, so that an operator learns of what is wrong before a caller does.
    pub async fn prepare(&self) -> Result<(), KeystoneError> {
        let outcome = self.desk.source.prepare().await;
        self.desk.heard(outcome.as_ref().err().map(ToString::to_string));
        outcome
    }

    /// How tokens fare.
    pub fn status(&self) -> TokenStatus {
        let Desk { hits, misses, calls, failures, heard, cache, .. } = &*self.desk;
        let heard = heard.lock().clone();
        TokenStatus {
            is_reachable: heard.as_ref().map(Result::is_ok),
            failure: heard.and_then(Result::err),
            hits: hits.load(Ordering::Relaxed),
            misses: misses.load(Ordering::Relaxed),
            upstream_calls: calls.load(Ordering::Relaxed),
            upstream_failures: failures.load(Ordering::Relaxed),
            remembered: cache.len() as u64,
        }
    }

    async fn service(&self, headers: &HeaderMap) -> Result<Service, AuthError> {
        let Some(token) = token_of(headers, &X_SERVICE_TOKEN) else { return Ok(Service::None) };
        let vouched = match self.desk.vouched(token, false).await {
            Ok(vouched) => vouched,
            Err(Refusal::Invalid) => return Ok(Service::Invalid),
            Err(Refusal::Unavailable(reason)) => return Err(AuthError::Unavailable(reason)),
        };
        let goes_on = vouched.has_any(&self.settings.service_token_roles);
        let counts = goes_on || !self.settings.service_token_roles_required;
        Ok(if counts { Service::Valid { vouched, goes_on } } else { Service::Invalid })
    }

    async fn user(&self, headers: &HeaderMap, expired_too: bool) -> Result<Option<Arc<Vouched>>, AuthError> {
        let name = if headers.contains_key(X_AUTH_TOKEN) { X_AUTH_TOKEN } else { X_STORAGE_TOKEN };
        let Some(token) = token_of(headers, &name) else { return Ok(None) };
        match self.desk.vouched(token, expired_too).await {
            Ok(vouched) => Ok(Some(vouched)),
            Err(Refusal::Invalid) => Ok(None),
            Err(Refusal::Unavailable(reason)) => Err(AuthError::Unavailable(reason)),
        }
    }
}

#[async_trait]
impl Authenticator for KeystoneAuthenticator {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let service = self.service(headers).await?;
        let expired_too = matches!(service, Service::Valid { goes_on: true, .. });
        let user = self.user(headers, expired_too).await?;
        match (user, service) {
            (Some(user), Service::None) => Ok(user.identity.clone()),
            (Some(user), Service::Valid { vouched, .. }) => Ok(user.passed_on_by(&vouched)),
            (user, _) if self.settings.delay_auth_decision => {
                Ok(user.map_or_else(nobody, |user| user.identity.clone()))
            }
            _ => Err(AuthError::NotSignedIn { keystone_uri: self.settings.keystone_uri.clone() }),
        }
    }
}

/// The token in a header; nothing where it is missing or empty, an empty text where it cannot be a token.
fn token_of<'a>(headers: &'a HeaderMap, name: &HeaderName) -> Option<&'a str> {
    let value = headers.get(name).filter(|value| !value.is_empty())?;
    Some(value.to_str().unwrap_or_default().trim())
}

/// Where tokens are looked up and, once for all who wait, asked about.
struct Desk {
    source: Arc<dyn TokenSource>,
    cache: TokenCache,
    /// The questions under way.
    asked: Mutex<HashMap<TokenKey, watch::Receiver<Option<Outcome>>>>,
    turns: Semaphore,
    hits: AtomicU64,
    misses: AtomicU64,
    calls: AtomicU64,
    failures: AtomicU64,
    /// What became of the last contact with Keystone.
    heard: Mutex<Option<Result<(), String>>>,
}

/// Takes a question off the list when it is answered, or when asking has failed in a way that nobody foresaw.
struct Asking<'a>(&'a Desk, TokenKey);

impl Drop for Asking<'_> {
    fn drop(&mut self) {
        self.0.asked.lock().remove(&self.1);
    }
}

impl Desk {
    fn new(source: Arc<dyn TokenSource>, cache: TokenCache) -> Self {
        Self {
            source,
            cache,
            asked: Mutex::default(),
            turns: Semaphore::new(MAX_AT_ONCE),
            hits: AtomicU64::new(0),
            misses: AtomicU64::new(0),
            calls: AtomicU64::new(0),
            failures: AtomicU64::new(0),
            heard: Mutex::default(),
        }
    }

    async fn vouched(self: &Arc<Self>, token: &str, expired_too: bool) -> Outcome {
        if token.is_empty() {
            return Err(Refusal::Invalid);
        }
        let key = self.cache.key_of(token, expired_too);
        if let Some(known) = self.known(&key) {
            return known;
        }
        let mut answer = {
            let mut asked = self.asked.lock();
            // Whoever was first may have had the answer meanwhile.
            if let Some(known) = self.known(&key) {
                return known;
            }
            self.misses.fetch_add(1, Ordering::Relaxed);
            match asked.get(&key) {
                Some(answer) => answer.clone(),
                None if asked.len() >= MAX_WAITING => {
                    return Err(Refusal::Unavailable("too many tokens wait to be validated".to_owned()));
                }
                None => {
                    let (sender, answer) = watch::channel(None);
                    asked.insert(key, answer.clone());
                    // A task of its own: whoever asked first may go away, and the others still wait.
                    tokio::spawn(Arc::clone(self).answer(sender, key, Secret::new(token)));
                    answer
                }
            }
        };
        match answer.wait_for(Option::is_some).await.as_deref() {
            Ok(Some(outcome)) => outcome.clone(),
            _ => Err(Refusal::Unavailable("the validation of a token broke off".to_owned())),
        }
    }

    fn known(&self, key: &TokenKey) -> Option<Outcome> {
        let known = self.cache.get(key)?;
        self.hits.fetch_add(1, Ordering::Relaxed);
        Some(outcome(known))
    }

    async fn answer(self: Arc<Self>, sender: watch::Sender<Option<Outcome>>, key: TokenKey, token: Secret) {
        let asking = Asking(&self, key);
        // What is known is in the cache before the question leaves the list: there is no moment to ask twice in.
        let answer = match self.ask(token.expose(), key.1).await {
            Ok(known) => outcome(self.cache.put(key, known)),
            Err(reason) => Err(Refusal::Unavailable(reason)),
        };
        drop(asking);
        sender.send_replace(Some(answer));
    }

    async fn ask(&self, token: &str, expired_too: bool) -> Result<Known, String> {
        let turn = tokio::time::timeout(MAX_WAIT, self.turns.acquire()).await;
        let Ok(Ok(_turn)) = turn else { return Err("too many tokens wait to be validated".to_owned()) };
        self.calls.fetch_add(1, Ordering::Relaxed);
        let known = match self.source.validate(token, expired_too).await {
            Ok(info) => Known::Valid(Arc::new(Vouched::new(info))),
            Err(ValidationError::Invalid) => Known::Refused,
            Err(ValidationError::Unavailable(error)) => {
                self.failures.fetch_add(1, Ordering::Relaxed);
                tracing::warn!(%error, "tokens cannot be validated");
                self.heard(Some(error.to_string()));
                return Err(error.to_string());
            }
        };
        self.heard(None);
        Ok(known)
    }

    /// Notes what became of a contact with Keystone.
    fn heard(&self, failure: Option<String>) {
        *self.heard.lock() = Some(failure.map_or(Ok(()), Err));
    }
}

fn outcome(known: Known) -> Outcome {
    match known {
        Known::Valid(vouched) => Ok(vouched),
        Known::Refused => Err(Refusal::Invalid),
    }
}
