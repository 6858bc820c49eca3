//! Alarms by state, what the evaluator and the notifier have done, what waits to be delivered, what has come over the bus.

use std::fmt;

use nephometer_alarm::evaluate::EvaluatorStatus;
use nephometer_alarm::notify::DispatcherStatus;
use nephometer_drivers::{AlarmStore, AlarmStoreError, BusCounts};
use nephometer_model::Timestamp;
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::{ConstCounter, Counter};
use prometheus_client::metrics::family::Family;
use prometheus_client::metrics::gauge::{ConstGauge, Gauge};
use serde::{Deserialize, Serialize};

use super::snapshot::put;

/// The figures.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct AlarmFigures {
    /// Enabled alarms by state.
    pub(crate) states: Vec<(String, u64)>,
    /// Messages that wait to be delivered.
    pub(crate) waiting_messages: u64,
    /// How long the oldest of them has been there.
    #[serde(default)]
    pub(crate) oldest_message_seconds: f64,
    /// Messages that were given up.
    pub(crate) dead_messages: u64,
    /// What this process's evaluator has done, where it has one.
    pub(crate) evaluator: Option<EvaluatorFigures>,
    /// What its notifier has.
    #[serde(default)]
    pub(crate) notifier: Option<NotifierFigures>,
    /// What has come over the bus, by the name of who listens.
    #[serde(default)]
    pub(crate) heard: Vec<(String, HeardFigures)>,
}

/// What an evaluator has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
pub(crate) struct EvaluatorFigures {
    pub(crate) alarms: u64,
    pub(crate) series: u64,
    pub(crate) evaluations: u64,
    pub(crate) started_by_measures: u64,
    /// Whether it hears of writes now; else alarms are decided by time.
    #[serde(default)]
    pub(crate) hears_of_writes: bool,
    pub(crate) failures: u64,
    pub(crate) transitions: u64,
    /// From the acknowledgement of measures to the decision, over the last minutes.
    pub(crate) lag_p50_ms: f64,
    pub(crate) lag_p99_ms: f64,
    pub(crate) lag_max_ms: f64,
}

impl EvaluatorFigures {
    /// Figures of an evaluator.
    pub(crate) fn new(status: EvaluatorStatus, hears_of_writes: bool) -> Self {
        let EvaluatorStatus { alarms, series, evaluations, failures, transitions, lag, .. } = status;
        Self {
            alarms,
            series,
            evaluations,
            started_by_measures: status.started_by_measures,
            hears_of_writes,
            failures,
            transitions,
            lag_p50_ms: lag.p50_ms,
            lag_p99_ms: lag.p99_ms,
            lag_max_ms: lag.max_ms,
        }
    }
}

/// What a notifier has done since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NotifierFigures {
    pub(crate) sent: u64,
    pub(crate) retried: u64,
    pub(crate) dead: u64,
    pub(crate) returned: u64,
}

impl From<DispatcherStatus> for NotifierFigures {
    fn from(status: DispatcherStatus) -> Self {
        let DispatcherStatus { delivered, retried, dead, returned } = status;
        Self { sent: delivered, retried, dead, returned }
    }
}

impl NotifierFigures {
    fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        for (name, help, value) in [
            ("alarm_messages_sent", "Messages about alarms that reached their targets", self.sent),
            ("alarm_messages_retried", "Attempts that failed and are repeated", self.retried),
            ("alarm_messages_given_up", "Messages about alarms given up by this process", self.dead),
            ("alarm_messages_returned", "Messages put back because targets had no time", self.returned),
        ] {
            put(encoder, name, help, &ConstCounter::new(value))?;
        }
        Ok(())
    }
}

/// What has come over the bus since the start.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct HeardFigures {
    pub(crate) handled: u64,
    pub(crate) dropped: u64,
    pub(crate) repeated: u64,
    pub(crate) interruptions: u64,
}

impl From<BusCounts> for HeardFigures {
    fn from(counts: BusCounts) -> Self {
        let BusCounts { handled, dropped, repeated, interruptions } = counts;
        Self { handled, dropped, repeated, interruptions }
    }
}

/// What the parts of this process say of themselves.
#[derive(Debug, Default)]
pub(crate) struct AlarmWork {
    pub(crate) evaluator: Option<EvaluatorFigures>,
    pub(crate) notifier: Option<DispatcherStatus>,
    pub(crate) heard: Vec<(&'static str, BusCounts)>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct ListenerLabels {
    listener: String,
}

fn encode_heard(heard: &[(String, HeardFigures)], encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
    type Figure = fn(&HeardFigures) -> u64;
    let figures: [(&str, &str, Figure); 4] = [
        ("bus_messages_handled", "Messages from the bus that were dealt with", |heard| heard.handled),
        ("bus_messages_dropped", "Messages from the bus that nobody can read", |heard| heard.dropped),
        ("bus_messages_repeated", "Repetitions of messages that had been dealt with", |heard| heard.repeated),
        ("bus_interruptions", "Connections to the bus that broke or did not come about", |heard| {
            heard.interruptions
        }),
    ];
    for (name, help, figure) in figures {
        let family = Family::<ListenerLabels, Counter>::default();
        for (listener, heard) in heard {
            family.get_or_create(&ListenerLabels { listener: listener.clone() }).inc_by(figure(heard));
        }
        put(encoder, name, help, &family)?;
    }
    Ok(())
}

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: String,
}

impl AlarmFigures {
    /// Asks the store, at `now`.
    pub(crate) async fn of(
        store: &dyn AlarmStore,
        work: AlarmWork,
        now: Timestamp,
    ) -> Result<Self, AlarmStoreError> {
        let states = store.states().await?;
        let outbox = store.outbox().await?;
        let age_ns = outbox.oldest.map_or(0, |oldest| now.ns().saturating_sub(oldest.ns()).max(0));
        let heard = work.heard.into_iter().map(|(name, counts)| (name.to_owned(), counts.into()));
        Ok(Self {
            states: states.into_iter().map(|(state, count)| (state.as_str().to_owned(), count)).collect(),
            waiting_messages: outbox.waiting,
            oldest_message_seconds: age_ns as f64 / 1e9,
            dead_messages: outbox.dead,
            evaluator: work.evaluator,
            notifier: work.notifier.map(NotifierFigures::from),
            heard: heard.collect(),
        })
    }

    pub(super) fn encode(&self, encoder: &mut DescriptorEncoder<'_>) -> fmt::Result {
        let states = Family::<StateLabels, Gauge>::default();
        for (state, count) in &self.states {
            let count = i64::try_from(*count).unwrap_or(i64::MAX);
            states.get_or_create(&StateLabels { state: state.clone() }).set(count);
        }
        put(encoder, "alarms", "Enabled alarms by state", &states)?;
        for (name, help, value) in [
            ("alarm_messages_waiting", "Messages about alarms to be delivered", self.waiting_messages),
            ("alarm_messages_dead", "Messages about alarms that were given up", self.dead_messages),
        ] {
            put(encoder, name, help, &ConstGauge::new(value))?;
        }
        let oldest = ConstGauge::new(self.oldest_message_seconds);
        put(encoder, "alarm_messages_oldest_seconds", "Age of the oldest message to be delivered", &oldest)?;
        if let Some(notifier) = &self.notifier {
            notifier.encode(encoder)?;
        }
        if !self.heard.is_empty() {
            encode_heard(&self.heard, encoder)?;
        }
        let Some(evaluator) = &self.evaluator else { return Ok(()) };
        for (name, help, value) in [
            ("alarm_evaluations", "Evaluations of alarms", evaluator.evaluations),
            ("alarm_evaluation_failures", "Evaluations that went wrong", evaluator.failures),
            ("alarm_transitions", "Changes of alarms' states", evaluator.transitions),
        ] {
            put(encoder, name, help, &ConstCounter::new(value))?;
        }
        let hears = ConstGauge::new(u64::from(evaluator.hears_of_writes));
        put(
            encoder,
            "alarm_hears_of_writes",
            "1 while measures start evaluations, 0 while time alone does",
            &hears,
        )?;
        let lag_seconds = ConstGauge::new(evaluator.lag_p99_ms / 1000.0);
        put(encoder, "alarm_lag_p99_seconds", "From measures to decisions, 99 of 100, lately", &lag_seconds)
    }
}
