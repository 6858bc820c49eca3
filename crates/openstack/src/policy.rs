//! Who may do what: rules in oslo.policy's language, upstream's defaults, and an operator's overrides.
//!
//! A [`RuleSet`] is complete and checked when it exists: every rule parses, no rule refers to itself, and what could
//! not be understood was an error then, never a surprise at a request. What is unknown refuses. Each API has a
//! [`Catalogue`] of the rules that it asks for and a rule set made from it.

mod alarm_rules;
mod catalogue;
mod check;
mod explain;
mod file;
mod load;
mod metric_rules;
mod mistakes;
mod parse;

use std::collections::{BTreeMap, BTreeSet};

use nephometer_drivers::PolicyEnforcer;
use nephometer_model::{Identity, PolicyTarget};

pub use alarm_rules::ALARM_RULES;
pub use catalogue::{Catalogue, DeprecatedRule, RuleDefault, Scope};
use check::Check;
pub use explain::Explanation;
pub use load::PolicyText;
pub use metric_rules::METRIC_RULES;
pub use mistakes::{PolicyFileError, PolicyWarning};

/// How many rules may refer to each other in a row.
const MAX_CHAIN: usize = 32;

/// The rule that decides in place of rules that do not exist, where it is defined.
const FALLBACK_RULE: &str = "default";

/// How strictly rules are taken, as oslo.policy's options of the same names say.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyOptions {
    /// Whether a token whose scope is none of the rule's is refused.
    pub enforce_scope: bool,
    /// Whether the default checks of earlier releases are forgotten; else either of the two admits.
    pub enforce_new_defaults: bool,
}

impl Default for PolicyOptions {
    /// As oslo.policy has been since its release 5.
    fn default() -> Self {
        Self { enforce_scope: true, enforce_new_defaults: true }
    }
}

/// Where what a rule says comes from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Origin {
    /// The catalogue.
    Default,
    /// The catalogue, and what it said in an earlier release beside it.
    DefaultOrDeprecated,
    /// This policy file.
    File(String),
    /// A rule of this policy file by the name that the rule had in an earlier release.
    FileByOldName {
        /// The file.
        file: String,
        /// The earlier name.
        name: String,
    },
}

#[derive(Debug, Clone, PartialEq)]
struct Rule {
    check: Check,
    origin: Origin,
    /// Scopes of the tokens that it admits; empty admits all.
    scopes: &'static [Scope],
}

impl Rule {
    fn admits_scope(&self, identity: &Identity) -> bool {
        self.scopes.is_empty() || self.scopes.contains(&Scope::of(identity))
    }
}

/// Named rules, ready to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    rules: BTreeMap<String, Rule>,
}

impl RuleSet {
    /// Upstream's rules of the metric API.
    pub fn defaults() -> Self {
        let made = Self::load(&METRIC_RULES, PolicyOptions::default(), &[]);
        made.expect("the default rules are tested").0
    }

    /// Upstream's rules of the metric API with those of one policy file (YAML or JSON) in their place or beside them,
    /// and what looks like a mistake in it.
    pub fn with_file(text: &str) -> Result<(Self, Vec<PolicyWarning>), Vec<PolicyFileError>> {
        let file = PolicyText { name: "policy.yaml", text };
        Self::load(&METRIC_RULES, PolicyOptions::default(), &[file])
    }

    /// The names of all rules, and where what they say comes from.
    pub fn rules(&self) -> impl Iterator<Item = (&str, &Origin)> {
        self.rules.iter().map(|(name, rule)| (name.as_str(), &rule.origin))
    }

    /// What a rule says, in the rule language; nothing where it does not exist.
    pub fn text(&self, rule: &str) -> Option<String> {
        self.rules.get(rule).map(|rule| rule.check.to_string())
    }

    fn references(&self, rule: &str) -> BTreeSet<&str> {
        self.rules.get(rule).map(|rule| rule.check.references()).unwrap_or_default()
    }

    /// What decides for a name: its rule, or the fallback.
    fn deciding(&self, rule: &str) -> Option<&Rule> {
        self.rules.get(rule).or_else(|| self.rules.get(FALLBACK_RULE))
    }

    /// Whether the check of `rule` holds, whatever the caller's scope is: other rules are asked in this way.
    fn holds(&self, rule: &str, target: &PolicyTarget, identity: &Identity) -> bool {
        self.deciding(rule).is_some_and(|rule| {
            rule.check.holds(target, identity, &|reference| self.holds(reference, target, identity))
        })
    }

    /// The decision of [`PolicyEnforcer::allows`] as a tree of reasons.
    pub fn explain(&self, rule: &str, target: &PolicyTarget, identity: &Identity) -> Explanation {
        let decided = self.explain_rule(rule, target, identity);
        let Some(known) = self.rules.get(rule).filter(|known| !known.admits_scope(identity)) else {
            return decided;
        };
        let scopes: Vec<_> = known.scopes.iter().map(|scope| scope.name()).collect();
        let because = format!(
            "it is for tokens of scope {}; the caller's is of scope {}",
            scopes.join(", "),
            Scope::of(identity).name()
        );
        Explanation { holds: false, because, ..decided }
    }

    fn explain_rule(&self, name: &str, target: &PolicyTarget, identity: &Identity) -> Explanation {
        let Some(rule) = self.deciding(name) else {
            let because = "there is no such rule".to_owned();
            return Explanation { part: name.to_owned(), holds: false, because, parts: Vec::new() };
        };
        let missing = !self.rules.contains_key(name);
        let because =
            if missing { format!("there is no such rule: `{FALLBACK_RULE}` decides") } else { String::new() };
        let inner =
            rule.check.explain(target, identity, &|reference| self.explain_rule(reference, target, identity));
        Explanation { part: name.to_owned(), holds: inner.holds, because, parts: vec![inner] }
    }
}

impl PolicyEnforcer for RuleSet {
    fn allows(&self, rule: &str, target: &PolicyTarget, identity: &Identity) -> bool {
        let in_scope = self.rules.get(rule).is_none_or(|rule| rule.admits_scope(identity));
        in_scope && self.holds(rule, target, identity)
    }

    fn attributes(&self, rule: &str) -> Option<BTreeSet<String>> {
        let Some(rule) = self.deciding(rule) else {
            return Some(BTreeSet::new());
        };
        let mut found = BTreeSet::new();
        rule.check.visit_attributes(&mut |name| {
            found.insert(name.to_owned());
        });
        for reference in rule.check.references() {
            found.extend(self.attributes(reference)?);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests;
