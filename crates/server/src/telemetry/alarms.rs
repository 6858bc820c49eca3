//! Alarms by state, what the evaluator has done, what waits to be delivered.

use std::fmt;

use nephometer_alarm::evaluate::EvaluatorStatus;
use nephometer_drivers::{AlarmStore, AlarmStoreError};
use prometheus_client::encoding::{DescriptorEncoder, EncodeLabelSet};
use prometheus_client::metrics::counter::ConstCounter;
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
    /// Messages that were given up.
    pub(crate) dead_messages: u64,
    /// What this process's evaluator has done, where it has one.
    pub(crate) evaluator: Option<EvaluatorFigures>,
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

#[derive(Debug, Clone, PartialEq, Eq, Hash, EncodeLabelSet)]
struct StateLabels {
    state: String,
}

impl AlarmFigures {
    /// Asks the store.
    pub(crate) async fn of(
        store: &dyn AlarmStore,
        evaluator: Option<EvaluatorFigures>,
    ) -> Result<Self, AlarmStoreError> {
        let states = store.states().await?;
        let outbox = store.outbox().await?;
        Ok(Self {
            states: states.into_iter().map(|(state, count)| (state.as_str().to_owned(), count)).collect(),
            waiting_messages: outbox.waiting,
            dead_messages: outbox.dead,
            evaluator,
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
