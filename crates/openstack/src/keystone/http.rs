//! HTTP towards services: TLS as configured, deadlines, and retries with growing, uneven pauses where a retry can help
//! and cannot do harm.

use std::fmt;
use std::io::Read as _;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use http::{HeaderMap, Method, StatusCode, header};
use nephometer_model::{Clock, with_causes};
use reqwest::{Certificate, Identity, Url};

use super::error::{KeystoneError, Problem, shown};

/// First pause before a retry; each further one is twice as long.
const FIRST_PAUSE: Duration = Duration::from_millis(500);
/// Longest pause, and the longest `Retry-After` that is waited for.
const LONGEST_PAUSE: Duration = Duration::from_secs(30);
/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 256 << 20;
/// Longest PEM file that is read, in bytes.
const MAX_PEM_BYTES: u64 = 16 << 20;
/// Keep-alive connections are closed after being idle for so long: less than what servers usually allow.
const IDLE: Duration = Duration::from_secs(20);

/// How to reach services.
#[derive(Debug, Clone, PartialEq)]
pub struct HttpOptions {
    /// A file with the certificates (PEM) of the authorities that are trusted *instead of* the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with the client's certificate (PEM), and its key unless that is in a file of its own.
    pub cert_file: Option<PathBuf>,
    /// A file with the key (PEM) of the client's certificate.
    pub key_file: Option<PathBuf>,
    /// Whether any certificate is taken. Whoever is between here and there then reads passwords.
    pub insecure: bool,
    /// How long a connection may take to come about.
    pub connect_timeout: Duration,
    /// How long a call may take, retries and pauses included.
    pub timeout: Duration,
    /// How often a call is repeated at most.
    pub max_retries: u32,
}

impl Default for HttpOptions {
    fn default() -> Self {
        Self {
            ca_file: None,
            cert_file: None,
            key_file: None,
            insecure: false,
            connect_timeout: Duration::from_secs(10),
            timeout: Duration::from_secs(60),
            max_retries: 3,
        }
    }
}

/// One request, ready to be sent, and sent again.
#[derive(Clone)]
pub(crate) struct Call {
    pub(crate) method: Method,
    pub(crate) url: Url,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Option<Bytes>,
    /// Whether sending it twice does no more than sending it once.
    pub(crate) repeatable: bool,
}

/// A complete answer of a service. `Debug` shows neither headers nor body, which may hold secrets.
#[derive(Clone)]
pub struct Answer {
    /// Its status.
    pub status: StatusCode,
    /// Its headers.
    pub headers: HeaderMap,
    /// Its body.
    pub body: Bytes,
}

impl fmt::Debug for Answer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = self.body.len();
        f.debug_struct("Answer").field("status", &self.status).field("bytes", &bytes).finish_non_exhaustive()
    }
}

/// What went wrong in one attempt.
struct Fault {
    reason: String,
    /// Whether the request cannot have reached the service.
    before_sending: bool,
}

/// The client that all calls of a session go through.
pub(crate) struct Transport {
    client: reqwest::Client,
    timeout: Duration,
    max_retries: u32,
    clock: Arc<dyn Clock>,
}

impl Transport {
    /// Reads the certificates.
    pub(crate) fn new(options: &HttpOptions, clock: Arc<dyn Clock>) -> Result<Self, KeystoneError> {
        // Another part of the program may have been first; it is the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let builder = client(options)?;
        let of_system = options.ca_file.is_none() && !options.insecure;
        let built = match builder.build() {
            // A small container may have no certificates at all, and need none.
            Err(error) if of_system => {
                tracing::warn!(reason = with_causes(&error), "no certificate of the system is trusted");
                client(options)?.tls_certs_only([]).build()
            }
            built => built,
        };
        let client = built.map_err(|error| {
            let reason = format!("cannot set up TLS: {}", with_causes(&error));
            KeystoneError::Settings(vec![Problem::new("cafile", reason)])
        })?;
        Ok(Self { client, timeout: options.timeout, max_retries: options.max_retries, clock })
    }

    /// The answer to `call`, whatever its status below 500. Statuses from 500 on and faults of the connection are errors
    /// once retries are used up; calls that are not repeatable are retried only where nothing was sent.
    pub(crate) async fn send(&self, call: &Call) -> Result<Answer, KeystoneError> {
        let outcome = tokio::time::timeout(self.timeout, self.send_with_retries(call)).await;
        outcome.unwrap_or_else(|_| {
            let reason = format!("no answer within {} s", self.timeout.as_secs_f64());
            Err(KeystoneError::Unavailable { url: shown(&call.url), reason, retry_after_seconds: None })
        })
    }

    async fn send_with_retries(&self, call: &Call) -> Result<Answer, KeystoneError> {
        let mut pause = FIRST_PAUSE;
        let mut retries = 0;
        loop {
            let (reason, may_repeat, wanted) = match self.attempt(call).await {
                Ok(answer) if !answer.status.is_server_error() => return Ok(answer),
                Ok(answer) => {
                    let may_repeat = call.repeatable && answer.status != StatusCode::NOT_IMPLEMENTED;
                    (format!("it answered with {}", answer.status), may_repeat, retry_after(&answer.headers))
                }
                Err(fault) => (fault.reason, call.repeatable || fault.before_sending, None),
            };
            let wait = wanted.unwrap_or_else(|| self.uneven(pause));
            if !may_repeat || retries == self.max_retries || wait > LONGEST_PAUSE {
                let retry_after_seconds = wanted.map(|wait| wait.as_secs());
                return Err(KeystoneError::Unavailable {
                    url: shown(&call.url),
                    reason,
                    retry_after_seconds,
                });
            }
            retries += 1;
            tracing::debug!(
                method = %call.method, url = shown(&call.url), reason, retries,
                pause_ms = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX), "trying again"
            );
            tokio::time::sleep(wait).await;
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    async fn attempt(&self, call: &Call) -> Result<Answer, Fault> {
        let mut request =
            self.client.request(call.method.clone(), call.url.clone()).headers(call.headers.clone());
        if let Some(body) = &call.body {
            request = request.body(body.clone());
        }
        let fault = |error: reqwest::Error| Fault {
            before_sending: error.is_connect() || error.is_builder(),
            reason: with_causes(&error.without_url()),
        };
        let mut response = request.send().await.map_err(fault)?;
        let (status, headers) = (response.status(), response.headers().clone());
        let mut body = BytesMut::new();
        while let Some(chunk) = response.chunk().await.map_err(fault)? {
            if body.len() + chunk.len() > MAX_ANSWER_BYTES {
                let reason = format!("its answer is longer than {MAX_ANSWER_BYTES} bytes");
                return Err(Fault { reason, before_sending: false });
            }
            body.extend_from_slice(&chunk);
        }
        Ok(Answer { status, headers, body: body.freeze() })
    }

    /// Between half of `pause` and all of it, so that clients that failed together do not return together.
    fn uneven(&self, pause: Duration) -> Duration {
        let mut bits = self.clock.monotonic_ns().wrapping_add(0x9e37_79b9_7f4a_7c15);
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        let share = u32::try_from((bits ^ (bits >> 31)) % 1000).unwrap_or(0);
        pause / 2 + pause / 2 * share / 1000
    }
}

/// A client as `options` want it. Proxies that the environment may name are not used: services of a cloud are near.
fn client(options: &HttpOptions) -> Result<reqwest::ClientBuilder, KeystoneError> {
    let mut builder = reqwest::Client::builder()
        .user_agent(concat!("nephometer/", env!("CARGO_PKG_VERSION")))
        .no_proxy()
        // Headers with tokens must not follow wherever an answer points.
        .redirect(reqwest::redirect::Policy::none())
        .retry(reqwest::retry::never())
        .connect_timeout(options.connect_timeout)
        .pool_idle_timeout(IDLE);
    if options.insecure {
        builder = builder.tls_danger_accept_invalid_certs(true);
    } else if let Some(path) = &options.ca_file {
        let pem = read_pem("cafile", path)?;
        let authorities = Certificate::from_pem_bundle(&pem).ok().filter(|found| !found.is_empty());
        let wrong = || problem("cafile", path, "holds no certificate in PEM form");
        builder = builder.tls_certs_only(authorities.ok_or_else(wrong)?);
    }
    if let Some(path) = &options.cert_file {
        let mut pem = read_pem("certfile", path)?;
        if let Some(key) = &options.key_file {
            pem.push(b'\n');
            pem.extend(read_pem("keyfile", key)?);
        }
        let wrong = |_| problem("certfile", path, "with keyfile, is no certificate and key in PEM form");
        builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
    }
    Ok(builder)
}

/// What the service asks to wait, where it says so in seconds.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok().map(Duration::from_secs)
}

fn problem(field: &str, path: &std::path::Path, reason: &str) -> KeystoneError {
    KeystoneError::Settings(vec![Problem::new(field, format!("{} {reason}", path.display()))])
}

fn read_pem(field: &str, path: &std::path::Path) -> Result<Vec<u8>, KeystoneError> {
    let mut bytes = Vec::new();
    let read = std::fs::File::open(path).and_then(|file| file.take(MAX_PEM_BYTES).read_to_end(&mut bytes));
    read.map_err(|error| problem(field, path, &format!("cannot be read: {error}")))?;
    Ok(bytes)
}
