//! What an API asks Keystone about its callers' tokens.

use http::{HeaderValue, Method, StatusCode};
use nephometer_model::Secret;

use super::error::KeystoneError;
use super::session::{Request, Session, X_SUBJECT_TOKEN, accepted};
use super::token::{self, TokenInfo};

/// Longest token that is asked about, in bytes. Keystone's own are some hundreds.
const MAX_TOKEN_BYTES: usize = 8192;

/// Why a token's owner is not known.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ValidationError {
    /// Keystone does not know it, or it has ended or been revoked: its owner has to sign in.
    #[error("the token is not valid")]
    Invalid,
    /// Nothing is known about it: Keystone does not answer, or does not answer *us*. The caller is not to blame.
    #[error("tokens cannot be validated: {0}")]
    Unavailable(#[source] KeystoneError),
}

impl Session {
    /// Asks Keystone about `subject` with the session's own token, which is renewed once if Keystone no longer takes it.
    /// With `expired_too` a token that has ended lately counts as well, as a service may ask that goes on with
    /// somebody's long-running request.
    ///
    /// Tokens of application credentials with access rules are not valid here, as for every service that does not
    /// enforce such rules. One request each call: caching is the caller's.
    pub async fn validate(&self, subject: &str, expired_too: bool) -> Result<TokenInfo, ValidationError> {
        let header = HeaderValue::from_str(subject).ok();
        let header = header.filter(|value| !value.is_empty() && value.len() <= MAX_TOKEN_BYTES);
        let mut header = header.ok_or(ValidationError::Invalid)?;
        header.set_sensitive(true);
        let mut request = Request::new(Method::GET, "identity", "/auth/tokens")
            .query("nocatalog", "1")
            .header(X_SUBJECT_TOKEN, header);
        if expired_too {
            request = request.query("allow_expired", "1");
        }
        self.ask(&request).await
    }

    async fn ask(&self, request: &Request) -> Result<TokenInfo, ValidationError> {
        let (call, answer) = self.exchange(request).await.map_err(ValidationError::Unavailable)?;
        if answer.status == StatusCode::NOT_FOUND && is_openstack_error(&answer.body) {
            return Err(ValidationError::Invalid);
        }
        let url = call.url.clone();
        let answer = accepted(&call, answer).map_err(ValidationError::Unavailable)?;
        let understood = token::parse(&answer.body);
        understood.map_err(|reason| ValidationError::Unavailable(KeystoneError::malformed(&url, reason)))
    }

    /// Ends `subject` before its time, by its own right.
    pub async fn revoke(&self, subject: &Secret) -> Result<(), KeystoneError> {
        let mut header = HeaderValue::from_str(subject.expose()).map_err(|_| {
            KeystoneError::malformed(&self.config.auth_url, "what is to be revoked cannot be a token")
        })?;
        header.set_sensitive(true);
        let request =
            Request::new(Method::DELETE, "identity", "/auth/tokens").header(X_SUBJECT_TOKEN, header);
        self.request_as(subject, &request).await.map(drop)
    }
}

/// Whether Keystone itself says it, rather than a web server that knows no such page.
fn is_openstack_error(body: &[u8]) -> bool {
    let json: Option<serde_json::Value> = serde_json::from_slice(body).ok();
    json.is_some_and(|json| json.get("error").is_some())
}
