//! `policy list | check | sample`: which rules are in force, what they decide, and why. Needs no running server.

use std::fmt::Write as _;

use anyhow::Result;
use nephometer_drivers::PolicyEnforcer as _;
use nephometer_model::{Identity, closest_name};
use nephometer_openstack::policy::{ALARM_RULES, Catalogue, METRIC_RULES, Origin, RuleDefault, RuleSet};
use serde_json::{Value, json};

use crate::cli::{GlobalArgs, PolicyApi, PolicyArgs, PolicyCheckArgs, PolicyCommand};
use crate::policy_file::{configured_files, read_rules};

use super::{load_config, say};

/// Runs `policy …`.
pub(super) fn run(command: &PolicyCommand, global: &GlobalArgs) -> Result<()> {
    match command {
        PolicyCommand::List(args) => {
            let rules = load(args, global)?;
            say(&listed(catalogue(args.api), &rules, args.json)?)
        }
        PolicyCommand::Check(args) => {
            let rules = load(&args.rules, global)?;
            say(&checked(args, &rules)?)
        }
        PolicyCommand::Sample { api } => say(&sample(catalogue(*api))),
    }
}

fn catalogue(api: PolicyApi) -> &'static Catalogue {
    match api {
        PolicyApi::Metric => &METRIC_RULES,
        PolicyApi::Alarm => &ALARM_RULES,
    }
}

/// The rules that are meant; warnings go to the standard error.
fn load(args: &PolicyArgs, global: &GlobalArgs) -> Result<RuleSet> {
    let config = load_config(global)?;
    let section = match args.api {
        PolicyApi::Metric => config.policy,
        PolicyApi::Alarm => config.alarm_policy,
    };
    let files: Vec<_> = if !args.file.is_empty() {
        args.file.clone()
    } else {
        configured_files(&section)?.into_iter().map(|(path, _)| path).collect()
    };
    let paths = files.iter().map(std::path::PathBuf::as_path);
    let (rules, warnings) = read_rules(catalogue(args.api), section.options(), paths)?;
    for warning in warnings {
        eprintln!("warning: {warning}");
    }
    Ok(rules)
}

fn listed(catalogue: &Catalogue, rules: &RuleSet, as_json: bool) -> Result<String> {
    if as_json {
        let rules: Vec<_> = rules
            .rules()
            .map(|(name, origin)| in_json(name, origin, catalogue.rule(name), rules.text(name).as_deref()))
            .collect();
        return Ok(serde_json::to_string_pretty(&rules)? + "\n");
    }
    let mut text = String::new();
    for (name, origin) in rules.rules() {
        let _ = writeln!(text, "\"{name}\": \"{}\"", rules.text(name).unwrap_or_default());
        let _ = writeln!(text, "    {}", from(origin));
        if let Some(known) = catalogue.rule(name) {
            describe(known, "    ", &mut text);
        }
    }
    Ok(text)
}

/// Where a rule comes from, for people.
fn from(origin: &Origin) -> String {
    match origin {
        Origin::Default => "by default".to_owned(),
        Origin::DefaultOrDeprecated => "by default, or by that of an earlier release".to_owned(),
        Origin::File(file) => format!("from {file}"),
        Origin::FileByOldName { file, name } => {
            format!("from {file}, where it has its earlier name \"{name}\"")
        }
    }
}

/// Scopes, earlier form and routes, a line each.
fn describe(known: &RuleDefault, indent: &str, text: &mut String) {
    if !known.scopes.is_empty() {
        let _ = writeln!(text, "{indent}scopes: {}", scopes(known).join(", "));
    }
    if let Some(old) = known.deprecated {
        let _ = writeln!(text, "{indent}before {}: \"{}\": \"{}\"", old.since, old.name, old.check);
    }
    for (method, path) in known.operations {
        let _ = writeln!(text, "{indent}{method} {path}");
    }
}

fn scopes(known: &RuleDefault) -> Vec<&'static str> {
    known.scopes.iter().map(|scope| scope.name()).collect()
}

fn in_json(name: &str, origin: &Origin, known: Option<&'static RuleDefault>, check: Option<&str>) -> Value {
    let (kind, file, earlier) = match origin {
        Origin::Default => ("default", None, None),
        Origin::DefaultOrDeprecated => ("default or deprecated", None, None),
        Origin::File(file) => ("file", Some(file), None),
        Origin::FileByOldName { file, name } => ("file", Some(file), Some(name)),
    };
    let operations = known.map_or(&[][..], |known| known.operations);
    let operations: Vec<_> =
        operations.iter().map(|(method, path)| json!({ "method": method, "path": path })).collect();
    json!({
        "rule": name,
        "check": check,
        "from": kind,
        "file": file,
        "named_in_file": earlier,
        "default": known.map(|known| known.check),
        "scopes": known.map(scopes),
        "deprecated": known.and_then(|known| known.deprecated).map(|old| {
            json!({ "rule": old.name, "check": old.check, "since": old.since })
        }),
        "operations": operations,
    })
}

/// The caller that the arguments describe, as a token of Keystone would make it.
fn caller(args: &PolicyCheckArgs) -> Identity {
    let id = |value: &Option<String>| value.clone().unwrap_or_default();
    Identity {
        creator: Some(format!("{}:{}", id(&args.user), id(&args.project))),
        user_id: args.user.clone(),
        project_id: args.project.clone(),
        domain_id: args.domain.clone(),
        roles: args.roles.clone(),
        system_scope: args.system.then(|| "all".to_owned()),
        filters_rows: true,
        ..Identity::default()
    }
}

fn checked(args: &PolicyCheckArgs, rules: &RuleSet) -> Result<String> {
    let names = || rules.rules().map(|(name, _)| name);
    if !names().any(|name| name == args.rule) {
        let hint = closest_name(&args.rule, names()).map(|name| format!("; did you mean `{name}`?"));
        eprintln!("warning: there is no rule `{}`{}", args.rule, hint.unwrap_or_default());
    }
    let (identity, target) = (caller(args), args.target.iter().cloned().collect());
    let allowed = rules.allows(&args.rule, &target, &identity);
    let why = rules.explain(&args.rule, &target, &identity);
    if args.rules.json {
        let answer = json!({ "rule": args.rule, "allowed": allowed, "why": why });
        return Ok(serde_json::to_string_pretty(&answer)? + "\n");
    }
    Ok(format!("{}\n{}", if allowed { "allowed" } else { "refused" }, why.lines()))
}

/// A policy file of the defaults in comments, as oslo.policy's generator of samples writes it.
fn sample(catalogue: &Catalogue) -> String {
    let mut text =
        format!("# Rules of the {} API; uncomment what shall differ from the default.\n", catalogue.api);
    for known in catalogue.rules {
        text.push('\n');
        describe(known, "# ", &mut text);
        let _ = writeln!(text, "#\"{}\": \"{}\"", known.name, known.check);
    }
    text
}

#[cfg(test)]
mod tests {
    use nephometer_openstack::policy::{PolicyOptions, PolicyText};

    use super::*;

    #[test]
    fn a_sample_uncommented_is_a_file_of_the_defaults() {
        for catalogue in [&METRIC_RULES, &ALARM_RULES] {
            let commented = sample(catalogue);
            let text: String = commented
                .lines()
                .filter_map(|line| line.strip_prefix("#\""))
                .fold(String::new(), |text, line| text + "\"" + line + "\n");
            for (text, repeated) in [(&commented, 0), (&text, catalogue.rules.len())] {
                let file = PolicyText { name: "sample", text };
                let (_, warnings) = RuleSet::load(catalogue, PolicyOptions::default(), &[file]).unwrap();
                assert_eq!(warnings.len(), repeated, "{warnings:?}");
            }
        }
    }

    #[test]
    fn lists_say_where_rules_come_from() {
        let file = PolicyText { name: "/etc/p.yaml", text: "\"get metric\": role:auditor\nmine: \"@\"" };
        let (rules, _) = RuleSet::load(&METRIC_RULES, PolicyOptions::default(), &[file]).unwrap();
        let text = listed(&METRIC_RULES, &rules, false).unwrap();
        assert!(
            text.contains("\"get metric\": \"role:auditor\"\n    from /etc/p.yaml\n    scopes: system"),
            "{text}"
        );
        assert!(text.contains("\"mine\": \"@\"\n    from /etc/p.yaml\n"), "{text}");
        let list: Value = serde_json::from_str(&listed(&METRIC_RULES, &rules, true).unwrap()).unwrap();
        let found = list.as_array().unwrap().iter().find(|rule| rule["rule"] == "get metric").unwrap();
        assert_eq!((&found["from"], &found["operations"][0]["method"]), (&json!("file"), &json!("GET")));
    }
}
