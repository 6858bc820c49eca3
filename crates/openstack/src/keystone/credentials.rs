//! Who signs in and to what: the methods and scopes of Keystone's v3 API as types, and the request that they make.

use std::fmt;

use nephometer_model::Secret;
use serde_json::{Value, json};

/// A domain by id or by name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum DomainRef {
    /// By id.
    Id(String),
    /// By name.
    Name(String),
}

/// A user, project or application credential by id, or by name within its owner.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum NamedIn<Owner> {
    /// By id.
    Id(String),
    /// By name.
    Name {
        /// Its name.
        name: String,
        /// In which the name is unique.
        owner: Owner,
    },
}

/// A user.
pub type UserRef = NamedIn<DomainRef>;
/// A project.
pub type ProjectRef = NamedIn<DomainRef>;
/// An application credential, whose name is unique within its user.
pub type ApplicationCredentialRef = NamedIn<UserRef>;

/// How to prove who one is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum SignIn {
    /// By password.
    Password {
        /// Who.
        user: UserRef,
        /// The password.
        password: Secret,
    },
    /// By application credential, which also fixes the project.
    ApplicationCredential {
        /// Which.
        credential: ApplicationCredentialRef,
        /// Its secret.
        secret: Secret,
    },
    /// By a token of the same user, to get one of another scope. The new one ends when the given one does.
    Token {
        /// The token.
        token: Secret,
    },
}

/// What a token is good for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Scope {
    /// What Keystone chooses: the application credential's project, the user's default project, or none.
    Default,
    /// Nothing: to find out what one may choose from.
    Unscoped,
    /// A project.
    Project(ProjectRef),
    /// A domain.
    Domain(DomainRef),
    /// The whole system.
    System,
    /// What a trust allows in the trustor's project.
    Trust(String),
}

/// Everything that Keystone asks for a token.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Credentials {
    /// How to prove who one is.
    pub sign_in: SignIn,
    /// What the token is to be good for.
    pub scope: Scope,
}

impl Credentials {
    /// The body of `POST /v3/auth/tokens`.
    pub(super) fn body(&self) -> Value {
        let (method, proof) = match &self.sign_in {
            SignIn::Password { user, password } => {
                let mut user = user.json();
                user["password"] = json!(password.expose());
                ("password", json!({ "user": user }))
            }
            SignIn::ApplicationCredential { credential, secret } => {
                let mut proof = credential.json();
                proof["secret"] = json!(secret.expose());
                ("application_credential", proof)
            }
            SignIn::Token { token } => ("token", json!({ "id": token.expose() })),
        };
        let mut identity = json!({ "methods": [method] });
        identity[method] = proof;
        let mut auth = json!({ "identity": identity });
        if let Some(scope) = self.scope.json() {
            auth["scope"] = scope;
        }
        json!({ "auth": auth })
    }

    /// The secrets within, to be kept out of messages.
    pub(super) fn secret(&self) -> &Secret {
        match &self.sign_in {
            SignIn::Password { password: secret, .. }
            | SignIn::ApplicationCredential { secret, .. }
            | SignIn::Token { token: secret } => secret,
        }
    }
}

/// Who signs in, for people: `user nephometer of domain Default`.
impl fmt::Display for Credentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.sign_in {
            SignIn::Password { user, .. } => write!(f, "user {user}")?,
            SignIn::ApplicationCredential { credential, .. } => {
                write!(f, "application credential {credential}")?;
            }
            SignIn::Token { .. } => f.write_str("the owner of the given token")?,
        }
        match &self.scope {
            Scope::Default => Ok(()),
            Scope::Unscoped => f.write_str(" without a scope"),
            Scope::Project(project) => write!(f, " to project {project}"),
            Scope::Domain(domain) => write!(f, " to {domain}"),
            Scope::System => f.write_str(" to the system"),
            Scope::Trust(id) => write!(f, " by trust {id}"),
        }
    }
}

impl fmt::Display for DomainRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (Self::Id(text) | Self::Name(text)) = self;
        write!(f, "domain {text}")
    }
}

impl<Owner: fmt::Display> fmt::Display for NamedIn<Owner> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Id(id) => f.write_str(id),
            Self::Name { name, owner } => write!(f, "{name} of {owner}"),
        }
    }
}

impl DomainRef {
    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name(name) => json!({ "name": name }),
        }
    }
}

impl NamedIn<DomainRef> {
    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name { name, owner } => json!({ "name": name, "domain": owner.json() }),
        }
    }
}

impl ApplicationCredentialRef {
    fn json(&self) -> Value {
        match self {
            Self::Id(id) => json!({ "id": id }),
            Self::Name { name, owner } => json!({ "name": name, "user": owner.json() }),
        }
    }
}

impl Scope {
    fn json(&self) -> Option<Value> {
        Some(match self {
            Self::Default => return None,
            Self::Unscoped => json!("unscoped"),
            Self::Project(project) => json!({ "project": project.json() }),
            Self::Domain(domain) => json!({ "domain": domain.json() }),
            Self::System => json!({ "system": { "all": true } }),
            Self::Trust(id) => json!({ "OS-TRUST:trust": { "id": id } }),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn default_domain() -> DomainRef {
        DomainRef::Name("Default".to_owned())
    }

    fn named(name: &str) -> UserRef {
        NamedIn::Name { name: name.to_owned(), owner: default_domain() }
    }

    #[test]
    fn bodies_are_what_keystone_documents() {
        let password = SignIn::Password { user: named("gnocchi"), password: Secret::new("hush") };
        let user = json!({ "name": "gnocchi", "domain": { "name": "Default" }, "password": "hush" });
        let identity = json!({ "methods": ["password"], "password": { "user": user } });
        for (scope, expected) in [
            (Scope::Default, None),
            (Scope::Unscoped, Some(json!("unscoped"))),
            (Scope::Project(NamedIn::Id("p".to_owned())), Some(json!({ "project": { "id": "p" } }))),
            (
                Scope::Project(named("service")),
                Some(json!({ "project": { "name": "service", "domain": { "name": "Default" } } })),
            ),
            (Scope::Domain(DomainRef::Id("d".to_owned())), Some(json!({ "domain": { "id": "d" } }))),
            (Scope::System, Some(json!({ "system": { "all": true } }))),
            (Scope::Trust("t".to_owned()), Some(json!({ "OS-TRUST:trust": { "id": "t" } }))),
        ] {
            let mut auth = json!({ "identity": identity });
            if let Some(expected) = expected {
                auth["scope"] = expected;
            }
            let credentials = Credentials { sign_in: password.clone(), scope };
            assert_eq!(credentials.body(), json!({ "auth": auth }));
            assert!(!format!("{credentials} {credentials:?}").contains("hush"));
        }
    }

    #[test]
    fn other_ways_to_sign_in() {
        let body = |sign_in| Credentials { sign_in, scope: Scope::Default }.body();
        let secret = Secret::new("hush");
        let by_name = NamedIn::Name { name: "meter".to_owned(), owner: named("gnocchi") };
        let user = json!({ "name": "gnocchi", "domain": { "name": "Default" } });
        assert_eq!(
            body(SignIn::ApplicationCredential { credential: by_name, secret: secret.clone() }),
            json!({ "auth": { "identity": { "methods": ["application_credential"],
                "application_credential": { "name": "meter", "user": user, "secret": "hush" } } } })
        );
        assert_eq!(
            body(SignIn::Token { token: secret }),
            json!({ "auth": { "identity": { "methods": ["token"], "token": { "id": "hush" } } } })
        );
    }
}
