//! The listener's core: events in, transitions out. Knows no message bus.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use nephometer_drivers::{ALARM_SHARES, AlarmStore, AlarmStoreError, Applied, Transition};
use nephometer_model::{Alarm, Clock, Timestamp};
use serde_json::Value;
use tokio::sync::{Mutex, Notify};

use super::{Event, EventAlarms};
use crate::evaluate::{Occasion, Recorder, Silences};

/// What a listener stands on.
pub struct ListenerParts {
    /// Where alarms are.
    pub store: Arc<dyn AlarmStore>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Makes records of verdicts.
    pub recorder: Recorder,
    /// Woken when there is something to deliver.
    pub deliveries: Arc<Notify>,
}

/// What came of some events.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct EventOutcome {
    /// Events that were looked at.
    pub events: u64,
    /// Things that are no events and were left out.
    pub invalid: u64,
    /// Alarms that fired.
    pub fired: u64,
}

/// What the listener knows of the store.
#[derive(Default)]
struct Book {
    alarms: EventAlarms,
    silences: Silences,
    /// By share, from 0.
    revisions: BTreeMap<u16, i64>,
    read_at_ns: Option<u64>,
}

/// How old the listener's knowledge may be when an event comes.
const FRESH: Duration = Duration::from_millis(250);

/// Alarms that another changes again and again are tried so often for an event.
const MAX_TRIES: usize = 20;

/// Decides which alarms events fire. Any number of listeners may share a database: what one of them fires, another does
/// not fire again.
pub struct EventListener {
    parts: ListenerParts,
    book: Mutex<Book>,
}

impl EventListener {
    /// A listener that knows no alarm yet.
    pub fn new(parts: ListenerParts) -> Self {
        Self { parts, book: Mutex::default() }
    }

    /// Event alarms that are known.
    pub async fn alarms(&self) -> usize {
        self.book.lock().await.alarms.len()
    }

    /// Decides on events in their order, and records what follows. Where it fails, some may have been decided: the
    /// events may be given again.
    ///
    /// # Errors
    /// The store's.
    pub async fn hear(&self, events: Vec<Value>) -> Result<EventOutcome, AlarmStoreError> {
        let mut book = self.book.lock().await;
        self.refresh(&mut book).await?;
        let mut outcome = EventOutcome::default();
        for event in events {
            match Event::read(event) {
                Ok(event) => {
                    outcome.events += 1;
                    outcome.fired += self.fire(&mut book, &event).await?;
                }
                Err(error) => {
                    tracing::warn!(%error, "an event is left out");
                    outcome.invalid += 1;
                }
            }
        }
        Ok(outcome)
    }

    /// Learns what is new, unless that was done just now.
    async fn refresh(&self, book: &mut Book) -> Result<(), AlarmStoreError> {
        let now_ns = self.parts.clock.monotonic_ns();
        let fresh_ns = u64::try_from(FRESH.as_nanos()).unwrap_or(u64::MAX);
        if book.read_at_ns.is_some_and(|read_at_ns| now_ns.saturating_sub(read_at_ns) < fresh_ns) {
            return Ok(());
        }
        // The first time share by share, so that not all alarms of all types lie in memory at once.
        let at_once = if book.read_at_ns.is_none() { 1 } else { usize::from(ALARM_SHARES) };
        let seen: Vec<(u16, i64)> = (0..ALARM_SHARES)
            .map(|share| (share, book.revisions.get(&share).copied().unwrap_or_default()))
            .collect();
        for chunk in seen.chunks(at_once) {
            let news = self.parts.store.news(chunk).await?;
            news.deleted.iter().for_each(|id| book.alarms.remove(id));
            news.changed.into_iter().for_each(|alarm| book.alarms.put(Arc::new(alarm)));
            book.revisions.extend(news.revisions);
        }
        let silences = self.parts.store.silences(None, self.parts.clock.now()).await?;
        book.silences = Silences::new(silences);
        book.read_at_ns = Some(now_ns);
        Ok(())
    }

    async fn fire(&self, book: &mut Book, event: &Event) -> Result<u64, AlarmStoreError> {
        let mut fired = 0;
        let now = self.parts.clock.now();
        let mut open: Vec<(Arc<Alarm>, Transition)> = book
            .alarms
            .fired(event, now)
            .into_iter()
            .filter_map(|(alarm, verdict)| {
                let transition = self.transition(book, &alarm, &verdict, now)?;
                Some((alarm, transition))
            })
            .collect();
        for _ in 0..MAX_TRIES {
            if open.is_empty() {
                break;
            }
            let (alarms, transitions): (Vec<_>, Vec<_>) = open.drain(..).unzip();
            let applied = self.parts.store.apply(transitions.clone()).await?;
            for ((alarm, transition), applied) in alarms.into_iter().zip(transitions).zip(applied) {
                match applied {
                    Applied::Done(version) => {
                        fired += 1;
                        book.alarms.put(Arc::new(after(&alarm, &transition, version)));
                    }
                    Applied::Stale | Applied::Fenced => {
                        open.extend(self.anew(book, &alarm, event, now).await?);
                    }
                }
            }
        }
        if fired > 0 {
            self.parts.deliveries.notify_one();
        }
        Ok(fired)
    }

    fn transition(
        &self,
        book: &Book,
        alarm: &Alarm,
        verdict: &crate::decide::Verdict,
        at: Timestamp,
    ) -> Option<Transition> {
        let occasion = Occasion { at, fence: None, always: alarm.repeat_actions, silences: &book.silences };
        self.parts.recorder.transition(alarm, verdict, occasion)
    }

    /// Decides anew on an alarm that somebody else has changed.
    async fn anew(
        &self,
        book: &mut Book,
        old: &Alarm,
        event: &Event,
        now: Timestamp,
    ) -> Result<Option<(Arc<Alarm>, Transition)>, AlarmStoreError> {
        match self.parts.store.alarm(&old.id).await {
            Ok(alarm) => book.alarms.put(Arc::new(alarm)),
            Err(AlarmStoreError::NoSuchAlarm(_)) => book.alarms.remove(&old.id),
            Err(error) => return Err(error),
        }
        let Some(watched) = book.alarms.get(&old.id) else { return Ok(None) };
        let Some(verdict) = watched.decide(event, now) else { return Ok(None) };
        let alarm = Arc::clone(watched.alarm());
        Ok(self.transition(book, &alarm, &verdict, now).map(|transition| (alarm, transition)))
    }
}

/// The alarm after a transition that was written.
pub(crate) fn after(alarm: &Alarm, transition: &Transition, version: i64) -> Alarm {
    let mut alarm = alarm.clone();
    alarm.version = version;
    if let Some((state, reason)) = &transition.state {
        if alarm.state != *state {
            alarm.state_timestamp = transition.at;
        }
        alarm.state = *state;
        alarm.state_reason.clone_from(reason);
        alarm.evaluate_timestamp = transition.at;
    }
    alarm
}
