//! What a rule would have made of past data: every transition, as if it had been evaluated all the time.

use nephometer_drivers::{DataPoints, MetricRead, MetricReadError, MetricReader, MetricSubject};
use nephometer_model::time::NS_PER_SECOND;
use nephometer_model::{Alarm, AlarmRule, AlarmState, Timestamp};
use serde_json::Value;

use super::questions::{Answer, Question, decide, questions};
use crate::decide::{Look, MemberAge};
use crate::time::{TimeConstraintError, Windows};

/// Evaluations that a preview may take, times the readings of each.
const MAX_STEPS: i64 = 100_000;
/// Data points of all series together that it may read.
const MAX_POINTS: i64 = 5_000_000;
/// So many evaluations are made before others get their turn.
const STEPS_AT_ONCE: u32 = 500;
/// So many metrics of a group are named in a warning.
const NAMED_METRICS: usize = 3;

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
    /// From which state.
    pub previous: AlarmState,
    /// To which state.
    pub state: AlarmState,
    /// Why, for people.
    pub reason: String,
    /// Why, for machines.
    pub reason_data: Value,
}

/// What a rule would have made of the past.
#[derive(Debug, Clone, PartialEq)]
pub struct Previewed {
    /// Every change of state.
    pub transitions: Vec<PreviewTransition>,
    /// The state at last.
    pub state: AlarmState,
    /// What the rule reads that is not there, for people: a metric, a resource, an aggregation, any measure.
    pub warnings: Vec<String>,
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
        "that would be {steps} readings of {points} data points: {MAX_STEPS} and {MAX_POINTS} are allowed; begin later or evaluate less often"
    )]
    TooLong {
        /// Evaluations times the readings of each.
        steps: i64,
        /// Data points of all series.
        points: i64,
    },
    /// The measures cannot be read at the moment.
    #[error("{0}")]
    Unavailable(String),
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

/// What the rule reads, from the first evaluation's window to the last one's, and how wide a window is.
fn whole(request: &PreviewRequest) -> Result<Vec<(MetricRead, i64)>, PreviewError> {
    let look = |now| Look { now, ingestion_lag_seconds: request.ingestion_lag_seconds };
    let last = reads(&request.alarm.rule, &look(request.stop))?;
    let first = reads(&request.alarm.rule, &look(request.start))?;
    let both = last.into_iter().zip(first);
    Ok(both
        .map(|(last, first)| {
            let width_ns = last.stop.ns() - last.start.ns();
            (MetricRead { start: first.start, ..last }, width_ns)
        })
        .collect())
}

/// Refuses what would take too long, before anything is read.
async fn check_work(
    reader: &dyn MetricReader,
    request: &PreviewRequest,
    reads: &[MetricRead],
) -> Result<(), PreviewError> {
    let every_ns = i64::from(request.every_seconds).max(1) * NS_PER_SECOND;
    let evaluations = request.stop.ns().saturating_sub(request.start.ns()) / every_ns;
    let steps = evaluations.saturating_mul(i64::try_from(reads.len()).unwrap_or(i64::MAX));
    if steps > MAX_STEPS {
        return Err(PreviewError::TooLong { steps, points: 0 });
    }
    let mut points = 0_i64;
    for (read, series) in reads.iter().zip(reader.series(reads).await) {
        let each = (read.stop.ns() - read.start.ns()) / read.granularity.ns().max(1);
        let series = series.map_or(1, |series| series.len().max(1));
        points = points.saturating_add(each.saturating_mul(i64::try_from(series).unwrap_or(i64::MAX)));
    }
    if points > MAX_POINTS { Err(PreviewError::TooLong { steps, points }) } else { Ok(()) }
}

/// The past of everything that the rule reads, and what is not there.
async fn past(
    reader: &dyn MetricReader,
    request: &PreviewRequest,
) -> Result<(Vec<Past>, Vec<String>), PreviewError> {
    let (reads, widths): (Vec<_>, Vec<_>) = whole(request)?.into_iter().unzip();
    check_work(reader, request, &reads).await?;
    let answers = reader.read(reads.clone()).await;
    let (mut past, mut warnings) = (Vec::with_capacity(reads.len()), Vec::new());
    for ((read, back_ns), answer) in reads.iter().zip(widths).zip(answers) {
        if let Err(MetricReadError::Unavailable(text)) = answer {
            return Err(PreviewError::Unavailable(text));
        }
        warnings.extend(warning(read, &answer).filter(|text| !warnings.contains(text)));
        past.push(Past { back_ns, granularity: read.granularity, answer });
    }
    Ok((past, warnings))
}

/// What of a reading is not there; nothing where it has data points.
fn warning(read: &MetricRead, answer: &Result<DataPoints, MetricReadError>) -> Option<String> {
    let what = match answer {
        Ok(points) if !points.is_empty() => return None,
        Ok(_) => "nothing was measured in that time".to_owned(),
        Err(MetricReadError::NoSuchAggregate) => {
            format!("no {} of {} seconds is kept", read.method, read.granularity.seconds())
        }
        Err(error) => error.to_string(),
    };
    let subject = match &read.subject {
        MetricSubject::OfResource { resource_id, metric } => {
            format!("metric {metric} of resource {resource_id}")
        }
        MetricSubject::Metrics(ids) if ids.len() > NAMED_METRICS => {
            format!("metrics {} and {} more", ids[..NAMED_METRICS].join(", "), ids.len() - NAMED_METRICS)
        }
        MetricSubject::Metrics(ids) => format!("metrics {}", ids.join(", ")),
        MetricSubject::OfResources { metric, resource_type, .. } => {
            format!("metric {metric} of the resources of type {resource_type} that the query finds")
        }
    };
    Some(format!("{subject}: {what}"))
}

/// Evaluates the rule over and over from `start` to `stop`.
///
/// # Errors
/// See [`PreviewError`].
pub async fn preview(reader: &dyn MetricReader, request: PreviewRequest) -> Result<Previewed, PreviewError> {
    if request.stop <= request.start || request.every_seconds == 0 {
        return Err(PreviewError::Empty);
    }
    let windows = Windows::new(&request.alarm.time_constraints)?;
    let (past, warnings) = past(reader, &request).await?;
    let mut alarm = request.alarm;
    let mut transitions = Vec::new();
    let (mut now, mut steps) = (request.start, 0_u32);
    while now < request.stop {
        if windows.hold(now) {
            transitions.extend(step(&mut alarm, &past, now)?);
        }
        now = Timestamp::from_ns(now.ns().saturating_add(i64::from(request.every_seconds) * NS_PER_SECOND));
        steps += 1;
        if steps.is_multiple_of(STEPS_AT_ONCE) {
            tokio::task::yield_now().await;
        }
    }
    Ok(Previewed { transitions, state: alarm.state, warnings })
}

/// One evaluation: what follows of the state that the alarm has, which becomes the new one.
fn step(alarm: &mut Alarm, past: &[Past], now: Timestamp) -> Result<Option<PreviewTransition>, PreviewError> {
    let answers: Vec<Answer> = past.iter().map(|past| past.at(now)).collect();
    let answers: Vec<&Answer> = answers.iter().collect();
    let age = MemberAge { now, grace_seconds: 0 };
    let decision = decide(alarm, false, age, &answers).map_err(PreviewError::Rule)?;
    let Some(verdict) = decision.verdict else { return Ok(None) };
    let previous = std::mem::replace(&mut alarm.state, verdict.state);
    let (state, reason, reason_data) = (verdict.state, verdict.reason, verdict.reason_data);
    Ok(Some(PreviewTransition { at: now, previous, state, reason, reason_data }))
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
        let mut state = AlarmState::InsufficientData;
        for one in &found.transitions {
            assert_eq!(std::mem::replace(&mut state, one.state), one.previous);
        }
        assert_eq!((found.state, found.warnings), (state, Vec::new()));
        let seen = |one: &PreviewTransition| ((one.at.ns() - start.ns()) / MINUTE_NS, one.state.as_str());
        Ok(found.transitions.iter().map(seen).collect())
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
    async fn what_is_not_there_is_told() {
        let world = World::new();
        let start = past(&world);
        let found = preview(&*world, request(above_80("a", "m9", 1), start)).await.unwrap();
        assert_eq!((found.transitions, found.state), (Vec::new(), AlarmState::InsufficientData));
        assert!(found.warnings[0].starts_with("metric m9 of resource "), "{:?}", found.warnings);
        let kept = |answer| warning(&reads(&above_80("a", "m1", 1).rule, &look(start)).unwrap()[0], &answer);
        assert_eq!(kept(Ok(vec![(start, 1.0)])), None);
        let told = [kept(Ok(Vec::new())), kept(Err(MetricReadError::NoSuchAggregate))].map(Option::unwrap);
        assert!(told[0].ends_with(": nothing was measured in that time"), "{told:?}");
        assert!(told[1].ends_with(": no mean of 60 seconds is kept"), "{told:?}");
    }

    fn look(now: Timestamp) -> Look {
        Look { now, ingestion_lag_seconds: 0 }
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
        let reads = world.state.lock().reads;
        assert_eq!(reads, 0);
    }
}
