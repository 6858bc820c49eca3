//! `[measure_link]`: how processes that decide alarms without holding the measure store read measures and hear of writes.

use std::path::PathBuf;

use anyhow::{Context as _, Result, ensure};
use nephometer_link::{Link, LinkSettings};
use nephometer_model::Secret;
use serde::{Deserialize, Serialize};

use super::{Problem, TlsSection, parse_listen};

/// A token that is shorter can be guessed.
const SHORTEST_TOKEN: usize = 16;

/// The keys. Where the store is, `listen` counts; elsewhere, `url`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct MeasureLinkSection {
    /// Address and port; empty for none.
    pub(crate) listen: String,
    /// Whether it may listen beyond loopback, though the token could be overheard there.
    pub(crate) allow_insecure_listen: bool,
    /// Where the process with the store listens; empty for `listen`.
    pub(crate) url: String,
    /// What both ends know.
    pub(crate) token: Secret,
    /// A file that holds it.
    pub(crate) token_file: String,
    /// Authorities of the listener's certificate (PEM); empty for the system's.
    pub(crate) ca_file: String,
    /// The certificate (PEM) of who connects, where the listener asks for one.
    pub(crate) certificate_file: String,
    /// Its key.
    pub(crate) key_file: String,
    /// Whether and how the listener speaks TLS.
    #[serde(flatten)]
    pub(crate) tls: TlsSection,
}

impl MeasureLinkSection {
    /// Whether it is listened to where the store is.
    pub(crate) fn is_on(&self) -> bool {
        !self.listen.is_empty()
    }

    /// Whether there is another end to connect to.
    pub(crate) fn leads_somewhere(&self) -> bool {
        self.is_on() || !self.url.is_empty()
    }

    /// What is wrong with the section.
    pub(super) fn problems(&self) -> Vec<Problem> {
        let mut problems = self.tls.problems("measure_link");
        let mut say = |text: &str| problems.push(Problem::new(format!("measure_link.{text}")));
        if let Err(reason) = parse_listen(&self.listen)
            && self.is_on()
        {
            say(&format!("listen: {reason}"));
        }
        if !self.url.is_empty() && !["http://", "https://"].iter().any(|scheme| self.url.starts_with(scheme))
        {
            say("url: expected http://host:port or https://host:port");
        }
        if self.url.contains('@') {
            say("url: holds a user; what both ends know is the token");
        }
        if !self.token.is_empty() && !self.token_file.is_empty() {
            say("token_file: contradicts measure_link.token; leave out one");
        }
        if self.leads_somewhere() && self.token.is_empty() && self.token_file.is_empty() {
            say(
                "token: whoever connects reads every measure: set a secret that both ends know, or token_file",
            );
        }
        if !self.token.is_empty() && self.token.expose().len() < SHORTEST_TOKEN {
            say(&format!("token: must have {SHORTEST_TOKEN} characters at least"));
        }
        problems
    }

    /// Reads the token.
    pub(crate) fn open_token(&self) -> Result<Secret> {
        if self.token_file.is_empty() {
            return Ok(self.token.clone());
        }
        let file = &self.token_file;
        let text = std::fs::read_to_string(file)
            .with_context(|| format!("measure_link.token_file: {file} cannot be read"))?;
        let token = Secret::from_file_text(text);
        let is_long = token.expose().len() >= SHORTEST_TOKEN;
        ensure!(is_long, "measure_link.token_file: {file} must hold {SHORTEST_TOKEN} characters at least");
        Ok(token)
    }

    /// The link to the process that holds the store; nothing where none is configured. Connects to nobody.
    pub(crate) fn open(&self) -> Result<Option<Link>> {
        if !self.leads_somewhere() {
            return Ok(None);
        }
        let file = |text: &String| (!text.is_empty()).then(|| PathBuf::from(text));
        let scheme = if self.tls.is_on() { "https" } else { "http" };
        let settings = LinkSettings {
            url: if self.url.is_empty() { format!("{scheme}://{}", self.listen) } else { self.url.clone() },
            token: self.open_token()?,
            ca_file: file(&self.ca_file),
            cert_file: file(&self.certificate_file),
            key_file: file(&self.key_file),
        };
        Ok(Some(Link::new(&settings).context("measure_link")?))
    }
}
