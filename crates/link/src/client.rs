//! The end that decides alarms: readings by requests, and news as long as the other end can be reached.

mod news;

use std::path::{Path, PathBuf};
use std::time::Duration;

use async_trait::async_trait;
use bytes::{Bytes, BytesMut};
use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, MetricReader};
use nephometer_model::{Secret, SeriesKey, with_causes};
use prost::Message;
use reqwest::{Certificate, Client, Identity, RequestBuilder, Response, Url};

use crate::wire::{self, Answers, Checked, Methods, Read, Reads, SeriesLists, WireError};

pub use news::LinkStatus;

/// A connection must come about within this.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// A request must be answered within this.
const ANSWER_TIMEOUT: Duration = Duration::from_secs(30);
/// Keep-alive connections are closed after being idle for so long: less than what the other end allows.
const IDLE: Duration = Duration::from_secs(20);
/// What of a refusal is shown.
const SHOWN_CHARACTERS: usize = 300;

/// Where the other end is, and how it knows this one.
#[derive(Debug, Clone)]
pub struct LinkSettings {
    /// `http://host:port` or `https://host:port`.
    pub url: String,
    /// What both ends know.
    pub token: Secret,
    /// A file with the certificates (PEM) of the authorities that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// A file with this end's certificate (PEM), and its key unless that is in a file of its own.
    pub cert_file: Option<PathBuf>,
    /// A file with the key (PEM) of that certificate.
    pub key_file: Option<PathBuf>,
}

/// Why there can be no link.
#[derive(Debug, thiserror::Error)]
pub enum LinkSettingsError {
    /// The address.
    #[error("`{0}` is no http:// or https:// address")]
    Url(String),
    /// A file that cannot be read, or does not hold what it should.
    #[error("{} {reason}", path.display())]
    File {
        /// Which.
        path: PathBuf,
        /// What is wrong.
        reason: String,
    },
    /// TLS cannot be set up.
    #[error("cannot set up TLS: {0}")]
    Tls(reqwest::Error),
}

/// Why the other end did not do it.
#[derive(Debug, thiserror::Error)]
enum LinkError {
    #[error("{0}")]
    Unreachable(#[from] reqwest::Error),
    #[error("{status}: {text}")]
    Refused { status: http::StatusCode, text: String },
    #[error(transparent)]
    Wire(#[from] WireError),
    #[error("nothing was heard for {} s", .0.as_secs())]
    Silent(Duration),
    #[error("the stream has ended")]
    Ended,
}

impl From<LinkError> for MetricReadError {
    fn from(error: LinkError) -> Self {
        Self::Unavailable(format!("the measure store: {}", with_causes(&error)))
    }
}

/// The link as this end has it. Nothing is asked before it is used.
pub struct Link {
    client: Client,
    url: Url,
    token: Secret,
    status: news::Counters,
}

impl Link {
    /// Reads the certificates; connects to nobody.
    ///
    /// # Errors
    /// See [`LinkSettingsError`].
    pub fn new(settings: &LinkSettings) -> Result<Self, LinkSettingsError> {
        let url = Url::parse(&settings.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        let url = url.ok_or_else(|| LinkSettingsError::Url(settings.url.clone()))?;
        let mut builder = Client::builder()
            .user_agent(concat!("nephometer/", env!("CARGO_PKG_VERSION")))
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT)
            .pool_idle_timeout(IDLE);
        // Without TLS no authority is looked for: a small container may have none.
        let pem = settings.ca_file.as_deref().map(authorities).transpose()?;
        let pem = pem.or_else(|| (url.scheme() == "http").then(Vec::new));
        if let Some(authorities) = pem {
            builder = builder.tls_certs_only(authorities);
        }
        if let Some(identity) = identity(settings)? {
            builder = builder.identity(identity);
        }
        let client = builder.build().map_err(LinkSettingsError::Tls)?;
        Ok(Self { client, url, token: settings.token.clone(), status: news::Counters::default() })
    }

    fn url(&self, path: &str) -> Url {
        let mut url = self.url.clone();
        url.set_path(path);
        url
    }

    fn with_token(&self, request: RequestBuilder) -> RequestBuilder {
        request.bearer_auth(self.token.expose())
    }

    async fn post(&self, path: &str, message: &impl Message) -> Result<Bytes, LinkError> {
        let request = self.client.post(self.url(path)).body(message.encode_to_vec());
        answered(self.with_token(request).timeout(ANSWER_TIMEOUT)).await
    }

    async fn ask_readings(
        &self,
        reads: &[MetricRead],
    ) -> Result<Vec<Result<DataPoints, MetricReadError>>, LinkError> {
        let body = self.post(wire::READ, &Reads::from(reads)).await?;
        let answers: Vec<Result<DataPoints, MetricReadError>> =
            Answers::decode(body).map_err(WireError::from)?.try_into()?;
        complete(answers, reads.len())
    }

    async fn ask_series(&self, reads: &[MetricRead]) -> Result<Vec<Option<Vec<SeriesKey>>>, LinkError> {
        let body = self.post(wire::SERIES, &Reads::from(reads)).await?;
        let lists: Vec<Option<Vec<SeriesKey>>> = SeriesLists::decode(body).map_err(WireError::from)?.into();
        complete(lists, reads.len())
    }
}

/// As many answers as there were questions.
fn complete<T>(answers: Vec<T>, wanted: usize) -> Result<Vec<T>, LinkError> {
    if answers.len() == wanted {
        return Ok(answers);
    }
    let text = format!("{} answers to {wanted} readings", answers.len());
    Err(WireError::Meaningless(text).into())
}

/// The body of an answer that is no refusal.
async fn answered(request: RequestBuilder) -> Result<Bytes, LinkError> {
    let mut response = accepted(request).await?;
    let mut body = BytesMut::new();
    while let Some(chunk) = response.chunk().await.map_err(reqwest::Error::without_url)? {
        if body.len() + chunk.len() > wire::MAX_MESSAGE_BYTES {
            return Err(WireError::Meaningless("an answer without end".to_owned()).into());
        }
        body.extend_from_slice(&chunk);
    }
    Ok(body.freeze())
}

/// The answer, unless it is a refusal.
async fn accepted(request: RequestBuilder) -> Result<Response, LinkError> {
    let response = request.send().await.map_err(reqwest::Error::without_url)?;
    let status = response.status();
    if status.is_success() {
        return Ok(response);
    }
    let text = response.text().await.unwrap_or_default().chars().take(SHOWN_CHARACTERS).collect();
    Err(LinkError::Refused { status, text })
}

fn file(path: &Path) -> Result<Vec<u8>, LinkSettingsError> {
    std::fs::read(path).map_err(|error| wrong(path, &format!("cannot be read: {error}")))
}

fn wrong(path: &Path, reason: &str) -> LinkSettingsError {
    LinkSettingsError::File { path: path.to_owned(), reason: reason.to_owned() }
}

fn authorities(path: &Path) -> Result<Vec<Certificate>, LinkSettingsError> {
    let found = Certificate::from_pem_bundle(&file(path)?).ok().filter(|found| !found.is_empty());
    found.ok_or_else(|| wrong(path, "holds no certificate in PEM form"))
}

fn identity(settings: &LinkSettings) -> Result<Option<Identity>, LinkSettingsError> {
    let Some(path) = &settings.cert_file else { return Ok(None) };
    let mut pem = file(path)?;
    if let Some(key) = &settings.key_file {
        pem.push(b'\n');
        pem.extend(file(key)?);
    }
    let identity = Identity::from_pem(&pem);
    identity.map(Some).map_err(|_| wrong(path, "is, with its key, no certificate and key in PEM form"))
}

#[async_trait]
impl MetricReader for Link {
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>> {
        match self.ask_readings(&reads).await {
            Ok(answers) => answers,
            Err(error) => {
                let error = MetricReadError::from(error);
                vec![Err(error); reads.len()]
            }
        }
    }

    async fn check(&self, read: &MetricRead) -> Result<(), MetricReadError> {
        let body = self.post(wire::CHECK, &Read::from(read)).await?;
        Checked::decode(body).map_err(|error| LinkError::from(WireError::from(error)))?.into()
    }

    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError> {
        let request = self.with_token(self.client.get(self.url(wire::METHODS))).timeout(ANSWER_TIMEOUT);
        let body = answered(request).await?;
        Methods::decode(body).map_err(|error| LinkError::from(WireError::from(error)))?.into()
    }

    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>> {
        self.ask_series(reads).await.unwrap_or_else(|error| {
            tracing::debug!(error = with_causes(&error), "nobody tells which series alarms depend on");
            vec![None; reads.len()]
        })
    }
}
