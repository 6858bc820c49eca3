//! Archive policies and rules.

use std::sync::Arc;

use nephometer_model::{
    AggregationMethod, ArchivePolicyRule, MethodSet, PolicyItem, PolicyKey, Reducer, Timespan,
};

use super::fixtures::{metric, mid, policy};
use crate::{IndexError, Indexer, PolicyChange};

fn rule(name: &str, pattern: &str, policy: &str) -> ArchivePolicyRule {
    ArchivePolicyRule {
        name: name.to_owned(),
        metric_pattern: pattern.to_owned(),
        archive_policy_name: policy.to_owned(),
    }
}

/// Definitions keep order and exact widths, methods their order, names any character; lists are sorted.
pub async fn policies_are_kept_as_given(index: &dyn Indexer) {
    let mut wanted = Vec::new();
    for name in ["low", "Über/hoch", "low ", "Low"] {
        let made = index.create_archive_policy(policy(name)).await.unwrap();
        assert_ne!(made.key, PolicyKey(0));
        let mut expected = policy(name);
        expected.key = made.key;
        assert_eq!(*made, expected);
        assert_eq!(index.archive_policy(name).await.unwrap(), made);
        wanted.push(made);
    }
    wanted.sort_by(|a, b| a.name.cmp(&b.name));
    assert_eq!(index.archive_policies().await.unwrap(), wanted);
    let error = index.create_archive_policy(policy("low")).await.unwrap_err();
    assert_eq!(error, IndexError::ArchivePolicyAlreadyExists("low".to_owned()));
    let error = index.archive_policy("lo").await.unwrap_err();
    assert_eq!(error.to_string(), "Archive policy lo does not exist");
}

/// A changed policy is seen by metrics that are read afterwards.
pub async fn policies_change_for_their_metrics_too(index: &dyn Indexer) {
    let before = index.create_archive_policy(policy("low")).await.unwrap();
    let made = index.create_metric(metric(1, None, "cpu")).await.unwrap();
    assert_eq!(made.policy, before);
    let change = PolicyChange {
        definition: Some(vec![PolicyItem { granularity: Timespan::from_seconds(5), points: Some(9) }]),
        back_window: Some(0),
        methods: None,
    };
    let after = index.update_archive_policy("low", change).await.unwrap();
    assert_eq!((after.key, after.back_window, after.definition.len()), (before.key, 0, 1));
    assert_eq!(after.methods, before.methods);
    let methods = MethodSet::new([AggregationMethod::rate_of(Reducer::Percentile(95))]);
    let change = PolicyChange { methods: Some(methods.clone()), ..PolicyChange::default() };
    let last = index.update_archive_policy("low", change).await.unwrap();
    assert_eq!((&last.definition, &last.methods), (&after.definition, &methods));
    assert_eq!(index.archive_policy("low").await.unwrap(), last);
    assert_eq!(index.metrics_by_id(&[mid(1)]).await.unwrap()[0].policy, last);
    let error = index.update_archive_policy("high", PolicyChange::default()).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchArchivePolicy("high".to_owned()));
}

/// Metrics and rules keep their policy.
pub async fn policies_in_use_stay(index: &dyn Indexer) {
    index.create_archive_policy(policy("low")).await.unwrap();
    index.create_archive_policy(policy("ruled")).await.unwrap();
    index.create_metric(metric(1, None, "cpu")).await.unwrap();
    index.create_archive_policy_rule(rule("r", "*", "ruled")).await.unwrap();
    for name in ["low", "ruled"] {
        let error = index.delete_archive_policy(name).await.unwrap_err();
        assert_eq!(error, IndexError::ArchivePolicyInUse(name.to_owned()));
    }
    index.delete_metric(mid(1)).await.unwrap();
    index.delete_archive_policy_rule("r").await.unwrap();
    for name in ["low", "ruled"] {
        index.delete_archive_policy(name).await.unwrap();
        let error = index.delete_archive_policy(name).await.unwrap_err();
        assert_eq!(error, IndexError::NoSuchArchivePolicy(name.to_owned()));
    }
    assert!(index.archive_policies().await.unwrap().is_empty());
}

/// A policy that is made again is another one.
pub async fn policy_keys_are_never_used_again(index: &dyn Indexer) {
    let mut keys: Vec<PolicyKey> = Vec::new();
    for _ in 0..3 {
        let made: Arc<_> = index.create_archive_policy(policy("low")).await.unwrap();
        assert!(keys.iter().all(|known| *known < made.key));
        keys.push(made.key);
        index.delete_archive_policy("low").await.unwrap();
    }
}

/// Patterns descend by code point; equal ones ascend by name.
pub async fn rules_come_in_matching_order(index: &dyn Indexer) {
    index.create_archive_policy(policy("low")).await.unwrap();
    for (name, pattern) in [
        ("all", "*"),
        ("disk", "disk.*"),
        ("deep", "disk.foo.*"),
        ("upper", "Disk.*"),
        ("accent", "é.*"),
        ("z", "z*"),
        ("second", "disk.*"),
        ("Second", "disk.*"),
    ] {
        index.create_archive_policy_rule(rule(name, pattern, "low")).await.unwrap();
    }
    let rules = index.archive_policy_rules().await.unwrap();
    let names: Vec<_> = rules.iter().map(|rule| rule.name.as_str()).collect();
    assert_eq!(names, ["accent", "z", "deep", "Second", "disk", "second", "upper", "all"]);
    assert_eq!(rules[2], rule("deep", "disk.foo.*", "low"));
    let error = index.create_archive_policy_rule(rule("z", "a", "low")).await.unwrap_err();
    assert_eq!(error, IndexError::ArchivePolicyRuleAlreadyExists("z".to_owned()));
    let error = index.create_archive_policy_rule(rule("y", "a", "high")).await.unwrap_err();
    assert_eq!(error, IndexError::NoSuchArchivePolicy("high".to_owned()));
}

/// A new name must be free; the rest of a rule stays.
pub async fn rules_are_renamed_and_deleted(index: &dyn Indexer) {
    index.create_archive_policy(policy("low")).await.unwrap();
    index.create_archive_policy_rule(rule("a", "x*", "low")).await.unwrap();
    index.create_archive_policy_rule(rule("b", "y*", "low")).await.unwrap();
    let error = index.rename_archive_policy_rule("a", "b").await.unwrap_err();
    assert_eq!(error, IndexError::ArchivePolicyRuleAlreadyExists("b".to_owned()));
    let renamed = index.rename_archive_policy_rule("a", "c é").await.unwrap();
    assert_eq!(renamed, rule("c é", "x*", "low"));
    assert_eq!(index.archive_policy_rule("c é").await.unwrap(), renamed);
    let missing = IndexError::NoSuchArchivePolicyRule("a".to_owned());
    assert_eq!(index.archive_policy_rule("a").await.unwrap_err(), missing);
    assert_eq!(index.rename_archive_policy_rule("a", "d").await.unwrap_err(), missing);
    assert_eq!(index.delete_archive_policy_rule("a").await.unwrap_err(), missing);
    index.delete_archive_policy_rule("c é").await.unwrap();
    assert_eq!(index.archive_policy_rules().await.unwrap().len(), 1);
}
