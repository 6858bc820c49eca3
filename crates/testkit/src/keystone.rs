//! A real Keystone for tests: users, projects and roles as `conformance/keystone/serve.py` describes them, nothing left
//! behind.
//!
//! Starting one takes some seconds of CPU, so a run of tests shares one: `./test keystone` starts it and names its state
//! file in `NEPHOMETER_TEST_KEYSTONE`. Without that variable a test process starts its own. The server ends when its
//! standard input closes, so that even a killed test leaves nothing running.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, bail};
use nephometer_model::SystemClock;
use nephometer_openstack::keystone::{
    AuthtokenSettings, Credentials, DomainRef, HttpOptions, Interface, NamedIn, Request, Scope, Secret,
    Session, SessionConfig, SignIn, Url,
};
use nephometer_openstack::token::KeystoneAuthenticator;
use serde_json::{Value, json};

/// Names the state file of a Keystone that runs already.
const SHARED: &str = "NEPHOMETER_TEST_KEYSTONE";

/// A running Keystone.
pub struct Keystone {
    /// Its v3 API.
    pub url: Url,
    /// Ids of projects by name: `a`, `b`, `c`, `service`, `admin`.
    pub projects: BTreeMap<String, String>,
    /// Ids of users by name: `a-reader`, `a-member`, `a-admin`, …, `nephometer`, `nova`, `admin`, `system-reader`.
    pub users: BTreeMap<String, String>,
    /// Ids of domains by name: `default`, `other`.
    pub domains: BTreeMap<String, String>,
    directory: PathBuf,
    /// The server, where this process started it.
    _server: Option<Server>,
}

struct Server {
    process: Child,
}

impl Keystone {
    /// The Keystone of this run of tests, or of this process.
    pub fn shared() -> anyhow::Result<&'static Self> {
        static SHARED_ONE: OnceLock<Result<Keystone, String>> = OnceLock::new();
        let found = SHARED_ONE.get_or_init(|| {
            let found = match std::env::var_os(SHARED) {
                Some(path) => std::fs::read_to_string(&path)
                    .with_context(|| format!("{SHARED} names {}", path.display()))
                    .and_then(|state| Self::read(&state, None)),
                None => Self::start(3600),
            };
            found.map_err(|error| format!("{error:#}"))
        });
        found.as_ref().map_err(|error| anyhow::anyhow!("{error}"))
    }

    /// Starts one of its own, whose tokens end after `expiration_seconds`.
    pub fn start(expiration_seconds: u32) -> anyhow::Result<Self> {
        let conformance = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../conformance");
        let output =
            Command::new(conformance.join("venv")).arg("keystone").output().context("conformance/venv")?;
        if !output.status.success() {
            bail!("no Python environment for Keystone: {}", String::from_utf8_lossy(&output.stderr));
        }
        let environment = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
        let temporary = tempfile::Builder::new().prefix("nephometer-keystone.").tempdir()?;
        let directory = temporary.path();
        let mut process = Command::new(environment.join("bin/python"))
            .arg(conformance.join("keystone/serve.py"))
            .arg(directory)
            .args(["--clean", "--expiration", &expiration_seconds.to_string()])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(std::fs::File::create(directory.join("stderr.log"))?)
            .spawn()
            .context("cannot start Keystone")?;
        let mut line = String::new();
        BufReader::new(process.stdout.take().context("Keystone has no output")?).read_line(&mut line)?;
        if line.is_empty() {
            process.wait()?;
            let said = std::fs::read_to_string(directory.join("stderr.log"))?;
            bail!("Keystone does not start: {said}");
        }
        // From here on the server cleans up, even where this process is killed.
        drop(temporary.keep());
        Self::read(&line, Some(Server { process }))
    }

    fn read(state: &str, server: Option<Server>) -> anyhow::Result<Self> {
        let state: Value = serde_json::from_str(state).context("Keystone's state")?;
        let ids = |kind: &str| -> anyhow::Result<BTreeMap<String, String>> {
            serde_json::from_value(state[kind].clone()).with_context(|| format!("{kind} of Keystone's state"))
        };
        Ok(Self {
            url: state["url"].as_str().context("Keystone's address")?.parse()?,
            projects: ids("projects")?,
            users: ids("users")?,
            domains: ids("domains")?,
            directory: state["directory"].as_str().context("Keystone's directory")?.into(),
            _server: server,
        })
    }

    /// The password of any of its users.
    pub fn password(user: &str) -> Secret {
        Secret::new(format!("pw-{user}"))
    }

    /// A project as scope.
    pub fn project(&self, name: &str) -> Scope {
        Scope::Project(NamedIn::Id(self.projects[name].clone()))
    }

    /// How `user` of the default domain signs in to `scope`.
    pub fn credentials(&self, user: &str, scope: Scope) -> Credentials {
        let owner = DomainRef::Id(if user == "other-admin" {
            self.domains["other"].clone()
        } else {
            "default".to_owned()
        });
        let named = NamedIn::Name { name: user.to_owned(), owner };
        Credentials { sign_in: SignIn::Password { user: named, password: Self::password(user) }, scope }
    }

    /// What a session is made from.
    pub fn config(&self, credentials: Credentials) -> SessionConfig {
        SessionConfig {
            auth_url: self.url.clone(),
            credentials,
            interface: Interface::Public,
            region: None,
            endpoint_overrides: BTreeMap::new(),
            http: HttpOptions::default(),
        }
    }

    /// A session of `user` in `scope`.
    pub fn session(&self, user: &str, scope: Scope) -> anyhow::Result<Session> {
        let config = self.config(self.credentials(user, scope));
        Ok(Session::new(config, Arc::new(SystemClock::new()))?)
    }

    /// The administrator of project `admin`.
    pub fn admin(&self) -> anyhow::Result<Session> {
        self.session("admin", self.project("admin"))
    }

    /// A fresh token of `user` in project `project`.
    pub async fn token(&self, user: &str, project: &str) -> anyhow::Result<Secret> {
        Ok(self.session(user, self.project(project))?.signed_in().await?.token.clone())
    }

    /// What recognises callers by its tokens, asking as the user `nephometer`.
    pub fn authenticator(&self) -> anyhow::Result<Arc<KeystoneAuthenticator>> {
        let session = Arc::new(self.session("nephometer", self.project("service"))?);
        let settings = AuthtokenSettings {
            www_authenticate_uri: "http://keystone.example/v3".to_owned(),
            ..AuthtokenSettings::default()
        };
        Ok(Arc::new(KeystoneAuthenticator::new(session, &settings, Arc::new(SystemClock::new()))))
    }

    /// An application credential of `user` in `project` with all roles that the user has there: id and secret.
    /// It ends at `expires_at` (`2026-01-01T00:00:00Z`), or never.
    pub async fn application_credential(
        &self,
        user: &str,
        project: &str,
        expires_at: Option<&str>,
    ) -> anyhow::Result<(String, Secret)> {
        let session = self.session(user, self.project(project))?;
        let number = session.signed_in().await?.info.audit_ids.concat();
        let path = format!("/users/{}/application_credentials", self.users[user]);
        let body = json!({ "application_credential": { "name": number, "expires_at": expires_at } });
        let answer =
            session.request(&Request::new(http::Method::POST, "identity", &path).json(&body)).await?;
        let made: Value = serde_json::from_slice(&answer.body)?;
        let text = |name: &str| made["application_credential"][name].as_str().map(str::to_owned);
        Ok((text("id").context("no id")?, Secret::new(text("secret").context("no secret")?)))
    }

    /// Puts a service with one public endpoint into the catalogue.
    pub async fn add_endpoint(&self, service_type: &str, url: &str) -> anyhow::Result<()> {
        let admin = self.admin()?;
        let post = |path: &str, body: Value| Request::new(http::Method::POST, "identity", path).json(&body);
        let service = json!({ "service": { "type": service_type, "name": service_type } });
        let made: Value = serde_json::from_slice(&admin.request(&post("/services", service)).await?.body)?;
        let endpoint = json!({ "endpoint": { "service_id": made["service"]["id"], "interface": "public",
            "region_id": "RegionOne", "url": url } });
        admin.request(&post("/endpoints", endpoint)).await?;
        Ok(())
    }

    /// How many requests it has answered whose line in the access log (`GET /v3/auth/tokens?nocatalog=1 200`) begins with
    /// `prefix`. Others who share it count too.
    pub fn requests(&self, prefix: &str) -> anyhow::Result<usize> {
        let log = std::fs::read_to_string(self.directory.join("access.log"))?;
        Ok(log.lines().filter(|line| line.starts_with(prefix)).count())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        drop(self.process.stdin.take());
        // It ends by itself; there is nobody left to tell if it does so badly.
        drop(self.process.wait());
    }
}
