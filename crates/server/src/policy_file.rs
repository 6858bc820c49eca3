//! The rules in force: upstream's defaults with the operator's files over them, read again when these change.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use nephometer_drivers::PolicyEnforcer;
use nephometer_model::{Identity, PolicyTarget};
use nephometer_openstack::policy::{Catalogue, PolicyOptions, PolicyText, PolicyWarning, RuleSet};
use parking_lot::RwLock;

use crate::config::PolicySection;

/// The files as they were last read, with the times of their last changes.
type Files = Vec<(PathBuf, SystemTime)>;

/// Rules that follow files.
pub(crate) struct PolicyFile {
    catalogue: &'static Catalogue,
    section: PolicySection,
    rules: RwLock<Arc<RuleSet>>,
    read: RwLock<Files>,
}

impl PolicyFile {
    /// The rules of an API with those of the configured files; files with mistakes are refused. Warnings are logged.
    pub(crate) fn load(catalogue: &'static Catalogue, section: &PolicySection) -> Result<Self> {
        let files = configured_files(section)?;
        let (rules, warnings) = read_rules(catalogue, section.options(), paths(&files))?;
        for warning in warnings {
            tracing::warn!("policy: {warning}");
        }
        let rules = RwLock::new(Arc::new(rules));
        Ok(Self { catalogue, section: section.clone(), rules, read: RwLock::new(files) })
    }

    /// Reads the files again if they were changed since; returns what looks like a mistake in them. Where they cannot be
    /// used, the rules stay what they were.
    pub(crate) fn reload_if_changed(&self) -> Result<Vec<String>> {
        let files = configured_files(&self.section)?;
        if *self.read.read() == files {
            return Ok(Vec::new());
        }
        self.read.write().clone_from(&files);
        let (rules, warnings) = read_rules(self.catalogue, self.section.options(), paths(&files))?;
        *self.rules.write() = Arc::new(rules);
        tracing::info!("read the policy files again");
        Ok(warnings.iter().map(ToString::to_string).collect())
    }

    fn current(&self) -> Arc<RuleSet> {
        Arc::clone(&self.rules.read())
    }
}

impl PolicyEnforcer for PolicyFile {
    fn allows(&self, rule: &str, target: &PolicyTarget, identity: &Identity) -> bool {
        self.current().allows(rule, target, identity)
    }

    fn attributes(&self, rule: &str) -> Option<BTreeSet<String>> {
        self.current().attributes(rule)
    }
}

/// The paths of `files`.
fn paths(files: &Files) -> impl Iterator<Item = &Path> {
    files.iter().map(|(path, _)| path.as_path())
}

/// The policy files that a configuration names, in the order in which they are read: the file, which must exist, then
/// those of each directory by name.
pub(crate) fn configured_files(section: &PolicySection) -> Result<Files> {
    let mut files = Files::new();
    let mut add = |path: PathBuf| {
        let changed = std::fs::metadata(&path).and_then(|data| data.modified());
        changed.map(|changed| files.push((path.clone(), changed))).with_context(|| path.display().to_string())
    };
    if !section.file.is_empty() {
        add(PathBuf::from(&section.file))?;
    }
    for directory in &section.dirs {
        let entries = match std::fs::read_dir(directory) {
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => continue,
            entries => entries.with_context(|| directory.clone())?,
        };
        let mut found = Vec::new();
        for entry in entries {
            let path = entry.with_context(|| directory.clone())?.path();
            let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
            if !hidden && !path.is_dir() {
                found.push(path);
            }
        }
        found.sort();
        found.into_iter().try_for_each(&mut add)?;
    }
    Ok(files)
}

/// The rules of `catalogue` with those of files in their place, and what looks like a mistake in these.
pub(crate) fn read_rules<'a>(
    catalogue: &Catalogue,
    options: PolicyOptions,
    files: impl Iterator<Item = &'a Path>,
) -> Result<(RuleSet, Vec<PolicyWarning>)> {
    let mut texts = Vec::new();
    for path in files {
        let name = path.display().to_string();
        let text = std::fs::read_to_string(path).with_context(|| name.clone())?;
        texts.push((name, text));
    }
    let files: Vec<_> = texts.iter().map(|(name, text)| PolicyText { name, text }).collect();
    RuleSet::load(catalogue, options, &files).map_err(|errors| {
        let lines: String = errors.iter().map(|error| format!("\n  {error}")).collect();
        anyhow!("the policy files cannot be used:{lines}")
    })
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use nephometer_openstack::policy::METRIC_RULES;

    use super::*;

    fn section(file: &Path, dirs: &[&Path]) -> PolicySection {
        let text = |path: &Path| path.to_str().unwrap().to_owned();
        let dirs = dirs.iter().map(|path| text(path)).collect();
        PolicySection { file: text(file), dirs, ..PolicySection::default() }
    }

    fn allowed(file: &PolicyFile) -> bool {
        file.allows("get status", &PolicyTarget::new(), &Identity::default())
    }

    #[test]
    fn follows_its_file_and_keeps_the_last_good_rules() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("policy.yaml");
        let mut moment = SystemTime::UNIX_EPOCH;
        let mut write = |text: &str| {
            std::fs::write(&path, text).unwrap();
            moment += Duration::from_secs(60);
            std::fs::File::options().write(true).open(&path).unwrap().set_modified(moment).unwrap();
        };
        write("\"get status\": \"@\"");
        let file = PolicyFile::load(&METRIC_RULES, &section(&path, &[])).unwrap();
        assert!(allowed(&file));
        write("\"get status\": \"and\"");
        assert!(file.reload_if_changed().unwrap_err().to_string().contains("rule `get status`"));
        assert!(allowed(&file));
        assert!(file.reload_if_changed().unwrap().is_empty(), "a bad file is reported once");
        write("\"get status\": \"!\"\n\"get statsu\": \"!\"");
        assert_eq!(file.reload_if_changed().unwrap().len(), 1);
        assert!(!allowed(&file));
        assert!(PolicyFile::load(&METRIC_RULES, &section(Path::new("/nonexistent"), &[])).is_err());
        assert!(!allowed(&PolicyFile::load(&METRIC_RULES, &PolicySection::default()).unwrap()));
    }

    #[test]
    fn directories_are_read_after_the_file_in_the_order_of_names() {
        let directory = tempfile::tempdir().unwrap();
        let (file, dir) = (directory.path().join("policy.yaml"), directory.path().join("policy.d"));
        std::fs::create_dir_all(dir.join("deeper")).unwrap();
        std::fs::write(&file, "\"get status\": \"!\"").unwrap();
        std::fs::write(dir.join("b.yaml"), "\"get status\": \"@\"").unwrap();
        std::fs::write(dir.join("a.yaml"), "\"get status\": \"!\"").unwrap();
        std::fs::write(dir.join(".hidden"), "[").unwrap();
        let rules =
            PolicyFile::load(&METRIC_RULES, &section(&file, &[Path::new("/nonexistent"), &dir])).unwrap();
        assert!(allowed(&rules));
        std::fs::remove_file(dir.join("b.yaml")).unwrap();
        assert!(rules.reload_if_changed().unwrap().is_empty());
        assert!(!allowed(&rules), "a file that is gone says nothing any more");
    }
}
