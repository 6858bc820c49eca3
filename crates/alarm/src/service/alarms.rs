//! Single alarms: made, shown, changed, deleted; their states.

use nephometer_drivers::{AlarmLimits, AlarmStoreError};
use nephometer_model::{Alarm, AlarmId, AlarmState};
use serde_json::Value;

use super::{AlarmError, AlarmService, Caller, own_project, own_user};
use crate::definition::{Draft, Judgement, missing, parse_state};

/// The reason of a state that a client has set.
const SET_BY_API: &str = "Manually set via API";
/// The reason of the state that an alarm begins with.
const NOT_EVALUATED: &str = "Not evaluated yet";
/// How often a change is tried again that others came in between of.
const ATTEMPTS: usize = 8;

impl AlarmService {
    pub(super) fn judgement(&self, caller: &Caller) -> Judgement {
        Judgement { max_actions: self.parts.settings.max_actions, is_admin: self.sees_all(caller) }
    }

    /// Makes an alarm of the body of a POST.
    pub async fn create(&self, caller: &Caller, body: &Value) -> Result<Alarm, AlarmError> {
        let draft = Draft::parse(body, self.judgement(caller))?;
        self.require_own("telemetry:create_alarm", caller)?;
        let (user_id, project_id) = self.owner_of_new(&draft, caller)?;
        let now = self.parts.clock.now_micros();
        let id = AlarmId(self.parts.ids.uuid().to_string());
        let mut alarm = Alarm {
            id,
            version: 0,
            user_id,
            project_id,
            timestamp: now,
            state: draft.state,
            state_reason: NOT_EVALUATED.to_owned(),
            state_timestamp: now,
            evaluate_timestamp: now,
            ..defined(draft)
        };
        self.confine(&mut alarm, caller).await?;
        self.check_combined(&alarm, caller).await?;
        let trust = self.entrust(&mut alarm, None, caller).await?;
        let record = self.creation(&alarm, caller);
        let limits =
            AlarmLimits { project: self.parts.settings.project_quota, user: self.parts.settings.user_quota };
        let (user, project) = (alarm.user_id.clone(), alarm.project_id.clone());
        match self.parts.store.create(alarm, record, limits).await {
            Ok(made) => {
                self.changed();
                Ok(made)
            }
            Err(error) => {
                self.withdraw(trust, caller).await;
                Err(match error {
                    AlarmStoreError::QuotaExceeded => AlarmError::QuotaExceeded {
                        user: user.unwrap_or_else(|| "None".to_owned()),
                        project: project.unwrap_or_else(|| "None".to_owned()),
                    },
                    other => other.into(),
                })
            }
        }
    }

    /// Whose a new alarm is: what an administrator says, else the caller's. A user whose token is for no project must say it,
    /// or the alarm would be nobody's.
    pub(super) fn owner_of_new(
        &self,
        draft: &Draft,
        caller: &Caller,
    ) -> Result<(Option<String>, Option<String>), AlarmError> {
        let own_user = own_user(caller).map(str::to_owned);
        let own_project = own_project(caller).map(str::to_owned);
        let sees_all = self.sees_all(caller);
        if own_user.is_some() && own_project.is_none() && !(sees_all && draft.project_id.is_some()) {
            return Err(missing("project_id").into());
        }
        if !sees_all {
            let foreign = |given: &Option<Option<String>>, own: &Option<String>| {
                given.clone().flatten().filter(|given| Some(given) != own.as_ref())
            };
            if let Some(id) = foreign(&draft.user_id, &own_user) {
                return Err(AlarmError::NotAuthorized { aspect: "user", id });
            }
            if let Some(id) = foreign(&draft.project_id, &own_project) {
                return Err(AlarmError::NotAuthorized { aspect: "project", id });
            }
            return Ok((own_user, own_project));
        }
        Ok((draft.user_id.clone().unwrap_or(own_user), draft.project_id.clone().unwrap_or(own_project)))
    }

    /// An alarm that the caller may see, if `rule` lets it act on it.
    async fn allowed(&self, caller: &Caller, rule: &str, id: &AlarmId) -> Result<Alarm, AlarmError> {
        let alarm = self.visible(caller, id).await?;
        self.require(rule, alarm.project_id.as_deref(), caller)?;
        Ok(alarm)
    }

    /// An alarm of the caller's project, or any for an administrator.
    pub(super) async fn visible(&self, caller: &Caller, id: &AlarmId) -> Result<Alarm, AlarmError> {
        let alarm = self.parts.store.alarm(id).await?;
        let is_own = own_project(caller).is_some() && alarm.project_id.as_deref() == own_project(caller);
        if is_own || self.is_admin(caller) { Ok(alarm) } else { Err(AlarmError::NoSuchAlarm(id.clone())) }
    }

    /// Shows an alarm.
    pub async fn alarm(&self, caller: &Caller, id: &AlarmId) -> Result<Alarm, AlarmError> {
        self.allowed(caller, "telemetry:get_alarm", id).await
    }

    /// Replaces the definition of an alarm by the body of a PUT. What others change meanwhile is not lost: then the
    /// change is made anew on what they left.
    pub async fn update(&self, caller: &Caller, id: &AlarmId, body: &Value) -> Result<Alarm, AlarmError> {
        let draft = Draft::parse(body, self.judgement(caller))?;
        for _ in 0..ATTEMPTS {
            let old = self.allowed(caller, "telemetry:change_alarm", id).await?;
            let mut new = self.redefined(&old, &draft, caller);
            self.confine(&mut new, caller).await?;
            self.check_combined(&new, caller).await?;
            let made = self.entrust(&mut new, Some(&old), caller).await?;
            let record = self.rule_change(&old, &new, caller);
            match self.parts.store.update(new, record).await {
                Ok(updated) => {
                    self.changed();
                    self.release(&old, &updated, caller).await;
                    return Ok(updated);
                }
                Err(AlarmStoreError::Changed) => self.withdraw(made, caller).await,
                Err(error) => {
                    self.withdraw(made, caller).await;
                    return Err(error.into());
                }
            }
        }
        Err(AlarmError::Unavailable(AlarmStoreError::Changed.to_string()))
    }

    /// The alarm that `old` becomes by a draft.
    fn redefined(&self, old: &Alarm, draft: &Draft, caller: &Caller) -> Alarm {
        let now = self.parts.clock.now_micros();
        let (user_id, project_id) = if self.sees_all(caller) {
            let kept = |given: &Option<Option<String>>, old: &Option<String>| {
                given.clone().unwrap_or_else(|| old.clone())
            };
            (kept(&draft.user_id, &old.user_id), kept(&draft.project_id, &old.project_id))
        } else {
            (own_user(caller).map(str::to_owned), own_project(caller).map(str::to_owned))
        };
        let (state_reason, state_timestamp) = if draft.state == old.state {
            (old.state_reason.clone(), old.state_timestamp)
        } else {
            (SET_BY_API.to_owned(), now)
        };
        Alarm {
            id: old.id.clone(),
            version: old.version,
            user_id,
            project_id,
            timestamp: now,
            state_reason,
            state_timestamp,
            evaluate_timestamp: old.evaluate_timestamp,
            ..defined(draft.clone())
        }
    }

    /// Deletes an alarm with its history and its trust.
    pub async fn delete(&self, caller: &Caller, id: &AlarmId) -> Result<(), AlarmError> {
        for _ in 0..ATTEMPTS {
            let seen = self.allowed(caller, "telemetry:delete_alarm", id).await?;
            match self.parts.store.delete(id, seen.version, self.deletion(&seen, caller)).await {
                Ok(()) => {
                    self.changed();
                    self.release_all(&seen, caller).await;
                    return Ok(());
                }
                Err(AlarmStoreError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AlarmError::Unavailable(AlarmStoreError::Changed.to_string()))
    }

    /// The state of an alarm.
    pub async fn state(&self, caller: &Caller, id: &AlarmId) -> Result<AlarmState, AlarmError> {
        Ok(self.allowed(caller, "telemetry:get_alarm_state", id).await?.state)
    }

    /// Sets the state of an alarm by the body of a PUT; that is recorded even where it was so, and nobody is told.
    pub async fn set_state(
        &self,
        caller: &Caller,
        id: &AlarmId,
        body: &Value,
    ) -> Result<AlarmState, AlarmError> {
        for _ in 0..ATTEMPTS {
            let old = self.allowed(caller, "telemetry:change_alarm_state", id).await?;
            let state = parse_state(body)?;
            let state_timestamp = self.parts.clock.now_micros();
            let new = Alarm { state, state_timestamp, state_reason: SET_BY_API.to_owned(), ..old };
            let record = self.state_set(&new, caller);
            match self.parts.store.update(new, record).await {
                Ok(_) => {
                    self.changed();
                    return Ok(state);
                }
                Err(AlarmStoreError::Changed) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Err(AlarmError::Unavailable(AlarmStoreError::Changed.to_string()))
    }
}

/// The part of an alarm that its definition says. The rest is to be filled in.
pub(super) fn defined(draft: Draft) -> Alarm {
    Alarm {
        id: AlarmId(String::new()),
        version: 0,
        enabled: draft.enabled,
        name: draft.name,
        description: draft.description,
        severity: draft.severity,
        user_id: None,
        project_id: None,
        timestamp: nephometer_model::Timestamp::default(),
        state: draft.state,
        state_reason: String::new(),
        state_timestamp: nephometer_model::Timestamp::default(),
        evaluate_timestamp: nephometer_model::Timestamp::default(),
        ok_actions: draft.ok_actions,
        alarm_actions: draft.alarm_actions,
        insufficient_data_actions: draft.insufficient_data_actions,
        repeat_actions: draft.repeat_actions,
        time_constraints: draft.time_constraints,
        rule: draft.rule,
    }
}
