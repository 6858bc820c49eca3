//! Makes a rule set from a catalogue and policy files, in the order and with the precedence of oslo.policy.

use std::collections::{BTreeMap, BTreeSet};

use nephometer_model::closest_name;

use super::catalogue::{Catalogue, DeprecatedRule, RuleDefault};
use super::check::Check;
use super::file::{self, RuleText};
use super::parse::{parse_lists, parse_text};
use super::{FALLBACK_RULE, MAX_CHAIN, Origin, PolicyFileError, PolicyOptions, PolicyWarning, Rule, RuleSet};

/// A policy file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PolicyText<'a> {
    /// What people call it.
    pub name: &'a str,
    /// YAML or JSON.
    pub text: &'a str,
}

/// What the files say: rule → (check, file).
type Given = BTreeMap<String, (Check, String)>;

impl RuleSet {
    /// The rules of a catalogue with those of policy files in their place or beside them, and what looks like a mistake
    /// in these. A later file wins over an earlier one. The errors are all that is wrong in all of them.
    pub fn load(
        catalogue: &Catalogue,
        options: PolicyOptions,
        files: &[PolicyText<'_>],
    ) -> Result<(Self, Vec<PolicyWarning>), Vec<PolicyFileError>> {
        let mut errors = Vec::new();
        let mut given = Given::new();
        for file in files {
            read(*file, &mut given, &mut errors);
        }
        let scopes = |name: &str| match catalogue.rule(name) {
            Some(known) if options.enforce_scope => known.scopes,
            _ => &[],
        };
        let mut rules = BTreeMap::new();
        for (name, (check, file)) in &given {
            let (check, origin) = (check.clone(), Origin::File(file.clone()));
            rules.insert(name.clone(), Rule { check, origin, scopes: scopes(name) });
        }
        for known in catalogue.rules.iter().filter(|known| !given.contains_key(known.name)) {
            let (check, origin) = default_check(known, options, &given);
            rules.insert(known.name.to_owned(), Rule { check, origin, scopes: scopes(known.name) });
        }
        let set = Self { rules };
        errors.extend(set.reference_errors());
        if errors.is_empty() {
            let warnings = set.warnings(catalogue, &given);
            Ok((set, warnings))
        } else {
            Err(errors)
        }
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

    fn warnings(&self, catalogue: &Catalogue, given: &Given) -> Vec<PolicyWarning> {
        let known: BTreeSet<&str> = catalogue.rules.iter().map(|rule| rule.name).collect();
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
        for rule in given.keys().filter(|rule| !known.contains(rule.as_str())) {
            let replacing = catalogue.rules.iter().filter_map(|new| {
                let old = new.deprecated.filter(|old| old.name == rule)?;
                let since = old.since.to_owned();
                Some(PolicyWarning::Renamed { rule: rule.clone(), name: new.name.to_owned(), since })
            });
            let before = warnings.len();
            warnings.extend(replacing);
            if warnings.len() == before && !asked_for.contains(rule.as_str()) {
                warnings.push(PolicyWarning::Unused { rule: rule.clone(), suggestion: suggestion(rule) });
            }
        }
        let says_the_default = |name: &str, check: &Check| {
            catalogue.rule(name).is_some_and(|known| default_text(known.check) == *check)
        };
        let redundant = given.iter().filter(|(name, (check, _))| says_the_default(name, check));
        warnings.extend(redundant.map(|(name, _)| PolicyWarning::Redundant(name.clone())));
        warnings
    }
}

/// Puts a file's rules over `given`.
fn read(file: PolicyText<'_>, given: &mut Given, errors: &mut Vec<PolicyFileError>) {
    let name = file.name.to_owned();
    let texts = match file::read(file.text) {
        Ok(texts) => texts,
        Err(reason) => return errors.push(PolicyFileError::Format { file: name, reason }),
    };
    for (rule, text) in texts {
        let parsed = match &text {
            RuleText::Text(text) => parse_text(text),
            RuleText::Lists(lists) => parse_lists(lists),
        };
        match parsed {
            Ok(check) => drop(given.insert(rule, (check, name.clone()))),
            Err(reason) => {
                let reason = reason.to_string();
                errors.push(PolicyFileError::Syntax { file: name.clone(), rule, reason });
            }
        }
    }
}

/// What a rule says that no file gives. An override of its earlier name stands in for it, unless that says what was the
/// default then, or refers to the rule itself; else the earlier default may admit beside the new one.
fn default_check(known: &RuleDefault, options: PolicyOptions, given: &Given) -> (Check, Origin) {
    let check = default_text(known.check);
    let Some(DeprecatedRule { name, check: old_text, .. }) = known.deprecated else {
        return (check, Origin::Default);
    };
    let old = default_text(old_text);
    if name != known.name
        && let Some((stands_in, file)) = given.get(name)
        && *stands_in != old
        && *stands_in != Check::Rule(known.name.to_owned())
    {
        let origin = Origin::FileByOldName { file: file.clone(), name: name.to_owned() };
        return (stands_in.clone(), origin);
    }
    if options.enforce_new_defaults || old_text == known.check {
        return (check, Origin::Default);
    }
    (Check::Or(vec![check, old]), Origin::DefaultOrDeprecated)
}

fn default_text(text: &str) -> Check {
    parse_text(text).expect("the catalogues are tested")
}
