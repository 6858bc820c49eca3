//! The tree of a parsed rule and how it decides.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::fmt;

use nephometer_model::{Identity, PolicyTarget};

/// A condition on the caller and the target.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Check {
    /// `@`, or an empty rule.
    Always,
    /// `!`.
    Never,
    /// `rule:name`: what another rule says.
    Rule(String),
    /// `role:x`: the caller has the role, whatever its case.
    Role(Template),
    /// `project_id:%(project_id)s`: one of the caller's attributes equals a text.
    Caller { attribute: String, equals: Template },
    /// `'text':%(name)s`: a literal, here as it is written and as it is compared, equals a text.
    Literal { written: String, text: String, equals: Template },
    /// `not a`.
    Not(Box<Check>),
    /// `a and b`.
    And(Vec<Check>),
    /// `a or b`.
    Or(Vec<Check>),
}

/// Text with `%(name)s` places that the target fills.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Template(pub(super) Vec<Piece>);

/// A piece of a [`Template`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Piece {
    Text(String),
    Target(String),
}

impl Template {
    /// The text for `target`; nothing where the target lacks a name.
    pub(super) fn fill(&self, target: &PolicyTarget) -> Option<String> {
        let mut text = String::new();
        for piece in &self.0 {
            match piece {
                Piece::Text(piece) => text.push_str(piece),
                Piece::Target(name) => text.push_str(target.get(name)?),
            }
        }
        Some(text)
    }
}

impl Check {
    /// Whether the condition holds; `rule` evaluates other rules by name.
    pub(super) fn holds(
        &self,
        target: &PolicyTarget,
        identity: &Identity,
        rule: &dyn Fn(&str) -> bool,
    ) -> bool {
        match self {
            Self::Always => true,
            Self::Never => false,
            Self::Rule(name) => rule(name),
            Self::Role(role) => role.fill(target).is_some_and(|role| {
                identity.roles.iter().any(|has| has.to_lowercase() == role.to_lowercase())
            }),
            Self::Caller { attribute, equals } => equals.fill(target).is_some_and(|text| {
                caller_values(identity, attribute).into_iter().any(|value| value == text)
            }),
            Self::Literal { text, equals, .. } => equals.fill(target).is_some_and(|filled| filled == *text),
            Self::Not(check) => !check.holds(target, identity, rule),
            Self::And(checks) => checks.iter().all(|check| check.holds(target, identity, rule)),
            Self::Or(checks) => checks.iter().any(|check| check.holds(target, identity, rule)),
        }
    }

    /// Calls `visit` with the name of each rule that this one refers to.
    pub(super) fn visit_references<'a>(&'a self, visit: &mut impl FnMut(&'a str)) {
        match self {
            Self::Rule(name) => visit(name),
            Self::Not(check) => check.visit_references(visit),
            Self::And(checks) | Self::Or(checks) => {
                for check in checks {
                    check.visit_references(visit);
                }
            }
            _ => {}
        }
    }
}

impl Check {
    /// The rules that this one refers to.
    pub(super) fn references(&self) -> BTreeSet<&str> {
        let mut found = BTreeSet::new();
        self.visit_references(&mut |name| {
            found.insert(name);
        });
        found
    }

    /// Calls `visit` with the name of each attribute of the target that this rule by itself compares.
    pub(super) fn visit_attributes(&self, visit: &mut impl FnMut(&str)) {
        match self {
            Self::Role(template)
            | Self::Caller { equals: template, .. }
            | Self::Literal { equals: template, .. } => {
                for piece in &template.0 {
                    if let Piece::Target(name) = piece {
                        visit(name);
                    }
                }
            }
            Self::Not(check) => check.visit_attributes(visit),
            Self::And(checks) | Self::Or(checks) => {
                for check in checks {
                    check.visit_attributes(visit);
                }
            }
            Self::Always | Self::Never | Self::Rule(_) => {}
        }
    }
}

/// The values of one of the caller's attributes, under the names that services give them: Gnocchi's (`user`), those of
/// oslo.context (`user_id`, `system_scope`, …) and its older ones (`tenant`). What the caller lacks has no value, and
/// none has attributes of its own, so that a name with dots finds nothing.
pub(super) fn caller_values<'a>(identity: &'a Identity, attribute: &str) -> Vec<Cow<'a, str>> {
    let one = |value: &'a Option<String>| value.iter().map(|value| Cow::Borrowed(value.as_str())).collect();
    let all = |values: &'a [String]| values.iter().map(|value| Cow::Borrowed(value.as_str())).collect();
    match attribute {
        "user" if identity.user.is_none() => one(&identity.creator),
        "user" => one(&identity.user),
        "user_id" => one(&identity.user_id),
        "user_domain_id" | "user_domain" => one(&identity.user_domain_id),
        "project_id" | "tenant" => one(&identity.project_id),
        "project_domain_id" | "project_domain" => one(&identity.project_domain_id),
        "domain_id" => one(&identity.domain_id),
        "system" | "system_scope" => one(&identity.system_scope),
        "roles" => all(&identity.roles),
        "is_admin_project" => {
            vec![Cow::Borrowed(if identity.is_admin_project { "True" } else { "False" })]
        }
        "service_roles" => all(&identity.service_roles),
        "service_user_id" => one(&identity.service_user_id),
        "service_project_id" => one(&identity.service_project_id),
        _ => Vec::new(),
    }
}

impl fmt::Display for Template {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => f.write_str(&text.replace('%', "%%")),
            Piece::Target(name) => write!(f, "%({name})s"),
        })
    }
}

/// The rule in the rule language, as oslo.policy prints it.
impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Always => f.write_str("@"),
            Self::Never => f.write_str("!"),
            Self::Rule(name) => write!(f, "rule:{name}"),
            Self::Role(role) => write!(f, "role:{role}"),
            Self::Caller { attribute, equals } => write!(f, "{attribute}:{equals}"),
            Self::Literal { written, equals, .. } => write!(f, "{written}:{equals}"),
            Self::Not(check) => write!(f, "not {check}"),
            Self::And(checks) => joined(f, checks, " and "),
            Self::Or(checks) => joined(f, checks, " or "),
        }
    }
}

fn joined(f: &mut fmt::Formatter<'_>, checks: &[Check], operator: &str) -> fmt::Result {
    f.write_str("(")?;
    for (at, check) in checks.iter().enumerate() {
        if at > 0 {
            f.write_str(operator)?;
        }
        write!(f, "{check}")?;
    }
    f.write_str(")")
}
