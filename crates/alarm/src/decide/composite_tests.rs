//! Composite rules: upstream's truth table, complete, the order of looks, and the words.

use nephometer_model::AlarmState::{Alarm, InsufficientData, Ok as Well};
use nephometer_model::{CompositeRule, Operator, PrometheusRule, SubRule};

use super::tests::rule;
use super::*;

/// What a leaf says: alarm, ok, unknown, mixed and tending to alarm, mixed and tending to ok.
#[derive(Debug, Clone, Copy, PartialEq)]
enum L {
    A,
    O,
    U,
    TA,
    TO,
}
use L::{A, O, TA, TO, U};

impl L {
    fn finding(self) -> Finding {
        let rule = rule(Operator::Gt, 80.0, 2);
        let values: &[f64] = match self {
            A => &[90.0, 90.0],
            O => &[1.0, 1.0],
            U => &[],
            TA => &[1.0, 90.0],
            TO => &[90.0, 1.0],
        };
        Samples::by_rule(values, &rule)
    }
}

fn leaf(number: usize) -> CompositeRule {
    CompositeRule::Rule(Box::new(SubRule::Prometheus(PrometheusRule {
        comparison_operator: Operator::Gt,
        threshold: 80.0,
        query: format!("q{number}"),
        scope_to_project: None,
    })))
}

/// The verdict, and the leaves in the order in which they were looked at.
fn run(rule: &CompositeRule, current: AlarmState, repeat: bool, says: &[L]) -> (Option<Verdict>, Vec<usize>) {
    let mut looks = Vec::new();
    let decision = composite(rule, current, repeat, &mut |at| {
        looks.push(at + 1);
        says[at].finding()
    });
    (decision.unwrap().verdict, looks)
}

/// The state after the evaluation.
fn state(rule: &CompositeRule, current: AlarmState, says: &[L]) -> AlarmState {
    run(rule, current, false, says).0.map_or(current, |verdict| verdict.state)
}

#[test]
fn the_truth_table_is_complete() {
    let (and, or) = (CompositeRule::And(vec![leaf(1), leaf(2)]), CompositeRule::Or(vec![leaf(1), leaf(2)]));
    let (a, o, u) = (Alarm, Well, InsufficientData);
    // Leaves; then: and with a known state, and with an unknown one, or with a known one, or with an unknown one.
    for (leaves, expected) in [
        ([A, A], [a, a, a, a]),
        ([A, O], [o, o, a, a]),
        ([O, O], [o, o, o, o]),
        ([A, U], [u, u, a, a]),
        ([O, U], [o, o, u, u]),
        ([U, U], [u, u, u, u]),
        ([A, TA], [o, a, a, a]),
        ([A, TO], [a, o, a, a]),
        ([O, TA], [o, o, o, a]),
        ([O, TO], [o, o, a, o]),
        ([U, TA], [o, u, u, a]),
        ([U, TO], [u, o, a, u]),
        ([TA, TA], [o, a, o, a]),
        ([TA, TO], [o, o, a, a]),
        ([TO, TO], [a, o, a, o]),
    ] {
        let [x, y] = leaves;
        for leaves in [[x, y], [y, x]] {
            for known in [Alarm, Well] {
                assert_eq!(state(&and, known, &leaves), expected[0], "{leaves:?} and {known}");
                assert_eq!(state(&or, known, &leaves), expected[2], "{leaves:?} or {known}");
            }
            assert_eq!(state(&and, u, &leaves), expected[1], "{leaves:?} and unknown");
            assert_eq!(state(&or, u, &leaves), expected[3], "{leaves:?} or unknown");
        }
    }
}

#[test]
fn looks_go_from_left_to_right_and_no_further_than_needed() {
    let or = CompositeRule::Or(vec![leaf(1), leaf(2), leaf(3)]);
    assert_eq!(run(&or, Well, false, &[A, A, A]).1, [1]);
    assert_eq!(run(&or, Well, false, &[O, A, A]).1, [1, 2]);
    let and = CompositeRule::And(vec![leaf(1), leaf(2), leaf(3)]);
    assert_eq!(run(&and, Well, false, &[O, A, A]).1, [1]);
    assert_eq!(run(&and, Well, false, &[A, O, A]).1, [1, 2]);
    // rule1 or (rule2 and rule3): the second of the and is not needed once the first is well.
    let nested = CompositeRule::Or(vec![leaf(1), CompositeRule::And(vec![leaf(2), leaf(3)])]);
    assert_eq!(run(&nested, Alarm, false, &[O, O, A]).1, [1, 2]);
    assert_eq!(run(&nested, Alarm, false, &[O, U, A]).1, [1, 2, 3]);
    // Numbers stay right behind what was skipped.
    let tree = CompositeRule::And(vec![CompositeRule::Or(vec![leaf(1), leaf(2)]), leaf(3)]);
    assert_eq!(run(&tree, Well, false, &[A, O, A]).1, [1, 3]);
    assert_eq!(state(&tree, Well, &[A, O, A]), Alarm);
}

#[test]
fn the_words_name_the_expression_and_the_rules_that_decided() {
    let nested = CompositeRule::Or(vec![leaf(1), CompositeRule::And(vec![leaf(2), leaf(3)])]);
    let (verdict, _) = run(&nested, Well, false, &[O, A, A]);
    let verdict = verdict.unwrap();
    assert_eq!(
        verdict.reason,
        "Composite rule alarm with composition form: (rule1 or (rule2 and rule3)) transition to alarm, due to rules: \
         rule2, rule3 outside their threshold."
    );
    let rule = |number: usize| match leaf(number) {
        CompositeRule::Rule(rule) => rule.to_value(),
        _ => serde_json::Value::Null,
    };
    assert_eq!(
        verdict.reason_data,
        serde_json::json!({"type": "composite", "composition_form": "(rule1 or (rule2 and rule3))",
            "causative_rules": {"rule2": rule(2), "rule3": rule(3)}})
    );
    let (verdict, _) = run(&nested, Well, false, &[O, U, A]);
    assert_eq!(
        verdict.unwrap().reason,
        "Composite rule alarm with composition form: (rule1 or (rule2 and rule3)) transition to insufficient data, due \
         to rules: rule2 state evaluated to unknown."
    );
    let (verdict, _) = run(&leaf(1), Well, true, &[O]);
    assert_eq!(
        verdict.unwrap().reason,
        "Composite rule alarm with composition form: rule1 remaining as ok, due to rules: rule1 inside their threshold."
    );
}

#[test]
fn rules_are_named_in_the_order_of_text() {
    let many = CompositeRule::And((1..=11).map(leaf).collect());
    let (verdict, _) = run(&many, Well, false, &[A; 11]);
    let reason = verdict.unwrap().reason;
    assert!(reason.contains("due to rules: rule1, rule10, rule11, rule2, rule3, "), "{reason}");
}

#[test]
fn repeating_repeats_what_is_known_only() {
    let and = CompositeRule::And(vec![leaf(1), leaf(2)]);
    assert!(run(&and, Alarm, false, &[A, A]).0.is_none());
    assert!(run(&and, Alarm, true, &[A, A]).0.is_some());
    assert!(run(&and, InsufficientData, true, &[A, U]).0.is_none());
    assert!(run(&and, Alarm, true, &[A, U]).0.is_some());
}

#[test]
fn failures_and_holds_change_nothing() {
    let and = CompositeRule::And(vec![leaf(1), leaf(2)]);
    let failed = composite(&and, Well, true, &mut |_| Finding::Failed("away".to_owned()));
    assert_eq!(failed, Err("away".to_owned()));
    // A failure that nobody looks at does not matter.
    let skipped = composite(&and, Alarm, false, &mut |at| match at {
        0 => O.finding(),
        _ => Finding::Failed("away".to_owned()),
    });
    assert_eq!(skipped.unwrap().verdict.unwrap().state, Well);
    let mut held = |at| if at == 0 { A.finding() } else { Finding::Hold };
    assert_eq!(composite(&and, Well, true, &mut held), Ok(Decision::default()));
    let empty = CompositeRule::And(Vec::new());
    assert!(composite(&empty, Well, false, &mut |_| A.finding()).is_err());
    assert!(leaves(&empty).is_empty());
}
