//! Combinations, retired upstream: and, or over the states of other alarms.

use nephometer_model::{AlarmId, AlarmState, CombinationRule};
use serde_json::json;

use super::{Decision, Verdict, movement};

/// What the states of other alarms, in the rule's order and nothing for those that are gone, mean for an alarm that
/// stands in `current`.
pub fn combination(
    rule: &CombinationRule,
    current: AlarmState,
    repeat: bool,
    states: &[Option<AlarmState>],
) -> Decision {
    let ids_where = |wanted: &dyn Fn(Option<AlarmState>) -> bool| -> Vec<&str> {
        let pairs = rule.alarm_ids.iter().zip(states);
        pairs.filter(|(_, state)| wanted(**state)).map(|(id, _)| id.as_str()).collect()
    };
    let any = rule.operator == "or";
    let unknown = ids_where(&|state| !matches!(state, Some(AlarmState::Ok | AlarmState::Alarm)));
    let alarms = ids_where(&|state| state == Some(AlarmState::Alarm)).len();
    let decided = any && alarms > 0;
    if !(unknown.is_empty() || decided) {
        let verdict = Verdict {
            state: AlarmState::InsufficientData,
            reason: format!("Alarms {} are in unknown state", unknown.join(",")),
            reason_data: json!({"type": "combination", "alarm_ids": unknown}),
        };
        return Decision::uncounted(verdict, current, false);
    }
    let holds = if any { alarms > 0 } else { alarms == states.len() };
    let state = if holds { AlarmState::Alarm } else { AlarmState::Ok };
    let causes = ids_where(&|other| other == Some(state));
    let verdict = Verdict {
        state,
        reason: format!(
            "{} {state} due to alarms {} in state {state}",
            movement(current, state),
            causes.join(",")
        ),
        reason_data: json!({"type": "combination", "alarm_ids": causes}),
    };
    Decision::uncounted(verdict, current, repeat)
}

/// The alarms that a combination looks at.
pub fn alarms_of(rule: &CombinationRule) -> impl Iterator<Item = AlarmId> {
    rule.alarm_ids.iter().map(|id| AlarmId(id.clone()))
}
