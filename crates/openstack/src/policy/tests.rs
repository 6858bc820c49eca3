//! Decisions of the defaults, overrides, and what a file may and may not hold.

use super::*;

fn member(user: &str, project: &str) -> Identity {
    Identity {
        creator: Some(format!("{user}:{project}")),
        user_id: Some(user.to_owned()),
        project_id: Some(project.to_owned()),
        roles: vec!["member".to_owned()],
        filters_rows: true,
        ..Identity::default()
    }
}

fn with_role(role: &str) -> Identity {
    Identity { roles: vec![role.to_owned()], ..Identity::default() }
}

fn target(pairs: &[(&str, &str)]) -> PolicyTarget {
    pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
}

fn loaded(text: &str) -> (RuleSet, Vec<PolicyWarning>) {
    RuleSet::with_file(text).unwrap()
}

#[test]
fn defaults_decide_as_upstreams() {
    let rules = RuleSet::defaults();
    let metric =
        target(&[("creator", "ua:pa"), ("created_by_project_id", "pa"), ("resource.project_id", "pb")]);
    let matrix = [
        // caller, get metric, post measures, delete metric, list metric
        (member("ua", "pa"), [true, true, true, true]),
        (member("other", "pa"), [true, true, true, true]),
        (member("ub", "pb"), [true, false, false, true]),
        (member("uc", "pc"), [false, false, false, false]),
        (with_role("Admin"), [true, true, true, true]),
        (with_role("service"), [true, true, false, false]),
    ];
    for (identity, expected) in matrix {
        let found = ["get metric", "post measures", "delete metric", "list metric"]
            .map(|rule| rules.allows(rule, &metric, &identity));
        assert_eq!(found, expected, "{identity:?}");
    }
    let nobody = Identity::default();
    let nothing = PolicyTarget::new();
    assert!(rules.allows("create metric", &nothing, &nobody));
    assert!(!rules.allows("get status", &nothing, &nobody));
    assert!(!rules.allows("no such rule", &nothing, &with_role("admin")));
}

#[test]
fn an_absent_value_never_matches() {
    let rules = RuleSet::defaults();
    let anonymous = target(&[("resource_type", "generic")]);
    assert!(!rules.allows("get resource", &anonymous, &Identity::default()));
}

#[test]
fn a_named_user_is_the_creator_of_its_things() {
    let rules = RuleSet::defaults();
    let foobar = Identity {
        creator: Some("foobar".to_owned()),
        user: Some("foobar".to_owned()),
        system_scope: Some("all".to_owned()),
        ..Identity::default()
    };
    assert!(rules.allows("post measures", &target(&[("creator", "foobar")]), &foobar));
    assert!(!rules.allows("post measures", &target(&[("creator", "jd")]), &foobar));
}

#[test]
fn overrides_replace_and_add() {
    let text = "\
# comment
\"get status\": \"rule:auditors or role:admin\"
auditors: \"role:auditor and system:all\"
\"create metric\": \"!\"
\"list metric\": [[\"role:a\", \"role:b\"], \"role:c\"]
";
    let (rules, warnings) = loaded(text);
    assert_eq!(warnings, []);
    let nothing = PolicyTarget::new();
    let auditor = Identity { system_scope: Some("all".to_owned()), ..with_role("auditor") };
    assert!(rules.allows("get status", &nothing, &auditor));
    assert!(!rules.allows("get status", &nothing, &with_role("auditor")));
    assert!(!rules.allows("create metric", &nothing, &with_role("admin")));
    assert!(rules.allows("list metric", &nothing, &with_role("C")));
    assert!(!rules.allows("list metric", &nothing, &with_role("a")));
}

#[test]
fn json_comments_only_and_nothing_are_files_too() {
    let (rules, _) = loaded(r#"{"get status": "@"}"#);
    assert!(rules.allows("get status", &PolicyTarget::new(), &Identity::default()));
    assert_eq!(loaded("# \"get status\": \"role:admin\"\n").0, RuleSet::defaults());
    assert_eq!(loaded("").0, RuleSet::defaults());
}

#[test]
fn the_default_rule_decides_for_rules_that_do_not_exist() {
    let (rules, warnings) = loaded("default: role:admin\n\"get status\": rule:gone");
    assert!(rules.allows("get status", &PolicyTarget::new(), &with_role("admin")));
    assert_eq!(warnings.len(), 1);
}

#[test]
fn likely_mistakes_are_warned_about() {
    let (_, warnings) = loaded("\"get measure\": \"@\"\n\"get status\": \"rule:admin_or_servce\"");
    let texts: Vec<_> = warnings.iter().map(ToString::to_string).collect();
    assert_eq!(
        texts,
        [
            "rule `get status` refers to `admin_or_servce`, which does not exist and refuses; did you mean \
             `admin_or_service`?",
            "nothing asks for rule `get measure`; did you mean `get measures`?",
        ]
    );
}

#[test]
fn broken_files_are_refused_with_every_reason() {
    let text = "a: role:x and\nb: rule:c\nc: not rule:b\n\"get status\": https://x";
    let errors: Vec<_> = RuleSet::with_file(text).unwrap_err().iter().map(ToString::to_string).collect();
    assert_eq!(errors.len(), 4, "{errors:#?}");
    assert!(errors.iter().any(|error| error == "rule `b` refers to itself through b → c"), "{errors:?}");
    for bad in ["- a\n- b", "a: 3", "a: {b: c}", "a: [", "just text"] {
        assert!(matches!(RuleSet::with_file(bad).unwrap_err()[0], PolicyFileError::Format { .. }), "{bad}");
    }
}

#[test]
fn long_chains_are_refused() {
    let chain = |n: usize| (0..n).map(|i| format!("r{i}: rule:r{}\n", i + 1)).collect::<String>();
    assert!(RuleSet::with_file(&format!("{}r20: '@'", chain(20))).is_ok());
    let errors = RuleSet::with_file(&format!("{}r5000: '@'", chain(5000))).unwrap_err();
    assert!(matches!(errors[0], PolicyFileError::TooDeep(_)));
}

#[test]
fn rules_tell_what_they_look_at() {
    use nephometer_drivers::PolicyEnforcer as _;
    let (rules, _) = loaded("\"get status\": \"not rule:creator and 'x':%(resource.user_id)s\"");
    let attributes = |rule: &str| rules.attributes(rule).unwrap().into_iter().collect::<Vec<_>>();
    assert_eq!(attributes("post measures"), ["created_by_project_id", "creator"]);
    assert_eq!(attributes("get status"), ["created_by_project_id", "creator", "resource.user_id"]);
    assert!(attributes("create metric").is_empty());
}

/// A catalogue with a rule of another name, one of another check, and one that only projects may ask for.
const SOME: Catalogue = Catalogue {
    api: "some",
    rules: &[
        RuleDefault {
            name: "new",
            check: "role:new",
            scopes: &[],
            operations: &[],
            deprecated: Some(DeprecatedRule { name: "old", check: "role:old", since: "Zed" }),
        },
        RuleDefault {
            name: "changed",
            check: "role:new",
            scopes: &[Scope::Project],
            operations: &[],
            deprecated: Some(DeprecatedRule { name: "changed", check: "role:old", since: "Zed" }),
        },
    ],
};

fn some(options: PolicyOptions, texts: &[&str]) -> (RuleSet, Vec<String>) {
    let files: Vec<_> = texts.iter().map(|text| PolicyText { name: "p", text }).collect();
    let (rules, warnings) = RuleSet::load(&SOME, options, &files).unwrap();
    (rules, warnings.iter().map(ToString::to_string).collect())
}

#[test]
fn earlier_defaults_admit_until_new_ones_are_enforced() {
    let nothing = PolicyTarget::new();
    for enforce_new_defaults in [false, true] {
        let options = PolicyOptions { enforce_new_defaults, ..PolicyOptions::default() };
        let (rules, _) = some(options, &[]);
        for rule in ["new", "changed"] {
            assert!(rules.allows(rule, &nothing, &with_role("new")));
            assert_eq!(rules.allows(rule, &nothing, &with_role("old")), !enforce_new_defaults);
        }
        let (rules, _) = some(options, &["changed: role:mine"]);
        assert!(!rules.allows("changed", &nothing, &with_role("old")), "a file's rule stands alone");
    }
}

#[test]
fn overrides_by_earlier_names_stand_in() {
    let nothing = PolicyTarget::new();
    let (rules, warnings) = some(PolicyOptions::default(), &["old: role:mine"]);
    assert!(rules.allows("new", &nothing, &with_role("mine")));
    assert!(!rules.allows("new", &nothing, &with_role("new")));
    assert_eq!(warnings, ["rule `old` is called `new` since Zed: rename it"]);
    for without_effect in ["old: role:old", "old: rule:new", "{old: role:mine, new: role:new}"] {
        let (rules, _) = some(PolicyOptions::default(), &[without_effect]);
        assert!(rules.allows("new", &nothing, &with_role("new")), "{without_effect}");
    }
}

#[test]
fn later_files_win_and_defaults_repeated_are_told() {
    let nothing = PolicyTarget::new();
    let (rules, warnings) =
        some(PolicyOptions::default(), &["new: role:a", "new: role:b", "changed: role:new"]);
    assert!(rules.allows("new", &nothing, &with_role("b")));
    assert_eq!(warnings, ["rule `changed` says what the default says"]);
}

#[test]
fn scopes_are_enforced_where_told() {
    let nothing = PolicyTarget::new();
    let system = Identity { system_scope: Some("all".to_owned()), ..with_role("new") };
    let domain = Identity { domain_id: Some("d".to_owned()), ..with_role("new") };
    let (rules, _) = some(PolicyOptions::default(), &[]);
    for identity in [&system, &domain] {
        assert!(!rules.allows("changed", &nothing, identity));
        assert!(rules.allows("new", &nothing, identity));
    }
    let why = rules.explain("changed", &nothing, &system);
    assert!(!why.holds && why.because.contains("scope project"), "{why:?}");
    let (rules, _) = some(PolicyOptions { enforce_scope: false, ..PolicyOptions::default() }, &[]);
    assert!(rules.allows("changed", &nothing, &system));
}

#[test]
fn every_catalogue_makes_a_rule_set() {
    for catalogue in [&METRIC_RULES, &ALARM_RULES] {
        for enforce_new_defaults in [false, true] {
            let options = PolicyOptions { enforce_new_defaults, ..PolicyOptions::default() };
            let (rules, warnings) = RuleSet::load(catalogue, options, &[]).unwrap();
            assert_eq!(warnings, [], "{}", catalogue.api);
            assert_eq!(rules.rules().count(), catalogue.rules.len(), "{}", catalogue.api);
        }
    }
}

#[test]
fn an_explanation_names_what_held() {
    let target = target(&[("project_id", "p1")]);
    let why = RuleSet::defaults().explain("get resource", &target, &member("u", "p1"));
    let lines = why.lines();
    assert!(why.holds);
    assert!(
        lines.contains("+ project_id:%(project_id)s: wanted `p1`; the caller's project_id: p1"),
        "{lines}"
    );
    assert!(lines.contains("- role:admin: wanted `admin`; the caller's roles: member"), "{lines}");
    assert!(lines.contains("- user:%(creator)s: the target has no creator"), "{lines}");
}

proptest::proptest! {
    #[test]
    fn explanations_agree_with_decisions(
        parts in proptest::collection::vec(proptest::sample::select(vec![
            "@", "!", "role:member", "rule:creator", "rule:none", "not role:admin", "project_id:%(project_id)s",
            "'x':%(creator)s", "(role:admin or user_id:u)", "True:True", "is_admin_project:False",
        ]), 1..6),
        operators in proptest::collection::vec(proptest::sample::select(vec![" and ", " or "]), 6),
        project in "[pq]",
    ) {
        let text: String = parts.iter().zip(operators).map(|(part, operator)| format!("{part}{operator}")).collect();
        let (rules, _) = loaded(&format!("\"get status\": \"{text}@\""));
        let (target, identity) = (target(&[("project_id", &project)]), member("u", "p"));
        let why = rules.explain("get status", &target, &identity);
        proptest::prop_assert_eq!(why.holds, rules.allows("get status", &target, &identity));
    }

    #[test]
    fn whatever_loads_decides_and_explains_alike(
        words in proptest::collection::vec(proptest::sample::select(vec![
            "a", "b", "\"get status\"", "default", ": ", ":", "\n", "\n", "- ", "[", "]", "{", "}", ", ", "\"", "'", "rule:a",
            "rule:b", "rule:default", "role:admin", "not ", " and ", " or ", "(", ")", "@", "!", "user:%(x)s", "%", "&x ", "*x", "#",
            "|\n  ", "null", "3", "\t", "\u{feff}", "---\n",
        ]), 0..40),
    ) {
        let text = words.concat();
        if let Ok((rules, _)) = RuleSet::with_file(&text) {
            let (target, identity) = (target(&[("x", "u")]), member("u", "p"));
            for rule in ["a", "b", "get status", "get metric", "nothing"] {
                let why = rules.explain(rule, &target, &identity);
                proptest::prop_assert_eq!(why.holds, rules.allows(rule, &target, &identity), "{}", text);
                proptest::prop_assert!(rules.attributes(rule).is_some());
            }
        }
    }

    #[test]
    fn reading_a_file_never_panics(text in "\\PC{0,120}") {
        let _ = RuleSet::with_file(&text);
    }
}
