//! The agent on paused time, with pollsters that do as they are told.

use std::sync::atomic::Ordering;

use nephometer_model::{ManualClock, Timestamp};

use super::*;
use crate::fakes::{FakeDiscovery, FakePollster, FakeSink, Habit};
use crate::{Discovery, LocalNode, Namespace, Plugins, PollingConfig, Pollster};

/// A host with pollsters, and what becomes of their samples.
struct Host {
    sink: Arc<FakeSink>,
    discovery: Arc<FakeDiscovery>,
    clock: Arc<ManualClock>,
    pollsters: Vec<Arc<dyn Pollster>>,
    settings: AgentSettings,
}

impl Host {
    fn with(pollsters: Vec<FakePollster>) -> Self {
        Self {
            sink: Arc::default(),
            discovery: Arc::default(),
            clock: Arc::new(ManualClock::at(Timestamp::from_ns(1_700_000_000_000_000_000))),
            pollsters: pollsters.into_iter().map(|pollster| Arc::new(pollster) as _).collect(),
            settings: AgentSettings { jitter: Duration::ZERO, ..AgentSettings::default() },
        }
    }

    fn plan(&self, sources: &str) -> Plan {
        let config = PollingConfig::parse(&format!("sources:\n{sources}")).unwrap();
        let discoveries: Vec<Arc<dyn Discovery>> =
            vec![Arc::new(LocalNode::new("node")), Arc::clone(&self.discovery) as _];
        let plugins = Plugins { discoveries, pollsters: self.pollsters.clone() };
        Plan::new(&config, &[Namespace { name: "test".into(), plugins }])
    }

    fn agent(&self, sources: &str) -> (Agent, AgentHandle) {
        let clock = || Arc::clone(&self.clock);
        let parts = AgentParts {
            sink: Arc::clone(&self.sink) as _,
            clock: clock(),
            ids: clock(),
            division: Division::alone(clock()),
            exporter: Some(Arc::default()),
            names: None,
            heartbeat: Some(Heartbeat::default()),
        };
        Agent::new(parts, self.settings.clone(), self.plan(sources))
    }
}

fn outcome<'a>(outcomes: &'a [PollOutcome], pollster: &str) -> &'a PollOutcome {
    outcomes.iter().find(|outcome| &*outcome.pollster == pollster).unwrap()
}

#[tokio::test]
async fn static_resources_come_first_and_each_is_read_once_a_cycle() {
    let host = Host::with(vec![FakePollster::named("cpu"), FakePollster::named("fan")]);
    host.discovery.ids.lock().extend(["b", "a", "c"]);
    let (agent, _) = host.agent(
        "- {name: one, interval: 10, meters: [cpu], resources: [a], discovery: [fake]}\n\
         - {name: two, interval: 10, meters: [cpu, fan], discovery: [fake]}\n\
         - {name: three, interval: 10, meters: [fan], discovery: ['fake:broken']}\n",
    );
    let outcomes = agent.once().await;
    let taken = host.sink.taken();
    assert_eq!(taken, ["cpu a", "cpu b", "cpu c", "fan b", "fan a", "fan c", "fan node"]);
    // Two specs, each asked once.
    assert_eq!(host.discovery.asked.load(Ordering::SeqCst), 2);
    assert_eq!(outcomes[0].failure, None);
    let broken = outcomes.iter().find(|outcome| &*outcome.source == "three").unwrap();
    assert_eq!(broken.failure.as_deref(), Some("discovery fake:broken: broken"));
    let samples = host.sink.samples.lock();
    assert_eq!(samples[0].timestamp.as_deref(), Some("2023-11-14T22:13:20"));
}

#[tokio::test]
async fn what_was_read_before_a_failure_is_handed_on() {
    let host = Host::with(vec![
        FakePollster::that("half", Habit::Halfway),
        FakePollster::that("panic", Habit::Panicking),
        FakePollster::named("well"),
    ]);
    let (agent, handle) = host.agent("- {name: s, interval: 10, meters: ['*'], resources: [a, b]}\n");
    let outcomes = agent.once().await;
    assert_eq!(outcome(&outcomes, "half").samples, 1);
    assert_eq!(outcome(&outcomes, "half").failure.as_deref(), Some("halfway"));
    assert!(outcome(&outcomes, "panic").failure.as_deref().unwrap().starts_with("it panicked"));
    assert_eq!((outcome(&outcomes, "well").samples, &outcome(&outcomes, "well").failure), (2, &None));
    let status = handle.status();
    let well = &status.pollsters[&("s".into(), "well".into())];
    assert_eq!((well.polls, well.failures, well.samples), (1, 0, 2));
    let exporter = agent.shared.parts.exporter.as_ref().unwrap().render();
    assert_eq!(exporter.lines().filter(|line| !line.starts_with('#')).count(), 3, "{exporter}");
    assert_eq!(agent.shared.parts.heartbeat.as_ref().unwrap().text().lines().count(), 3);
    host.sink.is_full.store(true, Ordering::SeqCst);
    let outcomes = agent.once().await;
    assert_eq!(outcome(&outcomes, "well").failure.as_deref(), Some("samples are not taken: full"));
    assert_eq!(handle.status().pollsters[&("s".into(), "well".into())].refused_samples, 2);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_alone_for_a_while() {
    let host = Host::with(vec![FakePollster::that("cpu", Habit::Refusing)]);
    let (agent, handle) = host.agent("- {name: s, interval: 10, meters: [cpu], resources: [a, x]}\n");
    let mut asked = Vec::new();
    for minutes in [0, 1, 9, 1, 18] {
        host.clock.advance_ns(minutes * 60_000_000_000);
        asked.push(agent.once().await[0].resources);
    }
    assert_eq!(asked, [2, 1, 2, 1, 1]);
    assert_eq!(handle.status().pollsters[&("s".into(), "cpu".into())].blacklisted, 1);
}

#[tokio::test(start_paused = true)]
async fn a_cycle_that_is_late_is_left_out_and_never_stacked() {
    let slow = FakePollster::that("slow", Habit::Slowly(Duration::from_secs(25)));
    let most = Arc::clone(&slow.most_at_once);
    let host = Host::with(vec![slow]);
    let (agent, handle) = host.agent("- {name: s, interval: 10, meters: [slow]}\n");
    // Begins at 0, 30, 60 and 90.
    agent.run(tokio::time::sleep(Duration::from_secs(116))).await;
    let tally = &handle.status().tasks[&Duration::from_secs(10)];
    assert_eq!((tally.cycles, tally.left_out, most.load(Ordering::SeqCst)), (4, 8, 1));
    assert_eq!(tally.last, Duration::from_secs(25));
}

#[tokio::test(start_paused = true)]
async fn pollsters_run_side_by_side_as_far_as_they_may() {
    let pollsters = |most: &Arc<std::sync::atomic::AtomicU32>, at_once: &Arc<_>| {
        let make = |n| FakePollster {
            most_at_once: Arc::clone(most),
            at_once: Arc::clone(at_once),
            ..FakePollster::that(&format!("p{n}"), Habit::Slowly(Duration::from_secs(1)))
        };
        (0..6).map(make).collect()
    };
    for (limit, expected) in [(1, 1), (4, 4), (0, 6)] {
        let (most, at_once) = (Arc::default(), Arc::default());
        let mut host = Host::with(pollsters(&most, &at_once));
        host.settings.pollsters_at_once = limit;
        let (agent, _) = host.agent("- {name: s, interval: 10, meters: ['*']}\n");
        agent.once().await;
        assert_eq!(most.load(Ordering::SeqCst), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_plan_changes_what_it_changes() {
    let host = Host::with(vec![FakePollster::named("cpu"), FakePollster::named("fan")]);
    let (agent, handle) =
        host.agent("- {name: s, interval: 10, meters: [cpu]}\n- {name: t, interval: 7, meters: [fan]}\n");
    let running = tokio::spawn(agent.run(tokio::time::sleep(Duration::from_secs(96))));
    tokio::time::sleep(Duration::from_secs(45)).await;
    // Tens at 0 to 40, sevens at 0 to 42.
    assert_eq!(host.sink.taken().len(), 5 + 7);
    handle.follow(
        host.plan("- {name: s, interval: 10, meters: [fan]}\n- {name: u, interval: 20, meters: [cpu]}\n"),
    );
    running.await.unwrap();
    // Tens go on at 50 to 90, twenties come at 45, 65 and 85.
    let fans = host.sink.taken().iter().filter(|name| *name == "fan node").count();
    let cpus = host.sink.taken().iter().filter(|name| *name == "cpu node").count();
    assert_eq!((fans, cpus), (7 + 5, 5 + 3));
    let status = handle.status();
    let keys: Vec<String> =
        status.pollsters.keys().map(|(source, name)| format!("{source} {name}")).collect();
    assert_eq!(keys, ["s fan", "u cpu"]);
}
