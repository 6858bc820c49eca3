//! What an evaluation of an alarm has to ask, and what the answers mean.

use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, PoolMembersError};
use nephometer_model::{Alarm, AlarmId, AlarmRule, AlarmState, SubRule};
use serde_json::Value;

use crate::decide::{
    Decision, Finding, Look, MemberAge, alarms_of, combination, composite, finding, leaves, members,
    meters_finding, meters_reads, metric_read, prometheus_finding, threshold,
};

/// Something that an evaluation has to know.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Question {
    /// Data points.
    Metric(MetricRead),
    /// What a PromQL query gives now.
    Prometheus {
        /// The query.
        query: String,
        /// The project that it is narrowed to.
        scope: Option<String>,
    },
    /// The members of a pool.
    Members(String),
    /// The state of another alarm.
    State(AlarmId),
}

/// What somebody who was asked said.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Answer {
    /// To [`Question::Metric`].
    Points(Result<DataPoints, MetricReadError>),
    /// To [`Question::Prometheus`].
    Values(Result<Vec<f64>, MetricReadError>),
    /// To [`Question::Members`].
    Members(Result<Vec<Value>, PoolMembersError>),
    /// To [`Question::State`]; nothing where the alarm is gone.
    State(Option<AlarmState>),
}

/// A rule over series by itself, as it would stand in a composite rule.
pub(super) fn single(rule: &AlarmRule) -> Option<SubRule> {
    Some(match rule {
        AlarmRule::Resource(rule) => SubRule::Resource(rule.clone()),
        AlarmRule::Metrics(rule) => SubRule::Metrics(rule.clone()),
        AlarmRule::Resources(rule) => SubRule::Resources(rule.clone()),
        AlarmRule::Prometheus(rule) => SubRule::Prometheus(rule.clone()),
        _ => return None,
    })
}

/// Whether an evaluator looks at alarms of this rule.
pub(super) const fn is_evaluated(rule: &AlarmRule) -> bool {
    !matches!(rule, AlarmRule::Event(_) | AlarmRule::Unknown { .. })
}

fn question(rule: &SubRule, look: &Look) -> Result<Question, String> {
    if let SubRule::Prometheus(rule) = rule {
        return Ok(Question::Prometheus { query: rule.query.clone(), scope: rule.scope_to_project.clone() });
    }
    match metric_read(rule, look)? {
        Some(read) => Ok(Question::Metric(read)),
        None => Err("the rule reads nothing".to_owned()),
    }
}

/// What an evaluation asks, in the order in which [`decide`] wants the answers.
pub(super) fn questions(rule: &AlarmRule, look: &Look) -> Result<Vec<Question>, String> {
    if let Some(rule) = single(rule) {
        return Ok(vec![question(&rule, look)?]);
    }
    match rule {
        AlarmRule::Composite(rule) => {
            // A leaf that cannot be asked matters only where the decision depends on it.
            let none = Question::State(AlarmId(String::new()));
            Ok(leaves(rule).into_iter().map(|leaf| question(leaf, look).unwrap_or(none.clone())).collect())
        }
        AlarmRule::LoadBalancer(rule) => Ok(vec![Question::Members(rule.pool_id.clone())]),
        AlarmRule::Meters(rule) => Ok(meters_reads(rule, look)?.into_iter().map(Question::Metric).collect()),
        AlarmRule::Combination(rule) => Ok(alarms_of(rule).map(Question::State).collect()),
        _ => Ok(Vec::new()),
    }
}

/// What the answer to the question of a rule over series says.
fn answered(rule: &SubRule, answer: Option<&Answer>) -> Finding {
    match (rule, answer) {
        (SubRule::Prometheus(rule), Some(Answer::Values(values))) => prometheus_finding(rule, values),
        (rule, Some(Answer::Points(points))) => finding(rule, points),
        _ => Finding::Failed("the rule could not be asked".to_owned()),
    }
}

/// What the answers mean for the alarm. An error is the text of what went wrong.
pub(super) fn decide(
    alarm: &Alarm,
    repeat: bool,
    age: MemberAge,
    answers: &[&Answer],
) -> Result<Decision, String> {
    let first = answers.first().copied();
    if let Some(rule) = single(&alarm.rule) {
        return threshold(alarm.state, repeat, &answered(&rule, first));
    }
    match &alarm.rule {
        AlarmRule::Composite(rule) => {
            let leaves = leaves(rule);
            composite(rule, alarm.state, repeat, &mut |at| answered(leaves[at], answers.get(at).copied()))
        }
        AlarmRule::LoadBalancer(rule) => match first {
            Some(Answer::Members(found)) => Ok(members(rule, alarm.state, repeat, age, found)),
            _ => Err("members were not asked for".to_owned()),
        },
        AlarmRule::Meters(rule) => {
            let points: Vec<_> = answers
                .iter()
                .filter_map(|answer| match answer {
                    Answer::Points(points) => Some(points),
                    _ => None,
                })
                .collect();
            threshold(alarm.state, repeat, &meters_finding(rule, &points))
        }
        AlarmRule::Combination(rule) => {
            let states: Vec<Option<AlarmState>> = answers
                .iter()
                .map(|answer| match answer {
                    Answer::State(state) => *state,
                    _ => None,
                })
                .collect();
            Ok(combination(rule, alarm.state, repeat, &states))
        }
        _ => Ok(Decision::default()),
    }
}
