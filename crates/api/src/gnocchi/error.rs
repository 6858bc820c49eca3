//! How refusals of the service, of the checks of bodies and of the machinery become statuses and details.

use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use nephometer_drivers::{AuthError, IndexError, StoreError};
use nephometer_metric::query::QueryError;
use nephometer_metric::{InvalidInput, MetricError};
use serde_json::{Value, json};

use crate::http::body::BodyError;
use crate::http::query::Repeated;
use crate::http::sign_in::{NO_IDENTITY_SERVICE, SIGN_IN, challenge};
use crate::limits::{EntryError, LimitError};

/// Seconds after which a client may try again where nothing better is known.
const RETRY_AFTER_SECONDS: u32 = 1;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub(super) status: StatusCode,
    /// Upstream's `description`: text or object; empty text where there is nothing to say, null where no handler ran.
    pub(super) detail: Value,
    pub(super) headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the body is OpenStack's `{"error": …}`, whatever the client accepts, as of what stands before upstream.
    pub(super) is_openstack_form: bool,
}

impl ApiError {
    /// An error with a text or an object as detail.
    pub(super) fn new(status: StatusCode, detail: impl Into<Value>) -> Self {
        Self { status, detail: detail.into(), headers: Vec::new(), is_openstack_form: false }
    }

    fn in_openstack_form(self) -> Self {
        Self { is_openstack_form: true, ..self }
    }

    /// 400.
    pub(super) fn bad_request(detail: impl Into<Value>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, detail)
    }

    /// 404.
    pub(super) fn not_found(detail: impl Into<Value>) -> Self {
        Self::new(StatusCode::NOT_FOUND, detail)
    }

    /// 400 for a query parameter.
    pub(super) fn argument(parameter: &str, reason: &str) -> Self {
        Self::bad_request(json!({"cause": "Argument value error", "detail": parameter, "reason": reason}))
    }

    /// 415.
    pub(super) fn media_type() -> Self {
        Self::new(StatusCode::UNSUPPORTED_MEDIA_TYPE, "")
    }

    /// 500; the reason goes to the log and not to the client.
    pub(super) fn internal(reason: &dyn std::fmt::Display) -> Self {
        tracing::error!(%reason, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "")
    }

    /// 503 with the time to wait.
    pub(super) fn unavailable(detail: impl Into<Value>, retry_after_seconds: u32) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, detail)
            .with_header(header::RETRY_AFTER, HeaderValue::from(retry_after_seconds))
    }

    pub(super) fn with_header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.push((name, value));
        self
    }
}

impl From<InvalidInput> for ApiError {
    fn from(invalid: InvalidInput) -> Self {
        Self::bad_request(json!({
            "cause": "Invalid input",
            "reason": invalid.to_string(),
            "detail": invalid.detail(),
        }))
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        match error {
            QueryError::Invalid(invalid) => invalid.into(),
            QueryError::Syntax(_) => Self::bad_request(error.to_string()),
        }
    }
}

impl From<Repeated> for ApiError {
    fn from(Repeated(parameter): Repeated) -> Self {
        Self::argument(&parameter, "Must be given once")
    }
}

impl From<BodyError> for ApiError {
    fn from(error: BodyError) -> Self {
        let status = match &error {
            BodyError::TooLarge { .. } => StatusCode::PAYLOAD_TOO_LARGE,
            BodyError::Timeout => StatusCode::REQUEST_TIMEOUT,
            BodyError::Encoding(_) => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            BodyError::Broken(_) => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let challenge = challenge(&error);
        let refused = match error {
            AuthError::Unauthenticated { .. } => Self::new(StatusCode::UNAUTHORIZED, ""),
            AuthError::NotSignedIn { .. } => Self::new(StatusCode::UNAUTHORIZED, SIGN_IN).in_openstack_form(),
            AuthError::Unavailable(reason) => {
                tracing::debug!(%reason, "identities cannot be checked");
                Self::unavailable(NO_IDENTITY_SERVICE, RETRY_AFTER_SECONDS)
            }
        };
        match challenge {
            Some(challenge) => refused.with_header(header::WWW_AUTHENTICATE, challenge),
            None => refused,
        }
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        match error.retry_after_seconds() {
            Some(seconds) => Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string())
                .with_header(header::RETRY_AFTER, HeaderValue::from(seconds)),
            None => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        }
    }
}

impl From<EntryError> for ApiError {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Auth(error) => error.into(),
            EntryError::Limit(error) => error.into(),
        }
    }
}

impl From<IndexError> for ApiError {
    fn from(error: IndexError) -> Self {
        use IndexError::{
            ArchivePolicyAlreadyExists, ArchivePolicyRuleAlreadyExists, Changed, Internal,
            NamedMetricAlreadyExists, NoSuchArchivePolicy, NoSuchArchivePolicyRule, NoSuchMetric,
            NoSuchResource, NoSuchResourceType, ResourceAlreadyExists, ResourceTypeAlreadyExists,
            Unavailable,
        };
        let status = match &error {
            NoSuchMetric(_)
            | NoSuchResource(_)
            | NoSuchResourceType(_)
            | NoSuchArchivePolicy(_)
            | NoSuchArchivePolicyRule(_) => StatusCode::NOT_FOUND,
            ArchivePolicyAlreadyExists(_)
            | ArchivePolicyRuleAlreadyExists(_)
            | ResourceAlreadyExists(_)
            | ResourceTypeAlreadyExists(_)
            | NamedMetricAlreadyExists(_) => StatusCode::CONFLICT,
            Changed => return Self::new(StatusCode::PRECONDITION_FAILED, ""),
            Unavailable(_) => return Self::unavailable(error.to_string(), RETRY_AFTER_SECONDS),
            Internal(_) => return Self::internal(&error),
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string())
    }
}

impl From<StoreError> for ApiError {
    fn from(error: StoreError) -> Self {
        match &error {
            StoreError::Busy { retry_after_seconds, .. } => {
                Self::unavailable(error.to_string(), *retry_after_seconds)
            }
            StoreError::Closed(_) => Self::unavailable(error.to_string(), RETRY_AFTER_SECONDS),
            StoreError::Io(_) => Self::internal(&error),
        }
    }
}

impl From<MetricError> for ApiError {
    fn from(error: MetricError) -> Self {
        let text = error.to_string();
        match error {
            MetricError::Index(error) => error.into(),
            MetricError::Store(error) => error.into(),
            MetricError::Forbidden(_) => Self::new(StatusCode::FORBIDDEN, text),
            MetricError::NoSuchMetric(_) | MetricError::NoSuchResource(_) => Self::not_found(text),
            MetricError::RulePolicy(name) => {
                Self::bad_request(json!({"cause": "Archive policy does not exist", "detail": name}))
            }
            MetricError::NamedMetricTaken(name) => {
                Self::bad_request(json!({"cause": "Named metric already exists", "detail": name}))
            }
            MetricError::MetricNeedsName => {
                Self::bad_request(json!({"cause": "Attribute value error", "detail": "name", "reason": text}))
            }
            MetricError::Measure(error) => error.into(),
            MetricError::UnknownMethod { .. }
            | MetricError::Reference(_)
            | MetricError::Policy(_)
            | MetricError::PolicyChange { .. }
            | MetricError::RuleChange { .. }
            | MetricError::NoRuleMatches(_)
            | MetricError::SlashInMetricName
            | MetricError::EndBeforeStart
            | MetricError::ResourceType(_)
            | MetricError::ResourceTypeChange(_)
            | MetricError::EmptyDeleteFilter => Self::bad_request(text),
        }
    }
}
