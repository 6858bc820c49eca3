//! Archive policy rules: which policy a metric gets by its name.

use nephometer_drivers::IndexError;
use nephometer_model::{ArchivePolicyRule, PolicyTarget, glob_match};

use crate::{Access, MetricError, MetricService};

/// The policy that the first matching rule chooses; `rules` are in matching order, a metric without a name counts as
/// one with an empty name.
pub fn choose_policy<'a>(rules: &'a [ArchivePolicyRule], metric_name: Option<&str>) -> Option<&'a str> {
    let name = metric_name.unwrap_or_default();
    let rule = rules.iter().find(|rule| glob_match(&rule.metric_pattern, name));
    rule.map(|rule| rule.archive_policy_name.as_str())
}

fn rule_target(rule: &ArchivePolicyRule) -> PolicyTarget {
    PolicyTarget::from([
        ("name".to_owned(), rule.name.clone()),
        ("metric_pattern".to_owned(), rule.metric_pattern.clone()),
        ("archive_policy_name".to_owned(), rule.archive_policy_name.clone()),
    ])
}

impl MetricService {
    /// The policy that rules choose for a metric of this name.
    pub async fn policy_for_metric(&self, name: Option<&str>) -> Result<String, MetricError> {
        let rules = self.indexer.archive_policy_rules().await?;
        let chosen = choose_policy(&rules, name).map(str::to_owned);
        chosen.ok_or_else(|| MetricError::NoRuleMatches(name.map(str::to_owned)))
    }

    /// Refuses unless the caller may make rules at all.
    pub fn require_create_archive_policy_rule(&self, access: &Access<'_>) -> Result<(), MetricError> {
        access.require("create archive policy rule", &PolicyTarget::new())
    }

    /// Makes a rule; its policy must exist.
    pub async fn create_archive_policy_rule(
        &self,
        access: &Access<'_>,
        rule: ArchivePolicyRule,
    ) -> Result<ArchivePolicyRule, MetricError> {
        access.require("create archive policy rule", &rule_target(&rule))?;
        match self.indexer.create_archive_policy_rule(rule.clone()).await {
            Err(IndexError::NoSuchArchivePolicy(name)) => Err(MetricError::RulePolicy(name)),
            other => Ok(other.map(|()| rule)?),
        }
    }

    /// One rule.
    pub async fn archive_policy_rule(
        &self,
        access: &Access<'_>,
        name: &str,
    ) -> Result<ArchivePolicyRule, MetricError> {
        let rule = self.indexer.archive_policy_rule(name).await?;
        access.require("get archive policy rule", &rule_target(&rule))?;
        Ok(rule)
    }

    /// All rules in matching order.
    pub async fn archive_policy_rules(
        &self,
        access: &Access<'_>,
    ) -> Result<Vec<ArchivePolicyRule>, MetricError> {
        access.require("list archive policy rule", &PolicyTarget::new())?;
        Ok(self.indexer.archive_policy_rules().await?)
    }

    /// Refuses unless the rule exists.
    pub async fn require_archive_policy_rule(&self, name: &str) -> Result<(), MetricError> {
        self.indexer.archive_policy_rule(name).await?;
        Ok(())
    }

    /// Renames a rule.
    pub async fn rename_archive_policy_rule(
        &self,
        access: &Access<'_>,
        name: &str,
        new_name: &str,
    ) -> Result<ArchivePolicyRule, MetricError> {
        access.require("update archive policy rule", &PolicyTarget::new())?;
        match self.indexer.rename_archive_policy_rule(name, new_name).await {
            Err(IndexError::ArchivePolicyRuleAlreadyExists(taken)) => {
                Err(MetricError::RuleChange { name: name.to_owned(), taken })
            }
            other => Ok(other?),
        }
    }

    /// Deletes a rule.
    pub async fn delete_archive_policy_rule(
        &self,
        access: &Access<'_>,
        name: &str,
    ) -> Result<(), MetricError> {
        self.require_archive_policy_rule(name).await?;
        access.require("delete archive policy rule", &PolicyTarget::new())?;
        Ok(self.indexer.delete_archive_policy_rule(name).await?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_match_wins_and_no_name_is_an_empty_one() {
        let rule = |pattern: &str, policy: &str| ArchivePolicyRule {
            name: pattern.to_owned(),
            metric_pattern: pattern.to_owned(),
            archive_policy_name: policy.to_owned(),
        };
        let rules = [rule("disk.io.*", "high"), rule("disk.*", "medium"), rule("?*", "low")];
        assert_eq!(choose_policy(&rules, Some("disk.io.read")), Some("high"));
        assert_eq!(choose_policy(&rules, Some("disk.size")), Some("medium"));
        assert_eq!(choose_policy(&rules, Some("x")), Some("low"));
        assert_eq!(choose_policy(&rules, None), None);
    }
}
