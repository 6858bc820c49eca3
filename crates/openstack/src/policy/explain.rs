//! Why a decision came out as it did, for people.

use nephometer_model::{Identity, PolicyTarget};
use serde::Serialize;

use super::check::{Check, Piece, Template, caller_values};

/// How a rule, or a part of one, came out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Explanation {
    /// The part, in the rule language.
    pub part: String,
    /// Whether it holds.
    pub holds: bool,
    /// Why; empty where its parts say it.
    pub because: String,
    /// What it is made of; all of it, also what did not matter any more.
    pub parts: Vec<Explanation>,
}

impl Explanation {
    fn of(part: &Check, holds: bool, because: impl Into<String>) -> Self {
        Self { part: part.to_string(), holds, because: because.into(), parts: Vec::new() }
    }

    fn made_of(part: &Check, holds: bool, parts: Vec<Self>) -> Self {
        Self { parts, ..Self::of(part, holds, "") }
    }

    /// The tree as indented lines, each with `+` where its part holds and `-` where it does not.
    pub fn lines(&self) -> String {
        let mut text = String::new();
        self.write(0, &mut text);
        text
    }

    fn write(&self, depth: usize, text: &mut String) {
        let sign = if self.holds { '+' } else { '-' };
        let colon = if self.because.is_empty() { "" } else { ": " };
        text.push_str(&format!(
            "{:indent$}{sign} {}{colon}{}\n",
            "",
            self.part,
            self.because,
            indent = 2 * depth
        ));
        for part in &self.parts {
            part.write(depth + 1, text);
        }
    }
}

impl Check {
    /// The decision with its reasons; `rule` explains other rules by name. Agrees with [`Check::holds`].
    pub(super) fn explain(
        &self,
        target: &PolicyTarget,
        identity: &Identity,
        rule: &dyn Fn(&str) -> Explanation,
    ) -> Explanation {
        let each = |checks: &[Self]| -> Vec<Explanation> {
            checks.iter().map(|check| check.explain(target, identity, rule)).collect()
        };
        match self {
            Self::Always => Explanation::of(self, true, "always holds"),
            Self::Never => Explanation::of(self, false, "never holds"),
            Self::Rule(name) => {
                let named = rule(name);
                Explanation { part: self.to_string(), ..named }
            }
            Self::Not(check) => {
                let inner = check.explain(target, identity, rule);
                Explanation::made_of(self, !inner.holds, vec![inner])
            }
            Self::And(checks) => {
                let parts = each(checks);
                Explanation::made_of(self, parts.iter().all(|part| part.holds), parts)
            }
            Self::Or(checks) => {
                let parts = each(checks);
                Explanation::made_of(self, parts.iter().any(|part| part.holds), parts)
            }
            Self::Role(template) => {
                let has = format!("the caller's roles: {}", listed(&identity.roles));
                self.explain_comparison(template, target, identity, &has)
            }
            Self::Caller { attribute, equals } => {
                let values: Vec<_> = caller_values(identity, attribute)
                    .into_iter()
                    .map(std::borrow::Cow::into_owned)
                    .collect();
                let has = format!("the caller's {attribute}: {}", listed(&values));
                self.explain_comparison(equals, target, identity, &has)
            }
            Self::Literal { text, equals, .. } => {
                self.explain_comparison(equals, target, identity, &format!("the literal `{text}`"))
            }
        }
    }

    /// The reason of a comparison of `has` with what `wanted` is for the target.
    fn explain_comparison(
        &self,
        wanted: &Template,
        target: &PolicyTarget,
        identity: &Identity,
        has: &str,
    ) -> Explanation {
        let holds = self.holds(target, identity, &|_| false);
        let because = match wanted.fill(target) {
            Some(text) => format!("wanted `{text}`; {has}"),
            None => {
                let missing = wanted.0.iter().filter_map(|piece| match piece {
                    Piece::Target(name) if !target.contains_key(name) => Some(name.clone()),
                    _ => None,
                });
                format!("the target has no {}", missing.collect::<Vec<_>>().join(", "))
            }
        };
        Explanation::of(self, holds, because)
    }
}

fn listed(values: &[String]) -> String {
    if values.is_empty() { "none".to_owned() } else { values.join(", ") }
}
