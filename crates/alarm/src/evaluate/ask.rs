//! Asks what evaluations have to know: each thing once, however many alarms want it.

use std::collections::HashMap;
use std::hash::BuildHasher;
use std::sync::Arc;

use foldhash::fast::FixedState;
use futures::StreamExt;
use nephometer_drivers::{
    AlarmFilter, AlarmStore, AlarmValue, MetricRead, MetricReadError, MetricReader, MetricSubject, Page,
    PoolMembers, PoolMembersError, PrometheusReader,
};
use nephometer_model::{AlarmId, AlarmState};

use super::questions::{Answer, Question};

/// Readings that are handed to the reader together.
const READS_AT_ONCE: usize = 256;
/// Alarms whose states are asked for together.
const STATES_AT_ONCE: usize = 500;
/// Requests to another service at a time.
const REQUESTS_AT_ONCE: usize = 8;

/// Those who know.
#[derive(Clone)]
pub struct Sources {
    /// Our own measures, or another Gnocchi's.
    pub reader: Arc<dyn MetricReader>,
    /// Prometheus, where there is one.
    pub prometheus: Option<Arc<dyn PrometheusReader>>,
    /// Load balancers, where there are any.
    pub members: Option<Arc<dyn PoolMembers>>,
    /// Other alarms.
    pub store: Arc<dyn AlarmStore>,
}

/// Questions without repetitions, and who asked them.
#[derive(Default)]
pub(super) struct Questions {
    unique: Vec<Question>,
    by_hash: HashMap<u64, Vec<usize>>,
}

/// Equal questions have equal hashes; a search is left to the comparison.
fn hash(question: &Question) -> u64 {
    let state = FixedState::default();
    match question {
        Question::Metric(read) => {
            let subject = match &read.subject {
                MetricSubject::OfResource { resource_id, metric } => state.hash_one((0, resource_id, metric)),
                MetricSubject::Metrics(ids) => state.hash_one((1, ids)),
                MetricSubject::OfResources { metric, resource_type, .. } => {
                    state.hash_one((2, metric, resource_type))
                }
            };
            state.hash_one((subject, &read.method, read.granularity, read.start, read.stop))
        }
        Question::Prometheus { query, scope } => state.hash_one((3, query, scope)),
        Question::Members(pool_id) => state.hash_one((4, pool_id)),
        Question::State(id) => state.hash_one((5, &id.0)),
    }
}

impl Questions {
    /// Adds a question; the number of its answer.
    pub(super) fn add(&mut self, question: Question) -> usize {
        let same = self.by_hash.entry(hash(&question)).or_default();
        if let Some(at) = same.iter().find(|at| self.unique[**at] == question) {
            return *at;
        }
        same.push(self.unique.len());
        self.unique.push(question);
        self.unique.len() - 1
    }
}

impl Sources {
    /// An answer for each question, by its number.
    pub(super) async fn ask(&self, questions: Questions) -> Vec<Answer> {
        let mut answers: Vec<Option<Answer>> = vec![None; questions.unique.len()];
        let (mut reads, mut states, mut others) = (Vec::new(), Vec::new(), Vec::new());
        for (at, question) in questions.unique.into_iter().enumerate() {
            match question {
                Question::Metric(read) => reads.push((at, read)),
                Question::State(id) => states.push((at, id)),
                other => others.push((at, other)),
            }
        }
        for (at, answer) in self.read(reads).await {
            answers[at] = Some(answer);
        }
        for (at, answer) in self.states(states).await {
            answers[at] = Some(answer);
        }
        let requests =
            others.into_iter().map(|(at, question)| async move { (at, self.request(question).await) });
        let mut requests = futures::stream::iter(requests).buffer_unordered(REQUESTS_AT_ONCE);
        while let Some((at, answer)) = requests.next().await {
            answers[at] = Some(answer);
        }
        answers.into_iter().map(|answer| answer.unwrap_or(Answer::State(None))).collect()
    }

    async fn read(&self, reads: Vec<(usize, MetricRead)>) -> Vec<(usize, Answer)> {
        let mut answers = Vec::with_capacity(reads.len());
        let mut reads = reads.into_iter().peekable();
        while reads.peek().is_some() {
            let (numbers, chunk): (Vec<_>, Vec<_>) = reads.by_ref().take(READS_AT_ONCE).unzip();
            let found = self.reader.read(chunk).await;
            answers.extend(numbers.into_iter().zip(found.into_iter().map(Answer::Points)));
        }
        answers
    }

    /// States of alarms; those that cannot be had now are unknown.
    async fn states(&self, wanted: Vec<(usize, AlarmId)>) -> Vec<(usize, Answer)> {
        let mut known: HashMap<AlarmId, AlarmState> = HashMap::new();
        for chunk in wanted.chunks(STATES_AT_ONCE) {
            let ids = chunk.iter().map(|(_, id)| AlarmValue::Text(id.0.clone())).collect();
            let filter = AlarmFilter::In("alarm_id".to_owned(), ids);
            match self.store.alarms(&filter, &Page::default()).await {
                Ok(alarms) => known.extend(alarms.into_iter().map(|alarm| (alarm.id, alarm.state))),
                Err(error) => tracing::warn!(%error, "states of alarms are not known"),
            }
        }
        wanted.into_iter().map(|(at, id)| (at, Answer::State(known.get(&id).copied()))).collect()
    }

    async fn request(&self, question: Question) -> Answer {
        match question {
            Question::Prometheus { query, scope } => Answer::Values(match &self.prometheus {
                Some(prometheus) => prometheus.query(&query, scope.as_deref()).await,
                None => Err(MetricReadError::Unavailable("Prometheus is not configured".to_owned())),
            }),
            Question::Members(pool_id) => Answer::Members(match &self.members {
                Some(members) => members.members(&pool_id).await,
                None => {
                    Err(PoolMembersError::Unreachable("no load balancing service is configured".to_owned()))
                }
            }),
            Question::Metric(_) | Question::State(_) => Answer::State(None),
        }
    }
}
