//! What a rule would have made of past data: every transition, as if it had been evaluated all the time.

use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, MetricReader};
use nephometer_model::time::NS_PER_SECOND;
use nephometer_model::{Alarm, AlarmRule, AlarmState, Timestamp};
use serde_json::Value;

use super::questions::{Answer, Question, decide, questions};
use crate::decide::{Look, MemberAge};
use crate::time::{TimeConstraintError, Windows};

/// Evaluations that a preview may take.
const MAX_STEPS: i64 = 100_000;
/// Data points of a series that it may read.
const MAX_POINTS: i64 = 1_000_000;

/// A rule to be tried on what was.
#[derive(Debug, Clone)]
pub struct PreviewRequest {
    /// Rule, time constraints and the state to begin with; owner and name do not matter.
    pub alarm: Alarm,
    /// The first evaluation.
    pub start: Timestamp,
    /// Evaluations end before this.
    pub stop: Timestamp,
    /// Seconds from evaluation to evaluation.
    pub every_seconds: u32,
    /// Windows reach back that much further; seconds.
    pub ingestion_lag_seconds: i64,
}

/// A change of state that an alarm would have made.
#[derive(Debug, Clone, PartialEq)]
pub struct PreviewTransition {
    /// When.
    pub at: Timestamp,
    /// To which state.
    pub state: AlarmState,
    /// Why, for people.
    pub reason: String,
    /// Why, for machines.
    pub reason_data: Value,
}

/// Why there is no preview.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PreviewError {
    /// What the rule watches is not kept.
    #[error("alarms of type {0} watch nothing whose past is known")]
    Type(String),
    /// The rule cannot be read or evaluated.
    #[error("{0}")]
    Rule(String),
    /// A time constraint cannot be understood.
    #[error(transparent)]
    Constraint(#[from] TimeConstraintError),
    /// There is nothing between start and stop, or no time between evaluations.
    #[error("start must be before stop, and evaluations some seconds apart")]
    Empty,
    /// More than one request may ask for.
    #[error(
        "that would be {steps} evaluations over {points} data points: {MAX_STEPS} and {MAX_POINTS} are allowed"
    )]
    TooLong {
        /// Evaluations.
        steps: i64,
        /// Data points of one series.
        points: i64,
    },
}

/// A reading of the whole time, and what came of it.
struct Past {
    /// How far before an evaluation its window begins.
    back_ns: i64,
    granularity: nephometer_model::Timespan,
    answer: Result<DataPoints, MetricReadError>,
}

impl Past {
    /// What the reading would have answered at `now`. Data points that were still filling are full.
    fn at(&self, now: Timestamp) -> Answer {
        let points = match &self.answer {
            Ok(points) => points,
            Err(error) => return Answer::Points(Err(error.clone())),
        };
        let from = Timestamp::from_ns(now.ns().saturating_sub(self.back_ns)).floor(self.granularity);
        let first = points.partition_point(|(at, _)| *at < from);
        let end = points.partition_point(|(at, _)| *at < now);
        Answer::Points(Ok(points[first..end.max(first)].to_vec()))
    }
}

fn reads(rule: &AlarmRule, look: &Look) -> Result<Vec<MetricRead>, PreviewError> {
    let unknown = || PreviewError::Type(rule.type_name().to_owned());
    if matches!(rule, AlarmRule::Event(_) | AlarmRule::Combination(_) | AlarmRule::Unknown { .. }) {
        return Err(unknown());
    }
    let own = questions(rule, look).map_err(PreviewError::Rule)?;
    own.into_iter()
        .map(|question| match question {
            Question::Metric(read) => Ok(read),
            _ => Err(unknown()),
        })
        .collect()
}

/// The past of everything that the rule reads.
async fn past(reader: &dyn MetricReader, request: &PreviewRequest) -> Result<Vec<Past>, PreviewError> {
    let look = |now| Look { now, ingestion_lag_seconds: request.ingestion_lag_seconds };
    let (first, last) = (look(request.start), look(request.stop));
    let mut whole = reads(&request.alarm.rule, &last)?;
    let mut frames = Vec::with_capacity(whole.len());
    for (read, early) in whole.iter_mut().zip(reads(&request.alarm.rule, &first)?) {
        frames.push((read.stop.ns() - read.start.ns(), read.granularity));
        read.start = early.start;
        let points = (read.stop.ns() - read.start.ns()) / read.granularity.ns().max(1);
        if points > MAX_POINTS {
            return Err(PreviewError::TooLong { steps: steps(request), points });
        }
    }
    let answers = reader.read(whole).await;
    let pasts = frames.into_iter().zip(answers);
    Ok(pasts.map(|((back_ns, granularity), answer)| Past { back_ns, granularity, answer }).collect())
}

fn steps(request: &PreviewRequest) -> i64 {
    let every_ns = i64::from(request.every_seconds).max(1) * NS_PER_SECOND;
    request.stop.ns().saturating_sub(request.start.ns()) / every_ns
}

/// Evaluates the rule over and over from `start` to `stop`.
///
/// # Errors
/// See [`PreviewError`].
pub async fn preview(
    reader: &dyn MetricReader,
    request: PreviewRequest,
) -> Result<Vec<PreviewTransition>, PreviewError> {
    if request.stop <= request.start || request.every_seconds == 0 {
        return Err(PreviewError::Empty);
    }
    if steps(&request) > MAX_STEPS {
        return Err(PreviewError::TooLong { steps: steps(&request), points: 0 });
    }
    let windows = Windows::new(&request.alarm.time_constraints)?;
    let past = past(reader, &request).await?;
    let mut alarm = request.alarm;
    let mut transitions = Vec::new();
    let mut now = request.start;
    while now < request.stop {
        if windows.hold(now) {
            let answers: Vec<Answer> = past.iter().map(|past| past.at(now)).collect();
            let answers: Vec<&Answer> = answers.iter().collect();
            let age = MemberAge { now, grace_seconds: 0 };
            let decision = decide(&alarm, false, age, &answers).map_err(PreviewError::Rule)?;
            if let Some(verdict) = decision.verdict {
                alarm.state = verdict.state;
                let (state, reason, reason_data) = (verdict.state, verdict.reason, verdict.reason_data);
                transitions.push(PreviewTransition { at: now, state, reason, reason_data });
            }
        }
        now = Timestamp::from_ns(now.ns().saturating_add(i64::from(request.every_seconds) * NS_PER_SECOND));
    }
    Ok(transitions)
}

#[cfg(test)]
mod tests {
    use nephometer_model::{
        Clock, CompositeRule, EventRule, Operator, PrometheusRule, SubRule, TimeConstraint,
    };

    use super::*;
    use crate::world::{World, above_80, alarm};

    const MINUTE_NS: i64 = 60 * NS_PER_SECOND;

    /// Ten quiet minutes, ten loud ones, ten without data, from a full minute on; and when they began.
    fn past(world: &World) -> Timestamp {
        let start = world.clock.now().floor(nephometer_model::Timespan::from_seconds(60));
        let mut state = world.state.lock();
        let points = state.points.entry("m1".to_owned()).or_default();
        for minute in 0..20 {
            let at = Timestamp::from_ns(start.ns() + minute * MINUTE_NS);
            points.push((at, if minute < 10 { 10.0 } else { 90.0 }));
        }
        start
    }

    fn request(rule: Alarm, start: Timestamp) -> PreviewRequest {
        PreviewRequest {
            alarm: rule,
            start,
            stop: Timestamp::from_ns(start.ns() + 40 * MINUTE_NS),
            every_seconds: 60,
            ingestion_lag_seconds: 0,
        }
    }

    async fn run(world: &World, request: PreviewRequest) -> Result<Vec<(i64, &'static str)>, PreviewError> {
        let start = request.start;
        let found = preview(world, request).await?;
        Ok(found.iter().map(|one| ((one.at.ns() - start.ns()) / MINUTE_NS, one.state.as_str())).collect())
    }

    #[tokio::test]
    async fn every_transition_that_would_have_been() {
        let world = World::new();
        let start = past(&world);
        let found = run(&world, request(above_80("a", "m1", 3), start)).await.unwrap();
        assert_eq!(found, [(3, "ok"), (13, "alarm"), (22, "insufficient data")]);
        let reads = world.state.lock().reads;
        assert_eq!(reads, 1);
        let leaf = |alarm: Alarm| match alarm.rule {
            AlarmRule::Resource(rule) => CompositeRule::Rule(Box::new(SubRule::Resource(rule))),
            _ => panic!(),
        };
        let both = CompositeRule::And(vec![leaf(above_80("a", "m1", 1)), leaf(above_80("a", "m1", 3))]);
        let found = run(&world, request(alarm("c", AlarmRule::Composite(both)), start)).await.unwrap();
        assert_eq!(found.first(), Some(&(1, "ok")));
        assert!(found.contains(&(13, "alarm")), "{found:?}");
    }

    #[tokio::test]
    async fn outside_of_time_constraints_nothing_would_have_been() {
        let world = World::new();
        let start = past(&world);
        let constraint = TimeConstraint {
            name: "t".to_owned(),
            description: String::new(),
            start: "0 3 * * *".to_owned(),
            duration_seconds: 60,
            timezone: String::new(),
        };
        let rule = Alarm { time_constraints: vec![constraint], ..above_80("a", "m1", 3) };
        assert_eq!(run(&world, request(rule, start)).await, Ok(Vec::new()));
    }

    #[tokio::test]
    async fn what_cannot_be_tried_is_refused() {
        let world = World::new();
        let start = past(&world);
        let event = EventRule { event_type: "*".to_owned(), query: Vec::new() };
        let prometheus = PrometheusRule {
            comparison_operator: Operator::Gt,
            threshold: 1.0,
            query: "up".to_owned(),
            scope_to_project: None,
        };
        for rule in [AlarmRule::Event(event), AlarmRule::Prometheus(prometheus)] {
            let name = rule.type_name().to_owned();
            let refused = run(&world, request(alarm("a", rule), start)).await;
            assert_eq!(refused, Err(PreviewError::Type(name)));
        }
        let plain = || request(above_80("a", "m1", 3), start);
        assert_eq!(run(&world, PreviewRequest { stop: start, ..plain() }).await, Err(PreviewError::Empty));
        let year = Timestamp::from_ns(start.ns() + 365 * 24 * 60 * MINUTE_NS);
        let long = PreviewRequest { stop: year, every_seconds: 1, ..plain() };
        assert!(matches!(run(&world, long).await, Err(PreviewError::TooLong { .. })));
    }
}
