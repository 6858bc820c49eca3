//! What an API asks rules for: their names, what they say by default, and the scopes that a token may have.

use nephometer_model::Identity;

/// Ways in which a token is scoped.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// To the whole deployment.
    System,
    /// To a domain.
    Domain,
    /// To a project, or to nothing.
    Project,
}

impl Scope {
    /// Every scope.
    pub const ALL: &'static [Self] = &[Self::System, Self::Domain, Self::Project];

    /// The scope of `identity` as oslo.policy counts it: system before domain, and project where there is neither.
    pub fn of(identity: &Identity) -> Self {
        let given = |value: &Option<String>| value.as_ref().is_some_and(|value| !value.is_empty());
        if given(&identity.system_scope) {
            Self::System
        } else if given(&identity.domain_id) {
            Self::Domain
        } else {
            Self::Project
        }
    }

    /// Its name in upstream's catalogues.
    pub fn name(self) -> &'static str {
        match self {
            Self::System => "system",
            Self::Domain => "domain",
            Self::Project => "project",
        }
    }
}

/// What a rule was called or said in earlier releases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeprecatedRule {
    /// The name, often the same.
    pub name: &'static str,
    /// The check.
    pub check: &'static str,
    /// The release that replaced it.
    pub since: &'static str,
}

/// A rule that the program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RuleDefault {
    /// What handlers and other rules call it.
    pub name: &'static str,
    /// What it says where no file says otherwise.
    pub check: &'static str,
    /// Scopes of tokens that it admits; none where it only serves other rules, which admits all.
    pub scopes: &'static [Scope],
    /// The routes that ask for it: (method, path); none for rules that only serve other rules.
    pub operations: &'static [(&'static str, &'static str)],
    /// What it replaces.
    pub deprecated: Option<DeprecatedRule>,
}

impl RuleDefault {
    /// A rule that other rules refer to.
    pub(super) const fn base(name: &'static str, check: &'static str) -> Self {
        Self { name, check, scopes: &[], operations: &[], deprecated: None }
    }
}

/// The rules of one API.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Catalogue {
    /// The API's name in configuration and tools.
    pub api: &'static str,
    /// Its rules, those that others refer to first.
    pub rules: &'static [RuleDefault],
}

impl Catalogue {
    /// The rule called `name`.
    pub fn rule(&self, name: &str) -> Option<&'static RuleDefault> {
        self.rules.iter().find(|rule| rule.name == name)
    }
}
