//! Composite rules: an expression over rules, and its dual.

use nephometer_model::{AlarmState, CompositeRule, SubRule};
use serde_json::{Map, json};

use super::{Decision, Finding, Judgement, Verdict, movement};

/// The rules inside, in the order of their numbers: depth first.
pub fn leaves(rule: &CompositeRule) -> Vec<&SubRule> {
    fn collect<'a>(rule: &'a CompositeRule, leaves: &mut Vec<&'a SubRule>) {
        match rule {
            CompositeRule::And(rules) | CompositeRule::Or(rules) => {
                rules.iter().for_each(|rule| collect(rule, leaves));
            }
            CompositeRule::Rule(rule) => leaves.push(rule),
        }
    }
    let mut all = Vec::new();
    collect(rule, &mut all);
    all
}

/// What is known of a rule inside.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Leaf {
    /// Nobody has looked.
    Unseen,
    /// It is in this state.
    In(AlarmState),
    /// Its samples are mixed and tend to this.
    Tending(AlarmState),
    /// It wants that nothing changes.
    Holding,
}

/// The evaluation of one composite alarm.
struct Evaluation<'a> {
    leaves: Vec<Leaf>,
    look: &'a mut dyn FnMut(usize) -> Finding,
}

impl Evaluation<'_> {
    /// What is known of leaf `at`, after a look if there was none.
    fn leaf(&mut self, at: usize) -> Result<Leaf, String> {
        if self.leaves[at] == Leaf::Unseen {
            self.leaves[at] = match (self.look)(at) {
                Finding::Samples(samples) => match samples.judge() {
                    Judgement::Definite(state) => Leaf::In(state),
                    Judgement::Mixed(trend) => Leaf::Tending(trend),
                },
                Finding::Insufficient { .. } => Leaf::In(AlarmState::InsufficientData),
                Finding::Hold => Leaf::Holding,
                Finding::Failed(why) => return Err(why),
            };
        }
        Ok(self.leaves[at])
    }

    /// Whether the rule, as written for `alarm` and with and, or exchanged for `ok`, holds; looks at leaves from left
    /// to right and no further than needed. `next` is the number of the first leaf inside.
    fn holds(&mut self, rule: &CompositeRule, state: AlarmState, next: &mut usize) -> Result<bool, String> {
        let (rules, all) = match rule {
            CompositeRule::Rule(_) => {
                *next += 1;
                return Ok(self.leaf(*next - 1)? == Leaf::In(state));
            }
            CompositeRule::And(rules) => (rules, state == AlarmState::Alarm),
            CompositeRule::Or(rules) => (rules, state != AlarmState::Alarm),
        };
        if rules.is_empty() {
            return Err("a composite rule joins no rules".to_owned());
        }
        for (at, rule) in rules.iter().enumerate() {
            if self.holds(rule, state, next)? != all {
                *next += rules[at + 1..].iter().map(|rule| leaves(rule).len()).sum::<usize>();
                return Ok(!all);
            }
        }
        Ok(all)
    }

    /// The state that the rule, or its dual, says.
    fn state(&mut self, rule: &CompositeRule) -> Result<Option<AlarmState>, String> {
        for state in [AlarmState::Alarm, AlarmState::Ok] {
            if self.holds(rule, state, &mut 0)? {
                return Ok(Some(state));
            }
        }
        Ok(None)
    }

    /// Looks at all leaves that nobody has looked at, and takes mixed ones for something: for what they tend to where
    /// the alarm's state is unknown, for the opposite, where they are taken to come from, otherwise.
    fn settle(&mut self, current: AlarmState) -> Result<(), String> {
        for at in 0..self.leaves.len() {
            if let Leaf::Tending(trend) = self.leaf(at)? {
                let opposite = match trend {
                    AlarmState::Alarm => AlarmState::Ok,
                    _ => AlarmState::Alarm,
                };
                let unknown = current == AlarmState::InsufficientData;
                self.leaves[at] = Leaf::In(if unknown { trend } else { opposite });
            }
        }
        Ok(())
    }
}

fn expression(rule: &CompositeRule, next: &mut usize) -> String {
    let (rules, word) = match rule {
        CompositeRule::Rule(_) => {
            *next += 1;
            return format!("rule{next}");
        }
        CompositeRule::And(rules) => (rules, " and "),
        CompositeRule::Or(rules) => (rules, " or "),
    };
    let parts: Vec<String> = rules.iter().map(|rule| expression(rule, next)).collect();
    format!("({})", parts.join(word))
}

fn verdict(rule: &CompositeRule, known: &[Leaf], current: AlarmState, state: AlarmState) -> Verdict {
    let expression = expression(rule, &mut 0);
    let causes: Vec<(String, &SubRule)> = leaves(rule)
        .into_iter()
        .enumerate()
        .filter(|(at, _)| known[*at] == Leaf::In(state))
        .map(|(at, rule)| (format!("rule{}", at + 1), rule))
        .collect();
    let mut names: Vec<&str> = causes.iter().map(|(name, _)| name.as_str()).collect();
    names.sort_unstable();
    let tail = match state {
        AlarmState::Alarm => "outside their threshold.",
        AlarmState::Ok => "inside their threshold.",
        AlarmState::InsufficientData => "state evaluated to unknown.",
    };
    let rules: Map<_, _> = causes.iter().map(|(name, rule)| (name.clone(), rule.to_value())).collect();
    Verdict {
        state,
        reason: format!(
            "Composite rule alarm with composition form: {expression} {} {state}, due to rules: {} {tail}",
            movement(current, state).to_lowercase(),
            names.join(", ")
        ),
        reason_data: json!({"type": "composite", "composition_form": expression, "causative_rules": rules}),
    }
}

/// What a composite rule means for an alarm that stands in `current`. `look` is asked for a leaf at most once, and only
/// for those that the answer depends on, from left to right. An error is the text of a look that failed.
pub fn composite(
    rule: &CompositeRule,
    current: AlarmState,
    repeat: bool,
    look: &mut dyn FnMut(usize) -> Finding,
) -> Result<Decision, String> {
    let mut evaluation = Evaluation { leaves: vec![Leaf::Unseen; leaves(rule).len()], look };
    let mut state = evaluation.state(rule)?;
    if state.is_none() {
        evaluation.settle(current)?;
        state = evaluation.state(rule)?;
    }
    if let Some(state) = state {
        let verdict = verdict(rule, &evaluation.leaves, current, state);
        return Ok(Decision::uncounted(verdict, current, repeat));
    }
    if evaluation.leaves.contains(&Leaf::Holding) {
        return Ok(Decision::default());
    }
    let verdict = verdict(rule, &evaluation.leaves, current, AlarmState::InsufficientData);
    Ok(Decision::uncounted(verdict, current, false))
}
