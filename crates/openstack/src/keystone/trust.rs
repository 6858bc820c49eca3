//! Trusts: what lets a service act for a user later, when the user's token is long gone.

use http::Method;
use nephometer_model::Secret;
use serde::Deserialize;
use serde_json::json;

use super::credentials::Scope;
use super::error::KeystoneError;
use super::session::{Request, Session};

/// What a user entrusts to the session's user, without an end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewTrust {
    /// Who trusts: the owner of the token that it is made with.
    pub trustor_user_id: String,
    /// The project that it is good for.
    pub project_id: String,
    /// Names of the roles that are passed on; the trustor must have them in the project.
    pub roles: Vec<String>,
    /// Whether tokens of the trust are the trustor's (true), or the trustee's own with the trustor's roles.
    pub impersonation: bool,
}

/// A trust as Keystone keeps it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Trust {
    /// Its id.
    pub id: String,
    /// Who trusts.
    pub trustor_user_id: String,
    /// Who is trusted.
    pub trustee_user_id: String,
    /// The project that it is good for.
    #[serde(default)]
    pub project_id: Option<String>,
    /// Whether its tokens are the trustor's.
    pub impersonation: bool,
}

impl Session {
    /// Makes a trust by `trustor_token`, which must not itself come from a trust or a restricted application
    /// credential. The trustee is the session's user.
    pub async fn create_trust(&self, trustor_token: &Secret, new: &NewTrust) -> Result<Trust, KeystoneError> {
        #[derive(Deserialize)]
        struct Made {
            trust: Trust,
        }
        let trustee = self.signed_in().await?.info.user.id.clone();
        let roles: Vec<_> = new.roles.iter().map(|name| json!({ "name": name })).collect();
        let body = json!({ "trust": {
            "trustor_user_id": new.trustor_user_id,
            "trustee_user_id": trustee,
            "project_id": new.project_id,
            "impersonation": new.impersonation,
            "roles": roles,
        } });
        let request = Request::new(Method::POST, "identity", "/OS-TRUST/trusts").json(&body);
        let answer = self.request_as(trustor_token, &request).await?;
        let made: Result<Made, _> = serde_json::from_slice(&answer.body);
        made.map(|made| made.trust)
            .map_err(|error| KeystoneError::malformed(&self.config.auth_url, error.to_string()))
    }

    /// Deletes a trust by `token`, which is the trustor's or, where it impersonates, the trust's own. One that is gone
    /// already is as good as deleted.
    pub async fn delete_trust(&self, token: &Secret, id: &str) -> Result<(), KeystoneError> {
        let request = Request::new(Method::DELETE, "identity", &format!("/OS-TRUST/trusts/{}", segment(id)));
        match self.request_as(token, &request).await {
            Err(KeystoneError::Refused { status, .. }) if status == http::StatusCode::NOT_FOUND => Ok(()),
            outcome => outcome.map(drop),
        }
    }

    /// A session of the same user that acts by the trust `id`.
    pub fn by_trust(&self, id: &str) -> Self {
        self.with_scope(Scope::Trust(id.to_owned()))
    }
}

/// `text` as one segment of a path, whatever characters it has.
pub(crate) fn segment(text: &str) -> String {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    text.bytes()
        .map(|byte| if plain(byte) { char::from(byte).to_string() } else { format!("%{byte:02X}") })
        .collect()
}
