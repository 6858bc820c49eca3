//! A signed-in user of the cloud: one token, kept, renewed in time, and used by all who share the session.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use nephometer_model::{Clock, Secret, Timestamp};
use parking_lot::RwLock;
use reqwest::Url;
use serde::Serialize;

use super::catalog::{Catalog, Interface};
use super::credentials::{Credentials, Scope, SignIn};
use super::error::{KeystoneError, message_of, shown};
use super::http::{Answer, Call, HttpOptions, Transport};
use super::token::{self, TokenInfo};

pub(super) const X_AUTH_TOKEN: HeaderName = HeaderName::from_static("x-auth-token");
pub(super) const X_SUBJECT_TOKEN: HeaderName = HeaderName::from_static("x-subject-token");

/// Tokens are renewed so long before they end, or when a quarter of their life is left if that is less.
const RENEW_BEFORE_NS: i64 = 300 * 1_000_000_000;
/// While a token is still good, an attempt to renew it that failed is repeated no sooner.
const RENEW_AGAIN_NS: i64 = 15 * 1_000_000_000;
/// A catalogue as old as this is fetched anew where it lacks a service: that may have been entered since.
const CATALOG_AGE_NS: i64 = 300 * 1_000_000_000;

/// Everything that a session is made from; see [`KeystoneSettings::open`](super::KeystoneSettings::open) and
/// [`CloudSource`](super::CloudSource).
#[derive(Debug, Clone, PartialEq)]
pub struct SessionConfig {
    /// Where Keystone is, with or without `/v3`.
    pub auth_url: Url,
    /// Who signs in, and to what.
    pub credentials: Credentials,
    /// Which of a service's addresses are used unless a request says otherwise.
    pub interface: Interface,
    /// The region whose addresses are used unless a request says otherwise; any where there is none.
    pub region: Option<String>,
    /// Addresses that count instead of the catalogue's, by service type.
    pub endpoint_overrides: BTreeMap<String, Url>,
    /// How to reach services.
    pub http: HttpOptions,
}

/// A token with what it is good for.
#[derive(Debug, Clone)]
pub struct SignedIn {
    /// The token.
    pub token: Secret,
    /// Whose it is and for what.
    pub info: TokenInfo,
    /// The services that its scope sees.
    pub catalog: Catalog,
    /// When it was fetched, by the clock of this process.
    signed_at: Timestamp,
    /// From then on another one is fetched.
    renew_at: Timestamp,
    /// From then on it is useless, by the clock of this process.
    ends_at: Timestamp,
}

/// A request to a service of the cloud. `Debug` shows where it goes; headers, query and body may hold secrets.
#[derive(Clone)]
pub struct Request {
    method: Method,
    target: Target,
    query: Vec<(String, String)>,
    headers: HeaderMap,
    body: Option<Bytes>,
    repeatable: bool,
    problem: Option<String>,
}

impl fmt::Debug for Request {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.target {
            Target::Service { service_type, path, .. } => write!(f, "{} {service_type} {path}", self.method),
            Target::Url(url) => write!(f, "{} {}", self.method, shown(url)),
        }
    }
}

#[derive(Clone)]
enum Target {
    Service { service_type: String, interface: Option<Interface>, region: Option<String>, path: String },
    Url(Url),
}

impl Request {
    /// A request to `path` (beginning with a slash) below the address of the service of `service_type`.
    pub fn new(method: Method, service_type: &str, path: &str) -> Self {
        let service_type = service_type.to_owned();
        let path = path.to_owned();
        Self::to(method, Target::Service { service_type, interface: None, region: None, path })
    }

    /// A request to `url`, which gets the session's token: only for addresses of the cloud's own services.
    pub fn to_url(method: Method, url: Url) -> Self {
        Self::to(method, Target::Url(url))
    }

    fn to(method: Method, target: Target) -> Self {
        let repeatable = method.is_idempotent();
        let (query, headers) = (Vec::new(), HeaderMap::new());
        Self { method, target, query, headers, body: None, repeatable, problem: None }
    }

    /// Another interface than the session's.
    #[must_use]
    pub fn interface(mut self, wanted: Interface) -> Self {
        if let Target::Service { interface, .. } = &mut self.target {
            *interface = Some(wanted);
        }
        self
    }

    /// Another region than the session's.
    #[must_use]
    pub fn region(mut self, wanted: &str) -> Self {
        if let Target::Service { region, .. } = &mut self.target {
            *region = Some(wanted.to_owned());
        }
        self
    }

    /// A parameter of the query.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A header; the value is sent as it is.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// A body in JSON.
    #[must_use]
    pub fn json(mut self, body: &impl Serialize) -> Self {
        match serde_json::to_vec(body) {
            Ok(bytes) => self.body = Some(bytes.into()),
            Err(error) => self.problem = Some(error.to_string()),
        }
        self.header(header::CONTENT_TYPE, HeaderValue::from_static("application/json"))
    }

    /// The request as it goes over the wire: to `url` without the query, by the right of `access`.
    fn call(&self, mut url: Url, access: Option<(HeaderName, HeaderValue)>) -> Result<Call, KeystoneError> {
        if let Some(reason) = &self.problem {
            return Err(KeystoneError::malformed(&url, format!("the request's own body: {reason}")));
        }
        if !self.query.is_empty() {
            url.query_pairs_mut().extend_pairs(&self.query);
        }
        let mut headers = self.headers.clone();
        headers.extend(access);
        headers.entry(header::ACCEPT).or_insert(HeaderValue::from_static("application/json"));
        let (method, body) = (self.method.clone(), self.body.clone());
        Ok(Call { method, url, headers, body, repeatable: self.repeatable })
    }

    /// The same where no catalogue says where the service is: its address is `base`.
    pub(crate) fn call_at(
        &self,
        base: &Url,
        access: Option<(HeaderName, HeaderValue)>,
    ) -> Result<Call, KeystoneError> {
        let url = match &self.target {
            Target::Url(url) => url.clone(),
            Target::Service { path, .. } => join(base, path),
        };
        self.call(url, access)
    }

    /// Says that sending it twice does no harm, though its method alone does not promise that.
    #[must_use]
    pub fn repeatable(mut self) -> Self {
        self.repeatable = true;
        self
    }
}

/// Outcome of the last attempt to sign in, for those who waited for it.
#[derive(Default)]
struct Attempts {
    finished: u64,
    failure: Option<KeystoneError>,
}

/// A session: cheap to share behind an `Arc`, safe to use from many tasks. Nothing is sent before the first use.
pub struct Session {
    pub(super) transport: Arc<Transport>,
    pub(super) config: SessionConfig,
    clock: Arc<dyn Clock>,
    current: RwLock<Option<Arc<SignedIn>>>,
    /// Held while signing in, so that many who need a token cause one request.
    attempts: tokio::sync::Mutex<Attempts>,
    /// How many attempts to sign in have ended, to be read without waiting.
    finished: std::sync::atomic::AtomicU64,
}

impl Session {
    /// A session that will sign in when it is first used. Reads certificates; fails where those are unusable.
    pub fn new(config: SessionConfig, clock: Arc<dyn Clock>) -> Result<Self, KeystoneError> {
        let transport = Arc::new(Transport::new(&config.http, Arc::clone(&clock))?);
        Ok(Self::over(transport, config, clock))
    }

    fn over(transport: Arc<Transport>, config: SessionConfig, clock: Arc<dyn Clock>) -> Self {
        let current = RwLock::new(None);
        let (attempts, finished) = Default::default();
        Self { transport, config, clock, current, attempts, finished }
    }

    /// Another session of the same user over the same connections, with a scope of its own: a trust, another project.
    pub fn with_scope(&self, scope: Scope) -> Self {
        let sign_in = self.config.credentials.sign_in.clone();
        self.with_credentials(Credentials { sign_in, scope })
    }

    /// A session of somebody else over the same connections.
    pub fn with_credentials(&self, credentials: Credentials) -> Self {
        let config = SessionConfig { credentials, ..self.config.clone() };
        Self::over(Arc::clone(&self.transport), config, Arc::clone(&self.clock))
    }

    /// The current token; signs in where there is none or it soon ends. While somebody renews it, and while Keystone is
    /// away, a token that has not ended yet goes on being used.
    pub async fn signed_in(&self) -> Result<Arc<SignedIn>, KeystoneError> {
        let now = self.clock.now();
        let known = self.current.read().clone();
        let Some(signed) = known else { return self.renew(None).await };
        let is_good = now < signed.ends_at;
        if now < signed.renew_at || (is_good && self.attempts.try_lock().is_err()) {
            return Ok(signed);
        }
        match self.renew(Some(&signed)).await {
            Err(error) if error.is_temporary() && self.clock.now() < signed.ends_at => {
                tracing::warn!(%error, "the token cannot be renewed yet");
                self.put_off_renewal(&signed);
                Ok(signed)
            }
            outcome => outcome,
        }
    }

    /// The current token, from a catalogue that has the service of `target` or is not old.
    async fn signed_in_for(&self, target: &Target) -> Result<Arc<SignedIn>, KeystoneError> {
        let signed = self.signed_in().await?;
        let lacks = matches!(self.url_of(target, &signed), Err(KeystoneError::NoEndpoint { .. }));
        let age_ns = self.clock.now().ns().saturating_sub(signed.signed_at.ns());
        if !lacks || age_ns < CATALOG_AGE_NS || !self.can_renew() {
            return Ok(signed);
        }
        self.renew(Some(&signed)).await
    }

    fn put_off_renewal(&self, signed: &SignedIn) {
        let later = Timestamp::from_ns(self.clock.now().ns().saturating_add(RENEW_AGAIN_NS));
        let put_off = SignedIn { renew_at: later.min(signed.ends_at), ..signed.clone() };
        let mut current = self.current.write();
        if current.as_ref().is_some_and(|current| current.token == signed.token) {
            *current = Some(Arc::new(put_off));
        }
    }

    /// Signs in unless somebody else has replaced `stale` meanwhile. Who waits for another's attempt shares its
    /// outcome.
    pub(super) async fn renew(&self, stale: Option<&Arc<SignedIn>>) -> Result<Arc<SignedIn>, KeystoneError> {
        let seen = self.finished.load(std::sync::atomic::Ordering::Acquire);
        let mut attempts = self.attempts.lock().await;
        let current = self.current.read().clone();
        if let Some(current) = current
            && stale.is_none_or(|stale| stale.token != current.token)
        {
            return Ok(current);
        }
        if attempts.finished > seen
            && let Some(failure) = &attempts.failure
        {
            return Err(failure.clone());
        }
        let outcome = self.sign_in().await.map(Arc::new);
        attempts.finished += 1;
        self.finished.store(attempts.finished, std::sync::atomic::Ordering::Release);
        attempts.failure = outcome.as_ref().err().cloned();
        if let Ok(signed) = &outcome {
            *self.current.write() = Some(Arc::clone(signed));
        }
        outcome
    }

    async fn sign_in(&self) -> Result<SignedIn, KeystoneError> {
        let url = join(&v3(&self.config.auth_url), "/auth/tokens");
        let credentials = &self.config.credentials;
        let mut headers = HeaderMap::new();
        headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        let body = Some(Bytes::from(credentials.body().to_string()));
        let call = Call { method: Method::POST, url: url.clone(), headers, body, repeatable: true };
        let answer = self.transport.send(&call).await?;
        if !answer.status.is_success() {
            return Err(refused_sign_in(&url, credentials, &answer));
        }
        let signed = self.read_token(&url, &answer)?;
        tracing::debug!(url = shown(&url), who = %credentials, until = %signed.info.expires_at, "signed in");
        Ok(signed)
    }

    fn read_token(&self, url: &Url, answer: &Answer) -> Result<SignedIn, KeystoneError> {
        #[derive(serde::Deserialize)]
        struct WithCatalog {
            #[serde(default)]
            catalog: Catalog,
        }
        let malformed = |reason: &str| {
            let hint = "is auth_url the address of a Keystone with its v3 API?";
            KeystoneError::malformed(url, format!("{reason}; {hint}"))
        };
        let token = answer.headers.get(X_SUBJECT_TOKEN).and_then(|value| value.to_str().ok());
        let token = Secret::new(token.ok_or_else(|| malformed("it gives no X-Subject-Token"))?);
        let info: TokenInfo = token::parse(&answer.body).map_err(|reason| malformed(&reason))?;
        let with_catalog: WithCatalog = token::parse(&answer.body).map_err(|reason| malformed(&reason))?;
        // Both of Keystone's times come from its clock, so its difference from ours does not matter.
        let now = self.clock.now();
        let lifetime_ns = info.expires_at.ns().saturating_sub(info.issued_at.ns()).max(0);
        let ends_at = Timestamp::from_ns(now.ns().saturating_add(lifetime_ns));
        let early_ns = RENEW_BEFORE_NS.min(lifetime_ns / 4);
        let renew_at = Timestamp::from_ns(ends_at.ns() - early_ns);
        Ok(SignedIn { token, info, catalog: with_catalog.catalog, signed_at: now, renew_at, ends_at })
    }

    /// Sends `request` with the session's token, which is renewed once if the service no longer takes it. Answers from
    /// 300 on are errors.
    pub async fn request(&self, request: &Request) -> Result<Answer, KeystoneError> {
        let (call, answer) = self.exchange(request).await?;
        accepted(&call, answer)
    }

    /// The answer to `request` whatever its status, for services whose refusals say something; statuses from 500 on are
    /// errors even so.
    pub async fn answer(&self, request: &Request) -> Result<Answer, KeystoneError> {
        self.exchange(request).await.map(|(_, answer)| answer)
    }

    /// Sends `request` without any token, for what its other headers allow: signed addresses. The catalogue is the
    /// session's own.
    pub async fn request_unsigned(&self, request: &Request) -> Result<Answer, KeystoneError> {
        let signed = self.signed_in_for(&request.target).await?;
        let call = self.call(request, &signed, None)?;
        let answer = self.transport.send(&call).await?;
        accepted(&call, answer)
    }

    /// The answer to `request` whatever its status, with the call that it belongs to.
    pub(super) async fn exchange(&self, request: &Request) -> Result<(Call, Answer), KeystoneError> {
        let signed = self.signed_in_for(&request.target).await?;
        let call = self.call(request, &signed, Some(&signed.token))?;
        let answer = self.transport.send(&call).await?;
        if answer.status != StatusCode::UNAUTHORIZED || !self.can_renew() {
            return Ok((call, answer));
        }
        let renewed = self.renew(Some(&signed)).await?;
        let call = self.call(request, &renewed, Some(&renewed.token))?;
        let answer = self.transport.send(&call).await?;
        Ok((call, answer))
    }

    /// Sends `request` with somebody else's token; the catalogue is the session's own.
    pub(super) async fn request_as(
        &self,
        token: &Secret,
        request: &Request,
    ) -> Result<Answer, KeystoneError> {
        let signed = self.signed_in_for(&request.target).await?;
        let call = self.call(request, &signed, Some(token))?;
        let answer = self.transport.send(&call).await?;
        accepted(&call, answer)
    }

    /// Whether signing in again can give a better token than the present one.
    fn can_renew(&self) -> bool {
        !matches!(self.config.credentials.sign_in, SignIn::Token { .. })
    }

    fn call(
        &self,
        request: &Request,
        signed: &SignedIn,
        token: Option<&Secret>,
    ) -> Result<Call, KeystoneError> {
        let url = self.url_of(&request.target, signed)?;
        if let Some(token) = token {
            let unfit = "the token cannot be a header";
            let mut value = HeaderValue::from_str(token.expose())
                .map_err(|_| KeystoneError::malformed(&self.config.auth_url, unfit))?;
            value.set_sensitive(true);
            return request.call(url, Some((X_AUTH_TOKEN, value)));
        }
        request.call(url, None)
    }

    fn url_of(&self, target: &Target, signed: &SignedIn) -> Result<Url, KeystoneError> {
        match target {
            Target::Url(url) => Ok(url.clone()),
            Target::Service { service_type, interface, region, path } => {
                let interface = interface.unwrap_or(self.config.interface);
                let region = region.as_deref().or(self.config.region.as_deref());
                Ok(join(&self.endpoint_of(signed, service_type, interface, region)?, path))
            }
        }
    }

    /// The address of a service by the session's interface and region.
    pub async fn endpoint(&self, service_type: &str) -> Result<Url, KeystoneError> {
        let signed = self.signed_in().await?;
        let region = self.config.region.as_deref();
        self.endpoint_of(&signed, service_type, self.config.interface, region)
    }

    /// The addresses that count instead of the catalogue's.
    pub(crate) fn endpoint_overrides(&self) -> impl Iterator<Item = &Url> {
        self.config.endpoint_overrides.values()
    }

    fn endpoint_of(
        &self,
        signed: &SignedIn,
        service_type: &str,
        interface: Interface,
        region: Option<&str>,
    ) -> Result<Url, KeystoneError> {
        let is_identity = service_type == "identity";
        if let Some(url) = self.config.endpoint_overrides.get(service_type) {
            return Ok(if is_identity { v3(url) } else { url.clone() });
        }
        // A scope that sees no catalogue still knows where Keystone is.
        if is_identity && signed.catalog.services().is_empty() {
            return Ok(v3(&self.config.auth_url));
        }
        let text = signed.catalog.endpoint(service_type, interface, region)?;
        let url = Url::parse(text).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| {
            let reason = format!("its catalogue gives {service_type} the address `{text}`");
            KeystoneError::malformed(&self.config.auth_url, reason)
        })?;
        Ok(if is_identity { v3(&url) } else { url })
    }
}

/// `answer` where the service did as told. Its words in an error do not repeat the call's secrets: the values of its
/// sensitive headers.
pub(super) fn accepted(call: &Call, answer: Answer) -> Result<Answer, KeystoneError> {
    if answer.status.is_success() {
        return Ok(answer);
    }
    let sensitive = call.headers.values().filter(|value| value.is_sensitive());
    let secrets: Vec<_> = sensitive.filter_map(|value| value.to_str().ok()).map(Secret::new).collect();
    let mut message = message_of(&answer.body, &secrets.iter().collect::<Vec<_>>());
    if answer.status.is_redirection()
        && let Some(elsewhere) = answer.headers.get(header::LOCATION).and_then(|value| value.to_str().ok())
        && let Ok(elsewhere) = call.url.join(elsewhere)
    {
        message = format!("redirections are not followed; it points to {}", shown(&elsewhere));
    }
    let (method, url, status) = (call.method.clone(), shown(&call.url), answer.status);
    Err(KeystoneError::Refused { method, url, status, message })
}

fn refused_sign_in(url: &Url, credentials: &Credentials, answer: &Answer) -> KeystoneError {
    let message = message_of(&answer.body, &[credentials.secret()]);
    let (url, who, status) = (shown(url), credentials.to_string(), answer.status);
    KeystoneError::SignIn { url, who, status, message }
}

/// The v3 API's address for `url`, which may be that, or Keystone's address without version, or with an older one.
pub(super) fn v3(url: &Url) -> Url {
    let path = url.path().trim_end_matches('/');
    let base = path.strip_suffix("/v2.0").or_else(|| path.strip_suffix("/v3")).unwrap_or(path);
    let mut url = url.clone();
    url.set_path(&format!("{base}/v3"));
    url
}

/// `path` below `base`.
pub(super) fn join(base: &Url, path: &str) -> Url {
    let mut url = base.clone();
    let (path, query) = path.split_once('?').map_or((path, None), |(path, query)| (path, Some(query)));
    url.set_path(&format!("{}/{}", base.path().trim_end_matches('/'), path.trim_start_matches('/')));
    if query.is_some() {
        url.set_query(query);
    }
    url
}
