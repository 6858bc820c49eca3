//! Definition files: where they are looked for, and what stands in for them where there are none.

use std::borrow::Cow;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result};
use nephometer_pipeline::DEFAULT_PIPELINE_YAML;
use nephometer_pipeline::resources::DEFAULT_DEFINITIONS;

/// Where files are looked for that the configuration does not name, first to last.
const PLACES: [&str; 2] = ["/etc/nephometer", "/etc/ceilometer"];

/// A kind of definition file.
pub(crate) struct DefinitionFile {
    /// Its usual name.
    pub(crate) name: &'static str,
    /// The key that names another.
    pub(crate) key: &'static str,
    /// What counts where there is none.
    pub(crate) default: &'static str,
}

/// Which meters are read how often.
pub(crate) const POLLING: DefinitionFile = DefinitionFile {
    name: "polling.yaml",
    key: "polling.cfg_file",
    default: include_str!("../../../../doc/polling.yaml"),
};

/// How samples go to publishers.
pub(crate) const PIPELINE: DefinitionFile =
    DefinitionFile { name: "pipeline.yaml", key: "pipeline.cfg_file", default: DEFAULT_PIPELINE_YAML };

/// Which meters belong to which resources.
pub(crate) const RESOURCES: DefinitionFile = DefinitionFile {
    name: "gnocchi_resources.yaml",
    key: "publisher.resources_definition_file",
    default: DEFAULT_DEFINITIONS,
};

/// A file's text and where it is; nowhere where it is our own default.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Definition {
    pub(crate) path: Option<PathBuf>,
    pub(crate) text: Cow<'static, str>,
}

impl DefinitionFile {
    /// The file that `configured` names, else the first that there is in the usual places, else our own.
    ///
    /// # Errors
    /// A file that is named or there cannot be read.
    pub(crate) fn find(&self, configured: &str) -> Result<Definition> {
        let usual = || PLACES.iter().map(|place| Path::new(place).join(self.name)).find(|path| path.exists());
        let path = match configured {
            "" => usual(),
            named => Some(PathBuf::from(named)),
        };
        let Some(path) = path else {
            return Ok(Definition { path: None, text: Cow::Borrowed(self.default) });
        };
        let text = std::fs::read_to_string(&path)
            .with_context(|| format!("{}: {} cannot be read", self.key, path.display()))?;
        Ok(Definition { path: Some(path), text: Cow::Owned(text) })
    }
}

impl Definition {
    /// Where it is, in words.
    pub(crate) fn place(&self) -> String {
        self.path.as_ref().map_or_else(|| "the built-in file".to_owned(), |path| path.display().to_string())
    }
}

#[cfg(test)]
mod tests {
    use nephometer_polling::PollingConfig;

    use super::*;

    #[test]
    fn a_named_file_must_be_there() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("my.yaml");
        let name = path.display().to_string();
        let error = format!("{:#}", POLLING.find(&name).unwrap_err());
        assert!(error.starts_with(&format!("polling.cfg_file: {name} cannot be read")), "{error}");
        std::fs::write(&path, "sources: []").unwrap();
        let found = POLLING.find(&name).unwrap();
        assert_eq!((found.place(), &*found.text), (name, "sources: []"));
    }

    #[test]
    fn our_own_files_are_sound() {
        let config = PollingConfig::parse(POLLING.default).unwrap();
        let source = config.sources.iter().find(|source| source.meters.matches("cpu_util")).unwrap();
        for meter in ["cpu", "memory.usage", "disk.device.read.bytes.rate", "network.incoming.bytes.rate"] {
            assert!(source.meters.matches(meter), "{meter}");
        }
    }
}
