//! Sections such as `[keystone_authtoken]`: upstream's options by upstream's names, checked all at once, turned into a
//! [`SessionConfig`].

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nephometer_model::Secret;
use reqwest::Url;
use serde::{Deserialize, Serialize};

use super::catalog::Interface;
use super::credentials::{
    ApplicationCredentialRef, Credentials, DomainRef, NamedIn, ProjectRef, Scope, SignIn, UserRef,
};
use super::error::{KeystoneError, Problem};
use super::http::HttpOptions;
use super::session::SessionConfig;

/// How to sign in to Keystone and how to reach it. The names are those of keystoneauth's options. An empty text means
/// "not set"; a secret can stand in a file of its own instead, named by the option with `_file` at its end, whose
/// trailing line ends do not count.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct KeystoneSettings {
    /// `password`, `v3applicationcredential` or `token` (`v3password` and `v3token` are the same).
    pub auth_type: String,
    /// Keystone's address, with or without `/v3`.
    pub auth_url: String,
    /// The user's name; needs its domain.
    pub username: String,
    /// The user's id, instead of name and domain.
    pub user_id: String,
    /// The password.
    pub password: Secret,
    /// A file that holds the password.
    pub password_file: String,
    /// A token, for `token`.
    pub token: Secret,
    /// A file that holds the token.
    pub token_file: String,
    /// The user's domain by id.
    pub user_domain_id: String,
    /// The user's domain by name.
    pub user_domain_name: String,
    /// The project by id.
    pub project_id: String,
    /// The project by name; needs its domain.
    pub project_name: String,
    /// The project's domain by id.
    pub project_domain_id: String,
    /// The project's domain by name.
    pub project_domain_name: String,
    /// A domain as scope, by id.
    pub domain_id: String,
    /// A domain as scope, by name.
    pub domain_name: String,
    /// Stands in for the user's and the project's domain where those are not given.
    pub default_domain_id: String,
    /// The same by name.
    pub default_domain_name: String,
    /// `all` for the whole system as scope.
    pub system_scope: String,
    /// A trust as scope.
    pub trust_id: String,
    /// The application credential by id.
    pub application_credential_id: String,
    /// The application credential by name; needs the user.
    pub application_credential_name: String,
    /// Its secret.
    pub application_credential_secret: Secret,
    /// A file that holds its secret.
    pub application_credential_secret_file: String,
    /// Certificates of trusted authorities (PEM), instead of the system's.
    pub cafile: String,
    /// The client's certificate (PEM).
    pub certfile: String,
    /// The key of the client's certificate (PEM), where it is not in the same file.
    pub keyfile: String,
    /// Whether any certificate of a server is taken.
    pub insecure: bool,
    /// The region whose addresses are used.
    pub region_name: String,
    /// `public`, `internal` or `admin` addresses.
    pub interface: String,
    /// The identity API's address where the catalogue's is not to be used.
    pub endpoint_override: String,
    /// How long a connection may take to come about, in seconds.
    pub http_connect_timeout: f64,
    /// How long a call may take, retries included, in seconds.
    pub timeout: f64,
    /// How often a call is repeated at most.
    pub http_request_max_retries: u32,
}

impl Default for KeystoneSettings {
    fn default() -> Self {
        let none = String::new;
        Self {
            auth_type: "password".to_owned(),
            auth_url: none(),
            username: none(),
            user_id: none(),
            password: Secret::default(),
            password_file: none(),
            token: Secret::default(),
            token_file: none(),
            user_domain_id: none(),
            user_domain_name: none(),
            project_id: none(),
            project_name: none(),
            project_domain_id: none(),
            project_domain_name: none(),
            domain_id: none(),
            domain_name: none(),
            default_domain_id: none(),
            default_domain_name: none(),
            system_scope: none(),
            trust_id: none(),
            application_credential_id: none(),
            application_credential_name: none(),
            application_credential_secret: Secret::default(),
            application_credential_secret_file: none(),
            cafile: none(),
            certfile: none(),
            keyfile: none(),
            insecure: false,
            region_name: none(),
            interface: Interface::Internal.name().to_owned(),
            endpoint_override: none(),
            http_connect_timeout: 10.0,
            timeout: 30.0,
            http_request_max_retries: 3,
        }
    }
}

/// `[keystone_authtoken]`: how an API validates its callers' tokens. keystonemiddleware's options and defaults, but for
/// what concerns memcached, which nothing here needs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct AuthtokenSettings {
    /// The service user that asks Keystone about tokens.
    #[serde(flatten)]
    pub session: KeystoneSettings,
    /// Keystone's public address, which callers without a token are told in `WWW-Authenticate`; `auth_url` where empty.
    pub www_authenticate_uri: String,
    /// How long an answer about a token may be used, in seconds; a revoked token can go on so long. 0 and below: never.
    pub token_cache_time: i64,
    /// Whether requests without a valid token go on, as nobody's.
    pub delay_auth_decision: bool,
    /// Roles of which a service token must have one.
    pub service_token_roles: Vec<String>,
    /// Whether a service token without any of them is refused, rather than only not believed about expired tokens.
    pub service_token_roles_required: bool,
}

impl Default for AuthtokenSettings {
    fn default() -> Self {
        Self {
            session: KeystoneSettings::default(),
            www_authenticate_uri: String::new(),
            token_cache_time: 300,
            delay_auth_decision: false,
            service_token_roles: vec!["service".to_owned()],
            service_token_roles_required: true,
        }
    }
}

impl AuthtokenSettings {
    /// Everything that is wrong, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = self.session.problems();
        if let Err(reason) = optional_url(&self.www_authenticate_uri) {
            problems.push(Problem::new("www_authenticate_uri", reason));
        }
        if self.service_token_roles_required && self.service_token_roles.is_empty() {
            problems.push(Problem::new(
                "service_token_roles",
                "must name a role while service_token_roles_required is true",
            ));
        }
        problems
    }

    /// What `WWW-Authenticate` names.
    pub fn authenticate_uri(&self) -> &str {
        let uri = &self.www_authenticate_uri;
        if uri.is_empty() { &self.session.auth_url } else { uri }
    }
}

impl KeystoneSettings {
    /// Everything that is wrong, without opening anything.
    pub fn problems(&self) -> Vec<Problem> {
        let mut problems = Problems::default();
        self.checked(&Given::placeholders(self), &mut problems);
        problems.0
    }

    /// Reads the files of secrets and gives what a session is made from. Certificates are read by
    /// [`Session::new`](super::Session::new).
    pub fn open(&self) -> Result<SessionConfig, KeystoneError> {
        let mut problems = Problems::default();
        let given = Given::read(self, &mut problems);
        let config = self.checked(&given, &mut problems);
        match config {
            Some(config) if problems.0.is_empty() => Ok(config),
            _ => Err(KeystoneError::Settings(problems.0)),
        }
    }

    fn checked(&self, given: &Given, problems: &mut Problems) -> Option<SessionConfig> {
        let auth_url = problems.take("auth_url", required_url(&self.auth_url));
        let identity = problems.take("endpoint_override", optional_url(&self.endpoint_override));
        let sign_in = self.sign_in(given, problems);
        let scope = self.scope(problems);
        let interface = Interface::parse(&self.interface)
            .ok_or_else(|| format!("expected public, internal or admin, found `{}`", self.interface));
        let interface = problems.take("interface", interface);
        let http = self.http(problems);
        let credentials = Credentials { sign_in: sign_in?, scope: scope? };
        if matches!(credentials.sign_in, SignIn::ApplicationCredential { .. })
            && credentials.scope != Scope::Default
        {
            let reason = "an application credential has a scope of its own: leave out project, domain, system and trust";
            problems.add("auth_type", reason);
        }
        let endpoint_overrides: BTreeMap<String, Url> =
            identity?.map(|url| ("identity".to_owned(), url)).into_iter().collect();
        let (auth_url, interface) = (auth_url?, interface?);
        let region = text(&self.region_name);
        Some(SessionConfig { auth_url, credentials, interface, region, endpoint_overrides, http: http? })
    }

    fn sign_in(&self, given: &Given, problems: &mut Problems) -> Option<SignIn> {
        match self.auth_type.as_str() {
            "password" | "v3password" => {
                let user = self.user(problems);
                let password = problems.secret("password", &given.password);
                Some(SignIn::Password { user: user?, password: password? })
            }
            "v3applicationcredential" | "application_credential" => {
                let credential = self.application_credential(problems);
                let secret =
                    problems.secret("application_credential_secret", &given.application_credential_secret);
                Some(SignIn::ApplicationCredential { credential: credential?, secret: secret? })
            }
            "token" | "v3token" => {
                problems.secret("token", &given.token).map(|token| SignIn::Token { token })
            }
            other => {
                let known = "password, v3applicationcredential or token";
                problems.add("auth_type", format!("expected {known}, found `{other}`"));
                None
            }
        }
    }

    fn user(&self, problems: &mut Problems) -> Option<UserRef> {
        let domain = self.domain_of(&self.user_domain_id, &self.user_domain_name);
        problems.named(("user_id", &self.user_id), ("username", &self.username), domain, "user_domain_name")
    }

    fn project(&self, problems: &mut Problems) -> Option<ProjectRef> {
        let domain = self.domain_of(&self.project_domain_id, &self.project_domain_name);
        let name = ("project_name", self.project_name.as_str());
        problems.named(("project_id", &self.project_id), name, domain, "project_domain_name")
    }

    fn application_credential(&self, problems: &mut Problems) -> Option<ApplicationCredentialRef> {
        if let Some(id) = text(&self.application_credential_id) {
            return Some(NamedIn::Id(id));
        }
        let Some(name) = text(&self.application_credential_name) else {
            let reason = "is needed (or application_credential_name with the user)";
            problems.add("application_credential_id", reason);
            return None;
        };
        self.user(problems).map(|owner| NamedIn::Name { name, owner })
    }

    fn domain_of(&self, id: &str, name: &str) -> Option<DomainRef> {
        domain(id, name).or_else(|| domain(&self.default_domain_id, &self.default_domain_name))
    }

    fn scope(&self, problems: &mut Problems) -> Option<Scope> {
        let mut scopes = Vec::new();
        if text(&self.project_id).is_some() || text(&self.project_name).is_some() {
            scopes.push(Scope::Project(self.project(problems)?));
        }
        scopes.extend(domain(&self.domain_id, &self.domain_name).map(Scope::Domain));
        scopes.extend(text(&self.trust_id).map(Scope::Trust));
        match self.system_scope.as_str() {
            "" => {}
            "all" => scopes.push(Scope::System),
            other => problems.add("system_scope", format!("expected all or nothing, found `{other}`")),
        }
        if scopes.len() > 1 {
            let reason = "a token has one scope: give one of project, domain_id or domain_name, system_scope, trust_id";
            problems.add("project_name", reason);
        }
        Some(scopes.pop().unwrap_or(Scope::Default))
    }

    fn http(&self, problems: &mut Problems) -> Option<HttpOptions> {
        if self.insecure && !self.cafile.is_empty() {
            problems.add("insecure", "contradicts cafile: leave out one of them");
        }
        if !self.keyfile.is_empty() && self.certfile.is_empty() {
            problems.add("certfile", "is needed where keyfile is given");
        }
        if self.http_request_max_retries > 20 {
            let found = self.http_request_max_retries;
            problems.add("http_request_max_retries", format!("expected at most 20, found {found}"));
        }
        let connect_timeout = problems.seconds("http_connect_timeout", self.http_connect_timeout);
        let timeout = problems.seconds("timeout", self.timeout);
        let path = |name: &str| text(name).map(PathBuf::from);
        Some(HttpOptions {
            ca_file: path(&self.cafile),
            cert_file: path(&self.certfile),
            key_file: path(&self.keyfile),
            insecure: self.insecure,
            connect_timeout: connect_timeout?,
            timeout: timeout?,
            max_retries: self.http_request_max_retries,
        })
    }
}

/// The secrets, wherever they come from.
struct Given {
    password: Secret,
    token: Secret,
    application_credential_secret: Secret,
}

impl Given {
    /// Every secret that is given or is in a file, the latter unread.
    fn placeholders(settings: &KeystoneSettings) -> Self {
        let or = |secret: &Secret, file: &str| match (secret.is_empty(), file.is_empty()) {
            (true, false) => Secret::new("in a file"),
            _ => secret.clone(),
        };
        Self::from(settings, or)
    }

    /// Reads what is in files.
    fn read(settings: &KeystoneSettings, problems: &mut Problems) -> Self {
        Self::from(settings, |secret, file| {
            if !secret.is_empty() || file.is_empty() {
                return secret.clone();
            }
            match std::fs::read_to_string(Path::new(file)) {
                Ok(content) => Secret::from_file_text(content),
                Err(error) => {
                    problems.add(file, format!("cannot be read: {error}"));
                    // The file is the problem; that its secret is missing is none of its own.
                    Secret::new("unread")
                }
            }
        })
    }

    fn from(settings: &KeystoneSettings, mut of: impl FnMut(&Secret, &str) -> Secret) -> Self {
        let secret = &settings.application_credential_secret;
        Self {
            password: of(&settings.password, &settings.password_file),
            token: of(&settings.token, &settings.token_file),
            application_credential_secret: of(secret, &settings.application_credential_secret_file),
        }
    }
}

/// What is wrong so far.
#[derive(Default)]
struct Problems(Vec<Problem>);

impl Problems {
    fn add(&mut self, field: &str, reason: impl Into<String>) {
        self.0.push(Problem::new(field, reason));
    }

    fn take<T>(&mut self, field: &str, outcome: Result<T, String>) -> Option<T> {
        outcome.map_err(|reason| self.add(field, reason)).ok()
    }

    fn secret(&mut self, field: &str, secret: &Secret) -> Option<Secret> {
        if secret.is_empty() {
            self.add(field, format!("is needed (or {field}_file with a path)"));
            return None;
        }
        Some(secret.clone())
    }

    fn named(
        &mut self,
        (id_field, id): (&str, &str),
        (name_field, name): (&str, &str),
        domain: Option<DomainRef>,
        domain_field: &str,
    ) -> Option<NamedIn<DomainRef>> {
        if let Some(id) = text(id) {
            return Some(NamedIn::Id(id));
        }
        match (text(name), domain) {
            (Some(name), Some(owner)) => Some(NamedIn::Name { name, owner }),
            (Some(name), None) => {
                let reason = format!("is needed with {name_field} `{name}`; most often it is Default");
                self.add(domain_field, reason);
                None
            }
            (None, _) => {
                self.add(name_field, format!("is needed (or {id_field})"));
                None
            }
        }
    }

    fn seconds(&mut self, field: &str, seconds: f64) -> Option<Duration> {
        if !(0.001..=3600.0).contains(&seconds) {
            self.add(field, format!("expected seconds between 0.001 and 3600, found {seconds}"));
            return None;
        }
        Some(Duration::from_secs_f64(seconds))
    }
}

fn text(value: &str) -> Option<String> {
    (!value.is_empty()).then(|| value.to_owned())
}

fn domain(id: &str, name: &str) -> Option<DomainRef> {
    text(id).map(DomainRef::Id).or_else(|| text(name).map(DomainRef::Name))
}

fn required_url(text: &str) -> Result<Url, String> {
    optional_url(text)?
        .ok_or_else(|| "is needed: Keystone's address, such as https://keystone:5000/v3".to_owned())
}

/// An address over HTTP; nothing where the text is empty. One that holds a password is not repeated.
pub(super) fn optional_url(text: &str) -> Result<Option<Url>, String> {
    if text.is_empty() {
        return Ok(None);
    }
    let expected = "expected an address such as https://host:5000/v3";
    let url = match Url::parse(text) {
        Ok(url) if matches!(url.scheme(), "http" | "https") => url,
        _ if text.contains('@') => return Err(expected.to_owned()),
        _ => return Err(format!("{expected}, found `{text}`")),
    };
    if !url.username().is_empty() || url.password().is_some() {
        return Err("must hold no user and password: there are settings for them".to_owned());
    }
    Ok(Some(url))
}

#[cfg(test)]
mod tests;
