//! Who asks and whether they may: authentication and policy decisions behind two contracts, and the two ways of
//! signing in that need no other service.

use std::collections::BTreeSet;

use async_trait::async_trait;
use base64::Engine as _;
use http::{HeaderMap, header};
use nephometer_model::{Identity, PolicyTarget};

/// Why nobody could be recognised.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AuthError {
    /// No usable credentials: 401, with the challenge that belongs into `WWW-Authenticate`, if any.
    #[error("authentication required")]
    Unauthenticated {
        /// Value of `WWW-Authenticate`.
        challenge: Option<String>,
    },
    /// Keystone does not vouch for the caller: 401 that says where to sign in, in keystonemiddleware's words.
    #[error("a valid Keystone token is required")]
    NotSignedIn {
        /// Keystone's public address.
        keystone_uri: String,
    },
    /// The service that knows identities does not answer: 503.
    #[error("identity service unavailable: {0}")]
    Unavailable(String),
}

/// Recognises the sender of a request by its headers.
#[async_trait]
pub trait Authenticator: Send + Sync {
    /// The identity behind `headers`.
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError>;
}

/// Decides by named rules (upstream's names: `get metric`, `create resource`, …).
pub trait PolicyEnforcer: Send + Sync {
    /// Whether `identity` may do what `rule` guards to `target`; an unknown rule refuses.
    fn allows(&self, rule: &str, target: &PolicyTarget, identity: &Identity) -> bool;

    /// The attributes of targets that a decision by `rule` can depend on, so that callers need not gather others and
    /// may decide alike for targets that share them; nothing where that is not known.
    fn attributes(&self, rule: &str) -> Option<BTreeSet<String>> {
        let _ = rule;
        None
    }
}

/// Identity of a user known by name only, as upstream's basic and remoteuser modes have it: `admin` is the
/// administrator, rows are not filtered.
fn named_user(name: &str) -> Identity {
    Identity {
        creator: Some(name.to_owned()),
        user: Some(name.to_owned()),
        roles: if name == "admin" { vec!["admin".to_owned()] } else { Vec::new() },
        system_scope: Some("all".to_owned()),
        ..Identity::default()
    }
}

/// `Authorization: basic base64(user:password)`; the password does not matter. For loopback and for trusted proxies.
#[derive(Debug, Clone, Copy, Default)]
pub struct BasicAuthenticator;

#[async_trait]
impl Authenticator for BasicAuthenticator {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let refused = AuthError::Unauthenticated { challenge: None };
        let value = headers.get(header::AUTHORIZATION).ok_or_else(|| refused.clone())?;
        let text = value.to_str().map_err(|_| refused.clone())?;
        let (scheme, token) = text.split_once(' ').unwrap_or((text, ""));
        if !scheme.eq_ignore_ascii_case("basic") {
            return Err(refused);
        }
        let bytes =
            base64::engine::general_purpose::STANDARD.decode(token.trim()).map_err(|_| refused.clone())?;
        let pair = String::from_utf8(bytes).map_err(|_| refused)?;
        Ok(named_user(pair.split(':').next().unwrap_or_default()))
    }
}

/// The user that a trusted front end has recognised, in a header of its choice (usually `REMOTE_USER` as
/// `X-Remote-User`).
#[derive(Debug, Clone)]
pub struct RemoteUserAuthenticator {
    header: http::HeaderName,
}

impl RemoteUserAuthenticator {
    /// Trusts `header`.
    pub fn new(header: http::HeaderName) -> Self {
        Self { header }
    }
}

#[async_trait]
impl Authenticator for RemoteUserAuthenticator {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let user =
            headers.get(&self.header).and_then(|value| value.to_str().ok()).filter(|user| !user.is_empty());
        user.map(named_user).ok_or(AuthError::Unauthenticated { challenge: None })
    }
}

/// Who a request says it comes from, believed: `X-User-Id`, `X-Project-Id`, and `X-Roles` with commas between. For
/// loopback and for front ends that set these headers themselves. Without them the caller is nobody.
#[derive(Debug, Clone, Copy, Default)]
pub struct ClaimedIdentityAuthenticator;

#[async_trait]
impl Authenticator for ClaimedIdentityAuthenticator {
    async fn authenticate(&self, headers: &HeaderMap) -> Result<Identity, AuthError> {
        let text = |name: &str| {
            let value = headers.get(name).and_then(|value| value.to_str().ok()).map(str::trim);
            value.filter(|text| !text.is_empty()).map(str::to_owned)
        };
        let (user_id, project_id) = (text("x-user-id"), text("x-project-id"));
        let roles = text("x-roles").unwrap_or_default();
        let roles = roles.split(',').map(str::trim).filter(|role| !role.is_empty()).map(str::to_owned);
        let creator = [&user_id, &project_id].map(|id| id.as_deref().unwrap_or_default()).join(":");
        Ok(Identity {
            creator: Some(creator),
            roles: roles.collect(),
            user_id,
            project_id,
            filters_rows: true,
            ..Identity::default()
        })
    }
}
