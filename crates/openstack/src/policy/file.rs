//! Policy files: a mapping of rule names to rules, in YAML or JSON (which is YAML).

use std::collections::BTreeMap;

use serde::Deserialize;

/// A rule as a file gives it.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum RuleText {
    /// In the rule language.
    Text(String),
    /// In the older form.
    Lists(Vec<RuleList>),
}

/// One alternative of the older form.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(untagged)]
pub(super) enum RuleList {
    /// One check.
    One(String),
    /// Several checks that must all hold.
    All(Vec<String>),
}

/// Reads a file's text; one that holds nothing but comments has no rules.
pub(super) fn read(text: &str) -> Result<BTreeMap<String, RuleText>, String> {
    let rules: Option<BTreeMap<String, RuleText>> =
        serde_saphyr::from_str(text).map_err(|e| e.to_string())?;
    Ok(rules.unwrap_or_default())
}
