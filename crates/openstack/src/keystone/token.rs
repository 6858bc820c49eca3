//! What Keystone says about a token: who, where, with which roles, until when.

use nephometer_model::Timestamp;
use nephometer_model::time::IsoReader;
use serde::{Deserialize, Deserializer};

/// Id and name of a domain or role.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Named {
    /// Keystone's id.
    pub id: String,
    /// Its name; empty where Keystone gives none.
    #[serde(default)]
    pub name: String,
}

/// A user or project with its domain.
#[derive(Debug, Clone, PartialEq, Eq, Default, Deserialize)]
pub struct Owned {
    /// Keystone's id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// The domain that it belongs to.
    #[serde(default)]
    pub domain: Named,
}

/// The trust that a token was made from.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TrustInfo {
    /// The trust's id.
    pub id: String,
    /// Whether the token's user is the trustor.
    #[serde(default)]
    pub impersonation: bool,
    /// Who was trusted.
    pub trustee_user: UserId,
    /// Who trusts.
    pub trustor_user: UserId,
}

/// A user named by id alone.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct UserId {
    /// Keystone's id.
    pub id: String,
}

/// The application credential that a token was made with.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct ApplicationCredentialInfo {
    /// Its id.
    pub id: String,
    /// Its name.
    #[serde(default)]
    pub name: String,
    /// Whether it may not manage trusts and application credentials.
    #[serde(default)]
    pub restricted: bool,
}

/// A token as Keystone's v3 API describes it (`GET /v3/auth/tokens`, without the catalogue).
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct TokenInfo {
    /// Whose token it is; with an impersonating trust the trustor.
    pub user: Owned,
    /// The project that it is scoped to.
    #[serde(default)]
    pub project: Option<Owned>,
    /// The domain that it is scoped to.
    #[serde(default)]
    pub domain: Option<Named>,
    /// Whether it is scoped to the whole system.
    #[serde(default, rename = "system", deserialize_with = "system_all")]
    pub system_all: bool,
    /// Whether the project acts as a domain.
    #[serde(default)]
    pub is_domain: bool,
    /// Whether the project is the deployment's admin project; true where Keystone does not say, as it does unless an
    /// admin project is configured.
    #[serde(default = "yes")]
    pub is_admin_project: bool,
    /// The roles within the scope, implied ones included; none in an unscoped token.
    #[serde(default)]
    pub roles: Vec<Named>,
    /// From then on Keystone refuses it.
    #[serde(deserialize_with = "point_in_time")]
    pub expires_at: Timestamp,
    /// When it was made.
    #[serde(deserialize_with = "point_in_time")]
    pub issued_at: Timestamp,
    /// How the user signed in: `password`, `token`, `application_credential`, …
    #[serde(default)]
    pub methods: Vec<String>,
    /// Names of the token in audit trails: its own, then that of the first in its chain. Not secret.
    #[serde(default)]
    pub audit_ids: Vec<String>,
    /// The trust, in a token made from one.
    #[serde(default, rename = "OS-TRUST:trust")]
    pub trust: Option<TrustInfo>,
    /// The application credential, in a token made with one.
    #[serde(default)]
    pub application_credential: Option<ApplicationCredentialInfo>,
}

impl TokenInfo {
    /// Whether it has the role `name`; Keystone's role names do not depend on case.
    pub fn has_role(&self, name: &str) -> bool {
        self.roles.iter().any(|role| role.name.eq_ignore_ascii_case(name))
    }
}

fn yes() -> bool {
    true
}

fn system_all<'de, D: Deserializer<'de>>(deserializer: D) -> Result<bool, D::Error> {
    #[derive(Deserialize)]
    struct System {
        #[serde(default)]
        all: bool,
    }
    Ok(Option::<System>::deserialize(deserializer)?.is_some_and(|system| system.all))
}

fn point_in_time<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Timestamp, D::Error> {
    let text = String::deserialize(deserializer)?;
    let ns = IsoReader::new().read_ns(text.as_bytes());
    ns.map(Timestamp::from_ns).ok_or_else(|| serde::de::Error::custom("expected a point in time in ISO 8601"))
}

/// The `token` of an answer, as `T` sees it. A failure tells where, and repeats nothing: nobody knows what the answer holds.
pub(super) fn parse<'de, T: Deserialize<'de>>(body: &'de [u8]) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Answer<T> {
        token: T,
    }
    serde_json::from_slice::<Answer<T>>(body).map(|answer| answer.token).map_err(|error| {
        format!("it is no description of a token (line {}, column {})", error.line(), error.column())
    })
}

#[cfg(test)]
mod tests;
