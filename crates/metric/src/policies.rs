//! Archive policies: made, changed, deleted; the store hears of each change before the caller does.

use std::sync::Arc;

use nephometer_drivers::PolicyChange;
use nephometer_model::{
    ArchivePolicy, MethodSet, NewArchivePolicy, PolicyError, PolicyItem, PolicyItemSpec, PolicyKey,
    PolicyTarget,
};

use crate::access::policy_target;
use crate::{Access, MetricError, MetricService};

/// What is to change in a policy; absent parts stay.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ArchivePolicyPatch {
    /// New definitions.
    pub definition: Option<Vec<PolicyItemSpec>>,
    /// New back window.
    pub back_window: Option<u64>,
    /// Names of methods, as in [`NewArchivePolicy::methods`].
    pub methods: Option<Vec<String>>,
    /// Whether granularities may be added, dropped and changed, which upstream refuses.
    pub redefine: bool,
}

fn resolve(definition: &[PolicyItemSpec]) -> Result<Vec<PolicyItem>, PolicyError> {
    let resolve_one =
        |item: &PolicyItemSpec| PolicyItem::resolve(item.granularity, item.points, item.timespan);
    definition.iter().map(resolve_one).collect()
}

/// Refuses a definition with other granularities than `old`, in upstream's words.
fn check_same_granularities(policy: &ArchivePolicy, new: &[PolicyItem]) -> Result<(), MetricError> {
    let refuse = |reason: String| Err(MetricError::PolicyChange { name: policy.name.clone(), reason });
    let sorted = |items: &[PolicyItem]| {
        let mut widths: Vec<_> = items.iter().map(|item| item.granularity).collect();
        widths.sort_unstable();
        widths
    };
    let (old, new) = (sorted(&policy.definition), sorted(new));
    if old.len() != new.len() {
        return refuse("Cannot add or drop granularities".to_owned());
    }
    match old.iter().zip(&new).find(|(old, new)| old != new) {
        Some((old, _)) => refuse(format!("{:?} granularity interval was changed", old.seconds())),
        None => Ok(()),
    }
}

impl MetricService {
    fn select_methods(&self, names: &[String]) -> Result<MethodSet, MetricError> {
        MethodSet::select(names, &self.settings.default_methods)
            .map_err(|position| MetricError::UnknownMethod { position })
    }

    /// Refuses unless the caller may make policies at all.
    pub fn require_create_archive_policy(&self, access: &Access<'_>) -> Result<(), MetricError> {
        access.require("create archive policy", &PolicyTarget::new())
    }

    /// Makes a policy.
    pub async fn create_archive_policy(
        &self,
        access: &Access<'_>,
        new: NewArchivePolicy,
    ) -> Result<Arc<ArchivePolicy>, MetricError> {
        let definition = resolve(&new.definition)?;
        ArchivePolicy::check_definition(&definition)?;
        let methods = match &new.methods {
            Some(names) => self.select_methods(names)?,
            None => self.settings.default_methods.clone(),
        };
        let policy = ArchivePolicy {
            key: PolicyKey(0),
            name: new.name,
            back_window: new.back_window,
            definition,
            methods,
        };
        access.require("create archive policy", &policy_target(&policy))?;
        let policy = self.indexer.create_archive_policy(policy).await?;
        self.load_policies().await?;
        Ok(policy)
    }

    /// One policy.
    pub async fn archive_policy(
        &self,
        access: &Access<'_>,
        name: &str,
    ) -> Result<Arc<ArchivePolicy>, MetricError> {
        let policy = self.indexer.archive_policy(name).await?;
        access.require("get archive policy", &policy_target(&policy))?;
        Ok(policy)
    }

    /// All policies, by name.
    pub async fn archive_policies(
        &self,
        access: &Access<'_>,
    ) -> Result<Vec<Arc<ArchivePolicy>>, MetricError> {
        access.require("list archive policy", &PolicyTarget::new())?;
        Ok(self.indexer.archive_policies().await?)
    }

    /// Refuses unless the policy exists and the caller may change it.
    pub async fn require_update_archive_policy(
        &self,
        access: &Access<'_>,
        name: &str,
    ) -> Result<(), MetricError> {
        let policy = self.indexer.archive_policy(name).await?;
        access.require("update archive policy", &policy_target(&policy))
    }

    /// Changes a policy; what is stored answers by the new one as far as raw measures reach.
    pub async fn change_archive_policy(
        &self,
        access: &Access<'_>,
        name: &str,
        patch: ArchivePolicyPatch,
    ) -> Result<Arc<ArchivePolicy>, MetricError> {
        let policy = self.indexer.archive_policy(name).await?;
        access.require("update archive policy", &policy_target(&policy))?;
        let definition = patch.definition.as_deref().map(resolve).transpose()?;
        if let Some(definition) = &definition {
            ArchivePolicy::check_definition(definition)?;
            if !patch.redefine {
                check_same_granularities(&policy, definition)?;
            }
        }
        let methods = patch.methods.as_deref().map(|names| self.select_methods(names)).transpose()?;
        let change = PolicyChange { definition, back_window: patch.back_window, methods };
        let policy = self.indexer.update_archive_policy(name, change).await?;
        self.load_policies().await?;
        Ok(policy)
    }

    /// Deletes a policy that nothing uses.
    pub async fn delete_archive_policy(&self, access: &Access<'_>, name: &str) -> Result<(), MetricError> {
        access.require("delete archive policy", &PolicyTarget::new())?;
        self.indexer.delete_archive_policy(name).await?;
        self.load_policies().await
    }
}
