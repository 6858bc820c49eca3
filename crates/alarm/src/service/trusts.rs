//! Trusts: by one of its owner an alarm's actions may use services in the owner's name. All trust actions of an alarm
//! share one; its id stands in the stored action before the host, with `:delete` behind it in the first.

use async_trait::async_trait;
use nephometer_model::Alarm;

use super::{AlarmError, AlarmService, Caller};
use crate::definition::{is_trust, without_trust};

/// Makes and deletes trusts in the caller's name.
#[async_trait]
pub trait TrustKeeper: Send + Sync {
    /// Makes a trust of the caller, with its project and roles, to this service; its id.
    ///
    /// # Errors
    /// Why not, for the client.
    async fn create(&self, caller: &Caller) -> Result<String, AlarmError>;

    /// Deletes a trust; one that is gone is as good as deleted.
    ///
    /// # Errors
    /// Why not.
    async fn delete(&self, caller: &Caller, id: &str) -> Result<(), AlarmError>;
}

/// A trust that was made for a change which is not stored yet.
pub(super) struct NewTrust(Option<String>);

/// Every action of an alarm.
fn actions(alarm: &Alarm) -> impl Iterator<Item = &String> {
    let lists = [&alarm.ok_actions, &alarm.alarm_actions, &alarm.insufficient_data_actions];
    lists.into_iter().flatten().flatten()
}

/// The trust of a stored alarm.
fn trust_of(alarm: &Alarm) -> Option<String> {
    actions(alarm).filter(|action| is_trust(action)).find_map(|action| {
        let (_, rest) = action.split_once("://")?;
        let authority = rest.split(['/', '?', '#']).next()?;
        let (trust, _) = authority.rsplit_once('@')?;
        let id = trust.split(':').next()?;
        (!id.is_empty()).then(|| id.to_owned())
    })
}

/// Puts the trust into all actions that need one.
fn insert(alarm: &mut Alarm, id: &str) {
    let mut mark = ":delete";
    let lists = [&mut alarm.ok_actions, &mut alarm.alarm_actions, &mut alarm.insufficient_data_actions];
    for action in lists.into_iter().flatten().flatten().filter(|action| is_trust(action)) {
        let plain = without_trust(action);
        let (scheme, rest) = plain.split_once(':').unwrap_or((&plain, ""));
        let rest = rest.strip_prefix("//").unwrap_or(rest);
        *action = format!("{scheme}://{id}{mark}@{rest}");
        mark = "";
    }
}

impl AlarmService {
    /// Gives the alarm's trust actions the trust of `old`, or a new one; what was made anew.
    pub(super) async fn entrust(
        &self,
        alarm: &mut Alarm,
        old: Option<&Alarm>,
        caller: &Caller,
    ) -> Result<NewTrust, AlarmError> {
        if !actions(alarm).any(|action| is_trust(action)) {
            return Ok(NewTrust(None));
        }
        if let Some(id) = old.and_then(trust_of) {
            insert(alarm, &id);
            return Ok(NewTrust(None));
        }
        let Some(keeper) = &self.parts.trusts else {
            let text = "trust actions need the identity service, which this deployment does not use";
            return Err(AlarmError::Unavailable(text.to_owned()));
        };
        let id = keeper.create(caller).await?;
        insert(alarm, &id);
        Ok(NewTrust(Some(id)))
    }

    /// Deletes a trust whose alarm was not stored.
    pub(super) async fn withdraw(&self, trust: NewTrust, caller: &Caller) {
        if let NewTrust(Some(id)) = trust {
            self.delete_trust(&id, caller).await;
        }
    }

    /// Deletes the trust of `old` if `new` does not use it.
    pub(super) async fn release(&self, old: &Alarm, new: &Alarm, caller: &Caller) {
        if let Some(id) = trust_of(old)
            && trust_of(new).as_ref() != Some(&id)
        {
            self.delete_trust(&id, caller).await;
        }
    }

    /// Deletes the trust of an alarm that is gone.
    pub(super) async fn release_all(&self, alarm: &Alarm, caller: &Caller) {
        if let Some(id) = trust_of(alarm) {
            self.delete_trust(&id, caller).await;
        }
    }

    /// The alarm is as the client wants it, whatever becomes of the trust.
    async fn delete_trust(&self, id: &str, caller: &Caller) {
        let Some(keeper) = &self.parts.trusts else { return };
        if let Err(error) = keeper.delete(caller, id).await {
            tracing::warn!(%error, "a trust that no alarm uses any more could not be deleted");
        }
    }
}
