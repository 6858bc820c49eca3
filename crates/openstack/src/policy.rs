//! Who may do what: rules in oslo.policy's language, upstream's defaults, and an operator's overrides.
//!
//! A [`RuleSet`] is complete and checked when it exists: every rule parses, no rule refers to itself, and what could
//! not be understood was an error then, never a surprise at a request. What is unknown refuses.

mod check;
mod defaults;
mod file;
mod parse;

use std::collections::{BTreeMap, BTreeSet};

use nephometer_drivers::PolicyEnforcer;
use nephometer_model::{Identity, PolicyTarget, closest_name};

use check::Check;
pub use defaults::DEFAULT_RULES;
use file::RuleText;
use parse::{parse_lists, parse_text};

/// How many rules may refer to each other in a row.
const MAX_CHAIN: usize = 32;

/// The rule that decides in place of rules that do not exist, where an operator defines it.
const FALLBACK_RULE: &str = "default";

/// Why a policy file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PolicyFileError {
    /// Neither YAML nor JSON, or not a mapping of names to rules.
    #[error("not a mapping of rule names to rules: {0}")]
    Format(String),
    /// A rule that does not parse.
    #[error("rule `{rule}`: {reason}")]
    Syntax {
        /// Its name.
        rule: String,
        /// What is wrong.
        reason: String,
    },
    /// A rule that refers to itself, directly or through others.
    #[error("rule `{rule}` refers to itself through {through}")]
    Cycle {
        /// Its name.
        rule: String,
        /// The rules on the way.
        through: String,
    },
    /// More than 32 rules that refer to each other in a row.
    #[error("rule `{0}` refers to rules that refer to rules, more than {MAX_CHAIN} times")]
    TooDeep(String),
}

/// Something in a policy file that is allowed and probably a mistake.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PolicyWarning {
    /// A rule that neither the program nor another rule asks for.
    Unused {
        /// Its name.
        rule: String,
        /// The rule that may have been meant.
        suggestion: Option<String>,
    },
    /// A reference to a rule that does not exist, which refuses.
    Undefined {
        /// The rule that refers.
        rule: String,
        /// What it refers to.
        reference: String,
        /// The rule that may have been meant.
        suggestion: Option<String>,
    },
}

impl std::fmt::Display for PolicyWarning {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let suggestion = match self {
            Self::Unused { rule, suggestion } => {
                write!(f, "nothing asks for rule `{rule}`")?;
                suggestion
            }
            Self::Undefined { rule, reference, suggestion } => {
                write!(f, "rule `{rule}` refers to `{reference}`, which does not exist and refuses")?;
                suggestion
            }
        };
        suggestion.as_ref().map_or(Ok(()), |name| write!(f, "; did you mean `{name}`?"))
    }
}

/// Named rules, ready to decide.
#[derive(Debug, Clone, PartialEq)]
pub struct RuleSet {
    rules: BTreeMap<String, Check>,
}

impl RuleSet {
    /// Upstream's rules.
    pub fn defaults() -> Self {
        let parsed = DEFAULT_RULES.iter().map(|(name, text)| {
            ((*name).to_owned(), parse_text(text).expect("the default rules are tested"))
        });
        Self { rules: parsed.collect() }
    }

    /// Upstream's rules with those of a policy file (YAML or JSON) in their place or beside them, and what looks like
    /// a mistake in it.
    pub fn with_file(text: &str) -> Result<(Self, Vec<PolicyWarning>), Vec<PolicyFileError>> {
        let texts = file::read(text).map_err(|e| vec![PolicyFileError::Format(e)])?;
        let mut set = Self::defaults();
        let mut errors = Vec::new();
        let given: BTreeSet<String> = texts.keys().cloned().collect();
        for (rule, text) in texts {
            let parsed = match &text {
                RuleText::Text(text) => parse_text(text),
                RuleText::Lists(lists) => parse_lists(lists),
            };
            match parsed {
                Ok(check) => drop(set.rules.insert(rule, check)),
                Err(reason) => errors.push(PolicyFileError::Syntax { rule, reason: reason.to_string() }),
            }
        }
        errors.extend(set.reference_errors());
        if errors.is_empty() { Ok((set.clone(), set.warnings(&given))) } else { Err(errors) }
    }

    fn references(&self, rule: &str) -> BTreeSet<&str> {
        self.rules.get(rule).map(Check::references).unwrap_or_default()
    }

    fn reference_errors(&self) -> Vec<PolicyFileError> {
        let mut lengths = BTreeMap::new();
        let mut errors = Vec::new();
        for rule in self.rules.keys() {
            if let Err(error) = self.chain_length(rule, &mut Vec::new(), &mut lengths) {
                errors.push(error);
            }
        }
        errors
    }

    /// How many rules in a row an evaluation of `rule` can go through.
    fn chain_length<'a>(
        &'a self,
        rule: &'a str,
        path: &mut Vec<&'a str>,
        lengths: &mut BTreeMap<&'a str, usize>,
    ) -> Result<usize, PolicyFileError> {
        if let Some(length) = lengths.get(rule) {
            return Ok(*length);
        }
        if let Some(position) = path.iter().position(|on_path| *on_path == rule) {
            let through = path[position..].join(" → ");
            return Err(PolicyFileError::Cycle { rule: rule.to_owned(), through });
        }
        if path.len() > MAX_CHAIN {
            return Err(PolicyFileError::TooDeep(path[0].to_owned()));
        }
        path.push(rule);
        let mut longest = 0;
        for reference in self.references(rule) {
            let target = if self.rules.contains_key(reference) { reference } else { FALLBACK_RULE };
            longest = longest.max(self.chain_length(target, path, lengths)?);
        }
        path.pop();
        if longest >= MAX_CHAIN {
            return Err(PolicyFileError::TooDeep(rule.to_owned()));
        }
        lengths.insert(rule, longest + 1);
        Ok(longest + 1)
    }

    fn warnings(&self, given: &BTreeSet<String>) -> Vec<PolicyWarning> {
        let known: BTreeSet<&str> = DEFAULT_RULES.iter().map(|(name, _)| *name).collect();
        let suggestion = |name: &str| {
            closest_name(name, known.iter().copied().filter(|k| *k != name)).map(ToOwned::to_owned)
        };
        let mut warnings = Vec::new();
        let mut asked_for: BTreeSet<&str> = known.clone();
        asked_for.insert(FALLBACK_RULE);
        for rule in self.rules.keys() {
            for reference in self.references(rule) {
                asked_for.insert(reference);
                if !self.rules.contains_key(reference) {
                    warnings.push(PolicyWarning::Undefined {
                        rule: rule.clone(),
                        reference: reference.to_owned(),
                        suggestion: suggestion(reference),
                    });
                }
            }
        }
        for rule in given.iter().filter(|rule| !asked_for.contains(rule.as_str())) {
            warnings.push(PolicyWarning::Unused { rule: rule.clone(), suggestion: suggestion(rule) });
        }
        warnings
    }
}

impl PolicyEnforcer for RuleSet {
    fn allows(&self, rule: &str, target: &PolicyTarget, identity: &Identity) -> bool {
        let check = self.rules.get(rule).or_else(|| self.rules.get(FALLBACK_RULE));
        check.is_some_and(|check| {
            check.holds(target, identity, &|reference| self.allows(reference, target, identity))
        })
    }

    fn attributes(&self, rule: &str) -> Option<BTreeSet<String>> {
        let Some(check) = self.rules.get(rule).or_else(|| self.rules.get(FALLBACK_RULE)) else {
            return Some(BTreeSet::new());
        };
        let mut found = BTreeSet::new();
        check.visit_attributes(&mut |name| {
            found.insert(name.to_owned());
        });
        for reference in check.references() {
            found.extend(self.attributes(reference)?);
        }
        Some(found)
    }
}

#[cfg(test)]
mod tests;
