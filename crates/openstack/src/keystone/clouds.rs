//! `clouds.yaml` and the `OS_*` variables, found and merged as the OpenStack client does.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use reqwest::Url;
use serde::Deserialize;

use super::error::{KeystoneError, Problem};
use super::session::SessionConfig;
use super::settings::optional_url;

mod entry;

use entry::{Entry, Scalar};

/// Variables that choose a cloud, a region or a file rather than describe a cloud.
const SELECTORS: &[&str] =
    &["OS_CLOUD", "OS_CLOUD_NAME", "OS_REGION_NAME", "OS_CLIENT_CONFIG_FILE", "OS_CLIENT_SECURE_FILE"];
/// Variables of test tools.
const FOREIGN: &[&str] = &["OS_TEST", "OS_STD", "OS_LOG"];
/// What the cloud is called that the variables describe.
const FROM_VARIABLES: &str = "envvars";

/// Where descriptions of clouds are looked for.
#[derive(Debug, Clone, Default)]
pub struct CloudSource {
    /// The environment's variables; those that do not begin with `OS_` matter only to find the user's directory.
    pub variables: BTreeMap<String, String>,
    /// Directories that may hold `clouds.yaml` and `secure.yaml`, the first that has one counts.
    pub directories: Vec<PathBuf>,
}

/// A file as it is written: clouds by name.
#[derive(Debug, Clone, Default, Deserialize)]
struct CloudsFile {
    #[serde(default)]
    clouds: Option<BTreeMap<String, Option<Entry>>>,
}

impl CloudSource {
    /// The process's own environment and the usual directories: the working directory, the user's configuration
    /// directory, the system's.
    pub fn of_process() -> Self {
        let variables: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let set = |name: &str| variables.get(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user = set("XDG_CONFIG_HOME").or_else(|| set("HOME").map(|home| home.join(".config")));
        let mut directories = vec![PathBuf::from(".")];
        directories.extend(user.map(|user| user.join("openstack")));
        directories.extend(["/etc/xdg/openstack", "/etc/openstack"].map(PathBuf::from));
        Self { variables, directories }
    }

    /// The cloud called `wanted`; without a name the one of `OS_CLOUD`, else the one that the variables describe, else
    /// the only one in the file.
    pub fn load(&self, wanted: Option<&str>) -> Result<SessionConfig, KeystoneError> {
        let mut problems = Vec::new();
        let config = self.entry(wanted).and_then(|(name, entry)| {
            let region = self.variable("OS_REGION_NAME").filter(|_| name != FROM_VARIABLES);
            let (settings, overrides) = entry.settings(region, &mut problems);
            let mut config = settings.open().inspect_err(|error| {
                if let KeystoneError::Settings(found) = error {
                    problems.extend(found.iter().cloned());
                }
            })?;
            config.endpoint_overrides.extend(overrides);
            Ok((name, config))
        });
        match config {
            Ok((_, config)) if problems.is_empty() => Ok(config),
            Err(error) if problems.is_empty() => Err(error),
            _ => Err(KeystoneError::Settings(problems)),
        }
    }

    fn entry(&self, wanted: Option<&str>) -> Result<(String, Entry), KeystoneError> {
        let mut clouds = self.files()?;
        if let Some(entry) = self.described_by_variables() {
            clouds.insert(self.name_of_variables().to_owned(), entry);
        }
        let only = || (clouds.len() == 1).then(|| clouds.keys().next().cloned()).flatten();
        let described =
            || clouds.contains_key(self.name_of_variables()).then(|| self.name_of_variables().to_owned());
        let chosen = wanted.or(self.variable("OS_CLOUD")).map(str::to_owned);
        let Some(name) = chosen.or_else(described).or_else(only) else {
            return Err(one("OS_CLOUD", format!("is needed to choose a cloud; {}", known(&clouds))));
        };
        match clouds.remove(&name) {
            Some(entry) => Ok((name, entry)),
            None => Err(one("OS_CLOUD", format!("there is no cloud `{name}`; {}", known(&clouds)))),
        }
    }

    fn name_of_variables(&self) -> &str {
        self.variable("OS_CLOUD_NAME").unwrap_or(FROM_VARIABLES)
    }

    fn variable(&self, name: &str) -> Option<&str> {
        self.variables.get(name).map(String::as_str).filter(|value| !value.is_empty())
    }

    /// The clouds of the first `clouds.yaml` with what the first `secure.yaml` adds.
    fn files(&self) -> Result<BTreeMap<String, Entry>, KeystoneError> {
        let mut clouds = self.file("clouds", "OS_CLIENT_CONFIG_FILE")?;
        for (name, secure) in self.file("secure", "OS_CLIENT_SECURE_FILE")? {
            clouds.entry(name).or_default().merge(secure);
        }
        Ok(clouds)
    }

    fn file(&self, stem: &str, variable: &str) -> Result<BTreeMap<String, Entry>, KeystoneError> {
        let usual = self.directories.iter().flat_map(|directory| {
            ["yaml", "yml", "json"].map(|extension| directory.join(format!("{stem}.{extension}")))
        });
        let named = self.variable(variable).map(PathBuf::from);
        for path in named.into_iter().chain(usual) {
            match std::fs::read_to_string(&path) {
                Ok(text) => return read(&path, &text),
                // As the client does: one that may not be read is passed over, as one that is not there.
                Err(error)
                    if matches!(
                        error.kind(),
                        std::io::ErrorKind::NotFound | std::io::ErrorKind::PermissionDenied
                    ) => {}
                Err(error) => {
                    return Err(one(&path.display().to_string(), format!("cannot be read: {error}")));
                }
            }
        }
        Ok(BTreeMap::new())
    }

    /// What the variables say, where they say more than which cloud.
    fn described_by_variables(&self) -> Option<Entry> {
        let own = self.variables.iter().filter(|(name, _)| {
            name.starts_with("OS_") && !FOREIGN.iter().any(|prefix| name.starts_with(prefix))
        });
        let mut described = false;
        let mut entry = Entry::default();
        for (name, value) in own.filter(|(_, value)| !value.is_empty()) {
            described |= !SELECTORS.contains(&name.as_str());
            entry.set(&name["OS_".len()..].to_lowercase(), Scalar::text(value));
        }
        described.then_some(entry)
    }
}

fn one(field: &str, reason: impl Into<String>) -> KeystoneError {
    KeystoneError::Settings(vec![Problem::new(field, reason)])
}

fn known(clouds: &BTreeMap<String, Entry>) -> String {
    let names: Vec<_> = clouds.keys().map(String::as_str).collect();
    match names.as_slice() {
        [] => "no clouds.yaml with clouds was found".to_owned(),
        names => format!("there are {}", names.join(", ")),
    }
}

fn read(path: &Path, text: &str) -> Result<BTreeMap<String, Entry>, KeystoneError> {
    let file: Result<Option<CloudsFile>, _> = serde_saphyr::from_str(text);
    // The message of the reader may quote a line, and lines hold passwords.
    let file = file.map_err(|error| {
        let place = error.location().map(|at| format!(", see line {}", at.line())).unwrap_or_default();
        one(&path.display().to_string(), format!("is not a file of clouds in YAML{place}"))
    })?;
    let clouds = file.unwrap_or_default().clouds.unwrap_or_default();
    Ok(clouds.into_iter().map(|(name, entry)| (name, entry.unwrap_or_default())).collect())
}

/// `text` as an address, or a problem of `field`.
fn address(field: &str, text: &str, problems: &mut Vec<Problem>) -> Option<Url> {
    match optional_url(text) {
        Ok(url) => url,
        Err(reason) => {
            problems.push(Problem::new(field, reason));
            None
        }
    }
}

#[cfg(test)]
mod tests;
