//! Reading the cloud's services over their REST APIs, without knowing how one signs in to them.

use std::time::Duration;

use async_trait::async_trait;
use bytes::Bytes;
use http::HeaderMap;

/// How something is asked for. Nothing is ever changed by a reader.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum CloudMethod {
    /// With the answer's body.
    #[default]
    Get,
    /// Headers alone.
    Head,
}

/// Where a call goes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum CloudTarget {
    /// A path (beginning with a slash, perhaps with a query) below the address of a service in the catalogue.
    Service {
        /// The service's type, `volumev3`.
        service_type: String,
        /// The path.
        path: String,
    },
    /// An address that a service gave, as the link to a next page: only the catalogue's own hosts are asked, because the
    /// token goes along.
    Link(String),
    /// An address that the operator wrote down: it gets the token wherever it is.
    Configured(String),
}

/// One question to a service.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CloudCall {
    /// How.
    pub method: CloudMethod,
    /// Where to.
    pub target: CloudTarget,
    /// Parameters, added to what the target's own query says.
    pub query: Vec<(String, String)>,
    /// Headers beside the token.
    pub headers: Vec<(String, String)>,
    /// How long the answer may take, if not as long as the session's other calls.
    pub timeout: Option<Duration>,
}

impl CloudCall {
    /// Asks a service of the catalogue for `path`.
    pub fn get(service_type: &str, path: &str) -> Self {
        Self::to(CloudTarget::Service { service_type: service_type.to_owned(), path: path.to_owned() })
    }

    /// Asks `target`.
    pub fn to(target: CloudTarget) -> Self {
        let method = CloudMethod::Get;
        Self { method, target, query: Vec::new(), headers: Vec::new(), timeout: None }
    }

    /// With one more parameter.
    #[must_use]
    pub fn query(mut self, name: &str, value: &str) -> Self {
        self.query.push((name.to_owned(), value.to_owned()));
        self
    }

    /// With one more header.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.headers.push((name.to_owned(), value.to_owned()));
        self
    }
}

/// An answer, whatever its status below 500.
#[derive(Debug, Clone)]
pub struct CloudAnswer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, decompressed.
    pub body: Bytes,
}

/// Why there is no answer.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CloudError {
    /// The catalogue has no such service, in the region and with the interface that are asked for.
    #[error("{0}")]
    NoService(String),
    /// Keystone does not let us in.
    #[error("{0}")]
    SignIn(String),
    /// Nobody answers, or the service is broken.
    #[error("{0}")]
    Unavailable(String),
    /// The question cannot be asked: no address, a header that cannot be one.
    #[error("{0}")]
    Invalid(String),
}

/// The cloud's services as one signed-in user sees them. Calls to one service wait for each other where they would come
/// faster than the operator allows.
#[async_trait]
pub trait CloudReader: Send + Sync {
    /// The addresses of a type of service in the catalogue, by the session's interface and region; none where it has none.
    async fn endpoints(&self, service_type: &str) -> Result<Vec<String>, CloudError>;

    /// The answer to `call`. Redirections are not followed.
    async fn call(&self, call: &CloudCall) -> Result<CloudAnswer, CloudError>;

    /// The project that the session is signed in to, if it is one.
    async fn project_id(&self) -> Result<Option<String>, CloudError>;
}
