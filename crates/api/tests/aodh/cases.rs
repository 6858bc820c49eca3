//! Upstream's cases and ours: each of theirs is named in `upstream_cases.toml`, with the test of ours that covers it or the
//! reason why none does.

use std::collections::BTreeMap;

use serde::Deserialize;

/// Upstream's classes of tests of API v2 in its release 22.0.0, and how many cases each has.
const CLASSES: [(&str, usize); 14] = [
    ("TestAlarms", 21),
    ("TestAlarmsHistory", 10),
    ("TestAlarmsQuotas", 8),
    ("TestAlarmsRuleThreshold", 1),
    ("TestAlarmsRuleGnocchi", 3),
    ("TestAlarmsRulePrometheus", 4),
    ("TestAlarmsCompositeRule", 4),
    ("TestPaginationQuery", 2),
    ("TestApiMiddleware", 4),
    ("TestComplexQuery", 18),
    ("TestQueryAlarmsController", 13),
    ("TestQueryAlarmsHistoryController", 9),
    ("TestMetrics", 4),
    ("TestQuotas", 12),
];

/// The modules in which our tests are.
const MODULES: [(&str, &str); 9] = [
    ("alarms", include_str!("alarms.rs")),
    ("complex", include_str!("complex.rs")),
    ("front", include_str!("front.rs")),
    ("history", include_str!("history.rs")),
    ("mended", include_str!("mended.rs")),
    ("metrics", include_str!("metrics.rs")),
    ("quotas", include_str!("quotas.rs")),
    ("rules", include_str!("rules.rs")),
    ("trusts", include_str!("trusts.rs")),
];

/// What we have for one of upstream's cases: one of the two.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Case {
    /// `module::test`.
    test: Option<String>,
    /// Why there is no test.
    reason: Option<String>,
}

impl Case {
    fn problem(&self) -> Option<String> {
        match (&self.test, &self.reason) {
            (Some(test), None) => (!exists(test)).then(|| format!("there is no test {test}")),
            (None, Some(reason)) => reason.trim().is_empty().then(|| "an empty reason".to_owned()),
            _ => Some("neither a test nor a reason, or both".to_owned()),
        }
    }
}

fn exists(test: &str) -> bool {
    let Some((module, name)) = test.split_once("::") else { return false };
    let head = format!("#[tokio::test]\nasync fn {name}() {{");
    MODULES.iter().any(|(known, text)| *known == module && text.contains(&head))
}

#[test]
fn every_case_of_upstreams_is_covered_or_has_a_reason() {
    let classes: BTreeMap<String, BTreeMap<String, Case>> =
        toml::from_str(include_str!("upstream_cases.toml")).unwrap();
    let mut problems = Vec::new();
    for (class, count) in CLASSES {
        let listed = classes.get(class).map_or(0, BTreeMap::len);
        if listed != count {
            problems.push(format!("{class} has {count} cases, of which {listed} are listed"));
        }
    }
    let known = |class: &str| CLASSES.iter().any(|(known, _)| *known == class);
    problems.extend(classes.keys().filter(|class| !known(class)).map(|class| format!("no class {class}")));
    for (class, cases) in &classes {
        let wrong = |(name, case): (&String, &Case)| Some(format!("{class}.{name}: {}", case.problem()?));
        problems.extend(cases.iter().filter_map(wrong));
    }
    assert!(problems.is_empty(), "{problems:#?}");
}
