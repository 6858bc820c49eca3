//! How refusals of the service and of the machinery become statuses and `error_message` objects.

use axum::response::Response;
use http::StatusCode;
use http::header::{self, HeaderName, HeaderValue};
use nephometer_alarm::definition::DefinitionError;
use nephometer_alarm::query::QueryError;
use nephometer_alarm::service::AlarmError;
use nephometer_drivers::AuthError;
use serde_json::{Value, json};

use crate::http::answer::json_answer;
use crate::http::body::BodyError;
use crate::http::dialect::Refused;
use crate::http::sign_in::{NO_IDENTITY_SERVICE, SIGN_IN, challenge, openstack_form};
use crate::limits::{EntryError, LimitError};

/// Seconds after which a client may try again where nothing better is known.
const RETRY_AFTER_SECONDS: u32 = 1;

/// An answer that is not a success.
#[derive(Debug, Clone, PartialEq)]
pub struct ApiError {
    pub(super) status: StatusCode,
    /// Upstream's `faultstring`.
    pub(super) text: String,
    headers: Vec<(HeaderName, HeaderValue)>,
    /// Whether the body is OpenStack's `{"error": …}`, as of what stands before upstream.
    is_openstack_form: bool,
}

impl ApiError {
    /// An error with a text.
    pub(super) fn new(status: StatusCode, text: impl Into<String>) -> Self {
        Self { status, text: text.into(), headers: Vec::new(), is_openstack_form: false }
    }

    /// 400.
    pub(super) fn bad_request(text: impl Into<String>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    /// 400 for parameters that the route does not know.
    pub(super) fn unknown_argument(names: &str) -> Self {
        Self::bad_request(format!("Unknown argument: \"{names}\""))
    }

    /// 400 for a body or parameter that must be there.
    pub(super) fn missing_argument(name: &str) -> Self {
        Self::bad_request(format!("Missing argument: \"{name}\""))
    }

    /// 500; the reason goes to the log and not to the client.
    fn internal(reason: &dyn std::fmt::Display) -> Self {
        tracing::error!(%reason, "a request failed");
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "Internal server error")
    }

    /// 503 with the time to wait.
    fn unavailable(text: impl Into<String>) -> Self {
        Self::new(StatusCode::SERVICE_UNAVAILABLE, text).retry_after(RETRY_AFTER_SECONDS)
    }

    fn retry_after(self, seconds: u32) -> Self {
        self.with_header(header::RETRY_AFTER, Some(HeaderValue::from(seconds)))
    }

    fn with_header(mut self, name: HeaderName, value: Option<HeaderValue>) -> Self {
        self.headers.extend(value.map(|value| (name, value)));
        self
    }

    /// A refusal of the front. Upstream's router gives a text where its own clients expect an object: here it is one.
    pub(super) fn of_front(refused: Refused) -> Self {
        match refused {
            Refused::NotFound => Self::new(StatusCode::NOT_FOUND, "The resource could not be found."),
            Refused::WrongVerb { allow } => {
                Self::new(StatusCode::METHOD_NOT_ALLOWED, "The method is not allowed for this resource.")
                    .with_header(header::ALLOW, allow)
            }
            Refused::NotAcceptable => {
                Self::new(StatusCode::NOT_ACCEPTABLE, "The API answers in application/json only.")
            }
            Refused::NulInQuery => Self::bad_request("NUL characters are not supported"),
            Refused::Panicked => Self::internal(&"its handler panicked"),
            Refused::TimedOut => Self::unavailable("The request took too long"),
        }
    }

    /// The answer.
    pub(super) fn render(self) -> Response {
        let body = if self.is_openstack_form {
            let title = self.status.canonical_reason().unwrap_or("Error");
            openstack_form(self.status.as_u16(), title, &Value::from(self.text))
        } else {
            let fault = if self.status.is_server_error() { "Server" } else { "Client" };
            let message = json!({"faultcode": fault, "faultstring": self.text, "debuginfo": null});
            json!({ "error_message": message })
        };
        let mut response = json_answer(self.status, &body);
        response.headers_mut().extend(self.headers);
        response
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        Self::bad_request(error.to_string())
    }
}

impl From<AlarmError> for ApiError {
    fn from(error: AlarmError) -> Self {
        let status = match &error {
            AlarmError::Definition(DefinitionError::Invalid(_)) | AlarmError::Query(_) => {
                StatusCode::BAD_REQUEST
            }
            // Upstream says "unauthorized" where others say "forbidden"; its clients count on it.
            AlarmError::Definition(DefinitionError::ActionNotAllowed(_))
            | AlarmError::NotAuthorized { .. } => StatusCode::UNAUTHORIZED,
            AlarmError::NoSuchAlarm(_) => StatusCode::NOT_FOUND,
            AlarmError::Forbidden
            | AlarmError::QuotaExceeded { .. }
            | AlarmError::TooManySilences(_)
            | AlarmError::NoCounters => StatusCode::FORBIDDEN,
            AlarmError::Refused { status, .. } => {
                StatusCode::from_u16(*status).unwrap_or(StatusCode::BAD_REQUEST)
            }
            AlarmError::Unavailable(text) => return Self::unavailable(text.clone()),
            AlarmError::Store(_) => return Self::internal(&error),
        };
        Self::new(status, error.to_string())
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

impl From<EntryError> for ApiError {
    fn from(error: EntryError) -> Self {
        match error {
            EntryError::Auth(error) => error.into(),
            EntryError::Limit(error) => error.into(),
        }
    }
}

impl From<AuthError> for ApiError {
    fn from(error: AuthError) -> Self {
        let challenge = challenge(&error);
        let refused = match error {
            AuthError::Unauthenticated { .. } | AuthError::NotSignedIn { .. } => {
                Self { is_openstack_form: true, ..Self::new(StatusCode::UNAUTHORIZED, SIGN_IN) }
            }
            AuthError::Unavailable(reason) => {
                tracing::debug!(%reason, "identities cannot be checked");
                Self::unavailable(NO_IDENTITY_SERVICE)
            }
        };
        refused.with_header(header::WWW_AUTHENTICATE, challenge)
    }
}

impl From<LimitError> for ApiError {
    fn from(error: LimitError) -> Self {
        match error.retry_after_seconds() {
            Some(seconds) => Self::new(StatusCode::TOO_MANY_REQUESTS, error.to_string()).retry_after(seconds),
            None => Self::new(StatusCode::PAYLOAD_TOO_LARGE, error.to_string()),
        }
    }
}
