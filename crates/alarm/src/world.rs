//! A world for tests: alarms, leases and measures in memory, with a clock that moves when told and faults on request.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use nephometer_drivers::{
    AlarmFilter, AlarmLimits, AlarmNews, AlarmStore, AlarmStoreError, AlarmValue, Applied, ChangeRecord,
    DataPoints, Delivery, DeliveryEnd, IndexError, Lease, LeaseStore, MetricRead, MetricReadError,
    MetricReader, MetricSubject, NewDelivery, OutboxCounts, Page, Silence, Transition, share_of,
};
use nephometer_model::{
    Alarm, AlarmChange, AlarmCounts, AlarmId, AlarmRule, AlarmState, Clock, ManualClock, Operator, Quota,
    ResourceRule, SeriesKey, Severity, Threshold, Timestamp,
};
use parking_lot::Mutex;
use uuid::Uuid;

/// Something that happens in the middle of a call.
type Hook = Box<dyn FnOnce(&mut State) + Send>;

/// What is in the world.
#[derive(Default)]
pub(crate) struct State {
    pub(crate) alarms: BTreeMap<AlarmId, (Alarm, i64)>,
    pub(crate) history: Vec<AlarmChange>,
    pub(crate) deliveries: Vec<NewDelivery>,
    pub(crate) silences: Vec<Silence>,
    pub(crate) counts: Vec<AlarmCounts>,
    /// Points by metric; the number of a metric is its series.
    pub(crate) points: HashMap<String, Vec<(Timestamp, f64)>>,
    /// How many readings were made.
    pub(crate) reads: usize,
    /// Nothing can be read.
    pub(crate) is_away: bool,
    /// Holder, epoch and end of each share.
    leases: HashMap<u16, (Uuid, i64, u64)>,
    members: HashMap<Uuid, u64>,
    deleted: Vec<(AlarmId, i64)>,
    revision: i64,
    shares_used: HashSet<u16>,
    /// Happens before the next transitions are written.
    pub(crate) before_apply: Option<Hook>,
    /// The next write fails: before it is done, or after.
    pub(crate) fail_apply: Option<bool>,
}

/// See above.
pub(crate) struct World {
    pub(crate) clock: Arc<ManualClock>,
    pub(crate) state: Mutex<State>,
}

fn unavailable() -> AlarmStoreError {
    AlarmStoreError::Unavailable("the test says so".to_owned())
}

/// The series of a metric that is called by a number.
pub(crate) fn series_of(metric: &str) -> SeriesKey {
    SeriesKey(metric.trim_start_matches(|c: char| !c.is_ascii_digit()).parse().unwrap_or(0))
}

impl World {
    pub(crate) fn new() -> Arc<Self> {
        let clock = Arc::new(ManualClock::at(Timestamp::from_ns(1_700_000_000_000_000_000)));
        Arc::new(Self { clock, state: Mutex::default() })
    }

    pub(crate) fn advance(&self, seconds: i64) {
        self.clock.advance_ns(seconds * 1_000_000_000);
    }

    /// A measure of a metric, now.
    pub(crate) fn measure(&self, metric: &str, value: f64) {
        let minute_ns = 60_000_000_000;
        let at = Timestamp::from_ns(self.clock.now().ns() / minute_ns * minute_ns);
        let mut state = self.state.lock();
        let points = state.points.entry(metric.to_owned()).or_default();
        points.retain(|(start, _)| *start != at);
        points.push((at, value));
    }

    /// Adds or replaces an alarm, as the API does.
    pub(crate) fn put(&self, alarm: Alarm) {
        self.state.lock().put(alarm);
    }

    pub(crate) fn alarm(&self, id: &str) -> Alarm {
        self.state.lock().alarms[&AlarmId(id.to_owned())].0.clone()
    }

    /// The states through which history says the alarm went.
    pub(crate) fn history_of(&self, id: &str) -> Vec<String> {
        let state = self.state.lock();
        let own = state.history.iter().filter(|change| change.alarm_id.0 == id);
        own.map(|change| {
            let detail: serde_json::Value = serde_json::from_str(&change.detail).unwrap();
            detail["state"].as_str().unwrap().to_owned()
        })
        .collect()
    }
}

impl State {
    pub(crate) fn put(&mut self, mut alarm: Alarm) {
        self.revision += 1;
        let version = self.alarms.get(&alarm.id).map_or(0, |(old, _)| old.version);
        alarm.version = version + 1;
        self.shares_used.insert(share_of(&alarm.id));
        self.alarms.insert(alarm.id.clone(), (alarm, self.revision));
    }

    pub(crate) fn delete(&mut self, id: &AlarmId) {
        self.revision += 1;
        self.alarms.remove(id);
        self.deleted.push((id.clone(), self.revision));
    }

    fn apply(&mut self, transition: Transition) -> Applied {
        if let Some(fence) = &transition.fence
            && self.leases.get(&fence.lease.share).is_none_or(|(_, epoch, _)| *epoch != fence.lease.epoch)
        {
            return Applied::Fenced;
        }
        let Some((alarm, revision)) = self.alarms.get_mut(&transition.alarm_id) else {
            return Applied::Stale;
        };
        if alarm.version != transition.version {
            return Applied::Stale;
        }
        *alarm = crate::event::after(alarm, &transition, alarm.version + 1);
        if transition.fence.is_none() {
            self.revision += 1;
            *revision = self.revision;
        }
        let version = alarm.version;
        self.history.extend(transition.change);
        self.deliveries.extend(transition.deliveries);
        Applied::Done(version)
    }
}

/// An alarm over one metric: mean of a minute above 80, `periods` times.
pub(crate) fn above_80(id: &str, metric: &str, periods: u32) -> Alarm {
    let threshold = Threshold {
        granularity_seconds: 60,
        comparison_operator: Operator::Gt,
        threshold: 80.0,
        aggregation_method: "mean".to_owned(),
        evaluation_periods: periods,
        datapoints_to_alarm: None,
        treat_missing_data: None,
        scope_to_project: None,
    };
    alarm(
        id,
        AlarmRule::Resource(ResourceRule {
            threshold,
            metric: metric.to_owned(),
            resource_id: "r".to_owned(),
            resource_type: "instance".to_owned(),
        }),
    )
}

/// An alarm of project `p` that tells `log://STATE` whenever its state changes.
pub(crate) fn alarm(id: &str, rule: AlarmRule) -> Alarm {
    let actions = |state: &str| Some(vec![format!("log://{state}")]);
    Alarm {
        id: AlarmId(id.to_owned()),
        version: 0,
        enabled: Some(true),
        name: format!("name of {id}"),
        description: String::new(),
        severity: Severity::Low,
        user_id: None,
        project_id: Some("p".to_owned()),
        timestamp: Timestamp::default(),
        state: AlarmState::InsufficientData,
        state_reason: "Not evaluated yet".to_owned(),
        state_timestamp: Timestamp::default(),
        evaluate_timestamp: Timestamp::default(),
        ok_actions: actions("ok"),
        alarm_actions: actions("alarm"),
        insufficient_data_actions: actions("unknown"),
        repeat_actions: false,
        time_constraints: Vec::new(),
        rule,
    }
}

#[async_trait]
impl MetricReader for World {
    async fn read(&self, reads: Vec<MetricRead>) -> Vec<Result<DataPoints, MetricReadError>> {
        let mut state = self.state.lock();
        state.reads += reads.len();
        if state.is_away {
            return vec![Err(MetricReadError::Unavailable("away".to_owned())); reads.len()];
        }
        let answer = |read: MetricRead| {
            let MetricSubject::OfResource { metric, .. } = &read.subject else {
                return Err(MetricReadError::NoSuchMetric);
            };
            let points = state.points.get(metric).ok_or(MetricReadError::NoSuchMetric)?;
            let start = read.start.floor(read.granularity);
            Ok(points.iter().copied().filter(|(at, _)| (start..read.stop).contains(at)).collect())
        };
        reads.into_iter().map(answer).collect()
    }

    async fn check(&self, _: &MetricRead) -> Result<(), MetricReadError> {
        Ok(())
    }

    async fn aggregation_methods(&self) -> Result<Vec<String>, MetricReadError> {
        Ok(vec!["mean".to_owned()])
    }

    async fn series(&self, reads: &[MetricRead]) -> Vec<Option<Vec<SeriesKey>>> {
        let state = self.state.lock();
        if state.is_away {
            return vec![None; reads.len()];
        }
        let one = |read: &MetricRead| match &read.subject {
            MetricSubject::OfResource { metric, .. } if state.points.contains_key(metric) => {
                Some(vec![series_of(metric)])
            }
            _ => None,
        };
        reads.iter().map(one).collect()
    }
}

#[async_trait]
impl LeaseStore for World {
    async fn renew(
        &self,
        _group: &str,
        member: Uuid,
        shares: u16,
        length: Duration,
    ) -> Result<Vec<Lease>, IndexError> {
        let now_ns = self.clock.monotonic_ns();
        let until_ns = now_ns + u64::try_from(length.as_nanos()).unwrap();
        let mut state = self.state.lock();
        state.members.insert(member, until_ns);
        state.members.retain(|_, until_ns| *until_ns > now_ns);
        let fair = usize::from(shares).div_ceil(state.members.len());
        let mut mine = 0;
        for share in 0..shares {
            let (holder, epoch, end_ns) = state.leases.get(&share).copied().unwrap_or_default();
            let held = holder == member && end_ns > now_ns;
            if held && mine >= fair {
                state.leases.insert(share, (Uuid::nil(), epoch, 0));
            } else if held || (end_ns <= now_ns && mine < fair) {
                let epoch = if held { epoch } else { epoch + 1 };
                state.leases.insert(share, (member, epoch, until_ns));
                mine += 1;
            }
        }
        let held = state.leases.iter().filter(|(_, (holder, ..))| *holder == member);
        Ok(held.map(|(share, (_, epoch, _))| Lease { share: *share, epoch: *epoch }).collect())
    }

    async fn leave(&self, _group: &str, member: Uuid) -> Result<(), IndexError> {
        let mut state = self.state.lock();
        state.members.remove(&member);
        state.leases.values_mut().filter(|lease| lease.0 == member).for_each(|lease| lease.2 = 0);
        Ok(())
    }
}

#[async_trait]
impl AlarmStore for World {
    async fn create(
        &self,
        alarm: Alarm,
        _record: ChangeRecord,
        _limits: AlarmLimits,
    ) -> Result<Alarm, AlarmStoreError> {
        let id = alarm.id.clone();
        self.put(alarm);
        Ok(self.alarm(&id.0))
    }

    async fn alarm(&self, id: &AlarmId) -> Result<Alarm, AlarmStoreError> {
        let state = self.state.lock();
        let found = state.alarms.get(id).map(|(alarm, _)| alarm.clone());
        found.ok_or_else(|| AlarmStoreError::NoSuchAlarm(id.clone()))
    }

    async fn alarms(&self, filter: &AlarmFilter, _page: &Page) -> Result<Vec<Alarm>, AlarmStoreError> {
        let AlarmFilter::In(_, ids) = filter else { return Err(unavailable()) };
        let state = self.state.lock();
        let wanted = |id: &AlarmId| ids.contains(&AlarmValue::Text(id.0.clone()));
        let found = state.alarms.iter().filter(|(id, _)| wanted(id));
        Ok(found.map(|(_, (alarm, _))| alarm.clone()).collect())
    }

    async fn update(&self, _alarm: Alarm, _record: ChangeRecord) -> Result<Alarm, AlarmStoreError> {
        Err(unavailable())
    }

    async fn delete(
        &self,
        id: &AlarmId,
        _version: i64,
        _deliveries: Vec<NewDelivery>,
    ) -> Result<(), AlarmStoreError> {
        self.state.lock().delete(id);
        Ok(())
    }

    async fn apply(&self, transitions: Vec<Transition>) -> Result<Vec<Applied>, AlarmStoreError> {
        let mut state = self.state.lock();
        if let Some(hook) = state.before_apply.take() {
            hook(&mut state);
        }
        let fail = state.fail_apply.take();
        if fail == Some(false) {
            return Err(unavailable());
        }
        let applied = transitions.into_iter().map(|transition| state.apply(transition)).collect();
        if fail == Some(true) { Err(unavailable()) } else { Ok(applied) }
    }

    async fn history(
        &self,
        _filter: &AlarmFilter,
        _page: &Page,
    ) -> Result<Vec<AlarmChange>, AlarmStoreError> {
        Ok(self.state.lock().history.clone())
    }

    async fn expire_history(&self, _before: Timestamp, _batch: u64) -> Result<u64, AlarmStoreError> {
        Err(unavailable())
    }

    async fn quotas(&self, _project_id: &str) -> Result<Vec<Quota>, AlarmStoreError> {
        Err(unavailable())
    }

    async fn set_quotas(&self, _id: &str, _quotas: Vec<Quota>) -> Result<Vec<Quota>, AlarmStoreError> {
        Err(unavailable())
    }

    async fn delete_quotas(&self, _project_id: &str) -> Result<(), AlarmStoreError> {
        Err(unavailable())
    }

    async fn count(&self, evaluations: Vec<AlarmCounts>) -> Result<(), AlarmStoreError> {
        self.state.lock().counts.extend(evaluations);
        Ok(())
    }

    async fn counts(&self, _project_id: Option<&str>) -> Result<Vec<AlarmCounts>, AlarmStoreError> {
        Ok(self.state.lock().counts.clone())
    }

    async fn states(&self) -> Result<Vec<(AlarmState, u64)>, AlarmStoreError> {
        Err(unavailable())
    }

    async fn news(&self, since: &[(u16, i64)]) -> Result<AlarmNews, AlarmStoreError> {
        let state = self.state.lock();
        let since_of =
            |id: &AlarmId| since.iter().find(|(share, _)| *share == share_of(id)).map(|(_, since)| *since);
        let changed = state
            .alarms
            .values()
            .filter(|(alarm, revision)| since_of(&alarm.id).is_some_and(|since| *revision > since));
        let deleted =
            state.deleted.iter().filter(|(id, revision)| since_of(id).is_some_and(|since| *revision > since));
        Ok(AlarmNews {
            changed: changed.map(|(alarm, _)| alarm.clone()).collect(),
            deleted: deleted.map(|(id, _)| id.clone()).collect(),
            revisions: since
                .iter()
                .filter(|(share, _)| state.shares_used.contains(share))
                .map(|(share, _)| (*share, state.revision))
                .collect(),
        })
    }

    async fn take_deliveries(
        &self,
        _member: Uuid,
        _length: Duration,
        _limit: u32,
    ) -> Result<Vec<Delivery>, AlarmStoreError> {
        Err(unavailable())
    }

    async fn end_deliveries(
        &self,
        _member: Uuid,
        _ends: Vec<(Uuid, DeliveryEnd)>,
    ) -> Result<(), AlarmStoreError> {
        Err(unavailable())
    }

    async fn add_deliveries(&self, _messages: Vec<NewDelivery>) -> Result<(), AlarmStoreError> {
        Err(unavailable())
    }

    async fn dead_deliveries(&self, _limit: u32) -> Result<Vec<Delivery>, AlarmStoreError> {
        Err(unavailable())
    }

    async fn revive_deliveries(&self, _ids: Option<Vec<Uuid>>) -> Result<u64, AlarmStoreError> {
        Err(unavailable())
    }

    async fn expire_deliveries(&self, _before: Timestamp) -> Result<u64, AlarmStoreError> {
        Err(unavailable())
    }

    async fn outbox(&self) -> Result<OutboxCounts, AlarmStoreError> {
        Err(unavailable())
    }

    async fn put_silence(&self, silence: Silence) -> Result<(), AlarmStoreError> {
        self.state.lock().silences.push(silence);
        Ok(())
    }

    async fn silences(
        &self,
        _project_id: Option<&str>,
        now: Timestamp,
    ) -> Result<Vec<Silence>, AlarmStoreError> {
        let state = self.state.lock();
        Ok(state.silences.iter().filter(|silence| silence.ends_at > now).cloned().collect())
    }

    async fn delete_silence(&self, _id: Uuid) -> Result<bool, AlarmStoreError> {
        Err(unavailable())
    }

    async fn expire_silences(&self, _before: Timestamp) -> Result<u64, AlarmStoreError> {
        Err(unavailable())
    }
}
