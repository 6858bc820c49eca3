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
        assert!(matches!(RuleSet::with_file(bad).unwrap_err()[0], PolicyFileError::Format(_)), "{bad}");
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

proptest::proptest! {
    #[test]
    fn reading_a_file_never_panics(text in "\\PC{0,120}") {
        let _ = RuleSet::with_file(&text);
    }
}
