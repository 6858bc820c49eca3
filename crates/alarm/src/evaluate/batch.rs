//! A batch of evaluations: questions asked together, decisions, and one transaction for what follows.

use std::sync::Arc;

use nephometer_drivers::{AlarmStoreError, Applied, Fence, MetricReadError, Transition};
use nephometer_model::{Alarm, AlarmState, Clock, SeriesKey, Timestamp};
use tokio::sync::Notify;

use super::ask::{Questions, Sources};
use super::questions::{Answer, Question, decide, questions};
use super::{EvaluatorSettings, Occasion, Recorder, Silences};
use crate::decide::{Look, MemberAge};
use crate::event::after;
use crate::time::Windows;

/// An alarm to be evaluated.
pub(super) struct Job {
    /// Where the answer goes.
    pub(super) slot: u32,
    /// Which of the alarms that have been there.
    pub(super) generation: u64,
    pub(super) alarm: Arc<Alarm>,
    /// Nothing where a time constraint cannot be understood.
    pub(super) windows: Option<Arc<Windows>>,
    pub(super) fence: Fence,
    /// Tell those again who want it, even if nothing has changed.
    pub(super) repeat: bool,
    /// When the measures were heard of that started this.
    pub(super) since_ns: Option<u64>,
    /// Since when its measures cannot be had.
    pub(super) away_ns: Option<u64>,
    /// Find out what series it depends on.
    pub(super) wants_series: bool,
    /// And nothing else.
    pub(super) asks_only: bool,
}

/// How an evaluation ended.
#[derive(Debug)]
pub(super) enum End {
    /// The alarm is as it was.
    Same,
    /// The alarm is this now; `decide_anew` where the decision was made on an older one.
    Now { alarm: Arc<Alarm>, decide_anew: bool },
    /// The alarm is no more.
    Gone,
    /// The share has another holder.
    Fenced,
    /// Its measures cannot be had, and that not for long yet: whoever holds them may only be starting anew.
    Away,
    /// It went wrong; to be tried again soon where the store did not take it.
    Failed { soon: bool },
}

/// An evaluation that is over.
pub(super) struct Done {
    pub(super) slot: u32,
    pub(super) generation: u64,
    pub(super) since_ns: Option<u64>,
    pub(super) end: End,
    /// What counters count.
    pub(super) counted: Option<AlarmState>,
    /// What it depends on, if that was to be found out: nothing inside where nobody can tell.
    pub(super) series: Option<Option<Vec<SeriesKey>>>,
    /// Nothing was decided.
    pub(super) asked_only: bool,
}

/// Evaluates batches.
pub(super) struct Worker {
    pub(super) sources: Sources,
    pub(super) recorder: Recorder,
    pub(super) settings: EvaluatorSettings,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) deliveries: Arc<Notify>,
}

/// A job with the numbers of its answers.
struct Asked {
    job: Job,
    /// Nothing where it is not the time for it; an error where it cannot be asked.
    answers: Result<Option<Vec<usize>>, String>,
}

impl Worker {
    fn look(&self, now: Timestamp) -> Look {
        Look { now, ingestion_lag_seconds: self.settings.ingestion_lag_seconds }
    }

    /// Evaluates all, as of now.
    pub(super) async fn run(&self, jobs: Vec<Job>, silences: &Silences) -> Vec<Done> {
        let now = self.clock.now();
        let mut all = Questions::default();
        let asked: Vec<Asked> = jobs.into_iter().map(|job| self.asked(job, now, &mut all)).collect();
        let answers = self.sources.ask(all).await;
        let mut done = Vec::with_capacity(asked.len());
        let (mut open, mut curious) = (Vec::new(), Vec::new());
        for Asked { job, answers: numbers } in asked {
            let (transition, counted, end) = match numbers {
                Ok(None) => (None, None, End::Same),
                Ok(Some(numbers)) if self.is_put_off(&job, &numbers, &answers) => (None, None, End::Away),
                Ok(Some(numbers)) => self.decided(&job, &numbers, &answers, now, silences),
                Err(error) => {
                    tracing::warn!(alarm = %job.alarm.id, error, "an alarm cannot be evaluated");
                    (None, None, End::Failed { soon: false })
                }
            };
            let Job { slot, generation, since_ns, asks_only: asked_only, .. } = job;
            let wants_series = job.wants_series && !matches!(end, End::Away);
            done.push(Done { slot, generation, since_ns, end, counted, series: None, asked_only });
            if let Some(transition) = transition {
                open.push((done.len() - 1, Arc::clone(&job.alarm), transition));
            }
            if wants_series {
                curious.push((done.len() - 1, job.alarm));
            }
        }
        for (at, end) in self.write(open).await {
            done[at].end = end;
        }
        for (at, series) in self.series(curious, now).await {
            done[at].series = Some(series);
        }
        done
    }

    fn asked(&self, job: Job, now: Timestamp, all: &mut Questions) -> Asked {
        if job.asks_only || !job.windows.as_ref().is_some_and(|windows| windows.hold(now)) {
            return Asked { job, answers: Ok(None) };
        }
        let answers = questions(&job.alarm.rule, &self.look(now))
            .map(|own| Some(own.into_iter().map(|question| all.add(question)).collect()));
        Asked { job, answers }
    }

    /// Whether nothing is decided because measures cannot be had for less than an interval: as long as that, upstream would
    /// not have noticed, and alarms must not be told of each restart of the service that holds the measures.
    fn is_put_off(&self, job: &Job, numbers: &[usize], answers: &[Answer]) -> bool {
        let away_ns = job.away_ns.map_or(0, |since_ns| self.clock.monotonic_ns().saturating_sub(since_ns));
        let is_away =
            |number: &usize| matches!(answers[*number], Answer::Points(Err(MetricReadError::Unavailable(_))));
        away_ns < u64::from(self.settings.interval_seconds) * 1_000_000_000 && numbers.iter().any(is_away)
    }

    /// The transition that follows, if any, what is counted, and how it ended if there is none.
    fn decided(
        &self,
        job: &Job,
        numbers: &[usize],
        answers: &[Answer],
        now: Timestamp,
        silences: &Silences,
    ) -> (Option<Transition>, Option<AlarmState>, End) {
        let own: Vec<&Answer> = numbers.iter().map(|number| &answers[*number]).collect();
        let age = MemberAge { now, grace_seconds: self.settings.member_grace_seconds };
        match decide(&job.alarm, job.repeat, age, &own) {
            Ok(decision) => {
                let transition = decision.verdict.and_then(|verdict| {
                    let fence = Some(job.fence.clone());
                    let occasion = Occasion { at: now, fence, always: false, silences };
                    self.recorder.transition(&job.alarm, &verdict, occasion)
                });
                (transition, decision.counted, End::Same)
            }
            Err(error) => {
                tracing::warn!(alarm = %job.alarm.id, error, "an alarm stays as it is");
                (None, None, End::Failed { soon: false })
            }
        }
    }

    /// The series that alarms depend on; nothing where one of its readings cannot tell.
    async fn series(
        &self,
        alarms: Vec<(usize, Arc<Alarm>)>,
        now: Timestamp,
    ) -> Vec<(usize, Option<Vec<SeriesKey>>)> {
        let mut reads = Vec::new();
        let mut ends = Vec::with_capacity(alarms.len());
        for (at, alarm) in alarms {
            let own = questions(&alarm.rule, &self.look(now)).unwrap_or_default();
            reads.extend(own.into_iter().filter_map(|question| match question {
                Question::Metric(read) => Some(read),
                _ => None,
            }));
            ends.push((at, reads.len()));
        }
        if reads.is_empty() {
            return ends.into_iter().map(|(at, _)| (at, Some(Vec::new()))).collect();
        }
        let mut found = self.sources.reader.series(&reads).await.into_iter();
        let mut taken = 0;
        let mut all = Vec::with_capacity(ends.len());
        for (at, end) in ends {
            let own: Vec<Option<Vec<SeriesKey>>> = found.by_ref().take(end - taken).collect();
            taken = end;
            let own: Option<Vec<Vec<SeriesKey>>> = own.into_iter().collect();
            all.push((at, own.map(|own| sorted(own.concat()))));
        }
        all
    }

    /// Writes transitions, and tells what became of the alarm behind each.
    async fn write(&self, open: Vec<(usize, Arc<Alarm>, Transition)>) -> Vec<(usize, End)> {
        if open.is_empty() {
            return Vec::new();
        }
        let transitions: Vec<Transition> = open.iter().map(|(_, _, transition)| transition.clone()).collect();
        let applied = match self.sources.store.apply(transitions).await {
            Ok(applied) => applied,
            Err(error) => {
                tracing::warn!(%error, "decisions on alarms could not be written");
                return open.into_iter().map(|(at, ..)| (at, End::Failed { soon: true })).collect();
            }
        };
        let mut ends = Vec::with_capacity(open.len());
        let mut told = false;
        for ((at, alarm, transition), applied) in open.into_iter().zip(applied) {
            let end = match applied {
                Applied::Done(version) => {
                    told |= !transition.deliveries.is_empty();
                    let alarm = Arc::new(after(&alarm, &transition, version));
                    End::Now { alarm, decide_anew: false }
                }
                Applied::Stale => self.reloaded(&alarm).await,
                Applied::Fenced => End::Fenced,
            };
            ends.push((at, end));
        }
        if told {
            self.deliveries.notify_one();
        }
        ends
    }

    async fn reloaded(&self, old: &Alarm) -> End {
        match self.sources.store.alarm(&old.id).await {
            Ok(alarm) => End::Now { alarm: Arc::new(alarm), decide_anew: true },
            Err(AlarmStoreError::NoSuchAlarm(_)) => End::Gone,
            Err(_) => End::Failed { soon: true },
        }
    }
}

fn sorted(mut series: Vec<SeriesKey>) -> Vec<SeriesKey> {
    series.sort_unstable();
    series.dedup();
    series
}
