//! The tree of a parsed rule and how it decides.

use std::collections::BTreeSet;

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
    /// `'text':%(name)s`: a literal equals a text.
    Literal { text: String, equals: Template },
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
    fn fill(&self, target: &PolicyTarget) -> Option<String> {
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
            Self::Literal { text, equals } => equals.fill(target).is_some_and(|filled| filled == *text),
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

/// The values of one of the caller's attributes, under the names that upstream's credentials have.
fn caller_values<'a>(identity: &'a Identity, attribute: &str) -> Vec<&'a str> {
    let one = |value: &'a Option<String>| value.iter().map(String::as_str).collect();
    match attribute {
        "user" if identity.user.is_none() => one(&identity.creator),
        "user" => one(&identity.user),
        "user_id" => one(&identity.user_id),
        "project_id" => one(&identity.project_id),
        "domain_id" => one(&identity.domain_id),
        "system" | "system_scope" => one(&identity.system_scope),
        "roles" => identity.roles.iter().map(String::as_str).collect(),
        _ => Vec::new(),
    }
}
