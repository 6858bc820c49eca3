//! Two evaluators, an API, measures and faults in any order: whatever happens, history is a chain of transitions, each
//! is told once, and in the end every alarm stands where its data say.

use std::collections::HashMap;
use std::sync::Arc;

use nephometer_drivers::{AlarmStore, LeaseStore, MetricReader, SeriesRun, WriteObserver};
use nephometer_model::{Alarm, AlarmState, Clock, IdSource, PolicyKey};
use proptest::prelude::*;
use tokio::sync::Notify;

use super::batch::Job;
use super::*;
use crate::world::{World, above_80, series_of};

#[derive(Debug, Clone)]
enum Step {
    /// A measure arrives; the evaluator of that number hears of it.
    Measure { metric: u8, high: bool, heard_by: usize },
    /// Seconds pass.
    Pass(i64),
    /// An evaluator does all it has to do.
    Settle(usize),
    /// An evaluator takes a batch, and is then cut off.
    Begin(usize),
    /// It comes back, and goes on as if nothing had happened.
    Finish(usize),
    /// The next write fails, before or after it is done.
    Fail(bool),
    /// Somebody edits an alarm.
    Edit { alarm: u8, name: u8 },
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        4 => (0..3_u8, any::<bool>(), 0..2_usize)
            .prop_map(|(metric, high, heard_by)| Step::Measure { metric, high, heard_by }),
        3 => (1..20_i64).prop_map(Step::Pass),
        5 => (0..2_usize).prop_map(Step::Settle),
        2 => (0..2_usize).prop_map(Step::Begin),
        2 => (0..2_usize).prop_map(Step::Finish),
        1 => any::<bool>().prop_map(Step::Fail),
        1 => (0..6_u8, 0..9_u8).prop_map(|(alarm, name)| Step::Edit { alarm, name }),
    ]
}

fn evaluator(world: &Arc<World>) -> Evaluator {
    let sources = Sources {
        reader: Arc::clone(world) as Arc<dyn MetricReader>,
        prometheus: None,
        members: None,
        store: Arc::clone(world) as Arc<dyn AlarmStore>,
    };
    let parts = EvaluatorParts {
        sources,
        leases: Arc::clone(world) as Arc<dyn LeaseStore>,
        clock: Arc::clone(&world.clock) as Arc<dyn Clock>,
        recorder: Recorder::new(Arc::clone(&world.clock) as Arc<dyn IdSource>, Recording::default()),
        deliveries: Arc::new(Notify::new()),
        member: world.clock.uuid(),
    };
    Evaluator::new(parts, EvaluatorSettings::default())
}

fn name(number: u8) -> String {
    format!("a{number}")
}

async fn run(steps: Vec<Step>) -> Arc<World> {
    let world = World::new();
    for number in 0..6 {
        world.put(above_80(&name(number), &format!("m{}", number % 3), 1));
    }
    let mut evaluators = [evaluator(&world), evaluator(&world)];
    let mut begun: [Option<Vec<Job>>; 2] = [None, None];
    let mut edited = HashMap::new();
    for step in steps {
        match step {
            Step::Measure { metric, high, heard_by } => {
                let metric = format!("m{metric}");
                world.measure(&metric, if high { 90.0 } else { 10.0 });
                let run = SeriesRun { key: series_of(&metric), policy: PolicyKey(0), len: 1 };
                evaluators[heard_by].handle().watch().written(&[run]);
            }
            Step::Pass(seconds) => world.advance(seconds),
            Step::Settle(at) if begun[at].is_none() => evaluators[at].settle().await,
            Step::Begin(at) if begun[at].is_none() => {
                evaluators[at].maintain().await;
                begun[at] = evaluators[at].batch();
            }
            Step::Finish(at) => {
                if let Some(jobs) = begun[at].take() {
                    let done = evaluators[at].run_batch(jobs).await;
                    evaluators[at].absorb(done);
                }
            }
            Step::Fail(wrote) => world.state.lock().fail_apply = Some(wrote),
            Step::Edit { alarm, name: text } => {
                let old = world.alarm(&name(alarm));
                edited.insert(name(alarm), format!("n{text}"));
                world.put(Alarm { name: format!("n{text}"), ..old });
            }
            Step::Settle(_) | Step::Begin(_) => {}
        }
    }
    world.state.lock().fail_apply = None;
    for at in [0, 1] {
        if let Some(jobs) = begun[at].take() {
            let done = evaluators[at].run_batch(jobs).await;
            evaluators[at].absorb(done);
        }
    }
    for _ in 0..300 {
        world.advance(1);
        evaluators[0].settle().await;
        evaluators[1].settle().await;
    }
    for (id, name) in edited {
        assert_eq!(world.alarm(&id).name, name, "an edit was lost");
    }
    world
}

/// History goes from state to state, each told once; the last one is where the alarm stands.
fn check(world: &World) {
    for number in 0..6 {
        let id = name(number);
        let mut state = AlarmState::InsufficientData.as_str().to_owned();
        let history = world.history_of(&id);
        for next in &history {
            assert_ne!(*next, state, "{id} made a transition twice: {history:?}");
            state.clone_from(next);
        }
        let alarm = world.alarm(&id);
        assert_eq!(state, alarm.state.as_str(), "{id}: {history:?}");
        let told = world.state.lock().deliveries.iter().filter(|message| message.alarm_id.0 == id).count();
        assert_eq!(told, history.len(), "{id}");
        // Five minutes have passed since the last measure.
        assert_eq!(alarm.state, AlarmState::InsufficientData, "{id}: {history:?}");
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(300))]

    #[test]
    fn nothing_is_lost_or_doubled(steps in proptest::collection::vec(step(), 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let world = runtime.block_on(run(steps));
        check(&world);
    }
}
