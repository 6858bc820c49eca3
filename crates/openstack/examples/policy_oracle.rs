//! Answers questions about policy rules, one JSON object a line, for `conformance/policy/differential.py`.
//!
//! `{"catalogue": "metric"}` asks for a catalogue. Otherwise a line is a world: a catalogue (a name, or its rules), options,
//! the texts of policy files, and questions; the answer is one decision for each, or what is wrong with the files.

use std::io::{BufRead, Write};

use nephometer_drivers::PolicyEnforcer as _;
use nephometer_model::{Identity, PolicyTarget};
use nephometer_openstack::policy::{
    ALARM_RULES, Catalogue, DeprecatedRule, METRIC_RULES, PolicyOptions, PolicyText, RuleDefault, RuleSet,
    Scope,
};
use serde::Deserialize;
use serde_json::{Value, json};

#[derive(Deserialize)]
struct World {
    catalogue: CatalogueChoice,
    enforce_scope: Option<bool>,
    enforce_new_defaults: Option<bool>,
    files: Option<Vec<String>>,
    questions: Option<Vec<Question>>,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum CatalogueChoice {
    Named(String),
    Rules(Vec<GivenRule>),
}

#[derive(Deserialize)]
struct GivenRule {
    name: String,
    check: String,
    scopes: Vec<String>,
    deprecated: Option<(String, String)>,
}

#[derive(Deserialize)]
struct Question {
    rule: String,
    target: PolicyTarget,
    credentials: Credentials,
}

/// A caller's attributes by the names that oslo.policy sees.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Credentials {
    #[serde(default)]
    roles: Vec<String>,
    user: Option<String>,
    user_id: Option<String>,
    user_domain_id: Option<String>,
    project_id: Option<String>,
    project_domain_id: Option<String>,
    domain_id: Option<String>,
    system_scope: Option<String>,
    is_admin_project: bool,
    #[serde(default)]
    service_roles: Vec<String>,
    service_user_id: Option<String>,
    service_project_id: Option<String>,
}

impl From<Credentials> for Identity {
    fn from(given: Credentials) -> Self {
        Self {
            roles: given.roles,
            user: given.user,
            user_id: given.user_id,
            user_domain_id: given.user_domain_id,
            project_id: given.project_id,
            project_domain_id: given.project_domain_id,
            domain_id: given.domain_id,
            system_scope: given.system_scope,
            is_admin_project: given.is_admin_project,
            service_roles: given.service_roles,
            service_user_id: given.service_user_id,
            service_project_id: given.service_project_id,
            ..Self::default()
        }
    }
}

fn main() -> std::io::Result<()> {
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    for line in std::io::stdin().lock().lines() {
        let answer = match serde_json::from_str::<World>(&line?) {
            Ok(world) => answer(world),
            Err(error) => json!({ "misunderstood": error.to_string() }),
        };
        writeln!(out, "{answer}")?;
    }
    out.flush()
}

fn answer(world: World) -> Value {
    let catalogue = catalogue(world.catalogue);
    let Some(questions) = world.questions else { return shown(&catalogue) };
    let options = PolicyOptions {
        enforce_scope: world.enforce_scope.unwrap_or(true),
        enforce_new_defaults: world.enforce_new_defaults.unwrap_or(true),
    };
    let texts = world.files.unwrap_or_default();
    let files: Vec<_> = texts.iter().map(|text| PolicyText { name: "policy.yaml", text }).collect();
    let rules = match RuleSet::load(&catalogue, options, &files) {
        Ok((rules, _)) => rules,
        Err(errors) => return json!({ "errors": errors.iter().map(ToString::to_string).collect::<Vec<_>>() }),
    };
    let decided = questions.into_iter().map(|question| {
        let identity = question.credentials.into();
        let allowed = rules.allows(&question.rule, &question.target, &identity);
        let explained = rules.explain(&question.rule, &question.target, &identity).holds;
        json!([allowed, explained])
    });
    json!({ "decisions": decided.collect::<Vec<_>>() })
}

/// A catalogue made here lives as long as the program, like the real ones.
fn catalogue(choice: CatalogueChoice) -> Catalogue {
    let rules = match choice {
        CatalogueChoice::Named(name) if name == METRIC_RULES.api => return METRIC_RULES,
        CatalogueChoice::Named(_) => return ALARM_RULES,
        CatalogueChoice::Rules(rules) => rules,
    };
    let rules: Vec<_> = rules.into_iter().map(made).collect();
    Catalogue { api: "generated", rules: rules.leak() }
}

fn made(given: GivenRule) -> RuleDefault {
    let scopes: Vec<_> = Scope::ALL
        .iter()
        .copied()
        .filter(|scope| given.scopes.iter().any(|name| name == scope.name()))
        .collect();
    let deprecated = given.deprecated.map(|(name, check)| DeprecatedRule {
        name: name.leak(),
        check: check.leak(),
        since: "before",
    });
    RuleDefault {
        name: given.name.leak(),
        check: given.check.leak(),
        scopes: scopes.leak(),
        operations: &[],
        deprecated,
    }
}

fn shown(catalogue: &Catalogue) -> Value {
    let rules = catalogue.rules.iter().map(|rule| {
        let scopes: Vec<_> = rule.scopes.iter().map(|scope| scope.name()).collect();
        let deprecated = rule.deprecated.map(|old| [old.name, old.check]);
        json!({
            "name": rule.name, "check": rule.check, "scopes": scopes,
            "operations": rule.operations, "deprecated": deprecated,
        })
    });
    json!({ "rules": rules.collect::<Vec<_>>() })
}
