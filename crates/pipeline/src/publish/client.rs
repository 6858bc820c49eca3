//! HTTP towards receivers of samples: TLS as an address wants it, and what an answer means for the samples.

use std::error::Error as _;
use std::time::Duration;

use nephometer_model::Secret;
use reqwest::header::{CONTENT_TYPE, HeaderValue};
use reqwest::{Certificate, Identity, StatusCode, Url};

use super::address::Address;
use crate::PublishError;

/// Longest text of a receiver that an error repeats, in characters.
const MAX_WORDS: usize = 300;
/// Longest answer that is read, in bytes.
const MAX_ANSWER_BYTES: usize = 1 << 20;

/// A client for one receiver.
pub(super) struct HttpTarget {
    client: reqwest::Client,
    url: Url,
    user: Option<(String, Option<Secret>)>,
    content_type: HeaderValue,
    max_retries: u32,
}

impl HttpTarget {
    /// Takes what concerns HTTP from an address; what is left of its query goes to the receiver. `secure` is whether TLS
    /// is spoken.
    pub(super) fn new(
        address: &mut Address,
        secure: bool,
        content_type: &'static str,
    ) -> Result<Self, String> {
        if address.host.is_empty() {
            return Err("The hostname of an endpoint for HttpPublisher is required".to_owned());
        }
        // Another part of the program may have been first; it is the same provider.
        drop(rustls::crypto::ring::default_provider().install_default());
        let timeout: f64 = address.take_number("timeout", 5.0)?;
        let timeout = Duration::try_from_secs_f64(timeout).ok().filter(|timeout| !timeout.is_zero());
        let timeout = timeout.ok_or("timeout is no time to wait")?;
        let max_retries = address.take_number("max_retries", 2)?;
        let builder = reqwest::Client::builder()
            .user_agent(concat!("nephometer/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .retry(reqwest::retry::never())
            .timeout(timeout);
        let client = tls(builder, address)?.build().map_err(|error| format!("TLS: {}", chain(&error)))?;
        let scheme = if secure { "https" } else { "http" };
        let mut url = Url::parse(&format!("{scheme}://{}{}", address.authority(), address.path))
            .map_err(|error| format!("it is no address: {error}"))?;
        if address.rest().next().is_some() {
            url.query_pairs_mut().extend_pairs(address.rest());
        }
        let user = address.user.clone().map(|user| (user, address.password.clone()));
        let content_type = HeaderValue::from_static(content_type);
        Ok(Self { client, url, user, content_type, max_retries })
    }

    /// The receiver's address with more steps at the end of its path.
    pub(super) fn below(&self, steps: &[&str]) -> Url {
        let mut url = self.url.clone();
        if let Ok(mut path) = url.path_segments_mut() {
            path.pop_if_empty().extend(steps);
        }
        url
    }

    /// Where samples go.
    pub(super) fn url(&self) -> &Url {
        &self.url
    }

    /// Posts a body; what the receiver says to it where it takes it. Connections that do not come about are tried again.
    pub(super) async fn post(
        &self,
        url: &Url,
        body: impl Into<bytes::Bytes>,
    ) -> Result<bytes::Bytes, PublishError> {
        let body = body.into();
        let mut retries = 0;
        loop {
            let mut request = self.client.post(url.clone()).header(CONTENT_TYPE, self.content_type.clone());
            if let Some((user, password)) = &self.user {
                request = request.basic_auth(user, password.as_ref().map(Secret::expose));
            }
            match request.body(body.clone()).send().await {
                Ok(response) => return judge(response).await,
                Err(error) if error.is_connect() && retries < self.max_retries => retries += 1,
                Err(error) => return Err(PublishError::Later(chain(&error.without_url()))),
            }
        }
    }
}

/// What an answer means: statuses that speak of the body are for good, others may pass or be mended.
async fn judge(mut response: reqwest::Response) -> Result<bytes::Bytes, PublishError> {
    let status = response.status();
    let mut body = bytes::BytesMut::new();
    while let Ok(Some(chunk)) = response.chunk().await {
        if body.len() + chunk.len() > MAX_ANSWER_BYTES {
            break;
        }
        body.extend_from_slice(&chunk);
    }
    if status.is_success() {
        return Ok(body.freeze());
    }
    let words: String = String::from_utf8_lossy(&body).chars().take(MAX_WORDS).collect();
    let words = words.split_whitespace().collect::<Vec<_>>().join(" ");
    let reason = format!("it was answered with {status}: {words}");
    match status {
        StatusCode::BAD_REQUEST
        | StatusCode::PAYLOAD_TOO_LARGE
        | StatusCode::UNSUPPORTED_MEDIA_TYPE
        | StatusCode::UNPROCESSABLE_ENTITY => Err(PublishError::Refused(reason)),
        _ => Err(PublishError::Later(reason)),
    }
}

/// Trust and the client's certificate as the address says.
fn tls(builder: reqwest::ClientBuilder, address: &mut Address) -> Result<reqwest::ClientBuilder, String> {
    let read = |path: &str| std::fs::read(path).map_err(|error| format!("{path}: {error}"));
    let verify = address.take("verify_ssl").unwrap_or_default();
    let mut builder = match verify.to_ascii_lowercase().as_str() {
        "" | "true" | "t" | "1" | "yes" | "y" | "on" => builder,
        "false" | "f" | "0" | "no" | "n" | "off" => builder.tls_danger_accept_invalid_certs(true),
        _ => {
            let authorities = Certificate::from_pem_bundle(&read(&verify)?).ok();
            let authorities = authorities.filter(|found| !found.is_empty());
            builder.tls_certs_only(
                authorities.ok_or_else(|| format!("{verify} holds no certificate in PEM form"))?,
            )
        }
    };
    let key = address.take("clientkey");
    if let Some(certificate) = address.take("clientcert") {
        let mut pem = read(&certificate)?;
        if let Some(key) = key {
            pem.push(b'\n');
            pem.extend(read(&key)?);
        }
        let wrong = |_| format!("{certificate}, with clientkey, is no certificate and key in PEM form");
        builder = builder.identity(Identity::from_pem(&pem).map_err(wrong)?);
    }
    Ok(builder)
}

/// An error and its causes, each said once.
fn chain(error: &reqwest::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text.extend([": ", &more]);
        }
        cause = error.source();
    }
    text
}
