//! The rules in force: upstream's defaults with the operator's file over them, read again when the file changes.

use std::collections::BTreeSet;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::SystemTime;

use anyhow::{Context, Result, anyhow};
use nephometer_drivers::PolicyEnforcer;
use nephometer_model::{Identity, PolicyTarget};
use nephometer_openstack::policy::RuleSet;
use parking_lot::RwLock;

/// Rules that follow a file.
pub(crate) struct PolicyFile {
    path: Option<PathBuf>,
    rules: RwLock<Arc<RuleSet>>,
    read: RwLock<Option<SystemTime>>,
}

impl PolicyFile {
    /// The rules of `path`, or the defaults where it is empty; a file with mistakes is refused. Warnings are logged.
    pub(crate) fn load(path: &str) -> Result<Self> {
        let path = (!path.is_empty()).then(|| PathBuf::from(path));
        let file = Self { path, rules: RwLock::new(Arc::new(RuleSet::defaults())), read: RwLock::new(None) };
        for warning in file.reload_if_changed()? {
            tracing::warn!("policy.file: {warning}");
        }
        Ok(file)
    }

    /// Reads the file again if it was changed since; returns what looks like a mistake in it. Where it cannot be used,
    /// the rules stay what they were.
    pub(crate) fn reload_if_changed(&self) -> Result<Vec<String>> {
        let Some(path) = &self.path else { return Ok(Vec::new()) };
        let shown = path.display();
        let changed =
            std::fs::metadata(path).and_then(|data| data.modified()).with_context(|| shown.to_string())?;
        if *self.read.read() == Some(changed) {
            return Ok(Vec::new());
        }
        let first = self.read.write().replace(changed).is_none();
        let text = std::fs::read_to_string(path).with_context(|| shown.to_string())?;
        let (rules, warnings) = RuleSet::with_file(&text).map_err(|errors| {
            let lines: String = errors.iter().map(|error| format!("\n  {error}")).collect();
            anyhow!("the policy file {shown} cannot be used:{lines}")
        })?;
        *self.rules.write() = Arc::new(rules);
        if !first {
            tracing::info!("read the policy file {shown} again");
        }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

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
        let file = PolicyFile::load(path.to_str().unwrap()).unwrap();
        let allowed =
            |file: &PolicyFile| file.allows("get status", &PolicyTarget::new(), &Identity::default());
        assert!(allowed(&file));
        write("\"get status\": \"and\"");
        assert!(file.reload_if_changed().unwrap_err().to_string().contains("rule `get status`"));
        assert!(allowed(&file));
        assert!(file.reload_if_changed().unwrap().is_empty(), "a bad file is reported once");
        write("\"get status\": \"!\"\n\"get statsu\": \"!\"");
        assert_eq!(file.reload_if_changed().unwrap().len(), 1);
        assert!(!allowed(&file));
        assert!(PolicyFile::load("/nonexistent").is_err());
        assert!(!allowed(&PolicyFile::load("").unwrap()));
    }
}
