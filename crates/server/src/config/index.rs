//! Where the index lives, with the secrets that this needs.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail, ensure};
use nephometer_index_sql::PostgresSettings;
use nephometer_model::{Secret, SecretUrl};
use serde::{Deserialize, Serialize};

use super::Problem;

/// SQLite's file in the data directory.
const INDEX_NAME: &str = "index.sqlite";
/// What an address may begin with.
const SCHEMES: [&str; 3] = ["postgresql://", "postgres://", "sqlite:///"];
const EXPECTED: &str = "expected postgresql://…, sqlite:///path or nothing";

/// Where the index lives.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct IndexSection {
    /// `postgresql://…`, `sqlite:///path`, or empty for SQLite inside the data directory.
    pub(crate) url: SecretUrl,
    /// A file that holds the address.
    pub(crate) url_file: String,
    /// PostgreSQL's password, where the address has none.
    pub(crate) password: Secret,
    /// A file that holds the password.
    pub(crate) password_file: String,
}

/// A database, ready to be opened.
pub(crate) enum IndexPlace {
    /// A file.
    Sqlite(PathBuf),
    /// A server.
    Postgres(PostgresSettings),
}

impl IndexSection {
    /// What is wrong, without opening anything.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = Vec::new();
        if !self.url.is_empty() && !is_known(&self.url) {
            problems.push(Problem::new(format!("index.url: {EXPECTED}")));
        }
        for (key, is_given, file) in [
            ("url", !self.url.is_empty(), &self.url_file),
            ("password", !self.password.is_empty(), &self.password_file),
        ] {
            if is_given && !file.is_empty() {
                problems
                    .push(Problem::new(format!("index.{key}_file: contradicts index.{key}; leave out one")));
            }
        }
        problems
    }

    /// Reads the files of secrets and of TLS; connects to nobody.
    pub(crate) fn open(&self, data_dir: &Path) -> Result<IndexPlace> {
        let url = match self.url_file.as_str() {
            "" => self.url.clone(),
            file => read("index.url_file", file)?.into(),
        };
        if let Some(path) = url.expose().strip_prefix("sqlite://") {
            return Ok(IndexPlace::Sqlite(PathBuf::from(path)));
        }
        if url.is_empty() {
            ensure!(self.url_file.is_empty(), "index.url_file: {} holds nothing", self.url_file);
            return Ok(IndexPlace::Sqlite(data_dir.join(INDEX_NAME)));
        }
        if !is_known(&url) {
            bail!("index.url_file: {}: {EXPECTED}", self.url_file);
        }
        let password = match self.password_file.as_str() {
            "" => self.password.clone(),
            file => read("index.password_file", file)?,
        };
        let settings = PostgresSettings { url, password, ..PostgresSettings::at("") };
        settings.check().context("index.url")?;
        Ok(IndexPlace::Postgres(settings))
    }
}

/// What a process that does not hold the data directory needs of the index.
impl IndexSection {
    /// Fails where it would make an index of its own in place of the one that others use.
    pub(crate) fn check_shared(&self, data_dir: &Path) -> Result<()> {
        match self.open(data_dir)? {
            IndexPlace::Sqlite(path) if !path.exists() => bail!(
                "index: there is no {}; on one host start the process that holds the measure store first, and name the \
                 same storage.data_dir or index.url; processes on several hosts share PostgreSQL (index.url)",
                path.display()
            ),
            _ => Ok(()),
        }
    }
}

fn is_known(url: &SecretUrl) -> bool {
    SCHEMES.iter().any(|scheme| url.expose().starts_with(scheme))
}

fn read(key: &str, file: &str) -> Result<Secret> {
    let text = std::fs::read_to_string(file).with_context(|| format!("{key}: {file} cannot be read"))?;
    Ok(Secret::from_file_text(text))
}
