//! The cloud as what polls and publishes sees it: `[service_credentials]`, `[central]`, `[radosgw]`, `[gnocchi]`.

use std::sync::Arc;
use std::time::Duration;

use anyhow::{Context as _, Result};
use nephometer_model::{Clock, Secret};
use nephometer_openstack::keystone::{KeystoneSettings, Session, Url};
use nephometer_openstack::services::CloudPace;
use nephometer_polling::central::{CentralSettings, RadosGatewaySettings, ServiceTypes};
use serde::{Deserialize, Serialize};

use super::Problem;

/// How one signs in to the cloud's services, and how fast they are asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct ServiceCredentialsSection {
    /// Keystone, and who signs in.
    #[serde(flatten)]
    pub(crate) session: KeystoneSettings,
    /// Most calls a second to one service; 0 for as many as come.
    pub(crate) calls_per_second: f64,
    /// Most calls to one service at a time.
    pub(crate) calls_at_once: usize,
}

impl Default for ServiceCredentialsSection {
    fn default() -> Self {
        let CloudPace { calls_per_second, at_once } = CloudPace::default();
        // Upstream's default differs from that of [keystone_authtoken].
        let session = KeystoneSettings { interface: "public".to_owned(), ..KeystoneSettings::default() };
        Self { session, calls_per_second, calls_at_once: at_once }
    }
}

impl ServiceCredentialsSection {
    /// Whether there is a cloud.
    pub(crate) fn is_on(&self) -> bool {
        !self.session.auth_url.is_empty()
    }

    /// What is wrong with the section, where it is used.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if self.is_on() {
            problems.extend(self.session.problems().iter().map(|problem| format!("{problem}")));
        }
        if !(self.calls_per_second >= 0.0 && self.calls_per_second.is_finite()) {
            problems.push("calls_per_second: must be 0 or more".to_owned());
        }
        if self.calls_at_once == 0 {
            problems.push("calls_at_once: must be at least 1".to_owned());
        }
        problems.into_iter().map(|text| Problem::new(format!("service_credentials.{text}"))).collect()
    }

    /// A session of the user that signs in; nothing where there is no cloud. Reads files, connects to nobody.
    pub(crate) fn open(&self, clock: &Arc<dyn Clock>) -> Result<Option<Arc<Session>>> {
        if !self.is_on() {
            return Ok(None);
        }
        let session = self.session.open().and_then(|config| Session::new(config, Arc::clone(clock)));
        Ok(Some(Arc::new(session.context("service_credentials")?)))
    }

    /// How fast services are asked.
    pub(crate) fn pace(&self) -> CloudPace {
        CloudPace { calls_per_second: self.calls_per_second, at_once: self.calls_at_once }
    }
}

/// What is polled of a cloud, and how.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct CentralSection {
    /// What accounts of the object store begin with.
    pub(crate) reseller_prefix: String,
    /// Whether projects and domains that are switched off are passed over.
    pub(crate) ignore_disabled_projects: bool,
    /// Whether samples carry secrets that services show to administrators.
    pub(crate) publish_secrets: bool,
}

impl Default for CentralSection {
    fn default() -> Self {
        let CentralSettings { reseller_prefix, ignore_disabled_projects, publish_secrets, .. } =
            CentralSettings::default();
        Self { reseller_prefix, ignore_disabled_projects, publish_secrets }
    }
}

impl CentralSection {
    /// What pollsters are told; `service_types` says what the catalogue calls the services.
    pub(crate) fn settings(&self, service_types: &ServiceTypes) -> CentralSettings {
        let Self { reseller_prefix, ignore_disabled_projects, publish_secrets } = self.clone();
        let service_types = service_types.clone();
        CentralSettings { service_types, reseller_prefix, ignore_disabled_projects, publish_secrets }
    }
}

/// How the gateway of a Ceph cluster is asked.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct RadosgwSection {
    /// The access key of a user who may read `usage` and `buckets`.
    pub(crate) access_key: String,
    /// Its secret.
    pub(crate) secret: Secret,
    /// A file that holds its secret.
    pub(crate) secret_file: String,
    /// Whether each project's users are in a tenant of that name.
    pub(crate) implicit_tenants: bool,
    /// Whether any certificate is taken.
    pub(crate) insecure: bool,
    /// Authorities (PEM) that are trusted; empty for the system's.
    pub(crate) cafile: String,
}

impl Default for RadosgwSection {
    fn default() -> Self {
        let RadosGatewaySettings { access_key, secret_key, implicit_tenants, insecure, cafile } =
            RadosGatewaySettings::default();
        Self {
            access_key,
            secret: secret_key,
            secret_file: String::new(),
            implicit_tenants,
            insecure,
            cafile,
        }
    }
}

impl RadosgwSection {
    /// What pollsters are told. Reads the file.
    pub(crate) fn settings(&self) -> Result<RadosGatewaySettings> {
        Ok(RadosGatewaySettings {
            access_key: self.access_key.clone(),
            secret_key: secret("radosgw.secret_file", &self.secret_file, &self.secret)?,
            implicit_tenants: self.implicit_tenants,
            insecure: self.insecure,
            cafile: self.cafile.clone(),
        })
    }
}

/// What `file` holds, where one is named, else what was `given`.
pub(super) fn secret(key: &str, file: &str, given: &Secret) -> Result<Secret> {
    if file.is_empty() {
        return Ok(given.clone());
    }
    let text = std::fs::read_to_string(file).with_context(|| format!("{key}: {file} cannot be read"))?;
    Ok(Secret::from_file_text(text))
}

/// Where `gnocchi://` writes to, from a process that does not hold the measure store.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct GnocchiSection {
    /// Address of an API without Keystone; empty for the one that the catalogue lists.
    pub(crate) url: String,
    /// The user there: `admin` may make the archive policies and types of resources that samples need.
    pub(crate) username: String,
    /// The password.
    pub(crate) password: Secret,
    /// A file that holds the password.
    pub(crate) password_file: String,
    /// Authorities (PEM) of its certificate; empty for the system's.
    pub(crate) cafile: String,
    /// How long a request may take.
    pub(crate) timeout_seconds: f64,
}

impl Default for GnocchiSection {
    fn default() -> Self {
        Self {
            url: String::new(),
            username: "admin".to_owned(),
            password: Secret::default(),
            password_file: String::new(),
            cafile: String::new(),
            timeout_seconds: 30.0,
        }
    }
}

impl GnocchiSection {
    /// What is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        let url = Url::parse(&self.url).ok().filter(|url| matches!(url.scheme(), "http" | "https"));
        if !self.url.is_empty() && url.is_none() {
            problems.push(Problem::new("gnocchi.url: expected http://host:8041 or the like"));
        }
        problems.extend(super::check::seconds_problem("gnocchi.timeout_seconds", self.timeout_seconds));
        problems
    }

    /// How long a request may take.
    pub(crate) fn timeout(&self) -> Duration {
        Duration::from_secs_f64(self.timeout_seconds)
    }

    /// The password, from where it is.
    pub(crate) fn password(&self) -> Result<Secret> {
        secret("gnocchi.password_file", &self.password_file, &self.password)
    }
}
