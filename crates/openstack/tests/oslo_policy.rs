//! Decisions of random rules, compared with those of oslo.policy itself (`make_vectors.py` made them).

use std::collections::BTreeMap;

use nephometer_drivers::PolicyEnforcer;
use nephometer_model::Identity;
use nephometer_openstack::policy::RuleSet;
use serde::Deserialize;

#[derive(Debug, Deserialize)]
struct Case {
    rule: String,
    target: BTreeMap<String, String>,
    credentials: Credentials,
    allowed: bool,
}

#[derive(Debug, Deserialize)]
struct Credentials {
    roles: Vec<String>,
    user: Option<String>,
    user_id: Option<String>,
    project_id: Option<String>,
    system: Option<String>,
}

#[test]
fn decides_as_oslo_policy_does() {
    let cases: Vec<Case> = serde_json::from_str(include_str!("oslo_policy.json")).expect("the vectors");
    for case in cases {
        let rule = serde_json::to_string(&case.rule).expect("a text");
        let file = format!("{{\"yes\": \"@\", \"no\": \"role:admin\", \"get status\": {rule}}}");
        let (rules, _) =
            RuleSet::with_file(&file).unwrap_or_else(|errors| panic!("{}: {errors:?}", case.rule));
        let Credentials { roles, user, user_id, project_id, system } = case.credentials;
        let identity =
            Identity { roles, user, user_id, project_id, system_scope: system, ..Identity::default() };
        let allowed = rules.allows("get status", &case.target, &identity);
        assert_eq!(allowed, case.allowed, "{} for {identity:?} on {:?}", case.rule, case.target);
    }
}
